//! How this side ends connections, and how that is counted.

use crate::ends::{ROLES, all_end, flood, up, with_peers};
use crate::peer;
use crate::rig::{Connect, Serve};
use crate::script::{Event, script};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::Closed;
use throng_engine::{Closing, Order, Reach, SocketOptions};

on_each_engine![
    a_behaviour_can_close_as_soon_as_it_is_open,
    a_behaviour_can_close_when_it_has_received,
    a_close_waits_for_the_send_under_way,
    a_close_waits_for_the_echo_under_way,
    a_close_waits_for_the_send_although_the_peer_half_closed,
    a_close_later_than_the_send_comes_after_it,
    the_order_to_close_ends_every_connection,
    what_the_kernel_took_before_the_close_is_counted,
    peers_that_close_behind_us_are_waited_for,
    both_sides_of_one_process_close_whoever_resets,
    whoever_comes_after_one_that_both_sides_closed_is_left_alone,
];

fn a_behaviour_can_close_as_soon_as_it_is_open(engine: Engine) {
    for client in ROLES {
        let (side, mut peers) = with_peers(engine, client, 20, || {
            script([], |(): &mut (), event, _, out| {
                out.close = matches!(event, Event::Opened(_));
            })
        });
        for peer in &mut peers {
            assert_eq!(peer.read(&mut [0; 1]).expect("no reset"), 0);
        }
        all_end(&side, 20, Closed::ByUs);
        side.close();
    }
}

fn a_behaviour_can_close_when_it_has_received(engine: Engine) {
    for client in ROLES {
        let (side, mut peers) = with_peers(engine, client, 20, || {
            script([], |(): &mut (), event, _, out| {
                out.close = matches!(event, Event::Received(b"bye"));
            })
        });
        for peer in &mut peers {
            peer.write_all(b"bye").expect("sent");
            assert_eq!(peer.read(&mut [0; 1]).expect("no reset"), 0);
        }
        all_end(&side, 20, Closed::ByUs);
        side.close();
    }
}

/// Sends a word, and is done when its echo has arrived.
struct OneWord;

impl Behaviour for OneWord {
    type Conn = bool;

    fn memory(&self) -> Arc<[u8]> {
        Arc::from(*b"word")
    }

    fn opened(&mut self, _: &mut bool, _: &At, out: &mut Outbox) {
        out.send = Transmit::Memory(0..4);
    }

    fn received(&mut self, done: &mut bool, _: &[u8], at: &At, out: &mut Outbox) {
        *done = true;
        at.counters.messages_received.add(1);
        out.close = true;
    }

    fn is_done(&mut self, done: &mut bool, _: Closed) -> bool {
        *done
    }

    fn closed(&mut self, done: &mut bool, _: Closed, _: &At) {
        *done = false;
    }
}

/// Both sides close at the same moment, and the place is used again at once.
fn whoever_comes_after_one_that_both_sides_closed_is_left_alone(engine: Engine) {
    const TIMES: u64 = 3000;
    let server = Serve::on(engine).with(|| {
        script([], |(): &mut (), event, _, out| {
            if let Event::Received(_) = event {
                (out.send, out.close) = (Transmit::Back, true);
            }
        })
    });
    let mut setup = Connect::to(engine, &[server.address()], 16);
    setup.reconnect = true;
    let client = setup.with(|| OneWord);
    let tally = client.wait("many have come and gone", |t| t.closed_in_all() >= TIMES);
    assert_eq!(
        tally.closed(Closed::ByUs),
        tally.closed_in_all(),
        "{tally:?}"
    );
    assert!(tally.messages_received >= TIMES, "{tally:?}");
    client.close();
    server.close();
}

/// Reads to the end as a slow peer does, and checks that it is `expected`.
fn reads_slowly_to_the_end(mut peer: TcpStream, expected: &[u8]) {
    let mut got = Vec::new();
    let mut buffer = vec![0; 50_000];
    loop {
        match peer.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(e) => panic!("{e} after {} of {} bytes", got.len(), expected.len()),
        }
        thread::sleep(Duration::from_micros(500));
    }
    assert_eq!(got.len(), expected.len(), "bytes before the end");
    assert!(got == expected, "other bytes than were sent");
}

