//! What was found: the number, whose limit it is, and how sure that is.

use super::ending::Ending;
use super::keeping::Keeping;
use super::way::Step;
use crate::capacity::LimitKind;
use crate::diagnosis::Diagnosis;
use crate::human::{self, count, things};
use crate::scenario::Connections;
use crate::stats::{Closed, FailCause};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The target's server.
    Server,
    /// The way to it: a firewall, NAT, a proxy.
    Path,
    /// This client.
    Client,
}

impl Whose {
    /// Whose a limit is that a run has met.
    pub fn of(met: &Diagnosis, ports_ran_out: bool) -> Whose {
        match met.limit {
            LimitKind::TargetFiles
            | LimitKind::TargetConnections
            | LimitKind::TargetProcess
            | LimitKind::AcceptQueue
            | LimitKind::SynBacklog => Whose::Server,
            LimitKind::Conntrack
            | LimitKind::NatPorts
            | LimitKind::Path
            | LimitKind::ProxyPorts => Whose::Path,
            // The number alone looks like that of a proxy on the way.
            LimitKind::FourTuples if !ports_ran_out => Whose::Path,
            LimitKind::Engine
            | LimitKind::SourceAddress
            | LimitKind::FourTuples
            | LimitKind::OpenFiles
            | LimitKind::SystemFiles
            | LimitKind::Memory
            | LimitKind::CgroupMemory
            | LimitKind::TcpMemory => Whose::Client,
        }
    }

    fn words(self, sure: bool) -> String {
        let whose = match (self, sure) {
            (Whose::Server, _) => "the server's",
            (Whose::Client, _) => "this client's",
            (Whose::Path, true) => "on the path",
            (Whose::Path, false) => "one on the path",
        };
        let verb = if sure { "is" } else { "looks like" };
        format!("the limit {verb} {whose}")
    }
}

/// That a limit of this client ends the search.
fn ends_there(limit: LimitKind) -> String {
    match limit {
        LimitKind::Memory => "its memory ends there".into(),
        LimitKind::CgroupMemory => "the memory of its cgroup ends there".into(),
        LimitKind::TcpMemory => "the kernel's memory for sockets ends there".into(),
        LimitKind::SystemFiles => "the files of its system end there".into(),
        LimitKind::FourTuples | LimitKind::OpenFiles => format!("its {} end there", limit.words()),
        limit => format!("its limit is there ({})", limit.words()),
    }
}

/// How it is known that the server holds what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// Its listener is on this machine, and what waits in the accept queue is not counted.
    AcceptQueue,
    /// It took part in the handshake of TLS or of a protocol.
    Handshake,
    /// It is not: the kernel of the server establishes connections that its program has not accepted.
    Established,
}

/// What became of attempts beyond the number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Beyond {
    /// Failed, by cause.
    pub failed: BTreeMap<FailCause, u64>,
    /// Established and ended again, by what ended them.
    pub closed: BTreeMap<Closed, u64>,
    /// In the accept queue when it got no further.
    pub queued: u64,
}

impl Beyond {
    fn words(&self) -> Option<String> {
        let failed = self.failed.iter().max_by_key(|(_, n)| **n);
        let closed: u64 = self.closed.values().sum();
        let told = match failed {
            // Of several fates, that of most.
            _ if self.queued > 0 && self.queued >= closed => {
                "further ones wait to be accepted".into()
            }
            Some((cause, n)) if *n >= closed => format!("further ones fail: {}", cause.words()),
            _ if closed > 0 => {
                "further ones are accepted and closed, or others in their place".into()
            }
            _ => return None,
        };
        Some(told)
    }
}

