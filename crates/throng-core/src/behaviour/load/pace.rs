//! When a load's next message goes out.

use super::budget::Budget;
use super::task::{Arriving, Pacing, Task};
use crate::behaviour::{Steer, Traffic};
use crate::pacing::{Arrivals, BytePace, Due, Instants, MessagePace, Spacing, Tempo};
use crate::shard::WorkerShard;
use crate::stats::Durations;
use crate::time::Time;
use crate::units::Rate;
use std::collections::{HashMap, VecDeque};

/// The most arrivals that are taken in one round of the event loop.
const ARRIVALS_A_ROUND: usize = 1024;

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whole messages.
    pub messages: u32,
    /// Bytes, if the message is longer.
    pub bytes: u32,
}

impl Wanted {
    pub const NONE: Wanted = Wanted {
        messages: 0,
        bytes: 0,
    };
    pub const ONE: Wanted = Wanted::whole(1);

    const fn whole(messages: u32) -> Wanted {
        Wanted {
            messages,
            bytes: u32::MAX,
        }
    }
}

/// The state of [`Pacing`] on one worker.
#[derive(Debug)]
pub(super) enum Pace {
    Flood,
    /// The times at which messages are due are planned ones, as `tempo` has it.
    Rate {
        pace: MessagePace,
        tempo: Tempo,
    },
    Bandwidth {
        pace: BytePace,
        message: f64,
    },
    Loop {
        /// Connections with a message under way, and the most of them.
        active: u32,
        most: u32,
        /// Turns that were passed on and are not taken yet.
        passed: u32,
        then: Then,
    },
    Arrivals(Box<Arrived>),
}

/// What a connection does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It sends its next message.
    Next,
    /// It passes its turn on.
    Pass,
    /// It waits before its next message.
    Think,
}

/// Messages of the whole run: those that have arrived, and those still to come.
#[derive(Debug)]
pub(super) struct Arrived {
    spacing: Spacing,
    rate: Arriving,
    share: WorkerShard,
    /// The arrivals still to come, once traffic has begun.
    arrivals: Option<Arrivals>,
    /// When the messages were due that no connection has taken yet.
    waiting: VecDeque<Time>,
    /// When the messages were due that a busy connection has taken, by connection.
    owed: HashMap<u32, VecDeque<Time>>,
    /// Open connections.
    open: u32,
    /// Whether messages wait for the first connection that is free; otherwise each waits for one that has the next turn.
    shared: bool,
    /// Shared: whether a connection may be free.
    free: bool,
    /// Shared: how many busy connections may still pass on their turn before it is clear that none is free.
    passes: u32,
    /// Messages that will never be sent, and are not counted yet.
    written_off: u64,
    /// How many times the constant rate that was asked for messages arrive.
    factor: f64,
    /// How many may still arrive, where the run has a number of messages in all.
    left: u64,
    /// Whether it has.
    bounded: bool,
}

impl Pace {
    pub fn new(task: &Task) -> Pace {
        match &task.pacing {
            Pacing::Flood => Pace::Flood,
            Pacing::Rate(rate) => {
                let most = task.most.min(task.script.messages_a_write());
                Pace::Rate {
                    pace: MessagePace::new(*rate, task.connections, most),
                    tempo: Tempo::default(),
                }
            }
            Pacing::Bandwidth(bandwidth) => {
                let message = task.script.message_bytes().max(1.0);
                Pace::Bandwidth {
                    pace: BytePace::new(*bandwidth, message, task.connections),
                    message,
                }
            }
            Pacing::ClosedLoop { in_flight } => Pace::Loop {
                active: 0,
                most: in_flight.unwrap_or(u32::MAX),
                passed: 0,
                then: match (in_flight, task.think) {
                    (_, Some(_)) => Then::Think,
                    (Some(_), None) => Then::Pass,
                    (None, None) => Then::Next,
                },
            },
            Pacing::Arrivals { spacing, rate } => Pace::Arrivals(Box::new(Arrived {
                spacing: *spacing,
                rate: rate.clone(),
                share: task.share(),
                arrivals: None,
                waiting: VecDeque::new(),
                owed: HashMap::new(),
                open: 0,
                shared: task.replaced,
                free: false,
                passes: 0,
                written_off: 0,
                factor: 1.0,
                left: Budget::new(task).left(),
                bounded: task.requests.is_some(),
            })),
        }
    }

    pub fn is_loop(&self) -> bool {
        matches!(self, Pace::Loop { .. })
    }

    pub fn is_bandwidth(&self) -> bool {
        matches!(self, Pace::Bandwidth { .. })
    }

