//! `throng fleet run` and `throng agent`: real processes, one summary.

use crate::common::net::Net;
use crate::common::peers::{said, serve_script};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run_words, serve, start_words, stop_serving, words};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use throng_core::summary::Summary;

/// The throng that is tested, for shells.
pub(super) const THRONG: &str = env!("CARGO_BIN_EXE_throng");

/// The words of a fleet with these agents that runs `run`.
fn fleet<'a>(agents: &'a [&'a str], run: &'a str) -> Vec<&'a str> {
    let agents = agents.iter().flat_map(|agents| ["--agents", *agents]);
    ["fleet", "run"]
        .into_iter()
        .chain(agents)
        .chain(words(run))
        .collect()
}

pub(super) fn start_fleet(net: &Net, agents: &[&str], run: &str) -> Process {
    start_words(net, &fleet(agents, run))
}

pub(super) fn run_fleet(net: &Net, agents: &[&str], run: &str) -> Ran {
    start_fleet(net, agents, run).wait(PATIENCE)
}

/// The processes that `process` has started.
pub(super) fn children(process: &Process) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", process.id());
    let text = std::fs::read_to_string(path).expect("it runs");
    let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}

#[test]
fn four_agents_open_what_was_asked_and_the_server_counts_the_same() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let ran = run_fleet(
        &net,
        &["local:4"],
        "load -c 2000 --hold 1s --first-message x --expect peak=2000 --output json 127.0.0.1:9000",
    );
    let s = ran.reached();
    let c = &s.connections;
    assert_eq!(
        (c.asked, c.established, c.peak),
        (Some(2000), 2000, 2000),
        "{ran}"
    );
    let agents: Vec<_> = s
        .sources
        .iter()
        .map(|s| (s.agent.as_deref(), s.peak))
        .collect();
    let expected = ["local-1", "local-2", "local-3", "local-4"].map(|name| (Some(name), 500));
    assert_eq!(agents, expected, "{ran}");
    assert!(
        ran.stderr.contains("4 agents, clocks compared to within"),
        "{ran}"
    );
    let server = stop_serving(server);
    assert_eq!(server.connections.accepted, Some(2000));
    assert_eq!(server.traffic.bytes_received, 2000);
}

#[test]
fn a_fleet_sends_what_one_process_with_the_same_seed_sends() {
    let net = Net::own();
    let server = serve(&net, "--mode echo 127.0.0.1:9000");
    let first = r"'\{connection.uid}\n'";
    let asked = format!(
        "-c 101 -e --first-message {first} -m 0123456789 -n 1000 --rate 2k --latency-echo --seed 7 127.0.0.1:9000"
    );
    let one = load(&net, &asked);
    let fleet = run_fleet(&net, &["local:3"], &format!("load --output json {asked}"));
    let (a, b) = (one.reached(), fleet.reached());
    assert_eq!(b.sources.len(), 3, "{fleet}");
    assert_eq!(
        a.connections.established, b.connections.established,
        "{fleet}"
    );
    // Numbers of connections have one, two and three digits: each is somebody's.
    assert_eq!(a.traffic.bytes_sent, b.traffic.bytes_sent, "{one}{fleet}");
    assert_eq!(a.traffic.messages_sent, 1000, "{one}");
    assert_eq!(b.traffic.messages_sent, 1000, "{fleet}");
    let answers = |s: &Summary| s.latency.response.map(|r| r.count);
    assert_eq!(
        (answers(&a), answers(&b)),
        (Some(1000), Some(1000)),
        "{fleet}"
    );
    drop(server);
}

#[test]
fn twenty_agents_say_together_what_one_process_says() {
    let net = Net::own();
    let server = serve(&net, "--mode echo 127.0.0.1:9000");
    let first = r"'\{connection.uid}\n'";
    let asked = format!(
        "-c 210 -w 1 -e --first-message {first} -m 0123456789 -n 2000 --rate 1k --latency-echo --seed 11 127.0.0.1:9000"
    );
    let one = load(&net, &asked);
    let fleet = run_fleet(&net, &["local:20"], &format!("load --output json {asked}"));
    // Whether the rate was kept is the machine's affair.
    let (a, b) = (one.summary(), fleet.summary());
    let said = |s: &Summary| {
        let response = s.latency.response.expect("answers are timed");
        let (c, t) = (&s.connections, &s.traffic);
        (
            (c.asked, c.attempted, c.established, c.peak, c.open_at_end),
            (t.messages_sent, t.bytes_sent, t.bytes_received),
            (response.count, s.requests.as_ref().map(|r| r.sent)),
        )
    };
    assert_eq!(said(&a), said(&b), "{one}{fleet}");
    assert_eq!(b.traffic.messages_sent, 2000, "{fleet}");
    // Each agent has what is its, no more.
    let shares: Vec<u64> = b.sources.iter().map(|s| s.messages_sent).collect();
    assert_eq!(shares, [100; 20], "{fleet}");
    drop(server);
}

