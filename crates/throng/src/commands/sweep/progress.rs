//! A line on stderr for each finished trial, with the time that is left.

use std::time::Duration;
use throng_core::experiment::sweep::{Due, Measured, Plan, Trial};
use throng_host::left_over::LeftOver;
use throng_report::human;
use throng_report::sweep::measured;

/// The progress of a sweep.
pub(super) struct Progress {
    quiet: bool,
    all: usize,
    done: usize,
    /// Trials of this process, and how long they took.
    made: u32,
    took: Duration,
}

impl Progress {
    /// Of a sweep of so many trials, some of which are done.
    pub fn new(quiet: bool, all: usize, done: usize) -> Progress {
        Progress {
            quiet,
            all,
            done,
            made: 0,
            took: Duration::ZERO,
        }
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// What went wrong, and does not end the sweep.
    pub fn warn(&self, line: &str) {
        eprintln!("throng: {line}");
    }

    /// The next trial has to wait for connections of the one before, or of what ran before the sweep if it is the `first`.
    pub fn waiting(&self, left: LeftOver, first: bool) {
        let whose = match first {
            true => "from before this sweep",
            false => "of the trial before",
        };
        let of_target = match left.open + left.time_wait {
            1 => "1 socket of the target's connections".to_owned(),
            n => format!("{} sockets of the target's connections", human::count(n)),
        };
        self.say(&format!(
            "waiting for the end of {of_target} {whose}, {} in TIME_WAIT",
            human::count(left.time_wait)
        ));
    }

    /// How long the trials that are not done will take, if they take as long as those of this process: `; 3m 20s left`. Empty
    /// if there are none of either.
    fn left(&self) -> String {
        let left = self.all.saturating_sub(self.done);
        match (left, self.took.checked_div(self.made)) {
            (1.., Some(each)) => {
                let left = each.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
                format!("; {} left", human::countdown(left))
            }
            _ => String::new(),
        }
    }

    /// What is being done while the trial with this number is made.
    pub fn now(&self, plan: &Plan, due: Due, number: u32) -> String {
        let point = plan.name(due.point);
        match (plan.find, due.length) {
            (Some(_), Some(length)) => {
                format!("trial {number}: {point} for {}", human::duration(length))
            }
            _ => format!(
                "trial {} of {}: {point}, trial {} of {}{}",
                self.done + 1,
                self.all,
                due.repetition,
                plan.repeat,
                self.left()
            ),
        }
    }

    /// A trial of this point is finished.
    pub fn finished(&mut self, plan: &Plan, due: Due, trial: &Trial, took: Duration) {
        self.done += 1;
        if let (Some(_), Some(length)) = (plan.find, due.length) {
            // How many trials a search takes is not known.
            self.say(&format!(
                "[{}] {} for {}: {}{}",
                trial.number,
                plan.name(due.point),
                human::duration(length),
                match trial.measured.as_ref().and_then(Measured::met) {
                    Some(true) => "met, ",
                    Some(false) => "not met, ",
                    None => "",
                },
                measured(plan, trial),
            ));
            return;
        }
        self.made += 1;
        self.took += took;
        let left = self.left();
        self.say(&format!(
            "[{}/{}] {}, trial {} of {}: {}{left}",
            self.done,
            self.all,
            plan.name(due.point),
            trial.repetition,
            plan.repeat,
            measured(plan, trial),
        ));
    }
}
