//! The panels of the full screen, and where they are.

use super::view::{Rates, View};
use crate::human::{self, count, rate, throughput};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, Widget};
use std::time::Duration;
use throng_core::record::Phase;
use throng_core::stats::{Closed, Durations, FailCause};

/// The least columns and rows that the full screen needs.
pub const LEAST: (u16, u16) = (60, 16);
/// From this width on there is a panel for the limits.
const WIDE: u16 = 100;

/// From this width on, a panel has room for words beside its numbers.
const ROOMY: u16 = 36;

/// Columns for a percentile of the last second and of the run, and of the run alone.
const BOTH: usize = 20;
const ONE: usize = 9;

/// A label that is cut to less says nothing.
const SHORTEST: usize = 4;

/// Draws `view` into all of `area`.
pub fn draw(view: &View, area: Rect, buffer: &mut Buffer) {
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "{} × {} is too small: {} × {} are needed",
            area.width, area.height, LEAST.0, LEAST.1
        );
        return Paragraph::new(text).render(area, buffer);
    }
    // Half of what is left goes to the picture over time.
    let fixed = 2 + 6 + 1;
    let rest = area.height - fixed;
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(6),
        Constraint::Length(rest.div_ceil(2)),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [head, numbers, pictures, lists, foot] = rows.areas(area);
    draw_head(view, head, buffer);
    let halves = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]);
    let [left, right] = halves.areas(numbers);
    connections(view, left, buffer);
    rates(view, right, buffer);
    let [left, right] = halves.areas(pictures);
    heat(view, left, buffer);
    latencies(view, right, buffer);
    if area.width >= WIDE && !view.limits.is_empty() {
        let thirds = Layout::horizontal([
            Constraint::Percentage(25),
            Constraint::Percentage(30),
            Constraint::Min(0),
        ]);
        let [left, middle, right] = thirds.areas(lists);
        failures(view, left, buffer);
        limits(view, middle, buffer);
        notes(view, right, buffer);
    } else {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(40), Constraint::Min(0)]).areas(lists);
        failures(view, left, buffer);
        notes(view, right, buffer);
    }
    let keys = Line::from(Span::styled(view.keys.clone(), Style::new().dim()));
    keys.render(foot, buffer);
}

/// A frame with a title; returns what is inside.
fn framed(title: &str, area: Rect, buffer: &mut Buffer) -> Rect {
    let title = Span::styled(format!(" {title} "), Style::new().bold());
    let block = Block::bordered()
        .title(title)
        .border_style(Style::new().dim());
    let inside = block.inner(area);
    block.render(area, buffer);
    inside
}

fn draw_head(view: &View, area: Rect, buffer: &mut Buffer) {
    let whole = |span: Duration| human::countdown(Duration::from_secs(span.as_secs()));
    let mut words = vec![
        Span::styled(view.title.clone(), Style::new().bold()),
        Span::raw(format!("  {} {}", view.phase.name(), whole(view.elapsed))),
    ];
    if let Some(left) = view.left {
        words.push(Span::raw(format!(", {} left", human::countdown(left))));
    }
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    Line::from(words).render(first, buffer);
    let open = view.now.open();
    let text = match view.asked {
        Some(asked) => format!(" {} of {} open", count(open), count(asked)),
        None => format!(" {} open", count(open)),
    };
    let columns = usize::from(area.width).saturating_sub(text.chars().count());
    let full = match view.asked {
        Some(asked @ 1..) if view.phase != Phase::Serving => open as f64 / asked as f64,
        _ => 0.0,
    };
    let cells = ((full.clamp(0.0, 1.0)) * columns as f64) as usize;
    Line::from(vec![
        Span::styled("█".repeat(cells), Style::new().fg(Color::Cyan)),
        Span::styled("░".repeat(columns - cells), Style::new().dim()),
        Span::raw(text),
    ])
    .render(second, buffer);
}

/// Writes a label and a value in each line of `area`, as far as they fit. A label may be
/// cut, but not a value: half a number is a wrong number.
fn rows(all: Vec<(String, String, Style)>, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let long = |text: &str| text.chars().count();
    for ((mut label, mut value, style), y) in all.into_iter().zip(area.top()..area.bottom()) {
        let room = width.saturating_sub(long(&value) + 1);
        if long(&label) > room {
            label = match room {
                SHORTEST.. => label.chars().take(room - 1).chain(['…']).collect(),
                _ => String::new(),
            };
        }
        if long(&value) > width {
            value = "…".to_owned();
        }
        let blanks = width.saturating_sub(long(&label) + long(&value));
        let line = Line::from(vec![
            Span::raw(label),
            Span::raw(" ".repeat(blanks)),
            Span::styled(value, style),
        ]);
        line.render(Rect::new(area.x, y, area.width, 1), buffer);
    }
}

fn connections(view: &View, area: Rect, buffer: &mut Buffer) {
    let inside = framed("Connections", area, buffer);
    let now = &view.now;
    let odd = |n: u64, colour| match n {
        0 => Style::new(),
        _ => Style::new().fg(colour).bold(),
    };
    let lost = now.closed_in_all() - now.closed(Closed::ByUs);
    let per_s = rate(view.rates().established);
    let serving = view.phase == Phase::Serving;
    let all = vec![
        (
            if serving { "accepted" } else { "established" }.to_owned(),
            format!("{}, {per_s}", count(now.established + now.accepted)),
            Style::new(),
        ),
        ("most at once".to_owned(), count(view.peak), Style::new()),
        (
            "failed attempts".to_owned(),
            count(now.failed_in_all()),
            odd(now.failed_in_all(), Color::Red),
        ),
        (
            "closed, not by throng".to_owned(),
            count(lost),
            odd(lost, Color::Yellow),
        ),
    ];
    rows(all, inside, buffer);
}

