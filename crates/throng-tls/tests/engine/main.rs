//! TLS on the engines that it is for: both ends over real sockets, many connections at once.

mod pairs;
#[allow(dead_code)]
#[path = "../../../throng-engine/tests/conformance/peer.rs"]
mod peer;
#[allow(dead_code)] // what other tests of engines need
#[path = "../../../throng-engine/tests/conformance/rig.rs"]
mod rig;
mod rogue;

use rig::{Connect, Serve};
use rogue::{ALERT, DATA, HANDSHAKE, Rogue};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};
use socket2::SockRef;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Load, NoMatcher, Pacing, Task, Traffic};
use throng_core::engine::Engine;
use throng_core::payload::{Framing, Messages, Script};
use throng_core::protocol::raw::{Echo, Raw, Sink};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::units::{Bandwidth, Rate};
use throng_engine::Order;
use throng_tls::{ClientOptions, ClientTls, ServerOptions, ServerTls, Tls, Version, Versions};

const CONNECTIONS: u32 = 100;

/// Runs a statement on each engine.
fn on_each(statement: impl Fn(Engine)) {
    statement(Engine::Epoll);
    if rig::has_uring() {
        statement(Engine::Uring);
    }
}

fn load(message: &[u8], pacing: Pacing) -> Load<Raw, NoMatcher> {
    mortal(message, pacing, None)
}

/// A load whose connections have this lifetime.
fn mortal(message: &[u8], pacing: Pacing, lifetime: Option<Duration>) -> Load<Raw, NoMatcher> {
    let messages = Messages {
        first: vec![b"hello".to_vec().into()],
        repeated: vec![message.to_vec().into()],
    };
    let script = Script::new(&messages, Framing::Raw, 1, 0).unwrap();
    let task = Task {
        connections: CONNECTIONS,
        lifetime,
        ..Task::new(script, pacing)
    };
    Load::new(task, Traffic::On, Raw, NoMatcher)
}

fn server() -> ServerTls {
    ServerTls::new(&ServerOptions::default()).unwrap()
}

fn client(server: &ServerTls, version: Version) -> ClientTls {
    ClientTls::new(&ClientOptions {
        names: vec!["127.0.0.1".into()],
        trusted: vec![server.certificate().to_vec()],
        versions: Versions {
            min: version,
            max: version,
        },
        ..ClientOptions::default()
    })
    .unwrap()
}

fn add_up(tally: &Tally) {
    let shaken = tally.tls.secured + tally.tls.failed_in_all() - tally.tls.broken;
    assert!(shaken <= tally.established + tally.accepted, "{tally:?}");
}

#[test]
fn messages_of_every_length_are_echoed_on_many_connections() {
    on_each(|engine| {
        for version in [Version::Tls12, Version::Tls13] {
            for len in [16, 1000, 100_000] {
                let tls = server();
                let echoes = Serve {
                    workers: 2,
                    ..Serve::on(engine)
                };
                let echoes = echoes.with(|| Tls::server(Echo, &tls));
                let message: Vec<u8> = (0..len).map(|i: u32| (i % 251) as u8).collect();
                let client = client(&tls, version);
                let loads = Connect::to(engine, &[echoes.address()], CONNECTIONS).with(|| {
                    let pacing = Pacing::ClosedLoop { in_flight: None };
                    Tls::client(load(&message, pacing), &client)
                });
                let wanted = u64::from(CONNECTIONS) * if len < 10_000 { 20 } else { 3 };
                loads.wait("messages are echoed", |t| t.messages_received >= wanted);
                loads.give(Order::StopTraffic);
                let tally = loads.settles("all is answered", |t| {
                    t.messages_received + u64::from(CONNECTIONS) >= t.messages_sent
                });
                assert_eq!(
                    tally.tls.secured,
                    u64::from(CONNECTIONS),
                    "{engine:?} {version} {len}"
                );
                assert_eq!(tally.tls.failed_in_all(), 0);
                add_up(&tally);
                add_up(&echoes.tally());
                assert_eq!(echoes.tally().tls.secured, u64::from(CONNECTIONS));
                let (_, measured) = loads.close();
                assert_eq!(measured.handshake.count(), u64::from(CONNECTIONS));
                let (tally, _) = echoes.close();
                assert_eq!(tally.tls.failed_in_all(), 0, "{tally:?}");
            }
        }
    });
}

