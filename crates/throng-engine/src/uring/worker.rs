//! A worker's loop over its rings.
//!
//! Connection `index` lives in slot `index % slots` of ring `index / slots`; rings are set up as
//! connections need them. One rule keeps memory small: all rings receive into the same buffers. The
//! kernel fills buffers of a ring only while the ring is entered, so the loop deals with everything
//! that an enter brought, sends back included, before it enters another ring ([`Worker::visit`]).

use super::op::{self, Op, Tag};
use super::ring::{BufferPool, CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, Cqe, Ring};
use super::spill::Spills;
use crate::desk::{Desk, Fired, State};
use crate::job::{Closing, Done, Job};
use crate::socket::{self, ON, OwnedEvent, close_cause, fail_cause};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};
use throng_core::behaviour::{Behaviour, Outbox, Send};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// Submission slots of a ring: 16 KiB. What exceeds them waits in memory, so this is only the batch.
const SQ_ENTRIES: u32 = 256;
/// Completion slots of a ring: 16 KiB. The kernel keeps what exceeds them.
const CQ_ENTRIES: u32 = 1024;
/// How long a worker lets connections gather in the accept queues while they keep coming, and while
/// so many come that a batch of at least [`RUSH`] was found.
const GATHER: Duration = Duration::from_micros(200);
const GATHER_IN_A_RUSH: Duration = Duration::from_millis(1);
const RUSH: u32 = 8;
/// How long a worker rests after a failed accept, and how soon one that was ahead looks again.
const ACCEPT_REST: Duration = Duration::from_millis(1);
/// Receive buffers of a worker: 128 of 16 KiB, 2 MiB, about what a core's second cache holds.
const BUFFERS: u16 = 128;
const BUFFER_BYTES: u32 = 16 * 1024;
/// Connections opened in one round of the loop, at least. A few, since each round's end is when we look
/// at the clock again, and connect latency is told from that.
const OPENS_A_ROUND: u32 = 8;
/// When traffic makes rounds long, they open one more for each this long, as many as a worker that
/// does nothing else can open …
const OPEN_TAKES: Duration = Duration::from_micros(25);
/// … up to this many.
const MOST_OPENS_A_ROUND: u32 = 32;
/// Connections taken from an accept queue at once.
const ACCEPTS: u32 = 64;
/// Enters of one ring before the others get their turn.
const ENTERS_A_VISIT: u32 = 8;
/// A peer that lets this much of its echo wait is not read from.
const PAUSE_ABOVE: usize = 256 * 1024;
/// Turns passed on in one round, at most.
const TURNS_A_ROUND: usize = 1024;
/// Connections on which traffic is started in one round of the loop.
const STARTS_A_ROUND: usize = 256;

/// Closing that gets no further for this long is left to the kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// A multishot receive is armed.
const RECEIVING: u8 = 1;
/// A send from the behaviour's memory is under way.
const SENDING: u8 = 2;
/// A send from a receive buffer is under way.
const ECHOING: u8 = 4;
/// There is a spill.
const SPILLING: u8 = 8;
/// Not reading, because the peer does not.
const PAUSED: u8 = 16;
/// Close when all is sent.
const CLOSE_WHEN_SENT: u8 = 32;
/// Shut down by us; the end of the receive closes it.
const SHUT: u8 = 64;

/// Accepting from one listener.
#[derive(Default)]
struct Listen {
    /// We are told when a connection comes.
    waiting: bool,
    /// Accepts under way that take what is there.
    trying: u32,
}

struct Worker<B: Behaviour> {
    desk: Desk<B>,
    rings: Vec<Ring>,
    slots: u32,
    pool: BufferPool,
    /// Received bytes in each buffer that is being sent back.
    lengths: Vec<u32>,
    memory: Arc<[u8]>,
    spills: Spills,
    /// Sends from receive buffers under way on the ring being visited.
    echoes: u32,
    /// Client: when connections were last opened.
    last_open: Time,
    /// Server: places never used, and those given up.
    fresh: u32,
    freed: Vec<u32>,
    /// Server: what is under way on each listener.
    listens: Vec<Listen>,
    /// Server: this kernel's accept knows no "don't wait".
    plain_accepts: bool,
    /// Server: when to look at the accept queues again.
    accept_look: Time,
    waker: Arc<OwnedEvent>,
}

