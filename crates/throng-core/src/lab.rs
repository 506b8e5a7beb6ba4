//! A lab: hosts on one machine, each in a network namespace of its own, on one network. How addresses are given out in it, and how
//! the commands in it learn of it.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The bits of the lab's network, 198.18.0.0/15, which is set aside for benchmarks between networks (RFC 2544, RFC 6890).
pub const PREFIX: u8 = 15;
/// The address of the host that the command runs on.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The address of the server's host.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The most hosts: each has 256 addresses of the network, and the first 256 are the server's and the command's.
pub const MOST_HOSTS: u32 = 511;
/// The most addresses of a host.
pub const MOST_ADDRESSES: u32 = 254;
/// The environment variable in which commands find their lab, as [`Lab`] is written.
pub const VARIABLE: &str = "THRONG_LAB";

/// Address `nth` of host `host`, both counted from 1: 198.18.HOST.NTH up to host 255, then 198.19.
pub fn address(host: u32, nth: u32) -> Ipv4Addr {
    let network = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    Ipv4Addr::from(network + (host << 8) + nth)
}

/// The hosts of a lab, each by a process in its network namespace. Written as `SERVER,HOST,HOST,...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lab {
    /// The process on the server's host.
    pub server: u32,
    /// The processes on the others: host 1 is the first.
    pub hosts: Vec<u32>,
}

impl fmt::Display for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)?;
        self.hosts.iter().try_for_each(|pid| write!(f, ",{pid}"))
    }
}

impl FromStr for Lab {
    type Err = String;
    fn from_str(text: &str) -> Result<Lab, String> {
        let pids: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
        match pids.as_deref() {
            Ok([server, hosts @ ..]) => Ok(Lab {
                server: *server,
                hosts: hosts.to_vec(),
            }),
            _ => Err(format!("'{text}' in {VARIABLE} names no processes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_address_is_given_twice_and_all_are_in_the_network() {
        let hosts =
            (1..=MOST_HOSTS).flat_map(|host| [1, 2, MOST_ADDRESSES].map(|nth| address(host, nth)));
        let all: Vec<Ipv4Addr> = hosts.chain([CONTROL, SERVER]).collect();
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        for address in all {
            assert_eq!(
                u32::from(address) >> 17,
                u32::from(CONTROL) >> 17,
                "{address}"
            );
        }
        assert_eq!(address(1, 1), Ipv4Addr::new(198, 18, 1, 1));
        assert_eq!(address(256, 3), Ipv4Addr::new(198, 19, 0, 3));
    }

    #[test]
    fn a_lab_is_read_as_it_is_written() {
        let lab = Lab {
            server: 7,
            hosts: vec![8, 12],
        };
        assert_eq!(lab.to_string(), "7,8,12");
        assert_eq!("7,8,12".parse(), Ok(lab));
        for text in ["", "7,", "x", "-1", "7 8"] {
            assert!(text.parse::<Lab>().is_err(), "{text}");
        }
    }
}
