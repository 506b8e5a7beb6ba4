//! Tests of [`super::RateSearch`] against simulated servers whose true limit is known.

use super::*;
use std::collections::VecDeque;

/// How many searches find each rate, each with a seed of its own.
const SEARCHES: u64 = 10;

/// A server with one queue: it takes messages in order and needs some time for each. What a trial leaves
/// in the queue is there in the next one.
struct Server {
    service: Service,
    /// Mean time between stalls, and how long one lasts, in seconds.
    stalls: Option<(f64, f64)>,
    /// Mean of an exponential delay on the way, in seconds.
    jitter: f64,
    /// The most that the client sends, a second.
    client: f64,
    dice: u64,
    now: f64,
    free: f64,
    next_stall: f64,
    /// Answers on their way: when they come, and their latency.
    coming: VecDeque<(f64, f64)>,
}

#[derive(Clone, Copy)]
enum Service {
    /// Always this long.
    Fixed(f64),
    /// Exponentially distributed with this mean.
    Random(f64),
    /// As many at once as come, each so long.
    Endless(f64),
}

impl Server {
    fn new(service: Service, seed: u64) -> Server {
        Server {
            service,
            stalls: None,
            jitter: 0.0,
            client: f64::INFINITY,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now: 0.0,
            free: 0.0,
            next_stall: 0.0,
            coming: VecDeque::new(),
        }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        let bits = self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        -mean * ((bits + 1) as f64 / (1u64 << 53) as f64).ln()
    }

    fn run(
        &mut self,
        rate: f64,
        settle: Duration,
        measure: Duration,
        percentile: f64,
    ) -> Observation {
        let from = self.now + settle.as_secs_f64();
        let until = from + measure.as_secs_f64();
        let sent_rate = rate.min(self.client);
        let mut sent = 0u32;
        let mut at = self.now + self.exponential(1.0 / sent_rate);
        while at < until {
            if let Some((every, lasts)) = self.stalls {
                while self.next_stall < at {
                    self.free = self.free.max(self.next_stall) + lasts;
                    self.next_stall += self.exponential(every);
                }
            }
            let done = match self.service {
                Service::Endless(takes) => at + takes,
                Service::Fixed(takes) => self.free.max(at) + takes,
                Service::Random(mean) => self.free.max(at) + self.exponential(mean),
            };
            self.free = done;
            let jitter = if self.jitter > 0.0 {
                self.exponential(self.jitter)
            } else {
                0.0
            };
            self.coming.push_back((done, done - at + jitter));
            sent += u32::from(at >= from);
            at += self.exponential(1.0 / sent_rate);
        }
        let mut latencies = vec![];
        while let Some(&(done, latency)) = self.coming.front()
            && done < until
        {
            if done >= from {
                latencies.push(latency);
            }
            self.coming.pop_front();
        }
        self.now = until;
        latencies.sort_by(f64::total_cmp);
        let seconds = measure.as_secs_f64();
        let rank = (latencies.len() as f64 * percentile / 100.0).ceil() as usize;
        Observation {
            asked_per_s: f64::from(sent) / seconds * rate / sent_rate,
            sent_per_s: f64::from(sent) / seconds,
            answered_per_s: latencies.len() as f64 / seconds,
            latency: latencies
                .get(rank.saturating_sub(1))
                .map(|s| Duration::from_secs_f64(*s)),
            samples: latencies.len() as u64,
        }
    }
}

/// Searches to the end; the result, and the orders that led there.
fn search(terms: &Terms, server: &mut Server) -> (Found, Vec<(f64, Purpose)>) {
    let mut search = RateSearch::new(terms.clone());
    let mut orders = vec![];
    loop {
        match search.order() {
            Order::Done(found) => return (found, orders),
            Order::Run {
                rate,
                purpose,
                settle,
                measure,
            } => {
                orders.push((rate.get(), purpose));
                assert!(orders.len() < 500, "it does not end: {orders:?}");
                let seen = server.run(rate.get(), settle, measure, terms.percentile);
                search.observe(&seen);
            }
        }
    }
}

