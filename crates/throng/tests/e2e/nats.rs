//! Fleets over NATS: real servers, real agents.

use super::fleet::THRONG;
use crate::common::net::Net;
use crate::common::peers::{place, start_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, serve, start, start_words, stop_serving, words};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use throng_core::summary::Finding;

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

/// The name of the run that `fleet` coordinates.
fn name_of(fleet: &Process) -> String {
    let line = fleet.wait_for_stderr(" is kept at NATS server");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "run");
    at.map(|at| words[at + 1].to_owned()).expect("a name")
}

/// Runs `throng fleet` with what it does besides runs.
fn ask_fleet(net: &Net, url: &str, what: &str) -> Ran {
    let mut all = vec!["fleet"];
    all.extend(words(what));
    all.extend(["--nats", url]);
    start_words(net, &all).wait(PATIENCE)
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
    let twin = start_words(&net, &["agent", "--nats", url, "--name", "careful"]).wait(PATIENCE);
    assert!(
        twin.code == 2 && twin.stderr.contains("an agent of this name waits"),
        "{twin}"
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
            "no free agent b at the NATS server after 1",
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
    // This server keeps nothing.
    assert!(
        ran.stderr.contains("JetStream is off") && ran.stderr.contains("this run is not kept"),
        "{ran}"
    );
    let ran_none = ask_fleet(&net, url, "attach 12-ab");
    assert!(
        ran_none.code == 1 && ran_none.stderr.contains("JetStream is off"),
        "{ran_none}"
    );
    assert!(
        ran.stdout.contains("nats://***@127.0.0.1:4222") && !ran.stdout.contains("secret"),
        "{ran}"
    );
    assert_eq!(stop_serving(target).connections.accepted, Some(10));
    end(vec![careful]);
    drop(nats);
}

#[test]
fn what_a_stranger_at_the_server_says_is_refused_and_logged() {
    let net = Net::own();
    let args = "-a 127.0.0.1 -p 4222 --user me --pass secret";
    let nats = start_server(&net, "nats-server", &words(args), 4222);
    let stranger = |when: &str| {
        let ran = start_script(&net, "nats_stranger.py", &["4222", "me", "secret", when]);
        let ran = ran.wait(PATIENCE);
        assert_eq!(ran.code, 0, "{ran}");
    };
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("token"), "word\n").unwrap();
    let target = serve(&net, "127.0.0.1:9000");
    let url = "nats://me:secret@127.0.0.1:4222";
    let options = format!(
        "--name careful --token-file {} --log {} --keep {}",
        at("token"),
        at("log"),
        directory.path().display()
    );
    let careful = agent(&net, url, &options);
    stranger("before");
    careful.wait_for_stderr("refused: an order with a name of a run that is none");
    let logged = |why: &str| {
        let log = std::fs::read_to_string(at("log")).unwrap();
        log.lines().filter(|line| line.contains(why)).count()
    };
    let no_token = "refused: an order of run r: the token is missing or wrong";
    for (why, times) in [
        ("refused: not a message of the fleet's protocol", 1),
        ("refused: a message has more than 8388608 bytes", 1),
        (no_token, 2),
        ("belongs to run", 0),
    ] {
        assert_eq!(logged(why), times, "{why}");
    }
    // In the middle of a run, its orders change nothing. Who may send reports may forge them, which is found out.
    let load = "load -c 20 --hold 3s --output json 127.0.0.1:9000";
    let run = format!(
        "--token-file {} --agents nats:1 --agents local:1 {load}",
        at("token")
    );
    let fleet = start_fleet(&net, url, &run);
    fleet.wait_for_stderr("holding");
    stranger("during");
    fleet.wait_for_stderr("careful: refused: not a message of the fleet's protocol");
    let ran = fleet.wait(PATIENCE);
    let s = ran.fell_short();
    let why = "careful is lost, with 10 connections: its record is refused: it is not of one run that is over";
    assert!(ran.stderr.contains(why), "{ran}");
    let complete: Vec<bool> = s.sources.iter().map(|s| s.complete).collect();
    assert_eq!(complete, [false, true], "{ran}");
    let c = &s.connections;
    assert_eq!(
        (c.established, c.open_at_end, c.unknown),
        (20, 10, 10),
        "{ran}"
    );
    let run = "the token is missing or wrong: --token-file names";
    assert_eq!(logged(run), 3);
    assert_eq!(logged("refused: not a message of the fleet's protocol"), 2);
    assert_eq!(logged("ordered to stop"), 0);
    assert_eq!(stop_serving(target).connections.accepted, Some(20));
    drop((careful, nats));
}

