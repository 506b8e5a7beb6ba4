//! `throng load` against a server in the same process, or in another one.

use crate::common::net::Net;
use crate::common::{PATIENCE, load, run_words, serve, start_load};
use std::time::Duration;
use throng_core::summary::{Finding, WhyMissing};

const ENGINES: [&str; 2] = ["uring", "epoll"];

#[test]
fn a_run_as_asked_exits_0_and_all_counts_agree_with_the_kernels() {
    let net = Net::own();
    for engine in ENGINES {
        for (mode, n) in [("sink", 1), ("sink", 3000), ("echo", 500)] {
            let ran = load(
                &net,
                &format!("--self={mode} -c {n} --hold 200ms --engine {engine}"),
            );
            let s = ran.reached();
            let c = &s.connections;
            assert_eq!(s.engine.name(), engine);
            assert_eq!((c.attempted, c.established), (n, n), "{ran}");
            assert_eq!((c.accepted, c.peak), (Some(n), n), "{ran}");
            assert_eq!((c.open_at_end, c.closed_by_us), (n, n), "{ran}");
            assert_eq!(c.kernel_sockets, Some(2 * n), "{engine}: {ran}");
            assert_eq!(c.expected_sockets, Some(2 * n), "{engine}: {ran}");
            let latency = s.set_up.and_then(|s| s.latency).expect("a latency");
            assert_eq!(latency.count, n);
            assert!(s.hold_s.is_some_and(|s| s >= 0.2), "{ran}");
        }
    }
}

#[test]
fn both_ends_are_expected_here_if_the_target_s_address_is_this_machine_s() {
    let net = Net::own();
    net.shell("ip addr add 10.9.9.9/32 dev lo");
    let serving = serve(&net, "10.9.9.9:9000");
    let ran = load(&net, "-c 50 --hold 200ms 10.9.9.9:9000");
    let c = &ran.reached().connections;
    assert_eq!(c.kernel_sockets, Some(100), "{ran}");
    assert_eq!(c.expected_sockets, Some(100), "{ran}");
    drop(serving);
}

#[test]
fn connections_of_other_programs_are_not_taken_for_the_run_s() {
    let net = Net::own();
    let serving = [serve(&net, "127.0.0.1:9000"), serve(&net, "127.0.0.1:9001")];
    let run = start_load(&net, "-c 200 --connect-rate 100 --hold 0s 127.0.0.1:9000");
    run.wait_for_stderr(" of 200");
    let other = start_load(&net, "-c 50 --hold 1m 127.0.0.1:9001");
    other.wait_for_stderr("holding");
    let ran = run.wait(PATIENCE);
    let c = &ran.reached().connections;
    assert_eq!(c.kernel_sockets, Some(400), "{ran}");
    assert_eq!(c.expected_sockets, Some(400), "{ran}");
    drop((other, serving));
}

#[test]
fn what_is_sent_arrives_whatever_the_message_is() {
    let net = Net::own();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mebibyte: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
    std::fs::write(&file, mebibyte).unwrap();
    let file = file.path().to_str().unwrap();
    // The message's options, and the bytes of the first and of each further message.
    let cases: [(&[&str], u64, u64); 8] = [
        (&["-1", "hello"], 5, 0),
        (&["-m", "x", "-r", "20"], 0, 1),
        (&["-e", "-1", r"\x00\n", "-m", r"\r\n\0", "-r", "20"], 2, 3),
        (&["-m", "tcp", "--closed-loop"], 0, 3),
        (&["-m", "tcp", "--closed-loop", "--in-flight", "4"], 0, 3),
        (&["-1", "hi", "-f", file, "--closed-loop"], 2, 1 << 20),
        (&["-f", file, "-r", "2", "--after-ramp"], 0, 1 << 20),
        (&["-m", "as fast as it goes"], 0, 18),
    ];
    for engine in ENGINES {
        for (options, first, each) in &cases {
            let mut words = vec!["load", "--output", "json", "--self=echo", "-c", "20"];
            words.extend(["--hold", "600ms", "--engine", engine]);
            words.extend(*options);
            let ran = run_words(&net, &words);
            let s = ran.reached();
            let sent = s.traffic.bytes_sent;
            assert!(sent > 0, "{ran}");
            let server = s.server_traffic.expect("there is a server of our own");
            assert_eq!(server.bytes_received, sent, "to the server: {ran}");
            assert_eq!(server.bytes_sent, sent, "from the server: {ran}");
            assert_eq!(s.traffic.bytes_received, sent, "back here: {ran}");
            // A first message is not counted among the messages, only its bytes are.
            let repeated = s.traffic.messages_sent;
            assert_eq!(sent, 20 * first + repeated * each, "{ran}");
            assert_eq!(s.traffic.messages_unsent, 0, "{ran}");
            if options.contains(&"--closed-loop") {
                assert!(repeated >= 20 && s.traffic.replies == repeated, "{ran}");
                let rate = s.message_rate.expect("messages were sent");
                assert!(rate.reached_per_s > 0.0 && s.latency.service.is_some());
            }
        }
    }
}

