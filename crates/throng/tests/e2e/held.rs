//! "Held" and "reached" are said only of what was: docs/verdict.md, rule by rule, with peers that misbehave.

use crate::common::net::Net;
use crate::common::peers::{source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run, serve, start_load, stop_serving};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Duration;
use throng_core::protocol::websocket::CloseCode;
use throng_core::stats::Closed;
use throng_core::summary::{Finding, WhyMissing};

const ENGINES: [&str; 2] = ["uring", "epoll"];

fn misbehaving(net: &Net, kind: &str) -> Process {
    let script = source("misbehaving.py");
    let mut args = vec![script.as_str(), "9000"];
    args.extend(kind.split(' '));
    start_server(net, "python3", &args, 9000)
}

/// The kinds of findings, in their order.
/// The kinds of findings, without how connections came back that were lost at once: tests of storms are about that.
fn kinds(ran: &Ran) -> Vec<&'static str> {
    let summary = ran.summary();
    let kinds = summary.findings.iter().map(Finding::kind);
    // A machine with much else to do is told first, as it should be.
    let of_the_run = |kind: &&str| !kind.starts_with("storm") && *kind != "bottleneck";
    kinds.filter(of_the_run).collect()
}

#[test]
fn connections_that_a_timeout_closed_and_that_were_opened_again_were_not_held() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = misbehaving(&net, "closes 1");
        let line = format!("127.0.0.1:9000 -c 100 --hold 1500ms --engine {engine}");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        let Finding::ConnectionsLost {
            asked,
            closed,
            ages,
            idle,
            ..
        } = &s.findings[0]
        else {
            panic!("{ran}")
        };
        assert!(*asked == 100 && closed[&Closed::ByPeer] >= 100, "{ran}");
        let age = &ages[&Closed::ByPeer];
        assert!((0.9..1.2).contains(&age.min_s), "{ran}");
        assert!(age.p50_s >= age.min_s && age.max_s >= age.p50_s, "{ran}");
        assert!(*idle, "{ran}");
    }
}

#[test]
fn losses_that_are_allowed_are_told_and_count_for_nothing() {
    let net = Net::own();
    let _server = misbehaving(&net, "closes 1");
    let ran = load(&net, "127.0.0.1:9000 -c 10 --hold 1500ms --allow-lost 20");
    assert!(ran.reached().connections.closed_by_peer >= 10, "{ran}");
    assert_eq!(kinds(&ran), ["connections_lost"], "{ran}");
    let ran = load(&net, "127.0.0.1:9000 -c 10 --hold 1500ms --allow-lost 9");
    ran.fell_short();
}

#[test]
fn the_counts_of_connections_are_those_of_the_end_of_the_hold() {
    let net = Net::own();
    // It closes while the answers are waited for that it never sends.
    let _server = misbehaving(&net, "closes 2");
    let ran = load(
        &net,
        "127.0.0.1:9000 -c 2 -m hi -r 2 --latency-echo --hold 1s --no-reconnect",
    );
    let s = ran.fell_short();
    assert_eq!(
        (s.connections.open_at_end, s.connections.closed_by_peer),
        (2, 0),
        "{ran}"
    );
    assert_eq!(kinds(&ran), ["messages_unanswered"], "{ran}");
}

#[test]
fn a_server_that_answers_nothing_fails_the_run_and_its_percentiles_say_at_least() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 2 -m ping -r 5 --latency-echo --hold 1s -T 3s --engine {engine}"
            ),
        );
        let s = ran.fell_short();
        let [Finding::MessagesUnanswered { messages, of, .. }] = s.findings.as_slice() else {
            panic!("{ran}")
        };
        assert_eq!(messages, of, "{ran}");
        assert!((8..=12).contains(messages), "{ran}");
        let response = s.latency.response.expect("bounds are told");
        assert_eq!(response.count, 0, "{ran}");
        assert!(response.p99_us > 1_500_000.0, "{ran}");
        assert!(response.at_least.contains("p50_us"), "{ran}");
        stop_serving(server);
    }
}

