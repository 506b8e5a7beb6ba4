//! Completions of receives and hang-up watches.

use super::abi::{
    Cqe, IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE,
    IORING_CQE_F_SOCK_NONEMPTY,
};
use super::buffers::Group;
use super::op::{Op, Tag};
use super::worker::{
    CLOSE_WHEN_SENT, PAUSED, RECEIVING, SHUT, SKIPPING, SPILLING, SUBMITTING, Worker,
};
use crate::table::State;
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::stats::Closed;
use throng_core::time::Time;
impl<B: Behaviour> Worker<B> {
    pub(super) fn received(&mut self, index: u32, tag: Tag, cqe: Cqe, now: Time) {
        let (at, _) = self.place(index);
        let buffer = (cqe.flags & IORING_CQE_F_BUFFER != 0)
            .then_some((cqe.flags >> IORING_CQE_BUFFER_SHIFT) as u16);
        let current = self.is_current(index, tag, State::Open);
        if current && cqe.flags & IORING_CQE_F_MORE == 0 {
            *self.marks(index) &= !(RECEIVING | SKIPPING);
        }
        let before = if current { *self.marks(index) } else { 0 };
        let mut keep = false;
        if current
            && *self.marks(index) & SHUT == 0
            && let (Some(bid), len @ 1..) = (buffer, cqe.res)
        {
            let n = len as usize;
            match self.table.reads() {
                Reads::Looks if tag.op == Op::Look => {
                    let bytes = self.pools.of(Group::Looks).bytes(bid, n);
                    self.table.received(index, bytes, now, &mut self.out);
                    self.apply(index, None);
                }
                Reads::Discards => {
                    self.table.count_read(n);
                    self.bulk.received(n);
                }
                Reads::Counts | Reads::Looks => {
                    self.table.counted(index, n, now, &mut self.out);
                    self.apply(index, None);
                }
                Reads::All | Reads::Asked | Reads::Never => {
                    let bytes = self.pools.receives.bytes(bid, n);
                    self.table.received(index, bytes, now, &mut self.out);
                    keep = self.apply(index, Some((bid, len as u32)));
                }
            }
        }
        if tag.op == Op::Skip && current && *self.marks(index) & SHUT == 0 && cqe.res > 0 {
            let n = cqe.res as usize;
            self.table.counted(index, n, now, &mut self.out);
            self.apply(index, None);
        }
        if let Some(bid) = buffer.filter(|_| !keep) {
            self.rings[at].give_back(&self.pools, tag.group(), bid);
        }
        // The connection may have ended by what its behaviour asked for.
        if !self.is_current(index, tag, State::Open) {
            return;
        }
        if cqe.flags & IORING_CQE_F_MORE != 0 {
            if B::SKIPS {
                self.skip_what_follows(index, tag);
            }
            // If there is more to receive, another completion follows.
            if cqe.flags & IORING_CQE_F_SOCK_NONEMPTY == 0 {
                self.check_for_reset(index, before);
            }
            return;
        }
        let marks = *self.marks(index);
        // A multishot receive also ends when buffers run out or the completion queue is full. It is armed again.
        let goes_on = cqe.res > 0 || cqe.res == -libc::ENOBUFS || cqe.res == -libc::ECANCELED;
        if marks & SHUT != 0 {
            self.finish(index, Closed::ByUs, now);
        } else if goes_on {
            if self.table.reads() != Reads::Asked {
                let waits = B::PAIRS && (self.table.waits(index) || self.flood_follows(index));
                if marks & (PAUSED | RECEIVING) == 0 && !waits {
                    self.receive(index);
                }
            } else if cqe.res < 0 && marks & RECEIVING == 0 {
                // No buffer was free: the bytes are still to be received.
                self.receive_some(index, tag.extra.into());
            }
        } else if cqe.res < 0 {
            self.finish(index, self.table.close_cause(-cqe.res), now);
        } else if B::PAIRS {
            self.peer_finished(index, now);
        } else if marks & (SPILLING | CLOSE_WHEN_SENT) != 0
            || marks & SUBMITTING != 0 && !self.rings[at].silent.is_to_tell(index)
        {
            // The peer closed its side. What it sent before is still answered, and what was to be sent before
            // closing is still sent.
            *self.marks(index) |= CLOSE_WHEN_SENT;
        } else {
            self.finish(index, Closed::ByPeer, now);
        }
    }

    /// The watch on a connection that is not read from has ended: the peer closed or reset the connection, or
    /// this side ended the watch.
    pub(super) fn hung_up(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        if self.is_current(index, tag, State::Open) {
            let reset = res < 0 || res & i32::from(libc::POLLERR) != 0;
            *self.marks(index) &= !RECEIVING;
            let why = match *self.marks(index) & (CLOSE_WHEN_SENT | SHUT) {
                0 if reset => Closed::ResetByPeer,
                0 => Closed::ByPeer,
                _ => Closed::ByUs,
            };
            self.finish(index, why, now);
        }
    }
}
