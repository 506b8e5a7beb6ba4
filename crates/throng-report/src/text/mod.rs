//! The summary for people: the verdict in the first line, then what is worth knowing, then the numbers. Where all went
//! well, the numbers are on one screen: latencies, then a paragraph for each section. Otherwise, or if asked for, they are
//! in aligned rows. Absent values, and zeros that say nothing, are left out. The JSON form ([`crate::json`]) has
//! everything.
//!
//! `sections` is the list of sections. A new one needs no more than a line there: its short form is made of its rows.

mod agents;
mod churn;
mod connect_rate;
mod drain;
mod expected;
mod form;
mod latency;
mod maximum;
mod rates;
mod section;
mod server;
mod storms;
mod traffic;
mod watched;
mod window;
mod words;

pub use form::Form;
pub(crate) use latency::{COLUMNS as PERCENTILES, Latencies};
pub(crate) use section::{Row, Section, Value};
pub(crate) use watched::add as add_watched;
pub(crate) use words::{COLUMNS, belong_together, command, command_line, shell_lines, wrapped};

use crate::colour::{BAD, GOOD, ODD, PLAIN, paint};
use crate::human::{self, count, percent, things};
use anstyle::Style;
use std::io::{self, Write};
use throng_core::summary::{Churn, Finding, Sample, Summary};

/// Writes `summary` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(summary: &Summary, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let (verdict, style, notes) = verdict_and_notes(summary);
    for line in wrapped(&verdict, form.columns) {
        writeln!(out, "{}", paint(&line, style, form.colour))?;
    }
    // Those that were not met have a line among the expectations.
    let notes = notes
        .iter()
        .filter(|note| !matches!(note, Finding::ExpectationFailed(_)));
    for note in notes {
        for (i, line) in wrapped(&note.to_string(), form.room(2)).iter().enumerate() {
            writeln!(out, "{} {line}", if i == 0 { "-" } else { " " })?;
        }
    }
    expected::write(summary, out, form)?;
    let (before, after) = sections(summary);
    let all = || before.iter().chain(&after);
    let well = summary.reached && !summary.interrupted && !all().any(Section::is_odd);
    let whole = form.whole || !well;
    let latencies = Latencies::of(summary, whole);
    if whole {
        before.iter().try_for_each(|s| s.write(out, form))?;
        latencies.write(out, form)?;
        return after.iter().try_for_each(|s| s.write(out, form));
    }
    latencies.write(out, form)?;
    writeln!(out)?;
    all().try_for_each(|s| s.write_briefly(out, form))?;
    let mut more = Section::titled("More");
    more.dim("-v shows each count, --output json has everything");
    more.write_briefly(out, form)
}

/// The sections of numbers: those before the latencies, and those after them.
pub(crate) fn sections(summary: &Summary) -> (Vec<Section>, Vec<Section>) {
    let protocols = summary.protocol_sections().into_iter().map(Into::into);
    let mut before = match summary.proxy {
        None => {
            let mut all = vec![connections(summary), set_up(summary)];
            all.extend(storms::storms(summary));
            all.extend([
                drain::drain(summary),
                churn::churn(summary),
                window::window(summary),
                connect_rate::connect_rate(summary),
            ]);
            all
        }
        // Its pairs are what it is about, and their section has its traffic.
        Some(_) => Vec::new(),
    };
    before.extend(protocols);
    if summary.proxy.is_none() {
        before.push(traffic::traffic(summary));
    }
    before.extend([
        rates::message_rate(summary),
        rates::bandwidth(summary),
        rates::search(summary),
        maximum::maximum(summary),
        traffic::answers(summary),
        traffic::pings(summary),
    ]);
    let after = vec![
        server::server(summary),
        watched::watched(summary),
        cost(summary),
        run(summary),
    ];
    (before, after)
}

/// A row of the numbers.
pub(crate) struct Told {
    /// The title of its section.
    pub title: &'static str,
    pub label: &'static str,
    pub value: String,
    pub remark: String,
}

