//! The client of a load test: first messages, then others again and again: as fast as they go, at a rate, or
//! one at a time as each is answered.
//!
//! - `pace.rs`: when the next message goes out
//! - `wire.rs`, `websocket.rs`: what carries messages ([`Raw`]: nothing but TCP; [`WebSocket`])
//! - `looks.rs`: what is looked for in what comes back ([`Nothing`], [`Watching`])
//! - `outstanding.rs`, `pattern.rs`: messages without an answer yet; a text in a stream
//!
//! [`Load`] joins them; which wire and which looks it has is fixed when it is built, so that a load that
//! looks for nothing pays for nothing.

mod looks;
mod outstanding;
mod pace;
mod pattern;
mod websocket;
mod wire;

pub use looks::{AnswerBy, Handed, LookFor, Looks, Nothing, Seen, Watching};
pub use pace::{Arriving, Pacing};
pub use pattern::Pattern;
pub use websocket::WebSocket;
pub use wire::{Came, Raw, Wire};

use super::{At, Behaviour, Outbox, Reads, Send, Steer};
use crate::pacing::{BytePace, Due};
use crate::payload::{Cursor, Dice, Portion, Script, Speaker, What};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use crate::units::Bandwidth;
use pace::Pace;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Not yet: connections are only opened.
    Waiting,
    /// Yes.
    On,
    /// No more: what is under way is finished, nothing new begun.
    Off,
}

/// How long a peer may take to answer our farewell before the connection is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// The same if the peer has broken the protocol: what it has under way is thrown away meanwhile, because a
/// socket that is closed with bytes unread resets the connection, and the reset overtakes our last words.
const BROKEN: Duration = Duration::from_millis(500);

/// What a worker's load is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// What to send.
    pub script: Script,
    /// When.
    pub pacing: Pacing,
    /// Connections of the whole run, over which paced messages are spread.
    pub connections: u32,
    /// This worker's number …
    pub worker: u32,
    /// … of so many.
    pub workers: u32,
    /// How long after it is up a connection begins to send.
    pub delay: Duration,
    /// How long a connection lives; `None` until the end of the run.
    pub lifetime: Option<Duration>,
    /// How fast to read; `None` for as fast as it comes, zero for never.
    pub receive: Option<Bandwidth>,
    /// Whether the time to the first byte is measured.
    pub first_byte: bool,
    /// Whether a closed loop waits for answers, as the looks or the wire tell them, and not for as many bytes
    /// as were sent.
    pub by_answers: bool,
    /// Messages in one write, at most. One, unless they are equally long or nobody looks for echoes.
    pub most: u32,
    /// Microseconds since 1970 when the run began.
    pub unix_us: u64,
    /// Where random numbers begin.
    pub seed: u64,
}

impl Task {
    /// Sends `script` as `pacing` says: one worker with one connection, nothing else asked for.
    pub fn new(script: Script, pacing: Pacing) -> Task {
        Task {
            script,
            pacing,
            connections: 1,
            worker: 0,
            workers: 1,
            delay: Duration::ZERO,
            lifetime: None,
            receive: None,
            first_byte: false,
            by_answers: false,
            most: u32::MAX,
            unix_us: 0,
            seed: 0,
        }
    }
}

/// Somebody who is shown the traffic: each read, each write, whose connection it is.
pub trait Tap: std::marker::Send {
    /// These bytes came.
    fn received(&mut self, id: u32, bytes: &[u8]);
    /// These are sent.
    fn sent(&mut self, id: u32, bytes: &[u8]);
    /// The connection is gone.
    fn closed(&mut self, id: u32);
}

/// Opens, sends, measures.
pub struct Load<W: Wire = Raw, L: Looks = Nothing> {
    task: Task,
    wire: W,
    looks: L,
    pace: Pace,
    read_pace: Option<BytePace>,
    /// When connections that read slowly may read again.
    read_due: HashMap<u32, Due>,
    /// What the wire had to say in the middle of a message, to be sent at its end.
    held: HashMap<u32, Vec<u8>>,
    dice: Dice,
    /// The next new connection's number, and DNS id.
    uid: u32,
    dns_id: u16,
    traffic: Traffic,
    /// When traffic was switched off, or the end of time.
    off_at: Time,
    measured: Measured,
    tap: Option<Box<dyn Tap>>,
}

