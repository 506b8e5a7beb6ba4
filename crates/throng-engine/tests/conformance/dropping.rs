//! Connections that a client closes because it was ordered to, and opens again.

use crate::peer;
use crate::rig::Connect;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use throng_core::engine::Engine;
use throng_core::pacing::ReconnectPolicy;
use throng_core::protocol::raw::Echo;
use throng_core::stats::Closed;
use throng_core::storm::Dropping;
use throng_engine::DropOrder;

on_each_engine![
    a_share_of_the_connections_is_closed_and_opened_again,
    connections_are_reset_instead_if_so_ordered,
    connections_that_return_alone_spare_no_server,
];

/// The order to drop what `dropping` says, to be opened again at once.
fn order(dropping: &str) -> DropOrder {
    let dropping: Dropping = dropping.parse().expect("a share");
    DropOrder {
        share: dropping.share,
        shift: 0,
        reset: dropping.reset,
        policy: Some(ReconnectPolicy::Immediate),
    }
}

/// How a connection ended, as its peer sees it.
fn end(mut peer: &TcpStream) -> Result<usize, ErrorKind> {
    peer.read(&mut [0; 16]).map_err(|e| e.kind())
}

fn a_share_of_the_connections_is_closed_and_opened_again(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 40);
    setup.workers = 2;
    setup.reconnect = true;
    setup.reconnect_policy = "fixed:1h".parse().expect("a policy");
    let client = setup.with(|| Echo);
    let mut first = peer::accept(&listener, 40);
    client.wait("all are up", |t| t.open() == 40);
    client.control.drop_connections(order("25%@0s"));
    let mut second = peer::accept(&listener, 10);
    let tally = client.wait("all are up again", |t| t.open() == 40);
    assert_eq!((tally.dropped, tally.closed(Closed::ByUs)), (10, 10));
    assert_eq!((tally.established, tally.closed_in_all()), (50, 10));
    // Those that are left are as good as before.
    let mut gone = 0;
    for peer in &mut first {
        peer.set_nonblocking(true).expect("O_NONBLOCK");
        match end(peer) {
            Ok(0) => gone += 1,
            Err(ErrorKind::WouldBlock) => {
                peer.set_nonblocking(false).expect("O_NONBLOCK");
                peer::round_trip(peer, b"still here");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone, 10);
    for peer in &mut second {
        peer::round_trip(peer, b"here again");
    }
    client.close();
}

fn connections_are_reset_instead_if_so_ordered(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 10);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    let first = peer::accept(&listener, 10);
    client.wait("all are up", |t| t.open() == 10);
    client.control.drop_connections(order("all@0s:reset"));
    let _second = peer::accept(&listener, 10);
    for peer in &first {
        assert_eq!(end(peer), Err(ErrorKind::ConnectionReset));
    }
    let tally = client.wait("all are up again", |t| t.open() == 10);
    assert_eq!(tally.dropped, 10);
    client.close();
}

fn connections_that_return_alone_spare_no_server(engine: Engine) {
    // Four that are established, and not accepted, fill the queue.
    for (alone, attempted) in [(true, 8), (false, 5)] {
        let listener = peer::listener_with("127.0.0.1:0", 3, None);
        let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 4);
        setup.reconnect = true;
        setup.window = 1;
        setup.returns_alone = alone;
        let client = setup.with(|| Echo);
        client.wait("all are up", |t| t.open() == 4);
        client.control.drop_connections(order("all@0s"));
        client.wait("as many as may are tried", |t| t.attempted == attempted);
        client.stays("no more are", |t| t.attempted == attempted);
        client.close();
    }
}