/// Runs `job` on io_uring until it is told to close.
pub(crate) fn run<B: Behaviour>(job: Job<B>, waker: Arc<OwnedEvent>) -> io::Result<Done> {
    let slots = job.ring_slots;
    let memory = job.behaviour.memory();
    let desk = Desk::new(job);
    let mut worker = Worker {
        listens: desk.listeners.iter().map(|_| Listen::default()).collect(),
        plain_accepts: false,
        desk,
        rings: Vec::new(),
        slots,
        pool: BufferPool::new(BUFFERS, BUFFER_BYTES)?,
        lengths: vec![0; BUFFERS.into()],
        memory,
        spills: Spills::default(),
        echoes: 0,
        last_open: Time::START,
        fresh: 0,
        freed: Vec::new(),
        accept_look: Time::START,
        waker,
    };
    worker.add_ring()?;
    let outcome = worker.work();
    worker.close_all();
    outcome?;
    Ok(worker.desk.done())
}

impl<B: Behaviour> Worker<B> {
    fn work(&mut self) -> io::Result<()> {
        let mut fired = Vec::new();
        while !self.desk.take_orders() {
            let now = self.desk.clock.now();
            self.desk.fire(now, &mut fired);
            for timer in fired.drain(..) {
                match timer {
                    Fired::GiveUp(index) => self.give_up(index, now),
                    Fired::Wake(index) => {
                        let mut out = Outbox::default();
                        self.desk.wake(index, now, &mut out);
                        self.apply(index, out, None);
                    }
                }
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.desk.next_to_start() else {
                    break;
                };
                let mut out = Outbox::default();
                self.desk.start(index, now, &mut out);
                self.apply(index, out, None);
            }
            self.open(now)?;
            self.accept(now)?;
            let alone = self.rings.len() == 1;
            let mut idle = true;
            for at in 0..self.rings.len() {
                let ring = &self.rings[at];
                if ring.has_work() || ring.has_pending() && !alone {
                    idle = false;
                    self.visit(at)?;
                }
            }
            if idle {
                self.sleep()?;
            }
        }
        Ok(())
    }

    /// Wakes those whose turn others passed on. One that passes at once is seen to in the next round.
    fn take_turns(&mut self, now: Time) {
        for _ in 0..TURNS_A_ROUND {
            let mut out = Outbox::default();
            let Some(index) = self.desk.take_turn(now, &mut out) else {
                return;
            };
            self.apply(index, out, None);
        }
    }

    /// Sets up another ring with its table.
    fn add_ring(&mut self) -> io::Result<()> {
        let mut ring = Ring::new(SQ_ENTRIES, CQ_ENTRIES)?;
        let left = self
            .desk
            .max()
            .saturating_sub(self.rings.len() as u32 * self.slots);
        ring.register_table(left.clamp(1, self.slots))?;
        ring.provide(&self.pool)?;
        if self.rings.is_empty() {
            ring.push(op::wake(self.waker.raw()));
        } else {
            ring.notify(false);
            ring.register_eventfd(self.waker.raw())?;
        }
        self.rings.push(ring);
        Ok(())
    }

    /// Sets up rings up to the one of connection `index`.
    fn reach(&mut self, index: u32) -> io::Result<()> {
        while self.rings.len() <= (index / self.slots) as usize {
            self.add_ring()?;
        }
        Ok(())
    }

    /// Ring and slot of connection `index`.
    fn place(&self, index: u32) -> (usize, u32) {
        ((index / self.slots) as usize, index % self.slots)
    }

    fn tag(&self, op: Op, index: u32, extra: u16) -> Tag {
        Tag::new(
            op,
            index % self.slots,
            self.desk.conns[index as usize].generation,
            extra,
        )
    }

