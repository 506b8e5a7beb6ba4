//! Limits of this machine that an error code or a state of the kernel names.

use super::cause::Diagnosis;
use super::evidence::{Evidence, Target};
use crate::capacity::LimitKind;
use crate::human::{count as number, things, verb};
use crate::stats::FailCause;

/// The limits that stop a run by themselves, the likeliest first.
pub fn all(e: &Evidence) -> impl Iterator<Item = Diagnosis> {
    let all = [
        memory(e),
        source_gone(e),
        four_tuples(e),
        own_files(e),
        silence(e),
        tcp_memory(e),
    ];
    all.into_iter().flatten()
}

/// The limits that stop a run whose connections go to Unix sockets.
pub fn of_unix(e: &Evidence) -> impl Iterator<Item = Diagnosis> {
    let all = [memory(e), own_files(e), full_unix_queue(e)];
    all.into_iter().flatten()
}

/// Nothing but a full accept queue lets connect() of a Unix socket wait (unix_stream_connect()).
fn full_unix_queue(e: &Evidence) -> Option<Diagnosis> {
    let timed_out = e.clients.failed(FailCause::TimedOut);
    let sockets: Vec<String> = e.unix.iter().map(|at| format!("unix:{at}")).collect();
    (timed_out > 0).then(|| Diagnosis {
        limit: LimitKind::AcceptQueue,
        allows: None,
        certain: true,
        what: format!(
            "the accept queue of {} was full: {} waited for room until their time was up",
            sockets.join(" or "),
            things(timed_out, "attempt")
        ),
        remedy: "Let the server accept faster, or give it a longer queue (its backlog in listen(), and sysctl -w net.core.somaxconn=65535).".into(),
    })
}

fn memory(e: &Evidence) -> Option<Diagnosis> {
    let (left, limit) = e.memory_left?;
    Some(Diagnosis {
        limit,
        allows: Some(e.plateau),
        certain: true,
        what: format!(
            "opening stopped because only {} MiB of memory were left",
            left >> 20
        ),
        remedy: "Free memory, raise the container's limit, or spread the connections over more machines.".into(),
    })
}

/// A source address that this machine had when the run began, and has no more.
fn source_gone(e: &Evidence) -> Option<Diagnosis> {
    let first = e.sources_gone.first()?;
    let causes = [
        FailCause::NoAddress,
        FailCause::Unreachable,
        FailCause::TimedOut,
    ];
    if causes.iter().all(|why| e.clients.failed(*why) == 0) {
        return None;
    }
    let others = match e.sources_gone.len() - 1 {
        0 => String::new(),
        n => format!(" (and {} others)", number(n as u64)),
    };
    Some(Diagnosis {
        limit: LimitKind::SourceAddress,
        allows: None,
        certain: true,
        what: format!(
            "the source address {first}{others} was removed from this machine during the run, after up to {}",
            things(e.plateau, "connection")
        ),
        remedy: "Add it again (ip address add), and find out what removed it: DHCP, a VRRP daemon, a network manager.".into(),
    })
}

/// The share of a target's four-tuples from which on none may be free: others come and go.
const NEARLY_ALL: f64 = 0.95;

