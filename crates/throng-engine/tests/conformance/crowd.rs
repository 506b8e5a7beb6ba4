//! Thousands of connections, with throng on both ends.

use crate::peer;
use crate::rig::{Connect, Serve, crowd};
use crate::script::{Event, Report, RoundTrips, script};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use throng_core::behaviour::Transmit;
use throng_core::engine::Engine;
use throng_core::protocol::raw::Echo;
use throng_core::stats::Closed;

on_each_engine![
    two_thousand_connections_with_messages_of_mixed_sizes_lose_nothing,
    a_thousand_connections_cross_many_small_rings,
    twenty_thousand_short_connections_go_through_few_places,
    connections_that_both_sides_close_at_will_are_counted_once,
];

/// Addresses of a server on all of 127.0.0.0/8, so that no port has to be used again soon.
fn targets(server: SocketAddr) -> Vec<SocketAddr> {
    (1..=8)
        .map(|last| ([127, 0, 0, last], server.port()).into())
        .collect()
}

fn two_thousand_connections_with_messages_of_mixed_sizes_lose_nothing(engine: Engine) {
    const CONNECTIONS: u32 = 2000;
    const ROUNDS: u32 = 8;
    const SIZES: &[usize] = &[1, 20, 600, 1460, 5000, 16_384, 16_385, 40_000];
    let _crowd = crowd();
    let report = Arc::new(Report::default());
    let mut setup = Serve::on(engine);
    setup.workers = 2;
    setup.max = CONNECTIONS;
    let server = setup.with(|| Echo);
    let mut setup = Connect::to(engine, &[server.address()], CONNECTIONS);
    setup.workers = 2;
    let client = setup.with(|| RoundTrips::new(SIZES, ROUNDS, false, &report));
    client.wait("all have all back", |_| {
        report.complete() == CONNECTIONS.into()
    });
    // Each connection sends each size once.
    let all = u64::from(CONNECTIONS) * SIZES.iter().sum::<usize>() as u64;
    server.wait("counted", |t| {
        t.bytes_sent == all && t.bytes_received == all
    });
    let (tally, measured) = client.close();
    assert_eq!((tally.bytes_sent, tally.bytes_received), (all, all));
    assert_eq!(tally.established, CONNECTIONS.into());
    assert_eq!(measured.connect.count(), CONNECTIONS.into());
    report.assert_perfect(CONNECTIONS.into());
    let n = u64::from(CONNECTIONS);
    let tally = server.wait("all leave", |t| t.closed_in_all() == n);
    assert_eq!(tally.accepted, n);
    server.close();
}

fn a_thousand_connections_cross_many_small_rings(engine: Engine) {
    const CONNECTIONS: u32 = 1000;
    const SIZES: &[usize] = &[1, 3000, 100, 17_000];
    let _crowd = crowd();
    let report = Arc::new(Report::default());
    let mut setup = Serve::on(engine);
    setup.max = CONNECTIONS;
    setup.ring_slots = 64;
    let server = setup.with(|| Echo);
    let mut setup = Connect::to(engine, &[server.address()], CONNECTIONS);
    setup.ring_slots = 64;
    let client = setup.with(|| RoundTrips::new(SIZES, 20, false, &report));
    client.wait("all have all back", |_| {
        report.complete() == CONNECTIONS.into()
    });
    let (tally, _) = client.close();
    report.assert_perfect(CONNECTIONS.into());
    let all = u64::from(CONNECTIONS) * 5 * SIZES.iter().sum::<usize>() as u64;
    assert_eq!((tally.bytes_sent, tally.bytes_received), (all, all));
    server.wait("all leave", |t| t.closed_in_all() == CONNECTIONS.into());
    server.close();
}

