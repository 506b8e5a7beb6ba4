//! The plan of a proxy: that of a server, with routes to the backends.

use super::routes::{self, Routes};
use super::{ServePlan, Shortfall};
use crate::capacity::{self, Question};
use crate::engine::Engine;
use crate::host::Host;
use crate::protocol::proxy::Sources;
use crate::scenario::ProxyScenario;
use std::net::{IpAddr, SocketAddr};

/// The most source addresses to one backend.
const MOST_SOURCES: usize = u16::MAX as usize;
/// The share of a source's ports to one backend that is used before the next source is, where throng chooses sources:
/// connect() finds a port quickly until then.
const FILL: f64 = 0.4;

/// How to carry out a [`ProxyScenario`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyPlan {
    /// The part that accepts. Its connections are pairs.
    pub accepts: ServePlan,
    /// The backends, each with its sources.
    pub routes: Routes,
    /// The sources to each backend.
    pub sources: Vec<Sources>,
    /// Ports of one source to one backend that each worker uses before the next source.
    pub ports: u32,
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// All limits that are too low for the number of pairs asked for, each with its remedy; with [`ProxyScenario::force`], only
/// what can't be tried.
pub fn proxy(scenario: &ProxyScenario, host: &Host) -> Result<ProxyPlan, Vec<Shortfall>> {
    let capacity = capacity::capacity(&Question::of_proxy(scenario), host);
    let given: Vec<IpAddr> = scenario.sources().collect();
    let backends = scenario.backends();
    let sourceless = |target: &&SocketAddr| {
        !given.is_empty() && !given.iter().any(|ip| ip.is_ipv4() == target.is_ipv4())
    };
    let no_source = backends.iter().find(sourceless);
    let no_source = no_source.map(|target| routes::missing("--source-ip", target, "source"));
    let (asked, backlog) = (scenario.max_connections, scenario.backlog);
    let engine = capacity.engine;
    let accepts = super::accepting(capacity, asked, backlog, scenario.force, no_source, host)?;
    // On IPv4 loopback there are as many sources as are needed. The first is the kernel's choice, which takes no bind().
    let binds = engine == Engine::Epoll || host.uring.binds;
    let all = u64::from(accepts.max_connections);
    let needed = match given.is_empty() && binds && !scenario.transparent {
        true => all.div_ceil(backends.len().max(1) as u64),
        false => 1,
    };
    let kernels = given.is_empty();
    let to = |target: &SocketAddr| {
        let mut sources = routes::sources_for(*target, &given, needed, host);
        sources.truncate(MOST_SOURCES);
        (*target, sources)
    };
    let targets: Vec<(SocketAddr, Vec<IpAddr>)> = backends.iter().map(to).collect();
    let usable = f64::from(host.ports.usable()) * if kernels { FILL } else { 1.0 };
    let bound = targets.iter().map(|(_, sources)| sources.len() as u16);
    // The addresses that clients connected to count as one, which the kernel chooses sources for.
    let bound = bound.chain(scenario.to_original.then_some(0));
    Ok(ProxyPlan {
        sources: bound.map(|bound| Sources { kernels, bound }).collect(),
        routes: Routes::between(targets),
        ports: (usable as u32 / accepts.workers).max(1),
        accepts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Uring;
    use crate::scenario::Target;

    fn host() -> Host {
        let mut host = Host {
            cores: 2,
            uring: Uring {
                unusable: None,
                binds: true,
            },
            ..Host::default()
        };
        host.files.hard = 20_000;
        host.files.soft = 20_000;
        host.memory.available = 24 << 30;
        host
    }

    fn scenario(to: &[&str], sources: &[&str], pairs: u32) -> ProxyScenario {
        let target = |at: &&str| Target::from(at.parse::<SocketAddr>().unwrap());
        ProxyScenario {
            to: to.iter().map(target).collect(),
            source_ip: sources.iter().map(|s| s.parse().unwrap()).collect(),
            max_connections: Some(pairs),
            workers: Some(2),
            ..ProxyScenario::default()
        }
    }

    #[test]
    fn given_sources_are_all_filled_and_each_worker_has_a_share_of_the_ports() {
        let asked = scenario(&["10.0.0.9:80"], &["10.0.0.1-10.0.0.8"], 200_000);
        let plan = proxy(&asked, &host()).unwrap();
        let eight = Sources {
            kernels: false,
            bound: 8,
        };
        assert_eq!(plan.sources, [eight]);
        assert_eq!(plan.ports, 28_232 / 2);
        assert_eq!(plan.accepts.max_connections, 200_000);
    }

    #[test]
    fn more_pairs_than_the_four_tuples_to_the_backends_are_refused() {
        for (to, sources, pairs, fits) in [
            (&["10.0.0.9:80"][..], &["10.0.0.1"][..], 28_232, true),
            (&["10.0.0.9:80"], &["10.0.0.1"], 28_233, false),
            (&["10.0.0.9:80", "10.0.0.9:81"], &["10.0.0.1"], 56_464, true),
            (&["10.0.0.9:80"], &["10.0.0.1-10.0.0.8"], 225_857, false),
            (&["127.0.0.1:80"], &[], 225_857, true),
        ] {
            let plan = proxy(&scenario(to, sources, pairs), &host());
            assert_eq!(plan.is_ok(), fits, "{to:?} {sources:?} {pairs}: {plan:?}");
        }
    }

    #[test]
    fn on_loopback_the_kernels_choice_comes_first() {
        let plan = proxy(&scenario(&["127.0.0.1:80"], &[], 100_000), &host()).unwrap();
        assert!(plan.sources[0].kernels && plan.sources[0].bound >= 8);
        let plan = proxy(&scenario(&["127.0.0.1:80"], &[], 5_000), &host()).unwrap();
        assert_eq!(plan.sources[0].bound, 0);
    }

    #[test]
    fn a_pair_takes_two_files_of_the_epoll_engine() {
        let mut asked = scenario(&["127.0.0.1:80"], &[], 11_000);
        asked.engine = crate::engine::EngineChoice::Epoll;
        let short = proxy(&asked, &host()).unwrap_err();
        let kinds: Vec<_> = short.iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [crate::capacity::LimitKind::OpenFiles], "{short:?}");
    }

    #[test]
    fn a_transparent_proxy_has_as_many_four_tuples_as_its_clients() {
        let mut asked = scenario(&["10.0.0.9:80"], &[], 100_000);
        assert!(proxy(&asked, &host()).is_err());
        asked.transparent = true;
        let plan = proxy(&asked, &host()).unwrap();
        assert_eq!(plan.sources[0].bound, 0);
        assert_eq!(plan.accepts.engine, Engine::Uring);
        let mut old = host();
        old.uring.binds = false;
        asked.max_connections = Some(9_000);
        let plan = proxy(&asked, &old).unwrap();
        assert_eq!(plan.accepts.engine, Engine::Epoll);
        asked.engine = crate::engine::EngineChoice::Uring;
        assert!(proxy(&asked, &old).is_err());
    }

    #[test]
    fn a_proxy_to_where_clients_connect_has_no_limit_of_four_tuples_before() {
        let mut asked = scenario(&[], &[], 100_000);
        asked.to_original = true;
        let plan = proxy(&asked, &host()).unwrap();
        let kernels = Sources {
            kernels: true,
            bound: 0,
        };
        assert_eq!(plan.sources, [kernels]);
        assert_eq!(plan.accepts.engine, Engine::Uring);
        asked.engine = crate::engine::EngineChoice::Epoll;
        let short = proxy(&asked, &host()).unwrap_err();
        let kinds: Vec<_> = short.iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [crate::capacity::LimitKind::OpenFiles], "{short:?}");
    }

    #[test]
    fn each_backend_needs_a_source_of_its_family() {
        let asked = scenario(&["10.0.0.9:80", "[fd00::9]:80"], &["10.0.0.1"], 10);
        assert!(proxy(&asked, &host()).is_err());
    }
}
