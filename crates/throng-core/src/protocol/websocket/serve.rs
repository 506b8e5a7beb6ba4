//! A WebSocket server: echoes messages, or discards them.
//!
//! Echoes go back as their messages arrive. A frame's header is sent as soon as it is received, and the payload follows
//! in the pieces in which it arrives, so that no message needs a buffer, and fragments stay as the client made them.
//! There is one exception: a text frame that did not arrive at once is echoed as several fragments, one per piece. Its
//! text may still turn out not to be UTF-8, and a close frame can only be sent between frames.
//!
//! Replies keep the order of what they answer, and a client can't send a ping inside a frame, so a pong never falls
//! inside a frame that is half echoed.
//!
//! A peer that violated the protocol gets a close frame, and is left by way of [`Lingering`].

use super::decoder::{Decoder, Event, Rules, Start};
use super::frame::{self, Header, Mask, Opcode, Role};
use super::handshake::server::{self, Refusal};
use super::subprotocol::Subprotocol;
use super::violation::Violation;
use crate::behaviour::{At, Behaviour, Outbox, Task, Transmit};
use crate::partials::Partials;
use crate::protocol::facts::Serves;
use crate::protocol::lingering::Lingering;
use crate::stats::Closed;
use std::time::Duration;

/// The time that a client has for its handshake, from when the connection was established.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsMode {
    /// Sends each message back.
    Echo,
    /// Discards messages.
    Sink,
}

/// Accepts upgrades on any path, answers pings and close frames, and closes connections with the right code if the peer
/// violates the protocol.
#[derive(Debug)]
pub struct WsServer {
    mode: WsMode,
    rules: Rules,
    partials: Partials,
    subprotocols: Vec<Subprotocol>,
}

/// The state of a connection: 24 bytes.
#[derive(Debug, Default)]
pub struct WsConn {
    decoder: Decoder,
    doing: Doing,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doing {
    /// The data frame under way is echoed as one frame, whose header was sent.
    #[default]
    Whole,
    /// Each piece of the data frame is echoed as a fragment. `opcode` is that of the next one, `fin` that of the last.
    Pieces { opcode: Opcode, fin: bool },
    /// The last frame was sent, and received bytes are discarded.
    Leaving(Lingering),
}

/// Answers a handshake that is refused, and leaves.
fn refuse(refusal: Refusal, conn: &mut WsConn, partials: &mut Partials, at: &At, out: &mut Outbox) {
    at.counters.websocket.violation(refusal.violation());
    conn.decoder.end(partials);
    refusal.answer(&mut out.bytes);
    out.send = Transmit::Reply;
    conn.doing = Doing::Leaving(Lingering::begin(at, out));
}

impl WsServer {
    /// A server that accepts messages of up to `max_message` bytes. With `check_text`, text must be UTF-8.
    pub fn new(mode: WsMode, max_message: u32, check_text: bool) -> WsServer {
        WsServer {
            mode,
            rules: Rules {
                role: Role::Server,
                max_message,
                check_text,
            },
            partials: Partials::default(),
            subprotocols: Vec::new(),
        }
    }

    /// The same with these subprotocols: of those that a client asks for, the first one among them is chosen.
    pub fn choosing(self, subprotocols: Vec<Subprotocol>) -> WsServer {
        WsServer {
            subprotocols,
            ..self
        }
    }

