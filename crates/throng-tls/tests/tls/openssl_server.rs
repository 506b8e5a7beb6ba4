//! Our client against `openssl s_server`.

use crate::authority::{Authority, pems};
use crate::peer::{Peer, free_port};
use crate::probe::{Answer, Probe, Seen, Step};
use crate::worker::{Link, Worker};
use std::cell::RefCell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, Tally};
use throng_tls::{ClientOptions, ClientTls, Tls, Version, Versions};

type Client = Worker<Tls<Probe>>;

fn start(identity: &(PathBuf, PathBuf), more: &[&str]) -> (Peer, u16) {
    let port = free_port();
    let accept = format!("127.0.0.1:{port}");
    let mut arguments = vec!["s_server", "-accept", &accept];
    arguments.extend(["-cert", identity.0.to_str().unwrap()]);
    arguments.extend(["-key", identity.1.to_str().unwrap()]);
    arguments.extend(more);
    let peer = Peer::start("openssl", &arguments);
    peer.wait_for("ACCEPT", 1);
    (peer, port)
}

fn client(options: &ClientOptions, steps: Vec<Step>) -> (Client, Rc<RefCell<Seen>>) {
    let probe = Probe::new(steps, Answer::Nothing);
    let seen = probe.seen.clone();
    let tls = Tls::client(probe, &ClientTls::new(options).unwrap());
    (Worker::new(tls), seen)
}

fn options(authority: &Authority, name: &str) -> ClientOptions {
    ClientOptions {
        names: vec![name.into()],
        ca_file: Some(authority.ca_file().into()),
        ..ClientOptions::default()
    }
}

fn only(version: Version) -> Versions {
    Versions {
        min: version,
        max: version,
    }
}

fn connect(client: &mut Client, port: u16) -> (TcpStream, Link<Tls<Probe>>) {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    (socket, client.open(0))
}

/// Connects and sees how the connection ends.
fn try_it(options: &ClientOptions, port: u16) -> Tally {
    let (mut client, _) = client(options, vec![]);
    let (mut socket, mut link) = connect(&mut client, port);
    client.drive(&mut link, &mut socket, |w, _| {
        w.counters.read().tls.secured > 0
    });
    client.counters.read()
}

#[test]
fn every_cipher_of_both_versions_carries_data_both_ways() {
    let authority = Authority::new();
    let ecdsa = authority.issue("ecdsa", &["server.test"]);
    let rsa = rsa(&authority);
    let cases = [
        ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", &ecdsa),
        ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384", &ecdsa),
        (
            "-tls1_3",
            "-ciphersuites",
            "TLS_CHACHA20_POLY1305_SHA256",
            &rsa,
        ),
        (
            "-tls1_2",
            "-cipher",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            &ecdsa,
        ),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", &rsa),
        (
            "-tls1_2",
            "-cipher",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            &ecdsa,
        ),
    ];
    for (version, option, suite, identity) in cases {
        let (mut peer, port) = start(identity, &[version, option, suite]);
        let said = "a line from the client\n";
        let (mut client, saw) = client(
            &ClientOptions {
                insecure: identity == &rsa,
                ..options(&authority, "server.test")
            },
            vec![Step::Bytes(said.into())],
        );
        let (mut socket, mut link) = connect(&mut client, port);
        client.drive(&mut link, &mut socket, |_, _| peer.printed().contains(said));
        assert!(
            peer.printed().contains(&format!("CIPHER is {suite}")),
            "{}",
            peer.printed()
        );
        peer.say("a line from the server\n");
        client.drive(&mut link, &mut socket, |_, _| {
            saw.borrow().got.ends_with(b"server\n")
        });
        // It ends by closing the connection, without an alert.
        peer.say("Q\n");
        let ended = client.drive(&mut link, &mut socket, |_, _| false);
        assert_eq!(ended, Some(Closed::ByPeer), "{suite}");
        let counts = client.counters.read();
        assert_eq!(
            (counts.tls.secured, counts.tls.truncated),
            (1, 1),
            "{suite}"
        );
        assert_eq!(counts.tls.failed_in_all(), 0, "{suite}");
        peer.wait();
        assert!(!peer.printed().contains("error"), "{}", peer.printed());
    }
}

