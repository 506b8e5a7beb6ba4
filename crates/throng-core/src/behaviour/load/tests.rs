//! Tests of [`super::Load`]: the rig, and a file for each subject.

mod closed_loop;
mod life;
mod replies;
mod requests;
mod sending;

use super::*;
use crate::behaviour::Transmit;
use crate::pacing::Spacing;
use crate::payload::{Framing, Message, Messages, ParseOptions, Part, Script, parse};
use crate::protocol::raw::Raw;
use crate::stats::Counters;
use crate::units::{Bandwidth, Rate};

const MS: u64 = 1_000_000;

fn message(text: &str) -> Message {
    let options = ParseOptions {
        unescape: false,
        files: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    parse(text.as_bytes(), &options).expect("a message")
}

fn task(pacing: Pacing, first: &[&str], repeated: &[&str]) -> Task {
    let all = |texts: &[&str]| texts.iter().map(|t| message(t)).collect();
    let messages = Messages {
        first: all(first),
        repeated: all(repeated),
    };
    let script = Script::new(&messages, Framing::Raw, 8, 1).expect("a script");
    Task::new(script, pacing)
}

fn rate(per_second: f64) -> Pacing {
    Pacing::Rate(Rate::per_second(per_second).unwrap())
}

const LOOP: Pacing = Pacing::ClosedLoop { in_flight: None };

/// A load and some of its connections; each event at a time in milliseconds.
struct Rig<L: Matcher = NoMatcher> {
    load: Load<Raw, L>,
    conns: Vec<LoadConn<(), L::Conn>>,
    counters: Counters,
    /// What was sent last.
    bytes: Vec<u8>,
}

impl Rig {
    fn new(task: Task) -> Rig {
        Rig::matching(task, NoMatcher)
    }
}

impl<L: Matcher> Rig<L> {
    fn matching(task: Task, matcher: L) -> Rig<L> {
        Rig {
            load: Load::new(task, Traffic::On, Raw, matcher),
            conns: (0..4).map(|_| LoadConn::default()).collect(),
            counters: Counters::default(),
            bytes: Vec::new(),
        }
    }

    fn at(
        &mut self,
        id: usize,
        ms: u64,
        event: impl FnOnce(&mut Load<Raw, L>, &mut LoadConn<(), L::Conn>, &At, &mut Outbox),
    ) -> Outbox {
        let mut out = Outbox::default();
        let at = At {
            id: id as u32,
            now: Time(ms * MS),
            up_us: 0,
            counters: &self.counters,
        };
        event(&mut self.load, &mut self.conns[id], &at, &mut out);
        self.bytes = match &out.send {
            Transmit::Memory(r) => self.load.memory()[r.start as usize..r.end as usize].to_vec(),
            _ => out.bytes.clone(),
        };
        out
    }

    fn opened(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.opened(c, at, out))
    }

    /// The send that connection `id` requested last is complete.
    fn sent(&mut self, id: usize, ms: u64) -> Outbox {
        let n = self.bytes.len();
        self.at(id, ms, |l, c, at, out| l.sent(c, n, at, out))
    }

    fn woken(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.woken(c, at, out))
    }

    fn turn(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.turn(c, at, out))
    }

    /// Bytes arrive, as an engine reports them.
    fn received(&mut self, id: usize, ms: u64, bytes: &[u8]) -> Outbox {
        let counts = match self.load.reads() {
            Reads::Looks => !self.load.looks(&self.conns[id]),
            reads => reads == Reads::Counts,
        };
        self.at(id, ms, |l, c, at, out| match counts {
            true => l.counted(c, bytes.len(), at, out),
            false => l.received(c, bytes, at, out),
        })
    }

    fn closed(&mut self, id: usize, ms: u64) {
        self.at(id, ms, |l, c, at, _| l.closed(c, Closed::ByPeer, at));
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("text")
    }
}

fn p50(durations: &crate::stats::Durations) -> Option<u128> {
    durations.percentile(50.0).map(|d| d.as_millis())
}

fn matcher(by: Option<AnswerBy>) -> ReplyMatcher {
    ReplyMatcher::new(Matching {
        answers: by,
        paced: true,
        samples: false,
        stop: Pattern::new(b"STOP"),
        markers: true,
        unix_us: 1_000_000,
    })
}

fn marker(skip: u32) -> Option<AnswerBy> {
    let text = Marker::Same(Box::new(Pattern::new(b"ok").unwrap()));
    Some(AnswerBy::Marker { text, skip })
}
