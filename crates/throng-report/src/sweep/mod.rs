//! The result of a sweep: a table with the knee of each curve for people, and a line per trial for plotting. The JSON is the
//! result itself.

mod csv;
mod findings;
mod table;
#[cfg(test)]
mod tests;

pub use csv::write_csv;
pub(crate) use findings::best;
pub(crate) use table::verdict;
pub use table::write_text;

use crate::html::embed;
use crate::human;
use throng_core::expect::Metric;
use throng_core::experiment::sweep::{Plan, SweepResult, Trial, VERSION};

/// The result of a sweep in `bytes`: its JSON, or its page. `None` if that is something else, or of another version.
pub fn read(bytes: &[u8]) -> Option<SweepResult> {
    let json = match embed::is_page(bytes) {
        true => embed::found(embed::Kind::Sweep, bytes).next()?,
        false => bytes,
    };
    let result: SweepResult = serde_json::from_slice(json).ok()?;
    (result.version == VERSION).then_some(result)
}

/// What a trial measured, in a few words: `12.3k/s, p99 4.10 ms`.
pub fn measured(plan: &Plan, trial: &Trial) -> String {
    let Some(measured) = &trial.measured else {
        return format!(
            "no result: {}",
            trial.reason.as_deref().unwrap_or("unknown")
        );
    };
    let mut parts = vec![match measured.throughput {
        Some(value) => amount(&plan.metric, value),
        None => format!("{} unknown", plan.metric),
    }];
    if let Some(us) = measured.p99_us {
        let bound = if measured.p99_at_least { "> " } else { "" };
        parts.push(format!("p99 {bound}{}", human::micros(us)));
    }
    if measured.failed > 0 {
        parts.push(format!("{} failed", human::count(measured.failed)));
    }
    if measured.client_bottleneck.is_some() {
        parts.push("the client was the bottleneck".into());
    }
    if let Some(reason) = &trial.reason {
        parts.push(format!("fell short: {reason}"));
    }
    parts.join(", ")
}

/// A value of a metric, with its unit.
fn amount(metric: &Metric, value: f64) -> String {
    metric.unit().text(value)
}
