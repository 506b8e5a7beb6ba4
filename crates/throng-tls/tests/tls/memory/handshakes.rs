//! Handshakes: sessions resumed, names, tickets, and what each failure is counted as.

use super::*;
use crate::authority::pems;

#[test]
fn sessions_are_resumed_if_both_sides_allow_it() {
    for v in [Version::Tls12, Version::Tls13] {
        for (ours, theirs) in [(true, true), (false, true), (true, false)] {
            let tls = ServerTls::new(&ServerOptions {
                resumption: theirs,
                ..ServerOptions::default()
            });
            let tls = tls.unwrap();
            let options = ClientOptions {
                resumption: ours,
                trusted: vec![tls.certificate().to_vec()],
                ..client_options(v)
            };
            let mut client = Probe::new(vec![Step::Memory(0..5)], Answer::Nothing);
            client.close_after = Some(5);
            let mut pair = Pair::new(client, &options, Probe::new(vec![], Answer::Back), &tls);
            for id in 0..4 {
                pair.run(id, &[100_000]);
            }
            let resumed = if ours && theirs { 3 } else { 0 };
            for end in [&pair.client, &pair.server] {
                let counts = end.counters.read();
                assert_eq!(
                    (counts.tls.secured, counts.tls.resumed),
                    (4, resumed),
                    "{v} {ours} {theirs}"
                );
            }
        }
    }
}

#[test]
fn handshakes_are_measured_from_when_the_connection_was_established() {
    let mut pair = Pair::new(
        Probe::new(vec![], Answer::Nothing),
        &client_options(Version::Tls13),
        Probe::new(vec![], Answer::Nothing),
        &SERVER,
    );
    let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
    pair.client.later += Duration::from_millis(500);
    pair.carry(&mut c, &mut s, &[100_000]);
    let measured = pair.client.behaviour.take_measured().handshake;
    assert_eq!(measured.count(), 1);
    assert!(measured.percentile(50.0).unwrap() >= Duration::from_millis(495));
    assert_eq!(pair.client.behaviour.take_measured().handshake.count(), 0);
    assert_eq!(pair.server.behaviour.take_measured().handshake.count(), 1);
}

