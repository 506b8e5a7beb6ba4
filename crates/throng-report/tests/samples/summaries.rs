//! Summaries of runs as they happen.

use super::busy::busy;
use super::{percentiles, source};
use std::collections::BTreeMap;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::Diagnosis;
use throng_core::engine::Engine;
use throng_core::maximum::{self, Maximum};
use throng_core::pacing::{Ending, Limit};
use throng_core::protocol::http::HttpLatencies;
use throng_core::protocol::mqtt::MqttLatencies;
use throng_core::protocol::proxy::{EndedBy, OfBackend, ProxySummary};
use throng_core::protocol::proxy_protocol::{Malformed, ProxyProtocolSummary, Tlv};
use throng_core::protocol::tls::{TlsFailure, TlsSummary};
use throng_core::protocol::websocket::WebSocketLatencies;
use throng_core::protocol::{Latencies, Sections};
use throng_core::record::{SearchSummary, VERSION};
use throng_core::stats::{Closed, FailCause, OfAddress};
use throng_core::storm::{BrokeBy, ConnectRate, ConnectRateEnding, ConnectRateTrial};
use throng_core::summary::{
    Answers, Bin, Connections, Cost, Expected, Finding, Histogram, HistogramOf, Latency,
    MessageRate, Pings, Sample, Server, SetUp, StartSpread, Steady, Summary, Traffic, WhyMissing,
};
use throng_core::watched::WatchedSummary;

/// A load of `connections` against a server of its own: all of them established and held for ten seconds.
pub fn perfect() -> Summary {
    let n = 1_000_000;
    let over_time = (1..=38u32)
        .map(|s| Sample {
            at_s: s.into(),
            open: (u64::from(s) * 36_231).min(n),
            established_per_s: match s {
                1..=27 => 30_000.0 + 12_462.0 * f64::from((s * 7) % 11) / 10.0,
                28 => 21_763.0,
                _ => 0.0,
            },
            failed_per_s: 0.0,
            messages_per_s: if s > 28 { 59_870.5 } else { 0.0 },
            sent_per_s: if s > 28 { 957_928.0 } else { 0.0 },
            received_per_s: if s > 28 { 957_928.0 } else { 0.0 },
            latency_p50_us: (s > 28).then_some(350.0),
            latency_p99_us: (s > 28).then_some(2205.0),
            latency_max_us: (s > 28).then_some(35_595.0),
        })
        .collect();
    let traffic = Traffic {
        messages_sent: 598_705,
        messages_unsent: 0,
        replies: 598_705,
        bytes_sent: 9_579_280,
        bytes_received: 9_579_280,
        writes: 598_705,
        reads: 598_705,
    };
    Summary {
        version: VERSION,
        tool: "throng 0.1.0".into(),
        role: "load".into(),
        command: "throng load --self=echo -c 1m --hold 10s -M 16 -r 0.06"
            .split(' ')
            .map(String::from)
            .collect(),
        reached: true,
        findings: Vec::new(),
        causes: Vec::new(),
        interrupted: false,
        started_unix_s: 1_760_000_000.25,
        hold_s: Some(10.0),
        seconds: 37.61,
        closing_s: 6.2,
        kernel: "6.18.0".into(),
        cores: 2,
        engine: Engine::Uring,
        why_epoll: None,
        workers: 2,
        connections: Connections {
            asked: Some(n),
            attempted: n,
            established: n,
            accepted: Some(n),
            peak: n,
            open_at_end: n,
            closed_by_us: n,
            kernel_sockets: Some(2 * n),
            expected_sockets: Some(2 * n),
            ..Connections::default()
        },
        start: None,
        set_up: Some(SetUp {
            seconds: 27.6,
            per_s: 36_231.9,
            asked_per_s: None,
            latency: Some(percentiles(n, 1240.0)),
            cpu_us_per_connection: Some(54.6),
        }),
        traffic,
        server_traffic: Some(Traffic {
            messages_sent: 0,
            replies: 0,
            ..traffic
        }),
        requests: None,
        message_rate: Some(MessageRate {
            asked_per_s: Some(60_000.0),
            asked_messages: None,
            messages: 598_705,
            reached_per_s: 59_870.5,
            seconds: 10.0,
            lateness: Some(percentiles(598_705, 48.0)),
            cpu_us_per_message: Some(32.1),
        }),
        bandwidth: None,
        latency: Latency {
            response: Some(percentiles(598_705, 350.0)),
            service: Some(percentiles(598_705, 310.0)),
            ..Latency::default()
        },
        histogram: Some(histogram(&RESPONSES)),
        answers: None,
        pings: None,
        stops_seen: None,
        storms: Vec::new(),
        churn: None,
        drain: None,
        window: None,
        connect_rate: None,
        search: None,
        maximum: None,
        protocols: Sections::default(),
        proxy: None,
        proxy_protocol: None,
        tunnel: None,
        tls: None,
        cost: Cost {
            user_bytes: 118_489_088,
            user_bytes_per_connection: Some(118.5),
            kernel_bytes_per_connection: Some(8704.0),
            kernel_bytes_sure: true,
            cpu_user_s: 8.4,
            cpu_system_s: 66.1,
        },
        expectations: Vec::new(),
        server: None,
        watched: Vec::new(),
        over_time,
        steady: Some(Steady {
            seconds: 10.0,
            opened: n,
            accepted: n,
            traffic,
            ..Steady::default()
        }),
        latencies: Vec::new(),
        sources: vec![source()],
    }
}

