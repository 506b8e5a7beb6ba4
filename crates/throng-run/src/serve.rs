//! A server: accepts connections and holds them.

use crate::attached::Attached;
use crate::behave::{Place, ServeBehaviours, socket_options};
use crate::kernel_counts::KernelCounter;
use crate::listener;
use crate::machine::Machine;
use crate::side::Side;
use crate::stop::Stop;
use crate::watch::{TICK, Watch};
use crate::{Failure, raise_file_limit};
use std::net::TcpListener;
use std::sync::Arc;
use throng_core::diagnosis::{self, Diagnosis, Evidence};
use throng_core::engine::Engine;
use throng_core::host::Host;
use throng_core::observer::{Note, Serving};
use throng_core::plan::{self, ServePlan};
use throng_core::scenario::ServeScenario;
use throng_core::summary::{
    Connections, Latency, Phase, Summary, TlsSummary, Traffic, VERSION, WebSocketSummary,
};
use throng_engine::{Order, Reach};
use throng_host::survey::{Wanted, survey};

/// Carries out `scenario` on `machine` until its time is over or `stop` is requested.
///
/// # Errors
/// The plan refuses the scenario, something in it cannot be, or the machine fails it: see [`Failure`].
pub fn serve(
    scenario: &ServeScenario,
    machine: &Machine,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Summary, Failure> {
    let behaviours = ServeBehaviours::new(scenario)?;
    let plan = plan::serve(scenario, &machine.host).map_err(Failure::Impossible)?;
    raise_file_limit()?;
    let mut watch = Watch::new(
        &mut attached.observers,
        stop,
        machine.memory.clone(),
        plan.memory_reserve,
        scenario.max_connections.map(u64::from),
    );
    watch.warn(&plan.warnings);
    let options = socket_options(&Default::default());
    let listeners = scenario
        .listen
        .iter()
        .map(|at| listener::open(at.0, plan.backlog, Reach::Address, &options))
        .collect::<Result<Vec<_>, _>>()?;
    announce(&mut watch, &listeners, &plan, scenario);
    watch.meter.note_sockets_before();
    let counted = KernelCounter::begin();
    let server = Server {
        engine: plan.engine,
        behaviours: &behaviours,
        unix_us: watch.started_unix_us(),
        workers: plan.workers,
        max_connections: plan.max_connections,
        ring_slots: plan.ring_slots,
        listeners: listeners.into_iter().map(Arc::new).collect(),
    };
    let side = server.start(&watch)?;
    watch.follow(&side.outlets);
    loop {
        let at = watch.tick(TICK, scenario.duration);
        let left = scenario.duration.map(|d| d.saturating_sub(at));
        watch.look(at, Phase::Serving, left, None, Some(side.tally()));
        if watch.stopped()
            || scenario.duration.is_some_and(|d| at >= d)
            || side.threads.iter().any(|t| t.is_finished())
        {
            break;
        }
    }
    let causes = diagnose(&counted, &machine.host, watch.peak);
    finish(watch, side, scenario, &plan, causes, machine)
}

/// What kept connections from coming up meanwhile, as the kernel counted it.
fn diagnose(counted: &KernelCounter, before: &Host, peak: u64) -> Vec<Diagnosis> {
    let now = survey(&Wanted::default());
    diagnosis::diagnose(&Evidence {
        plateau: peak,
        conntrack: now.conntrack.and_then(|now| counted.tracked(before, &now)),
        kernel: counted.kernel(),
        ..Evidence::default()
    })
}

fn announce(
    watch: &mut Watch,
    listeners: &[TcpListener],
    plan: &ServePlan,
    scenario: &ServeScenario,
) {
    for listener in listeners {
        if let Ok(at) = listener.local_addr() {
            watch.note(&Note::Listening(at));
        }
    }
    let bound = plan.bound_by.clone();
    watch.note(&Note::Serving(Serving {
        mode: scenario.mode,
        engine: plan.engine,
        why_epoll: plan.why_epoll.clone(),
        workers: plan.workers,
        bound: bound.map(|by| (plan.max_connections.into(), by)),
    }));
}

/// The workers to start.
struct Server<'a> {
    engine: Engine,
    behaviours: &'a ServeBehaviours<'a>,
    unix_us: u64,
    workers: u32,
    max_connections: u32,
    ring_slots: u32,
    /// Every worker accepts from all of them: whoever connects, no connection waits for a worker that
    /// is full.
    listeners: Vec<Arc<TcpListener>>,
}

