//! Accepting connections beside those that are opened (`-l`): in the same process, with the same options.

use crate::Failure;
use crate::behave::{LoadBehaviours, Place, socket_options};
use crate::listener;
use crate::side::{Side, WorkerThread};
use crate::watch::Watch;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use throng_core::behaviour::Traffic;
use throng_core::plan::LoadPlan;
use throng_core::scenario::LoadScenario;
use throng_engine::{Job, Reach, Work};

/// Places for accepted connections on one worker, at most. Memory and the kernel's limits bind before.
const MOST: u32 = 1 << 22;

/// Listeners, and the workers that accept from them.
pub(crate) struct Listeners {
    pub side: Side,
    all: Vec<Arc<TcpListener>>,
}

impl Listeners {
    /// Opens those that `scenario` asks for, if any.
    pub fn open(
        scenario: &LoadScenario,
        plan: &LoadPlan,
        backlog: u32,
    ) -> Result<Option<Listeners>, Failure> {
        let Some(asked) = &scenario.listen else {
            return Ok(None);
        };
        let options = socket_options(&scenario.sockets);
        let all = asked
            .on
            .iter()
            .map(|at| listener::open(at.0, backlog, Reach::Address, &options).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Some(Listeners {
            side: Side::new(plan.workers),
            all,
        }))
    }

    /// Where they listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.all.iter().map(|l| l.local_addr());
        addresses.filter_map(Result::ok).collect()
    }

    /// Starts workers of their own.
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

    /// Starts client worker `worker`, with one that accepts beside it: where connections are to ourselves, as
    /// they are as a rule, their ends are close together, and as many threads run as were asked for.
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

    /// What worker `worker` of those that accept does.
    fn work(
        &self,
        worker: u32,
        behaviours: &LoadBehaviours,
        plan: &LoadPlan,
        watch: &Watch,
        traffic: Traffic,
    ) -> Work {
        let role = self.side.sharing(worker, &self.all, MOST);
        let job = Job {
            traffic,
            ..self.side.job(worker, role, watch, plan.ring_slots)
        };
        let at = Place {
            worker,
            workers: plan.workers,
        };
        behaviours.accepted(job, at)
    }
}
