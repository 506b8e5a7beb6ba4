//! The agent: orders, what its run does and the time in; messages and decisions out.
//!
//! An agent belongs to the first run that greets it, and refuses orders of others. Without its coordinator it goes on for a while,
//! stops, keeps its record, and ends.

use crate::coordinator::BEAT;
use crate::message::{self, Facts, FromAgent, Interval, Order, Part, Report, ToAgent};
use std::collections::VecDeque;
use std::time::Duration;
use throng_core::record::{About, Record};

/// A coordinator that is not heard of for this long is lost. It is back when it is heard of again.
const SILENCE: Duration = Duration::from_secs(15);
/// An agent that looks at the time again only after this long was stopped itself, or had no processor.
const STILL: Duration = Duration::from_secs(2);
/// One that is silent for less than this is not: it says twice per second that it is there.
const SHORTEST: Duration = Duration::from_secs(2);
/// A record that was not acknowledged is sent again after this long.
const AGAIN: Duration = Duration::from_secs(2);
/// An agent that nobody greets ends after this long.
const GREETING: Duration = Duration::from_secs(60);

/// What an agent allows itself.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections of its part; `None` for as many as its plan allows.
    pub connections: Option<u32>,
    /// The most messages per second of its part, where a rate is asked for. What asks for none is then refused.
    pub rate: Option<f64>,
    /// What a coordinator has to know.
    pub token: Option<String>,
    /// How long a run goes on once its coordinator was last heard of; two seconds at least.
    pub alone: Duration,
}

/// What an agent decided.
#[derive(Clone, Debug)]
pub enum Do {
    /// Send this.
    Send(FromAgent),
    /// Plan this part, and say how that went: [`Agent::planned`].
    Plan(Box<Part>),
    /// Carry out the last plan, from this instant on.
    Start(Duration),
    /// Hold connections from this instant on.
    Hold(Duration),
    /// Stop the run.
    Stop,
    /// Keep this record: nobody took it.
    Keep(Box<Record>),
    /// Write this into the log.
    Log(String),
    /// End, with this exit code.
    End(u8),
}

/// What came of planning a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// It can be run. This many connections would fit, if that is known.
    Fits(Option<u64>),
    /// Only this many connections fit, because of these limits.
    Short(u64, Vec<String>),
    /// It is not allowed, or makes no sense: a line.
    Refused(String),
}

/// The state of an agent: what the coordinator says and what its run does in, messages and actions out. Has no clock and no socket.
pub struct Agent {
    facts: Facts,
    limits: Limits,
    /// The run that it belongs to, and its name there.
    run: Option<(String, String)>,
    state: State,
    /// What planning the last part has said.
    answer: Option<(u32, Report)>,
    /// When the coordinator was last heard of.
    heard: Duration,
    /// When this agent last looked at the time.
    ticked: Duration,
    /// Since when it is alone: when the coordinator was last heard of.
    alone: Option<Duration>,
    /// Nothing can come or go any more.
    is_cut_off: bool,
    /// It was asked to stop.
    stopped: bool,
    about: Option<Box<About>>,
    /// When its workers began to open connections.
    began: Duration,
    has_opened: bool,
    record: Option<Box<Record>>,
    sent: Duration,
    /// The coordinator has the record.
    is_received: bool,
    todo: VecDeque<Do>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has no run, or only plans it.
    Waiting,
    Running,
    /// Its record waits to be taken.
    Reporting,
    Over,
}

impl Agent {
    /// An agent on a machine with these `facts`.
    pub fn new(facts: Facts, limits: Limits, now: Duration) -> Agent {
        Agent {
            facts,
            limits,
            run: None,
            state: State::Waiting,
            answer: None,
            heard: now,
            ticked: now,
            alone: None,
            is_cut_off: false,
            stopped: false,
            about: None,
            began: now,
            has_opened: false,
            record: None,
            sent: now,
            is_received: false,
            todo: VecDeque::new(),
        }
    }

    /// The next decision; `None` if there is none until something happens.
    pub fn next_do(&mut self) -> Option<Do> {
        self.todo.pop_front()
    }

    /// When to [look at the time](Agent::tick) next, at the latest.
    pub fn due(&self, now: Duration) -> Duration {
        now + BEAT
    }

    /// The run that it belongs to, and its name there.
    pub fn run(&self) -> Option<(&str, &str)> {
        let (run, name) = self.run.as_ref()?;
        Some((run, name))
    }

