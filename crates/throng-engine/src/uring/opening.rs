//! Opening and accepting connections.

use super::op::{self, Op, Tag};
use super::ring::Ring;
use super::worker::Worker;
use crate::socket::{ANY_PORT, Address, Making, PORT_LATER, SocketOption, fail_cause};
use crate::table::State;
use std::os::fd::AsRawFd;
use std::time::Duration;
use throng_core::behaviour::Behaviour;
use throng_core::stats::FailCause;
use throng_core::time::Time;

/// The interval between checks of the accept queues while connections keep arriving, and while so many arrive
/// that a check finds at least [`RUSH`].
const GATHER: Duration = Duration::from_micros(200);
const GATHER_IN_A_RUSH: Duration = Duration::from_millis(1);
const RUSH: u32 = 8;
/// The pause after a failed accept, and before a worker that was ahead checks again.
pub(super) const ACCEPT_REST: Duration = Duration::from_millis(1);
/// The minimum number of connections opened in one round. It is small because each round reads the clock once,
/// and connect latency is measured with that.
const OPENS_A_ROUND: u32 = 16;
/// The time that opening a connection takes. When traffic makes rounds long, they open one connection for each
/// such time, as many as a worker that does nothing else could open.
const OPEN_TAKES: Duration = Duration::from_micros(25);
/// The maximum number of connections opened in one round.
const MOST_OPENS_A_ROUND: u32 = 64;
/// The maximum number of connections taken from an accept queue at once.
const ACCEPTS: u32 = 64;

impl<B: Behaviour> Worker<B> {
    pub(super) fn open(&mut self, now: Time) {
        let since = now.since(std::mem::replace(&mut self.last_open, now));
        let budget = (since.as_nanos() / OPEN_TAKES.as_nanos()) as u32;
        let budget = budget.clamp(OPENS_A_ROUND, MOST_OPENS_A_ROUND);
        for _ in 0..self.table.may_open(now).min(budget) {
            let Some(index) = self.table.open_next(now) else {
                break;
            };
            if let Err(errno) = self.reach(index, now) {
                // The rings that there are go on.
                self.table.failed(index, fail_cause(errno), now);
                break;
            }
            let (at, _) = self.place(index);
            let prepare = self.tag(Op::Prepare, index, 0);
            let connect = self.tag(Op::Connect, index, 0);
            let part = self.table.next_part_of_ports();
            let road = self.table.route(index);
            let ports = part.map(|part| self.table.port_option(part));
            let making = &self.table.making;
            push_connect(&mut self.rings[at], making, road, ports, prepare, connect);
            if part.is_some() {
                self.parted.insert((index, connect.generation), None);
            }
        }
        while let Some(index) = self.table.next_for_room(now) {
            let connect = self.tag(Op::Connect, index, 0);
            let (at, _) = self.place(index);
            let (target, _) = self.table.route(index);
            self.rings[at].push(op::connect(target, connect));
        }
    }

    pub(super) fn connect_ended(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        if tag.op == Op::Connect {
            if B::PAIRS {
                self.own_ends.remove(&(index, tag.generation));
            }
            if self.connect_again(index, tag, res) {
                return;
            }
        }
        if !self.is_current(index, tag, State::Connecting) {
            if self.is_current(index, tag, State::Early) {
                self.early_ended(index, tag, res, now);
            }
            return;
        }
        if res == -libc::EAGAIN && self.table.route(index).0.is_unix() {
            self.table.found_no_room(index, now);
            return;
        }
        if res < 0 {
            self.fail(index, fail_cause(-res), now);
            return;
        }
        if self.table.opens_early() {
            self.open_early(index, now);
            return;
        }
        match self.table.write_header(index, &mut self.out.bytes) {
            true => self.send_header(index),
            false => self.connected(index, now),
        }
    }

    /// A connect has ended. If the part of the local ports that it was to choose from had none that is free, it chooses from all.
    /// Returns whether it does.
    fn connect_again(&mut self, index: u32, tag: Tag, res: i32) -> bool {
        if self.parted.is_empty() {
            return false;
        }
        let parted = self.parted.remove(&(index, tag.generation));
        let Some(way) = parted.filter(|_| res == -libc::EADDRNOTAVAIL) else {
            return false;
        };
        if !self.is_current(index, tag, State::Connecting) {
            return false;
        }
        let prepare = self.tag(Op::Prepare, index, 0);
        let (at, _) = self.place(index);
        let (target, _) = match way {
            // A way with ends of its own is never parted.
            Some(way) => self.table.addresses(way, None),
            None => self.table.route(index),
        };
        self.rings[at].push(op::set_option(&ANY_PORT, prepare));
        self.rings[at].push(op::connect(target, tag));
        true
    }

    /// Sends the header that a connection begins with, which is in the outbox.
    fn send_header(&mut self, index: u32) {
        let key = (index, self.table.conns[index as usize].generation);
        self.spills.add(key, &self.out.bytes, false);
        self.out.bytes.clear();
        if let Some((address, len)) = self.spills.next(key) {
            let tag = self.tag(Op::Header, index, 0);
            let (at, _) = self.place(index);
            self.rings[at].push(op::send(address, len, false, tag));
        }
    }

