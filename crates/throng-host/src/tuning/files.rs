//! Writes and removes files under /etc that keep settings over a reboot.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use throng_core::tune::Did;

use super::etc;
use super::replace;
use super::session::Session;

/// A file that throng has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnFile {
    pub(super) path: String,
    /// What throng has written into it.
    contents: Vec<String>,
}

/// A file that is noted and about to be written.
pub(super) struct Planned {
    path: &'static str,
    content: String,
    /// Whether there is an earlier one.
    there: bool,
    /// Directories to make, outer ones first.
    missing: Vec<String>,
    before: (Vec<OwnFile>, Vec<String>),
}

/// Notes a file, and the directories to make for it. `None` if it is not to be written, which is then an outcome.
pub(super) fn remember(
    session: &mut Session,
    files: &mut Vec<OwnFile>,
    directories: &mut Vec<String>,
    path: &'static str,
    content: String,
) -> Option<Planned> {
    let there = match etc::read(session.system, path) {
        Ok(there) => there,
        Err(e) => {
            session.did(path, Did::Failed, format!("can't be read: {e}"));
            return None;
        }
    };
    let before = (files.clone(), directories.clone());
    match (files.iter_mut().find(|f| f.path == path), &there) {
        (Some(ours), Some(text)) if !ours.contents.contains(text) => {
            let detail = "edited by somebody else since; left as it is";
            session.did(path, Did::Foreign, detail);
            return None;
        }
        (Some(_), Some(text)) if *text == content => {
            session.did(path, Did::AsItWas, "as it should be");
            return None;
        }
        (None, Some(_)) => {
            let detail = "exists already and is not throng's, so left as it is; move it away first";
            session.did(path, Did::Foreign, detail);
            return None;
        }
        (Some(ours), _) => ours.contents.push(content.clone()),
        (None, None) => files.push(OwnFile {
            path: path.to_owned(),
            contents: vec![content.clone()],
        }),
    }
    let missing = etc::missing_directories(session.system, path);
    for directory in &missing {
        if !directories.contains(directory) {
            directories.push(directory.clone());
        }
    }
    Some(Planned {
        path,
        content,
        there: there.is_some(),
        missing,
        before,
    })
}

/// Writes the file.
pub(super) fn set(
    session: &mut Session,
    files: &mut Vec<OwnFile>,
    directories: &mut Vec<String>,
    planned: Planned,
) {
    let Planned { path, missing, .. } = planned;
    let system = session.system;
    let made = session.change(|| {
        missing
            .iter()
            .try_for_each(|d| make_directory(&system.path(d)))
    });
    let file = system.path(path);
    let written = session.change(|| made.and_then(|()| replace::replace(&file, &planned.content)));
    match written {
        Ok(()) => session.did(path, Did::Changed, "written"),
        Err(e) => {
            if !planned.there && replace::remove(&file).is_ok() {
                for directory in missing.iter().rev() {
                    // Not there, or not empty: then it is not ours to remove.
                    let _ = fs::remove_dir(system.path(directory));
                }
                (*files, *directories) = planned.before;
            }
            session.did(path, Did::Failed, format!("can't be written: {e}"))
        }
    };
}

/// Makes a directory that everybody may enter, whatever the umask is.
fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Removes a file. Returns whether it must stay in the state file.
pub(super) fn put_back(session: &mut Session, own: &OwnFile, force: bool) -> bool {
    let path = &own.path;
    let there = match etc::read(session.system, path) {
        Ok(there) => there,
        Err(e) => return session.did(path, Did::Failed, format!("can't be read: {e}")),
    };
    let edited = there
        .as_ref()
        .is_some_and(|text| !own.contents.contains(text));
    if edited && !force {
        let detail = "edited by somebody else since, so left alone; --revert --force removes it";
        return session.did(path, Did::Foreign, detail);
    }
    let file = session.system.path(path);
    match (session.change(|| replace::remove(&file)), there) {
        (Ok(()), Some(_)) => session.did(path, Did::Changed, "removed"),
        (Ok(()), None) => session.did(path, Did::AsItWas, "not there"),
        (Err(e), _) => session.did(path, Did::Failed, format!("can't be removed: {e}")),
    }
}

/// Removes a directory that was made for `files`, unless one of them is still needed or somebody else has put something
/// there. Returns whether it must stay in the state file.
pub(super) fn put_back_directory(session: &mut Session, path: &str, files: &[OwnFile]) -> bool {
    if files.iter().any(|f| Path::new(&f.path).starts_with(path)) {
        return true;
    }
    let directory = session.system.path(path);
    if !directory.exists() {
        return false;
    }
    match session.change(|| fs::remove_dir(directory)) {
        Ok(()) => session.did(path, Did::Changed, "removed"),
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {
            session.did(path, Did::AsItWas, "others have files there")
        }
        Err(e) => session.did(path, Did::Failed, format!("can't be removed: {e}")),
    }
}
