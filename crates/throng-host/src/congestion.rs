//! Congestion controls of TCP.

use crate::proc_text;
use std::io;

/// The names of the congestion controls that are loaded.
///
/// # Errors
/// `net.ipv4.tcp_available_congestion_control` cannot be read.
pub fn available() -> io::Result<Vec<String>> {
    let text = proc_text::read("/proc/sys/net/ipv4/tcp_available_congestion_control")?;
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}
