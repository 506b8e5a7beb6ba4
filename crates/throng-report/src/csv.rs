//! A run second by second as CSV (`--csv FILE`): a row per interval with counts and percentiles of latencies.

use crate::log::Log;
use crate::watched;
use std::io::{self, Write};
use std::path::Path;
use throng_core::expect::Latency;
use throng_core::observer::Interval;
use throng_core::stats::{Closed, Durations, FailCause, Measured, Tally};

/// A count: the name of its column, and its value in an interval.
type Count = (&'static str, fn(&Tally) -> u64);

/// The counts of the side that the run is about, besides failed attempts and ends.
const COUNTS: [Count; 8] = [
    ("attempted", |t| t.attempted),
    ("established", |t| t.established),
    ("messages_sent", |t| t.messages_sent),
    ("messages_received", |t| t.messages_received),
    ("answers", |t| t.answers),
    ("unanswered", |t| t.messages_unanswered),
    ("bytes_sent", |t| t.bytes_sent),
    ("bytes_received", |t| t.bytes_received),
];

/// The columns of each latency, after its name.
const OF_LATENCY: [&str; 5] = ["count", "p50_us", "p90_us", "p99_us", "max_us"];

/// A file of rows. A write error is reported once, and the run goes on without the file.
#[derive(Debug)]
pub struct IntervalLog {
    log: Log,
    latencies: Vec<Latency>,
    /// Whether it has columns for the system under test.
    watches: bool,
}

impl IntervalLog {
    /// A file that takes the name `path` when it is [finished](IntervalLog::finish), with columns for `latencies`
    /// and, if the run `watches` it, for the system under test.
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn create(path: &Path, latencies: &[Latency], watches: bool) -> io::Result<IntervalLog> {
        Ok(IntervalLog {
            log: Log::create(path, &head(latencies, watches))?,
            latencies: latencies.to_vec(),
            watches,
        })
    }

    /// Adds the row of `interval`.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    pub fn interval(&mut self, interval: &Interval) -> io::Result<()> {
        let (latencies, watches) = (&self.latencies, self.watches);
        self.log.add(|row| {
            // Writing to a vector never fails.
            let _ = write_row(interval, latencies, row);
            if watches {
                let _ = watched::write_values(interval.watched.as_ref(), row);
            }
            row.push(b'\n');
        })?;
        self.log.flush()
    }

    /// Writes the rest, and gives the file its name.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    pub fn finish(self) -> io::Result<()> {
        self.log.finish()
    }
}

/// The names of the columns, which docs/logs.md describes.
fn head(latencies: &[Latency], watches: bool) -> String {
    let mut columns: Vec<String> = ["time_s", "seconds", "phase", "open", "waiting", "accepted"]
        .map(str::to_owned)
        .to_vec();
    columns.extend(COUNTS.iter().map(|(name, _)| (*name).to_owned()));
    columns.push("failed".to_owned());
    columns.extend(FailCause::ALL.map(|cause| format!("failed_{}", cause.name())));
    columns.push("closed".to_owned());
    columns.extend(Closed::ALL.map(|how| format!("closed_{}", how.name())));
    for latency in latencies {
        columns.extend(OF_LATENCY.map(|what| format!("{}_{what}", latency.name)));
    }
    let watched = match watches {
        true => watched::head("watched_"),
        false => String::new(),
    };
    columns.join(",") + &watched + "\n"
}

fn write_row(interval: &Interval, latencies: &[Latency], row: &mut Vec<u8>) -> io::Result<()> {
    let counts = interval.subject();
    let recent = &counts.recent;
    let accepted = interval.accepted.map_or(0, |side| side.recent.accepted);
    write!(
        row,
        "{:.3},{:.3},{},{},{},{accepted}",
        interval.to.as_secs_f64(),
        interval.length().as_secs_f64(),
        interval.phase.name(),
        counts.now.open(),
        counts.now.waiting(),
    )?;
    for (_, count) in COUNTS {
        write!(row, ",{}", count(recent))?;
    }
    write!(row, ",{}", recent.failed_in_all())?;
    for cause in FailCause::ALL {
        write!(row, ",{}", recent.failed(cause))?;
    }
    write!(row, ",{}", recent.closed_in_all())?;
    for how in Closed::ALL {
        write!(row, ",{}", recent.closed(how))?;
    }
    let none = Durations::default();
    for latency in latencies {
        let durations = interval.measured.and_then(|all| named(all, latency.name));
        write_latency(durations.unwrap_or(&none), row)?;
    }
    Ok(())
}

