//! TLS on the connections of a proxy's pairs: with clients, with backends, or both; the peers are rustls's own streams.

use crate::on_each;
use crate::peer::{self, Endless};
use crate::rig::{Serve, Side};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use throng_core::engine::Engine;
use throng_core::protocol::proxy::{Asked, Backends, Balance, Identity, Proxy, Sources, Standing};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::Closed;
use throng_tls::{ClientOptions, ClientTls, PairTls, ServerOptions, ServerTls};

/// Whether clients, and backends, speak TLS.
type Speak = (bool, bool);
const EACH: [Speak; 3] = [(true, false), (false, true), (true, true)];

/// A peer, in either role.
enum Peer {
    Bare(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Peer {
    fn socket(&self) -> &TcpStream {
        match self {
            Peer::Bare(stream) => stream,
            Peer::Client(stream) => &stream.sock,
            Peer::Server(stream) => &stream.sock,
        }
    }

    /// Says that nothing more is sent: by a FIN, or a close_notify without one.
    fn finish(&mut self) {
        match self {
            Peer::Bare(stream) => stream.shutdown(Shutdown::Write).expect("a FIN"),
            Peer::Client(stream) => stream.conn.send_close_notify(),
            Peer::Server(stream) => stream.conn.send_close_notify(),
        }
        self.flush().expect("it is sent");
    }

    fn speaks(&self) -> bool {
        !matches!(self, Peer::Bare(_))
    }

    fn reset(self) {
        peer::reset(match self {
            Peer::Bare(stream) => stream,
            Peer::Client(stream) => stream.sock.try_clone().expect("a copy"),
            Peer::Server(stream) => stream.sock.try_clone().expect("a copy"),
        });
    }
}

impl Read for Peer {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Peer::Bare(stream) => stream.read(bytes),
            Peer::Client(stream) => stream.read(bytes),
            Peer::Server(stream) => stream.read(bytes),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Peer::Bare(stream) => stream.write(bytes),
            Peer::Client(stream) => stream.write(bytes),
            Peer::Server(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Peer::Bare(stream) => stream.flush(),
            Peer::Client(stream) => stream.flush(),
            Peer::Server(stream) => stream.flush(),
        }
    }
}

/// A proxy to a listener of this test's own, and what its peers need.
struct Between {
    side: Side,
    listener: TcpListener,
    clients: Option<Arc<ClientConfig>>,
    backends: Option<Arc<ServerConfig>>,
}

impl Between {
    fn new(engine: Engine, speak: Speak) -> Between {
        Between::trusting(engine, speak, true)
    }

    /// `trusts`: the certificate of backends is one that the proxy trusts.
    fn trusting(engine: Engine, (clients, backends): Speak, trusts: bool) -> Between {
        let listener = peer::listener_with("127.0.0.1:0", 64, Some(400_000));
        let backend = listener.local_addr().expect("bound");
        let server =
            clients.then(|| ServerTls::new(&ServerOptions::default()).expect("it is made"));
        let made = rcgen::generate_simple_self_signed(["backend.example".to_owned()]);
        let made = made.expect("a certificate");
        let client = backends.then(|| {
            ClientTls::new(&ClientOptions {
                names: vec!["backend.example".into()],
                trusted: match trusts {
                    true => vec![made.cert.der().to_vec()],
                    false => vec![own_certificate()],
                },
                ..ClientOptions::default()
            })
            .expect("it is trusted")
        });
        let mut serve = Serve::on(engine);
        serve.partners = Some(vec![backend]);
        let side = serve.with(|| proxy(backend, PairTls::new(server.as_ref(), client.as_ref())));
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        Between {
            side,
            listener,
            clients: server.map(|tls| {
                let mut roots = RootCertStore::empty();
                let own = CertificateDer::from(tls.certificate().to_vec());
                roots.add(own).expect("it is one");
                let config = ClientConfig::builder().with_root_certificates(roots);
                Arc::new(config.with_no_client_auth())
            }),
            backends: backends.then(|| {
                let config = ServerConfig::builder().with_no_client_auth();
                let config = config.with_single_cert(vec![made.cert.der().clone()], key);
                Arc::new(config.expect("its key"))
            }),
        }
    }