    pub fn takes_arrivals(&self) -> bool {
        matches!(self, Pace::Arrivals(_))
    }

    /// Whether the next message of a connection is due by the connection's own time.
    pub fn comes_by_itself(&self) -> bool {
        matches!(self, Pace::Rate { .. } | Pace::Bandwidth { .. })
    }

    /// When the first message of connection `id` is due, if it may send from `now` on.
    pub fn first(&self, id: u32, now: Time) -> Due {
        match self {
            Pace::Rate { pace, tempo } => pace.first(id, tempo.planned(now)),
            Pace::Bandwidth { pace, .. } => pace.first(id, now),
            Pace::Flood | Pace::Loop { .. } | Pace::Arrivals(_) => Due::at(now),
        }
    }

    /// What may be sent at `now` on a connection whose next message is due at `next`, after `gone` others of its group.
    pub fn wanted(&self, next: Due, gone: u16, now: Time) -> Wanted {
        match self {
            Pace::Flood => Wanted::whole(u32::MAX),
            Pace::Rate { pace, tempo } => {
                let by = tempo.planned_steadily(next, now);
                Wanted::whole(pace.together(next, gone, by))
            }
            Pace::Bandwidth { pace, message } => match pace.allowed(next, now) {
                0 => Wanted::NONE,
                bytes => Wanted {
                    messages: ((f64::from(bytes) / message) as u32).max(1),
                    bytes,
                },
            },
            Pace::Loop { .. } if self.has_turn() => Wanted::ONE,
            Pace::Loop { .. } | Pace::Arrivals(_) => Wanted::NONE,
        }
    }

    /// When the messages that are sent at `now` were due. The first of them was due at `next`, after `gone` others of
    /// its group.
    pub fn instants(&self, next: Due, gone: u16, now: Time) -> Instants {
        match self {
            Pace::Rate { pace, tempo } => tempo.instants(pace.instants(next, gone)),
            Pace::Arrivals(_) => Instants::at(next),
            // Such messages are due when they are sent.
            Pace::Flood | Pace::Bandwidth { .. } | Pace::Loop { .. } => Instants::at(Due::at(now)),
        }
    }

    /// Records that `messages` messages of `bytes` bytes were sent at `now`, and how late they were. The first of them
    /// was due at `next`, after `gone` others of its group. Returns when the next message is due, and how many of its
    /// group have been sent.
    pub fn sent(
        &self,
        (next, gone): (Due, u16),
        messages: u32,
        bytes: u32,
        now: Time,
        lateness: &mut Durations,
    ) -> (Due, u16) {
        match self {
            Pace::Rate { pace, tempo } => {
                for (due, n) in tempo.instants(pace.instants(next, gone)).of(messages) {
                    lateness.record_many(now.since(due), n);
                }
                pace.after(next, gone, messages)
            }
            Pace::Bandwidth { pace, .. } => {
                lateness.record(now.since(next.time()));
                (pace.after(next, bytes, now), 0)
            }
            Pace::Arrivals(_) => {
                if messages > 0 {
                    lateness.record(now.since(next.time()));
                }
                (next, 0)
            }
            Pace::Flood | Pace::Loop { .. } => (next, 0),
        }
    }

    /// Whether a closed loop may begin another message.
    pub fn has_turn(&self) -> bool {
        matches!(self, Pace::Loop { active, most, .. } if active < most)
    }

    pub fn begin_turn(&mut self) {
        if let Pace::Loop { active, .. } = self {
            *active += 1;
        }
    }

    /// Ends a message of a closed loop.
    pub fn end_turn(&mut self) {
        if let Pace::Loop { active, .. } = self {
            *active = active.saturating_sub(1);
        }
    }

    /// What a connection of a closed loop does after an answer.
    pub fn then(&self) -> Then {
        match self {
            Pace::Loop { then, .. } => *then,
            _ => Then::Next,
        }
    }

    /// How many turns to pass on, so that as many messages as allowed are under way.
    pub fn pass_turns(&mut self) -> u32 {
        match self {
            Pace::Loop {
                active,
                most,
                passed,
                then: Then::Pass,
            } => {
                let free = most.saturating_sub(*active).saturating_sub(*passed);
                *passed += free;
                free
            }
            _ => 0,
        }
    }

    /// Takes a turn that was passed on.
    pub fn take_turn(&mut self) {
        if let Pace::Loop { passed, .. } = self {
            *passed = passed.saturating_sub(1);
        }
    }

