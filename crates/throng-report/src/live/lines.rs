//! The first lines of the live view, which every terminal has room for: the connections, their traffic, and their answers.

use crate::colour::{BAD, BAR, DIM, GOOD, ODD, PLAIN, paint};
use crate::human;
use crate::sparkline::bar;
use anstyle::Style;
use std::time::Duration;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::summary::{Phase, Snapshot};

/// A piece of a line, shown whole or not at all: half a number is a wrong number.
pub(super) struct Part {
    pub text: String,
    pub style: Style,
}

fn part(text: String) -> Part {
    let style = PLAIN;
    Part { text, style }
}

/// `elapsed`, as full seconds: a countdown would round it up.
fn whole(elapsed: Duration) -> Duration {
    Duration::from_secs(elapsed.as_secs())
}

/// `snapshot` in one line without colours, however long.
pub fn plain(snapshot: &Snapshot) -> String {
    let mut line = format!("{:>8}", human::countdown(whole(snapshot.elapsed)));
    let all = state(snapshot).into_iter().chain(traffic(snapshot));
    let all = all.chain(answers(snapshot));
    for (i, part) in all.enumerate() {
        line += if i == 0 { "  " } else { ", " };
        line += &part.text;
    }
    line
}

/// `snapshot` as lines of at most `columns`.
pub fn of(snapshot: &Snapshot, columns: usize, colour: bool) -> Vec<String> {
    let mut first = String::new();
    let mut left = columns;
    if let (Some(asked), 60..) = (snapshot.asked, columns)
        && asked > 0
        && snapshot.phase != Phase::Serving
    {
        let cells = (columns / 6).clamp(10, 24);
        let full = snapshot.now.open() as f64 / asked as f64;
        let done = bar(full, cells);
        let rest = "░".repeat(cells - done.chars().count());
        first = paint(&done, BAR, colour) + &rest + " ";
        left -= cells + 1;
    }
    first += &fitted(&state(snapshot), left, colour);
    let mut lines = vec![first];
    for parts in [traffic(snapshot), answers(snapshot), keys(snapshot)] {
        if !parts.is_empty() {
            lines.push(fitted(&parts, columns, colour));
        }
    }
    lines
}

/// The keys that change the rate, where there are any.
fn keys(snapshot: &Snapshot) -> Vec<Part> {
    let Some(per_s) = snapshot.dialled_per_s else {
        return Vec::new();
    };
    let dim = |text: &str| Part {
        text: text.to_owned(),
        style: DIM,
    };
    let opening = snapshot.phase == Phase::Opening;
    let pauses = opening.then(|| dim("p pauses opening"));
    let rate = [
        part(format!("{} asked for", human::rate(per_s))),
        dim("↑ faster"),
        dim("↓ slower"),
    ];
    let ends = [dim("q ends the run")];
    rate.into_iter().chain(pauses).chain(ends).collect()
}

/// As many of `parts`, from the first, as fit into `columns`.
pub(super) fn fitted(parts: &[Part], columns: usize, colour: bool) -> String {
    let mut line = String::new();
    let mut left = columns;
    for (i, part) in parts.iter().enumerate() {
        let gap = if i == 0 { "" } else { " · " };
        let needs = gap.chars().count() + part.text.chars().count();
        if needs > left {
            if i == 0 && left > 0 {
                line.extend(part.text.chars().take(left - 1));
                line.push('…');
            }
            break;
        }
        line += gap;
        line += &paint(&part.text, part.style, colour);
        left -= needs;
    }
    line
}

/// Events per second in the snapshot's last interval.
fn per_s(n: u64, snapshot: &Snapshot) -> f64 {
    let seconds = snapshot.interval.as_secs_f64();
    if seconds > 0.0 {
        n as f64 / seconds
    } else {
        0.0
    }
}

