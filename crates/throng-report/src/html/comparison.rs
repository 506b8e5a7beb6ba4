//! A comparison on a page: what differs in words, then the rounds of each metric. A comparison of sweeps has charts against what was
//! swept.

use super::embed::{self, Kind};
use super::{against, document};
use crate::chart::{self, Strip, Strips, Unit};
use crate::compare::{self, Material, Results, SweptMaterial};
use crate::human::things;
use crate::json::Outcome;
use crate::text;
use maud::{Markup, html};
use throng_core::experiment::compare::{
    Apart, ByPoint, Compared, Comparison, Condition, Judged, Size, Verdict,
};
use throng_core::record::Record;

/// Columns of a command line, which can be pasted.
const COMMAND: usize = 96;

/// The page of a comparison, with all results that it is made of.
pub fn of_comparison(material: &Material) -> String {
    let comparison = material.compared();
    let page = html! {
        (parts(material, &comparison, "s1"))
        (embedded(material))
    };
    let headlines = headlines(&comparison).join("; ");
    document::document(&format!("throng compare: {headlines}"), &page)
}

/// All parts but the results. `id` begins the names of its elements.
pub(super) fn drawn(material: &Material, id: &str) -> Markup {
    parts(material, &material.compared(), id)
}

/// What came of a comparison, in a word and in a sentence for each group but the first.
pub(super) fn verdict_of(comparison: &Comparison) -> Markup {
    verdict(
        &headlines(comparison),
        comparison.compared.iter().map(|c| c.verdict),
        comparison.is_failed(),
    )
}

fn headlines(comparison: &Comparison) -> Vec<String> {
    let others = 1..comparison.groups.len();
    others.map(|n| comparison.headline(n)).collect()
}

fn parts(material: &Material, comparison: &Comparison, id: &str) -> Markup {
    let names = || comparison.groups.iter().map(|group| group.name.as_str());
    let mut notes = compare::differences(names(), &comparison.differing);
    notes.extend(comparison.notes.clone());
    let found: Vec<_> = comparison.compared.iter().map(|c| (None, c)).collect();
    let judged = comparison.judged.iter();
    html! {
        article {
            header {
                p.when { "throng compare" }
                h1 id=(id) { (verdict_of(comparison)) }
                (list(&notes))
                (command(&material.command))
                @for group in &material.groups { (run(group)) }
            }
            (conditions(judged.map(|judged| (String::new(), judged)), names()))
            (table(&found, comparison.tests, "rounds", names()))
            (all_strips(comparison, id))
        }
    }
}

/// What was run for a group.
fn run(group: &Results) -> Markup {
    html! {
        p.when {
            strong { (group.name) } ": " (things(group.rounds.len() as u64, "round"))
            @if group.rounds.len() > 1 { ", of which the first was" }
        }
        @if let Some((_, record)) = group.rounds.first() {
            @for part in record.sources.values() { (command(&part.about.command)) }
        }
    }
}

/// The page of a comparison of sweeps, with the results of all trials that it is made of.
///
/// # Errors
/// The sweeps have no point in common.
pub fn of_sweeps(material: &SweptMaterial) -> Result<String, Apart> {
    let found = material.compared()?;
    let headlines = headlines_by_point(&found).join("; ");
    let page = html! {
        (parts_by_point(&found, &material.command, "s1"))
        (embedded_sweeps(material))
    };
    Ok(document::document(
        &format!("throng compare: {headlines}"),
        &page,
    ))
}

fn headlines_by_point(found: &ByPoint) -> Vec<String> {
    let others = 1..found.sweeps.len();
    others.map(|n| found.headline(n)).collect()
}

/// What came of a comparison of sweeps, in a word and in a sentence for each sweep but the first.
pub(super) fn verdict_by_point(found: &ByPoint) -> Markup {
    verdict(
        &headlines_by_point(found),
        found.verdicts(),
        found.is_failed(),
    )
}

