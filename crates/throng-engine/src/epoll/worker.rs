//! The worker's state, and what all parts of the engine use.

use super::poll::Poll;
use super::rest::Rest;
use crate::pipes::Pipes;
use crate::socket::{self, EventFd, RESETS};
use crate::table::{State, Table};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use throng_core::behaviour::{Behaviour, OfPair, Outbox};
use throng_core::stats::Closed;
use throng_core::time::Time;

/// The worker's one receive buffer.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// The peer does not read, and bytes wait in `blocked`.
pub(super) const BLOCKED: u8 = 1;
/// A send has ended, and the behaviour does not know yet.
pub(super) const TO_TELL: u8 = 2;
/// Close when all is sent.
pub(super) const CLOSE_WHEN_SENT: u8 = 4;
/// There is more to read in the next round.
pub(super) const TO_READ: u8 = 8;
/// The peer has closed its side.
pub(super) const PEER_CLOSED: u8 = 16;
/// It is no longer read from, only watched for the end of its peer.
pub(super) const WATCHED: u8 = 32;
/// Its last read filled the buffer.
pub(super) const BULK: u8 = 64;

/// The keys of the waker and of listeners, which no connection has.
pub(super) const WAKER: u64 = u64::MAX;
pub(super) const LISTENER: u64 = 1 << 63;

pub(super) struct Worker<B: Behaviour> {
    pub table: Table<B>,
    pub poll: Poll,
    pub files: Vec<Option<OwnedFd>>,
    pub memory: Arc<[u8]>,
    pub buffer: Box<[u8]>,
    /// The memory for the bytes of the next outbox.
    pub scratch: Vec<u8>,
    /// The same for bytes that go to a partner.
    pub across: Vec<u8>,
    /// What the kernel has not taken yet, in order; never empty.
    pub blocked: HashMap<u32, VecDeque<Rest>>,
    /// With [`Reads::Asked`](throng_core::behaviour::Reads::Asked): how much a connection that found nothing
    /// to read may read.
    pub asked: HashMap<u32, usize>,
    /// Sends that have ended: connection, generation, length. The loop notifies the behaviours, so that one that sends
    /// again each time does not recurse.
    pub sent: VecDeque<(u32, u16, usize)>,
    pub pipes: Pipes,
    pub to_read: VecDeque<(u32, u16)>,
    /// Whether the listeners are registered.
    pub accepting: bool,
    pub accept_again: Time,
    pub waker: Arc<EventFd>,
}

impl<B: Behaviour> Worker<B> {
    pub(super) fn is_current(&self, index: u32, generation: u16) -> bool {
        let conn = self.table.conns.get(index as usize);
        conn.is_some_and(|c| c.generation == generation && c.state == State::Open)
    }

    pub(super) fn fd(&self, index: u32) -> RawFd {
        self.files[index as usize]
            .as_ref()
            .map_or(-1, AsRawFd::as_raw_fd)
    }

    pub(super) fn key(&self, index: u32) -> u64 {
        u64::from(index) | u64::from(self.table.conns[index as usize].generation) << 32
    }

    pub(super) fn keep(&mut self, index: u32, file: OwnedFd) {
        if index as usize >= self.files.len() {
            self.files.resize_with(index as usize + 1, || None);
        }
        self.files[index as usize] = Some(file);
    }

    /// An empty outbox for a behaviour.
    pub(super) fn outbox(&mut self) -> Outbox {
        Outbox {
            bytes: std::mem::take(&mut self.scratch),
            pair: OfPair {
                across: std::mem::take(&mut self.across),
                ..OfPair::default()
            },
            ..Outbox::default()
        }
    }

    /// Keeps the memory of bytes that went to a partner.
    pub(super) fn keep_across(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.across = bytes;
    }

    /// Keeps the memory of an outbox's bytes.
    pub(super) fn keep_bytes(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.scratch = bytes;
    }

    /// Reads from the connection in the next round.
    pub(super) fn read_later(&mut self, index: u32) {
        let conn = &mut self.table.conns[index as usize];
        if conn.marks & TO_READ == 0 {
            conn.marks |= TO_READ;
            self.to_read.push_back((index, conn.generation));
        }
    }

    /// Closes a connection at once, or resets it, because it is to be dropped.
    pub(super) fn drop_connection(&mut self, index: u32, reset: bool, now: Time) {
        if reset {
            // If it is gone already, there is nothing to reset.
            let _ = socket::set_options(&[RESETS], self.fd(index));
        }
        self.finish(index, Closed::ByUs, now);
    }

    /// Ends a connection, and its partner if it has one.
    pub(super) fn finish(&mut self, index: u32, why: Closed, now: Time) {
        match B::PAIRS {
            true => self.finish_pair(index, why, now),
            false => self.finish_one(index, why, now),
        }
    }

    /// Ends a connection and releases its place.
    pub(super) fn finish_one(&mut self, index: u32, why: Closed, now: Time) {
        self.files[index as usize] = None;
        self.blocked.remove(&index);
        self.asked.remove(&index);
        self.table.closed(index, why, false, now);
    }
}
