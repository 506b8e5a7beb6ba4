//! Who clients are, passed on by the PROXY protocol through `throng proxy`, HAProxy and nginx, in turn in front of each other: `throng load`
//! names the clients, and `throng serve` checks that they are those.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::Process;
use crate::common::{PATIENCE, load, serve, start, stop_serving};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use throng_core::protocol::proxy_protocol::{ProxyProtocolSummary, Tlv};
use throng_core::summary::{Finding, Summary};

/// Starts `throng proxy` with `args` and waits until it listens.
fn proxy(net: &Net, args: &str) -> Process {
    let proxy = start(net, &format!("proxy --output json {args}"));
    proxy.wait_for_stderr("on engine");
    proxy
}

fn stop(proxy: Process) -> ProxyProtocolSummary {
    proxy.signal(Signal::TERM);
    let ran = proxy.wait(PATIENCE);
    let summary = ran.summary();
    assert!(ran.code == 130 && summary.interrupted, "{ran}");
    summary.proxy_protocol.expect("it accepts headers")
}

/// HAProxy, which accepts headers on two ports: from 9011 it goes on to 9012 with version 1, from 9021 to 9002 with version 2 and TLVs.
fn haproxy(net: &Net, at: &Path) -> Process {
    let config = "global
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend first
    bind 127.0.0.1:9011 accept-proxy
    default_backend throng
backend throng
    server a 127.0.0.1:9012 send-proxy
frontend last
    bind 127.0.0.1:9021 accept-proxy
    unique-id-format %ci:%cp
    default_backend server
backend server
    server a 127.0.0.1:9002 send-proxy-v2 proxy-v2-options unique-id,crc32c
";
    let file = at.join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let args = ["-db", "-f", file.to_str().unwrap()];
    start_server(net, "haproxy", &args, 9021)
}

/// nginx, which accepts headers on 9031 and goes on to 9002 with version 1.
fn nginx(net: &Net, at: &Path) -> Process {
    let at = at.display();
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid {at}/pid; error_log stderr error;
events {{ worker_connections 4000; }}
stream {{
    server {{
        listen 127.0.0.1:9031 proxy_protocol;
        set_real_ip_from 127.0.0.1;
        proxy_pass 127.0.0.1:9002;
        proxy_protocol on;
    }}
}}
"
    );
    let file = format!("{at}/nginx.conf");
    fs::write(&file, config).unwrap();
    let args = ["-p", &at.to_string(), "-c", &file];
    start_server(net, "nginx", &args, 9031)
}

/// What `throng serve` on 9002, an echo, says about the headers of `connections` connections that a load makes to `port`, each with headers
/// of this version.
fn passed(net: &Net, engine: &str, version: &str, port: u16, connections: u32) -> Summary {
    let server = serve(
        net,
        &format!(
            "127.0.0.1:9002 --mode echo --proxy-protocol --proxy-source 198.18.0.0/15 --engine {engine}"
        ),
    );
    let client = load(
        net,
        &format!(
            "127.0.0.1:{port} -c {connections} --proxy-protocol {version} -m hello -r 20 --latency-echo --hold 400ms"
        ),
    );
    let client = client.reached();
    let served = stop_serving(server);
    // An echo without its header, whatever came together.
    assert_eq!(served.traffic.bytes_sent, client.traffic.bytes_received);
    served
}

#[test]
fn each_client_is_named_at_the_far_end_whoever_passes_it_on() {
    let directory = tempfile::tempdir().unwrap();
    for engine in ENGINES {
        let net = Net::own();
        let _peers = [
            haproxy(&net, directory.path()),
            nginx(&net, directory.path()),
        ];
        // throng, then HAProxy, which sends version 2 with TLVs; HAProxy, then throng, then nginx.
        for (from, throng, to, sends, version) in [
            (9012, 9012, 9021, "v1", "v2"),
            (9011, 9012, 9031, "v2", "v1"),
        ] {
            let proxied = proxy(
                &net,
                &format!(
                    "127.0.0.1:{throng} --to 127.0.0.1:{to} --accept-proxy --send-proxy {sends} --engine {engine}"
                ),
            );
            let served = passed(&net, engine, version, from, 300);
            let headers = served.proxy_protocol.expect("it accepts headers");
            assert_eq!(headers.taken, 300, "{headers:?}");
            assert!(
                headers.refused.is_empty() && headers.late == 0,
                "{headers:?}"
            );
            let clients = headers.clients.expect("a server looks at them");
            assert_eq!(
                (clients.named, clients.addresses),
                (300, 300),
                "{clients:?}"
            );
            assert_eq!(clients.unannounced, Some(0), "{clients:?}");
            if to == 9021 {
                assert_eq!((headers.version_2, headers.checksums), (300, 300));
                assert_eq!(headers.tlvs[&Tlv::UniqueId], 300);
            }
            let headers = stop(proxied);
            assert_eq!((headers.taken, headers.unnamed), (300, 0), "{headers:?}");
            let of_version_2 = if version == "v2" && from == throng {
                300
            } else {
                0
            };
            assert_eq!(headers.version_2, of_version_2);
        }
    }
}

#[test]
fn clients_that_were_not_announced_are_told() {
    let net = Net::own();
    let server = serve(
        &net,
        "127.0.0.1:9002 --proxy-protocol --proxy-source 198.18.0.0/15",
    );
    load(&net, "127.0.0.1:9002 -c 20 --proxy-protocol v2").reached();
    let others = "--proxy-protocol v1 --proxy-source 10.9.0.0/24";
    load(&net, &format!("127.0.0.1:9002 -c 3 {others}")).reached();
    let served = stop_serving(server);
    assert!(!served.reached);
    let Some(Finding::ClientsUnannounced {
        headers,
        of,
        clients,
    }) = served.findings.first()
    else {
        panic!("{:?}", served.findings);
    };
    assert_eq!((*headers, *of), (3, 23));
    let expected = ["10.9.0.1:1024", "10.9.0.2:1024", "10.9.0.3:1024"];
    assert_eq!(*clients, expected.map(|client| client.parse().unwrap()));
}

#[test]
fn a_header_comes_before_tls_and_before_every_protocol() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let tls = format!(
        "echo --tls --ssl-cert {} --ssl-key {}",
        certificate.display(),
        key.display()
    );
    for (mode, asks) in [
        (
            tls.as_str(),
            "load -c 20 --tls --insecure -m hello --latency-echo --hold 300ms 127.0.0.1:9002",
        ),
        ("http", "http -n 100 -c 10 http://127.0.0.1:9002/"),
        (
            "ws",
            "load -c 20 -m hello --latency-echo --hold 300ms ws://127.0.0.1:9002/",
        ),
        ("mqtt", "load -c 20 --hold 300ms mqtt://127.0.0.1:9002"),
    ] {
        let server = serve(
            &net,
            &format!("127.0.0.1:9002 --proxy-protocol --mode {mode}"),
        );
        let client = start(&net, &format!("{asks} --proxy-protocol v2 --output json"));
        client.wait(PATIENCE).reached();
        let served = stop_serving(server);
        let headers = served.proxy_protocol.expect("it accepts headers");
        let connections = served.connections.accepted.unwrap_or_default();
        assert!(connections >= 10, "{mode}");
        assert_eq!(headers.taken, connections, "{mode}: {headers:?}");
        assert_eq!(headers.clients.map(|c| c.unannounced), Some(None));
    }
}
