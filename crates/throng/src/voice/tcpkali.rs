//! tcpkali's voice: its lines before, during and after a run, and its exit codes.

use super::speak::{Saying, Voice};
use super::throng::Throng;
use crate::Failure;
use crate::cli::Common;
use crate::output;
use std::io::{self, IsTerminal, Write};
use throng_core::observer::Note;
use throng_core::pacing::Ending;
use throng_core::protocol::Protocol;
use throng_core::scenario::LoadScenario;
use throng_core::summary::{Finding, Summary};
use throng_host::interface;
use throng_report::json::Outcome;
use throng_report::tcpkali::{self, Start, Way};

pub(super) struct Tcpkali;

impl Voice for Tcpkali {
    /// tcpkali sends no `User-Agent`.
    fn defaults(&self, protocol: &mut Protocol) {
        if let Protocol::Websocket(asked) = protocol {
            asked.user_agent = false;
        }
    }

    /// Prints the targets, the source addresses and the addresses that are listened on.
    fn start(&self, scenario: &LoadScenario) {
        let way = |to: &std::net::SocketAddr| {
            let from = interface::for_target(*to)?;
            Some(Way {
                to: *to,
                interface: from.name,
                addresses: from.addresses,
            })
        };
        let destinations = scenario.addresses();
        let listening = scenario.listen.iter().flat_map(|l| &l.on);
        let start = Start {
            sources: scenario.connect.sources().collect(),
            ways: destinations.iter().filter_map(way).collect(),
            destinations,
            listening: listening.map(|at| at.0).collect(),
        };
        // A closed stdout is not an error.
        let _ = tcpkali::write_start(&start, &mut io::stdout().lock());
    }

    fn shows_progress(&self) -> bool {
        io::stderr().is_terminal()
    }

    fn note(&self, note: &Note, verbosity: u8) -> Option<Saying> {
        match note {
            // Printed at the start.
            Note::Listening(_) => None,
            Note::SmallBuffer { option, .. } => Some(Saying::Stderr(tcpkali::no_effect(option))),
            Note::Ramped { asked, all, limit } => Some(match all {
                true => Saying::Stdout(tcpkali::ramped_up(*asked)),
                false => Saying::Stderr(tcpkali::not_ramped_up(*asked, *limit)),
            }),
            _ => Throng.note(note, verbosity),
        }
    }

    fn finish(
        &self,
        outcome: &Outcome,
        scenario: &LoadScenario,
        common: &Common,
    ) -> Result<u8, Failure> {
        let summary = &outcome.summary;
        if let (Some(1..), Some(text)) = (summary.stops_seen, &scenario.measure.stop_at) {
            let line = tcpkali::stopped(text);
            let _ = writeln!(io::stdout().lock(), "{line}");
        }
        for failure in summary.findings.iter().filter(|f| tcpkali::is_failure(f)) {
            // If they are merely too few, that was printed when the time was over.
            if !matches!(failure, Finding::ConnectionsMissing { .. }) {
                eprintln!("{failure}");
            }
        }
        if has_result(summary) {
            output::outcome(outcome, common)?;
        }
        if let Some(line) = no_best_rate(summary, scenario) {
            eprintln!("{line}");
        }
        Ok(tcpkali::exit_code(summary))
    }
}

/// Whether there is a result: none if not all connections were established in time.
fn has_result(summary: &Summary) -> bool {
    let missing = |f: &Finding| {
        matches!(
            f,
            Finding::ConnectionsMissing { .. } | Finding::HandshakesMissing { .. }
        )
    };
    summary.interrupted || !summary.findings.iter().any(missing)
}

/// The line for a search that found nothing, printed on stderr as tcpkali does.
fn no_best_rate(summary: &Summary, scenario: &LoadScenario) -> Option<String> {
    let search = summary.search.as_ref()?;
    if search.is_settled() || summary.interrupted {
        return None;
    }
    let at_most = scenario.pace.sending.search().and_then(|s| s.at_most);
    let limit = at_most.filter(|_| search.ending == Ending::Unfinished);
    Some(tcpkali::no_best_rate(&search.under, limit))
}
