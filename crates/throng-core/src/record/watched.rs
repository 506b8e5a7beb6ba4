//! The system under test, watched while a run lasts: what its processes and their sockets took, reading by reading.

use super::{ServerFiles, nanos};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Readings that are kept at most. At that number every second one is dropped, and of later ones as many.
pub const MAX_READINGS: usize = 600;

/// The system under test, as it was watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// What it is: `process 4711 (nginx)`, `nginx.service`, `container web`.
    pub name: String,
    /// The names of its processes at the latest reading, without duplicates.
    pub processes: Vec<String>,
    /// Bytes of the kernel's objects for one of its TCP sockets.
    pub socket_bytes: u64,
    /// Whether those are the sizes of this kernel; otherwise they are those of Linux 6.18.
    pub socket_bytes_read: bool,
    /// The memory that it could take at the first reading; `None` if that could not be read.
    pub memory: Option<MemoryLeft>,
    /// What was read, in the order of time.
    pub readings: Vec<WatchedReading>,
    /// How it ended, if it did.
    pub ended: Option<WatchedEnd>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// Memory that was left at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLeft {
    /// Bytes.
    pub available_bytes: u64,
    /// The directory of the cgroup that leaves the least; `None` if that is the machine.
    pub cgroup: Option<String>,
}

/// How a system under test ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedEnd {
    /// When that was noticed, since the run began.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// What became of it: `ended with exit code 1`.
    pub how: String,
}

/// The system under test at an instant. Sums over its processes are sums at that instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchedReading {
    /// When, since the run began; 0 just before it.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// Its processes.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Their resident memory. Pages that several of them share count several times.
    pub rss_bytes: u64,
    /// The part of it that belongs to no file: heaps and stacks.
    pub anon_bytes: u64,
    /// TCP connections in the state ESTABLISHED that it has accepted or opened, and those that its Unix sockets accepted; `None` if
    /// they could not be read.
    pub connections: Option<u64>,
    /// Kernel memory of these, and of its listeners: objects and buffers; `None` if they could not be read.
    pub kernel_bytes: Option<u64>,
    /// Open descriptors of all processes.
    pub descriptors: u64,
    /// Those of the process that is nearest to its limit.
    pub fullest: Option<ServerFiles>,
    /// CPU time in user mode since it is watched.
    #[serde(rename = "cpu_user_ns", with = "nanos")]
    pub cpu_user: Duration,
    /// CPU time in the kernel since it is watched.
    #[serde(rename = "cpu_system_ns", with = "nanos")]
    pub cpu_system: Duration,
    /// Its listeners: TCP and Unix sockets.
    pub listeners: u64,
    /// Connections that wait in their accept queues.
    pub waiting: u64,
    /// How many these queues have room for.
    pub queue_limit: u64,
    /// Readings so far, this one included, in which one of these queues was full.
    pub queue_full: u64,
    /// Packets that its listeners have dropped since they are watched, for whatever reason: handshakes that an accept queue had no
    /// room for, and also packets that came twice.
    pub dropped: u64,
    /// Overflows of accept queues since it is watched, of all listeners in its network namespace.
    pub overflows: u64,
    /// The share of the machine's CPU time since the reading before that went to soft interrupts, 0 to 1.
    pub softirq: f64,
}

/// How a list of readings is kept short: see [`Watched::add`].
#[derive(Debug, Default)]
pub struct Thinning {
    /// How often it was halved.
    halved: u32,
    /// Readings so far.
    seen: u64,
}

impl Watched {
    /// Adds a reading, if it is to be kept. Returns whether it is.
    pub fn add(&mut self, reading: WatchedReading, thinning: &mut Thinning) -> bool {
        let each = 1_u64 << thinning.halved.min(63);
        let due = thinning.seen.is_multiple_of(each);
        thinning.seen += 1;
        if !due {
            return false;
        }
        self.readings.push(reading);
        if self.readings.len() >= MAX_READINGS {
            let mut place = 0;
            self.readings.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            thinning.halved += 1;
        }
        true
    }
}

/// A value of a reading under a name, for reports that show it over time.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Its name, without a unit.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// What it is in.
    pub unit: GaugeUnit,
    /// Whether it counts what happened since the system is watched, and never falls.
    pub counts: bool,
    /// The value; `None` if it could not be read.
    pub of: fn(&WatchedReading) -> Option<f64>,
}

