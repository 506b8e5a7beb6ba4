//! The behaviours of a run's workers, made from its scenario.

use crate::Failure;
use crate::attached::Taps;
use std::sync::{Arc, Mutex, PoisonError};
use throng_core::behaviour::{
    AnswerBy, Arriving, Behaviour, Exchanges, InTurn, Load, Marker, Matcher, Matching, NoMatcher,
    Pacing, Pattern, ReplyMatcher, Task, Wire,
};
use throng_core::pacing::{MessagePace, Profile};
use throng_core::payload::{
    FirstMessage, Framing, Message, Messages, Part, Scope, Script, ScriptError,
};
use throng_core::plan::Routes;
use throng_core::protocol::proxy_protocol::{Clients, ClientsNamed, Headed};
use throng_core::protocol::tunnel::{Tunnel, TunnelOptions};
use throng_core::protocol::{Answers, Authority, Choose, Prepared, UseBehaviour, UseWire};
use throng_core::scenario::{
    Connect, Counted, ListenMode, LoadScenario, MessageLatency, OwnServer, RunRate, Sending,
    ServeScenario, TlsServer, Writes,
};
use throng_core::target::Port;
use throng_core::units::Rate;
use throng_engine::{Job, Work};
use throng_tls::{ClientOptions, ClientTls, ServerOptions, ServerTls, Tls};

/// The payload of a packet that tcpkali assumes, in bytes.
const SEGMENT: f64 = 1460.0;
/// The random seed of a server.
const SEED: u64 = 0;
/// The rate until a search sets its first one: nothing is sent before that.
const BEFORE_A_SEARCH: f64 = 1e-3;

/// One worker among several.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub worker: u32,
    pub workers: u32,
}

/// The behaviours of a load's connections, on both sides.
pub(crate) struct LoadBehaviours<'a> {
    scenario: &'a LoadScenario,
    /// What is sent on connections that we open, and on those that we accept.
    script: Script,
    accepted: Script,
    pacing: Pacing,
    answers: Option<AnswerBy>,
    stop: Option<Pattern>,
    markers: bool,
    prepared: Prepared,
    tunnel: Option<TunnelOptions>,
    client_tls: Option<ClientTls>,
    server_tls: Option<ServerTls>,
    /// Microseconds since 1970 when the run began.
    unix_us: u64,
    taps: Option<Arc<dyn Taps>>,
}

