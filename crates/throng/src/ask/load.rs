//! The scenario of a `throng load`: builds each part from its arguments, then refuses options that have no effect.

use super::losses;
use super::route;
use super::sockets;
use super::target;
use super::texts;
use crate::Failure;
use crate::cli::{LoadArgs, ProtocolArgs, Switch, TlsServerArgs, guess};
use crate::outputs::keep_samples;
use crate::voice;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::pacing::{Profile, ReconnectPolicy};
use throng_core::payload::{Framing, Message};
use throng_core::protocol::{Answers, Flag, Protocol, ProtocolKind, Takes};
use throng_core::scenario::{
    Allow, Connect, ConnectRate, Connections, Counted, FastOpen, Hold, Listening, LoadScenario,
    Measure, MessageLatency, MessageRate, Pace, RunRate, Search, Sending, SteadyFrom, Target,
    TlsClient, TlsServer, Writes,
};
use throng_core::shard::Shard;
use throng_core::units::Rate;

/// Connections per second that tcpkali opens by default.
const USUAL_RATE: f64 = 100.0;

/// How long a connection waits until it is opened again with tcpkali's defaults: the same each time.
const TCPKALI_REOPENS_AFTER: Duration = Duration::from_millis(200);

/// The scenario that `args` ask for. Host names are not resolved yet.
pub(crate) fn scenario(args: &LoadArgs) -> Result<LoadScenario, Failure> {
    let default = LoadScenario::default();
    let (hold, duration) = lengths(args, default.hold)?;
    let mut messages = texts::messages(&args.messages)?;
    if args.like_tcpkali() {
        // tcpkali takes empty messages, and sends nothing.
        messages.first.retain(Message::says_something);
        messages.repeated.retain(Message::says_something);
    }
    let measure = measure(args, &messages.repeated)?;
    let targets = targets(&args.targets)?;
    let kind = kind_of(args)?.or_else(|| implied_kind(&targets));
    let scenario = LoadScenario {
        targets,
        own_server: args.own_server.map(|mode| mode.server),
        connections: connections(args),
        hold,
        duration,
        workers: args.workers,
        engine: args.engine.into(),
        force: args.force,
        seed: args.seed,
        drain: args.losses.drain,
        connect: connect(args, hold)?,
        protocol: protocol(args, kind.unwrap_or_default())?,
        messages,
        pace: pace(args)?,
        measure,
        allow: Allow {
            lost: args.allow_lost.unwrap_or_default(),
            unanswered: args.allow_unanswered.unwrap_or_default(),
        },
        expect: args.expect.clone(),
        // tcpkali leaves Nagle's algorithm on, except for messages in writes of their own, which it would join.
        sockets: sockets::options(
            &args.sockets,
            args.like_tcpkali() && args.write_combine != Some(Switch::Off),
        ),
        tls: args.tls.tls.then(|| tls_client(args)),
        listen: listen(args)?,
        tls_server: tls_server(args)?,
        shard: Shard::WHOLE,
    };
    let scenario = scenario
        .settled()
        .map_err(|e| Failure::usage(e.to_string()))?;
    let scenario = implied_by_targets(args, scenario)?;
    refuse_what_has_no_effect(args, &scenario)?;
    Ok(scenario)
}

/// The protocol that options ask for, or the mode of the own server.
fn kind_of(args: &LoadArgs) -> Result<Option<ProtocolKind>, Failure> {
    let own = args
        .own_server
        .and_then(|mode| Some((mode.name, mode.protocol?)));
    match (args.protocol.kind(), own) {
        (Some(asked), Some((name, implied))) if asked != implied => Err(Failure::usage(format!(
            "--self={name} speaks {}: leave out the option for {}",
            implied.name(),
            asked.name()
        ))),
        (asked, own) => Ok(asked.or(own.map(|(_, implied)| implied))),
    }
}

