//! How connections reach a server: other addresses and ports than a target's.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::{Process, Ran};
use crate::common::run_words;
use std::collections::BTreeMap;

/// nginx on 8080 of both families and, with TLS, on 8443. Logs a line for each request: the address and port that it came to,
/// the Host header, the server name of TLS, the method.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let at = authority.path().display();
    let (certificate, key) = authority.issue("server", &["a.example"]);
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr error;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             log_format came '$server_addr:$server_port $http_host $ssl_server_name $request_method';
             access_log {at}/log came;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{
                 listen 127.0.0.1:8080; listen [::1]:8080;
                 listen 127.0.0.1:8443 ssl;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
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