impl<'a> LoadBehaviours<'a> {
    /// What `scenario` asks for, on `workers` workers.
    pub fn new(
        scenario: &'a LoadScenario,
        workers: u32,
        unix_us: u64,
        taps: Option<Arc<dyn Taps>>,
    ) -> Result<LoadBehaviours<'a>, Failure> {
        let (seed, writes) = (scenario.seed(), scenario.pace.writes);
        let [opened, accepted] = scenario.protocol.kind().framing();
        let messages = &scenario.messages;
        let cycles = cycles(scenario)?;
        let pacing = pacing(scenario, workers)?;
        let combine = match &pacing {
            Pacing::Flood if writes == Writes::Packets => {
                a_packet(Script::of_cycles(&messages.first, &cycles, opened, 1, seed))
            }
            _ if writes != Writes::Combined => 1,
            Pacing::Flood | Pacing::Bandwidth(_) => u32::MAX,
            Pacing::Rate(rate) if rate.get() >= MessagePace::GROUPS_FROM => u32::MAX,
            Pacing::Rate(_) | Pacing::ClosedLoop { .. } | Pacing::Arrivals { .. } => 1,
        };
        let script = |messages: &Messages, framing| {
            Script::new(messages, framing, combine, seed)
                .map_err(|e| Failure::refused(e.to_string()))
        };
        let active = scenario.listen.as_ref().map(|l| l.mode) == Some(ListenMode::Active);
        let sent_back = match active {
            true => messages.clone(),
            false => Messages::default(),
        };
        let server_tls = scenario.tls_server.as_ref().map(server_tls).transpose()?;
        let own = Script::of_cycles(&messages.first, &cycles, opened, combine, seed)
            .map_err(|e| Failure::refused(e.to_string()))?;
        Ok(LoadBehaviours {
            prepared: prepared(scenario, &own)?,
            script: own,
            accepted: script(&sent_back, accepted)?,
            pacing,
            answers: answers(scenario, messages)?,
            stop: scenario
                .measure
                .stop_at
                .as_deref()
                .map(|text| pattern("--message-stop", text))
                .transpose()?,
            markers: scenario.measure.message == Some(MessageLatency::MessageMarker)
                || cycles.iter().flatten().any(|m| has_marker(&m.parts)),
            tunnel: tunnel(scenario),
            client_tls: client_tls(scenario, server_tls.as_ref())?,
            server_tls,
            taps,
            scenario,
            unix_us,
        })
    }

    /// Whether anything is sent on connections that we open.
    pub fn sends(&self) -> bool {
        self.script.has_first()
            || self.script.has_repeated()
            || self.scenario.protocol.pings().is_some()
    }

    /// Whether messages are sent repeatedly on connections that we open.
    pub fn repeats(&self) -> bool {
        self.script.has_repeated()
    }

    /// Whether message markers are matched.
    pub fn finds_markers(&self) -> bool {
        self.markers
    }

    /// The behaviour of the connections that this worker opens.
    pub fn opened(&self, job: Job, at: Place, routes: &Arc<Routes>) -> Work {
        let opened = Opened {
            all: self,
            job,
            at,
            routes,
        };
        self.prepared.client(self.choose(routes), opened)
    }

    /// Which target a connection goes to.
    fn choose(&self, routes: &Arc<Routes>) -> Choose {
        let routes = Arc::clone(routes);
        // None if the server is in this process.
        let targets = self.scenario.targets_of_addresses();
        Box::new(move |id| targets.get(routes.pick(id).0).copied().unwrap_or(0))
    }

    fn tapped<W: Wire, M: Matcher>(
        &self,
        load: Load<W, M>,
        at: Place,
        accepted: bool,
    ) -> Load<W, M> {
        match &self.taps {
            None => load,
            Some(taps) => load.tapped(taps.tap(at.worker, at.workers, accepted)),
        }
    }

    /// The behaviour of the connections that this worker accepts (`-l`).
    pub fn accepted(&self, job: Job, at: Place) -> Work {
        let accepted = Accepted { all: self, job, at };
        self.prepared.server(accepted)
    }

    /// What the server in this process (`--self`) does with its connections.
    pub fn own_server(&self, job: Job, own: OwnServer) -> Work {
        let tls = self.server_tls.as_ref();
        // It sends no messages of its own.
        let task = Task {
            unix_us: self.unix_us,
            seed: self.scenario.seed(),
            ..Task::new(self.accepted.clone(), Pacing::Flood)
        };
        let echo = own == OwnServer::Echo;
        let then = Served {
            job,
            tls,
            measured: false,
        };
        self.scenario.protocol.own_server(echo, task, then)
    }

    /// Whether answers are matched.
    pub fn matches_answers(&self) -> bool {
        self.answers.is_some()
    }

    /// Whether answers are to be the bytes that were sent.
    fn looks_for_echoes(&self) -> bool {
        matches!(self.answers, Some(AnswerBy::Echo)) || self.loops_by_bytes()
    }

    /// Whether each message is sent when as many bytes were received as the previous one had.
    fn loops_by_bytes(&self) -> bool {
        self.answers.is_none() && self.loops()
    }

    /// Whether each message is sent when the echo of the previous one was received.
    pub fn loops_by_echoes(&self) -> bool {
        let others = matches!(
            self.answers,
            Some(AnswerBy::Marker { .. } | AnswerBy::Id | AnswerBy::Message { echo: None })
        );
        self.loops() && !others
    }

    /// Whether each message waits for the answer to the one before.
    pub fn loops(&self) -> bool {
        matches!(self.pacing, Pacing::ClosedLoop { .. })
    }

    fn matches(&self) -> bool {
        self.answers.is_some() || self.stop.is_some() || self.markers
    }

    fn matcher(&self, answers: Option<AnswerBy>) -> ReplyMatcher {
        ReplyMatcher::new(Matching {
            answers,
            paced: self.is_paced(),
            samples: self.keeps_samples(),
            stop: self.stop.clone(),
            markers: self.markers,
            unix_us: self.unix_us,
        })
    }

    /// Whether messages are due at a time.
    fn is_paced(&self) -> bool {
        matches!(self.pacing, Pacing::Rate(_) | Pacing::Arrivals { .. })
    }

    /// Whether each round trip is kept.
    fn keeps_samples(&self) -> bool {
        self.scenario.measure.samples
    }

    /// Whether nothing is looked for but whole messages, each of which answers the oldest one.
    fn only_in_turn(&self) -> bool {
        let in_turn = matches!(self.answers, Some(AnswerBy::Message { echo: None }));
        in_turn && self.stop.is_none() && !self.markers
    }

    /// What is asked of the connections that are opened.
    fn task_of_opened(&self, at: Place) -> Task {
        Task {
            echoes: self.looks_for_echoes(),
            requests: self.scenario.own_requests(),
            ..self.task(&self.script, at)
        }
    }

    fn task(&self, script: &Script, at: Place) -> Task {
        // Echoes are distinguished by their lengths, so those that share a write must be equally long.
        let equal = self.scenario.messages.repeated.len() == 1 && script.is_static();
        let one_by_one = matches!(self.answers, Some(AnswerBy::Echo)) && !equal;
        let waits = self.scenario.protocol.waits();
        Task {
            connections: self.scenario.connections.spread(),
            worker: at.worker,
            workers: at.workers,
            shard: self.scenario.shard,
            staggered: self.scenario.protocol.kind().answers() == Answers::Whole,
            delay: self.scenario.pace.delay,
            lifetime: self.scenario.connect.lifetime,
            exchanges: exchanges(&self.scenario.connect),
            receive: self.scenario.pace.downstream,
            first_byte: self.scenario.measure.first_byte,
            samples: self.scenario.measure.samples,
            replaced: self.scenario.protocol.closes(),
            by_answers: self.answers.is_some(),
            // tcpkali's messages are those with a marker, or that answer one of ours.
            count_found: self.scenario.measure.counted == Counted::Found,
            most: match one_by_one {
                true => 1,
                false => waits.depth,
            },
            timeout: waits.timeout,
            think: waits.think,
            unix_us: self.unix_us,
            seed: self.scenario.seed(),
            ..Task::new(script.clone(), self.pacing.clone())
        }
    }
}

