//! What a load sends next.

use super::conn::{BEGUN, DONE, Doing, ENDING, HELD, LEAVING, LoadConn, MIDDLE, OWES};
use super::pace::Then;
use super::replies::{Dispatched, Matcher};
use super::wire::Wire;
use super::{FAREWELL, Load, pace, starts_at};
use crate::behaviour::{At, Outbox, Traffic, Transmit};
use crate::pacing::{Due, Instants};
use crate::payload::{Cursor, Portion, Speaker, What};
use crate::stats::Sample;
use crate::time::Time;
use std::time::Duration;

impl<W: Wire, M: Matcher> Load<W, M> {
    /// The connection may send from now on, if there is traffic.
    pub(super) fn begin(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        conn.flags |= BEGUN;
        let delay = self.task.delay + self.thinks();
        if delay > Duration::ZERO {
            conn.doing = Doing::Delayed;
            conn.due = Due::at(at.now + delay);
        } else {
            self.go(conn, at, out);
        }
    }

    /// How long a connection waits before its next message, besides the pace.
    fn thinks(&mut self) -> Duration {
        match &self.task.think {
            None => Duration::ZERO,
            Some(think) => think.pick(self.dice.word()),
        }
    }

    pub(super) fn go(&mut self, conn: &mut LoadConn<W::Conn, M::Conn>, at: &At, out: &mut Outbox) {
        conn.due = self.pace.first(at.id, at.now);
        conn.gone = 0;
        conn.cursor = match self.task.staggered {
            true => {
                let cycle = self.choose.as_ref().map_or(0, |choose| choose(at.id));
                let script = &self.task.script;
                script.start(cycle, |messages| starts_at(conn.uid.into(), messages))
            }
            false => Cursor::default(),
        };
        if self.task.script.has_first() {
            self.send_first(conn, at, out);
        } else {
            self.next(conn, at, out);
        }
    }

    /// Sends the next portion of the first messages, or goes on with the repeated ones.
    pub(super) fn send_first(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if conn.flags & (LEAVING | MIDDLE) == LEAVING {
            conn.doing = Doing::Idle;
            return;
        }
        let speaker = self.speaker(conn, at.now);
        let script = &self.task.script;
        match script.first(conn.cursor, &speaker, &mut self.dice, &mut out.bytes) {
            Some(portion) => {
                conn.doing = Doing::First;
                conn.cursor = portion.next;
                self.dispatch(conn, &portion, None, at, out);
            }
            None => {
                conn.cursor = Cursor::default();
                self.next(conn, at, out);
            }
        }
    }

    pub(super) fn speaker(&self, conn: &LoadConn<W::Conn, M::Conn>, now: Time) -> Speaker {
        Speaker {
            uid: conn.uid.into(),
            unix_us: self.task.unix_us + now.0 / 1000,
            message_id: self.number as u16,
            number: self
                .wire
                .begun(&conn.wire)
                .wrapping_sub(u32::from(conn.flags & MIDDLE != 0)),
        }
    }

    /// What a connection with nothing under way does next.
    pub(super) fn next(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        conn.doing = Doing::Idle;
        if conn.flags & LEAVING != 0 {
            // Nothing more is sent: the peer closes.
            return;
        }
        if conn.flags & ENDING != 0 {
            self.leave(conn, at, out);
            return;
        }
        if self.traffic != Traffic::On || !self.task.script.has_repeated() {
            return;
        }
        if conn.flags & MIDDLE == 0 && self.budget.is_spent() {
            return;
        }
        if conn.flags & MIDDLE == 0 && self.wire.room(&conn.wire, conn.uid.into()) == 0 {
            conn.doing = Doing::Awaiting;
            return;
        }
        let wanted = self.pace.wanted(conn.due, conn.gone, at.now);
        if wanted.messages == 0 {
            if self.pace.comes_by_itself() {
                conn.doing = Doing::Paced;
            } else if self.pace.takes_arrivals() && conn.flags & OWES != 0 {
                self.send_owed(conn, at, out);
            } else if let Some(due) = self.pace.take_shared() {
                conn.due = Due::at(due);
                self.send_repeated(conn, pace::Wanted::ONE, at, out);
            }
            return;
        }
        self.send_repeated(conn, wanted, at, out);
    }

    /// Arrivals: sends the message that has waited longest for this connection.
    pub(super) fn send_owed(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        match self.pace.take_owed(at.id) {
            Some(due) => {
                conn.due = Due::at(due);
                self.send_repeated(conn, pace::Wanted::ONE, at, out);
            }
            None => conn.flags &= !OWES,
        }
    }

