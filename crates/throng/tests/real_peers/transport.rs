//! How connections reach a server: other addresses and ports than a target's, headers of the PROXY protocol, Unix sockets.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::{said, start_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run_words, serve, stop_serving};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use throng_core::protocol::http::Status;

/// nginx on 8080 of both families and, with TLS, on 8443. Logs a line for each request: the address and port that it came to,
/// the Host header, the server name of TLS, the method. With the PROXY protocol it is on 8081 and 8444; the line is then the
/// client and the destination of the header.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let at = authority.path().display();
    let (certificate, key) = authority.issue("server", &["a.example"]);
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr error;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             log_format came '$server_addr:$server_port $http_host $ssl_server_name $request_method';
             log_format client '$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port';
             access_log {at}/log came;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{
                 listen 127.0.0.1:8080; listen [::1]:8080;
                 listen 127.0.0.1:8443 ssl; listen unix:{at}/socket backlog=4096;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 location / {{ return 200 'hello'; }}
             }}
             server {{
                 listen 127.0.0.1:8081 proxy_protocol; listen [::1]:8081 proxy_protocol;
                 listen 127.0.0.1:8444 ssl proxy_protocol;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 access_log {at}/log client;
                 location / {{ return 200 'hello'; }}
             }}
         }}",
        certificate = certificate.display(),
        key = key.display(),
    );
    let file = authority.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let at = at.to_string();
    let args = ["-p", &at, "-c", file.to_str().unwrap()];
    start_server(net, "nginx", &args, 8443)
}

/// How often each line is in nginx's log, which is empty afterwards.
fn logged(authority: &Authority) -> BTreeMap<String, u64> {
    let file = authority.path().join("log");
    let mut all = BTreeMap::new();
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        *all.entry(line.to_owned()).or_default() += 1;
    }
    std::fs::write(file, "").unwrap();
    all
}

/// Runs these words and a string of further ones.
fn run(net: &Net, words: &[&str], more: &str) -> Ran {
    let more: Vec<&str> = more.split_whitespace().collect();
    run_words(net, &[words, &more].concat())
}

#[test]
fn requests_name_the_target_wherever_connections_go() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let ca = authority.ca_file();
    let tls = format!("--cacert {} https://a.example/x", ca.display());
    for engine in ENGINES {
        let common = format!("-n 20 -c 5 --output json --engine {engine}");
        for (command, args, came) in [
            (
                "load",
                "--connect-to a.example:80:127.0.0.1:8080 http://a.example/x",
                "127.0.0.1:8080 a.example - GET",
            ),
            (
                "http",
                "--connect-to ::[::1]:8080 http://a.example/x",
                "::1:8080 a.example - GET",
            ),
            (
                "http",
                "-4 --connect-to ::localhost:8080 http://a.example/x",
                "127.0.0.1:8080 a.example - GET",
            ),
            (
                "http",
                "--resolve a.example:8080:[::1] a.example:8080/x",
                "::1:8080 a.example:8080 - GET",
            ),
            (
                "load",
                "--resolve *:8080:127.0.0.1 --connect-to :::8080 http://a.example/x",
                "127.0.0.1:8080 a.example - GET",
            ),
            (
                "http",
                &format!("--connect-to :443:127.0.0.1:8443 {tls}"),
                "127.0.0.1:8443 a.example a.example GET",
            ),
        ] {
            let ran = run(&net, &[command], &format!("{common} {args}"));
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            assert_eq!(logged(&authority), [(came.to_owned(), 20)].into(), "{ran}");
        }
        // A handshake of WebSocket that nginx refuses, and logs.
        let args = format!("--engine {engine} -c 1 --hold 1s --connect-to ::127.0.0.1:8080");
        let ran = run(&net, &["load"], &format!("{args} ws://a.example:99/chat"));
        assert_eq!(ran.code, 1, "{ran}");
        let came: Vec<String> = logged(&authority).into_keys().collect();
        assert_eq!(came, ["127.0.0.1:8080 a.example:99 - GET"], "{ran}");
    }
}

#[test]
fn addresses_of_a_list_are_used_in_turn() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    for engine in ENGINES {
        let args = format!(
            "--output json --engine {engine} -n 100 -c 10 --resolve a.example:8080:[::1],127.0.0.1 http://a.example:8080/x"
        );
        let ran = run(&net, &["http"], &args);
        assert!(ran.code == 0, "{ran}");
        let addresses = ran.summary().connections.by_address;
        let each: Vec<u64> = addresses.iter().map(|of| of.established).collect();
        assert_eq!(each, [5, 5], "{ran}");
        let sum: u64 = logged(&authority).values().sum();
        assert_eq!(sum, 100, "{ran}");
    }
}

