//! The outcome of WebSocket.

use super::close::CloseCode;
use super::subprotocol::{Choice, Subprotocol, by_name};
use super::violation::Violation;
use crate::human::{count, things};
use crate::protocol::facts::{Summarize, Violated};
use crate::protocol::http::Status;
use crate::section::{Row, Tone};
use crate::stats::{Tally, occurred};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The outcome of WebSocket on connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSocketSummary {
    /// Connections that completed the opening handshake (RFC 6455 section 4).
    pub upgraded: u64,
    /// Peers that violated the protocol, by kind. Kinds that did not occur are left out. Each connection was closed,
    /// with a close code if it was upgraded.
    pub violations: BTreeMap<Violation, u64>,
    /// The statuses with which servers refused the upgrade. Those that did not occur are left out.
    pub refused: BTreeMap<Status, u64>,
    /// Peers that began to close with a close frame, by its code. Codes that did not occur are left out.
    pub closes: BTreeMap<CloseCode, u64>,
    /// Connections by the subprotocol that the server chose, if subprotocols were asked for (`serve`: given): its name, or
    /// `none`.
    pub subprotocols: BTreeMap<String, u64>,
}

impl Summarize for WebSocketSummary {
    fn of(tally: &Tally) -> WebSocketSummary {
        WebSocketSummary {
            upgraded: tally.websocket.upgraded,
            violations: occurred(Violation::ALL, |v| tally.websocket.violations(v)),
            refused: occurred(Status::ALL, |status| tally.websocket.refused(status)),
            closes: occurred(CloseCode::ALL, |code| tally.websocket.closes(code)),
            subprotocols: occurred(Choice::ALL, |choice| tally.websocket.subprotocols(choice))
                .into_iter()
                .map(|(choice, n)| (choice.name().to_owned(), n))
                .collect(),
        }
    }

    fn rows(&self, connections: u64) -> Vec<Row> {
        let (tone, of) = match connections.saturating_sub(self.upgraded) {
            0 => (Tone::Plain, String::new()),
            _ => (
                Tone::Odd,
                format!("of {}", things(connections, "connection")),
            ),
        };
        let mut rows = vec![Row::new(tone, "upgraded", count(self.upgraded), of)];
        rows.extend(self.subprotocols.iter().map(|(name, n)| {
            let tone = match name.as_str() {
                "none" => Tone::Odd,
                _ => Tone::Plain,
            };
            Row::new(tone, "subprotocol", count(*n), name.as_str())
        }));
        let mut violations: Vec<_> = self.violations.iter().collect();
        violations.sort_by_key(|(_, n)| Reverse(**n));
        rows.extend(
            violations
                .into_iter()
                .map(|(kind, n)| Row::new(Tone::Bad, "violated", count(*n), kind.words())),
        );
        rows.extend(
            self.refused
                .iter()
                .map(|(status, n)| Row::new(Tone::Bad, "refused", count(*n), status.words())),
        );
        rows.extend(
            self.closes
                .iter()
                .map(|(code, n)| Row::new(Tone::Plain, "Close frames", count(*n), code.words())),
        );
        rows
    }

    fn violations(&self) -> Vec<Violated> {
        let violated = |(kind, connections): (&Violation, &u64)| Violated {
            violation: kind.name(),
            words: match kind {
                Violation::Refused => self.refusal(),
                _ => format!("the peer broke the WebSocket protocol: {}", kind.words()),
            },
            connections: *connections,
        };
        self.violations.iter().map(violated).collect()
    }
}

impl WebSocketSummary {
    /// The same with subprotocols by their names, which are counted by their places among `names`.
    pub(crate) fn named(self, names: &[Subprotocol]) -> WebSocketSummary {
        WebSocketSummary {
            subprotocols: by_name(&self.subprotocols, names),
            ..self
        }
    }

    fn refusal(&self) -> String {
        let mut all: Vec<_> = self.refused.iter().collect();
        all.sort_by_key(|(_, n)| Reverse(**n));
        let statuses: Vec<&str> = all.iter().map(|(status, _)| status.words()).collect();
        match statuses.as_slice() {
            [] => "the peer refused the upgrade to WebSocket".into(),
            some => format!("the server refused the upgrade ({})", some.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn violations_are_reported_by_kind_and_those_that_did_not_occur_are_not() {
        let counters = Counters::default();
        counters.websocket.upgraded.add(7);
        counters.websocket.violation(Violation::TooBig);
        counters.websocket.violation(Violation::TooBig);
        counters.websocket.violation(Violation::NotHttp);
        let summary = WebSocketSummary::of(&counters.read());
        assert_eq!(summary.upgraded, 7);
        let kinds = [(Violation::TooBig, 2), (Violation::NotHttp, 1)];
        assert_eq!(summary.violations, BTreeMap::from(kinds));
        let rows: Vec<_> = summary
            .rows(8)
            .into_iter()
            .map(|row| (row.label, row.value, row.note))
            .collect();
        let row = |label, value: &str, note: &str| (label, value.to_owned(), note.to_owned());
        assert_eq!(
            rows,
            [
                row("upgraded", "7", "of 8 connections"),
                row("violated", "2", "message too big"),
                row("violated", "1", "no HTTP in the handshake"),
            ]
        );
        let found: Vec<_> = summary
            .violations()
            .into_iter()
            .map(|v| (v.violation, v.connections))
            .collect();
        assert_eq!(found, [("not_http", 1), ("too_big", 2)]);
    }
}
