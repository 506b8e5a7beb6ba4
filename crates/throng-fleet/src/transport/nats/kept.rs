//! What a NATS server with JetStream keeps, for a while: of each run what its coordinator has decided and what its agents have
//! reported, and what agents log. The server takes that from the subjects by itself. A coordinator that died is followed by another one, which reads all
//! of it.

use super::pieces::{HEADER, Joined};
use super::{Connection, NatsError, Present};
use crate::coordinator::{Decision, Keeper, OnLoss, Terms};
use crate::message::{self, MOST_FROM_AGENT, MessageError};
use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode, stream};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;
use throng_core::scenario::Percentile;
use throng_core::summary::LatencyReport;
use tokio::time::timeout;

/// How long anything is kept.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the server may take to make its streams ready.
const READY: Duration = Duration::from_secs(15);
/// How long it may take for the next message that it has kept.
const NEXT: Duration = Duration::from_secs(10);
/// What reads is forgotten once nobody has read for this long.
const IDLE: Duration = Duration::from_secs(60);
/// How long it may take for all that is kept of what a coordinator has decided.
const ALL: Duration = Duration::from_secs(60);

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// What coordinators have decided.
    Plans,
    /// What agents have reported.
    Reports,
    /// What they log.
    Logs,
}

impl Kept {
    const EACH: [Kept; 3] = [Kept::Plans, Kept::Reports, Kept::Logs];

    /// The server's stream of it.
    fn stream(self, connection: &Connection) -> stream::Config {
        let prefix = connection.prefix();
        let (name, subject, megabytes) = match self {
            Kept::Plans => ("plans", prefix.decisions("*"), 64),
            Kept::Reports => ("reports", prefix.reports("*", "*"), 512),
            Kept::Logs => ("logs", prefix.log("*", "*"), 16),
        };
        stream::Config {
            name: prefix.stream(name),
            subjects: vec![subject],
            // Then the oldest goes.
            max_bytes: megabytes << 20,
            max_age: AGE,
            ..stream::Config::default()
        }
    }
}

/// A run as its coordinator has begun it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// [`VERSION`](message::VERSION) of the protocol.
    pub version: u32,
    /// `throng` and its version.
    pub tool: String,
    /// When it began, in seconds since 1970.
    pub unix_s: f64,
    /// The coordinator's command line.
    pub command: Vec<String>,
    /// The scenario of the whole run, as a file.
    pub scenario: String,
    /// Its connections.
    pub connections: u32,
    /// What is to happen when an agent is lost.
    pub on_loss: OnLoss,
    /// How long an agent may be silent.
    pub lost_after: Duration,
    /// Whether the time to connect is reported.
    pub connect_latency: bool,
    /// At which percentiles latencies are reported.
    pub percentiles: Vec<Percentile>,
    /// Its agents, in their order.
    pub agents: Vec<Member>,
}

/// An agent of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What no other agent has.
    pub instance: String,
}

impl From<&Present> for Member {
    fn from(agent: &Present) -> Member {
        Member {
            name: agent.name.clone(),
            instance: agent.instance.clone(),
        }
    }
}

impl Begun {
    /// What was asked of the fleet. `token` is not kept.
    pub fn terms(&self, token: Option<String>) -> Terms {
        Terms {
            scenario: self.scenario.clone(),
            connections: self.connections,
            // All is divided.
            fit: false,
            on_loss: self.on_loss,
            lost_after: self.lost_after,
            token,
            latencies: self.latencies(),
        }
    }

    /// The latencies that are reported.
    pub fn latencies(&self) -> LatencyReport {
        LatencyReport {
            connect: self.connect_latency,
            percentiles: self.percentiles.clone(),
        }
    }
}

/// What a coordinator says about its run.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Begun(Box<Begun>),
    Decided(Decision),
}

/// Keeps what a coordinator decides about its run.
#[derive(Debug)]
pub struct Plans {
    connection: Connection,
    run: String,
    /// The run, until that is said.
    begun: Option<Box<Begun>>,
}