/// All rows of numbers, except command lines and those without a label.
pub(crate) fn rows(summary: &Summary) -> Vec<Told> {
    let (before, after) = sections(summary);
    let all = before.iter().chain(&after);
    all.flat_map(|section| {
        section.told().map(|(label, value, remark)| Told {
            title: section.title(),
            label,
            value,
            remark,
        })
    })
    .collect()
}

/// The verdict in a line.
pub(crate) fn verdict(summary: &Summary) -> String {
    verdict_and_notes(summary).0
}

/// The first line, its style, and the findings that follow it.
pub(crate) fn verdict_and_notes(summary: &Summary) -> (String, Style, &[Finding]) {
    let findings = &summary.findings[..];
    let (mut text, notes) = match findings {
        [first, rest @ ..] if !summary.reached => (first.to_string(), rest),
        // Its sentence is the verdict.
        [
            Finding::Maximum { .. } | Finding::ConnectRate { .. },
            rest @ ..,
        ] => (composed(summary), rest),
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

/// A verdict from the data alone, without findings.
fn composed(summary: &Summary) -> String {
    let c = &summary.connections;
    if let Some(proxy) = &summary.proxy {
        let mut text = format!(
            "{} proxied, up to {} at once",
            things(proxy.pairs, "connection"),
            count(proxy.peak)
        );
        if !summary.interrupted {
            text += &format!(", in {}", human::seconds(summary.seconds));
        }
        return text;
    }
    if c.is_of_server() {
        let accepted = things(c.accepted.unwrap_or(0), "connection");
        let mut text = format!("{accepted} accepted, up to {} at once", count(c.peak));
        if !summary.interrupted {
            text += &format!(", in {}", human::seconds(summary.seconds));
        }
        return text;
    }
    if let Some(found) = summary.maximum.as_ref().filter(|m| m.is_found()) {
        let held = held(summary).map(|s| format!("; held for {}", human::seconds(s)));
        return format!("{}{}", found.words, held.unwrap_or_default());
    }
    if let Some(found) = summary.connect_rate.as_ref().filter(|r| r.is_found()) {
        return found.words.clone();
    }
    if let Some(text) = summary.churn.as_ref().and_then(churn::verdict) {
        return text;
    }
    let mut text = match c.asked {
        Some(asked) => format!("{} of {}", count(c.peak), things(asked, "connection")),
        None => things(c.peak, "connection"),
    };
    let lost = summary.findings.iter().find_map(|f| match f {
        Finding::ConnectionsLost { lost, .. } => Some(*lost),
        _ => None,
    });
    let held = held(summary).map(human::seconds);
    let open = count(c.open_at_end);
    text += &match (held, lost) {
        _ if c.peak == 0 => " established".into(),
        (None, _) => " established".into(),
        // Tolerated, and others took their place; still, these were not held.
        (Some(held), Some(lost)) => {
            let lost = count(lost);
            format!(" established, {lost} lost, {open} open after {held}")
        }
        (Some(held), None) if c.open_at_end == c.peak => format!(" held for {held}"),
        (Some(held), None) => format!(" established, {open} still open after {held}"),
    };
    // A search runs at many rates: their mean says nothing, and its result is a finding.
    if summary.search.is_some() {
        return text;
    }
    if let Some(requests) = &summary.requests {
        let asked = c.asked.unwrap_or(c.peak);
        // Connections of a few requests follow one another.
        let over = match c.peak < asked && c.established >= asked {
            true => format!(
                "{}, at most {} at once,",
                things(c.established, "connection"),
                count(c.peak)
            ),
            false => format!("{} of {}", count(c.peak), things(asked, "connection")),
        };
        return format!(
            "{} of {} over {over} in {}, opening included: {}",
            count(requests.sent),
            things(requests.asked, "request"),
            human::seconds(requests.seconds),
            human::rate(requests.per_s)
        );
    }
    // What was sent may be in buffers: where answers are looked for, they are what counts.
    let answers = summary.answers.as_ref().map(|a| (a.per_s, "answers/s"));
    let messages = || summary.message_rate.as_ref();
    let sent = || messages().map(|m| (Some(m.reached_per_s), "messages/s"));
    // Answers that have no end, such as streams of events, are never counted.
    if let Some((Some(per_s), what)) = answers.or_else(sent)
        && per_s > 0.0
    {
        text += &format!(" at {} {what}", human::short(per_s));
    }
    text
}

/// How long connections were held, in seconds, unless no time at all.
fn held(summary: &Summary) -> Option<f64> {
    summary.hold_s.filter(|seconds| *seconds >= 0.001)
}

fn connections(summary: &Summary) -> Section {
    let c = &summary.connections;
    let mut all = Section::titled("Connections");
    if let Some(asked) = c.asked {
        all.number("asked", count(asked), "");
    }
    if !c.is_of_server() {
        // What a policy delays: not the connections that replace those which ended as planned.
        let broken = |f: &Finding| {
            matches!(
                f,
                Finding::ConnectionsLost { .. } | Finding::ConnectionsReopened { .. }
            )
        };
        let again = c.attempted > c.asked.unwrap_or(u64::MAX)
            && (!c.failed.is_empty() || summary.findings.iter().any(broken));
        let policy = c.reconnect_policy.iter().filter(|_| again);
        let policy: String = policy.map(|p| format!("again: {p}")).collect();
        let attempted = all.number("attempted", count(c.attempted), &policy);
        if c.attempted == c.established {
            attempted.in_full_only();
        }
        all.number("established", count(c.established), "");
        if let Some(fast_open) = c.fast_open {
            let ignored = match fast_open.ignored {
                0 => String::new(),
                n => format!(", and ignored on {}", count(n)),
            };
            all.number(
                "fast open",
                count(fast_open.accepted),
                &format!("data accepted with the SYN{ignored}, by the kernel's count"),
            );
        }
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
                "neither established nor failed at the end",
            );
        }
    }
    if let Some(accepted) = c.accepted {
        let by = match c.is_of_server() {
            true => "",
            false => "by the server in this process",
        };
        match accepted == c.established || c.is_of_server() {
            true => all.number("accepted", count(accepted), by).without_remark(),
            false => all.odd("accepted", count(accepted), by),
        }
    }
    let share = c
        .asked
        // More than that were open while the most that can be was looked for.
        .filter(|asked| c.peak <= *asked)
        .and_then(|asked| percent(c.peak as f64, asked as f64))
        .map(|p| format!(", {p} of asked"))
        .unwrap_or_default();
    let peak = all.number("peak", count(c.peak), &format!("at once{share}"));
    match c.peak == c.open_at_end {
        true => peak.in_full_only(),
        false => peak.without_remark(),
    }
    let open = all.number("open at the end", count(c.open_at_end), "");
    if c.peak == c.open_at_end && held(summary).is_some() {
        open.labelled("held");
    }
    if c.unknown > 0 {
        let remark = "open when their agent was lost: what became of them is not known";
        all.bad("unknown", count(c.unknown), remark);
    }
    // Where the server is to close connections, those that it lost are told of as such.
    let awaited = |churn: &Churn| churn.closed_by_server.is_some() && churn.lost.is_empty();
    let awaited = summary.churn.as_ref().is_some_and(awaited);
    if awaited && c.closed_by_peer > 0 {
        all.number("closed", count(c.closed_by_peer), "by the peer");
    }
    for (n, by) in [
        (c.closed_by_peer * u64::from(!awaited), "by the peer"),
        (c.reset_by_peer, "by the peer's reset"),
        (c.timed_out, "the peer no longer answered"),
        (c.lost_by_error, "by an error on this side"),
    ] {
        match n {
            0 => {}
            _ if c.is_of_server() => {
                all.number("closed", count(n), by);
            }
            _ => all.bad("closed", count(n), by),
        }
    }
    // Every run closes the connections that are open at its end: that is no news.
    let meanwhile = c.closed_by_us.saturating_sub(c.open_at_end);
    if meanwhile > 0 {
        all.number("closed", count(meanwhile), "by this side");
    }
    if let [_, _, ..] = c.by_address.as_slice() {
        for of in &c.by_address {
            let failed: u64 = of.failed.values().sum();
            let parts = [(failed, "failed"), (of.lost, "lost")];
            let parts = parts.into_iter().filter(|(n, _)| *n > 0);
            let parts = parts.map(|(n, what)| format!(", {} {what}", count(n)));
            let note = format!("to {}{}", of.address, parts.collect::<String>());
            match of.established {
                0 if of.attempted > 0 => all.bad("by address", count(0), &note),
                n => all
                    .number("by address", count(n), &note)
                    .in_short(format!("{} {note}", count(n))),
            }
        }
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
    // The interval in which the last connection was established belongs to the set-up.
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

fn cost(summary: &Summary) -> Section {
    let c = &summary.cost;
    let mut all = Section::named("Cost of throng", "Cost");
    let one = match summary.proxy {
        Some(_) => "pair",
        None => "connection",
    };
    let each = |n: f64| format!("{} per {one}", human::bytes(n.round() as u64));
    let per_connection = c.user_bytes_per_connection.map(each);
    if c.user_bytes > 0 {
        let bytes = human::bytes(c.user_bytes);
        let remark = per_connection.as_deref().unwrap_or_default();
        let row = all.number("user memory", bytes, remark);
        if let Some(each) = &per_connection {
            row.in_short(format!("memory {each}"));
        }
    }
    if let Some(n) = c.kernel_bytes_per_connection {
        let total = n * summary.connections.peak as f64;
        let remark = match c.kernel_bytes_sure {
            true => each(n),
            false => format!("{}; unsure: not only that of the sockets", each(n)),
        };
        all.number("kernel memory", human::bytes(total as u64), &remark)
            .in_short(format!("the kernel's {remark}"));
    }
    let cpu = c.cpu_user_s + c.cpu_system_s;
    if cpu > 0.0 {
        let parts = format!(
            "{} user, {} system",
            human::seconds(c.cpu_user_s),
            human::seconds(c.cpu_system_s)
        );
        all.number("CPU", human::seconds(cpu), &parts)
            .without_remark();
    }
    let connect = summary
        .set_up
        .as_ref()
        .and_then(|s| s.cpu_us_per_connection);
    if let Some(us) = connect {
        all.number("", human::micros(us), "CPU per connection, to open it")
            .in_short(format!("{} to open a connection", human::micros(us)));
    }
    let message = summary
        .message_rate
        .as_ref()
        .and_then(|r| r.cpu_us_per_message);
    if let Some(us) = message {
        all.number(
            "",
            human::micros(us),
            "CPU per message, while all were open",
        )
        .in_short(format!("{} per message", human::micros(us)));
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
    all.prose("engine", &engine).labelled("");
    if let Some(why) = &summary.why_epoll {
        all.prose("not io_uring", why)
            .in_short(format!("not io_uring: {why}"));
    }
    let mut took = human::seconds(summary.seconds);
    if summary.closing_s > 0.0 {
        took += &format!(", plus {} to close", human::seconds(summary.closing_s));
    }
    all.prose("took", &took)
        .in_short(format!("took {}", human::seconds(summary.seconds)));
    if summary.sources.len() > 1 {
        all.prose("sources", &count(summary.sources.len() as u64));
    }
    agents::add(summary, &mut all);
    all.prose("tool", &summary.tool).in_full_only();
    all.push("command", Value::Command(summary.command.clone()), PLAIN);
    all
}
