//! How a run is reported: in which voice, how verbosely, and where else its results go.

use crate::Failure;
use crate::cli::{Common, DumpArgs, LatencyOutputArgs, OutputArgs, OutputForm};
use crate::files::{self, Named};
use crate::outputs::{Occasion, Output, RunOutputs};
use crate::voice::{self, Voice};
use std::rc::Rc;
use throng_core::observer::Observer;
use throng_core::scenario::LoadScenario;
use throng_core::summary::LatencyReport;
use throng_host::watched::Subject;
use throng_report::json::Outcome;
use throng_report::live::LiveStyle;

/// How a run is reported.
pub(crate) struct ReportOptions {
    /// The voice of the output.
    pub voice: Rc<dyn Voice>,
    /// Where the summary goes.
    pub common: Common,
    /// Which traffic is printed.
    pub dump: Dump,
    /// Which latencies are reported.
    pub latencies: LatencyReport,
    /// Where else it is reported.
    pub outputs: Vec<Rc<dyn Output>>,
}

/// Which traffic is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    /// Received traffic.
    pub received: Whose,
    /// Sent traffic.
    pub sent: Whose,
}

impl Dump {
    /// Whether no traffic is printed.
    pub fn is_off(&self) -> bool {
        *self == Dump::default()
    }
}

/// Whose traffic is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// No connection's.
    #[default]
    None,
    /// One connection's; when it closes, another one's.
    One,
    /// All connections'.
    All,
}

impl ReportOptions {
    /// How these options ask for a run to be reported. With `tcpkali` (the program was invoked by that name), the voice
    /// is tcpkali's, and StatsD options are accepted without `--statsd`.
    pub fn of(
        shown: &OutputArgs,
        latency: &LatencyOutputArgs,
        tcpkali: bool,
    ) -> Result<ReportOptions, Failure> {
        let outputs = [shown.outputs.all(), shown.of_load.all()].concat();
        if !tcpkali {
            outputs.iter().try_for_each(|o| o.check_options())?;
        }
        let percentiles = latency.latency_percentiles.iter();
        Ok(ReportOptions {
            voice: voice::of(tcpkali || shown.common.output == OutputForm::Tcpkali),
            common: shown.common.clone(),
            dump: dump(&shown.dump),
            latencies: LatencyReport {
                connect: latency.latency_connect,
                percentiles: percentiles
                    .flat_map(|list| list.0.iter().cloned())
                    .collect(),
            },
            outputs,
        })
    }

    /// Whether only warnings and the result are printed.
    pub fn is_quiet(&self) -> bool {
        self.common.quiet || self.common.verbosity() == 0
    }

    /// How progress is shown.
    pub fn live_style(&self) -> LiveStyle {
        LiveStyle::detect(self.is_quiet() || !self.voice.shows_progress())
    }

    /// How the run of a server or a proxy is reported.
    pub fn of_server(common: &Common, outputs: &RunOutputs) -> Result<ReportOptions, Failure> {
        let outputs = outputs.all();
        outputs.iter().try_for_each(|o| o.check_options())?;
        Ok(ReportOptions {
            voice: voice::of(false),
            common: common.clone(),
            dump: Dump::default(),
            latencies: LatencyReport::default(),
            outputs,
        })
    }

    /// Refuses, before the run begins, output files that can't be written, and those that would overwrite each other or
    /// one of `inputs`.
    pub fn check_files(&self, inputs: &[Named]) -> Result<(), Failure> {
        self.common.check()?;
        let summary = self.common.file();
        let mut outputs: Vec<Named> = summary
            .map(|path| Named::new("--output-file", path))
            .into_iter()
            .collect();
        outputs.extend(self.outputs.iter().flat_map(|output| output.files()));
        match outputs.iter().find(|output| files::is_stdout(&output.path)) {
            Some(output) => Err(Failure::usage(format!(
                "{} - names no file: stdout has the summary (/dev/stdout writes there, too)",
                output.option
            ))),
            None => files::check(&outputs, inputs),
        }
    }

    /// Refuses outputs that `scenario` has no data for, and those that would write over each other.
    pub fn check(&self, scenario: &LoadScenario) -> Result<(), Failure> {
        if self.fills_screen() && !self.dump.is_off() {
            return Err(Failure::usage(
                "--tui has the terminal, where traffic would be printed, too: leave out one of them, or write stderr to a file",
            ));
        }
        self.outputs.iter().try_for_each(|o| o.check(scenario))
    }

    /// Whether an output takes the whole terminal.
    pub fn fills_screen(&self) -> bool {
        self.outputs.iter().any(|output| output.fills_screen())
    }

    /// The system under test that the run is to watch, if one was named.
    pub fn watches(&self) -> Result<Option<Subject>, Failure> {
        let asked = self.outputs.iter().map(|output| output.watches());
        asked.filter_map(Result::transpose).next().transpose()
    }

    /// Opens the outputs that watch a run.
    pub fn open(&self, occasion: &Occasion) -> Result<Vec<Box<dyn Observer>>, Failure> {
        let opened = self.outputs.iter().map(|output| output.open(occasion));
        opened.filter_map(Result::transpose).collect()
    }

    /// Writes what the outputs have of the finished run, then what `summary` writes. What can't be written keeps nothing
    /// else from it. Returns the exit code of the summary.
    ///
    /// # Errors
    /// All that could not be written.
    pub fn finish(
        &self,
        outcome: &Outcome,
        summary: impl FnOnce() -> Result<u8, Failure>,
    ) -> Result<u8, Failure> {
        let failed = self.outputs.iter().filter_map(|o| o.finish(outcome).err());
        let mut lines: Vec<String> = failed.flat_map(|failure| failure.lines).collect();
        match summary() {
            Ok(code) if lines.is_empty() => Ok(code),
            Ok(_) => Err(Failure { code: 1, lines }),
            Err(failure) => {
                lines.extend(failure.lines);
                Err(Failure { lines, ..failure })
            }
        }
    }
}

fn dump(args: &DumpArgs) -> Dump {
    let whose = |all: bool, one: bool| match (all, one) {
        (true, _) => Whose::All,
        (false, true) => Whose::One,
        (false, false) => Whose::None,
    };
    Dump {
        received: whose(
            args.dump_all || args.dump_all_in,
            args.dump_one || args.dump_one_in,
        ),
        sent: whose(
            args.dump_all || args.dump_all_out,
            args.dump_one || args.dump_one_out,
        ),
    }
}