/// How long to hold, and the limit for the whole run. tcpkali's `-T` is the former.
fn lengths(args: &LoadArgs, usual: Hold) -> Result<(Hold, Option<Duration>), Failure> {
    // A number of messages ends a run by itself.
    let usual = match args.requests {
        Some(_) => Hold::Forever,
        None => usual,
    };
    match (args.like_tcpkali(), args.hold, args.duration) {
        // Without a hold of its own it is what the limit leaves.
        (false, None, Some(limit)) => {
            let hold = match usual {
                Hold::For(usual) => usual.min(limit).into(),
                Hold::Forever => usual,
            };
            Ok((hold, Some(limit)))
        }
        (false, hold, duration) => Ok((hold.unwrap_or(usual), duration)),
        (true, Some(_), Some(_)) => Err(Failure::usage(
            "--hold and --duration are the same with --output tcpkali: give one of them",
        )),
        (true, hold, duration) => {
            let given = hold.or(duration.map(Hold::For));
            Ok((given.unwrap_or(usual), None))
        }
    }
}

/// tcpkali ignores its number without a target.
fn connections(args: &LoadArgs) -> Connections {
    match args.as_tcpkali && args.targets.is_empty() && args.own_server.is_none() {
        true => Connections::Number(args.connections.most().min(1)),
        false => args.connections,
    }
}

/// The targets with these texts.
pub(crate) fn targets(texts: &[String]) -> Result<Vec<Target>, Failure> {
    let target = |text: &String| Target::try_from(text.clone());
    texts
        .iter()
        .map(|text| {
            target(text).map_err(|e| {
                let instead = guess::target(text).unwrap_or_else(|| e.to_string());
                Failure::usage(instead)
            })
        })
        .collect()
}

/// The protocol that the schemes of all targets imply.
fn implied_kind(targets: &[Target]) -> Option<ProtocolKind> {
    let of = |target: &Target| Some(Protocol::of_scheme(target.spec.scheme?.name)?.0.kind());
    let first = of(targets.first()?);
    let alike = targets.iter().all(|target| of(target) == first);
    first.filter(|_| alike)
}

fn connect(args: &LoadArgs, hold: Hold) -> Result<Connect, Failure> {
    let default = match args.like_tcpkali() {
        false => Connect::default(),
        true => tcpkali_connects(args, hold),
    };
    let connect = Connect {
        rate: match args.connect_rate {
            Some(ConnectRate::PerSecond(rate)) => Some(rate),
            Some(ConnectRate::Max(most)) => most,
            None => default.rate,
        },
        find_rate: matches!(args.connect_rate, Some(ConnectRate::Max(_))),
        timeout: args.connect_timeout.unwrap_or(default.timeout),
        source_ip: args.source_ip.clone(),
        fastopen: args.fastopen.map(FastOpen::from),
        resolve: route::resolve(&args.route),
        unix_socket: args.route.unix_socket.clone(),
        proxy_protocol: args.route.proxy_protocol.map(Into::into),
        proxy_source: args.route.proxy_source.clone(),
        tunnel: route::tunnel(args.route.tunnel.as_deref())?,
        tunnel_auth: args.route.tunnel_auth.clone(),
        find_window: args.find_window,
        lifetime: args.channel_lifetime,
        exchanges_per_connection: args.exchanges_per_connection,
        await_close: args.await_close,
        ..default
    };
    Ok(losses::applied(&args.losses, connect))
}

/// tcpkali's defaults for connecting: 100 per second, and all must be established within `-T`. tcpkali gives up if that
/// rate is too low; here the rate is raised so that it takes half that time.
fn tcpkali_connects(args: &LoadArgs, hold: Hold) -> Connect {
    let hold = hold.length();
    let needed = hold.map_or(0.0, |hold| {
        f64::from(args.connections.most()) / hold.as_secs_f64()
    });
    let rate = match needed > USUAL_RATE {
        true => 2.0 * needed,
        false => USUAL_RATE,
    };
    let searches = matches!(args.message_rate, Some(MessageRate::Under(_)));
    let given_end = args.hold.is_some() || args.duration.is_some();
    Connect {
        rate: Rate::per_second(rate),
        timeout: Duration::from_secs(1),
        reconnect_policy: ReconnectPolicy::Fixed(TCPKALI_REOPENS_AFTER),
        within: (given_end || !searches)
            .then_some(hold)
            .flatten()
            .filter(|limit| !limit.is_zero()),
        ..Connect::default()
    }
}

/// What is asked of this protocol.
fn protocol(args: &LoadArgs, kind: ProtocolKind) -> Result<Protocol, Failure> {
    let mut protocol = kind.by_default();
    voice::of(args.like_tcpkali()).defaults(&mut protocol);
    set_options(&mut protocol, &args.protocol, args.messages.unescape)?;
    Ok(protocol)
}

