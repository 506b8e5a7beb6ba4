//! The run as the full screen shows it.

use super::heat::{Heat, KEPT};
use crate::human;
use std::collections::VecDeque;
use std::time::Duration;
use throng_core::expect::Latency;
use throng_core::observer::{Interval, Note};
use throng_core::record::Phase;
use throng_core::stats::{Durations, Tally};

/// How long rates are averaged.
const RECENT: Duration = Duration::from_secs(1);
/// Notes that are kept.
const NOTES: usize = 200;

/// The run as it is shown.
pub struct View {
    /// What runs.
    pub title: String,
    pub phase: Phase,
    pub elapsed: Duration,
    pub left: Option<Duration>,
    pub asked: Option<u64>,
    pub peak: u64,
    pub dialled_per_s: Option<f64>,
    /// The keys that do something, in words.
    pub keys: String,
    pub now: Tally,
    /// Counts of the last second, each with its time.
    pub counted: VecDeque<(Duration, Tally)>,
    /// Events per second, second by second.
    pub rates: VecDeque<Rates>,
    /// The latencies that the run measures.
    pub latencies: Vec<Timed>,
    pub heat: Heat,
    /// How many connections each limit allows, as far as it is known.
    pub limits: Vec<(String, u64)>,
    pub notes: VecDeque<String>,
}

/// Events per second in a second.
#[derive(Clone, Copy, Default)]
pub struct Rates {
    pub established: f64,
    pub sent: f64,
    pub answers: f64,
    pub bytes_sent: f64,
    pub bytes_received: f64,
}

/// A latency in the last second, and in the whole run.
pub struct Timed {
    pub name: &'static str,
    pub recent: Durations,
    pub all: Durations,
}

impl View {
    /// A run that is about to begin.
    pub fn new(title: String, latencies: &[Latency], keys: String) -> View {
        let timed = |latency: &Latency| Timed {
            name: latency.name,
            recent: Durations::default(),
            all: Durations::default(),
        };
        View {
            title,
            phase: Phase::Opening,
            elapsed: Duration::ZERO,
            left: None,
            asked: None,
            peak: 0,
            dialled_per_s: None,
            keys,
            now: Tally::default(),
            counted: VecDeque::from([(Duration::ZERO, Tally::default())]),
            rates: VecDeque::new(),
            latencies: latencies.iter().map(timed).collect(),
            heat: Heat::default(),
            limits: Vec::new(),
            notes: VecDeque::new(),
        }
    }

    /// Takes in an interval.
    pub fn interval(&mut self, interval: &Interval) {
        let now = interval.subject().now;
        (self.phase, self.elapsed, self.left) = (interval.phase, interval.to, interval.left);
        (self.asked, self.peak) = (interval.asked, interval.peak);
        self.dialled_per_s = interval.dialled_per_s;
        self.now = now;
        self.counted.push_back((interval.to, now));
        while self
            .counted
            .get(1)
            .is_some_and(|(at, _)| *at + RECENT <= interval.to)
        {
            self.counted.pop_front();
        }
        if let Some(measured) = interval.measured {
            for timed in &mut self.latencies {
                let named = measured.named().find(|(name, _)| *name == timed.name);
                timed.recent = named.map(|(_, all)| all.clone()).unwrap_or_default();
                timed.all.merge(&timed.recent);
            }
            let main = self.main_latency().map(|timed| timed.recent.clone());
            self.heat.push(&main.unwrap_or_default());
            let rates = self.rates();
            self.rates.push_back(rates);
            if self.rates.len() > KEPT {
                self.rates.pop_front();
            }
        }
    }

    /// The latency that is shown over time: of those that the run measures, the one that says most.
    pub fn main_latency(&self) -> Option<&Timed> {
        let first = ["response", "service", "marked", "connect"];
        let named = first.iter().find_map(|name| {
            let mut all = self.latencies.iter();
            all.find(|timed| timed.name == *name)
        });
        named.or(self.latencies.first())
    }

    /// Events per second in the last second.
    pub fn rates(&self) -> Rates {
        let (then, before) = self.counted.front().copied().unwrap_or_default();
        let recent = self.now.since(&before);
        let seconds = self.elapsed.saturating_sub(then).as_secs_f64();
        let per_s = |n: u64| {
            if seconds > 0.0 {
                n as f64 / seconds
            } else {
                0.0
            }
        };
        Rates {
            established: per_s(recent.established + recent.accepted),
            sent: per_s(recent.messages_sent),
            answers: per_s(recent.answers),
            bytes_sent: per_s(recent.bytes_sent),
            bytes_received: per_s(recent.bytes_received),
        }
    }

    /// Takes in a note.
    pub fn note(&mut self, note: &Note) {
        if let Note::Planned(planned) = note {
            let limits = planned.limits.iter();
            self.limits = limits
                .map(|(limit, n)| (limit.words().to_owned(), *n))
                .collect();
        }
        let text = match note {
            // One line says enough beside the limits themselves.
            Note::Planned(_) => note
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            note => note.to_string(),
        };
        let at = human::countdown(Duration::from_secs(self.elapsed.as_secs()));
        self.notes.push_back(format!("{at}  {text}"));
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }
}
