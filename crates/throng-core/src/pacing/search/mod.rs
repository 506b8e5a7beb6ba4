//! The highest rate that keeps latency under a bound, found by trying (`-r @T`).
//!
//! [`RateSearch`] says what rate to run at and for how long, is told what came of it, and goes on, until it
//! is [done](Order::Done). It reads no clock; what it is told may as well be simulated.
//!
//! It doubles the rate until one breaks. From then on it reckons with probabilities: rates lie on a grid half as
//! wide as the tolerance, and all that was measured says how likely the true rate lies between each two neighbours
//! ([`belief`]), by what a queue shows so far above or below its limit ([`queue`], [`evidence`]).
//! The next rate is the median of that, so that a wrong turn is found out and taken back (probabilistic bisection:
//! Horstein 1963; Waeber, Frazier and Henderson 2013). It ends when the bracket is narrow enough and sure enough, or
//! when its time is used up: then with the best bracket and what is known of it, which may be little. Near its
//! limit a server with random service times needs minutes to be known to 2 %.
//!
//! Against what would mislead it:
//!
//! - A trial is much longer than the bound, and settles for several bounds first, as an empty queue takes time
//!   to fill. If latency still rises all through a trial, what was over the bound is not counted, and the rise
//!   speaks against the rate.
//! - An overload leaves a queue behind, which would spoil the next trial. So after a rate that clearly broke, or at
//!   which latency rose, it [drains](Purpose::Drain): a low rate until latency is back under the bound.
//! - While the rate stays the same, one trial goes on where the last one ended, with no further settling.

mod belief;
mod evidence;
mod found;
mod observation;
mod queue;
mod reading;
mod terms;

use crate::units::Rate;
use belief::Belief;
use evidence::Evidence;
pub use found::{Ending, Found, Limit};
pub use observation::{Observation, Slice};
use queue::Queue;
use std::time::Duration;
pub use terms::Terms;

/// How much faster the next trial is while nothing has broken.
const GROWTH: f64 = 2.0;
/// How much slower it is while nothing has held.
const RETREAT: f64 = 4.0;
/// More trials are not made, however unsure it is.
const MOST_TRIALS: u32 = 120;
/// Slices that a trial is measured in: the most, and as few as there are if each would be shorter than that.
const SLICES: u128 = 8;
const FEWEST_SLICES: u128 = 4;
const SHORTEST_SLICE: Duration = Duration::from_millis(25);
/// How sure the bracket must be for the search to end before its time.
const SURE: f64 = 0.9;
/// A rate that holds, or breaks, with this probability need not be tried again for now …
const CLEAR: f64 = 0.9;
/// … nor at all.
const SETTLED: f64 = 0.98;
/// The true rate is not looked for far beyond one that breaks, or holds, with a probability as small as this.
const NEGLIGIBLE: f64 = 0.001;
/// How much confidence is worth a bracket that is narrower by a step of the grid.
const NARROWER: f64 = 0.02;
/// When there is no better bracket, its ends may hold and break with as little probability as this.
const DOUBTFUL: f64 = 0.3;
/// How often a rate is tried in a row while nothing has broken, or nothing held.
const MOST_IN_A_ROW: u32 = 4;
/// So many trials must have been made at each end of the bracket.
const CONFIRM: u32 = 2;
/// Latency over the bound by this factor leaves a queue that must be drained.
const FAR_OVER: f64 = 2.0;
/// How often a drain looks for latency to be back under the bound, beyond what it takes to answer all that
/// was sent and not answered, before the server counts as not recovering.
const MOST_DRAINS: u32 = 20;
/// The same while no rate has held: it may be that none ever does.
const FEW_DRAINS: u32 = 4;
/// The most looks that a drain has in all, whatever a rate far too high has left behind.
const LONGEST_DRAIN: u32 = 200;
/// How many more samples than the one beyond the percentile make a percentile worth believing.
const SAMPLES_BEYOND: f64 = 10.0;
/// How many answers are enough to see that a server has recovered.
const DRAIN_SAMPLES: f64 = 5.0;
/// How much longer than asked a trial at a low rate may last to have enough samples.
const STRETCH: f64 = 5.0;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Run at this rate, then say what was [observed](RateSearch::observe).
    Run {
        /// Messages a second, of the whole run.
        rate: Rate,
        /// What for.
        purpose: Purpose,
        /// Run so long first, without measuring.
        settle: Duration,
        /// Then measure so long …
        measure: Duration,
        /// … in so many slices of the same length.
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
    /// To let the server work off what a rate that broke has left behind.
    Drain,
}

