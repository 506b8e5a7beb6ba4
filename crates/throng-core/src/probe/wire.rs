//! What the two ends of a probe say to each other: a line each, in ASCII. The near end asks, the far end answers, in order;
//! only [`Answer::Said`] comes when its time has come.

use super::host_facts::HostFacts;
use super::tcp_info::TcpInfo;
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use std::str::{FromStr, SplitWhitespace};

/// The longest line, bytes without its end: a payload of 256 KiB with its word.
pub const LONGEST_LINE: usize = (256 << 10) + 64;
/// The largest payload, bytes.
const LARGEST_FILL: usize = 256 << 10;
/// The longest time until the far end speaks, or reads again: a day.
const LONGEST_MS: u64 = 24 * 3600 * 1000;
/// The first word of a connection's first line, with the version of these lines.
const HELLO: &str = "throng-probe/1";

/// A connection of a near end: its run, and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// A random number for each run.
    pub run: u64,
    /// The connection's number.
    pub index: u32,
}

/// What the near end asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Says who it is; asks what the far end sees of it. The first line of each connection.
    Hello(Name),
    /// Asks for the same number back.
    Echo(u64),
    /// Asks for a number, after a time in milliseconds. No other answer comes before.
    Say {
        /// When, from its receipt, milliseconds.
        after_ms: u64,
        /// The number.
        number: u64,
    },
    /// Asks for a number on another connection, at once. There is no answer here.
    SayOn {
        /// The other connection.
        name: Name,
        /// The number.
        number: u64,
    },
    /// Asks for the far end's view of this connection.
    Info,
    /// Asks for what became of another connection.
    Of(Name),
    /// Asks for the far end's settings and counters.
    Host,
    /// Asks that nothing more is read for a time in milliseconds.
    Stall(u64),
    /// A payload, whose length is to be confirmed.
    Fill(usize),
    /// Asks for a payload of this length.
    Send(usize),
}

/// What the far end answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello(Greeting),
    /// To [`Request::Echo`].
    Echo(u64),
    /// To [`Request::Say`], when its time has come, and to [`Request::SayOn`].
    Said(u64),
    /// To [`Request::Info`].
    Info(TcpInfo),
    /// To [`Request::Of`].
    Of(Fate),
    /// To [`Request::Host`].
    Host(HostFacts),
    /// To [`Request::Fill`]: how long the payload was.
    Filled(usize),
    /// To [`Request::Send`]: the payload.
    Fill(usize),
}

/// What the far end says of a connection that has just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// A random number for each process: which of several servers answered.
    pub server: u64,
    /// The address and port that the connection comes from, as the far end sees it.
    pub seen: SocketAddr,
    /// The address and port that it arrived at.
    pub at: SocketAddr,
}

/// How a connection ended at an end that did not close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By a FIN.
    Closed,
    /// By an RST.
    Reset,
    /// Its kernel gave up after retransmissions or keepalive probes.
    TimedOut,
    /// This host could not go on: no route, no memory.
    Failed,
}

/// The state of a connection at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is open.
    Open,
    /// It has ended, without the far end's doing.
    Ended(End),
    /// The far end itself closed it: what arrived was no request.
    ClosedHere,
    /// The far end does not know such a connection.
    Unknown,
}

/// What became of a connection, as the far end knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its state.
    pub state: State,
    /// From the last byte on it, in either direction, to its end or until now, milliseconds.
    pub quiet_ms: u64,
    /// Numbers that the far end sent when their time had come.
    pub said: u64,
    /// Segments that the far end sent and that were not acknowledged.
    pub unacknowledged: u64,
    /// Bytes that the far end's kernel has received, while the connection is open.
    pub received: u64,
}

const STATES: [(State, &str); 7] = [
    (State::Open, "open"),
    (State::Ended(End::Closed), "closed"),
    (State::Ended(End::Reset), "reset"),
    (State::Ended(End::TimedOut), "timed_out"),
    (State::Ended(End::Failed), "failed"),
    (State::ClosedHere, "closed_here"),
    (State::Unknown, "unknown"),
];

/// A line that is none of those above.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a line of a probe: {0}")]
pub struct WireError(String);

impl WireError {
    fn of(line: &str) -> WireError {
        let begin: String = line.chars().take(60).collect();
        WireError(format!("'{}'", begin.escape_debug()))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Hello(Name { run, index }) => write!(f, "{HELLO} {run:016x} {index}"),
            Request::Echo(number) => write!(f, "echo {number}"),
            Request::Say { after_ms, number } => write!(f, "say {after_ms} {number}"),
            Request::SayOn { name, number } => {
                write!(f, "say-on {:016x} {} {number}", name.run, name.index)
            }
            Request::Info => write!(f, "info"),
            Request::Of(Name { run, index }) => write!(f, "of {run:016x} {index}"),
            Request::Host => write!(f, "host"),
            Request::Stall(ms) => write!(f, "stall {ms}"),
            Request::Fill(bytes) => write!(f, "fill {}", "x".repeat(*bytes)),
            Request::Send(bytes) => write!(f, "send {bytes}"),
        }
    }
}

/// The next word as a number.
fn number<T: FromStr>(words: &mut SplitWhitespace) -> Option<T> {
    words.next()?.parse().ok()
}

fn name(words: &mut SplitWhitespace) -> Option<Name> {
    Some(Name {
        run: u64::from_str_radix(words.next()?, 16).ok()?,
        index: number(words)?,
    })
}

fn fill(words: &mut SplitWhitespace) -> Option<usize> {
    let payload = words.next().unwrap_or_default();
    let plain = payload.bytes().all(|b| b == b'x');
    (plain && payload.len() <= LARGEST_FILL).then_some(payload.len())
}

