//! A summary of a run of which everything is told.

use super::percentiles;
use super::storms::storm;
use super::summaries::{histogram, of_address, perfect};
use std::collections::BTreeMap;
use throng_core::protocol::Latencies;
use throng_core::protocol::dns::DnsSummary;
use throng_core::protocol::http::{
    EventsSummary, Failed, HttpLatencies, HttpSummary, Malformed, Redirect, Status,
};
use throng_core::protocol::mqtt::{
    DeliveriesSummary, MqttLatencies, MqttSummary, Qos, Reason, Violation as MqttViolation,
};
use throng_core::protocol::proxy_protocol::{ClientsNamed, ProxyProtocolSummary};
use throng_core::protocol::tls::{TlsFailure, TlsSummary};
use throng_core::protocol::tunnel::TunnelSummary;
use throng_core::protocol::websocket::{
    CloseCode, Violation, WebSocketLatencies, WebSocketSummary,
};
use throng_core::summary::{
    Answers, AtPercentile, BandwidthKept, Connections, Latency, LatencyAt, LatencyOf, MessageRate,
    Pings, Requests, Summary, Traffic,
};

/// WebSocket over TLS after a profile, with bandwidth bounded, against a server that has its faults.
pub fn busy() -> Summary {
    let mut s = perfect();
    s.storms = vec![storm()];
    s.command = "throng load -c 1k --profile 10s:1k..5k --hold 10s wss://example.com/chat"
        .split(' ')
        .map(String::from)
        .collect();
    s.connections = Connections {
        asked: Some(1000),
        attempted: 1007,
        established: 1007,
        peak: 1000,
        open_at_end: 1000,
        closed_by_us: 1005,
        closed_by_peer: 2,
        by_address: vec![of_address(7, 507, 0), of_address(8, 500, 2)],
        ..Connections::default()
    };
    s.server_traffic = None;
    s.traffic = Traffic {
        messages_sent: 29_958,
        replies: 29_950,
        bytes_sent: 9_579_280,
        bytes_received: 9_579_000,
        writes: 29_958,
        reads: 29_950,
        ..Traffic::default()
    };
    s.requests = Some(Requests {
        asked: 30_000,
        sent: 29_958,
        unsent: 42,
        seconds: 10.2,
        per_s: 2937.1,
    });
    s.message_rate = Some(MessageRate {
        asked_per_s: Some(3000.0),
        asked_messages: Some(30_000.0),
        messages: 29_958,
        reached_per_s: 2995.8,
        seconds: 10.0,
        lateness: Some(percentiles(29_958, 48.0)),
        cpu_us_per_message: Some(40.0),
    });
    s.bandwidth = Some(BandwidthKept {
        asked_sent_per_s: Some(1_024_000.0),
        sent_per_s: 957_928.0,
        asked_received_per_s: Some(2_048_000.0),
        received_per_s: 957_900.0,
        seconds: 10.0,
    });
    s.latency = Latency {
        first_byte: Some(percentiles(1000, 900.0)),
        response: Some(percentiles(29_950, 350.0)),
        service: Some(percentiles(29_950, 310.0)),
        ttfb: Some(percentiles(29_950, 300.0)),
        marked: Some(percentiles(29_950, 160.0)),
        pong: Some(percentiles(1990, 240.0)),
        protocols: Latencies {
            websocket: WebSocketLatencies {
                upgrade: Some(percentiles(1003, 820.0)),
            },
            http: HttpLatencies {
                first_event: Some(percentiles(20, 900.0)),
                event_gap: Some(percentiles(380, 100_400.0)),
                event_silence: Some(percentiles(20, 60_000.0)),
                event_age: Some(percentiles(400, 180.0)),
            },
            mqtt: MqttLatencies {
                suback: Some(percentiles(1001, 410.0)),
                connack: Some(percentiles(1003, 640.0)),
            },
        },
    };
    s.histogram = Some(histogram(&[
        (200.0, 950),
        (500.0, 28_000),
        (1_000.0, 1_000),
    ]));
    s.answers = Some(Answers {
        asked: 29_958,
        received: 29_950,
        per_s: Some(2_995.0),
        unanswered: 8,
        cut_off: 0,
        unasked: 2,
        with_error: 31,
        errors: BTreeMap::from([("NXDOMAIN".into(), 3), ("SERVFAIL".into(), 28)]),
    });
    s.pings = Some(Pings {
        sent: 1994,
        answered: 1990,
        unanswered: 4,
        unasked: 1,
    });
    s.stops_seen = Some(1);
    s.protocols.websocket = Some(WebSocketSummary {
        upgraded: 1003,
        violations: BTreeMap::from([(Violation::Masked, 1), (Violation::Text, 3)]),
        refused: BTreeMap::from([(Status::Forbidden, 2)]),
        closes: BTreeMap::from([(CloseCode::TryAgainLater, 5)]),
        subprotocols: BTreeMap::from([("chat".into(), 1001), ("none".into(), 2)]),
    });
    s.proxy_protocol = Some(ProxyProtocolSummary {
        taken: 1000,
        late: 3,
        clients: Some(ClientsNamed {
            named: 998,
            addresses: 990,
            unannounced: Some(2),
            strangers: vec!["10.0.0.1:80".parse().unwrap()],
        }),
        ..ProxyProtocolSummary::default()
    });
    s.tunnel = Some(TunnelSummary {
        opened: 1_005,
        refused: BTreeMap::from([(Status::ProxyAuthenticationRequired, 2)]),
        failed: BTreeMap::new(),
    });
    s.protocols.dns = Some(DnsSummary { not_dns: 1 });
    s.protocols.http = Some(HttpSummary {
        requests: 3_015,
        completed: 3_000,
        failed: BTreeMap::from([
            (Failed::ClosedEarly, 3),
            (Failed::Status, 4),
            (Failed::Redirect, 2),
        ]),
        unfinished: 6,
        status: BTreeMap::from([
            (Status::Ok, 3_000),
            (Status::Found, 14),
            (Status::NotFound, 4),
        ]),
        interim: 1,
        head_bytes: 450_600,
        body_bytes: 42_000,
        announced: 30,
        unexpected: 2,
        late: 0,
        lacking: 1,
        redirects: BTreeMap::from([(Redirect::Followed, 12), (Redirect::Elsewhere, 2)]),
        strayed: 1,
        malformed: BTreeMap::from([(Malformed::TwoLengths, 1)]),
        events: Some(EventsSummary {
            streams: 20,
            ended: 2,
            lost: 1,
            received: 400,
            missed: 3,
        }),
    });
    s.protocols.mqtt = Some(MqttSummary {
        accepted: 1_003,
        sessions: 2,
        subscribed: 1_001,
        granted_less: 0,
        sent: BTreeMap::from([(Qos::AtLeastOnce, 5_000)]),
        received: BTreeMap::from([(Qos::AtMostOnce, 40), (Qos::ExactlyOnce, 7)]),
        duplicates: 1,
        retained: 3,
        deliveries: Some(DeliveriesSummary {
            subscribers: 1_001,
            silent: 1,
            arrived: 44,
            lost: 2,
            missing: 1,
            repeated: 3,
            out_of_order: 1,
            unchecked: 0,
            lossy: 1,
        }),
        connack: BTreeMap::from([(Reason::Success, 1_003), (Reason::NotAuthorized, 1)]),
        suback: BTreeMap::from([(Reason::Granted1, 1_001), (Reason::NotAuthorized, 2)]),
        acks: BTreeMap::from([(Reason::Success, 4_990), (Reason::Quota, 6)]),
        disconnects: BTreeMap::from([(Reason::TakenOver, 4)]),
        violations: BTreeMap::from([
            (MqttViolation::Refused, 1),
            (MqttViolation::SubscriptionRefused, 2),
        ]),
    });
    s.tls = Some(TlsSummary {
        handshakes: 1004,
        resumed: 251,
        failed: BTreeMap::from([
            (TlsFailure::UnknownAuthority, 1),
            (TlsFailure::Violation, 3),
        ]),
        broken: 1,
        truncated: 2,
        per_s: 1434.3,
        seconds: 0.7,
        latency: Some(percentiles(1004, 710.0)),
    });
    s.latencies = vec![
        LatencyAt {
            of: LatencyOf::Connect,
            count: 1007,
            unanswered: 0,
            min_us: Some(40.0),
            mean_us: Some(80.0),
            max_us: Some(900.0),
            at: asked(&[("95", Some(310.0)), ("99.95", Some(880.0))]),
        },
        LatencyAt {
            of: LatencyOf::Message,
            count: 0,
            unanswered: 0,
            min_us: None,
            mean_us: None,
            max_us: None,
            at: asked(&[("95", None)]),
        },
    ];
    s
}

fn asked(percentiles: &[(&str, Option<f64>)]) -> Vec<AtPercentile> {
    percentiles
        .iter()
        .map(|(percentile, us)| AtPercentile {
            at_least: false,
            percentile: (*percentile).to_owned(),
            us: *us,
        })
        .collect()
}
