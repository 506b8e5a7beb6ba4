//! Signals that end a run: the first asks it to end and report, the second ends the process at once. Those that stop and
//! continue it let it put the terminal back meanwhile.

use crate::{Failure, keys, screen};
use nix::sys::signal::{SigSet, Signal};
use std::thread;
use throng_run::Stop;

/// Ctrl-C, `kill`, a terminal that hangs up, Ctrl-\\. SIGPIPE is not among them: Rust ignores it, and a reader that has
/// gone is an error of the write.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];
/// Ctrl-Z, and its end.
const STOPPING: [Signal; 2] = [Signal::SIGTSTP, Signal::SIGCONT];

/// Takes the signals over, before any other thread is there. The first one requests the result.
///
/// A single thread waits for them: signal handlers could run on two threads at once, and each could take its own
/// signal for the first one.
pub(crate) fn stop() -> Result<Stop, Failure> {
    let fault = |e: &dyn std::fmt::Display| Failure::fault(format!("can't handle signals: {e}"));
    // What the caller has us ignore stays ignored (`nohup` does that with SIGHUP). A blocked signal would not be.
    let ignored = ignored();
    let signals = ENDING.into_iter().chain(STOPPING);
    let signals = signals.filter(|signal| ignored >> (*signal as u32 - 1) & 1 == 0);
    let signals = SigSet::from_iter(signals);
    signals.thread_block().map_err(|e| fault(&e))?;
    let stop = Stop::new();
    let requested = stop.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || listen(&signals, &requested))
        .map_err(|e| fault(&e))?;
    Ok(stop)
}

/// The signals that this process ignores, signal 1 in the lowest bit; none if that cannot be read.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn listen(signals: &SigSet, stop: &Stop) {
    while let Ok(signal) = signals.wait() {
        match signal {
            Signal::SIGTSTP => keys::suspend(),
            Signal::SIGCONT => {
                keys::take_again();
                screen::take_again();
            }
            _ if stop.is_requested() => {
                screen::release();
                keys::release();
                throng_report::file::abandon();
                std::process::exit(130);
            }
            _ => stop.request(),
        }
    }
}
