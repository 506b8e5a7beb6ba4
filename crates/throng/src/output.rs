//! Where the summary goes.

use crate::Failure;
use crate::cli::{Common, OutputForm};
use std::io::{self, Write};
use throng_core::summary::Summary;
use throng_report::tcpkali::{self, TcpkaliReport};
use throng_report::{colour, file, json, text};

/// Prints or writes the summary as asked.
pub(crate) fn summary(summary: &Summary, common: &Common) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let colour = common.output_file.is_none() && colour::wanted(&io::stdout());
    let drawn = match common.output {
        OutputForm::Text => text::write_text(summary, &mut bytes, colour),
        OutputForm::Json => json::write_json(summary, &mut bytes),
        OutputForm::Tcpkali => tcpkali::write_result(&TcpkaliReport::of(summary), &mut bytes),
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the summary: {e}")))?;
    match &common.output_file {
        Some(path) => file::write_whole(path, &bytes).map_err(|e| Failure::fault(e.to_string())),
        None => to_stdout(&bytes),
    }
}

/// Refuses a summary that could not be written, before the run.
pub(crate) fn check(common: &Common) -> Result<(), Failure> {
    match &common.output_file {
        Some(path) => file::can_write(path).map_err(|e| Failure::usage(e.to_string())),
        None => Ok(()),
    }
}

/// Writes to stdout. A reader that has gone (`| head`) is no failure of ours.
pub(crate) fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::fault(format!("can't write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}
