//! Whatever a WebSocket peer sends, nothing that reads it panics, and it does not matter where the stream was
//! cut.
//!
//! An input's first byte says who reads it ([`Reader`]), the second how large the pieces are that it arrives
//! in.

mod fuzzing;

use fuzzing::fuzz;
use throng_core::behaviour::{At, Behaviour, Outbox};
use throng_core::partials::Partials;
use throng_core::protocol::http::Field;
use throng_core::protocol::websocket::decoder::{Decoder, Event, Rules};
use throng_core::protocol::websocket::handshake::client::Opening;
use throng_core::protocol::websocket::{Role, Violation, WsMode, WsServer};
use throng_core::stats::{Closed, Counters, Tally};
use throng_core::time::Time;

/// What files of the corpus make of a handshake has this key.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// Who reads an input.
#[derive(Clone, Copy, Debug)]
enum Reader {
    /// A decoder of either role.
    Frames(Rules),
    /// A server, from the request on.
    Server(WsMode),
    /// A client, from the answer on.
    Client,
}

impl Reader {
    fn chosen_by(byte: u8) -> Reader {
        let role = if byte & 4 == 0 {
            Role::Client
        } else {
            Role::Server
        };
        match byte & 3 {
            0 | 1 => Reader::Frames(Rules {
                check_text: byte & 1 == 0,
                max_message: 100_000,
                ..Rules::new(role)
            }),
            2 if byte & 4 == 0 => Reader::Server(WsMode::Echo),
            2 => Reader::Server(WsMode::Sink),
            _ => Reader::Client,
        }
    }

    /// Its output for the pieces, in a form that does not depend on where they were cut.
    fn read<'a>(self, pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
        match self {
            Reader::Frames(rules) => frames(&rules, pieces),
            Reader::Server(mode) => serve(mode, pieces),
            Reader::Client => answer(pieces),
        }
    }
}

/// What a reader saw, or answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Frames and control frames in order, complete ones only.
    frames: Vec<u8>,
    violation: Option<Violation>,
    tally: Tally,
}

fn frames<'a>(rules: &Rules, pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
    let (mut decoder, mut partials, mut seen) =
        (Decoder::default(), Partials::default(), Seen::default());
    pieces.for_each(|piece| decode(&mut decoder, &mut partials, rules, piece, &mut seen));
    finish(decoder, partials, seen)
}

/// Decodes a piece, and notes what whole frames were in it.
fn decode(
    decoder: &mut Decoder,
    partials: &mut Partials,
    rules: &Rules,
    mut input: &[u8],
    seen: &mut Seen,
) {
    loop {
        match decoder.next(&mut input, rules, partials) {
            Ok(None) => break,
            Err(violation) => {
                assert!(seen.violation.is_none(), "there is one end only");
                assert!(violation.close_code().is_some());
                seen.violation = Some(violation);
            }
            Ok(Some(Event::Start(start))) => {
                assert!(start.length <= rules.max_message && !start.opcode.is_control());
                seen.frames.push(start.opcode as u8);
            }
            // The pieces before a violation depend on where the stream was cut: they are not noted, only read.
            Ok(Some(Event::Payload(payload))) => {
                let mut scratch = Vec::new();
                let plain = payload.plain(&mut scratch).to_vec();
                let mut appended = Vec::new();
                payload.append_to(&mut appended);
                assert!(!plain.is_empty() && plain == appended);
            }
            Ok(Some(Event::End { message })) => seen.frames.push(if message { 0xf1 } else { 0xf0 }),
            Ok(Some(Event::Ping(c) | Event::Pong(c))) => seen.frames.extend(c.bytes()),
            Ok(Some(Event::Close(c))) => {
                assert!(decoder.is_over());
                seen.frames.extend(c.bytes());
            }
        }
    }
    assert!(input.is_empty(), "all is read");
    assert!(partials.len() <= 1 && (!decoder.is_over() || partials.is_empty()));
}

fn finish(mut decoder: Decoder, mut partials: Partials, seen: Seen) -> Seen {
    decoder.reset(&mut partials);
    assert!(partials.is_empty(), "nothing is left behind");
    seen
}

