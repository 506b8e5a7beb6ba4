//! Takes readings of a system under test.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use throng_core::record::{MemoryLeft, Watched, WatchedEnd, WatchedReading};

use super::processes::{self, CpuTime, Held};
use super::sockets::Sockets;
use super::subject::Subject;
use crate::cgroup;
use crate::memory::MemInfo;
use crate::proc_text;
use crate::process_usage::ProcessUsage;
use crate::scheduling::MachineTime;
use crate::slab;

/// Takes readings of a system under test, each of which reads small files of all its processes, the links of its descriptors,
/// and the kernel's list of sockets: it takes the longer, the more there are.
pub struct Sampler {
    subject: Subject,
    about: Watched,
    sockets: Option<Sockets>,
    cpu: CpuTime,
    machine: Option<MachineTime>,
    /// Processes of this machine that were killed for lack of memory, before.
    killed_before: Option<u64>,
    queue_full: u64,
    /// The latest numbers that are kept where the sockets can't be read.
    dropped: u64,
    overflows: u64,
    memory: Option<MemoryLeft>,
    unread: Vec<String>,
    ended: Option<WatchedEnd>,
}

impl Sampler {
    /// Prepares to read `subject`.
    ///
    /// # Errors
    /// It has ended, or this user may not look into it: one line.
    pub fn open(subject: &Subject) -> Result<Sampler, String> {
        let members = subject.members();
        let Some(first) = members.first() else {
            return Err(format!("{} has ended", subject.name()));
        };
        if let Some(why) = members.iter().find_map(processes::refused) {
            return Err(why);
        }
        let objects = slab::now();
        let (socket_bytes, socket_bytes_read) = Sockets::typical(objects.as_ref());
        let (sockets, unread) = match Sockets::of(first.pid, objects) {
            Ok(sockets) => (Some(sockets), Vec::new()),
            Err(why) => (None, vec![why]),
        };
        Ok(Sampler {
            about: Watched {
                name: subject.name().to_owned(),
                processes: processes::names(&members),
                socket_bytes,
                socket_bytes_read,
                ..Watched::default()
            },
            memory: memory_left(first.pid),
            subject: subject.clone(),
            sockets,
            cpu: CpuTime::default(),
            machine: None,
            killed_before: killed_for_memory(),
            queue_full: 0,
            dropped: 0,
            overflows: 0,
            unread,
            ended: None,
        })
    }

    /// What it reads, without readings.
    #[must_use]
    pub fn about(&self) -> Watched {
        Watched {
            memory: self.memory.clone(),
            ..self.about.clone()
        }
    }

    /// Brings what is known of it besides its readings up to date: names, which a process changes as it becomes another program,
    /// what could not be read, and how it ended.
    pub fn update(&self, watched: &mut Watched) {
        watched.name.clone_from(&self.about.name);
        watched.processes.clone_from(&self.about.processes);
        watched.unread.clone_from(&self.unread);
        watched.ended.clone_from(&self.ended);
    }

    /// What could not be read so far, and why.
    #[must_use]
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn ended(&self) -> Option<WatchedEnd> {
        self.ended.clone()
    }

