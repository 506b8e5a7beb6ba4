//! Why there is no result.

use throng_core::plan::Shortfall;

/// Why there is no result: lines for stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: u8,
    pub lines: Vec<String>,
}

impl Failure {
    /// Bad input or an impossible plan: exit code 2.
    pub fn usage(line: impl Into<String>) -> Failure {
        Failure {
            code: 2,
            lines: vec![line.into()],
        }
    }

    /// Something failed that was expected to work: exit code 1.
    pub fn fault(line: impl Into<String>) -> Failure {
        Failure {
            code: 1,
            lines: vec![line.into()],
        }
    }

    /// A run that the plan refuses.
    fn impossible(short: &[Shortfall]) -> Failure {
        let mut lines: Vec<String> = short.iter().map(ToString::to_string).collect();
        if short.iter().any(|s| s.allows > 0) {
            lines.push("`throng plan` shows all limits; --force runs anyway".into());
        }
        Failure { code: 2, lines }
    }
}

impl From<throng_run::Failure> for Failure {
    fn from(failure: throng_run::Failure) -> Failure {
        match failure {
            throng_run::Failure::Impossible(short) => Failure::impossible(&short),
            throng_run::Failure::Refused(line) => Failure::usage(line),
            throng_run::Failure::Fault(line) => Failure::fault(line),
        }
    }
}
