//! TLS: loads against OpenSSL's server, nginx and Python, and `throng serve` against OpenSSL's client.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::{installed, said, serve_script, start_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run_words, serve, start, stop_serving};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use throng_core::protocol::tls::{TlsFailure, TlsSummary};
use throng_core::summary::{Finding, Summary};

const NAMES: [&str; 2] = ["127.0.0.1", "server.test"];
const REQUEST: &str = r"GET /page HTTP/1.1\r\nHost: x\r\n\r\n";

fn load(net: &Net, target: &str, args: &[&str]) -> Ran {
    let words = [&["load", "--output", "json", target, "--tls"], args].concat();
    run_words(net, &words)
}

fn tls(summary: &Summary) -> &TlsSummary {
    summary.tls.as_ref().expect("it spoke TLS")
}

/// nginx on 9443, with an expired certificate on 9444, without TLS on 8080. Logs a line for each request:
/// connection, whether its session was resumed, ALPN, server name.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let at = authority.path().display();
    let (certificate, key) = authority.issue("server", &NAMES);
    let (expired, expired_key) = authority.issue_until("expired", &NAMES, 2001);
    std::fs::write(authority.path().join("page"), "x".repeat(1000)).unwrap();
    let config = format!(
        "daemon off; master_process off; user root root; pid {at}/pid; error_log {at}/error.log;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             log_format tls '$connection $ssl_session_reused $ssl_alpn_protocol $ssl_server_name';
             access_log {at}/access.log tls;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             keepalive_requests 1000000; ssl_session_tickets on;
             server {{
                 listen 127.0.0.1:9443 ssl backlog=4096; root {at};
                 ssl_certificate {certificate}; ssl_certificate_key {key};
             }}
             server {{
                 listen 127.0.0.1:9444 ssl;
                 ssl_certificate {expired}; ssl_certificate_key {expired_key};
             }}
             server {{ listen 127.0.0.1:8080; }}
         }}",
        certificate = certificate.display(),
        key = key.display(),
        expired = expired.display(),
        expired_key = expired_key.display(),
    );
    let file = authority.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let args = [
        "-p",
        &format!("{at}"),
        "-e",
        "stderr",
        "-c",
        file.to_str().unwrap(),
    ];
    start_server(net, "nginx", &args, 9443)
}

/// Lines of nginx's log from the one after `skip` on.
fn logged(authority: &Authority, skip: usize) -> Vec<String> {
    let log = std::fs::read_to_string(authority.path().join("access.log")).unwrap();
    log.lines().skip(skip).map(String::from).collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn nginx_answers_every_request_over_tls() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let ca = path(&authority.ca_file());
    let mut before = 0;
    for engine in ENGINES {
        let args = [
            "--cacert",
            &ca,
            "--alpn",
            "h3,http/1.1",
            "-c",
            "20",
            "-em",
            REQUEST,
            "-r",
            "20",
            "--latency-marker",
            "HTTP/1.1 200",
            "--hold",
            "1s",
            "--engine",
            engine,
        ];
        let ran = load(&net, "127.0.0.1:9443", &args);
        let s = ran.reached();
        let (tls, answers) = (tls(&s), s.answers.clone().unwrap());
        assert_eq!(
            (tls.handshakes, tls.broken, tls.truncated),
            (20, 0, 0),
            "{ran}"
        );
        assert_eq!(tls.failed, BTreeMap::new(), "{ran}");
        assert_eq!(tls.latency.unwrap().count, 20, "{ran}");
        assert_eq!(answers.received, s.traffic.messages_sent, "{ran}");
        assert_eq!((answers.unanswered, answers.unasked), (0, 0), "{ran}");
        assert_eq!(s.latency.response.unwrap().count, answers.received, "{ran}");
        let lines = logged(&authority, before);
        before += lines.len();
        assert_eq!(
            lines.len() as u64,
            answers.received,
            "nginx's own count: {ran}"
        );
        let connections: BTreeSet<_> = lines.iter().map(|l| l.split(' ').next()).collect();
        assert_eq!(connections.len(), 20);
        // An address is no name to ask for.
        assert!(
            lines.iter().all(|l| l.ends_with(" http/1.1 -")),
            "{lines:?}"
        );
    }
    // As fast as they go, each waiting for the whole answer.
    let args = [
        "--cacert",
        &ca,
        "--sni",
        "server.test",
        "-c",
        "20",
        "-em",
        REQUEST,
        "--closed-loop",
        "--latency-marker",
        "HTTP/1.1 200",
        "--hold",
        "1s",
    ];
    let ran = load(&net, "127.0.0.1:9443", &args);
    let s = ran.reached();
    assert!(s.traffic.replies > 100, "{ran}");
    let lines = logged(&authority, before);
    assert!(lines.len() as u64 >= s.traffic.replies, "{ran}");
    assert!(lines[0].ends_with(" - server.test"), "{}", lines[0]);
}

