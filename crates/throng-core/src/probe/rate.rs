//! New flows per second: the rate beyond which some are lost, by search.

use super::finding::{Finding, Kind};
use super::{Probed, VERSION};
use crate::human::{self, count, things};
use crate::section::{Row, Section, Tone};
use serde::Serialize;

/// Where the search begins, flows per second.
const FIRST: f64 = 100.0;
/// The search ends when the rates that pass and that don't are this part of each other apart: the middle is then within 1 %.
const CLOSE: f64 = 0.02;
/// The part of a trial's flows that may be lost: single packets are lost on most paths.
const LOST: f64 = 0.002;
/// With less than this part of the rate, this host was too slow.
const OWN_RATE: f64 = 0.97;
/// Below this rate nothing is looked for, flows per second.
const LEAST: f64 = 4.0;

/// What came of one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Flows per second that were asked for.
    pub rate: f64,
    /// Flows per second that this host opened.
    pub achieved: f64,
    /// Flows that were opened.
    pub opened: u64,
    /// Flows whose handshake was lost, or was completed only after a retransmission.
    pub lost: u64,
}

impl Trial {
    /// Whether as good as none was lost.
    pub fn passes(&self) -> bool {
        self.lost as f64 <= (self.opened as f64 * LOST).max(1.0)
    }

    fn is_late(&self) -> bool {
        self.achieved < self.rate * OWN_RATE
    }
}

/// The search for the rate.
#[derive(Clone, Debug, Default)]
pub struct Search {
    up_to: f64,
    passed: f64,
    failed: Option<f64>,
    late: bool,
    trials: Vec<Trial>,
}

impl Search {
    /// A search up to so many flows per second.
    pub fn up_to(up_to: f64) -> Search {
        Search {
            up_to,
            ..Search::default()
        }
    }

    /// The rate to try next; `None` if the search is over.
    pub fn next_rate(&self) -> Option<f64> {
        match self.failed {
            _ if self.late => None,
            None if self.passed >= self.up_to => None,
            None => Some((self.passed * 2.0).clamp(FIRST.min(self.up_to), self.up_to)),
            Some(failed) if failed <= LEAST => None,
            Some(failed) if failed - self.passed <= self.passed * CLOSE => None,
            Some(failed) => Some(f64::midpoint(self.passed, failed)),
        }
    }

    /// What came of it.
    pub fn tried(&mut self, trial: Trial) {
        self.trials.push(trial);
        match (trial.passes(), trial.is_late()) {
            (false, _) => self.failed = Some(trial.achieved.min(trial.rate)),
            (true, true) => {
                self.passed = self.passed.max(trial.achieved);
                self.late = true;
            }
            (true, false) => self.passed = trial.rate,
        }
    }

    /// How many trials there were.
    pub fn trials(&self) -> usize {
        self.trials.len()
    }
}

/// The rate of new flows of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateResult {
    version: u32,
    probe: &'static str,
    measured: bool,
    findings: Vec<Finding>,
    up_to: f64,
    /// New flows per second beyond which some are lost; null if none were.
    pub flows_per_second: Option<f64>,
    /// The highest rate at which none was lost.
    pub passed: f64,
    trials: Vec<Trial>,
    seconds: f64,
    interrupted: bool,
}

