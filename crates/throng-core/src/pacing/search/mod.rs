//! Searches for the highest rate that keeps latency under a bound (`-r @T`).
//!
//! [`RateSearch`] says which rate to run at and for how long, receives the outcome, and goes on until it is
//! [done](Next::Done). It reads no clock, so the outcome may as well be simulated.
//!
//! The search doubles the rate until one breaks, then bisects in the logarithm of the rate. It repeats a rate while the
//! share of answers over the bound may still be on either side of the allowed one (`share.rs`): near its limit, a
//! server with random service times takes minutes to be known to 2 %. When the time is over, the range in which the
//! limit lies comes from the rates that surely hold and surely break, narrowed by a line through the measurements
//! between them (`fit.rs`).
//!
//! Three effects would mislead the search:
//!
//! - An empty queue takes time to fill. A trial is therefore much longer than the bound, and settles for several bounds
//!   first. If latency still rises all through a trial, answers within the bound do not count.
//! - Rates that are close together look alike for long (`point.rs`).
//! - An overload leaves a queue behind, which would spoil the next trial. After a rate that clearly broke, or at which
//!   latency rose, the search therefore [drains](Purpose::Drain): it runs at a low rate until latency is under the
//!   bound.

mod fit;
mod found;
mod observation;
mod point;
mod share;
#[cfg(test)]
mod simulated;
mod terms;
mod trial;

use crate::units::Rate;
pub use found::{CONFIDENCE, Ending, Found, Limit};
pub use observation::{Observation, Slice};
use point::{Point, Verdict};
use std::time::Duration;
pub use terms::Terms;

/// The factor to the next rate while no rate has broken.
const GROWTH: f64 = 2.0;
/// The divisor to the next rate while no rate has held.
const RETREAT: f64 = 4.0;
/// The most trials, however wide the range still is.
const MOST_TRIALS: u32 = 120;
/// Slices that a trial is measured in.
const SLICES: u32 = 8;
/// How often a rate is tried in a row while no rate has broken, or none has held.
const MOST_IN_A_ROW: u32 = 4;
/// How often a rate between one that holds and one that breaks is tried in a row.
const PATIENCE: u32 = 8;
/// How often a whole number is tried in all: where it is unsure after that, as on a noisy machine, more trials of it tell nothing new.
const MOST_OF_ONE: u32 = 16;
/// How many trials each halving of the range takes as a rule, drains included.
const TRIALS_A_HALVING: f64 = 4.0;
/// Neighbouring unsure rates within this factor get no rate between them: it would be unsure, too.
const CLOSE: f64 = 1.2;
/// The next rate that holds, or that breaks, must be within this factor of the unsure ones; else a rate between is
/// tried.
const FAR: f64 = 1.5;
/// How often a drain checks whether latency is back under the bound before the server counts as not recovering. The
/// time to answer the backlog is added.
const MOST_DRAINS: u32 = 20;
/// `MOST_DRAINS` while no rate has held: perhaps none ever does.
const FEW_DRAINS: u32 = 4;
/// The most checks of a drain, however large a backlog is.
const LONGEST_DRAIN: u32 = 200;
/// How many samples beyond the percentile make it reliable.
const SAMPLES_BEYOND: f64 = 10.0;
/// How many answers show that a server has recovered.
const DRAIN_SAMPLES: f64 = 5.0;
/// By which factor a trial at a low rate may be longer, to have enough samples.
const STRETCH: f64 = 5.0;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Run at this rate, then report what was [observed](RateSearch::observe).
    Run {
        /// Messages per second, of the whole run.
        rate: Rate,
        /// Why.
        purpose: Purpose,
        /// How long to run first, without measuring.
        settle: Duration,
        /// How long to measure then.
        measure: Duration,
        /// The number of slices of equal length to measure in.
        slices: u32,
    },
    /// The search is over.
    Done(Found),
}

/// Why a rate is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To find out whether it holds.
    Trial,
    /// To let the server work off the backlog of a rate that broke.
    Drain,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// `settled`: the run is at that rate already.
    Trying {
        rate: f64,
        settled: bool,
    },
    Draining {
        rate: f64,
        then: f64,
        looks: u32,
    },
    Done(Ending),
}

