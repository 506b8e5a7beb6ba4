//! Makes the trials of a plan that are missing, one after the other. A finished trial is on disk before the next one begins.

use super::asked::{addresses, scenario};
use super::directory::Directory;
use super::live::{Live, so_far};
use super::processes::{Cut, Ended, Processes};
use super::progress::Progress;
use super::under_test::UnderTest;
use crate::Failure;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::experiment::sweep::{Course, Due, Plan, Trial};
use throng_host::left_over::{LeftOver, left_over};
use throng_host::own_network;

/// How long connections of the trial before may take to be gone: TIME_WAIT takes 60 s on Linux.
const GONE: Duration = Duration::from_secs(75);
/// How long those that were there before the sweep may take to be closed. Those that are still open are somebody else's.
const CLOSED: Duration = Duration::from_secs(5);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The exit code of a run that was interrupted.
const INTERRUPTED: u8 = 130;

/// How a sweep ended.
pub(super) enum End {
    /// All trials are finished.
    Complete,
    /// It was asked to end.
    Interrupted,
    /// Something failed.
    Failed(Failure),
}

/// A sweep under way.
pub(super) struct Conduct<'s> {
    pub plan: &'s Plan,
    pub directory: &'s Directory,
    pub processes: &'s Processes<'s>,
    pub progress: &'s mut Progress,
    pub live: &'s Live,
    /// The finished trials, by their numbers.
    pub finished: BTreeMap<u32, (Due, Trial)>,
}

