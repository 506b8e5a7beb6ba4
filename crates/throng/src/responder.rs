//! A small HTTP server for what a run shows while it lasts. It lives in threads of its own and answers GET and HEAD, one
//! request for each connection; an answer may go on for as long as the client reads it. A client that stalls, or sends what
//! is no request, has one of a few places for a few seconds, or until another client needs it, and costs the run nothing.

use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use throng_host::listeners;

/// How long a client may take to send its request, and as long to receive the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to receive the next [`PART`] of an answer that goes on. It is cut off then.
const STALLED: Duration = Duration::from_secs(5);
/// The part of an answer that goes on, in bytes.
const PART: usize = 16 * 1024;
/// The send buffer of an answer that goes on, in bytes (the kernel doubles it). What lies in it is out of date once it is
/// read, so it is small; by itself it would grow to a megabyte.
const BUFFER: usize = 16 * 1024;
/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// The most header fields.
const FIELDS: usize = 64;
/// The stack of a client's thread, in bytes: there may be many.
const STACK: usize = 256 * 1024;
/// How long to wait after an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A request.
pub(crate) struct Request<'r> {
    /// Its path.
    pub path: &'r str,
    /// What follows the `?`; empty if there is none.
    pub query: &'r str,
    fields: &'r [httparse::Header<'r>],
}

impl Request<'_> {
    /// The value of the first header field of this name; `None` also if it is no text.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(field.value).ok().map(str::trim)
    }

    /// The value of this name in the query, as it is written there.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(value)
    }
}

/// What a request is answered with.
pub(crate) struct Answer {
    /// The status code with its words.
    pub status: &'static str,
    /// Its Content-Type.
    pub content_type: &'static str,
    /// Further header fields.
    pub fields: Vec<(&'static str, String)>,
    /// What follows.
    pub content: Content,
}

/// The content of an answer.
pub(crate) enum Content {
    /// All of it.
    Whole(Arc<[u8]>),
    /// Piece by piece, for as long as it lasts.
    Stream(Pieces),
}

/// Sends pieces through the function that it is given, which fails once the client has gone or stalls.
pub(crate) type Pieces = Box<dyn FnOnce(&mut Piecewise) -> io::Result<()>>;
/// Sends a piece.
pub(crate) type Piecewise<'s> = dyn FnMut(&[u8]) -> io::Result<()> + 's;

impl Answer {
    /// A page.
    pub fn page(content_type: &'static str, body: Arc<[u8]>) -> Answer {
        Answer {
            status: "200 OK",
            content_type,
            fields: Vec::new(),
            content: Content::Whole(body),
        }
    }

    /// A line of text with this status.
    pub fn text(status: &'static str, line: &str) -> Answer {
        Answer {
            status,
            ..Answer::page(
                "text/plain; charset=utf-8",
                format!("{line}\n").into_bytes().into(),
            )
        }
    }

    /// What this status means, alone.
    pub fn refused(status: &'static str) -> Answer {
        Answer::text(status, status)
    }
}

/// Reads an address to listen on: `PORT` and `:PORT` are on loopback.
///
/// # Errors
/// What would be right.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
    let at_port = text.strip_prefix("localhost:").or(text.strip_prefix(':'));
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let address = match port(at_port.unwrap_or(text)) {
        Some(port) => Some(SocketAddr::new(loopback, port)),
        None => text.parse().ok().filter(|at: &SocketAddr| at.port() > 0),
    };
    address.ok_or_else(|| {
        format!("'{text}' is not an address to listen on; write 9464, 127.0.0.1:9464 or [::]:9464")
    })
}

/// Who listens at `at`, as the end of a message, where that is why it can't be listened at; empty otherwise, and where nobody
/// is visible.
pub(crate) fn owner(error: &io::Error, at: SocketAddr) -> String {
    if error.kind() != io::ErrorKind::AddrInUse {
        return String::new();
    }
    match listeners::in_the_way(at) {
        Some(listener) => format!(
            "; {} listens at {}: choose another port",
            listener.owner(),
            listener.address
        ),
        None => String::new(),
    }
}

