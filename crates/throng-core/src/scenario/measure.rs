//! What is measured on connections besides what always is.

use crate::payload::{Message, written};
use crate::units::written::{As, Count};
use serde::{Deserialize, Serialize};

/// What is measured on connections, and what ends the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MeasureKeys", into = "MeasureKeys")]
pub struct Measure {
    /// The latency of messages, and how an answer is known.
    pub message: Option<MessageLatency>,
    /// How many answers are passed over on each connection before the first one counts.
    pub skip: u32,
    /// From when a connection was established to the first byte on it.
    pub first_byte: bool,
    /// Each message's time and round trip, for who writes them down.
    pub samples: bool,
    /// The run ends when this is received.
    pub stop_at: Option<Vec<u8>>,
    /// Which messages count as received.
    pub counted: Counted,
    /// When the steady part of the run begins.
    pub steady_from: SteadyFrom,
}

/// How the answer to a message is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageLatency {
    /// This is in it: a text that may be another one for each connection, as a message may.
    Marker(Message),
    /// It has a `\{message.marker}`, which says when it was sent. That can be another process's
    /// message.
    MessageMarker,
    /// It is what was sent, in full.
    Echo,
}

/// Which messages count as received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// As many as the protocol tells apart.
    #[default]
    All,
    /// Those with a marker, or that answer one that was sent. It is how tcpkali counts.
    Found,
}

/// When the steady part of the run begins, over which traffic is counted for the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SteadyFrom {
    /// When all connections are established.
    #[default]
    Established,
    /// When the last one has been begun. It is what tcpkali does.
    Begun,
}

/// What is measured, as it stands in a file.
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

/// Two ways to know an answer.
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
