//! Opening connections: failures and how they are counted, repeated attempts, and the addresses at both ends.

use crate::peer;
use crate::rig::{Connect, Serve, wait_until};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::engine::Engine;
use throng_core::pacing::ReconnectPolicy;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::{Closed, FailCause};

on_each_engine![
    a_target_where_nobody_listens_is_counted_as_refused,
    an_attempt_that_is_not_answered_is_given_up_in_time,
    an_attempt_that_timed_out_leaves_no_connection_behind,
    what_timed_out_is_tried_again_until_there_is_room,
    what_was_refused_is_tried_again_until_somebody_listens,
    what_the_peer_closed_or_reset_is_opened_again,
    retries_back_off_until_the_connection_is_established,
    connections_that_do_not_stand_back_off_too,
    a_connection_is_opened_again_at_once_if_so_asked,
    without_reconnect_nothing_is_opened_again,
    connections_come_from_the_sources_in_turn,
    a_source_that_is_not_ours_is_counted_as_no_address,
    connections_go_to_the_targets_in_turn,
    ipv6_connects_and_accepts,
    no_more_attempts_are_in_flight_than_the_window_allows,
];

fn a_target_where_nobody_listens_is_counted_as_refused(engine: Engine) {
    let (_port, target) = peer::closed_port();
    let client = Connect::to(engine, &[target], 50).with(|| Sink);
    client.wait("all are refused", |t| t.failed(FailCause::Refused) == 50);
    client.stays("nothing is tried again", |t| t.attempted == 50);
    let (tally, measured) = client.close();
    assert_eq!((tally.established, tally.failed_in_all()), (0, 50));
    assert_eq!(measured.connect.count(), 0);
}

/// A listener whose accept queue is full, and what fills it.
pub fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let listener = peer::listener_with("127.0.0.1:0", 1, None);
    let address = listener.local_addr().expect("bound");
    let mut fill = Vec::new();
    // Linux takes one more than asked; a handshake that gets no answer shows that there is no room.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(150)) {
        fill.push(stream);
        assert!(fill.len() < 10, "the accept queue does not fill");
    }
    (listener, fill)
}

fn an_attempt_that_is_not_answered_is_given_up_in_time(engine: Engine) {
    const TIMEOUT: Duration = Duration::from_millis(250);
    let (listener, _fill) = full_listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 20);
    setup.timeout = TIMEOUT;
    let began = Instant::now();
    let client = setup.with(|| Sink);
    client.wait("all time out", |t| t.failed(FailCause::TimedOut) == 20);
    assert!(began.elapsed() >= TIMEOUT, "{:?}", began.elapsed());
    let (tally, _) = client.close();
    assert_eq!(
        (tally.attempted, tally.established, tally.failed_in_all()),
        (20, 0, 20)
    );
}

fn an_attempt_that_timed_out_leaves_no_connection_behind(engine: Engine) {
    let (listener, fill) = full_listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 3);
    setup.timeout = Duration::from_millis(100);
    let client = setup.with(|| Sink);
    client.wait("all time out", |t| t.failed(FailCause::TimedOut) == 3);
    // With room in the queue a SYN that is sent again, after a second, would now be answered.
    drop(peer::accept(&listener, fill.len()));
    thread::sleep(Duration::from_millis(1300));
    let late = listener.accept();
    assert!(
        matches!(&late, Err(e) if e.kind() == ErrorKind::WouldBlock),
        "{late:?}"
    );
    client.close();
}

fn what_timed_out_is_tried_again_until_there_is_room(engine: Engine) {
    let (listener, _fill) = full_listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 4);
    setup.timeout = Duration::from_millis(100);
    setup.reconnect = true;
    let client = setup.with(|| Sink);
    client.wait("each has timed out", |t| t.failed(FailCause::TimedOut) >= 8);
    listener.set_nonblocking(true).expect("O_NONBLOCK");
    let mut accepted = Vec::new();
    wait_until(
        "all are up",
        || {
            accepted.extend(listener.accept());
            client.tally().open() == 4
        },
        || format!("{:?}", client.tally()),
    );
    let (tally, _) = client.close();
    assert_eq!(tally.attempted, tally.established + tally.failed_in_all());
}

