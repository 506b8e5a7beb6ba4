//! A server's side of the handshake (RFC 6455, section 4.2).

use super::super::decoder::Decoder;
use super::super::subprotocol::Subprotocol;
use super::super::violation::Violation;
use super::key::{Key, VERSION, accept};
use crate::partials::Partials;
use crate::protocol::http::head::{self, Gathered, MAX_FIELDS, lists, members, values};
use std::mem::MaybeUninit;

/// A valid upgrade request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade<'a> {
    /// Path and query, as in the request line.
    pub path: &'a str,
    /// The first of the client's subprotocols that this server has, and its place among the server's.
    pub subprotocol: Option<(&'a Subprotocol, usize)>,
    accept: [u8; 28],
}

impl Upgrade<'_> {
    /// The length of an answer without a subprotocol in bytes.
    pub const ANSWER_BYTES: u64 = 129;

    /// Appends the answer to `out`: 101, the subprotocol if one was chosen, no extension.
    pub fn answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.accept);
        if let Some((name, _)) = self.subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(name.name().as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not HTTP/1.
    NotHttp,
    /// Its head has more than [`MAX_HEAD`](head::MAX_HEAD) bytes or [`MAX_FIELDS`] fields.
    TooLong,
    /// Its method is not GET.
    Method,
    /// It does not ask for an upgrade to WebSocket.
    NoUpgrade,
    /// It is HTTP/1.0.
    HttpVersion,
    /// `Host` is missing, or occurs several times.
    Host,
    /// `Connection` does not name `Upgrade`.
    Connection,
    /// It has a body, which an upgrade request must not have.
    Body,
    /// `Sec-WebSocket-Version` is missing.
    NoVersion,
    /// `Sec-WebSocket-Version` is not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing, occurs several times, or is not the base64 of 16 bytes.
    Key,
    /// It is not complete in time.
    TimedOut,
}

impl Refusal {
    /// The violation that it counts as.
    pub fn violation(self) -> Violation {
        match self {
            Refusal::NotHttp => Violation::NotHttp,
            Refusal::TooLong => Violation::LongHead,
            Refusal::Method | Refusal::NoUpgrade => Violation::Refused,
            Refusal::TimedOut => Violation::TimedOut,
            _ => Violation::Handshake,
        }
    }

    /// The status line of the answer, and a sentence about what is wrong.
    fn says(self) -> (&'static str, &'static str) {
        match self {
            Refusal::NotHttp => ("400 Bad Request", "This is not an HTTP/1.1 request."),
            Refusal::TooLong => (
                "431 Request Header Fields Too Large",
                "The request's head has more than 16384 bytes or 64 header fields.",
            ),
            Refusal::Method => (
                "405 Method Not Allowed",
                "A WebSocket handshake is a GET request.",
            ),
            Refusal::NoUpgrade => (
                "426 Upgrade Required",
                "This server speaks WebSocket only: send 'Upgrade: websocket'.",
            ),
            Refusal::HttpVersion => ("400 Bad Request", "A WebSocket handshake needs HTTP/1.1."),
            Refusal::Host => ("400 Bad Request", "There must be one Host header."),
            Refusal::Connection => (
                "400 Bad Request",
                "The Connection header must contain 'Upgrade'.",
            ),
            Refusal::Body => (
                "400 Bad Request",
                "A WebSocket handshake must not bring a body.",
            ),
            Refusal::NoVersion => (
                "400 Bad Request",
                "Sec-WebSocket-Version is missing: it must be 13.",
            ),
            Refusal::Version => ("426 Upgrade Required", "Sec-WebSocket-Version must be 13."),
            Refusal::Key => (
                "400 Bad Request",
                "There must be one Sec-WebSocket-Key, the base64 of 16 bytes.",
            ),
            Refusal::TimedOut => (
                "408 Request Timeout",
                "The WebSocket handshake was not complete within 10 seconds.",
            ),
        }
    }