#[test]
fn poisson_arrivals_of_four_agents_are_those_of_one_poisson_process_at_their_receiver() {
    // So few that it hardly matters when a busy machine gives an agent a processor. The test itself has to tell arrivals at even distances from those.
    for (arrivals, hold, are_poisson) in [("poisson", "8s", true), ("uniform", "4s", false)] {
        let net = Net::own();
        let receiver = serve_script(&net, "arrivals.py", 9000, &["10", "50"]);
        let run = format!(
            "load -c 64 -w 1 -m 0123456789 --rate 50 --arrivals {arrivals} --seed 18 --hold {hold} --output json 127.0.0.1:9000"
        );
        let ran = run_fleet(&net, &["local:4"], &run);
        let found = said(&receiver, 1).remove(0);
        let sent = ran.summary().traffic.messages_sent;
        assert_eq!(found["messages"].as_u64(), Some(sent), "{ran}");
        let p = found["p"].as_f64().expect("a probability");
        match are_poisson {
            true => assert!(p > 0.01, "{found} {ran}"),
            false => assert!(p < 1e-6, "{found} {ran}"),
        }
    }
}

#[test]
fn when_agents_began_is_told_as_the_one_real_clock_has_it() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let directory = tempfile::tempdir().unwrap();
    // An agent's clock begins when it does: that of the second one is half a second behind.
    let agent = |name: &str, later: &str| {
        let log = directory.path().join(name);
        format!(
            "exec:sh -c \"sleep {later}; exec {THRONG} agent --stdio --log {}\"",
            log.display()
        )
    };
    let agents = [agent("a", "0"), agent("b", "0.5"), "local:1".to_owned()];
    let agents = agents.each_ref().map(String::as_str);
    let ran = run_fleet(
        &net,
        &agents,
        "load -c 30 --hold 500ms --output json 127.0.0.1:9000",
    );
    let s = ran.reached();
    let start = s.start.expect("three agents");
    let starts: Vec<f64> = s.sources.iter().filter_map(|s| s.start_us).collect();
    let least = starts.iter().copied().fold(f64::INFINITY, f64::min);
    let most = starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!((start.agents, starts.len()), (3, 3), "{ran}");
    assert_eq!((start.first_us, start.last_us), (least, most), "{ran}");
    assert!((start.spread_us - (most - least)).abs() < 0.01, "{ran}");
    for (at, name) in [(0, "a"), (1, "b")] {
        let log = std::fs::read_to_string(directory.path().join(name)).unwrap();
        let line = log
            .lines()
            .find(|line| line.ends_with("begins to open connections"));
        let (logged, _) = line
            .expect(&log)
            .split_once(' ')
            .expect("a time and a line");
        let logged: f64 = logged.parse().expect("seconds since 1970");
        let told = s.sources[at].started_unix_s + s.sources[at].start_us.unwrap() / 1e6;
        let bound = s.sources[at].clock_bound_us.unwrap() / 1e6;
        // The line is written later, and has milliseconds. A clock that was taken for another one's would be half a second off.
        let later = logged - told;
        assert!(
            later > -bound - 0.005 && later < 0.25,
            "{name}: {later} s; {ran}"
        );
    }
    assert!(
        ran.stderr.contains("3 agents, clocks compared to within"),
        "{ran}"
    );
    drop(server);
}

#[test]
fn a_limit_of_one_agent_refuses_the_run_and_fit_shifts_connections() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let small = format!("exec:prlimit --nofile=100:100 {THRONG} agent --stdio");
    let agents = [small.as_str(), "local:1"];
    let run = "load -c 400 --engine epoll --hold 1s --output json 127.0.0.1:9000";
    let ran = run_fleet(&net, &agents, run);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(
        ran.stdout.is_empty() && ran.stderr.contains("exec-1: open files"),
        "{ran}"
    );
    assert!(ran.stderr.contains("--fit"), "{ran}");
    let ran = run_fleet(&net, &agents, &format!("--fit {run}"));
    let s = ran.reached();
    let asked: Vec<_> = s.sources.iter().filter_map(|s| s.asked).collect();
    assert_eq!(asked.iter().sum::<u64>(), 400, "{ran}");
    assert!(asked[0] > 30 && asked[0] < 100, "{ran}");
    assert!(ran.stderr.contains("shares by what fits: exec-1 "), "{ran}");
    drop(server);
}