/// The response times of [`perfect`].
const RESPONSES: [(f64, u64); 8] = [
    (200.0, 23_948),
    (500.0, 419_093),
    (1_000.0, 137_702),
    (2_000.0, 10_776),
    (5_000.0, 5_987),
    (10_000.0, 900),
    (20_000.0, 250),
    (50_000.0, 49),
];

pub(super) fn histogram(bins: &[(f64, u64)]) -> Histogram {
    let bins = bins.iter();
    Histogram {
        of: HistogramOf::Response,
        bins: bins.map(|&(to_us, count)| Bin { to_us, count }).collect(),
    }
}

/// Against a server that refuses some and drops others, without messages, through epoll.
pub fn shortfall() -> Summary {
    let failed = BTreeMap::from([(FailCause::Refused, 3021), (FailCause::TimedOut, 1200)]);
    Summary {
        role: "load".into(),
        command: "throng load -c 20k --connect-rate 5k --hold 30s 10.20.30.40:8080"
            .split(' ')
            .map(String::from)
            .collect(),
        reached: false,
        findings: vec![
            Finding::ConnectionsMissing {
                peak: 15_779,
                asked: 20_000,
                why: WhyMissing::Stalled,
            },
            Finding::AttemptsFailed {
                cause: FailCause::TimedOut,
                attempts: 1200,
                retransmits: Some(2400),
                timeouts: Some(1200),
                remedy: Some("The server's accept queue may be full: raise its backlog".into()),
            },
        ],
        seconds: 36.0,
        closing_s: 0.04,
        engine: Engine::Epoll,
        why_epoll: Some(
            "kernel.io_uring_disabled is 2; sysctl -w kernel.io_uring_disabled=0".into(),
        ),
        connections: Connections {
            asked: Some(20_000),
            attempted: 20_000,
            established: 15_779,
            peak: 15_779,
            open_at_end: 15_760,
            closed_by_us: 15_760,
            failed,
            closed_by_peer: 12,
            reset_by_peer: 7,
            kernel_sockets: Some(15_781),
            expected_sockets: Some(15_779),
            ..Connections::default()
        },
        set_up: Some(SetUp {
            seconds: 5.9,
            per_s: 2674.4,
            asked_per_s: Some(5000.0),
            latency: Some(percentiles(15_779, 30_100.0)),
            cpu_us_per_connection: Some(21.0),
        }),
        traffic: Traffic::default(),
        server_traffic: None,
        message_rate: None,
        requests: None,
        latency: Latency::default(),
        histogram: None,
        cost: Cost {
            user_bytes: 2_097_152,
            user_bytes_per_connection: Some(132.9),
            kernel_bytes_per_connection: None,
            kernel_bytes_sure: false,
            cpu_user_s: 0.08,
            cpu_system_s: 0.34,
        },
        over_time: Vec::new(),
        steady: None,
        ..perfect()
    }
}

