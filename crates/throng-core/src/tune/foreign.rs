//! What corresponds to Linux's settings on FreeBSD and macOS, with values for N connections. throng
//! does not run there; the targets, or the clients, of a test may.

use super::formulas::{LONGEST_QUEUE, OTHER_FILES_OF_MACHINE, wanted_files};
use super::setting::Ask;

/// An operating system that throng doesn't run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// FreeBSD 12 or later.
    Freebsd,
    /// macOS.
    Macos,
}

/// When a value can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At any time; a value that is higher already stays.
    Raise,
    /// At any time; it is the beginning of a range, so a value that is lower already stays.
    WidenDown,
    /// At any time, but it takes something away: on request only.
    Lower,
    /// When the system starts, in `/boot/loader.conf`.
    Boot,
}

/// A setting there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignSetting {
    /// The sysctl's name.
    pub name: &'static str,
    /// The value wanted.
    pub value: u64,
    /// When it can be set.
    pub when: When,
    /// Why, and what is risky about it.
    pub why: &'static str,
}

/// XNU keeps the length of an accept queue in a signed 16-bit number.
const MACOS_LONGEST_QUEUE: u64 = 32_767;
/// FreeBSD's default of entries in a bucket of the SYN cache.
const SYNCACHE_BUCKET: u64 = 30;

impl Foreign {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Foreign::Freebsd => "FreeBSD",
            Foreign::Macos => "macOS",
        }
    }

    /// What to set there, in order: a limit comes before what it bounds.
    pub fn settings(self, ask: &Ask) -> Vec<ForeignSetting> {
        match self {
            Foreign::Freebsd => freebsd(ask),
            Foreign::Macos => macos(ask),
        }
    }
}

const MAXFILES: &str = "Open files of the whole system; each socket is one.";
const MAXFILESPERPROC: &str = "Open files of one process, whatever its own limit says.";
const FIRST: &str =
    "First port for outgoing connections. A server that starts later may find its port taken.";
const LAST: &str = "Last port for outgoing connections.";
const MSL: &str = "Milliseconds that a segment may live; TIME_WAIT lasts twice as long. If it is lower, a late segment of an \
                   old connection may reach a new one.";

fn raise(name: &'static str, value: u64, why: &'static str) -> ForeignSetting {
    ForeignSetting {
        name,
        value,
        when: When::Raise,
        why,
    }
}

fn freebsd(ask: &Ask) -> Vec<ForeignSetting> {
    let n = u64::from(ask.connections);
    let ends = ask.ends();
    let at_boot = |name, value, why| ForeignSetting {
        when: When::Boot,
        ..raise(name, value, why)
    };
    let mut all = vec![
        raise("kern.maxfiles", ends + OTHER_FILES_OF_MACHINE, MAXFILES),
        raise("kern.maxfilesperproc", wanted_files(ask), MAXFILESPERPROC),
        raise(
            "kern.ipc.maxsockets",
            ends + OTHER_FILES_OF_MACHINE,
            "Sockets of the whole system. It can only be lowered by a reboot.",
        ),
        raise(
            "kern.ipc.nmbclusters",
            ends,
            "Buffers of 2 KB: one for each connection, so that small messages flow on all at once. It can only be \
             lowered by a reboot.",
        ),
        raise(
            "net.inet.tcp.maxtcptw",
            n,
            "Connections in TIME_WAIT; beyond this number they are dropped at once. FreeBSD 14 does not have it: there \
             they are ordinary sockets.",
        ),
        at_boot(
            "net.inet.tcp.tcbhashsize",
            ends.max(1).next_power_of_two(),
            "Buckets of the table in which connections are looked up; a power of two.",
        ),
    ];
    if ask.role.accepts() {
        all.extend([
            raise(
                "kern.ipc.soacceptqueue",
                n.min(LONGEST_QUEUE),
                "It caps the accept queue of every listener (kern.ipc.somaxconn is its old name).",
            ),
            raise(
                "net.inet.ip.intr_queue_maxlen",
                n.min(16_384),
                "Packets that wait to be processed.",
            ),
            at_boot(
                "net.inet.tcp.syncache.hashsize",
                (n.min(LONGEST_QUEUE) / SYNCACHE_BUCKET)
                    .max(512)
                    .next_power_of_two(),
                "Buckets of the table of handshakes under way, with 30 in a bucket; a power of two.",
            ),
            at_boot(
                "net.inet.tcp.syncache.cachelimit",
                n.clamp(15_360, LONGEST_QUEUE),
                "Handshakes under way. Beyond this number SYN cookies are used (net.inet.tcp.syncookies).",
            ),
        ]);
    }
    if ask.role.connects() {
        all.extend(of_a_client(15_000));
    }
    all
}

