//! An agent at a NATS server: one run after the other.

use super::args::Args;
use crate::Failure;
use crate::commands::fleet::nats::failure;
use std::time::{Duration, Instant};
use throng_fleet::nats::{Connection, Log, NatsError, Present, Server, Station, is_name, present};
use throng_fleet::{Serving, serve};
use throng_host::kernel::Kernel;
use throng_run::Stop;

/// A server that is out of reach is tried again after this long.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an agent of the same name may take to answer.
const LOOK: Duration = Duration::from_millis(500);

/// Serves coordinators until `stop` is requested; only one with `--once`. Returns the exit code of the last run.
pub(super) fn serve_all(
    args: &Args,
    server: &Server,
    serving: &Serving,
    log: Log,
    stop: &Stop,
) -> Result<u8, Failure> {
    if let Some(name) = args.name.as_ref().filter(|name| !is_name(name)) {
        return Err(Failure::usage(format!(
            "--name {name}: write up to 64 letters, digits, '-' and '_'"
        )));
    }
    let Some(connection) = connect(args, server, &log, stop)? else {
        return Ok(130);
    };
    if let Some(name) = &args.name {
        refuse_twin(&connection, name)?;
    }
    let host = Kernel::read().map_or_else(|_| String::new(), |k| k.hostname);
    let token = serving.limits.token.clone();
    let station = Station::open(
        connection,
        args.name.clone(),
        &host,
        token,
        &serving.tool,
        log.clone(),
    );
    let station = station.map_err(failure)?;
    log(&format!("{} waits at NATS server {server}", station.name()));
    let logged = station.log().clone();
    let serving = &Serving {
        log: &*logged,
        ..serving.clone()
    };
    let logged = station.log().clone();
    let serving = &Serving {
        log: &*logged,
        ..serving.clone()
    };
    let mut code = 130;
    while let Some(visit) = station.next(stop) {
        code = serve(serving, Box::new(visit), stop).map_err(|e| Failure::fault(e.to_string()))?;
        if args.once {
            break;
        }
    }
    station.close();
    Ok(code)
}

/// Refuses a name that another agent at the server has: coordinators could not tell the two apart.
fn refuse_twin(connection: &Connection, name: &str) -> Result<(), Failure> {
    let has_name = |agent: &Present| agent.name == name;
    let there = present(connection, LOOK, |all| all.iter().any(has_name));
    match there.map_err(failure)?.into_iter().find(has_name) {
        Some(_) => Err(Failure::usage(format!(
            "--name {name}: an agent of this name waits at the NATS server already; write another one, or leave it out"
        ))),
        None => Ok(()),
    }
}

/// A connection to `server`, as soon as that is there; `None` if `stop` is requested before.
fn connect(
    args: &Args,
    server: &Server,
    log: &Log,
    stop: &Stop,
) -> Result<Option<Connection>, Failure> {
    let mut is_told = false;
    while !stop.is_requested() {
        match args.nats.connect(server) {
            Ok(connection) => return Ok(Some(connection)),
            Err(error @ NatsError::Away { .. }) => {
                if !std::mem::replace(&mut is_told, true) {
                    log(&format!("{error}; trying again"));
                }
                stop.sleep_until(Instant::now() + AGAIN);
            }
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(None)
}
