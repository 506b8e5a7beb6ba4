//! Reads everything that a plan needs to know about this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use throng_core::host::{Host, Uring, VERSION};

pub use crate::addresses::source_for;
use crate::addresses::{self, is_local};
use crate::kernel::Kernel;
use crate::listeners::{self, Listening};
use crate::reader::Reader;
use crate::{accept, conntrack, limits, memory, ports, targets, tasks, tcp};

/// What to read beyond the limits themselves. By default nothing: then a survey takes some milliseconds, and opens no
/// connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Count the connections to each of these ([`Host::targets`]). That reads all connections of this network
    /// namespace, without keeping any.
    pub targets: Vec<SocketAddr>,
    /// Test which of these can't be bound to ([`Host::foreign_sources`]).
    pub sources: Vec<IpAddr>,
    /// Which listeners' processes to look up ([`throng_core::host::Listener::processes`]).
    pub processes: Processes,
    /// Leave out this process.
    pub skip_self: bool,
    /// Test whether connections to the ports of the targets, and to those of `serving`, are tracked
    /// ([`throng_core::host::Conntrack::active`]), by opening a few over loopback: by IPv6 if all targets are IPv6, else
    /// by IPv4.
    pub tracking: bool,
    /// The ports that this process is going to listen on.
    pub serving: Vec<u16>,
    /// How many connections this process is going to open, if that is known. Where there are far more ports than that, those
    /// that others have bound and connected from ([`throng_core::host::Ports::bound`]) are not asked for one by one, which
    /// takes up to a tenth of a second.
    pub opening: Option<u64>,
}

/// Which listeners' processes to look up. That reads the descriptors of each process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Processes {
    /// Those of no listener.
    #[default]
    None,
    /// Those of listeners that serve one of the targets.
    OfTargets,
    /// Those of all listeners.
    All,
}

/// Reads this machine. It never fails: what can't be read is in [`Host::unread`], with the reason. `uring` keeps its
/// default, for the caller to fill in.
#[must_use]
pub fn survey(wanted: &Wanted) -> Host {
    let mut reader = Reader::default();
    let r = &mut reader;
    let kernel = r.kept("uname", Kernel::read());
    let listeners = listeners(r, wanted);
    let listened_on = listeners.iter().map(|l| l.listener.address.port());
    let (ports, usable) = ports::read(r, listened_on, wanted.opening);
    let listeners = listeners.into_iter().map(|l| l.listener).collect();
    Host {
        version: VERSION,
        cores: kernel.as_ref().map_or(1, |k| k.cores as u32),
        name: kernel.as_ref().map(|k| k.hostname.clone()),
        kernel: kernel.map_or_else(|| "unknown".into(), |k| k.release),
        addresses: r
            .kept("the interfaces' addresses", addresses::of_interfaces())
            .unwrap_or_default(),
        ipv6: addresses::has_ipv6(),
        ports,
        files: limits::read(r),
        memory: memory::read(r),
        accept: accept::read(r),
        conntrack: tracking(r, wanted),
        tcp: tcp::read(r),
        tasks: tasks::read(r),
        uring: Uring::default(),
        listeners,
        targets: targets::read(r, &wanted.targets, &wanted.sources, &usable),
        foreign_sources: wanted
            .sources
            .iter()
            .copied()
            .filter(|ip| !is_local((*ip, 0).into()))
            .collect(),
        unread: reader.into_unread(),
    }
}

fn listeners(reader: &mut Reader, wanted: &Wanted) -> Vec<Listening> {
    let mut all = reader
        .kept("listeners (NETLINK_SOCK_DIAG)", listeners::read())
        .unwrap_or_default();
    let meant = |listening: &Listening| match wanted.processes {
        Processes::None => false,
        Processes::OfTargets => wanted.targets.iter().any(|t| listening.serves(*t)),
        Processes::All => true,
    };
    let except = wanted.skip_self.then(std::process::id);
    listeners::find_processes(reader, &mut all, meant, except);
    all
}

