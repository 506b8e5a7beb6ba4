//! What the views of both ends say about what is in between, in words.

use super::evidence::{Evidence, Negotiated, Segment, median};
use crate::human::{self, things};
use crate::probe::finding::{Finding, Kind};
use std::net::SocketAddr;

pub(super) fn translations(e: &Evidence, findings: &mut Vec<Finding>) {
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

pub(super) fn termination(e: &Evidence, findings: &mut Vec<Finding>) {
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

pub(super) fn options(e: &Evidence, findings: &mut Vec<Finding>) {
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

pub(super) fn segments(e: &Evidence, findings: &mut Vec<Finding>) {
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

pub(super) fn cookies(e: &Evidence, findings: &mut Vec<Finding>) {
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

pub(super) fn payloads(e: &Evidence, findings: &mut Vec<Finding>) {
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
