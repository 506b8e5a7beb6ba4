//! The client hosts that a number of connections needs, and the commands that start them.

use super::case::Case;
use crate::host::DEFAULT_PORT_RANGE;
use serde::{Deserialize, Serialize};

/// Client hosts, or containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// Connections in all.
    pub connections: u64,
    /// Connections that each holds.
    pub each: u64,
    /// Number of hosts.
    pub hosts: u64,
    /// Connections that the last of them holds.
    pub last: u64,
    /// Local ports that each host needs to one target, from one address.
    pub ports: u64,
    /// Whether Linux's default range has that many ports.
    pub default_ports_do: bool,
    /// The command for each host.
    pub command: String,
    /// The command that starts all of them as containers on this machine.
    pub docker: String,
}

/// Files that a throng in a container needs besides connections.
const SPARE_FILES: u64 = 200;
/// The image in the command for containers.
const IMAGE: &str = "throng";

pub(super) fn of(case: &Case) -> Option<Clients> {
    let each = case.question.per_client.filter(|n| *n > 0)?;
    let connections = case.question.connections?;
    let hosts = connections.div_ceil(each);
    let last = connections - hosts.saturating_sub(1) * each;
    let targets: Vec<String> = case
        .question
        .targets
        .iter()
        .map(ToString::to_string)
        .collect();
    let ports = each.min(connections).div_ceil(targets.len().max(1) as u64);
    let (low, high) = DEFAULT_PORT_RANGE;
    let default_ports_do = ports <= u64::from(high - low) + 1;
    let target = match targets.is_empty() {
        true => "HOST:PORT".into(),
        false => targets.join(" "),
    };
    let tls = match (case.question.tls, case.question.resume) {
        (false, _) => "",
        (true, false) => " --tls",
        (true, true) => " --tls --resume",
    };
    let load = |n: &str| format!("throng load -c {n}{tls} {target}");
    let first = each.min(connections);
    let widen = match default_ports_do {
        true => String::new(),
        false => " --sysctl net.ipv4.ip_local_port_range=\"1024 65535\"".into(),
    };
    // Docker's seccomp profile forbids io_uring; with epoll each connection is a file.
    let files = first + SPARE_FILES;
    let run = |n: &str, name: &str| {
        format!(
            "docker run -d --name throng-{name} --ulimit nofile={files}:{files}{widen} {IMAGE} {}",
            load(n).trim_start_matches("throng ")
        )
    };
    let docker = match hosts {
        0 | 1 => run(&last.to_string(), "1"),
        _ if last == each => format!(
            "for i in $(seq {hosts}); do {}; done",
            run(&each.to_string(), "$i")
        ),
        _ => format!(
            "for i in $(seq {}); do {}; done; {}",
            hosts - 1,
            run(&each.to_string(), "$i"),
            run(&last.to_string(), &hosts.to_string())
        ),
    };
    Some(Clients {
        connections,
        each,
        hosts,
        last,
        ports,
        default_ports_do,
        command: load(&first.to_string()),
        docker,
    })
}
