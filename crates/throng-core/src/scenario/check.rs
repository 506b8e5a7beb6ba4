//! Contradictions in a scenario, from the command line or from a file.

use super::measured;
use super::target::Target;
use super::{
    Addresses, Connections, ListenPlace, LoadScenario, MessageLatency, Objectives, OwnServer,
    ProxyScenario, RunRate, Search, Sending, ServeScenario, SocketOptions, SteadyFrom, TlsClient,
    Tolerance,
};
use crate::expect::{Expectation, Needs};
use crate::human;
use crate::pacing::{ReconnectPolicy, Terms};
use crate::payload::{Message, Messages};
use crate::protocol::{Protocol, ProtocolKind, Says, Scheme, ServeMode};
use crate::storm::Dropping;
use crate::target::Port;
use crate::unix_socket::Endpoint;
use std::net::SocketAddr;
use std::time::Duration;

/// The option of a protocol that has exchanges on a connection of its own.
const OWN_EXCHANGES: &str = "requests-per-connection";

/// Why a scenario can't be run as it is. The texts name options; docs/scenario.md has the key of each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Contradiction {
    /// There is nothing to connect to, and nowhere to listen.
    #[error("there is nothing to connect to: add a target HOST:PORT, --self or --listen-port")]
    Nowhere,
    /// There are targets, but 0 connections.
    #[error("--connections: at least 1 is needed")]
    NoConnection,
    /// Connections to open, and no target.
    #[error(
        "{0} is for connections to open, but there is no target: add HOST:PORT, or leave it out to accept connections only"
    )]
    NoTarget(&'static str),
    /// `--self` with another target, address or listener.
    #[error("--self connects to itself: leave out {0}")]
    SelfAndOther(&'static str),
    /// Addresses of clients, and no header that has them.
    #[error(
        "--proxy-source has the addresses of PROXY headers: add --proxy-protocol, or use --source-ip to connect from an address"
    )]
    NoProxyHeader,
    /// Some targets are Unix sockets.
    #[error("targets '{0}' and '{1}' are of different kinds: all must be Unix sockets, or none")]
    MixedSockets(String, String),
    /// A Unix socket for all targets, and one that is another.
    #[error("target '{0}' is a Unix socket itself: leave out --unix-socket")]
    TwoSockets(String),
    /// An option of TCP or IP, and Unix sockets.
    #[error("{0} is for TCP/IP: a Unix socket has none of that; leave it out")]
    OfTcp(&'static str),
    /// Some places to listen on are Unix sockets.
    #[error("'{0}' and '{1}' are of different kinds: listen on Unix sockets only, or on none")]
    MixedListeners(String, String),
    /// An option of listeners that connections inherit, but not those of Unix sockets.
    #[error(
        "{0}: connections that a Unix socket accepts do not inherit it; leave it out (sysctl net.core.{1} is for all sockets)"
    )]
    NotInherited(&'static str, &'static str),
    /// Targets of different protocols, or some of which speak TLS and others do not.
    #[error(
        "targets '{0}' and '{1}' are of different kinds: all must be plain, {schemes}",
        schemes = Protocol::schemes_in_words("or")
    )]
    MixedTargets(String, String),
    /// A protocol with messages of its own, and other messages.
    #[error("{protocol} sends messages of its own: leave out {other}")]
    OwnMessages {
        /// The protocol's name.
        protocol: &'static str,
        /// What else was given.
        other: &'static str,
    },
    /// Messages, and nothing that says where the protocol sends them.
    #[error("{protocol} does not know where messages go: add {option}, or leave out the messages")]
    NoPlace {
        /// The protocol's name.
        protocol: &'static str,
        /// The option that says so.
        option: &'static str,
    },
    /// A protocol, and targets whose scheme implies another.
    #[error("{protocol} is asked for: leave out {scheme}://")]
    OtherScheme {
        /// The protocol's name.
        protocol: &'static str,
        /// The scheme.
        scheme: &'static str,
    },
    /// Messages that are empty.
    #[error("{0}: an empty message sends nothing; give it a text, or leave it out")]
    EmptyMessage(&'static str),
    /// An option that needs a message, and no message.
    #[error("{0} needs a message to send: add -m or -f")]
    NoMessage(&'static str),
    /// A closed loop against a sink, which sends no echoes.
    #[error("answers are waited for, but a sink sends none: use --self=echo")]
    NoEcho,
    /// Several requests at once on a connection, and fewer than one on each.
    #[error(
        "--in-flight has less than one request on each connection, --pipeline several: leave out one of them"
    )]
    PipelineInTurns,
    /// Time to think where messages are not sent as answers come.
    #[error("--think is the time between an answer and the next request: leave out {0}")]
    ThinkBesides(&'static str),
    /// A tunnel through what is no HTTP proxy.
    #[error("--tunnel {0}: a proxy is written as HOST:PORT or http://HOST:PORT")]
    NoProxy(String),
    /// A tunnel to a port without a number.
    #[error("--tunnel: a proxy connects to ports by number: write that of '{0}'")]
    NamedPort(String),
    /// Credentials for a proxy, and no proxy.
    #[error("--tunnel-auth is for a proxy: add --tunnel HOST:PORT")]
    NoTunnel,
    /// Something in the protocol's options that can't be true of so many connections.
    #[error("{0}, or add --force")]
    TooMany(&'static str),
    /// An empty marker.
    #[error("--latency-marker needs a text to look for")]
    EmptyMarker,
    /// Answers are looked for, but no connection is opened.
    #[error("--latency-marker needs connections that are opened: add a target HOST:PORT")]
    NoAnswers,
    /// A search that has no latency to compare.
    #[error(
        "--message-rate @LATENCY needs a latency: add --latency-marker, --message-marker or --latency-echo"
    )]
    NoLatency,
    /// A search that has no time to try a single rate.
    #[error(
        "the rate that keeps latency under {written} can't be found in {}: such a search needs at least {}",
        human::duration(*time),
        human::duration(*needed)
    )]
    SearchTooShort {
        /// The bound as the user wrote it.
        written: String,
        /// How long there is.
        time: Duration,
        /// The shortest time that a search needs.
        needed: Duration,
    },
    /// A search with a number of messages in all.
    #[error(
        "--requests: a search sends as many messages as it needs: leave it out, or give a rate without @"
    )]
    SearchAndRequests,
    /// Markers to skip, and no marker.
    #[error("--latency-marker-skip skips markers: add --latency-marker")]
    NothingToSkip,
    /// Something is expected that the run does not measure.
    #[error("--expect {expectation}: this run does not measure it; {remedy}")]
    NotMeasured {
        /// The expectation.
        expectation: Box<Expectation>,
        /// What to do.
        remedy: &'static str,
    },
    /// A tolerance of unanswered messages where no answers are looked for.
    #[error("--allow-unanswered: this run looks for no answers; {0}")]
    NothingUnanswered(&'static str),
    /// Connections to drop that are not to be opened again.
    #[error("--drop is about connections that come back: leave out --no-reconnect")]
    DropsForGood,
    /// The search for a window, and something that it makes itself, or that would disturb it.
    #[error(
        "{asked} drops connections, and has them come back, in its own way and time: leave out {other}"
    )]
    FindsWindow {
        /// `--find-window` or `--connect-rate max`.
        asked: &'static str,
        /// What else was given.
        other: &'static str,
    },
    /// A server that is drained, and connections that this side closes itself.
    #[error(
        "--drain is about connections that the server closes: leave out {0}, which closes them at this end"
    )]
    DrainsItself(&'static str),
    /// Connections to drop after the hold.
    #[error(
        "--drop {0} comes after the hold, which takes {hold}: raise --hold",
        hold = human::duration(*.1)
    )]
    DropsTooLate(Dropping, Duration),
    /// Connections to drop after the run.
    #[error(
        "--drop {0} comes after the run, which takes {run} at most: drop earlier, or let it take longer",
        run = human::duration(*.1)
    )]
    DropsAfterRun(Dropping, Duration),
    /// Exchanges on each connection, where something else says when it is closed, or how messages go.
    #[error(
        "--exchanges-per-connection closes connections and opens others, each message waits for its answer, and -c is how many are under way: leave out {0}"
    )]
    ExchangesAnd(&'static str),
    /// Exchanges on each connection over a protocol that has an option of its own.
    #[error("--exchanges-per-connection is for messages: {0} has --{1}")]
    ExchangesOf(&'static str, &'static str),
    /// A server that is to close connections that go on.
    #[error("--await-close is about connections that end: add --exchanges-per-connection N")]
    NoExchanges,
    /// More connections than the connect rate allows in time.
    #[error(
        "{} connections at {} per second take {}, but may take {}: raise --connect-rate or --duration",
        human::count((*connections).into()),
        human::short(*rate),
        human::seconds(f64::from(*connections) / rate),
        human::duration(*within)
    )]
    TooSlow {
        /// Connections to open.
        connections: u32,
        /// Attempts per second.
        rate: f64,
        /// How long they may take.
        within: Duration,
    },
    /// A maximum to find, and something that keeps the number of connections from saying what can be held.
    #[error("-c {asked} finds out how many connections can be held: leave out {other}")]
    MaxAnd {
        /// The maximum.
        asked: Connections,
        /// What else was given.
        other: &'static str,
    },
    /// A bound of latency for the most connections, and no latency to compare.
    #[error("-c {asked} needs a latency: this run measures none; {remedy}")]
    NoLatencyToKeep {
        /// What the connections are to keep.
        asked: Connections,
        /// What to do.
        remedy: &'static str,
    },
    /// TCP Fast Open where no connection sends anything as it opens.
    #[error(
        "--fastopen: connections send nothing as they open, so nothing can go with the SYN; first messages (-1), TLS, the handshakes of WebSocket and MQTT, and messages without a rate can"
    )]
    NothingWithSyn,
    /// TCP Fast Open over MPTCP.
    #[error("--fastopen and --mptcp: leave out one of them")]
    FastOpenOverMptcp,
    /// A protocol name of the wrong length (RFC 7301, section 3.1).
    #[error("--alpn: a protocol name has 1 to 255 bytes, not {0}")]
    AlpnLength(usize),
    /// A server without an address to listen on.
    #[error("there is nowhere to listen: add a PORT or ADDR:PORT")]
    NoListener,
    /// A proxy without a backend.
    #[error("there is nowhere to send connections on to: add --to HOST:PORT")]
    NoBackend,
    /// A backend that is a Unix socket, or one that has a scheme.
    #[error("--to {0}: a proxy {1}")]
    NotABackend(String, &'static str),
    /// What a proxy can't do that sends clients on to the address that they connected to.
    #[error("--to original connects each client to the address that it connected to: {0}")]
    NotOriginal(&'static str),
    /// An address at which such a proxy can't listen.
    #[error(
        "--to original needs an address and a port of this machine to listen on, not {0}: write 127.0.0.1:9000 or [::1]:9000. Clients that connect to the proxy itself have to be told from others"
    )]
    ListensAnywhere(SocketAddr),
    /// Source addresses of a proxy's own, and those of its clients.
    #[error("--transparent connects from clients' addresses: leave out --source-ip")]
    TwoSources,
    /// A server with addresses of clients that headers may name, and no headers.
    #[error("--proxy-source has the addresses that PROXY headers may name: add --proxy-protocol")]
    NoHeaders,
    /// A server that sends messages, and no message.
    #[error("--mode {0} needs a message to send: add -m or -f")]
    SaysNothing(&'static str),
    /// Subprotocols of a server that does not speak WebSocket.
    #[error("--subprotocol is for WebSocket: --mode ws or ws-sink, not {0}")]
    NoWebSocket(&'static str),
    /// A server that sends no messages, and messages.
    #[error("--mode {0} sends no messages of its own: only --mode {senders} does", senders = senders())]
    SendsNothing(&'static str),
}

/// The modes that send messages of their own.
fn senders() -> String {
    let all = ServeMode::ALL.iter().filter(|mode| mode.sends());
    all.map(|mode| mode.name()).collect::<Vec<_>>().join(" or ")
}

impl LoadScenario {
    /// The scenario with what its targets imply: `ws://` means WebSocket, `wss://` WebSocket over TLS. Without a
    /// target, the number of connections becomes 0.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn settled(mut self) -> Result<LoadScenario, Contradiction> {
        let asked = self.protocol.clone();
        let implied = |target: &Target| Some(Protocol::of_scheme(target.spec.scheme?.name)?.0);
        let kind = |target: &Target| {
            let protocol = implied(target).unwrap_or_else(|| asked.kind().by_default());
            let secure = target.spec.scheme.is_some_and(|scheme| scheme.secure);
            (protocol, self.tls.is_some() || secure)
        };
        if let Some(first) = self.targets.first() {
            let (protocol, secure) = kind(first);
            if let Some(other) = self.targets.iter().find(|t| kind(t) != kind(first)) {
                let [first, other] = [first, other].map(|t| t.spec.to_string());
                return Err(Contradiction::MixedTargets(first, other));
            }
            if protocol != asked.kind().by_default() {
                if let (true, Some(scheme)) = (asked != Protocol::default(), first.spec.scheme) {
                    return Err(Contradiction::OtherScheme {
                        protocol: asked.kind().name(),
                        scheme: scheme.name,
                    });
                }
                self.protocol = protocol;
            }
            if secure {
                self.tls.get_or_insert_with(TlsClient::default);
            }
        }
        // An answer is waited for before the next message of such a protocol in any case, and of an exchange.
        let waits = self.protocol.answers().from_every_peer()
            || self.connect.exchanges_per_connection.is_some();
        if waits && self.pace.sending == Sending::Flood {
            self.pace.sending = Sending::ClosedLoop { in_flight: None };
        }
        match (self.opens(), self.connections.most()) {
            (true, 0) => return Err(Contradiction::NoConnection),
            (true, _) => {}
            (false, n) => {
                // One is the default.
                let opening = [
                    (n > 1, "--connections"),
                    (!self.connect.source_ip.is_empty(), "--source-ip"),
                    (self.connect.proxy_protocol.is_some(), "--proxy-protocol"),
                    (self.connect.fastopen.is_some(), "--fastopen"),
                    (self.connect.unix_socket.is_some(), "--unix-socket"),
                    (!self.connect.drop.is_empty(), "--drop"),
                    (self.drain, "--drain"),
                    (self.connect.find_window, "--find-window"),
                    (self.connect.find_rate, "--connect-rate"),
                    (self.pace.requests.is_some(), "--requests"),
                ];
                let given = opening.iter().find(|(given, _)| *given);
                if let (Some((_, option)), true) = (given, self.listen.is_some()) {
                    return Err(Contradiction::NoTarget(option));
                }
                self.connections = Connections::Number(0);
            }
        }
        self.check()?;
        Ok(self)
    }

    /// What is said of TCP and IP has no effect on Unix sockets, and there is none of both.
    fn check_unix_sockets(&self) -> Result<(), Contradiction> {
        if self.unix_sockets().is_empty() {
            return Ok(());
        }
        let find = |unix: bool| {
            let mut targets = self.targets.iter();
            let found = targets.find(|target| target.spec.unix.is_some() == unix);
            found.map(|target| target.spec.to_string())
        };
        match (find(true), find(false)) {
            (Some(unix), Some(other)) => return Err(Contradiction::MixedSockets(unix, other)),
            (Some(unix), None) if self.connect.unix_socket.is_some() => {
                return Err(Contradiction::TwoSockets(unix));
            }
            _ => {}
        }
        let (connect, resolve) = (&self.connect, &self.connect.resolve);
        refuse_of_tcp(&[
            (!connect.source_ip.is_empty(), "--source-ip"),
            (!resolve.connect_to.is_empty(), "--connect-to"),
            (
                resolve.addresses != Addresses::default() || !resolve.hosts.is_empty(),
                "--resolve",
            ),
            (resolve.family.is_some(), "-4 or -6"),
            (connect.tunnel.is_some(), "--tunnel"),
            (connect.fastopen.is_some(), "--fastopen"),
            (connect.proxy_protocol.is_some(), "--proxy-protocol"),
        ])?;
        refuse_of_tcp(&of_tcp(&self.sockets))
    }

    fn check(&self) -> Result<(), Contradiction> {
        if !self.force
            && let Some(why) = self.protocol.clashes(self.connections.most())
        {
            return Err(Contradiction::TooMany(why));
        }
        if !self.opens() && self.listen.as_ref().is_none_or(|l| l.on.is_empty()) {
            return Err(Contradiction::Nowhere);
        }
        if self.own_server.is_some() {
            let others = [
                (!self.targets.is_empty(), "the targets"),
                (self.listen.is_some(), "--listen-port"),
                (!self.connect.source_ip.is_empty(), "--source-ip"),
                (self.sockets.bind_device.is_some(), "--bind-device"),
                (self.connect.proxy_protocol.is_some(), "--proxy-protocol"),
                (self.connect.unix_socket.is_some(), "--unix-socket"),
            ];
            if let Some((_, other)) = others.iter().find(|(given, _)| *given) {
                return Err(Contradiction::SelfAndOther(other));
            }
        }
        if self.connect.proxy_protocol.is_none() && !self.connect.proxy_source.is_empty() {
            return Err(Contradiction::NoProxyHeader);
        }
        self.check_unix_sockets()?;
        self.check_tunnel()?;
        check_messages(&self.messages)?;
        let says = self.protocol.says();
        if let (Says::NothingWithout(option), false) = (says, self.messages.is_empty()) {
            return Err(Contradiction::NoPlace {
                protocol: self.protocol.kind().name(),
                option,
            });
        }
        let own_messages = matches!(says, Says::Own | Says::Around);
        let no_place = [
            (
                says == Says::Own && !self.messages.repeated.is_empty(),
                "-m and -f",
            ),
            (
                says == Says::Around && !self.messages.first.is_empty(),
                "-1 and -F",
            ),
        ];
        if let Some((_, other)) = no_place.iter().find(|(given, _)| *given) {
            return Err(Contradiction::OwnMessages {
                protocol: self.protocol.kind().name(),
                other,
            });
        }
        if !self.messages.repeats_something()
            && !own_messages
            && let Some(option) = self.needs_message()
        {
            return Err(Contradiction::NoMessage(option));
        }
        let sink_answers =
            self.protocol.answers().from_every_peer() || self.protocol.kind().has_one_server();
        if self.pace.sending.is_closed_loop()
            && self.own_server == Some(OwnServer::Sink)
            && !sink_answers
        {
            return Err(Contradiction::NoEcho);
        }
        self.check_exchanges()?;
        self.check_drops()?;
        self.check_waits()?;
        self.check_latency()?;
        if let (Some(within), Some(rate)) = (self.connect.within, self.connect.paced())
            && f64::from(self.connections.most()) / rate.get() > within.as_secs_f64()
        {
            return Err(Contradiction::TooSlow {
                connections: self.connections.most(),
                rate: rate.get(),
                within,
            });
        }
        if self.connections.is_max() {
            self.check_max()?;
        }
        if self.connect.fastopen.is_some() && self.opens() {
            if self.sockets.mptcp {
                return Err(Contradiction::FastOpenOverMptcp);
            }
            if !self.sends_as_it_opens() {
                return Err(Contradiction::NothingWithSyn);
            }
        }
        if self.allow.unanswered != Tolerance::default() {
            self.looks_for_answers()?;
        }
        for expectation in &self.expect {
            if let Some(remedy) = measured::lacks(self, expectation.metric().needs()) {
                let expectation = expectation.clone();
                return Err(Contradiction::NotMeasured {
                    expectation: Box::new(expectation),
                    remedy,
                });
            }
        }
        let client = self.tls.iter().flat_map(|tls| &tls.alpn);
        let server = self.tls_server.iter().flat_map(|tls| &tls.alpn);
        check_alpn(client.chain(server))
    }

    /// Connections that carry a number of exchanges are opened again, and it is by answers that these are known to be over.
    fn check_exchanges(&self) -> Result<(), Contradiction> {
        let connect = &self.connect;
        if connect.exchanges_per_connection.is_none() {
            return match connect.await_close {
                true => Err(Contradiction::NoExchanges),
                false => Ok(()),
            };
        }
        let kind = self.protocol.kind();
        if let Some(flag) = kind.flag(OWN_EXCHANGES) {
            return Err(Contradiction::ExchangesOf(kind.name(), flag.long));
        }
        let sending = &self.pace.sending;
        let besides = [
            (
                matches!(sending, Sending::ClosedLoop { in_flight: Some(_) }),
                "--in-flight",
            ),
            (
                !sending.is_closed_loop(),
                "rates and bandwidths of sending; --connect-rate bounds new connections",
            ),
            (!connect.reconnect, "--no-reconnect"),
            (!connect.drop.is_empty(), "--drop"),
            (
                connect.await_close && self.sockets.linger.is_some(),
                "--linger, or --await-close",
            ),
        ];
        match besides.iter().find(|(given, _)| *given) {
            Some((_, other)) => Err(Contradiction::ExchangesAnd(other)),
            None => Ok(()),
        }
    }

    /// What is dropped can come back during the hold, and what a server closes is not closed here.
    fn check_drops(&self) -> Result<(), Contradiction> {
        let drops = &self.connect.drop;
        if !self.connect.reconnect && !drops.is_empty() {
            return Err(Contradiction::DropsForGood);
        }
        let windows = [
            (!drops.is_empty(), "--drop"),
            (self.drain, "--drain"),
            (!self.connect.reconnect, "--no-reconnect"),
            (
                self.connect.reconnect_policy != ReconnectPolicy::default(),
                "--reconnect-policy",
            ),
            (self.connect.paced().is_some(), "--connect-rate"),
            (self.connect.lifetime.is_some(), "--channel-lifetime"),
            (self.protocol.closes(), "--requests-per-connection"),
            (
                self.connect.exchanges_per_connection.is_some(),
                "--exchanges-per-connection",
            ),
            (self.pace.sending.search().is_some(), "-r @LATENCY"),
            (self.pace.requests.is_some(), "--requests"),
            (
                self.connect.find_window && self.connect.find_rate,
                "--find-window",
            ),
        ];
        let asked = match self.connect.find_rate {
            true => "--connect-rate max",
            false => "--find-window",
        };
        if self.connect.finds_window()
            && let Some((_, other)) = windows.iter().find(|(given, _)| *given)
        {
            return Err(Contradiction::FindsWindow { asked, other });
        }
        let closes = [
            (!drops.is_empty(), "--drop"),
            (self.connect.lifetime.is_some(), "--channel-lifetime"),
            (self.protocol.closes(), "--requests-per-connection"),
            (
                self.connect.exchanges_per_connection.is_some(),
                "--exchanges-per-connection",
            ),
        ];
        if self.drain
            && let Some((_, option)) = closes.iter().find(|(given, _)| *given)
        {
            return Err(Contradiction::DrainsItself(option));
        }
        let hold = match self.pace.sending.run_rate() {
            Some(RunRate::Profile(profile)) => Some(self.pace.delay + profile.duration()),
            Some(RunRate::Stdin) => None,
            Some(RunRate::Constant(_)) | None => self.hold.length(),
        };
        let late = |end: Duration| drops.iter().find(|drop| drop.after >= end);
        if let Some((hold, drop)) = hold.and_then(|hold| Some((hold, late(hold)?))) {
            return Err(Contradiction::DropsTooLate(*drop, hold));
        }
        match self.duration.and_then(|run| Some((run, late(run)?))) {
            Some((run, drop)) => Err(Contradiction::DropsAfterRun(*drop, run)),
            None => Ok(()),
        }
    }

    /// Connections of a run that finds out how many can be held are opened again when they fail, and are not meant to end.
    fn check_max(&self) -> Result<(), Contradiction> {
        let besides = [
            (
                self.pace.sending.search().is_some(),
                "-r @LATENCY, which is a search of its own",
            ),
            (
                self.pace.requests.is_some(),
                "--requests, which ends the run",
            ),
            (!self.connect.reconnect, "--no-reconnect"),
            (self.connect.find_window, "--find-window"),
            (self.connect.find_rate, "--connect-rate max"),
            (self.connect.lifetime.is_some(), "--channel-lifetime"),
            (
                self.protocol.closes(),
                "--requests-per-connection, which closes them",
            ),
            (
                self.connect.exchanges_per_connection.is_some(),
                "--exchanges-per-connection, which closes them",
            ),
            (
                self.connect.within.is_some() || self.measure.steady_from == SteadyFrom::Begun,
                "--output tcpkali",
            ),
        ];
        let asked = self.connections;
        if let Some((_, other)) = besides.iter().find(|(given, _)| *given) {
            return Err(Contradiction::MaxAnd { asked, other });
        }
        match self.connections.objectives() {
            Some(objectives) => self.check_objectives(&objectives),
            None => Ok(()),
        }
    }

    /// Traffic by which a number of connections is judged begins with the connections, and grows with their number.
    fn check_objectives(&self, objectives: &Objectives) -> Result<(), Contradiction> {
        let asked = self.connections;
        let besides = [
            (
                self.pace.sending.run_rate().is_some(),
                "--rate or --profile, whose messages are as many on any number of connections; -r is a rate on each",
            ),
            (
                matches!(
                    self.pace.sending,
                    Sending::ClosedLoop { in_flight: Some(_) }
                ),
                "--in-flight, whose messages are as many on any number of connections",
            ),
            (
                self.pace.after_ramp,
                "--after-ramp: numbers are tried with traffic",
            ),
            (
                !self.connect.drop.is_empty(),
                "--drop, which takes connections away",
            ),
        ];
        if let Some((_, other)) = besides.iter().find(|(given, _)| *given) {
            return Err(Contradiction::MaxAnd { asked, other });
        }
        match measured::lacks(self, Needs::Answers) {
            Some(remedy) if objectives.latency.is_some() => {
                Err(Contradiction::NoLatencyToKeep { asked, remedy })
            }
            _ => Ok(()),
        }
    }

    /// Whether a connection sends something as soon as it is opened.
    fn sends_as_it_opens(&self) -> bool {
        let pace = &self.pace;
        let connect = &self.connect;
        let begins = connect.proxy_protocol.is_some() || connect.tunnel.is_some();
        if begins || self.tls.is_some() || self.protocol.kind().begins_with_handshake() {
            return true;
        }
        let waits = pace.after_ramp
            || pace.delay > Duration::ZERO
            || self.protocol.waits().think.is_some()
            || matches!(pace.sending, Sending::WholeRun { .. } | Sending::Search(_));
        let at_once = matches!(pace.sending, Sending::Flood | Sending::ClosedLoop { .. });
        let repeats = self.messages.repeats_something()
            || matches!(self.protocol.says(), Says::Own | Says::Around);
        !waits && (!self.messages.first.is_empty() || repeats && at_once)
    }

    /// Whether a tolerance of unanswered messages makes sense.
    ///
    /// # Errors
    /// The run looks for no answers.
    pub fn looks_for_answers(&self) -> Result<(), Contradiction> {
        match measured::lacks(self, Needs::Answers) {
            Some(_) if self.protocol.pings().is_some() => Ok(()),
            Some(remedy) => Err(Contradiction::NothingUnanswered(remedy)),
            None => Ok(()),
        }
    }

    fn check_tunnel(&self) -> Result<(), Contradiction> {
        let Some(proxy) = &self.connect.tunnel else {
            return match self.connect.tunnel_auth {
                Some(_) => Err(Contradiction::NoTunnel),
                None => Ok(()),
            };
        };
        let plain = |scheme: &Scheme| scheme.name == "http";
        if proxy.spec.path != "/" || !proxy.spec.scheme.is_none_or(plain) {
            return Err(Contradiction::NoProxy(proxy.spec.to_string()));
        }
        if self.targets.is_empty() {
            return Err(Contradiction::NoTarget("--tunnel"));
        }
        let named = |target: &&Target| matches!(target.spec.port, Port::Service(_));
        match self.targets.iter().find(named) {
            Some(target) => Err(Contradiction::NamedPort(target.spec.to_string())),
            None => Ok(()),
        }
    }

    fn check_waits(&self) -> Result<(), Contradiction> {
        let waits = self.protocol.waits();
        let in_turns = matches!(
            self.pace.sending,
            Sending::ClosedLoop { in_flight: Some(_) }
        );
        if in_turns && waits.is_pipeline() {
            return Err(Contradiction::PipelineInTurns);
        }
        let besides = [
            (waits.is_pipeline(), "--pipeline"),
            (in_turns, "--in-flight"),
            (
                !self.pace.sending.is_closed_loop(),
                "rates and bandwidths of sending",
            ),
        ];
        match besides.iter().find(|(given, _)| *given) {
            Some((_, other)) if waits.think.is_some() => Err(Contradiction::ThinkBesides(other)),
            _ => Ok(()),
        }
    }

    /// The option that needs a message to repeat, if one was given.
    fn needs_message(&self) -> Option<&'static str> {
        if self.pace.requests.is_some() {
            return Some("--requests");
        }
        if self.connect.exchanges_per_connection.is_some() {
            return Some("--exchanges-per-connection");
        }
        match &self.pace.sending {
            Sending::PerConnection(_) | Sending::Search(_) => return Some("--message-rate"),
            Sending::WholeRun { rate, .. } => {
                return Some(match rate {
                    RunRate::Constant(_) => "--rate",
                    RunRate::Profile(_) | RunRate::Stdin => "--profile",
                });
            }
            Sending::Flood | Sending::Bandwidth(_) | Sending::ClosedLoop { .. } => {}
        }
        // Where answers are looked for, messages wait for them without being told to.
        match &self.measure.message {
            Some(MessageLatency::Marker(_)) => Some("--latency-marker"),
            Some(MessageLatency::Echo) => Some("--latency-echo"),
            Some(MessageLatency::MessageMarker) | None => self
                .pace
                .sending
                .is_closed_loop()
                .then_some("--closed-loop"),
        }
    }

    fn check_latency(&self) -> Result<(), Contradiction> {
        if let Some(MessageLatency::Marker(marker)) = &self.measure.message {
            if !marker.says_something() {
                return Err(Contradiction::EmptyMarker);
            }
            if self.connections.most() == 0 {
                return Err(Contradiction::NoAnswers);
            }
        }
        let answered = self.measure.message.is_some()
            || self.messages.repeated.iter().any(Message::has_marker);
        if let Some(search) = self.pace.sending.search() {
            if !answered && !self.protocol.answers().always() {
                return Err(Contradiction::NoLatency);
            }
            check_search(search)?;
            if self.pace.requests.is_some() {
                return Err(Contradiction::SearchAndRequests);
            }
        }
        match self.measure.skip {
            1.. if !answered => Err(Contradiction::NothingToSkip),
            _ => Ok(()),
        }
    }
}

