//! Findings: what is worth knowing about a run. Each has a kind that scripts can rely on and a sentence for people, which is
//! in `words.rs`.

mod words;

use super::bottleneck::Bottleneck;
use super::drain::Drain;
use super::expected::Expected;
use crate::capacity::LimitKind;
use crate::diagnosis::{Diagnosis, HalfOpen, Stopped, Undelivered};
use crate::maximum;
use crate::pacing::Ending;
use crate::protocol::ProtocolKind;
use crate::protocol::tls::TlsFailure;
use crate::record::Phase;
use crate::stats::{Closed, FailCause};
use crate::storm::{BrokeBy, ConnectRateEnding, WindowEnding};
use crate::unix_socket::Endpoint;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One fact worth knowing about a run. It displays as a sentence for people. In JSON it has a `kind`, its data, and the
/// sentence as `text`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// Fewer connections were open at once than were asked for.
    ConnectionsMissing {
        /// The most that were open at once.
        peak: u64,
        /// Asked for.
        asked: u64,
        /// Why.
        #[serde(flatten)]
        why: WhyMissing,
    },
    /// Connections were established, but not all of them completed their protocol's handshake.
    HandshakesMissing {
        /// Completed handshakes.
        completed: u64,
        /// Connections asked for.
        asked: u64,
        /// The protocol of the handshake.
        protocol: Handshake,
        /// Connections that were still open at the end of the hold, and waited for the peer's part of it.
        waiting: u64,
    },
    /// Connections were lost during the hold, whether or not others were opened in their place.
    ConnectionsLost {
        /// How many.
        lost: u64,
        /// Open, and able to carry messages, at the end of the hold.
        open: u64,
        /// Asked for.
        asked: u64,
        /// What ended them. Those that are missing here could no longer carry messages: a peer announced that it would
        /// close, or violated the protocol.
        closed: BTreeMap<Closed, u64>,
        /// Their ages, over the whole run.
        ages: BTreeMap<Closed, Age>,
        /// Connections on which the peer violated the protocol during the hold, whatever ended them.
        violated: u64,
        /// No byte was sent or received during the hold.
        idle: bool,
    },
    /// Connections were lost while others were opened, and opened again: all were open at once, and held.
    ConnectionsReopened {
        /// Asked for.
        asked: u64,
        /// What ended those that were opened again.
        closed: BTreeMap<Closed, u64>,
        /// Their ages.
        ages: BTreeMap<Closed, Age>,
    },
    /// Many connections were lost at once, and all came back.
    Storm {
        /// When, in seconds since the run began.
        at_s: f64,
        /// How many were lost.
        lost: u64,
        /// Connections held before.
        before: u64,
        /// Those among the lost that this side dropped because it was asked to.
        dropped: u64,
        /// After how many seconds half of the most that were missing were back, to stay.
        back_50_s: f64,
        /// After how many seconds all were.
        back_100_s: f64,
    },
    /// Many connections were lost at once, and not all were back at the end of the hold.
    StormNotOver {
        /// When, in seconds since the run began.
        at_s: f64,
        /// How many were lost.
        lost: u64,
        /// Connections held before.
        before: u64,
        /// Those among the lost that this side dropped because it was asked to.
        dropped: u64,
        /// How many were missing at the end of the hold.
        missing: u64,
        /// How long that was after the storm began, in seconds.
        seconds: f64,
    },
    /// The server was drained, and broke nothing: what it closed was opened again.
    Drained {
        /// Connections that it closed with no message under way.
        moved: u64,
    },
    /// The server was drained, and connections were broken or are missing.
    DrainBroke(Drain),
    /// What a search for a window over which connections come back has found.
    WindowSearch {
        /// How it ended.
        ending: WindowEnding,
        /// The smallest window that held, in milliseconds; 0 is none.
        held_ms: Option<u64>,
        /// The largest that did not.
        broke_ms: Option<u64>,
        /// How many storms were made.
        storms: u64,
    },
    /// What a search for the most new connections per second has found.
    ConnectRate {
        /// How it ended.
        ending: ConnectRateEnding,
        /// The highest rate without a loss.
        per_s: Option<f64>,
        /// The lowest one at which something was lost.
        broke_per_s: Option<f64>,
        /// What went wrong there.
        broke_by: Option<BrokeBy>,
        /// The result in a sentence.
        words: String,
    },
    /// Established connections were still in an accept queue at the end of the hold: the kernel held them, their server
    /// did not.
    InAcceptQueue {
        /// How many.
        connections: u64,
        /// The target whose queue it is.
        target: Endpoint,
        /// How many connections the queue has room for.
        room: u64,
        /// The name of the process that should accept them; `None` if none can be seen.
        server: Option<String>,
        /// Its pid.
        pid: Option<u32>,
    },
    /// Connections were open at this end alone at the end of the hold: the kernel of their server, on this machine, did not
    /// have them.
    HalfOpen(HalfOpen),
    /// Processes of the target's server, on this machine, were stopped when the hold began or ended.
    ServerStopped(Stopped),
    /// On connections that were open at the end of the hold, messages could no longer be delivered.
    Undelivered(Undelivered),
    /// Peers had not read what was sent to them.
    Unread {
        /// Bytes, at the end of the hold.
        bytes: u64,
        /// Bytes sent until then.
        of: u64,
        /// Bytes that were unread a second later, too, or after more time; `None` if that was not looked at.
        later: Option<u64>,
    },
    /// A connection was its own other end: nothing listened on the target, and the kernel chose the target's port as the
    /// local one.
    ConnectedToItself {
        /// The target.
        target: SocketAddr,
    },
    /// The hold was shorter than was asked for.
    HoldCutShort {
        /// How long it was, seconds.
        held_s: f64,
        /// Asked for, seconds.
        asked_s: f64,
    },
    /// The server did not close connections after their last exchange, as it was to (`--await-close`).
    NotClosedByServer {
        /// How many.
        connections: u64,
        /// Of how many whose exchanges were complete.
        of: u64,
    },
    /// Connections that began with a header of the PROXY protocol were closed before the peer sent a byte.
    HeadersRefused {
        /// How many.
        closed: u64,
        /// Of how many that were established.
        of: u64,
    },
    /// Messages were not answered.
    MessagesUnanswered {
        /// How many.
        messages: u64,
        /// Messages whose answers were looked for.
        of: u64,
        /// When the last answer came, seconds since the start, if messages were sent for long after it in vain.
        last_answer_s: Option<f64>,
    },
    /// Pings were not answered.
    PingsUnanswered {
        /// How many.
        pings: u64,
        /// Pings that were sent.
        of: u64,
        /// Pongs that belonged to no ping: with another payload, or too late.
        unasked: u64,
    },
    /// Answers were to be echoes, and were not.
    NoEcho {
        /// Reads that brought more bytes than all messages under way had.
        reads: u64,
        /// Connections on which what was received first was not what had been sent first.
        differing: u64,
    },
    /// More answers came than messages asked for, and which of them are answers is not known: messages are matched in their
    /// order.
    AnswersUnasked {
        /// Answers that came while no message waited for one.
        answers: u64,
        /// All answers that came.
        of: u64,
    },
    /// Answers reported errors.
    AnswersWithError {
        /// Answers that came, with errors or without.
        answers: u64,
        /// How many there were of each error, by its name.
        errors: BTreeMap<String, u64>,
    },
    /// Message markers were newer than this machine's clock: the clock of their sender is ahead, and no age is right.
    MarkersAhead {
        /// How many.
        markers: u64,
        /// Markers received.
        of: u64,
    },
    /// A limit was met.
    LimitMet(Diagnosis),
    /// Peers violated the protocol that connections speak, or refused to speak it.
    ProtocolViolated {
        /// Which protocol.
        protocol: ProtocolKind,
        /// What they did: a name that is stable within the protocol.
        violation: String,
        /// The same in a clause for people.
        words: String,
        /// On how many connections.
        connections: u64,
    },
    /// Tunnels through a proxy were not opened.
    TunnelFailed {
        /// The status of the proxy's answer, or the name of another cause.
        cause: String,
        /// The same in a clause for people.
        words: String,
        /// On how many connections.
        connections: u64,
    },
    /// TLS failed.
    TlsFailed {
        /// Why.
        failure: TlsFailure,
        /// On how many connections.
        connections: u64,
    },
    /// The profile could not be followed to its end.
    BadProfile {
        /// What is wrong.
        what: String,
    },
    /// What a search for a rate found.
    RateSearch {
        /// How it ended.
        ending: Ending,
        /// The result in a sentence.
        words: String,
    },
    /// What a search for the most connections found.
    Maximum {
        /// How it ended.
        ending: maximum::Ending,
        /// How many connections were held in the end.
        connections: u64,
        /// Whose the limit is, if that is known.
        whose: Option<maximum::Whose>,
        /// The limit, if it shows.
        limit: Option<LimitKind>,
        /// The result in a sentence.
        words: String,
    },
    /// Messages were due and unsent when their connection closed.
    MessagesUnsent {
        /// How many.
        messages: u64,
    },
    /// A number of messages in all was asked for, and not all were sent before the run ended.
    RequestsUnsent {
        /// How many were not sent.
        unsent: u64,
        /// Asked for.
        asked: u64,
    },
    /// The text of `--message-stop` ended the run.
    StoppedByText,
    /// Attempts to connect failed.
    AttemptsFailed {
        /// Why.
        cause: FailCause,
        /// How many.
        attempts: u64,
        /// Segments that the kernel sent again meanwhile, if that may be why.
        retransmits: Option<u64>,
        /// Retransmission timeouts meanwhile, if that may be why.
        timeouts: Option<u64>,
        /// What to do, unless a limit that was met says it.
        remedy: Option<String>,
    },
    /// No connection to one of several addresses was established.
    AddressDead {
        /// The address.
        address: SocketAddr,
        /// The target that has it, as the user wrote it.
        target: String,
        /// Attempts to connect to it.
        attempts: u64,
        /// Why most of them failed; `None` if none has failed yet.
        cause: Option<FailCause>,
    },
    /// The message rate was not as asked.
    RateMissed {
        /// Messages per second that were sent.
        reached_per_s: f64,
        /// Asked for.
        asked_per_s: f64,
    },
    /// The message rate was changed by hand while the run lasted.
    RateChanged {
        /// Messages per second before the first change, over all connections.
        from_per_s: f64,
        /// The changes, in the order of time.
        changes: Vec<ChangedTo>,
    },
    /// Opening was paused by hand.
    OpeningPaused {
        /// For how long.
        seconds: f64,
        /// Whether it was when the run ended.
        at_end: bool,
    },
    /// The client was the bottleneck of what was measured.
    ClientBottleneck(Box<Bottleneck>),
    /// This machine's kernel dropped received segments, because sockets had no room for them. They are those of all programs
    /// in the network namespace.
    ReceiveDrops {
        /// How many.
        segments: u64,
        /// Segments received.
        of: u64,
        /// The server was on this machine, too, so some of these may be its.
        server_here: bool,
    },
    /// No data that went with a SYN was accepted: TCP Fast Open was asked for and had no effect.
    FastOpenUnused {
        /// Connections whose peer ignored such data.
        ignored: u64,
    },
    /// The process did not run for a time: it was stopped, or its machine was.
    ClientPaused {
        /// The agent whose process it was; `None` if the run had none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// For how long, seconds.
        seconds: f64,
    },
    /// The two ends of the connections, both in this process, disagree on the bytes.
    BytesMissing {
        /// Who sent them.
        sender: Sender,
        /// Bytes that were sent.
        sent: u64,
        /// Bytes that the other end received.
        received: u64,
    },
    /// The server in the same process did not accept as many connections as were established.
    NotAccepted {
        /// Connections established.
        established: u64,
        /// Connections accepted.
        accepted: u64,
    },
    /// A proxy that sends clients on to the address that they connected to closed those that connected to its own.
    ClientsToItself {
        /// How many.
        clients: u64,
    },
    /// A proxy closed connections of clients, because it had no file left to find out who they are.
    ClientsUnidentified {
        /// How many.
        clients: u64,
    },
    /// A proxy closed connections of clients, because it could reach no backend for them.
    ClientsTurnedAway {
        /// How many.
        clients: u64,
        /// Attempts to connect to backends that failed, by cause.
        failed: BTreeMap<FailCause, u64>,
    },
    /// A proxy closed connections of clients, because the TLS handshake with their backend failed.
    BackendsUnsecured {
        /// Why.
        failure: TlsFailure,
        /// How many.
        clients: u64,
    },
    /// A proxy ended while clients had connections to backends, and closed them.
    ClientsCut {
        /// How many.
        clients: u64,
    },
    /// Headers of the PROXY protocol named clients that were not announced (`--proxy-source`).
    ClientsUnannounced {
        /// How many headers did.
        headers: u64,
        /// How many headers there were.
        of: u64,
        /// Such clients: at most ten.
        clients: Vec<SocketAddr>,
    },
    /// A server stopped accepting for want of memory.
    AcceptingStopped {
        /// Connections then.
        connections: u64,
        /// Bytes of memory that were left.
        memory_left: u64,
    },
    /// A server accepted as many connections as the machine allows, and no more.
    AcceptingFull {
        /// Connections then.
        connections: u64,
        /// The limit that bounds them.
        limit: LimitKind,
    },
    /// All connections were closed when their lifetime was over, before the hold was, and none was opened again.
    LifetimesOver {
        /// How many.
        connections: u64,
    },
    /// An expectation was not met.
    ExpectationFailed(Expected),
    /// Processes of the target's server, on this machine, ended during the run.
    ServerEnded {
        /// How many of those that accept connections, or supervise those that do.
        processes: u64,
        /// How many of those there were.
        of: u64,
        /// The names of those that accept.
        names: Vec<String>,
        /// When that was first noticed, in seconds since the run began.
        at_s: f64,
    },
    /// Measurements could not be written or sent.
    Unreported {
        /// What happened.
        what: String,
    },
    /// A source was lost before its run ended: its later results are missing.
    SourceLost {
        /// The source: the name of its agent, if it was one.
        source: String,
        /// Its last sign of life: seconds since its run began; 0 if it has reported nothing.
        seconds: f64,
        /// Connections that it had open then.
        connections: u64,
        /// Messages per second that it sent in its last interval.
        messages_per_s: f64,
    },
    /// An agent measured much longer latencies than the others.
    AgentDiffers {
        /// The agent.
        agent: String,
        /// Its 99th percentile, in microseconds.
        p99_us: f64,
        /// The median of the 99th percentiles of all agents, in microseconds.
        median_us: f64,
    },
}

