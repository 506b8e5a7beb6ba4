//! Where a page is served.

use crate::responder;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The usual port: where a browser's tab finds the next run, too.
const PORT: u16 = 9465;

/// An address to serve a page at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    address: SocketAddr,
    /// Whether the port was not asked for.
    usual: bool,
}

impl At {
    /// Reads `ADDRESS:PORT`, or either of them alone. The default is on loopback.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<At, String> {
        let usual = |ip: IpAddr| At {
            address: SocketAddr::new(ip, PORT),
            usual: true,
        };
        if text.is_empty() || text == "localhost" {
            return Ok(usual(Ipv4Addr::LOCALHOST.into()));
        }
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse() {
            return Ok(usual(ip));
        }
        match responder::address(text) {
            Ok(address) => Ok(At {
                address,
                usual: false,
            }),
            Err(_) => Err(format!(
                "'{text}' is not an address to serve a page at; write 9465, 127.0.0.1:9465 or 0.0.0.0:9465"
            )),
        }
    }

    /// The address and the port.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// Whether any port will do.
    pub fn is_usual(self) -> bool {
        self.usual
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_a_port_or_neither_may_be_left_out() {
        for (text, at, usual) in [
            ("", "127.0.0.1:9465", true),
            ("localhost", "127.0.0.1:9465", true),
            ("8080", "127.0.0.1:8080", false),
            (":8080", "127.0.0.1:8080", false),
            ("0.0.0.0", "0.0.0.0:9465", true),
            ("::1", "[::1]:9465", true),
            ("[::]", "[::]:9465", true),
            ("10.0.0.1:80", "10.0.0.1:80", false),
        ] {
            let read = At::parse(text).unwrap();
            assert_eq!((read.to_string().as_str(), read.is_usual()), (at, usual));
        }
        for text in ["example.com:80", "0", "10.0.0.1:0", "70000", "10.0.0.1:"] {
            assert!(At::parse(text).is_err(), "{text}");
        }
    }
}
