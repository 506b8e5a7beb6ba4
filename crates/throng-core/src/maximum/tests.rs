//! The search against simulated servers whose limit is known.

use super::*;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(20);
/// How often a failed attempt is made again.
const RETRY: u64 = 50;

/// What a server does with connections beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beyond {
    /// Refuses them.
    Refuses,
    /// Does not answer.
    Silent,
    /// Accepts and closes them.
    Closes,
    /// Leaves them in its accept queue, which is visible.
    Queues,
    /// Closes older ones instead, a number at a time.
    Drains(u64),
}

/// A server, and the client's workers between it and the search.
struct World {
    limit: Box<dyn Fn(Duration) -> u64>,
    beyond: Beyond,
    /// Connections that it accepts per second.
    speed: u64,
    /// Whether it takes new ones in place of those that ended.
    replaces: bool,
    accepted_ever: u64,
    seen: Seen,
}

impl World {
    fn new(limit: u64, beyond: Beyond) -> World {
        World {
            limit: Box::new(move |_| limit),
            beyond,
            speed: 20_000,
            replaces: true,
            accepted_ever: 0,
            seen: Seen::default(),
        }
    }

    fn held(&self) -> u64 {
        self.seen.open - self.seen.queued
    }

    /// A tick with at most `target` connections.
    fn tick(&mut self, target: u64) {
        let seen = &mut self.seen;
        seen.at += TICK;
        let limit = (self.limit)(seen.at);
        let mut held = seen.open - seen.queued;
        if held > limit {
            seen.refused += held - limit;
            seen.ended += held - limit;
            held = limit;
        }
        // Those in the queue are the last ones.
        let too_many = (held + seen.queued).saturating_sub(target);
        let from_queue = too_many.min(seen.queued);
        seen.queued -= from_queue;
        held -= too_many - from_queue;
        seen.closed += too_many;
        let room = match self.replaces {
            true => limit.saturating_sub(held),
            false => limit.saturating_sub(self.accepted_ever),
        };
        let mut wanted = target.saturating_sub(held + seen.queued);
        let per_tick = self.speed * TICK.as_millis() as u64 / 1000;
        let moved = seen.queued.min(room).min(per_tick);
        seen.queued -= moved;
        let opened = wanted.min(room - moved).min(per_tick - moved);
        held += moved + opened;
        self.accepted_ever += moved + opened;
        wanted -= opened;
        let beyond = match room - moved - opened {
            0 => wanted,
            _ => 0,
        };
        match self.beyond {
            Beyond::Queues => seen.queued += beyond.min(64u64.saturating_sub(seen.queued)),
            Beyond::Refuses => seen.refused += beyond.div_ceil(RETRY),
            Beyond::Closes => {
                seen.refused += beyond.div_ceil(RETRY);
                seen.ended += beyond.div_ceil(RETRY);
            }
            Beyond::Silent => {
                seen.refused += u64::from(beyond > 0 && seen.at.as_millis().is_multiple_of(1000))
            }
            Beyond::Drains(n) if beyond > 0 => {
                let n = n.min(held);
                seen.refused += n;
                seen.ended += n;
                held -= n;
            }
            Beyond::Drains(_) => {}
        }
        seen.open = held + seen.queued;
    }
}

fn terms(bound: u32) -> Terms {
    Terms {
        bound,
        bound_is_asked: true,
        patience: Duration::from_secs(4),
        tuples: None,
    }
}

