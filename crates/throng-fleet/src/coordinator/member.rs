//! What the coordinator knows of one agent.

use super::Ordered;
use super::sums::{self, Sums};
use crate::clock::Offset;
use crate::message::{Facts, Interval, LOGGED, Order};
use std::collections::{BTreeMap, VecDeque};
use std::mem::{discriminant, take};
use std::time::Duration;
use throng_core::engine::Engine;
use throng_core::record::{
    About, Asked, Environment, Gathered, Intervals, Part, Phase, Reading, Record, Source, Start,
};
use throng_core::shard::Shard;
use throng_core::stats::Tally;

/// Intervals that wait for an earlier one; with more it is given up.
const MOST_WAITING: usize = 16;
/// Lines that are kept of what an agent wrote, in case it fails.
const LAST_LINES: usize = 5;

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It is asked questions.
    Preparing,
    /// It has no part.
    Idle,
    /// It runs its part.
    Running,
    /// Its record is here.
    Ended,
    /// It is silent, or gone.
    Lost,
}

/// How many connections an agent can hold, if that is known; or, if that is not enough, how many and why.
type Planned = Result<Option<u64>, (u64, Vec<String>)>;

/// An order that waits for an answer, and when it was sent first and last.
struct Question {
    order: Order,
    first: Duration,
    last: Duration,
}

/// See the [module](self).
pub(super) struct Member {
    pub name: String,
    pub facts: Facts,
    pub doing: Doing,
    /// When it was last heard of.
    pub heard: Duration,
    /// The way to it is interrupted.
    pub is_cut_off: bool,
    /// All has come that it said to an earlier coordinator.
    pub is_caught_up: bool,
    pub clock: Offset,
    /// Questions about its clock that it has answered.
    pub pings: u32,
    greeted: bool,
    /// Orders without an answer.
    asked: Vec<Question>,
    pub shard: Option<Shard>,
    /// Connections of its part.
    pub own: u64,
    /// What came of planning its part.
    pub plan: Option<Planned>,
    /// The fewest connections that it has said it can hold, over all plans; `None` if no limit is known.
    room: Option<u64>,
    pub about: Option<Box<About>>,
    /// What it was ordered to run.
    ordered: Option<Ordered>,
    /// When its workers began to open connections, on its own clock.
    began_ns: Option<u64>,
    pub has_opened: bool,
    /// The counts of connections that it opened and accepted, the last that are known.
    pub counts: (Tally, Option<Tally>),
    pub phase: Option<Phase>,
    pub left: Option<Duration>,
    /// How long it has run, at the end of its last interval.
    pub ran: Duration,
    /// The number of the next interval, and those that came before it.
    next: u32,
    waiting: BTreeMap<u32, Interval>,
    gathered: Gathered,
    recorded: (Tally, Option<Tally>),
    record: Option<Box<Part>>,
    /// One that can't be its record was refused: who sent that, and who sends others, is not known.
    is_forged: bool,
    /// It can't come back.
    is_final: bool,
    lines: VecDeque<String>,
}

impl Member {
    /// An agent of this name, of which at most `most_intervals` are kept.
    pub fn new(name: String, most_intervals: usize, now: Duration) -> Member {
        Member {
            name,
            facts: Facts::default(),
            doing: Doing::Preparing,
            heard: now,
            is_cut_off: false,
            is_caught_up: true,
            clock: Offset::default(),
            pings: 0,
            greeted: false,
            asked: Vec::new(),
            shard: None,
            own: 0,
            plan: None,
            room: None,
            about: None,
            ordered: None,
            began_ns: None,
            has_opened: false,
            counts: Default::default(),
            phase: None,
            left: None,
            ran: Duration::ZERO,
            next: 0,
            waiting: BTreeMap::new(),
            gathered: Gathered::at_most(most_intervals),
            recorded: Default::default(),
            record: None,
            is_forged: false,
            is_final: false,
            lines: VecDeque::new(),
        }
    }

