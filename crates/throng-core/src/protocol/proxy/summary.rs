//! The outcome of a proxy.

use super::backends::OfBackend;
use super::counts::EndedBy;
use crate::human::{self, count, percent};
use crate::protocol::tls::TlsFailure;
use crate::section::{Row, Section, Tone};
use crate::stats::{Tally, occurred};
use crate::summary::per_s;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The outcome of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProxySummary {
    /// Clients that got a connection to a backend.
    pub pairs: u64,
    /// The most of them at once.
    pub peak: u64,
    /// Those that stood when the run was over. The others ended before: pairs = open_at_end + the sum of `ended`.
    pub open_at_end: u64,
    /// Pairs that ended, by who or what was first to end them. Those that did not occur are left out.
    pub ended: BTreeMap<EndedBy, u64>,
    /// Clients that were closed because no backend could be reached.
    pub turned_away: u64,
    /// Clients that were closed because they connected to the proxy's own address, where they are to be sent on to the one that they
    /// connected to.
    #[serde(default)]
    pub to_itself: u64,
    /// Clients that were closed because this process had no file left to find out who they are.
    #[serde(default)]
    pub unidentified: u64,
    /// Clients that were closed because the TLS handshake with their backend failed, by cause. Causes that did not occur are left out.
    #[serde(default)]
    pub unsecured: BTreeMap<TlsFailure, u64>,
    /// Bytes received from clients.
    pub bytes_from_clients: u64,
    /// Bytes received from backends.
    pub bytes_from_backends: u64,
    /// Pairs per second over the whole run.
    pub per_s: f64,
    /// The backends, in the order in which they were given.
    pub backends: Vec<OfBackend>,
}

impl ProxySummary {
    /// From the counts of a run of `seconds`, at most `peak` pairs at once.
    pub fn of(tally: &Tally, peak: u64, backends: Vec<OfBackend>, seconds: f64) -> ProxySummary {
        let counts = &tally.proxy;
        ProxySummary {
            pairs: counts.paired,
            // Those that come and go between two looks are seen by none.
            peak: peak.max(counts.pairs()).max(counts.paired.min(1)),
            open_at_end: counts.pairs(),
            ended: occurred(EndedBy::ALL, |by| counts.ended(by)),
            turned_away: counts.turned_away,
            to_itself: counts.to_itself,
            unidentified: counts.unidentified,
            unsecured: occurred(TlsFailure::ALL, |why| counts.unsecured(why)),
            bytes_from_clients: counts.from_clients,
            bytes_from_backends: counts.from_backends,
            per_s: per_s(counts.paired as f64, seconds),
            backends,
        }
    }

    /// The section, for reports. The run took `seconds`.
    pub fn drawn(&self, seconds: f64) -> Section {
        let mut rows = vec![Row::new(
            Tone::Plain,
            "opened",
            count(self.pairs),
            human::rate(self.per_s),
        )];
        if self.turned_away > 0 {
            let note = "clients without a backend: none could be reached";
            rows.push(Row::new(
                Tone::Bad,
                "turned away",
                count(self.turned_away),
                note,
            ));
        }
        if self.to_itself > 0 {
            let note = "clients that connected to the proxy's own address";
            rows.push(Row::new(
                Tone::Bad,
                "to itself",
                count(self.to_itself),
                note,
            ));
        }
        if self.unidentified > 0 {
            let note = "clients closed: no file was left to find out who they are";
            rows.push(Row::new(
                Tone::Bad,
                "unidentified",
                count(self.unidentified),
                note,
            ));
        }
        for (why, n) in &self.unsecured {
            let note = format!(
                "clients closed, TLS with the backend failed: {}",
                why.words()
            );
            rows.push(Row::new(Tone::Bad, "unsecured", count(*n), note));
        }
        rows.push(Row::new(Tone::Plain, "peak", count(self.peak), "at once"));
        rows.push(Row::new(
            Tone::Plain,
            "open at the end",
            count(self.open_at_end),
            "",
        ));
        rows.extend(self.ended.iter().map(|(by, n)| {
            let tone = match by {
                EndedBy::Client | EndedBy::Backend | EndedBy::Proxy => Tone::Plain,
                _ => Tone::Odd,
            };
            Row::new(tone, "ended", count(*n), format!("first {}", by.words()))
        }));
        for (label, bytes) in [
            ("from clients", self.bytes_from_clients),
            ("from backends", self.bytes_from_backends),
        ] {
            let rate = human::throughput(per_s(bytes as f64, seconds));
            rows.push(Row::new(Tone::Plain, label, human::bytes(bytes), rate));
        }
        for OfBackend {
            of,
            left_out,
            unsecured,
        } in &self.backends
        {
            let established = count(of.established);
            let share = percent(of.established as f64, self.pairs as f64);
            let share = share.filter(|_| self.backends.len() > 1);
            let share = share.map_or(String::new(), |share| format!(", {share}"));
            let note = format!("to {}{share}", of.target);
            rows.push(Row::new(Tone::Plain, "backend", established, note));
            for (cause, n) in &of.failed {
                let note = format!("to {}: {}", of.target, cause.words());
                rows.push(Row::new(Tone::Bad, "failed", count(*n), note));
            }
            for (why, n) in unsecured.iter().filter(|_| self.backends.len() > 1) {
                let note = format!("to {}: {}", of.target, why.words());
                rows.push(Row::new(Tone::Bad, "unsecured", count(*n), note));
            }
            if of.lost > 0 {
                let note = format!("by {}: reset, or no longer answered", of.target);
                rows.push(Row::new(Tone::Odd, "lost", count(of.lost), note));
            }
            if *left_out > 0 {
                let why = match (of.failed.is_empty(), unsecured.is_empty()) {
                    (_, true) => "it could not be reached",
                    (true, false) => "TLS with it failed",
                    (false, false) => "it could not be reached, or TLS with it failed",
                };
                let note = format!("times, {}, because {why}", of.target);
                rows.push(Row::new(Tone::Odd, "left out", count(*left_out), note));
            }
        }
        Section {
            title: "Pairs",
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn pairs_are_those_that_stand_and_those_that_ended() {
        let counters = Counters::default();
        counters.proxy.paired.add(10);
        for _ in 0..3 {
            counters.proxy.ended(EndedBy::Client);
        }
        counters.proxy.ended(EndedBy::BackendReset);
        counters.proxy.turned_away.add(2);
        counters.proxy.from_clients.add(1024);
        let summary = ProxySummary::of(&counters.read(), 8, Vec::new(), 2.0);
        assert_eq!(
            (summary.pairs, summary.open_at_end, summary.peak),
            (10, 6, 8)
        );
        assert_eq!(summary.per_s, 5.0);
        let ended = summary.ended.values().sum::<u64>();
        assert_eq!(summary.pairs, summary.open_at_end + ended);
        let rows = summary.drawn(2.0).rows;
        let shown = |label| rows.iter().find(|row| row.label == label).unwrap();
        assert_eq!(shown("turned away").tone, Tone::Bad);
        assert_eq!(shown("from clients").note, "512 B/s");
        assert_eq!(shown("ended").note, "first by the client");
    }
}
