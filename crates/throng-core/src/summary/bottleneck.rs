//! Whether this client, and not what it measured, bounded a run.

use super::per_second::per_s;
use super::totals::Totals;
use super::{MessageRate, SetUp};
use crate::human;
use crate::record::{Part, RateOf, Strain};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What bounds a source during the least part of a phase that says something about all of it.
const LEAST: f64 = 0.05;
/// What goes as fast as it can was bounded by the client if that was so for this part of the time.
const MOSTLY: f64 = 0.5;
/// The part of what was missed that must be explained.
const NEARLY: f64 = 0.8;
/// Messages later than this are late.
const LATE_US: f64 = 10_000.0;
/// The shortest time that shows what bounds a phase without a rate.
const SHORTEST: Duration = Duration::from_secs(1);
/// The share of what was asked for that is as good as all.
const AS_ASKED: f64 = 0.95;
/// A worker that waited less than this was bounded by its own work.
const WAITED: f64 = 0.2;
/// The part of its waits from which on a quota is their cause. While it stops the process, others get its cores, too.
const BY_QUOTA: f64 = 0.25;
/// The workers together used all cores, so they waited for each other.
const ALL_CORES: f64 = 0.85;
/// A process that did not run for less than this was hardly stopped on purpose.
const PAUSED: Duration = Duration::from_millis(500);

/// The client was the bottleneck: what a run measured in a phase is the client's limit, not that of its peer. Shares are
/// of the time in which one of its workers had no time to spare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// What it bounded.
    pub bounded: Bounded,
    /// What the worker lacked time for.
    pub cause: BusyWith,
    /// How long a worker had no time to spare, seconds.
    pub full_s: f64,
    /// Of a phase of this length, seconds.
    pub of_s: f64,
    /// The index of the fullest worker.
    pub worker: u32,
    /// The most workers that had no time to spare at once.
    pub together: u32,
    /// Workers.
    pub workers: u32,
    /// Cores that the process could use.
    pub cores: u32,
    /// The share of the time for which the worker ran, 0 to 1.
    pub ran: f64,
    /// The share for which it waited to run.
    pub waited: f64,
    /// The share for which a CPU quota stopped the process.
    pub throttled: f64,
    /// The quota, in cores; `None` if there is none.
    pub quota_cores: Option<f64>,
    /// The share of the machine's CPU time that a hypervisor gave to others.
    pub stolen: f64,
    /// Both ends of the connections are in the same process.
    pub both_ends: bool,
}

/// What a client bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounded {
    /// The rate at which connections were opened.
    Opening,
    /// The message rate that was asked for.
    Rate,
    /// The bandwidth that was asked for.
    Bandwidth,
    /// Messages were sent at the rate that was asked for, but late.
    Lateness,
    /// A closed loop.
    ClosedLoop,
    /// Messages that are sent as fast as possible.
    Messages,
    /// The rates that a search tried.
    Search,
}

/// What kept a worker busy, or from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusyWith {
    /// Its own work.
    OwnWork,
    /// Other processes used its core.
    OtherProcesses,
    /// A CPU quota of the process's cgroup stopped it.
    CpuQuota,
    /// A hypervisor gave its core to other machines.
    Hypervisor,
}

/// The bottleneck that a client was while connections were opened, and in the hold: for the source that is worst off.
/// `missed` is whether messages were not sent at the rate that was asked for.
pub(super) fn of(
    t: &Totals,
    set_up: Option<&SetUp>,
    rate: Option<&MessageRate>,
    missed: bool,
) -> Vec<Bottleneck> {
    let opening = worst(t, |p| p.ending.as_ref().map(|e| e.opening_strain));
    let holding = worst(t, |p| p.ending.as_ref().map(|e| e.hold_strain));
    let opening = opening.filter(|(_, s)| bounds_opening(t, s, set_up));
    let opening = opening.map(|(part, s)| told(part, &s, Bounded::Opening));
    let holding = holding.and_then(|(part, s)| {
        let bounded = bounds_hold(t, part, &s, rate, missed)?;
        Some(told(part, &s, bounded))
    });
    opening.into_iter().chain(holding).collect()
}

