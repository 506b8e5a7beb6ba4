//! What fell short, what is only worth knowing, and what was expected.

use super::*;

#[test]
fn a_verdict_says_what_fell_short_and_what_is_only_worth_knowing() {
    let cases: [(Change, bool, &[&str]); 40] = [
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
        // The end cut off an answer after 2 s, where answers take 3 s.
        (
            |_, e| {
                unanswered(e, 1);
                e.timed_out = true;
                let mut measured = Measured::default();
                measured.service.record(Duration::from_secs(3));
                e.histograms.extend(Ending::pack(&measured));
            },
            true,
            &[],
        ),
        (
            |_, e| {
                unanswered(e, 1);
                e.timed_out = true;
            },
            false,
            &["messages_unanswered"],
        ),
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
