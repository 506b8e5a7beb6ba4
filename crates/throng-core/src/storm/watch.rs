//! Finds storms in the counts of a run, and follows each until all connections are back.

use crate::record::{Storm, StormPoint, losses};
use crate::stats::Tally;
use std::collections::VecDeque;
use std::time::Duration;

/// A storm is the loss of at least this share of the connections held, and of at least so many, within so long. So many have
/// to be held before.
const SHARE: f64 = 0.05;
const FEWEST: u64 = 10;
const WITHIN: Duration = Duration::from_secs(1);
/// A storm is over once all connections have been held for this long: until then, further losses are part of it.
const CALM: Duration = Duration::from_secs(1);
/// How long a drop that was ordered may take to begin.
const ORDERED: Duration = Duration::from_secs(1);
/// The shortest stretch of which a rate of new connections is told.
const RATE_OVER: Duration = Duration::from_millis(100);
/// The points of a curve: stretches of at least `FINEST`, which are joined when there are more than `MOST_POINTS`.
const FINEST: Duration = Duration::from_millis(20);
const MOST_POINTS: usize = 240;

/// Connections that can carry messages.
fn held(counts: &Tally) -> u64 {
    counts.open().min(counts.ready_now())
}

/// Looks at the counts of a run while connections are held. It should look often while it is [restless](StormWatch::is_restless):
/// every time that is told of a storm is that of a look.
#[derive(Debug, Default)]
pub struct StormWatch {
    /// The looks of the last second, and the last one before, while there is no storm.
    recent: VecDeque<Look>,
    /// When a connection was lost after a time without losses, if that is known.
    lost_at: Duration,
    present: Option<Present>,
    past: Vec<Storm>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Look {
    at: Duration,
    counts: Tally,
}

/// A storm under way.
#[derive(Debug)]
struct Present {
    storm: Storm,
    before: Look,
    last: Look,
    /// Whether connections are to be dropped that are not yet.
    ordered: bool,
    /// When connections were last lost.
    lost_at: Duration,
    /// When was looked, and how many had been established: the last look that is old enough for a rate, and those after it.
    rates: VecDeque<(Duration, u64)>,
    curve: Curve,
}

impl StormWatch {
    /// The counts at `at`.
    pub fn look(&mut self, at: Duration, counts: &Tally) {
        let look = Look {
            at,
            counts: *counts,
        };
        match &mut self.present {
            Some(present) => {
                present.add(look);
                if present.is_over() {
                    self.end();
                }
            }
            None => self.look_for_one(look),
        }
    }

    /// A connection was lost at this time, and none for a while before: then looks may be far apart.
    pub fn lost_at(&mut self, at: Duration) {
        self.lost_at = at;
    }

    /// Connections are dropped from now on, which is a storm, however few they are. The counts at `at` are those before.
    pub fn drops(&mut self, at: Duration, counts: &Tally) {
        self.look(at, counts);
        let before = Look {
            at,
            counts: *counts,
        };
        self.present
            .get_or_insert_with(|| Present::new(before))
            .ordered = true;
    }

    /// Whether a storm is under way, or connections were lost lately.
    pub fn is_restless(&self) -> bool {
        let lost = |look: Option<&Look>| look.map(|look| losses(&look.counts));
        self.present.is_some() || lost(self.recent.front()) != lost(self.recent.back())
    }

    /// Whether a storm is under way.
    pub fn is_under_way(&self) -> bool {
        self.present.is_some()
    }

    /// The storms that are over.
    pub fn past(&self) -> &[Storm] {
        &self.past
    }

    /// Takes out the last storm that is over.
    pub fn take_last(&mut self) -> Option<Storm> {
        self.past.pop()
    }

    /// Adds the kernel's count of dropped handshakes to the last storm that is over.
    pub fn note_dropped_syns(&mut self, dropped: Option<u64>) {
        if let Some(storm) = self.past.last_mut() {
            storm.syns_dropped = dropped;
        }
    }

    /// Ends a storm that is under way, whether or not all connections are back. Returns whether there was one.
    pub fn end(&mut self) -> bool {
        let Some(present) = self.present.take() else {
            return false;
        };
        self.recent.clear();
        self.recent.push_back(present.last);
        let nothing = present.storm.counts == Tally::default() || present.storm.lost() == 0;
        if !nothing {
            self.past.push(present.finish());
        }
        !nothing
    }

    /// All storms, in the order of time.
    pub fn finish(mut self) -> Vec<Storm> {
        self.end();
        self.past
    }

