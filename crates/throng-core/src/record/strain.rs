//! How much of what its cores could give a source used.

use super::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A worker that ran or waited to run for this share of a span had no time to spare.
const FULL: f64 = 0.95;
/// A worker that runs less than this, and mostly until it has nothing to do, does not lack a core: it wakes often, and has
/// to wait each time. One with much to do runs until its core is taken from it.
const HUNGRY: f64 = 0.15;
/// The share of a span in which a quota stopped the process, from which on that is what matters.
const HELD_BACK: f64 = 0.3;
/// [`FULL`] then: the kernel counts a wait when it is over, and one for a quota may take a tenth of a second.
const FULL_BUT_ONE_WAIT: f64 = 0.85;
/// The share of a machine's CPU time that a hypervisor may give to others without being worth a thought.
const STOLEN: f64 = 0.05;

/// The CPU time of a worker's thread in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerTime {
    /// Time on a core.
    pub ran: Duration,
    /// Time in which it was ready to run, and something else had the core, or a quota kept it from running.
    pub waited: Duration,
    /// How often it was given a core.
    pub times: u64,
    /// How often it gave one up, since it had nothing to do.
    pub slept: u64,
}

/// What was read about a span of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its length.
    pub length: Duration,
    /// The threads of workers, in the order of the workers.
    pub workers: Vec<WorkerTime>,
    /// How long CPU quotas of the process's cgroups stopped it.
    pub throttled: Duration,
    /// How long a hypervisor kept each of the machine's cores from running, on average.
    pub stolen: Duration,
}

/// How much of what its cores could give the workers of a source used in a phase of its run. Times other than `observed`
/// are those of spans in which a worker was *full*: it ran, or waited to run, for nearly all of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strain {
    /// How long the phase was watched.
    #[serde(rename = "observed_ns", with = "nanos")]
    pub observed: Duration,
    /// How long a worker was full.
    #[serde(rename = "full_ns", with = "nanos")]
    pub full: Duration,
    /// The index of the fullest worker, when one was last full.
    pub worker: u32,
    /// The most workers that were full at once.
    pub together: u32,
    /// How long the fullest worker ran.
    #[serde(rename = "ran_ns", with = "nanos")]
    pub ran: Duration,
    /// How long it waited to run.
    #[serde(rename = "waited_ns", with = "nanos")]
    pub waited: Duration,
    /// CPU time of all workers together.
    #[serde(rename = "all_ran_ns", with = "nanos")]
    pub all_ran: Duration,
    /// How long CPU quotas stopped the process.
    #[serde(rename = "throttled_ns", with = "nanos")]
    pub throttled: Duration,
    /// How long a hypervisor kept each core from running, on average.
    #[serde(rename = "stolen_ns", with = "nanos")]
    pub stolen: Duration,
}

impl Strain {
    /// Adds a span of the phase.
    pub fn add(&mut self, span: &Span) {
        self.observed += span.length;
        let length = span.length.as_secs_f64();
        if length <= 0.0 {
            return;
        }
        let share = |d: Duration| d.as_secs_f64() / length;
        let throttled = span.throttled.min(span.length);
        let stolen = Some(span.stolen).filter(|s| share(*s) >= STOLEN);
        let stolen = stolen.unwrap_or_default();
        let busy = |w: &WorkerTime| w.ran + w.waited + stolen;
        let is_full = |w: &&WorkerTime| {
            let to_its_end = w.slept * 2 < w.times;
            match share(throttled) >= HELD_BACK {
                true => share(busy(w)) >= FULL_BUT_ONE_WAIT,
                false => (share(w.ran) >= HUNGRY || to_its_end) && share(busy(w)) >= FULL,
            }
        };
        let all = span.workers.iter().enumerate();
        let Some((worker, most)) = all
            .filter(|(_, w)| is_full(w))
            .max_by_key(|(_, w)| (busy(w), w.ran))
        else {
            return;
        };
        self.full += span.length;
        self.worker = worker as u32;
        let together = span.workers.iter().filter(is_full).count() as u32;
        self.together = self.together.max(together);
        self.ran += most.ran.min(span.length);
        self.waited += most.waited.min(span.length.saturating_sub(most.ran));
        self.all_ran += span.workers.iter().map(|w| w.ran).sum::<Duration>();
        self.throttled += throttled;
        self.stolen += stolen;
    }

    /// The share of the phase in which a worker was full, 0 to 1.
    pub fn share(&self) -> f64 {
        match self.observed.is_zero() {
            true => 0.0,
            false => self.full.as_secs_f64() / self.observed.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A second in which workers ran and waited this long, in milliseconds. They ran a tenth of a millisecond at a time,
    /// until they had nothing to do.
    fn span(workers: &[(u64, u64)]) -> Span {
        let time = |(ran, waited): &(u64, u64)| WorkerTime {
            ran: ms(*ran),
            waited: ms(*waited),
            times: ran * 10,
            slept: ran * 10,
        };
        Span {
            length: ms(1000),
            workers: workers.iter().map(time).collect(),
            ..Span::default()
        }
    }

    #[test]
    fn a_worker_is_full_if_it_had_no_time_to_spare() {
        let quota = |workers| Span {
            throttled: ms(600),
            ..span(workers)
        };
        let stolen = |n, workers| Span {
            stolen: ms(n),
            ..span(workers)
        };
        let mut crowd = span(&[(60, 930)]);
        crowd.workers[0].slept = 200;
        for (what, span, full) in [
            ("all of a core", span(&[(990, 0)]), true),
            ("half of a core", span(&[(500, 20)]), false),
            ("a core shared with a neighbour", span(&[(480, 500)]), true),
            (
                "it wakes often, and waits each time",
                span(&[(30, 960)]),
                false,
            ),
            ("a core shared with a crowd", crowd, true),
            ("a quota of a tenth", quota(&[(100, 800)]), true),
            ("a quota that did not matter", quota(&[(100, 300)]), false),
            ("the second one", span(&[(100, 0), (970, 10)]), true),
            ("nobody", span(&[]), false),
            (
                "a hypervisor that gives half",
                stolen(480, &[(500, 0)]),
                true,
            ),
            (
                "and one that gives nearly all",
                stolen(20, &[(940, 0)]),
                false,
            ),
        ] {
            let mut strain = Strain::default();
            strain.add(&span);
            assert_eq!(strain.full > Duration::ZERO, full, "{what}");
            assert_eq!(strain.observed, ms(1000));
        }
    }

    #[test]
    fn only_full_spans_count_and_the_fullest_worker_of_each() {
        let mut strain = Strain::default();
        for workers in [
            [(990, 0), (960, 0)],
            [(100, 0), (0, 0)],
            [(100, 0), (700, 280)],
        ] {
            strain.add(&span(&workers));
        }
        assert_eq!((strain.full, strain.observed), (ms(2000), ms(3000)));
        assert_eq!((strain.worker, strain.together), (1, 2));
        assert_eq!((strain.ran, strain.waited), (ms(1690), ms(280)));
        assert_eq!(strain.all_ran, ms(990 + 960 + 100 + 700));
        assert!((strain.share() - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(Strain::default().share(), 0.0);
    }
}
