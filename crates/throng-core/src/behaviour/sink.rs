//! Counts what comes in and throws it away.

use super::{Behaviour, Outbox};
use crate::stats::Counters;
use crate::time::Time;

/// Receives and discards. The engine does the counting, so there is nothing left to do.
#[derive(Debug, Default)]
pub struct Sink;

impl Behaviour for Sink {
    type Conn = ();
    const TIMERS: bool = false;

    fn opened(&mut self, (): &mut (), _: u32, _: Time, _: &Counters, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), _: &[u8], _: Time, _: &Counters, _: &mut Outbox) {}
}
