//! A line on stderr for each finished trial, with the time that is left.

use std::time::Duration;
use throng_core::experiment::sweep::{Due, Measured, Plan, Trial};
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

    /// The next trial has to wait for the connections of the one before.
    pub fn waiting(&self, open: u64, time_wait: u64) {
        self.say(&format!(
            "waiting until {} of the trial before are gone, {} of them in TIME_WAIT",
            human::things(open + time_wait, "socket"),
            human::count(time_wait)
        ));
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
        let left = self.all.saturating_sub(self.done);
        let each = self.took / self.made;
        let left = match left {
            0 => String::new(),
            _ => {
                let left = each.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
                format!("; {} left", human::countdown(left))
            }
        };
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
