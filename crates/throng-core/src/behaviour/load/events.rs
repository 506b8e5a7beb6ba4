//! What a load does when something happens on a connection.

use super::conn::{BEGUN, DONE, Doing, ENDING, HEARD, HELD, LEAVING, LoadConn, MIDDLE, OWES};
use super::markers::CLOCKS_AGREE_US;
use super::replies::{Matched, Matcher};
use super::sending::ms;
use super::wire::{Receiver, TaggedReply, Wire};
use super::{BROKEN, FAREWELL, HANDSHAKE_READ, HELD_BYTES, Load, pace};
use crate::behaviour::{At, Outbox, Traffic, Transmit};
use crate::pacing::Due;
use crate::stats::{Closed, Durations, Measured, Sample};
use crate::time::Time;
use std::time::Duration;

impl<W: Wire, M: Matcher> Load<W, M> {
    pub(super) fn on_opened(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        // Counted from 1, as tcpkali does. After 2^32 connections numbers come again.
        conn.uid = self.task.share().number(self.begun).wrapping_add(1) as u32;
        self.begun += 1;
        self.pace.opens();
        self.matcher.opened(conn.uid.into(), at);
        if let Some(lifetime) = self.task.lifetime {
            conn.ends_ms = ms(at.now + lifetime);
        }
        if W::MESSAGES && self.never_reads_on() {
            out.read = HANDSHAKE_READ;
        }
        if let Some(pace) = &self.read_pace {
            out.read = pace.piece();
            self.read_due.insert(at.id, Due::at(at.now));
        }
        let ready = self
            .wire
            .opened(&mut conn.wire, conn.uid.into(), at, &mut out.bytes);
        if !out.bytes.is_empty() {
            out.send = Transmit::Reply;
        }
        at.counters.ready.add(ready.into());
        if !ready {
            // Until it may send, this is when its handshake began.
            conn.due = Due::at(at.now);
        } else if self.traffic == Traffic::On {
            self.begin(conn, at, out);
        }
        self.sleep(conn, at, out);
    }

    pub(super) fn on_established(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        self.pace.opened();
        if let Some(lifetime) = self.task.lifetime {
            conn.ends_ms = ms(at.now + lifetime);
        }
        self.sleep(conn, at, out);
    }

