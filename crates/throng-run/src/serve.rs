//! A server: accepts connections and holds them.

use crate::attached::Attached;
use crate::behave::{Place, ServeBehaviours};
use crate::kernel_counts::KernelCounter;
use crate::listener::Listeners;
use crate::machine::Machine;
use crate::recording::{self, Carried};
use crate::side::Side;
use crate::sockets;
use crate::stop::Stop;
use crate::watch::{TICK, Watch};
use crate::{Failure, asked};
use std::sync::Arc;
use throng_core::diagnosis::{self, Diagnosis, Evidence, Target};
use throng_core::engine::Engine;
use throng_core::host::Host;
use throng_core::observer::{Note, Serving};
use throng_core::plan::{self, ServePlan};
use throng_core::record::{Ending, Mark, Phase, Record};
use throng_core::scenario::ServeScenario;
use throng_core::unix_socket::Endpoint;
use throng_engine::{Closing, Job, Listener, Order, SocketOptions};
use throng_host::serving;
use throng_host::survey::{Wanted, survey};

/// Runs `scenario` on `machine` until its time is over or `stop` is requested.
///
/// # Errors
/// The plan refuses the scenario, the scenario asks for something impossible, or the machine fails: see [`Failure`].
pub fn serve(
    scenario: &ServeScenario,
    machine: &Machine,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Record, Failure> {
    let behaviours = ServeBehaviours::new(scenario)?;
    let plan = plan::serve(scenario, &machine.host).map_err(Failure::Impossible)?;
    let behaviours = behaviours.on(plan.workers);
    let addresses: Vec<_> = scenario.addresses().collect();
    sockets::try_out(&scenario.sockets, None, &addresses)?;
    if scenario.fastopen {
        sockets::check_fastopen()?;
    }
    let mut watch = Watch::new(
        &mut attached.observers,
        stop,
        machine,
        plan.memory_reserve,
        scenario.max_connections.map(u64::from),
    );
    watch.warn(&plan.warnings);
    watch.note_files();
    sockets::warn_of_buffers(&scenario.sockets, &mut watch);
    let options = SocketOptions {
        fastopen: scenario.fastopen.then_some(plan.backlog),
        ..sockets::to_listen(&scenario.sockets)
    };
    let places = scenario.listen.iter().map(|at| at.0.clone());
    let listeners = Listeners::open(places, plan.backlog, &options)?;
    announce(
        &mut watch,
        &listeners.all,
        &plan,
        scenario.mode.name().to_owned(),
    );
    watch.meter.note_sockets_before();
    let counted = KernelCounter::begin();
    let server = Server {
        engine: plan.engine,
        behaviours: &behaviours,
        unix_us: watch.started_unix_us(),
        workers: plan.workers,
        max_connections: plan.max_connections,
        closing: sockets::closing(&scenario.sockets),
        ring_slots: plan.ring_slots,
        listeners: &listeners.all,
    };
    let side = watch.start_workers(|watch| server.start(watch))?;
    watch.follow(&side.outlets);
    loop {
        let at = watch.tick(TICK, scenario.duration);
        let left = scenario.duration.map(|d| d.saturating_sub(at));
        watch.look(at, Phase::Serving, left, None, Some(side.tally()));
        if watch.wants_record() {
            let ending = Ending {
                named: behaviours.named(),
                ..Ending::default()
            };
            let record = so_far(&watch, &side, scenario, &plan, ending);
            watch.tell_record(&record);
        }
        if watch.stopped()
            || scenario.duration.is_some_and(|d| at >= d)
            || side.threads.iter().any(|t| t.is_finished())
        {
            break;
        }
    }
    let ending = Ending {
        causes: diagnose(&counted, &machine.host, watch.peak, &listeners.all),
        kernel: counted.kernel(),
        named: behaviours.named(),
        ..Ending::default()
    };
    finish(watch, side, scenario, &plan, ending)
}

/// The limits that kept connections from being established, by the kernel's counters.
pub(crate) fn diagnose(
    counted: &KernelCounter,
    before: &Host,
    peak: u64,
    listeners: &[Arc<Listener>],
) -> Vec<Diagnosis> {
    let addresses = listeners.iter().filter_map(|l| match l.endpoint() {
        Ok(Endpoint::Address(at)) => Some(at),
        _ => None,
    });
    let addresses: Vec<_> = addresses.collect();
    if addresses.is_empty() {
        // The kernel counts nothing of Unix sockets.
        return Vec::new();
    }
    let now = survey(&Wanted::default());
    let own = |address| Target {
        listeners: serving::listening(address).unwrap_or_default(),
        ..Target::at(address)
    };
    diagnosis::diagnose(&Evidence {
        plateau: peak,
        targets: addresses.into_iter().map(own).collect(),
        conntrack: now
            .conntrack
            .and_then(|now| counted.tracked(before, &now, &[])),
        kernel: counted.kernel(),
        ..Evidence::default()
    })
}

/// Tells the observers where connections are accepted, and `what` is done with them.
pub(crate) fn announce(
    watch: &mut Watch,
    listeners: &[Arc<Listener>],
    plan: &ServePlan,
    what: String,
) {
    for listener in listeners {
        if let Ok(at) = listener.endpoint() {
            watch.note(&Note::Listening(at));
        }
    }
    watch.note(&Note::Serving(Serving {
        what,
        engine: plan.engine,
        why_epoll: plan.why_epoll.clone(),
        workers: plan.workers,
        bound: plan
            .bound_by
            .map(|by| (plan.max_connections.into(), by.words().to_owned())),
    }));
}

/// The places of `worker`: all workers together have exactly as many as there are to be.
pub(crate) fn share(places: u32, worker: u32, workers: u32) -> u32 {
    places / workers + u32::from(worker < places % workers)
}

/// The workers to start.
struct Server<'a> {
    engine: Engine,
    behaviours: &'a ServeBehaviours<'a>,
    unix_us: u64,
    workers: u32,
    max_connections: u32,
    closing: Closing,
    ring_slots: u32,
    /// Every worker accepts from all listeners, so that no connection waits for a worker that is full.
    listeners: &'a [Arc<Listener>],
}

