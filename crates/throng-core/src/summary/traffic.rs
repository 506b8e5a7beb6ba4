//! The traffic over the connections.

use super::per_s;
use crate::protocol::ProtocolKind;
use crate::record::Asked;
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The traffic over the connections, seen from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Whole messages sent.
    pub messages_sent: u64,
    /// Messages that were due but unsent when their connection closed.
    pub messages_unsent: u64,
    /// Whole replies (echoes) received, in a closed loop.
    pub replies: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Sends that completed.
    pub writes: u64,
    /// Reads that returned bytes.
    pub reads: u64,
}

impl Traffic {
    /// From the counts of a side.
    pub fn of(tally: &Tally) -> Traffic {
        Traffic {
            messages_sent: tally.messages_sent,
            messages_unsent: tally.messages_unsent,
            replies: tally.messages_received,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            writes: tally.writes,
            reads: tally.reads,
        }
    }
}

/// The traffic from when all connections were established to the end of the hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steady {
    /// The length of that time.
    pub seconds: f64,
    /// Connections that were open at its end and that this side had opened.
    pub opened: u64,
    /// Connections that were open at its end and that this process had accepted.
    pub accepted: u64,
    /// The traffic of opened connections.
    pub traffic: Traffic,
    /// The traffic of accepted connections.
    pub accepted_traffic: Option<Traffic>,
    /// Whether messages had markers. Then received messages are counted by their markers.
    pub marked: bool,
}

/// Messages of a run that has a number of them in all (`--requests`). `sent` + `unsent` = `asked`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Asked for.
    pub asked: u64,
    /// Sent; over HTTP those that were begun, which completed, failed, or were cut off by the end of the run.
    pub sent: u64,
    /// Not sent before the run ended.
    pub unsent: u64,
    /// From the beginning of the run, with its opening, to the last answer; or to its end, if not all were sent.
    pub seconds: f64,
    /// `sent` per second of that time.
    pub per_s: f64,
}

impl Requests {
    /// What became of the number in `asked` in this time; `closed` are the counts of opened connections after closing. `None`
    /// without a number.
    pub fn of(asked: &Asked, closed: &Tally, seconds: f64) -> Option<Requests> {
        let all = asked.requests?;
        let sent = asked.protocol.requested(closed);
        Some(Requests {
            asked: all,
            sent,
            unsent: all.saturating_sub(sent),
            seconds,
            per_s: per_s(sent as f64, seconds),
        })
    }
}

/// Answers to messages, where answers are looked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Messages whose answers were looked for: received + unanswered + cut_off, once the run is over.
    pub asked: u64,
    /// Answers that were received.
    pub received: u64,
    /// Answers received per second of the hold, or of [`Requests::seconds`] where a number of messages was asked for; `None`
    /// without either.
    pub per_s: Option<f64>,
    /// Messages without an answer when their connection closed.
    pub unanswered: u64,
    /// Messages without an answer that `--duration`, an interrupt or the end of a lifetime cut off less than a second
    /// after they were sent.
    pub cut_off: u64,
    /// Answers that match no message.
    pub unasked: u64,
    /// Answers that report an error, such as a DNS rcode other than 0. They are among `received`.
    pub with_error: u64,
    /// The number of answers with each error, by its name.
    pub errors: BTreeMap<String, u64>,
}

/// Pings and their pongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pings {
    /// Pings that were sent: answered + unanswered.
    pub sent: u64,
    /// Pings that were answered, each by a pong with its payload or that of a later ping.
    pub answered: u64,
    /// Pings without a pong when their connection closed, or 255 pings later.
    pub unanswered: u64,
    /// Pongs that belong to no ping that waited for one.
    pub unasked: u64,
}

impl Pings {
    /// From a side's counts; `None` if no ping was sent.
    pub fn of(tally: &Tally) -> Option<Pings> {
        (tally.pings > 0).then_some(Pings {
            sent: tally.pings,
            answered: tally.pongs,
            unanswered: tally.pings_unanswered,
            unasked: tally.pongs_unasked,
        })
    }
}

impl Answers {
    /// Messages that wait for their answer: while the run goes on.
    pub fn waiting(&self) -> u64 {
        let ended = self.received + self.unanswered + self.cut_off;
        self.asked.saturating_sub(ended)
    }

    /// From a side's counts, `unanswered` of which count as that.
    pub fn of(tally: &Tally, unanswered: u64, per_s: Option<f64>) -> Answers {
        let errors: BTreeMap<String, u64> = ProtocolKind::ALL
            .iter()
            .flat_map(|kind| kind.answers_with_error(tally))
            .collect();
        Answers {
            asked: tally.questions,
            received: tally.answers,
            per_s,
            unanswered,
            cut_off: tally.messages_unanswered.saturating_sub(unanswered),
            unasked: tally.answers_unasked,
            with_error: errors.values().sum(),
            errors,
        }
    }
}
