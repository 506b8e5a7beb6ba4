//! Our client against nginx.

use crate::authority::Authority;
use crate::peer::{Peer, free_port};
use crate::probe::{Answer, Probe, Step};
use crate::worker::{PATIENCE, Worker};
use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use throng_core::stats::Closed;
use throng_tls::{ClientOptions, ClientTls, Tls, Version, Versions};

const MEGABYTE: usize = 1 << 20;

struct Nginx {
    authority: Authority,
    port: u16,
    _peer: Peer,
}

fn start(more: &str) -> Nginx {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("server", &["server.test"]);
    let dir = authority.path().display().to_string();
    let port = free_port();
    let page: String = (0..MEGABYTE / 16).map(|i| format!("{i:015}\n")).collect();
    fs::write(authority.path().join("page"), page).unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|t| format!("{t}_temp_path {dir}/{t};\n"))
        .concat();
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
        events {{ worker_connections 64; }}
        http {{
            {temporary}
            log_format tls '$ssl_protocol reused=$ssl_session_reused name=$ssl_server_name alpn=$ssl_alpn_protocol;';
            access_log {dir}/access.log tls;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {}; ssl_certificate_key {};
                ssl_protocols TLSv1.2 TLSv1.3;
                {more}
                root {dir};
            }}
        }}",
        certificate.display(),
        key.display()
    );
    let file = authority.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let errors = format!("{dir}/start.log");
    let nginx = if std::path::Path::new("/usr/sbin/nginx").exists() {
        "/usr/sbin/nginx"
    } else {
        "nginx"
    };
    let peer = Peer::start(nginx, &["-e", &errors, "-c", file.to_str().unwrap()]);
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{}", peer.printed());
        thread::sleep(Duration::from_millis(5));
    }
    Nginx {
        authority,
        port,
        _peer: peer,
    }
}

impl Nginx {
    fn options(&self) -> ClientOptions {
        ClientOptions {
            names: vec!["server.test".into()],
            ca_file: Some(self.authority.ca_file().into()),
            alpn: vec!["http/1.1".into()],
            ..ClientOptions::default()
        }
    }

    /// Its log lines of this many requests.
    fn log(&self, requests: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(self.authority.path().join("access.log"));
            let text = text.unwrap_or_default();
            let lines: Vec<String> = text.lines().map(String::from).collect();
            if lines.len() >= requests {
                return lines;
            }
            assert!(begun.elapsed() < PATIENCE, "{text}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn pages_come_whole_and_sessions_are_resumed() {
    for version in [Version::Tls12, Version::Tls13] {
        for (more, resumption, resumed) in [
            ("ssl_session_tickets on;", true, 3),
            (
                "ssl_session_tickets off; ssl_session_cache shared:s:1m;",
                true,
                3,
            ),
            ("ssl_session_tickets on;", false, 0),
        ] {
            let nginx = start(more);
            let request = "GET /page HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n";
            let probe = Probe::new(vec![Step::Bytes(request.into())], Answer::Nothing);
            let saw = probe.seen.clone();
            let tls = ClientTls::new(&ClientOptions {
                versions: Versions {
                    min: version,
                    max: version,
                },
                resumption,
                ..nginx.options()
            });
            let mut client = Worker::new(Tls::client(probe, &tls.unwrap()));
            for turn in 0..4 {
                let mut socket = TcpStream::connect(("127.0.0.1", nginx.port)).unwrap();
                let mut link = client.open(turn);
                let ended = client.drive(&mut link, &mut socket, |_, _| false);
                assert_eq!(ended, Some(Closed::ByPeer));
            }
            let got = std::mem::take(&mut saw.borrow_mut().got);
            let text = String::from_utf8(got).unwrap();
            assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4);
            assert_eq!(
                text.matches(&format!("{:015}\n", MEGABYTE / 16 - 1))
                    .count(),
                4
            );
            assert!(text.len() > 4 * MEGABYTE);
            let counts = client.counters.read();
            assert_eq!(
                (counts.tls.secured, counts.tls.resumed),
                (4, resumed),
                "{version} {more}"
            );
            assert_eq!((counts.tls.truncated, counts.tls.failed_in_all()), (0, 0));
            let log = nginx.log(4);
            let reused = log.iter().filter(|l| l.contains("reused=r ")).count();
            assert_eq!(reused as u64, resumed, "{log:?}");
            let line = format!("TLSv{version} ");
            for logged in &log {
                assert!(logged.starts_with(&line), "{logged}");
                assert!(
                    logged.contains("name=server.test alpn=http/1.1;"),
                    "{logged}"
                );
            }
        }
    }
}
