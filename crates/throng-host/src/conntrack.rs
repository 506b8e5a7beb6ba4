//! Connection tracking: how many connections its table may hold, whether it tracks this machine's connections, and what
//! it dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, socket};
use nix::{libc, setsockopt_impl, sockopt_impl};
use serde::{Deserialize, Serialize};
use throng_core::address::destination;
use throng_core::host::Conntrack;

use crate::listen::accept_queue;
use crate::proc_text;
use crate::reader::{Reader, in_words};

/// Entries of this network namespace.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// How many entries each network namespace may have.
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Connections to begin at once for the test whether they are tracked. They are few, because each leaves an entry for
/// a minute.
const CONNECTIONS: usize = 2;
/// How often that test must fail before connections count as not tracked: entries that time out meanwhile hide new
/// ones.
const TRIES: usize = 3;
/// More ports than this are not all tested.
const PORTS: usize = 4;

/// Which connections are to be tested for being tracked.
pub(crate) struct Asked {
    /// The loopback address to test over.
    pub(crate) over: IpAddr,
    /// The ports that the connections will go to: rules may exempt single ports. Empty if they are not known.
    pub(crate) ports: Vec<u16>,
    /// Whether connections to or from other machines matter, too.
    pub(crate) elsewhere: bool,
}

/// Reads the limits of connection tracking; `None` if it is not loaded. Tests whether the connections `asked` about are
/// tracked.
pub(crate) fn read(reader: &mut Reader, asked: Option<&Asked>) -> Option<Conntrack> {
    let before: u64 = reader.number(COUNT)?;
    let max = reader.number(MAX)?;
    let buckets = reader.number("/proc/sys/net/netfilter/nf_conntrack_buckets");
    let active = asked.and_then(|asked| {
        let count = before;
        let why = match tracks(asked) {
            Ok(true) => return Some(true),
            Ok(false) if count == 0 || !asked.elsewhere => return Some(false),
            // Loopback is not exempt as such, so the ports are.
            // So they are if new connections to other ports are dropped for want of an entry.
            Ok(false)
                if !asked.ports.is_empty()
                    && tracks_port(asked.over, 0).unwrap_or(count >= max) =>
            {
                return Some(false);
            }
            Ok(false) => format!(
                "connections over loopback are not tracked, yet there are {count} entries: loopback may be \
                 exempt, or tracking was switched off since; look at nft list ruleset"
            ),
            // New connections are dropped, so they are tracked.
            Err(_) if count >= max => return Some(true),
            Err(why) => why,
        };
        reader.note("whether conntrack tracks connections here", why);
        None
    });
    Some(Conntrack {
        active,
        max,
        // Includes the entries that this test left.
        count: reader.number(COUNT).unwrap_or(before),
        buckets,
    })
}

/// Whether any of the connections `asked` about is tracked in this network namespace. A loaded module does not mean so: a
/// namespace has its hooks only while a firewall rule there needs them, and only root can list rules. But every user
/// can see the count grow, which it does only if connections are tracked.
fn tracks(asked: &Asked) -> Result<bool, String> {
    let any_port = || {
        let tracked = tracks_port(asked.over, 0);
        tracked.map_err(|e| format!("no connection over loopback: {}", in_words(&e)))
    };
    if asked.ports.is_empty() {
        return any_port();
    }
    for port in asked.ports.iter().take(PORTS) {
        match tracks_port(asked.over, *port) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // Where no other port is tracked, this one is not either.
            Err(e) if any_port()? => {
                return Err(format!(
                    "connections to other ports are tracked, and port {port} can't be tested: {e}"
                ));
            }
            Err(_) => {}
        }
    }
    Ok(false)
}

