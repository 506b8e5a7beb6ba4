//! A sweep on disk: its plan, a file for each finished trial, its result. Each file is written whole or not at all, and the plan
//! first, so whatever ends the sweep, at most the trial under way is lost.

use crate::{Failure, files};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use throng_core::experiment::sweep::{Due, Measured, Plan, SweepResult, Trial, VERSION, why_short};
use throng_core::record::Record;
use throng_host::lock::{Locked, lock};
use throng_report::file::write_whole;
use throng_report::json::{read_record, write_json};

/// The files of a sweep.
const PLAN: &str = "sweep.json";
const RESULT: &str = "result.json";
const TRIALS: &str = "trials";
const SYSTEM_LOG: &str = "system.log";
/// How files begin that were not complete when their writer died.
const INCOMPLETE: &str = ".throng-";
/// The greatest number that a directory without a name is given.
const MOST_NAMES: u32 = 10_000;

/// A trial without a result.
#[derive(Serialize, Deserialize)]
struct WithoutResult {
    version: u32,
    exit_code: u8,
    reason: String,
}

/// A directory that no other sweep uses.
pub(super) struct Directory {
    path: PathBuf,
    _lock: Locked,
}

impl Directory {
    /// The directory for a new sweep, which is created, or is empty.
    pub fn create(asked: Option<&Path>) -> Result<Directory, Failure> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => unused()?,
        };
        let at = |e: io::Error| Failure::usage(format!("{}: {e}", path.display()));
        fs::create_dir_all(&path).map_err(at)?;
        let directory = Directory::locked(path.clone())?;
        for entry in fs::read_dir(&path).map_err(at)? {
            let entry = entry.map_err(at)?;
            if is_incomplete(&entry.path()) {
                continue;
            }
            let remedy = match path.join(PLAN).exists() {
                true => format!(
                    "it has a sweep; `throng sweep --resume {}` goes on with it",
                    path.display()
                ),
                false => "name one that is empty or does not exist".into(),
            };
            return Err(Failure::usage(format!(
                "{} is not empty: {remedy}",
                path.display()
            )));
        }
        Ok(directory)
    }

    /// The directory of a sweep that has begun, with its plan.
    pub fn open(path: &Path) -> Result<(Directory, Plan), Failure> {
        let plan = path.join(PLAN);
        let refused = |e: String| Failure::usage(format!("{}: {e}", plan.display()));
        let bytes = match files::read(&plan) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_dir() => {
                return Err(refused("no sweep has begun in this directory".into()));
            }
            other => other.map_err(|e| refused(e.to_string()))?,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|e| refused(e.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(refused(format!(
                    "a sweep of version {version}; this throng makes version {VERSION}"
                )));
            }
            None => return Err(refused("not the plan of a sweep: it has no version".into())),
        }
        let plan = serde_json::from_value(value)
            .map_err(|e| refused(format!("not the plan of a sweep: {e}")))?;
        Ok((Directory::locked(path.to_owned())?, plan))
    }

    /// Locks the directory, and removes what another sweep left unfinished in it.
    fn locked(path: PathBuf) -> Result<Directory, Failure> {
        let locked = lock(&path).map_err(|e| Failure::fault(format!("{}: {e}", path.display())))?;
        let Some(lock) = locked else {
            return Err(Failure::usage(format!(
                "{}: another throng sweep works in this directory",
                path.display()
            )));
        };
        for directory in [path.clone(), path.join(TRIALS)] {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_incomplete(&entry.path())) {
                // What can't be removed is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Directory { path, _lock: lock })
    }

    /// Writes the plan. The sweep has begun then.
    pub fn begin(&self, plan: &Plan) -> Result<(), Failure> {
        self.write(Path::new(PLAN), &json(plan)?)
    }

    /// Writes the scenarios that trials run, and makes the directory for their results.
    pub fn prepare(&self, plan: &Plan) -> Result<(), Failure> {
        let trials = self.path.join(TRIALS);
        fs::create_dir_all(&trials)
            .map_err(|e| Failure::fault(format!("cannot create {}: {e}", trials.display())))?;
        for (nth, text) in plan.scenarios.iter().enumerate() {
            let name = scenario_name(nth, plan);
            if fs::read(self.path.join(&name)).ok().as_deref() != Some(text.as_bytes()) {
                self.write(&name, text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The file of the scenario of a point.
    pub fn scenario(&self, point: usize, plan: &Plan) -> PathBuf {
        self.path.join(scenario_name(plan.scenario(point), plan))
    }

    /// Keeps what a trial printed as its result. Returns what it says.
    pub fn keep(&self, number: u32, due: Due, plan: &Plan, json: &[u8]) -> Result<Trial, Failure> {
        let record = read_record(json).map_err(|e| {
            Failure::fault(format!("trial {number} printed no result of a run: {e}"))
        })?;
        self.write(&trial_name(number), json)?;
        Ok(with_result(number, due, plan, &record))
    }

    /// Keeps that a trial has no result, and why.
    pub fn keep_failed(
        &self,
        number: u32,
        due: Due,
        exit_code: u8,
        reason: String,
    ) -> Result<Trial, Failure> {
        let failed = WithoutResult {
            version: VERSION,
            exit_code,
            reason,
        };
        self.write(&failed_name(number), &json(&failed)?)?;
        Ok(without_result(number, due, failed))
    }

    /// The finished trials of the plan's schedule, by their numbers. What a search has tried is found out as it goes on.
    pub fn finished(&self, plan: &Plan) -> Result<BTreeMap<u32, (Due, Trial)>, Failure> {
        let mut finished = BTreeMap::new();
        for (number, due) in (1..).zip(plan.schedule()) {
            if let Some(trial) = self.read(number, due, plan)? {
                finished.insert(number, (due, trial));
            }
        }
        Ok(finished)
    }

    /// A trial, if it is finished.
    pub fn read(&self, number: u32, due: Due, plan: &Plan) -> Result<Option<Trial>, Failure> {
        for name in [trial_name(number), failed_name(number)] {
            let path = self.path.join(&name);
            let refused = |e: String| {
                Failure::usage(format!(
                    "{}: {e}; remove it, and the trial is made again",
                    path.display()
                ))
            };
            let bytes = match files::read(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|e| refused(e.to_string()))?,
            };
            let trial = match name == trial_name(number) {
                true => {
                    let record = read_record(&bytes).map_err(|e| refused(e.to_string()))?;
                    with_result(number, due, plan, &record)
                }
                false => {
                    let failed =
                        serde_json::from_slice(&bytes).map_err(|e| refused(e.to_string()))?;
                    without_result(number, due, failed)
                }
            };
            return Ok(Some(trial));
        }
        Ok(None)
    }

    /// Writes the result of the sweep so far.
    pub fn write_result(&self, result: &SweepResult) -> Result<(), Failure> {
        self.write(Path::new(RESULT), &json(result)?)
    }

    /// The file that has what the system under test prints.
    pub fn system_log(&self) -> Result<(PathBuf, File), Failure> {
        let path = self.path.join(SYSTEM_LOG);
        let opened = File::options().create(true).append(true).open(&path);
        let file =
            opened.map_err(|e| Failure::fault(format!("cannot write {}: {e}", path.display())))?;
        Ok((path, file))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), Failure> {
        write_whole(&self.path.join(name), bytes).map_err(|e| {
            let mut failure = Failure::fault(e.to_string());
            if self.path.join(PLAN).exists() {
                failure.lines[0] += &format!(
                    "; every trial before it is kept, and `throng sweep --resume {}` goes on",
                    self.path.display()
                );
            }
            failure
        })
    }
}

/// The first name for a directory that is not used.
fn unused() -> Result<PathBuf, Failure> {
    let names = (1..MOST_NAMES).map(|n| PathBuf::from(format!("sweep-{n}")));
    let mut unused = names.filter(|name| !name.exists());
    unused
        .next()
        .ok_or_else(|| Failure::usage("name a directory: --output-dir DIR"))
}

fn is_incomplete(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(INCOMPLETE))
}

/// The file of a scenario, by its index in the plan.
fn scenario_name(nth: usize, plan: &Plan) -> PathBuf {
    match plan.scenarios.len() {
        1 => "scenario.toml".into(),
        _ => format!("scenario-{}.toml", nth + 1).into(),
    }
}

fn trial_name(number: u32) -> PathBuf {
    PathBuf::from(TRIALS).join(format!("{number:04}.json"))
}

fn failed_name(number: u32) -> PathBuf {
    PathBuf::from(TRIALS).join(format!("{number:04}.failed.json"))
}

fn with_result(number: u32, due: Due, plan: &Plan, record: &Record) -> Trial {
    let (summary, measured) = Measured::of(record, plan);
    Trial {
        number,
        repetition: due.repetition,
        file: trial_name(number).display().to_string(),
        exit_code: summary.exit_code(),
        reason: why_short(&summary),
        measured: Some(measured),
    }
}

fn without_result(number: u32, due: Due, failed: WithoutResult) -> Trial {
    Trial {
        number,
        repetition: due.repetition,
        file: failed_name(number).display().to_string(),
        exit_code: failed.exit_code,
        reason: Some(failed.reason),
        measured: None,
    }
}

fn json(data: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write_json(data, &mut bytes).map_err(|e| Failure::fault(e.to_string()))?;
    Ok(bytes)
}
