//! What may happen to a fleet: agents that are killed, stand still, are cut off or slow, and a coordinator that dies. Never a hang, a
//! wrong total or a lost result.

use super::fleet::{THRONG, children, start_fleet};
use crate::common::net::Net;
use crate::common::peers::{source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run_words, serve, stop_serving};
use rustix::process::{Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use throng_core::summary::Finding;

/// Where a relay waits for the coordinator's end.
const RELAY: u16 = 7000;

/// An agent behind a relay: what runs it, and how a fleet gets to it. Whatever it says takes `delay` seconds.
fn behind_a_relay(net: &Net, delay: &str) -> (Process, String) {
    let (relay, port) = (source("relay.py"), RELAY.to_string());
    let words = [relay.as_str(), "serve", &port, THRONG, "agent", "--stdio"];
    let far = start_server(net, "python3", &words, RELAY);
    (far, format!("exec:python3 {relay} to {port} {delay}"))
}

/// The finding that an agent was lost: its name, and how many connections it had.
fn lost(ran: &Ran) -> Option<(String, u64)> {
    ran.summary()
        .findings
        .into_iter()
        .find_map(|finding| match finding {
            Finding::SourceLost {
                source,
                connections,
                ..
            } => Some((source, connections)),
            _ => None,
        })
}

#[test]
fn a_killed_agent_is_named_and_what_it_had_is_neither_open_nor_closed() {
    for (on_loss, hold) in [("stop", "1m"), ("go-on", "4s")] {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        let run =
            format!("--on-loss {on_loss} load -c 300 --hold {hold} --output json 127.0.0.1:9000");
        let fleet = start_fleet(&net, &["local:3"], &run);
        fleet.wait_for_stderr("holding");
        let agents = children(&fleet);
        assert_eq!(agents.len(), 3, "{agents:?}");
        kill_process(agents[1], Signal::KILL).expect("it runs");
        let ran = fleet.wait(PATIENCE);
        let summary = ran.fell_short();
        // Nobody interrupted it, and the verdict says what happened.
        assert!(!summary.interrupted, "{ran}");
        assert_eq!(summary.findings[0].kind(), "source_lost", "{ran}");
        let (agent, connections) = lost(&ran).expect("one was lost");
        assert!(agent.starts_with("local-"), "{ran}");
        let c = &summary.connections;
        assert_eq!(
            (
                connections,
                c.asked,
                c.established,
                c.open_at_end,
                c.unknown
            ),
            (100, Some(300), 300, 200, 100),
            "{ran}"
        );
        let incomplete = summary.sources.iter().filter(|s| !s.complete);
        assert_eq!(incomplete.count(), 1, "{ran}");
        // Nothing about its plan follows.
        let told = "is lost, with 100 connections: it was killed by signal 9";
        assert!(ran.stderr.lines().any(|line| line.ends_with(told)), "{ran}");
        drop(server);
    }
}

#[test]
fn an_agent_that_stood_still_is_lost_and_back_and_its_result_is_whole() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let run = "--lost-after 2s load -c 200 --hold 6s --output json 127.0.0.1:9000";
    let fleet = start_fleet(&net, &["local:2"], run);
    fleet.wait_for_stderr("holding");
    let agent = children(&fleet)[0];
    kill_process(agent, Signal::STOP).expect("it runs");
    fleet.wait_for_stderr("is lost, with 100 connections: it was silent for 2");
    kill_process(agent, Signal::CONT).expect("it runs");
    fleet.wait_for_stderr("is back after");
    let ran = fleet.wait(PATIENCE);
    let s = ran.summary();
    assert!(
        s.sources.iter().all(|s| s.complete && s.peak == 100),
        "{ran}"
    );
    let c = &s.connections;
    assert_eq!(
        (c.established, c.open_at_end, c.unknown),
        (200, 200, 0),
        "{ran}"
    );
    // That it did not run is told.
    let kinds: Vec<&str> = s.findings.iter().map(Finding::kind).collect();
    assert!(
        kinds.contains(&"client_paused") && lost(&ran).is_none(),
        "{ran}"
    );
    assert_eq!(stop_serving(server).connections.accepted, Some(200));
}

