//! `openssl s_client` against our server.

use crate::authority::{Authority, pems};
use crate::peer::Peer;
use crate::probe::{Answer, Probe};
use crate::worker::{PATIENCE, Worker};
use std::fs;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, Tally};
use throng_tls::{ServerOptions, ServerTls, Tls};

/// An echo server of ours for this many connections, one after another. Its thread returns the counts and how each
/// connection ended.
fn serve(options: ServerOptions, connections: u32) -> (u16, JoinHandle<(Tally, Vec<Closed>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let tls = ServerTls::new(&options).unwrap();
        let probe = Probe::new(vec![], Answer::Back);
        let saw = probe.seen.clone();
        let mut server = Worker::new(Tls::server(probe, &tls));
        let mut ends = Vec::new();
        for id in 0..connections {
            let (mut socket, _) = listener.accept().unwrap();
            let mut link = server.open(id);
            ends.extend(server.drive(&mut link, &mut socket, |_, _| false));
        }
        let seen = saw.borrow();
        assert_eq!(seen.opened.len(), seen.closed.len());
        (server.counters.read(), ends)
    });
    (port, served)
}

fn good(authority: &Authority) -> ServerOptions {
    ServerOptions {
        identity: Some(pems(authority.issue("server", &["server.test"]))),
        ..ServerOptions::default()
    }
}

fn connect(authority: &Authority, port: u16, more: &[&str]) -> Peer {
    let to = format!("127.0.0.1:{port}");
    let ca = authority.ca_file();
    let mut arguments = vec!["s_client", "-connect", &to, "-servername", "server.test"];
    arguments.extend(["-CAfile", ca.to_str().unwrap(), "-verify_return_error"]);
    arguments.extend(more);
    Peer::start("openssl", &arguments)
}

#[test]
fn both_versions_every_cipher_and_alpn() {
    let authority = Authority::new();
    for (version, option, suite) in [
        ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
        ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
        ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ] {
        let options = ServerOptions {
            alpn: vec!["h2".into(), "echo".into()],
            ..good(&authority)
        };
        let (port, served) = serve(options, 1);
        let mut peer = connect(
            &authority,
            port,
            &[version, option, suite, "-alpn", "echo,x"],
        );
        peer.wait_for("Verify return code: 0 (ok)", 1);
        assert!(
            peer.printed().contains("ALPN protocol: echo"),
            "{}",
            peer.printed()
        );
        assert!(peer.printed().contains(suite), "{}", peer.printed());
        peer.say("over and back\n");
        peer.wait_for("over and back\n", 1);
        peer.say("Q\n");
        peer.wait();
        let (counts, ends) = served.join().unwrap();
        assert_eq!((counts.tls.secured, counts.tls.resumed), (1, 0), "{suite}");
        assert_eq!(
            (counts.tls.truncated, counts.tls.failed_in_all()),
            (0, 0),
            "{suite}"
        );
        assert_eq!(ends, [Closed::ByPeer]);
    }
}

#[test]
fn sessions_are_resumed_or_not_as_set_up() {
    let authority = Authority::new();
    for version in ["-tls1_2", "-tls1_3"] {
        for resumption in [true, false] {
            let options = ServerOptions {
                resumption,
                ..good(&authority)
            };
            let (port, served) = serve(options, 2);
            let file = authority.path().join("session");
            let _old = fs::remove_file(&file);
            let file = file.to_str().unwrap();
            let mut first = connect(&authority, port, &[version, "-sess_out", file]);
            first.wait_for("Verify return code: 0 (ok)", 1);
            // In TLS 1.3 the ticket comes behind the handshake.
            let begun = Instant::now();
            while resumption && fs::metadata(file).map_or(0, |f| f.len()) == 0 {
                assert!(begun.elapsed() < PATIENCE, "no ticket came");
                thread::sleep(Duration::from_millis(5));
            }
            first.say("Q\n");
            first.wait();
            let again = match resumption {
                true => vec![version, "-sess_in", file],
                // There is no session to resume.
                false => vec![version],
            };
            let mut second = connect(&authority, port, &again);
            second.wait_for("Verify return code: 0 (ok)", 1);
            second.say("still the same\n");
            second.wait_for("still the same\n", 1);
            second.say("Q\n");
            second.wait();
            assert_eq!(second.printed().contains("Reused, TLSv1."), resumption);
            let (counts, _) = served.join().unwrap();
            assert_eq!(
                (counts.tls.secured, counts.tls.resumed),
                (2, resumption.into()),
                "{version}"
            );
        }
    }
}