/// A rate that was tried.
#[derive(Clone, Debug)]
struct Point {
    /// Its place on the grid.
    step: i32,
    rate: f64,
    evidence: Evidence,
    /// The probability that it holds.
    holds: f64,
    trials: u32,
    /// What broke last time it did.
    limit: Option<Limit>,
    /// Latency at the percentile, added up over all trials that had one, and how many those were.
    latency: (Duration, u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// `on`: it runs at that rate already, and has settled.
    Trying {
        step: i32,
        on: bool,
    },
    Draining {
        rate: f64,
        then: i32,
        looks: u32,
    },
    Done(Ending),
}

/// The search. See the [module](self).
#[derive(Clone, Debug)]
pub struct RateSearch {
    terms: Terms,
    /// Every rate that was tried, in rising order.
    points: Vec<Point>,
    state: State,
    trials: u32,
    /// How many trials in a row had the same rate.
    in_a_row: u32,
    spent: Duration,
    /// The logarithm of the ratio of neighbours on the grid, and the first and last step on it.
    grain: f64,
    ends: (i32, i32),
    belief: Belief,
}

impl RateSearch {
    /// A search on `terms`; rates out of order and tolerances that can't be met are put right silently.
    pub fn new(mut terms: Terms) -> RateSearch {
        if terms.least > terms.most {
            terms.least = terms.most;
        }
        let start = terms.start.get().clamp(terms.least.get(), terms.most.get());
        terms.start = Rate::per_second(start).unwrap_or(terms.least);
        terms.tolerance = terms.tolerance.max(0.001);
        let grain = terms.tolerance.ln_1p() / 2.0;
        let steps = |rate: Rate| (rate.get() / start).ln() / grain;
        RateSearch {
            ends: (
                steps(terms.least).floor() as i32,
                steps(terms.most).ceil() as i32,
            ),
            terms,
            points: vec![],
            state: State::Trying { step: 0, on: false },
            trials: 0,
            in_a_row: 0,
            spent: Duration::ZERO,
            belief: Belief::new(0, 1, Queue::new(Duration::ZERO, 1.0, grain), &[]),
            grain,
        }
    }

    /// What it searches for.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The rate at a place on the grid, whose ends are the least and the most that may be tried.
    fn rate(&self, step: i32) -> f64 {
        let rate = self.terms.start.get() * (f64::from(step) * self.grain).exp();
        rate.clamp(self.terms.least.get(), self.terms.most.get())
    }

    /// How many steps of the grid are a factor of `growth`.
    fn steps(&self, growth: f64) -> i32 {
        (growth.ln() / self.grain).round().max(1.0) as i32
    }

    /// What to do now. The same until something is [observed](RateSearch::observe).
    pub fn order(&self) -> Order {
        let run = |n: f64, purpose, settle, measure: Duration| Order::Run {
            rate: Rate::per_second(n).unwrap_or(self.terms.least),
            purpose,
            settle,
            measure,
            slices: match purpose {
                Purpose::Trial => {
                    let fit = measure.as_nanos() / SHORTEST_SLICE.as_nanos();
                    fit.clamp(FEWEST_SLICES, SLICES) as u32
                }
                Purpose::Drain => 1,
            },
        };
        match self.state {
            State::Trying { step, on } => {
                let rate = self.rate(step);
                let settle = if on {
                    Duration::ZERO
                } else {
                    self.terms.settle
                };
                run(rate, Purpose::Trial, settle, self.measure(rate))
            }
            State::Draining { rate, .. } => {
                run(rate, Purpose::Drain, Duration::ZERO, self.drain_look(rate))
            }
            State::Done(ending) => Order::Done(self.found(ending)),
        }
    }

    /// How long `rate` must be measured for the percentile to mean something.
    fn measure(&self, rate: f64) -> Duration {
        self.at_least(self.samples() / rate, self.terms.measure)
    }

    /// `enough` seconds, but no less than `least` and no more than a trial at a low rate may last.
    fn at_least(&self, enough: f64, least: Duration) -> Duration {
        let most = self.terms.measure.mul_f64(STRETCH);
        Duration::try_from_secs_f64(enough).map_or(most, |d| d.clamp(least, most))
    }