impl Plans {
    /// Of the run of this name. `begun` is said with the first decision; `None` if another coordinator has said it.
    pub fn new(connection: &Connection, run: &str, begun: Option<Begun>) -> Plans {
        Plans {
            connection: connection.clone(),
            run: run.to_owned(),
            begun: begun.map(Box::new),
        }
    }

    fn say(&self, said: &Said) {
        // A scenario that agents can be sent is short enough.
        if let Ok(bytes) = message::encode(said, MOST_FROM_AGENT) {
            let subject = self.connection.prefix().decisions(&self.run);
            self.connection.send(&subject, bytes, None);
        }
    }
}

impl Keeper for Plans {
    fn keep(&mut self, decision: &Decision) {
        if let Some(begun) = self.begun.take() {
            self.say(&Said::Begun(begun));
        }
        self.say(&Said::Decided(decision.clone()));
    }
}

/// What is kept of a run that has begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The run.
    pub begun: Begun,
    /// What its coordinators have decided.
    pub decisions: Vec<Decision>,
}

impl Connection {
    /// Has the server keep what belongs to runs from now on.
    ///
    /// # Errors
    /// It does not: why.
    pub fn keep(&self) -> Result<(), NatsError> {
        let client = self.client();
        let configs = Kept::EACH.map(|kept| kept.stream(self));
        let made = self.wait(READY, async move {
            // It has a task of its own, so it begins in the runtime.
            let context = jetstream::new(client);
            for config in configs {
                let subjects = config.subjects.clone();
                let stream = context.get_or_create_stream(config).await;
                let stream = stream.map_err(|e| why(&e))?;
                let info = stream.cached_info();
                if info.config.subjects != subjects {
                    return Err(format!(
                        "its stream {} is of other subjects than {}",
                        info.config.name,
                        subjects.join(", ")
                    ));
                }
            }
            Ok(())
        });
        made?.map_err(|why| self.refused(why))
    }

    /// What is kept of the run of this name; `None` if nothing is.
    ///
    /// # Errors
    /// The server can't say, or it has something else.
    pub fn past(&self, run: &str) -> Result<Option<Past>, NatsError> {
        let (mut begun, mut decisions) = (None, Vec::new());
        for message in self.all(Kept::Plans, self.prefix().decisions(run))? {
            match message.said().map_err(|e| self.refused(e.to_string()))? {
                Said::Begun(said) => begun = Some(*said),
                Said::Decided(decision) => decisions.push(decision),
            }
        }
        Ok(begun.map(|begun| Past { begun, decisions }))
    }

    /// All runs that are kept, by their names. One of another version that can't be read is left out.
    ///
    /// # Errors
    /// The server can't say.
    pub fn pasts(&self) -> Result<BTreeMap<String, Past>, NatsError> {
        let mut runs: BTreeMap<String, Past> = BTreeMap::new();
        for message in self.all(Kept::Plans, self.prefix().decisions("*"))? {
            let run = message.part_of_subject(0).to_owned();
            match message.said() {
                Ok(Said::Begun(begun)) => {
                    let (begun, decisions) = (*begun, Vec::new());
                    runs.insert(run, Past { begun, decisions });
                }
                Ok(Said::Decided(decision)) => {
                    let known = runs.get_mut(&run);
                    known
                        .into_iter()
                        .for_each(|r| r.decisions.push(decision.clone()));
                }
                Err(_) => {}
            }
        }
        Ok(runs)
    }

    /// All that is kept of `subject`, the oldest first.
    pub(super) fn all(&self, kept: Kept, subject: String) -> Result<Vec<Message>, NatsError> {
        let (messages, all) = channel();
        let end = messages.clone();
        let take = move |message| messages.send(Some(Ok(message))).is_ok();
        self.replay(kept, subject, Until::Now, take, move |read| {
            let _ = end.send(read.err().map(Err));
        });
        let mut read = Vec::new();
        loop {
            match all.recv_timeout(ALL) {
                Ok(Some(Ok(message))) => read.push(message),
                Ok(Some(Err(why))) => return Err(self.refused(why)),
                Ok(None) => return Ok(read),
                Err(_) => return Err(self.refused("it does not say what it has kept".into())),
            }
        }
    }

