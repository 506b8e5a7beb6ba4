//! What a `throng load` is to do.

use super::target::{self, Targets};
use super::texts;
use crate::Failure;
use crate::cli::{ArrivalsArg, DumpArgs, LoadArgs, Mode, Speed, StatsdArgs, Switch, TlsServerArgs};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::pacing::{Profile, Spacing, Terms};
use throng_core::payload::{Message, Messages};
use throng_core::scenario::observe::{STATSD_NAMESPACE, STATSD_PORT};
use throng_core::scenario::{
    Dump, LatencyAsked, Limits, Listening, LoadScenario, MessageLatency, Options, Repeat, RunRate,
    Search, SocketOptions, StatsdAsked, TlsClient, TlsServer, WebSocketAsked, WholeRun, Whose,
};
use throng_core::units::Rate;

/// What holds where nothing is said.
struct Defaults {
    connect_rate: Option<Rate>,
    connect_timeout: Duration,
}

/// What tcpkali opens a second.
const USUAL_RATE: f64 = 100.0;

impl Defaults {
    fn of(args: &LoadArgs, hold: Duration) -> Defaults {
        if !args.like_tcpkali() {
            return Defaults {
                connect_rate: None,
                connect_timeout: Duration::from_secs(5),
            };
        }
        // All have to come up within -T. Where tcpkali gives up because its rate can't do that, it is
        // raised to what does it in half the time.
        let needed = f64::from(args.connections) / hold.as_secs_f64();
        let rate = match needed > USUAL_RATE {
            true => 2.0 * needed,
            false => USUAL_RATE,
        };
        Defaults {
            connect_rate: Rate::per_second(rate),
            connect_timeout: Duration::from_secs(1),
        }
    }
}

/// How long to hold, where nothing is said.
const HOLD: Duration = Duration::from_secs(10);

/// What `args` ask for.
pub(crate) fn scenario(args: &LoadArgs) -> Result<LoadScenario, Failure> {
    let targets = target::resolve_all(&args.targets, args.websocket, args.tls.tls)?;
    let mut messages = texts::messages(&args.messages)?;
    // What tcpkali paces and counts is all messages together. Answers that are whole WebSocket messages belong
    // to one each.
    let one_by_one = targets.websocket && (args.latency_echo || args.closed_loop);
    if args.like_tcpkali() && !one_by_one {
        texts::join(&mut messages.repeated, targets.websocket);
    }
    let (hold, duration) = lengths(args)?;
    let defaults = Defaults::of(args, hold);
    let repeat = repeat(args);
    let opens = !targets.addresses.is_empty() || args.own_server.is_some();
    let scenario = LoadScenario {
        own_server: args.own_server.map(Into::into),
        connections: if opens { args.connections } else { 0 },
        connect_rate: args.connect_rate.or(defaults.connect_rate),
        connect_timeout: args.connect_timeout.unwrap_or(defaults.connect_timeout),
        sources: args
            .source_ip
            .iter()
            .flat_map(|s| s.0.iter().copied())
            .collect(),
        reconnect: !args.no_reconnect,
        messages,
        repeat,
        in_flight: args.in_flight,
        traffic_after_ramp: args.after_ramp,
        hold,
        duration,
        workers: args.workers,
        engine: args.common.engine.into(),
        force: args.force,
        options: options(args, &targets, hold)?,
        targets: targets.addresses,
    };
    refuse_what_does_not_go_together(args, &scenario)?;
    Ok(scenario)
}

/// How long to hold, and how long the whole run may take. tcpkali's `-T` is the former.
fn lengths(args: &LoadArgs) -> Result<(Duration, Option<Duration>), Failure> {
    match (args.like_tcpkali(), args.hold, args.duration) {
        (false, hold, duration) => Ok((hold.unwrap_or(HOLD), duration)),
        (true, Some(_), Some(_)) => Err(Failure::usage(
            "--hold and --duration are the same with --output tcpkali: give one of them",
        )),
        (true, hold, duration) => Ok((hold.or(duration).unwrap_or(HOLD), None)),
    }
}

fn repeat(args: &LoadArgs) -> Repeat {
    match (&args.message_rate, args.closed_loop) {
        (Some(Speed::Fixed(rate)), _) => Repeat::Paced(*rate),
        (_, true) => Repeat::ClosedLoop,
        _ => Repeat::Flood,
    }
}

