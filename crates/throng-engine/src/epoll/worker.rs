//! A worker's loop over one epoll instance.
//!
//! Registration is edge-triggered, so each connection is registered once. An edge says that reading
//! or writing may go on; the loop then goes on until the kernel says stop, or the connection has had
//! its share of this round and is put on a list for the next.

use super::poll::{self, Poll};
use crate::desk::{Desk, Fired, State};
use crate::job::Job;
use crate::socket::{self, OwnedEvent, PORT_LATER, close_cause, fail_cause};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Outbox, Reads, Send};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The worker's one receive buffer.
const BUFFER_BYTES: usize = 64 * 1024;
/// What is thrown away at once, at most.
const DISCARD_BYTES: usize = 1024 * 1024;
/// A peer that lets this much wait is not read from.
const PAUSE_ABOVE: usize = 256 * 1024;
/// Reads of one connection before the others get their turn.
const READS_A_TURN: usize = 8;
/// Connections opened, or accepted from one listener, in one round of the loop.
const OPENS_A_ROUND: u32 = 16;
const ACCEPTS_A_ROUND: u32 = 64;
/// Turns passed on in one round, at most.
const TURNS_A_ROUND: usize = 1024;
/// Connections on which traffic is started, or farewell is said, in one round.
const STARTS_A_ROUND: usize = 256;
/// How long a worker that does not accept rests before it looks again.
const ACCEPT_REST: Duration = Duration::from_millis(1);

/// The peer does not read: something waits in `blocked`.
const BLOCKED: u8 = 1;
/// A send was taken whole and its behaviour is still to be told.
const TO_TELL: u8 = 2;
/// Close when all is sent.
const CLOSE_WHEN_SENT: u8 = 4;
/// It has more to read and waits for its next turn.
const TO_READ: u8 = 8;
/// The peer has closed its side.
const PEER_CLOSED: u8 = 16;

/// Keys of what is no connection.
const WAKER: u64 = u64::MAX;
const LISTENER: u64 = 1 << 63;

/// Something to send, and how far that is done.
enum Rest {
    /// Of the behaviour's memory; `whole` is the length of the send.
    Memory {
        left: Range<usize>,
        whole: usize,
        more: bool,
    },
    /// Of bytes that were written or received; `to_tell` is what the behaviour is to be told of.
    Bytes {
        bytes: Vec<u8>,
        taken: usize,
        to_tell: Option<usize>,
        more: bool,
    },
}

/// Where bytes to send lie.
enum Source<'a> {
    /// This many at the beginning of the receive buffer.
    Received(usize),
    /// Here.
    Written(&'a [u8]),
}

impl Rest {
    /// Of how many bytes the behaviour is to be told once all is sent.
    fn to_tell(&self) -> Option<usize> {
        match self {
            Rest::Memory { whole, .. } => Some(*whole),
            Rest::Bytes { to_tell, .. } => *to_tell,
        }
    }

    /// What is left to send.
    fn len(&self) -> usize {
        match self {
            Rest::Memory { left, .. } => left.len(),
            Rest::Bytes { bytes, taken, .. } => bytes.len() - taken,
        }
    }
}

struct Worker<B: Behaviour> {
    desk: Desk<B>,
    poll: Poll,
    files: Vec<Option<OwnedFd>>,
    memory: Arc<[u8]>,
    buffer: Box<[u8]>,
    /// What the next outbox's bytes are written to.
    scratch: Vec<u8>,
    /// What the kernel did not take yet, in order; never empty.
    blocked: HashMap<u32, VecDeque<Rest>>,
    /// With [`Reads::Asked`]: how much connections that found nothing to read may read.
    asked: HashMap<u32, usize>,
    /// Sends that were taken whole: connection, generation, length. Told from the loop, not from
    /// where they happen, so that a behaviour that sends on and on does not recurse.
    sent: VecDeque<(u32, u16, usize)>,
    to_read: VecDeque<(u32, u16)>,
    /// Whether the listeners are registered.
    accepting: bool,
    accept_again: Time,
    waker: Arc<OwnedEvent>,
}

