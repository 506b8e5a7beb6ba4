//! Whether a load measures what is expected of it.

use super::{LoadScenario, MessageLatency, Sending};
use crate::expect::{ENOUGH_TO_DIVIDE, Latency, Needs, latencies};
use crate::payload::Message;
use crate::protocol::{Answers, Says};

impl LoadScenario {
    /// The latencies that a run of it measures.
    pub fn measures(&self) -> Vec<Latency> {
        let all = latencies().iter().copied();
        all.filter(|latency| lacks(self, latency.needs).is_none())
            .collect()
    }

    /// What it lacks to measure what `needs` asks for: a remedy in words. `None` if it does measure it.
    pub fn lacks(&self, needs: Needs) -> Option<&'static str> {
        lacks(self, needs)
    }
}

/// What the scenario lacks to have what `needs` asks for: a remedy in words.
pub(super) fn lacks(scenario: &LoadScenario, needs: Needs) -> Option<&'static str> {
    let sending = &scenario.pace.sending;
    let message = &scenario.measure.message;
    let by_content = matches!(
        message,
        Some(MessageLatency::Marker(_) | MessageLatency::Echo)
    );
    let by_protocol = scenario.protocol.answers().always();
    let answers = by_content || by_protocol || sending.is_closed_loop();
    let paced = matches!(
        sending,
        Sending::PerConnection(_) | Sending::WholeRun { .. } | Sending::Search(_)
    );
    let repeated = &scenario.messages.repeated;
    let own_messages = matches!(scenario.protocol.says(), Says::Own | Says::Around);
    let repeats = scenario.messages.repeats_something() || own_messages;
    let markers =
        *message == Some(MessageLatency::MessageMarker) || repeated.iter().any(Message::has_marker);
    let many = u64::from(scenario.connections.most()) >= ENOUGH_TO_DIVIDE;
    if !scenario.opens() && needs != Needs::Markers {
        return Some("it is about connections that are opened: add a target HOST:PORT");
    }
    let (has, remedy) = match needs {
        Needs::Connections => (true, ""),
        Needs::Response if !answers => (
            false,
            "add --latency-marker TEXT or --latency-echo, and a rate (-r, --rate)",
        ),
        Needs::Response => (
            paced,
            "without a rate no message is due at a time: add -r or --rate, or expect service",
        ),
        Needs::Answers => (
            answers,
            "add --latency-marker TEXT, --latency-echo or --closed-loop",
        ),
        Needs::Pace => (paced, "add a rate: -r, --rate or --profile"),
        Needs::Messages => (repeats, "add messages: -m or -f"),
        Needs::Markers => (markers, "add --message-marker"),
        Needs::FirstByte => (scenario.measure.first_byte, "add --latency-first-byte"),
        Needs::Protocol { latency, remedy } => (scenario.protocol.measures(latency), remedy),
        Needs::Pings => (
            scenario.protocol.pings().is_some(),
            "add --ping TIME, and --websocket or a ws:// target",
        ),
        Needs::Heads => (
            scenario.protocol.answers() == Answers::Whole,
            "it is about HTTP: add --http or an http:// target",
        ),
        Needs::Tls => (scenario.tls.is_some(), "add --tls or a wss:// target"),
        Needs::Many => (many, FEW),
        Needs::Search => (sending.search().is_some(), "add -r @LATENCY"),
        Needs::Server | Needs::ManyOfServer if scenario.own_server.is_some() => (
            false,
            "the server is this process: expect user_bytes_per_connection, which is of both ends",
        ),
        Needs::Server => (true, ""),
        Needs::ManyOfServer => (many, FEW),
    };
    (!has).then_some(remedy)
}

