//! Restores the values in the state file, the newest change first. What somebody else has changed since is left alone,
//! unless asked to write over it, and stays in the state file.

use std::path::Path;

use super::apply::Done;
use super::fault::Fault;
use super::session::Session;
use super::state_file::{StateFile, exists, remove_own_directory};
use super::system::System;
use super::{file_limits, files, firewall, sysctls};

/// Restores everything. With `force`, also what somebody else has changed since; and values of other network
/// namespaces, which can't be restored from here, are forgotten.
///
/// # Errors
/// If the state file can't be read or written. A setting that could not be restored is an
/// [`Outcome`](throng_core::tune::Outcome).
pub fn revert(system: &System, state_file: &Path, force: bool) -> Result<Done, Fault> {
    revert_in_steps(system, state_file, force, &mut || ())
}

/// The same, with [`Session`]'s `step`.
pub(super) fn revert_in_steps(
    system: &System,
    state_file: &Path,
    force: bool,
    step: &mut dyn FnMut(),
) -> Result<Done, Fault> {
    if !exists(state_file) {
        // A kill may have happened between the removal of the file and that of its directory.
        remove_own_directory(state_file);
        return Ok((Vec::new(), None));
    }
    let mut state = StateFile::open(state_file)?;
    state.changed = true;
    let session = &mut Session::on(system, step);
    let old = &mut state.old;
    retain_reversed(&mut old.files, |f| files::put_back(session, f, force));
    let left = &old.files;
    retain_reversed(&mut old.directories, |d| {
        files::put_back_directory(session, d, left)
    });
    retain_reversed(&mut old.processes, |p| {
        file_limits::put_back(session, p, force)
    });
    retain_reversed(&mut old.notrack, |r| firewall::put_back(session, r, force));
    retain_reversed(&mut old.sysctls, |s| sysctls::put_back(session, s, force));
    session.change(|| state.save())?;
    Ok((std::mem::take(&mut session.outcomes), state.close()))
}

/// Keeps the items for which `keep` returns true, and asks from the last to the first.
fn retain_reversed<T>(all: &mut Vec<T>, mut keep: impl FnMut(&T) -> bool) {
    for i in (0..all.len()).rev() {
        if !keep(&all[i]) {
            all.remove(i);
        }
    }
}
