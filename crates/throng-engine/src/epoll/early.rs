//! Connections whose first bytes go with the SYN (TCP Fast Open).

use super::poll;
use super::rest::Rest;
use super::worker::Worker;
use crate::socket::{fail_cause, was_established};
use throng_core::behaviour::{Behaviour, Transmit};
use throng_core::time::Time;

impl<B: Behaviour> Worker<B> {
    /// Begins the handshake of a connection that connect() has only prepared, with what its behaviour wants to send. What
    /// is sent waits among what is blocked, whether the kernel took it or not, until the connection is established.
    ///
    /// # Errors
    /// The errno of an attempt that fails at once.
    pub(super) fn open_early(&mut self, index: u32, now: Time) -> Result<(), i32> {
        let mut first = Vec::new();
        self.table.write_header(index, &mut first);
        let mut out = self.outbox();
        self.table.open_early(index, now, &mut out);
        let memory = &self.memory;
        // What goes with a SYN does not wait for more.
        let more = false;
        let mut rest = match out.send {
            Transmit::Memory(range) if first.is_empty() => Some(Rest::Memory {
                left: range.start as usize..range.end as usize,
                whole: range.len(),
                more,
            }),
            send => {
                let to_tell = match send {
                    Transmit::Memory(range) => {
                        first.extend_from_slice(&memory[range.start as usize..range.end as usize]);
                        Some(range.len())
                    }
                    Transmit::Bytes => Some(out.bytes.len()),
                    Transmit::Nothing | Transmit::Back | Transmit::Reply | Transmit::Across(_) => {
                        None
                    }
                };
                first.extend_from_slice(&out.bytes);
                (!first.is_empty()).then_some(Rest::Bytes {
                    bytes: first,
                    taken: 0,
                    to_tell,
                    more,
                })
            }
        };
        self.keep_bytes(out.bytes);
        // A send of no bytes begins the handshake, too.
        let fd = self.fd(index);
        let sent = match &mut rest {
            Some(rest) => rest.send(fd, &self.memory),
            None => poll::send(fd, &[], false),
        };
        let taken = match sent {
            Ok(n) => n,
            // The kernel has sent the SYN alone: it has no cookie any more, or there was nothing to send.
            Err(libc::EINPROGRESS) => 0,
            Err(errno) => return Err(errno),
        };
        if let Some(rest) = rest {
            self.block(index, rest);
        }
        if taken > 0 {
            self.table.sent_early(index, taken as i32);
        }
        Ok(())
    }

    /// The handshake of such a connection has ended, with this errno or 0. Returns whether it is open.
    pub(super) fn early_ended(&mut self, index: u32, errno: i32, now: Time) -> bool {
        if errno != 0 && !was_established(errno) {
            self.fail(index, fail_cause(errno), now);
            return false;
        }
        let mut out = self.outbox();
        if let Some(taken) = self.table.established(index, now, &mut out) {
            self.took(taken as usize);
        }
        if errno != 0 {
            self.keep_bytes(out.bytes);
            self.finish(index, self.table.close_cause(errno), now);
            return false;
        }
        self.apply(index, out, 0, now);
        true
    }
}