/// Whether connections to `port` of the loopback address `over` are tracked; 0 for any port that is free.
fn tracks_port(over: IpAddr, port: u16) -> io::Result<bool> {
    let count = || proc_text::read_number::<u64>(COUNT);
    // Where nobody listens, the reset that answers would remove the entry at once.
    let listener = match TcpListener::bind((over, port)) {
        Ok(listener) => Some(listener),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_listened_on(over, port) => None,
        Err(e) => return Err(e),
    };
    let to = match &listener {
        Some(own) => own.local_addr()?,
        None => (over, port).into(),
    };
    for _ in 0..TRIES {
        let before = count()?;
        let mut held = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            held.push(knock(to)?);
        }
        if count()? > before {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_listened_on(over: IpAddr, port: u16) -> bool {
    matches!(accept_queue((over, port).into()), Ok(Some(_)))
}

/// The first packet of a connection. The answer has passed no router, but has a hop limit that is too low for this socket
/// and is dropped: no connection is established, and if a server gets the packet, its program sees nothing.
fn knock(to: SocketAddr) -> io::Result<OwnedFd> {
    const HIGHEST: i32 = 255;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let knocking = socket(family, SockType::Stream, flags, None)?;
    match to {
        SocketAddr::V4(_) => setsockopt(&knocking, MinTtl, &HIGHEST)?,
        SocketAddr::V6(_) => setsockopt(&knocking, MinHopCount, &HIGHEST)?,
    }
    let to = SockaddrStorage::from(to);
    match nix::sys::socket::connect(knocking.as_raw_fd(), &to) {
        Err(e) if e != Errno::EINPROGRESS => Err(e.into()),
        _ => Ok(knocking),
    }
}

sockopt_impl!(
    /// The least TTL of packets that a socket accepts (ip(7)).
    MinTtl, SetOnly, libc::IPPROTO_IP, libc::IP_MINTTL, i32
);
sockopt_impl!(
    /// The same for IPv6.
    MinHopCount, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, i32
);

/// What connection tracking refused since this network namespace was created. [`ConntrackDrops::since`] gives the
/// increase during a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConntrackDrops {
    /// Packets dropped because there was no room for a new entry: the table was full, or memory was short.
    pub drop: u64,
    /// Entries without a reply yet that were evicted to make room in a full table.
    pub early_drop: u64,
    /// Entries that could not be inserted; the packet was dropped.
    pub insert_failed: u64,
}

impl ConntrackDrops {
    /// Reads `/proc/net/stat/nf_conntrack`.
    ///
    /// # Errors
    /// If it can't be read (`NotFound` where conntrack is not loaded) or understood.
    pub fn read() -> io::Result<Self> {
        Self::at("self")
    }

    /// Reads those of the network namespace of process `pid`.
    ///
    /// # Errors
    /// There is no such process, or those of [`ConntrackDrops::read`].
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::at(&pid.to_string())
    }

    fn at(process: &str) -> io::Result<Self> {
        let path = stat(process);
        let text = proc_text::read(&path)?;
        Self::parse(&text).ok_or_else(|| proc_text::malformed(path, &text))
    }

    /// The increase from `earlier` to `self`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            drop: self.drop.saturating_sub(earlier.drop),
            early_drop: self.early_drop.saturating_sub(earlier.early_drop),
            insert_failed: self.insert_failed.saturating_sub(earlier.insert_failed),
        }
    }

    /// Parses a line of names and, for each core, a line of hexadecimal values.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next()?.split_whitespace().collect();
        let cores: Vec<Vec<u64>> = lines
            .map(|line| {
                let values = line.split_whitespace();
                values
                    .map(|value| u64::from_str_radix(value, 16).ok())
                    .collect()
            })
            .collect::<Option<_>>()?;
        let sum = |name| {
            let column = names.iter().position(|n| *n == name)?;
            let mut values = cores.iter().map(|core| core.get(column));
            values.try_fold(0_u64, |sum, value| sum.checked_add(*value?))
        };
        Some(Self {
            drop: sum("drop")?,
            early_drop: sum("early_drop")?,
            insert_failed: sum("insert_failed")?,
        })
    }
}

/// Counters of connection tracking in the network namespace of a process.
fn stat(process: &str) -> String {
    format!("/proc/{process}/net/stat/nf_conntrack")
}

/// How many entries the network namespace of process `pid` has.
///
/// # Errors
/// They can't be read (`NotFound` where conntrack is not loaded) or understood.
pub fn entries(pid: u32) -> io::Result<u64> {
    let path = stat(&pid.to_string());
    let text = proc_text::read(&path)?;
    entries_in(&text).ok_or_else(|| proc_text::malformed(path, &text))
}

/// Every line, which is of one core, has the number of all entries.
fn entries_in(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let column = lines
        .next()?
        .split_whitespace()
        .position(|n| n == "entries")?;
    u64::from_str_radix(lines.next()?.split_whitespace().nth(column)?, 16).ok()
}

/// How many entries a network namespace may have: the same for all of the machine.
///
/// # Errors
/// It can't be read (`NotFound` where conntrack is not loaded) or understood.
pub fn max() -> io::Result<u64> {
    proc_text::read_number(MAX)
}