/// A change of the message rate by hand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedTo {
    /// When, in seconds since the run began.
    pub at_s: f64,
    /// Messages per second from then on, over all connections.
    pub per_s: f64,
}

/// Why connections are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum WhyMissing {
    /// The run was interrupted.
    Interrupted,
    /// The run was ended because a source of it was lost, as was asked (`--on-loss stop`).
    Abandoned,
    /// The text of `--message-stop` was received.
    StoppedByText,
    /// The answers are no echoes, which ended a closed loop.
    NoEcho,
    /// Opening took longer than allowed.
    OpeningTooLong {
        /// How long opening was allowed to take.
        seconds: f64,
    },
    /// The run's time limit was reached.
    TimeOver {
        /// How long the run lasted.
        seconds: f64,
    },
    /// A limit was met.
    Limit(Diagnosis),
    /// No connection was established.
    NoneEstablished,
    /// Connections closed as others were opened.
    Lost {
        /// What ended them.
        closed: BTreeMap<Closed, u64>,
        /// Their ages.
        ages: BTreeMap<Closed, Age>,
    },
    /// Their lifetime was over before all were established.
    LifetimesOver,
    /// A source was lost, with what it had.
    SourceLost,
    /// Each source held its own, but not at the same time.
    NotAtOnce,
    /// No progress, for an unknown reason.
    Stalled,
}

