use super::*;
use crate::behaviour::{AnswerBy, Load, LoadConn, Matching, Pacing, ReplyMatcher, Task, Traffic};
use crate::payload::{Framing, Message, Script};
use crate::protocol::Facts;
use crate::protocol::facts::Authority;
use crate::protocol::mqtt::{MqttAsked, MqttClient, MqttConn};
use crate::protocol::rig::Rig;
use crate::stats::{Counters, Tally};
use crate::time::Time;
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

fn at(counters: &Counters, now: u64) -> At<'_> {
    At {
        id: 0,
        now: Time(now),
        up_us: 0,
        counters,
    }
}

fn rig() -> Rig<MqttServer> {
    Rig::of(MqttServer::default())
}

/// Receives `bytes` and returns what is answered.
fn receive(rig: &mut Rig<MqttServer>, bytes: &[u8]) -> Vec<u8> {
    rig.receive(bytes);
    std::mem::take(&mut rig.sent)
}

const CONNECT: &[u8] = b"\x10\x0e\0\x04MQTT\x05\x02\0\x04\0\0\x01a";
const CONNECT_3: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x04\0\x01a";
const SUBSCRIBE: &[u8] = b"\x82\x13\0\x07\0\0\x01b\x02\0\x09$SYS/echo\x01";

#[test]
fn a_served_connection_is_remembered_in_32_bytes() {
    assert_eq!(size_of::<ServedConn>(), 32);
}

#[test]
fn every_packet_of_a_client_is_answered() {
    let mut rig = rig();
    assert_eq!(receive(&mut rig, CONNECT), b"\x20\x03\0\0\0");
    assert_eq!(receive(&mut rig, SUBSCRIBE), b"\x90\x05\0\x07\0\x02\x01");
    assert_eq!(receive(&mut rig, b"\xc0\0"), b"\xd0\0");
    // Messages to other topics go nowhere.
    assert_eq!(
        receive(&mut rig, b"\x32\x07\0\x01b\0\x02\0x"),
        b"\x40\x02\0\x02"
    );
    assert_eq!(
        receive(&mut rig, b"\x34\x07\0\x01b\0\x03\0x"),
        b"\x50\x02\0\x03"
    );
    assert_eq!(receive(&mut rig, b"\x62\x02\0\x03"), b"\x70\x02\0\x03");
    // An echo has the lower QoS.
    let echo = b"\x34\x10\0\x09$SYS/echo\0\x04\0hi";
    let (first, rest) = echo.split_at(echo.len() - 1);
    let mut answer = receive(&mut rig, first);
    answer.extend(receive(&mut rig, rest));
    assert_eq!(answer, b"\x32\x10\0\x09$SYS/echo\0\x01\0hi\x50\x02\0\x04");
    assert_eq!(receive(&mut rig, b"\x40\x02\0\x01"), b"");
    let unsubscribe = b"\xa2\x0f\0\x08\0\0\x09$SYS/echo\0\x01c";
    let mut unsubscribe = unsubscribe.to_vec();
    unsubscribe[1] = (unsubscribe.len() - 2) as u8;
    assert_eq!(receive(&mut rig, &unsubscribe), b"\xb0\x05\0\x08\0\0\x11");
    assert_eq!(receive(&mut rig, b"\x30\x0d\0\x09$SYS/echo\0x"), b"");
    assert_eq!(receive(&mut rig, b"\xe0\0"), b"");
    assert!(rig.closed);
    let tally = rig.counters.read();
    assert_eq!((tally.messages_received, tally.messages_sent), (4, 1));
    let mqtt = tally.mqtt;
    assert_eq!((mqtt.accepted, mqtt.disconnects(Reason::Success)), (1, 1));
    assert_eq!(
        (mqtt.acks(Reason::Success), mqtt.sent(Qos::AtLeastOnce)),
        (1, 1)
    );
}

