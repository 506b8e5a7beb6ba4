//! A record in which nothing is missing.

use super::{environment, maximum, searched, source};
use std::time::Duration;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::Diagnosis;
use throng_core::engine::Engine;
use throng_core::record::{
    self, About, Asked, AskedLatencies, AskedRate, Mark, MessagesBy, Part, Phase, RateOf, Reading,
    Record, Recorder, ServerEnded, ServerFiles, ServerMemory, ServerUsed, Source, Used, Watched,
    WatchedReading,
};
use throng_core::scenario::Percentile;
use throng_core::stats::{Counters, Measured, Tally};

/// A record with a value in every field that may be absent: a server and its clients in one process, for two seconds.
pub fn record() -> Record {
    let tally = |n: u64| {
        let counters = Counters::default();
        counters.attempted.add(n);
        counters.established.add(n);
        counters.bytes_sent.add(n * 16);
        counters.http.events.add(n * 3);
        counters.read()
    };
    let (before, now) = (tally(1000), tally(2000));
    let mut measured = Measured::default();
    for us in 1..=50 {
        measured.service.record(Duration::from_micros(us));
    }
    let mut recorder = Recorder::default();
    let second = Duration::from_secs(1);
    for (from, then, now) in [(0, Tally::default(), before), (1, before, now)] {
        recorder.add(
            second * from,
            second * (from + 1),
            Phase::Holding,
            Some(Reading::of(&now.since(&then), &now)),
            Some(Reading::of(&now.since(&then), &now)),
            measured.clone(),
        );
    }
    let (intervals, measured) = recorder.finish();
    let mark = |at| Mark {
        at: second * at,
        opened: now,
        accepted: Some(now),
        cpu: Duration::from_millis(70),
    };
    let part = Part {
        about: About {
            tool: "throng 0.1.0".into(),
            agent: None,
            machine: None,
            start: None,
            command: vec!["throng".into(), "load".into()],
            started_unix_s: 1_760_000_000.25,
            kernel: "6.18.0".into(),
            cores: 2,
            engine: Engine::Epoll,
            why_epoll: Some("kernel.io_uring_disabled is 2".into()),
            workers: 2,
            asked: Asked {
                connections: Some(2000),
                connect_per_s: Some(1000.0),
                connect_timeout_s: 5.0,
                ramp_limit_s: Some(60.0),
                messages: Some(RateOf::Replies),
                rate: AskedRate::Constant(100.0),
                sent_per_s: Some(1_024_000.0),
                received_per_s: Some(2_048_000.0),
                latencies: AskedLatencies {
                    messages: Some(MessagesBy::Answers),
                    percentiles: Percentile::usual(),
                    ..AskedLatencies::default()
                },
                ..Asked::default()
            },
            environment: environment(),
        },
        intervals,
        ending: Some(Box::new(record::Ending {
            last_attempt: Some(mark(1)),
            opened: Some(mark(1)),
            held: Some(mark(2)),
            over: mark(2),
            closed: now,
            peak: 2000,
            kernel_sockets: Some(4000),
            expected_sockets: Some(4000),
            memory_left: Some(1 << 27),
            causes: vec![Diagnosis {
                limit: LimitKind::FourTuples,
                allows: Some(28_232),
                certain: true,
                what: "no local port was left".into(),
                remedy: "Add source addresses (--source-ip).".into(),
            }],
            search: searched().search,
            maximum: maximum().maximum.map(Box::new),
            bad_profile: Some("--profile -: line 3: 'x' is not a rate".into()),
            unreported: vec!["/tmp/run.hlog: no space left on device".into()],
            stolen: Some(0.004),
            used: Used {
                user_bytes: 1 << 20,
                kernel_bytes: Some(1 << 24),
                ..Used::default()
            },
            server: Some(ServerUsed {
                names: vec!["nginx".into()],
                before: Some(ServerMemory {
                    processes: 3,
                    rss_bytes: 12 << 20,
                    pss_bytes: Some(6 << 20),
                }),
                peak: Some(ServerMemory {
                    processes: 3,
                    rss_bytes: 20 << 20,
                    pss_bytes: Some(14 << 20),
                }),
                cpu_user: Duration::from_millis(120),
                cpu_system: Duration::from_millis(880),
                files: Some(ServerFiles {
                    open: 1010,
                    limit: 1024,
                }),
                accepting: 3,
                ended: vec![ServerEnded {
                    pid: 811,
                    at: second,
                }],
                unread: vec!["its open files: Permission denied".into()],
            }),
            watched: Some(Box::new(Watched {
                name: "process 811 (nginx)".into(),
                processes: vec!["nginx".into()],
                socket_bytes: 3584,
                readings: (0..4).map(watched).collect(),
                ..Watched::default()
            })),
            histograms: record::Ending::pack(&measured),
            ..record::Ending::default()
        })),
    };
    Record::of(Source::new(source().source), part)
}

/// What a watched server took after so many seconds.
fn watched(second: u64) -> WatchedReading {
    WatchedReading {
        at: Duration::from_secs(second),
        rss_bytes: (12 << 20) + second * (1 << 20),
        connections: Some(500 * second),
        kernel_bytes: Some(3584 * 500 * second),
        cpu_user: Duration::from_millis(100 * second),
        ..WatchedReading::default()
    }
}
