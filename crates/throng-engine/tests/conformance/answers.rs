//! What a behaviour writes itself, replies in between, and reading at its own pace.

use crate::peer;
use crate::rig::{Connect, Serve};
use crate::script::{Event, script};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Transmit};
use throng_core::engine::Engine;
use throng_core::protocol::raw::Sink;
use throng_core::stats::Closed;

on_each_engine![
    written_bytes_go_out_in_order_and_are_reported_when_done,
    replies_keep_their_place_among_sends_to_a_peer_that_is_slow,
    what_is_written_to_many_peers_at_once_is_not_mixed_up,
    replies_are_sent_before_closing,
    a_peer_that_only_listens_from_now_on_still_gets_its_replies,
    a_behaviour_that_asks_reads_no_more_than_it_asked_for,
    a_connection_that_is_never_read_from_is_notified_of_its_end,
    a_connection_that_is_read_from_no_more_is_notified_of_its_end,
    what_is_discarded_is_counted_to_the_last_byte,
    first_bytes_are_looked_at_and_later_ones_are_counted,
    a_connection_that_is_looked_at_is_notified_of_its_end,
];

/// Small enough that sends wait for the peer.
const NARROW: usize = 32 * 1024;

fn written_bytes_go_out_in_order_and_are_reported_when_done(engine: Engine) {
    const ROUNDS: usize = 3000;
    let listener = peer::listener();
    let address = listener.local_addr().unwrap();
    let side = Connect::to(engine, &[address], 1).with(|| {
        script(*b"", |round: &mut usize, event, _, out: &mut Outbox| {
            if let Event::Sent(n) = event {
                assert_eq!(n, 1 + *round % 700, "the length of the send before");
                *round += 1;
            }
            if matches!(event, Event::Opened(_) | Event::Sent(_)) && *round < ROUNDS {
                out.bytes.resize(1 + *round % 700, *round as u8);
                out.send = Transmit::Bytes;
            }
        })
    });
    let mut stream = peer::accept(&listener, 1).remove(0);
    for round in 0..ROUNDS {
        let mut got = vec![0; 1 + round % 700];
        stream.read_exact(&mut got).expect("all of it");
        assert!(got.iter().all(|b| *b == round as u8), "round {round}");
    }
    side.close();
}

/// Sends numbered lines one after the other, from memory and written in turn, and answers each byte that arrives with a
/// line of its own.
fn replies_keep_their_place_among_sends_to_a_peer_that_is_slow(engine: Engine) {
    const LINES: u32 = 400;
    const LINE: usize = 4000;
    const ASKED: usize = 50;
    #[derive(Default)]
    struct State {
        lines: u32,
        replies: u32,
    }
    let line = |kind: u8, n: u32| {
        let mut line = vec![kind; LINE];
        line[1..5].copy_from_slice(&n.to_be_bytes());
        line
    };
    let memory: Vec<u8> = (0..LINES).flat_map(|n| line(b'm', n)).collect();
    let listener = peer::listener_with("127.0.0.1:0", 10, Some(NARROW));
    let address = listener.local_addr().unwrap();
    let side = Connect::to(engine, &[address], 1).with(|| {
        script(
            memory.clone(),
            move |s: &mut State, event, _, out: &mut Outbox| match event {
                Event::Received(bytes) => {
                    for _ in bytes {
                        out.bytes.extend(line(b'r', s.replies));
                        s.replies += 1;
                    }
                    out.send = Transmit::Reply;
                }
                Event::Sent(n) if n != LINE => panic!("{n} bytes reported"),
                Event::Opened(_) | Event::Sent(_) if s.lines < LINES => {
                    let at = s.lines * LINE as u32;
                    out.send = if s.lines.is_multiple_of(3) {
                        out.bytes.extend(line(b'm', s.lines));
                        Transmit::Bytes
                    } else {
                        Transmit::Memory(at..at + LINE as u32)
                    };
                    s.lines += 1;
                }
                _ => {}
            },
        )
    });
    let mut stream = peer::accept(&listener, 1).remove(0);
    let (mut lines, mut replies, mut asked) = (0, 0, 0);
    while lines < LINES || replies < ASKED as u32 {
        if asked < ASKED && (lines + replies) % 4 == 0 {
            stream.write_all(b"?").expect("a question");
            asked += 1;
        }
        let mut got = vec![0; LINE];
        stream.read_exact(&mut got).expect("a whole line");
        let counted = match got[0] {
            b'm' => &mut lines,
            b'r' => &mut replies,
            other => panic!("a line of kind {other}"),
        };
        assert_eq!(got[1..5], counted.to_be_bytes(), "in order");
        assert!(got[5..].iter().all(|b| *b == got[0]), "a line in one piece");
        *counted += 1;
    }
    let all = (LINES as usize + ASKED) * LINE;
    side.wait("all is counted", |t| t.bytes_sent == all as u64);
    side.close();
}

