//! Tests of [`super::Arrivals`]: spacing, distribution, changes, nothing lost.

use super::*;
use crate::shard::Shard;
use proptest::prelude::*;
use std::time::Duration;

const S: u64 = 1_000_000_000;
const POISSON: Spacing = Spacing::Poisson { seed: 42 };

fn rate(per_second: f64) -> Rate {
    Rate::per_second(per_second).unwrap()
}

/// What worker `worker` of `workers` has of a whole run.
fn share(worker: u32, workers: u32) -> WorkerShard {
    Shard::WHOLE.of_worker(worker, workers)
}

fn profile(text: &str) -> Profile {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn take(arrivals: &mut Arrivals, until: u64) -> Vec<u64> {
    let mut due = VecDeque::new();
    arrivals.take(Time(until), usize::MAX, &mut due);
    due.into_iter().map(|t| t.0).collect()
}

/// What all workers together have due by `until`, in order.
fn together(mut workers: Vec<Arrivals>, until: u64) -> Vec<u64> {
    let mut all: Vec<u64> = workers.iter_mut().flat_map(|w| take(w, until)).collect();
    all.sort_unstable();
    all
}

fn workers(n: u32, make: impl Fn(u32) -> Arrivals) -> Vec<Arrivals> {
    (0..n).map(make).collect()
}

/// The Kolmogorov-Smirnov distance between `sample` and the distribution with function `cdf`, times the
/// square root of the sample's size. Above 1.63 with probability 1 % if the sample is from that distribution.
fn kolmogorov_smirnov(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let distance = sample.iter().enumerate().fold(0.0f64, |worst, (i, x)| {
        let p = cdf(*x);
        worst.max(p - i as f64 / n).max((i + 1) as f64 / n - p)
    });
    distance * n.sqrt()
}

fn exponential(mean: f64) -> impl Fn(f64) -> f64 {
    move |x| 1.0 - (-x / mean).exp()
}

fn gaps(times: &[u64]) -> Vec<f64> {
    times.windows(2).map(|w| (w[1] - w[0]) as f64).collect()
}

#[test]
fn uniform_messages_of_all_workers_are_evenly_spaced_to_the_nanosecond() {
    let start = 5 * S;
    let all = together(
        workers(3, |w| {
            Arrivals::constant(rate(7000.0), Spacing::Uniform, Time(start), share(w, 3))
        }),
        start + 10 * S,
    );
    assert_eq!(all.len(), 70_001);
    for (n, t) in all.iter().enumerate() {
        let exact = start + (2 * n as u64 * S + 7000) / 14_000;
        assert_eq!(*t, exact, "message {n}");
    }
}

/// What the two workers of each of 40 agents have, which have equal shares of a run.
fn shares_of_agents() -> Vec<WorkerShard> {
    let agents = Shard::by_weight(&[1; 40]).into_iter().flatten();
    let workers = |agent: Shard| [0, 1].map(|worker| agent.of_worker(worker, 2));
    agents.flat_map(workers).collect()
}

#[test]
fn messages_of_forty_agents_are_those_of_one_process_to_the_nanosecond() {
    let until = 3 * S;
    let p = profile("1s:2k, 1s:2k..9k, 1s:500");
    let all = |shares: Vec<WorkerShard>, make: &dyn Fn(WorkerShard) -> Arrivals| {
        together(shares.into_iter().map(make).collect(), until)
    };
    let constant =
        |share| Arrivals::constant(rate(100_000.0), Spacing::Uniform, Time::START, share);
    let profiled = |share| Arrivals::profile(&p, Spacing::Uniform, Time::START, share);
    for make in [&constant as &dyn Fn(WorkerShard) -> Arrivals, &profiled] {
        let one = all(vec![share(0, 1)], make);
        assert!(one.len() > 7000);
        assert_eq!(all(shares_of_agents(), make), one);
    }
}

#[test]
fn poisson_gaps_of_forty_agents_together_are_exponential() {
    let make = |share| Arrivals::constant(rate(100_000.0), POISSON, Time::START, share);
    let agents = shares_of_agents().into_iter().map(make).collect();
    let all = together(agents, 2 * S);
    // 200,000 expected, with a standard deviation of 447.
    assert!((198_650..=201_350).contains(&all.len()), "{}", all.len());
    let d = kolmogorov_smirnov(gaps(&all), exponential(10_000.0));
    assert!(d < 1.63, "{d}");
}

#[test]
fn nothing_drifts_over_days() {
    let day = 86_400 * S;
    let mut worker = Arrivals::constant(rate(0.3), Spacing::Uniform, Time::START, share(1, 2));
    let due = take(&mut worker, 30 * day);
    assert_eq!(due.len(), 15 * 86_400 * 3 / 10);
    // Messages 1, 3, 5 ...: the last one is number 777,599.
    assert_eq!(*due.last().unwrap(), (777_599u64 * 10 * S + 1) / 3);
}

#[test]
fn poisson_gaps_are_exponential_for_each_worker_and_for_all_together() {
    let make = |w| Arrivals::constant(rate(10_000.0), POISSON, Time::START, share(w, 4));
    for w in 0..4 {
        let d = kolmogorov_smirnov(gaps(&take(&mut make(w), 20 * S)), exponential(400_000.0));
        assert!(d < 1.63, "worker {w}: {d}");
    }
    let all = together(workers(4, make), 20 * S);
    // 200,000 expected, with a standard deviation of 447.
    assert!((198_650..=201_350).contains(&all.len()), "{}", all.len());
    let d = kolmogorov_smirnov(gaps(&all), exponential(100_000.0));
    assert!(d < 1.63, "together: {d}");
    // Successive gaps are independent: no correlation beyond chance.
    let gaps = gaps(&all);
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let (mut with_next, mut with_self) = (0.0, 0.0);
    for w in gaps.windows(2) {
        with_next += (w[0] - mean) * (w[1] - mean);
        with_self += (w[0] - mean) * (w[0] - mean);
    }
    let correlation = with_next / with_self;
    assert!(correlation.abs() < 0.01, "{correlation}");
}

#[test]
fn the_test_of_gaps_finds_those_that_are_not_exponential() {
    let uniform = take(
        &mut Arrivals::constant(rate(1000.0), Spacing::Uniform, Time::START, share(0, 1)),
        S,
    );
    assert!(kolmogorov_smirnov(gaps(&uniform), exponential(1e6)) > 10.0);
    let poisson = take(
        &mut Arrivals::constant(rate(10_000.0), POISSON, Time::START, share(0, 1)),
        20 * S,
    );
    // A mean that is off by one in a hundred.
    assert!(kolmogorov_smirnov(gaps(&poisson), exponential(101_000.0)) > 1.63);
}

#[test]
fn poisson_messages_follow_a_profile_when_time_is_rescaled() {
    let p = profile("3s:5k, 1s:0, 4s:2k..20k, 4s:20k..0");
    let make = |w| Arrivals::profile(&p, POISSON, Time(7 * S), share(w, 3));
    let all = together(workers(3, make), u64::MAX);
    // In the time of the rate's integral it is a process with rate 1.
    let mut rescaled: Vec<f64> = all
        .iter()
        .map(|t| p.total(Duration::from_nanos(t - 7 * S)))
        .collect();
    rescaled.insert(0, 0.0);
    let gaps = rescaled.windows(2).map(|w| w[1] - w[0]).collect();
    let d = kolmogorov_smirnov(gaps, exponential(1.0));
    assert!(d < 1.63, "{d}");
    assert!(all.iter().all(|t| !(10 * S..11 * S).contains(t)));
    let expected = p.total(p.duration());
    assert!((all.len() as f64 - expected).abs() < 3.0 * expected.sqrt());
}

#[test]
fn the_same_seed_gives_the_same_times_and_another_one_others() {
    let times = |seed, worker| {
        let spacing = Spacing::Poisson { seed };
        take(
            &mut Arrivals::constant(rate(1000.0), spacing, Time::START, share(worker, 2)),
            S,
        )
    };
    assert_eq!(times(1, 0), times(1, 0));
    assert_ne!(times(1, 0), times(2, 0));
    assert_ne!(times(1, 0), times(1, 1));
}

#[test]
fn a_profile_is_followed_piece_by_piece_over_days() {
    let day = "6h:0.01..3, 6h:3, 6h:3..0, 6h:0,";
    let text = day.repeat(10);
    let p = profile(text.trim_end_matches(','));
    let all = together(
        workers(5, |w| {
            Arrivals::profile(&p, Spacing::Uniform, Time::START, share(w, 5))
        }),
        u64::MAX,
    );
    let mut end = 0;
    for piece in p.pieces() {
        let (begin, until) = (end, end + piece.duration().as_nanos() as u64);
        end = until;
        let counted = all.partition_point(|t| *t < until) as f64;
        let asked = p.total(Duration::from_nanos(until));
        assert!((counted - asked).abs() < 1.0, "{counted} {asked}");
        if piece.from() == 0.0 && piece.to() == 0.0 {
            assert!(!all.iter().any(|t| (begin..until).contains(t)));
        }
    }
    for (n, t) in all.iter().enumerate() {
        // A nanosecond carries 3 * 10^-9 messages at most.
        let asked = p.total(Duration::from_nanos(*t));
        assert!((asked - n as f64).abs() < 6e-9, "message {n}: {t} {asked}");
    }
}

#[test]
fn nothing_is_due_in_a_pause() {
    let p = profile("1s:10, 1s:0, 1s:10");
    let mut worker = Arrivals::profile(&p, Spacing::Uniform, Time::START, share(0, 1));
    let expected: Vec<_> = (0..10).chain(20..30).map(|n| n * S / 10).collect();
    assert_eq!(take(&mut worker, u64::MAX), expected);
}

#[test]
fn what_is_due_is_given_once_however_late_and_in_whatever_portions() {
    let make = || {
        Arrivals::profile(
            &profile("1s:1k, 1s:1k..3k"),
            POISSON,
            Time::START,
            share(1, 2),
        )
    };
    let at_once = take(&mut make(), 10 * S);
    let mut in_portions = make();
    let mut due = VecDeque::new();
    let mut now = 0;
    while let Some(next) = in_portions.next() {
        assert_eq!(in_portions.take(Time(next.0 - 1), 9, &mut due), 0);
        now = now.max(next.0) + 37_000_000;
        assert!(in_portions.take(Time(now), 3, &mut due) >= 1);
    }
    assert_eq!(
        Vec::from(due),
        at_once.iter().map(|t| Time(*t)).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_written_off_is_counted_and_the_rest_is_where_it_was() {
    let make = || Arrivals::constant(rate(1000.0), POISSON, Time::START, share(0, 1));
    let all = take(&mut make(), 3 * S);
    let mut worker = make();
    let mut counted = take(&mut worker, S).len() as u64;
    counted += worker.write_off(Time(2 * S));
    let rest = take(&mut worker, 3 * S);
    assert_eq!(counted + rest.len() as u64, all.len() as u64);
    assert_eq!(rest, all[counted as usize..]);
    assert!(rest[0] >= 2 * S);
}

#[test]
fn uniform_messages_stay_evenly_spaced_when_the_rate_changes() {
    let make = |w| {
        let mut worker =
            Arrivals::constant(rate(1000.0), Spacing::Uniform, Time::START, share(w, 4));
        // Workers apply the change at different times, but for the same instant, which lies ahead.
        let mut due = take(&mut worker, u64::from(w) * 100_000_000);
        worker.set_rate(Time(S + 250_000), rate(4000.0));
        due.extend(take(&mut worker, 2 * S));
        due
    };
    let mut all: Vec<u64> = (0..4).flat_map(make).collect();
    all.sort_unstable();
    // Up to the change a message each millisecond. At it a quarter of the next one is done; the other
    // three quarters take 187.5 us at the new rate.
    let change = all.partition_point(|t| *t <= S);
    assert_eq!(change, 1001);
    assert!(gaps(&all[..change]).iter().all(|gap| *gap == 1e6));
    assert_eq!(all[change], S + 250_000 + 187_500);
    assert!(gaps(&all[change..]).iter().all(|gap| *gap == 250e3));
}

#[test]
fn a_change_that_is_heard_of_late_neither_loses_nor_goes_back() {
    for spacing in [Spacing::Uniform, POISSON] {
        let mut worker = Arrivals::constant(rate(1000.0), spacing, Time::START, share(0, 1));
        let mut all = take(&mut worker, 2 * S);
        worker.set_rate(Time(S), rate(3000.0));
        all.extend(take(&mut worker, 3 * S));
        worker.set_rate(Time(S / 2), rate(10.0));
        all.extend(take(&mut worker, 5 * S));
        assert!(all.is_sorted());
        // 1000 in the first second; 3000 in each of the next two.
        let by_3s = all.partition_point(|t| *t < 3 * S) as f64;
        assert!((by_3s - 7000.0).abs() < 4.0 * 7000f64.sqrt(), "{by_3s}");
        if spacing == Spacing::Uniform {
            assert_eq!(by_3s, 7000.0);
        }
    }
}

#[test]
fn a_profile_grows_while_it_runs_and_a_late_line_begins_late() {
    let line = |text: &str| Piece::from_line(text, 1).unwrap().unwrap();
    let mut worker = Arrivals::profile(&Profile::new(), Spacing::Uniform, Time::START, share(0, 1));
    assert_eq!(worker.next(), None);
    worker.append(Time(S), &line("1000 10"));
    assert_eq!((worker.next(), worker.end()), (Some(Time(S)), Time(2 * S)));
    worker.append(Time(S + S / 2), &line("1000 20"));
    assert_eq!(take(&mut worker, 9 * S).len(), 30);
    assert_eq!((worker.next(), worker.end()), (None, Time(3 * S)));
    worker.append(Time(9 * S), &line("1000 10"));
    let due = take(&mut worker, u64::MAX);
    assert_eq!(
        (due.len(), due[0], due[9]),
        (10, 9 * S, 9 * S + 900_000_000)
    );
    worker.set_rate(Time(20 * S), rate(1.0));
    assert_eq!(take(&mut worker, 22 * S), [20 * S, 21 * S, 22 * S]);
}

proptest! {
    #[test]
    fn uniform_counts_are_within_one_of_the_integral_whatever_changes(
        pieces in prop::collection::vec((1u64..20_000, 0u32..500, 0u32..500), 1..6),
        n in 1u32..5,
        changes in prop::collection::vec((0u64..40_000, any::<bool>(), 1u32..500), 0..4),
        checks in prop::collection::vec(0u64..60_000, 1..8),
    ) {
        let mut p = Profile::new();
        for (ms, from, to) in pieces {
            p.push(Piece::new(Duration::from_millis(ms), f64::from(from) / 3.0, f64::from(to) / 3.0).unwrap()).unwrap();
        }
        let mut changes = changes;
        changes.sort_unstable();
        let all = together(workers(n, |w| {
            let mut worker = Arrivals::profile(&p, Spacing::Uniform, Time::START, share(w, n));
            for (ms, appends, value) in &changes {
                let at = Time(ms * 1_000_000);
                match appends {
                    false => worker.set_rate(at, rate(f64::from(*value))),
                    true => worker.append(at, &Piece::new(Duration::from_millis(500), 100.0, f64::from(*value)).unwrap()),
                }
            }
            worker
        }), 60 * S);
        // The same by adding up a millisecond at a time.
        #[derive(Clone)]
        struct Plan { pieces: Vec<(f64, f64, f64, f64)>, end: f64 }
        let mut plan = Plan { pieces: vec![], end: 0.0 };
        for piece in p.pieces() {
            let d = piece.duration().as_secs_f64();
            plan.pieces.push((plan.end, d, piece.from(), piece.to()));
            plan.end += d;
        }
        for (ms, appends, value) in &changes {
            let at = *ms as f64 / 1e3;
            match appends {
                false => {
                    plan.pieces.retain(|x| x.0 < at);
                    for x in &mut plan.pieces {
                        if x.0 + x.1 > at {
                            let part = (at - x.0) / x.1;
                            *x = (x.0, at - x.0, x.2, x.2 + (x.3 - x.2) * part);
                        }
                    }
                    plan.pieces.push((at, 1e9, f64::from(*value), f64::from(*value)));
                    plan.end = 1e9;
                }
                true => {
                    let begin = plan.end.max(at);
                    plan.pieces.push((begin, 0.5, 100.0, f64::from(*value)));
                    plan.end = begin + 0.5;
                }
            }
        }
        let asked = |until: f64| -> f64 {
            let sent = |(begin, duration, a, b): &(f64, f64, f64, f64)| {
                let x = (until - begin).clamp(0.0, *duration);
                a * x + (b - a) * x * x / (2.0 * duration)
            };
            plan.pieces.iter().map(sent).sum()
        };
        for ms in checks {
            let counted = all.partition_point(|t| *t < ms * 1_000_000) as f64;
            let asked = asked(ms as f64 / 1e3);
            prop_assert!((counted - asked).abs() < 1.001, "at {ms} ms {counted}, asked {asked}");
        }
    }
}

#[test]
fn uniform_messages_of_unequal_agents_are_evenly_spaced_to_the_nanosecond() {
    let agents = Shard::by_weight(&[1, 3, 2]).into_iter().flatten();
    let all = agents.zip([2, 1, 3]).flat_map(|(shard, workers)| {
        let of = move |worker| shard.of_worker(worker, workers);
        (0..workers).map(of)
    });
    let p = profile("2s:100, 3s:100..700, 2s:700..200");
    let arrivals = all.map(|share| Arrivals::profile(&p, Spacing::Uniform, Time(S), share));
    let one = Arrivals::profile(&p, Spacing::Uniform, Time(S), share(0, 1));
    assert_eq!(
        together(arrivals.collect(), u64::MAX),
        together(vec![one], u64::MAX)
    );
}
