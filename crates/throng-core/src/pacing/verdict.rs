//! What one measurement says about a rate, and what several say together.

use super::search::{Limit, Observation};
use std::time::Duration;

/// Latency is too close to the bound to tell from one measurement if it is above this share of it, or
/// over it by less than the factor after that. Percentiles of a second near a server's capacity scatter
/// so much, more upwards than downwards, since queues do.
const CLOSE_UNDER: f64 = 0.8;
const CLOSE_OVER: f64 = 2.0;
/// How much of what was due may be missing in a measurement: the sender's own hiccups are not the server's
/// limit.
const SHORTFALL: f64 = 0.01;
/// The most of what was due that may count as still on its way.
const MOST_ON_THEIR_WAY: f64 = 0.2;
/// Counting begins and ends between messages.
const EDGES: f64 = 3.0;
/// So many measurements must say that a rate at the end of the bracket holds, or breaks, unless the majority
/// of [`MOST_VOTES`] decides. More for the latter: a hiccup makes a rate look bad, none makes one look good.
const CONFIRM_HELD: u32 = 2;
const CONFIRM_BROKE: u32 = 3;
const MOST_VOTES: u32 = 5;
/// The odds that a measurement is right: clear of the bound 19 in 20, close to it 3 in 4. Where measurements
/// disagree the rate is close to the limit, so all of them count as close.
const CLEAR_ODDS: f64 = 19.0;
const CLOSE_ODDS: f64 = 3.0;

/// What one measurement says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// What broke; `None` if the rate held.
    pub broke: Option<Limit>,
    /// Whether it was too close to tell.
    pub close: bool,
}

/// Reads what was `seen` in `measured`, against `bound`. Held with fewer than `samples` samples counts as
/// close.
pub(super) fn read(
    seen: &Observation,
    bound: Duration,
    measured: Duration,
    samples: f64,
) -> Reading {
    let seconds = measured.as_secs_f64().max(1e-9);
    // As many as the bound allows may be on their way when counting begins or ends (Little's law). With a bound
    // longer than the measurement that could be all.
    let share = (bound.as_secs_f64() / seconds).min(MOST_ON_THEIR_WAY);
    let on_their_way = seen.asked_per_s * share + EDGES / seconds;
    let missing = |had: f64, wanted: f64| had < wanted * (1.0 - SHORTFALL) - on_their_way;
    let broke = |limit, close| Reading {
        broke: Some(limit),
        close,
    };
    let Some(latency) = seen.latency else {
        return broke(
            Limit::Answers,
            seen.samples == 0 && seen.sent_per_s * seconds < 1.0,
        );
    };
    let ratio = latency.as_secs_f64() / bound.as_secs_f64().max(1e-9);
    if ratio > 1.0 {
        return broke(Limit::Latency, ratio < CLOSE_OVER);
    }
    if missing(seen.sent_per_s, seen.asked_per_s) {
        return broke(Limit::Sending, false);
    }
    if missing(seen.answered_per_s, seen.sent_per_s) {
        return broke(Limit::Answers, false);
    }
    Reading {
        broke: None,
        close: ratio > CLOSE_UNDER || (seen.samples as f64) < samples,
    }
}

/// What the measurements of one rate said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Votes {
    held: u32,
    broke: u32,
    held_close: u32,
    broke_close: u32,
}

impl Votes {
    pub fn add(&mut self, reading: &Reading) {
        let close = u32::from(reading.close);
        if reading.broke.is_some() {
            self.broke += 1;
            self.broke_close += close;
        } else {
            self.held += 1;
            self.held_close += close;
        }
    }

    /// Whether no further measurement is needed for now: it held clearly at once, or two agree.
    pub fn decided(&self) -> bool {
        self.held() || self.broke()
    }

    /// Whether the rate holds.
    pub fn held(&self) -> bool {
        self.held > self.broke && (self.held >= 2 || self.broke == 0 && self.held_close == 0)
    }

    /// Whether the rate breaks.
    pub fn broke(&self) -> bool {
        self.broke > self.held && self.broke >= 2
    }

