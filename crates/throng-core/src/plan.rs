//! Scenario and host in, plan out: which engine, how many workers, who connects from where to where.
//! Or what stands in the way, each with its remedy, before the first socket.

use crate::address::nth_after;
use crate::capacity::{self, Capacity, Limit, LimitKind, Question, addresses_needed};
use crate::host::{DEFAULT_SOMAXCONN, Host};
use crate::human::count;
use crate::scenario::{LoadScenario, ServeScenario};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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
    /// Which one.
    pub kind: LimitKind,
    /// What is short, with its value and what would be needed.
    pub limit: String,
    /// How many connections it would allow.
    pub allows: u64,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.words(), self.limit)?;
        // What can't work at all has no number that would do.
        match self.kind {
            LimitKind::Engine | LimitKind::SourceAddress => write!(f, ". {}", self.remedy),
            _ => write!(f, "; {} would do. {}", count(self.allows), self.remedy),
        }
    }
}

impl Shortfall {
    fn of(limit: &Limit) -> Shortfall {
        Shortfall {
            kind: limit.kind,
            limit: limit.value.clone(),
            allows: limit.allows.unwrap_or(0),
            remedy: limit.remedy(),
        }
    }
}

/// Attempts in flight in the whole run. Enough for 10,000 connections a second at a round trip of
/// 100 ms; a quarter of the usual accept queue (somaxconn 4096).
const ATTEMPTS_IN_FLIGHT: u32 = 1024;

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
    /// Limits that are too low and that the run was told to disregard, and those that may be.
    pub warnings: Vec<Shortfall>,
    /// All limits, the one that binds first in front: what a run that stops can be compared with.
    pub limits: Vec<Limit>,
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
    /// Limits that are too low and that the run was told to disregard, and those that may be.
    pub warnings: Vec<Shortfall>,
    /// All limits, the one that binds first in front.
    pub limits: Vec<Limit>,
}

/// Source addresses for `target`: those given that fit its family, or on loopback as many as the
/// four-tuples of `connections` connections need.
fn sources_for(target: SocketAddr, given: &[IpAddr], connections: u64, host: &Host) -> Vec<IpAddr> {
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

fn loopback_addresses(first: Ipv4Addr, n: u32) -> Vec<IpAddr> {
    (0..n)
        .filter_map(|i| nth_after(first.into(), i))
        .filter(IpAddr::is_loopback)
        .collect()
}

fn routes(scenario: &LoadScenario, host: &Host) -> Result<Routes, Shortfall> {
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
            kind: LimitKind::SourceAddress,
            limit: format!("no --source-ip is of the family of target {target}"),
            allows: 0,
            remedy: "Give a source address of each target's family.".into(),
        });
    }
    Ok(Routes { targets, run: 1 })
}

