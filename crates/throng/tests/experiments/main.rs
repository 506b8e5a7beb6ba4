//! Prediction = experiment: each limit in turn is made the one that binds. `throng plan` names it and
//! says the number, `throng load` is refused with that number, and with `--force` it gets there and names
//! the same limit.
//!
//! A binary of its own, and one experiment at a time: some change what the whole machine shares.

#[path = "../common/mod.rs"]
mod common;
mod rig;

use common::net::Net;
use common::process::{Process, Ran};
use common::{PATIENCE, assert_near};
use rig::{
    Cgroup, ConntrackMax, accept_and_close_beyond, listen_and_accept, listen_only, two_networks,
};
use serde_json::Value;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use throng_core::capacity::LimitKind;
use throng_core::stats::FailCause;

/// A machine on which one limit binds.
struct Experiment {
    /// Where throng runs.
    net: Net,
    /// What throng is started with: a program and its arguments, if not by itself.
    under: Vec<String>,
    /// Options that `plan` and `load` have in common.
    common: String,
    /// Options of `load` alone.
    load: String,
    /// How many connections to ask for: more than there can be.
    ask: u32,
    /// The limit, as JSON names it.
    limit: &'static str,
    /// How many it allows, where the set-up of the experiment determines it.
    allows: Option<u64>,
    /// Whether a run that asks for more can't work: such is refused. Otherwise it may work, and is
    /// warned about.
    refused: bool,
    /// What must stay while it runs.
    _stays: Vec<Box<dyn Any>>,
}

fn on(net: Net, target: &str) -> Experiment {
    Experiment {
        net,
        under: Vec::new(),
        common: format!("--target {target}"),
        load: target.to_owned(),
        ask: 0,
        limit: "",
        allows: None,
        refused: true,
        _stays: Vec::new(),
    }
}

impl Experiment {
    fn start(&self, args: &str) -> Process {
        let throng = env!("CARGO_BIN_EXE_throng");
        let mut words = self.under.iter().map(String::as_str).chain([throng]);
        let mut command = self.net.command(words.next().expect("at least throng"));
        command.args(words).args(args.split_whitespace());
        Process::start(format!("throng {args}"), command)
    }

    /// Plans, is refused, and tries it all the same.
    fn run(self) {
        let ask = self.ask;
        let plan = format!("plan --output json -c {ask} -w 1 {}", self.common);
        let ran = self.start(&plan).wait(PATIENCE);
        assert_eq!(ran.code, i32::from(self.refused), "{ran}");
        let capacity: Value = serde_json::from_str(&ran.stdout).expect("the plan is JSON");
        let row = capacity["limits"]
            .as_array()
            .and_then(|all| all.iter().find(|row| row["kind"] == self.limit))
            .unwrap_or_else(|| panic!("no row '{}': {ran}", self.limit));
        let predicted = row["allows"].as_u64().expect("the row has a number");
        if self.refused {
            assert_eq!(
                capacity["limits"][0]["kind"], self.limit,
                "binds first: {ran}"
            );
        }
        if let Some(allows) = self.allows {
            assert_eq!(predicted, allows, "{ran}");
        }
        assert!(
            predicted > 0 && predicted < ask.into(),
            "{predicted}: {ran}"
        );

        let sources = self.common.split_once("--source-ip").map(|(_, s)| s);
        let sources = sources.map_or(String::new(), |s| format!("--source-ip {s}"));
        let load = format!("load {} -c {ask} {sources} -w 1 --output json", self.load);
        if self.refused {
            let ran = self.start(&load).wait(PATIENCE);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
            assert_near("refused beyond", fitting(&ran), predicted as f64, 0.01);
        }

        let forced = format!("{load} --force --hold 0s --connect-timeout 1s");
        let ran = self.start(&forced).wait(PATIENCE);
        let s = ran.fell_short();
        assert_near("warned beyond", fitting(&ran), predicted as f64, 0.01);
        let cause = s
            .causes
            .first()
            .unwrap_or_else(|| panic!("no cause: {ran}"));
        let named = serde_json::to_value(cause.limit).expect("a limit has a name");
        assert_eq!(named, self.limit, "{ran}");
        // Where the server has a queue, what waits there is established but was not accepted.
        let reached = match self.limit {
            "target_files" => cause.allows.expect("what was accepted"),
            _ => s.connections.peak,
        };
        assert_near("connections", reached as f64, predicted as f64, 0.01);
    }
}