impl RateResult {
    /// What a search shows. `far_drops` are handshakes that the far end's listener dropped meanwhile, `own_limit` is why this host
    /// could open no more.
    pub fn of(
        search: Search,
        far_drops: u64,
        own_limit: Option<String>,
        took_ms: u64,
        interrupted: bool,
    ) -> RateResult {
        let done = search.next_rate().is_none();
        let found = search
            .failed
            .filter(|_| done && search.passed > 0.0)
            .map(|failed| f64::midpoint(search.passed, failed));
        let per_second = |rate: f64| format!("{} per second", count(rate.round() as u64));
        let mut findings = Vec::new();
        let mut measured = false;
        if interrupted {
            let text = "The probe was interrupted before the rate was known.";
            findings.push(Finding::warning(Kind::Interrupted, text));
        } else if search.failed.is_some() && far_drops > 0 {
            let text = format!(
                "The far end's listener dropped {}: what the path takes is not known. At {} none was lost.",
                things(far_drops, "handshake"),
                per_second(search.passed)
            );
            findings.push(Finding::failure(Kind::FarLimit, text).with_remedy(
                "On the far end: raise net.core.somaxconn, or ask for less (--rate-up-to).",
            ));
        } else if let Some(why) = &own_limit {
            let text = format!(
                "This host could open no more flows: {why}. At {} none was lost.",
                per_second(search.passed)
            );
            findings.push(Finding::failure(Kind::OwnLimit, text));
        } else if let Some(rate) = found {
            measured = true;
            let text = format!(
                "The path takes {} new flows per second: at {} none is lost, at {} some are.",
                count(rate.round() as u64),
                per_second(search.passed),
                per_second(search.failed.unwrap_or_default())
            );
            findings.push(Finding::warning(Kind::FlowRate, text).with_remedy(
                "Open connections more slowly (--connect-rate), keep them, or raise the limit of what is in between.",
            ));
        } else if search.late {
            measured = search.passed > 0.0;
            let text = format!(
                "No new flow was lost at {}: as fast as this host could open them.",
                per_second(search.passed)
            );
            findings.push(Finding::note(Kind::FlowRate, text));
        } else if search.passed > 0.0 {
            measured = true;
            let text = format!(
                "No new flow was lost at up to {}.",
                per_second(search.passed)
            );
            findings.push(Finding::note(Kind::FlowRate, text));
        } else {
            let text = format!(
                "New flows are lost at any rate that was tried, down to {}.",
                per_second(LEAST)
            );
            findings.push(Finding::failure(Kind::Unsteady, text));
        }
        RateResult {
            version: VERSION,
            probe: "rate",
            measured,
            findings,
            up_to: search.up_to,
            flows_per_second: found.filter(|_| measured),
            passed: search.passed,
            trials: search.trials,
            seconds: took_ms as f64 / 1000.0,
            interrupted,
        }
    }
}

impl Probed for RateResult {
    fn sections(&self) -> Vec<Section> {
        let rows = self.trials.iter().map(|trial| {
            let tone = if trial.passes() {
                Tone::Plain
            } else {
                Tone::Odd
            };
            let note = format!(
                "of {} lost, at {}",
                count(trial.opened),
                human::rate(trial.achieved)
            );
            Row::new(tone, "new flows", count(trial.lost), note)
        });
        vec![Section {
            title: "Rates tried",
            rows: rows.collect(),
        }]
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn is_measured(&self) -> bool {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that takes so many new flows per second, and some more at once.
    fn search(limit: f64, burst: f64, up_to: f64, own: f64) -> RateResult {
        let mut search = Search::up_to(up_to);
        while let Some(rate) = search.next_rate() {
            let achieved = rate.min(own);
            let opened = achieved * 3.0;
            let lost = (opened - limit * 3.0 - burst).max(0.0);
            search.tried(Trial {
                rate,
                achieved,
                opened: opened as u64,
                lost: lost as u64,
            });
            assert!(search.trials() < 40);
        }
        RateResult::of(search, 0, None, 0, false)
    }

    #[test]
    fn the_rate_is_found_to_a_per_cent() {
        for limit in [20.0, 150.0, 1000.0, 4321.0] {
            let found = search(limit, 1.0, 10_000.0, 1e9).flows_per_second;
            let off = found.map(|found| (found / limit - 1.0).abs());
            // A flow or two of a small trial are more than a per cent.
            let allowed = 0.012 + 1.0 / limit;
            assert!(off.is_some_and(|off| off < allowed), "{limit}: {found:?}");
        }
    }

    #[test]
    fn what_was_not_reached_is_not_invented() {
        let result = search(1e9, 0.0, 3000.0, 1e9);
        assert_eq!((result.flows_per_second, result.passed), (None, 3000.0));
        assert!(result.is_measured());
        let result = search(1e9, 0.0, 3000.0, 700.0);
        assert_eq!((result.flows_per_second, result.passed), (None, 700.0));
        assert!(result.findings[0].text.contains("as fast as this host"));
        let result = search(0.0, 0.0, 3000.0, 1e9);
        assert_eq!(
            (result.flows_per_second, result.is_measured()),
            (None, false)
        );
    }
}