/// How many exchanges a connection carries, if that is a number.
fn exchanges(connect: &Connect) -> Option<Exchanges> {
    let each = connect.exchanges_per_connection?;
    Some(Exchanges {
        each,
        peer_closes: connect.await_close,
    })
}

/// Combines a wire with the behaviour of the connections that a worker opens.
struct Opened<'a, 'b> {
    all: &'b LoadBehaviours<'a>,
    job: Job,
    at: Place,
    routes: &'b Arc<Routes>,
}

impl UseWire for Opened<'_, '_> {
    type Output = Work;

    fn with<W: Wire<Conn: Send> + Send + 'static>(self, wire: W) -> Work {
        let (all, at, traffic) = (self.all, self.at, self.job.traffic);
        // A load that matches nothing pays for no matcher.
        if !W::MESSAGES && !all.matches() && all.client_tls.is_none() {
            let load = Load::new(all.task_of_opened(at), traffic, wire, NoMatcher);
            return self.through(all.tapped(load, at, false));
        }
        self.matched(wire, all.matcher(all.answers.clone()))
    }

    fn with_answers_in_turn<W: Wire<Conn: Send> + Send + 'static>(self, wire: W) -> Work {
        let Opened { all, .. } = self;
        match all.only_in_turn() {
            true => self.matched(wire, InTurn::new(all.is_paced(), all.keeps_samples())),
            false => self.with(wire),
        }
    }
}

impl Opened<'_, '_> {
    /// With what matches answers.
    fn matched<W, M>(self, wire: W, matcher: M) -> Work
    where
        W: Wire<Conn: Send> + Send + 'static,
        M: Matcher<Conn: Send> + Send + 'static,
    {
        let (all, at, traffic) = (self.all, self.at, self.job.traffic);
        let load = Load::new(all.task_of_opened(at), traffic, wire, matcher);
        let load = match all.script.cycles() {
            1 => load,
            _ => load.choosing(all.choose(self.routes)),
        };
        let load = all.tapped(load, at, false);
        match &all.client_tls {
            None => self.through(load),
            Some(tls) => {
                let choose = all.choose(self.routes);
                self.through(Tls::client(load, tls).choosing(choose))
            }
        }
    }

    /// `behaviour`, in a tunnel if connections go through one.
    fn through<B: Behaviour<Conn: Send> + Send + 'static>(self, behaviour: B) -> Work {
        let Opened { all, job, .. } = self;
        match &all.tunnel {
            None => job.with(behaviour),
            Some(options) => {
                let choose = all.choose(self.routes);
                job.with(Tunnel::new(behaviour, options.clone(), choose))
            }
        }
    }
}

/// Combines a wire with the behaviour of the connections that a worker accepts.
struct Accepted<'a, 'b> {
    all: &'b LoadBehaviours<'a>,
    job: Job,
    at: Place,
}

