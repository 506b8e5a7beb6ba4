//! What both ends saw, and what would be expected of it.

use crate::probe::host_facts::HostFacts;
use crate::probe::tcp_info::TcpInfo;
use serde::Serialize;
use std::net::SocketAddr;

/// Payload of the test for large segments, bytes: 45 segments of an Ethernet.
pub const PAYLOAD: usize = 64 << 10;
/// MSS that are tried when large segments vanish: Ethernet, PPPoE, IPv6 and common tunnels, IPv6's and IPv4's smallest MTU.
pub const SEGMENTS: [u16; 9] = [1460, 1452, 1440, 1420, 1400, 1360, 1280, 1220, 536];
/// A segment of at least this size may be half of an early window rather than an MSS: the kernel never sends more than half
/// of the largest window that it has seen.
const MAY_BE_HALF_A_WINDOW: u64 = 32_000;
/// IPv4 and TCP headers; IPv6 has 20 bytes more.
const HEADERS: u64 = 40;
const MORE_OF_IPV6: u64 = 20;

/// What both ends saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where the near end connected to.
    pub target: SocketAddr,
    /// The near end's own address.
    pub source: SocketAddr,
    /// The near end's address as the far end sees it.
    pub source_seen: SocketAddr,
    /// Where the connection arrived.
    pub target_seen: SocketAddr,
    /// The near end's view of a connection.
    pub near: TcpInfo,
    /// The far end's.
    pub far: TcpInfo,
    /// The near end's settings.
    pub near_host: HostFacts,
    /// The far end's.
    pub far_host: HostFacts,
    /// How long connect(2) took, microseconds, for each connection.
    pub connects_us: Vec<u64>,
    /// From a connection's first request to its answer, microseconds.
    pub answers_us: Vec<u64>,
    /// Connections that came up by a SYN cookie at the far end, of those in `connects_us` (others' may be among them).
    pub by_cookie: u64,
    /// Bytes that were acknowledged to the near end while the far end read nothing, less those that its kernel had received:
    /// what something in between had taken over. `None` if that could not be read.
    pub taken_over: Option<u64>,
    /// Whether a payload of a few bytes was answered after the large ones.
    pub small: bool,
    /// Whether a payload of [`PAYLOAD`] bytes arrived at the far end.
    pub up: bool,
    /// Whether one arrived here.
    pub down: bool,
    /// What passed with a smaller MSS, if a large payload did not.
    pub segments: Vec<Segment>,
}

/// A trial with an MSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The MSS of both directions, bytes.
    pub size: u16,
    /// Whether the payload arrived at the far end.
    pub up: bool,
    /// Whether one arrived here.
    pub down: bool,
}

/// An option of TCP that both ends have to agree on.
pub(super) struct Negotiated {
    pub name: &'static str,
    /// The sysctl that asks for it.
    pub sysctl: &'static str,
    /// This host asks for it.
    pub asked: bool,
    /// The far end's host accepts it.
    pub accepted: bool,
    pub near: bool,
    pub far: bool,
    /// A SYN cookie has no room for it without timestamps.
    pub lost_to_cookies: bool,
}

impl Evidence {
    /// Whether connections end in between.
    pub(super) fn is_terminated(&self) -> bool {
        self.taken_over.is_some_and(|bytes| bytes > 0)
    }

    pub(super) fn options(&self) -> [Negotiated; 4] {
        let (near, far) = (&self.near, &self.far);
        let (here, there) = (&self.near_host, &self.far_host);
        let negotiated = |name, sysctl, hosts: (bool, bool), ends: (bool, bool)| Negotiated {
            name,
            sysctl,
            asked: hosts.0,
            accepted: hosts.1,
            near: ends.0,
            far: ends.1,
            lost_to_cookies: self.by_cookie > 0 && !far.timestamps && name != "timestamps",
        };
        [
            negotiated(
                "timestamps",
                "net.ipv4.tcp_timestamps",
                (here.timestamps, there.timestamps),
                (near.timestamps, far.timestamps),
            ),
            negotiated(
                "SACK",
                "net.ipv4.tcp_sack",
                (here.sack, there.sack),
                (near.sack, far.sack),
            ),
            negotiated(
                "window scaling",
                "net.ipv4.tcp_window_scaling",
                (here.window_scaling, there.window_scaling),
                (near.window_scaling, far.window_scaling),
            ),
            negotiated(
                "ECN",
                "net.ipv4.tcp_ecn",
                (here.asks_for_ecn(), there.accepts_ecn()),
                (near.ecn, far.ecn),
            ),
        ]
    }

    /// The largest segment that `sender` should send by what `receiver` announced and the path's MTU.
    fn expected_segment(&self, sender: &TcpInfo, receiver: &TcpInfo) -> u64 {
        let of_ip = match self.target.ip().to_canonical().is_ipv6() {
            true => HEADERS + MORE_OF_IPV6,
            false => HEADERS,
        };
        let by_mtu = sender.path_mtu.saturating_sub(of_ip);
        receiver.announced_segment.min(by_mtu)
    }

    /// The largest segment that `sender` on `host` sends, if that is less than it should be.
    pub(super) fn lowered(
        &self,
        sender: &TcpInfo,
        host: &HostFacts,
        receiver: &TcpInfo,
    ) -> Option<(u64, u64)> {
        let (sends, expected) = (
            sender.largest_segment(),
            self.expected_segment(sender, receiver),
        );
        // Without the path's MTU nothing can be expected. A host that always probes for it begins with small segments, and none
        // sends more than half of a small window.
        let small_window = sender.send_window > 0 && expected * 2 > sender.send_window;
        let known = sender.path_mtu > 0 && sends > 0 && host.mtu_probing != 2 && !small_window;
        (known && sends < expected && sends < MAY_BE_HALF_A_WINDOW).then_some((sends, expected))
    }
}

/// The value in the middle.
pub(super) fn median(all: &[u64]) -> u64 {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
