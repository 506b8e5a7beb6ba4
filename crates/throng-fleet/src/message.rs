//! What coordinator and agents say to each other: plain data, one JSON object on a line.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use throng_core::plan::Beside;
use throng_core::record::{About, Phase, Record};
use throng_core::scenario::Percentile;
use throng_core::shard::Shard;
use throng_core::stats::{PackedDurations, Tally};

/// The version of the protocol. It grows when a message changes its meaning, is added or goes.
pub const VERSION: u32 = 3;

/// What an agent's lines on stderr begin with, where they are of its log: the coordinator is told all that matters by messages.
pub const LOGGED: &str = "agent: ";

/// The longest message to an agent, in bytes. The longest one has a scenario.
pub const MOST_TO_AGENT: usize = 8 << 20;
/// The longest message of an agent. The longest one has its record: 600 intervals with their histograms.
pub const MOST_FROM_AGENT: usize = 64 << 20;

/// A message to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToAgent {
    /// The run that it is about.
    pub run: String,
    /// What is wanted.
    pub order: Order,
}

/// A message of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FromAgent {
    /// The run that it is about.
    pub run: String,
    /// What it says.
    pub report: Report,
}

/// What a coordinator wants of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Order {
    /// The first message: the agent belongs to this run from now on.
    Hello {
        /// [`VERSION`] of the coordinator.
        version: u32,
        /// The agent's name in this run.
        agent: String,
        /// What an agent asks for that belongs to some people only.
        token: Option<String>,
    },
    /// What does the agent's clock say?
    Ping {
        /// Which question it is.
        number: u32,
    },
    /// Plan this.
    Plan(Box<Part>),
    /// Begin to open connections at this instant of the agent's clock, in nanoseconds.
    Start {
        /// The plan that is to be carried out.
        plan: u32,
        /// When.
        at_ns: u64,
    },
    /// Begin to hold connections at this instant of the agent's clock, in nanoseconds.
    Hold {
        /// When.
        at_ns: u64,
    },
    /// Stop, close, and report.
    Stop,
    /// The coordinator is still there.
    Beat,
    /// The record has arrived, and is to be kept until it is taken: the coordinator may die before there is a result.
    Received,
    /// The result of the run is there: the agent's work is done.
    Taken,
}

/// The part of a run that an agent is to plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which plan it is. A later one replaces those before.
    pub number: u32,
    /// The scenario of the whole run, as a scenario file.
    pub scenario: String,
    /// The agent's part of it.
    pub shard: Shard,
    /// Connections of agents that share limits with it.
    pub beside: Beside,
    /// Whether the time to connect is reported.
    pub connect_latency: bool,
    /// At which percentiles latencies are reported.
    pub percentiles: Vec<Percentile>,
    /// The most intervals that the agent's record is to have: those of all agents are in one record at the end.
    pub most_intervals: u32,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Report {
    /// The answer to the first message.
    Hello {
        /// [`VERSION`] of the agent.
        version: u32,
        /// The agent and its machine.
        facts: Facts,
    },
    /// It won't do what was ordered.
    Refused {
        /// Why: a line.
        line: String,
    },
    /// What its clock says.
    Pong {
        /// The question.
        number: u32,
        /// Nanoseconds on its clock.
        at_ns: u64,
    },
    /// It can run its part.
    Planned {
        /// The plan.
        number: u32,
        /// How many connections it could hold instead of those of its part; `None` if no limit is known.
        holds: Option<u64>,
    },
    /// Limits are too low for its part.
    Short {
        /// The plan.
        number: u32,
        /// How many connections they allow.
        holds: u64,
        /// The limits, each with its remedy: lines.
        limits: Vec<String>,
    },
    /// Its run has begun.
    Running {
        /// What it is.
        about: Box<About>,
        /// When its workers began to open connections, in nanoseconds on the agent's clock.
        began_ns: u64,
    },
    /// All its connections are established that will be: it waits for the others.
    Opened,
    /// What happened in an interval of its run.
    Interval(Box<Interval>),
    /// Its run is over.
    Done {
        /// What it left behind.
        record: Box<Record>,
    },
    /// Its run failed.
    Failed {
        /// Why: a line.
        line: String,
    },
    /// Something worth knowing.
    Note {
        /// A line.
        line: String,
    },
    /// It is still there.
    Beat,
}

impl Report {
    /// Whether it matters to a coordinator that follows another one, so that it is worth keeping. The others matter only at the moment.
    pub fn is_lasting(&self) -> bool {
        match self {
            Report::Hello { .. }
            | Report::Running { .. }
            | Report::Opened
            | Report::Interval(_)
            | Report::Done { .. }
            | Report::Failed { .. } => true,
            Report::Refused { .. }
            | Report::Pong { .. }
            | Report::Planned { .. }
            | Report::Short { .. }
            | Report::Note { .. }
            | Report::Beat => false,
        }
    }
}

/// An agent and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `throng` and its version.
    pub tool: String,
    /// The machine's name.
    pub host: String,
    /// What identifies the machine, as long as it is not started anew; empty if that could not be read.
    pub machine: String,
    /// What identifies the network namespace on it.
    pub network: String,
    /// The kernel's release.
    pub kernel: String,
    /// Cores that it may use.
    pub cores: u32,
}

/// An interval of an agent's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its number, from 0. Each begins where the one before ended.
    pub number: u32,
    /// When it began, in nanoseconds since the agent's run began.
    pub from_ns: u64,
    /// When it ended.
    pub to_ns: u64,
    /// What the run was doing at its end.
    pub phase: Phase,
    /// Nanoseconds until that ends by itself, if it is known.
    pub left_ns: Option<u64>,
    /// The counts of connections that it opened, since its run began.
    pub opened: Option<Tally>,
    /// The counts of those that it accepted.
    pub accepted: Option<Tally>,
    /// What was measured in it, by the names of [`Measured`](throng_core::stats::Measured).
    pub histograms: BTreeMap<String, PackedDurations>,
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is too long.
    #[error("a message has more than {0} bytes")]
    TooLong(usize),
    /// It is none of this version.
    #[error("not a message of the fleet's protocol, version {VERSION}: {0}")]
    Malformed(String),
}

/// The bytes of a message, without an end of line in them.
///
/// # Errors
/// It would be longer than `most` bytes.
pub fn encode(message: &impl Serialize, most: usize) -> Result<Vec<u8>, MessageError> {
    let bytes = serde_json::to_vec(message).map_err(|e| MessageError::Malformed(e.to_string()))?;
    match bytes.len() > most {
        true => Err(MessageError::TooLong(most)),
        false => Ok(bytes),
    }
}

/// The message that `bytes` are.
///
/// # Errors
/// They are too long, or none.
pub fn decode<M: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<M, MessageError> {
    if bytes.len() > most {
        return Err(MessageError::TooLong(most));
    }
    serde_json::from_slice(bytes).map_err(|e| MessageError::Malformed(e.to_string()))
}
