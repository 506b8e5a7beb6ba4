//! The options that are set on sockets, on either end.

use super::common::SOCKETS;
use clap::{Args, ValueEnum};
use std::time::Duration;
use throng_core::scenario::{Keepalive, KernelName, bounds, sockets};

/// Socket options
#[derive(Args)]
pub(crate) struct SocketArgs {
    /// Nagle's algorithm; off sets TCP_NODELAY [default: off; in tcpkali's voice on]
    #[arg(long, value_name = "on|off", help_heading = SOCKETS)]
    pub nagle: Option<Switch>,

    /// Size of the receive buffer (SO_RCVBUF) [default: the kernel adapts it]
    #[arg(long, value_name = "BYTES", value_parser = bounds::buffer, help_heading = SOCKETS)]
    pub rcvbuf: Option<u64>,

    /// Size of the send buffer (SO_SNDBUF) [default: the kernel adapts it]
    #[arg(long, value_name = "BYTES", value_parser = bounds::buffer, help_heading = SOCKETS)]
    pub sndbuf: Option<u64>,

    /// Probe connections that are idle this long, every INTERVAL, and give up after COUNT probes without an answer,
    /// such as 60s:10s:5 (SO_KEEPALIVE) [default: off]
    #[arg(long, value_name = "IDLE[:INTERVAL[:COUNT]]", help_heading = SOCKETS)]
    pub keepalive: Option<Keepalive>,

    /// Give up a connection whose sent data is not acknowledged for this long (TCP_USER_TIMEOUT)
    /// [default: net.ipv4.tcp_retries2]
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = sockets::user_timeout, help_heading = SOCKETS)]
    pub user_timeout: Option<Duration>,

    /// Congestion control, such as bbr (TCP_CONGESTION) [default: net.ipv4.tcp_congestion_control]
    #[arg(long, value_name = "NAME", help_heading = SOCKETS)]
    pub congestion: Option<KernelName>,

    /// Mark packets for firewall and routing rules (SO_MARK): decimal or 0x…; needs CAP_NET_ADMIN
    #[arg(long, value_name = "N", value_parser = sockets::mark, help_heading = SOCKETS)]
    pub mark: Option<u32>,

    /// Type of service byte (IP_TOS, IPV6_TCLASS): 0 to 252 in steps of 4
    #[arg(long, value_name = "N", conflicts_with = "dscp", value_parser = sockets::tos, help_heading = SOCKETS)]
    pub tos: Option<u8>,

    /// The same by its DSCP: 0 to 63, or a name such as ef, af41, cs1 or le
    #[arg(long, value_name = "N|NAME", value_parser = sockets::dscp, help_heading = SOCKETS)]
    pub dscp: Option<u8>,

    /// Close with a reset, which leaves no TIME_WAIT (SO_LINGER) [default: off]
    #[arg(long, value_name = "0", value_parser = sockets::linger, help_heading = SOCKETS)]
    pub linger: Option<Duration>,

    /// Send and receive through this interface only (SO_BINDTODEVICE)
    #[arg(long, value_name = "IF", help_heading = SOCKETS)]
    pub bind_device: Option<KernelName>,

    /// Speak MPTCP; connections fall back to TCP where the peer does not
    #[arg(long, help_heading = SOCKETS)]
    pub mptcp: bool,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}