fn serve<'a>(mode: WsMode, pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
    let mut server = WsServer::new(mode, 100_000, true);
    let (mut conn, counters) = (Default::default(), Counters::default());
    let at = At {
        id: 0,
        now: Time(0),
        up_us: 0,
        counters: &counters,
    };
    let (mut sent, mut closed, mut leaving) = (Vec::new(), false, false);
    for piece in pieces {
        let mut out = Outbox::default();
        server.received(&mut conn, piece, &at, &mut out);
        let over = closed || leaving;
        assert!(
            !over || (out.bytes.is_empty() && !out.close),
            "it has said its last word"
        );
        closed |= out.close;
        leaving |= out.wake.is_some();
        sent.extend(out.bytes);
    }
    // One that stays has ten seconds for its handshake, which are not over.
    for _ in 0..if leaving { 2 } else { 0 } {
        let mut out = Outbox::default();
        server.woken(&mut conn, &at, &mut out);
        assert!(out.bytes.is_empty());
        closed |= out.close;
    }
    server.closed(&mut conn, Closed::ByPeer, &at);
    let tally = counters.read();
    assert!(
        tally.websocket.violations_in_all() <= 1
            && (tally.websocket.violations_in_all() == 0 || closed)
    );
    let Some(head) = sent.windows(4).position(|w| w == b"\r\n\r\n") else {
        assert!(sent.is_empty() && tally.websocket.upgraded == 0);
        return Seen::default();
    };
    // What it sends is valid: a strict client decodes it, and the last frame is a Close.
    let mut said = Vec::new();
    if tally.websocket.upgraded == 1 {
        let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
        let mut input = &sent[head + 4..];
        while let Some(event) = decoder
            .next(&mut input, &Rules::new(Role::Client), &mut partials)
            .expect("a server that keeps to the protocol")
        {
            match event {
                Event::Pong(c) | Event::Close(c) => said.extend(c.bytes()),
                Event::Ping(_) => panic!("it has no reason to ping"),
                // Text is echoed in other fragments, depending on how it arrived.
                _ => assert_eq!(mode, WsMode::Echo),
            }
        }
        assert_eq!(decoder.is_over(), closed, "the last frame is Close");
    } else {
        assert!(closed && sent.starts_with(b"HTTP/1.1 4"));
        // Cut differently, it may still be incomplete: a head is checked line by line.
        return Seen::default();
    }
    Seen {
        frames: said,
        violation: None,
        tally,
    }
}

fn answer<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
    let fields: Vec<Field> = [KEY, "Sec-WebSocket-Protocol: chat"]
        .iter()
        .map(|line| line.parse().expect("a header"))
        .collect();
    let opening = Opening::new("h", "/", &fields, 0).expect("a request");
    let (mut decoder, mut partials, mut seen) =
        (Decoder::default(), Partials::default(), Seen::default());
    for piece in pieces {
        let mut rest = piece;
        if !decoder.is_upgraded() {
            match opening.answered(0, &mut decoder, &mut partials, piece) {
                Ok(None) => continue,
                Ok(Some(answered)) => {
                    assert!(decoder.is_upgraded() && partials.is_empty());
                    rest = &piece[answered.used..];
                }
                Err(failure) => {
                    assert!(!failure.to_string().is_empty() && partials.is_empty());
                    // Cut differently, it may still be incomplete: a head is checked line by line.
                    break;
                }
            }
        }
        decode(
            &mut decoder,
            &mut partials,
            &Rules::new(Role::Client),
            rest,
            &mut seen,
        );
    }
    finish(decoder, partials, seen)
}

/// One input, whole, in pieces of the size it asks for, and byte by byte.
fn check(input: &[u8]) {
    let [reader, size, bytes @ ..] = input else {
        return;
    };
    let reader = Reader::chosen_by(*reader);
    let whole = reader.read(std::iter::once(bytes));
    for size in [usize::from(*size).max(1), 1] {
        let pieces = reader.read(bytes.chunks(size));
        assert_eq!(pieces, whole, "{reader:?} in pieces of {size}");
    }
}

#[test]
fn conversations_are_read_without_panic_and_the_same_whole_and_in_pieces() {
    fuzz("websocket", 4, check);
}
