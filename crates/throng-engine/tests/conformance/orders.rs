//! What workers do on orders.

use crate::peer;
use crate::rig::{Connect, Serve, wait_until};
use crate::script::{Event, load, script};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use throng_core::behaviour::{At, Behaviour, Outbox, Pacing, Traffic, Transmit};
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::Closed;
use throng_core::units::Rate;
use throng_engine::{Control, Order};

on_each_engine![
    a_client_ordered_to_stop_opening_holds_what_it_has,
    a_client_ordered_to_stop_opening_does_not_reopen,
    a_client_whose_opening_is_paused_goes_on_with_all_that_is_missing,
    a_client_holds_as_many_as_it_was_last_told_to,
    connections_beyond_the_number_to_hold_are_not_tried_again,
    a_server_ordered_to_stop_accepting_accepts_no_more,
    nothing_is_sent_before_traffic_starts,
    traffic_starts_once_on_each_connection_whenever_it_opened,
    traffic_that_stops_ends_with_a_whole_message,
    traffic_that_was_stopped_before_it_started_never_starts,
    orders_given_before_a_worker_starts_hold_for_it,
    a_client_can_be_closed_with_attempts_in_flight,
    farewell_is_said_on_each_connection_after_what_is_under_way,
    what_is_said_last_arrives_before_the_end_unless_something_is_being_sent,
];

fn a_client_ordered_to_stop_opening_holds_what_it_has(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 10_000);
    setup.rate = Rate::per_second(400.0);
    let client = setup.with(|| Echo);
    client.wait("some are up", |t| t.established >= 50);
    client.give_and_wait(Order::StopOpening);
    let stopped = client.tally().attempted;
    client.stays("as many", |t| t.attempted == stopped);
    assert!(stopped < 10_000);
    let mut peers = peer::accept(&listener, stopped as usize);
    for peer in &mut peers {
        peer::round_trip(peer, b"still here");
    }
    let (tally, _) = client.close();
    assert_eq!((tally.attempted, tally.established), (stopped, stopped));
}

fn a_client_ordered_to_stop_opening_does_not_reopen(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 20);
    setup.reconnect = true;
    let client = setup.with(|| Sink);
    let peers = peer::accept(&listener, 20);
    client.wait("all are up", |t| t.open() == 20);
    client.give(Order::StopOpening);
    drop(peers);
    client.wait("all are closed", |t| t.closed(Closed::ByPeer) == 20);
    client.stays("nothing is tried again", |t| t.attempted == 20);
    client.close();
}

fn a_client_whose_opening_is_paused_goes_on_with_all_that_is_missing(engine: Engine) {
    let listener = peer::listener();
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], 300);
    setup.rate = Rate::per_second(400.0);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    client.wait("some are up", |t| t.established >= 50);
    client.give_and_wait(Order::PauseOpening);
    let paused = client.tally().attempted;
    assert!(paused < 300);
    let mut peers = peer::accept(&listener, paused as usize);
    // Those that end meanwhile are not opened again either.
    drop(peers.split_off(10));
    let lost = paused - 10;
    client.wait("they are closed", |t| t.closed_in_all() == lost);
    client.stays("as many", |t| t.attempted == paused);
    for peer in &mut peers {
        peer::round_trip(peer, b"still here");
    }
    client.control.withdraw_pause();
    let _others = peer::accept(&listener, 290);
    client.wait("all are up", |t| t.open() == 300);
    let (tally, _) = client.close();
    assert_eq!(tally.established, 300 + lost);
}

fn a_client_holds_as_many_as_it_was_last_told_to(engine: Engine) {
    let server = Serve::on(engine).with(|| Echo);
    let control = Control::new();
    control.hold_at_most(30);
    let mut setup = Connect::to(engine, &[server.address()], 1000);
    setup.reconnect = true;
    setup.control = Some(Arc::clone(&control));
    let client = setup.with(|| Sink);
    client.settles("as many as told", |t| t.open() == 30);
    control.hold_at_most(100);
    client.settles("more", |t| t.open() == 100);
    // Those that are closed come back before others are tried.
    control.hold_at_most(5);
    client.settles("fewer", |t| t.open() == 5 && t.closed(Closed::ByUs) == 95);
    server.wait("they are gone there, too", |t| t.open() == 5);
    control.hold_at_most(60);
    let tally = client.settles("more again", |t| t.open() == 60);
    assert_eq!((tally.established, tally.failed_in_all()), (155, 0));
    // No more than it was set up for.
    control.hold_at_most(5000);
    client.settles("all", |t| t.open() == 1000);
    client.close();
    server.close();
}

fn connections_beyond_the_number_to_hold_are_not_tried_again(engine: Engine) {
    let listener = peer::listener();
    let address = listener.local_addr().expect("bound");
    let control = Control::new();
    control.hold_at_most(20);
    let mut setup = Connect::to(engine, &[address], 100);
    setup.reconnect = true;
    setup.control = Some(Arc::clone(&control));
    let client = setup.with(|| Sink);
    let peers = peer::accept(&listener, 20);
    client.wait("all are up", |t| t.open() == 20);
    drop(listener);
    drop(peers);
    client.wait("they are refused", |t| t.failed_in_all() >= 20);
    control.hold_at_most(0);
    client.settles("none is tried", |t| t.in_flight() == 0);
    client.close();
}

