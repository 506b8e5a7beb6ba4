//! What workers measured, gathered while a run goes on: once an interval for those who follow it, and all of
//! it for the summary.

use crate::Failure;
use crate::run::{Side, Watch, take_measured};
use std::sync::Arc;
use std::time::{Duration, Instant};
use throng_core::scenario::{LatencyAsked, MessageLatency, Options, Percentile, StatsdAsked};
use throng_core::stats::{Durations, Measured, Tally};
use throng_core::summary::{LatencyAt, LatencyOf};
use throng_engine::{Control, Outlet};
use throng_report::hdrlog::LatencyLog;
use throng_report::samples::SampleLog;
use throng_report::statsd::{Statsd, StatsdTick};

/// How often measurements are gathered.
const EVERY: Duration = Duration::from_secs(1);
/// How long workers may take to hand theirs over before it is done without.
const PATIENCE: Duration = Duration::from_millis(500);

/// Gathers what workers measure.
pub(super) struct Measuring {
    outlets: Vec<Arc<Outlet>>,
    asked: LatencyAsked,
    total: Measured,
    /// When the present interval began, and the counts of both sides then.
    since: Duration,
    counted: (Tally, Tally),
    statsd: Option<Reporting>,
    log: Option<LatencyLog>,
    samples: Option<SampleLog>,
    /// What was measured since it was last taken, for a search; intervals end in the middle of its trials.
    trial: Option<Measured>,
    /// Median and 99th percentile of the last interval's message latency.
    pub latest: Option<(Duration, Duration)>,
}

/// StatsD, and the latencies of its window.
struct Reporting {
    to: Statsd,
    /// How long a window is, and when the present one began.
    window: Option<Duration>,
    began: Duration,
    /// What was measured in it.
    measured: Measured,
}

impl Reporting {
    /// When the present window ends, if there are windows.
    fn window_ends(&self) -> Option<Duration> {
        self.window.map(|window| self.began + window)
    }
}

impl Measuring {
    /// Gathers from the workers of `sides`, as `options` ask.
    pub fn new<'a>(
        options: &Options,
        started_unix_s: f64,
        sides: impl Iterator<Item = &'a Side>,
    ) -> Result<Measuring, Failure> {
        let asked = &options.latency;
        let log = asked.log.as_deref();
        let log = log.map(|path| LatencyLog::create(path, started_unix_s));
        let samples = asked.samples.as_deref().map(SampleLog::create);
        let no_file = |option: &str, e: std::io::Error| Failure::usage(format!("{option}: {e}"));
        let statsd = options.statsd.as_ref().map(open_statsd).transpose()?;
        Ok(Measuring {
            outlets: sides.flat_map(|s| s.outlets.iter().cloned()).collect(),
            asked: options.latency.clone(),
            total: Measured::default(),
            since: Duration::ZERO,
            counted: Default::default(),
            statsd,
            log: log.transpose().map_err(|e| no_file("--latency-log", e))?,
            samples: samples.transpose().map_err(|e| no_file("--samples", e))?,
            trial: options.search.is_some().then(Measured::default),
            latest: None,
        })
    }

    /// Whether anybody follows the measurements while the run goes on.
    fn is_followed(&self) -> bool {
        let written = self.log.is_some() || self.samples.is_some();
        written || self.statsd.is_some() || self.asked.message.is_some()
    }

    /// Gathers and tells what there is to tell, if it is time. `opened` and `accepted` are the counts of now.
    pub fn tick(&mut self, at: Duration, opened: &Tally, accepted: &Tally, watch: &mut Watch) {
        if self.due().is_some_and(|due| at >= due) {
            self.gather(at, opened, accepted, watch);
        }
    }

    /// When there is something to tell next, if anybody follows: after a second, or where StatsD's window ends.
    pub fn due(&self) -> Option<Duration> {
        let window = self.statsd.as_ref().and_then(Reporting::window_ends);
        let second = self.since + EVERY;
        self.is_followed()
            .then(|| window.map_or(second, |end| second.min(end)))
    }

    /// What was measured up to now, since this was last called in a search.
    pub fn take_trial(
        &mut self,
        at: Duration,
        opened: &Tally,
        accepted: &Tally,
        watch: &mut Watch,
    ) -> Measured {
        self.gather(at, opened, accepted, watch);
        self.trial.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Gathers what was measured since the last time, and tells it.
    fn gather(&mut self, at: Duration, opened: &Tally, accepted: &Tally, watch: &mut Watch) {
        collect(&self.outlets, &watch.control);
        let measured = take_measured(&self.outlets);
        if let Some(trouble) = self.report(at, opened, accepted, &measured) {
            watch.live.note(&format!("throng: {trouble}"));
        }
        let length = at.saturating_sub(self.since);
        let trouble = self.write_down(self.since, length, &measured);
        if let Err(trouble) = trouble {
            watch.live.note(&format!("throng: {trouble}"));
        }
        let messages = of_messages(&self.asked, &measured);
        self.latest = messages.percentile(50.0).zip(messages.percentile(99.0));
        self.since = at;
        self.counted = (*opened, *accepted);
        if let Some(trial) = &mut self.trial {
            trial.merge(measured.clone());
        }
        self.keep(measured);
    }

    /// Tells StatsD, if it is to know, what was counted and `measured` in the interval that ends at `at`.
    /// Returns what the user is to be told.
    fn report(
        &mut self,
        at: Duration,
        opened: &Tally,
        accepted: &Tally,
        measured: &Measured,
    ) -> Option<String> {
        let reporting = self.statsd.as_mut()?;
        let recent = (
            opened.since(&self.counted.0),
            accepted.since(&self.counted.1),
        );
        let mut tick = StatsdTick::of(
            at.saturating_sub(self.since),
            Some((&recent.0, opened)),
            Some((&recent.1, accepted)),
        );
        reporting.measured.merge(measured.clone());
        tick.latencies = match reporting.window_ends() {
            // Those since the beginning.
            None => latencies(&self.asked, &reporting.measured),
            Some(end) if at >= end => {
                reporting.began = at;
                latencies(&self.asked, &std::mem::take(&mut reporting.measured))
            }
            Some(_) => Vec::new(),
        };
        reporting.to.send(&tick)
    }

    /// Writes an interval to the files that were asked for.
    fn write_down(
        &mut self,
        start: Duration,
        length: Duration,
        measured: &Measured,
    ) -> std::io::Result<()> {
        let logged = match &mut self.log {
            Some(log) => log.interval(start, length, measured),
            None => Ok(()),
        };
        let sampled = match &mut self.samples {
            Some(samples) => samples.write(&measured.samples),
            None => Ok(()),
        };
        logged.and(sampled)
    }

    /// Adds to the whole, but for samples, which are written down or nobody's.
    fn keep(&mut self, mut measured: Measured) {
        measured.samples.clear();
        self.total.merge(measured);
    }

    /// All that was measured, once the workers have ended; `opened` and `accepted` are the counts of `at`, when
    /// the run was over. Finishes what was written. The second is what could not be written.
    pub fn finish(
        mut self,
        at: Duration,
        opened: &Tally,
        accepted: &Tally,
    ) -> (Measured, Option<String>) {
        let rest = take_measured(&self.outlets);
        self.report(at, opened, accepted, &rest);
        let length = at.saturating_sub(self.since);
        let mut written = self.write_down(self.since, length, &rest);
        self.keep(rest);
        if let Some(reporting) = &mut self.statsd {
            // So that graphs come down.
            reporting.to.send(&StatsdTick::default());
        }
        written = written.and(self.log.map_or(Ok(()), LatencyLog::finish));
        written = written.and(self.samples.map_or(Ok(()), SampleLog::finish));
        (self.total, written.err().map(|e| e.to_string()))
    }
}

