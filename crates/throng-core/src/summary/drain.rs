//! What became of the connections of a server that was drained.

use super::totals::Totals;
use crate::stats::Closed;
use serde::{Deserialize, Serialize};

/// How connections ended while a server was drained (`--drain`): each that ended during the hold, and those that hung. A
/// connection has a message under way from when the message is begun until its answer has come, where answers are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Connections that ended during the hold. ended = moved + cut + reset + timed_out +
    /// lost_by_error + given_up.
    pub ended: u64,
    /// Those that the server closed with no message under way, or as it had announced.
    pub moved: u64,
    /// Those that the server closed (FIN) with a message under way.
    pub cut: u64,
    /// Those that the server reset (RST).
    pub reset: u64,
    /// Those whose server no longer acknowledged.
    pub timed_out: u64,
    /// Those that ended by an error on this side.
    pub lost_by_error: u64,
    /// Those that this side gave up, since an answer did not come in time.
    pub given_up: u64,
    /// Connections that were open at the end and whose last message had no answer by then; `None` if answers are not looked
    /// for, or if the run did not wait for the last ones.
    pub stuck: Option<u64>,
    /// Connections that were missing at the end of the hold: not opened again.
    pub missing: u64,
    /// Messages that were never answered; where the run did not wait for the last answers, on connections that had ended before.
    pub messages_lost: u64,
    /// Answers that no message asked for.
    pub answers_unasked: u64,
}

impl Drain {
    pub(super) fn of(t: &Totals) -> Drain {
        let hold = t.hold(|e| e.opened).opened;
        let ended = hold.closed_in_all();
        let (cut, given_up) = (hold.cut_off(Closed::ByPeer), hold.cut_off(Closed::ByUs));
        let [reset, timed_out, lost_by_error] =
            [Closed::ResetByPeer, Closed::TimedOut, Closed::Error].map(|why| hold.closed(why));
        let others = cut + given_up + reset + timed_out + lost_by_error;
        let waited = !t.any(|e| e.timed_out || e.was_stopped());
        let at_end = t.closed.since(&t.held).cut_off(Closed::ByUs);
        let asked = t.asked.connections.unwrap_or(0);
        Drain {
            ended,
            moved: ended.saturating_sub(others),
            cut,
            reset,
            timed_out,
            lost_by_error,
            given_up,
            stuck: (t.asked.answers && waited).then_some(at_end),
            missing: asked.saturating_sub(t.held.open().min(t.held.ready_now())),
            messages_lost: match waited {
                true => t.closed.messages_unanswered,
                // Those that were under way at the end were cut off by it.
                false => t.held.messages_unanswered,
            },
            answers_unasked: t.closed.answers_unasked,
        }
    }

    /// Connections that did not end as they should when a server is drained, and those that hang.
    pub fn broken(&self) -> u64 {
        let ended = self.cut + self.reset + self.timed_out + self.lost_by_error + self.given_up;
        ended + self.stuck.unwrap_or(0)
    }
}
