//! The most new connections per second that a server takes: found by the search for the smallest window over which connections
//! come back, with more that may go wrong.

use super::window::{WindowEnding, WindowSearch, WindowTrial};
use crate::human::{self, count, things};
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A connection that took longer than this to open is late: a SYN that was lost takes a second.
pub const LATE: Duration = Duration::from_millis(500);
/// The share of connections that may wait to be accepted when all were opened: more, and the server did not keep up.
const WAITING: u64 = 50;
/// With less than this part of the rate, this host was too slow.
const KEPT: f64 = 0.9;

/// What came of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectRateTrial {
    /// New connections per second that were due; `None` if all were due at once.
    pub due_per_s: Option<f64>,
    /// Attempts per second that this host made.
    pub attempted_per_s: f64,
    /// Attempts that failed.
    pub failed: u64,
    /// SYNs and last segments of handshakes that listeners in this network namespace dropped.
    pub syns_dropped: u64,
    /// Connections that were established only after their SYN was sent again.
    pub syns_retried: u64,
    /// Connections that took longer than [`LATE`] to open.
    pub late: u64,
    /// Connections that waited to be accepted when all were opened, where that can be seen.
    pub waiting: Option<u64>,
    /// Connections that were lost again.
    pub lost_again: u64,
    /// Connections that were missing when it was given up.
    pub missing: u64,
}

/// What went wrong at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokeBy {
    /// Attempts failed.
    Failed,
    /// The listener dropped SYNs: its accept queue, or its SYN queue, was full.
    SynsDropped,
    /// SYNs had to be sent again: something dropped them.
    SynsRetried,
    /// The server did not accept connections as fast as they came: its accept queue grew.
    Waiting,
    /// Connections opened late.
    Late,
    /// Connections were lost again, or did not come back.
    Lost,
}

impl BrokeBy {
    /// What went wrong, for people.
    pub fn words(self) -> &'static str {
        match self {
            BrokeBy::Failed => "attempts failed",
            BrokeBy::SynsDropped => "the listener's queue was full and SYNs were dropped",
            BrokeBy::SynsRetried => "SYNs were lost and sent again",
            BrokeBy::Waiting => "the server accepted more slowly, and its accept queue grew",
            BrokeBy::Late => "connections opened late",
            BrokeBy::Lost => "connections were lost again",
        }
    }
}

impl ConnectRateTrial {
    /// What went wrong of `of` connections; `None` if nothing did.
    pub fn broke(&self, of: u64) -> Option<BrokeBy> {
        let waiting = self.waiting.unwrap_or(0) > of / WAITING;
        let all = [
            (self.missing + self.lost_again > 0, BrokeBy::Lost),
            (self.syns_dropped > 0, BrokeBy::SynsDropped),
            (self.failed > 0, BrokeBy::Failed),
            (self.syns_retried > 0, BrokeBy::SynsRetried),
            (waiting, BrokeBy::Waiting),
            (self.late > 0, BrokeBy::Late),
        ];
        all.into_iter().find(|(is, _)| *is).map(|(_, why)| why)
    }

    /// Whether this host kept the rate that was due.
    pub fn is_kept(&self) -> bool {
        self.due_per_s
            .is_some_and(|due| self.attempted_per_s >= due * KEPT)
    }
}

/// How a search for a rate of new connections ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectRateEnding {
    /// The highest rate is known, to 10 %, and confirmed.
    Found,
    /// As many as the user allowed were without a loss.
    Bound,
    /// This host opened all without a loss as fast as it could: what the server takes is not known.
    Client,
    /// No rate was without a loss.
    None,
    /// After a rate not all connections came back.
    NotRecovered,
    /// The run ended before.
    Unfinished,
}

/// The most new connections per second that a server takes, as a run found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectRate {
    /// How the search ended.
    pub ending: ConnectRateEnding,
    /// How many connections were opened at each rate.
    pub connections: u64,
    /// The highest rate without a loss, as this host truly opened them; `None` if there was none.
    pub per_s: Option<f64>,
    /// The lowest higher rate at which something was lost; `None` if there was none.
    pub broke_per_s: Option<f64>,
    /// What went wrong there.
    pub broke_by: Option<BrokeBy>,
    /// All that were tried, in the order of time.
    pub tried: Vec<ConnectRateTrial>,
    /// The result as a sentence for people.
    pub words: String,
}

/// The search: asked for the window over which the next trial opens its connections, and told what came of it.
#[derive(Debug)]
pub struct ConnectRateSearch {
    connections: u64,
    /// The highest rate that is tried; `None` for all at once.
    most: Option<Rate>,
    search: WindowSearch,
    tried: Vec<(Duration, ConnectRateTrial)>,
}