    /// The coordinator says this.
    pub fn received(&mut self, message: ToAgent, now: Duration) {
        if self.state == State::Over {
            return;
        }
        if let Some((run, _)) = &self.run
            && *run != message.run
        {
            return self.refuse(
                &message.run.clone(),
                "an order of another run: this agent belongs to one already",
            );
        }
        if let (None, order) = (&self.run, &message.order)
            && !matches!(order, Order::Hello { .. } | Order::Beat)
        {
            return self.log("refused: an order before the first greeting".into());
        }
        self.heard = now;
        if self.alone.take().is_some() {
            self.log("the coordinator is back".into());
        }
        match message.order {
            Order::Hello {
                version,
                agent,
                token,
            } => self.hello(message.run, version, agent, token),
            Order::Ping { number } => {
                // A coordinator that follows another one has no record of it.
                self.is_received = false;
                let at_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
                self.send(Report::Pong { number, at_ns });
            }
            Order::Plan(part) => self.plan(part),
            Order::Start { plan, at_ns } => self.start(plan, Duration::from_nanos(at_ns)),
            Order::Hold { at_ns } => {
                if self.state == State::Running {
                    self.todo.push_back(Do::Hold(Duration::from_nanos(at_ns)));
                }
            }
            Order::Stop => self.stop(),
            Order::Beat => {}
            Order::Received => self.is_received |= self.state == State::Reporting,
            Order::Taken => {
                if self.state == State::Reporting {
                    self.record = None;
                    self.end(0);
                }
            }
        }
    }

    /// What came is no message, for this reason. It is refused.
    pub fn unreadable(&mut self, why: &str) {
        self.log(format!("refused: {why}"));
        let line = why.to_owned();
        if self.run.is_some() {
            self.send(Report::Refused { line });
        }
    }

    /// Nothing can be sent to the coordinator any more, and nothing will come.
    pub fn cut_off(&mut self, now: Duration) {
        self.is_cut_off = true;
        self.left_alone(now);
    }

    /// Planning part `number` has said this.
    pub fn planned(&mut self, number: u32, planned: Planned) {
        let report = match planned {
            Planned::Fits(holds) => Report::Planned { number, holds },
            Planned::Short(holds, limits) => {
                self.log(format!("short: {}", limits.join("; ")));
                Report::Short {
                    number,
                    holds,
                    limits,
                }
            }
            Planned::Refused(line) => {
                self.log(format!("refused: {line}"));
                Report::Refused { line }
            }
        };
        self.answer = Some((number, report.clone()));
        self.send(report);
    }

    /// The workers of its run begin to open connections.
    pub fn opening(&mut self, now: Duration) {
        self.began = now;
        self.log("begins to open connections".into());
    }

    /// Its run has begun.
    pub fn running(&mut self, about: About) {
        self.about = Some(Box::new(about));
        self.say_that_it_runs();
    }

    fn say_that_it_runs(&mut self) {
        if let Some(about) = self.about.clone() {
            let began_ns = u64::try_from(self.began.as_nanos()).unwrap_or(u64::MAX);
            self.send(Report::Running { about, began_ns });
        }
    }

    /// All its connections are established that will be.
    pub fn opened(&mut self) {
        self.has_opened = true;
        self.send(Report::Opened);
    }

    /// An interval of its run is over.
    pub fn interval(&mut self, interval: Interval) {
        // What was sent before may have got lost.
        if self.has_opened && interval.phase == throng_core::record::Phase::Opening {
            self.send(Report::Opened);
        }
        self.send(Report::Interval(Box::new(interval)));
    }

    /// Its run says this.
    pub fn note(&mut self, line: String) {
        self.send(Report::Note { line });
    }

    /// Its run is over, with this record, or has failed.
    pub fn ended(&mut self, result: Result<Record, String>, now: Duration) {
        match result {
            Ok(record) => {
                self.record = Some(Box::new(record));
                self.state = State::Reporting;
                self.report(now);
                if self.is_cut_off {
                    self.give_up();
                }
            }
            Err(line) => {
                self.log(format!("failed: {line}"));
                self.send(Report::Failed { line });
                self.end(1);
            }
        }
    }

    /// The person or program that started it asks it to end.
    pub fn interrupted(&mut self) {
        match self.state {
            State::Waiting => {
                self.send(Report::Failed {
                    line: "it was interrupted".into(),
                });
                self.end(130);
            }
            // The run itself is asked to stop, too, and then reports.
            State::Running | State::Reporting | State::Over => {}
        }
    }

    /// It is `now`.
    pub fn tick(&mut self, now: Duration) {
        let since = now.saturating_sub(self.ticked);
        self.ticked = now;
        if since > STILL {
            // Nobody could be heard meanwhile.
            self.heard = (self.heard + since).min(now);
        }
        let alone = self.limits.alone.max(SHORTEST);
        let patience = match self.run {
            Some(_) if self.state == State::Running => SILENCE.min(alone),
            Some(_) => SILENCE,
            None => GREETING,
        };
        if self.alone.is_none() && now >= self.heard + patience {
            self.left_alone(now);
        }
        let unheard = !self.is_received && !self.is_cut_off;
        if self.state == State::Reporting && unheard && now >= self.sent + AGAIN {
            self.report(now);
        }
        let Some(since) = self.alone else {
            return;
        };
        match self.state {
            State::Running if now >= since + alone && !self.stopped => {
                self.log("it was alone for too long: the run stops".into());
                self.stopped = true;
                self.todo.push_back(Do::Stop);
            }
            State::Reporting => self.give_up(),
            State::Waiting | State::Running | State::Over => {}
        }
    }

    fn log(&mut self, line: String) {
        self.todo.push_back(Do::Log(line));
    }

