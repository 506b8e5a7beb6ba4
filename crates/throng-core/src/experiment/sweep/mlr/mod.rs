//! The highest load at which an objective holds, by trials that grow longer: MLRsearch (IETF, draft-ietf-bmwg-mlrsearch) for one goal.
//!
//! Pure: what is tried next follows from what was tried so far. A search that was interrupted goes on by telling it the trials
//! that are finished.

mod load;
mod terms;
#[cfg(test)]
mod tests;

pub use load::Tried;
pub use terms::Terms;

use load::{Class, class, conditional};
use serde::{Deserialize, Serialize};
use terms::Stage;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    terms: Terms,
    tried: Vec<Tried>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Try this load for this long.
    Try {
        /// The load.
        load: u32,
        /// Seconds.
        seconds: f64,
    },
    /// The search is over.
    Found(Found),
}

/// What a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The Relevant Lower Bound: the highest load below the upper bound at which the objective holds; `None` if it holds at none.
    pub lower: Option<u32>,
    /// The Relevant Upper Bound: the lowest load at which it does not hold; `None` if it holds at the greatest one.
    pub upper: Option<u32>,
    /// The Conditional Throughput at the lower bound, in the unit of the sweep's metric; `None` if it is not known.
    pub throughput: Option<f64>,
    /// The load at which a trial could not tell, because the client was the bottleneck or it had no result: the search ended there.
    /// `None` if it came to its end.
    pub stuck_at: Option<u32>,
}

/// What the trials so far say about all loads, at one stage.
struct Bounds {
    lower: Option<u32>,
    upper: Option<u32>,
}

impl Search {
    /// A search with these terms, of which none is [refused](Terms::refused).
    pub fn new(terms: Terms) -> Search {
        Search {
            terms,
            tried: Vec::new(),
        }
    }

    /// Tells what a trial has shown.
    pub fn tell(&mut self, tried: Tried) {
        self.tried.push(tried);
    }

    /// What to do next.
    pub fn next(&self) -> Next {
        let stuck = self.tried.iter().find(|tried| tried.met.is_none());
        // Trials never become shorter again, whatever longer ones have shown.
        let reached = self.tried.last().map_or(0.0, |tried| tried.seconds);
        let mut before = Bounds {
            lower: None,
            upper: None,
        };
        let mut last = None;
        for stage in self.terms.stages() {
            let bounds = self.bounds(&stage);
            let open = self.open(&stage, &bounds, &before);
            let open = open.filter(|_| stuck.is_none() && !stage.is_passed(reached));
            if let Some(load) = open {
                let seconds = stage.duration_s;
                return Next::Try { load, seconds };
            }
            before = bounds;
            last = Some(stage);
        }
        Next::Found(Found {
            lower: before.lower,
            upper: before.upper,
            throughput: before
                .lower
                .zip(last)
                .and_then(|(load, last)| conditional(&self.tried, load, &self.terms, &last)),
            stuck_at: stuck.map(|tried| tried.load),
        })
    }

    /// The bounds that are known at a stage.
    fn bounds(&self, stage: &Stage) -> Bounds {
        let mut loads: Vec<u32> = self.tried.iter().map(|tried| tried.load).collect();
        loads.sort_unstable();
        loads.dedup();
        let of = |load: u32| class(&self.tried, load, &self.terms, stage);
        let upper = loads.iter().copied().find(|load| of(*load) == Class::Upper);
        let below = loads.iter().rev().copied();
        let mut below = below.filter(|load| upper.is_none_or(|upper| *load < upper));
        Bounds {
            lower: below.find(|load| of(*load) == Class::Lower),
            upper,
        }
    }

    /// The load to try at a stage, given its bounds and those of the stage before; `None` once they are narrow enough.
    fn open(&self, stage: &Stage, now: &Bounds, before: &Bounds) -> Option<u32> {
        let Terms { low, high, .. } = self.terms;
        match (now.lower, now.upper) {
            // First what shorter trials have found; without that, from the least load upwards: a load that is far too great may
            // take long to recover from.
            (None, None) => Some(before.lower.unwrap_or(low)),
            (Some(lower), None) if lower >= high => None,
            (Some(lower), None) => {
                let known = before.upper.filter(|upper| *upper > lower);
                Some(known.unwrap_or_else(|| lower.saturating_mul(2).min(high)))
            }
            (None, Some(upper)) if upper <= low => None,
            (None, Some(upper)) => {
                let known = before.lower.filter(|lower| *lower < upper);
                Some(known.unwrap_or_else(|| (upper / 2).max(low)))
            }
            (Some(lower), Some(upper)) => {
                let narrow = f64::from(upper - lower) <= stage.width * f64::from(upper);
                if narrow || upper - lower < 2 {
                    return None;
                }
                let middle = (f64::from(lower) * f64::from(upper)).sqrt().round() as u32;
                Some(middle.clamp(lower + 1, upper - 1))
            }
        }
    }
}
