//! MQTT: loads against mosquitto and against servers that are none, and `throng serve --mode mqtt` against Eclipse Paho.

use crate::ENGINES;
use crate::authority::Authority;
use crate::common::net::Net;
use crate::common::peers::{said, script, serve_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run_words, serve, start_load, stop_serving};
use std::collections::BTreeMap;
use std::path::Path;
use throng_core::protocol::mqtt::{DeliveriesSummary, MqttSummary, Qos, Reason, Violation};
use throng_core::summary::{Finding, Summary};

const VERSIONS: [&str; 2] = ["5", "3.1.1"];

fn mqtt(summary: &Summary) -> &MqttSummary {
    summary.protocols.mqtt.as_ref().expect("it speaks MQTT")
}

/// mosquitto on port 1883. It logs each packet.
fn mosquitto(net: &Net, at: &Path, more: &str) -> Process {
    let config = format!(
        "listener 1883 127.0.0.1
user root
persistence false
max_queued_messages 0
log_type all
log_dest file {at}/log
{more}
",
        at = at.display()
    );
    let file = at.join("mosquitto.conf");
    std::fs::write(&file, config).unwrap();
    start_server(net, "mosquitto", &["-c", file.to_str().unwrap()], 1883)
}

/// The lines that mosquitto has written since the last call, once it has seen that all its clients are gone.
struct Log<'a> {
    at: &'a Path,
    read: usize,
}

impl Log<'_> {
    fn lines(&mut self, clients: usize) -> Vec<String> {
        let give_up = std::time::Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(self.at.join("log")).unwrap_or_default();
            let new = &log[self.read..];
            let gone = new.lines().filter(|line| is_end(line)).count();
            if gone >= clients {
                self.read = log.len();
                return new.lines().map(String::from).collect();
            }
            assert!(
                std::time::Instant::now() < give_up,
                "{gone} are gone: {new}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn is_end(line: &str) -> bool {
    line.contains(" disconnected") || line.contains("closed its connection")
}

/// How many lines have all of these words.
fn count(lines: &[String], words: &[&str]) -> u64 {
    let has = |line: &&String| words.iter().all(|word| line.contains(word));
    lines.iter().filter(has).count() as u64
}

fn sum<K>(all: &BTreeMap<K, u64>) -> u64 {
    all.values().sum()
}

#[test]
fn mosquitto_accepts_and_pings_as_many_connections_as_we_count() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _mosquitto = mosquitto(&net, at, "allow_anonymous true");
    let mut log = Log { at, read: 0 };
    for engine in ENGINES {
        for version in VERSIONS {
            let ran = load(
                &net,
                &format!(
                    "mqtt://127.0.0.1 --engine {engine} --mqtt-version {version} -c 50 --hold 3s --keep-alive 1s \
                     --subscribe 'a/\\{{connection.uid}}/#:2' --subscribe b"
                ),
            );
            let summary = ran.reached();
            let lines = log.lines(50);
            let mqtt = mqtt(&summary);
            assert_eq!((mqtt.accepted, mqtt.subscribed), (50, 50), "{ran}");
            let granted = BTreeMap::from([(Reason::Success, 50), (Reason::Granted2, 50)]);
            assert_eq!(mqtt.suback, granted, "{ran}");
            assert_eq!(
                summary.latency.protocols.mqtt.connack.map(|l| l.count),
                Some(50),
                "{ran}"
            );
            assert_eq!(
                summary.latency.protocols.mqtt.suback.map(|l| l.count),
                Some(50),
                "{ran}"
            );
            let level = if version == "5" {
                "(p5, c1, k1)"
            } else {
                "(p2, c1, k1)"
            };
            assert_eq!(
                count(&lines, &["New client connected", " as throng", level]),
                50,
                "{ran}"
            );
            assert_eq!(count(&lines, &["Sending SUBACK"]), 50, "{ran}");
            assert_eq!(count(&lines, &["Received DISCONNECT"]), 50, "{ran}");
            let pings = summary.pings.expect("it sends pings");
            assert_eq!(count(&lines, &["Received PINGREQ"]), pings.sent, "{ran}");
            assert!(pings.sent >= 100 && pings.answered == pings.sent, "{ran}");
        }
    }
}