/// The state of the connections, the most important first.
fn state(snapshot: &Snapshot) -> Vec<Part> {
    let now = &snapshot.now;
    let open = now.open();
    let mut parts = match snapshot.phase {
        Phase::Serving | Phase::Draining if is_proxy(now) => pairs(snapshot),
        Phase::Serving => serving(snapshot),
        Phase::Closing => vec![part(format!("closing, {} still open", human::count(open)))],
        Phase::Opening | Phase::Holding | Phase::Draining => vec![up(snapshot)],
    };
    match snapshot.phase {
        Phase::Opening => {
            parts.push(part(human::rate(per_s(
                snapshot.recent.established,
                snapshot,
            ))));
        }
        Phase::Holding => parts.push(part("holding".into())),
        Phase::Draining => parts.push(part("draining".into())),
        Phase::Closing | Phase::Serving => {}
    }
    if let Some(text) = failures(now) {
        parts.push(Part { text, style: BAD });
    }
    let lost = lost(now);
    // Who comes to a proxy may leave when it wants.
    if lost > 0 && snapshot.phase != Phase::Serving && !is_proxy(now) {
        let text = format!("{} lost", human::count(lost));
        parts.push(Part { text, style: BAD });
    }
    if let Some(left) = snapshot.left {
        parts.push(part(format!("{} left", human::countdown(left))));
    } else if let Some(left) = until_up(snapshot) {
        parts.push(part(format!("all in {}", human::countdown(left))));
    }
    if let Some(server) = &snapshot.server
        && snapshot.phase != Phase::Closing
    {
        let text = format!("server has {}", human::count(server.open()));
        // While connections are opened it may be behind; afterwards it should not be.
        let behind = snapshot.phase == Phase::Holding && server.open() != open;
        let style = if behind { ODD } else { PLAIN };
        parts.push(Part { text, style });
    }
    parts
}

/// How many connections are open, and of how many.
fn up(snapshot: &Snapshot) -> Part {
    let open = snapshot.now.open();
    let Some(asked) = snapshot.asked else {
        return part(human::things(open, "connection"));
    };
    let text = format!("{} of {}", human::count(open), human::count(asked));
    match human::percent(open as f64, asked as f64) {
        Some(_) if open >= asked => Part { text, style: GOOD },
        // Whole percent, rounded down: the count beside it is exact.
        Some(_) => part(format!(
            "{text} ({} %)",
            (open as f64 / asked as f64 * 100.0) as u64
        )),
        None => part(text),
    }
}

/// Whether the counts are those of a proxy: it opens connections while it serves.
fn is_proxy(now: &Tally) -> bool {
    now.accepted > 0 && now.attempted > 0
}

fn pairs(snapshot: &Snapshot) -> Vec<Part> {
    let (now, recent) = (&snapshot.now.proxy, &snapshot.recent.proxy);
    let mut parts = vec![
        part(human::things(now.pairs(), "pair")),
        part(format!("{} opened", human::count(now.paired))),
        part(format!(
            "{} pairs/s",
            human::short(per_s(recent.paired, snapshot))
        )),
    ];
    if now.turned_away > 0 {
        let text = format!("{} turned away", human::count(now.turned_away));
        parts.push(Part { text, style: BAD });
    }
    parts
}

fn serving(snapshot: &Snapshot) -> Vec<Part> {
    let now = &snapshot.now;
    let text = match snapshot.asked {
        Some(most) => format!(
            "{} of {}",
            human::count(now.open()),
            human::things(most, "connection")
        ),
        None => human::things(now.open(), "connection"),
    };
    vec![
        part(text),
        part(format!("peak {}", human::count(snapshot.peak))),
        part(format!("{} accepted", human::count(now.accepted))),
        part(format!(
            "{} accepts/s",
            human::short(per_s(snapshot.recent.accepted, snapshot))
        )),
    ]
}

/// Attempts that failed, with the cause of most of them.
fn failures(now: &Tally) -> Option<String> {
    let all = now.failed_in_all();
    let most = FailCause::ALL.into_iter().max_by_key(|c| now.failed(*c))?;
    let text = match now.failed(most) {
        0 => return None,
        n if n == all => format!("{} failed: {}", human::count(all), most.words()),
        n => format!(
            "{} failed, {} {}",
            human::count(all),
            human::count(n),
            most.words()
        ),
    };
    Some(text)
}

