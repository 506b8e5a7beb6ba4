//! The pings that a client of any protocol sends: when each is due, which one a pong answers, and what is counted of them.
//!
//! Pings of a connection are due at the same interval, at a phase that follows from its number. So the instants need
//! no memory: a connection keeps the number of its last ping, and how many wait for their pongs.

use crate::behaviour::{At, Receiver};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use std::time::Duration;

/// The golden ratio's fraction of 2^32. Its multiples are spread evenly however many there are.
const GOLDEN: u32 = 0x9e37_79b9;
/// The size of a ping's payload: the connection's and the ping's number, in network order.
const PAYLOAD: usize = 8;

/// When pings are due on the connections of a run.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Pings {
    interval_ns: u64,
}

/// What is kept for each connection: 3 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct Pinged {
    /// The number of the last instant whose ping was sent (or that was before the handshake's end), modulo 2^16.
    last: [u8; 2],
    /// How many pings wait: the last one and as many before it.
    waiting: u8,
}

/// A number is that of an instant, counted from 1.
type Number = u64;

impl Pings {
    /// A ping on each connection every `interval`, which is not zero.
    pub fn every(interval: Duration) -> Pings {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        Pings {
            interval_ns: interval_ns.max(1),
        }
    }

    /// The instant of connection `id` with this number.
    fn instant(&self, id: u32, number: Number) -> Time {
        let phase = (u128::from(id.wrapping_mul(GOLDEN)) * u128::from(self.interval_ns)) >> 32;
        let since = (number - 1).saturating_mul(self.interval_ns);
        Time(since.saturating_add(phase as u64))
    }

    /// The number of the last instant by `now`; 0 if there was none.
    fn passed(&self, id: u32, now: Time) -> Number {
        match now.0.checked_sub(self.instant(id, 1).0) {
            Some(since) => since / self.interval_ns + 1,
            None => 0,
        }
    }

    fn last(&self, pinged: Pinged, id: u32, now: Time) -> Number {
        let passed = self.passed(id, now);
        let since = (passed as u16).wrapping_sub(u16::from_ne_bytes(pinged.last));
        passed - u64::from(since)
    }

    /// The pings of a connection whose handshake ended at `now`: none was sent.
    pub fn begin(&self, id: u32, now: Time) -> Pinged {
        Pinged {
            last: (self.passed(id, now) as u16).to_ne_bytes(),
            waiting: 0,
        }
    }

    /// When the next ping is due.
    pub fn next(&self, pinged: Pinged, id: u32, now: Time) -> Time {
        self.instant(id, self.last(pinged, id, now) + 1)
    }

    /// Has `write` write each ping that is due by now, with its payload.
    pub fn send(
        &self,
        pinged: &mut Pinged,
        (at, uid): (&At, u64),
        measured: &mut Measured,
        mut write: impl FnMut(&[u8; PAYLOAD]),
    ) {
        while let Some((payload, given_up)) = self.take(pinged, (at.id, uid), at.now) {
            write(&payload);
            at.counters.pings.add(1);
            if let Some(due) = given_up {
                at.counters.pings_unanswered.add(1);
                measured.pong_lost.record_between(due, at.now);
            }
        }
    }

    /// A pong arrived: one with this payload, or one without any, which answers the oldest ping that waits.
    pub fn received(
        &self,
        pinged: &mut Pinged,
        (at, uid): (&At, u64),
        payload: Option<&[u8]>,
        to: &mut impl Receiver,
    ) {
        let mut answered = 0;
        let mut answer = |due| {
            to.pong(due);
            answered += 1;
        };
        match payload {
            Some(payload) => self
                .answered(pinged, (at.id, uid), at.now, payload)
                .for_each(answer),
            None => self
                .answered_in_turn(pinged, at.id, at.now)
                .into_iter()
                .for_each(&mut answer),
        }
        at.counters.pongs.add(answered);
        at.counters.pongs_unasked.add((answered == 0).into());
    }

    /// The connection is gone, and with it the pongs that its pings wait for.
    pub fn closed(&self, pinged: Pinged, why: Closed, at: &At, measured: &mut Measured) {
        for due in self.waiting(pinged, at.id, at.now) {
            at.counters.pings_unanswered.add(1);
            measured.no_pong(why, due, at.now);
        }
    }

    /// Takes the next ping that is due by `now`. Returns its payload, and when the oldest one was due, if that one has
    /// waited for so many pings that it is given up.
    fn take(
        &self,
        pinged: &mut Pinged,
        (id, uid): (u32, u64),
        now: Time,
    ) -> Option<([u8; PAYLOAD], Option<Time>)> {
        let last = self.last(*pinged, id, now);
        if last >= self.passed(id, now) {
            return None;
        }
        let number = last + 1;
        pinged.last = (number as u16).to_ne_bytes();
        let given_up = match pinged.waiting.checked_add(1) {
            Some(waiting) => {
                pinged.waiting = waiting;
                None
            }
            None => Some(self.instant(id, number - u64::from(u8::MAX))),
        };
        Some((payload(uid, number), given_up))
    }

    /// When those pings were due that a pong with this payload answers: the one that it belongs to, and those before
    /// it, whose pongs the peer may leave out (RFC 6455, section 5.5.3). None if it belongs to no ping that waits.
    fn answered(
        &self,
        pinged: &mut Pinged,
        (id, uid): (u32, u64),
        now: Time,
        pong: &[u8],
    ) -> impl Iterator<Item = Time> {
        let last = self.last(*pinged, id, now);
        let after = (0..pinged.waiting).find(|n| payload(uid, last - u64::from(*n)) == pong);
        let answered = after.map_or(0, |after| pinged.waiting - after);
        pinged.waiting -= answered;
        let end = last - u64::from(after.unwrap_or(0));
        self.instants(id, end, answered)
    }

