//! What this machine's kernel shows of the far ends of connections at the end of the hold: what servers on this machine have
//! not accepted, or do not have, and what does not arrive at peers.

use super::Run;
use crate::watch::TICK;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;
use throng_core::diagnosis::{HalfOpen, Stopped, Undelivered};
use throng_core::record::Mark;
use throng_core::stats::Closed;
use throng_host::serving::{self, Waiting};

/// How long a server may take to accept what was opened just before the end of the hold.
const ACCEPTED_SOON: Duration = Duration::from_millis(500);
/// A peer that takes nothing for this long does not read.
const UNREAD_FOR: Duration = Duration::from_secs(3);
/// How often connections that deliver nothing are looked at: that goes through all sockets.
const AGAIN: Duration = Duration::from_millis(500);
/// Data that was sent again more often than this without an acknowledgement did not get through for more than a second.
const RESENT_FEW: u8 = 2;

impl Run<'_> {
    /// Takes note of connections that servers on this machine have not accepted, with the reason if it shows, of servers
    /// that ended in the hold, and of connections to no server at all.
    pub(super) fn look_at_servers(&mut self, opened: &Mark, held: &Mark) {
        self.look_for_stopped(|stopped| stopped.at_end = true);
        let open = held.opened.open();
        let until = held.at + ACCEPTED_SOON;
        // Where connections come and go all the time, some are always on their way to the server.
        let passing = self.churns(&held.opened) && !self.requests_are_done();
        let mut unaccepted = Vec::new();
        let mut half_open = serving::HalfOpen::default();
        if !passing {
            unaccepted = self.before.unaccepted(open);
            half_open = self.half_open(open);
        }
        // Connections that were just opened again are accepted in a moment.
        while !(unaccepted.is_empty() && half_open.alone.is_empty()) {
            std::thread::sleep(TICK);
            unaccepted = self.before.unaccepted(open);
            let again = self.half_open(open);
            half_open.alone.retain(|end| again.alone.contains(end));
            half_open.unfinished = again.unfinished;
            if self.watch.clock.elapsed() >= until {
                break;
            }
        }
        // Whose connections these are is not visible: as many as others have may be theirs.
        let others = half_open.connections.saturating_sub(open);
        let unfinished = half_open.alone.intersection(&half_open.unfinished);
        self.ending.half_open = HalfOpen {
            connections: (half_open.alone.len() as u64).saturating_sub(others),
            unfinished: (unfinished.count() as u64).saturating_sub(others),
            overflowed: self.before.kernel().listen_overflows > 0,
        };
        let mut found = Vec::new();
        if !unaccepted.is_empty() {
            found.extend(self.before.servers_without_files(&held.opened));
        }
        let lost = held.opened.since(&opened.opened);
        if lost.closed(Closed::ByPeer) + lost.closed(Closed::ResetByPeer) > 0 {
            found.extend(self.before.servers_that_ended());
        }
        let causes = &mut self.ending.causes;
        found.retain(|new| causes.iter().all(|known| known.limit != new.limit));
        causes.extend(found);
        self.ending.unaccepted = unaccepted;
        self.ending.to_themselves = self.before.to_themselves();
    }

    /// Takes note of servers on this machine that are stopped. `now` says when that is.
    pub(super) fn look_for_stopped(&mut self, now: impl Fn(&mut Stopped)) {
        let found = self.before.stopped();
        if found.pids.is_empty() {
            return;
        }
        let all = &mut self.ending.stopped;
        if all.iter().all(|known| known.pids != found.pids) {
            all.push(found.clone());
        }
        let same = all.iter_mut().filter(|known| known.pids == found.pids);
        same.for_each(now);
    }

    /// Connections that are open at this end alone, where `open` are. They are looked for only if sockets are missing on
    /// this machine.
    fn half_open(&self, open: u64) -> serving::HalfOpen {
        let sockets = self.watch.meter.sockets_alive();
        let expected = self.plan.ends_here.map(|ends| open * ends);
        match expected.zip(sockets) {
            Some((expected, sockets)) if sockets < expected => {
                // Both ends were here when all were open. Destination NAT may lead elsewhere.
                let counted = self.ending.kernel_sockets;
                let here = self.plan.ends_here == Some(2)
                    && counted.is_some_and(|n| Some(n) >= self.ending.expected_sockets);
                self.before.half_open(here)
            }
            _ => serving::HalfOpen::default(),
        }
    }

    /// Connections whose handshake this end has completed and their server's kernel, on this machine, has not. They are
    /// looked for only if sockets are missing.
    pub(super) fn unfinished(&self, open: u64) -> bool {
        let expected = self.plan.ends_here.map(|ends| open * ends);
        let missing = expected
            .zip(self.watch.meter.sockets_alive())
            .is_some_and(|(expected, alive)| alive < expected);
        missing && !self.before.half_open(false).unfinished.is_empty()
    }

    /// Connections that deliver nothing now. They are looked for only if the kernel's counters show any.
    pub(super) fn stuck(&self) -> Stuck {
        let kernel = self.before.kernel();
        let found = match kernel.timeouts + kernel.window_probes {
            0 => serving::Stuck::default(),
            _ => self.before.stuck(),
        };
        let open = self.sides.clients.tally().open();
        let at = self.watch.clock.elapsed();
        // The end of a handshake that a server's full queue dropped is one of those that are sent again and again.
        let unfinished = match found.waiting.is_empty() {
            true => HashSet::new(),
            false => self.before.unfinished(&found),
        };
        Stuck {
            since: at,
            seen: at,
            open,
            others: found.connections.saturating_sub(open),
            waiting: found.waiting,
            unfinished,
        }
    }
}

