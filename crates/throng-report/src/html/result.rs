//! The parts of a result on a page: the verdict in words, the figures, the charts, the tables, and what was run.

use super::{charts, embed};
use crate::chart;
use crate::human::{self, count};
use crate::json::Outcome;
use crate::text::{self, Latencies, PERCENTILES, Row, Section, Value};
use crate::utc;
use maud::{Markup, html};
use throng_core::record::Part;
use throng_core::section::Tone;
use throng_core::summary::{Finding, HistogramOf, Percentiles, Summary};

/// Columns of the command line, which can be pasted.
const COMMAND: usize = 96;

/// How a run ended, in a word, and its tone.
pub(super) fn ended(summary: &Summary) -> (&'static str, &'static str) {
    match (summary.interrupted, summary.reached) {
        (true, _) => ("Interrupted", "odd"),
        (false, true) => ("Reached", "good"),
        (false, false) => ("Fell short", "bad"),
    }
}

/// What came of the run, in a sentence.
pub(super) fn headline(outcome: &Outcome) -> String {
    text::verdict(&outcome.summary)
}

/// The title of the page of one result.
pub(super) fn title(outcome: &Outcome) -> String {
    format!("throng {}: {}", outcome.summary.role, headline(outcome))
}

/// When a run began, by the clock of its machine.
pub(super) fn began(summary: &Summary) -> String {
    utc(summary.started_unix_s)
}

/// A time in seconds since 1970.
pub(super) fn utc(unix_s: f64) -> String {
    let at = utc::date_and_time(unix_s);
    format!("{} UTC", at.replace('T', " "))
}

/// The result as data.
pub(super) fn embedded(outcome: &Outcome, number: usize) -> Markup {
    // Maps with texts as keys, and numbers: all of it can be written.
    let json = serde_json::to_string(outcome).unwrap_or_default();
    embed::element(embed::Kind::Result, &json, number)
}

/// All parts. `id` begins the names of its elements, and is that of its heading; `name` says which of several it is.
pub(super) fn drawn(outcome: &Outcome, id: &str, name: Option<&str>) -> Markup {
    let Outcome { summary, record } = outcome;
    let charts = charts::of(summary, record);
    html! {
        (head(summary, id, name))
        (figures(summary, false))
        (expectations(summary, false))
        @if !charts.is_empty() {
            section aria-label="Charts" {
                h2 { "The run" }
                div.charts {
                    @for (n, chart) in charts.iter().enumerate() {
                        (chart::drawn(chart, &format!("{id}-c{n}")))
                    }
                }
            }
        }
        (latencies(summary))
        (limits(summary))
        (sections(summary, false))
        (asked(outcome))
    }
}

/// The verdict, the findings and the command line.
pub(super) fn head(summary: &Summary, id: &str, name: Option<&str>) -> Markup {
    let (verdict, _, notes) = text::verdict_and_notes(summary);
    let (word, tone) = ended(summary);
    // Those that were not met are among the expectations.
    let notes = notes
        .iter()
        .filter(|note| !matches!(note, Finding::ExpectationFailed(_)));
    let notes: Vec<String> = notes.map(ToString::to_string).collect();
    html! {
        header {
            p.when {
                "throng " (summary.role)
                @if let Some(name) = name { ", " strong { (name) } }
                ", " (began(summary))
            }
            h1 id=(id) {
                span class={ "verdict " (tone) } { (word) }
                " "
                (verdict)
            }
            @if !notes.is_empty() {
                ul.findings { @for note in &notes { li { (note) } } }
            }
            @if !summary.command.is_empty() { (command(&summary.command)) }
        }
    }
}

/// A command line, as a shell reads it.
pub(super) fn command(words: &[String]) -> Markup {
    html! {
        pre.command tabindex="0" aria-label="Command line" { (text::command(words, COMMAND).join("\n")) }
    }
}

/// A figure: what it is, its value, a remark, its tone.
struct Figure {
    label: &'static str,
    value: String,
    remark: String,
    tone: Tone,
}

fn figure(label: &'static str, value: String, remark: impl Into<String>) -> Figure {
    Figure {
        label,
        value,
        remark: remark.into(),
        tone: Tone::Plain,
    }
}

/// The latency that a user would notice first, and what it is called.
pub(super) fn latency(summary: &Summary) -> Option<(&'static str, &Percentiles)> {
    let of = summary.histogram.as_ref().map(|histogram| histogram.of)?;
    let l = &summary.latency;
    let (label, percentiles) = match of {
        HistogramOf::Response => ("response time", &l.response),
        HistogramOf::Service => ("service time", &l.service),
        HistogramOf::Marked => ("message age", &l.marked),
        HistogramOf::Pong => ("time to a pong", &l.pong),
    };
    Some((label, percentiles.as_ref()?))
}

