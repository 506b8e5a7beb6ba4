//! Names of hosts, resolved to every address that they have.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::addresses::{is_link_local, is_local};
use crate::listen::accept_queue;

/// Why a host has no address to use; its text completes "`HOST`: ".
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The resolver failed, or knows no such name.
    #[error(
        "can't resolve '{host}': {}; look it up with `getent ahosts {host}`, or write an address",
        said(why)
    )]
    Resolver {
        /// The name.
        host: String,
        /// What the resolver said.
        why: io::Error,
    },
    /// The resolver knows the name, and no address of it.
    #[error("'{0}' has no address")]
    NoAddress(String),
    /// A link-local address exists on every link (RFC 4291 section 2.5.6).
    #[error(
        "a link-local address needs its interface; write [{address}%{example}]:{port} (ip address lists interfaces)"
    )]
    LinkLocal {
        /// The address.
        address: Ipv6Addr,
        /// The port asked for.
        port: u16,
        /// An interface that has such an address.
        example: String,
    },
    /// There is no such interface.
    #[error("there is no interface '{0}' on this machine (ip address lists them)")]
    NoInterface(String),
    /// The address is no link-local one.
    #[error(
        "'%{0}' names an interface, which only a link-local address (fe80::) needs; leave it out"
    )]
    NeedsNoInterface(String),
}

/// What the resolver said, without what std says before it.
fn said(why: &io::Error) -> String {
    let text = why.to_string();
    let said = text.strip_prefix("failed to lookup address information: ");
    said.unwrap_or(&text).to_owned()
}

/// Every address of `host`, a name or an address, each once and with `port`; at least one. A link-local IPv6
/// address names its interface, `fe80::1%eth0` (RFC 4007 section 11). Link-local addresses of a name that come without
/// one are left out, unless there are no others.
///
/// # Errors
/// The host has no address that can be used.
pub fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, NameError> {
    if let Some((address, interface)) = host.split_once('%')
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        return Ok(vec![scoped(address, interface, port)?]);
    }
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|why| NameError::Resolver {
            host: host.to_owned(),
            why,
        })?;
    let mut all: Vec<SocketAddr> = Vec::new();
    let mut unusable = None;
    for at in found {
        match at {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
                unusable = Some(*v6.ip());
            }
            _ => {
                let at = match at.ip().to_canonical() {
                    // Also of an IPv4-mapped IPv6 address, which leads to the same place.
                    IpAddr::V4(v4) => (v4, port).into(),
                    IpAddr::V6(_) => at,
                };
                if !all.contains(&at) {
                    all.push(at);
                }
            }
        }
    }
    match (all.is_empty(), unusable) {
        (false, _) => Ok(all),
        (true, Some(address)) => Err(NameError::LinkLocal {
            address,
            port,
            example: example(),
        }),
        (true, None) => Err(NameError::NoAddress(host.to_owned())),
    }
}

/// The [`addresses`] of `host` to listen on: those that this machine has. Where it has none of them, all: listening
/// reports why it fails.
///
/// # Errors
/// Those of [`addresses`].
pub fn addresses_here(host: &str, port: u16) -> Result<Vec<SocketAddr>, NameError> {
    let all = addresses(host, port)?;
    let here: Vec<SocketAddr> = all.iter().copied().filter(|at| is_local(*at)).collect();
    Ok(if here.is_empty() { all } else { here })
}

/// The first of `addresses` that a listener of this machine serves, as the kernel reports without a connection.
pub fn listened_on_here(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let served = |at: &SocketAddr| matches!(accept_queue(*at), Ok(Some(_)));
    addresses.iter().copied().find(served)
}

fn scoped(address: Ipv6Addr, interface: &str, port: u16) -> Result<SocketAddr, NameError> {
    if !address.is_unicast_link_local() {
        return Err(NameError::NeedsNoInterface(interface.to_owned()));
    }
    let index = match interface.parse() {
        Ok(index) => index,
        Err(_) => if_nametoindex(interface).unwrap_or(0),
    };
    match index {
        0 => Err(NameError::NoInterface(interface.to_owned())),
        _ => Ok(SocketAddrV6::new(address, port, 0, index).into()),
    }
}

/// An interface with a link-local address, for an example.
fn example() -> String {
    let mut all = getifaddrs().into_iter().flatten();
    let found = all.find(|interface| {
        let v6 = interface.address.as_ref().and_then(|a| a.as_sockaddr_in6());
        interface.flags.contains(InterfaceFlags::IFF_UP)
            && v6.is_some_and(|a| is_link_local(&IpAddr::V6(a.ip())))
    });
    found.map_or_else(|| "eth0".to_owned(), |interface| interface.interface_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::inside;

    fn resolved(host: &str) -> String {
        match addresses(host, 80) {
            Ok(all) => all.iter().map(SocketAddr::to_string).collect(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_link_local_address_has_its_interface_or_the_error_names_one() {
        if !inside(
            "names::tests::a_link_local_address_has_its_interface_or_the_error_names_one",
            "ip link add a0 type veth peer name b0
             ip link set a0 up && ip link set b0 up
             ip addr add fe80::a/64 dev a0 nodad",
        ) {
            return;
        }
        let index = if_nametoindex("a0").unwrap();
        assert_eq!(resolved("fe80::a%a0"), format!("[fe80::a%{index}]:80"));
        assert_eq!(
            resolved(&format!("fe80::a%{index}")),
            resolved("fe80::a%a0")
        );
        for (host, named) in [
            ("fe80::a", "write [fe80::a%"),
            ("febf::1", "write [febf::1%"),
            ("fe80::a%nope", "interface 'nope'"),
            ("fe80::a%", "interface ''"),
            ("fe80::a%0", "interface '0'"),
            ("2001:db8::1%a0", "leave it out"),
            ("::1%lo", "leave it out"),
        ] {
            assert!(resolved(host).contains(named), "{host}: {}", resolved(host));
        }
        assert!(
            resolved("fe80::a").contains("0]:80"),
            "{}",
            resolved("fe80::a")
        );
    }

    #[test]
    fn a_name_is_listened_on_at_those_of_its_addresses_that_are_here() {
        if !inside(
            "names::tests::a_name_is_listened_on_at_those_of_its_addresses_that_are_here",
            "hosts=$(mktemp) && printf '127.0.0.1 two\n127.0.0.9 two\n198.51.100.1 two\n198.51.100.2 away\n' > $hosts
             mount --bind $hosts /etc/hosts && rm $hosts",
        ) {
            return;
        }
        let resolved = |host| {
            let all = addresses_here(host, 80).unwrap();
            let mut all: Vec<String> = all.iter().map(SocketAddr::to_string).collect();
            all.sort();
            all
        };
        assert_eq!(resolved("two"), ["127.0.0.1:80", "127.0.0.9:80"]);
        assert_eq!(resolved("away"), ["198.51.100.2:80"]);
        assert_eq!(addresses("two", 80).unwrap().len(), 3);
    }
}
