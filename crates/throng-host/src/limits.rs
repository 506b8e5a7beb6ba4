//! How many files may be open: by this process (RLIMIT_NOFILE) and by the whole machine.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::proc_text;

/// This process's RLIMIT_NOFILE, in descriptors. `u64::MAX` is "unlimited".
///
/// It bounds each table of descriptors, so an io_uring ring with a table of its own has the limit
/// once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLimits {
    /// What binds now: the highest descriptor is one less.
    pub soft: u64,
    /// How far an unprivileged process may raise `soft`.
    pub hard: u64,
}

impl FileLimits {
    /// Reads the limits.
    ///
    /// # Errors
    /// Only where a sandbox forbids the system call.
    pub fn read() -> io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self { soft, hard })
    }
}

/// Raises RLIMIT_NOFILE as far as this process may without privileges; returns the new limits.
///
/// # Errors
/// `PermissionDenied` where the hard limit exceeds `fs.nr_open` (Linux refuses any change then) or
/// a sandbox forbids it; the limits are then as before.
pub fn raise_soft_to_hard() -> io::Result<FileLimits> {
    let FileLimits { soft, hard } = FileLimits::read()?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|e| {
            let e = io::Error::from(e);
            io::Error::new(
                e.kind(),
                format!("RLIMIT_NOFILE from {soft} to {hard}: {e}"),
            )
        })?;
    }
    FileLimits::read()
}

/// `fs.nr_open`: the highest value that even a privileged process may give RLIMIT_NOFILE.
///
/// # Errors
/// If the sysctl can't be read.
pub fn nr_open() -> io::Result<u64> {
    proc_text::read_number("/proc/sys/fs/nr_open")
}

/// Open files of the whole machine (not of a namespace), against their limit. Sockets that exist
/// only as io_uring direct descriptors count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFiles {
    /// Files open now. The kernel counts per core, so it may be some hundreds off.
    pub allocated: u64,
    /// `fs.file-max`: beyond it, processes without CAP_SYS_ADMIN get ENFILE.
    pub max: u64,
}

impl SystemFiles {
    /// Reads `fs.file-nr`, which holds both numbers.
    ///
    /// # Errors
    /// If the sysctl can't be read or understood.
    pub fn read() -> io::Result<Self> {
        let path = "/proc/sys/fs/file-nr";
        let text = proc_text::read(path)?;
        Self::parse(&text).ok_or_else(|| proc_text::malformed(path, &text))
    }

    /// Parses `allocated <TAB> free (always 0) <TAB> max`.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace().map(|field| field.parse().ok());
        let allocated = fields.next()??;
        let max = fields.nth(1)??;
        Some(Self { allocated, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_nr_is_parsed() {
        for (text, expected) in [
            ("377\t0\t2466177\n", Some((377, 2466177))),
            // systemd since 240 sets file-max to LONG_MAX.
            (
                "11488\t0\t9223372036854775807\n",
                Some((11488, 9223372036854775807)),
            ),
            ("377\t0\n", None),
            ("many 0 12", None),
            ("", None),
        ] {
            let parsed = SystemFiles::parse(text).map(|f| (f.allocated, f.max));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = FileLimits::read().unwrap();
        assert!(before.soft <= before.hard);
        let after = raise_soft_to_hard().unwrap();
        assert_eq!(
            after,
            FileLimits {
                soft: before.hard,
                hard: before.hard
            }
        );
        assert_eq!(FileLimits::read().unwrap(), after);
        assert!(nr_open().unwrap() >= 1024);
    }

    #[test]
    fn open_files_are_counted_for_the_machine() {
        raise_soft_to_hard().unwrap();
        assert!(crate::seen_in_a_quiet_moment(|| {
            let before = SystemFiles::read().unwrap();
            let _files: Vec<_> = (0..500)
                .map(|_| std::fs::File::open("/").unwrap())
                .collect();
            let now = SystemFiles::read().unwrap();
            assert!((500..now.max).contains(&now.allocated), "{now:?}");
            (450..600).contains(&now.allocated.saturating_sub(before.allocated))
        }));
    }
}
