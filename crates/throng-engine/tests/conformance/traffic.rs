//! Bytes: all of them, in order, once; and no more in memory than there must be.

use crate::peer::{self, Endless};
use crate::rig::{Connect, Serve, Side};
use crate::script::{Event, Report, RoundTrips, load, script};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::behaviour::{Pacing, Traffic, Transmit};
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::Closed;
use throng_engine::Order;

on_each_engine![
    a_peer_that_does_not_read_its_echo_is_not_read_from,
    a_stalled_peer_does_not_stall_the_others,
    what_waits_for_many_stalled_peers_comes_in_the_end,
    a_byte_at_a_time_comes_back_a_byte_at_a_time,
    messages_of_every_size_come_back,
    a_message_is_sent_whole_through_the_smallest_buffers,
    a_slow_reader_gets_an_unbroken_flood,
    sends_go_out_in_order_and_are_reported_when_done,
    an_empty_send_is_done_at_once,
    a_load_without_messages_sends_nothing,
    a_closed_loop_counts_each_echo_once,
    what_one_side_sent_the_other_received,
];

const LOOP: Pacing = Pacing::ClosedLoop { in_flight: None };
/// The most that an engine may keep of one peer's echo: what it reads in one go before it notices.
const HELD: u64 = 8 << 20;
/// Small enough that a peer which does not read is noticed soon.
const NARROW: usize = 64 * 1024;

/// A server whose accepted sockets have narrow buffers.
fn narrow_server(engine: Engine) -> Serve {
    let mut setup = Serve::on(engine);
    setup.listeners = vec![peer::listener_with("127.0.0.1:0", 100, Some(NARROW)).into()];
    setup
}

