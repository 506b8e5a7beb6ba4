//! An HTTP/1.1 server for measuring clients and paths: its answers depend on the request's target alone.
//!
//! Requests behind one whose answer takes time wait, up to [`MOST_WAITING`] bytes. A peer that broke the protocol gets an
//! answer, and is left by way of [`Lingering`]. `streams.rs` has the answers that are sent piece by piece.

mod query;
mod reply;
mod streams;

use super::body::{Body, Piece};
use super::head::{self, Gathered};
use super::malformed::Malformed;
use crate::behaviour::{At, Behaviour, Outbox, Task, Transmit};
use crate::partials::{Partials, Slot};
use crate::payload::Dice;
use crate::protocol::facts::Serves;
use crate::protocol::lingering::Lingering;
use crate::stats::Closed;
use crate::time::Time;
use query::{Query, Route};
use reply::{Date, Head, LAST_CHUNK, Size};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes may wait behind an answer that takes time.
const MOST_WAITING: usize = 64 * 1024;
/// The short text.
const HELLO: &[u8] = b"Hello, world!\n";

/// The server.
#[derive(Debug)]
pub struct HttpServer {
    partials: Partials,
    last: head::Last<Query>,
    /// What arrived behind a request whose answer takes time.
    waiting: HashMap<u32, Vec<u8>>,
    memory: Arc<[u8]>,
    /// The event that is being written.
    event: Vec<u8>,
    date: Date,
    dice: Dice,
    /// Microseconds since 1970 when the run began.
    unix_us: u64,
}

/// The state of a connection: 40 bytes, and 32 more while events are sent.
#[derive(Debug, Default)]
pub struct Served {
    /// What is left of the request's body.
    body: Body,
    half: Slot,
    flags: u8,
    doing: Doing,
}

/// The connection is closed after the answer.
const LAST: u8 = 1;
/// The answer has no body, because the method is HEAD.
const NO_BODY: u8 = 2;
/// The request is HTTP/1.0.
const OLD: u8 = 4;
/// The request's body comes in chunks.
const CHUNKED: u8 = 8;
/// The peer has not taken all of the last event.
const BUSY: u8 = 16;
/// The answer's body comes in chunks.
const IN_CHUNKS: u8 = 32;

/// What a connection is doing.
#[derive(Debug, Default, PartialEq, Eq)]
enum Doing {
    /// Reading a head.
    #[default]
    Head,
    /// Reading a body, to answer behind it.
    Body(Box<Answer>),
    /// Sending a body back as it arrives.
    Echo,
    /// The answer is due later.
    Delayed { due: Time },
    /// Sending a large body, of which this much is left.
    Bytes { left: u64 },
    /// Sending events.
    Events(Box<Events>),
    /// The last answer was sent, and received bytes are discarded.
    Leaving(Lingering),
}

/// A stream of events that is being sent.
#[derive(Debug, PartialEq, Eq)]
struct Events {
    /// When the next one is due.
    due: Time,
    /// Microseconds between them.
    every_us: u32,
    /// Bytes in each.
    size: u16,
    /// The number of the next one.
    number: u32,
    /// How many are left.
    left: Option<u32>,
}

/// The answer to a request whose body is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Hello,
    Status(u16),
    Bytes {
        bytes: u64,
        chunked: bool,
    },
    Delay {
        from_us: u32,
        to_us: u32,
    },
    Events {
        every_us: u32,
        size: u16,
        count: Option<u32>,
    },
}