#[test]
fn what_a_dead_path_does_not_deliver_was_not_sent() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        let line = format!("127.0.0.1:9000 -c 20 -m hello -r 10 --hold 4s --engine {engine}");
        let run = start_load(&net, &line);
        net.wait_for_connections(9000, 20);
        net.shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp dport 9000 tcp flags & (fin|syn|rst) == 0 drop; }; }'",
        );
        let ran = run.wait(PATIENCE);
        let s = ran.fell_short();
        let [Finding::Undelivered(all)] = s.findings.as_slice() else {
            panic!("{ran}")
        };
        assert_eq!((all.unacknowledged, all.unread), (20, 0), "{ran}");
        // The kernel has sent nothing else for most of the hold.
        assert!(all.bytes >= 20 * 5 * 10, "{ran}");
        assert!(all.bytes <= s.traffic.bytes_sent, "{ran}");
        drop(server);
    }
}

#[test]
fn peers_that_do_not_read_are_told_and_those_that_read_slowly_are_not() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = misbehaving(&net, "deaf 60");
        let line = format!("127.0.0.1:9000 -c 5 -m hello --hold 1s --engine {engine}");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        let [Finding::Undelivered(all)] = s.findings.as_slice() else {
            panic!("{ran}")
        };
        assert_eq!((all.unacknowledged, all.unread), (0, 5), "{ran}");
    }
    let net = Net::own();
    let _slow = misbehaving(&net, "sips 0.05");
    let ran = load(&net, "127.0.0.1:9000 -c 5 -m hello --hold 1s");
    ran.reached();
    assert!(kinds(&ran).iter().all(|kind| *kind == "unread"), "{ran}");
}

#[test]
fn a_server_that_does_not_read_as_fast_as_messages_are_due_does_not_keep_up() {
    for engine in ENGINES {
        let line = format!("127.0.0.1:9000 -c 5 -m hello -r 10 --hold 1500ms --engine {engine}");
        let net = Net::own();
        let _server = misbehaving(&net, "blind 60");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        let [Finding::Unread { bytes, of, later }] = s.findings[..] else {
            panic!("{ran}")
        };
        assert!(of > 100 && bytes >= of && later >= Some(of), "{ran}");
        // What is read soon after the hold was not late.
        let net = Net::own();
        let _server = misbehaving(&net, "blind 2");
        let ran = load(&net, &line);
        ran.reached();
        assert!(kinds(&ran).iter().all(|kind| *kind == "unread"), "{ran}");
    }
}

#[test]
fn a_server_that_is_stopped_serves_nobody() {
    for engine in ENGINES {
        let line = format!("127.0.0.1:9000 -c 20 --hold 1500ms --engine {engine}");
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        let run = start_load(&net, &line);
        run.wait_for_stderr("holding");
        server.signal(Signal::STOP);
        let ran = run.wait(PATIENCE);
        server.signal(Signal::CONT);
        let s = ran.fell_short();
        let [Finding::ServerStopped(stopped)] = s.findings.as_slice() else {
            panic!("{ran}")
        };
        let told = (stopped.of, stopped.at_begin, stopped.at_end);
        assert_eq!(told, (1, false, true), "{ran}");
        assert_eq!(stopped.names, ["throng"], "{ran}");
        // It runs again.
        load(&net, &line).reached();

        server.signal(Signal::STOP);
        let run = start_load(&net, &line);
        run.wait_for_stderr("holding");
        server.signal(Signal::CONT);
        let ran = run.wait(PATIENCE);
        let s = ran.fell_short();
        let [Finding::ServerStopped(stopped)] = s.findings.as_slice() else {
            panic!("{ran}")
        };
        let told = (stopped.of, stopped.at_begin, stopped.at_end);
        assert_eq!(told, (1, true, false), "{ran}");
    }
}

#[test]
fn answers_that_come_late_are_waited_for() {
    let net = Net::own();
    let _server = misbehaving(&net, "answers 1.5");
    let ran = load(
        &net,
        "127.0.0.1:9000 -c 2 -m ping -r 5 --latency-echo --hold 1s",
    );
    let s = ran.reached();
    let answers = s.answers.as_ref().expect("answers are looked for");
    assert!(answers.received >= 8 && answers.unanswered == 0, "{ran}");
    let response = s.latency.response.as_ref().expect("answers came");
    assert!(
        response.p50_us > 1_400_000.0 && response.at_least.is_empty(),
        "{ran}"
    );
}

#[test]
fn a_connection_that_got_ready_twice_is_one() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = misbehaving(&net, "ws-nine");
        let ran = load(
            &net,
            &format!("ws://127.0.0.1:9000/ -c 10 --hold 1s --connect-timeout 1s --engine {engine}"),
        );
        let s = ran.fell_short();
        let Finding::HandshakesMissing {
            completed,
            asked,
            waiting,
            ..
        } = s.findings[0]
        else {
            panic!("{ran}")
        };
        assert_eq!((completed, asked, waiting), (9, 10, 1), "{ran}");
    }
}

