//! A load from its first connection to its last: opening, holding, draining, closing.

use super::evidence::Before;
use super::verdict::{self, Outcome};
use crate::Failure;
use crate::facts::Machine;
use crate::run::{Side, TICK, Watch};
use std::time::Duration;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{self, Diagnosis};
use throng_core::plan::LoadPlan;
use throng_core::scenario::{LoadScenario, Percentile, Repeat};
use throng_core::stats::{Measured, Tally};
use throng_core::summary::{
    Connections, Latency, LatencyAt, LatencyOf, MessageRate, Percentiles, Phase, SetUp, Steady,
    Summary, Traffic, VERSION,
};
use throng_engine::Order;
use throng_host::kernel::Kernel;
use throng_host::memory::BoundBy;

/// How long, beyond the connect timeout, a run goes on without getting any further.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long what was sent may take to arrive once nothing more is sent.
const DRAIN: Duration = Duration::from_secs(10);
/// Nothing moved for this long: what is not there by now is lost or stuck.
const STILL: Duration = Duration::from_millis(500);

/// The counts at an instant of the run.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: Duration,
    clients: Tally,
    server: Option<Tally>,
    cpu: Duration,
}

/// What was noted when opening was over.
#[derive(Default)]
struct Opened {
    mark: Mark,
    up_at: Duration,
    kernel_sockets: Option<u64>,
    expected_sockets: Option<u64>,
}

struct LoadRun<'a> {
    watch: Watch,
    scenario: &'a LoadScenario,
    plan: &'a LoadPlan,
    before: Before<'a>,
    clients: Side,
    server: Option<Side>,
    asked: u64,
    /// Whether the other ends are sockets of this network namespace.
    both_ends_here: bool,
    /// What kept it from opening all.
    causes: Vec<Diagnosis>,
    timed_out: bool,
}

/// Watches the run until all is closed, and sums it up.
pub(super) fn to_the_end(
    watch: Watch,
    scenario: &LoadScenario,
    plan: &LoadPlan,
    machine: &Machine,
    before: Before,
    clients: Side,
    server: Option<Side>,
) -> Result<Summary, Failure> {
    let mut run = LoadRun {
        watch,
        scenario,
        plan,
        before,
        clients,
        asked: scenario.connections.into(),
        both_ends_here: server.is_some() || scenario.targets.iter().all(|t| t.ip().is_loopback()),
        server,
        causes: Vec::new(),
        timed_out: false,
    };
    let to_hold = run.open();
    let opened = run.opened();
    let held = if to_hold { run.hold() } else { opened.mark };
    run.drain();
    run.close(&machine.kernel, opened, held)
}

