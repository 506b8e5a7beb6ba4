//! The trials of a sweep, one after the other: those of a schedule, or those that a search asks for.

use super::mlr::{Found, Next, Search, Tried};
use super::order::Due;
use super::plan::Plan;
use super::trial::Trial;
use std::time::Duration;

/// The trials of a sweep in order. It is told each trial that is finished, whether it was made just now or before an interruption.
#[derive(Debug)]
pub struct Course {
    due: Vec<Due>,
    search: Option<Search>,
    /// Trials of each load of a search so far.
    tried: Vec<u32>,
    told: usize,
}

impl Course {
    /// The course of a plan.
    pub fn of(plan: &Plan) -> Course {
        Course {
            due: plan.schedule(),
            search: plan.find.map(Search::new),
            tried: Vec::new(),
            told: 0,
        }
    }

    /// The number of the next trial, from 1, and the trial; `None` once all are told.
    pub fn next(&self) -> Option<(u32, Due)> {
        let number = u32::try_from(self.told + 1).ok()?;
        let Some(search) = &self.search else {
            return Some((number, *self.due.get(self.told)?));
        };
        match search.next() {
            Next::Found(_) => None,
            Next::Try { load, seconds } => {
                let before = self.tried.iter().filter(|tried| **tried == load).count();
                let due = Due {
                    point: load as usize,
                    repetition: u32::try_from(before + 1).ok()?,
                    length: Some(Duration::from_secs_f64(seconds)),
                };
                Some((number, due))
            }
        }
    }

    /// Tells that the trial that was due is finished.
    pub fn tell(&mut self, due: Due, trial: &Trial) {
        self.told += 1;
        let Some(search) = &mut self.search else {
            return;
        };
        let load = u32::try_from(due.point).unwrap_or(u32::MAX);
        self.tried.push(load);
        let usable = trial.usable();
        search.tell(Tried {
            load,
            seconds: due.length.unwrap_or_default().as_secs_f64(),
            met: usable.and_then(|measured| measured.met()),
            throughput: usable.and_then(|measured| measured.throughput),
        });
    }

    /// What a search has found; `None` if it is not over, or there is none.
    pub fn found(&self) -> Option<Found> {
        match self.search.as_ref()?.next() {
            Next::Found(found) => Some(found),
            Next::Try { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mlr::Terms;
    use super::super::plan::tests::plan;
    use super::super::point::tests::trial;
    use super::*;

    #[test]
    fn a_schedule_is_followed_to_its_end() {
        let plan = plan(&["connections=1,2,3"], 2);
        let mut course = Course::of(&plan);
        let mut made = Vec::new();
        while let Some((number, due)) = course.next() {
            assert_eq!(number as usize, made.len() + 1);
            made.push(due);
            course.tell(due, &trial(due.repetition, 1.0, 1.0));
        }
        assert_eq!(made, plan.schedule());
        assert_eq!(course.found(), None);
    }

    #[test]
    fn a_search_makes_its_trials_until_it_has_found_the_bounds() {
        let mut plan = plan(&["connections=0"], 0);
        plan.find = Some(Terms {
            low: 1,
            high: 1000,
            width: 0.05,
            initial_s: 0.5,
            final_s: 2.0,
            sum_s: 2.0,
            exceed: 0.0,
        });
        let mut course = Course::of(&plan);
        let mut count = 0;
        while let Some((number, due)) = course.next() {
            count += 1;
            assert_eq!(number, count);
            let repetition = due.repetition;
            assert!(repetition <= 3 && due.length.is_some(), "{due:?}");
            let slow = if due.point <= 100 { 10.0 } else { 60.0 };
            course.tell(due, &trial(repetition, due.point as f64, slow));
        }
        let found = course.found().unwrap();
        assert!((95..=100).contains(&found.lower.unwrap()), "{found:?}");
        assert!((101..=105).contains(&found.upper.unwrap()), "{found:?}");
        assert_eq!(found.throughput, found.lower.map(f64::from));
    }
}