    fn client(&self) -> Peer {
        let stream = peer::connect(self.side.address());
        let Some(config) = &self.clients else {
            return Peer::Bare(stream);
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(config.clone(), name).expect("a client");
        Peer::Client(Box::new(StreamOwned::new(connection, stream)))
    }

    fn backend(&self) -> Peer {
        let stream = peer::accept(&self.listener, 1).remove(0);
        let Some(config) = &self.backends else {
            return Peer::Bare(stream);
        };
        let connection = ServerConnection::new(config.clone()).expect("a server");
        Peer::Server(Box::new(StreamOwned::new(connection, stream)))
    }

    /// Both ends of a pair: the client's and the backend's.
    fn pair(&self) -> [Peer; 2] {
        let mut client = self.client();
        client.write_all(b"hello").expect("sent");
        let mut backend = self.backend();
        let mut got = [0; 5];
        backend.read_exact(&mut got).expect("it arrives");
        assert_eq!(&got, b"hello");
        carried([&mut backend, &mut client], b"world");
        [client, backend]
    }
}

/// A certificate of this name that nobody has.
fn own_certificate() -> Vec<u8> {
    let other = rcgen::generate_simple_self_signed(["backend.example".to_owned()]);
    other.expect("a certificate").cert.der().to_vec()
}

fn proxy(backend: SocketAddr, legs: PairTls) -> Proxy<PairTls> {
    let asked = Asked {
        original: None,
        balance: Balance::RoundRobin,
        targets: vec![backend],
        transparent: false,
        sources: vec![Sources {
            kernels: true,
            bound: 0,
        }],
        ports: 1000,
        left_out: Duration::from_secs(5),
        worker: 0,
    };
    let standing: Arc<[Standing]> = [Standing::default()].into();
    Proxy::speaking(Backends::new(asked, standing), Identity::default(), legs)
}

/// Sends `bytes` from one end and reads them at the other.
fn carried([from, to]: [&mut Peer; 2], bytes: &[u8]) {
    from.write_all(bytes).expect("sent");
    from.flush().expect("sent");
    let mut got = vec![0; bytes.len()];
    to.read_exact(&mut got).expect("they arrive");
    assert!(got == bytes, "other bytes than were sent");
}

/// Runs a statement on each engine with each choice of who speaks TLS.
fn on_each_pair(statement: impl Fn(Engine, Speak)) {
    on_each(|engine| EACH.iter().for_each(|speak| statement(engine, *speak)));
}

/// Runs a statement on each engine with each choice of who speaks TLS, about an end of a pair that goes first and the other one: the
/// client's end first, and the backend's.
fn on_each_end(statement: impl Fn(&Side, Peer, Peer)) {
    on_each_pair(|engine, speak| {
        for client_first in [true, false] {
            let between = Between::new(engine, speak);
            let [client, backend] = between.pair();
            match client_first {
                true => statement(&between.side, client, backend),
                false => statement(&between.side, backend, client),
            }
            between.side.close();
        }
    });
}

#[test]
fn bytes_go_across_both_ways() {
    on_each_pair(|engine, speak| {
        let between = Between::new(engine, speak);
        let [mut client, mut backend] = between.pair();
        for len in [1, 16 * 1024, 16 * 1024 + 1, 100_000] {
            let bytes = peer::noise(len as u64, len);
            thread::scope(|scope| {
                scope.spawn(|| client.write_all(&bytes).expect("sent"));
                let mut got = vec![0; len];
                backend.read_exact(&mut got).expect("they arrive");
                assert!(got == bytes, "other bytes than were sent");
            });
            thread::scope(|scope| {
                scope.spawn(|| backend.write_all(&bytes).expect("sent"));
                let mut got = vec![0; len];
                client.read_exact(&mut got).expect("they arrive");
                assert!(got == bytes, "other bytes than were sent");
            });
        }
        // More at once than all buffers hold.
        let bytes = peer::noise(1, 6 << 20);
        thread::scope(|scope| {
            scope.spawn(|| client.write_all(&bytes).expect("sent"));
            let mut got = vec![0; bytes.len()];
            backend.read_exact(&mut got).expect("they arrive");
            assert!(got == bytes, "other bytes than were sent");
        });
        let counts = between.side.tally();
        let each = 1 + 16 * 1024 + 16 * 1024 + 1 + 100_000 + 5;
        assert_eq!(counts.proxy.from_backends, each);
        assert_eq!(counts.proxy.from_clients, each + (6 << 20));
        let secured = u64::from(speak.0) + u64::from(speak.1);
        assert_eq!(counts.tls.secured, secured, "{counts:?}");
        between.side.close();
    });
}

#[test]
fn the_end_of_a_stream_arrives_and_the_other_goes_on() {
    on_each_end(|side, mut first, mut second| {
        first.write_all(b"the last").expect("sent");
        first.finish();
        let mut all = Vec::new();
        // rustls fails where there is no close_notify.
        second.read_to_end(&mut all).expect("the end");
        assert_eq!(all, b"the last");
        side.stays("the pair stands", |t| t.closed_in_all() == 0);
        let bytes = peer::noise(2, 1 << 20);
        thread::scope(|scope| {
            scope.spawn(|| {
                second.write_all(&bytes).expect("sent");
                second.finish();
            });
            let mut got = Vec::new();
            first.read_to_end(&mut got).expect("it goes on to its end");
            assert!(got == bytes, "other bytes than were sent");
        });
        let tally = side.wait("both end", |t| t.closed_in_all() == 2);
        assert_eq!(tally.closed(Closed::ByPeer), 1, "{tally:?}");
        assert_eq!(tally.closed(Closed::ByUs), 1, "{tally:?}");
        assert_eq!(tally.tls.truncated, 0, "{tally:?}");
    });
}

#[test]
fn the_end_of_the_proxy_is_said_on_both_sides() {
    on_each_pair(|engine, speak| {
        let between = Between::new(engine, speak);
        let pair = between.pair();
        let readers = pair.map(|mut peer| {
            thread::spawn(move || {
                // rustls fails where there is no close_notify.
                let end = peer.read_to_end(&mut Vec::new());
                assert_eq!(end.map_err(|e| e.kind()), Ok(0));
            })
        });
        between.side.close();
        for reader in readers {
            reader.join().expect("an end that was said");
        }
    });
}

#[test]
fn an_end_without_a_close_notify_arrives_as_one() {
    on_each_end(|side, first, mut second| {
        if !first.speaks() {
            return;
        }
        first.socket().shutdown(Shutdown::Write).expect("a FIN");
        let end = second.read_to_end(&mut Vec::new());
        let kind = end.map_err(|e| e.kind());
        match second.speaks() {
            true => assert_eq!(kind, Err(ErrorKind::UnexpectedEof)),
            false => assert_eq!(kind, Ok(0)),
        }
        drop((first, second));
        let tally = side.wait("both end", |t| t.closed_in_all() == 2);
        assert!(tally.tls.truncated >= 1, "{tally:?}");
    });
}

#[test]
fn a_reset_of_either_arrives_on_the_other() {
    on_each_end(|side, first, mut second| {
        first.reset();
        let end = second.read_to_end(&mut Vec::new());
        assert_eq!(end.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
        let tally = side.wait("both end", |t| t.closed_in_all() == 2);
        assert_eq!(tally.closed(Closed::ResetByPeer), 1, "{tally:?}");
    });
}

#[test]
fn a_stream_that_breaks_off_in_a_record_ends_with_a_reset() {
    on_each(|engine| {
        for speak in [(true, false), (true, true)] {
            // With much on its way, the proxy may be sending at that moment.
            for length in [0, 100_000, 1_000_000] {
                let between = Between::new(engine, speak);
                let [mut client, mut backend] = between.pair();
                let sending = thread::spawn(move || {
                    // What is on its way when the other end resets may be refused.
                    let sent = client.write_all(&vec![b'x'; length]);
                    if sent.and_then(|()| client.flush()).is_ok() {
                        let no_record = [23, 3, 3, 0, 32].into_iter().chain([7; 32]);
                        let _ = client.socket().write_all(&no_record.collect::<Vec<u8>>());
                    }
                    client
                });
                let end = backend.read_to_end(&mut Vec::new());
                assert_eq!(end.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
                drop(sending.join().expect("it sent"));
                let tally = between.side.wait("both end", |t| t.closed_in_all() == 2);
                assert_eq!(tally.tls.broken, 1, "{tally:?}");
                between.side.close();
            }
        }
    });
}

/// The most that a pair keeps in each direction, as without TLS, and what encryption adds.
fn bound(engine: Engine) -> u64 {
    let plain = match engine {
        Engine::Epoll => 256 * 1024,
        Engine::Uring => 2 * 256 * 1024 + 128 * 16 * 1024,
    };
    plain + plain / 32
}

#[test]
fn a_peer_that_does_not_read_bounds_what_is_kept() {
    on_each_pair(|engine, speak| {
        let between = Between::new(engine, speak);
        let [mut client, mut backend] = between.pair();
        let mut sent = Endless::new();
        let stalled = Duration::from_millis(300);
        let socket = client.socket().try_clone().expect("a copy");
        socket.set_write_timeout(Some(stalled)).expect("a timeout");
        // Where rustls can't write, it waits for something to read.
        socket.set_read_timeout(Some(stalled)).expect("a timeout");
        let began = Instant::now();
        loop {
            match client.write(sent.next(64 * 1024)) {
                Ok(n) => sent.at += n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(e) => panic!("{e}"),
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it never stalls");
        }
        let tally = between.side.settles("nothing moves", |_| true);
        let kept = tally.bytes_received.saturating_sub(tally.bytes_sent);
        assert!(kept <= bound(engine), "{engine:?} {speak:?}: {kept}");
        // Far less than would be taken if nothing bounded it: what buffers of the kernel and the proxy hold.
        assert!(sent.at < 24 << 20, "{}", sent.at);
        // All of it arrives once it is read.
        let (whole, mut checked) = (sent.at, Endless::new());
        thread::scope(|scope| {
            // A client that speaks TLS has taken more than its kernel.
            scope.spawn(|| while client.flush().is_err() {});
            let mut buffer = vec![0; 100_000];
            while checked.at < whole {
                let n = backend.read(&mut buffer).expect("the rest");
                assert!(n > 0, "an end after {}", checked.at);
                checked.check(&buffer[..n]);
            }
        });
        between.side.close();
    });
}

#[test]
fn a_backend_with_another_certificate_is_refused_and_its_client_closed() {
    on_each(|engine| {
        for speak in [(false, true), (true, true)] {
            let between = Between::trusting(engine, speak, false);
            let mut client = between.client();
            // Its handshake, and more than one read of what follows.
            let sent = client.write_all(&peer::noise(3, 100_000));
            let mut backend = between.backend();
            let refused = backend.read(&mut [0; 10]).map_err(|e| e.kind());
            assert!(matches!(refused, Err(_) | Ok(0)), "{refused:?}");
            drop(sent);
            let tally = between.side.wait("both end", |t| t.closed_in_all() == 2);
            let why = TlsFailure::ALL
                .into_iter()
                .filter(|why| tally.proxy.unsecured(*why) > 0);
            let why: Vec<TlsFailure> = why.collect();
            assert!(
                matches!(
                    why[..],
                    [TlsFailure::UnknownAuthority | TlsFailure::BadCertificate]
                ),
                "{why:?}"
            );
            assert_eq!(tally.proxy.paired, 0, "{tally:?}");
            // Nothing of what the client said was sent.
            assert!(tally.bytes_sent < 20_000, "{tally:?}");
            between.side.close();
        }
    });
}

#[test]
fn many_pairs_shake_hands_beside_each_other() {
    const PAIRS: u64 = 60;
    on_each(|engine| {
        let between = Between::new(engine, (true, true));
        thread::scope(|scope| {
            for n in 0..PAIRS {
                let between = &between;
                scope.spawn(move || {
                    let mut client = between.client();
                    let text = n.to_be_bytes();
                    client.write_all(&text).expect("sent");
                    let mut got = [0; 8];
                    client.read_exact(&mut got).expect("its own");
                    assert_eq!(got, text);
                    client.finish();
                    assert_eq!(client.read(&mut got).expect("the end"), 0);
                });
            }
            for _ in 0..PAIRS {
                let mut backend = between.backend();
                scope.spawn(move || {
                    let mut got = Vec::new();
                    let mut text = [0; 8];
                    backend.read_exact(&mut text).expect("a number");
                    backend.write_all(&text).expect("sent");
                    backend.read_to_end(&mut got).expect("the end");
                    backend.finish();
                });
            }
        });
        let tally = between
            .side
            .wait("all end", |t| t.closed_in_all() == 2 * PAIRS);
        assert_eq!(tally.tls.secured, 2 * PAIRS, "{tally:?}");
        assert_eq!(tally.tls.failed_in_all(), 0, "{tally:?}");
        assert_eq!(tally.proxy.pairs(), 0, "{tally:?}");
        between.side.close();
    });
}
