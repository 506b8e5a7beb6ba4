//! A connection to a NATS server. A thread of its own has the async runtime; the rest of throng gives it messages and functions that
//! take messages, and never waits in it.

use super::pieces::{self, HEADER, Joined};
use super::{NatsError, Prefix, Server, TOKEN};
use crate::message::MessageError;
use async_nats::client::RequestErrorKind;
use async_nats::{Client, Event, HeaderMap};
use futures_util::StreamExt;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

/// What is kept free of the longest message that the server takes: its headers.
const HEADERS: usize = 1024;
/// A server that is away for this long does not come back in time for a run.
const AWAY: Duration = Duration::from_secs(60);
/// How long an answer of the server may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What happens to a connection. It is made again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is interrupted.
    Interrupted,
    /// It is back, with all subscriptions.
    Restored,
    /// It was interrupted for too long.
    GivenUp,
}

type Listener = Box<dyn Fn(Change) + Send>;

/// What happens to a connection, and who is told.
#[derive(Default)]
struct Watch {
    /// Since when it is interrupted.
    away: Option<Instant>,
    listeners: Vec<Listener>,
}

impl Watch {
    fn tell(&mut self, change: Change) {
        self.listeners.iter().for_each(|told| told(change));
    }
}

/// A message that arrived.
pub(super) struct Received {
    /// Its bytes, or why it is refused.
    pub bytes: Result<Vec<u8>, MessageError>,
    /// Where an answer goes.
    pub reply: Option<String>,
    /// The token of whoever sent it.
    pub token: Option<String>,
}

/// What the thread is to send.
enum Outgoing {
    Message(Message),
    /// Nothing, but to say when all that was given out before has been sent.
    Flush(Sender<()>),
}

struct Message {
    subject: String,
    headers: HeaderMap,
    bytes: Vec<u8>,
    reply: Option<String>,
}

/// A connection to a NATS server; clones are the same. The last one closes it.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    client: Client,
    /// The server, as people may see it.
    server: String,
    prefix: Prefix,
    runtime: Handle,
    out: UnboundedSender<Outgoing>,
    watch: Arc<Mutex<Watch>>,
    messages: AtomicU64,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Connection({})", self.0.server)
    }
}

