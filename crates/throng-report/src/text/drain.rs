//! What became of connections while the server was drained.

use super::section::Section;
use crate::human::count;
use throng_core::summary::Summary;

pub(super) fn drain(summary: &Summary) -> Section {
    let mut all = Section::titled("Drain");
    let Some(d) = &summary.drain else {
        return all;
    };
    all.number("ended", count(d.ended), "connections, during the hold");
    all.number(
        "moved",
        count(d.moved),
        "closed by the server with no message under way",
    );
    for (label, n, how) in [
        (
            "cut",
            d.cut,
            "closed by the server with a message under way",
        ),
        ("reset", d.reset, "by the server"),
        (
            "timed out",
            d.timed_out,
            "the server no longer acknowledged",
        ),
        ("failed", d.lost_by_error, "by an error on this side"),
        ("given up", d.given_up, "an answer did not come in time"),
        (
            "stuck",
            d.stuck.unwrap_or(0),
            "open at the end, and their last message was not answered",
        ),
        (
            "missing",
            d.missing,
            "not open again at the end of the hold",
        ),
        ("messages lost", d.messages_lost, "never answered"),
        (
            "unasked answers",
            d.answers_unasked,
            "no message asked for them",
        ),
    ] {
        match n {
            0 => all.number(label, count(0), "").in_full_only(),
            n => all.bad(label, count(n), how),
        }
    }
    all
}
