//! Files of what was measured, to which a run adds lines every second.

use std::io;
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_core::stats::Measured;

/// How often lines are added.
const EVERY: Duration = Duration::from_secs(1);

/// A file that grows while a run lasts.
pub(super) trait Lines {
    /// Adds what was measured in an interval.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    fn interval(&mut self, interval: &Interval, measured: &Measured) -> io::Result<()>;

    /// Writes the rest, and gives the file its name.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    fn finish(self) -> io::Result<()>;
}

/// What has such a file written, until it is finished.
pub(super) struct Log<L>(Option<L>);

impl<L> Log<L> {
    pub fn of(lines: L) -> Log<L> {
        Log(Some(lines))
    }
}

impl<L: Lines> Observer for Log<L> {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let (Some(lines), Some(measured)) = (&mut self.0, interval.measured) else {
            return Ok(());
        };
        Ok(lines.interval(interval, measured)?)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), Lines::finish)?)
    }
}