    /// Appends the answer to `out`. The connection must then be closed.
    pub fn answer(self, out: &mut Vec<u8>) {
        let (status, why) = self.says();
        let fields = match self {
            Refusal::Method => "Allow: GET\r\n",
            Refusal::NoUpgrade | Refusal::Version | Refusal::NoVersion => {
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            }
            _ => "",
        };
        // RFC 9110 (7.8): a sender of Upgrade must name it in Connection.
        let connection = if fields.starts_with("Upgrade") {
            "Upgrade, close"
        } else {
            "close"
        };
        let length = why.len() + 1;
        out.extend_from_slice(
            format!(
                "HTTP/1.1 {status}\r\nConnection: {connection}\r\n{fields}\
                 Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{why}\n"
            )
            .as_bytes(),
        );
    }
}

/// The request at the start of `head`, and its size; `None` if it is incomplete. Of the subprotocols that it asks for,
/// the first one among `known` is chosen.
///
/// # Errors
/// The request is refused.
pub fn parse<'a>(
    head: &'a [u8],
    known: &'a [Subprotocol],
) -> Result<Option<(Upgrade<'a>, usize)>, Refusal> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let size = match request.parse_with_uninit_headers(head, &mut space) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
        Err(_) => return Err(Refusal::NotHttp),
    };
    let fields = &*request.headers;
    if request.method != Some("GET") {
        return Err(Refusal::Method);
    }
    if !lists(fields, "Upgrade", "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if request.version != Some(1) {
        return Err(Refusal::HttpVersion);
    }
    if values(fields, "Host").count() != 1 {
        return Err(Refusal::Host);
    }
    if !lists(fields, "Connection", "Upgrade") {
        return Err(Refusal::Connection);
    }
    if values(fields, "Content-Length").any(|n| n != b"0")
        || values(fields, "Transfer-Encoding").next().is_some()
    {
        return Err(Refusal::Body);
    }
    let mut versions = values(fields, "Sec-WebSocket-Version");
    match (versions.next(), versions.next()) {
        (None, _) => return Err(Refusal::NoVersion),
        (Some(version), None) if version == VERSION.as_bytes() => {}
        _ => return Err(Refusal::Version),
    }
    let mut keys = values(fields, "Sec-WebSocket-Key");
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if Key::parse(key).is_some() => key,
        _ => return Err(Refusal::Key),
    };
    let upgrade = Upgrade {
        path: request.path.unwrap_or("/"),
        subprotocol: members(fields, "Sec-WebSocket-Protocol").find_map(|asked| {
            let mut known = known.iter().zip(0..);
            known.find(|(name, _)| name.name().as_bytes() == asked)
        }),
        accept: accept(key),
    };
    Ok(Some((upgrade, size)))
}

