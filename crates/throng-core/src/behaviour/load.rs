//! The client of a load test: a first message, then messages at a rate, as fast as they go, or one at
//! a time as each is echoed.

use super::{At, Behaviour, Outbox, Send};
use crate::pacing::{Due, MessagePace};
use crate::payload::Layout;
use crate::scenario::Repeat;
use crate::stats::{Closed, Measured};
use crate::time::Time;
use std::sync::Arc;

/// Whether messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Not yet: connections are only opened.
    Waiting,
    /// Yes.
    On,
    /// No more: what is under way is finished, nothing new begun.
    Off,
}

/// Opens, sends, measures.
#[derive(Debug)]
pub struct Load {
    layout: Layout,
    repeat: Repeat,
    pace: Option<MessagePace>,
    /// Closed loop: connections of this worker that have a message under way, and how many may.
    active: u32,
    most_active: u32,
    traffic: Traffic,
    /// When traffic was switched off, or the end of time.
    off_at: Time,
    measured: Measured,
}

/// What each connection remembers: sixteen bytes.
#[derive(Debug, Default)]
pub struct LoadConn {
    /// Paced: when the next message is due. Closed loop: when the last one was sent.
    due: Due,
    /// Closed loop: bytes of echoes still to come. Otherwise: messages in the send under way.
    under_way: u32,
    /// What the connection is at.
    doing: Doing,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Doing {
    /// Nothing to send, or not yet.
    #[default]
    Idle,
    /// The first message is being sent.
    First,
    /// Repeated messages are being sent.
    Sending,
    /// A message was sent, its echo is still to come.
    Awaiting,
    /// The next message is due later.
    Paced,
}

impl Load {
    /// A load of the messages in `layout`, repeated as told, spread over `connections` connections in
    /// all. Traffic begins as each connection opens if `traffic` is [`Traffic::On`]. In a closed loop at
    /// most `in_flight` of this worker's connections have a message under way, each in its turn.
    pub fn new(
        layout: Layout,
        repeat: Repeat,
        connections: u32,
        in_flight: Option<u32>,
        traffic: Traffic,
    ) -> Load {
        let pace = match repeat {
            Repeat::Paced(rate) => Some(MessagePace::new(rate, connections)),
            Repeat::Flood | Repeat::ClosedLoop => None,
        };
        Load {
            layout,
            repeat,
            pace,
            active: 0,
            most_active: in_flight.unwrap_or(u32::MAX),
            traffic,
            off_at: Time(u64::MAX),
            measured: Measured::default(),
        }
    }

    fn begin(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        if let Some(pace) = &self.pace {
            conn.due = pace.first(at.id, at.now);
        }
        match self.layout.first() {
            Some(range) => {
                conn.doing = Doing::First;
                self.expect_echo(conn, range.len());
                out.send = Send::Memory(range);
            }
            None => self.next(conn, at.now, out),
        }
    }

    fn expect_echo(&self, conn: &mut LoadConn, bytes: usize) {
        if self.repeat == Repeat::ClosedLoop {
            conn.under_way += bytes as u32;
        }
    }

    /// Notes the echo as come if it has, and goes on.
    fn answered(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        let now = at.now;
        if conn.under_way == 0 {
            self.measured.round_trip.record(now.since(conn.due.time()));
            at.counters.messages_received.add(1);
            self.active -= 1;
            if self.most_active == u32::MAX {
                self.next(conn, now, out);
            } else {
                // The next message is another connection's; so are those of connections that closed.
                conn.doing = Doing::Idle;
                out.pass = self.most_active - self.active;
            }
        }
    }

    /// What a connection with nothing under way does next.
    fn next(&mut self, conn: &mut LoadConn, now: Time, out: &mut Outbox) {
        conn.doing = Doing::Idle;
        if self.traffic != Traffic::On {
            return;
        }
        let wanted = match (&self.pace, self.repeat) {
            (Some(pace), _) => pace.due(conn.due, now),
            (None, Repeat::ClosedLoop) => u32::from(self.active < self.most_active),
            (None, _) => u32::MAX,
        };
        if let Some((range, n)) = self.layout.repeated(wanted) {
            conn.doing = Doing::Sending;
            if self.repeat == Repeat::ClosedLoop {
                self.active += 1;
                conn.due = Due::at(now);
                self.expect_echo(conn, range.len());
            } else {
                conn.under_way = n;
            }
            out.send = Send::Memory(range);
        } else if self.pace.is_some() && self.layout.message_bytes() > 0 {
            conn.doing = Doing::Paced;
            out.wake = Some(conn.due.time());
        }
    }
}

impl Behaviour for Load {
    type Conn = LoadConn;

    fn memory(&self) -> Arc<[u8]> {
        self.layout.memory()
    }

    fn opened(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        *conn = LoadConn::default();
        if self.traffic == Traffic::On {
            self.begin(conn, at, out);
        }
    }

