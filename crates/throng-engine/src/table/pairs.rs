//! Connections in pairs ([`Behaviour::PAIRS`]): one that was accepted, in an even place, and its partner, which is opened for
//! it, in the next one. So both are on the same ring, and neither has to remember the other.
//!
//! The end of a stream is passed on: once the peer of one has finished sending, and all of it was sent on the other, that
//! other finishes, too. When both have, the pair ends. The engines say what happened and what is still being sent, and
//! [`Table::next_step`] says what follows.

use super::conn::{Conn, State};
use super::data::Table;
use super::legs::{ALONE, FINISHED, FINISHING, FIRST, PEER_FINISHED, RESTS};
use super::places::BUSY;
use crate::socket::{Address, Ends};
use std::net::SocketAddr;
use throng_core::behaviour::{Behaviour, Outbox, Way};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// What follows for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until something happens.
    Nothing,
    /// This connection finishes sending.
    Finish(u32),
    /// Both peers have finished sending, and everything was sent: both end, first the one whose peer was first.
    End { first: u32 },
}

/// The addresses of a [way](Way) that routes do not have.
pub(crate) struct OwnEnds {
    to: Option<Address>,
    from: Option<Address>,
}

/// The partner of a connection.
#[inline]
pub(crate) fn partner_of(index: u32) -> u32 {
    index ^ 1
}

impl<B: Behaviour> Table<B> {
    /// Makes room for the pair of this place, and returns the place of the connection to accept.
    pub(super) fn pair_at(&mut self, place: u32) -> u32 {
        let (first, len) = (place * 2, place as usize * 2 + 2);
        if len > self.conns.len() {
            self.conns.resize_with(len, Conn::default);
            self.pairs.legs.resize(len, 0);
        }
        self.pairs.legs[first as usize..len].fill(0);
        first
    }

    /// Whether it has to be found out who a connection is accepted from.
    #[inline]
    pub fn asks_who(&self) -> bool {
        B::PAIRS && self.pairs.asks_who
    }

    /// A connection was accepted, and is about to be opened: who it is from, and the address that it came to.
    pub fn accepted_from(&mut self, index: u32, (peer, to): Ends, now: Time) {
        let [peer, to] = [peer, to].map(|end| SocketAddr::new(end.ip().to_canonical(), end.port()));
        self.tell(index, now, |b, conn, at| {
            b.accepted_from(conn, peer, to, at)
        });
    }

    /// A connection was accepted, and is closed at once: no file was left to find out who it is from.
    pub fn unidentified(&mut self, index: u32) {
        self.counters.accepted.add(1);
        self.counters.closed(Closed::Error, 1);
        self.counters.proxy.unidentified.add(1);
        self.give_place(index);
    }

    /// Connection `of` asks for a partner: counts the attempt and starts its timeout. Returns the partner's place.
    pub fn open_partner(&mut self, of: u32, now: Time) -> u32 {
        let index = partner_of(of);
        self.counters.attempted.add(1);
        let conn = &mut self.conns[index as usize];
        conn.state = State::Connecting;
        conn.up_us = (now.0 / 1000) as u32;
        self.set_timer(index, now + self.pairs.timeout);
        index
    }

    /// The addresses of a way that routes do not have; `None` if they have both.
    pub fn own_ends(&self, way: Way) -> Option<OwnEnds> {
        if way.to.is_none() && way.own.is_none() {
            return None;
        }
        let to = way.to.map(Address::new);
        let from = way.own.map(|ip| match &to {
            Some(to) => Address::source(ip, to),
            None => Address::source(ip, self.routed(way).0),
        });
        Some(OwnEnds { to, from })
    }