fn us(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

impl HttpServer {
    /// A server of a run that began at `unix_us`, in microseconds since 1970.
    pub fn new(unix_us: u64, seed: u64) -> HttpServer {
        HttpServer {
            partials: Partials::default(),
            last: head::Last::default(),
            waiting: HashMap::new(),
            memory: HttpServer::pieces(),
            event: Vec::new(),
            date: Date::default(),
            dice: Dice::of(seed, &[0x6874_7470]),
            unix_us,
        }
    }

    /// Reads what arrived, and answers, until an answer takes time or nothing is left. What is behind such an answer waits.
    fn read(&mut self, conn: &mut Served, mut input: &[u8], at: &At, out: &mut Outbox) {
        let before = out.bytes.len();
        if let Err(malformed) = self.step(conn, &mut input, at, out) {
            self.refuse(conn, malformed, at, out);
            input = &[];
        }
        if out.bytes.len() > before && matches!(out.send, Transmit::Nothing) {
            out.send = Transmit::Reply;
        }
        if !input.is_empty() && !out.close {
            self.wait(input, at, out);
        }
    }

    /// Keeps what arrived behind a request whose answer takes time.
    fn wait(&mut self, input: &[u8], at: &At, out: &mut Outbox) {
        let waiting = self.waiting.entry(at.id).or_default();
        waiting.extend_from_slice(input);
        if waiting.len() > MOST_WAITING {
            self.waiting.remove(&at.id);
            out.close = true;
        }
    }

    /// Reads on until nothing more can be read now.
    fn step(
        &mut self,
        conn: &mut Served,
        input: &mut &[u8],
        at: &At,
        out: &mut Outbox,
    ) -> Result<(), Malformed> {
        loop {
            if out.close {
                return Ok(());
            }
            match &conn.doing {
                Doing::Head if input.is_empty() => return Ok(()),
                Doing::Head => {
                    let (half, partials) = (&mut conn.half, &mut self.partials);
                    let last = &mut self.last;
                    match head::gather(half, partials, input, |bytes| last.or(bytes, query::parse))?
                    {
                        Gathered::Part => {
                            *input = &[];
                            return Ok(());
                        }
                        Gathered::TooLong => return Err(Malformed::LongHead),
                        Gathered::Whole(query, used) => {
                            *input = &input[used..];
                            at.counters.http.head_bytes.add(used as u64);
                            self.begin(conn, &query, input.is_empty(), at, out);
                        }
                    }
                }
                Doing::Body(answer) => match conn.body.next(input)? {
                    Piece::Data(data) => at.counters.http.body_bytes.add(data.len() as u64),
                    Piece::More => return Ok(()),
                    Piece::End => {
                        let answer = **answer;
                        self.answer(conn, answer, at, out);
                    }
                },
                Doing::Echo => match conn.body.next(input)? {
                    Piece::Data(data) => {
                        at.counters.http.body_bytes.add(data.len() as u64);
                        HttpServer::echo(conn, data, out);
                    }
                    Piece::More => return Ok(()),
                    Piece::End => {
                        if conn.flags & (NO_BODY | CHUNKED) == CHUNKED {
                            out.bytes.extend_from_slice(LAST_CHUNK);
                        }
                        self.over(conn, out);
                    }
                },
                Doing::Leaving(_) => {
                    *input = &[];
                    return Ok(());
                }
                Doing::Delayed { .. } | Doing::Bytes { .. } | Doing::Events(_) => return Ok(()),
            }
        }
    }

    /// A head is complete.
    fn begin(&mut self, conn: &mut Served, query: &Query, waits: bool, at: &At, out: &mut Outbox) {
        conn.body = query.body;
        conn.flags = 0;
        for (is, flag) in [
            (!query.persists || query.route == Route::Close, LAST),
            (query.head, NO_BODY),
            (query.old, OLD),
            (query.body.length().is_none(), CHUNKED),
        ] {
            conn.flags |= if is { flag } else { 0 };
        }
        if query.expects && waits && !query.body.is_over() {
            out.bytes
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let answer = match query.route {
            Route::Echo => {
                let size = query.body.length().map_or(Size::Chunks, Size::Bytes);
                self.head(conn, 200, "application/octet-stream", size, at, out);
                conn.doing = Doing::Echo;
                return;
            }
            Route::Hello | Route::Close => Answer::Hello,
            Route::Status(code) => Answer::Status(code),
            Route::Unknown => Answer::Status(404),
            Route::Bytes { bytes, chunked } => Answer::Bytes {
                bytes,
                chunked: chunked && !query.old,
            },
            Route::Delay(from, to) => Answer::Delay {
                from_us: us(from),
                to_us: us(to),
            },
            Route::Events { every, size, count } => Answer::Events {
                every_us: us(every).max(1),
                size: size as u16,
                count,
            },
        };
        match query.body.is_over() {
            true => self.answer(conn, answer, at, out),
            false => conn.doing = Doing::Body(Box::new(answer)),
        }
    }

    /// Writes the head of an answer.
    fn head(
        &mut self,
        conn: &Served,
        status: u16,
        kind: &'static str,
        size: Size,
        at: &At,
        out: &mut Outbox,
    ) {
        let http = &at.counters.http;
        http.requests.add(1);
        http.completed.add(1);
        http.answered(status);
        at.counters.messages_received.add(1);
        at.counters.messages_sent.add(1);
        let persists = conn.flags & LAST == 0;
        http.announced.add((!persists).into());
        Head {
            status,
            date: self.date.at(self.unix_us + at.now.0 / 1000),
            kind,
            size,
            persists,
            old: conn.flags & OLD != 0,
        }
        .write(&mut out.bytes);
    }

    /// Answers a request that is complete.
    fn answer(&mut self, conn: &mut Served, answer: Answer, at: &At, out: &mut Outbox) {
        match answer {
            Answer::Hello => self.text_answer(conn, 200, HELLO, at, out),
            // RFC 9110, section 15: these have no body.
            Answer::Status(code @ (204 | 205 | 304)) => {
                let size = if code == 205 {
                    Size::Bytes(0)
                } else {
                    Size::None
                };
                self.head(conn, code, "text/plain", size, at, out);
                self.over(conn, out);
            }
            Answer::Status(code) => self.text_answer(conn, code, b"", at, out),
            Answer::Delay { from_us, to_us } => {
                let more = u64::from(to_us - from_us) + 1;
                let us = u64::from(from_us) + self.dice.word() % more;
                let due = at.now + Duration::from_micros(us);
                out.wake = Some(due);
                conn.doing = Doing::Delayed { due };
            }
            Answer::Bytes { bytes, chunked } => self.bytes(conn, bytes, chunked, at, out),
            Answer::Events {
                every_us,
                size,
                count,
            } => self.events(conn, (every_us, size, count), at, out),
        }
    }

    /// An answer whose body is `text`.
    fn text_answer(
        &mut self,
        conn: &mut Served,
        status: u16,
        text: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        let size = Size::Bytes(text.len() as u64);
        self.head(conn, status, "text/plain", size, at, out);
        if conn.flags & NO_BODY == 0 {
            out.bytes.extend_from_slice(text);
        }
        self.over(conn, out);
    }

    /// An answer is complete.
    fn over(&mut self, conn: &mut Served, out: &mut Outbox) {
        conn.doing = Doing::Head;
        if conn.flags & LAST != 0 {
            out.close = true;
        }
    }

    /// Reads what waited behind an answer.
    fn go_on(&mut self, conn: &mut Served, at: &At, out: &mut Outbox) {
        if let Some(waiting) = self.waiting.remove(&at.id) {
            self.read(conn, &waiting, at, out);
        }
        if !out.bytes.is_empty() && matches!(out.send, Transmit::Nothing) {
            out.send = Transmit::Reply;
        }
    }

    /// Answers what makes no sense, and leaves.
    fn refuse(&mut self, conn: &mut Served, malformed: Malformed, at: &At, out: &mut Outbox) {
        at.counters.http.malformed(malformed);
        self.partials.drop_at(&mut conn.half);
        // The head of an echo was sent.
        if conn.doing != Doing::Echo {
            conn.flags = LAST;
            let status = match malformed {
                Malformed::LongHead => 431,
                Malformed::BadCoding => 501,
                _ => 400,
            };
            let size = Size::Bytes(0);
            Head {
                status,
                date: self.date.at(self.unix_us + at.now.0 / 1000),
                kind: "text/plain",
                size,
                persists: false,
                old: false,
            }
            .write(&mut out.bytes);
        }
        conn.doing = Doing::Leaving(Lingering::begin(at, out));
    }
}

impl Behaviour for HttpServer {
    type Conn = Served;
    const SKIPS: bool = true;

    fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.memory)
    }

    #[inline]
    fn skips(&self, conn: &Served) -> u64 {
        match conn.doing {
            Doing::Body(_) => conn.body.before_last_byte(),
            _ => 0,
        }
    }

    fn counted(&mut self, conn: &mut Served, n: usize, at: &At, _: &mut Outbox) {
        conn.body.skip(n as u64);
        at.counters.http.body_bytes.add(n as u64);
    }

    fn opened(&mut self, conn: &mut Served, _: &At, _: &mut Outbox) {
        *conn = Served::default();
    }

    fn received(&mut self, conn: &mut Served, bytes: &[u8], at: &At, out: &mut Outbox) {
        if let Doing::Leaving(lingering) = &mut conn.doing {
            lingering.heard();
            return;
        }
        match self.waiting.contains_key(&at.id) {
            true => self.wait(bytes, at, out),
            false => self.read(conn, bytes, at, out),
        }
    }

    fn sent(&mut self, conn: &mut Served, _: usize, at: &At, out: &mut Outbox) {
        match &conn.doing {
            Doing::Bytes { left } => self.piece(conn, *left, at, out),
            Doing::Events(events) if events.left == Some(0) => {
                if conn.flags & OLD == 0 {
                    out.bytes.extend_from_slice(LAST_CHUNK);
                }
                self.over(conn, out);
                self.go_on(conn, at, out);
            }
            Doing::Events(events) => {
                conn.flags &= !BUSY;
                match at.now < events.due {
                    true => out.wake = Some(events.due),
                    false => self.event(conn, at, out),
                }
            }
            _ => {}
        }
    }

    fn woken(&mut self, conn: &mut Served, at: &At, out: &mut Outbox) {
        match &mut conn.doing {
            Doing::Delayed { due } if at.now < *due => out.wake = Some(*due),
            Doing::Events(events) if at.now < events.due => out.wake = Some(events.due),
            Doing::Delayed { .. } => {
                self.text_answer(conn, 200, HELLO, at, out);
                self.go_on(conn, at, out);
            }
            // It is sent once the peer has taken the one before.
            Doing::Events(_) if conn.flags & BUSY != 0 => {}
            Doing::Events(_) => self.event(conn, at, out),
            Doing::Leaving(lingering) => lingering.look(at, out),
            _ => {}
        }
    }

    fn closed(&mut self, conn: &mut Served, _: Closed, at: &At) {
        self.partials.drop_at(&mut conn.half);
        self.waiting.remove(&at.id);
        *conn = Served::default();
    }
}

/// A server whose answers depend on the path.
pub struct Http;

impl Serves for Http {
    const NAME: &'static str = "http";
    const ABOUT: &'static str =
        "HTTP/1.1: /hello, /bytes/N, /echo, /status/N, /delay/T, /events?rate=R, /close";
    type Behaviour = HttpServer;

    fn behaviour(task: Task) -> HttpServer {
        HttpServer::new(task.unix_us, task.seed)
    }
}

#[cfg(test)]
mod tests;
