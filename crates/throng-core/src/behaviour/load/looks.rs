//! What a load looks for in what comes back: answers to its messages, markers, the text that ends the run.

use super::outstanding::{Outstanding, Queue, Sent};
use super::pattern::Pattern;
use crate::behaviour::At;
use crate::pacing::Instants;
use crate::payload::Script;
use crate::protocol::dns::{Answer, Answers};
use crate::stats::{Measured, Sample};
use crate::time::Time;
use std::collections::HashMap;

/// Messages that have just been handed to the engine.
pub struct Handed {
    /// The first one's number among DNS ids; the others follow.
    pub dns_id: u16,
    /// How many messages end here.
    pub messages: u32,
    /// Bytes of this portion.
    pub bytes: u32,
    /// When they were due; `None` if nobody measures them.
    pub due: Option<Instants>,
}

/// What was found in bytes that came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Messages that were answered.
    pub answers: u32,
    /// Messages that came with a marker of their own.
    pub marked: u32,
    /// This can't be what is spoken here: the connection is of no use.
    pub broken: bool,
}

/// What a load looks for. [`Nothing`] costs nothing.
pub trait Looks {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether anything is looked for.
    const ANY: bool;

    /// Connection `uid` is up.
    fn opened(&mut self, uid: u64, at: &At);

    /// A portion of messages goes out.
    fn handed(&mut self, conn: &mut Self::Conn, what: &Handed, now: Time);

    /// The next bytes of the stream came.
    fn received(
        &mut self,
        conn: &mut Self::Conn,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> Seen;

    /// `n` whole messages came, where what carries them tells (WebSocket). Returns how many messages were
    /// answered by that.
    fn messages(&mut self, conn: &mut Self::Conn, n: u32, at: &At, measured: &mut Measured) -> u32;

    /// The connection is gone.
    fn closed(&mut self, conn: &mut Self::Conn, at: &At);
}

/// Looks for nothing.
#[derive(Debug, Default)]
pub struct Nothing;

impl Looks for Nothing {
    type Conn = ();
    const ANY: bool = false;

    #[inline]
    fn opened(&mut self, _: u64, _: &At) {}

    #[inline]
    fn handed(&mut self, (): &mut (), _: &Handed, _: Time) {}

    #[inline]
    fn received(&mut self, (): &mut (), _: &[u8], _: &At, _: &mut Measured) -> Seen {
        Seen::default()
    }

    #[inline]
    fn messages(&mut self, (): &mut (), _: u32, _: &At, _: &mut Measured) -> u32 {
        0
    }

    fn closed(&mut self, (): &mut (), _: &At) {}
}

/// What answers a message.
#[derive(Clone, Debug)]
pub enum AnswerBy {
    /// As many bytes as were sent.
    Echo,
    /// This text: each time it is seen it answers the oldest message. The first `skip` times on each
    /// connection count for nothing.
    Marker {
        /// The text.
        text: Marker,
        /// How often it is passed over.
        skip: u32,
    },
    /// A whole message (WebSocket).
    Message,
    /// A DNS message over TCP with the same id (RFC 7766).
    Dns,
}

/// The text of [`AnswerBy::Marker`].
#[derive(Clone, Debug)]
pub enum Marker {
    /// The same on all connections.
    Same(Box<Pattern>),
    /// Another one on each: what this script sends there first.
    OfConnection(Script),
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct LookFor {
    /// Answers.
    pub answers: Option<AnswerBy>,
    /// Whether messages are due at a time, so that there is a response time to tell.
    pub paced: bool,
    /// Whether each round trip is kept: see [`Measured::samples`].
    pub samples: bool,
    /// The text that ends the run.
    pub stop: Option<Pattern>,
    /// Message markers.
    pub markers: bool,
    /// When the run began: microseconds since 1970, as in message markers.
    pub unix_us: u64,
}

/// Looks for answers, message markers, and the text that ends the run.
#[derive(Debug, Default)]
pub struct Watching {
    look_for: LookFor,
    markers: Option<Markers>,
    outstanding: Outstanding,
    /// The markers of connections, where each has its own.
    own: HashMap<u32, Pattern>,
}

/// What a connection that is watched remembers.
#[derive(Debug, Default)]
pub struct WatchedConn {
    sent: Queue,
    /// Echo: bytes of the message that is being handed over in portions.
    handed: u32,
    /// Marker: how often it was seen, up to what is passed over.
    seen: u32,
    dns: Answers,
    answer: u16,
    stop: u16,
    mark: u16,
    /// The beginning of a marker waits in [`Markers::halves`].
    half: bool,
}

impl Watching {
    /// Looks for these.
    pub fn new(look_for: LookFor) -> Watching {
        Watching {
            markers: look_for.markers.then(|| Markers::new(look_for.unix_us)),
            look_for,
            outstanding: Outstanding::default(),
            own: HashMap::new(),
        }
    }

