//! The processes that have a socket open, and how many files they may have.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use throng_core::host::Process;

/// The most descriptors of a process that are looked at. A server opens its listeners early, so they are among the low
/// descriptors, and its million connections need not be read.
const DESCRIPTORS: usize = 65_536;

/// A process with some of the sockets.
#[derive(Debug)]
struct Holder {
    pid: u32,
    parent: u32,
    program: PathBuf,
    sockets: Vec<u64>,
}

/// For each of the sockets, by inode, the processes that accept from it. Processes that this user can't inspect are
/// left out, as is `except`.
pub(crate) fn accepting(sockets: &HashSet<u64>, except: Option<u32>) -> HashMap<u64, Vec<Process>> {
    let mut found: HashMap<u64, Vec<Process>> = HashMap::new();
    if sockets.is_empty() {
        return found;
    }
    let mut holders: Vec<Holder> = processes()
        .filter(|pid| Some(*pid) != except)
        .filter_map(|pid| holder(pid, sockets))
        .collect();
    holders.sort_unstable_by_key(|holder| holder.pid);
    let children = children_of(&holders);
    for holder in &holders {
        let accepts = |socket: &&u64| !has_workers(holder, **socket, &holders);
        for socket in holder.sockets.iter().filter(accepts) {
            // It may have ended by now.
            if let Some(mut process) = process(holder.pid) {
                process.workers = children.get(&holder.pid).copied().unwrap_or(0);
                found.entry(*socket).or_default().push(process);
            }
        }
    }
    found
}

/// Whether children of the same program have `socket`, too: then they accept, and their parent only supervises them
/// (nginx, HAProxy). A child that runs another program has inherited it by accident.
fn has_workers(holder: &Holder, socket: u64, holders: &[Holder]) -> bool {
    holders.iter().any(|other| {
        other.parent == holder.pid
            && other.program == holder.program
            && other.sockets.contains(&socket)
    })
}

/// How many children of the same program each of `holders` has, with a socket of those or without.
fn children_of(holders: &[Holder]) -> HashMap<u32, u32> {
    let mut found = HashMap::new();
    let pids = processes().filter_map(|pid| Some((pid, parent(pid)?)));
    for (pid, parent) in pids {
        let program = || fs::read_link(format!("/proc/{pid}/exe")).ok();
        let holder = holders.iter().find(|holder| holder.pid == parent);
        if holder.is_some_and(|holder| program().is_some_and(|program| program == holder.program)) {
            *found.entry(parent).or_default() += 1;
        }
    }
    found
}

/// All processes that are visible here.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn holder(pid: u32, wanted: &HashSet<u64>) -> Option<Holder> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let mut sockets = Vec::new();
    for entry in fs::read_dir(dir.join("fd")).ok()?.take(DESCRIPTORS) {
        let link = match fs::read_link(entry.ok()?.path()) {
            Ok(link) => link,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(_) => continue, // Closed meanwhile.
        };
        let inode = link.to_str().and_then(socket_inode);
        if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
            // dup() makes two descriptors of one socket.
            if !sockets.contains(&inode) {
                sockets.push(inode);
            }
        }
        if sockets.len() == wanted.len() {
            break;
        }
    }
    if sockets.is_empty() {
        return None;
    }
    Some(Holder {
        pid,
        parent: parent(pid)?,
        program: fs::read_link(dir.join("exe")).unwrap_or_default(),
        sockets,
    })
}

fn process(pid: u32) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(dir.join("comm")).ok()?;
    Some(Process {
        pid,
        name: name.trim_end().to_owned(),
        file_limit: parse_file_limits(&fs::read_to_string(dir.join("limits")).ok()?)?.0,
        files_open: open_files(&dir).ok()?,
        uring: has_instance(&dir, "io_uring"),
        keeps_many: has_instance(&dir, "eventpoll") || has_threads(&dir),
        workers: 0,
    })
}

/// Whether the process with directory `proc` has several threads.
fn has_threads(proc: &Path) -> bool {
    fs::read_dir(proc.join("task")).is_ok_and(|tasks| tasks.count() > 1)
}

/// Whether the process with directory `proc` has an instance of `kind`, io_uring or eventpoll, among its first
/// descriptors.
fn has_instance(proc: &Path, kind: &str) -> bool {
    let kind = format!("anon_inode:[{kind}]");
    let all = fs::read_dir(proc.join("fd")).into_iter().flatten();
    all.take(DESCRIPTORS)
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| link.as_os_str() == kind.as_str())
}

