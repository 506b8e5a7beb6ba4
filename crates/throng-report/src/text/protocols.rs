//! What became of TLS and WebSocket.

use super::section::Section;
use crate::human::{self, count, percent, things};
use std::cmp::Reverse;
use throng_core::summary::{Connections, Summary};

pub(super) fn tls(summary: &Summary) -> Section {
    let mut all = Section::titled("TLS");
    let Some(t) = &summary.tls else {
        return all;
    };
    let resumed = match percent(t.resumed as f64, t.handshakes as f64) {
        Some(share) if t.resumed > 0 => format!("{share} of them resumed a session"),
        Some(_) => "all of them whole, no session resumed".into(),
        None => String::new(),
    };
    all.number("handshakes", count(t.handshakes), &resumed);
    if t.handshakes > 0 {
        let over = format!("over {}", human::seconds(t.seconds));
        all.number("rate", human::rate(t.per_s), &over);
    }
    let mut failed: Vec<_> = t.failed.iter().collect();
    failed.sort_by_key(|(_, n)| Reverse(**n));
    for (why, n) in failed {
        all.bad("failed", count(*n), why.words());
    }
    if t.broken > 0 {
        let which = "of these after their handshake";
        all.bad("", count(t.broken), which);
    }
    if t.truncated > 0 {
        let what = "closed by the peer without close_notify";
        all.odd("cut off", count(t.truncated), what);
    }
    all
}

pub(super) fn websocket(summary: &Summary) -> Section {
    let mut all = Section::titled("WebSocket");
    let Some(w) = &summary.websocket else {
        return all;
    };
    let c = &summary.connections;
    let came_up = match is_server(c) {
        true => c.accepted.unwrap_or(0),
        false => c.established,
    };
    match came_up.saturating_sub(w.upgraded) {
        0 => all.number("upgraded", count(w.upgraded), ""),
        _ => {
            let of = format!("of {}", things(came_up, "connection"));
            all.odd("upgraded", count(w.upgraded), &of);
        }
    }
    let mut violations: Vec<_> = w.violations.iter().collect();
    violations.sort_by_key(|(_, n)| Reverse(**n));
    for (kind, n) in violations {
        all.bad("violated", count(*n), kind.words());
    }
    all
}

/// Whether the run is about the accepting side.
pub(super) fn is_server(c: &Connections) -> bool {
    c.attempted == 0 && c.accepted.is_some()
}