fn what_is_written_to_many_peers_at_once_is_not_mixed_up(engine: Engine) {
    const PEERS: u32 = 300;
    const EACH: usize = 20_000;
    let listener = peer::listener_with("127.0.0.1:0", 1000, Some(NARROW));
    let address = listener.local_addr().unwrap();
    let side = Connect::to(engine, &[address], PEERS).with(|| {
        script(*b"", |sent: &mut (u8, u32), event, _, out: &mut Outbox| {
            if let Event::Opened(id) = event {
                sent.0 = id as u8;
            }
            if matches!(event, Event::Opened(_) | Event::Sent(_)) && sent.1 < 10 {
                sent.1 += 1;
                out.bytes.resize(EACH, sent.0);
                out.send = Transmit::Bytes;
            }
        })
    });
    let mut streams = peer::accept(&listener, PEERS as usize);
    // Nobody reads for a while, so that all of them are under way.
    side.settles("all are blocked", |t| t.established == u64::from(PEERS));
    for stream in &mut streams {
        let mut got = vec![0; EACH * 10];
        stream.read_exact(&mut got).expect("all of it");
        assert!(got.iter().all(|b| *b == got[0]), "one peer's bytes only");
    }
    side.close();
}

fn replies_are_sent_before_closing(engine: Engine) {
    let side = Serve::on(engine).with(|| {
        script(*b"", |(): &mut (), event, _, out: &mut Outbox| {
            if let Event::Received(_) = event {
                out.bytes.resize(1_000_000, 7);
                out.send = Transmit::Reply;
                out.close = true;
            }
        })
    });
    let mut stream = peer::connect(side.address());
    stream.write_all(b"bye").expect("taken");
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("all, then the end");
    assert_eq!(got.len(), 1_000_000);
    side.wait("it is counted as ours", |t| t.closed(Closed::ByUs) == 1);
    side.close();
}

fn a_peer_that_only_listens_from_now_on_still_gets_its_replies(engine: Engine) {
    let side = Serve::on(engine).with(|| {
        script(*b"", |(): &mut (), event, _, out: &mut Outbox| {
            if let Event::Received(_) = event {
                out.bytes.resize(5_000_000, 7);
                out.send = Transmit::Reply;
            }
        })
    });
    let mut stream = peer::connect_narrow(side.address(), NARROW);
    stream.write_all(b"?").expect("taken");
    stream.shutdown(Shutdown::Write).expect("half closed");
    side.wait("the question came", |t| t.bytes_received == 1);
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("all, then the end");
    assert_eq!(got.len(), 5_000_000);
    side.wait("it is counted as the peer's", |t| {
        t.closed(Closed::ByPeer) == 1
    });
    side.close();
}

/// Reads a piece every few milliseconds.
struct Sips {
    most: Arc<Mutex<Vec<usize>>>,
}

const SIP: u32 = 1000;

impl Behaviour for Sips {
    type Conn = ();

    fn reads(&self) -> Reads {
        Reads::Asked
    }

    fn opened(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        out.read = SIP;
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], at: &At, out: &mut Outbox) {
        self.most.lock().unwrap().push(bytes.len());
        out.wake = Some(at.now + Duration::from_millis(3));
    }

    fn woken(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        out.read = SIP;
    }
}

fn a_behaviour_that_asks_reads_no_more_than_it_asked_for(engine: Engine) {
    let sips = Arc::new(Mutex::new(Vec::new()));
    let mut setup = Serve::on(engine);
    setup.listeners = vec![peer::listener_with("127.0.0.1:0", 10, Some(NARROW)).into()];
    let side = setup.with(|| Sips {
        most: Arc::clone(&sips),
    });
    let mut stream = peer::connect_narrow(side.address(), NARROW);
    stream.write_all(&[1; 100_000]).expect("taken in the end");
    side.wait("all is read", |t| t.bytes_received == 100_000);
    assert!(sips.lock().unwrap().iter().all(|n| *n <= SIP as usize));
    assert!(sips.lock().unwrap().len() >= 100);
    // It asks again, and there is nothing; then there is.
    thread::sleep(Duration::from_millis(50));
    stream.write_all(b"more").expect("taken");
    side.wait("what came late is read", |t| t.bytes_received == 100_004);
    drop(stream);
    side.wait("the end is noticed", |t| t.closed(Closed::ByPeer) == 1);
    side.close();
}

