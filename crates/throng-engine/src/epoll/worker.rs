//! A worker's loop over one epoll instance.
//!
//! Registration is edge-triggered, so each connection is registered once. An edge says that reading
//! or writing may go on; the loop then goes on until the kernel says stop, or the connection has had
//! its share of this round and is put on a list for the next.

use super::opening::ACCEPT_REST;
use super::poll::{self, Poll};
use super::sending::{Rest, Source};
use crate::job::Job;
use crate::socket::{EventFd, fail_cause};
use crate::table::{Fired, State, Table};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Outbox, Reads, Send};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The worker's one receive buffer.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// Turns passed on in one round, at most.
const TURNS_A_ROUND: usize = 1024;
/// Connections on which traffic is started, or farewell is said, in one round.
const STARTS_A_ROUND: usize = 256;

/// The peer does not read: something waits in `blocked`.
pub(super) const BLOCKED: u8 = 1;
/// A send was taken whole and its behaviour is still to be told.
pub(super) const TO_TELL: u8 = 2;
/// Close when all is sent.
pub(super) const CLOSE_WHEN_SENT: u8 = 4;
/// It has more to read and waits for its next turn.
pub(super) const TO_READ: u8 = 8;
/// The peer has closed its side.
pub(super) const PEER_CLOSED: u8 = 16;
/// It is not read from any more, only watched for its peer's end.
pub(super) const WATCHED: u8 = 32;

/// Keys of what is no connection.
const WAKER: u64 = u64::MAX;
pub(super) const LISTENER: u64 = 1 << 63;

pub(super) struct Worker<B: Behaviour> {
    pub table: Table<B>,
    pub poll: Poll,
    pub files: Vec<Option<OwnedFd>>,
    pub memory: Arc<[u8]>,
    pub buffer: Box<[u8]>,
    /// What the next outbox's bytes are written to.
    pub scratch: Vec<u8>,
    /// What the kernel did not take yet, in order; never empty.
    pub blocked: HashMap<u32, VecDeque<Rest>>,
    /// With [`Reads::Asked`]: how much connections that found nothing to read may read.
    pub asked: HashMap<u32, usize>,
    /// Sends that were taken whole: connection, generation, length. Told from the loop, not from
    /// where they happen, so that a behaviour that sends on and on does not recurse.
    pub sent: VecDeque<(u32, u16, usize)>,
    pub to_read: VecDeque<(u32, u16)>,
    /// Whether the listeners are registered.
    pub accepting: bool,
    pub accept_again: Time,
    pub waker: Arc<EventFd>,
}

/// Runs `job` on epoll until it is told to close.
pub(crate) fn run<B: Behaviour>(job: Job, behaviour: B, waker: Arc<EventFd>) -> io::Result<()> {
    let memory = behaviour.memory();
    let mut worker = Worker {
        table: Table::new(job, behaviour),
        poll: Poll::new()?,
        files: Vec::new(),
        memory,
        buffer: vec![0; BUFFER_BYTES].into(),
        scratch: Vec::new(),
        blocked: HashMap::new(),
        asked: HashMap::new(),
        sent: VecDeque::new(),
        to_read: VecDeque::new(),
        accepting: false,
        accept_again: Time::START,
        waker,
    };
    worker.poll.add_readable(worker.waker.raw(), WAKER)?;
    for listener in &worker.table.listeners {
        listener.set_nonblocking(true)?;
    }
    worker.work()?;
    worker.table.close_all();
    worker.files.clear();
    worker.table.done();
    Ok(())
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
                let Some(index) = self.table.next_to_leave() else {
                    break;
                };
                let mut out = self.outbox();
                self.table.farewell(index, now, &mut out);
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
                        _ => self.read(index),
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

    /// Something happened on a connection.
    fn edge(&mut self, index: u32, generation: u16, events: u32, now: Time) {
        let Some(conn) = self.table.conns.get(index as usize) else {
            return;
        };
        if conn.generation != generation {
            return;
        }
        match conn.state {
            State::Connecting => match poll::pending_error(self.fd(index)) {
                0 => {
                    let mut out = self.outbox();
                    self.table.connected(index, now, &mut out);
                    self.apply(index, out, 0, now);
                }
                errno => {
                    self.fail(index, fail_cause(errno), now);
                    return;
                }
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
        match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Discards => self.read(index),
            Reads::Asked => {
                if let Some(most) = self.asked.remove(&index) {
                    self.read_some(index, most);
                } else if self.table.conns[index as usize].marks & WATCHED != 0 {
                    self.look_whether_gone(index, events, now);
                }
            }
            Reads::Never => self.look_whether_gone(index, events, now),
        }
    }

    /// An empty outbox for a behaviour's answer.
    pub(super) fn outbox(&mut self) -> Outbox {
        Outbox {
            bytes: std::mem::take(&mut self.scratch),
            ..Outbox::default()
        }
    }

    /// Takes back the memory of an outbox's bytes.
    pub(super) fn keep_bytes(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.scratch = bytes;
    }

    /// Does what a behaviour asked for; `got` bytes in the buffer were just received.
    pub(super) fn apply(&mut self, index: u32, out: Outbox, got: usize, now: Time) {
        let generation = self.table.conns[index as usize].generation;
        self.table.pass(out.pass);
        if let Some(at) = out.wake {
            self.table.wheel.set(index, at);
        }
        if out.close {
            self.table.conns[index as usize].marks |= CLOSE_WHEN_SENT;
        }
        match out.send {
            Send::Nothing => self.close_if_sent(index, now),
            Send::Memory(range) => {
                let left = range.start as usize..range.end as usize;
                let whole = left.len();
                let more = out.more;
                self.send(index, Rest::Memory { left, whole, more }, now);
            }
            Send::Back => self.send_bytes(index, Source::Received(got), false, false, now),
            Send::Bytes | Send::Reply => {
                let tell = out.send == Send::Bytes;
                self.send_bytes(index, Source::Written(&out.bytes), tell, out.more, now);
            }
        }
        self.keep_bytes(out.bytes);
        if out.read > 0 && self.table.reads() == Reads::Asked && self.is_current(index, generation)
        {
            // Not at once, so that a behaviour that reads on and on does not recurse.
            self.asked.insert(index, out.read as usize);
            self.read_later(index);
        }
        if out.watch && self.table.reads() == Reads::Asked && self.is_current(index, generation) {
            self.table.conns[index as usize].marks |= WATCHED;
            // It may have left before, while it was read from.
            self.poll.look_again(self.fd(index), self.key(index));
        }
    }

    /// Takes the connection out of its place.
    pub(super) fn finish(&mut self, index: u32, why: Closed, now: Time) {
        self.files[index as usize] = None;
        self.blocked.remove(&index);
        self.asked.remove(&index);
        self.table.closed(index, why, false, now);
    }
}
