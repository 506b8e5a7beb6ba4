use super::*;
use crate::payload::{Cursor, Dice, Framing, Message, Speaker, What};
use crate::protocol::Facts;
use crate::protocol::facts::Authority;
use crate::protocol::mqtt::MqttAsked;
use crate::stats::{Counters, Tally};
use proptest::prelude::*;

/// What is passed on.
#[derive(Default)]
struct Heard {
    payload: Vec<u8>,
    replies: Vec<(u16, u8)>,
    pongs: Vec<Time>,
    took: Vec<Time>,
    /// The messages that wait for an answer.
    waiting: Vec<u16>,
}

impl Receiver for Heard {
    fn payload(&mut self, bytes: &[u8]) {
        self.payload.extend_from_slice(bytes);
    }

    fn message_ended(&mut self) {}

    fn reply(&mut self, reply: &TaggedReply) -> bool {
        self.replies.push((reply.id, reply.code));
        let at = self.waiting.iter().position(|id| *id == reply.id);
        at.map(|at| self.waiting.remove(at)).is_some()
    }

    fn opened(&mut self, _: fn(&mut Measured) -> &mut Durations) {}

    fn took(&mut self, of: fn(&mut Measured) -> &mut Durations, since: Time) {
        let mut measured = Measured::default();
        of(&mut measured).record_between(since, since);
        let all = measured.protocols.mqtt.map(Durations::count);
        assert_eq!(all.connack + all.suback, 1);
        self.took.push(since);
    }

    fn pong(&mut self, due: Time) {
        self.pongs.push(due);
    }

    fn begun(&mut self, _: u32) {}
}

struct Rig {
    client: MqttClient,
    conn: MqttConn,
    counters: Counters,
    heard: Heard,
    now: Time,
    out: Vec<u8>,
}

const S: u64 = 1_000_000_000;
const UID: u64 = 7;

fn asked(options: &[(&str, &str)]) -> MqttAsked {
    let mut asked = MqttAsked::default();
    for (long, value) in options {
        let option = MqttAsked::OPTIONS.iter().find(|o| o.flag.long == *long);
        (option.unwrap().set)(&mut asked, value).unwrap();
    }
    asked
}

impl Rig {
    /// A connection on which CONNECT was sent, at second 1.
    fn new(options: &[(&str, &str)]) -> Rig {
        let rules = asked(options).prepare(&[], 0xabc).unwrap();
        let mut rig = Rig {
            client: MqttClient::new(rules, ()),
            conn: MqttConn::default(),
            counters: Counters::default(),
            heard: Heard::default(),
            now: Time(S),
            out: Vec::new(),
        };
        let mut out = Vec::new();
        let ready = rig.with(|client, conn, at, _| client.opened(conn, UID, at, &mut out));
        assert!(!ready);
        rig.out = out;
        rig
    }

    fn with<T>(
        &mut self,
        then: impl FnOnce(&mut MqttClient, &mut MqttConn, &At, &mut Heard) -> T,
    ) -> T {
        let at = At {
            id: 3,
            now: self.now,
            up_us: 0,
            counters: &self.counters,
        };
        then(&mut self.client, &mut self.conn, &at, &mut self.heard)
    }

    /// Receives `bytes`; what is answered is in `out`.
    fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut out = Vec::new();
        let received = self
            .with(|client, conn, at, heard| client.received(conn, UID, bytes, at, &mut out, heard));
        self.out = out;
        received
    }

    fn send(&mut self, id: u16) {
        self.heard.waiting.push(id);
        self.with(|client, conn, at, _| client.sending(conn, 1, at));
    }

    fn tally(&self) -> Tally {
        self.counters.read()
    }
}

const ACCEPTED: &[u8] = b"\x20\x03\0\0\0";

#[test]
fn a_connection_is_remembered_in_36_bytes() {
    assert_eq!(size_of::<MqttConn>(), 36);
}

