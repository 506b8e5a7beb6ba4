//! What this machine allows and what it is doing, read from the kernel.
//!
//! What a plan needs to know is read at once: [`survey`] fills in a [`throng_core::host::Host`]. The
//! other public modules are for what is read again and again during a run: memory, socket and TCP
//! counters, listen queues, our own CPU time.
//!
//! [`tuning`] alone changes the machine, and puts it back.
//!
//! Every value is plain data (serde), read when asked and never cached, unless its type says so.
//! Nothing but [`tuning`] needs privileges, though root sees more. What can't be read (an unprivileged user,
//! a container without `/proc/sys`, a kernel without IPv6) is a `None` or an [`std::io::Error`] that names the
//! file. Parsers take `&str`, so that they are tested on texts from machines that we don't have.
//!
//! Network values are those of the process's network namespace, except where the kernel counts
//! for the whole machine; then the field's documentation says so.

#![forbid(unsafe_code)]

mod accept;
mod addresses;
mod cgroup;
pub mod conntrack;
pub mod interface;
pub mod kernel;
pub mod kernel_log;
pub mod limits;
pub mod listen;
mod listeners;
pub mod memory;
#[cfg(test)]
mod namespace;
pub mod netstat;
mod ports;
mod proc_text;
mod processes;
mod reader;
pub mod services;
mod slab;
mod sock_diag;
pub mod sockets;
pub mod survey;
mod targets;
mod tasks;
mod tcp;
pub mod tuning;
pub mod usage;

/// Whether `attempt` succeeds within half a minute. For counts that the whole machine shares: others
/// open and close sockets and files by the thousand, so it takes a quiet moment to see our own.
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
