//! The metrics of a run while it lasts, as plain data: names, kinds, units and values, from which Prometheus' text and
//! OpenTelemetry's messages are drawn. Counts and latencies come from the tables that define them, so one that is added
//! there is a metric, too.

mod buckets;
mod exponential;

pub use buckets::Buckets;
pub use exponential::{Exponential, SCALE};

use crate::expect::Latency;
use crate::observer::{Counts, Interval};
use crate::record::{GAUGES, GaugeUnit, Phase, WatchedReading};
use crate::stats::{Counted, Tally};
use std::collections::BTreeSet;

/// A metric with all its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name: words in lower case, joined by underscores, without a unit.
    pub name: String,
    /// What it is, in a sentence.
    pub help: String,
    /// How its values behave.
    pub kind: Kind,
    /// What they are in.
    pub unit: Unit,
    /// Its values, each with labels of its own.
    pub points: Vec<Point>,
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They count what happened since the run began, and never fall.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are distributions of what happened since the run began.
    Histogram,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// None: a number of things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What distinguishes it from the others of its metric.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Real(f64),
    /// A distribution.
    Distribution(Buckets),
}

/// Counts whose metric has another name, or a unit.
const RENAMED: [(&str, &str, Unit); 9] = [
    ("attempted", "connections_attempted", Unit::None),
    ("established", "connections_established", Unit::None),
    ("accepted", "connections_accepted", Unit::None),
    ("failed", "connections_failed", Unit::None),
    ("closed", "connections_closed", Unit::None),
    ("ready", "connections_ready", Unit::None),
    ("unready", "connections_unready", Unit::None),
    ("bytes_sent", "sent", Unit::Bytes),
    ("bytes_received", "received", Unit::Bytes),
];

/// The metrics of a run, interval by interval.
#[derive(Debug)]
pub struct Metrics {
    /// What the program is, and what its run does.
    info: Vec<(&'static str, String)>,
    latencies: Vec<(Latency, Buckets)>,
}

impl Metrics {
    /// The metrics of a run that measures `latencies`. `info` says what the run is, in labels.
    pub fn of(latencies: &[Latency], info: Vec<(&'static str, String)>) -> Metrics {
        let empty = |latency: &Latency| (*latency, Buckets::default());
        Metrics {
            info,
            latencies: latencies.iter().map(empty).collect(),
        }
    }

    /// All metrics at the end of `interval`, with what was measured in all intervals so far.
    pub fn after(&mut self, interval: &Interval) -> Vec<Metric> {
        if let Some(measured) = interval.measured {
            for (latency, buckets) in &mut self.latencies {
                let named = measured.named().find(|(name, _)| *name == latency.name);
                if let Some((_, durations)) = named {
                    buckets.add(durations);
                }
            }
        }
        let mut all = self.gauges(interval);
        all.extend(interval.watched.iter().flat_map(watched));
        all.extend(counters(interval));
        all.extend(self.latencies.iter().map(|(latency, buckets)| Metric {
            name: latency.name.to_owned(),
            help: sentence(latency.help),
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            points: vec![Point::of(Value::Distribution(buckets.clone()))],
        }));
        all
    }

    /// What the run is: all that there is before its first interval.
    pub fn info(&self) -> Metric {
        let run = Point {
            labels: self.info.clone(),
            value: Value::Whole(1),
        };
        gauge("run_info", "What the run is.", vec![run])
    }

    fn gauges(&self, interval: &Interval) -> Vec<Metric> {
        let phases = Phase::ALL.iter().map(|phase| Point {
            labels: vec![("phase", phase.name().to_owned())],
            value: Value::Whole(u64::from(*phase == interval.phase)),
        });
        let sides = |of: fn(&Tally) -> u64| -> Vec<Point> {
            let point = |(side, counts): (_, Counts)| Point::on(side, of(&counts.now));
            both(interval).map(point).collect()
        };
        let whole = |n: u64| vec![Point::of(Value::Whole(n))];
        let number = |n: f64| vec![Point::of(Value::Real(n))];
        let mut all = vec![
            self.info(),
            gauge(
                "phase",
                "1 for the phase that the run is in.",
                phases.collect(),
            ),
            Metric {
                unit: Unit::Seconds,
                ..gauge(
                    "elapsed",
                    "Time since the run began.",
                    number(interval.to.as_secs_f64()),
                )
            },
            gauge(
                "connections_open",
                "Established connections.",
                sides(Tally::open),
            ),
            gauge(
                "connections_peak",
                "The most connections at once so far.",
                whole(interval.peak),
            ),
            gauge(
                "attempts_in_flight",
                "Attempts to connect that have neither succeeded nor failed yet.",
                whole(interval.opened.map_or(0, |counts| counts.now.in_flight())),
            ),
            gauge(
                "messages_waiting",
                "Messages that wait for their answer.",
                sides(Tally::waiting),
            ),
        ];
        if let Some(asked) = interval.asked {
            let help = "Connections asked for.";
            all.push(gauge("connections_asked", help, whole(asked)));
        }
        if let Some(rate) = interval.dialled_per_s {
            let help = "Messages per second that are asked for, over all connections.";
            all.push(gauge("message_rate_asked", help, number(rate)));
        }
        all
    }
}

impl Point {
    fn of(value: Value) -> Point {
        Point {
            labels: Vec::new(),
            value,
        }
    }