impl UseWire for Accepted<'_, '_> {
    type Output = Work;

    fn with<W: Wire<Conn: Send> + Send + 'static>(self, wire: W) -> Work {
        let Accepted { all, job, at } = self;
        let (task, traffic) = (all.task(&all.accepted, at), job.traffic);
        let load = Load::new(task, traffic, wire, all.matcher(None));
        let served = Served {
            job,
            tls: all.server_tls.as_ref(),
            measured: all.scenario.connections.most() == 0,
        };
        served.with(all.tapped(load, at, true))
    }
}

/// Combines a server with TLS, if that is spoken.
struct Served<'b> {
    job: Job,
    tls: Option<&'b ServerTls>,
    /// Whether handshakes are measured. A run measures those of the connections that it opens, if it opens any.
    measured: bool,
}

impl UseBehaviour for Served<'_> {
    type Output = Work;

    fn with<B: Behaviour<Conn: Send> + Send + 'static>(self, behaviour: B) -> Work {
        match self.tls {
            None => self.job.with(behaviour),
            Some(tls) => {
                let server = Tls::server(behaviour, tls);
                self.job.with(match self.measured {
                    true => server,
                    false => server.unmeasured(),
                })
            }
        }
    }
}

/// Combines a server with headers of the PROXY protocol, which come before TLS if that is spoken.
struct BehindHeaders<'b> {
    job: Job,
    tls: Option<&'b ServerTls>,
    clients: Arc<Mutex<Clients>>,
}

impl UseBehaviour for BehindHeaders<'_> {
    type Output = Work;

    fn with<B: Behaviour<Conn: Send> + Send + 'static>(self, behaviour: B) -> Work {
        let clients = self.clients;
        match self.tls {
            None => self.job.with(Headed::new(behaviour, clients)),
            Some(tls) => {
                let server = Tls::server(behaviour, tls);
                self.job.with(Headed::new(server, clients))
            }
        }
    }
}

/// The behaviour of a server's connections.
pub(crate) struct ServeBehaviours<'a> {
    scenario: &'a ServeScenario,
    script: Script,
    tls: Option<ServerTls>,
    /// For each worker: the clients that the headers of its connections named; none if connections have no headers.
    clients: Vec<Arc<Mutex<Clients>>>,
}

impl<'a> ServeBehaviours<'a> {
    pub fn new(scenario: &'a ServeScenario) -> Result<ServeBehaviours<'a>, Failure> {
        let combine = match scenario.message_rate {
            Some(rate) if rate.get() < MessagePace::GROUPS_FROM => 1,
            _ => u32::MAX,
        };
        Ok(ServeBehaviours {
            script: Script::new(&scenario.messages, Framing::Raw, combine, SEED)
                .map_err(|e| Failure::refused(e.to_string()))?,
            tls: scenario.tls.as_ref().map(server_tls).transpose()?,
            clients: Vec::new(),
            scenario,
        })
    }

    /// The same, for this many workers.
    pub fn on(self, workers: u32) -> ServeBehaviours<'a> {
        let all = 0..if self.scenario.proxy_protocol {
            workers
        } else {
            0
        };
        let clients = |_| Arc::new(Mutex::new(Clients::new(self.scenario.announced())));
        ServeBehaviours {
            clients: all.map(clients).collect(),
            ..self
        }
    }