/// What `capacity` refuses of `asked` connections, and what it only warns about. With `force` it
/// refuses nothing that can be tried.
///
/// # Errors
/// Every limit that is too low.
fn judge(
    capacity: &Capacity,
    asked: u64,
    force: bool,
    more: Option<Shortfall>,
) -> Result<Vec<Shortfall>, Vec<Shortfall>> {
    let (mut refused, mut warned): (Vec<_>, Vec<_>) = (more.into_iter().collect(), Vec::new());
    for limit in capacity.short_of(asked) {
        let can_be_tried = force && limit.kind != LimitKind::Engine;
        match limit.sure && !can_be_tried {
            true => refused.push(Shortfall::of(limit)),
            false => warned.push(Shortfall::of(limit)),
        }
    }
    if refused.is_empty() {
        Ok(warned)
    } else {
        Err(refused)
    }
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// Every limit that is too low, each with its remedy; with [`LoadScenario::force`] only what can't even
/// be tried.
pub fn load(scenario: &LoadScenario, host: &Host) -> Result<LoadPlan, Vec<Shortfall>> {
    let capacity = capacity::capacity(&Question::of_load(scenario), host);
    let (routes, no_route) = match routes(scenario, host) {
        Ok(routes) => (Some(routes), None),
        Err(short) => (None, Some(short)),
    };
    let asked = u64::from(scenario.connections);
    let mut warnings = judge(&capacity, asked, scenario.force, no_route)?;
    if scenario.force {
        // Nothing holds the run back then, so what comes at once may be too much.
        let at_once = |l: &&Limit| l.measure == capacity::Measure::AtOnce;
        let short = capacity.limits.iter().filter(at_once);
        let short = short.filter(|l| l.allows.is_some_and(|n| n < asked));
        warnings.extend(short.map(Shortfall::of));
    }
    let Some(routes) = routes else {
        return Err(Vec::new());
    };
    Ok(LoadPlan {
        engine: capacity.engine,
        why_epoll: capacity.why_epoll,
        workers: capacity.workers,
        routes,
        window: (ATTEMPTS_IN_FLIGHT / capacity.workers).max(1),
        ring_slots: capacity::ring_slots(host),
        memory_reserve: capacity::reserve(host),
        warnings,
        limits: capacity.limits,
    })
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// Every limit that is too low for the number of connections asked for, each with its remedy; with
/// [`ServeScenario::force`] only what can't even be tried.
pub fn serve(scenario: &ServeScenario, host: &Host) -> Result<ServePlan, Vec<Shortfall>> {
    let capacity = capacity::capacity(&Question::of_serve(scenario), host);
    let asked = scenario.max_connections;
    let warnings = judge(&capacity, asked.map_or(1, u64::from), scenario.force, None)?;
    // Without a number, only what is sure to bind bounds it: the rest may not.
    let bound = capacity
        .limits
        .iter()
        .find(|l| l.sure && l.measure == capacity::Measure::Held && l.allows.is_some());
    let fits = bound.and_then(|l| l.allows).unwrap_or(u64::MAX);
    let most = u64::from(u32::MAX) / 2;
    let max_connections = asked.unwrap_or(fits.min(most) as u32);
    Ok(ServePlan {
        engine: capacity.engine,
        why_epoll: capacity.why_epoll,
        workers: capacity.workers.clamp(1, max_connections.max(1)),
        backlog: scenario
            .backlog
            .unwrap_or(host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN)),
        max_connections,
        bound_by: match asked {
            Some(_) => None,
            None => bound.map(|l| l.kind.words().to_owned()),
        },
        ring_slots: capacity::ring_slots(host),
        memory_reserve: capacity::reserve(host),
        warnings,
        limits: capacity.limits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Messages;
    use crate::scenario::{EngineChoice, Repeat, ServeMode};
    use std::collections::HashMap;
    use std::time::Duration;

    use crate::capacity::tests::host;

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
            force: false,
            options: Default::default(),
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
        assert_eq!(short[0].kind, LimitKind::OpenFiles);
        // Besides the 8 that are open: two workers on each side with two files each, two listeners, one
        // under /proc.
        assert_eq!(short[0].allows, (20_000 - 8 - 8 - 2 - 1) / 2);
        let mut low = host();
        low.files.hard = 1024;
        let plan = load(&scenario(400_000, &[]), &low).unwrap();
        assert_eq!(plan.ring_slots, 1024);
        // 1,011 rings, 252 of them for each of two workers on two sides; the sides share an eventfd.
        let short = load(&scenario(600_000, &[]), &low).unwrap_err();
        assert_eq!(short[0].allows, (1024 - 8 - 2 - 2 - 1) / 4 * 1024 * 2);
    }

    #[test]
    fn memory_that_does_not_suffice_is_told_with_what_would_fit() {
        let mut small = host();
        small.memory.available = 4 << 30;
        let short = load(&scenario(1_000_000, &[]), &small).unwrap_err();
        assert_eq!(short[0].kind, LimitKind::Memory);
        assert!(
            short[0].allows > 300_000 && short[0].allows < 400_000,
            "{short:?}"
        );
        assert!(short[0].to_string().contains("GiB"));
    }

    #[test]
    fn every_limit_that_is_too_low_is_told_and_force_turns_refusals_into_warnings() {
        let mut small = host();
        small.memory.available = 2 << 30;
        small.files.hard = 1024;
        let mut s = scenario(200_000, &["10.0.0.7:80"]);
        s.engine = EngineChoice::Epoll;
        let kinds = |all: &[Shortfall]| all.iter().map(|s| s.kind).collect::<Vec<_>>();
        let all = [
            LimitKind::OpenFiles,
            LimitKind::FourTuples,
            // 1 GiB is kept in reserve.
            LimitKind::Memory,
        ];
        s.connections = 400_000;
        assert_eq!(kinds(&load(&s, &small).unwrap_err()), all);
        s.force = true;
        let plan = load(&s, &small).unwrap();
        assert_eq!(kinds(&plan.warnings), all);
        assert_eq!(plan.limits[0].kind, LimitKind::OpenFiles);
    }

    #[test]
    fn force_can_t_do_what_can_t_be_tried() {
        let mut s = scenario(10, &["[::1]:80"]);
        s.force = true;
        s.sources = vec!["127.0.0.2".parse().unwrap()];
        assert!(load(&s, &host()).is_err());
        let mut no = host();
        no.uring.unusable = Some("it is forbidden".into());
        let mut s = scenario(10, &[]);
        s.force = true;
        s.engine = EngineChoice::Uring;
        assert_eq!(load(&s, &no).unwrap_err()[0].kind, LimitKind::Engine);
    }

    #[test]
    fn without_io_uring_auto_says_why_and_uring_is_refused() {
        let mut no = host();
        no.uring.unusable = Some("kernel.io_uring_disabled is 2".into());
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
            force: false,
            options: Default::default(),
        };
        let plan = serve(&asks(None, EngineChoice::Epoll), &host()).unwrap();
        // Two workers with two files each, a listener, one under /proc.
        assert_eq!(plan.max_connections, 20_000 - 8 - 4 - 1 - 1);
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

    #[test]
    fn what_messages_take_in_buffers_is_an_estimate_and_refuses_nothing() {
        let mut echo = scenario(1_000_000, &[]);
        echo.messages.repeated = vec![vec![b'x'; 16].into()];
        echo.repeat = Repeat::ClosedLoop;
        echo.in_flight = Some(128);
        assert_eq!(load(&echo, &host()).unwrap().warnings, []);
        // A message on each, and its memory, would be too much, if all were under way at once.
        let mut flood = scenario(1_000_000, &[]);
        flood.messages.repeated = vec![vec![b'x'; 16 << 10].into()];
        let plan = load(&flood, &host()).unwrap();
        assert!(
            plan.warnings.iter().any(|w| w.kind == LimitKind::Memory),
            "{:?}",
            plan.warnings
        );
        // What does not even fit idle is refused all the same.
        flood.connections = 3_000_000;
        assert_eq!(
            load(&flood, &host()).unwrap_err()[0].kind,
            LimitKind::Memory
        );
    }
}