fn options(args: &LoadArgs, targets: &Targets, hold: Duration) -> Result<Options, Failure> {
    let unescape = args.messages.unescape;
    // A seed that is not given is drawn: the process's hasher has one from the system.
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let given_end = args.hold.or(args.duration).is_some();
    let rate = match (&args.rate, args.profile.as_deref()) {
        (Some(rate), _) => Some(RunRate::Constant(*rate)),
        (None, Some("-")) => Some(RunRate::Stdin),
        (None, Some(profile)) => {
            Some(RunRate::Profile(profile.parse::<Profile>().map_err(
                |e| Failure::usage(format!("--profile '{profile}': {e}")),
            )?))
        }
        (None, None) => None,
    };
    let marker = args.latency_marker.as_deref();
    let message_latency = match marker {
        Some(text) => Some(MessageLatency::Marker(texts::marker(
            "--latency-marker",
            text,
            unescape,
        )?)),
        None if args.message_marker => Some(MessageLatency::MessageMarker),
        None if args.latency_echo => Some(MessageLatency::Echo),
        None => None,
    };
    let headers = args.header.iter().filter(|h| !h.is_empty());
    let listening = match args.listen_port.as_slice() {
        [] => None,
        ports => Some(Listening {
            at: ports
                .iter()
                .map(|at| target::listen(at))
                .collect::<Result<_, _>>()?,
            mode: args.listen_mode.map(Into::into).unwrap_or_default(),
        }),
    };
    let accepts = listening.is_some();
    Ok(Options {
        targets: targets.given.clone(),
        messages: Messages::default(),
        rate: None,
        limits: Limits {
            upstream: args.channel_bandwidth_upstream,
            downstream: args.channel_bandwidth_downstream,
            delay_send: args.delay_send.unwrap_or_default(),
            lifetime: args.channel_lifetime,
            stop_at: args
                .message_stop
                .as_deref()
                .map(|text| texts::fixed("--message-stop", text, unescape))
                .transpose()?,
            write_each: args.write_combine == Some(Switch::Off),
        },
        whole_run: rate.map(|rate| WholeRun {
            rate,
            spacing: match args.arrivals {
                Some(ArrivalsArg::Poisson) => Spacing::Poisson { seed },
                Some(ArrivalsArg::Uniform) | None => Spacing::Uniform,
            },
        }),
        search: match &args.message_rate {
            Some(Speed::Under {
                latency,
                percentile,
                written,
            }) => Some(Search {
                under: *latency,
                percentile: *percentile,
                written: written.clone(),
                at_most: args.hold.or(args.duration),
            }),
            _ => None,
        },
        dns: args.dns.clone(),
        seed,
        latency: LatencyAsked {
            connect: args.latency_connect,
            first_byte: args.latency_first_byte,
            message: message_latency,
            skip: args.latency_marker_skip.unwrap_or(0),
            percentiles: args
                .latency_percentiles
                .iter()
                .flat_map(|list| list.0.iter().cloned())
                .collect(),
            log: args.latency_log.clone(),
            samples: args.samples.clone(),
        },
        socket: SocketOptions {
            // Messages in writes of their own are to leave as such.
            nagle: match args.nagle {
                None if args.write_combine == Some(Switch::Off) => Some(false),
                nagle => nagle.map(|switch| switch == Switch::On),
            },
            receive_buffer: args.rcvbuf,
            send_buffer: args.sndbuf,
        },
        websocket: targets
            .websocket
            .then(|| {
                let headers = headers
                    .map(|header| texts::header(header, unescape))
                    .collect::<Result<_, _>>()?;
                Ok::<_, Failure>(WebSocketAsked { headers })
            })
            .transpose()?,
        tls_client: targets.secure.then(|| TlsClient {
            ca: args.cacert.clone(),
            // tcpkali checks no certificates, and is used with such as nobody has signed.
            insecure: args.insecure || (args.like_tcpkali() && args.cacert.is_none()),
            alpn: args.tls.alpn.clone(),
            server_name: args.sni.clone(),
            resumption: args.resume,
        }),
        tls_server: (args.tls.tls && (accepts || args.own_server.is_some()))
            .then(|| server(&args.tls, args.own_server.is_some(), args.resume)),
        listening,
        ramp_limit: (args.like_tcpkali() && (given_end || !is_search(args)))
            .then_some(hold)
            .filter(|limit| !limit.is_zero()),
        dump: dump(&args.dump),
        verbosity: args
            .verbose
            .unwrap_or(1)
            .saturating_add(args.more_verbose)
            .min(3),
        statsd: statsd(&args.statsd),
        like_tcpkali: args.like_tcpkali(),
    })
}

