//! Limits on open files: of this process (RLIMIT_NOFILE) and of the whole machine.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use throng_core::host::Files;

use crate::proc_text;
use crate::processes::{open_files, parse_file_limits};
use crate::reader::{Reader, numbers};

/// This process's RLIMIT_NOFILE, in descriptors. `u64::MAX` means unlimited.
///
/// It bounds each table of descriptors separately, so an io_uring ring with its own table has the limit once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLimits {
    /// The soft limit, which binds: the highest descriptor is one less.
    pub soft: u64,
    /// The hard limit: how far an unprivileged process may raise `soft`.
    pub hard: u64,
}

/// The kernel's default for the first process.
const LINUX_DEFAULT: FileLimits = FileLimits {
    soft: 1024,
    hard: 4096,
};

impl FileLimits {
    /// Reads the limits. A sandbox may forbid the system call; then it reads them from /proc.
    ///
    /// # Errors
    /// Neither can be had.
    pub fn read() -> io::Result<Self> {
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            return Ok(Self { soft, hard });
        }
        let path = "/proc/self/limits";
        let text = proc_text::read(path)?;
        let (soft, hard) =
            parse_file_limits(&text).ok_or_else(|| proc_text::malformed(path, &text))?;
        Ok(Self { soft, hard })
    }
}

/// Raises RLIMIT_NOFILE as far as possible without privileges. Returns the new limits.
///
/// # Errors
/// `PermissionDenied` if the hard limit exceeds `fs.nr_open` (Linux then refuses any change) or a sandbox forbids it. The
/// limits then stay as they are.
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

/// Reads the limits on open files of this process and of the whole machine (not of a namespace). `open` counts the
/// files of this process, `file_nr` those of the machine. Only the latter includes sockets that are io_uring direct
/// descriptors. The kernel counts it per core, so it may be off by some hundreds.
pub(crate) fn read(reader: &mut Reader) -> Files {
    let limits = reader.kept("RLIMIT_NOFILE", FileLimits::read());
    let limits = limits.unwrap_or(LINUX_DEFAULT);
    let open = open_files(Path::new("/proc/self"));
    // Beyond file-max, processes without CAP_SYS_ADMIN get ENFILE.
    let (file_nr, file_max) = reader.parsed("/proc/sys/fs/file-nr", parse_file_nr).unzip();
    Files {
        soft: limits.soft,
        hard: limits.hard,
        open: reader.kept("/proc/self/fd", open).unwrap_or(0),
        nr_open: reader.number("/proc/sys/fs/nr_open"),
        file_max,
        file_nr,
    }
}

/// The first and last number of `allocated <TAB> free (always 0) <TAB> max`.
fn parse_file_nr(text: &str) -> Option<(u64, u64)> {
    let [allocated, _, max] = numbers(text)?;
    Some((allocated, max))
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
            assert_eq!(parse_file_nr(text), expected, "{text:?}");
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
    }

    #[test]
    fn open_files_are_counted_for_us_and_for_the_machine() {
        raise_soft_to_hard().unwrap();
        let files = || read(&mut Reader::default());
        assert!(crate::seen_in_a_quiet_moment(|| {
            let before = files();
            let _files: Vec<_> = (0..500)
                .map(|_| std::fs::File::open("/").unwrap())
                .collect();
            let now = files();
            assert!(now.file_nr >= Some(500) && now.file_nr < now.file_max);
            assert!(now.nr_open >= Some(1024) && now.open >= 500, "{now:?}");
            let machine = now.file_nr.unwrap().saturating_sub(before.file_nr.unwrap());
            let ours = now.open.saturating_sub(before.open);
            (450..600).contains(&machine) && (450..600).contains(&ours)
        }));
    }
}
