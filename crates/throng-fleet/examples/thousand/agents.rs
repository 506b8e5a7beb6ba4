//! A thousand agents in one process. They are throng's own state machines; their runs are made up.

use crate::Failure;
use crate::carried;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::engine::Engine;
use throng_core::record::{
    About, Asked, Ending, Environment, Gathered, Intervals, Mark, Part, Phase, Reading, Record,
    Source,
};
use throng_core::shard::Shard;
use throng_core::stats::{Counters, Measured, PackedDurations, Tally};
use throng_fleet::message::{
    self, Facts, Interval, MOST_FROM_AGENT, MOST_TO_AGENT, Report, ToAgent,
};
use throng_fleet::{Agent, Do, Limits, Planned};

const SECOND: Duration = Duration::from_secs(1);
/// How often agents look at the time.
const LOOK: Duration = Duration::from_millis(20);
/// Messages per second that each agent measures.
const MESSAGES: u32 = 10_000;
/// An interval's message without histograms has this.
const NONE: &str = r#""histograms":{}"#;
/// How often each agent says that it is there.
const BEAT: Duration = Duration::from_millis(500);

/// An agent and its run.
struct Player {
    agent: Agent,
    shard: Shard,
    connections: u32,
    made_up: Rc<MadeUp>,
    most_intervals: usize,
    run: Option<Run>,
    ended: bool,
}

struct Run {
    began: Duration,
    holds: Option<Duration>,
    stopped: bool,
    has_begun: bool,
    number: u32,
    told: Duration,
    counted: Tally,
    gathered: Gathered,
}

