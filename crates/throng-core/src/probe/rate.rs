//! New flows per second: the rate beyond which some are lost, by search.

use super::finding::{Finding, Kind};
use super::probed::{Outcome, Probed};
use crate::human::{self, count, things};
use crate::section::{Row, Section, Tone};
use serde::Serialize;

/// Where the search begins, flows per second.
const FIRST: f64 = 100.0;
/// The search ends when the rates that pass and that don't are this part of each other apart: the middle is then within 1 %.
const CLOSE: f64 = 0.02;
/// The part of a trial's flows that may be lost: single packets are lost on most paths.
const LOST: f64 = 0.002;
/// With less than this part of the rate on average, this host was too slow.
const OWN_RATE: f64 = 0.97;
/// Or with less than this part in half a second: a path that bounds flows may let more pass after a pause.
const LEAST_KEPT: f64 = 0.85;
/// Below this rate nothing is looked for, flows per second.
const LEAST: f64 = 4.0;

/// What came of one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Flows per second that were asked for.
    pub rate: f64,
    /// Flows per second that this host opened.
    pub achieved: f64,
    /// Flows per second in the half second in which this host opened the fewest.
    pub slowest: f64,
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

    /// Whether this host did not keep the rate, on average or for half a second: then it says nothing about that rate.
    pub fn is_late(&self) -> bool {
        self.achieved < self.rate * OWN_RATE || self.slowest < self.rate * LEAST_KEPT
    }
}

/// The search for the rate.
#[derive(Clone, Debug, Default)]
pub struct Search {
    up_to: f64,
    /// The highest rate that passed, as it was asked for and as flows were truly opened.
    passed: f64,
    truly_passed: f64,
    /// The lowest that did not, as flows were truly opened.
    failed: Option<f64>,
    /// The trial that this host did not keep up in, which ended the search.
    late: Option<Trial>,
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
            _ if self.late.is_some() => None,
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
        if trial.is_late() {
            self.late = Some(trial);
            if trial.passes() {
                self.truly_passed = self.truly_passed.max(trial.achieved);
            }
            return;
        }
        let truly = trial.achieved.min(trial.rate);
        match trial.passes() {
            true => {
                self.passed = trial.rate;
                self.truly_passed = self.truly_passed.max(truly);
            }
            false => self.failed = Some(truly),
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
    #[serde(flatten)]
    outcome: Outcome,
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
        let passed = search.truly_passed;
        // Only between rates that were truly tried.
        let found = search
            .failed
            .filter(|failed| done && search.late.is_none() && passed > 0.0 && *failed >= passed)
            .map(|failed| f64::midpoint(passed, failed));
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
                per_second(passed)
            );
            findings.push(Finding::failure(Kind::FarLimit, text).with_remedy(
                "On the far end: raise net.core.somaxconn, or ask for less (--rate-up-to).",
            ));
        } else if let Some(why) = &own_limit {
            let text = format!(
                "This host could open no more flows: {why}. At {} none was lost.",
                per_second(passed)
            );
            findings.push(Finding::failure(Kind::OwnLimit, text));
        } else if let Some(rate) = found {
            measured = true;
            let text = format!(
                "The path takes {} new flows per second: at {} none is lost, at {} some are.",
                count(rate.round() as u64),
                per_second(passed),
                per_second(search.failed.unwrap_or_default())
            );
            findings.push(Finding::warning(Kind::FlowRate, text).with_remedy(
                "Open connections more slowly (--connect-rate), keep them, or raise the limit of what is in between.",
            ));
        } else if let Some(late) = search.late {
            let lost = match late.passes() {
                true => String::new(),
                false => format!(
                    ", and {} of these were lost, perhaps to a burst of its own",
                    count(late.lost)
                ),
            };
            let text = format!(
                "This host did not keep {}: it opened {}, and {} in its slowest half second{lost}. What the path takes beyond \
                 {}, at which none was lost, is not known.",
                per_second(late.rate),
                per_second(late.achieved),
                count(late.slowest.round() as u64),
                per_second(passed)
            );
            findings.push(
                Finding::failure(Kind::OwnLimit, text).with_remedy(
                    "Let nothing else load this host, or ask for less (--rate-up-to).",
                ),
            );
        } else if search.failed.is_none() && passed > 0.0 && done {
            measured = true;
            let text = format!("No new flow was lost at up to {}.", per_second(passed));
            findings.push(Finding::note(Kind::FlowRate, text));
        } else if let Some(failed) = search.failed.filter(|_| passed > 0.0) {
            let text = format!(
                "New flows were lost at {}, and none at {}: no rate is the limit.",
                per_second(failed),
                per_second(passed)
            );
            findings.push(Finding::failure(Kind::Unsteady, text));
        } else {
            let text = format!(
                "New flows are lost at any rate that was tried, down to {}.",
                per_second(LEAST)
            );
            findings.push(Finding::failure(Kind::Unsteady, text));
        }
        RateResult {
            outcome: Outcome::new("rate", measured, findings),
            up_to: search.up_to,
            flows_per_second: found.filter(|_| measured),
            passed,
            trials: search.trials,
            seconds: took_ms as f64 / 1000.0,
            interrupted,
        }
    }
}