    /// The send of a header ended.
    pub(super) fn header_sent(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let key = (index, tag.generation);
        let (whole, _) = self.spills.sending(key);
        self.spills.forget(key);
        self.table.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Connecting) {
            return;
        }
        if res < 0 || res as usize != whole {
            let errno = if res < 0 { -res } else { libc::ECONNRESET };
            self.fail(index, fail_cause(errno), now);
            return;
        }
        self.table.counters.writes.add(1);
        self.connected(index, now);
    }

    fn connected(&mut self, index: u32, now: Time) {
        self.table.connected(index, now, &mut self.out);
        self.begin_to_receive(index);
        self.apply(index, None);
        if B::PAIRS {
            self.joined(index, now);
        }
    }

    pub(super) fn give_up(&mut self, index: u32, now: Time) {
        let connect = self.tag(Op::Connect, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::cancel(connect));
        self.fail(index, FailCause::TimedOut, now);
    }

    pub(super) fn fail(&mut self, index: u32, cause: FailCause, now: Time) {
        let (at, slot) = self.place(index);
        let conn = &self.table.conns[index as usize];
        let (generation, state) = (conn.generation, conn.state);
        if B::PAIRS {
            self.rings[at].push(op::close(slot, generation));
            self.partner_failed(index, cause, now);
            return;
        }
        if state == State::Early {
            self.cancel_early(index);
        }
        self.rings[at].push(op::close(slot, generation));
        self.table.failed(index, cause, now);
    }

    /// Accepts what is in the accept queues. While connections keep arriving, the queues are checked every
    /// [`GATHER`]; a poll is armed only for a queue that was empty. A wake for each connection would take
    /// 20 % more CPU. An accept that finds nothing creates and discards a socket and a file, so there are
    /// no more accepts than connections in the queue.
    pub(super) fn accept(&mut self, now: Time) {
        if !self.may_accept() || now < self.next_check || self.table.is_ahead() {
            return;
        }
        for at in 0..self.listens.len() {
            if self.listens[at].waiting {
                continue;
            }
            let listener = self.table.listeners[at].as_raw_fd();
            let queued = self.queued(at);
            if queued == 0 && self.listens[at].trying == 0 {
                self.rings[0].push(op::queue(listener, Tag::new(Op::Queue, 0, 0, at as u16)));
                self.listens[at].waiting = true;
                continue;
            }
            let share = queued.div_ceil(self.table.siblings()).min(ACCEPTS);
            for _ in self.listens[at].trying..share {
                let Some(index) = self.table.take_place() else {
                    break;
                };
                if self.reach(index, now).is_err() {
                    // As with an accept that fails: what waits in the queue stays there.
                    self.table.give_place(index);
                    self.next_check = now + ACCEPT_REST;
                    return;
                }
                let tag = self.tag(Op::Accept, index, at as u16);
                let (ring, _) = self.place(index);
                self.rings[ring].push(op::accept(listener, !self.plain_accepts, tag));
                self.listens[at].trying += 1;
            }
            self.next_check = now
                + match queued {
                    _ if queued > share * self.table.siblings() => Duration::ZERO,
                    0..RUSH => GATHER,
                    _ => GATHER_IN_A_RUSH,
                };
        }
    }

    /// The number of connections that wait at a listener. At a Unix socket it is a guess: one that was lately right, and more by
    /// and by.
    fn queued(&self, at: usize) -> u32 {
        let waiting = self.table.listeners[at].waiting();
        match self.table.is_unix() {
            true => waiting * (1 + self.listens[at].more) * self.table.siblings(),
            false => waiting,
        }
    }

    /// Whether there are listeners, and room for another connection.
    pub(super) fn may_accept(&self) -> bool {
        !self.listens.is_empty() && !self.table.stopped_opening() && self.table.has_place()
    }

    pub(super) fn accept_ended(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let listen = &mut self.listens[usize::from(tag.extra)];
        listen.trying -= 1;
        // It stays where it is while one accept in three finds nothing.
        listen.more = match res {
            0.. => (listen.more + 1).min(ACCEPTS - 1),
            _ => listen.more.saturating_sub(2),
        };
        if res < 0 {
            self.table.give_place(index);
            match -res {
                // Another worker was quicker, the peer has left, or this worker is closing.
                libc::EAGAIN | libc::ECONNABORTED | libc::ECANCELED => {}
                // Before Linux 6.10 accept has no flags of its own.
                libc::EINVAL if !self.plain_accepts => self.plain_accepts = true,
                // Out of memory or files: trying again at once would only use CPU.
                _ => self.next_check = now + ACCEPT_REST,
            }
            return;
        }
        if self.table.asks_who() {
            let tag = self.tag(Op::Install, index, 0);
            let (ring, _) = self.place(index);
            self.rings[ring].push(op::install(tag));
            return;
        }
        self.begin(index, now);
    }

    /// A connection was accepted, and all is known of it that is asked for.
    pub(super) fn begin(&mut self, index: u32, now: Time) {
        self.table.accepted(index, now, &mut self.out);
        if B::PAIRS {
            self.checks.forget(index);
            self.apply(index, None);
            self.read_unless_waiting(index);
            return;
        }
        self.begin_to_receive(index);
        self.apply(index, None);
    }
}

/// Pushes what makes a socket and connects it.
pub(super) fn push_connect(
    ring: &mut Ring,
    making: &Making,
    (target, source): (&Address, Option<&Address>),
    ports: Option<&SocketOption>,
    prepare: Tag,
    connect: Tag,
) {
    let family = target.family();
    ring.push(op::socket(family, making.protocol(family), prepare));
    for option in making.options(family).iter().chain(ports) {
        ring.push(op::set_option(option, prepare));
    }
    if let Some(source) = source {
        // Without this bind() searches for a port that is free for every target.
        ring.push(op::set_option(&PORT_LATER, prepare));
        ring.push(op::bind(source, prepare));
    }
    ring.push(op::connect(target, connect));
}
