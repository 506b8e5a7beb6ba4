//! Watches what the target's server uses, where it is on this machine: a thread reads it now and then, so that a reading
//! that takes long delays nothing.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use throng_core::capacity;
use throng_core::host::Host;
use throng_core::record::{ServerEnded, ServerFiles, ServerMemory, ServerUsed};
use throng_core::scenario::LoadScenario;
use throng_engine::Clock;
use throng_host::process_usage::{
    ProcessFiles, ProcessMemory, ProcessUsage, families, with_supervisors,
};

/// The interval between readings.
const EVERY: Duration = Duration::from_secs(1);
/// Readings take at most one part of these of a core.
const SHARE: u32 = 100;
/// How long reading the proportional memory of all processes may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The target's server before the run.
pub(super) struct Server(Readings);

impl Server {
    /// The server of the targets of `scenario`, with what it uses now; `None` if none of them is on this machine. `host`
    /// was read for the plan.
    pub fn find(scenario: &LoadScenario, host: &Host) -> Option<Server> {
        let mut accepting = Vec::new();
        let mut readings = Readings::default();
        for target in scenario.addresses() {
            let servers = capacity::servers(host, target);
            let listens = !capacity::listeners(host, target).is_empty();
            if servers.is_empty() && listens {
                readings.unread(
                    "its processes",
                    format!("this user can't see who listens on {target}; run as root"),
                );
            }
            accepting.extend(servers.iter().map(|process| process.pid));
            let names = servers.into_iter().map(|process| process.name.clone());
            readings.used.names.extend(names);
        }
        readings.used.names.sort_unstable();
        readings.used.names.dedup();
        accepting.sort_unstable();
        accepting.dedup();
        readings.roots = with_supervisors(&accepting);
        readings.used.accepting = readings.roots.len() as u64;
        if readings.roots.is_empty() {
            return (!readings.used.unread.is_empty()).then_some(Server(readings));
        }
        readings.read(Duration::ZERO, true);
        readings.used.before = readings.used.peak;
        readings.cpu_before = readings.cpu;
        Some(Server(readings))
    }