/// Writes the stream until the other end takes no more for a while, but no more than `most`.
fn write_until_blocked(peer: &mut TcpStream, stream: &mut Endless, most: usize) {
    peer.set_nonblocking(true).expect("O_NONBLOCK");
    let mut progress = Instant::now();
    while stream.at < most && progress.elapsed() < Duration::from_millis(300) {
        match peer.write(stream.next(most - stream.at)) {
            Ok(n) => {
                stream.at += n;
                progress = Instant::now();
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(e) => panic!("write: {e}"),
        }
    }
    peer.set_nonblocking(false).expect("O_NONBLOCK");
}

/// Reads the echo of the stream up to `end`.
fn read_to(peer: &mut TcpStream, echo: &mut Endless, end: usize) {
    let mut buffer = vec![0; 256 * 1024];
    while echo.at < end {
        let most = buffer.len().min(end - echo.at);
        match peer.read(&mut buffer[..most]) {
            Ok(0) => panic!("closed after {} of {end} bytes", echo.at),
            Ok(n) => echo.check(&buffer[..n]),
            Err(e) => panic!("{e} after {} of {end} bytes", echo.at),
        }
    }
}

fn held(side: &Side) -> u64 {
    let tally = side.tally();
    tally.bytes_received - tally.bytes_sent
}

fn a_peer_that_does_not_read_its_echo_is_not_read_from(engine: Engine) {
    const BYTES: usize = 20_000_000;
    let side = narrow_server(engine).with(|| Echo);
    let mut peer = peer::connect_narrow(side.address(), NARROW);
    let (mut stream, mut echo) = (Endless::new(), Endless::new());
    // Twice, so that reading goes on after a pause and stops again.
    for _ in 0..2 {
        write_until_blocked(&mut peer, &mut stream, BYTES);
        assert!(stream.at < BYTES, "everything is taken, nothing is read");
        assert!(held(&side) <= HELD, "{} bytes are held", held(&side));
        read_to(&mut peer, &mut echo, stream.at);
    }
    // And on at full speed.
    let mut reader = peer.try_clone().expect("a second handle");
    let reading = thread::spawn(move || {
        read_to(&mut reader, &mut echo, BYTES);
        echo.at
    });
    while stream.at < BYTES {
        let n = peer.write(stream.next(BYTES - stream.at)).expect("taken");
        stream.at += n;
    }
    assert_eq!(reading.join().expect("an unbroken echo"), BYTES);
    assert_eq!(side.tally().bytes_received, BYTES as u64);
    side.wait("all is sent", |t| t.bytes_sent == BYTES as u64);
    side.close();
}

fn a_stalled_peer_does_not_stall_the_others(engine: Engine) {
    let side = narrow_server(engine).with(|| Echo);
    let mut stalled = peer::connect_narrow(side.address(), NARROW);
    let (mut stream, mut echo) = (Endless::new(), Endless::new());
    write_until_blocked(&mut stalled, &mut stream, usize::MAX);
    let mut lively = peer::connect(side.address());
    for len in [1, 100, 10_000, 60_000] {
        peer::round_trip(&mut lively, &peer::noise(len as u64, len));
    }
    read_to(&mut stalled, &mut echo, stream.at);
    side.close();
}

fn what_waits_for_many_stalled_peers_comes_in_the_end(engine: Engine) {
    let side = narrow_server(engine).with(|| Echo);
    let mut peers = Vec::new();
    for _ in 0..24 {
        let mut peer = peer::connect_narrow(side.address(), NARROW);
        peer.set_nonblocking(true).expect("O_NONBLOCK");
        let mut stream = Endless::new();
        // All stall together: each writes what goes without waiting for long.
        for _ in 0..20 {
            while let Ok(n) = peer.write(stream.next(NARROW)) {
                stream.at += n;
            }
            thread::sleep(Duration::from_millis(1));
        }
        peer.set_nonblocking(false).expect("O_NONBLOCK");
        peers.push((peer, stream));
    }
    for (peer, stream) in &mut peers {
        peer.shutdown(Shutdown::Write).expect("shut down");
        let mut echo = Endless::new();
        read_to(peer, &mut echo, stream.at);
        assert_eq!(peer.read(&mut [0; 1]).expect("no reset"), 0);
    }
    let tally = side.wait("all end", |t| t.closed(Closed::ByPeer) == 24);
    assert_eq!(tally.bytes_sent, tally.bytes_received);
    side.close();
}

fn a_byte_at_a_time_comes_back_a_byte_at_a_time(engine: Engine) {
    let side = Serve::on(engine).with(|| Echo);
    let mut peer = peer::connect(side.address());
    peer.set_nodelay(true).expect("TCP_NODELAY");
    let bytes = peer::noise(1, 2000);
    for byte in bytes.chunks(1) {
        peer::round_trip(&mut peer, byte);
    }
    // And without waiting for the echo of one before the next.
    for byte in bytes.chunks(1) {
        peer.write_all(byte).expect("sent");
    }
    let mut back = vec![0; bytes.len()];
    peer.read_exact(&mut back).expect("echoed");
    assert!(back == bytes);
    side.close();
}

fn messages_of_every_size_come_back(engine: Engine) {
    const SIZES: &[usize] = &[
        1,
        2,
        0,
        1460,
        4096,
        16_383,
        16_384,
        16_385,
        65_535,
        65_536,
        200_000,
        1 << 20,
    ];
    let report = Arc::new(Report::default());
    let server = Serve::on(engine).with(|| Echo);
    let client = Connect::to(engine, &[server.address()], 12)
        .with(|| RoundTrips::new(SIZES, 24, false, &report));
    client.wait("all have all back", |_| report.complete() == 12);
    let all = 24 * SIZES.iter().sum::<usize>() as u64;
    server.wait("counted", |t| {
        t.bytes_sent == all && t.bytes_received == all
    });
    let tally = client.tally();
    assert_eq!((tally.bytes_sent, tally.bytes_received), (all, all));
    client.close();
    report.assert_perfect(12);
    server.close();
}

fn a_message_is_sent_whole_through_the_smallest_buffers(engine: Engine) {
    const BYTES: usize = 300_000;
    let memory = peer::noise(4, BYTES);
    let sent = Arc::new(Mutex::new(Vec::new()));
    let mut setup = Serve::on(engine);
    // The kernel makes that its least, 2304 or 4608 bytes.
    setup.listeners = vec![peer::listener_with("127.0.0.1:0", 100, Some(1)).into()];
    let side = setup.with(|| {
        let sent = Arc::clone(&sent);
        script(
            memory.clone(),
            move |(): &mut (), event, _, out| match event {
                Event::Opened(_) => out.send = Transmit::Memory(0..BYTES as u32),
                Event::Sent(n) => {
                    sent.lock().unwrap().push(n);
                    out.close = true;
                }
                _ => {}
            },
        )
    });
    let mut peer = peer::connect_narrow(side.address(), 8192);
    let mut got = Vec::new();
    let mut buffer = [0; 5000];
    loop {
        match peer.read(&mut buffer).expect("no reset") {
            0 => break,
            n => got.extend_from_slice(&buffer[..n]),
        }
        // Now and then the peer reads nothing for a moment.
        if got.len() % 7 == 0 {
            thread::sleep(Duration::from_micros(300));
        }
    }
    assert_eq!(got.len(), BYTES);
    assert!(got == memory);
    let (tally, _) = side.close();
    assert_eq!(tally.bytes_sent, BYTES as u64);
    assert_eq!(*sent.lock().unwrap(), [BYTES], "one send is reported once");
}

fn a_slow_reader_gets_an_unbroken_flood(engine: Engine) {
    const BYTES: usize = 6_000_000;
    let message = peer::noise(2, 10_007);
    let listener = peer::listener_with("127.0.0.1:0", 100, Some(NARROW));
    let target = listener.local_addr().expect("bound");
    let side = Connect::to(engine, &[target], 1)
        .with(|| load(Pacing::Flood, Traffic::On, b"hello", &message, u32::MAX));
    let mut peer = peer::accept(&listener, 1).remove(0);
    let mut hello = [0; 5];
    peer.read_exact(&mut hello).expect("the first message");
    assert_eq!(&hello, b"hello");
    let mut at = 0;
    let mut buffer = vec![0; 30_000];
    while at < BYTES {
        let n = peer.read(&mut buffer).expect("the flood");
        for byte in &buffer[..n] {
            assert_eq!(*byte, message[at % message.len()], "at byte {at}");
            at += 1;
        }
        thread::sleep(Duration::from_micros(200));
    }
    side.close();
}

fn sends_go_out_in_order_and_are_reported_when_done(engine: Engine) {
    const PIECES: &[usize] = &[1, 1, 3000, 1, 1 << 20, 17, 65_536, 1];
    let memory = peer::noise(6, PIECES.iter().sum());
    let side = Serve::on(engine).with(|| {
        // Which piece is under way, and where it begins.
        script(memory.clone(), |c: &mut (usize, usize), event, _, out| {
            match event {
                Event::Opened(_) => *c = (0, 0),
                Event::Sent(n) => {
                    assert_eq!(n, PIECES[c.0], "all of what was asked");
                    *c = (c.0 + 1, c.1 + n);
                }
                _ => return,
            }
            match PIECES.get(c.0) {
                Some(len) => out.send = Transmit::Memory(c.1 as u32..(c.1 + len) as u32),
                None => out.close = true,
            }
        })
    });
    for _ in 0..5 {
        let mut peer = peer::connect(side.address());
        let mut got = Vec::new();
        peer.read_to_end(&mut got).expect("no reset");
        assert_eq!(got.len(), memory.len());
        assert!(got == memory);
    }
    side.close();
}

fn an_empty_send_is_done_at_once(engine: Engine) {
    let side = Serve::on(engine).with(|| {
        script(*b"after", |(): &mut (), event, _, out| match event {
            Event::Opened(_) => out.send = Transmit::Memory(2..2),
            Event::Sent(0) => out.send = Transmit::Memory(0..5),
            Event::Sent(_) => out.close = true,
            _ => {}
        })
    });
    for _ in 0..20 {
        let mut got = Vec::new();
        peer::connect(side.address())
            .read_to_end(&mut got)
            .expect("no reset");
        assert_eq!(got, b"after");
    }
    let (tally, _) = side.close();
    assert_eq!(tally.bytes_sent, 100);
}

fn a_load_without_messages_sends_nothing(engine: Engine) {
    let server = Serve::on(engine).with(|| Echo);
    let client = Connect::to(engine, &[server.address()], 50)
        .with(|| load(Pacing::Flood, Traffic::On, b"", b"", 1));
    client.wait("all are up", |t| t.open() == 50);
    client.stays("silent", |t| {
        t.open() == 50 && t.bytes_sent == 0 && t.writes == 0
    });
    assert_eq!(server.tally().reads, 0);
    client.close();
    server.close();
}

fn a_closed_loop_counts_each_echo_once(engine: Engine) {
    for size in [1, 100, 1 << 20] {
        let server = Serve::on(engine).with(|| Echo);
        let message = peer::noise(2, size);
        let client = Connect::to(engine, &[server.address()], 10)
            .with(|| load(LOOP, Traffic::On, b"", &message, 1));
        client.wait("many round trips", |t| t.messages_received >= 50);
        client.give(Order::StopTraffic);
        client.settles("the last echo", |t| t.messages_sent == t.messages_received);
        let (tally, measured) = client.close();
        assert_eq!(tally.bytes_sent, tally.messages_sent * size as u64);
        assert_eq!(tally.bytes_received, tally.bytes_sent);
        assert_eq!(measured.service.count(), tally.messages_received);
        assert_eq!(measured.connect.count(), 10);
        server.close();
    }
}

fn what_one_side_sent_the_other_received(engine: Engine) {
    let server = Serve::on(engine).with(|| Sink);
    let message = peer::noise(2, 777);
    let client = Connect::to(engine, &[server.address()], 40)
        .with(|| load(Pacing::Flood, Traffic::On, b"first", &message, u32::MAX));
    client.wait("a flood", |t| t.bytes_sent > 20_000_000);
    client.give(Order::StopTraffic);
    // What is under way is still finished.
    client.settles("all is sent", |t| {
        t.bytes_sent == server.tally().bytes_received
    });
    let (tally, _) = client.close();
    assert_eq!(tally.bytes_sent, 40 * 5 + tally.messages_sent * 777);
    server.wait("all leave", |t| t.closed_in_all() == 40);
    let (served, _) = server.close();
    assert_eq!(served.bytes_received, tally.bytes_sent);
    assert_eq!((served.bytes_sent, tally.bytes_received), (0, 0));
}
