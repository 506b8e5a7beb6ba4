//! Timeouts, and what happens at expiry, in words.

use super::direction::{Direction, View};
use super::silences::{MIDDLE, Speaker};
use crate::human::{self, things};
use crate::probe::finding::{Finding, Kind};
use std::time::Duration;

pub(super) fn span(ms: u64) -> String {
    human::seconds(ms as f64 / 1000.0)
}

pub(super) fn timeouts(near: &Direction, far: &Direction, findings: &mut Vec<Finding>) {
    for direction in [near, far] {
        if direction.is_unsteady() {
            let text = format!(
                "Connections on which {} speaks fail whatever their silence: {} of {} contradict any timeout.",
                who(direction.speaker),
                direction.exceptions,
                things(direction.tried as u64, "connection"),
            );
            findings.push(Finding::failure(Kind::Unsteady, text).with_remedy(
                "Something drops connections for another reason, such as a full table. Try fewer connections: a shorter --up-to.",
            ));
        }
    }
    let told = |direction: &Direction, words: &str| {
        let timeout = direction.timeout_ms?;
        let survived = match direction.survived_ms {
            Some(ms) => format!("one that was silent for {} still carries data", span(ms)),
            None => "none that was silent carries data".to_owned(),
        };
        let lost = direction.lost_ms?;
        Some(format!(
            "The idle timeout is {}{words}: {survived}, one of {} does not.",
            rounded(timeout),
            span(lost)
        ))
    };
    let together = match (near.timeout_ms, far.timeout_ms) {
        (Some(a), Some(b)) => a.abs_diff(b) <= 1000,
        _ => false,
    };
    if together {
        let text = told(near, ", whichever end speaks then");
        findings.extend(text.map(|text| Finding::warning(Kind::IdleTimeout, text)));
        return;
    }
    for (direction, other) in [(near, far), (far, near)] {
        let words = format!(" if {} speaks then", who(direction.speaker));
        let Some(mut text) = told(direction, &words) else {
            continue;
        };
        if other.timeout_ms.is_none()
            && !other.is_unsteady()
            && let Some(survived) = other.survived_ms
        {
            text += &format!(
                " If {} speaks, a connection that was silent for {} still carries data: its packets make the path take the \
                 connection up again.",
                who(other.speaker),
                span(survived)
            );
        }
        findings.push(Finding::warning(Kind::IdleTimeout, text));
    }
}

/// A silence that was survived: not longer than it was.
pub(super) fn survived(ms: u64) -> String {
    match ms >= 59_000 {
        true => span(ms / 1000 * 1000),
        false => span(ms),
    }
}

/// A timeout as its setting most likely is: whole seconds.
pub(super) fn rounded(ms: u64) -> String {
    human::countdown(Duration::from_secs((ms + MIDDLE) / 1000))
}

pub(super) fn who(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Near => "this end",
        Speaker::Far => "the far end",
    }
}

pub(super) fn expiry(direction: &Direction, findings: &mut Vec<Finding>) {
    let Some(here) = direction.here.filter(|_| direction.timeout_ms.is_some()) else {
        return;
    };
    let there = direction.there.unwrap_or(View::Unknown);
    let silent = |view| matches!(view, View::ClosedSilent | View::ResetSilent);
    let meaning = match (here, there) {
        (View::Silence | View::Nothing, View::Nothing | View::Silence) => {
            "The path forgets the connection silently."
        }
        (a, b) if silent(a) && silent(b) => {
            "Something in between ends the connection on both sides by itself, as proxies do."
        }
        (View::Reset, _) | (_, View::Reset) => {
            "The path has forgotten the connection and refuses what belongs to it."
        }
        _ => "",
    };
    let far = match there {
        View::Unknown => "what the far end sees is not known".to_owned(),
        other => format!("the far end {}", other.text()),
    };
    let here = match (direction.speaker, here) {
        (Speaker::Far, View::Silence) => "hears nothing",
        (_, here) => here.text(),
    };
    let text = format!(
        "At expiry, when {} speaks: this end {here}; {far}. {meaning}",
        who(direction.speaker),
    );
    findings.push(Finding::note(Kind::AtExpiry, text.trim_end()));
}

pub(super) fn keepalive(renew: bool, every: u64) -> Finding {
    match renew {
        true => Finding::note(
            Kind::Keepalive,
            "TCP keepalives renew connections: with them they carry data after a silence that is longer than the timeout.",
        )
        .with_remedy(format!(
            "Set TCP keepalives of at most {every} s, so that one may be lost (TCP_KEEPIDLE and TCP_KEEPINTVL; \
             net.ipv4.tcp_keepalive_time and _intvl for programs that only switch them on)."
        )),
        false => Finding::warning(
            Kind::Keepalive,
            "TCP keepalives do not renew connections: with them, too, connections are gone after the timeout. Only data \
             counts.",
        )
        .with_remedy(format!(
            "Send data every {every} s (pings of WebSocket, HTTP/2 or MQTT), or raise the timeout of what is in between."
        )),
    }
}
