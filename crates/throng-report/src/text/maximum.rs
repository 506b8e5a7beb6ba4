//! What a search for the most connections found, and how opening went on the way.

use super::section::Section;
use crate::human::{self, count, things};
use throng_core::maximum::{Keeping, KnownBy};
use throng_core::summary::Summary;

/// The result in numbers. The verdict has it as a sentence.
pub(super) fn maximum(summary: &Summary) -> Section {
    let mut all = Section::titled("Maximum");
    let Some(m) = &summary.maximum else {
        return all;
    };
    let known = match m.known_by {
        KnownBy::AcceptQueue => "accepted by the server, as its queue on this machine shows",
        KnownBy::Handshake => "the server answered the handshake of each",
        KnownBy::Established => "established; whether the server accepted them is not known here",
    };
    all.number("held", count(m.connections), known);
    if let Some(answered) = m.answered {
        all.number(
            "answered",
            count(answered),
            "of those that were open at the end of the hold",
        );
    }
    if let Some(keeping) = &m.keeping {
        kept(keeping, &mut all);
    }
    let walls: Vec<String> = m.walls.iter().map(|wall| count(*wall)).collect();
    if !walls.is_empty() {
        let took = format!("connections, in {}", human::seconds(m.seconds));
        all.number("no further at", walls.join(", then "), &took);
    }
    let pauses: Vec<String> = m.pauses.iter().map(|pause| count(*pause)).collect();
    if !pauses.is_empty() {
        all.number(
            "paused at",
            pauses.join(", "),
            "and went on later: no limit",
        );
    }
    if let Some(limit) = m.limit {
        let sure = if m.sure { "" } else { "a guess" };
        all.number("limit", limit.words().into(), sure);
    }
    let client = match m.client_limit {
        Some(limit) => format!("by its {}", limit.words()),
        None => String::new(),
    };
    if m.client_limit.is_some() {
        all.number("this client", count(m.client_allows), &client);
    }
    let fastest = m.way.iter().max_by(|a, b| a.per_s.total_cmp(&b.per_s));
    if let (Some(fastest), Some(last)) = (fastest, m.way.last()) {
        let at_last = match last.connect_p50_us {
            Some(us) => format!(", {} to connect at last", human::micros(us)),
            None => String::new(),
        };
        let most = things(fastest.connections, "connection");
        let text = format!("up to {} at most{at_last}", most);
        all.number("opened", human::rate(fastest.per_s), &text);
    }
    if let Some(knee) = m.knee {
        all.number(
            "knee",
            count(knee),
            "connections: beyond, connecting takes much longer",
        );
    }
    all
}

/// What was found of objectives.
fn kept(k: &Keeping, all: &mut Section) {
    let latency = |us: Option<f64>| match (k.percentile, us) {
        (Some(p), Some(us)) => format!(", p{p} {}", human::micros(us)),
        _ => String::new(),
    };
    if let Some(kept) = k.kept {
        let text = format!("surely, {}{}", k.objectives, latency(k.kept_latency_us));
        all.number("kept", count(kept), &text);
    }
    if let Some(broke) = k.broke {
        let what = k.broke_by.map_or("", |limit| limit.words());
        all.number("broke", count(broke), what);
    }
    let trials = things(k.tried.len() as u64, "trial");
    if let (Some(least), Some(most)) = (k.least, k.most) {
        let sure = k.confidence * 100.0;
        let text = format!("and {} ({sure:.0} % confidence), {trials}", count(most));
        all.number("between", count(least), &text);
    } else {
        all.number("tried", trials, "");
    }
    let held = match k.confirmed {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    };
    let text = format!("in the hold{}", latency(k.held_latency_us));
    all.number("confirmed", held.into(), &text);
}
