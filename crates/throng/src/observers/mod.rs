//! Who watches a run from the command line. An observer is a file here and a line in [`of`].

mod latency_log;
mod samples;
mod statsd;
mod telling;
mod terminal;

pub(crate) use telling::Telling;

use crate::Failure;
use throng_core::observer::Observer;

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
