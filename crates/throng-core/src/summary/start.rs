//! How much in step the agents of a fleet began.

use crate::record::Part;
use serde::{Deserialize, Serialize};

/// When the agents of a fleet let their workers begin to open connections, by the clock of their coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartSpread {
    /// Agents of which that is known.
    pub agents: u64,
    /// When the first one began, in microseconds after the instant that was ordered; negative if it was early.
    pub first_us: f64,
    /// When the last one did.
    pub last_us: f64,
    /// From the first to the last, in microseconds.
    pub spread_us: f64,
    /// How wrong each of these instants may be, in microseconds: the clocks of all agents were compared to within this. The
    /// spread may be wrong by twice as much.
    pub bound_us: f64,
}

impl StartSpread {
    /// That of the agents among `parts`; `None` if it is known of fewer than two.
    pub(super) fn of(parts: &[&Part]) -> Option<StartSpread> {
        let starts = || parts.iter().filter_map(|part| part.about.start);
        let agents = starts().count() as u64;
        if agents < 2 {
            return None;
        }
        let first = starts().map(|start| start.after_ns).min()?;
        let last = starts().map(|start| start.after_ns).max()?;
        let bound = starts().map(|start| start.bound_ns).max()?;
        let us = |ns: i64| ns as f64 / 1e3;
        Some(StartSpread {
            agents,
            first_us: us(first),
            last_us: us(last),
            spread_us: us(last.saturating_sub(first)),
            bound_us: bound as f64 / 1e3,
        })
    }
}
