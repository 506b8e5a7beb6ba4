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

/// What became of messages with numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveriesSummary {
    /// Connections with subscriptions.
    pub subscribers: u64,
    /// Those on which no message of the run arrived.
    pub silent: u64,
    /// Messages that arrived, each once on a connection.
    pub arrived: u64,
    /// Messages that had not arrived when the connection ended, though later ones of their publisher had.
    pub lost: u64,
    /// The last messages of publishers, where they had not arrived at the end of the run.
    pub missing: u64,
    /// Messages that had arrived on the connection before.
    pub repeated: u64,
    /// Messages that arrived after later ones of their publisher.
    pub out_of_order: u64,
    /// Messages that were not checked: too many numbers would have to be kept.
    pub unchecked: u64,
    /// Connections with messages of QoS 1 or 2 on which some are lost or missing.
    pub lossy: u64,
}

/// The outcome of MQTT on connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttSummary {
    /// Connections that the server accepted (CONNACK).
    pub accepted: u64,
    /// Those of which the server had a session.
    pub sessions: u64,
    /// Connections on which the server granted all subscriptions (SUBACK).
    pub subscribed: u64,
    /// Those on which it granted a lower QoS than a topic filter asked for (3.8.4).
    pub granted_less: u64,
    /// Messages that were sent, by QoS. A QoS without any is left out.
    pub sent: BTreeMap<Qos, u64>,
    /// Messages that were received, by QoS.
    pub received: BTreeMap<Qos, u64>,
    /// Received messages that say that they may have been sent before (DUP).
    pub duplicates: u64,
    /// Received messages that the server had retained.
    pub retained: u64,
    /// What became of messages with numbers; `None` if there are none.
    pub deliveries: Option<DeliveriesSummary>,
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
            granted_less: mqtt.granted_less,
            sent: occurred(Qos::ALL, |qos| mqtt.sent(qos)),
            received: occurred(Qos::ALL, |qos| mqtt.received(qos)),
            duplicates: mqtt.duplicates,
            retained: mqtt.retained,
            deliveries: DeliveriesSummary::of(tally),
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
        if let Some(deliveries) = &self.deliveries {
            deliveries.rows(&mut rows);
        }
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

    fn settle(&mut self, closed: &Tally) {
        self.deliveries = DeliveriesSummary::of(closed);
    }

    fn shortfalls(&self) -> Vec<Violated> {
        let deliveries = self.deliveries.unwrap_or_default();
        let lossy = deliveries.lossy;
        let lost = Violated {
            violation: "messages_lost",
            words: format!(
                "messages of QoS 1 or 2 did not arrive ({} lost, {} missing at the end)",
                count(deliveries.lost),
                count(deliveries.missing)
            ),
            connections: lossy,
        };
        let less = Violated {
            violation: "granted_less",
            words: "the server granted a lower QoS than was asked for".into(),
            connections: self.granted_less,
        };
        let all = [lost, less];
        all.into_iter().filter(|v| v.connections > 0).collect()
    }

    fn violations(&self) -> Vec<Violated> {
        let violated = |(kind, connections): (&Violation, &u64)| Violated {
            violation: kind.name(),
            words: match kind {
                Violation::Refused => refusal("connection", &self.connack),
                Violation::SubscriptionRefused => refusal("subscription", &self.suback),
                Violation::QosUnsupported | Violation::RetainUnsupported => kind.words().into(),
                _ => format!("the peer broke the MQTT protocol: {}", kind.words()),
            },
            connections: *connections,
        };
        self.violations.iter().map(violated).collect()
    }
}

impl DeliveriesSummary {
    fn of(tally: &Tally) -> Option<DeliveriesSummary> {
        let mqtt = &tally.mqtt;
        (mqtt.checked > 0).then(|| DeliveriesSummary {
            subscribers: mqtt.checked,
            silent: mqtt.checked.saturating_sub(mqtt.heard),
            arrived: mqtt.arrived,
            lost: mqtt.lost,
            missing: mqtt.missing,
            repeated: mqtt.repeated,
            out_of_order: mqtt.out_of_order,
            unchecked: mqtt.unchecked,
            lossy: mqtt.lossy,
        })
    }

    fn rows(&self, rows: &mut Vec<Row>) {
        rows.push(Row::new(
            Tone::Plain,
            "arrived",
            count(self.arrived),
            "messages of this run, by their numbers",
        ));
        let loss = if self.lossy > 0 { Tone::Bad } else { Tone::Odd };
        for (tone, label, n, note) in [
            (
                loss,
                "lost",
                self.lost,
                "later ones of their publisher arrived",
            ),
            (
                loss,
                "missing",
                self.missing,
                "last ones that had not arrived at the end",
            ),
            (
                Tone::Odd,
                "repeated",
                self.repeated,
                "arrived more than once",
            ),
            (
                Tone::Odd,
                "out of order",
                self.out_of_order,
                "arrived after later ones",
            ),
            (
                Tone::Odd,
                "unchecked",
                self.unchecked,
                "too many numbers to keep",
            ),
            (
                Tone::Odd,
                "silent",
                self.silent,
                "connections on which no message of the run arrived",
            ),
        ] {
            if n > 0 {
                rows.push(Row::new(tone, label, count(n), note));
            }
        }
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

    #[test]
    fn messages_that_are_lost_count_against_the_run_where_their_qos_promises_them() {
        let counters = Counters::default();
        let mqtt = &counters.mqtt;
        assert_eq!(MqttSummary::of(&counters.read()).deliveries, None);
        mqtt.checked.add(5);
        mqtt.heard.add(3);
        mqtt.arrived.add(90);
        mqtt.lost.add(2);
        let summary = MqttSummary::of(&counters.read());
        assert!(summary.shortfalls().is_empty());
        assert_eq!(summary.deliveries.map(|d| d.silent), Some(2));
        let rows = summary.rows(0);
        let odd: Vec<_> = rows
            .iter()
            .filter(|row| row.tone == Tone::Odd)
            .map(|row| row.label)
            .collect();
        assert_eq!(odd, ["lost", "silent"]);
        mqtt.lossy.add(1);
        mqtt.granted_less.add(3);
        let found = MqttSummary::of(&counters.read()).shortfalls();
        let told: Vec<_> = found.iter().map(|v| (v.violation, v.connections)).collect();
        assert_eq!(told, [("messages_lost", 1), ("granted_less", 3)]);
    }
}
