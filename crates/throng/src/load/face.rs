//! What tcpkali says on stderr before the result.

use std::io;
use throng_core::scenario::LoadScenario;
use throng_host::interface;
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
    // Whoever has closed stderr does not want to know.
    let _ = tcpkali::write_start(&start, &mut io::stderr().lock());
}

/// What became of ramping up, once that is over.
pub(super) fn ramp(scenario: &LoadScenario, all_are_up: bool) -> String {
    let asked = scenario.connections.into();
    match (all_are_up, scenario.options.ramp_limit) {
        (false, Some(limit)) => tcpkali::not_ramped_up(asked, limit),
        (false, None) => tcpkali::not_ramped_up(asked, scenario.hold),
        (true, _) => tcpkali::ramped_up(asked),
    }
}