#[test]
fn a_server_that_expects_no_proxy_header_is_told() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let _mosquitto = mosquitto(&net, dir.path(), "allow_anonymous true");
    let ran = load(
        &net,
        "-c 5 --proxy-protocol v2 --no-reconnect --hold 300ms mqtt://127.0.0.1:1883",
    );
    let summary = ran.summary();
    assert!(!summary.reached, "{ran}");
    let refused = |f: &Finding| matches!(f, Finding::HeadersRefused { closed: 5, of: 5 });
    assert!(summary.findings.iter().any(refused), "{ran}");
    // One that gets none says nothing of them.
    load(&net, "-c 5 --hold 300ms mqtt://127.0.0.1:1883").reached();
}

#[test]
fn mosquitto_receives_what_we_publish_and_we_count_its_acknowledgements() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _mosquitto = mosquitto(&net, at, "allow_anonymous true");
    let mut log = Log { at, read: 0 };
    for engine in ENGINES {
        for version in VERSIONS {
            for (qos, pace) in [
                (Qos::AtMostOnce, "-r 20"),
                (Qos::AtLeastOnce, "-r 20"),
                (Qos::ExactlyOnce, "--rate 200"),
                (Qos::AtLeastOnce, "--closed-loop --in-flight 3"),
            ] {
                let ran = load(
                    &net,
                    &format!(
                        "mqtt://127.0.0.1 --engine {engine} --mqtt-version {version} -c 10 --hold 1s {pace} \
                         --publish 'a/\\{{connection.uid}}:{}' -m hello",
                        qos.number()
                    ),
                );
                let summary = ran.reached();
                let lines = log.lines(10);
                let mqtt = mqtt(&summary);
                let sent = sum(&mqtt.sent);
                let received = count(
                    &lines,
                    &[
                        "Received PUBLISH",
                        &format!("q{}", qos.number()),
                        "(5 bytes)",
                    ],
                );
                assert!(received == sent && sent > 0, "{received} {ran}");
                let acks = match qos {
                    Qos::AtMostOnce => 0,
                    Qos::AtLeastOnce => count(&lines, &["Sending PUBACK"]),
                    Qos::ExactlyOnce => count(&lines, &["Sending PUBCOMP"]),
                };
                assert_eq!(sum(&mqtt.acks), acks, "{ran}");
                let answered = summary.answers.map_or(0, |a| a.received);
                assert_eq!(
                    (answered, acks == sent),
                    (acks, qos != Qos::AtMostOnce),
                    "{ran}"
                );
                let timed = summary.latency.service.map_or(0, |l| l.count);
                assert_eq!(timed, answered, "{ran}");
            }
        }
    }
}

