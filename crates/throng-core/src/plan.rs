//! Scenario and host in, plan out: which engine, how many workers, who connects from where to where.
//! Or what stands in the way, each with its remedy, before the first socket.

use crate::address::nth_after;
use crate::scenario::{EngineChoice, LoadScenario, ServeScenario};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What the plan needs to know of the machine. Read by throng-host, or made up by a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Cores that this process may use.
    pub cores: u32,
    /// Ports in `net.ipv4.ip_local_port_range` that are not reserved.
    pub ephemeral_ports: u32,
    /// The hard limit on open files (RLIMIT_NOFILE), to which the soft one can be raised.
    pub file_limit: u64,
    /// Files that are open already.
    pub files_open: u64,
    /// Bytes that may still be used: the machine's or the cgroup's, whichever is less.
    pub memory_available: u64,
    /// Bytes that the machine (or the cgroup) has.
    pub memory_total: u64,
    /// `net.core.somaxconn`.
    pub somaxconn: u32,
    /// Why io_uring can't be used here, in words, or `None` if it can.
    pub uring_unusable: Option<String>,
    /// Whether io_uring can bind a socket to a source address here (Linux 6.11).
    pub uring_binds: bool,
}

/// An event loop, chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// io_uring with direct descriptors: the file limit bounds a ring's table, not the process.
    Uring,
    /// epoll: one file descriptor a connection.
    Epoll,
}

impl Engine {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Uring => "uring",
            Engine::Epoll => "epoll",
        }
    }
}

/// A limit that is too low for what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// What is short, with its value and what would be needed.
    pub limit: String,
    /// How many connections it would allow.
    pub allows: u64,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {} would do. {}",
            self.limit, self.allows, self.remedy
        )
    }
}

/// Kernel memory of one end of an idle connection: the socket (2368), its inode, dentry and file (1216),
/// the armed receive (256), bind bucket and table slot. Measured on Linux 6.18: 8.7 KB for both ends.
pub const KERNEL_BYTES_PER_END: u64 = 4352;
/// User memory of one end of a connection, rings and tables included: the bound that throng keeps.
pub const USER_BYTES_PER_END: u64 = 64;
/// Attempts in flight in the whole run. Enough for 10,000 connections a second at a round trip of
/// 100 ms; a quarter of the usual accept queue (somaxconn 4096).
const ATTEMPTS_IN_FLIGHT: u32 = 1024;
/// The share of the ephemeral ports that one source may use towards one target. connect() tries the
/// ports of one parity first; once half of all are taken it scans thousands for every connection.
const PORT_FILL: f64 = 0.4;
/// Slots in one ring's file table: small enough for any limit people meet (20,000 here), large enough
/// that a million connections need only 62 rings.
const RING_SLOTS: u32 = 16_384;
/// File descriptors that the process needs besides rings and connections: standard streams, epoll and
/// event descriptors, files under /proc.
const OTHER_FILES: u64 = 32;

/// Where connections go from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    targets: Vec<(SocketAddr, Vec<IpAddr>)>,
    /// How many connections go to one target before it is the next one's turn.
    run: u32,
}

impl Routes {
    /// Where connection `id` goes to and from which address (`None`: the kernel's choice). Targets are
    /// taken in turn, and for each target its sources in turn. (With a server of our own, whose
    /// addresses are all the same to it, one is filled after the other: the kernel then goes through the
    /// ports of one target in order instead of touching those of all.)
    pub fn route(&self, id: u32) -> (SocketAddr, Option<IpAddr>) {
        let (target, source) = self.pick(id);
        let (address, sources) = &self.targets[target];
        (*address, source.map(|s| sources[s]))
    }

    /// The same as positions: of the target, and among that target's sources.
    #[inline]
    pub fn pick(&self, id: u32) -> (usize, Option<usize>) {
        let count = self.targets.len() as u32;
        let turn = id / self.run;
        let target = (turn % count) as usize;
        let source = match self.targets[target].1.len() as u32 {
            0 => None,
            n => Some((turn / count % n) as usize),
        };
        (target, source)
    }

    /// Whether any connection binds its source address.
    pub fn binds(&self) -> bool {
        self.targets.iter().any(|(_, sources)| !sources.is_empty())
    }

    /// The targets, in turn.
    pub fn targets(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.iter().map(|(target, _)| *target)
    }

    /// For each target the source addresses to bind to; none for the kernel's choice.
    pub fn sources_by_target(&self) -> impl Iterator<Item = &[IpAddr]> {
        self.targets.iter().map(|(_, sources)| sources.as_slice())
    }

