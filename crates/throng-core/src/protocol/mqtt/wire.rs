//! MQTT as the wire of a load, on the client's side. The script of a load has written its messages; this connects and
//! subscribes, keeps the connection alive, and acknowledges what arrives.

use super::counts::Qos;
use super::decoder::{Decoder, Event, Packet, Publish};
use super::deliveries::{Deliveries, Published};
use super::packet::{self, Ack, Connack};
use super::reason::Reason;
use super::violation::Violation;
use crate::behaviour::{At, Received, Receiver, TaggedReply, Traffic, Wire};
use crate::partials::Partials;
use crate::payload::Script;
use crate::protocol::pings::{Pinged, Pings};
use crate::stats::{Closed, Durations, Measured};
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// The packet identifier of the subscriptions. They are acknowledged before a message is sent, so no message has it then.
pub(super) const SUBSCRIPTIONS: u16 = 1;

/// What holds for all connections of a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether MQTT 5.0 is spoken, not 3.1.1.
    pub v5: bool,
    /// The packet that connects.
    pub connect: Script,
    /// The packet that subscribes, and the QoS that it asks for, for each topic filter.
    pub subscribe: Option<(Script, Vec<u8>)>,
    /// The QoS of messages, and whether the server retains them, if any are sent.
    pub publish: Option<(Qos, bool)>,
    /// How often a ping is sent.
    pub keep_alive: Option<Duration>,
    /// The seed of messages' numbers and what was published, if messages have numbers.
    pub numbered: Option<(u64, Arc<Published>)>,
}

/// The client side of MQTT.
#[derive(Debug)]
pub struct MqttClient<D = ()> {
    rules: Rules,
    partials: Partials,
    deliveries: D,
}

/// What is kept for each connection: 36 bytes, and what is kept of numbers.
#[derive(Debug, Default)]
pub struct MqttConn<D = ()> {
    deliveries: D,
    decoder: Decoder,
    /// When the step of the handshake began that is under way: microseconds since the run began, modulo 2^32.
    since_us: u32,
    /// Messages of QoS 1 and 2 that are not acknowledged.
    in_flight: u16,
    /// How many may be, as the server says.
    most: u16,
    /// The server's keep alive in seconds; 0 for our own.
    keep_alive: u16,
    pinged: Pinged,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// CONNECT was sent.
    #[default]
    Connecting,
    /// SUBSCRIBE was sent.
    Subscribing,
    /// Messages may be sent.
    Ready,
    /// Nothing more is sent or read.
    Over,
}

/// Why nothing more is read.
enum End {
    Violation(Violation),
    /// The server is about to close the connection.
    Left,
}

impl From<Violation> for End {
    fn from(violation: Violation) -> End {
        End::Violation(violation)
    }
}

impl<D: Deliveries> MqttClient<D> {
    /// A client that keeps `rules`, and checks numbers with `deliveries`.
    pub fn new(rules: Rules, deliveries: D) -> MqttClient<D> {
        MqttClient {
            rules,
            partials: Partials::default(),
            deliveries,
        }
    }

    /// The pings of a connection: as often as was asked for, and as the server wants them.
    fn pings(&self, conn: &MqttConn<D::Conn>) -> Option<Pings> {
        let servers = Duration::from_secs(conn.keep_alive.into());
        let interval = match (self.rules.keep_alive, conn.keep_alive) {
            (Some(own), 0) => own,
            (Some(own), _) => own.min(servers),
            (None, 0) => return None,
            (None, _) => servers,
        };
        Some(Pings::every(interval))
    }

