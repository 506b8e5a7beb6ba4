//! A scenario as a file: TOML in, a [`Scenario`] out, and back. docs/scenario.md lists the keys.
//!
//! ```toml
//! version = 1
//!
//! [load]
//! targets = ["10.0.0.7:9000", "10.0.0.7:9001"]
//! connections = "50k"
//!
//! [load.messages]
//! repeated = ['ping \{connection.uid}\n']
//!
//! [load.pace]
//! message-rate = 0.1
//! ```
//!
//! Omitted keys have the defaults of the command line, and numbers and messages are written as there. A scenario is
//! written to a file that reads back as the same scenario. Unknown keys are refused, with their place. Certificates may
//! stay in files of their own; what messages are read from is read here, through a function that knows where files are.

mod decode;
mod error;
mod find;
mod place;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use error::{FileError, Problem, VERSION};
pub use find::{KeyError, find_key};
pub use place::{Set, SetError};
pub use write::{WriteError, write};

use super::{LoadScenario, ProxyScenario, Scenario, ServeScenario};
use decode::Decoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io;
use tree::{Node, Value};

/// Reads a scenario from `text`, whose place (a path, as a rule) is `origin`, with `sets` in place of what the file
/// says. `files` reads the files that messages are in.
///
/// # Errors
/// What is wrong, where, and what would be right, in one line.
pub fn read(
    text: &str,
    origin: &str,
    sets: &[Set],
    files: &dyn Fn(&str) -> io::Result<Vec<u8>>,
) -> Result<Scenario, FileError> {
    let source = error::Source { text, origin, sets };
    let root = tree::parse(text)
        .and_then(|root| tree::set(root, sets))
        .map_err(|e| source.error(e))?;
    check_version(&root).map_err(|e| source.error(e))?;
    let decoder = Decoder {
        node: &root,
        files: &files,
    };
    let file = File::deserialize(decoder).map_err(|e| source.error(e))?;
    let settled = match (file.load, file.serve, file.proxy) {
        (Some(load), None, None) => load.settled().map(|load| Scenario::Load(Box::new(load))),
        (None, Some(serve), None) => serve
            .settled()
            .map(|serve| Scenario::Serve(Box::new(serve))),
        (None, None, Some(proxy)) => proxy
            .settled()
            .map(|proxy| Scenario::Proxy(Box::new(proxy))),
        _ => return Err(source.whole(Problem::OneOfThese)),
    };
    settled.map_err(|e| source.whole(Problem::Contradiction(e)))
}

/// The file without its version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: i64,
    load: Option<LoadScenario>,
    serve: Option<ServeScenario>,
    proxy: Option<ProxyScenario>,
    /// What `throng sweep` varies. A single run has nothing to vary.
    #[serde(rename = "sweep")]
    _sweep: Option<IgnoredAny>,
}

/// Options, each with its values.
pub type Options = Vec<(String, Vec<String>)>;

/// The options in the section `[sweep]` of a file: each key with its values, in the order of the file. A section below it has a
/// value `NAME=VALUES` for each of its keys. `None` without the section.
///
/// # Errors
/// The file is not TOML, or a value in the section has no form of an option.
pub fn sweep_options(text: &str, origin: &str) -> Result<Option<Options>, FileError> {
    let source = error::Source {
        text,
        origin,
        sets: &[],
    };
    let root = tree::parse(text).map_err(|e| source.error(e))?;
    check_version(&root).map_err(|e| source.error(e))?;
    let Some(section) = root.get("sweep") else {
        return Ok(None);
    };
    let refused = |node: &Node, key: &str, what: String| {
        let problem = Problem::Value {
            key: String::new(),
            what,
        };
        let wrong = error::Wrong::from(problem).at(node.place);
        source.error(wrong.within(key).within("sweep"))
    };
    let Value::Table(entries) = &section.value else {
        return Err(source.error(
            error::Wrong::from(Problem::Value {
                key: String::new(),
                what: format!("a section is needed, not {section}"),
            })
            .within("sweep"),
        ));
    };
    let of = |(key, node): &(tree::Key, Node)| {
        let values = node.texts().ok_or_else(|| {
            let what = "write a text, a number, a list of these, or a section of NAME = VALUES";
            refused(node, &key.name, what.to_owned())
        })?;
        Ok((key.name.clone(), values))
    };
    entries.iter().map(of).collect::<Result<_, _>>().map(Some)
}

/// The version comes first: a later one may have other keys.
fn check_version(root: &Node) -> Result<(), error::Wrong> {
    match root.get("version") {
        None => Err(Problem::NoVersion.into()),
        Some(node) => match node.value {
            Value::Integer(VERSION, _) => Ok(()),
            _ => Err(error::Wrong::from(Problem::OtherVersion(node.to_string())).at(node.place)),
        },
    }
}