/// A publisher, and subscribers that stay until it is gone.
#[test]
fn subscribers_receive_what_is_published_once_each() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _mosquitto = mosquitto(&net, at, "allow_anonymous true");
    let mut log = Log { at, read: 0 };
    for engine in ENGINES {
        for (version, qos) in [("5", 2), ("3.1.1", 1), ("5", 0)] {
            let common = format!("mqtt://127.0.0.1 --engine {engine} --mqtt-version {version}");
            let subscribers = start_load(
                &net,
                &format!("{common} -c 20 --hold 6s --subscribe 'a/+:{qos}' --message-marker"),
            );
            let give_up = std::time::Instant::now() + PATIENCE;
            let subscribed = || {
                let log_text = std::fs::read_to_string(at.join("log")).unwrap_or_default();
                log_text[log.read..].matches("Sending SUBACK").count()
            };
            while subscribed() < 20 {
                assert!(std::time::Instant::now() < give_up, "nobody has subscribed");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let publisher = load(
                &net,
                &format!(
                    "{common} -c 3 -r 10 --hold 1s --publish 'a/\\{{connection.uid}}:{qos}' -m 'at \\{{message.marker}}'"
                ),
            );
            let published = sum(&mqtt(&publisher.reached()).sent);
            let ran = subscribers.wait(PATIENCE);
            let summary = ran.reached();
            let received = &mqtt(&summary).received;
            assert_eq!(sum(received), 20 * published, "{ran}");
            assert_eq!(
                received.keys().map(|q| q.number()).collect::<Vec<_>>(),
                [qos],
                "{ran}"
            );
            let marked = summary.latency.marked.expect("messages have markers");
            assert_eq!(marked.count, 20 * published, "{ran}");
            let lines = log.lines(23);
            assert_eq!(count(&lines, &["Sending PUBLISH"]), 20 * published, "{ran}");
            let acks = ["", "PUBACK", "PUBCOMP"][usize::from(qos)];
            if qos > 0 {
                let all = count(&lines, &["Received", acks]);
                assert_eq!(all, 20 * published, "{ran}");
            }
        }
    }
}

fn violated(ran: &Ran) -> Vec<(String, String)> {
    let summary = ran.fell_short();
    let one = |finding: &Finding| match finding {
        Finding::ProtocolViolated {
            violation, words, ..
        } => Some((violation.clone(), words.clone())),
        _ => None,
    };
    summary.findings.iter().filter_map(one).collect()
}

#[test]
fn refusals_of_mosquitto_are_reported_with_its_reason() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    std::fs::write(at.join("acl"), "user nobody\n").unwrap();
    let acl = format!("allow_anonymous true\nacl_file {}/acl", at.display());
    let open = mosquitto(&net, at, &acl);
    for engine in ENGINES {
        for version in VERSIONS {
            let common = format!("--engine {engine} --mqtt-version {version} -c 5 --hold 1s");
            // mosquitto grants what it will not deliver, and acknowledges what it discards.
            let ran = load(
                &net,
                &format!("mqtt://127.0.0.1 {common} --publish a:1 -m x -r 5"),
            );
            let mqtt_5 = mqtt(&ran.summary()).acks.clone();
            let reason = if version == "5" {
                Reason::NotAuthorized
            } else {
                Reason::Success
            };
            assert_eq!(mqtt_5.keys().collect::<Vec<_>>(), [&reason], "{ran}");
        }
    }
    drop(open);
    let _closed = mosquitto(&net, at, "allow_anonymous false");
    for engine in ENGINES {
        for version in VERSIONS {
            let ran = load(
                &net,
                &format!(
                    "mqtt://127.0.0.1 --engine {engine} --mqtt-version {version} -c 5 --hold 1s --no-reconnect"
                ),
            );
            let words = "the server refused the connection (not authorized)";
            assert_eq!(violated(&ran), [("refused".into(), words.into())], "{ran}");
            let connack = BTreeMap::from([(Reason::NotAuthorized, 5)]);
            assert_eq!(mqtt(&ran.summary()).connack, connack, "{ran}");
        }
    }
}

#[test]
fn connections_whose_session_another_one_takes_over_are_lost() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _mosquitto = mosquitto(&net, directory.path(), "allow_anonymous true");
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "mqtt://127.0.0.1 --engine {engine} -c 5 --hold 1s --no-reconnect --client-id same --force"
            ),
        );
        let summary = ran.fell_short();
        assert_eq!(mqtt(&summary).accepted, 5, "{ran}");
        // mosquitto 2.0 closes them without a DISCONNECT.
        assert_eq!(summary.connections.closed_by_peer, 4, "{ran}");
    }
}

