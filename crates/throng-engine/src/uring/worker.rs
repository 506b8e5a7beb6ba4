//! The worker: its state, and what is asked of it everywhere.
//!
//! Connection `index` has slot `index % slots` of ring `index / slots` (a power of two). Rings are set up as
//! connections need them.

use super::buffers::BufferPool;
use super::bulk::Bulk;
use super::op::{self, Op, Tag};
use super::outgoing::Outgoing;
use super::ring::Ring;
use super::spill::Spills;
use super::unsettled::Silent;
use crate::job::Job;
use crate::socket::EventFd;
use crate::table::{Fired, State, Table};
use std::io;
use std::sync::Arc;
use throng_core::behaviour::{Behaviour, Outbox, Reads};
use throng_core::time::Time;

/// Submission slots of a ring: 16 KiB. What exceeds them waits in memory, so this is only the batch.
const SQ_ENTRIES: u32 = 256;
/// Completion slots of a ring: 16 KiB. The kernel keeps what exceeds them.
const CQ_ENTRIES: u32 = 1024;
/// Receive buffers of a worker: 128 of 16 KiB, 2 MiB, about what a core's second cache holds.
pub(super) const BUFFERS: u16 = 128;
const BUFFER_BYTES: u32 = 16 * 1024;
/// What a receive that discards takes at once, at most.
const DISCARD_BYTES: u32 = 1024 * 1024;

/// A multishot receive is armed.
pub(super) const RECEIVING: u8 = 1;
/// A send that may take long is under way.
pub(super) const SENDING: u8 = 2;
/// A send that ends while it is submitted is not settled.
pub(super) const SUBMITTING: u8 = 4;
/// There is a spill.
pub(super) const SPILLING: u8 = 8;
/// Not reading, because the peer does not.
pub(super) const PAUSED: u8 = 16;
/// Close when all is sent.
pub(super) const CLOSE_WHEN_SENT: u8 = 32;
/// Closed by us: its receive is cancelled, and the end of that closes it.
pub(super) const SHUT: u8 = 64;

/// Whether a worker has its thread for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Its first ring is the one that the thread waits on.
    Lead,
    /// Another one's first ring is; this one's rings signal the waker.
    Second,
}

/// Accepting from one listener.
#[derive(Default)]
pub(super) struct Listen {
    /// We are told when a connection comes.
    pub waiting: bool,
    /// Accepts under way that take what is there.
    pub trying: u32,
}

pub(super) struct Worker<B: Behaviour> {
    pub table: Table<B>,
    pub rings: Vec<Ring>,
    /// Slots of a ring's table: two to the power of this.
    pub slot_bits: u32,
    pub pool: BufferPool,
    pub memory: Arc<[u8]>,
    pub outgoing: Outgoing,
    /// What a behaviour asks for, until [`Worker::apply`] has done it; empty between events. It stays here, as
    /// handing it over would be a copy of 80 bytes for each event.
    pub out: Outbox,
    pub spills: Spills,
    /// Sends from receive buffers that are not settled, on the ring being visited.
    pub echoes: u32,
    /// What sends were settled last; kept for its memory.
    pub settled: Vec<Silent>,
    /// Sends settled since this was last read.
    pub settled_sends: u32,
    /// Completions that are to be expected, at most, on the ring being visited.
    pub expected: u32,
    /// Something was sent, and something else of the same connection follows it.
    pub sends_on: bool,
    /// What has come since the last sleep.
    pub bulk: Bulk,
    /// Client: when connections were last opened.
    pub last_open: Time,
    /// Server: what is under way on each listener.
    pub listens: Vec<Listen>,
    /// Server: this kernel's accept knows no "don't wait".
    pub plain_accepts: bool,
    /// Server: when to look at the accept queues again.
    pub accept_look: Time,
    pub waker: Arc<EventFd>,
    /// Timers that fired in this round; kept for its memory.
    pub fired: Vec<Fired>,
    pub rank: Rank,
}