#[test]
fn sessions_are_resumed_only_if_that_is_wanted() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let ca = path(&authority.ca_file());
    let mut before = 0;
    for engine in ENGINES {
        for (resumption, more) in [(true, &["--resume"][..]), (false, &[])] {
            let args = [
                "--cacert",
                &ca,
                "-c",
                "5",
                "-em",
                REQUEST,
                "-r",
                "20",
                "--channel-lifetime",
                "300ms",
                "--hold",
                "2s",
                "--engine",
                engine,
            ];
            let ran = load(&net, "127.0.0.1:9443", &[&args[..], more].concat());
            // On a busy machine not all five are there at once.
            let s = ran.summary();
            let tls = tls(&s);
            assert!(tls.handshakes >= 5 * 4, "{ran}");
            assert_eq!(tls.failed, BTreeMap::new(), "{ran}");
            let first = if resumption { 5 } else { tls.handshakes };
            assert!(tls.handshakes - tls.resumed <= first, "{ran}");
            let lines = logged(&authority, before);
            before += lines.len();
            let connections = lines.iter().map(|l| l.split(' ').take(2).collect());
            let connections: BTreeSet<Vec<&str>> = connections.collect();
            let resumed = connections.iter().filter(|c| c[1] == "r").count() as u64;
            // The last ones may have had no time for a request.
            assert!(
                (resumed..=resumed + 5).contains(&tls.resumed),
                "{resumed}: {ran}"
            );
            if !resumption {
                assert_eq!(tls.resumed, 0, "{ran}");
            }
        }
    }
}

