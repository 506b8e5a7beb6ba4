//! What became of WebSocket.

use crate::protocol::websocket::Violation;
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of connections that were to speak WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSocketSummary {
    /// Connections whose opening handshake was done (RFC 6455 section 4).
    pub upgraded: u64,
    /// Peers that broke the protocol, by what they did; kinds that did not occur are left out. Each was
    /// told so by a close code, if the connection was upgraded, and closed.
    pub violations: BTreeMap<Violation, u64>,
}

impl WebSocketSummary {
    /// From a side's counts.
    pub fn of(tally: &Tally) -> WebSocketSummary {
        WebSocketSummary {
            upgraded: tally.websocket.upgraded,
            violations: Violation::ALL
                .into_iter()
                .filter(|v| tally.websocket.violations(*v) > 0)
                .map(|v| (v, tally.websocket.violations(v)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn violations_are_told_by_kind_and_those_that_did_not_occur_are_not() {
        let counters = Counters::default();
        counters.websocket.upgraded.add(7);
        counters.websocket.violation(Violation::TooBig);
        counters.websocket.violation(Violation::TooBig);
        counters.websocket.violation(Violation::NotHttp);
        let told = WebSocketSummary::of(&counters.read());
        assert_eq!(told.upgraded, 7);
        let kinds = [(Violation::TooBig, 2), (Violation::NotHttp, 1)];
        assert_eq!(told.violations, BTreeMap::from(kinds));
    }
}
