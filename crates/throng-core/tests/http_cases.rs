//! Answers that others have published as test cases of their parsers, odd and malformed ones, and how each is read here.
//!
//! The bytes are facts about HTTP; what is expected of them is throng's. The sources are llhttp 9 (`test/response`) and h11 0.14
//! (`h11/tests/test_io.py`, `test_headers.py`). docs/conformance.md has the differences and their reasons.

use Judged::{Closes, Cut, Malformed as Bad, Whole};
use throng_core::partials::Partials;
use throng_core::protocol::http::Malformed::{self, *};
use throng_core::protocol::http::{Answers, Event};

/// How an answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judged {
    /// To its end: status and body.
    Whole(u16, &'static str),
    /// The same, and its connection is closed behind it: what follows is not read.
    Closes(u16, &'static str),
    /// Up to here: it ends with its connection.
    Cut(u16, &'static str),
    /// It is malformed.
    Malformed(Malformed),
}

/// The answers in `input`, cut into pieces of `size` bytes.
fn read(input: &[u8], size: usize, bodiless: bool) -> Vec<Judged> {
    let (mut answers, mut partials) = (Answers::default(), Partials::default());
    let (mut all, mut under_way) = (Vec::new(), None);
    for mut piece in input.chunks(size) {
        loop {
            match answers.next(&mut piece, &mut partials, || bodiless) {
                Ok(None) => break,
                Ok(Some(Event::Begun | Event::Interim(_))) => {}
                Ok(Some(Event::Head(head, _))) => under_way = Some((head, Vec::new())),
                Ok(Some(Event::Data(data))) => under_way.as_mut().unwrap().1.extend(data),
                Ok(Some(Event::End)) => {
                    let (head, body) = under_way.take().unwrap();
                    let body = text(&body);
                    if !head.persists {
                        all.push(Closes(head.status, body));
                        return all;
                    }
                    all.push(Whole(head.status, body));
                }
                Err(malformed) => {
                    all.push(Bad(malformed));
                    return all;
                }
            }
        }
    }
    if let Some((head, body)) = under_way {
        assert!(answers.ends_with_connection(), "it has no end");
        all.push(Cut(head.status, text(&body)));
    }
    all
}

fn text(body: &[u8]) -> &'static str {
    String::from_utf8_lossy(body).into_owned().leak()
}

/// Lines that end in CR LF.
fn lines(head: &str) -> String {
    head.replace('\n', "\r\n")
}

/// Judges each case, whole and byte by byte.
fn judge(cases: &[(String, Vec<Judged>)], bodiless: bool) {
    for (input, expected) in cases {
        for size in [input.len(), 1] {
            let read = read(input.as_bytes(), size, bodiless);
            assert_eq!(&read, expected, "{input:?} in pieces of {size}");
        }
    }
}

#[test]
fn llhttps_cases_are_read_or_refused_as_documented() {
    let chunked =
        |chunks: &str| lines("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n") + &lines(chunks);
    let ok = "HTTP/1.1 200 OK\n";
    let mut cases = Vec::new();
    // invalid.md, sample.md: start lines.
    for start in [
        "HTP/1.1 200 OK",
        "HTTP/01.1 200 OK",
        "HTTP/11.1 200 OK",
        "HTTP/1.01 200 OK",
        "HTTP/1.1\t200 OK",
        "\rHTTP/1.1\t200 OK",
        "HTTP/5.6 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 2 OK",
        "HTTPER/1.1 200 OK",
        "RTSP/1.1 200 OK",
        "ICE/1.1 200 OK",
    ] {
        cases.push((format!("{start}\r\n\r\n"), vec![Bad(NotHttp)]));
    }
    for (start, status) in [
        ("HTTP/1.1 200  OK", 200),
        ("HTTP/1.1 301", 301),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 404 Not Found", 404),
    ] {
        cases.push((format!("{start}\r\n\r\n"), vec![Cut(status, "")]));
    }
    // Fields.
    for (fields, judged) in [
        ("Foo: 1\rBar: 2\n\n", vec![Bad(NotHttp)]),
        (" Host: foo\n\n", vec![Bad(NotHttp)]),
        (
            "Header1: Value1\nHeader2:\t Value2\nContent-Length: 0\n\n",
            vec![Whole(200, "")],
        ),
        ("Content-Length:  3  \n\nabc", vec![Whole(200, "abc")]),
        ("Content-Length:\t3\t\n\nabc", vec![Whole(200, "abc")]),
        (
            "DCLK_imp: v7;x;~~okv=;\n.et-Cookie: a\n_eep-Alive: b\nX-$Version: 1\nContent-Length: 0\n\n",
            vec![Whole(200, "")],
        ),
        (
            "Pragma: \nLocation: /\nContent-Length: 0\n\n",
            vec![Whole(200, "")],
        ),
        // Where bodies end.
        ("Connection: close\n\nbody", vec![Cut(200, "body")]),
        ("\nHTTP/1.1 200 OK", vec![Cut(200, "HTTP/1.1 200 OK")]),
        (
            "Content-Length: 5\nConnection: close\n\n2ad731e3",
            vec![Closes(200, "2ad73")],
        ),
        (
            "Content-Length: 3\nProxy-Connection: close\n\nabc",
            vec![Whole(200, "abc")],
        ),
        (
            "Connection: upgrade\nUpgrade: h2c\n\nbody",
            vec![Cut(200, "body")],
        ),
        (
            "Connection: upgrade\nUpgrade: h2c\nContent-Length: 4\n\nbody",
            vec![Whole(200, "body")],
        ),
        // Transfer codings.
        (
            "Content-Length-X: 0\nTransfer-Encoding: chunked\n\n2\nOK\n0\n\n",
            vec![Whole(200, "OK")],
        ),
        (
            "Transfer-Encoding:\nContent-Length: 5\n\nhello",
            vec![Bad(BadCoding)],
        ),
        (
            "Transfer-Encoding: chunked, deflate\n\nWorld",
            vec![Bad(BadCoding)],
        ),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n\nWorld",
            vec![Bad(BadCoding)],
        ),
        (
            "Transfer-Encoding: chunkedchunked\n\n2\nOK",
            vec![Cut(200, "2\r\nOK")],
        ),
        (
            "Transfer-Encoding: chunked\n  abc\n\n5\nWorld\n0\n\n",
            vec![Bad(NotHttp)],
        ),
    ] {
        cases.push((lines(ok) + &lines(fields), judged));
    }
    // Chunks.
    for (chunks, judged) in [
        ("2\nbo\n2\ndy\n0\n\n", Whole(200, "body")),
        ("1\n\u{1}\n0\n\n", Whole(200, "\u{1}")),
        (
            "5;ilovew3;somuchlove=aretheseparametersfor\nhello\n6;blahblah;blah\n world\n0\n\n",
            Whole(200, "hello world"),
        ),
        (
            "5;ilovew3=\"I love; extensions\";foo=bar\nhello\n0\n\n",
            Whole(200, "hello"),
        ),
        (
            "5;a=\"abc\";b=\"def; ghi\nhello\n0\n\n",
            Whole(200, "hello"),
        ),
        ("2;\naa\n0\n\n", Whole(200, "aa")),
        (
            "25  \nThis is the data in the first chunk\n\n0\n\n",
            Whole(200, "This is the data in the first chunk\r\n"),
        ),
        ("2 erfrferferf\naa\n0\n\n", Bad(BadChunk)),
    ] {
        cases.push((chunked(chunks), vec![judged]));
    }
    // connection.md: answers without a body, and others.
    let two = "HTTP/1.1 200 OK\nContent-Length: 1\n\nx";
    for (input, judged) in [
        (format!("HTTP/1.1 204 No content\n\n{two}"), vec![Whole(204, ""), Whole(200, "x")]),
        (format!("HTTP/1.0 204 No content\nConnection: keep-alive\n\n{two}"), vec![Whole(204, ""), Whole(200, "x")]),
        (format!("HTTP/1.1 204 No content\nConnection: close\n\n{two}"), vec![Closes(204, "")]),
        ("HTTP/1.0 200 OK\nConnection: keep-alive\n\nHTTP/1.0 200 OK".into(), vec![Cut(200, "HTTP/1.0 200 OK")]),
        ("HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: h2c\nContent-Length: 4\n\nbody".into(), vec![Bad(Switched)]),
        ("HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\nTransfer-Encoding: chunked\n\n2\nbo\n0\n\n".into(), vec![Bad(Switched)]),
    ] {
        cases.push((lines(&input), judged));
    }
    // Lines that end in LF alone.
    for input in [
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\nFoo: abc\nBar: def\n\nBODY\n",
    ] {
        cases.push((input.into(), vec![Bad(BareLf)]));
    }
    judge(&cases, false);
    // Answers to HEAD.
    let two = "HTTP/1.1 200 OK\nContent-Length: 123\n\nHTTP/1.1 200 OK\nContent-Length: 456\n\n";
    judge(&[(lines(two), vec![Whole(200, ""), Whole(200, "")])], true);
}

