//! What a run is attached to besides the machine: who watches it, who is shown each read and write, and where the
//! lines of a rate's profile come from.

use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throng_core::behaviour::Tap;
use throng_core::observer::{Counts, Interval, Note, Observer};
use throng_core::record::{Intervals, Phase, Reading, Recorder};
use throng_core::stats::{Measured, Tally};
use throng_core::summary::LatencyReport;
use throng_engine::{Control, Outlet};

/// How long workers may take to hand over what they measured before the interval goes without.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is checked whether they have.
const CHECK_EVERY: Duration = Duration::from_micros(200);

/// What a run is attached to. The default is nothing: a run that nobody watches.
#[derive(Default)]
pub struct Attached<'a> {
    /// Who watches.
    pub observers: Vec<Box<dyn Observer + 'a>>,
    /// Who is shown each read and write.
    pub taps: Option<Arc<dyn Taps>>,
    /// Which latencies the summary reports.
    pub latencies: LatencyReport,
    /// Lines `<duration_ms> <rate>` for a scenario whose rate follows them. They are read by a thread that ends with
    /// them; one that waits for a line outlives the run.
    pub profile: Option<Box<dyn BufRead + Send>>,
}

/// Makes the [`Tap`]s of a run's workers.
pub trait Taps: Send + Sync {
    /// That of `worker`, one of `workers`, for connections that it accepts or those that it opens.
    fn tap(&self, worker: u32, workers: u32, accepted: bool) -> Box<dyn Tap>;
}

/// A run at an instant.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Since the run began.
    pub at: Duration,
    pub phase: Phase,
    pub asked: Option<u64>,
    pub peak: u64,
    /// Until the phase ends by itself, if that is known.
    pub left: Option<Duration>,
    pub opened: Option<Tally>,
    pub accepted: Option<Tally>,
}

/// The observers of a run, and what its workers measured so far.
pub(crate) struct Audience<'a> {
    watching: Vec<Watcher<'a>>,
    outlets: Vec<Arc<Outlet>>,
    /// When workers were last asked for what they measured.
    collected: Duration,
    /// What is recorded of the run: all that was collected, without single samples, which are an observer's or
    /// nobody's.
    recorder: Recorder,
    /// The counts when workers were last asked: opened, accepted.
    counted: (Tally, Tally),
    /// What was collected since it was last taken, for a search, whose trials don't end with intervals.
    trial: Option<Measured>,
}

/// An observer, and where its present interval began.
struct Watcher<'a> {
    observer: &'a mut (dyn Observer + 'a),
    from: Duration,
    /// The counts then: opened, accepted.
    counted: (Tally, Tally),
}

