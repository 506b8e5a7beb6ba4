//! A directory of results on a page: an index in the order of time, then each of them, to be unfolded.

use super::side_by_side::{COLUMNS, Entry, compared, named, row, table};
use super::{comparison, document, footer, result, sweep};
use crate::compare::{Material, SweptMaterial};
use crate::human::things;
use crate::{sweep as words, text};
use maud::{Markup, html};
use throng_core::experiment::compare::ByPoint;
use throng_core::experiment::sweep::SweepResult;

/// Values of a variable that the index names, at most.
const VALUES: usize = 6;

/// A result in a directory.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A run.
    Run(Box<Entry>),
    /// A sweep, with its trials.
    Sweep {
        /// The directory or file that has it.
        name: String,
        /// Other files that have it, too.
        also: Vec<String>,
        /// Its result.
        result: Box<SweepResult>,
    },
    /// The page of a comparison.
    Comparison {
        /// The file that has it.
        name: String,
        /// Other files that have it, too.
        also: Vec<String>,
        /// What it is made of.
        material: Box<Material>,
    },
    /// The page of a comparison of sweeps.
    ByPoint {
        /// The file that has it.
        name: String,
        /// Other files that have it, too.
        also: Vec<String>,
        /// What it is made of.
        material: Box<SweptMaterial>,
        /// The comparison of it.
        found: Box<ByPoint>,
    },
}

impl Item {
    /// Whether it is the same result as `other`, whatever it is called.
    pub fn is(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Run(a), Item::Run(b)) => a.outcome.record == b.outcome.record,
            (Item::Sweep { result: a, .. }, Item::Sweep { result: b, .. }) => a == b,
            (Item::Comparison { material: a, .. }, Item::Comparison { material: b, .. }) => a == b,
            (Item::ByPoint { material: a, .. }, Item::ByPoint { material: b, .. }) => a == b,
            _ => false,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Item::Run(entry) => &entry.name,
            Item::Sweep { name, .. }
            | Item::Comparison { name, .. }
            | Item::ByPoint { name, .. } => name,
        }
    }

    /// Other files that have it, too.
    pub fn also(&mut self) -> &mut Vec<String> {
        match self {
            Item::Run(entry) => &mut entry.also,
            Item::Sweep { also, .. }
            | Item::Comparison { also, .. }
            | Item::ByPoint { also, .. } => also,
        }
    }

    /// When its first run began, in seconds since 1970; infinite if none has.
    pub fn began(&self) -> f64 {
        let first = |all: &mut dyn Iterator<Item = f64>| all.fold(f64::INFINITY, f64::min);
        match self {
            Item::Run(entry) => entry.outcome.summary.started_unix_s,
            Item::Sweep { result, .. } => {
                let measured = result.trials().filter_map(|t| t.measured.as_ref());
                first(&mut measured.map(|measured| measured.started_unix_s))
            }
            Item::Comparison { material, .. } => {
                let sources = material
                    .results()
                    .flat_map(|record| record.sources.values());
                first(&mut sources.map(|part| part.about.started_unix_s))
            }
            Item::ByPoint { material, .. } => {
                let results = material.results();
                let sources = results.flat_map(|record| record.sources.values());
                first(&mut sources.map(|part| part.about.started_unix_s))
            }
        }
    }
}

/// The page of a directory of results: a table of all, in the order of time, and what could not be read, with the reason; then
/// each of the results, to be unfolded. The results themselves are not in it, since the directory has them.
pub fn of_directory(title: &str, items: &[Item], unread: &[(String, String)]) -> String {
    let ids = || (1..).map(|n| format!("r{n}"));
    let rows: Vec<Markup> = ids()
        .zip(items)
        .map(|(id, item)| indexed(&id, item))
        .collect();
    let runs = items.iter().filter_map(|item| match item {
        Item::Run(entry) => Some(&**entry),
        _ => None,
    });
    let runs: Vec<&Entry> = runs.collect();
    let drawn = html! {
        header {
            p.when { "throng" }
            h1 { (title) }
            @if !unread.is_empty() {
                details.unread open {
                    summary { (things(unread.len() as u64, "file")) " not read" }
                    ul { @for (name, why) in unread { li { strong { (name) } ": " (why) } } }
                }
            }
        }
        section {
            h2 { "Side by side" }
            (table("All results", &rows))
            (compared(&runs))
        }
        @for (id, item) in ids().zip(items) { (unfolded(&id, item)) }
        (footer(concat!("throng ", env!("CARGO_PKG_VERSION"))))
    };
    document::document(title, &drawn)
}