#[test]
fn each_failure_is_counted_as_what_it_is() {
    let authority = Authority::new();
    let good = authority.issue("good", &["localhost", "127.0.0.1"]);
    let expired = authority.issue_until("expired", &["localhost"], 2020);
    let other = Authority::new();
    let named = |name: &str| ClientOptions {
        names: vec![name.into()],
        ca_file: Some(authority.ca_file().into()),
        ..ClientOptions::default()
    };
    let server = |identity: &(std::path::PathBuf, std::path::PathBuf)| ServerOptions {
        identity: Some(pems(identity.clone())),
        ..ServerOptions::default()
    };
    let alpn = |name: &str| vec![name.to_string()];
    use TlsFailure as F;
    // What the client counts, and the server.
    type Case = (&'static str, ClientOptions, ServerOptions, Option<(F, F)>);
    let cases: Vec<Case> = vec![
        ("as it should be", named("localhost"), server(&good), None),
        ("by address", named("127.0.0.1"), server(&good), None),
        (
            "in brackets",
            named("[::1]"),
            server(&good),
            Some((F::NameMismatch, F::AlertCertificate)),
        ),
        (
            "name",
            named("example.org"),
            server(&good),
            Some((F::NameMismatch, F::AlertCertificate)),
        ),
        (
            "expired",
            named("localhost"),
            server(&expired),
            Some((F::Expired, F::AlertExpired)),
        ),
        (
            "wrong authority",
            ClientOptions {
                ca_file: Some(other.ca_file().into()),
                ..named("localhost")
            },
            server(&good),
            Some((F::UnknownAuthority, F::AlertUnknownCa)),
        ),
        (
            "wrong authority, insecure",
            ClientOptions {
                ca_file: None,
                insecure: true,
                ..named("example.org")
            },
            server(&expired),
            None,
        ),
        (
            "versions",
            ClientOptions {
                versions: versions(Version::Tls13),
                ..named("localhost")
            },
            ServerOptions {
                versions: versions(Version::Tls12),
                ..server(&good)
            },
            Some((F::AlertVersion, F::ProtocolVersion)),
        ),
        (
            "ALPN",
            ClientOptions {
                alpn: alpn("h2"),
                ..named("localhost")
            },
            ServerOptions {
                alpn: alpn("http/1.1"),
                ..server(&good)
            },
            Some((F::AlertProtocol, F::NoCommonProtocol)),
        ),
        (
            "ALPN in common",
            ClientOptions {
                alpn: vec!["h2".into(), "http/1.1".into()],
                ..named("localhost")
            },
            ServerOptions {
                alpn: alpn("http/1.1"),
                ..server(&good)
            },
            None,
        ),
    ];
    for (what, client, server, failures) in cases {
        let tls = ServerTls::new(&server).unwrap();
        let mut pair = Pair::new(
            Probe::new(vec![], Answer::Nothing),
            &client,
            Probe::new(vec![], Answer::Nothing),
            &tls,
        );
        let (c, s) = pair.run(0, &[100_000]);
        let (client, server) = (pair.client.counters.read(), pair.server.counters.read());
        match failures {
            None => assert_eq!((client.tls.secured, server.tls.secured), (1, 1), "{what}"),
            Some((ours, theirs)) => {
                assert_eq!(client.tls.failed(ours), 1, "{what}: client, {client:?}");
                assert_eq!(server.tls.failed(theirs), 1, "{what}: server, {server:?}");
                assert_eq!(client.tls.failed_in_all(), 1, "{what}");
                assert_eq!(server.tls.failed_in_all(), 1, "{what}");
                assert!(c.closing && s.closing, "{what}");
                // The server of TLS 1.3 may have been done before.
                let unopened = pair.client_saw.borrow();
                assert_eq!(
                    (unopened.opened.len(), unopened.closed.len()),
                    (0, 0),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn a_peer_that_does_not_speak_tls_is_recognised_by_its_first_byte() {
    let mut pair = Pair::new(
        Probe::new(vec![], Answer::Nothing),
        &client_options(Version::Tls13),
        Probe::new(vec![], Answer::Nothing),
        &SERVER,
    );
    let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
    pair.client.received(&mut c, b"H");
    pair.server.received(&mut s, b"GET / HTTP/1.1\r\n\r\n");
    assert!(c.closing && s.closing);
    pair.client.closed(&mut c, Closed::ByUs);
    for end in [&pair.client, &pair.server] {
        let counts = end.counters.read();
        assert_eq!(counts.tls.failed(TlsFailure::NotTls), 1);
        assert_eq!((counts.tls.failed_in_all(), counts.tls.secured), (1, 0));
    }
}

#[test]
fn a_handshake_that_takes_too_long_or_is_cut_off_is_counted() {
    let mut pair = Pair::new(
        Probe::new(vec![], Answer::Nothing),
        &ClientOptions {
            timeout: Duration::from_secs(3),
            ..client_options(Version::Tls13)
        },
        Probe::new(vec![], Answer::Nothing),
        &SERVER,
    );
    let mut slow = pair.client.open(0);
    let due = slow.wake.unwrap();
    assert!(due.since(pair.client.now()) <= Duration::from_secs(3));
    pair.client.woken(&mut slow);
    assert_eq!(
        (slow.closing, slow.wake),
        (false, Some(due)),
        "the wheel was early"
    );
    pair.client.later += Duration::from_secs(3);
    pair.client.woken(&mut slow);
    assert!(slow.closing);
    pair.client.closed(&mut slow, Closed::ByUs);

    let mut cut = pair.client.open(1);
    pair.client.closed(&mut cut, Closed::ResetByPeer);
    let mut ours = pair.client.open(2);
    pair.client.closed(&mut ours, Closed::ByUs);
    let counts = pair.client.counters.read();
    assert_eq!(counts.tls.failed(TlsFailure::TimedOut), 1);
    assert_eq!(counts.tls.failed(TlsFailure::Closed), 1);
    assert_eq!(
        counts.tls.failed_in_all(),
        2,
        "what we end ourselves is no failure"
    );
}

#[test]
fn a_ticket_from_one_worker_is_valid_at_another() {
    for v in [Version::Tls12, Version::Tls13] {
        let sink = || Probe::new(vec![], Answer::Nothing);
        let mut pair = Pair::new(sink(), &client_options(v), sink(), &SERVER);
        pair.run(0, &[100_000]);
        pair.server = Worker::new(Tls::server(sink(), &SERVER));
        pair.run(1, &[100_000]);
        assert_eq!(pair.server.counters.read().tls.resumed, 1, "{v}");
    }
}

#[test]
fn each_connection_asks_for_the_name_that_was_chosen_for_it() {
    let authority = Authority::new();
    let tls = ServerTls::new(&ServerOptions {
        identity: Some(pems(authority.issue("one", &["one.test"]))),
        ..ServerOptions::default()
    });
    let options = ClientOptions {
        names: vec!["one.test".into(), "two.test".into()],
        ca_file: Some(authority.ca_file().into()),
        ..ClientOptions::default()
    };
    let sink = || Probe::new(vec![], Answer::Nothing);
    let mut pair = Pair::new(sink(), &options, sink(), &tls.unwrap());
    let client = Tls::client(sink(), &ClientTls::new(&options).unwrap());
    pair.client = Worker::new(client.choosing(|id| id as usize % 2));
    for id in 0..4 {
        pair.run(id, &[100_000]);
    }
    let counts = pair.client.counters.read();
    assert_eq!(counts.tls.secured, 2);
    assert_eq!(counts.tls.failed(TlsFailure::NameMismatch), 2);
}

/// Engines make a behaviour in one thread and run it in another.
#[test]
fn a_tls_behaviour_can_be_sent_to_its_worker() {
    fn goes<T: Send>(_: T) {}
    let options = client_options(Version::Tls13);
    goes(Tls::client(
        throng_core::protocol::raw::Echo,
        &ClientTls::new(&options).unwrap(),
    ));
    goes(Tls::server(throng_core::protocol::raw::Sink, &SERVER));
}
