//! Tunnels through HTTP proxies: CONNECT (RFC 9110, section 9.3.6). They may carry any protocol, TLS included.

mod around;
pub mod counts;
mod summary;

pub use around::{Tunnel, TunnelConn, TunnelOptions};
pub use counts::TunnelFailure;
pub use summary::TunnelSummary;
