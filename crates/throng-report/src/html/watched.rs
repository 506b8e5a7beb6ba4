//! Charts of a watched system under test, on the time axis of the run.

use crate::chart::{Axis, Chart, Kind, Point, Unit};
use throng_core::record::{Record, Watched, WatchedReading};

/// The charts of each system that was watched.
pub(super) fn of(record: &Record) -> Vec<Chart> {
    let parts = record.sources.values();
    let watched = parts.filter_map(|part| {
        let watched = part.ending.as_ref()?.watched.as_deref()?;
        let name = match &part.about.agent {
            Some(agent) => format!("{agent}, {}", watched.name),
            None => watched.name.clone(),
        };
        (watched.readings.len() > 1).then_some((name, watched))
    });
    watched
        .flat_map(|(name, watched)| [memory(&name, watched), work(&name, watched)])
        .collect()
}

fn time() -> Axis {
    Axis::linear("time since the run began", Unit::Seconds)
}

fn each(watched: &Watched, of: impl Fn(&WatchedReading) -> Option<f64>) -> Vec<Point> {
    let readings = watched.readings.iter();
    readings
        .map(|reading| Point::new(reading.at.as_secs_f64(), of(reading)))
        .collect()
}

fn memory(name: &str, watched: &Watched) -> Chart {
    Chart::new(
        format!("Memory of {name}"),
        "Resident memory of its processes, the part of it that belongs to no file, and kernel memory of its sockets.",
        time(),
        Axis::linear("bytes", Unit::Bytes),
    )
    .with("resident", Kind::Line, each(watched, |r| Some(r.rss_bytes as f64)))
    .with("anonymous", Kind::Line, each(watched, |r| Some(r.anon_bytes as f64)))
    .with("kernel", Kind::Line, each(watched, |r| r.kernel_bytes.map(|n| n as f64)))
}

fn work(name: &str, watched: &Watched) -> Chart {
    let cores = |of: fn(&WatchedReading) -> f64| {
        let two = watched.readings.windows(2);
        two.map(|two| {
            let span = (two[1].at.saturating_sub(two[0].at)).as_secs_f64();
            let used = of(&two[1]) - of(&two[0]);
            Point::new(two[1].at.as_secs_f64(), (span > 0.0).then(|| used / span))
        })
        .collect::<Vec<_>>()
    };
    Chart::new(
        format!("CPU of {name}"),
        "Cores that its processes kept busy between two readings, in user mode and in the kernel.",
        time(),
        Axis::linear("cores", Unit::Number),
    )
    .with("user", Kind::Step, cores(|r| r.cpu_user.as_secs_f64()))
    .with("system", Kind::Step, cores(|r| r.cpu_system.as_secs_f64()))
}
