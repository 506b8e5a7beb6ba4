//! The result of a search for a rate.

use super::terms::Terms;
use crate::human;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What limited the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Latency exceeded the bound.
    Latency,
    /// Fewer messages were sent than were due: this client or the path is the limit.
    Sending,
    /// Fewer answers were received than messages were sent.
    Answers,
    /// Answers were received, but not all were what was asked for: an error's, or of other content.
    Unwanted,
    /// Not all connections could be opened, or they did not stay open.
    Connections,
    /// Attempts, connections or answers failed, where none may.
    Failures,
}

impl Limit {
    /// What broke, for people.
    pub fn words(self) -> &'static str {
        match self {
            Limit::Latency => "latency exceeded the bound",
            Limit::Sending => "not all messages were sent, so this client or the path is the limit",
            Limit::Answers => "not all messages were answered",
            Limit::Unwanted => "not all answers were as expected",
            Limit::Connections => "not all connections could be held",
            Limit::Failures => "attempts, connections or answers failed",
        }
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The rate is known within the tolerance.
    Found,
    /// The time was over before the range was within the tolerance.
    Unsure,
    /// The highest rate allowed held: the limit is this client's, or the user's.
    NeverBroke,
    /// The lowest rate allowed broke.
    AlwaysBroke,
    /// After a rate that broke, latency stayed over the bound, even at a low rate.
    NotRecovered,
    /// The time was over before there was a range.
    Unfinished,
}

/// The probability, or more, with which the rate lies in the range of a [`Found`].
pub const CONFIDENCE: f64 = 0.9;

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// How it ended.
    pub ending: Ending,
    /// The highest rate that surely held, in messages per second; `None` if none did.
    pub held_per_s: Option<f64>,
    /// Latency at that rate and at the percentile of the search: the median over its trials.
    pub held_latency: Option<Duration>,
    /// The lowest rate that surely broke; `None` if none did.
    pub broke_per_s: Option<f64>,
    /// What broke at that rate.
    pub limit: Option<Limit>,
    /// The range in which the highest rate under the bound lies, with [`CONFIDENCE`]; `None` while nothing has
    /// broken, or held. Never wider than from the rate that held to the one that broke.
    pub between_per_s: Option<(f64, f64)>,
    /// Number of trials, including repeated ones, without drains.
    pub trials: u32,
}

impl Found {
    /// The result as a sentence, for `terms`.
    pub fn words(&self, terms: &Terms) -> String {
        let bound = format!(
            "p{} at or under {}",
            terms.percentile,
            human::duration(terms.bound)
        );
        let trials = human::things(u64::from(self.trials), "trial");
        let (held, broke) = (
            self.held_per_s.map(human::rate).unwrap_or_default(),
            self.broke_per_s.map(human::rate).unwrap_or_default(),
        );
        let what_broke = self.limit.unwrap_or(Limit::Latency).words();
        let between = self.between_per_s.map(|(from, to)| {
            format!(
                "lies between {} and {} ({:.0} % confidence)",
                human::rate(from),
                human::rate(to),
                CONFIDENCE * 100.0
            )
        });
        let between = between.unwrap_or_default();
        let so_far = match (self.held_per_s, self.broke_per_s) {
            (Some(_), Some(_)) => format!("the highest rate that keeps {bound} {between}"),
            (Some(_), None) => format!("{held} held, no rate broke"),
            (None, Some(_)) => format!("no rate surely held; at {broke} {what_broke}"),
            (None, None) => "no rate surely held or broke".into(),
        };
        match self.ending {
            Ending::Unsure if self.broke_per_s.is_none() => {
                format!("{so_far}, and the highest one that is allowed stays in doubt; {trials}")
            }
            Ending::Found | Ending::Unsure => {
                format!("{so_far}; at {broke} {what_broke}; {trials}")
            }
            Ending::NeverBroke => format!(
                "{} keeps {bound}, and no higher rate was allowed: the limit is this client's own; {trials}",
                human::rate(self.held_per_s.unwrap_or(terms.most.get()))
            ),
            Ending::AlwaysBroke => format!(
                "no rate keeps {bound}: at {}, the lowest one tried, {what_broke}; {trials}",
                human::rate(self.broke_per_s.unwrap_or(terms.least.get()))
            ),
            Ending::NotRecovered => format!(
                "the server did not recover: after {broke}, latency stayed over {} even at a low rate; {so_far}; {trials}",
                human::duration(terms.bound)
            ),
            Ending::Unfinished => format!(
                "the search did not finish: {so_far}; {trials}; {} are enough as a rule",
                human::duration(Terms::usual(terms.bound))
            ),
        }
    }
}