#[test]
fn h11s_cases_are_read_or_refused_as_documented() {
    let mut cases = Vec::new();
    for (input, judged) in [
        // test_io.py: heads.
        ("HTTP/1.0 200 OK\r\nSome: header\r\n\r\n", Cut(200, "")),
        ("HTTP/1.0 200 OK\r\nFoo: a a a a a \r\n\r\n", Cut(200, "")),
        ("HTTP/1.0 200 OK\r\nFoo:\r\n\r\n", Cut(200, "")),
        ("HTTP/1.0 200 OK\r\nFoo: \t \t \r\n\r\n", Cut(200, "")),
        ("HTTP/1.0 200\r\nFoo: bar\r\n\r\n", Cut(200, "")),
        ("HTTP/1.1 200 OK\r\nSomeHeader: val\n\r\n", Bad(BareLf)),
        (
            "HTTP/1.1 200 OK\nSomeHeader1: val1\nSomeHeader2: val2\n\n",
            Bad(BareLf),
        ),
        (
            "HTTP/1.1 200 OK\r\nSomeHeader1: val1\nSomeHeader2: val2\n\r\n",
            Bad(BareLf),
        ),
        (
            "HTTP/1.1 200 OK\r\nSome: multi-line\r\n header\r\n\tnonsense\r\n\r\n",
            Bad(NotHttp),
        ),
        ("HTTP/1.1 200 OK\r\n  folded: line\r\n\r\n", Bad(NotHttp)),
        ("HTTP/1.1 200 OK\r\nfoo  : line\r\n\r\n", Bad(NotHttp)),
        ("HTTP/1.1 200 OK\r\nfoo\t: line\r\n\r\n", Bad(NotHttp)),
        ("HTTP/1.1 200 OK\r\n: line\r\n\r\n", Bad(NotHttp)),
        ("HTTP/1.0 200 OK\0xxxx\r\n\r\n", Bad(NotHttp)),
        ("HTTP/1.1 200 OK\r\nA: foo\0bar\r\n\r\n", Bad(NotHttp)),
        (
            "HTTP/1.1 200 OK\r\nSet-Cookie: kUd\u{1}UpAt; path=/\r\n\r\n",
            Bad(NotHttp),
        ),
        // test_headers.py: framing.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            Whole(200, "x"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1,1\r\n\r\nx",
            Whole(200, "x"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Bad(TwoLengths),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1 , 1,2\r\n\r\n",
            Bad(TwoLengths),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: asdf\r\n\r\n",
            Bad(BadLength),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
            Bad(BadLength),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
            Whole(200, ""),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: nonchunked\r\n\r\nx",
            Cut(200, "x"),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, foo\r\n\r\n",
            Bad(BadCoding),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Bad(LengthAndCoding),
        ),
    ] {
        cases.push((input.to_owned(), vec![judged]));
    }
    // test_io.py: chunks.
    let aa = "x".repeat(0xaa);
    for (chunks, judged) in [
        ("0\r\n\r\n".to_owned(), Whole(200, "")),
        ("0\r\nSome: header\r\n\r\n".into(), Whole(200, "")),
        (
            "5\r\n01234\r\n10\r\n0123456789abcdef\r\n0\r\nSome: header\r\n\r\n".into(),
            Whole(200, "012340123456789abcdef"),
        ),
        (
            format!("aA\r\n{aa}\r\n0\r\n\r\n"),
            Whole(200, aa.clone().leak()),
        ),
        (
            "5; hello=there\r\nxxxxx\r\n0; random=\"junk\"; some=more; canbe=lonnnnngg\r\n\r\n"
                .into(),
            Whole(200, "xxxxx"),
        ),
        (format!("{}\r\nxxx", "9".repeat(100)), Bad(BadChunk)),
        ("10\0\r\nxxx".into(), Bad(BadChunk)),
        ("5   \t \r\n01234\r\n0\r\n\r\n".into(), Whole(200, "01234")),
    ] {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        cases.push((format!("{head}{chunks}"), vec![judged]));
    }
    judge(&cases, false);
}
