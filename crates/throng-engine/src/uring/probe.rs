//! Whether io_uring can be used here.

use super::abi::Opcode;
use super::op;
use super::ring::Ring;
use std::fs;
use std::io;

/// What io_uring can do on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// Why throng cannot use it, or `None` if it can.
    pub unusable: Option<String>,
    /// Whether it can bind sockets (Linux 6.11).
    pub binds: bool,
}

/// Sets up a ring as workers do, enters it, and checks for the operations that they need.
pub fn probe() -> Support {
    let unusable = |why: String| Support {
        unusable: Some(why),
        binds: false,
    };
    let mut ring = match Ring::new(8, 16) {
        Ok(ring) => ring,
        Err(e) => return unusable(refused("io_uring_setup", &e)),
    };
    // A filter may forbid one of the three system calls alone.
    if let Err(e) = ring.enter() {
        return unusable(refused("io_uring_enter", &e));
    }
    let has = |operations: &[Opcode]| ring.has(operations);
    match has(op::REQUIRED) {
        Ok(true) => {}
        Ok(false) => {
            return unusable(
                "this kernel's lacks operations that throng needs (Linux 6.1 has them)".into(),
            );
        }
        Err(e) => return unusable(refused("io_uring_register", &e)),
    }
    Support {
        unusable: None,
        binds: has(op::REQUIRED_TO_BIND).unwrap_or(false),
    }
}

/// Why the system call `call` failed with `error`.
fn refused(call: &str, error: &io::Error) -> String {
    // Absent if the kernel was built without io_uring, and before Linux 6.6.
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    match (error.raw_os_error(), disabled.as_deref().map(str::trim)) {
        (Some(libc::EPERM), Some(level @ ("1" | "2"))) => {
            format!("not permitted (sysctl kernel.io_uring_disabled is {level})")
        }
        (Some(libc::EPERM | libc::EACCES), _) => {
            format!("not permitted (a seccomp filter, such as a container's, forbids {call})")
        }
        (Some(libc::ENOSYS), disabled) if disabled.is_some() || is_filtered() => {
            format!("a seccomp filter, such as a container's, answers that {call} does not exist")
        }
        (Some(libc::ENOSYS), _) => "this kernel has none".into(),
        (Some(libc::EINVAL), _) => {
            "this kernel's is too old (deferred task work needs Linux 6.1)".into()
        }
        (Some(libc::ENOMEM), _) => "no locked memory left for a ring (ulimit -l)".into(),
        _ => format!("{call}: {error}"),
    }
}

/// Whether this process has a seccomp filter.
fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == "2")
}
