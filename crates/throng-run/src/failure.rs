//! Why a run has no result.

use throng_core::plan::Shortfall;

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The plan refuses the run, because these limits are too low. Nothing was opened.
    #[error("{}", lines(.0))]
    Impossible(Vec<Shortfall>),
    /// The scenario asks for something impossible: an address in use, a certificate that cannot be read.
    #[error("{0}")]
    Refused(String),
    /// Something failed that was expected to work.
    #[error("{0}")]
    Fault(String),
}

impl Failure {
    pub(crate) fn refused(line: impl Into<String>) -> Failure {
        Failure::Refused(line.into())
    }

    pub(crate) fn fault(line: impl Into<String>) -> Failure {
        Failure::Fault(line.into())
    }
}

fn lines(shortfalls: &[Shortfall]) -> String {
    let lines: Vec<String> = shortfalls.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
