//! A tool's own report, as JSON on stdout: whether all connections were established, how long that took and
//! how many messages were echoed. Processor time and memory are never taken from here: the harness
//! reads those itself ([`crate::usage`]), in the same way for all.
//!
//! throng prints its summary; the peers print the few fields of it that are read here; the floor has
//! a format of its own.

use crate::finding::Finding;
use serde::Deserialize;

/// What is read from a tool's own report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// Connections that a client established, or the most that a server held.
    pub held: u64,
    /// When the last connection was established, in seconds since 1970, if reported.
    pub up_unix_s: Option<f64>,
    /// From the first attempt to the last connection.
    pub set_up_s: Option<f64>,
    /// Whole echoes per second while all connections were established.
    pub messages_per_s: Option<f64>,
    /// Bytes per second sent one way while all connections were established.
    pub bytes_per_s: Option<f64>,
    /// Its verdict, if it did not achieve what was asked for.
    pub shortfall: Option<String>,
}

#[derive(Deserialize)]
struct Summary {
    started_unix_s: Option<f64>,
    connections: Connections,
    set_up: Option<SetUp>,
    message_rate: Option<MessageRate>,
    steady: Option<Steady>,
    reached: Option<bool>,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Connections {
    #[serde(default)]
    established: u64,
    #[serde(default)]
    peak: u64,
}

#[derive(Deserialize)]
struct SetUp {
    seconds: f64,
}

#[derive(Deserialize)]
struct MessageRate {
    reached_per_s: f64,
}

#[derive(Deserialize)]
struct Steady {
    seconds: f64,
    traffic: Traffic,
}

#[derive(Deserialize)]
struct Traffic {
    bytes_sent: f64,
}

#[derive(Deserialize)]
struct Iperf {
    end: IperfEnd,
}

#[derive(Deserialize)]
struct IperfEnd {
    streams: Vec<serde::de::IgnoredAny>,
    sum_received: IperfSum,
}

#[derive(Deserialize)]
struct IperfSum {
    bits_per_second: f64,
}

#[derive(Deserialize)]
struct Floor {
    connections: u64,
    seconds: f64,
    echo: Option<FloorEcho>,
}

#[derive(Deserialize)]
struct FloorEcho {
    round_trips_per_second: f64,
}

/// The first JSON object in `stdout`, which may have other lines before it (`ready`).
fn object<'a, T: Deserialize<'a>>(stdout: &'a str) -> Result<T, String> {
    let from = stdout
        .char_indices()
        .find(|(i, c)| *c == '{' && (*i == 0 || stdout.as_bytes()[i - 1] == b'\n'))
        .map(|(i, _)| i)
        .ok_or("printed no JSON")?;
    serde_json::Deserializer::from_str(&stdout[from..])
        .into_iter()
        .next()
        .unwrap_or_else(|| unreachable!("a brace was found"))
        .map_err(|e| format!("its JSON is not what was expected: {e}"))
}

impl Words {
    /// From throng's summary or a peer's part of it.
    ///
    /// # Errors
    /// No such JSON; one line for the user.
    pub fn of_summary(stdout: &str) -> Result<Words, String> {
        let s: Summary = object(stdout)?;
        let set_up_s = s.set_up.map(|s| s.seconds);
        Ok(Words {
            held: s.connections.peak.max(s.connections.established),
            up_unix_s: s.started_unix_s.zip(set_up_s).map(|(t, d)| t + d),
            set_up_s,
            messages_per_s: s.message_rate.map(|m| m.reached_per_s),
            bytes_per_s: s
                .steady
                .filter(|s| s.seconds > 0.0)
                .map(|s| s.traffic.bytes_sent / s.seconds),
            shortfall: (s.reached == Some(false)).then(|| {
                s.findings
                    .first()
                    .map_or(String::new(), |f| f.text().to_owned())
            }),
        })
    }

    /// From the floor's line.
    ///
    /// # Errors
    /// No such JSON; one line for the user.
    pub fn of_floor(stdout: &str) -> Result<Words, String> {
        let f: Floor = object(stdout)?;
        Ok(Words {
            held: f.connections,
            up_unix_s: None,
            set_up_s: Some(f.seconds),
            messages_per_s: f.echo.map(|e| e.round_trips_per_second),
            ..Words::default()
        })
    }

    /// From iperf3's JSON.
    ///
    /// # Errors
    /// No such JSON, as after an error; one line for the user.
    pub fn of_iperf(stdout: &str) -> Result<Words, String> {
        let i: Iperf = object(stdout)?;
        Ok(Words {
            held: i.end.streams.len() as u64,
            bytes_per_s: Some(i.end.sum_received.bits_per_second / 8.0),
            ..Words::default()
        })
    }

