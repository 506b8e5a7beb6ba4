//! A load: opens connections, holds them, sends traffic and measures.

mod evidence;
mod hold;
mod listening;
mod own_server;
mod phases;
mod searching;
mod server;
mod standing;
mod storming;
mod turning;

use crate::Failure;
use crate::admission::{Handshakes, LocalListeners};
use crate::attached::Attached;
use crate::behave::{LoadBehaviours, Place};
use crate::machine::Machine;
use crate::side::Side;
use crate::sockets;
use crate::stop::Stop;
use crate::watch::Watch;
use evidence::Before;
use listening::Listeners;
use own_server::OwnServer;
use phases::{Finds, Run, Sides};
use server::Server;
use std::sync::Arc;
use std::time::Instant;
use throng_core::behaviour::Traffic;
use throng_core::host::DEFAULT_SOMAXCONN;
use throng_core::observer::{Note, Planned};
use throng_core::pacing::{Backoff, ConnectPace};
use throng_core::plan::{self, LoadPlan, Routes};
use throng_core::record::Record;
use throng_core::scenario::{LoadScenario, Sending};
use throng_core::shard::share;
use throng_core::stats::AddressCounters;
use throng_core::time::Time;
use throng_engine::{Admission, ClientRole, Closing, Job, Role};
use turning::Turning;

/// Runs `scenario` on `machine` until it is over or `stop` is requested.
///
/// # Errors
/// The plan refuses the scenario, the scenario asks for something impossible, or the machine fails: see [`Failure`]. A run
/// that falls short of what was asked for is not an error.
pub fn load(
    scenario: &LoadScenario,
    machine: &Machine,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Record, Failure> {
    let finds = (scenario.connections.is_max()).then(|| Finds {
        asked: scenario.connections,
        most: plan::most(scenario, &machine.host),
    });
    let bounded = finds.as_ref().map(|finds| LoadScenario {
        connections: scenario.connections.up_to(finds.most.connections),
        ..scenario.clone()
    });
    let scenario = bounded.as_ref().unwrap_or(scenario);
    let plan = plan::load(scenario, &machine.host).map_err(Failure::Impossible)?;
    let listen = scenario.listen.iter().flat_map(|l| &l.on).map(|at| at.0);
    let addresses: Vec<_> = plan.routes.targets().chain(listen).collect();
    sockets::try_out(&scenario.sockets, scenario.connect.fastopen, &addresses)?;
    // Before the clock starts: it may take a while.
    let server = Server::find(scenario, &machine.host);
    let watching = attached.watched.take();
    let mut barrier = attached.barrier.take();
    let mut watch = Watch::new(
        &mut attached.observers,
        stop,
        machine,
        plan.memory_reserve,
        (scenario.connections.number()).map(|_| scenario.own_connections().into()),
    );
    if let Some(barrier) = &barrier {
        watch.count_from(barrier.opens());
    }
    if let Some(most) = attached.most_intervals {
        watch.record_at_most(most);
    }
    watch.watching = watching.map(|watching| watching.since(watch.clock));
    watch.warn(&plan.warnings);
    if let Some(ports) = &plan.ports {
        watch.note(&Note::PortsRest(*ports));
    }
    watch.note_files();
    sockets::warn_of_buffers(&scenario.sockets, &mut watch);
    watch.note(&Note::Planned(planned(&plan)));
    if let Some(why) = plan.why_epoll.clone() {
        watch.note(&Note::Fallback { why });
    }
    let behaviours = LoadBehaviours::new(
        scenario,
        plan.workers,
        watch.started_unix_us(),
        attached.taps.clone(),
    )?;
    let backlog = machine.host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN);
    let own_server = match scenario.own_server {
        Some(mode) => Some(OwnServer::open(mode, scenario, &plan, backlog)?),
        None => None,
    };
    let mut listeners = Listeners::open(scenario, &plan, backlog)?;
    watch.meter.note_sockets_before();
    let elsewhere = std::mem::take(&mut attached.elsewhere);
    let before = Before::read(&machine.host, scenario, &plan, elsewhere);
    // A rate over all connections together begins when all are established.
    let together = matches!(
        scenario.pace.sending,
        Sending::WholeRun { .. } | Sending::Search(_)
    );
    let traffic = match scenario.pace.after_ramp || together {
        true => Traffic::Waiting,
        false => Traffic::On,
    };
    if let Some(listeners) = &mut listeners {
        for at in listeners.places() {
            watch.note(&Note::Listening(at));
        }
    }
    if finds.is_some() {
        // Until the search says how many.
        watch.control.hold_at_most(0);
    }
    let clients = watch.start_workers(|watch| {
        match &mut listeners {
            Some(listeners) if scenario.connections.most() == 0 => {
                listeners.start(&behaviours, &plan, watch, traffic)?;
            }
            _ => {}
        }
        let clients = start_clients(
            scenario,
            &plan,
            own_server.as_ref(),
            listeners.as_ref(),
            &behaviours,
            traffic,
            watch,
        )?;
        // All is ready: what workers do first is to open connections.
        if let Some(barrier) = &mut barrier {
            stop.sleep_until(barrier.opens());
            barrier.opening(Instant::now());
        }
        Ok(clients)
    })?;
    let ports = match &own_server {
        Some(own) => (0..plan.workers)
            .map(|worker| own.port(worker))
            .collect::<Result<_, _>>()?,
        None => plan.routes.targets().map(|at| at.port()).collect(),
    };
    let sides = Sides {
        ports,
        clients,
        server: own_server.map(|own| own.side),
        accepted: listeners.map(|l| l.side),
    };
    let server = server.map(|server| server.watch(watch.clock)).transpose();
    let server = server.map_err(|e| Failure::fault(format!("can't start a thread: {e}")))?;
    let profile = attached.profile.take();
    let dial = attached.dial.clone();
    let turning = dial
        .clone()
        .and_then(|dial| Turning::of(dial, scenario, &behaviours));
    let latencies = &attached.latencies;
    let run = Run::new(
        watch,
        scenario,
        &plan,
        before,
        &behaviours,
        sides,
        latencies,
    );
    run.watching(server)
        .following(profile)
        .finding(finds)
        .turned_by(turning)
        .paused_by(dial)
        .in_step_with(barrier)
        .conduct()
}

