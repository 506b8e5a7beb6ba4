//! What was done about the settings, with the outcome: plain data, drawn by throng-report.

use super::setting::{Setting, Status};
use crate::capacity::Role;
use serde::{Deserialize, Serialize};

/// The version of the JSON form of [`Report`].
pub const VERSION: u32 = 1;

/// What was asked to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Only check.
    Check,
    /// Raise what is insufficient.
    Apply,
    /// Restore the old values.
    Revert,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// It was changed (or, on revert, restored).
    Changed,
    /// It was right already.
    AsItWas,
    /// It could not be changed; the detail says why.
    Failed,
    /// Another program has changed it since, so it was left alone.
    Foreign,
}

/// The outcome for a setting, a file or a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name: a sysctl, a path, `process 17`.
    pub what: String,
    /// The outcome.
    pub did: Did,
    /// The old and new value, or the reason, for people.
    pub detail: String,
}

impl Outcome {
    /// A line of the report.
    pub fn new(what: impl Into<String>, did: Did, detail: impl Into<String>) -> Outcome {
        Outcome {
            what: what.into(),
            did,
            detail: detail.into(),
        }
    }
}

/// What `throng tune` found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// What was asked to be done.
    pub action: Action,
    /// The role; `None` on revert.
    pub role: Option<Role>,
    /// The number of connections; `None` on revert.
    pub connections: Option<u32>,
    /// The settings, as found before any change.
    pub settings: Vec<Setting>,
    /// What was done, in order.
    pub outcomes: Vec<Outcome>,
    /// The file with the old values, if there is one now.
    pub state_file: Option<String>,
    /// Whether all settings are as asked for. Otherwise the exit code is 1.
    pub ok: bool,
}

impl Report {
    /// The report of a check, which changes nothing.
    pub fn check(role: Role, connections: u32, settings: Vec<Setting>) -> Report {
        let wrong = |s: &Setting| matches!(s.status, Status::Short | Status::Unread);
        Report {
            version: VERSION,
            action: Action::Check,
            role: Some(role),
            connections: Some(connections),
            ok: !settings.iter().any(wrong),
            settings,
            outcomes: Vec::new(),
            state_file: None,
        }
    }
}
