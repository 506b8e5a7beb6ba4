//! What runs of either side have in common: workers that are watched, a live view, a meter of what it
//! costs.

use crate::Failure;
use crate::signals::Interrupt;
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throng_core::behaviour::Traffic;
use throng_core::plan::Shortfall;
use throng_core::stats::{Counters, Measured, Tally};
use throng_core::summary::{Cost, Phase, Samples, Snapshot};
use throng_engine::{Clock, Closing, Control, Job, Order, Outlet, Role, ServerRole, SocketOptions};
use throng_host::memory::{Available, MemInfo, MemoryBounds, rss_bytes};
use throng_host::sockets::SockStat;
use throng_host::usage::CpuUsage;
use throng_report::live::{Live, LiveStyle};

/// How often a run is looked at whose counts decide how it goes on. Bounds how late a phase ends.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// The same for one that goes on until an instant that is known, or somebody stops it, which wakes us: each look
/// takes a worker's processor away for a moment.
pub(crate) const AT_REST: Duration = Duration::from_millis(500);
/// How often the resident set and the memory that is left are read, while there is plenty: where no connections come …
const MEMORY_AT_REST: Duration = Duration::from_secs(1);
/// … where they come …
const MEMORY_EVERY: Duration = Duration::from_millis(100);
/// … and at its end, when connections come at …
const MEMORY_SOONEST: Duration = Duration::from_millis(2);
/// … this many bytes a second at most: 200,000 connections, both ends.
const FASTEST_FILL: u64 = 2 << 30;
/// How often a sample is taken for the summary.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Per-connection memory is told from this many connections on; under it a page more or less decides.
const ENOUGH_TO_DIVIDE: u64 = 1000;

/// A worker, and what it leaves behind.
pub(crate) type WorkerThread = JoinHandle<io::Result<()>>;

/// The workers of one side.
pub(crate) struct Side {
    pub counters: Vec<Arc<Counters>>,
    pub outlets: Vec<Arc<Outlet>>,
    pub threads: Vec<WorkerThread>,
}

impl Side {
    /// Counters for `workers` workers, whose threads are still to be started.
    pub fn new(workers: u32) -> Side {
        Side {
            counters: (0..workers).map(|_| Arc::default()).collect(),
            outlets: (0..workers).map(|_| Arc::default()).collect(),
            threads: Vec::new(),
        }
    }

    /// What worker `worker` is to do in the `role`: with traffic from the first connection on, on any core, and
    /// with connections shut down at the end. Fields that are otherwise are the caller's to say.
    pub fn job(&self, worker: u32, role: Role, watch: &Watch, ring_slots: u32) -> Job {
        Job {
            role,
            traffic: Traffic::On,
            closing: Closing::ShutDown,
            options: SocketOptions::default(),
            counters: Arc::clone(&self.counters[worker as usize]),
            outlet: Arc::clone(&self.outlets[worker as usize]),
            control: Arc::clone(&watch.control),
            clock: watch.clock,
            ring_slots,
            core: None,
        }
    }

    /// The role of worker `worker` if all of this side accept from the same `listeners`, `max` connections at
    /// most on this one: none gets far ahead of the others.
    pub fn sharing(&self, worker: u32, listeners: &[Arc<TcpListener>], max: u32) -> Role {
        let others = self.counters.iter().enumerate();
        let others = others.filter(|(at, _)| *at != worker as usize);
        Role::Server(ServerRole {
            listeners: listeners.to_vec(),
            max,
            others: others.map(|(_, c)| Arc::clone(c)).collect(),
        })
    }

    pub fn tally(&self) -> Tally {
        self.counters.iter().map(|c| c.read()).sum()
    }

    /// When the last connection came up, since the run began.
    pub fn last_up(&self) -> Duration {
        self.last(|c| c.last_up_ns.get())
    }

    /// When the last TLS handshake was done, since the run began.
    pub fn last_secured(&self) -> Duration {
        self.last(|c| c.last_secured_ns.get())
    }

    fn last(&self, ns: impl Fn(&Counters) -> u64) -> Duration {
        Duration::from_nanos(self.counters.iter().map(|c| ns(c)).max().unwrap_or(0))
    }

    /// Waits for the workers to end. The first error of one is the run's.
    pub fn join(self) -> Result<(), Failure> {
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    return Err(Failure::fault(format!("a worker's event loop failed: {e}")));
                }
                // The panic's message is on stderr already.
                Err(_) => return Err(Failure::fault("a worker panicked; this is a bug in throng")),
            }
        }
        Ok(())
    }
}

