//! Servers of TCP alone: one discards what it receives, one sends it back, one sends messages of its own.

use super::wire::Raw;
use crate::behaviour::{At, Behaviour, Load, NoMatcher, Outbox, Reads, Task, Traffic, Transmit};
use crate::protocol::facts::Serves;

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

impl Serves for Sink {
    const NAME: &'static str = "sink";
    const ABOUT: &'static str = "Count and discard received data";
    type Behaviour = Sink;

    fn behaviour(_: Task) -> Sink {
        Sink
    }
}

impl Serves for Echo {
    const NAME: &'static str = "echo";
    const ABOUT: &'static str = "Send everything back";
    type Behaviour = Echo;

    fn behaviour(_: Task) -> Echo {
        Echo
    }
}

/// Sends the scenario's messages and discards what it receives (RFC 864 with a text of one's own).
pub struct Chargen;

impl Serves for Chargen {
    const NAME: &'static str = "chargen";
    const ABOUT: &'static str = "Send messages (-1, -m, -f, -r), discard received data";
    const SENDS: bool = true;
    type Behaviour = Load<Raw, NoMatcher>;

    fn behaviour(task: Task) -> Load<Raw, NoMatcher> {
        Load::new(task, Traffic::On, Raw, NoMatcher)
    }
}
