//! The coordinator: what agents say and the time in, orders and decisions out.
//!
//! A run has these phases: every agent says who it is; its clock is compared; it plans its part; all start at one instant, and
//! begin to hold at another one; intervals and, at the end, records arrive. Until the start, anything that goes wrong refuses the
//! whole run: nothing was opened. From then on there is a result, whatever happens.
//!
//! A coordinator that follows another one begins with what that one has [decided](Decision) and with what agents have reported
//! so far. It compares clocks anew, and goes on.

mod decision;
mod member;
mod sums;
#[cfg(test)]
mod tests;

use crate::clock::ROUND_TRIPS;
use crate::message::{self, FromAgent, Order, Part, Report, ToAgent};
use crate::shares;
pub use decision::{Decision, Keeper, Ordered, Stopping};
use member::{Doing, Member};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use sums::Sums;
use throng_core::human::{count, duration, things};
use throng_core::observer::Note;
use throng_core::plan::Beside;
use throng_core::record::{MAX_INTERVALS, Phase, Record, VERSION};
use throng_core::shard::Shard;
use throng_core::stats::{Measured, Tally};
use throng_core::summary::LatencyReport;

/// An order without an answer is repeated after this long.
const AGAIN: Duration = Duration::from_secs(1);
/// Each agent hears from the coordinator this often, at least.
pub(crate) const BEAT: Duration = Duration::from_millis(500);
/// A coordinator that looks at the time again only after this long was stopped itself, had no processor, or was busy with records.
const STILL: Duration = Duration::from_secs(1);
/// How long an agent may take to say who it is: a login on another machine is part of it.
const GREETING: Duration = Duration::from_secs(30);
/// How long it may take to plan: names are looked up.
const PLANNING: Duration = Duration::from_secs(60);
/// How far ahead an instant is at which agents are to do something together, so that all have heard of it by then, beyond what
/// messages take.
const AHEAD: Duration = Duration::from_millis(100);
/// The same for the start, for each agent on a core: they plan anew and make their workers first.
const AHEAD_EACH: Duration = Duration::from_millis(25);
/// How often `--fit` divides a run, at most: agents that share a limit learn only from each division what the others leave.
const DIVISIONS: u32 = 8;
/// Longer than any message is taken to need.
const SLOWEST: Duration = Duration::from_secs(5);
/// The most intervals of all agents together: with more agents than a hundred, each has fewer than a run of one process. An interval
/// takes some kilobytes.
const MOST_INTERVALS: usize = 100 * MAX_INTERVALS;
/// And the fewest of each.
const FEWEST_INTERVALS: usize = 20;
/// How often observers are given what the agents have told.
const LOOK: Duration = Duration::from_secs(1);

/// What is to happen when an agent is lost during the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// The others go on.
    #[default]
    GoOn,
    /// The others stop, too.
    Stop,
}

/// What is asked of a fleet.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The scenario of the whole run, as a file.
    pub scenario: String,
    /// Its connections.
    pub connections: u32,
    /// Whether agents take over what others have no room for.
    pub fit: bool,
    /// What is to happen when an agent is lost.
    pub on_loss: OnLoss,
    /// An agent that is not heard of for this long is lost. It is back when it is heard of again. Agents say twice per second that
    /// they are there.
    pub lost_after: Duration,
    /// What agents ask for that belong to some people only.
    pub token: Option<String>,
    /// The latencies that are reported.
    pub latencies: LatencyReport,
}

/// What a coordinator decided.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this.
    Send {
        /// To this agent, by its place among the names that the coordinator was given.
        to: usize,
        /// What to send.
        message: ToAgent,
    },
    /// Keep this, before what follows is carried out.
    Keep(Decision),
    /// Tell this.
    Note(Note),
    /// The run as it is now.
    Look(Box<Look>),
    /// It is over.
    Over(Box<Result<Over, Refusal>>),
}

/// A running fleet, as far as its agents have told: sums over all of them.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Since the start.
    pub at: Duration,
    /// What the run is doing: what the agent does that is furthest behind.
    pub phase: Option<Phase>,
    /// Connections asked for.
    pub asked: u64,
    /// The most that were open at once.
    pub peak: u64,
    /// Until the phase ends by itself, if that is known.
    pub left: Option<Duration>,
    /// Counts of connections that agents opened. Those of a lost agent count as ended by an error.
    pub opened: Tally,
    /// Counts of those that they accepted; `None` if they accept none.
    pub accepted: Option<Tally>,
    /// What was measured since the last look.
    pub measured: Measured,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// What all agents left behind. A lost agent has no ending.
    pub record: Record,
    /// The agents that were lost.
    pub lost: Vec<String>,
}

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The plan, or an agent, does not allow it: lines.
    Impossible(Vec<String>),
    /// An agent failed, or can't be reached.
    Fault(String),
    /// It was interrupted before the start.
    Interrupted,
}

