//! How well the requested rates were kept, and the rate that a search found.

use super::section::Section;
use crate::human::{self, count, percent, things};
use throng_core::pacing::Limit;
use throng_core::summary::Summary;

pub(super) fn message_rate(summary: &Summary) -> Section {
    let mut all = Section::titled("Message rate");
    let Some(r) = &summary.message_rate else {
        return all;
    };
    if let Some(requests) = &summary.requests {
        let of = format!(
            "of {} in all, {} over {}",
            count(requests.asked),
            human::rate(requests.per_s),
            human::seconds(requests.seconds)
        );
        match requests.unsent {
            0 => {
                all.number("requests", count(requests.sent), &of);
            }
            _ => all.bad("requests", count(requests.sent), &of),
        }
    }
    let over = format!("over {}", human::seconds(r.seconds));
    let over = |part: f64, whole: f64| match percent(part, whole) {
        Some(share) => format!("{share} of asked, {over}"),
        None => over.clone(),
    };
    match (r.asked_messages, r.asked_per_s) {
        // For a rate that varies, the number of messages says more than the mean rate.
        (Some(asked), per_s) => {
            let mean = human::rate(per_s.unwrap_or(0.0));
            let text = format!("messages, {mean} on average");
            all.number("asked", count(asked.round() as u64), &text);
            let share = over(r.messages as f64, asked);
            all.number("sent", count(r.messages), &share);
        }
        (None, Some(asked)) => {
            all.number("asked", human::rate(asked), "");
            let share = over(r.reached_per_s, asked);
            all.number("reached", human::rate(r.reached_per_s), &share);
        }
        // The number is sent from the beginning on, not in the hold alone.
        (None, None) if summary.requests.is_some() => {}
        (None, None) => {
            all.number("reached", human::rate(r.reached_per_s), &over(0.0, 0.0));
        }
    }
    all
}

pub(super) fn bandwidth(summary: &Summary) -> Section {
    let mut all = Section::titled("Bandwidth");
    let Some(b) = &summary.bandwidth else {
        return all;
    };
    for (label, asked, reached) in [
        ("sent", b.asked_sent_per_s, b.sent_per_s),
        ("received", b.asked_received_per_s, b.received_per_s),
    ] {
        let Some(asked) = asked else { continue };
        let share = percent(reached, asked).map_or(String::new(), |p| format!("{p} of "));
        let over = human::seconds(b.seconds);
        let text = format!("{share}{}, over {over}", human::throughput(asked));
        all.number(label, human::throughput(reached), &text);
    }
    all
}

/// The result of a search in numbers. The findings have it as a sentence.
pub(super) fn search(summary: &Summary) -> Section {
    let mut all = Section::titled("Search");
    let Some(s) = &summary.search else {
        return all;
    };
    if let Some(held) = s.held_per_s {
        let each = s.held_per_connection_per_s.map_or(String::new(), |each| {
            format!("{} on each connection", human::rate(each))
        });
        all.number("held", human::rate(held), &each);
    }
    if let Some(us) = s.held_latency_us {
        let under = human::micros(s.under_us);
        let text = format!("at p{}, of {under} allowed", s.percentile);
        all.number("latency there", human::micros(us), &text);
    }
    if let Some(broke) = s.broke_per_s {
        let what = match s.broke_by {
            Some(Limit::Latency) => "latency exceeded the limit",
            Some(Limit::Sending) => "not all messages were sent",
            Some(Limit::Answers) => "not all messages were answered",
            Some(Limit::Unwanted) => "not all answers were as expected",
            Some(limit @ (Limit::Connections | Limit::Failures)) => limit.words(),
            None => "",
        };
        all.number("broke", human::rate(broke), what);
    }
    let trials = things(s.trials.into(), "trial");
    match (s.least_per_s, s.most_per_s) {
        (Some(least), Some(most)) => {
            let text = format!(
                "and {} ({:.0} % confidence), {trials}",
                human::rate(most),
                s.confidence * 100.0
            );
            all.number("between", human::rate(least), &text);
        }
        _ => {
            all.number("tried", trials, "");
        }
    }
    all
}