#[test]
fn connect_has_what_was_asked_for() {
    let plain = Rig::new(&[]);
    let body = b"\0\x04MQTT\x05\x02\0\x3c\0\0\x0ethrong000abcx7";
    assert_eq!(plain.out, [&[0x10, body.len() as u8][..], body].concat());
    let all = Rig::new(&[
        ("mqtt-version", "5"),
        ("client-id", r"a\{connection.uid%5}"),
        ("username", "me"),
        ("password", "secret"),
        ("keep-alive", "1500ms"),
        ("keep-session", ""),
        ("session-expiry", "2m"),
        ("will", "gone:1"),
        ("will-message", "bye"),
        ("will-retain", ""),
    ]);
    let body = b"\0\x04MQTT\x05\xec\0\x02\x05\x11\0\0\0\x78\0\x02a2\0\0\x04gone\0\x03bye\0\x02me\0\x06secret";
    assert_eq!(all.out, [&[0x10, body.len() as u8][..], body].concat());
    let old = Rig::new(&[
        ("mqtt-version", "3.1.1"),
        ("keep-alive", "0"),
        ("client-id", "x"),
    ]);
    assert_eq!(old.out, b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01x");
}

#[test]
fn a_connection_is_ready_once_the_server_has_accepted_it_and_its_subscriptions() {
    let mut plain = Rig::new(&[]);
    assert!(plain.receive(ACCEPTED).ready && plain.client.is_ready(&plain.conn));
    assert!(plain.out.is_empty());

    let mut rig = Rig::new(&[
        ("subscribe", "a/#:1"),
        ("subscribe", r"b/\{connection.uid}"),
    ]);
    rig.now = Time(2 * S);
    assert!(!rig.receive(&ACCEPTED[..3]).ready);
    assert!(!rig.receive(&ACCEPTED[3..]).ready && !rig.client.is_ready(&rig.conn));
    assert_eq!(rig.out, b"\x82\x0f\0\x01\0\0\x03a/#\x01\0\x03b/7\0");
    rig.now = Time(4 * S);
    assert!(rig.receive(b"\x90\x05\0\x01\0\x01\0").ready);
    assert_eq!(rig.heard.took, [Time(S), Time(2 * S)]);
    let mqtt = rig.tally().mqtt;
    assert_eq!((mqtt.accepted, mqtt.subscribed), (1, 1));
    assert_eq!(mqtt.suback(Reason::Granted1), 1);
}

#[test]
fn refusals_end_the_connection_and_have_their_reasons() {
    // Without a connection the server closes.
    let mut rig = Rig::new(&[]);
    let received = rig.receive(b"\x20\x03\0\x87\0");
    assert!(received.over && !received.ready && rig.out.is_empty());
    let mqtt = rig.tally().mqtt;
    assert_eq!(mqtt.connack(Reason::NotAuthorized), 1);
    assert_eq!(mqtt.violations(Violation::Refused), 1);
    // Otherwise it is told.
    let mut rig = Rig::new(&[("subscribe", "a"), ("subscribe", "b")]);
    rig.receive(ACCEPTED);
    let received = rig.receive(b"\x90\x05\0\x01\0\0\x80");
    assert!(received.leaving && received.broken && !received.ready);
    assert_eq!(rig.out, [0xe0, 0]);
    let mqtt = rig.tally().mqtt;
    assert_eq!(mqtt.violations(Violation::SubscriptionRefused), 1);
    assert_eq!(mqtt.subscribed, 0);
    // What is to be published is not supported.
    let mut rig = Rig::new(&[("publish", "a:2")]);
    assert!(!rig.receive(b"\x20\x05\0\0\x02\x24\x01").ready);
    assert_eq!(rig.tally().mqtt.violations(Violation::QosUnsupported), 1);
    let mut rig = Rig::new(&[("publish", "a:2"), ("retain", "")]);
    assert!(!rig.receive(b"\x20\x05\0\0\x02\x25\0").ready);
    assert_eq!(rig.tally().mqtt.violations(Violation::RetainUnsupported), 1);
    // A lower QoS than was asked for is granted.
    let mut rig = Rig::new(&[("subscribe", "a:1"), ("subscribe", "b:2")]);
    rig.receive(ACCEPTED);
    assert!(rig.receive(b"\x90\x05\0\x01\0\x01\x01").ready);
    let mqtt = rig.tally().mqtt;
    assert_eq!((mqtt.subscribed, mqtt.granted_less), (1, 1));
}

#[test]
fn what_no_server_sends_is_a_violation() {
    for (connected, bytes, violation) in [
        (false, &b"HTTP/1.1 400"[..], Violation::NotMqtt),
        (false, b"\xd0\0", Violation::NotMqtt),
        (false, b"\x20\x01\0", Violation::Fields),
        (true, ACCEPTED, Violation::Unexpected),
        (true, b"\xf0\0", Violation::Unexpected),
        (true, b"\xc0\0", Violation::Unexpected),
        (true, b"\x90\x04\0\x01\0\0", Violation::Suback),
        (true, b"\x40\x02\0\0", Violation::ZeroId),
        (true, b"\x36\0", Violation::Qos),
    ] {
        let mut rig = Rig::new(&[]);
        if connected {
            rig.receive(ACCEPTED);
        }
        let received = rig.receive(bytes);
        assert_eq!(rig.tally().mqtt.violations(violation), 1, "{bytes:?}");
        assert_eq!((received.over, received.leaving), (!connected, connected));
        assert_eq!(rig.out.is_empty(), !connected, "{bytes:?}");
        assert!(!rig.client.is_ready(&rig.conn));
        // Nothing more is read.
        rig.receive(bytes);
        assert_eq!(rig.tally().mqtt.violations(violation), 1);
    }
}

#[test]
fn a_server_that_disconnects_says_why_and_closes() {
    let mut rig = Rig::new(&[]);
    rig.receive(ACCEPTED);
    let received = rig.receive(b"\xe0\x01\x8e");
    assert!(received.leaving && !received.broken && rig.out.is_empty());
    assert_eq!(rig.tally().mqtt.disconnects(Reason::TakenOver), 1);
}

#[test]
fn messages_are_acknowledged_as_their_qos_says() {
    let mut rig = Rig::new(&[]);
    rig.receive(ACCEPTED);
    let received =
        rig.receive(b"\x30\x05\0\x01a\0x\x3b\x07\0\x01a\0\x09\0y\x3c\x07\0\x01a\0\x0a\0z");
    assert_eq!(received.messages, 3);
    assert_eq!(rig.heard.payload, b"xyz");
    assert_eq!(rig.out, b"\x40\x02\0\x09\x50\x02\0\x0a");
    rig.receive(b"\x62\x02\0\x0a");
    assert_eq!(rig.out, b"\x70\x02\0\x0a");
    let mqtt = rig.tally().mqtt;
    let received = Qos::ALL.map(|qos| mqtt.received(qos));
    assert_eq!((received, mqtt.duplicates, mqtt.retained), ([1; 3], 2, 1));
}

#[test]
fn a_message_is_answered_once_its_acknowledgement_has_ended() {
    let mut rig = Rig::new(&[("publish", "a:2")]);
    // At most two may be under way.
    rig.receive(b"\x20\x06\0\0\x03\x21\0\x02");
    rig.send(1);
    rig.send(2);
    assert_eq!(rig.client.room(&rig.conn, 1), 0);
    rig.receive(b"\x50\x02\0\x01");
    assert_eq!(rig.out, b"\x62\x02\0\x01");
    assert!(rig.heard.replies.is_empty());
    rig.receive(b"\x70\x02\0\x01");
    assert_eq!(rig.heard.replies, [(1, 0)]);
    assert_eq!(rig.client.room(&rig.conn, 1), 1);
    rig.receive(b"\x50\x04\0\x02\x97\0");
    assert_eq!(rig.heard.replies, [(1, 0), (2, 0x97)]);
    assert!(rig.out.is_empty(), "it is not released");
    // Nobody has sent this one.
    rig.receive(b"\x40\x02\0\x05");
    let mqtt = rig.tally().mqtt;
    assert_eq!(mqtt.acks(Reason::Success) + mqtt.acks(Reason::Quota), 2);
    assert_eq!(mqtt.sent(Qos::ExactlyOnce), 2);
}

#[test]
fn pings_go_out_as_often_as_either_side_wants() {
    for (options, connack, seconds) in [
        (&[("keep-alive", "10s")][..], ACCEPTED, Some(10)),
        (
            &[("keep-alive", "10s")],
            b"\x20\x06\0\0\x03\x13\0\x04",
            Some(4),
        ),
        (
            &[("keep-alive", "10s")],
            b"\x20\x06\0\0\x03\x13\0\x40",
            Some(10),
        ),
        (
            &[("keep-alive", "0")],
            b"\x20\x06\0\0\x03\x13\0\x40",
            Some(64),
        ),
        (&[("keep-alive", "0")], ACCEPTED, None),
    ] {
        let mut rig = Rig::new(options);
        rig.receive(connack);
        let wake = |rig: &mut Rig| rig.with(|client, conn, at, _| client.wake(conn, at));
        let first = wake(&mut rig);
        assert_eq!(first.is_some(), seconds.is_some());
        let (Some(first), Some(seconds)) = (first, seconds) else {
            continue;
        };
        assert!(first > rig.now && first.0 <= rig.now.0 + seconds * S);
        rig.now = first;
        let mut out = Vec::new();
        rig.with(|client, conn, at, _| {
            client.woken(conn, UID, at, &mut out, &mut Measured::default());
        });
        assert_eq!(out, [0xc0, 0]);
        assert_eq!(wake(&mut rig), Some(Time(first.0 + seconds * S)));
        rig.now = Time(first.0 + 5);
        rig.receive(b"\xd0\0\xd0\0");
        assert_eq!(rig.heard.pongs, [first]);
        let tally = rig.tally();
        assert_eq!((tally.pings, tally.pongs, tally.pongs_unasked), (1, 1, 1));
    }
}

#[test]
fn the_farewell_is_not_answered() {
    let farewell = |rig: &mut Rig| {
        let mut out = Vec::new();
        let waits = rig.with(|client, conn, _, _| client.farewell(conn, &mut out));
        assert!(!waits);
        out
    };
    let mut rig = Rig::new(&[]);
    assert!(farewell(&mut rig).is_empty(), "it is not connected");
    rig.receive(ACCEPTED);
    assert_eq!(farewell(&mut rig), [0xe0, 0]);
}

/// The messages that connection 7 sends.
fn published(options: &[(&str, &str)], given: &[Message]) -> Vec<u8> {
    let target = Authority {
        authority: "a",
        path: "",
    };
    let messages = asked(options).messages(given, &target).unwrap();
    let script = Script::of_cycles(&[], &[messages], Framing::Raw, 1, 1).unwrap();
    let speaker = Speaker {
        uid: UID,
        message_id: 0x102,
        ..Speaker::default()
    };
    let mut out = Vec::new();
    let (at, mut dice) = (Cursor::default(), Dice::new(1));
    let portion = script.repeated(0, at, 1, &speaker, &mut dice, &mut out);
    if let What::Memory(range) = portion.unwrap().what {
        out.extend_from_slice(&script.memory()[range.start as usize..range.end as usize]);
    }
    out
}

#[test]
fn messages_are_published_as_they_are() {
    let hello = [Message::from(b"hello".to_vec())];
    let sent = published(&[("publish", r"t/\{connection.uid}:1")], &hello);
    assert_eq!(sent, b"\x32\x0d\0\x03t/7\x01\x02\0hello");
    let old = &[
        ("publish", "t:2"),
        ("mqtt-version", "3.1.1"),
        ("retain", ""),
    ];
    assert_eq!(published(old, &hello), b"\x35\x0a\0\x01t\x01\x02hello");
    assert_eq!(published(&[("publish", "t")], &[]), b"\x30\x04\0\x01t\0");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for options in [
        &[("mqtt-version", "3.1.1"), ("session-expiry", "5s")][..],
        &[("will-message", "x")],
        &[("will-retain", "")],
        &[("retain", "")],
        &[("keep-alive", "2d")],
    ] {
        let error = asked(options).prepare(&[], 1).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.starts_with("--")), "{options:?}");
    }
}

