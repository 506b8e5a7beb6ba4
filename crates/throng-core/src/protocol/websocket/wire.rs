//! WebSocket (RFC 6455) as the wire of a load. The script of a load has framed its messages; this handles the
//! handshake, received frames, pongs and closing.

use super::close;
use super::decoder::{Decoder, Event, Rules};
use super::frame::{self, Mask, Opcode, Role};
use super::handshake::client::{Answered, Failure, Opening};
use super::handshake::server;
use super::violation::Violation;
use crate::behaviour::{At, Received, Receiver, Wire};
use crate::partials::Partials;
use crate::payload::Dice;
use crate::protocol::pings::{Pinged, Pings};
use crate::stats::{Closed, Durations, Measured};
use crate::time::Time;
use std::time::Duration;

/// The wire of WebSocket, for either side.
pub struct WebSocket {
    /// The upgrade requests; none on the accepting side.
    openings: Vec<Opening>,
    /// Chooses the request of a connection by its number.
    choose: Box<dyn Fn(u32) -> usize + Send>,
    rules: Rules,
    partials: Partials,
    /// Scratch memory for unmasked payload.
    scratch: Vec<u8>,
    dice: Dice,
    pings: Option<Pings>,
}

/// What is kept for each connection: 24 bytes.
#[derive(Debug, Default)]
pub struct WebSocketConn {
    decoder: Decoder,
    /// Whether this side has sent its close frame.
    closing: bool,
    pinged: Pinged,
}

impl WebSocket {
    /// The connecting side. `choose` selects the request of a connection among `openings` by its number.
    pub fn client(
        openings: Vec<Opening>,
        seed: u64,
        choose: impl Fn(u32) -> usize + Send + 'static,
    ) -> WebSocket {
        WebSocket {
            openings,
            choose: Box::new(choose),
            ..WebSocket::new(Role::Client, seed)
        }
    }

    /// The accepting side.
    pub fn server(seed: u64) -> WebSocket {
        WebSocket::new(Role::Server, seed)
    }

    /// The same with a ping on each connection every `interval`.
    pub fn pinging(self, interval: Option<Duration>) -> WebSocket {
        WebSocket {
            pings: interval.map(Pings::every),
            ..self
        }
    }

    fn new(role: Role, seed: u64) -> WebSocket {
        WebSocket {
            openings: Vec::new(),
            choose: Box::new(|_| 0),
            rules: Rules::new(role),
            partials: Partials::default(),
            scratch: Vec::new(),
            dice: Dice::of(seed, &[0x6d61_736b]),
            pings: None,
        }
    }

    /// Continues the handshake. Once it is complete, returns the bytes after it.
    fn upgrade<'a>(
        &mut self,
        conn: &mut WebSocketConn,
        uid: u64,
        bytes: &'a [u8],
        at: &At,
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Violation> {
        let (decoder, partials) = (&mut conn.decoder, &mut self.partials);
        let mut asks = false;
        let answered = match self.openings.get((self.choose)(at.id)) {
            Some(opening) => opening
                .answered(uid, decoder, partials, bytes)
                .inspect(|_| asks = opening.asks_for_subprotocols())
                .map_err(|failure| {
                    if let Failure::Status(code) = failure {
                        at.counters.websocket.refused(code);
                    }
                    failure.violation()
                }),
            None => server::receive(decoder, partials, bytes, &[], out)
                .map(|found| found.map(|(used, subprotocol)| Answered { used, subprotocol }))
                .map_err(|refusal| {
                    refusal.answer(out);
                    refusal.violation()
                }),
        };
        let Some(answered) = answered? else {
            return Ok(None);
        };
        at.counters.websocket.upgraded.add(1);
        if asks {
            at.counters.websocket.subprotocol(answered.subprotocol);
        }
        Ok(Some(&bytes[answered.used..]))
    }

