//! Which received bytes answer a message, and what is measured of them.

use super::*;
use crate::pacing::{Due, Instants};
use crate::payload::FirstMessage;
use crate::stats::Measured;

#[test]
fn latency_counts_from_when_a_message_was_due_with_the_time_from_sending_beside_it() {
    let mut rig = Rig::matching(task(rate(100.0), &[], &["ping"]), matcher(marker(0)));
    rig.opened(0, 0);
    // The peer takes nothing for 35 ms: messages due at 10, 20 and 30 ms go out at 35 ms.
    rig.sent(0, 35);
    rig.sent(0, 36);
    // Markers come in pieces.
    for (ms, bytes) in [(40, "..o"), (41, "k..okok"), (45, "ok")] {
        rig.received(0, ms, bytes.as_bytes());
    }
    let measured = &rig.load.measured;
    assert_eq!(measured.response.count(), 4);
    assert_eq!(rig.counters.read().messages_received, 4);
    // Sent at 0, 35, 35, 35; due at 0, 10, 20, 30; answered at 41, 41, 41, 45.
    let longest = |d: &crate::stats::Durations| d.percentile(100.0).unwrap().as_millis();
    assert_eq!(
        (longest(&measured.response), p50(&measured.response)),
        (41, Some(21))
    );
    assert_eq!(
        (longest(&measured.service), p50(&measured.service)),
        (41, Some(6))
    );
    // No message waits for this answer.
    rig.received(0, 50, b"ok");
    assert_eq!(rig.load.measured.response.count(), 4);
    // The message at 40 ms is sent and never answered.
    rig.woken(0, 40);
    rig.closed(0, 60);
    assert_eq!(rig.counters.read().messages_unanswered, 1);
}

#[test]
fn each_connection_may_have_a_marker_of_its_own() {
    let text = "\\{connection.uid}:\\{connection.re [a-z]{9}}.";
    let marker = Some(AnswerBy::Marker {
        text: Marker::OfConnection(task(Pacing::Flood, &[text], &[]).script),
        skip: 0,
    });
    let mut rig = Rig::matching(task(rate(100.0), &[], &[text]), matcher(marker));
    rig.opened(0, 0);
    let first = rig.bytes.clone();
    rig.opened(1, 0);
    let second = rig.bytes.clone();
    assert!(first.starts_with(b"1:") && second.starts_with(b"2:"));
    assert_ne!(first[2..], second[2..]);
    rig.received(0, 3, &[&second[..], &first, &first[..4]].concat());
    assert_eq!(rig.counters.read().messages_received, 1);
    rig.received(1, 3, &second);
    assert_eq!(rig.counters.read().messages_received, 2);
    rig.closed(0, 4);
    rig.closed(1, 4);
    // The next connection in that place has another one.
    rig.opened(0, 10);
    let third = rig.bytes.clone();
    rig.received(0, 11, &[&first[..], &third].concat());
    assert_eq!(rig.counters.read().messages_received, 3);
}

#[test]
fn the_first_answers_can_be_passed_over() {
    let mut rig = Rig::matching(task(rate(100.0), &[], &["ping"]), matcher(marker(2)));
    rig.opened(0, 0);
    rig.sent(0, 35);
    rig.sent(0, 36);
    rig.received(0, 40, b"okok ok");
    assert_eq!(rig.load.measured.response.count(), 1);
    assert_eq!(p50(&rig.load.measured.response), Some(20));
}

#[test]
fn an_echo_answers_with_its_last_byte() {
    let mut rig = Rig::matching(
        task(rate(100.0), &["hello"], &["ping"]),
        matcher(Some(AnswerBy::Echo)),
    );
    rig.opened(0, 0);
    rig.sent(0, 0);
    rig.sent(0, 25);
    rig.received(0, 30, b"helloping");
    assert_eq!(rig.load.measured.response.count(), 1);
    rig.received(0, 31, b"pin");
    assert_eq!(rig.load.measured.response.count(), 1);
    rig.received(0, 32, b"gp");
    assert_eq!(rig.load.measured.response.count(), 2);
    assert_eq!(p50(&rig.load.measured.service), Some(7));
}

