//! Signals that end a run: the first asks it to end and report, the second ends the process at once; a repetition of the first
//! is none. Those that stop and continue it let it put the terminal back meanwhile.

use crate::{Failure, keys, screen};
use nix::sys::signal::{SigSet, Signal};
use std::thread;
use std::time::{Duration, Instant};
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

/// One signal may arrive twice: timeout(1) sends it to its child, and then to its process group, to which the child belongs. For
/// this long after the first signal, another one of its kind is a repetition. Nobody presses Ctrl-C twice that fast.
const REPETITION: Duration = Duration::from_millis(200);

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
    let mut first = None;
    while let Ok(signal) = signals.wait() {
        let now = Instant::now();
        match signal {
            Signal::SIGTSTP => keys::suspend(),
            Signal::SIGCONT => {
                keys::take_again();
                screen::take_again();
            }
            _ if repeats(first, signal, now) => {}
            _ if stop.is_requested() => {
                screen::release();
                keys::release();
                throng_report::file::abandon();
                std::process::exit(130);
            }
            _ => {
                first = Some((signal, now));
                stop.request();
            }
        }
    }
}

/// Whether `signal`, which arrived at `now`, is the `first` one, which arrived once more.
fn repeats(first: Option<(Signal, Instant)>, signal: Signal, now: Instant) -> bool {
    first.is_some_and(|(kind, at)| kind == signal && now.duration_since(at) < REPETITION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_timeout_sends_twice_is_one_signal() {
        let begun = Instant::now();
        let after = |ms| begun + Duration::from_millis(ms);
        let first = Some((Signal::SIGTERM, begun));
        let cases = [
            (None, Signal::SIGTERM, 0, false),
            (first, Signal::SIGTERM, 0, true),
            (first, Signal::SIGTERM, 199, true),
            (first, Signal::SIGTERM, 200, false),
            (first, Signal::SIGINT, 1, false),
        ];
        for (first, signal, ms, repeated) in cases {
            let answer = repeats(first, signal, after(ms));
            assert_eq!(answer, repeated, "{signal} after {ms} ms");
        }
    }
}
