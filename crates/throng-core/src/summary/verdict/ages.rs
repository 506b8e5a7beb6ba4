//! The ages at which connections ended, and what they say.

use crate::record::{Interval, Part};
use crate::stats::Closed;
use crate::summary::finding::Age;
use crate::summary::totals::Totals;
use std::collections::BTreeMap;
use std::time::Duration;

/// Fewer connections than this that ended at equal ages may be chance.
const FEW: u64 = 3;
/// A timeout that is shorter than this can't be told from a server that closes at once.
const SHORTEST_TIMEOUT_S: f64 = 0.5;
/// The largest difference of equal ages, as a share of them.
const EQUAL_AGES: f64 = 0.05;
/// The ages at which connections ended without this side's doing.
pub(super) fn ages(t: &Totals) -> BTreeMap<Closed, Age> {
    let opened_over_s = opened_over(t).as_secs_f64();
    let age = |why: Closed| {
        let all = t.measured.age(why)?;
        let s = |d: Duration| d.as_secs_f64();
        let (min_s, p50_s, max_s) = (
            s(all.min()?),
            s(all.percentile(50.0)?),
            s(all.percentile(100.0)?),
        );
        let (n, apart_s) = (all.count(), max_s - min_s);
        // Connections that were opened together and ended together have equal ages, too.
        let generations = t.asked.connections.is_some_and(|asked| n > asked);
        let equal = apart_s <= p50_s * EQUAL_AGES;
        let alike = n >= FEW
            && min_s >= SHORTEST_TIMEOUT_S
            && equal
            && (generations || opened_over_s > 2.0 * apart_s);
        let age = Age {
            min_s,
            p50_s,
            max_s,
            alike,
        };
        Some((why, age))
    };
    Closed::ALL.into_iter().filter_map(age).collect()
}

/// The least time that passed between the first connection that was established and the last one, to within an interval.
pub(super) fn opened_over(t: &Totals) -> Duration {
    let over = |part: &&Part| {
        let up = |i: &&Interval| i.opened.is_some_and(|r| r.counts.established > 0);
        let first = part.intervals.iter().find(up)?;
        let last = part.ending.as_ref()?.established;
        Some(last.saturating_sub(first.to))
    };
    t.parts.iter().filter_map(over).max().unwrap_or_default()
}