/// The unit of a [`Gauge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeUnit {
    /// A number of things.
    None,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Gauge {
    /// Its name with its unit: `rss_bytes`.
    pub fn column(&self) -> String {
        let unit = match self.unit {
            GaugeUnit::None => "",
            GaugeUnit::Bytes => "_bytes",
            GaugeUnit::Seconds => "_s",
        };
        format!("{}{unit}", self.name)
    }
}

macro_rules! gauges {
    ($($name:literal $unit:ident $counts:literal $of:expr, $help:literal;)*) => {
        /// All gauges, in the order of their columns.
        pub const GAUGES: [Gauge; [$($name),*].len()] = [$(Gauge {
            name: $name,
            help: $help,
            unit: GaugeUnit::$unit,
            counts: $counts,
            of: $of,
        }),*];
    };
}

gauges! {
    "connections" None false |r| r.connections.map(|n| n as f64), "Established connections of the system under test: of TCP, and those that its Unix sockets accepted.";
    "rss" Bytes false |r| Some(r.rss_bytes as f64), "Resident memory of its processes.";
    "anon" Bytes false |r| Some(r.anon_bytes as f64), "The part of the resident memory that belongs to no file.";
    "kernel" Bytes false |r| r.kernel_bytes.map(|n| n as f64), "Kernel memory of its TCP sockets, and of Unix sockets on which it accepts connections.";
    "descriptors" None false |r| Some(r.descriptors as f64), "Open descriptors of its processes.";
    "descriptors_fullest" None false |r| r.fullest.map(|f| f.open as f64), "Open descriptors of the process that is nearest to its limit.";
    "processes" None false |r| Some(r.processes as f64), "Its processes.";
    "threads" None false |r| Some(r.threads as f64), "Threads of its processes.";
    "cpu_user" Seconds true |r| Some(r.cpu_user.as_secs_f64()), "CPU time of its processes in user mode since it is watched.";
    "cpu_system" Seconds true |r| Some(r.cpu_system.as_secs_f64()), "CPU time of its processes in the kernel since it is watched.";
    "listeners" None false |r| Some(r.listeners as f64), "Its listeners: TCP and Unix sockets.";
    "queue_waiting" None false |r| Some(r.waiting as f64), "Connections that wait in the accept queues of its listeners.";
    "queue_limit" None false |r| Some(r.queue_limit as f64), "Connections that these accept queues have room for.";
    "queue_full" None true |r| Some(r.queue_full as f64), "Readings in which an accept queue was full.";
    "dropped" None true |r| Some(r.dropped as f64), "Packets that its listeners dropped, for whatever reason.";
    "overflows" None true |r| Some(r.overflows as f64), "Overflows of accept queues in its network namespace.";
    "softirq_share" None false |r| Some(r.softirq), "Share of the machine's CPU time in soft interrupts, 0 to 1.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn readings_are_few_in_order_and_from_all_of_the_time(n in 1_u64..5_000) {
            let (mut watched, mut thinning) = (Watched::default(), Thinning::default());
            for second in 0..n {
                let at = Duration::from_secs(second);
                watched.add(WatchedReading { at, ..WatchedReading::default() }, &mut thinning);
            }
            let kept = &watched.readings;
            prop_assert!(kept.len() < MAX_READINGS && kept.len() as u64 >= n.min(MAX_READINGS as u64 / 2));
            prop_assert_eq!(kept[0].at, Duration::ZERO);
            // All are equally far apart, and none is missing at the end.
            let apart: BTreeSet<_> = kept.windows(2).map(|two| two[1].at - two[0].at).collect();
            prop_assert!(apart.len() <= 1, "{:?}", apart);
            let step = apart.first().map_or(1, Duration::as_secs);
            prop_assert!(kept[kept.len() - 1].at.as_secs() + step > n - 1);
        }
    }

    #[test]
    fn columns_have_names_of_their_own_and_say_what_they_are() {
        let names: BTreeSet<String> = GAUGES.iter().map(Gauge::column).collect();
        assert_eq!(names.len(), GAUGES.len());
        assert!(GAUGES.iter().all(|gauge| gauge.help.ends_with('.')));
        let reading = WatchedReading {
            rss_bytes: 7,
            ..WatchedReading::default()
        };
        let rss = GAUGES.iter().find(|gauge| gauge.column() == "rss_bytes");
        assert_eq!((rss.unwrap().of)(&reading), Some(7.0));
    }
}
