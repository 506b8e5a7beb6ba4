//! The highest rate that keeps latency under a bound, found by trying (`-r @T`).
//!
//! [`RateSearch`] says what rate to run at and for how long, is told what came of it, and goes on, until it
//! is [done](Order::Done). It reads no clock; what it is told may as well be simulated.
//!
//! It doubles the rate until one breaks, then halves the bracket between the highest rate that held and the
//! lowest that broke, on a logarithmic scale, until that is narrow enough. Three things guard it against
//! noise and against itself:
//!
//! - An overload leaves a queue behind, which would spoil the next trial. So after each rate that broke it
//!   [drains](Purpose::Drain): a low rate until latency is back under the bound.
//! - A rate that broke, or whose latency is close to the bound, is measured again; the majority of up to
//!   three decides.
//! - Before it is done it measures both ends of the bracket once more; one that does not stand opens the
//!   bracket again.

use super::verdict::{self, Votes};
use crate::human;
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much faster the next trial is while nothing has broken.
const GROWTH: f64 = 2.0;
/// How many trials' time a search takes that begins at a hundredth of the limit, drains included.
const USUAL_TRIALS: f64 = 60.0;
/// How much slower it is while nothing has held.
const RETREAT: f64 = 4.0;
/// More trials than any search needs that is not led in circles by noise: doubling from 1/s to 10^9/s is
/// 30, halving to 2 % is 6 points of at most 3, and the ends are measured up to 5 times.
const MOST_TRIALS: u32 = 80;
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

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Latency must stay at or under this.
    pub bound: Duration,
    /// At this percentile.
    pub percentile: f64,
    /// The first rate that is tried, of the whole run.
    pub start: Rate,
    /// The lowest rate worth trying.
    pub least: Rate,
    /// The highest rate worth trying.
    pub most: Rate,
    /// It is done when the lowest rate that broke is at most this much above the highest that held: 0.02
    /// is 2 %.
    pub tolerance: f64,
    /// How long a new rate runs before it is measured.
    pub settle: Duration,
    /// How long it is measured; longer if that gives too few samples.
    pub measure: Duration,
}

impl Terms {
    /// The highest rate whose 95th percentile is at or under `bound`, within 2 %, beginning with 100/s.
    pub fn new(bound: Duration) -> Terms {
        let rate = |n| Rate::per_second(n).expect("a constant above zero");
        Terms {
            bound,
            percentile: 95.0,
            start: rate(100.0),
            least: rate(1.0),
            most: rate(1e9),
            tolerance: 0.02,
            settle: Duration::from_millis(500),
            measure: Duration::from_secs(1),
        }
    }
}

impl Terms {
    /// The same with trials so short that a search of usual length ends within `run`, if it is too short
    /// for those asked for; at the cost of more noise. Not below a twentieth of a second to settle and
    /// a tenth to measure.
    pub fn within(mut self, run: Duration) -> Terms {
        let fit = run.as_secs_f64() / (self.settle + self.measure).as_secs_f64() / USUAL_TRIALS;
        if fit < 1.0 {
            self.settle = self.settle.mul_f64(fit).max(Duration::from_millis(50));
            self.measure = self.measure.mul_f64(fit).max(Duration::from_millis(100));
        }
        self
    }
}

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
        /// Then measure so long.
        measure: Duration,
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

/// What was measured in the time that an [`Order::Run`] gave for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Messages that were due, a second.
    pub asked_per_s: f64,
    /// Messages that were sent, a second.
    pub sent_per_s: f64,
    /// Answers that came, a second.
    pub answered_per_s: f64,
    /// Latency at the percentile asked for, counted from when messages were due; `None` if no answer came.
    pub latency: Option<Duration>,
    /// How many answers that latency is from.
    pub samples: u64,
}

/// What stood in the way of a higher rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Latency went over the bound.
    Latency,
    /// Fewer messages were sent than were due: this client or the path took no more.
    Sending,
    /// Fewer answers came than messages were sent.
    Answers,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The rate lies in the bracket.
    Found,
    /// The highest rate that may be tried held: the limit is this client's, or what was asked for.
    NeverBroke,
    /// The lowest rate that may be tried broke.
    AlwaysBroke,
    /// After a rate that broke latency did not come back, even at a low rate.
    NotRecovered,
    /// Noise led it in circles: the bracket is wider than asked for.
    Unsteady,
    /// It was ended before it was done.
    Unfinished,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// How it ended.
    pub ending: Ending,
    /// The highest rate that held, in messages a second; `None` if none did.
    pub held_per_s: Option<f64>,
    /// The latency that was measured at it, at the percentile asked for.
    pub held_latency: Option<Duration>,
    /// The lowest rate that broke; `None` if none did.
    pub broke_per_s: Option<f64>,
    /// What broke first at that rate.
    pub limit: Option<Limit>,
    /// How many trials it took, repeated ones included, drains not.
    pub trials: u32,
    /// How sure it is that the true rate lies in the bracket, from 0 to 1, if one measurement in 20 is
    /// wrong, and one in 4 of those that were close to the bound or contradict each other.
    pub confidence: f64,
}

