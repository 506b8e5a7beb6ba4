//! Changes of the message rate by hand, while the run lasted.

use super::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The message rate that was asked for was changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateChange {
    /// When that took effect, since the run began.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// Messages per second until then, over all connections.
    pub from_per_s: f64,
    /// Messages per second from then on.
    pub to_per_s: f64,
}

impl RateChange {
    /// The messages that were asked for between `from` and `to`, at a rate that was changed by `changes`, in the order of
    /// their times. There is at least one.
    pub fn messages(changes: &[RateChange], from: Duration, to: Duration) -> f64 {
        let at = |per_s: f64, from: Duration, to: Duration| {
            per_s * to.saturating_sub(from).as_secs_f64()
        };
        let (mut messages, mut begun) = (0.0, from);
        for change in changes {
            let end = change.at.clamp(begun, to.max(begun));
            messages += at(change.from_per_s, begun, end);
            begun = end;
        }
        let last = changes.last().map_or(0.0, |change| change.to_per_s);
        messages + at(last, begun, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_what_each_rate_has_in_its_time() {
        let s = Duration::from_secs;
        let change = |at, from_per_s, to_per_s| RateChange {
            at: s(at),
            from_per_s,
            to_per_s,
        };
        let changes = [change(2, 10.0, 20.0), change(5, 20.0, 40.0)];
        for (from, to, messages) in [
            (0, 10, 20.0 + 60.0 + 200.0),
            (0, 2, 20.0),
            (3, 4, 20.0),
            (4, 6, 60.0),
            (6, 8, 80.0),
            (8, 6, 0.0),
        ] {
            assert_eq!(
                RateChange::messages(&changes, s(from), s(to)),
                messages,
                "{from} to {to}"
            );
        }
    }
}
