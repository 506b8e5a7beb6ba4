//! The kernel's TCP counters that show why connections failed or were slow: queue overflows, SYN cookies, retransmits,
//! memory pressure.

use std::io;

use serde::{Deserialize, Serialize};

use crate::proc_text;

/// Counters since this network namespace was created. [`NetStat::since`] gives the increase during a run.
///
/// A counter that this kernel lacks is 0; all of these are older than Linux 4.0, but for drops at a full receive buffer (5.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetStat {
    /// Handshakes dropped because a listener's accept queue was full.
    pub listen_overflows: u64,
    /// Handshakes that a listener dropped for any reason: overflows are included.
    pub listen_drops: u64,
    /// SYNs dropped because the SYN queue was full, with SYN cookies off.
    pub req_q_full_drop: u64,
    /// SYN cookies sent: the SYN queue was full.
    pub syncookies_sent: u64,
    /// Connections that came up by a SYN cookie.
    pub syncookies_received: u64,
    /// Probes of a window of zero: each is to a peer that had no room for what was to be sent.
    pub window_probes: u64,
    /// Retransmission timeouts of SYNs and data: each is a connection that stalled.
    pub timeouts: u64,
    /// How often TCP's buffers exceeded the pressure mark of `tcp_mem`. The mark is the whole machine's; the namespace
    /// of the socket that crossed it counts.
    pub memory_pressures: u64,
    /// Connections reset for lack of memory (`tcp_mem`'s limit, or too many orphans).
    pub abort_on_memory: u64,
    /// Connections that skipped TIME_WAIT, because there were `tcp_max_tw_buckets` already.
    pub time_wait_overflow: u64,
    /// Retransmitted segments.
    pub retrans_segs: u64,
    /// Received segments that were dropped because their socket's backlog was full: the program that reads it was not
    /// done with those before.
    pub backlog_drops: u64,
    /// Received segments that were dropped because their socket's receive buffer was full.
    pub receive_queue_drops: u64,
    /// Received segments.
    pub in_segs: u64,
    /// Connections that were opened and whose peer accepted the data that went with the SYN (TCP Fast Open).
    pub fastopen_active: u64,
    /// Those whose peer did not acknowledge that data, so that it was sent again.
    pub fastopen_active_fail: u64,
    /// Connection attempts that failed: refused, reset in the handshake, or timed out.
    pub attempt_fails: u64,
}

impl NetStat {
    /// Reads `netstat` and `snmp` of `/proc/self/net`. The kernel sums up and prints hundreds of counters for it, which
    /// takes some 150 µs on two cores and longer on more.
    ///
    /// # Errors
    /// A file can't be read or lacks its TCP lines.
    pub fn read() -> io::Result<Self> {
        Self::at("/proc/self/net")
    }

    /// Reads those of the network namespace of process `pid`.
    ///
    /// # Errors
    /// There is no such process, or those of [`NetStat::read`].
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::at(&format!("/proc/{pid}/net"))
    }

    fn at(dir: &str) -> io::Result<Self> {
        let (netstat_path, snmp_path) = (format!("{dir}/netstat"), format!("{dir}/snmp"));
        let netstat = proc_text::read(&netstat_path)?;
        let snmp = proc_text::read(&snmp_path)?;
        let ext = Table::find(&netstat, "TcpExt:")
            .ok_or_else(|| proc_text::malformed(netstat_path, &netstat))?;
        let tcp =
            Table::find(&snmp, "Tcp:").ok_or_else(|| proc_text::malformed(snmp_path, &snmp))?;
        Ok(Self::from_tables(&ext, &tcp))
    }

    fn from_tables(ext: &Table, tcp: &Table) -> Self {
        Self {
            listen_overflows: ext.get("ListenOverflows"),
            listen_drops: ext.get("ListenDrops"),
            req_q_full_drop: ext.get("TCPReqQFullDrop"),
            syncookies_sent: ext.get("SyncookiesSent"),
            syncookies_received: ext.get("SyncookiesRecv"),
            window_probes: ext.get("TCPWinProbe"),
            timeouts: ext.get("TCPTimeouts"),
            memory_pressures: ext.get("TCPMemoryPressures"),
            abort_on_memory: ext.get("TCPAbortOnMemory"),
            time_wait_overflow: ext.get("TCPTimeWaitOverflow"),
            retrans_segs: tcp.get("RetransSegs"),
            backlog_drops: ext.get("TCPBacklogDrop"),
            receive_queue_drops: ext.get("TCPRcvQDrop"),
            in_segs: tcp.get("InSegs"),
            fastopen_active: ext.get("TCPFastOpenActive"),
            fastopen_active_fail: ext.get("TCPFastOpenActiveFail"),
            attempt_fails: tcp.get("AttemptFails"),
        }
    }

    /// The increase from `earlier` to `self`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // Saturating: the process may have moved to a younger namespace in between.
        Self {
            listen_overflows: self
                .listen_overflows
                .saturating_sub(earlier.listen_overflows),
            listen_drops: self.listen_drops.saturating_sub(earlier.listen_drops),
            req_q_full_drop: self.req_q_full_drop.saturating_sub(earlier.req_q_full_drop),
            syncookies_sent: self.syncookies_sent.saturating_sub(earlier.syncookies_sent),
            syncookies_received: self
                .syncookies_received
                .saturating_sub(earlier.syncookies_received),
            window_probes: self.window_probes.saturating_sub(earlier.window_probes),
            timeouts: self.timeouts.saturating_sub(earlier.timeouts),
            memory_pressures: self
                .memory_pressures
                .saturating_sub(earlier.memory_pressures),
            abort_on_memory: self.abort_on_memory.saturating_sub(earlier.abort_on_memory),
            time_wait_overflow: self
                .time_wait_overflow
                .saturating_sub(earlier.time_wait_overflow),
            retrans_segs: self.retrans_segs.saturating_sub(earlier.retrans_segs),
            backlog_drops: self.backlog_drops.saturating_sub(earlier.backlog_drops),
            receive_queue_drops: self
                .receive_queue_drops
                .saturating_sub(earlier.receive_queue_drops),
            in_segs: self.in_segs.saturating_sub(earlier.in_segs),
            fastopen_active: self.fastopen_active.saturating_sub(earlier.fastopen_active),
            fastopen_active_fail: self
                .fastopen_active_fail
                .saturating_sub(earlier.fastopen_active_fail),
            attempt_fails: self.attempt_fails.saturating_sub(earlier.attempt_fails),
        }
    }
}