/// Whatever carries them and however many workers share them.
#[test]
fn a_number_of_messages_in_all_is_sent_exactly_and_ends_the_run() {
    let net = Net::own();
    for engine in ENGINES {
        for (args, first) in [
            ("--self -m hello", 0),
            ("--self -1 hi -m hello -w 1", 2),
            ("--self -m hello --message-rate 100", 0),
            ("--self -m hello --rate 1k --arrivals poisson", 0),
            ("--self=echo -m hello --closed-loop", 0),
            ("--self=echo -m hello --closed-loop --in-flight 3", 0),
            ("--self=echo -m hello --closed-loop --tls", 0),
            ("--self=ws --ws -m hello --latency-echo", 0),
        ] {
            let ran = load(
                &net,
                &format!("{args} -c 10 -n 1005 --hold 1h --engine {engine}"),
            );
            let s = ran.summary();
            // On a busy machine a rate may be missed in so short a time.
            let missed = |f: &Finding| matches!(f, Finding::RateMissed { .. });
            let late = s.findings.first().is_some_and(missed);
            assert!(s.reached || args.contains("rate") && late, "{ran}");
            assert_eq!(s.traffic.messages_sent, 1005, "{ran}");
            let requests = s.requests.expect("a number was asked for");
            assert_eq!((requests.sent, requests.unsent), (1005, 0), "{ran}");
            if !args.contains("--tls") && !args.contains("--ws") {
                assert_eq!(s.traffic.bytes_sent, 5 * 1005 + 10 * first, "{ran}");
            }
            if args.contains("echo") {
                let answers = s.answers.expect("answers are looked for");
                assert_eq!((answers.received, answers.unanswered), (1005, 0), "{ran}");
            }
        }
    }
}

#[test]
fn a_run_whose_time_is_over_ends_then_and_says_what_is_missing() {
    let net = Net::own();
    let ran = load(&net, "--self -c 1000 --connect-rate 100 -T 1s");
    let s = ran.fell_short();
    assert!(ran.took < Duration::from_secs(4), "{ran}");
    assert!((1.0..3.0).contains(&s.seconds), "{ran}");
    assert!((10..=400).contains(&s.connections.peak), "{ran}");
    let missing = Finding::ConnectionsMissing {
        peak: s.connections.peak,
        asked: 1000,
        why: WhyMissing::TimeOver { seconds: s.seconds },
    };
    assert_eq!(s.findings[0], missing, "{ran}");
}

#[test]
fn workers_never_outnumber_connections() {
    let net = Net::own();
    for (workers, connections, run) in [(1, 100, 1), (4, 100, 4), (8, 3, 3)] {
        let ran = load(
            &net,
            &format!("--self=echo -w {workers} -c {connections} -m x -r 10 --hold 300ms"),
        );
        // A busy machine may miss the rate.
        assert_eq!(ran.summary().workers, run);
    }
}
