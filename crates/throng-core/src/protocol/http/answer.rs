//! Reads the answers on a connection (RFC 9112): heads and bodies, cut anywhere.

use super::body::{Body, Piece};
use super::framing::{self, has_bare_lf};
use super::head::{self, Gathered, MAX_FIELDS};
use super::malformed::Malformed;
use crate::partials::{Partials, Slot};
use std::mem::MaybeUninit;

/// What is known of the answers on a connection: 24 bytes.
#[derive(Debug, Default)]
pub struct Answers {
    body: Body,
    /// The first part of a head.
    half: Slot,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A head comes next, or goes on.
    #[default]
    Head,
    /// A body.
    Body,
    /// Nothing more is read: it made no sense, or nothing follows.
    Deaf,
}

/// The head of a final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its status code.
    pub status: u16,
    /// Whether the connection stays open after it.
    pub persists: bool,
}

/// What else is read of the heads of answers, besides what says where they end.
pub trait ReadFields {
    /// Reads the fields of an answer with this status.
    fn read(&mut self, status: u16, fields: &[httparse::Header]);
}

/// Reads nothing else.
impl ReadFields for () {
    #[inline]
    fn read(&mut self, _: u16, _: &[httparse::Header]) {}
}

/// Something that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The first bytes of a head, which is incomplete.
    Begun,
    /// An interim answer (1xx), which another answer follows.
    Interim(u16),
    /// The head of a final answer of so many bytes; those of earlier inputs included.
    Head(Head, usize),
    /// Bytes of its body.
    Data(&'a [u8]),
    /// It is complete.
    End,
}

impl Answers {
    /// Whether an answer has begun and is not complete.
    pub fn is_amid(&self) -> bool {
        self.stage == Stage::Body || !self.half.is_empty()
    }

    /// Whether the answer under way is complete once the peer closes.
    pub fn ends_with_connection(&self) -> bool {
        self.stage == Stage::Body && self.body.ends_with_connection()
    }

    /// How many bytes of a body come next, without the last one: nothing ends with them.
    #[inline]
    pub fn before_last_byte(&self) -> u64 {
        match self.stage {
            Stage::Body => self.body.before_last_byte(),
            Stage::Head | Stage::Deaf => 0,
        }
    }

    /// Passes over `bytes` of them.
    pub fn skip(&mut self, bytes: u64) {
        self.body.skip(bytes);
    }