/// Two lines with the same prefix: the names, and below them the values in the same order.
struct Table<'a> {
    names: &'a str,
    values: &'a str,
}

impl<'a> Table<'a> {
    fn find(text: &'a str, prefix: &str) -> Option<Self> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        Some(Self {
            names: lines.next()?,
            values: lines.next()?,
        })
    }

    fn get(&self, name: &str) -> u64 {
        let mut columns = self
            .names
            .split_whitespace()
            .zip(self.values.split_whitespace());
        // Other columns may be negative (`MaxConn -1`), so only those asked for are parsed.
        columns
            .find(|(n, _)| *n == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const NETSTAT: &str = "\
TcpExt: SyncookiesSent SyncookiesRecv ListenOverflows ListenDrops TCPTimeouts TCPAbortOnMemory \
TCPMemoryPressures TCPMemoryPressuresChrono TCPReqQFullDoCookies TCPReqQFullDrop TCPTimeWaitOverflow \
TCPWinProbe TCPBacklogDrop TCPRcvQDrop TCPFastOpenActive TCPFastOpenActiveFail
TcpExt: 1 17 2 3 4 5 6 99 99 7 10 11 12 13 15 16
IpExt: InNoRoutes InTruncatedPkts
IpExt: 99 99
MPTcpExt: MPCapableSYNRX
MPTcpExt: 99
";
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails RetransSegs InSegs
Tcp: 1 200 120000 -1 66 2 8 9 14
";

    #[test]
    fn counters_are_found_by_name() {
        let ext = Table::find(NETSTAT, "TcpExt:").unwrap();
        let tcp = Table::find(SNMP, "Tcp:").unwrap();
        let expected = NetStat {
            syncookies_sent: 1,
            syncookies_received: 17,
            listen_overflows: 2,
            listen_drops: 3,
            timeouts: 4,
            abort_on_memory: 5,
            memory_pressures: 6,
            req_q_full_drop: 7,
            attempt_fails: 8,
            retrans_segs: 9,
            time_wait_overflow: 10,
            window_probes: 11,
            backlog_drops: 12,
            receive_queue_drops: 13,
            in_segs: 14,
            fastopen_active: 15,
            fastopen_active_fail: 16,
        };
        assert_eq!(NetStat::from_tables(&ext, &tcp), expected);
    }

    #[test]
    fn odd_tables_do_no_harm() {
        for (text, found, value) in [
            ("", false, 0),
            ("Tcp: RetransSegs\n", false, 0),
            ("Tcp: AttemptFails\nTcp: 3\n", true, 0),
            ("Tcp: A RetransSegs\nTcp: 3\n", true, 0),
            ("Tcp: RetransSegs\nTcp: x\n", true, 0),
            ("Tcp: A RetransSegs\nTcp: 3 4\n", true, 4),
        ] {
            let table = Table::find(text, "Tcp:");
            assert_eq!(table.is_some(), found, "{text:?}");
            assert_eq!(table.map_or(0, |t| t.get("RetransSegs")), value, "{text:?}");
        }
    }

    #[test]
    fn refused_connections_are_counted_since_the_start() {
        let before = NetStat::read().unwrap();
        let addr = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        for _ in 0..10 {
            TcpStream::connect(addr).unwrap_err();
        }
        let during = NetStat::read().unwrap().since(&before);
        assert!(during.attempt_fails >= 10, "{during:?}");
        assert_eq!(before.since(&NetStat::read().unwrap()).attempt_fails, 0);
    }
}
