//! A storm.

use std::collections::BTreeMap;
use throng_core::stats::FailCause;
use throng_core::summary::{StormSample, StormSummary};

/// A storm of 1,000 connections, most of which the server reset, and two of which never came back.
pub fn storm() -> StormSummary {
    let sample = |at_s, held, established| StormSample {
        at_s,
        held,
        lost: 0,
        attempted: established + 20,
        established,
        failed: 20,
    };
    StormSummary {
        at_s: 12.25,
        seconds: 8.5,
        before: 1000,
        lost: 1005,
        dropped: 5,
        reset_by_peer: 1000,
        missing_most: 1000,
        missing: 2,
        back_50_s: Some(1.62),
        back_90_s: Some(3.04),
        back_99_s: Some(3.98),
        back_100_s: None,
        peak_per_s: 1230.0,
        attempted: 1103,
        established: 1003,
        failed: BTreeMap::from([(FailCause::Refused, 93), (FailCause::TimedOut, 7)]),
        syns_dropped: Some(12),
        syns_retried: 31,
        over_time: vec![
            StormSample {
                at_s: 0.02,
                lost: 1005,
                ..StormSample::default()
            },
            sample(1.0, 100, 100),
            sample(2.0, 600, 500),
            sample(3.0, 890, 290),
            sample(4.0, 998, 108),
            sample(5.0, 998, 5),
        ],
        ..StormSummary::default()
    }
}