fn terms(bound_ms: f64, start: f64) -> Terms {
    Terms {
        start: Rate::per_second(start).unwrap(),
        ..Terms::new(Duration::from_secs_f64(bound_ms / 1e3))
    }
}

/// M/M/1: time in the system is exponential with mean 1/(capacity - rate).
fn true_rate_of_random(capacity: f64, terms: &Terms) -> f64 {
    let factor = -(1.0 - terms.percentile / 100.0).ln();
    capacity - factor / terms.bound.as_secs_f64()
}

/// M/D/1: P(wait <= t) by Erlang's formula (as in Gross, Harris: Fundamentals of Queueing Theory, on M/D/1).
fn true_rate_of_fixed(capacity: f64, terms: &Terms) -> f64 {
    let service = 1.0 / capacity;
    let wait = terms.bound.as_secs_f64() - service;
    let waits_at_most = |rate: f64| -> f64 {
        let mut sum = 0.0;
        let mut factorial = 1.0;
        for j in 0..=(wait / service) as i32 {
            factorial *= f64::from(j.max(1));
            let x = rate * (f64::from(j) * service - wait);
            sum += x.powi(j) / factorial * (-x).exp();
        }
        (1.0 - rate * service) * sum
    };
    let (mut low, mut high) = (0.0, capacity);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if waits_at_most(middle) >= terms.percentile / 100.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The searches against `make(seed)` for many seeds find `truth` within 5 %, bracket it as narrowly as
/// asked, and end soon.
fn finds(name: &str, terms: &Terms, truth: f64, make: impl Fn(u64) -> Server) {
    let (mut inside, mut worst, mut sure) = (0, 0.0f64, 0.0);
    for seed in 1..=SEARCHES {
        let (found, orders) = search(terms, &mut make(seed));
        let words = found.words(terms);
        assert_eq!(found.ending, Ending::Found, "{name} {seed}: {words}");
        let (held, broke) = (found.held_per_s.unwrap(), found.broke_per_s.unwrap());
        assert!(
            broke / held <= 1.0 + terms.tolerance,
            "{name} {seed}: {words}"
        );
        let off = (held / truth - 1.0).abs();
        assert!(off < 0.05, "{name} {seed}: {words}, but {truth} is true");
        worst = worst.max(off);
        sure += found.confidence;
        assert!(orders.len() <= 80, "{name} {seed}: {} orders", orders.len());
        assert!(
            (0.5..=1.0).contains(&found.confidence),
            "{name} {seed}: {words}"
        );
        assert!(found.held_latency.unwrap() <= terms.bound);
        inside += u32::from((held * 0.98..=broke * 1.02).contains(&truth));
    }
    println!(
        "{name}: {truth:.0}/s, off by {:.1} % at most, {inside} of {SEARCHES} in the bracket, {:.0} % sure",
        worst * 100.0,
        sure * 100.0 / SEARCHES as f64
    );
}

#[test]
fn it_finds_the_rate_of_a_server_with_random_service_times() {
    let terms = terms(5.0, 100.0);
    let truth = true_rate_of_random(10_000.0, &terms);
    finds("M/M/1", &terms, truth, |seed| {
        Server::new(Service::Random(1e-4), seed)
    });
}

#[test]
fn it_finds_the_rate_of_a_server_with_fixed_service_times() {
    let terms = terms(1.0, 50.0);
    let truth = true_rate_of_fixed(10_000.0, &terms);
    assert!((8000.0..9500.0).contains(&truth), "{truth}");
    finds("M/D/1", &terms, truth, |seed| {
        Server::new(Service::Fixed(1e-4), seed)
    });
}

#[test]
fn it_finds_the_rate_of_a_slow_server_with_few_samples() {
    let mut terms = terms(400.0, 3.0);
    terms.measure = Duration::from_secs(60);
    let truth = true_rate_of_random(100.0, &terms);
    finds("slow M/M/1", &terms, truth, |seed| {
        Server::new(Service::Random(1e-2), seed)
    });
}

#[test]
fn noise_and_hiccups_do_not_lead_it_astray() {
    let terms = terms(5.0, 1000.0);
    let truth = true_rate_of_random(10_000.0, &terms);
    finds("with hiccups", &terms, truth, |seed| Server {
        // One trial in 13 has a stall, from which the server takes a third of a second to recover near its
        // limit. That is 1.6 % of the time, so the true rate stays what it is.
        stalls: Some((20.0, 0.02)),
        jitter: 1e-4,
        ..Server::new(Service::Random(1e-4), seed)
    });
}

#[test]
fn a_short_run_is_enough_for_a_rougher_answer() {
    let run = Duration::from_secs(10);
    let terms = terms(2.0, 100.0).within(run);
    let truth = true_rate_of_random(10_000.0, &terms);
    for seed in 1..=SEARCHES {
        let mut server = Server::new(Service::Random(1e-4), seed);
        let (found, _) = search(&terms, &mut server);
        let words = found.words(&terms);
        assert_eq!(found.ending, Ending::Found, "{seed}: {words}");
        assert!(
            (found.held_per_s.unwrap() / truth - 1.0).abs() < 0.1,
            "{seed}: {words} {truth}"
        );
        assert!(server.now < 10.0, "{seed}: {words} after {} s", server.now);
    }
}

#[test]
fn a_start_far_above_the_limit_is_left_downwards() {
    let terms = terms(5.0, 1e5);
    let truth = true_rate_of_random(10_000.0, &terms);
    for seed in 1..5 {
        let (found, _) = search(&terms, &mut Server::new(Service::Random(1e-4), seed));
        let words = found.words(&terms);
        assert_eq!(found.ending, Ending::Found, "{words}");
        assert!(
            (found.held_per_s.unwrap() / truth - 1.0).abs() < 0.05,
            "{words}"
        );
    }
}

#[test]
fn an_overload_is_drained_before_the_next_trial() {
    let terms = terms(5.0, 1000.0);
    let (_, orders) = search(&terms, &mut Server::new(Service::Random(1e-4), 7));
    let first = orders
        .iter()
        .position(|(_, p)| *p == Purpose::Drain)
        .expect("something broke");
    let overload = orders[first - 1].0;
    let drains: Vec<_> = orders[first..]
        .iter()
        .take_while(|(_, p)| *p == Purpose::Drain)
        .collect();
    assert!(overload > 10_000.0 && drains.iter().all(|(rate, _)| *rate < 5000.0));
    // 16,000/s for 1.5 s leave 0.9 s of work, which takes more than one look of half a second.
    assert!(
        (2..MOST_DRAINS as usize).contains(&drains.len()),
        "{orders:?}"
    );
}

#[test]
fn a_server_whose_latency_never_rises_is_limited_by_the_client() {
    let mut terms = terms(10.0, 100.0);
    terms.most = Rate::per_second(50_000.0).unwrap();
    let (found, orders) = search(&terms, &mut Server::new(Service::Endless(1e-3), 1));
    assert_eq!(found.ending, Ending::NeverBroke);
    assert_eq!(
        (found.held_per_s, found.broke_per_s),
        (Some(50_000.0), None)
    );
    assert!(found.confidence > 0.95 && orders.len() <= 12);
    assert!(found.words(&terms).contains("this client's own"));
}

#[test]
fn a_client_that_gets_no_more_out_is_named_as_the_limit() {
    let terms = terms(10.0, 100.0);
    let mut server = Server::new(Service::Endless(1e-3), 1);
    server.client = 20_000.0;
    let (found, _) = search(&terms, &mut server);
    assert_eq!(
        (found.ending, found.limit),
        (Ending::Found, Some(Limit::Sending))
    );
    let words = found.words(&terms);
    assert!(
        (found.held_per_s.unwrap() / 20_000.0 - 1.0).abs() < 0.05,
        "{words}"
    );
    assert!(
        words.contains("this client or the path is the limit"),
        "{words}"
    );
}

#[test]
fn a_server_that_is_always_too_slow_is_told_as_such() {
    let terms = terms(10.0, 100.0);
    let (found, orders) = search(&terms, &mut Server::new(Service::Endless(0.02), 1));
    assert_eq!(found.ending, Ending::AlwaysBroke);
    assert_eq!(
        (found.held_per_s, found.limit),
        (None, Some(Limit::Latency))
    );
    assert_eq!(
        found.broke_per_s,
        Some(1.0),
        "the lowest rate that may be tried"
    );
    assert!(orders.len() < 40, "{orders:?}");
    assert!(
        found
            .words(&terms)
            .starts_with("no rate keeps p95 at or under 10.0 ms")
    );
}

#[test]
fn a_server_that_answers_nothing_or_does_not_recover_ends_the_search() {
    let mut search = RateSearch::new(terms(10.0, 100.0));
    let mut orders = 0;
    let found = loop {
        match search.order() {
            Order::Done(found) => break found,
            Order::Run { rate, .. } => search.observe(&Observation {
                asked_per_s: rate.get(),
                sent_per_s: rate.get(),
                answered_per_s: 0.0,
                latency: None,
                samples: 0,
            }),
        }
        orders += 1;
        assert!(orders < 100);
    };
    assert_eq!(
        (found.ending, found.limit),
        (Ending::AlwaysBroke, Some(Limit::Answers))
    );

    // It holds 100/s and 200/s, breaks at 400/s, and is stuck from then on.
    let mut search = RateSearch::new(terms(10.0, 100.0));
    let mut stuck = false;
    let mut orders = 0;
    let found = loop {
        match search.order() {
            Order::Done(found) => break found,
            Order::Run { rate, .. } => {
                stuck |= rate.get() >= 400.0;
                search.observe(&Observation {
                    asked_per_s: rate.get(),
                    sent_per_s: rate.get(),
                    answered_per_s: rate.get(),
                    latency: Some(Duration::from_millis(if stuck { 900 } else { 2 })),
                    samples: 1000,
                });
            }
        }
        orders += 1;
        assert!(orders < 100);
    };
    assert_eq!(found.ending, Ending::NotRecovered);
    assert_eq!(found.held_per_s, Some(200.0));
}

#[test]
fn whatever_is_observed_it_ends() {
    for seed in 1..300u64 {
        let mut server = Server::new(Service::Fixed(1.0), seed);
        let mut search = RateSearch::new(terms(10.0, 100.0));
        let mut orders = 0;
        while let Order::Run { rate, .. } = search.order() {
            // Pure chance.
            let mut dice = || server.exponential(1.0);
            search.observe(&Observation {
                asked_per_s: rate.get(),
                sent_per_s: rate.get() * (1.1 - dice() / 10.0),
                answered_per_s: rate.get(),
                latency: Some(Duration::from_secs_f64(0.01 * dice())),
                samples: 1000,
            });
            orders += 1;
            assert!(orders <= MOST_TRIALS * (LONGEST_DRAIN + 2), "seed {seed}");
        }
        let so_far = search.so_far();
        assert!((0.0..=1.0).contains(&so_far.confidence));
        assert!(!so_far.words(search.terms()).contains('\n'));
    }
}

#[test]
fn a_search_that_is_broken_off_says_what_it_knows() {
    let terms = terms(5.0, 100.0);
    let mut server = Server::new(Service::Random(1e-4), 3);
    let mut search = RateSearch::new(terms.clone());
    assert_eq!(search.so_far().ending, Ending::Unfinished);
    for _ in 0..3 {
        if let Order::Run {
            rate,
            settle,
            measure,
            ..
        } = search.order()
        {
            search.observe(&server.run(rate.get(), settle, measure, 95.0));
        }
    }
    let found = search.so_far();
    assert_eq!(
        (found.ending, found.held_per_s),
        (Ending::Unfinished, Some(400.0))
    );
    assert!(
        found.words(&terms).contains("400/s held, nothing broke"),
        "{}",
        found.words(&terms)
    );
}
