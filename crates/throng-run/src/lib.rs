//! A run as a library: a scenario, a [`Machine`], what is [`Attached`] and a [`Stop`] in; a record out.
//!
//! A run prints nothing, reads no command line and installs no signal handler. One process may have several runs, one
//! after another or at the same time. What is measured for the whole process (memory, CPU time) or for the whole
//! network namespace (the kernel's sockets) is then the sum of all of them.

#![forbid(unsafe_code)]

mod admission;
mod asked;
mod attached;
mod behave;
mod dial;
mod failure;
mod kernel_counts;
mod listener;
mod load;
mod machine;
mod memory_guard;
mod meter;
pub mod probe;
mod proxy;
mod recording;
mod serve;
mod side;
mod sockets;
mod stop;
mod strain;
mod watch;
mod watching;

pub use attached::{Attached, Barrier, Taps};
pub use dial::Dial;
pub use failure::Failure;
pub use load::load;
pub use machine::{Machine, host};
pub use proxy::proxy;
pub use serve::serve;
pub use stop::Stop;
pub use watching::Watching;