/// Runs an experiment with a server that is kept from accepting for a moment when the machine has other work:
/// clients then count as up what the server has dropped. It must work out once in a few times.
fn undisturbed(experiment: impl Fn()) {
    const TRIES: u32 = 8;
    for again in (0..TRIES).rev() {
        match catch_unwind(AssertUnwindSafe(&experiment)) {
            Ok(()) => return,
            Err(panic) if again == 0 => resume_unwind(panic),
            Err(_) => {}
        }
    }
}

/// The number of connections that fit, by stderr's first line with one. What is in use changes a little from one
/// look to the next.
fn fitting(ran: &Ran) -> f64 {
    let (before, _) = ran
        .stderr
        .split_once(" connections fit")
        .unwrap_or_else(|| panic!("no number: {ran}"));
    let number = before
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .replace(',', "");
    number.parse().unwrap_or_else(|e| panic!("{e}: {ran}"))
}

/// One experiment at a time.
fn alone() -> impl Drop {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_range_of_1000_ports() {
    let _machine = alone();
    let rig = two_networks("serve 9000");
    rig.client
        .shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
    Experiment {
        ask: 1500,
        limit: "four_tuples",
        allows: Some(1000),
        _stays: vec![Box::new(rig.server)],
        ..on(rig.client, "10.77.0.9:9000")
    }
    .run();
}

#[test]
fn a_range_of_1000_ports_and_two_source_addresses() {
    let _machine = alone();
    let rig = two_networks("serve 9000");
    rig.client
        .shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
    Experiment {
        common: "--target 10.77.0.9:9000 --source-ip 10.77.0.1-10.77.0.2".into(),
        ask: 2500,
        limit: "four_tuples",
        allows: Some(2000),
        _stays: vec![Box::new(rig.server)],
        ..on(rig.client, "10.77.0.9:9000")
    }
    .run();
}

#[test]
fn a_range_of_1000_ports_of_which_200_are_reserved() {
    let _machine = alone();
    let rig = two_networks("serve 9000");
    rig.client.shell(
        "sysctl -qw net.ipv4.ip_local_port_range='40000 40999' \
         net.ipv4.ip_local_reserved_ports=40100-40299",
    );
    Experiment {
        ask: 1000,
        limit: "four_tuples",
        allows: Some(800),
        _stays: vec![Box::new(rig.server)],
        ..on(rig.client, "10.77.0.9:9000")
    }
    .run();
}

#[test]
fn a_conntrack_table_of_700_entries() {
    let _machine = alone();
    let rig = two_networks("serve 9000");
    rig.client.shell(
        "nft 'add table inet t; \
         add chain inet t out { type filter hook output priority 0; }; \
         add rule inet t out ct state invalid drop'",
    );
    let max = ConntrackMax::set(700);
    Experiment {
        ask: 1000,
        limit: "conntrack",
        _stays: vec![Box::new(rig.server), Box::new(max)],
        ..on(rig.client, "10.77.0.9:9000")
    }
    .run();
}

/// Has the kernel track what comes in.
const TRACK: &str = "nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; \
                     add rule inet t in ct state invalid drop'";

/// A conntrack table of 200 entries in each network namespace, for as long as it lives.
fn table_of_200() -> (Net, ConntrackMax) {
    let loads_conntrack = Net::own();
    loads_conntrack.shell(TRACK);
    (loads_conntrack, ConntrackMax::set(200))
}

#[test]
fn the_agents_of_a_lab_say_what_their_server_s_conntrack_table_dropped() {
    let _machine = alone();
    let _max = table_of_200();
    let net = Net::own();
    let throng = env!("CARGO_BIN_EXE_throng");
    let start = format!("{TRACK} && exec {throng} serve --quiet 9000");
    let mut command = net.command(throng);
    command.args(["lab", "2", "--start", &start, "--"]);
    let load = "fleet run load -c 300 --connect-timeout 1s --hold 1s --output json {server}:9000";
    command.args(load.split(' '));
    let ran = Process::start(format!("lab 2 -- {load}"), command).wait(PATIENCE);
    let s = ran.fell_short();
    assert_eq!(s.sources.len(), 2, "{ran}");
    let [cause] = &s.causes[..] else {
        panic!("one cause: {ran}");
    };
    assert!(
        cause.certain && s.findings[0].limit() == Some(LimitKind::Conntrack),
        "{ran}"
    );
    let (timed_out, place) = cause
        .what
        .split_once(" attempts timed out, ")
        .expect("they did");
    let timed_out: u64 = timed_out.replace(',', "").parse().expect("a number");
    assert_eq!(
        Some(&timed_out),
        s.connections.failed.get(&FailCause::TimedOut),
        "{ran}"
    );
    let full = "and the conntrack table at the server's host of the lab is full: ";
    assert!(
        place.starts_with(full) && place.contains("of 200 entries"),
        "{ran}"
    );
    // Others may have entries there.
    assert_near("connections", s.connections.peak as f64, 200.0, 0.02);
}

#[test]
fn an_agent_beside_a_container_says_what_the_table_of_its_host_dropped() {
    let _machine = alone();
    let host = Net::own();
    // It tracks what passes through to the container, and nothing of its own.
    host.shell(
        "sysctl -qw net.ipv4.ip_forward=1 && nft 'add table ip t; \
         add chain ip t own { type filter hook output priority raw; }; add rule ip t own notrack; \
         add chain ip t back { type filter hook prerouting priority raw; }; \
         add rule ip t back ip daddr 10.78.0.1 notrack; \
         add chain ip t forward { type filter hook forward priority 0; }; add rule ip t forward ct state invalid drop'",
    );
    let _max = ConntrackMax::set(200);
    let (client, container) = (Net::own(), Net::own());
    for (net, n) in [(&client, 77), (&container, 78)] {
        host.shell(&format!(
            "ip link add v{n} type veth peer name e netns {} && ip link set v{n} up && ip addr add 10.{n}.0.1/24 dev v{n}",
            net.pid()
        ));
        net.shell(&format!(
            "ip link set e up && ip addr add 10.{n}.0.2/24 dev e && ip route add default via 10.{n}.0.1"
        ));
    }
    let server = crate::common::serve(&container, "9000");
    let agent = |of: &Net, more: &str| {
        let throng = env!("CARGO_BIN_EXE_throng");
        let entered = format!("nsenter --net=/proc/{}/ns/net", of.pid());
        format!("exec:{entered} {throng} agent --stdio --allow 10.78.0.2:9000{more}")
    };
    let watching = agent(&host, &format!(" --watch {}", server.id()));
    let mut command = client.command(env!("CARGO_BIN_EXE_throng"));
    command.args([
        "fleet",
        "run",
        "--agents",
        &agent(&client, ""),
        "--agents",
        &watching,
    ]);
    let load = "load -c 500 --connect-timeout 1s --hold 1s --output json 10.78.0.2:9000";
    command.args(load.split(' '));
    let ran = Process::start(load.into(), command).wait(PATIENCE);
    let s = ran.fell_short();
    let [cause] = &s.causes[..] else {
        panic!("one cause: {ran}");
    };
    assert_eq!(
        (cause.limit, cause.certain),
        (LimitKind::Conntrack, true),
        "{ran}"
    );
    let full = "and the conntrack table at the host of ";
    assert!(
        cause.what.contains(full) && cause.what.contains("of 200 entries"),
        "{ran}"
    );
}

#[test]
fn a_server_that_may_have_300_files() {
    let _machine = alone();
    undisturbed(|| {
        let net = Net::own();
        let server = listen_and_accept(&net, 9000, 64, 300);
        Experiment {
            // Not faster than it accepts on a busy machine: it would keep connections that were given up meanwhile.
            load: "127.0.0.1:9000 --connect-rate 200".into(),
            ask: 400,
            limit: "target_files",
            _stays: vec![Box::new(server)],
            ..on(net, "127.0.0.1:9000")
        }
        .run();
    });
}

#[test]
fn a_cgroup_with_400_mib_of_memory() {
    let _machine = alone();
    let cgroup = Cgroup::with_memory(400 << 20);
    Experiment {
        under: cgroup.words(),
        common: "--role both".into(),
        load: "--self".into(),
        ask: 100_000,
        limit: "cgroup_memory",
        _stays: vec![Box::new(cgroup)],
        ..on(Net::own(), "127.0.0.1:9000")
    }
    .run();
}

#[test]
fn an_accept_queue_of_16_without_an_accept() {
    let _machine = alone();
    let net = Net::own();
    let server = listen_only(&net, 9000, 16);
    Experiment {
        ask: 100,
        limit: "accept_queue",
        // The kernel lets one more in than was asked for.
        allows: Some(17),
        refused: false,
        _stays: vec![Box::new(server)],
        ..on(net, "127.0.0.1:9000")
    }
    .run();
}

#[test]
fn a_file_limit_of_1000_under_the_epoll_engine() {
    let _machine = alone();
    let rig = two_networks("serve 9000");
    Experiment {
        under: ["prlimit", "--nofile=1000:1000"].map(str::to_owned).into(),
        common: "--target 10.77.0.9:9000 --engine epoll".into(),
        load: "10.77.0.9:9000 --engine epoll".into(),
        ask: 1200,
        limit: "open_files",
        _stays: vec![Box::new(rig.server)],
        ..on(rig.client, "10.77.0.9:9000")
    }
    .run();
}

/// A server whose process can't be seen, as on another machine: the shape of the failure says what it was.
#[test]
fn the_file_limit_of_a_server_elsewhere_is_reported_by_the_plateau() {
    let _machine = alone();
    undisturbed(|| {
        let rig = two_networks("serve 9000");
        let server = listen_and_accept(rig.server.net(), 9001, 128, 1024);
        let load = "load 10.77.0.9:9001 -c 1500 --output json --hold 0s --connect-timeout 1s";
        let ran = common::start(&rig.client, load).wait(PATIENCE);
        let s = ran.fell_short();
        let cause = s
            .causes
            .first()
            .unwrap_or_else(|| panic!("no cause: {ran}"));
        assert_eq!(cause.limit, LimitKind::TargetFiles, "{ran}");
        assert!(!cause.certain, "the shape only suggests it: {ran}");
        assert!(cause.what.contains("file limit of 1024"), "{ran}");
        // What it accepted, and what waits in its queue of 128.
        assert!((900..1024 + 130).contains(&s.connections.peak), "{ran}");
        drop(server);
    });
}

#[test]
fn a_server_that_closes_what_comes_beyond_its_limit_is_reported_as_such() {
    let _machine = alone();
    undisturbed(|| {
        let net = Net::own();
        let _server = accept_and_close_beyond(&net, 9000, 50);
        let load = "load 127.0.0.1:9000 -c 80 --output json --hold 0s --connect-timeout 1s";
        let ran = common::start(&net, load).wait(PATIENCE);
        let s = ran.fell_short();
        let cause = s
            .causes
            .first()
            .unwrap_or_else(|| panic!("no cause: {ran}"));
        assert_eq!(cause.limit, LimitKind::TargetConnections, "{ran}");
    });
}

/// It keeps a file in reserve with which it accepts, and closes, what comes beyond its limit.
#[test]
fn a_mosquitto_that_may_have_300_files() {
    let _machine = alone();
    undisturbed(|| {
        let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
        let config = directory.path().join("mosquitto.conf");
        let text = "listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n";
        std::fs::write(&config, text).unwrap();
        let mut command = net.command("prlimit");
        command.args(["--nofile=300:300", "mosquitto", "-c"]);
        command.arg(&config);
        let mut mosquitto = Process::start("mosquitto".into(), command);
        mosquitto.wait_for_listener(&net, 1883);
        Experiment {
            load: "mqtt://127.0.0.1:1883 --connect-rate 200".into(),
            ask: 400,
            limit: "target_files",
            _stays: vec![Box::new(mosquitto), Box::new(directory)],
            ..on(net, "127.0.0.1:1883")
        }
        .run();
    });
}