    /// Waits until a ring has something to do, an order comes or a timer is due.
    fn sleep(&mut self) -> io::Result<()> {
        let now = self.desk.clock.now();
        let mut timeout = self.desk.sleep(now);
        if self.may_accept() && self.listens.iter().any(|l| !l.waiting) {
            // Nobody will wake us for a connection: look ourselves.
            let look = self.accept_look.since(now).max(if self.desk.is_ahead() {
                ACCEPT_REST
            } else {
                Duration::ZERO
            });
            timeout = Some(timeout.map_or(look, |t| t.min(look)));
        }
        if timeout == Some(Duration::ZERO) && !self.rings[0].has_pending() {
            return Ok(());
        }
        for ring in &self.rings[1..] {
            ring.notify(true);
        }
        // The kernel marks work, then looks whether to notify; we do it the other way round.
        fence(Ordering::SeqCst);
        if !self.rings[1..].iter().any(Ring::has_work) {
            self.rings[0].wait(1, timeout)?;
        }
        for ring in &self.rings[1..] {
            ring.notify(false);
        }
        if self.rings[0].has_completions() {
            self.visit(0)?;
        }
        Ok(())
    }

    /// Deals with what a ring has, for a bounded number of enters. On return no completion and no buffer
    /// of it is outstanding.
    fn visit(&mut self, at: usize) -> io::Result<()> {
        let alone = self.rings.len() == 1;
        let mut enters = 0;
        loop {
            let now = self.desk.clock.now();
            while let Some(cqe) = self.rings[at].pop() {
                self.completed(at, cqe, now);
            }
            self.take_turns(now);
            let ring = &mut self.rings[at];
            let unfinished = self.echoes > 0 || ring.has_completions();
            if enters >= ENTERS_A_VISIT {
                match unfinished {
                    false => return Ok(()),
                    // Overflowed completions come only with an enter that works completions out.
                    true if self.echoes == 0 => ring.enter()?,
                    true => ring.submit()?,
                }
            } else if ring.has_work() || unfinished || ring.has_pending() && !alone {
                ring.enter()?;
            } else {
                // A lone ring's pending entries go with the call that waits.
                return Ok(());
            }
            enters += 1;
        }
    }

    fn completed(&mut self, at: usize, cqe: Cqe, now: Time) {
        let tag = Tag::decode(cqe.user_data);
        let index = at as u32 * self.slots + tag.slot;
        match tag.op {
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
            Op::Send => self.sent(index, tag, cqe.res, now),
            Op::Back => self.echoed(index, tag, cqe.res, now),
            Op::Spill => self.spilled(index, tag, cqe.res, now),
        }
    }

    /// Whether `tag` is of the connection that is in its place now, and that is in `state`.
    fn is_current(&self, index: u32, tag: Tag, state: State) -> bool {
        self.desk
            .conns
            .get(index as usize)
            .is_some_and(|c| c.generation == tag.generation && c.state == state)
    }

    fn marks(&mut self, index: u32) -> &mut u8 {
        &mut self.desk.conns[index as usize].marks
    }

    // Opening

    fn open(&mut self, now: Time) -> io::Result<()> {
        let since = now.since(std::mem::replace(&mut self.last_open, now));
        let budget = (since.as_nanos() / OPEN_TAKES.as_nanos()) as u32;
        let budget = budget.clamp(OPENS_A_ROUND, MOST_OPENS_A_ROUND);
        for _ in 0..self.desk.may_open(now).min(budget) {
            let Some(index) = self.desk.open_next(now) else {
                break;
            };
            self.reach(index)?;
            let (at, _) = self.place(index);
            let prepare = self.tag(Op::Prepare, index, 0);
            let connect = self.tag(Op::Connect, index, 0);
            let (target, source) = self.desk.route(index);
            let ring = &mut self.rings[at];
            ring.push(op::socket(target.family(), prepare));
            if let Some(source) = source {
                // Without it bind() would search for a port that is free towards every target.
                ring.push(op::set_option(
                    libc::IPPROTO_IP,
                    libc::IP_BIND_ADDRESS_NO_PORT,
                    &ON,
                    prepare,
                ));
                ring.push(op::bind(source, prepare));
            }
            ring.push(op::connect(target, connect));
        }
        Ok(())
    }

