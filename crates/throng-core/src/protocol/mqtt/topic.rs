//! Topics and texts of packets, which may have expressions of messages.

use super::counts::Qos;
use crate::payload::{Message, ParseOptions, Part, Scope, parse};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;

/// The longest string of a packet, in bytes.
const LONGEST: usize = 0xffff;

/// Why a text can't be used. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// An expression can't be read.
    #[error("{text:?}, {error}")]
    Expression {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: String,
    },
    /// It has something that can't be in it.
    #[error("{text:?}: {what} can't be in it")]
    Part {
        /// The text.
        text: String,
        /// What can't be in it.
        what: &'static str,
    },
    /// It is empty.
    #[error("{0:?} has no topic; write TOPIC or TOPIC:QOS")]
    Empty(String),
    /// It is too long.
    #[error("a text of {0} bytes is too long: at most {LONGEST} are possible")]
    Long(usize),
    /// A message can't be sent to a filter.
    #[error("{0:?} has a wildcard: messages go to one topic")]
    Wildcard(String),
    /// A wildcard that is not a whole level, or not the last one.
    #[error("{0:?} is no topic filter; + stands for a whole level, # for all at the end")]
    Filter(String),
}

/// A text that may have expressions, such as `\{connection.uid}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    written: String,
    parts: Vec<Part>,
}

impl Text {
    /// Its parts.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0.parts
    }

    /// How many different ones there are at most, over all connections.
    pub(super) fn different(&self) -> u64 {
        let of = |part: &Part| match part {
            Part::Bytes(_) => 1,
            Part::Random {
                scope: Scope::Global,
                ..
            } => 1,
            Part::Uid { modulo } | Part::Pointer { modulo } => {
                modulo.iter().map(|m| m.get()).min().unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        };
        let parts = self.0.parts.iter().map(of);
        parts.fold(1, u64::saturating_mul)
    }

    /// Whether it differs from message to message.
    pub(super) fn differs(&self) -> bool {
        let random = |part: &Part| {
            matches!(
                part,
                Part::Random {
                    scope: Scope::Message,
                    ..
                }
            )
        };
        self.0.parts.iter().any(random)
    }

    /// Whether its constant parts have one of these characters.
    fn has(&self, any: &[u8]) -> bool {
        self.0.parts.iter().any(|part| match part {
            Part::Bytes(bytes) => bytes.iter().any(|b| any.contains(b)),
            _ => false,
        })
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(written: &str) -> Result<Text, TextError> {
        let files =
            |_: &str| -> io::Result<Vec<u8>> { Err(io::Error::other("can't be part of a packet")) };
        let options = ParseOptions {
            unescape: false,
            files: &files,
        };
        let message = parse(written.as_bytes(), &options).map_err(|e| TextError::Expression {
            text: written.to_owned(),
            error: e.to_string(),
        })?;
        let text = Text(Box::new(Inner {
            written: written.to_owned(),
            parts: message.parts,
        }));
        let wrong = |what| {
            Err(TextError::Part {
                text: written.to_owned(),
                what,
            })
        };
        if written.len() > LONGEST {
            return Err(TextError::Long(written.len()));
        }
        let framed = |part: &Part| matches!(part, Part::Frame(_) | Part::Raw(_));
        if text.parts().iter().any(framed) {
            return wrong("a frame");
        }
        if (Message {
            parts: text.parts().to_vec(),
        })
        .has_marker()
        {
            return wrong("a message marker");
        }
        // A server may close the connection for it (MQTT 5.0, section 1.5.4).
        if text.has(&[0]) {
            return wrong("a null character");
        }
        Ok(text)
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;
    fn try_from(text: String) -> Result<Text, TextError> {
        text.parse()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0.written
    }
}

/// A topic with the QoS of its messages, written `TOPIC` or `TOPIC:QOS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic {
    /// The topic.
    pub topic: Text,
    /// The QoS.
    pub qos: Qos,
}

/// A topic filter with the QoS at which its messages are to arrive, written in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    /// The filter.
    pub filter: Text,
    /// The QoS.
    pub qos: Qos,
}

