//! The state file: what the values were before throng changed them. On disk before the first change.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use throng_core::tune::{PortSet, words};

use super::notrack::Tool;
use super::{Fault, Here, System, persist, sysctl};

/// The version of this form. A reader refuses others.
const VERSION: u32 = 1;
/// Of a longer value the kernel takes so many bytes at a time, or a few less (proc_do_large_bitmap).
const PIECE: usize = 4096 - 8;
/// How long to wait for another throng to be done.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// What throng changed and how it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    pub(super) sysctls: Vec<OldSysctl>,
    pub(super) notrack: Vec<OwnRules>,
    pub(super) processes: Vec<OldLimit>,
    /// Directories that were made for `files`, the outer before the inner.
    pub(super) directories: Vec<String>,
    pub(super) files: Vec<OwnFile>,
}

/// A sysctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldSysctl {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) place: Place,
    /// The value before, to the byte.
    pub(super) old: String,
    /// What throng has written, or was about to, since. The last one counts.
    pub(super) written: Vec<String>,
}

/// Rules of the packet filter, which were not there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnRules {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) tool: Tool,
    pub(super) ports: PortSet,
}

/// The file limit of a running process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldLimit {
    pub(super) pid: u32,
    /// When it was started, in clock ticks after boot: a number may be used again.
    pub(super) started: u64,
    pub(super) boot: String,
    /// Soft and hard, before.
    pub(super) old: (u64, u64),
    /// What throng has set since.
    pub(super) written: Vec<(u64, u64)>,
}

/// A file that was not there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnFile {
    pub(super) path: String,
    /// What throng has written into it.
    pub(super) contents: Vec<String>,
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    boot: String,
    /// The network namespace, if the value is one's own; `None` for the whole machine.
    namespace: Option<String>,
}

impl Place {
    pub(super) fn of(here: &Here, of_namespace: bool) -> Place {
        Place {
            boot: here.boot.clone(),
            namespace: of_namespace.then(|| here.namespace.clone()),
        }
    }

    /// Whether it is here. After a reboot namespaces have other numbers, so that they tell nothing.
    pub(super) fn is(&self, here: &Here) -> bool {
        let same = |namespace: &String| *namespace == here.namespace;
        self.boot != here.boot || self.namespace.as_ref().is_none_or(same)
    }

    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("the machine")
    }
}

impl OldSysctl {
    /// Whether `value` is one that throng wrote, or came to in writing: the old one, a new one, or the
    /// first part of a list so long that the kernel took it piece by piece.
    pub(super) fn wrote(&self, value: &str) -> bool {
        let now = words(value);
        self.written.iter().chain([&self.old]).any(|whole| {
            let whole = words(whole);
            whole == now || (whole.len() >= PIECE && !now.is_empty() && whole.starts_with(&now))
        })
    }
}

impl State {
    pub(super) fn is_empty(&self) -> bool {
        self.sysctls.is_empty()
            && self.notrack.is_empty()
            && self.processes.is_empty()
            && self.directories.is_empty()
            && self.files.is_empty()
    }

    /// What throng has to do with `name` here.
    pub(super) fn sysctl(&mut self, name: &str, here: &Here) -> Option<&mut OldSysctl> {
        let is = |s: &&mut OldSysctl| s.name == name && s.place.is(here);
        self.sysctls.iter_mut().find(is)
    }

    /// Refuses what throng would never have written: a revert as root must not be led astray by a file.
    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "it has version {}, this throng reads {VERSION}",
                self.version
            ));
        }
        let mut sysctls = self.sysctls.iter().map(|s| &s.name);
        if let Some(name) = sysctls.find(|n| !sysctl::is_name(n)) {
            return Err(format!("throng never sets '{name}'"));
        }
        let mut files = self.files.iter().map(|f| &f.path);
        if let Some(path) = files.find(|p| !persist::is_file(p)) {
            return Err(format!("throng never writes '{path}'"));
        }
        match self.directories.iter().find(|d| !persist::is_directory(d)) {
            Some(path) => Err(format!("throng never makes '{path}'")),
            None => Ok(()),
        }
    }
}

