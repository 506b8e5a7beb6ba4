//! What a comparison is made of: the results of each group, and what is compared of them. The page of a comparison has it, so that the
//! comparison can be made again.

use crate::html::embed::{self, Kind};
use crate::json::read_records;
use serde::{Deserialize, Serialize};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{self, Comparison, Condition, Group, Round};
use throng_core::record::Record;

/// The version of its form in a page.
const VERSION: u32 = 1;

/// The results of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// The name of the group.
    pub name: String,
    /// The name and the record of each round, of those that were interrupted, too.
    pub rounds: Vec<(String, Record)>,
}

/// What a comparison is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// The groups; all are compared with the first.
    pub groups: Vec<Results>,
    /// The same thing as the first group, at another time.
    pub floor: Option<Results>,
    /// The names of the metrics that are compared; none for the usual ones.
    pub metrics: Vec<String>,
    /// What must not be, as it was written.
    pub conditions: Vec<String>,
    /// What to know about the groups, a sentence each.
    pub notes: Vec<String>,
    /// The command line of the comparison.
    pub command: Vec<String>,
}

/// Its form in a page, where results have numbers, from 1.
#[derive(Serialize, Deserialize)]
struct Embedded {
    version: u32,
    groups: Vec<EmbeddedGroup>,
    floor: Option<EmbeddedGroup>,
    metrics: Vec<String>,
    conditions: Vec<String>,
    notes: Vec<String>,
    command: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct EmbeddedGroup {
    name: String,
    rounds: Vec<EmbeddedRound>,
}

#[derive(Serialize, Deserialize)]
struct EmbeddedRound {
    name: String,
    result: usize,
}

impl Results {
    /// The group that they are, with what was measured of `metrics`.
    fn group(&self, metrics: &[Metric]) -> Group {
        let rounds = self.rounds.iter();
        let rounds = rounds.map(|(name, record)| Round::of(name, record, metrics));
        Group::of(&self.name, rounds.collect())
    }
}

impl Material {
    /// The comparison of it.
    pub fn compared(&self) -> Comparison {
        // They have been read before they were written.
        let conditions = self.conditions.iter().filter_map(|text| text.parse().ok());
        let conditions: Vec<Condition> = conditions.collect();
        let of_conditions = || conditions.iter().map(|c| c.metric.as_str());
        let names = self.metrics.iter().map(String::as_str);
        let measured = compare::wanted(names.chain(of_conditions()));
        let groups = self.groups.iter().map(|group| group.group(&measured));
        let groups: Vec<Group> = groups.collect();
        let floor = self.floor.as_ref().map(|floor| floor.group(&measured));
        let metrics = compare::chosen(&groups, &self.metrics, of_conditions());
        let mut comparison = compare::compare(groups, floor.as_ref(), &metrics, &conditions);
        comparison.notes.splice(0..0, self.notes.clone());
        comparison
    }

    /// All results, in the order of their numbers in a page.
    pub(crate) fn results(&self) -> impl Iterator<Item = &Record> {
        let groups = self.groups.iter().chain(&self.floor);
        groups.flat_map(|group| group.rounds.iter().map(|(_, record)| record))
    }

    /// Its form in a page that has [all its results](Material::results).
    pub(crate) fn embedded(&self) -> impl Serialize {
        let mut number = 0;
        let mut group = |results: &Results| EmbeddedGroup {
            name: results.name.clone(),
            rounds: results
                .rounds
                .iter()
                .map(|(name, _)| {
                    number += 1;
                    EmbeddedRound {
                        name: name.clone(),
                        result: number,
                    }
                })
                .collect(),
        };
        Embedded {
            version: VERSION,
            groups: self.groups.iter().map(&mut group).collect(),
            floor: self.floor.as_ref().map(&mut group),
            metrics: self.metrics.clone(),
            conditions: self.conditions.clone(),
            notes: self.notes.clone(),
            command: self.command.clone(),
        }
    }

    /// What a page of a comparison has; `None` if it is another page, or no page.
    pub fn read(page: &[u8]) -> Option<Material> {
        if !embed::is_page(page) {
            return None;
        }
        let json = embed::found(Kind::Comparison, page).next()?;
        let found: Embedded = serde_json::from_slice(json).ok()?;
        if found.version != VERSION || found.groups.is_empty() {
            return None;
        }
        let records = read_records(page).ok()?;
        let results = |group: &EmbeddedGroup| {
            let rounds = group.rounds.iter().map(|round| {
                let record = records.get(round.result.checked_sub(1)?)?;
                Some((round.name.clone(), record.clone()))
            });
            Some(Results {
                name: group.name.clone(),
                rounds: rounds.collect::<Option<_>>()?,
            })
        };
        Some(Material {
            groups: found.groups.iter().map(results).collect::<Option<_>>()?,
            floor: match &found.floor {
                Some(floor) => Some(results(floor)?),
                None => None,
            },
            metrics: found.metrics,
            conditions: found.conditions,
            notes: found.notes,
            command: found.command,
        })
    }
}
