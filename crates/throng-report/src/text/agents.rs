//! The agents of a fleet: a row for each.

use super::section::Section;
use crate::human::{self, count};
use throng_core::summary::{SourceSummary, Summary};

/// With more agents than this, rows are shown only where all is shown: the findings have those that differ.
const FEW: usize = 8;

pub(super) fn add(summary: &Summary, all: &mut Section) {
    let agents = || {
        summary
            .sources
            .iter()
            .filter(|source| source.agent.is_some())
    };
    let many = agents().count() > FEW;
    for agent in agents() {
        let row = all.prose("agent", &did(agent));
        if many {
            row.in_full_only();
        }
    }
}

/// What one agent did.
fn did(source: &SourceSummary) -> String {
    let name = source.agent.as_deref().unwrap_or_default();
    let mut row = format!("{name}: {}", count(source.peak));
    if let Some(asked) = source.asked {
        row += &format!(" of {}", count(asked));
    }
    row += " connections";
    if source.failed > 0 {
        row += &format!(", {} attempts failed", count(source.failed));
    }
    if source.messages_sent > 0 {
        row += &format!(", {} messages", count(source.messages_sent));
    }
    if let Some(latency) = &source.latency {
        row += &format!(", p99 {}", human::seconds(latency.p99_us / 1e6));
    }
    if !source.complete {
        row += &format!("; lost after {}", human::seconds(source.seconds));
    }
    row
}
