//! What each setting should be for N connections, and why: a file for each kind. docs/tune.md says the same at
//! more length.

mod closed;
mod files;
mod lister;
mod memory;
mod ports;
mod queues;
mod tracking;

pub(super) use files::OTHER_FILES_OF_MACHINE;
pub use files::wanted_files;
pub(super) use queues::LONGEST_QUEUE;

use super::setting::{Ask, Extra, Now, Setting};
use lister::Lister;

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
