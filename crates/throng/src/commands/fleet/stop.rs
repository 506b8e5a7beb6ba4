//! `throng fleet stop`: ends a run from anywhere.

use super::nats::{Nats, connect, failure, run_name};
use crate::Failure;
use crate::files::token;
use crate::output::to_stdout;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::human::things;
use throng_fleet::nats::{self, Present};

/// How long agents may take to say which run they belong to.
const ANSWERS: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  throng fleet stop 5f3a9-1c2b --nats nats://127.0.0.1
      What Ctrl-C does at the run's coordinator.";

const CODES: &str = "\
Exit codes: 0 the run stops; 1 the NATS server is out of reach; 2 bad usage, no such run goes on, or the token is wrong.";

/// Stop a run: agents close their connections, and its coordinator prints the summary so far
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct Args {
    /// The run, by the name that its coordinator has printed (throng fleet status)
    #[arg(value_name = "RUN", value_parser = run_name)]
    run: String,

    #[command(flatten)]
    nats: Nats,

    /// File whose first line the run's coordinator has given its agents (its own --token-file)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Stops the run. Returns the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    let (_, connection) = connect(&args.nats)?;
    let run = args.run.as_str();
    let line = match connection.stop(run, token.as_deref()).map_err(failure)? {
        Some(Ok(())) => format!("run {run} stops, and its coordinator prints the summary\n"),
        Some(Err(why)) => return Err(Failure::usage(format!("run {run} goes on: {why}"))),
        None => {
            let present = nats::present(&connection, ANSWERS, |_| false).map_err(failure)?;
            let its = |agent: &&Present| agent.run.as_deref() == Some(run);
            let its: Vec<&Present> = present.iter().filter(its).collect();
            if its.is_empty() {
                return Err(Failure::usage(format!(
                    "no run {run} goes on: throng fleet status lists those that do"
                )));
            }
            for agent in &its {
                let ordered = connection.stop_agent(run, agent, token.as_deref());
                ordered.map_err(failure)?;
            }
            format!(
                "run {run} has no coordinator; its {} were ordered to stop. throng fleet attach {run} prints the summary\n",
                things(its.len() as u64, "agent")
            )
        }
    };
    to_stdout(line.as_bytes())?;
    Ok(0)
}
