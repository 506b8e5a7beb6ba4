//! What a coordinator has decided: with that, and with what agents report, another one goes on with its run.

use serde::{Deserialize, Serialize};
use throng_core::shard::Shard;

/// A decision that can't be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decision {
    /// Agents open connections.
    Start {
        /// The number of the plan that they carry out.
        plan: u32,
        /// The part of each agent, in the order of their names; `None` for one that has nothing to do.
        parts: Vec<Option<Ordered>>,
    },
    /// Agents stop before their time.
    Stop {
        /// Why.
        why: Stopping,
    },
    /// The result is there.
    End,
}

/// What an agent was ordered to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// Its part.
    pub shard: Shard,
    /// When it was to begin, in nanoseconds on its own clock.
    pub at_ns: u64,
    /// By how many nanoseconds that may miss the instant that was meant.
    pub bound_ns: u64,
}

/// Why a run is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopping {
    /// An agent was lost.
    Loss,
    /// Somebody asked for it.
    Request,
}

/// Keeps what a coordinator decides, in case it dies.
pub trait Keeper {
    /// Keeps this. It does not wait for that.
    fn keep(&mut self, decision: &Decision);
}
