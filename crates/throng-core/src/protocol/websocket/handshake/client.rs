//! A client's side of the handshake (RFC 6455, section 4.1).

use super::super::decoder::Decoder;
use super::super::violation::Violation;
use super::key::{Key, VERSION};
use crate::partials::Partials;
use crate::protocol::http::Field;
use crate::protocol::http::head::{self, Gathered, MAX_FIELDS, MAX_HEAD, lists, members, values};
use std::mem::MaybeUninit;

/// Why a request can't be made. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The host can't be written in a request.
    #[error("{0:?} is no host for a WebSocket request; write it like example.com:8080")]
    Host(String),
    /// The path can't be written in a request.
    #[error(
        "{0:?} is no path for a WebSocket request; write it like /chat?room=1, anything special as %20"
    )]
    Path(String),
    /// The key is not the base64 of 16 bytes.
    #[error(
        "Sec-WebSocket-Key {0:?} is not the base64 of 16 bytes; write it like \
         'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', or leave it out for a random one on each connection"
    )]
    Key(String),
}

/// The upgrade request of all connections of a run, and the rules for its answers. Only the key differs between
/// connections.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The request before the key's value, and after it.
    before_key: Vec<u8>,
    after_key: Vec<u8>,
    seed: u64,
    /// The key for every connection, if the user gave one.
    key: Option<Key>,
    subprotocols: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl Opening {
    /// A request for `path` (with its query, if any) at `host` (with its port, unless it is 80, or 443 over TLS). A
    /// field that the user gives replaces the default field of that name. Keys are drawn from `seed`, unless the user
    /// gives one.
    ///
    /// # Errors
    /// A host or path that can't be written in a request, or an invalid key.
    pub fn new(
        host: &str,
        path: &str,
        fields: &[Field],
        seed: u64,
    ) -> Result<Opening, RequestError> {
        let agent = concat!("throng/", env!("CARGO_PKG_VERSION"));
        Opening::by(Some(agent), host, path, fields, seed)
    }

    /// A request without a `User-Agent`, unless the user gives one.
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
            return Err(RequestError::Host(host.into()));
        }
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || path.contains(|c| blank(c) || !c.is_ascii() || c == '#') {
            return Err(RequestError::Path(path.into()));
        }
        let mut key = None;
        for field in fields.iter().filter(|f| f.is("Sec-WebSocket-Key")) {
            let parsed = Key::parse(field.value().as_bytes());
            key = Some(parsed.ok_or_else(|| RequestError::Key(field.value().to_owned()))?);
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
            own.for_each(|field| append(&mut before_key, field.name(), field.value()));
        }
        before_key.extend(b"Sec-WebSocket-Key: ");
        let mut after_key = b"\r\n".to_vec();
        for field in fields {
            if !defaults.iter().any(|(name, _)| field.is(name)) && !field.is("Sec-WebSocket-Key") {
                append(&mut after_key, field.name(), field.value());
            }
        }
        after_key.extend(b"\r\n");
        let asked = |name: &str| {
            fields
                .iter()
                .filter(|field| field.is(name))
                .flat_map(|field| field.value().split(','))
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

    /// Whether it asks for subprotocols.
    pub fn asks_for_subprotocols(&self) -> bool {
        !self.subprotocols.is_empty()
    }

    /// The length of a request in bytes.
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

    /// Processes `bytes` received on connection `uid`, whose handshake is under way. Returns `None` while the answer is
    /// incomplete. Once it is complete and right, the connection is upgraded.
    ///
    /// # Errors
    /// The answer is wrong, and the connection can't be used.
    pub fn answered(
        &self,
        uid: u64,
        decoder: &mut Decoder,
        partials: &mut Partials,
        bytes: &[u8],
    ) -> Result<Option<Answered>, Failure> {
        let key = self.key(uid);
        let gathered = head::gather(decoder.half(), partials, bytes, |head| {
            self.check(head, &key)
        })?;
        match gathered {
            Gathered::Part => Ok(None),
            Gathered::TooLong => Err(Failure::TooLong),
            Gathered::Whole(subprotocol, used) => {
                decoder.upgrade();
                Ok(Some(Answered { used, subprotocol }))
            }
        }
    }

    fn key(&self, uid: u64) -> Key {
        self.key.unwrap_or_else(|| Key::derived(self.seed, uid))
    }

    /// Checks an answer as far as it was received. Returns its size once it is complete and right.
    /// Its result is also the place of the subprotocol that the server chose among those asked for.
    fn check(&self, head: &[u8], key: &Key) -> Result<Option<(Option<usize>, usize)>, Failure> {
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
        // A server chooses one of the subprotocols asked for, or none.
        if members(fields, "Sec-WebSocket-Protocol").count() > 1
            || unasked("Sec-WebSocket-Protocol", &self.subprotocols, false)
        {
            return Err(Failure::Subprotocol);
        }
        let chosen = members(fields, "Sec-WebSocket-Protocol").map(bare).next();
        let place = |chosen: &[u8]| self.subprotocols.iter().position(|asked| asked == chosen);
        Ok(Some((chosen.and_then(place), size)))
    }
}

/// A server's answer that is complete and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How many of the received bytes belong to it; the others are frames.
    pub used: usize,
    /// The place of the subprotocol that the server chose among those that were asked for, counted from 0; `None` if it
    /// chose none.
    pub subprotocol: Option<usize>,
}

fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A member of a list, without its parameters.
fn bare(member: &[u8]) -> &[u8] {
    member
        .split(|b| *b == b';')
        .next()
        .unwrap_or(&[])
        .trim_ascii()
}

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not HTTP.
    #[error("the server's answer to the upgrade is not HTTP")]
    NotHttp,
    /// Its head has more than [`MAX_HEAD`] bytes or [`MAX_FIELDS`] fields.
    #[error(
        "the server's answer to the upgrade has more than {MAX_HEAD} bytes or {MAX_FIELDS} header fields"
    )]
    TooLong,
    /// Its status is not 101: the server refuses the upgrade.
    #[error("the server answered the upgrade with status {0} instead of 101")]
    Status(u16),
    /// It is not HTTP/1.1.
    #[error("the server answered the upgrade in HTTP/1.0")]
    HttpVersion,
    /// `Upgrade` does not name `websocket`.
    #[error("the server's answer lacks 'Upgrade: websocket'")]
    Upgrade,
    /// `Connection` does not name `Upgrade`.
    #[error("the server's answer lacks 'Connection: Upgrade'")]
    Connection,
    /// It has no `Sec-WebSocket-Accept`.
    #[error("the server's answer lacks Sec-WebSocket-Accept")]
    NoAccept,
    /// `Sec-WebSocket-Accept` does not match the connection's key, or occurs twice.
    #[error("the server's Sec-WebSocket-Accept does not belong to the key sent")]
    WrongAccept,
    /// It names an extension that was not asked for.
    #[error("the server chose a WebSocket extension that was not asked for")]
    Extension,
    /// It names a subprotocol that was not asked for, or several.
    #[error("the server chose a WebSocket subprotocol that was not asked for")]
    Subprotocol,
}

impl Failure {
    /// The violation that it counts as.
    pub fn violation(self) -> Violation {
        match self {
            Failure::NotHttp => Violation::NotHttp,
            Failure::TooLong => Violation::LongHead,
            Failure::Status(_) => Violation::Refused,
            _ => Violation::Handshake,
        }
    }
}

#[cfg(test)]
mod tests;
