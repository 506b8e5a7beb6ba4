//! Whether a server was drained without breaking anything (`--drain`).

use crate::summary::Drain;
use crate::summary::finding::Finding;
use crate::summary::totals::Totals;

/// The finding about a drain. Returns whether no connection was broken, and none is missing, but for as many as are
/// `tolerated`; and whether no message was answered twice.
pub(super) fn drained(
    t: &Totals,
    tolerated: impl Fn(u64) -> bool,
    findings: &mut Vec<Finding>,
) -> bool {
    let drain = Drain::of(t);
    let well = tolerated(drain.broken()) && tolerated(drain.missing) && drain.answers_unasked == 0;
    findings.push(
        match drain.broken() + drain.missing + drain.answers_unasked {
            0 => Finding::Drained { moved: drain.moved },
            _ => Finding::DrainBroke(drain),
        },
    );
    well
}
