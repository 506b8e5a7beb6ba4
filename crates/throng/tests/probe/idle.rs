//! The idle timeout of a path: right to a second, and how it ends.

use crate::common::net::Net;
use crate::common::run;
use crate::rig::{FAR_END, Path, haproxy, kinds, nginx, result, routed};
use serde_json::Value;

/// A NAT that forgets connections after five seconds, and takes none up again.
fn nat(filter: &str) -> Path {
    routed(&format!(
        "nft 'table ip t {{ \
           chain post {{ type nat hook postrouting priority 100; ip saddr 10.78.1.0/24 masquerade; }}; \
           {filter} }}' && sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=5 \
         net.netfilter.nf_conntrack_tcp_loose=0"
    ))
}

#[track_caller]
fn assert_five_seconds(told: &Value, ends: &[&str]) {
    for end in ends {
        let timeout = told[end]["timeout_s"].as_f64();
        let close = timeout.is_some_and(|s| (s - 5.0).abs() < 1.0);
        assert!(close, "{end}: {timeout:?}: {told:#}");
    }
}

#[test]
fn a_nat_that_drops_what_it_forgot_is_silent() {
    let drop = "chain in { type filter hook input priority 0; ct state invalid drop; }; \
                chain forward { type filter hook forward priority 0; ct state invalid drop; };";
    let told = result(&nat(drop).probe(&format!("idle {FAR_END} --up-to 9s")));
    assert_five_seconds(&told, &["near", "far"]);
    assert_eq!(told["near"]["here"], "silence", "{told:#}");
    assert_eq!(told["near"]["there"], "nothing", "{told:#}");
    assert_eq!(told["far"]["here"], "silence", "{told:#}");
    assert_eq!(told["far"]["there"], "silence", "{told:#}");
    assert_eq!(told["keepalives_renew"], true, "{told:#}");
    assert_eq!(told["keepalive_s"], 2, "{told:#}");
}

#[test]
fn a_nat_without_a_filter_resets_what_it_forgot() {
    let told = result(&nat("").probe(&format!("idle {FAR_END} --up-to 9s")));
    assert_five_seconds(&told, &["near", "far"]);
    assert_eq!(told["near"]["here"], "reset", "{told:#}");
    assert_eq!(told["far"]["there"], "reset", "{told:#}");
}

#[test]
fn a_proxy_closes_both_sides_and_keepalives_do_not_help() {
    let path = routed("");
    let _haproxy = haproxy(&path, "  timeout client 5s\n  timeout server 1m");
    let told = result(&path.probe("idle 10.78.1.1:9100 --up-to 8s"));
    assert_five_seconds(&told, &["near", "far"]);
    for end in ["near", "far"] {
        assert_eq!(told[end]["here"], "closed_silent", "{told:#}");
        assert_eq!(told[end]["there"], "closed_silent", "{told:#}");
    }
    assert_eq!(told["keepalives_renew"], false, "{told:#}");
}

#[test]
fn the_proxy_timeout_of_nginx_is_found() {
    let path = routed("");
    let _nginx = nginx(&path, 5);
    let told = result(&path.probe("idle 10.78.1.1:9100 --up-to 6s"));
    assert_five_seconds(&told, &["near", "far"]);
    assert_eq!(told["near"]["here"], "closed_silent", "{told:#}");
    assert_eq!(told["keepalives_renew"], false, "{told:#}");
}

#[test]
fn without_a_timeout_none_is_invented() {
    let told = result(&routed("").probe(&format!("idle {FAR_END} --up-to 3s")));
    assert_eq!(kinds(&told), ["no_idle_timeout"], "{told:#}");
    assert_eq!(told["near"]["timeout_s"], Value::Null, "{told:#}");
    // As far as was asked, and a little further.
    let survived = told["near"]["survived_s"].as_f64();
    assert!(survived.is_some_and(|s| s > 3.0), "{told:#}");
    // Nothing was silent for longer than a timeout.
    assert_eq!(told["keepalives"], serde_json::json!([]), "{told:#}");
}

#[test]
fn an_option_of_another_probe_is_refused() {
    let net = Net::own();
    for (args, says) in [
        (
            "path 127.0.0.1:9 --up-to 3s",
            "--up-to is for throng probe idle",
        ),
        (
            "idle 127.0.0.1:9 --most 1k",
            "--most is for throng probe table",
        ),
        (
            "table 127.0.0.1:9 --rate-up-to 1k",
            "--rate-up-to is for throng probe rate",
        ),
        (
            "--server 127.0.0.1:9 --connect-rate 9",
            "--connect-rate is for throng probe table",
        ),
    ] {
        let ran = run(&net, &format!("probe {args}"));
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(says), "{ran}");
    }
}
