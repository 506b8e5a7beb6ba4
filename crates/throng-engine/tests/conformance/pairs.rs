//! Connections in pairs: one that was accepted, and one that is opened for it. What either receives is sent on the other.

use crate::peer::{self, Endless};
use crate::rig::{Serve, Side, crowd, wait_until};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit, Way};
use throng_core::engine::Engine;
use throng_core::stats::{Closed, FailCause};

on_each_engine! {
    bytes_go_across_both_ways,
    floods_beside_each_other_arrive_unbroken,
    a_thousand_pairs_stand_beside_each_other,
    a_place_is_used_again_once_both_have_ended,
    the_end_of_a_stream_arrives_and_the_other_goes_on,
    an_end_comes_after_all_that_was_sent_before,
    a_pair_ends_for_the_one_whose_peer_was_first,
    a_reset_of_either_arrives_on_the_other,
    a_reset_arrives_although_nothing_is_read_any_more,
    a_reset_arrives_although_a_flood_stands_still,
    a_peer_that_does_not_read_bounds_what_is_kept,
    a_partner_that_cannot_be_opened_is_told,
    what_was_received_before_waits_for_the_partner,
    a_close_ends_both,
    who_a_connection_is_from_is_told_before_it_is_opened,
}

/// Opens a partner for each connection, and sends everything across.
struct Relay {
    /// Where partners are opened: the next one when one can't be.
    ways: Vec<Way>,
    /// Bytes at the beginning of an accepted connection that are not passed on. Its partner is opened when they are here.
    header: usize,
    /// Whether a partner begins with who its connection is from, and where that came to.
    tells: bool,
    from: HashMap<u32, String>,
    tried: HashMap<u32, usize>,
}

impl Relay {
    fn new() -> Relay {
        Relay {
            ways: vec![Way::default()],
            header: 0,
            tells: false,
            from: HashMap::new(),
            tried: HashMap::new(),
        }
    }
}

impl Behaviour for Relay {
    type Conn = ();
    const TIMERS: bool = false;
    const PAIRS: bool = true;

    fn asks_who(&self) -> bool {
        self.tells
    }

    fn accepted_from(&mut self, (): &mut (), peer: SocketAddr, to: SocketAddr, at: &At) {
        self.from.insert(at.id, format!("{peer} {to}\n"));
    }

    fn opened(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        if let Some(from) = self.from.remove(&(at.id ^ 1)).filter(|_| at.id % 2 == 1) {
            out.bytes.extend_from_slice(from.as_bytes());
            out.send = Transmit::Reply;
        }
        if at.id.is_multiple_of(2) && self.header == 0 {
            out.open = Some(self.ways[0]);
        }
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], at: &At, out: &mut Outbox) {
        let first = at.id.is_multiple_of(2) && self.header > 0 && !self.tried.contains_key(&at.id);
        if bytes.starts_with(b"close") {
            out.close = true;
            return;
        }
        out.send = Transmit::Across(0);
        if first {
            self.tried.insert(at.id, 0);
            out.open = Some(self.ways[0]);
            out.send = Transmit::Across(self.header as u32);
        }
    }

    fn passes(&self, (): &(), id: u32) -> bool {
        self.header == 0 || self.tried.contains_key(&(id & !1))
    }

    fn counted(&mut self, (): &mut (), n: usize, _: &At, out: &mut Outbox) {
        assert!(n > 0 && out.bytes.is_empty());
    }

    fn partner_failed(&mut self, (): &mut (), why: FailCause, at: &At, out: &mut Outbox) {
        assert_eq!(why, FailCause::Refused);
        let tried = self.tried.entry(at.id).or_default();
        *tried += 1;
        out.open = self.ways.get(*tried).copied();
        out.close = out.open.is_none();
    }
}

/// A relay to `backends`.
fn relay(engine: Engine, backends: &[SocketAddr], behaviour: fn() -> Relay) -> Side {
    let mut serve = Serve::on(engine);
    serve.partners = Some(backends.to_vec());
    serve.with(behaviour)
}

/// A relay to a listener of this test's own.
fn to_listener(engine: Engine) -> (Side, TcpListener) {
    let listener = peer::listener();
    let backend = listener.local_addr().expect("bound");
    (relay(engine, &[backend], Relay::new), listener)
}

