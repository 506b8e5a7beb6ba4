//! The search: what is seen goes in, how many connections to hold comes out.

use super::ending::Ending;
use super::narrowing::{Narrowing, Next};
use super::seen::Seen;
use super::standing::Standing;
use std::time::Duration;

/// How far the number to hold is ahead of what is held, as a part of it: small enough that few are opened beyond a limit, large
/// enough that a fast server is not waited for.
const AHEAD_PART: u64 = 4;
/// The same at least.
const AHEAD: u64 = 16;
/// How far it is ahead of a number at which it stopped before, as a part of it, and at least.
const PRESS_PART: u64 = 50;
const PRESS: u64 = 4;
/// The part of its connections that it closes to come back: the precision of the result.
const BACK_OFF_PART: u64 = 100;
/// How long all has to be quiet after that.
const REST: Duration = Duration::from_secs(1);
/// How long it may take, beyond the patience, until a number stands that was held before.
const SETTLES: Duration = Duration::from_secs(10);
/// Growth of less than 1/`GROWTH_PART` while attempts fail is none: places become free at times.
const GROWTH_PART: u64 = 1000;
/// Time between two looks that is longer than this does not count: what happened in it was not seen.
const UNSEEN: Duration = Duration::from_millis(500);
/// How often it may get no further until two such numbers agree.
const ROUNDS: usize = 4;

/// What a search is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The most connections that may be opened.
    pub bound: u32,
    /// Whether that is what the user asked for, and not what this client is able to.
    pub bound_is_asked: bool,
    /// How long no progress is waited for.
    pub patience: Duration,
    /// How many four-tuples there are, if a connection that was closed keeps its own for a while.
    pub tuples: Option<u64>,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It goes on.
    Nothing,
    /// It gets no further than this number. Why, shows now.
    Stuck(u64),
    /// It got further than this number, at which it had stopped before: no limit.
    WentOn(u64),
    /// The server closes connections to make room for others. It holds this number without closing any, and not more.
    Narrowed(u64),
    /// It comes back after it has backed off.
    ComesBack(u64),
    /// The number is known, and held.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Opens ever more.
    Growing,
    /// Tries numbers at a server that closes connections to make room.
    Narrowing(Narrowing),
    /// Holds a few less than the number at which it stopped, since then, and since when all has been quiet.
    BackingOff {
        to: u64,
        since: Duration,
        quiet: Option<Duration>,
    },
    /// Opens a few more than the number at which it stopped.
    Pressing { wall: u64 },
    /// Holds this number, and no more, since then.
    Arriving { number: u64, since: Duration },
    /// The number is known.
    Over,
}

/// A search for the most connections that can be held.
#[derive(Debug)]
pub struct Search {
    terms: Terms,
    phase: Phase,
    standing: Standing,
    /// When it was last told what is seen.
    looked: Duration,
    /// The number to hold at most.
    target: u64,
    /// The most that stood in this phase, and when that last grew, from what to, and what had been refused by then.
    best: u64,
    grown: Growth,
    /// The most that were held in this phase, for a moment.
    peak: u64,
    /// Looks since the number last grew, and those at which more were held.
    looks: u64,
    above: u64,
    /// The number that a server holds that makes room, while it is the last at which it got no further.
    narrowed: Option<u64>,
    /// Where it got no further.
    walls: Vec<u64>,
    /// Where it got no further for a while.
    pauses: Vec<u64>,
    /// How many this side had closed by the last of these.
    closed: u64,
    /// How many it closed then whose places did not become free; `None` if they did.
    places_kept: Option<u64>,
    ending: Ending,
    number: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    at: Duration,
    to: u64,
    refused: u64,
    ended: u64,
}

impl Search {
    /// A search on these terms. The run begins with [`Search::target`].
    pub fn new(terms: Terms) -> Search {
        Search {
            target: AHEAD.min(terms.bound.into()),
            terms,
            phase: Phase::Growing,
            standing: Standing::default(),
            looked: Duration::ZERO,
            best: 0,
            grown: Growth::default(),
            peak: 0,
            looks: 0,
            above: 0,
            narrowed: None,
            walls: Vec::new(),
            pauses: Vec::new(),
            closed: 0,
            places_kept: None,
            ending: Ending::Unfinished,
            number: 0,
        }
    }

