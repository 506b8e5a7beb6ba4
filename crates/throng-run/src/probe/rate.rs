//! New flows per second that a path takes.

use super::near::{Missing, Near, Said};
use super::resetting;
use super::table::host;
use crate::{Failure, Stop};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::human;
use throng_core::probe::rate::{RateResult, Search, Trial};
use throng_core::units::Rate;

/// How long flows are opened at one rate.
const TRIAL: Duration = Duration::from_secs(3);
/// A SYN that was lost is sent again after a second (RFC 6298, 2.1). What is not up after more than that is lost.
const COMES_UP: Duration = Duration::from_millis(1500);
/// Between trials: what the path allows at once has to be there again.
const PAUSE: Duration = Duration::from_millis(500);
/// The least part of a trial whose own rate is told.
const WINDOW: Duration = Duration::from_millis(500);
/// Attempts at a rate while this host is disturbed.
const ATTEMPTS: usize = 4;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct FlowRate {
    /// The far end, or what leads to it.
    pub target: SocketAddr,
    /// A random number for this run.
    pub run: u64,
    /// The highest rate to try.
    pub up_to: Rate,
    /// How long an answer may take.
    pub within: Duration,
}

/// Finds the rate of new flows beyond which the path to a far end loses some. `tell` is given a line of progress per trial.
/// `None` if it was stopped before anything was known.
///
/// # Errors
/// There is no far end.
pub fn rate(
    asked: &FlowRate,
    stop: &Stop,
    tell: &mut dyn FnMut(&str),
) -> Result<Option<RateResult>, Failure> {
    let _ = throng_host::limits::raise_soft_to_hard();
    let mut near = Near::new(asked.run, stop)?;
    let began = Instant::now();
    let control = match near.greeted(asked.target, asked.within)? {
        Ok(greeted) => greeted.flow,
        Err(Missing::Stopped) => return Ok(None),
        Err(missing) => return Err(missing.of(asked.target, asked.within)),
    };
    let before = host(&mut near, control, asked.within)?;
    let (mut search, mut own_limit) = (Search::up_to(asked.up_to.get()), None);
    while let Some(rate) = search.next_rate()
        && own_limit.is_none()
        && !near.is_stopped()
    {
        let (tried, limit) = undisturbed(&mut near, asked.target, rate)?;
        own_limit = limit;
        if near.is_stopped() || own_limit.is_some() {
            break;
        }
        tell(&format!(
            "{}: {} of {} lost",
            human::rate(tried.achieved),
            human::count(tried.lost),
            human::count(tried.opened)
        ));
        search.tried(tried);
        let until = Instant::now() + PAUSE;
        while Instant::now() < until && !near.is_stopped() {
            near.wait(until)?;
        }
    }
    if search.trials() == 0 && own_limit.is_none() {
        return Ok(None);
    }
    let after = host(&mut near, control, asked.within)?;
    let drops = match (before, after) {
        (Some(before), Some(after)) => after.listen_drops.saturating_sub(before.listen_drops),
        _ => 0,
    };
    let took = began.elapsed().as_millis() as u64;
    let stopped = near.is_stopped();
    Ok(Some(RateResult::of(
        search, drops, own_limit, took, stopped,
    )))
}

/// A trial in which this host kept the rate, as far as a few attempts have one.
fn undisturbed(
    near: &mut Near,
    target: SocketAddr,
    rate: f64,
) -> Result<(Trial, Option<String>), Failure> {
    let mut tried = trial(near, target, rate)?;
    for _ in 1..ATTEMPTS {
        if !tried.0.is_late() || tried.1.is_some() || near.is_stopped() {
            break;
        }
        tried = trial(near, target, rate)?;
    }
    Ok(tried)
}

/// Opens flows at `rate`, and resets each that is up. Returns what came of them, and why no more could be opened.
fn trial(
    near: &mut Near,
    target: SocketAddr,
    rate: f64,
) -> Result<(Trial, Option<String>), Failure> {
    let wanted = (rate * TRIAL.as_secs_f64()).round().max(1.0) as u64;
    let began = Instant::now();
    let (mut opened, mut lost, mut waiting) = (0, 0, HashSet::new());
    let mut own_limit = None;
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut due = began;
    let mut last = began;
    let mut windows = [0u64; (TRIAL.as_millis() / WINDOW.as_millis()) as usize];
    while opened < wanted && own_limit.is_none() && !near.is_stopped() {
        if began.elapsed() > TRIAL {
            break;
        }
        if due <= Instant::now() {
            match near.open(target, None, None, &resetting()) {
                Ok(flow) => drop(waiting.insert(flow)),
                Err(e) => own_limit = Some(e.to_string()),
            }
            (opened, last) = (opened + 1, Instant::now());
            let window = (last - began).as_millis() / WINDOW.as_millis();
            if let Some(count) = windows.get_mut(window as usize) {
                *count += 1;
            }
            // A host that is late catches up by one flow at most: many at once would be lost to a limit that lets the rate pass.
            // The rate that it reaches is what counts.
            due = (due + interval).max(last - interval);
        }
        let until = due.max(Instant::now());
        lost += settle(near, &mut waiting, until)?;
    }
    let until = Instant::now() + COMES_UP;
    while !waiting.is_empty() && Instant::now() < until && !near.is_stopped() {
        lost += settle(near, &mut waiting, until)?;
    }
    lost += waiting.len() as u64;
    for flow in waiting {
        near.close(flow);
    }
    let seconds = (last - began).as_secs_f64();
    let achieved = match opened > 1 && seconds > 0.0 {
        true => (opened - 1) as f64 / seconds,
        false => rate,
    };
    let slowest = windows.iter().min().copied().unwrap_or_default() as f64;
    let trial = Trial {
        rate,
        achieved,
        // A flow more or less may fall into the next window.
        slowest: (slowest + 1.0) / WINDOW.as_secs_f64(),
        opened,
        lost,
    };
    Ok((trial, own_limit))
}

/// Waits for flows to come up, at most until `until`, and resets them. Returns how many were lost.
fn settle(near: &mut Near, waiting: &mut HashSet<u64>, until: Instant) -> Result<u64, Failure> {
    let mut lost = 0;
    for event in near.wait(until)? {
        if !waiting.remove(&event.flow) {
            continue;
        }
        let late = match event.said {
            Said::Up => near
                .info(event.flow)
                .is_none_or(|info| info.retransmitted > 0),
            _ => true,
        };
        lost += u64::from(late);
        near.close(event.flow);
    }
    Ok(lost)
}
