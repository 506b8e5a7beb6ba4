//! Four-tuples. A connection is identified by its two ends (RFC 9293, 3.4.1), so a client runs out when every local
//! port is in use for every pair of source address and target.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind, counted};
use super::question::{Question, Role};
use crate::address::destination;
use crate::host::{DEFAULT_PORT_RANGE, Host, Ports};
use crate::human::count;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

/// The share of the ephemeral ports that one source uses to one target if throng chooses the addresses. connect() tries
/// the ports of one parity first; once half of all are taken, it scans thousands for every connection.
const PORT_FILL: f64 = 0.4;
/// The widest range worth having: ports below 1024 are for servers.
const WIDE: (u16, u16) = (1024, 65_535);
const RANGE: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

/// The number of address pairs over which to spread `connections` connections, so that ports are found fast.
pub(crate) fn addresses_needed(connections: u64, host: &Host) -> u32 {
    let each = (f64::from(host.ports.usable()) * PORT_FILL).max(1.0);
    (connections as f64 / each).ceil().min(f64::from(u32::MAX)) as u32
}

/// Whether sockets must be bound to source addresses before they connect.
pub(super) fn must_bind(question: &Question, host: &Host) -> bool {
    if question.role == Role::Server || question.unix {
        return false;
    }
    let asked = question.part_of.or(question.asked_here()).unwrap_or(1);
    let each = each_target_gets(asked, &question.targets);
    !question.sources.is_empty()
        || question.transparent
        || question.targets.iter().any(|t| is_loopback_v4(t.ip()))
            && addresses_needed(each, host) > 1
}

/// How many connections in all are made before one finds no room, if `free` have room and those at `places` in each
/// round of `n` need it.
pub(super) fn until_full(free: u64, places: &[u64], n: u64) -> u64 {
    let each = (places.len() as u64).max(1);
    let (rounds, rest) = (free / each, (free % each) as usize);
    let next = places.get(rest).copied().unwrap_or_default();
    rounds.saturating_mul(n).saturating_add(next)
}

/// How many of `connections` the target that is named most often gets, if they go to `targets` in turn: an address
/// that is named twice is one target.
pub(crate) fn each_target_gets(connections: u64, targets: &[SocketAddr]) -> u64 {
    let mut named: HashMap<SocketAddr, u64> = HashMap::new();
    for target in targets {
        *named.entry(destination(*target)).or_default() += 1;
    }
    let most = named.into_values().max().unwrap_or(1);
    connections
        .saturating_mul(most)
        .div_ceil(targets.len().max(1) as u64)
}

fn is_loopback_v4(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_loopback())
}

/// Whether connect() takes ports whose last connection to `target` is in TIME_WAIT, once that has lasted for a second.
pub(crate) fn reuses_time_wait(ports: &Ports, target: Option<SocketAddr>) -> bool {
    match ports.tw_reuse {
        // Without timestamps the kernel can't tell late segments of the old connection.
        _ if ports.timestamps == Some(0) => false,
        // 2 is "where an address is a loopback address": tcp_twsk_unique().
        Some(2) => target.is_some_and(|t| t.ip().is_loopback()),
        Some(1) => true,
        _ => false,
    }
}

/// What is left of the four-tuples to one target.
struct Left {
    target: Option<SocketAddr>,
    sources: u64,
    /// Ports of other connections to it.
    in_use: u64,
    /// Ports in TIME_WAIT that can't be reused yet.
    time_wait: u64,
    free: u64,
}

/// What is left to `target`; `None` on IPv4 loopback, where throng uses as many sources as it needs.
fn left(case: &Case, target: Option<SocketAddr>) -> Option<Left> {
    let given = &case.question.sources;
    if given.is_empty() && target.is_some_and(|t| is_loopback_v4(t.ip())) {
        return None;
    }
    let foreign = &case.host.foreign_sources;
    let fits =
        |ip: &&IpAddr| target.is_none_or(|t| ip.is_ipv4() == t.is_ipv4()) && !foreign.contains(ip);
    let sources: HashSet<IpAddr> = given
        .iter()
        .filter(fits)
        .map(IpAddr::to_canonical)
        .collect();
    let sources = (sources.len() as u64).max(1);
    let known = target.and_then(|t| case.host.targets.iter().find(|k| k.target == t));
    let waits = !reuses_time_wait(&case.host.ports, target);
    let in_use = known.map_or(0, |k| k.in_use);
    let time_wait = known.map_or(0, |k| if waits { k.time_wait } else { 0 });
    let all = sources * u64::from(case.host.ports.usable());
    Some(Left {
        target,
        sources,
        in_use,
        time_wait,
        free: all.saturating_sub(in_use + time_wait),
    })
}