    /// How many connections are to be held at most now.
    pub fn target(&self) -> u32 {
        u32::try_from(self.target).unwrap_or(u32::MAX)
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The number found; so far, if it is not over.
    pub fn number(&self) -> u64 {
        match self.phase {
            Phase::Over => self.number,
            _ => self.best,
        }
    }

    /// Where it got no further, in order of time.
    pub fn walls(&self) -> &[u64] {
        &self.walls
    }

    /// Where it got no further for a while, and then did.
    pub fn pauses(&self) -> &[u64] {
        &self.pauses
    }

    /// How many connections it closed at the limit whose places did not become free, if it ended for that.
    pub fn places_kept(&self) -> Option<u64> {
        self.places_kept
    }

    /// Whether it is still opening ever more: how that goes says something about the server.
    pub fn is_growing(&self) -> bool {
        self.phase == Phase::Growing
    }

    /// Takes note of what is seen.
    pub fn look(&mut self, seen: &Seen) -> Event {
        let gap = seen.at.saturating_sub(self.looked);
        self.looked = seen.at;
        if gap > UNSEEN {
            self.leave_out(gap);
        }
        let held = seen.open.saturating_sub(seen.queued);
        let stood = self.standing.look(seen.at, held);
        match self.phase {
            Phase::Growing | Phase::Pressing { .. } => self.open(seen, held, stood),
            Phase::Narrowing(narrowing) => self.narrow(seen, stood, narrowing),
            Phase::BackingOff { .. } => self.settle(seen, held),
            Phase::Arriving { number, since } => self.arrive(seen, stood, number, since),
            Phase::Over => Event::Over,
        }
    }

    /// The limit at which it stopped is this client's own: there is nothing to find out. It holds what it has.
    pub fn end_at_client(&mut self, at: Duration) {
        self.ending = Ending::Client;
        self.stay(self.best, at);
    }

    /// Nothing is opened at `at` because the user has it so: no progress is none of the server's.
    pub fn pause(&mut self, at: Duration) {
        match &mut self.phase {
            Phase::Growing | Phase::Pressing { .. } => self.grown.at = at,
            Phase::Narrowing(narrowing) => narrowing.pause(at),
            Phase::BackingOff { since, .. } | Phase::Arriving { since, .. } => *since = at,
            Phase::Over => {}
        }
    }

    /// Nothing was seen for this long.
    fn leave_out(&mut self, gap: Duration) {
        match &mut self.phase {
            Phase::Growing | Phase::Pressing { .. } => self.grown.at += gap,
            Phase::Narrowing(narrowing) => narrowing.leave_out(gap),
            Phase::BackingOff { since, quiet, .. } => {
                *since += gap;
                *quiet = quiet.map(|quiet| quiet + gap);
            }
            Phase::Arriving { since, .. } => *since += gap,
            Phase::Over => {}
        }
    }

    /// What may be held without running out of four-tuples of connections that were closed.
    fn ceiling(&self, seen: &Seen) -> u64 {
        let tuples = self.terms.tuples.unwrap_or(u64::MAX);
        tuples
            .saturating_sub(seen.closed)
            .min(self.terms.bound.into())
    }

    fn open(&mut self, seen: &Seen, held: u64, stood: u64) -> Event {
        if seen.stopped {
            self.best = self.best.max(held);
            self.end_at_client(seen.at);
            return Event::Stuck(self.best);
        }
        self.best = self.best.max(stood);
        self.peak = self.peak.max(held);
        self.looks += 1;
        self.above += u64::from(held > self.best);
        let failing = seen.refused > self.grown.refused;
        let step = if failing {
            self.grown.to / GROWTH_PART
        } else {
            0
        };
        if self.best > self.grown.to + step {
            self.grown = Growth {
                at: seen.at,
                to: self.best,
                refused: seen.refused,
                ended: seen.ended,
            };
            (self.looks, self.above) = (0, 0);
        }
        if self.best >= u64::from(self.terms.bound) {
            self.ending = match self.terms.bound_is_asked {
                true => Ending::Bound,
                false => Ending::Client,
            };
            self.stay(self.terms.bound.into(), seen.at);
            return Event::Nothing;
        }
        let ahead = match self.phase {
            Phase::Pressing { wall } => {
                if self.best > wall + tolerance(wall) {
                    self.walls.clear();
                    self.narrowed = None;
                    self.pauses.push(wall);
                    self.phase = Phase::Growing;
                    return Event::WentOn(wall);
                }
                wall + PRESS.max(wall / PRESS_PART)
            }
            _ => held + AHEAD.max(held / AHEAD_PART),
        };
        self.target = self.target.max(ahead.min(self.ceiling(seen)));
        match seen.at.saturating_sub(self.grown.at) >= self.terms.patience {
            true => self.stuck(seen),
            false => Event::Nothing,
        }
    }

    /// It gets no further.
    fn stuck(&mut self, seen: &Seen) -> Event {
        let (wall, at) = (self.best, seen.at);
        let closed = seen.closed - std::mem::replace(&mut self.closed, seen.closed);
        if wall == 0 {
            self.ending = Ending::None;
            self.over(0);
            return Event::Stuck(0);
        }
        // It had more most of the time, and closed some of them again and again. What it accepts and closes at once is seen seldom.
        let makes_room = seen.ended > self.grown.ended && self.above * 2 > self.looks;
        if makes_room && self.walls.is_empty() {
            let to = self.peak.min(self.ceiling(seen));
            self.target = to;
            self.standing.forget();
            self.phase = Phase::Narrowing(Narrowing::begin(wall, to, seen));
            return Event::Stuck(wall);
        }
        let last = self.walls.last().copied();
        let narrowed = self.narrowed.take().filter(|number| last == Some(*number));
        self.walls.push(wall);
        match last {
            // What is missing now was closed to make room, when it came back to that number.
            Some(last) if narrowed.is_some() && last.abs_diff(wall) <= tolerance(last) => {
                self.ending = Ending::Found;
                self.stay(last, at);
            }
            // What it closed is missing, and nothing came in its place.
            Some(last) if closed > 0 && last.saturating_sub(wall) == closed => {
                self.ending = Ending::Found;
                self.places_kept = Some(closed);
                self.keep(wall, at);
            }
            Some(last) if last.abs_diff(wall) <= tolerance(last.max(wall)) => {
                self.ending = Ending::Found;
                self.stay(last.min(wall), at);
            }
            _ if self.walls.len() >= ROUNDS => {
                self.ending = Ending::Unstable;
                let least = self.walls.iter().copied().min();
                self.stay(least.unwrap_or(wall), at);
            }
            _ => self.back_off(wall, at),
        }
        Event::Stuck(wall)
    }

    /// Tries numbers at a server that closes connections to make room.
    fn narrow(&mut self, seen: &Seen, stood: u64, mut narrowing: Narrowing) -> Event {
        if seen.stopped {
            self.best = stood;
            self.end_at_client(seen.at);
            return Event::Stuck(stood);
        }
        // What was closed is opened again after a while, and has to stand for a second.
        let patience = self.terms.patience * 2;
        let next = narrowing.look(seen, stood, self.ceiling(seen), patience);
        self.phase = Phase::Narrowing(narrowing);
        match next {
            Next::Waits => Event::Nothing,
            Next::Tries(number) => {
                self.target = number;
                self.standing.forget();
                Event::Nothing
            }
            Next::Known(number) => {
                let wall = number.unwrap_or(self.best);
                (self.best, self.narrowed, self.closed) = (wall, number, seen.closed);
                self.walls.push(wall);
                self.back_off(wall, seen.at);
                number.map_or(Event::Nothing, Event::Narrowed)
            }
        }
    }

    /// Holds a few less than `wall`, at which it stopped.
    fn back_off(&mut self, wall: u64, at: Duration) {
        let to = wall - tolerance(wall);
        self.target = to;
        self.standing.forget();
        self.phase = Phase::BackingOff {
            to,
            since: at,
            quiet: None,
        };
    }

    /// Waits until those are closed that are too many, and the server has dealt with that.
    fn settle(&mut self, seen: &Seen, held: u64) -> Event {
        let Phase::BackingOff { to, since, quiet } = self.phase else {
            return Event::Nothing;
        };
        let settled = seen.open <= to && held + tolerance(to) >= to;
        let quiet = settled.then(|| quiet.unwrap_or(seen.at));
        self.phase = Phase::BackingOff { to, since, quiet };
        let too_long = seen.at.saturating_sub(since) >= self.terms.patience + SETTLES;
        if too_long && quiet.is_none() {
            // It does not even hold what it held. Either some were lost, or what it closed is missing, and nothing came in its
            // place: an accept queue that is not emptied keeps connections that were closed, as tables on the path do.
            let closed = seen.closed.saturating_sub(self.closed);
            let wall = self.walls.last().copied().unwrap_or(to);
            let lost = wall.saturating_sub(held + closed);
            if lost == 0 && closed > 0 {
                self.ending = Ending::Found;
                self.places_kept = Some(closed);
                self.keep(held, seen.at);
            } else {
                self.ending = Ending::Unstable;
                self.stay(held, seen.at);
            }
            return Event::Nothing;
        }
        if quiet.is_none_or(|quiet| seen.at < quiet + REST) {
            return Event::Nothing;
        }
        self.standing.forget();
        let wall = self.walls.last().copied().unwrap_or(to);
        self.phase = Phase::Pressing { wall };
        self.best = held.min(to);
        (self.peak, self.looks, self.above) = (held, 0, 0);
        self.grown = Growth {
            at: seen.at,
            to: self.best,
            refused: seen.refused,
            ended: seen.ended,
        };
        Event::ComesBack(wall)
    }

    /// Holds this number from now on.
    fn stay(&mut self, number: u64, at: Duration) {
        self.target = number;
        self.standing.forget();
        self.phase = Phase::Arriving { number, since: at };
    }

    /// Holds this number from now on, and closes no more: the places of what is closed would be missing, too.
    fn keep(&mut self, number: u64, at: Duration) {
        self.standing.forget();
        self.phase = Phase::Arriving { number, since: at };
    }

    fn arrive(&mut self, seen: &Seen, stood: u64, number: u64, since: Duration) -> Event {
        if stood >= number {
            self.over(number);
            return Event::Over;
        }
        if seen.at.saturating_sub(since) < self.terms.patience + SETTLES {
            return Event::Nothing;
        }
        if stood + tolerance(number) < number && self.ending != Ending::Client {
            self.walls.push(stood);
            self.ending = Ending::Unstable;
        }
        self.target = stood;
        self.over(stood);
        Event::Over
    }

    fn over(&mut self, number: u64) {
        self.number = number;
        self.phase = Phase::Over;
    }
}

/// How far two numbers may be apart that count as the same.
fn tolerance(n: u64) -> u64 {
    n.div_ceil(BACK_OFF_PART)
}
