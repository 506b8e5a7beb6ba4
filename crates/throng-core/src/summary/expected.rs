//! What came of the expectations (`--expect`): each metric as this record has it.

use super::latency::{percentile, unanswered_pings};
use super::per_s;
use super::totals::{Totals, Window};
use super::{Answers, Cost, MessageRate, Server, SetUp};
use crate::expect::{Expectation, Latency, Metric, Reading, Scalar, Statistic};
use crate::record::{Part, Role};
use crate::stats::{Closed, Durations, Tally};
use serde::{Deserialize, Serialize};

/// What came of an expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The expectation, as the user wrote it.
    pub expression: Expectation,
    /// Whether it is met. One whose value is unknown is not.
    pub met: bool,
    /// The value that was measured, in `unit`; `None` if it is unknown.
    pub value: Option<f64>,
    /// Whether that is a lower bound, because answers are missing.
    pub at_least: bool,
    /// `us` (microseconds), `count`, `percent`, `per_s`, `bytes` or `bytes_per_s`.
    pub unit: String,
    /// The value for people, or why it is unknown.
    pub measured: String,
}

/// What the summary says besides the totals.
pub(super) struct Known<'s> {
    pub t: &'s Totals<'s>,
    /// The hold.
    pub hold: &'s Window,
    pub set_up: Option<&'s SetUp>,
    pub message_rate: Option<&'s MessageRate>,
    pub answers: Option<&'s Answers>,
    pub cost: &'s Cost,
    pub server: Option<&'s Server>,
}

/// All expectations of the record, judged.
pub(super) fn of(known: &Known) -> Vec<Expected> {
    let all = known.t.asked.expect.iter();
    all.map(|expectation| {
        let told = expectation.judge(&known.reading(expectation));
        Expected {
            expression: expectation.clone(),
            met: told.met,
            value: told.value,
            at_least: told.at_least,
            unit: told.unit.into(),
            measured: told.text,
        }
    })
    .collect()
}

fn is_load(part: &&Part) -> bool {
    part.about.asked.role == Role::Load
}

