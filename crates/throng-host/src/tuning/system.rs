//! The system whose settings are read and changed, and where on it a value was read.

use crate::here::Here;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The system to look at and change.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// The system whose files are below `root`: `/`, or a copy made for a test.
    pub fn at(root: impl Into<PathBuf>) -> System {
        System { root: root.into() }
    }

    /// Where the file that is `absolute` on that system is found.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Whether it is this machine itself.
    pub(super) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// Where an old value was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    boot: String,
    /// The network namespace, if each has a value of its own; `None` for the whole machine.
    namespace: Option<String>,
}

impl Origin {
    pub(super) fn of(here: &Here, of_namespace: bool) -> Origin {
        Origin {
            boot: here.boot.clone(),
            namespace: of_namespace.then(|| here.namespace.clone()),
        }
    }

    /// Whether that is here. After a reboot namespaces have other numbers, which then say nothing.
    pub(super) fn is(&self, here: &Here) -> bool {
        let same = |namespace: &String| *namespace == here.namespace;
        self.boot != here.boot || self.namespace.as_ref().is_none_or(same)
    }

    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("the machine")
    }
}
