//! When messages are sent: first ones, at a rate, at a bandwidth, as arrivals.

use super::*;
use proptest::prelude::*;

#[test]
fn first_messages_come_before_the_repeated_ones_which_go_round() {
    let mut rig = Rig::new(task(Pacing::Flood, &["hi", "ho"], &["a", "bc"]));
    rig.opened(0, 0);
    let mut sent = rig.text().to_owned();
    while sent.len() < 20 {
        rig.sent(0, 1);
        sent += rig.text();
    }
    assert!(sent.starts_with("hihoabcabcabcabc"), "{sent}");
    assert!(rig.counters.read().messages_sent >= 8);
}

#[test]
fn a_message_that_differs_is_written_anew_each_time() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["<\\{connection.uid}>"]));
    let out = rig.opened(0, 0);
    assert_eq!((out.send, rig.text()), (Transmit::Bytes, "<1>"));
    rig.opened(1, 0);
    assert_eq!(rig.text(), "<2>");
    // Each new connection has a higher number, also in a place that was used before.
    rig.closed(0, 1);
    rig.opened(0, 1);
    rig.woken(0, 20);
    assert!(rig.text().starts_with("<3>"), "{}", rig.text());
}

#[test]
fn paced_messages_that_fell_behind_are_caught_up_and_their_lateness_is_reported() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ping", "phase 0 is due at once");
    let out = rig.sent(0, 0);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(10 * MS)))
    );
    rig.woken(0, 10);
    assert_eq!(rig.text(), "ping");
    // The peer blocks for 35 ms: messages due at 20, 30 and 40 ms go out together at 45 ms.
    rig.sent(0, 45);
    assert_eq!(rig.text(), "pingpingping");
    assert_eq!(rig.sent(0, 45).wake, Some(Time(50 * MS)));
    assert_eq!(rig.counters.read().messages_sent, 5);
    let worst = rig.load.measured.lateness.percentile(100.0).unwrap();
    assert!(worst.as_millis() == 35, "{worst:?}");
}

#[test]
fn at_high_rates_messages_go_in_groups_that_are_due_at_one_instant() {
    let mut rig = Rig::matching(task(rate(3000.0), &["hi"], &["ab"]), matcher(marker(0)));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "hi");
    rig.sent(0, 0);
    for ms in 0..5 {
        assert_eq!(rig.text(), "ababab");
        let out = rig.sent(0, ms);
        assert_eq!(
            (out.send, out.wake),
            (Transmit::Nothing, Some(Time((ms + 1) * MS)))
        );
        assert_eq!(
            rig.woken(0, ms).send,
            Transmit::Nothing,
            "not before they are due"
        );
        rig.woken(0, ms + 1);
    }
    // The peer blocks for 2 ms: what was due meanwhile is caught up, group by group.
    for _ in 0..2 {
        rig.sent(0, 7);
        assert_eq!(rig.text(), "ababab");
    }
    rig.sent(0, 7);
    assert_eq!(rig.counters.read().messages_sent, 24);
    let longest = |d: &crate::stats::Durations| d.percentile(100.0).unwrap().as_millis();
    assert_eq!(longest(&rig.load.measured.lateness), 2);
    // Response times count from the groups' instants, from 0 to 7 ms.
    rig.received(0, 9, "ok".repeat(24).as_bytes());
    let measured = &rig.load.measured;
    assert_eq!(measured.response.count(), 24);
    assert_eq!(longest(&measured.response), 9);
    assert_eq!(p50(&measured.response), Some(5));
    // Traffic ends when another group is due: all of it counts.
    rig.load.traffic(Traffic::Off, Time(8 * MS));
    rig.closed(0, 20);
    assert_eq!(rig.counters.read().messages_unsent, 3);
}

/// From `ms` on at `factor` times the first rate. Returns whether connections are to be woken.
fn turned(rig: &mut Rig<impl Matcher>, ms: u64, factor: f64) -> bool {
    rig.load.steer(&Steer::Tempo {
        from: Time(ms * MS),
        factor,
    })
}

