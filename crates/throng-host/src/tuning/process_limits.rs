//! The file limit of a running process, and whether it is still the same process.

use std::fs;
use std::io;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// RLIMIT_NOFILE of process `pid`, soft and hard; `u64::MAX` is unlimited.
///
/// # Errors
/// If there is no such process, or it is another user's.
pub fn file_limits_of(pid: u32) -> io::Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    parse_limits(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Parses the line `Max open files            1024                 20000                files`.
fn parse_limits(text: &str) -> Option<(u64, u64)> {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    let number = |word: &str| match word {
        "unlimited" => Some(u64::MAX),
        n => n.parse().ok(),
    };
    let mut words = line.split_whitespace();
    Some((number(words.next()?)?, number(words.next()?)?))
}

/// When it was started, in clock ticks after boot.
pub(super) fn started(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_started(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The 22nd field of proc_pid_stat(5). The second is the name in brackets, which may hold anything.
fn parse_started(text: &str) -> Option<u64> {
    let after_name = &text[text.rfind(')')? + 1..];
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Sets both limits.
pub(super) fn set_file_limits(pid: u32, (soft, hard): (u64, u64)) -> Result<(), String> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or("there is no such process")?;
    let limit = |n| (n != u64::MAX).then_some(n);
    let new = Rlimit {
        current: limit(soft),
        maximum: limit(hard),
    };
    match prlimit(Some(number), Resource::Nofile, new) {
        Ok(_) => Ok(()),
        Err(e) if e == rustix::io::Errno::PERM => Err(
            "not allowed: raising a hard limit needs CAP_SYS_RESOURCE (root, on the host), and it can't exceed \
             fs.nr_open"
                .into(),
        ),
        Err(e) => Err(io::Error::from(e).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_start_are_parsed() {
        let head =
            "Limit                     Soft Limit           Hard Limit           Units     \n";
        for (line, limits) in [
            (
                "Max open files            1024                 524288               files     \n",
                Some((1024, 524_288)),
            ),
            (
                "Max open files            1024                 unlimited            files     \n",
                Some((1024, u64::MAX)),
            ),
            ("Max open files            1024\n", None),
            ("", None),
        ] {
            assert_eq!(parse_limits(&format!("{head}{line}")), limits, "{line}");
        }
        let stat = "17 (a) b) R 1 17 17 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 4711 2281472 90";
        assert_eq!(parse_started(stat), Some(4711));
        assert_eq!(parse_started("17 (x"), None);
    }

    #[test]
    fn our_own_are_what_the_kernel_says() {
        let own = std::process::id();
        let limits = crate::limits::FileLimits::read().unwrap();
        assert!(file_limits_of(own).unwrap().1 == limits.hard);
        assert!(started(own).unwrap() > 0);
        assert!(file_limits_of(u32::MAX).is_err());
    }
}
