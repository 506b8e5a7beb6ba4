//! WebSocket frames around messages and in them.

use super::super::super::frame::mask;
use super::super::super::template::{Frame, FrameKind};
use super::*;

fn frame(kind: FrameKind, payload: Vec<Part>) -> Part {
    Part::Frame(Frame {
        kind,
        last: true,
        reserved: 0,
        payload,
    })
}

/// A received frame: its first byte, its mask if it has one, and its payload.
#[derive(Debug, PartialEq)]
struct Seen {
    first_byte: u8,
    key: Option<[u8; 4]>,
    payload: Vec<u8>,
}

/// Reads frames strictly by RFC 6455 5.2: lengths must be in their shortest form.
fn decode(mut bytes: &[u8]) -> Result<Vec<Seen>, TestCaseError> {
    let mut frames = Vec::new();
    let mut take = |n: usize| -> Result<Vec<u8>, TestCaseError> {
        prop_assert!(n <= bytes.len(), "the stream ends within a frame");
        let (taken, rest) = bytes.split_at(n);
        bytes = rest;
        Ok(taken.to_vec())
    };
    while let Ok(first) = take(1) {
        let second = take(1)?[0];
        let number = |bytes: Vec<u8>| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let length = match second & 0x7f {
            126 => number(take(2)?),
            127 => number(take(8)?),
            n => n.into(),
        };
        match second & 0x7f {
            126 => prop_assert!(length > 125),
            127 => prop_assert!(length > 65535),
            _ => {}
        }
        let mut key = None;
        if second & 0x80 != 0 {
            let bytes = take(4)?;
            key = Some([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let mut payload = take(length as usize)?;
        mask(&mut payload, key.unwrap_or_default());
        frames.push(Seen {
            first_byte: first[0],
            key,
            payload,
        });
    }
    Ok(frames)
}

#[test]
fn messages_are_text_frames_and_what_has_frames_of_its_own_is_sent_so() {
    let own = |kind, last, reserved, payload: &[u8]| {
        Part::Frame(Frame {
            kind,
            last,
            reserved,
            payload: vec![bytes(payload)],
        })
    };
    for (parts, expected) in [
        (vec![bytes(b"abc")], vec![(0x81, &b"abc"[..])]),
        (vec![], vec![(0x81, b"")]),
        (vec![bytes(b"")], vec![(0x81, b"")]),
        (
            vec![bytes(b""), frame(FrameKind::Ping, vec![])],
            vec![(0x89, b"")],
        ),
        (vec![bytes(b"u"), uid(&[])], vec![(0x81, b"u123456")]),
        (vec![frame(FrameKind::Ping, vec![])], vec![(0x89, b"")]),
        (
            vec![
                bytes(b"a"),
                frame(FrameKind::Pong, vec![uid(&[10])]),
                bytes(b"b"),
                uid(&[]),
            ],
            vec![(0x81, b"a"), (0x8a, b"6"), (0x81, b"b123456")],
        ),
        (
            vec![
                own(FrameKind::Text, false, 4, b"frag"),
                own(FrameKind::Continuation, false, 2, b"men"),
                own(FrameKind::Continuation, true, 1, b"ted"),
            ],
            vec![(0x41, b"frag"), (0x20, b"men"), (0x90, b"ted")],
        ),
        (
            vec![
                bytes(b"a"),
                Part::Raw(vec![bytes(b"\x82\x01x")]),
                uid(&[10]),
            ],
            vec![(0x81, b"a"), (0x82, b"x"), (0x81, b"6")],
        ),
    ] {
        let framed = Message {
            parts: parts.clone(),
        };
        let framed = framed.framed().parts;
        for (framing, parts) in [Framing::WebSocketClient, Framing::WebSocketServer]
            .into_iter()
            .flat_map(|framing| [(framing, &parts), (framing, &framed)])
        {
            let frames = decode(&one(parts.clone(), framing)).unwrap();
            let seen: Vec<_> = frames
                .iter()
                .map(|f| (f.first_byte, &f.payload[..]))
                .collect();
            assert_eq!(seen, expected);
            for f in frames {
                let raw = f.payload == b"x";
                assert_eq!(f.key.is_some(), framing == Framing::WebSocketClient && !raw);
            }
        }
    }
    // Without WebSocket, frames are sent as such, and nothing is put around the rest.
    let raw = one(
        vec![bytes(b"a"), frame(FrameKind::Ping, vec![]), bytes(b"b")],
        Framing::Raw,
    );
    assert_eq!((&raw[..3], raw.len()), (&b"a\x89\x80"[..], 8));
}

#[test]
fn static_frames_keep_their_mask_and_rendered_ones_have_a_fresh_one() {
    let frames = |parts: Vec<Part>| {
        let repeated = vec![message(parts)];
        let mut sender = Sender::of(script(repeated, Framing::WebSocketClient, 20));
        sender.repeated(20);
        decode(&sender.sent).unwrap()
    };
    let keys = |frames: Vec<Seen>| {
        let keys: std::collections::BTreeSet<_> = frames.iter().map(|f| f.key).collect();
        keys.len()
    };
    assert_eq!(keys(frames(vec![bytes(b"static")])), 1);
    assert_eq!(keys(frames(vec![uid(&[])])), 20);
}

#[test]
fn a_frames_length_is_right_wherever_the_header_grows() {
    for regex in [
        "x{120,130}",
        "x{60000,70000}",
        "x*",
        "(x{100}){0,2}",
        "(x{70000}|x)",
    ] {
        for framing in [Framing::WebSocketClient, Framing::WebSocketServer] {
            let repeated = vec![message(vec![random(Scope::Message, regex), bytes(b"|")])];
            let mut sender = Sender::of(script(repeated, framing, 10));
            for _ in 0..30 {
                sender.repeated(10);
            }
            let frames = decode(&sender.sent).unwrap();
            assert_eq!(frames.len(), sender.messages as usize);
            for f in frames {
                let (last, rest) = f.payload.split_last().unwrap();
                assert!(*last == b'|' && rest.iter().all(|b| *b == b'x'));
            }
        }
    }
}

fn known_message() -> impl Strategy<Value = Message> {
    let kinds = prop::sample::select(vec![
        FrameKind::Continuation,
        FrameKind::Text,
        FrameKind::Binary,
        FrameKind::Close,
        FrameKind::Ping,
        FrameKind::Pong,
    ]);
    let payload = || prop::collection::vec(known_part(), 0..3);
    let frame =
        (kinds, any::<bool>(), 0u8..8, payload()).prop_map(|(kind, last, reserved, payload)| {
            Part::Frame(Frame {
                kind,
                last,
                reserved,
                payload,
            })
        });
    let part = prop_oneof![
        6 => known_part(),
        2 => frame,
        1 => payload().prop_map(Part::Raw),
    ];
    prop::collection::vec(part, 0..5).prop_map(message)
}

proptest! {
    /// Client, server: the same frames, and these hold what was asked for.
    #[test]
    fn frames_decode_to_what_was_framed(
        cycle in prop::collection::vec(known_message(), 1..4),
        most in 1u32..9,
    ) {
        let mut expected = Vec::new();
        for message in &cycle {
            let mut plain: Vec<Part> = Vec::new();
            let mut frames = Vec::new();
            let mut own = false;
            let end = |plain: &mut Vec<Part>, frames: &mut Vec<(u8, Vec<u8>)>| {
                let payload = payload_of(&std::mem::take(plain));
                if !payload.is_empty() {
                    frames.push((0x81, payload));
                }
            };
            for part in &message.parts {
                match part {
                    Part::Frame(f) => {
                        own = true;
                        end(&mut plain, &mut frames);
                        let first = u8::from(f.last) << 7 | f.reserved << 4 | f.kind as u8;
                        frames.push((first, payload_of(&f.payload)));
                    }
                    // Raw bytes would not decode; their order is tested elsewhere.
                    Part::Raw(_) => {}
                    part => plain.push(part.clone()),
                }
            }
            end(&mut plain, &mut frames);
            if frames.is_empty() && !own {
                frames.push((0x81, vec![]));
            }
            expected.extend(frames);
        }
        let cycle: Vec<Message> = cycle
            .into_iter()
            .map(|m| message(m.parts.into_iter().filter(|p| !matches!(p, Part::Raw(_))).collect()))
            .collect();
        let messages = cycle.len() as u32;
        for framing in [Framing::WebSocketClient, Framing::WebSocketServer] {
            let mut sender = Sender::of(script(cycle.clone(), framing, u32::MAX));
            let mut ends = false;
            while sender.messages < messages || !ends {
                ends = sender.repeated(most.min(messages - sender.messages).max(1)).unwrap().ends_message;
            }
            prop_assert_eq!(sender.messages, messages);
            let frames = decode(&sender.sent)?;
            for f in &frames {
                prop_assert_eq!(f.key.is_some(), framing == Framing::WebSocketClient);
            }
            let seen: Vec<_> = frames.into_iter().map(|f| (f.first_byte, f.payload)).collect();
            prop_assert_eq!(&seen, &expected);
        }
    }
}
