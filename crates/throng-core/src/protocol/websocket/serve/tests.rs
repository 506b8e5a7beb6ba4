use super::*;
use crate::protocol::rig::Rig;
use crate::protocol::websocket::frame::close;
use crate::stats::Tally;
use crate::time::Time;
use proptest::prelude::*;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const KEY: Mask = Mask([0x37, 0xfa, 0x21, 0x3d]);

impl Rig<WsServer> {
    fn new(mode: WsMode) -> Rig<WsServer> {
        Rig::of(WsServer::new(mode, 1 << 20, true))
    }

    /// One whose handshake is done.
    fn upgraded(mode: WsMode) -> Rig<WsServer> {
        let mut rig = Rig::<WsServer>::new(mode);
        rig.receive(REQUEST);
        assert!(rig.sent.starts_with(b"HTTP/1.1 101 "));
        rig.sent.clear();
        rig
    }

    /// The frames that it sent, as a client that checks everything reads them.
    fn frames(&self) -> Vec<(Opcode, bool, Vec<u8>)> {
        let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
        let (mut input, mut frames) = (self.sent.as_slice(), Vec::new());
        let rules = Rules::new(Role::Client);
        while let Some(event) = decoder.next(&mut input, &rules, &mut partials).unwrap() {
            match event {
                Event::Start(start) => frames.push((start.opcode, start.fin, Vec::new())),
                Event::Payload(piece) => piece.append_to(&mut frames.last_mut().unwrap().2),
                Event::End { .. } => {}
                Event::Ping(_) => panic!("it has no reason to ping"),
                Event::Pong(pong) => frames.push((Opcode::Pong, true, pong.bytes().into())),
                Event::Close(close) => frames.push((Opcode::Close, true, close.bytes().into())),
            }
        }
        assert!(partials.is_empty(), "half a frame was sent");
        frames
    }

    /// Its peer closes the connection, and nothing of it is left. Returns what was counted.
    fn ended(&mut self) -> Tally {
        let tally = self.closed();
        assert!(self.server.partials.is_empty());
        tally
    }
}

/// A client's frame.
fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = whole(opcode, payload);
    out[0] = (u8::from(fin) << 7) | opcode as u8;
    out
}

fn whole(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::whole(opcode, payload, Some(KEY), &mut out);
    out
}

#[test]
fn a_connection_remembers_24_bytes() {
    assert_eq!(size_of::<WsConn>(), 24);
}

#[test]
fn frames_that_come_with_the_request_are_answered_too_however_it_is_cut() {
    let bytes = [REQUEST, &whole(Opcode::Text, b"hi")].concat();
    for size in [1, 50, bytes.len()] {
        let mut rig = Rig::new(WsMode::Echo);
        bytes.chunks(size).for_each(|piece| rig.receive(piece));
        assert!(rig.sent.starts_with(b"HTTP/1.1 101 "));
        let head = rig.sent.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        rig.sent.drain(..head);
        let echoed: Vec<u8> = rig.frames().into_iter().flat_map(|f| f.2).collect();
        assert_eq!(echoed, b"hi");
        let tally = rig.ended();
        assert_eq!(
            (
                tally.websocket.upgraded,
                tally.messages_received,
                tally.messages_sent
            ),
            (1, 1, 1)
        );
    }
}

#[test]
fn who_speaks_no_websocket_gets_an_http_error_and_is_closed() {
    for (bytes, status, kind) in [
        (
            &b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"[..],
            "426",
            Violation::Refused,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
            "405",
            Violation::Refused,
        ),
        (b"\x16\x03\x01\x00\xee", "400", Violation::NotHttp),
        (
            &[b"GET / HTTP/1.1\r\nX: ", &[b'x'; 20_000][..]].concat(),
            "431",
            Violation::LongHead,
        ),
        (
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "400",
            Violation::Handshake,
        ),
    ] {
        let mut rig = Rig::new(WsMode::Echo);
        rig.receive(bytes);
        rig.receive(b"and more");
        let start = format!("HTTP/1.1 {status} ");
        assert!(rig.sent.starts_with(start.as_bytes()));
        assert!(
            !rig.quiet() && rig.quiet(),
            "something came after it, then nothing"
        );
        let tally = rig.ended();
        assert_eq!(
            (tally.websocket.violations(kind), tally.websocket.upgraded),
            (1, 0)
        );
        assert_eq!(tally.websocket.violations_in_all(), 1);
    }
}

