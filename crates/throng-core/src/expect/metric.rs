//! What can be expected: the metrics, by the names that reports and the JSON form have for them.

use crate::human;
use crate::nearest::nearest;
use crate::protocol::Latencies;
use crate::scenario::Percentile;
use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// The fewest connections for which memory per connection is reported. With fewer, a page more or less would decide.
pub const ENOUGH_TO_DIVIDE: u64 = 1000;

/// The unit of a metric, and of the bound that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// The same, also as a percentage of all: of these.
    CountOf(&'static str),
    /// A span of time, in microseconds.
    Time,
    /// Events per second.
    Rate,
    /// Bytes per second.
    Throughput,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// Its name in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Count | Unit::CountOf(_) => "count",
            Unit::Time => "us",
            Unit::Rate => "per_s",
            Unit::Throughput => "bytes_per_s",
            Unit::Bytes => "bytes",
        }
    }

    /// A value in it, for people.
    pub fn text(self, value: f64) -> String {
        match self {
            // The median of counts may lie between two of them.
            Unit::Count | Unit::CountOf(_) if value.fract() != 0.0 => human::short(value),
            Unit::Count | Unit::CountOf(_) => human::count(value as u64),
            Unit::Time => human::micros(value),
            Unit::Rate => human::rate(value),
            Unit::Throughput => human::throughput(value),
            Unit::Bytes => human::bytes(value.round() as u64),
        }
    }
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Lower ones.
    Lower,
    /// Higher ones.
    Higher,
}

/// What a run must do for a metric to be measured in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Open connections.
    Connections,
    /// Look for the answers to messages.
    Answers,
    /// Look for the answers to messages that are due at times.
    Response,
    /// Have messages that are due at times.
    Pace,
    /// Repeat messages.
    Messages,
    /// Look for message markers, on whichever connections.
    Markers,
    /// Measure the time to the first byte.
    FirstByte,
    /// Speak a protocol that has this latency, and as it is measured.
    Protocol {
        /// The latency's name.
        latency: &'static str,
        /// What to do otherwise.
        remedy: &'static str,
    },
    /// Send pings.
    Pings,
    /// Speak a protocol that says where answers begin.
    Heads,
    /// Speak TLS.
    Tls,
    /// Open [`ENOUGH_TO_DIVIDE`] connections.
    Many,
    /// Search for a rate.
    Search,
    /// Load a server in another process.
    Server,
    /// The same with [`ENOUGH_TO_DIVIDE`] connections.
    ManyOfServer,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $unit:expr, $needs:ident, $better:ident, $help:literal;)*) => {
        /// A metric that is one number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scalar {
            $(#[doc = $help] $variant,)*
        }

        impl Scalar {
            /// All of them.
            pub const ALL: &'static [Scalar] = &[$(Scalar::$variant),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Scalar::$variant => $name,)*
                }
            }

            /// Its unit.
            pub fn unit(self) -> Unit {
                use Unit::*;
                match self {
                    $(Scalar::$variant => $unit,)*
                }
            }

            /// What it needs.
            pub fn needs(self) -> Needs {
                match self {
                    $(Scalar::$variant => Needs::$needs,)*
                }
            }

            /// Which of its values are better.
            pub fn better(self) -> Better {
                match self {
                    $(Scalar::$variant => Better::$better,)*
                }
            }

            /// What it is.
            pub fn help(self) -> &'static str {
                match self {
                    $(Scalar::$variant => $help,)*
                }
            }
        }
    };
}

