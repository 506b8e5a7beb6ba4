//! The worker's state, and what all parts of the engine use.
//!
//! Connection `index` has slot `index % slots` of ring `index / slots` (a power of two). Rings are set up as
//! connections need them.

use super::buffers::{BufferPool, Pools};
use super::bulk::Bulk;
use super::checks::Checks;
use super::floods::Floods;
use super::gather::{Gather, Messages};
use super::op::{self, Op, Tag};
use super::outgoing::Outgoing;
use super::ring::Ring;
use super::spill::Spills;
use super::unsettled::Silent;
use crate::job::Job;
use crate::socket::EventFd;
use crate::table::{Fired, OwnEnds, State, Table};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Outbox, Reads, Way};
use throng_core::time::Time;

/// Submission slots of a ring: 16 KiB. More entries wait in memory, so this is only the size of a batch.
const SQ_ENTRIES: u32 = 256;
/// Completion slots of a ring: 16 KiB. The kernel keeps further completions in its memory.
const CQ_ENTRIES: u32 = 1024;
/// Receive buffers of a worker: 128 of 16 KiB are 2 MiB, about the size of a core's L2 cache.
pub(super) const BUFFERS: u16 = 128;
const BUFFER_BYTES: u32 = 16 * 1024;
/// The maximum number of bytes that one receive discards.
const DISCARD_BYTES: u32 = 1024 * 1024;
/// The maximum number of bytes that are looked at, where others are discarded: those of 128 connections at a time.
const LOOK_BYTES: u32 = 512;
/// The pause before another ring is set up after one could not be.
const RING_REST: Duration = Duration::from_secs(1);

/// A receive is armed, or a watch that ends as a receive does.
pub(super) const RECEIVING: u8 = 1;
/// A waiting send is under way.
pub(super) const SENDING: u8 = 2;
/// A silent send is not settled.
pub(super) const SUBMITTING: u8 = 4;
/// The connection has a spill.
pub(super) const SPILLING: u8 = 8;
/// Not reading, because the peer does not read.
pub(super) const PAUSED: u8 = 16;
/// Close when all is sent.
pub(super) const CLOSE_WHEN_SENT: u8 = 32;
/// Closed by this side: its receive is cancelled, and the connection ends when the receive does.
pub(super) const SHUT: u8 = 64;
/// A receive is armed that skips bytes, or will be once the one that is armed has ended.
pub(super) const SKIPPING: u8 = 128;

/// A worker's part in its thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// The thread waits on this worker's first ring.
    Lead,
    /// The thread waits on another worker's first ring. The rings of this one signal the waker.
    Second,
}

/// The accepts of one listener.
#[derive(Default)]
pub(super) struct Listen {
    /// A poll is armed that completes when a connection waits.
    pub waiting: bool,
    /// The number of accepts under way.
    pub trying: u32,
    /// A Unix socket: how many more than one are worth a try once a connection waits.
    pub more: u32,
}

