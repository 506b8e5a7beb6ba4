//! What the tests of runs share.

use std::time::Duration;
use throng_core::engine::EngineChoice;
use throng_core::payload::Messages;
use throng_core::scenario::{LoadScenario, Repeat, ServeMode};
use throng_core::summary::Summary;
use throng_run::{Attached, Failure, Machine, Stop};

/// Connections of this process to itself, held for `hold`.
pub fn to_itself(connections: u32, engine: EngineChoice, hold: Duration) -> LoadScenario {
    LoadScenario {
        targets: Vec::new(),
        own_server: Some(ServeMode::Sink),
        connections,
        connect_rate: None,
        connect_timeout: Duration::from_secs(5),
        sources: Vec::new(),
        reconnect: true,
        messages: Messages::default(),
        repeat: Repeat::Flood,
        in_flight: None,
        traffic_after_ramp: false,
        hold,
        duration: None,
        workers: Some(1),
        engine,
        force: false,
        options: Default::default(),
    }
}

/// Carries out `scenario`, watched by `attached`.
pub fn run(
    scenario: &LoadScenario,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Summary, Failure> {
    let machine = Machine::for_load(scenario)?;
    throng_run::load(scenario, &machine, attached, stop)
}
