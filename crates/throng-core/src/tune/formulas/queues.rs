//! What waits while a server is busy: connections, handshakes, packets.

use super::lister::{Lister, status};
use crate::tune::setting::{Extra, Kind, Rule, Scope, Setting, Status};
use crate::tune::sysctls::{NETDEV_BACKLOG, SOMAXCONN, SYN_BACKLOG, SYNCOOKIES};

/// The longest queue that helps. Connections wait in it only until accept(); with 100,000 new ones a
/// second this is more than half a second. Before Linux 4.1 the kernel kept the length in 16 bits.
pub const LONGEST_QUEUE: u64 = 65_535;
/// Packets that may wait for one core. Each connection over loopback puts its packets there; the kernel's
/// 1,000 is less than a burst of 400 handshakes.
const LONGEST_PACKET_QUEUE: u64 = 16_384;

impl Lister<'_> {
    pub fn somaxconn(&self) -> Setting {
        self.number(
            SOMAXCONN,
            Scope::Namespace,
            self.n().min(LONGEST_QUEUE),
            "It cuts the accept queue of every listener. Where connections come faster than the server \
             accepts them, the queue holds them; when it is full, handshakes are dropped and the client \
             tries again after a second.",
            "A stalled server is noticed later: more clients wait for it.",
        )
    }

    pub fn syn_backlog(&self) -> Setting {
        self.number(
            SYN_BACKLOG,
            Scope::Namespace,
            self.n().min(LONGEST_QUEUE),
            "Handshakes under way on each listener. With SYN cookies off, SYNs are dropped beyond three \
             quarters of it.",
            "Under a SYN flood each entry costs some 300 bytes.",
        )
    }

    pub fn syncookies(&self) -> Setting {
        let mut now = self.now.sysctl(SYNCOOKIES);
        let status = status(&mut now, |text| match text.trim() {
            "0" => Some(Status::Enough),
            "1" | "2" => Some(self.requested(Extra::SyncookiesOff)),
            _ => None,
        });
        Setting {
            name: SYNCOOKIES.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Exactly,
            now,
            wanted: "0".into(),
            status,
            why: "When an accept queue is full of handshakes, the kernel answers with cookies and takes a load test \
                  for a SYN flood; a connection that came by cookie has lost some of its TCP options. Off, the SYN \
                  is dropped and sent again."
                .into(),
            risk: "Off, the server has no protection against SYN floods: anybody can fill its queue. Only for tests \
                   in a network that you trust."
                .into(),
            with: Some(Extra::SyncookiesOff),
        }
    }

    pub fn netdev_backlog(&self) -> Setting {
        self.number(
            NETDEV_BACKLOG,
            Scope::Machine,
            self.n().min(LONGEST_PACKET_QUEUE),
            "Packets that wait for one core: those over loopback, and those that another core received. \
             Beyond it they are silently dropped (second column of /proc/net/softnet_stat).",
            "",
        )
    }
}
