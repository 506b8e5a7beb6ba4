//! The outcome of tunnels.

use super::counts::TunnelFailure;
use crate::human::count;
use crate::protocol::http::Status;
use crate::section::{Row, Section, Tone};
use crate::stats::{Tally, occurred};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The outcome of tunnels through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelSummary {
    /// Tunnels that the proxy opened.
    pub opened: u64,
    /// Those that it refused, by status. Statuses that did not occur are left out.
    pub refused: BTreeMap<Status, u64>,
    /// Those that were not opened for another reason. Reasons that did not occur are left out.
    pub failed: BTreeMap<TunnelFailure, u64>,
}

/// A way in which tunnels were not opened.
pub struct NotOpened {
    /// Its stable name: a status, or a [`TunnelFailure`].
    pub cause: &'static str,
    /// What happened, and what to do about it.
    pub words: String,
    /// On how many connections.
    pub connections: u64,
}

impl TunnelSummary {
    /// From the counts of a side.
    pub fn of(tally: &Tally) -> TunnelSummary {
        TunnelSummary {
            opened: tally.tunnel.opened,
            refused: occurred(Status::ALL, |status| tally.tunnel.refused(status)),
            failed: occurred(TunnelFailure::ALL, |why| tally.tunnel.failed(why)),
        }
    }

    /// The section, for reports.
    pub fn drawn(&self) -> Section {
        let mut rows = vec![Row::new(Tone::Plain, "opened", count(self.opened), "")];
        let refused = self.refused.iter();
        rows.extend(refused.map(|(by, n)| Row::new(Tone::Bad, "refused", count(*n), by.words())));
        let failed = self.failed.iter();
        rows.extend(failed.map(|(why, n)| Row::new(Tone::Bad, "failed", count(*n), why.words())));
        Section {
            title: "Tunnels",
            rows,
        }
    }

    /// The ways in which tunnels were not opened.
    pub fn not_opened(&self) -> Vec<NotOpened> {
        let refused = self.refused.iter().map(|(status, n)| NotOpened {
            cause: status.name(),
            words: format!(
                "the proxy refused the tunnel: {}{}",
                status.words(),
                remedy(*status)
            ),
            connections: *n,
        });
        let failed = self.failed.iter().map(|(why, n)| NotOpened {
            cause: why.name(),
            words: why.words().to_owned(),
            connections: *n,
        });
        refused.chain(failed).collect()
    }
}

/// What to do about a refusal.
fn remedy(status: Status) -> &'static str {
    match status {
        Status::ProxyAuthenticationRequired => {
            "; --tunnel-auth USER:PASSWORD gives credentials that it accepts"
        }
        Status::Forbidden => "; its rules have to allow CONNECT to this host and port",
        Status::MethodNotAllowed | Status::NotImplemented | Status::BadRequest => {
            "; it may be no proxy, or one without CONNECT"
        }
        Status::BadGateway | Status::ServiceUnavailable | Status::GatewayTimeout => {
            "; it could not connect to the target"
        }
        _ => "",
    }
}
