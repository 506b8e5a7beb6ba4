//! Where this process runs: on which machine, and in which network namespace.

use std::fs;

/// The boot and the network namespace of this process. Two processes with the same boot are on one machine, and with the same
/// namespace, too, they share its addresses, ports and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// A random number of the kernel's, new at each boot; empty if it could not be read.
    pub boot: String,
    /// The name of the namespace, such as `net:[4026531840]`; empty if it could not be read.
    pub namespace: String,
}

impl Here {
    /// Reads both.
    pub fn read() -> Here {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        Here {
            boot: boot.trim().to_owned(),
            namespace: namespace.to_string_lossy().into_owned(),
        }
    }
}
