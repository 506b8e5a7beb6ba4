//! What the readings of a watched system say: the numbers that they support, and what is missing where they do not.

use super::line::Line;
use crate::human::{bytes, count};
use crate::record::{Watched, WatchedReading};
use serde::{Deserialize, Serialize};

/// With fewer readings, no line is fitted.
pub const LEAST_READINGS: usize = 4;
/// The number of connections has to change by this much: memory comes in pages, and moves by itself.
pub const LEAST_CONNECTIONS: u64 = 100;
/// The largest margin of a slope, as a share of it.
const LARGEST_MARGIN: f64 = 0.25;
/// Readings after the last one with this share of the most connections are of closing, when memory may stay behind.
const STILL_HELD: f64 = 0.95;
/// Fewer descriptors per connection are no connections'.
const LEAST_DESCRIPTORS: f64 = 0.01;

/// What a watched system took, and what follows for more connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchedSummary {
    /// What it is: `process 4711 (nginx)`.
    pub name: String,
    /// The agent that watched it; `None` without one.
    pub agent: Option<String>,
    /// What it says in a sentence.
    pub text: String,
    /// How many readings were kept.
    pub readings: u64,
    /// When the last of them was taken, in seconds since the run began.
    pub seconds: f64,
    /// The names of its processes at the latest reading.
    pub names: Vec<String>,
    /// Its processes, at most.
    pub processes: u64,
    /// Their threads, at most.
    pub threads: u64,
    /// Established connections at the first reading.
    pub connections_before: Option<u64>,
    /// The most at a reading.
    pub connections_peak: Option<u64>,
    /// Resident memory at the first reading: a sum over processes, in which shared pages count several times.
    pub rss_bytes_before: u64,
    /// The most at a reading.
    pub rss_bytes_peak: u64,
    /// The part of it that belongs to no file, at the first reading.
    pub anon_bytes_before: u64,
    /// The most at a reading.
    pub anon_bytes_peak: u64,
    /// Kernel memory of its sockets at the first reading: TCP, and Unix sockets on which it accepts connections.
    pub kernel_bytes_before: Option<u64>,
    /// The most at a reading.
    pub kernel_bytes_peak: Option<u64>,
    /// Bytes of the kernel's objects for a socket, with which `kernel_bytes` is reckoned.
    pub socket_bytes: u64,
    /// Whether that is this kernel's size, and not that of Linux 6.18.
    pub socket_bytes_read: bool,
    /// Resident and kernel memory per connection: the slope of the line through the readings. `None` if they do not
    /// support one; `why_not` says why.
    pub bytes_per_connection: Option<f64>,
    /// How far off that may be: half of its 95 % confidence interval.
    pub margin_bytes: Option<f64>,
    /// The resident part of it.
    pub rss_bytes_per_connection: Option<f64>,
    /// The kernel's part of it.
    pub kernel_bytes_per_connection: Option<f64>,
    /// Why there is no memory per connection.
    pub why_not: Option<String>,
    /// Memory that it could take at the first reading.
    pub memory_available_bytes: Option<u64>,
    /// The cgroup that bounds it; `None` if that is the machine.
    pub memory_cgroup: Option<String>,
    /// An estimate of how many connections take all of that.
    pub memory_binds_at: Option<u64>,
    /// Open descriptors of all processes, at most.
    pub descriptors: u64,
    /// Those of the process that came nearest to its limit.
    pub descriptors_fullest: Option<u64>,
    /// The limit of that process (RLIMIT_NOFILE, soft); `None` also if it has none.
    pub descriptor_limit: Option<u64>,
    /// Descriptors per connection in that process.
    pub descriptors_per_connection: Option<f64>,
    /// An estimate of how many connections take all of its descriptors.
    pub descriptors_bind_at: Option<u64>,
    /// CPU time in user mode, seconds.
    pub cpu_user_s: f64,
    /// CPU time in the kernel, seconds.
    pub cpu_system_s: f64,
    /// The most of its listeners: TCP and Unix sockets.
    pub listeners: u64,
    /// The most connections that waited in their accept queues.
    pub queue_waiting_peak: u64,
    /// How many these queues had room for, at most.
    pub queue_limit: u64,
    /// Readings in which one of these queues was full.
    pub queue_full: u64,
    /// Packets that its listeners dropped, for whatever reason.
    pub dropped: u64,
    /// Overflows of accept queues in its network namespace.
    pub overflows: u64,
    /// The share of the machine's CPU time in soft interrupts, 0 to 1: the mean over the readings.
    pub softirq_mean: f64,
    /// The most between two readings.
    pub softirq_peak: f64,
    /// How it ended, if it did.
    pub ended: Option<String>,
    /// When that was noticed, in seconds since the run began.
    pub ended_at_s: Option<f64>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// What a slope is worth.
