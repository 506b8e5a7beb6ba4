//! What the voices of programs that load HTTP servers share.

use super::speak::{Saying, Voice};
use super::throng::Throng;
use crate::Failure;
use crate::cli::{Common, OutputForm};
use crate::output;
use std::io::{self, IsTerminal};
use throng_core::observer::Note;
use throng_core::protocol::Protocol;
use throng_core::protocol::http::{HttpAsked, Most};
use throng_core::scenario::LoadScenario;
use throng_core::target::{self, Port, Spec};
use throng_report::http::{AbStyle, HttpResult};
use throng_report::json::Outcome;

/// The lines of a program for a result.
pub(crate) trait Lines {
    /// Writes them.
    fn write(
        &self,
        result: &HttpResult,
        scenario: &LoadScenario,
        out: &mut Vec<u8>,
    ) -> io::Result<()>;
}

impl<L: Lines> Voice for L {
    fn shows_progress(&self) -> bool {
        io::stderr().is_terminal()
    }

    fn note(&self, note: &Note, verbosity: u8) -> Option<Saying> {
        Throng.note(note, verbosity)
    }

    /// The exit code is 0 if as many requests were completed as were asked for; where a time ends the run, if any were.
    fn finish(
        &self,
        outcome: &Outcome,
        scenario: &LoadScenario,
        common: &Common,
    ) -> Result<u8, Failure> {
        let result = HttpResult::of(outcome);
        if common.output == OutputForm::Json {
            output::outcome(outcome, common)?;
        } else {
            let mut lines = Vec::new();
            self.write(&result, scenario, &mut lines)
                .map_err(|e| Failure::fault(format!("can't draw the result: {e}")))?;
            output::written(&lines, common)?;
        }
        let summary = &outcome.summary;
        // What was to be found is said in any case.
        if !summary.reached || summary.maximum.is_some() {
            for finding in &summary.findings {
                eprintln!("throng: {finding}");
            }
        }
        let found = summary.maximum.is_none() || summary.reached;
        let complete = found
            && match scenario.hold.length().or(scenario.duration) {
                Some(_) => result.completes_any(),
                None => result.is_complete(),
            };
        Ok(match (summary.interrupted, complete) {
            (true, _) => 130,
            (false, true) => 0,
            (false, false) => 1,
        })
    }
}

/// What is asked of HTTP.
fn asked(scenario: &LoadScenario) -> Option<&HttpAsked> {
    match &scenario.protocol {
        Protocol::Http(asked) => Some(asked),
        _ => None,
    }
}

/// What is requested: of a proxy, or the first target.
fn requested(scenario: &LoadScenario) -> Option<Spec> {
    let origin = asked(scenario).and_then(|asked| asked.origin.clone());
    match origin {
        Some(origin) => target::parse(&String::from(origin)).ok(),
        None => scenario.targets.first().map(|target| target.spec.clone()),
    }
}

/// A port as it is written.
fn port(spec: &Spec) -> String {
    match &spec.port {
        Port::Number(port) => port.to_string(),
        Port::Service(name) => name.clone(),
    }
}

/// What ab's lines say of the command line.
pub(crate) fn ab_style(scenario: &LoadScenario) -> AbStyle {
    let once = asked(scenario).and_then(|asked| asked.requests_per_connection);
    let spec = requested(scenario);
    let spec = spec.as_ref();
    AbStyle {
        host: spec.map(|spec| spec.host.clone()).unwrap_or_default(),
        port: spec.map(port).unwrap_or_default(),
        path: spec.map(|spec| spec.path.clone()).unwrap_or_default(),
        concurrency: scenario.connections.most(),
        keeps_alive: once != Some(Most::ONE),
        has_body: !scenario.messages.repeated.is_empty(),
        no_percentages: false,
        no_deviation: false,
    }
}
