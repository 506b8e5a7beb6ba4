//! Reads the present values. Each is known, or there is a reason why not.

use std::fs;
use std::net::IpAddr;

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::{SocketId, StateFlags};
use throng_core::tune::{Current, Now, PortSet, SYSCTLS};

use super::system::System;
use super::{notrack, proc_sys, process_limits};
use crate::limits::FileLimits;
use crate::sock_diag::{NO_COOKIE, SockDiag};

/// Reads everything that [`throng_core::tune::settings`] wants to know: of `system`, this network
/// namespace, and process `pid`, or else this one. Never fails: what can't be read says why.
pub fn now(system: &System, pid: Option<u32>) -> Now {
    let files = match pid {
        Some(pid) => process_limits::file_limits_of(pid).ok(),
        None => FileLimits::read().ok().map(|l| (l.soft, l.hard)),
    };
    let sysctls = SYSCTLS
        .iter()
        .map(|name| ((*name).to_owned(), proc_sys::current(system, name)));
    Now {
        sysctls: sysctls.collect(),
        files,
        of_another: pid.is_some(),
        memory: memory(),
        page: rustix::param::page_size() as u64,
        listened: listened(),
        untracked: untracked(system),
    }
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

fn untracked(system: &System) -> Current {
    match proc_sys::current(system, "net.netfilter.nf_conntrack_max") {
        Current::Absent(why) => Current::Absent(why),
        _ if !system.is_this() => Current::Absent("a copy of a system has no packet filter".into()),
        _ => notrack::current(),
    }
}

/// Ports that a TCP socket of this network namespace listens on, or that a UDP socket has bound and is not connected
/// from. What can't be read counts as none.
fn listened() -> PortSet {
    let mut ports = Vec::new();
    if let Ok(mut diag) = SockDiag::open() {
        for (family, any) in [
            (AF_INET, IpAddr::from([0; 4])),
            (AF_INET6, IpAddr::from([0; 16])),
        ] {
            let all = SocketId {
                source_port: 0,
                destination_port: 0,
                source_address: any,
                destination_address: any,
                interface_id: 0,
                cookie: NO_COOKIE,
            };
            let found = diag.ask(family, all, Some(StateFlags::LISTEN));
            ports.extend(
                found
                    .unwrap_or_default()
                    .iter()
                    .map(|s| s.socket_id.source_port),
            );
        }
    }
    for name in ["udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
        ports.extend(unconnected_udp(&table));
    }
    ports.into_iter().filter(|p| *p != 0).collect()
}

/// The local ports of `/proc/net/udp` in state 07 (TCP_CLOSE: not connected).
fn unconnected_udp(table: &str) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next()?;
        let unconnected = words.nth(1)? == "07";
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        unconnected.then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn sockets_that_listen_are_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = listened();
        for port in [
            tcp.local_addr().unwrap().port(),
            udp.local_addr().unwrap().port(),
        ] {
            assert!(
                found.contains(&[port].into_iter().collect()),
                "{port} in {found}"
            );
        }
    }

    #[test]
    fn udp_tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            \u{20} 10: 00000000:0044 00000000:0000 07 00000000:00000000\n\
            \u{20} 11: 0100007F:BF12 0100007F:0035 01 00000000:00000000\n";
        assert_eq!(unconnected_udp(table).collect::<Vec<_>>(), [0x44]);
        assert_eq!(unconnected_udp("").count(), 0);
        assert_eq!(unconnected_udp("x\n y z\n").count(), 0);
    }

    #[test]
    fn this_machine_is_read() {
        let now = now(&System::at("/"), None);
        assert!(matches!(
            now.sysctl("net.core.somaxconn"),
            Current::Value(_)
        ));
        assert!(now.memory.unwrap() > 0 && now.files.is_some());
        let nowhere = super::now(&System::at("/nowhere"), Some(u32::MAX));
        assert!(matches!(
            nowhere.sysctl("net.core.somaxconn"),
            Current::Absent(_)
        ));
        assert_eq!(nowhere.files, None);
    }
}