impl ConnectRateSearch {
    /// A search that opens this many connections at each rate, and tries none above `most`.
    pub fn of(connections: u64, most: Option<Rate>) -> ConnectRateSearch {
        let least = most.map_or(0.0, |most| connections as f64 / most.get());
        // Up to the next millisecond, so that it is not exceeded.
        let least = Duration::from_millis((least * 1e3).ceil() as u64);
        ConnectRateSearch {
            connections,
            most,
            search: WindowSearch::from(least),
            tried: Vec::new(),
        }
    }

    /// The window over which connections are opened next; `None` once the search is over.
    pub fn next(&self) -> Option<Duration> {
        self.search.next()
    }

    /// What came of the window that [`next`](ConnectRateSearch::next) says.
    pub fn tried(&mut self, trial: ConnectRateTrial) {
        let Some(window) = self.next() else {
            return;
        };
        self.search.tried(WindowTrial {
            window_ms: window.as_millis() as u64,
            failed: u64::from(trial.broke(self.connections).is_some()),
            missing: trial.missing,
            ..WindowTrial::default()
        });
        self.tried.push((window, trial));
    }

    /// What was found, so far.
    pub fn found(self) -> ConnectRate {
        let (connections, most) = (self.connections, self.most);
        let found = self.search.found();
        let of = |ms: u64| {
            let window = Duration::from_millis(ms);
            let all = self.tried.iter().filter(move |(at, _)| *at == window);
            all.map(|(_, trial)| trial)
        };
        let held = found.held_ms.map(of).into_iter().flatten();
        let held: Vec<&ConnectRateTrial> =
            held.filter(|t| t.broke(connections).is_none()).collect();
        // As slow as in the slowest of the trials that confirm it.
        let per_s = held
            .iter()
            .map(|trial| trial.attempted_per_s)
            .min_by(f64::total_cmp);
        let is_kept = !held.is_empty() && held.iter().all(|trial| trial.is_kept());
        let broke: Vec<&ConnectRateTrial> = found.broke_ms.map(of).into_iter().flatten().collect();
        let broke = broke
            .iter()
            .rfind(|trial| trial.broke(connections).is_some());
        let ending = match found.ending {
            WindowEnding::Found if is_kept => ConnectRateEnding::Found,
            WindowEnding::NoneNeeded if is_kept && most.is_some() => ConnectRateEnding::Bound,
            WindowEnding::Found | WindowEnding::NoneNeeded => ConnectRateEnding::Client,
            WindowEnding::NoneHeld => ConnectRateEnding::None,
            WindowEnding::NotRecovered => ConnectRateEnding::NotRecovered,
            WindowEnding::Unfinished => ConnectRateEnding::Unfinished,
        };
        let mut result = ConnectRate {
            ending,
            connections,
            per_s,
            broke_per_s: broke.map(|trial| trial.attempted_per_s),
            broke_by: broke.and_then(|trial| trial.broke(connections)),
            tried: self.tried.iter().map(|(_, trial)| *trial).collect(),
            words: String::new(),
        };
        result.words = result.worded(most);
        result
    }
}

impl ConnectRate {
    /// Whether there is an answer.
    pub fn is_found(&self) -> bool {
        matches!(
            self.ending,
            ConnectRateEnding::Found | ConnectRateEnding::Bound
        )
    }

