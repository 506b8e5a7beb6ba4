//! Whether io_uring can be used here.

use super::abi::Opcode;
use super::op;
use super::ring::Ring;

/// What io_uring can do on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// Why throng cannot use it, or `None` if it can.
    pub unusable: Option<String>,
    /// Whether it can bind sockets (Linux 6.11).
    pub binds: bool,
}

/// Sets up a ring as workers do, and checks for the operations that they need.
pub fn probe() -> Support {
    let unusable = |why: String| Support {
        unusable: Some(why),
        binds: false,
    };
    let ring = match Ring::new(8, 16) {
        Ok(ring) => ring,
        Err(e) => {
            return unusable(match e.raw_os_error() {
                Some(libc::EPERM) => "not permitted (a container's seccomp profile, or sysctl kernel.io_uring_disabled)".into(),
                Some(libc::ENOSYS) => "this kernel has none".into(),
                Some(libc::EINVAL) => "this kernel's is too old (deferred task work needs Linux 6.1)".into(),
                Some(libc::ENOMEM) => "no locked memory left for a ring (ulimit -l)".into(),
                _ => e.to_string(),
            });
        }
    };
    let has = |operations: &[Opcode]| ring.has(operations).unwrap_or(false);
    if !has(op::REQUIRED) {
        return unusable(
            "this kernel's lacks operations that throng needs (Linux 6.1 has them)".into(),
        );
    }
    Support {
        unusable: None,
        binds: has(op::REQUIRED_TO_BIND),
    }
}