/// The search. See the [module](self).
#[derive(Clone, Debug)]
pub struct RateSearch {
    terms: Terms,
    /// Every rate tried, in rising order.
    points: Vec<Point>,
    phase: Phase,
    trials: u32,
    /// The number of trials in a row with the same rate.
    in_a_row: u32,
    spent: Duration,
}

impl RateSearch {
    /// A search on `terms`. Rates out of order and tolerances that can't be met are corrected silently.
    pub fn new(mut terms: Terms) -> RateSearch {
        if terms.least > terms.most {
            terms.least = terms.most;
        }
        terms.tolerance = terms.tolerance.max(0.001);
        let start = (terms.start.get()).clamp(terms.least.get(), terms.most.get());
        RateSearch {
            phase: Phase::Trying {
                rate: terms.at_least(start),
                settled: false,
            },
            terms,
            points: vec![],
            trials: 0,
            in_a_row: 0,
            spent: Duration::ZERO,
        }
    }

    /// The terms of the search.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What to do now. It stays the same until something is [observed](RateSearch::observe).
    pub fn next(&self) -> Next {
        let (rate, purpose, settle, measure, slices) = match self.phase {
            Phase::Trying { rate, settled } => {
                let settle = match settled {
                    true => Duration::ZERO,
                    false => self.terms.settle,
                };
                (rate, Purpose::Trial, settle, self.measure(rate), SLICES)
            }
            Phase::Draining { rate, .. } => {
                let look = self.drain_look(rate);
                (rate, Purpose::Drain, Duration::ZERO, look, 1)
            }
            Phase::Done(ending) => return Next::Done(self.found(ending)),
        };
        Next::Run {
            rate: Rate::per_second(rate).unwrap_or(self.terms.least),
            purpose,
            settle,
            measure,
            slices,
        }
    }

    /// How long to measure `rate`, so that the percentile is reliable.
    fn measure(&self, rate: f64) -> Duration {
        let samples = SAMPLES_BEYOND / self.terms.allowed();
        self.at_least(samples / self.messages(rate), self.terms.measure)
    }

    /// How long each check of a drain takes.
    fn drain_look(&self, rate: f64) -> Duration {
        self.at_least(DRAIN_SAMPLES / self.messages(rate), self.terms.measure / 2)
    }

    /// Messages per second at `rate`.
    fn messages(&self, rate: f64) -> f64 {
        rate * self.terms.messages_per_unit
    }

    /// `enough` seconds, but at least `least`, and at most the longest trial.
    fn at_least(&self, enough: f64, least: Duration) -> Duration {
        let most = self.terms.measure.mul_f64(STRETCH);
        Duration::try_from_secs_f64(enough).map_or(most, |d| d.clamp(least, most))
    }

    /// Records the outcome of the present run. Does nothing once the search is over.
    pub fn observe(&mut self, seen: &Observation) {
        let Next::Run {
            settle, measure, ..
        } = self.next()
        else {
            return;
        };
        self.spent += settle + measure;
        self.phase = match self.phase {
            Phase::Trying { rate, settled } => {
                self.in_a_row = if settled { self.in_a_row + 1 } else { 1 };
                self.tried(rate, measure, seen)
            }
            Phase::Draining { rate, then, looks } => self.drained(rate, then, looks, seen),
            Phase::Done(ending) => Phase::Done(ending),
        };
        self.stop_in_time();
    }

    /// Ends the search if there is no time for the next step, or after the most trials.
    fn stop_in_time(&mut self) {
        let Next::Run {
            settle, measure, ..
        } = self.next()
        else {
            return;
        };
        let most = self.terms.at_most.unwrap_or(Duration::MAX);
        if self.spent + settle + measure > most || self.trials >= MOST_TRIALS {
            self.phase = Phase::Done(self.broken_off().unwrap_or(Ending::Unfinished));
        }
    }

    /// How a search ends that tries nothing more; `None` if there is no range yet.
    fn broken_off(&self) -> Option<Ending> {
        Some(match self.is_narrow(self.range()?) {
            true => Ending::Found,
            false => Ending::Unsure,
        })
    }

    /// Whether this whole number was tried so often that one more trial tells nothing new.
    fn is_worn(&self, rate: f64) -> bool {
        let mut points = self.points.iter();
        let tried = points.find(|p| p.rate == rate).map_or(0, |p| p.trials);
        self.terms.whole && tried >= MOST_OF_ONE
    }