// How each is measured is in summary/expected.rs.
metrics! {
    Open "open" CountOf("connections asked for"), Connections, Higher, "connections able to carry messages at the end of the hold";
    Peak "peak" CountOf("connections asked for"), Connections, Higher, "the most connections at once";
    Lost "lost" CountOf("connections asked for"), Connections, Lower, "connections lost during the hold";
    ClosedByPeer "closed_by_peer" Count, Connections, Lower, "connections that the peer closed, until the end of the hold";
    ResetByPeer "reset_by_peer" Count, Connections, Lower, "connections that the peer reset, until the end of the hold";
    TimedOut "timed_out" Count, Connections, Lower, "connections that the peer no longer acknowledged, until the end of the hold";
    LostByError "lost_by_error" Count, Connections, Lower, "connections ended by an error on this side, until the end of the hold";
    Failed "failed" CountOf("attempts"), Connections, Lower, "attempts to connect that failed, until the end of the hold";
    Opened "opened/s" Rate, Connections, Higher, "connections established per second while they were opened";
    Answers "answers" CountOf("messages whose answers are looked for"), Answers, Higher, "answers received";
    Unanswered "unanswered" CountOf("messages whose answers are looked for"), Answers, Lower, "messages without an answer";
    WithError "with_error" CountOf("answers"), Answers, Lower, "answers that report an error, such as a DNS rcode";
    Pongs "pongs" CountOf("pings"), Pings, Higher, "pings that were answered";
    AnswersPerS "answers/s" Rate, Answers, Higher, "answers received per second of the hold (with --requests, of the time to the last answer)";
    MessagesPerS "messages/s" Rate, Messages, Higher, "messages sent per second of the hold (closed loop: answered)";
    SentPerS "sent/s" Throughput, Connections, Higher, "bytes sent per second of the hold";
    ReceivedPerS "received/s" Throughput, Connections, Higher, "bytes received per second of the hold";
    HeldPerS "held/s" Rate, Search, Higher, "the highest rate that surely held in a search";
    CpuPerConnection "cpu_us_per_connection" Time, Connections, Lower, "throng's own CPU time per connection while they were opened";
    CpuPerMessage "cpu_us_per_message" Time, Messages, Lower, "throng's own CPU time per message of the hold";
    UserBytes "user_bytes_per_connection" Bytes, Many, Lower, "throng's own memory per connection";
    KernelBytes "kernel_bytes_per_connection" Bytes, Many, Lower, "the kernel's memory per connection, of the whole machine";
    ServerRss "server.rss_bytes_per_connection" Bytes, ManyOfServer, Lower, "resident memory of a server on this machine, per connection";
    ServerPss "server.pss_bytes_per_connection" Bytes, ManyOfServer, Lower, "proportional memory of a server on this machine, per connection";
    ServerFiles "server.files_open" CountOf("files that it may have"), Server, Lower, "open files of a server on this machine";
}

/// A latency, by the name of its histogram in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Its name.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// What it is.
    pub help: &'static str,
}

/// All latencies: those that any load may have, then those of protocols.
pub fn latencies() -> &'static [Latency] {
    static ALL: LazyLock<Vec<Latency>> = LazyLock::new(|| {
        let protocols = Latencies::facts().map(|facts| Latency {
            name: facts.name,
            needs: Needs::Protocol {
                latency: facts.name,
                remedy: facts.remedy,
            },
            help: facts.help,
        });
        OF_ANY_LOAD.iter().copied().chain(protocols).collect()
    });
    &ALL
}

/// The latencies that any load may have.
const OF_ANY_LOAD: &[Latency] = &[
    Latency {
        name: "response",
        needs: Needs::Response,
        help: "from when a message was due to its answer",
    },
    Latency {
        name: "service",
        needs: Needs::Answers,
        help: "from when a message was sent to its answer",
    },
    Latency {
        name: "ttfb",
        needs: Needs::Heads,
        help: "from when a request was sent to the first byte of its answer (HTTP)",
    },
    Latency {
        name: "lateness",
        needs: Needs::Pace,
        help: "from when a message was due to when it was sent",
    },
    Latency {
        name: "marked",
        needs: Needs::Markers,
        help: "age of received message markers",
    },
    Latency {
        name: "connect",
        needs: Needs::Connections,
        help: "from the start of an attempt to connect to its success",
    },
    Latency {
        name: "handshake",
        needs: Needs::Tls,
        help: "from when a connection was established to the end of its TLS handshake",
    },
    Latency {
        name: "pong",
        needs: Needs::Pings,
        help: "from when a ping was due to its pong",
    },
    Latency {
        name: "first_byte",
        needs: Needs::FirstByte,
        help: "from when a connection was established to its first received byte",
    },
];