#[test]
fn a_handshake_that_is_not_complete_in_time_is_refused() {
    for sent in [0, 1, REQUEST.len() - 1] {
        let mut rig = Rig::new(WsMode::Echo);
        rig.receive(&REQUEST[..sent]);
        assert_eq!(rig.wake, Some(Time(0) + HANDSHAKE_TIMEOUT));
        assert!(!rig.quiet());
        assert!(rig.sent.starts_with(b"HTTP/1.1 408 "), "{sent}");
        // The rest is too late.
        rig.receive(&REQUEST[sent..]);
        assert!(!rig.quiet() && rig.quiet());
        let tally = rig.ended();
        assert_eq!(tally.websocket.upgraded, 0);
        assert_eq!(tally.websocket.violations(Violation::TimedOut), 1);
        assert_eq!(tally.websocket.violations_in_all(), 1);
    }
    let mut rig = Rig::upgraded(WsMode::Echo);
    rig.event(|server, conn, at, out| server.woken(conn, at, out));
    assert!(rig.sent.is_empty() && !rig.closed, "it was in time");
}

#[test]
fn fragments_are_echoed_as_they_came_with_pongs_where_the_pings_were() {
    let mut rig = Rig::upgraded(WsMode::Echo);
    let frames = [
        (Opcode::Binary, false, b"ab".to_vec()),
        (Opcode::Ping, true, b"1".to_vec()),
        (Opcode::Continuation, false, vec![]),
        (Opcode::Continuation, false, vec![7; 70_000]),
        (Opcode::Ping, true, b"2".to_vec()),
        (Opcode::Pong, true, b"unasked".to_vec()),
        (Opcode::Continuation, true, b"c".to_vec()),
        (Opcode::Text, true, "ü".as_bytes().to_vec()),
    ];
    for (opcode, fin, payload) in &frames {
        // In two pieces each, but for text.
        let bytes = frame(*fin, *opcode, payload);
        let middle = if *opcode == Opcode::Text {
            0
        } else {
            bytes.len() - 1
        };
        rig.receive(&bytes[..middle]);
        rig.receive(&bytes[middle..]);
    }
    let expected: Vec<_> = frames
        .into_iter()
        .filter(|(opcode, ..)| *opcode != Opcode::Pong)
        .map(|(opcode, fin, payload)| match opcode {
            Opcode::Ping => (Opcode::Pong, fin, payload),
            _ => (opcode, fin, payload),
        })
        .collect();
    assert_eq!(rig.frames(), expected);
    let tally = rig.ended();
    assert_eq!((tally.messages_received, tally.messages_sent), (2, 2));
}

#[test]
fn a_large_frame_goes_back_while_it_comes_in() {
    let mut rig = Rig::upgraded(WsMode::Echo);
    let bytes = whole(Opcode::Binary, &vec![1; 1 << 20]);
    rig.receive(&bytes[..14]);
    assert_eq!(rig.sent, [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    for piece in bytes[14..].chunks(30_000) {
        let before = rig.sent.len();
        rig.receive(piece);
        assert_eq!(rig.sent.len() - before, piece.len());
    }
    assert_eq!(rig.frames()[0].2.len(), 1 << 20);
}

#[test]
fn a_sink_answers_only_what_has_to_be_answered() {
    let mut rig = Rig::upgraded(WsMode::Sink);
    rig.receive(&whole(Opcode::Text, b"hi"));
    rig.receive(&frame(false, Opcode::Binary, b"hi"));
    assert!(rig.sent.is_empty());
    rig.receive(&whole(Opcode::Ping, b"p"));
    rig.receive(&whole(Opcode::Continuation, b""));
    rig.receive(&whole(Opcode::Text, b"\xff"));
    let frames = rig.frames();
    assert_eq!(frames[0], (Opcode::Pong, true, b"p".to_vec()));
    assert_eq!((frames.len(), &frames[1].2[..2]), (2, &[0x03, 0xef][..]));
    let tally = rig.ended();
    assert_eq!((tally.messages_received, tally.messages_sent), (2, 0));
    assert_eq!(tally.websocket.violations(Violation::Text), 1);
}

#[test]
fn a_close_is_answered_with_its_code_and_nothing_after_it() {
    for (payload, answer) in [
        (&b""[..], &b""[..]),
        (&[0x03, 0xe8], &[0x03, 0xe8]),
        (&[0x0f, 0xa0, b'b', b'y', b'e'], &[0x0f, 0xa0]),
    ] {
        let mut rig = Rig::upgraded(WsMode::Echo);
        let more = whole(Opcode::Text, b"more");
        rig.receive(&[whole(Opcode::Close, payload), more.clone()].concat());
        rig.receive(&more);
        assert!(rig.closed);
        assert_eq!(rig.frames(), [(Opcode::Close, true, answer.to_vec())]);
        assert_eq!(rig.ended().websocket.violations_in_all(), 0);
    }
}

#[test]
fn a_violation_is_closed_with_its_code_and_its_words_after_what_was_right() {
    let rows: [(&[u8], Violation); 6] = [
        (&[0x81, 0x01, b'a'], Violation::Unmasked),
        (&[0xc1, 0x80, 0, 0, 0, 0], Violation::ReservedBits),
        (&[0x80, 0x80, 0, 0, 0, 0], Violation::Continuation),
        (&[0x81, 0x82, 0, 0, 0, 0, b'a', 0xff], Violation::Text),
        (
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0],
            Violation::TooBig,
        ),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], Violation::CloseCode),
    ];
    for (bytes, kind) in rows {
        for size in [1, 1000] {
            let mut rig = Rig::upgraded(WsMode::Echo);
            let all = [
                &whole(Opcode::Binary, b"right"),
                bytes,
                &whole(Opcode::Ping, b""),
            ]
            .concat();
            all.chunks(size).for_each(|piece| rig.receive(piece));
            let mut closing = Vec::new();
            close(kind.close_code().unwrap(), kind.words(), None, &mut closing);
            let frames = rig.frames();
            assert_eq!(frames[0].2, b"right");
            assert_eq!(frames.last().unwrap().2, closing[2..], "{kind:?}");
            assert!(!rig.closed && (rig.quiet() || rig.quiet()));
            let tally = rig.ended();
            assert_eq!(
                (
                    tally.websocket.violations(kind),
                    tally.websocket.violations_in_all()
                ),
                (1, 1)
            );
        }
    }
}

