//! Agents that wait at a NATS server, and what that keeps of their run.

use super::agents::Wanted;
use super::args::Args;
use super::nats::{connect, failure};
use super::office::{TOOL, answer};
use crate::{Failure, ask, command_line};
use std::time::{SystemTime, UNIX_EPOCH};
use throng_core::observer::Note;
use throng_core::scenario::LoadScenario;
use throng_fleet::nats::{self, Begun, Connection, Far, FindError, Plans, Present, Server};
use throng_fleet::{Keeper, Terms, Transport, message};
use throng_run::{Attached, Stop};

/// A coordinator at a NATS server, once it needs one.
pub(super) struct Meeting<'a> {
    args: &'a Args,
    run: &'a str,
    token: Option<&'a str>,
    at: Option<(Server, Connection)>,
    agents: Vec<Present>,
}

impl<'a> Meeting<'a> {
    /// Of the run of this name.
    pub fn new(args: &'a Args, run: &'a str, token: Option<&'a str>) -> Meeting<'a> {
        Meeting {
            args,
            run,
            token,
            at: None,
            agents: Vec::new(),
        }
    }

    /// Ways to the agents that are wanted, once they are there.
    pub fn find(
        &mut self,
        wanted: &Wanted,
        attached: &mut Attached,
        stop: &Stop,
    ) -> Result<Vec<Box<dyn Transport>>, Failure> {
        let (_, connection) = match &mut self.at {
            Some(at) => at,
            at => at.insert(connect(&self.args.nats)?),
        };
        let wanted = match wanted {
            Wanted::Any => nats::Wanted::Any,
            Wanted::Number(n) => nats::Wanted::Number(*n as usize),
            Wanted::Names(names) => nats::Wanted::Names(names.clone()),
        };
        let tell = |line| attached.note(&Note::Fleet(line));
        let found = nats::find(connection, &wanted, self.args.nats_wait, tell, stop);
        let found = found.map_err(missing)?;
        let way = |agent: &Present| -> Box<dyn Transport> {
            let (run, token) = (self.run.to_owned(), self.token.map(str::to_owned));
            Box::new(Far::new(connection, &agent.into(), run, token))
        };
        let ways = found.iter().map(way).collect();
        self.agents.extend(found);
        Ok(ways)
    }

    /// Has the server keep the run, if all of its `agents` are there and it can, and answers for it. What is lost if it can't is told.
    pub fn keep(
        &self,
        scenario: &LoadScenario,
        terms: &Terms,
        agents: usize,
        attached: &mut Attached,
        stop: &Stop,
    ) -> Result<Option<Box<dyn Keeper>>, Failure> {
        let Some((server, connection)) = &self.at else {
            return Ok(None);
        };
        answer(connection, self.run, terms, agents, attached, stop)?;
        if self.agents.len() < agents {
            // Those that this process has started end with it.
            return Ok(None);
        }
        let run = self.run;
        if let Err(error) = connection.keep() {
            let line = format!(
                "{error}: this run is not kept, and if its coordinator dies, no other one can go on with it"
            );
            attached.note(&Note::Fleet(line));
            return Ok(None);
        }
        let line = format!(
            "run {run} is kept at NATS server {server}: throng fleet attach {run} goes on with it if this coordinator dies"
        );
        attached.note(&Note::Fleet(line));
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let begun = Begun {
            version: message::VERSION,
            tool: TOOL.into(),
            unix_s: since.map_or(0.0, |since| since.as_secs_f64()),
            command: command_line::words(),
            // Private keys are in the orders to agents only.
            scenario: ask::file::shown_load(scenario)?,
            connections: terms.connections,
            on_loss: terms.on_loss,
            lost_after: terms.lost_after,
            connect_latency: terms.latencies.connect,
            percentiles: terms.latencies.percentiles.clone(),
            agents: self.agents.iter().map(Into::into).collect(),
        };
        Ok(Some(Box::new(Plans::new(connection, run, Some(begun)))))
    }
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
