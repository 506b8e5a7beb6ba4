//! From the options of `throng http` to a scenario, and to how its run is reported.

use super::args::Args;
use crate::Failure;
use crate::ask::load::{run_rate, set_options, targets};
use crate::ask::report::{Dump, ReportOptions, Whose};
use crate::ask::{losses, route};
use crate::cli::{Common, DocumentForm, OutputForm};
use crate::files::{self, Named};
use crate::outputs::{Output, keep_samples};
use crate::voice;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use throng_core::payload::{Message, Messages, ParseOptions, parse};
use throng_core::protocol::ProtocolKind;
use throng_core::scenario::{
    Connect, ConnectRate, Connections, Hold, LoadScenario, Measure, Objective, Pace, Search,
    Sending, SocketOptions, Target, TlsClient,
};
use throng_core::summary::LatencyReport;
use throng_report::http::Html;

/// How long requests are sent, unless a time or a number says otherwise.
const USUAL: Duration = Duration::from_secs(10);
/// Connections, unless a number says otherwise.
const CONNECTIONS: u32 = 10;
/// The same where the most new connections per second are looked for: so many are under way at a time.
const FOR_A_RATE: u32 = 256;
/// The bound of the time of answers there, unless --slo has another one.
const USUAL_BOUND: Duration = Duration::from_millis(50);
const USUAL_PERCENTILE: f64 = 99.0;
/// How long a request may take where nothing else ends the run, as ab's.
const TIMEOUT: &str = "30s";
/// The Content-Type of a body, as ab's.
const USUAL_TYPE: &str = "text/plain";
/// From this `-v` on, the traffic of one connection is printed.
const DUMPS: u8 = 4;

/// The scenario that `args` ask for. Host names are not resolved yet.
pub(super) fn scenario(args: &Args) -> Result<LoadScenario, Failure> {
    let finds_rate = finds_connect_rate(args)?;
    let searches = args.slo.is_some() || finds_rate;
    let connections = connections(args)?;
    let Through {
        targets,
        origin,
        tunnel,
    } = through(args)?;
    let messages = Messages {
        first: Vec::new(),
        // A file may be empty, and is then no message.
        repeated: body(args)?
            .into_iter()
            .filter(Message::says_something)
            .collect(),
    };
    let mut protocol = ProtocolKind::Http.by_default();
    set_options(&mut protocol, &args.options.0, false)?;
    let mut set = |option: &str, value: &str| {
        let set = protocol.set(option, value);
        set.map_err(|e| Failure::usage(format!("--{option}: {e}")))
    };
    if args.head {
        set("method", "HEAD")?;
    }
    let posts = args.post.is_some() || args.body.is_some();
    let has_body = posts || args.put.is_some();
    let of_body = match args.put.is_some() {
        true => Some("PUT"),
        // With a message, it is implied.
        false => (posts && messages.repeated.is_empty()).then_some("POST"),
    };
    if let (Some(method), false) = (of_body, args.gives("method")) {
        set("method", method)?;
    }
    if let Some(origin) = &origin {
        set("origin", origin)?;
    }
    if args.requests.is_some() && args.time.is_none() && !args.gives("timeout") {
        set("timeout", TIMEOUT)?;
    }
    if args.no_keep_alive || finds_rate {
        set("requests-per-connection", "1")?;
    }
    for field in fields(args, has_body, tunnel.is_some()) {
        set("header", &field)?;
    }
    // All that the run may take, as with other programs for HTTP: connecting is part of it. A search has it for itself.
    let usual = args.requests.is_none().then_some(USUAL);
    let time = args.time.or(usual);
    let connect = Connect {
        rate: match args.connect_rate {
            Some(ConnectRate::PerSecond(rate)) => Some(rate),
            Some(ConnectRate::Max(_)) | None => None,
        },
        timeout: args.connect_timeout.unwrap_or(Connect::default().timeout),
        source_ip: args.source_ip.clone(),
        resolve: route::resolve(&args.route),
        unix_socket: args.route.unix_socket.clone(),
        proxy_protocol: args.route.proxy_protocol.map(Into::into),
        proxy_source: args.route.proxy_source.clone(),
        tunnel_auth: match tunnel.is_some() {
            true => args
                .route
                .tunnel_auth
                .as_ref()
                .or(args.proxy_auth.as_ref())
                .cloned(),
            false => None,
        },
        tunnel,
        ..Connect::default()
    };
    let scenario = LoadScenario {
        targets,
        connections,
        hold: match time {
            Some(time) if searches || connections.is_max() => time.into(),
            _ => Hold::Forever,
        },
        // A search for the most connections takes its own time before.
        duration: time.filter(|_| !searches && !connections.is_max()),
        workers: args.workers,
        engine: args.engine.into(),
        force: args.force,
        drain: args.losses.drain,
        connect: losses::applied(&args.losses, connect),
        protocol,
        messages,
        pace: Pace {
            sending: sending(args)?,
            requests: args.requests,
            after_ramp: args.after_ramp,
            ..Pace::default()
        },
        measure: Measure {
            samples: keep_samples(&outputs(args)),
            ..Measure::default()
        },
        expect: args.expect.clone(),
        sockets: SocketOptions {
            receive_buffer: args.buffer,
            send_buffer: args.buffer,
            ..SocketOptions::default()
        },
        ..LoadScenario::default()
    };
    let mut scenario = scenario
        .settled()
        .map_err(|e| Failure::usage(e.to_string()))?;
    tls(args, &mut scenario)?;
    Ok(scenario)
}