/// Ctrl-C while connections are opened.
pub fn interrupted() -> Summary {
    Summary {
        reached: false,
        interrupted: true,
        hold_s: Some(0.0),
        seconds: 3.0,
        connections: Connections {
            asked: Some(1_000_000),
            attempted: 101_024,
            established: 100_000,
            accepted: Some(99_871),
            peak: 100_000,
            open_at_end: 100_000,
            closed_by_us: 100_000,
            ..Connections::default()
        },
        set_up: Some(SetUp {
            seconds: 3.0,
            per_s: 33_333.3,
            ..SetUp::default()
        }),
        traffic: Traffic::default(),
        server_traffic: Some(Traffic::default()),
        message_rate: None,
        requests: None,
        latency: Latency::default(),
        histogram: None,
        over_time: Vec::new(),
        ..perfect()
    }
}

/// A sink that ran for a minute.
pub fn serve() -> Summary {
    Summary {
        role: "serve".into(),
        command: "throng serve --duration 1m 9000"
            .split(' ')
            .map(String::from)
            .collect(),
        seconds: 60.0,
        closing_s: 0.1,
        connections: Connections {
            accepted: Some(54_321),
            peak: 20_000,
            open_at_end: 3,
            closed_by_us: 3,
            closed_by_peer: 54_300,
            reset_by_peer: 18,
            ..Connections::default()
        },
        set_up: None,
        traffic: Traffic {
            bytes_received: 629_145_600,
            reads: 1_234_567,
            ..Traffic::default()
        },
        server_traffic: None,
        message_rate: None,
        requests: None,
        latency: Latency::default(),
        histogram: None,
        over_time: Vec::new(),
        steady: None,
        ..perfect()
    }
}

/// A proxy to two backends, one of which refused for a time.
pub fn proxy() -> Summary {
    let backend = |last, established, refused| OfBackend {
        of: OfAddress {
            attempted: established + refused,
            failed: match refused {
                0 => BTreeMap::new(),
                n => [(FailCause::Refused, n)].into(),
            },
            ..of_address(last, established, 0)
        },
        left_out: refused.min(1),
        unsecured: match refused {
            0 => BTreeMap::new(),
            _ => [(TlsFailure::UnknownAuthority, 2)].into(),
        },
    };
    Summary {
        role: "proxy".into(),
        command: "throng proxy 9000 --to 10.0.0.7:80 --to 10.0.0.8:80"
            .split(' ')
            .map(String::from)
            .collect(),
        connections: Connections {
            attempted: 54_325,
            established: 54_321,
            accepted: Some(54_321),
            peak: 40_000,
            open_at_end: 6,
            closed_by_us: 54_327,
            closed_by_peer: 54_315,
            failed: [(FailCause::Refused, 4)].into(),
            ..Connections::default()
        },
        proxy: Some(ProxySummary {
            pairs: 54_321,
            peak: 20_000,
            open_at_end: 3,
            ended: [(EndedBy::Client, 54_300), (EndedBy::BackendReset, 18)].into(),
            turned_away: 0,
            to_itself: 0,
            unidentified: 0,
            unsecured: [(TlsFailure::UnknownAuthority, 2)].into(),
            bytes_from_clients: 629_145_600,
            bytes_from_backends: 6_291_456_000,
            per_s: 905.4,
            backends: vec![backend(7, 30_000, 0), backend(8, 24_321, 4)],
        }),
        proxy_protocol: Some(ProxyProtocolSummary {
            taken: 54_325,
            version_2: 54_300,
            unnamed: 2,
            refused: [(Malformed::BadLine, 3)].into(),
            late: 1,
            cut_off: 2,
            tlvs: [(Tlv::Crc32c, 54_300), (Tlv::UniqueId, 54_300)].into(),
            checksums: 54_300,
            clients: None,
        }),
        ..serve()
    }
}

/// What became of connections to an address of example.com.
pub(super) fn of_address(last: u8, established: u64, lost: u64) -> OfAddress {
    OfAddress {
        attempted: established,
        established,
        lost,
        ..OfAddress::new(
            ([192, 0, 2, last], 443).into(),
            "wss://example.com/chat".into(),
        )
    }
}

