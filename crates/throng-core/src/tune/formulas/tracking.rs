//! Connections that the firewall tracks, or exempts from tracking.

use super::lister::{Lister, status};
use crate::tune::ports::PortSet;
use crate::tune::setting::NOTRACK;
use crate::tune::setting::{Current, Extra, Kind, Rule, Scope, Setting, Status};
use crate::tune::sysctls::{CONNTRACK_BUCKETS, CONNTRACK_MAX};

/// Other tracked connections: those of other programs, and our own earlier ones, which conntrack keeps for two minutes
/// after their end.
const OTHER_TRACKED: u64 = 65_536;
/// Bytes of a bucket of conntrack's hash table; the kernel rounds their number up to whole pages.
const BUCKET_BYTES: u64 = 8;

impl Lister<'_> {
    pub fn conntrack(&self) -> [Setting; 2] {
        let target = u64::from(self.ask.connections) + OTHER_TRACKED;
        let per_page = (self.now.page / BUCKET_BYTES).max(1);
        let max = self.number(
            CONNTRACK_MAX,
            Scope::Machine,
            target,
            "Connections that the firewall tracks; a connection with both ends here is one. When the table is full, \
             packets of new connections are dropped (\"nf_conntrack: table full\").",
            "Some 320 bytes each while they are tracked.",
        );
        let buckets = self.number(
            CONNTRACK_BUCKETS,
            Scope::Machine,
            target.next_multiple_of(per_page),
            "Buckets of that table. With one for each connection, the look-up for a packet stays short. By default the \
             two numbers are equal.",
            "8 bytes each; the table is blocked for a moment while it is rebuilt.",
        );
        [max, buckets]
    }

    pub fn notrack(&self) -> Setting {
        let ports: PortSet = self.ask.ports.iter().copied().collect();
        let requested = self.ask.with.contains(&Extra::Notrack);
        let mut wanted = ports.clone();
        let mut now = self.now.untracked.clone();
        let status = match &now {
            // Only root can see whether there are rules. While none are wanted, that is not a problem.
            Current::Unread(_) if !requested => Status::OnRequest,
            _ => status(&mut now, |text| {
                let untracked: PortSet = text.parse().ok()?;
                wanted = untracked.and(&ports);
                Some(match !wanted.is_empty() && wanted == untracked {
                    true => Status::Enough,
                    false => self.requested(Extra::Notrack),
                })
            }),
        };
        Setting {
            name: NOTRACK.into(),
            kind: Kind::Firewall,
            scope: Scope::Namespace,
            rule: Rule::Including,
            now,
            wanted: match wanted.is_empty() {
                true => "the ports of --port".into(),
                false => wanted.to_string(),
            },
            status,
            why: "Instead of a larger conntrack table: rules of nftables, or else iptables, that exempt connections to these \
                  TCP ports from tracking. That saves memory, and time for each packet."
                .into(),
            risk: "It changes the firewall: for these ports rules on connection state (ct state established, \
                   NAT, port forwarding to containers) match no more, so that a firewall may drop their packets or let \
                   through what it kept out."
                .into(),
            with: Some(Extra::Notrack),
        }
    }
}
