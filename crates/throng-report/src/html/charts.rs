//! The charts of a result: what is drawn of a record, as plain data.

use super::{storms, watched};
use crate::chart::{Axis, Chart, Column, Heat, Kind, Point, Unit};
use std::collections::BTreeSet;
use std::time::Duration;
use throng_core::record::Record;
use throng_core::stats::{Durations, FailCause};
use throng_core::summary::{
    Answers, Curve, HistogramOf, Stretch, Summary, complete, curves, held, open_at, stretches,
};

/// Columns of a heat map, at most: more would be narrower than a pixel on a small screen.
const COLUMNS: usize = 150;
/// Cells in a column of a heat map, at most.
const CELLS: usize = 40;
/// A cell's upper bound is at least this many times its lower one: intervals keep latencies to a hundredth.
const FINEST: f64 = 1.06;
/// Kinds of a protocol's counts in one chart, at most.
const KINDS: usize = 8;

/// The latencies that connections have while they are opened.
const OF_OPENING: [&str; 3] = ["connect", "handshake", "first_byte"];

/// All charts of a result. Those that would show nothing are left out.
pub(super) fn of(summary: &Summary, record: &Record) -> Vec<Chart> {
    let run = stretches(record);
    let curves = curves(record);
    let mut all = Vec::new();
    // What flows ends with the run; what happens once may happen at its end.
    let flowing = complete(&run);
    if !run.is_empty() {
        all.push(open(summary, record, &run));
        all.extend(opened(summary, &run));
        all.extend(lost(&run));
        all.extend(messages(summary, flowing));
        all.extend(events(flowing));
        all.extend(bytes(flowing));
        all.extend(over_time(summary, &run));
    }
    let (opening, messages): (Vec<&Curve>, Vec<&Curve>) = curves
        .iter()
        .partition(|curve| OF_OPENING.contains(&curve.of.name));
    all.extend(by_percentile("Latency by percentile", &messages));
    all.extend(kinds(flowing));
    all.extend(by_percentile("Opening, by percentile", &opening));
    all.extend(watched::of(record));
    let held = held(record);
    for chart in all.iter_mut().filter(|chart| chart.x.unit == Unit::Seconds) {
        chart.shaded = held.map(|(from, to)| (from, to, "the hold".into()));
    }
    all.extend(storms::of(summary));
    all
}

/// The horizontal axis of what is shown over time.
fn time() -> Axis {
    Axis::linear("time since the run began", Unit::Seconds)
}

/// A value for each stretch, at its end.
fn each<'a>(
    run: &'a [Stretch],
    of: impl Fn(&Stretch) -> f64 + 'a,
) -> impl Iterator<Item = Point> + 'a {
    run.iter()
        .map(move |stretch| Point::new(stretch.to_s, Some(of(stretch))))
}

/// The counts of this name per second, for each stretch.
fn per_s<'a>(run: &'a [Stretch], name: &'a str) -> impl Iterator<Item = Point> + 'a {
    each(run, move |stretch| stretch.per_s(stretch.counted(name)))
}

fn any(run: &[Stretch], name: &str) -> bool {
    run.iter().any(|stretch| stretch.counted(name) > 0.0)
}

fn open(summary: &Summary, record: &Record, run: &[Stretch]) -> Chart {
    let about = match summary.connections.is_of_server() {
        true => "Accepted connections that were open at the end of each interval.",
        false => {
            "Connections that were open at the end of each interval, when opening was over, and at the end of the hold."
        }
    };
    let points = open_points(record, run);
    let count = Axis::linear("connections", Unit::Count);
    let mut chart = Chart::new("Open connections", about, time(), count);
    if let Some(asked) = summary.connections.asked.filter(|n| *n > 0) {
        let text = format!("asked for: {}", crate::human::count(asked));
        chart.levels.push((asked as f64, text));
    }
    chart.with("open", Kind::Line, points)
}

