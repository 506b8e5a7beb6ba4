//! Latencies of a run.

use crate::protocol::Latencies;
use crate::record::{AskedLatencies, MessagesBy, Part};
use crate::scenario::{Measure, Percentile};
use crate::stats::{Durations, Measured};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Percentiles of a duration, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
// The names of the fields say what they are.
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
    /// The fields that are lower bounds, because answers are missing.
    pub at_least: AtLeast,
}

impl Percentiles {
    /// The percentiles of `all`; `None` if it is empty.
    pub fn of(all: &Durations) -> Option<Percentiles> {
        Percentiles::with_unanswered(all, &Durations::default())
    }

    /// Those of the messages of one source: of response times, else service times, else by time stamps; `None` if it
    /// measured none.
    pub(super) fn of_messages(part: &Part) -> Option<Percentiles> {
        let mut measured = Measured::default();
        part.add_measured_to(&mut measured);
        let all = [&measured.response, &measured.service, &measured.marked];
        all.into_iter().find_map(Percentiles::of)
    }

    /// The percentiles of `answered` together with values above those of `unanswered`; `None` if both are empty.
    /// `count` is that of `answered`.
    pub fn with_unanswered(answered: &Durations, unanswered: &Durations) -> Option<Percentiles> {
        let mut all = answered.clone();
        all.merge(unanswered);
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let mut at_least = AtLeast::default();
        let mut at = |name, percent| {
            let (value, bound) = percentile(&all, unanswered, percent)?;
            at_least.set(name, bound);
            Some(us(value))
        };
        let mut percentiles = Percentiles {
            count: answered.count(),
            min_us: at("min_us", 0.0)?,
            mean_us: us(all.mean()?),
            p50_us: at("p50_us", 50.0)?,
            p90_us: at("p90_us", 90.0)?,
            p95_us: at("p95_us", 95.0)?,
            p99_us: at("p99_us", 99.0)?,
            p999_us: at("p999_us", 99.9)?,
            max_us: at("max_us", 100.0)?,
            at_least: AtLeast::default(),
        };
        at_least.set("mean_us", unanswered.count() > 0);
        percentiles.at_least = at_least;
        Some(percentiles)
    }
}

/// The value at `percent` of `all`, and whether it is only a lower bound; `None` if `all` is empty. Values of
/// `unanswered` among them took longer than recorded.
pub(super) fn percentile(
    all: &Durations,
    unanswered: &Durations,
    percent: f64,
) -> Option<(Duration, bool)> {
    let value = all.percentile(percent)?;
    // The true value of an unanswered message at or below this one may be above it.
    let bound = unanswered.min().is_some_and(|least| least <= value);
    Some((value, bound))
}

/// Which fields of [`Percentiles`] are lower bounds. In JSON a list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct AtLeast(u8);

impl AtLeast {
    const NAMES: [&'static str; 8] = [
        "min_us", "mean_us", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us",
    ];

    /// Whether the field of this name is a lower bound.
    pub fn contains(self, name: &str) -> bool {
        AtLeast::NAMES
            .iter()
            .enumerate()
            .any(|(at, known)| *known == name && self.0 & 1 << at != 0)
    }

    /// Whether no field is a lower bound.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn set(&mut self, name: &str, to: bool) {
        let at = AtLeast::NAMES.iter().position(|known| *known == name);
        self.0 |= at.map_or(0, |at| u8::from(to) << at);
    }
}

