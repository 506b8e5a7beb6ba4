//! Answers that are sent piece by piece: large bodies, events, and bodies of requests sent back.

use super::reply::{LAST_CHUNK, Size, chunk_size};
use super::{BUSY, CHUNKED, Doing, Events, HttpServer, IN_CHUNKS, LAST, NO_BODY, OLD, Served};
use crate::behaviour::{At, Outbox, Transmit};
use std::io::Write;
use std::sync::Arc;

/// Bytes of a piece of a large body; as a chunk, its size is `10000`.
const PIECE: usize = 64 * 1024;
/// What goes before such a chunk, and behind it.
const BEFORE: &[u8] = b"10000\r\n";
const BEHIND: &[u8] = b"\r\n";
/// A body of at most this size is sent with its head.
const SMALL: u64 = PIECE as u64;
impl HttpServer {
    /// What large bodies are sent from: a piece, as a chunk.
    pub(super) fn pieces() -> Arc<[u8]> {
        let text = b"The quick brown fox jumps over the lazy dog. 0123456789 ABCDEFG\n";
        let bytes = text.iter().copied().cycle().take(PIECE);
        BEFORE
            .iter()
            .copied()
            .chain(bytes)
            .chain(BEHIND.iter().copied())
            .collect()
    }

    /// The bytes that bodies are made of.
    fn text(&self) -> &[u8] {
        &self.memory[BEFORE.len()..BEFORE.len() + PIECE]
    }

    /// Answers with a body of so many bytes.
    pub(super) fn bytes(
        &mut self,
        conn: &mut Served,
        bytes: u64,
        chunked: bool,
        at: &At,
        out: &mut Outbox,
    ) {
        let size = match chunked {
            true => Size::Chunks,
            false => Size::Bytes(bytes),
        };
        self.head(conn, 200, "text/plain", size, at, out);
        if conn.flags & NO_BODY != 0 {
            return self.over(conn, out);
        }
        if bytes < SMALL {
            let data = &self.text()[..bytes as usize];
            if chunked && bytes > 0 {
                chunk_size(data.len(), &mut out.bytes);
            }
            out.bytes.extend_from_slice(data);
            if chunked {
                let end = if bytes > 0 { BEHIND } else { b"" };
                out.bytes.extend_from_slice(end);
                out.bytes.extend_from_slice(LAST_CHUNK);
            }
            return self.over(conn, out);
        }
        // Pieces follow as the peer takes them.
        out.send = Transmit::Bytes;
        conn.flags |= if chunked { IN_CHUNKS } else { 0 };
        conn.doing = Doing::Bytes { left: bytes };
    }

    /// The next piece of a large body, or its end.
    pub(super) fn piece(&mut self, conn: &mut Served, left: u64, at: &At, out: &mut Outbox) {
        let chunked = conn.flags & IN_CHUNKS != 0;
        let (start, most) = (BEFORE.len() as u32, PIECE as u64);
        if left == 0 {
            if chunked {
                out.bytes.extend_from_slice(LAST_CHUNK);
            }
            self.over(conn, out);
            return self.go_on(conn, at, out);
        }
        let n = left.min(most);
        conn.doing = Doing::Bytes { left: left - n };
        out.send = match (chunked, n == most) {
            (false, _) => Transmit::Memory(start..start + n as u32),
            (true, true) => Transmit::Memory(0..self.memory.len() as u32),
            (true, false) => {
                chunk_size(n as usize, &mut out.bytes);
                out.bytes.extend_from_slice(&self.text()[..n as usize]);
                out.bytes.extend_from_slice(BEHIND);
                Transmit::Bytes
            }
        };
    }

    /// Begins a stream of events: microseconds between them, bytes in each, and how many there are.
    pub(super) fn events(
        &mut self,
        conn: &mut Served,
        (every_us, size, count): (u32, u16, Option<u32>),
        at: &At,
        out: &mut Outbox,
    ) {
        if conn.flags & OLD != 0 {
            conn.flags |= LAST;
        }
        let way = match conn.flags & OLD {
            0 => Size::Chunks,
            _ => Size::UntilClose,
        };
        self.head(conn, 200, "text/event-stream", way, at, out);
        if conn.flags & NO_BODY != 0 {
            return self.over(conn, out);
        }
        conn.doing = Doing::Events(Box::new(Events {
            due: at.now,
            every_us,
            size,
            number: 0,
            left: count,
        }));
        self.event(conn, at, out);
    }

    /// Sends an event: its number, and the time in microseconds since 1970. Those that were due while the peer had not taken
    /// the one before are left out; the numbers show it.
    pub(super) fn event(&mut self, conn: &mut Served, at: &At, out: &mut Outbox) {
        let Doing::Events(events) = &mut conn.doing else {
            return;
        };
        let Events {
            due,
            every_us,
            size,
            number,
            left,
        } = &mut **events;
        let event = &mut self.event;
        event.clear();
        let now_us = self.unix_us + at.now.0 / 1000;
        // Writing to a vector does not fail.
        let _ = write!(event, "id: {number}\ndata: {now_us}");
        // A blank before it, and two line ends behind it.
        if let Some(more) = usize::from(*size).checked_sub(event.len() + 3) {
            event.push(b' ');
            event.extend(std::iter::repeat_n(b'x', more));
        }
        event.extend_from_slice(b"\n\n");
        if conn.flags & OLD == 0 {
            chunk_size(event.len(), &mut out.bytes);
            out.bytes.extend_from_slice(event);
            out.bytes.extend_from_slice(BEHIND);
        } else {
            out.bytes.extend_from_slice(event);
        }
        out.send = Transmit::Bytes;
        conn.flags |= BUSY;
        let every_ns = u64::from(*every_us) * 1000;
        let missed = at.now.0.saturating_sub(due.0) / every_ns;
        *number = number.wrapping_add(missed as u32 + 1);
        due.0 += (missed + 1) * every_ns;
        if let Some(left) = left {
            *left = left.saturating_sub(1);
        }
    }

    /// Sends `data` of a request's body back.
    pub(super) fn echo(conn: &Served, data: &[u8], out: &mut Outbox) {
        if conn.flags & NO_BODY != 0 {
            return;
        }
        let chunked = conn.flags & CHUNKED != 0;
        if chunked {
            chunk_size(data.len(), &mut out.bytes);
        }
        out.bytes.extend_from_slice(data);
        if chunked {
            out.bytes.extend_from_slice(BEHIND);
        }
    }
}