    /// Processes frames, and writes answers to `out`.
    fn frames(
        &mut self,
        conn: &mut WsConn,
        mut input: &[u8],
        at: &At,
        out: &mut Outbox,
    ) -> Result<(), Violation> {
        let WsConn { decoder, doing } = conn;
        // Where in `out` the echo of the frame under way begins, if it arrived at once.
        let mut begun = None;
        loop {
            let event = match decoder.next(&mut input, &self.rules, &mut self.partials) {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(violation) => {
                    if let Some(begun) = begun {
                        out.bytes.truncate(begun);
                    }
                    return Err(violation);
                }
            };
            match event {
                Event::Start(start) if self.mode == WsMode::Echo => {
                    let whole = start.length as usize <= input.len();
                    *doing = if whole || !start.text || !self.rules.check_text {
                        begun = whole.then_some(out.bytes.len());
                        header(start.opcode, start.fin, start.length).encode(&mut out.bytes);
                        Doing::Whole
                    } else {
                        let Start { opcode, fin, .. } = start;
                        Doing::Pieces { opcode, fin }
                    };
                }
                Event::Payload(payload) if self.mode == WsMode::Echo => {
                    if let Doing::Pieces { opcode, fin } = doing {
                        let fin = *fin && decoder.left() == 0;
                        header(*opcode, fin, payload.len() as u32).encode(&mut out.bytes);
                        *opcode = Opcode::Continuation;
                    }
                    payload.append_to(&mut out.bytes);
                }
                Event::Start(_) | Event::Payload(_) => {}
                Event::End { message } => {
                    begun = None;
                    if message {
                        at.counters.messages_received.add(1);
                        if self.mode == WsMode::Echo {
                            at.counters.messages_sent.add(1);
                        }
                    }
                }
                Event::Ping(ping) => {
                    frame::whole(Opcode::Pong, ping.bytes(), None, &mut out.bytes);
                }
                Event::Pong(_) => {}
                Event::Close(close) => {
                    at.counters.websocket.close(close.close_code());
                    match close.close_code() {
                        Some(code) => frame::close(code, "", None, &mut out.bytes),
                        None => frame::whole(Opcode::Close, &[], None, &mut out.bytes),
                    }
                    out.close = true;
                    return Ok(());
                }
            }
        }
    }
}

/// The header of an echo.
fn header(opcode: Opcode, fin: bool, length: u32) -> Header {
    Header {
        fin,
        ..Header::whole(opcode, length.into(), None)
    }
}

impl Behaviour for WsServer {
    type Conn = WsConn;

    fn opened(&mut self, conn: &mut WsConn, at: &At, out: &mut Outbox) {
        *conn = WsConn::default();
        out.wake = Some(at.now + HANDSHAKE_TIMEOUT);
    }

    fn received(&mut self, conn: &mut WsConn, bytes: &[u8], at: &At, out: &mut Outbox) {
        let before = out.bytes.len();
        let mut input = bytes;
        if conn.decoder.is_over() {
            if let Doing::Leaving(lingering) = &mut conn.doing {
                lingering.heard();
            }
            return;
        }
        if !conn.decoder.is_upgraded() {
            let decoder = &mut conn.decoder;
            let known = &self.subprotocols;
            match server::receive(decoder, &mut self.partials, input, known, &mut out.bytes) {
                Ok(None) => return,
                Ok(Some((used, subprotocol))) => {
                    at.counters.websocket.upgraded.add(1);
                    if !known.is_empty() {
                        at.counters.websocket.subprotocol(subprotocol);
                    }
                    input = &input[used..];
                }
                Err(refusal) => return refuse(refusal, conn, &mut self.partials, at, out),
            }
        }
        if let Err(violation) = self.frames(conn, input, at, out) {
            at.counters.websocket.violation(violation);
            frame::close_for(violation, Role::Server, Mask::default(), &mut out.bytes);
            conn.doing = Doing::Leaving(Lingering::begin(at, out));
        }
        if out.bytes.len() > before {
            out.send = Transmit::Reply;
        }
    }

    fn woken(&mut self, conn: &mut WsConn, at: &At, out: &mut Outbox) {
        if let Doing::Leaving(lingering) = &mut conn.doing {
            lingering.look(at, out);
        } else if !conn.decoder.is_upgraded() {
            refuse(Refusal::TimedOut, conn, &mut self.partials, at, out);
        }
    }

    fn closed(&mut self, conn: &mut WsConn, _: Closed, _: &At) {
        conn.decoder.reset(&mut self.partials);
    }
}

/// The longest message that a server accepts, in bytes.
const MAX_MESSAGE: u32 = 64 << 20;

/// Sends each message back.
pub struct Ws;

impl Serves for Ws {
    const NAME: &'static str = "ws";
    const ABOUT: &'static str = "WebSocket: send each message back";
    type Behaviour = WsServer;

    fn behaviour(task: Task) -> WsServer {
        WsServer::new(WsMode::Echo, MAX_MESSAGE, true).choosing(task.subprotocols)
    }
}

/// Counts and discards messages.
pub struct WsSink;

impl Serves for WsSink {
    const NAME: &'static str = "ws-sink";
    const ABOUT: &'static str = "WebSocket: count and discard messages";
    type Behaviour = WsServer;

    fn behaviour(task: Task) -> WsServer {
        WsServer::new(WsMode::Sink, MAX_MESSAGE, true).choosing(task.subprotocols)
    }
}

#[cfg(test)]
mod tests;