pub(super) struct Worker<B: Behaviour> {
    pub table: Table<B>,
    pub rings: Vec<Ring>,
    /// The number of slots in a ring's file table is two to the power of this.
    pub slot_bits: u32,
    pub pools: Pools,
    pub memory: Arc<[u8]>,
    pub outgoing: Outgoing,
    /// What a behaviour asks for, until it is done; empty between events. It stays here because passing it by
    /// value would copy 80 bytes for each event.
    pub out: Outbox,
    pub spills: Spills,
    /// What goes out together on a connection, once all completions are dealt with.
    pub gather: Gather,
    pub messages: Messages,
    /// What stays in the kernel on its way from a connection to its partner.
    pub floods: Floods,
    /// Addresses of connections that are being opened between addresses of their own, by their places and generations. The
    /// kernel reads each before the attempt ends, which is always told.
    pub own_ends: HashMap<(u32, u16), Box<OwnEnds>>,
    /// The connections that are being opened from a part of the local ports, by their places and generations; of partners, their
    /// ways.
    pub parted: HashMap<(u32, u16), Option<Way>>,
    /// Connections that end with a reset, by their places and generations, until they are closed.
    pub cut: HashSet<(u32, u16)>,
    /// The number of unsettled sends from receive buffers, on the ring being visited.
    pub echoes: u32,
    /// The list of the sends that were settled last, kept for its memory.
    pub settled: Vec<Silent>,
    /// The number of sends settled since this was last read.
    pub settled_sends: u32,
    /// The maximum number of completions to expect on the ring being visited.
    pub expected: u32,
    /// Whether something was sent that another send of the same connection follows.
    pub more_follows: bool,
    /// What was received since the last sleep.
    pub bulk: Bulk,
    /// Which connections to check for a reset.
    pub checks: Checks,
    /// Client: when connections were last opened.
    pub last_open: Time,
    /// Server: the accepts of each listener.
    pub listens: Vec<Listen>,
    /// Server: this kernel's accept lacks IORING_ACCEPT_DONTWAIT.
    pub plain_accepts: bool,
    /// Until when no other ring is set up, after that failed with this errno.
    pub no_ring: Option<(Time, i32)>,
    /// Server: when to check the accept queues again.
    pub next_check: Time,
    pub waker: Arc<EventFd>,
    /// Timers that fired in this round, kept for its memory.
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
        let reads = table.reads();
        let pools = Pools {
            receives: match reads.only_counts() {
                true => BufferPool::for_discards(BUFFERS, DISCARD_BYTES)?,
                false => BufferPool::new(BUFFERS, BUFFER_BYTES)?,
            },
            looks: (reads == Reads::Looks)
                .then(|| BufferPool::new(BUFFERS, LOOK_BYTES))
                .transpose()?,
        };
        let mut worker = Worker {
            listens: table.listeners.iter().map(|_| Listen::default()).collect(),
            plain_accepts: false,
            no_ring: None,
            table,
            rings: Vec::new(),
            slot_bits,
            pools,
            memory,
            outgoing: Outgoing::default(),
            out: Outbox::default(),
            spills: Spills::default(),
            gather: Gather::default(),
            messages: Messages::default(),
            floods: Floods::default(),
            own_ends: HashMap::new(),
            parted: HashMap::new(),
            cut: HashSet::new(),
            echoes: 0,
            settled: Vec::new(),
            settled_sends: 0,
            expected: 0,
            more_follows: false,
            bulk: Bulk::default(),
            checks: Checks::default(),
            last_open: Time::START,
            next_check: Time::START,
            waker,
            fired: Vec::new(),
            rank,
        };
        worker.add_ring()?;
        Ok(worker)
    }

    /// Whether the thread waits on the worker's only ring, so that pending entries can be submitted by the call
    /// that waits. (Not silent sends, whose end would not end the wait.)
    pub(super) fn waits_by_itself(&self) -> bool {
        self.rank == Rank::Lead && self.rings.len() == 1
    }

    /// Sets up another ring with its file table.
    pub(super) fn add_ring(&mut self) -> io::Result<()> {
        let mut ring = Ring::new(SQ_ENTRIES, CQ_ENTRIES)?;
        let left = self
            .table
            .max()
            .saturating_sub(self.rings.len() as u32 * self.slots());
        ring.register_files(left.clamp(1, self.slots()))?;
        ring.provide(&self.pools)?;
        if self.rings.is_empty() && self.rank == Rank::Lead {
            ring.push(op::wake(self.waker.raw()));
        } else {
            ring.notify(false);
            ring.register_eventfd(self.waker.raw())?;
        }
        self.rings.push(ring);
        Ok(())
    }

    /// Sets up rings as far as the one of connection `index`.
    ///
    /// # Errors
    /// The errno if there are no files, or no memory, for another ring. The kernel frees a ring that it could not hand
    /// out only later, so that is not tried again before [`RING_REST`].
    pub(super) fn reach(&mut self, index: u32, now: Time) -> Result<(), i32> {
        while self.rings.len() <= (index >> self.slot_bits) as usize {
            if let Some((until, errno)) = self.no_ring
                && now < until
            {
                return Err(errno);
            }
            if let Err(e) = self.add_ring() {
                let errno = e.raw_os_error().unwrap_or(libc::EIO);
                self.no_ring = Some((now + RING_REST, errno));
                return Err(errno);
            }
        }
        Ok(())
    }

    /// The number of slots in a ring's file table.
    fn slots(&self) -> u32 {
        1 << self.slot_bits
    }

    /// The ring and the slot of connection `index`.
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

    /// Turns on or off that rings signal the waker when they have work.
    pub(super) fn notify(&self, on: bool) {
        for ring in self.signalling() {
            ring.notify(on);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.signalling().iter().any(Ring::has_work)
    }

    /// Whether `tag` belongs to the connection that has the place now, and that connection is in `state`.
    pub(super) fn is_current(&self, index: u32, tag: Tag, state: State) -> bool {
        self.table
            .conns
            .get(index as usize)
            .is_some_and(|c| c.generation == tag.generation && c.state == state)
    }

    pub(super) fn marks(&mut self, index: u32) -> &mut u8 {
        &mut self.table.conns[index as usize].marks
    }

    /// Whether the connection's next send has to wait for an earlier one.
    pub(super) fn is_sending(&self, index: u32) -> bool {
        self.table.conns[index as usize].marks & (SENDING | SUBMITTING | SPILLING) != 0
    }
}