    /// A connection may begin to send.
    pub fn opens(&mut self) {
        // All connections may have been gone, and their turns with them.
        if let Pace::Loop {
            active: 0, passed, ..
        } = self
        {
            *passed = 0;
        }
    }

    /// A connection was established.
    pub fn opened(&mut self) {
        if let Pace::Arrivals(arrived) = self {
            arrived.open += 1;
        }
    }

    /// Messages that were written off since the last call.
    pub fn take_written_off(&mut self) -> u64 {
        match self {
            Pace::Arrivals(arrived) => std::mem::take(&mut arrived.written_off),
            _ => 0,
        }
    }

    /// Takes what has arrived by now. Returns how many messages wait for a connection.
    pub fn arrived(&mut self, now: Time) -> u32 {
        match self {
            Pace::Arrivals(arrived) => {
                if let Some(arrivals) = &mut arrived.arrivals {
                    let most = ARRIVALS_A_ROUND.min(arrived.left.try_into().unwrap_or(usize::MAX));
                    let taken = arrivals.take(now, most, &mut arrived.waiting);
                    if arrived.bounded {
                        arrived.left -= taken as u64;
                    }
                }
                match arrived.open {
                    0 => 0,
                    _ if arrived.shared && !arrived.free => 0,
                    open => {
                        arrived.passes = open;
                        arrived.waiting.len() as u32
                    }
                }
            }
            _ => 0,
        }
    }

    /// This many messages that had arrived were not carried: others arrive for them.
    pub fn take_back(&mut self, messages: u32) {
        if let Pace::Arrivals(arrived) = self
            && arrived.bounded
        {
            arrived.left += u64::from(messages);
        }
    }

    /// When the next message arrives; `None` without a connection.
    pub fn next_arrival(&self) -> Option<Time> {
        match self {
            Pace::Arrivals(arrived) if arrived.open > 0 && arrived.left > 0 => {
                arrived.arrivals.as_ref()?.next()
            }
            _ => None,
        }
    }

    /// Takes the message that has waited longest. Returns when it was due.
    pub fn take_arrival(&mut self) -> Option<Time> {
        match self {
            Pace::Arrivals(arrived) => arrived.waiting.pop_front(),
            _ => None,
        }
    }

    /// A connection that is busy has the turn of an arrival. Returns how many turns are passed on, if the message waits for
    /// whichever connection is free first; `None` if it waits for this one.
    pub fn pass_arrival(&mut self) -> Option<u32> {
        let Pace::Arrivals(arrived) = self else {
            return None;
        };
        if !arrived.shared {
            return None;
        }
        arrived.free = arrived.passes > 0;
        arrived.passes = arrived.passes.saturating_sub(1);
        Some(arrived.free.into())
    }

    /// A connection is free: takes the message that has waited longest for any. Returns when it was due.
    pub fn take_shared(&mut self) -> Option<Time> {
        match self {
            Pace::Arrivals(arrived) if arrived.shared => {
                let due = arrived.waiting.pop_front();
                arrived.free |= due.is_none();
                due
            }
            _ => None,
        }
    }

    /// Lets the message that was due at `due` wait for connection `id`, which is busy.
    pub fn owe(&mut self, id: u32, due: Time) {
        if let Pace::Arrivals(arrived) = self {
            arrived.owed.entry(id).or_default().push_back(due);
        }
    }

    /// Takes the next message that waits for connection `id`.
    pub fn take_owed(&mut self, id: u32) -> Option<Time> {
        let Pace::Arrivals(arrived) = self else {
            return None;
        };
        let due = arrived.owed.get_mut(&id).and_then(VecDeque::pop_front);
        if due.is_none() {
            arrived.owed.remove(&id);
        }
        due
    }

