//! Searches of simulated systems.

use super::load::{Class, class, conditional};
use super::*;
use crate::split_mix::SplitMix;

const TERMS: Terms = Terms {
    low: 10,
    high: 100_000,
    width: 0.05,
    initial_s: 1.0,
    final_s: 10.0,
    sum_s: 30.0,
    exceed: 0.5,
};

/// Runs a search in which `met` says what a trial shows, with the loads and lengths of all trials.
fn searched(terms: Terms, mut met: impl FnMut(u32, f64) -> Option<bool>) -> (Found, Vec<Tried>) {
    let mut search = Search::new(terms);
    for _ in 0..2000 {
        match search.next() {
            Next::Found(found) => return (found, search.tried),
            Next::Try { load, seconds } => search.tell(Tried {
                load,
                seconds,
                met: met(load, seconds),
                throughput: Some(f64::from(load) * 10.0),
            }),
        }
    }
    panic!("it does not end: {search:?}");
}

#[test]
fn the_limit_of_a_steady_system_lies_between_the_bounds_which_are_narrow() {
    for limit in [10, 11, 57, 100, 999, 1000, 1001, 31_623, 99_998, 99_999] {
        let (found, tried) = searched(TERMS, |load, _| Some(load <= limit));
        let (lower, upper) = (found.lower.unwrap(), found.upper.unwrap());
        assert!(lower <= limit && limit < upper, "{limit}: {found:?}");
        let near = f64::from(upper - lower) <= 0.05 * f64::from(upper) || upper - lower == 1;
        assert!(near, "{limit}: {found:?}");
        assert_eq!(found.throughput, Some(f64::from(lower) * 10.0));
        assert_eq!(found.stuck_at, None);
        // Trials grow longer, and only a few are of full length.
        let lengths: Vec<f64> = tried.iter().map(|t| t.seconds).collect();
        assert!(lengths.is_sorted(), "{lengths:?}");
        let full = tried.iter().filter(|t| t.seconds >= 10.0).count();
        assert!(
            full <= 9 && full < tried.len(),
            "{limit}: {full} of {}",
            tried.len()
        );
    }
}

#[test]
fn lengths_that_are_rounded_on_their_way_count_as_full() {
    let terms = Terms {
        initial_s: 0.05,
        final_s: 0.15,
        sum_s: 0.45,
        exceed: 0.0,
        ..TERMS
    };
    let mut search = Search::new(terms);
    let mut count = 0;
    while let Next::Try { load, seconds } = search.next() {
        count += 1;
        assert!(count < 100, "{search:?}");
        let rounded = std::time::Duration::from_secs_f64(seconds).as_secs_f64();
        search.tell(Tried {
            load,
            seconds: rounded,
            met: Some(load <= 300),
            throughput: None,
        });
    }
}

#[test]
fn a_limit_outside_the_range_is_told_as_such() {
    let (found, _) = searched(TERMS, |_, _| Some(true));
    assert_eq!((found.lower, found.upper), (Some(100_000), None));
    let (found, _) = searched(TERMS, |_, _| Some(false));
    assert_eq!(
        (found.lower, found.upper, found.throughput),
        (None, Some(10), None)
    );
}

#[test]
fn a_search_ends_where_a_trial_can_not_tell() {
    let (found, tried) = searched(TERMS, |load, _| (load < 500).then_some(true));
    assert_eq!(found.stuck_at, Some(640), "{found:?}");
    // Nothing but short trials were made.
    assert_eq!((found.lower, found.upper), (None, None));
    assert!(tried.iter().all(|t| t.seconds < 10.0));
}

#[test]
fn what_short_trials_let_pass_is_found_out_by_long_ones() {
    // Beyond 1,000 it fails after 5 s, beyond 4,000 at once.
    let (found, _) = searched(TERMS, |load, seconds| {
        Some(load <= 1000 || load <= 4000 && seconds < 5.0)
    });
    let (lower, upper) = (found.lower.unwrap(), found.upper.unwrap());
    assert!(lower <= 1000 && upper > 1000 && upper < 1100, "{found:?}");
}

#[test]
fn the_bounds_of_a_noisy_system_are_where_half_of_its_trials_fail() {
    // The share of trials that meet the objective falls from all to none between 800 and 1,200.
    let mut off = 0;
    for seed in 0..200 {
        let mut dice = SplitMix(seed);
        let (found, _) = searched(TERMS, |load, _| {
            let share = ((1200.0 - f64::from(load)) / 400.0).clamp(0.0, 1.0);
            Some((dice.next() >> 11) as f64 / 2f64.powi(53) < share)
        });
        let (lower, upper) = (found.lower.unwrap(), found.upper.unwrap());
        assert!(
            (700..1200).contains(&lower) && (800..1300).contains(&upper),
            "{seed}: {found:?}"
        );
        off += u32::from(!(900..=1100).contains(&lower));
    }
    assert!(
        off < 50,
        "{off} of 200 are more than a quarter of the transition off"
    );
}

