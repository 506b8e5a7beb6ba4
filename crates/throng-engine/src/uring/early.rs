//! Connections whose first bytes go with the SYN (TCP Fast Open).
//!
//! The first send goes through a spill, whose completion is kept until the handshake has ended. A poll tells when that is,
//! and a second connect whether it went well.

use super::op::{self, Op, Tag};
use super::worker::{SPILLING, Worker};
use crate::socket::{fail_cause, was_established};
use throng_core::behaviour::{Behaviour, Outbox, Transmit};
use throng_core::time::Time;

/// The result of a send that began a handshake, and of which the kernel took nothing: it has no cookie any more, or there
/// was nothing to send.
const IN_PROGRESS: i32 = -libc::EINPROGRESS;

impl<B: Behaviour> Worker<B> {
    /// Begins the handshake of a connection that connect has only prepared, with what its behaviour wants to send. (A
    /// connection without a cookie is established by now, and sends then.)
    pub(super) fn open_early(&mut self, index: u32, now: Time) {
        let key = (index, self.table.conns[index as usize].generation);
        let begins = self.table.write_header(index, &mut self.out.bytes);
        if begins {
            self.spills.add(key, &self.out.bytes, false);
            self.out.bytes.clear();
        }
        self.table.open_early(index, now, &mut self.out);
        let sends = match std::mem::take(&mut self.out.send) {
            Transmit::Nothing | Transmit::Back | Transmit::Across(_) => begins,
            Transmit::Memory(range) => {
                let bytes = &self.memory[range.start as usize..range.end as usize];
                self.spills.add(key, bytes, true);
                true
            }
            send @ (Transmit::Bytes | Transmit::Reply) => {
                let tell = send == Transmit::Bytes;
                self.spills.add(key, &self.out.bytes, tell);
                true
            }
        };
        self.out.bytes.clear();
        self.out.more = false;
        let (at, _) = self.place(index);
        if sends {
            *self.marks(index) |= SPILLING;
            self.send_spill(index);
        } else {
            // A send of no bytes begins the handshake, too.
            let tag = self.tag(Op::Probe, index, 0);
            self.rings[at].push(op::probe(tag));
        }
        let tag = self.tag(Op::Handshake, index, 0);
        self.rings[at].push(op::handshake(tag));
    }

    /// The first send ended before the handshake.
    pub(super) fn early_sent(&mut self, index: u32, res: i32, now: Time) {
        self.table.sent_early(index, res);
        if res < 0 && res != IN_PROGRESS {
            self.fail(index, fail_cause(-res), now);
        }
    }

    /// The handshake has ended: asks how.
    pub(super) fn handshake_ended(&mut self, index: u32) {
        let tag = self.tag(Op::Connect, index, 0);
        let (at, _) = self.place(index);
        let (target, _) = self.table.route(index);
        self.rings[at].push(op::connect(target, tag));
    }

    /// The second connect has ended.
    pub(super) fn early_ended(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        // The first one had established it.
        let established = res >= 0 || res == -libc::EISCONN;
        if !established && !was_established(-res) {
            self.fail(index, fail_cause(-res), now);
            return;
        }
        let sent = self.table.established(index, now, &mut self.out);
        if !established {
            // And its peer has reset it.
            self.out = Outbox::default();
            if let Some(sent) = sent {
                self.table.counters.bytes_sent.add(sent.max(0) as u64);
                self.spills.forget((index, tag.generation));
                *self.marks(index) &= !SPILLING;
            }
            self.finish(index, self.table.close_cause(-res), now);
            return;
        }
        self.begin_to_receive(index);
        self.apply(index, None);
        match sent {
            Some(IN_PROGRESS) => self.send_spill_again(index, tag.generation),
            Some(res) => self.spilled(
                index,
                Tag {
                    op: Op::Spill,
                    ..tag
                },
                res,
                now,
            ),
            // The rest of it waits in the kernel, or nothing was sent.
            None => {}
        }
    }

    /// Ends what an attempt that failed has in the kernel.
    pub(super) fn cancel_early(&mut self, index: u32) {
        let (at, _) = self.place(index);
        let key = (index, self.table.conns[index as usize].generation);
        if *self.marks(index) & SPILLING != 0 {
            if self.table.has_sent_early(index) {
                self.spills.forget(key);
            } else {
                self.spills.unopened(key);
                let tag = self.tag(Op::Spill, index, 0);
                self.rings[at].push(op::cancel(tag));
            }
        }
        let tag = self.tag(Op::Handshake, index, 0);
        self.rings[at].push(op::cancel(tag));
    }
}
