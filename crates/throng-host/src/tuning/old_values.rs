//! What throng has changed, with the old values: the content of the state file.

use serde::{Deserialize, Serialize};

use super::etc;
use super::fault::Unusable;
use super::file_limits::OldLimit;
use super::files::OwnFile;
use super::firewall::OwnRules;
use super::proc_sys;
use super::session::shown;
use super::sysctls::OldSysctl;

/// The version of this form. A reader refuses others.
const VERSION: u32 = 1;

/// What throng has changed, with the old values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldValues {
    version: u32,
    pub(super) sysctls: Vec<OldSysctl>,
    pub(super) notrack: Vec<OwnRules>,
    pub(super) processes: Vec<OldLimit>,
    /// Directories that were made for `files`, outer ones first.
    pub(super) directories: Vec<String>,
    pub(super) files: Vec<OwnFile>,
}

impl OldValues {
    pub(super) fn none() -> OldValues {
        OldValues {
            version: VERSION,
            sysctls: Vec::new(),
            notrack: Vec::new(),
            processes: Vec::new(),
            directories: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sysctls.is_empty()
            && self.notrack.is_empty()
            && self.processes.is_empty()
            && self.directories.is_empty()
            && self.files.is_empty()
    }

    /// Refuses what throng would never have written: a forged file must not misuse a revert by root.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        if self.version != VERSION {
            return Err(Unusable::Version {
                found: self.version,
                known: VERSION,
            });
        }
        let sysctls = self.sysctls.iter().map(|s| ("sets", &s.name));
        let files = self.files.iter().map(|f| ("writes", &f.path));
        let directories = self.directories.iter().map(|d| ("makes", d));
        let foreign = sysctls
            .filter(|(_, name)| !proc_sys::is_name(name))
            .chain(files.filter(|(_, path)| !etc::is_file(path)))
            .chain(directories.filter(|(_, path)| !etc::is_directory(path)))
            .next();
        if let Some((verb, name)) = foreign {
            return Err(Unusable::NotOurs {
                verb,
                name: name.clone(),
            });
        }
        // Later, half of a revert would be done before such a value is refused.
        let sysctls = self
            .sysctls
            .iter()
            .filter_map(|s| Some((s.name.clone(), shown(s.damaged()?))));
        let limits = self.processes.iter().filter_map(OldLimit::damaged);
        match sysctls.chain(limits).next() {
            Some((name, value)) => Err(Unusable::Value { name, value }),
            None => Ok(()),
        }
    }
}
