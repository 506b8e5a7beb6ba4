//! `throng http`: measures an HTTP server, with the options that users of ab, wrk and hey know.

mod args;
mod ask;

use super::load::carry_out;
use crate::{Failure, ask as asking, output};

pub(crate) use args::Args;

/// Runs the load to its end, or prints its scenario. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let scenario = ask::scenario(args)?;
    let report = ask::report(args)?;
    report.check(&scenario)?;
    if args.print_scenario {
        let text = asking::file::text_of_load(&scenario)?;
        return output::to_stdout(text.as_bytes()).map(|()| 0);
    }
    carry_out(scenario, &report, ask::inputs(args))
}