impl Conduct<'_> {
    /// Makes the missing trials.
    pub fn carry_out(&mut self) -> End {
        let mut system = match UnderTest::of(self.plan) {
            Ok(system) => system,
            Err(failure) => return End::Failed(failure),
        };
        let made = self.trials(&mut system);
        if let Some(wrong) = system.as_mut().and_then(|s| s.stop(self.processes)) {
            self.progress.warn(&wrong);
        }
        match made {
            Ok(()) => End::Complete,
            Err(Cut::Stopped) => End::Interrupted,
            Err(Cut::Failed(failure)) => End::Failed(failure),
        }
    }

    fn trials(&mut self, system: &mut Option<UnderTest>) -> Result<(), Cut> {
        let mut first = true;
        let mut course = Course::of(self.plan);
        while let Some((number, due)) = course.next() {
            let known = match self.finished.get(&number) {
                Some((_, trial)) => Some(trial.clone()),
                None => self.directory.read(number, due, self.plan)?,
            };
            if let Some(trial) = known {
                course.tell(due, &trial);
                self.finished.insert(number, (due, trial));
                continue;
            }
            let began = Instant::now();
            let now = self.progress.now(self.plan, due, number);
            self.live.doing(|| so_far(self.plan, &self.finished), &now);
            self.set_apart(system, due, first)?;
            first = false;
            let ended = self.processes.throng(self.words(due.point, due.length))?;
            // Its result would be that of a server that is gone.
            if let Some(why) = system.as_mut().map_or(Ok(None), UnderTest::failed)? {
                return Err(Failure::fault(format!(
                    "the system under test ended during trial {number} ({}): it {why}",
                    self.plan.name(due.point)
                ))
                .into());
            }
            let trial = self.keep(number, due, &ended)?;
            self.progress
                .finished(self.plan, due, &trial, began.elapsed());
            course.tell(due, &trial);
            self.finished.insert(number, (due, trial));
        }
        Ok(())
    }

    /// Sets a trial apart from the one before, and starts the system under test again where that is due.
    fn set_apart(
        &mut self,
        system: &mut Option<UnderTest>,
        due: Due,
        first: bool,
    ) -> Result<(), Cut> {
        self.processes.go_on()?;
        let starts = system
            .as_ref()
            .is_some_and(|system| system.is_due(due.point));
        if let Some(system) = system.as_mut().filter(|_| starts)
            && let Some(wrong) = system.stop(self.processes)
        {
            self.progress.warn(&wrong);
        }
        if let Some(system) = system.as_ref().filter(|_| first && starts) {
            // Before anything is waited for: nothing goes away by itself.
            system.refuse_others(self.processes)?;
        }
        self.wait(due.point, first)?;
        if let Some(command) = self.plan.between.command.as_ref().filter(|_| !first) {
            let script = self.plan.filled(command, due.point);
            let ended = self.processes.shell(&script)?;
            if !ended.status.success() {
                let said = ended
                    .last_line()
                    .map_or_else(String::new, |line| format!(": {line}"));
                let code = ended.code();
                let line = format!("--between '{script}' failed with exit code {code}{said}");
                return Err(Failure::fault(line).into());
            }
        }
        for (name, value) in self.plan.sysctls(due.point) {
            own_network::set(name, &value).map_err(Failure::usage)?;
        }
        if let Some(system) = system.as_mut().filter(|_| starts) {
            system.start(due.point, self.processes, self.directory)?;
        }
        if let Some(length) = self.plan.warm_up_s
            && (starts || first)
        {
            let length = Some(Duration::from_secs_f64(length));
            // Whatever comes of it, the trial that follows tells.
            self.processes.throng(self.words(due.point, length))?;
        }
        Ok(())
    }

    /// Waits between two trials.
    fn wait(&mut self, point: usize, first: bool) -> Result<(), Cut> {
        if let Some(seconds) = self.plan.between.pause_s {
            return match first {
                true => Ok(()),
                false => self.processes.pause(Duration::from_secs_f64(seconds)),
            };
        }
        let targets = addresses(&scenario(self.plan, point)?)?;
        if targets.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let until = began + GONE;
        let mut told = false;
        loop {
            let mut left = left(&targets)?;
            if first && began.elapsed() >= CLOSED {
                left.open = 0;
            }
            if left.is_nothing() {
                return Ok(());
            }
            if Instant::now() >= until {
                let there = match left.open + left.time_wait {
                    1 => "1 connection to the target is still there".to_owned(),
                    n => format!(
                        "{} connections to the target are still there",
                        throng_report::human::count(n)
                    ),
                };
                self.progress.warn(&format!(
                    "{there}; the next trial begins nevertheless (--pause T waits for a fixed time)"
                ));
                return Ok(());
            }
            if !std::mem::replace(&mut told, true) {
                self.progress.waiting(left, first);
            }
            self.processes.pause(LOOK)?;
        }
    }

    /// The command line of a trial, of a length if that is not the scenario's.
    fn words(&self, point: usize, length: Option<Duration>) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["run".into()];
        words.push(self.directory.scenario(point, self.plan).into());
        let length = length.map(|length| format!("load.hold={}us", length.as_micros()));
        for set in self.plan.sets(point).into_iter().chain(length) {
            words.extend(["--set".into(), set.into()]);
        }
        words.extend(["--quiet", "--output", "json"].map(Into::into));
        words
    }

    fn keep(&self, number: u32, due: Due, ended: &Ended) -> Result<Trial, Cut> {
        let code = ended.code();
        match code {
            // It was interrupted by somebody else, so it is not finished.
            INTERRUPTED => Err(Cut::Stopped),
            0 | 1 if !ended.stdout.is_empty() => {
                Ok(self.directory.keep(number, due, self.plan, &ended.stdout)?)
            }
            _ => {
                let said = ended.last_line();
                let reason = said
                    .unwrap_or_else(|| format!("it ended with exit code {code}, and said nothing"));
                Ok(self.directory.keep_failed(number, due, code, reason)?)
            }
        }
    }
}

fn left(targets: &[SocketAddr]) -> Result<LeftOver, Failure> {
    left_over(targets).map_err(|e| {
        Failure::fault(format!(
            "the connections to the target can't be listed: {e}; --pause T waits for a fixed time instead"
        ))
    })
}
