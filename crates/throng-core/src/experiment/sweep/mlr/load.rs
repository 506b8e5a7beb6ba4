//! What the trials of one load say.

use super::terms::{Stage, Terms};

/// A trial of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Its load.
    pub load: u32,
    /// How long it was to last, seconds.
    pub seconds: f64,
    /// Whether it met the objective; `None` if it can't tell.
    pub met: Option<bool>,
    /// Its throughput, if it is known.
    pub throughput: Option<f64>,
}

/// What a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The objective holds, whatever the trials say that are missing: a lower bound.
    Lower,
    /// It does not hold, whatever they say: an upper bound.
    Upper,
    /// More trials are needed.
    Undecided,
}

/// What the trials of a load say at this stage: the Load Classification of MLRsearch.
pub(super) fn class(tried: &[Tried], load: u32, terms: &Terms, stage: &Stage) -> Class {
    let sum = |full: bool, met: bool| -> f64 {
        let of_load = tried
            .iter()
            .filter(|t| t.load == load && t.met == Some(met));
        let length = of_load.filter(|t| stage.is_full(t.seconds) == full);
        length.map(|t| t.seconds).sum()
    };
    // Short trials only count where they are worse than may be: long ones would have been no better.
    let allowed = sum(false, true) * terms.exceed / (1.0 - terms.exceed);
    let excess = (sum(false, false) - allowed).max(0.0);
    let missed = sum(true, false) + excess;
    let all = sum(true, true) + missed;
    // Lengths are rounded, and a sum of them is no less for that.
    let whole = if stage.is_full_sum(all) {
        all
    } else {
        stage.sum_s
    };
    let may_miss = whole * terms.exceed;
    if missed > may_miss {
        Class::Upper
    } else if missed + (whole - all) <= may_miss {
        Class::Lower
    } else {
        Class::Undecided
    }
}

/// The Conditional Throughput at a load: what its full-length trials, those of the last stage, reached for all of the time but the
/// share that may be worse.
pub(super) fn conditional(tried: &[Tried], load: u32, terms: &Terms, last: &Stage) -> Option<f64> {
    let full = tried
        .iter()
        .filter(|t| t.load == load && last.is_full(t.seconds));
    let mut all: Vec<(f64, f64)> = full
        .filter_map(|t| Some((t.throughput?, t.seconds)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let may_be_worse = all.iter().map(|(_, s)| s).sum::<f64>() * terms.exceed;
    let mut passed = 0.0;
    all.iter()
        .find(|(_, seconds)| {
            passed += seconds;
            passed > may_be_worse
        })
        .map(|(throughput, _)| *throughput)
}
