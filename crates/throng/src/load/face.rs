//! What tcpkali says before the result.

use crate::behave::socket_options;
use crate::run::Watch;
use std::io::{self, Write};
use throng_core::pacing::Ending;
use throng_core::plan::LoadPlan;
use throng_core::scenario::LoadScenario;
use throng_core::summary::Summary;
use throng_host::interface;
use throng_report::human;
use throng_report::tcpkali::{self, Start, Way};

/// Where connections go, where they come from and where they are accepted.
pub(super) fn start(scenario: &LoadScenario) {
    let way = |to: &std::net::SocketAddr| {
        let from = interface::towards(*to)?;
        Some(Way {
            to: *to,
            interface: from.name,
            addresses: from.addresses,
        })
    };
    let listening = scenario.options.listening.as_ref();
    let start = Start {
        destinations: scenario.targets.clone(),
        sources: scenario.sources.clone(),
        ways: scenario.targets.iter().filter_map(way).collect(),
        listening: listening.map(|l| l.at.clone()).unwrap_or_default(),
    };
    // Whoever has closed stdout does not want to know.
    let _ = tcpkali::write_start(&start, &mut io::stdout().lock());
}

/// What became of ramping up, once that is over.
pub(super) fn ramp(scenario: &LoadScenario, all_are_up: bool, watch: &mut Watch) {
    let asked = scenario.connections.into();
    if all_are_up {
        let mut out = io::stdout().lock();
        // Whoever follows the run sees it when it is so.
        let _ = writeln!(out, "{}", tcpkali::ramped_up(asked)).and_then(|()| out.flush());
    } else {
        let limit = scenario.options.ramp_limit.unwrap_or(scenario.hold);
        watch.live.note(&tcpkali::not_ramped_up(asked, limit));
    }
}

/// Whether there is a result: none if connections did not come up in time.
pub(super) fn has_result(summary: &Summary) -> bool {
    let asked = summary.connections.asked.unwrap_or(0);
    summary.interrupted || summary.connections.peak >= asked
}

/// The text that ends the run was seen, if it was.
pub(super) fn stopped(summary: &Summary, scenario: &LoadScenario) {
    if let (Some(1..), Some(text)) = (summary.stops_seen, &scenario.options.limits.stop_at) {
        let line = tcpkali::stopped(text);
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

/// What a search that has found nothing says instead of the rate, on stderr as tcpkali does.
pub(super) fn no_best_rate(summary: &Summary, scenario: &LoadScenario) -> Option<String> {
    let search = summary.search.as_ref()?;
    if search.is_settled() || summary.interrupted {
        return None;
    }
    let at_most = scenario.options.search.as_ref().and_then(|s| s.at_most);
    let limit = at_most.filter(|_| search.ending == Ending::Unfinished);
    Some(tcpkali::no_best_rate(&search.under, limit))
}

/// Warns of buffers that are not as large as was asked for.
pub(super) fn warn_of_buffers(scenario: &LoadScenario, watch: &mut Watch) {
    let asked = &scenario.options.socket;
    let Ok(in_effect) = socket_options(&scenario.options).buffers_in_effect() else {
        return;
    };
    let both = [
        (
            "--rcvbuf",
            asked.receive_buffer,
            in_effect.receive,
            "rmem_max",
        ),
        ("--sndbuf", asked.send_buffer, in_effect.send, "wmem_max"),
    ];
    for (option, asked, is, limit) in both {
        let Some(asked) = asked.filter(|asked| is < *asked) else {
            continue;
        };
        let line = match scenario.options.like_tcpkali {
            true => tcpkali::no_effect(option),
            false => format!(
                "throng: warning: {option} of {} was asked for, the kernel gives {}: sysctl -w net.core.{limit}={asked}",
                human::bytes(asked),
                human::bytes(is),
            ),
        };
        watch.live.note(&line);
    }
}

/// Says how the run is carried out (`-v`); at the third level all that was asked for (`-vv`).
pub(super) fn details(scenario: &LoadScenario, plan: &LoadPlan, watch: &mut Watch) {
    let targets: Vec<String> = plan.routes.targets().map(|t| t.to_string()).collect();
    let sources = match plan.routes.sources() {
        0 => "the kernel's choice".to_owned(),
        1 => "1 address".to_owned(),
        n => format!("{n} addresses"),
    };
    watch.live.note(&format!(
        "throng: engine {}, {}, {} attempts in flight on each at most; to {}; from {sources}",
        plan.engine.name(),
        human::things(plan.workers.into(), "worker"),
        plan.window,
        targets.join(", "),
    ));
    for limit in &plan.limits {
        if let Some(allows) = limit.allows {
            watch.live.note(&format!(
                "throng: {} allows {} connections",
                limit.kind.words(),
                human::count(allows)
            ));
        }
    }
    if scenario.options.verbosity >= 3 {
        watch.live.note(&format!("throng: {scenario:#?}"));
    }
}