#[test]
fn a_peer_that_goes_on_after_its_violation_is_closed_when_it_is_quiet_or_after_a_while() {
    // As many looks as `lingering.rs` takes.
    const MOST_LOOKS: u8 = 30;
    for looks in [0, 5, MOST_LOOKS] {
        let mut rig = Rig::upgraded(WsMode::Echo);
        rig.receive(&[0xff, 0xff]);
        for n in 1..=looks {
            rig.receive(&[1; 10_000]);
            assert_eq!(rig.quiet(), n == MOST_LOOKS, "look {n}");
        }
        assert!(rig.closed || rig.quiet());
        assert_eq!(rig.frames().len(), 1);
    }
}

#[test]
fn text_found_wrong_in_the_middle_of_a_frame_can_still_be_closed_properly() {
    let mut rig = Rig::upgraded(WsMode::Echo);
    let bytes = whole(
        Opcode::Text,
        &[&vec![b'a'; 5000][..], b"\xff", &vec![b'a'; 5000]].concat(),
    );
    bytes.chunks(1000).for_each(|piece| rig.receive(piece));
    let frames = rig.frames();
    let (close, pieces) = frames.split_last().unwrap();
    assert_eq!((close.0, &close.2[..2]), (Opcode::Close, &[0x03, 0xef][..]));
    assert!(
        !pieces.is_empty()
            && pieces
                .iter()
                .all(|(_, fin, bytes)| !fin && bytes.iter().all(|b| *b == b'a'))
    );
    assert_eq!(rig.ended().websocket.violations(Violation::Text), 1);
}

proptest! {
    #[test]
    fn messages_come_back_the_same_wherever_the_stream_is_cut(
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(".{0,30}", 1..4)), 0..6),
        sizes in proptest::collection::vec(1usize..60, 1..6),
    ) {
        let mut bytes = Vec::new();
        for (binary, fragments) in &messages {
            for (i, fragment) in fragments.iter().enumerate() {
                let opcode = match (i, binary) {
                    (0, true) => Opcode::Binary,
                    (0, false) => Opcode::Text,
                    _ => Opcode::Continuation,
                };
                bytes.extend(frame(i + 1 == fragments.len(), opcode, fragment.as_bytes()));
            }
        }
        let mut rig = Rig::upgraded(WsMode::Echo);
        let mut rest = bytes.as_slice();
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at(size.min(rest.len()));
            rig.receive(piece);
            rest = others;
        }
        let mut came: Vec<(bool, Vec<u8>)> = Vec::new();
        for (opcode, _, payload) in rig.frames() {
            if opcode != Opcode::Continuation {
                came.push((opcode == Opcode::Binary, Vec::new()));
            }
            came.last_mut().unwrap().1.extend(payload);
        }
        let sent: Vec<(bool, Vec<u8>)> = messages
            .iter()
            .map(|(binary, fragments)| (*binary, fragments.concat().into_bytes()))
            .collect();
        prop_assert_eq!(came, sent);
        prop_assert_eq!(rig.ended().messages_sent, messages.len() as u64);
    }
}
