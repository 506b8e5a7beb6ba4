//! The files of Unix sockets: whether there is one to connect to, as far as its file says, and room for one to listen on.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

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
    if let Some(other) = no_socket(kind) {
        return Err(NoSocket::Other(other));
    }
    match accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(NoSocket::Denied),
        _ => Ok(()),
    }
}

/// What a file is, if it is no socket.
fn no_socket(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_socket() => None,
        _ if kind.is_dir() => Some("a directory"),
        _ if kind.is_file() => Some("a regular file"),
        _ if kind.is_symlink() => Some("a symbolic link"),
        _ => Some("a special file"),
    }
}

/// Why a server can't listen at a path; its text completes "can't listen on `PATH`: ".
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// There is something else than a socket.
    #[error("there is {0} already; choose another path")]
    Other(&'static str),
    /// A server listens there.
    #[error("a server listens there already; end it, or choose another path")]
    InUse,
    /// There is a socket, and this user may not find out whether it is in use, or not remove it.
    #[error("there is a socket already, and it is not allowed to {0}: {1}; choose another path")]
    Denied(&'static str, io::Error),
}

/// Makes room for a socket at `path`: removes one that a server left behind which was killed. Finding out whether its server
/// still listens takes a connection, which a server that does so counts.
///
/// # Errors
/// There is something else, or a server listens there.
pub fn make_room(path: &Path) -> Result<(), NoRoom> {
    let look = || fs::symlink_metadata(path);
    // What else is wrong with the path, bind() says.
    let Ok(file) = look() else {
        return Ok(());
    };
    if let Some(other) = no_socket(file.file_type()) {
        return Err(NoRoom::Other(other));
    }
    match try_to_connect(path) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        // A queue that is full, or a socket of another type.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => return Err(NoRoom::InUse),
        Err(e) => return Err(NoRoom::Denied("connect to it", e.into())),
    }
    match look() {
        Ok(now) if is_same(&now, &file) => {
            fs::remove_file(path).map_err(|e| NoRoom::Denied("remove it", e))
        }
        // Another server was quicker.
        Ok(_) => Err(NoRoom::InUse),
        Err(_) => Ok(()),
    }
}

fn try_to_connect(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The file of a Unix socket that this process listens on. Dropped, it is removed, unless something else is in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    file: Metadata,
}

impl SocketFile {
    /// The file at `path`, which was just made.
    ///
    /// # Errors
    /// It is gone already, or can't be looked at.
    pub fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile {
            path: std::path::absolute(path)?,
            file: fs::symlink_metadata(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| is_same(&now, &self.file)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

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

    #[test]
    fn room_is_made_only_where_an_ended_server_left_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "kept").unwrap();
        let _listener = UnixListener::bind(at("served")).unwrap();
        let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
        drop(UnixListener::bind(at("stale")).unwrap());
        std::os::unix::fs::symlink(at("stale"), at("link")).unwrap();
        for (name, says) in [
            ("none", None),
            ("file/socket", None),
            ("", Some("there is a directory already")),
            ("file", Some("there is a regular file already")),
            ("link", Some("there is a symbolic link already")),
            ("served", Some("a server listens there already")),
            ("datagrams", Some("a server listens there already")),
            ("stale", None),
        ] {
            let there = fs::symlink_metadata(at(name)).is_ok();
            match (make_room(&at(name)), says) {
                (Ok(()), None) => assert!(fs::symlink_metadata(at(name)).is_err(), "{name}"),
                (Err(e), Some(says)) => {
                    assert!(e.to_string().starts_with(says) && there, "{name}: {e}");
                    assert!(fs::symlink_metadata(at(name)).is_ok(), "{name}");
                }
                (made, _) => panic!("{name}: {made:?}"),
            }
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_is_removed_with_its_listener_and_another_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _first = UnixListener::bind(&path).unwrap();
        let file = SocketFile::at(&path).unwrap();
        drop(file);
        assert!(!path.exists());
        let _second = UnixListener::bind(&path).unwrap();
        let file = SocketFile::at(&path).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        let _third = UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