/// Sets the options that `protocol` has among `args`.
pub(crate) fn set_options(
    protocol: &mut Protocol,
    args: &ProtocolArgs,
    unescape: bool,
) -> Result<(), Failure> {
    let kind = protocol.kind();
    given_once(args)?;
    let given = args.given.iter();
    for (flag, value) in given.filter(|(flag, _)| kind.flag(flag.long).is_some()) {
        if let Takes::File(_) = flag.takes {
            texts::with_file(value, |file| protocol.read_file(file))
                .map_err(|e| Failure::usage(format!("--{}: {e}", flag.long)))?;
        } else if let Some(value) = value_of(flag, value, unescape)? {
            let set = protocol.set(flag.long, &value);
            set.map_err(|e| Failure::usage(format!("--{}: {e}", flag.long)))?;
        }
    }
    Ok(())
}

/// Refuses an option of one value that was given two, also by its letter and its name.
fn given_once(args: &ProtocolArgs) -> Result<(), Failure> {
    let of_one = |flag: &Flag| matches!(flag.takes, Takes::Value(_)) && !flag.is_repeatable();
    let all = args.given.iter().filter(|(flag, _)| of_one(flag));
    for (n, (flag, value)) in all.clone().enumerate() {
        let mut before = all.clone().take(n);
        if let Some((_, other)) = before.find(|(known, other)| known == flag && other != value) {
            return Err(Failure::usage(format!(
                "--{}: {} and {} contradict each other: keep one of them",
                flag.long,
                other.to_string_lossy().escape_debug(),
                value.to_string_lossy().escape_debug()
            )));
        }
    }
    Ok(())
}

/// The value of an option as the protocol reads it. An empty text says nothing.
fn value_of(flag: &Flag, value: &OsStr, unescape: bool) -> Result<Option<String>, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::usage(format!("--{}: {e}", flag.long));
    match flag.takes {
        Takes::Text(_) | Takes::Template(_) if value.is_empty() => Ok(None),
        Takes::Template(_) => {
            texts::template(&format!("--{}", flag.long), value, unescape).map(Some)
        }
        Takes::Text(_) => {
            let text = texts::fixed(&format!("--{}", flag.long), value, unescape)?;
            String::from_utf8(text).map(Some).map_err(|e| wrong(&e))
        }
        Takes::Value(_) | Takes::File(_) | Takes::Nothing => {
            Ok(Some(value.to_string_lossy().into_owned()))
        }
    }
}

fn pace(args: &LoadArgs) -> Result<Pace, Failure> {
    Ok(Pace {
        sending: sending(args)?,
        requests: args.requests,
        downstream: args.channel_bandwidth_downstream,
        delay: args.delay_send.unwrap_or_default(),
        after_ramp: args.after_ramp,
        writes: match (args.write_combine, args.like_tcpkali()) {
            (Some(Switch::Off), true) => Writes::Packets,
            (Some(Switch::Off), false) => Writes::Single,
            (Some(Switch::On) | None, _) => Writes::Combined,
        },
    })
}

/// How messages are paced. The command line's grammar allows only one of these options.
fn sending(args: &LoadArgs) -> Result<Sending, Failure> {
    if let Some(rate) = run_rate(args.rate, args.profile.as_deref())? {
        let arrivals = args.arrivals.map(Into::into).unwrap_or_default();
        return Ok(Sending::WholeRun { rate, arrivals });
    }
    let in_flight = args.in_flight;
    Ok(
        match (&args.message_rate, args.channel_bandwidth_upstream) {
            (Some(MessageRate::Fixed(rate)), _) => Sending::PerConnection(*rate),
            (Some(MessageRate::Under(search)), _) => Sending::Search(Search {
                at_most: args.hold.map_or(args.duration, Hold::length),
                ..search.clone()
            }),
            (None, Some(bandwidth)) => Sending::Bandwidth(bandwidth),
            (None, None) if args.closed_loop => Sending::ClosedLoop { in_flight },
            // Messages that wait for answers would fill all buffers between here and the server, and the wait there would
            // be measured. tcpkali does that.
            (None, None) if asks_for_answers(args) && !args.like_tcpkali() => {
                Sending::ClosedLoop { in_flight: None }
            }
            (None, None) => Sending::Flood,
        },
    )
}