impl<'a> Audience<'a> {
    pub fn new<'o: 'a>(observers: &'a mut [Box<dyn Observer + 'o>]) -> Audience<'a> {
        let watching = observers.iter_mut().map(|observer| Watcher {
            observer: &mut **observer,
            from: Duration::ZERO,
            counted: Default::default(),
        });
        Audience {
            watching: watching.collect(),
            outlets: Vec::new(),
            collected: Duration::ZERO,
            recorder: Recorder::default(),
            counted: Default::default(),
            trial: None,
        }
    }

    /// Collects from the workers behind `outlets`, too.
    pub fn follow(&mut self, outlets: &[Arc<Outlet>]) {
        self.outlets.extend_from_slice(outlets);
    }

    /// Keeps what is collected for [`take_trial`](Audience::take_trial).
    pub fn keep_trials(&mut self) {
        self.trial = Some(Measured::default());
    }

    /// When to [look](Audience::look) next.
    pub fn due(&self) -> Duration {
        let ends = |w: &Watcher| {
            let collected = w.observer.collects(self.collected);
            w.observer
                .due(w.from)
                .min(collected.unwrap_or(Duration::MAX))
        };
        let recorded = self.recorder.due(self.collected);
        self.watching.iter().map(ends).fold(recorded, Duration::min)
    }

    /// Gives observers the intervals that are over.
    pub fn look(&mut self, view: &View, control: &Control) {
        let mut collectors = self.watching.iter();
        let due = collectors.any(|w| {
            let due = w.observer.collects(self.collected);
            due.is_some_and(|due| view.at >= due)
        });
        if due || view.at >= self.recorder.due(self.collected) {
            self.collect(view, control);
        }
        self.deliver(view, None);
    }

    /// What was measured since this was last called, in a run that [keeps trials](Audience::keep_trials).
    pub fn take_trial(&mut self, view: &View, control: &Control) -> Measured {
        self.collect(view, control);
        self.trial.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Has workers hand over what they measured, and gives it to those who collect. A worker that is kept from
    /// running, or has ended, is not waited for for long.
    fn collect(&mut self, view: &View, control: &Control) {
        let number = control.collect();
        let began = Instant::now();
        while began.elapsed() < PATIENCE && self.outlets.iter().any(|o| o.collected() < number) {
            std::thread::sleep(CHECK_EVERY);
        }
        let measured = self.take();
        self.deliver(view, Some(&measured));
        if let Some(trial) = &mut self.trial {
            trial.merge(measured.clone());
        }
        self.record(view, measured);
    }

    fn take(&self) -> Measured {
        let mut all = Measured::default();
        for outlet in &self.outlets {
            all.merge(outlet.take());
        }
        all
    }

    /// Records what was counted and `measured` since the last time.
    fn record(&mut self, view: &View, measured: Measured) {
        let reading =
            |now: Option<Tally>, then: &Tally| now.map(|now| Reading::of(&now.since(then), &now));
        self.recorder.add(
            self.collected,
            view.at,
            view.phase,
            reading(view.opened, &self.counted.0),
            reading(view.accepted, &self.counted.1),
            measured,
        );
        self.collected = view.at;
        self.counted = (
            view.opened.unwrap_or_default(),
            view.accepted.unwrap_or_default(),
        );
    }

    /// Ends the intervals of all who collect, if there is something `measured`, else of those whose time is up.
    fn deliver(&mut self, view: &View, measured: Option<&Measured>) {
        let mut troubles = Vec::new();
        for watching in &mut self.watching {
            let ends = match measured {
                Some(_) => watching.observer.collects(Duration::ZERO).is_some(),
                None => view.at >= watching.observer.due(watching.from),
            };
            if ends {
                troubles.extend(watching.end(view, measured));
            }
        }
        for trouble in troubles {
            self.note(&Note::Trouble(trouble));
        }
    }

    /// Tells all observers.
    pub fn note(&mut self, note: &Note) {
        for watching in &mut self.watching {
            watching.observer.note(note);
        }
    }

    /// Tells all observers that connections are about to be closed.
    pub fn closing(&mut self) {
        for watching in &mut self.watching {
            watching.observer.closing();
        }
    }

    /// Ends the last intervals at `view`, once all workers have ended.
    pub fn finish(mut self, view: &View) -> Finished {
        let rest = self.take();
        let mut unreported = Vec::new();
        for watching in &mut self.watching {
            let collects = watching.observer.collects(Duration::ZERO).is_some();
            unreported.extend(watching.end(view, collects.then_some(&rest)));
            unreported.extend(watching.observer.finish().err().map(|t| t.0));
        }
        self.record(view, rest);
        let (intervals, measured) = self.recorder.finish();
        Finished {
            intervals,
            measured,
            unreported,
        }
    }
}

/// What a run that is over leaves.
pub(crate) struct Finished {
    pub intervals: Intervals,
    /// All that was measured.
    pub measured: Measured,
    /// What observers could not report.
    pub unreported: Vec<String>,
}

impl Watcher<'_> {
    /// Ends the interval. Returns what could not be reported.
    fn end(&mut self, view: &View, measured: Option<&Measured>) -> Option<String> {
        let counts = |now: Option<Tally>, then: &Tally| {
            now.map(|now| Counts {
                now,
                recent: now.since(then),
            })
        };
        let interval = Interval {
            from: self.from,
            to: view.at,
            phase: view.phase,
            asked: view.asked,
            peak: view.peak,
            left: view.left,
            opened: counts(view.opened, &self.counted.0),
            accepted: counts(view.accepted, &self.counted.1),
            measured,
        };
        let reported = self.observer.interval(&interval);
        self.from = view.at;
        self.counted = (
            view.opened.unwrap_or_default(),
            view.accepted.unwrap_or_default(),
        );
        reported.err().map(|trouble| trouble.0)
    }
}
