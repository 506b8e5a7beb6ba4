//! Who watches a run from the command line. An observer is a file here and a line in [`of`].

mod latency_log;
mod samples;
mod statsd;
mod terminal;

use crate::Failure;
use crate::voice::Voice;
use throng_core::observer::Observer;
use throng_core::scenario::Options;

/// What the command line says of telling.
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
type Asked = Result<Option<Box<dyn Observer>>, Failure>;

/// The observers that were asked for.
pub(crate) fn of(telling: &Telling) -> Result<Vec<Box<dyn Observer>>, Failure> {
    let all = [
        terminal::open(telling)?,
        statsd::open(telling)?,
        latency_log::open(telling)?,
        samples::open(telling)?,
    ];
    Ok(all.into_iter().flatten().collect())
}