impl Known<'_> {
    fn reading(&self, expectation: &Expectation) -> Reading {
        let unknown = |why: &str| Reading::Unknown(why.into());
        let expects = |part: &Part| part.about.asked.expect.contains(expectation);
        if !self.t.parts.iter().copied().filter(is_load).all(expects) {
            return unknown("not all sources expect it");
        }
        self.measured(expectation.metric())
    }

    /// What was measured of `metric`.
    pub fn measured(&self, metric: &Metric) -> Reading {
        let mut loads = self.t.parts.iter().copied().filter(is_load);
        if loads.any(|part| part.ending.is_none()) {
            return Reading::Unknown("a source was lost".into());
        }
        match metric {
            Metric::Scalar(scalar) => self.scalar(*scalar),
            Metric::Latency(latency, statistic) => self.latency(latency, statistic),
        }
    }

    fn scalar(&self, scalar: Scalar) -> Reading {
        let t = self.t;
        let unknown = |why: &str| Reading::Unknown(why.into());
        let asked = t.asked.connections.unwrap_or(0);
        let closed = |why: Closed| Reading::known(t.held.closed(why) as f64);
        let in_hold = |window: &Window, of: fn(&Tally) -> u64| match window.seconds {
            s if s > 0.0 => Reading::known(per_s(of(&window.opened) as f64, s)),
            _ => unknown(NO_HOLD),
        };
        let answers = |of: fn(&Answers) -> (u64, u64)| match self.answers {
            Some(answers) => {
                let (n, of) = of(answers);
                Reading::share(n, of)
            }
            None => unknown(NO_ANSWERS),
        };
        let server = |of: fn(&Server) -> Option<f64>| match self.server {
            Some(server) => Reading::or_unknown(of(server), "it could not be read"),
            None => unknown("no server was found on this machine"),
        };
        let few = "there were too few connections";
        match scalar {
            Scalar::Open => {
                let unaccepted = t.endings().flat_map(|e| &e.unaccepted);
                let waiting: u64 = unaccepted.map(|u| u64::from(u.queue.waiting)).sum();
                let alone: u64 = t.endings().map(|e| e.half_open.connections).sum();
                let ready = t.held.open().min(t.held.ready_now());
                Reading::share(ready.saturating_sub(waiting + alone), asked)
            }
            Scalar::Peak => Reading::share(t.peak, asked),
            Scalar::Lost if self.hold.seconds > 0.0 => Reading::share(t.lost(), asked),
            Scalar::Lost => unknown(NO_HOLD),
            Scalar::ClosedByPeer => closed(Closed::ByPeer),
            Scalar::ResetByPeer => closed(Closed::ResetByPeer),
            Scalar::TimedOut => closed(Closed::TimedOut),
            Scalar::LostByError => closed(Closed::Error),
            Scalar::Failed => Reading::share(t.held.failed_in_all(), t.held.attempted),
            Scalar::Opened => match self.set_up {
                Some(set_up) if set_up.seconds > 0.0 => Reading::known(set_up.per_s),
                _ => unknown("no connection was established"),
            },
            Scalar::Answers => answers(|a| (a.received, a.asked)),
            Scalar::Unanswered => answers(|a| (a.unanswered, a.asked)),
            Scalar::WithError => answers(|a| (a.with_error, a.received)),
            Scalar::Pongs => Reading::share(t.closed.pongs, t.closed.pings),
            Scalar::AnswersPerS => match self.answers {
                Some(answers) => Reading::or_unknown(answers.per_s, NO_HOLD),
                None => unknown(NO_ANSWERS),
            },
            Scalar::MessagesPerS => match self.message_rate {
                Some(rate) if rate.seconds > 0.0 => Reading::known(rate.reached_per_s),
                Some(_) => unknown(NO_HOLD),
                None => unknown("no message was sent"),
            },
            Scalar::SentPerS => in_hold(self.hold, |t| t.bytes_sent),
            Scalar::ReceivedPerS => in_hold(self.hold, |t| t.bytes_received),
            Scalar::HeldPerS => {
                let search = t.endings().find_map(|e| e.search.as_ref());
                let held = search.filter(|s| s.is_settled()).and_then(|s| s.held_per_s);
                Reading::or_unknown(held, "the search found no rate")
            }
            Scalar::CpuPerConnection => Reading::or_unknown(
                self.set_up.and_then(|set_up| set_up.cpu_us_per_connection),
                "no connection was established",
            ),
            Scalar::CpuPerMessage => Reading::or_unknown(
                self.message_rate.and_then(|rate| rate.cpu_us_per_message),
                "no message was sent during the hold",
            ),
            Scalar::UserBytes => Reading::or_unknown(self.cost.user_bytes_per_connection, few),
            Scalar::KernelBytes if !self.cost.kernel_bytes_sure => {
                unknown("other programs' memory may be part of it, or it could not be read")
            }
            Scalar::KernelBytes => Reading::or_unknown(self.cost.kernel_bytes_per_connection, few),
            Scalar::ServerRss => server(|s| s.rss_bytes_per_connection),
            Scalar::ServerPss => server(|s| s.pss_bytes_per_connection),
            Scalar::ServerFiles => match self.server {
                Some(Server {
                    files_open: Some(open),
                    file_limit,
                    ..
                }) => Reading::Known {
                    value: *open as f64,
                    of: file_limit.map(|limit| limit as f64),
                    at_least: false,
                },
                _ => server(|_| None),
            },
        }
    }

    fn latency(&self, latency: &Latency, statistic: &Statistic) -> Reading {
        if latency.name == "response" && !self.t.asked.paced {
            return Reading::Unknown("no message was due at a time".into());
        }
        if latency.name == "marked" && self.t.markers_ahead() > 0 {
            return Reading::Unknown("the sender's clock is ahead of this machine's".into());
        }
        let all_answered = Durations::default();
        let named = self.t.measured.named();
        let named = named.filter(|(name, _)| *name == latency.name);
        let Some((_, measured)) = named.last() else {
            return Reading::Unknown("it was not measured".into());
        };
        let pings = unanswered_pings(&self.t.measured);
        let unanswered = match latency.name {
            "response" | "service" => &self.t.unanswered,
            "pong" => &pings,
            _ => &all_answered,
        };
        let mut all = measured.clone();
        all.merge(unanswered);
        let found = match statistic {
            Statistic::At(percent) => percentile(&all, unanswered, percent.value()),
            Statistic::Mean => all.mean().map(|mean| (mean, unanswered.count() > 0)),
        };
        match found {
            None => Reading::Unknown("nothing was measured".into()),
            Some((value, at_least)) => Reading::Known {
                value: value.as_nanos() as f64 / 1e3,
                of: None,
                at_least,
            },
        }
    }
}

const NO_HOLD: &str = "there was no hold";
const NO_ANSWERS: &str = "no answer was looked for";
