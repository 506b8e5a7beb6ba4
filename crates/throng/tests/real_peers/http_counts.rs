//! HTTP/1.1: what a load counts, against what servers and proxies of others count, over TLS too, and while they are reloaded.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::{said, serve_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, serve, start_load, stop_serving};
use std::path::Path;
use std::time::Duration;
use throng_core::protocol::http::HttpSummary;

/// The outcome of HTTP, and how many requests failed.
fn http(ran: &Ran) -> (HttpSummary, u64) {
    let http = ran.summary().protocols.http.expect("it speaks HTTP");
    let failed = http.failed.values().sum();
    assert_eq!(
        http.requests,
        http.completed + failed + http.unfinished,
        "{ran}"
    );
    (http, failed)
}

/// Node counts the requests that a load began, whether connections stay or not.
#[test]
fn a_server_in_node_counts_the_same() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let ca = format!("--cacert {}", authority.ca_file().display());
    for (engine, tls) in ENGINES.into_iter().flat_map(|e| [(e, false), (e, true)]) {
        for args in [
            "-c 20 --hold 500ms",
            "-c 20 -r 20 --hold 500ms",
            "-c 10 --requests-per-connection 1 --hold 500ms",
            "-c 10 --requests-per-connection 7 --hold 500ms",
            "-c 10 --requests-per-connection 2..20 --hold 500ms",
            r"-c 10 -m number=\{connection.uid} --hold 500ms",
        ] {
            let (scheme, ca) = if tls {
                ("https", ca.as_str())
            } else {
                ("http", "")
            };
            let files: &[&str] = if tls { &[&certificate, &key] } else { &[] };
            let server = serve_script(&net, "http_server.js", 8080, files);
            let ran = load(
                &net,
                &format!("--engine {engine} {ca} {args} {scheme}://127.0.0.1:8080/late"),
            );
            let summary = ran.reached();
            let (http, failed) = http(&ran);
            server.signal(rustix::process::Signal::TERM);
            let said = &said(&server, 1)[0];
            let number = |name: &str| said[name].as_u64().unwrap();
            assert_eq!(
                (number("requests"), failed),
                (http.requests, 0),
                "{said} {ran}"
            );
            assert_eq!(
                number("connections"),
                summary.connections.established,
                "{said} {ran}"
            );
            assert!(http.completed > 0, "{ran}");
        }
    }
}

/// What stands between a load and a server counts as both do.
#[test]
fn haproxy_in_between_counts_what_both_ends_count() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(
        &file,
        "global
    maxconn 2000
defaults
    mode http
    option http-ignore-probes
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:8080
    default_backend back
backend back
    server one 127.0.0.1:9000
frontend counts
    bind 127.0.0.1:8404
    stats enable
    stats uri /
",
    )
    .unwrap();
    // The columns of a line of its statistics.
    let counted = |line: &str| {
        let csv = net.shell("curl -s 'http://127.0.0.1:8404/;csv'");
        let rows = || {
            csv.lines()
                .map(|l| l.trim_start_matches("# ").split(',').map(String::from))
        };
        let names: Vec<String> = rows().next().unwrap().collect();
        let row: Vec<String> = rows()
            .map(|row| row.collect::<Vec<_>>())
            .find(|row| row[..2].join(",") == line)
            .unwrap();
        move |name: &str| -> u64 {
            let column = names.iter().position(|n| n == name).unwrap();
            row[column].parse().unwrap()
        }
    };
    for engine in ENGINES {
        for args in [
            "-c 50 --hold 500ms",
            "-c 50 -r 20 --hold 500ms",
            "-c 10 --requests-per-connection 1 --hold 500ms",
        ] {
            let server = serve(
                &net,
                &format!("--engine {engine} --mode http 127.0.0.1:9000"),
            );
            let args_of_haproxy = ["-db", "-f", file.to_str().unwrap()];
            let haproxy = start_server(&net, "haproxy", &args_of_haproxy, 8080);
            let ran = load(
                &net,
                &format!("--engine {engine} {args} http://127.0.0.1:8080/hello"),
            );
            ran.reached();
            let (http, failed) = http(&ran);
            let (front, back) = (counted("front,FRONTEND"), counted("back,BACKEND"));
            assert_eq!((front("req_tot"), failed), (http.requests, 0), "{ran}");
            // It may have had the answer of a request that was cut off at the end, or not.
            let answered = front("hrsp_2xx");
            assert!(
                (http.completed..=http.requests).contains(&answered),
                "{answered} {ran}"
            );
            assert!(back("hrsp_2xx") >= http.completed, "{ran}");
            // It keeps connections to the server for others.
            drop(haproxy);
            let served = stop_serving(server).protocols.http.unwrap();
            assert!(
                (http.completed..=http.requests).contains(&served.completed),
                "{ran}"
            );
        }
    }
}

