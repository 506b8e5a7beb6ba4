//! The state file: the old values, on disk before the first change.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::geteuid;

use super::fault::{Fault, Unusable};
use super::old_values::OldValues;
use super::replace;
use super::system::System;

/// How long to wait for another throng to be done.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The state file, locked: no other throng changes settings meanwhile.
pub(super) struct StateFile {
    path: PathBuf,
    /// Its directory, which carries the lock.
    _directory: File,
    /// What is in it, once saved.
    pub(super) old: OldValues,
    /// Whether something may have been changed since it was opened. Applying begins with a save, reverting
    /// does not.
    pub(super) changed: bool,
}

impl StateFile {
    /// Takes the lock and reads the file; one that does not exist has no old values.
    pub(super) fn open(path: &Path) -> Result<StateFile, Fault> {
        let open = || -> Result<StateFile, Unusable> {
            let parent = replace::directory(path);
            if is_own(parent) {
                fs::create_dir_all(parent)?;
            }
            let directory = File::open(parent)?;
            // nft and iptables inherit it: if throng is killed while one of them is at work, the lock is
            // held until it is done, and no revert overtakes it.
            fcntl_setfd(&directory, FdFlags::empty()).map_err(io::Error::from)?;
            lock(&directory)?;
            Ok(StateFile {
                path: path.to_owned(),
                _directory: directory,
                old: read(path)?,
                changed: false,
            })
        };
        open().map_err(|why| Fault::Unusable {
            path: path.to_owned(),
            why,
        })
    }

    /// Puts the old values on disk: afterwards they survive a power cut. No old values are no file.
    pub(super) fn save(&mut self) -> Result<(), Fault> {
        let saved = match self.old.is_empty() {
            true => replace::remove(&self.path),
            false => serde_json::to_string_pretty(&self.old)
                .map_err(io::Error::from)
                .and_then(|text| replace::replace(&self.path, &format!("{text}\n"))),
        };
        saved.map_err(|why| Fault::Unwritable {
            path: self.path.clone(),
            why,
            changed: self.changed,
        })?;
        self.changed = true;
        Ok(())
    }

    /// Ends the work. Returns the file, if there is one now.
    pub(super) fn close(self) -> Option<PathBuf> {
        if !self.old.is_empty() {
            return Some(self.path);
        }
        remove_own_directory(&self.path);
        None
    }
}

fn read(path: &Path) -> Result<OldValues, Unusable> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let old: OldValues = serde_json::from_str(&text)?;
            old.check()?;
            Ok(old)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(OldValues::none()),
        Err(e) => Err(e.into()),
    }
}

/// Whether there is a state file, whole or unfinished.
pub(super) fn exists(path: &Path) -> bool {
    path.exists() || replace::unfinished(path).exists()
}

/// Locks an open directory; closing it ends the lock. Another holder is soon done, unless it waits for the packet
/// filter.
fn lock(directory: &File) -> Result<(), Unusable> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() >= give_up => return Err(Unusable::Locked),
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
    let directory = replace::directory(state_file);
    if is_own(directory) {
        let _ = fs::remove_dir(directory);
    }
}

/// Where the state file is unless the user names one: root's in `/var/lib`, other users' in their
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