#[test]
fn what_an_agent_does_not_allow_is_refused_before_anything_is_opened() {
    let net = Net::own();
    net.shell("ip addr add 10.9.9.9/32 dev lo");
    let server = serve(&net, "10.9.9.9:9000");
    let directory = tempfile::tempdir().unwrap();
    let token = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (token("right", "secret\n"), token("wrong", "guess\n"));
    let log = directory.path().join("log");
    let agent = format!("exec:{THRONG} agent --stdio --log {}", log.display());
    let allowed = format!("{agent} --allow 10.9.0.0/16:9000");
    for (agent, run, why) in [
        (agent.clone(), "", "10.9.9.9:9000 is not among the targets"),
        (
            format!("{agent} --allow 10.9.9.9:9001"),
            "",
            "10.9.9.9:9000 is not among the targets",
        ),
        (
            format!("{allowed} --max-connections 9"),
            "",
            "--max-connections of this agent allows 9",
        ),
        (
            format!("{allowed} --max-rate 5"),
            "-m x -r 1",
            "10/s messages, and --max-rate",
        ),
        (
            format!("{allowed} --token-file {right}"),
            "",
            "the token is missing or wrong",
        ),
    ] {
        let run = format!("--token-file {wrong} load -c 10 --hold 100ms {run} 10.9.9.9:9000");
        let ran = run_fleet(&net, &[&agent], &run);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(why),
            "{why}: {ran}"
        );
        let logged = std::fs::read_to_string(&log).unwrap();
        assert!(logged.contains(why), "{logged}");
    }
    let right = format!("--token-file {right} load -c 10 --hold 100ms --output json 10.9.9.9:9000");
    let agent = format!(
        "{allowed} --token-file {}",
        directory.path().join("right").display()
    );
    run_fleet(&net, &[&agent], &right).reached();
    assert_eq!(stop_serving(server).connections.accepted, Some(10));
}

#[test]
fn agents_of_another_version_and_those_that_are_none_are_told() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    // It answers the first message as a later version would.
    let other = r#"exec:python3 -u -c 'import sys, json; run = json.loads(sys.stdin.readline())["run"]; facts = dict(tool="x", host="", machine="", network="", kernel="", cores=1); print(json.dumps(dict(run=run, report=dict(kind="hello", version=9, facts=facts)))); sys.stdin.read()'"#;
    let misused = format!("exec:{THRONG} agent --stdio --allow nobody");
    for (agent, code, why) in [
        (
            other,
            2,
            "exec-1 speaks version 9 of the fleet's protocol, and this throng version",
        ),
        ("exec:false", 1, "exec-1: it ended with exit code 1"),
        ("exec:echo hello", 1, "exec-1: refused: not a message"),
        (
            "exec:no-such-program",
            1,
            "exec-1: it ended with exit code 127 (",
        ),
        (
            "exec:cat",
            2,
            "exec-1: it is no agent: it repeats what it is told",
        ),
        (
            "exec:yes",
            2,
            "exec-1: it is no agent: none of 16 lines is a message",
        ),
        (&misused, 2, "'nobody' is not ADDRESS[/LENGTH]:PORTS"),
    ] {
        let ran = run_fleet(
            &net,
            &[agent, "local:1"],
            "load -c 10 --hold 100ms 127.0.0.1:9000",
        );
        assert!(ran.stderr.contains(why), "{why}: {ran}");
        assert!(ran.code == code && ran.stdout.is_empty(), "{ran}");
    }
    drop(server);
}

