//! Records: what a run leaves behind, as plain data that can be written to a file, sent to another machine, and merged.
//!
//! A [`Record`] has a [`Part`] for each [`Source`], which is one run of one process. A part has what the run was asked
//! for, its [`Interval`]s, and its [`Ending`]. No value in it is a sum over sources: only
//! [`summary::of`](crate::summary::of) sums up, and a record stays what was observed. Merging is therefore safe: the
//! same interval of the same source counts once, however often it is merged.
//!
//! [`Record::merge`] is associative, commutative and idempotent. Intervals of a source that are within a wider one are
//! dropped, since the wider one counts them. A [`Recorder`] joins neighbours when there are many; merging never does.
//!
//! Values at an instant (open connections, a peak) are kept for each source and never added up across instants.

mod asked;
mod at_once;
mod ending;
mod environment;
mod interval;
mod intervals;
mod kept;
#[cfg(test)]
mod laws;
mod nanos;
mod part;
mod phase;
mod rate_change;
mod recorder;
mod search;
mod server;
mod storm;
mod strain;
mod watched;

pub(crate) use asked::closed_by_agreement;
pub use asked::{
    Asked, AskedExchanges, AskedLatencies, AskedRate, MessagesBy, RateOf, Role, churn,
};
pub use at_once::most_at_once;
pub use ending::{Ending, Mark, Used};
pub use environment::Environment;
pub use interval::{Interval, Reading};
pub use intervals::{Intervals, IntervalsError, MAX_INTERVALS};
pub use kept::Gathered;
pub use part::{About, Part, PartError, Source, Start};
pub use phase::Phase;
pub use rate_change::RateChange;
pub use recorder::Recorder;
pub use search::SearchSummary;
pub use server::{ServerEnded, ServerFiles, ServerMemory, ServerUsed};
pub use storm::{Storm, StormPoint, losses};
pub use strain::{Span, Strain, WorkerTime};
pub use watched::{
    GAUGES, Gauge, GaugeUnit, MAX_READINGS, MemoryLeft, Thinning, Watched, WatchedEnd,
    WatchedReading,
};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// The version of the JSON form of a record, and of the summary that carries it. It grows when a field changes its
/// meaning or goes; new fields alone do not change it.
pub const VERSION: u32 = 2;

/// The length of a base interval.
pub const BASE: Duration = Duration::from_secs(1);

/// What a run, or several merged, left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// What each source recorded.
    pub sources: BTreeMap<Source, Part>,
}

/// Why two records can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// One is of another version.
    #[error("a record of version {0}, and this throng merges version {VERSION}")]
    Version(u32),
    /// Both have the same source, with different content.
    #[error("they contradict each other about {about}: {why}")]
    Conflict {
        /// The source.
        about: Source,
        /// What differs.
        why: PartError,
    },
}

impl Record {
    /// The record of one source.
    pub fn of(source: Source, part: Part) -> Record {
        Record {
            version: VERSION,
            sources: BTreeMap::from([(source, part)]),
        }
    }

    /// Merges `other` into this record. Sources add up; what both have counts once.
    ///
    /// # Errors
    /// One is of another version, or they contradict each other.
    pub fn merge(mut self, other: Record) -> Result<Record, MergeError> {
        for record in [&self, &other] {
            if record.version != VERSION {
                return Err(MergeError::Version(record.version));
            }
        }
        for (source, theirs) in other.sources {
            match self.sources.entry(source) {
                Entry::Occupied(mut ours) => {
                    let merged = ours.get_mut().merge(theirs);
                    merged.map_err(|why| MergeError::Conflict {
                        about: ours.key().clone(),
                        why,
                    })?;
                }
                Entry::Vacant(place) => {
                    place.insert(theirs);
                }
            }
        }
        Ok(self)
    }

    /// The same with the command line that its sources were started by.
    pub fn with_command(mut self, command: Vec<String>) -> Record {
        for part in self.sources.values_mut() {
            part.about.command = command.clone();
        }
        self
    }

    /// Whether the command line is known that its sources were started by.
    pub fn has_command(&self) -> bool {
        self.sources
            .values()
            .any(|part| !part.about.command.is_empty())
    }

    /// The only part, if it is of one source.
    pub fn single(&self) -> Option<&Part> {
        let mut parts = self.sources.values();
        parts.next().filter(|_| parts.next().is_none())
    }

    /// When the first source began, in seconds since 1970; 0 for a record of nothing.
    pub fn started_unix_s(&self) -> f64 {
        let started = self.sources.values().map(|p| p.about.started_unix_s);
        started.reduce(f64::min).unwrap_or(0.0)
    }
}
