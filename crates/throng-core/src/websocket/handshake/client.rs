//! A client's side of the handshake (RFC 6455, section 4.1).

use super::super::decoder::Decoder;
use super::super::partial::Partials;
use super::super::{Violation, handshake};
use super::{Gathered, Key, MAX_FIELDS, MAX_HEAD, VERSION, lists, members, values};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::mem::MaybeUninit;
use std::str::FromStr;

/// A header field that the user adds to the request: `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    name: String,
    value: String,
}

impl Field {
    /// Its name, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, without blanks around it.
    pub fn value(&self) -> &str {
        &self.value
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Why a request can't be made as asked; its text is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError(String);

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RequestError {}

/// Whether `c` may stand in a header's name (RFC 9110, section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Reads `Name: value` (RFC 9112, section 5).
impl FromStr for Field {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Field, RequestError> {
        let wrong = |what: &str| {
            RequestError(format!(
                "header {text:?} {what}; write it like 'Origin: http://example.com'"
            ))
        };
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| wrong("has no colon between name and value"))?;
        if name.is_empty() {
            return Err(wrong("has no name before its colon"));
        }
        if let Some(c) = name.chars().find(|c| !is_token(*c)) {
            return Err(wrong(&format!("has {c:?} in its name")));
        }
        if let Some(c) = value.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(wrong(&format!("has {c:?} in its value")));
        }
        Ok(Field {
            name: name.into(),
            value: value.trim_matches([' ', '\t']).into(),
        })
    }
}

