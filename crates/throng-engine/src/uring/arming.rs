//! Arming receives, and watching for hang-ups.

use super::op::{self, Op};
use super::worker::{RECEIVING, SHUT, Worker};
use throng_core::behaviour::{Behaviour, Reads};
impl<B: Behaviour> Worker<B> {
    /// A connection is up: reads from it as its behaviour does.
    pub(super) fn begin_to_receive(&mut self, index: u32) {
        match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Discards => self.receive(index),
            Reads::Asked => {}
            Reads::Never => self.look_out(index),
        }
    }

    /// Has the kernel say when the peer leaves.
    pub(super) fn look_out(&mut self, index: u32) {
        let tag = self.tag(Op::Gone, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::gone(tag));
    }

    pub(super) fn receive(&mut self, index: u32) {
        let tag = self.tag(Op::Recv, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(match self.table.reads() {
            Reads::Counts | Reads::Discards => op::discard(tag),
            Reads::All | Reads::Asked | Reads::Never => op::receive(tag),
        });
        *self.marks(index) |= RECEIVING;
    }

    /// Reads up to `len` bytes once, if nothing is being read.
    pub(super) fn receive_some(&mut self, index: u32, len: u32) {
        if *self.marks(index) & (RECEIVING | SHUT) == 0 {
            // Buffers are smaller than what an extra can say.
            let len = len.min(u16::MAX.into());
            let tag = self.tag(Op::Recv, index, len as u16);
            let (at, _) = self.place(index);
            self.rings[at].push(op::receive_some(len, tag));
            *self.marks(index) |= RECEIVING;
        }
    }
}
