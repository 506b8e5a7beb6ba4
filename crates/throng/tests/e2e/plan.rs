//! `throng plan`: what it says, and that a run then finds just that.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{
    PATIENCE, assert_near, load, run, run_words, serve, start_with_file_limit, start_words,
    stop_serving,
};
use std::time::Duration;
use throng_core::capacity::{Capacity, LimitKind};

fn capacity(json: &str) -> Capacity {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("not a plan: {e}\n{json}"))
}

/// What `throng plan ARGS` says in JSON, with its exit code.
fn plan(net: &Net, args: &str) -> (Capacity, i32) {
    let ran = run(net, &format!("plan --output json {args}"));
    assert_eq!(ran.stderr, "", "{ran}");
    (capacity(&ran.stdout), ran.code)
}

#[test]
fn the_first_line_is_the_answer_and_the_table_fits_a_terminal() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
    for (args, answer, says, code) in [
        (
            "--target 192.0.2.1:80",
            "This machine can hold 1,000 connections to 192.0.2.1:80; limited first by",
            "> four-tuples              1,000  1,000 ports x 1 source address to 192.0.2.1",
            0,
        ),
        (
            "--target 192.0.2.1:80 -c 3k",
            "3,000 connections do not fit: this machine can hold 1,000 connections to",
            "3 addresses are enough",
            1,
        ),
        (
            "--target 192.0.2.1:80 -c 1m --per-client 25k",
            "25,000 connections on each client do not fit: this machine can hold 1,000",
            "need 40 client hosts.",
            1,
        ),
        (
            "--target 192.0.2.1:80 --tls --resume",
            "This machine can hold 1,000 connections to 192.0.2.1:80; limited first by",
            "(1,680 until",
            0,
        ),
        (
            "--target 192.0.2.1:80 -c 4k --proxies 2",
            "2,000 connections through each proxy do not fit: this machine can hold 1,000",
            "For all of them: 4 proxies in all",
            1,
        ),
    ] {
        let ran = run(&net, &format!("plan {args}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{ran}");
        assert!(ran.stdout.starts_with(answer), "{ran}");
        assert!(ran.stdout.contains(says), "no '{says}': {ran}");
        for line in ran.stdout.lines() {
            assert!(
                line.chars().count() <= 80 || !line.trim().contains(' '),
                "{line}"
            );
        }
    }
    let ran = run(&net, "plan");
    assert!(
        ran.code == 0 && ran.stdout.contains("With one end here: as a server"),
        "{ran}"
    );
}

#[test]
fn four_tuples_are_as_many_as_predicted() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999' net.ipv4.ip_local_reserved_ports=40100-40199");
    let server = serve(&net, "127.0.0.1:9000");
    for (options, expected) in [
        ("--source-ip 127.0.0.1", 900),
        ("--source-ip 127.0.0.1-127.0.0.2", 1800),
    ] {
        let (c, code) = plan(
            &net,
            &format!("--target 127.0.0.1:9000 {options} -c {expected}"),
        );
        assert_eq!(
            (c.allows, c.bound_by, code),
            (Some(expected), Some(LimitKind::FourTuples), 0)
        );
        let more = expected + 1;
        let refused = run(&net, &format!("load 127.0.0.1:9000 {options} -c {more}"));
        assert_eq!(refused.code, 2, "{refused}");
        let words = format!(
            "at most {}",
            throng_core::human::things(expected, "connection")
        );
        assert!(refused.stderr.contains(&words), "{refused}");
        let forced = load(
            &net,
            &format!(
                "127.0.0.1:9000 {options} -c {} --force --hold 0s --connect-timeout 1s",
                expected + 50
            ),
        );
        assert!(forced.stderr.contains("warning: four-tuples"), "{forced}");
        let peak = forced.fell_short().connections.peak;
        assert_near("the peak", peak as f64, expected as f64, 0.01);
        net.shell("sleep 1");
    }
    drop(server);
}

#[test]
fn files_of_the_epoll_engine_are_as_many_as_predicted() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    for (what, as_plan, as_load) in [
        ("--self", "--role both", "--self"),
        ("a target", "--target 127.0.0.1:9000", "127.0.0.1:9000"),
    ] {
        let args = format!("plan --output json --engine epoll {as_plan}");
        let ran = start_with_file_limit(&net, 1024, &args).wait(PATIENCE);
        let c = capacity(&ran.stdout);
        assert_eq!(c.bound_by, Some(LimitKind::OpenFiles), "{ran}");
        let n = c.allows.unwrap();
        let args = format!("load --output json --hold 0s --engine epoll {as_load} -c {n}");
        start_with_file_limit(&net, 1024, &args)
            .wait(PATIENCE)
            .reached();
        let more = n + n / 10;
        let args = format!("load --output json --hold 0s --engine epoll {as_load} -c {more}");
        let refused = start_with_file_limit(&net, 1024, &args).wait(PATIENCE);
        assert_eq!(refused.code, 2, "{refused}");
        if what == "--self" {
            // With both ends in one process, which of them gets the last files is up to chance.
            continue;
        }
        let args = format!("{args} --force --connect-timeout 1s");
        let forced = start_with_file_limit(&net, 1024, &args).wait(PATIENCE);
        let peak = forced.fell_short().connections.peak;
        assert_near(what, peak as f64, n as f64, 0.01);
    }
    drop(server);
}