    /// Whether it is still there. Far cheaper than a reading; of a cgroup, only a reading can tell.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let root = self.subject.root();
        root.is_none_or(|root| {
            ProcessUsage::read(root.pid).is_ok_and(|now| now.is(root) && !now.ended)
        })
    }

    /// Takes a reading at `at`, since the run began. `None` once it has ended.
    pub fn read(&mut self, at: Duration) -> Option<WatchedReading> {
        if self.ended.is_some() {
            return None;
        }
        let members = self.subject.members();
        if members.is_empty() {
            self.ended = Some(WatchedEnd {
                at,
                how: self.how_it_ended(),
            });
            return None;
        }
        self.about.name = self.subject.name_now();
        self.about.processes = processes::names(&members);
        let held = Held::read(&members);
        for (what, why) in &held.unread {
            self.note_unread(what, why);
        }
        let seen = match self.sockets.as_mut().map(|sockets| sockets.look(&held)) {
            Some(Ok(Some(seen))) => Some(seen),
            Some(Ok(None)) => {
                self.note_unread(
                    "its connections",
                    "not all of its descriptors can be looked at, and it has no listener of its own",
                );
                None
            }
            Some(Err(e)) => {
                self.note_unread("its sockets", &e.to_string());
                None
            }
            None => None,
        };
        let unix_unread = self.sockets.as_ref().and_then(Sockets::unix_unread);
        if let Some(why) = unix_unread.map(str::to_owned) {
            self.note_unread("its Unix sockets", &why);
        }
        self.queue_full += u64::from(seen.is_some_and(|seen| seen.full));
        self.dropped = self.dropped.max(seen.map_or(0, |seen| seen.dropped));
        self.overflows = self.overflows.max(seen.map_or(0, |seen| seen.overflows));
        let (cpu_user, cpu_system) = self.cpu.of(&members);
        Some(WatchedReading {
            at,
            processes: members.len() as u64,
            threads: held.threads,
            rss_bytes: held.rss_bytes,
            anon_bytes: held.anon_bytes,
            connections: seen.map(|seen| seen.connections),
            kernel_bytes: seen.map(|seen| seen.kernel_bytes),
            descriptors: held.descriptors,
            fullest: held.fullest,
            cpu_user,
            cpu_system,
            listeners: seen.map_or(0, |seen| seen.listeners),
            waiting: seen.map_or(0, |seen| seen.waiting),
            queue_limit: seen.map_or(0, |seen| seen.queue_limit),
            queue_full: self.queue_full,
            dropped: self.dropped,
            overflows: self.overflows,
            softirq: self.softirq(),
        })
    }

    /// The share of soft interrupts since the last call.
    fn softirq(&mut self) -> f64 {
        let now = MachineTime::read().ok();
        let share = now.zip(self.machine);
        self.machine = now;
        share.map_or(0.0, |(now, before)| now.softirq_since(&before))
    }

    /// Once for each of its things: of the next process or reading the reason is the same.
    fn note_unread(&mut self, what: &str, why: &str) {
        if !self.unread.iter().any(|told| told.starts_with(what)) {
            self.unread.push(format!("{what}: {why}"));
        }
    }

    fn how_it_ended(&self) -> String {
        let how = match self.subject.root() {
            Some(root) => end_of(root),
            None => "has no process any more".into(),
        };
        let killed = killed_for_memory().zip(self.killed_before);
        match killed.map_or(0, |(now, before)| now.saturating_sub(before)) {
            0 => how,
            1 => format!("{how} (the kernel killed 1 process for lack of memory meanwhile)"),
            n => format!("{how} (the kernel killed {n} processes for lack of memory meanwhile)"),
        }
    }
}

/// What became of a process that has ended. That is known until its parent takes note of it.
fn end_of(root: &ProcessUsage) -> String {
    let text = proc_text::read(format!("/proc/{}/stat", root.pid)).unwrap_or_default();
    let same = ProcessUsage::read(root.pid).is_ok_and(|now| now.is(root));
    match exit_status(&text).filter(|_| same) {
        Some(status) if status & 0x7f != 0 => {
            let signal = status & 0x7f;
            let name = Signal::try_from(signal).map_or("", Signal::as_str);
            format!("was killed by signal {signal} ({name})").replace(" ()", "")
        }
        Some(status) => format!("ended with exit code {}", status >> 8 & 0xff),
        None => "ended".into(),
    }
}

/// The last field of `/proc/PID/stat`, of a process that has ended: its status as waitpid(2) returns it.
fn exit_status(stat: &str) -> Option<i32> {
    // The state is field 3, the status field 52.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let status = fields.nth(52 - 4)?;
    matches!(state, "Z" | "X").then(|| status.parse().ok())?
}

