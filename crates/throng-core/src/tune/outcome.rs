//! What was done about the settings, and what came of it: plain data, drawn by throng-report.

use super::setting::{Setting, Status};
use crate::capacity::Role;
use serde::{Deserialize, Serialize};

/// The version of [`Report`]'s JSON.
pub const VERSION: u32 = 1;

/// What was asked to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Only look.
    Check,
    /// Set what is short.
    Apply,
    /// Put the old values back.
    Revert,
}

/// What became of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// It was changed (or, on revert, put back).
    Changed,
    /// It is as it should be already.
    AsItWas,
    /// It could not be changed; the detail says why.
    Failed,
    /// Somebody else has changed it since, and it was left alone.
    Foreign,
}

/// What became of a setting, a file or a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name: a sysctl, a path, `process 17`.
    pub what: String,
    /// What became of it.
    pub did: Did,
    /// From what to what, or why not, for people.
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
    /// For which role. On revert it does not matter.
    pub role: Option<Role>,
    /// For how many connections.
    pub connections: Option<u32>,
    /// The settings, as they were found before anything was done.
    pub settings: Vec<Setting>,
    /// What was done, in order.
    pub outcomes: Vec<Outcome>,
    /// The file that remembers the old values, if there is one now.
    pub state_file: Option<String>,
    /// Whether all is as it was asked to be; else the exit code is 1.
    pub ok: bool,
}

impl Report {
    /// Of a look that changed nothing.
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