    fn connect_ended(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        if !self.is_current(index, tag, State::Connecting) {
            return;
        }
        if res < 0 {
            self.fail(index, fail_cause(-res), now);
            return;
        }
        self.receive(index);
        let mut out = Outbox::default();
        self.desk.connected(index, now, &mut out);
        self.apply(index, out, None);
    }

    fn give_up(&mut self, index: u32, now: Time) {
        let connect = self.tag(Op::Connect, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::cancel(connect));
        self.fail(index, FailCause::TimedOut, now);
    }

    fn fail(&mut self, index: u32, cause: FailCause, now: Time) {
        let (at, slot) = self.place(index);
        let generation = self.desk.conns[index as usize].generation;
        self.rings[at].push(op::close(slot, generation));
        self.desk.failed(index, cause, now);
    }

    // Accepting

    /// Takes what is in the accept queues. While connections keep coming, the queues are looked at
    /// every [`GATHER`]; only when one was found empty is it waited for. Being woken for each
    /// connection would cost a fifth more processor time; and an accept that finds nothing makes and
    /// throws away a socket and a file, so no more are tried than there is to accept.
    fn accept(&mut self, now: Time) -> io::Result<()> {
        if !self.may_accept() || now < self.accept_look || self.desk.is_ahead() {
            return Ok(());
        }
        for at in 0..self.listens.len() {
            if self.listens[at].waiting {
                continue;
            }
            let listener = self.desk.listeners[at].as_raw_fd();
            let queued = socket::accept_queue(listener);
            if queued == 0 && self.listens[at].trying == 0 {
                self.rings[0].push(op::queue(listener, Tag::new(Op::Queue, 0, 0, at as u16)));
                self.listens[at].waiting = true;
                continue;
            }
            let share = queued.div_ceil(self.desk.siblings()).min(ACCEPTS);
            for _ in self.listens[at].trying..share {
                let Some(index) = self.free_place() else {
                    break;
                };
                self.reach(index)?;
                if index as usize >= self.desk.conns.len() {
                    self.desk.grow(index as usize + 1);
                }
                let tag = self.tag(Op::Accept, index, at as u16);
                let (ring, _) = self.place(index);
                self.rings[ring].push(op::accept(listener, !self.plain_accepts, tag));
                self.listens[at].trying += 1;
            }
            self.accept_look = now
                + match queued {
                    _ if queued > share * self.desk.siblings() => Duration::ZERO,
                    0..RUSH => GATHER,
                    _ => GATHER_IN_A_RUSH,
                };
        }
        Ok(())
    }

    /// Whether there are listeners, and places for what they bring.
    fn may_accept(&self) -> bool {
        !self.listens.is_empty()
            && !self.desk.stopped_opening()
            && (!self.freed.is_empty() || self.fresh < self.desk.max())
    }

    fn free_place(&mut self) -> Option<u32> {
        self.freed.pop().or_else(|| {
            (self.fresh < self.desk.max()).then(|| {
                self.fresh += 1;
                self.fresh - 1
            })
        })
    }

    fn accept_ended(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        self.listens[usize::from(tag.extra)].trying -= 1;
        if res < 0 {
            self.freed.push(index);
            match -res {
                // Another worker was quicker, the peer has gone again, or we are closing.
                libc::EAGAIN | libc::ECONNABORTED | libc::ECANCELED => {}
                // Before Linux 6.10 accept has no flags of its own.
                libc::EINVAL if !self.plain_accepts => self.plain_accepts = true,
                // Out of memory or files: trying again at once would only burn the processor.
                _ => self.accept_look = now + ACCEPT_REST,
            }
            return;
        }
        let mut out = Outbox::default();
        self.desk.accepted(index, now, &mut out);
        self.receive(index);
        self.apply(index, out, None);
    }

