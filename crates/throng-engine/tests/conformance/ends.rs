//! A side with peers, and how all its connections end.

use crate::peer;
use crate::rig::{Connect, Serve, Side};
use crate::script::load;
use std::net::TcpStream;
use throng_core::behaviour::{Behaviour, Load, NoMatcher, Pacing, Traffic};
use throng_core::engine::Engine;
use throng_core::protocol::raw::Raw;
use throng_core::stats::{Closed, Tally};

/// Which side throng is.
pub const ROLES: [bool; 2] = [false, true];

/// A side of throng's with one connection for each peer; as the server or as the client.
pub fn with_peers<B>(
    engine: Engine,
    client: bool,
    n: usize,
    behaviour: impl Fn() -> B,
) -> (Side, Vec<TcpStream>)
where
    B: Behaviour + std::marker::Send + 'static,
    B::Conn: std::marker::Send,
{
    if client {
        let listener = peer::listener();
        let target = listener.local_addr().expect("bound");
        let side = Connect::to(engine, &[target], n as u32).with(behaviour);
        (side, peer::accept(&listener, n))
    } else {
        let side = Serve::on(engine).with(behaviour);
        let peers = (0..n).map(|_| peer::connect(side.address())).collect();
        (side, peers)
    }
}

pub fn up(tally: &Tally) -> u64 {
    tally.established + tally.accepted
}

/// Waits for `n` connections to end and checks that all ended as `why`.
pub fn all_end(side: &Side, n: u64, why: Closed) {
    let tally = side.wait("all connections end", |t| t.closed_in_all() == n);
    assert_eq!(tally.closed(why), n, "{why:?}: {tally:?}");
    assert_eq!(up(&tally), n, "{tally:?}");
}

pub fn flood(message: usize) -> Load<Raw, NoMatcher> {
    let message = peer::noise(3, message);
    load(Pacing::Flood, Traffic::On, b"", &message, u32::MAX)
}
