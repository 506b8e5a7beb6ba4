//! For scripts: one JSON object. The summary is described field by field in docs/summary.md, the plan
//! and the survey in docs/plan.md.

use serde::Serialize;
use std::io::{self, Write};
use throng_core::host::{self, Host};

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