fn is_search(args: &LoadArgs) -> bool {
    matches!(args.message_rate, Some(Speed::Under { .. }))
}

/// The side that accepts. If it is for this process alone, a certificate is made unless one is given.
pub(super) fn server(args: &TlsServerArgs, own: bool, resumption: bool) -> TlsServer {
    let or = |given: &Option<PathBuf>, usual: &str| given.clone().unwrap_or_else(|| usual.into());
    let given = args.ssl_cert.is_some() || args.ssl_key.is_some();
    let files = || (or(&args.ssl_cert, "cert.pem"), or(&args.ssl_key, "key.pem"));
    TlsServer {
        identity: (given || !own).then(files),
        alpn: args.alpn.clone(),
        resumption,
    }
}

fn dump(args: &DumpArgs) -> Dump {
    let whose = |all: bool, one: bool| match (all, one) {
        (true, _) => Whose::All,
        (false, true) => Whose::One,
        (false, false) => Whose::None,
    };
    Dump {
        received: whose(
            args.dump_all || args.dump_all_in,
            args.dump_one || args.dump_one_in,
        ),
        sent: whose(
            args.dump_all || args.dump_all_out,
            args.dump_one || args.dump_one_out,
        ),
    }
}

fn statsd(args: &StatsdArgs) -> Option<StatsdAsked> {
    args.statsd.then(|| StatsdAsked {
        host: args
            .statsd_host
            .clone()
            .unwrap_or_else(|| "localhost".into()),
        port: args.statsd_port.unwrap_or(STATSD_PORT),
        namespace: args
            .statsd_namespace
            .clone()
            .unwrap_or_else(|| STATSD_NAMESPACE.into()),
        latency_window: args.statsd_latency_window,
    })
}

/// Rules that a command line's grammar can't express.
fn refuse_what_does_not_go_together(
    args: &LoadArgs,
    scenario: &LoadScenario,
) -> Result<(), Failure> {
    let wrong = |line: String| Err(Failure::usage(line));
    let options = &scenario.options;
    let repeated = &scenario.messages.repeated;
    let sends = texts::says_something(repeated) || !options.dns.is_empty();
    if !sends {
        let needs_one = [
            (args.message_rate.is_some(), "--message-rate"),
            (args.closed_loop, "--closed-loop"),
            (args.rate.is_some(), "--rate"),
            (args.profile.is_some(), "--profile"),
            (args.latency_marker.is_some(), "--latency-marker"),
            (args.latency_echo, "--latency-echo"),
        ];
        if let Some((_, option)) = needs_one.iter().find(|(given, _)| *given) {
            return wrong(format!("{option} needs a message to send: add -m or -f"));
        }
    }
    if args.closed_loop && args.own_server == Some(Mode::Sink) {
        return wrong(
            "--closed-loop waits for echoes, and a sink sends none: write --self=echo".into(),
        );
    }
    if args.latency_marker.is_some() && scenario.connections == 0 {
        return wrong(
            "--latency-marker needs connections that are opened: add a target HOST:PORT".into(),
        );
    }
    let sends_markers = || repeated.iter().any(Message::has_marker);
    if options.search.is_some() && options.latency.message.is_none() && !sends_markers() {
        return wrong(
            "--message-rate @LATENCY needs a latency to go by: add --latency-marker, --message-marker or --latency-echo".into(),
        );
    }
    if let Some(Search {
        under,
        written,
        at_most: Some(run),
        ..
    }) = &options.search
        && Terms::shortest(*under) > *run
    {
        return wrong(format!(
            "--message-rate @{written} can't be searched for in {}, as each rate must be tried for longer than the \
             latency allowed: give it {} at least (--hold)",
            human(*run),
            human(Terms::shortest(*under))
        ));
    }
    let answered = options.latency.message.is_some() || sends_markers();
    if args.latency_marker_skip.is_some() && !answered && !args.as_tcpkali {
        return wrong("--latency-marker-skip passes over markers: add --latency-marker".into());
    }
    let round_trips = matches!(
        options.latency.message,
        Some(MessageLatency::Marker(_) | MessageLatency::Echo)
    );
    if args.samples.is_some() && !round_trips && options.dns.is_empty() && !args.closed_loop {
        return wrong(
            "--samples writes round trips: add --latency-marker, --latency-echo, --dns or --closed-loop"
                .into(),
        );
    }
    for path in [&args.samples, &args.latency_log].into_iter().flatten() {
        throng_report::file::can_write(path).map_err(|e| Failure::usage(e.to_string()))?;
    }
    // clap requires nothing of what conflicts with something else that is there.
    if args.listen_mode.is_some() && options.listening.is_none() {
        return wrong("--listen-mode is of accepted connections: add --listen-port".into());
    }
    if args.arrivals.is_some() && options.whole_run.is_none() {
        return wrong("--arrivals says how to spread --rate or --profile: add one of them".into());
    }
    if options.websocket.is_none() && !args.header.is_empty() {
        return wrong("--header is for WebSocket: add --websocket or a ws:// target".into());
    }
    refuse_half_of_tls(args, options)?;
    refuse_half_of_statsd(args, options, scenario.hold)?;
    refuse_what_cannot_be_opened_in_time(scenario)
}