/// What each connection remembers.
#[derive(Debug, Default)]
pub struct LoadConn<W = (), L = ()> {
    /// When the message is due that is being sent or comes next. Closed loop: when the last one was sent.
    due: Due,
    /// The next portion.
    cursor: Cursor,
    /// Closed loop: bytes of echoes, or answers, still to come. Otherwise: messages that end in the send
    /// under way.
    under_way: u32,
    /// Bandwidth: how much of the portion at the cursor is sent.
    offset: u32,
    uid: u32,
    /// When it is to be closed, in milliseconds since the run began; 0 for never.
    ends_ms: u32,
    wire: W,
    looks: L,
    doing: Doing,
    flags: u8,
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doing {
    /// Nothing to send, or not yet.
    #[default]
    Idle,
    /// It waits until it may begin to send.
    Delayed,
    /// First messages are being sent.
    First,
    /// Repeated messages are being sent.
    Sending,
    /// A message was sent, its answer is still to come.
    Awaiting,
    /// The next message is due later.
    Paced,
}

/// Sending has begun.
const BEGUN: u8 = 1;
/// The send under way does not end a message.
const MIDDLE: u8 = 2;
/// The wire's words wait in [`Load::held`].
const HELD: u8 = 4;
/// Something was received.
const HEARD: u8 = 8;
/// Its lifetime is over: it is closed at the end of the message.
const ENDING: u8 = 16;
/// Farewell was said.
const LEAVING: u8 = 32;
/// Arrivals: messages are due that wait for the one before.
const OWES: u8 = 64;
/// Its lifetime is over, and whoever closes it does as was asked.
const DONE: u8 = 128;

impl<W: Wire, L: Looks> Load<W, L> {
    /// A load that does `task`. Traffic begins as each connection is up if `traffic` is [`Traffic::On`].
    pub fn new(task: Task, traffic: Traffic, wire: W, looks: L) -> Load<W, L> {
        let pace = Pace::new(&task);
        let read_pace = task
            .receive
            .filter(|b| !b.is_zero())
            .map(|b| BytePace::new(b, f64::from(u16::MAX), 1));
        Load {
            pace,
            wire,
            looks,
            read_pace,
            read_due: HashMap::new(),
            held: HashMap::new(),
            dice: Dice::of(task.seed, &[u64::from(task.worker)]),
            // Counted from 1, as tcpkali does.
            uid: task.worker + 1,
            dns_id: 0,
            traffic,
            off_at: Time(u64::MAX),
            measured: Measured::default(),
            tap: None,
            task,
        }
    }

    /// Shows all that is received and sent to `tap`, too.
    pub fn tapped(mut self, tap: Box<dyn Tap>) -> Load<W, L> {
        self.tap = Some(tap);
        self
    }

    /// The connection may send from now on, if there is traffic.
    fn begin(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        conn.flags |= BEGUN;
        if self.task.delay > Duration::ZERO {
            conn.doing = Doing::Delayed;
            conn.due = Due::at(at.now + self.task.delay);
        } else {
            self.go(conn, at, out);
        }
    }

    fn go(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        conn.due = self.pace.first(at.id, at.now);
        conn.cursor = Cursor::default();
        if self.task.script.has_first() {
            self.send_first(conn, at, out);
        } else {
            self.next(conn, at, out);
        }
    }