fn what_was_refused_is_tried_again_until_somebody_listens(engine: Engine) {
    let (port, target) = peer::closed_port();
    let mut setup = Connect::to(engine, &[target], 10);
    setup.reconnect = true;
    let client = setup.with(|| Sink);
    client.wait("each is refused", |t| t.failed(FailCause::Refused) >= 20);
    port.listen(100).expect("a listener");
    client.wait("all are up", |t| t.open() == 10);
    let (tally, _) = client.close();
    assert_eq!(tally.attempted, tally.established + tally.failed_in_all());
    assert_eq!(tally.established, 10);
}

fn what_the_peer_closed_or_reset_is_opened_again(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 20);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    for _ in 0..2 {
        drop(peer::accept(&listener, 20));
        let peers = peer::accept(&listener, 20);
        peers.into_iter().for_each(peer::reset);
    }
    let mut peers = peer::accept(&listener, 20);
    for peer in &mut peers {
        peer::round_trip(peer, b"once more");
    }
    client.stays("up", |t| t.open() == 20 && t.established == 100);
    let (tally, measured) = client.close();
    assert_eq!(tally.attempted, 100);
    assert_eq!(
        [Closed::ByPeer, Closed::ResetByPeer, Closed::ByUs].map(|why| tally.closed(why)),
        [40, 40, 20]
    );
    assert_eq!(measured.connect.count(), 100);
}

fn retries_back_off_until_the_connection_is_established(engine: Engine) {
    let (port, target) = peer::closed_port();
    let mut setup = Connect::to(engine, &[target], 3);
    setup.reconnect = true;
    setup.reconnect_policy = "exponential:50ms..400ms".parse().expect("a policy");
    let began = Instant::now();
    let client = setup.with(|| Sink);
    // 50, 100, 200, 400, 400 ms.
    client.wait("each is refused six times", |t| {
        t.failed(FailCause::Refused) >= 18
    });
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1150), "{took:?}");
    port.listen(100).expect("a listener");
    let listener = TcpListener::from(port);
    client.wait("all are up", |t| t.open() == 3);
    // Once established, it begins anew.
    let began = Instant::now();
    drop(peer::accept(&listener, 3));
    client.wait("all are up again", |t| t.established == 6);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(50), "{took:?}");
    client.close();
}

fn connections_that_do_not_stand_back_off_too(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 3);
    setup.reconnect = true;
    setup.reconnect_policy = "exponential:50ms..400ms".parse().expect("a policy");
    let began = Instant::now();
    let client = setup.with(|| Sink);
    // Accepted, and closed at once: 50, 100, 200 and 400 ms until the next ones.
    for _ in 0..4 {
        drop(peer::accept(&listener, 3));
    }
    let _peers = peer::accept(&listener, 3);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(750), "{took:?}");
    client.close();
}

fn a_connection_is_opened_again_at_once_if_so_asked(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 5);
    setup.reconnect = true;
    setup.reconnect_policy = ReconnectPolicy::Immediate;
    let client = setup.with(|| Echo);
    for _ in 0..20 {
        drop(peer::accept(&listener, 5));
    }
    let mut peers = peer::accept(&listener, 5);
    for peer in &mut peers {
        peer::round_trip(peer, b"once more");
    }
    let (tally, _) = client.close();
    assert_eq!((tally.established, tally.failed_in_all()), (105, 0));
}

fn without_reconnect_nothing_is_opened_again(engine: Engine) {
    let listener = peer::listener();
    let client = Connect::to(engine, &[listener.local_addr().expect("bound")], 20).with(|| Sink);
    drop(peer::accept(&listener, 20));
    client.wait("all are closed", |t| t.closed(Closed::ByPeer) == 20);
    client.stays("nothing is tried again", |t| t.attempted == 20);
    client.close();
}

