//! Accepting: how many, where from, by which worker.

use crate::peer;
use crate::rig::{Connect, Serve, crowd, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};

on_each_engine![
    one_more_than_the_most_waits_and_is_served_when_another_leaves,
    places_are_free_again_however_their_connections_end,
    every_listener_is_served,
    a_listener_is_not_starved_by_another_that_is_idle,
    workers_share_a_listener_evenly,
    a_worker_that_is_full_leaves_connections_to_the_others,
    a_connection_that_was_reset_in_the_queue_does_no_harm,
];

/// Whether the server has sent something back.
fn is_served(peer: &TcpStream) -> bool {
    peer.set_nonblocking(true).expect("O_NONBLOCK");
    let got = peer.peek(&mut [0; 1]);
    peer.set_nonblocking(false).expect("O_NONBLOCK");
    got.is_ok()
}

fn one_more_than_the_most_waits_and_is_served_when_another_leaves(engine: Engine) {
    const MAX: usize = 5;
    let mut setup = Serve::on(engine);
    setup.max = MAX as u32;
    let server = setup.with(|| Echo);
    let mut inside: Vec<_> = (0..MAX).map(|_| peer::connect(server.address())).collect();
    for peer in &mut inside {
        peer::round_trip(peer, b"in");
    }
    let mut queue: Vec<_> = (0..MAX).map(|_| peer::connect(server.address())).collect();
    for peer in &mut queue {
        peer.write_all(b"?").expect("the kernel takes it");
    }
    server.stays("full", |t| t.accepted == MAX as u64);
    assert!(!queue.iter().any(is_served));
    for left in 1..=MAX {
        drop(inside.pop());
        server.wait("one more", |t| t.accepted == (MAX + left) as u64);
        wait_until(
            "it is served",
            || queue.iter().filter(|p| is_served(p)).count() == left,
            String::new,
        );
        let tally = server.tally();
        assert!(tally.open() <= MAX as u64, "{tally:?}");
    }
    drop(queue);
    server.wait("all leave", |t| t.closed_in_all() == 2 * MAX as u64);
    server.close();
}

fn places_are_free_again_however_their_connections_end(engine: Engine) {
    let mut setup = Serve::on(engine);
    setup.max = 3;
    let server = setup.with(|| Echo);
    for round in 0..300 {
        let mut peer = peer::connect(server.address());
        match round % 4 {
            0 => peer::round_trip(&mut peer, b"and away"),
            1 => peer::reset(peer),
            2 => peer.write_all(&[0; 50_000]).expect("sent"),
            _ => {}
        }
    }
    peer::round_trip(&mut peer::connect(server.address()), b"the last");
    server.wait("all end", |t| t.closed_in_all() == 301);
    server.close();
}

fn every_listener_is_served(engine: Engine) {
    let at = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"];
    let server = Serve::at(engine, &at).with(|| Echo);
    let mut peers = Vec::new();
    for i in 0..300 {
        peers.push(peer::connect(server.addresses[i % 3]));
    }
    for peer in &mut peers {
        peer::round_trip(peer, b"from each");
    }
    assert_eq!(server.tally().open(), 300);
    server.close();
}

fn a_listener_is_not_starved_by_another_that_is_idle(engine: Engine) {
    // With few places in total, a worker that reserves places for a listener can reserve all of them.
    for max in [1, 10, 100] {
        for busy in [0, 1] {
            let mut setup = Serve::at(engine, &["127.0.0.1:0", "127.0.0.1:0"]);
            setup.max = max;
            let server = setup.with(|| Echo);
            let peers: Vec<_> = (0..max)
                .map(|_| peer::connect(server.addresses[busy]))
                .collect();
            for mut peer in &peers {
                peer.write_all(b"?").expect("the kernel takes it");
            }
            for (i, mut peer) in peers.iter().enumerate() {
                peer.set_read_timeout(Some(crate::rig::DEADLINE))
                    .expect("a timeout");
                let got = peer.read(&mut [0; 1]);
                assert!(
                    got.is_ok(),
                    "of {max} places, connection {i} to listener {busy} gets none: {:?}",
                    server.tally()
                );
            }
            server.close();
        }
    }
}

fn workers_share_a_listener_evenly(engine: Engine) {
    const CONNECTIONS: u32 = 4000;
    let _crowd = crowd();
    let mut setup = Serve::on(engine);
    setup.workers = 2;
    setup.max = CONNECTIONS;
    let server = setup.with(|| Sink);
    let client = Connect::to(engine, &[server.address()], CONNECTIONS).with(|| Sink);
    let all = u64::from(CONNECTIONS);
    client.wait("all are up", |t| t.established == all);
    server.wait("all are accepted", |t| t.accepted == all);
    for worker in &server.counters {
        let share = worker.read().accepted;
        assert!(
            share >= all / 2 / 4,
            "{share} of {all} connections on one of two workers"
        );
    }
    client.close();
    server.wait("all leave", |t| t.closed_in_all() == all);
    server.close();
}

fn a_worker_that_is_full_leaves_connections_to_the_others(engine: Engine) {
    let mut setup = Serve::on(engine);
    setup.workers = 3;
    setup.max = 50;
    let server = setup.with(|| Echo);
    let mut peers: Vec<_> = (0..150).map(|_| peer::connect(server.address())).collect();
    for peer in &mut peers {
        peer::round_trip(peer, b"in");
    }
    for worker in &server.counters {
        assert_eq!(worker.read().open(), 50);
    }
    // A connection that closes makes room on its own worker, which accepts the next one.
    for i in (0..150).step_by(7) {
        peers[i] = peer::connect(server.address());
        peer::round_trip(&mut peers[i], b"in again");
    }
    server.close();
}

fn a_connection_that_was_reset_in_the_queue_does_no_harm(engine: Engine) {
    let mut setup = Serve::on(engine);
    setup.max = 1;
    let server = setup.with(|| Echo);
    let mut inside = peer::connect(server.address());
    peer::round_trip(&mut inside, b"in");
    for i in 0..20 {
        let mut peer = peer::connect(server.address());
        if i % 2 == 0 {
            peer.write_all(b"never mind").expect("the kernel takes it");
        }
        peer::reset(peer);
    }
    let mut last = peer::connect(server.address());
    drop(inside);
    peer::round_trip(&mut last, b"in");
    let tally = server.tally();
    assert_eq!(tally.open(), 1, "{tally:?}");
    server.close();
}
