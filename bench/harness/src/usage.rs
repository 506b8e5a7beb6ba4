//! What a process used, read from the kernel while it runs: processor time and resident memory, in the
//! same way for every contestant.
//!
//! Processor time is the process's CPU clock (clock_getcpuclockid(3)): user and system time of all
//! its threads, including those that ended. It is the same sum as utime + stime of /proc/PID/stat, in
//! nanoseconds instead of ticks of 10 ms, which at 10,000 connections would be a step of 1 µs each.
//! Memory is VmHWM, the peak resident set, from /proc/PID/status.

use nix::time::ClockId;
use nix::unistd::Pid;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A reading of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time so far.
    pub cpu: Duration,
    /// Peak resident memory so far, in bytes.
    pub peak_rss: u64,
}

/// Reads `pid`; `None` if it is gone (or a zombie, which has no memory any more).
pub fn read(pid: Pid) -> Option<Usage> {
    let cpu = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?.into();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu,
        peak_rss: peak_rss(&status)?,
    })
}

/// VmHWM of /proc/PID/status, in bytes.
fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Seconds since 1970.
pub fn unix_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// Readings of one process over time.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<(f64, Usage)>);

impl Series {
    /// Adds a reading taken at `unix_s`.
    pub fn push(&mut self, unix_s: f64, usage: Usage) {
        self.0.push((unix_s, usage));
    }

    /// The reading at `unix_s`, interpolated between the two around it; `None` outside the readings.
    pub fn at(&self, unix_s: f64) -> Option<Usage> {
        let after = self.0.iter().position(|(t, _)| *t >= unix_s)?;
        let (t1, later) = self.0[after];
        if t1 == unix_s {
            return Some(later);
        }
        let (t0, earlier) = self.0[after.checked_sub(1)?];
        let share = (unix_s - t0) / (t1 - t0);
        Some(Usage {
            cpu: earlier.cpu + later.cpu.saturating_sub(earlier.cpu).mul_f64(share),
            peak_rss: later.peak_rss,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_peak_and_a_clock_that_runs() {
        let me = Pid::this();
        let before = read(me).unwrap();
        assert!(before.peak_rss > 100_000);
        let from = std::time::Instant::now();
        while from.elapsed() < Duration::from_millis(30) {}
        assert!(read(me).unwrap().cpu > before.cpu);
    }

    #[test]
    fn the_peak_is_found_in_a_status_page() {
        assert_eq!(
            peak_rss("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 5 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(peak_rss("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_series_is_interpolated_and_has_ends() {
        let usage = |ms, peak_rss| Usage {
            cpu: Duration::from_millis(ms),
            peak_rss,
        };
        let mut series = Series::default();
        series.push(10.0, usage(100, 5));
        series.push(12.0, usage(300, 6));
        assert_eq!(series.at(11.0), Some(usage(200, 6)));
        assert_eq!(series.at(10.0), Some(usage(100, 5)));
        assert_eq!(series.at(9.9), None);
        assert_eq!(series.at(12.1), None);
    }
}
