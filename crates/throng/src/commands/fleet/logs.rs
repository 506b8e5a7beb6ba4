//! `throng fleet logs`: what agents log, as a NATS server has kept it.

use super::nats::{Nats, connect, failure};
use crate::output::to_stdout;
use crate::{Failure, signals};
use std::time::Duration;
use throng_fleet::nats::{self, Logged, is_name};
use throng_report::utc::date_and_time;

/// How long agents may take to say that they are there.
const ANSWERS: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  throng fleet logs --nats nats://127.0.0.1
      Orders that all agents took or refused, of the last day.
  throng fleet logs web-3 --nats nats://127.0.0.1 --follow
      Those of one agent, and what follows, until Ctrl-C.";

const CODES: &str = "\
Exit codes: 0 printed; 1 the NATS server is out of reach, or keeps nothing (JetStream is off); 2 bad usage, or \
no agent has that name; 130 interrupted.";

/// Print what agents have logged: orders that they took, and what they refused
///
/// A line has the time at which it came to the server (UTC), the agent's name, and what the agent says.
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct Args {
    /// Name of an agent [default: all]
    #[arg(value_name = "AGENT", value_parser = agent_name)]
    agent: Option<String>,

    /// Go on with lines that come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    #[command(flatten)]
    nats: Nats,
}

/// The name of an agent.
fn agent_name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("write the name of an agent, as throng fleet status prints it".into()),
    }
}

/// Prints the logs. Returns the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let agent = args.agent.as_deref();
    if args.follow {
        // Before there are other threads.
        let stop = signals::stop()?;
        let (_, connection) = connect(&args.nats)?;
        let mut printed = Ok(());
        let take = |logged: Logged| {
            printed = to_stdout(line(&logged).as_bytes());
            printed.is_ok()
        };
        let followed = connection.follow_logs(agent, take, &stop);
        followed.map_err(failure)?;
        return printed.map(|()| 130);
    }
    let (_, connection) = connect(&args.nats)?;
    let logs = connection.logs(agent).map_err(failure)?;
    if let Some(name) = agent.filter(|_| logs.is_empty()) {
        let is_it = |present: &nats::Present| present.name == name;
        let any = |all: &[nats::Present]| all.iter().any(is_it);
        let present = nats::present(&connection, ANSWERS, any).map_err(failure)?;
        if !any(&present) {
            return Err(Failure::usage(format!(
                "nothing is kept of an agent {name}, and none of that name is there: throng fleet status lists those that are"
            )));
        }
    }
    let lines: String = logs.iter().map(line).collect();
    to_stdout(lines.as_bytes())?;
    Ok(0)
}

/// A line of a log.
fn line(logged: &Logged) -> String {
    let ms = (logged.unix_s.fract() * 1e3) as u32;
    let at = date_and_time(logged.unix_s);
    // What an agent writes may be anything.
    let text = logged.line.escape_debug();
    format!("{at}.{ms:03}Z {}: {text}\n", logged.agent)
}