    fn started(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        if conn.doing == Doing::Idle {
            self.begin(conn, at, out);
        }
    }

    fn received(&mut self, conn: &mut LoadConn, bytes: &[u8], at: &At, out: &mut Outbox) {
        if self.repeat == Repeat::ClosedLoop {
            conn.under_way = conn.under_way.saturating_sub(bytes.len() as u32);
            if conn.doing == Doing::Awaiting {
                self.answered(conn, at, out);
            }
        }
    }

    fn sent(&mut self, conn: &mut LoadConn, _: usize, at: &At, out: &mut Outbox) {
        let now = at.now;
        if conn.doing == Doing::First {
            self.next(conn, now, out);
            return;
        }
        match &self.pace {
            None if self.repeat == Repeat::ClosedLoop => {
                at.counters.messages_sent.add(1);
                conn.doing = Doing::Awaiting;
                // A large message is echoed while its end is still being sent.
                self.answered(conn, at, out);
            }
            None => {
                at.counters.messages_sent.add(conn.under_way.into());
                self.next(conn, now, out);
            }
            Some(pace) => {
                at.counters.messages_sent.add(conn.under_way.into());
                for _ in 0..conn.under_way {
                    self.measured.lateness.record(now.since(conn.due.time()));
                    conn.due = pace.after(conn.due, 1);
                }
                self.next(conn, now, out);
            }
        }
    }

    fn woken(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        if conn.doing == Doing::Paced {
            self.next(conn, at.now, out);
        }
    }

    fn turn(&mut self, conn: &mut LoadConn, at: &At, out: &mut Outbox) {
        match conn.doing {
            Doing::Idle => self.next(conn, at.now, out),
            // Its last message is still under way: somebody else's turn.
            Doing::Sending | Doing::Awaiting if self.active < self.most_active => out.pass = 1,
            _ => {}
        }
    }

    fn closed(&mut self, conn: &mut LoadConn, _: Closed, at: &At) {
        // What was due and never got out was late too; leaving it out would flatter a stalled peer.
        if let Some(pace) = &self.pace
            && matches!(conn.doing, Doing::Sending | Doing::Paced)
        {
            let end = at.now.min(self.off_at);
            for _ in 0..pace.due(conn.due, end) {
                self.measured.lateness.record(end.since(conn.due.time()));
                at.counters.messages_unsent.add(1);
                conn.due = pace.after(conn.due, 1);
            }
        }
        if self.repeat == Repeat::ClosedLoop
            && matches!(conn.doing, Doing::Sending | Doing::Awaiting)
        {
            self.active -= 1;
        }
        *conn = LoadConn::default();
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.off_at = if traffic == Traffic::Off {
            now
        } else {
            Time(u64::MAX)
        };
    }