#[test]
fn a_flood_reaches_a_sink_and_paced_messages_keep_their_rate() {
    on_each(|engine| {
        for pacing in [Pacing::Flood, Pacing::Rate(Rate::per_second(20.0).unwrap())] {
            let tls = server();
            let sinks = Serve::on(engine).with(|| Tls::server(Sink, &tls));
            let client = client(&tls, Version::Tls13);
            let loads = Connect::to(engine, &[sinks.address()], 10)
                .with(|| Tls::client(load(&[b'x'; 20_000], pacing.clone()), &client));
            loads.wait("messages are sent", |t| t.messages_sent >= 200);
            loads.give(Order::StopTraffic);
            let sent = loads.settles("all is sent", |_| true).bytes_sent;
            let got = sinks.settles("all has come", |t| t.bytes_received >= sent);
            assert_eq!(got.bytes_received, sent);
            assert_eq!(
                (got.tls.secured, got.tls.failed_in_all()),
                (10, 0),
                "{got:?}"
            );
        }
    });
}

#[test]
fn connections_that_close_are_opened_again_and_resume() {
    on_each(|engine| {
        let tls = server();
        let echoes = Serve {
            workers: 2,
            ..Serve::on(engine)
        };
        let echoes = echoes.with(|| Tls::server(Echo, &tls));
        for version in [Version::Tls12, Version::Tls13] {
            let client = client(&tls, version);
            let loads = Connect {
                reconnect: true,
                ..Connect::to(engine, &[echoes.address()], 20)
            };
            let loads = loads.with(|| {
                let pacing = Pacing::Rate(Rate::per_second(50.0).unwrap());
                let lifetime = Some(Duration::from_millis(300));
                Tls::client(mortal(b"ping", pacing, lifetime), &client)
            });
            let tally = loads.wait("they come and go", |t| t.tls.secured >= 60);
            assert!(tally.tls.resumed >= 40, "{tally:?}");
            assert_eq!((tally.tls.failed_in_all(), tally.tls.truncated), (0, 0));
            loads.close();
        }
        let tally = echoes.settles("all have left", |t| t.open() == 0);
        assert_eq!(
            (tally.tls.failed_in_all(), tally.tls.broken),
            (0, 0),
            "{tally:?}"
        );
    });
}

#[test]
fn connections_that_are_not_read_from_are_notified_of_their_end() {
    on_each(|engine| {
        let tls = server();
        let talks = Serve::on(engine).with(|| {
            let pacing = Pacing::Rate(Rate::per_second(200.0).unwrap());
            let lifetime = Some(Duration::from_millis(500));
            Tls::server(mortal(&[b'x'; 1000], pacing, lifetime), &tls)
        });
        for version in [Version::Tls12, Version::Tls13] {
            let client = client(&tls, version);
            let messages = Messages {
                first: vec![b"hello".to_vec().into()],
                repeated: Vec::new(),
            };
            let script = Script::new(&messages, Framing::Raw, 1, 0).unwrap();
            let task = Task {
                connections: 10,
                receive: Some(Bandwidth::bytes_per_second(0.0).unwrap()),
                ..Task::new(script, Pacing::Flood)
            };
            let silent = || Load::new(task.clone(), Traffic::On, Raw, NoMatcher);
            let loads = Connect::to(engine, &[talks.address()], 10);
            let loads = loads.with(|| Tls::client(silent(), &client));
            let tally = loads.wait("all are left", |t| {
                t.closed(Closed::ByPeer) + t.closed(Closed::ResetByPeer) == 10
            });
            assert_eq!((tally.tls.secured, tally.tls.failed_in_all()), (10, 0));
            assert_eq!(tally.tls.truncated, 0, "nothing is read to its end");
            // Half a second of messages are 100 kB on each; handshakes take some 2 kB.
            assert!(tally.bytes_received < 10 * 20_000, "{tally:?}");
            loads.close();
        }
        let sent = talks.settles("all have left", |t| t.open() == 0).bytes_sent;
        assert!(sent > 20 * 50_000, "{sent}");
    });
}

