//! A lock on a directory, so that no two processes write to it. It ends with the process, however that ends.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;

/// A locked directory, until it is dropped.
#[derive(Debug)]
pub struct Locked {
    _directory: File,
}

/// Locks the directory at `path`; `None` if another process has locked it.
///
/// # Errors
/// The file system's.
pub fn lock(path: &Path) -> io::Result<Option<Locked>> {
    let directory = File::open(path)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Locked {
            _directory: directory,
        })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        assert!(first.is_some());
        assert!(lock(directory.path()).unwrap().is_none());
        drop(first);
        assert!(lock(directory.path()).unwrap().is_some());
        assert!(lock(&directory.path().join("absent")).is_err());
    }
}
