//! HTTP/1.1 as the wire of a load: requests are its messages, and whole answers answer them.

use super::answer::{Answers, Event, LastHead};
use super::counts::Failed;
use super::look::{Look, Looked};
use super::malformed::Malformed;
use super::most::Most;
use super::redirect::{Chain, Fields, Follow, Redirect};
use super::request::Statuses;
use crate::behaviour::{At, Choose, Pattern, Received, Receiver, Wire, starts_at};
use crate::partials::Partials;
use crate::stats::{Closed, Measured};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::num::NonZeroU16;
use std::sync::Arc;

/// What holds for all connections of a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which answers have no body, because their method is HEAD.
    pub bodiless: Bodiless,
    /// Requests on a connection before it is closed.
    pub most: Option<Most>,
    /// The seed of what is random.
    pub seed: u64,
    /// The most requests under way on a connection.
    pub depth: NonZeroU16,
    /// The text that each body must have.
    pub text: Option<Box<Pattern>>,
    /// Whether event streams are read as such.
    pub events: bool,
    /// How redirects are followed; `None` if they are not.
    pub follow: Option<Follow>,
    /// The statuses that are expected.
    pub expected: Statuses,
}

/// Which answers have no body, because the method of their requests is HEAD.
#[derive(Clone, Debug)]
pub enum Bodiless {
    /// None.
    None,
    /// All.
    All,
    /// Those to some of the requests that connections send in turn: for each target, of each of its requests.
    Some(Arc<[Box<[bool]>]>),
}

/// The client side of HTTP/1.1. Answers come in the order of their requests (RFC 9112, section 9.3.2).
/// `L` is what is looked for inside answers.
pub struct HttpClient<L: Look = ()> {
    rules: Rules,
    /// The target of a connection.
    choose: Choose,
    partials: Partials,
    last: LastHead,
    /// Requests that are being redirected.
    redirected: HashMap<u32, Box<Redirected>>,
    /// Requests without an answer, where redirects are followed and what is sent differs.
    sent: HashMap<u32, Vec<u8>>,
    looks: PhantomData<fn() -> L>,
}

/// A request that is being redirected.
#[derive(Debug)]
struct Redirected {
    chain: Chain,
    /// What becomes of it once the answer under way is complete.
    then: Redirect,
}

/// Something arrived on a connection.
struct Here<'a> {
    uid: u64,
    at: &'a At<'a>,
    /// What is sent on it.
    out: &'a mut Vec<u8>,
}

/// What is kept for each connection: 32 bytes, and 32 more if anything is looked for.
#[derive(Debug, Default)]
pub struct HttpConn<L = ()> {
    answers: Answers,
    /// Whole answers.
    answered: u32,
    /// Requests that were begun and have no whole answer.
    under_way: u16,
    flags: u16,
    looked: L,
}

/// The answer under way has begun.
const BEGUN: u16 = 1;
/// The status of the answer under way is not expected.
const UNEXPECTED: u16 = 2;
/// One of its answers was not expected.
const FAILED: u16 = 4;
/// One side said that the connection is closed after the answer under way.
const LAST: u16 = 8;
/// It is closed as was said.
const DONE: u16 = 16;
/// The answer under way was complete when the peer closed.
const ENDED: u16 = 32;
/// Nothing more is sent on it: what arrived made no sense, or the peer is about to close.
const MUTE: u16 = 64;
/// The oldest request had no answer in time.
const LATE: u16 = 128;
/// The answer under way is a redirect that is looked at.
const REDIRECTS: u16 = 256;
/// A redirect on this connection was not followed.
const STRAYED: u16 = 512;

impl<L: Look> HttpClient<L> {
    /// A client that keeps `rules`, on connections to targets that `choose` says.
    pub fn new(rules: Rules, choose: Choose) -> HttpClient<L> {
        HttpClient {
            rules,
            choose,
            partials: Partials::default(),
            last: LastHead::default(),
            redirected: HashMap::new(),
            sent: HashMap::new(),
            looks: PhantomData,
        }
    }

