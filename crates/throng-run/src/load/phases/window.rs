//! Searches that make storms instead of a hold: for the window over which connections have to come back, and for the most new
//! connections per second.

use super::Run;
use std::time::Duration;
use throng_core::human;
use throng_core::observer::Note;
use throng_core::record::{Mark, Phase, Storm};
use throng_core::storm::{ConnectRateSearch, ConnectRateTrial, LATE, WindowSearch, WindowTrial};
use throng_core::units::Rate;

/// The shares of attempts between which the rate is taken at which they were made.
const FEW_ATTEMPTS: f64 = 0.05;
const MOST_ATTEMPTS: f64 = 0.95;

/// A storm that was made, and what was seen meanwhile.
struct Made {
    storm: Storm,
    /// Connections that waited to be accepted when all had been opened, where that can be seen.
    waiting: Option<u64>,
    goes_on: bool,
}

impl Run<'_> {
    /// Makes storms until the smallest window is found over which all connections come back without a drop.
    pub(super) fn find_window(&mut self) -> Mark {
        let mut search = WindowSearch::default();
        while let Some(window) = search.next() {
            let Some(made) = self.storm_over(window, false).filter(|made| made.goes_on) else {
                break;
            };
            let trial = WindowTrial::of(window, &made.storm);
            search.tried(trial);
            self.watch.note(&Note::Trial(line(&trial)));
        }
        self.ending.window = Some(search.found());
        self.mark()
    }

    /// Makes storms until the most new connections per second are found that the server takes without a loss.
    pub(super) fn find_connect_rate(&mut self) -> Mark {
        let connections = self.asked;
        let mut search = ConnectRateSearch::of(connections, self.rate_bound());
        let sees = self.sees_what_waits();
        // What was measured while connections were opened for the first time.
        self.gathered();
        while let Some(window) = search.next() {
            let Some(made) = self.storm_over(window, sees).filter(|made| made.goes_on) else {
                break;
            };
            let connect = self.gathered().measured.connect;
            let counts = &made.storm.counts;
            let trial = ConnectRateTrial {
                due_per_s: (!window.is_zero()).then(|| connections as f64 / window.as_secs_f64()),
                attempted_per_s: attempted_per_s(&made.storm, connections),
                failed: counts.failed_in_all(),
                syns_dropped: made.storm.syns_dropped.unwrap_or(0),
                syns_retried: counts.syns_again,
                late: connect.longer_than(LATE),
                waiting: made.waiting,
                lost_again: made.storm.lost().saturating_sub(counts.dropped),
                missing: made.storm.missing,
            };
            search.tried(trial);
            let outcome = match trial.broke(connections) {
                Some(why) => why.words(),
                None => "clean",
            };
            let rate = human::rate(trial.attempted_per_s);
            self.watch
                .note(&Note::Trial(format!("opened at {rate}: {outcome}")));
        }
        self.ending.connect_rate = Some(Box::new(search.found()));
        self.mark()
    }

    /// The highest rate of new connections that is looked for, of this part of the run.
    fn rate_bound(&self) -> Option<Rate> {
        let most = self.scenario.connect.rate?;
        Some(self.scenario.shard.rate(most))
    }

    /// Resets all connections, has them come back over `window`, and waits until they are back. `None` if none was lost. `sees`:
    /// accept queues can be looked at.
    fn storm_over(&mut self, window: Duration, sees: bool) -> Option<Made> {
        let began = self.mark();
        let control = self.watch.control.clone();
        self.storming.drop_all(&began, &control, window);
        let until = began.at + window + self.patience();
        let opened = began.opened.attempted + self.asked;
        let mut waiting = None;
        let goes_on = loop {
            let (mark, goes_on) = self.step(Phase::Holding, None, Some(until));
            if sees && waiting.is_none() && mark.opened.attempted >= opened {
                waiting = Some(self.before.queued(mark.opened.open()));
            }
            if !goes_on || mark.at >= until || !self.storming.is_under_way() {
                break goes_on;
            }
        };
        Some(Made {
            storm: self.storming.take_last()?,
            waiting,
            goes_on,
        })
    }
}

/// Attempts per second of a storm after which `connections` came back: of those in the middle, as resetting them takes a while, and the
/// last ones may be attempts that are made again.
fn attempted_per_s(storm: &Storm, connections: u64) -> f64 {
    let of = |share: f64| connections as f64 * share;
    let (few, most) = (of(FEW_ATTEMPTS), of(MOST_ATTEMPTS));
    match (attempted_at(storm, few), attempted_at(storm, most)) {
        (Some(from), Some(to)) if to > from => (most - few) / (to - from),
        _ => storm.counts.attempted as f64 / storm.watched.as_secs_f64().max(1e-9),
    }
}

/// When so many attempts had been made, in seconds since the storm began; `None` if they were not.
fn attempted_at(storm: &Storm, attempts: f64) -> Option<f64> {
    let (mut since, mut before) = (0.0, 0.0);
    for point in &storm.curve {
        let (at, made) = (point.at.as_secs_f64(), point.attempted as f64);
        if made > 0.0 && before + made >= attempts {
            return Some(since + (at - since) * (attempts - before) / made);
        }
        (since, before) = (at, before + made);
    }
    None
}

/// What came of a storm, for people.
fn line(trial: &WindowTrial) -> String {
    let window = human::seconds(trial.window_ms as f64 / 1e3);
    let parts = [
        (trial.failed, "attempts failed"),
        (trial.syns_dropped, "SYNs dropped"),
        (trial.syns_retried, "SYNs retried"),
        (trial.lost_again, "lost again"),
        (trial.missing, "not back"),
    ];
    let parts = parts.into_iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = parts
        .map(|(n, what)| format!("{} {what}", human::count(n)))
        .collect();
    match parts.is_empty() {
        true => format!("window {window}: clean"),
        false => format!("window {window}: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng_core::record::StormPoint;

    #[test]
    fn the_rate_of_attempts_is_that_of_those_in_the_middle() {
        let point = |ms, attempted| StormPoint {
            at: Duration::from_millis(ms),
            attempted,
            ..StormPoint::default()
        };
        // Ten connections a millisecond after 40 ms in which they were reset, and one that is tried again much later.
        let storm = Storm {
            curve: vec![
                point(40, 0),
                point(60, 200),
                point(140, 800),
                point(1500, 1),
            ],
            watched: Duration::from_millis(2500),
            ..Storm::default()
        };
        let rate = attempted_per_s(&storm, 1000);
        assert!((rate - 10_000.0).abs() < 1.0, "{rate}");
        assert_eq!(attempted_per_s(&Storm::default(), 1000), 0.0);
    }
}