    /// How many samples the percentile should be from.
    fn samples(&self) -> f64 {
        SAMPLES_BEYOND / self.allowed()
    }

    /// The share of answers that may be over the bound.
    fn allowed(&self) -> f64 {
        (1.0 - self.terms.percentile / 100.0).max(1e-5)
    }

    /// Takes note of what the present order led to. Nothing, if there is none any more.
    pub fn observe(&mut self, seen: &Observation) {
        if let Order::Run {
            settle, measure, ..
        } = self.order()
        {
            self.spent += settle + measure;
        }
        match self.state {
            State::Trying { step, .. } => self.tried(step, seen),
            State::Draining { rate, then, looks } => {
                let back = seen.latency.is_some_and(|l| l <= self.terms.bound);
                let trying = State::Trying {
                    step: then,
                    on: false,
                };
                self.state = match looks {
                    _ if back => trying,
                    1.. => State::Draining {
                        rate,
                        then,
                        looks: looks - 1,
                    },
                    0 if self.low().is_none() => trying,
                    0 => State::Done(Ending::NotRecovered),
                };
            }
            State::Done(_) => {}
        }
        self.stop_in_time();
    }

    /// Ends the search if there is no time for what would come next.
    fn stop_in_time(&mut self) {
        if let (
            Some(most),
            Order::Run {
                settle, measure, ..
            },
        ) = (self.terms.at_most, self.order())
            && self.spent + settle + measure > most
        {
            self.state = State::Done(self.out_of_time(Ending::Unfinished));
        }
    }

    /// How it ends when there is no more time: with a bracket that is narrow enough it has an answer, however
    /// unsure.
    fn out_of_time(&self, otherwise: Ending) -> Ending {
        match self.bracket() {
            Some((low, high)) if self.is_narrow(low, high) => Ending::Found,
            _ => otherwise,
        }
    }

    fn tried(&mut self, step: i32, seen: &Observation) {
        self.trials += 1;
        let rate = self.rate(step);
        let bound = self.terms.bound;
        let measured = self.measure(rate);
        let reading = reading::read(seen, bound, measured);
        let i = self.points.partition_point(|p| p.step < step);
        if self.points.get(i).is_none_or(|p| p.step != step) {
            let point = Point {
                step,
                rate,
                evidence: Evidence::default(),
                holds: 0.5,
                trials: 0,
                limit: None,
                latency: (Duration::ZERO, 0),
            };
            self.points.insert(i, point);
        }
        let point = &mut self.points[i];
        let on = matches!(self.state, State::Trying { on: true, .. });
        self.in_a_row = if on { self.in_a_row + 1 } else { 1 };
        point.trials += 1;
        point.evidence.add(seen, measured, &reading);
        if let Some(latency) = seen.latency {
            point.latency = (point.latency.0 + latency, point.latency.1 + 1);
        }
        if reading.broke.is_some() {
            point.limit = reading.broke;
        } else if reading.rising {
            point.limit = Some(Limit::Latency);
        }
        self.believe();
        let far_over = match reading.broke {
            Some(Limit::Latency) => seen.latency.is_none_or(|l| l > bound.mul_f64(FAR_OVER)),
            broke => broke.is_some(),
        };
        self.state = match self.next_step(i, reading.near) {
            Err(ending) => State::Done(ending),
            // What it is at is what it is to be: an overload that stays shows ever more clearly.
            Ok(next) if next == step => State::Trying { step, on: true },
            Ok(then) if far_over || reading.rising => {
                let low = self
                    .low()
                    .map_or(self.rate(then), |low| self.points[low].rate);
                let mut low = low.min(self.rate(then));
                if seen.answered_per_s > 0.0 {
                    low = low.min(seen.answered_per_s);
                }
                let low = (low / 2.0).max(self.terms.least.get() / 2.0);
                let looks = self.looks(rate, seen, low);
                State::Draining {
                    rate: low,
                    then,
                    looks,
                }
            }
            Ok(next) => State::Trying {
                step: next,
                on: false,
            },
        };
        self.stop_if_tired();
    }

    fn stop_if_tired(&mut self) {
        let over = matches!(self.state, State::Done(_));
        if self.trials >= MOST_TRIALS && !over {
            self.state = State::Done(self.out_of_time(Ending::Unsteady));
        }
    }

