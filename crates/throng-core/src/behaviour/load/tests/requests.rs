//! A number of messages in all.

use super::*;
use crate::behaviour::load::conn::DONE;

fn limited(requests: u32, pacing: Pacing, repeated: &[&str]) -> Task {
    Task {
        requests: Some(requests),
        ..task(pacing, &["hi"], repeated)
    }
}

/// Whether this worker has reported its share as used up.
fn spent<L: Matcher>(rig: &Rig<L>) -> bool {
    match rig.counters.read().shares_spent {
        0 => false,
        1 => true,
        n => panic!("reported {n} times"),
    }
}

#[test]
fn a_closed_loop_ends_after_as_many_and_first_messages_are_not_counted() {
    let mut rig = Rig::new(limited(3, LOOP, &["ping"]));
    for id in 0..2 {
        rig.opened(id, 0);
        rig.sent(id, 0);
        assert_eq!(rig.text(), "ping");
        rig.sent(id, 1);
    }
    assert!(!spent(&rig));
    rig.received(1, 2, b"hiping");
    assert_eq!(rig.text(), "ping");
    assert!(spent(&rig), "the third one is under way");
    rig.sent(1, 3);
    assert_eq!(rig.received(0, 4, b"hiping").send, Transmit::Nothing);
    assert_eq!(rig.received(1, 4, b"ping").send, Transmit::Nothing);
    assert_eq!(rig.counters.read().messages_sent, 3);
    assert!(spent(&rig));
}

#[test]
fn a_connection_that_dies_takes_no_share_along() {
    let mut rig = Rig::new(limited(3, LOOP, &["ping"]));
    rig.opened(0, 0);
    rig.sent(0, 0);
    rig.sent(0, 0);
    rig.closed(0, 1);
    rig.opened(0, 2);
    rig.sent(0, 2);
    assert_eq!(rig.text(), "ping");
    rig.sent(0, 2);
    rig.closed(0, 3);
    assert!(!spent(&rig), "two of three");
    rig.opened(1, 4);
    rig.sent(1, 4);
    assert_eq!(rig.text(), "ping");
    assert!(spent(&rig));
    rig.opened(2, 5);
    assert_eq!(rig.sent(2, 5).send, Transmit::Nothing);
}

#[test]
fn messages_that_share_a_write_are_counted_one_by_one() {
    let mut rig = Rig::new(limited(11, Pacing::Flood, &["a"]));
    rig.opened(0, 0);
    rig.sent(0, 0);
    assert_eq!(rig.text(), "aaaaaaaa");
    rig.sent(0, 0);
    assert_eq!(rig.text(), "aaa");
    assert!(spent(&rig));
    assert_eq!(rig.sent(0, 0).send, Transmit::Nothing);
    assert_eq!(rig.counters.read().messages_sent, 11);
}

#[test]
fn a_message_of_several_portions_is_sent_to_its_end_or_cut_off() {
    // A large constant part goes out in place, the rest is rendered.
    let long = format!("{}\\{{connection.uid}}", "x".repeat(10_000));
    let mut rig = Rig::new(limited(1, Pacing::Flood, &[&long]));
    rig.opened(0, 0);
    rig.sent(0, 0);
    assert!(rig.bytes.len() > 9_000);
    assert!(!spent(&rig), "its end is still to come");
    rig.sent(0, 0);
    assert!(rig.text().ends_with('1'));
    assert!(spent(&rig));
    assert_eq!(rig.sent(0, 0).send, Transmit::Nothing);

    let mut rig = Rig::new(limited(1, Pacing::Flood, &[&long]));
    rig.opened(0, 0);
    rig.sent(0, 0);
    rig.closed(0, 1);
    assert!(spent(&rig), "it failed");
}

#[test]
fn each_worker_has_its_share_and_one_without_any_sends_nothing() {
    let shares = (0..4).map(|worker| {
        let mut rig = Rig::new(Task {
            worker,
            workers: 4,
            ..limited(3, Pacing::Flood, &["a"])
        });
        rig.opened(0, 0);
        rig.sent(0, 0);
        let bytes = rig.bytes.len();
        assert_eq!(spent(&rig), bytes > 0);
        bytes
    });
    assert_eq!(shares.collect::<Vec<_>>(), [1, 1, 1, 0]);
}

