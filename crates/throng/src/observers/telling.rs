//! What the command line says of telling.

use crate::Failure;
use crate::voice::Voice;
use throng_core::observer::Observer;
use throng_core::scenario::Options;

/// Who is to be told of a run, and how.
pub(crate) struct Telling<'a> {
    /// Who speaks.
    pub voice: &'static dyn Voice,
    /// Whether progress is not to be shown.
    pub quiet: bool,
    /// What the run does, and the files and servers that are to know of it.
    pub options: &'a Options,
    /// All that was asked, as shown at the highest verbosity.
    pub asked: String,
}

/// An observer, if it was asked for.
pub(super) type Asked = Result<Option<Box<dyn Observer>>, Failure>;