    // Traffic

    fn receive(&mut self, index: u32) {
        let tag = self.tag(Op::Recv, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::receive(tag));
        *self.marks(index) |= RECEIVING;
    }

    fn received(&mut self, index: u32, tag: Tag, cqe: Cqe, now: Time) {
        let (at, _) = self.place(index);
        let buffer =
            (cqe.flags & CQE_F_BUFFER != 0).then_some((cqe.flags >> CQE_BUFFER_SHIFT) as u16);
        let current = self.is_current(index, tag, State::Open);
        if current && cqe.flags & CQE_F_MORE == 0 {
            *self.marks(index) &= !RECEIVING;
        }
        let mut keep = false;
        if current
            && *self.marks(index) & SHUT == 0
            && let (Some(bid), len @ 1..) = (buffer, cqe.res)
        {
            self.desk.counters.reads.add(1);
            self.desk.counters.bytes_received.add(len as u64);
            let mut out = Outbox::default();
            let bytes = self.pool.bytes(bid, len as usize);
            let Desk {
                behaviour,
                conns,
                counters,
                ..
            } = &mut self.desk;
            behaviour.received(
                &mut conns[index as usize].user,
                bytes,
                now,
                counters,
                &mut out,
            );
            keep = self.apply(index, out, Some((bid, len as u32)));
        }
        if let Some(bid) = buffer.filter(|_| !keep) {
            self.rings[at].give_back(&self.pool, bid);
        }
        // The connection may be gone by what its behaviour asked for.
        if !self.is_current(index, tag, State::Open) || cqe.flags & CQE_F_MORE != 0 {
            return;
        }
        let marks = *self.marks(index);
        // A multishot receive also ends when buffers run out or the queue is full, and goes on again.
        let goes_on = cqe.res > 0 || cqe.res == -libc::ENOBUFS || cqe.res == -libc::ECANCELED;
        if marks & SHUT != 0 {
            self.finish(index, Closed::ByUs, now);
        } else if goes_on {
            if marks & PAUSED == 0 {
                self.receive(index);
            }
        } else if cqe.res < 0 {
            self.finish(index, close_cause(-cqe.res), now);
        } else if marks & (ECHOING | SPILLING | CLOSE_WHEN_SENT) != 0 {
            // The peer closed its side; what it sent before is still answered, and what was to be sent
            // before closing still is.
            *self.marks(index) |= CLOSE_WHEN_SENT;
        } else {
            self.finish(index, Closed::ByPeer, now);
        }
    }

    /// Does what a behaviour asked for. `got` is the buffer of the bytes just received; returns whether
    /// it is being sent from and must be kept.
    fn apply(&mut self, index: u32, out: Outbox, got: Option<(u16, u32)>) -> bool {
        let mut keep = false;
        self.desk.pass(out.pass);
        if let Some(at) = out.wake {
            self.desk.wheel.set(index, at);
        }
        match (out.send, got) {
            (Send::Nothing, _) | (Send::Back, None) => {}
            (Send::Memory(range), _) => {
                debug_assert!(*self.marks(index) & SENDING == 0, "one send at a time");
                let bytes = &self.memory[range.start as usize..range.end as usize];
                let (address, len) = (bytes.as_ptr() as u64, bytes.len() as u32);
                let tag = self.tag(Op::Send, index, len as u16);
                let (at, _) = self.place(index);
                self.rings[at].push(op::send(address, len, tag));
                *self.marks(index) |= SENDING;
            }
            (Send::Back, Some((bid, len))) => keep = self.send_back(index, bid, len),
        }
        if out.close {
            if *self.marks(index) & (SENDING | ECHOING | SPILLING) != 0 {
                *self.marks(index) |= CLOSE_WHEN_SENT;
            } else {
                self.shut(index);
            }
        }
        keep
    }