#[test]
fn mqtts_is_mqtt_over_tls() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let tls = format!(
        "allow_anonymous true\nlistener 8883 127.0.0.1\ncertfile {}\nkeyfile {}",
        certificate.display(),
        key.display()
    );
    let _mosquitto = mosquitto(&net, authority.path(), &tls);
    let ca = authority.ca_file();
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "mqtts://127.0.0.1 --cacert {} --engine {engine} -c 10 --hold 1s --subscribe a:1 --publish a:1 -m x -r 5",
                ca.display()
            ),
        );
        let summary = ran.reached();
        assert_eq!(mqtt(&summary).subscribed, 10, "{ran}");
        assert_eq!(summary.tls.map(|t| t.handshakes), Some(10), "{ran}");
    }
}

#[test]
fn servers_that_speak_no_mqtt_fail_the_run_by_kind() {
    let net = Net::own();
    for engine in ENGINES {
        for (port, kind, violation) in [
            (1001, "pages", Some(Violation::NotMqtt)),
            (1002, "answers", Some(Violation::NotMqtt)),
            (1003, "ignores", None),
            (1004, "closes", None),
        ] {
            let _server = serve_script(&net, "misbehaving.py", port, &[kind]);
            let ran = load(
                &net,
                &format!(
                    "mqtt://127.0.0.1:{port} --engine {engine} -c 5 --hold 500ms --no-reconnect"
                ),
            );
            let summary = ran.fell_short();
            let mqtt = mqtt(&summary);
            assert_eq!(mqtt.accepted, 0, "{ran}");
            let expected: BTreeMap<Violation, u64> =
                violation.into_iter().map(|v| (v, 5)).collect();
            assert_eq!(mqtt.violations, expected, "{ran}");
        }
    }
}

#[test]
fn paho_and_our_server_agree_on_what_was_said() {
    let (net, authority) = (Net::own(), Authority::new());
    let (certificate, key) = authority.issue("server", &["127.0.0.1"]);
    let tls = format!(
        "--tls --ssl-cert {} --ssl-key {}",
        certificate.display(),
        key.display()
    );
    let ca = authority.ca_file();
    for engine in ENGINES {
        for (version, qos, tls, ca) in [
            ("5", 2, "", None),
            ("5", 1, &*tls, ca.to_str()),
            ("3.1.1", 2, "", None),
            ("3.1.1", 0, "", None),
        ] {
            let server = serve(&net, &format!("--engine {engine} --mode mqtt {tls} 1883"));
            let qos_text = qos.to_string();
            let mut command = script(&net, "mqtt_client.py");
            command.args(["1883", version, &qos_text, "5", "8"]);
            command.args(ca);
            let client = Process::start("mqtt_client.py".into(), command);
            let seen = &said(&client, 1)[0];
            let summary = stop_serving(server);
            let mqtt = mqtt(&summary);
            let number = |key: &str| seen[key].as_u64().unwrap();
            assert_eq!((number("connected"), number("granted")), (5, 5), "{seen}");
            assert_eq!((number("echoes"), number("wrong")), (40, 0), "{seen}");
            assert_eq!(number("acknowledged"), 40, "{seen}");
            let all = BTreeMap::from([(Qos::of(qos).unwrap(), 40)]);
            assert_eq!((&mqtt.received, &mqtt.sent), (&all, &all), "{summary:?}");
            let acks = if qos > 0 { 40 } else { 0 };
            assert_eq!(sum(&mqtt.acks), acks, "{summary:?}");
            assert_eq!((mqtt.accepted, mqtt.subscribed), (5, 5), "{summary:?}");
            assert_eq!(mqtt.disconnects, BTreeMap::from([(Reason::Success, 5)]));
            assert!(mqtt.violations.is_empty(), "{summary:?}");
        }
    }
}

