//! What each setting should be for N connections, and why: a file for each kind. docs/tune.md says the same at
//! more length.

mod closed;
mod files;
mod memory;
mod ports;
mod queues;
mod tracking;

pub(super) use files::OTHER_FILES_OF_MACHINE;
pub use files::wanted_files;
pub(super) use queues::LONGEST_QUEUE;

use super::{Ask, Extra, Kind, Now, Reading, Rule, Scope, Setting, Status, words};

pub(super) const FILE_MAX: &str = "fs.file-max";
pub(super) const NR_OPEN: &str = "fs.nr_open";
pub(super) const SOMAXCONN: &str = "net.core.somaxconn";
pub(super) const NETDEV_BACKLOG: &str = "net.core.netdev_max_backlog";
pub(super) const SYN_BACKLOG: &str = "net.ipv4.tcp_max_syn_backlog";
pub(super) const SYNCOOKIES: &str = "net.ipv4.tcp_syncookies";
pub(super) const TCP_MEM: &str = "net.ipv4.tcp_mem";
pub(super) const TW_BUCKETS: &str = "net.ipv4.tcp_max_tw_buckets";
pub(super) const ORPHANS: &str = "net.ipv4.tcp_max_orphans";
pub(super) const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
pub(super) const RANGE: &str = "net.ipv4.ip_local_port_range";
pub(super) const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";
pub(super) const TW_REUSE: &str = "net.ipv4.tcp_tw_reuse";
pub(super) const FIN_TIMEOUT: &str = "net.ipv4.tcp_fin_timeout";
pub(super) const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";
pub(super) const CONNTRACK_BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";

/// The sysctls whose values [`settings`] wants to know.
pub const SYSCTLS: &[&str] = &[
    FILE_MAX,
    NR_OPEN,
    SOMAXCONN,
    NETDEV_BACKLOG,
    SYN_BACKLOG,
    SYNCOOKIES,
    TCP_MEM,
    TW_BUCKETS,
    ORPHANS,
    RESERVED,
    RANGE,
    UNPRIVILEGED,
    TW_REUSE,
    FIN_TIMEOUT,
    CONNTRACK_MAX,
    CONNTRACK_BUCKETS,
];

/// The settings for what is asked, on a machine as it is now, in the order in which they should be set:
/// ports are reserved before the range grows over them, `fs.nr_open` comes before the limits it bounds.
pub fn settings(ask: &Ask, now: &Now) -> Vec<Setting> {
    let list = Lister { ask, now };
    let mut all = vec![list.file_max(), list.nr_open(), list.file_limit()];
    if ask.role.accepts() {
        all.push(list.somaxconn());
        all.push(list.syn_backlog());
        all.push(list.syncookies());
        all.push(list.netdev_backlog());
    }
    all.push(list.tcp_mem());
    all.push(list.tw_buckets());
    if ask.role.connects() {
        all.push(list.reserved_ports());
        all.push(list.port_range());
        all.push(list.tw_reuse());
        all.push(list.fin_timeout());
        all.push(list.orphans());
    } else if !ask.ports.is_empty() {
        all.push(list.reserved_ports());
    }
    if !ask.with.contains(&Extra::Notrack) {
        all.extend(list.conntrack());
    }
    all.push(list.notrack());
    all
}

/// Works out one setting after the other.
struct Lister<'a> {
    ask: &'a Ask,
    now: &'a Now,
}

/// The numbers of a value such as `4096`, or the three of `tcp_mem`.
pub(super) fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|w| w.parse().ok()).collect()
}

/// How a setting stands that reads so, by `judge`, which gives none for what is not as the kernel documents
/// it: that becomes a reading that failed.
fn status(reading: &mut Reading, judge: impl FnOnce(&str) -> Option<Status>) -> Status {
    let text = match reading {
        Reading::Value(text) => text,
        Reading::Absent(_) => return Status::Absent,
        Reading::Unread(_) => return Status::Unread,
    };
    if let Some(status) = judge(text) {
        return status;
    }
    let shown: String = words(text).chars().take(60).collect();
    *reading = Reading::Unread(format!("unexpected content '{shown}'"));
    Status::Unread
}

/// How a setting stands that only has to be `enough`.
fn short_unless(enough: bool) -> Status {
    match enough {
        true => Status::Enough,
        false => Status::Short,
    }
}

impl Lister<'_> {
    /// How many connections.
    fn n(&self) -> u64 {
        self.ask.connections.into()
    }

    /// How a setting stands that is not as wanted, and is changed on request only.
    fn requested(&self, extra: Extra) -> Status {
        match self.ask.with.contains(&extra) {
            true => Status::Short,
            false => Status::OnRequest,
        }
    }

    /// A sysctl of as many numbers as `target`, each of which should be at least that.
    fn at_least(
        &self,
        name: &str,
        scope: Scope,
        target: &[u64],
        why: impl Into<String>,
        risk: impl Into<String>,
    ) -> Setting {
        let mut now = self.now.reading(name);
        let mut wanted = target.to_vec();
        let status = status(&mut now, |text| {
            let values = numbers(text).filter(|v| v.len() == target.len())?;
            wanted = target.iter().zip(&values).map(|(t, v)| *t.max(v)).collect();
            Some(short_unless(wanted == values))
        });
        let wanted: Vec<String> = wanted.iter().map(u64::to_string).collect();
        Setting {
            name: name.into(),
            kind: Kind::Sysctl,
            scope,
            rule: Rule::AtLeast,
            now,
            wanted: wanted.join(" "),
            status,
            why: why.into(),
            risk: risk.into(),
            with: None,
        }
    }

    fn number(&self, name: &str, scope: Scope, target: u64, why: &str, risk: &str) -> Setting {
        self.at_least(name, scope, &[target], why, risk)
    }
}
