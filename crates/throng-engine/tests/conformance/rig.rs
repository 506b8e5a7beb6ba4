//! One side of connections under test: its workers, its orders, its counters.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use throng_core::behaviour::{Behaviour, Traffic};
use throng_core::engine::Engine;
use throng_core::host::{Host, Uring};
use throng_core::pacing::{Backoff, ConnectPace, ReconnectPolicy};
use throng_core::plan::{self, Routes};
use throng_core::protocol::proxy_protocol::Headers;
use throng_core::scenario::{self, LoadScenario};
use throng_core::shard::Shard;
use throng_core::stats::{Counters, Measured, Tally};
use throng_core::time::Time;
use throng_core::units::Rate;
use throng_core::unix_socket::{Endpoint, UnixAddress};
use throng_engine::{
    ClientRole, Clock, Closing, Control, Job, Listener, Order, Outlet, Partners, Reach, Role,
    ServerRole, SocketOptions, spawn,
};

/// When a test that waits has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long to watch for what must not happen.
pub const A_WHILE: Duration = Duration::from_millis(400);

/// Held by a test of thousands of connections, so that no two of them share the process's file limit.
pub fn crowd() -> MutexGuard<'static, ()> {
    static CROWD: Mutex<()> = Mutex::new(());
    raise_file_limit();
    CROWD
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether io_uring can be used here. Where it cannot, the test fails in CI, and elsewhere the first one says
/// so on stderr, past the capture of the test's output.
pub fn has_uring() -> bool {
    static UNUSABLE: OnceLock<Option<String>> = OnceLock::new();
    let unusable = UNUSABLE.get_or_init(|| {
        // In a thread that ends: the kernel closes the probe's ring later, and then interrupts system calls of
        // the thread that had it.
        let probing = thread::spawn(|| throng_engine::probe().unusable);
        let unusable = probing.join().expect("a probe");
        if let Some(why) = &unusable {
            let warning = format!("\nWARNING: the io_uring engine is NOT TESTED: {why}\n\n");
            io::stderr().write_all(warning.as_bytes()).expect("stderr");
        }
        unusable
    });
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(unusable.is_none() || !ci, "no io_uring in CI: {unusable:?}");
    unusable.is_none()
}

fn raise_file_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: a limit of this process, read into and set from a struct that is alive meanwhile.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
            limit.rlim_cur = limit.rlim_max;
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        }
    });
}

/// Waits until `holds`, or fails with `what` was waited for and what `seen` says.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool, seen: impl FnOnce() -> String) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "never: {what}; {}", seen());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Workers of one role. Closed and joined at the latest when dropped.
pub struct Side {
    pub control: Arc<Control>,
    pub clock: Clock,
    pub counters: Vec<Arc<Counters>>,
    pub outlets: Vec<Arc<Outlet>>,
    /// Where a server listens.
    pub addresses: Vec<SocketAddr>,
    options: SocketOptions,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Side {
    fn new(workers: u32, control: Option<Arc<Control>>) -> Side {
        raise_file_limit();
        Side {
            control: control.unwrap_or_default(),
            clock: Clock::start(),
            counters: (0..workers).map(|_| Arc::default()).collect(),
            outlets: (0..workers).map(|_| Arc::default()).collect(),
            addresses: Vec::new(),
            options: SocketOptions::default(),
            threads: Vec::new(),
        }
    }

    /// The first address a server listens on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn tally(&self) -> Tally {
        self.counters.iter().map(|c| c.read()).sum()
    }

    pub fn give(&self, order: Order) {
        self.control.give(order);
    }

    /// Gives `order`, and waits until every worker has taken it.
    pub fn give_and_wait(&self, order: Order) {
        self.give(order);
        let collection = self.control.collect();
        wait_until(
            "every worker has taken the order",
            || self.outlets.iter().all(|o| o.collected() >= collection),
            || format!("{order:?}"),
        );
    }

    /// Waits until the counters say that `holds`.
    pub fn wait(&self, what: &str, holds: impl Fn(&Tally) -> bool) -> Tally {
        wait_until(
            what,
            || {
                let ended = self.threads.iter().any(JoinHandle::is_finished);
                holds(&self.tally()) || {
                    assert!(!ended, "a worker ended by itself, before: {what}");
                    false
                }
            },
            || format!("{:?}", self.tally()),
        );
        self.tally()
    }

