//! What this machine can't do is refused before the first socket; what it can do, it does under low
//! limits.

use crate::common::net::Net;
use crate::common::{PATIENCE, run, start_with_file_limit};
use std::time::Duration;

#[test]
fn an_impossible_plan_is_refused_with_limit_and_remedy_before_the_first_socket() {
    let net = Net::own();
    // Files, the command line, and what the refusal must say.
    let cases: [(u32, &str, &[&str]); 6] = [
        (
            20_000,
            "load --self -c 30k --engine epoll",
            &[
                "limit on open files is 20000",
                "; 99",
                "would do",
                "--engine uring",
                "ulimit -Hn",
            ],
        ),
        (
            1024,
            "load 127.0.0.1:9000 -c 2000 --engine epoll",
            &[
                "limit on open files is 1024",
                "; 98",
                "would do",
                "--engine uring",
            ],
        ),
        (
            1024,
            "serve 127.0.0.1:9000 --max-connections 2000 --engine epoll",
            &[
                "limit on open files is 1024",
                "; 98",
                "would do",
                "--engine uring",
            ],
        ),
        (
            64,
            "load --self -c 100k --engine uring",
            &["limit on open files is 64", "would do", "ulimit -Hn"],
        ),
        (
            20_000,
            "load --self -c 50m",
            &["memory", "need", "available", "reserve", "would do"],
        ),
        (
            20_000,
            "serve 127.0.0.1:9000 --max-connections 100m",
            &["memory", "need", "available", "reserve", "would do"],
        ),
    ];
    for (files, args, says) in cases {
        let ran = start_with_file_limit(&net, files, args).wait(Duration::from_secs(5));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        for part in says {
            assert!(ran.stderr.contains(part), "no '{part}': {ran}");
        }
        for line in ran.stderr.lines() {
            assert!(line.starts_with("throng: "), "{ran}");
        }
    }
}

#[test]
fn four_tuples_that_do_not_suffice_are_refused_with_what_would() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
    let ran = run(&net, "load 192.0.2.1:80 192.0.2.1:81 -c 3000");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    for part in [
        "1000 local ports",
        "; 2000 would do",
        "--source-ip",
        "ip_local_port_range",
    ] {
        assert!(ran.stderr.contains(part), "no '{part}': {ran}");
    }
}

#[test]
fn the_file_limit_does_not_bind_io_uring() {
    let net = Net::own();
    let args = "load --self=echo -c 5000 -m hello -r 1 --hold 1s --engine uring --output json";
    let ran = start_with_file_limit(&net, 256, args).wait(PATIENCE);
    let s = ran.reached();
    assert_eq!(s.connections.kernel_sockets, Some(10_000), "{ran}");
}

#[test]
fn the_soft_file_limit_is_raised_to_the_hard_one() {
    let net = Net::own();
    let mut command = net.command("prlimit");
    command
        .args(["--nofile=64:4096", env!("CARGO_BIN_EXE_throng"), "load"])
        .args([
            "--self", "-c", "1000", "--hold", "0s", "--engine", "epoll", "--output", "json",
        ]);
    let run = crate::common::process::Process::start("throng under a soft limit".into(), command);
    run.wait(PATIENCE).reached();
}
