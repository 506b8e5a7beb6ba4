use super::super::template::{Part, Scope, Size};
use super::*;
use proptest::prelude::*;
use std::num::NonZeroU64;

mod framing;

const SPEAKER: Speaker = Speaker {
    uid: 123_456,
    unix_us: 0x0006_3f2e_5d1c_0a9b,
    message_id: 0xfffe,
    number: 0xffff_fffe,
};

fn message(parts: Vec<Part>) -> Message {
    Message { parts }
}

fn bytes(bytes: &[u8]) -> Part {
    Part::Bytes(bytes.to_vec())
}

fn uid(modulo: &[u64]) -> Part {
    Part::Uid {
        modulo: modulo
            .iter()
            .map(|n| NonZeroU64::new(*n).unwrap())
            .collect(),
    }
}

fn random(scope: Scope, regex: &str) -> Part {
    let regex = regex.into();
    Part::Random { scope, regex }
}

fn script(repeated: Vec<Message>, framing: Framing, combine: u32) -> Script {
    let first = Vec::new();
    Script::new(&Messages { first, repeated }, framing, combine, 7).unwrap()
}

/// Sends from a script as a connection does, and checks what each portion says of itself.
struct Sender {
    script: Script,
    dice: Dice,
    at: Cursor,
    sent: Vec<u8>,
    messages: u32,
}

impl Sender {
    fn of(script: Script) -> Sender {
        Sender {
            script,
            dice: Dice::new(11),
            at: Cursor::default(),
            sent: Vec::new(),
            messages: 0,
        }
    }

    fn take(&mut self, portion: Option<Portion>, out: &[u8]) -> Option<Portion> {
        let portion = portion?;
        let memory = self.script.memory();
        let bytes = match &portion.what {
            What::Memory(range) => {
                assert!(out.is_empty());
                &memory[range.start as usize..range.end as usize]
            }
            What::Rendered => out,
        };
        assert_eq!(bytes.len(), portion.bytes as usize);
        assert!(portion.bytes > 0);
        assert!(portion.messages > 0 || !portion.ends_message);
        self.sent.extend_from_slice(bytes);
        self.messages += portion.messages;
        self.at = portion.next;
        Some(portion)
    }

    fn repeated(&mut self, most: u32) -> Option<Portion> {
        // What is already in the buffer stays there.
        let mut out = b"before".to_vec();
        let portion = self
            .script
            .repeated(0, self.at, most, &SPEAKER, &mut self.dice, &mut out);
        assert!(out.starts_with(b"before"));
        self.take(portion, &out[6..])
    }

    fn first(&mut self) -> Option<Portion> {
        let mut out = Vec::new();
        let portion = self
            .script
            .first(self.at, &SPEAKER, &mut self.dice, &mut out);
        self.take(portion, &out)
    }
}

/// The first repeated message, if it has these parts alone.
fn one(parts: Vec<Part>, framing: Framing) -> Vec<u8> {
    let mut sender = Sender::of(script(vec![message(parts)], framing, 1));
    while !sender.repeated(1).expect("a message").ends_message {}
    sender.sent
}

fn text(parts: Vec<Part>) -> String {
    String::from_utf8(one(parts, Framing::Raw)).unwrap()
}

#[test]
fn each_part_is_rendered_as_the_reference_says() {
    let pointer = |modulo: &[u64]| Part::Pointer {
        modulo: modulo
            .iter()
            .map(|n| NonZeroU64::new(*n).unwrap())
            .collect(),
    };
    assert_eq!(text(vec![bytes(b"PFX-"), uid(&[])]), "PFX-123456");
    assert_eq!(text(vec![uid(&[10])]), "6");
    assert_eq!(text(vec![uid(&[1000, 7])]), (456 % 7).to_string());
    assert_eq!(text(vec![uid(&[1])]), "0");
    assert_eq!(
        text(vec![pointer(&[])]),
        format!("{:#x}", 0x5500_0000_0000_u64 + 123_456 * 16)
    );
    assert_eq!(
        text(vec![pointer(&[100])]),
        ((0x5500_0000_0000_u64 + 123_456 * 16) % 100).to_string()
    );
    assert_eq!(text(vec![Part::Marker]), "TCPKaliMsgTS-00063f2e5d1c0a9b.");
    assert_eq!(
        one(vec![bytes(b"q"), Part::MessageId], Framing::Raw),
        b"q\xff\xfe"
    );
    assert_eq!(text(vec![random(Scope::Message, "ab{3}")]), "abbb");
    assert_eq!(text(vec![Part::Raw(vec![bytes(b"x"), uid(&[10])])]), "x6");
    // Constant, empty, and of another length than was assumed.
    assert_eq!(
        text(vec![Part::Sized(Size::Decimal, vec![bytes(b"abc")])]),
        "3\r\n\r\nabc"
    );
    assert_eq!(text(vec![Part::Sized(Size::Decimal, vec![])]), "0\r\n\r\n");
    let long = random(Scope::Message, "k{0,2000}");
    for _ in 0..20 {
        let sent = text(vec![
            bytes(b"n: "),
            Part::Sized(Size::Decimal, vec![uid(&[]), long.clone()]),
        ]);
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("n: {}", body.len()));
        assert!(body.starts_with("123456"));
    }
    // One in another.
    let name = Part::Sized(Size::TwoBytes, vec![uid(&[])]);
    let packet = vec![Part::Sized(Size::Varint, vec![name, bytes(b"x")])];
    assert_eq!(text(packet), "\x09\0\x06123456x");
}

