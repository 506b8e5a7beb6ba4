//! The connections behind reverse proxies. A proxy is a client of its backends: its ports to each of them run out like
//! any client's.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind, counted};
use super::memory::Bytes;
use super::tuples::{widen_command, widened};
use crate::human::count;
use crate::transparent::{self, Delivered};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A backend that is not known is assumed to be of IPv4.
const ANY_V4: [SocketAddr; 1] = [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)];

/// Proxies in front of backends. Each is assumed to have this machine's port range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxies {
    /// Number of proxies.
    pub proxies: u64,
    /// Addresses from which each connects to the backends.
    pub addresses_each: u64,
    /// Ports of each address.
    pub ports: u64,
    /// Number of backends: (address, port) pairs.
    pub backends: u64,
    /// Connections of one proxy to all backends.
    pub per_proxy: u64,
    /// Connections of all proxies together.
    pub allows: u64,
    /// Number of proxies that the connections asked for need with these backends.
    pub proxies_needed: Option<u64>,
    /// Number of backends that they need with these proxies.
    pub backends_needed: Option<u64>,
    /// Addresses that each proxy would need, with these proxies and backends.
    pub addresses_needed: Option<u64>,
    /// Files that one proxy needs: two for each connection through it.
    pub files_per_proxy: u64,
    /// Kernel bytes that one proxy needs: two sockets for each connection.
    pub memory_per_proxy: u64,
    /// Commands for a transparent proxy, which keeps the client's address.
    pub transparent: Vec<String>,
}

pub(super) fn of(case: &Case, bytes: &Bytes) -> Option<Proxies> {
    let proxies = u64::from(case.question.proxies.filter(|n| *n > 0)?);
    let addresses_each = (case.question.sources.len() as u64).max(1);
    let ports = u64::from(case.host.ports.usable());
    let targets = case.question.targets.as_slice();
    let backends = (targets.len() as u64).max(1);
    let per_proxy = addresses_each * ports * backends;
    let allows = proxies.saturating_mul(per_proxy);
    let asked = case.question.connections;
    let needed = |each: u64| asked.filter(|_| each > 0).map(|n| n.div_ceil(each));
    // The connections through one proxy: its share of those asked for, or all that its ports allow.
    let through = asked.map_or(per_proxy, |n| n.div_ceil(proxies));
    let end = bytes.kernel / case.ends_here;
    Some(Proxies {
        proxies,
        addresses_each,
        ports,
        backends,
        per_proxy,
        allows,
        proxies_needed: needed(per_proxy),
        backends_needed: needed(proxies.saturating_mul(addresses_each * ports)),
        addresses_needed: needed(proxies.saturating_mul(ports * backends)),
        files_per_proxy: through.saturating_mul(2),
        memory_per_proxy: through.saturating_mul(2 * end),
        transparent: transparent::rules(&Delivered {
            answers: match targets.is_empty() {
                true => &ANY_V4,
                false => targets,
            },
            ..Delivered::default()
        })
        .into_iter()
        .map(|command| format!("sudo {command}"))
        .collect(),
    })
}

pub(super) fn limit(case: &Case, bytes: &Bytes) -> Option<Limit> {
    let p = of(case, bytes)?;
    let goal = case.question.connections.unwrap_or(p.allows + 1);
    let mut lifts = Vec::new();
    if p.per_proxy > 0 {
        lifts.push(Lift::by(format!(
            "more proxies: each allows {} more, {} in all are enough",
            count(p.per_proxy),
            count(goal.div_ceil(p.per_proxy))
        )));
        let each = p.proxies * p.addresses_each * p.ports;
        lifts.push(Lift::by(format!(
            "more backend ports or addresses: each allows {} more, {} in all are enough",
            count(each),
            count(goal.div_ceil(each))
        )));
        let each = p.proxies * p.ports * p.backends;
        lifts.push(Lift::by(format!(
            "more addresses on each proxy to connect from (nginx: proxy_bind, haproxy: source): {} are enough",
            count(goal.div_ceil(each))
        )));
    }
    let wide = widened(case.host);
    if wide.usable() > case.host.ports.usable() {
        lifts.push(
            Lift::by("a wider port range on each proxy")
                .command(widen_command(&wide))
                .allowing(u64::from(wide.usable()) * p.addresses_each * p.backends),
        );
    }
    lifts.push(Lift::by(
        "a transparent proxy, which keeps the client's address and port, has no such limit; the backends' answers must be routed back through it",
    ));
    Some(
        Limit::held(
            LimitKind::ProxyPorts,
            p.per_proxy,
            format!(
                "{} x {} ports x {}, through each of {}",
                counted(p.addresses_each, "address", "addresses"),
                count(p.ports),
                counted(p.backends, "backend", "backends"),
                counted(p.proxies, "proxy", "proxies"),
            ),
            "net.ipv4.ip_local_port_range; each proxy is assumed to have this machine's",
        )
        .lifted(lifts),
    )
}