struct Fitted {
    rss: f64,
    kernel: f64,
    margin: f64,
}

/// What `watched` says, without the sentence.
pub(super) fn summed(watched: &Watched, agent: Option<&str>) -> WatchedSummary {
    let all = &watched.readings;
    let Some((first, last)) = all.first().zip(all.last()) else {
        return WatchedSummary {
            name: watched.name.clone(),
            agent: agent.map(str::to_owned),
            why_not: Some("nothing was read".into()),
            unread: watched.unread.clone(),
            ..WatchedSummary::default()
        };
    };
    let most = |of: fn(&WatchedReading) -> u64| all.iter().map(of).max().unwrap_or(0);
    let fullest = all.iter().filter_map(|r| r.fullest);
    let fullest = fullest.reduce(|most, other| match other.is_fuller(&most) {
        true => other,
        false => most,
    });
    let held = held(all);
    let (fitted, why_not) = match fitted(held) {
        Ok(fitted) => (Some(fitted), None),
        Err(why) => (None, Some(why)),
    };
    let each = fitted.as_ref().map(|f| f.rss + f.kernel);
    let memory = watched.memory.as_ref();
    let descriptors = descriptors(held);
    // The span before the first reading has no length.
    let shares: Vec<f64> = all.iter().skip(1).map(|r| r.softirq).collect();
    WatchedSummary {
        name: watched.name.clone(),
        agent: agent.map(str::to_owned),
        text: String::new(),
        readings: all.len() as u64,
        seconds: last.at.as_secs_f64(),
        names: watched.processes.clone(),
        processes: most(|r| r.processes),
        threads: most(|r| r.threads),
        connections_before: first.connections,
        connections_peak: all.iter().filter_map(|r| r.connections).max(),
        rss_bytes_before: first.rss_bytes,
        rss_bytes_peak: most(|r| r.rss_bytes),
        anon_bytes_before: first.anon_bytes,
        anon_bytes_peak: most(|r| r.anon_bytes),
        kernel_bytes_before: first.kernel_bytes,
        kernel_bytes_peak: all.iter().filter_map(|r| r.kernel_bytes).max(),
        socket_bytes: watched.socket_bytes,
        socket_bytes_read: watched.socket_bytes_read,
        bytes_per_connection: each,
        margin_bytes: fitted.as_ref().map(|f| f.margin),
        rss_bytes_per_connection: fitted.as_ref().map(|f| f.rss),
        kernel_bytes_per_connection: fitted.as_ref().map(|f| f.kernel),
        why_not,
        memory_available_bytes: memory.map(|m| m.available_bytes),
        memory_cgroup: memory.and_then(|m| m.cgroup.clone()),
        memory_binds_at: memory
            .zip(each)
            .zip(first.connections)
            .map(|((memory, each), before)| before + (memory.available_bytes as f64 / each) as u64),
        descriptors: most(|r| r.descriptors),
        descriptors_fullest: fullest.map(|f| f.open),
        descriptor_limit: fullest.map(|f| f.limit).filter(|n| *n < u64::MAX),
        descriptors_per_connection: descriptors.as_ref().map(|d| d.each),
        descriptors_bind_at: descriptors.and_then(|d| d.bind_at),
        cpu_user_s: last.cpu_user.as_secs_f64(),
        cpu_system_s: last.cpu_system.as_secs_f64(),
        listeners: most(|r| r.listeners),
        queue_waiting_peak: most(|r| r.waiting),
        queue_limit: most(|r| r.queue_limit),
        queue_full: most(|r| r.queue_full),
        dropped: most(|r| r.dropped),
        overflows: most(|r| r.overflows),
        softirq_mean: match shares.len() {
            0 => 0.0,
            n => shares.iter().sum::<f64>() / n as f64,
        },
        softirq_peak: shares.iter().copied().fold(0.0, f64::max),
        ended: watched.ended.as_ref().map(|end| end.how.clone()),
        ended_at_s: watched.ended.as_ref().map(|end| end.at.as_secs_f64()),
        unread: watched.unread.clone(),
    }
}

