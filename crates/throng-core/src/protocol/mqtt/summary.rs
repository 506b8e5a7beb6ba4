//! The outcome of MQTT.

use super::counts::Qos;
use super::reason::{OfAck, OfConnack, OfDisconnect, OfSuback, Reason};
use super::violation::Violation;
use crate::human::{count, things};
use crate::protocol::facts::{Summarize, Violated};
use crate::section::{Row, Tone};
use crate::stats::{Tally, occurred};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The outcome of MQTT on connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttSummary {
    /// Connections that the server accepted (CONNACK).
    pub accepted: u64,
    /// Those of which the server had a session.
    pub sessions: u64,
    /// Connections on which the server granted all subscriptions (SUBACK).
    pub subscribed: u64,
    /// Messages that were sent, by QoS. A QoS without any is left out.
    pub sent: BTreeMap<Qos, u64>,
    /// Messages that were received, by QoS.
    pub received: BTreeMap<Qos, u64>,
    /// Received messages that say that they may have been sent before (DUP).
    pub duplicates: u64,
    /// Received messages that the server had retained.
    pub retained: u64,
    /// Answers to CONNECT, by reason. Reasons that did not occur are left out.
    pub connack: BTreeMap<Reason, u64>,
    /// Answers to topic filters, by reason.
    pub suback: BTreeMap<Reason, u64>,
    /// Messages whose acknowledgement ended, by reason: with PUBACK (QoS 1), PUBCOMP (QoS 2), or PUBREC with an error.
    pub acks: BTreeMap<Reason, u64>,
    /// DISCONNECTs of peers, by reason.
    pub disconnects: BTreeMap<Reason, u64>,
    /// Peers that refused or violated the protocol, by kind.
    pub violations: BTreeMap<Violation, u64>,
}

impl Summarize for MqttSummary {
    fn of(tally: &Tally) -> MqttSummary {
        let mqtt = &tally.mqtt;
        MqttSummary {
            accepted: mqtt.accepted,
            sessions: mqtt.sessions,
            subscribed: mqtt.subscribed,
            sent: occurred(Qos::ALL, |qos| mqtt.sent(qos)),
            received: occurred(Qos::ALL, |qos| mqtt.received(qos)),
            duplicates: mqtt.duplicates,
            retained: mqtt.retained,
            connack: occurred(OfConnack::ALL, |reason| mqtt.connack(reason)),
            suback: occurred(OfSuback::ALL, |reason| mqtt.suback(reason)),
            acks: occurred(OfAck::ALL, |reason| mqtt.acks(reason)),
            disconnects: occurred(OfDisconnect::ALL, |reason| mqtt.disconnects(reason)),
            violations: occurred(Violation::ALL, |kind| mqtt.violations(kind)),
        }
    }

    fn rows(&self, connections: u64) -> Vec<Row> {
        let (tone, of) = match connections.saturating_sub(self.accepted) {
            0 => (Tone::Plain, String::new()),
            _ => (
                Tone::Odd,
                format!("of {}", things(connections, "connection")),
            ),
        };
        let mut rows = vec![Row::new(tone, "accepted", count(self.accepted), of)];
        let mut some = |label, n: u64, note: &str| {
            if n > 0 {
                rows.push(Row::new(Tone::Plain, label, count(n), note));
            }
        };
        some("subscribed", self.subscribed, "connections");
        some("sessions", self.sessions, "continued");
        for (qos, n) in &self.sent {
            some("published", *n, qos.words());
        }
        for (qos, n) in &self.received {
            some("received", *n, qos.words());
        }
        some("duplicates", self.duplicates, "received messages with DUP");
        some("retained", self.retained, "received messages");
        let mut reasons = |label, by: &BTreeMap<Reason, u64>| {
            for (reason, n) in by.iter().filter(|(reason, _)| reason.is_error()) {
                rows.push(Row::new(Tone::Bad, label, count(*n), reason.words()));
            }
        };
        reasons("CONNACK", &self.connack);
        reasons("SUBACK", &self.suback);
        reasons("acknowledged", &self.acks);
        reasons("DISCONNECT", &self.disconnects);
        let mut violations: Vec<_> = self.violations.iter().collect();
        violations.sort_by_key(|(_, n)| Reverse(**n));
        rows.extend(
            violations
                .into_iter()
                .map(|(kind, n)| Row::new(Tone::Bad, "violated", count(*n), kind.words())),
        );
        rows
    }

    fn violations(&self) -> Vec<Violated> {
        let violated = |(kind, connections): (&Violation, &u64)| Violated {
            violation: kind.name(),
            words: match kind {
                Violation::Refused => refusal("connection", &self.connack),
                Violation::SubscriptionRefused => refusal("subscription", &self.suback),
                Violation::Unsupported => kind.words().into(),
                _ => format!("the peer broke the MQTT protocol: {}", kind.words()),
            },
            connections: *connections,
        };
        self.violations.iter().map(violated).collect()
    }
}

/// What the server refused, and its reasons, the most frequent one first.
fn refusal(what: &str, by: &BTreeMap<Reason, u64>) -> String {
    let mut all: Vec<_> = by.iter().filter(|(reason, _)| reason.is_error()).collect();
    all.sort_by_key(|(_, n)| Reverse(**n));
    let reasons: Vec<&str> = all.iter().map(|(reason, _)| reason.words()).collect();
    format!("the server refused the {what} ({})", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn refusals_are_reported_with_their_reasons() {
        let counters = Counters::default();
        let mqtt = &counters.mqtt;
        mqtt.accepted.add(7);
        for reason in [Reason::Success, Reason::Busy, Reason::Busy, Reason::Banned] {
            mqtt.connack(reason);
        }
        for _ in 0..3 {
            mqtt.violation(Violation::Refused);
        }
        mqtt.violation(Violation::ZeroId);
        mqtt.sent(Qos::ExactlyOnce, 5);
        let summary = MqttSummary::of(&counters.read());
        let found: Vec<_> = summary
            .violations()
            .into_iter()
            .map(|v| (v.violation, v.words, v.connections))
            .collect();
        let refused = "the server refused the connection (server busy, banned)";
        let broke = "the peer broke the MQTT protocol: packet identifier 0";
        assert_eq!(
            found,
            [
                ("refused", refused.to_owned(), 3),
                ("zero_id", broke.to_owned(), 1)
            ]
        );
        let rows: Vec<_> = summary
            .rows(10)
            .into_iter()
            .map(|row| (row.label, row.value, row.note))
            .collect();
        let row = |label, value: &str, note: &str| (label, value.to_owned(), note.to_owned());
        assert_eq!(
            rows,
            [
                row("accepted", "7", "of 10 connections"),
                row("published", "5", "QoS 2, exactly once"),
                row("CONNACK", "2", "server busy"),
                row("CONNACK", "1", "banned"),
                row("violated", "3", "the server refused the connection"),
                row("violated", "1", "packet identifier 0"),
            ]
        );
    }
}