struct NeverReads;

impl Behaviour for NeverReads {
    type Conn = ();
    const TIMERS: bool = false;

    fn reads(&self) -> Reads {
        Reads::Never
    }

    fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), bytes: &[u8], _: &At, _: &mut Outbox) {
        panic!("{} bytes were read", bytes.len());
    }
}

fn a_connection_that_is_never_read_from_is_notified_of_its_end(engine: Engine) {
    let side = Serve::on(engine).with(|| NeverReads);
    let mut closes = peer::connect(side.address());
    closes.write_all(b"nobody reads this").expect("taken");
    let resets = peer::connect(side.address());
    side.wait("both are up", |t| t.accepted == 2);
    side.stays("both are up", |t| t.open() == 2);
    peer::reset(resets);
    side.wait("the reset is noticed", |t| {
        t.closed(Closed::ResetByPeer) == 1
    });
    drop(closes);
    side.wait("the end is noticed", |t| t.closed(Closed::ByPeer) == 1);
    let (tally, _) = side.close();
    assert_eq!(tally.bytes_received, 0);
}

/// Reads five bytes, then nothing.
struct ReadsFive;

impl Behaviour for ReadsFive {
    type Conn = ();
    const TIMERS: bool = false;

    fn reads(&self) -> Reads {
        Reads::Asked
    }

    fn opened(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        out.read = 5;
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], at: &At, out: &mut Outbox) {
        assert_eq!(bytes, b"first");
        at.counters.tls.secured.add(1);
        out.watch = true;
    }
}

fn a_connection_that_is_read_from_no_more_is_notified_of_its_end(engine: Engine) {
    let side = Serve::on(engine).with(|| ReadsFive);
    let stays = peer::connect(side.address());
    let (mut closes, mut resets) = (peer::connect(side.address()), peer::connect(side.address()));
    // A peer that left before everything was read.
    let mut left = peer::connect(side.address());
    left.write_all(b"firstand more").expect("taken");
    drop(left);
    side.wait("it has left", |t| {
        t.closed(Closed::ByPeer) + t.closed(Closed::ResetByPeer) == 1
    });
    for stream in [&stays, &closes, &resets] {
        let mut stream: &std::net::TcpStream = stream;
        stream.write_all(b"first").expect("taken");
    }
    side.wait("all are read", |t| t.tls.secured == 4);
    closes.write_all(b"nobody reads this").expect("taken");
    resets.write_all(b"nor this").expect("taken");
    side.stays("three are up", |t| t.open() == 3);
    peer::reset(resets);
    drop(closes);
    side.wait("both ends are noticed", |t| t.open() == 1);
    let (tally, _) = side.close();
    assert!(tally.closed(Closed::ResetByPeer) >= 1, "{tally:?}");
    assert_eq!(tally.bytes_received, 4 * 5);
    assert_eq!(tally.closed(Closed::ByUs), 1);
    drop(stays);
}

fn what_is_discarded_is_counted_to_the_last_byte(engine: Engine) {
    const BYTES: usize = 50_000_000;
    let side = Serve::on(engine).with(|| Sink);
    let mut stream = peer::connect(side.address());
    let piece = peer::noise(3, 1_000_003);
    let mut left = BYTES;
    while left > 0 {
        let n = left.min(piece.len());
        stream.write_all(&piece[..n]).expect("taken");
        left -= n;
    }
    side.wait("all is there", |t| t.bytes_received == BYTES as u64);
    drop(stream);
    side.wait("the end is noticed", |t| t.closed(Closed::ByPeer) == 1);
    side.close();
}

/// Looks at the first [`LOOKED_AT`] bytes of each connection, and counts the others. If only one arrives at first, it
/// closes.
struct Looks;

const LOOKED_AT: usize = 10;

impl Behaviour for Looks {
    type Conn = Vec<u8>;
    const TIMERS: bool = false;

    fn reads(&self) -> Reads {
        Reads::Looks
    }

