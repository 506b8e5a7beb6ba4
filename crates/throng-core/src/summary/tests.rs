//! The summaries of records.

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

/// Changes what was asked and how it ended.
type Change = fn(&mut Asked, &mut Ending);

#[test]
fn a_verdict_says_what_fell_short_and_what_is_only_worth_knowing() {
    let cases: [(Change, bool, &[&str]); 38] = [
        (|_, _| {}, true, &[]),
        (
            |a, _| a.connections = Some(11),
            false,
            &["connections_missing"],
        ),
        // The kernel holds what a server has not accepted.
        (
            |_, e| {
                let queue = Queue {
                    target: std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
                    waiting: 4,
                    limit: 128,
                };
                let server = None;
                e.unaccepted = vec![Unaccepted { queue, server }];
            },
            false,
            &["in_accept_queue"],
        ),
        // Nothing listens there: it is the other end of itself.
        (
            |_, e| e.to_themselves = vec![([127, 0, 0, 1], 40000).into()],
            false,
            &["connected_to_itself"],
        ),
        // Its age is not known.
        (
            |_, e| e.over.opened += counts(|c| c.markers_ahead.add(1)),
            true,
            &["markers_ahead"],
        ),
        // Twenty handshakes, but never more than nine at once.
        (
            |_, e| {
                e.ready_peak = 9;
                held(e, |c| c.ready.add(10));
            },
            false,
            &["connections_missing"],
        ),
        // All at one instant, but lost before the hold began.
        (
            |_, e| {
                e.opened.as_mut().unwrap().opened += counts(|c| {
                    c.closed(Closed::ByPeer, 10);
                    c.unready.add(10);
                });
                held(e, |c| {
                    c.closed(Closed::ByPeer, 10);
                    c.unready.add(10);
                });
            },
            false,
            &["connections_missing"],
        ),
        // What the kernel could not deliver was not sent.
        (|_, e| e.undelivered.unread = 1, false, &["undelivered"]),
        // Reads while connections are closed are in no other count.
        (|_, e| e.closed.excess_echoes = 1, true, &[]),
        (|_, e| e.over.opened.excess_echoes = 1, false, &["no_echo"]),
        // A peer that does not keep up with a rate, and one that reads slowly where none was asked for.
        (
            |a, e| {
                a.paced = true;
                unread(e, 10, Some(2));
            },
            false,
            &["unread"],
        ),
        (
            |a, e| {
                a.paced = true;
                unread(e, 10, Some(1));
            },
            true,
            &["unread"],
        ),
        (|_, e| unread(e, 80, Some(70)), true, &["unread"]),
        (|_, e| unread(e, 9, None), true, &[]),
        // A stopped server serves nobody.
        (
            |_, e| {
                e.stopped = vec![Stopped {
                    at_end: true,
                    ..Stopped::default()
                }]
            },
            false,
            &["server_stopped"],
        ),
        // Some answers came unasked: which, is not known.
        (
            |_, e| e.closed.answers_unasked = 1,
            false,
            &["answers_unasked"],
        ),
        (
            |_, e| {
                e.closed.answers = 2;
                e.closed.answers_unasked = 1;
            },
            true,
            &["answers_unasked"],
        ),
        // Nobody got what was asked for.
        (|a, e| refused(a, e, 2), false, &["answers_with_error"]),
        (|a, e| refused(a, e, 1), true, &["answers_with_error"]),
        (
            |a, e| {
                a.expect = vec!["with_error>0".parse().unwrap()];
                refused(a, e, 2);
            },
            true,
            &[],
        ),
        // One that is never completed.
        (
            |_, e| {
                e.ready_peak = 9;
                e.held.as_mut().unwrap().opened.ready = 9;
            },
            false,
            &["handshakes_missing"],
        ),
        (
            |_, e| held(e, |c| c.closed(Closed::ByPeer, 4)),
            false,
            &["connections_lost"],
        ),
        // Reopened: not held all the same.
        (|_, e| held(e, reopened), false, &["connections_lost"]),
        (
            |a, e| {
                a.allow.lost = Tolerance::Count(4);
                held(e, reopened);
            },
            true,
            &["connections_lost"],
        ),
        // One announced that it would close.
        (
            |_, e| held(e, |c| c.unready.add(1)),
            false,
            &["connections_lost"],
        ),
        // While others were opened.
        (
            |_, e| {
                e.opened.as_mut().unwrap().opened += counts(reopened);
                held(e, reopened);
            },
            true,
            &["connections_reopened"],
        ),
        // After the hold.
        (
            |_, e| e.over.opened += counts(|c| c.closed(Closed::ByPeer, 4)),
            true,
            &[],
        ),
        (
            |a, e| {
                a.hold_s = Some(5.0);
                e.timed_out = true;
            },
            false,
            &["hold_cut_short"],
        ),
        (|_, e| unanswered(e, 1), false, &["messages_unanswered"]),
        (
            |a, e| {
                a.allow.unanswered = Tolerance::Percent(50.0);
                unanswered(e, 1);
            },
            true,
            &["messages_unanswered"],
        ),
        // None at all was answered.
        (
            |a, e| {
                a.allow.unanswered = Tolerance::Percent(100.0);
                unanswered(e, 2);
            },
            false,
            &["messages_unanswered"],
        ),
        (
            |a, e| {
                a.lifetime = true;
                held(e, |c| {
                    c.closed(Closed::ByUs, 4);
                    c.unready.add(4);
                });
            },
            true,
            &[],
        ),
        (
            |_, e| held(e, |c| c.failed(FailCause::Refused)),
            true,
            &["attempts_failed"],
        ),
        (
            |_, e| e.over.opened.bytes_sent = 1,
            false,
            &["bytes_missing"],
        ),
        (
            |_, e| e.over.accepted.as_mut().unwrap().accepted = 9,
            false,
            &["not_accepted"],
        ),
        (
            |_, e| e.over.opened.messages_unsent = 1,
            true,
            &["messages_unsent"],
        ),
        (
            |a, _| {
                a.messages = Some(RateOf::Sent);
                a.rate = AskedRate::Constant(100.0);
            },
            false,
            &["rate_missed"],
        ),
        (
            |_, e| e.unreported = vec!["no space left".into()],
            false,
            &["unreported"],
        ),
    ];
    for (change, reached, expected) in cases {
        let s = of_one(change);
        assert_eq!((s.reached, kinds(&s).as_slice()), (reached, expected));
    }
}

