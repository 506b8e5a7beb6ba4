//! What silences show that one of the ends breaks: their timeout, and what both ends notice at expiry.

use super::silences::{Bracket, Heard, Speaker, Trial, is_unsteady, timeout_from};
use crate::probe::wire::{End, Fate, State};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What an end notices of a connection that the path has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Nothing at all: as if the connection were there.
    Nothing,
    /// What it sent is not answered, or not acknowledged.
    Silence,
    /// An RST, when it was spoken on.
    Reset,
    /// A FIN, when it was spoken on.
    Closed,
    /// An RST while it was silent.
    ResetSilent,
    /// A FIN while it was silent.
    ClosedSilent,
    /// Its kernel gave up.
    TimedOut,
    /// The host could not go on.
    Failed,
    /// Not known: another server answered, or it has forgotten the connection.
    Unknown,
}

impl View {
    /// This end's.
    fn here(heard: Heard) -> Option<View> {
        Some(match heard {
            Heard::Answer => return None,
            Heard::Silence => View::Silence,
            Heard::Ended(End::Reset) => View::Reset,
            Heard::Ended(End::Closed) => View::Closed,
            Heard::EndedSilent(End::Reset, _) => View::ResetSilent,
            Heard::EndedSilent(End::Closed, _) => View::ClosedSilent,
            Heard::Ended(End::TimedOut) | Heard::EndedSilent(End::TimedOut, _) => View::TimedOut,
            Heard::Ended(End::Failed) | Heard::EndedSilent(End::Failed, _) => View::Failed,
        })
    }

    /// The far end's, of a connection on which it said something or not.
    fn there(fate: &Fate) -> View {
        let spoke = fate.said > 0;
        match fate.state {
            State::Open if spoke && fate.unacknowledged > 0 => View::Silence,
            State::Open => View::Nothing,
            State::Ended(End::Reset) if spoke => View::Reset,
            State::Ended(End::Closed) if spoke => View::Closed,
            State::Ended(End::Reset) => View::ResetSilent,
            State::Ended(End::Closed) => View::ClosedSilent,
            State::Ended(End::TimedOut) => View::TimedOut,
            State::Ended(End::Failed) => View::Failed,
            State::ClosedHere | State::Unknown => View::Unknown,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            View::Nothing => "notices nothing",
            View::Silence => "gets no answer",
            View::Reset => "is reset (RST) when it speaks",
            View::Closed => "gets a FIN when it speaks",
            View::ResetSilent => "is reset (RST) at that time",
            View::ClosedSilent => "gets a FIN at that time",
            View::TimedOut => "gives up after retransmissions",
            View::Failed => "fails by itself",
            View::Unknown => "is not known",
        }
    }
}

/// The most frequent of several.
fn most<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counted: BTreeMap<T, usize> = BTreeMap::new();
    for one in all {
        *counted.entry(one).or_default() += 1;
    }
    let most = counted.into_iter().max_by_key(|(_, n)| *n);
    most.map(|(one, _)| one)
}

fn as_seconds<S: Serializer>(ms: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ms {
        Some(ms) => serializer.serialize_some(&(*ms as f64 / 1000.0)),
        None => serializer.serialize_none(),
    }
}

/// What was found out about silences after which one end speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Who speaks.
    pub speaker: Speaker,
    /// Connections whose fate is known.
    pub tried: usize,
    /// The longest silence that was survived.
    #[serde(rename = "survived_s", serialize_with = "as_seconds")]
    pub survived_ms: Option<u64>,
    /// The shortest that was not.
    #[serde(rename = "lost_s", serialize_with = "as_seconds")]
    pub lost_ms: Option<u64>,
    /// The timeout: when connections ended while they were silent, or the middle between survived and lost.
    #[serde(rename = "timeout_s", serialize_with = "as_seconds")]
    pub timeout_ms: Option<u64>,
    /// Trials that contradict this.
    pub exceptions: usize,
    /// What this end notices at expiry.
    pub here: Option<View>,
    /// What the far end notices.
    pub there: Option<View>,
}

impl Direction {
    /// What `trials` show, and the far end says of those that were lost.
    pub(super) fn of(speaker: Speaker, trials: &[Trial], fates: &[Fate]) -> Direction {
        let bracket = Bracket::of(trials);
        let lost = bracket.lost_ms;
        let beyond = trials
            .iter()
            .filter(|trial| lost.is_some_and(|lost| trial.silence_ms >= lost));
        let mut ended: Vec<u64> = beyond
            .clone()
            .filter_map(|trial| match trial.heard {
                Heard::EndedSilent(_, after) => Some(after),
                _ => None,
            })
            .collect();
        ended.sort_unstable();
        let here = most(beyond.filter_map(|trial| View::here(trial.heard)));
        let timeout = match (here, ended.get(ended.len() / 2)) {
            (Some(View::ResetSilent | View::ClosedSilent), Some(after)) => Some(*after),
            _ => lost.map(|lost| u64::midpoint(bracket.survived_ms, lost)),
        };
        Direction {
            speaker,
            tried: trials.len(),
            survived_ms: (bracket.survived_ms > 0).then_some(bracket.survived_ms),
            lost_ms: lost,
            timeout_ms: timeout.filter(|_| timeout_from(trials).is_some()),
            exceptions: bracket.exceptions,
            here,
            there: most(fates.iter().map(View::there)),
        }
    }

    pub(super) fn is_unsteady(&self) -> bool {
        is_unsteady(self.exceptions, self.tried)
    }
}