fn rates(view: &View, area: Rect, buffer: &mut Buffer) {
    let inside = framed("Traffic", area, buffer);
    let now = view.rates();
    let mut messages = rate(now.sent);
    if let Some(asked) = view.dialled_per_s {
        messages += &format!(" of {}", rate(asked));
        if inside.width >= ROOMY {
            messages += " asked for";
        }
    }
    let all = vec![
        ("messages".to_owned(), messages, Style::new()),
        ("answers".to_owned(), rate(now.answers), Style::new()),
        (
            "bytes".to_owned(),
            format!(
                "↑ {}  ↓ {}",
                throughput(now.bytes_sent),
                throughput(now.bytes_received)
            ),
            Style::new(),
        ),
    ];
    rows(all, inside, buffer);
    let Some(last) = (inside.height > 3).then(|| inside.bottom() - 1) else {
        return;
    };
    // Connections per second until messages are sent.
    let any = view.rates.iter().any(|second| second.sent > 0.0);
    let of = |second: &Rates| if any { second.sent } else { second.established };
    let skip = view.rates.len().saturating_sub(inside.width.into());
    let points: Vec<u64> = view
        .rates
        .iter()
        .skip(skip)
        .map(|s| of(s).round() as u64)
        .collect();
    let line = Rect::new(inside.x, last, inside.width, 1);
    let style = Style::new().fg(Color::Cyan);
    Sparkline::default()
        .data(points)
        .style(style)
        .render(line, buffer);
}

fn heat(view: &View, area: Rect, buffer: &mut Buffer) {
    let title = match view.main_latency() {
        Some(timed) => format!("{} over time", timed.name),
        None => "Latency over time".to_owned(),
    };
    let inside = framed(&title, area, buffer);
    view.heat.draw(inside, buffer);
}

/// Percentiles in the last second and in the whole run, or, where there is little room, in the run alone.
fn latencies(view: &View, area: Rect, buffer: &mut Buffer) {
    let name = view.latencies.iter().map(|timed| timed.name.len()).max();
    let name = name.unwrap_or(0);
    let room = usize::from(area.width).saturating_sub(2 + name);
    let both = room / BOTH >= 2;
    let (title, width) = match both {
        true => ("Latency: last second / run", BOTH),
        false => ("Latency of the run", ONE),
    };
    let inside = framed(title, area, buffer);
    // Whole columns only.
    let all = [("p50", 50.0), ("p99", 99.0), ("max", 100.0)];
    let fit = &all[..(room / width).min(all.len())];
    let mut head = " ".repeat(name);
    for (percent, _) in fit {
        head += &format!("{percent:>width$}");
    }
    let mut lines = vec![Line::from(Span::styled(head, Style::new().dim()))];
    let at = |all: &Durations, percent| match all.percentile(percent) {
        Some(took) => human::duration(took),
        None => "-".to_owned(),
    };
    for timed in view.latencies.iter().filter(|timed| timed.all.count() > 0) {
        let mut line = format!("{:<name$}", timed.name);
        for (_, percent) in fit {
            let run = at(&timed.all, *percent);
            let text = match both {
                true => format!("{} / {run}", at(&timed.recent, *percent)),
                false => run,
            };
            line += &format!("{text:>width$}");
        }
        lines.push(Line::from(line));
    }
    Paragraph::new(lines).render(inside, buffer);
}

fn failures(view: &View, area: Rect, buffer: &mut Buffer) {
    let inside = framed("Failures", area, buffer);
    let now = &view.now;
    let failed = FailCause::ALL.map(|cause| (cause.words().to_owned(), now.failed(cause)));
    let closed = Closed::ALL.into_iter().filter(|how| *how != Closed::ByUs);
    let closed = closed.map(|how| {
        (
            format!("closed {}", how.name().replace('_', " ")),
            now.closed(how),
        )
    });
    let mut all: Vec<(String, u64)> = failed.into_iter().chain(closed).collect();
    all.retain(|(_, n)| *n > 0);
    all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    if all.is_empty() {
        let dim = Style::new().dim();
        return Line::from(Span::styled("none", dim)).render(inside, buffer);
    }
    let style = Style::new().fg(Color::Red);
    let all = all.into_iter().map(|(cause, n)| (cause, count(n), style));
    rows(all.collect(), inside, buffer);
}

/// How much of each limit the open connections use.
fn limits(view: &View, area: Rect, buffer: &mut Buffer) {
    let inside = framed("Limits", area, buffer);
    let open = view.now.open() as f64;
    let all = view.limits.iter().map(|(name, allows)| {
        let share = open / (*allows).max(1) as f64;
        let style = match share {
            0.9.. => Style::new().fg(Color::Yellow).bold(),
            _ => Style::new(),
        };
        let share = format!("{:.0} % of {}", share * 100.0, count(*allows));
        (name.clone(), share, style)
    });
    rows(all.collect(), inside, buffer);
}

/// The last notes, each in a line.
fn notes(view: &View, area: Rect, buffer: &mut Buffer) {
    let inside = framed("Notes", area, buffer);
    let lines = view.notes.iter().flat_map(|note| note.lines());
    let lines: Vec<&str> = lines.collect();
    let skip = lines.len().saturating_sub(inside.height.into());
    let shown: Vec<Line> = lines.into_iter().skip(skip).map(Line::from).collect();
    Paragraph::new(shown).render(inside, buffer);
}
