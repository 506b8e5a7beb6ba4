//! A run, or a sweep, on a page while it lasts: the parts that its page has in the end, drawn of what is known so far.
//!
//! A page of [`page`] is brought up to date part by part by its script (`live.js`), with what [`changes`] says. Without a
//! script it is loaded again every few seconds.

use super::{charts, document, result};
use crate::chart::{self, Chart};
use crate::human::{self, count};
use crate::json::Outcome;
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};
use std::time::Duration;
use throng_core::record::Phase;
use throng_core::summary::Summary;

/// What a browser may load for the page: its style, its script, and what is new, from where the page is from.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How often a page without a script is loaded again, in seconds.
const AGAIN: u32 = 5;

/// The files beside the page: path, media type, content.
pub const FILES: [(&str, &str, &str); 3] = [
    ("/page.css", "text/css; charset=utf-8", document::STYLE),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        document::SCRIPT,
    ),
    (
        "/live.js",
        "text/javascript; charset=utf-8",
        include_str!("live.js"),
    ),
];

/// What the page has at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Its title.
    pub title: String,
    /// Its parts, in their order.
    pub parts: Vec<Part>,
    /// Whether this is the end: nothing follows.
    pub over: bool,
}

/// A part of the page: one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub place: Place,
    /// The name of its element, which no other has.
    pub id: String,
    /// The element.
    pub html: String,
}

/// The places of parts, from the top down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What is said first.
    Top,
    /// Charts, side by side.
    Charts,
    /// All else.
    Below,
}

impl Place {
    /// All, from the top down.
    pub const ALL: [Place; 3] = [Place::Top, Place::Charts, Place::Below];

    /// The name of its element.
    fn id(self) -> &'static str {
        match self {
            Place::Top => "live-top",
            Place::Charts => "live-charts",
            Place::Below => "live-below",
        }
    }
}

/// What a run is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// Its phase; `None` before the first interval.
    pub phase: Option<Phase>,
    /// When it began, in seconds since 1970; 0 if that is not known.
    pub started_unix_s: f64,
    /// Since it began.
    pub elapsed: Duration,
    /// Until the phase ends by itself, if that is known.
    pub left: Option<Duration>,
    /// Connections that are open.
    pub open: u64,
    /// Connections asked for, if a number was.
    pub asked: Option<u64>,
    /// Whether opening is paused by hand.
    pub paused: bool,
    /// What is worth knowing, in the order of time.
    pub notes: Vec<String>,
}

impl Now {
    /// What it is doing, in a word or two.
    fn word(&self) -> &'static str {
        match self.phase {
            None => "Starting",
            Some(Phase::Opening) if self.paused => "Opening is paused:",
            Some(Phase::Opening) => "Opening",
            Some(Phase::Holding) => "Holding",
            Some(Phase::Draining) => "Finishing",
            Some(Phase::Closing) => "Closing",
            Some(Phase::Serving) => "Serving",
        }
    }

    /// What it is doing, in a sentence.
    fn sentence(&self) -> String {
        if self.phase.is_none() {
            return "The run is about to begin".into();
        }
        let open = match self.asked.filter(|asked| *asked > 0) {
            Some(asked) => format!(
                "{} of {} open",
                count(self.open),
                human::things(asked, "connection")
            ),
            None => format!("{} open", human::things(self.open, "connection")),
        };
        let elapsed = human::seconds(self.elapsed.as_secs_f64());
        let left = self.left.map_or_else(String::new, |left| {
            format!("; {} left", human::countdown(left))
        });
        format!("{open} after {elapsed}{left}")
    }
}

/// The page before anything is known: of a run of this kind (`load`), started by this command line.
pub fn begun(kind: &str, command: &[String], now: &Now) -> Drawn {
    drawn(
        format!("throng {kind}: {}", now.word()),
        vec![head(kind, command, now)],
    )
}