#[test]
fn keys_are_updated_when_the_client_does_and_when_it_asks_for_ours() {
    let authority = Authority::new();
    let (port, served) = serve(good(&authority), 1);
    let mut peer = connect(&authority, port, &["-tls1_3"]);
    peer.wait_for("Verify return code: 0 (ok)", 1);
    for (turn, update) in ["k\n", "K\n", "K\n", "k\n"].into_iter().enumerate() {
        peer.say(update);
        // It takes a command only at the beginning of what it reads.
        peer.wait_for("KEYUPDATE", turn + 1);
        let line = format!("line {turn} under a new key\n");
        peer.say(&line);
        peer.wait_for(&line, 1);
    }
    peer.say("Q\n");
    peer.wait();
    let (counts, _) = served.join().unwrap();
    assert_eq!((counts.tls.failed_in_all(), counts.tls.broken), (0, 0));
}

#[test]
fn a_renegotiation_is_refused_and_harms_nobody() {
    let authority = Authority::new();
    let (port, served) = serve(good(&authority), 1);
    let mut peer = connect(&authority, port, &["-tls1_2"]);
    peer.wait_for("Verify return code: 0 (ok)", 1);
    peer.say("R\n");
    peer.wait_for("RENEGOTIATING", 1);
    peer.wait_for("no renegotiation", 1);
    peer.wait();
    let (counts, _) = served.join().unwrap();
    assert_eq!(counts.tls.secured, 1);
}

#[test]
fn a_megabyte_comes_back_whatever_the_records_lengths() {
    let authority = Authority::new();
    let sent: String = (0..100_000).map(|i| format!("{i:09}\n")).collect();
    let file = authority.path().join("megabyte");
    fs::write(&file, &sent).unwrap();
    for more in [
        &["-tls1_3"][..],
        &["-tls1_3", "-max_send_frag", "512"],
        &["-tls1_2", "-max_send_frag", "1000"],
    ] {
        let (port, served) = serve(good(&authority), 1);
        let mut arguments = more.to_vec();
        arguments.extend(["-quiet", "-no_ign_eof"]);
        let mut peer = connect(&authority, port, &arguments);
        for part in sent.as_bytes().chunks(100_000) {
            peer.say(std::str::from_utf8(part).unwrap());
        }
        peer.wait_for("000099999\n", 1);
        assert!(peer.printed().contains(&sent), "{more:?}");
        // Its input ends, so it says goodbye.
        peer.wait();
        let (counts, _) = served.join().unwrap();
        assert_eq!(
            (counts.tls.failed_in_all(), counts.tls.truncated),
            (0, 0),
            "{more:?}"
        );
    }
}

#[test]
fn what_the_client_refuses_is_distinguished() {
    let authority = Authority::new();
    let expired = ServerOptions {
        identity: Some(pems(authority.issue_until(
            "expired",
            &["server.test"],
            2020,
        ))),
        ..ServerOptions::default()
    };
    for (options, more, failure) in [
        (expired, &[][..], TlsFailure::AlertExpired),
        (ServerOptions::default(), &[], TlsFailure::AlertUnknownCa),
        (
            good(&authority),
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
            TlsFailure::NoCommonCipher,
        ),
        (
            good(&authority),
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            TlsFailure::ProtocolVersion,
        ),
        (
            ServerOptions {
                alpn: vec!["h2".into()],
                ..good(&authority)
            },
            &["-alpn", "mqtt"],
            TlsFailure::NoCommonProtocol,
        ),
    ] {
        let (port, served) = serve(options, 1);
        let mut peer = connect(&authority, port, more);
        peer.wait();
        let (counts, _) = served.join().unwrap();
        assert_eq!(
            counts.tls.failed(failure),
            1,
            "{more:?}: {counts:?} {}",
            peer.printed()
        );
        assert_eq!(
            (counts.tls.secured, counts.tls.failed_in_all()),
            (0, 1),
            "{more:?}"
        );
    }
}

#[test]
fn a_client_that_is_killed_leaves_a_cut_connection_behind() {
    let authority = Authority::new();
    let (port, served) = serve(good(&authority), 1);
    let peer = connect(&authority, port, &[]);
    peer.wait_for("Verify return code: 0 (ok)", 1);
    thread::sleep(Duration::from_millis(50));
    drop(peer);
    let (counts, ends) = served.join().unwrap();
    assert_eq!(counts.tls.secured, 1);
    // Unread bytes of ours make its end a reset.
    match ends[..] {
        [Closed::ByPeer] => assert_eq!(counts.tls.truncated, 1),
        _ => assert_eq!(ends, [Closed::ResetByPeer]),
    }
}