/// The upgrade request of all connections of a run, and what their answers must say. Only the key differs
/// between them.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The request up to the key's value, and from there to its end.
    before_key: Vec<u8>,
    after_key: Vec<u8>,
    seed: u64,
    /// The key that the user asked for on every connection.
    key: Option<Key>,
    subprotocols: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl Opening {
    /// A request for `path` (with its query, if any) at `host` (with its port, unless it is 80, or 443 over TLS).
    /// A field that the user gives takes the place of what would be sent under its name. Keys are drawn from
    /// `seed`, unless the user gives one.
    ///
    /// # Errors
    /// A host or path that can't stand in a request, or a key that is none.
    pub fn new(
        host: &str,
        path: &str,
        fields: &[Field],
        seed: u64,
    ) -> Result<Opening, RequestError> {
        let agent = concat!("throng/", env!("CARGO_PKG_VERSION"));
        Opening::by(Some(agent), host, path, fields, seed)
    }

    /// The same without a `User-Agent`, unless the user gives one.
    ///
    /// # Errors
    /// Those of [`Opening::new`].
    pub fn anonymous(
        host: &str,
        path: &str,
        fields: &[Field],
        seed: u64,
    ) -> Result<Opening, RequestError> {
        Opening::by(None, host, path, fields, seed)
    }

    fn by(
        agent: Option<&str>,
        host: &str,
        path: &str,
        fields: &[Field],
        seed: u64,
    ) -> Result<Opening, RequestError> {
        let blank = |c: char| c.is_ascii_control() || c.is_whitespace();
        if host.is_empty() || host.contains(|c| blank(c) || c == '/') {
            return Err(RequestError(format!(
                "{host:?} is no host for a WebSocket request; write it like example.com:8080"
            )));
        }
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || path.contains(|c| blank(c) || !c.is_ascii() || c == '#') {
            return Err(RequestError(format!(
                "{path:?} is no path for a WebSocket request; write it like /chat?room=1, anything special as %20"
            )));
        }
        let mut key = None;
        for field in fields.iter().filter(|f| f.is("Sec-WebSocket-Key")) {
            key = Some(Key::parse(field.value.as_bytes()).ok_or_else(|| {
                RequestError(format!(
                    "Sec-WebSocket-Key {:?} is not the base64 of 16 bytes; write it like 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', or leave it out for a random one on each connection",
                    field.value
                ))
            })?);
        }
        let mut before_key = format!("GET {path} HTTP/1.1\r\n").into_bytes();
        let defaults = [
            ("Host", Some(host)),
            ("User-Agent", agent),
            ("Upgrade", Some("websocket")),
            ("Connection", Some("Upgrade")),
            ("Sec-WebSocket-Version", Some(VERSION)),
        ];
        for (name, value) in defaults {
            let mut own = fields.iter().filter(|field| field.is(name)).peekable();
            if own.peek().is_none()
                && let Some(value) = value
            {
                append(&mut before_key, name, value);
            }
            own.for_each(|field| append(&mut before_key, &field.name, &field.value));
        }
        before_key.extend(b"Sec-WebSocket-Key: ");
        let mut after_key = b"\r\n".to_vec();
        for field in fields {
            if !defaults.iter().any(|(name, _)| field.is(name)) && !field.is("Sec-WebSocket-Key") {
                append(&mut after_key, &field.name, &field.value);
            }
        }
        after_key.extend(b"\r\n");
        let asked = |name: &str| {
            fields
                .iter()
                .filter(|field| field.is(name))
                .flat_map(|field| field.value.split(','))
                .map(|member| bare(member.as_bytes()).to_vec())
                .filter(|member| !member.is_empty())
                .collect()
        };
        Ok(Opening {
            before_key,
            after_key,
            seed,
            key,
            subprotocols: asked("Sec-WebSocket-Protocol"),
            extensions: asked("Sec-WebSocket-Extensions"),
        })
    }

    /// How many bytes a request has.
    pub fn request_bytes(&self) -> usize {
        self.before_key.len() + 24 + self.after_key.len()
    }

    /// Appends the request of connection `uid` to `out`.
    pub fn request(&self, uid: u64, out: &mut Vec<u8>) {
        out.reserve(self.request_bytes());
        out.extend_from_slice(&self.before_key);
        out.extend_from_slice(&self.key(uid).text());
        out.extend_from_slice(&self.after_key);
    }

    /// Takes note of `bytes` that came on connection `uid`, whose handshake is under way. `None` if the answer
    /// has not come in whole; else it is right, the connection is upgraded, and so many of `bytes` belong to
    /// it: the others are frames.
    ///
    /// # Errors
    /// What is wrong with the answer. The connection is of no use then.
    pub fn answered(
        &self,
        uid: u64,
        decoder: &mut Decoder,
        partials: &mut Partials,
        bytes: &[u8],
    ) -> Result<Option<usize>, Failure> {
        let key = self.key(uid);
        let gathered = handshake::gather(decoder.half(), partials, bytes, |head| {
            self.check(head, &key)
        })?;
        match gathered {
            Gathered::Part => Ok(None),
            Gathered::TooLong => Err(Failure::TooLong),
            Gathered::Whole((), used) => {
                decoder.upgrade();
                Ok(Some(used))
            }
        }
    }

    fn key(&self, uid: u64) -> Key {
        self.key.unwrap_or_else(|| Key::derived(self.seed, uid))
    }

    /// Checks an answer as far as it is there. Returns its size once it is whole and right.
    fn check(&self, head: &[u8], key: &Key) -> Result<Option<((), usize)>, Failure> {
        let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut answer = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut answer,
            head,
            &mut space,
        );
        let size = match parsed {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Failure::TooLong),
            Err(_) => return Err(Failure::NotHttp),
        };
        let fields = &*answer.headers;
        let status = answer.code.unwrap_or_default();
        if status != 101 {
            return Err(Failure::Status(status));
        }
        if answer.version != Some(1) {
            return Err(Failure::HttpVersion);
        }
        let mut upgrades = values(fields, "Upgrade").peekable();
        if upgrades.peek().is_none() || upgrades.any(|v| !v.eq_ignore_ascii_case(b"websocket")) {
            return Err(Failure::Upgrade);
        }
        if !lists(fields, "Connection", "Upgrade") {
            return Err(Failure::Connection);
        }
        let mut accepts = values(fields, "Sec-WebSocket-Accept");
        match (accepts.next(), accepts.next()) {
            (None, _) => return Err(Failure::NoAccept),
            (Some(value), None) if value == key.accept() => {}
            _ => return Err(Failure::WrongAccept),
        }
        let unasked = |name: &str, asked: &[Vec<u8>], fold: bool| {
            members(fields, name).map(bare).any(|member| {
                !asked
                    .iter()
                    .any(|asked| asked == member || (fold && asked.eq_ignore_ascii_case(member)))
            })
        };
        if unasked("Sec-WebSocket-Extensions", &self.extensions, true) {
            return Err(Failure::Extension);
        }
        // A server chooses one of those asked for, or none.
        if values(fields, "Sec-WebSocket-Protocol").count() > 1
            || unasked("Sec-WebSocket-Protocol", &self.subprotocols, false)
        {
            return Err(Failure::Subprotocol);
        }
        Ok(Some(((), size)))
    }
}

fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A list's member without its parameters.
fn bare(member: &[u8]) -> &[u8] {
    member
        .split(|b| *b == b';')
        .next()
        .unwrap_or(&[])
        .trim_ascii()
}

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is no HTTP.
    NotHttp,
    /// Its head has more than [`MAX_HEAD`] bytes or [`MAX_FIELDS`] fields.
    TooLong,
    /// A status other than 101: the server will not upgrade.
    Status(u16),
    /// It is not HTTP/1.1.
    HttpVersion,
    /// `Upgrade` does not say `websocket`.
    Upgrade,
    /// `Connection` does not say `Upgrade`.
    Connection,
    /// There is no `Sec-WebSocket-Accept`.
    NoAccept,
    /// `Sec-WebSocket-Accept` does not belong to this connection's key, or is there twice.
    WrongAccept,
    /// An extension that was not asked for.
    Extension,
    /// A subprotocol that was not asked for, or several.
    Subprotocol,
}

impl Failure {
    /// The kind under which it is counted.
    pub fn violation(self) -> Violation {
        match self {
            Failure::NotHttp | Failure::TooLong => Violation::NotHttp,
            Failure::Status(_) => Violation::Refused,
            _ => Violation::Handshake,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotHttp => f.write_str("the server's answer to the upgrade is no HTTP"),
            Failure::TooLong => write!(
                f,
                "the server's answer to the upgrade has more than {MAX_HEAD} bytes or {MAX_FIELDS} header fields"
            ),
            Failure::Status(status) => write!(
                f,
                "the server answered the upgrade with status {status} instead of 101"
            ),
            Failure::HttpVersion => f.write_str("the server answered the upgrade in HTTP/1.0"),
            Failure::Upgrade => f.write_str("the server's answer lacks 'Upgrade: websocket'"),
            Failure::Connection => f.write_str("the server's answer lacks 'Connection: Upgrade'"),
            Failure::NoAccept => f.write_str("the server's answer lacks Sec-WebSocket-Accept"),
            Failure::WrongAccept => {
                f.write_str("the server's Sec-WebSocket-Accept does not belong to the key sent")
            }
            Failure::Extension => {
                f.write_str("the server chose a WebSocket extension that was not asked for")
            }
            Failure::Subprotocol => {
                f.write_str("the server chose a WebSocket subprotocol that was not asked for")
            }
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&str]) -> Vec<Field> {
        lines.iter().map(|line| line.parse().unwrap()).collect()
    }