/// What workers left in `outlets` since this was last called.
pub(crate) fn take_measured(outlets: &[Arc<Outlet>]) -> Measured {
    let mut all = Measured::default();
    for outlet in outlets {
        all.merge(outlet.take());
    }
    all
}

/// What the process and the machine had used when the run began, and at its height.
pub(crate) struct Meter {
    cpu: CpuUsage,
    rss: u64,
    slab: Option<u64>,
    sockets: Option<SockStat>,
    peak_rss: u64,
    peak_slab: Option<u64>,
    started_unix_s: f64,
}

impl Meter {
    pub fn start() -> Meter {
        let rss = rss_bytes().unwrap_or(0);
        Meter {
            cpu: CpuUsage::read().unwrap_or_default(),
            rss,
            slab: slab(),
            sockets: None,
            peak_rss: rss,
            peak_slab: None,
            started_unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |d| d.as_secs_f64()),
        }
    }

    pub fn started_unix_s(&self) -> f64 {
        self.started_unix_s
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Duration {
        let used = CpuUsage::read().unwrap_or_default().since(&self.cpu);
        used.user + used.system
    }

    /// Takes note of the user memory there is now.
    pub fn note_rss(&mut self) {
        self.peak_rss = self.peak_rss.max(rss_bytes().unwrap_or(0));
    }

    /// Takes note of the sockets there are before the first connection (listeners included).
    pub fn note_sockets_before(&mut self) {
        self.sockets = SockStat::read().ok();
    }

    /// Takes note of the memory while the connections are up, also the kernel's. Returns how many more TCP
    /// sockets are in use in this network namespace than when the run began.
    pub fn note_kernel(&mut self) -> Option<u64> {
        self.note_rss();
        self.peak_slab = slab();
        let now = SockStat::read().ok()?;
        let before = self.sockets.as_ref()?;
        let all = |s: &SockStat| s.tcp_inuse + s.tcp6_inuse;
        Some(all(&now).saturating_sub(all(before)))
    }

    /// Waits until the kernel has closed our sockets: it does so in the background, and a run that
    /// begins before that finds memory and ports still taken. Gives up when it gets no further, as
    /// when a peer does not answer our FINs.
    pub fn wait_for_kernel(&self) {
        let Some(before) = &self.sockets else { return };
        let in_use = || SockStat::read().map_or(0, |s| s.tcp_inuse + s.tcp6_inuse);
        let goal = before.tcp_inuse + before.tcp6_inuse;
        let mut least = u64::MAX;
        let mut progress = Instant::now();
        while progress.elapsed() < Duration::from_secs(1) {
            let now = in_use();
            if now <= goal {
                return;
            }
            if now < least {
                (least, progress) = (now, Instant::now());
            }
            std::thread::sleep(TICK);
        }
    }

    /// What the run took, for `connections` at its height.
    pub fn cost(&self, connections: u64) -> Cost {
        let cpu = CpuUsage::read().unwrap_or_default().since(&self.cpu);
        let user_bytes = self.peak_rss.saturating_sub(self.rss);
        let each = |bytes: u64| {
            (connections >= ENOUGH_TO_DIVIDE).then(|| bytes as f64 / connections as f64)
        };
        let kernel = self
            .peak_slab
            .zip(self.slab)
            .map(|(at_peak, before)| at_peak.saturating_sub(before));
        Cost {
            user_bytes,
            user_bytes_per_connection: each(user_bytes),
            kernel_bytes_per_connection: kernel.and_then(each),
            cpu_user_s: cpu.user.as_secs_f64(),
            cpu_system_s: cpu.system.as_secs_f64(),
        }
    }
}

fn slab() -> Option<u64> {
    MemInfo::read().ok()?.slab_bytes
}

/// A run as it is watched: the clock, the orders, the live view, the samples, the memory guard.
pub(crate) struct Watch {
    pub clock: Clock,
    pub control: Arc<Control>,
    pub live: Live,
    pub samples: Samples,
    pub meter: Meter,
    pub peak: u64,
    /// Median and 99th percentile of message latency in the last interval, if it is followed.
    pub latency: Option<(Duration, Duration)>,
    interrupt: Interrupt,
    memory: MemoryBounds,
    reserve: u64,
    live_every: Duration,
    next_live: Duration,
    next_sample: Duration,
    next_memory: Duration,
    /// Connections that were up when memory was last looked at.
    guarded: u64,
    /// When the live view was drawn in the last second, and the counts then.
    shown: VecDeque<(Duration, Tally)>,
    /// What was left when the guard stopped the opening.
    pub stopped_at: Option<Available>,
}