#[test]
fn the_limit_that_was_met_is_reported_once_and_first() {
    let met = Diagnosis {
        limit: LimitKind::FourTuples,
        allows: Some(10),
        certain: true,
        what: "no port was left".into(),
        remedy: "Add source addresses.".into(),
    };
    let s = of_one(|asked, ending| {
        asked.connections = Some(20);
        ending.causes = vec![met.clone()];
        held(ending, |c| {
            c.attempted.add(10);
            (0..10).for_each(|_| c.failed(FailCause::NoAddress));
        });
    });
    assert_eq!(kinds(&s), ["connections_missing", "attempts_failed"]);
    assert_eq!(s.findings[0].limit(), Some(LimitKind::FourTuples));
    let Finding::AttemptsFailed { remedy, .. } = &s.findings[1] else {
        panic!("{:?}", s.findings)
    };
    assert_eq!(*remedy, None, "the limit has it");
    let text = s.findings[0].to_string();
    assert_eq!(
        text,
        "10 of 20 connections: no port was left. Add source addresses."
    );
}

#[test]
fn a_server_that_ran_short_of_memory_fell_short() {
    let s = of_one(|asked, ending| {
        (asked.role, asked.connections) = (Role::Serve, None);
        ending.memory_left = Some(200 << 20);
    });
    assert_eq!((s.role.as_str(), s.reached), ("serve", false));
    assert_eq!(kinds(&s), ["accepting_stopped"]);
    assert_eq!(s.connections.accepted, Some(10));
    assert_eq!((s.set_up, s.steady, s.hold_s), (None, None, None));
}

