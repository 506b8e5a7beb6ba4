//! Finds the smallest window over which connections have to come back so that the server takes all of them without a drop.
//!
//! A window *holds* if in [`REPEATS`] storms in a row all connections came back, and nothing was refused, dropped, timed out or
//! tried again. The first window is none: all come back at once. Then windows double until one holds, and the range between the
//! largest that did not and the smallest that did is halved (in its logarithm) until they are [`TOLERANCE`] apart. What was
//! found is confirmed by as many further storms; if one of these is not clean, the search goes on upwards in small steps.

use crate::record::Storm;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Storms in a row that have to be clean.
pub const REPEATS: u32 = 3;
/// The ratio of the smallest window that holds to the largest that does not, less 1.
pub const TOLERANCE: f64 = 0.1;
/// The first window above none, which is also as finely as windows are told.
const FIRST: Duration = Duration::from_millis(50);
/// The largest window that is tried.
const MOST: Duration = Duration::from_secs(600);

/// What came of a storm whose connections came back over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowTrial {
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// Attempts to connect that failed.
    pub failed: u64,
    /// SYNs and last segments of handshakes that listeners in this network namespace dropped.
    pub syns_dropped: u64,
    /// Connections that were established only after their SYN was sent again.
    pub syns_retried: u64,
    /// Connections that were lost again.
    pub lost_again: u64,
    /// Connections that were missing when the storm was given up; 0 if all came back.
    pub missing: u64,
}

impl WindowTrial {
    /// What came of `storm`, after which connections came back over `window`.
    pub fn of(window: Duration, storm: &Storm) -> WindowTrial {
        let counts = &storm.counts;
        WindowTrial {
            window_ms: window.as_millis() as u64,
            failed: counts.failed_in_all(),
            syns_dropped: storm.syns_dropped.unwrap_or(0),
            syns_retried: counts.syns_again,
            lost_again: storm.lost().saturating_sub(counts.dropped),
            missing: storm.missing,
        }
    }

    /// Whether the server took all connections without a drop.
    pub fn is_clean(&self) -> bool {
        let trouble = self.failed + self.syns_dropped + self.syns_retried;
        trouble + self.lost_again + self.missing == 0
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowEnding {
    /// The smallest window that holds was found, and confirmed.
    Found,
    /// The server takes all connections at once.
    NoneNeeded,
    /// No window held, up to the largest.
    NoneHeld,
    /// After a storm not all connections came back.
    NotRecovered,
    /// The time was over before.
    #[default]
    Unfinished,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowFound {
    /// How it ended.
    pub ending: WindowEnding,
    /// The smallest window that held, in milliseconds; 0 is none. `None` if none did.
    pub held_ms: Option<u64>,
    /// The largest smaller one that did not; `None` if there is none.
    pub broke_ms: Option<u64>,
    /// All storms, in the order of time.
    pub trials: Vec<WindowTrial>,
}

/// The search. It is asked for the window of the next storm, and told what came of it.
#[derive(Debug, Default)]
pub struct WindowSearch {
    /// The first window, and the smallest that is tried, in milliseconds.
    least: u64,
    /// The largest window that was not clean.
    broke: Option<u64>,
    /// The smallest that held.
    held: Option<u64>,
    /// The present one.
    window: u64,
    /// Clean storms of it in a row.
    clean: u32,
    /// Whether what was found is being confirmed.
    confirms: bool,
    /// Whether a window held before that was not confirmed.
    is_near: bool,
    ending: Option<WindowEnding>,
    trials: Vec<WindowTrial>,
}

impl WindowSearch {
    /// A search that tries no window below this.
    pub fn from(least: Duration) -> WindowSearch {
        let least = least.as_millis() as u64;
        WindowSearch {
            least,
            window: least,
            ..WindowSearch::default()
        }
    }

    /// The window of the next storm; `None` once the search is over.
    pub fn next(&self) -> Option<Duration> {
        (self.ending.is_none()).then(|| Duration::from_millis(self.window))
    }

    /// What came of a storm with the window that [`next`](WindowSearch::next) says.
    pub fn tried(&mut self, trial: WindowTrial) {
        self.trials.push(trial);
        if trial.missing > 0 {
            self.ending = Some(WindowEnding::NotRecovered);
        } else if !trial.is_clean() {
            self.broke = self.broke.max(Some(self.window));
            self.is_near |= self.confirms;
            if self.held == Some(self.window) {
                self.held = None;
            }
            self.go_on();
        } else {
            self.clean += 1;
            if self.clean == REPEATS {
                self.held_so_far();
            }
        }
    }

    /// The present window held.
    fn held_so_far(&mut self) {
        self.held = Some(self.window);
        match (self.window, self.confirms) {
            (least, _) if least == self.least => self.ending = Some(WindowEnding::NoneNeeded),
            (_, true) => self.ending = Some(WindowEnding::Found),
            (_, false) => self.go_on(),
        }
    }

    /// Chooses the next window.
    fn go_on(&mut self) {
        self.clean = 0;
        self.confirms = false;
        let broke = self.broke.unwrap_or(0);
        match self.held {
            None => {
                let next = match self.is_near {
                    true => (broke as f64 * (1.0 + TOLERANCE)).ceil() as u64,
                    false => broke * 2,
                };
                self.window = next.max(FIRST.as_millis() as u64);
                if u128::from(self.window) > MOST.as_millis() {
                    self.ending = Some(WindowEnding::NoneHeld);
                }
            }
            Some(held) => {
                let near = held as f64 <= broke as f64 * (1.0 + TOLERANCE);
                let between = (broke.max(1) as f64 * held as f64).sqrt().round() as u64;
                if near || held <= FIRST.as_millis() as u64 || between <= broke || between >= held {
                    self.window = held;
                    self.confirms = true;
                } else {
                    self.window = between;
                }
            }
        }
    }

    /// What was found, so far.
    pub fn found(self) -> WindowFound {
        WindowFound {
            ending: self.ending.unwrap_or_default(),
            held_ms: self.held,
            broke_ms: self.broke,
            trials: self.trials,
        }
    }
}

#[cfg(test)]
mod tests;