impl Probed for RateResult {
    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn sections(&self) -> Vec<Section> {
        let rows = self.trials.iter().map(|trial| {
            let tone = if trial.passes() {
                Tone::Plain
            } else {
                Tone::Odd
            };
            let note = format!(
                "of {} lost, at {}, {} in the slowest half second",
                count(trial.opened),
                human::rate(trial.achieved),
                human::rate(trial.slowest)
            );
            Row::new(tone, "new flows", count(trial.lost), note)
        });
        vec![Section {
            title: "Rates tried",
            rows: rows.collect(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that takes so many new flows per second, and some more at once; and a host that opens at most `own`.
    fn search(limit: f64, burst: f64, up_to: f64, own: f64) -> RateResult {
        let mut search = Search::up_to(up_to);
        while let Some(rate) = search.next_rate() {
            let achieved = rate.min(own);
            let opened = achieved * 3.0;
            let lost = (opened - limit * 3.0 - burst).max(0.0);
            search.tried(Trial {
                rate,
                achieved,
                slowest: achieved,
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
    fn a_rate_that_was_not_sent_is_not_told_as_one_that_passed() {
        // A limit of 400 per second, and a host that sends 380 when it is to send 400.
        let tried = |rate: f64, achieved: f64, slowest: f64, lost: u64| Trial {
            rate,
            achieved,
            slowest,
            opened: (achieved * 3.0) as u64,
            lost,
        };
        let mut of = Search::up_to(1000.0);
        for trial in [
            tried(100.0, 100.0, 100.0, 0),
            tried(200.0, 199.0, 198.0, 0),
            tried(400.0, 380.0, 376.0, 0),
        ] {
            of.tried(trial);
        }
        assert_eq!(of.next_rate(), None);
        let result = RateResult::of(of, 0, None, 0, false);
        assert!(!result.outcome.measured && result.flows_per_second.is_none());
        let text = &result.outcome.findings[0].text;
        assert!(
            text.contains("did not keep 400 per second: it opened 380")
                && !text.contains("up to 400"),
            "{text}"
        );
        // On average it kept the rate, but not all the time.
        assert!(tried(400.0, 399.0, 120.0, 0).is_late());
        // What is told as passed is what was sent.
        let mut of = Search::up_to(400.0);
        [100.0, 200.0, 400.0]
            .iter()
            .for_each(|rate| of.tried(tried(*rate, rate * 0.99, rate * 0.97, 0)));
        let result = RateResult::of(of, 0, None, 0, false);
        assert_eq!(result.passed, 396.0);
        assert!(
            result.outcome.findings[0]
                .text
                .contains("up to 396 per second")
        );
    }

    #[test]
    fn what_was_not_reached_is_not_invented() {
        let result = search(1e9, 0.0, 3000.0, 1e9);
        assert_eq!((result.flows_per_second, result.passed), (None, 3000.0));
        assert!(result.outcome.measured);
        let result = search(1e9, 0.0, 3000.0, 700.0);
        assert_eq!((result.flows_per_second, result.passed), (None, 700.0));
        let told = &result.outcome.findings[0];
        assert!(
            told.text.contains("did not keep 800 per second"),
            "{told:?}"
        );
        assert!(!result.outcome.measured);
        let result = search(0.0, 0.0, 3000.0, 1e9);
        assert_eq!(
            (result.flows_per_second, result.outcome.measured),
            (None, false)
        );
    }
}