/// The source whose process was stopped longest, and for how many seconds, if that was long.
pub(super) fn paused<'r>(t: &Totals<'r>) -> Option<(&'r Part, f64)> {
    let all = t.parts.iter().copied();
    let all = all.filter_map(|part| Some((part, part.ending.as_ref()?.paused)));
    let (part, longest) = all.max_by_key(|(_, paused)| *paused)?;
    (longest >= PAUSED).then_some((part, longest.as_secs_f64()))
}

/// The source that was full for the greatest part of a phase.
fn worst<'r>(t: &Totals<'r>, of: impl Fn(&Part) -> Option<Strain>) -> Option<(&'r Part, Strain)> {
    let all = t.parts.iter().filter_map(|part| Some((*part, of(part)?)));
    let full = all.filter(|(_, strain)| !strain.full.is_zero());
    full.max_by(|a, b| a.1.share().total_cmp(&b.1.share()))
}

/// Whether the client bounded how fast connections were opened.
fn bounds_opening(t: &Totals, strain: &Strain, set_up: Option<&SetUp>) -> bool {
    let Some(set_up) = set_up else { return false };
    let asked = set_up.asked_per_s;
    // With both ends in one process, this is what it is expected to be.
    let free = asked.is_none() && !t.asked.own_server && strain.full >= SHORTEST;
    let missed = asked.is_some_and(|asked| set_up.per_s < asked * AS_ASKED);
    (free || missed) && strain.share() >= MOSTLY
}

/// What the client, for which `part` stands, bounded during the hold, if anything.
fn bounds_hold(
    t: &Totals,
    part: &Part,
    strain: &Strain,
    rate: Option<&MessageRate>,
    missed: bool,
) -> Option<Bounded> {
    let ending = part.ending.as_ref()?;
    // What was due meanwhile is sent as fast as possible afterwards.
    if strain.full <= ending.paused {
        return None;
    }
    if ending.search.is_some() {
        return (strain.full >= SHORTEST).then_some(Bounded::Search);
    }
    let rate = rate?;
    // While no worker is full, the client sends all that is due: it can't have missed more than in the rest of the time.
    // Spans are not exactly those in which it was full.
    let explains = |short: f64| strain.share() >= (short * NEARLY).max(LEAST);
    if let Some(asked) = rate.asked_per_s {
        let short = 1.0 - rate.reached_per_s / asked;
        let late = rate.lateness.is_some_and(|l| l.p99_us >= LATE_US);
        return match missed && short > 0.0 {
            true => explains(short).then_some(Bounded::Rate),
            false => (late && explains(0.0)).then_some(Bounded::Lateness),
        };
    }
    if let Some(asked) = t.asked.sent_per_s {
        let hold = t.hold(|e| e.opened);
        let sent = per_s(hold.opened.bytes_sent as f64, hold.seconds);
        let short = 1.0 - sent / asked;
        return (sent < asked * AS_ASKED && explains(short)).then_some(Bounded::Bandwidth);
    }
    let bounded = match t.asked.messages? {
        RateOf::Replies => Bounded::ClosedLoop,
        RateOf::Sent => Bounded::Messages,
    };
    (strain.share() >= MOSTLY).then_some(bounded)
}

