//! `throng plan`: shows what this machine can hold, and what N connections need.

mod args;

pub(crate) use args::Args;

use crate::Failure;
use crate::ask::target::resolve;
use crate::cli::DocumentForm;
use crate::files::{self, Named};
use crate::output;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use throng_core::capacity::{Question, Role, capacity};
use throng_core::host::Host;
use throng_host::survey::{Processes, Wanted};
use throng_report::{file, json, plan};

/// Makes the plan and prints it. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let named = |option, path: Option<&Path>| path.map(|p| Named::new(option, p)).into_iter();
    let outputs: Vec<Named> = named("--output-file", args.file()).collect();
    let inputs: Vec<Named> = named("--host", args.host.as_deref()).collect();
    files::check(&outputs, &inputs)?;
    let question = question(args)?;
    let host = match &args.host {
        Some(path) => read_host(path)?,
        None => throng_run::host(&Wanted {
            targets: question.targets.clone(),
            // The source addresses of proxies are on other machines.
            sources: match question.proxies {
                Some(_) => Vec::new(),
                None => question.sources.clone(),
            },
            processes: if args.survey {
                Processes::All
            } else {
                Processes::OfTargets
            },
            skip_self: true,
            tracking: true,
            serving: Vec::new(),
            opening: None,
        }),
    };
    let mut bytes = Vec::new();
    let to_people = args.output == DocumentForm::Text;
    if args.survey {
        json::write_json(&host, &mut bytes).map_err(cannot_draw)?;
        write(args, &bytes)?;
        return Ok(0);
    }
    let capacity = capacity(&question, &host);
    if to_people {
        let (columns, colour) = output::columns_and_colour(args.file());
        let here = args.host.is_none();
        plan::write_text(&capacity, here, &mut bytes, columns, colour).map_err(cannot_draw)?;
    } else {
        json::write_json(&capacity, &mut bytes).map_err(cannot_draw)?;
    }
    write(args, &bytes)?;
    Ok(u8::from(capacity.fits == Some(false)))
}

fn cannot_draw(e: io::Error) -> Failure {
    Failure::fault(format!("can't draw the plan: {e}"))
}

fn write(args: &Args, bytes: &[u8]) -> Result<(), Failure> {
    match args.file() {
        Some(path) => file::write_whole(path, bytes).map_err(|e| Failure::fault(e.to_string())),
        None => output::to_stdout(bytes),
    }
}

fn question(args: &Args) -> Result<Question, Failure> {
    let targets: Vec<SocketAddr> = args
        .target
        .iter()
        .map(|t| resolve(t))
        .collect::<Result<_, _>>()?;
    let role = match (args.role, targets.is_empty()) {
        (Some(role), _) => role.into(),
        (None, true) if args.proxies.is_none() => Role::Both,
        (None, _) => Role::Client,
    };
    let sources: Vec<_> = args
        .source_ip
        .iter()
        .flat_map(|range| range.addresses())
        .collect();
    let lacks_source = |t: &&SocketAddr| !sources.iter().any(|ip| ip.is_ipv4() == t.is_ipv4());
    if let Some(target) = targets
        .iter()
        .find(lacks_source)
        .filter(|_| !sources.is_empty())
    {
        return Err(Failure::usage(format!(
            "no --source-ip has the address family of target {target}: give a source address of each target's family"
        )));
    }
    if args.resume && role == Role::Server {
        return Err(Failure::usage(
            "--resume concerns clients: with --role server there are none here",
        ));
    }
    Ok(Question {
        connections: args.connections,
        targets,
        sources,
        engine: args.engine.into(),
        workers: args.workers,
        message_bytes: args.message_size,
        message_rate: args.message_rate,
        connect_rate: args.connect_rate,
        per_client: args.per_client,
        proxies: args.proxies,
        tls: args.tls,
        resume: args.resume,
        ..Question::of(role)
    })
}

/// A survey of another machine.
fn read_host(path: &Path) -> Result<Host, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!(
            "--host {}: {why}; make it there with: throng plan --survey > host.json",
            path.display()
        ))
    };
    let bytes = files::read(path).map_err(|e| wrong(e.to_string()))?;
    json::read_host(&bytes).map_err(|e| wrong(e.to_string()))
}