    /// Reads answers: returns those that are complete, and what made no sense.
    fn read(
        &mut self,
        conn: &mut HttpConn<L>,
        mut input: &[u8],
        here: &mut Here,
        to: &mut impl Receiver,
        received: &mut Received,
    ) -> Result<(), Malformed> {
        let (uid, at) = (here.uid, here.at);
        let http = &at.counters.http;
        let mut fields = Fields::default();
        loop {
            let HttpClient { rules, choose, .. } = self;
            let bodiless = || match &rules.bodiless {
                Bodiless::None => false,
                Bodiless::All => true,
                Bodiless::Some(targets) => {
                    let of = targets.get(choose(at.id)).map_or(&[][..], |of| of);
                    // As the load counts.
                    let nth = starts_at(uid, of.len()) + conn.answered as usize;
                    of.get(nth % of.len().max(1)).copied().unwrap_or(false)
                }
            };
            let (answers, partials) = (&mut conn.answers, &mut self.partials);
            let last = &mut self.last;
            let event = match L::ON || rules.follow.is_some() {
                true => answers.next_reading(&mut input, partials, bodiless, &mut fields)?,
                false => answers.next_after(last, &mut input, partials, bodiless)?,
            };
            let Some(event) = event else {
                return Ok(());
            };
            if conn.flags & BEGUN == 0 {
                conn.flags |= BEGUN;
                if conn.under_way > 0 {
                    to.begun(received.messages);
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
                    if let Some(location) = fields.location.take()
                        && self.rules.follow.is_some()
                        && conn.under_way > 0
                    {
                        self.redirect(conn, head.status, &location, here);
                        continue;
                    }
                    if !self.rules.expected.has(head.status) {
                        conn.flags |= UNEXPECTED;
                    }
                    if let Some(looked) = conn.looked.get()
                        && self.rules.events
                        && fields.streams
                        && conn.under_way > 0
                    {
                        http.streams.add(1);
                        looked.begin_stream(to.stream().unwrap_or(at.now));
                    }
                }
                Event::Data(data) => {
                    http.body_bytes.add(data.len() as u64);
                    if let Some(looked) = conn.looked.get()
                        && conn.flags & REDIRECTS == 0
                    {
                        looked.read(data, self.rules.text.as_deref(), at, to);
                    }
                    to.payload(data);
                }
                Event::End if conn.under_way == 0 => {
                    conn.flags |= MUTE;
                    conn.answers.end(&mut self.partials);
                }
                Event::End if conn.flags & REDIRECTS != 0 && self.follow(conn, here) => {}
                Event::End => {
                    match conn.looked.get().is_some_and(|looked| looked.streams()) {
                        true => received.streams += 1,
                        false => received.messages += 1,
                    }
                    self.complete(conn, uid, at);
                }
            }
        }
    }

    /// The head of a redirect came: says what becomes of it once it is complete.
    fn redirect(&mut self, conn: &mut HttpConn<L>, status: u16, location: &[u8], here: &Here) {
        let sent = self.request(conn, here);
        let Some(follow) = &self.rules.follow else {
            return;
        };
        let redirected = self.redirected.entry(here.at.id).or_insert_with(|| {
            Box::new(Redirected {
                chain: Chain::default(),
                then: Redirect::Followed,
            })
        });
        let gone = match conn.flags & LAST != 0 {
            true => Err(Redirect::Closed),
            false => redirected.chain.go(follow, &sent, status, location),
        };
        redirected.then = gone.err().unwrap_or(Redirect::Followed);
        conn.flags |= REDIRECTS;
    }

    /// A redirect is complete: sends the request where it says. Returns whether it does.
    fn follow(&mut self, conn: &mut HttpConn<L>, here: &mut Here) -> bool {
        let redirected = self.redirected.get(&here.at.id);
        let Some(redirected) = redirected.filter(|one| one.then == Redirect::Followed) else {
            return false;
        };
        let sent = self.request(conn, here);
        redirected.chain.write(&sent, here.out);
        here.at.counters.http.redirected(Redirect::Followed);
        conn.flags &= !REDIRECTS;
        true
    }

    /// The request under way, as it was sent first.
    fn request(&self, conn: &HttpConn<L>, here: &Here) -> Vec<u8> {
        let id = here.at.id;
        match (self.sent.get(&id), &self.rules.follow) {
            (Some(sent), _) => sent.clone(),
            (None, None) => Vec::new(),
            (None, Some(follow)) => follow.constant((self.choose)(id), here.uid, conn.answered),
        }
    }

    /// An answer is complete.
    fn complete(&mut self, conn: &mut HttpConn<L>, uid: u64, at: &At) {
        let http = &at.counters.http;
        conn.answered = conn.answered.wrapping_add(1);
        conn.under_way -= 1;
        let strays = conn.flags & REDIRECTS != 0;
        let looked = conn.looked.get();
        let text = self.rules.text.as_deref().filter(|_| !strays);
        let lacks = looked.is_some_and(|looked| !looked.end(text, at));
        if strays {
            let redirected = self.redirected.get(&at.id);
            if let Some(redirected) = redirected {
                http.redirected(redirected.then);
            }
            http.fail(Failed::Redirect, 1);
            http.strayed.add((conn.flags & STRAYED == 0).into());
            conn.flags |= STRAYED;
        } else if conn.flags & UNEXPECTED != 0 {
            http.fail(Failed::Status, 1);
            http.unexpected.add((conn.flags & FAILED == 0).into());
            conn.flags |= FAILED;
        } else if lacks {
            http.fail(Failed::Body, 1);
        } else {
            http.completed.add(1);
        }
        let most = self.rules.most.as_ref();
        let enough = most.is_some_and(|most| conn.answered >= most.on(uid, self.rules.seed));
        if conn.flags & LAST != 0 || enough {
            http.announced.add(1);
            conn.flags |= DONE;
            conn.answers.end(&mut self.partials);
        }
        conn.flags &= !(BEGUN | UNEXPECTED | REDIRECTS);
        self.forget(at);
    }

