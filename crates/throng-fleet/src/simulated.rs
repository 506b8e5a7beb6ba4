//! A fleet on a simulated network: messages come twice, late, out of order or not at all; agents are killed or stand still, and so
//! is the coordinator, which another one may follow. Whatever the schedule: no hang, no wrong total, no lost result.

use crate::agent::{Agent, Do, Limits, Planned};
use crate::coordinator::{Coordinator, Decision, OnLoss, Over, Refusal, Step, Terms};
use crate::message::{Facts, FromAgent, Interval, ToAgent};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;
use throng_core::engine::Engine;
use throng_core::record::{
    About, Asked, Ending, Environment, Mark, Part, Phase, Reading, Record, Recorder, Source, Start,
};
use throng_core::shard::Shard;
use throng_core::stats::{Counters, Measured, Tally};
use throng_core::summary::{self, LatencyReport};

/// Longer than any run of these tests takes, with all its timeouts.
const HANGS: Duration = Duration::from_secs(600);
/// Messages that each connection sends per second.
const EACH_S: u64 = 2;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A schedule.
#[derive(Clone, Debug)]
struct World {
    seed: u64,
    agents: usize,
    connections: u32,
    /// The longest that a message takes, in milliseconds.
    slowest_ms: u64,
    /// How many of a hundred messages come twice, and how many never.
    twice: u64,
    never: u64,
    hold_s: u64,
    /// An agent that is killed, and when.
    killed: Option<(usize, u64)>,
    /// An agent that stands still, from when on, and for how long.
    still: Option<(usize, u64, u64)>,
    /// When the coordinator is killed.
    headless_ms: Option<u64>,
    /// After how long another one follows it. Agents don't notice by themselves that it is dead then, as over NATS.
    followed_ms: Option<u64>,
    /// Whether an agent that is killed is noticed at once.
    noticed: bool,
    on_loss: OnLoss,
}

/// Random numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n.max(1)
    }
}

/// What happens at a time.
#[derive(Clone, Debug)]
enum Event {
    ToAgent(usize, ToAgent),
    FromAgent(usize, Box<FromAgent>),
    Gone(usize),
    /// It is time for the coordinator, or an agent, to look at the clock.
    Tick(Option<usize>),
    /// The run of an agent goes on.
    Run(usize),
    /// Another coordinator follows the one that died.
    Follow,
}

/// An agent, and the run that it pretends to have.
struct Simulated {
    agent: Agent,
    /// How far its clock is ahead.
    ahead: Duration,
    planned: Option<Shard>,
    run: Option<Run>,
    /// When its run began to open connections, by the one true clock.
    began: Option<Duration>,
    ended: bool,
    /// The record of its run, once that is over, and whether it was kept.
    record: Option<Record>,
    kept: bool,
    dead: bool,
}

struct Run {
    began: Duration,
    holds: Option<Duration>,
    stop: bool,
    number: u32,
    last: Duration,
    own: u32,
    recorder: Recorder,
    told: Tally,
}

/// The counts of `own` connections, `seconds` after a run began. All are established at once.
fn counts(own: u32, seconds: u64) -> Tally {
    let counters = Counters::default();
    counters.attempted.add(own.into());
    counters.established.add(own.into());
    counters.ready.add(own.into());
    counters
        .messages_sent
        .add(u64::from(own) * seconds * EACH_S);
    counters.read()
}

/// A run of `own` connections.
pub(crate) fn about(own: u32) -> About {
    About {
        tool: "throng".into(),
        agent: None,
        machine: None,
        start: None,
        command: Vec::new(),
        started_unix_s: 1e9,
        kernel: "6.18".into(),
        cores: 1,
        engine: Engine::Epoll,
        why_epoll: None,
        workers: 1,
        asked: Asked {
            connections: Some(own.into()),
            ..Asked::default()
        },
        environment: Environment::default(),
    }
}

/// What came of a schedule.
struct Outcome {
    over: Option<Result<Over, Refusal>>,
    /// What was decided last.
    decided: Option<Decision>,
    agents: Vec<Simulated>,
    /// The most that was seen established at once.
    seen: u64,
}

struct Network {
    world: World,
    dice: Dice,
    now: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, Event>,
    serial: u64,
    /// What is kept of each agent's reports.
    kept: Vec<Vec<FromAgent>>,
}

impl Network {
    fn at(&mut self, at: Duration, event: Event) {
        self.serial += 1;
        self.queue.push(Reverse((at, self.serial)));
        self.events.insert(self.serial, event);
    }

