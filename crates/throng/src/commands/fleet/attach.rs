//! `throng fleet attach`: goes on with a run whose coordinator died.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use super::nats::{Nats, connect, failure, run_name};
use super::office::answer;
use super::refusals::{check_outputs, refused};
use crate::ask::report::ReportOptions;
use crate::cli::{EXIT_CODES, OutputArgs};
use crate::commands::load::Asked;
use crate::files::token;
use crate::{Failure, signals};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::record::Record;
use throng_core::scenario::{LoadScenario, Scenario, file};
use throng_fleet::nats::{self, Connection, Far, Member, Past, Plans};
use throng_fleet::{Fleet, Transport, conduct, message};

/// How long agents may take to say which run they belong to.
const ANSWERS: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  throng fleet attach 5f3a9-1c2b --nats nats://127.0.0.1
      The coordinator of this run died: go on, and print the summary.
  throng fleet attach 5f3a9-1c2b --nats nats://127.0.0.1 --output json
      A run that is over: its result, once more.";

/// Go on with a run whose coordinator died, or print the summary of one that is over
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The run, by the name that its coordinator has printed (throng fleet status)
    #[arg(value_name = "RUN", value_parser = run_name)]
    run: String,

    #[command(flatten)]
    nats: Nats,

    /// File whose first line agents ask for that have a --token-file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    #[command(flatten)]
    shown: OutputArgs,
}

/// Goes on with the run. Returns the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    // Before there are other threads.
    let stop = signals::stop()?;
    let (_, connection) = connect(&args.nats)?;
    let name = args.run.as_str();
    if let Some(running) = connection.running(name).map_err(failure)? {
        return Err(Failure::fault(format!(
            "run {name} has a coordinator, on {}: it prints the summary",
            running.host
        )));
    }
    let Past { begun, decisions } = past(&connection, name)?;
    let scenario = read(&begun.scenario)?;
    let mut report = ReportOptions::of(&args.shown, &Default::default(), false)?;
    report.latencies = begun.latencies();
    report.check(&scenario)?;
    check_outputs(&report)?;
    let asked = Asked {
        scenario,
        report,
        inputs: Vec::new(),
    };
    let keys = false;
    asked.carry_out_until(
        &stop,
        keys,
        |_, attached, stop| -> Result<Record, Failure> {
            let terms = begun.terms(token);
            let agents = ways(&connection, name, &begun.agents, terms.token.as_deref())?;
            answer(&connection, name, &terms, agents.len(), attached, stop)?;
            let fleet = Fleet {
                run: name.to_owned(),
                terms,
                agents,
                keeper: Some(Box::new(Plans::new(&connection, name, None))),
                follows: Some(decisions),
            };
            let over = conduct(fleet, &mut attached.observers, stop).map_err(refused)?;
            Ok(over.record.with_command(begun.command))
        },
    )
}

/// What is kept of the run of this name.
fn past(connection: &Connection, name: &str) -> Result<Past, Failure> {
    let past = connection.past(name).map_err(failure)?;
    let Some(past) = past else {
        return Err(Failure::usage(format!(
            "nothing is kept of a run {name}: throng fleet status lists those that are"
        )));
    };
    match past.begun.version {
        message::VERSION => Ok(past),
        version => Err(Failure::usage(format!(
            "run {name} is of version {version} of the fleet's protocol ({}), and this throng speaks version {}",
            past.begun.tool,
            message::VERSION
        ))),
    }
}

/// Ways to the agents of a run that has begun.
fn ways(
    connection: &Connection,
    run: &str,
    agents: &[Member],
    token: Option<&str>,
) -> Result<Vec<Box<dyn Transport>>, Failure> {
    let is_there = |all: &[nats::Present], agent: &Member| {
        all.iter().any(|present| present.instance == agent.instance)
    };
    let all_there = |all: &[nats::Present]| agents.iter().all(|agent| is_there(all, agent));
    let present = nats::present(connection, ANSWERS, all_there).map_err(failure)?;
    let way = |agent: &Member| -> Box<dyn Transport> {
        let known = present.iter().find(|p| p.instance == agent.instance);
        // One that does not answer may be cut off for now.
        let has_left = known.is_some_and(|p| p.run.as_deref() != Some(run));
        let far = Far::new(connection, agent, run.to_owned(), token.map(str::to_owned));
        Box::new(far.following(has_left))
    };
    Ok(agents.iter().map(way).collect())
}

/// The scenario that is kept.
fn read(text: &str) -> Result<LoadScenario, Failure> {
    let no_files = |_: &str| Err(io::Error::other("what is kept has its messages in it"));
    match file::read(text, "the scenario that is kept", &[], &no_files) {
        Ok(Scenario::Load(scenario)) => Ok(*scenario),
        Ok(_) => Err(Failure::fault("the scenario that is kept is no load")),
        Err(e) => Err(Failure::fault(e.to_string())),
    }
}
