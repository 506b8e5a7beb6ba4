//! What all results of probes have.

use super::finding::Finding;
use crate::section::Section;
use serde::Serialize;

/// The version of the results in JSON. It grows when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// What each result begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    version: u32,
    probe: &'static str,
    /// Whether it was measured: a probe that was not says why in its findings.
    pub measured: bool,
    /// What is worth knowing about it.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// The outcome of the probe of this name.
    pub fn new(probe: &'static str, measured: bool, findings: Vec<Finding>) -> Outcome {
        Outcome {
            version: VERSION,
            probe,
            measured,
            findings,
        }
    }
}

/// What a probe found out, as reports draw it.
pub trait Probed: Serialize {
    /// Whether it was measured, and what is worth knowing about it.
    fn outcome(&self) -> &Outcome;
    /// What was measured, as rows.
    fn sections(&self) -> Vec<Section>;
}
