//! How well the search for a rate does against ten simulated queues whose true rate is known, within a minute each:
//! `cargo run --release -p throng-core --example search_accuracy [SEARCHES [SECONDS]]`. The table in
//! docs/architecture.md is its output for 300 searches.

use simulated::{
    Server, Service, true_rate_of_fixed, true_rate_of_random, true_rate_of_random_for_even,
};
use std::time::Duration;
use throng_core::pacing::{Ending, Found, Next, Observation, RateSearch, Slice, Terms};
use throng_core::units::Rate;

/// Shared with the tests, which use other parts of it.
#[allow(dead_code)]
#[path = "../src/pacing/search/simulated.rs"]
mod simulated;

fn search(terms: &Terms, server: &mut Server) -> Found {
    let mut search = RateSearch::new(terms.clone());
    loop {
        match search.next() {
            Next::Done(found) => return found,
            Next::Run {
                rate,
                settle,
                measure,
                slices,
                ..
            } => search.observe(&server.run(rate.get(), (settle, measure, slices), terms)),
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let searches: u32 = args.next().and_then(|a| a.parse().ok()).unwrap_or(300);
    let seconds: f64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(60.0);
    println!(
        "| queue, bound | true rate | found | error | range | truth in it | held and broke | trials | seconds |"
    );
    let (fixed, random) = (Service::Fixed(1e-3), Service::Random(1e-3));
    // The last column is the true rate where theory has no formula: from runs of 40 million messages, for 10 and
    // 50 ms.
    for bound in [10.0, 50.0] {
        for (name, even, service) in [
            ("D/D/1", true, fixed),
            ("M/D/1", false, fixed),
            ("D/M/1", true, random),
            ("M/M/1", false, random),
            ("M/G/1", false, Service::Lognormal(1e-3)),
        ] {
            let mut sums = [0.0; 7];
            let mut truth = 0.0;
            for seed in 1..=searches {
                let mut terms = Terms::new(Duration::from_secs_f64(bound / 1e3))
                    .within(Duration::from_secs_f64(seconds));
                // Other rates are tried each time.
                terms.start = Rate::per_second(100.0 + 0.37 * f64::from(seed)).expect("a rate");
                truth = match (name, bound < 20.0) {
                    ("D/D/1", _) => 1000.0,
                    ("M/D/1", true) => true_rate_of_fixed(1000.0, &terms),
                    ("M/D/1", false) => 970.0,
                    ("D/M/1", _) => true_rate_of_random_for_even(1000.0, &terms),
                    ("M/M/1", _) => true_rate_of_random(1000.0, &terms),
                    (_, true) => 377.0,
                    (_, false) => 837.0,
                };
                let mut server = Server {
                    even,
                    ..Server::new(service, seed.into())
                };
                let found = search(&terms, &mut server);
                let (Some((from, to)), Some(held), Some(broke)) =
                    (found.between_per_s, found.held_per_s, found.broke_per_s)
                else {
                    println!("{name} {bound} ms, seed {seed}: {}", found.words(&terms));
                    continue;
                };
                let share = |yes: bool| f64::from(u8::from(yes));
                let of = [
                    share(found.ending == Ending::Found),
                    ((from * to).sqrt() / truth - 1.0).abs(),
                    to / from - 1.0,
                    share((from..=to).contains(&truth)),
                    share((held..=broke).contains(&truth)),
                    f64::from(found.trials),
                    server.now,
                ];
                sums.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
            }
            let [found, error, range, inside, bracket, trials, took] =
                sums.map(|sum| sum / f64::from(searches));
            println!(
                "| {name}, {bound} ms | {truth:.0}/s | {:.0} % | {:.1} % | {:.1} % | {:.0} % | {:.0} % | {trials:.0} | {took:.0} |",
                found * 100.0,
                error * 100.0,
                range * 100.0,
                inside * 100.0,
                bracket * 100.0,
            );
        }
    }
}
