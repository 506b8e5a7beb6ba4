//! A closed loop: what it waits for, and whose turn it is.

use super::*;

#[test]
fn a_closed_loop_waits_for_the_whole_echo_of_all_it_sent() {
    let mut rig = Rig::new(Task {
        samples: true,
        ..task(LOOP, &["hi"], &["ping"])
    });
    rig.opened(0, 0);
    assert_eq!(rig.text(), "hi");
    rig.sent(0, 1);
    assert_eq!(rig.text(), "ping");
    assert_eq!(rig.received(0, 2, b"hi").send, Transmit::Nothing);
    rig.bytes = b"ping".to_vec();
    assert_eq!(rig.sent(0, 3).send, Transmit::Nothing);
    assert_eq!(rig.received(0, 4, b"pi").send, Transmit::Nothing);
    rig.received(0, 5, b"ng");
    assert_eq!(rig.text(), "ping");
    assert_eq!(rig.counters.read().messages_received, 1);
    assert_eq!(p50(&rig.load.measured.service), Some(4));
    let kept: Vec<(u64, Duration)> = rig
        .load
        .measured
        .samples
        .iter()
        .map(|s| (s.sent.0, s.took))
        .collect();
    assert_eq!(kept, [(MS, Duration::from_millis(4))]);
}

#[test]
fn an_echo_that_is_not_inspected_is_only_counted() {
    let mut rig = Rig::new(Task {
        first_byte: true,
        ..task(LOOP, &[], &["ping"])
    });
    assert_eq!(rig.load.reads(), Reads::Counts);
    rig.opened(0, 0);
    rig.sent(0, 1);
    assert_eq!(rig.received(0, 2, b"pi").send, Transmit::Nothing);
    assert_ne!(rig.received(0, 3, b"ng").send, Transmit::Nothing);
    let measured = &rig.load.measured;
    assert_eq!(p50(&measured.service), Some(3));
    assert_eq!(p50(&measured.first_byte), Some(2));
    assert_eq!(rig.counters.read().messages_received, 1);
}

#[test]
fn what_is_received_first_is_compared_with_what_was_sent_first() {
    let echoing = |first: &[&str], repeated: &[&str]| {
        Rig::new(Task {
            echoes: true,
            ..task(LOOP, first, repeated)
        })
    };
    let differing = |rig: &Rig| rig.counters.read().differing_echoes;
    let mut rig = echoing(&["hi"], &["ping", "pong"]);
    assert_eq!(rig.load.reads(), Reads::Looks);
    let received = ["h", "hiping", "hipingpongping", "ho"];
    for (id, received) in received.iter().enumerate() {
        rig.opened(id, 0);
        rig.received(id, 1, received.as_bytes());
    }
    assert_eq!(differing(&rig), 1);
    // Only the first bytes are compared, and those of the next connection in the place.
    rig.received(0, 2, b"x");
    assert_eq!(differing(&rig), 1);
    rig.closed(0, 3);
    rig.opened(0, 4);
    rig.received(0, 5, b"HTTP/1.1 200 OK");
    assert_eq!(differing(&rig), 2);

    // As far as it is the same on all connections.
    let mut rig = echoing(&[], &["id=\\{connection.uid};"]);
    rig.opened(0, 0);
    rig.received(0, 1, b"id=77;");
    assert_eq!(differing(&rig), 0);
    rig.opened(1, 0);
    rig.received(1, 1, b"no=77;");
    assert_eq!(differing(&rig), 1);
    // Where that is nothing, no byte is looked at.
    let rig = echoing(&[], &["\\{connection.uid}"]);
    assert_eq!(rig.load.reads(), Reads::Counts);
}

#[test]
fn a_bounded_number_of_messages_is_under_way_and_turns_are_passed_on() {
    let one = Pacing::ClosedLoop { in_flight: Some(1) };
    let mut rig = Rig::new(task(one, &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ping");
    let out = rig.opened(1, 0);
    assert_eq!(
        out.send,
        Transmit::Nothing,
        "one message is under way already"
    );
    rig.sent(0, 1);
    let out = rig.received(0, 2, b"ping");
    assert_eq!((out.send, out.pass), (Transmit::Nothing, 1));
    rig.turn(1, 2);
    assert_eq!(rig.text(), "ping");
    // It closes with its message under way, so there is room for one again.
    rig.closed(1, 3);
    rig.turn(0, 4);
    assert_eq!(rig.text(), "ping");
}

#[test]
fn answers_in_a_row_pass_on_one_turn_each() {
    let two = Pacing::ClosedLoop { in_flight: Some(2) };
    let mut rig = Rig::new(task(two, &[], &["ping"]));
    for id in 0..4 {
        rig.opened(id, 0);
    }
    rig.sent(0, 1);
    rig.sent(1, 1);
    assert_eq!(rig.received(0, 2, b"ping").pass, 1);
    assert_eq!(
        rig.received(1, 2, b"ping").pass,
        1,
        "the first is not taken yet"
    );
    assert_ne!(rig.turn(2, 3).send, Transmit::Nothing);
    assert_eq!(rig.turn(2, 3).pass, 1, "it has a message under way");
    assert_ne!(rig.turn(3, 3).send, Transmit::Nothing);
}

#[test]
fn turns_that_went_with_all_connections_are_not_waited_for() {
    let one = Pacing::ClosedLoop { in_flight: Some(1) };
    let mut rig = Rig::new(task(one, &[], &["ping"]));
    rig.opened(0, 0);
    rig.sent(0, 1);
    assert_eq!(rig.received(0, 2, b"ping").pass, 1);
    // No connection is there to take it.
    rig.closed(0, 3);
    rig.opened(0, 4);
    assert_eq!(rig.text(), "ping");
    rig.sent(0, 5);
    assert_eq!(rig.received(0, 6, b"ping").pass, 1);
}

#[test]
fn an_echo_that_overtakes_the_end_of_its_own_send_is_not_lost() {
    let mut rig = Rig::new(task(LOOP, &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.received(0, 1, b"ping").send, Transmit::Nothing);
    rig.sent(0, 2);
    assert_eq!(rig.text(), "ping");
}
