//! How connections reach a server: other addresses and ports than a target's, and headers of the PROXY protocol.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::{Process, Ran};
use crate::common::{run_words, serve, stop_serving};
use std::collections::{BTreeMap, BTreeSet};
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
                 listen 127.0.0.1:8443 ssl;
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
