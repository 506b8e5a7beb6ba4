//! A worker's loop over its rings.
//!
//! Connection `index` lives in slot `index % slots` of ring `index / slots` (a power of two); rings are set up as
//! connections need them. One rule keeps memory small: all rings receive into the same buffers. The
//! kernel fills buffers of a ring only while the ring is entered, so the loop deals with everything
//! that an enter brought, sends back included, before it enters another ring ([`Worker::visit`]).

use super::abi::{CQE_F_MORE, Cqe};
use super::buffers::BufferPool;
use super::bulk::{Bulk, GATHER_WITHIN, GATHERED};
use super::op::{self, Op, Tag};
use super::opening::{ACCEPT_REST, Listen};
use super::outgoing::Outgoing;
use super::ring::Ring;
use super::silent::Silent;
use super::spill::Spills;
use crate::job::Job;
use crate::socket::EventFd;
use crate::table::{Fired, State, Table};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Outbox, Reads};
use throng_core::time::Time;

/// Submission slots of a ring: 16 KiB. What exceeds them waits in memory, so this is only the batch.
const SQ_ENTRIES: u32 = 256;
/// Completion slots of a ring: 16 KiB. The kernel keeps what exceeds them.
const CQ_ENTRIES: u32 = 1024;
/// Receive buffers of a worker: 128 of 16 KiB, 2 MiB, about what a core's second cache holds.
const BUFFERS: u16 = 128;
const BUFFER_BYTES: u32 = 16 * 1024;
/// What a receive that discards takes at once, at most.
const DISCARD_BYTES: u32 = 1024 * 1024;
/// Enters of one ring before the others get their turn.
const ENTERS_A_VISIT: u32 = 8;
/// The most completions that are worked out in one enter: half may be sent back from their buffers while others come.
const MOST_EXPECTED: u32 = BUFFERS as u32 / 2;
/// Turns passed on in one round, at most.
const TURNS_A_ROUND: usize = 1024;
/// Connections on which traffic is started, or farewell is said, in one round of the loop.
const STARTS_A_ROUND: usize = 256;

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

pub(super) struct Worker<B: Behaviour> {
    pub table: Table<B>,
    pub rings: Vec<Ring>,
    /// Slots of a ring's table: two to the power of this.
    slot_bits: u32,
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
    expected: u32,
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
    fired: Vec<Fired>,
    place: Rank,
}

/// Runs `job` on io_uring until it is told to close.
pub(crate) fn run<B: Behaviour>(job: Job, behaviour: B, waker: Arc<EventFd>) -> io::Result<()> {
    let mut worker = Worker::new(job, behaviour, waker, Rank::Lead)?;
    let outcome = worker.work();
    worker.close_all();
    worker.table.done();
    outcome
}

/// Whether a worker has its thread for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Its first ring is the one that the thread waits on.
    Lead,
    /// Another one's first ring is; this one's rings signal the waker.
    Second,
}

/// How a round of the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Rings had something to do, and may again.
    Busy,
    /// Nothing to do until a ring, a timer or an order says so.
    Idle,
    /// It is time to close.
    Close,
}