    /// Whether nothing more is expected of it.
    pub fn is_out(&self) -> bool {
        matches!(self.doing, Doing::Idle | Doing::Ended | Doing::Lost)
    }

    /// An order was sent that is to be answered.
    pub fn asked(&mut self, order: Order, now: Duration) {
        self.answered(|known| discriminant(known) == discriminant(&order));
        self.asked.push(Question {
            order,
            first: now,
            last: now,
        });
    }

    fn answered(&mut self, order: impl Fn(&Order) -> bool) {
        self.asked.retain(|question| !order(&question.order));
    }

    /// When the order was sent that has waited longest.
    pub fn asked_at(&self) -> Option<Duration> {
        let all = self.asked.iter().filter(|_| !self.is_out());
        all.map(|question| question.last).min()
    }

    /// An order that was sent this long ago and is not answered; it is sent again now.
    pub fn again(&mut self, now: Duration, after: Duration) -> Option<Order> {
        if self.is_out() {
            return None;
        }
        let mut all = self.asked.iter_mut();
        let question = all.find(|question| now >= question.last + after)?;
        question.last = now;
        Some(question.order.clone())
    }

    /// It is heard of. Returns for how long it was not, if it was lost.
    pub fn back(&mut self, now: Duration) -> Option<Duration> {
        if self.doing != Doing::Lost || self.is_final {
            return None;
        }
        self.doing = Doing::Running;
        Some(now.saturating_sub(self.heard))
    }

    /// It says who it is. Returns whether that is new.
    pub fn greeted(&mut self, facts: Facts) -> bool {
        self.answered(|order| matches!(order, Order::Hello { .. }));
        self.facts = facts;
        !std::mem::replace(&mut self.greeted, true)
    }

    /// It answers a question about its clock. Returns whether that was the present one.
    pub fn ponged(&mut self, number: u32, theirs: Duration, now: Duration) -> bool {
        let present = |order: &Order| matches!(order, Order::Ping { number: n } if *n == number);
        let question = self.asked.iter().find(|asked| present(&asked.order));
        let Some(question) = question.filter(|_| number == self.pings) else {
            return false;
        };
        // It may be the answer to the first of several times that this was sent.
        self.clock.add(question.first, now, theirs);
        self.pings += 1;
        self.answered(present);
        true
    }

    /// It has this part of a run of `connections` connections, which it has not planned yet.
    pub fn divided(&mut self, shard: Option<Shard>, connections: u32) {
        self.shard = shard;
        self.own = shard.map_or(0, |s| s.share(connections).into());
        self.plan = None;
    }

    /// It has planned its part.
    pub fn planned(&mut self, plan: Planned) {
        self.answered(|order| matches!(order, Order::Plan(_)));
        if self.plan.is_none() {
            let holds = match &plan {
                Ok(holds) => *holds,
                Err((holds, _)) => Some(*holds),
            };
            self.room = [self.room, holds].into_iter().flatten().min();
            self.plan = Some(plan);
        }
    }

    /// Whether its limits are too low for its part.
    pub fn is_short(&self) -> bool {
        matches!(self.plan, Some(Err(_)))
    }

    /// How many connections it can hold by all that it has said; `None` if no limit is known.
    pub fn holds(&self) -> Option<u64> {
        self.room
    }