/// Whether the most new connections per second are to be found: with a request on each, so that is the highest rate of requests.
fn finds_connect_rate(args: &Args) -> Result<bool, Failure> {
    match args.connect_rate {
        Some(ConnectRate::Max(None)) => {}
        Some(ConnectRate::Max(Some(_))) => {
            return Err(Failure::usage(
                "--connect-rate max:R: here the search is for requests, and ends where their answers are late: write max, and -t for the longest time to search",
            ));
        }
        Some(ConnectRate::PerSecond(_)) | None => return Ok(false),
    }
    let besides = [
        (args.requests.is_some(), "-n, which ends the run"),
        (args.rate.is_some(), "--rate"),
        (args.profile.is_some(), "--profile"),
        (args.keep_alive, "--keep-alive"),
        (
            args.gives("requests-per-connection"),
            "--requests-per-connection",
        ),
        (
            args.connections.is_some_and(|c| c.is_max()),
            "-c max or -c @..., which is a search of its own",
        ),
    ];
    match besides.iter().find(|(given, _)| *given) {
        Some((_, other)) => Err(Failure::usage(format!(
            "--connect-rate max finds the highest rate with a request a connection: leave out {other}"
        ))),
        None => Ok(true),
    }
}

/// How requests are paced.
fn sending(args: &Args) -> Result<Sending, Failure> {
    let rate = run_rate(args.rate, args.profile.as_deref())?;
    Ok(match (rate, &args.slo) {
        (Some(rate), _) => Sending::WholeRun {
            rate,
            arrivals: args.arrivals.map(Into::into).unwrap_or_default(),
        },
        (None, _) if args.arrivals.is_some() => {
            return Err(Failure::usage(
                "--arrivals is for --rate and --profile: add one of them",
            ));
        }
        (None, Some(Objective(search))) => Sending::Search(Search {
            at_most: args.time,
            ..search.clone()
        }),
        (None, None) if matches!(args.connect_rate, Some(ConnectRate::Max(_))) => {
            Sending::Search(Search {
                at_most: args.time,
                under: USUAL_BOUND,
                percentile: USUAL_PERCENTILE,
                written: "50ms".into(),
            })
        }
        (None, None) => Sending::ClosedLoop { in_flight: None },
    })
}