/// One that is met, one that is not, and one that nobody knows.
pub fn expectations() -> Vec<Expected> {
    vec![
        Expected {
            expression: "response.p99<10ms".parse().unwrap(),
            met: true,
            value: Some(2205.0),
            at_least: false,
            unit: "us".into(),
            measured: "2.21 ms".into(),
        },
        Expected {
            expression: "answers>=99.999%".parse().unwrap(),
            met: false,
            value: Some(99.99866),
            at_least: false,
            unit: "percent".into(),
            measured: "99.99 %, 598,705 of 598,713".into(),
        },
        Expected {
            expression: "held/s>=10k".parse().unwrap(),
            met: false,
            value: None,
            at_least: false,
            unit: "per_s".into(),
            measured: "unknown: the search found no rate".into(),
        },
    ]
}

/// What an nginx with two workers used for the connections of [`perfect`].
pub fn server() -> Server {
    Server {
        names: vec!["nginx".into()],
        processes: Some(3),
        rss_bytes_before: Some(14 << 20),
        rss_bytes_peak: Some(520 << 20),
        rss_bytes_per_connection: Some(530.6),
        pss_bytes_before: Some(6 << 20),
        pss_bytes_peak: Some(512 << 20),
        pss_bytes_per_connection: Some(530.6),
        cpu_user_s: Some(7.2),
        cpu_system_s: Some(21.3),
        files_open: Some(500_021),
        file_limit: Some(1 << 20),
        ended: 1,
        unread: vec!["its open files: Permission denied".into()],
    }
}

/// A search that has found its rate.
pub fn searched() -> Summary {
    let mut s = perfect();
    let words = "the highest rate that keeps p95 at or under 10.0 ms lies between 12.4k/s and 12.5k/s (90 % confidence); at 12.5k/s latency exceeded the bound; 23 trials";
    s.findings = vec![Finding::RateSearch {
        ending: Ending::Found,
        words: words.into(),
    }];
    s.search = Some(SearchSummary {
        ending: Ending::Found,
        held_per_s: Some(12_345.0),
        held_per_connection_per_s: Some(0.012_345),
        held_latency_us: Some(8200.0),
        broke_per_s: Some(12_520.0),
        broke_by: Some(Limit::Latency),
        least_per_s: Some(12_370.0),
        most_per_s: Some(12_490.0),
        under: "10ms".into(),
        under_us: 10_000.0,
        percentile: 95.0,
        tolerance: 0.02,
        trials: 23,
        confidence: 0.9,
        words: words.into(),
    });
    s
}

/// A search that has found the most connections.
pub fn maximum() -> Summary {
    let mut s = perfect();
    let words = "At most 295 connections, reached twice: the limit is the server's, further ones wait to be accepted";
    let met = Diagnosis {
        limit: LimitKind::TargetFiles,
        allows: Some(295),
        certain: true,
        what: "the target stopped at 295 connections: its process node (pid 811) has 300 of at most 300 files open".into(),
        remedy: "Raise the server's limit: LimitNOFILE= in its systemd unit, ulimit -n in what starts it, or prlimit --pid.".into(),
    };
    s.connections = Connections {
        asked: Some(295),
        attempted: 372,
        established: 372,
        accepted: None,
        closed_by_us: 372,
        peak: 368,
        open_at_end: 295,
        ..s.connections
    };
    s.findings = vec![
        Finding::Maximum {
            ending: maximum::Ending::Found,
            connections: 295,
            whose: Some(maximum::Whose::Server),
            limit: Some(LimitKind::TargetFiles),
            words: words.into(),
        },
        Finding::LimitMet(met.clone()),
    ];
    s.causes = vec![met];
    s.maximum = Some(Maximum {
        ending: maximum::Ending::Found,
        connections: 295,
        at_most: Some(1_000_000),
        client_allows: 28_232,
        client_limit: Some(LimitKind::FourTuples),
        whose: Some(maximum::Whose::Server),
        limit: Some(LimitKind::TargetFiles),
        sure: true,
        known_by: maximum::KnownBy::AcceptQueue,
        walls: vec![295, 295],
        pauses: vec![128],
        beyond: maximum::Beyond {
            failed: BTreeMap::from([(FailCause::TimedOut, 2)]),
            closed: BTreeMap::from([(Closed::ResetByPeer, 3)]),
            queued: 73,
        },
        way: vec![
            maximum::Step {
                at_s: 0.5,
                connections: 128,
                per_s: 256.0,
                connect_p50_us: Some(180.0),
                connect_p99_us: Some(420.0),
            },
            maximum::Step {
                at_s: 1.0,
                connections: 295,
                per_s: 334.0,
                connect_p50_us: Some(950.0),
                connect_p99_us: Some(2400.0),
            },
        ],
        knee: Some(128),
        places_kept: None,
        answered: Some(290),
        keeping: None,
        seconds: 12.4,
        words: words.into(),
    });
    s
}