    fn take_measured(&mut self) -> Measured {
        std::mem::take(&mut self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Messages;
    use crate::stats::Counters;
    use crate::units::Rate;

    const MS: u64 = 1_000_000;

    fn load(repeat: Repeat, first: &str) -> Load {
        let messages = Messages {
            first: first.into(),
            repeated: b"ping".to_vec(),
        };
        Load::new(Layout::new(&messages, 8), repeat, 1, None, Traffic::On)
    }

    struct Rig {
        load: Load,
        conn: LoadConn,
        counters: Counters,
    }

    impl Rig {
        fn new(load: Load) -> Rig {
            Rig {
                load,
                conn: LoadConn::default(),
                counters: Counters::default(),
            }
        }

        fn at(
            &mut self,
            ms: u64,
            event: impl FnOnce(&mut Load, &mut LoadConn, &At, &mut Outbox),
        ) -> Outbox {
            let mut out = Outbox::default();
            let at = At {
                id: 0,
                now: Time(ms * MS),
                counters: &self.counters,
            };
            event(&mut self.load, &mut self.conn, &at, &mut out);
            out
        }

        fn opened(&mut self, ms: u64) -> Outbox {
            self.at(ms, |l, c, at, out| l.opened(c, at, out))
        }

        fn sent(&mut self, ms: u64) -> Outbox {
            self.at(ms, |l, c, at, out| l.sent(c, 0, at, out))
        }

        fn woken(&mut self, ms: u64) -> Outbox {
            self.at(ms, |l, c, at, out| l.woken(c, at, out))
        }

        fn received(&mut self, ms: u64, bytes: &[u8]) -> Outbox {
            self.at(ms, |l, c, at, out| l.received(c, bytes, at, out))
        }
    }

    #[test]
    fn the_first_message_comes_before_the_repeated_ones() {
        let mut rig = Rig::new(load(Repeat::Flood, "hi"));
        assert_eq!(rig.opened(0).send, Send::Memory(0..2));
        assert_eq!(rig.sent(1).send, Send::Memory(2..34));
        rig.sent(2);
        assert_eq!(rig.counters.read().messages_sent, 8);
    }

    #[test]
    fn paced_messages_that_fell_behind_are_made_up_and_their_lateness_is_told() {
        let rate = Rate::per_second(100.0).unwrap();
        let mut rig = Rig::new(load(Repeat::Paced(rate), ""));
        assert_eq!(
            rig.opened(0).send,
            Send::Memory(0..4),
            "phase 0 is due at once"
        );
        let out = rig.sent(0);
        assert_eq!((out.send, out.wake), (Send::Nothing, Some(Time(10 * MS))));
        assert_eq!(rig.woken(10).send, Send::Memory(0..4));
        // The peer blocks for 35 ms: messages due at 20, 30 and 40 ms go out together at 45 ms.
        assert_eq!(rig.sent(45).send, Send::Memory(0..12));
        assert_eq!(rig.sent(45).wake, Some(Time(50 * MS)));
        assert_eq!(rig.counters.read().messages_sent, 5);
        let worst = rig.load.measured.lateness.percentile(100.0).unwrap();
        assert!(worst.as_millis() == 35, "{worst:?}");
    }

    #[test]
    fn what_was_due_and_never_sent_counts_as_late() {
        let rate = Rate::per_second(100.0).unwrap();
        let mut rig = Rig::new(load(Repeat::Paced(rate), ""));
        rig.opened(0);
        rig.load.traffic(Traffic::Off, Time(95 * MS));
        rig.at(500, |l, c, at, _| l.closed(c, Closed::ByUs, at));
        assert_eq!(rig.counters.read().messages_unsent, 10);
        assert_eq!(rig.load.measured.lateness.count(), 10);
    }

    #[test]
    fn a_closed_loop_waits_for_the_whole_echo_of_all_it_sent() {
        let mut rig = Rig::new(load(Repeat::ClosedLoop, "hi"));
        assert_eq!(rig.opened(0).send, Send::Memory(0..2));
        assert_eq!(rig.sent(1).send, Send::Memory(2..6));
        assert_eq!(rig.received(2, b"hi").send, Send::Nothing);
        assert_eq!(rig.sent(3).send, Send::Nothing);
        assert_eq!(rig.received(4, b"pi").send, Send::Nothing);
        assert_eq!(rig.received(5, b"ng").send, Send::Memory(2..6));
        assert_eq!(rig.counters.read().messages_received, 1);
        assert_eq!(
            rig.load
                .measured
                .round_trip
                .percentile(50.0)
                .map(|d| d.as_millis()),
            Some(4)
        );
    }

    #[test]
    fn only_so_many_messages_are_under_way_and_turns_are_passed_on() {
        let messages = Messages {
            first: vec![],
            repeated: b"ping".to_vec(),
        };
        let load = Load::new(
            Layout::new(&messages, 1),
            Repeat::ClosedLoop,
            2,
            Some(1),
            Traffic::On,
        );
        let mut rig = Rig::new(load);
        assert_eq!(rig.opened(0).send, Send::Memory(0..4));
        let mut other = LoadConn::default();
        let out = rig.at(0, |l, _, at, out| l.opened(&mut other, at, out));
        assert_eq!(out.send, Send::Nothing, "one message is under way already");
        rig.sent(1);
        let out = rig.received(2, b"ping");
        assert_eq!((out.send, out.pass), (Send::Nothing, 1));
        let out = rig.at(2, |l, _, at, out| l.turn(&mut other, at, out));
        assert_eq!(out.send, Send::Memory(0..4));
        // It closes with its message under way, so there is room for one again.
        rig.at(3, |l, _, at, _| l.closed(&mut other, Closed::ByPeer, at));
        let out = rig.at(4, |l, c, at, out| l.turn(c, at, out));
        assert_eq!(out.send, Send::Memory(0..4));
    }

    #[test]
    fn an_echo_that_overtakes_the_end_of_its_own_send_is_not_lost() {
        let mut rig = Rig::new(load(Repeat::ClosedLoop, ""));
        assert_eq!(rig.opened(0).send, Send::Memory(0..4));
        assert_eq!(rig.received(1, b"ping").send, Send::Nothing);
        assert_eq!(rig.sent(2).send, Send::Memory(0..4));
    }

    #[test]
    fn nothing_new_is_begun_once_traffic_is_off() {
        let mut rig = Rig::new(load(Repeat::Flood, ""));
        rig.opened(0);
        rig.load.traffic(Traffic::Off, Time(MS));
        assert_eq!(rig.sent(2).send, Send::Nothing);
    }

    #[test]
    fn a_connection_that_opened_early_waits_until_traffic_starts() {
        let mut rig = Rig::new(load(Repeat::Flood, ""));
        rig.load.traffic(Traffic::Waiting, Time::START);
        assert_eq!(rig.opened(0).send, Send::Nothing);
        rig.load.traffic(Traffic::On, Time(MS));
        let out = rig.at(1, |l, c, at, out| l.started(c, at, out));
        assert!(matches!(out.send, Send::Memory(_)));
    }
}
