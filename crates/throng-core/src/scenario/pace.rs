//! When messages are sent, and how fast connections are read.

use super::bounds;
use super::latency::Percentile;
use crate::pacing::{Profile, Spacing};
use crate::units::written::{As, Maybe, Span, rate_text};
use crate::units::{Bandwidth, Rate, UnitError};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When messages are sent, and how fast connections are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PaceKeys", into = "PaceKeys")]
pub struct Pace {
    /// When repeated messages are sent.
    pub sending: Sending,
    /// Messages in all, after whose answers the run ends; `None` for as many as it has time for. First messages are not
    /// counted.
    pub requests: Option<u32>,
    /// How fast each connection is read; 0 never reads. `None` for as fast as data arrives.
    pub downstream: Option<Bandwidth>,
    /// Delay before a connection's first message.
    pub delay: Duration,
    /// Whether nothing is sent until all connections are established.
    pub after_ramp: bool,
    /// Which messages share a write.
    pub writes: Writes,
}

/// When repeated messages are sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sending {
    /// As fast as the kernel accepts them.
    #[default]
    Flood,
    /// At this rate on each connection.
    PerConnection(Rate),
    /// Bytes at this rate on each connection, however long messages are.
    Bandwidth(Bandwidth),
    /// After the whole echo of the message before.
    ClosedLoop {
        /// Messages in flight at once, over all connections; `None` for one on each.
        in_flight: Option<u32>,
    },
    /// Messages of the whole run, each on the next connection (`--rate`, `--profile`).
    WholeRun {
        /// The rate.
        rate: RunRate,
        /// Their spacing over time.
        arrivals: Arrivals,
    },
    /// At the highest rate that keeps latency under a bound, which is searched for (`-r @10ms`).
    Search(Search),
}

impl Sending {
    /// The message rate of the whole run, if that is what is given.
    pub fn run_rate(&self) -> Option<&RunRate> {
        match self {
            Sending::WholeRun { rate, .. } => Some(rate),
            _ => None,
        }
    }

    /// The search for a rate, if there is one.
    pub fn search(&self) -> Option<&Search> {
        match self {
            Sending::Search(search) => Some(search),
            _ => None,
        }
    }

    /// The message rate of each connection, if that is what is given.
    pub fn per_connection(&self) -> Option<Rate> {
        match self {
            Sending::PerConnection(rate) => Some(*rate),
            _ => None,
        }
    }

    /// The bandwidth of each connection, if that is what is given.
    pub fn bandwidth(&self) -> Option<Bandwidth> {
        match self {
            Sending::Bandwidth(bandwidth) => Some(*bandwidth),
            _ => None,
        }
    }

    /// Whether a message waits for the echo of the one before.
    pub fn is_closed_loop(&self) -> bool {
        matches!(self, Sending::ClosedLoop { .. })
    }
}

/// The message rate of a whole run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunRate {
    /// A constant rate.
    Constant(Rate),
    /// Steps and ramps.
    Profile(Profile),
    /// Lines `<duration_ms> <rate>`, read from stdin during the run.
    Stdin,
}

impl RunRate {
    /// The highest rate, in messages per second; `None` if it is not known before the run.
    pub fn highest(&self) -> Option<f64> {
        match self {
            RunRate::Constant(rate) => Some(rate.get()),
            RunRate::Profile(profile) => {
                let ends = profile.pieces().iter().map(|p| p.from().max(p.to()));
                Some(ends.fold(0.0, f64::max))
            }
            RunRate::Stdin => None,
        }
    }
}

/// The spacing of the messages of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At even intervals.
    #[default]
    Uniform,
    /// At random, as from many independent users.
    Poisson,
}

impl Arrivals {
    /// The spacing, with the random seed `seed`.
    pub fn spacing(self, seed: u64) -> Spacing {
        match self {
            Arrivals::Uniform => Spacing::Uniform,
            Arrivals::Poisson => Spacing::Poisson { seed },
        }
    }
}

