//! The processes of a sweep: trials, the system under test, and commands between them. None of them outlives the sweep.

use crate::Failure;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use throng_host::supervised::{Supervised, shell};
use throng_run::Stop;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long a trial that is asked to end may take to close its connections.
const CLOSING: Duration = Duration::from_secs(10);

/// Why something did not come to its end.
pub(super) enum Cut {
    /// The sweep was asked to end.
    Stopped,
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Cut {
        Cut::Failed(failure)
    }
}

/// Starts processes under supervisors, and waits for them until the sweep is asked to end.
pub(super) struct Processes<'s> {
    program: PathBuf,
    stop: &'s Stop,
}

/// What a process printed, and how it ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl<'s> Processes<'s> {
    /// `program` is throng's own binary.
    pub fn new(program: PathBuf, stop: &'s Stop) -> Processes<'s> {
        Processes { program, stop }
    }

    /// Runs throng with these words to its end.
    pub fn throng(&self, words: Vec<OsString>) -> Result<Ended, Cut> {
        let mut command = vec![self.program.clone().into_os_string()];
        command.extend(words);
        self.wait(&command)
    }

    /// Runs a shell command to its end.
    pub fn shell(&self, script: &str) -> Result<Ended, Cut> {
        self.wait(&shell(script))
    }

    /// Starts a shell command whose output goes to `log`.
    pub fn start(&self, script: &str, log: std::fs::File) -> Result<Supervised, Failure> {
        let other = log.try_clone().map_err(|e| cannot_start(&e))?;
        Supervised::start(self.supervisor(&shell(script)), log.into(), other.into())
            .map_err(|e| cannot_start(&e))
    }

    /// Waits for this long.
    pub fn pause(&self, length: Duration) -> Result<(), Cut> {
        let until = Instant::now() + length;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.go_on()?;
            thread::sleep(left.min(LOOK));
        }
        self.go_on()
    }

    /// Whether the sweep was not asked to end.
    pub fn go_on(&self) -> Result<(), Cut> {
        match self.stop.is_requested() {
            true => Err(Cut::Stopped),
            false => Ok(()),
        }
    }

    fn supervisor(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["supervise", "--"]).args(words);
        command
    }

    fn wait(&self, words: &[OsString]) -> Result<Ended, Cut> {
        self.go_on()?;
        let mut running = Supervised::start(self.supervisor(words), Stdio::piped(), Stdio::piped())
            .map_err(|e| cannot_start(&e))?;
        let supervisor = running.supervisor();
        let stdout = supervisor.stdout.take().map(collect);
        let stderr = supervisor.stderr.take().map(collect);
        let status = loop {
            if let Some(status) = running.status().map_err(|e| cannot_start(&e))? {
                break status;
            }
            if self.stop.is_requested() {
                let _ = running.end(CLOSING);
                return Err(Cut::Stopped);
            }
            thread::sleep(LOOK);
        };
        let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        };
        let ended = Ended {
            status,
            stdout: text(stdout),
            stderr: String::from_utf8_lossy(&text(stderr)).into_owned(),
        };
        // What a signal ended was meant to end, too: Ctrl-C reaches both.
        self.go_on()?;
        Ok(ended)
    }
}

impl Ended {
    /// Its exit code.
    pub fn code(&self) -> u8 {
        let code = self.status.code().and_then(|code| u8::try_from(code).ok());
        code.unwrap_or(1)
    }

    /// The last line on stderr, without the name of the program.
    pub fn last_line(&self) -> Option<String> {
        last_line(&self.stderr)
    }
}

/// The last line of a text that is not empty.
pub(super) fn last_line(text: &str) -> Option<String> {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let last = last.trim_start_matches("throng: ");
    Some(last.replace(char::is_control, "\u{b7}"))
}

/// The last line of the file at `path` from byte `from` on.
pub(super) fn last_line_of(path: &Path, from: u64) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let new = bytes.get(usize::try_from(from).ok()?..)?;
    last_line(&String::from_utf8_lossy(new))
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is all there is.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

fn cannot_start(e: &io::Error) -> Failure {
    Failure::fault(format!("can't start a process: {e}"))
}
