//! The outcome of HTTP.

use super::counts::Failed;
use super::malformed::Malformed;
use super::redirect::Redirect;
use super::status::Status;
use crate::human::{bytes, count, things};
use crate::protocol::facts::{Summarize, Violated};
use crate::section::{Row, Tone};
use crate::stats::{Tally, occurred};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The outcome of HTTP on connections. `completed` + `failed` + `unfinished` = `requests`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSummary {
    /// Requests that were begun; of a server, those that it received whole.
    pub requests: u64,
    /// Requests with a whole answer, well-formed and of an expected status; of a server, its answers.
    pub completed: u64,
    /// Requests that failed, by kind. Kinds that did not occur are left out.
    pub failed: BTreeMap<Failed, u64>,
    /// Requests that the end of the run cut off.
    pub unfinished: u64,
    /// Final answers by status. Those that did not occur are left out.
    pub status: BTreeMap<Status, u64>,
    /// Interim answers (1xx).
    pub interim: u64,
    /// Bytes of the heads that were received.
    pub head_bytes: u64,
    /// Bytes of the bodies that were received, without what surrounds chunks.
    pub body_bytes: u64,
    /// Answers after which the connection was to be closed, because one side said so.
    pub announced: u64,
    /// Connections on which an answer had a status that was not expected.
    pub unexpected: u64,
    /// Connections on which an answer lacked the text that was expected.
    pub lacking: u64,
    /// Connections that were closed because an answer was not whole in time (`--timeout`).
    pub late: u64,
    /// Redirects by what became of them, where redirects are followed (`--follow`). Kinds that did not occur are left out.
    pub redirects: BTreeMap<Redirect, u64>,
    /// Connections on which a redirect was not followed.
    pub strayed: u64,
    /// Connections on which something arrived that makes no sense, by kind. Kinds that did not occur are left out.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Event streams; `None` if none began that was read as such.
    pub events: Option<EventsSummary>,
}

/// Event streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsSummary {
    /// Streams that began.
    pub streams: u64,
    /// Those that the server ended.
    pub ended: u64,
    /// Those that were broken off, and not by the end of the run.
    pub lost: u64,
    /// Events.
    pub received: u64,
    /// Events that are missing between the numbers (`id`) of two.
    pub missed: u64,
}

/// What to do about requests that were sent behind an answer that announced the end of its connection.
const BEHIND_THE_LAST: &str = ". Of a pipeline, what is sent behind an answer with Connection: close has no answer: give \
                               --requests-per-connection the number that the server allows (nginx: keepalive_requests)";

impl Summarize for HttpSummary {
    fn of(tally: &Tally) -> HttpSummary {
        let http = &tally.http;
        let failed = occurred(Failed::ALL, |why| http.failed(why));
        let ended = http.completed + failed.values().sum::<u64>();
        HttpSummary {
            requests: http.requests,
            completed: http.completed,
            failed,
            unfinished: http.requests.saturating_sub(ended),
            status: occurred(Status::ALL, |status| http.status(status)),
            interim: http.interim,
            head_bytes: http.head_bytes,
            body_bytes: http.body_bytes,
            announced: http.announced,
            unexpected: http.unexpected,
            lacking: http.lacking,
            late: http.late,
            redirects: occurred(Redirect::ALL, |how| http.redirected(how)),
            strayed: http.strayed,
            malformed: occurred(Malformed::ALL, |how| http.malformed(how)),
            events: (http.streams > 0).then_some(EventsSummary {
                streams: http.streams,
                ended: http.streams_ended,
                lost: http.streams_lost,
                received: http.events,
                missed: http.events_missed,
            }),
        }
    }

    fn rows(&self, _: u64) -> Vec<Row> {
        let of = format!("of {}", things(self.requests, "request"));
        let mut rows = vec![Row::new(
            Tone::Plain,
            "completed",
            count(self.completed),
            of,
        )];
        let failed = self.failed.iter();
        rows.extend(failed.map(|(why, n)| {
            // Behind the last answer there is a request only in a pipeline.
            let hint = match why {
                Failed::ClosedEarly if self.announced > 0 => BEHIND_THE_LAST,
                _ => "",
            };
            let note = format!("{}{hint}", why.words());
            Row::new(Tone::Bad, "failed", count(*n), note)
        }));
        if self.unfinished > 0 {
            let note = "cut off by the end of the run";
            rows.push(Row::new(
                Tone::Plain,
                "unfinished",
                count(self.unfinished),
                note,
            ));
        }
        let statuses = self.status.iter().map(|(status, n)| {
            let tone = match status.is_error() {
                true => Tone::Odd,
                false => Tone::Plain,
            };
            Row::new(tone, "status", count(*n), status.words())
        });
        rows.extend(statuses);
        let redirects = self.redirects.iter().map(|(how, n)| {
            let tone = match how {
                Redirect::Followed => Tone::Plain,
                _ => Tone::Bad,
            };
            Row::new(tone, "redirects", count(*n), how.words())
        });
        rows.extend(redirects);
        let malformed = self.malformed.iter().map(|(how, n)| {
            let note = format!("{}: {}", noun(*n), how.words());
            Row::new(Tone::Bad, "malformed", count(*n), note)
        });
        rows.extend(malformed);
        if self.announced > 0 {
            let note = "connections closed as an answer had announced";
            rows.push(Row::new(Tone::Plain, "closed", count(self.announced), note));
        }
        if let Some(events) = &self.events {
            rows.extend(events.rows());
        }
        let heads = format!("and {} of heads", bytes(self.head_bytes));
        rows.push(Row::new(
            Tone::Plain,
            "bodies",
            bytes(self.body_bytes),
            heads,
        ));
        rows
    }