impl Server<'_> {
    fn start(&self, watch: &Watch) -> Result<Side, Failure> {
        let mut side = Side::new(self.workers);
        for worker in 0..self.workers {
            // The places of all workers together are exactly as many as asked for.
            let max = self.max_connections / self.workers
                + u32::from(worker < self.max_connections % self.workers);
            let role = side.sharing(worker, &self.listeners, max);
            let job = side.job(worker, role, watch, self.ring_slots);
            let name = format!("serve-{worker}");
            let at = Place {
                worker,
                workers: self.workers,
            };
            let work = self.behaviours.served(job, at, self.unix_us);
            let thread = throng_engine::spawn(self.engine, name, work)
                .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))?;
            side.threads.push(thread);
        }
        Ok(side)
    }
}

fn finish(
    mut watch: Watch,
    side: Side,
    scenario: &ServeScenario,
    plan: &ServePlan,
    causes: Vec<Diagnosis>,
    machine: &Machine,
) -> Result<Summary, Failure> {
    let seconds = watch.clock.elapsed();
    let interrupted = watch.stopped();
    watch.meter.note_rss();
    // What happens from here on is our closing: the counts are those of now.
    let tally = side.tally();
    // Some may have come up since the last tick.
    watch.peak = watch.peak.max(tally.open());
    watch.samples.push(seconds, &tally);
    watch.closing();
    watch.control.give(Order::Close);
    let secured_at = side.last_secured();
    side.join()?;
    let (measured, unreported) = watch.finish(seconds, None, Some(tally));
    let speaks_websocket = scenario.mode.protocol().websocket().is_some();
    let speaks_tls = scenario.tls.is_some();
    watch.meter.wait_for_kernel();
    let asked = scenario.max_connections.map(u64::from);
    let mut connections = Connections::of(&tally, asked, watch.peak);
    connections.accepted = Some(tally.accepted);
    let mut findings = Vec::new();
    if let Some(left) = &watch.guard.stopped_at {
        findings.push(format!(
            "accepting stopped at {} connections because only {} MiB of memory were left",
            watch.peak,
            left.bytes >> 20
        ));
    }
    findings.extend(causes.iter().map(ToString::to_string));
    let reached = watch.guard.stopped_at.is_none() && unreported.is_none();
    findings.extend(unreported);
    Ok(Summary {
        version: VERSION,
        tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
        role: "serve".into(),
        // The caller knows.
        command: Vec::new(),
        reached,
        findings,
        causes,
        interrupted,
        started_unix_s: watch.meter.started_unix_s(),
        hold_s: None,
        seconds: seconds.as_secs_f64(),
        closing_s: (watch.clock.elapsed() - seconds).as_secs_f64(),
        kernel: machine.kernel.release.clone(),
        cores: machine.kernel.cores as u32,
        engine: plan.engine,
        why_epoll: plan.why_epoll.clone(),
        workers: plan.workers,
        connections,
        set_up: None,
        traffic: Traffic::of(&tally),
        server_traffic: None,
        message_rate: None,
        bandwidth: None,
        latency: Latency::default(),
        answers: None,
        stops_seen: None,
        search: None,
        websocket: speaks_websocket.then(|| WebSocketSummary::of(&tally)),
        tls: speaks_tls.then(|| TlsSummary::of(&tally, &measured, secured_at.as_secs_f64())),
        cost: watch.meter.cost(watch.peak),
        over_time: watch.samples.into_vec(),
        steady: None,
        latencies: Vec::new(),
    })
}
