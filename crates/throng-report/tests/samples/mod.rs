//! Summaries of runs as they happen, built by hand.

// Each file of tests compiles this and uses what it needs.
#![allow(dead_code)]

mod busy;
mod findings;
mod record;
mod storms;
mod summaries;

#[allow(unused_imports)]
pub use busy::busy;
#[allow(unused_imports)]
pub use findings::findings;
#[allow(unused_imports)]
pub use record::record;
#[allow(unused_imports)]
pub use summaries::{
    expectations, full, interrupted, maximum, perfect, proxy, searched, serve, server, shortfall,
};

use throng_core::engine::Engine;
use throng_core::record::Environment;
use throng_core::summary::{AtLeast, Percentiles, SourceSummary, Summary};

/// One of each kind of run.
pub fn all() -> Vec<Summary> {
    vec![
        perfect(),
        shortfall(),
        interrupted(),
        serve(),
        proxy(),
        busy(),
        searched(),
        maximum(),
        full(),
    ]
}

fn percentiles(count: u64, p50_us: f64) -> Percentiles {
    Percentiles {
        count,
        min_us: p50_us * 0.4,
        mean_us: p50_us * 1.1,
        p50_us,
        p90_us: p50_us * 2.0,
        p95_us: p50_us * 2.5,
        p99_us: p50_us * 6.3,
        p999_us: p50_us * 20.0,
        max_us: p50_us * 101.7,
        at_least: AtLeast::default(),
    }
}

/// The source of all summaries.
fn source() -> SourceSummary {
    SourceSummary {
        source: "640b2a3e1c000-00c0ffee00c0ffee".into(),
        agent: None,
        start_us: None,
        clock_bound_us: None,
        established: 1_000_000,
        failed: 0,
        messages_sent: 0,
        latency: None,
        command: vec!["throng".into(), "load".into()],
        started_unix_s: 1_760_000_000.25,
        seconds: 37.61,
        complete: true,
        kernel: "6.18.0".into(),
        cores: 2,
        engine: Engine::Uring,
        workers: 2,
        asked: Some(1_000_000),
        peak: 1_000_000,
        environment: environment(),
        stolen: Some(0.004),
    }
}

/// The environment of all summaries.
fn environment() -> Environment {
    let settings = [("governor", "performance"), ("net.core.somaxconn", "4096")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment(settings.into())
}
