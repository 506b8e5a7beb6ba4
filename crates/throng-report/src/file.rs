//! Writes a report to a file, whole or not at all, so that no reader finds half a JSON object.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The names that new files had before they took theirs. They are random, so none is used again.
static NEW: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Writes `bytes` to the file `path`, replacing an existing file: into a new file in the same directory, which is on
/// disk before it takes the name. A replaced file's mode is kept. A symbolic link stays, and its target is replaced. If
/// `path` is not a regular file (`/dev/stdout`, a pipe), it is written to instead.
///
/// # Errors
/// The file system's error, with the path. The old file is then unchanged.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes).map_err(|e| cannot_write(path, &e))
}

/// Checks that [`write_whole`] can write `path`, without changing it, so that no long run begins whose result could not
/// be kept.
///
/// # Errors
/// The file system's error, with the path.
pub fn can_write(path: &Path) -> io::Result<()> {
    let tried = match fs::metadata(path) {
        Ok(old) if old.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(old) if old.is_file() => fs::canonicalize(path).and_then(|p| new_beside(&p).map(drop)),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => new_beside(path).map(drop),
        Err(e) => Err(e),
    };
    tried.map_err(|e| cannot_write(path, &e))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = Target::open(path)?;
    target.file().write_all(bytes)?;
    match target {
        Target::New(new) => new.keep(),
        Target::There(_) => Ok(()),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new file in the directory of `path`, removed when dropped.
fn new_beside(path: &Path) -> io::Result<tempfile::NamedTempFile<File>> {
    let mut names = NEW.lock().unwrap_or_else(PoisonError::into_inner);
    // Opened here for the usual mode (tempfile's is for the owner alone), and so that errors don't name the temporary
    // file, which would tell the user nothing.
    let new = tempfile::Builder::new()
        .prefix(".throng-")
        .make_in(directory(path), |path| File::create_new(path))?;
    names.push(new.path().to_owned());
    Ok(new)
}

/// Removes new files that are not complete, for a process that is about to exit without dropping them. None can be
/// created afterwards: threads that try wait for ever.
pub fn abandon() {
    let names = NEW.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names.iter() {
        // Most are complete, and have another name.
        let _ = fs::remove_file(name);
    }
    std::mem::forget(names);
}

/// A new file that takes its name once it is complete. It is removed if it is dropped before.
#[derive(Debug)]
pub(crate) struct Pending {
    new: tempfile::NamedTempFile<File>,
    path: PathBuf,
}

impl Pending {
    /// A new file beside `path`, which is not a link, with `mode` if there is one to keep.
    fn create(path: PathBuf, mode: Option<Permissions>) -> io::Result<Pending> {
        let new = new_beside(&path)?;
        if let Some(mode) = mode {
            new.as_file().set_permissions(mode)?;
        }
        Ok(Pending { new, path })
    }

    pub fn file(&self) -> &File {
        self.new.as_file()
    }

    /// Writes it to disk, then gives it its name.
    pub fn keep(self) -> io::Result<()> {
        self.new.as_file().sync_all()?;
        self.new.persist(&self.path).map_err(|e| e.error)?;
        // The name is durable once the directory is synced. Some file systems can't, but the file exists.
        let _ = File::open(directory(&self.path)).and_then(|d| d.sync_all());
        Ok(())
    }
}

/// The destination of a report that is not written at once.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file that takes its name at the end.
    New(Pending),
    /// A destination that can't be replaced, and is written to: `/dev/stdout`, a pipe.
    There(File),
}

impl Target {
    /// The destination for `path`, which stays unchanged for now.
    pub fn open(path: &Path) -> io::Result<Target> {
        match fs::metadata(path) {
            Ok(old) if old.is_file() => {
                Pending::create(fs::canonicalize(path)?, Some(old.permissions())).map(Target::New)
            }
            Ok(_) => File::options().write(true).open(path).map(Target::There),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Pending::create(path.to_owned(), None).map(Target::New)
            }
            Err(e) => Err(e),
        }
    }

    pub fn file(&self) -> &File {
        match self {
            Target::New(new) => new.file(),
            Target::There(file) => file,
        }
    }
}

/// `e`, with the path that was to be written.
pub(crate) fn cannot_write(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn names(directory: &Path) -> Vec<String> {
        let mut all: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_file_is_written_and_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        write_whole(&path, b"one").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o044, 0, "others may read it, as the umask allows");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(dir.path()), ["run.json"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        symlink(&real, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn a_device_is_written_to_not_replaced() {
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn an_error_names_the_path_and_the_cause_once() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("none").join("run.json");
        let text = write_whole(&inside, b"x").unwrap_err().to_string();
        let wanted = format!(
            "cannot write {}: No such file or directory (os error 2)",
            inside.display()
        );
        assert_eq!(text, wanted);
        let text = write_whole(dir.path(), b"x").unwrap_err().to_string();
        assert!(
            text.contains("directory") && text.contains(dir.path().to_str().unwrap()),
            "{text}"
        );
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