impl<B: Behaviour> Worker<B> {
    pub(super) fn new(
        job: Job,
        behaviour: B,
        waker: Arc<EventFd>,
        rank: Rank,
    ) -> io::Result<Worker<B>> {
        let slot_bits = job.ring_slots.ilog2();
        let memory = behaviour.memory();
        let table = Table::new(job, behaviour);
        let pool = match table.reads() {
            Reads::Counts | Reads::Discards => BufferPool::for_discards(BUFFERS, DISCARD_BYTES)?,
            Reads::All | Reads::Asked | Reads::Never => BufferPool::new(BUFFERS, BUFFER_BYTES)?,
        };
        let mut worker = Worker {
            listens: table.listeners.iter().map(|_| Listen::default()).collect(),
            plain_accepts: false,
            table,
            rings: Vec::new(),
            slot_bits,
            pool,
            memory,
            outgoing: Outgoing::default(),
            out: Outbox::default(),
            spills: Spills::default(),
            echoes: 0,
            settled: Vec::new(),
            settled_sends: 0,
            expected: 0,
            sends_on: false,
            bulk: Bulk::default(),
            last_open: Time::START,
            accept_look: Time::START,
            waker,
            fired: Vec::new(),
            rank,
        };
        worker.add_ring()?;
        Ok(worker)
    }

    /// Whether the only ring is the one that is waited on, so that its pending entries may go with the
    /// call that waits. (Not with silent sends among them, which would not end it.)
    pub(super) fn waits_by_itself(&self) -> bool {
        self.rank == Rank::Lead && self.rings.len() == 1
    }

    /// Sets up another ring with its table.
    pub(super) fn add_ring(&mut self) -> io::Result<()> {
        let mut ring = Ring::new(SQ_ENTRIES, CQ_ENTRIES)?;
        let left = self
            .table
            .max()
            .saturating_sub(self.rings.len() as u32 * self.slots());
        ring.register_files(left.clamp(1, self.slots()))?;
        ring.provide(&self.pool)?;
        if self.rings.is_empty() && self.rank == Rank::Lead {
            ring.push(op::wake(self.waker.raw()));
        } else {
            ring.notify(false);
            ring.register_eventfd(self.waker.raw())?;
        }
        self.rings.push(ring);
        Ok(())
    }

    /// Sets up rings up to the one of connection `index`.
    pub(super) fn reach(&mut self, index: u32) -> io::Result<()> {
        while self.rings.len() <= (index >> self.slot_bits) as usize {
            self.add_ring()?;
        }
        Ok(())
    }

    /// Slots of a ring's table.
    fn slots(&self) -> u32 {
        1 << self.slot_bits
    }

    /// Ring and slot of connection `index`.
    pub(super) fn place(&self, index: u32) -> (usize, u32) {
        (
            (index >> self.slot_bits) as usize,
            index & (self.slots() - 1),
        )
    }

    pub(super) fn tag(&self, op: Op, index: u32, extra: u16) -> Tag {
        Tag::new(
            op,
            index & (self.slots() - 1),
            self.table.conns[index as usize].generation,
            extra,
        )
    }

    /// The rings that signal the waker.
    fn signalling(&self) -> &[Ring] {
        match self.rank {
            Rank::Lead => &self.rings[1..],
            Rank::Second => &self.rings,
        }
    }

    /// Whether rings signal the waker when there is something to do.
    pub(super) fn notify(&self, on: bool) {
        for ring in self.signalling() {
            ring.notify(on);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.signalling().iter().any(Ring::has_work)
    }

    /// Whether `tag` is of the connection that is in its place now, and that is in `state`.
    pub(super) fn is_current(&self, index: u32, tag: Tag, state: State) -> bool {
        self.table
            .conns
            .get(index as usize)
            .is_some_and(|c| c.generation == tag.generation && c.state == state)
    }

    pub(super) fn marks(&mut self, index: u32) -> &mut u8 {
        &mut self.table.conns[index as usize].marks
    }

    /// Whether what is to be sent next on a connection has to wait for what is being sent.
    pub(super) fn is_sending(&self, index: u32) -> bool {
        self.table.conns[index as usize].marks & (SENDING | SUBMITTING | SPILLING) != 0
    }
}
