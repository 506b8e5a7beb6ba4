//! Observers watch a run while it lasts: the live view, StatsD, logs. An [`Observer`] receives one [`Interval`] at a
//! time, and the [`Note`]s in between. The run itself prints nothing.

use crate::capacity::LimitKind;
use crate::engine::Engine;
use crate::human;
use crate::plan::{PortsRest, Shortfall};
use crate::record::{Record, WatchedReading};
use crate::stats::{Measured, Tally};
use crate::summary::Phase;
use crate::unix_socket::{Endpoint, UnixAddress};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Watches a run. Called from the thread that conducts the run, never from a worker: an observer that blocks delays
/// the run's decisions, not its traffic.
pub trait Observer {
    /// When the interval that began at `from` should end, counted from the start of the run. It may end sooner.
    /// [`Duration::MAX`], the default, leaves it to [`collects`](Observer::collects).
    fn due(&self, from: Duration) -> Duration {
        let _ = from;
        Duration::MAX
    }

    /// When the observer needs what workers have measured, last collected at `from`; `None` if it never does. Its
    /// interval ends then, too. Collecting wakes every worker, so once per second is often.
    fn collects(&self, from: Duration) -> Option<Duration> {
        let _ = from;
        None
    }

    /// An interval is over.
    ///
    /// # Errors
    /// Something could not be reported. The run passes it on as a [`Note::Trouble`] and goes on.
    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble>;

    /// Whether it wants the [record](Observer::record) of the run so far. Asked after each of its intervals, and in between:
    /// making one takes the thread that conducts the run some milliseconds, so only while somebody looks at it.
    fn wants_record(&self) -> bool {
        false
    }

    /// The record that the run would leave behind if it was over now. Its command line is empty.
    fn record(&mut self, record: Record) {
        let _ = record;
    }

    /// Something worth knowing happened.
    fn note(&mut self, note: &Note) {
        let _ = note;
    }

    /// The run is over and its connections are about to be closed. One more interval follows.
    fn closing(&mut self) {}

    /// No interval follows.
    ///
    /// # Errors
    /// Something could not be reported. The run then counts as fallen short.
    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

/// What an observer could not report: one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl From<std::io::Error> for Trouble {
    fn from(e: std::io::Error) -> Trouble {
        Trouble(e.to_string())
    }
}

/// The counts of one side of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Since the run began.
    pub now: Tally,
    /// In the interval.
    pub recent: Tally,
}

/// A stretch of a run as one observer sees it. It begins at the end of the observer's last interval.
#[derive(Clone, Debug)]
pub struct Interval<'a> {
    /// When it began, since the run began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
    /// What the run is doing at its end.
    pub phase: Phase,
    /// Connections asked for, if a number was.
    pub asked: Option<u64>,
    /// The most connections at once so far.
    pub peak: u64,
    /// Until the phase ends by itself, if that is known.
    pub left: Option<Duration>,
    /// Messages per second that are asked for at its end, over all connections, where that can be changed by hand.
    pub dialled_per_s: Option<f64>,
    /// Connections that the run opened; `None` for a server.
    pub opened: Option<Counts>,
    /// Connections that the run accepted; `None` if it accepts none.
    pub accepted: Option<Counts>,
    /// The latest reading of the system under test, if it is watched.
    pub watched: Option<WatchedReading>,
    /// What workers measured in the interval. `None` for an observer that does not
    /// [collect](Observer::collects), and in an interval that ended before the collection was due.
    pub measured: Option<&'a Measured>,
}

impl Interval<'_> {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// The counts of the side that the run is about: the opened connections of a load, the accepted ones of a
    /// server.
    pub fn subject(&self) -> Counts {
        self.opened.or(self.accepted).unwrap_or_default()
    }
}

/// How a load will be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The event loop.
    pub engine: Engine,
    /// Threads that connect.
    pub workers: u32,
    /// Attempts in flight on each worker, at most.
    pub window: u32,
    /// Where connections go.
    pub targets: Vec<SocketAddr>,
    /// The Unix sockets that they go to instead.
    pub unix: Vec<UnixAddress>,
    /// Source addresses in use; 0 leaves the choice to the kernel.
    pub sources: usize,
    /// How many connections each limit allows, where it is known.
    pub limits: Vec<(LimitKind, u64)>,
}

/// A server that is about to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// What it does with incoming data.
    pub what: String,
    /// The event loop.
    pub engine: Engine,
    /// Why the event loop is not io_uring, if that was not asked for.
    pub why_epoll: Option<String>,
    /// Threads.
    pub workers: u32,
    /// The most connections at once, and what bounds them, if the user did not.
    pub bound: Option<(u64, String)>,
}