/// More than the buffers of both sockets hold (tcp_wmem's 4 MiB and a narrow peer's).
const MORE_THAN_BUFFERS: usize = 12 << 20;

fn a_close_waits_for_the_send_under_way(engine: Engine) {
    let memory = peer::noise(9, MORE_THAN_BUFFERS);
    let side = Serve::on(engine).with(|| {
        let len = memory.len() as u32;
        script(memory.clone(), move |(): &mut (), event, _, out| {
            if let Event::Opened(_) = event {
                out.send = Transmit::Memory(0..len);
                out.close = true;
            }
        })
    });
    let peer = peer::connect_narrow(side.address(), 100_000);
    thread::sleep(Duration::from_millis(100));
    reads_slowly_to_the_end(peer, &memory);
    all_end(&side, 1, Closed::ByUs);
    let (tally, _) = side.close();
    assert_eq!(tally.bytes_sent, memory.len() as u64);
}

fn a_close_waits_for_the_echo_under_way(engine: Engine) {
    // Closes at the first receive; what came with it goes back. The peer sends all before it reads, in
    // one piece that a receive takes whole.
    let side = Serve::on(engine).with(|| {
        script([], |(): &mut (), event, _, out| {
            if let Event::Received(_) = event {
                out.send = Transmit::Back;
                out.close = true;
            }
        })
    });
    for len in 1..200 {
        let mut peer = peer::connect(side.address());
        let sent = peer::noise(len as u64, len);
        peer.write_all(&sent).expect("sent");
        let mut back = Vec::new();
        peer.read_to_end(&mut back).expect("no reset");
        assert!(back == sent, "{} bytes came back of {len}", back.len());
    }
    all_end(&side, 199, Closed::ByUs);
    side.close();
}

fn a_close_waits_for_the_send_although_the_peer_half_closed(engine: Engine) {
    // As a client that sends a request, shuts down its side and reads the answer.
    let memory = peer::noise(9, MORE_THAN_BUFFERS);
    let side = Serve::on(engine).with(|| {
        let len = memory.len() as u32;
        script(memory.clone(), move |(): &mut (), event, _, out| {
            if let Event::Received(_) = event {
                out.send = Transmit::Memory(0..len);
                out.close = true;
            }
        })
    });
    let mut peer = peer::connect_narrow(side.address(), 100_000);
    peer.write_all(b"?").expect("sent");
    assert!(peer.peek(&mut [0; 1]).expect("the answer begins") > 0);
    peer.shutdown(Shutdown::Write).expect("shut down");
    thread::sleep(Duration::from_millis(100));
    reads_slowly_to_the_end(peer, &memory);
    side.wait("it ends", |t| t.closed_in_all() == 1);
    let (tally, _) = side.close();
    assert_eq!(tally.bytes_sent, memory.len() as u64);
}

fn a_close_later_than_the_send_comes_after_it(engine: Engine) {
    // The send is under way when the peer's word brings the close.
    let memory = peer::noise(9, MORE_THAN_BUFFERS);
    let side = Serve::on(engine).with(|| {
        let len = memory.len() as u32;
        script(
            memory.clone(),
            move |(): &mut (), event, _, out| match event {
                Event::Opened(_) => out.send = Transmit::Memory(0..len),
                Event::Received(_) => out.close = true,
                _ => {}
            },
        )
    });
    let mut peer = peer::connect_narrow(side.address(), 100_000);
    assert!(peer.peek(&mut [0; 1]).expect("it begins") > 0);
    peer.write_all(b"!").expect("sent");
    side.wait("the word is read", |t| t.bytes_received == 1);
    reads_slowly_to_the_end(peer, &memory);
    all_end(&side, 1, Closed::ByUs);
    side.close();
}

