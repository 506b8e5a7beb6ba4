//! Events on open connections, as they are passed to behaviours.

use super::conn::State;
use super::data::Table;
use throng_core::behaviour::{Behaviour, Outbox, Reads};
use throng_core::time::Time;

/// Fewer bytes are received as others are: that takes less time than to stop receiving, and to begin again.
const SKIP_FROM: u64 = 64 * 1024;
/// The most that are skipped at once.
const SKIP_AT_ONCE: u64 = 1024 * 1024;

impl<B: Behaviour> Table<B> {
    /// Traffic starts on an open connection.
    pub fn start(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.started(conn, at, out));
    }

    /// Bytes arrived on a connection.
    pub fn received(&mut self, index: u32, bytes: &[u8], now: Time, out: &mut Outbox) {
        self.count_read(bytes.len());
        self.tell(index, now, |b, conn, at| b.received(conn, bytes, at, out));
    }

    /// Bytes arrived and were discarded. The behaviour gets their number.
    pub fn counted(&mut self, index: u32, n: usize, now: Time, out: &mut Outbox) {
        self.count_read(n);
        self.tell(index, now, |b, conn, at| b.counted(conn, n, at, out));
    }

    /// Whether a connection's next bytes are passed on, where others are only counted.
    pub fn looks(&self, index: u32) -> bool {
        let conn = &self.conns[index as usize];
        self.reads == Reads::Looks && self.behaviour.looks(&conn.user)
    }

    /// How many of a connection's next bytes may stay in the kernel, if they are worth a system call of their own.
    #[inline]
    pub fn skips(&self, index: u32) -> Option<usize> {
        if !B::SKIPS || self.reads != Reads::All || self.unix {
            return None;
        }
        let bytes = self.behaviour.skips(&self.conns[index as usize].user);
        (bytes >= SKIP_FROM).then(|| bytes.min(SKIP_AT_ONCE) as usize)
    }

    /// Whether a connection's next bytes go to its partner without being looked at.
    #[inline]
    pub fn passes(&self, index: u32) -> bool {
        B::PAIRS
            && !self.unix
            && self
                .behaviour
                .passes(&self.conns[index as usize].user, index)
    }

    /// Whether nothing is to be read from a connection for now, although it has a partner.
    #[inline]
    pub fn waits(&self, index: u32) -> bool {
        B::PAIRS
            && self
                .behaviour
                .waits(&self.conns[index as usize].user, index)
    }

    /// The peer of a connection has finished sending, which its partner is about to learn.
    pub fn tell_peer_finished(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.peer_finished(conn, at, out));
    }

    /// Counts a read.
    pub fn count_read(&self, bytes: usize) {
        self.counters.reads.add(1);
        self.counters.bytes_received.add(bytes as u64);
    }

    /// A connection has sent what was asked for, `n` bytes.
    pub fn sent(&mut self, index: u32, n: usize, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.sent(conn, n, at, out));
    }

    /// A connection's timer fired.
    pub fn wake(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.woken(conn, at, out));
    }

    /// Appends what a connection sends before the end of its stream, which is the worker's.
    pub fn parting(&mut self, index: u32, now: Time, out: &mut Vec<u8>) {
        self.tell(index, now, |b, conn, at| b.parting(conn, at, out));
    }

    /// The order to say farewell reaches a connection.
    pub fn farewell(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.farewell(conn, at, out));
    }

    /// Asks the behaviour for arrivals that are due.
    pub fn take_arrivals(&mut self, now: Time) {
        self.arrived = self.behaviour.arrived(now);
    }

    /// Passes on `n` turns to the connections that are next.
    pub fn pass(&mut self, n: u32) {
        self.passed = self.passed.saturating_add(n);
    }

    /// Gives the next connection its turn, if turns are left. Returns the connection.
    pub fn take_turn(&mut self, now: Time, out: &mut Outbox) -> Option<u32> {
        if self.passed > 0 {
            self.passed -= 1;
        } else {
            self.arrived = self.arrived.checked_sub(1)?;
        }
        let index = self.next_in_turn()?;
        self.tell(index, now, |b, conn, at| b.turn(conn, at, out));
        Some(index)
    }

    /// The connection that has the next turn: the first open one after the last.
    fn next_in_turn(&mut self) -> Option<u32> {
        let conns = self.conns.len() as u32;
        for _ in 0..conns {
            self.turn = if self.turn + 1 < conns {
                self.turn + 1
            } else {
                0
            };
            if self.conns[self.turn as usize].state == State::Open {
                return Some(self.turn);
            }
        }
        None
    }
}
