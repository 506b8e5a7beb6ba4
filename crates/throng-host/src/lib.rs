//! What this machine allows and what it is doing, read from the kernel.
//!
//! [`survey`] reads everything that a plan needs at once, into a [`throng_core::host::Host`]. The other public modules
//! read values that a run needs repeatedly: memory, socket and TCP counters, accept queues, the CPU time of this
//! process.
//!
//! Only [`tuning`] changes the machine, and restores it. [`own_network`] has settings for this process alone, and
//! [`supervised`] processes that do not outlive it.
//!
//! Every value is plain data (serde), read on request and never cached, unless its type says so. Only [`tuning`] needs
//! privileges, but root sees more. A value that can't be read (an unprivileged user, a container without `/proc/sys`, a
//! kernel without IPv6) is a `None` or an [`std::io::Error`] that names the file. Parsers take `&str`, so that tests
//! can use texts from other machines.
//!
//! Network values are those of the process's network namespace. If the kernel counts for the whole machine instead, the
//! documentation of the field says so.

#![forbid(unsafe_code)]

mod accept;
mod addresses;
mod cgroup;
pub mod conntrack;
pub mod elsewhere;
pub mod environment;
pub mod handshakes;
pub mod here;
pub mod interface;
pub mod kernel;
pub mod kernel_log;
pub mod left_over;
pub mod limits;
pub mod links;
pub mod listen;
pub mod listeners;
pub mod lock;
pub mod memory;
pub mod names;
#[cfg(test)]
mod namespace;
pub mod netstat;
pub mod options;
pub mod own_network;
pub mod ports;
mod proc_text;
pub mod process_usage;
mod processes;
mod reader;
pub mod scheduling;
pub mod services;
pub mod serving;
mod slab;
mod sock_diag;
pub mod sockets;
pub mod supervised;
pub mod survey;
mod targets;
mod tasks;
mod tcp;
pub mod tuning;
pub mod unix_queues;
pub mod unix_sockets;
pub mod usage;
pub mod watched;

/// Whether `attempt` succeeds within half a minute. For counts of the whole machine: other programs open and close
/// sockets and files by the thousand, so a test needs a quiet moment to see its own.
#[cfg(test)]
fn seen_in_a_quiet_moment(mut attempt: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !attempt() {
        if std::time::Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    true
}
