//! Requests as the server reads them: heads, and what they ask for.

use super::super::body::Body;
use super::super::framing::{self, has_bare_lf};
use super::super::head::{MAX_FIELDS, lists, values};
use super::super::malformed::Malformed;
use crate::units;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/` and `/hello`: a short text.
    Hello,
    /// `/bytes/N`: as many bytes; in chunks with `?chunked`.
    Bytes {
        /// How many.
        bytes: u64,
        /// Whether their number is not said beforehand.
        chunked: bool,
    },
    /// `/echo`: the body of the request.
    Echo,
    /// `/status/N`: an answer with this status.
    Status(u16),
    /// `/delay/T`: a short text after a while; with `T..T` after a random time between the two.
    Delay(Duration, Duration),
    /// `/events?rate=R&size=N&count=N`: events (`text/event-stream`) that go on until one side closes, or as many as are
    /// asked for.
    Events {
        /// Time between them.
        every: Duration,
        /// Bytes of each, unless its number and time need more.
        size: u32,
        /// How many; `None` for ever.
        count: Option<u32>,
    },
    /// `/close`: a short text, and the connection is closed.
    Close,
    /// Anything else.
    Unknown,
}

/// A whole head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub route: Route,
    pub body: Body,
    /// Whether it is asked with HEAD, so that the answer has no body.
    pub head: bool,
    /// Whether it is HTTP/1.0, which knows no chunks.
    pub old: bool,
    /// Whether the connection stays open.
    pub persists: bool,
    /// Whether the client waits for 100 before it sends the body.
    pub expects: bool,
}

/// The most bytes of an event.
const MAX_EVENT: u32 = 60_000;

/// Parses a head as far as it was received. Returns it with its size once it is complete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Query, usize)>, Malformed> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let size = match request.parse_with_uninit_headers(bytes, &mut space) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::LongHead),
        Err(_) => return Err(Malformed::NotHttp),
    };
    if has_bare_lf(&bytes[..size]) {
        return Err(Malformed::BareLf);
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Malformed::NotHttp);
    };
    let fields = &*request.headers;
    // RFC 9112, section 3.2.
    let hosts = values(fields, "Host").count();
    if hosts > 1 || hosts == 0 && version > 0 {
        return Err(Malformed::NotHttp);
    }
    let query = Query {
        route: route(target),
        body: framing::length(fields, version)?.of_request()?,
        head: method == "HEAD",
        old: version == 0,
        persists: framing::persists(fields, version),
        expects: version > 0 && lists(fields, "Expect", "100-continue"),
    };
    Ok(Some((query, size)))
}

/// What a request's target asks for.
fn route(target: &str) -> Route {
    // The absolute form (RFC 9112, section 3.2.2).
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let (path, asked) = path.split_once('?').unwrap_or((path, ""));
    let asks = |name: &str| {
        asked.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    };
    let mut steps = path.trim_start_matches('/').split('/');
    let known = match (steps.next(), steps.next(), steps.next()) {
        (Some("" | "hello"), None, None) => Some(Route::Hello),
        (Some("echo"), None, None) => Some(Route::Echo),
        (Some("close"), None, None) => Some(Route::Close),
        (Some("bytes"), Some(n), None) => units::bytes(n).ok().map(|bytes| Route::Bytes {
            bytes,
            chunked: asks("chunked").is_some(),
        }),
        (Some("status"), Some(code), None) => {
            let code = code.parse().ok().filter(|code| (200..600).contains(code));
            code.map(Route::Status)
        }
        (Some("delay"), Some(span), None) => delay(span),
        (Some("events"), None, None) => events(asks("rate"), asks("size"), asks("count")),
        _ => None,
    };
    known.unwrap_or(Route::Unknown)
}

fn delay(span: &str) -> Option<Route> {
    let (from, to) = span.split_once("..").unwrap_or((span, span));
    let (from, to) = (units::duration(from).ok()?, units::duration(to).ok()?);
    (from <= to).then_some(Route::Delay(from, to))
}

fn events(rate: Option<&str>, size: Option<&str>, count: Option<&str>) -> Option<Route> {
    let rate: units::Rate = rate.unwrap_or("1").parse().ok()?;
    Some(Route::Events {
        every: Duration::from_nanos(rate.interval_ns().max(1.0) as u64),
        size: match size {
            Some(size) => units::count(size).ok().filter(|n| *n <= MAX_EVENT)?,
            None => 0,
        },
        count: match count {
            Some(count) => Some(units::count(count).ok()?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_ask_for_what_the_guide_says() {
        let ms = Duration::from_millis;
        for (target, expected) in [
            ("/", Route::Hello),
            ("/hello", Route::Hello),
            ("http://a:80/hello?x", Route::Hello),
            ("http://a", Route::Hello),
            ("/echo", Route::Echo),
            (
                "/bytes/64k",
                Route::Bytes {
                    bytes: 65536,
                    chunked: false,
                },
            ),
            (
                "/bytes/10?chunked",
                Route::Bytes {
                    bytes: 10,
                    chunked: true,
                },
            ),
            ("/status/503", Route::Status(503)),
            ("/status/100", Route::Unknown),
            ("/delay/10ms", Route::Delay(ms(10), ms(10))),
            ("/delay/1ms..20ms", Route::Delay(ms(1), ms(20))),
            ("/delay/20ms..1ms", Route::Unknown),
            ("/delay/x", Route::Unknown),
            (
                "/events?rate=10&size=100",
                Route::Events {
                    every: ms(100),
                    size: 100,
                    count: None,
                },
            ),
            ("/events?rate=0", Route::Unknown),
            ("/events?size=1m", Route::Unknown),
            ("/close", Route::Close),
            ("/nothing", Route::Unknown),
            ("/hello/more", Route::Unknown),
            ("*", Route::Unknown),
        ] {
            assert_eq!(route(target), expected, "{target}");
        }
    }

    #[test]
    fn a_request_names_one_host_and_says_where_it_ends() {
        let parsed = |text: &str| parse(text.as_bytes()).map(|whole| whole.unwrap().0);
        let get = parsed("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(get.persists && !get.head && !get.old && get.body.is_over());
        let old = parsed("HEAD / HTTP/1.0\r\n\r\n").unwrap();
        assert!(!old.persists && old.head && old.old);
        let post = parsed(
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        );
        let post = post.unwrap();
        assert!(post.expects && post.body == Body::sized(3));
        for (text, malformed) in [
            ("GET / HTTP/1.1\r\n\r\n", Malformed::NotHttp),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Malformed::NotHttp,
            ),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Malformed::NotHttp),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::NotHttp),
            ("\x16\x03\x01", Malformed::NotHttp),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", Malformed::BareLf),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
                Malformed::BadCoding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                Malformed::LengthAndCoding,
            ),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(malformed), "{text:?}");
        }
    }
}