#[test]
fn an_id_is_not_used_again_before_its_message_is_answered() {
    let messages = Messages {
        first: Vec::new(),
        repeated: vec![Message {
            parts: vec![Part::MessageId],
        }],
    };
    let script = Script::new(&messages, Framing::Raw, 8, 1).expect("a script");
    let task = Task::new(script, Pacing::Flood);
    let mut rig = Rig::matching(task, matcher(Some(AnswerBy::Id)));
    rig.opened(0, 0);
    let lost = [1, 2, 8];
    let mut sent = 0;
    while sent < 200_000 {
        let bytes = rig.bytes.clone();
        for id in bytes.chunks(2) {
            let id = u16::from_be_bytes([id[0], id[1]]);
            let first = sent < 8;
            assert!(first || !lost.contains(&id), "{id} waits for its answer");
            sent += 1;
            if !first || !lost.contains(&id) {
                let answer = TaggedReply {
                    id,
                    code: 0,
                    truncated: false,
                };
                rig.at(0, 1, |l, c, at, _| {
                    let (conn, measured) = (&mut c.matched, &mut l.measured);
                    assert!(l.matcher.reply(conn, &answer, at, measured));
                });
            }
        }
        rig.bytes = bytes;
        rig.sent(0, 1);
    }
    let under_way = rig.bytes.len() as u64 / 2;
    assert_eq!(rig.counters.read().waiting(), 3 + under_way);
}

#[test]
fn the_text_that_ends_the_run_and_message_markers_are_found_across_reads() {
    let mut rig = Rig::matching(task(Pacing::Flood, &[], &[]), matcher(None));
    rig.opened(0, 0);
    // The run began at 1,000,000 us; this was sent 2 ms later.
    let text = format!(
        "..TCPKaliMsgTS-{:016x}.TCPKaliMsgTS-notahexnumber.STOPSTO",
        1_002_000
    );
    for byte in text.as_bytes() {
        rig.received(0, 9, &[*byte]);
    }
    let half = format!("P TCPKaliMsgTS-{:016x}.", 1_004_000);
    rig.received(0, 10, half.as_bytes());
    assert_eq!(rig.counters.read().stops_seen, 2);
    assert_eq!(rig.load.measured.marked.count(), 2);
    assert_eq!(p50(&rig.load.measured.marked), Some(6));
    assert_eq!(rig.counters.read().messages_received, 2);
}

#[test]
fn a_message_marker_from_the_future_has_no_age() {
    let mut rig = Rig::matching(task(Pacing::Flood, &[], &[]), matcher(None));
    rig.opened(0, 0);
    // It is 1,009,000 us. Clocks that differ by a millisecond agree.
    for us in [1_010_000, 1_010_001, u64::MAX] {
        rig.received(0, 9, format!("TCPKaliMsgTS-{us:016x}.").as_bytes());
    }
    assert_eq!(rig.counters.read().markers_ahead, 2);
    assert_eq!(rig.load.measured.marked.count(), 1);
    assert_eq!(p50(&rig.load.measured.marked), Some(0));
    assert_eq!(rig.counters.read().messages_received, 3);
}

#[test]
fn the_first_whole_message_on_a_connection_is_compared_with_the_one_that_it_answers() {
    let messages = Messages {
        first: Vec::new(),
        repeated: vec![message("hello")],
    };
    let mut all = ReplyMatcher::new(Matching {
        answers: Some(AnswerBy::Message {
            echo: FirstMessage::of(&messages),
        }),
        ..Matching::default()
    });
    let counters = Counters::default();
    let mut measured = Measured::default();
    let at = At {
        id: 0,
        now: Time(MS),
        up_us: 0,
        counters: &counters,
    };
    let asks = Dispatched {
        number: 0,
        messages: 1,
        bytes: 5,
        due: Some(Instants::at(Due::at(Time(0)))),
    };
    let mut conn = MatchedConn::default();
    let mut hears = |conn: &mut MatchedConn, asked: bool, pieces: &[&str]| {
        for (n, piece) in pieces.iter().enumerate() {
            // A long message is answered while its end is still being sent.
            if n + 1 == pieces.len() && asked {
                all.dispatched(conn, &asks, &at);
            }
            all.received(conn, piece.as_bytes(), &at, &mut measured);
        }
        all.message_ended(conn, &at);
        let answered = all.messages(conn, 1, &at, &mut measured);
        assert_eq!(answered, u32::from(asked));
        counters.read().differing_echoes
    };
    // What nobody asked for is no answer, and later ones are not compared.
    for (asked, pieces, differing) in [
        (false, &["welcome"][..], 0),
        (true, &["he", "llo"], 0),
        (true, &["HELLO"], 0),
    ] {
        assert_eq!(hears(&mut conn, asked, pieces), differing, "{pieces:?}");
    }
    for (n, wrong) in [&["HELLO"][..], &["hello", "!"], &["hel"]]
        .iter()
        .enumerate()
    {
        let mut conn = MatchedConn::default();
        assert_eq!(hears(&mut conn, true, wrong), n as u64 + 1, "{wrong:?}");
        assert_eq!(hears(&mut conn, true, wrong), n as u64 + 1, "{wrong:?}");
    }
}