/// Reads `TEXT`, whose QoS is 0, or `TEXT:QOS`. A colon in a text is its own unless a QoS follows at the end.
fn with_qos(written: &str) -> Result<(Text, Qos), TextError> {
    let (text, qos) = match written.rsplit_once(':') {
        Some((text, "0")) => (text, Qos::AtMostOnce),
        Some((text, "1")) => (text, Qos::AtLeastOnce),
        Some((text, "2")) => (text, Qos::ExactlyOnce),
        _ => (written, Qos::AtMostOnce),
    };
    match text {
        "" => Err(TextError::Empty(written.to_owned())),
        text => Ok((text.parse()?, qos)),
    }
}

impl FromStr for Topic {
    type Err = TextError;

    fn from_str(written: &str) -> Result<Topic, TextError> {
        let (topic, qos) = with_qos(written)?;
        match topic.has(b"+#") {
            true => Err(TextError::Wildcard(written.to_owned())),
            false => Ok(Topic { topic, qos }),
        }
    }
}

impl Filter {
    /// Whether its messages are shared among those that subscribe (MQTT 5.0, section 4.8.2).
    pub(super) fn is_shared(&self) -> bool {
        self.filter.0.written.starts_with("$share/")
    }
}

impl FromStr for Filter {
    type Err = TextError;

    fn from_str(written: &str) -> Result<Filter, TextError> {
        let (filter, qos) = with_qos(written)?;
        let text = &filter.0.written;
        // An expression may have anything between its braces.
        let levels: Vec<&str> = match text.contains('{') {
            true => Vec::new(),
            false => text.split('/').collect(),
        };
        let wrong = |(at, level): (usize, &&str)| match *level {
            "+" => false,
            "#" => at + 1 < levels.len(),
            level => level.contains(['+', '#']),
        };
        match levels.iter().enumerate().any(wrong) {
            true => Err(TextError::Filter(written.to_owned())),
            false => Ok(Filter { filter, qos }),
        }
    }
}

macro_rules! written {
    ($($Type:ident: $text:ident;)*) => {$(
        impl fmt::Display for $Type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", self.$text.0.written, self.qos.number())
            }
        }

        impl TryFrom<String> for $Type {
            type Error = TextError;
            fn try_from(text: String) -> Result<$Type, TextError> {
                text.parse()
            }
        }

        impl From<$Type> for String {
            fn from(one: $Type) -> String {
                one.to_string()
            }
        }
    )*};
}

written! {
    Topic: topic;
    Filter: filter;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_have_its_qos_behind_it() {
        for (written, shown) in [
            ("a/b", "a/b:0"),
            ("a/b:1", "a/b:1"),
            ("a:b:2", "a:b:2"),
            ("a:3", "a:3:0"),
            (r"t/\{connection.uid}:1", r"t/\{connection.uid}:1"),
            ("$SYS/echo", "$SYS/echo:0"),
        ] {
            assert_eq!(written.parse::<Topic>().unwrap().to_string(), shown);
            assert_eq!(written.parse::<Filter>().unwrap().to_string(), shown);
        }
        assert!("#:1".parse::<Filter>().is_ok());
        assert!("+/a/+/#".parse::<Filter>().is_ok());
    }

    #[test]
    fn how_many_identifiers_there_can_be_is_known() {
        for (written, different) in [
            ("same", 1),
            (r"a\{global.re [a-z]{9}}", 1),
            (r"\{connection.uid%7}-\{connection.uid%3}", 21),
            (r"a\{connection.uid}", u64::MAX),
            (r"\{connection.re [a-z]{9}}", u64::MAX),
        ] {
            assert_eq!(written.parse::<Text>().unwrap().different(), different);
        }
    }

    #[test]
    fn what_is_no_topic_is_refused_in_one_line() {
        let long = "x".repeat(LONGEST + 1);
        for text in [
            "",
            ":1",
            r"\{connection.uid",
            r#"\{ws.text "x"}"#,
            r"\{message.marker}",
            "a\0b",
            "a/+",
            "#",
            &long,
        ] {
            let error = text.parse::<Topic>().unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        for text in ["", "a#", "#/a", "a+/b", "a\0b"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }
}
