//! Results of runs in files: as `--output json` writes them, or in pages (`throng report`).

use crate::Failure;
use crate::files;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use throng_core::experiment::sweep::SweepResult;
use throng_core::record::Record;
use throng_report::html::Entry;
use throng_report::json::{Outcome, ReadError, read_records};
use throng_report::sweep;

/// How deep directories of results are searched.
const DEEPEST: usize = 8;

/// Reads the results in the file at `path`, of which there is at least one. A page may have several.
///
/// # Errors
/// The file can't be read, or is no result of this version.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let refused = |e: String| Failure::usage(format!("{}: {e}", path.display()));
    let bytes = files::read(path).map_err(|e| refused(e.to_string()))?;
    read_records(&bytes).map_err(|e| refused(e.to_string()))
}

/// The result of a sweep in the file at `path`; `None` if it is something else, or can't be read.
pub(crate) fn sweep(path: &Path) -> Option<SweepResult> {
    sweep::read(&files::read(path).ok()?)
}

/// The results in these files, each under the name of its file.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn entries(paths: &[PathBuf]) -> Result<Vec<Entry>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(named(&path.display().to_string(), read(path)?));
    }
    Ok(all)
}

/// Entries for the results of a file. Several have numbers.
fn named(name: &str, records: Vec<Record>) -> impl Iterator<Item = Entry> {
    let several = records.len() > 1;
    let records = records.into_iter().enumerate();
    records.map(move |(n, record)| Entry {
        name: match several {
            true => format!("{name} ({})", n + 1),
            false => name.to_owned(),
        },
        also: Vec::new(),
        outcome: Outcome::of(record),
    })
}

/// What is in a directory.
pub(crate) struct Found {
    /// The results, the earliest first.
    pub entries: Vec<Entry>,
    /// The files that have results, also those of sweeps and of other versions of this program.
    pub read: Vec<PathBuf>,
    /// Files that seem to be results and are not, each with the reason.
    pub unread: Vec<(String, String)>,
}

/// Looks for results in `directory` and the directories in it: in files whose names end in `.json`, `.html` or `.htm`. The
/// same result in several files counts once. `output` is left out if it has none, as the page of an earlier time, and so is
/// what is hidden.
///
/// # Errors
/// The directory can't be read.
pub(crate) fn in_directory(directory: &Path, output: Option<&Path>) -> io::Result<Found> {
    let mut paths = Vec::new();
    collect(directory, DEEPEST, &mut paths)?;
    // A result is called by its JSON rather than by a page that has it.
    let is_page = |path: &PathBuf| path.extension().is_none_or(|ending| ending != "json");
    paths.sort_by_cached_key(|path| (is_page(path), path.clone()));
    let output = output.and_then(|path| fs::canonicalize(path).ok());
    let is_output = |path: &Path| output.is_some() && fs::canonicalize(path).ok() == output;
    let (mut entries, mut read, mut unread) = (Vec::<Entry>::new(), Vec::new(), Vec::new());
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for path in paths {
        let name = path.strip_prefix(directory).unwrap_or(&path);
        let name = name.display().to_string();
        let (has_results, records) = match files::read(&path) {
            Err(e) => (false, Err(e.to_string())),
            Ok(bytes) => records_of(&bytes),
        };
        if has_results {
            read.push(path.clone());
        }
        match records {
            Err(_) if is_output(&path) => {}
            Err(why) => unread.push((name, why)),
            Ok(records) => {
                for entry in named(&name, records) {
                    let sources = entry.outcome.record.sources.keys();
                    let sources: Vec<String> = sources.map(ToString::to_string).collect();
                    let same = known.entry(sources.join(" ")).or_default();
                    let is_same = |n: &usize| entries[*n].outcome.record == entry.outcome.record;
                    match same.iter().copied().find(is_same) {
                        Some(n) => entries[n].also.push(entry.name),
                        None => {
                            same.push(entries.len());
                            entries.push(entry);
                        }
                    }
                }
            }
        }
    }
    let began = |entry: &Entry| entry.outcome.summary.started_unix_s;
    entries.sort_by(|a, b| began(a).total_cmp(&began(b)));
    Ok(Found {
        entries,
        read,
        unread,
    })
}

/// The results in a file of `bytes`, or why there are none to show; and whether there are any.
fn records_of(bytes: &[u8]) -> (bool, Result<Vec<Record>, String>) {
    if sweep::read(bytes).is_some() {
        let why = "the result of a sweep: `throng report` draws it";
        return (true, Err(why.into()));
    }
    match read_records(bytes) {
        Ok(records) => (true, Ok(records)),
        Err(e) => (matches!(e, ReadError::Version(_)), Err(e.to_string())),
    }
}

/// Adds the files in `directory` that may be results, and those in its directories.
fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        // Links are not followed: they may lead in a circle.
        let kind = entry.file_type()?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, paths)?;
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if kind.is_file() && ["json", "html", "htm"].contains(&ending) {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_left_out_of_a_directory_unless_it_has_a_result() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("old.json"), r#"{"version": 0}"#).unwrap();
        fs::write(at("page.html"), "<!doctype html>").unwrap();
        for (output, unread) in [
            (None, vec!["old.json", "page.html"]),
            (Some("old.json"), vec!["page.html"]),
            (Some("page.html"), vec!["old.json"]),
        ] {
            let output = output.map(at);
            let found = in_directory(directory.path(), output.as_deref()).unwrap();
            let names: Vec<&str> = found.unread.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, unread);
            assert_eq!(found.read, [at("old.json")]);
        }
    }
}
