//! The last minutes of a run, second by second, as the live view draws them.

use std::collections::VecDeque;
use std::time::Duration;
use throng_core::summary::{Phase, Snapshot};

/// Seconds that are kept: more than a terminal has columns.
const KEPT: usize = 300;

/// A second of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Second {
    /// Connections established, or accepted by a server.
    pub opened_per_s: f64,
    /// Messages sent.
    pub messages_per_s: f64,
    /// Answers, or where none are looked for, messages received.
    pub answers_per_s: f64,
    /// The 99th percentile of latency, in seconds; 0 if no answer was measured.
    pub p99_s: f64,
}

/// The last seconds of a run.
#[derive(Default)]
pub(super) struct History {
    seconds: VecDeque<Second>,
    /// When the next one begins.
    next: Duration,
}

impl History {
    /// Adds `snapshot`, if another second is over.
    pub fn add(&mut self, snapshot: &Snapshot) {
        if snapshot.elapsed < self.next {
            return;
        }
        let per_s = |n: u64| match snapshot.interval.as_secs_f64() {
            s if s > 0.0 => n as f64 / s,
            _ => 0.0,
        };
        let recent = &snapshot.recent;
        let opened = match snapshot.phase {
            Phase::Serving => recent.accepted,
            _ => recent.established,
        };
        let answers = match snapshot.now.questions {
            0 => recent.messages_received,
            _ => recent.answers,
        };
        self.seconds.push_back(Second {
            opened_per_s: per_s(opened),
            messages_per_s: per_s(recent.messages_sent),
            answers_per_s: per_s(answers),
            p99_s: snapshot.latency.map_or(0.0, |(_, p99)| p99.as_secs_f64()),
        });
        if self.seconds.len() > KEPT {
            self.seconds.pop_front();
        }
        self.next = Duration::from_secs(snapshot.elapsed.as_secs().saturating_add(1));
    }

    /// A value of each of the last `most` seconds, the earliest first.
    pub fn last(&self, most: usize, of: impl Fn(&Second) -> f64) -> Vec<f64> {
        let skipped = self.seconds.len().saturating_sub(most);
        self.seconds.iter().skip(skipped).map(of).collect()
    }
}