    fn send(&mut self, report: Report) {
        let Some((run, _)) = &self.run else {
            return;
        };
        let run = run.clone();
        self.todo.push_back(Do::Send(FromAgent { run, report }));
    }

    /// Refuses an order of `run`, and goes on.
    fn refuse(&mut self, run: &str, why: &str) {
        self.log(format!("refused: {why}"));
        self.todo.push_back(Do::Send(FromAgent {
            run: run.to_owned(),
            report: Report::Refused { line: why.into() },
        }));
    }

    fn end(&mut self, code: u8) {
        self.state = State::Over;
        self.todo.push_back(Do::End(code));
    }

    fn hello(&mut self, run: String, version: u32, agent: String, token: Option<String>) {
        if version != message::VERSION {
            // It is told which one this is, and refuses.
            self.log(format!(
                "a coordinator with version {version} of the protocol; this is version {}",
                message::VERSION
            ));
        }
        if self.limits.token.is_some() && token != self.limits.token {
            return self.refuse(
                &run,
                "the token is missing or wrong: --token-file names the file that has it",
            );
        }
        if self.run.is_none() {
            self.log(format!("belongs to run {run} as {agent}"));
            self.run = Some((run, agent));
        }
        self.send(Report::Hello {
            version: message::VERSION,
            facts: self.facts.clone(),
        });
    }

    fn plan(&mut self, part: Box<Part>) {
        if self.state != State::Waiting {
            return;
        }
        match &self.answer {
            // It came twice, or late.
            Some((number, report)) if *number == part.number => {
                let report = report.clone();
                self.send(report);
            }
            Some((number, _)) if *number > part.number => {}
            _ => {
                self.log(format!("ordered to plan {}", part.shard));
                self.todo.push_back(Do::Plan(part));
            }
        }
    }

    fn start(&mut self, plan: u32, at: Duration) {
        match (self.state, &self.answer) {
            (State::Waiting, Some((number, Report::Planned { .. }))) if *number == plan => {
                self.log("ordered to start".into());
                self.state = State::Running;
                self.todo.push_back(Do::Start(at));
            }
            (State::Running, _) => self.say_that_it_runs(),
            // The order to plan is repeated, if it got lost.
            _ => {}
        }
    }

    fn stop(&mut self) {
        match self.state {
            State::Waiting => {
                self.log("ordered to end".into());
                self.end(0);
            }
            State::Running if !self.stopped => {
                self.log("ordered to stop".into());
                self.stopped = true;
                self.todo.push_back(Do::Stop);
            }
            State::Running | State::Reporting | State::Over => {}
        }
    }

    /// Sends the record.
    fn report(&mut self, now: Duration) {
        self.sent = now;
        if let Some(record) = self.record.clone() {
            self.send(Report::Done { record });
        }
    }

    fn left_alone(&mut self, now: Duration) {
        if self.alone.is_some() || self.state == State::Over {
            return;
        }
        self.alone = Some(self.heard);
        match self.state {
            State::Waiting => {
                self.log("there is no coordinator".into());
                self.end(1);
            }
            State::Running => {
                self.log(
                    "the coordinator is lost: the run goes on, and its record will be kept".into(),
                );
                // The others may wait for nobody, and so does it.
                self.todo.push_back(Do::Hold(now));
            }
            State::Reporting => self.give_up(),
            State::Over => {}
        }
    }

    /// Keeps the record that nobody took, and ends.
    fn give_up(&mut self) {
        if let Some(record) = self.record.take() {
            self.todo.push_back(Do::Keep(record));
        }
        self.end(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn agent() -> Agent {
        let facts = Facts {
            tool: "throng".into(),
            host: "a".into(),
            machine: "a".into(),
            network: "a".into(),
            kernel: "6.18".into(),
            cores: 2,
        };
        let limits = Limits {
            connections: None,
            rate: None,
            token: None,
            alone: SECOND,
        };
        let mut agent = Agent::new(facts, limits, Duration::ZERO);
        let order = Order::Hello {
            version: message::VERSION,
            agent: "agent-1".into(),
            token: None,
        };
        let run = "run".into();
        agent.received(ToAgent { run, order }, Duration::ZERO);
        agent.state = State::Running;
        let record = Record {
            version: throng_core::record::VERSION,
            sources: Default::default(),
        };
        agent.ended(Ok(record), Duration::ZERO);
        agent
    }

    fn keeps(agent: &mut Agent) -> bool {
        std::iter::from_fn(|| agent.next_do()).any(|todo| matches!(todo, Do::Keep(_)))
    }

    #[test]
    fn a_record_is_kept_when_the_coordinator_is_silent_and_not_when_the_agent_itself_stood_still() {
        let mut agent = agent();
        agent.tick(40 * SECOND);
        assert!(!keeps(&mut agent), "it was stopped");
        for second in 41..40 + SILENCE.as_secs() as u32 {
            agent.tick(second * SECOND);
            assert!(!keeps(&mut agent), "{second}");
        }
        let silent = 40 * SECOND + SILENCE;
        agent.tick(silent);
        assert!(keeps(&mut agent), "the coordinator was silent");
    }
}