    fn worded(&self, most: Option<Rate>) -> String {
        let per_s =
            |rate: f64| format!("{} new connections per second", count(rate.round() as u64));
        let held = self.per_s.map(per_s).unwrap_or_default();
        let all = things(self.connections, "connection");
        let broke = match (self.broke_per_s, self.broke_by) {
            (Some(rate), Some(why)) => format!(": at {} {}", human::rate(rate), why.words()),
            _ => String::new(),
        };
        let trials = things(self.tried.len() as u64, "trial");
        match self.ending {
            ConnectRateEnding::Found => {
                format!("At most {held} without a loss{broke}; {trials} of {all}")
            }
            ConnectRateEnding::Bound => {
                let bound = most.map_or(0.0, Rate::get).round() as u64;
                format!(
                    "No loss at {}, as many as max:{bound} allows; {trials} of {all}",
                    per_s(self.per_s.unwrap_or_default().min(bound as f64))
                )
            }
            ConnectRateEnding::Client => format!(
                "This client can't find out how many more than {held} the target takes: it opened {all} no faster, and none \
                 was lost. Use more connections (-c), more cores, or a fleet"
            ),
            ConnectRateEnding::None => {
                format!("No rate of new connections was without a loss{broke}")
            }
            ConnectRateEnding::NotRecovered => {
                format!("Not all of {all} came back, so no rate of new connections is known{broke}")
            }
            ConnectRateEnding::Unfinished => format!(
                "The search for the most new connections per second did not finish, after {trials}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u64 = 10_000;

    /// A server that accepts so many per second and has room for some in its queue; a client that opens at most `own`.
    fn search(accepts: f64, room: f64, own: f64) -> ConnectRate {
        search_to(None, accepts, room, own)
    }

    /// The same, up to a rate.
    fn search_to(most: Option<f64>, accepts: f64, room: f64, own: f64) -> ConnectRate {
        let most = most.and_then(Rate::per_second);
        let mut search = ConnectRateSearch::of(N, most);
        while let Some(window) = search.next() {
            let due = (!window.is_zero()).then(|| N as f64 / window.as_secs_f64());
            let attempted = due.unwrap_or(f64::MAX).min(own);
            let waiting = (N as f64 * (1.0 - accepts / attempted)).max(0.0);
            search.tried(ConnectRateTrial {
                due_per_s: due,
                attempted_per_s: attempted,
                syns_dropped: (waiting - room).max(0.0) as u64,
                waiting: Some(waiting.min(room) as u64),
                ..ConnectRateTrial::default()
            });
            assert!(search.tried.len() < 60);
        }
        search.found()
    }

    #[test]
    fn the_rate_at_which_a_server_accepts_is_found_to_ten_per_cent_and_what_goes_wrong_beyond() {
        for (accepts, room, why) in [
            (2000.0, 128.0, BrokeBy::SynsDropped),
            (2000.0, 4096.0, BrokeBy::Waiting),
            (15_000.0, 0.0, BrokeBy::SynsDropped),
        ] {
            let found = search(accepts, room, 1e6);
            assert_eq!(found.ending, ConnectRateEnding::Found, "{found:?}");
            let per_s = found.per_s.expect("one held");
            assert!(
                (accepts * 0.89..=accepts * 1.03).contains(&per_s),
                "{found:?}"
            );
            assert!(found.broke_per_s.is_some_and(|broke| broke > per_s));
            assert_eq!(found.broke_by, Some(why), "{found:?}");
            assert!(found.words.contains(why.words()), "{}", found.words);
        }
    }

    #[test]
    fn a_bound_is_not_exceeded_and_is_the_answer_if_nothing_is_lost_there() {
        let found = search_to(Some(5000.0), 15_000.0, 0.0, 1e6);
        assert_eq!(found.ending, ConnectRateEnding::Bound, "{found:?}");
        assert!(found.is_found() && found.tried.len() == 3, "{found:?}");
        let fastest = found.tried.iter().map(|t| t.attempted_per_s);
        assert_eq!(fastest.fold(0.0, f64::max), 5000.0);
        assert!(
            found.words.contains("as many as max:5000 allows"),
            "{}",
            found.words
        );
        // Below the bound it is as without.
        let found = search_to(Some(40_000.0), 2000.0, 128.0, 1e6);
        assert_eq!(found.ending, ConnectRateEnding::Found, "{found:?}");
        // A client that does not get there has no answer.
        let found = search_to(Some(50_000.0), 1e9, 0.0, 30_000.0);
        assert_eq!(found.ending, ConnectRateEnding::Client, "{found:?}");
    }

    #[test]
    fn what_this_client_could_not_open_faster_is_no_answer() {
        let found = search(1e9, 0.0, 30_000.0);
        assert_eq!(found.ending, ConnectRateEnding::Client, "{found:?}");
        assert_eq!(found.per_s, Some(30_000.0));
        assert!(
            found
                .words
                .contains("can't find out how many more than 30,000")
        );
        // A window that held, but in which the rate was not kept.
        let found = search(21_000.0, 0.0, 20_000.0);
        assert_eq!(found.ending, ConnectRateEnding::Client, "{found:?}");
    }

    #[test]
    fn a_search_that_is_not_over_or_finds_nothing_says_so() {
        let unfinished = ConnectRateSearch::of(N, None).found();
        assert_eq!(unfinished.ending, ConnectRateEnding::Unfinished);
        let mut search = ConnectRateSearch::of(N, None);
        search.tried(ConnectRateTrial {
            missing: 4,
            ..ConnectRateTrial::default()
        });
        let found = search.found();
        assert_eq!(found.ending, ConnectRateEnding::NotRecovered);
        assert!(
            found
                .words
                .contains("Not all of 10,000 connections came back")
        );
    }
}
