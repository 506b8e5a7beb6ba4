//! `throng serve`: accepts connections and holds them.

use crate::ask::report::ReportOptions;
use crate::cli::ServeArgs;
use crate::files::Named;
use crate::keys::Keys;
use crate::outputs::Occasion;
use crate::{Failure, ask, command_line, output, signals, terminal};
use throng_core::scenario::ServeScenario;
use throng_report::json::Outcome;
use throng_run::{Attached, Dial, Machine};

pub(crate) use crate::cli::ServeArgs as Args;

/// Runs the server to its end, or prints its scenario. Returns the exit code.
pub(crate) fn run(args: &ServeArgs) -> Result<u8, Failure> {
    let scenario = ask::serve::scenario(args)?;
    let report = ReportOptions::of_server(&args.common, &args.outputs)?;
    if args.print_scenario {
        let text = ask::file::text_of_serve(&scenario)?;
        return output::to_stdout(text.as_bytes()).map(|()| 0);
    }
    let inputs = ask::texts::inputs(&args.messages);
    carry_out(scenario, &report, inputs)
}

/// Runs `scenario`, which was made of `inputs`, to its end. Returns the exit code.
pub(crate) fn carry_out(
    mut scenario: ServeScenario,
    report: &ReportOptions,
    mut inputs: Vec<Named>,
) -> Result<u8, Failure> {
    ask::file::check(scenario.files_mut())?;
    inputs.extend(
        scenario
            .files_mut()
            .map(|(option, path)| Named::new(option, &*path)),
    );
    report.check_files(&inputs)?;
    let machine = Machine::for_serve(&scenario)?;
    let stop = signals::stop()?;
    let keys = report.fills_screen();
    let keys = keys.then(|| Keys::take(&Dial::new(), &stop)).flatten();
    let mut attached = Attached {
        observers: terminal::observers(
            report,
            &Occasion::of_server(&scenario, &report.latencies),
            ask::file::shown_serve(&scenario)?,
        )?,
        ..Attached::default()
    };
    let record = throng_run::serve(&scenario, &machine, &mut attached, &stop)?;
    drop(keys);
    let outcome = Outcome::of(record.with_command(command_line::words()));
    report.finish(&outcome, || {
        output::outcome(&outcome, &report.common)?;
        Ok(outcome.summary.exit_code())
    })
}
