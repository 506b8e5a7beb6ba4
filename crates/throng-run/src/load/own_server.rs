//! The server of `load --self`: a listener for each client worker. The thread of that worker also holds the other ends
//! of its connections.

use crate::Failure;
use crate::admission::OwnQueue;
use crate::behave::LoadBehaviours;
use crate::listener;
use crate::side::{Side, WorkerThread};
use crate::sockets;
use crate::watch::Watch;
use std::net::Ipv4Addr;
use std::sync::Arc;
use throng_core::plan::LoadPlan;
use throng_core::scenario::{self, LoadScenario};
use throng_core::stats::Counters;
use throng_core::unix_socket::Endpoint;
use throng_engine::{Closing, Job, Listener, Reach, Role, ServerRole, SocketOptions, Work};

/// What the workers of the server need.
pub(crate) struct OwnServer {
    pub side: Side,
    mode: scenario::OwnServer,
    listeners: Vec<Arc<Listener>>,
    backlog: u32,
    max_connections: u32,
}

impl OwnServer {
    /// Opens the listeners.
    pub fn open(
        mode: scenario::OwnServer,
        scenario: &LoadScenario,
        plan: &LoadPlan,
        backlog: u32,
    ) -> Result<OwnServer, Failure> {
        // Every address of 127/8 reaches them, and nothing from outside does.
        let any = (Ipv4Addr::UNSPECIFIED, 0).into();
        let fastopen = scenario.connect.fastopen.map(|_| backlog);
        if fastopen.is_some() {
            sockets::check_fastopen()?;
        }
        let options = SocketOptions {
            // It closes with resets, whatever its clients do.
            linger: None,
            fastopen,
            ..sockets::to_listen(&scenario.sockets)
        };
        let open = || listener::open(any, backlog, Reach::OwnProcess, &options);
        let listeners = (0..plan.workers)
            .map(|_| open().map(|l| Arc::new(l.into())))
            .collect::<Result<_, _>>()?;
        // Connections that are closed and reopened may overlap for a moment.
        let asked = scenario.connections.most();
        let max_connections = asked.saturating_add(asked / 8 + 1024);
        Ok(OwnServer {
            side: Side::new(plan.workers),
            mode,
            listeners,
            backlog,
            max_connections: max_connections.div_ceil(plan.workers),
        })
    }

    /// The port that client worker `worker` connects to.
    pub fn port(&self, worker: u32) -> Result<u16, Failure> {
        let why = match self.listeners[worker as usize].endpoint() {
            Ok(Endpoint::Address(at)) => return Ok(at.port()),
            Ok(Endpoint::Unix(_)) => "it has none".to_owned(),
            Err(e) => e.to_string(),
        };
        Err(Failure::fault(format!(
            "can't read the server's own port: {why}"
        )))
    }

    /// The admission that keeps client worker `worker`, with the counters `client`, from overflowing its accept queue.
    pub fn admission(&self, worker: u32, client: &Arc<Counters>) -> OwnQueue {
        OwnQueue {
            client: Arc::clone(client),
            server: Arc::clone(&self.side.counters[worker as usize]),
            backlog: self.backlog,
        }
    }

    /// Starts client worker `worker` and this server's end of its connections.
    pub fn start(
        &self,
        worker: u32,
        client: Work,
        behaviours: &LoadBehaviours,
        plan: &LoadPlan,
        watch: &Watch,
    ) -> Result<Vec<WorkerThread>, Failure> {
        // No other worker accepts from its listener.
        let role = Role::Server(ServerRole {
            listeners: vec![Arc::clone(&self.listeners[worker as usize])],
            max: self.max_connections,
            others: Vec::new(),
            partners: None,
        });
        let server = Job {
            closing: Closing::Reset,
            core: Some(worker),
            ..self.side.job(worker, role, watch, plan.ring_slots)
        };
        let server = behaviours.own_server(server, self.mode);
        throng_engine::spawn_pair(plan.engine, worker, client, server)
            .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))
    }
}
