//! What one worker thread does, as its spawner says it.

use crate::control::{Clock, Control, Outlet};
use crate::socket::{EventFd, SocketOptions};
use crate::uring::{Paired, Rank};
use crate::{epoll, uring, waiting};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Traffic};
use throng_core::engine::Engine;
use throng_core::pacing::ConnectPace;
use throng_core::plan::Routes;
use throng_core::stats::Counters;

/// Says how many connections may be opened now without overflowing the target's accept queue.
pub trait Admission: Send {
    /// How many more this worker may open now. Asked again and again; zero means ask again in a
    /// fraction of a millisecond.
    fn room(&mut self) -> u32;
}

/// Opens connections and keeps them open.
pub struct ClientRole {
    /// Where connections go, by their number.
    pub routes: Arc<Routes>,
    /// The number of this worker's first connection …
    pub first: u32,
    /// … the distance to the next one (the number of workers) …
    pub step: u32,
    /// … and how many there are.
    pub count: u32,
    /// How fast.
    pub pace: ConnectPace,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Whether to open again what closed or failed.
    pub reconnect: bool,
    /// What else bounds opening.
    pub admission: Option<Box<dyn Admission>>,
}

/// Accepts connections.
pub struct ServerRole {
    /// Where from. Listeners that other workers have too leave no connection waiting for one that is full.
    pub listeners: Vec<Arc<TcpListener>>,
    /// The most connections at once on this worker.
    pub max: u32,
    /// The other workers' counters: one that is far ahead lets the others catch up.
    pub others: Vec<Arc<Counters>>,
}

/// Which side of connections a worker is.
pub enum Role {
    /// It connects.
    Client(ClientRole),
    /// It accepts.
    Server(ServerRole),
}

/// How connections that are up at the end are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Shut down from this side (FIN).
    ShutDown,
    /// Reset by closing: the sockets linger for no time (see [`listen`](crate::listen)). For a server
    /// whose clients are in the same process.
    Reset,
    /// Reset by their peers, a server in the same process.
    ByPeer,
}

/// All that a worker needs, but for what its connections do: see [`Job::with`].
pub struct Job {
    /// Which side.
    pub role: Role,
    /// Whether traffic waits for [`Order::StartTraffic`](crate::Order::StartTraffic).
    pub traffic: Traffic,
    /// How to close what is up at the end.
    pub closing: Closing,
    /// Client: what to set on sockets. (Accepted ones have what their listener has.)
    pub options: SocketOptions,
    /// Where to count.
    pub counters: Arc<Counters>,
    /// Where to leave what was measured.
    pub outlet: Arc<Outlet>,
    /// Where orders come from.
    pub control: Arc<Control>,
    /// The run's clock.
    pub clock: Clock,
    /// io_uring: slots in one ring's file table, a power of two.
    pub ring_slots: u32,
    /// The core to stay on: the n-th of those that the process may use, going round. `None` leaves it
    /// to the kernel.
    pub core: Option<u32>,
}

/// A job with the behaviour of its connections. Engines are generic over behaviours; who only hands jobs
/// on need not be.
pub struct Work(Box<dyn Workable>);

impl Job {
    /// The job, with connections that do as `behaviour` says.
    pub fn with<B>(self, behaviour: B) -> Work
    where
        B: Behaviour + Send + 'static,
        B::Conn: Send,
    {
        Work(Box::new((self, behaviour)))
    }
}

trait Workable: Send {
    fn job(&self) -> &Job;
    fn run(self: Box<Self>, engine: Engine, waker: Arc<EventFd>) -> io::Result<()>;
    fn paired(self: Box<Self>, waker: Arc<EventFd>, place: Rank) -> io::Result<Box<dyn Paired>>;
}

impl<B> Workable for (Job, B)
where
    B: Behaviour + Send + 'static,
    B::Conn: Send,
{
    fn job(&self) -> &Job {
        &self.0
    }

    fn run(self: Box<Self>, engine: Engine, waker: Arc<EventFd>) -> io::Result<()> {
        let (job, behaviour) = *self;
        match engine {
            Engine::Uring => uring::run(job, behaviour, waker),
            Engine::Epoll => epoll::run(job, behaviour, waker),
        }
    }

    fn paired(self: Box<Self>, waker: Arc<EventFd>, place: Rank) -> io::Result<Box<dyn Paired>> {
        let (job, behaviour) = *self;
        uring::paired(job, behaviour, waker, place)
    }
}

/// Starts a worker thread called `name`. It runs until [`Order::Close`](crate::Order::Close).
///
/// # Errors
/// No thread or no eventfd. What goes wrong later is the thread's result: an error of the event loop
/// itself (no memory for a ring, say), not of a connection.
pub fn spawn(engine: Engine, name: String, work: Work) -> io::Result<JoinHandle<io::Result<()>>> {
    let waker = work.0.job().control.enlist()?;
    thread::Builder::new().name(name).spawn(move || {
        if let Some(core) = work.0.job().core {
            pin(core);
        }
        waiting::wake_on_time();
        work.0.run(engine, waker)
    })
}

/// Starts workers for both ends of the same connections, on the client's core: with io_uring in one
/// thread, else in one each. As [`spawn`] otherwise.
///
/// # Errors
/// Those of [`spawn`].
pub fn spawn_pair(
    engine: Engine,
    number: u32,
    client: Work,
    server: Work,
) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    if engine == Engine::Epoll {
        return Ok(vec![
            spawn(engine, format!("serve-{number}"), server)?,
            spawn(engine, format!("load-{number}"), client)?,
        ]);
    }
    let waker = client.0.job().control.enlist()?;
    let thread = thread::Builder::new().name(format!("pair-{number}"));
    let thread = thread.spawn(move || {
        if let Some(core) = client.0.job().core {
            pin(core);
        }
        waiting::wake_on_time();
        let client = client.0.paired(Arc::clone(&waker), Rank::Lead)?;
        let server = server.0.paired(waker, Rank::Second)?;
        uring::run_pair(client, server)
    })?;
    Ok(vec![thread])
}

/// Keeps this thread on the n-th core that it may use. Where that can't be found out or done it stays
/// free: it is a matter of speed only.
fn pin(core: u32) {
    // SAFETY: cpu_set_t is plain bits, for which zero is valid; both calls get its size and address.
    unsafe {
        let size = size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size, &raw mut allowed) != 0 {
            return;
        }
        let cores: Vec<usize> = (0..libc::CPU_SETSIZE as usize)
            .filter(|c| libc::CPU_ISSET(*c, &allowed))
            .collect();
        if !cores.is_empty() {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cores[core as usize % cores.len()], &mut one);
            libc::sched_setaffinity(0, size, &raw const one);
        }
    }
}
