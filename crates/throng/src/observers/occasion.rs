//! What observers are opened for.

use crate::Failure;
use crate::ask::telling::Telling;
use throng_core::observer::Observer;
use throng_core::scenario::Measure;

/// What observers are opened for.
pub(crate) struct Occasion<'a> {
    /// What the command line says of telling.
    pub telling: &'a Telling,
    /// What the run measures.
    pub measure: &'a Measure,
    /// All that was asked, as shown at the highest verbosity.
    pub asked: String,
}

/// An observer, if it was asked for.
pub(super) type Asked = Result<Option<Box<dyn Observer>>, Failure>;
