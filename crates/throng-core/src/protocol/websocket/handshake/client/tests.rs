use super::*;

fn fields(lines: &[&str]) -> Vec<Field> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

fn request(lines: &[&str]) -> String {
    let opening = Opening::new("h:1", "/p?q=1", &fields(lines), 7).unwrap();
    let mut out = Vec::new();
    opening.request(3, &mut out);
    assert_eq!(out.len(), opening.request_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_has_what_the_rfc_asks_for() {
    let key = String::from_utf8(Key::derived(7, 3).text().to_vec()).unwrap();
    assert_eq!(
        request(&["Origin: http://o", "X-A:  b "]),
        format!(
            "GET /p?q=1 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: throng/{}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Origin: http://o\r\nX-A: b\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn a_request_need_not_say_whose_it_is() {
    let asked = |lines: &[&str]| {
        let opening = Opening::anonymous("127.1:1234", "/", &fields(lines), 7).unwrap();
        let mut out = Vec::new();
        opening.request(3, &mut out);
        String::from_utf8(out).unwrap()
    };
    // As long as tcpkali's, whose users count bytes.
    assert_eq!(asked(&[]).len(), 149);
    assert!(!asked(&[]).contains("User-Agent"));
    assert!(asked(&["User-Agent: me"]).contains("\r\nUser-Agent: me\r\n"));
}

#[test]
fn a_field_of_the_users_takes_the_place_of_the_default() {
    let made = request(&[
        "host: other",
        "USER-AGENT: me",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Cookie: a=1",
        "Cookie: b=2",
    ]);
    assert_eq!(
        made,
        "GET /p?q=1 HTTP/1.1\r\nhost: other\r\nUSER-AGENT: me\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
    );
}

#[test]
fn what_cannot_stand_in_a_request_is_refused_in_one_line() {
    for (line, says) in [
        ("Origin", "has no colon"),
        (": x", "has no name"),
        ("A B: x", "has ' ' in its name"),
        ("Ä: x", "in its name"),
        ("A: x\r\nB: y", "has '\\r' in its value"),
        ("A\n: x", "in its name"),
        ("A: x\0", "in its value"),
    ] {
        let error = line.parse::<Field>().unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
    for (host, path) in [
        ("", "/"),
        ("a b", "/"),
        ("a\r\nb", "/"),
        ("a", "x"),
        ("a", "/ x"),
        ("a", "/\n"),
        ("a", "/ä"),
        ("a", "/#x"),
    ] {
        assert!(
            Opening::new(host, path, &[], 0).is_err(),
            "{host:?} {path:?}"
        );
    }
    assert!(Opening::new("a", "/", &fields(&["sec-websocket-key: abc"]), 0).is_err());
    assert!(Opening::new("a", "", &[], 0).is_ok());
}

/// The answer to the RFC's example key, with `other` fields instead of the usual ones.
fn answer(status: &str, fields: &[&str]) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", fields.join("\r\n")).into_bytes()
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const U: &str = "Upgrade: websocket";
const C: &str = "Connection: Upgrade";
const A: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[test]
fn an_answer_is_checked_as_section_4_1_says() {
    const OK: &str = "101 Switching Protocols";
    let rows: &[(&str, &[&str], Option<Failure>)] = &[
        (OK, &[U, C, A], None),
        (
            "101",
            &[
                "upgrade: WebSocket",
                "connection: keep-alive, uPGRADE",
                "SEC-WEBSOCKET-ACCEPT:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t",
            ],
            None,
        ),
        (
            OK,
            &[U, C, A, "Sec-WebSocket-Protocol: chat", "Server: x"],
            None,
        ),
        (
            OK,
            &[U, C, A, "Sec-WebSocket-Extensions: permessage-deflate; x=1"],
            None,
        ),
        ("200 OK", &[U, C, A], Some(Failure::Status(200))),
        (
            "426 Upgrade Required",
            &["Content-Length: 0"],
            Some(Failure::Status(426)),
        ),
        (OK, &[C, A], Some(Failure::Upgrade)),
        (OK, &["Upgrade: h2c", C, A], Some(Failure::Upgrade)),
        (OK, &[U, "Upgrade: h2c", C, A], Some(Failure::Upgrade)),
        (OK, &[U, A], Some(Failure::Connection)),
        (
            OK,
            &[U, "Connection: keep-alive", A],
            Some(Failure::Connection),
        ),
        (OK, &[U, C], Some(Failure::NoAccept)),
        (
            OK,
            &[U, C, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO="],
            Some(Failure::WrongAccept),
        ),
        (
            OK,
            &[U, C, "Sec-WebSocket-Accept:"],
            Some(Failure::WrongAccept),
        ),
        (OK, &[U, C, A, A], Some(Failure::WrongAccept)),
        (
            OK,
            &[
                U,
                C,
                A,
                "Sec-WebSocket-Extensions: permessage-deflate, other",
            ],
            Some(Failure::Extension),
        ),
        (
            OK,
            &[U, C, A, "Sec-WebSocket-Protocol: mqtt"],
            Some(Failure::Subprotocol),
        ),
        (
            OK,
            &[
                U,
                C,
                A,
                "Sec-WebSocket-Protocol: chat",
                "Sec-WebSocket-Protocol: chat",
            ],
            Some(Failure::Subprotocol),
        ),
    ];
    let asked = fields(&[
        KEY,
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover",
    ]);
    let opening = Opening::new("a", "/", &asked, 0).unwrap();
    for (status, lines, failure) in rows {
        let head = answer(status, lines);
        let bytes = [head.as_slice(), &[0x81, 0x01]].concat();
        let expected = match failure {
            None => Ok(Some(head.len())),
            Some(failure) => Err(*failure),
        };
        let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
        assert_eq!(
            opening
                .answered(0, &mut decoder, &mut partials, &bytes)
                .map(|answered| answered.map(|a| a.used)),
            expected,
            "{status} {lines:?}"
        );
        assert_eq!(decoder.is_upgraded(), failure.is_none());

        // The same byte by byte.
        let mut decoder = Decoder::default();
        let mut got = Ok(None);
        for (i, byte) in bytes.iter().enumerate() {
            got = opening.answered(0, &mut decoder, &mut partials, &[*byte]);
            if got != Ok(None) {
                assert_eq!(i, head.len() - 1, "{status} {lines:?}");
                break;
            }
        }
        assert_eq!(got.map(|_| ()), expected.map(|_| ()), "{status} {lines:?}");
        assert!(partials.is_empty(), "{status} {lines:?}");
    }
}

#[test]
fn what_was_not_asked_for_may_not_be_chosen() {
    let opening = Opening::new("a", "/", &fields(&[KEY]), 0).unwrap();
    for (line, failure) in [
        ("Sec-WebSocket-Protocol: chat", Failure::Subprotocol),
        (
            "Sec-WebSocket-Extensions: permessage-deflate",
            Failure::Extension,
        ),
    ] {
        let head = answer("101 Ok", &[U, C, A, line]);
        let got = opening.answered(0, &mut Decoder::default(), &mut Partials::default(), &head);
        assert_eq!(got, Err(failure));
    }
}

#[test]
fn a_server_of_another_protocol_is_not_waited_for() {
    let opening = Opening::new("a", "/", &[], 0).unwrap();
    for greeting in [
        &b"SSH-2.0-OpenSSH_10.0\r\n"[..],
        b"220 mail ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 101\r\n",
        b"\0",
    ] {
        let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
        let got = opening.answered(0, &mut decoder, &mut partials, greeting);
        assert_eq!(got, Err(Failure::NotHttp), "{greeting:?}");
        let found = greeting
            .chunks(1)
            .find_map(|byte| opening.answered(0, &mut decoder, &mut partials, byte).err());
        assert_eq!(found, Some(Failure::NotHttp), "{greeting:?}");
        assert!(partials.is_empty());
    }
    let old = b"HTTP/1.0 101 Switching\r\n\r\n";
    let got = opening.answered(0, &mut Decoder::default(), &mut Partials::default(), old);
    assert_eq!(got, Err(Failure::HttpVersion));
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let opening = Opening::new("a", "/", &[], 0).unwrap();
    let endless = [&b"HTTP/1.1 101 Ok\r\nX: "[..], &[b'y'; MAX_HEAD]].concat();
    for size in [1, 100, endless.len()] {
        let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
        let found = endless.chunks(size).find_map(|piece| {
            opening
                .answered(0, &mut decoder, &mut partials, piece)
                .err()
        });
        assert_eq!(found, Some(Failure::TooLong), "{size}");
        assert!(partials.is_empty());
    }
}

#[test]
fn a_server_chooses_one_of_the_subprotocols_asked_for_or_none() {
    let asked = fields(&[KEY, "Sec-WebSocket-Protocol: chat, superchat"]);
    let opening = Opening::new("a", "/", &asked, 0).unwrap();
    for (lines, place) in [
        (&[U, C, A][..], Ok(None)),
        (&[U, C, A, "Sec-WebSocket-Protocol: chat"], Ok(Some(0))),
        (&[U, C, A, "sec-websocket-protocol: superchat"], Ok(Some(1))),
        (
            &[U, C, A, "Sec-WebSocket-Protocol: Chat"],
            Err(Failure::Subprotocol),
        ),
        (
            &[U, C, A, "Sec-WebSocket-Protocol: chat, superchat"],
            Err(Failure::Subprotocol),
        ),
    ] {
        let head = answer("101 Ok", lines);
        let got = opening.answered(0, &mut Decoder::default(), &mut Partials::default(), &head);
        let got = got.map(|answered| answered.unwrap().subprotocol);
        assert_eq!(got, place, "{lines:?}");
    }
}