#[test]
fn an_older_client_is_answered_in_its_words() {
    let mut rig = rig();
    assert_eq!(receive(&mut rig, CONNECT_3), b"\x20\x02\0\0");
    let subscribe = b"\x82\x0e\0\x07\0\x09$SYS/echo\x02";
    assert_eq!(receive(&mut rig, subscribe), b"\x90\x03\0\x07\x02");
    assert_eq!(
        receive(&mut rig, b"\x30\x0c\0\x09$SYS/echox"),
        b"\x30\x0c\0\x09$SYS/echox"
    );
    let unsubscribe = b"\xa2\x0d\0\x08\0\x09$SYS/echo";
    assert_eq!(receive(&mut rig, unsubscribe), b"\xb0\x02\0\x08");
}

#[test]
fn clients_that_break_the_protocol_are_told_and_left() {
    for (bytes, answer, violation) in [
        (&b"GET / HTTP/1.1\r\n"[..], &b""[..], Violation::NotMqtt),
        (b"\x30\x04\0\x01a\0", b"", Violation::NotMqtt),
        (
            b"\x10\x0d\0\x04MQTT\x06\x02\0\0\0\x01a",
            b"\x20\x02\0\x01",
            Violation::Refused,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\0\0\0\0\0",
            b"\x20\x02\0\x02",
            Violation::Refused,
        ),
        (
            b"\x10\x0d\0\x04MQTT\x04\x03\0\0\0\x01a",
            b"",
            Violation::Flags,
        ),
        (
            &[CONNECT, CONNECT].concat(),
            b"\x20\x03\0\0\0\xe0\x01\x82",
            Violation::Unexpected,
        ),
        (
            &[CONNECT, b"\x32\x06\0\x01a\0\0\0"].concat(),
            b"\x20\x03\0\0\0\xe0\x01\x81",
            Violation::ZeroId,
        ),
        (
            &[CONNECT_3, b"\xf0\0"].concat(),
            b"\x20\x02\0\0",
            Violation::Unexpected,
        ),
    ] {
        let mut rig = rig();
        assert_eq!(receive(&mut rig, bytes), answer, "{bytes:?}");
        assert_eq!(
            rig.counters.read().mqtt.violations(violation),
            1,
            "{bytes:?}"
        );
        assert_eq!(receive(&mut rig, bytes), b"");
        assert!(!rig.quiet(), "more arrived");
        assert!(rig.quiet());
    }
}

#[test]
fn silent_clients_are_left() {
    let mut rig = rig();
    assert_eq!(rig.wake, Some(Time(10 * S)));
    rig.wake();
    let violations = |rig: &Rig<MqttServer>, kind| rig.counters.read().mqtt.violations(kind);
    assert_eq!(violations(&rig, Violation::TimedOut), 1);
    assert!(rig.quiet());
    // Its keep alive is 4 s.
    let mut rig = self::rig();
    receive(&mut rig, CONNECT);
    assert_eq!(rig.wake, Some(Time(6 * S)));
    receive(&mut rig, b"\xc0\0");
    rig.wake();
    assert_eq!((rig.closed, rig.wake), (false, Some(Time(12 * S))));
    rig.sent.clear();
    rig.wake();
    assert_eq!(rig.sent, b"\xe0\x01\x8d");
    assert!(rig.closed);
    assert_eq!(violations(&rig, Violation::Silent), 1);
}