#[test]
fn certificates_are_checked_and_what_is_wrong_is_reported() {
    let (net, authority, other) = (Net::own(), Authority::new(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let (ca, wrong_ca) = (path(&authority.ca_file()), path(&other.ca_file()));
    let right = ["--cacert", ca.as_str()];
    let rows: [(&str, &[&str], TlsFailure); 5] = [
        (
            "127.0.0.1:9443",
            &["--cacert", &wrong_ca],
            TlsFailure::UnknownAuthority,
        ),
        ("127.0.0.1:9443", &[], TlsFailure::UnknownAuthority),
        (
            "127.0.0.1:9443",
            &["--cacert", &ca, "--sni", "other.test"],
            TlsFailure::NameMismatch,
        ),
        ("127.0.0.1:9444", &right, TlsFailure::Expired),
        ("127.0.0.1:8080", &right, TlsFailure::NotTls),
    ];
    for engine in ENGINES {
        for (target, how, why) in &rows {
            let args = [
                "-c",
                "3",
                "-m",
                "hello",
                "-r",
                "5",
                "--no-reconnect",
                "--connect-timeout",
                "1s",
                "--hold",
                "300ms",
                "--engine",
                engine,
            ];
            let ran = load(&net, target, &[*how, &args].concat());
            let s = ran.fell_short();
            assert_eq!(tls(&s).failed, BTreeMap::from([(*why, 3)]), "{ran}");
            assert_eq!(tls(&s).handshakes, 0, "{ran}");
            assert_eq!(s.traffic.messages_sent, 0, "{ran}");
            let failed = Finding::TlsFailed {
                failure: *why,
                connections: 3,
            };
            assert!(s.findings.contains(&failed), "{ran}");
        }
        for target in ["127.0.0.1:9443", "127.0.0.1:9444"] {
            let args = [
                "--insecure",
                "-c",
                "3",
                "--hold",
                "300ms",
                "--engine",
                engine,
            ];
            let s = load(&net, target, &args).reached();
            assert_eq!(tls(&s).handshakes, 3);
        }
    }
}

#[test]
fn lines_come_back_reversed_from_openssl() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let (certificate, key, ca) = (path(&certificate), path(&key), path(&authority.ca_file()));
    for engine in ENGINES {
        for version in ["-tls1_2", "-tls1_3"] {
            // Serves one connection, then the next.
            let args = [
                "s_server",
                "-accept",
                "9443",
                "-cert",
                &certificate,
                "-key",
                &key,
            ];
            let args = [&args[..], &["-rev", "-quiet", version]].concat();
            let _server = start_server(&net, "openssl", &args, 9443);
            let args = [
                "--cacert",
                &ca,
                "-em",
                r"drawer \{re [a-z]{4}}.\n",
                "-r",
                "20",
                "--latency-marker",
                " reward",
                "--hold",
                "1s",
                "--engine",
                engine,
            ];
            let ran = load(&net, "127.0.0.1:9443", &args);
            let s = ran.reached();
            let answers = s.answers.unwrap();
            assert_eq!(answers.received, s.traffic.messages_sent, "{ran}");
            assert!(answers.received >= 18, "{ran}");
            // What is encrypted is longer than what was said.
            assert!(
                s.traffic.bytes_received > answers.received * (13 + 16),
                "{ran}"
            );
        }
    }
}

#[test]
fn openssl_checks_our_server_and_resumes() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let ca = path(&authority.ca_file());
    let session = path(&authority.path().join("session"));
    for engine in ENGINES {
        let server = serve(
            &net,
            &format!(
                "127.0.0.1:9443 --mode echo --tls --ssl-cert {} --ssl-key {} --alpn echo,x --engine {engine}",
                path(&certificate),
                path(&key)
            ),
        );
        let talk = |more: &str| {
            let openssl = installed(&Net::host(), "openssl");
            let openssl = openssl.get_program().to_str().unwrap().to_owned();
            net.shell(&format!(
                "(printf 'hello TLS\\n'; sleep 1) | {openssl} s_client -connect 127.0.0.1:9443 \
                 -CAfile {ca} -verify_return_error -servername server.test -alpn y,x {more} 2>&1"
            ))
        };
        let said = talk(&format!("-sess_out {session}"));
        for what in [
            "Verify return code: 0 (ok)",
            "ALPN protocol: x",
            "hello TLS",
            "New, TLSv1.3",
        ] {
            assert!(said.contains(what), "no '{what}' in {said}");
        }
        let said = talk(&format!("-sess_in {session}"));
        assert!(
            said.contains("Reused, TLSv1.3") && said.contains("hello TLS"),
            "{said}"
        );
        let said = talk("-tls1_2");
        assert!(
            said.contains("New, TLSv1.2") && said.contains("hello TLS"),
            "{said}"
        );
        // No protocol in common.
        let refused = net.shell(&format!(
            "openssl s_client -connect 127.0.0.1:9443 -CAfile {ca} -alpn z </dev/null 2>&1 || true"
        ));
        assert!(refused.contains("no application protocol"), "{refused}");
        let s = stop_serving(server);
        let tls = tls(&s);
        assert_eq!((tls.handshakes, tls.resumed), (3, 1), "{tls:#?}");
        let failed = BTreeMap::from([(TlsFailure::NoCommonProtocol, 1)]);
        assert_eq!(tls.failed, failed);
    }
}

