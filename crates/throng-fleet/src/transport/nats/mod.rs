//! Agents over NATS: any number of machines that all dial out to one server. Its files:
//!
//! - `server.rs` where the server is, and how to log in there; `names.rs` names of agents, runs and subjects
//! - `connection.rs` a connection, and the thread with the async runtime. Nothing else here is asynchronous but `kept.rs`
//! - `pieces.rs` messages that are longer than the server takes
//! - `find.rs` which agents are there; `agents.rs` the coordinator's ways to them
//! - `station.rs` an agent that waits for coordinators

mod agents;
mod connection;
mod find;
mod names;
mod pieces;
mod server;
mod station;

pub use agents::Far;
pub use connection::Connection;
pub use find::{FindError, Present, Wanted, find};
pub use names::{Prefix, is_name};
pub use server::{NatsError, Server};
pub use station::{Log, Station, Visit};

/// The header with the token of whoever gives orders.
const TOKEN: &str = "Throng-Token";
