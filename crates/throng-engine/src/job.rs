//! What a worker is asked to do, as plain data.

use crate::control::{Clock, Control, Outlet};
use crate::socket::{Listener, SocketOptions};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::Traffic;
use throng_core::pacing::{Backoff, ConnectPace};
use throng_core::plan::Routes;
use throng_core::protocol::proxy_protocol::Headers;
use throng_core::shard::Shard;
use throng_core::stats::{AddressCounters, Counters};

/// Limits how many connections are opened at once, so that the target's accept queue does not overflow.
pub trait Admission: Send {
    /// The number of connections that this worker may open now. The worker asks repeatedly; after a
    /// zero it asks again within a millisecond.
    fn room(&mut self) -> u32;
}

/// The event loop of a worker that is set up. It runs until the order to close.
pub(crate) type EventLoop = Box<dyn FnOnce() -> io::Result<()>>;

/// A worker that opens connections and keeps them open.
pub struct ClientRole {
    /// Targets and sources by the run's connection number.
    pub routes: Arc<Routes>,
    /// The part of the run that this worker and its neighbours have.
    pub shard: Shard,
    /// The number of this worker's first connection in that part.
    pub first: u32,
    /// The distance between the numbers of this worker's connections: the number of workers.
    pub step: u32,
    /// The number of this worker's connections.
    pub count: u32,
    /// The local ports, lowest and highest, if each connection is to choose from a part of them.
    pub ports: Option<(u16, u16)>,
    /// Where to count by address: as many as there are targets, or none.
    pub by_address: Arc<[AddressCounters]>,
    /// Headers of the PROXY protocol that connections begin with, before anything of their behaviour. A connection counts as
    /// established once the kernel has taken its header.
    pub headers: Option<Headers>,
    /// The rate at which connections are opened, and how many attempts may be in flight.
    pub pace: ConnectPace,
    /// The time limit of one attempt.
    pub timeout: Duration,
    /// When a connection that failed or closed is opened again; `None` if it is not.
    pub reconnect: Option<Backoff>,
    /// Whether connections are opened again when that says, at no more than the rate of `pace`, but whatever its window and
    /// `admission` allow: as independent clients do, which do not spare their server.
    pub returns_alone: bool,
    /// A further limit on opening.
    pub admission: Option<Box<dyn Admission>>,
}

/// A worker that accepts connections.
pub struct ServerRole {
    /// The listeners: Unix sockets, or none of them. Workers that share them leave no connection waiting for a worker that is
    /// full.
    pub listeners: Vec<Arc<Listener>>,
    /// The maximum number of accepted connections on this worker at one time.
    pub max: u32,
    /// The other workers' counters. A worker that is far ahead of the others lets them catch up.
    pub others: Vec<Arc<Counters>>,
    /// With [`Behaviour::PAIRS`](throng_core::behaviour::Behaviour::PAIRS): what connections may be opened for those that are
    /// accepted.
    pub partners: Option<Partners>,
}

/// What connections may be opened for those that are accepted.
pub struct Partners {
    /// The targets and sources that a [`Way`](throng_core::behaviour::Way) names.
    pub routes: Arc<Routes>,
    /// The time limit of one attempt.
    pub timeout: Duration,
    /// The local ports, lowest and highest, if sockets can be told to choose from a part of them.
    pub ports: Option<(u16, u16)>,
}

/// A worker's side of its connections.
pub enum Role {
    /// It connects.
    Client(ClientRole),
    /// It accepts.
    Server(ServerRole),
}

/// How connections that are open at the end of a run are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Shut down by this side (FIN). The peers have up to five seconds to do so, too; a socket that is closed before is an
    /// orphan, of which the kernel allows only so many (`net.ipv4.tcp_max_orphans`).
    ShutDown,
    /// Reset by this side. The sockets need a linger time of zero: see [`listen`](crate::listen). For a
    /// server whose clients are in the same process.
    Reset,
    /// Reset by the peers: a server in the same process.
    ByPeer,
}

/// Everything that a worker needs, except what its connections do: see [`Job::with`].
pub struct Job {
    /// The worker's side of its connections.
    pub role: Role,
    /// Whether traffic waits for [`Order::StartTraffic`](crate::Order::StartTraffic).
    pub traffic: Traffic,
    /// How to close the connections that are open at the end.
    pub closing: Closing,
    /// Client: options to set on sockets. (Accepted sockets inherit those of their listener.)
    pub options: SocketOptions,
    /// Where to count.
    pub counters: Arc<Counters>,
    /// Where to leave measurements.
    pub outlet: Arc<Outlet>,
    /// Where orders come from.
    pub control: Arc<Control>,
    /// The run's clock.
    pub clock: Clock,
    /// io_uring: the number of slots in one ring's file table, a power of two.
    pub ring_slots: u32,
    /// The core to stay on: an index into the cores that the process may use, modulo their number.
    /// `None` leaves the choice to the kernel.
    pub core: Option<u32>,
}