#[test]
fn a_server_that_was_full_fell_short() {
    let s = of_one(|asked, ending| {
        (asked.role, asked.connections) = (Role::Serve, None);
        ending.full = Some(LimitKind::Conntrack);
    });
    assert!(!s.reached);
    assert_eq!(kinds(&s), ["accepting_full"]);
}

#[test]
fn kernel_memory_that_is_not_the_sockets_is_told_as_unsure() {
    // 4.65 KiB for each of the 20,000 sockets is typical.
    for (kib_per_connection, sure) in [(0.6, false), (8.5, true), (9.4, true), (40.0, false)] {
        let s = of_one(|asked, ending| {
            asked.connections = Some(10_000);
            ending.peak = 10_000;
            ending.kernel_sockets = Some(20_000);
            ending.used.kernel_bytes = Some((kib_per_connection * 10_240_000.0) as u64);
        });
        assert_eq!(s.cost.kernel_bytes_sure, sure, "{kib_per_connection}");
    }
}

#[test]
fn sources_add_up_but_for_what_is_of_an_instant_or_a_machine() {
    let record = |name: &str, started_unix_s: f64| {
        let mut part = ten();
        part.about.started_unix_s = started_unix_s;
        Record::of(Source::new(name), part)
    };
    let together = |later: f64| {
        let record = record("a", 1000.0).merge(record("b", 1000.0 + later));
        of(&record.unwrap())
    };
    let s = together(0.5);
    assert!(s.reached, "{:?}", s.findings);
    let c = &s.connections;
    assert_eq!(
        (c.asked, c.established, c.accepted),
        (Some(20), 20, Some(20))
    );
    assert_eq!((c.peak, c.open_at_end), (20, 20));
    assert_eq!((s.seconds, s.hold_s), (3.5, Some(2.0)));
    let set_up = s.set_up.unwrap();
    assert_eq!((set_up.seconds, set_up.per_s), (1.0, 20.0));
    assert_eq!(set_up.latency.unwrap().count, 20);
    assert_eq!(s.cost.user_bytes, 2 << 20);
    assert_eq!((s.cores, s.workers, s.kernel.as_str()), (4, 4, "6.18"));
    assert_eq!(s.sources.len(), 2);
    // One after the other.
    let s = together(10.0);
    assert_eq!((s.reached, s.connections.peak), (false, 10));
    let missing = Finding::ConnectionsMissing {
        peak: 10,
        asked: 20,
        why: WhyMissing::NotAtOnce,
    };
    assert_eq!(s.findings, [missing]);
}

#[test]
fn a_record_of_nothing_says_nothing() {
    let s = of(&Record {
        version: VERSION,
        sources: Default::default(),
    });
    assert_eq!((s.connections.peak, s.seconds), (0, 0.0));
    assert!(s.findings.is_empty() && s.over_time.is_empty());
}

#[test]
fn a_server_that_several_sources_may_share_is_told_of_one_only() {
    let memory = |mib: u64| ServerMemory {
        processes: 1,
        rss_bytes: mib << 20,
        pss_bytes: None,
    };
    let mut part = ten();
    let ending = part.ending.as_mut().unwrap();
    ending.peak = 2048;
    ending.server = Some(ServerUsed {
        before: Some(memory(10)),
        peak: Some(memory(12)),
        accepting: 1,
        ended: vec![ServerEnded {
            pid: 811,
            at: Duration::from_secs(2),
        }],
        unread: vec!["its proportional memory: Permission denied".into()],
        ..ServerUsed::default()
    });
    let one = of(&Record::of(Source::new("a"), part.clone()));
    let server = one.server.as_ref().unwrap();
    assert_eq!(server.rss_bytes_per_connection, Some(1024.0));
    assert_eq!((server.pss_bytes_peak, server.ended), (None, 1));
    // What its end did to connections decides, and here that was nothing.
    assert!(one.reached);
    assert_eq!(kinds(&one), ["server_ended"]);

    let both = Record::of(Source::new("a"), part.clone());
    let both = both.merge(Record::of(Source::new("b"), part)).unwrap();
    let both = of(&both);
    assert_eq!(both.server, None);
    assert_eq!(kinds(&both).last(), Some(&"server_ended"));
}

