//! What this machine can't do is refused before the first socket; what it can do, it does under low
//! limits.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, serve, start_load, start_with_file_limit};
use std::path::Path;
use std::time::Duration;
use throng_core::capacity::LimitKind;
use throng_core::summary::Finding;

#[test]
fn an_impossible_plan_is_refused_with_limit_and_remedy_before_the_first_socket() {
    let net = Net::own();
    // Files, the command line, and what the refusal must say.
    let cases: [(u32, &str, &[&str]); 6] = [
        (
            20_000,
            "load --self -c 30k --engine epoll",
            &[
                "limit on open files is 20,000",
                "; at most 9,99",
                "connections fit",
                "--engine uring",
                "ulimit -Hn",
            ],
        ),
        (
            1024,
            "load 127.0.0.1:9000 -c 2000 --engine epoll",
            &[
                "limit on open files is 1,024",
                "; at most 1,01",
                "connections fit",
                "--engine uring",
            ],
        ),
        (
            1024,
            "serve 127.0.0.1:9000 --max-connections 2000 --engine epoll",
            &[
                "limit on open files is 1,024",
                "; at most 1,01",
                "connections fit",
                "--engine uring",
            ],
        ),
        (
            64,
            "load --self -c 100k --engine uring",
            &["limit on open files is 64", "connections fit", "ulimit -Hn"],
        ),
        (
            20_000,
            "load --self -c 50m",
            &["memory", "need", "available", "reserve", "connections fit"],
        ),
        (
            20_000,
            "serve 127.0.0.1:9000 --max-connections 100m",
            &["memory", "need", "available", "reserve", "connections fit"],
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
fn a_long_list_of_reserved_ports_is_read_to_its_end() {
    let net = Net::own();
    // The kernel gives the list to one read only; 600 numbers are far more than a first small one takes.
    let list: Vec<String> = (40_000..41_200).step_by(2).map(|p| p.to_string()).collect();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 49999'");
    net.shell(&format!(
        "sysctl -qw net.ipv4.ip_local_reserved_ports={}",
        list.join(",")
    ));
    let ran = run(&net, "load 192.0.2.1:80 -c 50k");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.contains("9,400 ports"), "{ran}");
}

#[test]
fn four_tuples_that_do_not_suffice_are_refused_with_what_would() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40999'");
    let ran = run(&net, "load 192.0.2.1:80 192.0.2.1:81 -c 3000");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    for part in [
        "1,000 ports",
        "; at most 2,000 connections fit",
        "--source-ip",
        "ip_local_port_range",
    ] {
        assert!(ran.stderr.contains(part), "no '{part}': {ran}");
    }
}

#[test]
fn what_is_named_twice_counts_once() {
    let net = Net::own();
    net.shell(
        "ip addr add 10.9.9.9/32 dev lo && echo 40000 40999 > /proc/sys/net/ipv4/ip_local_port_range",
    );
    for (args, fits) in [
        ("10.9.9.9:80 10.9.9.9:80", "at most 1,000 connections"),
        (
            "10.9.9.9:80 [::ffff:10.9.9.9]:80",
            "at most 1,000 connections",
        ),
        (
            "10.9.9.9:80 --source-ip 10.9.9.9 --source-ip 10.9.9.9",
            "at most 1,000 connections",
        ),
        (
            "10.9.9.9:80 --source-ip 10.9.9.9 --source-ip ::ffff:10.9.9.9",
            "at most 1,000 connections",
        ),
    ] {
        let ran = run(&net, &format!("load -c 2000 {args}"));
        assert!(ran.code == 2 && ran.stderr.contains(fits), "{ran}");
    }
}

#[test]
fn ports_of_connections_from_other_addresses_are_free() {
    let net = Net::own();
    net.shell(
        "ip addr add 10.9.9.9/32 dev lo && ip addr add 10.9.9.8/32 dev lo &&
         echo 40000 40999 > /proc/sys/net/ipv4/ip_local_port_range",
    );
    let serving = serve(&net, "10.9.9.9:9000");
    let other = start_load(&net, "-c 400 --hold 1m --source-ip 10.9.9.8 10.9.9.9:9000");
    other.wait_for_stderr("400");
    load(&net, "-c 1000 --hold 100ms 10.9.9.9:9000").reached();
    let ran = run(&net, "load -c 1000 --source-ip 10.9.9.8 10.9.9.9:9000");
    assert!(ran.code == 2 && ran.stderr.contains("at most 600"), "{ran}");
    drop((serving, other));
}

#[test]
fn a_server_that_has_as_many_as_the_machine_allows_says_so_also_in_the_end() {
    let net = Net::own();
    let mut command = net.command("prlimit");
    command
        .args(["--nofile=60:60", env!("CARGO_BIN_EXE_throng"), "serve"])
        .args(["127.0.0.1:9000", "-q", "--engine", "epoll"])
        .args(["--duration", "3s", "--output", "json"]);
    let mut server = Process::start("throng with few files".into(), command);
    server.wait_for_listener(&net, 9000);
    load(&net, "127.0.0.1:9000 -c 100 --force -T 1s");
    let s = server.wait(PATIENCE).fell_short();
    let full = s.findings.iter().find_map(|f| match f {
        Finding::AcceptingFull { connections, limit } => Some((*connections, *limit)),
        _ => None,
    });
    let (connections, limit) = full.expect("it is found");
    assert!((1..60).contains(&connections), "{connections}");
    assert_eq!(limit, LimitKind::OpenFiles);
}

/// Starts `program` with a limit of `files` for each process, and waits until it listens on port 9000.
fn start_server_with_files(net: &Net, files: u32, program: &[&str]) -> Process {
    let mut command = net.command("prlimit");
    command
        .arg(format!("--nofile={files}:{files}"))
        .args(program);
    let mut server = Process::start(program[0].into(), command);
    server.wait_for_listener(net, 9000);
    server
}

#[test]
fn files_of_one_process_do_not_bound_a_server_of_several() {
    let net = Net::own();
    let forks = "import os, signal, socket\n\
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
        s = socket.create_server(('127.0.0.1', 9000), backlog=500)\n\
        while True:\n\
        \x20   c, _ = s.accept()\n\
        \x20   if os.fork() == 0: s.close(); c.recv(1); os._exit(0)\n\
        \x20   c.close()\n";
    let server = start_server_with_files(&net, 64, &["python3", "-c", forks]);
    // It is held only once a process has accepted it.
    load(&net, "-c 200 --hold 3s 127.0.0.1:9000").reached();
    drop(server);
    let net = Net::own();
    // Until both listen, all connections go to one; what one has no place for, the other gets, however fast each is.
    let cluster = "const cluster = require('cluster');\n\
        if (cluster.isPrimary) {\n\
        \x20   let listening = 0;\n\
        \x20   cluster.on('listening', () => { if (++listening == 2) console.error('both'); });\n\
        \x20   cluster.fork(); cluster.fork();\n\
        }\n\
        else {\n\
        \x20   const server = require('net').createServer(c => c.on('error', () => {}));\n\
        \x20   server.maxConnections = 160;\n\
        \x20   server.listen(9000, '127.0.0.1');\n\
        }";
    let script = tempfile::Builder::new().suffix(".cjs").tempfile().unwrap();
    std::fs::write(&script, cluster).unwrap();
    let program = ["node", script.path().to_str().unwrap()];
    let server = start_server_with_files(&net, 200, &program);
    server.wait_for_stderr("both");
    // The one that accepts holds connections until the others take them: its files must suffice for that.
    load(&net, "-c 300 --connect-rate 100 --hold 2s 127.0.0.1:9000").reached();
    drop(server);
}

#[test]
fn sources_that_are_not_this_machine_s_are_refused_by_name() {
    let net = Net::own();
    net.shell("ip addr add fd00::1/128 dev lo nodad; ip addr add fd00::2/128 dev lo nodad");
    let ran = run(
        &net,
        "load [fd00::1]:9 --source-ip fd00::1-fd00::4 -c 8 --hold 0s",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(
        ran.stderr
            .contains("fd00::3, fd00::4 are not addresses of this machine"),
        "{ran}"
    );
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

/// Writes what /proc/meminfo says on a machine of 4 GiB with `mib` MiB left.
fn set_memory(meminfo: &Path, mib: u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let lines = text.lines().map(|line| match line.split(':').next() {
        Some("MemTotal") => format!("MemTotal: {} kB\n", 4 << 20),
        Some("MemAvailable") => format!("MemAvailable: {} kB\n", mib << 10),
        // What grows of it while connections come up is not taken for available.
        Some("SReclaimable") => "SReclaimable: 1000 kB\n".to_owned(),
        _ => format!("{line}\n"),
    });
    std::fs::write(meminfo, lines.collect::<String>()).unwrap();
}

/// Starts `throng` where /proc/meminfo is the file `meminfo`.
fn start_with_memory(net: &Net, meminfo: &Path, args: &str) -> Process {
    let mut command = net.command("unshare");
    command
        .args(["-m", "sh", "-c"])
        .arg(r#"mount --bind "$0" /proc/meminfo && exec "$@""#)
        .args([meminfo.to_str().unwrap(), env!("CARGO_BIN_EXE_throng")])
        .args(args.split_whitespace());
    Process::start(format!("throng {args}"), command)
}

#[test]
fn too_little_memory_is_refused_with_what_would_fit() {
    let net = Net::own();
    let meminfo = tempfile::NamedTempFile::new().unwrap();
    set_memory(meminfo.path(), 1000);
    // A sixteenth of 4 GiB is kept in reserve; 744 MiB are left for connections of some 9,500 bytes.
    let ran = start_with_memory(&net, meminfo.path(), "load --self -c 200k").wait(PATIENCE);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    for part in [
        "200,000 connections need",
        "1000 MiB",
        "256 MiB",
        "; at most 8",
        "connections fit",
    ] {
        assert!(ran.stderr.contains(part), "no '{part}': {ran}");
    }
}

#[test]
fn a_load_opens_no_more_when_memory_runs_out_and_holds_what_it_has() {
    for engine in ["uring", "epoll"] {
        let net = Net::own();
        let meminfo = tempfile::NamedTempFile::new().unwrap();
        set_memory(meminfo.path(), 3000);
        let load = start_with_memory(
            &net,
            meminfo.path(),
            &format!(
                "load --self -c 9000 --connect-rate 1000 --hold 2s --output json --engine {engine}"
            ),
        );
        load.wait_for_stderr("of 9,000 (");
        set_memory(meminfo.path(), 200);
        load.wait_for_stderr("no more connections are opened");
        let ran = load.wait(PATIENCE);
        let s = ran.fell_short();
        let c = &s.connections;
        assert!((900..9000).contains(&c.peak), "{ran}");
        assert_eq!(
            (c.open_at_end, c.attempted),
            (c.peak, c.established),
            "{ran}"
        );
        assert!(
            s.hold_s.is_some_and(|s| s >= 2.0),
            "it holds what it has: {ran}"
        );
        assert_eq!(s.findings[0].limit(), Some(LimitKind::Memory), "{ran}");
    }
}

#[test]
fn a_server_accepts_no_more_when_memory_runs_out_and_serves_who_is_there() {
    for engine in ["uring", "epoll"] {
        let net = Net::own();
        let meminfo = tempfile::NamedTempFile::new().unwrap();
        set_memory(meminfo.path(), 3000);
        let server = start_with_memory(
            &net,
            meminfo.path(),
            &format!(
                "serve 127.0.0.1:9000 --mode echo --duration 5s --output json --engine {engine}"
            ),
        );
        server.wait_for_stderr("on engine");
        let first = crate::common::start_load(&net, "127.0.0.1:9000 -c 100 -m x -r 5 --hold 3s");
        server.wait_for_stderr("100 connections");
        set_memory(meminfo.path(), 200);
        server.wait_for_stderr("no more connections are");
        load(&net, "127.0.0.1:9000 -c 50 --hold 500ms");
        let served = first.wait(PATIENCE).reached();
        assert_eq!(served.traffic.bytes_received, served.traffic.bytes_sent);
        let s = server.wait(PATIENCE).fell_short();
        assert_eq!(s.connections.accepted, Some(100), "{engine}");
        let stopped = Finding::AcceptingStopped {
            connections: 100,
            memory_left: 200 << 20,
        };
        assert_eq!(s.findings[0], stopped, "{engine}");
    }
}

#[test]
fn a_full_accept_queue_is_reported_as_such() {
    let net = Net::own();
    // The server has as many as it may, and leaves the others in its queue of four.
    let _server = serve(&net, "127.0.0.1:9000 --max-connections 10 --backlog 4");
    let ran = load(&net, "127.0.0.1:9000 -c 100 --connect-timeout 500ms");
    let s = ran.fell_short();
    assert!((10..=16).contains(&s.connections.peak), "{ran}");
    let met = |f: &Finding| {
        f.limit() == Some(LimitKind::AcceptQueue) && f.to_string().contains("127.0.0.1:9000")
    };
    assert!(s.findings.iter().any(met), "{ran}");
}