fn a_server_ordered_to_stop_accepting_accepts_no_more(engine: Engine) {
    let server = Serve::on(engine).with(|| Echo);
    let mut inside: Vec<_> = (0..20).map(|_| peer::connect(server.address())).collect();
    for peer in &mut inside {
        peer::round_trip(peer, b"in");
    }
    server.give_and_wait(Order::StopAccepting);
    let mut outside: Vec<_> = (0..20).map(|_| peer::connect(server.address())).collect();
    for peer in &mut outside {
        peer.write_all(b"?").expect("the kernel takes it");
    }
    server.stays("no more", |t| t.accepted == 20);
    // Nor when places become free.
    for mut peer in inside.drain(10..) {
        peer::round_trip(&mut peer, b"still in");
    }
    server.wait("ten leave", |t| t.closed_in_all() == 10);
    server.stays("no more", |t| t.accepted == 20);
    for peer in &mut inside {
        peer::round_trip(peer, b"still in");
    }
    server.close();
}

fn nothing_is_sent_before_traffic_starts(engine: Engine) {
    for pacing in [
        Pacing::Flood,
        Pacing::ClosedLoop { in_flight: None },
        Pacing::Rate(Rate::per_second(50.0).expect("a rate")),
    ] {
        let server = Serve::on(engine).with(|| Echo);
        let mut setup = Connect::to(engine, &[server.address()], 30);
        setup.traffic = Traffic::Waiting;
        let client = setup.with(|| load(pacing.clone(), Traffic::Waiting, b"", b"a message", 16));
        client.wait("all are up", |t| t.open() == 30);
        client.stays("silent", |t| t.bytes_sent == 0);
        client.control.start_traffic(client.clock.now());
        client.wait("traffic", |t| t.messages_sent >= 200);
        server.wait("traffic", |t| t.reads > 0 && t.bytes_sent > 0);
        client.close();
        server.close();
    }
}

fn traffic_starts_once_on_each_connection_whenever_it_opened(engine: Engine) {
    const CONNECTIONS: u32 = 3000;
    let _crowd = crate::rig::crowd();
    let mut setup = Serve::on(engine);
    setup.max = CONNECTIONS;
    let server = setup.with(|| Sink);
    let mut setup = Connect::to(engine, &[server.address()], CONNECTIONS);
    setup.traffic = Traffic::Waiting;
    // How often each connection could begin: it opened during traffic, or was notified that traffic started.
    let begun = Arc::new(Mutex::new(HashMap::<u32, u32>::new()));
    let client = setup.with(|| {
        let begun = Arc::clone(&begun);
        script([], move |(): &mut (), event, at, _| {
            let id = match event {
                Event::Opened(id) if at.traffic == Traffic::On => id,
                Event::Started(id) => id,
                _ => return,
            };
            *begun.lock().unwrap().entry(id).or_default() += 1;
        })
    });
    // In the middle of opening.
    client.wait("half are up", |t| t.open() >= 1500);
    client.control.start_traffic(client.clock.now());
    let all = || begun.lock().unwrap().len() == CONNECTIONS as usize;
    wait_until("all begin", all, || {
        format!("{}", begun.lock().unwrap().len())
    });
    client.stays("up", |t| t.open() <= CONNECTIONS.into());
    client.close();
    let begun = begun.lock().unwrap();
    let twice = begun.values().filter(|n| **n > 1).count();
    assert_eq!(twice, 0, "connections that were begun more than once");
    server.close();
}