#[test]
fn a_search_that_is_told_what_was_tried_goes_on_where_it_was() {
    let met = |load: u32| Some(load <= 777);
    let (found, tried) = searched(TERMS, |load, _| met(load));
    for finished in 0..=tried.len() {
        let mut search = Search::new(TERMS);
        tried[..finished].iter().for_each(|t| search.tell(*t));
        match (search.next(), tried.get(finished)) {
            (Next::Try { load, seconds }, Some(next)) => {
                assert_eq!((load, seconds), (next.load, next.seconds));
            }
            (Next::Found(again), None) => assert_eq!(again, found),
            (next, due) => panic!("{next:?} instead of {due:?}"),
        }
    }
}

#[test]
fn a_load_is_judged_once_the_missing_trials_can_not_change_it() {
    let stage = TERMS.stages().last().unwrap();
    let trials = |all: &[(f64, bool)]| -> Vec<Tried> {
        let of = |(seconds, met): &(f64, bool)| Tried {
            load: 5,
            seconds: *seconds,
            met: Some(*met),
            throughput: None,
        };
        all.iter().map(of).collect()
    };
    for (all, expected) in [
        (&[][..], Class::Undecided),
        (&[(10.0, true)], Class::Undecided),
        (&[(10.0, true), (10.0, true)], Class::Lower),
        (&[(10.0, false), (10.0, false)], Class::Upper),
        (&[(10.0, true), (10.0, false)], Class::Undecided),
        (&[(10.0, true), (10.0, false), (10.0, true)], Class::Lower),
        (&[(10.0, true), (10.0, false), (10.0, false)], Class::Upper),
        // Short trials that meet the objective prove nothing, and balance short ones that don't.
        (&[(1.0, true); 40], Class::Undecided),
        (&[(1.0, false); 16], Class::Upper),
        (&[(1.0, false), (1.0, true)], Class::Undecided),
    ] {
        assert_eq!(class(&trials(all), 5, &TERMS, &stage), expected, "{all:?}");
        assert_eq!(class(&trials(all), 6, &TERMS, &stage), Class::Undecided);
    }
    // Without an exceed ratio, one failure is enough.
    let strict = Terms {
        exceed: 0.0,
        ..TERMS
    };
    assert_eq!(
        class(&trials(&[(1.0, false)]), 5, &strict, &stage),
        Class::Upper
    );
    assert_eq!(
        class(&trials(&[(10.0, true), (20.0, true)]), 5, &strict, &stage),
        Class::Lower
    );
}

#[test]
fn the_conditional_throughput_is_what_was_reached_for_the_time_that_counts() {
    let tried = |seconds, throughput| Tried {
        load: 5,
        seconds,
        met: Some(true),
        throughput: Some(throughput),
    };
    let all = [
        tried(10.0, 30.0),
        tried(10.0, 10.0),
        tried(10.0, 20.0),
        tried(1.0, 1.0),
    ];
    for (exceed, expected) in [(0.0, 10.0), (0.3, 10.0), (0.5, 20.0), (0.7, 30.0)] {
        let terms = Terms { exceed, ..TERMS };
        let last = terms.stages().last().unwrap();
        assert_eq!(
            conditional(&all, 5, &terms, &last),
            Some(expected),
            "{exceed}"
        );
    }
    assert_eq!(
        conditional(&all, 6, &TERMS, &TERMS.stages().last().unwrap()),
        None
    );
}

#[test]
fn terms_that_no_search_can_have_are_refused() {
    assert_eq!(TERMS.refused(), None);
    for (terms, part) in [
        (Terms { low: 0, ..TERMS }, "upwards"),
        (Terms { high: 10, ..TERMS }, "upwards"),
        (
            Terms {
                width: 0.0,
                ..TERMS
            },
            "width",
        ),
        (
            Terms {
                initial_s: 0.0,
                ..TERMS
            },
            "above 0",
        ),
        (
            Terms {
                initial_s: 11.0,
                ..TERMS
            },
            "longer",
        ),
        (
            Terms {
                sum_s: 9.0,
                ..TERMS
            },
            "shorter",
        ),
        (
            Terms {
                exceed: 1.0,
                ..TERMS
            },
            "exceed",
        ),
    ] {
        assert!(
            terms.refused().is_some_and(|why| why.contains(part)),
            "{terms:?}"
        );
    }
}
