//! Which received bytes are replies to messages that were sent, and what else is found in them: message markers,
//! the text that ends the run.

use super::markers::Markers;
use super::outstanding::Queue;
use super::pattern::Pattern;
use super::rounds::Rounds;
use super::wire::TaggedReply;
use crate::behaviour::At;
use crate::pacing::Instants;
use crate::partials::Slot;
use crate::payload::{FirstMessage, Script};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use std::collections::HashMap;

/// Messages that were just dispatched to the engine.
pub struct Dispatched {
    /// The number of the first message, where replies carry ids; those of the others follow. Its id is the lower half.
    pub number: u32,
    /// How many messages end here.
    pub messages: u32,
    /// Bytes of this portion.
    pub bytes: u32,
    /// When they were due; `None` if they are not measured.
    pub due: Option<Instants>,
}

/// What was found in received bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matched {
    /// Messages that were answered.
    pub answers: u32,
    /// Messages that arrived with a marker of their own.
    pub marked: u32,
}

/// Matches received bytes with messages that were sent. [`NoMatcher`] costs nothing.
pub trait Matcher {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether it matches anything.
    const ANY: bool;

    /// Whether it needs the received bytes.
    const READS: bool = Self::ANY;

    /// Connection `uid` was established.
    fn opened(&mut self, uid: u64, at: &At);

    /// The numbers of the next messages on a connection, at most `most`, where replies carry ids: the first one, from `next`
    /// on, and how many follow each other whose ids no message without a reply has there.
    fn free_ids(&self, _: &Self::Conn, next: u32, most: u32) -> (u32, u32) {
        (next, most)
    }

    /// A portion of messages is sent.
    fn dispatched(&mut self, conn: &mut Self::Conn, what: &Dispatched, at: &At);

    /// The next bytes of the stream arrived.
    fn received(
        &mut self,
        conn: &mut Self::Conn,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> Matched;

    /// A whole message has ended, where the wire knows message boundaries. Its payload came before.
    fn message_ended(&mut self, conn: &mut Self::Conn, at: &At);

    /// `n` whole messages arrived, where the wire knows message boundaries. Returns how many messages they
    /// answered.
    fn messages(&mut self, conn: &mut Self::Conn, n: u32, at: &At, measured: &mut Measured) -> u32;

    /// A reply with an id arrived. Returns whether it answers a message.
    fn reply(
        &mut self,
        conn: &mut Self::Conn,
        reply: &TaggedReply,
        at: &At,
        measured: &mut Measured,
    ) -> bool;

    /// The first bytes of an answer arrived, where the wire knows message boundaries: the oldest message without one waits for
    /// it, but for `before` others.
    fn begun(&mut self, _: &Self::Conn, _before: u32, _: &At, _: &mut Measured) {}

    /// The answer to the oldest message without one has begun, and may last. Returns when the message was sent.
    fn stream(&mut self, _: &mut Self::Conn, _: &At, _: &mut Measured) -> Option<Time> {
        None
    }

    /// When the oldest message without an answer was sent.
    fn oldest(&self, _: &Self::Conn) -> Option<Time> {
        None
    }

    /// The connection is gone.
    fn closed(&mut self, conn: &mut Self::Conn, why: Closed, at: &At, measured: &mut Measured);
}

/// Matches nothing.
#[derive(Debug, Default)]
pub struct NoMatcher;

impl Matcher for NoMatcher {
    type Conn = ();
    const ANY: bool = false;

    #[inline]
    fn opened(&mut self, _: u64, _: &At) {}

    #[inline]
    fn dispatched(&mut self, (): &mut (), _: &Dispatched, _: &At) {}

    #[inline]
    fn received(&mut self, (): &mut (), _: &[u8], _: &At, _: &mut Measured) -> Matched {
        Matched::default()
    }

    #[inline]
    fn message_ended(&mut self, (): &mut (), _: &At) {}

    #[inline]
    fn messages(&mut self, (): &mut (), _: u32, _: &At, _: &mut Measured) -> u32 {
        0
    }

    #[inline]
    fn reply(&mut self, (): &mut (), _: &TaggedReply, _: &At, _: &mut Measured) -> bool {
        false
    }

