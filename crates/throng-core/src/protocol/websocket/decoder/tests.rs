use super::*;
use proptest::prelude::*;

/// What was received, regardless of where it was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Frame(Opcode, bool, Vec<u8>),
    /// A frame whose end did not arrive.
    Begun(Opcode, u32),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    Wrong(Violation),
}

/// Everything in `pieces`. Checks that payloads are never empty and nothing is kept for longer than needed.
fn read<'a>(rules: &Rules, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Came> {
    let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
    let mut came = Vec::new();
    let mut frame: Option<(Start, Vec<u8>)> = None;
    for mut input in pieces {
        loop {
            let event = match decoder.next(&mut input, rules, &mut partials) {
                Ok(None) => break,
                Ok(Some(event)) => event,
                Err(violation) => {
                    came.push(Came::Wrong(violation));
                    assert!(partials.is_empty() && decoder.is_over());
                    frame = None;
                    continue;
                }
            };
            match event {
                Event::Start(start) => {
                    assert!(frame.is_none());
                    frame = Some((start, Vec::new()));
                }
                Event::Payload(payload) => {
                    let (_, bytes) = frame.as_mut().unwrap();
                    let before = bytes.len();
                    payload.append_to(bytes);
                    assert!(payload.len() > 0 && bytes.len() - before == payload.len());
                    assert_eq!(payload.plain(&mut vec![7; 3]), &bytes[before..]);
                }
                Event::End { message } => {
                    let (start, bytes) = frame.take().unwrap();
                    assert_eq!((start.length as usize, start.fin), (bytes.len(), message));
                    came.push(Came::Frame(start.opcode, start.fin, bytes));
                }
                Event::Ping(c) => came.push(Came::Ping(c.bytes().into())),
                Event::Pong(c) => came.push(Came::Pong(c.bytes().into())),
                Event::Close(c) => {
                    assert!(decoder.is_over());
                    let reason = c.bytes().get(2..).unwrap_or(&[]).into();
                    came.push(Came::Close(c.close_code(), reason));
                }
            }
        }
        assert!(input.is_empty(), "everything is read");
    }
    if let Some((start, _)) = frame {
        came.push(Came::Begun(start.opcode, start.length));
    }
    decoder.reset(&mut partials);
    assert!(partials.is_empty());
    came
}

fn text(fin: bool, payload: &str) -> Came {
    Came::Frame(Opcode::Text, fin, payload.into())
}

/// A frame as `role`'s peer sends it.
fn frame(role: Role, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some(Mask([0x37, 0xfa, 0x21, 0x3d]));
    let mut out = Vec::new();
    Header {
        fin,
        reserved: 0,
        opcode,
        mask,
        length: payload.len() as u64,
    }
    .encode(&mut out);
    mask.unwrap_or_default().append(payload, &mut out);
    out
}

#[test]
fn a_connection_remembers_twenty_bytes() {
    assert_eq!(size_of::<Decoder>(), 20);
}

