//! Whether there is a Unix socket to connect to, as far as its file says. Nothing is sent to it.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

/// Why no connection can be opened to a path; its text completes "`PATH`: ".
#[derive(Debug, thiserror::Error)]
pub enum NoSocket {
    /// There is nothing at the path.
    #[error("no such file; start the server, or write the path of its socket")]
    Missing,
    /// There is something else.
    #[error("{0} and no Unix socket; write the path of the server's socket")]
    Other(&'static str),
    /// This user may not open connections to it.
    #[error(
        "permission denied; connecting takes search permission for its directories and write permission for the socket"
    )]
    Denied,
    /// The file can't be looked at for another reason.
    #[error("{0}")]
    Unread(io::Error),
}

/// Looks whether this user may connect to a socket at `path`. Whether a server listens on it is not looked for.
///
/// # Errors
/// There is no socket, or none for this user.
pub fn check(path: &Path) -> Result<(), NoSocket> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let kind = match fs::metadata(path) {
        Ok(file) => file.file_type(),
        Err(e) => {
            return Err(match e.kind() {
                NotFound | NotADirectory => NoSocket::Missing,
                PermissionDenied => NoSocket::Denied,
                _ => NoSocket::Unread(e),
            });
        }
    };
    if kind.is_dir() {
        return Err(NoSocket::Other("a directory"));
    }
    if kind.is_file() {
        return Err(NoSocket::Other("a regular file"));
    }
    if !kind.is_socket() {
        return Err(NoSocket::Other("a special file"));
    }
    match accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(NoSocket::Denied),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_socket_is_told_from_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").unwrap();
        let listener = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("socket"), at("link")).unwrap();
        let said = |path: &Path| check(path).err().map(|e| e.to_string());
        for (path, says) in [
            (at("none"), "no such file"),
            (at("file/socket"), "no such file"),
            (at(""), "a directory and no Unix socket"),
            (at("file"), "a regular file and no Unix socket"),
            ("/dev/null".into(), "a special file and no Unix socket"),
        ] {
            let said = said(&path).expect("no socket");
            assert!(said.starts_with(says), "{}: {said}", path.display());
        }
        assert_eq!((said(&at("socket")), said(&at("link"))), (None, None));
        // Nothing was opened to find that out.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
    }
}