/// Whether answers are matched with messages.
fn asks_for_answers(args: &LoadArgs) -> bool {
    let by_protocol = args
        .protocol
        .kind()
        .is_some_and(|kind| kind.answers().always());
    by_protocol || args.latency_marker.is_some() || args.latency_echo
}

/// The rate of the whole run: constant, or a profile.
pub(crate) fn run_rate(
    rate: Option<Rate>,
    profile: Option<&str>,
) -> Result<Option<RunRate>, Failure> {
    Ok(match (rate, profile) {
        (Some(rate), _) => Some(RunRate::Constant(rate)),
        (None, Some("-")) => Some(RunRate::Stdin),
        (None, Some(text)) => match text.parse::<Profile>() {
            Ok(profile) => Some(RunRate::Profile(profile)),
            Err(e) => return Err(Failure::usage(format!("--profile '{text}': {e}"))),
        },
        (None, None) => None,
    })
}

fn measure(args: &LoadArgs, repeated: &[Message]) -> Result<Measure, Failure> {
    let unescape = args.messages.unescape;
    let message = match args.latency_marker.as_deref() {
        Some(text) => {
            let marker = texts::marker("--latency-marker", text, unescape)?;
            Some(MessageLatency::Marker(marker))
        }
        None if args.message_marker => Some(MessageLatency::MessageMarker),
        None if args.latency_echo => Some(MessageLatency::Echo),
        None => None,
    };
    let answered = message.is_some() || repeated.iter().any(Message::has_marker);
    let (counted, steady_from) = match args.like_tcpkali() {
        false => (Counted::All, SteadyFrom::Established),
        true => (Counted::Found, SteadyFrom::Begun),
    };
    let stop = args.message_stop.as_deref();
    Ok(Measure {
        message,
        // tcpkali accepts this option without a marker.
        skip: match args.latency_marker_skip {
            Some(skip) if answered || !args.as_tcpkali => skip,
            _ => 0,
        },
        first_byte: args.latency_first_byte,
        samples: keep_samples(&args.shown.of_load.all()),
        stop_at: stop
            .map(|text| texts::fixed("--message-stop", text, unescape))
            .transpose()?,
        counted,
        steady_from,
    })
}

fn listen(args: &LoadArgs) -> Result<Option<Listening>, Failure> {
    let on = target::listen_on(&args.listen_port)?;
    Ok((!on.is_empty()).then(|| Listening {
        on,
        mode: args.listen_mode.map(Into::into).unwrap_or_default(),
    }))
}

fn tls_client(args: &LoadArgs) -> TlsClient {
    TlsClient {
        cacert: args.cacert.clone().map(Into::into),
        // tcpkali verifies no certificates, and its users rely on that for self-signed ones.
        insecure: args.insecure || (args.like_tcpkali() && args.cacert.is_none()),
        alpn: args.tls.alpn.clone(),
        sni: args.sni.clone(),
        resume: args.resume,
    }
}

fn tls_server(args: &LoadArgs) -> Result<Option<TlsServer>, Failure> {
    let own = args.own_server.is_some();
    let accepts = own || !args.listen_port.is_empty();
    let speaks = args.tls.tls && accepts;
    speaks
        .then(|| server(&args.tls, own, args.resume))
        .transpose()
}

/// TLS of the accepting side. A server of throng's own (`own`) makes a certificate for the run unless one is given.
pub(crate) fn server(
    args: &TlsServerArgs,
    own: bool,
    resumption: bool,
) -> Result<TlsServer, Failure> {
    let or = |given: &Option<PathBuf>, usual: &str| {
        let path = given.clone().unwrap_or_else(|| usual.into());
        path.into()
    };
    let key = Path::new("key.pem");
    if let (Some(cert), None) = (&args.ssl_cert, &args.ssl_key)
        && cert.exists()
        && !key.exists()
    {
        return Err(Failure::usage(format!(
            "--ssl-cert {} needs --ssl-key FILE, its private key (there is no {}, the default)",
            cert.display(),
            key.display()
        )));
    }
    let given = args.ssl_cert.is_some() || args.ssl_key.is_some();
    let files = || (or(&args.ssl_cert, "cert.pem"), or(&args.ssl_key, "key.pem"));
    Ok(TlsServer {
        identity: (given || !own).then(files),
        alpn: args.alpn.clone(),
        resumption,
    })
}

