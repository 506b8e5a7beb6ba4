//! What is attached to a run besides the machine: observers, taps on the traffic, and the source of a profile's lines.

use crate::dial::Dial;
use crate::watching::Watching;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throng_core::behaviour::Tap;
use throng_core::observer::{Counts, Interval, Note, Observer};
use throng_core::record::{Intervals, Phase, Reading, Record, Recorder, WatchedReading};
use throng_core::stats::{Measured, Tally};
use throng_core::summary::LatencyReport;
use throng_engine::{Control, Outlet};
use throng_host::elsewhere::Namespace;

/// How long an interval waits for workers to hand over their measurements. After that it goes without.
const PATIENCE: Duration = Duration::from_millis(500);
/// The interval between checks for that.
const CHECK_EVERY: Duration = Duration::from_micros(200);

/// What is attached to a run. The default is nothing.
#[derive(Default)]
pub struct Attached<'a> {
    /// The observers.
    pub observers: Vec<Box<dyn Observer + 'a>>,
    /// Taps that see each read and write.
    pub taps: Option<Arc<dyn Taps>>,
    /// Which latencies the summary reports.
    pub latencies: LatencyReport,
    /// Lines `<duration_ms> <rate>` for a scenario whose rate follows them. A thread reads them and ends with the last
    /// one. If it waits for a line, it outlives the run.
    pub profile: Option<Box<dyn BufRead + Send>>,
    /// Changes the message rate of a load while it lasts.
    pub dial: Option<Dial>,
    /// The most intervals that the record of a load has; `None` for as many as records have at most
    /// ([`MAX_INTERVALS`](throng_core::record::MAX_INTERVALS)).
    pub most_intervals: Option<usize>,
    /// Keeps a load in step with others.
    pub barrier: Option<Box<dyn Barrier + 'a>>,
    /// Reads what the system under test of a load spends.
    pub watched: Option<Watching>,
    /// Other network namespaces whose counters may explain why attempts to connect time out.
    pub elsewhere: Vec<Namespace>,
}

impl Attached<'_> {
    /// Tells all observers something that was known before the run.
    pub fn note(&mut self, note: &Note) {
        for observer in &mut self.observers {
            observer.note(note);
        }
    }
}

/// Keeps a load in step with others, which are parts of the same run: all begin to open at one instant, and to hold at
/// another one.
pub trait Barrier {
    /// When to begin to open connections. The run's time is counted from then on.
    fn opens(&self) -> Instant;

    /// Workers begin to open connections now.
    fn opening(&mut self, now: Instant);

    /// All connections are established that will be. When to begin to hold them; `None` while that is not known. Asked some
    /// times per second until it is known and has come.
    fn holds(&mut self) -> Option<Instant>;
}

/// Makes the [`Tap`]s of a run's workers.
pub trait Taps: Send + Sync {
    /// The tap of `worker`, one of `workers`, for the connections that it accepts, or for those that it opens.
    fn tap(&self, worker: u32, workers: u32, accepted: bool) -> Box<dyn Tap>;
}

/// The state of a run at an instant.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Since the run began.
    pub at: Duration,
    pub phase: Phase,
    pub asked: Option<u64>,
    pub peak: u64,
    /// Until the phase ends by itself, if that is known.
    pub left: Option<Duration>,
    /// Messages per second that are asked for, where that can be changed.
    pub dialled_per_s: Option<f64>,
    /// The latest reading of the system under test, if it is watched.
    pub watched: Option<WatchedReading>,
    pub opened: Option<Tally>,
    pub accepted: Option<Tally>,
}

/// The observers of a run, and the measurements of its workers.
pub(crate) struct Audience<'a> {
    watching: Vec<Watcher<'a>>,
    outlets: Vec<Arc<Outlet>>,
    /// When measurements were last collected.
    collected: Duration,
    /// Records the run: everything that was collected, without single samples, which only observers receive.
    recorder: Recorder,
    /// The counts at the last collection: opened, accepted.
    counted: (Tally, Tally),
    /// Measurements since the last [`take_trial`](Audience::take_trial), for a search, whose trials don't end with
    /// intervals.
    trial: Option<Measured>,
}

/// An observer, and the start of its present interval.
struct Watcher<'a> {
    observer: &'a mut (dyn Observer + 'a),
    from: Duration,
    /// The counts at that start: opened, accepted.
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

    /// Adds the workers behind `outlets` to those that are collected from.
    pub fn follow(&mut self, outlets: &[Arc<Outlet>]) {
        self.outlets.extend_from_slice(outlets);
    }

    /// Has at most `most` intervals recorded. Called before anything is.
    pub fn record_at_most(&mut self, most: usize) {
        self.recorder = Recorder::at_most(most);
    }

    /// Keeps measurements for [`take_trial`](Audience::take_trial).
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

    /// The measurements since the last call, in a run that [keeps trials](Audience::keep_trials).
    pub fn take_trial(&mut self, view: &View, control: &Control) -> Measured {
        self.collect(view, control);
        self.trial.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All that was measured so far.
    pub fn measured(&mut self, view: &View, control: &Control) -> Measured {
        self.collect(view, control);
        self.recorder.measured()
    }

    /// Whether an observer wants the record of the run so far.
    pub fn wants_record(&self) -> bool {
        self.watching.iter().any(|w| w.observer.wants_record())
    }

    /// What was recorded so far.
    pub fn so_far(&self) -> (Intervals, Measured) {
        self.recorder.so_far()
    }

    /// Gives the record of the run so far to the observers that want it.
    pub fn tell_record(&mut self, record: &Record) {
        for watching in &mut self.watching {
            if watching.observer.wants_record() {
                watching.observer.record(record.clone());
            }
        }
    }

    /// Collects the workers' measurements and gives them to the observers that collect. Waits only briefly for a worker
    /// that does not run or has ended.
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

    /// Records the counts and the measurements since the last collection.
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

    /// Ends intervals: with measurements, those of all observers that collect; without, those that are due.
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

    /// Passes a note to all observers.
    pub fn note(&mut self, note: &Note) {
        for watching in &mut self.watching {
            watching.observer.note(note);
        }
    }

    /// Announces to all observers that connections are about to be closed.
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

/// What remains of a run that is over.
pub(crate) struct Finished {
    pub intervals: Intervals,
    /// All measurements of the run.
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
            dialled_per_s: view.dialled_per_s,
            watched: view.watched,
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