fn expecting(all: &[&str]) -> Vec<crate::expect::Expectation> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn an_expectation_that_is_not_met_fails_the_run() {
    let of_these = |texts: &[&str]| of_one(|a, _| a.expect = expecting(texts));
    let s = of_these(&["lost=0", "open=100%", "connect.max<=1.01ms", "peak>=10"]);
    assert!(s.reached && s.expectations.iter().all(|e| e.met), "{s:#?}");
    let s = of_these(&["lost=0", "connect.p50<1ms", "opened/s>=100"]);
    assert!(!s.reached);
    assert_eq!(kinds(&s), ["expectation_failed", "expectation_failed"]);
    let met: Vec<bool> = s.expectations.iter().map(|e| e.met).collect();
    assert_eq!(met, [true, false, false]);
    // What was not measured is unknown.
    for unknown in [
        "response.p99<1h",
        "answers>=0",
        "held/s>=0",
        "server.files_open<100%",
    ] {
        let s = of_these(&[unknown]);
        assert!(!s.reached && s.expectations[0].value.is_none(), "{s:#?}");
    }
    let s = of_one(|a, e| {
        a.expect = expecting(&["lost=0"]);
        e.held = e.opened;
    });
    assert_eq!(s.expectations[0].measured, "unknown: there was no hold");
}

#[test]
fn missing_answers_make_a_latency_a_lower_bound() {
    let s = of_one(|a, e| {
        a.paced = true;
        a.expect = expecting(&["response.p99<1h", "response.p99>1s", "answers>=50%"]);
        unanswered(e, 2);
    });
    let met: Vec<bool> = s.expectations.iter().map(|e| e.met).collect();
    assert_eq!(met, [false, true, false], "{:#?}", s.expectations);
    assert!(s.expectations[0].at_least);
}

#[test]
fn a_limit_of_the_user_takes_the_place_of_the_tolerance() {
    let cases: [(&[&str], bool); 9] = [
        (&["answers>=50%"], true),
        (&["answers>50%"], false),
        (&["unanswered<=1"], true),
        (&["unanswered<=1", "answers=100%"], false),
        // This is no limit to what may be missing.
        (&["answers<=100%"], false),
        (&["lost<=4"], false),
        (&["lost<=4", "unanswered<=1"], true),
        (&["lost<4", "unanswered<=1"], false),
        (&["lost>=1", "unanswered<=1"], false),
    ];
    for (at, (texts, reached)) in cases.into_iter().enumerate() {
        let s = of_one(|a, e| {
            a.answers = true;
            a.expect = expecting(texts);
            unanswered(e, 1);
            if at >= 5 {
                held(e, reopened);
            }
        });
        assert_eq!(s.reached, reached, "{texts:?}: {:#?}", s.findings);
    }
    // Where nothing was answered, no limit helps.
    let s = of_one(|a, e| {
        a.expect = expecting(&["unanswered<=100%"]);
        unanswered(e, 2);
    });
    assert!(!s.reached && s.expectations[0].met);
}

#[test]
fn merged_records_are_judged_as_a_whole_and_by_what_all_of_them_expect() {
    let part = |texts: &[&str]| {
        let mut part = ten();
        part.about.asked.expect = expecting(texts);
        part
    };
    let merged = |a: Part, b: Part| {
        let a = Record::of(Source::new("a"), a);
        of(&a.merge(Record::of(Source::new("b"), b)).unwrap())
    };
    let both = merged(part(&["peak>=15"]), part(&["peak>=15"]));
    assert!(both.reached && both.expectations.len() == 1, "{both:#?}");
    assert!(!of(&Record::of(Source::new("a"), part(&["peak>=15"]))).reached);
    let one = merged(part(&["peak>=15"]), part(&[]));
    let measured = one.expectations[0].measured.as_str();
    assert!(!one.reached && measured == "unknown: not all sources expect it");
    let mut lost = part(&["peak>=0"]);
    lost.ending = None;
    let lost = merged(part(&["peak>=0"]), lost);
    assert_eq!(lost.expectations[0].measured, "unknown: a source was lost");
}