    /// How many looks, after the first, it may take a server to work off at the rate `low` what a trial at
    /// `rate` has left behind, and to calm down.
    fn looks(&self, rate: f64, seen: &Observation, low: f64) -> u32 {
        let ran = (self.terms.settle + self.measure(rate)).as_secs_f64();
        let left = (seen.sent_per_s - seen.answered_per_s).max(0.0) * ran;
        let seconds = left / (seen.answered_per_s - low).max(seen.answered_per_s / 2.0);
        let look = self.drain_look(low).as_secs_f64();
        let calm = match self.low() {
            Some(_) => MOST_DRAINS,
            None => FEW_DRAINS,
        };
        // Without answers the quotient is no number, or has no end.
        match (1.5 * seconds / look).ceil() {
            looks if looks.is_finite() => calm.saturating_add(looks as u32).min(LONGEST_DRAIN),
            _ => calm,
        }
    }

    /// How long each look of a drain takes.
    fn drain_look(&self, rate: f64) -> Duration {
        self.at_least(DRAIN_SAMPLES / rate, self.terms.measure / 2)
    }

    /// The highest rate that held, of those below every rate that broke.
    fn low(&self) -> Option<usize> {
        let high = self.high().unwrap_or(self.points.len());
        self.points[..high].iter().rposition(|p| p.holds > 0.5)
    }

    /// The lowest rate that broke.
    fn high(&self) -> Option<usize> {
        self.points.iter().position(|p| p.holds < 0.5)
    }

    /// The step to try after a measurement of point `last`, or that it is over.
    fn next_step(&self, last: usize, near: bool) -> Result<i32, Ending> {
        let (first, most) = self.ends;
        let (lowest, highest) = (self.points[0].step, self.points[self.points.len() - 1].step);
        let last = &self.points[last];
        let holds = last.holds;
        let again = self.in_a_row < MOST_IN_A_ROW;
        match (self.low(), self.high()) {
            (_, None) => {
                if last.step < most {
                    // Only a rate that holds clearly is passed, unless it stays doubtful.
                    let passed = holds >= CLEAR || !near || !again;
                    let next = (highest + self.steps(GROWTH)).min(most);
                    Ok(if passed { next } else { last.step })
                } else if last.trials >= CONFIRM && holds >= SURE || !again {
                    Err(Ending::NeverBroke)
                } else {
                    Ok(last.step)
                }
            }
            (None, Some(_)) => {
                if last.step > first {
                    let passed = holds <= 1.0 - CLEAR || !again;
                    let next = (lowest - self.steps(RETREAT)).max(first);
                    Ok(if passed { next } else { last.step })
                } else if last.trials >= CONFIRM && holds <= 1.0 - SURE || !again {
                    Err(Ending::AlwaysBroke)
                } else {
                    Ok(last.step)
                }
            }
            (Some(_), Some(_)) => self.halve(last),
        }
    }

    /// The step to try when something has held and something has broken.
    fn halve(&self, last: &Point) -> Result<i32, Ending> {
        let belief = &self.belief;
        if let Some((low, high)) = self.bracket()
            && self.is_narrow(low, high)
        {
            let (low, high) = (&self.points[low], &self.points[high]);
            if belief.between(low.step, high.step) >= SURE {
                if let Some(unsure) = [low, high].into_iter().find(|p| p.trials < CONFIRM) {
                    return Ok(unsure.step);
                }
                // What lies between may narrow it further.
                let untried = |step: &i32| !self.points.iter().any(|p| p.step == *step);
                return match (low.step + 1..high.step).find(untried) {
                    Some(between) => Ok(between),
                    None => Err(Ending::Found),
                };
            }
        }
        // Either side of the median: what is less sure, then what was tried less often.
        let below = belief.quantile(0.5).clamp(self.ends.0, self.ends.1 - 1);
        let tried = |step: i32| {
            let point = self.points.iter().find(|p| p.step == step);
            let settled = point.is_some_and(|p| {
                p.trials >= CONFIRM && !(1.0 - SETTLED..=SETTLED).contains(&p.holds)
            });
            (settled, point.map_or(0, |p| p.trials), step != last.step)
        };
        let [low, high] = [tried(below), tried(below + 1)];
        Ok(if low <= high { below } else { below + 1 })
    }