    /// How long the search still takes, as a rule, once it is known between which rates the limit lies.
    pub fn left(&self) -> Option<Duration> {
        if matches!(self.phase, Phase::Done(_)) {
            return None;
        }
        let (from, to) = (self.low()?.rate, self.high()?.rate);
        let mut parts = (to / from).ln() / self.terms.tolerance.ln_1p();
        if self.terms.whole {
            parts = parts.min(to - from);
        }
        let trials = (parts.log2().ceil().max(0.0) * TRIALS_A_HALVING).max(1.0);
        let most = f64::from(MOST_TRIALS.saturating_sub(self.trials).max(1));
        let each = self.terms.settle + self.terms.measure;
        let left = each.mul_f64(trials.min(most));
        let most = self
            .terms
            .at_most
            .map(|most| most.saturating_sub(self.spent));
        Some(most.map_or(left, |most| left.min(most)))
    }

    fn tried(&mut self, rate: f64, measured: Duration, seen: &Observation) -> Phase {
        self.trials += 1;
        let i = self.points.partition_point(|p| p.rate < rate);
        if self.points.get(i).is_none_or(|p| p.rate != rate) {
            self.points.insert(i, Point::new(rate));
        }
        let leaves_queue = self.points[i].add(seen, self.terms.bound, measured);
        let gap = match (self.low(), self.high()) {
            (Some(low), Some(high)) => (high.rate / low.rate).ln(),
            _ => GROWTH.ln(),
        };
        self.points[i].verdict = self.points[i].judge(&self.terms, gap);
        match self.next_rate(&self.points[i]) {
            Err(ending) => Phase::Done(ending),
            Ok(next) if self.is_worn(next) => {
                Phase::Done(self.broken_off().unwrap_or(Ending::Unsure))
            }
            // Without a drain, a lasting overload shows more clearly.
            Ok(next) if next == rate => Phase::Trying {
                rate,
                settled: true,
            },
            Ok(then) if leaves_queue => self.drain(then, measured, seen),
            Ok(rate) => Phase::Trying {
                rate,
                settled: false,
            },
        }
    }

    /// Runs at a low rate until the backlog of a trial is worked off.
    fn drain(&self, then: f64, measured: Duration, seen: &Observation) -> Phase {
        let answered = seen.answered_per_s;
        let mut low = self.low().map_or(then, |low| low.rate.min(then));
        if answered > 0.0 {
            low = low.min(answered / self.terms.messages_per_unit);
        }
        let rate = (self.terms).at_least((low / 2.0).max(self.terms.least.get() / 2.0));
        let ran = (self.terms.settle + measured).as_secs_f64();
        let left = (seen.sent_per_s - answered).max(0.0) * ran;
        let seconds = left / (answered - self.messages(rate)).max(answered / 2.0);
        let calm = match self.low() {
            Some(_) => MOST_DRAINS,
            None => FEW_DRAINS,
        };
        // Without answers the quotient is not a number, or infinite.
        let looks = match (1.5 * seconds / self.drain_look(rate).as_secs_f64()).ceil() {
            looks if looks.is_finite() => calm.saturating_add(looks as u32).min(LONGEST_DRAIN),
            _ => calm,
        };
        Phase::Draining { rate, then, looks }
    }

    fn drained(&self, rate: f64, then: f64, looks: u32, seen: &Observation) -> Phase {
        let back = seen.latency.is_some_and(|l| l <= self.terms.bound);
        match looks {
            1.. if !back => Phase::Draining {
                rate,
                then,
                looks: looks - 1,
            },
            0 if !back && self.low().is_some() => Phase::Done(Ending::NotRecovered),
            _ => Phase::Trying {
                rate: then,
                settled: false,
            },
        }
    }

    /// The highest rate that holds, among those below all rates that break.
    fn low(&self) -> Option<&Point> {
        let below = self
            .points
            .iter()
            .take_while(|p| p.verdict != Verdict::Breaks);
        below.filter(|p| p.verdict == Verdict::Holds).last()
    }

    /// The lowest rate that breaks.
    fn high(&self) -> Option<&Point> {
        self.points.iter().find(|p| p.verdict == Verdict::Breaks)
    }