/// The ages of connections that ended, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Age {
    /// The youngest.
    pub min_s: f64,
    /// The median.
    pub p50_s: f64,
    /// The oldest.
    pub max_s: f64,
    /// They are equal, although the connections were opened at different times: so a timeout would have it.
    pub alike: bool,
}

/// A handshake after TCP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// That of a tunnel through a proxy.
    Tunnel,
    /// TLS.
    Tls,
    /// That of the protocol that connections speak.
    #[serde(untagged)]
    Protocol(ProtocolKind),
}

/// An end of the connections of a run with a server in the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The end that opened them.
    Client,
    /// The end that accepted them.
    Server,
}

impl Finding {
    /// Whether it is of what has happened already, and worth telling of a run that is still in this phase. The others are of what
    /// a run reached, which is not known before its end.
    pub fn stands(&self, phase: Phase) -> bool {
        match self {
            Finding::AttemptsFailed { .. }
            | Finding::AddressDead { .. }
            | Finding::LimitMet(_)
            | Finding::ConnectedToItself { .. }
            | Finding::ProtocolViolated { .. }
            | Finding::TunnelFailed { .. }
            | Finding::TlsFailed { .. }
            | Finding::NoEcho { .. }
            | Finding::AnswersUnasked { .. }
            | Finding::MarkersAhead { .. }
            | Finding::ServerEnded { .. }
            | Finding::ClientsTurnedAway { .. }
            | Finding::ClientsToItself { .. }
            | Finding::ClientsUnidentified { .. }
            | Finding::BackendsUnsecured { .. }
            | Finding::HeadersRefused { .. }
            | Finding::AcceptingStopped { .. }
            | Finding::AcceptingFull { .. } => true,
            Finding::ConnectionsMissing { .. }
            | Finding::HandshakesMissing { .. }
            | Finding::ConnectionsLost { .. }
            | Finding::ConnectionsReopened { .. }
            | Finding::Storm { .. }
            | Finding::StormNotOver { .. } => phase != Phase::Opening,
            _ => false,
        }
    }