#[test]
fn connections_that_get_ready_again_and_again_are_no_progress() {
    let net = Net::own();
    let _server = misbehaving(&net, "ws-half 0.1");
    let ran = load(
        &net,
        "ws://127.0.0.1:9000/ -c 10 --hold 1s --connect-timeout 500ms",
    );
    ran.fell_short();
    assert!(ran.took < Duration::from_secs(30), "{ran}");
}

#[test]
fn a_refused_upgrade_is_told_with_its_status() {
    let net = Net::own();
    let _server = misbehaving(&net, "ws-no");
    let ran = load(
        &net,
        "ws://127.0.0.1:9000/ -c 50 --hold 1s --connect-timeout 500ms",
    );
    let s = ran.fell_short();
    assert_eq!(s.findings[0].kind(), "handshakes_missing", "{ran}");
    let text = s
        .findings
        .iter()
        .map(Finding::to_string)
        .collect::<String>();
    assert!(text.contains("403"), "{ran}");
}

#[test]
fn a_handshake_that_fails_for_everyone_ends_the_run_early() {
    let net = Net::own();
    let _server = serve(&net, "9000 --mode http");
    for args in [
        // It speaks no TLS, no WebSocket, and is no proxy; and says so.
        "http --output json -n 100 -c 5 https://127.0.0.1:9000/",
        "load --output json -c 5 ws://127.0.0.1:9000/",
        "load --output json -c 5 --tunnel 127.0.0.1:9000 127.0.0.1:9001",
    ] {
        // Without what is known of handshakes, it would wait for as long as an attempt may take.
        let ran = run(&net, &format!("{args} --connect-timeout 2m"));
        ran.fell_short();
        assert!(ran.took < Duration::from_secs(60), "{ran}");
    }
}

#[test]
fn a_websocket_that_said_it_would_close_is_not_held() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = misbehaving(&net, "ws-bye 0.5");
        let ran = load(
            &net,
            &format!("ws://127.0.0.1:9000/ -c 5 --hold 1500ms --engine {engine}"),
        );
        let s = ran.fell_short();
        assert_eq!(s.findings[0].kind(), "connections_lost", "{ran}");
        // TCP is still open.
        assert_eq!(s.connections.open_at_end, 0, "{ran}");
        let closes = s.protocols.websocket.expect("they speak it").closes;
        assert_eq!(
            closes,
            BTreeMap::from([(CloseCode::TryAgainLater, 5)]),
            "{ran}"
        );
    }
}

#[test]
fn what_a_peer_said_it_would_close_is_closed_and_opened_again() {
    for engine in ENGINES {
        let net = Net::own();
        // It leaves TCP to this side, which waits for five seconds.
        let _server = misbehaving(&net, "ws-bye 0.2");
        let line = format!("ws://127.0.0.1:9000/ -c 5 --hold 7s --engine {engine}");
        let c = load(&net, &line).fell_short().connections;
        assert!(c.established > 5 && c.closed_by_us >= 5, "{c:#?}");
    }
}

#[test]
fn a_target_without_a_port_is_told_which_one_it_means() {
    let net = Net::own();
    for (target, means) in [("ws://127.0.0.1/chat", 80), ("wss://127.0.0.1", 443)] {
        let ran = load(
            &net,
            &format!("{target} -c 1 --connect-timeout 100ms -T 1s"),
        );
        ran.fell_short();
        let told = format!("{target} means port {means}");
        assert!(ran.stderr.contains(&told), "{ran}");
    }
    let ran = load(
        &net,
        "ws://127.0.0.1:9000 -c 1 --connect-timeout 100ms -T 1s",
    );
    assert!(!ran.stderr.contains("means port"), "{ran}");
}

#[test]
fn a_peer_that_talks_by_itself_does_not_keep_a_run_from_ending() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = misbehaving(&net, "talks");
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 1 -m x -r 5 --hold 1s -T 2s --engine {engine}"),
        );
        ran.reached();
        assert!(ran.took < Duration::from_secs(5), "{ran}");
        let line = "load --output tcpkali -c 1 -m x -r 5 -T 1s 127.0.0.1:9000";
        let ran = run(&net, &format!("{line} --engine {engine}"));
        assert!(ran.took < Duration::from_secs(4), "{ran}");
    }
}

