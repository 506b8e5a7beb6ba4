//! Agents over NATS: any number of machines that all dial out to one server. Its files:
//!
//! - `server.rs` where the server is, and how to log in there; `names.rs` names of agents, runs and subjects
//! - `connection.rs` a connection, and the thread with the async runtime. Nothing else here is asynchronous but `kept.rs`
//! - `pieces.rs` messages that are longer than the server takes
//! - `find.rs` which agents are there; `agents.rs` the coordinator's ways to them
//! - `station.rs` an agent that waits for coordinators
//! - `kept.rs` what the server keeps of runs, `logs.rs` what agents log; `runs.rs` which runs go on; `gather.rs` questions that
//!   many answer

mod agents;
mod connection;
mod find;
mod gather;
mod kept;
mod logs;
mod names;
mod pieces;
mod runs;
mod server;
mod station;

pub use agents::Far;
pub use connection::Connection;
pub use find::{FindError, Present, Wanted, find, present};
pub use kept::{Begun, Member, Past, Plans};
pub use logs::Logged;
pub use names::{Prefix, is_name};
pub use runs::{Office, Running};
pub use server::{NatsError, Server};
pub use station::{Log, Station, Visit};

/// The header with the token of whoever gives orders.
const TOKEN: &str = "Throng-Token";
