use super::*;
use proptest::prelude::*;
use std::io;

fn files(name: &str) -> io::Result<Vec<u8>> {
    match name {
        "f" | "a b" | "/dev/null" => Ok(name.as_bytes().to_vec()),
        "empty" => Ok(Vec::new()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn read(text: &[u8], unescape: bool) -> Result<Message, ParseError> {
    let files = &files;
    parse(text, &ParseOptions { unescape, files })
}

fn parts(text: &str) -> Vec<Part> {
    read(text.as_bytes(), false)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .parts
}

fn bytes(text: &str) -> Part {
    Part::Bytes(text.into())
}

fn random(scope: Scope, regex: &str) -> Part {
    Part::Random {
        scope,
        regex: regex.into(),
    }
}

fn modulo(numbers: &[u64]) -> Vec<NonZeroU64> {
    numbers
        .iter()
        .map(|n| NonZeroU64::new(*n).unwrap())
        .collect()
}

fn frame(kind: FrameKind, payload: Vec<Part>) -> Frame {
    Frame {
        kind,
        last: true,
        reserved: 0,
        payload,
    }
}

#[test]
fn every_expression_is_read() {
    use FrameKind::*;
    let uid = |n: &[u64]| Part::Uid { modulo: modulo(n) };
    for (text, expected) in [
        ("", vec![]),
        ("plain", vec![bytes("plain")]),
        (r"\{connection.uid}", vec![uid(&[])]),
        (r"PFX-\{connection.uid%10}", vec![bytes("PFX-"), uid(&[10])]),
        (
            r"\{ connection . uid % 10 % 3 }!",
            vec![uid(&[10, 3]), bytes("!")],
        ),
        (r"\{connection.ptr}", vec![Part::Pointer { modulo: vec![] }]),
        (
            r"\{connection.ptr % 7}",
            vec![Part::Pointer {
                modulo: modulo(&[7]),
            }],
        ),
        (r"\{re [a-z]{8}}", vec![random(Scope::Message, "[a-z]{8}")]),
        (
            r"\{re [}]+\}{2}}}",
            vec![random(Scope::Message, r"[}]+\}{2}"), bytes("}")],
        ),
        (r"\{re []}]}", vec![random(Scope::Message, "[]}]")]),
        (
            r"\{connection.re a|b}",
            vec![random(Scope::Connection, "a|b")],
        ),
        (r"\{global.re (x)+}", vec![random(Scope::Global, "(x)+")]),
        (r"\{message.marker}", vec![Part::Marker]),
        (r"<\{<f>}>", vec![bytes("<f>")]),
        (r#"\{< "a b" >}"#, vec![bytes("a b")]),
        (r"\{< /dev/null >}", vec![bytes("/dev/null")]),
        (r"\{<empty>}", vec![]),
        (r"\{ws.binary}", vec![Part::Frame(frame(Binary, vec![]))]),
        (
            r#"\{ws.text "a" <f>}"#,
            vec![Part::Frame(frame(Text, vec![bytes("af")]))],
        ),
        (
            r#"\{ws.ping {re x+} "\x41"}"#,
            vec![Part::Frame(frame(
                Ping,
                vec![random(Scope::Message, "x+"), bytes("A")],
            ))],
        ),
        (r"\{ws.pong}", vec![Part::Frame(frame(Pong, vec![]))]),
        (
            r#"\{ws.close"\x03\xe8"}"#,
            vec![Part::Frame(frame(Close, vec![Part::Bytes(vec![3, 232])]))],
        ),
        (
            r#"\{ws.text "a" ...}\{ws.continuation "b"...rsv1}\{ws.cont rsv3 rsv2}"#,
            vec![
                Part::Frame(Frame {
                    last: false,
                    ..frame(Text, vec![bytes("a")])
                }),
                Part::Frame(Frame {
                    last: false,
                    reserved: 4,
                    ..frame(Continuation, vec![bytes("b")])
                }),
                Part::Frame(Frame {
                    reserved: 3,
                    ..frame(Continuation, vec![])
                }),
            ],
        ),
        (r#"\{raw "a\"b"}"#, vec![Part::Raw(vec![bytes("a\"b")])]),
        (r"\{raw <f>}", vec![Part::Raw(vec![bytes("f")])]),
        (
            r"\{raw {connection.uid % 2}}",
            vec![Part::Raw(vec![uid(&[2])])],
        ),
        (
            r"\{raw{raw{message.marker}}}",
            vec![Part::Raw(vec![Part::Raw(vec![Part::Marker])])],
        ),
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn backslashes_mean_something_only_where_they_do() {
    for (text, unescape, expected) in [
        (r"a\n", false, &br"a\n"[..]),
        (r"a\n", true, b"a\n"),
        (r"\\{connection.uid}", false, br"\\{connection.uid}"),
        (r"\\{connection.uid}", true, br"\{connection.uid}"),
        (r"end\", false, br"end\"),
        (r"\x7b}", true, b"{}"),
    ] {
        let message = read(text.as_bytes(), unescape).unwrap();
        assert_eq!(message.parts, [Part::Bytes(expected.to_vec())], "{text}");
    }
    let message = read(br"\\\{connection.uid}", false).unwrap();
    assert_eq!(message.parts[0], Part::Bytes(br"\\".to_vec()));
    assert_eq!(message.parts.len(), 2);
    // A file's bytes are not escapes, whatever they look like.
    let options = ParseOptions {
        unescape: true,
        files: &|_| Ok(br"\n\{".to_vec()),
    };
    let message = parse(br"\{<x>}\n", &options).unwrap();
    assert_eq!(message.parts, [Part::Bytes(b"\\n\\{\n".to_vec())]);
}

#[test]
fn what_is_wrong_is_reported_with_its_place_and_what_would_be_right() {
    for (text, unescape, at, what, right) in [
        (r"a\{", false, 3, "byte 1 is not closed", "add }"),
        (r"a\{}", false, 3, "no expression '}'", "connection.uid"),
        (
            r"\{connection}",
            false,
            12,
            "'connection' alone",
            "connection. and uid, ptr",
        ),
        (r"\{connection.id}", false, 13, "no 'id'", "uid, ptr or re"),
        (
            r"\{connection.uid",
            false,
            16,
            "byte 0 is not closed",
            "add }",
        ),
        (
            r"\{connection.uid % 0}",
            false,
            19,
            "'0' can't divide",
            "from 1",
        ),
        (
            r"\{connection.uid % }",
            false,
            19,
            "'}' can't divide",
            "from 1",
        ),
        (
            r"\{connection.uid%-1}",
            false,
            17,
            "'-1' can't divide",
            "from 1",
        ),
        (
            r"\{connection.uid%99999999999999999999}",
            false,
            17,
            "can't divide",
            "from 1",
        ),
        (r"\{connection.uid x}", false, 17, "unexpected 'x'", "}"),
        (
            r"\{message.marker%2}",
            false,
            16,
            "not a number",
            "connection.uid",
        ),
        (r"\{message.mark}", false, 10, "no 'mark'", "marker"),
        (r"\{global.uid}", false, 9, "no global 'uid'", "re REGEX"),
        (r"\{uid}", false, 2, "no expression 'uid'", "connection.uid"),
        (r"\{re[a-z]}", false, 2, "no expression 're[a-z]'", "space"),
        (r"\{re }", false, 5, "no regular expression", "[a-z]{8}"),
        (r"\{re ab[z-a]}", false, 8, "backwards", "first"),
        (r"\{re [a-z}", false, 10, "not closed", "add }"),
        (r"\{re a{2}", false, 9, "not closed", "add }"),
        (r"x\{connection.re ^a}", false, 17, "anchors", r"\^"),
        (r"\{raw}", false, 5, "no data", "<FILE>"),
        (r"\{raw x}", false, 6, "no data", "<FILE>"),
        (
            r"\{raw {ws.text}}",
            false,
            7,
            "can't be inside raw",
            "on its own",
        ),
        (r#"\{raw "ab}"#, false, 6, "no end", "add \""),
        (r#"\{raw "a\qb"}"#, false, 8, r"escape \q", r"\\"),
        (r"\{ws}", false, 4, "'ws' alone", "ws. and text"),
        (
            r"\{ws.txt}",
            false,
            5,
            "no WebSocket frame 'txt'",
            "text, binary",
        ),
        (r"\{ws.text rsv4}", false, 10, "unexpected 'rsv4'", "rsv3"),
        (r"\{ws.text ..}", false, 10, "unexpected '.'", "..."),
        (
            r#"\{ws.text "a""#,
            false,
            13,
            "byte 0 is not closed",
            "add }",
        ),
        (r"\{<nofile>}", false, 3, "file 'nofile'", "can be read"),
        (r"\{<>}", false, 3, "no file name", "<FILE>"),
        (r"\{<a b>}", false, 5, "doesn't end here", "quotes"),
        (r"\{<a", false, 2, "no end", "add >"),
        (r#"\{<"a>}"#, false, 2, "no end", "add >"),
        (r"ab\q", true, 2, r"escape \q", r"\\"),
        (r"\", true, 0, "backslash ends", r"\\"),
        (
            r"\{raw {raw {raw {raw {raw {raw {raw {raw {raw {",
            false,
            46,
            "deeper",
            "fewer",
        ),
    ] {
        let e = read(text.as_bytes(), unescape).expect_err(text);
        assert_eq!(e.at, at, "{text}: {e}");
        assert!(e.what.contains(what), "{text}: {e}");
        assert!(e.right.contains(right), "{text}: {e}");
        let shown = e.to_string();
        assert!(
            shown.contains(&format!("byte {at}, in '")) && !shown.contains('\n'),
            "{e}"
        );
        assert!(shown.contains(">>"), "{e}");
    }
}

#[test]
fn an_error_shows_the_text_around_its_place() {
    let text = "GET /a/rather/long/path\r\n\\{connection.uuid}/and/much/more/of/it/behind";
    assert_eq!(
        read(text.as_bytes(), false).unwrap_err().to_string(),
        "byte 38, in '…long/path\\r\\n\\{connection.>>uuid}/and/much/more/of/i…': \
         a connection has no 'uuid'; write uid, ptr or re REGEX"
    );
}

/// Text that is nearly a message with expressions.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        r"\{",
        "}",
        "{",
        r"\",
        r"\\",
        "connection",
        ".",
        "uid",
        "ptr",
        "re ",
        "global",
        "message",
        "marker",
        "ws",
        "text",
        "ping",
        "raw",
        "...",
        "rsv1",
        "\"",
        "<f>",
        "<",
        ">",
        "%",
        "10",
        " ",
        "[a-z]",
        "[",
        "]",
        "(",
        ")",
        "+",
        "{8}",
        "\u{e9}",
        "x",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat().into_bytes())
}

fn is_read_or_refused(text: &[u8], unescape: bool) -> Result<(), TestCaseError> {
    match read(text, unescape) {
        Ok(message) => {
            // Adjacent bytes are one part.
            let both = |pair: &[Part]| matches!(pair, [Part::Bytes(_), Part::Bytes(_)]);
            prop_assert!(!message.parts.windows(2).any(both));
        }
        Err(e) => {
            prop_assert!(e.at <= text.len());
            prop_assert!(!e.to_string().contains(|c: char| c.is_control()));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_reason(text: Vec<u8>, unescape: bool) {
        is_read_or_refused(&text, unescape)?;
    }

    #[test]
    fn any_words_are_read_or_refused_with_a_reason(text in soup(), inside: bool, unescape: bool) {
        let text = if inside { [br"\{", &text[..], b"}"].concat() } else { text };
        is_read_or_refused(&text, unescape)?;
    }

    #[test]
    fn text_without_backslashes_is_sent_as_it_is(text: Vec<u8>) {
        let text: Vec<u8> = text.into_iter().filter(|b| *b != b'\\').collect();
        let expected: Vec<Part> = (!text.is_empty()).then(|| Part::Bytes(text.clone())).into_iter().collect();
        for unescape in [false, true] {
            prop_assert_eq!(&read(&text, unescape).unwrap().parts, &expected);
        }
    }
}