/// Which messages share a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    /// Messages that are due together.
    #[default]
    Combined,
    /// None: each message has a write of its own.
    Single,
    /// None if messages are due at a time. If they are sent as fast as possible, as many as fill a packet. tcpkali does
    /// so with `--write-combine off`.
    Packets,
}

/// A search for the highest message rate at which message latency stays under a bound. Written `@10ms` or
/// `@10ms:p99`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The bound.
    pub under: Duration,
    /// The percentile of latency that must not exceed it.
    pub percentile: f64,
    /// The bound as the user wrote it, for the result.
    pub written: String,
    /// The longest time to search, once all connections are established; `None` for until a rate is found.
    pub at_most: Option<Duration>,
}

impl Search {
    /// The default percentile.
    const USUAL: f64 = 95.0;
}

/// An objective for latency, below which the highest rate is searched for: `p99<10ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective(pub Search);

impl FromStr for Objective {
    type Err = MessageRateError;
    fn from_str(text: &str) -> Result<Objective, MessageRateError> {
        let parts = text
            .split_once('<')
            .map(|(of, bound)| (of.trim(), bound.trim()));
        let Some((Some(digits), written)) = parts.map(|(of, bound)| (of.strip_prefix('p'), bound))
        else {
            return Err(MessageRateError::Objective);
        };
        Ok(Objective(Search {
            under: bounds::positive(written)?,
            percentile: Percentile::parse(digits)?.value(),
            written: written.to_owned(),
            at_most: None,
        }))
    }
}

/// `-r`: a rate on each connection, or the latency under which to find the highest one.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageRate {
    /// Messages per second on each connection.
    Fixed(Rate),
    /// `@10ms` or `@10ms:p99`.
    Under(Search),
}

/// Why the text of a [`MessageRate`] could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageRateError {
    /// The rate, or the latency after `@`.
    #[error(transparent)]
    Number(#[from] UnitError),
    /// An [`Objective`] is written otherwise.
    #[error("a percentile and a time are needed, such as 'p99<10ms'")]
    Objective,
    /// The percentile after `:`.
    #[error(transparent)]
    Percentile(#[from] super::latency::PercentileError),
}

impl FromStr for MessageRate {
    type Err = MessageRateError;
    fn from_str(text: &str) -> Result<MessageRate, MessageRateError> {
        let Some(bound) = text.strip_prefix('@') else {
            return Ok(MessageRate::Fixed(text.parse()?));
        };
        let (written, percentile) = match bound.split_once(':') {
            None => (bound, Search::USUAL),
            Some((written, percentile)) => {
                let digits = percentile.strip_prefix('p').unwrap_or(percentile);
                (written, Percentile::parse(digits)?.value())
            }
        };
        Ok(MessageRate::Under(Search {
            under: bounds::positive(written)?,
            percentile,
            written: written.to_owned(),
            at_most: None,
        }))
    }
}

impl fmt::Display for MessageRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageRate::Fixed(rate) => f.write_str(&rate_text(rate.get())),
            MessageRate::Under(search) if search.percentile == Search::USUAL => {
                write!(f, "@{}", search.written)
            }
            MessageRate::Under(search) => {
                write!(f, "@{}:p{}", search.written, search.percentile)
            }
        }
    }
}

impl Serialize for MessageRate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            MessageRate::Fixed(rate) => rate.serialize(to),
            MessageRate::Under(_) => to.serialize_str(&self.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for MessageRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<MessageRate, D::Error> {
        struct Reads;
        impl Visitor<'_> for Reads {
            type Value = MessageRate;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a rate such as 250 or \"20k\", or a latency such as \"@10ms\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<MessageRate, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<MessageRate, E> {
                self.visit_str(&n.to_string())
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<MessageRate, E> {
                self.visit_str(&n.to_string())
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<MessageRate, E> {
                self.visit_str(&n.to_string())
            }
        }
        from.deserialize_any(Reads)
    }
}

