//! Clients that were the bottleneck themselves, and what was lost on the way.

use super::*;

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
    let mut part = ten();
    part.about.agent = Some("local-2".into());
    part.ending.as_mut().unwrap().paused = Duration::from_secs(3);
    let text = super::of(&Record::of(Source::new("a"), part)).findings[0].to_string();
    assert!(text.starts_with("local-2 did not run for 3.00 s"), "{text}");
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
