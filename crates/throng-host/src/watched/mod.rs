//! A system under test on this machine, watched from outside: what its processes and their sockets take. `subject.rs` finds it by what
//! users call it, `containers.rs` the names of containers, `processes.rs` reads its processes, `sockets.rs` its TCP sockets,
//! `unix.rs` its Unix sockets, `sampler.rs` makes a reading of all that.

mod containers;
mod processes;
mod sampler;
mod seen;
mod sockets;
mod subject;
mod unix;

pub use sampler::Sampler;
pub use subject::Subject;
