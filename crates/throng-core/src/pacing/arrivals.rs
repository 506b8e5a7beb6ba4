//! When the messages of the whole run are due, and which of them belong to one worker.
//!
//! All workers together send at one rate, which may follow a [`Profile`] and may change during the run. Each worker
//! calculates its own share without communicating with the others:
//!
//! - [`Spacing::Uniform`]: the messages of the run are evenly spaced (during a ramp, in proportion to the rate), and
//!   worker w of n takes messages w, w + n, w + 2n and so on; of an agent's [shard](crate::shard), those of the shard's messages.
//! - [`Spacing::Poisson`]: each worker has a Poisson process of its own with its part of the rate, and all of them together
//!   are a Poisson process with the whole rate. A rate that varies rescales time: a process with rate 1, drawn once
//!   from the seed, is laid along the integral of the rate.
//!
//! Both use the same arithmetic. A message has a position, counted in messages of the whole run, and is due when the
//! integral of the rate reaches it. Positions of uniform messages are whole numbers, those of a Poisson process have
//! exponential gaps.
//!
//! A change ([`Arrivals::set_rate`], [`Arrivals::append`]) takes effect at an instant that must be the same for all
//! workers. If it lies a little ahead, uniform messages of different workers stay evenly spaced through the change. A
//! worker that is late loses nothing: messages that were due are taken later, with the time at which they were due.

use super::profile::{Piece, Profile};
use super::ramp::{Curve, MESSAGE, Ramp, billionths, messages};
use crate::shard::WorkerShard;
use crate::split_mix::{SplitMix, mix};
use crate::time::Time;
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How the messages of the whole run are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Evenly.
    #[default]
    Uniform,
    /// At random and independent of each other, as requests of very many users are. The same seed gives the same times.
    Poisson {
        /// The random seed.
        seed: u64,
    },
}

/// One worker's share of the messages of the whole run. See the [module](self).
#[derive(Clone, Debug)]
pub struct Arrivals {
    positions: Positions,
    share: WorkerShard,
    /// The stretches that are not over, and the start of the first one. A stretch stays until its time is over, even
    /// without messages left: a later change may put some there.
    stretches: VecDeque<Ramp>,
    first: Begin,
    /// The index of the stretch with the next message (past the last one if there is none), and its start.
    present: usize,
    begin: Begin,
    /// When the last stretch ends.
    end: u64,
    /// Finds messages in the present stretch.
    curve: Curve,
    /// The next message; `None` if no stretch has one.
    next: Option<Time>,
    /// When the last message taken was due. A change can't make a message due before it.
    latest: u64,
}

/// The start of a stretch.
#[derive(Clone, Copy, Debug)]
struct Begin {
    time: u64,
    /// Parts of messages of the whole run that are due before it.
    before: u128,
}

impl Begin {
    /// The start of the stretch after `stretch`, which starts here.
    fn after(self, stretch: &Ramp) -> Begin {
        Begin {
            time: self.time.saturating_add(stretch.duration),
            before: self.before + stretch.total(),
        }
    }
}

/// The positions of this worker's messages, in messages of the whole run.
#[derive(Clone, Debug)]
enum Positions {
    Uniform {
        /// How many of its messages come before the next one.
        taken: u64,
        /// This worker's messages that are left in the present stretch, including the next one.
        left: u64,
        /// The position of the first of its messages there from the start of the stretch, or of the last of them from its
        /// end, whichever the curve needs. It is exact, so that rounding errors do not add up.
        origin: f64,
        /// The run's number of that message.
        base: u64,
    },
    Poisson {
        dice: SplitMix,
        /// The position of the next message.
        position: f64,
        /// The start and end of the present stretch.
        begin: f64,
        end: f64,
    },
}

impl Arrivals {
    /// The messages of `share`, at a constant rate of the whole run from `start` on.
    pub fn constant(rate: Rate, spacing: Spacing, start: Time, share: WorkerShard) -> Arrivals {
        let mut arrivals = Arrivals::idle(spacing, start, share);
        arrivals.set_rate(start, rate);
        arrivals
    }

