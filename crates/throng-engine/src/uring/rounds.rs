//! A worker's loop over its rings.
//!
//! One rule keeps memory small: all rings receive into the same buffers. The kernel fills buffers of a ring
//! only while the ring is entered, so the loop deals with everything that an enter brought, sends back
//! included, before it enters another ring ([`Worker::visit`]).

use super::abi::{Cqe, IORING_CQE_F_MORE};
use super::bulk::{GATHER_WITHIN, GATHERED};
use super::op::{self, Op, Tag};
use super::opening::ACCEPT_REST;
use super::worker::{BUFFERS, Rank, Worker};
use crate::job::{EventLoop, Job};
use crate::socket::EventFd;
use crate::table::{Fired, State};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;
use throng_core::behaviour::Behaviour;
use throng_core::time::Time;

/// Enters of one ring before the other rings have their turn.
const ENTERS_A_VISIT: u32 = 8;
/// The maximum number of completions that one enter produces: half of the buffers may hold what is being sent
/// back while others are filled.
const MOST_EXPECTED: u32 = BUFFERS as u32 / 2;
/// The maximum number of turns in one round.
const TURNS_A_ROUND: usize = 1024;
/// The number of connections on which traffic is started, or farewell is said, or that are dropped, or woken for a changed
/// rate, or closed because there are too many, in one round.
const STARTS_A_ROUND: usize = 256;

/// How a round of the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Rings had work, and may have more.
    Busy,
    /// There is nothing to do until a ring, a timer or an order says so.
    Idle,
    /// It is time to close.
    Close,
}

/// Sets up the event loop that runs `job` on io_uring.
pub(crate) fn set_up<B: Behaviour + 'static>(
    job: Job,
    behaviour: B,
    waker: Arc<EventFd>,
) -> io::Result<EventLoop> {
    let mut worker = Worker::new(job, behaviour, waker, Rank::Lead)?;
    Ok(Box::new(move || {
        let outcome = worker.work();
        worker.close_all();
        worker.table.done();
        outcome
    }))
}

impl<B: Behaviour> Worker<B> {
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

    /// Does everything that is due, then visits the rings that have work. `expected` is the number of receives
    /// to expect, as far as is known.
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
            let Some(index) = self.table.next_to_wake() else {
                break;
            };
            self.table.wake(index, now, &mut self.out);
            self.apply(index, None);
        }
        for _ in 0..STARTS_A_ROUND {
            let Some(index) = self.table.next_to_leave() else {
                break;
            };
            self.table.farewell(index, now, &mut self.out);
            self.apply(index, None);
        }
        for _ in 0..STARTS_A_ROUND {
            let Some((index, reset)) = self.table.next_to_drop() else {
                break;
            };
            self.drop_connection(index, reset, now);
        }
        for _ in 0..STARTS_A_ROUND {
            let Some(index) = self.table.next_to_shed() else {
                break;
            };
            self.out.close = true;
            self.apply(index, None);
        }
        self.table.take_arrivals(now);
        self.take_turns(now);
        self.check_again(now);
        self.open(now);
        self.accept(now);
        let waits = self.waits_by_itself();
        // With several rings it is unknown how many of them are on each.
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

    /// Gives connections the turns that others passed on.
    pub(super) fn take_turns(&mut self, now: Time) {
        for _ in 0..TURNS_A_ROUND {
            let Some(index) = self.table.take_turn(now, &mut self.out) else {
                return;
            };
            self.apply(index, None);
        }
    }

    /// How long the loop may sleep; `None` for until something happens.
    pub(super) fn timeout(&mut self) -> Option<Duration> {
        let now = self.table.clock.now();
        let timeout = sooner(self.table.sleep(now), self.checks.due(now));
        if !self.may_accept() || self.listens.iter().all(|l| l.waiting) {
            return timeout;
        }
        // No poll is armed for a new connection: check the queue in time.
        let look = self.next_check.since(now).max(if self.table.is_ahead() {
            ACCEPT_REST
        } else {
            Duration::ZERO
        });
        sooner(timeout, Some(look))
    }

    /// Waits until a ring has something to do, an order comes or `timeout` has passed; not at all if
    /// `others` have something to do.
    pub(super) fn sleep(
        &mut self,
        timeout: Option<Duration>,
        others: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        self.notify(true);
        // The kernel marks work, then checks whether to notify; here it is the other way round.
        fence(Ordering::SeqCst);
        if !self.has_work() && !others() {
            match timeout {
                // A wait for no time needs no timer.
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

    /// Deals with a ring's work, for a bounded number of enters. On return none of its completions and none of
    /// its buffers is outstanding.
    pub(super) fn visit(&mut self, at: usize) -> io::Result<()> {
        let waits = self.waits_by_itself();
        let mut enters = 0;
        loop {
            let now = self.table.clock.now();
            self.settle(at, now);
            while let Some(cqe) = self.rings[at].pop() {
                self.completed(at, cqe, now);
            }
            if B::PAIRS {
                self.send_gathered();
            }
            self.take_turns(now);
            let ring = &mut self.rings[at];
            let pending = ring.has_pending() && !(waits && ring.silent.is_empty());
            if ring.has_overflowed() {
                // Only an enter that gets events flushes them.
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
                // Its pending entries are submitted by the call that waits.
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
                if cqe.flags & IORING_CQE_F_MORE == 0 {
                    self.rings[at].push(op::wake(self.waker.raw()));
                }
            }
            Op::Prepare | Op::Connect => self.connect_ended(index, tag, cqe.res, now),
            Op::Header => self.header_sent(index, tag, cqe.res, now),
            Op::Handshake if self.is_current(index, tag, State::Early) => {
                self.handshake_ended(index);
            }
            Op::Handshake => {}
            Op::Finish => self.finished(index, tag, now),
            Op::Install => self.installed(index, tag, cqe.res, now),
            Op::Queue => self.listens[usize::from(tag.extra)].waiting = false,
            Op::Accept => self.accept_ended(index, tag, cqe.res, now),
            Op::Recv | Op::Look | Op::Skip => self.received(index, tag, cqe, now),
            Op::Send => self.send_ended(index, tag, cqe.res, tag.extra, now),
            Op::Bytes => self.bytes_sent(index, tag, cqe.res, now),
            Op::Silent => self.rings[at].silent.cut_short(tag.extra, cqe.res),
            Op::Spill => self.spilled(index, tag, cqe.res, now),
            Op::Probe => self.probe_failed(index, tag, cqe.res, now),
            Op::Flood => self.flood_polled(index, tag, now),
            Op::Hangup => self.hung_up(index, tag, cqe.res, now),
        }
    }
}

/// The shorter of two waits; `None` has no end.
fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