/// How many connections are opened: no more than there are requests.
fn connections(args: &Args) -> Result<Connections, Failure> {
    let most = args.requests.unwrap_or(u32::MAX);
    match args.connections {
        Some(Connections::Number(n)) if n > most => Err(Failure::usage(format!(
            "-n {most} is less than -c {n}: some connections would have nothing to send"
        ))),
        Some(connections) => Ok(connections),
        None if matches!(args.connect_rate, Some(ConnectRate::Max(_))) => Ok(FOR_A_RATE.into()),
        None => Ok(CONNECTIONS.min(most).into()),
    }
}

/// Where connections go.
struct Through {
    targets: Vec<Target>,
    /// The URL that is requested of the targets, which are proxies.
    origin: Option<String>,
    /// The proxy that opens tunnels to the targets.
    tunnel: Option<Target>,
}

/// Where connections go: a proxy is asked for `http://` URLs, and opens tunnels to servers of `https://` ones.
fn through(args: &Args) -> Result<Through, Failure> {
    if let Some(path) = args.urls.iter().find_map(|url| url.strip_prefix("unix:")) {
        return Err(Failure::usage(format!(
            "unix:{path} says where to connect to, not what to request: --unix-socket {path} http://localhost/"
        )));
    }
    let urls: Vec<String> = args.urls.iter().map(|url| with_scheme(url)).collect();
    let all = targets(&urls)?;
    let other = all.iter().zip(&urls).find(|(target, _)| {
        let scheme = target.spec.scheme.map(|scheme| scheme.name);
        !matches!(scheme, Some("http" | "https"))
    });
    if let Some((_, url)) = other {
        return Err(Failure::usage(format!(
            "{url} is no http:// or https:// URL: `throng load` opens other connections"
        )));
    }
    let Some(proxy) = &args.proxy else {
        return Ok(Through {
            targets: all,
            origin: None,
            tunnel: route::tunnel(args.route.tunnel.as_deref())?,
        });
    };
    match urls.as_slice() {
        [url] if url.starts_with("http://") => Ok(Through {
            targets: targets(&[with_scheme(proxy)])?,
            origin: Some(url.clone()),
            tunnel: None,
        }),
        urls if urls.iter().all(|url| url.starts_with("https://")) => Ok(Through {
            targets: all,
            origin: None,
            tunnel: route::tunnel(Some(proxy))?,
        }),
        _ => Err(Failure::usage(
            "-X is for one http:// URL, or for https:// ones; --tunnel carries any",
        )),
    }
}

/// A URL without a scheme is of HTTP.
fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
}

/// The body of requests. The bytes of a file are sent as they are; only a text on the command line may have expressions.
fn body(args: &Args) -> Result<Option<Message>, Failure> {
    let file = |option: &str, path: &Path| {
        let bytes = files::read(path);
        let bytes = bytes.map_err(|e| Failure::usage(format!("{option} {}: {e}", path.display())));
        bytes.map(|bytes| Some(Message::from(bytes)))
    };
    match (&args.post, &args.put, &args.body) {
        (Some(path), ..) => file("-p", path),
        (_, Some(path), _) => file("-u", path),
        (.., Some(text)) => {
            let options = ParseOptions {
                unescape: false,
                files: &|path| files::read(path),
            };
            let body = parse(text.as_bytes(), &options);
            body.map(Some)
                .map_err(|e| Failure::usage(format!("--body: {e}")))
        }
        (None, None, None) => Ok(None),
    }
}

/// Header fields that options of their own stand for.
fn fields(args: &Args, has_body: bool, tunnels: bool) -> Vec<String> {
    let mut all = Vec::new();
    let basic =
        |name: &str, both: &String| format!("{name}: Basic {}", BASE64_STANDARD.encode(both));
    all.extend(args.auth.iter().map(|both| basic("Authorization", both)));
    // In a tunnel, it is for the proxy alone.
    let proxy = args.proxy_auth.iter().filter(|_| !tunnels);
    all.extend(proxy.map(|both| basic("Proxy-Authorization", both)));
    if !args.cookie.is_empty() {
        all.push(format!("Cookie: {}", args.cookie.join("; ")));
    }
    match &args.content_type {
        Some(of) => all.push(format!("Content-Type: {of}")),
        None if has_body && !args.has_header("content-type") => {
            all.push(format!("Content-Type: {USUAL_TYPE}"));
        }
        None => {}
    }
    all
}