fn the_order_to_close_ends_every_connection(engine: Engine) {
    for client in ROLES {
        let (side, mut peers) = with_peers(engine, client, 100, || Echo);
        side.wait("all are up", |t| up(t) == 100);
        for (i, peer) in peers.iter_mut().enumerate() {
            if i % 2 == 0 {
                peer::round_trip(peer, b"hello");
            }
        }
        let (tally, _) = side.close();
        assert_eq!(tally.closed(Closed::ByUs), 100, "{tally:?}");
        for peer in &mut peers {
            assert!(peer::ended(peer));
        }
    }
    // With connections that are in the middle of something, on both sides.
    let server = Serve::on(engine).with(|| Echo);
    let client = Connect::to(engine, &[server.address()], 50).with(|| flood(5000));
    client.wait("a flood", |t| {
        t.established == 50 && t.bytes_sent > 5_000_000
    });
    server.give(Order::Close);
    client.close();
    server.close();
}

fn what_the_kernel_took_before_the_close_is_counted(engine: Engine) {
    for client in ROLES {
        let (side, peers) = with_peers(engine, client, 4, || flood(MORE_THAN_BUFFERS));
        side.wait("all are up", |t| up(t) == 4);
        // Until each send waits for its peer, which reads nothing.
        thread::sleep(Duration::from_millis(200));
        let read_to_the_end = |mut peer: TcpStream| {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(200));
                std::io::copy(&mut peer, &mut std::io::sink()).expect("no reset")
            })
        };
        let reading: Vec<_> = peers.into_iter().map(read_to_the_end).collect();
        let (tally, _) = side.close();
        let read = reading.into_iter().map(|r| r.join().expect("it reads"));
        assert_eq!(tally.bytes_sent, read.sum::<u64>(), "{tally:?}");
    }
}

fn peers_that_close_behind_us_are_waited_for(engine: Engine) {
    fn one<B>(engine: Engine, client: bool, behaviour: fn() -> B)
    where
        B: Behaviour + std::marker::Send + 'static,
        B::Conn: std::marker::Send,
    {
        let (side, mut peers) = with_peers(engine, client, 50, behaviour);
        side.wait("all are up", |t| up(t) == 50);
        let answering = thread::spawn(move || {
            for peer in &mut peers {
                assert!(peer::ended(peer));
                // A socket that was closed answers data with a reset (RFC 9293, section 3.10.7.1).
                peer.write_all(b"bye").expect("sent");
                assert!(peer.take_error().expect("SO_ERROR").is_none());
                peer.shutdown(Shutdown::Write).expect("a FIN");
            }
        });
        let (tally, _) = side.close();
        assert_eq!(tally.closed(Closed::ByUs), 50, "{tally:?}");
        answering.join().expect("no socket was closed too early");
    }
    for client in ROLES {
        one(engine, client, || Echo);
        one(engine, client, || Sink);
    }
}

fn both_sides_of_one_process_close_whoever_resets(engine: Engine) {
    let any = ([127, 0, 0, 1], 0).into();
    for (serving, connecting) in [
        (Closing::Reset, Closing::ByPeer),
        (Closing::ShutDown, Closing::ShutDown),
        // Nobody keeps the clients waiting for ever, whatever they were promised.
        (Closing::ShutDown, Closing::ByPeer),
    ] {
        let mut setup = Serve::on(engine);
        setup.listeners = vec![
            throng_engine::listen(any, 4096, Reach::OwnProcess, &SocketOptions::default())
                .expect("a listener")
                .into(),
        ];
        setup.closing = serving;
        let server = setup.with(|| Echo);
        let mut setup = Connect::to(engine, &[server.address()], 500);
        setup.ring_slots = 64;
        setup.closing = connecting;
        let client = setup.with(|| flood(1000));
        client.wait("a flood", |t| {
            t.established == 500 && t.bytes_sent > 5_000_000
        });
        server.wait("all are accepted", |t| t.accepted == 500);
        server.give(Order::Close);
        let (tally, _) = client.close();
        assert_eq!(tally.closed_in_all(), 500, "{tally:?}");
        let (tally, _) = server.close();
        assert_eq!(tally.closed_in_all(), 500, "{tally:?}");
    }
}
