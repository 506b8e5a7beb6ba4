//! What the tests of runs share.

use std::time::Duration;
use throng_core::engine::EngineChoice;
use throng_core::scenario::{LoadScenario, OwnServer};
use throng_core::summary::{self, Summary};
use throng_run::{Attached, Failure, Machine, Stop};

/// Connections of this process to itself, held for `hold`.
pub fn to_itself(connections: u32, engine: EngineChoice, hold: Duration) -> LoadScenario {
    LoadScenario {
        own_server: Some(OwnServer::Sink),
        connections: connections.into(),
        hold: hold.into(),
        workers: Some(1),
        engine,
        ..LoadScenario::default()
    }
}

/// Carries out `scenario`, watched by `attached`.
pub fn run(
    scenario: &LoadScenario,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Summary, Failure> {
    let machine = Machine::for_load(scenario)?;
    throng_run::load(scenario, &machine, attached, stop).map(|record| summary::of(&record))
}
