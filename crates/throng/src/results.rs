//! Results of runs in files: as `--output json` writes them, or in pages (`throng report`).

use crate::Failure;
use crate::files;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use throng_core::experiment::sweep::SweepResult;
use throng_core::record::Record;
use throng_report::compare::{Material, SweptMaterial};
use throng_report::html::{Entry, Item};
use throng_report::json::{Outcome, ReadError, may_be_result, read_records};
use throng_report::sweep;

/// The files of a directory that have the plan and the result of a sweep.
const PLAN: &str = "sweep.json";
const RESULT: &str = "result.json";
/// How the names of results end.
const ENDINGS: [&str; 3] = ["json", "html", "htm"];
/// How deep directories of results are searched.
const DEEPEST: usize = 8;

/// Reads the results in the file at `path`, of which there is at least one. A page may have several.
///
/// # Errors
/// The file can't be read, or is no result of this version.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let refused = |e: String| Failure::usage(format!("{}: {e}", path.display()));
    read_records(&bytes(path)?).map_err(|e| refused(e.to_string()))
}

/// The bytes of a file that may be a result. Of one that begins as no result does, no more than its beginning is read.
///
/// # Errors
/// The file can't be read, is larger than results are, or begins otherwise.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |e: String| Failure::usage(format!("{}: {e}", path.display()));
    let begins = |bytes: &[u8]| may_be_result(bytes).map_err(|e| e.to_string());
    files::read_if(path, begins).map_err(|e| refused(e.to_string()))
}

/// Where the result is that `path` names: the directory of a sweep stands for the result in it.
///
/// # Errors
/// It is a directory, and has no result of a sweep.
pub(crate) fn file_of(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let result = path.join(RESULT);
    if result.is_file() {
        return Ok(result);
    }
    let at = path.display();
    Err(Failure::usage(match is_of_sweep(path) {
        true => {
            format!("{at}: a sweep without a result; throng sweep --resume {at} goes on with it")
        }
        false => format!(
            "{at} is a directory without a {RESULT}; throng worklog {at} finds all results in it"
        ),
    }))
}

/// The result of a sweep in the file at `path`; `None` if it is something else, or can't be read.
pub(crate) fn sweep(path: &Path) -> Option<SweepResult> {
    sweep::read(&bytes(path).ok()?)
}

/// Whether a directory is that of a sweep, which has begun at least.
pub(crate) fn is_of_sweep(directory: &Path) -> bool {
    directory.join(PLAN).is_file()
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
#[derive(Default)]
pub(crate) struct Found {
    /// The results, the earliest first.
    pub items: Vec<Item>,
    /// The files that have results, also those of other versions of this program.
    pub read: Vec<PathBuf>,
    /// What seems to be a result and is none, or can't be read: each with the reason.
    pub unread: Vec<(String, String)>,
}

/// Looks for results in `directory` and the directories in it: in files whose names end in `.json`, `.html` or `.htm`. The
/// directory of a sweep is one result. The same result in several files counts once. `output` is left out if it has none, as the
/// page of an earlier time, and so is what is hidden.
///
/// # Errors
/// The directory can't be read.
pub(crate) fn in_directory(directory: &Path, output: Option<&Path>) -> io::Result<Found> {
    let mut paths = Vec::new();
    let mut found = Found::default();
    let listed = fs::read_dir(directory)?;
    if is_of_sweep(directory) {
        paths.push(directory.join(RESULT));
    } else {
        collect(directory, listed, DEEPEST, &mut paths, &mut found.unread);
    }
    let named = |path: &Path| {
        let name = path.strip_prefix(directory).unwrap_or(path);
        name.display().to_string()
    };
    for (path, _) in &mut found.unread {
        *path = named(Path::new(path));
    }
    // A result is called by its JSON rather than by a page that has it.
    let is_page = |path: &PathBuf| path.extension().is_none_or(|ending| ending != "json");
    paths.sort_by_cached_key(|path| (is_page(path), path.clone()));
    let output = output.and_then(|path| fs::canonicalize(path).ok());
    let is_output = |path: &Path| output.is_some() && fs::canonicalize(path).ok() == output;
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for path in paths {
        let name = named(&path);
        let (has_results, items) = match of_file(&path) {
            Ok(bytes) => items(&name, &bytes),
            Err(why) => (false, Err(why)),
        };
        if has_results {
            found.read.push(path.clone());
        }
        match items {
            Err(_) if is_output(&path) => {}
            Err(why) => found.unread.push((name, why)),
            Ok(items) => {
                for item in items {
                    let same = known.entry(format!("{}", item.began())).or_default();
                    let is_same = |n: &usize| found.items[*n].is(&item);
                    match same.iter().copied().find(is_same) {
                        Some(n) => found.items[n].also().push(item.name().to_owned()),
                        None => {
                            same.push(found.items.len());
                            found.items.push(item);
                        }
                    }
                }
            }
        }
    }
    found.items.sort_by(|a, b| a.began().total_cmp(&b.began()));
    found.unread.sort();
    Ok(found)
}

/// The bytes of a file that may be a result, or why it is none.
fn of_file(path: &Path) -> Result<Vec<u8>, String> {
    let begins = |bytes: &[u8]| may_be_result(bytes).map_err(|e| e.to_string());
    files::read_if(path, begins).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound if path.ends_with(RESULT) => format!(
            "a sweep without a result: `throng sweep --resume {}` goes on with it",
            path.parent().unwrap_or(Path::new(".")).display()
        ),
        _ => e.to_string(),
    })
}