    /// How many source addresses are bound to, over all targets.
    pub fn sources(&self) -> usize {
        let mut all: Vec<IpAddr> = self.targets.iter().flat_map(|(_, s)| s).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// How many connections there can be with `ports` ports. Connections go to the targets in turn, so
    /// the one with the fewest four-tuples binds.
    pub fn four_tuples(&self, ports: u32) -> u64 {
        let fewest = self
            .targets
            .iter()
            .map(|(_, sources)| sources.len().max(1))
            .min();
        fewest.unwrap_or(0) as u64 * self.targets.len() as u64 * u64::from(ports)
    }

    /// The same routes to another port: for a server of our own, whose port the kernel chose.
    pub fn with_port(mut self, port: u16) -> Routes {
        for (target, _) in &mut self.targets {
            target.set_port(port);
        }
        self
    }
}

/// How to carry out a [`LoadScenario`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads that connect (and as many that serve, with a server of our own).
    pub workers: u32,
    /// Where connections go. The port is 0 with a server of our own.
    pub routes: Routes,
    /// Attempts in flight on one worker, at most.
    pub window: u32,
    /// Slots in one ring's file table.
    pub ring_slots: u32,
    /// Stop opening connections when less than this many bytes of memory are left.
    pub memory_reserve: u64,
    /// Ports that one source address has towards one target.
    pub ports: u32,
    /// Connections that all sources have towards all targets; `None` with a server of our own, whose
    /// addresses are as many as needed.
    pub four_tuples: Option<u64>,
    /// The hard limit on open files.
    pub file_limit: u64,
}

/// How to carry out a [`ServeScenario`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServePlan {
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads.
    pub workers: u32,
    /// The accept queue's length.
    pub backlog: u32,
    /// Connections at once, at most: what was asked or what fits.
    pub max_connections: u32,
    /// What bounds `max_connections`, if it was not asked for.
    pub bound_by: Option<String>,
    /// Slots in one ring's file table.
    pub ring_slots: u32,
    /// Stop accepting when less than this many bytes of memory are left.
    pub memory_reserve: u64,
}

/// What the machine keeps for itself: a sixteenth of its memory, at least 128 MiB, at most 1 GiB.
fn memory_reserve(host: &HostFacts) -> u64 {
    (host.memory_total / 16).clamp(128 << 20, 1 << 30)
}

fn engine(
    choice: EngineChoice,
    host: &HostFacts,
    must_bind: bool,
) -> Result<(Engine, Option<String>), Shortfall> {
    let unusable = host.uring_unusable.clone().or_else(|| {
        (must_bind && !host.uring_binds)
            .then(|| "binding a source address through io_uring needs Linux 6.11".into())
    });
    match (choice, unusable) {
        (EngineChoice::Epoll, _) => Ok((Engine::Epoll, None)),
        (_, None) => Ok((Engine::Uring, None)),
        (EngineChoice::Auto, why) => Ok((Engine::Epoll, why)),
        (EngineChoice::Uring, Some(why)) => Err(Shortfall {
            limit: format!("io_uring can't be used here: {why}"),
            allows: 0,
            remedy: "Use --engine epoll.".into(),
        }),
    }
}

/// How many ends of connections the files allow.
fn ends_by_files(engine: Engine, host: &HostFacts) -> u64 {
    let spare = host
        .file_limit
        .saturating_sub(host.files_open + OTHER_FILES);
    match engine {
        Engine::Epoll => spare,
        Engine::Uring => spare * u64::from(ring_slots(host)),
    }
}

fn ring_slots(host: &HostFacts) -> u32 {
    host.file_limit.clamp(1, RING_SLOTS.into()) as u32
}

fn file_shortfall(engine: Engine, host: &HostFacts, ends: u64, asked: u64) -> Option<Shortfall> {
    let allows = ends_by_files(engine, host) / ends;
    (allows < asked).then(|| Shortfall {
        limit: match engine {
            Engine::Epoll => format!(
                "the hard limit on open files is {} and the epoll engine needs one for each end of a connection ({} for {asked} connections)",
                host.file_limit,
                asked * ends + host.files_open + OTHER_FILES
            ),
            Engine::Uring => format!(
                "the hard limit on open files is {0}, which bounds rings and the sockets in each ({0} x {0})",
                host.file_limit
            ),
        },
        allows,
        remedy: match engine {
            Engine::Epoll => "Use --engine uring, which it does not bind, or raise it: ulimit -Hn N as root, or LimitNOFILE= in systemd.".into(),
            Engine::Uring => "Raise it: ulimit -Hn N as root, or LimitNOFILE= in systemd.".into(),
        },
    })
}