/// Connections on which nothing is delivered.
pub(super) struct Stuck {
    /// When they were first looked at, since the run began.
    since: Duration,
    /// When they were last looked at.
    seen: Duration,
    /// How many connections of this run are open.
    open: u64,
    /// How many connections to the targets other programs have. Whose those are that deliver nothing is not visible.
    others: u64,
    waiting: HashMap<SocketAddr, Waiting>,
    /// The near ends of connections whose handshake their server's kernel, on this machine, has not completed.
    unfinished: HashSet<SocketAddr>,
}

impl Stuck {
    /// Whether it is worth while to look again, at `at` or later.
    pub fn may_move(&self, at: Duration) -> bool {
        !self.waiting.is_empty() && at < self.since + UNREAD_FOR + AGAIN
    }

    /// Looks again, if it is time for that at `at`.
    pub fn look(&mut self, at: Duration, run: &Run) {
        if !self.waiting.is_empty() && at >= self.seen + AGAIN {
            self.retain(&run.stuck());
        }
    }

    /// Leaves those out on which something was delivered until `now`.
    fn retain(&mut self, now: &Stuck) {
        (self.seen, self.open, self.others) = (now.seen, now.open, now.others);
        self.unfinished.clone_from(&now.unfinished);
        self.waiting.retain(|near, then| {
            let now = now.waiting.get(near).filter(|now| now.bytes >= then.bytes);
            now.inspect(|now| then.resent = now.resent).is_some()
        });
    }

    /// What is known by now to be undelivered.
    pub fn undelivered(&self) -> Undelivered {
        let unread_long = self.seen >= self.since + UNREAD_FOR;
        let known = |(_, w): &(&SocketAddr, &Waiting)| match w.resent {
            0 => unread_long,
            n => n > RESENT_FEW,
        };
        let known: Vec<_> = self
            .waiting
            .iter()
            .filter(known)
            .take(usize::try_from(self.open).unwrap_or(usize::MAX))
            .collect();
        let unread = known.iter().filter(|(_, w)| w.resent == 0).count();
        let unfinished =
            |(near, w): &&(&SocketAddr, &Waiting)| w.resent > 0 && self.unfinished.contains(near);
        Undelivered {
            unacknowledged: (known.len() - unread) as u64,
            unfinished: known.iter().filter(unfinished).count() as u64,
            unread: unread as u64,
            bytes: known.iter().map(|(_, w)| u64::from(w.bytes)).sum(),
            others: self.others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections that wait, each by its port, with the bytes and how often they were sent again.
    fn at(seen_ms: u64, waiting: &[(u16, u32, u8)]) -> Stuck {
        let seen = Duration::from_millis(seen_ms);
        let one = |&(port, bytes, resent): &(u16, u32, u8)| {
            (([127, 0, 0, 1], port).into(), Waiting { bytes, resent })
        };
        Stuck {
            since: seen,
            seen,
            open: 10,
            others: 0,
            waiting: waiting.iter().map(one).collect(),
            unfinished: HashSet::new(),
        }
    }

    fn undelivered(unacknowledged: u64, unread: u64, bytes: u64) -> Undelivered {
        Undelivered {
            unacknowledged,
            unfinished: 0,
            unread,
            bytes,
            others: 0,
        }
    }

    #[test]
    fn what_was_sent_again_too_often_is_undelivered_at_once_and_a_full_peer_only_later() {
        let mut stuck = at(1000, &[(1, 10, 2), (2, 20, 3), (3, 30, 0)]);
        assert_eq!(stuck.undelivered(), undelivered(1, 0, 20));
        stuck.retain(&at(1500, &[(1, 10, 3), (2, 25, 4), (3, 30, 0)]));
        assert_eq!(stuck.undelivered(), undelivered(2, 0, 30));
        assert!(stuck.may_move(Duration::from_millis(1500)));
        stuck.retain(&at(4000, &[(1, 10, 4), (2, 25, 5), (3, 30, 0)]));
        assert_eq!(stuck.undelivered(), undelivered(2, 1, 60));
    }

    #[test]
    fn what_moved_is_delivered_in_the_end() {
        let mut stuck = at(1000, &[(1, 10, 3), (2, 20, 0), (3, 30, 0)]);
        // One is gone, of one a part was read, and one has still no room.
        stuck.retain(&at(4000, &[(2, 19, 0), (3, 30, 0)]));
        assert_eq!(stuck.undelivered(), undelivered(0, 1, 30));
        stuck.retain(&at(4500, &[]));
        assert!(!stuck.may_move(Duration::ZERO));
        assert_eq!(stuck.undelivered(), Undelivered::default());
    }

    #[test]
    fn what_may_be_others_is_told_with_them_and_never_more_than_are_open() {
        let mut stuck = at(1000, &[(1, 10, 3), (2, 10, 3), (3, 10, 3)]);
        (stuck.open, stuck.others) = (2, 4);
        let told = Undelivered {
            others: 4,
            ..undelivered(2, 0, 20)
        };
        assert_eq!(stuck.undelivered(), told);
        // Others are gone.
        stuck.retain(&at(1500, &[(1, 10, 3)]));
        assert_eq!(stuck.undelivered(), undelivered(1, 0, 10));
    }
}
