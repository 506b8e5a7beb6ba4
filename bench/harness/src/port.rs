//! Ports for the servers under test.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that outgoing connections take theirs from (32768 and up by default), so that none
/// of those can sit on the port first.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 that nobody listens on; another one each time, so that what is left of the run
/// before (TIME_WAIT) does not meet the next.
///
/// # Errors
/// None is free.
pub fn free() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Harnesses that run side by side begin at different places.
    let from = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let n = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (from + n) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port on 127.0.0.1".to_owned())
}

/// Whether a TCP socket listens on `port`. Asks the kernel's list instead of connecting, so that no
/// server counts a connection more. The list begins with the sockets that listen.
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
    use super::*;

    #[test]
    fn a_free_port_is_listened_on_once_somebody_does() {
        let port = free().unwrap();
        assert!(!listened_on(port));
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(listened_on(port));
    }

    #[test]
    fn only_a_listening_line_counts() {
        let listen = "   0: 0100007F:5208 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1";
        assert_eq!(listener(listen), Some(21_000));
        assert_eq!(listener(&listen.replace(" 0A ", " 06 ")), None);
        assert_eq!(listener("nonsense"), None);
    }
}
