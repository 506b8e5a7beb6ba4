//! The result of `throng watch`, for people, for scripts and as rows.

use crate::log::Log;
use crate::text::{Form, Section, add_watched};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use throng_core::human::{bytes, count, percent};
use throng_core::record::{GAUGES, Gauge, Watched, WatchedReading};
use throng_core::watched::WatchedSummary;

/// What was seen of a system under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchResult {
    /// `throng` and its version.
    pub tool: String,
    /// When watching began, in seconds since 1970.
    pub started_unix_s: f64,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// What it took, and what follows.
    pub watched: WatchedSummary,
    /// The readings, in the order of time.
    pub readings: Vec<WatchedReading>,
}

impl WatchResult {
    /// The result of a system that was watched from `started_unix_s` on.
    pub fn of(tool: &str, started_unix_s: f64, interrupted: bool, seen: Watched) -> WatchResult {
        WatchResult {
            tool: tool.to_owned(),
            started_unix_s,
            interrupted,
            watched: WatchedSummary::of(&seen, None),
            readings: seen.readings,
        }
    }
}

/// Writes what was seen to `out`, for people.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(seen: &WatchedSummary, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let mut section = Section::titled("");
    add_watched(seen, &mut section);
    // The sentence stands for itself.
    for line in crate::text::wrapped(&seen.text, form.columns) {
        writeln!(out, "{line}")?;
    }
    section.rows.remove(0);
    section.write_rows(out, form)
}

/// A reading in a line, for people; `before` is the one before it.
pub fn line(reading: &WatchedReading, before: Option<&WatchedReading>) -> String {
    let mut text = format!("{:>6.1} s", reading.at.as_secs_f64());
    if let Some(n) = reading.connections {
        text += &format!("  {} connections", count(n));
    }
    text += &format!(
        "  RSS {} ({} anonymous)",
        bytes(reading.rss_bytes),
        bytes(reading.anon_bytes)
    );
    if let Some(n) = reading.kernel_bytes {
        text += &format!("  kernel {}", bytes(n));
    }
    if let Some(before) = before {
        let span = reading.at.saturating_sub(before.at).as_secs_f64();
        let share = |now: Duration, before: Duration| {
            percent(now.saturating_sub(before).as_secs_f64(), span).unwrap_or_else(|| "0 %".into())
        };
        text += &format!(
            "  CPU {} user {} system",
            share(reading.cpu_user, before.cpu_user),
            share(reading.cpu_system, before.cpu_system)
        );
    }
    text += &format!("  descriptors {}", count(reading.descriptors));
    if reading.listeners > 0 {
        text += &format!(
            "  queue {} of {}",
            count(reading.waiting),
            count(reading.queue_limit)
        );
    }
    if reading.overflows > 0 {
        text += &format!("  overflows {}", count(reading.overflows));
    }
    text
}

/// The names of the columns of readings, each after a comma. `prefix` stands before each name.
pub(crate) fn head(prefix: &str) -> String {
    let columns = GAUGES.iter().map(Gauge::column);
    columns.map(|name| format!(",{prefix}{name}")).collect()
}

/// The values of a reading, each after a comma; empty where it could not be read, or without a reading.
pub(crate) fn write_values(
    reading: Option<&WatchedReading>,
    row: &mut impl Write,
) -> io::Result<()> {
    for gauge in &GAUGES {
        match reading.and_then(gauge.of) {
            Some(value) if value.fract() == 0.0 => write!(row, ",{value:.0}")?,
            Some(value) => write!(row, ",{value:.6}")?,
            None => write!(row, ",")?,
        }
    }
    Ok(())
}

/// A file of readings as CSV.
#[derive(Debug)]
pub struct ReadingLog(Log);

impl ReadingLog {
    /// A file that takes the name `path` when it is [finished](ReadingLog::finish).
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn create(path: &Path) -> io::Result<ReadingLog> {
        let head = format!("time_s{}\n", head(""));
        Ok(ReadingLog(Log::create(path, &head)?))
    }

    /// Adds the row of `reading`.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    pub fn add(&mut self, reading: &WatchedReading) -> io::Result<()> {
        self.0.add(|row| {
            // Writing to a vector never fails.
            let _ = write!(row, "{:.3}", reading.at.as_secs_f64());
            let _ = write_values(Some(reading), row);
            row.push(b'\n');
        })?;
        self.0.flush()
    }

    /// Writes the rest, and gives the file its name.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(second: u64, connections: u64) -> WatchedReading {
        WatchedReading {
            at: Duration::from_secs(second),
            processes: 2,
            threads: 2,
            rss_bytes: (8 << 20) + 14_000 * connections,
            anon_bytes: (4 << 20) + 14_000 * connections,
            connections: Some(connections),
            kernel_bytes: Some(3584 * connections),
            descriptors: 20 + connections,
            cpu_user: Duration::from_millis(125 * second),
            listeners: 1,
            queue_limit: 511,
            softirq: 0.03125,
            ..WatchedReading::default()
        }
    }

    fn seen() -> Watched {
        Watched {
            name: "process 4711 (nginx)".into(),
            processes: vec!["nginx".into()],
            socket_bytes: 3584,
            socket_bytes_read: true,
            readings: [0, 2000, 2000, 2000, 2000]
                .iter()
                .enumerate()
                .map(|(second, open)| reading(second as u64, *open))
                .collect(),
            ..Watched::default()
        }
    }

    #[test]
    fn a_result_is_a_sentence_and_rows() {
        let result = WatchResult::of("throng 1", 1e9, true, seen());
        let mut out = Vec::new();
        write_text(&result.watched, &mut out, &Form::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "process 4711 (nginx): 17.2 KiB per connection, 79 % of it user memory"
        );
        for part in [
            "memory (RSS)",
            "kernel memory",
            "accept queue",
            "from 5 readings",
        ] {
            assert!(text.contains(part), "no {part}: {text}");
        }
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<WatchResult>(&json).unwrap(), result);
    }

    #[test]
    fn a_line_has_what_changes() {
        let (before, now) = (reading(4, 1000), reading(5, 2000));
        assert_eq!(
            line(&now, Some(&before)),
            "   5.0 s  2,000 connections  RSS 34.7 MiB (30.7 MiB anonymous)  kernel 6.84 MiB  CPU 12.5 % user 0 % system  \
             descriptors 2,020  queue 0 of 511"
        );
        let blind = WatchedReading {
            connections: None,
            kernel_bytes: None,
            listeners: 0,
            ..before
        };
        assert!(!line(&blind, None).contains("connections"));
    }

    #[test]
    fn rows_have_a_value_for_each_column() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("readings.csv");
        let mut log = ReadingLog::create(&path).unwrap();
        log.add(&reading(1, 7)).unwrap();
        let blind = WatchedReading::default();
        log.add(&blind).unwrap();
        log.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 3);
        let of = |row: usize, name: &str| {
            let column = lines[0].iter().position(|known| *known == name).unwrap();
            lines[row][column]
        };
        assert!(
            lines.iter().all(|row| row.len() == lines[0].len()),
            "{text}"
        );
        assert_eq!((of(1, "time_s"), of(1, "connections")), ("1.000", "7"));
        assert_eq!(
            (of(1, "cpu_user_s"), of(1, "softirq_share")),
            ("0.125000", "0.031250")
        );
        assert_eq!((of(2, "kernel_bytes"), of(2, "rss_bytes")), ("", "0"));
    }
}