    /// Reckons anew where the true rate lies, by all that was measured.
    fn believe(&mut self) {
        let (first, last) = (&self.points[0], &self.points[self.points.len() - 1]);
        // It may lie beyond what was tried, as far as the ends of that are not clear.
        let wide = self.steps(GROWTH);
        let (mut from, mut to) = (first.step - wide, last.step + wide);
        if let (Some(low), Some(high)) = (self.low(), self.high()) {
            // What is far beyond a rate that is as good as certain need not be reckoned with each time.
            let (below, above) = (&self.points[..=low], &self.points[high..]);
            if let Some(clear) = below.iter().rfind(|p| p.holds > 1.0 - NEGLIGIBLE) {
                from = from.max(clear.step - wide / 2);
            }
            if let Some(clear) = above.iter().find(|p| p.holds < NEGLIGIBLE) {
                to = to.min(clear.step + wide / 2);
            }
        }
        let tried: Vec<_> = self.points.iter().map(|p| (p.step, &p.evidence)).collect();
        let queue = Queue {
            excess: self.belief.excess,
            ..Queue::new(self.terms.bound, self.allowed(), self.grain)
        };
        self.belief = Belief::new(from, to, queue, &tried);
        for point in &mut self.points {
            point.holds = self.belief.holds(point.step);
        }
    }

    fn is_narrow(&self, low: usize, high: usize) -> bool {
        let steps = self.points[high].step - self.points[low].step;
        f64::from(steps) * self.grain <= self.terms.tolerance.ln_1p() * 1.001
    }

    /// The two rates between which the true one most likely lies, of those that were tried and are no wider
    /// apart than asked for; else the two that are closest together.
    fn bracket(&self) -> Option<(usize, usize)> {
        let usual = (self.low()?, self.high()?);
        // A rate that was taken to hold or to break may just have come to be doubtful.
        let doubt = [0.5, DOUBTFUL];
        let found = doubt.iter().find_map(|least| self.narrow_bracket(*least));
        Some(found.unwrap_or(usual))
    }

    /// The likeliest of those that are narrow enough, whose lower end holds and whose upper breaks with a probability
    /// of more than `least`.
    fn narrow_bracket(&self, least: f64) -> Option<(usize, usize)> {
        let mut best = None;
        for low in 0..self.points.len() {
            for high in low + 1..self.points.len() {
                let (from, to) = (&self.points[low], &self.points[high]);
                if from.holds <= least || to.holds > 1.0 - least || !self.is_narrow(low, high) {
                    continue;
                }
                // Of two that are about as likely, the narrower one.
                let (from, to) = (from.step, to.step);
                let likely = self.belief.between(from, to) - NARROWER * f64::from(to - from);
                if best.is_none_or(|(most, _)| likely > most) {
                    best = Some((likely, (low, high)));
                }
            }
        }
        best.map(|(_, bracket)| bracket)
    }

    /// The result so far, for a run that ends before the search does.
    pub fn so_far(&self) -> Found {
        self.found(match self.state {
            State::Done(ending) => ending,
            _ => self.out_of_time(Ending::Unfinished),
        })
    }

    fn found(&self, ending: Ending) -> Found {
        let (low, high) = match self.bracket() {
            Some((low, high)) => (Some(low), Some(high)),
            None => (self.low(), self.high()),
        };
        let (low, high) = (low.map(|i| &self.points[i]), high.map(|i| &self.points[i]));
        let (confidence, likely) = match (low, high) {
            (Some(low), Some(high)) => {
                let belief = &self.belief;
                let likely = (belief.quantile(0.05), belief.quantile(0.95) + 1);
                (
                    belief.between(low.step, high.step),
                    Some((self.rate(likely.0), self.rate(likely.1))),
                )
            }
            (Some(low), None) => (low.holds, None),
            (None, Some(high)) => (1.0 - high.holds, None),
            (None, None) => (0.0, None),
        };
        Found {
            ending,
            held_per_s: low.map(|p| p.rate),
            held_latency: low
                .filter(|p| p.latency.1 > 0)
                .map(|p| p.latency.0 / p.latency.1),
            broke_per_s: high.map(|p| p.rate),
            limit: high.and_then(|p| p.limit),
            trials: self.trials,
            confidence,
            likely,
        }
    }
}

#[cfg(test)]
mod tests;