    /// Whether all measurements, one at least, broke, and none was close.
    pub fn clearly_broke(&self) -> bool {
        self.held == 0 && self.broke > self.broke_close
    }

    /// Whether it was measured often enough to be an end of the bracket.
    pub fn is_confirmed(&self) -> bool {
        self.held >= CONFIRM_HELD && self.held()
            || self.broke >= CONFIRM_BROKE && self.broke()
            || self.held + self.broke >= MOST_VOTES
    }

    /// The probability that the rate holds, if before the first measurement it was as likely as not, and
    /// each measurement is right with the odds above.
    pub fn held_for_sure(&self) -> f64 {
        let agree = self.held == 0 || self.broke == 0;
        let weight = |all: u32, close: u32| {
            let clear = if agree { all - close } else { 0 };
            f64::from(clear) * CLEAR_ODDS.ln() + f64::from(all - clear) * CLOSE_ODDS.ln()
        };
        let log_odds = weight(self.held, self.held_close) - weight(self.broke, self.broke_close);
        1.0 / (1.0 + (-log_odds).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(asked: f64, sent: f64, answered: f64, ms: f64) -> Reading {
        let observation = Observation {
            asked_per_s: asked,
            sent_per_s: sent,
            answered_per_s: answered,
            latency: (ms > 0.0).then(|| Duration::from_secs_f64(ms / 1e3)),
            samples: answered as u64,
        };
        read(
            &observation,
            Duration::from_millis(10),
            Duration::from_secs(1),
            200.0,
        )
    }

    #[test]
    fn a_bound_longer_than_the_measurement_does_not_excuse_everything() {
        let seen = Observation {
            asked_per_s: 1e8,
            sent_per_s: 1e5,
            answered_per_s: 1e5,
            latency: Some(Duration::from_millis(500)),
            samples: 100_000,
        };
        let bound = Duration::from_secs(2);
        let reading = read(&seen, bound, Duration::from_secs(1), 200.0);
        assert_eq!(reading.broke, Some(Limit::Sending));
    }

    #[test]
    fn a_measurement_is_read_for_what_it_says() {
        for (reading, broke, close) in [
            (seen(1e4, 1e4, 1e4, 2.0), None, false),
            (seen(1e4, 1e4, 1e4, 9.0), None, true),
            (seen(1e4, 1e4, 1e4, 11.0), Some(Limit::Latency), true),
            (seen(1e4, 1e4, 1e4, 40.0), Some(Limit::Latency), false),
            (seen(1e4, 9e3, 9e3, 2.0), Some(Limit::Sending), false),
            (seen(1e4, 1e4, 9e3, 2.0), Some(Limit::Answers), false),
            (seen(1e4, 1e4, 0.0, 0.0), Some(Limit::Answers), false),
            // A few are missing at the edges of what was counted; so few samples do not say much.
            (seen(100.0, 96.0, 92.0, 2.0), None, true),
        ] {
            assert_eq!(reading, Reading { broke, close });
        }
    }

    #[test]
    fn two_of_three_decide_and_one_that_held_clearly() {
        let (held, broke) = (seen(1e4, 1e4, 1e4, 2.0), seen(1e4, 1e4, 1e4, 40.0));
        let close = seen(1e4, 1e4, 1e4, 9.0);
        for (readings, has_held, has_broken) in [
            (&[held][..], true, false),
            (&[close], false, false),
            (&[close, close], true, false),
            (&[broke], false, false),
            (&[broke, broke], false, true),
            (&[broke, held], false, false),
            (&[broke, held, held], true, false),
            (&[close, broke, broke], false, true),
        ] {
            let mut votes = Votes::default();
            readings.iter().for_each(|r| votes.add(r));
            assert_eq!(
                (votes.held(), votes.broke()),
                (has_held, has_broken),
                "{readings:?}"
            );
            let sure = votes.held_for_sure();
            assert!(!has_held || sure > 0.7, "{readings:?} {sure}");
            assert!(!has_broken || sure < 0.3, "{readings:?} {sure}");
        }
    }
}