impl FromStr for Request {
    type Err = WireError;
    fn from_str(line: &str) -> Result<Request, WireError> {
        let mut words = line.split_whitespace();
        let words = &mut words;
        let ms = |ms: u64| (ms <= LONGEST_MS).then_some(ms);
        let read = |words: &mut SplitWhitespace| {
            let request = match words.next()? {
                HELLO => Request::Hello(name(words)?),
                "echo" => Request::Echo(number(words)?),
                "say" => Request::Say {
                    after_ms: ms(number(words)?)?,
                    number: number(words)?,
                },
                "say-on" => Request::SayOn {
                    name: name(words)?,
                    number: number(words)?,
                },
                "info" => Request::Info,
                "of" => Request::Of(name(words)?),
                "host" => Request::Host,
                "stall" => Request::Stall(ms(number(words)?)?),
                "fill" => Request::Fill(fill(words)?),
                "send" => Request::Send(number(words).filter(|n| *n <= LARGEST_FILL)?),
                _ => return None,
            };
            words.next().is_none().then_some(request)
        };
        read(words).ok_or_else(|| WireError::of(line))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Hello(Greeting { server, seen, at }) => {
                write!(f, "{HELLO} {server:016x} {seen} {at}")
            }
            Answer::Echo(number) => write!(f, "echo {number}"),
            Answer::Said(number) => write!(f, "said {number}"),
            Answer::Info(info) => write!(f, "info {info}"),
            Answer::Of(fate) => {
                let state = STATES.iter().find(|(state, _)| *state == fate.state);
                let state = state.map_or("unknown", |(_, name)| name);
                write!(
                    f,
                    "of {state} {} {} {} {}",
                    fate.quiet_ms, fate.said, fate.unacknowledged, fate.received
                )
            }
            Answer::Host(facts) => write!(f, "host {facts}"),
            Answer::Filled(bytes) => write!(f, "filled {bytes}"),
            Answer::Fill(bytes) => write!(f, "fill {}", "x".repeat(*bytes)),
        }
    }
}

impl FromStr for Answer {
    type Err = WireError;
    fn from_str(line: &str) -> Result<Answer, WireError> {
        let mut words = line.split_whitespace();
        let words = &mut words;
        let read = |words: &mut SplitWhitespace| {
            Some(match words.next()? {
                HELLO => Answer::Hello(Greeting {
                    server: u64::from_str_radix(words.next()?, 16).ok()?,
                    seen: number(words)?,
                    at: number(words)?,
                }),
                "echo" => Answer::Echo(number(words)?),
                "said" => Answer::Said(number(words)?),
                "info" => Answer::Info(TcpInfo::read(words)?),
                "of" => {
                    let state = words.next()?;
                    let (state, _) = STATES.iter().find(|(_, name)| *name == state)?;
                    Answer::Of(Fate {
                        state: *state,
                        quiet_ms: number(words)?,
                        said: number(words)?,
                        unacknowledged: number(words)?,
                        received: number(words)?,
                    })
                }
                "host" => Answer::Host(HostFacts::read(words)?),
                "filled" => Answer::Filled(number(words)?),
                "fill" => Answer::Fill(fill(words)?),
                _ => return None,
            })
        };
        read(words).ok_or_else(|| WireError::of(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_read_as_it_was_written() {
        let name = Name {
            run: 0xfedc,
            index: 7,
        };
        for request in [
            Request::Hello(name),
            Request::Echo(u64::MAX),
            Request::Say {
                after_ms: 5500,
                number: 3,
            },
            Request::SayOn { name, number: 4 },
            Request::Info,
            Request::Of(name),
            Request::Host,
            Request::Stall(2000),
            Request::Fill(0),
            Request::Fill(LARGEST_FILL),
            Request::Send(65536),
        ] {
            let line = request.to_string();
            assert!(line.len() <= LONGEST_LINE);
            assert_eq!(line.parse(), Ok(request));
        }
    }

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        let of_state = |state| {
            Answer::Of(Fate {
                state,
                quiet_ms: 5012,
                said: 1,
                unacknowledged: 2,
                received: 99,
            })
        };
        let greeting = Greeting {
            server: 1,
            seen: "[::1]:4000".parse().unwrap(),
            at: "10.0.0.1:9000".parse().unwrap(),
        };
        let info = TcpInfo {
            send_segment: 1448,
            received_bytes: 1 << 40,
            timestamps: true,
            ..TcpInfo::default()
        };
        let facts = HostFacts {
            ecn: 2,
            sack: true,
            ..HostFacts::default()
        };
        let all = STATES.map(|(state, _)| of_state(state));
        let others = [
            Answer::Hello(greeting),
            Answer::Echo(5),
            Answer::Said(6),
            Answer::Info(info),
            Answer::Host(facts),
            Answer::Filled(9),
            Answer::Fill(12),
        ];
        for answer in all.into_iter().chain(others) {
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
    }

    #[test]
    fn other_lines_are_refused_in_one_line() {
        for line in [
            "",
            "GET / HTTP/1.1",
            "throng-probe/2 0 0",
            "throng-probe/1 xyz 0",
            "say 999999999999 1",
            "send 99999999",
            "echo 1 2",
            "echo -1",
            "fill xxy",
            "\u{1b}[2J",
        ] {
            let error = line.parse::<Request>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
        for line in ["", "of asleep 1 2 3", "info a", "HTTP/1.1 400 Bad Request"] {
            assert!(line.parse::<Answer>().is_err(), "{line}");
        }
    }
}