#[test]
fn what_is_about_no_target_is_refused_before_anything_is_opened() {
    let net = Net::own();
    for (args, told) in [
        (
            "--resolve b.example:80:127.0.0.1",
            "no target is b.example:80",
        ),
        (
            "--resolve a.example:81:127.0.0.1",
            "no target is a.example:81",
        ),
        (
            "--resolve a.example:80:127.0.0.1 --connect-to ::127.0.0.1:",
            "no connection goes to a.example:80",
        ),
        (
            "--connect-to b.example::127.0.0.1:",
            "no target has that host and port",
        ),
        (
            "--connect-to ::127.0.0.1:81 --connect-to a.example:80:127.0.0.1:82",
            "--connect-to ::127.0.0.1:81 is before it",
        ),
        (
            "--connect-to a.example:80:b.example",
            "HOST1:PORT1:HOST2:PORT2",
        ),
        (
            "--connect-to ::no.such.name.invalid:",
            "can't resolve 'no.such.name.invalid'",
        ),
        ("-6 --connect-to ::127.0.0.1:", "has no IPv6 address"),
    ] {
        for command in ["load", "http"] {
            let ran = run(&net, &[command, "http://a.example/"], args);
            assert!(ran.code == 2 && ran.stdout.is_empty(), "{ran}");
            let right = ran.stderr.contains(told) && ran.stderr.lines().count() == 1;
            assert!(right, "{ran}");
        }
    }
    let ran = run(&net, &["load", "--self"], "--connect-to ::127.0.0.1:80");
    assert!(ran.code == 2 && ran.stderr.contains("--self"), "{ran}");
}

/// The clients that nginx saw, and the destinations that their headers named.
fn clients(authority: &Authority) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let mut clients = BTreeMap::new();
    let mut destinations = BTreeSet::new();
    for (line, n) in logged(authority) {
        let (client, destination) = line.split_once(' ').unwrap();
        *clients.entry(client.to_owned()).or_default() += n;
        destinations.insert(destination.to_owned());
    }
    (clients, destinations)
}

#[test]
fn each_connection_speaks_for_a_client_of_its_own() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let ca = format!("--cacert {}", authority.ca_file().display());
    for engine in ENGINES {
        for version in ["v1", "v2"] {
            let common =
                format!("--engine {engine} --output json -c 20 -n 200 --proxy-protocol {version}");
            let https = format!("--connect-to ::127.0.0.1:8444 {ca} https://a.example/");
            for (args, first, destination) in [
                (
                    "http://127.0.0.1:8081/",
                    "198.18.0.1:1024",
                    "127.0.0.1:8081",
                ),
                ("http://[::1]:8081/", "2001:2:::1024", "::1:8081"),
                (
                    "--proxy-source 10.1.0.0/16 http://127.0.0.1:8081/",
                    "10.1.0.1:1024",
                    "127.0.0.1:8081",
                ),
                (&https, "198.18.0.1:1024", "127.0.0.1:8444"),
            ] {
                let ran = run(&net, &["http"], &format!("{common} {args}"));
                let summary = ran.summary();
                assert!(ran.code == 0 && summary.reached, "{ran}");
                let http = summary.protocols.http.as_ref().unwrap();
                let (clients, destinations) = clients(&authority);
                assert_eq!(
                    (clients.len(), clients.values().sum()),
                    (20, http.completed)
                );
                assert!(clients.contains_key(first), "{clients:?} {ran}");
                assert_eq!(destinations, [destination.to_owned()].into(), "{ran}");
            }
        }
    }
}

#[test]
fn haproxy_takes_the_header_and_passes_the_rest_on() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let config = "global
    maxconn 4000
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend raw
    mode tcp
    bind 127.0.0.1:9090 accept-proxy
    default_backend echo
backend echo
    mode tcp
    server echo 127.0.0.1:9092
frontend web
    mode http
    bind 127.0.0.1:9091 accept-proxy
    http-request return status 200 content-type text/plain lf-string \"from %[src]:%[src_port]\"