    /// Takes the next event from `input`; `None` once it is used up. `bodiless` says whether the request has HEAD as its
    /// method, so that its answer has no body.
    ///
    /// # Errors
    /// An answer makes no sense. Nothing more is read.
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        partials: &mut Partials,
        bodiless: impl FnOnce() -> bool,
    ) -> Result<Option<Event<'a>>, Malformed> {
        self.next_parsed(input, partials, bodiless, |bytes| parse(bytes, &mut ()))
    }

    /// The same. A head that is the same as the last one on any connection is not parsed again.
    ///
    /// # Errors
    /// Those of [`Answers::next`].
    #[inline]
    pub fn next_after<'a>(
        &mut self,
        last: &mut LastHead,
        input: &mut &'a [u8],
        partials: &mut Partials,
        bodiless: impl FnOnce() -> bool,
    ) -> Result<Option<Event<'a>>, Malformed> {
        let parse = |bytes: &[u8]| last.0.or(bytes, |bytes| parse(bytes, &mut ()));
        self.next_parsed(input, partials, bodiless, parse)
    }

    /// The same. `fields` reads each complete head, too.
    ///
    /// # Errors
    /// Those of [`Answers::next`].
    #[inline]
    pub fn next_reading<'a>(
        &mut self,
        input: &mut &'a [u8],
        partials: &mut Partials,
        bodiless: impl FnOnce() -> bool,
        fields: &mut impl ReadFields,
    ) -> Result<Option<Event<'a>>, Malformed> {
        self.next_parsed(input, partials, bodiless, |bytes| parse(bytes, fields))
    }

    #[inline]
    fn next_parsed<'a>(
        &mut self,
        input: &mut &'a [u8],
        partials: &mut Partials,
        bodiless: impl FnOnce() -> bool,
        parse: impl FnOnce(&[u8]) -> Result<Option<(Parsed, usize)>, Malformed>,
    ) -> Result<Option<Event<'a>>, Malformed> {
        match self.stage {
            Stage::Body => match self.body.next(input) {
                Ok(Piece::Data(data)) => Ok(Some(Event::Data(data))),
                Ok(Piece::More) => Ok(None),
                Ok(Piece::End) => {
                    self.stage = Stage::Head;
                    Ok(Some(Event::End))
                }
                Err(malformed) => self.refuse(malformed),
            },
            Stage::Head if input.is_empty() => Ok(None),
            Stage::Head => self.head(input, partials, bodiless, parse),
            Stage::Deaf => {
                *input = &[];
                Ok(None)
            }
        }
    }

    fn head<'a>(
        &mut self,
        input: &mut &'a [u8],
        partials: &mut Partials,
        bodiless: impl FnOnce() -> bool,
        parse: impl FnOnce(&[u8]) -> Result<Option<(Parsed, usize)>, Malformed>,
    ) -> Result<Option<Event<'a>>, Malformed> {
        let first = self.half.is_empty();
        let had = partials.at(&self.half).len();
        let gathered = head::gather(&mut self.half, partials, input, parse);
        match gathered {
            Ok(Gathered::Part) => {
                *input = &[];
                Ok(first.then_some(Event::Begun))
            }
            Ok(Gathered::TooLong) => self.refuse(Malformed::LongHead),
            Ok(Gathered::Whole(parsed, used)) => {
                *input = &input[used..];
                let Parsed { mut head, mut body } = parsed;
                match head.status {
                    101 => return self.refuse(Malformed::Switched),
                    100..200 => return Ok(Some(Event::Interim(head.status))),
                    // RFC 9112, section 6.3, item 1.
                    204 | 304 => body = Body::NONE,
                    _ if bodiless() => body = Body::NONE,
                    _ => {}
                }
                head.persists &= !body.ends_with_connection();
                self.body = body;
                self.stage = Stage::Body;
                Ok(Some(Event::Head(head, had + used)))
            }
            Err(malformed) => self.refuse(malformed),
        }
    }

    fn refuse<'a>(&mut self, malformed: Malformed) -> Result<Option<Event<'a>>, Malformed> {
        self.stage = Stage::Deaf;
        Err(malformed)
    }

    /// Reads nothing more.
    pub fn end(&mut self, partials: &mut Partials) {
        self.stage = Stage::Deaf;
        partials.drop_at(&mut self.half);
    }

    /// Begins anew, on another connection.
    pub fn reset(&mut self, partials: &mut Partials) {
        partials.drop_at(&mut self.half);
        *self = Answers::default();
    }
}

/// The last head that a worker has read: see [`Answers::next_after`].
#[derive(Debug, Default)]
pub struct LastHead(head::Last<Parsed>);

/// A head, and the body that it has unless its status or the request say otherwise.
#[derive(Clone, Copy, Debug)]
struct Parsed {
    head: Head,
    body: Body,
}