impl Found {
    /// The confidence in words.
    pub fn how_sure(&self) -> &'static str {
        match self.confidence {
            c if c >= 0.95 => "sure",
            c if c >= 0.8 => "fairly sure",
            _ => "unsure",
        }
    }

    /// The result as a sentence, for `terms`.
    pub fn words(&self, terms: &Terms) -> String {
        let bound = format!(
            "p{} at or under {}",
            terms.percentile,
            human::duration(terms.bound)
        );
        let trials = human::things(u64::from(self.trials), "trial");
        let sure = format!("{} ({:.0} %)", self.how_sure(), self.confidence * 100.0);
        let (held, broke) = (
            self.held_per_s.map(human::rate).unwrap_or_default(),
            self.broke_per_s.map(human::rate).unwrap_or_default(),
        );
        let what_broke = match self.limit {
            Some(Limit::Latency) | None => "latency was over the bound",
            Some(Limit::Sending) => {
                "not all messages got out, so this client or the path is the limit"
            }
            Some(Limit::Answers) => "not all messages were answered",
        };
        let so_far = match (self.held_per_s, self.broke_per_s) {
            (Some(_), Some(_)) => format!("{held} held, at {broke} {what_broke}"),
            (Some(_), None) => format!("{held} held, nothing broke"),
            (None, Some(_)) => format!("nothing held, at {broke} {what_broke}"),
            (None, None) => "nothing was measured".into(),
        };
        match self.ending {
            Ending::Found => {
                format!("{held} keeps {bound}; at {broke} {what_broke}; {sure}, {trials}")
            }
            Ending::NeverBroke => format!(
                "{held} keeps {bound}, and no higher rate was tried: the limit is this client's own; {sure}, {trials}"
            ),
            Ending::AlwaysBroke => format!(
                "no rate keeps {bound}: at {broke}, the lowest that was tried, {what_broke}; {sure}, {trials}"
            ),
            Ending::NotRecovered => format!(
                "the server did not recover: after {broke} latency stayed over {} at a low rate too; {so_far}; {trials}",
                human::duration(terms.bound)
            ),
            Ending::Unsteady => format!(
                "measurements differ too much to say it to {:.0} %: {so_far}; {sure}, {trials}",
                terms.tolerance * 100.0
            ),
            Ending::Unfinished => {
                format!("the search was not finished: {so_far}; {sure}, {trials}")
            }
        }
    }
}

/// A rate that was tried.
#[derive(Clone, Debug)]
struct Point {
    rate: f64,
    votes: Votes,
    /// What broke, and the latency when it held, last time.
    limit: Option<Limit>,
    latency: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Trying { rate: f64 },
    Draining { rate: f64, then: f64, looks: u32 },
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
}

impl RateSearch {
    /// A search on `terms`; rates out of order and tolerances that can't be met are put right silently.
    pub fn new(mut terms: Terms) -> RateSearch {
        if terms.least > terms.most {
            terms.least = terms.most;
        }
        let start = terms.start.get();
        let start = start.clamp(terms.least.get(), terms.most.get());
        terms.tolerance = terms.tolerance.max(0.001);
        RateSearch {
            terms,
            points: vec![],
            state: State::Trying { rate: start },
            trials: 0,
        }
    }