    /// The clients that headers named; `None` if connections have no headers.
    pub fn named(&self) -> Option<ClientsNamed> {
        let all = self.clients.iter();
        let all: Vec<_> = all
            .map(|clients| clients.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        (!all.is_empty()).then(|| Clients::together(all.iter().map(|clients| &**clients)))
    }

    /// The behaviour of the connections that this worker accepts.
    pub fn served(&self, job: Job, at: Place, unix_us: u64) -> Work {
        let pacing = self
            .scenario
            .message_rate
            .map_or(Pacing::Flood, Pacing::Rate);
        let task = Task {
            // How many there will be is unknown; their phases repeat after this many.
            connections: 1 << 16,
            worker: at.worker,
            workers: at.workers,
            unix_us,
            seed: SEED,
            subprotocols: self.scenario.subprotocols.clone(),
            ..Task::new(self.script.clone(), pacing)
        };
        let (mode, tls) = (self.scenario.mode, self.tls.as_ref());
        match self.clients.get(at.worker as usize).map(Arc::clone) {
            None => {
                let measured = true;
                mode.behaviour(task, Served { job, tls, measured })
            }
            Some(clients) => mode.behaviour(task, BehindHeaders { job, tls, clients }),
        }
    }
}

fn pacing(scenario: &LoadScenario, workers: u32) -> Result<Pacing, Failure> {
    Ok(match &scenario.pace.sending {
        Sending::Flood => Pacing::Flood,
        Sending::PerConnection(rate) => Pacing::Rate(*rate),
        Sending::Bandwidth(bandwidth) => Pacing::Bandwidth(*bandwidth),
        // Where several may wait on a connection, each answer makes room for another message.
        Sending::ClosedLoop { in_flight: None } if scenario.protocol.waits().is_pipeline() => {
            Pacing::Flood
        }
        Sending::ClosedLoop { in_flight } => Pacing::ClosedLoop {
            // One on each worker at least, and no more than there are connections to take turns.
            in_flight: in_flight
                .filter(|n| *n < scenario.connections.most())
                .map(|n| scenario.shard.share(n).div_ceil(workers)),
        },
        Sending::WholeRun { rate, arrivals } => Pacing::Arrivals {
            spacing: arrivals.spacing(scenario.seed()),
            rate: match rate {
                RunRate::Constant(rate) => Arriving::Constant(*rate),
                RunRate::Profile(profile) => Arriving::Profile(profile.clone()),
                RunRate::Stdin => Arriving::Profile(Profile::new()),
            },
        },
        Sending::Search(_) => Pacing::Arrivals {
            spacing: Default::default(),
            rate: Arriving::Constant(
                Rate::per_second(BEFORE_A_SEARCH)
                    .ok_or_else(|| Failure::fault("no rate to begin a search with"))?,
            ),
        },
    })
}

/// How many of these messages make a packet, at least one: what tcpkali writes at once if writes are not to be
/// combined and nothing holds it back.
fn a_packet(script: Result<Script, ScriptError>) -> u32 {
    let message = script.map_or(0.0, |s| s.message_bytes());
    (SEGMENT / message.max(1.0)).max(1.0) as u32
}

/// How answers are recognized, where they are matched.
fn answers(scenario: &LoadScenario, messages: &Messages) -> Result<Option<AnswerBy>, Failure> {
    let measure = &scenario.measure;
    let whole = match scenario.protocol.answers() {
        Answers::Ids | Answers::Acknowledgements => return Ok(Some(AnswerBy::Id)),
        Answers::Whole => return Ok(Some(AnswerBy::Message { echo: None })),
        Answers::Messages => Some(AnswerBy::Message {
            echo: FirstMessage::of(messages),
        }),
        Answers::Bytes => None,
    };
    Ok(match &measure.message {
        Some(MessageLatency::Marker(text)) => Some(AnswerBy::Marker {
            text: marker(text, scenario.seed())?,
            skip: measure.skip,
        }),
        Some(MessageLatency::Echo) => whole.or(Some(AnswerBy::Echo)),
        // A closed loop waits for whole messages where the protocol has them, else it counts bytes.
        _ if scenario.pace.sending.is_closed_loop() => whole,
        Some(MessageLatency::MessageMarker) | None => None,
    })
}

/// What `--latency-marker` looks for. It may differ between connections, but not between messages: the next one would
/// be unknown.
fn marker(text: &Message, seed: u64) -> Result<Marker, Failure> {
    let option = "--latency-marker";
    let differs = |part: &Part| match part {
        Part::Bytes(_) | Part::Uid { .. } | Part::Pointer { .. } => false,
        Part::Random { scope, .. } => *scope == Scope::Message,
        Part::Marker
        | Part::MessageId
        | Part::Number
        | Part::Frame(_)
        | Part::Raw(_)
        | Part::Sized(..) => true,
    };
    if text.has_marker() {
        return Err(Failure::refused(format!(
            "{option} can't be \\{{message.marker}}, which differs from message to message: --message-marker looks for those"
        )));
    }
    if text.parts.iter().any(differs) {
        return Err(Failure::refused(format!(
            "{option} must be the same for all messages of a connection: a text, with \\{{connection.uid}}, \\{{connection.re …}} or \\{{global.re …}} in it"
        )));
    }
    let messages = Messages {
        first: vec![text.clone()],
        repeated: Vec::new(),
    };
    let script = Script::new(&messages, Framing::Raw, 1, seed)
        .map_err(|e| Failure::refused(format!("{option}: {e}")))?;
    let one = pattern(option, &script.first_of(1))?;
    Ok(match script.is_static() {
        true => Marker::Same(Box::new(one)),
        false => Marker::OfConnection(script),
    })
}

fn pattern(option: &str, text: &[u8]) -> Result<Pattern, Failure> {
    Pattern::new(text).ok_or_else(|| {
        Failure::refused(format!(
            "{option} is {} bytes long; a text to look for has 1 to {} bytes",
            text.len(),
            Pattern::MOST
        ))
    })
}

/// Whether there is a message marker among `parts`.
fn has_marker(parts: &[Part]) -> bool {
    parts.iter().any(|part| match part {
        Part::Marker => true,
        Part::Frame(frame) => has_marker(&frame.payload),
        Part::Raw(parts) | Part::Sized(_, parts) => has_marker(parts),
        _ => false,
    })
}

/// The messages that connections to each target repeat; one cycle if they are the same for all.
fn cycles(scenario: &LoadScenario) -> Result<Vec<Vec<Message>>, Failure> {
    let given = &scenario.messages.repeated;
    let messages = |target: &Authority| scenario.protocol.messages(given, target);
    let mut cycles = with_targets(scenario, |targets| match targets {
        [] => {
            let own = Authority {
                authority: "localhost",
                path: "/",
            };
            messages(&own).map(|cycle| vec![cycle])
        }
        targets => targets.iter().map(messages).collect(),
    })
    .map_err(|e| Failure::refused(e.to_string()))?;
    if cycles.iter().all(|cycle| *cycle == cycles[0]) {
        cycles.truncate(1);
    }
    Ok(cycles)
}

/// What the wires need.
fn prepared(scenario: &LoadScenario, script: &Script) -> Result<Prepared, Failure> {
    let (secure, seed) = (scenario.tls.is_some(), scenario.seed());
    with_targets(scenario, |targets| {
        scenario.protocol.prepare(targets, script, secure, seed)
    })
    .map_err(|e| Failure::refused(e.to_string()))
}

/// Passes the targets as requests name them to `then`.
fn with_targets<T>(scenario: &LoadScenario, then: impl FnOnce(&[Authority]) -> T) -> T {
    let targets = &scenario.targets;
    let sent: Vec<String> = targets.iter().map(|t| t.spec.authority_sent()).collect();
    let targets: Vec<Authority> = targets
        .iter()
        .zip(&sent)
        .map(|(target, authority)| Authority {
            authority,
            path: &target.spec.path,
        })
        .collect();
    then(&targets)
}

/// The tunnels that connections go through.
fn tunnel(scenario: &LoadScenario) -> Option<TunnelOptions> {
    scenario.connect.tunnel.as_ref()?;
    let targets = scenario.targets.iter().filter_map(|target| {
        let host = target.spec.host_sent();
        match (&target.spec.port, host.contains(':')) {
            (Port::Number(port), true) => Some(format!("[{host}]:{port}")),
            (Port::Number(port), false) => Some(format!("{host}:{port}")),
            // Refused: see the checks of scenarios.
            (Port::Service(_), _) => None,
        }
    });
    let auth = scenario.connect.tunnel_auth.as_deref();
    Some(TunnelOptions::new(targets, auth, scenario.connect.timeout))
}

pub(crate) fn server_tls(asked: &TlsServer) -> Result<ServerTls, Failure> {
    ServerTls::new(&ServerOptions {
        identity: asked.identity.clone(),
        alpn: asked.alpn.clone(),
        resumption: asked.resumption,
        ..ServerOptions::default()
    })
    .map_err(|e| Failure::refused(e.to_string()))
}

fn client_tls(
    scenario: &LoadScenario,
    own: Option<&ServerTls>,
) -> Result<Option<ClientTls>, Failure> {
    let Some(asked) = &scenario.tls else {
        return Ok(None);
    };
    let names = match (&asked.sni, scenario.targets.as_slice()) {
        (Some(name), targets) => vec![name.clone(); targets.len().max(1)],
        (None, []) => vec!["localhost".into()],
        (None, targets) => targets.iter().map(|t| t.spec.host_sent().into()).collect(),
    };
    let own = own.filter(|_| scenario.own_server.is_some());
    ClientTls::new(&ClientOptions {
        names,
        ca_file: asked.cacert.clone(),
        trusted: own
            .map(|tls| tls.certificate().to_vec())
            .into_iter()
            .collect(),
        insecure: asked.insecure,
        alpn: asked.alpn.clone(),
        resumption: asked.resume,
        timeout: scenario.connect.timeout,
        ..ClientOptions::default()
    })
    .map(Some)
    .map_err(|e| Failure::refused(e.to_string()))
}
