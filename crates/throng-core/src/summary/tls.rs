//! What became of TLS.

use super::Percentiles;
use crate::stats::{Measured, Tally};
use crate::tls_failure::TlsFailure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of connections that were to speak TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsSummary {
    /// Handshakes that were done, resumed ones included.
    pub handshakes: u64,
    /// Those among them that resumed an earlier session (RFC 8446 section 2.2).
    pub resumed: u64,
    /// Handshakes that failed, and secured connections that were broken, by cause; causes that did not
    /// occur are left out.
    pub failed: BTreeMap<TlsFailure, u64>,
    /// Those among `failed` whose handshake had been done: a fatal alert or a broken record ended them.
    pub broken: u64,
    /// Secured connections that the peer closed without saying so in TLS (close_notify, RFC 8446 section
    /// 6.1): what came last may be missing.
    pub truncated: u64,
    /// Handshakes done a second, over `seconds`.
    pub per_s: f64,
    /// The window in which they were counted: from the beginning of the run until the last one.
    pub seconds: f64,
    /// From when a connection was up to when its handshake was done.
    pub latency: Option<Percentiles>,
}

impl TlsSummary {
    /// From a side's counts and measurements. `seconds`: from the beginning of the run until the last
    /// handshake.
    pub fn of(tally: &Tally, measured: &Measured, seconds: f64) -> TlsSummary {
        TlsSummary {
            handshakes: tally.secured,
            resumed: tally.resumed,
            failed: TlsFailure::ALL
                .into_iter()
                .filter(|why| tally.tls_failed(*why) > 0)
                .map(|why| (why, tally.tls_failed(why)))
                .collect(),
            broken: tally.tls_broken,
            truncated: tally.tls_truncated,
            per_s: super::per_s(tally.secured as f64, seconds),
            seconds,
            latency: Percentiles::of(&measured.handshake),
        }
    }
}