/// Answers requests to `listener` as `answer` has it, until the process ends. It has at most so many `places` for clients at
/// once, each with a file descriptor, which the run may need. One more takes the place of the one that has been sending its
/// request for the longest, or else of the one that has been receiving its answer for the longest. A client whose answer goes
/// on gives its place back: whoever answers so bounds their number.
///
/// # Errors
/// There is no thread.
pub(crate) fn serve(
    listener: TcpListener,
    places: usize,
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> io::Result<()> {
    let answer = Arc::new(answer);
    let accepting = thread::Builder::new().name("http".to_owned());
    accepting.spawn(move || accept(&listener, &Places::new(places), &answer))?;
    Ok(())
}

fn accept<A>(listener: &TcpListener, places: &Arc<Places>, answer: &Arc<A>)
where
    A: Fn(&Request) -> Answer + Send + Sync + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        let stream = Arc::new(stream);
        let place = places.take(&stream);
        let answer = Arc::clone(answer);
        // Without a thread the connection is closed, and its place is free again.
        let _ = thread::Builder::new()
            .name("http client".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // A client that went away is no failure of the run.
                let _ = Client::of(stream, place).answer(answer.as_ref());
            });
    }
}

/// The places for clients.
struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// The number of the next client.
    next: u64,
    /// Who has a place, in the order of their coming.
    by: Vec<Holder>,
}

/// A client that has a place.
struct Holder {
    number: u64,
    stream: Arc<TcpStream>,
    /// Whether it has sent its request.
    has_asked: bool,
}