impl LoadRun<'_> {
    /// A tick of the watch. Returns the counts, and whether the run goes on.
    fn step(&mut self, phase: Phase, ends: Option<Duration>) -> (Duration, Tally, bool) {
        let bound = self.scenario.duration;
        let at = self.watch.tick(ends.into_iter().chain(bound).min());
        let clients = self.clients.tally();
        self.watch.note(at, &clients);
        let left = ends
            .into_iter()
            .chain(bound)
            .min()
            .map(|e| e.saturating_sub(at));
        let server = self.server.as_ref().map(Side::tally);
        self.watch
            .show(at, phase, Some(self.asked), &clients, server, left);
        self.timed_out |= bound.is_some_and(|b| at >= b);
        let mut sides = self
            .clients
            .threads
            .iter()
            .chain(self.server.iter().flat_map(|s| &s.threads));
        let died = sides.any(|t| t.is_finished());
        (
            at,
            clients,
            !(self.timed_out || died || self.watch.interrupted()),
        )
    }

    /// Until all connections are up, or it is clear that they will not be. Returns whether to hold.
    fn open(&mut self) -> bool {
        let patience = self.scenario.connect_timeout + PATIENCE;
        let mut progress = (Duration::ZERO, 0);
        loop {
            let (at, now, goes_on) = self.step(Phase::Opening, None);
            if !goes_on {
                return false;
            }
            if now.open() >= self.asked {
                return true;
            }
            if self.watch.peak > progress.1 {
                progress = (at, self.watch.peak);
            }
            let tried_all =
                !self.scenario.reconnect && now.attempted >= self.asked && now.in_flight() == 0;
            let stopped = self.watch.stopped_at.is_some() && now.in_flight() == 0;
            let stalled = at > progress.0 + patience;
            if tried_all || stopped || stalled {
                self.causes = self.diagnose(&now);
                self.watch.control.give(Order::StopOpening);
                return now.open() > 0 && !stalled;
            }
        }
    }

    /// What kept the run from opening all, as far as can be told while its connections are up.
    fn diagnose(&self, now: &Tally) -> Vec<Diagnosis> {
        diagnosis::diagnose(&self.before.evidence(
            self.scenario,
            self.plan,
            now,
            self.watch.peak,
            self.watch.stopped_at.as_ref().map(|left| {
                let whose = match left.bound_by {
                    BoundBy::Machine => LimitKind::Memory,
                    BoundBy::Cgroup(_) => LimitKind::CgroupMemory,
                };
                (left.bytes, whose)
            }),
        ))
    }

    fn mark(&self) -> Mark {
        Mark {
            at: self.watch.clock.elapsed(),
            clients: self.clients.tally(),
            server: self.server.as_ref().map(Side::tally),
            cpu: self.watch.meter.cpu(),
        }
    }

    /// Takes note of where things stand once opening is over.
    fn opened(&mut self) -> Opened {
        let mark = self.mark();
        let up_at = self.clients.last_up();
        let kernel_sockets = self.watch.meter.note_kernel();
        let ends = if self.both_ends_here { 2 } else { 1 };
        if self.scenario.traffic_after_ramp {
            self.watch.control.start_traffic(self.watch.clock.now());
        }
        Opened {
            mark,
            up_at,
            kernel_sockets,
            expected_sockets: kernel_sockets.map(|_| mark.clients.open() * ends),
        }
    }

    /// For as long as was asked, unless everything is lost. Returns where things stand then.
    fn hold(&mut self) -> Mark {
        let until = self.watch.clock.elapsed() + self.scenario.hold;
        let mut last_open = self.watch.clock.elapsed();
        loop {
            let (at, now, goes_on) = self.step(Phase::Holding, Some(until));
            if now.open() > 0 {
                last_open = at;
            }
            if !goes_on || at >= until || at > last_open + self.scenario.connect_timeout + PATIENCE
            {
                return self.mark();
            }
        }
    }

    /// Lets what is under way arrive.
    fn drain(&mut self) {
        if self.scenario.messages.is_empty() {
            return;
        }
        self.watch.control.give(Order::StopTraffic);
        let until = self.watch.clock.elapsed() + DRAIN;
        let mut still = (Duration::ZERO, (0, 0, 0, 0));
        while !self.watch.interrupted() {
            let at = self.watch.tick(None);
            let clients = self.clients.tally();
            let server = self.server.as_ref().map(Side::tally).unwrap_or_default();
            self.watch.note(at, &clients);
            self.watch.show(
                at,
                Phase::Draining,
                Some(self.asked),
                &clients,
                None,
                Some(until.saturating_sub(at)),
            );
            let moved = (
                clients.bytes_sent,
                clients.bytes_received,
                server.bytes_sent,
                server.bytes_received,
            );
            if moved != still.1 {
                still = (at, moved);
            }
            // With a server of our own we know when all is there; one more look lets late sends show.
            let arrived = self.server.is_some()
                && clients.bytes_sent == server.bytes_received
                && clients.bytes_received == server.bytes_sent;
            let patience = match (arrived, self.server.is_some()) {
                (true, _) => TICK * 2,
                // What is not there yet may still come: a processor can be away for a while.
                (false, true) => DRAIN,
                (false, false) => STILL,
            };
            if at >= still.0 + patience || at >= until {
                return;
            }
        }
    }

    fn close(mut self, kernel: &Kernel, opened: Opened, held: Mark) -> Result<Summary, Failure> {
        let seconds = self.watch.clock.elapsed();
        // What happens from here on is our closing: the counts are those of now.
        let clients = self.clients.tally();
        let server = self.server.as_ref().map(Side::tally);
        self.watch.samples.push(held.at, &held.clients);
        let interrupted = self.watch.interrupted();
        let kernel_counts = self.before.kernel();
        self.watch.live.clear();
        self.watch.control.give(Order::Close);
        let measured = self.clients.join()?;
        if let Some(server) = self.server {
            server.join()?;
        }
        self.watch.meter.wait_for_kernel();
        let closing_s = (self.watch.clock.elapsed() - seconds).as_secs_f64();

        // Some may have come up since the last tick.
        let peak = self.watch.peak.max(clients.open());
        let mut connections = Connections::of(&clients, Some(self.asked), peak);
        connections.accepted = server.map(|s| s.accepted);
        connections.kernel_sockets = opened.kernel_sockets;
        connections.expected_sockets = opened.expected_sockets;
        let message_rate = message_rate(self.scenario, &opened.mark, &held, &measured);
        let outcome = Outcome {
            scenario: self.scenario,
            clients: &clients,
            server: server.as_ref(),
            peak,
            open_at_end: clients.open(),
            interrupted,
            timed_out: self.timed_out,
            causes: &self.causes,
            kernel: kernel_counts,
            rate: message_rate.as_ref(),
            seconds: seconds.as_secs_f64(),
        };
        let (reached, findings) = verdict::of(&outcome);
        let up_s = opened.up_at.as_secs_f64();
        Ok(Summary {
            version: VERSION,
            tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
            role: "load".into(),
            command: std::env::args().collect(),
            reached,
            findings,
            causes: self.causes,
            interrupted,
            started_unix_s: self.watch.meter.started_unix_s(),
            hold_s: Some(held.at.saturating_sub(opened.mark.at).as_secs_f64()),
            seconds: seconds.as_secs_f64(),
            closing_s,
            kernel: kernel.release.clone(),
            cores: kernel.cores as u32,
            engine: self.plan.engine,
            why_epoll: self.plan.why_epoll.clone(),
            workers: self.plan.workers,
            connections,
            set_up: Some(SetUp {
                seconds: up_s,
                per_s: if up_s > 0.0 {
                    opened.mark.clients.established as f64 / up_s
                } else {
                    0.0
                },
                asked_per_s: self.scenario.connect_rate.map(|r| r.get()),
                latency: Percentiles::of(&measured.connect),
                cpu_us_per_connection: (opened.mark.clients.established > 0).then(|| {
                    opened.mark.cpu.as_secs_f64() * 1e6 / opened.mark.clients.established as f64
                }),
            }),
            traffic: Traffic::of(&clients),
            server_traffic: server.as_ref().map(Traffic::of),
            message_rate,
            bandwidth: None,
            latency: Latency::of(&measured, matches!(self.scenario.repeat, Repeat::Paced(_))),
            answers: None,
            stops_seen: None,
            search: None,
            websocket: None,
            tls: None,
            cost: self.watch.meter.cost(peak),
            over_time: self.watch.samples.into_vec(),
            steady: Some(Steady {
                seconds: held.at.saturating_sub(opened.mark.at).as_secs_f64(),
                opened: clients.open(),
                accepted: server.map_or(0, |s| s.open()),
                traffic: Traffic::of(&held.clients.since(&opened.mark.clients)),
                accepted_traffic: held
                    .server
                    .zip(opened.mark.server)
                    .map(|(held, opened)| Traffic::of(&held.since(&opened))),
            }),
            latencies: latencies(self.scenario, &measured),
        })
    }
}

