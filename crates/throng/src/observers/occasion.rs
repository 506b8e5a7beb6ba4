//! What observers need to know of a run.

use crate::Failure;
use crate::ask::report::ReportOptions;
use throng_core::observer::Observer;
use throng_core::scenario::Measure;

/// What observers need to know of a run.
pub(crate) struct Occasion<'a> {
    /// How the run is reported.
    pub report: &'a ReportOptions,
    /// What the run measures.
    pub measure: &'a Measure,
    /// The scenario file of the run, as shown at the highest verbosity: without private keys.
    pub asked: String,
}

/// An observer; `None` if it was not asked for.
pub(super) type Asked = Result<Option<Box<dyn Observer>>, Failure>;
