//! What peers have not read of what was sent to them, at the end of the hold and a moment later.

use super::Run;
use std::time::Duration;
use throng_core::diagnosis;
use throng_host::sockets::SockStat;

/// Up to this many connections are looked at in some 20 ms.
const FEW: u64 = 10_000;
/// What is less than one of so many parts of all that was sent is not worth a look.
const PARTS: u64 = 100;
/// What peers have not read this long after the hold waited for as long, or longer.
const LATER: Duration = Duration::from_secs(1);
/// The least page, in bytes. Where pages are larger, what waits in buffers is thought to be less, and not looked at.
const PAGE: u64 = 4096;

/// What peers have not read.
pub(super) struct Unread {
    /// The end of the hold, since the run began.
    since: Duration,
    /// Bytes sent until then.
    sent: u64,
    /// Bytes that were unread then.
    bytes: u64,
    later: Option<u64>,
}

impl Run<'_> {
    /// What peers have not read now, at the end of the hold.
    pub(super) fn unread(&self) -> Unread {
        let held = self.ending.held.unwrap_or_default();
        Unread {
            since: held.at,
            sent: held.opened.bytes_sent,
            bytes: self.unread_bytes().unwrap_or(0),
            later: None,
        }
    }

    /// Bytes that were sent and that peers have not read, as far as this machine's kernel knows. `None` where other
    /// programs have connections to the targets, too, whose bytes can't be told apart: there are more connections than this
    /// run has, or more bytes unread than it sent.
    fn unread_bytes(&self) -> Option<u64> {
        let clients = self.sides.clients.tally();
        if clients.open() > FEW {
            if self.ending.timed_out {
                return None;
            }
            let in_buffers = SockStat::read().ok()?.tcp_mem_pages * PAGE;
            if in_buffers < clients.bytes_sent / PARTS {
                return None;
            }
        }
        let found = self.before.unread()?;
        let ours = found.connections <= clients.open() && found.bytes <= clients.bytes_sent;
        ours.then_some(found.bytes)
    }
}

impl Unread {
    /// Whether it is worth while to wait, at `at`, for what may still be read.
    pub fn may_be_read(&self, at: Duration) -> bool {
        self.is_worth_a_look() && at < self.since + LATER
    }

    /// Looks again, if enough time has passed.
    pub fn look(&mut self, run: &Run) {
        if self.is_worth_a_look() && run.watch.clock.elapsed() >= self.since + LATER {
            self.later = run.unread_bytes();
        }
    }

    fn is_worth_a_look(&self) -> bool {
        self.bytes > self.sent / PARTS
    }

    /// What is known by now.
    pub fn unread(&self) -> diagnosis::Unread {
        diagnosis::Unread {
            bytes: self.bytes,
            later: self.later,
        }
    }
}