/// A search that has found the most connections that keep a bound of latency.
pub fn keeping() -> Summary {
    let mut s = maximum();
    let words = "At most 295 connections keep p99<50ms,failed=0 (the most lie between 295 and 300, 90 % confidence): at 300 latency \
                 exceeded the bound";
    if let Some(Finding::Maximum { words: of, .. }) = s.findings.first_mut() {
        *of = words.into();
    }
    if let Some(found) = &mut s.maximum {
        found.words = words.into();
        found.keeping = Some(maximum::Keeping {
            objectives: "p99<50ms,failed=0".into(),
            percentile: Some(99.0),
            bound_us: Some(50_000.0),
            kept: Some(295),
            kept_latency_us: Some(48_200.0),
            broke: Some(300),
            broke_by: Some(Limit::Latency),
            least: Some(295),
            most: Some(300),
            confidence: 0.9,
            tolerance: 0.02,
            tried: vec![
                maximum::Tried {
                    at_s: 1.7,
                    connections: 16,
                    answers_per_s: 6100.0,
                    latency_us: Some(2610.0),
                    failures: 0,
                },
                maximum::Tried {
                    at_s: 9.2,
                    connections: 300,
                    answers_per_s: 6020.0,
                    latency_us: Some(50_400.0),
                    failures: 1,
                },
            ],
            held_latency_us: Some(48_900.0),
            confirmed: Some(true),
        });
    }
    s
}

/// One with a value in every field that may be absent. For docs/summary.md: it has few samples.
pub fn full() -> Summary {
    let mut s = perfect();
    s.reached = false;
    s.findings = vec![
        Finding::ConnectionsMissing {
            peak: 999_988,
            asked: 1_000_000,
            why: WhyMissing::Stalled,
        },
        Finding::AttemptsFailed {
            cause: FailCause::Refused,
            attempts: 12,
            retransmits: None,
            timeouts: None,
            remedy: Some(
                "Nothing listens on the target, or no longer: check the address, the port and the server."
                    .into(),
            ),
        },
    ];
    s.engine = Engine::Epoll;
    s.start = Some(StartSpread {
        agents: 2,
        first_us: -12.5,
        last_us: 340.25,
        spread_us: 352.75,
        bound_us: 61.5,
    });
    s.why_epoll = Some("kernel.io_uring_disabled is 2".into());
    s.connections.attempted = 1_000_000;
    s.connections.established = 999_988;
    s.connections.accepted = Some(999_988);
    s.connections.peak = 999_988;
    s.connections.open_at_end = 999_985;
    s.connections.closed_by_us = 999_985;
    s.connections.reset_by_peer = 3;
    s.connections.failed = BTreeMap::from([(FailCause::Refused, 12)]);
    s.connections.kernel_sockets = Some(1_999_976);
    s.connections.expected_sockets = Some(1_999_976);
    s.connections.by_address = vec![of_address(7, 500_000, 0), of_address(8, 499_988, 3)];
    if let Some(set_up) = &mut s.set_up {
        set_up.asked_per_s = Some(40_000.0);
        set_up.per_s = 36_231.4;
        set_up.latency = Some(percentiles(999_988, 1240.0));
    }
    let busy = busy();
    s.bandwidth = busy.bandwidth;
    s.latency = Latency {
        first_byte: Some(percentiles(999_988, 900.0)),
        response: Some(percentiles(598_705, 350.0)),
        service: Some(percentiles(598_705, 310.0)),
        ttfb: None,
        marked: Some(percentiles(598_705, 160.0)),
        pong: Some(percentiles(499_987, 240.0)),
        protocols: Latencies {
            websocket: WebSocketLatencies {
                upgrade: Some(percentiles(999_981, 820.0)),
            },
            http: HttpLatencies::default(),
            mqtt: MqttLatencies {
                suback: Some(percentiles(1001, 410.0)),
                connack: Some(percentiles(1003, 640.0)),
            },
        },
    };
    s.answers = busy.answers.map(|answers| Answers {
        asked: 598_713,
        received: 598_705,
        per_s: Some(59_870.5),
        ..answers
    });
    s.pings = Some(Pings {
        sent: 499_990,
        answered: 499_987,
        unanswered: 3,
        unasked: 0,
    });
    s.stops_seen = busy.stops_seen;
    s.protocols = busy.protocols;
    if let Some(websocket) = &mut s.protocols.websocket {
        websocket.upgraded = 999_981;
    }
    s.tls = busy.tls.map(|tls| TlsSummary {
        handshakes: 999_985,
        resumed: 874_112,
        per_s: 36_231.3,
        seconds: 27.6,
        latency: Some(percentiles(999_985, 710.0)),
        ..tls
    });
    s.search = searched().search;
    s.connect_rate = Some(ConnectRate {
        ending: ConnectRateEnding::Found,
        connections: 20_000,
        per_s: Some(9120.0),
        broke_per_s: Some(9950.0),
        broke_by: Some(BrokeBy::SynsDropped),
        tried: vec![ConnectRateTrial {
            due_per_s: Some(10_000.0),
            attempted_per_s: 9950.0,
            failed: 1,
            syns_dropped: 72,
            syns_retried: 31,
            late: 31,
            waiting: Some(4097),
            lost_again: 0,
            missing: 0,
        }],
        words: "At most 9,120 new connections per second without a loss: at 9.95k/s the listener's queue was full and SYNs were \
                dropped; 17 trials of 20,000 connections"
            .into(),
    });
    s.maximum = keeping().maximum;
    s.latencies = busy.latencies;
    s.latencies.truncate(1);
    if let Some(rate) = &mut s.message_rate {
        rate.asked_messages = Some(600_000.0);
    }
    s.steady = Some(Steady {
        seconds: 10.0,
        opened: 999_985,
        accepted: 999_985,
        traffic: s.traffic,
        accepted_traffic: s.server_traffic,
        marked: false,
    });
    s.expectations = expectations();
    s.server = Some(server());
    s.watched = vec![watched()];
    s.over_time = s.over_time.split_off(36);
    for sample in &mut s.over_time {
        sample.open = 999_985;
        sample.at_s = sample.at_s.min(s.seconds);
    }
    s
}

