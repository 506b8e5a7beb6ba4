use super::*;
use crate::behaviour::{
    Behaviour, Load, LoadConn, NoMatcher, Outbox, Pacing, Task, Traffic, Transmit,
};
use crate::payload::{Framing, Messages, ParseOptions, Script, parse};
use crate::stats::{Closed, Counters};
use crate::time::Time;
use crate::units::Rate;
use std::time::Duration;

const MS: u64 = 1_000_000;

/// A load with one connection, and the other end of its handshake.
struct Rig {
    load: Load<WebSocket, NoMatcher>,
    conn: LoadConn<WebSocketConn, ()>,
    counters: Counters,
}

impl Rig {
    /// The connection is upgraded; it sends `message` as `pacing` says. Returns what goes out by then, too.
    fn upgraded(role: Role, message: &str, pacing: Pacing, lifetime: Option<u64>) -> (Rig, Outbox) {
        Rig::upgraded_by(role, message, pacing, lifetime, |wire| wire)
    }

    fn upgraded_by(
        role: Role,
        message: &str,
        pacing: Pacing,
        lifetime: Option<u64>,
        with: impl FnOnce(WebSocket) -> WebSocket,
    ) -> (Rig, Outbox) {
        let options = ParseOptions {
            unescape: false,
            files: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let messages = Messages {
            first: Vec::new(),
            repeated: vec![parse(message.as_bytes(), &options).expect("a message")],
        };
        let opening = Opening::new("h", "/", &[], 1).expect("a request");
        let (framing, wire) = match role {
            Role::Client => (
                Framing::WebSocketClient,
                WebSocket::client(vec![opening.clone()], 1, |_| 0),
            ),
            Role::Server => (Framing::WebSocketServer, WebSocket::server(1)),
        };
        let script = Script::new(&messages, framing, 1, 1).expect("a script");
        let task = Task {
            lifetime: lifetime.map(Duration::from_millis),
            ..Task::new(script, pacing)
        };
        let mut rig = Rig {
            load: Load::new(task, Traffic::On, with(wire), NoMatcher),
            conn: LoadConn::default(),
            counters: Counters::default(),
        };
        let asked = rig.at(0, |l, c, at, out| l.opened(c, at, out));
        let (mut decoder, mut partials, mut bytes) =
            (Decoder::default(), Partials::default(), Vec::new());
        if role == Role::Client {
            let done = server::receive(&mut decoder, &mut partials, &asked.bytes, &[], &mut bytes);
            assert_eq!(done, Ok(Some((asked.bytes.len(), None))));
        } else {
            opening.request(0, &mut bytes);
        }
        let out = rig.received(0, &bytes);
        assert_eq!(rig.counters.read().websocket.upgraded, 1);
        (rig, out)
    }

    /// A client that is upgraded, with a ping every `interval_ms`.
    fn pinging(message: &str, pacing: Pacing, interval_ms: u64) -> Rig {
        let (rig, out) = Rig::upgraded_by(Role::Client, message, pacing, None, |wire| {
            wire.pinging(Some(Duration::from_millis(interval_ms)))
        });
        assert!(out.wake.is_some(), "{out:?}");
        rig
    }

    fn at(
        &mut self,
        ms: u64,
        event: impl FnOnce(
            &mut Load<WebSocket, NoMatcher>,
            &mut LoadConn<WebSocketConn, ()>,
            &At,
            &mut Outbox,
        ),
    ) -> Outbox {
        let mut out = Outbox::default();
        let at = At {
            id: 0,
            now: Time(ms * MS),
            up_us: 0,
            counters: &self.counters,
        };
        event(&mut self.load, &mut self.conn, &at, &mut out);
        out
    }

    fn received(&mut self, ms: u64, bytes: &[u8]) -> Outbox {
        self.at(ms, |l, c, at, out| l.received(c, bytes, at, out))
    }

    fn sent(&mut self, ms: u64, n: usize) -> Outbox {
        self.at(ms, |l, c, at, out| l.sent(c, n, at, out))
    }

    fn woken(&mut self, ms: u64) -> Outbox {
        self.at(ms, |l, c, at, out| l.woken(c, at, out))
    }

    fn is_done(&mut self) -> bool {
        self.load.is_done(&mut self.conn, Closed::ByPeer)
    }
}

/// A frame of the peer's; a client's is masked with zeros.
fn frame_of(role: Role, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mask = (role == Role::Client).then(Mask::default);
    frame::whole(opcode, payload, mask, &mut out);
    out
}

/// Asserts that `bytes` begin with a close frame of this code.
#[track_caller]
fn assert_closes(bytes: &[u8], masked: bool, code: u16) {
    assert_eq!(bytes[0], 0x88, "{bytes:?}");
    let (mask, payload) = match masked {
        true => (&bytes[2..6], &bytes[6..8]),
        false => (&[0; 4][..], &bytes[2..4]),
    };
    let code_bytes = [payload[0] ^ mask[0], payload[1] ^ mask[1]];
    assert_eq!(u16::from_be_bytes(code_bytes), code);
}

fn rate(per_second: f64) -> Pacing {
    Pacing::Rate(Rate::per_second(per_second).expect("a rate"))
}

#[test]
fn who_breaks_the_protocol_hears_why_before_the_connection_is_closed() {
    for (role, bad) in [
        (Role::Client, vec![0x83, 0]),
        (Role::Server, vec![0x83, 0x80, 0, 0, 0, 0]),
    ] {
        let (mut rig, _) = Rig::upgraded(role, "hello", rate(1.0), None);
        rig.sent(1, 1);
        let out = rig.received(2, &bad);
        assert_eq!((out.send, out.close), (Transmit::Reply, false));
        assert_closes(&out.bytes, role == Role::Client, close::PROTOCOL_ERROR);
        assert_eq!(
            rig.counters.read().websocket.violations(Violation::Opcode),
            1
        );
        // What it has under way is discarded, and no message follows.
        assert_eq!(rig.received(3, b"more").send, Transmit::Nothing);
        let due = rig.woken(400);
        assert_eq!((due.send, due.close), (Transmit::Nothing, false));
        assert!(rig.woken(502).close);
        // It is not caught up at once.
        assert!(!rig.is_done());
    }
}

#[test]
fn a_server_that_closes_is_answered_and_has_the_last_word() {
    let (mut rig, out) = Rig::upgraded(Role::Client, "hello", Pacing::Flood, None);
    let first = match out.send {
        Transmit::Memory(range) => range.len(),
        other => panic!("{other:?}"),
    };
    let mut bye = Vec::new();
    frame::close(4001, "bye", None, &mut bye);
    let out = rig.received(5, &bye);
    assert_eq!((&out.send, out.close), (&Transmit::Reply, false));
    assert_closes(&out.bytes, true, 4001);
    // The message that was under way ends, another one is not begun.
    let out = rig.sent(6, first);
    assert_eq!((out.send, out.close), (Transmit::Nothing, false));
    assert_eq!(rig.counters.read().messages_sent, 1);
    assert!(!rig.is_done(), "it was the server that closed");
    // If it never ends the connection, we do.
    assert!(rig.woken(5006).close);
}

#[test]
fn a_lifetime_ends_with_a_close_frame_and_counts_as_our_doing() {
    let (mut rig, _) = Rig::upgraded(Role::Client, "hello", rate(1.0), Some(30));
    rig.sent(1, 1);
    assert!(!rig.is_done());
    let out = rig.woken(30);
    assert_eq!((&out.send, out.close), (&Transmit::Reply, false));
    assert_closes(&out.bytes, true, close::NORMAL);
    assert!(rig.is_done());
    let mut answer = Vec::new();
    frame::close(close::NORMAL, "", None, &mut answer);
    let out = rig.received(31, &answer);
    assert_eq!((out.send, out.close), (Transmit::Nothing, true));
}

#[test]
fn a_pong_waits_for_the_end_of_a_message_that_goes_out_in_portions() {
    // A fragment that differs is rendered; one that never does is sent from where it lies.
    let never = "x".repeat(5000);
    let long = format!(r#"\{{ws.text {{re [a-z]{{4}}}} ...}}\{{ws.continuation "{never}"}}"#);
    let (mut rig, out) = Rig::upgraded(Role::Server, &long, rate(1.0), None);
    assert!(out.send == Transmit::Bytes && out.more, "{out:?}");
    let head = out.bytes.len();
    let out = rig.received(1, &frame_of(Role::Client, Opcode::Ping, b"there?"));
    assert_eq!((out.send, out.bytes.len()), (Transmit::Nothing, 0));
    let out = rig.sent(2, head);
    let rest = match &out.send {
        Transmit::Memory(range) => range.len(),
        other => panic!("{other:?}"),
    };
    // With a header of four bytes.
    assert_eq!((rest, out.more), (5004, false));
    let out = rig.sent(3, rest);
    assert_eq!(out.send, Transmit::Reply);
    assert_eq!(out.bytes, frame_of(Role::Server, Opcode::Pong, b"there?"));
    assert_eq!(rig.counters.read().messages_sent, 1);
}

#[test]
fn a_peer_that_pings_without_end_in_the_middle_of_a_message_gets_the_last_pongs() {
    let never = "x".repeat(5000);
    let long = format!(r#"\{{ws.text {{re [a-z]{{4}}}} ...}}\{{ws.continuation "{never}"}}"#);
    let (mut rig, out) = Rig::upgraded(Role::Server, &long, rate(1.0), None);
    let head = out.bytes.len();
    let pings = frame_of(Role::Client, Opcode::Ping, &[b'p'; 125]).repeat(100);
    for _ in 0..1000 {
        assert_eq!(rig.received(1, &pings).send, Transmit::Nothing);
    }
    rig.received(1, &frame_of(Role::Client, Opcode::Ping, b"last"));
    rig.sent(2, head);
    let out = rig.sent(3, 5004);
    assert!(out.bytes.len() < 128 * 1024, "{}", out.bytes.len());
    assert!(
        out.bytes
            .ends_with(&frame_of(Role::Server, Opcode::Pong, b"last"))
    );
    // Whole pongs, and nothing else.
    let pong = frame_of(Role::Server, Opcode::Pong, &[b'p'; 125]);
    assert!(
        out.bytes
            .chunks(pong.len())
            .rev()
            .skip(1)
            .all(|sent| sent == pong)
    );
}

#[test]
fn a_connection_is_remembered_in_24_bytes() {
    assert_eq!(size_of::<WebSocketConn>(), 24);
}

/// The payloads of the pings in `bytes`, unmasked.
fn pings_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
    decoder.upgrade();
    let (mut input, rules) = (bytes, Rules::new(Role::Server));
    let mut all = Vec::new();
    while let Some(event) = decoder.next(&mut input, &rules, &mut partials).unwrap() {
        if let Event::Ping(ping) = event {
            all.push(ping.bytes().to_vec());
        }
    }
    all
}

#[test]
fn pings_are_sent_at_their_interval_beside_messages_and_their_pongs_are_timed() {
    let mut rig = Rig::pinging("hi", Pacing::Rate(Rate::per_second(1.0).unwrap()), 400);
    rig.sent(1, 2 + 4 + 2);
    // Connection 0 has phase 0, so what was due at the beginning is over.
    let out = rig.woken(400);
    let pings = pings_in(&out.bytes);
    assert_eq!((pings.len(), &out.send), (1, &Transmit::Reply));
    assert_eq!(out.wake, Some(Time(800 * MS)));
    let pong = frame_of(Role::Server, Opcode::Pong, &pings[0]);
    assert!(rig.received(403, &pong).is_done());
    // An unsolicited pong is allowed (RFC 6455, 5.5.3), and one that comes twice answers nothing.
    assert!(rig.received(404, &pong).is_done());
    assert!(
        rig.received(404, &frame_of(Role::Server, Opcode::Pong, b""))
            .is_done()
    );
    let counted = rig.counters.read();
    assert_eq!((counted.pings, counted.pongs), (1, 1));
    assert_eq!((counted.pongs_unasked, counted.pings_unanswered), (2, 0));
    let measured = rig.load.take_measured();
    assert_eq!(measured.pong.count(), 1);
    let took = measured.pong.percentile(50.0).unwrap();
    assert_eq!(took.as_micros() / 10, 300, "{took:?}");
    // A ping and a message that are due together leave together, the ping first.
    rig.woken(800);
    let out = rig.woken(1200);
    assert_eq!(pings_in(&out.bytes).len(), 1);
    assert_eq!(out.send, Transmit::Bytes);
    assert_eq!(out.bytes.len(), (2 + 4 + 8) + (2 + 4 + 2));
    // A ping that is due while the message is still being sent follows it.
    let out = rig.woken(1600);
    assert_eq!((pings_in(&out.bytes).len(), out.send), (1, Transmit::Reply));
    rig.at(1700, |l, c, at, _| l.closed(c, Closed::ByPeer, at));
    let counted = rig.counters.read();
    assert_eq!((counted.pings, counted.pongs), (4, 1));
    assert_eq!(counted.pings_unanswered, 3);
    assert_eq!(rig.load.take_measured().pong_lost.count(), 3);
}

#[test]
fn no_ping_follows_a_close_frame_or_the_end_of_the_run() {
    let mut rig = Rig::pinging("hi", Pacing::ClosedLoop { in_flight: None }, 400);
    let close = frame_of(Role::Server, Opcode::Close, &1001u16.to_be_bytes());
    rig.received(300, &close);
    assert!(pings_in(&rig.woken(400).bytes).is_empty());
    let mut rig = Rig::pinging("hi", Pacing::ClosedLoop { in_flight: None }, 400);
    rig.load.traffic(Traffic::Off, Time(390 * MS));
    let out = rig.woken(400);
    assert!(out.is_done(), "{out:?}");
    assert_eq!(rig.counters.read().pings, 0);
}

#[test]
fn a_handshake_is_timed_from_its_request() {
    let mut rig = Rig::pinging("hi", Pacing::ClosedLoop { in_flight: None }, 400);
    let measured = rig.load.take_measured();
    assert_eq!(measured.protocols.websocket.upgrade.count(), 1);
    assert_eq!(
        measured
            .protocols
            .websocket
            .upgrade
            .min()
            .map(|d| d.as_millis()),
        Some(0)
    );
}
