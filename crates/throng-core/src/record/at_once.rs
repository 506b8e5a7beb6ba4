//! How many connections several sources held at the same time.

use super::{Part, Record};

/// Intervals of sources that are in step end this close together, in seconds. A source that was lost held for this long what it had at
/// the end of its last interval: a moment later, the others may say what they held then.
const IN_STEP_S: f64 = 0.1;

/// The most connections that were open at once, over all sources of `record`.
///
/// For one source, it is what that source saw. Several sources are only known at the ends of their intervals and at
/// their marks: between two such instants a source counts with the fewer connections, outside its run with none. So
/// that many were really held, and the true peak may have been higher. Instants are compared by the sources' own
/// clocks. A source that was lost counts until shortly after its last interval.
pub fn most_at_once(record: &Record) -> u64 {
    if let Some(part) = record.single() {
        return part.peak();
    }
    let origin = record.started_unix_s();
    let mut steps = Vec::new();
    for (number, part) in record.sources.values().enumerate() {
        steps.extend(
            held(part, part.about.started_unix_s - origin)
                .into_iter()
                .map(|(at_s, open)| (at_s, number, open)),
        );
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut open = vec![0; record.sources.len()];
    let mut most = 0;
    let mut steps = steps.into_iter().peekable();
    while let Some((at_s, source, n)) = steps.next() {
        open[source] = n;
        // Changes at the same instant are applied together.
        if steps.peek().is_none_or(|next| next.0 > at_s) {
            most = most.max(open.iter().sum());
        }
    }
    most
}

/// From when on how many connections of `part` were open at least, until the next instant; the last one is its end.
/// Instants are in seconds, `start_s` that of its beginning.
fn held(part: &Part, start_s: f64) -> Vec<(f64, u64)> {
    // Each known instant, how many were open then, and how few at most since the one before.
    let mut known: Vec<(f64, u64, u64)> = vec![(0.0, 0, 0)];
    known.extend(part.intervals.iter().filter_map(|interval| {
        let reading = part.subject(interval)?;
        Some((interval.to.as_secs_f64(), reading.open, reading.open_least))
    }));
    let marks = part.ending.iter().flat_map(|e| {
        let marks = [e.opened, e.held, Some(e.over)];
        marks.into_iter().flatten()
    });
    known.extend(marks.map(|mark| {
        let open = match part.is_about_accepted() {
            true => mark.accepted.map_or(0, |tally| tally.open()),
            false => mark.opened.open(),
        };
        (mark.at.as_secs_f64(), open, open)
    }));
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut steps: Vec<(f64, u64)> = known
        .windows(2)
        .map(|pair| {
            let ((from_s, before, _), (_, after, least)) = (pair[0], pair[1]);
            (start_s + from_s, before.min(after).min(least))
        })
        .collect();
    let (end_s, open, _) = known.last().copied().unwrap_or_default();
    match part.ending {
        Some(_) => steps.push((start_s + end_s, 0)),
        None => steps.extend([(start_s + end_s, open), (start_s + end_s + IN_STEP_S, 0)]),
    }
    steps
}
