//! What one source recorded.

use super::{
    Asked, Ending, Environment, Interval, Intervals, IntervalsError, Reading, Role, churn,
    closed_by_agreement,
};
use crate::engine::Engine;
use crate::stats::{Durations, Measured, Tally};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The identity of a recording: one run of one process. No two runs have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source(String);

impl Source {
    /// The source of this name, which no other run has.
    pub fn new(name: impl Into<String>) -> Source {
        Source(name.into())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When an agent let its workers begin to open connections, by the clock of its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Nanoseconds after the instant at which all agents were to begin; negative if it was early.
    pub after_ns: i64,
    /// How wrong that may be, in nanoseconds: half of the shortest round trip by which the two clocks were compared.
    pub bound_ns: u64,
}

/// The description of a source, known when its run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// `throng` and its version.
    pub tool: String,
    /// The name of the agent that it was; `None` if it was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What identifies the machine of an agent, as long as that is not started anew: agents with the same share its cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// When an agent began, by the clock of its coordinator; `None` if it was none, or was lost before it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The command line; empty where there was none.
    pub command: Vec<String>,
    /// When the run began, in seconds since 1970 by the source's own clock.
    pub started_unix_s: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Cores that the process could use.
    pub cores: u32,
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads on each side.
    pub workers: u32,
    /// What was asked of it.
    pub asked: Asked,
    /// Its machine's settings that may matter.
    #[serde(default)]
    pub environment: Environment,
}

/// What one source recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The description of its source.
    #[serde(flatten)]
    pub about: About,
    /// The run, interval by interval.
    pub intervals: Intervals,
    /// What is known once the run is over; `None` if the source was lost before. On the heap: it has many counts, which would
    /// fill the stack of who reads it.
    pub ending: Option<Box<Ending>>,
}

/// Why two parts are not of the same source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// They describe different runs.
    #[error("two different runs have its name")]
    About,
    /// An interval of it differs.
    #[error(transparent)]
    Intervals(#[from] IntervalsError),
    /// Their endings differ.
    #[error("it ended in two different ways")]
    Ending,
}

impl Part {
    /// Adds what `other`, another part of the same source, has in addition.
    ///
    /// # Errors
    /// They contradict each other.
    pub(super) fn merge(&mut self, other: Part) -> Result<(), PartError> {
        if self.about != other.about {
            return Err(PartError::About);
        }
        self.intervals.merge(other.intervals)?;
        match (&self.ending, other.ending) {
            (Some(ours), Some(theirs)) if *ours != theirs => Err(PartError::Ending),
            (Some(_), _) => Ok(()),
            (None, theirs) => {
                self.ending = theirs;
                Ok(())
            }
        }
    }

    /// Whether connections were closed and opened again as was asked, or as the protocol allows, so that some may be missing at
    /// any instant.
    pub(crate) fn renews(&self) -> bool {
        let asked = &self.about.asked;
        asked.lifetime || closed_by_agreement(asked.protocol, &self.opened()) > 0
    }

    /// Whether connections come and go all the time, as the protocol allows: as many have been closed by agreement as were
    /// asked for. How many of them are open at an instant says nothing then.
    pub(crate) fn churns(&self) -> bool {
        let asked = &self.about.asked;
        churn(
            asked.protocol,
            asked.connections.unwrap_or(0),
            &self.opened(),
        )
    }

    /// Whether the connections that it accepts are what it is about.
    pub fn is_about_accepted(&self) -> bool {
        let asked = &self.about.asked;
        matches!(asked.role, Role::Serve | Role::Proxy) || asked.connections == Some(0)
    }

    /// The reading of `interval` that the run is about.
    pub fn subject<'i>(&self, interval: &'i Interval) -> Option<&'i Reading> {
        match self.is_about_accepted() {
            true => interval.accepted.as_ref(),
            false => interval.opened.as_ref(),
        }
    }

    /// What was counted on connections that it opened, until the run was over.
    pub fn opened(&self) -> Tally {
        match &self.ending {
            Some(ending) => ending.over.opened,
            None => self.counted(|i| i.opened.as_ref()).unwrap_or_default(),
        }
    }

    /// What was counted on connections that it accepted; `None` if it accepts none.
    pub fn accepted(&self) -> Option<Tally> {
        match &self.ending {
            Some(ending) => ending.over.accepted,
            None => self.counted(|i| i.accepted.as_ref()),
        }
    }

    fn counted(&self, side: impl Fn(&Interval) -> Option<&Reading>) -> Option<Tally> {
        let counts = self.intervals.iter().filter_map(side);
        counts.map(|r| r.counts).reduce(|a, b| a + b)
    }

    /// When the run was over, since it began; of a lost source, when it was last heard of.
    pub fn over(&self) -> Duration {
        let last = || self.intervals.iter().next_back().map(|i| i.to);
        let ending = self.ending.as_ref().map(|e| e.over.at);
        ending.or_else(last).unwrap_or_default()
    }

    /// The most of its connections that were open at once, as far as it is known.
    pub fn peak(&self) -> u64 {
        let readings = self.intervals.iter().filter_map(|i| self.subject(i));
        let seen = readings.map(|r| r.open).max().unwrap_or(0);
        self.ending.as_ref().map_or(seen, |e| e.peak)
    }

    /// Adds what it measured to `measured`. For a source that was lost, that is what its intervals have.
    pub fn add_measured_to(&self, measured: &mut Measured) {
        let mut add = |name: &str, durations: &Durations| {
            if let Some(all) = measured.by_name(name) {
                all.merge(durations);
            }
        };
        match &self.ending {
            Some(ending) => {
                for (name, packed) in &ending.histograms {
                    add(name, &packed.unpack());
                }
            }
            None => {
                let all = self.intervals.iter().flat_map(|i| &i.histograms);
                for (name, packed) in all {
                    add(name, &packed.unpack());
                }
            }
        }
    }
}
