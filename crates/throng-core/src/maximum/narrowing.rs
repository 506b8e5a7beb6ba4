//! Narrows down the number that a server holds which closes connections to make room for new ones: while more are opened, the number
//! swings below its limit. The limit is the most that are held without any being closed, so numbers are tried one by one.

use super::seen::Seen;
use std::time::Duration;

/// How close the greatest number that stands and the least that does not have to be, as a part of it.
const PRECISION_PART: u64 = 400;
/// The first step beyond a number that stands, as a part of it.
const STEP_PART: u64 = 100;
/// The most numbers that are tried.
const TRIALS: u32 = 12;
/// What a server closes this soon after a number was tried, it closes because of the one before.
const BEFORE: Duration = Duration::from_millis(300);

/// Tries numbers of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Narrowing {
    /// The greatest number that stood.
    stood: u64,
    /// Whether that was tried.
    sure: bool,
    /// The least number at which connections were closed.
    broke: Option<u64>,
    trying: u64,
    step: u64,
    trials: u32,
    /// When it was begun to try this one, and how many connections had ended by then.
    since: Duration,
    ended: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is not known yet whether this number stands.
    Waits,
    /// Another number is to be held.
    Tries(u64),
    /// The number is known; `None` if none of those that were tried stood.
    Known(Option<u64>),
}

impl Narrowing {
    /// Of a server that held `stood` for a while, and `peak` for a moment.
    pub fn begin(stood: u64, peak: u64, seen: &Seen) -> Narrowing {
        Narrowing {
            stood,
            sure: false,
            broke: None,
            trying: peak,
            step: (stood / STEP_PART).max(1),
            trials: 1,
            since: seen.at,
            ended: seen.ended,
        }
    }

    /// Nothing is opened at `at`.
    pub fn pause(&mut self, at: Duration) {
        self.since = at;
    }

    /// Nothing was seen for this long.
    pub fn leave_out(&mut self, gap: Duration) {
        self.since += gap;
    }

    /// Takes note of what is seen, where `stood` have been held for a second since this number was begun to be tried. No number beyond
    /// `most` is tried; one that is not reached within `patience` does not stand.
    pub fn look(&mut self, seen: &Seen, stood: u64, most: u64, patience: Duration) -> Next {
        let took = seen.at.saturating_sub(self.since);
        if took < BEFORE {
            self.ended = seen.ended;
        }
        if seen.ended > self.ended || took >= patience {
            self.broke = Some(self.trying);
        } else if stood >= self.trying {
            (self.stood, self.sure) = (self.trying, true);
        } else {
            return Next::Waits;
        }
        let next = match self.broke {
            Some(broke) if broke <= self.stood + (self.stood / PRECISION_PART).max(1) => None,
            Some(broke) => Some(self.stood + (broke - self.stood) / 2),
            None => {
                let next = self.stood + self.step;
                self.step *= 2;
                Some(next)
            }
        };
        match next.filter(|next| *next <= most && self.trials < TRIALS) {
            Some(next) => {
                self.trying = next;
                self.trials += 1;
                (self.since, self.ended) = (seen.at, seen.ended);
                Next::Tries(next)
            }
            None => Next::Known(self.sure.then_some(self.stood)),
        }
    }
}