/// What a load and the server say to each other until neither has more to say, up to this many messages.
fn talk(options: &[(&str, &str)], cut: usize, messages: u64) -> (Tally, Tally) {
    let mut asked = MqttAsked::default();
    for (long, value) in options {
        let option = MqttAsked::OPTIONS.iter().find(|o| o.flag.long == *long);
        (option.unwrap().set)(&mut asked, value).unwrap();
    }
    let target = Authority {
        authority: "a",
        path: "",
    };
    let given = [Message::from(b"hello".to_vec())];
    let cycles = [asked.messages(&given, &target).unwrap()];
    let script = Script::of_cycles(&[], &cycles, Framing::Raw, 1, 1).unwrap();
    let task = Task {
        most: 1,
        by_answers: true,
        ..Task::new(script.clone(), Pacing::ClosedLoop { in_flight: None })
    };
    let by_id = asked.answers().from_every_peer();
    let matcher = ReplyMatcher::new(Matching {
        answers: Some(match by_id {
            true => AnswerBy::Id,
            false => AnswerBy::Message { echo: None },
        }),
        ..Matching::default()
    });
    let client = MqttClient::new(asked.prepare(&[], 1).unwrap(), ());
    let mut load = Load::new(task, Traffic::On, client, matcher);
    let (ours, theirs) = (Counters::default(), Counters::default());
    let mut conn = LoadConn::<MqttConn, _>::default();
    let (mut server, mut served) = (MqttServer::default(), ServedConn::default());
    let mut out = Outbox::default();
    server.opened(&mut served, &at(&theirs, 0), &mut out);
    let mut out = Outbox::default();
    load.opened(&mut conn, &at(&ours, 0), &mut out);
    while ours.read().answers < messages {
        let mut said = std::mem::take(&mut out);
        let mut bytes = std::mem::take(&mut said.bytes);
        if let Transmit::Memory(range) = &said.send {
            let memory = script.memory();
            bytes.extend_from_slice(&memory[range.start as usize..range.end as usize]);
        }
        assert!(!bytes.is_empty() && !said.close, "nothing more is said");
        let mut answer = Vec::new();
        for piece in bytes.chunks(cut) {
            let mut out = Outbox::default();
            server.received(&mut served, piece, &at(&theirs, 0), &mut out);
            answer.extend(out.bytes);
        }
        if matches!(said.send, Transmit::Memory(_) | Transmit::Bytes) {
            load.sent(&mut conn, bytes.len(), &at(&ours, 0), &mut out);
        }
        let mut all = Outbox::default();
        for piece in answer.chunks(cut) {
            let mut out = Outbox::default();
            load.received(&mut conn, piece, &at(&ours, 0), &mut out);
            if out.send != Transmit::Nothing {
                all.bytes.append(&mut out.bytes);
                if let Transmit::Memory(range) = &out.send {
                    let memory = script.memory();
                    let range = range.start as usize..range.end as usize;
                    all.bytes.extend_from_slice(&memory[range]);
                }
                all.send = match (all.send, out.send) {
                    (Transmit::Nothing | Transmit::Reply, Transmit::Reply) => Transmit::Reply,
                    _ => Transmit::Bytes,
                };
            }
        }
        out = all;
    }
    (ours.read(), theirs.read())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A load and the server agree on what was said, whatever the version and the QoS, and wherever packets are cut.
    #[test]
    fn a_load_and_the_server_count_the_same(
        v5: bool,
        qos in 0usize..3,
        granted in 0usize..3,
        cut in 1usize..60,
        messages in 1u64..20,
    ) {
        let publish = ["$SYS/echo:0", "$SYS/echo:1", "$SYS/echo:2"];
        let options = [
            ("mqtt-version", if v5 { "5" } else { "3.1.1" }),
            ("publish", publish[qos]),
            ("subscribe", publish[granted]),
        ];
        let (ours, theirs) = talk(&options, cut, messages);
        prop_assert_eq!(ours.answers, messages);
        prop_assert_eq!(ours.mqtt.accepted, 1);
        prop_assert_eq!(theirs.mqtt.accepted, 1);
        let sent = ours.mqtt.sent(Qos::ALL[qos]);
        prop_assert!(theirs.mqtt.received(Qos::ALL[qos]) <= sent && sent <= messages + 1);
        let echoes = Qos::ALL[qos.min(granted)];
        prop_assert!(ours.mqtt.received(echoes) <= theirs.mqtt.sent(echoes));
        for tally in [ours, theirs] {
            let violated: u64 = Violation::ALL.iter().map(|v| tally.mqtt.violations(*v)).sum();
            prop_assert_eq!(violated, 0);
        }
    }

    #[test]
    fn any_client_is_survived(pieces in prop::collection::vec(
        prop_oneof![
            prop::sample::select(&[CONNECT, CONNECT_3, SUBSCRIBE, b"\x34\x10\0\x09$SYS/echo\0\x04\0hi", b"\xc0\0", b"\x30"][..])
                .prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..9),
        ], 0..12))
    {
        let mut rig = rig();
        for piece in pieces {
            // An engine passes on nothing that arrives after it has closed.
            if !rig.closed {
                receive(&mut rig, &piece);
            }
        }
        rig.closed();
        prop_assert!(rig.server.partials.is_empty());
    }
}
