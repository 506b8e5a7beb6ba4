//! `throng lab`: hosts on this machine, and what is left of them.

use crate::common::PATIENCE;
use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use crate::common::run;
use rustix::process::Signal;
use throng_core::summary::Summary;

/// Runs `throng lab` with these words.
fn lab(net: &Net, args: &[&str]) -> Ran {
    started(net, args).wait(PATIENCE)
}

fn started(net: &Net, args: &[&str]) -> Process {
    crate::common::start_words(net, &[&["lab"], args].concat())
}

/// The shell's way to call the throng that is tested.
const THRONG: &str = env!("CARGO_BIN_EXE_throng");

/// The processes of this machine whose command line has `text`.
fn with_words(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            String::from_utf8_lossy(line)
                .replace('\0', " ")
                .contains(text)
        })
        .count()
}

#[test]
fn hosts_reach_the_server_from_addresses_of_their_own() {
    let net = Net::own();
    let script = format!(
        "for host in 1 2; do {THRONG} lab --on $host -- load --quiet -c 20 -m hello -r 5 --hold 500ms --output json {{server}}:9000; done"
    );
    let ran = lab(
        &net,
        &[
            "2",
            "--addresses",
            "2",
            "--serve",
            "echo",
            "--",
            "sh",
            "-c",
            &script,
        ],
    );
    assert_eq!(ran.code, 0, "{ran}");
    let summaries: Vec<Summary> = serde_json::Deserializer::from_str(&ran.stdout)
        .into_iter()
        .map_while(Result::ok)
        .collect();
    assert!(
        summaries
            .iter()
            .all(|s| s.reached && s.connections.established == 20),
        "{ran}"
    );
    assert_eq!(summaries.len(), 2, "{ran}");
    // The server says at the end what it had, on stderr.
    assert!(
        ran.stderr
            .contains("40 connections accepted, up to 20 at once"),
        "{ran}"
    );
    let addresses = lab(
        &net,
        &[
            "2",
            "--addresses",
            "2",
            "--",
            "lab",
            "--on",
            "2",
            "--",
            "ip",
            "-br",
            "-4",
            "address",
        ],
    );
    assert!(
        addresses.stdout.contains("198.18.2.1/15") && addresses.stdout.contains("198.18.2.2/15"),
        "{addresses}"
    );
}

#[test]
fn the_command_runs_among_them_and_its_exit_code_is_the_lab_s() {
    let net = Net::own();
    let around = net.shell("ip -br link");
    assert!(!around.contains("lab"), "{around}");
    let ran = run(
        &net,
        "lab 1 --serve sink -- load -c 30 --hold 300ms --output json {server}:9000",
    );
    let s = ran.reached();
    assert_eq!(s.connections.established, 30);
    // Nothing of a lab is in the network around it, once it has ended.
    let own = run(&net, "lab 1 -- sh -c 'exit 7'");
    assert_eq!(own.code, 7, "{own}");
    assert_eq!(net.shell("ip -br link"), around);
}

#[test]
fn the_accept_queue_of_throng_s_own_server_is_long() {
    let script = "cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/tcp_max_syn_backlog";
    let net = Net::own();
    let on_server = ["lab", "--on", "server", "--", "sh", "-c", script];
    let ran = lab(
        &net,
        &[&["1", "--serve", "sink", "--"][..], &on_server].concat(),
    );
    assert_eq!(ran.stdout, "65535\n65535\n", "{ran}");
    // Others have what a new namespace has.
    let usual = net.shell(script);
    let ran = lab(&net, &[&["1", "--"][..], &on_server].concat());
    assert_eq!(ran.stdout, usual, "{ran}");
}

#[test]
fn a_server_that_sends_of_itself_gets_its_message() {
    let net = Net::own();
    let ran = run(
        &net,
        "lab 1 --serve chargen -m tick -- load -c 1 --hold 300ms --output json {server}:9000",
    );
    let received = ran.reached().traffic.bytes_received;
    assert!(received >= 4, "{ran}");
}

#[test]
fn a_fleet_has_an_agent_on_each_host() {
    let net = Net::own();
    let ran = run(
        &net,
        "lab 3 --serve echo -- fleet run load -c 90 -m hello -r 5 --latency-echo --hold 1s --output json {server}:9000",
    );
    let s = ran.reached();
    assert_eq!(s.connections.established, 90, "{ran}");
    assert!(
        ran.stderr
            .contains("90 connections accepted, up to 90 at once"),
        "{ran}"
    );
    for host in ["host-1", "host-2", "host-3"] {
        assert!(ran.stdout.contains(host), "{ran}");
    }
}

