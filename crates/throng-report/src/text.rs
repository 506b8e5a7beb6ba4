//! The summary for people: the verdict in the first line, then aligned sections. What is absent, or
//! zero and so says nothing, is left out. Everything else is in the JSON form ([`crate::json`]).

use crate::colour::{BAD, GOOD, ODD, PLAIN, TITLE, paint};
use crate::human::{self, count, percent, things};
use crate::sparkline::sparkline;
use anstyle::Style;
use std::io::{self, Write};
use throng_core::summary::{Connections, MessageRate, Percentiles, Sample, Summary, Traffic};

/// Prose is wrapped to this many columns, the width of the narrowest terminal that people use.
pub(crate) const COLUMNS: usize = 80;
/// Columns for a row's label, the indent and the gap behind it included.
const LABEL: usize = 20;
/// Bars in a sparkline: few enough to leave room for the scale beside it.
const SPARKS: usize = 36;

/// Writes `summary` to `out`, in colour if `colour`.
///
/// # Errors
/// What `out` says.
pub fn write_text(summary: &Summary, out: &mut impl Write, colour: bool) -> io::Result<()> {
    let (verdict, style, notes) = verdict(summary);
    for line in wrapped(&verdict, COLUMNS) {
        writeln!(out, "{}", paint(&line, style, colour))?;
    }
    for note in notes {
        for (i, line) in wrapped(note, COLUMNS - 2).iter().enumerate() {
            writeln!(out, "{} {line}", if i == 0 { "-" } else { " " })?;
        }
    }
    for section in [
        connections(summary),
        set_up(summary),
        traffic(summary),
        message_rate(summary),
        latency(summary),
        cost(summary),
        run(summary),
    ] {
        section.write(out, colour)?;
    }
    Ok(())
}

/// The first line, its style, and the findings that follow it.
fn verdict(summary: &Summary) -> (String, Style, &[String]) {
    let findings = &summary.findings[..];
    let (mut text, notes) = match findings {
        [first, rest @ ..] if !summary.reached => (first.clone(), rest),
        [] if !summary.reached && !summary.interrupted => {
            (format!("Fell short: {}", composed(summary)), findings)
        }
        _ => (composed(summary), findings),
    };
    if summary.interrupted && !text.to_lowercase().contains("interrupt") {
        text = format!(
            "Interrupted after {}: {text}",
            human::seconds(summary.seconds)
        );
    }
    let style = match (summary.interrupted, summary.reached) {
        (true, _) => ODD,
        (false, true) => GOOD,
        (false, false) => BAD,
    };
    (text, style, notes)
}

/// A verdict from the data alone.
fn composed(summary: &Summary) -> String {
    let c = &summary.connections;
    if is_server(c) {
        return format!(
            "{} accepted, up to {} at once, in {}",
            things(c.accepted.unwrap_or(0), "connection"),
            count(c.peak),
            human::seconds(summary.seconds)
        );
    }
    let mut text = match c.asked {
        Some(asked) => format!("{} of {}", count(c.peak), things(asked, "connection")),
        None => things(c.peak, "connection"),
    };
    match summary.hold_s.filter(|s| *s >= 0.001) {
        _ if c.peak == 0 => text += " established",
        Some(s) if c.open_at_end == c.peak => text += &format!(" held for {}", human::seconds(s)),
        Some(s) => text += &format!(" up, {} after {}", count(c.open_at_end), human::seconds(s)),
        None => text += " up",
    }
    if let Some(rate) = &summary.message_rate
        && rate.reached_per_s > 0.0
    {
        text += &format!(" at {} messages/s", human::short(rate.reached_per_s));
    }
    text
}

/// Whether the run is about the accepting side.
fn is_server(c: &Connections) -> bool {
    c.attempted == 0 && c.accepted.is_some()
}