fn four_tuples(e: &Evidence) -> Option<Diagnosis> {
    // If no connection was established, the source address is not of this machine.
    if e.clients.failed(FailCause::NoAddress) == 0 || e.plateau == 0 || !e.sources_gone.is_empty() {
        return None;
    }
    let used_up = e
        .targets
        .iter()
        .find(|t| t.tuples > 0 && t.tuples_in_use as f64 >= t.tuples as f64 * NEARLY_ALL);
    let ports = things(e.ports, "local port");
    let remedy = "Add source addresses (--source-ip), targets (more ports or addresses), or ports (sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\").";
    let Some(target) = used_up else {
        let most = e.targets.iter().max_by_key(|t| t.tuples_in_use);
        let but = most.map_or(String::new(), |t| {
            format!(
                ", but {} of {} are in use to {} now",
                number(t.tuples_in_use),
                number(t.tuples),
                t.address
            )
        });
        return Some(Diagnosis {
            limit: LimitKind::FourTuples,
            allows: None,
            certain: false,
            what: format!(
                "perhaps the four-tuples: {} found no free local address and port{but}",
                things(e.clients.failed(FailCause::NoAddress), "attempt")
            ),
            remedy: remedy.into(),
        });
    };
    // The plan's number is of the time before the run. Ports that became free or were taken since make it wrong.
    let in_use: u64 = e.targets.iter().map(|t| t.tuples_in_use).sum();
    let allows = e
        .four_tuples
        .filter(|allows| e.plateau <= *allows && e.plateau as f64 >= *allows as f64 * NEARLY_ALL);
    Some(Diagnosis {
        limit: LimitKind::FourTuples,
        allows,
        certain: true,
        what: match allows {
            Some(allows) => format!(
                "the four-tuples ran out at {}: {ports} for each source address and target, {} in all",
                things(e.plateau, "connection"),
                number(allows)
            ),
            None => format!(
                "the four-tuples ran out at {}: {} of {} to {} are in use{}",
                things(e.plateau, "connection"),
                number(target.tuples_in_use),
                number(target.tuples),
                target.address,
                match in_use > e.plateau {
                    true => ", by connections of others or in TIME_WAIT, too",
                    false => "",
                }
            ),
        },
        remedy: remedy.into(),
    })
}

fn own_files(e: &Evidence) -> Option<Diagnosis> {
    (e.clients.failed(FailCause::FileLimit) > 0).then(|| Diagnosis {
        limit: LimitKind::OpenFiles,
        allows: None,
        certain: true,
        what: format!(
            "this process reached a limit on open files at {} (ulimit -Hn is {})",
            things(e.plateau, "connection"),
            number(e.file_limit)
        ),
        remedy: "Use --engine uring, which the process's limit does not bind; or raise that limit (ulimit -Hn N as root, LimitNOFILE= in systemd), and the machine's (sysctl -w fs.file-max=N).".into(),
    })
}

/// The least number of connections without an acknowledgement that say something, and their share of those that are
/// established: the others may have sent nothing.
const FEW: u64 = 3;
const SILENT_PART: u64 = 5;

/// A path on which nothing comes back any more. A server that is busy, or has no files left, acknowledges all the same:
/// its kernel does.
fn silence(e: &Evidence) -> Option<Diagnosis> {
    let silent =
        |t: &&Target| t.unacknowledged >= FEW && t.unacknowledged * SILENT_PART >= t.established;
    let t = e.targets.iter().find(silent)?;
    // A server elsewhere whose accept queue is full never had them: its kernel drops the end of their handshakes.
    let certain = t.served_at.is_some() || t.heard_before >= FEW;
    let path = "Look at the path: a link that is down, a firewall or NAT that forgot its connections, an address that moved (ip neigh), a machine that hangs.";
    Some(Diagnosis {
        limit: LimitKind::Path,
        allows: None,
        certain,
        what: format!(
            "{}nothing comes back from {}{}: {} of {} established connections retransmit without an acknowledgement",
            if certain { "" } else { "perhaps the path: " },
            t.address,
            if certain { " any more" } else { "" },
            number(t.unacknowledged),
            number(t.established)
        ),
        remedy: match certain {
            true => path.into(),
            false => format!(
                "{path} A server whose accept queue is full looks the same: it drops the end of handshakes (nstat TcpExtListenOverflows there)."
            ),
        },
    })
}

fn tcp_memory(e: &Evidence) -> Option<Diagnosis> {
    let k = &e.kernel;
    let failed = e.clients.failed(FailCause::NoMemory);
    let pressures = format!(
        "{} in this network namespace {} reset for lack of memory or for too many orphans, and TCP's buffers were under pressure {}",
        things(k.aborts_on_memory, "connection"),
        verb(k.aborts_on_memory, "was", "were"),
        things(k.memory_pressures, "time")
    );
    let what = match (failed, k.aborts_on_memory) {
        (0, 0) => return None,
        (0, _) => format!("perhaps the kernel's memory for sockets: {pressures}"),
        (failed, _) => format!(
            "the kernel had no memory for sockets: {} failed for it, {pressures}",
            things(failed, "attempt")
        ),
    };
    Some(Diagnosis {
        limit: LimitKind::TcpMemory,
        allows: None,
        certain: failed > 0,
        what,
        remedy: "Raise net.ipv4.tcp_mem, or the container's memory limit; look at ulimit -l."
            .into(),
    })
}