fn traffic_that_stops_ends_with_a_whole_message(engine: Engine) {
    let listener = peer::listener();
    let message = peer::noise(8, 5003);
    let client = Connect::to(engine, &[listener.local_addr().expect("bound")], 5)
        .with(|| load(Pacing::Flood, Traffic::On, b"", &message, 16));
    let mut peers = peer::accept(&listener, 5);
    client.wait("a flood", |t| t.messages_sent >= 50);
    client.give_and_wait(Order::StopTraffic);
    let mut got = vec![Vec::new(); 5];
    for peer in &peers {
        peer.set_nonblocking(true).expect("O_NONBLOCK");
    }
    wait_until(
        "every peer has whole messages, and all that was sent",
        || {
            for (peer, got) in peers.iter_mut().zip(&mut got) {
                let end = peer.read_to_end(got);
                assert!(end.is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
            }
            let received: usize = got.iter().map(Vec::len).sum();
            received as u64 == client.tally().bytes_sent
                && got.iter().all(|got| got.len() % message.len() == 0)
        },
        || format!("{:?}", client.tally()),
    );
    let received: usize = got.iter().map(Vec::len).sum();
    client.stays("open and silent", |t| {
        t.open() == 5 && t.bytes_sent == received as u64
    });
    for got in &got {
        assert!(got.chunks(message.len()).all(|m| m == message));
    }
    client.close();
}

fn traffic_that_was_stopped_before_it_started_never_starts(engine: Engine) {
    let server = Serve::on(engine).with(|| Sink);
    let mut setup = Connect::to(engine, &[server.address()], 30);
    setup.traffic = Traffic::Waiting;
    let client = setup.with(|| load(Pacing::Flood, Traffic::Waiting, b"", b"a message", 16));
    client.wait("all are up", |t| t.open() == 30);
    client.give(Order::StopTraffic);
    client.control.start_traffic(client.clock.now());
    client.stays("silent", |t| t.bytes_sent == 0 && t.open() == 30);
    client.close();
    server.close();
}

fn orders_given_before_a_worker_starts_hold_for_it(engine: Engine) {
    let server = Serve::on(engine).with(|| Sink);
    let with = |order| {
        let mut setup = Connect::to(engine, &[server.address()], 30);
        setup.traffic = Traffic::Waiting;
        let control = Control::new();
        control.give(order);
        setup.control = Some(control);
        setup.with(|| load(Pacing::Flood, Traffic::Waiting, b"", b"a message", 16))
    };
    let client = with(Order::StopOpening);
    client.stays("not opened", |t| t.attempted == 0);
    client.close();
    let client = with(Order::StartTraffic);
    client.wait("traffic", |t| t.messages_sent >= 3000 && t.open() == 30);
    client.close();
    let (tally, _) = with(Order::Close).close();
    assert_eq!((tally.attempted, tally.bytes_sent), (0, 0));
    server.close();
}

fn a_client_can_be_closed_with_attempts_in_flight(engine: Engine) {
    let listener = peer::listener_with("127.0.0.1:0", 1, None);
    let client = Connect::to(engine, &[listener.local_addr().expect("bound")], 50).with(|| Echo);
    client.wait("some are up, others wait", |t| {
        t.attempted == 50 && t.established > 0
    });
    let (tally, _) = client.close();
    assert_eq!(tally.failed_in_all(), 0, "{tally:?}");
    assert_eq!(tally.in_flight(), 50 - tally.established);
    assert!(tally.in_flight() > 0);
}

fn farewell_is_said_on_each_connection_after_what_is_under_way(engine: Engine) {
    struct Polite;
    impl Behaviour for Polite {
        type Conn = ();
        fn memory(&self) -> Arc<[u8]> {
            vec![b'x'; 3_000_000].into()
        }
        fn opened(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
            out.send = Transmit::Memory(0..3_000_000);
        }
        fn received(&mut self, (): &mut (), _: &[u8], _: &At, _: &mut Outbox) {}
        fn farewell(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
            out.bytes.extend_from_slice(b"bye");
            out.send = Transmit::Reply;
            out.close = true;
        }
    }
    let listener = peer::listener();
    let address = listener.local_addr().unwrap();
    let mut setup = Connect::to(engine, &[address], 20);
    setup.reconnect = true;
    let side = setup.with(|| Polite);
    let mut peers = peer::accept(&listener, 20);
    side.wait("all are up", |t| t.open() == 20);
    side.give(Order::Farewell);
    for peer in &mut peers {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).expect("all, then the end");
        assert_eq!(got.len(), 3_000_003);
        assert!(got.ends_with(b"xxbye"));
    }
    side.wait("all are closed", |t| t.closed(Closed::ByUs) == 20);
    side.stays("nothing is opened again", |t| t.attempted == 20);
    side.close();
}

fn what_is_said_last_arrives_before_the_end_unless_something_is_being_sent(engine: Engine) {
    /// Sends as much as it is asked for, in thousands of bytes.
    struct Parts;
    impl Behaviour for Parts {
        type Conn = ();
        fn memory(&self) -> Arc<[u8]> {
            vec![b'x'; 9_000_000].into()
        }
        fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}
        fn received(&mut self, (): &mut (), bytes: &[u8], _: &At, out: &mut Outbox) {
            out.send = Transmit::Memory(0..u32::from(bytes[0]) * 1000 * 1000);
        }
        fn parting(&mut self, (): &mut (), _: &At, out: &mut Vec<u8>) {
            out.extend_from_slice(b"end");
        }
    }
    let side = Serve::on(engine).with(|| Parts);
    let mut quiet: Vec<_> = (0..20).map(|_| peer::connect(side.address())).collect();
    let mut busy = peer::connect(side.address());
    side.wait("all are up", |t| t.open() == 21);
    busy.write_all(&[9]).expect("sent");
    side.settles("its peer reads nothing", |t| t.bytes_received == 1);
    let readers = std::thread::spawn(move || {
        for peer in &mut quiet {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).expect("all, then the end");
            assert_eq!(got, b"end");
        }
        let mut got = Vec::new();
        // Its stream is cut.
        let _ = busy.read_to_end(&mut got);
        assert!(!got.ends_with(b"end"), "{} bytes", got.len());
    });
    side.close();
    readers.join().expect("each got what it should");
}
