//! What is found in views that differ.

use super::*;
use crate::probe::host_facts::HostFacts;
use crate::probe::tcp_info::TcpInfo;

/// What is seen of an Ethernet without anything in between.
fn direct() -> Evidence {
    let end = TcpInfo {
        send_segment: 1448,
        announced_segment: 1460,
        path_mtu: 1500,
        send_scale: 7,
        receive_scale: 7,
        timestamps: true,
        sack: true,
        window_scaling: true,
        ecn: true,
        ..TcpInfo::default()
    };
    let host = HostFacts {
        ecn: 1,
        syncookies: 1,
        timestamps: true,
        sack: true,
        window_scaling: true,
        ..HostFacts::default()
    };
    let source = "10.0.0.1:4000".parse().unwrap();
    let target = "10.0.0.2:9000".parse().unwrap();
    Evidence {
        target,
        source,
        source_seen: source,
        target_seen: target,
        near: end,
        far: end,
        near_host: host,
        far_host: host,
        connects_us: vec![200; 10],
        answers_us: vec![210; 10],
        by_cookie: 0,
        taken_over: Some(0),
        small: true,
        up: true,
        down: true,
        segments: Vec::new(),
    }
}

fn found(change: impl Fn(&mut Evidence)) -> Vec<(Kind, String)> {
    let mut evidence = direct();
    change(&mut evidence);
    let result = PathResult::of(evidence);
    assert!(result.sections().iter().all(|s| !s.rows.is_empty()));
    let findings = result.outcome.findings.into_iter();
    findings.map(|f| (f.kind, f.text)).collect()
}

#[track_caller]
fn only(kind: Kind, words: &str, change: impl Fn(&mut Evidence)) {
    let found = found(change);
    assert!(
        matches!(&found[..], [(k, text)] if *k == kind && text.contains(words)),
        "{found:?}"
    );
}

#[test]
fn a_path_without_anything_in_between_is_told_as_such() {
    only(Kind::Direct, "no proxy", |_| {});
    // As on loopback: half of the first window.
    only(Kind::Direct, "", |e| {
        for end in [&mut e.near, &mut e.far] {
            (end.send_segment, end.announced_segment, end.path_mtu) = (32_741, 65_483, 65_535);
        }
    });
    // IPv6 has longer headers.
    only(Kind::Direct, "", |e| {
        e.target = "[fd00::2]:9000".parse().unwrap();
        e.target_seen = e.target;
        (e.near.send_segment, e.far.send_segment) = (1428, 1428);
    });
}

#[test]
fn each_change_on_the_way_is_named() {
    only(Kind::SourceTranslated, "192.0.2.1:1025", |e| {
        e.source_seen = "192.0.2.1:1025".parse().unwrap();
    });
    only(Kind::SourceTranslated, "port 1025", |e| {
        e.source_seen.set_port(1025)
    });
    only(Kind::TargetTranslated, "10.0.0.3:9000", |e| {
        e.target_seen = "10.0.0.3:9000".parse().unwrap();
    });
    only(
        Kind::SegmentLowered,
        "This end sends segments of at most 1,360 B",
        |e| {
            e.near.send_segment = 1348;
        },
    );
    only(Kind::SegmentLowered, "The far end sends", |e| {
        e.far.send_segment = 1348
    });
    only(Kind::OptionRemoved, "SACK does not survive", |e| {
        (e.near.sack, e.far.sack) = (false, false);
    });
    only(Kind::OptionRemoved, "removed from the SYN-ACK", |e| {
        e.near.sack = false
    });
    only(
        Kind::OptionRemoved,
        "does not accept it (net.ipv4.tcp_sack)",
        |e| {
            (e.near.sack, e.far.sack, e.far_host.sack) = (false, false, false);
        },
    );
    only(Kind::OptionRemoved, "ECN does not survive", |e| {
        (e.near.ecn, e.far.ecn) = (false, false);
    });
    only(
        Kind::ScaleChanged,
        "This end scales its windows by 2^7",
        |e| {
            e.far.send_scale = 0;
        },
    );
    only(Kind::SynCookies, "10 connections by SYN cookies", |e| {
        e.by_cookie = 10
    });
}

#[test]
fn what_was_not_asked_for_is_not_missed() {
    let found = found(|e| {
        e.near_host.ecn = 2;
        (e.near.ecn, e.far.ecn) = (false, false);
    });
    let kinds: Vec<Kind> = found.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::Direct, Kind::EcnNotAsked]);
}

#[test]
fn a_proxy_is_told_by_what_it_took_over() {
    only(Kind::Terminated, "the far end answers after 40.0 ms", |e| {
        e.taken_over = Some(200_000);
        e.answers_us = vec![40_000; 10];
        // Each half has its own.
        e.far.send_scale = 3;
        e.far.send_segment = 1000;
    });
}

#[test]
fn what_is_not_known_is_not_concluded() {
    only(Kind::TerminationUnknown, "not known", |e| {
        e.taken_over = None
    });
    only(Kind::Direct, "", |e| {
        (e.near.send_segment, e.near_host.mtu_probing) = (1012, 2);
    });
    only(Kind::Direct, "", |e| {
        (e.near.send_segment, e.near.send_window) = (988, 2000);
    });
}

#[test]
fn a_black_hole_is_told_with_the_size_that_passes() {
    let trial = |size| Segment {
        size,
        up: size <= 1360,
        down: true,
    };
    only(
        Kind::BlackHole,
        "to the far end: 64 KiB did not arrive, small payloads do, and with an MSS of 1,360 B",
        |e| {
            e.up = false;
            e.segments = SEGMENTS.map(trial).to_vec();
        },
    );
    only(Kind::NothingArrives, "was not answered", |e| {
        (e.up, e.small) = (false, false);
    });
}
