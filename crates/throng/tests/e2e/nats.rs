//! Fleets over NATS: real servers, real agents.

use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, serve, start_words, stop_serving, words};
use rustix::process::Signal;

/// A server that anybody on this machine may log in to, with what it keeps in `directory`.
fn server(net: &Net, directory: &str) -> Process {
    let args = ["-a", "127.0.0.1", "-p", "4222", "-js", "-sd", directory];
    start_server(net, "nats-server", &args, 4222)
}

/// An agent that waits at the server, once it does.
fn agent(net: &Net, url: &str, more: &str) -> Process {
    let mut all = vec!["agent", "--nats", url];
    all.extend(words(more));
    let agent = start_words(net, &all);
    agent.wait_for_stderr("waits at NATS server");
    agent
}

fn start_fleet(net: &Net, url: &str, run: &str) -> Process {
    let mut all = vec!["fleet", "run", "--nats", url];
    all.extend(words(run));
    start_words(net, &all)
}

fn run_fleet(net: &Net, url: &str, run: &str) -> Ran {
    start_fleet(net, url, run).wait(PATIENCE)
}

/// Asks agents to end, which they do.
fn end(agents: Vec<Process>) {
    for agent in agents {
        agent.signal(Signal::TERM);
        let ran = agent.wait(PATIENCE);
        assert!(!ran.stderr.contains("panicked"), "{ran}");
    }
}

const URL: &str = "nats://127.0.0.1:4222";

#[test]
fn agents_that_wait_at_a_server_run_one_load_after_the_other_also_while_the_server_restarts() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().to_str().unwrap();
    let nats = server(&net, kept);
    let target = serve(&net, "127.0.0.1:9000");
    let agents: Vec<Process> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| agent(&net, URL, &format!("--name {name}")))
        .collect();
    let ran = run_fleet(
        &net,
        URL,
        "--agents nats:4 load -c 400 --hold 500ms --first-message x --output json 127.0.0.1:9000",
    );
    let s = ran.reached();
    let names: Vec<_> = s.sources.iter().filter_map(|s| s.agent.clone()).collect();
    assert_eq!(names, ["a", "b", "c", "d"], "{ran}");
    assert_eq!(s.connections.established, 400, "{ran}");

    // The server goes and comes back while they hold: nothing is lost or counted twice.
    let fleet = start_fleet(
        &net,
        URL,
        "--agents nats:b,d load -c 100 --hold 3s --first-message x --output json 127.0.0.1:9000",
    );
    fleet.wait_for_stderr("holding");
    nats.signal(Signal::KILL);
    nats.wait(PATIENCE);
    fleet.wait_for_stderr("the way to the agents is interrupted");
    let nats = server(&net, kept);
    fleet.wait_for_stderr("the way to the agents is open again");
    let ran = fleet.wait(PATIENCE);
    let s = ran.reached();
    assert_eq!(
        (s.connections.established, s.sources.len()),
        (100, 2),
        "{ran}"
    );
    let counted = stop_serving(target);
    assert_eq!(counted.connections.accepted, Some(500));
    assert_eq!(counted.traffic.bytes_received, 500);
    end(agents);
    drop(nats);
}

#[test]
fn what_does_not_belong_here_is_refused_and_no_password_is_shown() {
    let net = Net::own();
    let args = "-a 127.0.0.1 -p 4222 --user me --pass secret";
    let nats = start_server(&net, "nats-server", &words(args), 4222);
    let url = "nats://me:secret@127.0.0.1:4222";
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (file("right", "word\n"), file("wrong", "guess\n"));
    let target = serve(&net, "127.0.0.1:9000");
    let careful = agent(
        &net,
        url,
        &format!("--name careful --token-file {right} --allow 127.0.0.1:9000"),
    );
    let load = "load -c 10 --hold 100ms --output json 127.0.0.1:9000";
    for (url, run, code, why) in [
        (
            "nats://me:guess@127.0.0.1:4222",
            format!("--agents nats:1 {load}"),
            1,
            "it does not let us in",
        ),
        (
            url,
            format!("--token-file {wrong} --agents nats:1 {load}"),
            2,
            "careful: the token is missing or wrong",
        ),
        (
            url,
            format!("--token-file {right} load -c 10 --hold 100ms 127.0.0.1:9001"),
            2,
            "127.0.0.1:9001 is not among the targets",
        ),
        (
            url,
            format!("--agents nats:careful,b --nats-wait 1s {load}"),
            1,
            "not all agents are there: b: not there, after 1",
        ),
        (
            "nats://198.18.0.1:4222",
            load.into(),
            2,
            "198.18.0.1:4222 is on another machine",
        ),
    ] {
        let ran = run_fleet(&net, url, &run);
        assert!(ran.stderr.contains(why) && ran.code == code, "{why}: {ran}");
        assert!(!ran.stderr.contains("me:"), "{ran}");
    }
    careful.wait_for_stderr("the token is missing or wrong");
    careful.wait_for_stderr("127.0.0.1:9001 is not among the targets");
    let ran = run_fleet(&net, url, &format!("--token-file {right} {load}"));
    ran.reached();
    assert!(
        ran.stdout.contains("nats://***@127.0.0.1:4222") && !ran.stdout.contains("secret"),
        "{ran}"
    );
    assert_eq!(stop_serving(target).connections.accepted, Some(10));
    end(vec![careful]);
    drop(nats);
}
