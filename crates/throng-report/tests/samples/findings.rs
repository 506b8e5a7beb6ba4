//! Every kind of finding.

use super::{expectations, source};
use std::collections::BTreeMap;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{Diagnosis, HalfOpen, Stopped, Undelivered};
use throng_core::pacing::Ending;
use throng_core::protocol::ProtocolKind;
use throng_core::protocol::tls::TlsFailure;
use throng_core::protocol::websocket::Violation;
use throng_core::stats::{Closed, FailCause};
use throng_core::storm::{BrokeBy, ConnectRateEnding, WindowEnding};
use throng_core::summary::{
    Age, Bottleneck, Bounded, BusyWith, ChangedTo, Drain, Finding, Handshake, Sender, WhyMissing,
};

/// One of each kind, and of each reason why connections are missing.
pub fn findings() -> Vec<Finding> {
    let closed = BTreeMap::from([(Closed::ByPeer, 3), (Closed::ResetByPeer, 1)]);
    let age = Age {
        min_s: 5.0,
        p50_s: 5.0,
        max_s: 5.01,
        alike: true,
    };
    let ages = BTreeMap::from([(Closed::ByPeer, age)]);
    let met = Diagnosis {
        limit: LimitKind::FourTuples,
        allows: None,
        certain: true,
        what: "no local port was left".into(),
        remedy: "Add source addresses (--source-ip).".into(),
    };
    let missing = [
        WhyMissing::Interrupted,
        WhyMissing::Abandoned,
        WhyMissing::StoppedByText,
        WhyMissing::NoEcho,
        WhyMissing::OpeningTooLong { seconds: 1.5 },
        WhyMissing::TimeOver { seconds: 2.5 },
        WhyMissing::Limit(met.clone()),
        WhyMissing::NoneEstablished,
        WhyMissing::Lost {
            closed: closed.clone(),
            ages: ages.clone(),
        },
        WhyMissing::LifetimesOver,
        WhyMissing::SourceLost,
        WhyMissing::NotAtOnce,
        WhyMissing::Stalled,
    ];
    let missing = missing.map(|why| Finding::ConnectionsMissing {
        peak: 7,
        asked: 10,
        why,
    });
    let others = [
        Finding::HandshakesMissing {
            completed: 0,
            asked: 10,
            protocol: Handshake::Tls,
            waiting: 10,
        },
        Finding::ConnectionsLost {
            lost: 5,
            open: 6,
            asked: 10,
            closed: closed.clone(),
            ages: ages.clone(),
            violated: 0,
            idle: true,
        },
        Finding::ConnectionsReopened {
            asked: 10,
            closed,
            ages,
        },
        Finding::WindowSearch {
            ending: WindowEnding::Found,
            held_ms: Some(1850),
            broke_ms: Some(1700),
            storms: 17,
        },
        Finding::WindowSearch {
            ending: WindowEnding::NoneHeld,
            held_ms: None,
            broke_ms: Some(409_600),
            storms: 15,
        },
        Finding::ConnectRate {
            ending: ConnectRateEnding::Found,
            per_s: Some(9120.0),
            broke_per_s: Some(9950.0),
            broke_by: Some(BrokeBy::SynsDropped),
            words: "At most 9,120 new connections per second without a loss".into(),
        },
        Finding::Drained { moved: 200 },
        Finding::DrainBroke(Drain {
            ended: 210,
            moved: 200,
            cut: 7,
            reset: 3,
            stuck: Some(1),
            messages_lost: 11,
            ..Drain::default()
        }),
        Finding::Storm {
            at_s: 30.0,
            lost: 2000,
            before: 2000,
            dropped: 2000,
            back_50_s: 1.2,
            back_100_s: 2.3,
        },
        Finding::StormNotOver {
            at_s: 30.0,
            lost: 2000,
            before: 2000,
            dropped: 0,
            missing: 150,
            seconds: 40.0,
        },
        Finding::PingsUnanswered {
            pings: 4,
            of: 1000,
            unasked: 1,
        },
        Finding::NoEcho {
            reads: 2,
            differing: 3,
        },
        Finding::HalfOpen(HalfOpen {
            connections: 12,
            unfinished: 0,
            overflowed: true,
        }),
        Finding::ServerStopped(Stopped {
            names: vec!["nginx".into()],
            pids: vec![811, 812],
            of: 4,
            at_begin: false,
            at_end: true,
        }),
        Finding::Undelivered(Undelivered {
            unacknowledged: 20,
            unfinished: 8,
            unread: 1,
            bytes: 14_260,
            others: 3,
        }),
        Finding::Unread {
            bytes: 38_000,
            of: 48_000,
            later: Some(36_000),
        },
        Finding::AnswersUnasked { answers: 7, of: 9 },
        Finding::AnswersWithError {
            answers: 9,
            errors: BTreeMap::from([("REFUSED".into(), 7), ("SERVFAIL".into(), 2)]),
        },
        Finding::MarkersAhead { markers: 3, of: 40 },
        Finding::ConnectedToItself {
            target: ([127, 0, 0, 1], 40000).into(),
        },
        Finding::HoldCutShort {
            held_s: 1.5,
            asked_s: 10.0,
        },
        Finding::MessagesUnanswered {
            messages: 3,
            of: 100,
            last_answer_s: Some(4.0),
        },
        Finding::LimitMet(met),
        Finding::ProtocolViolated {
            protocol: ProtocolKind::Websocket,
            violation: Violation::Refused.name().into(),
            words: "the peer refused the upgrade to WebSocket".into(),
            connections: 60,
        },
        Finding::TunnelFailed {
            cause: "407".into(),
            words: "the proxy refused the tunnel: 407 Proxy Authentication Required".into(),
            connections: 2,
        },
        Finding::TlsFailed {
            failure: TlsFailure::Expired,
            connections: 1,
        },
        Finding::BadProfile {
            what: "--profile -: line 3".into(),
        },
        Finding::RateSearch {
            ending: Ending::Found,
            words: "12.3k/s keeps p95 at or under 10.0 ms".into(),
        },
        Finding::Maximum {
            ending: throng_core::maximum::Ending::Found,
            connections: 295,
            whose: Some(throng_core::maximum::Whose::Server),
            limit: Some(LimitKind::TargetFiles),
            words: "At most 295 connections, reached twice: the limit is the server's, further ones wait to be accepted".into(),
        },
        Finding::MessagesUnsent { messages: 1 },
        Finding::RequestsUnsent {
            unsent: 2_000,
            asked: 10_000,
        },
        Finding::RequestsUnsent {
            unsent: 2_000,
            asked: 10_000,
        },
        Finding::StoppedByText,
        Finding::AddressDead {
            address: ([10, 0, 0, 8], 443).into(),
            target: "wss://example.com/chat".into(),
            attempts: 13,
            cause: Some(FailCause::Refused),
        },
        Finding::AttemptsFailed {
            cause: FailCause::TimedOut,
            attempts: 3,
            retransmits: Some(9),
            timeouts: Some(3),
            remedy: None,
        },
        Finding::RateMissed {
            reached_per_s: 900.5,
            asked_per_s: 1000.0,
        },
        Finding::ClientBottleneck(Box::new(Bottleneck {
            bounded: Bounded::Rate,
            cause: BusyWith::OwnWork,
            full_s: 5.0,
            of_s: 5.0,
            worker: 0,
            together: 1,
            workers: 1,
            cores: 2,
            ran: 0.99,
            waited: 0.01,
            throttled: 0.0,
            quota_cores: None,
            stolen: 0.0,
            both_ends: false,
        })),
        Finding::OpeningPaused {
            seconds: 12.3,
            at_end: false,
        },
        Finding::RateChanged {
            from_per_s: 200.0,
            changes: vec![ChangedTo {
                at_s: 2.3,
                per_s: 400.0,
            }],
        },
        Finding::ReceiveDrops {
            segments: 50,
            of: 10_000,
            server_here: false,
        },
        Finding::FastOpenUnused { ignored: 12 },
        Finding::ClientPaused {
            agent: None,
            seconds: 3.0,
        },
        Finding::ClientPaused {
            agent: Some("local-2".into()),
            seconds: 9.78,
        },
        Finding::BytesMissing {
            sender: Sender::Server,
            sent: 10,
            received: 9,
        },
        Finding::NotAccepted {
            established: 10,
            accepted: 9,
        },
        Finding::HeadersRefused { closed: 5, of: 5 },
        Finding::ClientsToItself { clients: 2 },
        Finding::ClientsCut { clients: 2 },
        Finding::ClientsUnidentified { clients: 2 },
        Finding::BackendsUnsecured {
            failure: TlsFailure::UnknownAuthority,
            clients: 2,
        },
        Finding::ClientsTurnedAway {
            clients: 3,
            failed: [(FailCause::Refused, 6)].into(),
        },
        Finding::ClientsUnannounced {
            headers: 2,
            of: 100,
            clients: vec!["10.0.0.1:80".parse().unwrap(), "[fd00::1]:1024".parse().unwrap()],
        },
        Finding::AcceptingStopped {
            connections: 100,
            memory_left: 200 << 20,
        },
        Finding::AcceptingFull {
            connections: 100,
            limit: LimitKind::Conntrack,
        },
        Finding::NotClosedByServer {
            connections: 20,
            of: 60,
        },
        Finding::LifetimesOver { connections: 10 },
        Finding::ExpectationFailed(expectations().remove(1)),
        Finding::ServerEnded {
            processes: 1,
            of: 3,
            names: vec!["nginx".into()],
            at_s: 12.5,
        },
        Finding::Unreported {
            what: "/tmp/run.hlog: no space left on device".into(),
        },
        Finding::SourceLost {
            source: source().source,
            seconds: 12.5,
            connections: 250_000,
            messages_per_s: 2_500.0,
        },
        Finding::SourceLost {
            source: "local-2".into(),
            seconds: 0.0,
            connections: 0,
            messages_per_s: 0.0,
        },
        Finding::AgentDiffers {
            agent: "local-3".into(),
            p99_us: 31_000.0,
            median_us: 2_100.0,
        },
    ];
    missing.into_iter().chain(others).collect()
}