/// nginx with a master and a worker on port 8080, plain, and on 8443 with TLS.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let at = authority.path();
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let config = format!(
        "daemon off; user root; worker_processes 1; pid {at}/nginx.pid; error_log stderr error;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
    log_format plain '$status'; access_log {at}/log plain; keepalive_requests 100000000;
    client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
    uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
    server {{
        listen 127.0.0.1:8080 backlog=4096;
        listen 127.0.0.1:8443 ssl backlog=4096;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location = /hello {{ return 200 'hello'; }}
        location = /status {{ stub_status; access_log off; }}
    }}
}}",
        at = at.display(),
        certificate = certificate.display(),
        key = key.display(),
    );
    let file = at.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let args = ["-c", file.to_str().unwrap(), "-p", at.to_str().unwrap()];
    start_server(net, "nginx", &args, 8080)
}

/// How many requests nginx answered with 200, as its log says.
fn logged(at: &Path) -> u64 {
    let log = std::fs::read_to_string(at.join("log")).unwrap();
    assert!(log.lines().all(|line| line == "200"));
    log.lines().count() as u64
}

/// Connections accepted, and requests, as nginx's own counters say. Asking counts as both.
fn status(net: &Net) -> (u64, u64) {
    let text = net.shell("curl -s http://127.0.0.1:8080/status");
    let line = text.lines().nth(2).unwrap();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    (numbers[0], numbers[2])
}

#[test]
fn nginx_counts_the_same_with_and_without_tls() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let ca = authority.ca_file();
    for engine in ENGINES {
        for (target, more) in [
            ("http://127.0.0.1:8080/hello", String::new()),
            (
                "https://127.0.0.1:8443/hello",
                format!("--cacert {}", ca.display()),
            ),
        ] {
            for args in ["-c 20", "-c 20 -r 30", "-c 10 --requests-per-connection 1"] {
                let before = (logged(authority.path()), status(&net));
                let args = format!("--engine {engine} {more} {args} --hold 500ms {target}");
                let ran = load(&net, &args);
                let summary = ran.reached();
                let (http, failed) = http(&ran);
                let after = status(&net);
                // Asking before was a request on a connection of its own.
                let (connections, requests) = (after.0 - before.1.0 - 1, after.1 - before.1.1 - 1);
                assert_eq!((requests, failed), (http.requests, 0), "{ran}");
                assert_eq!(connections, summary.connections.established, "{ran}");
                assert_eq!(logged(authority.path()) - before.0, http.requests, "{ran}");
            }
        }
    }
}

/// A reload closes idle connections without a word, and busy ones after they said so. Whatever that does to the run, every
/// request is accounted for.
#[test]
fn requests_add_up_while_nginx_is_reloaded() {
    let (net, authority) = (Net::own(), Authority::new());
    let nginx = nginx(&net, &authority);
    for engine in ENGINES {
        let before = logged(authority.path());
        let run = start_load(
            &net,
            &format!("--engine {engine} -c 50 -r 20 --hold 3s http://127.0.0.1:8080/hello"),
        );
        net.wait_for_connections(8080, 50);
        std::thread::sleep(Duration::from_millis(500));
        nginx.signal(rustix::process::Signal::HUP);
        let ran = run.wait(PATIENCE);
        let summary = ran.summary();
        let (http, failed) = http(&ran);
        let log = logged(authority.path()) - before;
        assert!(
            (http.completed..=http.completed + failed + http.unfinished).contains(&log),
            "{log} {ran}"
        );
        let c = &summary.connections;
        // All 50 had to be opened again, and the run is told as short exactly if some were lost.
        assert!(c.established >= 100, "{ran}");
        let lost = c.closed_by_peer + c.reset_by_peer;
        assert_eq!(summary.reached, lost == 0 && failed == 0, "{ran}");
        assert!(lost + http.announced >= 50, "{ran}");
        assert!(http.completed >= 500, "{ran}");
    }
}