impl From<AtLeast> for Vec<String> {
    fn from(set: AtLeast) -> Vec<String> {
        let names = AtLeast::NAMES.into_iter();
        names
            .filter(|name| set.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

impl TryFrom<Vec<String>> for AtLeast {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<AtLeast, String> {
        let mut set = AtLeast::default();
        for name in names {
            set.set(&name, true);
            if !set.contains(&name) {
                return Err(format!("{name:?} is not the name of a percentile"));
            }
        }
        Ok(set)
    }
}

/// Latencies of messages and answers over the whole run; `None` for what was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From when a connection was established to its first received byte.
    pub first_byte: Option<Percentiles>,
    /// From when a message was due to its answer: how long a user would have waited. It includes the wait of messages
    /// that could not be sent at once, so a stalled server shows (no coordinated omission). Only messages at a rate are
    /// due at a time.
    pub response: Option<Percentiles>,
    /// From when a message was sent to its answer. A closed loop, and messages sent as fast as possible, have this
    /// alone: while an answer is slow they do not send, and the messages that would have waited meanwhile are not
    /// counted.
    pub service: Option<Percentiles>,
    /// From when a message was sent to the first byte of its answer (time to first byte), where the protocol says where answers
    /// begin. Those that never began are not in it.
    pub ttfb: Option<Percentiles>,
    /// Age of received message markers (`\{message.marker}`): from when the message was sent, here or elsewhere, by the
    /// sender's clock.
    pub marked: Option<Percentiles>,
    /// From when a ping was due to its pong.
    pub pong: Option<Percentiles>,
    /// The latencies of protocols.
    #[serde(flatten)]
    pub protocols: Latencies<Option<Percentiles>>,
}

impl Latency {
    /// The latencies of what was measured, and of the waits of messages without an answer. `paced` says that messages
    /// were due at times, because of a rate, a profile or a search.
    pub fn of(measured: &Measured, unanswered: &Durations, paced: bool) -> Latency {
        let answers = |answered| Percentiles::with_unanswered(answered, unanswered);
        Latency {
            first_byte: Percentiles::of(&measured.first_byte),
            response: answers(&measured.response).filter(|_| paced),
            service: answers(&measured.service),
            ttfb: Percentiles::of(&measured.ttfb),
            marked: Percentiles::of(&measured.marked),
            pong: Percentiles::with_unanswered(&measured.pong, &unanswered_pings(measured)),
            protocols: measured.protocols.map(Percentiles::of),
        }
    }
}

/// How long pings had waited that were not answered.
pub(super) fn unanswered_pings(measured: &Measured) -> Durations {
    let mut all = measured.pong_unanswered.clone();
    all.merge(&measured.pong_lost);
    all
}

/// What a latency measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyOf {
    /// From the start of an attempt to connect to its success.
    Connect,
    /// From when a connection was established to its first received byte.
    FirstByte,
    /// From when a message was due to its answer.
    Message,
    /// From when a ping was due to its pong.
    Pong,
}

/// A latency at the percentiles that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyAt {
    /// What it measures.
    pub of: LatencyOf,
    /// Number of values.
    pub count: u64,
    /// Messages without an answer. They count with their wait, which is a lower bound.
    pub unanswered: u64,
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
    /// As the user wrote it: `99.5`.
    pub percentile: String,
    /// Microseconds; `None` if none was measured.
    pub us: Option<f64>,
    /// Whether that is a lower bound, because answers are missing.
    pub at_least: bool,
}

impl LatencyAt {
    /// The latency of `answered` together with values above those of `unanswered`, at `percentiles`.
    pub fn of(
        of: LatencyOf,
        answered: &Durations,
        unanswered: &Durations,
        percentiles: &[Percentile],
    ) -> LatencyAt {
        let mut all = answered.clone();
        all.merge(unanswered);
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let at = |p: &Percentile| {
            let value = percentile(&all, unanswered, p.value());
            AtPercentile {
                percentile: p.written().to_owned(),
                us: value.map(|(value, _)| us(value)),
                at_least: value.is_some_and(|(_, bound)| bound),
            }
        };
        LatencyAt {
            of,
            count: answered.count(),
            unanswered: unanswered.count(),
            min_us: all.percentile(0.0).map(us),
            mean_us: all.mean().map(us),
            max_us: all.percentile(100.0).map(us),
            at: percentiles.iter().map(at).collect(),
        }
    }
}

/// The latency of messages, by the method that was asked for.
pub fn of_messages<'m>(asked: &AskedLatencies, measured: &'m Measured) -> &'m Durations {
    match asked.messages {
        Some(MessagesBy::TimeStamps) => &measured.marked,
        _ if measured.response.count() > 0 => &measured.response,
        // If messages were not due at a time, there is only the time since they were sent.
        _ if measured.service.count() > 0 => &measured.service,
        // None was answered.
        _ if measured.marked.count() == 0 => &measured.response,
        _ => &measured.marked,
    }
}

