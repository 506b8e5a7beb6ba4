//! Requests as messages of a load.

use super::field::{Field, is_token};
use super::status::Status;
use crate::payload::{Message, ParseOptions, Part, Size, parse};
use crate::protocol::facts::Authority;
use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;

/// The method of requests (RFC 9110, section 9), in any case as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(String);

impl Method {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether answers have no body.
    pub fn is_head(&self) -> bool {
        self.0 == "HEAD"
    }
}

/// Why a request can't be made. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The method is no token, or switches to another protocol.
    #[error("{0:?} is no method; write it like GET")]
    Method(String),
    /// The path can't be written in a request.
    #[error("{0:?} is no path for a request; write it like /search?q=1, anything special as %20")]
    Path(String),
    /// An expression that can't be read.
    #[error("{what} {text:?} {error}")]
    Expression {
        /// Where it is.
        what: &'static str,
        /// That as written.
        text: String,
        /// What is wrong with it.
        error: String,
    },
    /// A header has what can't be written in one.
    #[error("header {0:?} has what only WebSocket messages have")]
    Header(String),
    /// Requests are listed, each with its method.
    #[error("listed requests have methods of their own: leave out --method")]
    TwoMethods,
    /// The length of bodies is known only when they are sent.
    #[error("throng writes {0} itself: leave the header out")]
    Own(String),
    /// Requests of a file, and another URL.
    #[error(
        "--origin: the requests of --requests-from have URLs of their own: leave one of them out"
    )]
    ListedOrigin,
    /// Statuses that can't be read.
    #[error("{0:?} is no status; write codes and classes like 200,204 or 2xx")]
    Status(String),
}