#[test]
fn orders_that_are_none_are_refused_and_logged_and_the_next_one_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut agent = Net::host()
        .command(THRONG)
        .args(["agent", "--stdio", "--log"])
        .arg(&log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut orders = agent.stdin.take().unwrap();
    let mut reports = BufReader::new(agent.stdout.take().unwrap()).lines();
    let mut report = |kind: &str| loop {
        let line = reports.next().expect("it answers").unwrap();
        if line.contains(&format!(r#""kind":"{kind}""#)) {
            return line;
        }
    };
    let order_of =
        |run: &str, text: &str| format!(r#"{{"run":"{run}","order":{{{text}}}}}"#) + "\n";
    let order = |text: &str| order_of("r", text);
    let ping = r#""kind":"ping","number":3"#;
    // Nobody has greeted it yet.
    orders.write_all(order(ping).as_bytes()).unwrap();
    let hello = order(r#""kind":"hello","version":9,"agent":"a","token":null"#);
    orders.write_all(hello.as_bytes()).unwrap();
    // It says its own version, and the coordinator refuses another one.
    assert!(report("hello").contains(r#""version":"#));
    orders.write_all(&vec![b'x'; 9 << 20]).unwrap();
    orders.write_all(b"\n").unwrap();
    assert!(report("refused").contains("more than 8388608 bytes"));
    orders
        .write_all(order(r#""kind":"explode""#).as_bytes())
        .unwrap();
    assert!(report("refused").contains("not a message"));
    orders
        .write_all(order_of("other", r#""kind":"stop""#).as_bytes())
        .unwrap();
    assert!(report("refused").contains(r#""run":"other""#));
    orders.write_all(order(ping).as_bytes()).unwrap();
    assert!(report("pong").contains(r#""number":3"#));
    // Without a coordinator it ends.
    drop(orders);
    assert_eq!(agent.wait().unwrap().code(), Some(1));
    let logged = std::fs::read_to_string(&log).unwrap();
    let refused = logged
        .lines()
        .filter_map(|line| line.split_once("refused: "));
    let why: Vec<&str> = refused.map(|(_, why)| why).collect();
    let expected = [
        "an order before the first greeting",
        "a message has more than 8388608 bytes",
        "not a message of the fleet's protocol, version 3: unknown variant `explode`",
        "an order of another run: this agent belongs to one already",
    ];
    assert_eq!(why.len(), expected.len(), "{logged}");
    for (why, expected) in why.into_iter().zip(expected) {
        assert!(why.starts_with(expected), "{expected}: {logged}");
    }
}

#[test]
fn a_forged_record_and_a_report_that_is_too_long_are_refused_and_told() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    // A record of one connection more than the agent's part has.
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().display();
    let forger = format!(
        "exec:sh -c \"{THRONG} agent --stdio --keep {keep} | sed -u '/kind.:.done/s/.connections.:50,/\\\"connections\\\":51,/'\""
    );
    let ran = run_fleet(
        &net,
        &[&forger, "local:1"],
        "load -c 100 --hold 1s --output json 127.0.0.1:9000",
    );
    let s = ran.fell_short();
    let why = "its record is refused: it is of 51 connections, and 50 were ordered";
    let is_told = |line: &str| line.contains("exec-1 is lost, ") && line.ends_with(why);
    assert!(ran.stderr.lines().any(is_told), "{ran}");
    let complete: Vec<bool> = s.sources.iter().map(|s| s.complete).collect();
    assert_eq!(complete, [false, true], "{ran}");
    assert_eq!(s.connections.established, 100, "{ran}");
    let loud =
        format!("exec:sh -c \"head -c 68000000 /dev/zero; echo; exec {THRONG} agent --stdio\"");
    let ran = run_fleet(
        &net,
        &[&loud],
        "load -c 10 --hold 100ms --output json 127.0.0.1:9000",
    );
    ran.reached();
    let why = "exec-1: refused: a message has more than 67108864 bytes";
    assert!(ran.stderr.contains(why), "{ran}");
    assert_eq!(stop_serving(server).connections.accepted, Some(110));
}

#[test]
fn ctrl_c_stops_all_agents_and_the_summary_has_what_they_did() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let fleet = start_fleet(
        &net,
        &["local:2"],
        "load -c 200 --hold 1m --output json 127.0.0.1:9000",
    );
    fleet.wait_for_stderr("holding");
    fleet.signal(Signal::INT);
    let ran = fleet.wait(PATIENCE);
    let s = ran.summary();
    assert_eq!(ran.code, 130, "{ran}");
    assert_eq!(
        (s.connections.established, s.sources.len()),
        (200, 2),
        "{ran}"
    );
    assert!(
        s.interrupted && s.sources.iter().all(|s| s.complete),
        "{ran}"
    );
    drop(server);
}

#[test]
fn what_a_fleet_cannot_do_is_refused_in_one_line() {
    let net = Net::host();
    for (words, why) in [
        (
            "fleet run --agents local:0 load -c 9 127.0.0.1:9",
            "a number from 1 to 256",
        ),
        (
            "fleet run --agents here load -c 9 127.0.0.1:9",
            "local:4, ssh:HOST,HOST",
        ),
        (
            "fleet run --agents local:2 load -c 1 127.0.0.1:9",
            "1 connection for 2 agents",
        ),
        ("fleet run --agents local:2 load -c 9 --self", "--self"),
        (
            "fleet run --agents local:2 load -c max 127.0.0.1:9",
            "-c max",
        ),
        (
            "fleet run --agents local:2 load -c 9 -d 127.0.0.1:9",
            "--dump-one",
        ),
        (
            "fleet run --agents local:2 lod -c 9 127.0.0.1:9",
            "'lod' is neither",
        ),
        (
            "fleet run --agents local:2 load --no-such 127.0.0.1:9",
            "--no-such",
        ),
        ("agent --stdio --allow nobody", "10.0.0.0/8:9000-9010"),
    ] {
        let ran = run_words(&net, &crate::common::words(words));
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{ran}");
        assert!(ran.stderr.contains(why), "{why}: {ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    }
}
