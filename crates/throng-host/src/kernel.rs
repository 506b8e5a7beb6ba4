//! The kernel, which of its features throng may use, and the number of cores.

use std::io;
use std::thread;

use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::proc_text;

/// The kernel and its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// As `uname -r` prints it: `6.18.44-generic`.
    pub release: String,
    /// Major and minor version of `release`; `None` if it does not have that form.
    pub version: Option<(u32, u32)>,
    /// `kernel.io_uring_disabled`: 0 if every process may use io_uring, 1 if only CAP_SYS_ADMIN and one group may, 2 if
    /// none may. `None` without that sysctl: before Linux 6.6, or without io_uring. Even with 0, a seccomp filter (such
    /// as Docker's default) may forbid it.
    pub io_uring_disabled: Option<u8>,
    /// Cores that this process may use: those of its affinity mask, or fewer if a cgroup's CPU quota is smaller. At
    /// least 1.
    pub cores: usize,
    /// The host name in this UTS namespace.
    pub hostname: String,
}

impl Kernel {
    /// Reads all of it from the kernel.
    ///
    /// # Errors
    /// A sandbox forbids `uname`.
    pub fn read() -> io::Result<Self> {
        let names = uname()?;
        let release = names.release().to_string_lossy().into_owned();
        Ok(Self {
            version: parse_version(&release),
            release,
            io_uring_disabled: proc_text::read_number("/proc/sys/kernel/io_uring_disabled").ok(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            hostname: names.nodename().to_string_lossy().into_owned(),
        })
    }
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_parsed() {
        for (release, expected) in [
            ("6.18.44", Some((6, 18))),
            ("6.18.44-fc-v657", Some((6, 18))),
            ("5.15.0-1053-aws", Some((5, 15))),
            ("6.10-rc7", Some((6, 10))),
            ("4.4.0-19041-Microsoft", Some((4, 4))),
            ("6.6+", Some((6, 6))),
            ("6", None),
            ("next-20260101", None),
            ("", None),
        ] {
            assert_eq!(parse_version(release), expected, "{release}");
        }
    }

    #[test]
    fn this_kernel_agrees_with_proc() {
        let kernel = Kernel::read().unwrap();
        assert_eq!(
            kernel.release,
            proc_text::read("/proc/sys/kernel/osrelease")
                .unwrap()
                .trim()
        );
        assert_eq!(
            kernel.hostname,
            proc_text::read("/proc/sys/kernel/hostname").unwrap().trim()
        );
        assert!(
            kernel.version.is_some_and(|version| version >= (4, 0)),
            "{kernel:?}"
        );
        assert!(kernel.cores >= 1);
    }
}