/// A certificate with an RSA key, which signs itself and says that it is an authority, as most do that
/// people make themselves.
fn rsa(authority: &Authority) -> (PathBuf, PathBuf) {
    rsa_signed(authority, "rsa", 2048, true, None)
}

/// A certificate with an RSA key of this many bits, of an authority or not, signed by `by` or by itself.
fn rsa_signed(
    authority: &Authority,
    file: &str,
    bits: u32,
    is_authority: bool,
    by: Option<&(PathBuf, PathBuf)>,
) -> (PathBuf, PathBuf) {
    let paths = authority.write(file, "", "");
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-nodes", "-days", "9", "-newkey"])
        .arg(format!("rsa:{bits}"))
        .args(["-subj", &format!("/CN={file}")])
        .args(["-addext", "subjectAltName=DNS:server.test"]);
    if !is_authority {
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    if let Some((certificate, key)) = by {
        openssl.arg("-CA").arg(certificate).arg("-CAkey").arg(key);
    }
    openssl
        .arg("-out")
        .arg(&paths.0)
        .arg("-keyout")
        .arg(&paths.1);
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    paths
}

#[test]
fn a_certificate_that_signed_itself_is_trusted_if_it_is_named_and_for_its_name_only() {
    let authority = Authority::new();
    let own = rsa(&authority);
    let (_peer, port) = start(&own, &[]);
    let named = |name: &str| ClientOptions {
        ca_file: Some(own.0.clone().into()),
        ..options(&authority, name)
    };
    assert_eq!(try_it(&named("server.test"), port).tls.secured, 1);
    let other = try_it(&named("other.test"), port);
    assert_eq!(other.tls.failed(TlsFailure::NameMismatch), 1, "{other:?}");
    let unnamed = try_it(&options(&authority, "server.test"), port);
    assert_eq!(
        unnamed.tls.failed(TlsFailure::UnknownAuthority),
        1,
        "{unnamed:?}"
    );
}

#[test]
fn sni_and_alpn_reach_the_server_as_asked() {
    let authority = Authority::new();
    let identity = authority.issue("server", &["server.test", "127.0.0.1"]);
    let (peer, port) = start(&identity, &["-alpn", "http/1.1", "-tlsextdebug"]);
    let asked = ClientOptions {
        alpn: vec!["h2".into(), "http/1.1".into()],
        ..options(&authority, "server.test")
    };
    assert_eq!(try_it(&asked, port).tls.secured, 1);
    peer.wait_for("CIPHER is", 1);
    let printed = peer.printed();
    assert!(printed.contains("ALPN protocols advertised by the client: h2, http/1.1"));
    assert!(
        printed.contains("ALPN protocols selected: http/1.1"),
        "{printed}"
    );
    assert_eq!(printed.matches("\"server name\"").count(), 1, "{printed}");

    let without = ClientOptions {
        sni: false,
        ..options(&authority, "server.test")
    };
    assert_eq!(try_it(&without, port).tls.secured, 1);
    assert_eq!(
        try_it(&options(&authority, "127.0.0.1"), port).tls.secured,
        1
    );
    peer.wait_for("CIPHER is", 3);
    assert_eq!(peer.printed().matches("\"server name\"").count(), 1);
}

#[test]
fn sessions_are_resumed_or_not_as_asked() {
    let authority = Authority::new();
    let identity = authority.issue("server", &["server.test"]);
    for version in [Version::Tls12, Version::Tls13] {
        for resumption in [true, false] {
            let (peer, port) = start(&identity, &[]);
            let asked = ClientOptions {
                versions: only(version),
                resumption,
                ..options(&authority, "server.test")
            };
            let (mut client, saw) = client(&asked, vec![]);
            for turn in 0..3 {
                let (mut socket, mut link) = connect(&mut client, port);
                // Its tickets come with its Finished, or behind it.
                let begun = client.now();
                client.drive(&mut link, &mut socket, |w, _| {
                    saw.borrow().opened.len() > turn && w.now().since(begun).as_millis() > 150
                });
                client.closed(&mut link, Closed::ByUs);
                drop(socket);
                peer.wait_for("CIPHER is", turn + 1);
            }
            let counts = client.counters.read();
            let resumed = if resumption { 2 } else { 0 };
            assert_eq!(
                (counts.tls.secured, counts.tls.resumed),
                (3, resumed),
                "{version}"
            );
            let said = peer.printed().matches("Reused session-id").count();
            assert_eq!(said as u64, resumed, "{version}: {}", peer.printed());
        }
    }
}

#[test]
fn faults_of_a_certificate_are_distinguished_and_insecure_accepts_it() {
    let authority = Authority::new();
    let other = Authority::new();
    let expired = authority.issue_until("expired", &["server.test"], 2020);
    let good = authority.issue("good", &["server.test"]);
    for (identity, trusted, name, failure, alert) in [
        (
            &expired,
            &authority,
            "server.test",
            TlsFailure::Expired,
            "alert certificate expired",
        ),
        (
            &good,
            &authority,
            "other.test",
            TlsFailure::NameMismatch,
            "alert bad certificate",
        ),
        (
            &good,
            &other,
            "server.test",
            TlsFailure::UnknownAuthority,
            "alert unknown ca",
        ),
    ] {
        let (peer, port) = start(identity, &[]);
        let counts = try_it(&options(trusted, name), port);
        assert_eq!(counts.tls.failed(failure), 1, "{counts:?}");
        assert_eq!((counts.tls.secured, counts.tls.failed_in_all()), (0, 1));
        peer.wait_for(alert, 1);

        let insecure = ClientOptions {
            insecure: true,
            ..options(trusted, name)
        };
        assert_eq!(try_it(&insecure, port).tls.secured, 1);
    }
}

#[test]
fn a_short_key_and_an_authority_are_reported_as_such_and_accepted_if_any_certificate_is() {
    let authority = Authority::new();
    let ca = rsa_signed(&authority, "rsa-ca", 2048, true, None);
    let short = rsa_signed(&authority, "short", 1024, false, Some(&ca));
    let another = rsa_signed(&authority, "another", 2048, true, Some(&ca));
    for (identity, failure) in [
        (short, TlsFailure::ShortKey),
        (another, TlsFailure::AuthorityAsServer),
    ] {
        let (_peer, port) = start(&identity, &["-cipher", "DEFAULT@SECLEVEL=0"]);
        for version in [Version::Tls12, Version::Tls13] {
            let asked = ClientOptions {
                versions: only(version),
                ca_file: Some(ca.0.clone().into()),
                ..options(&authority, "server.test")
            };
            let counts = try_it(&asked, port);
            assert_eq!(counts.tls.failed(failure), 1, "{version}: {counts:?}");
            assert_eq!((counts.tls.secured, counts.tls.failed_in_all()), (0, 1));
            let insecure = ClientOptions {
                insecure: true,
                ..asked
            };
            let counts = try_it(&insecure, port);
            assert_eq!(counts.tls.secured, 1, "{version}: {counts:?}");
        }
    }
}

#[test]
fn alerts_of_the_server_are_distinguished() {
    let authority = Authority::new();
    let identity = authority.issue("server", &["server.test"]);
    let asked = options(&authority, "server.test");
    let ca = authority.ca_file();
    let ca = ca.to_str().unwrap();
    for (more, options, failure) in [
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"][..],
            asked.clone(),
            TlsFailure::AlertHandshake,
        ),
        (
            &["-tls1_2"],
            ClientOptions {
                versions: only(Version::Tls13),
                ..asked.clone()
            },
            TlsFailure::AlertVersion,
        ),
        (
            &["-alpn", "h2"],
            ClientOptions {
                alpn: vec!["mqtt".into()],
                ..asked.clone()
            },
            TlsFailure::AlertProtocol,
        ),
        (
            &["-tls1_2", "-Verify", "1", "-CAfile", ca],
            asked.clone(),
            TlsFailure::AlertHandshake,
        ),
    ] {
        let (_peer, port) = start(&identity, more);
        let counts = try_it(&options, port);
        assert_eq!(counts.tls.failed(failure), 1, "{more:?}: {counts:?}");
        assert_eq!((counts.tls.secured, counts.tls.failed_in_all()), (0, 1));
    }
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new();
    let identity = authority.issue("server", &["server.test"]);
    let ours = authority.issue("client", &["client.test"]);
    let ca = authority.ca_file();
    let (peer, port) = start(
        &identity,
        &["-Verify", "1", "-CAfile", ca.to_str().unwrap()],
    );
    let with = ClientOptions {
        identity: Some(pems(ours)),
        ..options(&authority, "server.test")
    };
    assert_eq!(try_it(&with, port).tls.secured, 1);
    peer.wait_for("Client certificate", 1);

    // In TLS 1.3 the client is done before the server looks at its certificate.
    let (mut client, _) = client(&options(&authority, "server.test"), vec![]);
    let (mut socket, mut link) = connect(&mut client, port);
    client.drive(&mut link, &mut socket, |_, _| false);
    let counts = client.counters.read();
    assert_eq!((counts.tls.secured, counts.tls.broken), (1, 1));
    assert_eq!(counts.tls.failed(TlsFailure::AlertCertificateRequired), 1);
}