/// Runs `job` on epoll until it is told to close.
pub(crate) fn run<B: Behaviour>(job: Job, behaviour: B, waker: Arc<OwnedEvent>) -> io::Result<()> {
    let memory = behaviour.memory();
    let mut worker = Worker {
        desk: Desk::new(job, behaviour),
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
    for listener in &worker.desk.listeners {
        listener.set_nonblocking(true)?;
    }
    worker.work()?;
    worker.desk.close_all();
    worker.files.clear();
    worker.desk.done();
    Ok(())
}

impl<B: Behaviour> Worker<B> {
    fn work(&mut self) -> io::Result<()> {
        let mut fired = Vec::new();
        while !self.desk.take_orders() {
            let now = self.desk.clock.now();
            self.desk.fire(now, &mut fired);
            for timer in fired.drain(..) {
                match timer {
                    Fired::GiveUp(index) => self.fail(index, FailCause::TimedOut, now),
                    Fired::Wake(index) => {
                        let mut out = self.outbox();
                        self.desk.wake(index, now, &mut out);
                        self.apply(index, out, 0, now);
                    }
                }
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.desk.next_to_start() else {
                    break;
                };
                let mut out = self.outbox();
                self.desk.start(index, now, &mut out);
                self.apply(index, out, 0, now);
            }
            for _ in 0..STARTS_A_ROUND {
                let Some(index) = self.desk.next_to_leave() else {
                    break;
                };
                let mut out = self.outbox();
                self.desk.farewell(index, now, &mut out);
                self.apply(index, out, 0, now);
            }
            self.open(now);
            self.watch_listeners(now)?;
            self.tell_sent();
            self.desk.take_arrivals(now);
            for _ in 0..TURNS_A_ROUND {
                let mut out = self.outbox();
                let Some(index) = self.desk.take_turn(now, &mut out) else {
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
                    self.desk.conns[index as usize].marks &= !TO_READ;
                    match (self.desk.reads(), self.asked.remove(&index)) {
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
        let mut timeout = self.desk.sleep(self.desk.clock.now());
        if !self.sent.is_empty() || !self.to_read.is_empty() {
            timeout = Some(Duration::ZERO);
        } else if !self.accepting && !self.desk.listeners.is_empty() {
            timeout = Some(timeout.map_or(ACCEPT_REST, |t| t.min(ACCEPT_REST)));
        }
        let found = self.poll.wait(timeout)?;
        self.desk.woke();
        let now = self.desk.clock.now();
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

    fn is_current(&self, index: u32, generation: u16) -> bool {
        let conn = self.desk.conns.get(index as usize);
        conn.is_some_and(|c| c.generation == generation && c.state == State::Open)
    }

    fn fd(&self, index: u32) -> RawFd {
        self.files[index as usize]
            .as_ref()
            .map_or(-1, AsRawFd::as_raw_fd)
    }

    fn key(&self, index: u32) -> u64 {
        u64::from(index) | u64::from(self.desk.conns[index as usize].generation) << 32
    }

    fn keep(&mut self, index: u32, file: OwnedFd) {
        if index as usize >= self.files.len() {
            self.files.resize_with(index as usize + 1, || None);
        }
        self.files[index as usize] = Some(file);
    }

    /// Something happened on a connection.
    fn edge(&mut self, index: u32, generation: u16, events: u32, now: Time) {
        let Some(conn) = self.desk.conns.get(index as usize) else {
            return;
        };
        if conn.generation != generation {
            return;
        }
        match conn.state {
            State::Connecting => match poll::pending_error(self.fd(index)) {
                0 => {
                    let mut out = self.outbox();
                    self.desk.connected(index, now, &mut out);
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
        match self.desk.reads() {
            Reads::All | Reads::Discards => self.read(index),
            Reads::Asked => {
                if let Some(most) = self.asked.remove(&index) {
                    self.read_some(index, most);
                }
            }
            Reads::Never => self.look_whether_gone(index, events, now),
        }
    }

    /// Ends a connection that is never read from if its peer has closed or reset it.
    fn look_whether_gone(&mut self, index: u32, events: u32, now: Time) {
        let reset = events & libc::EPOLLERR as u32 != 0;
        if reset || events & (libc::EPOLLRDHUP | libc::EPOLLHUP) as u32 != 0 {
            let why = match self.desk.conns[index as usize].marks & CLOSE_WHEN_SENT {
                0 if reset => Closed::ResetByPeer,
                0 => Closed::ByPeer,
                _ => Closed::ByUs,
            };
            self.finish(index, why, now);
        }
    }

    // Opening

    fn open(&mut self, now: Time) {
        for _ in 0..self.desk.may_open(now).min(OPENS_A_ROUND) {
            let Some(index) = self.desk.open_next(now) else {
                break;
            };
            if let Err(errno) = self.connect(index) {
                self.fail(index, fail_cause(errno), now);
            }
        }
    }

    fn connect(&mut self, index: u32) -> Result<(), i32> {
        let errno = |e: io::Error| e.raw_os_error().unwrap_or(libc::EIO);
        let (target, source) = self.desk.route(index);
        let file = socket::stream(target.family()).map_err(errno)?;
        let fd = file.as_raw_fd();
        if let Some(source) = source {
            socket::set_options(&[PORT_LATER], fd).map_err(errno)?;
            socket::bind(fd, source).map_err(errno)?;
        }
        socket::set_options(self.desk.options(), fd).map_err(errno)?;
        poll::connect(fd, target)?;
        self.poll.add_edges(fd, self.key(index)).map_err(errno)?;
        self.keep(index, file);
        Ok(())
    }

    fn fail(&mut self, index: u32, cause: FailCause, now: Time) {
        if let Some(file) = self.files.get_mut(index as usize) {
            *file = None;
        }
        self.desk.failed(index, cause, now);
    }

    // Accepting

    /// Registers the listeners while this worker is to accept. Every worker sees every listener, so a
    /// worker that does not take a connection leaves it to the others.
    fn watch_listeners(&mut self, now: Time) -> io::Result<()> {
        let room = self.desk.has_place();
        let wanted = room
            && !self.desk.stopped_opening()
            && now >= self.accept_again
            && !self.desk.is_ahead();
        if wanted != self.accepting {
            self.accepting = wanted;
            for (i, listener) in self.desk.listeners.iter().enumerate() {
                if wanted {
                    self.poll
                        .add_readable(listener.as_raw_fd(), LISTENER | i as u64)?;
                } else {
                    self.poll.remove(listener.as_raw_fd());
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize, now: Time) {
        for _ in 0..ACCEPTS_A_ROUND {
            let Some(index) = self.desk.take_place() else {
                return;
            };
            match poll::accept(self.desk.listeners[listener].as_raw_fd()) {
                Ok(file) => self.accepted(index, file, now),
                Err(errno) => {
                    self.desk.give_place(index);
                    if !matches!(errno, libc::EAGAIN | libc::ECONNABORTED) {
                        self.accept_again = now + ACCEPT_REST;
                    }
                    return;
                }
            }
        }
    }

    fn accepted(&mut self, index: u32, file: OwnedFd, now: Time) {
        let added = self.poll.add_edges(file.as_raw_fd(), self.key(index));
        self.keep(index, file);
        let mut out = self.outbox();
        self.desk.accepted(index, now, &mut out);
        if added.is_err() {
            // No memory for a registration: the connection can't be served.
            self.finish(index, Closed::Error, now);
            return;
        }
        self.apply(index, out, 0, now);
    }

    // Traffic

    /// Reads until there is nothing more, the connection is blocked, or it had its turn.
    fn read(&mut self, index: u32) {
        let generation = self.desk.conns[index as usize].generation;
        for _ in 0..READS_A_TURN {
            if self.waits_for_peer(index) {
                // Read on once the peer has read.
                return;
            }
            if !self.read_once(index, BUFFER_BYTES) || !self.is_current(index, generation) {
                return;
            }
        }
        let conn = &mut self.desk.conns[index as usize];
        if conn.marks & TO_READ == 0 {
            conn.marks |= TO_READ;
            self.to_read.push_back((index, generation));
        }
    }

    /// Reads up to `most` bytes, now or once there are some.
    fn read_some(&mut self, index: u32, most: usize) {
        let generation = self.desk.conns[index as usize].generation;
        if !self.read_once(index, most) && self.is_current(index, generation) {
            self.asked.insert(index, most);
        }
    }

    /// Reads up to `most` bytes. Returns whether there were any.
    fn read_once(&mut self, index: u32, most: usize) -> bool {
        let fd = self.fd(index);
        let discards = self.desk.reads() == Reads::Discards;
        let got = match discards {
            true => poll::discard(fd, DISCARD_BYTES),
            false => {
                let most = most.min(BUFFER_BYTES);
                poll::receive(fd, &mut self.buffer[..most])
            }
        };
        let now = self.desk.clock.now();
        match got {
            Ok(0) => {
                // What it sent before is still answered, and what was to be sent before closing still is.
                if self.owes_replies(index) {
                    self.desk.conns[index as usize].marks |= CLOSE_WHEN_SENT | PEER_CLOSED;
                } else if self.desk.conns[index as usize].marks & CLOSE_WHEN_SENT == 0 {
                    self.finish(index, Closed::ByPeer, now);
                }
                false
            }
            Ok(n) if discards => {
                self.desk.discarded(n);
                true
            }
            Ok(n) => {
                let mut out = self.outbox();
                self.desk.received(index, &self.buffer[..n], now, &mut out);
                self.apply(index, out, n, now);
                true
            }
            Err(libc::EAGAIN) => false,
            Err(errno) => {
                self.finish(index, close_cause(errno), now);
                false
            }
        }
    }

    /// Whether so much waits for the peer to read it that we don't read from it.
    fn waits_for_peer(&self, index: u32) -> bool {
        self.replies(index).map(Rest::len).sum::<usize>() > PAUSE_ABOVE
    }

    /// Whether replies wait for the peer to read them.
    fn owes_replies(&self, index: u32) -> bool {
        self.replies(index).next().is_some()
    }

    fn replies(&self, index: u32) -> impl Iterator<Item = &Rest> {
        let blocked = self.desk.conns[index as usize].marks & BLOCKED != 0;
        let waiting = blocked.then(|| self.blocked.get(&index)).flatten();
        let replies = |r: &&Rest| matches!(r, Rest::Bytes { to_tell: None, .. });
        waiting.into_iter().flatten().filter(replies)
    }

    /// An empty outbox for a behaviour's answer.
    fn outbox(&mut self) -> Outbox {
        Outbox {
            bytes: std::mem::take(&mut self.scratch),
            ..Outbox::default()
        }
    }

    /// Takes back the memory of an outbox's bytes.
    fn keep_bytes(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.scratch = bytes;
    }

    /// Does what a behaviour asked for; `got` bytes in the buffer were just received.
    fn apply(&mut self, index: u32, out: Outbox, got: usize, now: Time) {
        let generation = self.desk.conns[index as usize].generation;
        self.desk.pass(out.pass);
        if let Some(at) = out.wake {
            self.desk.wheel.set(index, at);
        }
        if out.close {
            self.desk.conns[index as usize].marks |= CLOSE_WHEN_SENT;
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
        if out.read > 0 && self.desk.reads() == Reads::Asked && self.is_current(index, generation) {
            // Not at once, so that a behaviour that reads on and on does not recurse.
            self.asked.insert(index, out.read as usize);
            self.read_later(index);
        }
    }

    fn read_later(&mut self, index: u32) {
        let conn = &mut self.desk.conns[index as usize];
        if conn.marks & TO_READ == 0 {
            conn.marks |= TO_READ;
            self.to_read.push_back((index, conn.generation));
        }
    }

    fn took(&mut self, n: usize) {
        self.desk.counters.writes.add(1);
        self.desk.counters.bytes_sent.add(n as u64);
    }

    /// Sends bytes from where they lie as far as the kernel takes them, and keeps a copy of the rest.
    fn send_bytes(&mut self, index: u32, from: Source, tell: bool, more: bool, now: Time) {
        let fd = self.fd(index);
        let bytes = match from {
            Source::Received(n) => &self.buffer[..n],
            Source::Written(bytes) => bytes,
        };
        let mut taken = 0;
        if self.desk.conns[index as usize].marks & BLOCKED == 0 {
            match poll::send(fd, bytes, more) {
                Ok(n) => taken = n,
                Err(libc::EAGAIN) => {}
                Err(errno) => {
                    self.finish(index, close_cause(errno), now);
                    return;
                }
            }
        }
        let len = bytes.len();
        let rest = Rest::Bytes {
            bytes: match taken == len {
                true => Vec::new(),
                false => bytes[taken..].to_vec(),
            },
            taken: 0,
            to_tell: tell.then_some(len),
            more,
        };
        if taken > 0 {
            self.took(taken);
        }
        if taken < len {
            self.block(index, rest);
        } else {
            self.all_taken(index, tell.then_some(len), now);
        }
    }

    fn block(&mut self, index: u32, rest: Rest) {
        self.desk.conns[index as usize].marks |= BLOCKED;
        self.blocked.entry(index).or_default().push_back(rest);
    }

    /// Sends `rest` as far as the kernel takes it, and keeps what it does not take.
    fn send(&mut self, index: u32, mut rest: Rest, now: Time) {
        if self.desk.conns[index as usize].marks & BLOCKED != 0 {
            self.block(index, rest);
            return;
        }
        match self.send_on(index, &mut rest) {
            Ok(true) => self.all_taken(index, rest.to_tell(), now),
            Ok(false) => self.block(index, rest),
            Err(errno) => self.finish(index, close_cause(errno), now),
        }
    }

    /// Sends of `rest` what the kernel takes. Returns whether that was all.
    fn send_on(&mut self, index: u32, rest: &mut Rest) -> Result<bool, i32> {
        let fd = self.fd(index);
        while rest.len() > 0 {
            let (bytes, more) = match &*rest {
                Rest::Memory { left, more, .. } => (&self.memory[left.clone()], *more),
                Rest::Bytes {
                    bytes, taken, more, ..
                } => (&bytes[*taken..], *more),
            };
            match poll::send(fd, bytes, more) {
                Ok(n) => {
                    self.took(n);
                    match rest {
                        Rest::Memory { left, .. } => left.start += n,
                        Rest::Bytes { taken, .. } => *taken += n,
                    }
                }
                Err(libc::EAGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    /// Something was taken whole. Its behaviour is told from the loop.
    fn all_taken(&mut self, index: u32, to_tell: Option<usize>, now: Time) {
        let conn = &mut self.desk.conns[index as usize];
        match to_tell {
            Some(n) => {
                conn.marks |= TO_TELL;
                self.sent.push_back((index, conn.generation, n));
            }
            None => self.close_if_sent(index, now),
        }
    }

    /// Goes on with what was blocked.
    fn write_on(&mut self, index: u32, now: Time) {
        let generation = self.desk.conns[index as usize].generation;
        if self.desk.conns[index as usize].marks & BLOCKED == 0 {
            return;
        }
        let reads_not = self.waits_for_peer(index);
        let Some(mut waiting) = self.blocked.remove(&index) else {
            return;
        };
        while let Some(mut rest) = waiting.pop_front() {
            match self.send_on(index, &mut rest) {
                Ok(true) => {
                    if let Some(n) = rest.to_tell() {
                        self.desk.conns[index as usize].marks |= TO_TELL;
                        self.sent.push_back((index, generation, n));
                    }
                }
                Ok(false) => {
                    waiting.push_front(rest);
                    break;
                }
                Err(errno) => {
                    self.finish(index, close_cause(errno), now);
                    return;
                }
            }
        }
        if waiting.is_empty() {
            self.desk.conns[index as usize].marks &= !BLOCKED;
        } else {
            self.blocked.insert(index, waiting);
        }
        if reads_not && !self.waits_for_peer(index) {
            // Reading stopped for this; its edge may have passed meanwhile.
            self.read_later(index);
        }
        self.close_if_sent(index, now);
    }

    /// Tells behaviours of the sends that were taken whole since the last time.
    fn tell_sent(&mut self) {
        let now = self.desk.clock.now();
        for _ in 0..self.sent.len() {
            let Some((index, generation, whole)) = self.sent.pop_front() else {
                return;
            };
            if self.is_current(index, generation) {
                let mut out = self.outbox();
                self.desk.conns[index as usize].marks &= !TO_TELL;
                self.desk.sent(index, whole, now, &mut out);
                self.apply(index, out, 0, now);
            }
        }
    }

    /// Closes a connection that was to be closed, if nothing of it is under way.
    fn close_if_sent(&mut self, index: u32, now: Time) {
        let marks = self.desk.conns[index as usize].marks;
        if marks & (CLOSE_WHEN_SENT | BLOCKED | TO_TELL) == CLOSE_WHEN_SENT {
            let by_peer = marks & PEER_CLOSED != 0;
            let why = if by_peer {
                Closed::ByPeer
            } else {
                Closed::ByUs
            };
            self.finish(index, why, now);
        }
    }

    /// Takes the connection out of its place.
    fn finish(&mut self, index: u32, why: Closed, now: Time) {
        self.files[index as usize] = None;
        self.blocked.remove(&index);
        self.asked.remove(&index);
        self.desk.closed(index, why, false, now);
    }
}