    fn on(side: &'static str, n: u64) -> Point {
        Point {
            labels: vec![("side", side.to_owned())],
            value: Value::Whole(n),
        }
    }
}

fn gauge(name: &str, help: &str, points: Vec<Point>) -> Metric {
    Metric {
        name: name.to_owned(),
        help: help.to_owned(),
        kind: Kind::Gauge,
        unit: Unit::None,
        points,
    }
}

/// The sides of a run that there are, each with its label.
fn both(interval: &Interval) -> impl Iterator<Item = (&'static str, Counts)> {
    let opened = interval.opened.map(|counts| ("opened", counts));
    let accepted = interval.accepted.map(|counts| ("accepted", counts));
    opened.into_iter().chain(accepted)
}

/// A counter for each count of the tallies. Those of a protocol are there once it has counted something.
fn counters(interval: &Interval) -> Vec<Metric> {
    let mut counting = BTreeSet::from([String::new()]);
    for (_, counts) in both(interval) {
        counts.now.for_each(|counted| {
            if counted.count > 0 && !counting.contains(counted.part) {
                counting.insert(counted.part.to_owned());
            }
        });
    }
    let mut all: Vec<Metric> = Vec::new();
    // The part and the name of each of them.
    let mut names: Vec<(String, &str)> = Vec::new();
    for (side, counts) in both(interval) {
        counts.now.for_each(|counted| {
            if !counting.contains(counted.part) {
                return;
            }
            let mut point = Point::on(side, counted.count);
            if let Some(kind) = counted.kind {
                point.labels.push((label(counted.name), kind.to_string()));
            }
            // Kinds follow one another, so the last one is mostly the right one.
            let known =
                |(part, name): &(String, &str)| part == counted.part && *name == counted.name;
            match names.iter().rposition(known) {
                Some(at) => all[at].points.push(point),
                None => {
                    names.push((counted.part.to_owned(), counted.name));
                    all.push(counter(&counted, point));
                }
            }
        });
    }
    all
}

/// All metrics of a reading of the system under test. What could not be read is left out.
fn watched(reading: &WatchedReading) -> impl Iterator<Item = Metric> + '_ {
    GAUGES.iter().filter_map(|gauge| {
        let value = (gauge.of)(reading)?;
        Some(Metric {
            name: format!("watched_{}", gauge.name),
            help: gauge.help.to_owned(),
            kind: match gauge.counts {
                true => Kind::Counter,
                false => Kind::Gauge,
            },
            unit: match gauge.unit {
                GaugeUnit::None => Unit::None,
                GaugeUnit::Bytes => Unit::Bytes,
                GaugeUnit::Seconds => Unit::Seconds,
            },
            points: vec![Point::of(match value.fract() {
                0.0 => Value::Whole(value as u64),
                _ => Value::Real(value),
            })],
        })
    })
}

/// The label that distinguishes the kinds of a count.
fn label(name: &str) -> &'static str {
    match name {
        "failed" | "closed" => "cause",
        _ => "kind",
    }
}

fn counter(counted: &Counted, point: Point) -> Metric {
    let part = counted.part.replace('.', "_");
    let renamed = RENAMED
        .iter()
        .find(|(name, ..)| part.is_empty() && *name == counted.name);
    let (name, unit) = match renamed {
        Some((_, name, unit)) => ((*name).to_owned(), *unit),
        None => (format!("{part}{}", counted.name), Unit::None),
    };
    // A unit stands at the end of a name, and is added there.
    let (name, unit) = match name.strip_suffix("_bytes") {
        Some(of) => (of.to_owned(), Unit::Bytes),
        None => (name, unit),
    };
    Metric {
        name,
        help: sentence(counted.about),
        kind: Kind::Counter,
        unit,
        points: vec![point],
    }
}