fn told(part: &Part, strain: &Strain, bounded: Bounded) -> Bottleneck {
    let share = |d: Duration| d.as_secs_f64() / strain.full.as_secs_f64();
    let (waited, throttled, stolen) = (
        share(strain.waited),
        share(strain.throttled),
        share(strain.stolen),
    );
    let about = &part.about;
    let crowded = share(strain.all_ran) >= ALL_CORES * f64::from(about.cores);
    let cause = if stolen >= WAITED.max(waited) {
        BusyWith::Hypervisor
    } else if waited < WAITED {
        BusyWith::OwnWork
    } else if throttled >= waited * BY_QUOTA {
        BusyWith::CpuQuota
    } else if crowded {
        BusyWith::OwnWork
    } else {
        BusyWith::OtherProcesses
    };
    Bottleneck {
        bounded,
        cause,
        full_s: strain.full.as_secs_f64(),
        of_s: strain.observed.as_secs_f64(),
        worker: strain.worker,
        together: strain.together,
        workers: about.workers,
        cores: about.cores,
        ran: share(strain.ran),
        waited,
        throttled,
        quota_cores: part.ending.as_ref().and_then(|e| e.cpu_quota_cores),
        stolen,
        both_ends: about.asked.own_server,
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.both_ends {
            true => {
                "this machine was the bottleneck, with both ends of the connections in this process"
            }
            false => "this client was the bottleneck",
        })?;
        f.write_str(match self.bounded {
            Bounded::Opening => " while connections were opened",
            Bounded::Lateness => ", and messages were sent late",
            Bounded::Search => {
                " at some of the rates that were tried, so the server may do more than was found"
            }
            Bounded::Rate | Bounded::Bandwidth | Bounded::ClosedLoop | Bounded::Messages => "",
        })?;
        let percent = |share: f64| format!("{:.0} %", share.min(1.0) * 100.0);
        let (worker, ran, waited) = (self.worker, percent(self.ran), percent(self.waited));
        let shared = self.workers > self.cores;
        match self.cause {
            BusyWith::OwnWork if shared => write!(
                f,
                ": {} share {}, and worker {worker} could run for {ran} of the time",
                human::things(self.workers.into(), "worker"),
                human::things(self.cores.into(), "core")
            ),
            BusyWith::OwnWork if self.together > 1 => write!(
                f,
                ": {} of {} used all of their cores, worker {worker} {ran}",
                self.together,
                human::things(self.workers.into(), "worker")
            ),
            BusyWith::OwnWork => write!(f, ": worker {worker} used {ran} of its core"),
            BusyWith::OtherProcesses => write!(
                f,
                ": worker {worker} could run for {ran} of the time, and waited for a core for {waited}, which other processes used"
            ),
            BusyWith::CpuQuota => {
                write!(f, ": a CPU quota")?;
                if let Some(cores) = self.quota_cores {
                    write!(f, " of {cores} cores")?;
                }
                write!(f, " stopped it for {} of the time", percent(self.throttled))
            }
            BusyWith::Hypervisor => write!(
                f,
                ": the hypervisor gave {} of this machine's CPU time to others (steal)",
                percent(self.stolen)
            ),
        }?;
        if self.full_s < 0.9 * self.of_s {
            let of = human::seconds(self.of_s);
            write!(f, " (for {} of {of})", human::seconds(self.full_s))?;
        }
        let mut remedies = match self.cause {
            BusyWith::OwnWork if self.workers != self.cores => {
                vec![format!("use -w {}", self.cores), "use more hosts".into()]
            }
            BusyWith::OwnWork => vec!["use more hosts".into()],
            BusyWith::OtherProcesses => vec![
                "stop them".into(),
                "use a host where nothing else runs".into(),
            ],
            BusyWith::CpuQuota => vec!["raise the quota of its cgroup".into()],
            BusyWith::Hypervisor => vec!["use a machine with cores of its own".into()],
        };
        if let Bounded::Rate | Bounded::Bandwidth | Bounded::Lateness = self.bounded {
            remedies.push("ask for a lower rate".into());
        }
        let last = remedies.pop().unwrap_or_default();
        match remedies.is_empty() {
            true => write!(f, "; {last}"),
            false => write!(f, "; {} or {last}", remedies.join(", ")),
        }
    }
}