/// The state file, held: no other throng changes settings meanwhile.
pub(super) struct Store {
    path: PathBuf,
    /// Its directory, which carries the lock.
    directory: File,
    /// What is in it, and on disk.
    pub(super) state: State,
}

impl Store {
    /// Opens it, or what is there if there is none.
    pub(super) fn open(path: &Path) -> Result<Store, Fault> {
        let fault = |e: &dyn std::fmt::Display| {
            let path = path.display();
            Fault::before(format!(
                "can't use the state file {path}: {e}. Nothing was changed"
            ))
        };
        let parent = parent(path);
        if is_own(parent) {
            fs::create_dir_all(parent).map_err(|e| fault(&e))?;
        }
        let directory = File::open(parent).map_err(|e| fault(&e))?;
        // nft and iptables inherit it: if throng is killed while one of them is at work, the lock is
        // held until it is done, and no revert overtakes it.
        fcntl_setfd(&directory, FdFlags::empty()).map_err(|e| fault(&e))?;
        lock(&directory).map_err(|_| fault(&"another throng tune is at work; wait for it"))?;
        let state = match fs::read_to_string(path) {
            Ok(text) => {
                let state: State = serde_json::from_str(&text).map_err(|e| fault(&e))?;
                state.check().map_err(|e| fault(&e))?;
                state
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => State {
                version: VERSION,
                ..State::default()
            },
            Err(e) => return Err(fault(&e)),
        };
        Ok(Store {
            path: path.to_owned(),
            directory,
            state,
        })
    }

    /// Puts the state on disk: afterwards it survives a power cut. A state with nothing in it is no file.
    pub(super) fn save(&mut self) -> Result<(), Fault> {
        let saved = match self.state.is_empty() {
            true => self.remove(),
            false => self.write(),
        };
        saved.map_err(|e| {
            Fault::halfway(format!(
                "can't write the state file {}: {e}; give another one with --state",
                self.path.display()
            ))
        })
    }

    /// The file's name while it is written. Always the same, so that a killed throng leaves no litter.
    fn unfinished(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }

    fn write(&self) -> io::Result<()> {
        let new = self.unfinished();
        let mut text = serde_json::to_string_pretty(&self.state)?;
        text.push('\n');
        remove_if_there(&new)?;
        let mut file = File::create_new(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.directory.sync_all()
    }

    fn remove(&self) -> io::Result<()> {
        remove_if_there(&self.unfinished())?;
        remove_if_there(&self.path)?;
        self.directory.sync_all()
    }

    /// Ends the work; the file that there is now.
    pub(super) fn close(self) -> Option<PathBuf> {
        if !self.state.is_empty() {
            return Some(self.path);
        }
        remove_own_directory(&self.path);
        None
    }
}

/// Takes the lock that goes with an open directory and ends with it. Whoever has it is soon done,
/// unless it waits for the packet filter.
fn lock(directory: &File) -> io::Result<()> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(e) if Instant::now() >= give_up => return Err(e.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Whether the directory is one that throng makes for its state file.
fn is_own(directory: &Path) -> bool {
    directory.ends_with("throng")
}

/// Removes the directory of the state file, if it is throng's own and there is nothing in it.
pub(super) fn remove_own_directory(state_file: &Path) {
    let directory = parent(state_file);
    if is_own(directory) {
        let _ = fs::remove_dir(directory);
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes a file; none is fine.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Where the state file is unless somebody says otherwise: root's in `/var/lib`, other users' in their
/// state directory (XDG Base Directory Specification). `None` if a user has no home.
pub fn default_state_file(system: &System) -> Option<PathBuf> {
    if geteuid().is_root() || !system.is_this() {
        return Some(system.path("/var/lib/throng/tune.json"));
    }
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(base?.join("throng/tune.json"))
}