/// `text` as a sentence in one line, without the marks of documentation.
fn sentence(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, '`' | '[' | ']'))
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::latencies;
    use crate::stats::{Closed, FailCause, Measured};
    use std::time::Duration;

    fn tally(all: &[(&str, u64)]) -> Tally {
        Tally::from_named(all.iter().copied()).unwrap()
    }

    fn interval<'m>(opened: Tally, measured: &'m Measured) -> Interval<'m> {
        Interval {
            from: Duration::ZERO,
            to: Duration::from_secs(1),
            phase: Phase::Holding,
            asked: Some(10),
            peak: 7,
            left: None,
            dialled_per_s: Some(5.0),
            opened: Some(Counts {
                now: opened,
                recent: opened,
            }),
            accepted: Some(Counts::default()),
            watched: None,
            measured: Some(measured),
        }
    }

    #[track_caller]
    fn find<'m>(all: &'m [Metric], name: &str, unit: Unit) -> &'m Metric {
        let mut found = all.iter().filter(|m| m.name == name && m.unit == unit);
        let metric = found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {all:#?}"));
        assert_eq!(found.next(), None);
        metric
    }

    #[test]
    fn each_count_is_a_counter_and_its_kinds_are_labels() {
        let mut metrics = Metrics::of(&[], vec![("role", "load".into())]);
        let now = tally(&[
            ("established", 9),
            ("closed.by_peer", 2),
            ("failed.refused", 3),
            ("bytes_sent", 77),
            ("http.head_bytes", 5),
        ]);
        let measured = Measured::default();
        let all = metrics.after(&interval(now, &measured));
        let established = find(&all, "connections_established", Unit::None);
        assert_eq!(established.kind, Kind::Counter);
        let sides: Vec<_> = established.points.iter().collect();
        assert_eq!(sides.len(), 2, "{sides:?}");
        assert_eq!(*sides[0], Point::on("opened", 9));
        let failed = find(&all, "connections_failed", Unit::None);
        assert_eq!(failed.points.len(), 2 * FailCause::ALL.len());
        let refused = failed.points.iter().find(|p| p.value == Value::Whole(3));
        let labels = &refused.unwrap().labels;
        assert_eq!(labels[1], ("cause", "refused".to_owned()));
        assert_eq!(failed.help, "Attempts to connect that failed, by cause.");
        let closed = find(&all, "connections_closed", Unit::None);
        assert_eq!(closed.points.len(), 2 * Closed::ALL.len());
        assert_eq!(
            find(&all, "sent", Unit::Bytes).points[0],
            Point::on("opened", 77)
        );
        // HTTP counts, so all of it is there; DNS does not.
        find(&all, "http_head", Unit::Bytes);
        find(&all, "http_completed", Unit::None);
        assert!(!all.iter().any(|m| m.name.starts_with("dns_")));
        assert_eq!(
            find(&all, "connections_open", Unit::None).points[0],
            Point::on("opened", 7)
        );
    }

    #[test]
    fn names_are_their_own_and_every_metric_says_what_it_is() {
        let names: Vec<String> = Tally::default().named().map(|(name, _)| name).collect();
        let all_one = Tally::from_named(names.iter().map(|name| (name, 1))).unwrap();
        let mut metrics = Metrics::of(latencies(), Vec::new());
        let all = metrics.after(&interval(all_one, &Measured::default()));
        let mut seen = BTreeSet::new();
        for metric in &all {
            let kind = (metric.kind == Kind::Counter, metric.unit == Unit::Seconds);
            assert!(seen.insert((&metric.name, kind)), "{metric:?}");
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(metric.name.chars().all(good), "{metric:?}");
            assert!(
                metric.help.len() > 5 && metric.help.ends_with('.'),
                "{metric:?}"
            );
            assert!(!metric.help.contains('\n'), "{metric:?}");
            let labels: BTreeSet<_> = metric.points.iter().map(|p| &p.labels).collect();
            assert_eq!(labels.len(), metric.points.len(), "{metric:?}");
        }
        // Every count is there, on both sides.
        let points = all.iter().filter(|m| m.kind == Kind::Counter);
        let points: usize = points.map(|m| m.points.len()).sum();
        assert_eq!(points, 2 * names.len());
    }

    #[test]
    fn latencies_of_all_intervals_are_in_one_histogram() {
        let connect = latencies().iter().filter(|l| l.name == "connect");
        let mut metrics = Metrics::of(&connect.copied().collect::<Vec<_>>(), Vec::new());
        let mut measured = Measured::default();
        measured.connect.record(Duration::from_millis(3));
        measured.service.record(Duration::from_millis(3));
        metrics.after(&interval(Tally::default(), &measured));
        let all = metrics.after(&interval(Tally::default(), &measured));
        let histograms: Vec<&Metric> = all.iter().filter(|m| m.kind == Kind::Histogram).collect();
        assert_eq!(histograms.len(), 1);
        assert_eq!(
            (histograms[0].name.as_str(), histograms[0].unit),
            ("connect", Unit::Seconds)
        );
        let Value::Distribution(buckets) = &histograms[0].points[0].value else {
            panic!("{histograms:?}");
        };
        assert_eq!(buckets.count(), 2);
    }

    #[test]
    fn each_gauge_is_a_metric_unless_it_could_not_be_read() {
        let mut reading = WatchedReading {
            rss_bytes: 4096,
            cpu_user: Duration::from_millis(1500),
            connections: Some(2000),
            ..WatchedReading::default()
        };
        let all: Vec<Metric> = watched(&reading).collect();
        let find = |name: &str| all.iter().find(|m| m.name == name);
        let rss = find("watched_rss").unwrap();
        assert_eq!((rss.unit, rss.kind), (Unit::Bytes, Kind::Gauge));
        assert_eq!(rss.points[0].value, Value::Whole(4096));
        let cpu = find("watched_cpu_user").unwrap();
        assert_eq!((cpu.unit, cpu.kind), (Unit::Seconds, Kind::Counter));
        assert_eq!(cpu.points[0].value, Value::Real(1.5));
        assert!(find("watched_kernel").is_none() && find("watched_connections").is_some());
        reading.connections = None;
        assert!(watched(&reading).all(|m| m.name != "watched_connections"));
    }
}
