//! Sending: the kernel takes what it can at once, and the rest waits.

use super::poll;
use super::rest::{Rest, Source};
use super::worker::{BLOCKED, CLOSE_WHEN_SENT, PEER_CLOSED, TO_TELL, Worker};
use throng_core::behaviour::Behaviour;
use throng_core::stats::Closed;
use throng_core::time::Time;

/// A connection with more bytes of replies than this waiting is not read from.
pub(super) const PAUSE_ABOVE: usize = 256 * 1024;

impl<B: Behaviour> Worker<B> {
    pub(super) fn took(&mut self, n: usize) {
        self.table.counters.writes.add(1);
        self.table.counters.bytes_sent.add(n as u64);
    }

    /// Sends as many bytes as the kernel takes, and keeps a copy of the rest.
    pub(super) fn send_bytes(
        &mut self,
        index: u32,
        from: Source,
        tell: bool,
        more: bool,
        now: Time,
    ) {
        let fd = self.fd(index);
        let bytes = match from {
            Source::Received(range) => &self.buffer[range],
            Source::Written(bytes) => bytes,
        };
        let mut taken = 0;
        if self.table.conns[index as usize].marks & BLOCKED == 0 {
            match poll::send(fd, bytes, more) {
                Ok(n) => taken = n,
                Err(libc::EAGAIN) => {}
                Err(errno) => {
                    self.finish(index, self.table.close_cause(errno), now);
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

    /// Keeps bytes for a connection that is being opened.
    pub(super) fn keep_for(&mut self, index: u32, from: Source) {
        let bytes = match from {
            Source::Received(range) => &self.buffer[range],
            Source::Written(bytes) => bytes,
        };
        let rest = Rest::Bytes {
            bytes: bytes.to_vec(),
            taken: 0,
            to_tell: None,
            more: false,
        };
        self.blocked.entry(index).or_default().push_back(rest);
    }

    pub(super) fn block(&mut self, index: u32, rest: Rest) {
        self.table.conns[index as usize].marks |= BLOCKED;
        self.blocked.entry(index).or_default().push_back(rest);
    }

    /// Sends as much of `rest` as the kernel takes, and keeps what is left.
    pub(super) fn send(&mut self, index: u32, mut rest: Rest, now: Time) {
        if self.table.conns[index as usize].marks & BLOCKED != 0 {
            self.block(index, rest);
            return;
        }
        match self.send_on(index, &mut rest) {
            Ok(true) => {
                let to_tell = rest.to_tell();
                self.keep_pipe(rest);
                self.all_taken(index, to_tell, now);
            }
            Ok(false) => self.block(index, rest),
            Err(errno) => self.finish(index, self.table.close_cause(errno), now),
        }
    }

    /// Sends as much of `rest` as the kernel takes. Returns whether that was everything.
    fn send_on(&mut self, index: u32, rest: &mut Rest) -> Result<bool, i32> {
        let fd = self.fd(index);
        while rest.len() > 0 {
            match rest.send(fd, &self.memory) {
                Ok(n) => self.took(n),
                Err(libc::EAGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    /// A send has ended. The loop notifies the behaviour.
    fn all_taken(&mut self, index: u32, to_tell: Option<usize>, now: Time) {
        let conn = &mut self.table.conns[index as usize];
        match to_tell {
            Some(n) => {
                conn.marks |= TO_TELL;
                self.sent.push_back((index, conn.generation, n));
            }
            None => self.close_if_sent(index, now),
        }
    }

    /// Continues with what was blocked.
    pub(super) fn write_on(&mut self, index: u32, now: Time) {
        let generation = self.table.conns[index as usize].generation;
        if self.table.conns[index as usize].marks & BLOCKED == 0 {
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
                        self.table.conns[index as usize].marks |= TO_TELL;
                        self.sent.push_back((index, generation, n));
                    }
                    self.keep_pipe(rest);
                }
                Ok(false) => {
                    waiting.push_front(rest);
                    break;
                }
                Err(errno) => {
                    self.finish(index, self.table.close_cause(errno), now);
                    return;
                }
            }
        }
        if waiting.is_empty() {
            self.table.conns[index as usize].marks &= !BLOCKED;
            if B::PAIRS {
                self.all_sent(index, now);
                if reads_not && self.is_current(index, generation) && !self.waits_for_peer(index) {
                    self.read_later(index);
                }
                return;
            }
        } else {
            self.blocked.insert(index, waiting);
        }
        if reads_not && !self.waits_for_peer(index) {
            // Reading had stopped for this, and an edge may have passed meanwhile.
            self.read_later(index);
        }
        self.close_if_sent(index, now);
    }

    /// Closes a connection that waits only for its sends, once they have ended.
    pub(super) fn close_if_sent(&mut self, index: u32, now: Time) {
        let marks = self.table.conns[index as usize].marks;
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

    /// Whether the connection is not read from because its peer does not read.
    pub(super) fn waits_for_peer(&self, index: u32) -> bool {
        if B::PAIRS {
            return self.waits_for_partner(index);
        }
        self.replies(index).map(Rest::len).sum::<usize>() > PAUSE_ABOVE
    }

    /// How many bytes wait to be sent on a connection.
    pub(super) fn owed(&self, index: u32) -> usize {
        let waiting = self.blocked.get(&index);
        waiting.into_iter().flatten().map(Rest::len).sum()
    }

    /// Whether replies wait for the peer to read them.
    pub(super) fn owes_replies(&self, index: u32) -> bool {
        self.replies(index).next().is_some()
    }

    fn replies(&self, index: u32) -> impl Iterator<Item = &Rest> {
        let blocked = self.table.conns[index as usize].marks & BLOCKED != 0;
        let waiting = blocked.then(|| self.blocked.get(&index)).flatten();
        let replies = |r: &&Rest| matches!(r, Rest::Bytes { to_tell: None, .. });
        waiting.into_iter().flatten().filter(replies)
    }
}