    /// Reads packets. What is in them goes to `to`, and what they ask for to `out`.
    fn read(
        &mut self,
        conn: &mut MqttConn<D::Conn>,
        (uid, mut input): (u64, &[u8]),
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
        received: &mut Received,
    ) -> Result<(), End> {
        let mqtt = &at.counters.mqtt;
        let v5 = self.rules.v5;
        loop {
            let event = conn.decoder.next(&mut input, v5, &mut self.partials);
            let event = match (event, conn.stage) {
                // Whatever it is, it is none that connects.
                (Err(_), Stage::Connecting) => return Err(Violation::NotMqtt.into()),
                (event, _) => event?,
            };
            let Some(event) = event else { return Ok(()) };
            match event {
                Event::Packet(Packet::Connack, body) if conn.stage == Stage::Connecting => {
                    let connack = Connack::read(&body, v5)?;
                    self.connected(conn, &connack, uid, at, out, to)?;
                    received.ready |= conn.stage == Stage::Ready;
                }
                _ if conn.stage == Stage::Connecting => return Err(Violation::NotMqtt.into()),
                Event::Publish(publish) => {
                    mqtt.duplicates.add(publish.dup.into());
                    mqtt.retained.add(publish.retain.into());
                    self.deliveries.begins(&mut conn.deliveries, publish.retain);
                }
                Event::Payload(bytes) => {
                    self.deliveries.payload(&mut conn.deliveries, bytes);
                    to.payload(bytes);
                }
                Event::Published(Publish { qos, id, .. }) => {
                    received.messages += 1;
                    to.message_ended();
                    self.deliveries.ended(&mut conn.deliveries, qos > 0, at);
                    if let Some(qos) = Qos::of(qos) {
                        mqtt.received(qos);
                        match qos {
                            Qos::AtMostOnce => {}
                            Qos::AtLeastOnce => Ack::write(Packet::Puback, id, out),
                            Qos::ExactlyOnce => Ack::write(Packet::Pubrec, id, out),
                        }
                    }
                }
                Event::Packet(Packet::Suback, body) => {
                    self.subscribed(conn, (uid, &body), at, to)?;
                    received.ready = true;
                }
                Event::Packet(Packet::Puback | Packet::Pubcomp, body) => {
                    acknowledged(conn, Ack::read(&body, v5)?, at, to);
                }
                Event::Packet(Packet::Pubrec, body) => {
                    let ack = Ack::read(&body, v5)?;
                    match Reason::of(ack.code).is_error() {
                        true => acknowledged(conn, ack, at, to),
                        false => Ack::write(Packet::Pubrel, ack.id, out),
                    }
                }
                Event::Packet(Packet::Pubrel, body) => {
                    Ack::write(Packet::Pubcomp, Ack::read(&body, v5)?.id, out);
                }
                Event::Packet(Packet::Pingresp, _) => match self.pings(conn) {
                    Some(pings) => pings.received(&mut conn.pinged, (at, uid), None, to),
                    None => at.counters.pongs_unasked.add(1),
                },
                Event::Packet(Packet::Disconnect, body) if v5 => {
                    mqtt.disconnect(packet::disconnect(&body, v5)?);
                    return Err(End::Left);
                }
                Event::Packet(..) => return Err(Violation::Unexpected.into()),
            }
        }
    }

    /// The server has answered CONNECT.
    fn connected(
        &mut self,
        conn: &mut MqttConn<D::Conn>,
        connack: &Connack,
        uid: u64,
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        let mqtt = &at.counters.mqtt;
        mqtt.connack(connack.reason);
        if connack.reason != Reason::Success {
            return Err(Violation::Refused);
        }
        mqtt.accepted.add(1);
        mqtt.sessions.add(connack.session_present.into());
        to.took(connack_took, since(conn, at));
        conn.most = connack.receive_maximum;
        conn.keep_alive = connack.keep_alive;
        if let Some(pings) = self.pings(conn) {
            conn.pinged = pings.begin(at.id, at.now);
        }
        if let Some((qos, retain)) = self.rules.publish {
            let unsupported = if qos.number() > connack.maximum_qos {
                Some(Violation::QosUnsupported)
            } else {
                (retain && !connack.retains).then_some(Violation::RetainUnsupported)
            };
            if let Some(unsupported) = unsupported {
                conn.stage = Stage::Ready;
                return Err(unsupported);
            }
        }
        match &self.rules.subscribe {
            None => {
                conn.stage = Stage::Ready;
                self.deliveries.ready(&mut conn.deliveries, uid, false, at);
            }
            Some((subscribe, _)) => {
                conn.stage = Stage::Subscribing;
                conn.since_us = us(at.now);
                subscribe.append_first(uid, out);
            }
        }
        Ok(())
    }

    /// The server has answered SUBSCRIBE.
    fn subscribed(
        &mut self,
        conn: &mut MqttConn<D::Conn>,
        (uid, body): (u64, &[u8]),
        at: &At,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        let mqtt = &at.counters.mqtt;
        let (id, codes) = packet::suback(body, self.rules.v5)?;
        let asked = self
            .rules
            .subscribe
            .as_ref()
            .map_or(&[][..], |(_, qos)| qos);
        if conn.stage != Stage::Subscribing || id != SUBSCRIPTIONS || codes.len() != asked.len() {
            return Err(Violation::Suback);
        }
        for code in codes {
            mqtt.suback(Reason::of(*code));
        }
        if codes.iter().any(|code| Reason::of(*code).is_error()) {
            return Err(Violation::SubscriptionRefused);
        }
        mqtt.subscribed.add(1);
        let less = codes
            .iter()
            .zip(asked)
            .any(|(granted, asked)| granted < asked);
        mqtt.granted_less.add(less.into());
        to.took(suback_took, since(conn, at));
        conn.stage = Stage::Ready;
        self.deliveries.ready(&mut conn.deliveries, uid, true, at);
        Ok(())
    }
}

