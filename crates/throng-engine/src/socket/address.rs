//! Socket addresses in the kernel's layout.

use std::mem;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// An IPv4 or IPv6 socket address in the kernel's layout.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    storage: libc::sockaddr_in6,
    len: u32,
}

impl Address {
    pub fn new(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => {
                let four = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_in6 is plain data for which zero is valid, and larger than sockaddr_in.
                let storage = unsafe {
                    let mut storage: libc::sockaddr_in6 = mem::zeroed();
                    (&raw mut storage).cast::<libc::sockaddr_in>().write(four);
                    storage
                };
                Address {
                    storage,
                    len: size_of::<libc::sockaddr_in>() as u32,
                }
            }
            SocketAddr::V6(v6) => Address {
                storage: libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                },
                len: size_of::<libc::sockaddr_in6>() as u32,
            },
        }
    }

    /// A source address for connections to `target`. connect() chooses the port. A link-local one is that of the
    /// target's interface.
    pub fn source(ip: IpAddr, target: SocketAddr) -> Address {
        match (ip, target) {
            (IpAddr::V6(ip), SocketAddr::V6(target)) if ip.is_unicast_link_local() => {
                Address::new(SocketAddrV6::new(ip, 0, 0, target.scope_id()).into())
            }
            _ => Address::new((ip, 0).into()),
        }
    }

    pub fn family(&self) -> i32 {
        i32::from(self.storage.sin6_family)
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn len(&self) -> u32 {
        self.len
    }
}