/// Processes `bytes` received on a connection whose handshake is under way. Returns `None` while the request is
/// incomplete. Once it is complete and valid, its answer is appended to `out`, the connection is upgraded, and the
/// result is the number of `bytes` that belong to the request (the others are frames) and the place of the chosen
/// subprotocol among `known`.
///
/// # Errors
/// The request is refused. That [answer](Refusal::answer) is not in `out` yet.
pub fn receive(
    decoder: &mut Decoder,
    partials: &mut Partials,
    bytes: &[u8],
    known: &[Subprotocol],
    out: &mut Vec<u8>,
) -> Result<Option<(usize, Option<usize>)>, Refusal> {
    let gathered = head::gather(decoder.half(), partials, bytes, |head| {
        parse(head, known).map(|found| {
            found.map(|(upgrade, size)| {
                upgrade.answer(out);
                (upgrade.subprotocol.map(|(_, place)| place), size)
            })
        })
    })?;
    match gathered {
        Gathered::Part => Ok(None),
        Gathered::TooLong => Err(Refusal::TooLong),
        Gathered::Whole(subprotocol, used) => {
            decoder.upgrade();
            Ok(Some((used, subprotocol)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: &str = "Host: server.example.com";
    const U: &str = "Upgrade: websocket";
    const C: &str = "Connection: Upgrade";
    const K: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const V: &str = "Sec-WebSocket-Version: 13";

    fn request(line: &str, fields: &[&str]) -> Vec<u8> {
        format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n")).into_bytes()
    }

    #[test]
    fn the_request_of_section_1_2_is_answered_with_the_accept_of_section_1_3() {
        let head = request(
            "GET /chat HTTP/1.1",
            &[
                H,
                U,
                C,
                K,
                "Origin: http://example.com",
                "Sec-WebSocket-Protocol: chat, superchat",
                V,
            ],
        );
        let bytes = [head.as_slice(), b"\x89\x80"].concat();
        let (upgrade, size) = parse(&bytes, &[]).unwrap().unwrap();
        assert_eq!((upgrade.path, size), ("/chat", head.len()));
        for size in [1, 7, 100, bytes.len()] {
            let (mut decoder, mut partials, mut out) = Default::default();
            let mut left = 0;
            for piece in bytes.chunks(size) {
                if Decoder::is_upgraded(&decoder) {
                    left += piece.len();
                } else if let Some((used, None)) =
                    receive(&mut decoder, &mut partials, piece, &[], &mut out).unwrap()
                {
                    left = piece.len() - used;
                }
            }
            assert_eq!(left, 2);
            assert!(partials.is_empty());
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            );
        }
    }

    #[test]
    fn a_request_is_checked_as_section_4_2_1_says() {
        const GET: &str = "GET / HTTP/1.1";
        /// Request line, fields, and the refusal with its status if it is refused.
        type Row = (
            &'static str,
            &'static [&'static str],
            Result<(), (u16, Refusal)>,
        );
        let rows: &[Row] = &[
            (GET, &[H, U, C, K, V], Ok(())),
            (
                "GET http://server.example.com/x HTTP/1.1",
                &[H, U, C, K, V],
                Ok(()),
            ),
            (
                GET,
                &[
                    "host:h",
                    "UPGRADE: WebSocket",
                    "connection: keep-alive, UPGRADE",
                    "Content-Length: 0",
                    K,
                    V,
                ],
                Ok(()),
            ),
            (
                "POST / HTTP/1.1",
                &[H, U, C, K, V],
                Err((405, Refusal::Method)),
            ),
            (GET, &[H], Err((426, Refusal::NoUpgrade))),
            (
                "GET / HTTP/1.0",
                &[H, "User-Agent: ab"],
                Err((426, Refusal::NoUpgrade)),
            ),
            (
                GET,
                &[H, "Upgrade: h2c", C, K, V],
                Err((426, Refusal::NoUpgrade)),
            ),
            (
                "GET / HTTP/1.0",
                &[H, U, C, K, V],
                Err((400, Refusal::HttpVersion)),
            ),
            (GET, &[U, C, K, V], Err((400, Refusal::Host))),
            (GET, &[H, H, U, C, K, V], Err((400, Refusal::Host))),
            (GET, &[H, U, K, V], Err((400, Refusal::Connection))),
            (
                GET,
                &[H, U, "Connection: keep-alive", K, V],
                Err((400, Refusal::Connection)),
            ),
            (
                GET,
                &[H, U, C, K, V, "Content-Length: 5"],
                Err((400, Refusal::Body)),
            ),
            (
                GET,
                &[H, U, C, K, V, "Transfer-Encoding: chunked"],
                Err((400, Refusal::Body)),
            ),
            (GET, &[H, U, C, K], Err((400, Refusal::NoVersion))),
            (
                GET,
                &[H, U, C, K, "Sec-WebSocket-Version: 8"],
                Err((426, Refusal::Version)),
            ),
            (GET, &[H, U, C, K, V, V], Err((426, Refusal::Version))),
            (GET, &[H, U, C, V], Err((400, Refusal::Key))),
            (GET, &[H, U, C, V, K, K], Err((400, Refusal::Key))),
            (
                GET,
                &[H, U, C, V, "Sec-WebSocket-Key: c2hvcnQ="],
                Err((400, Refusal::Key)),
            ),
            ("nonsense", &[], Err((400, Refusal::NotHttp))),
            (
                "GET / HTTP/2.0",
                &[H, U, C, K, V],
                Err((400, Refusal::NotHttp)),
            ),
        ];
        for (line, fields, expected) in rows {
            let head = request(line, fields);
            let got = parse(&head, &[]).map(|found| assert!(found.is_some(), "{line} {fields:?}"));
            assert_eq!(
                got,
                expected.map_err(|(_, refusal)| refusal),
                "{line} {fields:?}"
            );
            let Err((status, refusal)) = expected else {
                continue;
            };
            let mut out = Vec::new();
            refusal.answer(&mut out);
            let mut space = [httparse::EMPTY_HEADER; 8];
            let mut answer = httparse::Response::new(&mut space);
            let size = answer.parse(&out).unwrap().unwrap();
            assert_eq!(answer.code, Some(*status));
            let length = values(answer.headers, "Content-Length").next().unwrap();
            assert_eq!(length, (out.len() - size).to_string().as_bytes());
            assert!(lists(answer.headers, "Connection", "close"));
            assert_eq!(
                *status == 405,
                values(answer.headers, "Allow").next() == Some(b"GET")
            );
            if *status == 426 {
                assert!(lists(answer.headers, "Upgrade", "websocket"));
                assert!(lists(answer.headers, "Connection", "upgrade"));
                assert!(lists(answer.headers, "Sec-WebSocket-Version", "13"));
            }
        }
    }

    #[test]
    fn a_client_of_another_protocol_is_refused_at_its_first_bytes() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"\0\0",
            b"\x82\x85",
            b"PRI * HTTP/2.0\r\n",
        ] {
            let (mut decoder, mut partials, mut out) = Default::default();
            let got = receive(&mut decoder, &mut partials, bytes, &[], &mut out);
            assert_eq!(got, Err(Refusal::NotHttp), "{bytes:?}");
            assert!(partials.is_empty() && out.is_empty());
        }
    }

    #[test]
    fn a_head_that_does_not_end_and_one_with_too_many_fields_are_refused() {
        let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'y'; head::MAX_HEAD]].concat();
        let fields = [
            &b"GET / HTTP/1.1\r\n"[..],
            &b"X: y\r\n".repeat(MAX_FIELDS + 1),
        ]
        .concat();
        for bytes in [endless, fields] {
            for size in [1, 1000, bytes.len()] {
                let (mut decoder, mut partials, mut out) = Default::default();
                let found = bytes.chunks(size).find_map(|piece| {
                    receive(&mut decoder, &mut partials, piece, &[], &mut out).err()
                });
                assert_eq!(found, Some(Refusal::TooLong), "{size}");
                assert!(partials.is_empty());
            }
        }
    }

    #[test]
    fn the_first_subprotocol_of_the_client_that_the_server_has_is_chosen() {
        let known = Subprotocol::list("v12.stomp,chat").unwrap();
        for (asked, chosen) in [
            ("Origin: x", None),
            ("Sec-WebSocket-Protocol: superchat", None),
            (
                "Sec-WebSocket-Protocol: superchat, chat, v12.stomp",
                Some(("chat", 1)),
            ),
        ] {
            let head = request("GET / HTTP/1.1", &[H, U, C, K, V, asked]);
            let (upgrade, _) = parse(&head, &known).unwrap().unwrap();
            let place = upgrade
                .subprotocol
                .map(|(name, place)| (name.name(), place));
            assert_eq!(place, chosen, "{asked}");
            let mut out = Vec::new();
            upgrade.answer(&mut out);
            let answer = String::from_utf8(out).unwrap();
            let told =
                chosen.map(|(name, _)| format!("\r\nSec-WebSocket-Protocol: {name}\r\n\r\n"));
            assert_eq!(answer.contains("Protocol:"), told.is_some(), "{answer}");
            assert!(told.is_none_or(|line| answer.ends_with(&line)), "{answer}");
        }
    }
}
