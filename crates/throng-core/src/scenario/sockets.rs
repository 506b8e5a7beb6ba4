//! Socket options.

use super::bounds;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};

/// What is set on each socket; `None` leaves it as the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SocketOptions {
    /// Nagle's algorithm (RFC 896); `Some(false)` sets TCP_NODELAY.
    pub nagle: Option<bool>,
    /// SO_RCVBUF, bytes. The kernel doubles it.
    #[serde(rename = "rcvbuf", with = "Maybe::<bounds::Buffer>")]
    pub receive_buffer: Option<u64>,
    /// SO_SNDBUF, bytes. The kernel doubles it.
    #[serde(rename = "sndbuf", with = "Maybe::<bounds::Buffer>")]
    pub send_buffer: Option<u64>,
}