    /// Watches for a while that the counters go on saying that `holds`.
    pub fn stays(&self, what: &str, holds: impl Fn(&Tally) -> bool) {
        let began = Instant::now();
        while began.elapsed() < A_WHILE {
            let tally = self.tally();
            assert!(holds(&tally), "not any more: {what}; {tally:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the counters have stood still for a moment, at something that `holds`.
    pub fn settles(&self, what: &str, holds: impl Fn(&Tally) -> bool) -> Tally {
        let mut before = None;
        let still = |before: &mut Option<Tally>| {
            let now = self.tally();
            let same = before.replace(now) == Some(now);
            thread::sleep(Duration::from_millis(50));
            same && self.tally() == now && holds(&now)
        };
        wait_until(
            what,
            || still(&mut before),
            || format!("{:?}", self.tally()),
        );
        self.tally()
    }

    /// Closes everything. What was counted and measured in the end; checks that the counts add up.
    pub fn close(mut self) -> (Tally, Measured) {
        let mut measured = Measured::default();
        self.give(Order::Close);
        self.wait_for_threads();
        for thread in self.threads.drain(..) {
            let done = thread.join().expect("no worker panics");
            done.expect("no event loop fails");
        }
        for outlet in &self.outlets {
            measured.merge(outlet.take());
        }
        let tally = self.tally();
        assert_eq!(tally.open(), 0, "nothing stays open: {tally:?}");
        assert_eq!(
            tally.established + tally.accepted,
            tally.closed_in_all(),
            "an established connection was closed by somebody: {tally:?}"
        );
        assert!(
            tally.attempted >= tally.established + tally.failed_in_all(),
            "no attempt ends twice: {tally:?}"
        );
        (tally, measured)
    }

    fn wait_for_threads(&self) {
        wait_until(
            "the workers end when ordered to close",
            || self.threads.iter().all(JoinHandle::is_finished),
            || format!("{:?}", self.tally()),
        );
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.give(Order::Close);
        if thread::panicking() {
            // The test failed already; don't hang on top of it.
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(5)
                && !self.threads.iter().all(JoinHandle::is_finished)
            {
                thread::sleep(Duration::from_millis(1));
            }
            return;
        }
        self.wait_for_threads();
        for thread in self.threads.drain(..) {
            thread
                .join()
                .expect("no worker panics")
                .expect("no event loop fails");
        }
    }
}

/// A server side to start.
pub struct Serve {
    pub engine: Engine,
    pub workers: u32,
    /// Connections at once on each worker.
    pub max: u32,
    pub ring_slots: u32,
    pub listeners: Vec<Listener>,
    pub control: Option<Arc<Control>>,
    pub closing: Closing,
    /// Where partners of connections are opened.
    pub partners: Option<Vec<SocketAddr>>,
}

impl Serve {
    /// One worker on a free port of 127.0.0.1.
    pub fn on(engine: Engine) -> Serve {
        Serve::at(engine, &["127.0.0.1:0"])
    }

    /// One worker on a Unix socket.
    pub fn on_unix(engine: Engine, socket: &UnixAddress) -> Serve {
        let listener = throng_engine::listen_unix(socket, 4096).expect("a listener");
        Serve {
            listeners: vec![listener.into()],
            ..Serve::at(engine, &[])
        }
    }

    /// One worker on these addresses.
    pub fn at(engine: Engine, addresses: &[&str]) -> Serve {
        let listen = |at: &&str| -> Listener {
            let at = at.parse().expect("an address");
            throng_engine::listen(at, 4096, Reach::Address, &SocketOptions::default())
                .expect("a listener")
                .into()
        };
        Serve {
            engine,
            workers: 1,
            max: 1000,
            ring_slots: 1024,
            listeners: addresses.iter().map(listen).collect(),
            control: None,
            closing: Closing::ShutDown,
            partners: None,
        }
    }

    /// Where it will listen, without Unix sockets.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let places = self.listeners.iter();
        let places = places.map(|l| l.endpoint().expect("a bound listener"));
        places
            .filter_map(|place| match place {
                Endpoint::Address(at) => Some(at),
                Endpoint::Unix(_) => None,
            })
            .collect()
    }

    /// Starts the workers, each with a behaviour from `behaviour`.
    pub fn with<B>(self, behaviour: impl Fn() -> B) -> Side
    where
        B: Behaviour + Send + 'static,
        B::Conn: Send,
    {
        let addresses = self.addresses();
        let mut side = Side::new(self.workers, self.control);
        side.addresses = addresses;
        let listeners: Vec<_> = self.listeners.into_iter().map(Arc::new).collect();
        for worker in 0..self.workers as usize {
            let others = (0..side.counters.len()).filter(|at| *at != worker);
            let role = Role::Server(ServerRole {
                listeners: listeners.clone(),
                max: self.max,
                others: others.map(|at| Arc::clone(&side.counters[at])).collect(),
                partners: self.partners.as_ref().map(|to| Partners {
                    routes: Arc::new(routes(to, &[], None)),
                    timeout: DEADLINE,
                    ports: None,
                }),
            });
            side.start(
                self.engine,
                worker,
                role,
                behaviour(),
                Traffic::On,
                self.closing,
                self.ring_slots,
            );
        }
        side.control.begin();
        side
    }
}

/// A client side to start.
pub struct Connect {
    pub engine: Engine,
    pub workers: u32,
    /// Connections of all workers together.
    pub count: u32,
    pub targets: Vec<SocketAddr>,
    pub sources: Vec<IpAddr>,
    pub rate: Option<Rate>,
    /// Attempts in flight on each worker.
    pub window: u32,
    pub timeout: Duration,
    pub reconnect: bool,
    pub reconnect_policy: ReconnectPolicy,
    /// See [`ClientRole::returns_alone`].
    pub returns_alone: bool,
    pub traffic: Traffic,
    pub ring_slots: u32,
    pub control: Option<Arc<Control>>,
    pub closing: Closing,
    /// The Unix socket that connections go to instead of targets.
    pub unix: Option<UnixAddress>,
    /// What each connection begins with.
    pub headers: Option<Headers>,
    pub options: SocketOptions,
}

impl Connect {
    /// One worker with `count` connections to `targets`.
    pub fn to(engine: Engine, targets: &[SocketAddr], count: u32) -> Connect {
        Connect {
            engine,
            workers: 1,
            count,
            targets: targets.to_vec(),
            sources: Vec::new(),
            rate: None,
            window: 256,
            timeout: DEADLINE,
            reconnect: false,
            reconnect_policy: ReconnectPolicy::default(),
            returns_alone: false,
            traffic: Traffic::On,
            ring_slots: 1024,
            control: None,
            closing: Closing::ShutDown,
            unix: None,
            headers: None,
            options: SocketOptions::default(),
        }
    }

    /// Starts the workers, each with a behaviour from `behaviour`.
    pub fn with<B>(self, behaviour: impl Fn() -> B) -> Side
    where
        B: Behaviour + Send + 'static,
        B::Conn: Send,
    {
        let mut side = Side::new(self.workers, self.control);
        side.options = self.options;
        let routes = Arc::new(routes(&self.targets, &self.sources, self.unix.as_ref()));
        for worker in 0..self.workers {
            let role = Role::Client(ClientRole {
                routes: Arc::clone(&routes),
                by_address: Arc::from([]),
                headers: self.headers.clone(),
                shard: Shard::WHOLE,
                first: worker,
                step: self.workers,
                count: self.count / self.workers + u32::from(worker < self.count % self.workers),
                ports: None,
                pace: ConnectPace::new(
                    self.rate.map(|r| r.share(self.workers)),
                    self.window,
                    Time::START,
                ),
                timeout: self.timeout,
                reconnect: (self.reconnect)
                    .then(|| Backoff::new(self.reconnect_policy, 1, worker.into())),
                returns_alone: self.returns_alone,
                admission: None,
            });
            side.start(
                self.engine,
                worker as usize,
                role,
                behaviour(),
                self.traffic,
                self.closing,
                self.ring_slots,
            );
        }
        side.control.begin();
        side
    }
}

impl Side {
    #[allow(clippy::too_many_arguments)]
    fn start<B>(
        &mut self,
        engine: Engine,
        worker: usize,
        role: Role,
        behaviour: B,
        traffic: Traffic,
        closing: Closing,
        ring_slots: u32,
    ) where
        B: Behaviour + Send + 'static,
        B::Conn: Send,
    {
        let job = Job {
            role,
            traffic,
            counters: Arc::clone(&self.counters[worker]),
            outlet: Arc::clone(&self.outlets[worker]),
            control: Arc::clone(&self.control),
            clock: self.clock,
            closing,
            options: self.options.clone(),
            ring_slots,
            core: None,
        };
        let thread =
            spawn(engine, format!("worker-{worker}"), job.with(behaviour)).expect("a thread");
        self.threads.push(thread);
    }
}

/// Routes, by way of a plan on a machine that has enough of everything. One connection is planned for,
/// so that the plan adds no sources of its own.
fn routes(targets: &[SocketAddr], sources: &[IpAddr], unix: Option<&UnixAddress>) -> Routes {
    let unix = unix.map(|at| format!("unix:{at}").try_into().expect("a target"));
    let targets = targets.iter().copied().map(Into::into);
    let scenario = LoadScenario {
        targets: targets.chain(unix).collect(),
        connect: scenario::Connect {
            source_ip: sources.iter().copied().map(Into::into).collect(),
            ..scenario::Connect::default()
        },
        force: true,
        ..LoadScenario::default()
    };
    // Where connections go does not depend on what the machine allows.
    let host = Host {
        uring: Uring {
            unusable: None,
            binds: true,
        },
        ..Host::default()
    };
    plan::load(&scenario, &host)
        .expect("a plan without shortfalls")
        .routes
}
