//! The supervisor's side: runs a command, and ends it with all that it left behind once it is told to.

use super::SOFTLY;
use nix::sys::signal::SigSet;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgid, getpid, kill_process, kill_process_group,
    set_child_subreaper, wait,
};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The exit code for a command that could not be started, as of shells.
const NOT_STARTED: u8 = 127;
/// How long killed processes may take to be gone before they are killed again.
const AGAIN: Duration = Duration::from_millis(2);

/// Runs the command `words` until it and all that it started have ended; ends them earlier when stdin says so. Returns the
/// command's exit code, 128 and its number for a signal.
///
/// Call it in a process with one thread and without children.
///
/// # Errors
/// The kernel's.
pub fn supervise(words: &[OsString]) -> io::Result<u8> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::Error::other("no command to supervise"));
    };
    // Signals that the parent waits for are blocked in it, and children inherit that.
    SigSet::empty().thread_set_mask()?;
    set_child_subreaper(Some(getpid()))?;
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let command = match started {
        Ok(child) => Pid::from_child(&child),
        Err(e) => {
            eprintln!("throng: {}: {e}", program.display());
            return Ok(NOT_STARTED);
        }
    };
    thread::Builder::new().spawn(move || obey(command))?;
    let mut code = 0;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == command => {
                code = code_of(status);
                if code != 0 {
                    thread::spawn(kill_all);
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CHILD) => return Ok(code),
            Err(e) => return Err(e.into()),
        }
    }
}

fn code_of(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Carries out what is ordered through stdin.
fn obey(command: Pid) {
    let mut order = [0];
    let mut stdin = io::stdin();
    loop {
        match stdin.read(&mut order) {
            Ok(1) if order[0] == SOFTLY => end_softly(command),
            Ok(1) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => kill_all(),
        }
    }
}

/// SIGTERM to the group of the command, and to adopted processes that have left it.
fn end_softly(command: Pid) {
    let children = children();
    let in_group = |child: &&Pid| getpgid(Some(**child)).is_ok_and(|group| group == command);
    // A group that has no process any more may have given its number to another one.
    if children.iter().any(|child| in_group(&child)) {
        let _ = kill_process_group(command, Signal::TERM);
    }
    for child in children.iter().filter(|child| !in_group(child)) {
        let _ = kill_process(*child, Signal::TERM);
    }
}

/// Kills all children, then those that they leave behind, until the process ends, which is when there are none.
fn kill_all() {
    loop {
        for child in children() {
            let _ = kill_process(child, Signal::KILL);
        }
        thread::sleep(AGAIN);
    }
}

/// The children of this process.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent(*pid) == Some(own))
        .filter_map(Pid::from_raw)
        .collect()
}

/// The parent of a process; `None` if it has ended.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program is in parentheses, and may have some itself.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}
