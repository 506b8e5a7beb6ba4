//! Connection tracking: how many connections its table may hold, whether it tracks this machine's connections, and what
//! it dropped.

use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use throng_core::host::Conntrack;

use crate::proc_text;
use crate::reader::{Reader, in_words};

/// Entries of this network namespace.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// Connections to open at once for the test whether they are tracked. They are few, because each leaves an entry for
/// ten seconds.
const CONNECTIONS: usize = 2;
/// How often that test must fail before connections count as not tracked: entries that time out meanwhile hide new
/// ones.
const TRIES: usize = 3;
/// How long to wait for a connection over loopback. It takes some 50 µs unless packets are dropped.
const PATIENCE: Duration = Duration::from_millis(300);

/// Reads the limits of connection tracking; `None` if it is not loaded. With `over`, tests whether connections over
/// that loopback address are tracked; `elsewhere` says that connections to other machines matter, too.
pub(crate) fn read(
    reader: &mut Reader,
    over: Option<IpAddr>,
    elsewhere: bool,
) -> Option<Conntrack> {
    let before: u64 = reader.number(COUNT)?;
    let max = reader.number("/proc/sys/net/netfilter/nf_conntrack_max")?;
    let buckets = reader.number("/proc/sys/net/netfilter/nf_conntrack_buckets");
    let active = over.and_then(|over| {
        let count = before;
        let why = match tracks(over) {
            Ok(true) => return Some(true),
            Ok(false) if count == 0 || !elsewhere => return Some(false),
            Ok(false) => format!(
                "connections over loopback are not tracked, yet there are {count} entries: loopback may be \
                 exempt, or tracking was switched off since; look at nft list ruleset"
            ),
            // New connections are dropped, so they are tracked.
            Err(_) if count >= max => return Some(true),
            Err(e) => format!("no connection over loopback: {}", in_words(&e)),
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

/// Whether connections over loopback are tracked in this network namespace. A loaded module does not mean so: a
/// namespace has its hooks only while a firewall rule there needs them, and only root can list rules. But every user
/// can see the count grow, which it does only if connections are tracked.
fn tracks(over: IpAddr) -> io::Result<bool> {
    let count = || proc_text::read_number::<u64>(COUNT);
    let listener = TcpListener::bind((over, 0))?;
    listener.set_nonblocking(true)?;
    for _ in 0..TRIES {
        let before = count()?;
        let mut held = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
            // Closed by a reset, it leaves no TIME_WAIT, and its entry is removed after 10 s.
            let reset = linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, sockopt::Linger, &reset)?;
            held.push((stream, listener.accept()));
        }
        if count()? > before {
            return Ok(true);
        }
    }
    Ok(false)
}

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
        let path = "/proc/self/net/stat/nf_conntrack";
        let text = proc_text::read(path)?;
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
        become_nobody();
        assert_eq!(active(v4), (Some(Some(true)), None));
        assert_eq!(crate::conntrack::ConntrackDrops::read().unwrap().drop, 0);
        // Not tested, so unknown.
        let host = survey(&Wanted::default());
        assert_eq!(host.conntrack.unwrap().active, None);
    }
}
