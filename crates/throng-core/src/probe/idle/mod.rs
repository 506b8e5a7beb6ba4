//! The idle timeout of a path: connections of which each is silent for another time and then spoken on, from this end or from
//! the far one. All of it is arithmetic over what became of them.

mod direction;
mod keepalives;
mod silences;
#[cfg(test)]
mod tests;
mod words;

use super::finding::{Finding, Kind};
use super::probed::{Outcome, Probed};
use super::wire::Fate;
use crate::human::{self, things};
use crate::section::{Row, Section, Tone};
pub use direction::{Direction, View};
use keepalives::renews;
pub use keepalives::{KeepaliveTrial, keepalives};
use serde::Serialize;
pub use silences::{
    Bracket, Heard, MOST_SILENCES, Speaker, Trial, is_settled, silences, silences_up_to,
    timeout_from,
};
use words::{expiry, keepalive, rounded, span, survived, timeouts, who};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Timeouts were looked for up to this many seconds.
    pub up_to_s: u64,
    /// Connections on which this end spoke.
    pub near: Vec<Trial>,
    /// Connections on which the far end spoke.
    pub far: Vec<Trial>,
    /// What the far end says of those that were lost, by who spoke.
    pub fates: Vec<(Speaker, Fate)>,
    /// Connections with keepalives.
    pub keepalives: Vec<KeepaliveTrial>,
    /// How long it took.
    pub took_ms: u64,
    /// It was ended before it was settled.
    pub interrupted: bool,
}

/// The idle timeout of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleResult {
    #[serde(flatten)]
    outcome: Outcome,
    up_to_s: u64,
    seconds: f64,
    interrupted: bool,
    /// After silences that this end broke.
    pub near: Direction,
    /// After silences that the far end broke.
    pub far: Direction,
    keepalives: Vec<KeepaliveTrial>,
    /// Whether TCP keepalives renew connections; null if that was not tried.
    pub keepalives_renew: Option<bool>,
    /// The interval that leaves room for a keepalive that is lost.
    pub keepalive_s: Option<u64>,
}

impl IdleResult {
    /// What `evidence` shows.
    pub fn of(evidence: Evidence) -> IdleResult {
        let fates = |speaker| -> Vec<Fate> {
            let of = evidence.fates.iter().filter(|(who, _)| *who == speaker);
            of.map(|(_, fate)| *fate).collect()
        };
        let near = Direction::of(Speaker::Near, &evidence.near, &fates(Speaker::Near));
        let far = Direction::of(Speaker::Far, &evidence.far, &fates(Speaker::Far));
        let timeout = [near.timeout_ms, far.timeout_ms]
            .into_iter()
            .flatten()
            .min();
        let renew = timeout.and_then(|timeout| renews(&evidence.keepalives, timeout));
        let keepalive_s = timeout.map(|timeout| (timeout / 2000).max(1));
        let mut findings = Vec::new();
        if evidence.interrupted {
            let text =
                "The probe was interrupted: what it says holds for the silences that were over.";
            findings.push(Finding::warning(Kind::Interrupted, text));
        }
        timeouts(&near, &far, &mut findings);
        for direction in [&near, &far] {
            expiry(direction, &mut findings);
        }
        if let (Some(renew), Some(every)) = (renew, keepalive_s) {
            findings.push(keepalive(renew, every));
        }
        if timeout.is_none() && !near.is_unsteady() && !far.is_unsteady() {
            let least = near.survived_ms.min(far.survived_ms);
            if let Some(least) = least {
                let text = format!(
                    "No idle timeout up to {}: connections that were silent for that long still carried data in both directions.",
                    survived(least)
                );
                findings.push(Finding::note(Kind::NoIdleTimeout, text));
            }
        }
        let steady = [&near, &far]
            .iter()
            .all(|d| !d.is_unsteady() && d.tried > 0);
        IdleResult {
            outcome: Outcome::new("idle", steady, findings),
            up_to_s: evidence.up_to_s,
            seconds: evidence.took_ms as f64 / 1000.0,
            interrupted: evidence.interrupted,
            near,
            far,
            keepalives: evidence.keepalives,
            keepalives_renew: renew,
            keepalive_s,
        }
    }
}

impl Probed for IdleResult {
    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn sections(&self) -> Vec<Section> {
        let of = |title, direction: &Direction| {
            let tone = match direction.timeout_ms {
                Some(_) => Tone::Odd,
                None => Tone::Plain,
            };
            let timeout = match direction.timeout_ms {
                Some(ms) => rounded(ms),
                None => "none found".to_owned(),
            };
            let shown = |ms: Option<u64>| ms.map_or("none".to_owned(), span);
            let exceptions = match direction.exceptions {
                0 => String::new(),
                n => format!(", {} contradict", human::count(n as u64)),
            };
            let tried = format!(
                "{} tried{exceptions}",
                things(direction.tried as u64, "connection")
            );
            let mut rows = vec![
                Row::new(tone, "timeout", timeout, tried),
                Row::new(
                    Tone::Plain,
                    "survived up to",
                    shown(direction.survived_ms),
                    "",
                ),
                Row::new(Tone::Plain, "lost from", shown(direction.lost_ms), ""),
            ];
            if let Some(here) = direction.here {
                let text = match (direction.speaker, here) {
                    (Speaker::Far, View::Silence) => "hears nothing",
                    (_, here) => here.text(),
                };
                rows.push(Row::new(Tone::Plain, "then this end", "", text));
            }
            if let Some(there) = direction.there {
                rows.push(Row::new(Tone::Plain, "and the far end", "", there.text()));
            }
            Section { title, rows }
        };
        let rows = self.keepalives.iter().map(|trial| {
            let value = if trial.survived { "survived" } else { "lost" };
            let note = format!(
                "TCP keepalives every {} s, then {} spoke",
                trial.interval_s,
                who(trial.speaker)
            );
            Row::new(Tone::Plain, "keepalives", value, note)
        });
        vec![
            of("This end speaks after a silence", &self.near),
            of("The far end speaks after a silence", &self.far),
            Section {
                title: "Keepalives",
                rows: rows.collect(),
            },
        ]
    }
}
