//! Why settings could not be applied or reverted at all.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why nothing was changed, or not everything. A single setting that could not be changed is an outcome instead.
#[derive(Debug, Error)]
pub enum Fault {
    /// The state file can't be read, so nothing was changed.
    #[error("can't use the state file {}: {why}. Nothing was changed", path.display())]
    Unusable {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        why: Unusable,
    },
    /// The state file can't be written, so nothing more was changed.
    #[error(
        "can't write the state file {}: {why}; give another one with --state{}",
        path.display(),
        if *changed { "" } else { ". Nothing was changed" }
    )]
    Unwritable {
        /// The state file.
        path: PathBuf,
        /// The system's error.
        why: io::Error,
        /// Whether something was changed before.
        changed: bool,
    },
}

/// What is wrong with a state file.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It, or its directory, can't be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is damaged, or somebody else's.
    #[error(
        "it is damaged, or not throng's: {0}; name the right one with --state, or move it away to give up the old values in it"
    )]
    Form(#[from] serde_json::Error),
    /// A value in it can't be one that throng read or wrote.
    #[error(
        "it is damaged: {name} can't have been {value:?}; correct it, or move it away to give up the old values in it"
    )]
    Value {
        /// The setting.
        name: String,
        /// Its value in the file, cut.
        value: String,
    },
    /// Another version of throng wrote it.
    #[error("it has version {found}, this throng reads {known}")]
    Version {
        /// The version in the file.
        found: u32,
        /// The version of this throng.
        known: u32,
    },
    /// It names something that throng never touches.
    #[error("throng never {verb} '{name}'")]
    NotOurs {
        /// What throng never does with it.
        verb: &'static str,
        /// The name of a sysctl, file or directory.
        name: String,
    },
    /// Another throng holds the lock.
    #[error("another throng tune is at work; wait for it")]
    Locked,
}

impl Fault {
    /// Whether nothing was changed.
    pub fn nothing_changed(&self) -> bool {
        match self {
            Fault::Unusable { .. } => true,
            Fault::Unwritable { changed, .. } => !changed,
        }
    }
}