#[test]
fn a_server_among_the_sources_leaves_what_the_loads_asked_for() {
    let mut server = ten();
    (server.about.asked.role, server.about.asked.connections) = (Role::Serve, None);
    let mut none = ten();
    none.about.asked.connections = Some(5);
    none.ending = Some(Box::default());
    let of_all = |parts: Vec<(&str, Part)>| {
        let records = parts
            .into_iter()
            .map(|(name, part)| Record::of(Source::new(name), part));
        let all = records.reduce(|a, b| a.merge(b).unwrap());
        of(&all.unwrap())
    };
    let well = of_all(vec![("load", ten()), ("server", server.clone())]);
    assert_eq!(well.connections.asked, Some(10));
    let s = of_all(vec![("load", ten()), ("server", server), ("none", none)]);
    assert_eq!((s.connections.asked, s.reached), (Some(15), false));
    let verdict = s.findings[0].to_string();
    assert!(verdict.contains(" of 15 connections: "), "{verdict}");
}

/// Three seconds in which a worker was full for `full` of them: it ran for this share of them and waited for the rest.
fn strained(full: u64, ran: f64) -> Strain {
    let full = Duration::from_secs(full);
    Strain {
        observed: Duration::from_secs(3),
        full,
        worker: 1,
        together: 1,
        ran: full.mul_f64(ran),
        waited: full.mul_f64(1.0 - ran),
        all_ran: full.mul_f64(ran),
        ..Strain::default()
    }
}

/// A load that asks for a rate of 100 messages per second, and sends `sent` in a hold of two seconds.
fn paced(asked: &mut Asked, ending: &mut Ending, sent: u64) {
    asked.own_server = false;
    asked.messages = Some(RateOf::Sent);
    asked.rate = AskedRate::Constant(100.0);
    held(ending, |c| c.messages_sent.add(sent));
}

