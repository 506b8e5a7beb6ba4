//! Watches how much of what its cores can give the run's workers use, and what keeps cores from them.

use std::sync::Arc;
use std::time::Duration;
use throng_core::record::{Span, Strain, WorkerTime};
use throng_engine::Outlet;
use throng_host::scheduling::{CpuQuota, MachineTime, ThreadTime};

/// The length of a span.
const EVERY: Duration = Duration::from_secs(1);
/// A shorter span says little: the kernel counts a wait for a core when it is over.
const SHORTEST: Duration = Duration::from_millis(100);
/// A sleep that ends this much later than it was to is looked into.
const LATE: Duration = Duration::from_millis(250);

/// See the [module](self). It reads a small file for each worker, and a few others, once per second.
pub(crate) struct StrainWatch {
    workers: Vec<Worker>,
    quota: CpuQuota,
    began: Duration,
    machine: Option<MachineTime>,
    throttled: Duration,
    /// What the thread that conducts the run had been given then.
    own: ThreadTime,
    /// How long the process was stopped so far.
    pub paused: Duration,
    /// The present phase.
    phase: Strain,
}

struct Worker {
    outlet: Arc<Outlet>,
    given: ThreadTime,
}

impl StrainWatch {
    pub fn start() -> StrainWatch {
        let quota = CpuQuota::find();
        StrainWatch {
            workers: Vec::new(),
            began: Duration::ZERO,
            machine: MachineTime::read().ok(),
            throttled: quota.throttled(),
            quota,
            own: ThreadTime::own().unwrap_or_default(),
            paused: Duration::ZERO,
            phase: Strain::default(),
        }
    }

    /// Adds the workers behind `outlets`.
    pub fn follow(&mut self, outlets: &[Arc<Outlet>]) {
        self.workers.extend(outlets.iter().map(|outlet| Worker {
            outlet: Arc::clone(outlet),
            given: ThreadTime::default(),
        }));
    }

    /// The CPU quota, in cores, if there is one.
    pub fn quota_cores(&self) -> Option<f64> {
        self.quota.cores()
    }

    /// When the present span ends.
    pub fn due(&self) -> Duration {
        // With the intervals of the record, so that the thread wakes once for both.
        Duration::from_secs(self.began.as_secs()) + EVERY
    }

    /// Ends the present span if it is over at `at`.
    pub fn look(&mut self, at: Duration) {
        if at >= self.due() {
            self.end_span(at);
        }
    }

    /// Ends the present phase at `at`, and returns what was seen in it.
    pub fn end_phase(&mut self, at: Duration) -> Strain {
        self.end_span(at);
        std::mem::take(&mut self.phase)
    }

    fn end_span(&mut self, at: Duration) {
        let machine = MachineTime::read().ok();
        let stolen = machine.zip(self.machine);
        let stolen = stolen.map_or(0.0, |(now, then)| now.stolen_since(&then));
        let throttled = self.quota.throttled();
        let length = at.saturating_sub(self.began);
        let workers = self.times();
        if length >= SHORTEST {
            self.phase.add(&Span {
                length,
                workers,
                throttled: throttled.saturating_sub(self.throttled),
                stolen: length.mul_f64(stolen),
            });
        }
        (self.began, self.machine, self.throttled) = (at, machine, throttled);
        self.own = ThreadTime::own().unwrap_or_default();
    }

    /// What workers were given since the last call. Two that share a thread have its time once.
    fn times(&mut self) -> Vec<WorkerTime> {
        let mut seen = Vec::new();
        let mut all = Vec::new();
        for worker in &mut self.workers {
            let Some(thread) = worker.outlet.thread().filter(|id| !seen.contains(id)) else {
                continue;
            };
            seen.push(thread);
            let Ok(given) = ThreadTime::read(thread) else {
                continue;
            };
            let since = given.since(&worker.given);
            worker.given = given;
            all.push(WorkerTime {
                ran: since.ran,
                waited: since.waited,
                times: since.times,
                slept: since.slept,
            });
        }
        all
    }

    /// A sleep of the run's own thread that should have taken `planned` took `slept`. Where it did not wait for a core
    /// meanwhile, the whole process was stopped.
    pub fn slept(&mut self, planned: Duration, slept: Duration) {
        let late = slept.saturating_sub(planned);
        if late < LATE {
            return;
        }
        let Ok(own) = ThreadTime::own() else { return };
        let waited = own.since(&self.own).waited;
        self.own = own;
        let stopped = late.saturating_sub(waited);
        if stopped >= LATE {
            self.paused += stopped;
        }
    }
}
