//! What a client looks for inside answers, where it is asked to: a text, and events.

use super::events::{Events, Found};
use crate::behaviour::{At, Pattern, Receiver};
use crate::stats::{Durations, Measured};
use crate::time::Time;
use std::fmt::Debug;

/// What is kept of a connection for that: [`Looked`], or nothing where nothing is looked for.
pub trait Look: Debug + Default + Send + 'static {
    /// Whether anything is looked for.
    const ON: bool;

    /// What is known so far.
    fn get(&mut self) -> Option<&mut Looked>;
}

/// Looks for nothing, and costs nothing.
impl Look for () {
    const ON: bool = false;

    #[inline]
    fn get(&mut self) -> Option<&mut Looked> {
        None
    }
}

impl Look for Looked {
    const ON: bool = true;

    #[inline]
    fn get(&mut self) -> Option<&mut Looked> {
        Some(self)
    }
}

/// What is known of the answer under way: 32 bytes.
#[derive(Debug, Default)]
pub struct Looked {
    events: Events,
    /// How much of the text has arrived.
    matched: u16,
    flags: u8,
}

/// The text was found.
const FOUND: u8 = 1;
/// The answer is a stream of events.
const STREAMS: u8 = 2;
/// An answer on this connection lacked the text.
const LACKED: u8 = 4;

impl Looked {
    /// Whether the answer under way is a stream of events.
    pub(super) fn streams(&self) -> bool {
        self.flags & STREAMS != 0
    }

    /// A stream of events begins, which was asked for at `sent`.
    pub(super) fn begin_stream(&mut self, sent: Time) {
        self.flags |= STREAMS;
        self.events = Events::new(sent);
    }

    /// Reads bytes of a body, in which `text` is looked for.
    pub(super) fn read(
        &mut self,
        data: &[u8],
        text: Option<&Pattern>,
        at: &At,
        to: &mut impl Receiver,
    ) {
        if let Some(text) = text
            && self.flags & FOUND == 0
            && text.next(&mut self.matched, data).is_some()
        {
            self.flags |= FOUND;
        }
        if self.streams() {
            let http = &at.counters.http;
            self.events.read(data, |last, found| match found {
                Found::Event { first } => {
                    http.events.add(1);
                    to.took(if first { first_event } else { event_gap }, *last);
                    *last = at.now;
                }
                Found::Missed(events) => http.events_missed.add(events),
                Found::Stamp(us) => to.stamp(event_age, us),
            });
        }
    }

    /// An answer is complete. Returns whether it has `text`, if that was looked for.
    pub(super) fn end(&mut self, text: Option<&Pattern>, at: &At) -> bool {
        let has = text.is_none() || self.flags & FOUND != 0;
        if !has {
            at.counters
                .http
                .lacking
                .add((self.flags & LACKED == 0).into());
            self.flags |= LACKED;
        }
        if self.streams() {
            at.counters.http.streams_ended.add(1);
        }
        self.flags &= LACKED;
        self.matched = 0;
        has
    }

    /// The stream under way will not go on. Returns when its last event came.
    pub(super) fn stop(&mut self) -> Option<Time> {
        let stood = self.streams();
        self.flags &= !STREAMS;
        stood.then_some(self.events.last)
    }
}

fn first_event(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.http.first_event
}

fn event_gap(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.http.event_gap
}

fn event_age(measured: &mut Measured) -> &mut Durations {
    &mut measured.protocols.http.event_age
}