    /// The messages of `share`, with the rate of the whole run from `profile`, which starts at `start`. After its end no
    /// message is due, unless a piece is [appended](Arrivals::append).
    pub fn profile(
        profile: &Profile,
        spacing: Spacing,
        start: Time,
        share: WorkerShard,
    ) -> Arrivals {
        let mut arrivals = Arrivals::idle(spacing, start, share);
        for piece in profile.pieces() {
            arrivals.push(piece.ramp());
        }
        arrivals.enter();
        arrivals
    }

    fn idle(spacing: Spacing, start: Time, share: WorkerShard) -> Arrivals {
        let begin = Begin {
            time: start.0,
            before: 0,
        };
        let positions = match spacing {
            Spacing::Uniform => Positions::Uniform {
                taken: 0,
                left: 0,
                origin: 0.0,
                base: 0,
            },
            Spacing::Poisson { seed } => {
                let mut dice = dice_of(seed, share);
                Positions::Poisson {
                    position: exponential(&mut dice) * share.times(),
                    dice,
                    begin: 0.0,
                    end: 0.0,
                }
            }
        };
        Arrivals {
            positions,
            share,
            stretches: VecDeque::new(),
            first: begin,
            present: 0,
            begin,
            end: start.0,
            curve: Curve::Steady { interval: 0.0 },
            next: None,
            latest: start.0,
        }
    }

    /// When the next message is due; `None` if there is none until the rate is changed or a piece appended.
    #[inline]
    pub fn next(&self) -> Option<Time> {
        self.next
    }

    /// When the last stretch ends; [`u64::MAX`] at a constant rate. The end of a profile is the end of the run.
    pub fn end(&self) -> Time {
        Time(self.end)
    }

