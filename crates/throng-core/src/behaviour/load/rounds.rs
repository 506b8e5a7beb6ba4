//! Round trips: messages that wait for their answers, and what is measured when those arrive.

use super::outstanding::{Outstanding, Queue, Sent};
use super::wire::TaggedReply;
use crate::behaviour::At;
use crate::stats::{Closed, Measured, Sample};
use crate::time::Time;
use std::time::Duration;

/// The round trips of a worker's connections.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// What waits for an answer.
    pub waiting: Outstanding,
    /// Whether messages are due at a time, so that there is a response time to measure.
    pub paced: bool,
    /// Whether each round trip is kept: see [`Measured::samples`].
    pub samples: bool,
}

impl Rounds {
    /// A message is sent. It is measured if it was due at a time.
    pub fn sent(&mut self, queue: &mut Queue, due: Option<Time>, id: u32, at: &At) {
        at.counters.questions.add(due.is_some().into());
        let sent = at.now;
        self.waiting.push(queue, Sent { due, sent, id });
    }

    /// An answer to the oldest message arrived. Returns how many round trips were measured: 0 or 1.
    pub fn answered(&mut self, queue: &mut Queue, at: &At, measured: &mut Measured) -> u32 {
        match self.waiting.pop(queue) {
            Some(sent) => self.record(&sent, None, at, measured),
            None => {
                at.counters.answers_unasked.add(1);
                0
            }
        }
    }

    /// A reply with an id arrived. Returns whether a round trip was measured.
    pub fn replied(
        &mut self,
        queue: &mut Queue,
        reply: &TaggedReply,
        at: &At,
        measured: &mut Measured,
    ) -> bool {
        let is = |sent: &Sent| sent.id as u16 == reply.id;
        match self.waiting.take(queue, is) {
            Some(sent) => self.record(&sent, Some(reply), at, measured) > 0,
            None => {
                at.counters.answers_unasked.add(1);
                false
            }
        }
    }

    /// The first bytes of an answer arrived: to the message behind `before` others.
    #[inline]
    pub fn begun(&mut self, queue: Queue, before: u32, at: &At, measured: &mut Measured) {
        if let Some(sent) = self.waiting.nth_mut(queue, before)
            && sent.due.is_some()
        {
            measured.ttfb.record_between(sent.sent, at.now);
            if self.samples {
                sent.id = (at.now.since(sent.sent).as_micros()).min(u32::MAX.into()) as u32;
            }
        }
    }

    /// The answer to the oldest message has begun, and counts as its answer. Returns when the message was sent.
    pub fn stream(&mut self, queue: &mut Queue, at: &At, measured: &mut Measured) -> Option<Time> {
        let sent = self.waiting.pop(queue)?;
        self.record(&sent, None, at, measured);
        Some(sent.sent)
    }

    /// When the oldest message was sent.
    pub fn oldest(&self, queue: Queue) -> Option<Time> {
        self.waiting.nth(queue, 0).map(|sent| sent.sent)
    }

    /// The connection is gone: nothing answers its messages any more.
    pub fn closed(&mut self, queue: &mut Queue, why: Closed, at: &At, measured: &mut Measured) {
        while let Some(sent) = self.waiting.pop(queue) {
            if sent.due.is_some() {
                at.counters.messages_unanswered.add(1);
                measured.no_answer(why, sent.sent, at.now);
            }
        }
        *queue = Queue::default();
    }

    /// Records a round trip, if it is measured. Returns how many were recorded: 0 or 1.
    fn record(
        &self,
        sent: &Sent,
        reply: Option<&TaggedReply>,
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        let Some(due) = sent.due else { return 0 };
        let took = at.now.since(sent.sent);
        if self.paced {
            measured.response.record(at.now.since(due));
        }
        measured.service.record(took);
        at.counters.answers.add(1);
        if self.samples {
            measured.samples.push(Sample {
                sent: sent.sent,
                took,
                // Answers that are whole messages have no ids: this is when the first byte arrived.
                first: match reply {
                    None => Duration::from_micros(sent.id.into()),
                    Some(_) => Duration::ZERO,
                },
                connection: at.id,
                id: reply.map_or(0, |r| r.id),
                code: reply.map_or(0, |r| r.code),
                truncated: reply.is_some_and(|r| r.truncated),
                ping: false,
            });
        }
        1
    }
}
