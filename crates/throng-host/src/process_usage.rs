//! What other processes use: memory, CPU time and open files. For the server that a run loads, if it is on this machine.
//!
//! `/proc/PID/stat` has nearly all of it, is readable by everybody and takes some 10 µs, so it can be read every second.
//! Proportional memory needs the same user or root, and takes the kernel some 10 ms per GiB: it is for the start and the
//! end of a phase.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::proc_text;
use crate::processes::{open_files, parse_file_limits, processes, socket_inode};

/// The most descriptors of a process that are looked at for sockets. A server opens its listeners early.
const DESCRIPTORS: usize = 1024;

/// A process at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Its process id.
    pub pid: u32,
    /// The process that started it, or took it over; 0 if that is not visible here.
    pub parent: u32,
    /// When it started, in ticks since boot. Together with `pid` it is unique: ids are used again.
    pub started: u64,
    /// Whether it has ended, and only its parent has not yet taken note of that.
    pub ended: bool,
    /// Resident memory, including pages that it shares with others. The kernel keeps this number per core, and adds it
    /// up to within some pages.
    pub rss_bytes: u64,
    /// CPU time in user mode, with that of its children that have ended and of which it took note. In ticks of 10 ms.
    pub cpu_user: Duration,
    /// The same in the kernel.
    pub cpu_system: Duration,
}

impl ProcessUsage {
    /// Reads `/proc/PID/stat`.
    ///
    /// # Errors
    /// There is no such process, or it can't be seen here.
    pub fn read(pid: u32) -> io::Result<ProcessUsage> {
        let path = format!("/proc/{pid}/stat");
        let text = proc_text::read(&path)?;
        let sizes = Sizes {
            page: rustix::param::page_size() as u64,
            ticks_per_s: rustix::param::clock_ticks_per_second(),
        };
        parse_stat(&text, sizes).ok_or_else(|| proc_text::malformed(&path, &text))
    }

    /// Whether it is the same process as `other`, at another instant.
    pub fn is(&self, other: &ProcessUsage) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

/// The units in `/proc/PID/stat`.
#[derive(Clone, Copy)]
struct Sizes {
    /// Bytes of a page.
    page: u64,
    ticks_per_s: u64,
}

/// `PID (NAME) STATE PARENT …`, see proc_pid_stat(5). A name may contain blanks and brackets.
fn parse_stat(text: &str, sizes: Sizes) -> Option<ProcessUsage> {
    // The state is field 3.
    const FIRST: usize = 3;
    let (head, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - FIRST)?.parse::<u64>().ok();
    // The times of children are signed.
    let ticks = |own: usize, of_children: usize| {
        let ticks = number(own)?.saturating_add(number(of_children).unwrap_or(0));
        let ms = ticks.saturating_mul(1000) / sizes.ticks_per_s.max(1);
        Some(Duration::from_millis(ms))
    };
    Some(ProcessUsage {
        pid: head.split_once(' ')?.0.parse().ok()?,
        ended: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: number(4)?.try_into().ok()?,
        cpu_user: ticks(14, 16)?,
        cpu_system: ticks(15, 17)?,
        started: number(22)?,
        rss_bytes: number(24)?.saturating_mul(sizes.page),
    })
}

/// The memory of a process, as the kernel adds it up page by page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Resident memory.
    pub rss_bytes: u64,
    /// The same, with each page divided by the number of processes that share it: of several processes the sum is what
    /// they take together.
    pub pss_bytes: u64,
}

impl ProcessMemory {
    /// Reads `/proc/PID/smaps_rollup` (Linux 4.14). The process can't change its mappings meanwhile.
    ///
    /// # Errors
    /// It is another user's process, or has ended.
    pub fn read(pid: u32) -> io::Result<ProcessMemory> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = proc_text::read(&path)?;
        parse_smaps(&text).ok_or_else(|| proc_text::malformed(&path, &text))
    }
}

fn parse_smaps(text: &str) -> Option<ProcessMemory> {
    let bytes = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(ProcessMemory {
        rss_bytes: bytes("Rss:")?,
        pss_bytes: bytes("Pss:")?,
    })
}

/// The open files of a process, and its soft limit on them (RLIMIT_NOFILE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFiles {
    /// Open now.
    pub open: u64,
    /// The limit; `u64::MAX` if there is none.
    pub limit: u64,
}

impl ProcessFiles {
    /// Reads both.
    ///
    /// # Errors
    /// It can't be seen here, or has ended; before Linux 6.2, also if it is another user's.
    pub fn read(pid: u32) -> io::Result<ProcessFiles> {
        let dir = format!("/proc/{pid}");
        let dir = Path::new(&dir);
        let path = dir.join("limits");
        let limits = proc_text::read(&path)?;
        Ok(ProcessFiles {
            open: open_files(dir)?,
            limit: parse_file_limits(&limits)
                .ok_or_else(|| proc_text::malformed(&path, &limits))?
                .0,
        })
    }
}

/// Those of `accepting`, and the processes that supervise them: a parent of the same program that has sockets of its
/// child (nginx, a pre-forking server). Its memory is the server's, too.
#[must_use]
pub fn with_supervisors(accepting: &[u32]) -> Vec<ProcessUsage> {
    let mut found: Vec<ProcessUsage> = Vec::new();
    for pid in accepting {
        let mut next = Some(*pid);
        while let Some(Ok(process)) = next.map(ProcessUsage::read) {
            if process.ended || found.iter().any(|other| other.is(&process)) {
                break;
            }
            found.push(process);
            next = Some(process.parent).filter(|parent| supervises(*parent, process.pid));
        }
    }
    found.sort_unstable_by_key(|process| process.pid);
    found
}

