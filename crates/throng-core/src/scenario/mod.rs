//! What the user asks for, as validated, complete, plain data: no handles, no clocks, and nothing about how the result
//! is shown.
//!
//! A [`Scenario`] is made of parts. Each is a section of its [file](mod@file). Names of targets stay as the user wrote them: they
//! are resolved on the machine that runs the scenario.

mod accepts;
mod allow;
pub mod bounds;
mod check;
mod connect;
mod connections;
pub mod file;
mod hold;
mod instead;
pub mod latency;
mod load;
mod measure;
mod measured;
mod objectives;
mod pace;
mod proxy;
mod resolve;
mod serve;
pub mod sockets;
mod target;
mod tls;

pub use allow::{Allow, Tolerance};
pub use check::Contradiction;
pub use connect::{Connect, ConnectRate, FastOpen};
pub use connections::Connections;
pub use hold::Hold;
pub use instead::{ConnectTo, ConnectToError, HostAddress, HostAddressError};
pub use latency::Percentile;
pub use load::LoadScenario;
pub use measure::{Counted, Measure, MessageLatency, SteadyFrom};
pub use objectives::Objectives;
pub use pace::{
    Arrivals, MessageRate, MessageRateError, Objective, Pace, PaceError, RunRate, Search, Sending,
    Writes,
};
pub use proxy::ProxyScenario;
pub use resolve::{Addresses, Family, Resolve};
pub use serve::ServeScenario;
pub use sockets::{Keepalive, KernelName, SocketOptions};
pub use target::{ListenAddress, ListenMode, ListenPlace, Listening, OwnServer, Target};
pub use tls::{Pem, TlsClient, TlsServer};

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenario {
    /// Connections to open.
    Load(Box<LoadScenario>),
    /// Connections to accept.
    Serve(Box<ServeScenario>),
    /// Connections to accept, and one to a backend for each.
    Proxy(Box<ProxyScenario>),
}