/// The state of a coordinator: what agents say and the time in, orders and decisions out. Has no clock and no socket.
pub struct Coordinator {
    run: String,
    terms: Terms,
    members: Vec<Member>,
    phase: Stage,
    /// The present plan.
    plan: u32,
    steps: VecDeque<Step>,
    ticked: Duration,
    beaten: Duration,
    looked: Duration,
    stopping: Option<Stopping>,
    peak: u64,
    /// What was measured since the last look.
    measured: Sums,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Every agent says who it is, and what its clock says, until this time.
    Greeting {
        until: Duration,
    },
    /// Every agent plans, until this time.
    Planning {
        until: Duration,
    },
    /// The run has begun under another coordinator. Every agent's reports are read, and its clock is compared.
    Following,
    /// Since this time.
    Running {
        since: Duration,
        held: bool,
    },
    Over,
}

impl Coordinator {
    /// The coordinator of the run of this name, which no other run has, with agents of these names. The orders with which it begins
    /// are its first steps.
    pub fn new(run: String, names: Vec<String>, terms: Terms, now: Duration) -> Coordinator {
        let until = now + GREETING;
        let mut coordinator =
            Coordinator::in_stage(Stage::Greeting { until }, run, names, terms, now);
        let agents = coordinator.members.len();
        if (coordinator.terms.connections as usize) < agents {
            let line = format!(
                "{} for {}: each agent needs one at least",
                things(coordinator.terms.connections.into(), "connection"),
                things(agents as u64, "agent"),
            );
            coordinator.refuse(Refusal::Impossible(vec![line]));
            return coordinator;
        }
        for at in 0..agents {
            let hello = Order::Hello {
                version: message::VERSION,
                agent: coordinator.members[at].name.clone(),
                token: coordinator.terms.token.clone(),
            };
            coordinator.order(at, hello, now);
        }
        coordinator
    }

    /// The coordinator of a run that has begun under another one, which has decided this. What each agent has said so far is to be
    /// [received](Coordinator::received), and after it that it is [all](Coordinator::caught_up).
    pub fn follow(
        run: String,
        names: Vec<String>,
        terms: Terms,
        decisions: &[Decision],
        now: Duration,
    ) -> Coordinator {
        let mut coordinator = Coordinator::in_stage(Stage::Following, run, names, terms, now);
        let connections = coordinator.terms.connections;
        for decision in decisions {
            match decision {
                Decision::Start { plan, parts } => {
                    coordinator.plan = *plan;
                    let all = coordinator.members.iter_mut().zip(parts);
                    all.for_each(|(member, part)| member.follow(*part, connections));
                }
                Decision::Stop { why } => {
                    coordinator.stopping = coordinator.stopping.max(Some(*why));
                }
                Decision::End => {}
            }
        }
        coordinator
    }

    fn in_stage(
        phase: Stage,
        run: String,
        names: Vec<String>,
        terms: Terms,
        now: Duration,
    ) -> Coordinator {
        let most = most_intervals(names.len());
        let members = names.into_iter().map(|name| Member::new(name, most, now));
        Coordinator {
            run,
            members: members.collect(),
            phase,
            plan: 0,
            steps: VecDeque::new(),
            ticked: now,
            beaten: now,
            looked: now,
            stopping: None,
            peak: 0,
            measured: Sums::default(),
            terms,
        }
    }

    /// The next decision; `None` if there is none until something happens.
    pub fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When to [look at the time](Coordinator::tick) next, at the latest.
    pub fn due(&self) -> Duration {
        let waiting = self.members.iter().filter_map(|m| m.asked_at());
        let again = waiting.map(|at| at + AGAIN).min();
        let looks = matches!(self.phase, Stage::Running { .. }).then(|| self.looked + LOOK);
        let all = [Some(self.beaten + BEAT), again, looks];
        all.into_iter().flatten().min().unwrap_or_default()
    }