/// Applies the options to the protocols that the targets imply. tcpkali paces and counts all messages together as one,
/// in which each still has a frame of its own where the protocol has frames.
fn implied_by_targets(
    args: &LoadArgs,
    mut scenario: LoadScenario,
) -> Result<LoadScenario, Failure> {
    let kind = scenario.protocol.kind();
    scenario.protocol = protocol(args, kind)?;
    if let Some(tls) = &mut scenario.tls {
        *tls = tls_client(args);
    }
    // Each answer that is a whole message of the protocol belongs to one message.
    let one_by_one = kind.answers() == Answers::Messages && (args.latency_echo || args.closed_loop);
    if args.like_tcpkali() && !one_by_one {
        let framed = kind.framing()[0] != Framing::Raw;
        texts::join(&mut scenario.messages.repeated, framed);
    }
    Ok(scenario)
}

/// Refuses options that concern something that was not asked for.
fn refuse_what_has_no_effect(args: &LoadArgs, scenario: &LoadScenario) -> Result<(), Failure> {
    let wrong = |line: &str| Err(Failure::usage(line));
    // clap does not apply `requires` if a conflicting option is present.
    if args.listen_mode.is_some() && scenario.listen.is_none() {
        return wrong("--listen-mode is for accepted connections: add --listen-port");
    }
    if args.arrivals.is_some() && scenario.pace.sending.run_rate().is_none() {
        return wrong("--arrivals is for --rate and --profile: add one of them");
    }
    if args.allow_unanswered.is_some() {
        // Also 0, which is the default: whoever writes it believes that answers are looked for.
        let looks = scenario.looks_for_answers();
        looks.map_err(|e| Failure::usage(e.to_string()))?;
    }
    let kind = scenario.protocol.kind();
    let mut given = args.protocol.given.iter();
    if let Some((flag, _)) = given.find(|(flag, _)| kind.flag(flag.long).is_none()) {
        return wrong(&of_another_protocol(flag));
    }
    if scenario.tls.is_some() || scenario.tls_server.is_some() {
        return Ok(());
    }
    let of_tls = [
        (args.cacert.is_some(), "--cacert"),
        (args.insecure, "--insecure"),
        (args.sni.is_some(), "--sni"),
        (!args.tls.alpn.is_empty(), "--alpn"),
        (args.resume, "--resume"),
        // tcpkali accepts these without --ssl.
        (
            args.tls.ssl_cert.is_some() && !args.as_tcpkali,
            "--ssl-cert",
        ),
        (args.tls.ssl_key.is_some() && !args.as_tcpkali, "--ssl-key"),
    ];
    match of_tls.iter().find(|(given, _)| *given) {
        Some((_, option)) => wrong(&format!(
            "{option} is for TLS: add --tls or a wss:// target"
        )),
        None => Ok(()),
    }
}

/// An option of a protocol that is not spoken.
fn of_another_protocol(flag: &Flag) -> String {
    let kinds = ProtocolKind::ALL.iter().copied();
    let kinds: Vec<ProtocolKind> = kinds
        .filter(|kind| kind.flag(flag.long).is_some())
        .collect();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let flags = kinds
        .iter()
        .flat_map(|kind| kind.flags())
        .filter(|flag| flag.asks);
    let schemes = kinds.iter().filter_map(|kind| kind.schemes().first());
    let ways: Vec<String> = flags
        .map(|flag| format!("--{}", flag.long))
        .chain(schemes.map(|scheme| format!("a {}:// target", scheme.name)))
        .collect();
    format!(
        "--{} is for {}: add {}",
        flag.long,
        names.join(" and "),
        ways.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_one_line_with_a_name() {
        let flag = ProtocolKind::Websocket.flag("header").unwrap();
        for (text, unescape, good) in [
            ("Origin: http://a", false, true),
            ("X-Empty:", false, true),
            ("X-Tab: a\\tb", true, true),
            ("", false, true),
            ("Origin", false, false),
            (": x", false, false),
            ("A b: x", false, false),
            ("A: x\r\nB: y", false, false),
            ("A: x\\r\\nB: y", true, false),
            ("A: \\{connection.uid}", false, false),
        ] {
            let mut protocol = ProtocolKind::Websocket.by_default();
            let value = value_of(&flag, OsStr::new(text), unescape);
            let header = value.is_ok_and(|value| {
                value.is_none_or(|value| protocol.set(flag.long, &value).is_ok())
            });
            assert_eq!(header, good, "{text:?}");
        }
    }
}