    fn look_for_one(&mut self, look: Look) {
        self.recent.push_back(look);
        while self.recent.len() > 1 && self.recent[1].at + WITHIN <= look.at {
            self.recent.pop_front();
        }
        let first = self.recent[0];
        let lost = losses(&look.counts).saturating_sub(losses(&first.counts));
        let before = held(&first.counts);
        let least = (before as f64 * SHARE).max(FEWEST as f64);
        // Where hardly any were held, connections come and go, and nothing can be said of when all are back.
        if (lost as f64) < least || before < FEWEST {
            return;
        }
        // It began with the first of these losses.
        let calm = |look: &&Look| losses(&look.counts) == losses(&first.counts);
        let began = self.recent.iter().take_while(calm).count() - 1;
        let mut before = self.recent[began];
        if (before.at..=self.recent[began + 1].at).contains(&self.lost_at) {
            before.at = self.lost_at;
        }
        let mut present = Present::new(before);
        let later = self.recent.iter().skip(began + 1);
        later.for_each(|look| present.add(*look));
        self.present = Some(present);
    }
}

impl Present {
    fn new(before: Look) -> Present {
        let storm = Storm {
            began: before.at,
            before: held(&before.counts),
            ..Storm::default()
        };
        Present {
            storm,
            before,
            last: before,
            ordered: false,
            lost_at: before.at,
            rates: VecDeque::from([(before.at, before.counts.established)]),
            curve: Curve::default(),
        }
    }

    fn add(&mut self, look: Look) {
        let since = look.counts.since(&self.last.counts);
        let storm = &mut self.storm;
        storm.counts = look.counts.since(&self.before.counts);
        storm.watched = look.at.saturating_sub(storm.began);
        self.last = look;
        if losses(&since) > 0 {
            self.lost_at = look.at;
        }
        if storm.lost() == 0 {
            return;
        }
        storm.missing = storm.before.saturating_sub(held(&look.counts));
        storm.missing_most = storm.missing_most.max(storm.missing);
        let (missing, most, at) = (storm.missing, storm.missing_most, storm.watched);
        for (percent, since) in [
            (50, &mut storm.back_50),
            (90, &mut storm.back_90),
            (99, &mut storm.back_99),
            (100, &mut storm.back_100),
        ] {
            match missing * 100 <= most * (100 - percent) {
                true => *since = since.or(Some(at)),
                false => *since = None,
            }
        }
        self.curve.add(StormPoint {
            at,
            held: held(&look.counts),
            lost: losses(&since),
            attempted: since.attempted,
            established: since.established,
            failed: since.failed_in_all(),
        });
        self.rate(look);
    }

    /// The rate of new connections up to `look`.
    fn rate(&mut self, look: Look) {
        self.rates.push_back((look.at, look.counts.established));
        while self.rates.len() > 2 && self.rates[1].0 + RATE_OVER <= look.at {
            self.rates.pop_front();
        }
        let (from, established) = self.rates[0];
        let over = look.at.saturating_sub(from);
        if over >= RATE_OVER {
            let per_s = (look.counts.established - established) as f64 / over.as_secs_f64();
            self.storm.peak_per_s = self.storm.peak_per_s.max(per_s);
        }
    }

    fn is_over(&self) -> bool {
        let (storm, at) = (&self.storm, self.last.at);
        if storm.lost() == 0 {
            return !self.ordered || at >= storm.began + ORDERED;
        }
        let full = storm.back_100.map(|back| storm.began + back);
        full.is_some_and(|full| at >= full + CALM && at >= self.lost_at + CALM)
    }

    fn finish(mut self) -> Storm {
        self.storm.curve = self.curve.finish();
        self.storm
    }
}

/// The points of a storm, of which there are never many.
#[derive(Debug)]
struct Curve {
    points: Vec<StormPoint>,
    /// When the last of them begins.
    begun: Duration,
    finest: Duration,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve {
            points: Vec::new(),
            begun: Duration::ZERO,
            finest: FINEST,
        }
    }
}

impl Curve {
    fn add(&mut self, point: StormPoint) {
        self.put(point);
        if self.points.len() > MOST_POINTS {
            self.finest *= 2;
            let points = std::mem::take(&mut self.points);
            points.into_iter().for_each(|point| self.put(point));
        }
    }

    /// Appends a point, or joins it with the last one if both are within the finest stretch.
    fn put(&mut self, point: StormPoint) {
        match self.points.last_mut() {
            Some(last) if point.at <= self.begun + self.finest => {
                *last = StormPoint {
                    at: point.at,
                    held: point.held,
                    lost: last.lost + point.lost,
                    attempted: last.attempted + point.attempted,
                    established: last.established + point.established,
                    failed: last.failed + point.failed,
                };
            }
            last => {
                self.begun = last.map_or(Duration::ZERO, |last| last.at);
                self.points.push(point);
            }
        }
    }

    /// The points, without those after the last that says something.
    fn finish(mut self) -> Vec<StormPoint> {
        let same = |a: &StormPoint, b: &StormPoint| {
            a.held == b.held && b.lost + b.attempted + b.established + b.failed == 0
        };
        while let [.., before, last] = self.points.as_slice()
            && same(before, last)
        {
            self.points.pop();
        }
        self.points
    }
}

#[cfg(test)]
mod tests;