    /// When the ping was due that a pong answers which does not say which one it belongs to: the oldest one that waits.
    /// None if none waits.
    fn answered_in_turn(&self, pinged: &mut Pinged, id: u32, now: Time) -> Option<Time> {
        let oldest = self.waiting(*pinged, id, now).next()?;
        pinged.waiting -= 1;
        Some(oldest)
    }

    /// When those pings were due that wait for their pongs.
    fn waiting(&self, pinged: Pinged, id: u32, now: Time) -> impl Iterator<Item = Time> {
        self.instants(id, self.last(pinged, id, now), pinged.waiting)
    }

    /// The last `n` instants up to number `end`.
    fn instants(&self, id: u32, end: Number, n: u8) -> impl Iterator<Item = Time> {
        let pings = *self;
        let first = end + 1 - u64::from(n);
        (first..=end).map(move |number| pings.instant(id, number))
    }
}

fn payload(uid: u64, number: Number) -> [u8; PAYLOAD] {
    let mut payload = [0; PAYLOAD];
    payload[..4].copy_from_slice(&(uid as u32).to_be_bytes());
    payload[4..].copy_from_slice(&(number as u32).to_be_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn ten_thousand_connections_are_a_steady_stream_of_pings() {
        let pings = Pings::every(Duration::from_secs(20));
        let mut per_second = [0u32; 20];
        for id in 0..10_000 {
            let pinged = pings.begin(id, Time(1000 * S));
            let at = pings.next(pinged, id, Time(1000 * S)).0 - 1000 * S;
            assert!(at <= 20 * S, "{at}");
            per_second[(at / S).min(19) as usize] += 1;
        }
        assert!(
            per_second.iter().all(|n| (495..=505).contains(n)),
            "{per_second:?}"
        );
    }

    #[test]
    fn each_interval_has_one_ping_and_its_pong_answers_it_alone() {
        let pings = Pings::every(Duration::from_secs(2));
        let of = (7, 70_001);
        let mut now = Time(3 * S);
        let mut pinged = pings.begin(7, now);
        for _ in 0..70_000 {
            assert_eq!(pings.take(&mut pinged, of, now), None);
            let due = pings.next(pinged, 7, now);
            assert!(due > now && due.0 <= now.0 + 2 * S);
            now = Time(due.0 + S / 2);
            let (payload, given_up) = pings.take(&mut pinged, of, now).unwrap();
            assert_eq!(given_up, None);
            for wrong in [
                &[][..],
                &payload[1..],
                &[0; 8],
                &[&payload[..], &[0]].concat(),
            ] {
                assert_eq!(pings.answered(&mut pinged, of, now, wrong).count(), 0);
            }
            let another = (7, 70_002);
            assert_eq!(
                pings.answered(&mut pinged, another, now, &payload).count(),
                0
            );
            let dues: Vec<Time> = pings.answered(&mut pinged, of, now, &payload).collect();
            assert_eq!(dues, [due]);
            let again = pings.answered(&mut pinged, of, now, &payload);
            assert_eq!(again.count(), 0, "it was answered before");
        }
    }

    #[test]
    fn a_pong_answers_the_pings_before_its_own_too() {
        let pings = Pings::every(Duration::from_secs(1));
        let of = (0, 1);
        let mut pinged = pings.begin(0, Time(S / 2));
        // The client was late: two are due.
        let now = Time(2 * S + 1);
        let (first, _) = pings.take(&mut pinged, of, now).unwrap();
        let (second, _) = pings.take(&mut pinged, of, now).unwrap();
        assert_eq!(pings.take(&mut pinged, of, now), None);
        let now = Time(3 * S);
        let (third, _) = pings.take(&mut pinged, of, now).unwrap();
        let answered = pings.answered(&mut pinged, of, now, &second);
        assert_eq!(answered.collect::<Vec<_>>(), [Time(S), Time(2 * S)]);
        assert_eq!(pings.answered(&mut pinged, of, now, &first).count(), 0);
        let waiting = pings.waiting(pinged, 0, now);
        assert_eq!(waiting.collect::<Vec<_>>(), [Time(3 * S)]);
        assert_eq!(pings.answered(&mut pinged, of, now, &third).count(), 1);
        assert_eq!(pings.waiting(pinged, 0, now).count(), 0);
    }

    #[test]
    fn pongs_that_do_not_say_which_ping_they_answer_do_so_in_turn() {
        let pings = Pings::every(Duration::from_secs(1));
        let mut pinged = pings.begin(0, Time(S / 2));
        for second in 1..=2 {
            assert!(pings.take(&mut pinged, (0, 1), Time(second * S)).is_some());
        }
        let now = Time(2 * S + 1);
        for due in [Some(Time(S)), Some(Time(2 * S)), None] {
            assert_eq!(pings.answered_in_turn(&mut pinged, 0, now), due);
        }
    }

    #[test]
    fn the_oldest_of_many_that_wait_is_given_up() {
        let pings = Pings::every(Duration::from_secs(1));
        let of = (0, 1);
        let mut pinged = pings.begin(0, Time(S / 2));
        for second in 1..=255 {
            let (_, given_up) = pings.take(&mut pinged, of, Time(second * S)).unwrap();
            assert_eq!(given_up, None);
        }
        let (_, given_up) = pings.take(&mut pinged, of, Time(256 * S)).unwrap();
        assert_eq!(given_up, Some(Time(S)));
        let waiting: Vec<Time> = pings.waiting(pinged, 0, Time(256 * S)).collect();
        assert_eq!((waiting.len(), waiting[0]), (255, Time(2 * S)));
    }
}
