//! The result as an HTML table (`throng http -w`).

use super::http::{Lines, ab_style};
use std::io;
use throng_core::scenario::LoadScenario;
use throng_report::http::{Html, HttpResult};

/// A table with these attributes.
pub(crate) struct Table(pub Html);

impl Lines for Table {
    fn write(
        &self,
        result: &HttpResult,
        scenario: &LoadScenario,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.0.write(result, &ab_style(scenario), out)
    }
}
