//! How long things took.

use crate::record::{AskedLatencies, MessagesBy};
use crate::scenario::{Measure, Percentile};
use crate::stats::{Durations, Measured};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Percentiles of a duration, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
// The names say it: there is nothing to add.
#[allow(missing_docs)]
pub struct Percentiles {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Percentiles {
    /// Those of `all`, or `None` if there are none.
    pub fn of(all: &Durations) -> Option<Percentiles> {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let at = |p| all.percentile(p).map(us);
        Some(Percentiles {
            count: all.count(),
            min_us: us(all.min()?),
            mean_us: us(all.mean()?),
            p50_us: at(50.0)?,
            p90_us: at(90.0)?,
            p95_us: at(95.0)?,
            p99_us: at(99.0)?,
            p999_us: at(99.9)?,
            max_us: at(100.0)?,
        })
    }
}

/// What was measured of messages and answers over the whole run; `None` for what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From when a connection came up to the first byte that came on it.
    pub first_byte: Option<Percentiles>,
    /// From when a message was due to its answer. It is what a user would have waited who came when the
    /// message was due: the wait of messages that could not be sent at once is in it, so a server that
    /// stalls is not flattered (no coordinated omission). Only messages at a rate are due at a time.
    pub response: Option<Percentiles>,
    /// From when a message was sent to its answer. A closed loop, and messages as fast as they go, have
    /// this alone: while one answer is slow they don't send, and the messages that would have waited
    /// meanwhile are not counted.
    pub service: Option<Percentiles>,
    /// Age of message markers (`\{message.marker}`) that came in: from when the message was sent, here or
    /// elsewhere, by the clock of whoever sent it.
    pub marked: Option<Percentiles>,
}

impl Latency {
    /// From what was measured. `paced`: messages were due at times, because a rate or a profile was asked
    /// for, or searched for.
    pub fn of(measured: &Measured, paced: bool) -> Latency {
        Latency {
            first_byte: Percentiles::of(&measured.first_byte),
            response: Percentiles::of(&measured.response).filter(|_| paced),
            service: Percentiles::of(&measured.service),
            marked: Percentiles::of(&measured.marked),
        }
    }
}

/// What a latency is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyOf {
    /// From the start of an attempt to connect to its success.
    Connect,
    /// From a connection's coming up to the first byte on it.
    FirstByte,
    /// From when a message was due to its answer.
    Message,
}

/// A latency at the percentiles that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyAt {
    /// What it is of.
    pub of: LatencyOf,
    /// How many were measured.
    pub count: u64,
    /// The least, in microseconds; `None` if none was measured.
    pub min_us: Option<f64>,
    /// The mean.
    pub mean_us: Option<f64>,
    /// The greatest.
    pub max_us: Option<f64>,
    /// At each percentile, in the order in which they were asked for.
    pub at: Vec<AtPercentile>,
}

/// One percentile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtPercentile {
    /// As it was written: `99.5`.
    pub percentile: String,
    /// Microseconds; `None` if none was measured.
    pub us: Option<f64>,
}

impl LatencyAt {
    /// That of `all` at `percentiles`.
    pub fn of(of: LatencyOf, all: &Durations, percentiles: &[Percentile]) -> LatencyAt {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        LatencyAt {
            of,
            count: all.count(),
            min_us: all.percentile(0.0).map(us),
            mean_us: all.mean().map(us),
            max_us: all.percentile(100.0).map(us),
            at: percentiles
                .iter()
                .map(|p| AtPercentile {
                    percentile: p.written().to_owned(),
                    us: all.percentile(p.value()).map(us),
                })
                .collect(),
        }
    }
}

/// The latency of messages, by whichever means it was asked to be known.
pub fn of_messages<'m>(asked: &AskedLatencies, measured: &'m Measured) -> &'m Durations {
    match asked.messages {
        Some(MessagesBy::TimeStamps) => &measured.marked,
        _ if measured.response.count() > 0 => &measured.response,
        // Without a time at which messages were due there is only the time from sending.
        _ if measured.service.count() > 0 => &measured.service,
        _ => &measured.marked,
    }
}

/// Which latencies are reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyReport {
    /// That of connecting, too, which is measured in any case.
    pub connect: bool,
    /// At which percentiles; empty for [the usual ones](Percentile::usual).
    pub percentiles: Vec<Percentile>,
}

impl LatencyReport {
    /// The latencies of a run that measures these, as this reports them.
    pub fn asked(&self, measure: &Measure) -> AskedLatencies {
        AskedLatencies::of(measure, self.connect, &self.percentiles)
    }
}

/// The latencies that were asked for, at the percentiles asked for.
pub fn latencies(asked: &AskedLatencies, measured: &Measured) -> Vec<LatencyAt> {
    let percentiles = match asked.percentiles.as_slice() {
        [] => &Percentile::usual(),
        some => some,
    };
    let messages = of_messages(asked, measured);
    let all = [
        (asked.connect, LatencyOf::Connect, &measured.connect),
        (asked.first_byte, LatencyOf::FirstByte, &measured.first_byte),
        (
            asked.messages.is_some() || messages.count() > 0,
            LatencyOf::Message,
            messages,
        ),
    ];
    all.into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, of, durations)| LatencyAt::of(of, durations, percentiles))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_that_were_due_at_a_time_have_a_response_time() {
        let mut measured = Measured::default();
        assert_eq!(Latency::of(&measured, true), Latency::default());
        for ms in [2, 3, 4] {
            measured.response.record(Duration::from_millis(10 * ms));
            measured.service.record(Duration::from_millis(ms));
        }
        let paced = Latency::of(&measured, true);
        let (response, service) = (paced.response.unwrap(), paced.service.unwrap());
        assert_eq!((response.count, service.count), (3, 3));
        assert!(service.min_us <= 2000.0 && service.min_us > 1980.0);
        assert!(service.min_us < service.p50_us && service.max_us < response.min_us);
        assert_eq!((paced.first_byte, paced.marked), (None, None));
        let loops = Latency::of(&measured, false);
        assert_eq!(
            (loops.response, loops.service),
            (None, Some(service)),
            "a closed loop has no due time"
        );
    }
}
