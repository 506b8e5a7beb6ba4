//! Builds a query's bytes from what the user writes (`example.com/A`).

use crate::units::quoted;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// RFC 1035, section 2.3.4.
const LONGEST_LABEL: usize = 63;
/// RFC 1035, section 2.3.4, with the length bytes and the root's.
const LONGEST_NAME: usize = 255;
/// Types by name; the others are written `TYPEnnn` (RFC 3597, section 5).
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("HTTPS", 65),
    ("ANY", 255),
    ("CAA", 257),
];
/// Types that a question can't have: OPT, TKEY and TSIG are not types of data (RFC 6891, 2930, 8945), and zone
/// transfers have many answers (RFC 1995, 5936).
const NOT_ASKED_FOR: &[u16] = &[0, 41, 249, 250, 251, 252];
/// The class of the Internet.
const CLASS_IN: u16 = 1;
/// Recursion desired (RFC 1035, section 4.1.1).
const RD: u16 = 0x0100;
/// The UDP payload size in an EDNS query (RFC 6891). It has no meaning over TCP; this is the value that resolvers send.
const UDP_SIZE: u16 = 1232;

/// What is wrong with a query as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// A type that has no single answer, or is no type of data.
    #[error("type {0} can't be asked for with one answer")]
    NotAskedFor(u16),
    /// This is not a type.
    #[error("{name} is not a type; these are: {types}, TYPE1 to TYPE65535", name = quoted(.0), types = type_names())]
    UnknownType(String),
    /// The name is empty.
    #[error("there is no name")]
    NoName,
    /// Two dots in a row, or a dot in front.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label of this many bytes.
    #[error("a label has {0} bytes; at most {LONGEST_LABEL} are possible")]
    LongLabel(usize),
    /// A name that takes this many bytes.
    #[error("the name takes {0} bytes; at most {LONGEST_NAME} are possible")]
    LongName(usize),
    /// A byte that needs an escape.
    #[error("byte {0} must be written \\{0:03}")]
    Unescaped(u8),
    /// A character beyond ASCII.
    #[error("only ASCII can be sent; write international names as xn--...")]
    NotAscii,
    /// A decimal number above 255 after a backslash.
    #[error("\\{0} is above 255")]
    EscapeAbove255(u32),
    /// Fewer than three digits after a backslash.
    #[error("a backslash and a digit begin a number of three digits")]
    EscapeDigits,
    /// Nothing that can be escaped after a backslash.
    #[error("a backslash is before nothing that it can escape")]
    EscapeOfNothing,
}

/// Why a query could not be read; its text is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {fault}; write it like example.com/A", name = quoted(.text))]
pub struct QueryError {
    /// The query as written.
    pub text: String,
    /// What is wrong with it.
    pub fault: QueryFault,
}

/// The types that have names.
fn type_names() -> String {
    let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A question to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Query {
    /// As it was written.
    text: String,
    /// The name as it is sent: each label after its length, then the root's zero.
    name: Vec<u8>,
    kind: u16,
}

/// The query as a message, after the length that TCP requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What to send.
    pub bytes: Vec<u8>,
    /// The offset of the id in it: two bytes, big-endian, which are zero.
    pub id_at: usize,
}

impl Query {
    /// The type that is asked for, as a number.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The message to send; with `edns`, it has an OPT record of version 0 without options (RFC 6891).
    pub fn template(&self, edns: bool) -> Template {
        let mut bytes = vec![0, 0];
        // id, flags, then how many questions, answers, authorities and additional records.
        for word in [0, RD, 1, 0, 0, u16::from(edns)] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.kind.to_be_bytes());
        bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        if edns {
            bytes.extend_from_slice(&[0, 0, 41]);
            bytes.extend_from_slice(&UDP_SIZE.to_be_bytes());
            bytes.extend_from_slice(&[0; 6]);
        }
        // At most 2 + 12 + 255 + 4 + 11.
        let length = (bytes.len() - 2) as u16;
        bytes[..2].copy_from_slice(&length.to_be_bytes());
        Template { bytes, id_at: 2 }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `NAME/TYPE`, or `NAME` alone for its A record. In the name `\.` is a dot within a label, `\DDD` the byte with
/// this decimal number, and a backslash before anything else stands for that (RFC 1035, section 5.1).
impl FromStr for Query {
    type Err = QueryError;
    fn from_str(text: &str) -> Result<Query, QueryError> {
        let wrong = |fault| QueryError {
            text: text.into(),
            fault,
        };
        let (name, kind) = match text.rsplit_once('/') {
            Some((name, kind)) if !ends_in_escape(name) => (name, kind),
            _ => (text, "A"),
        };
        Ok(Query {
            text: text.into(),
            name: name_on_the_wire(name).map_err(wrong)?,
            kind: kind_number(kind).map_err(wrong)?,
        })
    }
}

impl TryFrom<String> for Query {
    type Error = QueryError;
    fn try_from(text: String) -> Result<Query, QueryError> {
        text.parse()
    }
}

impl From<Query> for String {
    fn from(query: Query) -> String {
        query.text
    }
}

/// Whether the last backslash of `text` escapes what follows it.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|c| *c == b'\\').count() % 2 == 1
}

fn kind_number(text: &str) -> Result<u16, QueryFault> {
    let upper = text.to_ascii_uppercase();
    if let Some((_, number)) = TYPES.iter().find(|(name, _)| *name == upper) {
        return Ok(*number);
    }
    let number = upper
        .strip_prefix("TYPE")
        .filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok());
    match number {
        Some(n) if NOT_ASKED_FOR.contains(&n) => Err(QueryFault::NotAskedFor(n)),
        Some(n) => Ok(n),
        None => Err(QueryFault::UnknownType(text.into())),
    }
}