/// Searches, for this long at most.
fn search(world: &mut World, terms: Terms, most: Duration) -> (Search, Vec<Event>) {
    let mut search = Search::new(terms);
    let mut events = Vec::new();
    while world.seen.at < most {
        world.tick(search.target().into());
        match search.look(&world.seen) {
            Event::Nothing => {}
            event => events.push(event),
        }
        if events.last() == Some(&Event::Over) {
            break;
        }
    }
    (search, events)
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_hard_limit_is_found_to_one_percent_whatever_happens_beyond_it() {
    let all = [
        Beyond::Refuses,
        Beyond::Silent,
        Beyond::Closes,
        Beyond::Queues,
    ];
    for beyond in all {
        for limit in [1, 2, 7, 64, 300, 1019, 5000, 28_000, 200_000] {
            let mut world = World::new(limit, beyond);
            let (search, events) = search(&mut world, terms(1_000_000), MINUTE);
            let what = format!("{beyond:?} {limit}: {events:?} {search:?}");
            assert_eq!(events.last(), Some(&Event::Over), "{what}");
            assert_eq!(search.ending(), Ending::Found, "{what}");
            assert_eq!(search.walls().len(), 2, "{what}");
            assert!(search.number().abs_diff(limit) <= limit / 100, "{what}");
            assert_eq!(world.held(), search.number(), "it is held: {what}");
            assert_eq!(world.seen.open, search.number(), "no others are: {what}");
        }
    }
}

#[test]
fn the_number_of_a_server_that_closes_older_connections_is_the_most_without_a_closed_one() {
    for (limit, drains) in [
        (480, 1),
        (480, 4),
        (479, 32),
        (64, 8),
        (7, 1),
        (7680, 32),
        (61_440, 600),
    ] {
        let mut world = World::new(limit, Beyond::Drains(drains));
        // It takes some ticks until those are back that it closed.
        world.speed = (drains / 3).max(1) * 1000 / TICK.as_millis() as u64;
        let (search, events) = search(&mut world, terms(1_000_000), MINUTE);
        let what = format!("{limit} {drains}: {events:?} {search:?}");
        assert_eq!(search.ending(), Ending::Found, "{what}");
        // One that is replaced at once may never be seen.
        let near = (limit / 200).max(u64::from(drains == 1));
        assert!((limit - near..=limit).contains(&search.number()), "{what}");
        assert_eq!(world.held(), search.number(), "it is held: {what}");
        let narrowed = Event::Narrowed(search.number());
        assert_eq!(events.contains(&narrowed), drains > 1, "{what}");
    }
}

#[test]
fn time_in_which_nothing_was_seen_does_not_count() {
    let mut world = World::new(118, Beyond::Silent);
    let mut search = Search::new(terms(50_000));
    let mut over = false;
    while !over && world.seen.at < 4 * MINUTE {
        world.tick(search.target().into());
        match search.look(&world.seen) {
            Event::Over => over = true,
            // Looking for the reason takes long on a machine with many sockets.
            Event::Stuck(_) => world.seen.at += Duration::from_secs(22),
            _ => {}
        }
    }
    assert!(over, "{search:?}");
    assert_eq!((search.ending(), search.number()), (Ending::Found, 118));
    // So may each look at what waits.
    let mut world = World::new(100_000, Beyond::Queues);
    let mut search = Search::new(terms(2000));
    while search.ending() == Ending::Unfinished && world.seen.at < 10 * MINUTE {
        world.tick(search.target().into());
        world.seen.at += Duration::from_secs(3);
        assert!(!matches!(search.look(&world.seen), Event::Stuck(_)));
    }
    assert_eq!(search.ending(), Ending::Bound, "{search:?}");
}

#[test]
fn a_bound_that_is_reached_is_no_limit() {
    for (asked, ending) in [(true, Ending::Bound), (false, Ending::Client)] {
        let mut world = World::new(5000, Beyond::Refuses);
        let terms = Terms {
            bound_is_asked: asked,
            ..terms(1000)
        };
        let (search, events) = search(&mut world, terms, MINUTE);
        assert_eq!(events, [Event::Over]);
        assert_eq!((search.ending(), search.number()), (ending, 1000));
        assert_eq!(world.seen.closed, 0);
    }
}

#[test]
fn a_slow_ramp_is_no_limit() {
    let mut world = World::new(1_000_000, Beyond::Queues);
    world.speed = 50;
    let (search, events) = search(&mut world, terms(2000), MINUTE);
    assert_eq!(events, [Event::Over], "{search:?}");
    assert_eq!((search.ending(), search.number()), (Ending::Bound, 2000));
}

#[test]
fn a_pause_is_no_limit() {
    let mut world = World::new(3000, Beyond::Silent);
    // It stands still for six seconds.
    world.limit = Box::new(|at| match at.as_secs() {
        0 => 500,
        1..7 => 500,
        _ => 3000,
    });
    let (search, events) = search(&mut world, terms(100_000), MINUTE);
    assert!(events.contains(&Event::WentOn(500)), "{events:?}");
    assert_eq!(search.ending(), Ending::Found, "{events:?}");
    assert!((2970..=3000).contains(&search.number()), "{search:?}");
    assert_eq!(search.pauses(), [500]);
}

#[test]
fn a_limit_that_comes_and_goes_is_not_called_stable() {
    let mut world = World::new(0, Beyond::Closes);
    world.limit = Box::new(|at| 1000 - 180 * (at.as_secs() / 6).min(5));
    let (search, events) = search(&mut world, terms(100_000), 2 * MINUTE);
    assert_eq!(events.last(), Some(&Event::Over), "{events:?}");
    assert_eq!(search.ending(), Ending::Unstable, "{search:?}");
}

#[test]
fn a_server_that_ends_is_not_called_stable() {
    let mut world = World::new(0, Beyond::Refuses);
    world.limit = Box::new(|at| if at.as_secs() < 5 { 300 } else { 0 });
    let (search, events) = search(&mut world, terms(100_000), MINUTE);
    assert_eq!(events.last(), Some(&Event::Over), "{events:?}");
    assert_eq!(search.ending(), Ending::Unstable, "{search:?}");
    assert_eq!(search.number(), 0);
}

#[test]
fn a_server_that_takes_none_is_said_to_hold_none() {
    let mut world = World::new(0, Beyond::Refuses);
    let (search, events) = search(&mut world, terms(100), MINUTE);
    assert_eq!(events, [Event::Stuck(0), Event::Over]);
    assert_eq!((search.ending(), search.number()), (Ending::None, 0));
}

#[test]
fn a_server_that_stops_accepting_for_good_is_found_to_one_percent() {
    let mut world = World::new(400, Beyond::Queues);
    world.replaces = false;
    let (search, events) = search(&mut world, terms(100_000), MINUTE);
    assert_eq!(events.last(), Some(&Event::Over), "{events:?}");
    assert!((396..=400).contains(&search.number()), "{search:?}");
}

#[test]
fn four_tuples_of_closed_connections_are_not_counted_upon() {
    let mut world = World::new(980, Beyond::Closes);
    let terms = Terms {
        tuples: Some(1000),
        bound_is_asked: false,
        ..terms(1000)
    };
    let mut search = Search::new(terms);
    while world.seen.at < MINUTE && search.look(&world.seen) != Event::Over {
        let seen = world.seen;
        world.tick(search.target().into());
        assert!(seen.open + seen.closed <= 1000, "{seen:?}");
    }
    assert_eq!(search.ending(), Ending::Found, "{search:?}");
    assert!((970..=980).contains(&search.number()), "{search:?}");
}

#[test]
fn a_limit_of_the_client_ends_the_search() {
    let mut world = World::new(300, Beyond::Refuses);
    let mut search = Search::new(terms(100_000));
    let mut over = false;
    while world.seen.at < MINUTE && !over {
        world.tick(search.target().into());
        match search.look(&world.seen) {
            Event::Stuck(_) => search.end_at_client(world.seen.at),
            Event::Over => over = true,
            _ => {}
        }
    }
    assert!(over);
    assert_eq!((search.ending(), search.number()), (Ending::Client, 300));
    // So does one that has no memory left.
    let mut world = World::new(300, Beyond::Refuses);
    world.seen.stopped = true;
    let (search, _) = self::search(&mut world, terms(100_000), MINUTE);
    assert_eq!(search.ending(), Ending::Client);
}

#[test]
fn a_queue_that_keeps_what_was_closed_is_told_from_a_limit() {
    // The second way, those that are closed are the last ones of all, and among the others are attempts that wait.
    for (accepts, room, among) in [
        (291u64, 101u64, false),
        (291, 101, true),
        (55, 41, true),
        (2000, 4097, false),
        (2000, 4097, true),
    ] {
        let (mut seen, mut dead, mut slots) = (Seen::default(), 0, 0u64);
        let mut search = Search::new(terms(1_000_000));
        let mut over = false;
        while !over && seen.at < MINUTE {
            seen.at += TICK;
            let target = u64::from(search.target());
            let too_many = match among && target < slots {
                true => (seen.open * (slots - target)).div_ceil(slots),
                false => seen.open.saturating_sub(target),
            };
            slots = target;
            seen.open -= too_many;
            seen.closed += too_many;
            // It accepts no further one, so these stay where they are.
            dead += too_many;
            let wanted = target.saturating_sub(seen.open);
            let left = (accepts + room).saturating_sub(seen.open + dead);
            seen.open += wanted.min(left).min(400);
            seen.refused += u64::from(wanted > left && seen.at.as_millis().is_multiple_of(1000));
            over = search.look(&seen) == Event::Over;
        }
        let what = format!("{accepts} {room}: {seen:?} {search:?}");
        assert!(over, "{what}");
        assert_eq!(search.ending(), Ending::Found, "{what}");
        assert_eq!(search.places_kept(), Some(dead), "{what}");
        assert_eq!(search.walls()[0], accepts + room, "{what}");
        assert_eq!(search.number(), seen.open, "{what}");
    }
}
