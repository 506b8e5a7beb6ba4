//! What applying and reverting share: the system, and the outcomes so far.

use throng_core::tune::{Did, Outcome};

use super::system::System;
use crate::here::Here;

/// One `apply` or `revert` under way.
pub(super) struct Session<'a> {
    pub(super) system: &'a System,
    pub(super) here: Here,
    step: &'a mut dyn FnMut(),
    pub(super) outcomes: Vec<Outcome>,
}

impl<'a> Session<'a> {
    /// `step` is called before and after everything that changes the system or the state file. A test
    /// that panics in there is a kill at that instant.
    pub(super) fn on(system: &'a System, step: &'a mut dyn FnMut()) -> Session<'a> {
        Session {
            system,
            here: Here::read(),
            step,
            outcomes: Vec::new(),
        }
    }

    /// Adds the outcome for `what`. Returns whether its value is still throng's or somebody else's: then the old value
    /// must stay in the state file.
    pub(super) fn did(&mut self, what: &str, did: Did, detail: impl Into<String>) -> bool {
        self.outcomes.push(Outcome::new(what, did, detail));
        matches!(did, Did::Failed | Did::Foreign)
    }

    /// Takes one step that changes the system or the state file.
    pub(super) fn change<T>(&mut self, change: impl FnOnce() -> T) -> T {
        (self.step)();
        let result = change();
        (self.step)();
        result
    }

    /// The outcome of a revert for a value of another network namespace. With `force` it is forgotten.
    pub(super) fn elsewhere(&mut self, what: &str, namespace: &str, force: bool) -> bool {
        if force {
            let detail = format!("set in network namespace {namespace}: forgotten");
            return self.did(what, Did::AsItWas, detail);
        }
        let detail = format!(
            "set in network namespace {namespace}, but this is {}; revert there (nsenter -n), or, if that \
             namespace is gone, add --force to forget it",
            self.here.namespace
        );
        self.did(what, Did::Failed, detail)
    }
}

/// Longer values (lists of reserved ports) are cut where they are shown.
const LONGEST_SHOWN: usize = 80;

/// A value for people.
pub(super) fn shown(value: &str) -> String {
    match value.chars().count() {
        0 => "(empty)".into(),
        1..=LONGEST_SHOWN => value.into(),
        _ => value.chars().take(LONGEST_SHOWN).chain(['…']).collect(),
    }
}
