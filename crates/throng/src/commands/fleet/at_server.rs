//! Agents that wait at a NATS server.

use super::agents::Wanted;
use super::args::Args;
use super::nats::failure;
use crate::Failure;
use throng_core::observer::Note;
use throng_fleet::Transport;
use throng_fleet::nats::{self, Far, FindError, Present};
use throng_run::{Attached, Stop};

/// Ways to the agents that are wanted for this run, once they are there.
pub(super) fn agents(
    args: &Args,
    wanted: &Wanted,
    run: &str,
    token: Option<String>,
    attached: &mut Attached,
    stop: &Stop,
) -> Result<Vec<Box<dyn Transport>>, Failure> {
    let server = args.nats.server()?.ok_or_else(|| {
        Failure::usage("--agents nats: say where they wait, as --nats nats://127.0.0.1:4222")
    })?;
    let connection = args.nats.connect(&server).map_err(failure)?;
    let wanted = match wanted {
        Wanted::Any => nats::Wanted::Any,
        Wanted::Number(n) => nats::Wanted::Number(*n as usize),
        Wanted::Names(names) => nats::Wanted::Names(names.clone()),
    };
    let tell = |line| attached.note(&Note::Fleet(line));
    let found = nats::find(&connection, &wanted, args.nats_wait, tell, stop);
    let found = found.map_err(missing)?;
    let way = |agent: &Present| -> Box<dyn Transport> {
        Box::new(Far::new(&connection, agent, run.to_owned(), token.clone()))
    };
    Ok(found.iter().map(way).collect())
}

/// Why the run does not get its agents.
fn missing(error: FindError) -> Failure {
    match error {
        FindError::Nats(error) => failure(error),
        FindError::Missing(line) => Failure::fault(line),
        FindError::Interrupted => Failure {
            code: 130,
            lines: vec![error.to_string()],
        },
    }
}