#[test]
fn a_lab_host_whose_link_is_cut_is_lost_and_back_and_so_are_its_connections() {
    let net = Net::own();
    let lab = start(&net, "lab 2 --serve echo");
    let line = lab.wait_for_stderr("export THRONG_LAB=");
    let (_, hosts) = line.split_once("export ").expect("a variable");
    let (_, hosts) = hosts.split_once('=').expect("its value");
    let hosts = hosts.split(';').next().expect("a shell's command");
    let on = |host: &str, words: &[&str]| {
        let mut command = net.command(THRONG);
        command.env("THRONG_LAB", hosts);
        command.args(["lab", "--on", host, "--"]).args(words);
        Process::start(format!("{} on {host}", words.join(" ")), command)
    };
    let program = place("nats-server");
    let args = "-a 198.18.0.2 -p 4222 --user me --pass secret";
    let nats = on(
        "server",
        &[vec![program.to_str().unwrap()], words(args)].concat(),
    );
    nats.wait_for_stderr("Server is ready");
    let url = "nats://me:secret@198.18.0.2:4222";
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().display();
    let agent = |name: &str, host: &str| {
        let args =
            format!("agent --nats {url} --name {name} --allow 198.18.0.2:9000 --keep {keep}");
        let agent = on(host, &[vec![THRONG], words(&args)].concat());
        agent.wait_for_stderr("waits at NATS server");
        agent
    };
    let agents = [agent("a", "1"), agent("b", "2")];
    let run = format!(
        "fleet run --nats {url} --agents nats:a,b --lost-after 2s load -c 20 -m hello --rate 40 --latency-echo \
         --hold 10s --output json 198.18.0.2:9000"
    );
    let fleet = on("server", &[vec![THRONG], words(&run)].concat());
    fleet.wait_for_stderr("holding");
    // Each end loses what the other one sends.
    let ends = [("1", "198.18.0.2"), ("server", "198.18.1.1")];
    let nft = |host: &str, rules: &str| {
        let ran = on(host, &["nft", rules]).wait(PATIENCE);
        assert_eq!(ran.code, 0, "{ran}");
    };
    for (host, from) in ends {
        nft(
            host,
            &format!(
                "add table ip cut; add chain ip cut in {{ type filter hook input priority 0; }}; \
                 add rule ip cut in ip saddr {from} drop"
            ),
        );
    }
    let healed = Instant::now() + Duration::from_secs(5);
    fleet.wait_for_stderr("a is lost, with 10 connections: it was silent for 2");
    std::thread::sleep(healed.saturating_duration_since(Instant::now()));
    for (host, _) in ends {
        nft(host, "delete table ip cut");
    }
    fleet.wait_for_stderr("a is back after");
    let ran = fleet.wait(PATIENCE);
    let s = ran.summary();
    let is_lost = |f: &Finding| f.kind() == "source_lost";
    assert!(
        s.sources.iter().all(|s| s.complete && s.peak == 10) && !s.findings.iter().any(is_lost),
        "{ran}"
    );
    let c = &s.connections;
    assert_eq!((c.open_at_end, c.unknown), (20, 0), "{ran}");
    // Connections stood still as long as the link was cut, and none of them was lost: each message was answered.
    let slowest = |at: usize| s.sources[at].latency.map(|l| l.max_us);
    assert!(slowest(0) > Some(4e6), "{ran}");
    let answered = s.latency.response.map(|r| r.count);
    assert_eq!(answered, Some(s.traffic.messages_sent), "{ran}");
    drop((agents, nats, lab));
}

