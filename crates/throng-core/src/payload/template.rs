//! Messages as the user asks for them, made of parts. Plain data, made by [`parse`](super::parse()) or by hand.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// The messages of a scenario, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Messages {
    /// Sent once each when a connection opens.
    pub first: Vec<Message>,
    /// Sent in turn, repeatedly.
    pub repeated: Vec<Message>,
}

impl Messages {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.repeated.is_empty()
    }

    /// Whether any repeated message has a part that can produce bytes.
    pub fn repeats_something(&self) -> bool {
        self.repeated.iter().any(Message::says_something)
    }
}

impl Messages {
    /// An estimate of the mean size of a repeated message, in bytes; 0 if there are none. Parts that differ count as a
    /// word.
    pub fn about_bytes(&self) -> u64 {
        let all: u64 = self.repeated.iter().map(|m| about(&m.parts)).sum();
        all / (self.repeated.len() as u64).max(1)
    }
}

/// The assumed size of a part that differs, in bytes.
const WORD: u64 = 10;

fn about(parts: &[Part]) -> u64 {
    let bytes = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.len() as u64,
        Part::Frame(frame) => about(&frame.payload) + WORD,
        Part::Raw(parts) => about(parts),
        Part::Sized(_, parts) => about(parts) + WORD,
        _ => WORD,
    };
    parts.iter().map(bytes).sum()
}

/// A message: a sequence of parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The parts, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// Whether it has a part that can produce bytes.
    pub fn says_something(&self) -> bool {
        let empty = |part: &Part| matches!(part, Part::Bytes(bytes) if bytes.is_empty());
        !self.parts.iter().all(empty)
    }

    /// A message of `parts`. Adjacent bytes become one part.
    pub fn joined(parts: impl IntoIterator<Item = Part>) -> Message {
        let mut all: Vec<Part> = Vec::new();
        for part in parts {
            match (all.last_mut(), part) {
                (Some(Part::Bytes(before)), Part::Bytes(more)) => before.extend(more),
                (_, part) => all.push(part),
            }
        }
        Message { parts: all }
    }

    /// Its bytes, if it is constant.
    pub fn constant(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => all.extend_from_slice(bytes),
                _ => return None,
            }
        }
        Some(all)
    }

    /// The message with frames around everything that [`Framing`] would put into text frames over WebSocket. Several
    /// such messages can be joined into one and are still separate messages on the wire.
    pub fn framed(self) -> Message {
        let says = |part: &Part| !matches!(part, Part::Bytes(bytes) if bytes.is_empty());
        let mut parts = Vec::new();
        let mut plain: Vec<Part> = Vec::new();
        let end_plain = |plain: &mut Vec<Part>, parts: &mut Vec<Part>| {
            if plain.iter().any(says) {
                parts.push(Part::Frame(Frame::text(std::mem::take(plain))));
            }
            plain.clear();
        };
        for part in self.parts {
            match part {
                Part::Frame(_) | Part::Raw(_) | Part::Sized(..) => {
                    end_plain(&mut plain, &mut parts);
                    parts.push(part);
                }
                part => plain.push(part),
            }
        }
        end_plain(&mut plain, &mut parts);
        if parts.is_empty() {
            parts.push(Part::Frame(Frame::text(Vec::new())));
        }
        Message { parts }
    }

    /// Whether it contains a marker with its send time.
    pub fn has_marker(&self) -> bool {
        Part::Marker.is_in(&self.parts)
    }
}

impl From<Vec<u8>> for Message {
    /// A constant message.
    fn from(bytes: Vec<u8>) -> Message {
        Message {
            parts: vec![Part::Bytes(bytes)],
        }
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Constant bytes.
    Bytes(Vec<u8>),
    /// The connection's number, in decimal: [`Speaker::uid`](super::Speaker::uid).
    Uid {
        /// Numbers to take the remainder by, one after another.
        modulo: Vec<NonZeroU64>,
    },
    /// Another number unique to the connection, written like an address: `0x` and hexadecimal digits. A remainder of it
    /// is decimal.
    Pointer {
        /// As for [`Part::Uid`].
        modulo: Vec<NonZeroU64>,
    },
    /// Random bytes that match a regular expression.
    Random {
        /// How long a drawn string stays the same.
        scope: Scope,
        /// The expression, in the syntax of [`Regex`](super::Regex).
        regex: String,
    },
    /// `TCPKaliMsgTS-`, 16 lower-case hexadecimal digits (microseconds since 1970), `.`
    Marker,
    /// Two bytes, the higher one first: the message's id, [`Speaker::message_id`](super::Speaker::message_id). There
    /// is no expression for it: protocols build messages of their own from it.
    MessageId,
    /// `#`, and eight lower-case hexadecimal digits, with a full stop behind them, each of the run's seed, the connection's
    /// number, and how many messages it sent before: [`Speaker::number`](super::Speaker::number). There is no expression for
    /// it: protocols build messages of their own from it.
    Number,
    /// A WebSocket frame of its own.
    Frame(Frame),
    /// Bytes that are not put into a WebSocket frame.
    Raw(Vec<Part>),
    /// The number of bytes of these parts, and the parts. There is no expression for it: protocols build messages of their
    /// own from it.
    Sized(Size, Vec<Part>),
}

/// How a number of bytes is written before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// In decimal, with two line ends: the value of an HTTP message's last field, `Content-Length`, before its body.
    Decimal,
    /// As two bytes, the higher one first: a string of MQTT (MQTT 5.0, section 1.5.4).
    TwoBytes,
    /// As one to four bytes with seven bits each, the lowest first: the rest of an MQTT packet (section 1.5.5).
    Varint,
}

impl Size {
    /// The greatest number of bytes that can be written so.
    pub const fn most(self) -> u64 {
        match self {
            Size::Decimal => u64::MAX,
            Size::TwoBytes => 0xffff,
            Size::Varint => 0x0fff_ffff,
        }
    }
}

impl Part {
    /// Whether it is one of `parts`, or of what they hold.
    fn is_in(&self, parts: &[Part]) -> bool {
        parts.iter().any(|part| match part {
            Part::Frame(frame) => self.is_in(&frame.payload),
            Part::Raw(parts) | Part::Sized(_, parts) => self.is_in(parts),
            other => self == other,
        })
    }
}

/// How long a random string stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For one message.
    Message,
    /// For all messages of a connection.
    Connection,
    /// For the whole run.
    Global,
}

/// A WebSocket frame (RFC 6455 5.2), sent as it is asked for, even against the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What kind it is.
    pub kind: FrameKind,
    /// Whether it ends its message (FIN).
    pub last: bool,
    /// The reserved bits that are set: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub reserved: u8,
    /// What it carries. Frames and [`Part::Raw`] inside count as what they hold.
    pub payload: Vec<Part>,
}

impl Frame {
    /// A whole text message.
    fn text(payload: Vec<Part>) -> Frame {
        Frame {
            kind: FrameKind::Text,
            last: true,
            reserved: 0,
            payload,
        }
    }
}

/// The kinds of WebSocket frames (RFC 6455 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The message goes on.
    Continuation = 0,
    /// A text message, or its beginning.
    Text = 1,
    /// A binary message, or its beginning.
    Binary = 2,
    /// The connection ends.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

/// What goes around messages. It is here and not with the WebSocket protocol, because frames are part of the language
/// of messages (`\{ws.text …}`), whatever connections speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Nothing. Frames that a message asks for are masked, as those of a client.
    #[default]
    Raw,
    /// WebSocket frames of a client, masked.
    WebSocketClient,
    /// WebSocket frames of a server.
    WebSocketServer,
}