/// Both ends of a pair: the client's and the backend's.
fn pair(side: &Side, listener: &TcpListener) -> [TcpStream; 2] {
    let client = peer::connect(side.address());
    let backend = peer::accept(listener, 1).remove(0);
    [client, backend]
}

/// Sends `bytes` from one end and reads them at the other.
fn carried([from, to]: [&mut TcpStream; 2], bytes: &[u8]) {
    from.write_all(bytes).expect("sent");
    let mut got = vec![0; bytes.len()];
    to.read_exact(&mut got).expect("they arrive");
    assert!(got == bytes, "other bytes than were sent");
}

/// Reads to the end, which must be that of the stream or a reset, as `reset` says.
fn read_to_end(stream: &mut TcpStream, reset: bool) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => assert!(!reset, "an end instead of a reset"),
        Err(e) => assert!(reset && e.kind() == ErrorKind::ConnectionReset, "{e:?}"),
    }
    all
}

fn bytes_go_across_both_ways(engine: Engine) {
    let (side, listener) = to_listener(engine);
    let [mut client, mut backend] = pair(&side, &listener);
    for len in [1, 100, 4096, 16 * 1024, 16 * 1024 + 1, 100_000] {
        let bytes = peer::noise(len as u64, len);
        carried([&mut client, &mut backend], &bytes);
        carried([&mut backend, &mut client], &bytes);
    }
    // More at once than all buffers hold.
    let bytes = peer::noise(1, 20 << 20);
    let expected = bytes.clone();
    let mut to = backend.try_clone().expect("a copy");
    let reading = thread::spawn(move || {
        let mut got = vec![0; expected.len()];
        to.read_exact(&mut got).expect("they arrive");
        assert!(got == expected, "other bytes than were sent");
    });
    client.write_all(&bytes).expect("sent");
    reading.join().expect("all of it");
    let tally = side.tally();
    assert_eq!(tally.bytes_received, tally.bytes_sent);
    assert_eq!((tally.accepted, tally.attempted), (1, 1));
    side.close();
}

fn floods_beside_each_other_arrive_unbroken(engine: Engine) {
    // More than a worker has pipes for, and each peer stops reading now and then.
    const FLOODS: u64 = 24;
    let listener = peer::listener_with("127.0.0.1:0", 64, Some(50_000));
    let side = relay(engine, &[listener.local_addr().expect("bound")], Relay::new);
    let pairs: Vec<_> = (0..FLOODS).map(|_| pair(&side, &listener)).collect();
    thread::scope(|scope| {
        for (seed, [mut client, mut backend]) in (0..).zip(pairs) {
            let bytes = peer::noise(seed, 3 << 20);
            let sent = bytes.clone();
            scope.spawn(move || {
                client.write_all(&sent).expect("sent");
                client.shutdown(Shutdown::Write).expect("a FIN");
                assert_eq!(read_to_end(&mut client, false), b"done");
            });
            scope.spawn(move || {
                let (mut all, mut part) = (Vec::new(), vec![0; 200_000]);
                loop {
                    let n = backend.read(&mut part).expect("bytes or the end");
                    if n == 0 {
                        break;
                    }
                    all.extend_from_slice(&part[..n]);
                    thread::sleep(Duration::from_millis(1));
                }
                assert!(all == bytes, "flood {seed}: other bytes than were sent");
                backend.write_all(b"done").expect("sent");
            });
        }
    });
    let tally = side.wait("all end", |t| t.closed_in_all() == 2 * FLOODS);
    assert_eq!(tally.bytes_received, tally.bytes_sent);
    assert_eq!(tally.bytes_sent, FLOODS * ((3 << 20) + 4));
    side.close();
}