/// What of a latency is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    /// A percentile.
    At(Percentile),
    /// The mean.
    Mean,
}

impl Statistic {
    /// Reads `p99.9`, `min`, `max` or `mean`.
    fn parse(text: &str) -> Option<Statistic> {
        let percentile = match text {
            "mean" => return Some(Statistic::Mean),
            "min" => "0",
            "max" => "100",
            other => other.strip_prefix('p')?,
        };
        Percentile::parse(percentile).ok().map(Statistic::At)
    }
}

/// What is expected to be within bounds. It is written as its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// One number.
    Scalar(Scalar),
    /// A latency.
    Latency(&'static Latency, Statistic),
}

/// A text names no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric '{name}'; {}", instead(.nearest))]
pub struct UnknownMetric {
    name: String,
    nearest: Option<String>,
}

fn instead(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("known are {}", all_names().join(", ")),
    }
}

/// All names; of a latency only without what is meant of it.
fn all_names() -> Vec<&'static str> {
    let latencies = latencies().iter().map(|latency| latency.name);
    let scalars = Scalar::ALL.iter().map(|scalar| scalar.name());
    latencies.chain(scalars).collect()
}

/// What is usually meant of a latency.
const USUAL: [&str; 8] = ["p50", "p90", "p99", "p99.9", "p99.99", "min", "mean", "max"];

impl Metric {
    /// The metric of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn parse(name: &str) -> Result<Metric, UnknownMetric> {
        let scalar = Scalar::ALL.iter().find(|scalar| scalar.name() == name);
        if let Some(scalar) = scalar {
            return Ok(Metric::Scalar(*scalar));
        }
        let latency = name.split_once('.').and_then(|(latency, of)| {
            let latency = latencies().iter().find(|known| known.name == latency)?;
            Some(Metric::Latency(latency, Statistic::parse(of)?))
        });
        latency.ok_or_else(|| {
            let latencies = latencies()
                .iter()
                .flat_map(|latency| USUAL.map(|of| format!("{}.{of}", latency.name)));
            let scalars = Scalar::ALL.iter().map(|scalar| scalar.name().to_owned());
            let known: Vec<String> = scalars.chain(latencies).collect();
            UnknownMetric {
                name: name.escape_debug().to_string(),
                nearest: nearest(name, &known),
            }
        })
    }

    /// Its unit.
    pub fn unit(&self) -> Unit {
        match self {
            Metric::Scalar(scalar) => scalar.unit(),
            Metric::Latency(..) => Unit::Time,
        }
    }

    /// Which of its values are better: of a latency, lower ones.
    pub fn better(&self) -> Better {
        match self {
            Metric::Scalar(scalar) => scalar.better(),
            Metric::Latency(..) => Better::Lower,
        }
    }

    /// What it needs.
    pub fn needs(&self) -> Needs {
        match self {
            Metric::Scalar(scalar) => scalar.needs(),
            Metric::Latency(latency, _) => latency.needs,
        }
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;
    fn from_str(name: &str) -> Result<Metric, UnknownMetric> {
        Metric::parse(name)
    }
}

text_of!(Metric, UnknownMetric);

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::Scalar(scalar) => f.write_str(scalar.name()),
            Metric::Latency(latency, Statistic::Mean) => write!(f, "{}.mean", latency.name),
            Metric::Latency(latency, Statistic::At(percentile)) => match percentile.written() {
                "0" => write!(f, "{}.min", latency.name),
                "100" => write!(f, "{}.max", latency.name),
                percentile => write!(f, "{}.p{percentile}", latency.name),
            },
        }
    }
}

/// Each metric with what it is, for help and documentation.
pub fn described() -> Vec<(String, &'static str)> {
    let latencies = latencies()
        .iter()
        .map(|latency| (format!("{}.pN", latency.name), latency.help));
    let scalars = Scalar::ALL.iter();
    let scalars = scalars.map(|scalar| (scalar.name().to_owned(), scalar.help()));
    latencies.chain(scalars).collect()
}