#[test]
fn a_load_against_its_own_server_measures_echoes() {
    let net = Net::own();
    for engine in ENGINES {
        for version in VERSIONS {
            for qos in 0..3 {
                let topic = format!("$SYS/echo:{qos}");
                let ran = run_words(
                    &net,
                    &[
                        "load",
                        "--output",
                        "json",
                        "--self=mqtt",
                        "--engine",
                        engine,
                        "--mqtt-version",
                        version,
                        "-c",
                        "20",
                        "--hold",
                        "1s",
                        "--subscribe",
                        &topic,
                        "--publish",
                        &topic,
                        "-m",
                        "hello",
                        "--closed-loop",
                    ],
                );
                let summary = ran.reached();
                let mqtt = mqtt(&summary);
                let qos = Qos::of(qos).unwrap();
                let answers = summary.answers.as_ref();
                let answered = answers.expect("answers are looked for").received;
                assert!(answered > 0 && mqtt.sent[&qos] >= answered, "{ran}");
                assert!(mqtt.received[&qos] >= answered - 20, "{ran}");
            }
        }
    }
}

#[test]
fn mosquitto_loses_none_of_the_messages_with_numbers() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _mosquitto = mosquitto(&net, directory.path(), "allow_anonymous true");
    for engine in ENGINES {
        for (version, qos) in [("5", 1), ("3.1.1", 2), ("5", 0)] {
            let room = format!("room/\\{{connection.uid%5}}:{qos}");
            let ran = load(
                &net,
                &format!(
                    "mqtt://127.0.0.1 --engine {engine} --mqtt-version {version} -c 20 -w 2 --hold 1s -r 10 -m hello \
                     --subscribe {room} --publish {room} --numbered"
                ),
            );
            let summary = ran.reached();
            let mqtt = mqtt(&summary);
            let deliveries = mqtt.deliveries.expect("messages have numbers");
            // A broker may pass on a message before it answers the subscription, which nobody is owed.
            assert_eq!(deliveries.arrived, sum(&mqtt.received), "{ran}");
            let whole = DeliveriesSummary {
                subscribers: 20,
                arrived: deliveries.arrived,
                ..DeliveriesSummary::default()
            };
            assert_eq!(deliveries, whole, "{ran}");
            assert!(deliveries.arrived >= sum(&mqtt.sent), "{ran}");
        }
    }
}

#[test]
fn what_a_careless_broker_loses_repeats_and_swaps_is_counted() {
    let net = Net::own();
    for engine in ENGINES {
        for (port, kind) in [(1005, None), (1006, Some("mute"))] {
            let args: Vec<&str> = kind.into_iter().collect();
            let broker = serve_script(&net, "mqtt_careless.py", port, &args);
            let ran = load(
                &net,
                &format!(
                    "mqtt://127.0.0.1:{port} --engine {engine} --mqtt-version 3.1.1 -c 12 -w 2 --hold 3s -r 20 --delay-send 1s \
                     -m hello --subscribe 'room/\\{{connection.uid%3}}' --publish 'room/\\{{connection.uid%3}}' --numbered"
                ),
            );
            let summary = ran.reached();
            let told = &said(&broker, 1)[0];
            let told = |key: &str| told[key].as_u64().unwrap();
            let found = mqtt(&summary).deliveries.expect("messages have numbers");
            assert_eq!((found.subscribers, found.silent), (12, 0), "{ran}");
            assert_eq!(found.arrived, told("arrived"), "{ran}");
            assert_eq!(found.repeated, told("repeated"), "{ran}");
            assert_eq!(found.out_of_order, told("late"), "{ran}");
            // What is held back, or dropped at the very end, is among the last of its publisher.
            let (gone, never) = (
                found.lost + found.missing,
                told("lost") + told("kept") + told("silenced"),
            );
            assert_eq!(gone, never, "{ran}");
            assert!(
                found.lost > 0 && found.repeated > 0 && found.out_of_order > 0,
                "{ran}"
            );
            assert!(found.missing >= told("silenced"), "{ran}");
            // QoS 0 promises nothing.
            assert_eq!(found.lossy, 0, "{ran}");
        }
    }
}
