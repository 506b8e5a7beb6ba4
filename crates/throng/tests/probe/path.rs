//! What a path does to TCP: told if it is so, and only then.

use crate::common::net::Net;
use crate::common::net::free_port;
use crate::common::run;
use crate::rig::{FAR_END, haproxy, kinds, result, routed};

#[test]
fn a_router_alone_is_told_as_a_direct_path() {
    let path = routed("");
    path.near.shell("sysctl -qw net.ipv4.tcp_ecn=1");
    let told = result(&path.probe(&format!("path {FAR_END}")));
    assert_eq!(kinds(&told), ["direct"], "{told:#}");
    assert_eq!(told["taken_over"], 0, "{told:#}");
    assert_eq!(told["far"]["send_segment"], 1448, "{told:#}");
    assert_eq!(told["source"], told["source_seen"], "{told:#}");
}

#[test]
fn translation_and_what_is_done_to_options_are_told() {
    let path = routed(
        "nft 'table ip t { \
           chain post { type nat hook postrouting priority 100; ip saddr 10.78.1.0/24 masquerade; }; \
           chain forward { type filter hook forward priority 0; \
             tcp flags syn tcp option maxseg size set 1300; tcp flags syn reset tcp option sack-perm; }; }'",
    );
    // What the far end's kernel answers by cookie needs no full queue.
    path.far.shell("sysctl -qw net.ipv4.tcp_syncookies=2");
    let told = result(&path.probe(&format!("path {FAR_END}")));
    assert_eq!(
        kinds(&told),
        [
            "source_translated",
            "option_removed",
            "ecn_not_asked",
            "segment_lowered",
            "segment_lowered",
            "syn_cookies",
        ],
        "{told:#}"
    );
    assert!(
        told["source_seen"]
            .as_str()
            .unwrap()
            .starts_with("10.78.2.1:"),
        "{told:#}"
    );
    assert_eq!(told["far"]["send_segment"], 1300 - 12, "{told:#}");
    assert!(told["by_cookie"].as_u64().unwrap() >= 10, "{told:#}");
}

#[test]
fn a_proxy_is_told_by_what_it_takes_over() {
    let path = routed("");
    let _haproxy = haproxy(&path, "  timeout client 1m\n  timeout server 1m");
    let told = result(&path.probe("path 10.78.1.1:9100"));
    assert!(kinds(&told).contains(&"terminated"), "{told:#}");
    assert!(told["taken_over"].as_u64().unwrap() > 0, "{told:#}");
}

#[test]
fn a_black_hole_is_told_with_the_size_that_passes() {
    // The far network's link takes 1,400 bytes, and what says so is dropped.
    let path = routed(
        "ip link set to2 mtu 1400 && nft 'table ip t { chain out { type filter hook output priority 0; \
         icmp type destination-unreachable drop; }; }'",
    );
    let told = result(&path.probe(&format!("path {FAR_END} --answer-within 2s")));
    assert!(kinds(&told).contains(&"black_hole"), "{told:#}");
    let segments = told["segments"].as_array().unwrap();
    let passes = segments.iter().filter(|s| s["up"] == true);
    let largest = passes.map(|s| s["size"].as_u64().unwrap()).max();
    assert_eq!(largest, Some(1360), "{told:#}");
}

#[test]
fn without_a_far_end_nothing_is_measured() {
    let net = Net::own();
    let _sink = crate::common::serve(&net, "127.0.0.1:9001 --mode echo");
    let unused = free_port();
    for (target, words) in [
        (format!("127.0.0.1:{unused}"), "refused"),
        ("127.0.0.1:9001".to_owned(), "does not speak as the far end"),
    ] {
        let ran = run(&net, &format!("probe path {target}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        assert!(
            ran.stderr.contains(words) && ran.stderr.contains("probe --server"),
            "{ran}"
        );
    }
    for bad in [
        "probe",
        "probe path",
        "probe --server 1 path x:1",
        "probe idle x:1 --up-to 1s",
    ] {
        let ran = run(&net, bad);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
    }
}
