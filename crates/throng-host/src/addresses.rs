//! The addresses of this machine's interfaces, and whether an address belongs to the machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The addresses that connections to other machines can come from: those of interfaces that are up, without loopback
/// and link-local addresses. Sorted, without duplicates.
pub(crate) fn of_interfaces() -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = getifaddrs()?
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|ip| !ip.is_loopback() && !is_link_local(ip))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Whether `ip` is valid on one link only.
pub(crate) fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether this network namespace has IPv6: whether an interface that is up has an IPv6 address.
pub(crate) fn has_ipv6() -> bool {
    let is_ipv6 = |interface: nix::ifaddrs::InterfaceAddress| {
        interface.flags.contains(InterfaceFlags::IFF_UP)
            && interface
                .address
                .is_some_and(|a| a.as_sockaddr_in6().is_some())
    };
    getifaddrs().is_ok_and(|mut interfaces| interfaces.any(is_ipv6))
}

/// The address that connections to `target` come from if they are bound to none; `None` if no route leads there.
/// Nothing is sent: connect() on a UDP socket only has the kernel choose.
#[must_use]
pub fn source_for(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

/// Whether `addr` belongs to this machine. The test is bind(), which succeeds only for such addresses (unless the
/// sysctl `ip_nonlocal_bind` is on), so 127.0.0.0/8 and local routes are included. A link-local
/// address without its interface belongs to this machine if any interface has it.
pub(crate) fn is_local(mut addr: SocketAddr) -> bool {
    if let SocketAddr::V6(v6) = addr
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        let mut all = getifaddrs().into_iter().flatten();
        return all.any(|interface| {
            let address = interface.address.as_ref();
            let ip = address.and_then(|a| a.as_sockaddr_in6().map(|a| a.ip()));
            ip.as_ref() == Some(v6.ip())
        });
    }
    addr.set_port(0);
    match UdpSocket::bind(addr) {
        Ok(_) => true,
        // Without IPv6 no IPv6 address belongs to the machine.
        Err(e) if e.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) => false,
        Err(e) => e.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{all, inside, shell};
    use crate::survey::{Wanted, survey};

    #[test]
    fn a_machine_s_own_addresses_are_those_that_others_reach() {
        if !inside(
            "addresses::tests::a_machine_s_own_addresses_are_those_that_others_reach",
            "ip link add a0 type veth peer name b0
             ip addr add 192.0.2.1/24 dev a0
             ip addr add 192.0.2.7/24 dev b0
             ip addr add 169.254.3.4/16 dev a0
             ip addr add 10.9.9.9/32 dev lo
             ip link set a0 up",
        ) {
            return;
        }
        let sources = [
            "10.9.9.9",
            "10.9.9.8",
            "127.5.5.5",
            "192.0.2.1",
            "2001:db8::7",
        ];
        let host = survey(&Wanted {
            sources: sources.map(|ip| ip.parse().unwrap()).to_vec(),
            ..Wanted::default()
        });
        let foreign = ["10.9.9.8", "2001:db8::7"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(host.foreign_sources, foreign);
        let expected = ["192.0.2.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        // b0 is down; an address on lo that isn't a loopback address can be routed to.
        let expected = [&["10.9.9.9".parse().unwrap()], &expected[..]].concat();
        assert_eq!(host.addresses, expected);
        if host.ipv6 {
            shell("ip addr add 2001:db8::1/64 dev a0 nodad");
            let host = survey(&Wanted::default());
            assert_eq!(
                host.addresses[2..],
                ["2001:db8::1".parse::<IpAddr>().unwrap()]
            );
            shell("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
        }
        let host = survey(&all(&["[::1]:80".parse().unwrap()]));
        assert!(!host.ipv6 && !host.targets[0].local);
        assert_eq!(host.addresses, expected);
    }
}