fn tracking(reader: &mut Reader, wanted: &Wanted) -> Option<throng_core::host::Conntrack> {
    let targets = &wanted.targets;
    let ipv6 = !targets.is_empty() && targets.iter().all(|t| t.ip().to_canonical().is_ipv6());
    let loopback = if ipv6 {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::from(Ipv4Addr::LOCALHOST)
    };
    let mut ports = wanted.serving.clone();
    ports.extend(targets.iter().map(SocketAddr::port));
    // A port of 0 is not known yet.
    ports.retain(|port| *port != 0);
    ports.sort_unstable();
    ports.dedup();
    let asked = conntrack::Asked {
        over: loopback,
        ports,
        elsewhere: targets.is_empty() || !targets.iter().all(|t| is_local(*t)),
    };
    conntrack::read(reader, wanted.tracking.then_some(&asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Server, all, become_nobody, inside, why};

    #[test]
    fn an_unprivileged_user_learns_what_he_may_and_what_not() {
        if !inside(
            "survey::tests::an_unprivileged_user_learns_what_he_may_and_what_not",
            "",
        ) {
            return;
        }
        let server = Server::start("");
        let privileged = std::fs::read_to_string("/proc/slabinfo").is_ok();
        let host = survey(&all(&[server.address]));
        assert_eq!(
            host.memory.objects.is_some(),
            privileged,
            "{:?}",
            host.unread
        );
        assert_eq!(
            why(&host, "/proc/slabinfo").is_none(),
            privileged,
            "{:?}",
            host.unread
        );
        become_nobody();
        let host = survey(&all(&[server.address]));
        assert_eq!(host.memory.objects, None);
        assert!(why(&host, "/proc/slabinfo").unwrap().contains("root"));
        let listener = &host.listeners[0];
        assert_eq!((listener.address, listener.backlog), (server.address, 7));
        if privileged {
            assert_eq!(listener.processes, []);
            assert!(
                why(&host, "processes that listen on 127.0.0.1")
                    .unwrap()
                    .contains("root")
            );
        }
        assert!(host.targets[0].local && host.ports.range.is_some());
        assert!(host.tcp.rmem.is_some() && host.files.open > 0);
        // Only root can read what Linux shows in the machine's first namespace alone.
        assert!(why(&host, "tcp_mem").is_some_and(|w| w.contains("namespace")));
    }

    #[test]
    fn without_proc_sys_each_value_says_so_and_the_rest_is_there() {
        let test = "survey::tests::without_proc_sys_each_value_says_so_and_the_rest_is_there";
        if !inside(test, "mount -t tmpfs none /proc/sys") {
            return;
        }
        let host = survey(&all(&["127.0.0.1:1".parse().unwrap()]));
        for path in [
            "net/ipv4/ip_local_port_range",
            "net/ipv4/tcp_mem",
            "net/core/somaxconn",
            "net/netfilter/nf_conntrack_count",
            "fs/file-nr",
            "kernel/pid_max",
        ] {
            assert!(
                why(&host, path).is_some_and(|w| w.starts_with("it does not exist")),
                "{path}"
            );
        }
        assert_eq!((host.ports.range, host.accept.somaxconn), (None, None));
        assert_eq!((host.tcp.mem_pages, host.conntrack.clone()), (None, None));
        assert_eq!(host.ports.usable(), 28_232);
        assert!(host.memory.total > 0 && host.tcp.mem_used_pages.is_some() && host.files.hard > 0);
    }

    #[test]
    fn without_proc_nothing_is_known_and_nothing_panics() {
        let test = "survey::tests::without_proc_nothing_is_known_and_nothing_panics";
        if !inside(test, "mount -t tmpfs none /proc") {
            return;
        }
        let host = survey(&all(&["127.0.0.1:1".parse().unwrap()]));
        assert!(why(&host, "/proc/meminfo").is_some() && why(&host, "sockstat").is_some());
        assert!(
            why(&host, "/proc/self/cgroup").is_some(),
            "{:?}",
            host.unread
        );
        assert_eq!((host.memory.objects, host.tasks.max), (None, None));
        // Some values are known without files.
        assert!(host.memory.total > 0 && host.memory.available > 0 && host.files.hard > 0);
        assert!(host.cores >= 1 && !host.kernel.is_empty());
    }
}