#[test]
fn a_client_without_time_to_spare_is_the_bottleneck_of_what_fell_short() {
    let late = |e: &mut Ending| {
        let mut measured = Measured::default();
        measured.lateness.record_many(Duration::from_millis(50), 10);
        e.histograms.extend(Ending::pack(&measured));
    };
    let closed_loop = |a: &mut Asked| {
        a.own_server = false;
        a.messages = Some(RateOf::Replies);
    };
    let strained_hold = |e: &mut Ending, full, ran| e.hold_strain = strained(full, ran);
    type Case<'a> = (
        &'a str,
        &'a dyn Fn(&mut Asked, &mut Ending),
        Option<Bounded>,
    );
    let cases: [Case; 15] = [
        (
            "a rate missed by half, full all the time",
            &|a, e| (paced(a, e, 100), strained_hold(e, 3, 1.0)).1,
            Some(Bounded::Rate),
        ),
        (
            "a rate missed by half, full for a third of the time",
            &|a, e| (paced(a, e, 100), strained_hold(e, 1, 1.0)).1,
            None,
        ),
        (
            "a rate missed by half, never full: the peer",
            &|a, e| paced(a, e, 100),
            None,
        ),
        (
            "a rate kept in time",
            &|a, e| (paced(a, e, 200), strained_hold(e, 3, 1.0)).1,
            None,
        ),
        (
            "a rate kept, late",
            &|a, e| (paced(a, e, 200), strained_hold(e, 1, 1.0), late(e)).1,
            Some(Bounded::Lateness),
        ),
        (
            "a rate kept, late, never full: the peer",
            &|a, e| (paced(a, e, 200), late(e)).1,
            None,
        ),
        (
            "full only to catch up after it was stopped",
            &|a, e| {
                paced(a, e, 100);
                strained_hold(e, 2, 1.0);
                e.paused = Duration::from_secs(2);
            },
            None,
        ),
        (
            "a closed loop, full most of the time",
            &|a, e| (closed_loop(a), strained_hold(e, 2, 1.0)).1,
            Some(Bounded::ClosedLoop),
        ),
        (
            "a closed loop, full for a while",
            &|a, e| (closed_loop(a), strained_hold(e, 1, 1.0)).1,
            None,
        ),
        (
            "messages as fast as possible",
            &|a, e| {
                closed_loop(a);
                a.messages = Some(RateOf::Sent);
                strained_hold(e, 3, 1.0);
            },
            Some(Bounded::Messages),
        ),
        ("nothing is sent", &|_, e| strained_hold(e, 3, 1.0), None),
        (
            "a bandwidth that was missed",
            &|a, e| {
                paced(a, e, 0);
                (a.rate, a.sent_per_s) = (AskedRate::Nothing, Some(1000.0));
                strained_hold(e, 3, 1.0);
            },
            Some(Bounded::Bandwidth),
        ),
        (
            "full for seconds while connections were opened",
            &|a, e| {
                a.own_server = false;
                e.opening_strain = strained(2, 1.0);
            },
            Some(Bounded::Opening),
        ),
        (
            "the same with both ends in this process",
            &|_, e| e.opening_strain = strained(2, 1.0),
            None,
        ),
        (
            "a rate of opening that was missed, with both ends",
            &|a, e| {
                a.connect_per_s = Some(1000.0);
                e.opening_strain = strained(3, 1.0);
            },
            Some(Bounded::Opening),
        ),
    ];
    for (what, change, expected) in cases {
        let s = of_one(|a, e| change(a, e));
        let found = s.findings.iter().find_map(|f| match f {
            Finding::ClientBottleneck(b) => Some(b.bounded),
            _ => None,
        });
        assert_eq!(found, expected, "{what}: {:#?}", s.findings);
    }
}

#[test]
fn a_bottleneck_names_what_the_client_lacked_time_for_and_what_helps() {
    let of = |change: &dyn Fn(&mut Part)| {
        let mut part = ten();
        let mut ending = part.ending.take().unwrap();
        paced(&mut part.about.asked, &mut ending, 100);
        ending.hold_strain = strained(3, 0.99);
        part.ending = Some(ending);
        change(&mut part);
        let s = super::of(&Record::of(Source::new("a"), part));
        let told = s.findings.iter().find(|f| f.kind() == "client_bottleneck");
        assert!(!s.reached);
        told.unwrap().to_string()
    };
    fn strain(part: &mut Part) -> &mut Strain {
        &mut part.ending.as_mut().unwrap().hold_strain
    }
    let shared = |part: &mut Part| *strain(part) = strained(3, 0.4);
    type Case<'a> = (&'a dyn Fn(&mut Part), &'a str);
    let cases: [Case; 7] = [
        (
            &|p| p.about.workers = 1,
            "this client was the bottleneck: worker 1 used 99 % of its core; use -w 2, use more hosts or ask for a lower rate",
        ),
        (
            &|p| strain(p).together = 2,
            "this client was the bottleneck: 2 of 2 workers used all of their cores, worker 1 99 %; use more hosts or ask for a lower rate",
        ),
        (
            &|p| {
                shared(p);
                p.about.workers = 8;
                strain(p).all_ran = Duration::from_secs(6);
            },
            "this client was the bottleneck: 8 workers share 2 cores, and worker 1 could run for 40 % of the time; use -w 2, use more hosts or ask for a lower rate",
        ),
        (
            &shared,
            "this client was the bottleneck: worker 1 could run for 40 % of the time, and waited for a core for 60 %, which other processes used; stop them, use a host where nothing else runs or ask for a lower rate",
        ),
        (
            &|p| {
                shared(p);
                strain(p).throttled = Duration::from_millis(1500);
                p.ending.as_mut().unwrap().cpu_quota_cores = Some(0.4);
            },
            "this client was the bottleneck: a CPU quota of 0.4 cores stopped it for 50 % of the time; raise the quota of its cgroup or ask for a lower rate",
        ),
        (
            &|p| {
                *strain(p) = strained(3, 1.0);
                strain(p).ran = Duration::from_millis(1500);
                strain(p).stolen = Duration::from_millis(1500);
            },
            "this client was the bottleneck: the hypervisor gave 50 % of this machine's CPU time to others (steal); use a machine with cores of its own or ask for a lower rate",
        ),
        (
            &|p| {
                p.about.asked.own_server = true;
                strain(p).observed = Duration::from_secs(4);
            },
            "this machine was the bottleneck, with both ends of the connections in this process: worker 1 used 99 % of its core (for 3.00 s of 4.00 s); use more hosts or ask for a lower rate",
        ),
    ];
    for (change, text) in cases {
        assert_eq!(of(change), text);
    }
}