fn memory_allows(host: &HostFacts, ends: u64) -> u64 {
    host.memory_available.saturating_sub(memory_reserve(host))
        / (ends * (KERNEL_BYTES_PER_END + USER_BYTES_PER_END))
}

fn memory_shortfall(host: &HostFacts, ends: u64, asked: u64) -> Option<Shortfall> {
    let allows = memory_allows(host, ends);
    let mib = |bytes: u64| bytes >> 20;
    (allows < asked).then(|| Shortfall {
        limit: format!(
            "memory: {asked} connections need {} MiB ({} bytes each), {} MiB are available and {} MiB of these are kept in reserve",
            mib(asked * ends * (KERNEL_BYTES_PER_END + USER_BYTES_PER_END)),
            ends * (KERNEL_BYTES_PER_END + USER_BYTES_PER_END),
            mib(host.memory_available),
            mib(memory_reserve(host)),
        ),
        allows,
        remedy: "Free memory, raise the container's limit, or spread the connections over more machines.".into(),
    })
}

/// Source addresses for `target`: those given that fit its family, or on loopback as many as the
/// four-tuples of `connections` connections need.
fn sources_for(
    target: SocketAddr,
    given: &[IpAddr],
    connections: u64,
    host: &HostFacts,
) -> Vec<IpAddr> {
    if !given.is_empty() {
        return given
            .iter()
            .copied()
            .filter(|ip| ip.is_ipv4() == target.is_ipv4())
            .collect();
    }
    let loopback_v4 = matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback());
    let needed = addresses_needed(connections, host);
    if !loopback_v4 || needed <= 1 {
        return Vec::new();
    }
    loopback_addresses(Ipv4Addr::new(127, 1, 0, 1), needed)
}

/// Over how many address pairs `connections` connections are to be spread so that ports are found fast.
fn addresses_needed(connections: u64, host: &HostFacts) -> u32 {
    let each = (f64::from(host.ephemeral_ports) * PORT_FILL).max(1.0);
    (connections as f64 / each).ceil() as u32
}

fn loopback_addresses(first: Ipv4Addr, n: u32) -> Vec<IpAddr> {
    (0..n)
        .filter_map(|i| nth_after(first.into(), i))
        .filter(IpAddr::is_loopback)
        .collect()
}

