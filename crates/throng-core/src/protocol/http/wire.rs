//! HTTP/1.1 as the wire of a load: requests are its messages, and whole answers answer them.

use super::answer::{Answers, Event};
use super::counts::Failed;
use super::malformed::Malformed;
use super::request::Statuses;
use crate::behaviour::{At, Received, Receiver, Wire};
use crate::partials::Partials;
use crate::stats::{Closed, Measured};
use std::num::NonZeroU32;

/// What holds for all connections of a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether answers have no body, because the method is HEAD.
    pub bodiless: bool,
    /// Requests on a connection before it is closed.
    pub most: Option<NonZeroU32>,
    /// The statuses that are expected.
    pub expected: Statuses,
}

/// The client side of HTTP/1.1. One request is under way on a connection at a time.
#[derive(Debug)]
pub struct HttpClient {
    rules: Rules,
    partials: Partials,
}

/// What is kept for each connection: 32 bytes.
#[derive(Debug, Default)]
pub struct HttpConn {
    answers: Answers,
    /// Whole answers.
    answered: u32,
    /// Requests that were begun and have no whole answer.
    under_way: u16,
    flags: u8,
}

/// The answer under way has begun.
const BEGUN: u8 = 1;
/// The status of the answer under way is not expected.
const UNEXPECTED: u8 = 2;
/// One of its answers was not expected.
const FAILED: u8 = 4;
/// One side said that the connection is closed after the answer under way.
const LAST: u8 = 8;
/// It is closed as was said.
const DONE: u8 = 16;
/// The answer under way was complete when the peer closed.
const ENDED: u8 = 32;
/// Nothing more is sent on it: what arrived made no sense, or the peer is about to close.
const MUTE: u8 = 64;

impl HttpClient {
    /// A client that keeps `rules`.
    pub fn new(rules: Rules) -> HttpClient {
        HttpClient {
            rules,
            partials: Partials::default(),
        }
    }

    /// Reads answers. Adds those that are complete to `complete`.
    fn read(
        &mut self,
        conn: &mut HttpConn,
        mut input: &[u8],
        at: &At,
        to: &mut impl Receiver,
        complete: &mut u32,
    ) -> Result<(), Malformed> {
        let http = &at.counters.http;
        loop {
            let bodiless = || self.rules.bodiless;
            let event = conn
                .answers
                .next(&mut input, &mut self.partials, bodiless)?;
            let Some(event) = event else {
                return Ok(());
            };
            if conn.flags & BEGUN == 0 {
                conn.flags |= BEGUN;
                if conn.under_way > 0 {
                    to.begun();
                }
            }
            match event {
                Event::Begun => {}
                Event::Interim(_) => http.interim.add(1),
                Event::Head(head, bytes) => {
                    // A server that tires of an idle connection may say so (RFC 9110, section 15.5.9).
                    let tired = head.status == 408 && !head.persists;
                    if conn.under_way == 0 && !tired {
                        return Err(Malformed::Unasked);
                    }
                    http.answered(head.status);
                    http.head_bytes.add(bytes as u64);
                    if !head.persists {
                        conn.flags |= LAST;
                    }
                    if !self.rules.expected.has(head.status) {
                        conn.flags |= UNEXPECTED;
                    }
                }
                Event::Data(data) => {
                    http.body_bytes.add(data.len() as u64);
                    to.payload(data);
                }
                Event::End if conn.under_way == 0 => {
                    conn.flags |= MUTE;
                    conn.answers.end(&mut self.partials);
                }
                Event::End => {
                    *complete += 1;
                    self.complete(conn, at);
                }
            }
        }
    }

    /// An answer is complete.
    fn complete(&mut self, conn: &mut HttpConn, at: &At) {
        let http = &at.counters.http;
        conn.answered = conn.answered.saturating_add(1);
        conn.under_way -= 1;
        if conn.flags & UNEXPECTED != 0 {
            http.fail(Failed::Status, 1);
            http.unexpected.add((conn.flags & FAILED == 0).into());
            conn.flags |= FAILED;
        } else {
            http.completed.add(1);
        }
        let enough = self
            .rules
            .most
            .is_some_and(|most| conn.answered >= most.get());
        if conn.flags & LAST != 0 || enough {
            http.announced.add(1);
            conn.flags |= DONE;
            conn.answers.end(&mut self.partials);
        }
        conn.flags &= !(BEGUN | UNEXPECTED);
    }
}

impl Wire for HttpClient {
    type Conn = HttpConn;
    const MESSAGES: bool = true;

    #[inline]
    fn opened(&mut self, _: &mut HttpConn, _: u64, _: &At, _: &mut Vec<u8>) -> bool {
        true
    }

    #[inline]
    fn is_ready(&self, conn: &HttpConn) -> bool {
        conn.flags & (DONE | MUTE) == 0
    }

    #[inline]
    fn has_room(&self, conn: &HttpConn) -> bool {
        conn.under_way == 0
    }

    #[inline]
    fn sending(&mut self, conn: &mut HttpConn, messages: u32, at: &At) {
        conn.under_way = conn.under_way.saturating_add(messages as u16);
        at.counters.http.requests.add(messages.into());
    }

    fn received(
        &mut self,
        conn: &mut HttpConn,
        _: u64,
        bytes: &[u8],
        at: &At,
        _: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        let mut messages = 0;
        match self.read(conn, bytes, at, to, &mut messages) {
            Ok(()) => Received {
                messages,
                over: conn.flags & DONE != 0,
                leaving: conn.flags & MUTE != 0,
                ..Received::default()
            },
            Err(malformed) => {
                at.counters.http.malformed(malformed);
                at.counters
                    .http
                    .fail(Failed::Malformed, conn.under_way.into());
                conn.under_way = 0;
                conn.flags |= MUTE;
                Received {
                    messages,
                    leaving: true,
                    broken: true,
                    ..Received::default()
                }
            }
        }
    }

    fn farewell(&mut self, _: &mut HttpConn, _: &mut Vec<u8>) -> bool {
        false
    }

    fn is_done(&mut self, conn: &mut HttpConn, why: Closed) -> bool {
        if why == Closed::ByPeer && conn.under_way > 0 && conn.answers.ends_with_connection() {
            conn.flags |= ENDED | LAST | DONE;
        }
        conn.flags & DONE != 0
    }

    fn closed(&mut self, conn: &mut HttpConn, why: Closed, at: &At, _: &mut Measured) -> u32 {
        let ended = conn.flags & ENDED != 0;
        if ended {
            self.complete(conn, at);
        }
        let http = &at.counters.http;
        let left = u64::from(conn.under_way);
        match why {
            _ if left == 0 => {}
            // The peer closed as it had said, whatever else it was asked.
            Closed::ByUs if conn.flags & DONE != 0 => http.fail(Failed::ClosedEarly, left),
            // Cut off by the end of the run.
            Closed::ByUs => {}
            Closed::ByPeer => http.fail(Failed::ClosedEarly, left),
            Closed::ResetByPeer => http.fail(Failed::Reset, left),
            Closed::TimedOut => http.fail(Failed::TimedOut, left),
            Closed::Error => http.fail(Failed::Error, left),
        }
        conn.answers.reset(&mut self.partials);
        *conn = HttpConn::default();
        ended.into()
    }
}