/// Parses a head as far as it was received. Returns it with its size once it is complete.
fn parse(bytes: &[u8], others: &mut impl ReadFields) -> Result<Option<(Parsed, usize)>, Malformed> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let size = match config.parse_response_with_uninit_headers(&mut answer, bytes, &mut space) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::LongHead),
        Err(_) => return Err(Malformed::NotHttp),
    };
    if has_bare_lf(&bytes[..size]) {
        return Err(Malformed::BareLf);
    }
    let (Some(status), Some(version)) = (answer.code, answer.version) else {
        return Err(Malformed::NotHttp);
    };
    let fields = &*answer.headers;
    let body = framing::length(fields, version)?.of_answer();
    let head = Head {
        status,
        persists: framing::persists(fields, version),
    };
    others.read(status, fields);
    Ok(Some((Parsed { head, body }, size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Final answers, complete or not: status, whether the connection persists, body, whether it is complete.
    type Read = Vec<(u16, bool, Vec<u8>, bool)>;

    fn read(pieces: &[&[u8]], bodiless: bool) -> (Read, Option<Malformed>) {
        let read = read_after(pieces, bodiless, None);
        let mut last = LastHead::default();
        // The second time, the last head is already known.
        for _ in 0..2 {
            assert_eq!(read_after(pieces, bodiless, Some(&mut last)), read);
        }
        read
    }

    fn read_after(
        pieces: &[&[u8]],
        bodiless: bool,
        mut last: Option<&mut LastHead>,
    ) -> (Read, Option<Malformed>) {
        let (mut answers, mut partials) = (Answers::default(), Partials::default());
        let mut all = Read::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                let event = match &mut last {
                    None => answers.next(&mut input, &mut partials, || bodiless),
                    Some(last) => answers.next_after(last, &mut input, &mut partials, || bodiless),
                };
                match event {
                    Ok(None) => break,
                    Ok(Some(Event::Begun | Event::Interim(_))) => {}
                    Ok(Some(Event::Head(head, _))) => {
                        all.push((head.status, head.persists, Vec::new(), false));
                    }
                    Ok(Some(Event::Data(data))) => all.last_mut().unwrap().2.extend(data),
                    Ok(Some(Event::End)) => all.last_mut().unwrap().3 = true,
                    Err(malformed) => {
                        assert!(partials.is_empty());
                        return (all, Some(malformed));
                    }
                }
            }
        }
        answers.reset(&mut partials);
        assert!(partials.is_empty());
        (all, None)
    }

    #[test]
    fn a_connections_answers_are_remembered_in_24_bytes() {
        assert_eq!(size_of::<Answers>(), 24);
    }

    #[test]
    fn answers_are_read_whole_wherever_they_are_cut() {
        let input = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
            HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx\
            HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n\
            HTTP/1.0 500 \r\n\r\nuntil the end";
        let expected: Read = vec![
            (200, true, b"hello".into(), true),
            (404, true, b"abc".into(), true),
            (304, true, vec![], true),
            (204, true, vec![], true),
            (200, true, b"x".into(), true),
            (200, false, vec![], true),
            (500, false, b"until the end".into(), false),
        ];
        assert_eq!(read(&[input], false), (expected.clone(), None));
        for at in 0..input.len() {
            let (a, b) = input.split_at(at);
            assert_eq!(read(&[a, b], false), (expected.clone(), None), "{at}");
        }
        let singly: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read(&singly, false), (expected, None));
    }

    #[test]
    fn the_answer_to_head_has_no_body_whatever_it_says() {
        let input = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let one = (200, true, vec![], true);
        assert_eq!(read(&[input], true), (vec![one.clone(), one], None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_kind() {
        let long = [
            b"HTTP/1.1 200 OK\r\nA: ".as_slice(),
            &[b'x'; 20_000],
            b"\r\n\r\n",
        ]
        .concat();
        for (input, kind) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], Malformed::NotHttp),
            (b"<html>", Malformed::NotHttp),
            (b"HTTP/2.0 200 OK\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 20 OK\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Malformed::NotHttp),
            (
                b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
                Malformed::BareLf,
            ),
            (&long, Malformed::LongHead),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                Malformed::BadLength,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                Malformed::TwoLengths,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Malformed::LengthAndCoding,
            ),
            (b"HTTP/1.1 101 Switching\r\n\r\n", Malformed::Switched),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                Malformed::BadChunk,
            ),
        ] {
            let (_, malformed) = read(&[input], false);
            assert_eq!(malformed, Some(kind), "{}", input.escape_ascii());
            let singly: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(read(&singly, false).1, Some(kind));
        }
        // Forms that parsers have been lenient about, each of which two of them may read in two ways.
        for (input, kind) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"[..], Malformed::BadLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n", Malformed::BadLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", Malformed::BadLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", Malformed::BadLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", Malformed::TwoLengths),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                Malformed::BadCoding,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                Malformed::BadCoding,
            ),
            (
                b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Malformed::BadCoding,
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1  200 OK\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.1 2000 OK\r\n\r\n", Malformed::NotHttp),
            (b"HTTP/1.2 200 OK\r\n\r\n", Malformed::NotHttp),
            (b"http/1.1 200 OK\r\n\r\n", Malformed::NotHttp),
        ] {
            assert_eq!(read(&[input], false).1, Some(kind), "{}", input.escape_ascii());
        }
        let many = [
            b"HTTP/1.1 200 OK\r\n".as_slice(),
            &b"A: b\r\n".repeat(65),
            b"\r\n",
        ]
        .concat();
        assert_eq!(read(&[&many], false).1, Some(Malformed::LongHead));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike_however_they_are_cut(
            start in prop::sample::select(vec![&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
            rest in prop::collection::vec(prop::sample::select(b"HTP/1.0 2:\r\n\r\nabA;0123\0".to_vec()), 0..60),
        ) {
            // What is wrong with a line is seen at its end at the latest.
            let input = [start, &rest, b"\r\n\r\n"].concat();
            let singly: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(read(&[&input], false), read(&singly, false));
        }
    }
}
