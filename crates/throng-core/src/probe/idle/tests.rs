//! Paths of every kind, searched second by second.

use super::*;
use crate::probe::wire::{End, State};

/// A path in between, as a connection meets it.
struct Path {
    timeout_ms: u64,
    at_expiry: Heard,
    /// Whether packets from this end make it take a connection up again.
    takes_up: bool,
}

impl Path {
    fn hears(&self, speaker: Speaker, silence_ms: u64) -> Heard {
        let alive = silence_ms < self.timeout_ms || self.takes_up && speaker == Speaker::Near;
        match self.at_expiry {
            _ if alive => Heard::Answer,
            // A proxy ends it while it is silent.
            Heard::EndedSilent(end, _) => Heard::EndedSilent(end, self.timeout_ms),
            heard => heard,
        }
    }

    /// The whole search, second by second, as it is driven. Returns the result and its seconds.
    fn search(&self, up_to_s: u64) -> (IdleResult, u64) {
        let all = silences_up_to(up_to_s);
        let (mut near, mut far) = (Vec::new(), Vec::new());
        let mut elapsed = 0;
        loop {
            elapsed += 500;
            for (speaker, trials) in [(Speaker::Near, &mut near), (Speaker::Far, &mut far)] {
                for silence_ms in &all[trials.len()..] {
                    let heard = self.hears(speaker, *silence_ms);
                    let known_at = match heard {
                        Heard::Silence => silence_ms + 3000,
                        Heard::EndedSilent(_, after) => after,
                        _ => *silence_ms,
                    };
                    if known_at > elapsed {
                        break;
                    }
                    trials.push(Trial {
                        silence_ms: *silence_ms,
                        heard,
                    });
                }
            }
            let left = |trials: &Vec<Trial>| all.len() - trials.len();
            if is_settled((&near, left(&near)), (&far, left(&far)), elapsed) {
                break;
            }
        }
        let evidence = Evidence {
            up_to_s,
            near,
            far,
            took_ms: elapsed,
            ..Evidence::default()
        };
        (IdleResult::of(evidence), elapsed / 1000)
    }
}

#[test]
fn a_timeout_is_found_to_the_second_in_little_more_than_itself() {
    for timeout_s in [1, 2, 5, 10, 30, 299, 350, 597, 599] {
        for at_expiry in [
            Heard::Silence,
            Heard::Ended(End::Reset),
            Heard::EndedSilent(End::Closed, 0),
        ] {
            let path = Path {
                timeout_ms: timeout_s * 1000,
                at_expiry,
                takes_up: false,
            };
            let (result, took) = path.search(600);
            for direction in [&result.near, &result.far] {
                let found = direction.timeout_ms.expect("a timeout");
                assert!(
                    found.abs_diff(timeout_s * 1000) < 1000,
                    "{timeout_s} {at_expiry:?}: {direction:?}"
                );
            }
            assert!(took <= timeout_s + 7, "{timeout_s} {at_expiry:?}: {took} s");
            assert!(result.outcome.measured);
            assert_eq!(result.keepalive_s, Some((timeout_s / 2).max(1)));
        }
    }
}

#[test]
fn a_path_that_takes_connections_up_again_is_told_by_the_far_end() {
    let path = Path {
        timeout_ms: 10_000,
        at_expiry: Heard::Silence,
        takes_up: true,
    };
    let (result, took) = path.search(600);
    assert_eq!(result.near.timeout_ms, None);
    assert_eq!(result.far.timeout_ms, Some(10_000));
    assert!((20..40).contains(&took), "{took}");
    let text = &result.outcome.findings[0].text;
    assert!(
        text.starts_with("The idle timeout is 10 s if the far end speaks then")
            && text.contains("take the connection up again"),
        "{text}"
    );
}

#[test]
fn no_timeout_is_told_only_as_far_as_was_tried() {
    let path = Path {
        timeout_ms: u64::MAX,
        at_expiry: Heard::Silence,
        takes_up: false,
    };
    let (result, took) = path.search(60);
    assert_eq!(took, 62);
    assert!(matches!(
        &result.outcome.findings[..],
        [Finding { kind: Kind::NoIdleTimeout, text, .. }] if text.contains("up to 1m 02s")
    ));
}