pub(super) fn limits(case: &Case) -> Option<Limit> {
    const KIND: LimitKind = LimitKind::FourTuples;
    let ports = u64::from(case.host.ports.usable());
    let range = range(&case.host.ports);
    if !case.connects() {
        return Some(Limit::free(
            KIND,
            format!(
                "not limited by this machine's ports: each client address has {} of its own (by default 28,232) to each address and port here",
                count(65_535)
            ),
            "RFC 9293, 3.1 and 3.4.1",
        ));
    }
    if case.question.unix {
        let value = "Unix sockets have no addresses and ports";
        return Some(Limit::free(KIND, value, "unix(7)"));
    }
    if case.question.transparent {
        let value = format!(
            "not limited by this machine's addresses: each client's address has {} ports of its own to each backend",
            count(ports)
        );
        return Some(Limit::free(KIND, value, range));
    }
    if case.question.relays && case.question.targets.is_empty() {
        let value = format!(
            "not known before: {} ports to each address that clients connect to",
            count(ports)
        );
        return Some(Limit::free(KIND, value, range));
    }
    if case.question.role == Role::Both && case.question.targets.is_empty() {
        return Some(Limit::free(
            KIND,
            format!(
                "{} ports x {} addresses of 127.0.0.0/8, each of which can be a source and a target",
                count(ports),
                count((1 << 24) - 2)
            ),
            range,
        ));
    }
    let targets: Vec<Option<SocketAddr>> = match case.question.targets.is_empty() {
        true => vec![None],
        false => case.question.targets.iter().copied().map(Some).collect(),
    };
    let n = targets.len() as u64;
    // Connections go to the targets in turn, each of which may be named several times: at the places `turns` of each
    // round. It is full when it has `free` connections and its turn comes again.
    let mut turns: HashMap<Option<SocketAddr>, Vec<u64>> = HashMap::new();
    for (k, target) in targets.iter().enumerate() {
        let places = turns.entry(target.map(destination)).or_default();
        places.push(k as u64);
    }
    let tightest = targets
        .iter()
        .filter_map(|target| {
            let left = left(case, *target)?;
            let places = &turns[&target.map(destination)];
            Some((until_full(left.free, places, n), left))
        })
        .min_by_key(|(allows, _)| *allows);
    let distinct = turns.len() as u64;
    let Some((allows, left)) = tightest else {
        return Some(Limit::free(
            KIND,
            format!(
                "{} ports x {} source addresses of 127.0.0.0/8, of which throng uses as many as it needs",
                count(ports),
                count((1 << 24) - 2)
            ),
            range,
        ));
    };
    let mut value = format!(
        "{} ports x {}",
        count(ports),
        counted(left.sources, "source address", "source addresses"),
    );
    if left.in_use > 0 {
        value += &format!(" less {} in use", count(left.in_use));
    }
    if left.time_wait > 0 {
        value += &format!(
            " less {} in TIME_WAIT (tcp_tw_reuse {}{})",
            count(left.time_wait),
            case.host.ports.tw_reuse.unwrap_or(0),
            match case.host.ports.timestamps {
                Some(0) => ", without tcp_timestamps",
                _ => "",
            }
        );
    }
    value += &match (distinct, left.target) {
        (1, Some(target)) => format!(" to {target}"),
        (1, None) => " to one address and port".into(),
        (_, Some(target)) => {
            format!(" x {distinct} targets in turn, of which {target} is the fullest")
        }
        (_, None) => format!(" x {distinct} targets"),
    };
    let mut limit = Limit::held(KIND, allows, value, range);
    limit.lifts = lifts(case, &left, distinct);
    Some(limit)
}

/// The most source addresses that a message names.
const NAMED: usize = 4;

/// Source addresses that can't be bound to, if any were asked for.
pub(super) fn foreign_sources(case: &Case) -> Option<Limit> {
    let sources = &case.question.sources;
    let foreign = &case.host.foreign_sources;
    let foreign: Vec<&IpAddr> = sources.iter().filter(|ip| foreign.contains(ip)).collect();
    let first = foreign.first()?;
    let named: Vec<String> = foreign
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let rest = match foreign.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {} more", count(n as u64)),
    };
    let verb = match foreign.len() {
        1 => "is not an address",
        _ => "are not addresses",
    };
    let value = format!("{}{rest} {verb} of this machine", named.join(", "));
    let length = if first.is_ipv4() { 32 } else { 128 };
    Some(
        Limit::held(
            LimitKind::SourceAddress,
            0,
            value,
            "bind() to each --source-ip",
        )
        .lifted([
            Lift::by("add each like this")
                .command(format!("sudo ip address add {first}/{length} dev DEVICE")),
            Lift::by("give --source-ip only addresses of this machine"),
        ]),
    )
}

