//! Replacing a file so that it is whole at every instant: written beside itself, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of `path` while it is written. Always the same, so that what a killed throng left behind is
/// found. It does not end in `.conf`, so nobody reads it.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".throng-new");
    name.into()
}

/// Makes `content` the content of `path`, on disk: afterwards it survives a power cut. The directory must
/// exist.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let new = unfinished(path);
    remove_if_there(&new)?;
    let mut file = File::create_new(&new)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)
}

/// Removes `path` and what may be left of its making, on disk.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(&unfinished(path))?;
    remove_if_there(path)?;
    sync_directory(path)
}

/// The directory of `path`.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(directory(path)) {
        Ok(directory) => directory.sync_all(),
        // Nothing can be in it either.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