    /// Watches it from now on. The run began when `clock` started.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn watch(self, clock: Clock) -> io::Result<ServerWatch> {
        let (in_full, orders) = mpsc::channel::<()>();
        let mut readings = self.0;
        let latest = Arc::new(Mutex::new(readings.so_far()));
        let published = Arc::clone(&latest);
        let watching = move || {
            let mut wait = EVERY;
            while !readings.roots.is_empty() {
                let order = orders.recv_timeout(wait);
                let began = Instant::now();
                readings.read(clock.elapsed(), order.is_ok());
                *held(&published) = readings.so_far();
                match order {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => wait = EVERY.max(began.elapsed() * SHARE),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        let thread = std::thread::Builder::new().name("server-watch".into());
        Ok(ServerWatch {
            in_full,
            latest,
            thread: thread.spawn(watching)?,
        })
    }
}

/// The target's server during the run.
pub(super) struct ServerWatch {
    in_full: Sender<()>,
    /// What is known so far.
    latest: Arc<Mutex<ServerUsed>>,
    thread: JoinHandle<()>,
}

impl ServerWatch {
    /// Reads all soon, proportional memory included.
    pub fn note(&self) {
        // It ends early if there is nothing to see.
        let _ = self.in_full.send(());
    }

    /// Waits for the readings that were asked for, at most for as long as `within`, and returns what the server used so
    /// far.
    pub fn finish(self, within: Duration) -> ServerUsed {
        drop(self.in_full);
        let began = Instant::now();
        while !self.thread.is_finished() && began.elapsed() < within {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut used = held(&self.latest).clone();
        if !self.thread.is_finished() {
            let late = "the last reading: it takes longer than the run may";
            used.unread.push(late.into());
        }
        used
    }
}

/// What was read so far.
#[derive(Default)]
struct Readings {
    /// The processes that accept connections or supervise those that do, without those that have ended.
    roots: Vec<ProcessUsage>,
    used: ServerUsed,
    /// CPU time of all, in user mode and in the kernel.
    cpu: (Duration, Duration),
    cpu_before: (Duration, Duration),
    /// That of roots that have ended, as last read.
    cpu_ended: (Duration, Duration),
}

impl Readings {
    /// Reads the processes at `at`, with proportional memory if `in_full`.
    fn read(&mut self, at: Duration, in_full: bool) {
        let family = families(&self.roots);
        self.note_ended(at, &family);
        if family.is_empty() {
            return;
        }
        self.note_cpu(&family);
        self.note_files(&family);
        let mut now = ServerMemory {
            processes: family.len() as u64,
            rss_bytes: family.iter().map(|p| p.rss_bytes).sum(),
            pss_bytes: None,
        };
        if in_full {
            match memory(&family) {
                Ok(all) => {
                    now.rss_bytes = all.rss_bytes;
                    now.pss_bytes = Some(all.pss_bytes);
                }
                Err(why) => self.unread("its proportional memory", why),
            }
        }
        let peak = self.used.peak.unwrap_or_default();
        self.used.peak = Some(ServerMemory {
            processes: now.processes.max(peak.processes),
            rss_bytes: now.rss_bytes.max(peak.rss_bytes),
            pss_bytes: now.pss_bytes.max(peak.pss_bytes),
        });
    }

    fn note_ended(&mut self, at: Duration, family: &[ProcessUsage]) {
        let alive = |root: &ProcessUsage| family.iter().find(|p| p.is(root)).copied();
        let mut roots = Vec::with_capacity(self.roots.len());
        for root in &self.roots {
            if let Some(now) = alive(root) {
                roots.push(now);
                continue;
            }
            self.used.ended.push(ServerEnded { pid: root.pid, at });
            // A supervisor takes note of its time.
            let supervised = self.roots.iter().any(|other| other.pid == root.parent);
            if !supervised {
                self.cpu_ended.0 += root.cpu_user;
                self.cpu_ended.1 += root.cpu_system;
            }
        }
        self.roots = roots;
    }

    fn note_cpu(&mut self, family: &[ProcessUsage]) {
        let user: Duration = family.iter().map(|p| p.cpu_user).sum();
        let system: Duration = family.iter().map(|p| p.cpu_system).sum();
        // The time of a process that ended may be lost, but does not run backwards.
        self.cpu.0 = self.cpu.0.max(user + self.cpu_ended.0);
        self.cpu.1 = self.cpu.1.max(system + self.cpu_ended.1);
    }

    fn note_files(&mut self, family: &[ProcessUsage]) {
        for process in family {
            let files = match ProcessFiles::read(process.pid) {
                Ok(files) => ServerFiles {
                    open: files.open,
                    limit: files.limit,
                },
                Err(_) if has_ended(process) => continue,
                Err(e) => return self.unread("its open files", e.to_string()),
            };
            if self.used.files.is_none_or(|most| files.is_fuller(&most)) {
                self.used.files = Some(files);
            }
        }
    }

    /// Once for each of its things: of the next process the reason is the same.
    fn unread(&mut self, what: &str, why: String) {
        let unread = &mut self.used.unread;
        if !unread.iter().any(|told| told.starts_with(what)) {
            unread.push(format!("{what}: {why}"));
        }
    }

    /// What it used until the last reading.
    fn so_far(&self) -> ServerUsed {
        let (before, now) = (self.cpu_before, self.cpu);
        ServerUsed {
            cpu_user: now.0.saturating_sub(before.0),
            cpu_system: now.1.saturating_sub(before.1),
            ..self.used.clone()
        }
    }
}

/// What is known, whatever became of the thread that published it.
fn held(latest: &Mutex<ServerUsed>) -> MutexGuard<'_, ServerUsed> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory of all processes together, as the kernel adds it up page by page; or why it could not be read.
fn memory(family: &[ProcessUsage]) -> Result<ProcessMemory, String> {
    let began = Instant::now();
    let mut all = ProcessMemory::default();
    for process in family {
        if began.elapsed() > PATIENCE {
            let n = family.len();
            return Err(format!("reading that of {n} processes takes too long"));
        }
        match ProcessMemory::read(process.pid) {
            Ok(one) => {
                all.rss_bytes += one.rss_bytes;
                all.pss_bytes += one.pss_bytes;
            }
            Err(_) if has_ended(process) => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(all)
}

fn has_ended(process: &ProcessUsage) -> bool {
    ProcessUsage::read(process.pid).map_or(true, |now| now.ended || !now.is(process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_takes_long_does_not_hold_up_the_end() {
        let (in_full, orders) = mpsc::channel::<()>();
        let (done, reading) = mpsc::channel::<()>();
        let watch = ServerWatch {
            in_full,
            latest: Arc::default(),
            thread: std::thread::spawn(move || {
                let _ = (orders.recv(), reading.recv());
            }),
        };
        let used = watch.finish(Duration::from_millis(10));
        assert!(used.unread[0].starts_with("the last reading"), "{used:?}");
        drop(done);
    }
}
