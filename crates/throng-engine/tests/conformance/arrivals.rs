//! What arrives for the worker as a whole and goes to its connections in turn; and what it measured
//! meanwhile.

use crate::peer;
use crate::rig::{Connect, wait_until};
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::engine::Engine;
use throng_core::stats::Measured;
use throng_core::time::Time;

on_each_engine![
    what_arrives_goes_to_each_connection_in_turn,
    what_was_measured_is_collected_once,
];

const EVERY: Duration = Duration::from_micros(300);
const ARRIVALS: u32 = 2000;

/// Sends a byte on the next connection every so often, and measures how late.
struct Ticks {
    left: u32,
    waiting: u32,
    next: Time,
    measured: Measured,
}

impl Behaviour for Ticks {
    type Conn = ();

    fn memory(&self) -> std::sync::Arc<[u8]> {
        (*b"x").into()
    }

    fn opened(&mut self, (): &mut (), at: &At, _: &mut Outbox) {
        if self.next == Time(u64::MAX) {
            self.next = at.now;
        }
    }

    fn received(&mut self, (): &mut (), _: &[u8], _: &At, _: &mut Outbox) {}

    fn arrived(&mut self, now: Time) -> u32 {
        while self.next <= now && self.left > 0 {
            self.measured.lateness.record(now.since(self.next));
            self.next = self.next + EVERY;
            self.left -= 1;
            self.waiting += 1;
        }
        self.waiting
    }

    fn next_arrival(&self) -> Option<Time> {
        (self.left > 0 && self.next < Time(u64::MAX)).then_some(self.next)
    }

    fn turn(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        self.waiting -= 1;
        out.send = Transmit::Memory(0..1);
    }

    fn take_measured(&mut self) -> Measured {
        std::mem::take(&mut self.measured)
    }
}

fn ticks() -> Ticks {
    Ticks {
        left: ARRIVALS,
        waiting: 0,
        next: Time(u64::MAX),
        measured: Measured::default(),
    }
}

fn what_arrives_goes_to_each_connection_in_turn(engine: Engine) {
    const CONNECTIONS: u32 = 7;
    let listener = peer::listener();
    let address = listener.local_addr().unwrap();
    let side = Connect::to(engine, &[address], CONNECTIONS).with(ticks);
    let streams = peer::accept(&listener, CONNECTIONS as usize);
    side.wait("all is sent", |t| t.bytes_sent == u64::from(ARRIVALS));
    side.stays("no more is sent", |t| t.bytes_sent == u64::from(ARRIVALS));
    let counts = streams.iter().map(|stream| {
        let mut bytes = vec![0; ARRIVALS as usize];
        stream.peek(&mut bytes).expect("what was sent")
    });
    let mut counts: Vec<usize> = counts.collect();
    counts.sort_unstable();
    // While connections were being established, those already open had all the turns.
    let (least, most) = (counts[0], counts[counts.len() - 1]);
    assert!(most - least < 200, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), ARRIVALS as usize);
    side.close();
}

fn what_was_measured_is_collected_once(engine: Engine) {
    let listener = peer::listener();
    let address = listener.local_addr().unwrap();
    let side = Connect::to(engine, &[address], 1).with(ticks);
    let _stream = peer::accept(&listener, 1);
    let mut collected = 0;
    side.wait("some is sent", |t| t.bytes_sent > 100);
    while side.tally().bytes_sent < u64::from(ARRIVALS) {
        let number = side.control.collect();
        wait_until(
            "what was measured is there",
            || side.outlets[0].collected() == number,
            || format!("{:?}", side.outlets[0]),
        );
        collected += side.outlets[0].take().lateness.count();
    }
    assert!(collected > 100, "{collected} are there while it goes on");
    let (_, rest) = side.close();
    assert_eq!(collected + rest.lateness.count(), ARRIVALS.into());
    assert_eq!(rest.connect.count(), 0, "it was collected before");
}