impl WatchedSummary {
    /// The limit that binds at the fewest connections.
    pub fn binds_first(&self) -> Option<Binds> {
        let memory = self.memory_binds_at.map(Binds::Memory);
        let descriptors = self.descriptors_bind_at.map(Binds::Descriptors);
        let both = memory.into_iter().chain(descriptors);
        both.min_by_key(|binds| binds.at())
    }
}

/// A limit, and an estimate of how many connections it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// The memory of the machine or of a cgroup.
    Memory(u64),
    /// A process's limit on descriptors.
    Descriptors(u64),
}

impl Binds {
    /// How many.
    pub fn at(self) -> u64 {
        match self {
            Binds::Memory(n) | Binds::Descriptors(n) => n,
        }
    }
}

/// The readings up to the last one at which nearly the most connections were held.
fn held(all: &[WatchedReading]) -> &[WatchedReading] {
    let most = all.iter().filter_map(|r| r.connections).max().unwrap_or(0);
    let still = |r: &WatchedReading| {
        let open = r.connections.unwrap_or(0);
        open > 0 && open as f64 >= most as f64 * STILL_HELD
    };
    let last = all.iter().rposition(still);
    last.map_or(all, |last| &all[..=last])
}

/// The memory per connection that `readings` support, or what they lack.
fn fitted(readings: &[WatchedReading]) -> Result<Fitted, String> {
    let points: Vec<(f64, f64, f64)> = readings
        .iter()
        .filter_map(|r| {
            let connections = r.connections? as f64;
            Some((connections, r.rss_bytes as f64, r.kernel_bytes? as f64))
        })
        .collect();
    if points.is_empty() {
        return Err("its connections could not be read".into());
    }
    if points.len() < LEAST_READINGS {
        return Err(format!(
            "{} while connections were opened and held, and at least {LEAST_READINGS} are needed: hold them longer",
            match points.len() {
                1 => "there is 1 reading".to_owned(),
                n => format!("there are {n} readings"),
            }
        ));
    }
    let open = || points.iter().map(|(x, ..)| *x);
    let (least, most) = (
        open().fold(f64::INFINITY, f64::min),
        open().fold(0.0, f64::max),
    );
    if most - least < LEAST_CONNECTIONS as f64 {
        return Err(format!(
            "it had {} to {} connections, and they have to change by {LEAST_CONNECTIONS} at least",
            count(least as u64),
            count(most as u64)
        ));
    }
    let through = |of: fn(&(f64, f64, f64)) -> f64| {
        let points: Vec<_> = points.iter().map(|point| (point.0, of(point))).collect();
        Line::through(&points)
    };
    let lines = (through(|p| p.1), through(|p| p.2), through(|p| p.1 + p.2));
    let (Some(rss), Some(kernel), Some(both)) = lines else {
        return Err("the readings are all of the same number of connections".into());
    };
    if both.slope <= 0.0 {
        return Err("its memory did not grow with its connections".into());
    }
    if both.margin > both.slope * LARGEST_MARGIN {
        return Err(format!(
            "its memory does not follow its connections closely: {} per connection, give or take {}; more connections or a longer hold say more",
            bytes(both.slope as u64),
            bytes(both.margin as u64)
        ));
    }
    Ok(Fitted {
        rss: rss.slope,
        kernel: kernel.slope,
        margin: both.margin,
    })
}

/// The descriptors of the process that is nearest to its limit.
struct Descriptors {
    each: f64,
    bind_at: Option<u64>,
}

fn descriptors(readings: &[WatchedReading]) -> Option<Descriptors> {
    let known = readings
        .iter()
        .filter_map(|r| Some((r.connections? as f64, r.fullest?)));
    let known: Vec<_> = known.collect();
    let points: Vec<(f64, f64)> = known.iter().map(|(x, f)| (*x, f.open as f64)).collect();
    let open = || points.iter().map(|(x, _)| *x);
    let change = open().fold(0.0, f64::max) - open().fold(f64::INFINITY, f64::min);
    if points.len() < LEAST_READINGS || change < LEAST_CONNECTIONS as f64 {
        return None;
    }
    let line = Line::through(&points)?;
    if line.slope < LEAST_DESCRIPTORS || line.margin > line.slope * LARGEST_MARGIN {
        return None;
    }
    let (connections, last) = known.last()?;
    let room = last.limit.saturating_sub(last.open) as f64;
    Some(Descriptors {
        each: line.slope,
        bind_at: (last.limit < u64::MAX).then(|| (connections + room / line.slope) as u64),
    })
}
