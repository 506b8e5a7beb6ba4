//! A worker's loop over one epoll instance.
//!
//! Registration is edge-triggered, so each connection is registered once. An edge says that reading or writing
//! can continue. The loop then continues until the call would block, or the connection has had its share of
//! this round and is put on a list for the next.

use super::opening::ACCEPT_REST;
use super::poll::{self, Poll};
use super::worker::{BUFFER_BYTES, LISTENER, TO_READ, WAKER, WATCHED, Worker};
use crate::job::{EventLoop, Job};
use crate::pipes::Pipes;
use crate::socket::{EventFd, fail_cause};
use crate::table::{Fired, State, Table};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::engine::Engine;
use throng_core::stats::FailCause;
use throng_core::time::Time;

/// The maximum number of turns in one round.
const TURNS_A_ROUND: usize = 1024;
/// The number of connections on which traffic is started, or farewell is said, or that are dropped, or woken for a changed
/// rate, or closed because there are too many, in one round.
const STARTS_A_ROUND: usize = 256;

/// Sets up the event loop that runs `job` on epoll.
pub(crate) fn set_up<B: Behaviour + 'static>(
    job: Job,
    behaviour: B,
    waker: Arc<EventFd>,
) -> io::Result<EventLoop> {
    let memory = behaviour.memory();
    let mut worker = Worker {
        table: Table::new(job, behaviour),
        poll: Poll::new()?,
        files: Vec::new(),
        memory,
        buffer: vec![0; BUFFER_BYTES].into(),
        scratch: Vec::new(),
        across: Vec::new(),
        blocked: HashMap::new(),
        asked: HashMap::new(),
        sent: VecDeque::new(),
        pipes: Pipes::of(Engine::Epoll),
        to_read: VecDeque::new(),
        accepting: false,
        accept_again: Time::START,
        waker,
    };
    worker.poll.add_readable(worker.waker.raw(), WAKER)?;
    for listener in &worker.table.listeners {
        listener.set_nonblocking(true)?;
    }
    Ok(Box::new(move || {
        let outcome = worker.work();
        let now = worker.table.clock.now();
        worker.close_all();
        worker.table.close_all(now);
        worker.table.done();
        outcome
    }))
}

impl<B: Behaviour> Worker<B> {
    fn work(&mut self) -> io::Result<()> {
        let mut fired = Vec::new();
        while !self.table.take_orders() {
            let now = self.table.clock.now();
            self.table.fire(now, &mut fired);
            for timer in fired.drain(..) {
                match timer {
                    Fired::GiveUp(index) => self.fail(index, FailCause::TimedOut, now),
                    Fired::Wake(index) => {
                        let mut out = self.outbox();
                        self.table.wake(index, now, &mut out);
                        self.apply(index, out, 0, now);
                    }
                }
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.table.next_to_start() else {
                    break;
                };
                let mut out = self.outbox();
                self.table.start(index, now, &mut out);
                self.apply(index, out, 0, now);
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.table.next_to_wake() else {
                    break;
                };
                let mut out = self.outbox();
                self.table.wake(index, now, &mut out);
                self.apply(index, out, 0, now);
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.table.next_to_leave() else {
                    break;
                };
                let mut out = self.outbox();
                self.table.farewell(index, now, &mut out);
                self.apply(index, out, 0, now);
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
                let mut out = self.outbox();
                out.close = true;
                self.apply(index, out, 0, now);
            }
            self.open(now);
            self.watch_listeners(now)?;
            self.tell_sent();
            self.table.take_arrivals(now);
            for _ in 0..TURNS_A_ROUND {
                let mut out = self.outbox();
                let Some(index) = self.table.take_turn(now, &mut out) else {
                    self.keep_bytes(out.bytes);
                    break;
                };
                self.apply(index, out, 0, now);
            }
            for _ in 0..self.to_read.len() {
                let Some((index, generation)) = self.to_read.pop_front() else {
                    break;
                };
                if self.is_current(index, generation) {
                    self.table.conns[index as usize].marks &= !TO_READ;
                    match (self.table.reads(), self.asked.remove(&index)) {
                        (Reads::Asked, Some(most)) => self.read_some(index, most),
                        (Reads::Asked, None) => {}
                        _ => self.read(index, false),
                    }
                }
            }
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut timeout = self.table.sleep(self.table.clock.now());
        if !self.sent.is_empty() || !self.to_read.is_empty() {
            timeout = Some(Duration::ZERO);
        } else if !self.accepting && !self.table.listeners.is_empty() {
            timeout = Some(timeout.map_or(ACCEPT_REST, |t| t.min(ACCEPT_REST)));
        }
        let found = self.poll.wait(timeout)?;
        self.table.woke();
        let now = self.table.clock.now();
        for i in 0..found {
            let (key, events) = self.poll.event(i);
            if key == WAKER {
                self.waker.drain();
            } else if key & LISTENER != 0 {
                self.accept((key & !LISTENER) as usize, now);
            } else {
                self.edge(key as u32, (key >> 32) as u16, events, now);
            }
        }
        Ok(())
    }

    /// An edge on a connection.
    fn edge(&mut self, index: u32, generation: u16, events: u32, now: Time) {
        let Some(conn) = self.table.conns.get(index as usize) else {
            return;
        };
        if conn.generation != generation {
            return;
        }
        match conn.state {
            State::Connecting => match self.connect_ended(index) {
                0 => {
                    let mut out = self.outbox();
                    self.table.connected(index, now, &mut out);
                    self.apply(index, out, 0, now);
                    if B::PAIRS {
                        self.joined(index, generation, now);
                    }
                }
                errno => {
                    self.fail(index, fail_cause(errno), now);
                    return;
                }
            },
            State::Early => match poll::pending_error(self.fd(index)) {
                0 if events & libc::EPOLLOUT as u32 == 0 => return,
                errno if self.early_ended(index, errno, now) => {}
                _ => return,
            },
            State::Open => {}
            State::Free | State::Waiting => return,
        }
        if events & libc::EPOLLOUT as u32 != 0 {
            self.write_on(index, now);
        }
        let readable = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        if events & readable == 0 || !self.is_current(index, generation) {
            return;
        }
        let over = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        if B::PAIRS && events & over != 0 && self.unread_end(index, events, now) {
            return;
        }
        match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Looks | Reads::Discards => {
                self.read(index, events & over == 0);
            }
            Reads::Asked => {
                if let Some(most) = self.asked.remove(&index) {
                    self.read_some(index, most);
                } else if self.table.conns[index as usize].marks & WATCHED != 0 {
                    self.end_if_hung_up(index, events, now);
                }
            }
            Reads::Never => self.end_if_hung_up(index, events, now),
        }
    }
}