    /// Sends the next portion of the first messages, or goes on with the repeated ones.
    fn send_first(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
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
                self.hand_over(conn, &portion, None, at, out);
            }
            None => {
                conn.cursor = Cursor::default();
                self.next(conn, at, out);
            }
        }
    }

    fn speaker(&self, conn: &LoadConn<W::Conn, L::Conn>, now: Time) -> Speaker {
        Speaker {
            uid: conn.uid.into(),
            unix_us: self.task.unix_us + now.0 / 1000,
            dns_id: self.dns_id,
        }
    }

    /// What a connection with nothing under way does next.
    fn next(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        conn.doing = Doing::Idle;
        if conn.flags & LEAVING != 0 {
            // Nothing more is sent; the peer has the last word.
            return;
        }
        if conn.flags & ENDING != 0 {
            self.leave(conn, at, out);
            return;
        }
        if self.traffic != Traffic::On || !self.task.script.has_repeated() {
            return;
        }
        let wanted = self.pace.wanted(conn.due, at.now);
        if wanted.messages == 0 {
            if self.pace.comes_by_itself() {
                conn.doing = Doing::Paced;
            } else if self.pace.takes_arrivals() && conn.flags & OWES != 0 {
                self.send_owed(conn, at, out);
            }
            return;
        }
        self.send_repeated(conn, wanted, at, out);
    }

    /// Arrivals: sends the message that has waited longest for this connection.
    fn send_owed(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        match self.pace.take_owed(at.id) {
            Some(due) => {
                conn.due = Due::at(due);
                self.send_repeated(conn, pace::Wanted::ONE, at, out);
            }
            None => conn.flags &= !OWES,
        }
    }

    fn send_repeated(
        &mut self,
        conn: &mut LoadConn<W::Conn, L::Conn>,
        wanted: pace::Wanted,
        at: &At,
        out: &mut Outbox,
    ) {
        let most = wanted.messages.min(self.task.most);
        let speaker = self.speaker(conn, at.now);
        let script = &self.task.script;
        let portion = script.repeated(conn.cursor, most, &speaker, &mut self.dice, &mut out.bytes);
        let Some(mut portion) = portion else { return };
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
        let due = self.pace.due_times(conn.due, at.now);
        self.hand_over(conn, &portion, Some(due), at, out);
    }

    /// Hands a portion to the engine. `due`: when its first message was due, and the time from one to the
    /// next; `None` for first messages, which nobody measures.
    fn hand_over(
        &mut self,
        conn: &mut LoadConn<W::Conn, L::Conn>,
        portion: &Portion,
        due: Option<(f64, f64)>,
        at: &At,
        out: &mut Outbox,
    ) {
        if L::ANY {
            let handed = Handed {
                dns_id: self.dns_id,
                messages: portion.messages,
                bytes: portion.bytes,
                due,
            };
            self.looks.handed(&mut conn.looks, &handed, at.now);
        }
        self.dns_id = self.dns_id.wrapping_add(portion.messages as u16);
        if self.pace.is_loop() {
            if !self.task.by_answers {
                conn.under_way += portion.bytes;
            } else if due.is_some() {
                conn.under_way += portion.messages;
            }
            if due.is_some() && conn.flags & MIDDLE == 0 {
                self.pace.begin_turn();
                conn.due = Due::at(at.now);
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
            What::Rendered => out.send = Send::Bytes,
            What::Memory(range) if out.bytes.is_empty() => out.send = Send::Memory(range.clone()),
            What::Memory(range) => {
                // Behind what the wire has to say.
                let memory = self.task.script.memory();
                out.bytes
                    .extend_from_slice(&memory[range.start as usize..range.end as usize]);
                out.send = Send::Bytes;
            }
        }
    }

    /// Says farewell, as the wire does, or closes.
    fn leave(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        let said = conn.flags & LEAVING == 0 && self.wire.farewell(&mut conn.wire, &mut out.bytes);
        if said {
            conn.flags |= LEAVING;
            conn.ends_ms = ms(at.now + FAREWELL);
            out.send = Send::Reply;
        } else {
            out.close = true;
        }
    }

    /// A closed loop has all it waits for: notes it and goes on.
    fn answered(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        if !self.task.by_answers {
            let took = at.now.since(conn.due.time());
            self.measured.service.record(took);
            at.counters.messages_received.add(1);
        }
        match self.pace.end_turn() {
            None => self.next(conn, at, out),
            // The next message is another connection's; so are those of connections that closed.
            Some(free) => {
                conn.doing = Doing::Idle;
                out.pass = free;
            }
        }
    }

    /// Asks to be woken for what comes next.
    fn sleep(&mut self, conn: &LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        let mut wake = match conn.doing {
            Doing::Paced | Doing::Delayed => Some(conn.due.time()),
            _ => None,
        };
        let mut sooner = |t: Time| wake = Some(wake.map_or(t, |w| w.min(t)));
        if conn.ends_ms > 0 {
            sooner(Time(u64::from(conn.ends_ms) * 1_000_000));
        }
        if self.read_pace.is_some()
            && out.read == 0
            && let Some(due) = self.read_due.get(&at.id)
        {
            sooner(due.time());
        }
        out.wake = wake;
    }

    /// Reads on, if it is time.
    fn read_on(&mut self, at: &At, out: &mut Outbox) {
        if let Some(pace) = &self.read_pace
            && let Some(due) = self.read_due.get(&at.id)
        {
            out.read = pace.allowed(*due, at.now);
        }
    }

    /// Sends what the wire had to say in the middle of a message, now that it is over.
    fn let_go(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        if conn.flags & HELD != 0 && conn.flags & MIDDLE == 0 {
            conn.flags &= !HELD;
            if let Some(held) = self.held.remove(&at.id) {
                out.bytes.extend_from_slice(&held);
                out.send = Send::Reply;
            }
        }
    }
}