/// A row of the index.
fn indexed(id: &str, item: &Item) -> Markup {
    let began = match item.began() {
        at if at.is_finite() => result::utc(at),
        _ => String::new(),
    };
    match item {
        Item::Run(entry) => row(id, entry),
        Item::Sweep {
            name,
            also,
            result: swept,
        } => {
            let (word, tone) = sweep::how_it_ended(swept);
            let all = html! {
                span class={ "verdict " (tone) } { (word) }
                " "
                (words::verdict(swept))
                @for line in words::best(swept) { br; (line) }
                code { (text::command(&swept.plan.command, usize::MAX).join(" ")) }
            };
            wide(&named(id, name, also, &began), &all, &varied(swept))
        }
        Item::Comparison {
            name,
            also,
            material,
        } => {
            let all = html! {
                (comparison::verdict_of(&material.compared()))
                code { (text::command(&material.command, usize::MAX).join(" ")) }
            };
            let groups = material.groups.iter().map(|group| {
                let rounds = things(group.rounds.len() as u64, "round");
                format!("{}: {rounds}", group.name)
            });
            let groups: Vec<String> = groups.collect();
            wide(&named(id, name, also, &began), &all, &groups)
        }
        Item::ByPoint {
            name,
            also,
            material,
            found,
        } => {
            let all = html! {
                (comparison::verdict_by_point(found))
                code { (text::command(&material.command, usize::MAX).join(" ")) }
            };
            let sweeps = material.sweeps.iter().map(|sweep| {
                let trials = things(sweep.trials.len() as u64, "trial");
                format!("{}: {trials}", sweep.name)
            });
            let sweeps: Vec<String> = sweeps.collect();
            wide(&named(id, name, also, &began), &all, &sweeps)
        }
    }
}

/// A row of what is no single run: what came of it, and what it is made of instead of the figures of a run.
fn wide(named: &Markup, came_of_it: &Markup, made_of: &[String]) -> Markup {
    html! {
        tr {
            (named)
            td.long { (came_of_it) }
            td colspan=(COLUMNS.len() - 1) { @for line in made_of { div { (line) } } }
        }
    }
}

/// What varied in a sweep, and how many trials it has.
fn varied(swept: &SweepResult) -> Vec<String> {
    let plan = &swept.plan;
    let mut all: Vec<String> = Vec::new();
    for variable in &plan.variables {
        let values = match (plan.find, variable.values.as_slice()) {
            (Some(terms), _) => format!("searched from {} to {}", terms.low, terms.high),
            (None, few) if few.len() <= VALUES => few.join(", "),
            (None, many) => {
                let (first, last) = (&many[..VALUES / 2], &many[many.len() - 1]);
                format!("{} ... {last} ({} values)", first.join(", "), many.len())
            }
        };
        all.push(format!("{}: {values}", variable.name));
    }
    all.push(things(swept.finished() as u64, "trial"));
    all
}

/// All of it, to be unfolded.
fn unfolded(id: &str, item: &Item) -> Markup {
    let within = format!("{id}-");
    html! {
        details.result id=(id) {
            summary {
                strong { (item.name()) }
                " "
                @match item {
                    Item::Run(entry) => (result::headline(&entry.outcome)),
                    Item::Sweep { result, .. } => (words::verdict(result)),
                    Item::Comparison { .. } => "a comparison",
                    Item::ByPoint { .. } => "a comparison of sweeps",
                }
            }
            @match item {
                Item::Run(entry) => (result::drawn(&entry.outcome, &within, Some(&entry.name))),
                Item::Sweep { result, .. } => (sweep::drawn(result, &within)),
                Item::Comparison { material, .. } => (comparison::drawn(material, &within)),
                Item::ByPoint { material, found, .. } => (comparison::parts_by_point(found, &material.command, &within)),
            }
        }
    }
}
