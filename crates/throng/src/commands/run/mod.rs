//! `throng run`: runs a scenario from a file.

mod args;

pub(crate) use args::Args;

use super::{load, proxy, serve};
use crate::ask::report::ReportOptions;
use crate::files::Named;
use crate::outputs::keep_samples;
use crate::{Failure, ask, output};
use throng_core::scenario::{LoadScenario, Scenario};

/// The load that the file asks for.
///
/// # Errors
/// It asks for a server, or for something that it can't.
pub(crate) fn asked(args: &Args) -> Result<load::Asked, Failure> {
    let report = ReportOptions::of(&args.shown, &args.latency, false)?;
    match ask::file::read(&args.file, &args.set)? {
        (Scenario::Load(scenario), inputs) => of_load(*scenario, report, inputs),
        (Scenario::Serve(_) | Scenario::Proxy(_), _) => Err(Failure::usage(format!(
            "{}: the scenario has no section [load], and a fleet runs a load",
            args.file.display()
        ))),
    }
}

fn of_load(
    mut scenario: LoadScenario,
    report: ReportOptions,
    inputs: Vec<Named>,
) -> Result<load::Asked, Failure> {
    report.check(&scenario)?;
    scenario.measure.samples |= keep_samples(&report.outputs);
    Ok(load::Asked {
        scenario,
        report,
        inputs,
    })
}

/// Runs the scenario to its end. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let report = ReportOptions::of(&args.shown, &args.latency, false)?;
    let (scenario, inputs) = ask::file::read(&args.file, &args.set)?;
    if args.print_scenario {
        let text = match &scenario {
            Scenario::Load(scenario) => ask::file::text_of_load(scenario)?,
            Scenario::Serve(scenario) => ask::file::text_of_serve(scenario)?,
            Scenario::Proxy(scenario) => ask::file::text_of_proxy(scenario)?,
        };
        return output::to_stdout(text.as_bytes()).map(|()| 0);
    }
    match scenario {
        Scenario::Load(scenario) => of_load(*scenario, report, inputs)?.run(false),
        Scenario::Serve(_) | Scenario::Proxy(_) if !report.dump.is_off() => Err(Failure::usage(
            "--dump-one and --dump-all print the traffic of a load, but the file has no section [load]",
        )),
        Scenario::Serve(scenario) => serve::carry_out(*scenario, &report, inputs),
        Scenario::Proxy(scenario) => proxy::carry_out(*scenario, &report, &inputs),
    }
}