/// Applies the options of TLS to a scenario whose URLs ask for it.
fn tls(args: &Args, scenario: &mut LoadScenario) -> Result<(), Failure> {
    let given = [
        (args.cacert.is_some(), "--cacert"),
        (args.insecure, "--insecure"),
        (args.sni.is_some(), "--sni"),
        (args.resume, "--resume"),
    ];
    match (&mut scenario.tls, given.iter().find(|(given, _)| *given)) {
        (None, None) => Ok(()),
        (None, Some((_, option))) => Err(Failure::usage(format!(
            "{option} is for TLS: write an https:// URL"
        ))),
        (Some(tls), _) => {
            *tls = TlsClient {
                cacert: args.cacert.clone().map(Into::into),
                // ab, wrk and hey check no certificates.
                insecure: args.insecure || args.voice.is_some() && args.cacert.is_none(),
                sni: args.sni.clone(),
                resume: args.resume,
                ..TlsClient::default()
            };
            Ok(())
        }
    }
}

/// Where the run is reported besides its summary.
fn outputs(args: &Args) -> Vec<Rc<dyn Output>> {
    let (http, load, run) = (&args.of_http, &args.of_load, &args.outputs);
    [http.all(), load.all(), run.all()].concat()
}

/// How the run is reported.
pub(super) fn report(args: &Args) -> Result<ReportOptions, Failure> {
    let whose = match args.verbose >= DUMPS {
        true => Whose::One,
        false => Whose::None,
    };
    let outputs = outputs(args);
    outputs.iter().try_for_each(|o| o.check_options())?;
    Ok(ReportOptions {
        voice: match &args.voice {
            Some(voice) => Rc::clone(voice),
            None if args.html => Rc::new(voice::Table(args.table_style())),
            None => voice::of(false),
        },
        common: Common {
            output: match args.output {
                DocumentForm::Text => OutputForm::Text,
                DocumentForm::Json => OutputForm::Json,
            },
            output_file: args.output_file.clone(),
            quiet: args.quiet,
            more_verbose: 0,
            verbose: Some(args.verbose.min(DUMPS - 1)),
        },
        dump: Dump {
            received: whose,
            sent: whose,
        },
        latencies: LatencyReport::default(),
        outputs,
    })
}

/// The files that are read.
pub(super) fn inputs(args: &Args) -> Vec<Named> {
    let files = [("-p", &args.post), ("-u", &args.put)];
    let given = files.into_iter();
    given
        .filter_map(|(option, path)| Some(Named::new(option, path.as_ref()?)))
        .collect()
}

impl Args {
    /// Gives the option of HTTP with this long name this value, unless it was given.
    pub fn prefer(&mut self, long: &str, value: &str) {
        if let (false, Some(flag)) = (self.gives(long), ProtocolKind::Http.flag(long)) {
            self.options.0.given.push((flag, value.into()));
        }
    }

    /// The attributes of an HTML table.
    pub fn table_style(&self) -> Html {
        Html {
            table: self.table.clone(),
            tr: self.tr.clone(),
            td: self.td.clone(),
        }
    }

    /// Whether the option of HTTP with this long name was given.
    fn gives(&self, long: &str) -> bool {
        let mut given = self.options.0.given.iter();
        given.any(|(flag, _)| flag.long == long)
    }

    /// Whether a header of this name, in lower case, was given.
    fn has_header(&self, name: &str) -> bool {
        let mut given = self.options.0.given.iter();
        given.any(|(flag, value)| {
            let text = value.to_string_lossy().to_lowercase();
            let of = text.split_once(':').map(|(of, _)| of.trim().to_owned());
            flag.long == "header" && of.as_deref() == Some(name)
        })
    }
}
