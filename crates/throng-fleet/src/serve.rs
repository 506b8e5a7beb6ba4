//! Drives an agent: orders from its coordinator, its run on a thread of its own, reports back.

use crate::agent::{Agent, Do, Limits, Planned};
use crate::allow::Allow;
use crate::coordinator::BEAT;
use crate::divided::undividable;
use crate::message::{Facts, FromAgent, Interval, Part, Report, ToAgent};
use crate::transport::{End, Orders, Reports};
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::observer::{self, Note, Observer, Trouble};
use throng_core::plan;
use throng_core::record::{About, Ending, Record};
use throng_core::scenario::{LoadScenario, Sending};
use throng_core::summary::LatencyReport;
use throng_host::elsewhere::Namespace;
use throng_host::here::Here;
use throng_host::kernel::Kernel;
use throng_host::watched::{Sampler, Subject};
use throng_run::{Attached, Barrier, Machine, Stop, Watching};

/// How often an agent tells what happened.
const EVERY: Duration = Duration::from_secs(1);
/// How long a stop from outside may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);

/// What an agent is, and may do.
#[derive(Clone)]
pub struct Serving<'a> {
    /// What it allows itself.
    pub limits: Limits,
    /// What it may load.
    pub allow: Vec<Allow>,
    /// Reads a scenario file, and looks up the names in it. The error is a line.
    pub read: &'a dyn Fn(&str) -> Result<LoadScenario, String>,
    /// The system under test that it watches during its run.
    pub watch: Option<Subject>,
    /// Begins to read other network namespaces whose counters may explain why attempts to connect time out.
    pub elsewhere: &'a dyn Fn() -> Vec<Namespace>,
    /// Keeps the record that nobody took, of this run under this name.
    pub keep: &'a dyn Fn(&str, &str, Record),
    /// Writes a line into the log.
    pub log: &'a dyn Fn(&str),
    /// `throng` and its version.
    pub tool: String,
}

/// What happens to an agent.
enum Event {
    Order(Result<ToAgent, String>),
    CutOff,
    Opening(Instant),
    Running(Box<About>),
    Opened,
    Interval(Box<Interval>),
    Note(String),
    Ended(Box<Result<Record, String>>),
}