#[test]
fn handshakes_that_fail_are_counted_on_both_sides_and_tried_again() {
    on_each(|engine| {
        let (tls, other) = (server(), server());
        let sinks = Serve::on(engine).with(|| Tls::server(Sink, &tls));
        // Its clients trust another certificate.
        let client = client(&other, Version::Tls13);
        let loads = Connect {
            reconnect: true,
            ..Connect::to(engine, &[sinks.address()], 5)
        };
        let loads = loads.with(|| Tls::client(Sink, &client));
        let tally = loads.wait("all fail twice", |t| t.tls.failed_in_all() >= 10);
        assert_eq!(tally.tls.secured, 0);
        let own = TlsFailure::ALL.map(|f| tally.tls.failed(f));
        assert_eq!(own.iter().filter(|n| **n > 0).count(), 1, "{tally:?}");
        sinks.wait("their server is notified", |t| t.tls.failed_in_all() >= 10);
        loads.close();
    });
}

#[test]
fn a_plain_peer_on_either_side_is_found_out() {
    on_each(|engine| {
        let plain = Serve::on(engine).with(|| Echo);
        let tls = server();
        let client = client(&tls, Version::Tls13);
        let loads = Connect::to(engine, &[plain.address()], 5);
        // An echo sends our own hello back, which is TLS, but not from a server that speaks it.
        let loads = loads.with(|| Tls::client(Sink, &client));
        loads.wait("all fail", |t| t.tls.failed(TlsFailure::NotTls) == 5);

        let secure = Serve::on(engine).with(|| Tls::server(Echo, &tls));
        let loads = Connect::to(engine, &[secure.address()], 5);
        let _loads = loads.with(|| load(b"GET / HTTP/1.1\r\n\r\n", Pacing::Flood));
        secure.wait("all fail", |t| t.tls.failed(TlsFailure::NotTls) == 5);
    });
}

/// What a peer sends after a good message: encrypted records, then bytes as they are.
type Illegal = (&'static [(u8, &'static [u8])], &'static [u8]);

