//! A report in a file: whole or not at all, so that nobody finds half a JSON object.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to the file `path`, replacing what was there: into a new file in the same directory,
/// on disk before it takes the name. A file that is replaced keeps its mode; a symbolic link stays and
/// its target is replaced. What is not a regular file (`/dev/stdout`, a pipe) can't be replaced and is
/// written to.
///
/// # Errors
/// What the file system says, with the path. The old file is then still there as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes)
        .map_err(|e| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display())))
}

/// Finds out whether [`write_whole`] can write `path`, without changing what is there: so that a long run
/// is not begun whose result could not be kept.
///
/// # Errors
/// What the file system says, with the path.
pub fn can_write(path: &Path) -> io::Result<()> {
    let tried = match fs::metadata(path) {
        Ok(old) if old.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(old) if old.is_file() => fs::canonicalize(path).and_then(|p| new_beside(&p).map(drop)),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => new_beside(path).map(drop),
        Err(e) => Err(e),
    };
    tried.map_err(|e| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(old) if old.is_file() => {
            replace(&fs::canonicalize(path)?, bytes, Some(old.permissions()))
        }
        Ok(_) => File::options().write(true).open(path)?.write_all(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => replace(path, bytes, None),
        Err(e) => Err(e),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new file in the directory of `path`, gone when dropped.
fn new_beside(path: &Path) -> io::Result<tempfile::NamedTempFile<File>> {
    // Opened here for the usual mode (tempfile's own is for the owner alone) and for errors that don't
    // name the temporary file, which would say nothing to the user.
    tempfile::Builder::new()
        .prefix(".throng-")
        .make_in(directory(path), |path| File::create_new(path))
}

fn replace(path: &Path, bytes: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    let new = new_beside(path)?;
    let directory = directory(path);
    new.as_file().write_all(bytes)?;
    if let Some(mode) = mode {
        new.as_file().set_permissions(mode)?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    // The name is durable once the directory is; some file systems can't, and the file is there.
    let _ = File::open(directory).and_then(|d| d.sync_all());
    Ok(())
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
