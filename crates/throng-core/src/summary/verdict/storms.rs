//! Storms: what is worth knowing of each, and whether those that were asked for are over.

use crate::summary::StormSummary;
use crate::summary::finding::Finding;
use crate::summary::totals::Totals;

/// The findings of storms. Returns whether all connections are back that were dropped because that was asked for, except as
/// many as are `tolerated`: that they were dropped is no fault of the server, but that they don't come back is one. What else
/// is lost counts as lost in any case.
pub(super) fn storms(
    t: &Totals,
    tolerated: impl Fn(u64) -> bool,
    findings: &mut Vec<Finding>,
) -> bool {
    let mut all_back = true;
    for storm in t.storms() {
        all_back &= storm.is_over() || storm.dropped == 0 || tolerated(storm.missing);
        findings.push(finding(&storm));
    }
    all_back
}

fn finding(storm: &StormSummary) -> Finding {
    match storm.back_100_s {
        Some(back_100_s) => Finding::Storm {
            at_s: storm.at_s,
            lost: storm.lost,
            before: storm.before,
            dropped: storm.dropped,
            back_50_s: storm.back_50_s.unwrap_or(back_100_s),
            back_100_s,
        },
        None => Finding::StormNotOver {
            at_s: storm.at_s,
            lost: storm.lost,
            before: storm.before,
            dropped: storm.dropped,
            missing: storm.missing,
            seconds: storm.seconds,
        },
    }
}
