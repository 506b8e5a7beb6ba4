//! Servers that know no protocol: one sends everything back, one discards it.

use crate::behaviour::{At, Behaviour, Outbox, Reads, Transmit};

/// Echoes (as RFC 862 does): every byte goes back in order, and a peer that does not read is not read from.
#[derive(Debug, Default)]
pub struct Echo;

impl Behaviour for Echo {
    type Conn = ();
    const TIMERS: bool = false;

    fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), _: &[u8], _: &At, out: &mut Outbox) {
        out.send = Transmit::Back;
    }
}

/// Receives and discards. The engine does the counting, so there is nothing left to do.
#[derive(Debug, Default)]
pub struct Sink;

impl Behaviour for Sink {
    type Conn = ();
    const TIMERS: bool = false;

    fn reads(&self) -> Reads {
        Reads::Discards
    }

    fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), _: &[u8], _: &At, _: &mut Outbox) {}
}