";
    let file = at.join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let _haproxy = start_server(&net, "haproxy", &["-f", file.to_str().unwrap()], 9091);
    for engine in ENGINES {
        for version in ["v1", "v2"] {
            let common = format!("--engine {engine} --output json -c 20");
            let headers = format!("--proxy-protocol {version} --proxy-source 10.9.0.0/24");
            // Raw bytes come back unchanged, whatever the header was.
            let echo = serve(&net, "--mode echo 127.0.0.1:9092");
            let raw = "-m hello-hello --latency-echo -r 20 --hold 1s 127.0.0.1:9090";
            let ran = run(&net, &["load"], &format!("{common} {headers} {raw}"));
            let summary = ran.reached();
            let served = stop_serving(echo);
            // The header stays with HAProxy.
            let (sent, header) = (summary.traffic.bytes_sent, 20 * header_bytes(version));
            assert!(
                sent > served.traffic.bytes_received
                    && sent <= served.traffic.bytes_received + header,
                "{ran}"
            );
            let web = "-n 200 --expect-body 10.9.0. http://127.0.0.1:9091/";
            let ran = run(&net, &["http"], &format!("{common} {headers} {web}"));
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            // Without a header HAProxy closes, which is told.
            let ran = run(&net, &["load"], &format!("{common} -T 5s {web}"));
            ran.fell_short();
        }
    }
}

/// The most bytes that a header has.
fn header_bytes(version: &str) -> u64 {
    match version {
        "v1" => 107,
        _ => 28,
    }
}

#[test]
fn a_server_that_expects_no_header_is_reported_with_what_it_answered() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    for engine in ENGINES {
        for version in ["v1", "v2"] {
            let args = format!(
                "--engine {engine} --output json -c 5 -n 20 --proxy-protocol {version} http://127.0.0.1:8080/"
            );
            let ran = run(&net, &["http"], &args);
            let summary = ran.fell_short();
            let http = summary.protocols.http.as_ref().unwrap();
            assert_eq!(http.completed, 0, "{ran}");
            assert!(http.status.contains_key(&Status::BadRequest), "{ran}");
        }
    }
    for (args, told) in [
        ("--proxy-protocol v3 127.0.0.1:80", "v1"),
        ("--proxy-source 10.0.0.0/8 127.0.0.1:80", "--proxy-protocol"),
        (
            "--proxy-protocol v1 --proxy-source somewhere 127.0.0.1:80",
            "somewhere",
        ),
        ("--proxy-protocol v1 --self", "--self"),
    ] {
        let ran = run(&net, &["load"], args);
        assert!(ran.code == 2 && ran.stderr.contains(told), "{ran}");
    }
}

/// Waits until `path` is there.
fn appears(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < PATIENCE, "no {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nginx_answers_on_a_unix_socket_as_many_requests_as_were_completed() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let socket = authority.path().join("socket");
    let socket = socket.display();
    for engine in ENGINES {
        let args = format!(
            "--engine {engine} --output json -n 1000 -c 50 --unix-socket {socket} http://a.example/x"
        );
        for command in ["http", "load"] {
            let ran = run(&net, &[command], &args);
            let summary = ran.reached();
            // Counts of TCP have none of these sockets.
            assert_eq!(summary.connections.kernel_sockets, None, "{ran}");
            let log = logged(&authority);
            let all: u64 = log
                .iter()
                .filter(|(line, _)| line.starts_with("unix:"))
                .map(|(_, n)| n)
                .sum();
            assert_eq!((all, log.len()), (1000, 1), "{log:?} {ran}");
            assert!(
                log.keys().all(|line| line.ends_with(" a.example - GET")),
                "{log:?}"
            );
        }
        // A connection a request: each is closed and opened again.
        let ran = run(&net, &["http"], &format!("{args} --no-keep-alive"));
        let summary = ran.reached();
        assert!(summary.connections.established >= 1000, "{ran}");
        assert_eq!(logged(&authority).values().sum::<u64>(), 1000, "{ran}");
    }
}

#[test]
fn servers_in_python_and_node_are_reached_by_their_sockets() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    let echo = at("echo");
    let _python = start_script(&net, "echo_server.py", &[echo.to_str().unwrap()]);
    let web = at("web");
    let node = start_script(&net, "http_server.js", &[web.to_str().unwrap()]);
    appears(&echo);
    appears(&web);
    let mut asked = 0;
    for engine in ENGINES {
        let common = format!("--engine {engine} --output json -c 20");
        let echo = format!(
            "{common} -m hello --latency-echo -r 20 --hold 1s unix:{}",
            echo.display()
        );
        let summary = run(&net, &["load"], &echo).reached();
        let answers = summary.answers.unwrap();
        assert_eq!(answers.received, summary.traffic.messages_sent);
        let flood = echo
            .replace("-r 20", "--closed-loop")
            .replace("--latency-echo ", "");
        run(&net, &["load"], &flood).reached();
        let web = format!(
            "{common} -n 300 --unix-socket {} http://localhost/",
            web.display()
        );
        let ran = run(&net, &["http"], &web);
        let http = ran.reached().protocols.http.unwrap();
        assert_eq!(http.completed, 300, "{ran}");
        asked += 300;
    }
    node.signal(rustix::process::Signal::TERM);
    let said: serde_json::Value = said(&node, 1).remove(0);
    assert_eq!(said["requests"], asked, "{said}");
}