    /// From tcpkali's text.
    ///
    /// # Errors
    /// It never reported that it had ramped up; one line for the user.
    pub fn of_tcpkali(stdout: &str) -> Result<Words, String> {
        let held = stdout
            .lines()
            .find_map(|l| {
                l.strip_prefix("Ramped up to ")?
                    .strip_suffix(" connections.")
            })
            .and_then(|n| n.parse().ok())
            .ok_or("did not ramp up")?;
        let mut seconds = stdout
            .lines()
            .filter_map(|l| l.strip_prefix("Test duration: ")?.strip_suffix(" s."));
        let seconds: Option<f64> = seconds.next().and_then(|s| s.parse().ok());
        // Total data sent:     2.4 MiB (2519005 bytes)
        let mut sent = stdout.lines().filter_map(|l| {
            let l = l.strip_prefix("Total data sent:")?;
            l.split_once('(')?.1.strip_suffix(" bytes)")
        });
        let sent: Option<f64> = sent.next().and_then(|n| n.parse().ok());
        Ok(Words {
            held,
            bytes_per_s: sent.zip(seconds).map(|(bytes, s)| bytes / s),
            ..Words::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_throng_is_read() {
        let text = r#"{"version":1,"tool":"throng 0.1.0","role":"load","reached":true,
            "started_unix_s":1700000000.25,"seconds":3.5,
            "connections":{"asked":10000,"attempted":10000,"established":10000,"accepted":null,
              "peak":10000,"failed":{}},
            "set_up":{"seconds":0.4,"per_s":25000.0,"latency":null},
            "message_rate":{"asked_per_s":null,"reached_per_s":60000.5,"seconds":3.0},
            "steady":{"seconds":2.0,"opened":10000,"traffic":{"bytes_sent":3000,"writes":1}},
            "cost":{"user_bytes":1}}"#;
        let words = Words::of_summary(text).unwrap();
        assert_eq!(
            words,
            Words {
                held: 10_000,
                up_unix_s: Some(1_700_000_000.65),
                set_up_s: Some(0.4),
                messages_per_s: Some(60_000.5),
                bytes_per_s: Some(1500.0),
                shortfall: None,
            }
        );
    }

    #[test]
    fn a_run_that_fell_short_says_so() {
        let text = r#"{"reached":false,"findings":["1 was reset","and more"],"connections":{}}"#;
        let words = Words::of_summary(text).unwrap();
        assert_eq!(words.shortfall.as_deref(), Some("1 was reset"));
    }

    #[test]
    fn a_server_has_no_set_up_and_may_say_ready_first() {
        let words = Words::of_summary(
            "ready\n{\n \"connections\": {\"accepted\": 7, \"peak\": 6},\n \"set_up\": null}\nbye\n",
        )
        .unwrap();
        assert_eq!((words.held, words.set_up_s), (6, None));
    }

    #[test]
    fn the_floor_is_read_with_and_without_echo() {
        let words =
            Words::of_floor(r#"{"connections":5,"seconds":2.0,"connections_per_second":2.5}"#)
                .unwrap();
        assert_eq!(
            (words.held, words.set_up_s, words.messages_per_s),
            (5, Some(2.0), None)
        );
        let words = Words::of_floor(
            r#"{"connections":5,"seconds":2.0,"echo":{"size":16,"round_trips_per_second":9.5}}"#,
        )
        .unwrap();
        assert_eq!(words.messages_per_s, Some(9.5));
    }

    #[test]
    fn tcpkali_reports_only_how_many() {
        let words =
            Words::of_tcpkali("Destination: [127.0.0.1]:1\nRamped up to 5000 connections.\n");
        assert_eq!(words.map(|w| (w.held, w.set_up_s)), Ok((5000, None)));
        let words = Words::of_tcpkali(
            "Ramped up to 5 connections.\nTotal data sent:     2.4 MiB (2519005 bytes)\n\
             Test duration: 5.0 s.\n",
        );
        assert_eq!(words.unwrap().bytes_per_s, Some(503_801.0));
        assert!(Words::of_tcpkali("Destination: [127.0.0.1]:1\n").is_err());
    }

    #[test]
    fn iperf3_reports_what_was_received() {
        let text = r#"{"start":{"version":"iperf 3.12"},"end":{"streams":[{"sender":{}},{"sender":{}}],
            "sum_sent":{"bits_per_second":9e9},"sum_received":{"bits_per_second":8e9}}}"#;
        let words = Words::of_iperf(text).unwrap();
        assert_eq!((words.held, words.bytes_per_s), (2, Some(1e9)));
        assert!(Words::of_iperf(r#"{"start":{},"end":{},"error":"busy"}"#).is_err());
    }

    #[test]
    fn what_is_not_json_is_an_error_and_not_a_panic() {
        for text in [
            "",
            "ready\n",
            "x {\n",
            "{\"connections\":",
            "{}",
            "{\"connections\":1}",
        ] {
            assert!(Words::of_summary(text).is_err(), "{text}");
        }
    }
}
