//! `throng agent`: one of the machines of a fleet.

mod args;
#[cfg(feature = "fleet")]
mod station;

pub(crate) use args::Args;

use crate::files::token;
use crate::{Failure, ask, elsewhere, signals};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use throng_core::record::Record;
use throng_core::scenario::{LoadScenario, Scenario, file};
use throng_fleet::message::LOGGED;
use throng_fleet::{Allow, Limits, Serving, Streams, serve};
use throng_host::watched::Subject;
use throng_report::json::{self, Outcome};

/// Is an agent until its work is done. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let watch = args.watch.as_deref().map(Subject::find).transpose();
    let watch = watch.map_err(|e| Failure::usage(format!("--watch: {e}")))?;
    #[cfg(feature = "fleet")]
    let server = args.nats.server()?;
    #[cfg(feature = "fleet")]
    let is_at_server = server.is_some();
    #[cfg(not(feature = "fleet"))]
    let is_at_server = false;
    if args.stdio == is_at_server {
        return Err(Failure::usage(
            "where orders come from is missing, or named twice; write either --stdio or --nats URL",
        ));
    }
    if !args.keep.is_dir() {
        return Err(Failure::usage(format!(
            "--keep {}: there is no such directory; a result that no coordinator took is kept in it",
            args.keep.display()
        )));
    }
    let log = args.log.as_deref().map(Log::open).transpose()?;
    let stop = signals::stop()?;
    let tell = Arc::new(move |line: &str| {
        // Who read it may be gone, which is no reason to end.
        let _ = writeln!(io::stderr(), "{LOGGED}{line}");
        if let Some(log) = &log {
            log.write(line);
        }
    });
    let serving = Serving {
        limits: Limits {
            connections: args.max_connections,
            rate: args.max_rate.map(|rate| rate.get()),
            token: args.token_file.as_deref().map(token).transpose()?,
            alone: args.alone_for,
        },
        allow: match args.allow.is_empty() {
            true => Allow::loopback(),
            false => args.allow.clone(),
        },
        read: &read,
        elsewhere: &|| elsewhere::namespaces_of_agent(watch.as_ref()),
        watch: watch.clone(),
        keep: &|run, agent, record| tell(&kept(&args.keep, run, agent, record)),
        log: &*tell,
        tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
    };
    #[cfg(feature = "fleet")]
    if let Some(server) = server {
        return station::serve_all(args, &server, &serving, tell.clone(), &stop);
    }
    let streams = Streams::new(io::stdin(), io::stdout());
    serve(&serving, Box::new(streams), &stop)
        .map_err(|e| Failure::fault(format!("can't start a thread: {e}")))
}

/// Reads a coordinator's scenario, and looks up the names in it on this machine.
fn read(text: &str) -> Result<LoadScenario, String> {
    let no_files = |_: &str| {
        Err(io::Error::other(
            "a coordinator's scenario has its messages in it",
        ))
    };
    let scenario = file::read(text, "the coordinator's scenario", &[], &no_files);
    let Scenario::Load(mut scenario) = scenario.map_err(|e| e.to_string())? else {
        return Err("a fleet runs a load, and the scenario is of something else".into());
    };
    let line = |failure: Failure| failure.lines.join("; ");
    ask::file::check(scenario.files_mut()).map_err(line)?;
    ask::target::check_sockets(&scenario).map_err(line)?;
    ask::target::resolve_all(&mut scenario).map_err(line)?;
    Ok(*scenario)
}

/// Keeps the record that nobody took. Returns what is to be said about it.
fn kept(directory: &Path, run: &str, agent: &str, record: Record) -> String {
    // Both names are the coordinator's.
    let plain = |name: &str| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        name.chars()
            .map(|c| if is_plain(c) { c } else { '_' })
            .collect()
    };
    let path: PathBuf = directory.join(format!("throng-{}-{}.json", plain(run), plain(agent)));
    let mut bytes = Vec::new();
    let written = json::write_json(&Outcome::of(record), &mut bytes)
        .and_then(|()| throng_report::file::write_whole(&path, &bytes));
    match written {
        Ok(()) => format!(
            "its result is in {}: `throng merge` reads it",
            path.display()
        ),
        Err(e) => format!("its result is lost: {}: {e}", path.display()),
    }
}

/// A file to which each line is appended.
struct Log(Mutex<File>);

impl Log {
    fn open(path: &Path) -> Result<Log, Failure> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|e| Failure::usage(format!("--log {}: {e}", path.display())))?;
        Ok(Log(Mutex::new(file)))
    }

    fn write(&self, line: &str) {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.map_or(0.0, |d| d.as_secs_f64());
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that can't be written is no reason to end a run; stderr has the line, too.
        let _ = writeln!(file, "{seconds:.3} {line}");
    }
}
