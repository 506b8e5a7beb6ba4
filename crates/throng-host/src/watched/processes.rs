//! The processes of a system under test at an instant: memory, threads, CPU time, descriptors.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use throng_core::record::ServerFiles;

use super::subject::name_of;
use crate::proc_text;
use crate::process_usage::{ProcessFiles, ProcessUsage};
use crate::processes::socket_inode;

/// Descriptors that are looked at, at most: each is a system call.
const DESCRIPTORS: u64 = 65_536;
/// If there are more, those of each process that are looked at. Listeners are opened early.
const FIRST: usize = 1024;

/// What the processes have, without CPU time.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub threads: u64,
    pub rss_bytes: u64,
    pub anon_bytes: u64,
    pub descriptors: u64,
    pub fullest: Option<ServerFiles>,
    /// The inodes of their sockets.
    pub sockets: HashSet<u64>,
    /// Whether `sockets` has all of them: no descriptor was left out, and there is no io_uring, whose direct descriptors are not
    /// shown.
    pub all_sockets: bool,
    /// What could not be read, and why: once each.
    pub unread: Vec<(&'static str, String)>,
}

impl Held {
    /// Reads what `processes` have. Those that end meanwhile are left out.
    pub fn read(processes: &[ProcessUsage]) -> Held {
        let mut held = Held::default();
        let mut seen = Vec::new();
        for process in processes {
            match Status::read(process.pid) {
                Ok(status) => {
                    held.threads += status.threads;
                    held.rss_bytes += status.rss_bytes;
                    held.anon_bytes += status.anon_bytes;
                }
                Err(_) if has_ended(process) => continue,
                Err(e) => held.unread.push(("its memory", e.to_string())),
            }
            match ProcessFiles::read(process.pid) {
                Ok(files) => {
                    held.descriptors += files.open;
                    let files = ServerFiles {
                        open: files.open,
                        limit: files.limit,
                    };
                    if held.fullest.is_none_or(|most| files.is_fuller(&most)) {
                        held.fullest = Some(files);
                    }
                    seen.push(process);
                }
                Err(_) if has_ended(process) => {}
                Err(e) => held.unread.push(("its descriptors", e.to_string())),
            }
        }
        let whole = held.descriptors <= DESCRIPTORS;
        held.all_sockets = whole && held.unread.is_empty();
        let most = if whole { usize::MAX } else { FIRST };
        for process in seen {
            match held.read_links(process.pid, most) {
                Err(e) if !has_ended(process) => {
                    held.all_sockets = false;
                    held.unread.push(("its descriptors", e.to_string()));
                }
                _ => {}
            }
        }
        held
    }

    fn read_links(&mut self, pid: u32, most: usize) -> io::Result<()> {
        let dir = format!("/proc/{pid}/fd");
        let all =
            fs::read_dir(&dir).map_err(|e| io::Error::new(e.kind(), format!("{dir}: {e}")))?;
        for entry in all.take(most) {
            // It may be closed by now.
            let Some(link) = entry.ok().and_then(|e| fs::read_link(e.path()).ok()) else {
                continue;
            };
            match link.to_str() {
                Some("anon_inode:[io_uring]") => self.all_sockets = false,
                Some(link) => self.sockets.extend(socket_inode(link)),
                None => {}
            }
        }
        Ok(())
    }
}

/// The names of `processes`, each once.
pub(super) fn names(processes: &[ProcessUsage]) -> Vec<String> {
    let mut names: Vec<String> = processes.iter().filter_map(|p| name_of(p.pid)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Why `process` can't be looked into; `None` if it can, or has ended.
pub(super) fn refused(process: &ProcessUsage) -> Option<String> {
    let links = format!("/proc/{}/fd", process.pid);
    match fs::read_dir(links) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !has_ended(process) => {
            let name = name_of(process.pid).unwrap_or_default();
            let pid = process.pid;
            Some(format!(
                "this user may not look into process {pid} ({name}): watch it as its user, or as root"
            ))
        }
        _ => None,
    }
}

fn has_ended(process: &ProcessUsage) -> bool {
    ProcessUsage::read(process.pid).map_or(true, |now| now.ended || !now.is(process))
}

/// What `/proc/PID/status` has. The kernel's counts of memory are kept per core, and right to within some pages of each.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    threads: u64,
    rss_bytes: u64,
    anon_bytes: u64,
}