    fn looks(&self, seen: &Vec<u8>) -> bool {
        seen.len() < LOOKED_AT
    }

    fn opened(&mut self, _: &mut Vec<u8>, _: &At, _: &mut Outbox) {}

    fn received(&mut self, seen: &mut Vec<u8>, bytes: &[u8], at: &At, out: &mut Outbox) {
        assert!(seen.len() < LOOKED_AT, "enough was seen");
        seen.extend_from_slice(bytes);
        assert_eq!(seen[..], peer::noise(0, seen.len())[..]);
        at.counters.answers.add(bytes.len() as u64);
        out.close = seen.len() == 1;
    }

    fn counted(&mut self, seen: &mut Vec<u8>, n: usize, at: &At, _: &mut Outbox) {
        assert!(seen.len() >= LOOKED_AT, "{} bytes were seen", seen.len());
        at.counters.questions.add(n as u64);
    }

    fn closed(&mut self, seen: &mut Vec<u8>, _: Closed, _: &At) {
        seen.clear();
    }
}

fn first_bytes_are_looked_at_and_later_ones_are_counted(engine: Engine) {
    // More than there are buffers, whose first bytes arrive while the engine has not begun to read them.
    const PEERS: usize = 400;
    const BYTES: usize = 50_000;
    let side = Serve::on(engine).with(|| Looks);
    let mut peers: Vec<_> = (0..PEERS).map(|_| peer::connect(side.address())).collect();
    let bytes = peer::noise(0, BYTES);
    for (first, rest) in [(0, 4), (4, 30), (30, BYTES)] {
        for stream in &mut peers {
            stream.write_all(&bytes[first..rest]).expect("taken");
        }
        let all = (rest * PEERS) as u64;
        let tally = side.wait("all has arrived", |t| t.bytes_received == all);
        side.wait("all is told", |t| t.answers + t.questions == all);
        // At least the first piece of each was seen.
        assert!(tally.answers >= 4 * PEERS as u64, "{tally:?}");
    }
    let tally = side.tally();
    assert!(
        tally.questions >= ((BYTES - 30) * PEERS / 2) as u64,
        "{tally:?}"
    );
    drop(peers);
    side.wait("all ends are noticed", |t| {
        t.closed_in_all() == PEERS as u64
    });
    // In the places of the others, connections are looked at again.
    let mut again = peer::connect(side.address());
    again.write_all(&bytes[..9]).expect("taken");
    side.wait("it is looked at", |t| t.answers == tally.answers + 9);
    side.close();
}

fn a_connection_that_is_looked_at_is_notified_of_its_end(engine: Engine) {
    let side = Serve::on(engine).with(|| Looks);
    let bytes = peer::noise(0, 100);
    // Before the first byte, after some that were looked at, and after some that were counted.
    for sent in [0, 5, 100] {
        let before = side.tally();
        let [mut closes, mut resets] = [0, 1].map(|_| peer::connect(side.address()));
        for stream in [&mut closes, &mut resets] {
            stream.write_all(&bytes[..sent]).expect("taken");
        }
        let all = before.bytes_received + 2 * sent as u64;
        side.wait("both are up, and all is read", |t| {
            t.open() == 2 && t.bytes_received == all
        });
        peer::reset(resets);
        side.wait("the reset is noticed", |t| {
            t.closed(Closed::ResetByPeer) == before.closed(Closed::ResetByPeer) + 1
        });
        drop(closes);
        side.wait("the end is noticed", |t| {
            t.closed(Closed::ByPeer) == before.closed(Closed::ByPeer) + 1
        });
    }
    // Data and the reset arrive together.
    let before = side.tally();
    for _ in 0..50 {
        let mut resets = peer::connect(side.address());
        resets.write_all(&bytes[..50]).expect("taken");
        peer::reset(resets);
    }
    side.wait("all ends are noticed", |t| {
        t.closed_in_all() + t.failed_in_all() >= before.closed_in_all() + 50
    });
    // The first look has the connection closed.
    let mut closed = peer::connect(side.address());
    closed.write_all(&bytes[..1]).expect("taken");
    assert!(peer::ended(&mut closed));
    side.wait("it is closed", |t| t.closed(Closed::ByUs) == 1);
    let waits = peer::connect(side.address());
    side.wait("one is looked at at the end", |t| t.open() == 1);
    side.close();
    drop(waits);
}
