//! Where a comparison or a history is drawn to.

use super::args::Args;
use crate::{Failure, output};
use std::io;
use throng_report::{file, text};

/// How a comparison is drawn for people.
pub(super) fn form(args: &Args) -> text::Form {
    let (columns, colour) = output::columns_and_colour(args.file());
    text::Form {
        columns,
        colour,
        whole: false,
    }
}

/// Writes what was drawn to where it is wanted.
pub(super) fn written(args: &Args, drawn: io::Result<()>, bytes: &[u8]) -> Result<(), Failure> {
    drawn.map_err(|e| Failure::fault(format!("can't draw the comparison: {e}")))?;
    match args.file() {
        Some(path) => file::write_whole(path, bytes).map_err(|e| Failure::fault(e.to_string())),
        None => output::to_stdout(bytes),
    }
}

/// Writes the page, if it is wanted.
pub(super) fn page(args: &Args, drawn: String) -> Result<(), Failure> {
    match &args.report {
        Some(path) => {
            file::write_whole(path, drawn.as_bytes()).map_err(|e| Failure::fault(e.to_string()))
        }
        None => Ok(()),
    }
}
