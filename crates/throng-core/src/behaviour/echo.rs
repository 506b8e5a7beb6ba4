//! Sends back what comes in.

use super::{Behaviour, Outbox, Send};
use crate::stats::Counters;
use crate::time::Time;

/// Echoes (as RFC 862 does): every byte goes back in order, and a peer that does not read is not read from.
#[derive(Debug, Default)]
pub struct Echo;

impl Behaviour for Echo {
    type Conn = ();
    const TIMERS: bool = false;

    fn opened(&mut self, (): &mut (), _: u32, _: Time, _: &Counters, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), _: &[u8], _: Time, _: &Counters, out: &mut Outbox) {
        out.send = Send::Back;
    }
}
