//! Traffic over the connections, and answers.

use super::section::Section;
use crate::human::{self, count, things};
use std::cmp::Reverse;
use throng_core::summary::{Summary, Traffic};

pub(super) fn traffic(summary: &Summary) -> Section {
    let mut all = Section::titled("Traffic");
    let throughput = throughput(summary);
    let mut side = |t: &Traffic, sent: &'static str, received: &'static str| {
        if t.bytes_sent > 0 {
            let what = match t.messages_sent {
                0 => things(t.writes, "write"),
                n => things(n, "message"),
            };
            let row = all.number(sent, human::bytes(t.bytes_sent), &what);
            if throughput.is_some() {
                row.in_full_only();
            }
        }
        if t.bytes_received > 0 {
            let what = match t.replies {
                0 => things(t.reads, "read"),
                n => format!("{} in {}", things(n, "message"), things(t.reads, "read")),
            };
            let row = all.number(received, human::bytes(t.bytes_received), &what);
            if throughput.is_some() {
                row.in_full_only();
            }
        }
    };
    side(&summary.traffic, "sent", "received");
    if let Some(t) = &summary.server_traffic {
        side(t, "server sent", "server received");
    }
    let unsent = summary.traffic.messages_unsent;
    if unsent > 0 {
        all.bad("not sent", count(unsent), "messages that were due");
    }
    if let Some(n @ 1..) = summary.stops_seen {
        all.number("text received", count(n), "the text of --message-stop");
    }
    if let Some(text) = throughput {
        all.prose("throughput", &text).labelled("");
    }
    all
}

/// Bytes per second during the hold. Without one, over the whole run.
fn throughput(summary: &Summary) -> Option<String> {
    let hold = summary
        .steady
        .as_ref()
        .filter(|steady| steady.seconds > 0.0);
    let (traffic, seconds, when) = match hold {
        Some(steady) => (&steady.traffic, steady.seconds, "while all were open"),
        None => (&summary.traffic, summary.seconds, "over the whole run"),
    };
    let (sent, received) = (traffic.bytes_sent as f64, traffic.bytes_received as f64);
    let parts: Vec<String> = [(sent, "sent"), (received, "received")]
        .into_iter()
        .filter(|(bytes, _)| *bytes > 0.0 && seconds > 0.0)
        .map(|(bytes, way)| format!("{} {way}", human::throughput(bytes / seconds)))
        .collect();
    (!parts.is_empty()).then(|| format!("{}, {when}", parts.join(", ")))
}

/// Pings, and those without a pong.
pub(super) fn pings(summary: &Summary) -> Section {
    let mut all = Section::titled("Pings");
    let Some(p) = &summary.pings else {
        return all;
    };
    let whole = match p.unanswered {
        0 => "none without a pong",
        _ => "",
    };
    all.number("sent", count(p.sent), whole);
    if p.unanswered > 0 {
        all.bad("unanswered", count(p.unanswered), "pings");
    }
    if p.unasked > 0 {
        all.odd("unasked", count(p.unasked), "pongs that match no ping");
    }
    all
}

/// Answers to messages, and messages without one.
pub(super) fn answers(summary: &Summary) -> Section {
    let mut all = Section::titled("Answers");
    let Some(a) = &summary.answers else {
        return all;
    };
    // While the run goes on.
    let waiting = a.waiting();
    match (a.received, a.unanswered + waiting) {
        (received @ 1.., 0) => all
            .number("received", count(received), "none missing")
            .in_short(format!("{} received, none missing", count(received))),
        (received, _) => {
            all.number("received", count(received), "");
        }
    }
    if a.with_error > 0 {
        let mut errors: Vec<_> = a.errors.iter().collect();
        errors.sort_by_key(|(_, n)| Reverse(**n));
        let each: Vec<String> = errors
            .into_iter()
            .map(|(name, n)| format!("{} {name}", count(*n)))
            .collect();
        let of_those = format!("of those: {}", each.join(", "));
        all.odd("with an error", count(a.with_error), &of_those);
    }
    if waiting > 0 {
        all.number("waiting", count(waiting), "messages without an answer yet");
    }
    if a.unanswered > 0 {
        let what = "messages";
        all.bad("unanswered", count(a.unanswered), what);
    }
    if a.cut_off > 0 {
        let what = "messages, cut off less than a second after they were sent";
        all.number("under way", count(a.cut_off), what);
    }
    if a.unasked > 0 {
        all.odd("unasked", count(a.unasked), "answers that match no message");
    }
    all
}
