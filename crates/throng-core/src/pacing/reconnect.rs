//! When a connection that failed or closed is opened again.

use crate::split_mix::{SplitMix, mix};
use crate::units::written::{Written, duration_text};
use crate::units::{self, UnitError};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a connection that failed or closed waits until it is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconnectPolicy {
    /// Not at all.
    Immediate,
    /// This long each time.
    Fixed(Duration),
    /// Twice as long each time, until it is established and stands for a second.
    Exponential {
        /// The first time.
        from: Duration,
        /// At most.
        to: Duration,
        /// Each wait is drawn from all up to the whole one, so that connections that were lost together do not come back
        /// together.
        full_jitter: bool,
    },
    /// A time that is drawn from all up to this one, each time.
    Window(Duration),
}

impl Default for ReconnectPolicy {
    /// The first retry comes after 200 ms on average, and a target that is down is not flooded by all connections at once.
    fn default() -> ReconnectPolicy {
        ReconnectPolicy::Exponential {
            from: Duration::from_millis(400),
            to: Duration::from_secs(3),
            full_jitter: true,
        }
    }
}

impl ReconnectPolicy {
    /// The longest wait.
    pub fn longest(self) -> Duration {
        match self {
            ReconnectPolicy::Immediate => Duration::ZERO,
            ReconnectPolicy::Fixed(wait) | ReconnectPolicy::Window(wait) => wait,
            ReconnectPolicy::Exponential { to, .. } => to,
        }
    }
}

/// The words of a policy, and examples.
const WHAT: &str =
    "a reconnect policy (immediate, fixed:T, exponential:FROM..TO[:full-jitter] or window:W)";
const LIKE: &str = "fixed:1s, exponential:200ms..10s:full-jitter or window:30s";

impl FromStr for ReconnectPolicy {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<ReconnectPolicy, UnitError> {
        let wrong = || UnitError::Unreadable {
            text: text.into(),
            what: WHAT,
            like: LIKE,
        };
        let positive = |text: &str| match units::duration(text)? {
            Duration::ZERO => Err(UnitError::OutOfBounds(
                "a wait of a reconnect policy must be longer than 0: write immediate".into(),
            )),
            wait => Ok(wait),
        };
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        match (name, rest) {
            ("immediate", None) => Ok(ReconnectPolicy::Immediate),
            ("fixed", Some(wait)) => positive(wait).map(ReconnectPolicy::Fixed),
            ("window", Some(wait)) => positive(wait).map(ReconnectPolicy::Window),
            ("exponential", Some(rest)) => {
                let (range, full_jitter) = match rest.split_once(':') {
                    Some((range, "full-jitter")) => (range, true),
                    Some(_) => return Err(wrong()),
                    None => (rest, false),
                };
                let (from, to) = range.split_once("..").ok_or_else(wrong)?;
                let (from, to) = (positive(from)?, positive(to)?);
                if to < from {
                    return Err(UnitError::OutOfBounds(format!(
                        "the longest wait of exponential:{range} is shorter than the first one"
                    )));
                }
                Ok(ReconnectPolicy::Exponential {
                    from,
                    to,
                    full_jitter,
                })
            }
            _ => Err(wrong()),
        }
    }
}

/// As it is read.
impl fmt::Display for ReconnectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReconnectPolicy::Immediate => f.write_str("immediate"),
            ReconnectPolicy::Fixed(wait) => write!(f, "fixed:{}", duration_text(*wait)),
            ReconnectPolicy::Window(wait) => write!(f, "window:{}", duration_text(*wait)),
            ReconnectPolicy::Exponential {
                from,
                to,
                full_jitter,
            } => {
                let (from, to) = (duration_text(*from), duration_text(*to));
                write!(f, "exponential:{from}..{to}")?;
                match full_jitter {
                    true => f.write_str(":full-jitter"),
                    false => Ok(()),
                }
            }
        }
    }
}

impl Written for ReconnectPolicy {
    type Value = ReconnectPolicy;
    const WHAT: &'static str = "a reconnect policy such as \"fixed:1s\"";
    fn read(text: &str) -> Result<ReconnectPolicy, UnitError> {
        text.parse()
    }
    fn text(value: ReconnectPolicy) -> String {
        value.to_string()
    }
}