fn open_points(record: &Record, run: &[Stretch]) -> Vec<Point> {
    let known = open_at(record, run).into_iter();
    known
        .map(|(at_s, n)| Point::new(at_s, Some(n as f64)))
        .collect()
}

fn opened(summary: &Summary, run: &[Stretch]) -> Option<Chart> {
    let name = match summary.connections.is_of_server() {
        true => "accepted",
        false => "established",
    };
    any(run, name).then(|| {
        Chart::new(
            match name {
                "accepted" => "Accepting",
                _ => "Opening",
            },
            format!("Connections that were {name} in each interval, per second."),
            time(),
            Axis::linear("connections per second", Unit::PerSecond),
        )
        .with(name, Kind::Area, per_s(run, name))
    })
}

/// How connections end that this side did not close: the count, and words for it.
const ENDS: [(&str, &str); 4] = [
    ("closed.by_peer", "closed by the peer"),
    ("closed.reset_by_peer", "reset by the peer"),
    ("closed.timed_out", "no longer answered by the peer"),
    ("closed.error", "ended by an error on this side"),
];

/// Attempts that failed and connections that were lost, by cause.
fn lost(run: &[Stretch]) -> Option<Chart> {
    let failed = FailCause::ALL.map(|cause| {
        let name = format!("failed.{}", cause.name());
        (name, format!("failed: {}", cause.words()))
    });
    let ends = ENDS.map(|(name, words)| (name.to_owned(), words.to_owned()));
    let mut chart = Chart::new(
        "Failed and lost",
        "Attempts to connect that failed, and connections that ended without this side's doing, by cause.",
        time(),
        Axis::linear("per second", Unit::PerSecond),
    );
    for (name, words) in failed.into_iter().chain(ends) {
        if any(run, &name) {
            chart = chart.with(words, Kind::Step, per_s(run, &name));
        }
    }
    (!chart.series.is_empty()).then_some(chart)
}

fn messages(summary: &Summary, run: &[Stretch]) -> Option<Chart> {
    let of = [
        ("http.requests", "requests begun"),
        ("http.completed", "requests completed"),
        ("messages_sent", "messages sent"),
        ("messages_received", "replies received"),
        ("answers", "answers received"),
        ("pings", "pings sent"),
        ("reads", "reads"),
    ];
    let mut present: Vec<(&str, &str)> =
        of.into_iter().filter(|(name, _)| any(run, name)).collect();
    let http = present.iter().any(|(name, _)| name.starts_with("http."));
    // A request is a message, and its answer an answer. Reads say something only where messages are not known.
    let known = present.len() > 1;
    present.retain(|(name, _)| match *name {
        "messages_sent" | "answers" | "messages_received" => !http,
        "reads" => !known,
        _ => true,
    });
    let mut chart = Chart::new(
        if http { "Requests" } else { "Messages" },
        "What was sent and what came back in each interval, per second.",
        time(),
        Axis::linear("per second", Unit::PerSecond),
    );
    for (name, words) in present {
        chart = chart.with(words, Kind::Step, per_s(run, name));
    }
    let asked = summary
        .message_rate
        .as_ref()
        .and_then(|rate| rate.asked_per_s);
    if let Some(asked) = asked.filter(|_| !chart.series.is_empty()) {
        let text = format!("asked for: {}", crate::human::rate(asked));
        chart.levels.push((asked, text));
    }
    (!chart.series.is_empty()).then_some(chart)
}

/// Events of streams that last, and how these began and ended.
fn events(run: &[Stretch]) -> Option<Chart> {
    let of = [
        ("http.events", "events received"),
        ("http.events_missed", "events missing between their numbers"),
        ("http.streams", "streams that began"),
        ("http.streams_ended", "streams that the server ended"),
        ("http.streams_lost", "streams that were broken off"),
    ];
    let chart = Chart::new(
        "Event streams",
        "Events that arrived on streams in each interval, and streams that began and ended, per second.",
        time(),
        Axis::linear("per second", Unit::PerSecond),
    );
    let present = of.into_iter().filter(|(name, _)| any(run, name));
    let chart = present.fold(chart, |chart, (name, words)| {
        chart.with(words, Kind::Step, per_s(run, name))
    });
    (!chart.series.is_empty()).then_some(chart)
}

