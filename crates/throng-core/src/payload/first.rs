//! The first message of each connection, as far as it is the same on all: what an echo of it has to be.

use super::template::{FrameKind, Messages, Part};

/// Bytes of it that are kept: enough to tell apart what is compared.
const KEPT: usize = 512;

/// The first message of each connection, where the protocol has messages. An echo is compared with it as it arrives, in
/// pieces of any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// How it begins.
    start: Box<[u8]>,
    /// Its length in bytes; `None` if it differs between connections, or may.
    bytes: Option<u32>,
}

impl FirstMessage {
    /// The first of `messages`. `None` if nothing of it is known: it begins with what differs between connections, or
    /// with frames that are no whole message.
    pub fn of(messages: &Messages) -> Option<FirstMessage> {
        let first = messages.first.iter().chain(&messages.repeated).next()?;
        let parts = match first.parts.as_slice() {
            [Part::Frame(frame), ..] => {
                let data = matches!(frame.kind, FrameKind::Text | FrameKind::Binary);
                (data && frame.last && frame.reserved == 0).then_some(frame.payload.as_slice())?
            }
            parts => {
                let own = |part: &Part| matches!(part, Part::Frame(_) | Part::Raw(_));
                let plain = parts.iter().position(own).unwrap_or(parts.len());
                &parts[..plain]
            }
        };
        let (mut start, mut bytes) = (Vec::new(), 0);
        let mut constant = true;
        for part in parts {
            let Part::Bytes(more) = part else {
                constant = false;
                break;
            };
            bytes += more.len();
            let room = KEPT - start.len();
            start.extend_from_slice(&more[..more.len().min(room)]);
        }
        let bytes = u32::try_from(bytes).ok().filter(|_| constant);
        (bytes.is_some() || !start.is_empty()).then_some(FirstMessage {
            start: start.into(),
            bytes,
        })
    }

    /// Whether `piece` may be part of its echo, after `before` bytes that were.
    pub fn may_go_on(&self, before: u32, piece: &[u8]) -> bool {
        let rest = self.start.get(before as usize..).unwrap_or_default();
        let known = rest.len().min(piece.len());
        let end = u64::from(before) + piece.len() as u64;
        rest[..known] == piece[..known] && self.bytes.is_none_or(|bytes| end <= bytes.into())
    }

    /// Whether its echo may end after `bytes` that were part of it.
    pub fn may_end(&self, bytes: u32) -> bool {
        match self.bytes {
            Some(all) => bytes == all,
            None => bytes as usize >= self.start.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{ParseOptions, parse};

    fn first(text: &str) -> Option<FirstMessage> {
        let options = ParseOptions {
            unescape: false,
            files: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let message = parse(text.as_bytes(), &options).expect("a message");
        FirstMessage::of(&Messages {
            first: Vec::new(),
            repeated: vec![message],
        })
    }

    /// Whether `pieces` are an echo of it, as far as can be known.
    fn is_echo(first: &FirstMessage, pieces: &[&str]) -> bool {
        let mut before = 0;
        for piece in pieces {
            if !first.may_go_on(before, piece.as_bytes()) {
                return false;
            }
            before += piece.len() as u32;
        }
        first.may_end(before)
    }

    #[test]
    fn an_echo_has_the_same_bytes_and_as_many_in_any_pieces() {
        let hello = first("hello").unwrap();
        for right in [&["hello"][..], &["h", "ello"], &["hell", "", "o"]] {
            assert!(is_echo(&hello, right), "{right:?}");
        }
        for wrong in [
            &[][..],
            &["hell"],
            &["hello!"],
            &["hello", "!"],
            &["h", "allo"],
            &["HELLO"],
        ] {
            assert!(!is_echo(&hello, wrong), "{wrong:?}");
        }
        let long = "x".repeat(3 * KEPT);
        let known = first(&long).unwrap();
        assert!(is_echo(&known, &[&long[..600], &long[600..]]));
        assert!(!is_echo(&known, &[&long[1..]]));
    }

    #[test]
    fn what_differs_between_connections_is_not_compared() {
        let number = first(r"id=\{connection.uid};").unwrap();
        assert!(is_echo(&number, &["id=", "77;"]));
        assert!(!is_echo(&number, &["id"]) && !is_echo(&number, &["no=77;"]));
        assert_eq!(first(r"\{connection.uid};"), None);
    }

    #[test]
    fn frames_of_the_users_own_are_compared_if_the_first_one_is_a_message() {
        let text = first(r#"\{ws.text "hi"}\{ws.ping}"#).unwrap();
        assert!(is_echo(&text, &["hi"]) && !is_echo(&text, &["ho"]));
        let plain = first(r"hi\{ws.ping}").unwrap();
        assert!(is_echo(&plain, &["hi"]) && !is_echo(&plain, &["ho"]));
        assert_eq!(first(r"\{ws.ping}hi"), None);
    }
}