/// A profile as text, or `-` for stdin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
enum ProfileText {
    Profile(Profile),
    Stdin,
}

impl TryFrom<String> for ProfileText {
    type Error = crate::pacing::ProfileError;
    fn try_from(text: String) -> Result<ProfileText, Self::Error> {
        match text.as_str() {
            "-" => Ok(ProfileText::Stdin),
            text => text.parse().map(ProfileText::Profile),
        }
    }
}

impl From<ProfileText> for String {
    fn from(text: ProfileText) -> String {
        match text {
            ProfileText::Profile(profile) => profile.to_string(),
            ProfileText::Stdin => "-".into(),
        }
    }
}

/// The keys of a file for the pace: the options' names.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct PaceKeys {
    message_rate: Option<MessageRate>,
    #[serde(with = "Maybe::<bounds::Positive>")]
    search_for: Option<Duration>,
    closed_loop: bool,
    #[serde(with = "Maybe::<bounds::Connections>")]
    in_flight: Option<u32>,
    rate: Option<Rate>,
    profile: Option<ProfileText>,
    arrivals: Option<Arrivals>,
    #[serde(with = "Maybe::<bounds::Upstream>")]
    channel_bandwidth_upstream: Option<Bandwidth>,
    channel_bandwidth_downstream: Option<Bandwidth>,
    #[serde(with = "Maybe::<bounds::Requests>")]
    requests: Option<u32>,
    #[serde(with = "As::<Span>")]
    delay_send: Duration,
    after_ramp: bool,
    writes: Writes,
}

/// Why the keys of a pace contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// Two ways to say when messages are sent.
    #[error("'{0}' and '{1}' exclude each other: keep one of them")]
    Both(&'static str, &'static str),
    /// A key that needs another one.
    #[error("'{0}' needs {1}")]
    Alone(&'static str, &'static str),
}

impl TryFrom<PaceKeys> for Pace {
    type Error = PaceError;
    fn try_from(keys: PaceKeys) -> Result<Pace, PaceError> {
        let given = [
            (keys.message_rate.is_some(), "message-rate"),
            (keys.closed_loop, "closed-loop"),
            (keys.rate.is_some(), "rate"),
            (keys.profile.is_some(), "profile"),
            (
                keys.channel_bandwidth_upstream.is_some(),
                "channel-bandwidth-upstream",
            ),
        ];
        let mut ways = given.iter().filter(|(given, _)| *given);
        if let (Some((_, one)), Some((_, other))) = (ways.next(), ways.next()) {
            return Err(PaceError::Both(one, other));
        }
        let searches = matches!(keys.message_rate, Some(MessageRate::Under(_)));
        let whole_run = keys.rate.is_some() || keys.profile.is_some();
        let alone = [
            (
                keys.in_flight.is_some() && !keys.closed_loop,
                "in-flight",
                "closed-loop = true",
            ),
            (
                keys.arrivals.is_some() && !whole_run,
                "arrivals",
                "'rate' or 'profile'",
            ),
            (
                keys.search_for.is_some() && !searches,
                "search-for",
                "message-rate = \"@LATENCY\"",
            ),
        ];
        if let Some((_, key, needs)) = alone.into_iter().find(|(alone, ..)| *alone) {
            return Err(PaceError::Alone(key, needs));
        }
        let run = |rate| Sending::WholeRun {
            rate,
            arrivals: keys.arrivals.unwrap_or_default(),
        };
        let sending = match (keys.message_rate, keys.rate, keys.profile) {
            (Some(MessageRate::Fixed(rate)), ..) => Sending::PerConnection(rate),
            (Some(MessageRate::Under(search)), ..) => Sending::Search(Search {
                at_most: keys.search_for,
                ..search
            }),
            (_, Some(rate), _) => run(RunRate::Constant(rate)),
            (.., Some(ProfileText::Profile(profile))) => run(RunRate::Profile(profile)),
            (.., Some(ProfileText::Stdin)) => run(RunRate::Stdin),
            (None, None, None) => match keys.channel_bandwidth_upstream {
                Some(bandwidth) => Sending::Bandwidth(bandwidth),
                None if keys.closed_loop => Sending::ClosedLoop {
                    in_flight: keys.in_flight,
                },
                None => Sending::Flood,
            },
        };
        Ok(Pace {
            sending,
            requests: keys.requests,
            downstream: keys.channel_bandwidth_downstream,
            delay: keys.delay_send,
            after_ramp: keys.after_ramp,
            writes: keys.writes,
        })
    }
}

