//! The live view, and the notes printed above it.

use crate::Failure;
use crate::ask::report::ReportOptions;
use crate::outputs::Occasion;
use crate::voice::{Saying, Voice};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;
use throng_core::observer::{Interval, Note, Observer, Trouble};
use throng_core::record::AskedLatencies;
use throng_core::stats::Tally;
use throng_core::summary::{Phase, Snapshot, of_messages};
use throng_report::live::Live;

/// Rates cover the last second, however often they are shown.
const RECENT: Duration = Duration::from_secs(1);
/// From this verbosity on, the whole scenario is shown.
const WHOLE_SCENARIO: u8 = 3;

struct Terminal {
    live: Live,
    every: Duration,
    voice: Rc<dyn Voice>,
    verbosity: u8,
    quiet: bool,
    /// The scenario file.
    scenario: String,
    latencies: AskedLatencies,
    /// When the live view was drawn during the last second, each with the counts at that time.
    shown: VecDeque<(Duration, Tally)>,
    /// Median and 99th percentile of message latency in the last interval.
    latest: Option<(Duration, Duration)>,
    /// The 99th percentile of how late messages were sent in the last interval.
    late: Option<Duration>,
}

/// All that watches a run: the terminal first, unless an output takes all of it, then the outputs that were asked for. `scenario` is the run's file, without
/// private keys, as it is shown at the highest verbosity.
pub(crate) fn observers(
    report: &ReportOptions,
    occasion: &Occasion,
    scenario: String,
) -> Result<Vec<Box<dyn Observer>>, Failure> {
    let mut all: Vec<Box<dyn Observer>> = Vec::new();
    if !report.fills_screen() {
        all.push(Box::new(Terminal::of(report, occasion, scenario)));
    }
    all.extend(report.open(occasion)?);
    Ok(all)
}

impl Terminal {
    fn of(report: &ReportOptions, occasion: &Occasion, scenario: String) -> Terminal {
        let style = report.live_style();
        Terminal {
            live: Live::new(style),
            every: style.every(),
            voice: Rc::clone(&report.voice),
            verbosity: report.common.verbosity(),
            quiet: report.is_quiet(),
            scenario,
            latencies: report.latencies.asked(&occasion.measure),
            shown: VecDeque::from([(Duration::ZERO, Tally::default())]),
            latest: None,
            late: None,
        }
    }
}

impl Observer for Terminal {
    fn due(&self, from: Duration) -> Duration {
        from + self.every
    }

    fn collects(&self, from: Duration) -> Option<Duration> {
        self.latencies.messages.is_some().then_some(from + RECENT)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        if let Some(measured) = interval.measured {
            let messages = of_messages(&self.latencies, measured);
            self.latest = messages.percentile(50.0).zip(messages.percentile(99.0));
            self.late = measured.lateness.percentile(99.0);
        }
        if interval.phase == Phase::Closing {
            return Ok(());
        }
        let (at, now) = (interval.to, interval.subject().now);
        while self
            .shown
            .get(1)
            .is_some_and(|(then, _)| *then + RECENT <= at)
        {
            self.shown.pop_front();
        }
        let (then, before) = self.shown.front().copied().unwrap_or_default();
        self.live.update(&Snapshot {
            elapsed: at,
            phase: interval.phase,
            asked: interval.asked,
            peak: interval.peak,
            now,
            recent: now.since(&before),
            interval: at.saturating_sub(then),
            latency: self.latest,
            late: self.late,
            server: interval
                .opened
                .and(interval.accepted)
                .map(|counts| counts.now),
            left: interval.left,
            dialled_per_s: interval.dialled_per_s,
        });
        self.shown.push_back((at, now));
        Ok(())
    }

    fn note(&mut self, note: &Note) {
        if self.quiet && matches!(note, Note::Listening(_) | Note::Serving(_)) {
            return;
        }
        match self.voice.note(note, self.verbosity) {
            None => {}
            // Only this terminal has the key.
            Some(Saying::Stderr(text)) if *note == Note::OpeningPaused => {
                self.live
                    .note(&format!("{}; p has it go on", text.trim_end()));
            }
            Some(Saying::Stderr(text)) => self.live.note(&text),
            Some(Saying::Stdout(line)) => {
                // Flushed, so that a reader sees the line at once. A closed stdout is not an error.
                let mut out = io::stdout().lock();
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        }
        if matches!(note, Note::Planned(_)) && self.verbosity >= WHOLE_SCENARIO {
            self.live
                .note(&format!("throng: the scenario:\n{}", self.scenario));
        }
    }

    fn closing(&mut self) {
        self.live.clear();
    }
}