/// Which latencies are reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyReport {
    /// Whether the time to connect is reported, too. It is always measured.
    pub connect: bool,
    /// The percentiles; empty for [the usual ones](Percentile::usual).
    pub percentiles: Vec<Percentile>,
}

impl LatencyReport {
    /// The latencies to report of a run that measures `measure`.
    pub fn asked(&self, measure: &Measure) -> AskedLatencies {
        AskedLatencies::of(measure, self.connect, &self.percentiles)
    }
}

/// The latencies that were asked for, at the percentiles that were asked for.
pub fn latencies(
    asked: &AskedLatencies,
    measured: &Measured,
    unanswered: &Durations,
) -> Vec<LatencyAt> {
    let percentiles = match asked.percentiles.as_slice() {
        [] => &Percentile::usual(),
        some => some,
    };
    let messages = of_messages(asked, measured);
    let all_answered = Durations::default();
    // A missing time stamp is not noticed.
    let unanswered = match std::ptr::eq(messages, &measured.marked) {
        true => &all_answered,
        false => unanswered,
    };
    let unanswered_pings = unanswered_pings(measured);
    let pings = measured.pong.count() + unanswered_pings.count() > 0;
    let any = asked.messages.is_some() || messages.count() + unanswered.count() > 0;
    let all = [
        (
            asked.connect,
            LatencyOf::Connect,
            &measured.connect,
            &all_answered,
        ),
        (
            asked.first_byte,
            LatencyOf::FirstByte,
            &measured.first_byte,
            &all_answered,
        ),
        (any, LatencyOf::Message, messages, unanswered),
        (pings, LatencyOf::Pong, &measured.pong, &unanswered_pings),
    ];
    all.into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, of, answered, unanswered)| LatencyAt::of(of, answered, unanswered, percentiles))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_that_were_due_at_a_time_have_a_response_time() {
        let mut measured = Measured::default();
        assert_eq!(
            Latency::of(&measured, &Durations::default(), true),
            Latency::default()
        );
        for ms in [2, 3, 4] {
            measured.response.record(Duration::from_millis(10 * ms));
            measured.service.record(Duration::from_millis(ms));
        }
        let paced = Latency::of(&measured, &Durations::default(), true);
        let (response, service) = (paced.response.unwrap(), paced.service.unwrap());
        assert_eq!((response.count, service.count), (3, 3));
        assert!(service.min_us <= 2000.0 && service.min_us > 1980.0);
        assert!(service.min_us < service.p50_us && service.max_us < response.min_us);
        assert_eq!((paced.first_byte, paced.marked), (None, None));
        let loops = Latency::of(&measured, &Durations::default(), false);
        assert_eq!(
            (loops.response, loops.service),
            (None, Some(service)),
            "a closed loop has no due time"
        );
    }

    #[test]
    fn unanswered_messages_count_as_long_as_they_waited_and_what_they_touch_is_a_bound() {
        let (mut answered, mut unanswered) = (Durations::default(), Durations::default());
        let ms = Duration::from_millis;
        for n in 1..=98 {
            answered.record(ms(n));
        }
        unanswered.record_many(ms(2000), 2);
        let p = Percentiles::with_unanswered(&answered, &unanswered).unwrap();
        assert_eq!(p.count, 98);
        assert!(p.p95_us < 100_000.0 && p.p99_us >= 1_999_000.0, "{p:?}");
        let bounds: Vec<String> = p.at_least.into();
        assert_eq!(bounds, ["mean_us", "p99_us", "p999_us", "max_us"]);
        let written = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Percentiles>(&written).unwrap(), p);
        // One that was cut off early may have taken longer than all others.
        unanswered.record(ms(50));
        let p = Percentiles::with_unanswered(&answered, &unanswered).unwrap();
        assert!(p.at_least.contains("p90_us") && !p.at_least.contains("min_us"));
        // None at all is a bound, too.
        let p = Percentiles::with_unanswered(&Durations::default(), &unanswered).unwrap();
        assert_eq!(p.count, 0);
        assert!(p.at_least.contains("p50_us"));
    }
}