fn check_messages(messages: &Messages) -> Result<(), Contradiction> {
    let empty = |all: &[Message]| !all.is_empty() && !all.iter().any(Message::says_something);
    match (empty(&messages.first), empty(&messages.repeated)) {
        (true, _) => Err(Contradiction::EmptyMessage("-1")),
        (_, true) => Err(Contradiction::EmptyMessage("-m and -f")),
        (false, false) => Ok(()),
    }
}

fn check_search(search: &Search) -> Result<(), Contradiction> {
    let needed = Terms::shortest(search.under);
    match search.at_most {
        Some(time) if needed > time => Err(Contradiction::SearchTooShort {
            written: search.written.clone(),
            time,
            needed,
        }),
        _ => Ok(()),
    }
}

/// The socket options that Unix sockets do not have: whether each was given, and its name.
fn of_tcp(options: &SocketOptions) -> [(bool, &'static str); 9] {
    [
        (options.nagle, "--nagle"),
        (options.keepalive.is_some(), "--keepalive"),
        (options.user_timeout.is_some(), "--user-timeout"),
        (options.congestion.is_some(), "--congestion"),
        (options.mark.is_some(), "--mark"),
        (options.tos.is_some(), "--tos or --dscp"),
        (options.linger.is_some(), "--linger"),
        (options.bind_device.is_some(), "--bind-device"),
        (options.mptcp, "--mptcp"),
    ]
}

fn refuse_of_tcp(options: &[(bool, &'static str)]) -> Result<(), Contradiction> {
    match options.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Contradiction::OfTcp(option)),
        None => Ok(()),
    }
}

fn check_alpn<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Contradiction> {
    match names.find(|name| !(1..=255).contains(&name.len())) {
        Some(name) => Err(Contradiction::AlpnLength(name.len())),
        None => Ok(()),
    }
}

impl ServeScenario {
    /// The scenario, if it can be run.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn settled(self) -> Result<ServeScenario, Contradiction> {
        if self.listen.is_empty() {
            return Err(Contradiction::NoListener);
        }
        self.check_unix_sockets()?;
        check_messages(&self.messages)?;
        match (self.mode.sends(), self.messages.is_empty()) {
            (true, true) => return Err(Contradiction::SaysNothing(self.mode.name())),
            (true, false) | (false, true) => {}
            (false, false) => return Err(Contradiction::SendsNothing(self.mode.name())),
        }
        if self.message_rate.is_some() && !self.messages.repeats_something() {
            return Err(Contradiction::NoMessage("--message-rate"));
        }
        let websocket = self.mode.protocol().kind() == ProtocolKind::Websocket;
        if !self.subprotocols.is_empty() && !websocket {
            return Err(Contradiction::NoWebSocket(self.mode.name()));
        }
        check_alpn(self.tls.iter().flat_map(|tls| &tls.alpn))?;
        if !self.proxy_source.is_empty() && !self.proxy_protocol {
            return Err(Contradiction::NoHeaders);
        }
        Ok(self)
    }

    /// Unix sockets have nothing of TCP and IP, and connections do not inherit what they have.
    fn check_unix_sockets(&self) -> Result<(), Contradiction> {
        let unix = |at: &&ListenPlace| matches!(at.0, Endpoint::Unix(_));
        let (mut of_unix, mut others) = (
            self.listen.iter().filter(unix),
            self.listen.iter().filter(|at| !unix(at)),
        );
        let Some(socket) = of_unix.next() else {
            return Ok(());
        };
        if let Some(other) = others.next() {
            let [socket, other] = [socket, other].map(|at| at.0.to_string());
            return Err(Contradiction::MixedListeners(socket, other));
        }
        refuse_of_tcp(&[(self.fastopen, "--fastopen")])?;
        refuse_of_tcp(&of_tcp(&self.sockets))?;
        let inherited = [
            (self.sockets.send_buffer, "--sndbuf", "wmem_default"),
            (self.sockets.receive_buffer, "--rcvbuf", "rmem_default"),
        ];
        match inherited.iter().find(|(given, ..)| given.is_some()) {
            Some((_, option, sysctl)) => Err(Contradiction::NotInherited(option, sysctl)),
            None => Ok(()),
        }
    }
}

