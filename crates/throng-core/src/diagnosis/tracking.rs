//! Limits of connection tracking in this namespace: its table, and the ports of NAT.

use super::cause::Diagnosis;
use super::evidence::{Evidence, Tracked};
use crate::capacity::LimitKind;
use crate::human::{count as number, things};
use crate::stats::FailCause;

/// The share of its maximum from which on a table counts as full: entries of other traffic come and go.
const NEARLY_FULL: f64 = 0.99;

/// The limits of connection tracking that were met.
pub fn all(e: &Evidence) -> Option<Diagnosis> {
    let t = e.conntrack.as_ref().filter(|t| t.active != Some(false))?;
    match t.is_full() {
        true => table_full(t),
        false => nat_ports(e, t).or_else(|| was_full(t)),
    }
}

impl Tracked {
    fn is_full(&self) -> bool {
        is_full(self.count, self.max)
    }
}

/// Whether a table of at most `max` entries has no room for others.
pub(super) fn is_full(count: u64, max: u64) -> bool {
    max > 0 && count as f64 >= max as f64 * NEARLY_FULL
}

/// A table that is full now.
fn table_full(t: &Tracked) -> Option<Diagnosis> {
    // The kernel's own count comes before its log: an older one does not say whose table is full.
    if t.dropped == Some(0) || t.dropped.is_none() && !t.logged {
        return None;
    }
    let dropped = match t.dropped {
        Some(n) => format!("{} dropped for want of one", things(n, "packet")),
        None => "the kernel does not say what was dropped".into(),
    };
    let doubt = match t.active {
        Some(_) => "",
        None => ". Perhaps it stopped this run: whether these connections are tracked is not known",
    };
    Some(Diagnosis {
        limit: LimitKind::Conntrack,
        allows: t.active.and(Some(t.max)),
        certain: t.active == Some(true),
        what: format!(
            "the conntrack table is full: {} of {} entries, {dropped}{}{doubt}",
            number(t.count),
            number(t.max),
            if t.logged {
                " (the kernel's log says so, too)"
            } else {
                ""
            }
        ),
        remedy: TABLE_REMEDY.into(),
    })
}

pub(super) const TABLE_REMEDY: &str = "Raise it (sysctl -w net.netfilter.nf_conntrack_max=N), or don't track this traffic (nftables notrack, iptables -t raw -j CT --notrack).";

/// A table that has room, although the kernel's log said that it was full.
fn was_full(t: &Tracked) -> Option<Diagnosis> {
    t.logged.then(|| Diagnosis {
        limit: LimitKind::Conntrack,
        allows: None,
        certain: false,
        what: format!(
            "perhaps the conntrack table: the kernel's log says that it was full, but now it has {} of {} entries",
            number(t.count),
            number(t.max)
        ),
        remedy: TABLE_REMEDY.into(),
    })
}

/// Source NAT on this machine that has no port left to the target: the kernel then finds that the translated connection
/// exists already, and drops the packet.
fn nat_ports(e: &Evidence, t: &Tracked) -> Option<Diagnosis> {
    if t.clashed == 0 || e.clients.failed(FailCause::TimedOut) == 0 {
        return None;
    }
    let facts = format!(
        "conntrack dropped {}, whose translated four-tuples were in use, while its table has room ({} of {} entries)",
        things(t.clashed, "packet"),
        number(t.count),
        number(t.max)
    );
    let what = match t.translated {
        true => format!("source NAT on this machine has no port left to the target: {facts}"),
        false => {
            format!("perhaps source NAT on this machine has no port left to the target: {facts}")
        }
    };
    Some(Diagnosis {
        limit: LimitKind::NatPorts,
        allows: None,
        certain: t.translated,
        what,
        remedy: "Give the NAT rule more addresses or ports (nft list ruleset: snat, masquerade), or exempt this traffic from it.".into(),
    })
}
