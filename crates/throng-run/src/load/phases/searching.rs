//! The search for a rate, instead of a hold.

use super::{AHEAD, Run};
use crate::load::searching::{Gathered, Search};
use std::time::Duration;
use throng_core::behaviour::Steer;
use throng_core::observer::Note;
use throng_core::record::{Mark, Phase};
use throng_core::summary::LatencyReport;

impl Run<'_> {
    /// Tries rates until the highest one is found that keeps latency under the bound.
    pub(super) fn search(&mut self) -> Mark {
        let mut search = match Search::new(self.scenario, self.watch.clock.elapsed()) {
            Some(search) => search,
            None => return self.mark(),
        };
        let mut present = None;
        while let Some(trial) = search.next() {
            let clock = self.watch.clock;
            if present != Some(trial.rate) {
                present = Some(trial.rate);
                self.watch.control.steer(Steer::Rate {
                    from: clock.now() + AHEAD,
                    rate: trial.rate,
                    afresh: true,
                });
                if !self.wait_until(clock.elapsed() + AHEAD, search.ends()) {
                    break;
                }
            }
            if !trial.settle.is_zero()
                && !self.wait_until(clock.elapsed() + trial.settle, search.ends())
            {
                break;
            }
            let mut gathered = vec![self.gathered()];
            for n in 1..=trial.slices {
                let until = gathered[0].at + trial.measure * n / trial.slices;
                if !self.wait_until(until, search.ends()) {
                    break;
                }
                gathered.push(self.gathered());
            }
            if gathered.len() <= trial.slices as usize {
                break;
            }
            let asked = LatencyReport::default().asked(&self.scenario.measure);
            let line = search.observe(&trial, &gathered, &asked);
            self.watch.note(&Note::Trial(line));
        }
        self.ending.search = Some(search.finish());
        self.mark()
    }

    /// Waits until `until`. Returns false if the run or the search ended before.
    fn wait_until(&mut self, until: Duration, ends: Option<Duration>) -> bool {
        loop {
            let (mark, goes_on) = self.step(Phase::Holding, ends, Some(until));
            let (at, now) = (mark.at, mark.opened);
            if !goes_on || ends.is_some_and(|e| at >= e) || now.open() == 0 {
                return false;
            }
            if at >= until {
                return true;
            }
        }
    }

    /// The counts so far, and the measurements since the last call.
    pub(super) fn gathered(&mut self) -> Gathered {
        let at = self.watch.clock.elapsed();
        let clients = self.sides.clients.tally();
        let accepted = self.sides.accepted();
        Gathered {
            at,
            clients,
            accepted: accepted.unwrap_or_default(),
            measured: self.watch.take_trial(Phase::Holding, at, clients, accepted),
        }
    }
}
