//! Connections to Unix sockets, and from them.

use crate::rig::{Connect, DEADLINE, Serve, Side};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::{Closed, FailCause};
use throng_core::unix_socket::UnixAddress;

on_each_engine![
    a_unix_socket_carries_bytes_both_ways,
    what_a_unix_socket_sends_may_be_discarded,
    a_peer_that_closes_a_unix_socket_is_noticed,
    a_full_queue_is_waited_for,
    a_queue_that_stays_full_is_given_up_in_time,
    a_unix_socket_on_which_nobody_listens_refuses,
    a_server_accepts_on_unix_sockets_all_that_come_at_once,
    a_server_that_closes_refuses_further_connections_to_its_unix_socket,
];

/// A name that no other socket has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Relaxed);
    format!("throng-conformance-{}-{next}", std::process::id())
}

/// A listener without a file, with `backlog` places in its queue (Linux adds one).
fn listener(backlog: i32) -> (UnixListener, UnixAddress) {
    let name = name();
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(format!("\0{name}")).expect("an address");
    socket.bind(&address).expect("bound");
    socket.listen(backlog).expect("a listener");
    (socket.into(), format!("@{name}").parse().expect("a name"))
}

fn to(engine: Engine, socket: &UnixAddress, count: u32) -> Connect {
    let mut setup = Connect::to(engine, &[], count);
    setup.unix = Some(socket.clone());
    setup.workers = 2;
    setup
}

/// Connections that throng opened, `n` of them.
fn accept(listener: &UnixListener, n: usize) -> Vec<UnixStream> {
    listener.set_nonblocking(true).expect("O_NONBLOCK");
    let began = Instant::now();
    let mut all = Vec::new();
    while all.len() < n {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("O_NONBLOCK");
                stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
                all.push(stream);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock && began.elapsed() < DEADLINE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => panic!("{} of {n} connections came: {e}", all.len()),
        }
    }
    all
}

fn round_trip(peer: &mut UnixStream, bytes: &[u8]) {
    peer.write_all(bytes).expect("sent");
    let mut back = vec![0; bytes.len()];
    peer.read_exact(&mut back).expect("an echo");
    assert!(back == bytes);
}

fn closes(side: Side, n: u64) {
    let (tally, _) = side.close();
    let settled = tally.established + tally.failed_in_all();
    assert!(
        tally.attempted >= settled && tally.established == n,
        "{tally:?}"
    );
}

fn a_unix_socket_carries_bytes_both_ways(engine: Engine) {
    let directory = std::env::temp_dir().join(name());
    let path = directory.to_str().expect("a plain path");
    let by_path = UnixListener::bind(path).expect("a listener");
    let (by_name, name) = listener(100);
    for (listener, address) in [(by_path, path.parse().expect("a path")), (by_name, name)] {
        let client = to(engine, &address, 20).with(|| Echo);
        let mut peers = accept(&listener, 20);
        for peer in &mut peers {
            round_trip(peer, b"hello");
            round_trip(peer, &[7; 30_000]);
        }
        client.wait("all are open", |t| t.open() == 20);
        closes(client, 20);
        // Each has its end.
        for peer in &mut peers {
            assert_eq!(peer.read(&mut [0]).expect("an end"), 0);
        }
    }
    std::fs::remove_file(path).expect("removed");
}

fn what_a_unix_socket_sends_may_be_discarded(engine: Engine) {
    let (listener, address) = listener(100);
    let client = to(engine, &address, 4).with(|| Sink);
    // What was sent before the peers closed arrives, too.
    for mut peer in accept(&listener, 4) {
        peer.write_all(&vec![1; 300_000]).expect("sent");
    }
    client.wait("all is received", |t| t.bytes_received == 4 * 300_000);
    client.wait("all are closed", |t| t.closed(Closed::ByPeer) == 4);
    closes(client, 4);
}

fn a_peer_that_closes_a_unix_socket_is_noticed(engine: Engine) {
    let (listener, address) = listener(100);
    let mut setup = to(engine, &address, 10);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    drop(accept(&listener, 10));
    let mut peers = accept(&listener, 10);
    for peer in &mut peers {
        round_trip(peer, b"again");
    }
    client.wait("closed and open again", |t| {
        t.closed(Closed::ByPeer) == 10 && t.open() == 10
    });
    closes(client, 20);
}

