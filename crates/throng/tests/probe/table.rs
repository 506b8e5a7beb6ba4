//! The table of flows of a path: right to a per cent, and what gives way.

use crate::common::{assert_near, start};
use crate::rig::{FAR_END, kinds, result, routed};

#[test]
fn a_table_of_500_flows_is_found_with_what_gives_way() {
    let path = routed(
        "nft 'table ip t { chain forward { type filter hook forward priority 0; \
         ct state new ct count over 500 drop; }; }'",
    );
    let told = result(&path.probe(&format!("table {FAR_END} --most 2k --answer-within 2s")));
    assert_eq!(kinds(&told), ["table_full", "eviction"], "{told:#}");
    assert_near("flows", told["held"].as_f64().unwrap(), 500.0, 0.01);
    assert_eq!(told["eviction"], "newest", "{told:#}");
    assert!(
        told["refused"]["silence"].as_u64().unwrap() >= 20,
        "{told:#}"
    );
}

#[test]
fn ports_for_translation_that_are_used_up_are_told() {
    let path = routed(
        "nft 'table ip t { chain post { type nat hook postrouting priority 100; \
         ip saddr 10.78.1.0/24 ip protocol tcp masquerade to :10000-10299; }; }'",
    );
    let told = result(&path.probe(&format!("table {FAR_END} --most 1k --answer-within 2s")));
    assert_near("flows", told["held"].as_f64().unwrap(), 300.0, 0.01);
    let ports = &told["ports"][0];
    assert_eq!(
        (&ports["lowest"], &ports["highest"]),
        (&10000.into(), &10299.into()),
        "{told:#}"
    );
    assert!(kinds(&told).contains(&"ports"), "{told:#}");
}

#[test]
fn a_table_that_is_not_full_has_no_size() {
    let told = result(&routed("").probe(&format!("table {FAR_END} --most 300")));
    assert_eq!(kinds(&told), ["table_not_full"], "{told:#}");
    assert_eq!(told["held"], 301, "{told:#}");
}

#[test]
fn flows_behind_a_balancer_are_heard_at_each_server() {
    let path = routed(
        "nft 'table ip t { chain pre { type nat hook prerouting priority -100; tcp dport 9000 \
         dnat to 10.78.2.2 : numgen inc mod 2 map { 0 : 9000, 1 : 9001 }; }; }'",
    );
    let other = start(&path.far, "probe --server 10.78.2.2:9001");
    other.wait_for_stderr("listens on");
    let told = result(&path.probe(&format!("table {FAR_END} --most 200")));
    assert_eq!(kinds(&told), ["table_not_full", "spread"], "{told:#}");
    assert_eq!(
        (&told["held"], &told["lost"]),
        (&201.into(), &0.into()),
        "{told:#}"
    );
    assert_eq!(told["spread"]["how"], "turns", "{told:#}");
    assert_eq!(
        told["spread"]["flows"],
        serde_json::json!([100, 100]),
        "{told:#}"
    );
}
