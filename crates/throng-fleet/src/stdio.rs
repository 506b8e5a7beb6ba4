//! Agents as child processes: messages over their stdin and stdout, one on a line. What they write to stderr is for people.

use crate::frame;
use crate::message::{self, FromAgent, MOST_FROM_AGENT, MOST_TO_AGENT, ToAgent};
use crate::transport::{Arrival, End, Incoming, Link, Orders, Reports, Transport};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an agent may take to end once it has nothing more to do.
const TO_END: Duration = Duration::from_secs(5);
/// How long its last lines and its exit status may take to come once it says nothing any more.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The interval between looks at whether it has.
const LOOK: Duration = Duration::from_millis(5);
/// Lines that are no message and that may come before the first one: a login may print something. What says more is no agent.
const MOST_BEFORE: u32 = 16;
/// The exit code of an agent that can't do what its command line says, as of all of throng's commands.
const USAGE: i32 = 2;
/// The longest line for people.
const MOST_LINE: usize = 4096;

/// A command that starts an agent which talks over stdin and stdout.
#[derive(Debug)]
pub struct Command {
    name: String,
    command: process::Command,
}

impl Command {
    /// The agent of this name that `command` starts.
    pub fn new(name: String, command: process::Command) -> Command {
        Command { name, command }
    }
}

impl Transport for Command {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(mut self: Box<Self>, incoming: Incoming) -> io::Result<Box<dyn Link>> {
        // A process group of its own: Ctrl-C at a terminal is for the coordinator, which stops its agents in order.
        let mut child = self
            .command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (to, orders) = channel();
        let gone = incoming.clone();
        if let Some(stdin) = child.stdin.take() {
            spawn("fleet-send", move || send(stdin, &orders, &gone))?;
        }
        let log = child.stderr.take().map(|stderr| {
            let incoming = incoming.clone();
            spawn("fleet-log", move || say(stderr, &incoming))
        });
        let log = log.transpose()?;
        let stdout = child.stdout.take();
        let child = Arc::new(Mutex::new(child));
        if let Some(stdout) = stdout {
            let child = Arc::clone(&child);
            spawn("fleet-receive", move || {
                if let Some(arrival) = receive(stdout, &incoming) {
                    incoming.take(arrival);
                    return;
                }
                let ended = || log.as_ref().is_none_or(JoinHandle::is_finished);
                wait_until(LAST_WORDS, || ended() && status(&child).is_some());
                incoming.take(ending(status(&child)));
            })?;
        }
        Ok(Box::new(Running { child, to }))
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(body)
}

/// Waits until `so`, at most for as long as `most`. Returns whether it is so.
fn wait_until(most: Duration, so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + most;
    while !so() {
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

/// How `child` ended; `None` if it has not.
fn status(child: &Mutex<Child>) -> Option<ExitStatus> {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    child.try_wait().ok().flatten()
}

/// What becomes known of an agent that says nothing any more, and ended like this; `None` if it has not.
fn ending(status: Option<ExitStatus>) -> Arrival {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(USAGE), _)) => Arrival::Unusable(format!("it ended with exit code {USAGE}")),
        Some((Some(code @ 1..), _)) => Arrival::Gone(format!("it ended with exit code {code}")),
        Some((None, Some(signal))) => Arrival::Gone(format!("it was killed by signal {signal}")),
        _ => Arrival::Gone("it ended".into()),
    }
}

/// A child process.
struct Running {
    child: Arc<Mutex<Child>>,
    to: Sender<ToAgent>,
}

impl Link for Running {
    fn send(&mut self, message: &ToAgent) {
        // If the thread has ended, it has said so.
        let _ = self.to.send(message.clone());
    }

    fn close(self: Box<Self>) {
        let Running { child, to } = *self;
        // The thread that sends ends, and closes the agent's stdin: that ends an agent which waits for orders.
        drop(to);
        // One that stands still may have a result yet. It keeps that, and ends by itself.
        wait_until(TO_END, || status(&child).is_some());
    }
}

