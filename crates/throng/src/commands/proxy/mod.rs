//! `throng proxy`: accepts connections, and opens one to a backend for each.

mod args;
mod ask;

use crate::ask::report::ReportOptions;
use crate::ask::{file, target};
use crate::files::Named;
use crate::outputs::Occasion;
use crate::{Failure, command_line, output, signals, terminal};
use args::RulesArg;
use throng_core::scenario::ProxyScenario;
use throng_core::transparent::Delivered;
use throng_report::json::Outcome;
use throng_report::transparent;
use throng_run::{Attached, Machine};

pub(crate) use args::ProxyArgs as Args;

/// Runs the proxy to its end, or prints its scenario or its rules. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let mut scenario = ask::scenario(args)?;
    let report = ReportOptions::of_server(&args.common, &args.outputs)?;
    if args.print_scenario {
        let text = file::text_of_proxy(&scenario)?;
        return output::to_stdout(text.as_bytes()).map(|()| 0);
    }
    if let Some(what) = args.print_rules {
        target::resolve_backends(&mut scenario.to)?;
        let (listens, backends) = (scenario.listening(), scenario.backends());
        let delivered = Delivered {
            answers: if scenario.transparent { &backends } else { &[] },
            clients: if scenario.to_original { &listens } else { &[] },
        };
        let text = match what {
            RulesArg::Add => transparent::rules(&delivered),
            RulesArg::Undo => transparent::undone(&delivered),
        };
        return output::to_stdout(text.as_bytes()).map(|()| 0);
    }
    carry_out(scenario, &report, &[])
}

/// Runs `scenario`, which was made of `inputs`, to its end. Returns the exit code.
pub(crate) fn carry_out(
    mut scenario: ProxyScenario,
    report: &ReportOptions,
    inputs: &[Named],
) -> Result<u8, Failure> {
    report.check_files(inputs)?;
    file::check(scenario.files_mut())?;
    let shown = file::shown_proxy(&scenario)?;
    let notes = target::resolve_backends(&mut scenario.to)?;
    if let Some(backend) = scenario.leads_to_itself() {
        return Err(Failure::usage(format!(
            "--to {backend}: this proxy listens there itself; name the server behind it"
        )));
    }
    let machine = Machine::for_proxy(&scenario)?;
    let stop = signals::stop()?;
    let mut attached = Attached {
        observers: terminal::observers(report, &Occasion::of_proxy(&report.latencies), shown)?,
        ..Attached::default()
    };
    notes.iter().for_each(|note| attached.note(note));
    let record = throng_run::proxy(&scenario, &machine, &mut attached, &stop)?;
    let outcome = Outcome::of(record.with_command(command_line::words()));
    report.finish(&outcome, || {
        output::outcome(&outcome, &report.common)?;
        Ok(outcome.summary.exit_code())
    })
}