proptest! {
    /// Whatever a server sends, wherever it is cut, the client survives it, and nothing stays behind.
    #[test]
    fn any_server_is_survived(pieces in prop::collection::vec(
        prop_oneof![
            prop::sample::select(&[
                ACCEPTED, b"\x90\x04\0\x01\0\0", b"\x30\x05\0\x01a\0x", b"\x34\x80\x01\0\x01a",
                b"\x50\x02\0\x01", b"\x40\x02\0\x01", b"\x70\x02\0\x02", b"\x62\x02\0\x01", b"\xd0", b"\0", b"\xe0\0",
            ][..]).prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..9),
        ], 0..12), end in 0usize..3)
    {
        let mut rig = Rig::new(&[("subscribe", "a"), ("publish", "a:1")]);
        let mut id = 0;
        for piece in pieces {
            if rig.client.is_ready(&rig.conn) && rig.client.room(&rig.conn, 1) > 0 {
                id += 1;
                rig.send(id);
            }
            rig.receive(&piece);
        }
        let why = [Closed::ByUs, Closed::ByPeer, Closed::ResetByPeer][end];
        rig.with(|client, conn, at, _| client.closed(conn, why, at, &mut Measured::default()));
        prop_assert!(rig.client.partials.is_empty());
        let mqtt = rig.tally().mqtt;
        let violated: u64 = Violation::ALL.iter().map(|v| mqtt.violations(*v)).sum();
        prop_assert!(violated <= 1 && mqtt.subscribed <= mqtt.accepted);
    }
}