#[test]
fn a_hold_that_the_duration_cut_short_was_not_reached() {
    let net = Net::own();
    let ran = load(&net, "--self -c 10 -T 500ms --hold 60s");
    let s = ran.fell_short();
    let Finding::HoldCutShort { held_s, asked_s } = s.findings[0] else {
        panic!("{ran}")
    };
    assert!(held_s < 5.0 && asked_s == 60.0, "{ran}");
    // Without a hold of its own it is what is left.
    load(&net, "--self -c 10 -T 500ms").reached();
}

#[test]
fn connections_that_their_lifetime_ended_are_told() {
    let net = Net::own();
    let line = "--self -c 10 --channel-lifetime 100ms --no-reconnect --hold 5s";
    let ran = load(&net, line);
    let s = ran.reached();
    assert_eq!(kinds(&ran), ["lifetimes_over"], "{ran}");
    assert_eq!(s.connections.open_at_end, 0, "{ran}");
    // Never all at once: the first ones end before the last ones are opened.
    let line = "--self -c 100 --connect-rate 100 --channel-lifetime 100ms --connect-timeout 300ms";
    let ran = load(&net, line);
    let s = ran.fell_short();
    let Finding::ConnectionsMissing { why, .. } = &s.findings[0] else {
        panic!("{ran}")
    };
    assert_eq!(*why, WhyMissing::LifetimesOver, "{ran}");
}

#[test]
fn messages_are_due_from_the_end_of_the_delay() {
    let net = Net::own();
    let ran = load(&net, "--self -c 10 -m x -r 20 --delay-send 1s --hold 3s");
    let rate = ran.reached().message_rate.expect("there is a rate");
    assert!((1.8..2.7).contains(&rate.seconds), "{ran}");
}

#[test]
fn messages_wait_for_answers_that_are_looked_for_unless_a_rate_is_given() {
    let net = Net::own();
    let _server = misbehaving(&net, "answers 0.1");
    let ran = load(
        &net,
        r"127.0.0.1:9000 -c 3 -m hello --latency-marker lo --hold 1s",
    );
    let sent = ran.reached().traffic.messages_sent;
    assert!((15..=33).contains(&sent), "{sent}: {ran}");
}

#[test]
fn answers_that_are_no_echoes_are_found_out() {
    for engine in ENGINES {
        // Other bytes, as many as were sent, are no echoes either.
        for kind in ["pages", "shouts"] {
            for how in [
                "--closed-loop",
                "-r 10 --latency-echo",
                "--closed-loop --latency-first-byte",
            ] {
                let net = Net::own();
                let _server = misbehaving(&net, kind);
                // A loop over them ends at once, however long its hold.
                let hold = if how.contains("loop") { 5 } else { 1 };
                let line =
                    format!("127.0.0.1:9000 -c 3 -m get {how} --hold {hold}s --engine {engine}");
                let ran = load(&net, &line);
                let s = ran.fell_short();
                assert_eq!(kinds(&ran)[0], "no_echo", "{kind}, {how}: {ran}");
                let held = s.hold_s.expect("a load has a hold");
                assert_eq!(
                    held < 0.9 * f64::from(hold),
                    hold > 1,
                    "{kind}, {how}: {ran}"
                );
            }
        }
    }
}

#[test]
fn whole_messages_that_are_no_echoes_are_found_out() {
    for engine in ENGINES {
        for how in ["--closed-loop", "-r 10 --latency-echo"] {
            // A loop over them ends at once, however long its hold.
            let hold = if how.contains("loop") { 5 } else { 1 };
            let line =
                format!("ws://127.0.0.1:9000/ -c 3 -m get {how} --hold {hold}s --engine {engine}");
            let net = Net::own();
            let _server = misbehaving(&net, "ws-shouts");
            let ran = load(&net, &line);
            let s = ran.fell_short();
            let none = Finding::NoEcho {
                reads: 0,
                differing: 3,
            };
            assert_eq!(kinds(&ran)[0], none.kind(), "{how}: {ran}");
            assert!(s.findings.contains(&none), "{how}: {ran}");
            assert!(none.to_string().contains("--latency-marker"));
            let held = s.hold_s.expect("a load has a hold");
            assert_eq!(held < 0.9 * f64::from(hold), hold > 1, "{how}: {ran}");
            // Where a text answers, they may be anything.
            let text = how.replace("--latency-echo", "") + " --latency-marker GET";
            let line = line.replace("--hold 5s", "--hold 1s");
            load(&net, &line.replace(how, &text)).reached();

            let net = Net::own();
            let _server = misbehaving(&net, "ws-pieces");
            load(&net, &line).reached();
        }
    }
}

