//! Reads files for a survey. What can't be read is noted with the reason, and reading goes on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;

use crate::proc_text::read_plainly;
use nix::sched::{CloneFlags, setns};
use throng_core::host::Unread;

use crate::processes::parent;

/// Reads files, and lists what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    unread: Vec<Unread>,
}

impl Reader {
    /// The whole file.
    pub(crate) fn text(&mut self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        self.kept(&path.display().to_string(), read_plainly(path))
    }

    /// What `parse` reads from a file.
    pub(crate) fn parsed<T>(
        &mut self,
        path: impl AsRef<Path>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = read_plainly(path.as_ref());
        self.understood(path.as_ref(), found, parse)
    }

    /// What `parse` reads from a sysctl below `net` that applies to the whole machine. Linux shows those only in its
    /// first network namespace. Root finds them there if an ancestor of this process is in it.
    pub(crate) fn machine_wide<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = read_plainly(path.as_ref()).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => in_first_namespace(path).map_err(|_| error),
            _ => Err(error),
        });
        self.understood(path.as_ref(), found, parse)
    }

    fn understood<T>(
        &mut self,
        path: &Path,
        found: io::Result<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let path = path.display().to_string();
        let text = self.kept(&path, found)?;
        let value = parse(&text);
        if value.is_none() {
            let shown: String = text.trim().chars().take(80).collect();
            self.note(path, format!("its content is not understood: {shown:?}"));
        }
        value
    }

    /// The number in a file that holds nothing else.
    pub(crate) fn number<T: FromStr>(&mut self, path: impl AsRef<Path>) -> Option<T> {
        self.parsed(path, number)
    }

    /// The value of an attempt to read `what`.
    pub(crate) fn kept<T>(&mut self, what: &str, found: io::Result<T>) -> Option<T> {
        found
            .map_err(|error| self.note(what, in_words(&error)))
            .ok()
    }

    /// Notes that `what` could not be read.
    pub(crate) fn note(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let (what, why) = (what.into(), why.into());
        // Several values may come from the same file.
        if !self.unread.iter().any(|known| known.what == what) {
            self.unread.push(Unread { what, why });
        }
    }

    /// Everything that could not be read.
    pub(crate) fn into_unread(self) -> Vec<Unread> {
        self.unread
    }
}

/// Why something can't be read.
pub(crate) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "it does not exist: this kernel lacks it, or does not show it in this namespace or container"
                .into()
        }
        io::ErrorKind::PermissionDenied => "permission denied: run as root to read it".into(),
        _ => error.to_string(),
    }
}

/// Reads a sysctl in the network namespaces of this process's ancestors: up to the machine's first one, or as far as
/// this user may look.
fn in_first_namespace(path: &str) -> io::Result<String> {
    let mut tried = None;
    let mut above = Some(std::os::unix::process::parent_id());
    while let Some(pid) = above.filter(|pid| *pid > 0) {
        let namespace = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let id = fs::metadata(&namespace).map(|m| m.ino()).ok();
        if id.is_some() && id != tried {
            if let Ok(text) = read_in_namespace(&namespace, path) {
                return Ok(text);
            }
            tried = id;
        }
        above = parent(pid);
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The thread enters another network namespace, which it leaves when it ends.
fn read_in_namespace(namespace: &Path, path: &str) -> io::Result<String> {
    let namespace = File::open(namespace)?;
    thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            read_plainly(path.as_ref())
        })?;
        let panicked = |_| Err(io::Error::other("the thread that reads panicked"));
        reader.join().unwrap_or_else(panicked)
    })
}

/// A number, and nothing else.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Whole numbers separated by blanks, as in sysctls with several values.
pub(crate) fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|n| n.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{inside, why};
    use crate::survey::{Wanted, survey};

    #[test]
    fn what_cannot_be_read_is_noted_once_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("odd");
        fs::write(&odd, "many\n").unwrap();
        let missing = dir.path().join("missing");
        let mut reader = Reader::default();
        assert_eq!(reader.number::<u32>(&odd), None);
        assert_eq!(reader.number::<u32>(&missing), None);
        assert_eq!(reader.text(&missing), None);
        assert_eq!(reader.text(&odd).as_deref(), Some("many\n"));
        let unread = reader.into_unread();
        let listed: Vec<_> = unread
            .iter()
            .map(|u| (u.what.as_str(), u.why.split(':').next().unwrap()))
            .collect();
        assert_eq!(
            listed,
            [
                (odd.to_str().unwrap(), "its content is not understood"),
                (missing.to_str().unwrap(), "it does not exist"),
            ]
        );
    }

    #[test]
    fn several_numbers_are_all_there_or_none() {
        assert_eq!(
            numbers("4096\t131072\t6291456\n"),
            Some([4096, 131_072, 6_291_456])
        );
        for text in ["", "1 2", "1 2 3 4", "1 2 x", "1 2 -3"] {
            assert_eq!(numbers::<3>(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_holds_for_the_whole_machine_is_read_in_its_first_namespace() {
        let test = "reader::tests::what_holds_for_the_whole_machine_is_read_in_its_first_namespace";
        let files = [
            "ipv4/tcp_mem",
            "ipv4/tcp_max_orphans",
            "core/netdev_max_backlog",
        ];
        let read = |name| {
            let text = std::fs::read_to_string(format!("/proc/sys/net/{name}"));
            text.unwrap_or_default().trim().replace('\t', " ")
        };
        let outside = files.map(read).join(",");
        let setup = format!(
            "export OUTSIDE='{outside}'
             echo 2000 2399 > /proc/sys/net/ipv4/ip_local_port_range"
        );
        if !inside(test, &setup) {
            return;
        }
        let outside = std::env::var("OUTSIDE").unwrap();
        // This thread stays in its namespace: the second survey finds the same.
        for _ in 0..2 {
            let host = survey(&Wanted::default());
            assert_eq!(host.ports.range, Some((2000, 2399)));
            // Shown in each namespace, but negative where it is not its own.
            assert!(why(&host, "tcp_ehash_entries").is_none_or(|w| w.starts_with("not there")));
            let mem = host
                .tcp
                .mem_pages
                .map(|m| format!("{} {} {}", m[0], m[1], m[2]));
            let orphans = host.tcp.max_orphans.map(|n| n.to_string());
            let backlog = host.accept.netdev_backlog.map(|n| n.to_string());
            let found = [mem, orphans, backlog];
            for (name, found) in files.iter().zip(&found) {
                assert_eq!(why(&host, name).is_none(), found.is_some(), "{name}");
            }
            // Root of a user namespace is not root outside of it.
            let ids = std::fs::read_to_string("/proc/self/uid_map").unwrap();
            if ids.contains("4294967295") {
                assert_eq!(found.map(Option::unwrap_or_default).join(","), outside);
            }
        }
    }
}