    fn answered(&mut self, conn: &mut WatchedConn, at: &At, measured: &mut Measured) -> u32 {
        match self.outstanding.pop(&mut conn.sent) {
            Some(sent) => self.look_for.record(&sent, None, at, measured),
            None => {
                at.counters.answers_unasked.add(1);
                0
            }
        }
    }

    /// Takes note of DNS answers.
    fn dns(
        &mut self,
        conn: &mut WatchedConn,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> Seen {
        let mut answers = 0;
        let WatchedConn { dns, sent, .. } = conn;
        let fed = dns.feed(bytes, |answer| {
            let is = |sent: &Sent| sent.what == u32::from(answer.id);
            let Some(query) = self.outstanding.take(sent, is) else {
                at.counters.answers_unasked.add(1);
                return;
            };
            answers += self.look_for.record(&query, Some(answer), at, measured);
            if answer.rcode.is_error() {
                at.counters.dns.answered_with_error(answer.rcode);
            }
        });
        if fed.is_err() {
            at.counters.dns.not_dns.add(1);
        }
        Seen {
            answers,
            marked: 0,
            broken: fed.is_err(),
        }
    }
}

impl LookFor {
    /// Takes note of a round trip, if anybody measures it. Returns how many that are.
    fn record(&self, sent: &Sent, dns: Option<Answer>, at: &At, measured: &mut Measured) -> u32 {
        let Some(due) = sent.due else { return 0 };
        let took = at.now.since(sent.sent);
        if self.paced {
            measured.response.record(at.now.since(due));
        }
        measured.service.record(took);
        if self.samples {
            measured.samples.push(Sample {
                sent: sent.sent,
                took,
                connection: at.id,
                query: dns.map_or(0, |a| a.id),
                rcode: dns.map_or(0, |a| a.rcode.number()),
                truncated: dns.is_some_and(|a| a.truncated),
            });
        }
        1
    }
}

impl Looks for Watching {
    type Conn = WatchedConn;
    const ANY: bool = true;

    fn opened(&mut self, uid: u64, at: &At) {
        if let Some(AnswerBy::Marker {
            text: Marker::OfConnection(script),
            ..
        }) = &self.look_for.answers
            && let Some(pattern) = Pattern::new(&script.first_of(uid))
        {
            self.own.insert(at.id, pattern);
        }
    }

    fn handed(&mut self, conn: &mut WatchedConn, what: &Handed, now: Time) {
        let Some(by) = &self.look_for.answers else {
            return;
        };
        // Messages that share a portion are equally long: see `Load::most`.
        let each = what.bytes / what.messages.max(1);
        for n in 0..what.messages {
            let bytes = each + std::mem::take(&mut conn.handed);
            let due = what.due.map(|instants| instants.nth(n));
            // Only an echo answers what nobody measures, too.
            if due.is_some() || matches!(by, AnswerBy::Echo | AnswerBy::Message) {
                let sent = Sent {
                    due,
                    sent: now,
                    what: match by {
                        AnswerBy::Dns => what.dns_id.wrapping_add(n as u16).into(),
                        _ => bytes,
                    },
                };
                self.outstanding.push(&mut conn.sent, sent);
            }
        }
        if what.messages == 0 {
            conn.handed += what.bytes;
        }
    }

