//! Changing the machine's settings, and putting them back: [`now`] reads what [`throng_core::tune`]
//! wants to know, [`apply`] sets what is short, [`revert`] undoes that.
//!
//! The one rule: nothing is written before its old value is on disk in the state file. So a crash, a
//! kill or a power cut at any instant leaves a state file from which [`revert`] restores all that may
//! have been changed. What is found changed by somebody else is not touched.

mod apply;
mod notrack;
mod persist;
mod process;
mod read;
mod revert;
mod state;
mod sysctl;
#[cfg(test)]
mod tests;

pub use apply::{Done, Order, apply};
pub use process::file_limits_of;
pub use read::now;
pub use revert::revert;
pub use state::default_state_file;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The system to look at and change.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// The one whose files are below `root`: `/`, or a copy made for a test.
    pub fn at(root: impl Into<PathBuf>) -> System {
        System { root: root.into() }
    }

    /// Where the file that is `absolute` on that system is found.
    fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Whether it is this machine itself.
    fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// Why it was not done, or not to the end, in a line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    text: String,
    /// Whether nothing was changed, because the state file can't be used.
    pub nothing_changed: bool,
}

impl Fault {
    fn before(text: String) -> Fault {
        Fault {
            text,
            nothing_changed: true,
        }
    }

    fn halfway(text: String) -> Fault {
        Fault {
            text,
            nothing_changed: false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

/// Where and when this process runs: a value of one network namespace is not put back in another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Here {
    boot: String,
    namespace: String,
}

impl Here {
    fn read() -> Here {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        Here {
            boot: boot.trim().to_owned(),
            namespace: namespace.to_string_lossy().into_owned(),
        }
    }
}
