//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends the process at once.

use crate::Failure;
use nix::sys::signal::{SigSet, Signal};
use std::thread;
use throng_run::Stop;

/// Takes both signals over, before any other thread is there. The first one requests the result.
///
/// A thread waits for them, and nobody else gets any: handlers may run on two threads at once, and each take its own
/// signal for the first.
pub(crate) fn stop() -> Result<Stop, Failure> {
    let fault = |e: &dyn std::fmt::Display| Failure::fault(format!("can't handle signals: {e}"));
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block().map_err(|e| fault(&e))?;
    let stop = Stop::new();
    let requested = stop.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || listen(&signals, &requested))
        .map_err(|e| fault(&e))?;
    Ok(stop)
}

fn listen(signals: &SigSet, stop: &Stop) {
    while signals.wait().is_ok() {
        if stop.is_requested() {
            std::process::exit(130);
        }
        stop.request();
    }
}
