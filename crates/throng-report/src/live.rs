//! The run as it goes, on stderr: on a terminal one or two lines that are drawn over each time,
//! elsewhere one plain line for each call. What is printed in between goes through [`Live::note`].
//!
//! Nothing here can fail the run: what stderr does not take is dropped. A terminal that is stopped
//! (Ctrl-S) blocks [`Live::update`], as it does any program; so no worker calls it.

use crate::colour::{self, BAD, BAR, GOOD, ODD, PLAIN, paint};
use crate::human;
use anstyle::Style;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::summary::{Phase, Snapshot};

/// How the live view looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveStyle {
    /// Lines that are drawn over: call [`Live::update`] ten times a second.
    Terminal,
    /// One line for each call, without escape codes: once a second.
    Plain,
    /// Nothing but notes.
    Quiet,
}

impl LiveStyle {
    /// That which suits stderr, or [`LiveStyle::Quiet`] if the user asked for it.
    pub fn detect(quiet: bool) -> LiveStyle {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        match (quiet, io::stderr().is_terminal() && !dumb) {
            (true, _) => LiveStyle::Quiet,
            (false, true) => LiveStyle::Terminal,
            (false, false) => LiveStyle::Plain,
        }
    }

    /// How often to call [`Live::update`].
    pub fn every(self) -> Duration {
        match self {
            LiveStyle::Terminal => Duration::from_millis(100),
            LiveStyle::Plain | LiveStyle::Quiet => Duration::from_secs(1),
        }
    }
}

/// The columns to reckon with where they can't be known.
const COLUMNS: usize = 80;

/// The live view. What it shows on a terminal is wiped when it is dropped.
pub struct Live<W: Write = io::Stderr> {
    out: W,
    style: LiveStyle,
    colour: bool,
    columns: Box<dyn Fn() -> usize + Send>,
    /// The lines that are on the terminal now.
    shown: Vec<String>,
}

impl Live {
    /// On stderr, in colour if that is wanted there.
    pub fn new(style: LiveStyle) -> Live {
        let columns = || terminal_size::terminal_size_of(io::stderr()).map_or(0, |(w, _)| w.0);
        let colour = colour::wanted(&io::stderr());
        Live::over(io::stderr(), style, colour, move || columns().into())
    }
}

impl<W: Write> Live<W> {
    /// On `out`. `columns` is asked for the terminal's width each time; 0 is unknown.
    pub fn over(
        out: W,
        style: LiveStyle,
        colour: bool,
        columns: impl Fn() -> usize + Send + 'static,
    ) -> Live<W> {
        Live {
            out,
            style,
            colour: colour && style == LiveStyle::Terminal,
            columns: Box::new(columns),
            shown: Vec::new(),
        }
    }

    /// Shows `snapshot`.
    pub fn update(&mut self, snapshot: &Snapshot) {
        match self.style {
            LiveStyle::Quiet => {}
            LiveStyle::Plain => {
                let mut line = format!("{:>8}", human::countdown(whole(snapshot.elapsed)));
                let all = state(snapshot).into_iter().chain(traffic(snapshot));
                for (i, part) in all.enumerate() {
                    line += if i == 0 { "  " } else { ", " };
                    line += &part.text;
                }
                line.push('\n');
                self.write(&line);
            }
            LiveStyle::Terminal => {
                let columns = match (self.columns)() {
                    0 => COLUMNS,
                    n => n,
                };
                // One column less: a terminal wraps, or clears, once the last one is written.
                let lines = lines(snapshot, columns - 1, self.colour);
                let frame = self.home() + &lines.join("\x1b[K\r\n") + "\x1b[J";
                self.shown = lines;
                self.write(&frame);
            }
        }
    }

    /// Prints `text` on lines of its own, the live view staying below it. In every style: that
    /// progress is not wanted does not mean that warnings aren't.
    pub fn note(&mut self, text: &str) {
        let mut all = self.home();
        if !self.shown.is_empty() {
            all += "\x1b[J";
        }
        all += text.trim_end_matches('\n');
        all.push('\n');
        all += &self.shown.join("\r\n");
        self.write(&all);
    }

    /// Wipes what is shown; the next update shows it again.
    pub fn clear(&mut self) {
        if !self.shown.is_empty() {
            let all = self.home() + "\x1b[J";
            self.shown.clear();
            self.write(&all);
        }
    }

    /// Wipes what is shown, for good: the summary follows.
    pub fn finish(self) {
        // Dropping it does that.
    }