    /// Agent `from` says this.
    pub fn received(&mut self, from: usize, message: FromAgent, now: Duration) {
        if message.run != self.run || self.phase == Stage::Over {
            return;
        }
        let Some(member) = self.members.get_mut(from) else {
            return;
        };
        let silent = member.back(now);
        member.heard = now;
        if let Some(silent) = silent {
            let line = format!("{} is back after {}", member.name, duration(silent));
            self.tell(line);
            self.catch_up(from, now);
        }
        // What comes all the time brings no phase to its end: with a thousand agents, looking at all of them each time is what a
        // coordinator would spend most of its time on.
        let is_usual = matches!(
            message.report,
            Report::Beat | Report::Note { .. } | Report::Interval(_)
        );
        match message.report {
            Report::Hello { version, facts } => {
                let is_asked = matches!(self.phase, Stage::Greeting { .. });
                if is_asked && version != message::VERSION {
                    return self.refuse(Refusal::Impossible(vec![format!(
                        "{} speaks version {version} of the fleet's protocol, and this throng version {}: use the same throng on both",
                        self.members[from].name,
                        message::VERSION
                    )]));
                }
                if self.members[from].greeted(facts) && is_asked {
                    self.ping(from, now);
                }
            }
            Report::Pong { number, at_ns } => {
                if self.members[from].ponged(number, Duration::from_nanos(at_ns), now) {
                    self.ping(from, now);
                    // One that was lost before its clock was compared, and is back.
                    let holds = matches!(self.phase, Stage::Running { held: true, .. });
                    if holds && self.members[from].pings == ROUND_TRIPS {
                        self.hold_late(from, now);
                    }
                }
            }
            Report::Planned { number, holds } => {
                if number == self.plan {
                    self.members[from].planned(Ok(holds));
                }
            }
            Report::Short {
                number,
                holds,
                limits,
            } => {
                if number == self.plan {
                    self.members[from].planned(Err((holds, limits)));
                }
            }
            Report::Running { about, began_ns } => self.members[from].runs(*about, began_ns),
            Report::Opened => self.members[from].opened(),
            Report::Interval(interval) => {
                self.members[from].interval(*interval, &mut self.measured);
            }
            Report::Done { record } => {
                let done = self.members[from].done(*record);
                match done {
                    // Also if it is known: the last answer may not have arrived.
                    Ok(()) => self.send(from, Order::Received),
                    Err(_) if self.members[from].is_lost_for_good() => {}
                    Err(why) => {
                        let why = format!("its record is refused: {why}");
                        self.lose(from, &why, true, now);
                    }
                }
            }
            Report::Refused { line } => match self.phase {
                Stage::Greeting { .. } | Stage::Planning { .. } | Stage::Following => {
                    let line = format!("{}: {line}", self.members[from].name);
                    self.refuse(Refusal::Impossible(vec![line]));
                }
                Stage::Running { .. } | Stage::Over => {
                    let line = format!("{}: {line}", self.members[from].name);
                    self.tell(line);
                }
            },
            Report::Failed { line } => self.failed(from, &line, now),
            Report::Note { line } => self.note(from, line),
            Report::Beat => {}
        }
        if !is_usual {
            self.advance(now);
        }
    }

    /// A line that agent `of` wrote for people.
    pub fn say(&mut self, of: usize, line: String) {
        let Some(member) = self.members.get_mut(of) else {
            return;
        };
        member.wrote(&line);
        self.note(of, line);
    }

    fn note(&mut self, of: usize, line: String) {
        let agent = self.members[of].name.clone();
        self.steps
            .push_back(Step::Note(Note::OfAgent { agent, line }));
    }

    /// What came from agent `of` is no message, for this reason. It is ignored.
    pub fn unreadable(&mut self, of: usize, why: &str) {
        if let Some(member) = self.members.get(of) {
            let line = format!("{}: refused: {why}", member.name);
            self.tell(line);
        }
    }

    /// Agent `of` never was one, or refuses the command line that started it. Nothing will come of it.
    pub fn unusable(&mut self, of: usize, why: &str, now: Duration) {
        match self.phase {
            Stage::Greeting { .. } | Stage::Planning { .. } if of < self.members.len() => {
                let member = &self.members[of];
                let line = format!("{}: {why}{}", member.name, member.last_words());
                self.refuse(Refusal::Impossible(vec![line]));
            }
            _ => self.gone(of, why, now),
        }
    }

