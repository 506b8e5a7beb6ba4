//! Which silences are tried, and the timeout that they show.

use crate::probe::wire::End;
use serde::Serialize;

/// The most silences that are tried at once from either end. With more seconds than this to search, the first pass is
/// coarser.
pub const MOST_SILENCES: u64 = 600;
/// Silences end in the middle of a second: timeouts are whole seconds, and a silence of just the timeout may go either way.
pub(super) const MIDDLE: u64 = 500;
/// Silences above the timeout, one after the other, that must have failed before it is believed.
const IN_A_ROW: usize = 3;
/// Once one end's timeout is known, the other's is waited for this many times as long.
const OTHER_END: u64 = 2;
/// And so much longer, milliseconds.
const OTHER_END_MORE_MS: u64 = 5_000;
/// Trials that contradict the others before nothing is concluded: a lost packet is retransmitted, so there are few.
const FEW: usize = 2;
/// Or this part of the trials.
const FEW_PART: usize = 20;
/// Who speaks after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// This end.
    Near,
    /// The far end.
    Far,
}

/// What became of a connection that was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What was said arrived.
    Answer,
    /// Nothing arrived in time.
    Silence,
    /// It ended here when it was spoken on.
    Ended(End),
    /// It ended here while it was silent, after this many milliseconds.
    EndedSilent(End, u64),
}

/// A connection that was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long it was silent before it was spoken on, or was to be, milliseconds.
    pub silence_ms: u64,
    /// What became of it.
    pub heard: Heard,
}

/// The silences to try to find a timeout of up to `up_to_s` seconds: those up to it, and as many above it as have to be lost before a
/// timeout is believed.
pub fn silences_up_to(up_to_s: u64) -> Vec<u64> {
    let step = step(up_to_s);
    let steps = 1..=up_to_s / step + IN_A_ROW as u64;
    steps.map(|n| n * step * 1000 - MIDDLE).collect()
}

/// The silences to try, milliseconds: from just above `from_s` seconds to just below `to_s`, a second apart or, where these
/// would be too many, more.
pub fn silences(from_s: u64, to_s: u64) -> Vec<u64> {
    let step = step(to_s.saturating_sub(from_s));
    let steps = 1..=to_s.saturating_sub(from_s) / step;
    steps.map(|n| (from_s + n * step) * 1000 - MIDDLE).collect()
}

/// Seconds between silences.
fn step(seconds: u64) -> u64 {
    seconds.div_ceil(MOST_SILENCES).max(1)
}

/// Where the trials of one end stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// The longest silence that was survived, milliseconds; 0 if none was.
    pub survived_ms: u64,
    /// The shortest that was not; `None` if all were survived.
    pub lost_ms: Option<u64>,
    /// Trials that contradict this.
    pub exceptions: usize,
}

impl Bracket {
    /// The bracket that the fewest of `trials` contradict.
    pub fn of(trials: &[Trial]) -> Bracket {
        let mut sorted = trials.to_vec();
        sorted.sort_unstable_by_key(|trial| trial.silence_ms);
        let answered = |trial: &&Trial| trial.heard == Heard::Answer;
        // Split before the nth: those from there on are lost.
        let above = sorted.iter().filter(answered).count();
        let (mut wrong, mut best) = (above, (above, 0));
        for (nth, trial) in sorted.iter().enumerate() {
            match trial.heard == Heard::Answer {
                true => wrong -= 1,
                false => wrong += 1,
            }
            // Of equal ones the longest silence: what is survived is survived.
            if wrong <= best.0 {
                best = (wrong, nth + 1);
            }
        }
        let (below, beyond) = sorted.split_at(best.1);
        let survived = below.iter().rfind(answered);
        let lost = beyond.iter().find(|trial| trial.heard != Heard::Answer);
        Bracket {
            survived_ms: survived.map_or(0, |trial| trial.silence_ms),
            lost_ms: lost.map(|trial| trial.silence_ms),
            exceptions: best.0,
        }
    }
}

/// Whether so many of the trials contradict any timeout that none is concluded.
pub(super) fn is_unsteady(exceptions: usize, trials: usize) -> bool {
    exceptions > FEW.max(trials / FEW_PART)
}

/// Whether the trials of an end show its timeout: the longest silences that are known, some in a row, were all lost.
fn shows_timeout(trials: &[Trial]) -> bool {
    let mut sorted = trials.to_vec();
    sorted.sort_unstable_by_key(|trial| trial.silence_ms);
    let lost = |trial: &&Trial| trial.heard != Heard::Answer;
    let in_a_row = sorted.iter().rev().take_while(lost).count();
    in_a_row >= IN_A_ROW
}

/// The shortest silence that was lost, milliseconds, if `trials` show a timeout: the longest ones, some in a row, were all lost, and
/// few contradict. `None` if they don't: a connection or two may be lost for another reason.
pub fn timeout_from(trials: &[Trial]) -> Option<u64> {
    let bracket = Bracket::of(trials);
    let steady = !is_unsteady(bracket.exceptions, trials.len());
    bracket.lost_ms.filter(|_| steady && shows_timeout(trials))
}

/// Whether more trials would tell nothing new. `left` are the trials of each end that are still under way, `elapsed_ms` is how
/// long the oldest has been silent.
pub fn is_settled(near: (&[Trial], usize), far: (&[Trial], usize), elapsed_ms: u64) -> bool {
    let known = |(trials, left): (&[Trial], usize)| left == 0 || shows_timeout(trials);
    let enough = |(trials, _): (&[Trial], usize)| {
        let lost = Bracket::of(trials)
            .lost_ms
            .filter(|_| shows_timeout(trials));
        lost.is_some_and(|lost| elapsed_ms > lost * OTHER_END + OTHER_END_MORE_MS)
    };
    match (known(near), known(far)) {
        (true, true) => true,
        (true, false) => enough(near),
        (false, true) => enough(far),
        (false, false) => false,
    }
}