#[test]
fn a_client_that_was_stopped_says_so() {
    let of = |seconds| kinds(&of_one(|_, e| e.paused = Duration::from_secs_f64(seconds)));
    assert_eq!(of(3.0), ["client_paused"]);
    assert!(of(0.3).is_empty());
}

#[test]
fn a_rate_that_was_changed_by_hand_is_kept_if_what_was_asked_for_in_all_was_sent() {
    let change = |seconds, from_per_s, to_per_s| RateChange {
        at: Duration::from_secs(seconds),
        from_per_s,
        to_per_s,
    };
    let of = |sent: u64, changes: Vec<RateChange>| {
        of_one(|asked, ending| {
            asked.messages = Some(RateOf::Sent);
            asked.rate = AskedRate::Messages(200.0);
            held(ending, |c| c.messages_sent.add(sent));
            ending.rate_changes = changes;
        })
    };
    let changes = vec![change(1, 50.0, 100.0), change(2, 100.0, 150.0)];
    let s = of(200, changes.clone());
    assert!(s.reached, "{:?}", s.findings);
    let rate = s.message_rate.unwrap();
    assert_eq!(rate.asked_per_s, Some(100.0), "over two seconds");
    assert_eq!(
        s.findings[0].to_string(),
        "the rate was changed by hand 2 times, from 1.00 s to 2.00 s after the start: from 50/s to 150/s; what was asked for is what each rate had in its time"
    );
    assert_eq!(kinds(&of(120, changes)), ["rate_missed", "rate_changed"]);
    assert_eq!(
        of(200, vec![change(1, 50.0, 100.0)]).findings[0].to_string(),
        "the rate was changed by hand after 1.00 s: from 50/s to 100/s; what was asked for is what each rate had in its time"
    );
}

#[test]
fn what_the_kernel_dropped_for_want_of_room_is_told_if_it_was_much() {
    let of = |drops, segments| {
        of_one(|_, ending| {
            ending.kernel.receive_drops = drops;
            ending.kernel.received_segments = segments;
        })
    };
    for (drops, segments, told) in [
        (0, 0, false),
        (9, 9, false),
        (10, 10_001, false),
        (10, 10_000, true),
    ] {
        let s = of(drops, segments);
        assert_eq!(
            kinds(&s) == ["receive_drops"],
            told,
            "{drops} of {segments}"
        );
        assert!(s.reached, "it is no reason by itself");
    }
    assert_eq!(
        of(50, 10_000).findings[0].to_string(),
        "this machine's kernel dropped 50 segments that it had received, 0.5 % of all, because a socket had no room for them: this client, the server on this machine or another program in this network namespace did not read as fast as data came. It was sent again, which latencies include; more workers (-w) or a larger --rcvbuf may help"
    );
}

