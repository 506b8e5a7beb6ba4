//! Many machines, one experiment: agents, each of which runs a part of a scenario, and the coordinator that makes one result of
//! theirs.
//!
//! Both ends are state machines without I/O: messages, events and the time go in, messages and decisions come out
//! ([`Coordinator`], [`Agent`]). Messages are plain data ([`message`]). A [`Transport`] carries them: a new one is a file.
//! [`conduct()`] drives a coordinator and [`serve()`] an agent, with threads. The async runtime that NATS needs is in
//! `transport/nats`, behind the feature `nats`, on a thread of its own.
//!
//! Messages may come twice, late or out of order: requests have numbers and are repeated until they are answered, counts are
//! those since the beginning, and an interval counts once.

#![forbid(unsafe_code)]

mod agent;
mod allow;
mod clock;
mod conduct;
mod coordinator;
mod divided;
mod frame;
pub mod message;
mod serve;
mod shares;
#[cfg(test)]
mod simulated;
mod stdio;
mod transport;

pub use agent::{Agent, Do, Limits, Planned};
pub use allow::{Allow, AllowError};
pub use conduct::{Fleet, conduct};
pub use coordinator::{
    Coordinator, Decision, Keeper, OnLoss, Ordered, Over, Refusal, Step, Stopping, Terms,
};
pub use divided::undividable;
pub use serve::{Serving, serve};
pub use stdio::{Command, Streams};
#[cfg(feature = "nats")]
pub use transport::nats;
pub use transport::{Arrival, End, Incoming, Link, Orders, Reports, Transport};
