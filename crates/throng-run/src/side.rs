//! The workers of one side of a run.

use crate::Failure;
use crate::watch::Watch;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use throng_core::behaviour::Traffic;
use throng_core::stats::{AddressCounters, Counters, Tally};
use throng_engine::{Closing, Job, Listener, Outlet, Partners, Role, ServerRole, SocketOptions};

/// The thread of a worker, and its result.
pub(crate) type WorkerThread = JoinHandle<io::Result<()>>;

/// The workers of one side.
pub(crate) struct Side {
    pub counters: Vec<Arc<Counters>>,
    pub outlets: Vec<Arc<Outlet>>,
    /// The counts by address of each worker; empty with one address, and on a side that accepts.
    pub by_address: Vec<Arc<[AddressCounters]>>,
    pub threads: Vec<WorkerThread>,
}

impl Side {
    /// A side of `workers` workers, whose threads are not started yet.
    pub fn new(workers: u32) -> Side {
        Side {
            counters: (0..workers).map(|_| Arc::default()).collect(),
            outlets: (0..workers).map(|_| Arc::default()).collect(),
            by_address: Vec::new(),
            threads: Vec::new(),
        }
    }

    /// The job of worker `worker` in `role`: with traffic from the first connection on, on any core, and with
    /// connections shut down at the end. The caller changes the fields that differ.
    pub fn job(&self, worker: u32, role: Role, watch: &Watch<'_>, ring_slots: u32) -> Job {
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

    /// The role of worker `worker` if all workers of this side accept from the same `listeners`, and this one at most
    /// `max` connections, for each of which it may open one of `partners`. No worker gets far ahead of the others.
    pub fn sharing(
        &self,
        worker: u32,
        listeners: &[Arc<Listener>],
        max: u32,
        partners: Option<Partners>,
    ) -> Role {
        let others = self.counters.iter().enumerate();
        let others = others.filter(|(at, _)| *at != worker as usize);
        Role::Server(ServerRole {
            listeners: listeners.to_vec(),
            max,
            others: others.map(|(_, c)| Arc::clone(c)).collect(),
            partners,
        })
    }

    pub fn tally(&self) -> Tally {
        self.counters.iter().map(|c| c.read()).sum()
    }

    /// When the last connection was established, since the run began.
    pub fn last_up(&self) -> Duration {
        self.last(|c| c.last_up_ns.get())
    }

    /// When the last TLS handshake was done, since the run began.
    pub fn last_secured(&self) -> Duration {
        self.last(|c| c.tls.last_secured_ns.get())
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