/// A server that listens on `path` with a short queue, and accepts nothing for `pause`.
fn slow_to_accept(net: &Net, path: &Path, pause: &str) -> Process {
    let script = "import socket, sys, time\n\
        s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(3)\n\
        time.sleep(float(sys.argv[2])); kept = []\n\
        while True: kept.append(s.accept())";
    let mut command = net.command("python3");
    command.args(["-c", script, path.to_str().unwrap(), pause]);
    let server = Process::start("a server that accepts late".into(), command);
    appears(path);
    server
}

#[test]
fn a_full_queue_of_a_unix_socket_is_waited_for_and_named() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    for engine in ENGINES {
        let path = directory.path().join(engine);
        let server = slow_to_accept(&net, &path, "1");
        let to = format!("--engine {engine} --output json unix:{}", path.display());
        let ran = run(&net, &["load"], &format!("-c 40 --hold 500ms {to}"));
        let connections = ran.reached().connections;
        assert_eq!(
            (connections.established, connections.attempted),
            (40, 40),
            "{ran}"
        );
        drop(server);
        std::fs::remove_file(&path).unwrap();
        // One that never accepts holds nothing, whatever the kernel holds for it.
        let server = slow_to_accept(&net, &path, "100");
        let ran = run(&net, &["load"], &format!("-c 4 --hold 500ms {to}"));
        let summary = ran.fell_short();
        let queue = summary
            .findings
            .iter()
            .find(|f| f.kind() == "in_accept_queue");
        let text = queue.unwrap_or_else(|| panic!("{ran}")).to_string();
        assert!(
            text.starts_with("4 connections waited in the accept queue of unix:/"),
            "{text}"
        );
        let args = format!("-c 40 --connect-timeout 300ms --no-reconnect --hold 500ms {to}");
        let ran = run(&net, &["load"], &args);
        let summary = ran.fell_short();
        assert!(!summary.connections.failed.is_empty(), "{ran}");
        let named = summary
            .findings
            .iter()
            .any(|f| f.to_string().contains("was full: "));
        assert!(named, "{ran}");
        drop(server);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_unix_sockets_do_not_have_is_refused() {
    let net = Net::own();
    for (args, told) in [
        ("--source-ip 127.0.0.1 unix:/x", "--source-ip is for TCP/IP"),
        ("--nagle on unix:/x", "--nagle is for TCP/IP"),
        ("--keepalive 60s unix:@x", "--keepalive is for TCP/IP"),
        ("-4 --unix-socket /x http://a/", "-4 or -6 is for TCP/IP"),
        (
            "--connect-to ::b: --unix-socket /x http://a/",
            "--connect-to is for TCP/IP",
        ),
        (
            "--proxy-protocol v1 unix:/x",
            "--proxy-protocol is for TCP/IP",
        ),
        ("unix:/x 127.0.0.1:80", "all must be Unix sockets, or none"),
        ("--unix-socket /y unix:/x", "leave out --unix-socket"),
        ("--unix-socket /y --self", "--self"),
        ("--unix-socket @ http://a/", "no Unix socket"),
        ("--unix-socket /y -l 9000", "--unix-socket"),
        ("unix:/no/such", "/no/such: no such file; start the server"),
        ("unix:/dev", "/dev: a directory and no Unix socket"),
        (
            "--unix-socket /etc/passwd http://a/",
            "/etc/passwd: a regular file and no Unix socket",
        ),
    ] {
        let ran = run(&net, &["load"], args);
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{ran}");
        let right = ran.stderr.contains(told) && ran.stderr.lines().count() == 1;
        assert!(right, "{ran}");
    }
    let ran = run(&net, &["plan"], "--target unix:/x");
    assert!(
        ran.code == 2 && ran.stderr.contains("has no address"),
        "{ran}"
    );
}
