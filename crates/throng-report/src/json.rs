//! JSON for scripts: one object. docs/summary.md and the JSON Schema docs/summary.schema.json describe the result of a
//! run, docs/plan.md the plan and the survey.

use crate::html::embed;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use throng_core::host::{self, Host};
use throng_core::record::{Record, VERSION};
use throng_core::summary::{self, Summary};

/// The result of a run, or of several merged: the record, and the summary of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The summary of the record.
    #[serde(flatten)]
    pub summary: Summary,
    /// What each source recorded.
    pub record: Record,
}

impl Outcome {
    /// The result that `record` holds.
    pub fn of(record: Record) -> Outcome {
        Outcome {
            summary: summary::of(&record),
            record,
        }
    }
}

/// Why bytes are not the result of a run. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// They are not JSON, or a field is missing or has a wrong value.
    #[error("not the result of a run: {0}{cut}", cut = if .0.is_eof() { " (it is cut off)" } else { "" })]
    Malformed(#[from] serde_json::Error),
    /// They have another version.
    #[error("a result of version {0}; this throng reads version {VERSION}")]
    Version(u64),
    /// They are another JSON document.
    #[error("not the result of a run: it has no {0}")]
    Missing(&'static str),
    /// They begin otherwise.
    #[error("not the result of a run: neither a JSON object nor a page")]
    Neither,
    /// They are a page without any result.
    #[error("a page without the result of a run")]
    NoResult,
    /// They are a page of several results, where one is wanted.
    #[error("a page of {0} results, not of one")]
    Several(usize),
}

/// Reads the record in the result of a run: as `--output json` prints it, or in a page ([`html`](crate::html)).
///
/// # Errors
/// The bytes are not a result of this version, or a page with none or several.
pub fn read_record(bytes: &[u8]) -> Result<Record, ReadError> {
    let mut all = read_records(bytes)?;
    match (all.pop(), all.len()) {
        (Some(only), 0) => Ok(only),
        (_, more) => Err(ReadError::Several(more + 1)),
    }
}

/// Reads the record in each result of a page, of which there is at least one; of JSON, the only one.
///
/// # Errors
/// The bytes are not a result of this version, or a page without any.
pub fn read_records(bytes: &[u8]) -> Result<Vec<Record>, ReadError> {
    if !embed::is_page(bytes) {
        return Ok(vec![record_of(bytes)?]);
    }
    let all: Vec<Record> = embed::found(embed::Kind::Result, bytes)
        .map(record_of)
        .collect::<Result<_, _>>()?;
    match all.is_empty() {
        true => Err(ReadError::NoResult),
        false => Ok(all),
    }
}

/// The version of a result, of whatever version it is. All else is skipped, so that a large document that is no result takes no
/// memory besides its text.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Version {
    #[serde(default)]
    version: serde_json::Value,
}

/// A result of this version.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct OfThisVersion {
    record: Option<Record>,
}

/// The record in a result as JSON.
fn record_of(json: &[u8]) -> Result<Record, ReadError> {
    // The version first: another version may have other fields.
    let Version { version } = serde_json::from_slice(json)?;
    match version.as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(ReadError::Version(version)),
        None => return Err(ReadError::Missing("version")),
    }
    let OfThisVersion { record } = serde_json::from_slice(json)?;
    record.ok_or(ReadError::Missing("record"))
}

/// Refuses bytes that begin as no result does, so that not all of a large file has to be read.
///
/// # Errors
/// They begin neither as a JSON object nor as a page.
pub fn may_be_result(beginning: &[u8]) -> Result<(), ReadError> {
    match beginning.trim_ascii_start().first() {
        None | Some(b'{' | b'<') => Ok(()),
        Some(_) => Err(ReadError::Neither),
    }
}

/// Writes `data` (a summary, a capacity, a host, a tuning report) to `out` as one indented JSON object and a newline.
/// Numbers that are not finite become `null`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_json(data: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, data)?;
    out.write_all(b"\n")
}

/// Why bytes are not a survey. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// They are not JSON, or a field is missing, unknown or has a wrong value.
    #[error("not a survey: {0}{cut}", cut = if .0.is_eof() { " (it is cut off)" } else { "" })]
    Malformed(#[from] serde_json::Error),
    /// They have another version.
    #[error("a survey of version {0}; this throng reads version {known}", known = host::VERSION)]
    Version(u64),
    /// They have no version.
    #[error("not a survey: it has no version")]
    NoVersion,
}

/// Reads a survey.
///
/// # Errors
/// The bytes are not a survey of this version.
pub fn read_host(bytes: &[u8]) -> Result<Host, SurveyError> {
    // The version first: another version may have other fields.
    let value: serde_json::Value = serde_json::from_slice(bytes)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(host::VERSION) => {}
        Some(version) => return Err(SurveyError::Version(version)),
        None => return Err(SurveyError::NoVersion),
    }
    // From the text again, for the line number in the error.
    Ok(serde_json::from_slice(bytes)?)
}
