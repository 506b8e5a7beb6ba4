//! The metrics that are compared unless the user names some.

use super::round::Group;
use crate::expect::{Metric, UnknownMetric};

/// Latencies of messages, the first one that was measured: a run has the response time if its messages were due at times, else the
/// service time.
const MESSAGES: [&str; 3] = ["response", "service", "marked"];
/// Rates, the first one that was measured.
const RATES: [&str; 4] = ["held/s", "answers/s", "messages/s", "received/s"];
/// Metrics that are compared wherever they were measured.
const OTHERS: [&str; 10] = [
    "opened/s",
    "connect.p99",
    "failed",
    "lost",
    "unanswered",
    "cpu_us_per_message",
    "user_bytes_per_connection",
    "kernel_bytes_per_connection",
    "server.rss_bytes_per_connection",
    "server.pss_bytes_per_connection",
];

/// All metrics that may be compared: those to measure in each round.
pub(super) fn candidates() -> Vec<Metric> {
    let latencies = MESSAGES
        .iter()
        .flat_map(|name| [format!("{name}.p50"), format!("{name}.p99")]);
    let others = RATES.iter().chain(&OTHERS).map(|name| (*name).to_owned());
    latencies
        .chain(others)
        .filter_map(|name| Metric::parse(&name).ok())
        .collect()
}

/// All metrics to measure in each round, so that those of `names` can be compared, too.
pub fn wanted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Metric> {
    let mut all = candidates();
    for name in names {
        let of_messages = MESSAGES.iter().map(|latency| format!("{latency}.{name}"));
        let meant = std::iter::once(name.to_owned()).chain(of_messages);
        all.extend(meant.filter_map(|name| Metric::parse(&name).ok()));
    }
    all
}

/// Whether this is the name of a metric, or a statistic alone, such as `p99`.
///
/// # Errors
/// It is neither.
pub fn known(name: &str) -> Result<(), UnknownMetric> {
    let whole = Metric::parse(name).map(drop);
    whole.or_else(|unknown| {
        let of_messages = Metric::parse(&format!("{}.{name}", MESSAGES[0]));
        of_messages.map(drop).map_err(|_| unknown)
    })
}

/// The metrics that are compared, since all of `groups` that have a finished round have them.
pub fn usual(groups: &[Group]) -> Vec<Metric> {
    let mut all = messages(groups).map_or_else(Vec::new, |name| statistics(name, &["p50", "p99"]));
    let found = |name: &&&str| is_in_all(&Metric::parse(name).ok(), groups);
    let rate = RATES.iter().find(found);
    let others = OTHERS.iter().filter(found);
    all.extend(
        rate.into_iter()
            .chain(others)
            .filter_map(|name| Metric::parse(name).ok()),
    );
    all
}

/// The metrics to compare: those of `names`, or else the [`usual`] ones; and those of `more`, such as of conditions.
pub fn chosen<'a>(
    groups: &[Group],
    names: &'a [String],
    more: impl IntoIterator<Item = &'a str>,
) -> Vec<Metric> {
    let mut all = match names.is_empty() {
        true => usual(groups),
        false => Vec::new(),
    };
    for name in names.iter().map(String::as_str).chain(more) {
        let metric = named(name, groups).filter(|metric| !all.contains(metric));
        all.extend(metric);
    }
    all
}

/// The metric of this name. That of a statistic alone, such as `p99`, is of the latency of messages.
pub fn named(name: &str, groups: &[Group]) -> Option<Metric> {
    let latency = messages(groups).unwrap_or(MESSAGES[0]);
    let whole = Metric::parse(name).ok();
    whole.or_else(|| Metric::parse(&format!("{latency}.{name}")).ok())
}

fn messages(groups: &[Group]) -> Option<&'static str> {
    let measured = |name: &&&str| is_in_all(&Metric::parse(&format!("{name}.p50")).ok(), groups);
    MESSAGES.iter().find(measured).copied()
}

fn statistics(latency: &str, of: &[&str]) -> Vec<Metric> {
    let names = of.iter().map(|of| format!("{latency}.{of}"));
    names.filter_map(|name| Metric::parse(&name).ok()).collect()
}

fn is_in_all(metric: &Option<Metric>, groups: &[Group]) -> bool {
    let has = |group: &Group, metric| {
        group
            .rounds
            .iter()
            .any(|round| round.value(metric).is_some())
    };
    let mut finished = groups.iter().filter(|g| !g.rounds.is_empty()).peekable();
    finished.peek().is_some()
        && metric
            .as_ref()
            .is_some_and(|metric| finished.all(|group| has(group, metric)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_a_metric() {
        assert_eq!(
            candidates().len(),
            MESSAGES.len() * 2 + RATES.len() + OTHERS.len()
        );
    }

    #[test]
    fn a_statistic_alone_is_of_the_latency_of_messages() {
        for (name, metric) in [
            ("p99", Some("response.p99")),
            ("mean", Some("response.mean")),
            ("connect.p50", Some("connect.p50")),
            ("answers/s", Some("answers/s")),
            ("p999", None),
            ("speed", None),
        ] {
            let found = named(name, &[]).map(|metric| metric.to_string());
            assert_eq!(found.as_deref(), metric, "{name}");
        }
    }
}
