//! A process whose output is collected as it comes, and which ends with the test, with all that it started.

use super::net::Net;
use super::orphans;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid,
};
use serde_json::Value;
use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use throng_core::summary::Summary;

/// What the JSON output promises: docs/summary.schema.json.
static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../../../docs/summary.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is one")
});

/// How long to wait for a line.
const LINE: Duration = Duration::from_secs(30);

/// What a process has written to one of its streams so far.
#[derive(Default)]
struct Text {
    bytes: Mutex<Vec<u8>>,
    grown: Condvar,
}

impl Text {
    fn collect(mut from: impl Read + Send + 'static) -> (Arc<Text>, JoinHandle<()>) {
        let text = Arc::new(Text::default());
        let into = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let mut bytes = into.bytes.lock().expect("no reader panics");
                bytes.extend_from_slice(&buffer[..n]);
                into.grown.notify_all();
            }
        });
        (text, reader)
    }

    fn get(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// The first whole line after the first `skip` bytes that contains `needle`.
    fn wait_for(&self, needle: &str, skip: usize) -> Option<String> {
        let give_up = Instant::now() + LINE;
        let mut bytes = self.bytes.lock().expect("no reader panics");
        loop {
            let text = String::from_utf8_lossy(&bytes[skip..]);
            let found = text
                .split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(needle));
            if let Some(line) = found {
                return Some(line.trim_end().to_owned());
            }
            let left = give_up.checked_duration_since(Instant::now())?;
            bytes = self
                .grown
                .wait_timeout(bytes, left)
                .expect("no reader panics")
                .0;
        }
    }
}

/// A running process, in a process group of its own. Killed when dropped, with its whole group: the workers of a server do not
/// end because their master is killed.
pub struct Process {
    name: String,
    child: Child,
    started: Instant,
    stdout: Arc<Text>,
    stderr: Arc<Text>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`, with nothing on stdin.
    pub fn start(name: String, mut command: Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start: {e}; run scripts/test"));
        orphans::group_begins(child.id());
        let (stdout, a) = Text::collect(child.stdout.take().expect("stdout is piped"));
        let (stderr, b) = Text::collect(child.stderr.take().expect("stderr is piped"));
        Process {
            name,
            child,
            started: Instant::now(),
            stdout,
            stderr,
            readers: vec![a, b],
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process still runs");
    }

    /// Waits for a line on stderr that contains `needle`, from the beginning on.
    pub fn wait_for_stderr(&self, needle: &str) -> String {
        self.wait_for_line(needle, 0)
    }

    /// Waits for a line on stderr that contains `needle` and begins after now.
    pub fn wait_for_next_stderr(&self, needle: &str) -> String {
        let skip = self.stderr.bytes.lock().expect("no reader panics").len();
        self.wait_for_line(needle, skip)
    }

    fn wait_for_line(&self, needle: &str, skip: usize) -> String {
        self.stderr.wait_for(needle, skip).unwrap_or_else(|| {
            panic!(
                "{}: no line with '{needle}' within {LINE:?}; stderr:\n{}",
                self.name,
                self.stderr.get()
            )
        })
    }

    /// Waits until there are `n` lines on stderr that contain `needle`, and returns all such.
    pub fn wait_for_lines(&self, needle: &str, n: usize) -> Vec<String> {
        let give_up = Instant::now() + LINE;
        loop {
            let text = self.stderr.get();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines = whole.lines().filter(|line| line.contains(needle));
            let lines: Vec<String> = lines.map(String::from).collect();
            if lines.len() >= n {
                return lines;
            }
            assert!(
                Instant::now() < give_up,
                "{}: {} lines with '{needle}' and not {n}; stderr:\n{text}",
                self.name,
                lines.len(),
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended, if it has. Its number is not free before it is dropped, so it remains that of its group.
    fn ended(&self) -> Option<WaitIdStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), options).expect("it is our child")
    }

    /// Waits until it listens on `port` of `net`.
    pub fn wait_for_listener(&mut self, net: &Net, port: u16) {
        let give_up = Instant::now() + LINE;
        while !net.is_listened_on(port) {
            let ended = self.ended();
            assert!(
                ended.is_none() && Instant::now() < give_up,
                "{} does not listen on port {port}; exit status {:?}, stderr:\n{}",
                self.name,
                ended.and_then(|status| status.exit_status()),
                self.stderr.get()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait(self, at_most: Duration) -> Ran {
        self.try_wait(at_most)
            .unwrap_or_else(|text| panic!("{text}"))
    }

    /// The same. If it still runs then, kills it and returns a message.
    pub fn try_wait(mut self, at_most: Duration) -> Result<Ran, String> {
        let give_up = Instant::now() + at_most;
        let status = loop {
            match self.ended() {
                Some(status) => break status,
                None if Instant::now() >= give_up => {
                    return Err(format!(
                        "{} still runs after {at_most:?}; stderr:\n{}",
                        self.name,
                        self.stderr.get()
                    ));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let took = self.started.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        let stderr = self.stderr.get();
        assert!(
            !stderr.contains("panicked at"),
            "{} panicked:\n{stderr}",
            self.name
        );
        Ok(Ran {
            name: std::mem::take(&mut self.name),
            // A signal has no code; no test expects one.
            code: status.exit_status().unwrap_or(-1),
            stdout: self.stdout.get(),
            stderr,
            took,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        orphans::group_ends(self.child.id());
        let _ = self.child.wait();
    }
}

/// The output of a process that ended by itself.
pub struct Ran {
    name: String,
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// All that it wrote to stdout.
    pub stdout: String,
    /// All that it wrote to stderr.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Ran {
    /// The summary on stdout, which must be all that is there, and whose counts must add up.
    pub fn summary(&self) -> Summary {
        let json: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not JSON: {e}\n{self}"));
        let errors: Vec<String> = SCHEMA
            .iter_errors(&json)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "not as docs/summary.schema.json says: {errors:#?}"
        );
        let summary = serde_json::from_value(json)
            .unwrap_or_else(|e| panic!("stdout is not a summary: {e}\n{self}"));
        super::assert_adds_up(&summary);
        summary
    }

    /// The summary of a run that reached what was asked.
    #[track_caller]
    pub fn reached(&self) -> Summary {
        assert_eq!(self.code, 0, "{self}");
        let summary = self.summary();
        assert!(summary.reached && !summary.interrupted, "{self}");
        summary
    }

    /// The summary of a run that fell short.
    #[track_caller]
    pub fn fell_short(&self) -> Summary {
        assert_eq!(self.code, 1, "{self}");
        let summary = self.summary();
        assert!(!summary.reached && !summary.findings.is_empty(), "{self}");
        summary
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` exited with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.name, self.code, self.took, self.stdout, self.stderr
        )
    }
}