/// What a client needs on both systems; `msl` in milliseconds.
fn of_a_client(msl: u64) -> [ForeignSetting; 5] {
    [
        widen_down("net.inet.ip.portrange.first", 1024, FIRST),
        raise("net.inet.ip.portrange.last", 65_535, LAST),
        widen_down(
            "net.inet.ip.portrange.hifirst",
            1024,
            "First port for programs that ask for the high range (IP_PORTRANGE_HIGH).",
        ),
        raise("net.inet.ip.portrange.hilast", 65_535, LAST),
        ForeignSetting {
            name: "net.inet.tcp.msl",
            value: msl,
            when: When::Lower,
            why: MSL,
        },
    ]
}

fn macos(ask: &Ask) -> Vec<ForeignSetting> {
    let n = u64::from(ask.connections);
    let mut all = vec![
        raise(
            "kern.maxfiles",
            ask.ends() + OTHER_FILES_OF_MACHINE,
            MAXFILES,
        ),
        raise("kern.maxfilesperproc", wanted_files(ask), MAXFILESPERPROC),
        raise(
            "kern.ipc.maxsockets",
            ask.ends() + OTHER_FILES_OF_MACHINE,
            "Sockets of the whole system, if this version of macOS has such a limit.",
        ),
    ];
    if ask.role.accepts() {
        all.push(raise(
            "kern.ipc.somaxconn",
            n.min(MACOS_LONGEST_QUEUE),
            "It caps the accept queue of every listener. The default of macOS is 128, the maximum 32767.",
        ));
    }
    if ask.role.connects() {
        all.extend(of_a_client(5000));
    }
    all
}

/// The beginning of a range, which is widened downwards.
fn widen_down(name: &'static str, value: u64, why: &'static str) -> ForeignSetting {
    ForeignSetting {
        when: When::WidenDown,
        ..raise(name, value, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::Role;

    #[test]
    fn each_role_gets_what_it_needs_with_values_for_n() {
        for (system, role, name, value) in [
            (
                Foreign::Freebsd,
                Role::Server,
                "kern.maxfiles",
                Some(1_065_536),
            ),
            (
                Foreign::Freebsd,
                Role::Both,
                "kern.maxfiles",
                Some(2_065_536),
            ),
            (
                Foreign::Freebsd,
                Role::Server,
                "kern.ipc.soacceptqueue",
                Some(65_535),
            ),
            (
                Foreign::Freebsd,
                Role::Client,
                "kern.ipc.soacceptqueue",
                None,
            ),
            (
                Foreign::Freebsd,
                Role::Server,
                "net.inet.ip.portrange.first",
                None,
            ),
            (
                Foreign::Freebsd,
                Role::Server,
                "net.inet.tcp.syncache.hashsize",
                Some(4096),
            ),
            (
                Foreign::Freebsd,
                Role::Client,
                "net.inet.tcp.maxtcptw",
                Some(1_000_000),
            ),
            (
                Foreign::Macos,
                Role::Both,
                "kern.ipc.somaxconn",
                Some(32_767),
            ),
            (
                Foreign::Macos,
                Role::Client,
                "kern.maxfilesperproc",
                Some(1_001_024),
            ),
            (Foreign::Macos, Role::Client, "net.inet.tcp.maxtcptw", None),
        ] {
            let ask = Ask {
                role,
                connections: 1_000_000,
                ports: Vec::new(),
                with: Vec::new(),
            };
            let all = system.settings(&ask);
            let found = all.iter().find(|s| s.name == name).map(|s| s.value);
            assert_eq!(found, value, "{system:?} {role:?} {name}");
        }
    }
}