/// Processes of this machine that the kernel has killed for lack of memory (Linux 4.13).
fn killed_for_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(count)
}

/// The memory that process `pid` could take: what its cgroups leave, or the machine.
fn memory_left(pid: u32) -> Option<MemoryLeft> {
    let machine = MemInfo::read().ok()?.available_bytes;
    let cgroups = cgroup::cgroups_of(pid, "memory");
    let bounds = cgroups.iter().filter_map(|c| Some((c, c.memory()?)));
    let least = bounds.min_by_key(|(_, bound)| bound.available);
    Some(match least {
        Some((cgroup, bound)) if bound.available < machine => MemoryLeft {
            available_bytes: bound.available,
            cgroup: Some(cgroup.dir.display().to_string()),
        },
        _ => MemoryLeft {
            available_bytes: machine,
            cgroup: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).stdin(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn a_process_is_read_until_it_ends_and_how_is_told() {
        for (script, signal, how) in [
            ("read line; exit 3", None, "ended with exit code 3"),
            (
                "read line",
                Some("-KILL"),
                "was killed by signal 9 (SIGKILL)",
            ),
        ] {
            let mut child = shell(script);
            let subject = Subject::find(&child.id().to_string()).unwrap();
            let mut sampler = Sampler::open(&subject).unwrap();
            assert_eq!(sampler.about().processes, ["sh"]);
            assert!(sampler.about().memory.unwrap().available_bytes > 0);
            let first = sampler.read(Duration::ZERO).unwrap();
            assert_eq!((first.processes, first.threads), (1, 1));
            assert!(first.rss_bytes > 0 && first.descriptors >= 3, "{first:?}");
            assert_eq!(first.connections, Some(0), "{:?}", sampler.unread());
            assert_eq!(sampler.ended(), None);
            match signal {
                Some(signal) => {
                    let pid = child.id().to_string();
                    let sent = Command::new("kill").args([signal, &pid]).status();
                    assert!(sent.unwrap().success());
                }
                None => drop(child.stdin.take()),
            }
            let second = Duration::from_secs(1);
            assert!(crate::seen_in_a_quiet_moment(|| sampler
                .read(second)
                .is_none()));
            let ended = sampler.ended().unwrap();
            assert!(ended.how.starts_with(how), "{ended:?}");
            assert_eq!(ended.at, second);
            child.wait().unwrap();
            let error = Subject::find(&child.id().to_string()).unwrap_err();
            assert!(error.starts_with("there is no process"), "{error}");
        }
    }

    #[test]
    fn a_process_that_becomes_another_program_is_called_by_that_one_s_name() {
        let mut child = shell("read line; exec cat");
        let subject = Subject::find(&child.id().to_string()).unwrap();
        let mut sampler = Sampler::open(&subject).unwrap();
        sampler.read(Duration::ZERO).unwrap();
        let mut watched = sampler.about();
        let pid = child.id();
        let name = |program: &str| format!("process {pid} ({program})");
        assert_eq!(watched.name, name("sh"));
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        let found = crate::seen_in_a_quiet_moment(|| {
            sampler.read(Duration::ZERO).unwrap();
            sampler.update(&mut watched);
            watched.name == name("cat") && watched.processes == ["cat"]
        });
        assert!(found, "{watched:?}");
        drop(stdin);
        child.wait().unwrap();
    }

    #[test]
    fn the_status_of_a_process_is_known_once_it_has_ended() {
        let stat = |state: &str, status: &str| {
            let between = vec!["7"; 48].join(" ");
            format!("811 (a) (b) {state} {between} {status}\n")
        };
        assert_eq!(exit_status(&stat("Z", "768")), Some(768));
        assert_eq!(exit_status(&stat("Z", "9")), Some(9));
        assert_eq!(exit_status(&stat("S", "0")), None);
        assert_eq!(exit_status(""), None);
    }
}
