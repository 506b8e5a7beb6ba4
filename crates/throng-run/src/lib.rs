//! A run as a library: a scenario, a [`Machine`], what is [`Attached`] and a [`Stop`] in; what came of it out.
//!
//! A run prints nothing, reads no command line and installs no signal handler. Runs may follow one another and stand
//! side by side in one process; what is measured of the whole process (memory, processor time) or of the whole network
//! namespace (the kernel's sockets) is then that of all of them.

#![forbid(unsafe_code)]

mod admission;
mod asked;
mod attached;
mod behave;
mod failure;
mod kernel_counts;
mod listener;
mod load;
mod machine;
mod memory_guard;
mod meter;
mod recording;
mod serve;
mod side;
mod stop;
mod watch;

pub use attached::{Attached, Taps};
pub use failure::Failure;
pub use load::load;
pub use machine::{Machine, host};
pub use serve::serve;
pub use stop::Stop;

/// Raises this process's soft limit of open files to the hard one. A run needs it, and no run is hurt by it.
fn raise_file_limit() -> Result<(), Failure> {
    throng_host::limits::raise_soft_to_hard()
        .map(drop)
        .map_err(|e| Failure::fault(format!("can't raise the file limit: {e}")))
}