    /// The limits that are too low, as lines.
    pub fn shortfalls(&self) -> Vec<String> {
        match &self.plan {
            Some(Err((_, limits))) => {
                let line = |limit: &String| format!("{}: {limit}", self.name);
                limits.iter().map(line).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Its run has begun, at this time of its own clock.
    pub fn runs(&mut self, about: About, began_ns: u64) {
        self.answered(|order| matches!(order, Order::Start { .. }));
        self.about.get_or_insert(Box::new(about));
        self.began_ns.get_or_insert(began_ns);
    }

    /// It is ordered to run its part from the instant `at` on. Returns what that is on its own clock; `None` if it has no part.
    pub fn ordered(&mut self, at: Duration) -> Option<Ordered> {
        self.ordered = self.shard.map(|shard| Ordered {
            shard,
            at_ns: self.clock.theirs(at),
            bound_ns: u64::try_from(self.clock.bound().as_nanos()).unwrap_or(u64::MAX),
        });
        self.ordered
    }

    /// Another coordinator has ordered it to run this part of a run of `connections` connections.
    pub fn follow(&mut self, ordered: Option<Ordered>, connections: u32) {
        self.divided(ordered.map(|o| o.shard), connections);
        self.ordered = ordered;
        self.is_caught_up = ordered.is_none();
        self.doing = match ordered {
            Some(_) => Doing::Running,
            None => Doing::Idle,
        };
    }

    /// When it was to begin, in nanoseconds on its own clock, if it has not said that it has.
    pub fn not_begun(&self) -> Option<u64> {
        self.ordered
            .filter(|_| self.began_ns.is_none())
            .map(|ordered| ordered.at_ns)
    }

    /// When it was to begin, on the coordinator's clock.
    pub fn ordered_at(&self) -> Option<Duration> {
        let ns = self.clock.ours(self.ordered?.at_ns);
        u64::try_from(ns).ok().map(Duration::from_nanos)
    }

    /// When its workers began to open connections, after the instant that was meant; `None` if it has not said so.
    fn start(&self) -> Option<Start> {
        let ordered = self.ordered?;
        let after = i128::from(self.began_ns?) - i128::from(ordered.at_ns);
        Some(Start {
            after_ns: i64::try_from(after).ok()?,
            bound_ns: ordered.bound_ns,
        })
    }

    /// All its connections are established that will be.
    pub fn opened(&mut self) {
        self.has_opened = true;
    }

    /// Takes an interval, unless it is known. What was measured in it, and in those that waited for it, is added to `sums`.
    pub fn interval(&mut self, interval: Interval, sums: &mut Sums) {
        if self.record.is_some() || interval.number < self.next {
            return;
        }
        self.answered(|order| {
            matches!(order, Order::Hold { .. }) && interval.phase >= Phase::Holding
        });
        let is_latest = self
            .waiting
            .keys()
            .next_back()
            .is_none_or(|n| *n < interval.number);
        if is_latest {
            self.phase = Some(interval.phase);
            self.left = interval.left_ns.map(Duration::from_nanos);
            self.ran = Duration::from_nanos(interval.to_ns);
            self.counts = (interval.opened.unwrap_or_default(), interval.accepted);
        }
        self.waiting.entry(interval.number).or_insert(interval);
        while let Some((first, _)) = self.waiting.first_key_value()
            && (*first == self.next || self.waiting.len() > MOST_WAITING)
            && let Some((_, interval)) = self.waiting.pop_first()
        {
            sums.add(&interval.histograms);
            self.record(interval);
        }
    }

    /// Records an interval that follows all that were.
    fn record(&mut self, interval: Interval) {
        self.next = interval.number + 1;
        let reading =
            |now: Option<Tally>, then: Tally| now.map(|now| Reading::of(&now.since(&then), &now));
        let (opened, accepted) = (interval.opened, interval.accepted);
        self.gathered.add(
            Duration::from_nanos(interval.from_ns),
            Duration::from_nanos(interval.to_ns),
            interval.phase,
            reading(opened, self.recorded.0),
            reading(accepted, self.recorded.1.unwrap_or_default()),
            sums::known(interval.histograms),
        );
        self.recorded = (opened.unwrap_or_default(), accepted);
    }

    /// Its run is over. A second time changes nothing.
    ///
    /// # Errors
    /// Why the record can't be that of its part. None that comes after it is taken.
    pub fn done(&mut self, record: Record) -> Result<(), String> {
        if self.record.is_some() {
            return Ok(());
        }
        if let Err(why) = self.check(&record) {
            self.is_forged = true;
            return Err(why);
        }
        let Some(part) = record.sources.into_values().next() else {
            return Ok(());
        };
        self.counts = (
            part.ending
                .as_ref()
                .map_or_else(|| part.opened(), |e| e.closed),
            part.accepted(),
        );
        self.record = Some(Box::new(part));
        self.doing = Doing::Ended;
        self.has_opened = true;
        self.asked.clear();
        Ok(())
    }

    /// Whether `record` can be that of its part.
    fn check(&self, record: &Record) -> Result<(), String> {
        if self.is_forged {
            return Err("another one was refused before".into());
        }
        let Some(part) = record.single().filter(|part| part.ending.is_some()) else {
            return Err("it is not of one run that is over".into());
        };
        let asked = part.about.asked.connections;
        if self.shard.is_none() || asked != Some(self.own) {
            let asked = asked.map_or("any number of".into(), throng_core::human::count);
            return Err(format!(
                "it is of {asked} connections, and {} were ordered",
                self.own
            ));
        }
        Ok(())
    }

    /// Whether it is lost, and can't come back.
    pub fn is_lost_for_good(&self) -> bool {
        self.doing == Doing::Lost && self.is_final
    }

    /// It is lost; `for_good` if it can't be heard of again.
    pub fn lost(&mut self, for_good: bool) {
        self.doing = Doing::Lost;
        self.is_final |= for_good;
    }

    /// Whether it has reported what it has.
    pub fn has_reported(&self) -> bool {
        !self.ran.is_zero()
    }

    /// Connections that were open when it was last heard of.
    pub fn open(&self) -> u64 {
        self.counts.0.open()
    }

    /// It, or what started it, wrote this. The agent's own log says nothing that it does not report.
    pub fn wrote(&mut self, line: &str) {
        if line.starts_with(LOGGED) {
            return;
        }
        if self.lines.len() == LAST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// What it wrote last, to be put behind a sentence; empty if that was nothing.
    pub fn last_words(&self) -> String {
        match self.lines.is_empty() {
            true => String::new(),
            false => {
                let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
                format!(" ({})", lines.join("; "))
            }
        }
    }

    /// What is known of its run by its own word: that it began, or its record.
    pub fn told_of(&self) -> Option<&About> {
        let of_record = || self.record.as_deref().map(|part| &part.about);
        self.about.as_deref().or_else(of_record)
    }

    /// What it left behind in `run`, where it is agent number `at`: its record or, if it was lost, what its intervals have. `None`
    /// if it had no part. An agent that was lost before it told what it was asked for was asked for the same as another
    /// one, `like`, at the same time.
    pub fn part(&mut self, run: &str, at: usize, like: Option<&About>) -> Option<(Source, Part)> {
        self.shard?;
        // The order of names is that of agents.
        let source = Source::new(format!("{run}-{at:04}-{}", self.name));
        let mut part = match self.record.take() {
            Some(part) => *part,
            None => {
                for interval in take(&mut self.waiting).into_values() {
                    self.record(interval);
                }
                Part {
                    about: self
                        .about
                        .take()
                        .map_or_else(|| self.described(like), |about| *about),
                    intervals: self.take_intervals(),
                    ending: None,
                }
            }
        };
        part.about.agent = Some(self.name.clone());
        part.about.start = self.start();
        // The clocks of machines differ, and all were in step.
        if let Some(like) = like {
            part.about.started_unix_s = like.started_unix_s;
        }
        part.about.machine = Some(self.facts.machine.clone()).filter(|m| !m.is_empty());
        Some((source, part))
    }

    fn take_intervals(&mut self) -> Intervals {
        std::mem::replace(&mut self.gathered, Gathered::at_most(0)).finish()
    }

    /// What is known of it without its word.
    fn described(&self, like: Option<&About>) -> About {
        About {
            tool: self.facts.tool.clone(),
            agent: None,
            machine: None,
            start: None,
            command: Vec::new(),
            started_unix_s: like.map_or(0.0, |about| about.started_unix_s),
            kernel: self.facts.kernel.clone(),
            cores: self.facts.cores,
            engine: Engine::Epoll,
            why_epoll: None,
            workers: 0,
            asked: Asked {
                connections: Some(self.own),
                ..like.map_or_else(Asked::default, |about| about.asked.clone())
            },
            environment: Environment::default(),
        }
    }
}
