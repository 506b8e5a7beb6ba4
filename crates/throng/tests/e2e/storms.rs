//! Storms: connections that are lost together come back, and the summary tells how: docs/storms.md.

use crate::common::net::Net;
use crate::common::{PATIENCE, load, run, serve, start, start_load, stop_serving};
use rustix::process::Signal;
use std::time::Duration;
use throng_core::stats::FailCause;
use throng_core::summary::{Finding, Summary};

const ENGINES: [&str; 2] = ["uring", "epoll"];

fn kinds(summary: &Summary) -> Vec<&'static str> {
    summary.findings.iter().map(Finding::kind).collect()
}

#[test]
fn throng_http_has_the_options_of_load_about_lost_connections() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "9000 --mode http");
        let common = format!("http --output json --engine {engine}");
        let line = format!(
            "{common} -c 200 -t 3 --drop 50%@500ms:reset --reconnect-policy window:800ms http://127.0.0.1:9000/"
        );
        let ran = run(&net, &line);
        let s = ran.reached();
        let [storm] = s.storms.as_slice() else {
            panic!("{ran}");
        };
        let lost = (storm.before, storm.dropped, storm.missing);
        assert_eq!(lost, (200, 100, 0), "{ran}");
        // The server is taken away while each connection sends a request a second.
        let line =
            format!("{common} -c 20 -t 6 --rate 20 --drain --no-reconnect http://127.0.0.1:9000/");
        let ran = start(&net, &line);
        ran.wait_for_stderr("holding");
        server.signal(Signal::INT);
        let ran = ran.wait(PATIENCE);
        let drain = ran.fell_short().drain.expect("--drain was given");
        assert_eq!((drain.ended, drain.missing), (20, 20), "{ran}");
        assert_eq!(drain.moved + drain.cut + drain.reset, 20, "{ran}");
        server.wait(PATIENCE);
    }
}

#[test]
fn connections_that_were_dropped_come_back_and_the_server_counts_the_same() {
    for engine in ENGINES {
        for (how, resets) in [("", 0), (":reset", 100)] {
            let net = Net::own();
            let server = serve(&net, "9000 --mode echo");
            let line = format!(
                "127.0.0.1:9000 -c 200 --hold 2500ms --drop 50%@500ms{how} --reconnect-policy window:800ms --engine {engine}"
            );
            let ran = load(&net, &line);
            let s = ran.reached();
            assert!(kinds(&s).contains(&"storm"), "{ran}");
            let [storm] = s.storms.as_slice() else {
                panic!("{ran}");
            };
            let lost = (storm.before, storm.lost, storm.dropped, storm.missing);
            assert_eq!(lost, (200, 100, 100, 0), "{ran}");
            assert_eq!(
                (storm.established, s.connections.established),
                (100, 300),
                "{ran}"
            );
            let back = [
                storm.back_50_s,
                storm.back_90_s,
                storm.back_99_s,
                storm.back_100_s,
            ];
            let back = back.map(|back| back.expect("all are back"));
            assert!(back.is_sorted() && back[0] > 0.1 && back[3] < 1.5, "{ran}");
            assert!(storm.peak_per_s >= 100.0, "{ran}");
            let curve: u64 = storm
                .over_time
                .iter()
                .map(|sample| sample.established)
                .sum();
            assert_eq!(curve, 100, "{ran}");
            let there = stop_serving(server).connections;
            assert_eq!(
                (there.accepted, there.reset_by_peer),
                (Some(300), resets),
                "{there:?}"
            );
        }
    }
}

#[test]
fn the_run_has_fallen_short_if_connections_that_were_dropped_do_not_come_back() {
    let net = Net::own();
    let server = serve(&net, "9000");
    let away = "127.0.0.1:9000 -c 40 --hold 1s --drop 10%@200ms --reconnect-policy fixed:1h";
    let ran = load(&net, away);
    let s = ran.fell_short();
    let Finding::StormNotOver {
        lost: 4,
        missing: 4,
        dropped: 4,
        ..
    } = &s.findings[0]
    else {
        panic!("{ran}");
    };
    assert_eq!(
        (s.storms[0].back_50_s, s.storms[0].missing),
        (None, 4),
        "{ran}"
    );
    let ran = load(&net, &format!("{away} --allow-lost 4"));
    ran.reached();
    stop_serving(server);
}

#[test]
fn a_server_that_is_killed_and_started_again_makes_a_storm() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "9000");
        let line = format!(
            "127.0.0.1:9000 -c 300 --hold 4s --reconnect-policy fixed:100ms --allow-lost 100% --engine {engine}"
        );
        let ran = start_load(&net, &line);
        ran.wait_for_stderr("holding");
        server.signal(Signal::KILL);
        server.wait(Duration::from_secs(10));
        // Some attempts find nobody.
        std::thread::sleep(Duration::from_millis(300));
        let again = serve(&net, "9000");
        let ran = ran.wait(Duration::from_secs(30));
        let s = ran.reached();
        for kind in ["connections_lost", "storm", "attempts_failed"] {
            assert!(kinds(&s).contains(&kind), "{ran}");
        }
        let [storm] = s.storms.as_slice() else {
            panic!("{ran}");
        };
        let ended = storm.closed_by_peer + storm.reset_by_peer;
        assert_eq!((storm.lost, storm.dropped), (ended, 0), "{ran}");
        // What came back to the listener of the process that was still dying was lost again.
        let twice = storm.lost.checked_sub(300).expect("all were lost");
        let back = (storm.established - twice, storm.missing);
        assert_eq!(back, (300, 0), "{ran}");
        let failed: u64 = storm.failed.values().sum();
        assert!(failed > 0, "{ran}");
        assert_eq!(storm.attempted, storm.established + failed, "{ran}");
        assert_eq!(stop_serving(again).connections.accepted, Some(300));
    }
}

#[test]
fn a_network_that_is_cut_and_healed_makes_a_storm() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "9000 --mode echo");
        let line = format!(
            "127.0.0.1:9000 -c 200 -m hello --rate 2k --latency-echo --hold 6s --user-timeout 600ms --connect-timeout 500ms \
             --reconnect-policy fixed:200ms --allow-lost 100% --engine {engine}"
        );
        let ran = start_load(&net, &line);
        ran.wait_for_stderr("holding");
        std::thread::sleep(Duration::from_millis(300));
        net.shell(
            "nft add table ip cut && nft 'add chain ip cut in { type filter hook input priority 0; }' && \
             nft add rule ip cut in tcp dport 9000 drop && nft add rule ip cut in tcp sport 9000 drop",
        );
        std::thread::sleep(Duration::from_millis(2500));
        net.shell("nft delete table ip cut");
        let ran = ran.wait(Duration::from_secs(30));
        // All are back, but not the answers to what was sent meanwhile.
        let s = ran.fell_short();
        assert!(kinds(&s).contains(&"storm"), "{ran}");
        let [storm] = s.storms.as_slice() else {
            panic!("{ran}");
        };
        let how = (storm.before, storm.lost, storm.dropped, storm.missing);
        assert_eq!(how, (200, 200, 0, 0), "{ran}");
        assert_eq!(storm.established, 200, "{ran}");
        assert_eq!(s.connections.timed_out, 200, "{ran}");
        let silent = storm.failed.get(&FailCause::TimedOut).copied().unwrap_or(0);
        assert!(silent >= 200, "each was tried in vain: {ran}");
        assert_eq!(storm.attempted, 200 + silent, "{ran}");
        assert_eq!(s.connections.established, 400, "{ran}");
        drop(server);
    }
}