impl ProxyScenario {
    /// This scenario, if it can be run.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn settled(self) -> Result<ProxyScenario, Contradiction> {
        if self.listen.is_empty() {
            return Err(Contradiction::NoListener);
        }
        match self.to_original {
            true => self.check_original()?,
            false if self.to.is_empty() => return Err(Contradiction::NoBackend),
            false => {}
        }
        for Target { spec, .. } in &self.to {
            let why = match (&spec.unix, spec.scheme) {
                (Some(_), _) => "connects to HOST:PORT, not to Unix sockets",
                (None, Some(_)) => {
                    "sends bytes on as they are, whatever they mean: write HOST:PORT"
                }
                (None, None) => continue,
            };
            return Err(Contradiction::NotABackend(spec.to_string(), why));
        }
        check_alpn(self.tls.iter().flat_map(|tls| &tls.alpn))?;
        check_alpn(self.backend_tls.iter().flat_map(|tls| &tls.alpn))?;
        match self.transparent && !self.source_ip.is_empty() {
            true => Err(Contradiction::TwoSources),
            false => Ok(self),
        }
    }

    fn check_original(&self) -> Result<(), Contradiction> {
        let nameless = self
            .backend_tls
            .as_ref()
            .is_some_and(|tls| tls.sni.is_none());
        for (wrong, why) in [
            (!self.to.is_empty(), "leave out the other --to"),
            (
                self.balance != ProxyScenario::default().balance,
                "there is nothing to balance, so leave out --balance",
            ),
            (!self.source_ip.is_empty(), "leave out --source-ip"),
            (
                self.accept_proxy,
                "a header could lead it anywhere, so leave out --accept-proxy",
            ),
            (
                nameless,
                "which name its certificate is for is not known, so add --backend-sni",
            ),
        ] {
            if wrong {
                return Err(Contradiction::NotOriginal(why));
            }
        }
        let mut listens = self.listen.iter().map(|at| at.0);
        match listens.find(|at| at.ip().is_unspecified() || at.port() == 0) {
            Some(at) => Err(Contradiction::ListensAnywhere(at)),
            None => Ok(()),
        }
    }
}