#[test]
fn an_agent_that_was_cut_off_for_a_while_is_back_with_all_that_it_did() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let (far, agent) = behind_a_relay(&net, "0");
    let run =
        "--lost-after 1s load -c 200 -m hello --rate 100 --hold 8s --output json 127.0.0.1:9000";
    let fleet = start_fleet(&net, &[&agent, "local:1"], run);
    fleet.wait_for_stderr("holding");
    net.shell(
        "nft 'add table ip cut' && nft 'add chain ip cut in { type filter hook input priority 0; }' && \
         nft 'add rule ip cut in tcp dport 7000 drop' && nft 'add rule ip cut in tcp sport 7000 drop'",
    );
    fleet.wait_for_stderr("exec-1 is lost, with 100 connections: it was silent for 1");
    net.shell("nft delete table ip cut");
    fleet.wait_for_stderr("exec-1 is back after");
    let ran = fleet.wait(PATIENCE);
    let s = ran.summary();
    assert!(
        s.sources.iter().all(|s| s.complete && s.peak == 100),
        "{ran}"
    );
    assert_eq!(
        (s.connections.open_at_end, s.connections.unknown),
        (200, 0),
        "{ran}"
    );
    assert!(lost(&ran).is_none(), "{ran}");
    // To the last message, as the server has them.
    let served = stop_serving(server);
    assert_eq!(s.traffic.bytes_sent, served.traffic.bytes_received, "{ran}");
    assert_eq!(s.traffic.bytes_sent, 5 * s.traffic.messages_sent, "{ran}");
    drop(far);
}

#[test]
fn a_slow_way_to_an_agent_is_told_as_the_error_of_its_clock() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let (far, agent) = behind_a_relay(&net, "0.06");
    let run = "load -c 100 --hold 1s --output json 127.0.0.1:9000";
    let ran = start_fleet(&net, &[&agent, "local:1"], run).wait(PATIENCE);
    let s = ran.reached();
    let bound = |at: usize| s.sources[at].clock_bound_us.expect("it is known");
    // Half of a round trip.
    assert!(bound(0) >= 60_000.0 && bound(0) > 2.0 * bound(1), "{ran}");
    let start = s.start.expect("two agents");
    assert_eq!((start.agents, start.bound_us), (2, bound(0)), "{ran}");
    assert_eq!(stop_serving(server).connections.accepted, Some(100));
    drop(far);
}

#[test]
fn agents_whose_coordinator_dies_close_all_and_keep_their_results() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let directory = tempfile::tempdir().unwrap();
    let agent = format!(
        "exec:{THRONG} agent --stdio --alone-for 1s --keep {}",
        directory.path().display()
    );
    let fleet = start_fleet(
        &net,
        &[&agent, &agent],
        "load -c 50 --hold 1m 127.0.0.1:9000",
    );
    fleet.wait_for_stderr("holding");
    fleet.signal(Signal::KILL);
    let kept = wait_for_results(directory.path(), 2);
    let files = kept.iter().map(|path| path.to_str().unwrap());
    let words: Vec<&str> = ["merge", "--output", "json"]
        .into_iter()
        .chain(files)
        .collect();
    let merged = run_words(&net, &words);
    let s = merged.summary();
    assert_eq!(
        (s.connections.established, s.sources.len()),
        (50, 2),
        "{merged}"
    );
    // They have closed all.
    assert_eq!(stop_serving(server).connections.accepted, Some(50));
}

/// Waits until there are so many results in `directory`.
fn wait_for_results(directory: &Path, n: usize) -> Vec<PathBuf> {
    let until = Instant::now() + PATIENCE;
    loop {
        let entries = std::fs::read_dir(directory).unwrap();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_result = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let mut results: Vec<PathBuf> = paths.filter(is_result).collect();
        if results.len() == n {
            results.sort();
            return results;
        }
        assert!(Instant::now() < until, "only {results:?} are kept");
        std::thread::sleep(Duration::from_millis(50));
    }
}
