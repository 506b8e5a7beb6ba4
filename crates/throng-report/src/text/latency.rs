//! Latencies: a table, and how those of messages were distributed.

use super::form::{Form, LABEL};
use super::section::Section;
use super::words::wrapped;
use crate::colour::{BAR, DIM, TITLE, paint};
use crate::human::{self, percent};
use crate::sparkline::bar;
use std::io::{self, Write};
use throng_core::scenario::Percentile;
use throng_core::summary::{
    Bin, Histogram, HistogramOf, Latency, LatencyAt, LatencyOf, MessageRate, SetUp, Summary,
};

/// The columns of the table, and their fields.
pub(crate) const COLUMNS: [(&str, &str); 5] = [
    ("p50", "p50_us"),
    ("p90", "p90_us"),
    ("p99", "p99_us"),
    ("p99.9", "p999_us"),
    ("max", "max_us"),
];
/// The percentiles in the table, as users write them.
const IN_TABLE: [&str; 6] = ["50", "90", "99", "99.9", "100", "max"];
/// Columns of a cell, with the gap before it.
const CELL: usize = 11;
/// Columns of a cell on a narrow terminal, if all cells fit.
const NARROW_CELL: usize = 8;
/// Rows of a histogram, at most.
const BINS: usize = 6;
/// Columns of its longest bar.
const BARS: usize = 40;

/// A row of the table.
pub(crate) struct Row {
    pub label: &'static str,
    pub cells: [String; 5],
}

/// All latencies in one table, then the requested percentiles that the table does not have, then the distribution of the
/// latencies of messages.
pub(crate) struct Latencies<'s> {
    pub rows: Vec<Row>,
    histogram: Option<&'s Histogram>,
    /// Percentiles that were asked for and have no column.
    pub asked: Section,
    whole: bool,
}

impl Latencies<'_> {
    pub fn of(summary: &Summary, whole: bool) -> Latencies<'_> {
        let (rate, set_up) = (summary.message_rate.as_ref(), summary.set_up.as_ref());
        let tls = summary.tls.as_ref();
        let l = &summary.latency;
        // First what a user notices, then its parts.
        let rows = [
            ("response", l.response),
            ("service", l.service),
            ("to first byte", l.ttfb),
            (
                "message lateness",
                rate.and_then(|r: &MessageRate| r.lateness),
            ),
            ("message age", l.marked),
            ("pong", l.pong),
            ("first byte", l.first_byte),
        ];
        let protocols = l.protocols.each();
        let opening = [
            ("TLS handshake", tls.and_then(|t| t.latency)),
            ("connect", set_up.and_then(|s: &SetUp| s.latency)),
        ];
        let rows = rows
            .into_iter()
            .chain(protocols.map(|(facts, percentiles)| (facts.label, *percentiles)))
            .chain(opening);
        let rows = rows.filter_map(|(label, percentiles)| {
            let p = percentiles?;
            let values = [p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us];
            let mut names = COLUMNS.iter();
            let cells = values.map(|us| {
                let bound = names.next().is_some_and(|(_, f)| p.at_least.contains(f));
                micros(us, bound)
            });
            Some(Row { label, cells })
        });
        let mut asked = Section::titled("");
        let usual = summary.latencies.iter().all(is_usual);
        for latency in summary.latencies.iter().filter(|_| whole || !usual) {
            asked_for(latency, l, &mut asked);
        }
        Latencies {
            rows: rows.collect(),
            histogram: summary.histogram.as_ref(),
            asked,
            whole,
        }
    }

    /// Writes them under a title, or in the short form without one.
    pub fn write(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        match self.whole {
            true => writeln!(out, "\n{}", paint("Latency", TITLE, form.colour))?,
            false => writeln!(out)?,
        }
        self.write_table(out, form)?;
        self.asked.write_rows(out, form)?;
        match self.histogram {
            Some(histogram) => write_histogram(histogram, out, form),
            None => Ok(()),
        }
    }

    fn write_table(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        let mut width = CELL;
        if LABEL + COLUMNS.len() * width > form.columns {
            width = NARROW_CELL.max(widest + 1);
        }
        if LABEL + COLUMNS.len() * width > form.columns {
            return self.write_list(out, form);
        }
        let heading: String = COLUMNS.map(|(p, _)| format!("{p:>width$}")).concat();
        let heading = format!("{:LABEL$}{heading}", "");
        writeln!(out, "{}", paint(&heading, DIM, form.colour))?;
        for row in &self.rows {
            let cells = row.cells.each_ref().map(|cell| format!("{cell:>width$}"));
            let label = format!("  {:<rest$}", row.label, rest = LABEL - 2);
            writeln!(out, "{label}{}", cells.concat())?;
        }
        Ok(())
    }

    /// The table where its columns do not fit.
    fn write_list(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        for row in &self.rows {
            let cells = COLUMNS.iter().zip(&row.cells);
            let cells: Vec<String> = cells.map(|((p, _), cell)| format!("{p} {cell}")).collect();
            let text = format!("{}: {}", row.label, cells.join(", "));
            for (nth, line) in wrapped(&text, form.room(4)).iter().enumerate() {
                writeln!(out, "{:1$}{line}", "", if nth == 0 { 2 } else { 4 })?;
            }
        }
        Ok(())
    }
}

/// Microseconds, or more than that.
fn micros(us: f64, at_least: bool) -> String {
    let bound = if at_least { "> " } else { "" };
    format!("{bound}{}", human::micros(us))
}