    /// What was sent with the SYN was not carried: it is as if it had not been sent.
    pub(super) fn on_unopened(&mut self, conn: &mut LoadConn<W::Conn, M::Conn>, at: &At) {
        if conn.doing == Doing::Sending {
            let unfinished = u32::from(conn.flags & MIDDLE != 0);
            let whole = match self.pace.is_loop() {
                true => 1 - unfinished,
                false => conn.under_way,
            };
            self.budget.take_back(whole + unfinished, whole);
            self.pace.take_back(whole + unfinished);
            self.pace.end_turn();
        }
        let mut dropped = Measured::default();
        self.wire
            .closed(&mut conn.wire, Closed::Error, at, &mut dropped);
        self.matcher
            .closed(&mut conn.matched, Closed::Error, at, &mut dropped);
        self.forget(conn, at);
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget(&mut self, conn: &mut LoadConn<W::Conn, M::Conn>, at: &At) {
        if conn.flags & HELD != 0 {
            self.held.remove(&at.id);
        }
        self.read_due.remove(&at.id);
        *conn = LoadConn::default();
    }

    pub(super) fn on_started(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if conn.flags & BEGUN == 0 && self.wire.is_ready(&conn.wire) {
            self.begin(conn, at, out);
            self.sleep(conn, at, out);
        }
    }

    pub(super) fn on_received(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        if conn.flags & HEARD == 0 && self.compares() {
            let differs = !self.task.script.may_begin_with(bytes);
            at.counters.differing_echoes.add(differs.into());
        }
        self.hear(conn, at);
        let was_ready = self.wire.is_ready(&conn.wire);
        let mut inbox = Inbox {
            matcher: &mut self.matcher,
            conn: &mut conn.matched,
            at,
            measured: &mut self.measured,
            since: conn.due,
            samples: self.task.samples,
            unix_us: self.task.unix_us,
            payload: 0,
            found: Matched::default(),
        };
        let received = self.wire.received(
            &mut conn.wire,
            conn.uid.into(),
            bytes,
            at,
            &mut out.bytes,
            &mut inbox,
        );
        let Inbox { payload, found, .. } = inbox;
        if W::MESSAGES {
            at.counters.ready.add(received.ready.into());
            let lost = was_ready && !self.wire.is_ready(&conn.wire);
            at.counters.unready.add(lost.into());
        }
        let Matched {
            mut answers,
            marked,
        } = found;
        if W::MESSAGES {
            answers += match M::ANY {
                true => {
                    let (conn, measured) = (&mut conn.matched, &mut self.measured);
                    self.matcher.messages(conn, received.messages, at, measured)
                }
                false => received.messages,
            };
            answers += received.streams;
        }
        let messages = match W::MESSAGES && !self.task.count_found {
            true => received.messages + received.streams,
            // An answer may have a marker, too.
            false => answers.max(marked),
        };
        at.counters.messages_received.add(messages.into());
        self.send_of_wire(conn, received.leaving, at, out);
        if received.over {
            out.close = true;
            return;
        }
        // What still arrives does not give the peer more time.
        if received.leaving && conn.flags & LEAVING == 0 {
            conn.flags |= LEAVING;
            conn.ends_ms = ms(at.now + if received.broken { BROKEN } else { FAREWELL });
        }
        if W::MESSAGES && self.never_reads_on() {
            match self.wire.is_ready(&conn.wire) {
                true => out.watch = true,
                false => out.read = HANDSHAKE_READ,
            }
        }
        if received.ready && self.traffic == Traffic::On {
            self.begin(conn, at, out);
        }
        if conn.doing == Doing::Awaiting
            && !self.pace.is_loop()
            && self.wire.room(&conn.wire, conn.uid.into()) > 0
        {
            self.next(conn, at, out);
            self.sleep(conn, at, out);
        }
        let answered = match self.task.by_answers {
            true => answers,
            false => payload,
        };
        self.loop_on(conn, answered, at, out);
        if let Some(pace) = &self.read_pace
            && let Some(due) = self.read_due.get_mut(&at.id)
        {
            *due = pace.after(*due, bytes.len() as u32, at.now);
            self.read_on(at, out);
        }
        if conn.ends_ms > 0 || self.read_pace.is_some() || received.ready || received.leaving {
            self.sleep(conn, at, out);
        }
    }

    /// Sends what the wire wrote, at the end of the message under way.
    fn send_of_wire(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        leaving: bool,
        at: &At,
        out: &mut Outbox,
    ) {
        if out.bytes.is_empty() {
            return;
        }
        if conn.flags & MIDDLE == 0 {
            out.send = Transmit::Reply;
            return;
        }
        conn.flags |= HELD;
        let held = self.held.entry(at.id).or_default();
        // A peer that pings and never reads gets the pongs to its last pings: it need not get each (RFC 6455,
        // 5.5.3). A farewell stays.
        if held.len() > HELD_BYTES && conn.flags & LEAVING == 0 {
            held.clear();
        }
        if held.len() <= HELD_BYTES || leaving {
            held.append(&mut out.bytes);
        }
        out.bytes.clear();
    }

    /// Bytes arrived that no matcher inspects.
    pub(super) fn on_counted(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        n: usize,
        at: &At,
        out: &mut Outbox,
    ) {
        self.hear(conn, at);
        self.loop_on(conn, n as u32, at, out);
        if conn.ends_ms > 0 {
            self.sleep(conn, at, out);
        }
    }

    /// Whether what is received first on each connection is compared with what was sent first.
    #[inline]
    pub(super) fn compares(&self) -> bool {
        !W::MESSAGES && self.task.echoes && self.task.script.has_constant_start()
    }

    /// Records that something arrived, and when the first byte did.
    fn hear(&mut self, conn: &mut LoadConn<W::Conn, M::Conn>, at: &At) {
        if conn.flags & HEARD != 0 {
            return;
        }
        conn.flags |= HEARD;
        at.counters.heard.add(1);
        if self.task.first_byte {
            self.measured.first_byte.record(at.since_up());
        }
    }

    /// Closed loop: this many answers arrived, or bytes of them. A connection continues once it has all that it waits
    /// for.
    fn loop_on(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        answered: u32,
        at: &At,
        out: &mut Outbox,
    ) {
        if self.pace.is_loop() {
            // An echo has no more bytes than what it answers.
            let excess = !self.task.by_answers && answered > conn.under_way;
            at.counters.excess_echoes.add(excess.into());
            conn.under_way = conn.under_way.saturating_sub(answered);
            if conn.doing == Doing::Awaiting && conn.under_way == 0 {
                self.answered(conn, at, out);
            }
        }
    }

    pub(super) fn on_sent(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        n: usize,
        at: &At,
        out: &mut Outbox,
    ) {
        self.let_go(conn, at, out);
        match conn.doing {
            Doing::First => self.send_first(conn, at, out),
            Doing::Sending if self.pace.is_loop() && conn.flags & MIDDLE != 0 => {
                self.send_repeated(conn, pace::Wanted::ONE, at, out);
            }
            Doing::Sending if self.pace.is_loop() => {
                at.counters.messages_sent.add(1);
                conn.doing = Doing::Awaiting;
                // A large message is answered while its end is still being sent.
                if conn.under_way == 0 {
                    self.answered(conn, at, out);
                }
            }
            Doing::Sending => {
                at.counters.messages_sent.add(conn.under_way.into());
                let lateness = &mut self.measured.lateness;
                let next = (conn.due, conn.gone);
                let messages = conn.under_way;
                (conn.due, conn.gone) = self.pace.sent(next, messages, n as u32, at.now, lateness);
                if conn.flags & MIDDLE != 0 && !self.pace.is_bandwidth() {
                    self.send_repeated(conn, pace::Wanted::ONE, at, out);
                } else {
                    self.next(conn, at, out);
                }
            }
            // What the wire itself wrote.
            Doing::Idle | Doing::Delayed | Doing::Awaiting | Doing::Thinking | Doing::Paced => {
                return;
            }
        }
        self.sleep(conn, at, out);
    }

    pub(super) fn on_woken(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if self.wakes_besides {
            self.read_on(at, out);
            if self.gives_up(conn).is_some_and(|when| at.now >= when) {
                self.wire.timed_out(&mut conn.wire);
                conn.flags |= DONE;
                out.close = true;
                out.abandon = true;
                return;
            }
        }
        if conn.ends_ms > 0 && at.now.0 >= u64::from(conn.ends_ms) * 1_000_000 {
            conn.ends_ms = 0;
            let in_vain = self.awaits_close(conn);
            at.counters.awaited_in_vain.add(in_vain.into());
            if conn.flags & LEAVING == 0 {
                conn.flags |= DONE;
            }
            match conn.doing {
                Doing::First | Doing::Sending if conn.flags & LEAVING == 0 => {
                    conn.flags |= ENDING;
                }
                _ => self.leave(conn, at, out),
            }
        } else {
            self.wake_wire(conn, at, out);
            match conn.doing {
                Doing::Delayed if at.now >= conn.due.time() => self.go(conn, at, out),
                Doing::Paced => self.next(conn, at, out),
                Doing::Thinking if at.now >= conn.due.time() => self.next(conn, at, out),
                _ => {}
            }
        }
        self.sleep(conn, at, out);
    }

    /// Sends what the wire has to send of its own.
    fn wake_wire(&mut self, conn: &mut LoadConn<W::Conn, M::Conn>, at: &At, out: &mut Outbox) {
        if conn.flags & LEAVING == 0 && self.traffic != Traffic::Off {
            let (wire, measured) = (&mut self.wire, &mut self.measured);
            wire.woken(
                &mut conn.wire,
                conn.uid.into(),
                at,
                &mut out.bytes,
                measured,
            );
            self.send_of_wire(conn, false, at, out);
        }
    }

    pub(super) fn on_turn(
        &mut self,
        conn: &mut LoadConn<W::Conn, M::Conn>,
        at: &At,
        out: &mut Outbox,
    ) {
        if self.pace.takes_arrivals() {
            let free = conn.doing == Doing::Idle && conn.flags & (BEGUN | LEAVING) == BEGUN;
            if !free && let Some(turns) = self.pace.pass_arrival() {
                out.pass = turns;
                return;
            }
            let Some(due) = self.pace.take_arrival() else {
                return;
            };
            if free && conn.flags & OWES == 0 {
                conn.due = Due::at(due);
                self.send_repeated(conn, pace::Wanted::ONE, at, out);
            } else {
                self.pace.owe(at.id, due);
                conn.flags |= OWES;
                if free {
                    self.send_owed(conn, at, out);
                }
            }
            return;
        }
        self.pace.take_turn();
        match conn.doing {
            Doing::Idle if conn.flags & BEGUN != 0 => self.next(conn, at, out),
            // Its last message is still under way: another connection's turn.
            _ => out.pass = self.pace.pass_turns(),
        }
    }

    /// Shows the tap what is about to be sent.
    #[inline]
    pub(super) fn tap_sends(&mut self, at: &At, out: &Outbox) {
        if self.tap.is_some() {
            self.show_sends(at, out);
        }
    }

    #[cold]
    fn show_sends(&mut self, at: &At, out: &Outbox) {
        let Some(tap) = &mut self.tap else { return };
        match &out.send {
            Transmit::Nothing | Transmit::Back | Transmit::Across(_) => {}
            Transmit::Bytes | Transmit::Reply => tap.sent(at.id, &out.bytes),
            Transmit::Memory(range) => {
                let memory = self.task.script.memory();
                tap.sent(at.id, &memory[range.start as usize..range.end as usize]);
            }
        }
    }
}

/// A number that is further than this from now is no time at which something was sent: a day, in microseconds.
const STAMPS_WITHIN_US: u64 = 86_400_000_000;

/// Passes what the wire finds in received bytes to the matcher.
struct Inbox<'a, M: Matcher> {
    matcher: &'a mut M,
    conn: &'a mut M::Conn,
    at: &'a At<'a>,
    measured: &'a mut Measured,
    /// When the handshake began, until the connection may send.
    since: Due,
    /// Whether each round trip is kept.
    samples: bool,
    /// Microseconds since 1970 when the run began.
    unix_us: u64,
    /// Bytes of the user's messages.
    payload: u32,
    found: Matched,
}