impl<B: Behaviour> Worker<B> {
    pub(super) fn new(
        job: Job,
        behaviour: B,
        waker: Arc<EventFd>,
        place: Rank,
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
            place,
        };
        worker.add_ring()?;
        Ok(worker)
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            match self.round(0)? {
                Round::Close => return Ok(()),
                Round::Busy => {}
                Round::Idle => {
                    let timeout = self.timeout();
                    if timeout != Some(Duration::ZERO) || self.rings[0].has_pending() {
                        self.sleep(timeout, &|| false)?;
                    }
                }
            }
        }
    }

    /// Does what is due, and what the rings have: `expected` receives, as far as is known.
    pub(super) fn round(&mut self, expected: u32) -> io::Result<Round> {
        if self.table.take_orders() {
            return Ok(Round::Close);
        }
        let now = self.table.clock.now();
        let mut fired = std::mem::take(&mut self.fired);
        self.table.fire(now, &mut fired);
        for timer in fired.drain(..) {
            match timer {
                Fired::GiveUp(index) => self.give_up(index, now),
                Fired::Wake(index) => {
                    self.table.wake(index, now, &mut self.out);
                    self.apply(index, None);
                }
            }
        }
        self.fired = fired;
        for _ in 0..STARTS_A_ROUND {
            let Some(index) = self.table.next_to_start() else {
                break;
            };
            self.table.start(index, now, &mut self.out);
            self.apply(index, None);
        }
        for _ in 0..STARTS_A_ROUND {
            let Some(index) = self.table.next_to_leave() else {
                break;
            };
            self.table.farewell(index, now, &mut self.out);
            self.apply(index, None);
        }
        self.table.take_arrivals(now);
        self.take_turns(now);
        self.open(now)?;
        self.accept(now)?;
        let waits = self.waits_by_itself();
        // On several rings it is not known how many are on which.
        let on_one = || self.rings.iter().filter(|ring| ring.has_work()).count() == 1;
        self.expected = if expected > 0 && on_one() {
            expected.min(MOST_EXPECTED)
        } else {
            0
        };
        let mut round = Round::Idle;
        for at in 0..self.rings.len() {
            let ring = &self.rings[at];
            if ring.has_work() || ring.has_pending() && !(waits && ring.silent.is_empty()) {
                round = Round::Busy;
                self.visit(at)?;
            }
        }
        Ok(round)
    }

    /// Whether the only ring is the one that is waited on, so that its pending entries may go with the
    /// call that waits. (Not with silent sends among them, which would not end it.)
    fn waits_by_itself(&self) -> bool {
        self.place == Rank::Lead && self.rings.len() == 1
    }

    /// Wakes those whose turn others passed on. One that passes at once is seen to in the next round.
    pub(super) fn take_turns(&mut self, now: Time) {
        for _ in 0..TURNS_A_ROUND {
            let Some(index) = self.table.take_turn(now, &mut self.out) else {
                return;
            };
            self.apply(index, None);
        }
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
        if self.rings.is_empty() && self.place == Rank::Lead {
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

    /// How long the loop may sleep; `None` for until something happens.
    pub(super) fn timeout(&mut self) -> Option<Duration> {
        let now = self.table.clock.now();
        let timeout = self.table.sleep(now);
        if !self.may_accept() || self.listens.iter().all(|l| l.waiting) {
            return timeout;
        }
        // Nobody will wake us for a connection: look ourselves.
        let look = self.accept_look.since(now).max(if self.table.is_ahead() {
            ACCEPT_REST
        } else {
            Duration::ZERO
        });
        Some(timeout.map_or(look, |t| t.min(look)))
    }

    /// The rings that signal the waker.
    fn signalling(&self) -> &[Ring] {
        match self.place {
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

    /// Waits until a ring has something to do, an order comes or `timeout` has passed; not at all if
    /// `others` have something to do.
    pub(super) fn sleep(
        &mut self,
        timeout: Option<Duration>,
        others: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        self.notify(true);
        // The kernel marks work, then looks whether to notify; we do it the other way round.
        fence(Ordering::SeqCst);
        if !self.has_work() && !others() {
            match timeout {
                // No timer for no time.
                Some(Duration::ZERO) => self.rings[0].enter()?,
                _ => match self.bulk.gathers() {
                    true => self.rings[0].wait_for(GATHERED, GATHER_WITHIN, timeout)?,
                    false => self.rings[0].wait(timeout)?,
                },
            }
            self.table.woke();
        }
        self.notify(false);
        if self.rings[0].has_completions() || !self.rings[0].silent.is_empty() {
            self.visit(0)?;
        }
        Ok(())
    }

    /// Deals with what a ring has, for a bounded number of enters. On return no completion and no buffer
    /// of it is outstanding.
    pub(super) fn visit(&mut self, at: usize) -> io::Result<()> {
        let waits = self.waits_by_itself();
        let mut enters = 0;
        loop {
            let now = self.table.clock.now();
            self.settle(at, now);
            while let Some(cqe) = self.rings[at].pop() {
                self.completed(at, cqe, now);
            }
            self.take_turns(now);
            let ring = &mut self.rings[at];
            let pending = ring.has_pending() && !(waits && ring.silent.is_empty());
            if ring.has_overflowed() {
                // They come only with an enter that works completions out.
                ring.enter()?;
            } else if enters >= ENTERS_A_VISIT {
                if self.echoes == 0 {
                    return Ok(());
                }
                ring.submit()?;
            } else if ring.has_work() {
                ring.enter_for(std::mem::take(&mut self.expected))?;
            } else if pending {
                ring.enter()?;
            } else {
                // Its pending entries go with the call that waits.
                return Ok(());
            }
            enters += 1;
        }
    }

    pub(super) fn completed(&mut self, at: usize, cqe: Cqe, now: Time) {
        let tag = Tag::decode(cqe.user_data);
        let index = (at as u32) << self.slot_bits | tag.slot;
        match tag.op {
            Op::Quiet if tag.extra == op::OF_RECEIVE => self.cancel_missed(index, tag),
            Op::Quiet => {}
            Op::Wake => {
                self.waker.drain();
                if cqe.flags & CQE_F_MORE == 0 {
                    self.rings[at].push(op::wake(self.waker.raw()));
                }
            }
            Op::Prepare | Op::Connect => self.connect_ended(index, tag, cqe.res, now),
            Op::Queue => self.listens[usize::from(tag.extra)].waiting = false,
            Op::Accept => self.accept_ended(index, tag, cqe.res, now),
            Op::Recv => self.received(index, tag, cqe, now),
            Op::Send => self.send_ended(index, tag, cqe.res, tag.extra, now),
            Op::Bytes => self.bytes_sent(index, tag, cqe.res, now),
            Op::Silent => self.rings[at].silent.cut_short(tag.extra, cqe.res),
            Op::Spill => self.spilled(index, tag, cqe.res, now),
            Op::Gone => self.gone(index, tag, cqe.res, now),
        }
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
}