#[test]
fn websocket_goes_over_tls_in_both_directions() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let (certificate, key, ca) = (path(&certificate), path(&key), path(&authority.ca_file()));
    let server = serve_script(&net, "ws_server.py", 9000, &[&certificate, &key]);
    let mut gone = 0;
    for engine in ENGINES {
        let args = [
            "load",
            "--output",
            "json",
            "wss://127.0.0.1:9000/echo",
            "--cacert",
            &ca,
            "-c",
            "5",
            "-m",
            "hello",
            "-m",
            r"\{re [a-z]{70000}}",
            "--closed-loop",
            "--hold",
            "1s",
            "--engine",
            engine,
        ];
        let ran = run_words(&net, &args);
        let s = ran.reached();
        assert_eq!(tls(&s).handshakes, 5, "{ran}");
        let websocket = s.protocols.websocket.as_ref().unwrap();
        assert_eq!(
            (websocket.upgraded, websocket.violations.len()),
            (5, 0),
            "{ran}"
        );
        assert!(s.traffic.replies >= 2 * 5, "{ran}");
        let had: u64 = said(&server, gone + 5)[gone..]
            .iter()
            .map(|seen| seen["messages"].as_u64().unwrap())
            .sum();
        gone += 5;
        assert!(
            (s.traffic.replies..=s.traffic.replies + 5).contains(&had),
            "{had}: {ran}"
        );

        let ours = serve(
            &net,
            &format!(
                "127.0.0.1:9443 --mode ws --tls --ssl-cert {certificate} --ssl-key {key} --engine {engine}"
            ),
        );
        let client = start_script(&net, "ws_client.py", &["9443", "echo", &ca]);
        let ran = client.wait(PATIENCE);
        assert_eq!(ran.code, 0, "{ran}");
        let s = stop_serving(ours);
        assert_eq!(
            tls(&s).handshakes,
            s.protocols.websocket.as_ref().unwrap().upgraded
        );
        assert_eq!(s.protocols.websocket.unwrap().violations, BTreeMap::new());
    }
}

#[test]
fn a_server_that_sends_everything_back_does_not_speak_tls() {
    for engine in ENGINES {
        let net = Net::own();
        let _echo = serve(
            &net,
            &format!("127.0.0.1:9000 --mode echo --engine {engine}"),
        );
        for target in ["wss://127.0.0.1:9000/", "127.0.0.1:9000"] {
            let once = ["--insecure", "-c", "1", "--no-reconnect", "--hold", "100ms"];
            let args = [&once[..], &["--engine", engine]].concat();
            let summary = load(&net, target, &args).fell_short();
            let failed = BTreeMap::from([(TlsFailure::NotTls, 1)]);
            assert_eq!(tls(&summary).failed, failed, "{target}");
            let ran = run_words(&net, &[&["load", target, "--tls"], &args[..]].concat());
            let words = "the peer does not speak TLS";
            assert!(ran.stdout.contains(words), "{ran}");
        }
    }
}

#[test]
fn connections_that_are_secured_again_and_again_are_no_progress() {
    // Every second one is closed in its handshake, and the others soon after.
    const SERVER: &str = "
import socket, ssl, sys, threading, time
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 9000), backlog=100)
def serve(connection):
    try:
        with context.wrap_socket(connection, server_side=True):
            time.sleep(0.1)
    except OSError:
        pass
accepted = 0
while True:
    connection, _ = listener.accept()
    accepted += 1
    if accepted % 2:
        connection.close()
    else:
        threading.Thread(target=serve, args=[connection], daemon=True).start()
";
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let _server = start_server(&net, "python3", &["-c", SERVER, certificate, key], 9000);
    for engine in ENGINES {
        let args = ["--insecure", "-c", "10", "--hold", "1s", "--engine", engine];
        let args = [&args[..], &["--connect-timeout", "500ms"]].concat();
        let ran = load(&net, "127.0.0.1:9000", &args);
        ran.fell_short();
        assert!(ran.took < Duration::from_secs(30), "{ran}");
    }
}

#[test]
fn a_run_with_both_ends_here_measures_each_handshake_once() {
    let (net, authority) = (Net::own(), Authority::new());
    for engine in ENGINES {
        let args = ["-c", "20", "--hold", "100ms", "--engine", engine];
        let summary = load(&net, "--self", &args).reached();
        let tls = tls(&summary);
        assert_eq!((tls.handshakes, tls.latency.unwrap().count), (20, 20));
    }
    // The handshakes of accepted connections are measured if the run opens none.
    let (certificate, key) = authority.issue("server", &NAMES);
    let args = format!(
        "load --output json -l 9000 --tls --ssl-cert {} --ssl-key {} -T 4s",
        certificate.display(),
        key.display()
    );
    let mut listening = start(&net, &args);
    listening.wait_for_listener(&net, 9000);
    let args = ["--insecure", "-c", "5", "--hold", "100ms"];
    load(&net, "127.0.0.1:9000", &args).reached();
    let accepted = listening.wait(PATIENCE).summary();
    let tls = tls(&accepted);
    assert_eq!((tls.handshakes, tls.latency.unwrap().count), (5, 5));
}