/// Milliseconds since the run began, rounded up; not 0.
fn ms(t: Time) -> u32 {
    t.0.div_ceil(1_000_000).clamp(1, u32::MAX.into()) as u32
}

/// What happens on a connection.
impl<W: Wire, L: Looks> Load<W, L> {
    fn on_opened(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        conn.uid = self.uid;
        self.uid = self.uid.wrapping_add(self.task.workers);
        self.pace.opened();
        if let Some(lifetime) = self.task.lifetime {
            conn.ends_ms = ms(at.now + lifetime);
        }
        if let Some(pace) = &self.read_pace {
            out.read = pace.piece();
            self.read_due.insert(at.id, Due::at(at.now));
        }
        let ready = self
            .wire
            .opened(&mut conn.wire, conn.uid.into(), at, &mut out.bytes);
        if !out.bytes.is_empty() {
            out.send = Send::Reply;
        }
        if ready && self.traffic == Traffic::On {
            self.begin(conn, at, out);
        }
        self.sleep(conn, at, out);
    }

    fn on_started(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        if conn.flags & BEGUN == 0 && self.wire.is_ready(&conn.wire) {
            self.begin(conn, at, out);
            self.sleep(conn, at, out);
        }
    }

    fn on_received(
        &mut self,
        conn: &mut LoadConn<W::Conn, L::Conn>,
        bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        if self.task.first_byte && conn.flags & HEARD == 0 {
            self.measured.first_byte.record(at.since_up());
        }
        conn.flags |= HEARD;
        let (mut answers, mut marked, mut payload, mut broken) = (0, 0, 0u32, false);
        let (looks, measured) = (&mut self.looks, &mut self.measured);
        let seen = &mut conn.looks;
        let came = self.wire.received(
            &mut conn.wire,
            conn.uid.into(),
            bytes,
            at,
            &mut out.bytes,
            |piece| {
                payload = payload.saturating_add(piece.len() as u32);
                if L::ANY {
                    let seen = looks.received(seen, piece, at, measured);
                    answers += seen.answers;
                    marked += seen.marked;
                    broken |= seen.broken;
                }
            },
        );
        if W::MESSAGES {
            at.counters.messages_received.add(came.messages.into());
            answers += looks.messages(seen, came.messages, at, measured);
            if !L::ANY {
                answers += came.messages;
            }
        } else {
            // An answer may have a marker, too.
            at.counters
                .messages_received
                .add(answers.max(marked).into());
        }
        if !out.bytes.is_empty() {
            if conn.flags & MIDDLE != 0 {
                conn.flags |= HELD;
                self.held.entry(at.id).or_default().append(&mut out.bytes);
            } else {
                out.send = Send::Reply;
            }
        }
        if came.over || broken {
            out.close = true;
            return;
        }
        if came.leaving {
            conn.flags |= LEAVING;
            conn.ends_ms = ms(at.now + if came.broken { BROKEN } else { FAREWELL });
        }
        if came.ready && self.traffic == Traffic::On {
            self.begin(conn, at, out);
        }
        if self.pace.is_loop() {
            let came = if self.task.by_answers {
                answers
            } else {
                payload
            };
            conn.under_way = conn.under_way.saturating_sub(came);
            if conn.doing == Doing::Awaiting && conn.under_way == 0 {
                self.answered(conn, at, out);
            }
        }
        if let Some(pace) = &self.read_pace
            && let Some(due) = self.read_due.get_mut(&at.id)
        {
            *due = pace.after(*due, bytes.len() as u32, at.now);
            self.read_on(at, out);
        }
        if conn.ends_ms > 0 || self.read_pace.is_some() || came.ready || came.leaving {
            self.sleep(conn, at, out);
        }
    }