    /// Carries a message: late, and perhaps twice, or never.
    fn carry(&mut self, event: Event) {
        let of_100 = self.dice.below(100);
        let times = match of_100 {
            n if n < self.world.never => 0,
            n if n < self.world.never + self.world.twice => 2,
            _ => 1,
        };
        if let Event::FromAgent(n, message) = &event
            && message.report.is_lasting()
        {
            let kept = std::iter::repeat_n(FromAgent::clone(message), times);
            self.kept[*n].extend(kept);
        }
        for _ in 0..times {
            let takes = ms(self.dice.below(self.world.slowest_ms + 1));
            self.at(self.now + takes, event.clone());
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let Reverse((at, serial)) = self.queue.pop()?;
        self.now = at;
        self.events.remove(&serial)
    }
}

fn simulate(world: World) -> Outcome {
    let mut net = Network {
        dice: Dice(world.seed | 1),
        now: Duration::ZERO,
        queue: BinaryHeap::new(),
        events: BTreeMap::new(),
        serial: 0,
        kept: vec![Vec::new(); world.agents],
        world: world.clone(),
    };
    let names: Vec<String> = (0..world.agents).map(|n| format!("a{n}")).collect();
    let terms = Terms {
        scenario: "version = 1".into(),
        connections: world.connections,
        fit: false,
        on_loss: world.on_loss,
        lost_after: Duration::from_secs(5),
        token: None,
        latencies: LatencyReport::default(),
    };
    let first = Coordinator::new("r".into(), names.clone(), terms.clone(), Duration::ZERO);
    let mut coordinator = Some(first);
    // Another coordinator has another clock.
    let (mut shift, mut decisions, mut was_killed) = (Duration::ZERO, Vec::new(), false);
    let limits = Limits {
        connections: None,
        rate: None,
        token: None,
        alone: Duration::from_secs(20),
    };
    let mut agents: Vec<Simulated> = (0..world.agents)
        .map(|n| {
            let ahead = ms(1000 * n as u64 + net.dice.below(1000));
            Simulated {
                agent: Agent::new(Facts::default(), limits.clone(), ahead),
                ahead,
                planned: None,
                run: None,
                began: None,
                ended: false,
                record: None,
                kept: false,
                dead: false,
            }
        })
        .collect();
    net.at(Duration::ZERO, Event::Tick(None));
    for n in 0..world.agents {
        net.at(Duration::ZERO, Event::Tick(Some(n)));
    }
    let (mut over, mut seen) = (None, 0);
    while let Some(event) = net.pop() {
        let now = net.now;
        if now > HANGS {
            break;
        }
        if world.headless_ms.is_some_and(|at| now >= ms(at))
            && !std::mem::replace(&mut was_killed, true)
            && coordinator.take().is_some()
        {
            match world.followed_ms.filter(|_| !decisions.is_empty()) {
                Some(after) => net.at(now + ms(after), Event::Follow),
                None => {
                    for simulated in &mut agents {
                        simulated.agent.cut_off(now + simulated.ahead);
                    }
                }
            }
        }
        if let Some((victim, at)) = world.killed
            && now >= ms(at)
            && !std::mem::replace(&mut agents[victim].dead, true)
            && world.noticed
        {
            net.at(now, Event::Gone(victim));
        }
        // One that stands still does all later.
        let of = match &event {
            Event::ToAgent(n, _) | Event::Tick(Some(n)) | Event::Run(n) => Some(*n),
            _ => None,
        };
        if let (Some((victim, from, length)), Some(n)) = (world.still, of)
            && victim == n
            && now >= ms(from)
            && now < ms(from + length)
        {
            net.at(ms(from + length), event);
            continue;
        }
        if of.is_some_and(|n| agents[n].dead || agents[n].ended) {
            continue;
        }
        match event {
            Event::ToAgent(n, message) => {
                let theirs = now + agents[n].ahead;
                agents[n].agent.received(message, theirs);
            }
            Event::Tick(Some(n)) => {
                let theirs = now + agents[n].ahead;
                agents[n].agent.tick(theirs);
                let due = agents[n].agent.due(theirs).saturating_sub(agents[n].ahead);
                net.at(due.max(now + ms(1)), Event::Tick(Some(n)));
                // Its heart beats, as long as it can be heard.
                let beats = agents[n].agent.run().is_some();
                if beats && coordinator.is_some() {
                    let message = FromAgent {
                        run: "r".into(),
                        report: crate::message::Report::Beat,
                    };
                    net.carry(Event::FromAgent(n, Box::new(message)));
                }
            }
            Event::Run(n) => go_on(n, &mut agents[n], &mut net),
            Event::FromAgent(n, message) => {
                if let Some(coordinator) = &mut coordinator {
                    coordinator.received(n, *message, now + shift);
                }
            }
            Event::Gone(n) => {
                if let Some(coordinator) = &mut coordinator {
                    coordinator.gone(n, "it ended", now + shift);
                }
            }
            Event::Tick(None) => {
                if let Some(coordinator) = &mut coordinator {
                    coordinator.tick(now + shift);
                    let due = coordinator.due().saturating_sub(shift);
                    net.at(due.max(now + ms(1)), Event::Tick(None));
                }
            }
            Event::Follow => {
                shift = Duration::from_secs(1_000_000);
                let (names, terms, now) = (names.clone(), terms.clone(), now + shift);
                let mut following = Coordinator::follow("r".into(), names, terms, &decisions, now);
                for (n, kept) in net.kept.clone().into_iter().enumerate() {
                    for message in kept {
                        following.received(n, message, now);
                    }
                    match agents[n].ended {
                        true => following.gone(n, "it has left the run", now),
                        false => following.caught_up(n, now),
                    }
                }
                coordinator = Some(following);
                net.at(net.now, Event::Tick(None));
            }
        }
        for (n, simulated) in agents.iter_mut().enumerate() {
            act(n, simulated, &mut net);
        }
        let mut is_over = false;
        while let Some(step) = coordinator.as_mut().and_then(Coordinator::next_step) {
            match step {
                Step::Send { to, message } => net.carry(Event::ToAgent(to, message)),
                Step::Keep(decision) => decisions.push(decision),
                Step::Look(look) => seen = seen.max(look.opened.established),
                Step::Over(result) => {
                    over = Some(*result);
                    is_over = true;
                }
                Step::Note(_) => {}
            }
        }
        if is_over {
            // Its process ends. What it has sent arrives; then agents notice.
            coordinator = None;
        }
    }
    Outcome {
        over,
        decided: decisions.pop(),
        agents,
        seen,
    }
}

/// Carries out what agent `n` decided.
fn act(n: usize, simulated: &mut Simulated, net: &mut Network) {
    if simulated.dead {
        return;
    }
    while let Some(todo) = simulated.agent.next_do() {
        match todo {
            Do::Send(message) => net.carry(Event::FromAgent(n, Box::new(message))),
            Do::Plan(part) => {
                simulated.planned = Some(part.shard);
                simulated.agent.planned(part.number, Planned::Fits(None));
            }
            Do::Start(at) => {
                let own = simulated
                    .planned
                    .map_or(0, |s| s.share(net.world.connections));
                let began = at.saturating_sub(simulated.ahead).max(net.now);
                simulated.run = Some(Run {
                    began,
                    holds: None,
                    stop: false,
                    number: 0,
                    last: began,
                    own,
                    recorder: Recorder::default(),
                    told: Tally::default(),
                });
                net.at(began, Event::Run(n));
            }
            Do::Hold(at) => {
                let at = at.saturating_sub(simulated.ahead);
                if let Some(run) = &mut simulated.run {
                    run.holds.get_or_insert(at);
                }
            }
            Do::Stop => {
                if let Some(run) = &mut simulated.run {
                    run.stop = true;
                }
            }
            Do::Keep(record) => {
                assert_eq!(Some(&*record), simulated.record.as_ref());
                simulated.kept = true;
            }
            Do::Log(_) => {}
            Do::End(_) => simulated.ended = true,
        }
    }
}

/// The run of agent `n` goes on for a second.
fn go_on(n: usize, simulated: &mut Simulated, net: &mut Network) {
    let now = net.now;
    let Some(run) = &mut simulated.run else {
        return;
    };
    if simulated.began.is_none() {
        // It may have stood still when it was to begin.
        (run.began, run.last) = (now, now);
        simulated.began = Some(now);
        simulated.agent.opening(now + simulated.ahead);
        simulated.agent.running(about(run.own));
        simulated.agent.opened();
        net.at(now + Duration::from_secs(1), Event::Run(n));
        return;
    }
    let is_over = run.stop
        || run
            .holds
            .is_some_and(|at| now >= at + Duration::from_secs(net.world.hold_s));
    let (from, to) = (run.last - run.began, now - run.began);
    let counted = counts(run.own, to.as_secs());
    let phase = match run.holds {
        Some(at) if now >= at => Phase::Holding,
        _ => Phase::Opening,
    };
    let reading = Reading::of(&counted.since(&run.told), &counted);
    run.recorder
        .add(from, to, phase, Some(reading), None, Measured::default());
    (run.told, run.last) = (counted, now);
    let interval = Interval {
        number: run.number,
        from_ns: from.as_nanos() as u64,
        to_ns: to.as_nanos() as u64,
        phase,
        left_ns: None,
        opened: Some(counted),
        accepted: None,
        histograms: BTreeMap::new(),
    };
    run.number += 1;
    simulated.agent.interval(interval);
    if !is_over {
        net.at(now + Duration::from_secs(1), Event::Run(n));
        return;
    }
    let mark = Mark {
        at: to,
        opened: counted,
        ..Mark::default()
    };
    let part = Part {
        about: about(run.own),
        intervals: std::mem::take(&mut run.recorder).finish().0,
        ending: Some(Box::new(Ending {
            opened: Some(Mark {
                at: Duration::ZERO,
                opened: counts(run.own, 0),
                ..Mark::default()
            }),
            held: Some(mark),
            over: mark,
            closed: counted,
            peak: run.own.into(),
            ready_peak: run.own.into(),
            interrupted: run.stop,
            ..Ending::default()
        })),
    };
    simulated.run = None;
    let record = Record::of(Source::new(format!("own-{n}")), part);
    simulated.record = Some(record.clone());
    simulated.agent.ended(Ok(record), now + simulated.ahead);
}

fn world() -> impl Strategy<Value = World> {
    let network = (any::<u64>(), 0..400u64, 0..40u64, 0..20u64);
    let run = (1..5usize, 4..60u32, 1..5u64, any::<bool>(), any::<bool>());
    let faults = (
        prop::option::weighted(0.4, (0..5usize, 0..15_000u64)),
        prop::option::weighted(0.4, (0..5usize, 0..8_000u64, 0..40_000u64)),
        prop::option::weighted(0.4, (0..15_000u64, prop::option::of(0..13_000u64))),
    );
    (network, run, faults).prop_map(|(network, run, faults)| {
        let (seed, slowest_ms, twice, never) = network;
        let (agents, connections, hold_s, noticed, stops) = run;
        let (killed, still, headless) = faults;
        World {
            seed,
            agents,
            connections,
            slowest_ms,
            twice,
            never,
            hold_s,
            killed: killed.map(|(n, at)| (n % agents, at)),
            still: still.map(|(n, at, length)| (n % agents, at, length)),
            headless_ms: headless.map(|(at, _)| at),
            followed_ms: headless.and_then(|(_, followed)| followed),
            noticed,
            on_loss: if stops { OnLoss::Stop } else { OnLoss::GoOn },
        }
    })
}

/// Checks what holds whatever happens.
fn check(world: &World, outcome: &Outcome) -> Result<(), TestCaseError> {
    let has_started = outcome.decided.is_some();
    let is_led = world.headless_ms.is_none() || world.followed_ms.is_some() && has_started;
    prop_assert!(outcome.over.is_some() || !is_led, "the coordinator hangs");
    let ended = outcome.decided == Some(Decision::End);
    prop_assert_eq!(ended, matches!(outcome.over, Some(Ok(_))));
    prop_assert!(outcome.seen <= world.connections.into());
    let in_result = |n: usize| match &outcome.over {
        Some(Ok(over)) => {
            let name = Source::new(format!("r-{n:04}-a{n}"));
            over.record
                .sources
                .get(&name)
                .is_some_and(|part| part.ending.is_some())
        }
        _ => false,
    };
    for (n, simulated) in outcome.agents.iter().enumerate() {
        prop_assert!(simulated.ended || simulated.dead, "agent {} hangs", n);
        if simulated.record.is_some() && !simulated.dead {
            prop_assert!(
                simulated.kept || in_result(n),
                "the result of {} is lost",
                n
            );
        }
    }
    let Some(Ok(over)) = &outcome.over else {
        return Ok(());
    };
    let parts: Vec<&Part> = over.record.sources.values().collect();
    prop_assert_eq!(parts.len(), world.agents);
    let asked: u64 = parts.iter().filter_map(|p| p.about.asked.connections).sum();
    prop_assert_eq!(asked, u64::from(world.connections), "what was asked");
    let lost: Vec<String> = parts
        .iter()
        .filter(|part| part.ending.is_none())
        .filter_map(|part| part.about.agent.clone())
        .collect();
    prop_assert_eq!(&lost, &over.lost);
    for (part, simulated) in parts.iter().zip(&outcome.agents) {
        let told = part.opened();
        match (&part.ending, &simulated.record) {
            // To the last message.
            (Some(_), Some(record)) => {
                let own = record.single().expect("one run");
                prop_assert_eq!(told, own.opened());
                prop_assert_eq!(&part.intervals, &own.intervals);
            }
            (Some(_), None) => prop_assert!(false, "a record that nobody made"),
            (None, _) => {
                let own = part.about.asked.connections.unwrap_or(0);
                prop_assert!(told.established <= own);
                let seconds = part.over().as_secs();
                prop_assert_eq!(told.messages_sent, told.established * seconds * EACH_S);
            }
        }
    }
    check_starts(&parts, outcome)?;
    let summary = summary::of(&over.record);
    let unknown: u64 = parts
        .iter()
        .filter(|p| p.ending.is_none())
        .map(|p| p.opened().open())
        .sum();
    let c = &summary.connections;
    prop_assert_eq!(c.unknown, unknown);
    prop_assert_eq!(c.established, c.closed_by_us + c.unknown);
    prop_assert!(!summary.interrupted, "nobody interrupted it");
    prop_assert_eq!(summary.reached, lost.is_empty() && !summary.interrupted);
    Ok(())
}

/// Checks that what is told about starts is true to within the bound that is told: what any two agents say of their starts differs
/// as their starts do.
fn check_starts(parts: &[&Part], outcome: &Outcome) -> Result<(), TestCaseError> {
    let told = parts.iter().zip(&outcome.agents);
    let told = told.filter_map(|(part, simulated)| Some((part.about.start?, simulated.began?)));
    let told: Vec<(Start, Duration)> = told.collect();
    for (one, began) in &told {
        for (other, other_began) in &told {
            let said = i128::from(one.after_ns) - i128::from(other.after_ns);
            let truth = began.as_nanos() as i128 - other_began.as_nanos() as i128;
            let bound = i128::from(one.bound_ns) + i128::from(other.bound_ns) + 2;
            prop_assert!((said - truth).abs() <= bound, "{} is not {}", said, truth);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_makes_a_hang_a_wrong_total_or_a_lost_result(world in world()) {
        let outcome = simulate(world.clone());
        check(&world, &outcome)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn messages_that_come_twice_late_or_out_of_order_change_nothing(world in world()) {
        let world = World { killed: None, still: None, headless_ms: None, never: 0, ..world };
        let outcome = simulate(world.clone());
        check(&world, &outcome)?;
        match &outcome.over {
            Some(Ok(over)) => prop_assert!(over.lost.is_empty(), "{:?}", over.lost),
            other => prop_assert!(world.connections < world.agents as u32, "{:?}", other),
        }
    }

    #[test]
    fn a_coordinator_that_follows_a_dead_one_loses_nothing(
        world in world(),
        headless in 0..10_000u64,
        followed in 0..13_000u64,
    ) {
        let (headless_ms, followed_ms) = (Some(headless), Some(followed));
        let world = World { killed: None, still: None, never: 0, headless_ms, followed_ms, ..world };
        let outcome = simulate(world.clone());
        check(&world, &outcome)?;
        match &outcome.over {
            Some(Ok(over)) => prop_assert!(over.lost.is_empty(), "{:?}", over.lost),
            // It died before anything was opened, or the run was refused.
            other => prop_assert!(outcome.decided.is_none(), "{:?}", other),
        }
    }
}

#[test]
fn an_agent_that_stood_still_while_the_others_began_to_hold_holds_too() {
    let world = World {
        seed: 5018831622586801380,
        agents: 2,
        connections: 4,
        slowest_ms: 384,
        twice: 34,
        never: 7,
        hold_s: 1,
        killed: None,
        still: Some((0, 6392, 5555)),
        headless_ms: None,
        followed_ms: None,
        noticed: false,
        on_loss: OnLoss::GoOn,
    };
    let outcome = simulate(world.clone());
    check(&world, &outcome).unwrap();
}

#[test]
fn an_agent_whose_order_to_start_died_with_the_coordinator_starts() {
    let world = World {
        seed: 16535120953196101900,
        agents: 3,
        connections: 4,
        slowest_ms: 182,
        twice: 22,
        never: 11,
        hold_s: 1,
        killed: None,
        still: None,
        headless_ms: Some(8538),
        followed_ms: Some(0),
        noticed: false,
        on_loss: OnLoss::GoOn,
    };
    let outcome = simulate(world.clone());
    check(&world, &outcome).unwrap();
    let has_begun = outcome.agents.iter().all(|agent| agent.began.is_some());
    assert!(has_begun);
}