    /// Connection `id` is gone. `next` is when its next message was due, if it had one to send, and how many of its
    /// group have been sent. `owes` says whether other messages wait for it. Records how late the messages are that
    /// were due by `end`, and returns their number. If it `goes_on`, another connection, or the same one once it is open
    /// again, has those that waited for it.
    pub fn closed(
        &mut self,
        id: u32,
        next: Option<(Due, u16)>,
        owes: bool,
        goes_on: bool,
        end: Time,
        lateness: &mut Durations,
    ) -> u64 {
        let mut unsent = 0;
        let mut late = |due: Time, n: u32| {
            if due <= end {
                lateness.record_many(end.since(due), n);
                unsent += u64::from(n);
            }
        };
        match (self, next) {
            (Pace::Rate { pace, tempo }, Some((mut next, mut gone))) => loop {
                // Those up to a change of the rate, then those up to the next one.
                let all = pace.due(next, gone, tempo.planned_steadily(next, end));
                if all == 0 {
                    break;
                }
                for (due, n) in tempo.instants(pace.instants(next, gone)).of(all) {
                    late(due, n);
                }
                (next, gone) = pace.after(next, gone, all);
            },
            (Pace::Arrivals(arrived), next) => {
                arrived.open = arrived.open.saturating_sub(1);
                next.into_iter().for_each(|(next, _)| late(next.time(), 1));
                let owed = match owes {
                    true => arrived.owed.remove(&id).unwrap_or_default(),
                    false => VecDeque::new(),
                };
                // Where the run has a number of messages in all, none is replaced by a later one.
                let goes_on = goes_on || arrived.bounded && arrived.arrivals.is_some();
                if goes_on {
                    owed.into_iter()
                        .rev()
                        .for_each(|due| arrived.waiting.push_front(due));
                } else {
                    owed.into_iter().for_each(|due| late(due, 1));
                }
                if arrived.open == 0 && !goes_on {
                    // No connection is left to take them.
                    arrived.waiting.drain(..).for_each(|due| late(due, 1));
                }
            }
            _ => {}
        }
        unsent
    }

    /// Traffic begins or ends at `now`.
    pub fn traffic(&mut self, traffic: Traffic, now: Time) {
        let Pace::Arrivals(arrived) = self else {
            return;
        };
        let (spacing, share) = (arrived.spacing, arrived.share);
        arrived.arrivals = match (traffic, &arrived.rate) {
            (Traffic::On, Arriving::Constant(rate)) => {
                let rate = times(*rate, arrived.factor);
                Some(Arrivals::constant(rate, spacing, now, share))
            }
            (Traffic::On, Arriving::Profile(profile)) => {
                Some(Arrivals::profile(profile, spacing, now, share))
            }
            (Traffic::Waiting | Traffic::Off, _) => None,
        };
    }

    /// No further message arrives, and those that wait are not sent: there were as many as were asked for.
    #[cold]
    pub fn end_arrivals(&mut self) {
        if let Pace::Arrivals(arrived) = self {
            arrived.arrivals = None;
            arrived.waiting.clear();
            arrived.owed.clear();
        }
    }

    /// When the message that is due at `due`, as a connection remembers it, is due.
    #[inline]
    pub fn due(&self, due: Due) -> Time {
        match self {
            Pace::Rate { tempo, .. } => tempo.real(due).time(),
            _ => due.time(),
        }
    }

    /// Changes the rate. Returns whether connections asked to be woken at times that are no longer right.
    pub fn steer(&mut self, steer: &Steer) -> bool {
        match (self, steer) {
            (Pace::Rate { tempo, .. }, Steer::Tempo { from, factor }) => {
                tempo.change(*from, *factor);
                true
            }
            (Pace::Arrivals(arrived), steer) => {
                arrived.steer(steer);
                false
            }
            _ => false,
        }
    }
}

impl Arrived {
    fn steer(&mut self, steer: &Steer) {
        // Before traffic begins this is the first rate; after its end there is nothing to steer.
        match (steer, &mut self.arrivals, &mut self.rate) {
            (Steer::Rate { from, rate, afresh }, Some(arrivals), _) => {
                if *afresh {
                    let waiting = self.waiting.drain(..).count();
                    let owed = self.owed.drain().map(|(_, due)| due.len()).sum::<usize>();
                    self.written_off += (waiting + owed) as u64 + arrivals.write_off(*from);
                }
                arrivals.set_rate(*from, *rate);
            }
            (Steer::Tempo { from, factor }, arrivals, Arriving::Constant(rate)) => {
                self.factor = *factor;
                if let Some(arrivals) = arrivals {
                    arrivals.set_rate(*from, times(*rate, *factor));
                }
            }
            (Steer::Tempo { .. }, _, Arriving::Profile(_)) => {}
            (Steer::Rate { rate, .. }, None, waiting) => *waiting = Arriving::Constant(*rate),
            (Steer::Piece { from, piece }, Some(arrivals), _) => arrivals.append(*from, piece),
            (Steer::Piece { piece, .. }, None, Arriving::Profile(profile)) => {
                // Longer than any run: a piece that can't be added is never reached.
                let _ = profile.push(*piece);
            }
            (Steer::Piece { .. }, None, Arriving::Constant(_)) => {}
        }
    }
}

/// `rate`, `factor` times as fast; unchanged if that is no rate.
fn times(rate: Rate, factor: f64) -> Rate {
    Rate::per_second(rate.get() * factor).unwrap_or(rate)
}