impl Connection {
    /// Connects to `server`. All subjects begin with `prefix`.
    ///
    /// # Errors
    /// The server is out of reach, or lets nobody in with what it was asked with.
    pub fn open(server: &Server, prefix: &Prefix) -> Result<Connection, NatsError> {
        let (opened, opens) = channel();
        let (out, outgoing) = unbounded_channel();
        let watch = Arc::new(Mutex::new(Watch::default()));
        let (to, watching) = (server.clone(), Arc::clone(&watch));
        let fault = |why: String| server.refused(format!("can't start a thread: {why}"));
        let body = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(e) => {
                    let _ = opened.send(Err(to.refused(e.to_string())));
                    return;
                }
            };
            runtime.block_on(async move {
                let connected = connect(&to, watching).await;
                let client = connected.as_ref().ok().cloned();
                let told = opened.send(connected.map(|client| (client, Handle::current())));
                if let (Some(client), Ok(())) = (client, told) {
                    // Until nobody has the connection any more. What was given out before is sent.
                    send(&client, outgoing).await;
                    let _ = timeout(ANSWER, client.flush()).await;
                }
            });
        };
        let thread = thread::Builder::new().name("fleet-nats".into());
        thread.spawn(body).map_err(|e| fault(e.to_string()))?;
        let (client, runtime) = opens.recv().map_err(|_| fault("it ended".to_owned()))??;
        Ok(Connection(Arc::new(Inner {
            client,
            server: server.to_string(),
            prefix: prefix.clone(),
            runtime,
            out,
            watch,
            messages: AtomicU64::new(0),
        })))
    }

    /// What all subjects begin with.
    pub(super) fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }

    /// A subject that nobody else has, for answers.
    pub(super) fn inbox(&self) -> String {
        self.0.client.new_inbox()
    }

    /// Sends a message, in pieces if the server takes none as long. It does not wait.
    pub(super) fn send(&self, subject: &str, bytes: Vec<u8>, token: Option<&str>) {
        let most = self.0.client.server_info().max_payload;
        let number = self.0.messages.fetch_add(1, Ordering::Relaxed);
        for (piece, bytes) in pieces::split(bytes, most.saturating_sub(HEADERS), number) {
            let mut headers = HeaderMap::new();
            if let Some(piece) = piece {
                headers.insert(HEADER, piece.to_string().as_str());
            }
            if let Some(token) = token {
                headers.insert(TOKEN, token);
            }
            self.publish(Message {
                subject: subject.to_owned(),
                headers,
                bytes,
                reply: None,
            });
        }
    }

    /// Asks whoever listens at `subject`; answers go to `reply`.
    pub(super) fn ask(&self, subject: &str, bytes: Vec<u8>, reply: &str) {
        self.publish(Message {
            subject: subject.to_owned(),
            headers: HeaderMap::new(),
            bytes,
            reply: Some(reply.to_owned()),
        });
    }

    fn publish(&self, message: Message) {
        // The thread is there as long as this is.
        let _ = self.0.out.send(Outgoing::Message(message));
    }

    /// Asks the one who listens at `subject`, and waits for the answer; `None` if nobody is there.
    pub(super) fn request(
        &self,
        subject: String,
        bytes: Vec<u8>,
        token: Option<&str>,
    ) -> Result<Option<Vec<u8>>, NatsError> {
        let client = self.client();
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(TOKEN, token);
        }
        let asked = async move {
            let asked = client.request_with_headers(subject, headers, bytes.into());
            timeout(ANSWER / 2, asked).await
        };
        match self.wait(ANSWER, asked)? {
            Ok(Ok(answer)) => Ok(Some(answer.payload.to_vec())),
            Ok(Err(e)) if e.kind() == RequestErrorKind::NoResponders => Ok(None),
            Ok(Err(e)) if e.kind() != RequestErrorKind::TimedOut => {
                Err(self.refused(e.to_string()))
            }
            // It may be that its machine is gone, and the server does not know yet.
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Gives messages at `subject` to `take`, each of at most `most` bytes, until that returns false. All that come have to be of
    /// one sender, or in one piece.
    pub(super) fn subscribe(
        &self,
        subject: String,
        most: usize,
        mut take: impl FnMut(Received) -> bool + Send + 'static,
    ) -> Result<(), NatsError> {
        let client = self.client();
        let subscribed = self.wait(ANSWER, async move {
            let mut messages = client.subscribe(subject).await?;
            client.flush().await?;
            tokio::spawn(async move {
                let mut joined = Joined::new(most);
                while let Some(message) = messages.next().await {
                    let header = |name| {
                        let headers = message.headers.as_ref()?;
                        headers.get(name).map(ToString::to_string)
                    };
                    let bytes = joined.take(header(HEADER).as_deref(), &message.payload);
                    let Some(bytes) = bytes else {
                        continue;
                    };
                    let received = Received {
                        bytes,
                        reply: message.reply.as_ref().map(ToString::to_string),
                        token: header(TOKEN),
                    };
                    if !take(received) {
                        return;
                    }
                }
            });
            Ok::<(), async_nats::Error>(())
        });
        subscribed?.map_err(|e| self.refused(e.to_string()))
    }

    /// Tells `listener` of all that happens to the connection from now on.
    pub(super) fn watch(&self, listener: impl Fn(Change) + Send + 'static) {
        locked(&self.0.watch).listeners.push(Box::new(listener));
    }

    /// Waits until all that was given out before has been sent.
    pub(super) fn flush(&self) {
        let (sent, all) = channel();
        if self.0.out.send(Outgoing::Flush(sent)).is_ok() {
            let _ = all.recv_timeout(ANSWER);
        }
    }

    /// The client, for what is asynchronous elsewhere.
    pub(super) fn client(&self) -> Client {
        self.0.client.clone()
    }

    /// Has the thread carry this out.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.runtime.spawn(work);
    }

    /// Has the thread carry this out, and waits for the result, at most for `limit`.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NatsError> {
        let (done, result) = channel();
        self.0.runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        let away = |why: &str| NatsError::Away {
            server: self.0.server.clone(),
            why: why.into(),
        };
        result.recv_timeout(limit).map_err(|e| match e {
            RecvTimeoutError::Timeout => away("it does not answer"),
            RecvTimeoutError::Disconnected => away("the connection is closed"),
        })
    }

    pub(super) fn refused(&self, why: String) -> NatsError {
        let server = self.0.server.clone();
        NatsError::Refused { server, why }
    }
}

fn locked(watch: &Mutex<Watch>) -> std::sync::MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connect(server: &Server, watch: Arc<Mutex<Watch>>) -> Result<Client, NatsError> {
    let options = server.options().await?.event_callback(move |event| {
        let watch = Arc::clone(&watch);
        async move { changed(&event, &watch) }
    });
    let connected = options.connect(server.address()).await;
    connected.map_err(|e| server.failed(&e))
}

/// Tells those who watch.
fn changed(event: &Event, watch: &Arc<Mutex<Watch>>) {
    let mut watching = locked(watch);
    match event {
        Event::Disconnected if watching.away.is_none() => {
            let since = Instant::now();
            watching.away = Some(since);
            watching.tell(Change::Interrupted);
            let watch = Arc::clone(watch);
            tokio::spawn(async move {
                sleep(AWAY).await;
                let mut watching = locked(&watch);
                if watching.away == Some(since) {
                    watching.tell(Change::GivenUp);
                }
            });
        }
        Event::Connected if watching.away.take().is_some() => watching.tell(Change::Restored),
        _ => {}
    }
}

/// Sends messages in their order.
async fn send(client: &Client, mut outgoing: UnboundedReceiver<Outgoing>) {
    while let Some(next) = outgoing.recv().await {
        let Message {
            subject,
            headers,
            bytes,
            reply,
        } = match next {
            Outgoing::Message(message) => message,
            Outgoing::Flush(sent) => {
                let _ = timeout(ANSWER, client.flush()).await;
                let _ = sent.send(());
                continue;
            }
        };
        let bytes = bytes.into();
        // A message that the client does not take is one that got lost.
        let _ = match reply {
            Some(reply) => {
                let sent = client.publish_with_reply_and_headers(subject, reply, headers, bytes);
                sent.await
            }
            None if headers.is_empty() => client.publish(subject, bytes).await,
            None => client.publish_with_headers(subject, headers, bytes).await,
        };
    }
}