/// How many peers have each address.
fn by_address(peers: &[TcpStream]) -> HashMap<IpAddr, usize> {
    let mut all = HashMap::new();
    for peer in peers {
        let from = peer.peer_addr().expect("a peer").ip();
        *all.entry(from).or_default() += 1;
    }
    all
}

fn connections_come_from_the_sources_in_turn(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 60);
    setup.sources = (1..=3).map(|i| [127, 1, 0, i].into()).collect();
    let sources = setup.sources.clone();
    // Two workers have every other connection each.
    setup.workers = 2;
    let client = setup.with(|| Echo);
    let mut peers = peer::accept(&listener, 60);
    let expected: HashMap<_, _> = sources.into_iter().map(|ip| (ip, 20)).collect();
    assert_eq!(by_address(&peers), expected);
    for peer in &mut peers {
        peer::round_trip(peer, b"from there");
    }
    client.close();
}

fn a_source_that_is_not_ours_is_counted_as_no_address(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 10);
    // TEST-NET-1 (RFC 5737): no machine's.
    setup.sources = vec![[192, 0, 2, 1].into()];
    let client = setup.with(|| Sink);
    client.wait("all fail", |t| t.failed_in_all() == 10);
    let (tally, _) = client.close();
    assert_eq!(tally.failed(FailCause::NoAddress), 10, "{tally:?}");
}

fn connections_go_to_the_targets_in_turn(engine: Engine) {
    let listeners: Vec<TcpListener> = (0..3).map(|_| peer::listener()).collect();
    let targets: Vec<SocketAddr> = listeners
        .iter()
        .map(|l| l.local_addr().expect("bound"))
        .collect();
    let mut setup = Connect::to(engine, &targets, 30);
    setup.workers = 2;
    let client = setup.with(|| Sink);
    let peers: Vec<_> = listeners.iter().map(|l| peer::accept(l, 10)).collect();
    client.stays("up", |t| t.attempted == 30 && t.open() <= 30);
    assert_eq!(client.tally().open(), 30);
    drop(peers);
    client.close();
}

fn ipv6_connects_and_accepts(engine: Engine) {
    let server = Serve::at(engine, &["[::1]:0"]).with(|| Echo);
    peer::round_trip(&mut peer::connect(server.address()), b"over v6");
    let listener = TcpListener::bind("[::1]:0").expect("a listener");
    for sources in [vec![], vec!["::1".parse().expect("an address")]] {
        let targets = [server.address(), listener.local_addr().expect("bound")];
        let mut setup = Connect::to(engine, &targets, 10);
        setup.sources = sources;
        let client = setup.with(|| Echo);
        let mut peers = peer::accept(&listener, 5);
        for peer in &mut peers {
            assert!(peer.peer_addr().expect("a peer").is_ipv6());
            peer::round_trip(peer, b"over v6");
        }
        client.wait("all are up", |t| t.open() == 10);
        client.close();
    }
    // A server on all addresses takes both families.
    let server = Serve::at(engine, &["[::]:0"]).with(|| Echo);
    let port = server.address().port();
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().expect("an address");
        peer::round_trip(&mut peer::connect((ip, port).into()), b"either");
    }
    server.close();
}

fn no_more_attempts_are_in_flight_than_the_window_allows(engine: Engine) {
    let (listener, _fill) = full_listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 100);
    setup.window = 4;
    setup.timeout = Duration::from_millis(20);
    let client = setup.with(|| Sink);
    // Counts are read one after another, so an attempt that ends meanwhile may be seen as in flight.
    let exceeded = Arc::new(AtomicBool::new(false));
    client.wait("all time out", |t| {
        exceeded.fetch_or(t.in_flight() > 8, Relaxed);
        t.failed(FailCause::TimedOut) == 100
    });
    assert!(!exceeded.load(Relaxed));
    client.close();
}
