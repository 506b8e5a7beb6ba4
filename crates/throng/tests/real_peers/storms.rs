//! Storms and drains of nginx and HAProxy: what throng tells of them is what the servers count and log.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::Process;
use crate::common::{serve, start_load};
use rustix::process::Signal;
use std::time::Duration;
use throng_core::summary::{Drain, Summary};

/// nginx on a port, whose workers have a master, with what it counts at `/status`. It logs a line for each request. What is under
/// `/delay` goes to port 9000; connections on which that takes more than half a second are cut when nginx is reloaded.
fn nginx(net: &Net, authority: &Authority, port: u16) -> Process {
    let at = authority.path().display();
    let config = format!(
        "daemon off; worker_processes 2; pid {at}/pid; error_log stderr error; user root;
         worker_rlimit_nofile 8192; worker_shutdown_timeout 500ms;
         events {{ worker_connections 4096; }}
         http {{
             log_format plain '$status $request_uri'; access_log {at}/log plain;
             keepalive_timeout 300s; keepalive_requests 1000000;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{
                 listen 127.0.0.1:{port} backlog=4096;
                 location / {{ return 200 'hello'; }}
                 location /delay {{ proxy_pass http://127.0.0.1:9000; }}
                 location /status {{ stub_status; access_log off; }}
             }}
         }}"
    );
    let file = authority.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let at = at.to_string();
    let args = ["-p", &at, "-c", file.to_str().unwrap()];
    start_server(net, "nginx", &args, port)
}

/// The process of nginx's master, and of each worker.
fn processes(nginx: &Process) -> Vec<u32> {
    let children = format!("/proc/{0}/task/{0}/children", nginx.id());
    let children = std::fs::read_to_string(children).unwrap();
    let workers = children.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(nginx.id()).chain(workers).collect()
}

/// The lines of nginx's log about requests for `path`.
fn logged(authority: &Authority, path: &str) -> u64 {
    let text = std::fs::read_to_string(authority.path().join("log")).unwrap();
    text.lines().filter(|line| line.ends_with(path)).count() as u64
}

fn drain(summary: &Summary) -> Drain {
    summary.drain.expect("--drain was given")
}

#[test]
fn nginx_that_is_killed_counts_the_connections_that_come_back() {
    for engine in ENGINES {
        let (net, authority) = (Net::own(), Authority::new());
        let server = nginx(&net, &authority, 8080);
        let ran = start_load(
            &net,
            &format!(
                "127.0.0.1:8080 -c 2000 --hold 5s --reconnect-policy window:1s --allow-lost 100% --engine {engine}"
            ),
        );
        ran.wait_for_stderr("holding");
        for pid in processes(&server) {
            net.shell(&format!("kill -9 {pid}"));
        }
        server.wait(Duration::from_secs(10));
        let server = nginx(&net, &authority, 8080);
        let ran = ran.wait(Duration::from_secs(30));
        let s = ran.reached();
        let [storm] = s.storms.as_slice() else {
            panic!("{ran}");
        };
        assert_eq!(storm.missing, 0, "{ran}");
        // What came back to the listener of a process that was still dying was lost again.
        let again = storm.lost.checked_sub(2000).expect("all were lost");
        assert!(storm.peak_per_s > 1000.0, "{ran}");
        let status = net.shell("curl -s http://127.0.0.1:8080/status");
        let counts = status.lines().nth(2).expect("accepts, handled, requests");
        let accepted: u64 = counts.split_whitespace().next().unwrap().parse().unwrap();
        // The last one asked for this.
        assert_eq!(storm.established - again, accepted - 1, "{status}{ran}");
        drop(server);
    }
}

#[test]
fn nginx_that_is_reloaded_moves_connections_and_cuts_those_that_wait_too_long() {
    let (net, authority) = (Net::own(), Authority::new());
    let server = nginx(&net, &authority, 8080);
    let slow = serve(&net, "9000 --mode http");
    let reload = |ran: &Process| {
        ran.wait_for_stderr("holding");
        std::thread::sleep(Duration::from_millis(500));
        server.signal(Signal::HUP);
    };
    let ran = start_load(
        &net,
        "-c 100 --rate 500 --hold 4s --drain http://127.0.0.1:8080/quick",
    );
    reload(&ran);
    let ran = ran.wait(Duration::from_secs(30));
    let s = ran.summary();
    let d = drain(&s);
    let broke = d.cut + d.reset;
    assert_eq!((d.ended, d.moved + broke), (100, 100), "{ran}");
    // A request may cross the end of its connection, which nginx's kernel may answer with a reset.
    assert!(broke <= 5 && d.missing == 0 && d.stuck == Some(0), "{ran}");
    assert_eq!(s.reached, broke == 0, "{ran}");
    let http = s.protocols.http.as_ref().expect("it is HTTP");
    assert_eq!(
        http.requests,
        logged(&authority, "/quick") + d.messages_lost,
        "{ran}"
    );
    // Ten are in the middle of requests that take longer than nginx waits.
    let ran = start_load(
        &net,
        "-c 10 --hold 3s --drain http://127.0.0.1:8080/delay/8s",
    );
    reload(&ran);
    let ran = ran.wait(Duration::from_secs(30));
    let s = ran.fell_short();
    let d = drain(&s);
    assert_eq!(
        (d.moved, d.cut + d.reset, d.messages_lost),
        (0, 10, 10),
        "{ran}"
    );
    assert_eq!(s.findings[0].kind(), "drain_broke", "{ran}");
    drop(slow);
}

/// HAProxy on 8000 before these ports, with its socket, from which another one takes the listeners. Arguments beyond the
/// configuration are `more`.
fn haproxy(net: &Net, authority: &Authority, mode: &str, ports: &[u16], more: &[&str]) -> Process {
    let at = authority.path().display();
    let servers: String = ports
        .iter()
        .map(|port| format!(" server s{port} 127.0.0.1:{port}\n"))
        .collect();
    let config = format!(
        "global\n stats socket {at}/socket level admin expose-fd listeners\n maxconn 4000\n hard-stop-after 10s\n\
         defaults\n mode {mode}\n timeout connect 5s\n timeout client 300s\n timeout server 300s\n timeout http-keep-alive 300s\n\
         frontend f\n bind 127.0.0.1:8000\n default_backend b\nbackend b\n{servers}"
    );
    let file = authority.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let args = [&["-db", "-f", file.to_str().unwrap()], more].concat();
    start_server(net, "haproxy", &args, 8000)
}

#[test]
fn haproxy_that_is_reloaded_seamlessly_moves_its_connections() {
    let (net, authority) = (Net::own(), Authority::new());
    let backend = serve(&net, "9000 --mode http");
    let old = haproxy(&net, &authority, "http", &[9000], &[]);
    let ran = start_load(
        &net,
        "-c 100 --rate 500 --hold 4s --drain http://127.0.0.1:8000/",
    );
    ran.wait_for_stderr("holding");
    std::thread::sleep(Duration::from_millis(500));
    let socket = authority.path().join("socket");
    let pid = old.id().to_string();
    let new = haproxy(
        &net,
        &authority,
        "http",
        &[9000],
        &["-x", socket.to_str().unwrap(), "-sf", &pid],
    );
    let ran = ran.wait(Duration::from_secs(30));
    let s = ran.summary();
    let d = drain(&s);
    assert_eq!(
        (d.ended, d.moved + d.cut, d.missing),
        (100, 100, 0),
        "{ran}"
    );
    // It closes idle connections at once: a request may cross that.
    assert!(d.cut <= 5 && d.messages_lost == d.cut, "{ran}");
    assert_eq!((s.reached, d.answers_unasked), (d.cut == 0, 0), "{ran}");
    // Stopped for good, it resets or closes what is under way.
    let ran = start_load(
        &net,
        "-c 10 --hold 3s --drain --no-reconnect http://127.0.0.1:8000/delay/2s",
    );
    ran.wait_for_stderr("holding");
    std::thread::sleep(Duration::from_millis(500));
    new.signal(Signal::KILL);
    let ran = ran.wait(Duration::from_secs(30));
    let d = drain(&ran.fell_short());
    assert_eq!((d.moved, d.cut + d.reset, d.missing), (0, 10, 10), "{ran}");
    drop((backend, old));
}

/// What HAProxy answers to a command on its socket.
fn asked(net: &Net, authority: &Authority, command: &str) -> String {
    let socket = authority.path().join("socket");
    let script = "import socket, sys\n\
                  s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\\n')\n\
                  print(b''.join(iter(lambda: s.recv(65536), b'')).decode())";
    net.python(script, &[socket.to_str().unwrap(), command])
}

#[test]
fn a_pair_that_is_rolled_behind_haproxy_moves_each_connection_to_the_other() {
    let net = Net::own();
    let (front, one, other) = (Authority::new(), Authority::new(), Authority::new());
    let pair = [
        (8080, nginx(&net, &one, 8080)),
        (8081, nginx(&net, &other, 8081)),
    ];
    let balancer = haproxy(&net, &front, "tcp", &[8080, 8081], &[]);
    let ran = start_load(
        &net,
        "-c 100 --rate 500 --hold 6s --drain http://127.0.0.1:8000/quick",
    );
    ran.wait_for_stderr("holding");
    for (port, server) in &pair {
        std::thread::sleep(Duration::from_millis(500));
        asked(&net, &front, &format!("set server b/s{port} state drain"));
        server.signal(Signal::HUP);
        // All that it had is at the other one, and its new workers listen.
        std::thread::sleep(Duration::from_millis(1500));
        asked(&net, &front, &format!("set server b/s{port} state ready"));
    }
    let ran = ran.wait(Duration::from_secs(30));
    let s = ran.summary();
    let d = drain(&s);
    let broke = d.cut + d.reset;
    // Those of the first one, and then all of them.
    assert_eq!((d.ended, d.moved + broke), (150, 150), "{ran}");
    // A request may cross the end of its connection.
    assert!(broke <= 8 && d.missing == 0 && d.stuck == Some(0), "{ran}");
    assert_eq!(s.reached, broke == 0, "{ran}");
    let stats = asked(&net, &front, "show stat");
    let frontend = stats.lines().find(|line| line.starts_with("f,FRONTEND"));
    // The eighth field is `stot`, all its sessions (HAProxy's management guide, 9.1).
    let sessions = frontend.and_then(|line| line.split(',').nth(7));
    assert_eq!(sessions, Some("250"), "{stats}{ran}");
    let http = s.protocols.http.as_ref().expect("it is HTTP");
    let answered = [&one, &other].map(|at| logged(at, "/quick"));
    assert!(answered[0] > 0 && answered[1] > 0, "{answered:?}");
    // A request that crossed the end may have been answered, to nobody.
    let all: u64 = answered.iter().sum();
    let lost = http.requests - all.min(http.requests);
    assert!(
        all <= http.requests && lost <= d.messages_lost,
        "{all} {ran}"
    );
    drop((balancer, pair));
}