fn a_thousand_pairs_stand_beside_each_other(engine: Engine) {
    let _held = crowd();
    let listener = peer::listener_with("127.0.0.1:0", 4096, None);
    let backend = listener.local_addr().expect("bound");
    let mut serve = Serve::on(engine);
    serve.ring_slots = 256;
    serve.partners = Some(vec![backend]);
    let side = serve.with(Relay::new);
    let mut clients: Vec<_> = (0..1000).map(|_| peer::connect(side.address())).collect();
    let mut backends = peer::accept(&listener, 1000);
    for (n, client) in clients.iter_mut().enumerate() {
        client.write_all(&(n as u32).to_be_bytes()).expect("sent");
    }
    let mut seen = vec![false; 1000];
    for backend in &mut backends {
        let mut number = [0; 4];
        backend.read_exact(&mut number).expect("its number");
        seen[u32::from_be_bytes(number) as usize] = true;
        backend.write_all(&number).expect("sent");
    }
    assert!(seen.iter().all(|seen| *seen));
    for (n, client) in clients.iter_mut().enumerate() {
        let mut number = [0; 4];
        client.read_exact(&mut number).expect("its number");
        assert_eq!(u32::from_be_bytes(number) as usize, n);
    }
    drop(clients);
    drop(backends);
    side.wait("all end", |t| t.closed_in_all() == 2000);
    side.close();
}

fn a_place_is_used_again_once_both_have_ended(engine: Engine) {
    let listener = peer::listener();
    let backend = listener.local_addr().expect("bound");
    let mut serve = Serve::on(engine);
    serve.max = 3;
    serve.partners = Some(vec![backend]);
    let side = serve.with(Relay::new);
    for n in 0..300_u32 {
        let [mut client, mut backend] = pair(&side, &listener);
        carried([&mut client, &mut backend], &n.to_be_bytes());
        match n % 3 {
            0 => drop(client),
            1 => peer::reset(client),
            _ => drop((backend, client)),
        }
    }
    side.wait("all end", |t| t.closed_in_all() == 600);
    side.close();
}

fn the_end_of_a_stream_arrives_and_the_other_goes_on(engine: Engine) {
    for client_first in [true, false] {
        let (side, listener) = to_listener(engine);
        let [client, backend] = pair(&side, &listener);
        let (mut first, mut second) = match client_first {
            true => (client, backend),
            false => (backend, client),
        };
        first.write_all(b"the last").expect("sent");
        first.shutdown(Shutdown::Write).expect("a FIN");
        assert_eq!(read_to_end(&mut second, false), b"the last");
        side.stays("the pair stands", |t| t.closed_in_all() == 0);
        let bytes = peer::noise(2, 3 << 20);
        let sent = bytes.clone();
        let sending = thread::spawn(move || {
            second.write_all(&sent).expect("sent");
            second
        });
        let mut got = vec![0; bytes.len()];
        first.read_exact(&mut got).expect("it goes on");
        assert!(got == bytes, "other bytes than were sent");
        drop(sending.join().expect("all sent"));
        assert_eq!(read_to_end(&mut first, false), b"");
        let tally = side.wait("both end", |t| t.closed_in_all() == 2);
        assert_eq!(tally.closed(Closed::ByPeer), 1, "{tally:?}");
        assert_eq!(tally.closed(Closed::ByUs), 1, "{tally:?}");
        side.close();
    }
}

fn an_end_comes_after_all_that_was_sent_before(engine: Engine) {
    let listener = peer::listener_with("127.0.0.1:0", 16, Some(50_000));
    let side = relay(engine, &[listener.local_addr().expect("bound")], Relay::new);
    let [mut client, mut backend] = pair(&side, &listener);
    let bytes = peer::noise(4, 6 << 20);
    let sent = bytes.clone();
    let sending = thread::spawn(move || {
        client.write_all(&sent).expect("sent");
        client.shutdown(Shutdown::Write).expect("a FIN");
        client
    });
    thread::sleep(Duration::from_millis(100));
    assert!(read_to_end(&mut backend, false) == bytes);
    drop((sending.join().expect("all sent"), backend));
    side.wait("both end", |t| t.closed_in_all() == 2);
    side.close();
}

fn a_pair_ends_for_the_one_whose_peer_was_first(engine: Engine) {
    let (side, listener) = to_listener(engine);
    for n in 1..=20 {
        let [client, mut backend] = pair(&side, &listener);
        drop(client);
        assert_eq!(read_to_end(&mut backend, false), b"");
        drop(backend);
        let tally = side.wait("both end", |t| t.closed_in_all() == 2 * n);
        let ends = [Closed::ByPeer, Closed::ByUs].map(|why| tally.closed(why));
        assert_eq!(ends, [n, n], "{tally:?}");
    }
    side.close();
}

