//! What is counted of MQTT.

use super::reason::{OfAck, OfConnack, OfDisconnect, OfSuback, Reason};
use super::violation::Violation;
use crate::stats::counter::counts;
use crate::stats::kinds;

kinds! {
    /// The quality of service of a message (MQTT 5.0, section 4.3).
    pub enum Qos {
        /// At most once.
        AtMostOnce: "0", "QoS 0, at most once";
        /// At least once.
        AtLeastOnce: "1", "QoS 1, at least once";
        /// Exactly once.
        ExactlyOnce: "2", "QoS 2, exactly once";
    }
}

impl Qos {
    /// The QoS with this number, as far as there is one.
    pub fn of(number: u8) -> Option<Qos> {
        Qos::ALL.get(usize::from(number)).copied()
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

counts! {
    /// One worker's counts of MQTT.
    pub struct Counters {
        /// Connections that the server accepted (CONNACK).
        accepted,
        /// Those of which the server had a session.
        sessions,
        /// Connections on which the server granted all subscriptions.
        subscribed,
        /// Those on which it granted a lower QoS than a topic filter asked for.
        granted_less,
        /// Received messages that say that they may have been sent before.
        duplicates,
        /// Received messages that the server had retained.
        retained,
        /// Connections on which the numbers of messages are checked.
        checked,
        /// Those on which a message with a number arrived.
        heard,
        /// Messages with numbers that arrived, each once on a connection.
        arrived,
        /// Messages with numbers that had arrived there before.
        repeated,
        /// Messages with numbers that arrived after later ones of their publisher.
        out_of_order,
        /// Messages with numbers that had not arrived when the connection ended, though later ones of their publisher had.
        lost,
        /// The last messages of publishers, where they had not arrived at the end of the run.
        missing,
        /// Messages whose numbers were not checked, because too many are kept already.
        unchecked,
        /// Connections with messages of QoS 1 or 2 on which some are lost or missing.
        lossy,
    }
    by kind {
        /// Messages that were begun, by QoS.
        sent: Qos,
        /// Messages that arrived, by QoS.
        received: Qos,
        /// Answers to CONNECT, by reason.
        connack: OfConnack,
        /// Topic filters that were answered, by reason.
        suback: OfSuback,
        /// Messages whose acknowledgement is complete, by reason.
        acks: OfAck,
        /// DISCONNECTs of peers, by reason.
        disconnects: OfDisconnect,
        /// Connections on which the peer violated the protocol, by how it did.
        violations: Violation,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts this many messages that were begun with this QoS.
    #[inline]
    pub fn sent(&self, qos: Qos, messages: u64) {
        self.sent[qos as usize].add(messages);
    }

    /// Counts a message that arrived with this QoS.
    #[inline]
    pub fn received(&self, qos: Qos) {
        self.received[qos as usize].add(1);
    }

    /// Counts an answer to CONNECT.
    pub fn connack(&self, reason: Reason) {
        self.connack[OfConnack::place(reason)].add(1);
    }

    /// Counts a topic filter's answer.
    pub fn suback(&self, reason: Reason) {
        self.suback[OfSuback::place(reason)].add(1);
    }

    /// Counts the end of a message's acknowledgement: its PUBACK, PUBCOMP, or PUBREC with an error.
    #[inline]
    pub fn ack(&self, reason: Reason) {
        self.acks[OfAck::place(reason)].add(1);
    }

    /// Counts a DISCONNECT of the peer.
    pub fn disconnect(&self, reason: Reason) {
        self.disconnects[OfDisconnect::place(reason)].add(1);
    }

    /// Counts a peer that violated the protocol, or refused.
    pub fn violation(&self, kind: Violation) {
        self.violations[kind as usize].add(1);
    }
}

impl Tally {
    /// Messages that were begun with this QoS.
    pub fn sent(&self, qos: Qos) -> u64 {
        self.sent[qos as usize]
    }

    /// Messages that arrived with this QoS.
    pub fn received(&self, qos: Qos) -> u64 {
        self.received[qos as usize]
    }

    /// Answers to CONNECT with this reason.
    pub fn connack(&self, reason: Reason) -> u64 {
        self.connack[OfConnack::place(reason)]
    }

    /// Topic filters that were answered so.
    pub fn suback(&self, reason: Reason) -> u64 {
        self.suback[OfSuback::place(reason)]
    }

    /// Messages that were acknowledged so.
    pub fn acks(&self, reason: Reason) -> u64 {
        self.acks[OfAck::place(reason)]
    }

    /// DISCONNECTs of peers with this reason.
    pub fn disconnects(&self, reason: Reason) -> u64 {
        self.disconnects[OfDisconnect::place(reason)]
    }

    /// Connections on which the peer violated the protocol so.
    pub fn violations(&self, kind: Violation) -> u64 {
        self.violations[kind as usize]
    }
}
