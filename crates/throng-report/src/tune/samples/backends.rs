//! The servers behind a proxy: how many addresses its own connections need.

use crate::human;

/// Ports from 1024 to 65535: the most connections from one address to one server.
const PORTS: u64 = 65_535 - 1024 + 1;
/// Servers that a sample lists; for more it says how many there have to be.
const LISTED: u64 = 64;

/// Servers for so many connections from a proxy with one address.
pub(super) struct Backends {
    /// How many there have to be.
    pub needed: u64,
}

impl Backends {
    pub(super) fn for_connections(n: u64) -> Backends {
        Backends {
            needed: n.div_ceil(PORTS).max(1),
        }
    }

    /// The arithmetic.
    pub(super) fn words(&self, n: u64) -> String {
        let more = match self.needed > LISTED {
            true => format!("; the first {LISTED} are listed"),
            false => String::new(),
        };
        format!(
            "The proxy's connections to a server differ in their source port only, and there are {}, from 1024 to 65535 \
             (ip_local_port_range): {} / {} = {} {}{more}.",
            human::count(PORTS),
            human::count(n),
            human::count(PORTS),
            human::count(self.needed),
            human::verb(self.needed, "address", "addresses"),
        )
    }

    /// The addresses that a sample lists.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (u64, String)> {
        (1..=self.needed.min(LISTED)).map(|k| (k, format!("127.0.0.{k}:9000")))
    }
}