    fn violations(&self) -> Vec<Violated> {
        let mut all: Vec<Violated> = Vec::new();
        for (how, connections) in &self.malformed {
            all.push(Violated {
                violation: how.name(),
                words: format!("the peer broke HTTP: {}", how.words()),
                connections: *connections,
            });
        }
        if self.unexpected > 0 {
            all.push(Violated {
                violation: Failed::Status.name(),
                words: self.unexpected_words(),
                connections: self.unexpected,
            });
        }
        if self.late > 0 {
            all.push(Violated {
                violation: Failed::Timeout.name(),
                words: "an answer was not whole in the time that a request may take (--timeout)"
                    .into(),
                connections: self.late,
            });
        }
        if self.strayed > 0 {
            all.push(Violated {
                violation: Failed::Redirect.name(),
                words: self.strayed_words(),
                connections: self.strayed,
            });
        }
        if self.lacking > 0 {
            all.push(Violated {
                violation: Failed::Body.name(),
                words: "answers lack the text that was expected (--expect-body)".into(),
                connections: self.lacking,
            });
        }
        all
    }
}

impl EventsSummary {
    fn rows(&self) -> Vec<Row> {
        let of = format!("in {}", things(self.streams, "stream"));
        let mut rows = vec![Row::new(Tone::Plain, "events", count(self.received), of)];
        let notes = [
            (
                Tone::Odd,
                "missed",
                self.missed,
                "events whose number was left out",
            ),
            (
                Tone::Plain,
                "ended",
                self.ended,
                "streams ended by the server",
            ),
            (
                Tone::Bad,
                "broken off",
                self.lost,
                "streams, before their end",
            ),
        ];
        let notes = notes.into_iter().filter(|(_, _, n, _)| *n > 0);
        rows.extend(notes.map(|(tone, label, n, note)| Row::new(tone, label, count(n), note)));
        rows
    }
}

/// What is counted, in the number that it needs.
fn noun(n: u64) -> &'static str {
    match n {
        1 => "connection",
        _ => "connections",
    }
}

impl HttpSummary {
    /// What is said of redirects that were not followed: how many of each kind, and what to do about the most frequent one.
    fn strayed_words(&self) -> String {
        let lost = self.redirects.iter();
        let mut lost: Vec<(&Redirect, &u64)> = lost
            .filter(|(how, _)| **how != Redirect::Followed)
            .collect();
        lost.sort_by_key(|(_, n)| Reverse(**n));
        let each: Vec<String> = lost
            .iter()
            .map(|(how, n)| format!("{} {}", things(**n, "redirect"), how.words()))
            .collect();
        let remedy = lost.first().map_or("", |(how, _)| how.remedy());
        format!("{}; {remedy}", each.join(", "))
    }

    /// What is said of answers whose status was not expected, with their statuses where these are sure to be the errors.
    fn unexpected_words(&self) -> String {
        let failed = self.failed.get(&Failed::Status).copied().unwrap_or(0);
        let errors = self.status.iter().filter(|(status, _)| status.is_error());
        let mut errors: Vec<(&Status, &u64)> = errors.collect();
        errors.sort_by_key(|(_, n)| Reverse(**n));
        let answers = format!(
            "{} of a status that was not expected",
            things(failed, "answer")
        );
        match errors.iter().map(|(_, n)| **n).sum::<u64>() == failed {
            false => format!("{answers} (--expect-status)"),
            true => {
                let each = errors
                    .iter()
                    .map(|(status, n)| format!("{} ({})", status.words(), count(**n)));
                format!("{answers}: {}", each.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_behind_the_last_answer_of_a_connection_have_a_hint() {
        let hinted = |announced| {
            let summary = HttpSummary {
                failed: BTreeMap::from([(Failed::ClosedEarly, 3)]),
                announced,
                ..HttpSummary::default()
            };
            let rows = summary.rows(0);
            rows.iter()
                .any(|row| row.label == "failed" && row.note.contains("--requests-per-connection"))
        };
        assert!(hinted(1) && !hinted(0));
    }
}
