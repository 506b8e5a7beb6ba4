//! The CPU time that this process has used.

use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// CPU time of all threads of this process, including ended ones. Since Linux 5.12, that includes io_uring's kernel
/// threads (SQPOLL, io-wq). Soft interrupts, which do much of TCP's receiving, count for the thread that they
/// interrupt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuUsage {
    /// In user mode.
    pub user: Duration,
    /// In the kernel. If the kernel samples (`CONFIG_TICK_CPU_ACCOUNTING`), only the sum of both is precise.
    pub system: Duration,
}

impl CpuUsage {
    /// Reads the time used since the process started.
    ///
    /// # Errors
    /// A sandbox forbids `getrusage`.
    pub fn read() -> io::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            user: duration(usage.user_time()),
            system: duration(usage.system_time()),
        })
    }

    /// The time used from `earlier` to `self`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_busy_loop_shows_as_cpu_time() {
        let before = CpuUsage::read().unwrap();
        // Other tests share the cores, so wait for the CPU time itself, not for the clock.
        let deadline = Instant::now() + Duration::from_secs(20);
        let used = loop {
            let used = CpuUsage::read().unwrap().since(&before);
            if used.user + used.system >= Duration::from_millis(50) || Instant::now() > deadline {
                break used;
            }
        };
        assert!(
            used.user + used.system >= Duration::from_millis(50),
            "{used:?}"
        );
        assert_eq!(
            before.since(&CpuUsage::read().unwrap()),
            CpuUsage::default()
        );
    }
}