fn a_reset_of_either_arrives_on_the_other(engine: Engine) {
    let (side, listener) = to_listener(engine);
    let mut ended = 0;
    for client_first in [true, false] {
        for (sends, half_closed) in [(false, false), (true, false), (false, true)] {
            let [client, backend] = pair(&side, &listener);
            let (mut first, mut second) = match client_first {
                true => (client, backend),
                false => (backend, client),
            };
            if sends {
                carried([&mut first, &mut second], b"hello");
                carried([&mut second, &mut first], b"world");
            }
            if half_closed {
                first.shutdown(Shutdown::Write).expect("a FIN");
                assert_eq!(read_to_end(&mut second, false), b"");
            }
            peer::reset(first);
            if half_closed {
                // Its stream has ended: what is sent meets the reset.
                wait_until(
                    "a send is refused",
                    || second.write_all(b"?").is_err(),
                    String::new,
                );
            } else {
                assert_eq!(read_to_end(&mut second, true), b"");
            }
            ended += 2;
            let tally = side.wait("both end", |t| t.closed_in_all() == ended);
            assert_eq!(tally.closed(Closed::ResetByPeer), ended / 2, "{tally:?}");
        }
    }
    side.close();
}

fn a_reset_arrives_although_a_flood_stands_still(engine: Engine) {
    let (side, listener) = to_listener(engine);
    for (n, sender_first) in [(1, true), (2, false)] {
        let [mut client, mut backend] = pair(&side, &listener);
        // It flows at first.
        carried([&mut client, &mut backend], &peer::noise(n, 1 << 20));
        fill(&mut client, &mut Endless::new());
        client.set_nonblocking(false).expect("fcntl");
        let (first, mut second) = match sender_first {
            true => (client, backend),
            false => (backend, client),
        };
        peer::reset(first);
        read_to_end(&mut second, true);
        let tally = side.wait("both end", |t| t.closed_in_all() == 2 * n);
        assert_eq!(tally.closed(Closed::ResetByPeer), n, "{tally:?}");
    }
    side.close();
}