impl Watch {
    /// The watch of a run that keeps `reserve` bytes of memory free.
    pub fn new(quiet: bool, memory: MemoryBounds, reserve: u64) -> Result<Watch, Failure> {
        let interrupt = Interrupt::install()?;
        let style = LiveStyle::detect(quiet);
        let meter = Meter::start();
        Ok(Watch {
            clock: Clock::start(),
            control: Control::new(),
            live: Live::new(style),
            samples: Samples::default(),
            meter,
            peak: 0,
            latency: None,
            interrupt,
            memory,
            reserve,
            live_every: style.every(),
            next_live: style.every(),
            next_sample: SAMPLE_EVERY,
            next_memory: Duration::ZERO,
            guarded: 0,
            shown: VecDeque::from([(Duration::ZERO, Tally::default())]),
            stopped_at: None,
        })
    }

    /// When the clock was started: microseconds since 1970.
    pub fn started_unix_us(&self) -> u64 {
        (self.meter.started_unix_s() * 1e6) as u64
    }

    pub fn interrupted(&self) -> bool {
        self.interrupt.asked()
    }

    /// Says what may not work, before anything is opened.
    pub fn warn(&mut self, all: &[Shortfall]) {
        for short in all {
            self.live.note(&format!("throng: warning: {short}"));
        }
    }

    /// Sleeps for `most`, unless `until` is nearer or a signal comes. Returns the time.
    pub fn tick(&self, most: Duration, until: Option<Duration>) -> Duration {
        let next = self
            .next_memory
            .min(self.next_live)
            .min(self.next_sample)
            .min(until.unwrap_or(Duration::MAX));
        let left = next.saturating_sub(self.clock.elapsed()).min(most);
        std::thread::park_timeout(left.max(Duration::from_micros(100)));
        self.clock.elapsed()
    }

    /// Takes note of the counts at `at`, and looks after memory.
    pub fn note(&mut self, at: Duration, now: &Tally) {
        self.peak = self.peak.max(now.open());
        if at >= self.next_memory {
            self.meter.note_rss();
            let grows = now.open() > self.guarded;
            self.guarded = now.open();
            let mut wait = MEMORY_EVERY;
            if let Ok(machine) = MemInfo::read() {
                if now.open() > 0 && now.open() == self.peak {
                    self.meter.peak_slab = machine.slab_bytes;
                }
                wait = self.guard_memory(&machine, grows);
            }
            self.next_memory = at + wait;
        }
        if at >= self.next_sample {
            self.next_sample = at + SAMPLE_EVERY;
            self.samples.push(at, now);
        }
    }

    /// Stops opening before the machine runs out of memory. Returns when to look again: before it could, if
    /// connections came as fast as they can from now on.
    fn guard_memory(&mut self, machine: &MemInfo, grows: bool) -> Duration {
        if self.stopped_at.is_some() {
            return MEMORY_EVERY;
        }
        let available = self.memory.available_of(machine);
        if available.bytes < self.reserve {
            self.control.give(Order::StopOpening);
            self.live.note(&format!(
                "throng: only {} MiB of memory left: no more connections are opened",
                available.bytes >> 20
            ));
            self.stopped_at = Some(available);
            return MEMORY_EVERY;
        }
        let (soonest, latest) = match grows {
            true => (MEMORY_SOONEST, MEMORY_EVERY),
            false => (MEMORY_EVERY, MEMORY_AT_REST),
        };
        let lasts = (available.bytes - self.reserve) as f64 / FASTEST_FILL as f64;
        Duration::from_secs_f64(lasts).clamp(soonest, latest)
    }

    /// Shows where the run is, as often as the live view wants it.
    pub fn show(
        &mut self,
        at: Duration,
        phase: Phase,
        asked: Option<u64>,
        now: &Tally,
        server: Option<Tally>,
        left: Option<Duration>,
    ) {
        if at < self.next_live {
            return;
        }
        self.next_live = at + self.live_every;
        // Rates are over the last second, however often they are shown.
        while self
            .shown
            .get(1)
            .is_some_and(|(then, _)| *then + SAMPLE_EVERY <= at)
        {
            self.shown.pop_front();
        }
        let (then, before) = self.shown.front().copied().unwrap_or_default();
        self.live.update(&Snapshot {
            elapsed: at,
            phase,
            asked,
            peak: self.peak,
            now: *now,
            recent: now.since(&before),
            interval: at.saturating_sub(then),
            latency: self.latency,
            server,
            left,
        });
        self.shown.push_back((at, *now));
    }
}
