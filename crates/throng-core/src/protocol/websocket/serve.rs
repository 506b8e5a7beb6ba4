//! A WebSocket server: echoes messages, or discards them.
//!
//! What is echoed goes back as it comes in. A frame's header is sent as soon as it is there and the payload
//! follows in the pieces in which it arrives, so that no message needs a buffer, and fragments stay as
//! the client made them. One kind is different: a text frame that has not arrived whole is sent back as
//! several fragments, one for each piece. Its text may still turn out not to be UTF-8, and a close frame can
//! only be said between frames.
//!
//! Replies keep the order of what they answer, and a client can't put a ping inside a frame either, so a pong
//! never lands inside a frame that is half echoed.
//!
//! Who broke the protocol may have much more under way. A socket that is closed with bytes unread resets the
//! connection, and the reset overtakes the close frame, so what comes is thrown away until it is quiet.

use super::decoder::{Decoder, Event, Rules, Start};
use super::frame::{self, Header, Mask, Opcode, Role};
use super::handshake::server::{self, Refusal};
use super::violation::Violation;
use crate::behaviour::{At, Behaviour, Outbox, Task, Transmit};
use crate::partials::Partials;
use crate::protocol::facts::Serves;
use crate::stats::Closed;
use std::time::Duration;

/// The time that a client has for its handshake, from when the connection was established.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that has sent nothing for this long has nothing more under way.
const QUIET: Duration = Duration::from_millis(100);
/// After so many of these times the connection is closed even if more keeps coming.
const MOST_LOOKS: u8 = 30;

/// What a server does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsMode {
    /// Sends each back.
    Echo,
    /// Discards them.
    Sink,
}

/// Accepts upgrades on any path, answers pings, closes as it is closed, and closes with the right code
/// on whoever breaks the protocol.
#[derive(Debug)]
pub struct WsServer {
    mode: WsMode,
    rules: Rules,
    partials: Partials,
}

/// What each connection remembers: 24 bytes.
#[derive(Debug, Default)]
pub struct WsConn {
    decoder: Decoder,
    doing: Doing,
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doing {
    /// The data frame that is coming in is echoed as one frame; its header is out.
    #[default]
    Whole,
    /// Each piece of it is echoed as a fragment. `opcode` is for the next one, `fin` for the last.
    Pieces { opcode: Opcode, fin: bool },
    /// The last word is said, and what still comes is thrown away. `heard`: something came since the last
    /// look; `looks`: how often that was found.
    Leaving { heard: bool, looks: u8 },
}

/// Everything is said: close once the peer is quiet.
fn leave(conn: &mut WsConn, at: &At, out: &mut Outbox) {
    conn.doing = Doing::Leaving {
        heard: false,
        looks: 0,
    };
    out.wake = Some(at.now + QUIET);
}

/// Answers a handshake that is refused, and leaves.
fn refuse(refusal: Refusal, conn: &mut WsConn, partials: &mut Partials, at: &At, out: &mut Outbox) {
    at.counters.websocket.violation(refusal.violation());
    conn.decoder.end(partials);
    refusal.answer(&mut out.bytes);
    out.send = Transmit::Reply;
    leave(conn, at, out);
}

impl WsServer {
    /// A server that accepts messages of up to `max_message` bytes; text is checked to be UTF-8 if
    /// `check_text` says so.
    pub fn new(mode: WsMode, max_message: u32, check_text: bool) -> WsServer {
        WsServer {
            mode,
            rules: Rules {
                role: Role::Server,
                max_message,
                check_text,
            },
            partials: Partials::default(),
        }
    }

    /// Takes note of frames, and answers them in `out`.
    fn frames(
        &mut self,
        conn: &mut WsConn,
        mut input: &[u8],
        at: &At,
        out: &mut Outbox,
    ) -> Result<(), Violation> {
        let WsConn { decoder, doing } = conn;
        // Where in `out` the echo of the frame under way begins, if all of it is here.
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
            if let Doing::Leaving { heard, .. } = &mut conn.doing {
                *heard = true;
            }
            return;
        }
        if !conn.decoder.is_upgraded() {
            let decoder = &mut conn.decoder;
            match server::receive(decoder, &mut self.partials, input, &mut out.bytes) {
                Ok(None) => return,
                Ok(Some(used)) => {
                    at.counters.websocket.upgraded.add(1);
                    input = &input[used..];
                }
                Err(refusal) => return refuse(refusal, conn, &mut self.partials, at, out),
            }
        }
        if let Err(violation) = self.frames(conn, input, at, out) {
            at.counters.websocket.violation(violation);
            frame::close_for(violation, Role::Server, Mask::default(), &mut out.bytes);
            leave(conn, at, out);
        }
        if out.bytes.len() > before {
            out.send = Transmit::Reply;
        }
    }

    fn woken(&mut self, conn: &mut WsConn, at: &At, out: &mut Outbox) {
        if let Doing::Leaving { heard, looks } = &mut conn.doing {
            *looks += 1;
            if *heard && *looks < MOST_LOOKS {
                *heard = false;
                out.wake = Some(at.now + QUIET);
            } else {
                out.close = true;
            }
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

    fn behaviour(_: Task) -> WsServer {
        WsServer::new(WsMode::Echo, MAX_MESSAGE, true)
    }
}

/// Counts and discards messages.
pub struct WsSink;

impl Serves for WsSink {
    const NAME: &'static str = "ws-sink";
    const ABOUT: &'static str = "WebSocket: count and discard messages";
    type Behaviour = WsServer;

    fn behaviour(_: Task) -> WsServer {
        WsServer::new(WsMode::Sink, MAX_MESSAGE, true)
    }
}

#[cfg(test)]
mod tests;