    fn closed(&mut self, (): &mut (), _: Closed, _: &At, _: &mut Measured) {}
}

/// What answers a message.
#[derive(Clone, Debug)]
pub enum AnswerBy {
    /// As many bytes as were sent.
    Echo,
    /// This text: each occurrence answers the oldest message. The first `skip` occurrences on each connection
    /// count for nothing.
    Marker {
        /// The text.
        text: Marker,
        /// How many occurrences are skipped.
        skip: u32,
    },
    /// A whole message, where the wire knows message boundaries: the oldest message is answered first.
    Message {
        /// The first answer on each connection is compared with this: it is to be an echo.
        echo: Option<FirstMessage>,
    },
    /// A reply with the id of the message.
    Id,
}

/// The text of [`AnswerBy::Marker`].
#[derive(Clone, Debug)]
pub enum Marker {
    /// The same on all connections.
    Same(Box<Pattern>),
    /// A different one on each connection: what this script sends there first.
    OfConnection(Script),
}

/// What a [`ReplyMatcher`] matches.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// Answers.
    pub answers: Option<AnswerBy>,
    /// Whether messages are due at a time, so that there is a response time to measure.
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

/// Matches answers, message markers and the text that ends the run.
#[derive(Debug, Default)]
pub struct ReplyMatcher {
    matching: Matching,
    markers: Option<Markers>,
    rounds: Rounds,
    /// The markers of connections, where each has its own.
    own: HashMap<u32, Pattern>,
}

/// What is kept for each connection: 24 bytes.
#[derive(Debug, Default)]
pub struct MatchedConn {
    sent: Queue,
    /// Echo: bytes of the message that is being dispatched in portions. Marker: occurrences that were skipped. Message:
    /// bytes of the first answer that are those of an echo, [`DIFFERS`] or [`COMPARED`].
    progress: u32,
    /// How much of each text has arrived.
    answer: u16,
    stop: u16,
    mark: u16,
    /// The first bytes of a message marker.
    partial: Slot,
}

/// The first answer has been compared. No message has as many bytes.
const COMPARED: u32 = u32::MAX;
/// What has arrived of the first answer is no echo.
const DIFFERS: u32 = COMPARED - 1;

impl ReplyMatcher {
    /// Matches what `matching` says.
    pub fn new(matching: Matching) -> ReplyMatcher {
        ReplyMatcher {
            markers: matching.markers.then(|| Markers::new(matching.unix_us)),
            rounds: Rounds {
                paced: matching.paced,
                samples: matching.samples,
                ..Rounds::default()
            },
            matching,
            own: HashMap::new(),
        }
    }
}

impl Matcher for ReplyMatcher {
    type Conn = MatchedConn;
    const ANY: bool = true;

    fn opened(&mut self, uid: u64, at: &At) {
        if let Some(AnswerBy::Marker {
            text: Marker::OfConnection(script),
            ..
        }) = &self.matching.answers
            && let Some(pattern) = Pattern::new(&script.first_of(uid))
        {
            self.own.insert(at.id, pattern);
        }
    }

    #[inline]
    fn free_ids(&self, conn: &MatchedConn, next: u32, most: u32) -> (u32, u32) {
        match self.matching.answers {
            Some(AnswerBy::Id) => self.rounds.waiting.free_ids(conn.sent, next, most),
            _ => (next, most),
        }
    }

    fn dispatched(&mut self, conn: &mut MatchedConn, what: &Dispatched, at: &At) {
        let Some(by) = &self.matching.answers else {
            return;
        };
        // Messages that share a portion are equally long: see `Task::most`.
        let each = what.bytes / what.messages.max(1);
        let echo = matches!(by, AnswerBy::Echo);
        for n in 0..what.messages {
            let due = what.due.map(|instants| instants.nth(n));
            let id = match by {
                AnswerBy::Id => what.number.wrapping_add(n),
                AnswerBy::Echo => each + std::mem::take(&mut conn.progress),
                AnswerBy::Marker { .. } | AnswerBy::Message { .. } => 0,
            };
            // Only echoes and whole messages also answer messages that are not measured.
            if due.is_some() || echo || matches!(by, AnswerBy::Message { .. }) {
                self.rounds.sent(&mut conn.sent, due, id, at);
            }
        }
        if echo && what.messages == 0 {
            conn.progress += what.bytes;
        }
    }

