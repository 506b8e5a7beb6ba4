//! The result of a load over HTTP in the forms of other programs: the lines of [ab](write_ab), [wrk](write_wrk) and
//! [hey](write_hey), an [HTML table](Html), [percentiles as CSV](write_percentiles) and [single requests](Requests) for gnuplot.
//!
//! Labels, spacing and units are those of the programs, since scripts look for them. Counts are throng's: a failed request is
//! never a complete one.

mod ab;
mod hey;
mod html;
mod requests;
mod wrk;

pub use ab::{AbStyle, write_ab};
pub use hey::write_hey;
pub use html::Html;
pub use requests::Requests;
pub use wrk::write_wrk;

use crate::json::Outcome;
use std::io::{self, Write};
use std::time::Duration;
use throng_core::protocol::http::{Failed, HttpSummary, Status};
use throng_core::stats::{Durations, Measured};
use throng_core::summary::Summary;

/// What these forms need to know of a run.
pub struct HttpResult<'a> {
    summary: &'a Summary,
    http: HttpSummary,
    /// From the beginning of the run to the last answer, in seconds.
    seconds: f64,
    measured: Measured,
}

impl<'a> HttpResult<'a> {
    /// The result of `outcome`.
    pub fn of(outcome: &'a Outcome) -> HttpResult<'a> {
        let mut measured = Measured::default();
        let mut seconds = 0.0_f64;
        for part in outcome.record.sources.values() {
            part.add_measured_to(&mut measured);
            let held = part.ending.as_ref().and_then(|ending| ending.held);
            seconds = seconds.max(held.map_or(part.over(), |mark| mark.at).as_secs_f64());
        }
        HttpResult {
            summary: &outcome.summary,
            http: outcome.summary.protocols.http.clone().unwrap_or_default(),
            seconds,
            measured,
        }
    }

    /// Whether as many requests were completed as were asked for; if there is only a time, whether any were.
    pub fn is_complete(&self) -> bool {
        match &self.summary.requests {
            Some(requests) => self.http.completed == requests.asked,
            None => self.completes_any(),
        }
    }

    /// Whether any request was completed.
    pub fn completes_any(&self) -> bool {
        self.http.completed > 0
    }

    /// How long answers took: from when they were due, if they were due at times.
    fn took(&self) -> &Durations {
        match self.measured.response.count() {
            0 => &self.measured.service,
            _ => &self.measured.response,
        }
    }

    /// Requests that failed in one of these ways.
    fn failed(&self, ways: &[Failed]) -> u64 {
        let counts = ways.iter().filter_map(|way| self.http.failed.get(way));
        counts.sum()
    }

    /// Requests that failed.
    fn failed_in_all(&self) -> u64 {
        self.http.failed.values().sum()
    }

    /// Attempts to connect that failed.
    fn unconnected(&self) -> u64 {
        self.summary.connections.failed.values().sum()
    }

    /// Answers whose status is of none of these classes.
    fn outside(&self, classes: &[char]) -> u64 {
        let other = |status: &&Status| !status.name().starts_with(classes);
        let statuses = self.http.status.iter();
        statuses
            .filter(|(status, _)| other(status))
            .map(|(_, n)| n)
            .sum()
    }

    fn per_s(&self, n: u64) -> f64 {
        match self.seconds > 0.0 {
            true => n as f64 / self.seconds,
            false => 0.0,
        }
    }
}

/// Mean, standard deviation, and the others as they are.
struct Spread {
    min: Duration,
    mean: Duration,
    deviation: Duration,
    median: Duration,
    max: Duration,
}

impl Spread {
    /// The spread of `all`; all zero if it is empty.
    fn of(all: &Durations) -> Spread {
        let at = |percent| all.percentile(percent).unwrap_or_default();
        let mean = all.mean().unwrap_or_default();
        let squares = all.values().map(|(took, n)| {
            let off = took.as_secs_f64() - mean.as_secs_f64();
            off * off * n as f64
        });
        let others = all.count().saturating_sub(1).max(1) as f64;
        Spread {
            min: all.min().unwrap_or_default(),
            mean,
            deviation: Duration::from_secs_f64((squares.sum::<f64>() / others).sqrt()),
            median: at(50.0),
            max: at(100.0),
        }
    }
}

/// Milliseconds.
fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Writes how long each percentage of the requests took, in milliseconds, as CSV.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_percentiles(result: &HttpResult, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Percentage served,Time in ms")?;
    let took = result.took();
    for percent in 0..=100 {
        let at = took.percentile(f64::from(percent)).unwrap_or_default();
        writeln!(out, "{percent},{:.3}", ms(at))?;
    }
    Ok(())
}
