//! Sent bytes: what the inner behaviour sends, encrypted, and the alerts at the end of a connection.

use super::state::{
    CLOSING, COUNTED, OPENED, PEER_CLOSED, PORTION, Phase, SAID_CLOSE, Tls, TlsConn, UNREAD,
};
use crate::cipher::ReadyKeys;
use crate::session::Session;
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::protocol::tls::TlsFailure;

impl<B: Behaviour> Tls<B> {
    pub(super) fn ask(
        &mut self,
        conn: &mut TlsConn<B::Conn>,
        out: &mut Outbox,
        event: impl FnOnce(&mut B, &mut B::Conn, &mut Outbox),
    ) {
        self.ask_with(conn, &[], out, event);
    }

    /// Passes an event to the inner behaviour, and does what it asks for. `plain` is what it received.
    pub(super) fn ask_with(
        &mut self,
        conn: &mut TlsConn<B::Conn>,
        plain: &[u8],
        out: &mut Outbox,
        event: impl FnOnce(&mut B, &mut B::Conn, &mut Outbox),
    ) {
        let mut inner = Outbox {
            bytes: std::mem::take(&mut self.work.bytes),
            ..Outbox::default()
        };
        event(&mut self.inner, &mut conn.inner, &mut inner);
        out.pass += inner.pass;
        if inner.watch {
            conn.marks |= UNREAD;
            out.watch = true;
        }
        if inner.read > 0 {
            out.read = inner.read;
        }
        if conn.marks & PEER_CLOSED == 0 && inner.wake.is_some() {
            out.wake = inner.wake;
        }
        if inner.abandon {
            out.close = true;
            out.abandon = true;
            self.count_out(conn);
        } else if conn.marks & SAID_CLOSE == 0
            && let Phase::Secured(session) = &mut conn.phase
        {
            let keys = &mut self.work.keys;
            match inner.send {
                // No behaviour in TLS has pairs.
                Transmit::Nothing | Transmit::Across(_) => {}
                Transmit::Memory(range) => {
                    session.whole = range.len() as u32;
                    session.left = range;
                    seal_portion(session, &self.memory, keys, out);
                    out.more |= inner.more;
                }
                Transmit::Bytes => {
                    session.whole = inner.bytes.len() as u32;
                    session.seal(&inner.bytes, keys, &mut out.bytes);
                    out.more = inner.more;
                    add(out, Transmit::Bytes);
                }
                Transmit::Back | Transmit::Reply => {
                    // The rest of a send from memory goes first, since it was asked for first.
                    let left = std::mem::take(&mut session.left);
                    let left = &self.memory[left.start as usize..left.end as usize];
                    session.seal(left, keys, &mut out.bytes);
                    let reply = match inner.send {
                        Transmit::Back => plain,
                        _ => &inner.bytes,
                    };
                    session.seal(reply, keys, &mut out.bytes);
                    out.more = inner.more;
                    add(out, Transmit::Reply);
                }
            }
            if inner.close {
                conn.marks |= CLOSING;
            }
        }
        inner.bytes.clear();
        self.work.bytes = inner.bytes;
        self.close_if_sealed(conn, out);
    }

    /// Closes if the inner behaviour asked to, and everything that it sent is encrypted.
    pub(super) fn close_if_sealed(&mut self, conn: &mut TlsConn<B::Conn>, out: &mut Outbox) {
        if conn.marks & CLOSING != 0
            && let Phase::Secured(session) = &conn.phase
            && session.left.is_empty()
        {
            self.say_close(conn, out);
            out.close = true;
        }
    }

    /// Sends a close_notify, once.
    pub(super) fn say_close(&mut self, conn: &mut TlsConn<B::Conn>, out: &mut Outbox) {
        if conn.marks & SAID_CLOSE == 0
            && let Phase::Secured(session) = &mut conn.phase
        {
            conn.marks |= SAID_CLOSE;
            session.left = 0..0;
            session.seal_close(&mut self.work.keys, &mut out.bytes);
            out.more = false;
            add(out, Transmit::Reply);
            self.count_out(conn);
        }
    }

    pub(super) fn count_out(&mut self, conn: &mut TlsConn<B::Conn>) {
        if conn.marks & COUNTED != 0 {
            conn.marks &= !COUNTED;
            self.open -= 1;
        }
    }

    pub(super) fn is_open(&self, conn: &TlsConn<B::Conn>) -> bool {
        conn.marks & (OPENED | PEER_CLOSED | SAID_CLOSE) == OPENED
            && matches!(conn.phase, Phase::Secured(_))
    }
}

/// Sets how the bytes in `out` are sent. A send that is to be reported stays one.
pub(super) fn add(out: &mut Outbox, send: Transmit) {
    if out.send != Transmit::Bytes && (send == Transmit::Bytes || !out.bytes.is_empty()) {
        out.send = send;
    }
}

/// Encrypts the next portion of a send from memory.
pub(super) fn seal_portion(
    session: &mut Session,
    memory: &[u8],
    keys: &mut ReadyKeys,
    out: &mut Outbox,
) {
    let start = session.left.start;
    let end = session.left.end.min(start.saturating_add(PORTION));
    session.left.start = end;
    session.seal(&memory[start as usize..end as usize], keys, &mut out.bytes);
    out.more = !session.left.is_empty();
    add(out, Transmit::Bytes);
}

/// Counts a failure, and closes the connection once everything in `out` is sent.
pub(super) fn fail<C>(conn: &mut TlsConn<C>, why: TlsFailure, at: &At, out: &mut Outbox) {
    at.counters.tls.failed(why);
    conn.phase = Phase::Over;
    out.more = false;
    out.close = true;
}
