//! What a peer did that MQTT does not allow, and refusals.

use super::reason::Reason;
use crate::stats::kinds;

kinds! {
    /// What a peer did that ends the connection, by kind, in the order of counts and reports.
    pub enum Violation {
        /// The server refused the connection (CONNACK).
        Refused: "refused", "the server refused the connection";
        /// The server refused a subscription (SUBACK).
        SubscriptionRefused: "subscription_refused", "the server refused a subscription";
        /// The server takes no messages of the QoS that they are to have (Maximum QoS in CONNACK).
        QosUnsupported: "qos_unsupported", "the server takes no messages of this QoS";
        /// The server takes no messages that it should retain (Retain Available in CONNACK).
        RetainUnsupported: "retain_unsupported", "the server takes no messages that it should retain";
        /// The first packet is none that opens a connection.
        NotMqtt: "not_mqtt", "no MQTT";
        /// A client that did not connect in time.
        TimedOut: "timed_out", "CONNECT timed out";
        /// A client of which nothing was heard for one and a half times its keep alive (3.1.2.10).
        Silent: "silent", "silent for longer than its keep alive";
        /// A packet type that is reserved (2.1.2).
        PacketType: "packet_type", "reserved packet type";
        /// Flags that a packet of this type can't have (2.1.3).
        Flags: "flags", "wrong flags";
        /// A length of more than four bytes (2.1.4).
        Length: "length", "length of more than four bytes";
        /// A packet, other than a message, of more bytes than are accepted.
        LongPacket: "long_packet", "packet too long";
        /// A packet that ends within a field, or has bytes behind its last one.
        Fields: "fields", "fields that do not fit the packet";
        /// A property that the packet can't have (2.2.2).
        Property: "property", "wrong property";
        /// A message with QoS 3, or a repeated one with QoS 0 (3.3.1).
        Qos: "qos", "wrong QoS";
        /// The packet identifier 0 (2.2.1).
        ZeroId: "zero_id", "packet identifier 0";
        /// A message without a topic.
        NoTopic: "no_topic", "message without a topic";
        /// A packet that this side may not receive, or not now.
        Unexpected: "unexpected", "unexpected packet";
        /// An acknowledgement of a subscription that was not requested, or with another number of reasons.
        Suback: "suback", "wrong SUBACK";
    }
}

impl Violation {
    /// The reason of the DISCONNECT that answers it (MQTT 5.0, section 3.14).
    pub fn reason(self) -> (u8, Reason) {
        match self {
            Violation::Refused
            | Violation::SubscriptionRefused
            | Violation::QosUnsupported
            | Violation::RetainUnsupported => (0x00, Reason::Success),
            Violation::Silent => (0x8d, Reason::KeepAlive),
            Violation::LongPacket => (0x95, Reason::TooLarge),
            Violation::NotMqtt
            | Violation::TimedOut
            | Violation::NoTopic
            | Violation::Unexpected
            | Violation::Suback => (0x82, Reason::ProtocolError),
            _ => (0x81, Reason::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_answered_with_a_code_and_its_reason() {
        for violation in Violation::ALL {
            let (code, reason) = violation.reason();
            assert_eq!(Reason::of(code), reason, "{violation:?}");
        }
    }
}
