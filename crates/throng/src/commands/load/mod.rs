//! `throng load`: opens connections, holds them, sends traffic and measures.

use crate::ask::report::ReportOptions;
use crate::cli::LoadArgs;
use crate::dump::Dumping;
use crate::files::Named;
use crate::keys::{Keys, has_constant_rate};
use crate::outputs::Occasion;
use crate::{Failure, ask, command_line, elsewhere, output, signals, terminal};
use std::io::{self, BufReader};
use std::sync::Arc;
use throng_core::observer::Note;
use throng_core::record::Record;
use throng_core::scenario::{LoadScenario, RunRate};
use throng_host::watched::{Sampler, Subject};
use throng_report::json::Outcome;
use throng_report::live::LiveStyle;
use throng_run::{Attached, Dial, Machine, Stop, Taps, Watching};

pub(crate) use crate::cli::LoadArgs as Args;

/// A load that is asked for.
pub(crate) struct Asked {
    /// What is to be done.
    pub scenario: LoadScenario,
    /// How it is reported.
    pub report: ReportOptions,
    /// The files that it was made of.
    pub inputs: Vec<Named>,
}

/// What the command line asks for.
pub(crate) fn asked(args: &LoadArgs) -> Result<Asked, Failure> {
    let scenario = ask::load::scenario(args)?;
    let report = ReportOptions::of(&args.shown, &args.latency, args.as_tcpkali)?;
    report.check(&scenario)?;
    Ok(Asked {
        scenario,
        report,
        inputs: inputs(args),
    })
}

/// The files that a command line's messages and options of protocols are read from.
pub(crate) fn inputs(args: &LoadArgs) -> Vec<Named> {
    let mut inputs = ask::texts::inputs(&args.messages);
    inputs.extend(args.protocol.files());
    inputs
}

/// Runs the load to its end, or prints its scenario. Returns the exit code.
pub(crate) fn run(args: &LoadArgs) -> Result<u8, Failure> {
    asked(args)?.run(args.print_scenario)
}

impl Asked {
    /// Runs it to its end or, with `print`, prints its scenario. Returns the exit code.
    pub fn run(self, print: bool) -> Result<u8, Failure> {
        if print {
            let text = ask::file::text_of_load(&self.scenario)?;
            return output::to_stdout(text.as_bytes()).map(|()| 0);
        }
        let keys = true;
        self.carry_out(keys, |scenario, attached, stop| {
            let machine = Machine::for_load(scenario)?;
            Ok(throng_run::load(scenario, &machine, attached, stop)?)
        })
    }
}

/// The ports of targets that were written without one.
fn default_ports(scenario: &LoadScenario) -> impl Iterator<Item = Note> {
    let of_unix = scenario.connect.unix_socket.is_some();
    let targets = scenario.targets.iter().filter(move |_| !of_unix);
    targets.filter_map(|target| {
        let port = target.spec.default_port()?;
        let target = target.spec.to_string();
        Some(Note::DefaultPort { target, port })
    })
}

impl Asked {
    /// Has `conduct` run it, and reports that while it lasts and at its end. The command line is this process's, unless the record has
    /// one. With `keys`, those of the keyboard steer it.
    /// Returns the exit code.
    pub fn carry_out(
        self,
        keys: bool,
        conduct: impl FnOnce(&LoadScenario, &mut Attached, &Stop) -> Result<Record, Failure>,
    ) -> Result<u8, Failure> {
        self.carry_out_until(&signals::stop()?, keys, conduct)
    }

    /// The same where signals are taken already, which request `stop`.
    pub fn carry_out_until(
        self,
        stop: &Stop,
        keys: bool,
        conduct: impl FnOnce(&LoadScenario, &mut Attached, &Stop) -> Result<Record, Failure>,
    ) -> Result<u8, Failure> {
        let Asked {
            mut scenario,
            ref report,
            mut inputs,
        } = self;
        ask::file::check(scenario.files_mut())?;
        ask::target::check_sockets(&scenario)?;
        let mut notes: Vec<Note> = default_ports(&scenario).collect();
        notes.extend(ask::target::resolve_all(&mut scenario)?);
        inputs.extend(
            scenario
                .files_mut()
                .map(|(option, path)| Named::new(option, &*path)),
        );
        report.check_files(&inputs)?;
        let subject = report.watches()?;
        let watched = subject.as_ref().map(watching).transpose()?;
        report.voice.start(&scenario);
        let dial = Dial::new();
        let shown = report.live_style() == LiveStyle::Terminal && has_constant_rate(&scenario);
        let shown = shown || report.fills_screen();
        let keys = (keys && shown).then(|| Keys::take(&dial, stop)).flatten();
        let mut attached = Attached {
            observers: terminal::observers(
                report,
                &Occasion {
                    watches: watched.is_some(),
                    ..Occasion::of_load(&scenario, &report.latencies)
                },
                ask::file::shown_load(&scenario)?,
            )?,
            taps: Dumping::start(report.dump)?.map(|d| Arc::new(d) as Arc<dyn Taps>),
            latencies: report.latencies.clone(),
            dial: keys.is_some().then_some(dial),
            profile: follows_stdin(&scenario).then(|| Box::new(BufReader::new(io::stdin())) as _),
            most_intervals: None,
            barrier: None,
            watched,
            elsewhere: elsewhere::namespaces(subject.as_ref()),
        };
        for note in &notes {
            attached.note(note);
        }
        let record = conduct(&scenario, &mut attached, stop)?;
        drop(keys);
        let outcome = Outcome::of(match record.has_command() {
            true => record,
            false => record.with_command(command_line::words()),
        });
        let voice = &report.voice;
        report.finish(&outcome, || {
            voice.finish(&outcome, &scenario, &report.common)
        })
    }
}

/// Begins to watch the system under test.
fn watching(subject: &Subject) -> Result<Watching, Failure> {
    let sampler = Sampler::open(subject).map_err(|e| Failure::usage(format!("--watch: {e}")))?;
    Watching::start(sampler).map_err(|e| Failure::fault(format!("can't start a thread: {e}")))
}

/// Whether the rate is read from stdin.
fn follows_stdin(scenario: &LoadScenario) -> bool {
    scenario.pace.sending.run_rate() == Some(&RunRate::Stdin)
}