impl Places {
    fn new(most: usize) -> Arc<Places> {
        Arc::new(Places {
            most,
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for another client. If all are taken, somebody has to leave.
    fn take(self: &Arc<Places>, stream: &Arc<TcpStream>) -> Place {
        let mut taken = self.taken();
        if taken.by.len() >= self.most {
            let slowest = taken.by.iter().position(|holder| !holder.has_asked);
            let leaves = taken.by.remove(slowest.unwrap_or(0));
            // Whatever its thread waits for ends with that.
            let _ = leaves.stream.shutdown(Shutdown::Both);
        }
        let number = taken.next;
        taken.next += 1;
        taken.by.push(Holder {
            number,
            stream: Arc::clone(stream),
            has_asked: false,
        });
        Place {
            places: Arc::clone(self),
            number,
        }
    }
}

/// The place of a client, until this is dropped.
struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Place {
    /// The client has sent its request.
    fn asked(&self) {
        let mut taken = self.places.taken();
        let mut holders = taken.by.iter_mut();
        if let Some(holder) = holders.find(|holder| holder.number == self.number) {
            holder.has_asked = true;
        }
    }

    /// Gives the place back.
    fn leave(&self) {
        let mut taken = self.places.taken();
        taken.by.retain(|holder| holder.number != self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A connection of a client, and until when it may last.
struct Client {
    stream: Arc<TcpStream>,
    place: Place,
    until: Instant,
}

impl Client {
    fn of(stream: Arc<TcpStream>, place: Place) -> Client {
        Client {
            stream,
            place,
            until: Instant::now() + PATIENCE,
        }
    }

    fn answer(&mut self, answer: &impl Fn(&Request) -> Answer) -> io::Result<()> {
        let head = self.read_head()?;
        self.place.asked();
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let whole = matches!(request.parse(&head), Ok(parsed) if parsed.is_complete());
        let (method, target) = (request.method, request.path.unwrap_or_default());
        let answer = match method {
            _ if !whole && head.len() >= LONGEST_HEAD => {
                Answer::refused("431 Request Header Fields Too Large")
            }
            _ if !whole || !names_one_host(&request) => Answer::refused("400 Bad Request"),
            Some("GET" | "HEAD") => {
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                answer(&Request {
                    path,
                    query,
                    fields: request.headers,
                })
            }
            _ => Answer::refused("405 Method Not Allowed"),
        };
        let mut head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\n",
            answer.status, answer.content_type
        );
        if let Content::Whole(body) = &answer.content {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in &answer.fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
        self.until = Instant::now() + PATIENCE;
        self.write(head.as_bytes())?;
        match answer.content {
            _ if whole && method == Some("HEAD") => {}
            Content::Whole(body) => self.write(&body)?,
            Content::Stream(pieces) => {
                self.place.leave();
                self.bound_what_is_unread()?;
                pieces(&mut |piece| {
                    piece.chunks(PART).try_for_each(|part| {
                        self.until = Instant::now() + STALLED;
                        self.write(part)
                    })
                })?;
            }
        }
        self.leave()
    }

    /// The head of the request, or what came of it when it was no head any more.
    fn read_head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let mut some = [0; 1024];
        loop {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match (&*self.stream).read(&mut some)? {
                0 => return Ok(head),
                n => head.extend_from_slice(&some[..n]),
            }
            let mut fields = [httparse::EMPTY_HEADER; FIELDS];
            match httparse::Request::new(&mut fields).parse(&head) {
                Ok(httparse::Status::Partial) if head.len() < LONGEST_HEAD => {}
                _ => return Ok(head),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match (&*self.stream).write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }

    /// Keeps the kernel from buffering what the client does not read, and from waiting for a client that acknowledges
    /// nothing: an answer that goes on is worth its newest piece alone.
    fn bound_what_is_unread(&self) -> io::Result<()> {
        let socket = SockRef::from(&*self.stream);
        socket.set_send_buffer_size(BUFFER)?;
        socket.set_tcp_user_timeout(Some(STALLED))
    }

    /// Waits until the client has closed, too: bytes that are not read reset the connection, and the answer may be lost.
    fn leave(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let mut rest = [0; 1024];
        for _ in 0..LONGEST_HEAD {
            self.stream.set_read_timeout(Some(self.left()?))?;
            if (&*self.stream).read(&mut rest)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The time that is left.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}

/// Whether a request names one host, as it must from HTTP/1.1 on (RFC 9112, section 3.2). Of two, another program might
/// believe the other one.
fn names_one_host(request: &httparse::Request) -> bool {
    let fields = request.headers.iter();
    let hosts = fields.filter(|field| field.name.eq_ignore_ascii_case("host"));
    matches!((hosts.count(), request.version), (1, _) | (0, Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn a_port_alone_is_on_loopback() {
        for (text, at) in [
            ("9464", Some("127.0.0.1:9464")),
            (":9464", Some("127.0.0.1:9464")),
            ("localhost:9464", Some("127.0.0.1:9464")),
            ("0.0.0.0:9464", Some("0.0.0.0:9464")),
            ("[::1]:9464", Some("[::1]:9464")),
            ("", None),
            (":", None),
            ("0", None),
            ("127.0.0.1:0", None),
            ("127.0.0.1", None),
            ("example.com:9464", None),
            ("70000", None),
        ] {
            let read = address(text).ok().map(|at| at.to_string());
            assert_eq!(read.as_deref(), at, "{text}");
        }
    }

    /// The answer to `sent` at `address`.
    fn ask(address: SocketAddr, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(sent).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Where requests are answered as `answer` has it.
    fn served(
        places: usize,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        serve(listener, places, answer).unwrap();
        at
    }

    fn nothing(_: &Request) -> Answer {
        Answer::refused("404 Not Found")
    }

    #[test]
    fn requests_are_answered_and_what_is_none_is_refused() {
        // More places than requests: a place may be free a little later than its answer is read.
        let at = served(16, |request| match request.path {
            "/here" => Answer::page("text/plain", b"found".to_vec().into()),
            "/asked" => Answer::text(
                "403 Forbidden",
                &format!("{:?} {:?}", request.parameter("b"), request.field("host")),
            ),
            "/pieces" => Answer {
                content: Content::Stream(Box::new(|send| {
                    send(b"one ")?;
                    send(b"two")
                })),
                fields: vec![("A", "b".into())],
                ..Answer::page("text/plain", Vec::new().into())
            },
            _ => nothing(request),
        });
        let long = format!(
            "GET /here HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n",
            "x".repeat(9000)
        );
        for (sent, status, body) in [
            (
                &b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n"[..],
                "200",
                "found",
            ),
            (b"GET /here?a=b HTTP/1.0\r\n\r\n", "200", "found"),
            (b"HEAD /here HTTP/1.1\r\nHost: a\r\n\r\n", "200", ""),
            (b"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n", "200", "one two"),
            (b"HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n", "200", ""),
            (
                b"GET /asked?a=1&b=2=3&c HTTP/1.1\r\nHOST:  x.y \r\n\r\n",
                "403",
                "Some(\"2=3\") Some(\"x.y\")\n",
            ),
            (
                b"GET /there HTTP/1.1\r\nHost: a\r\n\r\n",
                "404",
                "404 Not Found\n",
            ),
            (
                b"POST /here HTTP/1.1\r\nHost: a\r\n\r\n",
                "405",
                "405 Method Not Allowed\n",
            ),
            (b"\x16\x03\x01\x00\x00\r\n\r\n", "400", "400 Bad Request\n"),
            (
                b"GET /here HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
                "400",
                "400 Bad Request\n",
            ),
            (
                b"GET /here HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
                "400",
                "400 Bad Request\n",
            ),
            (b"GET /here HTTP/1.1\r\n\r\n", "400", "400 Bad Request\n"),
            (
                long.as_bytes(),
                "431",
                "431 Request Header Fields Too Large\n",
            ),
        ] {
            let answer = ask(at, sent);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body);
        }
    }

    #[test]
    fn clients_that_stall_make_room_for_others() {
        const PLACES: usize = 4;
        let at = served(PLACES, |_| {
            Answer::page("text/plain", vec![0; 1 << 24].into())
        });
        let connected = |sent: &[u8]| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(sent).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        };
        let begun = |stream: &mut TcpStream| {
            let mut answer = [0; 9];
            stream.read_exact(&mut answer).map(|()| answer)
        };
        const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        // One receives its answer, slowly; all other places are taken by requests that are never whole.
        let mut receiving = connected(ASKED);
        begun(&mut receiving).unwrap();
        let mut halves: Vec<TcpStream> = (1..PLACES).map(|_| connected(b"GET /")).collect();
        // Others are answered all the same. The halves are cut off for them, the oldest first, and then who receives.
        let mut others = Vec::new();
        for _ in 1..PLACES {
            let mut another = connected(ASKED);
            assert_eq!(&begun(&mut another).unwrap(), b"HTTP/1.1 ");
            others.push(another);
            let cut = halves.remove(0).read(&mut [0; 16]);
            assert_eq!(cut.unwrap(), 0);
        }
        let mut last = connected(ASKED);
        assert_eq!(&begun(&mut last).unwrap(), b"HTTP/1.1 ");
        let mut rest = Vec::new();
        let received = receiving.read_to_end(&mut rest);
        assert!(received.is_err() || rest.len() < 1 << 24);
    }

    #[test]
    fn an_answer_that_goes_on_is_neither_buffered_for_long_nor_sent_to_who_stalls() {
        let sent = Arc::new(AtomicUsize::new(0));
        let cut = Arc::new(AtomicBool::new(false));
        let (counted, ended) = (Arc::clone(&sent), Arc::clone(&cut));
        let at = served(1, move |_| {
            let (sent, cut) = (Arc::clone(&counted), Arc::clone(&ended));
            Answer {
                content: Content::Stream(Box::new(move |send| {
                    let all = (0..1000).try_for_each(|_| {
                        send(&[b'x'; 8000])?;
                        sent.fetch_add(8000, Ordering::Relaxed);
                        Ok(())
                    });
                    cut.store(all.is_err(), Ordering::Release);
                    all
                })),
                ..Answer::page("text/plain", Vec::new().into())
            }
        });
        let mut stalled = TcpStream::connect(at).unwrap();
        stalled.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        // It reads nothing, and is cut off.
        let give_up = Instant::now() + 4 * STALLED;
        while !cut.load(Ordering::Acquire) {
            assert!(Instant::now() < give_up, "{sent:?}");
            thread::sleep(PAUSE);
        }
        let buffered = sent.load(Ordering::Relaxed);
        assert!(
            (8000..300_000).contains(&buffered),
            "{buffered} bytes were sent to a client that reads nothing"
        );
    }
}
