//! The agents of a fleet: how much in step they began, and a row for each.

use super::section::Section;
use crate::human::{self, count};
use throng_core::summary::{SourceSummary, StartSpread, Summary};

/// With more agents than this, rows are shown only where all is shown: the findings have those that differ.
const FEW: usize = 8;

pub(super) fn add(summary: &Summary, all: &mut Section) {
    let agents = || {
        summary
            .sources
            .iter()
            .filter(|source| source.agent.is_some())
    };
    if let Some(start) = &summary.start {
        all.prose("start", &in_step(start));
    }
    let many = agents().count() > FEW;
    for agent in agents() {
        let row = all.prose("agent", &did(agent));
        if many {
            row.in_full_only();
        }
    }
}

/// How far apart agents began.
fn in_step(start: &StartSpread) -> String {
    let seconds = |us: f64| human::seconds(us / 1e6);
    format!(
        "{} within {}, by clocks that were compared to within {}",
        human::things(start.agents, "agent"),
        seconds(start.spread_us),
        seconds(start.bound_us),
    )
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
    if let Some(start_us) = source.start_us {
        row += &format!(", began {}", when(start_us));
    }
    if !source.complete {
        row += &format!("; lost after {}", human::seconds(source.seconds));
    }
    row
}

/// An instant, from the one at which all agents were to begin.
fn when(after_us: f64) -> String {
    let by = human::seconds(after_us.abs() / 1e6);
    match after_us < 0.0 {
        true => format!("{by} early"),
        false => format!("{by} late"),
    }
}
