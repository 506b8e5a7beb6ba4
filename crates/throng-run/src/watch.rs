//! What conducting a run needs: its clock, its orders to the workers, its observers, its record, its meter and its
//! memory guard.

use crate::Failure;
use crate::attached::{Audience, Finished, View};
use crate::machine::Machine;
use crate::memory_guard::MemoryGuard;
use crate::meter::Meter;
use crate::stop::{Stop, Wakes};
use crate::strain::StrainWatch;
use crate::watching::Watching;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throng_core::human::count;
use throng_core::observer::{Note, Observer};
use throng_core::plan::Shortfall;
use throng_core::record::{Intervals, Phase, Record, Strain, WatchedReading};
use throng_core::stats::{Measured, Tally};
use throng_engine::{Clock, Control, Order, Outlet};
use throng_host::memory::MemInfo;

/// The interval between looks at a run whose counts decide how it goes on. It bounds how late a phase ends.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// The interval between looks at a run that lasts until a known instant or a stop, which wakes this thread. It is
/// longer, because each look takes CPU time from a worker.
pub(crate) const AT_REST: Duration = Duration::from_millis(500);
/// The shortest sleep.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);

/// See the [module](self).
pub(crate) struct Watch<'a> {
    pub machine: &'a Machine,
    pub clock: Clock,
    pub control: Arc<Control>,
    pub meter: Meter,
    pub guard: MemoryGuard,
    pub strain: StrainWatch,
    pub peak: u64,
    /// Messages per second that are asked for, where that can be changed.
    pub dialled_per_s: Option<f64>,
    /// Reads what the system under test spends.
    pub watching: Option<Watching>,
    /// Its last reading, once it has ended.
    pub last_watched: Option<WatchedReading>,
    audience: Audience<'a>,
    /// Connections asked for, if a number was.
    asked: Option<u64>,
    stop: &'a Stop,
    _wakes: Wakes<'a>,
}