    /// The way to agent `of` is interrupted: its silence says nothing about it.
    pub fn interrupted(&mut self, of: usize) {
        let is_first = self.members.iter().all(|m| !m.is_cut_off);
        if let Some(member) = self.members.get_mut(of) {
            member.is_cut_off = true;
            if is_first {
                self.tell("the way to the agents is interrupted".into());
            }
        }
    }

    /// The way to agent `of` is open again.
    pub fn restored(&mut self, of: usize, now: Duration) {
        if let Some(member) = self.members.get_mut(of) {
            member.is_cut_off = false;
            member.heard = now;
            if self.members.iter().all(|m| !m.is_cut_off) {
                self.tell("the way to the agents is open again".into());
            }
        }
    }

    /// All that is kept of what agent `of` has said has come.
    pub fn caught_up(&mut self, of: usize, now: Duration) {
        let Some(member) = self.members.get_mut(of) else {
            return;
        };
        if !std::mem::replace(&mut member.is_caught_up, true) {
            member.heard = now;
            if !member.is_out() {
                // The order may have died with the coordinator that gave it. An agent that has it already says so again.
                if let Some(at_ns) = member.not_begun() {
                    let plan = self.plan;
                    self.order(of, Order::Start { plan, at_ns }, now);
                }
                self.ping(of, now);
            }
        }
        self.advance(now);
    }

    /// Nothing can be sent to agent `of` any more, and nothing will come.
    pub fn gone(&mut self, of: usize, why: &str, now: Duration) {
        if self.phase == Stage::Over || of >= self.members.len() {
            return;
        }
        self.members[of].is_caught_up = true;
        self.failed(of, why, now);
        self.advance(now);
    }

    /// It is `now`.
    pub fn tick(&mut self, now: Duration) {
        if self.phase == Stage::Over {
            return;
        }
        let since = now.saturating_sub(self.ticked);
        self.ticked = now;
        if since > STILL {
            // Nobody was heard meanwhile, and what agents have said waits.
            for member in &mut self.members {
                member.heard = (member.heard + since).min(now);
            }
        }
        for at in 0..self.members.len() {
            if let Some(order) = self.members[at].again(now, AGAIN) {
                self.send(at, order);
            }
        }
        if now >= self.beaten + BEAT {
            self.beaten = now;
            for at in 0..self.members.len() {
                self.send(at, Order::Beat);
            }
        }
        self.look_for_lost(now);
        if matches!(self.phase, Stage::Running { .. }) && now >= self.looked + LOOK {
            self.look(now);
        }
        self.advance(now);
    }

    /// Ends the run: at once if it has not started; otherwise agents stop, close and report.
    pub fn stop(&mut self, now: Duration) {
        match self.phase {
            Stage::Greeting { .. } | Stage::Planning { .. } => self.refuse(Refusal::Interrupted),
            Stage::Following | Stage::Running { .. } => self.stop_agents(Stopping::Request, now),
            Stage::Over => {}
        }
    }

    fn stop_agents(&mut self, why: Stopping, now: Duration) {
        let before = self.stopping;
        if before < Some(why) {
            self.stopping = Some(why);
            self.steps.push_back(Step::Keep(Decision::Stop { why }));
        }
        if before.is_some() {
            return;
        }
        for at in 0..self.members.len() {
            if self.members[at].doing != Doing::Ended {
                self.order(at, Order::Stop, now);
            }
        }
    }

    /// Whether agents have begun to open connections.
    pub fn has_started(&self) -> bool {
        matches!(self.phase, Stage::Running { .. })
    }

    fn tell(&mut self, line: String) {
        self.steps.push_back(Step::Note(Note::Fleet(line)));
    }

    fn send(&mut self, to: usize, order: Order) {
        let message = ToAgent {
            run: self.run.clone(),
            order,
        };
        self.steps.push_back(Step::Send { to, message });
    }

    /// Sends an order that is repeated until it is answered.
    fn order(&mut self, to: usize, order: Order, now: Duration) {
        self.members[to].asked(order.clone(), now);
        self.send(to, order);
    }

    fn refuse(&mut self, why: Refusal) {
        if self.phase == Stage::Over {
            return;
        }
        // A run that has begun goes on without this coordinator.
        if self.phase != Stage::Following {
            for at in 0..self.members.len() {
                self.send(at, Order::Stop);
            }
        }
        self.phase = Stage::Over;
        self.steps.push_back(Step::Over(Box::new(Err(why))));
    }