/// The port range, and what is deducted from it, in words.
fn range(ports: &Ports) -> String {
    let (low, high) = ports.range.unwrap_or(DEFAULT_PORT_RANGE);
    let all = u64::from(high) + 1 - u64::from(low.min(high));
    let mut text = match ports.range {
        Some(_) => format!("{RANGE} {low}-{high}"),
        None => format!("{RANGE} (not read; Linux's default, {low}-{high})"),
    };
    let bound = u64::from(ports.bound);
    let reserved = all
        .saturating_sub(u64::from(ports.usable()))
        .saturating_sub(bound);
    if reserved > 0 {
        text += &format!(", less {} in ip_local_reserved_ports", count(reserved));
    }
    if bound > 0 {
        text += &format!(", less {} already bound", count(bound));
    }
    text
}

fn lifts(case: &Case, left: &Left, targets: u64) -> Vec<Lift> {
    let host = case.host;
    let ports = u64::from(host.ports.usable());
    let mut all = Vec::new();
    if left.time_wait > 0 {
        all.push(Lift::by("reuse ports in TIME_WAIT after a second").command(
            match host.ports.timestamps {
                Some(0) => "sudo sysctl -w net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_timestamps=1",
                _ => "sudo sysctl -w net.ipv4.tcp_tw_reuse=1",
            },
        ));
    }
    let v4 = left.target.is_none_or(|t| t.is_ipv4());
    let here = host
        .addresses
        .iter()
        .filter(|ip| ip.is_ipv4() == v4)
        .count() as u64;
    let elsewhere = left.target.is_none_or(|t| !host.has_address(t.ip()));
    let goal = case.goal(left.free.saturating_mul(targets).saturating_add(1));
    let needed = goal.div_ceil((ports * targets).max(1));
    if case.question.sources.is_empty() && elsewhere && here > 1 {
        let options: Vec<String> = host
            .addresses
            .iter()
            .filter(|ip| ip.is_ipv4() == v4)
            .take(needed.max(2) as usize)
            .map(|ip| format!("--source-ip {ip}"))
            .collect();
        all.push(
            Lift::by(format!(
                "use all addresses of this machine ({})",
                count(here)
            ))
            .command(options.join(" "))
            .allowing(here * ports * targets),
        );
    }
    if needed > left.sources.max(here) && ports > 0 {
        all.push(
            Lift::by(format!(
                "more source addresses: each allows {} more, {} are enough; add them like this, then use --source-ip FIRST-LAST",
                count(ports * targets),
                counted(needed, "address", "addresses")
            ))
            .command(match v4 {
                true => "sudo ip address add ADDRESS/32 dev DEVICE",
                false => "sudo ip address add ADDRESS/128 dev DEVICE",
            })
            .allowing(needed * ports * targets),
        );
    }
    let wide = widened(host);
    if wide.usable() > host.ports.usable() {
        all.push(
            Lift::by("a wider port range, without the ports that servers here listen on")
                .command(widen_command(&wide))
                .allowing(u64::from(wide.usable()) * left.sources * targets),
        );
    }
    let each = (ports * left.sources).max(1);
    let needed = goal.div_ceil(each);
    if needed > targets {
        all.push(Lift::by(format!(
            "more target ports or addresses: each allows {} more, {} in all are enough",
            count(each),
            count(needed)
        )));
        all.push(Lift::by(format!(
            "more client hosts: each allows {} more, {} in all are enough",
            count(each * targets),
            count(goal.div_ceil(each * targets))
        )));
        all.push(
            Lift::by("reverse proxies in front of the target, each with its own ports")
                .command("throng plan --proxies K"),
        );
    }
    all
}

/// The ports of the widest range, with those of listeners reserved.
pub(super) fn widened(host: &Host) -> Ports {
    let mut reserved: Vec<(u16, u16)> = host.ports.reserved.clone();
    let listening = host.listeners.iter().map(|l| l.address.port());
    reserved.extend(listening.filter(|p| *p >= WIDE.0).map(|p| (p, p)));
    reserved.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (from, to) in reserved {
        match joined.last_mut() {
            Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    Ports {
        range: Some(WIDE),
        reserved: joined,
        bound: 0,
        tw_reuse: host.ports.tw_reuse,
        timestamps: host.ports.timestamps,
    }
}

/// The command that sets `ports`.
pub(super) fn widen_command(ports: &Ports) -> String {
    let (low, high) = ports.range.unwrap_or(WIDE);
    let mut command = format!("sudo sysctl -w {RANGE}=\"{low} {high}\"");
    if !ports.reserved.is_empty() {
        let list: Vec<String> = ports
            .reserved
            .iter()
            .map(|(from, to)| match from == to {
                true => from.to_string(),
                false => format!("{from}-{to}"),
            })
            .collect();
        command += &format!(" {RESERVED}={}", list.join(","));
    }
    command
}