/// Connections that ended, except those that this side closed.
fn lost(now: &Tally) -> u64 {
    now.closed_in_all() - now.closed(Closed::ByUs)
}

/// Until all connections are established, at the present rate; `None` if as many end as are established.
fn until_up(snapshot: &Snapshot) -> Option<Duration> {
    let missing = snapshot.asked?.saturating_sub(snapshot.now.open());
    let recent = &snapshot.recent;
    let more = recent.established.saturating_sub(recent.closed_in_all());
    let rate = per_s(more, snapshot);
    if snapshot.phase != Phase::Opening || missing == 0 || rate <= 0.0 {
        return None;
    }
    Duration::try_from_secs_f64(missing as f64 / rate).ok()
}

/// The traffic over the connections, and latency; empty if there was no traffic so far.
fn traffic(snapshot: &Snapshot) -> Vec<Part> {
    let (now, recent) = (&snapshot.now, &snapshot.recent);
    let serves = now.accepted > 0 || snapshot.phase == Phase::Serving;
    let out = || match (serves, now.messages_sent) {
        (false, 1..) => (recent.messages_sent, "messages"),
        _ => (recent.writes, "writes"),
    };
    let inward = || match (serves, now.messages_received) {
        (false, 1..) => (recent.messages_received, "replies"),
        _ => (recent.reads, "reads"),
    };
    if is_proxy(now) {
        let recent = &recent.proxy;
        let way = |from: &str, bytes: u64| {
            let rate = human::throughput(per_s(bytes, snapshot));
            part(format!("from {from} {rate}"))
        };
        return match now.bytes_received {
            0 => Vec::new(),
            _ => vec![
                way("clients", recent.from_clients),
                way("backends", recent.from_backends),
            ],
        };
    }
    let mut ways = Vec::new();
    if now.bytes_sent > 0 {
        ways.push(("out", recent.bytes_sent, out()));
    }
    if now.bytes_received > 0 {
        ways.push(("in", recent.bytes_received, inward()));
    }
    if serves {
        ways.reverse();
    }
    let throughput = |bytes: u64| human::throughput(per_s(bytes, snapshot));
    let mut parts = Vec::new();
    for (way, bytes, (events, what)) in &ways {
        let rate = human::short(per_s(*events, snapshot));
        parts.push(part(match snapshot.latency {
            None => format!("{way} {rate} {what}/s {}", throughput(*bytes)),
            Some(_) => format!("{way} {rate} {what}/s"),
        }));
    }
    // Latency says more than bytes do, so it is preferred where there is room for one of them.
    if let Some((p50, p99)) = snapshot.latency {
        let (p50, p99) = (human::duration(p50), human::duration(p99));
        parts.push(part(format!("p50 {p50} p99 {p99}")));
        for (way, bytes, _) in &ways {
            parts.push(part(format!("{way} {}", throughput(*bytes))));
        }
    }
    if !serves && now.messages_sent > 0 && now.questions == 0 {
        parts.push(part(format!(
            "{} sent",
            human::things(now.messages_sent, "message")
        )));
    }
    parts
}

/// Answers to messages, and those that are missing; empty where none are looked for.
fn answers(snapshot: &Snapshot) -> Vec<Part> {
    let now = &snapshot.now;
    if now.questions == 0 {
        return Vec::new();
    }
    let missing = now.waiting();
    // Some are always on their way. That none at all comes is worth a look.
    let stalled = missing > 0 && snapshot.recent.answers == 0;
    let mut parts = vec![Part {
        text: format!("{} missing now", human::things(missing, "answer")),
        style: if stalled { ODD } else { PLAIN },
    }];
    if now.messages_unanswered > 0 {
        let text = format!("{} never answered", human::count(now.messages_unanswered));
        parts.push(Part { text, style: BAD });
    }
    parts.push(part(format!("{} sent", human::count(now.questions))));
    parts.push(part(format!("{} answered", human::count(now.answers))));
    if let Some(late) = snapshot.late {
        parts.push(part(format!("late p99 {}", human::duration(late))));
    }
    parts
}
