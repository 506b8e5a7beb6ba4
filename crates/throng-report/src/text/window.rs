//! The window over which connections have to come back, as a search has found it.

use super::section::Section;
use crate::human::{self, count};
use throng_core::summary::Summary;

pub(super) fn window(summary: &Summary) -> Section {
    let mut all = Section::titled("Window");
    let Some(found) = &summary.window else {
        return all;
    };
    let s = |ms: u64| human::seconds(ms as f64 / 1e3);
    if let Some(held) = found.held_ms {
        all.number("held", s(held), "all connections came back without a drop");
    }
    if let Some(broke) = found.broke_ms {
        let last = found
            .trials
            .iter()
            .rfind(|trial| trial.window_ms == broke && !trial.is_clean());
        let why = last.map_or(String::new(), |trial| {
            let parts = [
                (trial.failed, "attempts failed"),
                (trial.syns_dropped, "SYNs dropped"),
                (trial.syns_retried, "SYNs retried"),
                (trial.lost_again, "connections lost again"),
                (trial.missing, "connections missing"),
            ];
            let parts = parts.into_iter().filter(|(n, _)| *n > 0);
            let parts: Vec<String> = parts
                .map(|(n, what)| format!("{} {what}", count(n)))
                .collect();
            parts.join(", ")
        });
        all.number("broke", s(broke), &why);
    }
    all.number("storms", count(found.trials.len() as u64), "")
        .in_full_only();
    all
}
