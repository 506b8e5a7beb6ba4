//! The outcome of TLS.

use super::failure::TlsFailure;
use crate::human::{self, count, percent};
use crate::section::{Row, Section, Tone};
use crate::stats::{Measured, Tally};
use crate::summary::{Percentiles, per_s};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The outcome of TLS on connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsSummary {
    /// Completed handshakes, including resumed ones.
    pub handshakes: u64,
    /// Completed handshakes that resumed an earlier session (RFC 8446 section 2.2).
    pub resumed: u64,
    /// Handshakes that failed, and secured connections that broke, by cause. Causes that did not occur are left out.
    pub failed: BTreeMap<TlsFailure, u64>,
    /// Those among `failed` that broke after their handshake, by a fatal alert or an invalid record.
    pub broken: u64,
    /// Secured connections that the peer closed without a close_notify (RFC 8446 section 6.1): the last data may be
    /// missing.
    pub truncated: u64,
    /// Completed handshakes per second, over `seconds`.
    pub per_s: f64,
    /// The window of that rate: from the start of the run to the last handshake.
    pub seconds: f64,
    /// From when a connection was established to the end of its handshake.
    pub latency: Option<Percentiles>,
}

impl TlsSummary {
    /// From the counts and measurements of a side. `seconds` is the time from the start of the run to the last
    /// handshake.
    pub fn of(tally: &Tally, measured: &Measured, seconds: f64) -> TlsSummary {
        TlsSummary {
            handshakes: tally.tls.secured,
            resumed: tally.tls.resumed,
            failed: TlsFailure::ALL
                .into_iter()
                .filter(|why| tally.tls.failed(*why) > 0)
                .map(|why| (why, tally.tls.failed(why)))
                .collect(),
            broken: tally.tls.broken,
            truncated: tally.tls.truncated,
            per_s: per_s(tally.tls.secured as f64, seconds),
            seconds,
            latency: Percentiles::of(&measured.handshake),
        }
    }

    /// The section, for reports.
    pub fn drawn(&self) -> Section {
        let resumed = match percent(self.resumed as f64, self.handshakes as f64) {
            Some(share) if self.resumed > 0 => format!("{share} of them resumed a session"),
            Some(_) => "all of them full, no session resumed".into(),
            None => String::new(),
        };
        let handshakes = count(self.handshakes);
        let mut rows = vec![Row::new(Tone::Plain, "handshakes", handshakes, resumed)];
        if self.handshakes > 0 {
            let over = format!("over {}", human::seconds(self.seconds));
            rows.push(Row::new(Tone::Plain, "rate", human::rate(self.per_s), over));
        }
        let mut failed: Vec<_> = self.failed.iter().collect();
        failed.sort_by_key(|(_, n)| Reverse(**n));
        let failed = failed.into_iter();
        rows.extend(failed.map(|(why, n)| Row::new(Tone::Bad, "failed", count(*n), why.words())));
        if self.broken > 0 {
            let which = "of these after their handshake";
            rows.push(Row::new(Tone::Bad, "", count(self.broken), which));
        }
        if self.truncated > 0 {
            let what = "closed by the peer without close_notify";
            rows.push(Row::new(Tone::Odd, "cut off", count(self.truncated), what));
        }
        Section { title: "TLS", rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;
    use std::time::Duration;

    #[test]
    fn handshakes_are_counted_with_those_that_failed_beside_them() {
        let counters = Counters::default();
        counters.tls.secured.add(1010);
        counters.tls.resumed.add(4);
        counters.tls.failed(TlsFailure::Expired);
        counters.tls.failed(TlsFailure::Violation);
        counters.tls.failed(TlsFailure::Violation);
        counters.tls.broken.add(1);
        counters.tls.truncated.add(5);
        let mut measured = Measured::default();
        measured.handshake.record(Duration::from_millis(3));
        let summary = TlsSummary::of(&counters.read(), &measured, 0.5);
        assert_eq!((summary.handshakes, summary.resumed), (1010, 4));
        assert_eq!((summary.per_s, summary.seconds), (2020.0, 0.5));
        assert_eq!((summary.broken, summary.truncated), (1, 5));
        let failed = [(TlsFailure::Expired, 1), (TlsFailure::Violation, 2)];
        assert_eq!(summary.failed, BTreeMap::from(failed));
        assert_eq!(summary.latency.map(|l| l.count), Some(1));
        let nothing = TlsSummary::of(&Tally::default(), &measured, 0.0);
        assert_eq!(nothing.per_s, 0.0);
    }
}
