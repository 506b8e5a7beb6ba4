//! Ports for the servers under test.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

/// Below the range of ephemeral ports (32768 and up by default), so that no outgoing connection
/// can occupy the port first.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 without a listener; a different one each time, so that the remains of the previous
/// run (TIME_WAIT) do not affect the next.
///
/// # Errors
/// None is free.
pub fn free() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Harnesses that run side by side start at different ports.
    let from = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let n = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (from + n) % COUNT;
        if bind(port).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port on 127.0.0.1".to_owned())
}

/// A socket at `port` of 127.0.0.1 that does not listen: a wait for a server there must not mistake
/// it for one.
fn bind(port: u16) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?;
    Ok(socket)
}

/// Whether a TCP socket listens on `port`. Reads the kernel's list instead of connecting, so that no
/// server counts an additional connection. The list begins with the sockets that listen.
pub fn listened_on(port: u16) -> bool {
    let Ok(list) = File::open("/proc/net/tcp") else {
        return false;
    };
    BufReader::new(list)
        .lines()
        .skip(1)
        .map_while(Result::ok)
        .map_while(|line| listener(&line))
        .any(|p| p == port)
}

/// The port of a line of /proc/net/tcp, if its state is LISTEN (0A).
fn listener(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (local, state) = (words.next()?, words.nth(1)?);
    let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
    (state == "0A").then_some(port)
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::Backlog;

    use super::*;

    /// The port is held from the start. A port that was merely found free may be listened on for another moment while
    /// another test starts a process: a fork has all descriptors until its exec.
    #[test]
    fn a_bound_port_is_listened_on_once_somebody_listens() {
        let held = bind(0).unwrap();
        let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd())
            .unwrap()
            .port();
        assert!(!listened_on(port));
        socket::listen(&held, Backlog::new(1).unwrap()).unwrap();
        assert!(listened_on(port));
    }

    #[test]
    fn two_free_ports_are_two() {
        assert_ne!(free().unwrap(), free().unwrap());
    }

    #[test]
    fn only_a_listening_line_counts() {
        let listen = "   0: 0100007F:5208 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1";
        assert_eq!(listener(listen), Some(21_000));
        assert_eq!(listener(&listen.replace(" 0A ", " 06 ")), None);
        assert_eq!(listener("nonsense"), None);
    }
}
