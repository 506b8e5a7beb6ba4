//! Routes: the source address and the target of each connection.

use super::shortfall::Shortfall;
use crate::address::{destination, nth_after};
use crate::capacity::{LimitKind, addresses_needed, each_target_gets};
use crate::host::Host;
use crate::scenario::LoadScenario;
use crate::unix_socket::UnixAddress;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Routes are crowded when they take more than one in so many of a source address's local ports to a target. The kernel searches long
/// only when half of them are taken, but others may have some, such as agents beside this one.
const CROWDED: u32 = 16;

/// The source address and the target of each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    targets: Vec<(SocketAddr, Vec<IpAddr>)>,
    /// Unix sockets, which connections go to instead if there are any.
    unix: Vec<UnixAddress>,
    /// How many consecutive connections go to one target.
    run: u32,
}

impl Routes {
    /// The routes of `scenario` on `host`. With `--self`, the port is 0.
    ///
    /// # Errors
    /// A target without a source address of its family, or without a client of its family to speak for.
    pub(super) fn of(scenario: &LoadScenario, host: &Host) -> Result<Routes, Shortfall> {
        let asked = u64::from(scenario.connections.most());
        if scenario.own_server.is_some() {
            // Many targets rather than many sources: that saves a bind() per connection.
            let needed = addresses_needed(asked, host).max(1);
            let targets = loopback_addresses(Ipv4Addr::LOCALHOST, needed);
            return Ok(Routes {
                targets: targets
                    .into_iter()
                    .map(|ip| ((ip, 0).into(), Vec::new()))
                    .collect(),
                unix: Vec::new(),
                run: scenario.connections.most().div_ceil(needed).max(1),
            });
        }
        let unix = scenario.unix_sockets();
        if !unix.is_empty() {
            return Ok(Routes {
                targets: Vec::new(),
                unix,
                run: 1,
            });
        }
        let (addresses, given) = (scenario.addresses(), scenario.connect.sources());
        let given: Vec<IpAddr> = given.collect();
        let each = each_target_gets(asked, &addresses);
        let targets: Vec<(SocketAddr, Vec<IpAddr>)> = addresses
            .into_iter()
            .map(|target| (target, sources_for(target, &given, each, host)))
            .collect();
        let sourceless = |(_, sources): &&(SocketAddr, Vec<IpAddr>)| sources.is_empty();
        if !given.is_empty()
            && let Some((target, _)) = targets.iter().find(sourceless)
        {
            return Err(missing("--source-ip", target, "source"));
        }
        let clients = &scenario.connect.proxy_source;
        let spoken_for = |target: &SocketAddr| {
            let v4 = destination(*target).is_ipv4();
            clients.iter().any(|range| range.is_ipv4() == v4)
        };
        if !clients.is_empty()
            && let Some((target, _)) = targets.iter().find(|(target, _)| !spoken_for(target))
        {
            return Err(missing("--proxy-source", target, "client's"));
        }
        Ok(Routes {
            targets,
            unix,
            run: 1,
        })
    }

    /// Routes to these targets, each from these sources; none of them for the kernel's choice.
    pub fn between(targets: Vec<(SocketAddr, Vec<IpAddr>)>) -> Routes {
        Routes {
            targets,
            unix: Vec::new(),
            run: 1,
        }
    }

    /// The target and the source address (`None`: the kernel's choice) of connection `id`; `None` if it goes to a Unix
    /// socket. Targets are used in turn,
    /// and for each target its sources in turn. With `--self`, one target is filled after the other instead: the kernel
    /// then goes through the ports of one target in order, which is cheaper.
    pub fn route(&self, id: u32) -> Option<(SocketAddr, Option<IpAddr>)> {
        let (target, source) = self.pick(id);
        let (address, sources) = self.targets.get(target)?;
        Some((*address, source.map(|s| sources[s])))
    }

    /// The route of connection `id` as indices: of the target, and of the source among the target's sources.
    #[inline]
    pub fn pick(&self, id: u32) -> (usize, Option<usize>) {
        let count = (self.targets.len() + self.unix.len()) as u32;
        let turn = id / self.run;
        let target = (turn % count) as usize;
        let sources = self.targets.get(target).map_or(0, |(_, all)| all.len());
        let source = match sources as u32 {
            0 => None,
            n => Some((turn / count % n) as usize),
        };
        (target, source)
    }

    /// Whether this many connections take so many of the local `ports` that the kernel may have to search long for a free one.
    pub fn are_crowded(&self, connections: u32, ports: u32) -> bool {
        let sources = self.targets.iter().map(|(_, all)| all.len().max(1) as u64);
        let pairs: u64 = sources.sum();
        pairs > 0 && u64::from(connections) > pairs * u64::from(ports / CROWDED)
    }

    /// Whether any connection binds its source address.
    pub fn binds(&self) -> bool {
        self.targets.iter().any(|(_, sources)| !sources.is_empty())
    }

    /// The Unix sockets, in order. There are no targets then.
    pub fn unix(&self) -> &[UnixAddress] {
        &self.unix
    }

    /// The targets, in order.
    pub fn targets(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.iter().map(|(target, _)| *target)
    }

    /// The source addresses of each target to bind to; empty for the kernel's choice.
    pub fn sources_by_target(&self) -> impl Iterator<Item = &[IpAddr]> {
        self.targets.iter().map(|(_, sources)| sources.as_slice())
    }

    /// The number of different source addresses to bind to.
    pub fn sources(&self) -> usize {
        let mut all: Vec<IpAddr> = self.targets.iter().flat_map(|(_, s)| s).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// The same routes to another port: with `--self`, the kernel chooses the port.
    pub fn with_port(mut self, port: u16) -> Routes {
        for (target, _) in &mut self.targets {
            target.set_port(port);
        }
        self
    }
}

/// No address of `option` has the family of a target.
pub(super) fn missing(option: &str, target: &SocketAddr, what: &str) -> Shortfall {
    Shortfall {
        kind: LimitKind::SourceAddress,
        limit: format!("no {option} has the address family of target {target}"),
        allows: 0,
        remedy: format!("Give a {what} address of each target's family."),
    }
}

/// The source addresses for `target`: those given of its family or, on loopback, as many as the four-tuples of
/// `connections` connections need.
pub(super) fn sources_for(
    target: SocketAddr,
    given: &[IpAddr],
    connections: u64,
    host: &Host,
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

fn loopback_addresses(first: Ipv4Addr, n: u32) -> Vec<IpAddr> {
    (0..n)
        .filter_map(|i| nth_after(first.into(), i))
        .filter(IpAddr::is_loopback)
        .collect()
}
