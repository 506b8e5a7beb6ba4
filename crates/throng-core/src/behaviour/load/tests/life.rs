//! The course of a connection: when it sends, reads and closes.

use super::*;
use crate::behaviour::Exchanges;
use std::num::NonZeroU16;

#[test]
fn nothing_new_is_begun_once_traffic_is_off() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.opened(0, 0);
    rig.load.traffic(Traffic::Off, Time(MS));
    assert_eq!(rig.sent(0, 2).send, Transmit::Nothing);
}

#[test]
fn a_connection_that_opened_early_waits_until_traffic_starts() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.load.traffic(Traffic::Waiting, Time::START);
    assert_eq!(rig.opened(0, 0).send, Transmit::Nothing);
    rig.load.traffic(Traffic::On, Time(MS));
    let out = rig.at(0, 1, |l, c, at, out| l.started(c, at, out));
    assert!(matches!(out.send, Transmit::Memory(_)));
}

#[test]
fn sending_is_held_back_for_the_delay() {
    let mut rig = Rig::new(Task {
        delay: Duration::from_millis(30),
        ..task(rate(100.0), &["hi"], &["ping"])
    });
    let out = rig.opened(0, 5);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(35 * MS)))
    );
    assert_eq!(rig.woken(0, 20).send, Transmit::Nothing);
    rig.woken(0, 35);
    assert_eq!(rig.text(), "hi");
}

#[test]
fn a_connection_ends_with_its_lifetime_and_a_whole_message() {
    let lifetime = Some(Duration::from_millis(30));
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(rate(1.0), &[], &["ping"])
    });
    rig.opened(0, 0);
    let out = rig.sent(0, 1);
    assert_eq!((out.wake, out.close), (Some(Time(30 * MS)), false));
    assert!(rig.woken(0, 30).close);
    // In the middle of a message.
    rig.closed(0, 30);
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(Pacing::Flood, &[], &["ping"])
    });
    rig.opened(0, 0);
    assert!(!rig.woken(0, 30).close);
    let out = rig.sent(0, 31);
    assert!(out.close && out.send == Transmit::Nothing);
}

#[test]
fn what_is_read_slowly_is_asked_for_at_its_time() {
    let mut rig = Rig::new(Task {
        receive: Bandwidth::bytes_per_second(1000.0),
        ..task(Pacing::Flood, &[], &[])
    });
    assert_eq!(rig.load.reads(), Reads::Asked);
    let mut now = 0;
    let mut came = 0;
    let mut asked = rig.opened(0, 0).read;
    while came < 1000 {
        assert_eq!(asked, 100, "a tenth of a second");
        let out = rig.received(0, now, &vec![0; asked as usize]);
        came += asked;
        now = out.wake.expect("a time to read on").0 / MS;
        assert_eq!((out.read, now), (0, came.into()));
        asked = rig.woken(0, now).read;
    }
    let never = Task {
        receive: Bandwidth::bytes_per_second(0.0),
        ..task(Pacing::Flood, &[], &[])
    };
    assert_eq!(Rig::new(never).load.reads(), Reads::Never);
}

#[test]
fn the_first_byte_is_measured_once_on_each_connection() {
    let mut rig = Rig::new(Task {
        first_byte: true,
        ..task(Pacing::Flood, &[], &[])
    });
    rig.opened(0, 3);
    rig.received(0, 7, b"x");
    rig.received(0, 9, b"y");
    rig.closed(0, 10);
    assert_eq!(rig.load.measured.first_byte.count(), 1);
    assert_eq!(p50(&rig.load.measured.first_byte), Some(7));
}

/// A load of a closed loop whose connections carry this many exchanges.
fn exchanging(each: u16, peer_closes: bool) -> Rig {
    let each = NonZeroU16::new(each).expect("at least one");
    Rig::new(Task {
        exchanges: Some(Exchanges { each, peer_closes }),
        ..task(LOOP, &[], &["ping"])
    })
}

#[test]
fn a_connection_is_closed_after_as_many_exchanges_as_it_carries_and_the_next_one_begins() {
    let mut rig = exchanging(2, false);
    rig.opened(0, 0);
    rig.sent(0, 1);
    let out = rig.received(0, 2, b"ping");
    assert!(!out.close && matches!(out.send, Transmit::Memory(_)));
    rig.sent(0, 3);
    // A part of the echo ends nothing.
    assert!(!rig.received(0, 4, b"pin").close);
    let out = rig.received(0, 5, b"g");
    assert!(out.close && out.send == Transmit::Nothing);
    assert_eq!(rig.counters.exchanged.get(), 1);
    assert_eq!(rig.counters.answers.get(), 2);
    rig.closed(0, 5);
    let out = rig.opened(0, 6);
    assert!(matches!(out.send, Transmit::Memory(_)), "and again");
    assert_eq!(rig.counters.messages_unanswered.get(), 0);
}

#[test]
fn a_peer_that_is_to_close_first_has_a_while_for_it() {
    let mut rig = exchanging(1, true);
    rig.opened(0, 0);
    rig.sent(0, 1);
    let out = rig.received(0, 2, b"ping");
    assert_eq!(
        (out.close, out.send, out.wake),
        (false, Transmit::Nothing, Some(Time(5002 * MS)))
    );
    let conn = &mut rig.conns[0];
    assert!(rig.load.is_done(conn, Closed::ByPeer), "as was asked");
    let counted = |rig: &Rig| {
        let c = &rig.counters;
        let all = [&c.exchanged, &c.closed_as_awaited, &c.awaited_in_vain];
        all.map(|count| count.get())
    };
    assert!(rig.woken(0, 5002).close);
    rig.closed(0, 5002);
    assert_eq!(counted(&rig), [1, 0, 1]);
    rig.opened(0, 6000);
    rig.sent(0, 6001);
    rig.received(0, 6002, b"ping");
    rig.closed(0, 6003);
    assert_eq!(counted(&rig), [2, 1, 1]);
    // One that ends before its exchange is lost, and what is open at the end of a run is closed by this side.
    rig.opened(0, 7000);
    rig.sent(0, 7001);
    rig.closed(0, 7002);
    rig.opened(0, 8000);
    rig.sent(0, 8001);
    rig.received(0, 8002, b"ping");
    rig.load.traffic(Traffic::Off, Time(8003 * MS));
    rig.closed(0, 8004);
    assert_eq!(counted(&rig), [3, 1, 1]);
}