fn planned(plan: &LoadPlan) -> Planned {
    let limits = plan.limits.iter();
    Planned {
        engine: plan.engine,
        workers: plan.workers,
        window: plan.window,
        targets: plan.routes.targets().collect(),
        unix: plan.routes.unix().to_vec(),
        sources: plan.routes.sources(),
        limits: limits.filter_map(|l| Some((l.kind, l.allows?))).collect(),
    }
}

fn start_clients(
    scenario: &LoadScenario,
    plan: &LoadPlan,
    server: Option<&OwnServer>,
    listeners: Option<&Listeners>,
    behaviours: &LoadBehaviours,
    traffic: Traffic,
    watch: &Watch,
) -> Result<Side, Failure> {
    let fastopen = scenario.connect.fastopen;
    let options = sockets::to_connect(&scenario.sockets, fastopen, behaviours.sends());
    let mut clients = Side::new(plan.workers);
    if scenario.connections.most() == 0 {
        return Ok(clients);
    }
    // With Fast Open, connect() does not choose the port yet, and older kernels don't take the option for MPTCP.
    let parted = plan.crowded && fastopen.is_none() && !scenario.sockets.mptcp;
    let ports = parted
        .then(throng_host::ports::that_can_be_parted)
        .flatten();
    // The addresses of a server in this process are of no interest.
    let several = match plan.routes.targets().count() {
        n @ 2.. if server.is_none() => n,
        _ => 0,
    };
    for worker in 0..plan.workers {
        let counters = &clients.counters[worker as usize];
        let (routes, admission): (Routes, Option<Box<dyn Admission>>) = match server {
            Some(own) => (
                plan.routes.clone().with_port(own.port(worker)?),
                Some(Box::new(own.admission(worker, counters))),
            ),
            // With --force the queue may overflow.
            None if scenario.force => (plan.routes.clone(), None),
            None => (
                plan.routes.clone(),
                LocalListeners::find(plan.routes.targets(), plan.workers).map(|l| Box::new(l) as _),
            ),
        };
        let admission = match scenario.tls {
            Some(_) => Some(Box::new(Handshakes {
                counters: Arc::clone(counters),
                window: plan.window,
                queue: admission,
            }) as _),
            None => admission,
        };
        let routes = Arc::new(routes);
        let rate = scenario.connect.paced();
        let rate = rate.map(|all| scenario.shard.rate(all).share(plan.workers));
        let by_address: Arc<[AddressCounters]> =
            (0..several).map(|_| AddressCounters::default()).collect();
        clients.by_address.push(Arc::clone(&by_address));
        let role = Role::Client(ClientRole {
            routes: Arc::clone(&routes),
            by_address,
            headers: scenario.connect.proxy_headers(),
            shard: scenario.shard,
            first: worker,
            step: plan.workers,
            count: share(scenario.own_connections(), worker, plan.workers),
            ports,
            pace: ConnectPace::new(rate, plan.window, Time::START),
            timeout: scenario.connect.timeout,
            reconnect: (scenario.connect.reconnect).then(|| {
                let key = scenario.shard.of_worker(worker, plan.workers).key();
                Backoff::new(scenario.connect.reconnect_policy, scenario.seed(), key)
            }),
            returns_alone: scenario.connect.returns_alone(),
            admission,
        });
        let job = Job {
            traffic,
            closing: match server {
                Some(_) => Closing::ByPeer,
                None => sockets::closing(&scenario.sockets),
            },
            options: options.clone(),
            core: server.map(|_| worker),
            ..clients.job(worker, role, watch, plan.ring_slots)
        };
        let at = Place {
            worker,
            workers: plan.workers,
        };
        let work = behaviours.opened(job, at, &routes);
        match (server, listeners) {
            (Some(own), _) => {
                let pair = own.start(worker, work, behaviours, plan, watch)?;
                clients.threads.extend(pair);
            }
            (None, Some(l)) => {
                let pair = l.start_beside(worker, work, behaviours, plan, watch, traffic)?;
                clients.threads.extend(pair);
            }
            (None, None) => {
                let thread = throng_engine::spawn(plan.engine, format!("load-{worker}"), work)
                    .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))?;
                clients.threads.push(thread);
            }
        }
    }
    Ok(clients)
}