    /// What it searches for.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What to do now. The same until something is [observed](RateSearch::observe).
    pub fn order(&self) -> Order {
        let rate = |n: f64| Rate::per_second(n).unwrap_or(self.terms.least);
        match self.state {
            State::Trying { rate: n } => Order::Run {
                rate: rate(n),
                purpose: Purpose::Trial,
                settle: self.terms.settle,
                measure: self.measure(n),
            },
            State::Draining { rate: n, .. } => Order::Run {
                rate: rate(n),
                purpose: Purpose::Drain,
                settle: Duration::ZERO,
                measure: self.drain_look(n),
            },
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
        SAMPLES_BEYOND / (1.0 - self.terms.percentile / 100.0).max(1e-5)
    }

    /// Takes note of what the present order led to. Nothing, if there is none any more.
    pub fn observe(&mut self, seen: &Observation) {
        match self.state {
            State::Trying { rate } => self.tried(rate, seen),
            State::Draining { rate, then, looks } => {
                let back = seen.latency.is_some_and(|l| l <= self.terms.bound);
                self.state = match looks {
                    _ if back => State::Trying { rate: then },
                    1.. => State::Draining {
                        rate,
                        then,
                        looks: looks - 1,
                    },
                    0 if self.low().is_none() => State::Trying { rate: then },
                    0 => State::Done(Ending::NotRecovered),
                };
            }
            State::Done(_) => {}
        }
    }

    fn tried(&mut self, rate: f64, seen: &Observation) {
        self.trials += 1;
        let reading = verdict::read(
            seen,
            self.terms.bound,
            self.measure(rate),
            self.samples() / 2.0,
        );
        let broke = reading.broke.is_some();
        let i = self.points.partition_point(|p| p.rate < rate);
        if self.points.get(i).is_none_or(|p| p.rate != rate) {
            self.points.insert(
                i,
                Point {
                    rate,
                    votes: Votes::default(),
                    limit: None,
                    latency: None,
                },
            );
        }
        let point = &mut self.points[i];
        point.votes.add(&reading);
        match reading.broke {
            Some(limit) => point.limit = Some(limit),
            None => point.latency = seen.latency,
        }
        self.state = match self.next_rate(i) {
            _ if self.trials >= MOST_TRIALS => State::Done(Ending::Unsteady),
            Err(ending) => State::Done(ending),
            Ok(next) if broke => {
                let low = self.low().map_or(next, |low| self.points[low].rate);
                let low = (low.min(next) / 2.0).max(self.terms.least.get() / 2.0);
                State::Draining {
                    rate: low,
                    then: next,
                    looks: self.looks(rate, seen, low),
                }
            }
            Ok(next) => State::Trying { rate: next },
        };
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
        self.points[..high].iter().rposition(|p| p.votes.held())
    }

    /// The lowest rate that broke.
    fn high(&self) -> Option<usize> {
        self.points.iter().position(|p| p.votes.broke())
    }

    /// The rate to try after a measurement of point `last`, or that it is over.
    fn next_rate(&self, last: usize) -> Result<f64, Ending> {
        let (least, most) = (self.terms.least.get(), self.terms.most.get());
        let last = &self.points[last];
        let lower = (last.rate / RETREAT).max(least);
        // While nothing has held it goes down fast: a second look there is taken at the end, if it matters.
        let going_down = self.low().is_none() && last.votes.clearly_broke() && lower < last.rate;
        if !last.votes.decided() && !going_down {
            return Ok(last.rate);
        }
        if going_down {
            return Ok(lower);
        }
        match (self.low(), self.high()) {
            (None, None) => Ok(last.rate),
            (None, Some(high)) => {
                let high = &self.points[high];
                match (high.rate / RETREAT).max(least) {
                    next if next < high.rate => Ok(next),
                    _ => Err(Ending::AlwaysBroke),
                }
            }
            (Some(low), None) => {
                let low = &self.points[low];
                // A point that broke once on the way down is looked at again before it is passed.
                let doubtful = self.points.iter().find(|p| p.rate > low.rate);
                if low.rate < most {
                    let next = (low.rate * GROWTH).min(most);
                    Ok(doubtful.map_or(next, |p| p.rate.min(next)))
                } else if low.votes.is_confirmed() {
                    Err(Ending::NeverBroke)
                } else {
                    Ok(low.rate)
                }
            }
            (Some(low), Some(high)) => {
                let (low, high) = (&self.points[low], &self.points[high]);
                if high.rate / low.rate > 1.0 + self.terms.tolerance {
                    Ok((low.rate * high.rate).sqrt())
                } else if !low.votes.is_confirmed() {
                    Ok(low.rate)
                } else if !high.votes.is_confirmed() {
                    Ok(high.rate)
                } else {
                    Err(Ending::Found)
                }
            }
        }
    }

    /// The result so far, for a run that ends before the search does.
    pub fn so_far(&self) -> Found {
        self.found(match self.state {
            State::Done(ending) => ending,
            _ => Ending::Unfinished,
        })
    }

    fn found(&self, ending: Ending) -> Found {
        let low = self.low().map(|i| &self.points[i]);
        let high = self.high().map(|i| &self.points[i]);
        let sure = low.map_or(1.0, |p| p.votes.held_for_sure())
            * high.map_or(1.0, |p| 1.0 - p.votes.held_for_sure());
        Found {
            ending,
            held_per_s: low.map(|p| p.rate),
            held_latency: low.and_then(|p| p.latency),
            broke_per_s: high.map(|p| p.rate),
            limit: high.and_then(|p| p.limit),
            trials: self.trials,
            confidence: if low.is_none() && high.is_none() {
                0.0
            } else {
                sure
            },
        }
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