#[test]
fn a_survey_made_here_plans_there() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40499'");
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let ran = run_words(&net, &["plan", "--survey", "--output-file", path]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran}");
    // Where the range is another one.
    let there = run_words(
        &Net::own(),
        &[
            "plan",
            "--host",
            path,
            "--target",
            "192.0.2.1:80",
            "--output",
            "json",
        ],
    );
    let c = capacity(&there.stdout);
    assert_eq!(
        (c.allows, c.bound_by),
        (Some(500), Some(LimitKind::FourTuples)),
        "{there}"
    );
    let text = run_words(
        &Net::own(),
        &["plan", "--host", path, "-c", "1k", "--role", "client"],
    );
    let name = c.host.unwrap();
    assert_eq!(text.code, 1, "{text}");
    assert!(
        text.stdout.contains(&format!("fit: {name} can hold 500")),
        "{text}"
    );
}

#[test]
fn what_is_no_survey_is_reported_in_one_line() {
    let net = Net::host();
    let whole = run(&net, "plan --survey").stdout;
    let cases = [
        (whole[..whole.len() / 2].to_owned(), "cut off"),
        (String::new(), "cut off"),
        (
            whole.replace("\"version\": 1", "\"version\": 2"),
            "version 2",
        ),
        (whole.replace("\"cores\"", "\"corse\""), "corse"),
        ("{}".into(), "no version"),
        ("[1]".into(), "no version"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.json");
    let path = path.to_str().unwrap();
    for (text, says) in &cases {
        std::fs::write(path, text).unwrap();
        let ran = run_words(&net, &["plan", "--host", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert!(
            ran.stderr.lines().count() == 1 && ran.stderr.contains(says),
            "{says}: {ran}"
        );
    }
}

#[test]
fn bad_input_is_reported_in_a_line_that_names_it() {
    let net = Net::host();
    let cases: &[(&[&str], &str)] = &[
        (&["-c", "-5"], "-5"),
        (&["-c", "0"], "at least 1"),
        (&["-c", "1m", "--per-client", "0"], "at least 1"),
        (&["--per-client", "25k"], "--connections"),
        (&["--role", "peer"], "'peer'"),
        (&["--target", "10.0.0.7"], "'10.0.0.7'"),
        (&["--proxies", "0"], "at least 1"),
        (&["--message-rate", "1"], "--message-size"),
        (&["--resume"], "--tls"),
        (&["--tls", "--resume", "--role", "server"], "--role server"),
        (&["--message-size", "-1"], "-1"),
        (&["--host", "/nowhere/host.json"], "/nowhere/host.json"),
        (&["--survey", "--host", "x"], "--host"),
        (
            &["--target", "[::1]:80", "--source-ip", "10.0.0.1"],
            "family",
        ),
    ];
    for (args, says) in cases {
        let args = [&["plan"], *args].concat();
        let ran = start_words(&net, &args).wait(Duration::from_secs(10));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        let one_line = ran.stderr.starts_with("throng: ") && ran.stderr.lines().count() == 1;
        assert!(one_line && ran.stderr.contains(says), "no '{says}': {ran}");
    }
}

#[test]
fn who_is_not_root_gets_a_plan_too() {
    let net = Net::own();
    let mut command = net.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([env!("CARGO_BIN_EXE_throng"), "plan", "-c", "1m"]);
    let ran = Process::start("throng plan as nobody".into(), command).wait(PATIENCE);
    assert!(ran.code < 2 && ran.stderr.is_empty(), "{ran}");
    assert!(ran.stdout.contains("1,000,000 connections"), "{ran}");
}

#[test]
fn following_the_printed_command_takes_the_connections_out_of_conntrack() {
    let net = Net::own();
    net.shell(
        "nft 'add table ip theirs; add chain ip theirs in { type filter hook input priority 0; }; \
           add rule ip theirs in ct state new accept'",
    );
    // Its wildcard listener leaves the port to no other listener.
    let serving = serve(&net, "9000");
    let conntrack = || {
        let (capacity, _) = plan(&net, "-c 100k --target 127.0.0.1:9000");
        capacity.limit(LimitKind::Conntrack).expect("a row").clone()
    };
    let before = conntrack();
    assert!(before.sure && before.allows.is_some(), "{before:#?}");
    let commands = before.lifts.iter().filter_map(|l| l.command.as_deref());
    let mut notrack = commands.filter(|c| c.contains("notrack"));
    let notrack = notrack.next_back().unwrap();
    net.shell(&notrack.replace("sudo ", ""));
    let after = conntrack();
    assert_eq!(
        (after.allows, after.unread.as_ref()),
        (None, None),
        "{after:#?}"
    );
    // The server was asked without a connection.
    assert_eq!(stop_serving(serving).connections.accepted, Some(0));
}