impl From<Pace> for PaceKeys {
    fn from(pace: Pace) -> PaceKeys {
        let mut keys = PaceKeys {
            channel_bandwidth_downstream: pace.downstream,
            requests: pace.requests,
            delay_send: pace.delay,
            after_ramp: pace.after_ramp,
            writes: pace.writes,
            ..PaceKeys::default()
        };
        match pace.sending {
            Sending::Flood => {}
            Sending::PerConnection(rate) => keys.message_rate = Some(MessageRate::Fixed(rate)),
            Sending::Bandwidth(bandwidth) => keys.channel_bandwidth_upstream = Some(bandwidth),
            Sending::ClosedLoop { in_flight } => {
                keys.closed_loop = true;
                keys.in_flight = in_flight;
            }
            Sending::WholeRun { rate, arrivals } => {
                keys.arrivals = (arrivals != Arrivals::default()).then_some(arrivals);
                match rate {
                    RunRate::Constant(rate) => keys.rate = Some(rate),
                    RunRate::Profile(profile) => {
                        keys.profile = Some(ProfileText::Profile(profile));
                    }
                    RunRate::Stdin => keys.profile = Some(ProfileText::Stdin),
                }
            }
            Sending::Search(search) => {
                keys.search_for = search.at_most;
                keys.message_rate = Some(MessageRate::Under(search));
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_rate_is_a_rate_or_a_latency_to_stay_under() {
        let under = |under, percentile, written: &str| {
            MessageRate::Under(Search {
                under,
                percentile,
                written: written.into(),
                at_most: None,
            })
        };
        let ms = Duration::from_millis;
        for (text, rate) in [
            ("0.1", Rate::per_second(0.1).map(MessageRate::Fixed)),
            ("20k", Rate::per_second(20_000.0).map(MessageRate::Fixed)),
            ("@100ms", Some(under(ms(100), 95.0, "100ms"))),
            ("@2", Some(under(ms(2000), 95.0, "2"))),
            ("@0.5s:p99.9", Some(under(ms(500), 99.9, "0.5s"))),
            ("@5ms:p50", Some(under(ms(5), 50.0, "5ms"))),
            ("@", None),
            ("@0", None),
            ("@5ms:", None),
            ("@5ms:p101", None),
            ("@5ms:p99:p5", None),
            ("0", None),
            ("5ms", None),
        ] {
            let read = text.parse::<MessageRate>().ok();
            if let Some(read) = &read {
                assert_eq!(read.to_string(), text);
            }
            assert_eq!(read, rate, "{text}");
        }
        assert_eq!("@5ms:50".parse(), Ok(under(ms(5), 50.0, "5ms")));
    }

    #[test]
    fn an_objective_is_a_percentile_and_a_time() {
        for (text, read) in [
            ("p99<10ms", Some((99.0, Duration::from_millis(10)))),
            (" p99.9 < 1s ", Some((99.9, Duration::from_secs(1)))),
            ("p50<2", Some((50.0, Duration::from_secs(2)))),
            ("99<10ms", None),
            ("p99", None),
            ("p99<0", None),
            ("p<1s", None),
            ("p101<1s", None),
            ("p99<=1s", None),
            ("", None),
        ] {
            let objective = text.parse::<Objective>().ok();
            let search = objective.map(|Objective(s)| (s.percentile, s.under));
            assert_eq!(search, read, "{text}");
        }
    }
}
