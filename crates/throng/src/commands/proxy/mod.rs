//! `throng proxy`: accepts connections, and opens one to a backend for each.

mod args;

use crate::ask::report::ReportOptions;
use crate::outputs::Occasion;
use crate::{Failure, ask, command_line, output, signals, terminal};
use throng_core::scenario::ProxyScenario;
use throng_report::json::Outcome;
use throng_run::{Attached, Machine};

pub(crate) use args::ProxyArgs as Args;

/// Runs the proxy to its end. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let mut scenario = ProxyScenario {
        listen: ask::target::listen_on(&args.listen)?,
        to: ask::target::backends(&args.to)?,
        balance: args.balance,
        source_ip: args.source_ip.clone(),
        connect_timeout: args.connect_timeout,
        left_out: args.left_out,
        drain_timeout: args.drain_timeout,
        backlog: args.backlog,
        max_connections: args.max_connections,
        duration: args.duration,
        workers: args.workers,
        engine: args.engine.into(),
        force: args.force,
        sockets: ask::sockets::options(&args.sockets, false),
    };
    let report = ReportOptions::of_server(&args.common, &args.outputs)?;
    report.check_files(&[])?;
    let notes = ask::target::resolve_backends(&mut scenario.to)?;
    let machine = Machine::for_proxy(&scenario)?;
    let stop = signals::stop()?;
    let mut attached = Attached {
        observers: terminal::observers(
            &report,
            &Occasion::of_proxy(&report.latencies),
            String::new(),
        )?,
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
