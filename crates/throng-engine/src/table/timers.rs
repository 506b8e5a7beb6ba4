//! Timers, and how long a worker may sleep.

use super::conn::{Fired, State};
use super::data::Table;
use std::time::Duration;
use throng_core::behaviour::Behaviour;
use throng_core::time::Time;

/// The timer of a connection.
#[inline]
fn timer_of<B: Behaviour>(index: u32) -> u32 {
    match B::PAIRS {
        true => index / 2,
        false => index,
    }
}

/// Which connection of a pair its timer is for: the partner while it is being opened, else the one that was accepted.
fn leg_of(timer: u32, state: impl Fn(u32) -> State) -> u32 {
    let (accepted, partner) = (2 * timer, 2 * timer + 1);
    match state(partner) {
        State::Connecting => partner,
        _ => accepted,
    }
}

/// The maximum number of timers that fire in one round of the loop, so that sockets are served in between.
const TIMERS_A_ROUND: usize = 256;
impl<B: Behaviour> Table<B> {
    /// Sets the timer of a connection, in place of what it was set to. The two of a pair have one. If either asks to be woken, the
    /// accepted connection is.
    #[inline]
    pub fn set_timer(&mut self, index: u32, at: Time) {
        self.wheel.set(timer_of::<B>(index), at);
    }

    /// Nothing happens at the time that a connection's timer was set to.
    #[inline]
    pub fn cancel_timer(&mut self, index: u32) {
        self.wheel.cancel(timer_of::<B>(index));
    }

    /// Adds timers that are due to `fired`, a bounded number at a time. While some are left, hardly any
    /// connection is opened: messages that are due go first.
    pub fn fire(&mut self, now: Time, fired: &mut Vec<Fired>) {
        let Table {
            wheel,
            conns,
            opener,
            ..
        } = self;
        let all = wheel.advance(now, TIMERS_A_ROUND, |timer| {
            let index = match B::PAIRS {
                true => leg_of(timer, |leg| conns[leg as usize].state),
                false => timer,
            };
            let conn = &mut conns[index as usize];
            match conn.state {
                State::Connecting | State::Early => fired.push(Fired::GiveUp(index)),
                State::Open => fired.push(Fired::Wake(index)),
                State::Waiting => match opener {
                    Some(o) if o.wants(index) => o.open_again(index),
                    _ => conn.state = State::Free,
                },
                State::Free => {}
            }
        });
        self.behind = !all;
    }

    /// How long the loop may sleep; `None`: until something happens. Shortly before an arrival it does not
    /// sleep at all.
    pub fn sleep(&mut self, now: Time) -> Option<Duration> {
        self.waiting.stays();
        if self.started.is_some()
            || self.waking.is_some()
            || self.leaving.is_some()
            || !self.dropping.is_empty()
            || self.shedding.is_some()
            || self.passed > 0
            || self.arrived > 0
            || self.behind
        {
            return Some(Duration::ZERO);
        }
        let opening = self.opener.as_ref().filter(|_| !self.stopped_opening());
        let arrival = self.behaviour.next_arrival();
        let until = self
            .wheel
            .next()
            .into_iter()
            .chain(opening.and_then(|o| o.next_look(now)))
            .chain(self.places.next_free())
            .chain(self.room.next())
            .chain(arrival.map(|at| self.waiting.until(at, now)))
            .min()?;
        if until <= now {
            std::hint::spin_loop();
        } else if arrival.is_some() {
            self.waiting.sleeps(until);
        }
        Some(until.since(now))
    }

    /// The loop's wait has ended, for any reason.
    pub fn woke(&mut self) {
        let clock = self.clock;
        self.waiting.woke(|| clock.now());
    }
}
