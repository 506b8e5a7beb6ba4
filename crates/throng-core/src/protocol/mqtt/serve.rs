//! A server that acknowledges everything, and routes nothing: what is published to [`ECHO`] comes back to the connection that
//! published it, if it has subscribed to that.

use super::counts::Qos;
use super::decoder::{Decoder, ECHO, Event, Packet, Publish};
use super::packet::{self, Ack, Connect, ConnectError};
use super::reason::Reason;
use super::violation::Violation;
use crate::behaviour::{At, Behaviour, Outbox, Task, Transmit};
use crate::partials::Partials;
use crate::protocol::facts::Serves;
use crate::protocol::lingering::Lingering;
use crate::stats::Closed;
use std::time::Duration;

/// How long a client may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Acknowledges everything.
#[derive(Debug, Default)]
pub struct MqttServer {
    partials: Partials,
}

/// What is kept for each connection: 32 bytes.
#[derive(Debug, Default)]
pub struct ServedConn {
    decoder: Decoder,
    /// The packet identifier of the last echo.
    id: u16,
    /// The client's keep alive in seconds; 0 for none.
    keep_alive: u16,
    stage: Stage,
    v5: bool,
    /// The QoS at which the client has subscribed to [`ECHO`], and one more; 0 if it has not.
    granted: u8,
    /// Whether the message under way is sent back.
    echoes: bool,
    /// Whether something arrived since the keep alive was last checked.
    heard: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// CONNECT has not arrived.
    #[default]
    Opened,
    /// The client is connected.
    Connected,
    /// The client was refused: it was told why, and what it still sends is discarded.
    Refused(Lingering),
    /// It left, or is closed.
    Over,
}

impl MqttServer {
    /// Reads packets, and writes what answers them to `out`.
    fn read(
        &mut self,
        conn: &mut ServedConn,
        mut input: &[u8],
        at: &At,
        out: &mut Outbox,
    ) -> Result<(), Violation> {
        let mqtt = &at.counters.mqtt;
        while matches!(conn.stage, Stage::Opened | Stage::Connected) {
            let event = conn.decoder.next(&mut input, conn.v5, &mut self.partials);
            let event = match (event, conn.stage) {
                (Err(_), Stage::Opened) => return Err(Violation::NotMqtt),
                (event, _) => event?,
            };
            let Some(event) = event else { return Ok(()) };
            match event {
                Event::Packet(Packet::Connect, body) if conn.stage == Stage::Opened => {
                    connect(conn, &body, at, out)?;
                }
                _ if conn.stage == Stage::Opened => return Err(Violation::NotMqtt),
                Event::Publish(publish) => {
                    mqtt.duplicates.add(publish.dup.into());
                    conn.echoes = publish.echo && conn.granted > 0;
                    if conn.echoes {
                        echo(conn, &publish, at, &mut out.bytes);
                    }
                }
                Event::Payload(bytes) if conn.echoes => out.bytes.extend_from_slice(bytes),
                Event::Payload(_) => {}
                Event::Published(Publish { qos, id, .. }) => {
                    at.counters.messages_received.add(1);
                    if let Some(qos) = Qos::of(qos) {
                        mqtt.received(qos);
                        match qos {
                            Qos::AtMostOnce => {}
                            Qos::AtLeastOnce => Ack::write(Packet::Puback, id, &mut out.bytes),
                            Qos::ExactlyOnce => Ack::write(Packet::Pubrec, id, &mut out.bytes),
                        }
                    }
                }
                Event::Packet(Packet::Puback | Packet::Pubcomp, body) => {
                    mqtt.ack(Reason::of(Ack::read(&body, conn.v5)?.code));
                }
                Event::Packet(Packet::Pubrec, body) => {
                    let ack = Ack::read(&body, conn.v5)?;
                    match Reason::of(ack.code).is_error() {
                        true => mqtt.ack(Reason::of(ack.code)),
                        false => Ack::write(Packet::Pubrel, ack.id, &mut out.bytes),
                    }
                }
                Event::Packet(Packet::Pubrel, body) => {
                    let ack = Ack::read(&body, conn.v5)?;
                    Ack::write(Packet::Pubcomp, ack.id, &mut out.bytes);
                }
                Event::Packet(packet @ (Packet::Subscribe | Packet::Unsubscribe), body) => {
                    subscribe(conn, packet, &body, at, &mut out.bytes)?;
                }
                Event::Packet(Packet::Pingreq, _) => {
                    out.bytes.extend_from_slice(&[Packet::Pingresp.first(), 0]);
                }
                Event::Packet(Packet::Disconnect, body) => {
                    mqtt.disconnect(packet::disconnect(&body, conn.v5)?);
                    conn.stage = Stage::Over;
                    out.close = true;
                }
                Event::Packet(..) => return Err(Violation::Unexpected),
            }
        }
        Ok(())
    }

    /// Tells the client why, discards what it still sends, and closes the connection.
    fn refuse(&mut self, conn: &mut ServedConn, why: Violation, at: &At, out: &mut Outbox) {
        at.counters.mqtt.violation(why);
        conn.decoder.end(&mut self.partials);
        // A client of MQTT 3.1.1 is told nothing, and in the middle of an echo it would not understand.
        if conn.stage == Stage::Connected && conn.v5 && !conn.echoes {
            packet::write_disconnect(why.reason().0, true, &mut out.bytes);
        }
        conn.stage = Stage::Refused(Lingering::begin(at, out));
    }
}

