//! Which ports outgoing connections may have, and how soon again.

use super::lister::{Lister, short_unless, status};
use crate::tune::ports::PortSet;

use crate::tune::setting::{Current, Kind, Rule, Scope, Setting, Status, numbers};
use crate::tune::sysctls::{RANGE, RESERVED, TW_REUSE, UNPRIVILEGED};

/// The lowest port for outgoing connections: below are the privileged ones.
const FIRST_PORT: u16 = 1024;
/// The share of a port range that one source may use to one target before connect() gets slow: it
/// tries ports of one parity first, and once half are taken it looks through thousands each time.
const PORT_FILL: f64 = 0.4;
/// The default of `net.ipv4.ip_local_port_range`: a listener in there mostly has its port from the kernel, and the next
/// one will have another.
const KERNELS_RANGE: (u16, u16) = (32_768, 60_999);

impl Lister<'_> {
    /// Ports to keep from outgoing connections: the server's, and those of other listeners outside of the kernel's own
    /// range.
    pub fn reserved_ports(&self) -> Setting {
        let mut now = self.now.sysctl(RESERVED);
        let mut wanted = PortSet::default();
        if self.ask.role.connects() {
            let below = self.now.listened.within(FIRST_PORT, KERNELS_RANGE.0 - 1);
            let above = self.now.listened.within(KERNELS_RANGE.1 + 1, u16::MAX);
            wanted = below.and(&above);
        }
        if self.ask.role.accepts() {
            let served: PortSet = self.ask.ports.iter().copied().collect();
            wanted = wanted.and(&served.within(FIRST_PORT, u16::MAX));
        }
        let status = status(&mut now, |text| {
            let reserved: PortSet = text.parse().ok()?;
            let all_there = reserved.contains(&wanted);
            wanted = reserved.and(&wanted);
            Some(short_unless(all_there))
        });
        Setting {
            name: RESERVED.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Including,
            now,
            wanted: wanted.to_string(),
            status,
            why: "Ports that servers listen on, or will (--port). An outgoing connection on such a port keeps the \
                  server from starting. The kernel never assigns reserved ports; bind() can still use them."
                .into(),
            risk: String::new(),
            with: None,
        }
    }

    pub fn port_range(&self) -> Setting {
        let mut now = self.now.sysctl(RANGE);
        // The kernel refuses a range that begins below the first unprivileged port.
        let first = match self.now.sysctl(UNPRIVILEGED) {
            Current::Value(text) => text.trim().parse().unwrap_or(FIRST_PORT).max(FIRST_PORT),
            _ => FIRST_PORT,
        };
        let mut wanted = (first, u16::MAX);
        let status = status(&mut now, |text| {
            let [low, high] = numbers(text)?[..] else {
                return None;
            };
            let (low, high) = (u16::try_from(low).ok()?, u16::try_from(high).ok()?);
            let size = u32::from(high.checked_sub(low)?) + 1;
            let reserved = match self.now.sysctl(RESERVED) {
                Current::Value(text) => text.parse::<PortSet>().unwrap_or_default(),
                _ => PortSet::default(),
            };
            let usable = size - reserved.within(low, high).count();
            let comfortable = f64::from(usable) * PORT_FILL;
            wanted = match f64::from(self.ask.connections) <= comfortable {
                true => (low, high),
                false => (first.min(low), u16::MAX),
            };
            Some(short_unless(wanted == (low, high)))
        });
        Setting {
            name: RANGE.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Around,
            now,
            wanted: format!("{} {}", wanted.0, wanted.1),
            status,
            why: "Ports for outgoing connections, also over IPv6. They bound the connections from one source \
                  address to one target, and opening gets slow when more than 40 % are in use."
                .into(),
            risk: "A server that starts later may find its port in use by an outgoing connection, unless the \
                   port is reserved (see ip_local_reserved_ports; --port)."
                .into(),
            with: None,
        }
    }

    pub fn tw_reuse(&self) -> Setting {
        let mut now = self.now.sysctl(TW_REUSE);
        let status = status(&mut now, |text| match text.trim() {
            "1" => Some(Status::Enough),
            "0" | "2" => Some(Status::Short),
            _ => None,
        });
        Setting {
            name: TW_REUSE.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Exactly,
            now,
            wanted: "1".into(),
            status,
            why: "connect() may reuse a port that has been in TIME_WAIT for a second. Otherwise a port is free again \
                  only after a minute. 2, the kernel's default, allows that on loopback only."
                .into(),
            risk: "TCP timestamps protect against late segments of the old connection. A middlebox that removes \
                   them removes that protection."
                .into(),
            with: None,
        }
    }
}
