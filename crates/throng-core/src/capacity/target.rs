//! Limits on the way to the target: connection tracking, and the file limit of the server's process if it is on this
//! machine.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind, counted};
use super::tuples::until_full;
use crate::host::{Host, Listener, Process};
use crate::human::count;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) fn limits(case: &Case) -> Vec<Limit> {
    let mut all = vec![conntrack(case)];
    all.extend(target_files(case));
    all
}

/// Connection tracking: one entry per connection, because both ends in one namespace share it.
fn conntrack(case: &Case) -> Limit {
    const KIND: LimitKind = LimitKind::Conntrack;
    let host = case.host;
    if case.question.unix {
        return Limit::free(KIND, "Unix sockets are not tracked", "nf_conntrack");
    }
    let Some(c) = &host.conntrack else {
        let unread = host.unread.iter().find(|u| u.what.contains("conntrack"));
        return match unread {
            Some(u) => Limit::unread(KIND, host, &u.what),
            None => Limit::free(KIND, "connections are not tracked here", "nf_conntrack"),
        };
    };
    let source = "net.netfilter.nf_conntrack_max, nf_conntrack_count";
    let value = format!("{} entries, {} in use", count(c.max), count(c.count));
    if c.active == Some(false) {
        return Limit::free(
            KIND,
            format!("{value}; not active in this network namespace"),
            source,
        );
    }
    let allows = c.max.saturating_sub(c.count);
    let max = case
        .goal(allows.saturating_mul(2))
        .saturating_add(c.count)
        .next_multiple_of(1000);
    let port = case
        .question
        .targets
        .first()
        .map_or("PORT".into(), |t| t.port().to_string());
    // What the client's end sends goes to the port, and what the server's end sends comes from it.
    let chain = |name: &str, to_port: bool, from_port: bool| {
        let rules = [(to_port, "dport"), (from_port, "sport")];
        let rules = rules.iter().filter(|(here, _)| *here);
        let rules: Vec<String> = rules
            .map(|(_, which)| {
                format!(" && sudo nft add rule inet throng {name} tcp {which} {port} notrack")
            })
            .collect();
        format!(
            "sudo nft add chain inet throng {name} '{{ type filter hook {name} priority raw; }}'{}",
            rules.concat()
        )
    };
    let (connects, accepts) = (case.connects(), case.accepts());
    let limit = Limit::held(KIND, allows, value, source).lifted([
        Lift::by("more entries, and one bucket per four of them").command(format!(
            "sudo sysctl -w net.netfilter.nf_conntrack_max={max} net.netfilter.nf_conntrack_buckets={}",
            (max / 4).max(c.buckets.unwrap_or(0))
        )),
        Lift::by("leave these connections untracked (NOTRACK; stateful rules and NAT then ignore them)")
            .command(format!(
                "sudo nft add table inet throng && {} && {}",
                chain("output", connects, accepts),
                chain("prerouting", accepts, connects)
            )),
    ]);
    match c.active {
        Some(_) => limit,
        None => Limit {
            value: format!(
                "{} (if it is active here, which only root can see)",
                limit.value
            ),
            ..limit.unsure()
        },
    }
}

/// The listeners for connections to `target` on this machine: those on its address, else those on all addresses.
pub fn listeners<'a>(host: &'a Host, target: SocketAddr) -> Vec<&'a Listener> {
    if !host.has_address(target.ip()) {
        return Vec::new();
    }
    let on = |exact: bool| -> Vec<&'a Listener> {
        let fits = |l: &&Listener| {
            let at = l.address;
            let any = at.ip().is_unspecified() && (at.is_ipv6() || target.is_ipv4());
            at.port() == target.port() && if exact { at.ip() == target.ip() } else { any }
        };
        host.listeners.iter().filter(fits).collect()
    };
    let exact = on(true);
    if exact.is_empty() { on(false) } else { exact }
}

/// The processes of `host` that accept connections to `target`, without duplicates.
pub fn servers(host: &Host, target: SocketAddr) -> Vec<&Process> {
    let listeners = listeners(host, target);
    let mut processes: Vec<_> = listeners.into_iter().flat_map(|l| &l.processes).collect();
    processes.sort_by_key(|p| p.pid);
    processes.dedup_by_key(|p| p.pid);
    processes
}

/// The files that the server's processes may still open. A process that keeps sockets in io_uring's tables is not
/// bound.
fn target_files(case: &Case) -> Option<Limit> {
    if !case.connects() {
        return None;
    }
    let n = case.question.targets.len() as u64;
    // Targets with the same server share its files.
    let mut served: BTreeMap<Vec<u32>, Vec<u64>> = BTreeMap::new();
    let pids = |target| servers(case.host, target).iter().map(|p| p.pid).collect();
    for (k, target) in case.question.targets.iter().enumerate() {
        served.entry(pids(*target)).or_default().push(k as u64);
    }
    let (allows, target, processes) = served
        .values()
        .filter_map(|places| {
            let target = case.question.targets.get(*places.first()? as usize)?;
            let processes = servers(case.host, *target);
            // nginx's master has the listener, too, and accepts nothing. Which process accepts is not visible from
            // outside, so all that have the listener count.
            if processes.is_empty() || processes.iter().any(|p| p.uring) {
                return None;
            }
            let free = processes.iter().fold(0u64, |sum, p| {
                sum.saturating_add(p.file_limit.saturating_sub(p.files_open))
            });
            Some((until_full(free, places, n), target, processes))
        })
        .min_by_key(|(allows, ..)| *allows)?;
    let words: Vec<String> = processes
        .iter()
        .map(|p| {
            format!(
                "the server {} (pid {}) may open {} files and has {} open",
                p.name,
                p.pid,
                match p.file_limit {
                    u64::MAX => "any number of".into(),
                    n => count(n),
                },
                count(p.files_open)
            )
        })
        .collect();
    let most = 3;
    let mut value = words[..words.len().min(most)].join(", ");
    if words.len() > most {
        value += &format!(", and so on for {} processes", words.len());
    }
    let source =
        format!("RLIMIT_NOFILE in /proc/PID/limits of the process that listens on {target}");
    let workers: u64 = processes.iter().map(|p| u64::from(p.workers)).sum();
    if workers > 0 {
        value += &format!(
            "; it may hand connections to {}",
            counted(workers, "child process", "child processes")
        );
        return Some(Limit::free(LimitKind::TargetFiles, value, source));
    }
    let keeps_many = processes.iter().all(|p| p.keeps_many);
    if !keeps_many {
        value += ", unless it starts a process for each connection";
    }
    let share = case
        .goal(allows.saturating_mul(2))
        .div_ceil(n.max(1))
        .div_ceil(processes.len() as u64);
    let wanted = processes
        .iter()
        .map(|p| p.files_open.saturating_add(share))
        .max()
        .unwrap_or(share)
        .next_multiple_of(1000);
    let commands: Vec<String> = processes
        .iter()
        .map(|p| format!("sudo prlimit --pid {} --nofile={wanted}:{wanted}", p.pid))
        .collect();
    let limit = Limit::held(LimitKind::TargetFiles, allows, value, source).lifted([
        Lift::by("raise it while the server runs (the server may also have a limit of its own)")
            .command(commands.join(" && ")),
        Lift::by(format!(
            "permanently: LimitNOFILE={wanted} in its systemd unit"
        )),
    ]);
    Some(match keeps_many {
        true => limit,
        false => limit.unsure(),
    })
}
