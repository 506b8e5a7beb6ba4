//! Optional measurements on connections.

use crate::payload::{Message, written};
use crate::units::written::{As, Count};
use serde::{Deserialize, Serialize};

/// What is measured on connections, and what ends the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MeasureKeys", into = "MeasureKeys")]
pub struct Measure {
    /// The latency of messages, and how answers are recognized.
    pub message: Option<MessageLatency>,
    /// How many answers are skipped on each connection before the first one counts.
    pub skip: u32,
    /// Whether the time from when a connection was established to its first received byte is measured.
    pub first_byte: bool,
    /// Whether each message's send time and round trip are kept.
    pub samples: bool,
    /// The run ends when this is received.
    pub stop_at: Option<Vec<u8>>,
    /// Which messages count as received.
    pub counted: Counted,
    /// When the steady part of the run begins.
    pub steady_from: SteadyFrom,
}

/// How the answer to a message is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageLatency {
    /// It contains this text, which may differ between connections.
    Marker(Message),
    /// It contains a `\{message.marker}` with its send time. Another process may have sent it.
    MessageMarker,
    /// It is the whole message, echoed.
    Echo,
}

/// Which messages count as received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// All messages that the protocol delimits.
    #[default]
    All,
    /// Messages with a marker, and answers to messages. tcpkali counts so.
    Found,
}

/// When the steady part of the run begins. The result counts the traffic of that part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SteadyFrom {
    /// When all connections are established.
    #[default]
    Established,
    /// When the last attempt was started, as in tcpkali.
    Begun,
}

/// The keys of a file for what is measured.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct MeasureKeys {
    latency_marker: Option<Message>,
    message_marker: bool,
    latency_echo: bool,
    #[serde(with = "As::<Count>")]
    latency_marker_skip: u32,
    latency_first_byte: bool,
    samples: bool,
    #[serde(with = "written::bytes")]
    message_stop: Option<Vec<u8>>,
    messages_counted: Counted,
    steady_from: SteadyFrom,
}

/// Two ways to recognize an answer were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'latency-marker', 'message-marker' and 'latency-echo' exclude each other: keep one of them"
)]
pub struct MeasureError;

impl TryFrom<MeasureKeys> for Measure {
    type Error = MeasureError;
    fn try_from(keys: MeasureKeys) -> Result<Measure, MeasureError> {
        let message = match (keys.latency_marker, keys.message_marker, keys.latency_echo) {
            (Some(marker), false, false) => Some(MessageLatency::Marker(marker)),
            (None, true, false) => Some(MessageLatency::MessageMarker),
            (None, false, true) => Some(MessageLatency::Echo),
            (None, false, false) => None,
            _ => return Err(MeasureError),
        };
        Ok(Measure {
            message,
            skip: keys.latency_marker_skip,
            first_byte: keys.latency_first_byte,
            samples: keys.samples,
            stop_at: keys.message_stop,
            counted: keys.messages_counted,
            steady_from: keys.steady_from,
        })
    }
}

impl From<Measure> for MeasureKeys {
    fn from(measure: Measure) -> MeasureKeys {
        let mut keys = MeasureKeys {
            latency_marker_skip: measure.skip,
            latency_first_byte: measure.first_byte,
            samples: measure.samples,
            message_stop: measure.stop_at,
            messages_counted: measure.counted,
            steady_from: measure.steady_from,
            ..MeasureKeys::default()
        };
        match measure.message {
            Some(MessageLatency::Marker(marker)) => keys.latency_marker = Some(marker),
            Some(MessageLatency::MessageMarker) => keys.message_marker = true,
            Some(MessageLatency::Echo) => keys.latency_echo = true,
            None => {}
        }
        keys
    }
}
