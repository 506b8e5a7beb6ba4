//! `throng proxy` with TLS on either side: OpenSSL's client in front, nginx behind, `throng` at both ends.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, serve, start, start_load, stop_serving};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use throng_core::protocol::proxy::EndedBy;
use throng_core::protocol::tls::TlsFailure;
use throng_core::summary::Summary;

const NAMES: [&str; 2] = ["127.0.0.1", "server.test"];

/// Starts `throng proxy` with `args` and waits until it listens.
fn proxy(net: &Net, args: &str) -> Process {
    let proxy = start(net, &format!("proxy --output json {args}"));
    proxy.wait_for_stderr("on engine");
    proxy
}

/// Ends a proxy. Returns its summary.
fn stop(proxy: Process) -> Summary {
    proxy.signal(Signal::TERM);
    let ran = proxy.wait(PATIENCE);
    assert_eq!(ran.code, 130, "{ran}");
    ran.summary()
}

/// nginx with TLS on 9443.
fn nginx(net: &Net, authority: &Authority) -> Process {
    let at = authority.path().display();
    let (certificate, key) = authority.issue("server", &NAMES);
    let config = format!(
        "daemon off; master_process off; user root root; pid {at}/pid; error_log {at}/error.log;
         events {{ worker_connections 1024; }}
         http {{
             access_log off;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{
                 listen 127.0.0.1:9443 ssl backlog=1024; return 200 'from nginx';
                 ssl_certificate {}; ssl_certificate_key {};
             }}
         }}",
        certificate.display(),
        key.display(),
    );
    let file = authority.path().join("nginx.conf");
    fs::write(&file, config).expect("it is written");
    let args = [
        "-p",
        &format!("{at}"),
        "-e",
        "stderr",
        "-c",
        file.to_str().expect("a text"),
    ];
    start_server(net, "nginx", &args, 9443)
}

#[test]
fn requests_go_from_tls_to_tls_and_nginx_answers() {
    let (net, authority) = (Net::own(), Authority::new());
    let _nginx = nginx(&net, &authority);
    let (certificate, key) = authority.issue("front", &["127.0.0.1"]);
    let ca = authority.ca_file();
    for engine in ENGINES {
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9443 --engine {engine} --tls --ssl-cert {} --ssl-key {} \
                 --backend-tls --backend-cacert {} --backend-sni server.test",
                certificate.display(),
                key.display(),
                ca.display()
            ),
        );
        let ran = run(
            &net,
            &format!(
                "http -c 20 -n 400 --cacert {} --output json https://127.0.0.1:9000/",
                ca.display()
            ),
        );
        let client = ran.reached();
        let answered = client.protocols.http.expect("it is HTTP");
        assert_eq!(answered.completed, 400, "{ran}");
        let s = stop(proxied);
        let proxy = s.proxy.as_ref().expect("a proxy has pairs");
        assert_eq!((proxy.pairs, proxy.unsecured.len()), (20, 0), "{proxy:?}");
        assert_eq!(proxy.ended, [(EndedBy::Client, 20)].into());
        // Handshakes of both sides.
        let tls = s.tls.as_ref().expect("it speaks TLS");
        assert_eq!(tls.handshakes, 40, "{tls:?}");
        assert_eq!(tls.failed, BTreeMap::new());
        // What was said, not what was sent.
        assert!(
            proxy.bytes_from_backends < s.traffic.bytes_received,
            "{proxy:?}"
        );
        assert!(s.findings.is_empty(), "{:?}", s.findings);
    }
}