    pub(super) fn send_repeated(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        wanted: pace::Wanted,
        at: &At,
        out: &mut Outbox,
    ) {
        let allowed = self.budget.most(conn.flags & MIDDLE != 0);
        if allowed == 0 {
            return;
        }
        let room = self.wire.room(&conn.wire, conn.uid.into());
        let most = wanted.messages.min(self.task.most).min(room).min(allowed);
        let (number, most) = self.matcher.free_ids(&conn.matched, self.number, most);
        self.number = number;
        let speaker = self.speaker(conn, at.now);
        let script = &self.task.script;
        let cycle = self.choose.as_ref().map_or(0, |choose| choose(at.id));
        let (dice, bytes) = (&mut self.dice, &mut out.bytes);
        let mut portion = script.repeated(cycle, conn.cursor, most, &speaker, dice, bytes);
        let Some(portion) = &mut portion else { return };
        conn.doing = Doing::Sending;
        if let What::Memory(range) = &mut portion.what {
            range.start += conn.offset;
            if range.len() as u32 > wanted.bytes {
                // Bandwidth: a message goes out in pieces.
                range.end = range.start + wanted.bytes;
                conn.offset += wanted.bytes;
                portion.messages = 0;
                portion.ends_message = false;
            } else {
                conn.offset = 0;
                conn.cursor = portion.next;
            }
            portion.bytes = range.len() as u32;
        } else {
            conn.cursor = portion.next;
        }
        let due = self.pace.instants(conn.due, conn.gone, at.now);
        self.dispatch(conn, portion, Some(due), at, out);
    }

    /// Dispatches a portion to the engine. `due`: when its messages were due; `None` for first messages, which are
    /// not measured.
    #[inline]
    pub(super) fn dispatch(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        portion: &Portion,
        due: Option<Instants>,
        at: &At,
        out: &mut Outbox,
    ) {
        if M::ANY {
            let what = Dispatched {
                number: self.number,
                messages: portion.messages,
                bytes: portion.bytes,
                due,
            };
            self.matcher.dispatched(&mut conn.matched, &what, at);
        }
        self.number = self.number.wrapping_add(portion.messages);
        let goes_on = u32::from(conn.flags & MIDDLE != 0);
        let begun = portion.messages + u32::from(!portion.ends_message) - goes_on;
        self.wire.sending(&mut conn.wire, begun, at);
        if self.wire.keeps() {
            let memory = self.task.script.memory();
            let bytes = match &portion.what {
                What::Rendered => &out.bytes[out.bytes.len() - portion.bytes as usize..],
                What::Memory(range) => &memory[range.start as usize..range.end as usize],
            };
            self.wire.wrote(at, goes_on > 0, bytes);
        }
        if due.is_some() && self.budget.dispatched(begun, portion.messages) {
            at.counters.shares_spent.add(1);
            self.pace.end_arrivals();
        }
        if self.pace.is_loop() {
            if !self.task.by_answers {
                conn.under_way += portion.bytes;
            } else if due.is_some() {
                conn.under_way += portion.messages;
            }
            if due.is_some() && conn.flags & MIDDLE == 0 {
                self.pace.begin_turn();
                conn.due = Due::at(at.now);
                at.counters.questions.add((!self.task.by_answers).into());
            }
        } else {
            conn.under_way = portion.messages;
        }
        if portion.ends_message {
            conn.flags &= !MIDDLE;
        } else {
            conn.flags |= MIDDLE;
        }
        // A message that is paced byte by byte leaves in packets of its own.
        out.more = !portion.ends_message && !self.pace.is_bandwidth();
        match &portion.what {
            What::Rendered => out.send = Transmit::Bytes,
            What::Memory(range) if out.bytes.is_empty() => {
                out.send = Transmit::Memory(range.clone())
            }
            What::Memory(range) => {
                // After what the wire wrote.
                let memory = self.task.script.memory();
                out.bytes
                    .extend_from_slice(&memory[range.start as usize..range.end as usize]);
                out.send = Transmit::Bytes;
            }
        }
    }

    /// Sends the wire's farewell, if it has one, or closes.
    pub(super) fn leave(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        let ready = self.wire.is_ready(&conn.wire);
        let waits = conn.flags & LEAVING == 0 && self.wire.farewell(&mut conn.wire, &mut out.bytes);
        if !out.bytes.is_empty() {
            out.send = Transmit::Reply;
        }
        if waits {
            at.counters.unready.add(ready.into());
            conn.flags |= LEAVING;
            conn.ends_ms = ms(at.now + FAREWELL);
        } else {
            out.close = true;
        }
    }

