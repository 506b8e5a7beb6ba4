//! What socket buffers may take.

use super::lister::Lister;
use crate::tune::setting::{Scope, Setting};
use crate::tune::sysctls::TCP_MEM;

/// Pages of socket buffers for each end: one for data that was received and not read, one for data that was sent and
/// not acknowledged. An idle connection has none; messages of up to 4 KB fit.
const BUFFER_PAGES: u64 = 2;
/// The share of the memory that socket buffers may take at most: the sockets themselves need some 4 KB
/// each, and programs need theirs.
const BUFFERS_OF_MEMORY: u64 = 2;

impl Lister<'_> {
    pub fn tcp_mem(&self) -> Setting {
        let pages = self.ask.ends() * BUFFER_PAGES;
        let bound = self.now.memory.map_or(u64::MAX, |bytes| {
            bytes / self.now.page.max(1) / BUFFERS_OF_MEMORY
        });
        // As the kernel sets them at boot: low three quarters of pressure, high one and a half times.
        let high = (pages * 3 / 2).min(bound);
        let pressure = high * 2 / 3;
        self.at_least(
            TCP_MEM,
            Scope::Machine,
            &[pressure * 3 / 4, pressure, high],
            "Pages of socket buffers of all TCP connections: below the first the kernel saves nothing, from \
             the second on it shrinks windows, at the third it drops segments. Two pages for each connection here, \
             so that small messages flow on all at once, and at most half of the memory.",
            format!(
                "Buffers may then take up to {} of memory that can't be swapped.",
                size(high.saturating_mul(self.now.page))
            ),
        )
    }
}

/// Bytes, roughly, for a sentence.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}
