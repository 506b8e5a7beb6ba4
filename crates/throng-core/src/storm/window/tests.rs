use super::*;
use crate::split_mix::SplitMix;

/// A server that accepts so many connections per second, and has room for so many that wait.
struct Server {
    per_s: f64,
    room: f64,
    dice: SplitMix,
}

impl Server {
    fn new(per_s: f64, room: f64, seed: u64) -> Server {
        let dice = SplitMix(seed);
        Server { per_s, room, dice }
    }

    /// How many of `n` connections that come at random over `window` find no room.
    fn drops(&mut self, n: usize, window: Duration) -> u64 {
        let window = window.as_secs_f64();
        let mut draw = || self.dice.next() as f64 / u64::MAX as f64 * window;
        let mut arrivals: Vec<f64> = (0..n).map(|_| draw()).collect();
        arrivals.sort_by(f64::total_cmp);
        let (mut waiting, mut before, mut drops) = (0.0, 0.0, 0);
        for at in arrivals {
            waiting = f64::max(waiting - (at - before) * self.per_s, 0.0) + 1.0;
            before = at;
            if waiting > self.room {
                waiting -= 1.0;
                drops += 1;
            }
        }
        drops
    }
}

/// Searches for a window of `n` connections on `server`.
fn search(n: usize, server: &mut Server) -> WindowFound {
    let mut search = WindowSearch::default();
    while let Some(window) = search.next() {
        let syns_dropped = server.drops(n, window);
        search.tried(WindowTrial {
            window_ms: window.as_millis() as u64,
            syns_dropped,
            syns_retried: syns_dropped,
            ..WindowTrial::default()
        });
        assert!(search.trials.len() < 200, "{search:?}");
    }
    search.found()
}

#[test]
fn a_search_repeated_finds_the_same_window_within_a_fifth() {
    // Connections, accepted per second, room in the queue.
    for (n, per_s, room) in [(2_000, 1_000.0, 128.0), (5_000, 4_000.0, 256.0)] {
        let mut all: Vec<u64> = Vec::new();
        for seed in 1..=12 {
            let found = search(n, &mut Server::new(per_s, room, seed));
            assert_eq!(found.ending, WindowEnding::Found);
            let held = found.held_ms.unwrap();
            let last: Vec<_> = found.trials.iter().rev().take(REPEATS as usize).collect();
            assert!(
                last.iter().all(|t| t.window_ms == held && t.is_clean()),
                "{found:?}"
            );
            assert!(found.trials.len() <= 40, "{}", found.trials.len());
            all.push(held);
        }
        all.sort_unstable();
        let median = all[6] as f64;
        let within = all
            .iter()
            .filter(|held| (**held as f64 - median).abs() <= 0.2 * median);
        assert!(within.count() >= 11, "{n} connections: {all:?}");
        // In theory: as much as the queue has no room for is accepted in that time.
        let theory = (n as f64 - room) / per_s * 1e3;
        assert!(
            (0.75 * theory..1.35 * theory).contains(&median),
            "{median} and {theory}"
        );
    }
}

#[test]
fn a_server_with_room_for_all_needs_no_window() {
    let found = search(500, &mut Server::new(1_000.0, 512.0, 1));
    assert_eq!(
        (found.ending, found.held_ms),
        (WindowEnding::NoneNeeded, Some(0))
    );
    assert_eq!(found.trials.len(), REPEATS as usize);
}

#[test]
fn a_server_that_always_drops_something_has_no_window() {
    let mut search = WindowSearch::default();
    while let Some(window) = search.next() {
        search.tried(WindowTrial {
            window_ms: window.as_millis() as u64,
            failed: 1,
            ..WindowTrial::default()
        });
    }
    let found = search.found();
    assert_eq!(
        (found.ending, found.held_ms),
        (WindowEnding::NoneHeld, None)
    );
    assert!(found.trials.len() < 20);
}

#[test]
fn a_search_ends_where_connections_do_not_come_back() {
    let mut search = WindowSearch::default();
    search.tried(WindowTrial {
        missing: 3,
        ..WindowTrial::default()
    });
    assert_eq!(search.next(), None);
    assert_eq!(search.found().ending, WindowEnding::NotRecovered);
}

#[test]
fn a_window_that_is_not_confirmed_is_left_upwards() {
    // It holds above 100 ms, but one storm in seven of such a window is bad luck.
    let mut search = WindowSearch::default();
    let mut n = 0;
    while let Some(window) = search.next() {
        n += 1;
        let bad = window < Duration::from_millis(100) || n % 13 == 0;
        search.tried(WindowTrial {
            window_ms: window.as_millis() as u64,
            failed: bad.into(),
            ..WindowTrial::default()
        });
        assert!(n < 300, "{search:?}");
    }
    let found = search.found();
    let held = found.held_ms.unwrap();
    assert_eq!(found.ending, WindowEnding::Found);
    assert!(
        (100..=250).contains(&held) && found.broke_ms < Some(held),
        "{found:?}"
    );
}
