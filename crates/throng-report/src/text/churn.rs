//! Connections that were opened, used and closed, one after the other.

use super::section::Section;
use crate::human::{self, count};
use throng_core::stats::Closed;
use throng_core::summary::{Churn, Percentiles, Summary};

pub(super) fn churn(summary: &Summary) -> Section {
    let mut all = Section::titled("Churn");
    let Some(c) = &summary.churn else {
        return all;
    };
    let used = match c.exchanges_each {
        Some(n) => format!("for {}", human::things(n.into(), "exchange")),
        None => "as the protocol has it".into(),
    };
    let of = format!(
        "connections opened, used {used} and closed, in {}",
        human::seconds(c.seconds)
    );
    all.number("complete", count(c.connections), &of);
    all.number("per second", human::rate(c.per_s), "")
        .without_remark();
    for (label, times) in [("connect", &c.connect), ("exchange", &c.exchange)] {
        if let Some(times) = times {
            all.number(label, time(times.p50_us), &tail(times));
        }
    }
    if let Some(n) = c.closed_by_server {
        all.number("closed", count(n), "by the server, as was awaited");
    }
    if let Some(n @ 1..) = c.not_closed {
        all.bad(
            "closed",
            count(n),
            "by this side, as the server had not done so in 5 s",
        );
    }
    for (cause, n) in &c.failed {
        all.bad("failed", count(*n), &format!("attempts: {}", cause.words()));
    }
    for (why, n) in &c.lost {
        let how = format!("connections, {} before their last exchange", ended(*why));
        all.bad("lost", count(*n), &how);
    }
    if let Some(per_s) = c.ports_per_s {
        all.number(
            "ports for",
            human::rate(per_s as f64),
            "new connections: this side closes first, and ports rest",
        )
        .in_full_only();
    }
    all
}

/// The verdict on connections that were to carry a number of exchanges.
pub(super) fn verdict(c: &Churn) -> Option<String> {
    let exchanges = human::things(c.exchanges_each?.into(), "exchange");
    Some(format!(
        "{} opened, used for {exchanges} and closed in {}: {}",
        human::things(c.connections, "connection"),
        human::seconds(c.seconds),
        human::rate(c.per_s)
    ))
}

fn ended(why: Closed) -> &'static str {
    match why {
        Closed::ByPeer => "closed by the server",
        Closed::ResetByPeer => "reset by the server",
        Closed::TimedOut => "no longer acknowledged by the server",
        Closed::ByUs => "closed by this side",
        Closed::Error => "ended by an error on this side",
    }
}

fn time(us: f64) -> String {
    human::seconds(us / 1e6)
}

fn tail(times: &Percentiles) -> String {
    let (p99, max) = (time(times.p99_us), time(times.max_us));
    format!("at p50, {p99} at p99, {max} at most")
}