    fn received(
        &mut self,
        conn: &mut WatchedConn,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> Seen {
        if let Some(stop) = &self.look_for.stop {
            let seen = stop.count(&mut conn.stop, bytes);
            if seen > 0 {
                at.counters.stops_seen.add(seen.into());
            }
        }
        let marked = match &mut self.markers {
            Some(markers) => markers.received(conn, at, bytes, measured),
            None => 0,
        };
        let answers = match &self.look_for.answers {
            None | Some(AnswerBy::Message) => 0,
            Some(AnswerBy::Dns) => {
                return Seen {
                    marked,
                    ..self.dns(conn, bytes, at, measured)
                };
            }
            Some(AnswerBy::Echo) => {
                let mut left = bytes.len() as u32;
                let mut answered = 0;
                while let Some(first) = self.outstanding.first(conn.sent)
                    && left > 0
                {
                    let took = left.min(first.what);
                    first.what -= took;
                    left -= took;
                    if first.what == 0 {
                        answered += self.answered(conn, at, measured);
                    }
                }
                answered
            }
            Some(AnswerBy::Marker { text, skip }) => {
                let skip = *skip;
                let text = match text {
                    Marker::Same(text) => Some(&**text),
                    Marker::OfConnection(_) => self.own.get(&at.id),
                };
                let mut found = text.map_or(0, |text| text.count(&mut conn.answer, bytes));
                let passed_over = found.min(skip - conn.seen);
                conn.seen += passed_over;
                found -= passed_over;
                for _ in 0..passed_over {
                    self.outstanding.pop(&mut conn.sent);
                }
                (0..found).map(|_| self.answered(conn, at, measured)).sum()
            }
        };
        Seen {
            answers,
            marked,
            broken: false,
        }
    }

    fn messages(
        &mut self,
        conn: &mut WatchedConn,
        n: u32,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        if !matches!(self.look_for.answers, Some(AnswerBy::Message)) {
            return 0;
        }
        (0..n).map(|_| self.answered(conn, at, measured)).sum()
    }

    fn closed(&mut self, conn: &mut WatchedConn, at: &At) {
        let unanswered = self.outstanding.clear(&mut conn.sent);
        at.counters.messages_unanswered.add(unanswered);
        self.own.remove(&at.id);
        if conn.half
            && let Some(markers) = &mut self.markers
        {
            markers.halves.remove(&at.id);
        }
        *conn = WatchedConn::default();
    }
}

/// Finds message markers (`TCPKaliMsgTS-`, 16 hexadecimal digits, `.`) and how old they are.
#[derive(Debug)]
struct Markers {
    head: Pattern,
    unix_us: u64,
    /// Of connections whose last piece ended behind a head: what came of the rest.
    halves: HashMap<u32, Vec<u8>>,
}

/// What follows the head of a marker: the digits and a full stop.
const MARK_BYTES: usize = 17;

impl Markers {
    fn new(unix_us: u64) -> Markers {
        Markers {
            head: Pattern::new(b"TCPKaliMsgTS-").expect("a text"),
            unix_us,
            halves: HashMap::new(),
        }
    }

    /// Returns how many markers ended in `bytes`.
    fn received(
        &mut self,
        conn: &mut WatchedConn,
        at: &At,
        bytes: &[u8],
        measured: &mut Measured,
    ) -> u32 {
        let mut found = 0;
        let mut rest = bytes;
        if conn.half
            && let Some(mut half) = self.halves.remove(&at.id)
        {
            let missing = (MARK_BYTES - half.len()).min(rest.len());
            half.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            if half.len() < MARK_BYTES {
                self.halves.insert(at.id, half);
                return 0;
            }
            conn.half = false;
            found += self.mark(&half, at, measured);
        }
        while let Some(after) = self.head.next(&mut conn.mark, rest) {
            rest = &rest[after..];
            if rest.len() < MARK_BYTES {
                self.halves.insert(at.id, rest.to_vec());
                conn.half = true;
                return found;
            }
            found += self.mark(&rest[..MARK_BYTES], at, measured);
            rest = &rest[MARK_BYTES..];
        }
        found
    }

    /// Takes note of a marker, if it is one.
    fn mark(&self, mark: &[u8], at: &At, measured: &mut Measured) -> u32 {
        let digits = mark
            .strip_suffix(b".")
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let Some(us) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return 0;
        };
        // A sender whose clock is ahead of ours counts as one that took no time.
        let now_us = self.unix_us + at.now.0 / 1000;
        let took = std::time::Duration::from_micros(now_us.saturating_sub(us));
        measured.marked.record(took);
        1
    }
}
