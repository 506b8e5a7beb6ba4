//! Accepts connections in the process that opens others (`-l`), with the same options.

use crate::Failure;
use crate::behave::{LoadBehaviours, Place};
use crate::listener;
use crate::side::{Side, WorkerThread};
use crate::sockets;
use crate::watch::Watch;
use std::sync::Arc;
use throng_core::behaviour::Traffic;
use throng_core::plan::LoadPlan;
use throng_core::scenario::LoadScenario;
use throng_core::unix_socket::Endpoint;
use throng_engine::{Closing, Job, Listener, Reach, Work};

/// The most accepted connections on one worker. Memory and the kernel's limits bind earlier.
const MOST: u32 = 1 << 22;

/// Listeners, and the workers that accept from them.
pub(crate) struct Listeners {
    pub side: Side,
    all: Vec<Arc<Listener>>,
    closing: Closing,
}

impl Listeners {
    /// Opens the listeners that `scenario` asks for, if any.
    pub fn open(
        scenario: &LoadScenario,
        plan: &LoadPlan,
        backlog: u32,
    ) -> Result<Option<Listeners>, Failure> {
        let Some(asked) = &scenario.listen else {
            return Ok(None);
        };
        let options = sockets::to_listen(&scenario.sockets);
        let all = asked
            .on
            .iter()
            .map(|at| listener::open(at.0, backlog, Reach::Address, &options))
            .map(|opened| opened.map(|l| Arc::new(l.into())))
            .collect::<Result<_, _>>()?;
        Ok(Some(Listeners {
            side: Side::new(plan.workers),
            all,
            closing: sockets::closing(&scenario.sockets),
        }))
    }

    /// Where they listen.
    pub fn places(&self) -> Vec<Endpoint> {
        let places = self.all.iter().map(|l| l.endpoint());
        places.filter_map(Result::ok).collect()
    }

    /// Starts workers that only accept.
    pub fn start(
        &mut self,
        behaviours: &LoadBehaviours,
        plan: &LoadPlan,
        watch: &Watch,
        traffic: Traffic,
    ) -> Result<(), Failure> {
        for worker in 0..plan.workers {
            let work = self.work(worker, behaviours, plan, watch, traffic);
            let thread = throng_engine::spawn(plan.engine, format!("listen-{worker}"), work)
                .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))?;
            self.side.threads.push(thread);
        }
        Ok(())
    }

    /// Starts client worker `worker` together with one that accepts, in one thread. Both ends of a connection to this
    /// process, the usual case, are then close together, and there are as many threads as asked for.
    pub fn start_beside(
        &self,
        worker: u32,
        client: Work,
        behaviours: &LoadBehaviours,
        plan: &LoadPlan,
        watch: &Watch,
        traffic: Traffic,
    ) -> Result<Vec<WorkerThread>, Failure> {
        let accepting = self.work(worker, behaviours, plan, watch, traffic);
        throng_engine::spawn_pair(plan.engine, worker, client, accepting)
            .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))
    }

    /// The work of accepting worker `worker`.
    fn work(
        &self,
        worker: u32,
        behaviours: &LoadBehaviours,
        plan: &LoadPlan,
        watch: &Watch,
        traffic: Traffic,
    ) -> Work {
        let role = self.side.sharing(worker, &self.all, MOST, None);
        let job = Job {
            traffic,
            closing: self.closing,
            ..self.side.job(worker, role, watch, plan.ring_slots)
        };
        let at = Place {
            worker,
            workers: plan.workers,
        };
        behaviours.accepted(job, at)
    }
}
