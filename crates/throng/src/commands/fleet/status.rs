//! `throng fleet status`: which agents wait at a NATS server, and which runs go on there.

use super::nats::{Nats, connect, failure};
use crate::Failure;
use crate::cli::DocumentForm;
use crate::output::to_stdout;
use serde::Serialize;
use std::time::Duration;
use throng_core::human::{count, seconds, things};
use throng_fleet::Decision;
use throng_fleet::nats::{self, Past, Present, Running};
use throng_report::utc::date_and_time;

/// How long agents and coordinators may take to answer.
const ANSWERS: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  throng fleet status --nats nats://127.0.0.1
      Agents that are there, runs that go on or are kept.
  throng fleet status --nats nats://127.0.0.1 --output json
      The same for scripts.";

const CODES: &str = "\
Exit codes: 0 printed, also if nobody is there; 1 the NATS server is out of reach; 2 bad usage.";

/// Show the agents that wait at a NATS server, and the runs that go on or are kept there
///
/// Agents and coordinators have half a second each to answer.
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    nats: Nats,

    /// Format; docs/fleet.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: DocumentForm,
}

/// All that is there.
#[derive(Serialize)]
struct Status {
    /// Host and port of the server.
    server: String,
    agents: Vec<Present>,
    runs: Vec<Run>,
    /// Why runs that are over are not among them.
    kept_nothing: Option<String>,
}

/// A run.
#[derive(Serialize)]
struct Run {
    run: String,
    state: State,
    /// When it began, in seconds since 1970; `None` if it is not kept.
    began_unix_s: Option<f64>,
    /// Its agents that are there.
    agents: Vec<String>,
    /// What its coordinator says.
    coordinator: Option<Running>,
}

/// What becomes of a run.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its coordinator is there.
    Running,
    /// Its coordinator is gone, and has left no result.
    Left,
    /// Its result was there.
    Over,
}

/// Prints the status. Returns the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let (server, connection) = connect(&args.nats)?;
    let kept = connection.pasts();
    let mut agents = nats::present(&connection, ANSWERS, |_| false).map_err(failure)?;
    agents.sort_by(|a, b| (&a.name, &a.instance).cmp(&(&b.name, &b.instance)));
    let running = connection.running_now(ANSWERS).map_err(failure)?;
    let kept_nothing = kept.as_ref().err().map(ToString::to_string);
    let status = Status {
        server: server.to_string(),
        runs: runs(running, kept.unwrap_or_default(), &agents),
        agents,
        kept_nothing,
    };
    let text = match args.output {
        DocumentForm::Text => text(&status),
        DocumentForm::Json => {
            let json = serde_json::to_string_pretty(&status);
            json.map_err(|e| Failure::fault(e.to_string()))? + "\n"
        }
    };
    to_stdout(text.as_bytes())?;
    Ok(0)
}

/// All runs, in the order in which they began.
fn runs(
    running: Vec<Running>,
    kept: impl IntoIterator<Item = (String, Past)>,
    agents: &[Present],
) -> Vec<Run> {
    let of = |run: &str| -> Vec<String> {
        let its = agents.iter().filter(|a| a.run.as_deref() == Some(run));
        its.map(|agent| agent.name.clone()).collect()
    };
    let mut runs: Vec<Run> = running
        .into_iter()
        .map(|running| Run {
            run: running.run.clone(),
            state: State::Running,
            began_unix_s: None,
            agents: of(&running.run),
            coordinator: Some(running),
        })
        .collect();
    for (name, past) in kept {
        let began_unix_s = Some(past.begun.unix_s);
        if let Some(known) = runs.iter_mut().find(|run| run.run == name) {
            known.began_unix_s = began_unix_s;
            continue;
        }
        runs.push(Run {
            state: match past.decisions.contains(&Decision::End) {
                true => State::Over,
                false => State::Left,
            },
            began_unix_s,
            agents: of(&name),
            coordinator: None,
            run: name,
        });
    }
    // Names begin with the time.
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    runs
}

/// For people.
fn text(status: &Status) -> String {
    let mut lines = vec![format!(
        "{} at NATS server {}",
        things(status.agents.len() as u64, "agent"),
        status.server
    )];
    let names = status.agents.iter().map(|agent| agent.name.len());
    let width = names.max().unwrap_or(0);
    for agent in &status.agents {
        let doing = match &agent.run {
            Some(run) => format!("belongs to run {run}"),
            None => "free".into(),
        };
        lines.push(format!("  {:width$}  {doing}", agent.name));
    }
    lines.push(match &status.kept_nothing {
        Some(why) => format!(
            "{}; those that are over are not known: {why}",
            things(status.runs.len() as u64, "run")
        ),
        None => things(status.runs.len() as u64, "run"),
    });
    for run in &status.runs {
        let began = run.began_unix_s.map_or_else(String::new, |unix_s| {
            format!(", begun at {}Z", date_and_time(unix_s))
        });
        lines.push(format!("  {}  {}{began}", run.run, run.doing()));
    }
    lines.join("\n") + "\n"
}

impl Run {
    /// What it does, for people.
    fn doing(&self) -> String {
        let attach = format!("throng fleet attach {}", self.run);
        match (&self.coordinator, self.state) {
            (Some(coordinator), _) => progress(coordinator),
            (None, State::Over) => format!("over: {attach} prints its result"),
            (None, _) => format!(
                "its coordinator is gone; {} in it: {attach} goes on",
                match self.agents.len() {
                    0 => "no agent is still".into(),
                    1 => "1 agent is still".into(),
                    n => format!("{} agents are still", count(n as u64)),
                },
            ),
        }
    }
}

/// How far a run is, for people.
fn progress(run: &Running) -> String {
    let there = format!(
        "{}, coordinator on {}",
        things(run.agents, "agent"),
        run.host
    );
    let Some(phase) = run.phase else {
        return format!("is being planned: {there}");
    };
    let left = run
        .left_s
        .map_or_else(String::new, |s| format!(", {} left", seconds(s)));
    format!(
        "{} after {}{left}: {} of {} open, {there}",
        phase.name(),
        seconds(run.at_s),
        count(run.open),
        things(run.asked, "connection"),
    )
}
