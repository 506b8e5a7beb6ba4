//! `throng load`: opens connections, keeps them open, sends, measures.

mod evidence;
mod face;
mod own;
mod verdict;
mod watch;

use crate::Failure;
use crate::admission::LocalListeners;
use crate::ask;
use crate::cli::LoadArgs;
use crate::facts::Machine;
use crate::metrics::Metrics;
use crate::output;
use crate::run::{Side, Watch};
use evidence::Before;
use own::OwnServer;
use std::io::IsTerminal;
use std::sync::Arc;
use throng_core::behaviour::{Load, Nothing, Pacing, Raw, Task, Traffic};
use throng_core::host::DEFAULT_SOMAXCONN;
use throng_core::pacing::ConnectPace;
use throng_core::payload::{Framing, Script};
use throng_core::plan::{self, LoadPlan, Routes};
use throng_core::scenario::{LoadScenario, Repeat};
use throng_core::time::Time;
use throng_engine::{Admission, ClientRole, Closing, Control, Job, Role, SocketOptions};
use throng_host::limits::raise_soft_to_hard;
use throng_host::survey::{Processes, Wanted};
use throng_report::tcpkali;

/// From this rate on each connection several messages share a write. Below it each write is one.
const COMBINE_FROM: f64 = 2000.0;

/// Runs it to its end. Returns the exit code.
pub(crate) fn run(args: &LoadArgs) -> Result<u8, Failure> {
    let scenario = ask::load::scenario(args)?;
    ask::missing::refuse_load(&scenario)?;
    output::check(&args.common)?;
    let machine = Machine::read(&Wanted {
        targets: scenario.targets.clone(),
        processes: Processes::OfTargets,
        skip_self: true,
        tracking: true,
    })?;
    let plan = plan::load(&scenario, &machine.host).map_err(Failure::impossible)?;
    raise_soft_to_hard().map_err(|e| Failure::fault(format!("can't raise the file limit: {e}")))?;
    let metrics = scenario
        .options
        .statsd
        .as_ref()
        .map(Metrics::open)
        .transpose()?;
    let like_tcpkali = scenario.options.like_tcpkali;
    if like_tcpkali {
        face::start(&scenario);
    }
    let mut watch = Watch::new(
        // tcpkali shows no progress but on a terminal.
        args.common.quiet || (like_tcpkali && !std::io::stderr().is_terminal()),
        machine.memory.clone(),
        plan.memory_reserve,
    )?;
    watch.metrics = metrics;
    watch.warn(&plan.warnings);
    if let Some(why) = &plan.why_epoll {
        watch.live.note(&format!(
            "throng: engine epoll, because io_uring can't be used: {why}"
        ));
    }

    let own_server = match scenario.own_server {
        Some(mode) => {
            let backlog = machine.host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN);
            Some(OwnServer::open(mode, &scenario, &plan, backlog)?)
        }
        None => None,
    };
    watch.meter.note_sockets_before();
    let before = Before::read(&machine.host);
    let clients = start_clients(&scenario, &plan, own_server.as_ref(), &watch)?;
    let server = own_server.map(|own| own.side);
    let summary = watch::to_the_end(watch, &scenario, &plan, &machine, before, clients, server)?;
    output::summary(&summary, &args.common)?;
    Ok(match like_tcpkali {
        true => tcpkali::exit_code(&summary),
        false => summary.exit_code(),
    })
}

fn start_clients(
    scenario: &LoadScenario,
    plan: &LoadPlan,
    server: Option<&OwnServer>,
    watch: &Watch,
) -> Result<Side, Failure> {
    let copies = match scenario.repeat {
        Repeat::Flood => u32::MAX,
        Repeat::ClosedLoop => 1,
        Repeat::Paced(rate) if rate.get() < COMBINE_FROM => 1,
        Repeat::Paced(_) => u32::MAX,
    };
    // One on each worker at least, and no more than there are connections to take turns.
    let in_flight = scenario
        .in_flight
        .filter(|n| *n < scenario.connections)
        .map(|n| n.div_ceil(plan.workers));
    let script = Script::new(&scenario.messages, Framing::Raw, copies, 0)
        .map_err(|e| Failure::usage(e.to_string()))?;
    let pacing = match scenario.repeat {
        Repeat::Flood => Pacing::Flood,
        Repeat::Paced(rate) => Pacing::Rate(rate),
        Repeat::ClosedLoop => Pacing::ClosedLoop { in_flight },
    };
    let traffic = if scenario.traffic_after_ramp {
        Traffic::Waiting
    } else {
        Traffic::On
    };
    let mut clients = Side::new(plan.workers);
    for worker in 0..plan.workers {
        let at = worker as usize;
        let (routes, admission): (Routes, Option<Box<dyn Admission>>) = match server {
            Some(own) => (
                plan.routes.clone().with_port(own.port(worker)?),
                Some(Box::new(own.admission(worker, &clients.counters[at]))),
            ),
            // Who uses force wants to see the queue overflow.
            None if scenario.force => (plan.routes.clone(), None),
            None => (
                plan.routes.clone(),
                LocalListeners::find(plan.routes.targets(), plan.workers).map(|l| Box::new(l) as _),
            ),
        };
        let rate = scenario.connect_rate.map(|r| r.share(plan.workers));
        let role = Role::Client(ClientRole {
            routes: Arc::new(routes),
            first: worker,
            step: plan.workers,
            count: scenario.connections / plan.workers
                + u32::from(worker < scenario.connections % plan.workers),
            pace: ConnectPace::new(rate, plan.window, Time::START),
            timeout: scenario.connect_timeout,
            reconnect: scenario.reconnect,
            admission,
        });
        let job = Job {
            role,
            traffic,
            closing: if server.is_some() {
                Closing::ByPeer
            } else {
                Closing::ShutDown
            },
            options: SocketOptions::default(),
            counters: Arc::clone(&clients.counters[worker as usize]),
            outlet: Arc::clone(&clients.outlets[worker as usize]),
            control: Arc::<Control>::clone(&watch.control),
            clock: watch.clock,
            ring_slots: plan.ring_slots,
            core: server.map(|_| worker),
        };
        let task = Task {
            connections: scenario.connections,
            worker,
            workers: plan.workers,
            ..Task::new(script.clone(), pacing.clone())
        };
        let work = job.with(Load::new(task, traffic, Raw, Nothing));
        match server {
            Some(own) => clients
                .threads
                .extend(own.start(worker, work, plan, watch)?),
            None => {
                let thread = throng_engine::spawn(plan.engine, format!("load-{worker}"), work)
                    .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))?;
                clients.threads.push(thread);
            }
        }
    }
    Ok(clients)
}
