//! `throng fleet manifest`: a fleet as manifests for Kubernetes, with the shares worked out.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use super::asked::check_load;
use crate::Failure;
use crate::cli::UNITS;
use crate::output::to_stdout;
use std::ffi::OsString;
use std::net::IpAddr;
use throng_core::human::count;
use throng_core::scenario::bounds;
use throng_core::target::{self, Port};
use throng_fleet::Allow;
use throng_report::manifest::{Fleet, PORTS};

/// Connections per agent, for each target, if nothing else is asked for: three quarters of a pod's ports.
const PER_AGENT: u64 = 50_000;
/// A name has to leave room for what objects are called besides.
const LONGEST_NAME: usize = 40;

const EXAMPLES: &str = "\
Examples:
  throng fleet manifest -c 10m 10.0.0.7:9000 > fleet.yaml
      As many agents as ten million connections to one target need.
  throng fleet manifest -c 1m --agents 40 10.0.0.7:9000 -- --hold 10m
      Forty agents; what follows -- are options of throng load.";

/// Print manifests for Kubernetes: agents, coordinator and NATS for N connections
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{UNITS}"))]
pub(crate) struct Args {
    /// Targets, used in turn: HOST:PORT or a URL
    #[arg(value_name = "HOST:PORT", required = true)]
    targets: Vec<String>,

    /// Connections in all
    #[arg(short, long, value_name = "N", required = true, value_parser = bounds::connections)]
    connections: u32,

    /// Pods that open them [default: as many as --per-agent needs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "per_agent")]
    agents: Option<u32>,

    /// Most connections of each pod [default: 50k for each target]
    #[arg(long, value_name = "C", value_parser = bounds::connections)]
    per_agent: Option<u32>,

    /// Targets that agents may load: ADDRESS[/LENGTH]:PORTS; repeatable [default: the targets, if all are addresses]
    #[arg(long, value_name = "TARGETS")]
    allow: Vec<Allow>,

    /// What the objects are called
    #[arg(long, value_name = "NAME", default_value = "throng", value_parser = label)]
    name: String,

    /// Image of throng
    #[arg(long, value_name = "IMAGE", default_value = "throng")]
    image: String,

    /// NATS server to use, nats:// or tls://HOST[:PORT], at which the user is throng [default: one of the manifests' own]
    #[arg(long, value_name = "URL", value_parser = server)]
    nats: Option<String>,

    /// Also have Prometheus's operator scrape the run (PodMonitor)
    #[arg(long)]
    pod_monitor: bool,

    /// Seccomp profile of the nodes that allows io_uring, below the kubelet's seccomp folder [default: the runtime's own]
    #[arg(long, value_name = "FILE")]
    seccomp_profile: Option<String>,

    /// Options of throng load
    #[arg(value_name = "OPTIONS", last = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Prints the manifests.
pub(super) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let connections = u64::from(args.connections);
    let most = PORTS * args.targets.len() as u64;
    let each = match args.per_agent {
        Some(n) => n.into(),
        None => PER_AGENT * args.targets.len() as u64,
    };
    let agents = args
        .agents
        .map_or_else(|| connections.div_ceil(each), u64::from);
    let fleet = Fleet {
        name: args.name.clone(),
        image: args.image.clone(),
        connections,
        agents,
        allow: allowed(args)?,
        load: [args.options.as_slice(), &args.targets].concat(),
        nats: args.nats.clone(),
        pod_monitor: args.pod_monitor,
        seccomp: args.seccomp_profile.clone(),
    };
    if agents > connections {
        return Err(Failure::usage(format!(
            "{} agents for {} connections: some would have none; write --agents {connections} or fewer",
            count(agents),
            count(connections)
        )));
    }
    if fleet.share() > most {
        return Err(Failure::usage(format!(
            "{} connections for an agent: a pod has one address, and so {} ports to each target; write --agents {} or more, or name \
             more targets",
            count(fleet.share()),
            count(PORTS),
            connections.div_ceil(most)
        )));
    }
    let load = ["load".into(), format!("--connections={connections}")];
    let words = load.iter().chain(&fleet.load).map(OsString::from);
    let words: Vec<OsString> = words.collect();
    check_load(
        &words,
        usize::try_from(agents).unwrap_or(usize::MAX),
        grammar,
    )?;
    to_stdout(fleet.manifests().as_bytes())?;
    Ok(0)
}

/// What agents may load: what was said, or the addresses that the targets are.
fn allowed(args: &Args) -> Result<Vec<String>, Failure> {
    let mut allowed: Vec<String> = args.allow.iter().map(Allow::to_string).collect();
    for text in &args.targets {
        let spec = target::parse(text)
            .map_err(|e| Failure::usage(format!("'{}': {e}", text.escape_debug())))?;
        if !args.allow.is_empty() {
            continue;
        }
        match (spec.host.parse::<IpAddr>(), &spec.port) {
            (Ok(ip), Port::Number(port)) => {
                allowed.push(Allow::from(std::net::SocketAddr::new(ip, *port)).to_string());
            }
            _ => {
                return Err(Failure::usage(format!(
                    "what agents may load is not known from '{}', whose address they look up: add --allow, such as --allow 10.0.0.0/8:9000",
                    text.escape_debug()
                )));
            }
        }
    }
    Ok(allowed)
}

/// A name as Kubernetes has them (RFC 1123), which begins with a letter.
fn label(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(is_plain);
    match fits {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "write up to {LONGEST_NAME} small letters, digits and hyphens, beginning with a letter"
        )),
    }
}

/// A server's URL without user and password, which are the manifests' own.
fn server(text: &str) -> Result<String, String> {
    let place = text
        .strip_prefix("nats://")
        .or_else(|| text.strip_prefix("tls://"));
    let is_plain = |place: &str| {
        !place.is_empty() && !place.contains(['@', '/', ' ', '"', '$']) && !place.starts_with(':')
    };
    match place {
        Some(place) if is_plain(place) => Ok(text.to_owned()),
        _ => Err("write nats://HOST:4222 or tls://HOST:4222, without a user".into()),
    }
}