fn connections(summary: &Summary) -> Section {
    let c = &summary.connections;
    let mut all = Section::titled("Connections");
    if let Some(asked) = c.asked {
        all.number("asked", count(asked), "");
    }
    if !is_server(c) {
        all.number("attempted", count(c.attempted), "");
        all.number("established", count(c.established), "");
        let mut failed: Vec<_> = c.failed.iter().collect();
        failed.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        for (cause, n) in failed {
            let share = percent(*n as f64, c.attempted as f64)
                .map(|p| format!("{p} of attempts"))
                .unwrap_or_default();
            all.bad("failed", count(*n), &format!("{}, {share}", cause.words()));
        }
        let failed: u64 = c.failed.values().fold(0, |a, n| a.saturating_add(*n));
        let under_way = c
            .attempted
            .saturating_sub(c.established)
            .saturating_sub(failed);
        if under_way > 0 {
            all.number(
                "under way",
                count(under_way),
                "neither up nor failed at the end",
            );
        }
    }
    if let Some(accepted) = c.accepted {
        let by = match is_server(c) {
            true => "",
            false => "by the server in this process",
        };
        match accepted == c.established || is_server(c) {
            true => all.number("accepted", count(accepted), by),
            false => all.odd("accepted", count(accepted), by),
        }
    }
    let share = c
        .asked
        .and_then(|asked| percent(c.peak as f64, asked as f64))
        .map(|p| format!(", {p} of asked"))
        .unwrap_or_default();
    all.number("peak", count(c.peak), &format!("at once{share}"));
    all.number("open at the end", count(c.open_at_end), "");
    for (n, by) in [
        (c.closed_by_peer, "by the peer"),
        (c.reset_by_peer, "by the peer's reset"),
        (c.timed_out, "the peer no longer answered"),
        (c.lost_by_error, "by an error on this side"),
    ] {
        match n {
            0 => {}
            _ if is_server(c) => all.number("closed", count(n), by),
            _ => all.bad("closed", count(n), by),
        }
    }
    // That the run closes what is up when it is over goes without saying.
    let meanwhile = c.closed_by_us.saturating_sub(c.open_at_end);
    if meanwhile > 0 {
        all.number("closed", count(meanwhile), "by this side");
    }
    if let Some(kernel) = c.kernel_sockets {
        all.kernel_sockets(kernel, c.expected_sockets);
    }
    all
}

fn set_up(summary: &Summary) -> Section {
    let mut all = Section::titled("Set-up");
    let Some(s) = &summary.set_up else {
        return all;
    };
    all.number("time", human::seconds(s.seconds), "");
    let asked = match s.asked_per_s {
        Some(asked) => format!("asked: {}", human::rate(asked)),
        None => String::new(),
    };
    all.number("rate", human::rate(s.per_s), &asked);
    // The interval in which the last connection came up belongs to it.
    let mut ended = false;
    let while_opening = |sample: &&Sample| !std::mem::replace(&mut ended, sample.at_s >= s.seconds);
    let points: Vec<(f64, f64)> = summary
        .over_time
        .iter()
        .take_while(while_opening)
        .map(|sample| (sample.at_s, sample.established_per_s))
        .collect();
    all.sparkline("over time", &points);
    all
}

fn traffic(summary: &Summary) -> Section {
    let mut all = Section::titled("Traffic");
    let mut side = |t: &Traffic, sent: &'static str, received: &'static str| {
        if t.bytes_sent > 0 {
            let what = match t.messages_sent {
                0 => things(t.writes, "write"),
                n => things(n, "message"),
            };
            all.number(sent, human::bytes(t.bytes_sent), &what);
        }
        if t.bytes_received > 0 {
            let what = match t.replies {
                0 => things(t.reads, "read"),
                n => format!("{} in {}", things(n, "message"), things(t.reads, "read")),
            };
            all.number(received, human::bytes(t.bytes_received), &what);
        }
    };
    side(&summary.traffic, "sent", "received");
    if let Some(t) = &summary.server_traffic {
        side(t, "server sent", "server received");
    }
    let unsent = summary.traffic.messages_unsent;
    if unsent > 0 {
        all.bad("not sent", count(unsent), "messages that were due");
    }
    if let Some(text) = throughput(summary) {
        all.prose("throughput", &text);
    }
    all
}

/// Bytes a second while all connections were up, as the samples have it; without a set-up, or with
/// none of them in that time, over the whole run.
fn throughput(summary: &Summary) -> Option<String> {
    let up_s = summary.set_up.as_ref().map_or(f64::INFINITY, |s| s.seconds);
    let (mut seconds, mut sent, mut received, mut start) = (0.0, 0.0, 0.0, 0.0);
    for sample in &summary.over_time {
        if start >= up_s {
            let length = sample.at_s - start;
            seconds += length;
            sent += sample.sent_per_s * length;
            received += sample.received_per_s * length;
        }
        start = sample.at_s;
    }
    let mut when = "while all were up";
    if seconds <= 0.0 {
        when = "over the whole run";
        seconds = summary.seconds;
        sent = summary.traffic.bytes_sent as f64;
        received = summary.traffic.bytes_received as f64;
    }
    let parts: Vec<String> = [(sent, "sent"), (received, "received")]
        .into_iter()
        .filter(|(bytes, _)| *bytes > 0.0 && seconds > 0.0)
        .map(|(bytes, way)| format!("{} {way}", human::throughput(bytes / seconds)))
        .collect();
    (!parts.is_empty()).then(|| format!("{}, {when}", parts.join(", ")))
}

