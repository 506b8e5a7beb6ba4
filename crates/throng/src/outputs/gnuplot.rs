//! Each request for gnuplot (`throng http -g`).

use super::output::{Occasion, Opened, Output, file};
use crate::Failure;
use crate::cli::OUTPUT;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::http::Requests;

/// How often requests are gathered.
const EVERY: Duration = Duration::from_secs(1);

/// Where requests are written.
#[derive(Clone, Default, Args)]
pub(crate) struct Gnuplot {
    /// Write each request to a file for gnuplot (TSV), the fastest first
    #[arg(short = 'g', long, value_name = "FILE", help_heading = OUTPUT)]
    gnuplot: Option<PathBuf>,
}

impl Output for Gnuplot {
    fn files(&self) -> Vec<Named> {
        file("-g", self.gnuplot.as_ref())
    }

    fn keeps_samples(&self) -> bool {
        self.gnuplot.is_some()
    }

    fn only_here(&self) -> Option<&'static str> {
        self.gnuplot.is_some().then_some("--gnuplot")
    }

    fn open(&self, _occasion: &Occasion) -> Opened {
        let Some(path) = &self.gnuplot else {
            return Ok(None);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let requests = Requests::to(path.clone(), now.unwrap_or_default())
            .map_err(|e| Failure::usage(format!("-g: {e}")))?;
        Ok(Some(Box::new(Gathered(Some(requests)))))
    }
}

/// The requests, until they are written.
struct Gathered(Option<Requests>);

impl Observer for Gathered {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        if let (Some(requests), Some(measured)) = (&mut self.0, interval.measured) {
            requests.add(&measured.samples);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), Requests::finish)?)
    }
}
