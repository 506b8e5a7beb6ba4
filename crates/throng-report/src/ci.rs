//! What reports for CI servers have in common: whether a run failed, and as what.

use throng_core::record::Role;
use throng_core::summary::Summary;

/// Whether the run failed: it did not reach what was asked for, or it is a load that was interrupted. A server is ended by
/// its user, unless it has a time limit.
pub(crate) fn is_failed(summary: &Summary) -> bool {
    !summary.reached || is_cut_off(summary)
}

/// What it failed by: the kind of its first finding, if it has one.
pub(crate) fn kind(summary: &Summary) -> &'static str {
    match summary.findings.first() {
        _ if is_cut_off(summary) => "interrupted",
        Some(finding) => finding.kind(),
        None => "fell_short",
    }
}

/// Whether it was ended before it was over.
fn is_cut_off(summary: &Summary) -> bool {
    // A server or a proxy runs until it is.
    summary.interrupted
        && ![Role::Serve, Role::Proxy]
            .iter()
            .any(|r| summary.role == r.name())
}