/// The page of a run that goes on. `so_far` is the result that it would have if it was over now.
pub fn of_run(so_far: &Outcome, now: &Now) -> Drawn {
    let Outcome { summary, record } = so_far;
    let kind = &summary.role;
    let title = format!("throng {kind}: {}, {}", now.word(), now.sentence());
    let happened = summary.findings.iter();
    let happened = happened.filter(|finding| now.phase.is_some_and(|at| finding.stands(at)));
    let happened: Vec<String> = happened.map(ToString::to_string).collect();
    let top = [head_with(kind, &summary.command, now, &happened)];
    let charts = charts::of(summary, record);
    drawn(
        title,
        all(top, summary, &charts, true, &result::asked(so_far)),
    )
}

/// The page of a run that is over.
pub fn of_ended_run(outcome: &Outcome) -> Drawn {
    let Outcome { summary, record } = outcome;
    let top = [part(
        Place::Top,
        "part-head",
        &result::head(summary, "r1", None),
    )];
    let charts = charts::of(summary, record);
    Drawn {
        over: true,
        ..drawn(
            result::title(outcome),
            all(top, summary, &charts, false, &result::asked(outcome)),
        )
    }
}

pub(super) fn drawn(title: String, parts: Vec<Part>) -> Drawn {
    Drawn {
        title,
        parts,
        over: false,
    }
}

/// A part that is an element of its own around `content`.
pub(super) fn part(place: Place, id: &str, content: &Markup) -> Part {
    Part {
        place,
        id: id.into(),
        html: html! { div.part id=(id) { (content) } }.into_string(),
    }
}

/// A chart. It is named after what it shows: others may come before it.
pub(super) fn of_chart(chart: &Chart) -> Part {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let words = chart.name.split(|c| !plain(c)).filter(|w| !w.is_empty());
    let name = words.collect::<Vec<_>>().join("-").to_lowercase();
    let id = format!("chart-{name}");
    Part {
        place: Place::Charts,
        html: chart::drawn(chart, &id).into_string(),
        id,
    }
}

/// What a run of this kind, started by this command line, is doing: the first part of its page.
pub fn head(kind: &str, command: &[String], now: &Now) -> Part {
    head_with(kind, command, now, &[])
}

/// The same, with the findings that the run has so far.
fn head_with(kind: &str, command: &[String], now: &Now, findings: &[String]) -> Part {
    let content = html! {
        header {
            p.when {
                "throng " (kind)
                @if now.started_unix_s > 0.0 { ", " (result::utc(now.started_unix_s)) }
            }
            h1 id="r1" { span.verdict.now { (now.word()) } " " (now.sentence()) }
            @if !findings.is_empty() {
                p { "If the run ended now, its summary would say:" }
                ul.findings { @for finding in findings { li { (finding) } } }
            }
            @if !now.notes.is_empty() {
                ul.findings { @for note in &now.notes { li { (note) } } }
            }
            @if !command.is_empty() { (result::command(command)) }
        }
    };
    part(Place::Top, "part-head", &content)
}

/// All parts of a run's page, after `top`.
fn all(
    top: impl IntoIterator<Item = Part>,
    summary: &Summary,
    charts: &[Chart],
    so_far: bool,
    asked: &Markup,
) -> Vec<Part> {
    let mut parts: Vec<Part> = top.into_iter().collect();
    let figures = result::figures(summary, so_far);
    parts.push(part(Place::Top, "part-figures", &figures));
    let expectations = result::expectations(summary, so_far);
    parts.push(part(Place::Top, "part-expectations", &expectations));
    parts.extend(charts.iter().map(of_chart));
    for (id, content) in [
        ("part-latencies", &result::latencies(summary)),
        ("part-limits", &result::limits(summary)),
        ("part-sections", &result::sections(summary, so_far)),
        ("part-asked", asked),
    ] {
        parts.push(part(Place::Below, id, content));
    }
    parts
}

