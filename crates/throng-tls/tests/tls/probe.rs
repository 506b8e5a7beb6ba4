//! A behaviour that sends what a test asks for and remembers every event.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Traffic, Transmit};
use throng_core::stats::Closed;
use throng_core::time::Time;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Memory(Range<u32>),
    Bytes(Vec<u8>),
}

impl Step {
    pub fn bytes(&self, memory: &[u8]) -> Vec<u8> {
        match self {
            Step::Memory(r) => memory[r.start as usize..r.end as usize].to_vec(),
            Step::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// What it does with what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    Back,
    Reply,
}

/// What happened to it.
#[derive(Debug, Default)]
pub struct Seen {
    pub opened: Vec<u32>,
    pub started: u32,
    pub turns: u32,
    pub got: Vec<u8>,
    pub sent: Vec<usize>,
    pub closed: Vec<Closed>,
}

pub struct Probe {
    pub memory: Arc<[u8]>,
    pub steps: Vec<Step>,
    pub answer: Answer,
    /// Close when all steps are sent and this many bytes received.
    pub close_after: Option<usize>,
    pub reads: Reads,
    /// Close together with the last send, before that is reported.
    pub close_with_last: bool,
    /// With [`Reads::Asked`]: how much to ask for at a time.
    pub ask: u32,
    pub traffic: Traffic,
    pub seen: Rc<RefCell<Seen>>,
}

#[derive(Default)]
pub struct ProbeConn {
    next: usize,
    got: usize,
}

impl Probe {
    pub fn new(steps: Vec<Step>, answer: Answer) -> Probe {
        Probe {
            memory: memory(),
            steps,
            answer,
            close_after: None,
            close_with_last: false,
            reads: Reads::All,
            ask: 0,
            traffic: Traffic::On,
            seen: Rc::default(),
        }
    }

    fn next(&mut self, conn: &mut ProbeConn, out: &mut Outbox) {
        if self.traffic != Traffic::On {
            return;
        }
        if let Some(step) = self.steps.get(conn.next) {
            conn.next += 1;
            match step {
                Step::Memory(range) => out.send = Transmit::Memory(range.clone()),
                Step::Bytes(bytes) => {
                    out.bytes.extend_from_slice(bytes);
                    out.send = Transmit::Bytes;
                }
            }
            if self.close_with_last && conn.next == self.steps.len() {
                out.close = true;
            }
        } else {
            conn.next = self.steps.len() + 1;
        }
        self.close_if_done(conn, out);
    }

    fn close_if_done(&self, conn: &ProbeConn, out: &mut Outbox) {
        if conn.next > self.steps.len() && self.close_after.is_some_and(|n| conn.got >= n) {
            out.close = true;
        }
    }
}

/// 200,000 bytes that differ from their neighbours.
pub fn memory() -> Arc<[u8]> {
    (0..200_000u32)
        .map(|i| (i.wrapping_mul(i) / 7) as u8)
        .collect()
}

impl Behaviour for Probe {
    type Conn = ProbeConn;

    fn memory(&self) -> Arc<[u8]> {
        self.memory.clone()
    }

    fn reads(&self) -> Reads {
        self.reads
    }

    fn opened(&mut self, conn: &mut ProbeConn, at: &At, out: &mut Outbox) {
        *conn = ProbeConn::default();
        self.seen.borrow_mut().opened.push(at.id);
        out.read = self.ask;
        self.next(conn, out);
    }

    fn started(&mut self, conn: &mut ProbeConn, _: &At, out: &mut Outbox) {
        self.seen.borrow_mut().started += 1;
        self.next(conn, out);
    }

    fn turn(&mut self, _: &mut ProbeConn, _: &At, _: &mut Outbox) {
        self.seen.borrow_mut().turns += 1;
    }

    fn received(&mut self, conn: &mut ProbeConn, bytes: &[u8], _: &At, out: &mut Outbox) {
        self.seen.borrow_mut().got.extend_from_slice(bytes);
        conn.got += bytes.len();
        out.read = self.ask;
        match self.answer {
            Answer::Nothing => {}
            Answer::Back => out.send = Transmit::Back,
            Answer::Reply => {
                out.bytes.extend_from_slice(bytes);
                out.send = Transmit::Reply;
            }
        }
        self.close_if_done(conn, out);
    }

    fn sent(&mut self, conn: &mut ProbeConn, n: usize, _: &At, out: &mut Outbox) {
        self.seen.borrow_mut().sent.push(n);
        self.next(conn, out);
    }

    fn closed(&mut self, _: &mut ProbeConn, why: Closed, _: &At) {
        self.seen.borrow_mut().closed.push(why);
    }

    fn traffic(&mut self, traffic: Traffic, _: Time) {
        self.traffic = traffic;
    }
}