#[test]
fn the_first_line_says_how_many_answers_came_where_they_are_looked_for() {
    let net = Net::own();
    let _server = misbehaving(&net, "answers 2");
    let rate = |how: &str, unit: &str| {
        let line = "load 127.0.0.1:9000 -c 2 -m hello -r 50 --hold 2500ms";
        let ran = run(&net, &format!("{line} {how}"));
        let first = ran.stdout.lines().next().unwrap_or_default();
        let rate = first
            .strip_suffix(unit)
            .and_then(|l| l.split(" at ").nth(1));
        let rate: Option<f64> = rate.and_then(|r| r.parse().ok());
        rate.unwrap_or_else(|| panic!("{ran}"))
    };
    let sent = rate("", " messages/s");
    // They come after two seconds, so most are still to come when the hold ends.
    let answers = rate("--latency-echo", " answers/s");
    assert!(answers > 0.0 && answers < sent / 2.0, "{answers} of {sent}");
}

#[test]
fn no_tolerance_covers_the_loss_of_all() {
    let net = Net::own();
    let _server = misbehaving(&net, "once");
    for allowed in [
        "--allow-lost 10",
        "--allow-lost 100%",
        "--expect lost<=100%",
    ] {
        let line = "127.0.0.1:9000 -c 10 -m hello -r 1 --no-reconnect --hold 3s";
        let ran = load(&net, &format!("{line} {allowed}"));
        assert_eq!(ran.fell_short().connections.open_at_end, 0, "{ran}");
    }
}

#[test]
fn the_age_of_markers_is_not_known_where_their_clock_is_ahead() {
    let net = Net::own();
    let _server = misbehaving(&net, "future 5");
    let line = "127.0.0.1:9000 -c 2 --message-marker --hold 1s";
    assert_eq!(kinds(&load(&net, line)), ["markers_ahead"]);
    let ran = load(&net, &format!("{line} --expect 'marked.max<1s'"));
    let s = ran.fell_short();
    assert_eq!(
        kinds(&ran),
        ["markers_ahead", "expectation_failed"],
        "{ran}"
    );
    assert_eq!(s.expectations[0].value, None, "{ran}");
}

#[test]
fn a_connection_to_itself_is_held_by_nobody() {
    for engine in ENGINES {
        let net = Net::own();
        // Nothing listens there, and the kernel has this one local port to choose.
        net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40000'");
        let line = format!("127.0.0.1:40000 -c 1 --hold 200ms --force --engine {engine}");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        assert_eq!(s.connections.open_at_end, 1, "{ran}");
        assert_eq!(kinds(&ran)[0], "connected_to_itself", "{ran}");
    }
}

#[test]
fn tcpkalis_voice_tells_of_a_refused_upgrade_and_fails() {
    let net = Net::own();
    let _server = misbehaving(&net, "ws-no");
    let line = "load --output tcpkali --ws -T 3s -c 2 -m hi -r 5 127.0.0.1:9000";
    let ran = run(&net, line);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("403 Forbidden"), "{ran}");
    assert!(!ran.stdout.contains("Ramped up"), "{ran}");
    // So is a peer that speaks no TLS.
    let net = Net::own();
    let _echo = serve(&net, "127.0.0.1:9000 --mode echo");
    let line = "load --output tcpkali --tls --insecure -T 3s -c 2 -m hi -r 5 127.0.0.1:9000";
    let ran = run(&net, line);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("does not speak TLS"), "{ran}");
    assert!(!ran.stdout.contains("Ramped up"), "{ran}");
}

#[test]
fn a_search_by_time_stamps_counts_those_that_arrive_on_accepted_connections() {
    let net = Net::own();
    let line =
        r"-l 2001 127.0.0.1:2001 -c 2 -m 'x\{message.marker}' --message-marker -r @20ms --hold 10s";
    let ran = load(&net, line);
    let search = ran.summary().search.expect("a search was asked for");
    assert!(search.held_per_s.is_some_and(|rate| rate > 100.0), "{ran}");
}

