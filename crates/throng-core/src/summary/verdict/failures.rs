//! Attempts that failed: why, and what helps.

use crate::diagnosis::Diagnosis;
use crate::human;
use crate::record::{Asked, AskedExchanges};
use crate::stats::{FailCause, OfAddress};
use crate::summary::finding::Finding;
use crate::summary::totals::Totals;

pub(super) fn failed_attempts(t: &Totals, causes: &[Diagnosis], findings: &mut Vec<Finding>) {
    for cause in FailCause::ALL {
        let attempts = t.held.failed(cause);
        if attempts == 0 {
            continue;
        }
        let explained = causes.iter().any(|d| d.explains(cause));
        let of_kernel = |of: fn(&crate::diagnosis::KernelCounts) -> u64| {
            t.endings().map(|e| of(&e.kernel)).sum::<u64>()
        };
        let again = of_kernel(|k| k.retransmits);
        let again = (cause == FailCause::TimedOut && again > 0 && !t.asked.unix).then_some(again);
        findings.push(Finding::AttemptsFailed {
            cause,
            attempts,
            retransmits: again,
            timeouts: again.map(|_| of_kernel(|k| k.timeouts)),
            remedy: (!explained).then(|| remedy(cause, &t.asked, t.peak)),
        });
    }
}

/// The addresses that took no connection, where others did.
pub(super) fn dead_addresses(t: &Totals) -> Vec<Finding> {
    let all = t.by_address();
    let takes = |of: &OfAddress| of.established > 0;
    if !all.iter().any(takes) {
        return Vec::new();
    }
    let dead = all.into_iter().filter(|of| !takes(of) && of.attempted > 0);
    dead.map(|of| Finding::AddressDead {
        cause: of.failed.iter().max_by_key(|(_, n)| **n).map(|(c, _)| *c),
        address: of.address,
        target: of.target,
        attempts: of.attempted,
    })
    .collect()
}

/// What to do about attempts that failed by `cause`. `peak` connections were open at once: what kept attempts from being
/// established was not always so, or not for all targets. Where connections go through tunnels, it is the proxy that takes
/// them or does not.
pub(super) fn remedy(cause: FailCause, asked: &Asked, peak: u64) -> String {
    if let Some(of_unix) = remedy_of_unix(cause, asked, peak).filter(|_| asked.unix) {
        return of_unix;
    }
    let others = human::things(peak, "connection");
    let (to, more) = match asked.tunnels {
        true => ("proxy", "source addresses"),
        false => ("target", "source addresses or targets"),
    };
    if let (
        FailCause::NoAddress,
        Some(AskedExchanges {
            ports_per_s: Some(per_s),
            ..
        }),
    ) = (cause, asked.exchanges)
    {
        return format!(
            "The local ports were used up: that of a connection which this side closes first rests in TIME_WAIT, so there are enough for {} new connections per second. Add {more}, let the server close first (--await-close) or reset connections (--linger 0), or bound the rate (--connect-rate).",
            human::count(per_s)
        );
    }
    match cause {
        FailCause::Refused if peak > 0 => format!(
            "For a time nothing listened on the {to}, or never on one of several, or a firewall refused: {others} were established otherwise. Check whether its server ended or closed its listener, and look for a connection limit (nft list ruleset)."
        ),
        FailCause::Unreachable if peak > 0 => format!(
            "For a time there was no route to the {to}, or never to one of several, or its machine did not answer (ARP): {others} were established otherwise. Check what changed: ip route get ADDRESS, ip neigh."
        ),
        FailCause::Forbidden if peak > 0 => format!(
            "A firewall rule or security policy forbade it for a time, or beyond a number: {others} were established otherwise. Look for a limit: nft list ruleset."
        ),
        FailCause::NoAddress if peak > 0 => format!(
            "No local port was left to the {to}, or its source address was gone for a time: {others} were established otherwise. Add {more}, or widen net.ipv4.ip_local_port_range."
        ),
        FailCause::Refused if asked.tunnels => "Nothing listens at the proxy that is to open tunnels, or no longer: check its address, its port and whether it runs.".into(),
        FailCause::Refused => "Nothing listens on the target, or no longer: check the address, the port and the server.".into(),
        FailCause::TimedOut => format!(
            "No answer within {}: a full accept queue on the {to} (ss -ltn there; raise its backlog and net.core.somaxconn), a firewall that drops, or a slow path (--connect-timeout, --connect-rate).",
            human::seconds(asked.connect_timeout_s)
        ),
        FailCause::Reset => format!("The {to}, or something in front of it, resets new connections: look for a connection limit there."),
        FailCause::Unreachable => format!("There is no route to the {to}: ip route get ADDRESS."),
        FailCause::NoAddress => format!("No local port is left to the {to}, or a --source-ip does not belong to this machine: add {more}, or widen net.ipv4.ip_local_port_range."),
        FailCause::FileLimit => "A file limit: ulimit -n for the process, sysctl fs.file-max for the system.".into(),
        FailCause::NoMemory => "The kernel had no memory for a socket: net.ipv4.tcp_mem, the container's memory limit, ulimit -l.".into(),
        FailCause::Forbidden => "A firewall rule or security policy forbids it: nft list ruleset.".into(),
        FailCause::Other => "An error that throng does not know: please report it, with the command line.".into(),
    }
}

