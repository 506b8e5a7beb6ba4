//! Metrics for StatsD (`--statsd`).

use super::output::{Occasion, Opened, Output};
use crate::Failure;
use crate::cli::STATSD;
use clap::Args;
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_core::record::AskedLatencies;
use throng_core::scenario::{LoadScenario, bounds};
use throng_core::stats::{Durations, Measured};
use throng_core::summary::latencies;
use throng_host::names;
use throng_report::human;
use throng_report::statsd::{self, StatsdTick};

/// How often metrics are sent.
const EVERY: Duration = Duration::from_secs(1);

/// tcpkali's default port and namespace.
const PORT: u16 = 8125;
const NAMESPACE: &str = "tcpkali";

/// The shortest window: users of StatsD collect for at least this long.
const SHORTEST_WINDOW: Duration = Duration::from_millis(500);

/// Where metrics go.
#[derive(Clone, Default, Args)]
pub(crate) struct Statsd {
    /// Send metrics to StatsD once per second
    #[arg(long, help_heading = STATSD)]
    pub statsd: bool,

    /// Host of StatsD [default: localhost]
    #[arg(long, value_name = "HOST", help_heading = STATSD)]
    pub statsd_host: Option<String>,

    /// UDP port of StatsD [default: 8125]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help_heading = STATSD)]
    pub statsd_port: Option<u16>,

    /// Prefix of metric names [default: tcpkali]
    #[arg(long, value_name = "S", value_parser = namespace, help_heading = STATSD)]
    pub statsd_namespace: Option<String>,

    /// Report latencies per window of this length instead of since the start
    #[arg(long, value_name = "T", value_parser = bounds::positive, help_heading = STATSD)]
    pub statsd_latency_window: Option<Duration>,
}

/// The prefix of metric names. StatsD separates names by dots and ends them at a colon.
fn namespace(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'|' | b'@');
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "'{text}' is not a namespace; write it like tests.tcp"
        ))
    }
}

impl Statsd {
    /// The server's name or address.
    pub fn host(&self) -> &str {
        self.statsd_host.as_deref().unwrap_or("localhost")
    }

    /// Its UDP port.
    pub fn port(&self) -> u16 {
        self.statsd_port.unwrap_or(PORT)
    }

    /// What stands before each name.
    pub fn namespace(&self) -> &str {
        self.statsd_namespace.as_deref().unwrap_or(NAMESPACE)
    }
}

impl Output for Statsd {
    fn check_options(&self) -> Result<(), Failure> {
        let half = [
            (self.statsd_host.is_some(), "--statsd-host"),
            (self.statsd_port.is_some(), "--statsd-port"),
            (self.statsd_namespace.is_some(), "--statsd-namespace"),
            (
                self.statsd_latency_window.is_some(),
                "--statsd-latency-window",
            ),
        ];
        match half.iter().find(|(given, _)| *given && !self.statsd) {
            Some((_, option)) => Err(Failure::usage(format!("{option} needs --statsd"))),
            None => Ok(()),
        }
    }

    fn check(&self, scenario: &LoadScenario) -> Result<(), Failure> {
        let Some(window) = self.statsd_latency_window.filter(|_| self.statsd) else {
            return Ok(());
        };
        if window < SHORTEST_WINDOW {
            return Err(Failure::usage(
                "--statsd-latency-window must be at least 500ms",
            ));
        }
        let searches = scenario.pace.sending.search().is_some();
        match scenario.hold.length().filter(|_| !searches) {
            Some(hold) if window > hold => Err(Failure::usage(format!(
                "--statsd-latency-window of {} is longer than the {} that connections are held",
                human::duration(window),
                human::duration(hold)
            ))),
            _ => Ok(()),
        }
    }

    fn open(&self, occasion: &Occasion) -> Opened {
        if !self.statsd {
            return Ok(None);
        }
        let wrong = |why: String| {
            let place = format!(
                "--statsd-host {} --statsd-port {}",
                self.host(),
                self.port()
            );
            Failure::usage(format!("{place}: {why}"))
        };
        let addresses = names::addresses(self.host(), self.port());
        let addresses = addresses.map_err(|e| wrong(e.to_string()))?;
        let mut to =
            statsd::Statsd::open(&addresses, self.namespace()).map_err(|e| wrong(e.to_string()))?;
        to.send(&StatsdTick::default());
        Ok(Some(Box::new(Metrics {
            to,
            asked: occasion.latencies.asked(&occasion.measure),
            window: self.statsd_latency_window,
            began: Duration::ZERO,
            measured: Measured::default(),
        })))
    }
}

struct Metrics {
    to: statsd::Statsd,
    asked: AskedLatencies,
    /// The length of a window of latencies; `None` for latencies since the start.
    window: Option<Duration>,
    /// When the current window began.
    began: Duration,
    /// What was measured in that window.
    measured: Measured,
}

impl Observer for Metrics {
    /// After a second, or at the end of the window.
    fn collects(&self, from: Duration) -> Option<Duration> {
        let second = from + EVERY;
        Some(self.window.map_or(second, |w| second.min(self.began + w)))
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let counts = |c: &throng_core::observer::Counts| (c.recent, c.now);
        let (opened, accepted) = (
            interval.opened.as_ref().map(counts),
            interval.accepted.as_ref().map(counts),
        );
        let mut tick = StatsdTick::of(
            interval.length(),
            opened.as_ref().map(|(recent, now)| (recent, now)),
            accepted.as_ref().map(|(recent, now)| (recent, now)),
        );
        if let Some(measured) = interval.measured {
            self.measured.merge(measured.clone());
            self.measured.samples.clear();
        }
        tick.latencies = match self.window {
            None => latencies(&self.asked, &self.measured, &Durations::default()),
            Some(window) if interval.to >= self.began + window => {
                self.began = interval.to;
                let window = std::mem::take(&mut self.measured);
                latencies(&self.asked, &window, &Durations::default())
            }
            Some(_) => Vec::new(),
        };
        self.to
            .send(&tick)
            .map_or(Ok(()), |line| Err(Trouble(line)))
    }

    /// Sends zeros, so that graphs return to zero.
    fn finish(&mut self) -> Result<(), Trouble> {
        self.to.send(&StatsdTick::default());
        Ok(())
    }
}