fn routes(scenario: &LoadScenario, host: &HostFacts) -> Result<Routes, Shortfall> {
    let asked = u64::from(scenario.connections);
    if scenario.own_server.is_some() {
        // Many destinations rather than many sources: that spares a bind for each connection.
        let needed = addresses_needed(asked, host).max(1);
        let targets = loopback_addresses(Ipv4Addr::LOCALHOST, needed);
        return Ok(Routes {
            targets: targets
                .into_iter()
                .map(|ip| ((ip, 0).into(), Vec::new()))
                .collect(),
            run: scenario.connections.div_ceil(needed).max(1),
        });
    }
    let count = scenario.targets.len() as u64;
    let each = asked.div_ceil(count.max(1));
    let targets: Vec<(SocketAddr, Vec<IpAddr>)> = scenario
        .targets
        .iter()
        .map(|&target| (target, sources_for(target, &scenario.sources, each, host)))
        .collect();
    if let Some((target, _)) = targets
        .iter()
        .find(|(_, s)| s.is_empty() && !scenario.sources.is_empty())
    {
        return Err(Shortfall {
            limit: format!("no --source-ip is of the family of target {target}"),
            allows: 0,
            remedy: "Give a source address of each target's family.".into(),
        });
    }
    let routes = Routes { targets, run: 1 };
    let allows = routes.four_tuples(host.ephemeral_ports);
    if allows < asked {
        let (tightest, sources) = routes
            .targets
            .iter()
            .min_by_key(|(_, sources)| sources.len().max(1))
            .expect("a load scenario without a server of its own has targets");
        let sources = sources.len().max(1) as u64;
        return Err(Shortfall {
            limit: format!(
                "four-tuples: {} local ports x {sources} source address(es) towards {tightest} are {} connections, {each} are needed",
                host.ephemeral_ports,
                sources * u64::from(host.ephemeral_ports),
            ),
            allows,
            remedy: "Add source addresses (--source-ip), targets (more ports or addresses), or ports (sysctl net.ipv4.ip_local_port_range=\"1024 65535\").".into(),
        });
    }
    Ok(routes)
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// Every limit that is too low, each with its remedy.
pub fn load(scenario: &LoadScenario, host: &HostFacts) -> Result<LoadPlan, Vec<Shortfall>> {
    let asked = u64::from(scenario.connections);
    let ends = if scenario.own_server.is_some() { 2 } else { 1 };
    let mut short = Vec::new();
    let routes = routes(scenario, host).map_err(|s| short.push(s)).ok();
    let must_bind = routes.as_ref().is_some_and(Routes::binds);
    let engine = engine(scenario.engine, host, must_bind)
        .map_err(|s| short.push(s))
        .ok();
    if let Some((engine, _)) = engine {
        short.extend(file_shortfall(engine, host, ends, asked));
    }
    short.extend(memory_shortfall(host, ends, asked));
    match (routes, engine) {
        (Some(routes), Some((engine, why_epoll))) if short.is_empty() => {
            // No more workers than connections: an idle one would only make the figures harder to read.
            let workers = scenario
                .workers
                .unwrap_or(host.cores)
                .clamp(1, scenario.connections.max(1));
            let four_tuples = scenario
                .own_server
                .is_none()
                .then(|| routes.four_tuples(host.ephemeral_ports));
            Ok(LoadPlan {
                engine,
                why_epoll,
                workers,
                routes,
                window: (ATTEMPTS_IN_FLIGHT / workers).max(1),
                ring_slots: ring_slots(host),
                memory_reserve: memory_reserve(host),
                ports: host.ephemeral_ports,
                four_tuples,
                file_limit: host.file_limit,
            })
        }
        _ => Err(short),
    }
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// Every limit that is too low for the number of connections asked for, each with its remedy.
pub fn serve(scenario: &ServeScenario, host: &HostFacts) -> Result<ServePlan, Vec<Shortfall>> {
    let (engine, why_epoll) = engine(scenario.engine, host, false).map_err(|s| vec![s])?;
    let by_files = ends_by_files(engine, host);
    let by_memory = memory_allows(host, 1);
    let (max_connections, bound_by) = match scenario.max_connections {
        Some(asked) => {
            let short: Vec<Shortfall> = [
                file_shortfall(engine, host, 1, asked.into()),
                memory_shortfall(host, 1, asked.into()),
            ]
            .into_iter()
            .flatten()
            .collect();
            if !short.is_empty() {
                return Err(short);
            }
            (asked, None)
        }
        None => {
            let what = if by_files < by_memory {
                "the hard limit on open files"
            } else {
                "memory"
            };
            (
                by_files.min(by_memory).min(u64::from(u32::MAX) / 2) as u32,
                Some(what.to_owned()),
            )
        }
    };
    Ok(ServePlan {
        engine,
        why_epoll,
        workers: scenario
            .workers
            .unwrap_or(host.cores)
            .clamp(1, max_connections.max(1)),
        backlog: scenario.backlog.unwrap_or(host.somaxconn),
        max_connections,
        bound_by,
        ring_slots: ring_slots(host),
        memory_reserve: memory_reserve(host),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Messages;
    use crate::scenario::{Repeat, ServeMode};
    use std::collections::HashMap;
    use std::time::Duration;

    fn host() -> HostFacts {
        HostFacts {
            cores: 2,
            ephemeral_ports: 28_232,
            file_limit: 20_000,
            files_open: 8,
            memory_available: 23 << 30,
            memory_total: 24 << 30,
            somaxconn: 4096,
            uring_unusable: None,
            uring_binds: true,
        }
    }

    fn scenario(connections: u32, targets: &[&str]) -> LoadScenario {
        LoadScenario {
            targets: targets.iter().map(|t| t.parse().unwrap()).collect(),
            own_server: targets.is_empty().then_some(ServeMode::Sink),
            connections,
            connect_rate: None,
            connect_timeout: Duration::from_secs(5),
            sources: Vec::new(),
            reconnect: true,
            messages: Messages::default(),
            repeat: Repeat::Flood,
            in_flight: None,
            traffic_after_ramp: false,
            hold: Duration::from_secs(10),
            duration: None,
            workers: None,
            engine: EngineChoice::Auto,
        }
    }

    #[test]
    fn a_million_to_itself_spreads_over_enough_targets_and_binds_nothing() {
        let plan = load(&scenario(1_000_000, &[]), &host()).unwrap();
        assert_eq!((plan.engine, plan.workers), (Engine::Uring, 2));
        assert!(!plan.routes.binds());
        let mut per_target = HashMap::new();
        for id in 0..1_000_000 {
            *per_target.entry(plan.routes.route(id).0).or_insert(0u32) += 1;
        }
        let most = *per_target.values().max().unwrap();
        assert!(most <= 28_232 * 2 / 5, "{most}");
    }

    #[test]
    fn a_loopback_target_gets_as_many_sources_as_its_four_tuples_need() {
        let plan = load(&scenario(100_000, &["127.0.0.1:9000"]), &host()).unwrap();
        assert!(
            plan.routes.binds() && plan.routes.sources() == 9,
            "{}",
            plan.routes.sources()
        );
        let few = load(&scenario(1000, &["127.0.0.1:9000"]), &host()).unwrap();
        assert!(!few.routes.binds());
    }

    #[test]
    fn elsewhere_nothing_is_bound_and_the_port_range_is_the_limit() {
        let short = load(&scenario(100_000, &["10.0.0.1:80", "10.0.0.1:81"]), &host()).unwrap_err();
        assert_eq!(short[0].allows, 2 * 28_232);
        let plan = load(&scenario(50_000, &["10.0.0.1:80", "10.0.0.1:81"]), &host()).unwrap();
        assert!(!plan.routes.binds());
        let mut two = scenario(56_000, &["10.0.0.1:80"]);
        two.sources = vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()];
        let plan = load(&two, &host()).unwrap();
        assert_eq!(plan.routes.route(0).1, Some(two.sources[0]));
        assert_eq!(plan.routes.route(1).1, Some(two.sources[1]));
    }

    #[test]
    fn the_file_limit_binds_epoll_and_only_its_square_binds_uring() {
        let mut s = scenario(100_000, &[]);
        s.engine = EngineChoice::Epoll;
        let short = load(&s, &host()).unwrap_err();
        assert_eq!(short[0].allows, (20_000 - 8 - 32) / 2);
        let mut low = host();
        low.file_limit = 1024;
        let plan = load(&scenario(500_000, &[]), &low).unwrap();
        assert_eq!(plan.ring_slots, 1024);
        assert_eq!(
            load(&scenario(600_000, &[]), &low).unwrap_err()[0].allows,
            (1024 - 40) * 1024 / 2
        );
    }

    #[test]
    fn memory_that_does_not_suffice_is_told_with_what_would_fit() {
        let mut small = host();
        small.memory_available = 4 << 30;
        let short = load(&scenario(1_000_000, &[]), &small).unwrap_err();
        assert!(
            short[0].allows > 300_000 && short[0].allows < 400_000,
            "{short:?}"
        );
        assert!(short[0].to_string().contains("MiB"));
    }

    #[test]
    fn without_io_uring_auto_says_why_and_uring_is_refused() {
        let mut no = host();
        no.uring_unusable = Some("kernel.io_uring_disabled is 2".into());
        let plan = load(&scenario(100, &[]), &no).unwrap();
        assert_eq!(plan.engine, Engine::Epoll);
        assert!(plan.why_epoll.unwrap().contains("io_uring_disabled"));
        let mut s = scenario(100, &[]);
        s.engine = EngineChoice::Uring;
        assert!(load(&s, &no).unwrap_err()[0].remedy.contains("epoll"));
    }

    #[test]
    fn sources_of_the_wrong_family_are_refused() {
        let mut s = scenario(10, &["[::1]:80"]);
        s.sources = vec!["127.0.0.2".parse().unwrap()];
        assert!(load(&s, &host()).unwrap_err()[0].limit.contains("[::1]:80"));
    }

    #[test]
    fn a_server_holds_what_was_asked_or_what_fits() {
        let asks = |max_connections, engine| ServeScenario {
            listen: vec!["[::]:9000".parse().unwrap()],
            mode: ServeMode::Sink,
            backlog: None,
            max_connections,
            duration: None,
            workers: None,
            engine,
        };
        let plan = serve(&asks(None, EngineChoice::Epoll), &host()).unwrap();
        assert_eq!(plan.max_connections, 20_000 - 40);
        let plan = serve(&asks(None, EngineChoice::Auto), &host()).unwrap();
        assert!(plan.max_connections > 4_000_000 && plan.bound_by.as_deref() == Some("memory"));
        assert!(serve(&asks(Some(30_000), EngineChoice::Epoll), &host()).is_err());
        assert_eq!(
            serve(&asks(Some(7), EngineChoice::Auto), &host())
                .unwrap()
                .max_connections,
            7
        );
    }
}