/// The same for Unix sockets, which have no addresses and ports, and nothing on the way; `None` if there is no difference.
fn remedy_of_unix(cause: FailCause, asked: &Asked, peak: u64) -> Option<String> {
    Some(match cause {
        FailCause::Refused if peak > 0 => format!(
            "For a time nothing listened on the socket: {} were established otherwise. Check whether its server ended or closed its listener.",
            human::things(peak, "connection")
        ),
        FailCause::Refused => {
            "Nothing listens on the socket, or no longer: check its path and the server, whose file stays if it is killed.".into()
        }
        FailCause::TimedOut => format!(
            "The server's accept queue had no room within {} (ss -lx): let it accept faster, or raise its backlog and net.core.somaxconn (--connect-timeout, --connect-rate).",
            human::seconds(asked.connect_timeout_s)
        ),
        FailCause::Reset => "The server closes new connections: look for a connection limit there.".into(),
        FailCause::NoMemory => "The kernel had no memory for a socket: the container's memory limit, ulimit -l.".into(),
        FailCause::Forbidden => {
            "This user may not connect: that takes write permission for the socket's file, and search permission for its directories.".into()
        }
        FailCause::Unreachable | FailCause::NoAddress | FailCause::FileLimit | FailCause::Other => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_has_no_address_no_port_and_no_firewall() {
        let asked = Asked {
            unix: true,
            ..Asked::default()
        };
        for cause in FailCause::ALL {
            for peak in [0, 5] {
                // The kernel has neither for a Unix socket.
                if matches!(cause, FailCause::Unreachable | FailCause::NoAddress) {
                    continue;
                }
                let said = remedy(cause, &asked, peak);
                for word in ["port", "address", "firewall", "route", "tcp", "-ltn"] {
                    let found = said.split([' ', ',', '.', ':', '(']).any(|w| w == word);
                    assert!(!found, "{word}: {said}");
                }
            }
        }
        let timed_out = remedy(FailCause::TimedOut, &asked, 0);
        assert!(timed_out.contains("ss -lx"), "{timed_out}");
    }

    #[test]
    fn with_tunnels_it_is_the_proxy_that_took_no_connection() {
        let says = |tunnels, cause, peak| {
            let asked = Asked {
                tunnels,
                ..Asked::default()
            };
            remedy(cause, &asked, peak)
        };
        for cause in [
            FailCause::Refused,
            FailCause::TimedOut,
            FailCause::Reset,
            FailCause::Unreachable,
            FailCause::NoAddress,
        ] {
            for peak in [0, 5] {
                let (direct, through) = (says(false, cause, peak), says(true, cause, peak));
                let named = |word: &str| (direct.contains(word), through.contains(word));
                assert_eq!(named("proxy"), (false, true), "{direct} {through}");
                assert!(direct.contains("target"), "{direct}");
                assert!(!through.contains("target"), "{through}");
            }
        }
    }
}