/// A percentile as the text output has it: more than that, if it is a lower bound.
pub(super) fn at(percentiles: &Percentiles, field: &str, us: f64) -> String {
    let bound = percentiles.at_least.contains(field);
    format!("{}{}", if bound { "> " } else { "" }, human::micros(us))
}

/// The rate that the run is about: its value, and of what.
pub(super) fn rate(summary: &Summary) -> Option<(f64, &'static str)> {
    // An event stream has no answer while it lasts. Where answers are missing, that there were none says most.
    let answers = summary.answers.as_ref();
    let answers = answers.and_then(|a| a.per_s.filter(|r| *r > 0.0 || a.unanswered > 0));
    let messages = summary.message_rate.as_ref().map(|m| m.reached_per_s);
    let requests = summary.requests.as_ref().map(|r| (r.per_s, "requests"));
    let answers = answers.map(|per_s| (per_s, "answers"));
    let messages = messages
        .filter(|r| *r > 0.0)
        .map(|per_s| (per_s, "messages"));
    requests.or(answers).or(messages)
}

/// Attempts that failed.
pub(super) fn failed(summary: &Summary) -> u64 {
    let failed = summary.connections.failed.values();
    failed.fold(0, |all, n| all.saturating_add(*n))
}

/// The few numbers that say most: of the whole run, or of it so far.
pub(super) fn figures(summary: &Summary, so_far: bool) -> Markup {
    let c = &summary.connections;
    let mut all = Vec::new();
    let of = match c.asked {
        Some(asked) => format!("at once, of {}", human::things(asked, "connection")),
        None => "connections at once".into(),
    };
    all.push(figure("Peak", count(c.peak), of));
    if let Some(set_up) = summary.set_up.as_ref().filter(|s| s.seconds > 0.0) {
        let over = format!("established, over {}", human::seconds(set_up.seconds));
        all.push(figure("Opening", human::rate(set_up.per_s), over));
    }
    if let Some((per_s, what)) = rate(summary) {
        all.push(figure("Traffic", human::rate(per_s), what));
    }
    if let Some((label, p)) = latency(summary) {
        for (name, field, us) in [
            ("Median", "p50_us", p.p50_us),
            ("99th percentile", "p99_us", p.p99_us),
            ("Longest", "max_us", p.max_us),
        ] {
            all.push(figure(name, at(p, field, us), label));
        }
    }
    let failed = failed(summary);
    let attempted = human::things(c.attempted, "attempt");
    if !c.is_of_server() {
        all.push(Figure {
            tone: if failed > 0 { Tone::Bad } else { Tone::Plain },
            ..figure("Failed", count(failed), format!("of {attempted}"))
        });
    }
    let took = match summary.hold_s.filter(|hold| *hold > 0.0 || !so_far) {
        Some(hold) => format!("of which {} held", human::seconds(hold)),
        None if so_far => "since the run began".into(),
        None => "from beginning to end".into(),
    };
    let label = if so_far { "So far" } else { "Took" };
    all.push(figure(label, human::seconds(summary.seconds), took));
    html! {
        dl.figures {
            @for figure in &all {
                div class=(tone(figure.tone)) {
                    dt { (figure.label) }
                    dd { strong { (figure.value) } span { (figure.remark) } }
                }
            }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Odd => "odd",
        Tone::Bad => "bad",
    }
}

/// What came of each expectation: at the end of the run, or by what is known so far.
pub(super) fn expectations(summary: &Summary, so_far: bool) -> Markup {
    let so_far = if so_far { " so far" } else { "" };
    html! {
        @if !summary.expectations.is_empty() {
            section {
                h2 { "Expectations" }
                table.rows {
                    tbody {
                        @for expected in &summary.expectations {
                            tr class=(if expected.met { "good" } else { "bad" }) {
                                th scope="row" { code { (expected.expression) } }
                                td { strong { (if expected.met { "✓ met" } else { "✗ not met" }) (so_far) } }
                                td { (expected.measured) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// All latencies: those of the text output.
pub(super) fn latencies(summary: &Summary) -> Markup {
    let latencies = Latencies::of(summary, true);
    html! {
        @if !latencies.rows.is_empty() {
            section {
                h2 { "Latency" }
                div.scroll tabindex="0" role="region" aria-label="Latency" {
                    table.wide {
                        thead {
                            tr {
                                td {}
                                @for (percentile, _) in PERCENTILES { th scope="col" { (percentile) } }
                            }
                        }
                        tbody {
                            @for row in &latencies.rows {
                                tr {
                                    th scope="row" { (row.label) }
                                    @for cell in &row.cells { td { (cell) } }
                                }
                            }
                        }
                    }
                }
                (rows(&latencies.asked))
            }
        }
    }
}

/// How near the run came to limits that are known, and those that it met.
pub(super) fn limits(summary: &Summary) -> Markup {
    let mut all: Vec<(&str, f64, f64, String)> = Vec::new();
    let c = &summary.connections;
    if let Some(asked) = c.asked.filter(|n| *n > 0) {
        let text = format!("{} of {} asked for", count(c.peak), count(asked));
        all.push(("connections at once", c.peak as f64, asked as f64, text));
    }
    if let Some(server) = &summary.server
        && let (Some(open), Some(limit)) = (server.files_open, server.file_limit)
    {
        let text = format!("{} of {}", count(open), count(limit));
        all.push(("open files of the server", open as f64, limit as f64, text));
    }
    let cpu = summary.cost.cpu_user_s + summary.cost.cpu_system_s;
    let most = summary.seconds * f64::from(summary.cores);
    if cpu > 0.0 && most > 0.0 {
        let cores = human::things(summary.cores.into(), "core");
        let text = format!(
            "{} of {} ({cores} for {})",
            human::seconds(cpu),
            human::seconds(most),
            human::seconds(summary.seconds)
        );
        all.push(("CPU time of throng", cpu, most, text));
    }
    html! {
        @if !all.is_empty() || !summary.causes.is_empty() {
            section {
                h2 { "Limits" }
                @if !summary.causes.is_empty() {
                    ul.findings {
                        @for cause in &summary.causes {
                            li {
                                @if !cause.certain { "Perhaps: " }
                                (cause)
                            }
                        }
                    }
                }
                @for (label, value, of, text) in &all {
                    div.limit {
                        span { (label) }
                        svg.bar role="img" aria-label={ (label) ": " (text) } {
                            rect.all width="100%" height="100%" {}
                            rect.part width=(format!("{:.2}%", (value / of * 100.0).clamp(0.0, 100.0))) height="100%" {}
                        }
                        span { (text) }
                    }
                }
            }
        }
    }
}

/// The numbers of the text output, a table for each of its sections.
pub(super) fn sections(summary: &Summary, so_far: bool) -> Markup {
    let (before, after) = text::sections(summary);
    let all = before
        .iter()
        .chain(&after)
        .filter(|section| !section.rows.is_empty());
    html! {
        section {
            h2 { "All counts" }
            @if so_far { p { "As they would be if the run was over now." } }
            div.cards {
                @for section in all {
                    div.card {
                        h3 { (section.title()) }
                        (rows(section))
                    }
                }
            }
        }
    }
}

/// The rows of a section.
fn rows(section: &Section) -> Markup {
    // The page has charts for them, and the command line above.
    let shown = |row: &&Row| !matches!(row.value, Value::Sparkline(_) | Value::Command(_));
    html! {
        @if section.rows.iter().any(|row| shown(&row)) {
            table.rows {
                tbody {
                    @for row in section.rows.iter().filter(shown) {
                        tr class=(tone(row.tone())) {
                            th scope="row" { (row.label) }
                            @match &row.value {
                                Value::Number(number, remark) => {
                                    td { strong { (number) } }
                                    td { (remark) }
                                }
                                Value::Prose(text) | Value::Sparkline(text) => td colspan="2" { (text) },
                                Value::Command(words) => td colspan="2" { (words.join(" ")) },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Who recorded what, and what was asked of each.
pub(super) fn asked(outcome: &Outcome) -> Markup {
    let Outcome { summary, record } = outcome;
    let several = summary.sources.len() > 1;
    html! {
        section {
            h2 { "What was run" }
            @if several {
                p {
                    (human::things(summary.sources.len() as u64, "run"))
                    " in one result. Each has its times by the clock of its own machine, and counts of an interval are spread "
                    "evenly over it where intervals differ."
                }
                div.scroll tabindex="0" role="region" aria-label="Runs" {
                    table.wide {
                        thead {
                            tr {
                                @for name in ["run", "asked for", "peak", "seconds", "cores", "kernel", "engine", "recorded"] {
                                    th scope="col" { (name) }
                                }
                            }
                        }
                        tbody {
                            @for source in &summary.sources {
                                tr {
                                    th scope="row" { (source.source) }
                                    td { (source.asked.map_or("any number".into(), count)) }
                                    td { (count(source.peak)) }
                                    td { (human::seconds(source.seconds)) }
                                    td { (source.cores) }
                                    td { (source.kernel) }
                                    td { (source.engine.name()) }
                                    td { (if source.complete { "to its end" } else { "lost before its end" }) }
                                }
                            }
                        }
                    }
                }
            }
            @for (source, part) in &record.sources {
                @if several { (command(&part.about.command)) }
                details.numbers {
                    summary {
                        "As recorded: what was asked for, and the machine"
                        @if several { " (" (source) ")" }
                    }
                    pre tabindex="0" { (as_recorded(part)) }
                }
            }
        }
    }
}

/// The description of a source, field by field.
fn as_recorded(part: &Part) -> String {
    let about = serde_json::to_value(&part.about).unwrap_or_default();
    let mut about = about;
    if let Some(fields) = about.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        // It is above, as a shell reads it.
        fields.remove("command");
    }
    serde_json::to_string_pretty(&about).unwrap_or_default()
}
