use super::*;

/// The clients of a server in a simulation: how many connections are held, and all that was counted.
#[derive(Default)]
struct Clients {
    held: u64,
    established: u64,
    attempted: u64,
    refused: u64,
    reset: u64,
    dropped: u64,
}

impl Clients {
    fn hold(n: u64) -> Clients {
        let mut clients = Clients::default();
        clients.come_back(n);
        clients
    }

    fn come_back(&mut self, n: u64) {
        self.held += n;
        self.established += n;
        self.attempted += n;
    }

    fn refuse(&mut self, n: u64) {
        self.refused += n;
        self.attempted += n;
    }

    fn reset(&mut self, n: u64) {
        self.held -= n;
        self.reset += n;
    }

    fn drop(&mut self, n: u64) {
        self.held -= n;
        self.dropped += n;
    }

    fn counts(&self) -> Tally {
        let ended = self.reset + self.dropped;
        Tally::from_named([
            ("attempted", self.attempted),
            ("established", self.established),
            ("failed.refused", self.refused),
            ("ready", self.established),
            ("unready", ended),
            ("closed.reset_by_peer", self.reset),
            ("closed.by_us", self.dropped),
            ("dropped", self.dropped),
        ])
        .unwrap()
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What is seen of `clients`, a look each 20 ms up to `end`; `event` changes them before each.
fn watched(
    mut clients: Clients,
    end: u64,
    mut event: impl FnMut(u64, &mut Clients, &mut StormWatch),
) -> Vec<Storm> {
    let mut watch = StormWatch::default();
    for at in (0..=end).step_by(20) {
        event(at, &mut clients, &mut watch);
        watch.look(ms(at), &clients.counts());
    }
    watch.finish()
}

#[test]
fn connections_of_which_hardly_any_stand_are_no_storm() {
    // Each is lost 20 ms after it was opened, and opened again.
    let storms = watched(Clients::default(), 3_000, |_, clients, _| {
        match clients.held {
            0 => clients.come_back(5),
            n => clients.reset(n),
        }
    });
    assert_eq!(storms, []);
}

#[test]
fn a_storm_is_told_with_when_shares_were_back_and_its_highest_rate() {
    // All are lost at 3 s. They come back evenly from 4 s to 6 s, after having been refused.
    let storms = watched(Clients::hold(1000), 10_000, |at, clients, _| match at {
        3_000 => clients.reset(1000),
        3_020..=4_000 => clients.refuse(20),
        4_001..=6_000 => clients.come_back(10),
        _ => {}
    });
    let [storm] = storms.as_slice() else {
        panic!("{storms:?}");
    };
    assert_eq!(
        (storm.began, storm.before, storm.lost()),
        (ms(2_980), 1000, 1000)
    );
    assert_eq!((storm.missing_most, storm.missing), (1000, 0));
    let back = [storm.back_50, storm.back_90, storm.back_99, storm.back_100];
    assert_eq!(back, [2_020, 2_820, 3_000, 3_020].map(|at| Some(ms(at))));
    assert_eq!(storm.peak_per_s, 500.0);
    assert_eq!(storm.counts.failed_in_all(), 1000);
    assert!(!storm.was_asked_for());
}

#[test]
fn a_storm_begins_with_the_first_loss_also_where_looks_are_far_apart() {
    for (lost, began) in [(730, 730), (0, 500), (1_100, 500)] {
        let (mut watch, mut clients) = (StormWatch::default(), Clients::hold(50));
        watch.look(ms(0), &clients.counts());
        watch.look(ms(500), &clients.counts());
        clients.reset(50);
        watch.lost_at(ms(lost));
        watch.look(ms(740), &clients.counts());
        assert_eq!(watch.finish()[0].began, ms(began), "lost at {lost} ms");
    }
}

#[test]
fn a_few_losses_are_no_storm_unless_they_were_ordered() {
    let few = |n: u64| {
        watched(Clients::hold(1000), 5_000, move |at, clients, _| {
            // 49 within a second are below 5 %.
            if at.is_multiple_of(1_000) && at > 0 {
                clients.reset(n);
                clients.come_back(n);
            }
        })
    };
    assert_eq!(few(49), []);
    assert_eq!(few(50).len(), 1, "further ones are part of it");
    let nine = watched(Clients::hold(20), 5_000, |at, clients, _| {
        if at == 2_000 {
            clients.reset(9);
        }
    });
    assert_eq!(nine, [], "too few to be one");
    let one = watched(Clients::hold(20), 5_000, |at, clients, watch| match at {
        2_000 => watch.drops(ms(2_000), &clients.counts()),
        // Workers need a moment.
        2_100 => clients.drop(1),
        2_300 => clients.come_back(1),
        _ => {}
    });
    let [storm] = one.as_slice() else {
        panic!("{one:?}");
    };
    assert!(storm.was_asked_for() && storm.is_over());
    assert_eq!(
        (storm.began, storm.lost(), storm.back_100),
        (ms(2_000), 1, Some(ms(300)))
    );
}

#[test]
fn a_storm_that_is_never_over_says_how_many_are_missing() {
    let storms = watched(Clients::hold(100), 8_000, |at, clients, _| match at {
        1_000 => clients.reset(100),
        2_000 => clients.come_back(95),
        3_000.. if at % 100 == 0 => clients.refuse(5),
        _ => {}
    });
    let [storm] = storms.as_slice() else {
        panic!("{storms:?}");
    };
    assert_eq!((storm.missing_most, storm.missing), (100, 5));
    assert_eq!(
        (storm.back_90, storm.back_99, storm.back_100),
        (Some(ms(1_020)), None, None)
    );
    assert_eq!(storm.watched, ms(7_020));
}

#[test]
fn what_is_lost_again_before_a_calm_second_is_of_the_same_storm() {
    // The server accepts, and dies again.
    for (second, storms) in [(2_500, 1), (4_000, 2)] {
        let all = watched(Clients::hold(100), 8_000, |at, clients, _| match at {
            1_000 => clients.reset(100),
            2_000 => clients.come_back(100),
            _ if at == second => clients.reset(60),
            _ if at == second + 500 => clients.come_back(60),
            _ => {}
        });
        assert_eq!(all.len(), storms, "again at {second} ms");
        if let [storm] = all.as_slice() {
            assert_eq!((storm.lost(), storm.missing_most), (160, 100));
            // At 2 s all were back, and then they were not.
            assert_eq!(
                (storm.back_50, storm.back_100),
                (Some(ms(2_020)), Some(ms(2_020)))
            );
        }
    }
}

#[test]
fn a_drop_that_nothing_came_of_is_no_storm() {
    let none = watched(Clients::hold(3), 5_000, |at, clients, watch| {
        if at == 1_000 {
            watch.drops(ms(at), &clients.counts());
        }
    });
    assert_eq!(none, []);
}

#[test]
fn a_curve_is_short_and_leaves_out_nothing() {
    let storms = watched(Clients::hold(5_000), 70_000, |at, clients, _| match at {
        1_000 => clients.reset(5_000),
        1_001..=60_000 if clients.held < 5_000 => {
            clients.come_back(1);
            clients.refuse(1);
        }
        60_001.. => clients.come_back(5_000 - clients.held),
        _ => {}
    });
    let [storm] = storms.as_slice() else {
        panic!("{storms:?}");
    };
    assert!(storm.curve.len() <= MOST_POINTS, "{}", storm.curve.len());
    assert!(storm.curve.len() > MOST_POINTS / 4, "{}", storm.curve.len());
    let sum = |of: fn(&StormPoint) -> u64| storm.curve.iter().map(of).sum::<u64>();
    assert_eq!(sum(|p| p.established), storm.counts.established);
    assert_eq!(sum(|p| p.failed), storm.counts.failed_in_all());
    assert_eq!(sum(|p| p.lost), storm.lost());
    assert!(storm.curve.is_sorted_by_key(|p| p.at));
    assert_eq!(storm.curve.last().map(|p| p.held), Some(5_000));
}