fn supervises(parent: u32, child: u32) -> bool {
    let program = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let same = program(parent).is_some_and(|theirs| Some(theirs) == program(child));
    same && !sockets(parent).is_disjoint(&sockets(child))
}

/// The inodes of a process's sockets, as far as they are among its first descriptors.
fn sockets(pid: u32) -> HashSet<u64> {
    let all = fs::read_dir(format!("/proc/{pid}/fd"));
    all.into_iter()
        .flatten()
        .take(DESCRIPTORS)
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| socket_inode(link.to_str()?))
        .collect()
}

/// Those of `roots` that still run, and all processes that they started, directly or not, except this one. It reads
/// all processes of the machine.
#[must_use]
pub fn families(roots: &[ProcessUsage]) -> Vec<ProcessUsage> {
    let own = std::process::id();
    let all: Vec<ProcessUsage> = processes()
        .filter(|pid| *pid != own)
        .filter_map(|pid| ProcessUsage::read(pid).ok())
        .filter(|process| !process.ended)
        .collect();
    members(roots, all)
}

fn members(roots: &[ProcessUsage], all: Vec<ProcessUsage>) -> Vec<ProcessUsage> {
    let is_root = |process: &ProcessUsage| roots.iter().any(|root| root.is(process));
    let (mut found, mut others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_root);
    loop {
        let pids: HashSet<u32> = found.iter().map(|process| process.pid).collect();
        let (children, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|process| pids.contains(&process.parent));
        if children.is_empty() {
            return found;
        }
        found.extend(children);
        others = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Server, inside};

    fn process(pid: u32, parent: u32) -> ProcessUsage {
        ProcessUsage {
            pid,
            parent,
            started: u64::from(pid) * 10,
            ended: false,
            rss_bytes: 0,
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
        }
    }

    #[test]
    fn a_process_s_usage_is_parsed() {
        let sizes = Sizes {
            page: 4096,
            ticks_per_s: 100,
        };
        let of = |name: &str, state: &str| {
            let text = format!(
                "811 ({name}) {state} 7 811 811 0 -1 4194560 9 8 0 0 150 25 50 5 20 0 1 0 4711 9000000 300 184467"
            );
            parse_stat(&text, sizes)
        };
        let read = of("a) (b c", "S").unwrap();
        assert_eq!((read.pid, read.parent, read.started), (811, 7, 4711));
        assert_eq!(read.rss_bytes, 300 * 4096);
        assert_eq!(read.cpu_user, Duration::from_millis(2000));
        assert_eq!(read.cpu_system, Duration::from_millis(300));
        assert!(!read.ended && of("nginx", "Z").unwrap().ended);
        for text in ["", "811 (nginx", "811 (nginx) S 7 811", "x (nginx) S 7"] {
            assert_eq!(parse_stat(text, sizes), None, "{text:?}");
        }

        let smaps = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    1234 kB\nPss:     617 kB\nPss_Dirty: 5 kB\n";
        let memory = ProcessMemory {
            rss_bytes: 1234 * 1024,
            pss_bytes: 617 * 1024,
        };
        assert_eq!(parse_smaps(smaps), Some(memory));
        assert_eq!(parse_smaps("Rss: 5 kB\n"), None);
    }

    #[test]
    fn a_family_is_its_roots_and_all_that_they_started() {
        let all = vec![
            process(1, 0),
            process(2, 1),
            process(3, 2),
            process(9, 3),
            process(4, 1),
        ];
        let pids = |roots: &[ProcessUsage]| {
            let mut pids: Vec<u32> = members(roots, all.clone()).iter().map(|p| p.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(&[process(2, 1)]), [2, 3, 9]);
        assert_eq!(pids(&[process(2, 1), process(3, 2)]), [2, 3, 9]);
        assert_eq!(pids(&[process(4, 1)]), [4]);
        let earlier = ProcessUsage {
            started: 5,
            ..process(2, 1)
        };
        assert!(pids(&[earlier]).is_empty(), "its id was used again");
    }

    #[test]
    fn what_a_server_uses_is_read_with_its_children_and_its_supervisor() {
        if !inside(
            "process_usage::tests::what_a_server_uses_is_read_with_its_children_and_its_supervisor",
            "",
        ) {
            return;
        }
        let server = Server::start("for _ in range(2):\n    if os.fork() == 0: break");
        let accepting: Vec<u32> = server.processes(2).iter().map(|p| p.pid).collect();
        let roots = with_supervisors(&accepting);
        assert_eq!(roots.len(), 3, "{roots:?}");
        assert!(roots.iter().any(|p| p.pid == server.child.id()));
        // This test started it, but is another program.
        assert!(roots.iter().all(|p| p.pid != std::process::id()));
        let family = families(&roots);
        assert_eq!(family.len(), 3, "{family:?}");
        let only_parent: Vec<_> = roots
            .iter()
            .copied()
            .filter(|p| p.pid == server.child.id())
            .collect();
        assert_eq!(families(&only_parent).len(), 3, "its children are found");

        let pid = server.child.id();
        let usage = ProcessUsage::read(pid).unwrap();
        let memory = ProcessMemory::read(pid).unwrap();
        assert!(memory.rss_bytes > 1 << 20 && memory.pss_bytes < memory.rss_bytes);
        assert!(usage.rss_bytes.abs_diff(memory.rss_bytes) < 4 << 20);
        let files = ProcessFiles::read(pid).unwrap();
        assert_eq!(files.limit, 777);
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(files.open, open as u64);

        drop(server);
        // Its children end on their own.
        assert!(crate::seen_in_a_quiet_moment(|| families(&roots).is_empty()));
        assert_eq!(
            ProcessUsage::read(pid).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