    /// What moves the cursor to the beginning of what is shown.
    fn home(&self) -> String {
        match self.shown.len() {
            0 => String::new(),
            1 => "\r".into(),
            n => format!("\r\x1b[{}A", n - 1),
        }
    }

    fn write(&mut self, text: &str) {
        // In one piece, so that a terminal does not show half a frame.
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for Live<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A piece of a line, shown whole or not at all: half a number is a wrong number.
struct Part {
    text: String,
    style: Style,
}

fn part(text: String) -> Part {
    let style = PLAIN;
    Part { text, style }
}

/// `elapsed`, as full seconds: a countdown would round it up.
fn whole(elapsed: Duration) -> Duration {
    Duration::from_secs(elapsed.as_secs())
}

/// `snapshot` as lines of at most `columns`.
fn lines(snapshot: &Snapshot, columns: usize, colour: bool) -> Vec<String> {
    let mut first = String::new();
    let mut left = columns;
    if let (Some(asked), 60..) = (snapshot.asked, columns)
        && asked > 0
        && snapshot.phase != Phase::Serving
    {
        let cells = (columns / 6).clamp(10, 24);
        let full = snapshot.now.open() as f64 / asked as f64;
        let (done, rest) = bar(full, cells);
        first = paint(&done, BAR, colour) + &rest + " ";
        left -= cells + 1;
    }
    first += &fitted(&state(snapshot), left, colour);
    let traffic = traffic(snapshot);
    if traffic.is_empty() {
        return vec![first];
    }
    vec![first, fitted(&traffic, columns, colour)]
}

/// The full and the empty part of a bar of `cells`.
fn bar(full: f64, cells: usize) -> (String, String) {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (full.clamp(0.0, 1.0) * cells as f64 * 8.0) as usize;
    let done = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    let rest = "░".repeat(cells - done.chars().count());
    (done, rest)
}

/// As many of `parts`, from the first, as fit into `columns`.
fn fitted(parts: &[Part], columns: usize, colour: bool) -> String {
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

/// Events a second in the snapshot's last interval.
fn per_s(n: u64, snapshot: &Snapshot) -> f64 {
    let seconds = snapshot.interval.as_secs_f64();
    if seconds > 0.0 {
        n as f64 / seconds
    } else {
        0.0
    }
}

/// Where the connections stand, what matters most first.
fn state(snapshot: &Snapshot) -> Vec<Part> {
    let now = &snapshot.now;
    let open = now.open();
    let mut parts = match snapshot.phase {
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
    if lost > 0 && !matches!(snapshot.phase, Phase::Serving) {
        let text = format!("{} lost", human::count(lost));
        parts.push(Part { text, style: BAD });
    }
    if let Some(left) = snapshot.left {
        parts.push(part(format!("{} left", human::countdown(left))));
    } else if let Some(left) = until_up(snapshot) {
        parts.push(part(format!("up in {}", human::countdown(left))));
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

/// How many connections are up, of how many.
fn up(snapshot: &Snapshot) -> Part {
    let open = snapshot.now.open();
    let Some(asked) = snapshot.asked else {
        return part(format!("{} connections", human::count(open)));
    };
    let text = format!("{} of {}", human::count(open), human::count(asked));
    match human::percent(open as f64, asked as f64) {
        Some(_) if open >= asked => Part { text, style: GOOD },
        // Whole percents, rounded towards less: the count beside it says the rest.
        Some(_) => part(format!(
            "{text} ({} %)",
            (open as f64 / asked as f64 * 100.0) as u64
        )),
        None => part(text),
    }
}

fn serving(snapshot: &Snapshot) -> Vec<Part> {
    let now = &snapshot.now;
    let text = match snapshot.asked {
        Some(most) => format!(
            "{} of {} connections",
            human::count(now.open()),
            human::count(most)
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

/// Connections that ended and not by us.
fn lost(now: &Tally) -> u64 {
    now.closed_in_all() - now.closed(Closed::ByUs)
}

/// Until all connections are up, at the present rate.
fn until_up(snapshot: &Snapshot) -> Option<Duration> {
    let missing = snapshot.asked?.saturating_sub(snapshot.now.open());
    let rate = per_s(snapshot.recent.established, snapshot);
    if snapshot.phase != Phase::Opening || missing == 0 || rate <= 0.0 {
        return None;
    }
    Duration::try_from_secs_f64(missing as f64 / rate).ok()
}

/// What goes over the connections, and how long answers take; nothing if nothing ever did.
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
    // Latency says more than bytes do: where there is room for one of them it is that.
    if let Some((p50, p99)) = snapshot.latency {
        let (p50, p99) = (human::duration(p50), human::duration(p99));
        parts.push(part(format!("p50 {p50} p99 {p99}")));
        for (way, bytes, _) in &ways {
            parts.push(part(format!("{way} {}", throughput(*bytes))));
        }
    }
    if !serves && now.messages_sent > 0 {
        parts.push(part(format!(
            "{} sent",
            human::things(now.messages_sent, "message")
        )));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use throng_core::stats::Counters;

    /// 412,345 of 1,000,000 up, 36,200 of them in the last second, 12 failed; with traffic if asked.
    fn opening(traffic: bool) -> Snapshot {
        let counters = Counters::default();
        counters.attempted.add(376_145);
        counters.established.add(376_145);
        let before = counters.read();
        counters.attempted.add(36_300);
        counters.established.add(36_200);
        for _ in 0..12 {
            counters.failed(FailCause::Refused);
        }
        if traffic {
            counters.messages_sent.add(60_000);
            counters.messages_received.add(59_000);
            counters.bytes_sent.add(960_000);
            counters.bytes_received.add(944_000);
        }
        let now = counters.read();
        Snapshot {
            elapsed: Duration::from_millis(11_400),
            phase: Phase::Opening,
            asked: Some(1_000_000),
            peak: 412_345,
            now,
            recent: now.since(&before),
            interval: Duration::from_secs(1),
            latency: None,
            server: None,
            left: None,
        }
    }

    fn serving() -> Snapshot {
        let counters = Counters::default();
        counters.accepted.add(54_321);
        counters.closed(Closed::ByPeer, 34_321);
        counters.bytes_received.add(1 << 20);
        counters.reads.add(60_000);
        Snapshot {
            elapsed: Duration::from_secs(75),
            phase: Phase::Serving,
            asked: None,
            peak: 30_000,
            now: counters.read(),
            recent: counters.read(),
            interval: Duration::from_secs(2),
            latency: None,
            server: None,
            left: None,
        }
    }

    /// What `use_it` makes a live view of that style write.
    fn written(
        style: LiveStyle,
        columns: usize,
        use_it: impl FnOnce(&mut Live<&mut Vec<u8>>),
    ) -> String {
        let mut out = Vec::new();
        let mut live = Live::over(&mut out, style, true, move || columns);
        use_it(&mut live);
        drop(live);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_lines_are_whole_and_have_no_escape_codes() {
        let text = written(LiveStyle::Plain, 20, |live| {
            live.update(&opening(true));
            live.note("careful");
            live.update(&serving());
            live.clear();
        });
        assert_eq!(
            text,
            "    11 s  412,345 of 1,000,000 (41 %), 36.2k/s, 12 failed: refused, up in 17 s, \
             out 60.0k messages/s 938 KiB/s, in 59.0k replies/s 922 KiB/s, 60,000 messages sent\n\
             careful\n  \
             1m 15s  20,000 connections, peak 30,000, 54,321 accepted, 27.2k accepts/s, \
             in 30.0k reads/s 512 KiB/s\n"
        );
    }

    #[test]
    fn terminal_lines_are_never_wider_than_the_terminal() {
        let mut closing = opening(true);
        closing.phase = Phase::Closing;
        let mut measured = opening(true);
        measured.latency = Some((Duration::ZERO, Duration::MAX));
        for snapshot in [opening(false), opening(true), serving(), closing, measured] {
            for columns in 0..200 {
                for line in lines(&snapshot, columns, false) {
                    assert!(line.chars().count() <= columns, "{columns}: {line}");
                }
            }
        }
        assert_eq!(
            lines(&opening(false), 79, false),
            ["█████▎░░░░░░░ 412,345 of 1,000,000 (41 %) · 36.2k/s · 12 failed: refused"]
        );
        assert_eq!(lines(&opening(false), 10, false), ["412,345 o…"]);
    }

    #[test]
    fn latency_of_the_last_interval_has_room_in_80_columns() {
        let mut snapshot = opening(true);
        let us = Duration::from_micros;
        snapshot.latency = Some((us(310), us(31_500)));
        assert_eq!(
            lines(&snapshot, 79, false)[1],
            "out 60.0k messages/s · in 59.0k replies/s · p50 310 µs p99 31.5 ms"
        );
        assert_eq!(
            lines(&snapshot, 130, false)[1],
            "out 60.0k messages/s · in 59.0k replies/s · p50 310 µs p99 31.5 ms · \
             out 938 KiB/s · in 922 KiB/s · 60,000 messages sent"
        );
        // A slow one as well.
        snapshot.latency = Some((us(59_949_999), us(3_599_000_000)));
        let line = &lines(&snapshot, 79, false)[1];
        assert!(line.ends_with("p50 59.9 s p99 59m 59s"), "{line}");
    }

    #[test]
    fn the_width_is_read_again_each_time() {
        let columns = Arc::new(AtomicUsize::new(200));
        let mut out = Vec::new();
        let read = columns.clone();
        let mut live = Live::over(&mut out, LiveStyle::Terminal, false, move || {
            read.load(Relaxed)
        });
        live.update(&opening(false));
        columns.store(40, Relaxed);
        live.update(&opening(false));
        assert_eq!(live.shown, ["412,345 of 1,000,000 (41 %) · 36.2k/s"]);
        columns.store(1, Relaxed);
        live.update(&opening(true));
        columns.store(0, Relaxed);
        live.update(&opening(true));
        assert!(live.shown[0].contains("41 %"));
    }

    #[test]
    fn a_terminal_is_drawn_over_and_wiped_at_the_end() {
        let text = written(LiveStyle::Terminal, 100, |live| {
            live.update(&opening(true));
            live.update(&opening(true));
            live.note("careful\n");
        });
        let frames: Vec<&str> = text.split("\r\x1b[1A").collect();
        assert_eq!(frames.len(), 4, "{text:?}");
        assert!(frames[0].contains("\x1b[K\r\n") && frames[0].ends_with("\x1b[J"));
        assert!(frames[2].starts_with("\x1b[Jcareful\n") && frames[2].contains("412,345"));
        assert_eq!(frames[3], "\x1b[J");
        assert!(text.contains("\x1b[31m"), "failures are red: {text:?}");
    }

    #[test]
    fn colour_is_only_used_where_it_is_wanted() {
        let mut out = Vec::new();
        let mut live = Live::over(&mut out, LiveStyle::Terminal, false, || 100);
        live.update(&opening(true));
        drop(live);
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("\x1b[3"), "{text:?}");
    }

    #[test]
    fn quiet_shows_notes_only() {
        let text = written(LiveStyle::Quiet, 80, |live| {
            live.update(&opening(true));
            live.note("careful");
            live.update(&opening(true));
        });
        assert_eq!(text, "careful\n");
    }

    #[test]
    fn a_hold_tells_what_was_lost_and_what_the_server_has() {
        let mut holding = opening(false);
        let counters = Counters::default();
        counters.established.add(1_000_000);
        counters.closed(Closed::ResetByPeer, 3);
        counters.failed(FailCause::Refused);
        counters.failed(FailCause::TimedOut);
        counters.failed(FailCause::TimedOut);
        holding.phase = Phase::Holding;
        holding.now = counters.read();
        holding.left = Some(Duration::from_millis(64_100));
        let server = Counters::default();
        server.accepted.add(999_990);
        holding.server = Some(server.read());
        let line = &lines(&holding, 200, false)[0];
        assert!(
            line.ends_with(
                "999,997 of 1,000,000 (99 %) · holding · 3 failed, 2 timed out · 3 lost · \
                 1m 05s left · server has 999,990"
            ),
            "{line}"
        );
    }

    #[test]
    fn odd_snapshots_are_drawn_too() {
        let nothing = Snapshot {
            elapsed: Duration::MAX,
            phase: Phase::Opening,
            asked: Some(0),
            peak: u64::MAX,
            now: Tally::default(),
            recent: Tally::default(),
            interval: Duration::ZERO,
            latency: None,
            server: Some(Tally::default()),
            left: Some(Duration::MAX),
        };
        for asked in [None, Some(0), Some(u64::MAX)] {
            let snapshot = Snapshot {
                asked,
                ..nothing.clone()
            };
            assert!(!lines(&snapshot, 100, true).is_empty());
        }
    }

    #[test]
    fn a_stderr_that_is_gone_is_no_matter() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        for style in [LiveStyle::Terminal, LiveStyle::Plain] {
            let mut live = Live::over(Gone, style, true, || 80);
            live.update(&opening(true));
            live.note("lost");
            live.finish();
        }
    }
}