    /// The stable name of its kind, as in the JSON form.
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::ConnectionsMissing { .. } => "connections_missing",
            Finding::HandshakesMissing { .. } => "handshakes_missing",
            Finding::ConnectionsLost { .. } => "connections_lost",
            Finding::ConnectionsReopened { .. } => "connections_reopened",
            Finding::InAcceptQueue { .. } => "in_accept_queue",
            Finding::HalfOpen(_) => "half_open",
            Finding::ServerStopped(_) => "server_stopped",
            Finding::Undelivered(_) => "undelivered",
            Finding::Unread { .. } => "unread",
            Finding::ConnectedToItself { .. } => "connected_to_itself",
            Finding::HoldCutShort { .. } => "hold_cut_short",
            Finding::MessagesUnanswered { .. } => "messages_unanswered",
            Finding::PingsUnanswered { .. } => "pings_unanswered",
            Finding::NoEcho { .. } => "no_echo",
            Finding::AnswersUnasked { .. } => "answers_unasked",
            Finding::AnswersWithError { .. } => "answers_with_error",
            Finding::MarkersAhead { .. } => "markers_ahead",
            Finding::LimitMet(_) => "limit_met",
            Finding::ProtocolViolated { .. } => "protocol_violated",
            Finding::TunnelFailed { .. } => "tunnel_failed",
            Finding::TlsFailed { .. } => "tls_failed",
            Finding::BadProfile { .. } => "bad_profile",
            Finding::RateSearch { .. } => "rate_search",
            Finding::Maximum { .. } => "maximum",
            Finding::MessagesUnsent { .. } => "messages_unsent",
            Finding::RequestsUnsent { .. } => "requests_unsent",
            Finding::StoppedByText => "stopped_by_text",
            Finding::AttemptsFailed { .. } => "attempts_failed",
            Finding::AddressDead { .. } => "address_dead",
            Finding::RateMissed { .. } => "rate_missed",
            Finding::ReceiveDrops { .. } => "receive_drops",
            Finding::FastOpenUnused { .. } => "fast_open_unused",
            Finding::RateChanged { .. } => "rate_changed",
            Finding::OpeningPaused { .. } => "opening_paused",
            Finding::ClientBottleneck(_) => "client_bottleneck",
            Finding::ClientPaused { .. } => "client_paused",
            Finding::BytesMissing { .. } => "bytes_missing",
            Finding::NotAccepted { .. } => "not_accepted",
            Finding::ClientsTurnedAway { .. } => "clients_turned_away",
            Finding::ClientsToItself { .. } => "clients_to_itself",
            Finding::ClientsUnidentified { .. } => "clients_unidentified",
            Finding::BackendsUnsecured { .. } => "backends_unsecured",
            Finding::ClientsCut { .. } => "clients_cut",
            Finding::NotClosedByServer { .. } => "not_closed_by_server",
            Finding::HeadersRefused { .. } => "headers_refused",
            Finding::ClientsUnannounced { .. } => "clients_unannounced",
            Finding::AcceptingStopped { .. } => "accepting_stopped",
            Finding::AcceptingFull { .. } => "accepting_full",
            Finding::LifetimesOver { .. } => "lifetimes_over",
            Finding::ExpectationFailed(_) => "expectation_failed",
            Finding::ServerEnded { .. } => "server_ended",
            Finding::Unreported { .. } => "unreported",
            Finding::SourceLost { .. } => "source_lost",
            Finding::AgentDiffers { .. } => "agent_differs",
            Finding::Storm { .. } => "storm",
            Finding::StormNotOver { .. } => "storm_not_over",
            Finding::WindowSearch { .. } => "window_search",
            Finding::ConnectRate { .. } => "connect_rate",
            Finding::Drained { .. } => "drained",
            Finding::DrainBroke(_) => "drain_broke",
        }
    }

    /// The limit that the finding names, if any.
    pub fn limit(&self) -> Option<LimitKind> {
        match self {
            Finding::LimitMet(met) => Some(met.limit),
            Finding::ConnectionsMissing {
                why: WhyMissing::Limit(met),
                ..
            } => Some(met.limit),
            _ => None,
        }
    }
}

/// Writes findings with their sentences.
pub(super) fn with_text<S: Serializer>(all: &[Finding], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        finding: &'a Finding,
        text: String,
    }
    to.collect_seq(all.iter().map(|finding| Told {
        finding,
        text: finding.to_string(),
    }))
}