#[test]
fn a_backend_with_which_tls_fails_is_left_out_by_name_until_it_works() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let ca = authority.ca_file().display().to_string();
    let files = format!(
        "--ssl-cert {} --ssl-key {}",
        certificate.display(),
        key.display()
    );
    for engine in ENGINES {
        let good = serve(&net, &format!("127.0.0.1:9001 --mode echo --tls {files}"));
        // A certificate of its own, made for the run.
        let other = serve(&net, "127.0.0.1:9002 --mode echo --tls");
        let bare = serve(&net, "127.0.0.1:9003 --mode echo");
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9001 --to 127.0.0.1:9002 --to 127.0.0.1:9003 -w 1 --left-out 300ms \
                 --backend-tls --backend-cacert {ca} --connect-timeout 1s --engine {engine}"
            ),
        );
        // Those that meet the others are closed, and come back.
        let traffic = "127.0.0.1:9000 -c 20 -m hello -r 5 --latency-echo --hold";
        let held = start_load(&net, &format!("{traffic} 2s"));
        proxied.wait_for_stderr("TLS with backend 127.0.0.1:9002 fails (certificate of an unknown authority); --backend-cacert");
        proxied.wait_for_stderr("TLS with backend 127.0.0.1:9003 fails (");
        held.wait(PATIENCE);
        stop_serving(other);
        let mended = serve(&net, &format!("127.0.0.1:9002 --mode echo --tls {files}"));
        let held = start_load(&net, &format!("{traffic} 2s"));
        proxied.wait_for_stderr("TLS with backend 127.0.0.1:9002 works again");
        held.wait(PATIENCE);
        for server in [good, mended, bare] {
            stop_serving(server);
        }
        let s = stop(proxied);
        let proxy = s.proxy.expect("a proxy has pairs");
        let [good, mended, bare] = &proxy.backends[..] else {
            panic!("{:?}", proxy.backends);
        };
        assert_eq!((good.left_out, good.unsecured.len()), (0, 0), "{good:?}");
        assert!(
            mended.unsecured[&TlsFailure::UnknownAuthority] >= 1,
            "{mended:?}"
        );
        assert!(mended.left_out >= 1 && bare.left_out >= 1, "{proxy:?}");
        let all: u64 = proxy
            .backends
            .iter()
            .flat_map(|b| b.unsecured.values())
            .sum();
        assert_eq!(all, proxy.unsecured.values().sum::<u64>(), "{proxy:?}");
        // One client tries one at a time: the others stay with the one that works.
        assert!(good.of.established >= 18, "{proxy:?}");
    }
}

#[test]
fn openssl_in_front_of_a_plain_server_gets_its_end_and_its_answer() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("front", &NAMES);
    for engine in ENGINES {
        let server = serve(&net, "127.0.0.1:9001 --mode echo");
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9001 --tls --ssl-cert {} --ssl-key {} --alpn echo --engine {engine}",
                certificate.display(),
                key.display()
            ),
        );
        for version in ["-tls1_2", "-tls1_3"] {
            let said = net.shell(&format!(
                "(printf 'hello through TLS\\n'; sleep 1) | openssl s_client -connect 127.0.0.1:9000 \
                 -CAfile {} -verify_return_error -servername server.test -alpn x,echo {version} 2>&1",
                authority.ca_file().display()
            ));
            for what in [
                "Verify return code: 0 (ok)",
                "ALPN protocol: echo",
                "hello through TLS",
            ] {
                assert!(said.contains(what), "no '{what}' in {said}");
            }
        }
        let theirs = stop_serving(server);
        let s = stop(proxied);
        let proxy = s.proxy.expect("a proxy has pairs");
        // The server sees the text.
        assert_eq!(theirs.traffic.bytes_received, 2 * 18);
        assert_eq!(
            (proxy.bytes_from_clients, proxy.bytes_from_backends),
            (36, 36)
        );
        assert_eq!(s.tls.expect("it speaks TLS").handshakes, 2);
    }
}

#[test]
fn headers_that_name_clients_come_before_tls_on_both_sides() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &NAMES);
    let files = format!(
        "--ssl-cert {} --ssl-key {}",
        certificate.display(),
        key.display()
    );
    let ca = authority.ca_file().display().to_string();
    for engine in ENGINES {
        let server = serve(
            &net,
            &format!(
                "127.0.0.1:9001 --mode echo --tls {files} --proxy-protocol --proxy-source 198.18.0.0/15"
            ),
        );
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9001 --accept-proxy --send-proxy v1 --tls {files} --backend-tls \
                 --backend-cacert {ca} --engine {engine}"
            ),
        );
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 100 --tls --cacert {ca} --proxy-protocol v2 --proxy-source 198.18.0.0/15 \
                 -m hello -r 10 --latency-echo --hold 500ms"
            ),
        );
        let client = ran.reached();
        let served = stop_serving(server);
        let s = stop(proxied);
        let named = served
            .proxy_protocol
            .as_ref()
            .and_then(|p| p.clients.as_ref());
        let named = named.expect("a server looks at them");
        assert_eq!(named.named, 100, "{named:?}");
        assert!(
            !served
                .findings
                .iter()
                .any(|f| f.kind() == "clients_unannounced")
        );
        let proxy = s.proxy.expect("a proxy has pairs");
        assert_eq!(proxy.bytes_from_clients, client.traffic.messages_sent * 5);
    }
}
