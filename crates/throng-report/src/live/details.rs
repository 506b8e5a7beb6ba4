//! What a large terminal has room for: rates and latency over time, and what failed, by cause.

use super::history::{History, Second};
use super::lines::{Part, fitted};
use crate::colour::{BAD, BAR, DIM, paint};
use crate::human;
use crate::sparkline::plot;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::summary::Snapshot;

/// Columns of a label.
const LABEL: usize = 15;
/// Columns for the present value and the greatest one.
const SCALE: usize = 28;
/// Fewer bars than this show nothing.
const FEW: usize = 4;
/// The height of a plot where there is room.
const TALL: usize = 4;

/// A value over time.
struct Curve {
    label: &'static str,
    of: fn(&Second) -> f64,
    written: fn(f64) -> String,
}

const CURVES: [Curve; 4] = [
    Curve {
        label: "established",
        of: |second| second.opened_per_s,
        written: human::rate,
    },
    Curve {
        label: "messages",
        of: |second| second.messages_per_s,
        written: human::rate,
    },
    Curve {
        label: "answers",
        of: |second| second.answers_per_s,
        written: human::rate,
    },
    Curve {
        label: "p99",
        of: |second| second.p99_s,
        written: human::seconds,
    },
];

/// At most `rows` lines of at most `columns`.
pub(super) fn of(
    snapshot: &Snapshot,
    history: &History,
    columns: usize,
    rows: usize,
    colour: bool,
) -> Vec<String> {
    let mut lines = causes(&snapshot.now, columns, colour);
    lines.truncate(rows);
    let cells = columns.saturating_sub(LABEL + SCALE);
    let curves: Vec<(&Curve, Vec<f64>)> = CURVES
        .iter()
        .map(|curve| (curve, history.last(cells, curve.of)))
        .filter(|(_, values)| values.len() >= FEW && values.iter().any(|v| *v > 0.0))
        .collect();
    let left = rows - lines.len();
    // A line for the title.
    if curves.is_empty() || left < curves.len() + 1 {
        return lines;
    }
    let height = match left > curves.len() * TALL {
        true => TALL,
        false => 1,
    };
    let seconds = curves.iter().map(|(_, values)| values.len()).max();
    let title = format!("the last {} seconds", seconds.unwrap_or(0));
    lines.push(paint(&title, DIM, colour));
    for (curve, values) in &curves {
        lines.extend(drawn(curve, values, height, colour));
    }
    lines
}

/// A curve in `height` lines: the label and the values stand beside the lowest.
fn drawn(curve: &Curve, values: &[f64], height: usize, colour: bool) -> Vec<String> {
    let greatest = values.iter().copied().fold(0.0, f64::max);
    let now = values.last().copied().unwrap_or(0.0);
    let rows = plot(values, greatest, height);
    let last = rows.len() - 1;
    let rows = rows.iter().enumerate().map(|(nth, row)| {
        let label = if nth == last { curve.label } else { "" };
        let row = paint(row, BAR, colour);
        let scale = match nth == last {
            true => format!(
                " {}, up to {}",
                (curve.written)(now),
                (curve.written)(greatest)
            ),
            false => String::new(),
        };
        format!("{label:LABEL$}{row}{scale}").trim_end().to_owned()
    });
    rows.collect()
}

/// Failed attempts and lost connections, by cause.
fn causes(now: &Tally, columns: usize, colour: bool) -> Vec<String> {
    let bad = |text: String| Part { text, style: BAD };
    let counted = |n: u64, what: &str| bad(format!("{} {what}", human::count(n)));
    let failed = FailCause::ALL.into_iter().filter(|c| now.failed(*c) > 0);
    let failed = failed.map(|c| (now.failed(c), c.words()));
    let closed = [
        (Closed::ByPeer, "by the peer"),
        (Closed::ResetByPeer, "by the peer's reset"),
        (Closed::TimedOut, "the peer no longer answered"),
        (Closed::Error, "by an error on this side"),
    ];
    let closed = closed.into_iter().filter(|(c, _)| now.closed(*c) > 0);
    let closed = closed.map(|(c, words)| (now.closed(c), words));
    let line = |label: &str, mut causes: Vec<(u64, &str)>| {
        causes.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let parts: Vec<Part> = causes.iter().map(|(n, words)| counted(*n, words)).collect();
        let room = columns.saturating_sub(LABEL);
        format!("{label:LABEL$}{}", fitted(&parts, room, colour))
    };
    let mut lines = Vec::new();
    for (label, causes) in [
        ("failed", failed.collect::<Vec<_>>()),
        ("closed", closed.collect()),
    ] {
        if !causes.is_empty() && columns > LABEL {
            lines.push(line(label, causes));
        }
    }
    lines
}