    fn on_sent(
        &mut self,
        conn: &mut LoadConn<W::Conn, L::Conn>,
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
                conn.due = self
                    .pace
                    .sent(conn.due, conn.under_way, n as u32, at.now, lateness);
                if conn.flags & MIDDLE != 0 && !self.pace.is_bandwidth() {
                    self.send_repeated(conn, pace::Wanted::ONE, at, out);
                } else {
                    self.next(conn, at, out);
                }
            }
            // The wire's own words.
            Doing::Idle | Doing::Delayed | Doing::Awaiting | Doing::Paced => return,
        }
        self.sleep(conn, at, out);
    }

    fn on_woken(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        self.read_on(at, out);
        if conn.ends_ms > 0 && at.now.0 >= u64::from(conn.ends_ms) * 1_000_000 {
            conn.ends_ms = 0;
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
            match conn.doing {
                Doing::Delayed if at.now >= conn.due.time() => self.go(conn, at, out),
                Doing::Paced => self.next(conn, at, out),
                _ => {}
            }
        }
        self.sleep(conn, at, out);
    }

    fn on_turn(&mut self, conn: &mut LoadConn<W::Conn, L::Conn>, at: &At, out: &mut Outbox) {
        if self.pace.takes_arrivals() {
            let Some(due) = self.pace.take_arrival() else {
                return;
            };
            let free = conn.doing == Doing::Idle && conn.flags & (BEGUN | LEAVING) == BEGUN;
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
        match conn.doing {
            Doing::Idle if conn.flags & BEGUN != 0 => self.next(conn, at, out),
            // Its last message is still under way: somebody else's turn.
            _ if self.pace.has_turn() => out.pass = 1,
            _ => {}
        }
    }

    /// Shows the tap what is about to be sent.
    #[inline]
    fn tap_sends(&mut self, at: &At, out: &Outbox) {
        let Some(tap) = &mut self.tap else { return };
        match &out.send {
            Send::Nothing | Send::Back => {}
            Send::Bytes | Send::Reply => tap.sent(at.id, &out.bytes),
            Send::Memory(range) => {
                let memory = self.task.script.memory();
                tap.sent(at.id, &memory[range.start as usize..range.end as usize]);
            }
        }
    }
}

impl<W: Wire, L: Looks> Behaviour for Load<W, L> {
    type Conn = LoadConn<W::Conn, L::Conn>;

    fn memory(&self) -> Arc<[u8]> {
        self.task.script.memory()
    }

    fn reads(&self) -> Reads {
        match self.task.receive {
            None if L::ANY || W::MESSAGES || self.pace.is_loop() => Reads::All,
            None if self.task.first_byte || self.tap.is_some() => Reads::All,
            None => Reads::Discards,
            Some(bandwidth) if bandwidth.is_zero() => Reads::Never,
            Some(_) => Reads::Asked,
        }
    }

    #[inline]
    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_opened(conn, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn started(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_started(conn, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        if let Some(tap) = &mut self.tap {
            tap.received(at.id, bytes);
        }
        self.on_received(conn, bytes, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn sent(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        self.on_sent(conn, n, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn woken(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_woken(conn, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn turn(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_turn(conn, at, out);
        self.tap_sends(at, out);
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        conn.flags |= DONE;
        match conn.doing {
            Doing::First | Doing::Sending if conn.flags & LEAVING == 0 => conn.flags |= ENDING,
            _ => self.leave(conn, at, out),
        }
        self.sleep(conn, at, out);
        self.tap_sends(at, out);
    }

    fn arrived(&mut self, now: Time) -> u32 {
        self.pace.arrived(now)
    }

    fn next_arrival(&self) -> Option<Time> {
        self.pace.next_arrival()
    }

    fn is_done(&self, conn: &Self::Conn) -> bool {
        conn.flags & DONE != 0
    }

    fn closed(&mut self, conn: &mut Self::Conn, _: Closed, at: &At) {
        // What was due and never got out was late too; leaving it out would flatter a stalled peer.
        let waited = matches!(conn.doing, Doing::Sending | Doing::Paced);
        let written_off = self.pace.take_written_off();
        at.counters.messages_unsent.add(written_off);
        let unsent = self.pace.closed(
            at.id,
            waited.then_some(conn.due),
            conn.flags & OWES != 0,
            at.now.min(self.off_at),
            &mut self.measured.lateness,
        );
        at.counters.messages_unsent.add(unsent);
        if self.pace.is_loop() && matches!(conn.doing, Doing::Sending | Doing::Awaiting) {
            self.pace.end_turn();
        }
        if let Some(tap) = &mut self.tap {
            tap.closed(at.id);
        }
        self.wire.closed(&mut conn.wire, at);
        self.looks.closed(&mut conn.looks, at);
        if conn.flags & HELD != 0 {
            self.held.remove(&at.id);
        }
        self.read_due.remove(&at.id);
        *conn = LoadConn::default();
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.off_at = match traffic {
            Traffic::Off => now,
            Traffic::Waiting | Traffic::On => Time(u64::MAX),
        };
        self.pace.traffic(traffic, now);
    }

    fn steer(&mut self, steer: &Steer) {
        self.pace.steer(steer);
    }

    fn take_measured(&mut self) -> Measured {
        std::mem::take(&mut self.measured)
    }
}

#[cfg(test)]
mod tests;