impl<'a> Watch<'a> {
    /// A watch that keeps `reserve` bytes of the memory of `machine` free. Its clock starts now.
    pub fn new<'o: 'a>(
        observers: &'a mut [Box<dyn Observer + 'o>],
        stop: &'a Stop,
        machine: &'a Machine,
        reserve: u64,
        asked: Option<u64>,
    ) -> Watch<'a> {
        Watch {
            machine,
            meter: Meter::start(),
            clock: Clock::start(),
            control: Control::new(),
            guard: MemoryGuard::new(machine.memory.clone(), reserve),
            strain: StrainWatch::start(),
            peak: 0,
            dialled_per_s: None,
            watching: None,
            last_watched: None,
            audience: Audience::new(observers),
            asked,
            _wakes: stop.wakes(),
            stop,
        }
    }

    /// Has the clock, which nobody has read yet, count from `start` on, which may be to come.
    pub fn count_from(&mut self, start: Instant) {
        self.clock = Clock::starting(start);
        self.meter.count_from(start);
    }

    /// Has at most `most` intervals recorded. Called before anything is.
    pub fn record_at_most(&mut self, most: usize) {
        self.audience.record_at_most(most);
    }

    /// When the clock was started, in microseconds since 1970.
    pub fn started_unix_us(&self) -> u64 {
        (self.meter.started_unix_s() * 1e6) as u64
    }

    /// This many connections are asked for from now on.
    pub fn ask_for(&mut self, connections: u64) {
        self.asked = Some(connections);
    }

    /// Whether a stop was requested.
    pub fn stopped(&self) -> bool {
        self.stop.is_requested()
    }

    /// Passes a note to the observers.
    pub fn note(&mut self, note: &Note) {
        self.audience.note(note);
    }

    /// Warns the observers about limits, before anything is opened.
    pub fn warn(&mut self, all: &[Shortfall]) {
        for short in all {
            self.note(&Note::Warning(short.clone()));
        }
    }

    /// Reports if the run must manage with fewer files than the hard limit allows.
    pub fn note_files(&mut self) {
        if let Some(why) = &self.machine.files_stay {
            self.note(&Note::Trouble(format!(
                "can't raise the limit on open files: {why}; the run goes on with {}",
                count(self.machine.host.files.soft)
            )));
        }
    }

    /// Lets the workers that `spawn` starts begin, all at the same time. If one can't be started, those that were end.
    pub fn start_workers<T>(
        &self,
        spawn: impl FnOnce(&Watch) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let started = spawn(self).inspect_err(|_| self.control.give(Order::Close))?;
        self.control.begin();
        Ok(started)
    }

    /// Adds the workers behind `outlets` to those that measurements are collected from.
    pub fn follow(&mut self, outlets: &[Arc<Outlet>]) {
        self.audience.follow(outlets);
        self.strain.follow(outlets);
    }

    /// Keeps measurements for [`take_trial`](Watch::take_trial).
    pub fn keep_trials(&mut self) {
        self.audience.keep_trials();
    }

    /// The measurements since the last call.
    pub fn take_trial(
        &mut self,
        phase: Phase,
        at: Duration,
        opened: Tally,
        accepted: Option<Tally>,
    ) -> Measured {
        let view = self.view(at, phase, None, Some(opened), accepted);
        self.audience.take_trial(&view, &self.control)
    }

    /// All that was measured so far, in a run that opens connections.
    pub fn measured(&mut self, at: Duration, opened: Tally, accepted: Option<Tally>) -> Measured {
        let view = self.view(at, Phase::Opening, None, Some(opened), accepted);
        self.audience.measured(&view, &self.control)
    }

    /// Sleeps until `until`, the end of an interval or a stop, but at most for `most`. Returns the time.
    pub fn tick(&mut self, most: Duration, until: Option<Duration>) -> Duration {
        let next = self
            .guard
            .due()
            .min(self.audience_due())
            .min(self.strain.due())
            .min(until.unwrap_or(Duration::MAX));
        let began = self.clock.elapsed();
        let left = next.saturating_sub(began).min(most).max(SHORTEST_SLEEP);
        std::thread::park_timeout(left);
        let at = self.clock.elapsed();
        self.strain.slept(left, at.saturating_sub(began));
        at
    }

    /// When the next interval of an observer ends. Observers take time, so they wait while memory could run out.
    fn audience_due(&self) -> Duration {
        match self.guard.is_pressing() {
            true => Duration::MAX,
            false => self.audience.due(),
        }
    }

    /// Records the counts at `at`, checks memory, and gives observers the intervals that are over.
    pub fn look(
        &mut self,
        at: Duration,
        phase: Phase,
        left: Option<Duration>,
        opened: Option<Tally>,
        accepted: Option<Tally>,
    ) {
        let now = opened.or(accepted).unwrap_or_default();
        self.peak = self.peak_with(now.open());
        if at >= self.guard.due() {
            self.look_after_memory(at, now.open());
        }
        self.strain.look(at);
        if at >= self.audience_due() {
            let view = self.view(at, phase, left, opened, accepted);
            self.audience.look(&view, &self.control);
        }
    }

    /// Whether an observer wants the record of the run so far.
    pub fn wants_record(&self) -> bool {
        !self.guard.is_pressing() && self.audience.wants_record()
    }

    /// What was recorded so far.
    pub fn recorded(&self) -> (Intervals, Measured) {
        self.audience.so_far()
    }

    /// Gives the record of the run so far to the observers that want it.
    pub fn tell_record(&mut self, record: &Record) {
        self.audience.tell_record(record);
    }

    fn look_after_memory(&mut self, at: Duration, open: u64) {
        self.meter.note_own();
        let machine = MemInfo::read().ok();
        if let Some(machine) = &machine
            && open > 0
            && open == self.peak
        {
            self.meter.note_slab(machine.slab_bytes);
        }
        if self.guard.look(at, machine.as_ref(), open) {
            self.control.give(Order::StopOpening);
            self.control.give(Order::StopAccepting);
            let left = self.guard.stopped_at.as_ref().map_or(0, |a| a.bytes);
            self.note(&Note::MemoryLow { left });
        }
    }

    /// The most connections that were open at once, where `open` are now. Counts are not read at one instant: where connections
    /// come and go, more may seem to be open than there are places for.
    pub fn peak_with(&self, open: u64) -> u64 {
        let places = self.asked.filter(|asked| *asked > 0).unwrap_or(u64::MAX);
        self.peak.max(open.min(places))
    }

    /// How much of their cores the workers used since the last call.
    pub fn end_strain(&mut self) -> Strain {
        self.strain.end_phase(self.clock.elapsed())
    }

    /// Announces to the observers that connections are about to be closed.
    pub fn closing(&mut self) {
        self.audience.closing();
    }

    /// Ends the observers' last intervals with the counts of `at`, once all workers have ended. Returns what remains of
    /// the run.
    pub fn finish(
        &mut self,
        at: Duration,
        opened: Option<Tally>,
        accepted: Option<Tally>,
    ) -> Finished {
        let view = self.view(at, Phase::Closing, None, opened, accepted);
        let audience = std::mem::replace(&mut self.audience, Audience::new(&mut []));
        audience.finish(&view)
    }

    fn view(
        &self,
        at: Duration,
        phase: Phase,
        left: Option<Duration>,
        opened: Option<Tally>,
        accepted: Option<Tally>,
    ) -> View {
        View {
            at,
            phase,
            asked: self.asked,
            peak: self.peak,
            left,
            dialled_per_s: self.dialled_per_s,
            watched: (self.watching.as_ref().and_then(Watching::latest)).or(self.last_watched),
            opened,
            accepted,
        }
    }
}
