//! `throng serve`: accepts connections and holds them.

use crate::Failure;
use crate::ask;
use crate::behave::{Place, ServeBehaviours, socket_options};
use crate::cli::ServeArgs;
use crate::evidence::Counted;
use crate::facts::Machine;
use crate::output;
use crate::run::{Side, TICK, Watch, take_measured};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use throng_core::diagnosis::{self, Diagnosis, Evidence};
use throng_core::engine::Engine;
use throng_core::host::Host;
use throng_core::plan::{self, ServePlan};
use throng_core::scenario::{ServeMode, ServeScenario};
use throng_core::summary::{
    Connections, Latency, Phase, Summary, TlsSummary, VERSION, WebSocketSummary,
};
use throng_engine::{Order, Reach, SocketOptions};
use throng_host::limits::raise_soft_to_hard;
use throng_host::survey::{Wanted, survey};
use throng_report::human;

/// Runs it to its end. Returns the exit code.
pub(crate) fn run(args: &ServeArgs) -> Result<u8, Failure> {
    let scenario = ask::serve::scenario(args)?;
    let behaviours = ServeBehaviours::new(&scenario)?;
    output::check(&args.common)?;
    let machine = Machine::read(&Wanted {
        tracking: true,
        ..Wanted::default()
    })?;
    let plan = plan::serve(&scenario, &machine.host).map_err(Failure::impossible)?;
    raise_soft_to_hard().map_err(|e| Failure::fault(format!("can't raise the file limit: {e}")))?;
    let mut watch = Watch::new(args.common.quiet, machine.memory, plan.memory_reserve)?;
    watch.warn(&plan.warnings);
    let options = socket_options(&scenario.options);
    let listeners = scenario
        .listen
        .iter()
        .map(|at| open_listener(*at, plan.backlog, Reach::Address, &options))
        .collect::<Result<Vec<_>, _>>()?;
    if !args.common.quiet {
        announce(&mut watch, &listeners, &plan, &scenario);
    }
    watch.meter.note_sockets_before();
    let counted = Counted::begin();
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

    let asked = scenario.max_connections.map(u64::from);
    loop {
        let at = watch.tick(TICK, scenario.duration);
        let tally = side.tally();
        watch.note(at, &tally);
        let left = scenario.duration.map(|d| d.saturating_sub(at));
        watch.show(at, Phase::Serving, asked, &tally, None, left);
        if watch.interrupted()
            || scenario.duration.is_some_and(|d| at >= d)
            || side.threads.iter().any(|t| t.is_finished())
        {
            break;
        }
    }
    let causes = diagnose(&counted, &machine.host, watch.peak);
    finish(watch, side, &scenario, &plan, causes, machine.kernel, args)
}

/// What kept connections from coming up meanwhile, as the kernel counted it.
fn diagnose(counted: &Counted, before: &Host, peak: u64) -> Vec<Diagnosis> {
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
            watch.live.note(&format!("throng: listening on {at}"));
        }
    }
    let why = plan
        .why_epoll
        .as_ref()
        .map(|why| format!(", because io_uring can't be used: {why}"));
    let bound = plan.bound_by.as_ref().map(|by| {
        format!(
            ", at most {} connections ({by})",
            human::count(plan.max_connections.into())
        )
    });
    watch.live.note(&format!(
        "throng: {} on engine {}{}, {}{}",
        scenario.mode.name(),
        plan.engine.name(),
        why.unwrap_or_default(),
        human::things(plan.workers.into(), "worker"),
        bound.unwrap_or_default(),
    ));
}

/// Listens, or says why not and what to do.
pub(crate) fn open_listener(
    at: SocketAddr,
    backlog: u32,
    reach: Reach,
    options: &SocketOptions,
) -> Result<TcpListener, Failure> {
    throng_engine::listen(at, backlog, reach, options).map_err(|e| {
        let remedy = match e.kind() {
            std::io::ErrorKind::AddrInUse => in_use(at),
            std::io::ErrorKind::PermissionDenied => {
                "; ports below net.ipv4.ip_unprivileged_port_start need root"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "; this machine has no such address (ip address)"
            }
            _ => "",
        };
        Failure::usage(format!("can't listen on {at}: {e}{remedy}"))
    })
}

/// Why `at` is in use, as far as can be told. Connections keep a port, too: those of a listener that had no
/// SO_REUSEADDR, for the minute of their TIME_WAIT.
fn in_use(at: SocketAddr) -> &'static str {
    match throng_host::listen::accept_queue(at) {
        Ok(Some(_)) => "; another socket listens there: choose another port, or 0 for any",
        Ok(None) | Err(_) => {
            "; nobody is seen to listen there: the port is bound on another address, or has connections left of \
             a process that ended (TIME_WAIT, a minute): wait, or choose another port, or 0 for any"
        }
    }
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
    kernel: throng_host::kernel::Kernel,
    args: &ServeArgs,
) -> Result<u8, Failure> {
    let seconds = watch.clock.elapsed();
    let interrupted = watch.interrupted();
    watch.meter.note_rss();
    // What happens from here on is our closing: the counts are those of now.
    let tally = side.tally();
    // Some may have come up since the last tick.
    watch.peak = watch.peak.max(tally.open());
    watch.samples.push(seconds, &tally);
    watch.live.clear();
    watch.control.give(Order::Close);
    let outlets = side.outlets.clone();
    let secured_at = side.last_secured();
    side.join()?;
    let measured = take_measured(&outlets);
    let speaks_websocket = matches!(scenario.mode, ServeMode::Ws | ServeMode::WsSink);
    let speaks_tls = scenario.options.tls_server.is_some();
    watch.meter.wait_for_kernel();
    let asked = scenario.max_connections.map(u64::from);
    let mut connections = Connections::of(&tally, asked, watch.peak);
    connections.accepted = Some(tally.accepted);
    let mut findings = Vec::new();
    if let Some(left) = &watch.stopped_at {
        findings.push(format!(
            "accepting stopped at {} connections because only {} MiB of memory were left",
            watch.peak,
            left.bytes >> 20
        ));
    }
    findings.extend(causes.iter().map(ToString::to_string));
    let summary = Summary {
        version: VERSION,
        tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
        role: "serve".into(),
        command: std::env::args().collect(),
        reached: watch.stopped_at.is_none(),
        findings,
        causes,
        interrupted,
        started_unix_s: watch.meter.started_unix_s(),
        hold_s: None,
        seconds: seconds.as_secs_f64(),
        closing_s: (watch.clock.elapsed() - seconds).as_secs_f64(),
        kernel: kernel.release,
        cores: kernel.cores as u32,
        engine: plan.engine,
        why_epoll: plan.why_epoll.clone(),
        workers: plan.workers,
        connections,
        set_up: None,
        traffic: throng_core::summary::Traffic::of(&tally),
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
    };
    output::summary(&summary, &args.common)?;
    Ok(summary.exit_code())
}