/// Is an agent of the coordinator at the other side of `end`, until its work is done or `stop` is requested. Returns the exit code.
///
/// # Errors
/// The way to the coordinator, or a thread, can't be opened.
pub fn serve(serving: &Serving, end: Box<dyn End>, stop: &Stop) -> io::Result<u8> {
    let began = Instant::now();
    let mut agent = Agent::new(
        facts(&serving.tool),
        serving.limits.clone(),
        began.elapsed(),
    );
    let (events, happened) = channel();
    let orders = events.clone();
    let to = end.open(Orders::new(move |order| {
        orders
            .send(order.map_or(Event::CutOff, Event::Order))
            .is_ok()
    }))?;
    let to = Output(Arc::new(Mutex::new(to)));
    // A thread that does no work: it beats as long as this agent is there.
    let beating = Arc::new(Mutex::new(None::<String>));
    let (beats, run) = (Arc::downgrade(&to.0), Arc::clone(&beating));
    spawn("fleet-beat", move || beat(&beats, &run))?;
    // A process may be an agent again, after a run that was stopped.
    let run_stop = Stop::new();
    let mut prepared: Option<Prepared> = None;
    let mut running: Option<Hold> = None;
    let mut was_stopped = false;
    loop {
        while let Some(todo) = agent.next_do() {
            match todo {
                Do::Send(message) => {
                    // Whoever can't be written to can't be read from either, which is noticed.
                    let _ = to.send(&message);
                }
                Do::Log(line) => (serving.log)(&line),
                Do::Plan(part) => {
                    let (planned, as_planned) = plan(serving, &part);
                    prepared = as_planned;
                    agent.planned(part.number, planned);
                }
                Do::Start(at) => {
                    if let Some(prepared) = prepared.take() {
                        let hold = Hold::default();
                        running = Some(hold.clone());
                        let barrier = InStep {
                            opens: began + at,
                            hold,
                            told: false,
                            events: events.clone(),
                        };
                        let (events, stop) = (events.clone(), run_stop.clone());
                        spawn("fleet-run", move || prepared.run(barrier, events, &stop))?;
                    }
                }
                Do::Hold(at) => {
                    if let Some(hold) = &running {
                        hold.set(began + at);
                    }
                }
                Do::Stop => run_stop.request(),
                Do::Keep(record) => {
                    let (run, name) = agent.run().unwrap_or_default();
                    (serving.keep)(run, name, *record);
                }
                Do::End(code) => return Ok(code),
            }
        }
        if let Some((run, _)) = agent.run() {
            let mut known = beating.lock().unwrap_or_else(PoisonError::into_inner);
            known.get_or_insert_with(|| run.to_owned());
        }
        if stop.is_requested() && !std::mem::replace(&mut was_stopped, true) {
            run_stop.request();
            agent.interrupted();
            continue;
        }
        let event = happened.recv_timeout(NOTICE.min(BEAT));
        let now = began.elapsed();
        match event {
            Ok(Event::Order(Ok(order))) => agent.received(order, now),
            Ok(Event::Order(Err(why))) => agent.unreadable(&why),
            Ok(Event::CutOff) => agent.cut_off(now),
            Ok(Event::Opening(at)) => agent.opening(at.saturating_duration_since(began)),
            Ok(Event::Running(about)) => agent.running(*about),
            Ok(Event::Opened) => agent.opened(),
            Ok(Event::Interval(interval)) => agent.interval(*interval),
            Ok(Event::Note(line)) => agent.note(line),
            Ok(Event::Ended(result)) => agent.ended(*result, now),
            Err(RecvTimeoutError::Timeout) => {}
            // `events` is still there.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(NOTICE),
        }
        agent.tick(began.elapsed());
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(body)?;
    Ok(())
}

fn facts(tool: &str) -> Facts {
    let (here, kernel) = (Here::read(), Kernel::read().ok());
    Facts {
        tool: tool.to_owned(),
        host: kernel
            .as_ref()
            .map_or_else(String::new, |k| k.hostname.clone()),
        machine: here.boot,
        network: here.namespace,
        cores: kernel.as_ref().map_or(0, |k| k.cores as u32),
        kernel: kernel.map_or_else(String::new, |k| k.release),
    }
}

/// Where reports go.
struct Output(Arc<Mutex<Box<dyn Reports>>>);

impl Output {
    fn send(&self, message: &FromAgent) -> io::Result<()> {
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        to.send(message)
    }
}

/// Says that the agent is still there, from when it belongs to a run.
fn beat(to: &Weak<Mutex<Box<dyn Reports>>>, run: &Mutex<Option<String>>) {
    loop {
        thread::sleep(BEAT);
        let Some(to) = to.upgrade().map(Output) else {
            return;
        };
        let run = run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = Report::Beat;
        if let Some(run) = run
            && to.send(&FromAgent { run, report }).is_err()
        {
            return;
        }
    }
}

/// A part of a run that can be carried out.
struct Prepared {
    scenario: LoadScenario,
    machine: Machine,
    latencies: LatencyReport,
    watched: Option<Sampler>,
    elsewhere: Vec<Namespace>,
    most_intervals: usize,
}

/// Plans `part`: what is said about it, and what can be run.
fn plan(serving: &Serving, part: &Part) -> (Planned, Option<Prepared>) {
    match prepare(serving, part) {
        Ok((holds, prepared)) => (Planned::Fits(holds), Some(prepared)),
        Err(why) => (why, None),
    }
}

fn prepare(serving: &Serving, part: &Part) -> Result<(Option<u64>, Prepared), Planned> {
    let mut scenario = (serving.read)(&part.scenario).map_err(Planned::Refused)?;
    scenario.shard = part.shard;
    // How many agents there are is the coordinator's to check.
    if let Some(why) = undividable(&scenario, 1) {
        return Err(Planned::Refused(why));
    }
    check_allowed(&serving.allow, &scenario)?;
    check_limits(&serving.limits, &scenario)?;
    let machine = Machine::for_load(&scenario).map_err(|e| Planned::Refused(e.to_string()))?;
    let own = u64::from(scenario.own_connections());
    let planned = plan::load(&scenario, &machine.host);
    let beside = plan::beside(&scenario, &machine.host, part.beside);
    let mut short = planned.as_ref().err().cloned().unwrap_or_default();
    short.extend(beside);
    if !short.is_empty() {
        let holds = short.iter().map(|s| s.allows).min().unwrap_or(0).min(own);
        return Err(Planned::Short(
            holds,
            short.iter().map(ToString::to_string).collect(),
        ));
    }
    let limits = planned.iter().flat_map(|p| &p.limits);
    let held = limits.filter(|l| l.sure && l.measure == throng_core::capacity::Measure::Held);
    let holds = held.filter_map(|l| l.allows).min();
    let most = serving.limits.connections.map(u64::from);
    let holds = holds.into_iter().chain(most).min();
    let watched = serving.watch.as_ref().map(Sampler::open).transpose();
    let watched = watched.map_err(|e| Planned::Refused(format!("--watch of this agent: {e}")))?;
    let latencies = LatencyReport {
        connect: part.connect_latency,
        percentiles: part.percentiles.clone(),
    };
    let prepared = Prepared {
        scenario,
        machine,
        latencies,
        watched,
        elsewhere: (serving.elsewhere)(),
        most_intervals: part.most_intervals as usize,
    };
    Ok((holds, prepared))
}

/// Refuses targets beyond the list of those that this agent may load.
fn check_allowed(allow: &[Allow], scenario: &LoadScenario) -> Result<(), Planned> {
    let is_allowed = |target| allow.iter().any(|allowed: &Allow| allowed.has(target));
    match scenario.addresses().into_iter().find(|t| !is_allowed(*t)) {
        None => Ok(()),
        Some(target) => {
            let list: Vec<String> = allow.iter().map(ToString::to_string).collect();
            Err(Planned::Refused(format!(
                "{target} is not among the targets that this agent may load ({}); --allow {target} adds it",
                list.join(", ")
            )))
        }
    }
}

/// Refuses more than this agent allows itself.
fn check_limits(limits: &Limits, scenario: &LoadScenario) -> Result<(), Planned> {
    use throng_core::human::count;
    let own = scenario.own_connections();
    if let Some(most) = limits.connections.filter(|most| own > *most) {
        let line = format!(
            "{} connections, and --max-connections of this agent allows {}",
            count(own.into()),
            count(most.into())
        );
        return Err(Planned::Short(most.into(), vec![line]));
    }
    let Some(most) = limits.rate else {
        return Ok(());
    };
    let sending = &scenario.pace.sending;
    let rate = match sending {
        Sending::PerConnection(rate) => Some(rate.get() * f64::from(own)),
        Sending::WholeRun { rate, .. } => rate.highest().map(|r| r * scenario.shard.fraction()),
        _ if scenario.messages.repeated.is_empty() => Some(0.0),
        _ => None,
    };
    match rate {
        Some(rate) if rate <= most => Ok(()),
        Some(rate) => Err(Planned::Refused(format!(
            "{} messages, and --max-rate of this agent allows {}",
            throng_core::human::rate(rate),
            throng_core::human::rate(most)
        ))),
        None => Err(Planned::Refused(
            "messages without a rate, and this agent has a --max-rate: ask for a rate".into(),
        )),
    }
}

impl Prepared {
    fn run(self, barrier: InStep, events: Sender<Event>, stop: &Stop) {
        // A run is worth more than what is seen beside it.
        let watched = self.watched.and_then(|s| Watching::start(s).ok());
        let mut attached = Attached {
            watched,
            elsewhere: self.elsewhere,
            observers: vec![Box::new(Reporter {
                events: events.clone(),
                number: 0,
                about: false,
            })],
            latencies: self.latencies,
            most_intervals: Some(self.most_intervals),
            barrier: Some(Box::new(barrier)),
            ..Attached::default()
        };
        let result = throng_run::load(&self.scenario, &self.machine, &mut attached, stop);
        let result = result.map_err(|e| e.to_string());
        let _ = events.send(Event::Ended(Box::new(result)));
    }
}

/// When connections are to be held from, once that is known; clones are the same.
#[derive(Clone, Default)]
struct Hold(Arc<Mutex<Option<Instant>>>);

impl Hold {
    fn set(&self, at: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(at);
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a run in step with those of other agents.
struct InStep {
    opens: Instant,
    hold: Hold,
    told: bool,
    events: Sender<Event>,
}

impl Barrier for InStep {
    fn opens(&self) -> Instant {
        self.opens
    }

    fn opening(&mut self, now: Instant) {
        let _ = self.events.send(Event::Opening(now));
    }

    fn holds(&mut self) -> Option<Instant> {
        if !std::mem::replace(&mut self.told, true) {
            let _ = self.events.send(Event::Opened);
        }
        self.hold.get()
    }
}

/// Passes on what a run tells its observers.
struct Reporter {
    events: Sender<Event>,
    number: u32,
    /// Whether it was told what the run is.
    about: bool,
}

impl Observer for Reporter {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &observer::Interval) -> Result<(), Trouble> {
        let ns = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let number = self.number;
        self.number += 1;
        let event = Event::Interval(Box::new(Interval {
            number,
            from_ns: ns(interval.from),
            to_ns: ns(interval.to),
            phase: interval.phase,
            left_ns: interval.left.map(ns),
            opened: interval.opened.map(|counts| counts.now),
            accepted: interval.accepted.map(|counts| counts.now),
            histograms: interval
                .measured
                .map(Ending::pack_interval)
                .unwrap_or_default(),
        }));
        self.send(event)
    }

    fn wants_record(&self) -> bool {
        !self.about
    }

    fn record(&mut self, record: Record) {
        let part = record.sources.into_values().next();
        if let Some(part) = part.filter(|_| !self.about) {
            self.about = true;
            let _ = self.send(Event::Running(Box::new(part.about)));
        }
    }

    fn note(&mut self, note: &Note) {
        for line in note.to_string().lines() {
            let _ = self.send(Event::Note(line.to_owned()));
        }
    }
}

impl Reporter {
    fn send(&self, event: Event) -> Result<(), Trouble> {
        let gone = |_| Trouble("the agent has ended".into());
        self.events.send(event).map_err(gone)
    }
}