/// Writes messages to an agent, until there are no more.
fn send(mut stdin: ChildStdin, messages: &Receiver<ToAgent>, incoming: &Incoming) {
    for message in messages {
        let written = match message::encode(&message, MOST_TO_AGENT) {
            Ok(bytes) => match frame::write(&mut stdin, &bytes) {
                // It has ended: what it said last is read first, and then that it ended.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => return,
                written => written.map_err(|e| e.to_string()),
            },
            Err(e) => Err(e.to_string()),
        };
        if let Err(e) = written {
            incoming.take(Arrival::Gone(format!("can't send to it: {e}")));
            return;
        }
    }
}

/// Reads an agent's messages, until there are no more. Returns why no more can be read, if it may go on all the same.
fn receive(stdout: ChildStdout, incoming: &Incoming) -> Option<Arrival> {
    let (mut from, mut line) = (BufReader::new(stdout), Vec::new());
    let (mut has_spoken, mut before) = (false, 0);
    loop {
        let read = match frame::read(&mut from, &mut line, MOST_FROM_AGENT) {
            Ok(read) => read?,
            Err(e) => return Some(Arrival::Gone(format!("can't read what it says: {e}"))),
        };
        let message: Result<FromAgent, _> =
            read.and_then(|()| message::decode(&line, MOST_FROM_AGENT));
        let arrival = match message {
            Ok(message) => {
                has_spoken = true;
                Arrival::Message(Box::new(message))
            }
            Err(_) if message::decode::<ToAgent>(&line, MOST_TO_AGENT).is_ok() => {
                let why = "it is no agent: it repeats what it is told";
                return Some(Arrival::Unusable(why.into()));
            }
            Err(_) if !has_spoken && before == MOST_BEFORE => {
                let why = format!("it is no agent: none of {MOST_BEFORE} lines is a message");
                return Some(Arrival::Unusable(why));
            }
            Err(e) => {
                before += 1;
                Arrival::Unreadable(e.to_string())
            }
        };
        if !incoming.take(arrival) {
            return None;
        }
    }
}

/// Passes on what an agent writes for people. Longer lines are cut.
fn say(stderr: impl Read, incoming: &Incoming) {
    let mut from = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut part = (&mut from).take(MOST_LINE as u64);
        match part.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !text.is_empty() && !incoming.take(Arrival::Said(text)) {
                    return;
                }
            }
        }
    }
}

/// An agent's own end: orders from a stream, reports to another one.
pub struct Streams<I, O> {
    input: I,
    output: O,
}

impl<I, O> Streams<I, O> {
    /// Orders come from `input`, and reports go to `output`.
    pub fn new(input: I, output: O) -> Streams<I, O> {
        Streams { input, output }
    }
}

impl<I: Read + Send + 'static, O: Write + Send + 'static> End for Streams<I, O> {
    fn open(self: Box<Self>, orders: Orders) -> io::Result<Box<dyn Reports>> {
        let Streams { input, output } = *self;
        spawn("fleet-orders", move || take_orders(input, &orders))?;
        Ok(Box::new(Written(output)))
    }
}

/// Reads orders, until there are no more.
fn take_orders(input: impl Read, orders: &Orders) {
    let (mut from, mut line) = (BufReader::new(input), Vec::new());
    while let Ok(Some(read)) = frame::read(&mut from, &mut line, MOST_TO_AGENT) {
        let order = read.and_then(|()| message::decode(&line, MOST_TO_AGENT));
        if !orders.take(order.map_err(|e| e.to_string())) {
            return;
        }
    }
    orders.cut_off();
}

/// A stream that reports are written to.
struct Written<O>(O);

impl<O: Write + Send> Reports for Written<O> {
    fn send(&mut self, message: &FromAgent) -> io::Result<()> {
        let bytes = message::encode(message, MOST_FROM_AGENT).map_err(io::Error::other)?;
        frame::write(&mut self.0, &bytes)
    }
}
