//! What a machine needs so that a proxy on it can connect from its clients' addresses, and so that clients can address a backend and
//! meet the proxy: packets to addresses of others have to be delivered to this machine, which does not have them.

use std::net::SocketAddr;

/// The mark of such packets, and the routing table that delivers them here: `tp` in ASCII.
const MARK: u32 = 0x7470;
/// The table of the firewall that marks them.
const TABLE: &str = "inet throng_proxy";

/// What a machine is to deliver to a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivered<'a> {
    /// Answers of these backends to clients' addresses.
    pub answers: &'a [SocketAddr],
    /// TCP connections that pass through this machine to others: to the first of these addresses of their family. The proxy listens
    /// there (IP_TRANSPARENT).
    pub clients: &'a [SocketAddr],
}

impl Delivered<'_> {
    /// The families of addresses, each with the command that sets up routes.
    fn families(&self) -> impl Iterator<Item = &'static str> {
        let all = || self.answers.iter().chain(self.clients);
        let four = all().any(SocketAddr::is_ipv4);
        let six = all().any(SocketAddr::is_ipv6);
        let all = [(four, "ip"), (six, "ip -6")].into_iter();
        all.filter(|(used, _)| *used).map(|(_, ip)| ip)
    }
}

/// The commands that set that up, for root. They need nftables, with its expression `socket` (Linux 4.19), and for clients `tproxy`
/// (4.19) and `fib` (4.10).
pub fn rules(what: &Delivered) -> Vec<String> {
    let mut all = vec![
        format!("nft add table {TABLE}"),
        format!(
            "nft add chain {TABLE} answers '{{ type filter hook prerouting priority mangle; }}'"
        ),
        format!(
            "nft add rule {TABLE} answers meta l4proto tcp socket transparent 1 meta mark set {MARK:#x}"
        ),
    ];
    let first = |six: bool| what.clients.iter().find(|at| at.is_ipv6() == six);
    for (ip, family) in [("ip", "ipv4"), ("ip6", "ipv6")] {
        if let Some(at) = first(ip == "ip6") {
            all.push(format!(
                "nft add rule {TABLE} answers meta nfproto {family} meta l4proto tcp mark != {MARK:#x} fib daddr type != local tproxy {ip} to {at} meta mark set {MARK:#x}"
            ));
        }
    }
    all.extend(what.families().flat_map(|ip| {
        [
            format!("{ip} rule add fwmark {MARK:#x} lookup {MARK}"),
            format!("{ip} route add local default dev lo table {MARK}"),
        ]
    }));
    all
}

/// The commands that undo [`rules`].
pub fn undone(what: &Delivered) -> Vec<String> {
    let mut all = vec![format!("nft delete table {TABLE}")];
    all.extend(what.families().flat_map(|ip| {
        [
            format!("{ip} rule del fwmark {MARK:#x} lookup {MARK}"),
            format!("{ip} route flush table {MARK}"),
        ]
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|at| at.parse().unwrap()).collect()
    }

    #[test]
    fn each_family_of_backends_has_its_routes_and_all_is_undone() {
        for (backends, families) in [
            (&["10.0.0.7:80"][..], &["ip "][..]),
            (&["[fd00::7]:80"], &["ip -6 "]),
            (
                &["10.0.0.7:80", "[fd00::7]:80", "10.0.0.8:80"],
                &["ip ", "ip -6 "],
            ),
        ] {
            let backends = addresses(backends);
            let what = Delivered {
                answers: &backends,
                ..Delivered::default()
            };
            let (added, undone) = (rules(&what), undone(&what));
            assert_eq!(added.len(), 3 + 2 * families.len());
            assert_eq!(undone.len(), 1 + 2 * families.len());
            for ip in families {
                let rule = format!("{ip}rule add ");
                assert!(added.iter().any(|command| command.starts_with(&rule)));
                let rule = rule.replace("add", "del");
                assert!(undone.iter().any(|command| command.starts_with(&rule)));
            }
        }
    }

    #[test]
    fn clients_are_led_to_the_first_listener_of_their_family() {
        let listeners = addresses(&["127.0.0.1:9000", "127.0.0.1:9001", "[::1]:9000"]);
        for (clients, to) in [
            (&listeners[..2], &["tproxy ip to 127.0.0.1:9000"][..]),
            (&listeners[2..], &["tproxy ip6 to [::1]:9000"]),
            (
                &listeners[..],
                &["tproxy ip to 127.0.0.1:9000", "tproxy ip6 to [::1]:9000"],
            ),
        ] {
            let what = Delivered {
                clients,
                ..Delivered::default()
            };
            let led: Vec<String> = rules(&what)
                .into_iter()
                .filter(|command| command.contains("tproxy"))
                .collect();
            assert_eq!(led.len(), to.len(), "{led:?}");
            assert!(led.iter().zip(to).all(|(rule, to)| rule.contains(to)));
            assert_eq!(undone(&what).len(), 1 + 2 * to.len());
        }
    }
}
