//! What the kernel's socket options may be set to.

use crate::proc_text;
use std::io;

/// The names of the congestion controls that are loaded.
///
/// # Errors
/// `net.ipv4.tcp_available_congestion_control` cannot be read.
pub fn congestion_controls() -> io::Result<Vec<String>> {
    let text = proc_text::read("/proc/sys/net/ipv4/tcp_available_congestion_control")?;
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// `net.ipv4.tcp_fastopen`: bit 0 allows it to clients, bit 1 to servers (RFC 7413).
///
/// # Errors
/// It cannot be read.
pub fn fastopen() -> io::Result<u32> {
    proc_text::read_number("/proc/sys/net/ipv4/tcp_fastopen")
}
