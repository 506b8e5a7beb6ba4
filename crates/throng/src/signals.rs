//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends the process at once.

use crate::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the run was asked to end.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes both signals over. One thread deals with them, one after the other: two handlers may run at the same
    /// time, on two threads, and each would take its signal for the first.
    pub fn install() -> Result<Interrupt, Failure> {
        let fault = |e| Failure::fault(format!("can't handle signals: {e}"));
        let asked = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(fault)?;
        let flag = Arc::clone(&asked);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    if flag.swap(true, Ordering::Relaxed) {
                        exit(130);
                    }
                }
            })
            .map_err(fault)?;
        Ok(Interrupt(asked))
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
