//! For scripts: one JSON object. The result of a run is described field by field in docs/summary.md and as a JSON Schema
//! in docs/summary.schema.json, the plan and the survey in docs/plan.md.

use serde::Serialize;
use std::io::{self, Write};
use throng_core::host::{self, Host};
use throng_core::record::{Record, VERSION};
use throng_core::summary::{self, Summary};

/// The result of a run, or of several together: the summary, and the record that it is drawn from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What the record says.
    #[serde(flatten)]
    pub summary: Summary,
    /// What each source recorded.
    pub record: Record,
}

impl Outcome {
    /// What `record` says, with it.
    pub fn of(record: Record) -> Outcome {
        Outcome {
            summary: summary::of(&record),
            record,
        }
    }
}

/// Why bytes are not the result of a run; its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// They are not JSON, a field is missing, or one is not as it must be.
    #[error("not the result of a run: {0}{cut}", cut = if .0.is_eof() { " (it is cut off)" } else { "" })]
    Malformed(#[from] serde_json::Error),
    /// They are of another version.
    #[error("a result of version {0}, and this throng reads version {VERSION}")]
    Version(u64),
    /// They are JSON of something else.
    #[error("not the result of a run: it has no {0}")]
    Missing(&'static str),
}

/// Reads the record in the result of a run, as `--output json` prints it.
///
/// # Errors
/// Why there is none.
pub fn read_record(bytes: &[u8]) -> Result<Record, ReadError> {
    // The version first: the fields of another one may be others.
    let mut value: serde_json::Value = serde_json::from_slice(bytes)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(ReadError::Version(version)),
        None => return Err(ReadError::Missing("version")),
    }
    let record = value
        .get_mut("record")
        .ok_or(ReadError::Missing("record"))?;
    Ok(serde_json::from_value(record.take())?)
}

/// Writes `data` (a summary, a capacity, a host, what was tuned) to `out` as one indented JSON object and a newline.
///
/// # Errors
/// What `out` says. A number that is not finite is written as `null`.
pub fn write_json(data: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, data)?;
    out.write_all(b"\n")
}

/// Reads a survey.
///
/// # Errors
/// Why it is none, in one line: not JSON, cut off, of another version, a field that is missing or
/// unknown.
pub fn read_host(bytes: &[u8]) -> Result<Host, String> {
    let not_one = |e: serde_json::Error| {
        let cut = if e.is_eof() { " (it is cut off)" } else { "" };
        format!("not a survey: {e}{cut}")
    };
    // The version first: the fields of another one may be others.
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(not_one)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(host::VERSION) => {}
        Some(version) => {
            return Err(format!(
                "a survey of version {version}, and this throng reads version {}",
                host::VERSION
            ));
        }
        None => return Err("not a survey: it has no version".into()),
    }
    // From the text again, for the line number in the error.
    serde_json::from_slice(bytes).map_err(not_one)
}
