//! A small HTTP server for what a run shows while it lasts. It lives in threads of its own and answers GET and HEAD, one
//! request for each connection; an answer may go on for as long as the client reads it. A client that stalls, or sends what
//! is no request, has one of a few places for a few seconds, and costs the run nothing.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a client may take to send its request, and as long to receive the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to receive the next piece of an answer that goes on.
const STALLED: Duration = Duration::from_secs(15);
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

/// Answers requests to `listener` as `answer` has it, until the process ends. It has at most so many `places` for clients at
/// once, each with a file descriptor, which the run may need; others are closed at once.
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
    accepting.spawn(move || accept(&listener, places, &answer))?;
    Ok(())
}

fn accept<A>(listener: &TcpListener, places: usize, answer: &Arc<A>)
where
    A: Fn(&Request) -> Answer + Send + Sync + 'static,
{
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        if clients.load(Ordering::Acquire) >= places {
            continue;
        }
        clients.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&clients));
        let answer = Arc::clone(answer);
        // Without a thread the connection is closed, and its place is free again.
        let _ = thread::Builder::new()
            .name("http client".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let _place = place;
                // A client that went away is no failure of the run.
                let _ = Client::of(stream).answer(answer.as_ref());
            });
    }
}

/// The place of a client, until this is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection of a client, and until when it may last.
struct Client {
    stream: TcpStream,
    until: Instant,
}

impl Client {
    fn of(stream: TcpStream) -> Client {
        Client {
            stream,
            until: Instant::now() + PATIENCE,
        }
    }

    fn answer(&mut self, answer: &impl Fn(&Request) -> Answer) -> io::Result<()> {
        let head = self.read_head()?;
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let whole = matches!(request.parse(&head), Ok(parsed) if parsed.is_complete());
        let (method, target) = (request.method, request.path.unwrap_or_default());
        let answer = match method {
            _ if !whole && head.len() >= LONGEST_HEAD => {
                Answer::refused("431 Request Header Fields Too Large")
            }
            _ if !whole => Answer::refused("400 Bad Request"),
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
            Content::Stream(pieces) => pieces(&mut |piece| {
                self.until = Instant::now() + STALLED;
                self.write(piece)
            })?,
        }
        self.leave()
    }

    /// The head of the request, or what came of it when it was no head any more.
    fn read_head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let mut some = [0; 1024];
        loop {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(&mut some)? {
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
            match self.stream.write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }

    /// Waits until the client has closed, too: bytes that are not read reset the connection, and the answer may be lost.
    fn leave(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let mut rest = [0; 1024];
        for _ in 0..LONGEST_HEAD {
            self.stream.set_read_timeout(Some(self.left()?))?;
            if self.stream.read(&mut rest)? == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let long = format!("GET /here HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(9000));
        for (sent, status, body) in [
            (
                &b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n"[..],
                "200",
                "found",
            ),
            (b"GET /here?a=b HTTP/1.0\r\n\r\n", "200", "found"),
            (b"HEAD /here HTTP/1.1\r\n\r\n", "200", ""),
            (b"GET /pieces HTTP/1.1\r\n\r\n", "200", "one two"),
            (b"HEAD /pieces HTTP/1.1\r\n\r\n", "200", ""),
            (
                b"GET /asked?a=1&b=2=3&c HTTP/1.1\r\nHOST:  x.y \r\n\r\n",
                "403",
                "Some(\"2=3\") Some(\"x.y\")\n",
            ),
            (b"GET /there HTTP/1.1\r\n\r\n", "404", "404 Not Found\n"),
            (
                b"POST /here HTTP/1.1\r\n\r\n",
                "405",
                "405 Method Not Allowed\n",
            ),
            (b"\x16\x03\x01\x00\x00\r\n\r\n", "400", "400 Bad Request\n"),
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
    fn clients_that_stall_take_no_more_than_their_places() {
        const PLACES: usize = 4;
        let at = served(PLACES, nothing);
        let stalled: Vec<TcpStream> = (0..PLACES)
            .map(|_| {
                let mut stream = TcpStream::connect(at).unwrap();
                stream.write_all(b"GET /").unwrap();
                stream
            })
            .collect();
        // One more is closed at once, once all of these have been accepted.
        let give_up = Instant::now() + PATIENCE;
        loop {
            let mut another = TcpStream::connect(at).unwrap();
            another.set_read_timeout(Some(PATIENCE / 2)).unwrap();
            match another.read(&mut [0; 16]) {
                Ok(0) => break,
                other => assert!(Instant::now() < give_up, "{other:?}"),
            }
        }
        // Their places are free when they have gone.
        drop(stalled);
        let give_up = Instant::now() + 2 * PATIENCE;
        loop {
            let mut stream = TcpStream::connect(at).unwrap();
            let mut answer = String::new();
            let asked = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
            if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
                assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
                break;
            }
            assert!(Instant::now() < give_up);
        }
    }
}
