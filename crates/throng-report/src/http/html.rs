//! The result as an HTML table, as ab's `-w`.

use super::ab::lines;
use super::{AbStyle, HttpResult};
use std::io::{self, Write};

/// The attributes of an HTML table, as the user gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html {
    /// Those of `<table>`.
    pub table: String,
    /// Those of each `<tr>`.
    pub tr: String,
    /// Those of each `<td>`.
    pub td: String,
}

impl Html {
    /// Writes the table of `result`.
    ///
    /// # Errors
    /// Writing to `out` failed.
    pub fn write(
        &self,
        result: &HttpResult,
        style: &AbStyle,
        out: &mut impl Write,
    ) -> io::Result<()> {
        writeln!(out, "<table {}>", self.table)?;
        for (label, value) in lines(result, style) {
            writeln!(
                out,
                "<tr {tr}><td {td}>{label}:</td><td {td}>{}</td></tr>",
                escaped(&value),
                tr = self.tr,
                td = self.td
            )?;
        }
        writeln!(out, "</table>")
    }
}

/// `text` in which nothing is taken for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