/// The results in a file of `bytes`, or why there are none to show; and whether there are any.
fn items(name: &str, bytes: &[u8]) -> (bool, Result<Vec<Item>, String>) {
    if let Some(result) = sweep::read(bytes) {
        let item = Item::Sweep {
            name: name.to_owned(),
            also: Vec::new(),
            result: Box::new(result),
        };
        return (true, Ok(vec![item]));
    }
    if let Some(material) = Material::read(bytes) {
        let item = Item::Comparison {
            name: name.to_owned(),
            also: Vec::new(),
            material: Box::new(material),
        };
        return (true, Ok(vec![item]));
    }
    if let Some(material) = SweptMaterial::read(bytes)
        && let Ok(found) = material.compared()
    {
        let item = Item::ByPoint {
            name: name.to_owned(),
            also: Vec::new(),
            material: Box::new(material),
            found: Box::new(found),
        };
        return (true, Ok(vec![item]));
    }
    match read_records(bytes) {
        Ok(records) => {
            let runs = named(name, records).map(|entry| Item::Run(Box::new(entry)));
            (true, Ok(runs.collect()))
        }
        Err(e) => (matches!(e, ReadError::Version(_)), Err(e.to_string())),
    }
}

/// Adds the files among `listed`, those of `directory`, that may be results, and those in its directories; to `unread` what
/// seems to be one and is not looked at.
fn collect(
    directory: &Path,
    listed: fs::ReadDir,
    depth: usize,
    paths: &mut Vec<PathBuf>,
    unread: &mut Vec<(String, String)>,
) {
    let mut tell = |path: &Path, why: String| unread.push((path.display().to_string(), why));
    let mut below = Vec::new();
    for entry in listed {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                tell(directory, e.to_string());
                continue;
            }
        };
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let is_named_so = ENDINGS.contains(&ending);
        match entry.file_type() {
            Err(e) => tell(&path, e.to_string()),
            Ok(kind) if kind.is_dir() && depth == 0 => {
                tell(&path, format!("more than {DEEPEST} directories deep"));
            }
            Ok(kind) if kind.is_dir() && is_of_sweep(&path) => paths.push(path.join(RESULT)),
            Ok(kind) if kind.is_dir() => below.push(path),
            Ok(kind) if kind.is_file() && is_named_so => paths.push(path),
            // They may lead in a circle, or out of the directory.
            Ok(kind) if kind.is_symlink() && (is_named_so || path.is_dir()) => {
                tell(&path, "a link, which is not followed".into());
            }
            Ok(kind) if !kind.is_file() && !kind.is_symlink() && is_named_so => {
                tell(&path, "no regular file".into());
            }
            Ok(_) => {}
        }
    }
    for path in below {
        match fs::read_dir(&path) {
            Ok(listed) => collect(&path, listed, depth - 1, paths, unread),
            Err(e) => unread.push((path.display().to_string(), e.to_string())),
        }
    }
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

    #[test]
    fn the_directory_of_a_sweep_stands_for_its_result() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let why = |path: &Path| file_of(path).unwrap_err().lines.concat();
        assert!(why(directory.path()).contains("throng worklog"));
        fs::write(at(PLAN), "{}").unwrap();
        assert!(why(directory.path()).contains("--resume"));
        fs::write(at(RESULT), "{}").unwrap();
        assert_eq!(file_of(directory.path()).unwrap(), at(RESULT));
        // Also if it is not there: reading it says so.
        for name in ["a.json", PLAN] {
            assert_eq!(file_of(&at(name)).unwrap(), at(name));
        }
    }

    #[test]
    fn what_is_not_looked_at_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let deep: PathBuf = (0..=DEEPEST).map(|n| n.to_string()).collect();
        fs::create_dir_all(at("x").join(&deep)).unwrap();
        fs::create_dir(at("killed")).unwrap();
        fs::write(at("killed/sweep.json"), "{}").unwrap();
        fs::write(at("big.json"), "\0".repeat(9)).unwrap();
        std::os::unix::fs::symlink("/", at("root")).unwrap();
        std::os::unix::fs::symlink("big.json", at("link.json")).unwrap();
        std::os::unix::fs::symlink("big.json", at("notes")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(at("socket.json")).unwrap();
        let found = in_directory(directory.path(), None).unwrap();
        let deepest = format!("x/{}", deep.parent().unwrap().display());
        for (name, why) in [
            ("root", "a link"),
            ("link.json", "a link"),
            ("socket.json", "no regular file"),
            ("big.json", "neither a JSON object nor a page"),
            ("killed/result.json", "sweep --resume"),
            (&deepest, "directories deep"),
        ] {
            let told = |(found, reason): &&(String, String)| found == name && reason.contains(why);
            assert!(
                found.unread.iter().any(|u| told(&u)),
                "{name}: {:?}",
                found.unread
            );
        }
        assert_eq!(found.unread.len(), 6, "{:?}", found.unread);
        drop(socket);
    }
}