#[test]
fn keys_are_updated_when_the_server_does_and_when_it_asks_for_ours() {
    let authority = Authority::new();
    let identity = authority.issue("server", &["server.test"]);
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let (mut peer, port) = start(&identity, &["-tls1_3", "-ciphersuites", suite]);
        let mut probe = Probe::new(vec![], Answer::Back);
        probe.close_after = None;
        let saw = probe.seen.clone();
        let tls = ClientTls::new(&options(&authority, "server.test")).unwrap();
        let mut client = Worker::new(Tls::client(probe, &tls));
        let (mut socket, mut link) = connect(&mut client, port);
        // Its tickets have come when its data has.
        peer.say("hello\n");
        client.drive(&mut link, &mut socket, |_, _| {
            saw.borrow().got == b"hello\n"
        });
        let mut wanted = String::from("hello\n");
        for (turn, update) in ["k\n", "K\n", "K\n", "k\n"].into_iter().enumerate() {
            // It takes a command only at the beginning of what it reads, so its update must come first.
            let came = link.came;
            peer.say(update);
            client.drive(&mut link, &mut socket, |_, l| l.came > came);
            let line = format!("line {turn} under a new key\n");
            peer.say(&line);
            wanted.push_str(&line);
            // It prints our echo, which it could not read under a wrong key.
            client.drive(&mut link, &mut socket, |_, _| {
                saw.borrow().got == wanted.as_bytes() && peer.printed().contains(&line)
            });
        }
        assert_eq!(client.counters.read().tls.failed_in_all(), 0);
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_reported_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let _hello = socket.read(&mut [0; 1000]).unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _rest = socket.read(&mut [0; 1000]);
    });
    let authority = Authority::new();
    let counts = try_it(&options(&authority, "server.test"), port);
    assert_eq!(counts.tls.failed(TlsFailure::NotTls), 1, "{counts:?}");
    assert_eq!(counts.tls.failed_in_all(), 1);
    peer.join().unwrap();
}