#[test]
fn a_coordinator_that_is_killed_is_followed_and_its_result_is_kept() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let nats = server(&net, directory.path().to_str().unwrap());
    let target = serve(&net, "127.0.0.1:9000");
    let agents: Vec<Process> = ["a", "b", "c"]
        .iter()
        .map(|name| agent(&net, URL, &format!("--name {name}")))
        .collect();
    let fleet = start_fleet(
        &net,
        URL,
        "--agents nats:3 load -c 300 --hold 6s --first-message x --output json 127.0.0.1:9000",
    );
    let run = name_of(&fleet);
    fleet.wait_for_stderr("holding");
    let attach = format!("attach {run} --output json");
    let refused = ask_fleet(&net, URL, &attach);
    assert!(
        refused.code == 1 && refused.stderr.contains("has a coordinator"),
        "{refused}"
    );
    fleet.signal(Signal::KILL);
    fleet.wait(PATIENCE);

    let ran = ask_fleet(&net, URL, &attach);
    assert!(ran.stderr.contains("3 of 3 agents still belong"), "{ran}");
    let s = ran.reached();
    let names: Vec<_> = s.sources.iter().filter_map(|s| s.agent.clone()).collect();
    assert_eq!(names, ["a", "b", "c"], "{ran}");
    assert_eq!(s.connections.established, 300, "{ran}");
    assert!(s.start.is_some(), "{ran}");
    // The command line is the first coordinator's.
    assert!(ran.stdout.contains("--first-message"), "{ran}");

    // It is over, and its agents are free.
    let status = ask_fleet(&net, URL, "status");
    let over = format!("  {run}  over: throng fleet attach {run} prints its result");
    assert!(
        status.stdout.contains("  c  free\n") && status.stdout.contains(&over),
        "{status}"
    );
    let again = ask_fleet(&net, URL, &attach);
    assert!(
        again.stderr.contains("is over: this is its result"),
        "{again}"
    );
    assert_eq!(again.stdout, ran.stdout, "{again}");
    let counted = stop_serving(target);
    assert_eq!(counted.connections.accepted, Some(300));
    assert_eq!(counted.traffic.bytes_received, 300);

    // What one agent was ordered, and nothing of the others.
    let logs = ask_fleet(&net, URL, "logs a");
    for line in [
        format!("Z a: belongs to run {run} as a"),
        "Z a: ordered to start".into(),
        "Z a: ordered to plan 1 of ".into(),
    ] {
        assert!(logs.stdout.contains(&line), "{line}: {logs}");
    }
    assert!(logs.code == 0 && !logs.stdout.contains("Z b: "), "{logs}");

    let unknown = ask_fleet(&net, URL, "logs nosuch");
    let why = "nothing is kept of an agent nosuch";
    assert!(
        unknown.code == 2 && unknown.stderr.contains(why),
        "{unknown}"
    );
    let unknown = ask_fleet(&net, URL, "attach 12-ab");
    let why = "nothing is kept of a run 12-ab";
    assert!(
        unknown.code == 2 && unknown.stderr.contains(why),
        "{unknown}"
    );
    end(agents);
    drop(nats);
}