impl FromStr for Method {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Method, RequestError> {
        // The answer to CONNECT is a tunnel (RFC 9110, section 9.3.6).
        let usable = !text.is_empty() && text.chars().all(is_token) && text != "CONNECT";
        match usable {
            true => Ok(Method(text.to_owned())),
            false => Err(RequestError::Method(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Method {
    type Error = RequestError;
    fn try_from(text: String) -> Result<Method, RequestError> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> String {
        method.0
    }
}

/// A set of statuses: codes, and classes such as `2xx`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Statuses {
    /// The first and the last code of each range.
    ranges: Vec<(u16, u16)>,
}

/// Successes and redirections.
impl Default for Statuses {
    fn default() -> Statuses {
        Statuses {
            ranges: vec![(200, 299), (300, 399)],
        }
    }
}

impl Statuses {
    /// Whether it has this code.
    pub fn has(&self, code: u16) -> bool {
        self.ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code))
    }
}

impl FromStr for Statuses {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Statuses, RequestError> {
        let range = |one: &str| match one.as_bytes() {
            [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(class - b'0') * 100;
                Some((first, first + 99))
            }
            [b'1'..=b'9', ..] if one.len() == 3 => one.parse().ok().map(|code| (code, code)),
            _ => None,
        };
        let ranges = text.split(',').map(str::trim).map(range);
        match ranges.collect() {
            Some(ranges) => Ok(Statuses { ranges }),
            None => Err(RequestError::Status(text.to_owned())),
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match first == last {
                true => write!(f, "{first}")?,
                false => write!(f, "{}xx", first / 100)?,
            }
        }
        Ok(())
    }
}

text_of!(Statuses, RequestError);

impl Status {
    /// Whether it reports an error of the client or the server (RFC 9110, sections 15.5 and 15.6).
    pub fn is_error(self) -> bool {
        matches!(self.name().as_bytes(), [b'4' | b'5', ..])
    }
}

/// What a request is made of.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub target: &'a Authority<'a>,
    /// Whether it names throng, unless a field says otherwise.
    pub user_agent: bool,
    pub fields: &'a [Field],
    /// Whether it is the last one on its connection.
    pub last: bool,
    pub body: Option<&'a Message>,
}

/// The request as a message. Its path and its body may have expressions.
///
/// # Errors
/// The path or a field can't be written in a request.
pub(super) fn message(request: &Request) -> Result<Message, RequestError> {
    let own = ["Content-Length", "Transfer-Encoding"];
    if let Some(field) = request
        .fields
        .iter()
        .find(|field| own.iter().any(|name| field.is(name)))
    {
        return Err(RequestError::Own(field.name().to_owned()));
    }
    let mut parts = vec![Part::Bytes(format!("{} ", request.method).into_bytes())];
    parts.extend(path(request.target.path)?);
    let agent = concat!("throng/", env!("CARGO_PKG_VERSION"));
    let usual = [
        ("Host", Some(request.target.authority)),
        ("User-Agent", request.user_agent.then_some(agent)),
        ("Accept", Some("*/*")),
        ("Connection", request.last.then_some("close")),
    ];
    let mut line = " HTTP/1.1\r\n".to_owned();
    for (name, value) in usual {
        if let (Some(value), false) = (value, request.fields.iter().any(|field| field.is(name))) {
            line += &format!("{name}: {value}\r\n");
        }
    }
    parts.push(Part::Bytes(line.into_bytes()));
    for field in request.fields {
        parts.push(Part::Bytes(format!("{}: ", field.name()).into_bytes()));
        parts.extend(value(field)?);
        parts.push(Part::Bytes(b"\r\n".to_vec()));
    }
    match request.body {
        Some(body) => {
            parts.push(Part::Bytes(b"Content-Length: ".to_vec()));
            parts.push(Part::Sized(Size::Decimal, body.parts.clone()));
        }
        // A server that expects a body is told that there is none (RFC 9110, section 8.6).
        None if matches!(request.method, "POST" | "PUT" | "PATCH") => {
            parts.push(Part::Bytes(b"Content-Length: 0\r\n\r\n".to_vec()));
        }
        None => parts.push(Part::Bytes(b"\r\n".to_vec())),
    }
    Ok(Message::joined(parts))
}

/// The parts of a text with expressions; `what` it is, for an error.
fn expressions(what: &'static str, text: &str) -> Result<Vec<Part>, RequestError> {
    let files = |_: &str| -> io::Result<Vec<u8>> { Err(io::Error::other("has no place here")) };
    let options = ParseOptions {
        unescape: false,
        files: &files,
    };
    let whole = parse(text.as_bytes(), &options).map_err(|e| RequestError::Expression {
        what,
        text: text.to_owned(),
        error: e.to_string(),
    })?;
    Ok(whole.parts)
}

/// The parts of a field's value.
fn value(field: &Field) -> Result<Vec<Part>, RequestError> {
    let parts = expressions("header", field.value())?;
    match parts
        .iter()
        .any(|part| matches!(part, Part::Frame(_) | Part::Raw(_)))
    {
        true => Err(RequestError::Header(field.value().to_owned())),
        false => Ok(parts),
    }
}

/// The parts of a path (RFC 9112, section 3.2.1), without its fragment.
fn path(text: &str) -> Result<Vec<Part>, RequestError> {
    let wrong = || RequestError::Path(text.to_owned());
    let mut parts = Vec::new();
    for part in expressions("the path", text)? {
        match part {
            Part::Bytes(bytes) => {
                let end = bytes.iter().position(|b| *b == b'#');
                let said = &bytes[..end.unwrap_or(bytes.len())];
                if !said.iter().all(u8::is_ascii_graphic) {
                    return Err(wrong());
                }
                parts.push(Part::Bytes(said.to_vec()));
                if end.is_some() {
                    break;
                }
            }
            Part::Frame(_) | Part::Raw(_) => return Err(wrong()),
            part => parts.push(part),
        }
    }
    match parts.first() {
        // The latter to a proxy.
        Some(Part::Bytes(bytes)) if bytes.starts_with(b"/") || bytes.starts_with(b"http://") => {
            Ok(parts)
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Cursor, Dice, Framing, Script, Speaker, What};

    /// What connection 7 sends.
    fn sent(request: &Request) -> String {
        let cycles = [vec![message(request).unwrap()]];
        let script = Script::of_cycles(&[], &cycles, Framing::Raw, 1, 1).unwrap();
        let speaker = Speaker {
            uid: 7,
            ..Speaker::default()
        };
        let mut out = Vec::new();
        let portion = script
            .repeated(
                0,
                Cursor::default(),
                1,
                &speaker,
                &mut Dice::new(1),
                &mut out,
            )
            .unwrap();
        if let What::Memory(range) = portion.what {
            out.extend_from_slice(&script.memory()[range.start as usize..range.end as usize]);
        }
        String::from_utf8(out).unwrap()
    }

    fn fields(lines: &[&str]) -> Vec<Field> {
        lines.iter().map(|line| line.parse().unwrap()).collect()
    }

    #[test]
    fn a_request_has_its_line_its_fields_and_its_body() {
        let target = Authority {
            authority: "a.example:8080",
            path: r"/user/\{connection.uid}?q=1#top",
        };
        let get = Request {
            method: "GET",
            target: &target,
            user_agent: false,
            fields: &[],
            last: false,
            body: None,
        };
        assert_eq!(
            sent(&get),
            "GET /user/7?q=1 HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\n\r\n"
        );
        let empty = Request {
            method: "POST",
            ..get
        };
        assert!(sent(&empty).ends_with("Accept: */*\r\nContent-Length: 0\r\n\r\n"));
        let body = Message {
            parts: vec![
                Part::Bytes(b"id=".to_vec()),
                Part::Uid { modulo: Vec::new() },
            ],
        };
        let post = Request {
            method: "POST",
            user_agent: true,
            fields: &fields(&["host: b", r"X: y\{connection.uid}z", "user-agent: me"]),
            last: true,
            body: Some(&body),
            ..get
        };
        assert_eq!(
            sent(&post),
            "POST /user/7?q=1 HTTP/1.1\r\nAccept: */*\r\nConnection: close\r\nhost: b\r\nX: y7z\r\n\
             user-agent: me\r\nContent-Length: 4\r\n\r\nid=7"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused_in_one_line() {
        let refused = |path, lines: &[&str]| {
            let target = Authority {
                authority: "a",
                path,
            };
            let error = message(&Request {
                method: "GET",
                target: &target,
                user_agent: true,
                fields: &fields(lines),
                last: false,
                body: None,
            });
            let error = error.unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
        };
        refused("/\u{e4}", &[]);
        refused("x", &[]);
        refused("https://a/", &[]);
        refused("", &[]);
        refused(r"/\{connection.uid", &[]);
        refused(r"/\{raw {<file>}}", &[]);
        refused(r#"/\{ws.ping "x"}"#, &[]);
        refused("/", &[r"X: \{connection.uid"]);
        refused("/", &[r#"X: \{ws.ping "x"}"#]);
        refused("/", &["content-length: 5"]);
        refused("/", &["Transfer-Encoding: chunked"]);
        for method in ["", "G T", "CONNECT", "GET\r\n"] {
            assert!(method.parse::<Method>().is_err(), "{method:?}");
        }
    }

    #[test]
    fn statuses_are_codes_and_classes() {
        let some: Statuses = "200, 3xx,404".parse().unwrap();
        assert_eq!(some.to_string(), "200,3xx,404");
        for (code, has) in [
            (200, true),
            (201, false),
            (399, true),
            (404, true),
            (500, false),
        ] {
            assert_eq!(some.has(code), has, "{code}");
        }
        for text in [
            "", "x", "20", "2000", "0xx", "6xx", "200,", "-20", "200-299",
        ] {
            assert!(text.parse::<Statuses>().is_err(), "{text:?}");
        }
        assert!(Status::NotFound.is_error() && Status::Other5xx.is_error());
        assert!(!Status::Ok.is_error() && !Status::Other.is_error());
    }
}