fn bytes(run: &[Stretch]) -> Option<Chart> {
    let mut chart = Chart::new(
        "Throughput",
        "Bytes sent and received in each interval, per second.",
        time(),
        Axis::linear("bytes per second", Unit::BytesPerSecond),
    );
    for (name, words) in [("bytes_sent", "sent"), ("bytes_received", "received")] {
        if any(run, name) {
            chart = chart.with(words, Kind::Step, per_s(run, name));
        }
    }
    (!chart.series.is_empty()).then_some(chart)
}

/// The latency of messages: its name in a record, and what people call it.
fn of_messages(summary: &Summary) -> Option<(&'static str, &'static str)> {
    Some(match summary.histogram.as_ref()?.of {
        HistogramOf::Response => ("response", "response time"),
        HistogramOf::Service => ("service", "service time"),
        HistogramOf::Marked => ("marked", "message age"),
        HistogramOf::Pong => ("pong", "time to a pong"),
    })
}

/// How latencies were distributed in each interval, and their percentiles.
fn over_time(summary: &Summary, run: &[Stretch]) -> Option<Chart> {
    let (name, words) = of_messages(summary)?;
    let measured: Vec<Durations> = run.iter().map(|stretch| stretch.durations(name)).collect();
    let at = |percent: f64| {
        let measured = measured.iter().zip(run);
        measured.map(move |(durations, stretch)| {
            let value = durations.percentile(percent);
            Point::new(stretch.to_s, value.map(us))
        })
    };
    let without = |a: &Answers| a.unanswered + a.waiting();
    let missing = match summary.answers.as_ref().map_or(0, without) {
        0 => "",
        _ => " Messages without an answer are not in it.",
    };
    let about = format!(
        "The {words} in each interval: how many of each length, the median, the 99th percentile and the longest.{missing}"
    );
    let chart = Chart::new(
        "Latency over time",
        about,
        time(),
        Axis::log(words, Unit::Micros),
    );
    let chart = Chart {
        heat: heat(run, &measured),
        ..chart
    };
    let chart = chart
        .with("median", Kind::Step, at(50.0))
        .with("99th percentile", Kind::Step, at(99.0))
        .with("longest", Kind::Step, at(100.0));
    chart.heat.is_some().then_some(chart)
}

