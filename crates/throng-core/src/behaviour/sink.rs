//! Counts what comes in and throws it away.

use super::{At, Behaviour, Outbox, Reads};

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
