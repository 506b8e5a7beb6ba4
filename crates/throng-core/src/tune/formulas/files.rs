//! How many files may be open.

use super::lister::{Lister, short_unless};
use crate::tune::setting::FILE_LIMIT;
use crate::tune::setting::{Ask, Current, Kind, Rule, Scope, Setting, Status};
use crate::tune::sysctls::{FILE_MAX, NR_OPEN};

/// Files of the whole machine besides the sockets: a desktop has some 20,000 open, a busy server more.
pub const OTHER_FILES_OF_MACHINE: u64 = 65_536;
/// Files of a process besides its sockets: logs, libraries, epoll descriptors, rings, its listeners.
const OTHER_FILES_OF_PROCESS: u64 = 1024;

/// RLIMIT_NOFILE for a process that holds its end of all connections (with role both: both ends).
pub fn wanted_files(ask: &Ask) -> u64 {
    ask.ends() + OTHER_FILES_OF_PROCESS
}

impl Lister<'_> {
    pub fn file_max(&self) -> Setting {
        self.number(
            FILE_MAX,
            Scope::Machine,
            self.ask.ends() + OTHER_FILES_OF_MACHINE,
            "Open files of the whole machine. Each socket is one, also in an io_uring table. Beyond this number, \
             programs without root get ENFILE.",
            "",
        )
    }

    pub fn nr_open(&self) -> Setting {
        self.number(
            NR_OPEN,
            Scope::Machine,
            wanted_files(self.ask),
            "How far a process's file limit can be raised, even by root.",
            "A program that closes all possible descriptors when it starts takes longer.",
        )
    }

    pub fn file_limit(&self) -> Setting {
        let target = wanted_files(self.ask);
        let show = |n: u64| match n {
            u64::MAX => "unlimited".to_owned(),
            n => n.to_string(),
        };
        let (now, wanted, status) = match self.now.files {
            Some((soft, hard)) => (
                Current::Value(format!("{} {}", show(soft), show(hard))),
                (target.max(soft), target.max(hard)),
                // A process raises its own soft limit; the hard one is what binds.
                short_unless(if self.now.of_another { soft } else { hard } >= target),
            ),
            None => (
                Current::Unread("not read".into()),
                (target, target),
                Status::Unread,
            ),
        };
        Setting {
            name: FILE_LIMIT.into(),
            kind: Kind::FileLimit,
            scope: Scope::Process,
            rule: Rule::AtLeast,
            now,
            wanted: format!("{} {}", show(wanted.0), show(wanted.1)),
            status,
            why: "Open files of one process, soft and hard limit (`ulimit -Sn`, `ulimit -Hn`): beyond the soft \
                  one it gets EMFILE. What is wanted is the hard one; a program, and throng, raises the soft one \
                  itself. throng's io_uring engine is not bound by it."
                .into(),
            risk: "With a high soft limit, old programs that use select() may crash, and programs that close \
                   all possible descriptors start slowly."
                .into(),
            with: None,
        }
    }
}