    fn received(
        &mut self,
        conn: &mut MatchedConn,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> Matched {
        if let Some(stop) = &self.matching.stop {
            let found = stop.count(&mut conn.stop, bytes);
            if found > 0 {
                at.counters.stops_seen.add(found.into());
            }
        }
        let marked = match &mut self.markers {
            Some(markers) => {
                let MatchedConn { mark, partial, .. } = conn;
                markers.received(mark, partial, bytes, at, measured)
            }
            None => 0,
        };
        let answers = match &self.matching.answers {
            None | Some(AnswerBy::Id | AnswerBy::Message { echo: None }) => 0,
            Some(AnswerBy::Message { echo: Some(first) }) => {
                if conn.progress < DIFFERS {
                    conn.progress = match first.may_go_on(conn.progress, bytes) {
                        true => conn.progress + bytes.len() as u32,
                        false => DIFFERS,
                    };
                }
                0
            }
            Some(AnswerBy::Echo) => {
                let mut left = bytes.len() as u32;
                let mut answered = 0;
                while let Some(first) = self.rounds.waiting.first(conn.sent)
                    && left > 0
                {
                    let took = left.min(first.id);
                    first.id -= took;
                    left -= took;
                    if first.id == 0 {
                        answered += self.rounds.answered(&mut conn.sent, at, measured);
                    }
                }
                at.counters.excess_echoes.add((left > 0).into());
                answered
            }
            Some(AnswerBy::Marker { text, skip }) => {
                let skip = *skip;
                let text = match text {
                    Marker::Same(text) => Some(&**text),
                    Marker::OfConnection(_) => self.own.get(&at.id),
                };
                let mut found = text.map_or(0, |text| text.count(&mut conn.answer, bytes));
                let skipped = found.min(skip - conn.progress);
                conn.progress += skipped;
                found -= skipped;
                for _ in 0..skipped {
                    self.rounds.waiting.pop(&mut conn.sent);
                }
                let rounds = &mut self.rounds;
                (0..found)
                    .map(|_| rounds.answered(&mut conn.sent, at, measured))
                    .sum()
            }
        };
        Matched { answers, marked }
    }

    #[inline]
    fn message_ended(&mut self, conn: &mut MatchedConn, at: &At) {
        if let Some(AnswerBy::Message { echo: Some(first) }) = &self.matching.answers
            && conn.progress != COMPARED
        {
            // A message that nobody asked for is no answer.
            let answers = !conn.sent.is_empty();
            let differs = conn.progress == DIFFERS || !first.may_end(conn.progress);
            at.counters
                .differing_echoes
                .add((answers && differs).into());
            conn.progress = if answers { COMPARED } else { 0 };
        }
    }

    fn messages(
        &mut self,
        conn: &mut MatchedConn,
        n: u32,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        if !matches!(self.matching.answers, Some(AnswerBy::Message { .. })) {
            return 0;
        }
        let rounds = &mut self.rounds;
        (0..n)
            .map(|_| rounds.answered(&mut conn.sent, at, measured))
            .sum()
    }

    #[inline]
    fn begun(&mut self, conn: &MatchedConn, before: u32, at: &At, measured: &mut Measured) {
        self.rounds.begun(conn.sent, before, at, measured);
    }

    fn stream(&mut self, conn: &mut MatchedConn, at: &At, measured: &mut Measured) -> Option<Time> {
        self.rounds.stream(&mut conn.sent, at, measured)
    }

    fn oldest(&self, conn: &MatchedConn) -> Option<Time> {
        self.rounds.oldest(conn.sent)
    }

    fn reply(
        &mut self,
        conn: &mut MatchedConn,
        reply: &TaggedReply,
        at: &At,
        measured: &mut Measured,
    ) -> bool {
        self.rounds.replied(&mut conn.sent, reply, at, measured)
    }

    fn closed(&mut self, conn: &mut MatchedConn, why: Closed, at: &At, measured: &mut Measured) {
        self.rounds.closed(&mut conn.sent, why, at, measured);
        self.own.remove(&at.id);
        if let Some(markers) = &mut self.markers {
            markers.closed(&mut conn.partial);
        }
        *conn = MatchedConn::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_remembered_in_24_bytes() {
        assert_eq!(size_of::<MatchedConn>(), 24);
    }
}
