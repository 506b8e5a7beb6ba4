//! How well the requested rates were kept.

use super::per_second::per_s;
use super::{Percentiles, Steady};
use crate::record::{Asked, AskedRate};
use crate::stats::Durations;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest deviation from the requested message rate, as a share of it, that counts as reached.
pub(super) const RATE_TOLERANCE: f64 = 0.01;

/// How well the message rate was kept while all connections were established.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageRate {
    /// Messages per second asked for over all connections; `None` without a rate. If the rate varied, its mean over
    /// `seconds`.
    pub asked_per_s: Option<f64>,
    /// Messages asked for in `seconds` if the rate varied; `None` if it was constant. Not a whole number, because a
    /// rate is not.
    pub asked_messages: Option<f64>,
    /// Messages sent (replies in a closed loop) in `seconds`.
    pub messages: u64,
    /// The same per second.
    pub reached_per_s: f64,
    /// The window that was measured: the hold.
    pub seconds: f64,
    /// From when a message was due to when the kernel had taken it.
    pub lateness: Option<Percentiles>,
    /// CPU time of the process over the window, in microseconds per message.
    pub cpu_us_per_message: Option<f64>,
}

impl MessageRate {
    /// The rate of `messages` in a window of `seconds` that took `cpu` of CPU time. `lateness` is that of the whole
    /// run.
    pub fn of(
        asked: AskedRate,
        messages: u64,
        seconds: f64,
        cpu: Duration,
        lateness: &Durations,
    ) -> MessageRate {
        let (asked_per_s, asked_messages) = match asked {
            AskedRate::Nothing => (None, None),
            AskedRate::Constant(rate) => (Some(rate), None),
            AskedRate::Messages(all) => (Some(per_s(all, seconds)), Some(all)),
        };
        MessageRate {
            asked_per_s,
            asked_messages,
            messages,
            reached_per_s: per_s(messages as f64, seconds),
            seconds,
            lateness: Percentiles::of(lateness),
            cpu_us_per_message: (messages > 0).then(|| cpu.as_secs_f64() * 1e6 / messages as f64),
        }
    }
}

/// How well the bandwidth of connections was kept while all were established.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BandwidthKept {
    /// Bytes per second that all connections together may send; `None` without a limit.
    pub asked_sent_per_s: Option<f64>,
    /// Bytes per second that they sent.
    pub sent_per_s: f64,
    /// Bytes per second that they may read. It is a limit: the peer may send less.
    pub asked_received_per_s: Option<f64>,
    /// Bytes per second that they read.
    pub received_per_s: f64,
    /// The window that was measured: the hold.
    pub seconds: f64,
}

impl BandwidthKept {
    /// The limits in `asked`, and the traffic while all connections were established. `None` without a limit.
    pub fn of(asked: &Asked, steady: &Steady) -> Option<BandwidthKept> {
        let asked_sent_per_s = asked.sent_per_s;
        let asked_received_per_s = asked.received_per_s;
        let seconds = steady.seconds;
        (asked_sent_per_s.is_some() || asked_received_per_s.is_some()).then(|| BandwidthKept {
            asked_sent_per_s,
            sent_per_s: per_s(steady.traffic.bytes_sent as f64, seconds),
            asked_received_per_s,
            received_per_s: per_s(steady.traffic.bytes_received as f64, seconds),
            seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Traffic;

    #[test]
    fn a_rate_that_varies_is_reported_by_its_messages_and_its_mean() {
        let of = |asked, seconds| {
            let cpu = Duration::from_millis(9);
            MessageRate::of(asked, 900, seconds, cpu, &Durations::default())
        };
        let varied = of(AskedRate::Messages(1000.0), 10.0);
        assert_eq!(
            (varied.asked_per_s, varied.asked_messages),
            (Some(100.0), Some(1000.0))
        );
        assert_eq!((varied.messages, varied.reached_per_s), (900, 90.0));
        assert_eq!(varied.cpu_us_per_message, Some(10.0));
        // Exactly as asked for.
        let constant = of(AskedRate::Constant(0.3), 7.0);
        assert_eq!(
            (constant.asked_per_s, constant.asked_messages),
            (Some(0.3), None)
        );
        let none = of(AskedRate::Nothing, 0.0);
        assert_eq!((none.asked_per_s, none.reached_per_s), (None, 0.0));
        assert_eq!(
            of(AskedRate::Messages(0.0), 0.0).asked_per_s,
            Some(0.0),
            "a window of length 0 does not divide by zero"
        );
    }

    #[test]
    fn bandwidth_is_that_of_all_connections_together() {
        let steady = Steady {
            seconds: 2.0,
            traffic: Traffic {
                bytes_sent: 19_000,
                bytes_received: 500,
                ..Traffic::default()
            },
            ..Steady::default()
        };
        let mut asked = Asked::default();
        assert_eq!(BandwidthKept::of(&asked, &steady), None);
        asked.sent_per_s = Some(10_000.0);
        let kept = BandwidthKept::of(&asked, &steady).unwrap();
        assert_eq!(kept.asked_sent_per_s, Some(10_000.0));
        assert_eq!((kept.sent_per_s, kept.received_per_s), (9500.0, 250.0));
        assert_eq!(kept.asked_received_per_s, None);
    }
}