#[test]
fn links_have_the_bandwidth_and_the_loss_that_were_asked_for() {
    let net = Net::own();
    // A limit is an upper bound, however slow the machine is.
    let ran = lab(
        &net,
        &[
            "1",
            "--serve",
            "sink",
            "--rate-limit",
            "8Mbps",
            "--",
            "lab",
            "--on",
            "1",
            "--",
            "load",
            "-c",
            "1",
            "-m",
            "\\{re [a-z]{1000}}",
            "--hold",
            "3s",
            "--output",
            "json",
            "{server}:9000",
        ],
    );
    let s = ran.summary();
    let (rate, hold) = (1e6, s.hold_s.expect("a load has a hold"));
    // Buffers at both ends of the link have room for some.
    let most = rate * (hold + 1.0) + 6e6;
    assert!((s.traffic.bytes_sent as f64) < most, "{ran}");
    let script = format!(
        "{THRONG} lab --on 1 -- load --quiet -c 50 -m hello -r 20 --hold 1s {{server}}:9000 >&2; \
         {THRONG} lab --on 1 -- cat /proc/net/snmp"
    );
    let ran = lab(
        &net,
        &[
            "1", "--serve", "echo", "--loss", "5%", "--", "sh", "-c", &script,
        ],
    );
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("Tcp:"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let column = lines[0].iter().position(|name| *name == "RetransSegs");
    let resent: u64 = lines[1][column.expect("RetransSegs")]
        .parse()
        .expect("a number");
    assert!(resent > 5, "{ran}");
}

#[test]
fn nothing_is_left_of_a_lab_that_is_interrupted_or_killed() {
    for signal in [Signal::INT, Signal::KILL] {
        let net = Net::own();
        // Words that no other process has.
        let own = format!("sleep 987.{}", net.pid());
        let process = started(
            &net,
            &[
                "3",
                "--start",
                &format!("{own} & exec {THRONG} serve --quiet 9000"),
                "--",
                "sh",
                "-c",
                &format!("echo begun >&2; {own}"),
            ],
        );
        process.wait_for_stderr("begun");
        assert!(with_words(&own) >= 2);
        process.signal(signal);
        let ended = process.wait(PATIENCE);
        assert_ne!(ended.code, 0, "{ended}");
        let until = std::time::Instant::now() + PATIENCE;
        while with_words(&own) > 0 {
            assert!(std::time::Instant::now() < until, "{signal:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn what_a_lab_cannot_do_is_said_in_a_line() {
    let net = Net::own();
    for (args, code, says) in [
        (
            "lab 0 -- true",
            2,
            "'0' is not a number of hosts; write one from 1 to 511",
        ),
        ("lab x -- true", 2, "'x' is not a number of hosts"),
        (
            "lab 1 --addresses 255 -- true",
            2,
            "write one from 1 to 254",
        ),
        (
            "lab 1 --serve sink --port 0 -- true",
            2,
            "'0' is not a port",
        ),
        (
            "lab 1 --serve chargen -- true",
            2,
            "--serve chargen needs a message to send: add -m",
        ),
        (
            "lab 1 --serve echo -m x -- true",
            2,
            "--mode echo sends no messages of its own",
        ),
        ("lab -- true", 2, "<N>"),
        ("lab --on 1 -- true", 2, "THRONG_LAB is not set"),
        ("lab 2 -- lab --on 3 -- true", 2, "the hosts 1 to 2"),
        ("lab 2 -- lab --on 1", 2, "add -- COMMAND"),
        ("lab 1 --loss 100% -- true", 2, "below 100%"),
        ("lab 1 --serve nothing -- true", 2, "possible values: sink"),
        ("lab 1 --start false -- true", 1, "ended before it listened"),
        (
            "lab 1 -- no-such-program",
            127,
            "throng: no-such-program: No such file",
        ),
    ] {
        let ran = run(&net, args);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran}");
        assert!(
            ran.stderr.lines().count() == 1 && ran.stderr.contains(says),
            "{ran}"
        );
    }
}

#[test]
fn the_script_of_the_large_run_finds_that_agents_server_and_kernel_count_alike() {
    let net = Net::own();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../bench/suites/fleet/million.py"
    );
    let mut command = net.command("python3");
    command.args([script, "--agents", "3", "--each", "40", "--hold", "6s"]);
    command.args(["--throng", THRONG]);
    let ran = Process::start("million.py".into(), command).wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    for said in [
        "kernel: sockets of 3 hosts",
        "agents began within",
        "all count 120",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {ran}");
    }
}
