//! HdrHistogram's interval log (`--latency-log FILE`): whole histograms of each interval of a run, so that percentiles
//! of any stretch can be computed later.
//!
//! The format is version 1.3, as HistogramLogWriter writes it, with histograms in V2's compressed encoding. A tag says
//! what each histogram measures. Readers exist for most languages.

use crate::log::Log;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use throng_core::stats::{Durations, Measured};

/// Interval_Max is in milliseconds, as HistogramLogWriter writes it, while histograms are in nanoseconds.
const MAX_UNIT: f64 = 1e6;

/// A log of intervals. A write error is reported once, and the run goes on without the log.
pub struct LatencyLog {
    log: Log,
    serializer: V2DeflateSerializer,
    /// Buffer for an encoded histogram.
    bytes: Vec<u8>,
}

impl LatencyLog {
    /// A log that takes the name `path` when it is [finished](LatencyLog::finish). The run began at `started_unix_s`,
    /// in seconds since 1970.
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn create(path: &Path, started_unix_s: f64) -> io::Result<LatencyLog> {
        // With a base time, every reader counts the starts of intervals from it; without one, some guess.
        let head = format!(
            "#[Logged with throng {}: nanoseconds, Interval_Max in milliseconds]\n\
             #[Histogram log format version 1.3]\n\
             #[StartTime: {started_unix_s:.3} (seconds since epoch)]\n\
             #[BaseTime: {started_unix_s:.3} (seconds since epoch)]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
            env!("CARGO_PKG_VERSION")
        );
        Ok(LatencyLog {
            log: Log::create(path, &head)?,
            serializer: V2DeflateSerializer::new(),
            bytes: Vec::new(),
        })
    }

    /// Adds what was `measured` in the interval of `length` that began at `start`: a line for each histogram that is
    /// not empty. Intervals must be in order of time, as readers expect.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    pub fn interval(
        &mut self,
        start: Duration,
        length: Duration,
        measured: &Measured,
    ) -> io::Result<()> {
        let tagged: [(&str, &Durations); 7] = [
            ("response", &measured.response),
            ("service", &measured.service),
            ("ttfb", &measured.ttfb),
            ("lateness", &measured.lateness),
            ("marked", &measured.marked),
            ("first_byte", &measured.first_byte),
            ("pong", &measured.pong),
        ];
        let protocols = measured.protocols.each();
        let opening = [
            ("handshake", &measured.handshake),
            ("connect", &measured.connect),
        ];
        let tagged = tagged
            .into_iter()
            .chain(protocols.map(|(facts, durations)| (facts.name, durations)))
            .chain(opening);
        for (tag, durations) in tagged {
            if let Some(histogram) = durations.recorded() {
                self.line(tag, start, length, histogram)?;
            }
        }
        self.log.flush()
    }

    fn line(
        &mut self,
        tag: &str,
        start: Duration,
        length: Duration,
        histogram: &Histogram<u64>,
    ) -> io::Result<()> {
        self.bytes.clear();
        self.serializer
            .serialize(histogram, &mut self.bytes)
            .map_err(io::Error::other)?;
        let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
        let max = histogram.max() as f64 / MAX_UNIT;
        let encoded = STANDARD.encode(&self.bytes);
        self.log.add(|lines| {
            // Writing to a vector never fails.
            let _ = writeln!(lines, "Tag={tag},{start:.3},{length:.3},{max:.3},{encoded}");
        })
    }

    /// Writes the rest, and gives the file its name.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    pub fn finish(self) -> io::Result<()> {
        self.log.finish()
    }
}