    /// Asks for an agent's clock, unless that is known well enough.
    fn ping(&mut self, at: usize, now: Duration) {
        let number = self.members[at].pings;
        if number < ROUND_TRIPS {
            self.order(at, Order::Ping { number }, now);
        }
    }

    /// Goes on to the next phase if all that are needed are ready for it.
    fn advance(&mut self, now: Duration) {
        let all = |so: fn(&Member) -> bool| self.members.iter().all(so);
        match self.phase {
            Stage::Greeting { .. } if all(|m| m.pings >= ROUND_TRIPS) => {
                let bound = self.members.iter().map(|m| m.clock.bound()).max();
                let line = format!(
                    "{}, clocks compared to within {}",
                    things(self.members.len() as u64, "agent"),
                    duration(bound.unwrap_or_default()),
                );
                self.tell(line);
                self.phase = Stage::Planning {
                    until: now + PLANNING,
                };
                self.have_planned(shares::equal(self.members.len()), now);
            }
            Stage::Planning { .. } if all(|m| m.plan.is_some() || m.shard.is_none()) => {
                self.judge_plans(now);
            }
            Stage::Following
                if all(|m| m.is_caught_up && (m.is_out() || m.pings >= ROUND_TRIPS)) =>
            {
                self.go_on(now);
            }
            Stage::Running { since, held } => {
                let is_ready = |m: &Member| m.has_opened && m.pings >= ROUND_TRIPS;
                if !held && self.members.iter().all(|m| is_ready(m) || m.is_out()) {
                    self.phase = Stage::Running { since, held: true };
                    self.hold(now + AHEAD + self.on_the_way(), now);
                }
                if self.members.iter().all(Member::is_out) {
                    self.end(now);
                }
            }
            _ => {}
        }
    }

    /// Has all agents plan these parts.
    fn have_planned(&mut self, shards: Vec<Option<Shard>>, now: Duration) {
        self.plan += 1;
        for (member, shard) in self.members.iter_mut().zip(&shards) {
            member.divided(*shard, self.terms.connections);
        }
        for (at, shard) in shards.into_iter().enumerate() {
            let Some(shard) = shard else {
                continue;
            };
            let part = Part {
                number: self.plan,
                scenario: self.terms.scenario.clone(),
                shard,
                beside: self.beside(at),
                connect_latency: self.terms.latencies.connect,
                percentiles: self.terms.latencies.percentiles.clone(),
                most_intervals: most_intervals(self.members.len()) as u32,
            };
            self.order(at, Order::Plan(Box::new(part)), now);
        }
    }

    /// The connections that share limits with those of agent `at`.
    fn beside(&self, at: usize) -> Beside {
        let own = &self.members[at];
        let of = |so: &dyn Fn(&Member) -> bool| {
            let all = self.members.iter().enumerate();
            let with = all.filter(|(other, m)| *other == at || so(m));
            with.map(|(_, m)| m.own).sum()
        };
        let machine =
            |m: &Member| !own.facts.machine.is_empty() && m.facts.machine == own.facts.machine;
        Beside {
            machine: of(&machine),
            network: of(&|m| machine(m) && m.facts.network == own.facts.network),
        }
    }

    /// All have planned: starts, or refuses, or divides anew.
    fn judge_plans(&mut self, now: Duration) {
        let short: Vec<&Member> = self.members.iter().filter(|m| m.is_short()).collect();
        if short.is_empty() {
            return self.start(now);
        }
        let room: Option<u64> = self.members.iter().map(Member::holds).sum();
        let fits = room.is_none_or(|n| n >= self.terms.connections.into());
        if self.terms.fit && self.plan < DIVISIONS {
            let holds: Vec<Option<u64>> = self.members.iter().map(Member::holds).collect();
            if let Some(shards) = shares::fitting(self.terms.connections, &holds) {
                self.have_planned(shards, now);
                let shares = self
                    .members
                    .iter()
                    .map(|m| format!("{} {}", m.name, count(m.own)));
                let line = format!(
                    "shares by what fits: {}",
                    shares.collect::<Vec<_>>().join(", ")
                );
                return self.tell(line);
            }
        }
        let mut lines: Vec<String> = short.iter().flat_map(|m| m.shortfalls()).collect();
        lines.push(match room {
            Some(room) if !fits => format!(
                "all agents together have room for {} of {}",
                count(room),
                things(self.terms.connections.into(), "connection"),
            ),
            _ if !self.terms.fit => {
                "--fit gives what does not fit there to agents with room".into()
            }
            _ => format!(
                "--fit has divided the connections {} times, and each time agents had less room than before: ask for fewer",
                self.plan
            ),
        });
        self.refuse(Refusal::Impossible(lines));
    }