fn open_statsd(asked: &StatsdAsked) -> Result<Reporting, Failure> {
    let mut to = Statsd::open(&asked.host, asked.port, &asked.namespace).map_err(|e| {
        Failure::usage(format!(
            "--statsd-host {} --statsd-port {}: {e}",
            asked.host, asked.port
        ))
    })?;
    to.send(&StatsdTick::default());
    Ok(Reporting {
        to,
        window: asked.latency_window,
        began: Duration::ZERO,
        measured: Measured::default(),
    })
}

/// Waits until all workers have handed over what they measured. One that is kept from running, or has ended,
/// is not waited for for long.
fn collect(outlets: &[Arc<Outlet>], control: &Control) {
    let number = control.collect();
    let began = Instant::now();
    while began.elapsed() < PATIENCE && outlets.iter().any(|o| o.collected() < number) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The latency of messages, as it was asked to be known.
pub(super) fn of_messages<'m>(asked: &LatencyAsked, measured: &'m Measured) -> &'m Durations {
    match asked.message {
        Some(MessageLatency::MessageMarker) => &measured.marked,
        _ if measured.response.count() > 0 => &measured.response,
        // Without a time at which messages were due there is only the time from sending.
        _ if measured.service.count() > 0 => &measured.service,
        _ => &measured.marked,
    }
}

/// Those latencies that were asked for, at the percentiles that were.
pub(super) fn latencies(asked: &LatencyAsked, measured: &Measured) -> Vec<LatencyAt> {
    let percentiles = match asked.percentiles.as_slice() {
        [] => &Percentile::usual(),
        some => some,
    };
    let messages = of_messages(asked, measured);
    let all = [
        (asked.connect, LatencyOf::Connect, &measured.connect),
        (asked.first_byte, LatencyOf::FirstByte, &measured.first_byte),
        (
            asked.message.is_some() || messages.count() > 0,
            LatencyOf::Message,
            messages,
        ),
    ];
    all.into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, of, durations)| LatencyAt::of(of, durations, percentiles))
        .collect()
}