    /// Gives all that is kept of `subject` to `take`, the oldest first, as long as that returns true, and tells `done` how it went. It
    /// does not wait.
    pub(super) fn replay(
        &self,
        kept: Kept,
        subject: String,
        until: Until,
        mut take: impl FnMut(Message) -> bool + Send + 'static,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        let (client, stream) = (self.client(), kept.stream(self).name);
        self.start(async move {
            let mut joined: HashMap<String, Joined> = HashMap::new();
            let all = read(client, stream, subject, until, |message| {
                let headers = message.headers.as_ref();
                let header = headers.and_then(|h| h.get(HEADER)).map(ToString::to_string);
                let subject = message.subject.to_string();
                let new = || Joined::new(MOST_FROM_AGENT);
                let pieces = joined.entry(subject.clone()).or_insert_with(new);
                let Some(bytes) = pieces.take(header.as_deref(), &message.payload) else {
                    return true;
                };
                let published = message.info().map(|info| info.published);
                take(Message {
                    subject,
                    unix_s: published.map_or(0.0, |at| at.unix_timestamp_nanos() as f64 / 1e9),
                    bytes,
                })
            });
            done(all.await);
        });
    }
}

/// A message that is kept.
pub(super) struct Message {
    /// Where it was said.
    subject: String,
    /// When it came to the server, in seconds since 1970.
    pub unix_s: f64,
    /// Its bytes, or why it is refused.
    pub bytes: Result<Vec<u8>, MessageError>,
}

impl Message {
    /// A part of its subject, counted from the end.
    pub fn part_of_subject(&self, from_end: usize) -> &str {
        self.subject.rsplit('.').nth(from_end).unwrap_or_default()
    }

    fn said(&self) -> Result<Said, MessageError> {
        let bytes = self.bytes.as_ref().map_err(Clone::clone)?;
        message::decode(bytes, MOST_FROM_AGENT)
    }
}

/// When to end reading what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// With what is there now.
    Now,
    /// Never: what comes later is read, too.
    Forever,
}

/// Gives all messages of `subject` in `stream` to `take`, the oldest first, as long as that returns true.
async fn read(
    client: Client,
    stream: String,
    subject: String,
    until: Until,
    mut take: impl FnMut(&jetstream::Message) -> bool,
) -> Result<(), String> {
    let stream = match jetstream::new(client).get_stream(stream).await {
        Ok(stream) => stream,
        // No coordinator was ever here.
        Err(e) if is_missing(&e.kind()) => return Ok(()),
        Err(e) => return Err(why(&e)),
    };
    let config = pull::Config {
        filter_subject: subject,
        ack_policy: AckPolicy::None,
        inactive_threshold: IDLE,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.map_err(|e| why(&e))?;
    let mut left = consumer.cached_info().num_pending;
    if left == 0 && until == Until::Now {
        return Ok(());
    }
    let mut messages = consumer.messages().await.map_err(|e| why(&e))?;
    while left > 0 || until == Until::Forever {
        let message = match until {
            Until::Now => timeout(NEXT, messages.next()).await.ok().flatten(),
            Until::Forever => messages.next().await,
        };
        let Some(message) = message else {
            return Err("it has not said all that it has kept".into());
        };
        let message = message.map_err(|e| why(&e))?;
        // Some may have become too old meanwhile.
        let pending = message.info().map_or(0, |info| info.pending);
        left = pending.min(left.saturating_sub(1));
        if !take(&message) {
            return Ok(());
        }
    }
    Ok(())
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Why the server keeps nothing.
fn why(error: &dyn Error) -> String {
    let said = error.to_string();
    let is_off = [
        "no responders",
        "not enabled",
        "unavailable",
        "resource does not exist",
    ];
    match is_off.iter().any(|words| said.contains(words)) {
        true => "JetStream is off (nats-server -js switches it on)".into(),
        false => format!("JetStream: {said}"),
    }
}
