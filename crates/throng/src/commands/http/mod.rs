//! `throng http`: measures an HTTP server, with the options that users of ab, wrk and hey know.

mod args;
mod ask;

use super::load::Asked;
use crate::Failure;

pub(crate) use args::Args;

/// What the command line asks for.
pub(crate) fn asked(args: &Args) -> Result<Asked, Failure> {
    let scenario = ask::scenario(args)?;
    let report = ask::report(args)?;
    report.check(&scenario)?;
    Ok(Asked {
        scenario,
        report,
        inputs: ask::inputs(args),
    })
}

/// Runs the load to its end, or prints its scenario. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    asked(args)?.run(args.print_scenario)
}