#[test]
fn what_is_longer_than_its_size_can_say_is_refused() {
    let long = |n: usize| {
        message(vec![Part::Sized(
            Size::TwoBytes,
            vec![bytes(&vec![b'x'; n])],
        )])
    };
    let script = |n| {
        let cycles = [vec![long(n)]];
        Script::of_cycles(&[], &cycles, Framing::Raw, 1, 1)
    };
    assert!(script(65_535).is_ok());
    let error = script(65_536).unwrap_err();
    let expected = ScriptError::LongPart {
        bytes: 65_536,
        most: 65_535,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_connection_sends_the_messages_of_its_cycle() {
    let cycles = [
        vec![message(vec![bytes(b"a")]), message(vec![bytes(b"b")])],
        vec![message(vec![uid(&[])])],
        vec![],
    ];
    let script = Script::of_cycles(&[], &cycles, Framing::Raw, 3, 1).unwrap();
    let sent = |cycle| {
        let mut dice = Dice::new(1);
        let mut out = Vec::new();
        let portion = script.repeated(cycle, Cursor(0), 3, &SPEAKER, &mut dice, &mut out)?;
        if let What::Memory(range) = portion.what {
            out.extend_from_slice(&script.memory()[range.start as usize..range.end as usize]);
        }
        Some(String::from_utf8(out).unwrap())
    };
    assert_eq!(sent(0).as_deref(), Some("aba"));
    assert_eq!(sent(1).as_deref(), Some("123456123456123456"));
    assert_eq!((sent(2), sent(3)), (None, None));
    assert_eq!(script.cycles(), 3);
    assert!(script.has_repeated() && !script.is_static() && !script.has_constant_start());
}

#[test]
fn a_random_string_is_drawn_for_each_message_each_connection_or_once() {
    for (scope, of_a_connection, of_a_run) in [
        (Scope::Message, 20, 60),
        (Scope::Connection, 1, 3),
        (Scope::Global, 1, 1),
    ] {
        let repeated = vec![message(vec![random(scope, "[a-z]{12}")])];
        let script = script(repeated, Framing::Raw, 1);
        let mut run = std::collections::BTreeSet::new();
        for connection in 0..3 {
            let speaker = Speaker {
                uid: connection,
                ..SPEAKER
            };
            let mut own = std::collections::BTreeSet::new();
            let mut dice = Dice::new(connection);
            for _ in 0..20 {
                let mut out = Vec::new();
                let portion = script
                    .repeated(0, Cursor(0), 1, &speaker, &mut dice, &mut out)
                    .unwrap();
                if let What::Memory(range) = portion.what {
                    out = script.memory()[range.start as usize..range.end as usize].to_vec();
                }
                own.insert(out);
            }
            assert_eq!(own.len(), of_a_connection, "{scope:?}");
            run.extend(own);
        }
        assert_eq!(run.len(), of_a_run, "{scope:?}");
        assert_eq!(script.is_static(), scope == Scope::Global);
    }
}

#[test]
fn places_of_a_message_have_strings_of_their_own_and_seeds_decide_them() {
    let parts = || {
        vec![
            random(Scope::Connection, "[a-z]{12}"),
            random(Scope::Connection, "[a-z]{12}"),
        ]
    };
    let drawn = |seed| {
        let repeated = vec![message(parts())];
        let messages = Messages {
            first: vec![],
            repeated,
        };
        let mut sender = Sender::of(Script::new(&messages, Framing::Raw, 1, seed).unwrap());
        sender.repeated(1);
        sender.sent
    };
    assert_ne!(drawn(1)[..12], drawn(1)[12..]);
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn static_messages_lie_side_by_side_so_that_a_full_write_begins_anywhere() {
    let cycle = [&b"one-"[..], b"2-", b"three."];
    let repeated = cycle.iter().map(|m| Message::from(m.to_vec())).collect();
    let mut sender = Sender::of(script(repeated, Framing::Raw, 5));
    assert!(sender.script.is_static() && !sender.script.has_first());
    assert!((sender.script.message_bytes() - 4.0).abs() < 1e-9);
    let mut sizes = Vec::new();
    for most in [1, 2, 9, 9, 0, 9] {
        let portion = sender.repeated(most).unwrap();
        assert!(matches!(portion.what, What::Memory(_)));
        sizes.push(portion.messages);
    }
    assert_eq!(sizes, [1, 2, 5, 5, 1, 5]);
    assert_eq!(sender.sent, &b"one-2-three.".repeat(7)[..12 * 6 + 4]);
    // No more than the writes need: 4 messages after the last beginning.
    assert_eq!(sender.script.memory().len(), 12 * 2 + 4);
}

#[test]
fn a_write_takes_64_kib_of_small_messages_and_a_larger_one_whole() {
    let mut small = Sender::of(script(
        vec![vec![b'x'; 1000].into()],
        Framing::Raw,
        u32::MAX,
    ));
    assert_eq!(small.repeated(u32::MAX).unwrap().messages, 65);
    let mut large = Sender::of(script(
        vec![vec![b'x'; 1 << 20].into()],
        Framing::Raw,
        u32::MAX,
    ));
    let portion = large.repeated(5).unwrap();
    assert_eq!((portion.messages, portion.bytes), (1, 1 << 20));
    assert_eq!(large.script.memory().len(), 1 << 20);
    let mut dynamic = Sender::of(script(
        vec![message(vec![random(Scope::Message, "x{1000}")])],
        Framing::Raw,
        u32::MAX,
    ));
    assert_eq!(dynamic.repeated(u32::MAX).unwrap().messages, 65);
    assert_eq!(dynamic.repeated(3).unwrap().messages, 3);
}

#[test]
fn what_is_sent_first_comes_once_and_in_order() {
    let first = vec![
        Message::from(b"hello ".to_vec()),
        Message::from(b"you ".to_vec()),
        message(vec![uid(&[]), bytes(b"!")]),
    ];
    let repeated = vec![Message::from(b"again".to_vec())];
    for combine in [1, 2, 100] {
        let messages = Messages {
            first: first.clone(),
            repeated: repeated.clone(),
        };
        let script = Script::new(&messages, Framing::Raw, combine, 0).unwrap();
        let mut sender = Sender::of(script);
        assert!(sender.script.has_first() && sender.script.has_repeated());
        while let Some(portion) = sender.first() {
            assert!(portion.messages <= combine);
        }
        assert_eq!(sender.sent, b"hello you 123456!");
        assert_eq!(sender.messages, 3);
        sender.at = Cursor::default();
        sender.repeated(1);
        assert!(sender.sent.ends_with(b"!again"));
    }
}

#[test]
fn nothing_comes_of_nothing() {
    for repeated in [
        vec![],
        vec![Message::default()],
        vec![message(vec![random(Scope::Message, "a{0}")])],
    ] {
        let mut sender = Sender::of(script(repeated, Framing::Raw, 9));
        assert!(!sender.script.has_repeated() && !sender.script.has_first());
        assert!(sender.repeated(1).is_none() && sender.first().is_none());
        assert!(sender.script.message_bytes().abs() < 1e-9);
    }
    // A cursor of another script is not a reason to panic.
    let mut sender = Sender::of(script(vec![Message::from(vec![1])], Framing::Raw, 9));
    sender.at = Cursor(77);
    assert_eq!(sender.repeated(1), None);
}

#[test]
fn a_message_that_could_be_empty_never_is() {
    for scope in [Scope::Message, Scope::Connection, Scope::Global] {
        for seed in 0..100 {
            let repeated = vec![message(vec![random(scope, "a?"), random(scope, "b?")])];
            let messages = Messages {
                first: vec![],
                repeated,
            };
            let script = Script::new(&messages, Framing::Raw, 3, seed).unwrap();
            let mut sender = Sender::of(script);
            for _ in 0..5 {
                sender.repeated(3).unwrap();
            }
        }
    }
    // Beside something else it does as often as it should.
    let repeated = vec![message(vec![bytes(b"-"), random(Scope::Message, "a?")])];
    let mut sender = Sender::of(script(repeated, Framing::Raw, 1));
    for _ in 0..1000 {
        sender.repeated(1);
    }
    assert!(
        (1400..1600).contains(&sender.sent.len()),
        "{}",
        sender.sent.len()
    );
}

#[test]
fn large_static_parts_of_dynamic_messages_are_sent_from_where_they_lie() {
    let big = vec![b'B'; LARGE];
    let maybe = || random(Scope::Message, "m?");
    for (parts, portions) in [
        (vec![uid(&[]), bytes(&big), uid(&[10])], 3),
        (vec![bytes(&big), uid(&[])], 2),
        (vec![uid(&[]), bytes(&big)], 2),
        // Parts that may be empty have a byte of their neighbour, so that no portion is.
        (vec![maybe(), bytes(&big), maybe()], 3),
        (vec![bytes(&big), maybe(), bytes(&big)], 3),
        (vec![uid(&[]), bytes(&big[1..])], 1),
    ] {
        for framing in [Framing::Raw, Framing::WebSocketServer] {
            let mut sender = Sender::of(script(vec![message(parts.clone())], framing, 9));
            for round in 0..50 {
                let mut seen = 0;
                loop {
                    let portion = sender.repeated(1).unwrap();
                    seen += 1;
                    assert!(seen < 9);
                    if portion.ends_message {
                        break;
                    }
                }
                // A frame is rendered whole: its header needs the size of what follows.
                let whole = framing == Framing::WebSocketServer;
                assert_eq!(seen, if whole { 1 } else { portions }, "{round}");
            }
        }
    }
}

#[test]
fn the_end_of_a_message_and_the_beginning_of_the_next_share_a_portion_if_both_are_wanted() {
    let parts = vec![
        bytes(b"<"),
        uid(&[]),
        bytes(&[b'B'; LARGE]),
        bytes(b">"),
        uid(&[]),
    ];
    let mut sender = Sender::of(script(vec![message(parts)], Framing::Raw, 9));
    let mut seen = Vec::new();
    for most in [9, 9, 9, 9, 1, 1, 1] {
        let portion = sender.repeated(most).unwrap();
        seen.push((portion.messages, portion.ends_message));
    }
    let middle = (0, false);
    assert_eq!(
        seen,
        [
            middle,
            middle,
            (1, false),
            middle,
            (1, true),
            middle,
            middle
        ]
    );
}

#[test]
fn few_constant_bytes_are_sent_with_what_is_rendered_after_them() {
    let repeated = vec![
        Message::from(b"static ".to_vec()),
        Message::from(b"too ".to_vec()),
        message(vec![uid(&[]), bytes(b" ")]),
    ];
    let mut sender = Sender::of(script(repeated, Framing::Raw, 100));
    let portion = sender.repeated(7).unwrap();
    assert_eq!((portion.messages, portion.what), (7, What::Rendered));
    // Where only they are due, they are sent from memory, also where the cycle begins again.
    let repeated = vec![
        Message::from(b"after ".to_vec()),
        message(vec![uid(&[]), bytes(b" ")]),
        Message::from(b"before ".to_vec()),
    ];
    let mut sender = Sender::of(script(repeated, Framing::Raw, 100));
    sender.repeated(2);
    let portion = sender.repeated(2).unwrap();
    assert!(matches!(portion.what, What::Memory(_)));
    assert_eq!((portion.messages, portion.bytes), (2, 13));
    assert_eq!(sender.sent, b"after 123456 before after ");
}

#[test]
fn queries_that_share_a_write_have_ids_of_their_own() {
    let repeated = vec![message(vec![bytes(b"\0"), Part::MessageId])];
    let mut sender = Sender::of(script(repeated, Framing::Raw, 100));
    assert_eq!(sender.repeated(3).unwrap().messages, 3);
    assert_eq!(sender.sent, b"\0\xff\xfe\0\xff\xff\0\0\0");
}

#[test]
fn what_is_too_long_is_refused() {
    let regex = "x{1000000}";
    let long = message(vec![random(Scope::Message, regex); 1100]);
    let messages = Messages {
        first: vec![],
        repeated: vec![Message::default(), long],
    };
    let e = Script::new(&messages, Framing::Raw, 1, 0).unwrap_err();
    assert_eq!(
        e,
        ScriptError::Long {
            message: 1,
            bytes: 1_100_000_000
        }
    );
    assert!(
        e.to_string()
            .starts_with("message 2 may be 1100000000 bytes long")
    );
    let wrong = Messages {
        first: vec![message(vec![random(Scope::Message, "(")])],
        repeated: vec![],
    };
    let e = Script::new(&wrong, Framing::Raw, 1, 0).unwrap_err();
    assert!(
        matches!(e, ScriptError::Regex(_)) && e.to_string().contains("byte 0"),
        "{e}"
    );
}

/// Parts whose bytes are known beforehand.
fn known_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Part::Bytes),
        1 => (4000usize..9000, any::<u8>()).prop_map(|(n, b)| Part::Bytes(vec![b; n])),
        1 => Just(uid(&[])),
        1 => Just(uid(&[10])),
        1 => Just(Part::Marker),
        1 => Just(random(Scope::Message, "const")),
        1 => Just(random(Scope::Connection, "k{3}")),
    ]
}

