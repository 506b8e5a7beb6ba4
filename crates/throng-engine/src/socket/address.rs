//! Socket addresses in the kernel's layout.

use std::mem;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use throng_core::unix_socket::UnixAddress;

/// The address of a socket of IPv4, IPv6 or Unix in the kernel's layout.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    storage: libc::sockaddr_storage,
    len: u32,
}

impl Address {
    pub fn new(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => Address::of(
                libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                },
                size_of::<libc::sockaddr_in>(),
            ),
            SocketAddr::V6(v6) => Address::of(
                libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                },
                size_of::<libc::sockaddr_in6>(),
            ),
        }
    }

    /// The address of a Unix socket (unix(7)): a path with a zero behind it, or a name with a zero before it.
    pub fn unix(address: &UnixAddress) -> Address {
        let mut un = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as u16,
            sun_path: [0; 108],
        };
        let (at, bytes) = match (address.name(), address.path()) {
            (Some(name), _) => (1, name.as_bytes()),
            (None, path) => (0, path.unwrap_or_default().as_bytes()),
        };
        for (to, from) in un.sun_path[at..].iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        let before = mem::offset_of!(libc::sockaddr_un, sun_path);
        Address::of(un, before + bytes.len() + 1)
    }

    /// `address`, of which the kernel is to read `len` bytes.
    fn of<A: Copy>(address: A, len: usize) -> Address {
        const { assert!(size_of::<A>() <= size_of::<libc::sockaddr_storage>()) };
        const { assert!(align_of::<A>() <= align_of::<libc::sockaddr_storage>()) };
        // SAFETY: sockaddr_storage is plain data for which zero is valid, large enough and aligned for an address of each
        // family.
        let storage = unsafe {
            let mut storage: libc::sockaddr_storage = mem::zeroed();
            (&raw mut storage).cast::<A>().write(address);
            storage
        };
        Address {
            storage,
            len: len as u32,
        }
    }

    /// A source address for connections to `target`. connect() chooses the port. A link-local one is that of the
    /// target's interface.
    pub fn source(ip: IpAddr, target: &Address) -> Address {
        match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                Address::new(SocketAddrV6::new(ip, 0, 0, target.scope()).into())
            }
            _ => Address::new((ip, 0).into()),
        }
    }

    /// The interface of a link-local address of IPv6 (sin6_scope_id); 0 for any other address.
    fn scope(&self) -> u32 {
        match self.family() {
            // SAFETY: the family says that this is what the storage has, and any bytes are valid.
            libc::AF_INET6 => unsafe {
                (*self.as_ptr().cast::<libc::sockaddr_in6>()).sin6_scope_id
            },
            _ => 0,
        }
    }

    pub fn family(&self) -> i32 {
        i32::from(self.storage.ss_family)
    }

    /// Whether it is that of a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.family() == libc::AF_UNIX
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn len(&self) -> u32 {
        self.len
    }
}
