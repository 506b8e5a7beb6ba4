//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends the process at once.

use crate::Failure;
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// Whether the run was asked to end.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes both signals over, before any other thread is there. When the first one comes, the calling thread is
    /// woken ([`thread::park_timeout`]).
    ///
    /// A thread waits for them, and nobody else gets any: handlers may run on two threads at once, and each take
    /// its own signal for the first.
    pub fn install() -> Result<Interrupt, Failure> {
        let fault =
            |e: &dyn std::fmt::Display| Failure::fault(format!("can't handle signals: {e}"));
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block().map_err(|e| fault(&e))?;
        let asked = Arc::new(AtomicBool::new(false));
        let (flag, waits) = (Arc::clone(&asked), thread::current());
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || listen(&signals, &flag, &waits))
            .map_err(|e| fault(&e))?;
        Ok(Interrupt(asked))
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn listen(signals: &SigSet, asked: &AtomicBool, waits: &Thread) {
    while signals.wait().is_ok() {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        waits.unpark();
    }
}