#[test]
fn a_changed_rate_moves_what_is_due_and_leaves_what_was() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.sent(0, 0).wake, Some(Time(10 * MS)));
    // Half of the time until the next message is over; the rest takes half as long.
    assert!(turned(&mut rig, 5, 2.0));
    assert_eq!(rig.woken(0, 5).wake, Some(Time(7_500_000)));
    rig.woken(0, 8);
    assert_eq!(rig.text(), "ping");
    assert_eq!(rig.sent(0, 8).wake, Some(Time(12_500_000)));
    // Slower, too: nothing is due at the old time.
    turned(&mut rig, 10, 0.5);
    let out = rig.woken(0, 13);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(20 * MS)))
    );
    // The peer blocks until 70 ms: what was due at 20 ms counts from then.
    turned(&mut rig, 50, 1.0);
    rig.woken(0, 20);
    rig.sent(0, 70);
    let worst = rig.load.measured.lateness.percentile(100.0);
    assert_eq!(worst.map(|d| d.as_millis()), Some(50));
    // Where a connection ends before, each message is unsent once, also across a change.
    assert_eq!(rig.text(), "ping", "due before the change");
    rig.load.traffic(Traffic::Off, Time(100 * MS));
    rig.closed(0, 100);
    let unsent = rig.counters.read().messages_unsent;
    assert_eq!(unsent, 6, "due at 40, 55, 65, 75, 85 and 95 ms");
}

proptest! {
    #[test]
    fn as_many_messages_are_sent_as_the_rates_have_in_their_times(
        per_second in prop_oneof![0.5f64..50.0, 50.0f64..20_000.0],
        changes in prop::collection::vec((1u64..400, 0.2f64..5.0), 0..6),
        rest in 1u64..400,
    ) {
        let mut rig = Rig::matching(task(rate(per_second), &[], &["ab"]), matcher(marker(0)));
        rig.opened(1, 0);
        while !rig.bytes.is_empty() {
            rig.sent(1, 0);
        }
        let (mut now, mut asked, mut factor) = (0, 0.0, 1.0);
        let ends: Vec<(u64, f64)> = changes.into_iter().chain([(rest, 1.0)]).collect();
        for (ms, next) in ends {
            asked += per_second * factor * ms as f64 / 1000.0;
            for _ in 0..ms {
                now += 1;
                rig.woken(1, now);
                while !rig.bytes.is_empty() {
                    rig.sent(1, now);
                }
            }
            factor = next;
            turned(&mut rig, now, factor);
        }
        // A group may be due at the begin, and one at the end.
        let sent = rig.counters.read().messages_sent as f64;
        let group = (per_second / 1000.0).max(1.0);
        prop_assert!((sent - asked).abs() <= group + 1.0, "{sent} of {asked}");
        // None went out before it was due, and each within a millisecond of it.
        let late = rig.load.measured.lateness.percentile(100.0);
        prop_assert!(late.is_none_or(|d| d.as_micros() <= 1100), "{late:?}");
    }
}

#[test]
fn a_changed_rate_of_the_run_is_a_multiple_of_the_first_one() {
    let arriving = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    let mut rig = Rig::new(task(arriving, &[], &["ping"]));
    rig.load.traffic(Traffic::On, Time(0));
    rig.opened(0, 0);
    assert_eq!(rig.load.next_arrival(), Some(Time(0)));
    assert!(!turned(&mut rig, 5, 2.0), "connections wait for no time");
    let mut due = |ms| {
        let waiting = rig.load.arrived(Time(ms * MS));
        let taken = (0..waiting).filter_map(|_| rig.load.pace.take_arrival());
        assert_eq!(taken.count(), waiting as usize);
        waiting
    };
    // At 0, then every 5 ms from 7.5 ms on.
    assert_eq!((due(5), due(23)), (1, 4));
    turned(&mut rig, 25, 1.0);
    let mut due = |ms| rig.load.arrived(Time(ms * MS));
    assert_eq!((due(24), due(46)), (0, 2), "at 30 and 40 ms");
}

#[test]
fn a_group_is_no_larger_than_what_shares_a_write() {
    let long = "x".repeat(10_000);
    let mut rig = Rig::new(task(rate(20_000.0), &[], &[&long]));
    rig.opened(0, 0);
    assert_eq!(rig.bytes.len(), 60_000, "six fit into 64 KiB");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(300_000)));
    // Each in a write of its own: none waits for another.
    let mut rig = Rig::new(Task {
        most: 1,
        ..task(rate(20_000.0), &[], &["ab"])
    });
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ab");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(50_000)));
}