/// Writes until nothing more is taken for a while. Returns how much was.
fn fill(stream: &mut TcpStream, from: &mut Endless) -> usize {
    stream.set_nonblocking(true).expect("O_NONBLOCK");
    let (mut taken, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(300) {
        match stream.write(from.next(64 * 1024)) {
            Ok(n) => {
                from.at += n;
                taken += n;
                last = Instant::now();
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(e) => panic!("{e}"),
        }
    }
    stream.set_nonblocking(false).expect("O_NONBLOCK");
    taken
}

fn a_reset_arrives_although_nothing_is_read_any_more(engine: Engine) {
    let listener = peer::listener_with("127.0.0.1:0", 16, Some(50_000));
    let side = relay(engine, &[listener.local_addr().expect("bound")], Relay::new);
    let [mut client, mut backend] = pair(&side, &listener);
    fill(&mut client, &mut Endless::new());
    peer::reset(client);
    let tally = side.wait("both end", |t| t.closed_in_all() == 2);
    assert_eq!(tally.closed(Closed::ResetByPeer), 1, "{tally:?}");
    let mut rest = Vec::new();
    let end = backend.read_to_end(&mut rest);
    assert_eq!(end.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    side.close();
}

/// The most that a pair keeps in each direction: one read, or a pipe; or twice what a connection that is read from may leave, and all
/// buffers of the worker.
fn bound(engine: Engine) -> u64 {
    match engine {
        Engine::Epoll => 256 * 1024,
        Engine::Uring => 2 * 256 * 1024 + 128 * 16 * 1024,
    }
}

fn a_peer_that_does_not_read_bounds_what_is_kept(engine: Engine) {
    let listener = peer::listener_with("127.0.0.1:0", 16, Some(50_000));
    let side = relay(engine, &[listener.local_addr().expect("bound")], Relay::new);
    let [mut client, mut backend] = pair(&side, &listener);
    for round in 0..3 {
        let (mut sent, mut checked) = (Endless::new(), Endless::new());
        let taken = fill(&mut client, &mut sent);
        let tally = side.settles("nothing moves", |_| true);
        let kept = tally.bytes_received - tally.bytes_sent;
        assert!(kept > 0 && kept <= bound(engine), "round {round}: {kept}");
        // The other direction is not affected.
        carried([&mut backend, &mut client], b"still here");
        let mut buffer = vec![0; 100_000];
        while checked.at < taken {
            let n = backend.read(&mut buffer).expect("the rest");
            assert!(n > 0, "an end after {}", checked.at);
            checked.check(&buffer[..n]);
        }
        assert_eq!(checked.at, sent.at);
    }
    side.close();
}

fn a_partner_that_cannot_be_opened_is_told(engine: Engine) {
    let listener = peer::listener();
    let (_held, nobody) = peer::closed_port();
    let backends = [nobody, listener.local_addr().expect("bound")];
    let side = relay(engine, &backends, || Relay {
        ways: [0, 0, 1]
            .map(|target| Way {
                target,
                ..Way::default()
            })
            .to_vec(),
        ..Relay::new()
    });
    let [mut client, mut backend] = pair(&side, &listener);
    carried([&mut client, &mut backend], b"hello");
    let tally = side.tally();
    assert_eq!((tally.attempted, tally.established), (3, 1));
    assert_eq!(tally.failed(FailCause::Refused), 2);
    side.close();
    // Without another one to ask for, it is closed.
    let side = relay(engine, &[nobody], Relay::new);
    let mut client = peer::connect(side.address());
    assert!(peer::ended(&mut client));
    let tally = side.wait("it ends", |t| t.closed_in_all() == 1);
    assert_eq!((tally.attempted, tally.established), (1, 0));
    side.close();
}

fn what_was_received_before_waits_for_the_partner(engine: Engine) {
    // A listener that does not answer at once: its queue is full until it accepts.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a free port");
    let backend = socket.local_addr().expect("bound").as_socket().expect("IP");
    socket.listen(0).expect("a listener");
    let filler = TcpStream::connect(backend).expect("the only place");
    let side = relay(engine, &[backend], || Relay {
        header: 4,
        ..Relay::new()
    });
    let mut client = peer::connect(side.address());
    client.write_all(b"HEADthen").expect("sent");
    side.wait("it asks for a partner", |t| t.attempted == 1);
    client.write_all(b" more").expect("sent");
    client.shutdown(Shutdown::Write).expect("a FIN");
    side.stays("no partner", |t| t.established == 0);
    let listener: TcpListener = socket.into();
    drop((peer::accept(&listener, 1), filler));
    let mut backend = peer::accept(&listener, 1).remove(0);
    assert_eq!(read_to_end(&mut backend, false), b"then more");
    carried([&mut backend, &mut client], b"answer");
    drop(backend);
    assert_eq!(read_to_end(&mut client, false), b"");
    side.wait("both end", |t| t.closed_in_all() == 2);
    side.close();
}

fn a_close_ends_both(engine: Engine) {
    let (side, listener) = to_listener(engine);
    for (n, client_asks) in [(1, true), (2, false)] {
        let [mut client, mut backend] = pair(&side, &listener);
        let asking = if client_asks {
            &mut client
        } else {
            &mut backend
        };
        asking.write_all(b"close").expect("sent");
        assert!(peer::ended(&mut client) && peer::ended(&mut backend));
        let tally = side.wait("both end", |t| t.closed_in_all() == 2 * n);
        assert_eq!(tally.closed(Closed::ByUs), 2 * n, "{tally:?}");
    }
    side.close();
}

fn who_a_connection_is_from_is_told_before_it_is_opened(engine: Engine) {
    let listener = peer::listener();
    let backend = listener.local_addr().expect("bound");
    // A listener for all addresses: where a connection came to is not where it listens.
    let mut serve = Serve::at(engine, &["0.0.0.0:0"]);
    serve.partners = Some(vec![backend]);
    let side = serve.with(|| Relay {
        tells: true,
        ..Relay::new()
    });
    for n in 1..=50 {
        let to = SocketAddr::from(([127, 0, 0, n], side.address().port()));
        let mut client = peer::connect(to);
        client.write_all(b"hello").expect("sent");
        let mut backend = peer::accept(&listener, 1).remove(0);
        let from = client.local_addr().expect("bound");
        let expected = format!("{from} {to}\nhello");
        let mut got = vec![0; expected.len()];
        backend.read_exact(&mut got).expect("it is told");
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
    side.wait("all end", |t| t.closed_in_all() == 100);
    side.close();
}