#[test]
fn illegal_records_get_the_alert_that_the_standard_names_and_nothing_of_them_is_echoed() {
    const UNEXPECTED_MESSAGE: u8 = 10;
    const RECORD_OVERFLOW: u8 = 22;
    const ILLEGAL_PARAMETER: u8 = 47;
    const DECODE_ERROR: u8 = 50;
    const HALF: (u8, &[u8]) = (HANDSHAKE, &[24, 0]);
    const HALF_12: (u8, &[u8]) = (HANDSHAKE, &[1, 0]);
    const REFUSED: (u8, &[u8]) = (DATA, b"refused");
    let (v12, v13) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
    let cases: [(ProtocolVersion, Illegal, u8); 15] = [
        // RFC 8446 section 5.1: after half a message.
        (v13, (&[HALF, REFUSED], &[]), UNEXPECTED_MESSAGE),
        (v13, (&[HALF, (ALERT, &[1, 0])], &[]), UNEXPECTED_MESSAGE),
        (v12, (&[HALF_12, REFUSED], &[]), UNEXPECTED_MESSAGE),
        (v12, (&[HALF_12, (ALERT, &[1, 0])], &[]), UNEXPECTED_MESSAGE),
        // Section 4.6.3.
        (
            v13,
            (&[(HANDSHAKE, &[24, 0, 0, 1, 2])], &[]),
            ILLEGAL_PARAMETER,
        ),
        (v13, (&[(HANDSHAKE, &[24, 0, 0, 0])], &[]), DECODE_ERROR),
        // Section 5.4.
        (v13, (&[(ALERT, &[])], &[]), UNEXPECTED_MESSAGE),
        (v12, (&[(ALERT, &[])], &[]), UNEXPECTED_MESSAGE),
        (v13, (&[(HANDSHAKE, &[])], &[]), UNEXPECTED_MESSAGE),
        // Section 5.2, RFC 5246 section 6.2.3: the header alone is enough.
        (v13, (&[], &[23, 3, 3, 0x41, 0x01]), RECORD_OVERFLOW),
        (v12, (&[], &[23, 3, 3, 0x48, 0x01]), RECORD_OVERFLOW),
        // Section 5: of a type that does not exist, or is not encrypted.
        (v13, (&[], &[24]), UNEXPECTED_MESSAGE),
        (v12, (&[], &[24]), UNEXPECTED_MESSAGE),
        (v13, (&[], &[22, 3, 3, 0, 1, 0]), UNEXPECTED_MESSAGE),
        (v13, (&[(24, b"beat")], &[]), UNEXPECTED_MESSAGE),
    ];
    on_each(|engine| {
        let tls = ServerTls::new(&ServerOptions {
            resumption: false,
            ..ServerOptions::default()
        });
        let tls = tls.unwrap();
        let echoes = Serve::on(engine).with(|| Tls::server(Echo, &tls));
        for (version, (records, bytes), alert) in cases {
            let mut rogue = Rogue::connect(echoes.address(), &tls, version);
            let mut sent = rogue.seal(DATA, b"good");
            for (kind, contents) in records {
                sent.extend(rogue.seal(*kind, contents));
            }
            rogue.send(&[&sent, bytes].concat());
            let expected = [(DATA, b"good".to_vec()), (ALERT, vec![2, alert])];
            let case = format!("{engine:?} {version:?} {records:?} {bytes:?}");
            assert_eq!(rogue.hear(), expected, "{case}");
        }
        let all = cases.len() as u64;
        let tally = echoes.settles("all have left", |t| t.open() == 0);
        assert_eq!(tally.tls.failed(TlsFailure::Violation), all, "{tally:?}");
        assert_eq!(tally.tls.broken, all, "{tally:?}");
    });
}

/// A whole ClientHello, in its record.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut hello = Vec::new();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[test]
fn a_client_that_leaves_in_its_handshake_is_noticed() {
    const PEERS: u64 = 50;
    let hello = client_hello();
    let leaves: [fn(TcpStream); 2] = [reset, drop];
    on_each(|engine| {
        for (sent, leave) in [hello.len(), 50]
            .into_iter()
            .flat_map(|sent| leaves.map(|leave| (sent, leave)))
        {
            let tls = server();
            let side = Serve::on(engine).with(|| Tls::server(Echo, &tls));
            for _ in 0..PEERS {
                let mut peer = TcpStream::connect(side.address()).unwrap();
                peer.write_all(&hello[..sent]).unwrap();
                leave(peer);
            }
            let tally = side.wait("all end", |t| t.closed_in_all() == PEERS);
            assert_eq!(tally.tls.failed(TlsFailure::Closed), PEERS, "{tally:?}");
            side.close();
        }
    });
}

#[test]
fn a_server_that_leaves_in_its_handshake_is_noticed() {
    const PEERS: u32 = 50;
    let leaves: [fn(TcpStream); 2] = [reset, drop];
    on_each(|engine| {
        for leave in leaves {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let client = client(&server(), Version::Tls13);
            let side = Connect::to(engine, &[address], PEERS).with(|| Tls::client(Sink, &client));
            for _ in 0..PEERS {
                let (mut peer, _) = listener.accept().unwrap();
                // The beginning of a record of 100 bytes.
                peer.write_all(&[22, 3, 3, 0, 100, 2]).unwrap();
                leave(peer);
            }
            let ended = |t: &Tally| t.closed_in_all() + t.failed_in_all() == u64::from(PEERS);
            let tally = side.wait("all end", ended);
            // A reset that arrives before the attempt is seen to succeed fails the attempt.
            let failed = tally.tls.failed(TlsFailure::Closed) + tally.failed(FailCause::Reset);
            assert_eq!(failed, u64::from(PEERS), "{tally:?}");
            side.close();
        }
    });
}
