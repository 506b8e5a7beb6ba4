//! What a path does to TCP: the views of both ends of a connection, compared.

use super::finding::{Finding, Kind};
use super::host_facts::HostFacts;
use super::tcp_info::TcpInfo;
use super::{Probed, VERSION};
use crate::human::{self, things};
use crate::section::{Row, Section, Tone};
use serde::Serialize;
use std::net::SocketAddr;

/// Payload of the test for large segments, bytes: 45 segments of an Ethernet.
pub const PAYLOAD: usize = 64 << 10;
/// MSS that are tried when large segments vanish: Ethernet, PPPoE, IPv6 and common tunnels, IPv6's and IPv4's smallest MTU.
pub const SEGMENTS: [u16; 9] = [1460, 1452, 1440, 1420, 1400, 1360, 1280, 1220, 536];
/// A segment of at least this size may be half of an early window rather than an MSS: the kernel never sends more than half
/// of the largest window that it has seen.
const MAY_BE_HALF_A_WINDOW: u64 = 32_000;
/// IPv4 and TCP headers; IPv6 has 20 bytes more.
const HEADERS: u64 = 40;
const MORE_OF_IPV6: u64 = 20;

/// What both ends saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where the near end connected to.
    pub target: SocketAddr,
    /// The near end's own address.
    pub source: SocketAddr,
    /// The near end's address as the far end sees it.
    pub source_seen: SocketAddr,
    /// Where the connection arrived.
    pub target_seen: SocketAddr,
    /// The near end's view of a connection.
    pub near: TcpInfo,
    /// The far end's.
    pub far: TcpInfo,
    /// The near end's settings.
    pub near_host: HostFacts,
    /// The far end's.
    pub far_host: HostFacts,
    /// How long connect(2) took, microseconds, for each connection.
    pub connects_us: Vec<u64>,
    /// From a connection's first request to its answer, microseconds.
    pub answers_us: Vec<u64>,
    /// Connections that came up by a SYN cookie at the far end, of those in `connects_us` (others' may be among them).
    pub by_cookie: u64,
    /// Bytes that were acknowledged to the near end while the far end read nothing, less those that its kernel had received:
    /// what something in between had taken over. `None` if that could not be read.
    pub taken_over: Option<u64>,
    /// Whether a payload of a few bytes was answered after the large ones.
    pub small: bool,
    /// Whether a payload of [`PAYLOAD`] bytes arrived at the far end.
    pub up: bool,
    /// Whether one arrived here.
    pub down: bool,
    /// What passed with a smaller MSS, if a large payload did not.
    pub segments: Vec<Segment>,
}

/// A trial with an MSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The MSS of both directions, bytes.
    pub size: u16,
    /// Whether the payload arrived at the far end.
    pub up: bool,
    /// Whether one arrived here.
    pub down: bool,
}

/// What a path does to TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathResult {
    version: u32,
    probe: &'static str,
    measured: bool,
    findings: Vec<Finding>,
    #[serde(flatten)]
    evidence: Evidence,
}

/// An option of TCP that both ends have to agree on.
struct Negotiated {
    name: &'static str,
    /// The sysctl that asks for it.
    sysctl: &'static str,
    /// This host asks for it.
    asked: bool,
    /// The far end's host accepts it.
    accepted: bool,
    near: bool,
    far: bool,
    /// A SYN cookie has no room for it without timestamps.
    lost_to_cookies: bool,
}

impl Evidence {
    /// Whether connections end in between.
    fn is_terminated(&self) -> bool {
        self.taken_over.is_some_and(|bytes| bytes > 0)
    }

    fn options(&self) -> [Negotiated; 4] {
        let (near, far) = (&self.near, &self.far);
        let (here, there) = (&self.near_host, &self.far_host);
        let negotiated = |name, sysctl, hosts: (bool, bool), ends: (bool, bool)| Negotiated {
            name,
            sysctl,
            asked: hosts.0,
            accepted: hosts.1,
            near: ends.0,
            far: ends.1,
            lost_to_cookies: self.by_cookie > 0 && !far.timestamps && name != "timestamps",
        };
        [
            negotiated(
                "timestamps",
                "net.ipv4.tcp_timestamps",
                (here.timestamps, there.timestamps),
                (near.timestamps, far.timestamps),
            ),
            negotiated(
                "SACK",
                "net.ipv4.tcp_sack",
                (here.sack, there.sack),
                (near.sack, far.sack),
            ),
            negotiated(
                "window scaling",
                "net.ipv4.tcp_window_scaling",
                (here.window_scaling, there.window_scaling),
                (near.window_scaling, far.window_scaling),
            ),
            negotiated(
                "ECN",
                "net.ipv4.tcp_ecn",
                (here.asks_for_ecn(), there.accepts_ecn()),
                (near.ecn, far.ecn),
            ),
        ]
    }

