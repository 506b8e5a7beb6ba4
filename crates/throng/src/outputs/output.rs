//! What an output is: something besides the summary that a run is reported to, with options of its own.

use crate::Failure;
use crate::files::Named;
use crate::keys::has_constant_rate;
use std::path::PathBuf;
use throng_core::expect::{self, Latency, Needs};
use throng_core::metrics::Metrics;
use throng_core::observer::Observer;
use throng_core::scenario::{LoadScenario, Measure, ServeScenario};
use throng_core::summary::LatencyReport;
use throng_host::watched::Subject;
use throng_report::json::Outcome;

/// An output. It is the options that ask for it, and does nothing unless they were given.
pub(crate) trait Output {
    /// Refuses options that say nothing without others. tcpkali's command lines may have them all the same.
    ///
    /// # Errors
    /// Which option needs which.
    fn check_options(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Refuses a load that has no data for it.
    ///
    /// # Errors
    /// What to add.
    fn check(&self, scenario: &LoadScenario) -> Result<(), Failure> {
        let _ = scenario;
        Ok(())
    }

    /// The files that it writes, each with the option that names it. The run is refused if one can't be written, or would
    /// be written over another file of the run.
    fn files(&self) -> Vec<Named> {
        Vec::new()
    }

    /// Whether it needs each single round trip.
    fn keeps_samples(&self) -> bool {
        false
    }

    /// The option that asks for what only a run in this process has; `None` if there is none.
    fn only_here(&self) -> Option<&'static str> {
        None
    }

    /// Whether it takes the whole terminal, so that there is no live view.
    fn fills_screen(&self) -> bool {
        false
    }

    /// The system under test that the run is to watch.
    ///
    /// # Errors
    /// There is none, or it can't be watched.
    fn watches(&self) -> Result<Option<Subject>, Failure> {
        Ok(None)
    }

    /// Opens what watches the run, just before it begins.
    ///
    /// # Errors
    /// A file, socket or name that can't be used. The run does not begin.
    fn open(&self, occasion: &Occasion) -> Opened {
        let _ = occasion;
        Ok(None)
    }

    /// Writes what it has of the finished run, before the summary is printed.
    ///
    /// # Errors
    /// It can't be written.
    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        let _ = outcome;
        Ok(())
    }
}

/// What an output needs to know of a run that it watches.
pub(crate) struct Occasion<'a> {
    /// `load`, `serve` or `proxy`.
    pub role: &'static str,
    /// Whether the run sends messages at a constant rate, which keys can change.
    pub has_constant_rate: bool,
    /// Which latencies of messages the run measures.
    pub measure: Measure,
    /// The latencies that it measures, by the names of their histograms.
    pub measures: Vec<Latency>,
    /// Which latencies are reported.
    pub latencies: &'a LatencyReport,
    /// Whether the run watches the system under test.
    pub watches: bool,
}

impl Occasion<'_> {
    /// What to know of a load.
    pub fn of_load<'a>(scenario: &LoadScenario, latencies: &'a LatencyReport) -> Occasion<'a> {
        Occasion {
            role: "load",
            has_constant_rate: has_constant_rate(scenario),
            measure: scenario.measure.clone(),
            measures: scenario.measures(),
            latencies,
            watches: false,
        }
    }

    /// What to know of a server, which measures only its handshakes.
    pub fn of_server<'a>(scenario: &ServeScenario, latencies: &'a LatencyReport) -> Occasion<'a> {
        let handshakes = |latency: &&Latency| latency.needs == Needs::Tls && scenario.tls.is_some();
        Occasion {
            role: "serve",
            has_constant_rate: false,
            measure: Measure::default(),
            measures: expect::latencies()
                .iter()
                .filter(handshakes)
                .copied()
                .collect(),
            latencies,
            watches: false,
        }
    }

    /// What to know of a proxy, which measures how long it takes to connect to backends.
    pub fn of_proxy(latencies: &LatencyReport) -> Occasion<'_> {
        Occasion {
            role: "proxy",
            has_constant_rate: false,
            measure: Measure::default(),
            measures: Vec::new(),
            latencies,
            watches: false,
        }
    }
}

impl Occasion<'_> {
    /// The metrics of the run.
    pub fn metrics(&self) -> Metrics {
        let info = [("version", env!("CARGO_PKG_VERSION")), ("role", self.role)];
        let info = info.map(|(label, value)| (label, value.to_owned()));
        Metrics::of(&self.measures, info.into())
    }
}

/// What watches the run; `None` if that was not asked for.
pub(crate) type Opened = Result<Option<Box<dyn Observer>>, Failure>;

/// The file that `option` names, as a list.
pub(super) fn file(option: &str, path: Option<&PathBuf>) -> Vec<Named> {
    path.map(|path| Named::new(option, path))
        .into_iter()
        .collect()
}