#[test]
fn answers_of_which_none_came_were_not_cut_off() {
    let net = Net::own();
    let _server = misbehaving(&net, "ignores");
    for how in [
        "-r 10 --latency-echo -T 900ms",
        "--closed-loop -T 900ms",
        "-r 5 --latency-echo --channel-lifetime 700ms --hold 2s",
    ] {
        let ran = load(&net, &format!("127.0.0.1:9000 -c 10 -m hello {how}"));
        let s = ran.fell_short();
        assert_eq!(kinds(&ran)[0], "messages_unanswered", "{how}: {ran}");
        let percentiles = s.latency.response.or(s.latency.service);
        let at_least = percentiles.expect("bounds are told").at_least;
        assert!(at_least.contains("p99_us"), "{how}: {ran}");
    }
}

#[test]
fn answers_that_a_peer_took_along_were_not_cut_off_and_come_before_losses_that_are_allowed() {
    let net = Net::own();
    let _server = misbehaving(&net, "once");
    // Without messages before all are there, all ten are there at once.
    let line = "127.0.0.1:9000 -c 10 -m hello --closed-loop --after-ramp --hold 5s \
                --allow-lost 10000 -T 2s";
    let ran = load(&net, line);
    let s = ran.fell_short();
    let all = kinds(&ran);
    assert!(all.contains(&"messages_unanswered"), "{ran}");
    assert_eq!(all.last(), Some(&"connections_lost"), "{ran}");
    assert!(
        s.latency
            .service
            .expect("some came")
            .at_least
            .contains("p99_us"),
        "{ran}"
    );
}

#[test]
fn arrivals_of_the_whole_run_begin_after_the_delay() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000 --mode echo");
    let line = "127.0.0.1:9000 -c 10 -m hello --rate 100 --latency-echo --delay-send 1s --hold 3s";
    let s = load(&net, line).reached();
    assert!(
        (150..=250).contains(&s.traffic.messages_sent),
        "{:#?}",
        s.traffic
    );
}

/// TCP segments that were sent in this network so far.
fn segments(net: &Net) -> u64 {
    let snmp = net
        .command("cat")
        .arg("/proc/net/snmp")
        .output()
        .expect("cat runs");
    let text = String::from_utf8(snmp.stdout).expect("it is text");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut both = names.split(' ').zip(values.split(' '));
    let (_, sent) = both.find(|(name, _)| *name == "OutSegs").expect("a count");
    sent.parse().expect("a number")
}

#[test]
fn small_messages_do_not_wait_for_acknowledgements() {
    let sent = |nagle: &str| {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        let line = format!("127.0.0.1:9000 -c 1 -m x -r 200 --delay-send 500ms --hold 2s {nagle}");
        let client = start_load(&net, &line);
        client.wait_for_stderr("holding");
        // One that does not read acknowledges after 40 ms.
        server.signal(Signal::STOP);
        let before = segments(&net);
        client.wait(PATIENCE);
        let sent = segments(&net) - before;
        server.signal(Signal::CONT);
        sent
    };
    let (alone, together) = (sent(""), sent("--nagle on"));
    assert!(
        together * 3 < alone * 2,
        "{together} segments, {alone} without Nagle's algorithm"
    );
}

#[test]
fn a_network_that_goes_silent_during_the_hold_fails_the_run() {
    for engine in ENGINES {
        let (here, there) = (Net::own(), Net::own());
        here.shell(&format!(
            "ip link add va type veth peer name vb netns {} && ip link set va up &&
             ip addr add 10.77.0.1/24 dev va",
            there.pid()
        ));
        there.shell("ip link set vb up && ip addr add 10.77.0.9/24 dev vb");
        let _server = serve(&there, "10.77.0.9:9000 --mode echo");
        let line = format!(
            "10.77.0.9:9000 -c 200 -m x -r 0.5 --latency-echo --hold 6s -T 8s --engine {engine}"
        );
        let client = start_load(&here, &line);
        client.wait_for_stderr("holding");
        client.wait_for_stderr("left");
        there.shell("ip link set vb down");
        let ran = client.wait(PATIENCE);
        let s = ran.fell_short();
        let stopped = s.findings.iter().find_map(|f| match f {
            Finding::MessagesUnanswered { last_answer_s, .. } => Some(*last_answer_s),
            _ => None,
        });
        let stopped = stopped.flatten().expect("it is seen when");
        assert!((0.5..4.0).contains(&stopped), "{ran}");
        let answers = s.answers.expect("they are looked for");
        assert!(answers.unanswered > 100, "{ran}");
        let response = s.latency.response.expect("some were answered");
        assert!(response.at_least.contains("p99_us"), "{ran}");
        assert!(response.p99_us > 1e6, "{ran}");
    }
}
