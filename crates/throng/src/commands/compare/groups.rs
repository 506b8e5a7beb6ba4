//! Reads groups of results from directories and files.

use crate::{Failure, results};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{Group, Round};
use throng_core::record::Record;
use throng_report::compare::Results;
use throng_report::json::read_record;

/// A group that has been read.
pub(super) struct Gathered {
    /// Its rounds.
    pub group: Group,
    /// Their results, if these are kept; none otherwise.
    pub results: Results,
}

impl Gathered {
    /// A group of so far no results.
    pub fn new(name: &str) -> Gathered {
        Gathered {
            group: Group::of(name, Vec::new()),
            results: Results {
                name: name.to_owned(),
                rounds: Vec::new(),
            },
        }
    }
}

/// The group at `path`, a directory, a file, or files separated by commas, with what was measured of `metrics`; with its results if
/// `keep`.
pub(super) fn read(path: &Path, metrics: &[Metric], keep: bool) -> Result<Gathered, Failure> {
    let written = path.display().to_string();
    let name = written.trim_end_matches('/');
    let files = match (path.exists(), path.to_str()) {
        // A name that has a comma in it is one name.
        (false, Some(list)) if list.contains(',') => list.split(',').map(PathBuf::from).collect(),
        _ if path.is_dir() => entries(path)?
            .into_iter()
            .filter(|entry| is_result(entry))
            .collect(),
        _ => vec![path.to_owned()],
    };
    if files.is_empty() {
        return Err(Failure::usage(format!(
            "{name}: it has no results: files that end in .json, as written by --output json --output-file FILE"
        )));
    }
    let name = if name.is_empty() { "/" } else { name };
    let mut read = Gathered::new(name);
    let mut rounds = Vec::new();
    for file in &files {
        let record = record(file)?;
        let name = file.display().to_string();
        rounds.push(Round::of(&name, &record, metrics));
        if keep {
            read.results.rounds.push((name, record));
        }
    }
    read.group = sound(Group::of(name, rounds))?;
    Ok(read)
}

/// The results of a directory one by one: its files, and its directories with a file per round. Each is named without the path.
pub(super) fn history(path: &Path, metrics: &[Metric]) -> Result<Vec<Group>, Failure> {
    let mut points = Vec::new();
    for entry in entries(path)? {
        if !entry.is_dir() && !is_result(&entry) {
            continue;
        }
        let name = if entry.is_dir() {
            entry.file_name()
        } else {
            entry.file_stem()
        };
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        points.push(Group {
            name,
            ..read(&entry, metrics, false)?.group
        });
    }
    match points.is_empty() {
        true => Err(Failure::usage(format!(
            "{}: it has no results",
            path.display()
        ))),
        false => Ok(points),
    }
}

/// The record of the run in the file.
pub(super) fn record(path: &Path) -> Result<Record, Failure> {
    let refused = |e: String| Failure::usage(format!("{}: {e}", path.display()));
    read_record(&results::bytes(path)?).map_err(|e| refused(e.to_string()))
}

/// What is in a directory, in the order of names.
fn entries(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        entries.collect()
    };
    let mut all = read().map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    all.sort();
    Ok(all)
}

fn is_result(path: &Path) -> bool {
    path.is_file()
        && path
            .extension()
            .is_some_and(|extension| extension == "json")
}

/// Refuses a group that has the same run twice: it would count as two rounds.
pub(super) fn sound(group: Group) -> Result<Group, Failure> {
    match group.repeated() {
        Some((a, b)) => Err(Failure::usage(format!(
            "{}: {a} and {b} are the same run: a round counts once",
            group.name
        ))),
        None => Ok(group),
    }
}
