//! What a machine needs so that a proxy on it can connect from its clients' addresses: the answers to those addresses have to be
//! delivered to this machine, which does not have them.

use std::net::SocketAddr;

/// The mark of packets of such connections, and the routing table that delivers them here: `tp` in ASCII.
const MARK: u32 = 0x7470;
/// The table of the firewall that marks them.
const TABLE: &str = "inet throng_proxy";

/// The commands that set that up towards `backends`, for root. They need nftables, with its expression `socket` (Linux 4.19).
pub fn rules(backends: &[SocketAddr]) -> Vec<String> {
    let mut all = vec![
        format!("nft add table {TABLE}"),
        format!(
            "nft add chain {TABLE} answers '{{ type filter hook prerouting priority mangle; }}'"
        ),
        format!(
            "nft add rule {TABLE} answers meta l4proto tcp socket transparent 1 meta mark set {MARK:#x}"
        ),
    ];
    all.extend(families(backends).flat_map(|ip| {
        [
            format!("{ip} rule add fwmark {MARK:#x} lookup {MARK}"),
            format!("{ip} route add local default dev lo table {MARK}"),
        ]
    }));
    all
}

/// The commands that undo [`rules`].
pub fn undone(backends: &[SocketAddr]) -> Vec<String> {
    let mut all = vec![format!("nft delete table {TABLE}")];
    all.extend(families(backends).flat_map(|ip| {
        [
            format!("{ip} rule del fwmark {MARK:#x} lookup {MARK}"),
            format!("{ip} route flush table {MARK}"),
        ]
    }));
    all
}

/// The command that sets up routes, for each family that backends have.
fn families(backends: &[SocketAddr]) -> impl Iterator<Item = &'static str> {
    let four = backends.iter().any(SocketAddr::is_ipv4);
    let six = backends.iter().any(SocketAddr::is_ipv6);
    let all = [(four, "ip"), (six, "ip -6")].into_iter();
    all.filter(|(used, _)| *used).map(|(_, ip)| ip)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let backends: Vec<SocketAddr> = backends.iter().map(|b| b.parse().unwrap()).collect();
            let (added, undone) = (rules(&backends), undone(&backends));
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
}
