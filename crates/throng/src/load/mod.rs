//! `throng load`: opens connections, keeps them open, sends, measures.

mod course;
mod evidence;
mod face;
mod listening;
mod measuring;
mod own;
mod searching;
mod summing_up;
mod verdict;
mod watch;

use crate::Failure;
use crate::admission::{Handshakes, LocalListeners};
use crate::ask;
use crate::behave::{LoadBehaviours, Place, socket_options};
use crate::cli::LoadArgs;
use crate::facts::Machine;
use crate::output;
use crate::run::{Side, Watch};
use evidence::Before;
use listening::Listeners;
use own::OwnServer;
use std::io::IsTerminal;
use std::sync::Arc;
use throng_core::behaviour::Traffic;
use throng_core::host::DEFAULT_SOMAXCONN;
use throng_core::pacing::ConnectPace;
use throng_core::plan::{self, LoadPlan, Routes};
use throng_core::scenario::LoadScenario;
use throng_core::time::Time;
use throng_engine::{Admission, ClientRole, Closing, Job, Role};
use throng_host::limits::raise_soft_to_hard;
use throng_host::survey::{Processes, Wanted};
use throng_report::tcpkali;
use watch::Sides;

/// Runs it to its end. Returns the exit code.
pub(crate) fn run(args: &LoadArgs) -> Result<u8, Failure> {
    let scenario = ask::load::scenario(args)?;
    output::check(&args.common)?;
    let machine = Machine::read(&Wanted {
        targets: scenario.targets.clone(),
        processes: Processes::OfTargets,
        skip_self: true,
        tracking: true,
    })?;
    let plan = plan::load(&scenario, &machine.host).map_err(Failure::impossible)?;
    raise_soft_to_hard().map_err(|e| Failure::fault(format!("can't raise the file limit: {e}")))?;
    let like_tcpkali = scenario.options.like_tcpkali;
    if like_tcpkali {
        face::start(&scenario);
    }
    let mut watch = Watch::new(
        // tcpkali shows no progress but on a terminal.
        args.common.quiet
            || scenario.options.verbosity == 0
            || (like_tcpkali && !std::io::stderr().is_terminal()),
        machine.memory.clone(),
        plan.memory_reserve,
    )?;
    watch.warn(&plan.warnings);
    face::warn_of_buffers(&scenario, &mut watch);
    if scenario.options.verbosity >= 2 {
        face::details(&scenario, &plan, &mut watch);
    }
    if let Some(why) = &plan.why_epoll {
        watch.live.note(&format!(
            "throng: engine epoll, because io_uring can't be used: {why}"
        ));
    }
    let behaviours = LoadBehaviours::new(&scenario, plan.workers, watch.started_unix_us())?;
    let backlog = machine.host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN);
    let own_server = match scenario.own_server {
        Some(mode) => Some(OwnServer::open(mode, &scenario, &plan, backlog)?),
        None => None,
    };
    let mut listeners = Listeners::open(&scenario, &plan, backlog)?;
    watch.meter.note_sockets_before();
    let before = Before::read(&machine.host);
    // What goes over all connections together begins when all are up.
    let options = &scenario.options;
    let together = options.whole_run.is_some() || options.search.is_some();
    let traffic = match scenario.traffic_after_ramp || together {
        true => Traffic::Waiting,
        false => Traffic::On,
    };
    if let Some(listeners) = &mut listeners {
        // tcpkali's line has told it.
        let told = if like_tcpkali {
            Vec::new()
        } else {
            listeners.addresses()
        };
        for at in told {
            watch.live.note(&format!("throng: listening on {at}"));
        }
        if scenario.connections == 0 {
            listeners.start(&behaviours, &plan, &watch, traffic)?;
        }
    }
    let clients = start_clients(
        &scenario,
        &plan,
        own_server.as_ref(),
        listeners.as_ref(),
        &behaviours,
        traffic,
        &watch,
    )?;
    let sides = Sides {
        clients,
        server: own_server.map(|own| own.side),
        accepted: listeners.map(|l| l.side),
    };
    let summary = watch::to_the_end(
        watch,
        &scenario,
        &plan,
        &machine,
        before,
        sides,
        &behaviours,
    )?;
    if like_tcpkali {
        face::stopped(&summary, &scenario);
    }
    if !like_tcpkali || face::has_result(&summary) {
        output::summary(&summary, &args.common)?;
    }
    if like_tcpkali && let Some(line) = face::no_best_rate(&summary, &scenario) {
        eprintln!("{line}");
    }
    Ok(match like_tcpkali {
        true => tcpkali::exit_code(&summary),
        false => summary.exit_code(),
    })
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
    let options = socket_options(&scenario.options);
    let mut clients = Side::new(plan.workers);
    if scenario.connections == 0 {
        return Ok(clients);
    }
    for worker in 0..plan.workers {
        let counters = &clients.counters[worker as usize];
        let (routes, admission): (Routes, Option<Box<dyn Admission>>) = match server {
            Some(own) => (
                plan.routes.clone().with_port(own.port(worker)?),
                Some(Box::new(own.admission(worker, counters))),
            ),
            // Who uses force wants to see the queue overflow.
            None if scenario.force => (plan.routes.clone(), None),
            None => (
                plan.routes.clone(),
                LocalListeners::find(plan.routes.targets(), plan.workers).map(|l| Box::new(l) as _),
            ),
        };
        let admission = match scenario.options.tls_client {
            Some(_) => Some(Box::new(Handshakes {
                counters: Arc::clone(counters),
                window: plan.window,
                queue: admission,
            }) as _),
            None => admission,
        };
        let routes = Arc::new(routes);
        let rate = scenario.connect_rate.map(|r| r.share(plan.workers));
        let role = Role::Client(ClientRole {
            routes: Arc::clone(&routes),
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
            traffic,
            closing: match server {
                Some(_) => Closing::ByPeer,
                None => Closing::ShutDown,
            },
            options,
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
