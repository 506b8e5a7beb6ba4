//! Starts workers: a thread for each, with the event loop of the chosen engine.
//!
//! An engine is a folder with a function `set_up`, and a line in [`Runnable::set_up`] that calls it.

use crate::control::{Control, SettingUp};
use crate::job::{EventLoop, Job};
use crate::socket::EventFd;
use crate::uring::{self, Paired, Rank};
use crate::{epoll, waiting};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use throng_core::behaviour::Behaviour;
use throng_core::engine::Engine;

/// A job together with the behaviour of its connections. Engines are generic over behaviours; code that
/// only passes jobs on is not.
pub struct Work(Box<dyn Runnable>);

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

impl Work {
    fn control(&self) -> &Arc<Control> {
        &self.0.job().control
    }

    /// Prepares this thread for its event loop.
    fn prepare(&self) {
        let job = self.0.job();
        if let Some(core) = job.core {
            pin(core);
        }
        self.runs_here();
        waiting::wake_on_time();
    }

    /// Notes that this thread is its worker's.
    fn runs_here(&self) {
        // Not libc::gettid(): std refers to that one weakly, and in a static program that is linked as a whole (lto) the reference
        // stays unresolved, so the call jumps to 0 (Rust 1.95, glibc 2.36).
        // SAFETY: no arguments; it always succeeds.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        self.0.job().outlet.run_by(thread as u32);
    }
}

trait Runnable: Send {
    fn job(&self) -> &Job;
    /// Sets up the event loop that runs the job in this thread.
    fn set_up(self: Box<Self>, engine: Engine, waker: Arc<EventFd>) -> io::Result<EventLoop>;
    /// A worker that shares this thread with another one.
    fn paired(self: Box<Self>, waker: Arc<EventFd>, rank: Rank) -> io::Result<Box<dyn Paired>>;
}

impl<B> Runnable for (Job, B)
where
    B: Behaviour + Send + 'static,
    B::Conn: Send,
{
    fn job(&self) -> &Job {
        &self.0
    }

    fn set_up(self: Box<Self>, engine: Engine, waker: Arc<EventFd>) -> io::Result<EventLoop> {
        let (job, behaviour) = *self;
        match engine {
            Engine::Uring => uring::set_up(job, behaviour, waker),
            Engine::Epoll => epoll::set_up(job, behaviour, waker),
        }
    }

    fn paired(self: Box<Self>, waker: Arc<EventFd>, rank: Rank) -> io::Result<Box<dyn Paired>> {
        let (job, behaviour) = *self;
        uring::paired(job, behaviour, waker, rank)
    }
}

/// Starts a worker in a thread called `name`. It begins with all others at [`Control::begin`], and runs until
/// [`Order::Close`](crate::Order::Close).
///
/// # Errors
/// No thread or no eventfd can be created. Later errors are the thread's result: errors of the event loop
/// itself (no memory for a ring, for example), not of a connection.
pub fn spawn(engine: Engine, name: String, work: Work) -> io::Result<JoinHandle<io::Result<()>>> {
    let waker = work.control().enlist()?;
    let setting_up = SettingUp::new(Arc::clone(work.control()));
    thread::Builder::new().name(name).spawn(move || {
        work.prepare();
        let run = work.0.set_up(engine, waker)?;
        setting_up.done();
        run()
    })
}

/// Starts workers for both ends of the same connections, on the client's core: with io_uring both in one
/// thread, with other engines in a thread each. See [`spawn`].
///
/// # Errors
/// Those of [`spawn`].
pub fn spawn_pair(
    engine: Engine,
    number: u32,
    client: Work,
    server: Work,
) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    if engine != Engine::Uring {
        return Ok(vec![
            spawn(engine, format!("serve-{number}"), server)?,
            spawn(engine, format!("load-{number}"), client)?,
        ]);
    }
    let waker = client.control().enlist()?;
    let setting_up = SettingUp::new(Arc::clone(client.control()));
    let thread = thread::Builder::new().name(format!("pair-{number}"));
    let thread = thread.spawn(move || {
        client.prepare();
        server.runs_here();
        let client = client.0.paired(Arc::clone(&waker), Rank::Lead)?;
        let server = server.0.paired(waker, Rank::Second)?;
        setting_up.done();
        uring::run_pair(client, server)
    })?;
    Ok(vec![thread])
}

/// Keeps this thread on one of the cores that it may use: the one at index `core` modulo their number. On
/// an error the thread stays where it is; only speed depends on it.
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
