//! Connections with TCP keepalives, and whether these renew them.

use super::silences::Speaker;
use serde::Serialize;

/// Intervals of keepalives that are tried, seconds.
const KEEPALIVES: [u64; 14] = [1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 240, 600];

/// The intervals of keepalives to try, seconds, if timeouts up to `up_to_s` are looked for.
pub fn keepalives(up_to_s: u64) -> impl Iterator<Item = u64> {
    KEEPALIVES.into_iter().filter(move |s| *s < up_to_s)
}

/// What became of a connection with TCP keepalives that was silent for longer than the timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeepaliveTrial {
    /// Seconds between keepalives.
    pub interval_s: u64,
    /// Who spoke after the silence.
    pub speaker: Speaker,
    /// Whether what was said arrived.
    pub survived: bool,
}

/// Whether keepalives renew connections, by those whose interval fits twice into the timeout; `None` if there are none.
pub(super) fn renews(trials: &[KeepaliveTrial], timeout_ms: u64) -> Option<bool> {
    let fits = |trial: &&KeepaliveTrial| trial.interval_s * 2000 <= timeout_ms;
    // With a timeout of a second or two, none fits twice.
    let fits_once = |trial: &&KeepaliveTrial| trial.interval_s * 1000 < timeout_ms;
    let mut of: Vec<&KeepaliveTrial> = trials.iter().filter(fits).collect();
    if of.is_empty() {
        of = trials.iter().filter(fits_once).collect();
    }
    let survived = of.iter().filter(|trial| trial.survived).count();
    // Most of them: a single packet may be lost.
    (!of.is_empty()).then_some(survived * 2 > of.len())
}