    /// Sends received bytes back: from where they lie if nothing is under way, else through the spill.
    fn send_back(&mut self, index: u32, bid: u16, len: u32) -> bool {
        let (at, _) = self.place(index);
        if *self.marks(index) & (ECHOING | SPILLING) == 0 {
            self.lengths[usize::from(bid)] = len;
            let tag = self.tag(Op::Back, index, bid);
            self.rings[at].push(op::send_now(self.pool.address(bid), len, tag));
            self.echoes += 1;
            *self.marks(index) |= ECHOING;
            return true;
        }
        let key = (index, self.desk.conns[index as usize].generation);
        let waiting = self.spills.add(key, self.pool.bytes(bid, len as usize));
        let marks = *self.marks(index);
        *self.marks(index) |= SPILLING;
        if waiting > PAUSE_ABOVE && marks & (PAUSED | RECEIVING) == RECEIVING {
            let receive = self.tag(Op::Recv, index, 0);
            self.rings[at].push(op::cancel(receive));
            *self.marks(index) |= PAUSED;
        }
        false
    }

    fn sent(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        self.desk.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            return;
        }
        *self.marks(index) &= !SENDING;
        if res < 0 {
            self.finish(index, close_cause(-res), now);
            return;
        }
        if res as u16 != tag.extra {
            // It waits until all is sent, so only a reset can have cut it short.
            self.finish(index, Closed::ResetByPeer, now);
            return;
        }
        self.desk.counters.writes.add(1);
        let mut out = Outbox::default();
        let Desk {
            behaviour,
            conns,
            counters,
            ..
        } = &mut self.desk;
        behaviour.sent(
            &mut conns[index as usize].user,
            res as usize,
            now,
            counters,
            &mut out,
        );
        self.apply(index, out, None);
        self.close_if_sent(index);
    }

    fn echoed(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        self.echoes -= 1;
        let bid = tag.extra;
        let key = (index, tag.generation);
        let (at, _) = self.place(index);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget(key);
        } else if res < 0 && res != -libc::EAGAIN {
            *self.marks(index) &= !ECHOING;
            self.spills.forget(key);
            self.finish(index, close_cause(-res), now);
        } else {
            let taken = res.max(0) as usize;
            if taken > 0 {
                self.desk.counters.writes.add(1);
                self.desk.counters.bytes_sent.add(taken as u64);
            }
            *self.marks(index) &= !ECHOING;
            let rest = &self
                .pool
                .bytes(bid, self.lengths[usize::from(bid)] as usize)[taken..];
            if !rest.is_empty() {
                self.spills.add_first(key, rest);
                *self.marks(index) |= SPILLING;
            }
            if *self.marks(index) & SPILLING != 0 {
                self.send_spill(index);
            }
            self.close_if_sent(index);
        }
        self.rings[at].give_back(&self.pool, bid);
    }

    fn send_spill(&mut self, index: u32) {
        let (at, _) = self.place(index);
        let key = (index, self.desk.conns[index as usize].generation);
        match self.spills.next(key) {
            Some((address, len)) => {
                let tag = self.tag(Op::Spill, index, 0);
                self.rings[at].push(op::send(address, len, tag));
            }
            None => {
                *self.marks(index) &= !SPILLING;
                let marks = *self.marks(index);
                *self.marks(index) &= !PAUSED;
                if marks & (PAUSED | RECEIVING | CLOSE_WHEN_SENT | SHUT) == PAUSED {
                    self.receive(index);
                }
            }
        }
    }

    fn spilled(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let key = (index, tag.generation);
        self.desk.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget(key);
        } else if res < 0 || res as usize != self.spills.sending(key) {
            // Cut short: as for any other send.
            let why = if res < 0 {
                close_cause(-res)
            } else {
                Closed::ResetByPeer
            };
            self.spills.forget(key);
            *self.marks(index) &= !SPILLING;
            self.finish(index, why, now);
        } else {
            self.desk.counters.writes.add(1);
            self.send_spill(index);
            self.close_if_sent(index);
        }
    }

    // Closing

    /// Closes a connection that was only waiting for its sends.
    fn close_if_sent(&mut self, index: u32) {
        let marks = *self.marks(index);
        if marks & CLOSE_WHEN_SENT != 0 && marks & (SENDING | ECHOING | SPILLING | SHUT) == 0 {
            self.shut(index);
        }
    }

    /// Closes a connection from our side: the end of its receive does the rest.
    fn shut(&mut self, index: u32) {
        let (at, slot) = self.place(index);
        let conn = &mut self.desk.conns[index as usize];
        if conn.marks & RECEIVING == 0 {
            // The peer was first, or it is not being read from.
            let why = if conn.marks & CLOSE_WHEN_SENT != 0 {
                Closed::ByPeer
            } else {
                Closed::ByUs
            };
            self.finish(index, why, self.desk.clock.now());
            return;
        }
        conn.marks |= SHUT;
        let generation = conn.generation;
        self.rings[at].push(op::shutdown(slot, libc::SHUT_RDWR, generation));
    }

    /// Takes the connection out of its place.
    fn finish(&mut self, index: u32, why: Closed, now: Time) {
        let (at, slot) = self.place(index);
        let marks = *self.marks(index);
        let generation = self.desk.conns[index as usize].generation;
        if marks & (RECEIVING | SENDING | SPILLING) != 0 {
            // Requests hold the socket; this ends them. (A cancel misses a send that is being retried.)
            self.rings[at].push(op::shutdown(slot, libc::SHUT_RDWR, generation));
        }
        self.rings[at].push(op::close(slot, generation));
        self.desk.closed(index, why, now);
        if !self.desk.is_client() {
            self.freed.push(index);
        }
    }

    /// Closes everything: brings receives to their end and empties the tables, in this thread, so that
    /// workers close side by side. (What is left to the kernel when a ring goes is done by one thread
    /// for the whole machine, and cancelling receives takes time in the square of their number.) Once
    /// a ring is gone nothing of it runs, so neither buffers nor messages are touched any more.
    fn close_all(&mut self) {
        for listener in &self.desk.listeners {
            // The accept that waits there would keep the port until the kernel has done with the ring.
            socket::stop_listening(listener.as_raw_fd());
        }
        self.end_receives();
        for ring in &self.rings {
            let _ = ring.unregister_table();
        }
        self.desk.close_all();
        self.rings.clear();
    }

    /// Brings every connection's receive to its end, or gives up when that gets no further.
    fn end_receives(&mut self) {
        let how = match self.desk.closing() {
            Closing::ShutDown => Some(libc::SHUT_RDWR),
            // Says nothing to the peer, who learns of it by the reset when the table is emptied.
            Closing::Reset => Some(libc::SHUT_RD),
            Closing::ByPeer => None,
        };
        let mut receiving = 0;
        for (index, conn) in self.desk.conns.iter().enumerate() {
            if conn.state == State::Open && conn.marks & RECEIVING != 0 {
                receiving += 1;
                if let Some(how) = how {
                    let (at, slot) = self.place(index as u32);
                    self.rings[at].push(op::shutdown(slot, how, conn.generation));
                }
            }
        }
        let mut progress = Instant::now();
        while receiving > 0 && progress.elapsed() < CLOSE_PATIENCE {
            let mut idle = true;
            for ring in &mut self.rings {
                if !ring.has_pending() && !ring.has_work() {
                    continue;
                }
                if ring.enter().is_err() {
                    return;
                }
                while let Some(cqe) = ring.pop() {
                    idle = false;
                    if cqe.flags & CQE_F_BUFFER != 0 {
                        ring.give_back(&self.pool, (cqe.flags >> CQE_BUFFER_SHIFT) as u16);
                    }
                    if Tag::decode(cqe.user_data).op == Op::Recv && cqe.flags & CQE_F_MORE == 0 {
                        receiving -= 1;
                    }
                }
            }
            if idle {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                progress = Instant::now();
            }
        }
    }
}