/// Whether an entry in the network namespace of process `pid` is of a connection to one of `targets`. Only root can read them.
#[must_use]
pub fn has_target(pid: u32, targets: &[SocketAddr]) -> bool {
    let Ok(entries) = File::open(format!("/proc/{pid}/net/nf_conntrack")) else {
        return false;
    };
    let lines = BufReader::new(entries).lines().map_while(Result::ok);
    let mut to = lines.filter_map(|line| end(&line, "dst", "dport", 0));
    to.any(|to| targets.iter().any(|t| plain(destination(*t)) == to))
}

/// Whether NAT in this network namespace gives connections to one of `targets` another source address or port: whether an
/// entry says so. Only root can read them.
#[must_use]
pub fn translates(targets: &[SocketAddr]) -> bool {
    let Ok(entries) = File::open("/proc/self/net/nf_conntrack") else {
        return false;
    };
    let lines = BufReader::new(entries).lines().map_while(Result::ok);
    let mut sources = lines.filter_map(|line| translated_source(&line));
    sources.any(|to| targets.iter().any(|t| plain(destination(*t)) == to))
}

fn plain(address: SocketAddr) -> SocketAddr {
    (address.ip(), address.port()).into()
}

/// An end of an entry of `/proc/net/nf_conntrack`: the fields of these names in one of its two directions. Each has
/// `src=A dst=B sport=C dport=D`.
fn end(entry: &str, address: &str, port: &str, direction: usize) -> Option<SocketAddr> {
    let value = |name: &str| {
        let mut fields = entry.split_whitespace().filter_map(|f| f.split_once('='));
        let found = fields.by_ref().filter(|(n, _)| *n == name).nth(direction);
        found.map(|(_, value)| value)
    };
    let ip: IpAddr = value(address)?.parse().ok()?;
    let port: u16 = value(port)?.parse().ok()?;
    Some(SocketAddr::from((ip, port)))
}

