//! Arming receives, and watching for hang-ups.

use super::op::{self, Op, Tag};
use super::worker::{PAUSED, RECEIVING, SHUT, SKIPPING, Worker};
use throng_core::behaviour::{Behaviour, Reads};

impl<B: Behaviour> Worker<B> {
    /// A connection is established: starts to read from it, as its behaviour reads.
    pub(super) fn begin_to_receive(&mut self, index: u32) {
        self.checks.forget(index);
        match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Looks | Reads::Discards => self.receive(index),
            Reads::Asked => {}
            Reads::Never => self.watch_for_hangup(index),
        }
    }

    /// Arms a watch that completes when the peer closes or resets the connection.
    pub(super) fn watch_for_hangup(&mut self, index: u32) {
        let tag = self.tag(Op::Hangup, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::hangup(tag));
    }

    pub(super) fn receive(&mut self, index: u32) {
        let (at, _) = self.place(index);
        if let Some(len) = self.table.skips(index) {
            let tag = self.tag(Op::Skip, index, 0);
            self.rings[at].push(op::skip(len as u32, tag));
            *self.marks(index) |= RECEIVING | SKIPPING;
            return;
        }
        let tag = self.receive_tag(index);
        self.rings[at].push(match (tag.op, self.table.reads().only_counts()) {
            (Op::Look, _) => op::look(tag),
            (_, true) => op::discard(tag),
            (_, false) => op::receive(tag),
        });
        *self.marks(index) |= RECEIVING;
    }

    /// Bytes arrived, and more will, with the receive that is armed: ends it if what comes next is to be skipped.
    pub(super) fn skip_what_follows(&mut self, index: u32, receive: Tag) {
        let marks = *self.marks(index);
        match self.table.skips(index) {
            None => *self.marks(index) &= !SKIPPING,
            Some(_) if marks & (SKIPPING | PAUSED | SHUT) != 0 => {}
            Some(_) => {
                let (at, _) = self.place(index);
                self.rings[at].push(op::cancel(receive));
                *self.marks(index) |= SKIPPING;
            }
        }
    }

    /// The tag of a receive that is armed now, or was, unless bytes are skipped.
    pub(super) fn receive_tag(&self, index: u32) -> Tag {
        // Whether a connection is looked at changes only when bytes were received, and then no look is armed any more.
        let op = match self.table.looks(index) {
            true => Op::Look,
            false => Op::Recv,
        };
        self.tag(op, index, 0)
    }

    /// Reads up to `len` bytes once, unless a read is under way.
    pub(super) fn receive_some(&mut self, index: u32, len: u32) {
        if *self.marks(index) & (RECEIVING | SHUT) == 0 {
            // A tag's extra bits can hold the size of any buffer.
            let len = len.min(u16::MAX.into());
            let tag = self.tag(Op::Recv, index, len as u16);
            let (at, _) = self.place(index);
            self.rings[at].push(op::receive_some(len, tag));
            *self.marks(index) |= RECEIVING;
        }
    }
}