fn us(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// The heat map of what was measured in each stretch; `None` if that is nothing.
fn heat(run: &[Stretch], measured: &[Durations]) -> Option<Heat> {
    let values = || measured.iter().flat_map(Durations::values);
    let least = us(values().map(|(value, _)| value).min()?).max(0.03);
    let greatest = us(values().map(|(value, _)| value).max()?).max(least);
    let cells = ((greatest / least).ln() / FINEST.ln()).ceil() as usize;
    let cells = cells.clamp(1, CELLS);
    let ratio = (greatest / least).powf(1.0 / cells as f64).max(FINEST);
    // The lowest cell begins below the least value, so that a single value has a cell, too.
    let bounds: Vec<f64> = (0..=cells + 1)
        .map(|n| least * ratio.powi(n as i32) / ratio.sqrt())
        .collect();
    let each = run.len().div_ceil(COLUMNS);
    let columns = run.chunks(each).zip(measured.chunks(each));
    let columns = columns.map(|(run, measured)| {
        let mut counts = vec![0; cells + 1];
        for (value, count) in measured.iter().flat_map(Durations::values) {
            let above = bounds.partition_point(|bound| *bound <= us(value));
            counts[above.clamp(1, cells + 1) - 1] += count;
        }
        Column {
            from: run.first().map_or(0.0, |stretch| stretch.from_s),
            to: run.last().map_or(0.0, |stretch| stretch.to_s),
            counts,
        }
    });
    Some(Heat {
        of: "answers".into(),
        columns: columns.collect(),
        bounds,
    })
}

/// Latencies at ever higher percentiles.
fn by_percentile(name: &str, curves: &[&Curve]) -> Option<Chart> {
    let mut chart = Chart::new(
        name,
        "How long all but the slowest took, over the whole run. Each step to the right leaves out fewer: one in 10, 100, 1,000.",
        Axis::log("percentile", Unit::OneIn),
        Axis::log("at most", Unit::Micros),
    );
    for curve in curves {
        let words = format!("{}: {}", curve.of.name.replace('_', " "), curve.of.help);
        chart = chart.with(words, Kind::Line, points(curve));
    }
    (!chart.series.is_empty()).then_some(chart)
}

fn points(curve: &Curve) -> impl Iterator<Item = Point> {
    curve.points.iter().map(|point| Point {
        at_least: point.at_least,
        ..Point::new(1.0 / point.tail, Some(point.us))
    })
}

/// A chart for each list of kinds that a protocol counts, such as the statuses of HTTP.
fn kinds(run: &[Stretch]) -> Vec<Chart> {
    let names: BTreeSet<&str> = run.iter().flat_map(Stretch::names).collect();
    let of_kind = |name: &str| Some((name.rsplit_once('.')?.0.to_owned(), name.to_owned()));
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    // `http.status.200`, but not `http.completed`, nor `failed.refused`, which has a chart of its own.
    let kinds = names
        .into_iter()
        .filter(|name| name.matches('.').count() == 2);
    for (list, name) in kinds.filter_map(of_kind) {
        match lists.last_mut() {
            Some((known, names)) if *known == list => names.push(name),
            _ => lists.push((list, vec![name])),
        }
    }
    let charts = lists.into_iter().map(|(list, mut names)| {
        let all = |name: &String| run.iter().map(|s| s.counted(name)).sum::<f64>();
        names.sort_by(|a, b| all(b).total_cmp(&all(a)));
        let left_out = names.len().saturating_sub(KINDS);
        let (protocol, kind) = list.split_once('.').unwrap_or((&list, ""));
        let more = match left_out {
            0 => String::new(),
            n => format!(" The {n} rarest are left out."),
        };
        let chart = Chart::new(
            format!("{}: {}", protocol.to_uppercase(), kind.replace('_', " ")),
            format!("Counts by kind in each interval, per second.{more}"),
            time(),
            Axis::linear("per second", Unit::PerSecond),
        );
        names.iter().take(KINDS).fold(chart, |chart, name| {
            let kind = name.rsplit('.').next().unwrap_or(name);
            chart.with(kind.replace('_', " "), Kind::Step, per_s(run, name))
        })
    });
    charts.collect()
}

/// Several results, each with its name, side by side.
pub(super) fn side_by_side<'r>(
    results: impl Iterator<Item = (&'r str, &'r Summary, &'r Record)> + Clone,
) -> Vec<Chart> {
    let mut latency = Chart::new(
        "Latency of messages, side by side",
        "How long all but the slowest took in each run.",
        Axis::log("percentile", Unit::OneIn),
        Axis::log("at most", Unit::Micros),
    );
    let mut open = Chart::new(
        "Open connections, side by side",
        "Connections that were open, each run from its own beginning.",
        time(),
        Axis::linear("connections", Unit::Count),
    );
    for (name, summary, record) in results {
        let curves = curves(record);
        let of = of_messages(summary);
        let curve = curves
            .iter()
            .find(|c| of.is_some_and(|(of, _)| of == c.of.name));
        if let (Some(curve), Some((_, words))) = (curve, of) {
            latency = latency.with(format!("{name}: {words}"), Kind::Line, points(curve));
        }
        let run = stretches(record);
        if !run.is_empty() {
            open = open.with(name, Kind::Line, open_points(record, &run));
        }
    }
    let several = |chart: &Chart| chart.series.len() > 1;
    [latency, open].into_iter().filter(several).collect()
}