/// The most connections that can be held, as a run found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maximum {
    /// How the search ended.
    pub ending: Ending,
    /// How many connections were held in the end.
    pub connections: u64,
    /// As many as the user allowed; `None` without a bound.
    pub at_most: Option<u64>,
    /// As many as this client is able to open by its plan.
    pub client_allows: u64,
    /// Which limit of this client that is; `None` if it has none.
    pub client_limit: Option<LimitKind>,
    /// Whose the limit is; `None` if that is not known, or none was met.
    pub whose: Option<Whose>,
    /// The limit; `None` if it does not show.
    pub limit: Option<LimitKind>,
    /// Whether an error code, a counter or a state names that limit; otherwise it is a guess.
    pub sure: bool,
    /// How it is known that the server holds them.
    pub known_by: KnownBy,
    /// Where it got no further, one time after the other.
    pub walls: Vec<u64>,
    /// Where it got no further for a while, and then did.
    pub pauses: Vec<u64>,
    /// What became of attempts beyond that.
    pub beyond: Beyond,
    /// How opening went on the way.
    pub way: Vec<Step>,
    /// From how many connections on connecting took much longer; `None` if it did not.
    pub knee: Option<u64>,
    /// Connections that were closed again at the limit and whose places did not become free; `None` if they did, or none was.
    #[serde(default)]
    pub places_kept: Option<u64>,
    /// On how many of those that were open at the end of the hold something was received; `None` if no messages were sent, or answers
    /// are not looked for and none came.
    #[serde(default)]
    pub answered: Option<u64>,
    /// What was found of objectives that connections are to keep; `None` without any.
    pub keeping: Option<Keeping>,
    /// How long it took, in seconds, without the hold.
    pub seconds: f64,
    /// The result as a sentence for people.
    pub words: String,
}

impl Maximum {
    /// Whether there is an answer: a limit that is not this client's, or as many as were allowed.
    pub fn is_found(&self) -> bool {
        matches!(self.ending, Ending::Found | Ending::Bound)
    }

    /// Takes note that of `open` connections so many have answered.
    pub fn answered_by(&mut self, answered: u64, open: u64) {
        self.answered = Some(answered);
        if answered < open && self.is_found() && self.keeping.is_none() {
            self.words += &format!(
                "; of the {} that are open, {} {} a message",
                count(open),
                count(answered),
                human::verb(answered, "has answered", "have answered"),
            );
        }
    }

    /// The same with its sentence. `remedy` says what lifts this client's limit.
    pub fn worded(mut self, asked: Connections, remedy: &str) -> Maximum {
        if let Some(keeping) = &self.keeping {
            self.words = keeping.words(self.ending, self.connections);
            if self.ending == Ending::Client {
                self.words = format!("{}. {remedy}", self.words);
            }
            return self;
        }
        let n = things(self.connections, "connection");
        let walls = || {
            let all: Vec<String> = self.walls.iter().map(|wall| count(*wall)).collect();
            all.join(", then at ")
        };
        self.words = match (self.ending, self.places_kept) {
            (Ending::Found, Some(kept)) => format!(
                "{} were established, and no more. The places of the {} that {} closed again did not become free: they wait in an accept queue that the server does not empty, or in a table on the path. Whether it accepted the {} that are left is not known here: look at its accept queue (ss -ltn), or use a protocol with a handshake",
                things(self.walls.iter().copied().max().unwrap_or(0), "connection"),
                count(kept),
                human::verb(kept, "was", "were"),
                count(self.connections)
            ),
            (Ending::Found, None) => {
                let whose = match self.whose {
                    Some(whose) => whose.words(self.sure),
                    None => "whose limit it is does not show here".into(),
                };
                let beyond = self
                    .beyond
                    .words()
                    .map(|b| format!(", {b}"))
                    .unwrap_or_default();
                format!("At most {n}, reached twice: {whose}{beyond}")
            }
            (Ending::Bound, _) => format!("All {n} that {asked} allows: no limit was met"),
            (Ending::Client, _) => {
                let limit = self.limit.or(self.client_limit);
                let end = match limit {
                    Some(limit) => ends_there(limit),
                    None => "it can open no more".into(),
                };
                format!(
                    "This client can't find out how many more than {} the target holds: {end}. {remedy}",
                    things(self.connections, "connection")
                )
            }
            (Ending::Unstable, _) => format!(
                "No stable maximum: it got no further at {}, and {n} stayed",
                walls()
            ),
            (Ending::None, _) => "No connection could be held".into(),
            (Ending::Unfinished, _) => {
                let after = human::seconds(self.seconds);
                let (were, still) = (
                    human::verb(self.connections, "was", "were"),
                    match self.walls.is_empty() {
                        true => "it had met no limit yet".to_owned(),
                        false => format!(
                            "it had got no further at {}, which was to be confirmed",
                            walls()
                        ),
                    },
                );
                format!(
                    "The search for the most connections was cut short after {after}: {n} {were} open, and {still}"
                )
            }
        };
        self
    }
}