    /// The largest segment that `sender` should send by what `receiver` announced and the path's MTU.
    fn expected_segment(&self, sender: &TcpInfo, receiver: &TcpInfo) -> u64 {
        let of_ip = match self.target.ip().to_canonical().is_ipv6() {
            true => HEADERS + MORE_OF_IPV6,
            false => HEADERS,
        };
        let by_mtu = sender.path_mtu.saturating_sub(of_ip);
        receiver.announced_segment.min(by_mtu)
    }

    /// The largest segment that `sender` on `host` sends, if that is less than it should be.
    fn lowered(
        &self,
        sender: &TcpInfo,
        host: &HostFacts,
        receiver: &TcpInfo,
    ) -> Option<(u64, u64)> {
        let (sends, expected) = (
            sender.largest_segment(),
            self.expected_segment(sender, receiver),
        );
        // Without the path's MTU nothing can be expected. A host that always probes for it begins with small segments, and none
        // sends more than half of a small window.
        let small_window = sender.send_window > 0 && expected * 2 > sender.send_window;
        let known = sender.path_mtu > 0 && sends > 0 && host.mtu_probing != 2 && !small_window;
        (known && sends < expected && sends < MAY_BE_HALF_A_WINDOW).then_some((sends, expected))
    }
}

/// The value in the middle.
fn median(all: &[u64]) -> u64 {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl PathResult {
    /// What `evidence` shows.
    pub fn of(evidence: Evidence) -> PathResult {
        let mut findings = Vec::new();
        let e = &evidence;
        match e.is_terminated() {
            true => termination(e, &mut findings),
            false => translations(e, &mut findings),
        }
        if e.taken_over.is_none() {
            let text = "Whether connections end in between is not known: another server answered the question.";
            findings.push(Finding::note(Kind::TerminationUnknown, text));
        }
        options(e, &mut findings);
        if !e.is_terminated() {
            segments(e, &mut findings);
        }
        cookies(e, &mut findings);
        payloads(e, &mut findings);
        let quiet = findings.iter().all(|f| f.kind == Kind::EcnNotAsked);
        if quiet {
            let text = "The two ends see the same connection: no translation, no proxy, no option changed, and \
                        64 KiB pass in both directions.";
            findings.insert(0, Finding::note(Kind::Direct, text));
        }
        PathResult {
            version: VERSION,
            probe: "path",
            measured: true,
            findings,
            evidence,
        }
    }
}

fn translations(e: &Evidence, findings: &mut Vec<Finding>) {
    let (source, seen) = (e.source, e.source_seen);
    let same = |a: SocketAddr, b: SocketAddr| a.ip().to_canonical() == b.ip().to_canonical();
    if !same(source, seen) {
        let text = format!("The far end sees {seen} instead of {source}.");
        findings.push(Finding::note(Kind::SourceTranslated, text));
    } else if source.port() != seen.port() {
        let text = format!(
            "The far end sees port {} instead of {}, at this host's address.",
            seen.port(),
            source.port()
        );
        findings.push(Finding::note(Kind::SourceTranslated, text));
    }
    if !same(e.target, e.target_seen) || e.target.port() != e.target_seen.port() {
        let text = format!(
            "Connections to {} arrive at {}: the target is translated.",
            e.target, e.target_seen
        );
        findings.push(Finding::note(Kind::TargetTranslated, text));
    }
}

fn termination(e: &Evidence, findings: &mut Vec<Finding>) {
    let Some(taken) = e.taken_over.filter(|bytes| *bytes > 0) else {
        return;
    };
    let (connect, answer) = (median(&e.connects_us), median(&e.answers_us));
    let times = match connect < answer {
        true => format!(
            " It completes handshakes in {}; the far end answers after {}.",
            human::micros(connect as f64),
            human::micros(answer as f64)
        ),
        false => String::new(),
    };
    let text = format!(
        "Connections end in between: {} were acknowledged that the far end's kernel had not received. An \
         established connection does not mean that the server has one. The far end sees a connection of {} to \
         {}.{times}",
        human::bytes(taken),
        e.source_seen,
        e.target_seen
    );
    findings.push(Finding::warning(Kind::Terminated, text).with_remedy(
        "Measure with an answer from the server (--latency-echo, HTTP), and give the server its clients' addresses with the \
         PROXY protocol.",
    ));
}

fn options(e: &Evidence, findings: &mut Vec<Finding>) {
    for option in e.options() {
        let Negotiated { name, sysctl, .. } = option;
        if !option.asked {
            if name == "ECN" {
                let text = format!(
                    "ECN was not tested: this host does not ask for it ({sysctl} is {}).",
                    e.near_host.ecn
                );
                findings.push(
                    Finding::note(Kind::EcnNotAsked, text)
                        .with_remedy(format!("To test it: sysctl -w {sysctl}=1")),
                );
            }
            continue;
        }
        let lost = match (option.near, option.far) {
            (true, true) => continue,
            // Two connections: each has its own.
            (true, false) if e.is_terminated() => {
                format!(
                    "{name} is in use up to what is in between, and not from there to the far end."
                )
            }
            (true, false) => format!(
                "{name} is in use here and not at the far end: something in between answers for it."
            ),
            (false, true) if e.is_terminated() => {
                format!(
                    "{name} is in use at the far end, and not between this host and what is in between."
                )
            }
            (false, true) => {
                format!(
                    "{name} is in use at the far end and not here: it was removed from the SYN-ACK."
                )
            }
            (false, false) if !option.accepted => {
                format!("{name} is not in use: the far end's host does not accept it ({sysctl}).")
            }
            (false, false) if option.lost_to_cookies => {
                format!("{name} is not in use: a SYN cookie without timestamps has no room for it.")
            }
            (false, false) => format!(
                "{name} does not survive: this host asks for it, the far end's host accepts it, and neither end has it."
            ),
        };
        let remedy = match (option.near, option.far, option.accepted) {
            (false, false, false) => format!("On the far end: sysctl -w {sysctl}=1"),
            _ => "Look for a rule that changes TCP's options (nft: tcp option … reset, iptables: TCPOPTSTRIP), or for \
                  \"normalisation\" in a firewall."
                .to_owned(),
        };
        findings.push(Finding::warning(Kind::OptionRemoved, lost).with_remedy(remedy));
    }
    let (near, far) = (&e.near, &e.far);
    let scaled = near.window_scaling && far.window_scaling && !e.is_terminated();
    for (from, to, announced, applied) in [
        (
            "This end",
            "the far end",
            near.receive_scale,
            far.send_scale,
        ),
        (
            "The far end",
            "this end",
            far.receive_scale,
            near.send_scale,
        ),
    ] {
        if scaled && announced != applied {
            let text = format!(
                "{from} scales its windows by 2^{announced}, and {to} reads them by 2^{applied}: the option was changed in \
                 between, and windows are misread."
            );
            findings.push(Finding::warning(Kind::ScaleChanged, text));
        }
    }
}

fn segments(e: &Evidence, findings: &mut Vec<Finding>) {
    for (who, sender, host, receiver) in [
        ("This end", &e.near, &e.near_host, &e.far),
        ("The far end", &e.far, &e.far_host, &e.near),
    ] {
        if let Some((sends, expected)) = e.lowered(sender, host, receiver) {
            let text = format!(
                "{who} sends segments of at most {} B, although the other end announced {} B and the path's MTU as it \
                 knows it is {} B: the MSS of the handshake was lowered to {} B in between.",
                human::count(sends),
                human::count(receiver.announced_segment),
                human::count(sender.path_mtu),
                human::count(sends),
            );
            debug_assert!(sends < expected);
            findings.push(Finding::note(Kind::SegmentLowered, text));
        }
    }
}

fn cookies(e: &Evidence, findings: &mut Vec<Finding>) {
    if e.by_cookie == 0 {
        return;
    }
    let always = e.far_host.syncookies == 2;
    let text = format!(
        "The far end's kernel accepted {} by SYN cookies while this probe opened {}{}.",
        things(e.by_cookie, "connection"),
        human::count(e.connects_us.len() as u64),
        match always {
            true => " (net.ipv4.tcp_syncookies is 2: always)",
            false => ": its SYN queue was full",
        }
    );
    let remedy = match always {
        true => "On the far end: sysctl -w net.ipv4.tcp_syncookies=1",
        false => "Raise the server's backlog, net.core.somaxconn and net.ipv4.tcp_max_syn_backlog.",
    };
    findings.push(Finding::warning(Kind::SynCookies, text).with_remedy(remedy));
}

fn payloads(e: &Evidence, findings: &mut Vec<Finding>) {
    if e.up && e.down {
        return;
    }
    let direction = match (e.up, e.down) {
        (false, false) => "in either direction",
        (false, true) => "to the far end",
        _ => "from the far end",
    };
    if !e.small {
        let text = format!(
            "A payload of 64 KiB did not arrive {direction}, and a small one was not answered after it."
        );
        findings.push(Finding::failure(Kind::NothingArrives, text));
        return;
    }
    let passes = |s: &&Segment| (s.up || e.up) && (s.down || e.down);
    let largest = e
        .segments
        .iter()
        .filter(|s| s.up && s.down)
        .max_by_key(|s| s.size);
    let failed_above = e.segments.iter().any(|s| !passes(&s));
    let text = match largest {
        Some(segment) => format!(
            "Large segments vanish {direction}: 64 KiB did not arrive, small payloads do, and with an MSS of {} B the 64 KiB \
             arrive{}. Nothing told this end to send less (ICMP \"fragmentation needed\" is lost): an MTU black hole.",
            human::count(segment.size.into()),
            match failed_above {
                true => ", with a larger one they don't",
                false => "",
            }
        ),
        None => format!(
            "64 KiB did not arrive {direction} with any MSS that was tried, and small payloads do."
        ),
    };
    let remedy = largest.map(|segment| {
        format!(
            "Let ICMP type 3 code 4 (IPv6: type 2) pass, or lower the MSS to {} B on the way (nft: tcp option maxseg size set rt \
             mtu), or set net.ipv4.tcp_mtu_probing=1 on both ends.",
            segment.size
        )
    });
    let mut finding = Finding::failure(Kind::BlackHole, text);
    finding.remedy = remedy;
    findings.push(finding);
}

impl Probed for PathResult {
    fn sections(&self) -> Vec<Section> {
        let e = &self.evidence;
        let plain = |label, value: String, note: String| Row::new(Tone::Plain, label, value, note);
        let micros = |all: &[u64]| human::micros(median(all) as f64);
        let of = |all: &[u64]| format!("median of {}", all.len());
        let path = Section {
            title: "Path",
            rows: vec![
                plain(
                    "source",
                    e.source.to_string(),
                    seen(e.source, e.source_seen),
                ),
                plain(
                    "target",
                    e.target.to_string(),
                    seen(e.target, e.target_seen),
                ),
                plain("connect", micros(&e.connects_us), of(&e.connects_us)),
                plain("first answer", micros(&e.answers_us), of(&e.answers_us)),
            ],
        };
        let bytes = |n: u64| format!("{} B", human::count(n));
        let mut rows = vec![
            plain(
                "MSS to far end",
                bytes(e.near.largest_segment()),
                format!(
                    "announced by the far end: {}",
                    bytes(e.far.announced_segment)
                ),
            ),
            plain(
                "MSS from far end",
                bytes(e.far.largest_segment()),
                format!("announced here: {}", bytes(e.near.announced_segment)),
            ),
        ];
        if e.near.window_scaling && e.far.window_scaling {
            rows.push(plain(
                "window scale",
                format!("{} / {}", e.near.receive_scale, e.far.receive_scale),
                "this end's, the far end's".into(),
            ));
        }
        for option in e.options() {
            let (tone, value) = match (option.asked, option.near, option.far) {
                (_, true, true) => (Tone::Plain, "yes"),
                (false, ..) => (Tone::Plain, "not asked for"),
                (_, true, false) => (Tone::Odd, "here only"),
                (_, false, true) => (Tone::Odd, "there only"),
                (_, false, false) => (Tone::Odd, "no"),
            };
            rows.push(Row::new(tone, option.name, value, ""));
        }
        let tone = if e.by_cookie > 0 {
            Tone::Odd
        } else {
            Tone::Plain
        };
        let note = format!("of {}", things(e.connects_us.len() as u64, "connection"));
        rows.push(Row::new(
            tone,
            "SYN cookies",
            human::count(e.by_cookie),
            note,
        ));
        let options = Section {
            title: "TCP options",
            rows,
        };
        let arrived = |label, yes: bool| match yes {
            true => Row::new(Tone::Plain, label, "arrives", ""),
            false => Row::new(Tone::Bad, label, "vanishes", ""),
        };
        let mut rows = vec![
            arrived("64 KiB to it", e.up),
            arrived("64 KiB from it", e.down),
        ];
        for segment in &e.segments {
            let tone = if segment.up && segment.down {
                Tone::Plain
            } else {
                Tone::Bad
            };
            let value = match (segment.up, segment.down) {
                (true, true) => "arrives",
                (false, false) => "vanishes",
                (true, false) => "vanishes from it",
                (false, true) => "vanishes to it",
            };
            rows.push(Row::new(
                tone,
                "with an MSS of",
                bytes(segment.size.into()),
                value,
            ));
        }
        rows.push(arrived("small after that", e.small));
        let payload = Section {
            title: "Payload",
            rows,
        };
        vec![path, options, payload]
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn is_measured(&self) -> bool {
        self.measured
    }
}

fn seen(here: SocketAddr, there: SocketAddr) -> String {
    match here == there {
        true => "the same at the far end".into(),
        false => format!("{there} at the far end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let findings = result.findings.into_iter();
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
}