    fn frames(
        &mut self,
        conn: &mut WebSocketConn,
        mut input: &[u8],
        (at, uid): (&At, u64),
        received: &mut Received,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        let partials = &mut self.partials;
        while let Some(event) = conn.decoder.next(&mut input, &self.rules, partials)? {
            match event {
                Event::Start(_) => {}
                Event::Pong(pong) => {
                    let Some(pings) = self.pings else { continue };
                    pings.received(&mut conn.pinged, (at, uid), Some(pong.bytes()), to);
                }
                Event::Payload(piece) => to.payload(piece.plain(&mut self.scratch)),
                Event::End { message: false } => {}
                Event::End { message: true } => {
                    received.messages += 1;
                    to.message_ended();
                }
                Event::Ping(ping) => {
                    let mask = mask(self.rules.role, &mut self.dice);
                    frame::whole(Opcode::Pong, ping.bytes(), mask, out);
                }
                Event::Close(close) => {
                    // A close frame is answered. Then the server, and the side that closed first, end the connection
                    // (7.1.1).
                    received.over = conn.closing || self.rules.role == Role::Server;
                    received.leaving = !received.over;
                    if !conn.closing {
                        conn.closing = true;
                        at.counters.websocket.close(close.close_code());
                        let mask = mask(self.rules.role, &mut self.dice);
                        match close.close_code() {
                            Some(code) => frame::close(code, "", mask, out),
                            None => frame::whole(Opcode::Close, &[], mask, out),
                        }
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The mask of a frame that this side sends; a server's frames have none.
fn mask(role: Role, dice: &mut Dice) -> Option<Mask> {
    (role == Role::Client).then(|| Mask((dice.word() as u32).to_ne_bytes()))
}

fn upgrade_took(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.websocket.upgrade
}

impl Wire for WebSocket {
    type Conn = WebSocketConn;
    const MESSAGES: bool = true;

    fn opened(&mut self, _: &mut WebSocketConn, uid: u64, at: &At, out: &mut Vec<u8>) -> bool {
        if let Some(opening) = self.openings.get((self.choose)(at.id)) {
            opening.request(uid, out);
        }
        false
    }

    fn is_ready(&self, conn: &WebSocketConn) -> bool {
        conn.decoder.is_upgraded() && !conn.closing
    }

    fn received(
        &mut self,
        conn: &mut WebSocketConn,
        uid: u64,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        let mut received = Received::default();
        if conn.decoder.is_over() {
            return received;
        }
        let mut outcome = Ok(Some(bytes));
        if !conn.decoder.is_upgraded() {
            outcome = self.upgrade(conn, uid, bytes, at, out);
            received.ready = matches!(outcome, Ok(Some(_)));
            if received.ready && self.rules.role == Role::Client {
                to.opened(upgrade_took);
            }
            if let (true, Some(pings)) = (received.ready, self.pings) {
                conn.pinged = pings.begin(at.id, at.now);
            }
        }
        let outcome = match outcome {
            Ok(Some(input)) => self.frames(conn, input, (at, uid), &mut received, out, to),
            Ok(None) => Ok(()),
            Err(violation) => Err(violation),
        };
        if let Err(violation) = outcome {
            at.counters.websocket.violation(violation);
            conn.decoder.end(&mut self.partials);
            conn.closing = true;
            let mask = mask(self.rules.role, &mut self.dice).unwrap_or_default();
            let before = out.len();
            frame::close_for(violation, self.rules.role, mask, out);
            // A client does not answer a refusal. Otherwise the peer receives the reason.
            received.over = out.len() == before && self.rules.role == Role::Client;
            received.leaving = !received.over;
            received.broken = true;
        }
        received.ready &= !received.over && !received.leaving;
        received
    }

    fn farewell(&mut self, conn: &mut WebSocketConn, out: &mut Vec<u8>) -> bool {
        if !conn.decoder.is_upgraded() || conn.closing {
            return false;
        }
        conn.closing = true;
        let mask = mask(self.rules.role, &mut self.dice);
        frame::close(close::NORMAL, "", mask, out);
        true
    }

    fn wake(&self, conn: &WebSocketConn, at: &At) -> Option<Time> {
        let pings = self.pings.filter(|_| self.is_ready(conn))?;
        Some(pings.next(conn.pinged, at.id, at.now))
    }

    fn woken(
        &mut self,
        conn: &mut WebSocketConn,
        uid: u64,
        at: &At,
        out: &mut Vec<u8>,
        measured: &mut Measured,
    ) {
        let Some(pings) = self.pings.filter(|_| self.is_ready(conn)) else {
            return;
        };
        pings.send(&mut conn.pinged, (at, uid), measured, |payload| {
            let mask = mask(self.rules.role, &mut self.dice);
            frame::whole(Opcode::Ping, payload, mask, out);
        });
    }

    fn closed(
        &mut self,
        conn: &mut WebSocketConn,
        why: Closed,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        if let Some(pings) = self.pings {
            pings.closed(conn.pinged, why, at, measured);
        }
        conn.decoder.reset(&mut self.partials);
        0
    }
}

#[cfg(test)]
mod tests;