fn twenty_thousand_short_connections_go_through_few_places(engine: Engine) {
    const CONNECTIONS: u32 = 10_000;
    const SIZES: &[usize] = &[1, 100, 3000];
    let _crowd = crowd();
    let report = Arc::new(Report::default());
    let mut setup = Serve::at(engine, &["0.0.0.0:0"]);
    // Fewer places than attempts at once, on rings of few places.
    setup.max = 150;
    setup.ring_slots = 64;
    let server = setup.with(|| Echo);
    // As many connections that come once …
    let mut setup = Connect::to(engine, &targets(server.address()), CONNECTIONS);
    setup.ring_slots = 64;
    let once = setup.with(|| RoundTrips::new(SIZES, 1, true, &report));
    // … as from places that are used again and again.
    let mut setup = Connect::to(engine, &targets(server.address()), 1000);
    setup.ring_slots = 64;
    setup.reconnect = true;
    let again = setup.with(|| RoundTrips::new(SIZES, 1, true, &report));
    let all = u64::from(CONNECTIONS);
    let tally = once.wait("all were there", |t| t.closed_in_all() == all);
    assert_eq!(tally.closed(Closed::ByUs), all, "{tally:?}");
    again.wait("as many again", |t| t.closed_in_all() >= all);
    // Those that are up end in the middle of something, the others come to their end.
    again.give_and_wait(throng_engine::Order::StopOpening);
    let tally = again.wait("the last ones end", |t| t.in_flight() == 0 && t.open() == 0);
    assert_eq!(tally.failed_in_all(), 0, "{tally:?}");
    assert_eq!(tally.closed(Closed::ByUs), tally.established, "{tally:?}");
    let came = all + tally.established;
    let tally = server.wait("all leave", |t| t.closed_in_all() == came);
    assert_eq!(tally.accepted, came, "{tally:?}");
    assert_eq!(tally.bytes_received, tally.bytes_sent);
    let sent = once.tally() + again.tally();
    assert_eq!(sent.bytes_sent, tally.bytes_received);
    once.close();
    again.close();
    report.assert_perfect(came);
    server.close();
}

fn connections_that_both_sides_close_at_will_are_counted_once(engine: Engine) {
    // A third of all messages make the server close, another third the client, the rest go on.
    let _crowd = crowd();
    let ends: Arc<[AtomicU64; 5]> = Arc::default();
    let side = |mine: u8| {
        let ends = Arc::clone(&ends);
        script(
            peer::noise(1, 1000),
            move |c: &mut u32, event, _, out| match event {
                Event::Opened(id) => {
                    *c = id;
                    if mine == 1 {
                        out.send = Transmit::Memory(id % 900..id % 900 + 1);
                    }
                }
                Event::Received(bytes) => {
                    let at = *c % 900;
                    *c = c.wrapping_add(7);
                    if bytes[0] % 3 == mine {
                        out.close = true;
                    } else if mine == 1 {
                        out.send = Transmit::Memory(at..at + 1);
                    } else {
                        out.send = Transmit::Back;
                    }
                }
                Event::Closed(why) => {
                    ends[why as usize].fetch_add(1, Relaxed);
                }
                _ => {}
            },
        )
    };
    let mut setup = Serve::at(engine, &["0.0.0.0:0"]);
    setup.ring_slots = 64;
    setup.workers = 2;
    let server = setup.with(|| side(0));
    let mut setup = Connect::to(engine, &targets(server.address()), 500);
    setup.ring_slots = 64;
    setup.reconnect = true;
    let client = setup.with(|| side(1));
    client.wait("many came and went", |t| t.closed_in_all() >= 3000);
    let (tally, _) = client.close();
    assert_eq!(tally.failed_in_all(), 0, "{tally:?}");
    assert_eq!(tally.closed(Closed::Error), 0, "{tally:?}");
    assert!(tally.closed(Closed::ByUs) > 500, "{tally:?}");
    let came = tally.established;
    server.wait("all leave", |t| t.accepted >= came && t.open() == 0);
    let (served, _) = server.close();
    assert_eq!(served.closed(Closed::Error), 0, "{served:?}");
    assert!(served.closed(Closed::ByUs) > 500, "{served:?}");
    for why in Closed::ALL {
        let ended = tally.closed(why) + served.closed(why);
        assert_eq!(ends[why as usize].load(Relaxed), ended, "{why:?}");
    }
}
