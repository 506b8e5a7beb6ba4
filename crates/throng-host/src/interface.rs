//! The interface that leads to a target, and its addresses.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;

use crate::addresses::source_for;

/// An interface and its addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as `ip link` shows it.
    pub name: String,
    /// Its addresses of the target's family, in the kernel's order.
    pub addresses: Vec<IpAddr>,
}

/// The interface that connections to `target` come from; `None` without a route. Nothing is sent: connecting a UDP
/// socket only makes the kernel choose a source address.
pub fn for_target(target: SocketAddr) -> Option<Interface> {
    let source = source_for(target)?;
    let all: Vec<(String, IpAddr)> = getifaddrs()
        .ok()?
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            let ip = v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))?;
            Some((interface.interface_name, ip))
        })
        .collect();
    // A source in 127/8 belongs to loopback, even if no interface lists it.
    let name = all
        .iter()
        .find(|(_, ip)| *ip == source)
        .or_else(|| {
            all.iter()
                .find(|(_, ip)| source.is_loopback() && ip.is_loopback())
        })
        .map(|(name, _)| name.clone())?;
    let addresses = all
        .into_iter()
        .filter(|(of, ip)| *of == name && ip.is_ipv4() == target.is_ipv4())
        .map(|(_, ip)| ip)
        .collect();
    Some(Interface { name, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_leads_to_loopback() {
        for target in ["127.0.0.1:80", "127.5.6.7:80"] {
            let lo = for_target(target.parse().unwrap()).unwrap();
            assert_eq!(lo.name, "lo");
            assert!(
                lo.addresses.contains(&"127.0.0.1".parse().unwrap()),
                "{lo:?}"
            );
            assert!(lo.addresses.iter().all(IpAddr::is_ipv4), "{lo:?}");
        }
    }
}