#[test]
fn a_long_search_is_coarse_at_first() {
    // A timeout of three seconds shows by what is lost above it.
    assert_eq!(silences_up_to(3), [500, 1500, 2500, 3500, 4500, 5500]);
    let coarse = silences_up_to(7200);
    assert_eq!((coarse.len(), coarse[0], coarse[1]), (603, 11_500, 23_500));
    // Then the bracket, to the second.
    assert_eq!(silences(11, 14), [11_500, 12_500, 13_500]);
    assert_eq!(keepalives(10).collect::<Vec<_>>(), [1, 2, 3, 5]);
}

#[test]
fn a_lost_connection_does_not_move_the_timeout_and_many_leave_none() {
    let trial = |n: u64, answered| Trial {
        silence_ms: n * 1000 - 500,
        heard: match answered {
            true => Heard::Answer,
            false => Heard::Silence,
        },
    };
    let mut trials: Vec<Trial> = (1..=30).map(|n| trial(n, n <= 20)).collect();
    trials[3] = trial(4, false);
    let bracket = Bracket::of(&trials);
    assert_eq!(
        (bracket.survived_ms, bracket.lost_ms, bracket.exceptions),
        (19_500, Some(20_500), 1)
    );
    // Two lost ones at the end are no timeout either.
    let few: Vec<Trial> = (1..=30).map(|n| trial(n, n <= 28)).collect();
    assert_eq!(timeout_from(&few), None);
    assert_eq!(timeout_from(&trials), Some(20_500));
    let result = IdleResult::of(Evidence {
        near: few.clone(),
        far: few,
        ..Evidence::default()
    });
    assert_eq!(result.near.timeout_ms, None);
    let every_other: Vec<Trial> = (1..=30).map(|n| trial(n, n % 2 == 0)).collect();
    let result = IdleResult::of(Evidence {
        near: every_other.clone(),
        far: every_other,
        ..Evidence::default()
    });
    assert!(!result.outcome.measured);
    assert!(
        result
            .outcome
            .findings
            .iter()
            .all(|f| f.kind == Kind::Unsteady)
    );
}

#[test]
fn both_ends_views_of_the_expiry_are_told() {
    let fate = |state, said, unacknowledged| Fate {
        state,
        quiet_ms: 5000,
        said,
        unacknowledged,
        received: 0,
    };
    for (heard, fate, words) in [
        (
            Heard::Silence,
            fate(State::Open, 0, 0),
            "forgets the connection silently",
        ),
        (
            Heard::Silence,
            fate(State::Open, 1, 2),
            "the far end gets no answer",
        ),
        (
            Heard::Silence,
            fate(State::Ended(End::Reset), 1, 0),
            "the far end is reset (RST) when it speaks",
        ),
        (
            Heard::EndedSilent(End::Closed, 5000),
            fate(State::Ended(End::Closed), 0, 0),
            "ends the connection on both sides by itself",
        ),
        (
            Heard::Ended(End::Reset),
            fate(State::Unknown, 0, 0),
            "what the far end sees is not known",
        ),
    ] {
        let trials: Vec<Trial> = (1..=9)
            .map(|n| Trial {
                silence_ms: n * 1000 - 500,
                heard: if n <= 5 { Heard::Answer } else { heard },
            })
            .collect();
        let result = IdleResult::of(Evidence {
            near: trials.clone(),
            far: trials,
            fates: vec![(Speaker::Near, fate), (Speaker::Far, fate)],
            ..Evidence::default()
        });
        let told = result
            .outcome
            .findings
            .iter()
            .find(|f| f.kind == Kind::AtExpiry);
        assert!(told.is_some_and(|f| f.text.contains(words)), "{told:?}");
    }
}

#[test]
fn keepalives_are_judged_by_those_that_fit_into_the_timeout() {
    let trial = |interval_s, survived| KeepaliveTrial {
        interval_s,
        speaker: Speaker::Near,
        survived,
    };
    let renewed = [trial(1, true), trial(2, true), trial(10, false)];
    assert_eq!(renews(&renewed, 5000), Some(true));
    assert_eq!(
        renews(&[trial(1, false), trial(2, false)], 5000),
        Some(false)
    );
    assert_eq!(renews(&[trial(1, true)], 1500), Some(true));
    assert_eq!(renews(&[trial(10, true)], 5000), None);
}