/// What the parts stand for, without frames.
fn payload_of(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::Uid { modulo } if modulo.is_empty() => out.extend_from_slice(b"123456"),
            Part::Uid { .. } => out.push(b'6'),
            Part::Marker => out.extend_from_slice(b"TCPKaliMsgTS-00063f2e5d1c0a9b."),
            Part::Random { regex, .. } if regex == "const" => out.extend_from_slice(b"const"),
            Part::Random { .. } => out.extend_from_slice(b"kkk"),
            Part::Raw(parts) => out.extend(payload_of(parts)),
            Part::Sized(Size::Decimal, parts) => {
                let payload = payload_of(parts);
                out.extend(format!("{}\r\n\r\n", payload.len()).bytes());
                out.extend(payload);
            }
            Part::Frame(frame) => out.extend(payload_of(&frame.payload)),
            other => panic!("{other:?} is not known beforehand"),
        }
    }
    out
}

/// Messages without frames and raw parts, as the stream of a plain connection.
fn plain_message() -> impl Strategy<Value = Message> {
    prop::collection::vec(known_part(), 1..4).prop_map(message)
}

proptest! {
    /// Whole messages in order, for any number wanted at a time, and never more than that.
    #[test]
    fn a_cursor_walks_whole_messages_in_order(
        cycle in prop::collection::vec(plain_message(), 1..5),
        most in prop::collection::vec(1u32..9, 1..40),
        combine in prop_oneof![1u32..4, Just(u32::MAX)],
    ) {
        let expected: Vec<Vec<u8>> = cycle
            .iter()
            .map(|m| payload_of(&m.parts))
            .filter(|m| !m.is_empty())
            .collect();
        let script = script(cycle, Framing::Raw, combine);
        prop_assert_eq!(script.has_repeated(), !expected.is_empty());
        let mut sender = Sender::of(script);
        let mut ends = 0;
        let mut next = 0;
        for most in most {
            let (before, had) = (sender.messages, sender.sent.len());
            let Some(portion) = sender.repeated(most) else {
                prop_assert!(expected.is_empty());
                return Ok(());
            };
            prop_assert!(portion.messages <= most.min(combine));
            prop_assert!(portion.messages == 1 || portion.bytes as u64 <= RUN_BYTES + 9100);
            // As many whole messages end in it as it says.
            for _ in before..sender.messages {
                let message: &Vec<u8> = &expected[next % expected.len()];
                ends += message.len();
                next += 1;
                prop_assert!(ends > had && ends <= sender.sent.len());
                prop_assert_eq!(&sender.sent[ends - message.len()..ends], &message[..]);
            }
            prop_assert_eq!(portion.ends_message, ends == sender.sent.len());
            if !portion.ends_message {
                // No message beyond those wanted was begun.
                prop_assert!(portion.messages < most.min(combine));
                let begun = &expected[next % expected.len()];
                let rest = &sender.sent[ends..];
                prop_assert!(begun.starts_with(rest) && rest.len() < begun.len());
            }
        }
    }

    /// A part that is always the same gives the same stream whether it is folded or rendered.
    #[test]
    fn rendered_and_static_messages_are_the_same_stream(
        texts in prop::collection::vec("[a-z]{1,40}", 1..4),
        most in prop::collection::vec(1u32..20, 1..20),
    ) {
        for framing in [Framing::Raw, Framing::WebSocketServer] {
            let fixed = texts.iter().map(|t| Message::from(t.clone().into_bytes())).collect();
            let rendered = texts.iter().map(|t| message(vec![random(Scope::Message, t)])).collect();
            let mut fixed = Sender::of(script(fixed, framing, 16));
            let mut rendered = Sender::of(script(rendered, framing, 16));
            prop_assert!(fixed.script.is_static() && !rendered.script.is_static());
            prop_assert_eq!(fixed.script.message_bytes(), rendered.script.message_bytes());
            for most in &most {
                let (a, b) = (fixed.repeated(*most).unwrap(), rendered.repeated(*most).unwrap());
                prop_assert_eq!((a.messages, a.bytes), (b.messages, b.bytes));
            }
            prop_assert_eq!(&fixed.sent, &rendered.sent);
        }
    }
}