#[test]
fn messages_that_differ_go_in_groups_too() {
    let mut rig = Rig::new(task(rate(3000.0), &[], &["<\\{re [a-z]}>", "-"]));
    rig.opened(0, 0);
    for ms in 0..4 {
        let (angles, dashes) = if ms % 2 == 0 { (2, 1) } else { (1, 2) };
        assert_eq!(rig.text().matches('<').count(), angles, "{}", rig.text());
        assert_eq!(rig.text().matches('-').count(), dashes, "{}", rig.text());
        assert_eq!(rig.sent(0, ms).wake, Some(Time((ms + 1) * MS)));
        rig.woken(0, ms + 1);
    }
}

#[test]
fn what_was_due_and_never_sent_counts_as_late() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["ping"]));
    rig.opened(0, 0);
    rig.load.traffic(Traffic::Off, Time(95 * MS));
    rig.closed(0, 500);
    assert_eq!(rig.counters.read().messages_unsent, 10);
    assert_eq!(rig.load.measured.lateness.count(), 10);
}

#[test]
fn a_bandwidth_cuts_long_messages_and_joins_short_ones() {
    let bandwidth = |bytes| Pacing::Bandwidth(Bandwidth::bytes_per_second(bytes).unwrap());
    let long = "x".repeat(250);
    let mut rig = Rig::new(task(bandwidth(1000.0), &[], &[&long]));
    rig.opened(0, 0);
    let mut sent = 0;
    let mut now = 0;
    while sent < 500 {
        assert_eq!(rig.bytes.len(), if sent % 250 == 200 { 50 } else { 100 });
        sent += rig.bytes.len();
        let out = rig.sent(0, now);
        now = out.wake.expect("a time for the next piece").0 / MS;
        assert_eq!(now, sent as u64, "a millisecond a byte");
        rig.woken(0, now);
    }
    assert_eq!(rig.counters.read().messages_sent, 2);

    let mut rig = Rig::new(task(bandwidth(100_000.0), &[], &["0123456789"]));
    rig.opened(0, 0);
    assert_eq!(rig.bytes.len(), 80, "as many as share a write");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(800_000)));
}

#[test]
fn what_arrives_goes_to_the_connection_whose_turn_it_is_and_waits_if_that_is_busy() {
    let arrivals = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    let mut rig = Rig::matching(task(arrivals, &[], &["ping"]), matcher(marker(0)));
    rig.load.traffic(Traffic::Waiting, Time::START);
    rig.opened(0, 0);
    rig.opened(1, 0);
    rig.load.traffic(Traffic::On, Time(100 * MS));
    for id in 0..2 {
        let out = rig.at(id, 100, |l, c, at, out| l.started(c, at, out));
        assert_eq!(out.send, Transmit::Nothing);
    }
    assert_eq!(rig.load.next_arrival(), Some(Time(100 * MS)));
    // Due at 100, 110, 120 and 130 ms; connection 0 stays busy with its first.
    assert_eq!(rig.load.arrived(Time(135 * MS)), 4);
    for id in [0, 1, 0] {
        let sends = rig.turn(id, 135).send != Transmit::Nothing;
        assert_eq!(sends, rig.load.arrived(Time(135 * MS)) != 1, "{id}");
    }
    assert_eq!(
        rig.load.arrived(Time(135 * MS)),
        1,
        "one has had no turn yet"
    );
    // Once it is free it sends what it owes, counted from when that was due.
    rig.bytes = b"ping".to_vec();
    rig.sent(0, 150);
    assert_eq!(rig.text(), "ping");
    rig.sent(0, 151);
    rig.received(0, 160, b"okok");
    let longest = rig.load.measured.response.percentile(100.0).unwrap();
    assert_eq!(longest.as_millis(), 60);
    assert_eq!(rig.load.measured.response.count(), 2);
    // Messages that no connection can take any more are reported.
    rig.closed(0, 170);
    rig.closed(1, 170);
    assert_eq!(
        rig.counters.read().messages_unsent,
        2,
        "one under way, one waiting"
    );
}