/// Draws the waits of a worker's connections.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: ReconnectPolicy,
    dice: SplitMix,
}

impl Backoff {
    /// The waits that `policy` has. The same seed and worker draw the same ones.
    pub fn new(policy: ReconnectPolicy, seed: u64, worker: u64) -> Backoff {
        Backoff {
            policy,
            dice: SplitMix(mix(seed) ^ worker),
        }
    }

    /// Draws waits of `policy` from now on.
    pub fn follow(&mut self, policy: ReconnectPolicy) {
        self.policy = policy;
    }

    /// How long to wait before retry `retry`, counted from 1 since the connection last stood.
    pub fn wait(&mut self, retry: u8) -> Duration {
        match self.policy {
            ReconnectPolicy::Immediate => Duration::ZERO,
            ReconnectPolicy::Fixed(wait) => wait,
            ReconnectPolicy::Window(wait) => self.up_to(wait),
            ReconnectPolicy::Exponential {
                from,
                to,
                full_jitter,
            } => {
                let times = 1u32.checked_shl(u32::from(retry.max(1)) - 1);
                let whole = from.saturating_mul(times.unwrap_or(u32::MAX)).min(to);
                match full_jitter {
                    true => self.up_to(whole),
                    false => whole,
                }
            }
        }
    }

    /// A time drawn evenly from all up to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        let most = most.as_nanos().min(u64::MAX.into());
        let drawn = (u128::from(self.dice.next()) * most) >> 64;
        Duration::from_nanos(drawn as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        for text in [
            "immediate",
            "fixed:1s",
            "exponential:200ms..10s:full-jitter",
            "exponential:100ms..100ms",
            "window:30s",
        ] {
            let policy: ReconnectPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
        }
        for (text, says) in [
            ("", "immediate, fixed:T"),
            ("immediate:1s", "immediate, fixed:T"),
            ("fixed", "immediate, fixed:T"),
            ("fixed:x", "duration"),
            ("window:0", "longer than 0"),
            ("exponential:1s", "immediate, fixed:T"),
            ("exponential:2s..1s", "shorter than the first"),
            ("exponential:1s..2s:jitter", "full-jitter"),
        ] {
            let error = text.parse::<ReconnectPolicy>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = "exponential:100ms..1s".parse().unwrap();
        let mut backoff = Backoff::new(policy, 7, 0);
        let waits: Vec<Duration> = (1..=6).map(|n| backoff.wait(n)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000].map(ms));
        assert_eq!(
            (backoff.wait(u8::MAX), policy.longest()),
            (ms(1000), ms(1000))
        );
        assert_eq!(backoff.wait(0), ms(100));
    }

    #[test]
    fn jitter_spreads_waits_evenly_and_a_seed_repeats_them() {
        let policy = "exponential:100ms..800ms:full-jitter".parse().unwrap();
        let draw = |seed, worker, retry| {
            let mut backoff = Backoff::new(policy, seed, worker);
            (0..1000).map(|_| backoff.wait(retry)).collect::<Vec<_>>()
        };
        for (retry, most) in [(1, 100), (3, 400), (9, 800)] {
            let all = draw(1, 0, retry);
            assert!(all.iter().all(|wait| *wait < ms(most)));
            for quarter in 0..4u32 {
                let part = ms(most) / 4;
                let n = all
                    .iter()
                    .filter(|wait| (part * quarter..part * (quarter + 1)).contains(wait))
                    .count();
                assert!((180..320).contains(&n), "{retry}: {n} in quarter {quarter}");
            }
        }
        assert_eq!(draw(1, 0, 2), draw(1, 0, 2));
        assert_ne!(draw(1, 0, 2), draw(2, 0, 2));
        assert_ne!(draw(1, 0, 2), draw(1, 1, 2));
        let mut window = Backoff::new(ReconnectPolicy::Window(ms(500)), 1, 0);
        assert!((0..100).all(|retry| window.wait(retry) < ms(500)));
        let mut at_once = Backoff::new(ReconnectPolicy::Immediate, 1, 0);
        assert_eq!(at_once.wait(9), Duration::ZERO);
    }
}