impl<M: Matcher> Receiver for Inbox<'_, M> {
    #[inline]
    fn payload(&mut self, bytes: &[u8]) {
        self.payload = self.payload.saturating_add(bytes.len() as u32);
        if M::READS {
            let found = self
                .matcher
                .received(self.conn, bytes, self.at, self.measured);
            self.found.answers += found.answers;
            self.found.marked += found.marked;
        }
    }

    #[inline]
    fn message_ended(&mut self) {
        if M::READS {
            self.matcher.message_ended(self.conn, self.at);
        }
    }

    #[inline]
    fn reply(&mut self, reply: &TaggedReply) -> bool {
        let answers = self.matcher.reply(self.conn, reply, self.at, self.measured);
        self.found.answers += u32::from(answers);
        answers
    }

    fn opened(&mut self, of: fn(&mut Measured) -> &mut Durations) {
        of(self.measured).record_between(self.since.time(), self.at.now);
    }

    #[inline]
    fn took(&mut self, of: fn(&mut Measured) -> &mut Durations, since: Time) {
        of(self.measured).record_between(since, self.at.now);
    }

    fn pong(&mut self, due: Time) {
        self.measured.pong.record_between(due, self.at.now);
        if self.samples {
            self.measured.samples.push(Sample {
                sent: due,
                took: self.at.now.since(due),
                first: Duration::ZERO,
                connection: self.at.id,
                id: 0,
                code: 0,
                truncated: false,
                ping: true,
            });
        }
    }

    fn stream(&mut self) -> Option<Time> {
        self.matcher.stream(self.conn, self.at, self.measured)
    }

    #[inline]
    fn stamp(&mut self, of: fn(&mut Measured) -> &mut Durations, us: u64) {
        let now_us = self.unix_us + self.at.now.0 / 1000;
        if us.abs_diff(now_us) > STAMPS_WITHIN_US {
            return;
        }
        match us <= now_us + CLOCKS_AGREE_US {
            true => {
                let age = Duration::from_micros(now_us.saturating_sub(us));
                of(self.measured).record(age);
            }
            false => self.at.counters.markers_ahead.add(1),
        }
    }

    #[inline]
    fn begun(&mut self, before: u32) {
        if M::ANY {
            self.matcher
                .begun(self.conn, before, self.at, self.measured);
        }
    }
}
