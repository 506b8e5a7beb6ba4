//! Prints the result of a run, or writes it to a file.

use crate::Failure;
use crate::cli::{Common, DETAILS, OutputForm};
use std::io::{self, Write};
use std::path::Path;
use throng_report::json::Outcome;
use throng_report::tcpkali::{self, TcpkaliReport};
use throng_report::text::{self, Form};
use throng_report::{colour, file, json, page};

/// Prints a run's result, or writes it to a file, as `asked`.
pub(crate) fn outcome(outcome: &Outcome, asked: &Common) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let summary = &outcome.summary;
    let drawn = match asked.output {
        OutputForm::Text => text::write_text(summary, &mut bytes, &form(asked)),
        OutputForm::Json => json::write_json(outcome, &mut bytes),
        OutputForm::Tcpkali => tcpkali::write_result(&TcpkaliReport::of(summary), &mut bytes),
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the summary: {e}")))?;
    written(&bytes, asked)
}

/// Prints a result that is drawn, or writes it to a file, as `asked`.
pub(crate) fn written(bytes: &[u8], asked: &Common) -> Result<(), Failure> {
    match asked.file() {
        Some(path) => file::write_whole(path, bytes).map_err(|e| Failure::fault(e.to_string())),
        None => to_stdout(bytes),
    }
}

/// How the summary is written for people.
fn form(asked: &Common) -> Form {
    let (columns, colour) = columns_and_colour(asked.file());
    Form {
        columns,
        colour,
        whole: asked.verbosity() >= DETAILS,
    }
}

/// The width of a report that goes to a file or, without one, to stdout: that of the terminal, but not wider than in a file.
/// And whether it is in colour.
pub(crate) fn columns_and_colour(file: Option<&Path>) -> (usize, bool) {
    let in_file = Form::default();
    match file {
        Some(_) => (in_file.columns, in_file.colour),
        None => (
            page::columns().min(in_file.columns),
            colour::wanted(&io::stdout()),
        ),
    }
}

/// Writes to stdout. A reader that has gone away (`| head`) is not an error.
pub(crate) fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::fault(format!("can't write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}
