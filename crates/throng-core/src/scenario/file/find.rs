//! Finds a key by the name that a user has for it: `connections` is `load.connections`, `message-rate` is
//! `load.pace.message-rate`.
//!
//! No list of keys is kept beside the types. A key that no section has is refused with those that it has, so the sections are
//! asked.

use super::error::{FileError, Problem, Source};
use super::place::Set;
use super::{read, tree};
use crate::nearest::nearest;
use crate::scenario::Scenario;
use crate::units::quoted;
use std::io;

/// A name that is no key.
const NONE: &str = "?";
/// How deep sections lie at most: `load.protocol.http.method`.
const DEEPEST: usize = 4;

/// Why a name is no key. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The scenario itself can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key has this name.
    #[error("there is no key {}{}", quoted(name), .nearest.as_ref().map_or_else(String::new, |it| format!("; did you mean '{it}'?")))]
    Unknown {
        /// The name.
        name: String,
        /// The most similar one that is a key, if any is similar.
        nearest: Option<String>,
    },
    /// Several keys have this name.
    #[error("{} may be {}; write it in full", quoted(name), paths.join(" or "))]
    Several {
        /// The name.
        name: String,
        /// Their paths.
        paths: Vec<String>,
    },
}

/// The path of the key that `name` means in the scenario `text`: its last part, or the path itself, which is not checked: reading
/// the scenario with a value for it does. Of several keys with the same last part, the one that is least deep.
///
/// # Errors
/// There is none, or there are several, or the scenario can't be read.
pub fn find_key(
    text: &str,
    origin: &str,
    name: &str,
    files: &dyn Fn(&str) -> io::Result<Vec<u8>>,
) -> Result<String, KeyError> {
    let role = match read(text, origin, &[], files)? {
        Scenario::Load(_) => "load",
        Scenario::Serve(_) => "serve",
        Scenario::Proxy(_) => "proxy",
    };
    if name
        .strip_prefix(role)
        .is_some_and(|rest| rest.starts_with('.'))
    {
        return Ok(name.to_owned());
    }
    let mut all = Vec::new();
    keys(text, files, vec![role.to_owned()], &mut all);
    let last = |path: &String| path.rsplit('.').next() == Some(name);
    let depth = |path: &String| path.matches('.').count();
    let mut found: Vec<String> = all.iter().filter(|path| last(path)).cloned().collect();
    let least = found.iter().map(depth).min();
    found.retain(|path| Some(depth(path)) == least);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let known = all.iter().filter_map(|path| path.rsplit('.').next());
            let known: Vec<String> = known.map(str::to_owned).collect();
            Err(KeyError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, &known),
            })
        }
        _ => Err(KeyError::Several {
            name: name.to_owned(),
            paths: found,
        }),
    }
}

/// Adds the paths of all keys in the section at `path`, if it is one.
fn keys(
    text: &str,
    files: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    path: Vec<String>,
    all: &mut Vec<String>,
) {
    if path.len() > DEEPEST {
        return;
    }
    let section = path.join(".");
    let none = Set {
        path: [&path[..], &[NONE.to_owned()]].concat(),
        value: "0".into(),
    };
    let refused = read(text, "", &[none], files).err();
    let mut known = match refused.map(|e| *e.problem) {
        Some(Problem::UnknownKey {
            section: of, known, ..
        }) if of == section => known,
        _ => Vec::new(),
    };
    // Which section describes the protocol depends on the protocol: the one that is in the file.
    for name in written(text, &path) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    for name in known {
        all.push(format!("{section}.{name}"));
        keys(text, files, [&path[..], &[name]].concat(), all);
    }
}

/// The names of the keys that the file has in the section at `path`.
fn written(text: &str, path: &[String]) -> Vec<String> {
    let source = Source {
        text,
        origin: "",
        sets: &[],
    };
    let Ok(root) = tree::parse(text).map_err(|e| source.error(e)) else {
        return Vec::new();
    };
    let section = path.iter().try_fold(&root, |node, name| node.get(name));
    match section.map(|node| &node.value) {
        Some(tree::Value::Table(entries)) => {
            entries.iter().map(|(key, _)| key.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: &str =
        "version = 1\n[load]\ntargets = ['127.0.0.1:9']\n[load.protocol.http]\nmethod = 'GET'\n";

    fn find(text: &str, name: &str) -> Result<String, String> {
        let no_files = |_: &str| Err(io::ErrorKind::NotFound.into());
        find_key(text, "x.toml", name, &no_files).map_err(|e| e.to_string())
    }

    #[test]
    fn a_key_is_found_by_its_path_and_by_its_last_part() {
        for (name, path) in [
            ("connections", "load.connections"),
            ("load.connections", "load.connections"),
            ("hold", "load.hold"),
            ("message-rate", "load.pace.message-rate"),
            ("in-flight", "load.pace.in-flight"),
            ("rcvbuf", "load.sockets.rcvbuf"),
            ("method", "load.protocol.http.method"),
            ("load.protocol.http.method", "load.protocol.http.method"),
        ] {
            assert_eq!(find(LOAD, name).as_deref(), Ok(path), "{name}");
        }
        let serve = "version = 1\n[serve]\nlisten = [9000]\n";
        assert_eq!(find(serve, "backlog").as_deref(), Ok("serve.backlog"));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_nearest_one() {
        for (text, name, part) in [
            (LOAD, "conections", "did you mean 'connections'?"),
            (LOAD, "zzzzz", "there is no key 'zzzzz'"),
            (LOAD, "rate", "may be load.connect.rate or load.pace.rate"),
            ("version = 2\n", "hold", "version 2 is unknown"),
        ] {
            let error = find(text, name).expect_err(name);
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