#[test]
fn at_a_rate_none_is_due_beyond_the_number() {
    let arrivals = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    for pacing in [rate(100.0), arrivals] {
        let mut rig = Rig::new(limited(2, pacing, &["a"]));
        rig.load.traffic(Traffic::On, Time(0));
        rig.opened(0, 0);
        rig.sent(0, 0);
        for ms in (0..200).step_by(10) {
            for _ in 0..rig.load.arrived(Time(ms * MS)) {
                rig.turn(0, ms);
            }
            rig.woken(0, ms);
            rig.sent(0, ms);
        }
        let tally = rig.counters.read();
        assert_eq!(tally.messages_sent, 2);
        assert!(spent(&rig));
        rig.closed(0, 500);
        assert_eq!(rig.counters.read().messages_unsent, 0);
    }
}

#[test]
fn what_waits_for_a_connection_that_ends_is_sent_on_another_one() {
    let arrivals = || Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    // With a number of messages, whichever side ends the connection; else where its end was planned.
    for (requests, planned) in [
        (Some(5), false),
        (Some(5), true),
        (None, true),
        (None, false),
    ] {
        let mut rig = Rig::new(Task {
            requests,
            ..task(arrivals(), &[], &["a"])
        });
        rig.load.traffic(Traffic::On, Time(0));
        rig.opened(0, 0);
        // The first one is being sent, and the others wait for its end.
        for ms in (0..45).step_by(10) {
            for _ in 0..rig.load.arrived(Time(ms * MS)) {
                rig.turn(0, ms);
            }
        }
        rig.conns[0].flags |= if planned { DONE } else { 0 };
        rig.closed(0, 45);
        let unsent = rig.counters.read().messages_unsent;
        let waiting = match requests.is_some() || planned {
            true => 4,
            false => 0,
        };
        assert_eq!(unsent, 5 - waiting, "{requests:?} {planned}");
        assert_eq!(rig.load.arrived(Time(45 * MS)), 0, "no connection is open");
        rig.opened(1, 46);
        assert_eq!(rig.load.arrived(Time(46 * MS)), waiting as u32);
        for _ in 0..waiting {
            rig.turn(1, 46);
            assert_eq!(rig.text(), "a");
            rig.sent(1, 46);
        }
        assert_eq!(rig.counters.read().messages_sent, waiting);
        // They were due at 10 to 40 ms.
        let late = rig.load.take_measured().lateness;
        let most = late.percentile(100.0).unwrap_or_default();
        assert!(
            waiting == 0 || most >= Duration::from_millis(36),
            "{most:?}"
        );
    }
}

#[test]
fn what_arrives_for_connections_that_are_replaced_goes_to_the_one_that_is_free_first() {
    let arrivals = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    let mut rig = Rig::new(Task {
        replaced: true,
        ..task(arrivals, &[], &["a"])
    });
    rig.load.traffic(Traffic::On, Time(0));
    for id in 0..3 {
        assert_eq!(rig.opened(id, 0).send, Transmit::Nothing);
    }
    // Connection 0 takes the first message. The second one has its turn there, too, and is passed on to connection 1.
    assert_eq!(rig.load.arrived(Time(0)), 1);
    assert_ne!(rig.turn(0, 0).send, Transmit::Nothing);
    assert_eq!(rig.load.arrived(Time(10 * MS)), 1);
    assert_eq!(rig.turn(0, 10).pass, 1);
    assert_ne!(rig.turn(1, 10).send, Transmit::Nothing);
    // The third and the fourth: after connection 2 has the third, none is free, and no further turn is asked for.
    assert_eq!(rig.load.arrived(Time(30 * MS)), 2);
    assert_ne!(rig.turn(2, 30).send, Transmit::Nothing);
    let passed: u32 = [0, 1, 2, 0].map(|id| rig.turn(id, 30).pass).iter().sum();
    assert_eq!(passed, 3, "each connection is tried once");
    assert_eq!(rig.load.arrived(Time(41 * MS)), 0, "they wait");
    // A connection that replaces another one takes one message, and leaves the next to whichever is free then.
    for (id, ms) in [(0, 45), (1, 46)] {
        rig.conns[id].flags |= DONE;
        rig.closed(id, ms);
        assert_ne!(rig.opened(id, ms).send, Transmit::Nothing);
        assert_eq!(rig.text(), "a");
    }
    assert_eq!(
        rig.counters.read().messages_unsent,
        2,
        "under way on those that closed"
    );
}
