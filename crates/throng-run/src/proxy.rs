//! A proxy: accepts connections, and opens one to a backend for each.

use crate::attached::Attached;
use crate::kernel_counts::KernelCounter;
use crate::listener::Listeners;
use crate::machine::Machine;
use crate::recording::{self, Carried};
use crate::serve::{announce, diagnose, share};
use crate::side::Side;
use crate::sockets;
use crate::stop::Stop;
use crate::watch::{TICK, Watch};
use crate::{Failure, asked, behave};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use throng_core::human;
use throng_core::observer::Note;
use throng_core::plan::{self, ProxyPlan};
use throng_core::protocol::proxy::{Asked, Backends, Fault, Identity, OfBackend, Proxy, Standing};
use throng_core::protocol::tls::TlsFailure;
use throng_core::record::{Ending, Mark, Phase, Record};
use throng_core::scenario::ProxyScenario;
use throng_engine::{Job, Listener, Order, Partners, SocketOptions};
use throng_tls::{ClientOptions, ClientTls, PairTls, ServerTls};

/// How long a proxy that is to end goes on accepting, so that those that wait in the accept queue are not reset.
const LAST_ONES: Duration = Duration::from_millis(200);
/// How often it is told at most that a backend does or does not answer.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Runs `scenario` on `machine` until its time is over or `stop` is requested, and then until its connections have ended, or the
/// time for that is over.
///
/// # Errors
/// The plan refuses the scenario, the scenario asks for something impossible, or the machine fails: see [`Failure`].
pub fn proxy(
    scenario: &ProxyScenario,
    machine: &Machine,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Record, Failure> {
    let tls = ProxyTls::new(scenario)?;
    let plan = plan::proxy(scenario, &machine.host).map_err(Failure::Impossible)?;
    let backends = scenario.backends();
    let listening = scenario.listening();
    let addresses = [&listening[..], &backends].concat();
    sockets::try_out(&scenario.sockets, None, &addresses)?;
    if scenario.transparent {
        sockets::check_transparent("--transparent", &addresses)?;
    }
    if scenario.to_original {
        sockets::check_transparent("--to original", &listening)?;
    }
    // Both ends of a pair are counted among the connections of the run.
    let ends = scenario.max_connections.map(|pairs| 2 * u64::from(pairs));
    let accepts = &plan.accepts;
    let mut watch = Watch::new(
        &mut attached.observers,
        stop,
        machine,
        accepts.memory_reserve,
        ends,
    );
    watch.warn(&accepts.warnings);
    watch.note_files();
    sockets::warn_of_buffers(&scenario.sockets, &mut watch);
    let listeners = Listeners::open(
        scenario.listen.iter().map(|at| at.0.into()),
        accepts.backlog,
        &SocketOptions {
            // Clients of backends are led to it.
            transparent: scenario.to_original,
            ..sockets::to_listen(&scenario.sockets)
        },
    )?;
    let listeners = &listeners.all;
    announce(&mut watch, listeners, accepts, what(scenario));
    watch.meter.note_sockets_before();
    let counted = KernelCounter::begin();
    let mut running = Running::start(scenario, &plan, &tls, listeners, &mut watch)?;
    let over = |at: Duration| scenario.duration.is_some_and(|d| at >= d);
    loop {
        let at = watch.tick(TICK, scenario.duration);
        let left = scenario.duration.map(|d| d.saturating_sub(at));
        running.look(&mut watch, at, Phase::Serving, left);
        if watch.wants_record() {
            let ending = running.ending(&watch, &plan, Ending::default());
            let record = recording::so_far(&watch, carried(scenario, &plan), ending);
            watch.tell_record(&record);
        }
        if watch.stopped() || over(at) || running.has_died() {
            break;
        }
    }
    let interrupted = watch.stopped();
    running.drain(&mut watch, scenario.drain_timeout, listeners);
    let ending = Ending {
        causes: diagnose(&counted, &machine.host, watch.peak, listeners),
        kernel: counted.kernel(),
        interrupted,
        ..Ending::default()
    };
    running.finish(watch, scenario, &plan, ending)
}

/// What the proxy does, for the line that says so.
fn what(scenario: &ProxyScenario) -> String {
    let backends: Vec<String> = match scenario.to_original {
        true => vec!["where clients want to go".to_owned()],
        false => scenario.to.iter().map(|to| to.spec.to_string()).collect(),
    };
    let how = match scenario.backends().len() {
        0 | 1 => String::new(),
        _ => format!(" ({})", scenario.balance),
    };
    let tls = match (scenario.tls.is_some(), scenario.backend_tls.is_some()) {
        (false, false) => "",
        (true, false) => ", TLS with clients",
        (false, true) => ", TLS with backends",
        (true, true) => ", TLS with clients and backends",
    };
    format!("proxy to {}{how}{tls}", backends.join(", "))
}

/// TLS of a proxy.
struct ProxyTls {
    clients: Option<ServerTls>,
    backends: Option<ClientTls>,
}

impl ProxyTls {
    fn new(scenario: &ProxyScenario) -> Result<ProxyTls, Failure> {
        let clients = scenario.tls.as_ref().map(behave::server_tls).transpose()?;
        let backends = scenario.backend_tls.as_ref().map(|asked| {
            // A name for each backend: those of a target are its addresses.
            let targets = scenario.to.iter();
            let names = targets.flat_map(|to| {
                let name = match &asked.sni {
                    Some(name) => name.clone(),
                    None => to.spec.host_sent().to_owned(),
                };
                std::iter::repeat_n(name, to.addresses.len().max(1))
            });
            let original = scenario.to_original.then(|| asked.sni.clone()).flatten();
            ClientTls::new(&ClientOptions {
                names: names.chain(original).collect(),
                timeout: scenario.connect_timeout,
                ..ClientOptions::of(asked, [])
            })
            .map_err(|e| Failure::refused(TlsFailure::for_backends(&e.to_string())))
        });
        Ok(ProxyTls {
            clients,
            backends: backends.transpose()?,
        })
    }

    /// What a worker has of it, if any connection speaks TLS.
    fn for_worker(&self) -> Option<PairTls> {
        let speaks = self.clients.is_some() || self.backends.is_some();
        speaks.then(|| PairTls::new(self.clients.as_ref(), self.backends.as_ref()))
    }
}

/// The workers of a proxy, and what is known of its backends.
struct Running {
    side: Side,
    /// What each worker counts of each backend.
    standing: Vec<Arc<[Standing]>>,
    backends: Vec<Told>,
    pairs_peak: u64,
    left_out: Duration,
}

/// A backend, and what was told of it.
struct Told {
    address: SocketAddr,
    target: String,
    /// Why it is left out, as was told last.
    out: Option<Fault>,
    next: Duration,
}

impl Told {
    /// What there is to tell once it is left out for `out`, `left_out` at a time; with `None`, once it is no longer left out.
    fn news(&self, out: Option<Fault>, left_out: Duration) -> String {
        let target = &self.target;
        let rest = format!("left out for {} at a time", human::duration(left_out));
        match (out, self.out) {
            (Some(Fault::Unreached(why)), _) => {
                format!(
                    "backend {target} can't be reached ({}): {rest}",
                    why.words()
                )
            }
            (Some(Fault::Unsecured(why)), _) => format!(
                "TLS with backend {target} fails ({}){}: {rest}",
                why.words(),
                TlsFailure::for_backends(why.remedy())
            ),
            (None, Some(Fault::Unsecured(_))) => format!("TLS with backend {target} works again"),
            (None, _) => format!("backend {target} can be reached again"),
        }
    }
}

impl Running {
    fn start(
        scenario: &ProxyScenario,
        plan: &ProxyPlan,
        tls: &ProxyTls,
        listeners: &[Arc<Listener>],
        watch: &mut Watch,
    ) -> Result<Running, Failure> {
        let targets = scenario.to.iter();
        let addresses = targets.flat_map(|to| to.addresses.iter().map(move |at| (at, to)));
        let addresses = addresses.map(|(address, to)| (*address, to.spec.to_string()));
        // The addresses that clients connect to are told as one.
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let original = (nowhere, "original".to_owned());
        let backends: Vec<Told> = addresses
            .chain(scenario.to_original.then_some(original))
            .map(|(address, target)| Told {
                address,
                target,
                out: None,
                next: Duration::ZERO,
            })
            .collect();
        let listening: Arc<[SocketAddr]> = scenario.listening().into();
        let workers = plan.accepts.workers;
        let standing: Vec<Arc<[Standing]>> = (0..workers)
            .map(|_| backends.iter().map(|_| Standing::default()).collect())
            .collect();
        let routes = Arc::new(plan.routes.clone());
        let identity = Identity {
            send: scenario.send_proxy,
            accept: scenario.accept_proxy,
            transparent: scenario.transparent,
        };
        let ports = throng_host::ports::that_can_be_parted();
        let side = watch.start_workers(|watch| {
            let mut side = Side::new(workers);
            for worker in 0..workers {
                let partners = Partners {
                    routes: Arc::clone(&routes),
                    timeout: scenario.connect_timeout,
                    ports,
                };
                let pairs = share(plan.accepts.max_connections, worker, workers);
                let role = side.sharing(worker, listeners, pairs, Some(partners));
                let job = Job {
                    closing: sockets::closing(&scenario.sockets),
                    options: SocketOptions {
                        transparent: scenario.transparent,
                        ..sockets::to_connect(&scenario.sockets, None, true)
                    },
                    ..side.job(worker, role, watch, plan.accepts.ring_slots)
                };
                let asked = Asked {
                    original: scenario.to_original.then(|| Arc::clone(&listening)),
                    balance: scenario.balance,
                    targets: scenario.backends(),
                    transparent: scenario.transparent,
                    sources: plan.sources.clone(),
                    ports: plan.ports,
                    left_out: scenario.left_out,
                    worker,
                };
                let backends = Backends::new(asked, Arc::clone(&standing[worker as usize]));
                let work = match tls.for_worker() {
                    None => job.with(Proxy::new(backends, identity)),
                    Some(legs) => job.with(Proxy::speaking(backends, identity, legs)),
                };
                let name = format!("proxy-{worker}");
                let thread = throng_engine::spawn(plan.accepts.engine, name, work)
                    .map_err(|e| Failure::fault(format!("can't start a worker: {e}")))?;
                side.threads.push(thread);
            }
            Ok(side)
        })?;
        watch.follow(&side.outlets);
        Ok(Running {
            side,
            standing,
            backends,
            pairs_peak: 0,
            left_out: scenario.left_out,
        })
    }

    fn has_died(&self) -> bool {
        self.side.threads.iter().any(|thread| thread.is_finished())
    }

    fn look(&mut self, watch: &mut Watch, at: Duration, phase: Phase, left: Option<Duration>) {
        let tally = self.side.tally();
        self.pairs_peak = self.pairs_peak.max(tally.proxy.pairs());
        watch.look(at, phase, left, None, Some(tally));
        for (place, backend) in self.backends.iter_mut().enumerate() {
            let mut all = self.standing.iter();
            let out = all.find_map(|standing| standing[place].out());
            if out.is_some() == backend.out.is_some() || at < backend.next {
                continue;
            }
            watch.note(&Note::Trouble(backend.news(out, self.left_out)));
            (backend.out, backend.next) = (out, at + TELL_EVERY);
        }
    }

    /// Accepts no more, and waits for the connections that there are.
    fn drain(&mut self, watch: &mut Watch, timeout: Duration, listeners: &[Arc<Listener>]) {
        let began = watch.clock.elapsed();
        let waits = |listener: &Arc<Listener>| listener.waiting() > 0;
        while listeners.iter().any(waits) && watch.clock.elapsed() < began + LAST_ONES {
            std::thread::sleep(Duration::from_millis(1));
        }
        watch.control.give(Order::StopAccepting);
        listeners.iter().for_each(|l| l.refuse());
        let until = began + timeout;
        loop {
            let at = watch.clock.elapsed();
            let left = until.saturating_sub(at);
            self.look(watch, at, Phase::Draining, Some(left));
            if left.is_zero() || self.side.tally().open() == 0 || self.has_died() {
                return;
            }
            watch.tick(TICK, Some(until));
        }
    }

    fn of_backends(&self) -> Vec<OfBackend> {
        let backends = self.backends.iter().enumerate();
        backends
            .map(|(place, backend)| {
                let mut all = OfBackend::new(backend.address, backend.target.clone());
                for standing in &self.standing {
                    all.count(&standing[place]);
                }
                all
            })
            .collect()
    }

    /// What is known of the run as if it was over now, added to `ending`.
    fn ending(&self, watch: &Watch, plan: &ProxyPlan, ending: Ending) -> Ending {
        let accepted = self.side.tally();
        let pairs_peak = self.pairs_peak.max(accepted.proxy.pairs());
        let most = plan.accepts.max_connections.into();
        Ending {
            over: Mark {
                at: watch.clock.elapsed(),
                accepted: Some(accepted),
                cpu: watch.meter.cpu(),
                ..Mark::default()
            },
            peak: watch.peak.max(accepted.open()),
            pairs_peak,
            secured: self.side.last_secured(),
            backends: self.of_backends(),
            full: plan.accepts.bound_by.filter(|_| pairs_peak >= most),
            ..ending
        }
    }

    fn finish(
        self,
        mut watch: Watch,
        scenario: &ProxyScenario,
        plan: &ProxyPlan,
        ending: Ending,
    ) -> Result<Record, Failure> {
        watch.meter.note_own();
        // From here on this side closes connections, so the counts are those of now.
        let ending = self.ending(&watch, plan, ending);
        watch.closing();
        watch.control.give(Order::Close);
        self.side.join()?;
        Ok(recording::record(watch, carried(scenario, plan), ending))
    }
}

fn carried<'p>(scenario: &ProxyScenario, plan: &'p ProxyPlan) -> Carried<'p> {
    Carried {
        asked: asked::of_proxy(scenario),
        engine: plan.accepts.engine,
        why_epoll: plan.accepts.why_epoll.as_deref(),
        workers: plan.accepts.workers,
    }
}
