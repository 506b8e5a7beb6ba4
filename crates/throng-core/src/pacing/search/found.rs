//! What a search for a rate has found.

use super::terms::Terms;
use crate::human;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What stood in the way of a higher rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Latency went over the bound.
    Latency,
    /// Fewer messages were sent than were due: this client or the path took no more.
    Sending,
    /// Fewer answers came than messages were sent.
    Answers,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The rate lies in the bracket.
    Found,
    /// The highest rate that may be tried held: the limit is this client's, or what was asked for.
    NeverBroke,
    /// The lowest rate that may be tried broke.
    AlwaysBroke,
    /// After a rate that broke latency did not come back, even at a low rate.
    NotRecovered,
    /// Noise led it in circles: the bracket is wider than asked for.
    Unsteady,
    /// It was ended before it was done.
    Unfinished,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// How it ended.
    pub ending: Ending,
    /// The highest rate that held, in messages a second; `None` if none did.
    pub held_per_s: Option<f64>,
    /// The latency that was measured at it, at the percentile asked for.
    pub held_latency: Option<Duration>,
    /// The lowest rate that broke; `None` if none did.
    pub broke_per_s: Option<f64>,
    /// What broke first at that rate.
    pub limit: Option<Limit>,
    /// How many trials it took, repeated ones included, drains not.
    pub trials: u32,
    /// How sure it is that the true rate lies in the bracket, from 0 to 1, by all that was measured.
    pub confidence: f64,
    /// Between which rates the true one lies with 90 % probability; `None` while nothing has broken, or held.
    pub likely: Option<(f64, f64)>,
}

impl Found {
    /// The confidence in words.
    pub fn how_sure(&self) -> &'static str {
        match self.confidence {
            c if c >= 0.95 => "sure",
            c if c >= 0.8 => "fairly sure",
            _ => "unsure",
        }
    }

    /// The result as a sentence, for `terms`.
    pub fn words(&self, terms: &Terms) -> String {
        let bound = format!(
            "p{} at or under {}",
            terms.percentile,
            human::duration(terms.bound)
        );
        let trials = human::things(u64::from(self.trials), "trial");
        let sure = format!("{} ({:.0} %)", self.how_sure(), self.confidence * 100.0);
        let sure = match self.likely {
            Some((from, to)) if self.confidence < 0.8 => format!(
                "{sure}, but it lies between {} and {} (90 %)",
                human::rate(from),
                human::rate(to)
            ),
            _ => sure,
        };
        let (held, broke) = (
            self.held_per_s.map(human::rate).unwrap_or_default(),
            self.broke_per_s.map(human::rate).unwrap_or_default(),
        );
        let what_broke = match self.limit {
            Some(Limit::Latency) | None => "latency was over the bound",
            Some(Limit::Sending) => {
                "not all messages got out, so this client or the path is the limit"
            }
            Some(Limit::Answers) => "not all messages were answered",
        };
        let so_far = match (self.held_per_s, self.broke_per_s) {
            (Some(_), Some(_)) => format!("{held} held, at {broke} {what_broke}"),
            (Some(_), None) => format!("{held} held, nothing broke"),
            (None, Some(_)) => format!("nothing held, at {broke} {what_broke}"),
            (None, None) => "nothing was measured".into(),
        };
        match self.ending {
            Ending::Found => {
                format!("{held} keeps {bound}; at {broke} {what_broke}; {sure}, {trials}")
            }
            Ending::NeverBroke => format!(
                "{held} keeps {bound}, and no higher rate was tried: the limit is this client's own; {sure}, {trials}"
            ),
            Ending::AlwaysBroke => format!(
                "no rate keeps {bound}: at {broke}, the lowest that was tried, {what_broke}; {sure}, {trials}"
            ),
            Ending::NotRecovered => format!(
                "the server did not recover: after {broke} latency stayed over {} at a low rate too; {so_far}; {trials}",
                human::duration(terms.bound)
            ),
            Ending::Unsteady => format!(
                "measurements differ too much to say it to {:.0} %: {so_far}; {sure}, {trials}",
                terms.tolerance * 100.0
            ),
            Ending::Unfinished => {
                format!("the search was not finished: {so_far}; {sure}, {trials}")
            }
        }
    }
}
