//! Metrics for Prometheus to scrape while the run lasts (`--prometheus`).

use super::output::{Occasion, Opened, Output};
use crate::Failure;
use crate::cli::METRICS;
use crate::responder::{self, Answer, Request};
use clap::Args;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use throng_core::metrics::{Metric, Metrics};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::prometheus::{self, protobuf};

/// How often the metrics are brought up to date.
const EVERY: Duration = Duration::from_secs(1);
/// The path that Prometheus asks for.
const PATH: &str = "/metrics";
const OTHER: &str = "throng: the metrics of this run are at /metrics";
/// Scrapes at once.
const CLIENTS: usize = 4;

/// Where metrics are served.
#[derive(Clone, Default, Args)]
pub(crate) struct Prometheus {
    /// Serve metrics for Prometheus while the run lasts, at http://ADDRESS:PORT/metrics; the address is 127.0.0.1 if not given
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = responder::address, help_heading = METRICS)]
    prometheus: Option<SocketAddr>,
}

impl Output for Prometheus {
    fn open(&self, occasion: &Occasion) -> Opened {
        let Some(at) = self.prometheus else {
            return Ok(None);
        };
        let metrics = occasion.metrics();
        let shown = Arc::new(Mutex::new(Arc::from([metrics.info()])));
        let current = Arc::clone(&shown);
        let answer = move |request: &Request| match request.path {
            PATH => scraped(
                request,
                &Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner)),
            ),
            "/" => Answer::text("200 OK", OTHER),
            _ => Answer::refused("404 Not Found"),
        };
        TcpListener::bind(at)
            .and_then(|listener| responder::serve(listener, CLIENTS, answer))
            .map_err(|e| {
                let owner = responder::owner(&e, at);
                Failure::usage(format!("--prometheus {at}: {e}{owner}"))
            })?;
        Ok(Some(Box::new(Published { metrics, shown })))
    }
}

/// The metrics in the format that the client asks for.
fn scraped(request: &Request, metrics: &[Metric]) -> Answer {
    let accept = request.field("accept").unwrap_or_default();
    match protobuf::is_wanted(accept) {
        true => Answer::page(protobuf::CONTENT_TYPE, protobuf::families(metrics).into()),
        false => Answer::page(
            prometheus::CONTENT_TYPE,
            prometheus::text(metrics).into_bytes().into(),
        ),
    }
}

/// The metrics, and how they are now. They are drawn when somebody asks, which costs the run nothing.
struct Published {
    metrics: Metrics,
    shown: Arc<Mutex<Arc<[Metric]>>>,
}

impl Observer for Published {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let metrics = self.metrics.after(interval);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = metrics.into();
        Ok(())
    }
}
