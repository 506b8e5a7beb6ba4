//! How a run is reported: in which voice, how verbosely, and where else its results go.

use crate::Failure;
use crate::cli::{Common, DumpArgs, LatencyOutputArgs, OutputArgs, OutputForm, StatsdArgs};
use crate::files::{self, Named};
use crate::voice::{self, Voice};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use throng_core::protocol::ProtocolKind;
use throng_core::scenario::{LoadScenario, MessageLatency};
use throng_core::summary::LatencyReport;
use throng_report::human;
use throng_report::live::LiveStyle;

/// How a run is reported.
pub(crate) struct ReportOptions {
    /// The voice of the output.
    pub voice: Rc<dyn Voice>,
    /// Where the summary goes.
    pub common: Common,
    /// Which traffic is printed.
    pub dump: Dump,
    /// Where metrics go.
    pub statsd: Option<StatsdAsked>,
    /// Which latencies are reported.
    pub latencies: LatencyReport,
    /// Where HdrHistogram's interval log is written.
    pub latency_log: Option<PathBuf>,
    /// Where each round trip is written, as CSV.
    pub samples: Option<PathBuf>,
    /// Where each request is written for gnuplot.
    pub gnuplot: Option<PathBuf>,
    /// Where it is written how long each percentage of the requests took.
    pub percentiles: Option<PathBuf>,
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

/// The StatsD server that metrics are sent to once per second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StatsdAsked {
    /// The server's name or address.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
    /// Prefix of metric names, without the dot.
    pub namespace: String,
    /// Report latencies per window of this length instead of since the start.
    pub latency_window: Option<Duration>,
}

/// tcpkali's default port and namespace.
const STATSD_PORT: u16 = 8125;
const STATSD_NAMESPACE: &str = "tcpkali";

/// The shortest window: users of StatsD collect for at least this long.
const SHORTEST_WINDOW: Duration = Duration::from_millis(500);

impl ReportOptions {
    /// How these options ask for a run to be reported. With `tcpkali` (the program was invoked by that name), the voice
    /// is tcpkali's, and StatsD options are accepted without `--statsd`.
    pub fn of(
        shown: &OutputArgs,
        latency: &LatencyOutputArgs,
        tcpkali: bool,
    ) -> Result<ReportOptions, Failure> {
        if !shown.statsd.statsd && !tcpkali {
            refuse_half_of_statsd(&shown.statsd)?;
        }
        let percentiles = latency.latency_percentiles.iter();
        Ok(ReportOptions {
            voice: voice::of(tcpkali || shown.common.output == OutputForm::Tcpkali),
            common: shown.common.clone(),
            dump: dump(&shown.dump),
            statsd: statsd(&shown.statsd),
            latencies: LatencyReport {
                connect: latency.latency_connect,
                percentiles: percentiles
                    .flat_map(|list| list.0.iter().cloned())
                    .collect(),
            },
            latency_log: latency.latency_log.clone(),
            samples: latency.samples.clone(),
            gnuplot: None,
            percentiles: None,
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

    /// Reports to the terminal alone, as a server does.
    pub fn plain(common: &Common) -> ReportOptions {
        ReportOptions {
            voice: voice::of(false),
            common: common.clone(),
            dump: Dump::default(),
            statsd: None,
            latencies: LatencyReport::default(),
            latency_log: None,
            samples: None,
            gnuplot: None,
            percentiles: None,
        }
    }

    /// Refuses, before the run begins, output files that can't be written, and those that would overwrite each other or
    /// one of `inputs`.
    pub fn check_files(&self, inputs: &[Named]) -> Result<(), Failure> {
        self.common.check()?;
        let all = [
            ("--output-file", self.common.file()),
            ("--samples", self.samples.as_deref()),
            ("--latency-log", self.latency_log.as_deref()),
            ("-g", self.gnuplot.as_deref()),
            ("-e", self.percentiles.as_deref()),
        ];
        let all = all
            .into_iter()
            .filter_map(|(option, path)| Some(Named::new(option, path?)));
        let outputs: Vec<Named> = all.collect();
        match outputs.iter().find(|output| files::is_stdout(&output.path)) {
            Some(output) => Err(Failure::usage(format!(
                "{} - names no file: stdout has the summary (/dev/stdout writes there, too)",
                output.option
            ))),
            None => files::check(&outputs, inputs),
        }
    }

    /// Refuses reports that `scenario` has no data for.
    pub fn check(&self, scenario: &LoadScenario) -> Result<(), Failure> {
        let sending = &scenario.pace.sending;
        let round_trips = matches!(
            scenario.measure.message,
            Some(MessageLatency::Marker(_) | MessageLatency::Echo)
        );
        let asks = scenario.protocol.answers().always();
        let pings = scenario.protocol.pings().is_some();
        let any = round_trips || asks || pings || sending.is_closed_loop();
        if self.samples.is_some() && !any {
            let by_protocol = ProtocolKind::ALL
                .iter()
                .filter(|kind| kind.answers().always());
            let asking = by_protocol
                .flat_map(|kind| kind.flags())
                .filter(|flag| flag.asks);
            let asking: String = asking.map(|flag| format!("--{}, ", flag.long)).collect();
            return Err(Failure::usage(format!(
                "--samples writes round trips: add --latency-marker, {asking}--latency-echo or --closed-loop"
            )));
        }
        match self.statsd.as_ref().and_then(|s| s.latency_window) {
            Some(window) if window < SHORTEST_WINDOW => Err(Failure::usage(
                "--statsd-latency-window must be at least 500ms",
            )),
            Some(window) if sending.search().is_none() => match scenario.hold.length() {
                Some(hold) if window > hold => Err(Failure::usage(format!(
                    "--statsd-latency-window of {} is longer than the {} that connections are held",
                    human::duration(window),
                    human::duration(hold)
                ))),
                _ => Ok(()),
            },
            _ => Ok(()),
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

fn statsd(args: &StatsdArgs) -> Option<StatsdAsked> {
    let or = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.into());
    args.statsd.then(|| StatsdAsked {
        host: or(&args.statsd_host, "localhost"),
        port: args.statsd_port.unwrap_or(STATSD_PORT),
        namespace: or(&args.statsd_namespace, STATSD_NAMESPACE),
        latency_window: args.statsd_latency_window,
    })
}

fn refuse_half_of_statsd(given: &StatsdArgs) -> Result<(), Failure> {
    let of_statsd = [
        (given.statsd_host.is_some(), "--statsd-host"),
        (given.statsd_port.is_some(), "--statsd-port"),
        (given.statsd_namespace.is_some(), "--statsd-namespace"),
        (
            given.statsd_latency_window.is_some(),
            "--statsd-latency-window",
        ),
    ];
    match of_statsd.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Failure::usage(format!("{option} needs --statsd"))),
        None => Ok(()),
    }
}
