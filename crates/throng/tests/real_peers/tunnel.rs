//! Tunnels through an HTTP proxy (CONNECT): through tinyproxy, to nginx and to `throng serve`.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::{Process, Ran};
use crate::common::{run_words, serve, stop_serving};
use std::collections::BTreeMap;
use std::path::Path;
use throng_core::protocol::http::Status;
use throng_core::protocol::tunnel::{TunnelFailure, TunnelSummary};
use throng_core::summary::Finding;

/// nginx on 8080 and, with TLS, on 8443; it logs a line for each request.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr error;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             log_format plain '$status $scheme'; access_log {at}/log plain;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{
                 listen 127.0.0.1:8080; listen 127.0.0.1:8443 ssl;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 location / {{ return 200 'hello'; }}
             }}
         }}",
        at = authority.path().display(),
        certificate = certificate.display(),
        key = key.display(),
    );
    let file = authority.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let at = authority.path().to_str().unwrap();
    start_server(
        net,
        "nginx",
        &["-p", at, "-c", file.to_str().unwrap()],
        8443,
    )
}

/// tinyproxy on 8888, for `user` with `word`, to ports 8080, 8443 and 9000.
fn tinyproxy(net: &Net, at: &Path) -> Process {
    let config = format!(
        "Port 8888\nListen 127.0.0.1\nTimeout 60\nMaxClients 200\nBasicAuth user word\nConnectPort 8080\n\
         ConnectPort 8443\nConnectPort 9000\nLogLevel Connect\nLogFile \"{}/tinyproxy.log\"\n",
        at.display()
    );
    let file = at.join("tinyproxy.conf");
    std::fs::write(&file, config).unwrap();
    start_server(
        net,
        "tinyproxy",
        &["-d", "-c", file.to_str().unwrap()],
        8888,
    )
}

/// How often each line is in a log, which is empty afterwards.
fn logged(at: &Path) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for line in std::fs::read_to_string(at.join("log")).unwrap().lines() {
        *all.entry(line.to_owned()).or_default() += 1;
    }
    std::fs::write(at.join("log"), "").unwrap();
    all
}

fn run(net: &Net, line: &str) -> Ran {
    run_words(net, &line.split_whitespace().collect::<Vec<_>>())
}

fn tunnel(ran: &Ran) -> TunnelSummary {
    ran.summary().tunnel.expect("there are tunnels")
}

#[test]
fn each_connection_has_a_tunnel_whatever_it_speaks() {
    let (net, authority) = (Net::own(), Authority::new());
    let at = authority.path();
    let _nginx = nginx(&net, &authority);
    let _proxy = tinyproxy(&net, at);
    let ca = authority.ca_file();
    for engine in ENGINES {
        let common = format!("--output json --engine {engine} -c 10");
        let through = "--tunnel 127.0.0.1:8888 --tunnel-auth user:word";
        for (line, came) in [
            (
                format!(
                    "http {common} -n 200 -X 127.0.0.1:8888 -P user:word --cacert {} https://127.0.0.1:8443/x",
                    ca.display()
                ),
                "200 https",
            ),
            (
                format!("load {common} -n 200 {through} http://127.0.0.1:8080/x"),
                "200 http",
            ),
            (
                format!(
                    "load {common} -n 200 --rate 100 {through} --requests-per-connection 1 http://127.0.0.1:8080/x"
                ),
                "200 http",
            ),
        ] {
            let ran = run(&net, &line);
            let summary = ran.summary();
            assert!(ran.code == 0 && summary.reached, "{ran}");
            assert_eq!(logged(at), [(came.to_owned(), 200)].into(), "{ran}");
            let tunnel = tunnel(&ran);
            assert_eq!(tunnel.opened, summary.connections.established, "{ran}");
            assert!(
                tunnel.refused.is_empty() && tunnel.failed.is_empty(),
                "{ran}"
            );
        }
        let server = serve(&net, "--mode echo 127.0.0.1:9000");
        let line = format!(
            "load {common} --hold 1s {through} -m hello --latency-echo -r 20 127.0.0.1:9000"
        );
        let ran = run(&net, &line);
        assert!(ran.code == 0 && ran.summary().reached, "{ran}");
        assert_eq!(tunnel(&ran).opened, 10, "{ran}");
        let served = stop_serving(server);
        assert_eq!(served.connections.came_up(), 10, "{ran}");
    }
}

#[test]
fn a_tunnel_that_is_not_opened_is_told_with_its_cause() {
    let (net, authority) = (Net::own(), Authority::new());
    let at = authority.path();
    let _nginx = nginx(&net, &authority);
    let _proxy = tinyproxy(&net, at);
    let silent = serve(&net, "--mode sink 127.0.0.1:9000");
    for engine in ENGINES {
        let common = format!("--output json --engine {engine} -c 3 --hold 1s --no-reconnect");
        let run = |args: &str| run(&net, &format!("load {common} {args}"));
        for (args, status, says) in [
            (
                "--tunnel 127.0.0.1:8888 127.0.0.1:8080",
                Status::ProxyAuthenticationRequired,
                "--tunnel-auth",
            ),
            (
                "--tunnel 127.0.0.1:8888 --tunnel-auth user:word 127.0.0.1:99",
                Status::Forbidden,
                "allow CONNECT",
            ),
            (
                "--tunnel 127.0.0.1:8080 127.0.0.1:99",
                Status::BadRequest,
                "may be no proxy",
            ),
        ] {
            let ran = run(args);
            assert_eq!(ran.code, 1, "{ran}");
            let tunnel = tunnel(&ran);
            assert_eq!(
                (tunnel.opened, tunnel.refused),
                (0, [(status, 3)].into()),
                "{ran}"
            );
            let told = ran.summary().findings.iter().any(|finding| {
                matches!(finding, Finding::TunnelFailed { connections: 3, .. })
                    && finding.to_string().contains(says)
            });
            assert!(told, "{ran}");
        }
        let ran = run("--tunnel 127.0.0.1:9000 --connect-timeout 300ms 127.0.0.1:99");
        assert_eq!(ran.code, 1, "{ran}");
        assert_eq!(
            tunnel(&ran).failed,
            [(TunnelFailure::TimedOut, 3)].into(),
            "{ran}"
        );
    }
    // Nothing listens on the proxy's port.
    let ran = run(
        &net,
        "load -c 1 --hold 200ms --no-reconnect --tunnel 127.0.0.1:1 127.0.0.1:8080",
    );
    let says = ran.stdout.contains("Nothing listens at the proxy");
    assert!(ran.code == 1 && says, "{ran}");
    stop_serving(silent);
    for (args, says) in [
        (
            "--tunnel https://a:1 127.0.0.1:9",
            "HOST:PORT or http://HOST:PORT",
        ),
        (
            "--tunnel 127.0.0.1:1 --resolve foo:80:127.0.0.2 http://foo",
            "which looks up the names of targets itself",
        ),
        ("--tunnel-auth u:w 127.0.0.1:9", "--tunnel"),
        ("--tunnel 127.0.0.1:1 127.0.0.1:smtp", "by number"),
        ("--tunnel 127.0.0.1:1 --self", "cannot be used with"),
    ] {
        let ran = run(&net, &format!("load {args}"));
        assert!(ran.code == 2 && ran.stderr.contains(says), "{ran}");
    }
}