/// A server that an agent watched, with every field.
pub fn watched() -> WatchedSummary {
    WatchedSummary {
        name: "nginx.service".into(),
        agent: Some("a1".into()),
        text: "a1: nginx.service ended after 38.1 s; 18.2 KiB per connection, 74 % of it user memory; descriptors bind at 20k, \
               memory at 1.2m (estimated)"
            .into(),
        readings: 38,
        seconds: 37.6,
        names: vec!["nginx".into()],
        processes: 3,
        threads: 3,
        connections_before: Some(0),
        connections_peak: Some(10_000),
        rss_bytes_before: 12 << 20,
        rss_bytes_peak: 145 << 20,
        anon_bytes_before: 4 << 20,
        anon_bytes_peak: 136 << 20,
        kernel_bytes_before: Some(3584),
        kernel_bytes_peak: Some(47 << 20),
        socket_bytes: 3584,
        socket_bytes_read: true,
        bytes_per_connection: Some(18_637.0),
        margin_bytes: Some(120.0),
        rss_bytes_per_connection: Some(13_800.0),
        kernel_bytes_per_connection: Some(4_837.0),
        why_not: Some("there are 2 readings while connections were opened and held, and at least 4 are needed: hold them longer".into()),
        memory_available_bytes: Some(22 << 30),
        memory_cgroup: Some("/sys/fs/cgroup/system.slice/nginx.service".into()),
        memory_binds_at: Some(1_267_500),
        descriptors: 10_040,
        descriptors_fullest: Some(5_020),
        descriptor_limit: Some(10_240),
        descriptors_per_connection: Some(0.5),
        descriptors_bind_at: Some(20_440),
        cpu_user_s: 1.25,
        cpu_system_s: 4.5,
        listeners: 1,
        queue_waiting_peak: 12,
        queue_limit: 511,
        queue_full: 1,
        dropped: 3,
        overflows: 3,
        softirq_mean: 0.062_5,
        softirq_peak: 0.25,
        ended: Some("ended".into()),
        ended_at_s: Some(38.1),
        unread: vec!["its memory: /proc/4711/status: Permission denied (os error 13)".into()],
    }
}