    /// The rate to try after a trial of `last`, or how the search ends.
    fn next_rate(&self, last: &Point) -> Result<f64, Ending> {
        let (least, most) = (self.terms.least.get(), self.terms.most.get());
        let (lowest, highest) = (&self.points[0], &self.points[self.points.len() - 1]);
        let again = last.verdict == Verdict::Unsure && self.in_a_row < MOST_IN_A_ROW;
        let seems = last.seems_to_hold(&self.terms);
        match (self.low(), self.high()) {
            (Some(low), Some(high)) => self.bisect(low, high, last),
            _ if again => Ok(last.rate),
            (_, None) if highest.rate < most => Ok((highest.rate * GROWTH).min(most)),
            (_, None) if last.verdict == Verdict::Holds => Err(Ending::NeverBroke),
            (_, None) if seems && self.in_a_row >= PATIENCE => Err(Ending::Unsure),
            (None, Some(_)) if lowest.rate > least => {
                Ok(self.terms.at_least((lowest.rate / RETREAT).max(least)))
            }
            (None, Some(high)) if lowest.seems_to_hold(&self.terms) => {
                self.bisect(lowest, high, last)
            }
            (None, Some(_)) => Err(Ending::AlwaysBroke),
            // The highest rate is in doubt.
            (_, None) => Ok(last.rate),
        }
    }

    /// The rate to try between one that holds and one that breaks: the middle one, until it holds or breaks.
    fn bisect(&self, low: &Point, high: &Point, last: &Point) -> Result<f64, Ending> {
        if low.verdict == Verdict::Holds && self.is_narrow((low.rate, high.rate)) {
            return Err(Ending::Found);
        }
        let inside = |p: &&Point| low.rate < p.rate && p.rate < high.rate;
        if inside(&last) && self.in_a_row < PATIENCE {
            return Ok(last.rate);
        }
        // An unsure rate counts as what it seems to be, as long as that narrows the range.
        let unsure: Vec<&Point> = self.points.iter().filter(inside).collect();
        let holds = unsure.partition_point(|p| p.seems_to_hold(&self.terms));
        let from = unsure[..holds].last().unwrap_or(&low).rate;
        let to = unsure[holds..].first().unwrap_or(&high).rate;
        if (to / from > CLOSE || unsure.is_empty())
            && let Some(middle) = self.terms.between(from, to)
        {
            return Ok(middle);
        }
        let (Some(first), Some(last)) = (unsure.first(), unsure.last()) else {
            // Neighbours, the lower of which is not sure to hold.
            return Ok(low.rate);
        };
        if high.rate / last.rate > FAR
            && let Some(middle) = self.terms.between(last.rate, high.rate)
        {
            return Ok(middle);
        }
        if first.rate / low.rate > FAR
            && let Some(middle) = self.terms.between(low.rate, first.rate)
        {
            return Ok(middle);
        }
        let least_tried = unsure.iter().min_by_key(|p| p.trials);
        Ok(least_tried.map_or(last.rate, |p| p.rate))
    }

    fn is_narrow(&self, (from, to): (f64, f64)) -> bool {
        to / from <= 1.0 + self.terms.tolerance || self.terms.between(from, to).is_none()
    }

    /// The range in which the limit lies.
    fn range(&self) -> Option<(f64, f64)> {
        let (low, high) = (self.low()?.rate, self.high()?.rate);
        let (from, to) = fit::range(&self.points, &self.terms).unwrap_or((low, high));
        Some((from.clamp(low, high), to.clamp(low, high)))
    }

    /// The result so far, for a run that ends before the search does.
    pub fn so_far(&self) -> Found {
        self.found(match self.phase {
            Phase::Done(ending) => ending,
            _ => Ending::Unfinished,
        })
    }

    fn found(&self, ending: Ending) -> Found {
        let (low, high) = (self.low(), self.high());
        Found {
            ending,
            held_per_s: low.map(|p| p.rate),
            held_latency: low.and_then(Point::latency),
            broke_per_s: high.map(|p| p.rate),
            limit: high.and_then(|p| p.limit),
            between_per_s: self.range(),
            trials: self.trials,
        }
    }
}

#[cfg(test)]
mod tests;