/// Plays `agents` agents, which hold these connections together, for so many seconds, over stdin and stdout.
pub fn play(agents: usize, connections: u32, seconds: u64) -> Result<(), Failure> {
    let (to, orders) = channel();
    thread::Builder::new()
        .name("orders".into())
        .spawn(move || {
            carried::read(io::stdin(), |agent, bytes| {
                let order: Result<ToAgent, _> = message::decode(bytes, MOST_TO_AGENT);
                order.is_ok_and(|order| to.send((agent, order)).is_ok())
            })
        })?;
    let began = Instant::now();
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout());
    let made_up = Rc::new(MadeUp::new()?);
    let player = |n| Player::new(n, connections, Rc::clone(&made_up), began.elapsed());
    let mut players: Vec<Player> = (0..agents).map(player).collect();
    let (mut looked, mut beaten) = (Duration::ZERO, Duration::ZERO);
    loop {
        match orders.recv_timeout(LOOK) {
            Ok(first) => {
                // All that have arrived: an agent that looked at the time while orders waited for it would take its coordinator for lost.
                for (agent, order) in std::iter::once(first).chain(orders.try_iter()) {
                    if let Some(player) = players.get_mut(agent) {
                        player.agent.received(order, began.elapsed());
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The coordinator has ended.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let now = began.elapsed();
        let looks = now >= looked + LOOK;
        let beats = now >= beaten + BEAT;
        for (n, player) in players.iter_mut().enumerate() {
            if looks {
                player.agent.tick(now);
                player.go_on(now, seconds);
            }
            player.act(n, beats, &mut out)?;
        }
        if looks {
            looked = now;
        }
        if beats {
            beaten = now;
        }
        out.flush()?;
        if players.iter().all(|player| player.ended) {
            return Ok(());
        }
    }
}

/// What an agent measures in a second. It is the same for all: making it up is not what is to be measured.
struct MadeUp {
    interval: BTreeMap<String, PackedDurations>,
    /// The same as JSON.
    json: String,
    whole: BTreeMap<String, PackedDurations>,
}

impl MadeUp {
    fn new() -> Result<MadeUp, Failure> {
        let measured = measured();
        let interval = Ending::pack_interval(&measured);
        Ok(MadeUp {
            json: serde_json::to_string(&interval)?,
            interval,
            whole: Ending::pack(&measured),
        })
    }
}

/// Round trips about a millisecond long, some of them much longer.
fn measured() -> Measured {
    let mut measured = Measured::default();
    let mut dice = 1u64;
    for _ in 0..MESSAGES {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let uniform = (dice >> 11) as f64 / (1u64 << 53) as f64;
        let ms = 0.2 + 0.8 / (1.001 - uniform).sqrt();
        let took = Duration::from_secs_f64(ms / 1e3);
        measured.lateness.record(took / 20);
        measured.service.record(took);
        measured.response.record(took + took / 20);
    }
    measured
}

impl Player {
    fn new(n: usize, connections: u32, made_up: Rc<MadeUp>, now: Duration) -> Player {
        let facts = Facts {
            tool: "throng".into(),
            host: format!("host-{n}"),
            machine: format!("machine-{n}"),
            network: format!("network-{n}"),
            kernel: "6.18".into(),
            cores: 8,
        };
        let limits = Limits {
            connections: None,
            rate: None,
            token: None,
            alone: SECOND,
        };
        Player {
            agent: Agent::new(facts, limits, now),
            shard: Shard::WHOLE,
            connections,
            made_up,
            most_intervals: 0,
            run: None,
            ended: false,
        }
    }

    /// Carries out what the agent decided.
    fn act(&mut self, n: usize, beats: bool, out: &mut impl Write) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        if beats && let Some((run, _)) = self.agent.run() {
            let beat = message::FromAgent {
                run: run.to_owned(),
                report: Report::Beat,
            };
            carried::write(out, n, &message::encode(&beat, MOST_FROM_AGENT)?)?;
        }
        while let Some(todo) = self.agent.next_do() {
            match todo {
                Do::Send(message) => {
                    let mut bytes = message::encode(&message, MOST_FROM_AGENT)?;
                    if matches!(message.report, Report::Interval(_)) {
                        let text = String::from_utf8(bytes)?;
                        bytes = text.replace(NONE, &self.histograms()).into_bytes();
                    }
                    carried::write(out, n, &bytes)?;
                }
                Do::Plan(part) => {
                    (self.shard, self.most_intervals) = (part.shard, part.most_intervals as usize);
                    self.agent.planned(part.number, Planned::Fits(None));
                }
                Do::Start(at) => {
                    self.run = Some(Run {
                        began: at,
                        holds: None,
                        stopped: false,
                        has_begun: false,
                        number: 0,
                        told: at,
                        counted: Tally::default(),
                        gathered: Gathered::at_most(self.most_intervals),
                    });
                }
                Do::Hold(at) => {
                    if let Some(run) = &mut self.run {
                        run.holds.get_or_insert(at);
                    }
                }
                Do::Stop => {
                    if let Some(run) = &mut self.run {
                        run.stopped = true;
                    }
                }
                Do::Keep(_) => return Err("nobody took a record".into()),
                Do::Log(_) => {}
                Do::End(_) => self.ended = true,
            }
        }
        Ok(())
    }

    /// What stands in messages for [`NONE`].
    fn histograms(&self) -> String {
        format!(r#""histograms":{}"#, self.made_up.json)
    }

    /// The run goes on: it says each second what happened.
    fn go_on(&mut self, now: Duration, seconds: u64) {
        let own = self.shard.share(self.connections);
        let Some(run) = &mut self.run else {
            return;
        };
        if now < run.began {
            return;
        }
        if !run.has_begun {
            run.has_begun = true;
            self.agent.opening(now);
            self.agent.running(about(own));
            self.agent.opened();
        }
        let end = run.holds.map(|at| at + Duration::from_secs(seconds));
        let is_over = run.stopped || end.is_some_and(|end| now >= end);
        if now < run.told + SECOND && !is_over {
            return;
        }
        let (from, to) = (run.told - run.began, now - run.began);
        run.told = now;
        let counted = counts(own, to);
        let phase = match run.holds {
            Some(at) if now >= at => Phase::Holding,
            _ => Phase::Opening,
        };
        let reading = Reading::of(&counted.since(&run.counted), &counted);
        run.counted = counted;
        let histograms = self.made_up.interval.clone();
        run.gathered
            .add(from, to, phase, Some(reading), None, histograms);
        self.agent.interval(Interval {
            number: run.number,
            from_ns: from.as_nanos() as u64,
            to_ns: to.as_nanos() as u64,
            phase,
            left_ns: end.map(|end| end.saturating_sub(now).as_nanos() as u64),
            opened: Some(counted),
            accepted: None,
            // Put in as they are sent.
            histograms: BTreeMap::new(),
        });
        run.number += 1;
        if is_over && let Some(run) = self.run.take() {
            let opened = run.holds.unwrap_or(now).saturating_sub(run.began);
            let whole = self.made_up.whole.clone();
            let record = record(own, opened, to, run.gathered.finish(), whole);
            self.agent.ended(Ok(record), now);
        }
    }
}

/// The counts of `own` connections this long after a run began.
fn counts(own: u32, at: Duration) -> Tally {
    let (own, counters) = (u64::from(own), Counters::default());
    let messages = (at.as_secs_f64() * f64::from(MESSAGES)) as u64;
    for counter in [&counters.attempted, &counters.established, &counters.ready] {
        counter.add(own);
    }
    for counter in [
        &counters.messages_sent,
        &counters.messages_received,
        &counters.writes,
        &counters.reads,
        &counters.questions,
        &counters.answers,
    ] {
        counter.add(messages);
    }
    counters.bytes_sent.add(100 * messages);
    counters.bytes_received.add(100 * messages);
    counters.read()
}

fn about(own: u32) -> About {
    About {
        tool: "throng".into(),
        agent: None,
        machine: None,
        start: None,
        command: Vec::new(),
        started_unix_s: 1e9,
        kernel: "6.18".into(),
        cores: 8,
        engine: Engine::Uring,
        why_epoll: None,
        workers: 8,
        asked: Asked {
            connections: Some(own.into()),
            ..Asked::default()
        },
        environment: Environment::default(),
    }
}

fn record(
    own: u32,
    opened: Duration,
    over: Duration,
    intervals: Intervals,
    histograms: BTreeMap<String, PackedDurations>,
) -> Record {
    let mark = |at| Mark {
        at,
        opened: counts(own, at),
        ..Mark::default()
    };
    let part = Part {
        about: about(own),
        intervals,
        ending: Some(Box::new(Ending {
            opened: Some(mark(opened)),
            held: Some(mark(over)),
            over: mark(over),
            closed: counts(own, over),
            peak: own.into(),
            ready_peak: own.into(),
            histograms,
            ..Ending::default()
        })),
    };
    Record::of(Source::new("own"), part)
}
