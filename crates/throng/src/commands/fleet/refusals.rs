//! What a fleet can't do, and why one did not.

use crate::Failure;
use crate::ask::report::ReportOptions;
use throng_fleet::Refusal;

/// Refuses outputs that are about one process.
pub(super) fn check_outputs(report: &ReportOptions) -> Result<(), Failure> {
    if let Some(option) = report.outputs.iter().find_map(|o| o.only_here()) {
        return Err(Failure::usage(format!(
            "{option} is about a run in this process, and a fleet's is in others: leave it out"
        )));
    }
    match report.dump.is_off() {
        true => Ok(()),
        false => Err(Failure::usage(
            "--dump-one and --dump-all print the traffic of this process, and a fleet's is in others: leave them out",
        )),
    }
}

/// Why nothing was run.
pub(super) fn refused(why: Refusal) -> Failure {
    match why {
        Refusal::Impossible(lines) => Failure { code: 2, lines },
        Refusal::Fault(line) => Failure::fault(line),
        Refusal::Interrupted => Failure {
            code: 130,
            lines: vec!["interrupted before anything was opened".into()],
        },
    }
}