impl Status {
    fn read(pid: u32) -> io::Result<Status> {
        let path = format!("/proc/{pid}/status");
        let text = proc_text::read(Path::new(&path))?;
        Status::parse(&text).ok_or_else(|| proc_text::malformed(&path, &text))
    }

    /// Kernel threads have no memory of their own.
    fn parse(text: &str) -> Option<Status> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let bytes = |name: &str| -> Option<u64> {
            let kib = value(name)?.trim().strip_suffix("kB")?.trim();
            kib.parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Status {
            threads: value("Threads:")?.trim().parse().ok()?,
            rss_bytes: bytes("VmRSS:").unwrap_or(0),
            anon_bytes: bytes("RssAnon:").unwrap_or(0),
        })
    }
}

/// CPU time of processes that come and go, since it was first read.
#[derive(Debug, Default)]
pub(super) struct CpuTime {
    before: Option<(Duration, Duration)>,
    /// The most so far: the time of a process that ended may be lost, but does not run backwards.
    most: (Duration, Duration),
}

impl CpuTime {
    /// The time that `processes` have used since the first call, in user mode and in the kernel.
    pub fn of(&mut self, processes: &[ProcessUsage]) -> (Duration, Duration) {
        let user: Duration = processes.iter().map(|p| p.cpu_user).sum();
        let system: Duration = processes.iter().map(|p| p.cpu_system).sum();
        self.most = (self.most.0.max(user), self.most.1.max(system));
        let before = *self.before.get_or_insert(self.most);
        (self.most.0 - before.0, self.most.1 - before.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn own() -> ProcessUsage {
        ProcessUsage::read(std::process::id()).unwrap()
    }

    #[test]
    fn a_status_has_memory_and_threads() {
        let text = "Name:\tnginx\nVmRSS:\t    1234 kB\nRssAnon:\t     500 kB\nRssFile:\t 734 kB\nThreads:\t7\n";
        let status = Status {
            threads: 7,
            rss_bytes: 1234 * 1024,
            anon_bytes: 500 * 1024,
        };
        assert_eq!(Status::parse(text), Some(status));
        let kernel_thread = Status::parse("Name:\tkthreadd\nThreads:\t1\n").unwrap();
        assert_eq!((kernel_thread.rss_bytes, kernel_thread.threads), (0, 1));
        assert_eq!(Status::parse("Name:\tx\n"), None);
    }

    #[test]
    fn what_this_process_has_is_read_and_its_sockets_are_known() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let held = Held::read(&[own()]);
        assert!(held.unread.is_empty(), "{held:?}");
        assert!(held.rss_bytes > held.anon_bytes && held.anon_bytes > 0);
        assert!(held.threads > 0 && held.sockets.len() >= 2);
        let fullest = held.fullest.unwrap();
        assert!(fullest.open == held.descriptors && fullest.limit >= fullest.open);
        assert_eq!(refused(&own()), None);
    }

    #[test]
    fn cpu_time_counts_from_the_first_reading_and_never_falls() {
        let process = |user: u64, system: u64| ProcessUsage {
            cpu_user: Duration::from_secs(user),
            cpu_system: Duration::from_secs(system),
            ..own()
        };
        let mut time = CpuTime::default();
        let seconds = |(user, system): (Duration, Duration)| (user.as_secs(), system.as_secs());
        assert_eq!(seconds(time.of(&[process(5, 2), process(1, 1)])), (0, 0));
        assert_eq!(seconds(time.of(&[process(6, 2), process(3, 2)])), (3, 1));
        assert_eq!(seconds(time.of(&[process(6, 2)])), (3, 1));
        assert_eq!(seconds(time.of(&[process(12, 2)])), (6, 1));
    }
}