impl Server<'_> {
    fn start(&self, watch: &Watch) -> Result<Side, Failure> {
        let mut side = Side::new(self.workers);
        for worker in 0..self.workers {
            let max = share(self.max_connections, worker, self.workers);
            let role = side.sharing(worker, self.listeners, max, None);
            let job = Job {
                closing: self.closing,
                ..side.job(worker, role, watch, self.ring_slots)
            };
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
    ending: Ending,
) -> Result<Record, Failure> {
    let interrupted = watch.stopped();
    watch.meter.note_own();
    // From here on this side closes connections, so the counts are those of now.
    let over = mark(&watch, &side);
    watch.closing();
    watch.control.give(Order::Close);
    let secured = side.last_secured();
    side.join()?;
    // Some may have been established since the last tick.
    let peak = peak(&watch, &over);
    let ending = Ending {
        over,
        secured,
        interrupted,
        peak,
        full: plan
            .bound_by
            .filter(|_| peak >= plan.max_connections.into()),
        ..ending
    };
    Ok(recording::record(watch, carried(scenario, plan), ending))
}

/// The record that the run would have if it was over now.
fn so_far(
    watch: &Watch,
    side: &Side,
    scenario: &ServeScenario,
    plan: &ServePlan,
    ending: Ending,
) -> Record {
    let over = mark(watch, side);
    let ending = Ending {
        over,
        secured: side.last_secured(),
        peak: peak(watch, &over),
        ..ending
    };
    recording::so_far(watch, carried(scenario, plan), ending)
}

/// The counts now.
fn mark(watch: &Watch, side: &Side) -> Mark {
    Mark {
        at: watch.clock.elapsed(),
        accepted: Some(side.tally()),
        cpu: watch.meter.cpu(),
        ..Mark::default()
    }
}

/// The most connections at once until `over`.
fn peak(watch: &Watch, over: &Mark) -> u64 {
    watch
        .peak
        .max(over.accepted.map_or(0, |tally| tally.open()))
}

fn carried<'p>(scenario: &ServeScenario, plan: &'p ServePlan) -> Carried<'p> {
    Carried {
        asked: asked::of_serve(scenario),
        engine: plan.engine,
        why_epoll: plan.why_epoll.as_deref(),
        workers: plan.workers,
    }
}