fn named<'m>(measured: &'m Measured, name: &str) -> Option<&'m Durations> {
    let mut all = measured.named();
    all.find(|(known, _)| *known == name).map(|(_, all)| all)
}

/// Percentiles are empty where nothing was measured.
fn write_latency(durations: &Durations, row: &mut Vec<u8>) -> io::Result<()> {
    write!(row, ",{}", durations.count())?;
    for percent in [50.0, 90.0, 99.0, 100.0] {
        match durations.percentile(percent) {
            Some(took) => write!(row, ",{:.3}", took.as_nanos() as f64 / 1e3)?,
            None => row.push(b','),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;
    use throng_core::expect::latencies;
    use throng_core::observer::Counts;
    use throng_core::record::{Phase, WatchedReading};

    /// A row by the names of its columns.
    fn by_column<'t>(head: &'t str, row: &'t str) -> BTreeMap<&'t str, &'t str> {
        assert_eq!(head.split(',').count(), row.split(',').count(), "{row}");
        head.split(',').zip(row.split(',')).collect()
    }

    #[test]
    fn a_row_has_what_happened_in_its_interval_under_the_names_of_the_head() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.csv");
        let columns: Vec<_> = latencies()
            .iter()
            .filter(|l| ["connect", "service"].contains(&l.name))
            .copied()
            .collect();
        let mut log = IntervalLog::create(&path, &columns, true).unwrap();
        let count = |all: &[(&str, u64)]| Tally::from_named(all.iter().copied()).unwrap();
        let opened = Counts {
            now: count(&[
                ("established", 9),
                ("closed.by_peer", 2),
                ("questions", 4),
                ("answers", 1),
            ]),
            recent: count(&[
                ("attempted", 6),
                ("established", 4),
                ("failed.refused", 2),
                ("closed.by_peer", 1),
                ("bytes_sent", 77),
            ]),
        };
        let accepted = Counts {
            recent: count(&[("accepted", 3)]),
            ..Counts::default()
        };
        let mut measured = Measured::default();
        measured.connect.record(Duration::from_micros(40));
        let interval = Interval {
            from: Duration::from_millis(1000),
            to: Duration::from_millis(2003),
            phase: Phase::Holding,
            asked: Some(10),
            peak: 9,
            left: None,
            dialled_per_s: None,
            watched: Some(WatchedReading {
                rss_bytes: 4096,
                ..WatchedReading::default()
            }),
            opened: Some(opened),
            accepted: Some(accepted),
            measured: Some(&measured),
        };
        log.interval(&interval).unwrap();
        let last = Interval {
            phase: Phase::Closing,
            measured: None,
            watched: None,
            ..interval
        };
        log.interval(&last).unwrap();
        log.finish().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let [head, first, second] = lines[..] else {
            panic!("{text}");
        };
        let row = by_column(head, first);
        for (column, value) in [
            ("time_s", "2.003"),
            ("seconds", "1.003"),
            ("phase", "holding"),
            ("open", "7"),
            ("waiting", "3"),
            ("accepted", "3"),
            ("attempted", "6"),
            ("established", "4"),
            ("failed", "2"),
            ("failed_refused", "2"),
            ("failed_timed_out", "0"),
            ("closed", "1"),
            ("closed_by_peer", "1"),
            ("closed_by_us", "0"),
            ("bytes_sent", "77"),
            ("connect_count", "1"),
            ("service_count", "0"),
            ("service_p99_us", ""),
            ("watched_rss_bytes", "4096"),
            ("watched_connections", ""),
        ] {
            assert_eq!(row[column], value, "{column} in {text}");
        }
        let p50: f64 = row["connect_p50_us"].parse().unwrap();
        assert!((40.0..40.04).contains(&p50), "{p50}");
        let row = by_column(head, second);
        assert_eq!((row["phase"], row["connect_count"]), ("closing", "0"));
        assert_eq!(row["watched_rss_bytes"], "");
    }
}