    /// How long a message to an agent takes, at most, as far as is known: its answer may have taken no time.
    fn on_the_way(&self) -> Duration {
        let bounds = self.members.iter().map(|m| m.clock.bound());
        bounds
            .max()
            .unwrap_or_default()
            .saturating_mul(2)
            .min(SLOWEST)
    }

    /// How many agents there are for each core of the machine that has most of them.
    fn agents_per_core(&self) -> u32 {
        let on = |machine: &str| {
            let all = self.members.iter();
            all.filter(|m| m.facts.machine == machine).count() as u32
        };
        let each = self.members.iter().map(|m| match m.facts.machine.as_str() {
            "" => 1,
            machine => on(machine).div_ceil(m.facts.cores.max(1)),
        });
        each.max().unwrap_or(1)
    }

    /// Has all agents with a part open connections, at one instant.
    fn start(&mut self, now: Duration) {
        let at = now + AHEAD + AHEAD_EACH * self.agents_per_core() + self.on_the_way();
        let parts = self.members.iter_mut().map(|m| m.ordered(at)).collect();
        let plan = self.plan;
        self.steps
            .push_back(Step::Keep(Decision::Start { plan, parts }));
        for member in 0..self.members.len() {
            if self.members[member].shard.is_none() {
                // The others hold all: it has nothing to do.
                self.members[member].doing = Doing::Idle;
                self.send(member, Order::Stop);
                continue;
            }
            self.members[member].doing = Doing::Running;
            let start = Order::Start {
                plan,
                at_ns: self.members[member].clock.theirs(at),
            };
            self.order(member, start, now);
        }
        self.phase = Stage::Running {
            since: at,
            held: false,
        };
        self.looked = now;
    }

    /// All that can be known of a run that began under another coordinator is known.
    fn go_on(&mut self, now: Duration) {
        let there = self.members.iter().filter(|m| !m.is_out());
        let since = there.clone().find_map(|m| m.ordered_at());
        let ran = self.members.iter().map(|m| m.ran).max();
        self.phase = Stage::Running {
            since: since.unwrap_or_else(|| now.saturating_sub(ran.unwrap_or_default())),
            held: false,
        };
        self.looked = now;
        let there: Vec<usize> = (0..self.members.len())
            .filter(|at| !self.members[*at].is_out())
            .collect();
        if self.stopping.is_some() {
            there
                .iter()
                .for_each(|at| self.order(*at, Order::Stop, now));
        }
        self.tell(match there.len() {
            0 => format!("run {} is over: this is its result", self.run),
            n => format!(
                "goes on with run {}: {} of {} still belong to it",
                self.run,
                count(n as u64),
                things(self.members.len() as u64, "agent"),
            ),
        });
        self.advance(now);
    }

    /// Has all agents that still run hold from the instant `at` on.
    fn hold(&mut self, at: Duration, now: Duration) {
        for member in 0..self.members.len() {
            if !self.members[member].is_out() {
                let at_ns = self.members[member].clock.theirs(at);
                self.order(member, Order::Hold { at_ns }, now);
            }
        }
    }

    /// Has an agent that is back do what was ordered while it was lost.
    fn catch_up(&mut self, at: usize, now: Duration) {
        if self.members[at].pings < ROUND_TRIPS {
            self.ping(at, now);
        } else if let Stage::Running { held: true, .. } = self.phase {
            self.hold_late(at, now);
        }
        if self.stopping.is_some() {
            self.order(at, Order::Stop, now);
        }
    }

    /// Has an agent hold that was not there when the others were ordered to.
    fn hold_late(&mut self, at: usize, now: Duration) {
        let at_ns = self.members[at].clock.theirs(now);
        self.order(at, Order::Hold { at_ns }, now);
    }

