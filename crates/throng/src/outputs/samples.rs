//! Each round trip as a line of CSV (`--samples`).

use super::log::{Lines, Log};
use super::output::{Occasion, Opened, Output, file};
use crate::Failure;
use crate::cli::LATENCY;
use crate::files::Named;
use clap::Args;
use std::io;
use std::path::PathBuf;
use throng_core::observer::Interval;
use throng_core::protocol::ProtocolKind;
use throng_core::scenario::{LoadScenario, MessageLatency};
use throng_core::stats::Measured;
use throng_report::samples::SampleLog;

/// Where round trips are written.
#[derive(Clone, Default, Args)]
pub(crate) struct Samples {
    /// Write the send time and round trip of each message, query or request to a file (CSV)
    #[arg(long, value_name = "FILE", help_heading = LATENCY)]
    samples: Option<PathBuf>,
}

impl Output for Samples {
    fn check(&self, scenario: &LoadScenario) -> Result<(), Failure> {
        let round_trips = matches!(
            scenario.measure.message,
            Some(MessageLatency::Marker(_) | MessageLatency::Echo)
        );
        let asks = scenario.protocol.answers().always();
        let pings = scenario.protocol.pings().is_some();
        let any = round_trips || asks || pings || scenario.pace.sending.is_closed_loop();
        if self.samples.is_none() || any {
            return Ok(());
        }
        let by_protocol = ProtocolKind::ALL
            .iter()
            .filter(|kind| kind.answers().always());
        let asking = by_protocol
            .flat_map(|kind| kind.flags())
            .filter(|flag| flag.asks);
        let asking: String = asking.map(|flag| format!("--{}, ", flag.long)).collect();
        Err(Failure::usage(format!(
            "--samples writes round trips: add --latency-marker, {asking}--latency-echo or --closed-loop"
        )))
    }

    fn files(&self) -> Vec<Named> {
        file("--samples", self.samples.as_ref())
    }

    fn keeps_samples(&self) -> bool {
        self.samples.is_some()
    }

    fn only_here(&self) -> Option<&'static str> {
        self.samples.is_some().then_some("--samples")
    }

    fn open(&self, _occasion: &Occasion) -> Opened {
        let Some(path) = &self.samples else {
            return Ok(None);
        };
        let log = SampleLog::create(path).map_err(|e| Failure::usage(format!("--samples: {e}")))?;
        Ok(Some(Box::new(Log::of(log))))
    }
}

impl Lines for SampleLog {
    fn interval(&mut self, _interval: &Interval, measured: &Measured) -> io::Result<()> {
        self.write(&measured.samples)
    }

    fn finish(self) -> io::Result<()> {
        self.finish()
    }
}