    /// A closed loop has all that it waits for: records that and continues.
    pub(super) fn answered(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if !self.task.by_answers {
            let sent = conn.due.time();
            self.measured.service.record_between(sent, at.now);
            at.counters.answers.add(1);
            if self.task.samples {
                self.measured.samples.push(Sample {
                    sent,
                    took: at.now.since(sent),
                    first: Duration::ZERO,
                    connection: at.id,
                    id: 0,
                    code: 0,
                    truncated: false,
                    ping: false,
                });
            }
            at.counters.messages_received.add(1);
        }
        self.pace.end_turn();
        if self.was_last_exchange(conn, at, out) {
            return;
        }
        match self.pace.then() {
            Then::Next => self.next(conn, at, out),
            // The next message is another connection's; so are those of connections that closed.
            Then::Pass => {
                conn.doing = Doing::Idle;
                out.pass = self.pace.pass_turns();
            }
            Then::Think => {
                conn.doing = Doing::Thinking;
                conn.due = Due::at(at.now + self.thinks());
                self.sleep(conn, at, out);
            }
        }
    }

    /// Counts an exchange. Returns whether the connection carries no further one: it is then closed.
    fn was_last_exchange(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) -> bool {
        let Some(exchanges) = self.task.exchanges else {
            return false;
        };
        conn.gone = conn.gone.saturating_add(1);
        if conn.gone < exchanges.each.get() {
            return false;
        }
        at.counters.exchanged.add(1);
        conn.doing = Doing::Idle;
        // Whichever side closes it does as was asked.
        conn.flags |= DONE;
        match exchanges.peer_closes {
            true => conn.ends_ms = ms(at.now + FAREWELL),
            false => self.leave(conn, at, out),
        }
        conn.flags |= LEAVING;
        true
    }

    /// Whether a connection has carried all its exchanges, and the peer is to close it.
    pub(super) fn awaits_close(&self, conn: &LoadConn<W::Conn, M::Conn>) -> bool {
        let exchanges = self.task.exchanges.filter(|e| e.peer_closes);
        exchanges.is_some_and(|e| conn.gone >= e.each.get())
    }

    /// Asks to be woken for what comes next.
    pub(super) fn sleep(&mut self, conn: &LoadConn<W::Conn, M::Conn>, at: &At, out: &mut Outbox) {
        let mut wake = match conn.doing {
            Doing::Paced => Some(self.pace.due(conn.due)),
            Doing::Delayed | Doing::Thinking => Some(conn.due.time()),
            _ => None,
        };
        let mut sooner = |t: Time| wake = Some(wake.map_or(t, |w| w.min(t)));
        if conn.ends_ms > 0 {
            sooner(Time(u64::from(conn.ends_ms) * 1_000_000));
        }
        if conn.flags & LEAVING == 0
            && self.traffic != Traffic::Off
            && let Some(due) = self.wire.wake(&conn.wire, at)
        {
            sooner(due);
        }
        out.wake = match self.wakes_besides {
            true => self.besides(conn, at, out).into_iter().chain(wake).min(),
            false => wake,
        };
    }

    /// When a connection may read on, or has waited long enough for an answer.
    fn besides(&self, conn: &LoadConn<W::Conn, M::Conn>, at: &At, out: &Outbox) -> Option<Time> {
        let asleep = self.read_pace.is_some() && out.read == 0;
        let reads = asleep.then(|| self.read_due.get(&at.id)).flatten();
        reads
            .map(|due| due.time())
            .into_iter()
            .chain(self.gives_up(conn))
            .min()
    }

    /// When the oldest message without an answer has waited long enough for it.
    pub(super) fn gives_up(&self, conn: &LoadConn<W::Conn, M::Conn>) -> Option<Time> {
        let timeout = self.task.timeout?;
        Some(self.matcher.oldest(&conn.matched)? + timeout)
    }

    /// Whether nothing is read once the handshake is done.
    pub(super) fn never_reads_on(&self) -> bool {
        self.task.receive.is_some_and(|b| b.is_zero())
    }

    /// Continues to read if it is time.
    pub(super) fn read_on(&mut self, at: &At, out: &mut Outbox) {
        if let Some(pace) = &self.read_pace
            && let Some(due) = self.read_due.get(&at.id)
        {
            out.read = pace.allowed(*due, at.now);
        }
    }

    /// Sends what the wire wrote in the middle of a message, now that it is over.
    pub(super) fn let_go(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if conn.flags & HELD != 0 && conn.flags & MIDDLE == 0 {
            conn.flags &= !HELD;
            if let Some(held) = self.held.remove(&at.id) {
                out.bytes.extend_from_slice(&held);
                out.send = Transmit::Reply;
            }
        }
    }
}

/// Milliseconds since the run began, rounded up; not 0.
pub(super) fn ms(t: Time) -> u32 {
    t.0.div_ceil(1_000_000).clamp(1, u32::MAX.into()) as u32
}
