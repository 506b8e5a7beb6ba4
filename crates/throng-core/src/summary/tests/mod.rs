//! The summaries of records.

mod client;
mod merged;
mod over_time;
mod verdict;

use super::*;
use crate::capacity::LimitKind;
use crate::diagnosis::{Queue, Stopped, Unaccepted, Unread};
use crate::protocol::ProtocolKind;
use crate::protocol::dns::Rcode;
use crate::record::{
    About, Asked, AskedRate, Ending, Intervals, Mark, Part, RateChange, RateOf, Reading, Record,
    Recorder, Role, ServerEnded, ServerMemory, ServerUsed, Source, Strain, Used,
};
use crate::scenario::Tolerance;
use crate::stats::{Closed, Counters, FailCause, Measured, Tally};
use std::time::Duration;

/// Changes what was asked and how it ended.
type Change = fn(&mut Asked, &mut Ending);

fn counts(count: impl Fn(&Counters)) -> Tally {
    let counters = Counters::default();
    count(&counters);
    counters.read()
}

/// Ten connections to a server of its own, opened within a second and held for two.
fn ten() -> Part {
    let opened = counts(|c| {
        c.attempted.add(10);
        c.established.add(10);
        c.ready.add(10);
    });
    let accepted = Some(counts(|c| c.accepted.add(10)));
    let mark = |seconds| Mark {
        at: Duration::from_secs(seconds),
        opened,
        accepted,
        cpu: Duration::from_millis(seconds * 10),
    };
    let mut measured = Measured::default();
    measured.connect.record_many(Duration::from_millis(1), 10);
    Part {
        about: About {
            tool: "throng".into(),
            agent: None,
            machine: None,
            start: None,
            command: vec!["throng".into()],
            started_unix_s: 1000.0,
            kernel: "6.18".into(),
            cores: 2,
            engine: Engine::Uring,
            why_epoll: None,
            workers: 2,
            asked: Asked {
                connections: Some(10),
                own_server: true,
                ..Asked::default()
            },
            environment: Environment::default(),
        },
        intervals: Intervals::default(),
        ending: Some(Box::new(Ending {
            opened: Some(mark(1)),
            held: Some(mark(3)),
            over: mark(3),
            closed: opened,
            established: Duration::from_millis(500),
            peak: 10,
            ready_peak: 10,
            used: Used {
                user_bytes: 1 << 20,
                kernel_bytes: Some(1 << 20),
                ..Used::default()
            },
            histograms: Ending::pack(&measured),
            ..Ending::default()
        })),
    }
}

fn of_one(change: impl FnOnce(&mut Asked, &mut Ending)) -> Summary {
    let mut part = ten();
    let mut ending = part.ending.take().unwrap();
    change(&mut part.about.asked, &mut ending);
    part.ending = Some(ending);
    of(&Record::of(Source::new("a"), part))
}

fn kinds(s: &Summary) -> Vec<&'static str> {
    s.findings.iter().map(Finding::kind).collect()
}

/// Counts what happened during the hold.
fn held(ending: &mut Ending, count: impl Fn(&Counters)) {
    let more = counts(count);
    ending.over.opened += more;
    ending.over.accepted.as_mut().unwrap().accepted += more.established;
    ending.held.as_mut().unwrap().opened += more;
}

/// Four connections were lost, and opened again.
fn reopened(c: &Counters) {
    c.closed(Closed::ByPeer, 4);
    c.unready.add(4);
    c.attempted.add(4);
    c.established.add(4);
    c.ready.add(4);
}

/// Two answers came, of which the DNS server refused `n`.
fn refused(a: &mut Asked, e: &mut Ending, n: u64) {
    (a.protocol, a.answers) = (ProtocolKind::Dns, true);
    e.closed.questions = 2;
    e.closed.answers = 2;
    e.closed += counts(|c| (0..n).for_each(|_| c.dns.answered_with_error(Rcode::from_bits(5))));
}

/// Of two messages `n` were not answered.
fn unanswered(ending: &mut Ending, n: u32) {
    ending.closed += counts(|c| {
        c.questions.add(2);
        c.messages_unanswered.add(n.into());
        c.answers.add(u64::from(2 - n));
    });
    let mut measured = Measured::default();
    measured.unanswered.record_many(Duration::from_secs(2), n);
    ending.histograms.extend(Ending::pack(&measured));
}

/// Of 100 bytes sent, these were unread at the end of the hold and later.
fn unread(ending: &mut Ending, bytes: u64, later: Option<u64>) {
    held(ending, |c| c.bytes_sent.add(100));
    let over = &mut ending.over;
    over.accepted.as_mut().unwrap().bytes_received += over.opened.bytes_sent;
    ending.unread = Unread { bytes, later };
}

fn expecting(all: &[&str]) -> Vec<crate::expect::Expectation> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}