    fn request(lines: &[&str]) -> String {
        let opening = Opening::new("h:1", "/p?q=1", &fields(lines), 7).unwrap();
        let mut out = Vec::new();
        opening.request(3, &mut out);
        assert_eq!(out.len(), opening.request_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_has_what_the_rfc_asks_for() {
        let key = String::from_utf8(Key::derived(7, 3).text().to_vec()).unwrap();
        assert_eq!(
            request(&["Origin: http://o", "X-A:  b "]),
            format!(
                "GET /p?q=1 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: throng/{}\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
                 Origin: http://o\r\nX-A: b\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_request_need_not_say_whose_it_is() {
        let asked = |lines: &[&str]| {
            let opening = Opening::anonymous("127.1:1234", "/", &fields(lines), 7).unwrap();
            let mut out = Vec::new();
            opening.request(3, &mut out);
            String::from_utf8(out).unwrap()
        };
        // As long as tcpkali's, whose users count bytes.
        assert_eq!(asked(&[]).len(), 149);
        assert!(!asked(&[]).contains("User-Agent"));
        assert!(asked(&["User-Agent: me"]).contains("\r\nUser-Agent: me\r\n"));
    }

    #[test]
    fn a_field_of_the_users_takes_the_place_of_the_default() {
        let made = request(&[
            "host: other",
            "USER-AGENT: me",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Cookie: a=1",
            "Cookie: b=2",
        ]);
        assert_eq!(
            made,
            "GET /p?q=1 HTTP/1.1\r\nhost: other\r\nUSER-AGENT: me\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
        );
    }

    #[test]
    fn what_cannot_stand_in_a_request_is_refused_in_one_line() {
        for (line, says) in [
            ("Origin", "has no colon"),
            (": x", "has no name"),
            ("A B: x", "has ' ' in its name"),
            ("Ä: x", "in its name"),
            ("A: x\r\nB: y", "has '\\r' in its value"),
            ("A\n: x", "in its name"),
            ("A: x\0", "in its value"),
        ] {
            let error = line.parse::<Field>().unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
        for (host, path) in [
            ("", "/"),
            ("a b", "/"),
            ("a\r\nb", "/"),
            ("a", "x"),
            ("a", "/ x"),
            ("a", "/\n"),
            ("a", "/ä"),
            ("a", "/#x"),
        ] {
            assert!(
                Opening::new(host, path, &[], 0).is_err(),
                "{host:?} {path:?}"
            );
        }
        assert!(Opening::new("a", "/", &fields(&["sec-websocket-key: abc"]), 0).is_err());
        assert!(Opening::new("a", "", &[], 0).is_ok());
    }

    /// The answer to the RFC's example key, with `other` fields instead of the usual ones.
    fn answer(status: &str, fields: &[&str]) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", fields.join("\r\n")).into_bytes()
    }

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const U: &str = "Upgrade: websocket";
    const C: &str = "Connection: Upgrade";
    const A: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn an_answer_is_checked_as_section_4_1_says() {
        const OK: &str = "101 Switching Protocols";
        let rows: &[(&str, &[&str], Option<Failure>)] = &[
            (OK, &[U, C, A], None),
            (
                "101",
                &[
                    "upgrade: WebSocket",
                    "connection: keep-alive, uPGRADE",
                    "SEC-WEBSOCKET-ACCEPT:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t",
                ],
                None,
            ),
            (
                OK,
                &[U, C, A, "Sec-WebSocket-Protocol: chat", "Server: x"],
                None,
            ),
            (
                OK,
                &[U, C, A, "Sec-WebSocket-Extensions: permessage-deflate; x=1"],
                None,
            ),
            ("200 OK", &[U, C, A], Some(Failure::Status(200))),
            (
                "426 Upgrade Required",
                &["Content-Length: 0"],
                Some(Failure::Status(426)),
            ),
            (OK, &[C, A], Some(Failure::Upgrade)),
            (OK, &["Upgrade: h2c", C, A], Some(Failure::Upgrade)),
            (OK, &[U, "Upgrade: h2c", C, A], Some(Failure::Upgrade)),
            (OK, &[U, A], Some(Failure::Connection)),
            (
                OK,
                &[U, "Connection: keep-alive", A],
                Some(Failure::Connection),
            ),
            (OK, &[U, C], Some(Failure::NoAccept)),
            (
                OK,
                &[U, C, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO="],
                Some(Failure::WrongAccept),
            ),
            (
                OK,
                &[U, C, "Sec-WebSocket-Accept:"],
                Some(Failure::WrongAccept),
            ),
            (OK, &[U, C, A, A], Some(Failure::WrongAccept)),
            (
                OK,
                &[
                    U,
                    C,
                    A,
                    "Sec-WebSocket-Extensions: permessage-deflate, other",
                ],
                Some(Failure::Extension),
            ),
            (
                OK,
                &[U, C, A, "Sec-WebSocket-Protocol: mqtt"],
                Some(Failure::Subprotocol),
            ),
            (
                OK,
                &[
                    U,
                    C,
                    A,
                    "Sec-WebSocket-Protocol: chat",
                    "Sec-WebSocket-Protocol: chat",
                ],
                Some(Failure::Subprotocol),
            ),
        ];
        let asked = fields(&[
            KEY,
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover",
        ]);
        let opening = Opening::new("a", "/", &asked, 0).unwrap();
        for (status, lines, failure) in rows {
            let head = answer(status, lines);
            let bytes = [head.as_slice(), &[0x81, 0x01]].concat();
            let expected = match failure {
                None => Ok(Some(head.len())),
                Some(failure) => Err(*failure),
            };
            let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
            assert_eq!(
                opening.answered(0, &mut decoder, &mut partials, &bytes),
                expected,
                "{status} {lines:?}"
            );
            assert_eq!(decoder.is_upgraded(), failure.is_none());

            // The same byte by byte.
            let mut decoder = Decoder::default();
            let mut got = Ok(None);
            for (i, byte) in bytes.iter().enumerate() {
                got = opening.answered(0, &mut decoder, &mut partials, &[*byte]);
                if got != Ok(None) {
                    assert_eq!(i, head.len() - 1, "{status} {lines:?}");
                    break;
                }
            }
            assert_eq!(got.map(|_| ()), expected.map(|_| ()), "{status} {lines:?}");
            assert!(partials.is_empty(), "{status} {lines:?}");
        }
    }

    #[test]
    fn what_was_not_asked_for_may_not_be_chosen() {
        let opening = Opening::new("a", "/", &fields(&[KEY]), 0).unwrap();
        for (line, failure) in [
            ("Sec-WebSocket-Protocol: chat", Failure::Subprotocol),
            (
                "Sec-WebSocket-Extensions: permessage-deflate",
                Failure::Extension,
            ),
        ] {
            let head = answer("101 Ok", &[U, C, A, line]);
            let got = opening.answered(0, &mut Decoder::default(), &mut Partials::default(), &head);
            assert_eq!(got, Err(failure));
        }
    }

    #[test]
    fn a_server_of_another_protocol_is_not_waited_for() {
        let opening = Opening::new("a", "/", &[], 0).unwrap();
        for greeting in [
            &b"SSH-2.0-OpenSSH_10.0\r\n"[..],
            b"220 mail ESMTP\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"HTTP/2 101\r\n",
            b"\0",
        ] {
            let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
            let got = opening.answered(0, &mut decoder, &mut partials, greeting);
            assert_eq!(got, Err(Failure::NotHttp), "{greeting:?}");
            let found = greeting
                .chunks(1)
                .find_map(|byte| opening.answered(0, &mut decoder, &mut partials, byte).err());
            assert_eq!(found, Some(Failure::NotHttp), "{greeting:?}");
            assert!(partials.is_empty());
        }
        let old = b"HTTP/1.0 101 Switching\r\n\r\n";
        let got = opening.answered(0, &mut Decoder::default(), &mut Partials::default(), old);
        assert_eq!(got, Err(Failure::HttpVersion));
    }

    #[test]
    fn a_head_that_does_not_end_is_given_up() {
        let opening = Opening::new("a", "/", &[], 0).unwrap();
        let endless = [&b"HTTP/1.1 101 Ok\r\nX: "[..], &[b'y'; MAX_HEAD]].concat();
        for size in [1, 100, endless.len()] {
            let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
            let found = endless.chunks(size).find_map(|piece| {
                opening
                    .answered(0, &mut decoder, &mut partials, piece)
                    .err()
            });
            assert_eq!(found, Some(Failure::TooLong), "{size}");
            assert!(partials.is_empty());
        }
    }
}
