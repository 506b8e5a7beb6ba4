//! Headers of the PROXY protocol, which connections begin with.

use crate::peer;
use crate::rig::Connect;
use crate::script::{Event, script};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use throng_core::behaviour::Transmit;
use throng_core::engine::Engine;
use throng_core::protocol::proxy_protocol::{Headers, Version};
use throng_core::protocol::raw::Echo;

on_each_engine![
    each_connection_begins_with_a_header_of_its_own,
    a_server_that_speaks_first_is_answered_after_the_header,
    a_large_first_message_follows_its_header,
    headers_of_connections_that_are_reset_at_once_are_forgotten,
];

/// Two workers whose `count` connections begin with headers.
fn to(engine: Engine, listener: &TcpListener, count: u32, version: Version) -> Connect {
    let mut setup = Connect::to(engine, &[listener.local_addr().expect("bound")], count);
    setup.workers = 2;
    setup.headers = Some(Headers::new(version, &[]));
    setup
}

/// The line that a peer begins with.
fn line(peer: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("a text")
}

fn each_connection_begins_with_a_header_of_its_own(engine: Engine) {
    let listener = peer::listener();
    let told = Arc::new(AtomicU64::new(0));
    let client = to(engine, &listener, 40, Version::V1).with(|| {
        let told = Arc::clone(&told);
        script(*b"hello", move |(), event, _, out| match event {
            Event::Opened(_) => out.send = Transmit::Memory(0..5),
            Event::Sent(n) => drop(told.fetch_add(n as u64, Relaxed)),
            _ => {}
        })
    });
    let mut peers = peer::accept(&listener, 40);
    let port = listener.local_addr().expect("bound").port();
    let mut lines = HashSet::new();
    let mut bytes = 0;
    for peer in &mut peers {
        let line = line(peer);
        assert!(line.starts_with("PROXY TCP4 198.18.0."), "{line:?}");
        let end = format!(" 127.0.0.1 1024 {port}\r\n");
        assert!(line.ends_with(&end), "{line:?}");
        let mut message = [0; 5];
        peer.read_exact(&mut message).expect("a message");
        assert_eq!(&message, b"hello");
        bytes += line.len() as u64 + 5;
        lines.insert(line);
    }
    assert_eq!(lines.len(), 40);
    client.wait("all is sent", |t| t.bytes_sent == bytes && t.writes == 80);
    // The behaviour is not told of the headers.
    assert_eq!(told.load(Relaxed), 40 * 5);
    let (tally, _) = client.close();
    assert_eq!((tally.established, tally.bytes_sent), (40, bytes));
}

fn a_server_that_speaks_first_is_answered_after_the_header(engine: Engine) {
    let listener = peer::listener();
    let client = to(engine, &listener, 20, Version::V2).with(|| Echo);
    for mut peer in peer::accept(&listener, 20) {
        peer.write_all(b"greeting").expect("sent");
        let mut all = [0; 28 + 8];
        peer.read_exact(&mut all).expect("a header and an echo");
        assert_eq!(all[..12], *b"\r\n\r\n\0\r\nQUIT\n");
        assert_eq!(&all[28..], b"greeting");
    }
    let (tally, _) = client.close();
    assert_eq!((tally.established, tally.bytes_sent), (20, 20 * 36));
}

fn a_large_first_message_follows_its_header(engine: Engine) {
    const LEN: usize = 1 << 20;
    let listener = peer::listener();
    let message = peer::noise(1, LEN);
    let client = to(engine, &listener, 2, Version::V2).with(|| {
        script(message.clone(), |(), event, _, out| {
            if let Event::Opened(_) = event {
                out.send = Transmit::Memory(0..LEN as u32);
            }
        })
    });
    for mut peer in peer::accept(&listener, 2) {
        let mut all = vec![0; 28 + LEN];
        peer.read_exact(&mut all).expect("a header and a message");
        assert_eq!(all[..12], *b"\r\n\r\n\0\r\nQUIT\n");
        assert!(all[28..] == message);
    }
    client.close();
}

fn headers_of_connections_that_are_reset_at_once_are_forgotten(engine: Engine) {
    let listener = peer::listener();
    let mut setup = to(engine, &listener, 10, Version::V1);
    setup.reconnect = true;
    let client = setup.with(|| Echo);
    for _ in 0..5 {
        peer::accept(&listener, 10)
            .into_iter()
            .for_each(peer::reset);
    }
    // Each attempt that could send its header was established, whatever came after it.
    let mut peers = peer::accept(&listener, 10);
    for peer in &mut peers {
        line(peer);
        peer::round_trip(peer, b"still here");
    }
    client.wait("open", |t| t.open() == 10);
    let (tally, _) = client.close();
    assert_eq!(
        tally.attempted,
        tally.established + tally.failed_in_all(),
        "{tally:?}"
    );
}