fn connack_took(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.mqtt.connack
}

fn suback_took(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.mqtt.suback
}

fn us(now: Time) -> u32 {
    (now.0 / 1000) as u32
}

/// When the step of the handshake began that is under way.
fn since<D>(conn: &MqttConn<D>, at: &At) -> Time {
    let took_us = us(at.now).wrapping_sub(conn.since_us);
    Time(at.now.0.saturating_sub(u64::from(took_us) * 1000))
}

/// A message will not be heard of again.
fn acknowledged<D>(conn: &mut MqttConn<D>, ack: Ack, at: &At, to: &mut impl Receiver) {
    let reply = TaggedReply {
        id: ack.id,
        code: ack.code,
        truncated: false,
    };
    if to.reply(&reply) {
        at.counters.mqtt.ack(Reason::of(ack.code));
        conn.in_flight = conn.in_flight.saturating_sub(1);
    }
}

impl<D: Deliveries> Wire for MqttClient<D> {
    type Conn = MqttConn<D::Conn>;
    const MESSAGES: bool = true;

    fn opened(&mut self, conn: &mut Self::Conn, uid: u64, at: &At, out: &mut Vec<u8>) -> bool {
        conn.since_us = us(at.now);
        self.rules.connect.append_first(uid, out);
        false
    }

    #[inline]
    fn is_ready(&self, conn: &Self::Conn) -> bool {
        conn.stage == Stage::Ready
    }

    #[inline]
    fn room(&self, conn: &Self::Conn, _: u64) -> u32 {
        match self.rules.publish {
            Some((Qos::AtMostOnce, _)) => u32::MAX,
            _ => conn.most.saturating_sub(conn.in_flight).into(),
        }
    }

    #[inline]
    fn sending(&mut self, conn: &mut Self::Conn, messages: u32, at: &At) {
        if let Some((qos, _)) = self.rules.publish {
            at.counters.mqtt.sent(qos, messages.into());
            self.deliveries.sending(&mut conn.deliveries, messages, at);
            if qos != Qos::AtMostOnce {
                conn.in_flight = conn.in_flight.saturating_add(messages as u16);
            }
        }
    }

    #[inline]
    fn begun(&self, conn: &Self::Conn) -> u32 {
        self.deliveries.begun(&conn.deliveries)
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.deliveries.traffic(traffic, now);
    }

    fn received(
        &mut self,
        conn: &mut Self::Conn,
        uid: u64,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        let mut received = Received::default();
        let Err(end) = self.read(conn, (uid, bytes), at, out, to, &mut received) else {
            return received;
        };
        received.ready = false;
        let connected = conn.stage != Stage::Connecting;
        conn.decoder.end(&mut self.partials);
        conn.stage = Stage::Over;
        match end {
            End::Left => received.leaving = true,
            End::Violation(violation) => {
                at.counters.mqtt.violation(violation);
                if connected {
                    packet::write_disconnect(violation.reason().0, self.rules.v5, out);
                }
                // The server gets the reason before the connection is gone.
                received.leaving = connected;
                received.broken = connected;
                received.over = !connected;
            }
        }
        received
    }

    fn farewell(&mut self, conn: &mut Self::Conn, out: &mut Vec<u8>) -> bool {
        if matches!(conn.stage, Stage::Subscribing | Stage::Ready) {
            packet::write_disconnect(0, self.rules.v5, out);
        }
        // The client closes the connection (MQTT 5.0, section 3.14.4).
        false
    }

    fn wake(&self, conn: &Self::Conn, at: &At) -> Option<Time> {
        if !self.is_ready(conn) {
            return None;
        }
        Some(self.pings(conn)?.next(conn.pinged, at.id, at.now))
    }

    fn woken(
        &mut self,
        conn: &mut Self::Conn,
        uid: u64,
        at: &At,
        out: &mut Vec<u8>,
        measured: &mut Measured,
    ) {
        let Some(pings) = self.pings(conn).filter(|_| self.is_ready(conn)) else {
            return;
        };
        pings.send(&mut conn.pinged, (at, uid), measured, |_| {
            out.extend_from_slice(&[Packet::Pingreq.first(), 0]);
        });
    }

    fn closed(
        &mut self,
        conn: &mut Self::Conn,
        why: Closed,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        if let Some(pings) = self.pings(conn) {
            pings.closed(conn.pinged, why, at, measured);
        }
        self.deliveries.closed(&mut conn.deliveries, why, at);
        conn.decoder.reset(&mut self.partials);
        *conn = MqttConn::default();
        0
    }
}

#[cfg(test)]
mod tests;