fn refuse_half_of_tls(args: &LoadArgs, options: &Options) -> Result<(), Failure> {
    readable_identity(options.tls_server.as_ref())?;
    if let Some(ca) = &args.cacert {
        readable("--cacert", ca)?;
    }
    if options.tls_client.is_some() || options.tls_server.is_some() {
        return Ok(());
    }
    let of_tls = [
        (args.cacert.is_some(), "--cacert"),
        (args.insecure, "--insecure"),
        (args.sni.is_some(), "--sni"),
        (!args.tls.alpn.is_empty(), "--alpn"),
        (args.resume, "--resume"),
        // tcpkali takes these as said in advance.
        (
            args.tls.ssl_cert.is_some() && !args.as_tcpkali,
            "--ssl-cert",
        ),
        (args.tls.ssl_key.is_some() && !args.as_tcpkali, "--ssl-key"),
    ];
    match of_tls.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Failure::usage(format!(
            "{option} is for TLS: add --tls or a wss:// target"
        ))),
        None => Ok(()),
    }
}

/// Whether the files of a server's certificate can be read.
pub(super) fn readable_identity(server: Option<&TlsServer>) -> Result<(), Failure> {
    let Some((certificate, key)) = server.and_then(|s| s.identity.as_ref()) else {
        return Ok(());
    };
    readable("--ssl-cert", certificate)?;
    readable("--ssl-key", key)
}

/// Whether a file that the run needs later can be read.
fn readable(option: &str, path: &Path) -> Result<(), Failure> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure::usage(format!("{option} {}: {e}", path.display()))),
    }
}

/// What is too short for StatsD's clients to see: they gather for as long as this at least.
const SHORTEST_WINDOW: Duration = Duration::from_millis(500);

fn refuse_half_of_statsd(
    args: &LoadArgs,
    options: &Options,
    hold: Duration,
) -> Result<(), Failure> {
    let given = &args.statsd;
    if !given.statsd && !args.as_tcpkali {
        let of_statsd = [
            (given.statsd_host.is_some(), "--statsd-host"),
            (given.statsd_port.is_some(), "--statsd-port"),
            (given.statsd_namespace.is_some(), "--statsd-namespace"),
            (
                given.statsd_latency_window.is_some(),
                "--statsd-latency-window",
            ),
        ];
        if let Some((_, option)) = of_statsd.iter().find(|(given, _)| *given) {
            return Err(Failure::usage(format!("{option} needs --statsd")));
        }
    }
    match options.statsd.as_ref().and_then(|s| s.latency_window) {
        Some(window) if window < SHORTEST_WINDOW => Err(Failure::usage(
            "--statsd-latency-window must be 500ms at least",
        )),
        Some(window) if window > hold && options.search.is_none() => Err(Failure::usage(format!(
            "--statsd-latency-window of {} is longer than the {} that connections are held",
            human(window),
            human(hold)
        ))),
        _ => Ok(()),
    }
}

/// With a time for coming up and a rate it is known beforehand whether they can.
fn refuse_what_cannot_be_opened_in_time(scenario: &LoadScenario) -> Result<(), Failure> {
    let (Some(limit), Some(rate)) = (scenario.options.ramp_limit, scenario.connect_rate) else {
        return Ok(());
    };
    let needed = f64::from(scenario.connections) / rate.get();
    if needed <= limit.as_secs_f64() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} connections at {} a second take {}, and have {}: raise --connect-rate or --duration",
        throng_report::human::count(scenario.connections.into()),
        throng_report::human::short(rate.get()),
        throng_report::human::seconds(needed),
        human(limit)
    )))
}

fn human(span: Duration) -> String {
    throng_report::human::duration(span)
}
