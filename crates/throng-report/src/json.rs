//! The summary for scripts: one JSON object, described field by field in docs/summary.md.

use std::io::{self, Write};
use throng_core::summary::Summary;

/// Writes `summary` to `out` as one indented JSON object and a newline.
///
/// # Errors
/// What `out` says. A number that is not finite is written as `null`.
pub fn write_json(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, summary)?;
    out.write_all(b"\n")
}