    /// The addresses of a way, of which `own` are those that routes do not have. Those that routes have stay in place for the whole
    /// run.
    pub fn addresses<'a>(
        &'a self,
        way: Way,
        own: Option<&'a OwnEnds>,
    ) -> (&'a Address, Option<&'a Address>) {
        let source = own.and_then(|own| own.from.as_ref());
        match own.and_then(|own| own.to.as_ref()) {
            Some(to) => (to, source),
            None => {
                let (target, routed) = self.routed(way);
                (target, source.or(routed))
            }
        }
    }

    fn routed(&self, way: Way) -> (&Address, Option<&Address>) {
        let roads = self.pairs.roads.as_ref().expect("a role with partners");
        roads.road(way.target.into(), way.source.map(Into::into))
    }

    /// The part of the local ports that the socket of a partner is to choose from, by its number; `None` for all.
    pub fn part_of_ports(&mut self, way: Way) -> Option<usize> {
        // A client's own address has ports of its own.
        let crowded = way.crowded && way.own.is_none();
        crowded.then(|| self.next_part_of_ports()).flatten()
    }

    /// A partner could not be opened. Returns the connection that asked for it, unless that has ended. The engine no longer
    /// owns the partner's place.
    pub fn partner_failed(
        &mut self,
        index: u32,
        cause: FailCause,
        now: Time,
        out: &mut Outbox,
    ) -> Option<u32> {
        self.counters.failed(cause);
        self.cancel_timer(index);
        self.released(index);
        let of = partner_of(index);
        self.tell(of, now, |b, conn, at| {
            b.partner_failed(conn, cause, at, out)
        });
        if self.is_alone(index) {
            self.leave_pair(index, false, now);
            out.open = None;
            out.close = false;
            return None;
        }
        Some(of)
    }

    /// The connection that asked for this partner, which is still being opened, has ended.
    pub fn leave_alone(&mut self, index: u32) {
        *self.pairs.leg(index) |= ALONE;
    }

    /// Whether the connection that asked for this partner ended before it was established.
    pub fn is_alone(&self, index: u32) -> bool {
        self.pairs.legs[index as usize] & ALONE != 0
    }

    /// The state of a connection's partner.
    pub fn partner_state(&self, index: u32) -> State {
        self.conns[partner_of(index) as usize].state
    }

    /// The peer of a connection has finished sending.
    pub fn peer_finished(&mut self, index: u32) {
        let first = self.pairs.legs[partner_of(index) as usize] & PEER_FINISHED == 0;
        *self.pairs.leg(index) |= PEER_FINISHED | if first { FIRST } else { 0 };
    }

    /// Whether the peer of a connection has finished sending.
    pub fn has_peer_finished(&self, index: u32) -> bool {
        self.pairs.legs[index as usize] & PEER_FINISHED != 0
    }

    /// A connection begins to finish sending, which takes a moment.
    pub fn finishing(&mut self, index: u32) {
        *self.pairs.leg(index) |= FINISHING;
    }

    /// A connection has finished sending.
    pub fn finished(&mut self, index: u32) {
        let leg = self.pairs.leg(index);
        *leg = *leg & !FINISHING | FINISHED;
    }

    /// Whether a connection is about to finish sending.
    pub fn is_finishing(&self, index: u32) -> bool {
        self.pairs.legs[index as usize] & FINISHING != 0
    }

    /// Whether nothing more can be sent on a connection.
    pub fn has_finished(&self, index: u32) -> bool {
        self.pairs.legs[index as usize] & (FINISHING | FINISHED) != 0
    }

    /// What follows for the pair of connection `index`. `sends` says on which connection something is still to be sent.
    pub fn next_step(&self, index: u32, sends: impl Fn(u32) -> bool) -> Step {
        let legs = &self.pairs.legs;
        let is = |leg: u32, what: u8| legs[leg as usize] & what != 0;
        let pair = [index & !1, index | 1];
        let may_finish = |leg: &u32| {
            is(partner_of(*leg), PEER_FINISHED)
                && self.conns[*leg as usize].state == State::Open
                && !sends(*leg)
        };
        if pair
            .iter()
            .all(|leg| may_finish(leg) && !is(*leg, FINISHING))
        {
            let first = pair[usize::from(!is(pair[0], FIRST))];
            return Step::End { first };
        }
        let due = |leg: &&u32| may_finish(leg) && !is(**leg, FINISHING | FINISHED);
        pair.iter()
            .find(due)
            .map_or(Step::Nothing, |leg| Step::Finish(*leg))
    }

    /// Releases a place of a pair. The pair's is free once both are; a little later if one of them is `busy`.
    pub(super) fn leave_pair(&mut self, index: u32, busy: bool, now: Time) {
        self.pairs.legs[index as usize] = if busy { RESTS } else { 0 };
        if self.conns[partner_of(index) as usize].state != State::Free {
            return;
        }
        self.cancel_timer(index);
        let legs = &self.pairs.legs;
        let rests = legs[index as usize] | legs[partner_of(index) as usize];
        match rests & RESTS {
            0 => self.places.give(index / 2),
            _ => self.places.give_at(index / 2, now + BUSY),
        }
    }
}

/// Whether a connection that ended this way leaves nothing to say to its partner's peer: that one is reset, too.
pub(crate) fn is_cut(why: Closed) -> bool {
    matches!(why, Closed::ResetByPeer | Closed::TimedOut | Closed::Error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng_core::wheel::TIMER_BYTES;

    #[test]
    fn a_pair_takes_30_bytes_of_the_table() {
        let leg = size_of::<Conn<()>>() + size_of::<u8>();
        assert_eq!(2 * leg + TIMER_BYTES, 30);
    }
}