/// The whole page. `run` tells it from pages of other runs at the same address, and `version` from earlier ones of the same.
pub fn page(drawn: &Drawn, run: &str, version: u64) -> String {
    let head = html! {
        link rel="stylesheet" href="page.css";
        @if !drawn.over {
            noscript { meta http-equiv="refresh" content=(AGAIN); }
        }
        script src="page.js" defer {}
        script src="live.js" defer {}
    };
    let at = |place: Place| {
        let parts = drawn.parts.iter().filter(move |part| part.place == place);
        html! { @for part in parts { (PreEscaped(&part.html)) } }
    };
    let body = html! {
        main data-run=(run) data-version=(version) data-over[drawn.over] {
            p.live id="live" role="status" {
                @if drawn.over {
                    "It is over, and this is its result."
                } @else {
                    "This page shows what is known so far."
                    noscript { " It is loaded again every " (AGAIN) " seconds." }
                }
            }
            div id=(Place::Top.id()) { (at(Place::Top)) }
            h2 { "Charts" }
            div.charts id=(Place::Charts.id()) { (at(Place::Charts)) }
            div id=(Place::Below.id()) { (at(Place::Below)) }
        }
    };
    document::framed(&drawn.title, &head, &body)
}

/// What changes on the page of `run` to be of `version`, in JSON without line breaks: for each place all its parts, each with
/// its element if `is_new` says that it has changed.
pub fn changes(
    drawn: &Drawn,
    run: &str,
    version: u64,
    is_new: impl Fn(usize, &Part) -> bool,
) -> String {
    let of = |place: Place| -> Value {
        let parts = drawn.parts.iter().enumerate();
        let parts = parts.filter(|(_, part)| part.place == place);
        let parts = parts.map(|(n, part)| json!([part.id, is_new(n, part).then_some(&part.html)]));
        parts.collect()
    };
    let places = Place::ALL.map(|place| json!([place.id(), of(place)]));
    json!({
        "run": run,
        "version": version,
        "title": drawn.title,
        "over": drawn.over,
        "places": places,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(Place, &str, &str)]) -> Drawn {
        let parts = parts.iter();
        let parts = parts.map(|(place, id, text)| part(*place, id, &html! { (text) }));
        drawn("a <title>".into(), parts.collect())
    }

    #[test]
    fn changes_name_all_parts_and_have_those_that_are_new() {
        let drawn = of(&[
            (Place::Top, "a", "one\ntwo"),
            (Place::Charts, "b", "x"),
            (Place::Charts, "c", "<y>"),
        ]);
        let text = changes(&drawn, "run", 7, |n, part| n == 0 || part.id == "c");
        assert!(!text.contains('\n'), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            read["places"],
            json!([
                [
                    "live-top",
                    [["a", "<div class=\"part\" id=\"a\">one\ntwo</div>"]]
                ],
                [
                    "live-charts",
                    [
                        ["b", null],
                        ["c", "<div class=\"part\" id=\"c\">&lt;y&gt;</div>"]
                    ]
                ],
                ["live-below", []],
            ])
        );
        assert_eq!(
            (&read["version"], &read["over"]),
            (&json!(7), &json!(false))
        );
    }

    #[test]
    fn a_page_without_a_script_is_loaded_again_until_the_run_is_over() {
        let mut drawn = of(&[(Place::Top, "a", "text")]);
        let refreshed = |drawn: &Drawn| page(drawn, "run", 1).contains("http-equiv=\"refresh\"");
        assert!(refreshed(&drawn));
        drawn.over = true;
        assert!(!refreshed(&drawn));
        assert!(page(&drawn, "run", 1).contains("<title>a &lt;title&gt;</title>"));
    }

    #[test]
    fn what_a_run_is_doing_is_said_in_a_sentence() {
        let mut now = Now::default();
        assert_eq!(now.sentence(), "The run is about to begin");
        now.phase = Some(Phase::Holding);
        (now.open, now.asked) = (1200, Some(2000));
        now.elapsed = Duration::from_secs(3);
        assert_eq!(
            now.sentence(),
            "1,200 of 2,000 connections open after 3.00 s"
        );
        now.paused = true;
        assert_eq!(now.word(), "Holding");
        now.phase = Some(Phase::Opening);
        assert_eq!(now.word(), "Opening is paused:");
        now.asked = None;
        now.left = Some(Duration::from_secs(90));
        assert_eq!(
            now.sentence(),
            "1,200 connections open after 3.00 s; 1m 30s left"
        );
    }
}