/// Those latencies that were asked for, at the percentiles that were.
fn latencies(scenario: &LoadScenario, measured: &Measured) -> Vec<LatencyAt> {
    let asked = &scenario.options.latency;
    let percentiles = match asked.percentiles.as_slice() {
        [] => &Percentile::usual(),
        some => some,
    };
    let all = [(asked.connect, LatencyOf::Connect, &measured.connect)];
    all.into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, of, durations)| LatencyAt::of(of, durations, percentiles))
        .collect()
}

/// How well the rate was kept from when all were up to the end of the hold.
fn message_rate(
    scenario: &LoadScenario,
    from: &Mark,
    to: &Mark,
    measured: &Measured,
) -> Option<MessageRate> {
    if scenario.messages.repeated.is_empty() {
        return None;
    }
    let seconds = to.at.saturating_sub(from.at).as_secs_f64();
    let in_window = to.clients.since(&from.clients);
    let messages = match scenario.repeat {
        Repeat::ClosedLoop => in_window.messages_received,
        Repeat::Flood | Repeat::Paced(_) => in_window.messages_sent,
    };
    Some(MessageRate {
        asked_per_s: match scenario.repeat {
            Repeat::Paced(rate) => Some(rate.get() * f64::from(scenario.connections)),
            Repeat::Flood | Repeat::ClosedLoop => None,
        },
        asked_messages: None,
        messages,
        reached_per_s: if seconds > 0.0 {
            messages as f64 / seconds
        } else {
            0.0
        },
        seconds,
        lateness: Percentiles::of(&measured.lateness),
        cpu_us_per_message: (messages > 0)
            .then(|| (to.cpu.saturating_sub(from.cpu)).as_secs_f64() * 1e6 / messages as f64),
    })
}
