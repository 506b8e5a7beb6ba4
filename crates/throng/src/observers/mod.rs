//! The observers of the command line. Each is a file here and a line in [`of`].

mod gnuplot;
mod latency_log;
mod occasion;
mod samples;
mod statsd;
mod terminal;

pub(crate) use occasion::Occasion;

use crate::Failure;
use throng_core::observer::Observer;

/// The observers that were asked for.
pub(crate) fn of(occasion: &Occasion) -> Result<Vec<Box<dyn Observer>>, Failure> {
    let all = [
        terminal::open(occasion)?,
        statsd::open(occasion)?,
        latency_log::open(occasion)?,
        samples::open(occasion)?,
        gnuplot::open(occasion)?,
    ];
    Ok(all.into_iter().flatten().collect())
}