#[test]
fn the_examples_of_rfc_6455_section_5_7_are_read_as_there() {
    let client = Rules::new(Role::Client);
    let server = Rules::new(Role::Server);
    let hello = b"Hello".to_vec();
    let big = |length: usize, header: &[u8]| [header, &vec![0xab; length]].concat();
    let rows: Vec<(&Rules, Vec<u8>, Vec<Came>)> = vec![
        (
            &client,
            vec![0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
            vec![text(true, "Hello")],
        ),
        (
            &server,
            vec![
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
            ],
            vec![text(true, "Hello")],
        ),
        (
            &client,
            vec![0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f],
            vec![
                text(false, "Hel"),
                Came::Frame(Opcode::Continuation, true, b"lo".to_vec()),
            ],
        ),
        (
            &client,
            vec![0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
            vec![Came::Ping(hello.clone())],
        ),
        (
            &server,
            vec![
                0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
            ],
            vec![Came::Pong(hello)],
        ),
        (
            &client,
            big(256, &[0x82, 0x7E, 0x01, 0x00]),
            vec![Came::Frame(Opcode::Binary, true, vec![0xab; 256])],
        ),
        (
            &client,
            big(65536, &[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]),
            vec![Came::Frame(Opcode::Binary, true, vec![0xab; 65536])],
        ),
    ];
    for (rules, bytes, came) in rows {
        assert_eq!(read(rules, [bytes.as_slice()]), came);
        assert_eq!(read(rules, bytes.chunks(1)), came);
    }
}

/// What each kind of violation looks like, after something that is right.
fn violations() -> Vec<(Role, Vec<u8>, Violation)> {
    use Opcode::{Binary, Close, Continuation, Ping, Text};
    let server = |fin, opcode, payload: &[u8]| frame(Role::Server, fin, opcode, payload);
    let mut rows = vec![
        (Role::Client, vec![0xc1, 0x00], Violation::ReservedBits),
        (Role::Client, vec![0xa1, 0x00], Violation::ReservedBits),
        (Role::Client, vec![0x99, 0x00], Violation::ReservedBits),
        (Role::Client, vec![0x83, 0x00], Violation::Opcode),
        (Role::Client, vec![0x87, 0x00], Violation::Opcode),
        (Role::Client, vec![0x8b, 0x00], Violation::Opcode),
        (Role::Server, vec![0x8f, 0x80], Violation::Opcode),
        (Role::Server, vec![0x81, 0x01, b'a'], Violation::Unmasked),
        (Role::Server, vec![0x88, 0x00], Violation::Unmasked),
        (
            Role::Client,
            vec![0x81, 0x81, 0, 0, 0, 0, b'a'],
            Violation::Masked,
        ),
        (Role::Client, vec![0x09, 0x00], Violation::FragmentedControl),
        (
            Role::Client,
            vec![0x08, 0x02, 3, 232],
            Violation::FragmentedControl,
        ),
        (
            Role::Client,
            vec![0x89, 126, 0, 126],
            Violation::LongControl,
        ),
        (Role::Server, vec![0x88, 0xff], Violation::LongControl),
        (Role::Client, vec![0x82, 126, 0, 125], Violation::LongLength),
        (
            Role::Client,
            vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            Violation::LongLength,
        ),
        (
            Role::Client,
            vec![0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0],
            Violation::HugeLength,
        ),
        (Role::Client, vec![0x80, 0x00], Violation::Continuation),
        (
            Role::Server,
            server(false, Continuation, b"x"),
            Violation::Continuation,
        ),
        (
            Role::Server,
            [
                server(false, Text, b"a"),
                server(true, Continuation, b"b"),
                server(true, Continuation, b"c"),
            ]
            .concat(),
            Violation::Continuation,
        ),
        (
            Role::Server,
            [
                server(false, Text, b"a"),
                server(true, Ping, b""),
                server(true, Text, b"b"),
            ]
            .concat(),
            Violation::Interrupted,
        ),
        (
            Role::Server,
            [server(false, Binary, b"a"), server(false, Binary, b"b")].concat(),
            Violation::Interrupted,
        ),
        (Role::Server, server(true, Text, b"a\xff"), Violation::Text),
        (
            Role::Server,
            server(false, Text, b"\xed\xa0\x80"),
            Violation::Text,
        ),
        (Role::Client, vec![0x81, 0x02, 0xc3, 0x28], Violation::Text),
        // A character that the message ends within, and one that is cut between fragments and wrong.
        (Role::Client, vec![0x81, 0x01, 0xc3], Violation::Text),
        (
            Role::Client,
            vec![0x01, 0x01, 0xc3, 0x80, 0x00],
            Violation::Text,
        ),
        (
            Role::Client,
            vec![0x01, 0x02, b'a', 0xe2, 0x00, 0x00, 0x80, 0x01, 0x28],
            Violation::Text,
        ),
        (
            Role::Client,
            vec![0x82, 127, 0, 0, 0, 0, 4, 0, 0, 1],
            Violation::TooBig,
        ),
        (
            Role::Client,
            vec![0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Violation::TooBig,
        ),
        (
            Role::Client,
            [
                &[0x02, 0x01, b'a'][..],
                &[0x80, 127, 0, 0, 0, 0, 4, 0, 0, 0],
            ]
            .concat(),
            Violation::TooBig,
        ),
        (Role::Client, vec![0x88, 0x01, 3], Violation::CloseLength),
        (
            Role::Server,
            server(true, Close, b"\x03\xe8\xc3\x28"),
            Violation::CloseReason,
        ),
    ];
    for code in [
        0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        rows.push((
            Role::Server,
            server(true, Close, &code.to_be_bytes()),
            Violation::CloseCode,
        ));
    }
    rows
}

#[test]
fn every_violation_is_found_whole_or_in_pieces_with_right_frames_before_and_anything_after() {
    let rows = violations();
    for kind in Violation::ALL {
        assert!(
            kind.close_code().is_none() || rows.iter().any(|row| row.2 == kind),
            "{kind:?} is not among them"
        );
    }
    for (role, bytes, violation) in rows {
        let rules = Rules::new(role);
        let all = [
            frame(role, true, Opcode::Binary, &[1; 200]),
            frame(role, true, Opcode::Text, "ü".as_bytes()),
            bytes.clone(),
            vec![0x81; 300],
        ]
        .concat();
        for size in [1, 2, 3, 5, 211, all.len()] {
            let came = read(&rules, all.chunks(size));
            assert_eq!(came.last(), Some(&Came::Wrong(violation)), "{bytes:02x?}");
            assert_eq!(came[1], text(true, "ü"));
        }
    }
}

#[test]
fn a_text_that_is_not_checked_may_be_anything() {
    let rules = Rules {
        check_text: false,
        ..Rules::new(Role::Client)
    };
    let came = read(&rules, [&[0x81, 0x01, 0xff][..]]);
    assert_eq!(came, [Came::Frame(Opcode::Text, true, vec![0xff])]);
}

#[test]
fn a_character_may_be_cut_between_fragments_with_a_ping_inside() {
    let rules = Rules::new(Role::Client);
    let bytes = [0x01, 1, 0xe2, 0x89, 1, b'p', 0x00, 1, 0x82, 0x80, 1, 0xac];
    for size in 1..=bytes.len() {
        assert_eq!(
            read(&rules, bytes.chunks(size)),
            [
                Came::Frame(Opcode::Text, false, vec![0xe2]),
                Came::Ping(b"p".to_vec()),
                Came::Frame(Opcode::Continuation, false, vec![0x82]),
                Came::Frame(Opcode::Continuation, true, vec![0xac]),
            ]
        );
    }
}

#[test]
fn a_message_of_exactly_the_most_is_accepted_and_the_next_counts_anew() {
    let rules = Rules {
        max_message: 4,
        ..Rules::new(Role::Client)
    };
    let right = [0x82, 4, 1, 2, 3, 4, 0x02, 3, 1, 2, 3, 0x00, 0, 0x80, 1, 4];
    assert_eq!(read(&rules, [&right[..]]).len(), 4);
    let wrong = [0x02, 3, 1, 2, 3, 0x80, 2];
    assert_eq!(
        read(&rules, [&wrong[..]]).last(),
        Some(&Came::Wrong(Violation::TooBig))
    );
}

#[test]
fn a_close_is_the_last_thing_read() {
    let rules = Rules::new(Role::Client);
    for (close, code, reason) in [
        (&[0x88, 0][..], None, &b""[..]),
        (&[0x88, 2, 0x03, 0xe8], Some(1000), b""),
        (&[0x88, 5, 0x0f, 0xa0, b'b', b'y', b'e'], Some(4000), b"bye"),
    ] {
        let bytes = [close, &[0xff; 9]].concat();
        for size in [1, bytes.len()] {
            assert_eq!(
                read(&rules, bytes.chunks(size)),
                [Came::Close(code, reason.into())]
            );
        }
    }
}

/// A stream of frames that is right, and what is in it.
fn conversation(role: Role) -> impl Strategy<Value = (Vec<u8>, Vec<Came>)> {
    let payload = || {
        (
            prop_oneof![6 => 0usize..20, 3 => 120usize..135, 1 => Just(65_540usize)],
            any::<u8>(),
        )
            .prop_map(|(n, start)| {
                (0..n)
                    .map(|i| (i as u8).wrapping_mul(29) ^ start)
                    .collect::<Vec<u8>>()
            })
    };
    let control = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..126).prop_map(|p| (Opcode::Ping, p)),
        proptest::collection::vec(any::<u8>(), 0..126).prop_map(|p| (Opcode::Pong, p)),
    ];
    let message = (
        any::<bool>(),
        proptest::collection::vec((payload(), proptest::option::of(control)), 1..4),
    );
    proptest::collection::vec(message, 0..4).prop_map(move |messages| {
        let (mut bytes, mut came) = (Vec::new(), Vec::new());
        for (is_text, fragments) in messages {
            let last = fragments.len() - 1;
            for (i, (payload, control)) in fragments.into_iter().enumerate() {
                let opcode = match (i, is_text) {
                    (0, true) => Opcode::Text,
                    (0, false) => Opcode::Binary,
                    _ => Opcode::Continuation,
                };
                // Two bytes a character, at least; fragments are cut within some of them in other tests.
                let payload = if is_text {
                    payload
                        .iter()
                        .map(|b| char::from(*b))
                        .collect::<String>()
                        .into_bytes()
                } else {
                    payload
                };
                bytes.extend(frame(role, i == last, opcode, &payload));
                came.push(Came::Frame(opcode, i == last, payload));
                if let Some((opcode, payload)) = control {
                    bytes.extend(frame(role, true, opcode, &payload));
                    came.push(match opcode {
                        Opcode::Ping => Came::Ping(payload),
                        _ => Came::Pong(payload),
                    });
                }
            }
        }
        (bytes, came)
    })
}

/// `bytes` in pieces of these sizes, over and over.
fn cut<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    sizes.iter().cycle().map_while(move |size| {
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![1usize..5, 1usize..150, 1usize..70_000], 1..6)
}

proptest! {
    #[test]
    fn what_was_sent_comes_in_wherever_the_stream_is_cut(
        (bytes, came) in conversation(Role::Client),
        (masked, masked_came) in conversation(Role::Server),
        sizes in sizes(),
    ) {
        prop_assert_eq!(&read(&Rules::new(Role::Client), cut(&bytes, &sizes)), &came);
        prop_assert_eq!(&read(&Rules::new(Role::Server), cut(&masked, &sizes)), &masked_came);
    }

    #[test]
    fn any_bytes_come_to_the_same_wherever_they_are_cut_and_never_panic(
        start in proptest::collection::vec(prop_oneof![Just(0x81u8), Just(0x01), Just(0x89), Just(0x88), Just(0x82), any::<u8>()], 0..3),
        bytes in proptest::collection::vec(prop_oneof![0u8..8, 0x80u8..0x90, any::<u8>()], 0..200),
        sizes in sizes(),
        check_text: bool,
        server: bool,
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let rules = Rules { check_text, ..Rules::new(role) };
        let bytes = [start, bytes].concat();
        prop_assert_eq!(read(&rules, cut(&bytes, &sizes)), read(&rules, [bytes.as_slice()]));
    }
}