    fn look_for_lost(&mut self, now: Duration) {
        let (until, doing) = match self.phase {
            Stage::Greeting { until } => (until, "say who it is"),
            Stage::Planning { until } => (until, "plan its part"),
            Stage::Following | Stage::Running { .. } => {
                for at in 0..self.members.len() {
                    let member = &self.members[at];
                    let silent = now >= member.heard + self.terms.lost_after;
                    if !member.is_out() && member.is_caught_up && !member.is_cut_off && silent {
                        let line = format!("it was silent for {}", duration(self.terms.lost_after));
                        self.lose(at, &line, false, now);
                    }
                }
                return;
            }
            Stage::Over => return,
        };
        let slow = |m: &&Member| match self.phase {
            Stage::Greeting { .. } => m.pings < ROUND_TRIPS,
            _ => m.plan.is_none() && m.shard.is_some(),
        };
        if now >= until
            && let Some(member) = self.members.iter().find(slow)
        {
            let line = format!(
                "{} did not {doing} in time{}",
                member.name,
                member.last_words()
            );
            self.refuse(Refusal::Fault(line));
        }
    }

    /// An agent can't go on.
    fn failed(&mut self, at: usize, why: &str, now: Duration) {
        match self.phase {
            Stage::Greeting { .. } | Stage::Planning { .. } => {
                let member = &self.members[at];
                let line = format!("{}: {why}{}", member.name, member.last_words());
                self.refuse(Refusal::Fault(line));
            }
            Stage::Following | Stage::Running { .. } if !self.members[at].is_out() => {
                self.lose(at, why, true, now);
            }
            Stage::Following | Stage::Running { .. } | Stage::Over => {}
        }
    }

    fn lose(&mut self, at: usize, why: &str, for_good: bool, now: Duration) {
        let member = &mut self.members[at];
        member.lost(for_good);
        let with = match member.has_reported() {
            true => format!("with {}", things(member.open(), "connection")),
            false => "before its first report".into(),
        };
        let line = format!(
            "{} is lost, {with}: {why}{}",
            member.name,
            member.last_words()
        );
        self.tell(line);
        if self.terms.on_loss == OnLoss::Stop {
            self.stop_agents(Stopping::Loss, now);
        }
    }

    /// Tells observers what is known.
    fn look(&mut self, now: Duration) {
        self.looked = now;
        let look = self.seen(now);
        self.steps.push_back(Step::Look(Box::new(look)));
    }

    fn seen(&mut self, now: Duration) -> Look {
        let Stage::Running { since, .. } = self.phase else {
            return Look::default();
        };
        let mut look = Look {
            at: now.saturating_sub(since),
            asked: self.terms.connections.into(),
            measured: self.measured.take(),
            ..Look::default()
        };
        for member in &self.members {
            let (opened, accepted) = member.counts;
            look.opened += match member.doing {
                Doing::Lost => opened.given_up(),
                _ => opened,
            };
            if let Some(accepted) = accepted {
                look.accepted = Some(look.accepted.unwrap_or_default() + accepted);
            }
            if member.is_out() {
                continue;
            }
            look.left = look.left.max(member.left);
            look.phase = match (look.phase, member.phase) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        self.peak = self.peak.max(look.opened.open());
        look.peak = self.peak;
        look
    }

    /// All have reported, or are lost.
    fn end(&mut self, now: Duration) {
        let mut last = self.seen(now);
        last.phase = Some(Phase::Closing);
        self.steps.push_back(Step::Look(Box::new(last)));
        let known = self.members.iter().find_map(Member::told_of);
        let known = known.cloned();
        let mut record = Record {
            version: VERSION,
            sources: Default::default(),
        };
        for (at, member) in self.members.iter_mut().enumerate() {
            if let Some((name, mut part)) = member.part(&self.run, at, known.as_ref()) {
                if let (Some(Stopping::Loss), Some(ending)) = (self.stopping, &mut part.ending) {
                    // Nobody interrupted the run.
                    ending.abandoned = std::mem::take(&mut ending.interrupted);
                }
                record.sources.insert(name, part);
            }
        }
        for at in 0..self.members.len() {
            if self.members[at].doing == Doing::Ended {
                self.send(at, Order::Taken);
            }
        }
        let lost = self.members.iter().filter(|m| m.doing == Doing::Lost);
        let lost = lost.map(|m| m.name.clone()).collect();
        self.phase = Stage::Over;
        self.steps.push_back(Step::Keep(Decision::End));
        let over = Over { record, lost };
        self.steps.push_back(Step::Over(Box::new(Ok(over))));
    }
}

/// The most intervals of each of `agents` agents.
fn most_intervals(agents: usize) -> usize {
    (MOST_INTERVALS / agents.max(1)).clamp(FEWEST_INTERVALS, MAX_INTERVALS)
}
