//! Metrics pushed to an OpenTelemetry collector while the run lasts (`--otlp`).

use super::output::{Occasion, Opened, Output};
use crate::Failure;
use crate::cli::METRICS;
use clap::Args;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throng_core::metrics::{Metric, Metrics};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_core::record::Phase;
use throng_host::kernel::Kernel;
use throng_report::human::count;
use throng_report::json::Outcome;
use throng_report::otlp::{self, Source};
use ureq::Agent;

/// How often metrics are exported.
const EVERY: Duration = Duration::from_secs(1);
/// How long an export may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the end of a run waits for its last export.
const AT_END: Duration = Duration::from_secs(4);
/// The path that takes metrics, where the URL has none.
const PATH: &str = "/v1/metrics";

/// Where metrics are exported.
#[derive(Clone, Default, Args)]
pub(crate) struct Otlp {
    /// Send metrics to an OpenTelemetry collector once per second (OTLP over HTTP), such as http://127.0.0.1:4318
    #[arg(long, value_name = "URL", value_parser = Url::parse, help_heading = METRICS)]
    otlp: Option<Url>,

    /// What became of the exports.
    #[arg(skip)]
    exports: Arc<Mutex<Exports>>,
}

/// Where a collector takes metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url(String);

impl Url {
    fn parse(text: &str) -> Result<Url, String> {
        let like = "write it like http://127.0.0.1:4318";
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(match text.starts_with("https://") {
                true => "metrics are sent over http:// alone: let a collector on this machine pass them on".into(),
                false => format!("'{text}' is not the URL of a collector; {like}"),
            });
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.len() > 1 { path } else { PATH };
        let whole = format!("http://{host}{path}");
        match whole.parse::<ureq::http::Uri>() {
            Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Url(whole)),
            _ => Err(format!("'{text}' is not the URL of a collector; {like}")),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of the exports of a run.
#[derive(Debug, Default)]
struct Exports {
    /// How many there were.
    all: u64,
    /// Those that failed.
    failed: u64,
    /// Why the last one of them did.
    why: String,
}

fn lock(exports: &Mutex<Exports>) -> MutexGuard<'_, Exports> {
    exports.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output for Otlp {
    fn open(&self, occasion: &Occasion) -> Opened {
        let Some(url) = &self.otlp else {
            return Ok(None);
        };
        let version = env!("CARGO_PKG_VERSION");
        let host = Kernel::read().map(|kernel| kernel.hostname);
        let host = host.unwrap_or_else(|_| "unknown".into());
        let attributes = vec![
            ("service.name", "throng".to_owned()),
            ("service.version", version.to_owned()),
            ("service.instance.id", std::process::id().to_string()),
            ("host.name", host),
            ("process.command", occasion.role.to_owned()),
        ];
        let source = Source {
            attributes,
            version,
            started_unix_ns: unix_ns(),
        };
        // One waits while one is under way.
        let (sender, receiver) = sync_channel(1);
        let (url, exports) = (url.clone(), Arc::clone(&self.exports));
        let (ended, end) = sync_channel(1);
        let exporting = thread::Builder::new().name("otlp".to_owned());
        let exporting = exporting.spawn(move || {
            export(&url, &source, &receiver, &exports);
            // Nobody waits if the run has gone on.
            let _ = ended.send(());
        });
        exporting.map_err(|e| Failure::fault(format!("--otlp: no thread: {e}")))?;
        Ok(Some(Box::new(Exported {
            metrics: occasion.metrics(),
            sender: Some(sender),
            end,
            unsent: None,
            exports: Arc::clone(&self.exports),
            told: false,
        })))
    }

    /// Says how many exports failed. That is no failure of the run.
    fn finish(&self, _outcome: &Outcome) -> Result<(), Failure> {
        let exports = lock(&self.exports);
        if let (Some(url), 1..) = (&self.otlp, exports.failed) {
            eprintln!(
                "throng: {} of {} exports to {url} failed: {}",
                count(exports.failed),
                count(exports.all),
                exports.why
            );
        }
        Ok(())
    }
}

/// When metrics were read, in nanoseconds since 1970, and they.
type Reading = (u64, Vec<Metric>);

/// Gives the metrics to the thread that exports them.
struct Exported {
    metrics: Metrics,
    /// `None` once no more follow.
    sender: Option<SyncSender<Reading>>,
    /// When that thread has ended.
    end: Receiver<()>,
    /// The last reading, if that thread had no room for it.
    unsent: Option<Reading>,
    exports: Arc<Mutex<Exports>>,
    /// Whether the user knows that exports fail.
    told: bool,
}

impl Observer for Exported {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let reading = (unix_ns(), self.metrics.after(interval));
        let sent = self.sender.as_ref().map(|sender| sender.try_send(reading));
        let mut exports = lock(&self.exports);
        self.unsent = match sent {
            Some(Err(TrySendError::Full(reading))) => {
                exports.all += 1;
                exports.failed += 1;
                exports.why = "the collector takes longer than a second for each".into();
                Some(reading)
            }
            _ => None,
        };
        // At the end it is said how many failed.
        let goes_on = interval.phase != Phase::Closing;
        if exports.failed > 0 && goes_on && !self.told {
            self.told = true;
            let why = &exports.why;
            return Err(Trouble(format!(
                "metrics don't reach --otlp: {why}; the run goes on without them"
            )));
        }
        Ok(())
    }

    /// Sees to it that the collector has the counts of the run's end, and waits for that, but not long.
    fn finish(&mut self) -> Result<(), Trouble> {
        if let (Some(sender), Some(reading)) = (self.sender.take(), self.unsent.take()) {
            // The export under way ends in time, with or without success.
            let _ = sender.send(reading);
        }
        if self.end.recv_timeout(AT_END) == Err(RecvTimeoutError::Timeout) {
            let mut exports = lock(&self.exports);
            exports.all += 1;
            exports.failed += 1;
            exports.why = "no answer".into();
        }
        Ok(())
    }
}

/// Exports all that `readings` brings.
fn export(url: &Url, source: &Source, readings: &Receiver<Reading>, exports: &Mutex<Exports>) {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        // What is asked for on the command line goes there.
        .proxy(None)
        .max_redirects(0)
        .build();
    let agent = Agent::new_with_config(config);
    while let Ok((read_at, metrics)) = readings.recv() {
        let body = otlp::request(&metrics, source, read_at);
        let posted = agent
            .post(&url.0)
            .content_type(otlp::CONTENT_TYPE)
            .send(&body[..]);
        let mut exports = lock(exports);
        exports.all += 1;
        if let Err(e) = posted {
            exports.failed += 1;
            exports.why = e.to_string();
        }
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_has_that_of_metrics() {
        for (text, url) in [
            (
                "http://127.0.0.1:4318",
                Some("http://127.0.0.1:4318/v1/metrics"),
            ),
            ("http://collector/", Some("http://collector/v1/metrics")),
            (
                "http://[::1]:4318/x/v1/metrics",
                Some("http://[::1]:4318/x/v1/metrics"),
            ),
            ("https://collector:4318", None),
            ("collector:4318", None),
            ("http://", None),
            ("http:///v1/metrics", None),
            ("http://a b", None),
        ] {
            let read = Url::parse(text).ok().map(|url| url.0);
            assert_eq!(read.as_deref(), url, "{text}");
        }
    }
}