/// A client connects.
fn connect(conn: &mut ServedConn, body: &[u8], at: &At, out: &mut Outbox) -> Result<(), Violation> {
    let mqtt = &at.counters.mqtt;
    let mut connack = |conn: &ServedConn, reason: Reason, code: u8| {
        mqtt.connack(reason);
        let rest = if conn.v5 {
            &[3, 0, code, 0][..]
        } else {
            &[2, 0, code]
        };
        out.bytes.push(Packet::Connack.first());
        out.bytes.extend_from_slice(rest);
    };
    match Connect::read(body) {
        Ok(connect) => {
            conn.v5 = connect.v5;
            if connect.nameless_session {
                connack(conn, Reason::ClientId, 2);
                return Err(Violation::Refused);
            }
            connack(conn, Reason::Success, 0);
            mqtt.accepted.add(1);
            conn.keep_alive = connect.keep_alive;
            conn.stage = Stage::Connected;
            out.wake = next_check(conn).map(|after| at.now + after);
            Ok(())
        }
        // In the words of MQTT 3.1.1, which any client understands.
        Err(ConnectError::Version) => {
            connack(conn, Reason::Version, 1);
            Err(Violation::Refused)
        }
        Err(ConnectError::Violation(violation)) => Err(violation),
    }
}

/// When to check whether the client was heard: it may be silent for one and a half times its keep alive (MQTT 5.0, section
/// 3.1.2.10).
fn next_check(conn: &ServedConn) -> Option<Duration> {
    let most = Duration::from_secs(conn.keep_alive.into()) * 3 / 2;
    (!most.is_zero()).then_some(most)
}

/// Writes the head of a message that is sent back.
fn echo(conn: &mut ServedConn, publish: &Publish, at: &At, out: &mut Vec<u8>) {
    let qos = publish.qos.min(conn.granted - 1);
    let head = 2 + ECHO.len() + if qos > 0 { 2 } else { 0 } + usize::from(conn.v5);
    let first = Packet::Publish.first() | qos << 1;
    packet::write_head(first, head + publish.payload as usize, out);
    out.extend((ECHO.len() as u16).to_be_bytes());
    out.extend_from_slice(ECHO);
    if qos > 0 {
        conn.id = conn.id.checked_add(1).unwrap_or(1);
        out.extend(conn.id.to_be_bytes());
    }
    if conn.v5 {
        out.push(0);
    }
    at.counters.messages_sent.add(1);
    if let Some(qos) = Qos::of(qos) {
        at.counters.mqtt.sent(qos, 1);
    }
}

/// A client subscribes or unsubscribes.
fn subscribe(
    conn: &mut ServedConn,
    packet: Packet,
    body: &[u8],
    at: &At,
    out: &mut Vec<u8>,
) -> Result<(), Violation> {
    let mut codes = Vec::new();
    let (mut granted, v5) = (conn.granted, conn.v5);
    let id = packet::filters(packet, body, v5, |filter, qos| {
        let is = filter == ECHO;
        match packet {
            Packet::Subscribe => {
                granted = if is { qos + 1 } else { granted };
                codes.push(qos);
            }
            _ => {
                let had = is && granted > 0;
                granted = if is { 0 } else { granted };
                codes.push(if had { 0 } else { 0x11 });
            }
        }
    })?;
    conn.granted = granted;
    let (answer, codes) = match packet {
        Packet::Subscribe => {
            for code in &codes {
                at.counters.mqtt.suback(Reason::of(*code));
            }
            at.counters.mqtt.subscribed.add(1);
            (Packet::Suback, codes)
        }
        // MQTT 3.1.1 has no codes there.
        _ if v5 => (Packet::Unsuback, codes),
        _ => (Packet::Unsuback, Vec::new()),
    };
    let length = 2 + usize::from(v5) + codes.len();
    packet::write_head(answer.first(), length, out);
    out.extend(id.to_be_bytes());
    if v5 {
        out.push(0);
    }
    out.extend(codes);
    Ok(())
}

impl Behaviour for MqttServer {
    type Conn = ServedConn;

    fn opened(&mut self, conn: &mut ServedConn, at: &At, out: &mut Outbox) {
        *conn = ServedConn::default();
        out.wake = Some(at.now + CONNECT_TIMEOUT);
    }

    fn received(&mut self, conn: &mut ServedConn, bytes: &[u8], at: &At, out: &mut Outbox) {
        conn.heard = true;
        if let Stage::Refused(lingering) = &mut conn.stage {
            lingering.heard();
        }
        if let Err(violation) = self.read(conn, bytes, at, out) {
            self.refuse(conn, violation, at, out);
        }
        if !out.bytes.is_empty() {
            out.send = Transmit::Reply;
        }
    }

    fn woken(&mut self, conn: &mut ServedConn, at: &At, out: &mut Outbox) {
        match &mut conn.stage {
            Stage::Refused(lingering) => lingering.look(at, out),
            Stage::Opened => self.refuse(conn, Violation::TimedOut, at, out),
            Stage::Connected if conn.heard => {
                conn.heard = false;
                out.wake = next_check(conn).map(|after| at.now + after);
            }
            Stage::Connected => {
                at.counters.mqtt.violation(Violation::Silent);
                if conn.v5 && !conn.echoes {
                    packet::write_disconnect(Violation::Silent.reason().0, true, &mut out.bytes);
                    out.send = Transmit::Reply;
                }
                conn.stage = Stage::Over;
                out.close = true;
            }
            Stage::Over => out.close = true,
        }
    }

    fn closed(&mut self, conn: &mut ServedConn, _: Closed, _: &At) {
        conn.decoder.reset(&mut self.partials);
    }
}

/// Acknowledges everything.
pub struct Mqtt;

impl Serves for Mqtt {
    const NAME: &'static str = "mqtt";
    const ABOUT: &'static str =
        "MQTT: acknowledge everything; what is published to $SYS/echo comes back";
    type Behaviour = MqttServer;

    fn behaviour(_: Task) -> MqttServer {
        MqttServer::default()
    }
}

#[cfg(test)]
mod tests;
