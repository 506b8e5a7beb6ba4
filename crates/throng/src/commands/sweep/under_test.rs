//! The system under test: started, waited for until it answers, and stopped.

use super::directory::Directory;
use super::processes::{Cut, Processes, last_line_of};
use crate::{Failure, ask};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use throng_core::experiment::sweep::{Plan, Restart, System};
use throng_host::listeners;
use throng_host::supervised::Supervised;

/// How often it is asked whether it answers.
const ASK: Duration = Duration::from_millis(20);
/// How long it may take to accept one connection.
const ACCEPT: Duration = Duration::from_secs(1);
/// How long it may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long one that was stopped may still listen.
const STILL: Duration = Duration::from_secs(10);
/// How long one of a sweep that was killed may, before the first trial of the one that goes on.
const KILLED: Duration = Duration::from_secs(1);

/// The system under test.
pub(super) struct UnderTest<'p> {
    plan: &'p Plan,
    system: &'p System,
    ready: Option<SocketAddr>,
    running: Option<Running>,
}

/// While it runs.
struct Running {
    process: Supervised,
    /// The point that it was started for.
    point: usize,
    log: PathBuf,
    /// Where its output begins in the log.
    from: u64,
}

impl<'p> UnderTest<'p> {
    /// That of the plan; `None` if it starts none.
    pub fn of(plan: &'p Plan) -> Result<Option<UnderTest<'p>>, Failure> {
        let Some(system) = &plan.system else {
            return Ok(None);
        };
        let ready = system
            .ready
            .as_deref()
            .map(ask::target::resolve)
            .transpose()?;
        Ok(Some(UnderTest {
            plan,
            system,
            ready,
            running: None,
        }))
    }

    /// Whether it has to be started again for a trial of this point.
    pub fn is_due(&self, point: usize) -> bool {
        match (&self.running, self.system.restart) {
            (None, _) | (_, Restart::Trial) => true,
            (Some(running), Restart::Point) => running.point != point,
            (Some(_), Restart::Never) => false,
        }
    }

    /// Starts it for a point, and waits until it answers.
    pub fn start(
        &mut self,
        point: usize,
        processes: &Processes,
        directory: &Directory,
    ) -> Result<(), Cut> {
        self.wait_for_silence(processes, STILL)?;
        let script = self.plan.filled(&self.system.start, point);
        let (log, mut file) = directory.system_log()?;
        // A log that can't be written is no reason not to measure; the trials' results say if the disk is full.
        let _ = writeln!(file, "--- {}: {script}", self.plan.name(point));
        let from = file.metadata().map_or(0, |of| of.len());
        let process = processes.start(&script, file)?;
        let running = self.running.insert(Running {
            process,
            point,
            log,
            from,
        });
        let timeout = Duration::from_secs_f64(self.system.ready_timeout_s);
        let until = Instant::now() + timeout;
        loop {
            if let Some(why) = running.failed()? {
                return Err(Failure::fault(format!("--start '{script}' {why}")).into());
            }
            let Some(ready) = self.ready else {
                return Ok(());
            };
            if answers(ready) {
                return Ok(());
            }
            if Instant::now() >= until {
                let nothing = match who_listens(ready) {
                    Some(who) => format!("{who} listens at {ready}, but accepts nothing"),
                    None => format!("nothing answers at {ready}"),
                };
                return Err(Failure::fault(format!(
                    "--start '{script}': {nothing} after {} (--ready, --ready-timeout){}",
                    throng_report::human::duration(timeout),
                    running.said()
                ))
                .into());
            }
            processes.pause(ASK)?;
        }
    }

    /// Why it is no longer there, if it failed.
    pub fn failed(&mut self) -> Result<Option<String>, Failure> {
        match &mut self.running {
            Some(running) => running.failed(),
            None => Ok(None),
        }
    }

    /// Stops it, by its command if it has one. Returns what went wrong with that.
    pub fn stop(&mut self, processes: &Processes) -> Option<String> {
        let running = self.running.take()?;
        let mut wrong = None;
        if let Some(stop) = &self.system.stop {
            let script = self.plan.filled(stop, running.point);
            match processes.shell(&script) {
                Ok(ended) if !ended.status.success() => {
                    let said = ended
                        .last_line()
                        .map_or_else(String::new, |line| format!(": {line}"));
                    wrong = Some(format!(
                        "--stop '{script}' failed with exit code {}{said}",
                        ended.code()
                    ));
                }
                Err(Cut::Failed(failure)) => wrong = failure.lines.into_iter().next(),
                Ok(_) | Err(Cut::Stopped) => {}
            }
        }
        if let Err(e) = running.process.end(GRACE) {
            wrong = Some(format!("the system under test can't be stopped: {e}"));
        }
        wrong
    }

    /// Refuses to begin where another server listens where this one will: the trials would load that one.
    pub fn refuse_others(&self, processes: &Processes) -> Result<(), Cut> {
        self.wait_for_silence(processes, KILLED)
    }

    /// Waits until nothing listens where it will, for at most `most`.
    fn wait_for_silence(&self, processes: &Processes, most: Duration) -> Result<(), Cut> {
        let Some(ready) = self.ready else {
            return Ok(());
        };
        let until = Instant::now() + most;
        loop {
            // One that hangs listens, and answers nobody; one on another machine is not seen to listen.
            let there = match who_listens(ready) {
                Some(who) => format!("{who} listens at {ready}"),
                None if answers(ready) => format!("another server answers at {ready}"),
                None => return Ok(()),
            };
            if Instant::now() >= until {
                return Err(Failure::fault(format!(
                    "{there} before --start: stop it, or name another port"
                ))
                .into());
            }
            processes.pause(ASK)?;
        }
    }
}

impl Running {
    /// Why its command failed; `None` if it runs, or has left something running elsewhere.
    fn failed(&mut self) -> Result<Option<String>, Failure> {
        let status = self.process.status();
        let status = status.map_err(|e| Failure::fault(format!("the system under test: {e}")))?;
        Ok(status.filter(|status| !status.success()).map(|status| {
            let code = status.code().unwrap_or(1);
            format!("failed with exit code {code}{}", self.said())
        }))
    }

    /// What it said last.
    fn said(&self) -> String {
        let line = last_line_of(&self.log, self.from);
        let line = line.map_or_else(String::new, |line| format!(": {line}"));
        format!("{line}; its output is in {}", self.log.display())
    }
}

/// Who listens there, on this machine; `None` if nobody is seen to.
fn who_listens(at: SocketAddr) -> Option<String> {
    let listener = listeners::serving(at).ok().flatten()?;
    Some(listener.owner())
}

/// Whether a connection is accepted there.
fn answers(at: SocketAddr) -> bool {
    TcpStream::connect_timeout(&at, ACCEPT).is_ok()
}
