//! Sends back what comes in.

use super::{At, Behaviour, Outbox, Send};

/// Echoes (as RFC 862 does): every byte goes back in order, and a peer that does not read is not read from.
#[derive(Debug, Default)]
pub struct Echo;

impl Behaviour for Echo {
    type Conn = ();
    const TIMERS: bool = false;

    fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}

    fn received(&mut self, (): &mut (), _: &[u8], _: &At, out: &mut Outbox) {
        out.send = Send::Back;
    }
}