/// The target of an entry whose source is translated: its answers go to another place than where its packets come from.
fn translated_source(entry: &str) -> Option<SocketAddr> {
    let end = |address, port, direction| end(entry, address, port, direction);
    let (from, to) = (end("src", "sport", 0)?, end("dst", "dport", 0)?);
    (end("dst", "dport", 1)? != from).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{all, become_nobody, inside, shell, why};
    use crate::survey::{Wanted, survey};

    #[test]
    fn drops_are_summed_over_cores() {
        let names = "entries  clashres found new invalid ignore delete chainlength insert \
            insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n";
        let core = |failed, drop, early| {
            format!(
                "00000011  00000000 00000000 00000000 00000007 00000000 00000000 00000000 00000000 \
                 {failed} {drop} {early} 00000000  00000000 00000000 00000000 00000000\n"
            )
        };
        let two = format!(
            "{names}{}{}",
            core("00000001", "0000000a", "00000000"),
            core("00000000", "00000010", "00000002")
        );
        assert_eq!(entries_in(&two), Some(17));
        assert_eq!(entries_in(names), None);
        let drops = ConntrackDrops {
            drop: 26,
            early_drop: 2,
            insert_failed: 1,
        };
        for (text, expected) in [
            (two.as_str(), Some(drops)),
            (names, Some(ConntrackDrops::default())),
            ("entries drop\n0 0\n", None),
            ("insert_failed drop early_drop\n0 0\n", None),
            ("insert_failed drop early_drop\n0 0 xyz\n", None),
            ("", None),
        ] {
            assert_eq!(ConntrackDrops::parse(text), expected, "{text:?}");
        }
        let earlier = ConntrackDrops {
            drop: 20,
            ..ConntrackDrops::default()
        };
        assert_eq!(drops.since(&earlier).drop, 6);
        assert_eq!(earlier.since(&drops), ConntrackDrops::default());
    }

    #[test]
    fn an_entry_says_whether_its_source_is_translated() {
        let entry = |reply: &str| {
            format!(
                "ipv4     2 tcp      6 59 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=43684 dport=9000 \
                 src=10.0.0.2 {reply} [ASSURED] mark=0 zone=0 use=2"
            )
        };
        let target = "10.0.0.2:9000".parse().ok();
        for (reply, found) in [
            ("dst=10.0.0.1 sport=9000 dport=43684", None),
            ("dst=10.0.0.1 sport=9000 dport=40009", target),
            ("dst=10.0.0.7 sport=9000 dport=43684", target),
            ("dst=10.0.0.1", None),
        ] {
            assert_eq!(translated_source(&entry(reply)), found, "{reply}");
        }
        assert_eq!(
            translated_source("ipv4 2 icmp 1 src=1.2.3.4 dst=1.2.3.5"),
            None
        );
    }

    #[test]
    fn whether_connections_are_tracked_is_found_out_without_root() {
        if !inside(
            "conntrack::tests::whether_connections_are_tracked_is_found_out_without_root",
            "",
        ) {
            return;
        }
        let active = |targets: &[&str]| {
            let targets: Vec<_> = targets.iter().map(|t| t.parse().unwrap()).collect();
            let host = survey(&all(&targets));
            let why = why(&host, "tracks").map(str::to_owned);
            (host.conntrack.map(|c| c.active), why)
        };
        let (state, _) = active(&[]);
        if state.is_none() {
            // This kernel does not have it, or does not show it in a user namespace.
            let host = survey(&all(&[]));
            assert!(why(&host, "nf_conntrack_").is_some(), "{:?}", host.unread);
            return;
        }
        let (v4, v6, remote) = (
            &["127.0.0.1:1"][..],
            &["[::1]:1"][..],
            &["198.51.100.1:80"][..],
        );
        for targets in [&[][..], v4, v6, remote] {
            assert_eq!(active(targets), (Some(Some(false)), None), "{targets:?}");
        }
        // The hooks exist for one family only.
        shell(
            "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; }; \
               add rule ip t c ct state invalid drop'",
        );
        for (targets, tracked) in [(v4, true), (remote, true), (v6, false)] {
            assert_eq!(active(targets).0, Some(Some(tracked)), "{targets:?}");
        }
        // Switched off again: entries that remain must not suggest that it is active.
        shell("nft 'delete table ip t'");
        assert_eq!(active(v4).0, Some(Some(false)));
        let (state, why) = active(remote);
        assert!(state == Some(None) && why.unwrap().contains("entries"));
        // Exempt by a rule of the administrator.
        shell(
            "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; \
               add rule inet t c ct state invalid drop; \
               add chain inet t o { type filter hook output priority raw; }; \
               add rule inet t o tcp dport != 1 notrack; add rule inet t o tcp sport != 1 notrack'",
        );
        assert_eq!(active(v4).0, Some(Some(false)));
        shell("nft 'delete chain inet t o'");
        assert_eq!(active(v4).0, Some(Some(true)));
        assert_eq!(active(v6).0, Some(Some(true)));
        // Exempt is the port that the plan's remedy names, and a server is there that must not notice.
        let server = std::net::TcpListener::bind("[::]:4000").unwrap();
        server.set_nonblocking(true).unwrap();
        let at = [
            &["127.0.0.1:4000"][..],
            &["[::1]:4000"],
            &["127.0.0.1:4001"],
            &["198.51.100.1:4000"],
        ];
        for targets in at {
            assert_eq!(active(targets), (Some(Some(true)), None), "{targets:?}");
        }
        shell(
            "nft 'add chain inet t o { type filter hook output priority raw; }; \
               add rule inet t o tcp dport 4000 notrack; add rule inet t o tcp sport 4000 notrack; \
               add rule inet t o tcp dport 4001 notrack; add rule inet t o tcp sport 4001 notrack'",
        );
        for targets in at {
            assert_eq!(active(targets), (Some(Some(false)), None), "{targets:?}");
        }
        assert_eq!(
            active(&["127.0.0.1:4000", "127.0.0.1:4002"]).0,
            Some(Some(true))
        );
        assert!(
            server
                .accept()
                .is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
        );
        become_nobody();
        assert_eq!(active(&["127.0.0.1:4000"]), (Some(Some(false)), None));
        assert_eq!(active(&["127.0.0.1:4002"]), (Some(Some(true)), None));
        // A port that this user may not listen on.
        let (state, why) = active(v4);
        assert!(state == Some(None) && why.unwrap().contains("port 1 can't be tested"));
        assert_eq!(crate::conntrack::ConntrackDrops::read().unwrap().drop, 0);
        // Not tested, so unknown.
        let host = survey(&Wanted::default());
        assert_eq!(host.conntrack.unwrap().active, None);
    }
}
