//! Peers that leave, and how that is counted.

use crate::ends::{ROLES, all_end, flood, up, with_peers};
use crate::peer::{self, Endless};
use crate::rig::Serve;
use crate::script::{load, script};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Pacing, Traffic};
use throng_core::engine::Engine;
use throng_core::protocol::raw::{Echo, Sink};
use throng_core::stats::{Closed, FailCause, Tally};

on_each_engine![
    a_peer_that_closes_is_counted_as_closed_by_peer,
    a_peer_that_resets_is_counted_as_reset,
    a_peer_that_resets_while_it_is_sent_to_is_counted_as_reset,
    a_peer_that_sends_and_resets_at_once_is_counted_as_reset,
    a_peer_that_sends_and_closes_at_once_is_counted_as_closed_by_peer,
    a_peer_that_had_left_before_it_was_accepted_is_counted,
    a_peer_that_leaves_its_echo_unread_is_counted_as_reset,
    a_sink_closes_when_its_peer_half_closes,
    short_messages_end_when_their_peer_half_closes,
    an_echo_sends_everything_back_to_a_peer_that_half_closed,
    a_half_close_right_behind_the_data_loses_nothing,
    a_peer_that_comes_and_goes_without_a_byte_is_served,
];

fn a_peer_that_closes_is_counted_as_closed_by_peer(engine: Engine) {
    for client in ROLES {
        let (side, peers) = with_peers(engine, client, 20, || Sink);
        side.wait("all are up", |t| up(t) == 20);
        drop(peers);
        all_end(&side, 20, Closed::ByPeer);
        side.close();
    }
}

fn a_peer_that_resets_is_counted_as_reset(engine: Engine) {
    for client in ROLES {
        let (side, peers) = with_peers(engine, client, 20, || Echo);
        side.wait("all are up", |t| up(t) == 20);
        peers.into_iter().for_each(peer::reset);
        all_end(&side, 20, Closed::ResetByPeer);
        side.close();
    }
}

fn a_peer_that_resets_while_it_is_sent_to_is_counted_as_reset(engine: Engine) {
    for client in ROLES {
        let (side, mut peers) = with_peers(engine, client, 20, || flood(10_000));
        for peer in &mut peers {
            peer.read_exact(&mut [0; 100_000]).expect("the flood");
        }
        peers.into_iter().for_each(peer::reset);
        all_end(&side, 20, Closed::ResetByPeer);
        side.close();
    }
}

/// How a peer leaves right after its data, and how that is counted.
const LEAVES: [(fn(TcpStream), Closed); 2] =
    [(peer::reset, Closed::ResetByPeer), (drop, Closed::ByPeer)];

/// Receives and answers nothing.
fn mute() -> impl Behaviour<Conn = ()> + std::marker::Send + 'static {
    script([], |(): &mut (), _, _, _| {})
}

/// Every peer sends and leaves as `leaves` says, both after all are established and while they open.
fn send_and_leave<B>(
    engine: Engine,
    behaviour: impl Fn() -> B + Copy,
    (leave, why): (fn(TcpStream), Closed),
) where
    B: Behaviour + std::marker::Send + 'static,
    B::Conn: std::marker::Send,
{
    const PEERS: usize = 200;
    for (client, all_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let (side, peers) = with_peers(engine, client, PEERS, behaviour);
        if all_first {
            side.wait("all are up", |t| up(t) == PEERS as u64);
        }
        for mut peer in peers {
            peer.write_all(&[b'x'; 100]).expect("sent");
            leave(peer);
        }
        let ended = |t: &Tally| t.closed_in_all() + t.failed_in_all() == PEERS as u64;
        let tally = side.wait("all connections end", ended);
        // A reset that arrives before the attempt is seen to succeed fails the attempt.
        let failed = tally.failed(FailCause::Reset);
        assert!(failed == 0 || client && !all_first && why == Closed::ResetByPeer);
        assert_eq!(tally.closed(why) + failed, PEERS as u64, "{tally:?}");
        assert_eq!(tally.bytes_received, tally.closed(why) * 100);
        side.close();
    }
}

fn a_peer_that_sends_and_resets_at_once_is_counted_as_reset(engine: Engine) {
    send_and_leave(engine, || Sink, LEAVES[0]);
    send_and_leave(engine, mute, LEAVES[0]);
    send_and_leave(engine, || Echo, LEAVES[0]);
}

fn a_peer_that_sends_and_closes_at_once_is_counted_as_closed_by_peer(engine: Engine) {
    send_and_leave(engine, || Sink, LEAVES[1]);
    send_and_leave(engine, mute, LEAVES[1]);
}

fn a_peer_that_had_left_before_it_was_accepted_is_counted(engine: Engine) {
    fn one<B>(engine: Engine, behaviour: fn() -> B, (leave, why): (fn(TcpStream), Closed))
    where
        B: Behaviour + std::marker::Send + 'static,
        B::Conn: std::marker::Send,
    {
        let setup = Serve::on(engine);
        let address = setup.addresses()[0];
        for _ in 0..100 {
            let mut peer = peer::connect(address);
            peer.write_all(&[b'x'; 100]).expect("sent");
            leave(peer);
        }
        let side = setup.with(behaviour);
        all_end(&side, 100, why);
        assert_eq!(side.tally().bytes_received, 100 * 100);
        side.close();
    }
    for leaves in LEAVES {
        one(engine, || Sink, leaves);
        one(engine, mute, leaves);
    }
    one(engine, || Echo, LEAVES[0]);
}