fn a_full_queue_is_waited_for(engine: Engine) {
    let (listener, address) = listener(1);
    let client = to(engine, &address, 12).with(|| Echo);
    client.wait("the queue is full", |t| t.established == 2);
    client.stays("nothing fails", |t| {
        t.established == 2 && t.failed_in_all() == 0
    });
    let mut peers = accept(&listener, 12);
    for peer in &mut peers {
        round_trip(peer, b"in the end");
    }
    client.wait("all are open", |t| t.open() == 12);
    let (tally, measured) = client.close();
    assert_eq!(
        (tally.attempted, tally.failed_in_all()),
        (12, 0),
        "{tally:?}"
    );
    assert_eq!(measured.connect.count(), 12);
}

fn a_queue_that_stays_full_is_given_up_in_time(engine: Engine) {
    let (listener, address) = listener(1);
    let mut setup = to(engine, &address, 12);
    setup.timeout = Duration::from_millis(250);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    client.wait("attempts time out", |t| t.failed(FailCause::TimedOut) >= 4);
    let mut peers = Vec::new();
    while peers.len() < 12 {
        let mut peer = accept(&listener, 1).remove(0);
        // One may have got its place in the queue just when it was given up.
        if peer.write_all(b"?").is_ok() && matches!(peer.read(&mut [0]), Ok(1)) {
            peers.push(peer);
        }
    }
    for peer in &mut peers {
        round_trip(peer, b"in the end");
    }
    client.wait("all are open", |t| t.open() == 12);
    let (tally, _) = client.close();
    assert_eq!(tally.failed_in_all(), tally.failed(FailCause::TimedOut));
    assert_eq!(tally.attempted, 12 + tally.failed_in_all(), "{tally:?}");
}

fn a_unix_socket_on_which_nobody_listens_refuses(engine: Engine) {
    let left = std::env::temp_dir().join(name());
    drop(UnixListener::bind(&left).expect("a listener"));
    let path = left.to_str().expect("a plain path");
    for address in [path, "/nonexistent/socket", &format!("@{}", name())] {
        let client = to(engine, &address.parse().expect("an address"), 10).with(|| Sink);
        client.wait("all are refused", |t| t.failed(FailCause::Refused) == 10);
        closes(client, 0);
    }
    std::fs::remove_file(left).expect("removed");
}

fn a_server_accepts_on_unix_sockets_all_that_come_at_once(engine: Engine) {
    let address: UnixAddress = format!("@{}", name()).parse().expect("a name");
    let mut setup = Serve::on_unix(engine, &address);
    (setup.workers, setup.max) = (2, 500);
    let server = setup.with(|| Echo);
    let mut peers: Vec<UnixStream> = (0..600).map(|_| connected(&address)).collect();
    server.wait("all are accepted", |t| t.open() == 600);
    for peer in &mut peers {
        round_trip(peer, b"hello");
    }
    // One at a time, with time to rest in between.
    for n in 601..620 {
        let mut peer = connected(&address);
        round_trip(&mut peer, &[7; 30_000]);
        drop(peer);
        server.wait("it has come and gone", |t| {
            t.accepted == n && t.open() == 600
        });
    }
    drop(peers);
    server.wait("all are gone", |t| t.closed(Closed::ByPeer) == 619);
    server.close();
}

/// A connection that throng accepts.
fn connected(address: &UnixAddress) -> UnixStream {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let name = address.name().expect("a name");
    let address = SockAddr::unix(format!("\0{name}")).expect("an address");
    socket.connect(&address).expect("connected");
    let stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

fn a_server_that_closes_refuses_further_connections_to_its_unix_socket(engine: Engine) {
    let address: UnixAddress = format!("@{}", name()).parse().expect("a name");
    let server = Serve::on_unix(engine, &address).with(|| Echo);
    let mut peer = connected(&address);
    round_trip(&mut peer, b"hello");
    // It waits for the peer to close as well.
    let end = std::thread::spawn(move || peer.read(&mut [0]).expect("an end"));
    let (tally, _) = server.close();
    assert_eq!((tally.accepted, tally.closed_in_all()), (1, 1), "{tally:?}");
    assert_eq!(end.join().expect("no panic"), 0);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let at = format!("\0{}", address.name().expect("a name"));
    let refused = socket.connect(&SockAddr::unix(at).expect("an address"));
    assert_eq!(
        refused.expect_err("closed").kind(),
        ErrorKind::ConnectionRefused
    );
}
