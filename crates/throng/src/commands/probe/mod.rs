//! `throng probe`: what stands between two machines.

mod args;

pub(crate) use args::Args;

use crate::files::{self, Named};
use crate::{Failure, ask, output, signals};
use args::What;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use throng_core::probe::Probed;
use throng_report::{file, json, probe, text};
use throng_run::{Stop, probe as run};

/// Probes a path, or is the far end of probes. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    if let Some((option, of)) = args.misplaced() {
        return Err(Failure::usage(format!(
            "{option} is for throng probe {of}: leave it out"
        )));
    }
    if let Some(at) = args.server {
        return serve(at, args);
    }
    let (Some(what), Some(target)) = (args.what, &args.target) else {
        return Err(Failure::usage(
            "nothing to probe: give what to find out and HOST:PORT, or --server PORT; see throng probe --help",
        ));
    };
    let outputs: Vec<Named> = args
        .file()
        .map(|path| Named::new("--output-file", path))
        .into_iter()
        .collect();
    files::check(&outputs, &[])?;
    let target = ask::target::resolve(target)?;
    let stop = signals::stop()?;
    let mut tell = |line: &str| {
        if !args.quiet {
            eprintln!("throng: {line}");
        }
    };
    match what {
        What::Path => told(
            args,
            &stop,
            run::path(target, random(), args.answer_within, &stop)?,
        ),
        What::Idle => {
            let asked = run::Idle {
                target,
                run: random(),
                up_to: args.up_to(),
                within: args.answer_within,
            };
            told(args, &stop, run::idle(&asked, &stop, &mut tell)?)
        }
        What::Table => {
            let asked = run::Table {
                target,
                run: random(),
                most: args.most(),
                rate: args.connect_rate(),
                within: args.answer_within,
            };
            told(args, &stop, run::table(&asked, &stop, &mut tell)?)
        }
        What::Rate => {
            let asked = run::FlowRate {
                target,
                run: random(),
                up_to: args.rate_up_to(),
                within: args.answer_within,
            };
            told(args, &stop, run::rate(&asked, &stop, &mut tell)?)
        }
    }
}

/// A random number: which run, or which server.
fn random() -> u64 {
    // The process's hasher has a seed from the system.
    RandomState::new().hash_one(0)
}

fn serve(at: SocketAddr, args: &Args) -> Result<u8, Failure> {
    let stop = signals::stop()?;
    run::serve(at, random(), &stop, |at| {
        if !args.quiet {
            eprintln!("throng: the far end of probes listens on {at}; Ctrl-C ends it");
        }
    })?;
    Ok(130)
}

/// Prints a result, or writes it to a file. Returns the exit code.
fn told<R: Probed>(args: &Args, stop: &Stop, result: Option<R>) -> Result<u8, Failure> {
    let Some(result) = result else {
        eprintln!("throng: interrupted before anything was measured");
        return Ok(130);
    };
    let mut bytes = Vec::new();
    let drawn = match args.is_json() {
        true => json::write_json(&result, &mut bytes),
        false => {
            let (columns, colour) = output::columns_and_colour(args.file());
            let whole = false;
            let form = text::Form {
                columns,
                colour,
                whole,
            };
            probe::write_text(&result, &mut bytes, &form)
        }
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the result: {e}")))?;
    match args.file() {
        Some(path) => file::write_whole(path, &bytes).map_err(|e| Failure::fault(e.to_string()))?,
        None => output::to_stdout(&bytes)?,
    }
    Ok(match (stop.is_requested(), result.outcome().measured) {
        (true, _) => 130,
        (false, measured) => u8::from(!measured),
    })
}
