//! throng against what others have written: nginx, HAProxy, Python's asyncio, Node's net, Go's net.
//!
//! A peer that is not installed fails its test; scripts/test installs them.

use crate::common::net::Net;
use crate::common::peers::{installed, script, source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run_words, serve, start_load, stop_serving};
use std::time::{Duration, Instant};

#[test]
fn what_a_peer_has_started_ends_with_it() {
    // Killed while it runs, as a server's master is, or gone by itself.
    for (then, ends) in [("wait", false), ("exit", true)] {
        let mut command = Net::host().command("sh");
        let line = format!("sleep 600 > /dev/null 2>&1 & echo started $! >&2; {then}");
        command.args(["-c", &line]);
        let peer = Process::start("a peer with a child".into(), command);
        let said = peer.wait_for_stderr("started");
        let child: u32 = said["started ".len()..].parse().unwrap();
        match ends {
            true => assert_eq!(peer.wait(PATIENCE).code, 0),
            false => drop(peer),
        }
        let until = Instant::now() + PATIENCE;
        let stat = format!("/proc/{child}/stat");
        // A zombie has ended, too: who adopted it does not look after it.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < until, "{child} still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn nginx_holds_idle_keepalive_connections() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    // Its user is the namespace's root, who need not be the machine's.
    let config = format!(
        "daemon off; master_process off; user root root; pid {at}/pid; error_log {at}/error.log;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             access_log {at}/access.log;
             keepalive_timeout 600s;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{ listen 127.0.0.1:8080 backlog=4096; return 200 'held'; }}
         }}"
    );
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let prefix = format!("{at}");
    let args = ["-p", &prefix, "-e", "stderr", "-c", file.to_str().unwrap()];
    let _nginx = start_server(&net, "nginx", &args, 8080);
    for engine in ["uring", "epoll"] {
        let ran = run_words(
            &net,
            &[
                "load",
                "--output",
                "json",
                "127.0.0.1:8080",
                "-c",
                "2000",
                "--hold",
                "2s",
                "--engine",
                engine,
                "-e",
                "-1",
                r"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            ],
        );
        let s = ran.reached();
        assert_eq!(
            (s.connections.open_at_end, s.connections.attempted),
            (2000, 2000),
            "{ran}"
        );
        assert_eq!(s.traffic.bytes_sent, 2000 * 27, "{ran}");
        // Each answer is the same, so their lengths are.
        assert!(s.traffic.bytes_received > 2000 * 50, "{ran}");
        assert_eq!(s.traffic.bytes_received % 2000, 0, "{ran}");
    }
    let log = std::fs::read_to_string(directory.path().join("access.log")).unwrap();
    let answered = log
        .lines()
        .filter(|l| l.contains("\"GET / HTTP/1.1\" 200"))
        .count();
    assert_eq!(answered, 4000, "nginx answered every request");
}

#[test]
fn echo_servers_in_python_and_node_answer_a_closed_loop() {
    let servers = [
        ("python3", source("echo_server.py")),
        ("node", source("echo_server.js")),
    ];
    for (program, source) in &servers {
        let net = Net::own();
        let _server = start_server(&net, program, &[source, "9000"], 9000);
        for engine in ["uring", "epoll"] {
            // Node accepts between answers: with many connections, on a busy machine, that takes long.
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 100 -1 hello -m echo! --closed-loop --hold 3s --engine {engine}"
                ),
            );
            let s = ran.reached();
            assert_eq!(
                (s.connections.open_at_end, s.connections.attempted),
                (100, 100),
                "{ran}"
            );
            assert!(s.traffic.replies >= 500, "{ran}");
            assert_eq!(s.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
            assert_eq!(
                s.traffic.bytes_sent,
                (100 + s.traffic.messages_sent) * 5,
                "{ran}"
            );
        }
    }
}

/// Asserts that a client of ours had all its messages back, unchanged.
fn assert_unchanged(ran: &Ran, messages: u32) {
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout
            .contains(&format!("all {messages} came back as they were")),
        "{ran}"
    );
}

#[test]
fn clients_in_python_and_go_get_their_bytes_back_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("echo-client");
    let build = installed(&Net::host(), "go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(source("echo_client.go"))
        .env("GO111MODULE", "off")
        .output()
        .unwrap();
    assert!(
        build.status.success(),
        "{}",
        String::from_utf8_lossy(&build.stderr)
    );
    for engine in ["uring", "epoll"] {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --mode echo --engine {engine}"),
        );
        let mut python = installed(&net, "python3");
        python.args([&source("echo_client.py"), "9000", "200", "10"]);
        let mut go = net.command(program.to_str().unwrap());
        go.args(["9000", "300", "20"]);
        // Both at once.
        let python = Process::start("the client in Python".into(), python);
        let go = Process::start("the client in Go".into(), go);
        assert_unchanged(&python.wait(PATIENCE), 200 * 10);
        assert_unchanged(&go.wait(PATIENCE), 300 * 20);
        let served = stop_serving(server);
        assert_eq!(served.connections.accepted, Some(500));
        assert_eq!(
            served.connections.closed_by_peer, 500,
            "{:#?}",
            served.connections
        );
        assert_eq!(served.traffic.bytes_received, served.traffic.bytes_sent);
    }
}

#[test]
fn haproxy_between_load_and_serve_passes_every_byte() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(
        &file,
        "global
             maxconn 5000
         defaults
             mode tcp
             timeout connect 5s
             timeout client 60s
             timeout server 60s
         listen between
             bind 127.0.0.1:8000 backlog 4096
             server throng 127.0.0.1:9000\n",
    )
    .unwrap();
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000 --mode echo");
    let args = ["-db", "-q", "-f", file.to_str().unwrap()];
    let _haproxy = start_server(&net, "haproxy", &args, 8000);
    let client = start_load(&net, "127.0.0.1:8000 -c 2000 -m hello -r 1 --hold 3s");
    let ran = client.wait(PATIENCE);
    let s = ran.reached();
    assert_eq!(
        (s.connections.open_at_end, s.connections.attempted),
        (2000, 2000),
        "{ran}"
    );
    assert!(s.traffic.messages_sent >= 2000 * 2, "{ran}");
    assert_eq!(s.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
    let served = stop_serving(server);
    assert_eq!(served.connections.accepted, Some(2000));
    assert_eq!(served.traffic.bytes_received, s.traffic.bytes_sent);
    assert_eq!(served.traffic.bytes_sent, s.traffic.bytes_sent);
}

#[test]
fn scipy_finds_the_differences_between_real_rounds_that_compare_finds() {
    let net = Net::own();
    let line = |rate: u32| {
        format!("load --self=echo -c 20 -m hello --latency-echo -r {rate} --hold 200ms")
    };
    let words = [
        "compare",
        "--run",
        &line(50),
        "--run",
        &line(100),
        "--rounds",
        "5",
        "--output",
        "json",
    ];
    let compared = run_words(&net, &words);
    assert_eq!(compared.code, 0, "{compared}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("compared.json");
    std::fs::write(&file, &compared.stdout).unwrap();
    let mut check = script(&net, "rank_tests.py");
    check.stdin(std::fs::File::open(&file).unwrap());
    let said = check.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{said:?}\n{compared}");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    // The latencies, the rate, the time to connect and CPU time at least.
    assert!(said["checked"].as_u64() >= Some(5), "{said}\n{compared}");
}
