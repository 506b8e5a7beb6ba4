//! A coordinator at a NATS server answers for its run.

use super::nats::failure;
use crate::Failure;
use throng_fleet::Terms;
use throng_fleet::nats::{Connection, Office, Running};
use throng_host::kernel::Kernel;
use throng_run::{Attached, Stop};

/// This program.
pub(super) const TOOL: &str = concat!("throng ", env!("CARGO_PKG_VERSION"));

/// Answers for this run from now on, as its coordinator.
pub(super) fn answer(
    connection: &Connection,
    run: &str,
    terms: &Terms,
    agents: usize,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<(), Failure> {
    let running = Running {
        run: run.to_owned(),
        host: Kernel::read().map_or_else(|_| String::new(), |k| k.hostname),
        tool: TOOL.into(),
        agents: agents as u64,
        asked: terms.connections.into(),
        ..Running::default()
    };
    let office = Office::open(connection, running, terms.token.clone(), stop).map_err(failure)?;
    attached.observers.push(Box::new(office.observer()));
    Ok(())
}