fn message_rate(summary: &Summary) -> Section {
    let mut all = Section::titled("Message rate");
    let Some(r) = &summary.message_rate else {
        return all;
    };
    if let Some(asked) = r.asked_per_s {
        all.number("asked", human::rate(asked), "");
    }
    let share = r
        .asked_per_s
        .and_then(|asked| percent(r.reached_per_s, asked))
        .map(|p| format!("{p} of asked, "))
        .unwrap_or_default();
    let over = format!("{share}over {}", human::seconds(r.seconds));
    all.number("reached", human::rate(r.reached_per_s), &over);
    all
}

/// Everything that has percentiles, in one table.
fn latency(summary: &Summary) -> Section {
    let mut all = Section::titled("Latency");
    let rate = summary.message_rate.as_ref();
    let part = |of: fn(&MessageRate) -> &Option<Percentiles>| rate.and_then(|r| of(r).as_ref());
    for (label, percentiles) in [
        (
            "connect",
            summary.set_up.as_ref().and_then(|s| s.latency.as_ref()),
        ),
        ("response", summary.latency.response.as_ref()),
        ("service", summary.latency.service.as_ref()),
        ("message lateness", part(|r| &r.lateness)),
    ] {
        let Some(p) = percentiles else { continue };
        if all.rows.is_empty() {
            all.table("", ["p50", "p90", "p99", "p99.9", "max"].map(String::from));
        }
        let columns = [p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us];
        all.table(label, columns.map(human::micros));
    }
    all
}

fn cost(summary: &Summary) -> Section {
    let c = &summary.cost;
    let mut all = Section::titled("Cost");
    let each = |n: f64| format!("{} a connection", human::bytes(n.round() as u64));
    let per_connection = c.user_bytes_per_connection.map(each).unwrap_or_default();
    if c.user_bytes > 0 {
        all.number("user memory", human::bytes(c.user_bytes), &per_connection);
    }
    if let Some(n) = c.kernel_bytes_per_connection {
        let total = n * summary.connections.peak as f64;
        all.number("kernel memory", human::bytes(total as u64), &each(n));
    }
    let cpu = c.cpu_user_s + c.cpu_system_s;
    if cpu > 0.0 {
        let parts = format!(
            "{} user, {} system",
            human::seconds(c.cpu_user_s),
            human::seconds(c.cpu_system_s)
        );
        all.number("CPU", human::seconds(cpu), &parts);
    }
    let connect = summary
        .set_up
        .as_ref()
        .and_then(|s| s.cpu_us_per_connection);
    if let Some(us) = connect {
        all.number("", human::micros(us), "CPU a connection, opening it");
    }
    let message = summary
        .message_rate
        .as_ref()
        .and_then(|r| r.cpu_us_per_message);
    if let Some(us) = message {
        all.number("", human::micros(us), "CPU a message, while all were up");
    }
    all
}

fn run(summary: &Summary) -> Section {
    let mut all = Section::titled("Run");
    let engine = format!(
        "{}, {}, {}, Linux {}",
        summary.engine.name(),
        things(summary.workers.into(), "worker"),
        things(summary.cores.into(), "core"),
        summary.kernel
    );
    all.prose("engine", &engine);
    if let Some(why) = &summary.why_epoll {
        all.prose("not io_uring", why);
    }
    let mut took = human::seconds(summary.seconds);
    if summary.closing_s > 0.0 {
        took += &format!(", then closing {}", human::seconds(summary.closing_s));
    }
    all.prose("took", &took);
    all.prose("tool", &summary.tool);
    let lines = command(&summary.command, COLUMNS - LABEL);
    all.push("command", Value::Lines(lines), PLAIN);
    all
}

/// What stands under one title; nothing at all if there are no rows.
struct Section {
    title: &'static str,
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    value: Value,
    style: Style,
}

enum Value {
    /// A number, aligned to the right with the section's others, and a remark.
    Number(String, String),
    /// Cells of equal width, aligned to the right.
    Cells([String; 5]),
    /// Lines, the second and later ones indented as the first.
    Lines(Vec<String>),
}