fn a_peer_that_leaves_its_echo_unread_is_counted_as_reset(engine: Engine) {
    let (side, mut peers) = with_peers(engine, false, 50, || Echo);
    for peer in &mut peers {
        peer.write_all(&peer::noise(5, 60_000)).expect("sent");
    }
    for peer in &peers {
        // Some of the echo is there, so that closing answers it with a reset (RFC 2525, section 2.17).
        assert!(peer.peek(&mut [0; 1]).expect("an echo") > 0);
    }
    drop(peers);
    all_end(&side, 50, Closed::ResetByPeer);
    // The engine is as good as new.
    peer::round_trip(&mut peer::connect(side.address()), b"still there?");
    side.close();
}

fn a_sink_closes_when_its_peer_half_closes(engine: Engine) {
    for client in ROLES {
        let (side, mut peers) = with_peers(engine, client, 20, || Sink);
        for peer in &mut peers {
            peer.write_all(&peer::noise(5, 100_000)).expect("sent");
            peer.shutdown(Shutdown::Write).expect("shut down");
        }
        for peer in &mut peers {
            assert_eq!(peer.read(&mut [0; 1]).expect("no reset"), 0);
        }
        all_end(&side, 20, Closed::ByPeer);
        assert_eq!(side.tally().bytes_received, 20 * 100_000);
        side.close();
    }
}

fn short_messages_end_when_their_peer_half_closes(engine: Engine) {
    const PEERS: usize = 20;
    for client in ROLES {
        let (side, peers) = with_peers(engine, client, PEERS, || {
            load(Pacing::Flood, Traffic::On, b"", &[b'x'; 100], 1)
        });
        let readers: Vec<_> = peers
            .into_iter()
            .map(|mut peer| {
                thread::spawn(move || {
                    peer.read_exact(&mut [0; 10_000]).expect("a flood");
                    peer.shutdown(Shutdown::Write).expect("shut down");
                    // It goes on reading, so that nothing but the half close ends the flood. A reset may, too.
                    let _ = std::io::copy(&mut peer, &mut std::io::sink());
                })
            })
            .collect();
        all_end(&side, PEERS as u64, Closed::ByPeer);
        readers
            .into_iter()
            .for_each(|reader| reader.join().expect("a reader"));
        side.close();
    }
}

fn an_echo_sends_everything_back_to_a_peer_that_half_closed(engine: Engine) {
    const BYTES: usize = 8_000_000;
    let side = Serve::on(engine).with(|| Echo);
    let mut peer = peer::connect(side.address());
    let mut writer = peer.try_clone().expect("a second handle");
    let writing = thread::spawn(move || {
        let mut stream = Endless::new();
        while stream.at < BYTES {
            let n = stream.next(BYTES - stream.at).len();
            writer.write_all(stream.next(n)).expect("sent");
            stream.at += n;
        }
        writer.shutdown(Shutdown::Write).expect("shut down");
    });
    // The echo backs up first.
    thread::sleep(Duration::from_millis(200));
    let mut back = Endless::new();
    let mut buffer = vec![0; 100_000];
    loop {
        match peer.read(&mut buffer).expect("no reset") {
            0 => break,
            n => back.check(&buffer[..n]),
        }
    }
    writing.join().expect("the writer");
    assert_eq!(back.at, BYTES);
    all_end(&side, 1, Closed::ByPeer);
    let (tally, _) = side.close();
    assert_eq!(
        (tally.bytes_received, tally.bytes_sent),
        (BYTES as u64, BYTES as u64)
    );
}

fn a_half_close_right_behind_the_data_loses_nothing(engine: Engine) {
    let side = Serve::on(engine).with(|| Echo);
    for len in (1..=300).chain([16_384, 16_385, 40_000, 65_536]) {
        let mut peer = peer::connect(side.address());
        let sent = peer::noise(len as u64, len);
        peer.write_all(&sent).expect("sent");
        peer.shutdown(Shutdown::Write).expect("shut down");
        let mut back = Vec::new();
        peer.read_to_end(&mut back).expect("no reset");
        assert!(back == sent, "{} bytes came back of {len}", back.len());
    }
    all_end(&side, 304, Closed::ByPeer);
    side.close();
}

fn a_peer_that_comes_and_goes_without_a_byte_is_served(engine: Engine) {
    let side = Serve::on(engine).with(|| Echo);
    for _ in 0..200 {
        drop(peer::connect(side.address()));
    }
    all_end(&side, 200, Closed::ByPeer);
    let (tally, _) = side.close();
    assert_eq!(
        (tally.reads, tally.writes, tally.bytes_received),
        (0, 0, 0),
        "the end of a stream is not a read"
    );
}
