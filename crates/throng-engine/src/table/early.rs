//! Connections that send before they are established: TCP Fast Open (RFC 7413).
//!
//! connect() of such a socket returns at once and sends nothing; the first send goes out with the SYN. So the behaviour
//! is asked what to send before the connection is established, and everything else waits until it is: what the behaviour
//! asks for besides, what it counted, and how the send ended. If the attempt fails instead, all of it is dropped.

use super::conn::{Early, STARTED, State};
use super::data::Table;
use throng_core::behaviour::{Behaviour, Outbox, Traffic, Transmit};
use throng_core::stats::Counters;
use throng_core::time::Time;

impl<B: Behaviour> Table<B> {
    /// Whether connect() may return before the handshake begins.
    #[inline]
    pub fn opens_early(&self) -> bool {
        self.making.opens_early()
    }

    /// connect() has returned. The outbox says what is to be sent with the SYN, and nothing else.
    pub fn open_early(&mut self, index: u32, now: Time, out: &mut Outbox) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Early;
        let retry = std::mem::take(&mut conn.marks);
        if self.traffic == Traffic::On {
            conn.marks |= STARTED;
        }
        let counts = Box::<Counters>::default();
        self.tell_counting(index, now, &counts, |b, conn, at| {
            b.opened_early(conn, at, out);
        });
        self.pass(std::mem::take(&mut out.pass));
        let empty = match &out.send {
            Transmit::Nothing | Transmit::Back | Transmit::Across(_) => true,
            Transmit::Memory(range) => range.is_empty(),
            Transmit::Bytes | Transmit::Reply => out.bytes.is_empty(),
        };
        let asked = Outbox {
            // Nothing of it can go with the SYN.
            send: match empty {
                true => std::mem::take(&mut out.send),
                false => Transmit::Nothing,
            },
            read: std::mem::take(&mut out.read),
            watch: std::mem::take(&mut out.watch),
            wake: out.wake.take(),
            close: std::mem::take(&mut out.close),
            abandon: std::mem::take(&mut out.abandon),
            ..Outbox::default()
        };
        let early = Early {
            counts,
            asked,
            sent: None,
            retry,
        };
        self.early.insert(index, early);
    }

    /// The first send has ended, before the connection is established.
    pub fn sent_early(&mut self, index: u32, res: i32) {
        if let Some(early) = self.early.get_mut(&index) {
            early.sent = Some(res);
        }
    }

    /// Whether the first send has ended, on a connection that is not established.
    pub fn has_sent_early(&self, index: u32) -> bool {
        self.early
            .get(&index)
            .is_some_and(|early| early.sent.is_some())
    }

    /// The handshake is done. Returns how the first send ended, if it has.
    pub fn established(&mut self, index: u32, now: Time, out: &mut Outbox) -> Option<i32> {
        self.count_established(index, now);
        let early = self.early.remove(&index)?;
        self.counters.absorb(&early.counts);
        *out = Outbox {
            bytes: std::mem::take(&mut out.bytes),
            ..early.asked
        };
        self.tell(index, now, |b, conn, at| b.established(conn, at, out));
        let marks = &mut self.conns[index as usize].marks;
        if self.traffic == Traffic::On && *marks & STARTED == 0 {
            // Traffic began meanwhile.
            *marks |= STARTED;
            self.tell(index, now, |b, conn, at| b.started(conn, at, out));
        }
        early.sent
    }

    /// An attempt failed on which something was to be sent, or was. Returns how often it was tried again before.
    pub(super) fn unopened(&mut self, index: u32, now: Time) -> u8 {
        let Some(early) = self.early.remove(&index) else {
            return 0;
        };
        self.tell_counting(index, now, &early.counts, |b, conn, at| {
            b.unopened(conn, at);
        });
        early.retry
    }
}
