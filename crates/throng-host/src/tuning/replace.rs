//! Replaces a file atomically: writes a new one beside it, then renames that.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The name of `path` while it is written. Always the same, so that what a killed throng left behind is found. It does
/// not end in `.conf`, so no program reads it.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".throng-new");
    name.into()
}

/// Writes `content` to `path`, on disk: it then survives a power cut. Everybody may read the file, whatever the umask
/// is. The directory must exist.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let new = unfinished(path);
    remove_if_there(&new)?;
    let mut file = File::create_new(&new)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)
}

/// Removes `path`, and the unfinished file beside it if there is one, on disk.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = [remove_if_there(&unfinished(path))?, remove_if_there(path)?];
    match removed.contains(&true) {
        true => sync_directory(path),
        false => Ok(()),
    }
}

/// The directory of `path`.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// Returns whether there was one. On a read-only file system removing fails even where there is none.
fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => fs::remove_file(path).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