    /// The request under way has ended.
    fn forget(&mut self, at: &At) {
        if self.rules.follow.is_some() {
            self.redirected.remove(&at.id);
            self.sent.remove(&at.id);
        }
    }
}

impl<L: Look> Wire for HttpClient<L> {
    type Conn = HttpConn<L>;
    const MESSAGES: bool = true;
    const SKIPS: bool = !L::ON;

    #[inline]
    fn opened(&mut self, _: &mut HttpConn<L>, _: u64, _: &At, _: &mut Vec<u8>) -> bool {
        true
    }

    #[inline]
    fn is_ready(&self, conn: &HttpConn<L>) -> bool {
        conn.flags & (DONE | MUTE) == 0
    }

    #[inline]
    fn room(&self, conn: &HttpConn<L>, uid: u64) -> u32 {
        let room = u32::from(self.rules.depth.get().saturating_sub(conn.under_way));
        match &self.rules.most {
            None => room,
            // What is sent behind the last answer is lost.
            Some(most) => {
                let most = most.on(uid, self.rules.seed);
                let left = most.saturating_sub(conn.answered);
                room.min(left.saturating_sub(conn.under_way.into()))
            }
        }
    }

    #[inline]
    fn sending(&mut self, conn: &mut HttpConn<L>, messages: u32, at: &At) {
        conn.under_way = conn.under_way.saturating_add(messages as u16);
        at.counters.http.requests.add(messages.into());
    }

    #[inline]
    fn keeps(&self) -> bool {
        let follow = self.rules.follow.as_ref();
        follow.is_some_and(|follow| !follow.script.is_static())
    }

    fn wrote(&mut self, at: &At, goes_on: bool, bytes: &[u8]) {
        let sent = self.sent.entry(at.id).or_default();
        if !goes_on {
            sent.clear();
        }
        sent.extend_from_slice(bytes);
    }

    fn received(
        &mut self,
        conn: &mut HttpConn<L>,
        uid: u64,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        let mut received = Received::default();
        let mut here = Here { uid, at, out };
        match self.read(conn, bytes, &mut here, to, &mut received) {
            Ok(()) => {
                received.over = conn.flags & DONE != 0;
                received.leaving = conn.flags & MUTE != 0;
            }
            Err(malformed) => {
                at.counters.http.malformed(malformed);
                at.counters
                    .http
                    .fail(Failed::Malformed, conn.under_way.into());
                conn.under_way = 0;
                conn.flags |= MUTE;
                received.leaving = true;
                received.broken = true;
            }
        }
        received
    }

    #[inline]
    fn skips(&self, conn: &HttpConn<L>) -> u64 {
        conn.answers.before_last_byte()
    }

    fn skipped(&mut self, conn: &mut HttpConn<L>, bytes: u64, at: &At) {
        conn.answers.skip(bytes);
        at.counters.http.body_bytes.add(bytes);
    }

    fn timed_out(&mut self, conn: &mut HttpConn<L>) {
        conn.flags |= LATE;
    }

    fn farewell(&mut self, _: &mut HttpConn<L>, _: &mut Vec<u8>) -> bool {
        false
    }

    fn is_done(&mut self, conn: &mut HttpConn<L>, why: Closed) -> bool {
        if why == Closed::ByPeer && conn.under_way > 0 && conn.answers.ends_with_connection() {
            conn.flags |= ENDED | LAST | DONE;
        }
        conn.flags & DONE != 0
    }

    fn loses(&self, conn: &HttpConn<L>) -> bool {
        conn.flags & (DONE | LATE) != 0
    }

    fn closed(
        &mut self,
        conn: &mut HttpConn<L>,
        why: Closed,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        let ended = conn.flags & ENDED != 0;
        let streamed = conn.looked.get().is_some_and(|looked| looked.streams());
        if ended {
            // Whatever its number: the connection is over.
            self.complete(conn, 0, at);
        }
        if let Some(last) = conn.looked.get().and_then(Looked::stop) {
            measured
                .protocols
                .http
                .event_silence
                .record_between(last, at.now);
            let lost = why != Closed::ByUs || conn.flags & (MUTE | LATE) != 0;
            at.counters.http.streams_lost.add(lost.into());
        }
        let http = &at.counters.http;
        let left = u64::from(conn.under_way);
        http.late.add((conn.flags & LATE != 0).into());
        match why {
            _ if left == 0 => {}
            // Those behind the one that waited too long could not be answered before it.
            _ if conn.flags & LATE != 0 => http.fail(Failed::Timeout, left),
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
        self.forget(at);
        *conn = HttpConn::default();
        (ended && !streamed).into()
    }
}

#[cfg(test)]
mod tests;
