//! Measures what a run costs: memory and CPU time of this process, sockets and slab memory of the kernel.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throng_core::record::Used;
use throng_host::memory::{MemInfo, own_bytes};
use throng_host::scheduling::MachineTime;
use throng_host::sockets::{self, SockStat};
use throng_host::usage::CpuUsage;

/// The interval between counts of the kernel's sockets while they close.
const RECOUNT_EVERY: Duration = Duration::from_millis(20);

/// What the process and the machine used at the start of the run, and at its peak.
pub(crate) struct Meter {
    cpu: CpuUsage,
    own: u64,
    slab: Option<u64>,
    sockets: Option<SockStat>,
    peak_own: u64,
    peak_slab: Option<u64>,
    started_unix_s: f64,
    machine: Option<MachineTime>,
}

impl Meter {
    pub fn start() -> Meter {
        let own = own_bytes().unwrap_or(0);
        Meter {
            cpu: CpuUsage::read().unwrap_or_default(),
            own,
            slab: slab(),
            sockets: None,
            peak_own: own,
            peak_slab: None,
            started_unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |d| d.as_secs_f64()),
            machine: MachineTime::read().ok(),
        }
    }

    /// The share of the machine's CPU time that a hypervisor gave to others so far, 0 to 1.
    pub fn stolen(&self) -> Option<f64> {
        let now = MachineTime::read().ok()?;
        Some(now.stolen_since(self.machine.as_ref()?))
    }

    /// The run begins at `start`, and not now.
    pub fn count_from(&mut self, start: Instant) {
        let now = Instant::now();
        let later = start.saturating_duration_since(now).as_secs_f64();
        let earlier = now.saturating_duration_since(start).as_secs_f64();
        self.started_unix_s += later - earlier;
    }

    pub fn started_unix_s(&self) -> f64 {
        self.started_unix_s
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Duration {
        let used = CpuUsage::read().unwrap_or_default().since(&self.cpu);
        used.user + used.system
    }

    /// Takes note of the user memory there is now.
    pub fn note_own(&mut self) {
        self.peak_own = self.peak_own.max(own_bytes().unwrap_or(0));
    }

    /// Records the kernel's slab memory, as just read.
    pub fn note_slab(&mut self, bytes: Option<u64>) {
        self.peak_slab = bytes;
    }

    /// Records the sockets that exist before the first connection, listeners included.
    pub fn note_sockets_before(&mut self) {
        self.sockets = SockStat::read().ok();
    }

    /// Records user memory and the kernel's slab memory while connections are established. Returns the kernel's count of
    /// the run's sockets: how many more are in use in this network namespace than at the start of the run. Where that is
    /// not as `expected`, because other programs opened or closed some meanwhile, those are counted that connect to
    /// `ports`.
    pub fn note_kernel(&mut self, expected: Option<u64>, ports: &BTreeSet<u16>) -> Option<u64> {
        self.note_own();
        self.peak_slab = slab();
        let added = self.sockets_added()?;
        match expected {
            Some(expected) if expected != added => {
                Some(sockets::with_ports(ports).unwrap_or(added))
            }
            _ => Some(added),
        }
    }

    /// How many more sockets are in use in this network namespace than at the start of the run, without those that their
    /// program has closed.
    pub fn sockets_alive(&self) -> Option<u64> {
        self.added(|s| in_use(s).saturating_sub(s.tcp_orphan))
    }

    /// The same with those.
    fn sockets_added(&self) -> Option<u64> {
        self.added(in_use)
    }

    fn added(&self, of: impl Fn(&SockStat) -> u64) -> Option<u64> {
        let now = SockStat::read().ok()?;
        Some(of(&now).saturating_sub(of(self.sockets.as_ref()?)))
    }

    /// Waits until the kernel has closed the run's sockets. It does so in the background, and a run that begins earlier
    /// would find memory and ports still in use. Gives up without progress, such as when a peer does not answer FINs.
    pub fn wait_for_kernel(&self) {
        let Some(before) = &self.sockets else { return };
        let goal = in_use(before);
        let mut least = u64::MAX;
        let mut progress = Instant::now();
        while progress.elapsed() < Duration::from_secs(1) {
            let now = SockStat::read().map_or(0, |s| in_use(&s));
            if now <= goal {
                return;
            }
            if now < least {
                (least, progress) = (now, Instant::now());
            }
            std::thread::sleep(RECOUNT_EVERY);
        }
    }

    /// What the run used.
    pub fn used(&self) -> Used {
        let cpu = CpuUsage::read().unwrap_or_default().since(&self.cpu);
        let slab = self.peak_slab.zip(self.slab);
        Used {
            user_bytes: self.peak_own.saturating_sub(self.own),
            kernel_bytes: slab.map(|(at_peak, before)| at_peak.saturating_sub(before)),
            cpu_user: cpu.user,
            cpu_system: cpu.system,
        }
    }
}

/// Sockets of both families.
fn in_use(s: &SockStat) -> u64 {
    s.tcp_inuse + s.tcp6_inuse
}

fn slab() -> Option<u64> {
    MemInfo::read().ok()?.slab_bytes
}
