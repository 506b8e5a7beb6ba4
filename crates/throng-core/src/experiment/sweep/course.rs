//! The trials of a sweep, one after the other: those of a schedule, or those that a search asks for.

use super::mlr::{Found, Next, Search, Tried};
use super::order::Due;
use super::plan::Plan;
use super::trial::Trial;
use std::time::Duration;

/// The trials of a sweep in order. It is told each trial that is finished, whether it was made just now or before an interruption.
#[derive(Debug)]
pub struct Course<'p> {
    plan: &'p Plan,
    due: Vec<Due>,
    /// One after the other.
    searches: Vec<Search>,
    /// The point of each trial of a search so far.
    tried: Vec<usize>,
    told: usize,
}

impl<'p> Course<'p> {
    /// The course of a plan.
    pub fn of(plan: &'p Plan) -> Course<'p> {
        let searches = plan.find.iter().cycle().take(plan.searches());
        Course {
            plan,
            due: plan.schedule(),
            searches: searches.map(|terms| Search::new(*terms)).collect(),
            tried: Vec::new(),
            told: 0,
        }
    }

    /// The number of the next trial, from 1, and the trial; `None` once all are told.
    pub fn next(&self) -> Option<(u32, Due)> {
        let number = u32::try_from(self.told + 1).ok()?;
        if self.searches.is_empty() {
            return Some((number, *self.due.get(self.told)?));
        }
        let mut all = self.searches.iter().enumerate();
        let (point, seconds) = all.find_map(|(search, of)| match of.next() {
            Next::Found(_) => None,
            Next::Try { load, seconds } => Some((self.plan.searched(search, load), seconds)),
        })?;
        let before = self.tried.iter().filter(|tried| **tried == point).count();
        let due = Due {
            point,
            repetition: u32::try_from(before + 1).ok()?,
            length: Some(Duration::from_secs_f64(seconds)),
        };
        Some((number, due))
    }

    /// Tells that the trial that was due is finished.
    pub fn tell(&mut self, due: Due, trial: &Trial) {
        self.told += 1;
        let (search, load) = self.plan.search_of(due.point);
        let Some(search) = self.searches.get_mut(search) else {
            return;
        };
        self.tried.push(due.point);
        let usable = trial.usable();
        search.tell(Tried {
            load,
            seconds: due.length.unwrap_or_default().as_secs_f64(),
            met: usable.and_then(|measured| measured.met()),
            throughput: usable.and_then(|measured| measured.throughput),
        });
    }

    /// What each search has found; `None` of one that is not over.
    pub fn found(&self) -> Vec<Option<Found>> {
        let found = self.searches.iter().map(|search| match search.next() {
            Next::Found(found) => Some(found),
            Next::Try { .. } => None,
        });
        found.collect()
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
        assert_eq!(course.found(), []);
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
        let found = course.found()[0].unwrap();
        assert!((95..=100).contains(&found.lower.unwrap()), "{found:?}");
        assert!((101..=105).contains(&found.upper.unwrap()), "{found:?}");
        assert_eq!(found.throughput, found.lower.map(f64::from));
    }
    #[test]
    fn each_value_of_another_variable_has_a_search_of_its_own() {
        let mut plan = plan(&["connections=0", "backlog=16,128"], 0);
        plan.variables[0].values.clear();
        plan.find = Some(Terms {
            low: 1,
            high: 1000,
            width: 0.05,
            initial_s: 0.5,
            final_s: 1.0,
            sum_s: 1.0,
            exceed: 0.0,
        });
        let mut course = Course::of(&plan);
        let mut order = Vec::new();
        while let Some((_, due)) = course.next() {
            let (search, load) = plan.search_of(due.point);
            let most = [50, 300][search];
            order.push(search);
            let p99 = if load <= most { 10.0 } else { 60.0 };
            course.tell(due, &trial(due.repetition, 1.0, p99));
        }
        assert!(order.is_sorted() && order.contains(&1), "{order:?}");
        let found = course.found();
        for (found, most) in found.iter().zip([50, 300]) {
            let lower = found.unwrap().lower.unwrap();
            assert!((most * 19 / 20..=most).contains(&lower), "{found:?}");
        }
    }
}
