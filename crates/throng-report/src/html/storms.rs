//! Charts of storms: how connections that were lost together came back.

use crate::chart::{Axis, Chart, Kind, Point, Unit};
use crate::human;
use throng_core::summary::{StormSample, StormSummary, Summary};

/// Storms that have charts, at most.
const MOST: usize = 3;

/// The charts of the first storms.
pub(super) fn of(summary: &Summary) -> Vec<Chart> {
    let storms = summary.storms.iter().take(MOST);
    storms
        .flat_map(|storm| [held(storm), rates(storm)])
        .collect()
}

fn time() -> Axis {
    Axis::linear("time since the storm began", Unit::Seconds)
}

fn title(what: &str, storm: &StormSummary) -> String {
    format!("Storm at {}: {what}", human::seconds(storm.at_s))
}

fn held(storm: &StormSummary) -> Chart {
    let began = Point::new(0.0, Some(storm.before as f64));
    let later = storm.over_time.iter();
    let later = later.map(|sample| Point::new(sample.at_s, Some(sample.held as f64)));
    Chart::new(
        title("connections held", storm),
        "Connections that could carry messages at each instant, from the first loss on.",
        time(),
        Axis::linear("connections", Unit::Count),
    )
    .with("held", Kind::Line, std::iter::once(began).chain(later))
}

fn rates(storm: &StormSummary) -> Chart {
    let per_s = |of: fn(&StormSample) -> u64| {
        let mut begun = 0.0;
        storm.over_time.iter().map(move |sample| {
            let took = sample.at_s - std::mem::replace(&mut begun, sample.at_s);
            Point::new(sample.at_s, (took > 0.0).then(|| of(sample) as f64 / took))
        })
    };
    let chart = Chart::new(
        title("coming back", storm),
        "Connections that were established, and attempts that failed, in each stretch, per second.",
        time(),
        Axis::linear("per second", Unit::PerSecond),
    )
    .with(
        "established",
        Kind::Area,
        per_s(|sample| sample.established),
    );
    match storm.failed.is_empty() {
        true => chart,
        false => chart.with("failed", Kind::Step, per_s(|sample| sample.failed)),
    }
}