/// Ten connections as in [`ten`], of which three were established in the first second, and each message took 2 ms.
fn recorded(started_unix_s: f64) -> Part {
    let mut part = ten();
    part.about.started_unix_s = started_unix_s;
    let mut recorder = Recorder::default();
    let second = Duration::from_secs(1);
    let before = counts(|c| {
        c.established.add(3);
        c.failed(FailCause::Refused);
    });
    let now = counts(|c| {
        c.established.add(10);
        c.messages_sent.add(40);
        c.failed(FailCause::Refused);
    });
    for (n, then, now) in [(0, Tally::default(), before), (1, before, now)] {
        let mut measured = Measured::default();
        measured.service.record(Duration::from_millis(2));
        let reading = Some(Reading::of(&now.since(&then), &now));
        recorder.add(
            second * n,
            second * (n + 1),
            Phase::Holding,
            reading,
            None,
            measured,
        );
    }
    part.intervals = recorder.finish().0;
    part
}

#[test]
fn a_stretch_has_the_counts_and_measurements_of_its_interval() {
    let record = Record::of(Source::new("a"), recorded(1000.0));
    let run = stretches(&record);
    let at: Vec<(f64, f64, u64)> = run.iter().map(|s| (s.from_s, s.to_s, s.open)).collect();
    assert_eq!(at, [(0.0, 1.0, 3), (1.0, 2.0, 10)]);
    let counted = |name: &str| run.iter().map(|s| s.counted(name)).collect::<Vec<_>>();
    assert_eq!(counted("established"), [3.0, 7.0]);
    assert_eq!(counted("failed.refused"), [1.0, 0.0]);
    assert_eq!(counted("messages_sent"), [0.0, 40.0]);
    assert_eq!(run[0].durations("service").count(), 1);
    assert_eq!(run[0].durations("response").count(), 0);
    let over_time = of(&record).over_time;
    let told: Vec<_> = over_time
        .iter()
        .map(|s| (s.established_per_s, s.failed_per_s, s.messages_per_s))
        .collect();
    assert_eq!(told, [(3.0, 1.0, 0.0), (7.0, 0.0, 40.0)]);
    assert_eq!(super::held(&record), Some((1.0, 3.0)));
    // At the ends of intervals, and when the hold ended.
    let open = open_at(&record, &run);
    assert_eq!(open, [(0.0, 0), (1.0, 3), (2.0, 10), (3.0, 10)]);
}

#[test]
fn sources_that_began_half_a_second_apart_share_their_stretches() {
    let one = Record::of(Source::new("a"), recorded(1000.0));
    let both = one.merge(Record::of(Source::new("b"), recorded(1000.5)));
    let record = both.unwrap();
    let run = stretches(&record);
    let established: Vec<f64> = run.iter().map(|s| s.counted("established")).collect();
    assert_eq!(established, [3.0 + 1.5, 7.0 + 1.5 + 3.5, 3.5]);
    let measured: u64 = run.iter().map(|s| s.durations("service").count()).sum();
    assert_eq!(measured, 4);
    assert_eq!(super::held(&record), Some((1.5, 3.0)));
}

#[test]
fn a_curve_agrees_with_the_percentiles_and_ends_with_the_maximum() {
    let mut part = ten();
    let mut measured = Measured::default();
    for us in 1..=1000 {
        measured.service.record(Duration::from_micros(us));
    }
    let mut ending = part.ending.take().unwrap();
    ending.histograms = Ending::pack(&measured);
    part.ending = Some(ending);
    let record = Record::of(Source::new("a"), part);
    let summary = of(&record);
    let service = summary.latency.service.unwrap();
    let curves = curves(&record);
    let [curve] = &curves[..] else {
        panic!("{curves:?}")
    };
    assert_eq!((curve.of.name, curve.count), ("service", 1000));
    let at = |tail: f64| {
        let mut points = curve.points.iter();
        let point = points.find(|p| (p.tail - tail).abs() < 1e-9).unwrap();
        (point.us, point.at_least)
    };
    assert_eq!(at(0.5), (service.p50_us, false));
    assert_eq!(at(0.01), (service.p99_us, false));
    let last = curve.points.last().unwrap();
    assert_eq!(last.us, service.max_us);
}
