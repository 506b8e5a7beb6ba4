//! Bytes that a behaviour does not need, which may stay in the kernel.

use crate::peer;
use crate::rig::Serve;
use std::io::{Read, Write};
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::engine::Engine;
use throng_core::stats::Closed;

on_each_engine![
    what_is_skipped_is_counted_and_what_follows_is_received,
    records_of_many_peers_are_skipped_side_by_side,
    a_connection_that_skips_is_notified_of_its_end,
    a_connection_that_skips_can_be_closed,
];

/// A length that no record has: the connection is closed a moment after it.
const CLOSE: u32 = u32::MAX;
/// More than all buffers of a worker have room for.
const LARGE: u32 = 8 * 1024 * 1024;

/// Reads records: a length of four bytes, and as many bytes, the last of which is answered. It counts what it receives
/// as answers, and what is skipped as questions.
struct Records;

#[derive(Default)]
struct Record {
    head: [u8; 4],
    had: usize,
    left: u64,
}

impl Behaviour for Records {
    type Conn = Record;
    const SKIPS: bool = true;

    fn skips(&self, record: &Record) -> u64 {
        record.left.saturating_sub(1)
    }

    fn opened(&mut self, _: &mut Record, _: &At, _: &mut Outbox) {}

    fn received(&mut self, record: &mut Record, bytes: &[u8], at: &At, out: &mut Outbox) {
        at.counters.answers.add(bytes.len() as u64);
        for byte in bytes {
            match record.left {
                0 => {
                    record.head[record.had] = *byte;
                    record.had += 1;
                    if record.had == 4 {
                        record.had = 0;
                        let length = u32::from_le_bytes(record.head);
                        record.left = length.into();
                        if length == CLOSE {
                            out.wake = Some(at.now + Duration::from_millis(20));
                        }
                    }
                }
                1 => {
                    record.left = 0;
                    out.bytes.push(*byte);
                    out.send = Transmit::Reply;
                }
                _ => record.left -= 1,
            }
        }
    }

    fn counted(&mut self, record: &mut Record, n: usize, at: &At, _: &mut Outbox) {
        assert!((n as u64) < record.left, "{n} of {}", record.left);
        record.left -= n as u64;
        at.counters.questions.add(n as u64);
    }

    fn woken(&mut self, _: &mut Record, _: &At, out: &mut Outbox) {
        out.close = true;
    }

    fn closed(&mut self, record: &mut Record, _: Closed, _: &At) {
        *record = Record::default();
    }
}

/// A record whose last byte is `last`.
fn record(length: u32, last: u8) -> Vec<u8> {
    let mut bytes = Vec::from(length.to_le_bytes());
    bytes.resize(4 + length as usize, 0xff);
    *bytes.last_mut().expect("a byte") = last;
    bytes
}

fn what_is_skipped_is_counted_and_what_follows_is_received(engine: Engine) {
    let side = Serve::on(engine).with(|| Records);
    let mut stream = peer::connect(side.address());
    let mut all = 0;
    // One after the other, so that each begins with nothing under way; then all at once.
    let lengths = [1, LARGE, 2, 70_000, LARGE + 1, 65_537, 65_538, 3, LARGE, 1];
    for (i, length) in lengths.into_iter().enumerate() {
        let bytes = record(length, i as u8);
        stream.write_all(&bytes).expect("taken");
        let mut answer = [0];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, [i as u8], "{length}");
        all += bytes.len() as u64;
        side.wait("all is told", |t| {
            t.bytes_received == all && t.answers + t.questions == all
        });
    }
    let tally = side.tally();
    assert!(tally.questions > all / 4, "{tally:?}");
    let bytes: Vec<u8> = (0..20)
        .flat_map(|i| record(i * 100_000 + 1, i as u8))
        .collect();
    stream.write_all(&bytes).expect("taken");
    let mut answers = [0; 20];
    stream.read_exact(&mut answers).expect("answers");
    assert!(answers.iter().copied().eq(0..20), "{answers:?}");
    side.close();
}

fn records_of_many_peers_are_skipped_side_by_side(engine: Engine) {
    const PEERS: usize = 40;
    const LENGTH: u32 = 300_000;
    let side = Serve::on(engine).with(|| Records);
    let mut peers: Vec<_> = (0..PEERS).map(|_| peer::connect(side.address())).collect();
    for round in 0..4 {
        let bytes = record(LENGTH, round);
        for piece in bytes.chunks(100_000) {
            for stream in &mut peers {
                stream.write_all(piece).expect("taken");
            }
        }
        for stream in &mut peers {
            let mut answer = [0];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, [round]);
        }
    }
    let all = u64::from(LENGTH + 4) * PEERS as u64 * 4;
    side.wait("all is told", |t| {
        t.bytes_received == all && t.answers + t.questions == all
    });
    drop(peers);
    side.wait("all ends are noticed", |t| {
        t.closed(Closed::ByPeer) == PEERS as u64
    });
    side.close();
}

fn a_connection_that_skips_is_notified_of_its_end(engine: Engine) {
    let side = Serve::on(engine).with(|| Records);
    // With nothing of a record, so little that it is not skipped yet, and amid what is skipped.
    for sent in [4, 1_000, 200_000, 3_000_000] {
        let before = side.tally();
        let [mut closes, mut resets] = [0, 1].map(|_| peer::connect(side.address()));
        for stream in [&mut closes, &mut resets] {
            stream.write_all(&record(LARGE, 0)[..sent]).expect("taken");
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
    side.close();
}

fn a_connection_that_skips_can_be_closed(engine: Engine) {
    let side = Serve::on(engine).with(|| Records);
    let mut n = 0;
    for sent in [0, 1_000, 200_000, 3_000_000] {
        for _ in 0..20 {
            let mut stream = peer::connect(side.address());
            stream.write_all(&CLOSE.to_le_bytes()).expect("taken");
            // The connection may be closed meanwhile.
            let _ = stream.write_all(&vec![0; sent]);
            assert!(peer::ended(&mut stream));
            n += 1;
            side.wait("it is closed", |t| t.closed_in_all() == n);
        }
    }
    let mut waits = peer::connect(side.address());
    let bytes = record(LARGE, 0);
    waits.write_all(&bytes[..500_000]).expect("taken");
    side.wait("one skips at the end", |t| t.open() == 1);
    side.close();
}
