//! The packets of a run as messages: what differs between connections is rendered when they are sent.

use super::asked::MqttAsked;
use super::counts::Qos;
use super::decoder::Packet;
use super::packet::{LEVEL_3_1_1, LEVEL_5, NAME, flags, property};
use super::topic::{Filter, Text, Topic};
use super::wire::SUBSCRIPTIONS;
use crate::payload::{Message, Part, Size};
use std::time::Duration;

fn packet(first: u8, parts: Vec<Part>) -> Message {
    let rest = Message::joined(parts).parts;
    Message {
        parts: vec![Part::Bytes(vec![first]), Part::Sized(Size::Varint, rest)],
    }
}

fn string(text: &Text) -> Part {
    Part::Sized(Size::TwoBytes, text.parts().to_vec())
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The packet that connects. Without a client identifier of the user's, `run` tells those of this run from others.
pub(super) fn connect(asked: &MqttAsked, run: u64) -> Message {
    let v5 = asked.is_v5();
    let mut all = 0;
    let mut flag = |is: bool, flag: u8| all |= if is { flag } else { 0 };
    flag(!asked.keep_session, flags::CLEAN);
    flag(asked.username.is_some(), flags::USER_NAME);
    flag(asked.password.is_some(), flags::PASSWORD);
    if let Some(will) = &asked.will {
        flag(true, flags::WILL);
        flag(true, will.qos.number() << flags::WILL_QOS_SHIFT);
        flag(asked.will_retain, flags::WILL_RETAIN);
    }
    let keep_alive = seconds(asked.keep_alive).min(u16::MAX.into()) as u16;
    let mut head = vec![0, NAME.len() as u8];
    head.extend_from_slice(NAME);
    head.push(if v5 { LEVEL_5 } else { LEVEL_3_1_1 });
    head.push(all);
    head.extend(keep_alive.to_be_bytes());
    if v5 {
        match asked.session_expiry {
            Some(time) => {
                let expiry = seconds(time).min(u32::MAX.into()) as u32;
                head.extend([5, property::SESSION_EXPIRY]);
                head.extend(expiry.to_be_bytes());
            }
            None => head.push(0),
        }
    }
    let mut parts = vec![Part::Bytes(head)];
    parts.push(match &asked.client_id {
        Some(id) => string(id),
        // At most 23 letters and digits, which every server accepts (MQTT 3.1.1, section 3.1.3.1).
        None => Part::Sized(
            Size::TwoBytes,
            vec![
                Part::Bytes(format!("throng{:06x}x", run & 0xff_ffff).into_bytes()),
                Part::Uid { modulo: Vec::new() },
            ],
        ),
    });
    if let Some(Topic { topic, .. }) = &asked.will {
        if v5 {
            parts.push(Part::Bytes(vec![0]));
        }
        parts.push(string(topic));
        parts.push(match &asked.will_message {
            Some(message) => string(message),
            None => Part::Bytes(vec![0, 0]),
        });
    }
    parts.extend(asked.username.iter().map(string));
    parts.extend(asked.password.iter().map(string));
    packet(Packet::Connect.first(), parts)
}

/// The packet that subscribes to `filters`.
pub(super) fn subscribe(filters: &[Filter], v5: bool) -> Message {
    let mut parts = vec![Part::Bytes(SUBSCRIPTIONS.to_be_bytes().to_vec())];
    if v5 {
        parts.push(Part::Bytes(vec![0]));
    }
    for Filter { filter, qos } in filters {
        parts.push(string(filter));
        parts.push(Part::Bytes(vec![qos.number()]));
    }
    packet(Packet::Subscribe.first(), parts)
}

/// The packet that publishes `payload` to `topic`.
pub(super) fn publish(asked: &MqttAsked, topic: &Topic, payload: &[Part]) -> Message {
    let mut parts = vec![string(&topic.topic)];
    if topic.qos != Qos::AtMostOnce {
        parts.push(Part::MessageId);
    }
    if asked.is_v5() {
        parts.push(Part::Bytes(vec![0]));
    }
    if asked.numbered {
        parts.push(Part::Number);
    }
    parts.extend_from_slice(payload);
    let flags = topic.qos.number() << 1 | u8::from(asked.retain);
    packet(Packet::Publish.first() | flags, parts)
}
