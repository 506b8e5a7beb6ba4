//! Socket options.

use super::bounds;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};

/// What is set on each socket; `None` leaves it as the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SocketOptions {
    /// Nagle's algorithm (RFC 896). Without it TCP_NODELAY is set where messages are sent: a small message would
    /// otherwise wait for the acknowledgement of the one before, which the peer may delay by 40 ms.
    pub nagle: bool,
    /// SO_RCVBUF, bytes. The kernel doubles it.
    #[serde(rename = "rcvbuf", with = "Maybe::<bounds::Buffer>")]
    pub receive_buffer: Option<u64>,
    /// SO_SNDBUF, bytes. The kernel doubles it.
    #[serde(rename = "sndbuf", with = "Maybe::<bounds::Buffer>")]
    pub send_buffer: Option<u64>,
}