fn asked_for(latency: &LatencyAt, measured: &Latency, all: &mut Section) {
    let beyond = |p: &str| !IN_TABLE.contains(&p);
    let parts: Vec<String> = latency
        .at
        .iter()
        .filter(|at| beyond(&at.percentile))
        .filter_map(|at| {
            Some(format!(
                "p{} {}",
                at.percentile,
                micros(at.us?, at.at_least)
            ))
        })
        .collect();
    if parts.is_empty() {
        return;
    }
    let label = match latency.of {
        LatencyOf::Connect => "connect",
        LatencyOf::FirstByte => "first byte",
        LatencyOf::Message if measured.response.is_some() => "response",
        LatencyOf::Message if measured.service.is_some() => "service",
        LatencyOf::Message => "message age",
        LatencyOf::Pong => "pong",
    };
    all.prose(label, &parts.join(", "));
}

/// Whether these are the percentiles that are reported if none are asked for.
fn is_usual(latency: &LatencyAt) -> bool {
    let usual = Percentile::usual();
    let asked = latency.at.iter().map(|at| at.percentile.as_str());
    asked.eq(usual.iter().map(Percentile::written))
}

fn write_histogram(histogram: &Histogram, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let all: u64 = histogram.bins.iter().map(|bin| bin.count).sum();
    let what = match histogram.of {
        HistogramOf::Response => "response time",
        HistogramOf::Service => "service time",
        HistogramOf::Marked => "message age",
        HistogramOf::Pong => "pong time",
    };
    let heading = format!("  {}", human::things(all, what));
    writeln!(out, "{}", paint(&heading, DIM, form.colour))?;
    let rows = folded(&histogram.bins);
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0);
    for (label, count) in rows {
        let share = percent(count as f64, all as f64).unwrap_or_default();
        let cells = form.room(LABEL + CELL).min(BARS);
        let full = bar(count as f64 / most as f64, cells);
        let full = match (count, full.as_str()) {
            (1.., "") => "▏",
            (_, full) => full,
        };
        let line = format!("  {label:<rest$}{share:>9}  ", rest = LABEL - 2);
        let line = line + &paint(full, BAR, form.colour);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The bins with their bounds in words, at most [`BINS`]: those in a row that have the most, with all below in the first
/// of them and all above in the last.
fn folded(bins: &[Bin]) -> Vec<(String, u64)> {
    let count = |bins: &[Bin]| bins.iter().map(|bin| bin.count).sum::<u64>();
    let windows = bins.windows(BINS.min(bins.len().max(1))).enumerate();
    // The first of those that have the most: the tail is in one row anyway.
    let best = windows.max_by_key(|(at, window)| (count(window), std::cmp::Reverse(*at)));
    let Some((first, shown)) = best else {
        return Vec::new();
    };
    let last = shown.len() - 1;
    let rows = shown.iter().enumerate().map(|(at, bin)| {
        let to = round(bin.to_us);
        match at {
            0 => (format!("up to {to}"), count(&bins[..=first])),
            _ if at == last && first + at + 1 < bins.len() => {
                let from = round(shown[at - 1].to_us);
                (format!("above {from}"), count(&bins[first + at..]))
            }
            _ => {
                let from = round(shown[at - 1].to_us);
                (format!("{from} to {to}"), bin.count)
            }
        }
    });
    rows.collect()
}

/// A round number of microseconds, without zeros after the point.
fn round(us: f64) -> String {
    let text = human::micros(us);
    match text.split_once('.') {
        Some((whole, rest)) => {
            let unit = rest.trim_start_matches('0');
            match unit.starts_with(' ') {
                true => format!("{whole}{unit}"),
                false => text,
            }
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bins of 1-2-5 bounds from 100 µs on.
    fn bins(counts: &[u64]) -> Vec<Bin> {
        let bounds = [1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4];
        let bins = bounds.into_iter().zip(counts);
        bins.map(|(to_us, count)| Bin {
            to_us,
            count: *count,
        })
        .collect()
    }

    #[track_caller]
    fn assert_folded(counts: &[u64], rows: &[(&str, u64)]) {
        let folded = folded(&bins(counts));
        let folded: Vec<(&str, u64)> = folded.iter().map(|(l, n)| (l.as_str(), *n)).collect();
        assert_eq!(folded, rows);
    }

    #[test]
    fn a_histogram_has_few_rows_and_each_value_is_in_one() {
        assert_folded(&[], &[]);
        assert_folded(&[5], &[("up to 100 µs", 5)]);
        let few = [
            ("up to 100 µs", 1),
            ("100 µs to 200 µs", 2),
            ("200 µs to 500 µs", 3),
        ];
        assert_folded(&[1, 2, 3], &few);
        assert_folded(
            &[0, 1, 9, 50, 30, 5, 2, 2, 1],
            &[
                ("up to 500 µs", 10),
                ("500 µs to 1 ms", 50),
                ("1 ms to 2 ms", 30),
                ("2 ms to 5 ms", 5),
                ("5 ms to 10 ms", 2),
                ("above 10 ms", 3),
            ],
        );
        assert_folded(
            &[1, 0, 0, 9, 50, 30, 5, 2, 2],
            &[
                ("up to 1 ms", 10),
                ("1 ms to 2 ms", 50),
                ("2 ms to 5 ms", 30),
                ("5 ms to 10 ms", 5),
                ("10 ms to 20 ms", 2),
                ("20 ms to 50 ms", 2),
            ],
        );
    }
}