/// Something worth knowing while a run lasts. Displays as text for people, mostly one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A limit that may be too low, known before anything is opened.
    Warning(Shortfall),
    /// The kernel grants a smaller socket buffer than was asked for.
    SmallBuffer {
        /// The option: `--rcvbuf` or `--sndbuf`.
        option: &'static str,
        /// Bytes asked for.
        asked: u64,
        /// Bytes granted.
        granted: u64,
        /// The sysctl that bounds it.
        sysctl: &'static str,
    },
    /// Ports of connections that are closed rest, which bounds the rate of new ones.
    PortsRest(PortsRest),
    /// How the run will be carried out.
    Planned(Planned),
    /// The event loop is epoll, because io_uring can't be used.
    Fallback {
        /// Why not.
        why: String,
    },
    /// A name has several addresses, and connections of their own were tried to choose one. A server that accepted such a
    /// connection counts it; the run does not.
    Chosen {
        /// The target, as the user wrote it.
        target: String,
        /// The address to which the run connects.
        at: SocketAddr,
        /// Whether it answered; if not, none did.
        answered: bool,
    },
    /// A name has addresses of both families, and those of one were left out, because nothing answers there.
    LeftOut {
        /// The target, as the user wrote it.
        target: String,
        /// The addresses that were left out.
        addresses: Vec<SocketAddr>,
    },
    /// A name has addresses of both families, and connections of their own were tried to find out which of those are
    /// answered. Servers that accepted such connections count them; the run does not.
    Tried {
        /// The target, as the user wrote it.
        target: String,
        /// How many were established.
        connections: usize,
    },
    /// A target was written without a port: its scheme says which.
    DefaultPort {
        /// The target, as the user wrote it.
        target: String,
        /// The port.
        port: u16,
    },
    /// Connections are accepted here from now on.
    Listening(Endpoint),
    /// A server starts.
    Serving(Serving),
    /// The opening phase is over.
    Ramped {
        /// Connections asked for.
        asked: u64,
        /// Whether all of them were established.
        all: bool,
        /// How long they had.
        limit: Duration,
    },
    /// A trial of a search for a rate: what was tried, and its outcome.
    Trial(String),
    /// Memory is short: no more connections are opened.
    MemoryLow {
        /// Bytes left.
        left: u64,
    },
    /// Opening is paused by hand.
    OpeningPaused,
    /// Opening goes on after a pause.
    OpeningGoesOn {
        /// How long it was.
        paused: Duration,
    },
    /// Something went wrong that does not end the run.
    Trouble(String),
    /// What is worth knowing about the agents of a fleet.
    Fleet(String),
    /// What an agent of a fleet says about itself: for those who want details.
    OfAgent {
        /// The agent.
        agent: String,
        /// What it says.
        line: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Warning(shortfall) => write!(f, "warning: {shortfall}"),
            Note::SmallBuffer {
                option,
                asked,
                granted,
                sysctl,
            } => write!(
                f,
                "warning: {option} {} was asked for, but the kernel grants {}: sysctl -w {sysctl}={asked}",
                human::bytes(*asked),
                human::bytes(*granted),
            ),
            Note::PortsRest(ports) => write!(f, "{ports}"),
            Note::Planned(planned) => write!(f, "{planned}"),
            Note::Fallback { why } => {
                write!(f, "engine epoll, because io_uring can't be used: {why}")
            }
            Note::Chosen {
                target,
                at,
                answered: true,
            } => write!(
                f,
                "{target} has several addresses; {at} answered, with one connection that this run does not count. Write the address to spare it"
            ),
            Note::Chosen {
                target,
                at,
                answered: false,
            } => write!(
                f,
                "{target} has several addresses, and none of them answered; the run goes to {at}"
            ),
            Note::LeftOut { target, addresses } => {
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{target} also stands for {}, where nothing answers: left out. --resolve all connects there, too",
                    all.join(", ")
                )
            }
            Note::Tried {
                target,
                connections,
            } => write!(
                f,
                "{target} has addresses of IPv4 and IPv6; to find out which are answered took {}, which this run does not count. -4, -6 or --resolve all spare that",
                human::things(*connections as u64, "connection")
            ),
            Note::DefaultPort { target, port } => write!(f, "{target} means port {port}"),
            Note::Listening(at) => write!(f, "listening on {at}"),
            Note::Serving(serving) => write!(f, "{serving}"),
            Note::Ramped { asked, all, limit } => match all {
                true => write!(f, "{} established", human::things(*asked, "connection")),
                false => write!(
                    f,
                    "fewer than {} were established within {}",
                    human::things(*asked, "connection"),
                    human::duration(*limit)
                ),
            },
            Note::OpeningPaused => f.write_str("opening is paused by hand"),
            Note::OpeningGoesOn { paused } => write!(
                f,
                "opening goes on after a pause of {}",
                human::seconds(paused.as_secs_f64())
            ),
            Note::Trial(line) | Note::Trouble(line) | Note::Fleet(line) => f.write_str(line),
            Note::OfAgent { agent, line } => write!(f, "{agent}: {line}"),
            Note::MemoryLow { left } => write!(
                f,
                "only {} MiB of memory are left: no more connections are opened",
                left >> 20
            ),
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = self.unix.iter().map(|at| format!("unix:{at}"));
        let targets: Vec<String> = self
            .targets
            .iter()
            .map(ToString::to_string)
            .chain(unix)
            .collect();
        let sources = match self.sources {
            _ if !self.unix.is_empty() => "no address".to_owned(),
            0 => "the kernel's choice".to_owned(),
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        };
        write!(
            f,
            "engine {}, {}, at most {} in flight on each; to {}; from {sources}",
            self.engine.name(),
            human::things(self.workers.into(), "worker"),
            human::things(u64::from(self.window), "attempt"),
            targets.join(", "),
        )?;
        for (limit, allows) in &self.limits {
            write!(
                f,
                "\n{} allows {}",
                limit.words(),
                human::things(*allows, "connection")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on engine {}", self.what, self.engine.name())?;
        if let Some(why) = &self.why_epoll {
            write!(f, ", because io_uring can't be used: {why}")?;
        }
        write!(f, ", {}", human::things(self.workers.into(), "worker"))?;
        if let Some((most, by)) = &self.bound {
            write!(f, ", at most {} ({by})", human::things(*most, "connection"))?;
        }
        Ok(())
    }
}
