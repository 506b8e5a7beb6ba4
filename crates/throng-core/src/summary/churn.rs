//! Connections that are opened, used and closed, one after the other.

use super::latency::Percentiles;
use super::per_second::per_s;
use super::totals::Totals;
use crate::record::closed_by_agreement;
use crate::stats::{Closed, FailCause, occurred};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The connections of a run in which each carries a number of exchanges and is then closed and replaced by another
/// (`--exchanges-per-connection`, and HTTP's `--requests-per-connection` and `Connection: close`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// Exchanges asked for on each connection; `None` if the protocol says when it ends.
    pub exchanges_each: Option<u16>,
    /// The time in which these are counted, in seconds: the hold.
    pub seconds: f64,
    /// Connections that carried all their exchanges in that time.
    pub connections: u64,
    /// The same per second.
    pub per_s: f64,
    /// Those whose exchanges were complete and that the server closed in that time; `None` unless it was to (`--await-close`).
    #[serde(default)]
    pub closed_by_server: Option<u64>,
    /// Those that the server had not closed 5 s after their last exchange: this side closed them. `None` as above.
    #[serde(default)]
    pub not_closed: Option<u64>,
    /// Attempts that failed in that time, by cause.
    pub failed: BTreeMap<FailCause, u64>,
    /// Connections that ended before their exchanges were complete, by what ended them.
    pub lost: BTreeMap<Closed, u64>,
    /// The time to connect, over the whole run.
    pub connect: Option<Percentiles>,
    /// The time of an exchange, over the whole run.
    pub exchange: Option<Percentiles>,
    /// New connections per second for which this client has ports, as each rests once its connection is closed; `None` if that
    /// is no bound.
    pub ports_per_s: Option<u64>,
}

impl Churn {
    /// That of a run in which connections come and go.
    pub(super) fn of(t: &Totals) -> Option<Churn> {
        let asked = t.asked.exchanges;
        if asked.is_none() && !t.parts.iter().any(|part| part.churns()) {
            return None;
        }
        let hold = t.hold(|e| e.opened);
        let counts = &hold.opened;
        let connections = closed_by_agreement(t.asked.protocol, counts);
        let awaited = |n| asked.filter(|asked| asked.await_close).map(|_| n);
        let lost = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
        Some(Churn {
            exchanges_each: asked.map(|asked| asked.each.get()),
            seconds: hold.seconds,
            connections,
            per_s: per_s(connections as f64, hold.seconds),
            closed_by_server: awaited(counts.closed_as_awaited),
            not_closed: awaited(counts.awaited_in_vain),
            failed: occurred(FailCause::ALL, |cause| counts.failed(cause)),
            lost: occurred(lost, |why| counts.closed(why)),
            connect: Percentiles::of(&t.measured.connect),
            exchange: Percentiles::of(&t.measured.service),
            ports_per_s: asked.and_then(|asked| asked.ports_per_s),
        })
    }
}