/// `name` as it is sent. A dot at its end changes nothing: all names are complete.
fn name_on_the_wire(name: &str) -> Result<Vec<u8>, QueryFault> {
    if name.is_empty() {
        return Err(QueryFault::NoName);
    }
    let mut wire = Vec::with_capacity(name.len() + 2);
    if name != "." {
        let bytes = name.as_bytes();
        let mut i = 0;
        let mut label = Vec::new();
        while i <= bytes.len() {
            match bytes.get(i) {
                None if label.is_empty() => break,
                None | Some(b'.') => {
                    if label.is_empty() {
                        return Err(QueryFault::EmptyLabel);
                    }
                    if label.len() > LONGEST_LABEL {
                        return Err(QueryFault::LongLabel(label.len()));
                    }
                    wire.push(label.len() as u8);
                    wire.append(&mut label);
                }
                Some(b'\\') => {
                    let (byte, length) = escaped(&bytes[i + 1..])?;
                    label.push(byte);
                    i += length;
                }
                Some(c) if c.is_ascii_graphic() => label.push(*c),
                Some(c) if c.is_ascii() => {
                    return Err(QueryFault::Unescaped(*c));
                }
                Some(_) => {
                    return Err(QueryFault::NotAscii);
                }
            }
            i += 1;
        }
    }
    wire.push(0);
    if wire.len() > LONGEST_NAME {
        return Err(QueryFault::LongName(wire.len()));
    }
    Ok(wire)
}

/// The byte that an escape stands for, and the number of bytes after its backslash. `rest` is what follows the
/// backslash.
fn escaped(rest: &[u8]) -> Result<(u8, usize), QueryFault> {
    match rest {
        [a, b, c, ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            let number = [a, b, c]
                .iter()
                .fold(0u32, |n, d| n * 10 + u32::from(**d - b'0'));
            u8::try_from(number)
                .map(|byte| (byte, 3))
                .map_err(|_| QueryFault::EscapeAbove255(number))
        }
        [d, ..] if d.is_ascii_digit() => Err(QueryFault::EscapeDigits),
        [c, ..] if c.is_ascii_graphic() || *c == b' ' => Ok((*c, 1)),
        _ => Err(QueryFault::EscapeOfNothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let query: Query = text.parse().unwrap_or_else(|e| panic!("{e}"));
        query.template(false).bytes
    }

    #[test]
    fn a_query_is_built_as_rfc_1035_says() {
        let mut expected = vec![0, 29];
        expected.extend([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend(b"\x07example\x03com\0");
        expected.extend([0, 28, 0, 1]);
        assert_eq!(bytes("example.com/AAAA"), expected);
        assert_eq!(bytes("example.com./aaaa"), expected);
        let query: Query = "example.com/AAAA".parse().unwrap();
        assert_eq!(query.template(false).id_at, 2);
        let edns = query.template(true).bytes;
        assert_eq!(edns[1], 40);
        assert_eq!(edns[13], 1, "one additional record");
        assert_eq!(edns[31..], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn every_type_has_its_number() {
        for (text, number) in [
            ("x/A", 1),
            ("x", 1),
            ("x/ns", 2),
            ("x/CNAME", 5),
            ("x/SOA", 6),
            ("x/PTR", 12),
            ("x/MX", 15),
            ("x/TXT", 16),
            ("x/AAAA", 28),
            ("x/SRV", 33),
            ("x/HTTPS", 65),
            ("x/ANY", 255),
            ("x/CAA", 257),
            ("x/TYPE65535", 65535),
            ("x/type15", 15),
        ] {
            assert_eq!(
                text.parse::<Query>().map(|q| q.kind()),
                Ok(number),
                "{text}"
            );
        }
    }

    #[test]
    fn names_are_read_with_their_escapes_and_limits() {
        let name = |text: &str| bytes(text)[14..].to_vec();
        assert_eq!(name("./NS")[..1], [0]);
        assert_eq!(name(r"a\.b.c/A")[..7], *b"\x03a.b\x01c\0");
        assert_eq!(name(r"\065\000\\x/A")[..6], *b"\x04A\0\\x\0");
        assert_eq!(name("0/25.2.0.192.in-addr.arpa/PTR")[..5], *b"\x040/25");
        assert_eq!(name(r"a\/b")[..5], *b"\x03a/b\0");
        let label = "a".repeat(63);
        // 3 x 64 + 62 + 1 = 255.
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&longest).len(), 255 + 4);
        for (text, why) in [
            (String::new(), "there is no name"),
            ("/A".into(), "there is no name"),
            ("a..b/A".into(), "a label is empty"),
            (".a/A".into(), "a label is empty"),
            ("../A".into(), "a label is empty"),
            (
                format!("a{label}"),
                "a label has 64 bytes; at most 63 are possible",
            ),
            (
                format!("{longest}a"),
                "the name takes 256 bytes; at most 255 are possible",
            ),
            ("exämple.com".into(), "xn--"),
            ("a b/A".into(), r"byte 32 must be written \032"),
            ("a\nb/A".into(), r"byte 10 must be written \010"),
            (r"a\256/A".into(), "above 255"),
            (r"a\25".into(), "three digits"),
            (r"a\".into(), "backslash"),
            ("example.com/".into(), "'' is not a type"),
            ("example.com/AAA".into(), "'AAA' is not a type"),
            ("example.com/TYPE".into(), "'TYPE' is not a type"),
            ("example.com/TYPE65536".into(), "not a type"),
            ("example.com/TYPE+1".into(), "not a type"),
            ("example.com/TYPE252".into(), "type 252 can't be asked for"),
        ] {
            let error = text.parse::<Query>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(
                error.contains("example.com/A") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