#[test]
fn a_run_is_stopped_from_elsewhere_with_and_without_its_coordinator() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().to_str().unwrap();
    let nats = server(&net, kept);
    let target = serve(&net, "127.0.0.1:9000");
    let (right, wrong) = (format!("{kept}/right"), format!("{kept}/wrong"));
    std::fs::write(&right, "word\n").unwrap();
    std::fs::write(&wrong, "guess\n").unwrap();
    let agents: Vec<Process> = ["a", "b"]
        .iter()
        .map(|name| agent(&net, URL, &format!("--name {name} --token-file {right}")))
        .collect();
    let load = format!(
        "--token-file {right} load -c 20 --hold 1m --first-message x --output json 127.0.0.1:9000"
    );
    for is_led in [true, false] {
        let fleet = start_fleet(&net, URL, &load);
        let run = name_of(&fleet);
        fleet.wait_for_stderr("holding");
        let stop = |token: &str| ask_fleet(&net, URL, &format!("stop {run} --token-file {token}"));
        if is_led {
            let status = ask_fleet(&net, URL, "status");
            for line in [
                "2 agents at NATS server 127.0.0.1:4222".to_owned(),
                format!("  b  belongs to run {run}"),
                "20 of 20 connections open, 2 agents, coordinator on ".to_owned(),
            ] {
                assert!(status.stdout.contains(&line), "{line}: {status}");
            }
            let refused = stop(&wrong);
            let why = "goes on: the token is missing or wrong";
            assert!(
                refused.code == 2 && refused.stderr.contains(why),
                "{refused}"
            );
            let stopped = stop(&right);
            let line = format!("run {run} stops, and its coordinator prints the summary");
            assert!(
                stopped.code == 0 && stopped.stdout.contains(&line),
                "{stopped}"
            );
            let ran = fleet.wait(PATIENCE);
            assert!(ran.code == 130 && ran.summary().interrupted, "{ran}");
            continue;
        }
        fleet.signal(Signal::KILL);
        fleet.wait(PATIENCE);
        let left = format!("  {run}  its coordinator is gone; 2 agents are still in it");
        let status = ask_fleet(&net, URL, "status");
        assert!(status.stdout.contains(&left), "{status}");
        let stopped = stop(&right);
        assert!(
            stopped.stdout.contains("its 2 agents were ordered to stop"),
            "{stopped}"
        );
        let attach = format!("attach {run} --token-file {right} --output json");
        let ran = ask_fleet(&net, URL, &attach);
        let s = ran.summary();
        assert!(ran.code == 130 && s.interrupted, "{ran}");
        assert_eq!(s.connections.established, 20, "{ran}");
    }
    let none = ask_fleet(&net, URL, "stop 12-ab");
    assert!(
        none.code == 2 && none.stderr.contains("no run 12-ab goes on"),
        "{none}"
    );
    assert_eq!(stop_serving(target).connections.accepted, Some(40));
    end(agents);
    drop(nats);
}

/// A JWT of NATS: what `issuer` says about `subject`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let claims = part(json!({
        "jti": subject.public_key(),
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": "throng",
        "nats": nats,
    }));
    let signed = format!("{head}.{claims}");
    let signature = issuer.sign(signed.as_bytes()).expect("it has a seed");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The text of a credentials file for a user whom `account` lets in.
fn credentials(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let limits = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, &user, limits),
        user.seed().expect("it is new"),
    )
}

#[test]
fn a_credentials_file_lets_in_and_another_accounts_does_not() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let trusted = json!({"type": "operator", "version": 2});
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1,
    });
    let known = json!({"type": "account", "version": 2, "limits": limits});
    let config = format!(
        "listen: 127.0.0.1:4222\noperator: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {} }}\n",
        jwt(&operator, &operator, trusted),
        account.public_key(),
        jwt(&operator, &account, known),
    );
    let config = file("nats.conf", &config);
    let nats = start_server(&net, "nats-server", &["-c", &config], 4222);
    let right = file("right.creds", &credentials(&account));
    let wrong = file("wrong.creds", &credentials(&KeyPair::new_account()));
    let target = serve(&net, "127.0.0.1:9000");
    let agent = agent(&net, URL, &format!("--nats-creds {right}"));
    let load = "load -c 10 --hold 100ms --output json 127.0.0.1:9000";
    for login in [format!("--nats-creds {wrong}"), String::new()] {
        let ran = run_fleet(&net, URL, &format!("{login} {load}"));
        let why = "it does not let us in";
        assert!(ran.code == 1 && ran.stderr.contains(why), "{login}: {ran}");
    }
    let ran = run_fleet(&net, URL, &format!("--nats-creds {right} {load}"));
    assert_eq!(ran.reached().connections.established, 10, "{ran}");
    assert_eq!(stop_serving(target).connections.accepted, Some(10));
    end(vec![agent]);
    drop(nats);
}