/// The number of open files of the process with directory `proc`.
pub(crate) fn open_files(proc: &Path) -> io::Result<u64> {
    let dir = proc.join("fd");
    // Since Linux 6.2 the directory's size is their number. Before, they are counted.
    match fs::metadata(&dir)?.len() {
        0 => Ok(fs::read_dir(&dir)?.count() as u64),
        open => Ok(open),
    }
}

/// `socket:[4711]`.
pub(crate) fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// The parent of a process; 0 if it is not in this PID namespace.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    parse_parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The parent in `/proc/PID/stat`, `PID (NAME) STATE PARENT …`. A name may contain blanks and brackets.
fn parse_parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process has ended and only its parent has not taken note of it yet (a zombie), by its `/proc/PID/stat`.
pub(crate) fn has_ended(stat: &str) -> bool {
    is_in(stat, ['Z', 'X'])
}

/// Whether a process is stopped by a signal or by a debugger, by its `/proc/PID/stat`.
pub(crate) fn is_stopped(stat: &str) -> bool {
    is_in(stat, ['T', 't'])
}

/// Whether a process is in one of `states`, by its `/proc/PID/stat`: `PID (NAME) STATE …`.
fn is_in(stat: &str, states: [char; 2]) -> bool {
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(states))
}

/// The soft and the hard limit in `/proc/PID/limits`, `Max open files  SOFT  HARD  files`.
pub(crate) fn parse_file_limits(limits: &str) -> Option<(u64, u64)> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    let mut both = line.split_whitespace().map(|limit| match limit {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((both.next()??, both.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_process_are_parsed() {
        for (stat, parent) in [
            ("811 (nginx) S 810 810 810 0 -1", Some(810)),
            ("811 (a) b (c) R 1 2 3", Some(1)),
            ("811 (nginx", None),
            ("", None),
        ] {
            assert_eq!(parse_parent(stat), parent, "{stat:?}");
        }
        for (stat, ended, stopped) in [
            ("811 (nginx) S 810", false, false),
            ("811 (Z) S 810", false, false),
            ("811 (nginx) Z 810", true, false),
            ("811 (nginx) T 810", false, true),
            ("811 (nginx) t 810", false, true),
            ("", false, false),
        ] {
            let found = (has_ended(stat), is_stopped(stat));
            assert_eq!(found, (ended, stopped), "{stat:?}");
        }
        let head =
            "Limit                     Soft Limit           Hard Limit           Units     \n";
        for (line, limits) in [
            (
                "Max open files            1024                 524288               files     \n",
                Some((1024, 524_288)),
            ),
            (
                "Max open files            unlimited            unlimited            files     \n",
                Some((u64::MAX, u64::MAX)),
            ),
            (
                "Max file locks            7                    7                    locks     \n",
                None,
            ),
        ] {
            let text = format!("{head}{line}");
            assert_eq!(parse_file_limits(&text), limits, "{line:?}");
        }
        for (link, inode) in [
            ("socket:[4711]", Some(4711)),
            ("pipe:[4711]", None),
            ("socket:[", None),
            ("/dev/null", None),
        ] {
            assert_eq!(socket_inode(link), inode, "{link:?}");
        }
    }

    #[test]
    fn a_parent_accepts_only_if_no_child_of_its_program_does() {
        let holder = |pid, parent, program: &str, sockets: &[u64]| Holder {
            pid,
            parent,
            program: program.into(),
            sockets: sockets.to_vec(),
        };
        for (what, child, has) in [
            ("a worker", holder(2, 1, "/usr/sbin/nginx", &[7]), true),
            (
                "with another listener",
                holder(2, 1, "/usr/sbin/nginx", &[8]),
                false,
            ),
            ("a script it started", holder(2, 1, "/bin/sh", &[7]), false),
            (
                "somebody else's worker",
                holder(2, 9, "/usr/sbin/nginx", &[7]),
                false,
            ),
        ] {
            let all = [holder(1, 0, "/usr/sbin/nginx", &[7]), child];
            assert_eq!(has_workers(&all[0], 7, &all), has, "{what}");
            assert!(!has_workers(&all[1], 7, &all), "{what}");
        }
    }
}
