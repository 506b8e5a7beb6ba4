//! `throng serve`: accepts connections and holds them.

use crate::cli::ServeArgs;
use crate::observers::{self, Telling};
use crate::{Failure, ask, output, signals, voice};
use throng_run::{Attached, Machine};

pub(crate) use crate::cli::ServeArgs as Args;

/// Runs it to its end. Returns the exit code.
pub(crate) fn run(args: &ServeArgs) -> Result<u8, Failure> {
    let scenario = ask::serve::scenario(args)?;
    output::check(&args.common)?;
    let machine = Machine::for_serve()?;
    let stop = signals::stop()?;
    let mut attached = Attached {
        observers: observers::of(&Telling {
            voice: voice::of(false),
            quiet: args.common.quiet,
            options: &scenario.options,
            asked: format!("{scenario:#?}"),
        })?,
        ..Attached::default()
    };
    let mut summary = throng_run::serve(&scenario, &machine, &mut attached, &stop)?;
    summary.command = std::env::args().collect();
    output::summary(&summary, &args.common)?;
    Ok(summary.exit_code())
}
