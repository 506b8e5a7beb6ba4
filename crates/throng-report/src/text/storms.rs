//! The storms of a run: how many connections were lost at once, and how they came back.

use super::section::Section;
use crate::human::{self, count, percent};
use throng_core::summary::{StormSample, StormSummary, Summary};

/// A section for each: two storms have the same rows.
pub(super) fn storms(summary: &Summary) -> impl Iterator<Item = Section> {
    summary.storms.iter().map(|storm| {
        let mut section = Section::titled("Storm");
        add(storm, &mut section);
        section
    })
}

fn add(storm: &StormSummary, all: &mut Section) {
    let of = format!(
        "of {}, {} after the run began: {}",
        human::things(storm.before, "connection"),
        human::seconds(storm.at_s),
        how(storm)
    );
    // Those that came back may be lost again.
    let lost = if storm.lost > storm.before {
        "losses"
    } else {
        "lost"
    };
    all.number(lost, count(storm.lost), &of);
    for (label, back_s) in [
        ("half back", storm.back_50_s),
        ("90 % back", storm.back_90_s),
        ("99 % back", storm.back_99_s),
        ("all back", storm.back_100_s),
    ] {
        if let Some(back_s) = back_s {
            let row = all.number(label, human::seconds(back_s), "after it began");
            match label {
                "all back" | "half back" => row.without_remark(),
                _ => row.in_full_only(),
            }
        }
    }
    if storm.missing > 0 {
        let later = format!("{} after it began", human::seconds(storm.seconds));
        all.bad("not back", count(storm.missing), &later);
    }
    all.number(
        "peak",
        human::rate(storm.peak_per_s),
        "new connections, over 100 ms",
    );
    let failed: u64 = storm.failed.values().sum();
    if failed > 0 {
        let mut causes: Vec<String> = storm
            .failed
            .iter()
            .map(|(cause, n)| format!("{} {}", count(*n), cause.words()))
            .collect();
        causes.sort_unstable();
        let share = percent(failed as f64, storm.attempted as f64).unwrap_or_default();
        let note = format!("{share} of attempts: {}", causes.join(", "));
        all.number("failed", count(failed), &note).in_full_only();
    }
    if storm.syns_retried > 0 {
        all.number(
            "SYN retried",
            count(storm.syns_retried),
            "connections, established after 900 ms or more",
        );
    }
    if let Some(dropped @ 1..) = storm.syns_dropped {
        all.number(
            "SYNs dropped",
            count(dropped),
            "by full queues here, by the kernel's count",
        );
    }
    all.sparkline("coming back", &rates(&storm.over_time));
}

/// What ended the connections that were lost.
fn how(storm: &StormSummary) -> String {
    let parts = [
        (storm.dropped, "dropped by this side"),
        (storm.closed_by_peer, "closed by the peer"),
        (storm.reset_by_peer, "reset by the peer"),
        (storm.timed_out, "no longer acknowledged by the peer"),
        (storm.lost_by_error, "ended by an error on this side"),
    ];
    let all: Vec<String> = parts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, how)| match n == storm.lost {
            true => how.to_owned(),
            false => format!("{} {how}", count(n)),
        })
        .collect();
    all.join(", ")
}

/// The rate of new connections in each stretch.
fn rates(curve: &[StormSample]) -> Vec<(f64, f64)> {
    let mut begun = 0.0;
    let rate = |sample: &StormSample| {
        let took = sample.at_s - std::mem::replace(&mut begun, sample.at_s);
        (sample.at_s, sample.established as f64 / took.max(1e-9))
    };
    curve.iter().map(rate).collect()
}
