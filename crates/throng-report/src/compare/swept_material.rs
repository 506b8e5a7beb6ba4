//! What a comparison of sweeps is made of: the result of each sweep and the results of its trials. The page of the comparison has it, so
//! that the comparison can be made again.

use crate::html::embed::{self, Kind};
use crate::json::read_records;
use serde::{Deserialize, Serialize};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{self, Apart, ByPoint, Condition, Group, Round, Swept};
use throng_core::experiment::sweep::SweepResult;
use throng_core::record::Record;

/// The version of its form in a page.
const VERSION: u32 = 1;

/// A sweep with the results of its trials.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptResults {
    /// Its name.
    pub name: String,
    /// Its result.
    pub result: SweepResult,
    /// Its trials that can be compared.
    pub trials: Vec<TrialResult>,
}

/// The result of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialResult {
    /// Its file, as the result of its sweep has it.
    pub file: String,
    /// How it is called.
    pub name: String,
    /// Its record.
    pub record: Record,
}

/// What a comparison of sweeps is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptMaterial {
    /// The sweeps; all are compared with the first.
    pub sweeps: Vec<SweptResults>,
    /// A sweep of the same thing as the first, at another time.
    pub floor: Option<SweptResults>,
    /// The names of the metrics that are compared.
    pub metrics: Vec<String>,
    /// What must not be, as it was written.
    pub conditions: Vec<String>,
    /// The command line of the comparison.
    pub command: Vec<String>,
}

/// Its form in a page, where the results of trials have numbers, from 1.
#[derive(Serialize, Deserialize)]
struct Embedded {
    version: u32,
    sweeps: Vec<EmbeddedSweep>,
    floor: Option<EmbeddedSweep>,
    metrics: Vec<String>,
    conditions: Vec<String>,
    command: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct EmbeddedSweep {
    name: String,
    result: SweepResult,
    trials: Vec<EmbeddedTrial>,
}

#[derive(Serialize, Deserialize)]
struct EmbeddedTrial {
    file: String,
    name: String,
    result: usize,
}

impl SweptResults {
    /// The sweep that they are, with what was measured of `metrics`; `None` if the result of a trial that can be compared is not
    /// among them.
    fn swept(&self, metrics: &[Metric]) -> Option<Swept> {
        let round = |file: &str| {
            let mut trials = self.trials.iter();
            let found = trials.find(|trial| trial.file == file).ok_or(())?;
            Ok(Round::of(&found.name, &found.record, metrics))
        };
        let swept: Result<Swept, ()> =
            Swept::of(&self.name, &self.result, |trial| round(&trial.file));
        swept.ok()
    }
}

impl SweptMaterial {
    /// The comparison of it. A sweep that lacks the result of a trial is left out.
    ///
    /// # Errors
    /// The sweeps have no point in common.
    pub fn compared(&self) -> Result<ByPoint, Apart> {
        // They have been read before they were written.
        let conditions = self.conditions.iter().filter_map(|text| text.parse().ok());
        let conditions: Vec<Condition> = conditions.collect();
        let of_conditions = || conditions.iter().map(|c| c.metric.as_str());
        let names = self.metrics.iter().map(String::as_str);
        let measured = compare::wanted(names.chain(of_conditions()));
        let sweeps = self.sweeps.iter();
        let sweeps: Vec<Swept> = sweeps.filter_map(|s| s.swept(&measured)).collect();
        let floor = self.floor.as_ref();
        let floor = floor.and_then(|floor| floor.swept(&measured));
        let groups = sweeps.iter().flat_map(|sweep| &sweep.points);
        let groups: Vec<Group> = groups.map(|(_, group)| group.clone()).collect();
        let metrics = compare::chosen(&groups, &self.metrics, of_conditions());
        compare::by_point(sweeps, floor.as_ref(), &metrics, &conditions)
    }

    /// The results of all trials, in the order of their numbers in a page.
    pub(crate) fn results(&self) -> impl Iterator<Item = &Record> {
        let sweeps = self.sweeps.iter().chain(&self.floor);
        sweeps.flat_map(|sweep| sweep.trials.iter().map(|trial| &trial.record))
    }

    /// Its form in a page that has [all its results](SweptMaterial::results).
    pub(crate) fn embedded(&self) -> impl Serialize {
        let mut number = 0;
        let mut sweep = |sweep: &SweptResults| EmbeddedSweep {
            name: sweep.name.clone(),
            result: sweep.result.clone(),
            trials: sweep
                .trials
                .iter()
                .map(|trial| {
                    number += 1;
                    EmbeddedTrial {
                        file: trial.file.clone(),
                        name: trial.name.clone(),
                        result: number,
                    }
                })
                .collect(),
        };
        Embedded {
            version: VERSION,
            sweeps: self.sweeps.iter().map(&mut sweep).collect(),
            floor: self.floor.as_ref().map(&mut sweep),
            metrics: self.metrics.clone(),
            conditions: self.conditions.clone(),
            command: self.command.clone(),
        }
    }

    /// What a page of a comparison of sweeps has; `None` if it is another page, or no page.
    pub fn read(page: &[u8]) -> Option<SweptMaterial> {
        if !embed::is_page(page) {
            return None;
        }
        let json = embed::found(Kind::ByPoint, page).next()?;
        let found: Embedded = serde_json::from_slice(json).ok()?;
        if found.version != VERSION || found.sweeps.len() < 2 {
            return None;
        }
        let records = read_records(page).ok()?;
        let sweep = |sweep: EmbeddedSweep| {
            let trials = sweep.trials.into_iter().map(|trial| {
                let record = records.get(trial.result.checked_sub(1)?)?;
                Some(TrialResult {
                    file: trial.file,
                    name: trial.name,
                    record: record.clone(),
                })
            });
            Some(SweptResults {
                name: sweep.name,
                trials: trials.collect::<Option<_>>()?,
                result: sweep.result,
            })
        };
        let material = SweptMaterial {
            sweeps: found.sweeps.into_iter().map(sweep).collect::<Option<_>>()?,
            floor: match found.floor {
                Some(floor) => Some(sweep(floor)?),
                None => None,
            },
            metrics: found.metrics,
            conditions: found.conditions,
            command: found.command,
        };
        let mut all = material.sweeps.iter().chain(&material.floor);
        let is_whole = all.all(|sweep| sweep.swept(&[]).is_some());
        is_whole.then_some(material)
    }
}
