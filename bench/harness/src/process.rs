//! A contestant's process: started, watched, and killed when its handle is dropped, also on an error.

use crate::usage::{self, Series, Usage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often processes are checked.
const TICK: Duration = Duration::from_millis(20);

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Makes SIGINT and SIGTERM end the run in an orderly way: waits return an error, and dropped handles
/// end their processes. A handler, not a blocked signal: child processes would
/// inherit a blocked signal, and never receive the SIGTERM that is to end them.
///
/// # Errors
/// The handlers could not be installed.
pub fn stop_in_order() -> io::Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        signal_hook::flag::register(signal as i32, Arc::clone(&STOP))?;
    }
    Ok(())
}

/// Whether the user asked to stop.
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Sleeps one tick.
///
/// # Errors
/// The user asked to stop.
fn tick() -> Result<(), String> {
    if stopped() {
        return Err("interrupted".to_owned());
    }
    thread::sleep(TICK);
    Ok(())
}

/// A running process. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    stdout: Option<JoinHandle<Printed>>,
    stderr: Option<JoinHandle<Printed>>,
    /// What it used, tick by tick, during waits.
    pub series: Series,
}

/// The output of a pipe.
#[derive(Debug, Default)]
struct Printed {
    text: String,
    /// When its last bytes arrived, in seconds since 1970.
    at_unix_s: f64,
}

/// Reads a pipe to its end, so that the process never blocks on a full one.
fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Printed> {
    thread::spawn(move || {
        let (mut bytes, mut at_unix_s) = (Vec::new(), 0.0);
        let mut chunk = [0; 8192];
        // An error ends the output as the end of the stream does: what was read before still counts.
        while let Ok(n @ 1..) = pipe.read(&mut chunk) {
            at_unix_s = usage::unix_s();
            bytes.extend_from_slice(&chunk[..n]);
        }
        Printed {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            at_unix_s,
        }
    })
}

impl Process {
    /// Starts `argv`.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(argv: &[String]) -> Result<Process, String> {
        let name = argv.join(" ");
        let (program, arguments) = argv.split_first().ok_or("an empty command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {program}: {e}"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        Ok(Process {
            name,
            child,
            pid,
            stdout,
            stderr,
            series: Series::default(),
        })
    }

    /// Reads its usage, and keeps the reading.
    fn look(&mut self) -> Option<Usage> {
        let usage = usage::read(self.pid)?;
        self.series.push(usage::unix_s(), usage);
        Some(usage)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&mut self) -> Result<Usage, String> {
        self.look().ok_or_else(|| self.says("ended too early"))
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// `what`, with the command and the end of what it wrote to stderr.
    fn says(&mut self, what: &str) -> String {
        self.end();
        let stderr = self.stderr.take().and_then(|t| t.join().ok());
        let last = stderr
            .as_ref()
            .and_then(|s| s.text.lines().rfind(|l| !l.trim().is_empty()));
        match last {
            Some(line) => format!("`{}` {what}: {}", self.name, line.trim()),
            None => format!("`{}` {what}", self.name),
        }
    }

    /// Waits until something listens on the TCP port.
    ///
    /// # Errors
    /// Not within `patience`, or the process ended, or the user asked to stop.
    pub fn listening(&mut self, port: u16, patience: Duration) -> Result<(), String> {
        let from = Instant::now();
        while !crate::port::listened_on(port) {
            if self.status().is_some() {
                return Err(self.says("ended before it listened"));
            }
            if from.elapsed() > patience {
                return Err(self.says("did not listen"));
            }
            tick()?;
        }
        Ok(())
    }

    /// Sleeps without taking readings.
    ///
    /// # Errors
    /// It ended, or the user asked to stop.
    pub fn rest(&mut self, time: Duration) -> Result<(), String> {
        let from = Instant::now();
        while from.elapsed() < time {
            if self.status().is_some() {
                return Err(self.says("ended too early"));
            }
            tick()?;
        }
        Ok(())
    }

    /// Waits until it ends, taking readings of it and of `other`. Returns what it printed.
    ///
    /// # Errors
    /// Not within `patience`, or it printed nothing, or the user asked to stop.
    pub fn finish(
        mut self,
        mut other: Option<&mut Process>,
        patience: Duration,
    ) -> Result<Finished, String> {
        let from = Instant::now();
        while self.status().is_none() {
            self.look();
            if let Some(other) = other.as_mut() {
                other.look();
            }
            if from.elapsed() > patience {
                return Err(self.says("did not end in time"));
            }
            tick()?;
        }
        let printed = self
            .stdout
            .take()
            .and_then(|t| t.join().ok())
            .unwrap_or_default();
        if printed.text.trim().is_empty() {
            return Err(self.says("printed nothing"));
        }
        Ok(Finished {
            stdout: printed.text,
            printed_unix_s: printed.at_unix_s,
            series: std::mem::take(&mut self.series),
        })
    }

    /// Asks it to end (SIGTERM), then waits as [`Process::finish`] does.
    ///
    /// # Errors
    /// As there.
    pub fn terminate(self, patience: Duration) -> Result<Finished, String> {
        let _ = kill(self.pid, Signal::SIGTERM); // not yet reaped, so the id is still its own
        self.finish(None, patience)
    }

    /// Kills and reaps it, if it still runs.
    fn end(&mut self) {
        if self.status().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a process that ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// What it printed.
    pub stdout: String,
    /// When its last output arrived, in seconds since 1970.
    pub printed_unix_s: f64,
    /// What it used, tick by tick.
    pub series: Series,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn output_beyond_a_pipes_size_does_not_block() {
        let p = Process::start(&argv("head -c 300000 /dev/zero | tr '\\0' x")).unwrap();
        let done = p.finish(None, Duration::from_secs(20)).unwrap();
        assert_eq!(done.stdout.len(), 300_000);
    }

    #[test]
    fn a_dropped_process_is_killed_and_reaped() {
        let p = Process::start(&argv("exec sleep 100")).unwrap();
        let pid = p.pid;
        assert!(usage::read(pid).is_some());
        drop(p);
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn an_error_reports_the_command_and_its_last_words() {
        let p = Process::start(&argv("echo no such thing >&2; exit 3")).unwrap();
        let error = p.finish(None, Duration::from_secs(20)).unwrap_err();
        assert!(
            error.contains("sh -c") && error.ends_with("printed nothing: no such thing"),
            "{error}"
        );
    }

    #[test]
    fn a_process_that_hangs_is_given_up() {
        let p = Process::start(&argv("exec sleep 100")).unwrap();
        let error = p.finish(None, Duration::from_millis(60)).unwrap_err();
        assert!(error.contains("did not end in time"), "{error}");
    }
}
