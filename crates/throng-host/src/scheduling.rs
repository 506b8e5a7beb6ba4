//! What the scheduler gave the threads of this process, and what kept cores from them: CPU quotas and a hypervisor.

use std::io;
use std::time::Duration;

use crate::cgroup::{Cgroup, own_cgroups};
use crate::proc_text;

/// What the scheduler gave a thread since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// Time on a core.
    pub ran: Duration,
    /// Time in which it could have run, and did not: something else had the core, or a CPU quota was used up.
    pub waited: Duration,
    /// How often it was given a core.
    pub times: u64,
    /// How often it gave one up by itself, since it had nothing to do.
    pub slept: u64,
}

impl ThreadTime {
    /// Reads the times of a thread of this process by its id.
    ///
    /// # Errors
    /// It has ended, or the kernel lacks `schedstat` (`CONFIG_SCHED_INFO`).
    pub fn read(thread: u32) -> io::Result<Self> {
        Self::at(&format!("/proc/self/task/{thread}"))
    }

    /// Reads those of the calling thread.
    ///
    /// # Errors
    /// The kernel lacks `schedstat`.
    pub fn own() -> io::Result<Self> {
        Self::at("/proc/thread-self")
    }

    fn at(dir: &str) -> io::Result<Self> {
        let path = format!("{dir}/schedstat");
        let text = proc_text::read(&path)?;
        let time = parse_schedstat(&text).ok_or_else(|| proc_text::malformed(path, &text))?;
        let path = format!("{dir}/status");
        let text = proc_text::read(&path)?;
        let slept = parse_switches(&text).ok_or_else(|| proc_text::malformed(path, &text))?;
        Ok(Self { slept, ..time })
    }

    /// The time from `earlier` to `self`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(earlier.ran),
            waited: self.waited.saturating_sub(earlier.waited),
            times: self.times.saturating_sub(earlier.times),
            slept: self.slept.saturating_sub(earlier.slept),
        }
    }
}

/// `RAN WAITED TIMES`, the first two in nanoseconds.
fn parse_schedstat(text: &str) -> Option<ThreadTime> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(ThreadTime {
        ran: Duration::from_nanos(next()?),
        waited: Duration::from_nanos(next()?),
        times: next()?,
        slept: 0,
    })
}

/// The voluntary context switches of a thread's `status`.
fn parse_switches(text: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix("voluntary_ctxt_switches:")?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value)
}

/// The CPU time of this machine since it began, in the clock ticks of `/proc/stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineTime {
    all: u64,
    stolen: u64,
    softirq: u64,
}

impl MachineTime {
    /// Reads it.
    ///
    /// # Errors
    /// `/proc/stat` can't be read.
    pub fn read() -> io::Result<Self> {
        let path = "/proc/stat";
        let text = proc_text::read(path)?;
        parse_stat(&text).ok_or_else(|| proc_text::malformed(path, &text))
    }

    /// The share of the time since `earlier` that a hypervisor gave to others instead of this machine, 0 to 1.
    #[must_use]
    pub fn stolen_since(&self, earlier: &Self) -> f64 {
        self.share_since(earlier, |time| time.stolen)
    }

    /// The share of the time since `earlier` that went to soft interrupts, which do much of TCP's work, 0 to 1.
    #[must_use]
    pub fn softirq_since(&self, earlier: &Self) -> f64 {
        self.share_since(earlier, |time| time.softirq)
    }

    fn share_since(&self, earlier: &Self, part: fn(&Self) -> u64) -> f64 {
        let of = |now: u64, then: u64| now.saturating_sub(then) as f64;
        match of(self.all, earlier.all) {
            0.0 => 0.0,
            all => of(part(self), part(earlier)) / all,
        }
    }
}

/// The first line: `cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL GUEST …`. Guests' time is within the user's.
fn parse_stat(text: &str) -> Option<MachineTime> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields = line.split_whitespace().take(8).map(|n| n.parse().ok());
    let fields = fields.collect::<Option<Vec<u64>>>()?;
    Some(MachineTime {
        all: fields.iter().sum(),
        stolen: *fields.get(7)?,
        softirq: *fields.get(6)?,
    })
}

/// The cgroups of this process that have a CPU quota.
#[derive(Debug)]
pub struct CpuQuota {
    groups: Vec<Cgroup>,
    cores: Option<f64>,
}

impl CpuQuota {
    /// Finds them.
    #[must_use]
    pub fn find() -> Self {
        let mut groups = own_cgroups("cpu");
        groups.retain(|group| group.quota_cores().is_some());
        let cores = groups.iter().filter_map(Cgroup::quota_cores);
        Self {
            cores: cores.reduce(f64::min),
            groups,
        }
    }

    /// The lowest of their quotas, in cores; `None` if there is none.
    #[must_use]
    pub fn cores(&self) -> Option<f64> {
        self.cores
    }

    /// How long they have been stopped so far: the longest of them, summed over cores.
    #[must_use]
    pub fn throttled(&self) -> Duration {
        let all = self.groups.iter().filter_map(Cgroup::throttled);
        all.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_a_thread_was_given_is_read() {
        let parsed = parse_schedstat("196834 345294 3\n").unwrap();
        assert_eq!(parsed.ran, Duration::from_nanos(196_834));
        assert_eq!(parsed.waited, Duration::from_nanos(345_294));
        assert_eq!(parsed.times, 3);
        let status = "Name:\ta\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t27\n";
        assert_eq!(parse_switches(status), Some(27));
        assert_eq!(parse_switches("Name:\ta\n"), None);
        assert_eq!(parse_schedstat("1 2"), None);
        assert_eq!(parse_schedstat("1 x 3"), None);

        let before = ThreadTime::own().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let used = loop {
            let used = ThreadTime::own().unwrap().since(&before);
            if used.ran >= Duration::from_millis(50) || Instant::now() > deadline {
                break used;
            }
        };
        assert!(used.ran >= Duration::from_millis(50), "{used:?}");
        // A test's first thread has the id of its process, and has only started others.
        assert!(ThreadTime::read(std::process::id()).unwrap().ran > Duration::ZERO);
        assert!(ThreadTime::read(u32::MAX).is_err());
    }

    #[test]
    fn stolen_time_is_a_share_of_all() {
        let of = |steal: u64, idle: u64| {
            parse_stat(&format!(
                "cpu  10 0 10 {idle} 0 0 0 {steal} 7 0\ncpu0 1 2 3\n"
            ))
            .unwrap()
        };
        let none = MachineTime {
            all: 20,
            ..MachineTime::default()
        };
        assert_eq!(of(0, 0), none);
        let softirq = parse_stat("cpu  10 0 10 60 0 0 20 0\n").unwrap();
        assert!((softirq.softirq_since(&none) - 0.25).abs() < 1e-9);
        assert!((of(30, 70).stolen_since(&of(0, 0)) - 0.3).abs() < 1e-9);
        assert_eq!(of(0, 0).stolen_since(&of(5, 5)), 0.0);
        assert_eq!(parse_stat("cpu  1 2 3 4\n"), None);
        assert_eq!(parse_stat("intr 5\n"), None);
        assert!(MachineTime::read().unwrap().all > 0);
    }
}
