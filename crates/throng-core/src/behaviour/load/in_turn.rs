//! Answers that are whole messages, each of which answers the oldest message. Nothing in them is looked for.

use super::outstanding::Queue;
use super::replies::{Dispatched, Matched, Matcher};
use super::rounds::Rounds;
use super::wire::TaggedReply;
use crate::behaviour::At;
use crate::stats::{Closed, Measured};
use crate::time::Time;

/// Matches whole messages with those that were sent.
#[derive(Debug, Default)]
pub struct InTurn {
    rounds: Rounds,
}

/// What is kept for each connection: 8 bytes.
#[derive(Debug, Default)]
pub struct InTurnConn {
    sent: Queue,
}

impl InTurn {
    /// `paced`: whether messages are due at a time. `samples`: whether each round trip is kept.
    pub fn new(paced: bool, samples: bool) -> InTurn {
        InTurn {
            rounds: Rounds {
                paced,
                samples,
                ..Rounds::default()
            },
        }
    }
}

impl Matcher for InTurn {
    type Conn = InTurnConn;
    const ANY: bool = true;
    const READS: bool = false;

    #[inline]
    fn opened(&mut self, _: u64, _: &At) {}

    #[inline]
    fn dispatched(&mut self, conn: &mut InTurnConn, what: &Dispatched, at: &At) {
        for n in 0..what.messages {
            let due = what.due.map(|instants| instants.nth(n));
            self.rounds.sent(&mut conn.sent, due, 0, at);
        }
    }

    #[inline]
    fn received(&mut self, _: &mut InTurnConn, _: &[u8], _: &At, _: &mut Measured) -> Matched {
        Matched::default()
    }

    #[inline]
    fn message_ended(&mut self, _: &mut InTurnConn, _: &At) {}

    #[inline]
    fn messages(&mut self, conn: &mut InTurnConn, n: u32, at: &At, measured: &mut Measured) -> u32 {
        let rounds = &mut self.rounds;
        (0..n)
            .map(|_| rounds.answered(&mut conn.sent, at, measured))
            .sum()
    }

    fn reply(&mut self, _: &mut InTurnConn, _: &TaggedReply, _: &At, _: &mut Measured) -> bool {
        false
    }

    #[inline]
    fn begun(&mut self, conn: &InTurnConn, before: u32, at: &At, measured: &mut Measured) {
        self.rounds.begun(conn.sent, before, at, measured);
    }

    fn stream(&mut self, conn: &mut InTurnConn, at: &At, measured: &mut Measured) -> Option<Time> {
        self.rounds.stream(&mut conn.sent, at, measured)
    }

    fn oldest(&self, conn: &InTurnConn) -> Option<Time> {
        self.rounds.oldest(conn.sent)
    }

    fn closed(&mut self, conn: &mut InTurnConn, why: Closed, at: &At, measured: &mut Measured) {
        self.rounds.closed(&mut conn.sent, why, at, measured);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_remembered_in_8_bytes() {
        assert_eq!(size_of::<InTurnConn>(), 8);
    }
}