/// All parts but the results. `id` begins the names of its elements.
pub(super) fn parts_by_point(found: &ByPoint, by: &[String], id: &str) -> Markup {
    let names = || found.sweeps.iter().map(String::as_str);
    let rows = found.found().map(|(p, c)| (Some(found.name(p)), c));
    let rows: Vec<_> = rows.collect();
    let judged = found.judged();
    let judged = judged.map(|(point, judged)| (format!(" at {}", found.name(point)), judged));
    let charts = against::charts(found);
    html! {
        article {
            header {
                p.when { "throng compare" }
                h1 id=(id) { (verdict_by_point(found)) }
                (list(&compare::notes_by_point(found)))
                (command(by))
            }
            (conditions(judged, names()))
            (overall(found))
            @if !charts.is_empty() {
                section aria-label="Charts" {
                    h2 { "Point by point" }
                    div.charts {
                        @for (n, chart) in charts.iter().enumerate() {
                            (chart::drawn(chart, &format!("{id}-c{n}")))
                        }
                    }
                }
            }
            (table(&rows, found.tests, "trials", names()))
        }
    }
}

/// What all points say together.
fn overall(found: &ByPoint) -> Markup {
    let of = |sweep: usize| match found.sweeps.len() {
        2 => "",
        _ => found.sweeps.get(sweep).map_or("", String::as_str),
    };
    html! {
        @if !found.overall.is_empty() {
            section {
                h2 { "Overall" }
                table.rows {
                    tbody {
                        @for o in &found.overall {
                            tr class=(tone(o.verdict)) {
                                th scope="row" { (o.metric.to_string()) }
                                td colspan="1" { strong { (o.sentence()) } }
                                td { (of(o.sweep)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What came of it: a word, and a sentence for each group but the first.
fn verdict(headlines: &[String], found: impl Iterator<Item = Verdict>, failed: bool) -> Markup {
    let verdicts: Vec<Verdict> = found.collect();
    let any = |verdict| verdicts.contains(&verdict);
    let (word, tone) = match (any(Verdict::Worse), any(Verdict::Better)) {
        _ if failed => ("Failed", "bad"),
        (true, true) => ("Worse and better", "bad"),
        (true, false) => ("Worse", "bad"),
        (false, true) => ("Better", "good"),
        _ if any(Verdict::TooFewRounds) => ("Can't tell", "odd"),
        (false, false) => ("No difference", "good"),
    };
    html! {
        span class={ "verdict " (tone) } { (word) }
        @for headline in headlines { " " (headline) @if headlines.len() > 1 { "." } }
    }
}

fn list(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            ul.findings { @for note in notes { li { (note) } } }
        }
    }
}

fn command(words: &[String]) -> Markup {
    html! {
        @if !words.is_empty() {
            pre.command tabindex="0" aria-label="Command line" { (text::command(words, COMMAND).join("\n")) }
        }
    }
}

/// What came of the conditions, each with where that is.
fn conditions<'a>(
    judged: impl Iterator<Item = (String, &'a (Condition, usize, Judged))>,
    names: impl Iterator<Item = &'a str>,
) -> Markup {
    let names: Vec<&str> = names.collect();
    let of = |group: usize| match names.len() {
        2 => "",
        _ => names.get(group).copied().unwrap_or_default(),
    };
    let judged: Vec<_> = judged.collect();
    html! {
        @if !judged.is_empty() {
            section {
                h2 { "Conditions" }
                table.rows {
                    tbody {
                        @for (place, (condition, group, judged)) in &judged {
                            @let (tick, words) = compare::in_words(*judged);
                            tr class=(if *judged == Judged::Passed { "good" } else { "bad" }) {
                                th scope="row" { code { (condition.to_string()) } (place) }
                                td { strong { (tick) " " (words) } }
                                td { (of(*group)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A row for each of what is compared, which belongs to a point or to none. Rounds are called `rounds`.
fn table<'a>(
    found: &[(Option<String>, &Compared)],
    tests: usize,
    rounds: &str,
    names: impl Iterator<Item = &'a str>,
) -> Markup {
    let names: Vec<&str> = names.collect();
    let by_point = found.iter().any(|(point, _)| point.is_some());
    html! {
        @if !found.is_empty() {
            section {
                h2 { "Differences" }
                div.scroll tabindex="0" role="region" aria-label="Differences" {
                    table.wide.index {
                        thead {
                            tr {
                                th scope="col" { "metric" }
                                @if by_point { th scope="col" { "point" } }
                                @if names.len() > 2 { th scope="col" { "compared" } }
                                th scope="col" { "medians" }
                                th scope="col" { "difference" }
                            }
                        }
                        tbody {
                            @for (point, c) in found {
                                tr class=(tone(c.verdict)) {
                                    th scope="row" { (c.metric.to_string()) }
                                    @if let Some(point) = point { td { (point) } }
                                    @if names.len() > 2 { td { (names.get(c.group).copied().unwrap_or_default()) } }
                                    td { (compare::medians(c)) }
                                    td.long { strong { (c.sentence(tests)) } }
                                }
                            }
                        }
                    }
                }
                p.axis { (compare::how(rounds, tests)) }
            }
        }
    }
}

fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Worse => "bad",
        Verdict::Better => "good",
        _ => "plain",
    }
}

/// The rounds of each metric.
fn all_strips(comparison: &Comparison, id: &str) -> Markup {
    let mut metrics = Vec::new();
    for compared in &comparison.compared {
        if !metrics.contains(&&compared.metric) {
            metrics.push(&compared.metric);
        }
    }
    html! {
        @if !metrics.is_empty() {
            section aria-label="Charts" {
                h2 { "Rounds" }
                div.charts {
                    @for (n, metric) in metrics.iter().enumerate() {
                        @let of_metric = comparison.compared.iter().filter(|c| c.metric == **metric);
                        (chart::drawn_strips(&strips(comparison, &of_metric.collect::<Vec<_>>()), &format!("{id}-m{n}")))
                    }
                }
            }
        }
    }
}

/// The rounds of one metric in the first group and in each that has it, too.
fn strips(comparison: &Comparison, of_metric: &[&Compared]) -> Strips {
    let name = |group: usize| comparison.groups[group].name.clone();
    let first = of_metric.iter().take(1).map(|c| Strip {
        name: name(0),
        values: c.first.rounds.clone(),
        median: c.first.median,
        interval: None,
    });
    let others = of_metric.iter().map(|c| Strip {
        name: name(c.group),
        values: c.second.rounds.clone(),
        median: c.second.median,
        interval: shifted(c),
    });
    let says = of_metric.iter().map(|c| {
        let sentence = c.sentence(comparison.tests);
        match of_metric.len() {
            1 => format!("{}: {sentence}", compare::medians(c)),
            _ => format!("{}: {}: {sentence}", name(c.group), compare::medians(c)),
        }
    });
    let metric = of_metric.first().map(|c| &c.metric);
    Strips {
        name: metric.map(ToString::to_string).unwrap_or_default(),
        says: says.collect(),
        unit: metric.map_or(Unit::Number, |metric| metric.unit().into()),
        interval: "the first group's median, shifted: 95 % interval",
        strips: first.chain(others).collect(),
    }
}

/// The median of the first group with the interval of the shift added to it.
fn shifted(compared: &Compared) -> Option<(f64, f64)> {
    let size = compared.size?;
    let (low, high) = size.shift().interval?;
    let from = compared.first.median;
    Some(match size {
        Size::Relative(_) => (from * (1.0 + low), from * (1.0 + high)),
        Size::Absolute(_) => (from + low, from + high),
    })
}

/// What a comparison of sweeps is made of, as data.
fn embedded_sweeps(material: &SweptMaterial) -> Markup {
    let asked = serde_json::to_string(&material.embedded()).unwrap_or_default();
    html! {
        (embed::element(Kind::ByPoint, &asked, 1))
        (embedded_results(material.results()))
    }
}

/// Results as data, in their order.
fn embedded_results<'r>(results: impl Iterator<Item = &'r Record>) -> Markup {
    // Maps with texts as keys, and numbers: all of it can be written.
    let json = |outcome: &Outcome| serde_json::to_string(outcome).unwrap_or_default();
    html! {
        @for (n, record) in results.enumerate() {
            (embed::element(Kind::Result, &json(&Outcome::of(record.clone())), n + 1))
        }
    }
}

/// What the comparison is made of, as data.
fn embedded(material: &Material) -> Markup {
    let asked = serde_json::to_string(&material.embedded()).unwrap_or_default();
    html! {
        (embed::element(Kind::Comparison, &asked, 1))
        (embedded_results(material.results()))
    }
}