impl Section {
    fn titled(title: &'static str) -> Section {
        let rows = Vec::new();
        Section { title, rows }
    }

    fn push(&mut self, label: &'static str, value: Value, style: Style) {
        self.rows.push(Row {
            label,
            value,
            style,
        });
    }

    fn number(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), PLAIN);
    }

    fn bad(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), BAD);
    }

    fn odd(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), ODD);
    }

    fn prose(&mut self, label: &'static str, text: &str) {
        let lines = wrapped(text, COLUMNS - LABEL);
        self.push(label, Value::Lines(lines), PLAIN);
    }

    fn table(&mut self, label: &'static str, cells: [String; 5]) {
        self.push(label, Value::Cells(cells), PLAIN);
    }

    fn sparkline(&mut self, label: &'static str, points: &[(f64, f64)]) {
        if let Some((line, greatest)) = sparkline(points, SPARKS) {
            self.prose(label, &format!("{line} up to {}", human::rate(greatest)));
        }
    }

    /// The kernel's count beside ours: the two are kept by different people.
    fn kernel_sockets(&mut self, kernel: u64, ours: Option<u64>) {
        match ours {
            None => self.number("kernel's sockets", count(kernel), ""),
            Some(ours) if ours == kernel => {
                self.number("kernel's sockets", count(kernel), "agrees with our count");
            }
            Some(ours) => {
                let remark = format!(
                    "differs: ours is {}, {} {}",
                    count(ours),
                    count(kernel.abs_diff(ours)),
                    if kernel > ours { "fewer" } else { "more" }
                );
                self.odd("kernel's sockets", count(kernel), &remark);
            }
        }
    }

    fn write(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}", paint(self.title, TITLE, colour))?;
        let widest = |row: &Row| match &row.value {
            Value::Number(number, _) => number.chars().count(),
            _ => 0,
        };
        // At least so much that the sections' numbers end below each other where they can.
        let width = self.rows.iter().map(widest).max().unwrap_or(0).max(11);
        for row in &self.rows {
            let label = format!("  {:<rest$}", row.label, rest = LABEL - 2);
            let text = match &row.value {
                Value::Number(number, remark) => {
                    let number = paint(&format!("{number:>width$}"), row.style, colour);
                    format!("{label}{number}  {remark}")
                }
                Value::Cells(cells) => {
                    let cells = cells.iter().map(|cell| format!("{cell:>11}"));
                    label + &cells.collect::<String>()
                }
                Value::Lines(lines) => {
                    let indent = format!("\n{}", " ".repeat(LABEL));
                    label + &lines.join(&indent)
                }
            };
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// `text` in lines of at most `columns`, broken between words; a longer word stays whole.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            *line += word;
        }
    }
    lines
}

/// A command line as a shell reads it, in lines of at most `columns` that can be pasted together.
fn command(words: &[String], columns: usize) -> Vec<String> {
    continued(words.iter().map(|word| quoted(word)), columns)
}

/// Words of a command line in lines of at most `columns`, each but the last ending with the backslash
/// that says it goes on.
pub(crate) fn continued(words: impl IntoIterator<Item = String>, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        // Two more for the backslash.
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() + 2 > columns {
            *line += " \\";
            lines.push(format!("  {word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            *line += &word;
        }
    }
    lines
}

/// `word`, in quotes if a shell would read it otherwise.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else if word.contains(char::is_control) {
        let escaped = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            '\r' => r"\r".into(),
            '\n' => r"\n".into(),
            c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
            // Those above ASCII (U+0080 to U+009F).
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.into(),
        };
        format!("$'{}'", word.chars().map(escaped).collect::<String>())
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_between_words() {
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a unbreakable b", 5), ["a", "unbreakable", "b"]);
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            command(&words(&["throng", "load", "[::1]:80"]), 60),
            ["throng load '[::1]:80'"]
        );
        assert_eq!(
            command(&words(&["throng", "-m", "it's", ""]), 60),
            [r"throng -m 'it'\''s' ''"]
        );
        assert_eq!(
            command(&words(&["GET /'\r\n\x1b"]), 60),
            [r"$'GET /\'\r\n\x1b'"]
        );
        assert_eq!(
            command(&words(&["throng", "load", "--self", "--hold", "10s"]), 20),
            [r"throng load --self \", r"  --hold 10s"]
        );
    }
}