    /// Takes at most `most` of the messages that are due by `now`: appends the times at which they were due to `due`,
    /// in order, and returns their number. The next call takes the rest.
    pub fn take(&mut self, now: Time, most: usize, due: &mut VecDeque<Time>) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(next) = self.next
            && next <= now
        {
            due.push_back(next);
            taken += 1;
            self.advance(next);
        }
        while self.present > 0
            && let Some(first) = self.stretches.front()
            && self.first.time.saturating_add(first.duration) <= now.0
        {
            self.first = self.first.after(first);
            self.stretches.pop_front();
            self.present -= 1;
        }
        taken
    }

    /// Writes off the messages that were due before `before` and were not taken, and returns their number. They count
    /// as unsent. This is for going on at another rate after one that could not be kept, without sending the backlog
    /// first.
    pub fn write_off(&mut self, before: Time) -> u64 {
        let mut messages = 0;
        while let Some(next) = self.next
            && next < before
        {
            messages += 1;
            self.advance(next);
        }
        messages
    }

    /// Sets the rate of the whole run to `rate` from `at` on, and drops the remaining pieces of a profile. `at` must be
    /// the same for all workers. Messages that were due before `at` and were not taken remain.
    pub fn set_rate(&mut self, at: Time, rate: Rate) {
        let at = self.cut(at);
        let mut begin = self.first.time;
        self.stretches.retain(|stretch| {
            let kept = begin < at;
            begin = begin.saturating_add(stretch.duration);
            kept
        });
        self.end = self.end.min(at);
        self.push_nothing_until(at);
        self.push(Ramp {
            duration: u64::MAX,
            from: billionths(rate.get()),
            to: billionths(rate.get()),
        });
        self.enter();
    }

    /// Adds a piece at the end. If the end was before `at`, no message is due until `at`, and the piece starts then: a
    /// line that arrives late starts late instead of causing a burst. `at` must be the same for all workers.
    pub fn append(&mut self, at: Time, piece: &Piece) {
        self.push_nothing_until(at.0);
        self.push(piece.ramp());
        self.enter();
    }

    /// Cuts the stretch at `at` in two, so that none extends across it. Returns `at`, or the start of the first stretch
    /// if that is later: stretches that are over do not change. The caller changes what follows and then calls
    /// [`Arrivals::enter`].
    fn cut(&mut self, at: Time) -> u64 {
        let at = at.0.max(self.first.time);
        let mut begin = self.first.time;
        for i in 0..self.stretches.len() {
            let stretch = self.stretches[i];
            let end = begin.saturating_add(stretch.duration);
            if begin < at && at < end {
                let (first, rest) = stretch.cut(at - begin);
                self.stretches[i] = first;
                self.stretches.insert(i + 1, rest);
                break;
            }
            begin = end;
        }
        self.present = 0;
        self.begin = self.first;
        at
    }

    fn push_nothing_until(&mut self, at: u64) {
        self.push(Ramp {
            duration: at.saturating_sub(self.end),
            from: 0,
            to: 0,
        });
    }

    fn push(&mut self, mut ramp: Ramp) {
        ramp.duration = ramp.duration.min(u64::MAX - self.end);
        if ramp.duration > 0 {
            self.end += ramp.duration;
            self.stretches.push_back(ramp);
        }
    }

    /// Finds the stretch with the next message, and prepares to iterate over its messages.
    fn enter(&mut self) {
        while let Some(stretch) = self.stretches.get(self.present) {
            let carries = stretch.total();
            self.curve = stretch.curve();
            let inside = match &mut self.positions {
                Positions::Uniform {
                    taken,
                    left,
                    origin,
                    base,
                } => {
                    let end = self.begin.before.saturating_add(carries);
                    let before_end = u64::try_from(end.div_ceil(MESSAGE)).unwrap_or(u64::MAX);
                    *left = self.share.below(before_end).saturating_sub(*taken);
                    if *left > 0 {
                        let from_the_end = self.curve.is_from_the_end();
                        let at = if from_the_end { *left - 1 } else { 0 };
                        *base = self.share.number(*taken + at);
                        let position = u128::from(*base) * MESSAGE;
                        *origin = messages(if from_the_end {
                            end - position
                        } else {
                            position.saturating_sub(self.begin.before)
                        });
                    }
                    *left > 0
                }
                Positions::Poisson {
                    position,
                    begin,
                    end,
                    ..
                } => {
                    *begin = messages(self.begin.before);
                    *end = messages(self.begin.before + carries);
                    *position < *end
                }
            };
            if inside {
                self.next = Some(self.due());
                return;
            }
            self.begin = self.begin.after(stretch);
            self.present += 1;
        }
        self.next = None;
    }

    /// When the next message is due. It lies in the present stretch.
    #[inline]
    fn due(&self) -> Time {
        let from_the_end = self.curve.is_from_the_end();
        let n = match self.positions {
            Positions::Uniform {
                taken,
                origin,
                base,
                ..
            } => origin + self.share.number(taken).abs_diff(base) as f64,
            Positions::Poisson { position, end, .. } if from_the_end => end - position,
            // Not below 0: rounding may have put it a little before.
            Positions::Poisson {
                position, begin, ..
            } => (position - begin).max(0.0),
        };
        let offset = (self.curve.offset(n) + 0.5) as u64;
        Time(self.begin.time.saturating_add(offset).max(self.latest))
    }

    /// Moves past the next message, which was due at `taken`.
    #[inline]
    fn advance(&mut self, taken: Time) {
        self.latest = taken.0;
        let inside = match &mut self.positions {
            Positions::Uniform { taken, left, .. } => {
                *taken += 1;
                *left -= 1;
                *left > 0
            }
            Positions::Poisson {
                dice,
                position,
                end,
                ..
            } => {
                *position += exponential(dice) * self.share.times();
                *position < *end
            }
        };
        if inside {
            self.next = Some(self.due());
        } else {
            self.enter();
        }
    }
}

/// The random numbers of one worker, from a place of their own in the generator's period of 2^64.
fn dice_of(seed: u64, share: WorkerShard) -> SplitMix {
    SplitMix(mix(seed ^ mix(share.key())))
}

/// An exponentially distributed number with mean 1, at most 36.8.
#[inline]
fn exponential(dice: &mut SplitMix) -> f64 {
    // In (0, 1]: 0 has no logarithm.
    let uniform = ((dice.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -uniform.ln()
}

#[cfg(test)]
#[path = "arrivals_tests.rs"]
mod tests;
