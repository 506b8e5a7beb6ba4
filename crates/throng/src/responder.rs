//! A small HTTP server for what a run shows while it lasts. It lives in threads of its own and answers GET and HEAD, one
//! request for each connection. A client that stalls, or sends what is no request, has one of a few places for a few
//! seconds, and costs the run nothing.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients at once; others are closed at once. Each has a file descriptor, which the run may need.
const CLIENTS: usize = 4;
/// How long a client may take to send its request and to receive the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// The most header fields.
const FIELDS: usize = 64;
/// How long to wait after an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What a path stands for.
pub(crate) struct Page {
    /// Its Content-Type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Arc<[u8]>,
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

/// Answers requests at `address` with what `page` has for their path, until the process ends.
///
/// # Errors
/// The address can't be listened on, or there is no thread.
pub(crate) fn serve(
    address: SocketAddr,
    page: impl Fn(&str) -> Option<Page> + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let page = Arc::new(page);
    let accepting = thread::Builder::new().name("http".to_owned());
    accepting.spawn(move || accept(&listener, &page))?;
    Ok(())
}

fn accept<P>(listener: &TcpListener, page: &Arc<P>)
where
    P: Fn(&str) -> Option<Page> + Send + Sync + 'static,
{
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        if clients.load(Ordering::Acquire) >= CLIENTS {
            continue;
        }
        clients.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&clients));
        let page = Arc::clone(page);
        // Without a thread the connection is closed, and its place is free again.
        let _ = thread::Builder::new()
            .name("http client".to_owned())
            .spawn(move || {
                let _place = place;
                // A client that went away is no failure of the run.
                let _ = Client::of(stream).answer(page.as_ref());
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

    fn answer(&mut self, page: &impl Fn(&str) -> Option<Page>) -> io::Result<()> {
        let head = self.read_head()?;
        let (status, has_body, found) = match request(&head) {
            Some((method @ ("GET" | "HEAD"), path)) => match page(path) {
                Some(page) => ("200 OK", method == "GET", Some(page)),
                None => ("404 Not Found", true, None),
            },
            Some(_) => ("405 Method Not Allowed", true, None),
            None if head.len() >= LONGEST_HEAD => {
                ("431 Request Header Fields Too Large", true, None)
            }
            None => ("400 Bad Request", true, None),
        };
        let page = found.unwrap_or_else(|| Page {
            content_type: "text/plain; charset=utf-8",
            body: format!("{status}\n").into_bytes().into(),
        });
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            page.content_type,
            page.body.len()
        );
        self.write(head.as_bytes())?;
        if has_body {
            self.write(&page.body)?;
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

/// The method and the path of a whole head; `None` if it is no head.
fn request(head: &[u8]) -> Option<(&str, &str)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    if !request.parse(head).ok()?.is_complete() {
        return None;
    }
    let path = request.path?.split('?').next().unwrap_or_default();
    Some((request.method?, path))
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

    fn free() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    #[test]
    fn requests_are_answered_and_what_is_none_is_refused() {
        let at = free();
        let page = |path: &str| {
            (path == "/here").then(|| Page {
                content_type: "text/plain",
                body: b"found".to_vec().into(),
            })
        };
        serve(at, page).unwrap();
        let long = format!("GET /here HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(9000));
        for (sent, status, body) in [
            (
                &b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n"[..],
                "200",
                "found",
            ),
            (b"GET /here?a=b HTTP/1.0\r\n\r\n", "200", "found"),
            (b"HEAD /here HTTP/1.1\r\n\r\n", "200", ""),
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
        assert!(serve(at, |_| None).is_err(), "the port is in use");
    }

    #[test]
    fn clients_that_stall_take_no_more_than_their_places() {
        let at = free();
        serve(at, |_| None).unwrap();
        let stalled: Vec<TcpStream> = (0..CLIENTS)
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