const FEW: &str = "below 1,000 connections (-c) memory per connection says nothing";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Scalar;
    use crate::scenario::OwnServer;
    use crate::scenario::Scenario;
    use crate::scenario::file::read;

    fn load(more: &str) -> Result<Scenario, String> {
        let text = format!("version = 1\n[load]\ntargets = ['10.0.0.7:9000']\n{more}");
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        read(&text, "a.toml", &[], &none).map_err(|e| e.to_string())
    }

    #[test]
    fn what_a_run_does_not_measure_is_refused_with_a_remedy() {
        let message = "messages.repeated = ['x']\n";
        for (expected, refused_with, remedy, accepted_with) in [
            (
                "response.p99<10ms",
                String::new(),
                "--latency-echo",
                format!("{message}measure.latency-echo = true\npace.message-rate = 5"),
            ),
            (
                "response.p99<10ms",
                format!("{message}pace.closed-loop = true"),
                "or expect service",
                format!("{message}measure.latency-marker = 'x'\npace.rate = 5"),
            ),
            (
                "service.max<10ms",
                format!("{message}pace.message-rate = 5"),
                "--closed-loop",
                format!("{message}pace.closed-loop = true"),
            ),
            (
                "answers>=99.9%",
                message.into(),
                "--latency-echo",
                "protocol.dns.queries = ['a.example/A']".into(),
            ),
            (
                "lateness.p99<1ms",
                message.into(),
                "--rate",
                format!("{message}pace.message-rate = 5"),
            ),
            (
                "marked.p99<1ms",
                message.into(),
                "--message-marker",
                "measure.message-marker = true".into(),
            ),
            (
                "first_byte.p99<1s",
                String::new(),
                "--latency-first-byte",
                "measure.latency-first-byte = true".into(),
            ),
            (
                "handshake.p99<1s",
                String::new(),
                "--tls",
                "tls = {}".into(),
            ),
            (
                "pong.p99<50ms",
                "protocol = 'websocket'".into(),
                "--ping",
                "protocol.websocket.ping = '20s'".into(),
            ),
            (
                "event_gap.p99<2s",
                "protocol = 'http'".into(),
                "--events",
                "protocol.http.events = true".into(),
            ),
            (
                "upgrade.p99<1s",
                String::new(),
                "--websocket",
                "protocol = 'websocket'".into(),
            ),
            ("messages/s>5", String::new(), "-m", message.into()),
            (
                "held/s>5",
                format!("{message}pace.message-rate = 5"),
                "-r @",
                format!("{message}measure.latency-echo = true\npace.message-rate = '@10ms'"),
            ),
            (
                "server.pss_bytes_per_connection<5k",
                "connections = 999".into(),
                "1,000",
                "connections = 1000".into(),
            ),
        ] {
            let expect = format!("expect = '{expected}'\n");
            let error = load(&format!("{expect}{refused_with}")).unwrap_err();
            assert!(
                error.contains(expected) && error.contains(remedy),
                "{error}"
            );
            load(&format!("{expect}{accepted_with}")).unwrap_or_else(|e| panic!("{e}"));
        }
        assert!(load("expect = ['connect.p99<1s', 'lost=0', 'server.files_open<80%']").is_ok());
    }

    #[test]
    fn a_load_measures_the_latencies_that_could_be_expected_of_it() {
        let measures = |more: &str| match load(more) {
            Ok(Scenario::Load(scenario)) => {
                let all = scenario.measures().into_iter();
                all.map(|latency| latency.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(measures(""), ["connect"]);
        assert_eq!(
            measures("messages.repeated = ['x']\npace.closed-loop = true"),
            ["service", "connect"]
        );
        assert_eq!(
            measures("protocol = 'http'\npace.rate = 5\ntls = {}"),
            [
                "response",
                "service",
                "ttfb",
                "lateness",
                "connect",
                "handshake"
            ]
        );
    }

    #[test]
    fn a_run_that_opens_nothing_measures_markers_alone_and_one_of_its_own_server_has_no_other() {
        let accepts = LoadScenario::default();
        let all = Scalar::ALL.iter().map(|s| s.needs());
        let all: Vec<Needs> = all.chain(latencies().iter().map(|l| l.needs)).collect();
        for needs in all {
            assert!(lacks(&accepts, needs).is_some(), "{needs:?}");
        }
        let own = LoadScenario {
            own_server: Some(OwnServer::Sink),
            connections: 1000.into(),
            ..LoadScenario::default()
        };
        assert!(lacks(&own, Needs::Server).is_some_and(|r| r.contains("this process")));
        assert_eq!(lacks(&own, Needs::Many), None);
    }
}
