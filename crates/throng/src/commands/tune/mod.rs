//! `throng tune`: checks, raises and restores the system limits for N connections.

mod args;

pub(crate) use args::Args;

use crate::Failure;
use crate::cli::DocumentForm;
use crate::output::to_stdout;
use args::OsArg;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use throng_core::tune::foreign::Foreign;
use throng_core::tune::{
    Action, Ask, Did, Extra, Kind, Now, Report, Role, Rule, Setting, VERSION, settings,
};
use throng_host::tuning::{self, Fault, Request, System, file_limits_of};
use throng_report::tune::samples::{Program, Sample};
use throng_report::{colour, json, page, tune};

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let ask = Ask {
        role: args.role.into(),
        connections: args.connections,
        ports: args.port.clone(),
        with: args.with.iter().copied().map(Extra::from).collect(),
    };
    if ask.with.contains(&Extra::Notrack) && ask.ports.is_empty() && !args.revert {
        return Err(Failure::usage(
            "--with notrack needs the ports to exempt from connection tracking: add --port P",
        ));
    }
    if let Some(pid) = args.pid
        && let Err(e) = file_limits_of(pid)
    {
        return Err(Failure::usage(format!(
            "can't read the file limit of process {pid}: {e}"
        )));
    }
    let system = System::at(&args.root);
    match args.os {
        Some(OsArg::Freebsd) => return print(&tune::foreign::script(Foreign::Freebsd, &ask)),
        Some(OsArg::Macos) => return print(&tune::foreign::script(Foreign::Macos, &ask)),
        Some(OsArg::Linux) | None => {}
    }
    if let Some(program) = args.sample {
        return print(&sample(program, ask)?);
    }
    if args.container_init {
        let settings = settings(&ask, &Now::unknown());
        return print(&tune::entrypoint::entrypoint(&ask, &settings));
    }
    if args.container {
        let memory = tuning::now(&system, None).memory;
        let now = Now {
            memory,
            ..Now::unknown()
        };
        return print(&tune::container::container(&ask, &settings(&ask, &now)));
    }
    if args.revert {
        return revert(args, &system);
    }
    let now = tuning::now(&system, args.pid);
    let found = settings(&ask, &now);
    if args.script || args.os.is_some() {
        let found = for_other_machines_too(&ask, now, found);
        let words: Vec<String> = std::env::args_os()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let command = format!("throng {}", words.join(" "));
        return print(&tune::script::script(&ask, &found, &command));
    }
    match args.apply {
        true => apply(args, &system, &ask, found),
        false => show(&Report::check(ask.role, ask.connections, found), args),
    }
}

/// The sample configuration of a program.
fn sample(program: Program, ask: Ask) -> Result<String, Failure> {
    if ask.role == Role::Client {
        return Err(Failure::usage(format!(
            "--for {} is about servers and proxies: write --role server or --role both",
            program.name()
        )));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(program.configuration(&Sample { ask, cores }))
}

/// The settings for a script. A value that is high enough here is replaced by what is needed: the script compares for
/// itself on the machine where it runs.
fn for_other_machines_too(ask: &Ask, now: Now, mut found: Vec<Setting>) -> Vec<Setting> {
    let unknown = Now {
        sysctls: BTreeMap::new(),
        ..now
    };
    let elsewhere = settings(ask, &unknown);
    for setting in &mut found {
        let same = elsewhere.iter().find(|s| s.name == setting.name);
        if let (Rule::AtLeast, Kind::Sysctl, Some(same)) = (setting.rule, setting.kind, same) {
            setting.wanted.clone_from(&same.wanted);
        }
    }
    found
}

fn apply(args: &Args, system: &System, ask: &Ask, found: Vec<Setting>) -> Result<u8, Failure> {
    let state_file = state_file(args, system)?;
    let request = Request {
        system,
        state_file: &state_file,
        settings: &found,
        persist: args.persist,
        pid: args.pid,
    };
    let done = tuning::apply(&request).map_err(fault)?;
    let report = Report {
        connections: Some(ask.connections),
        role: Some(ask.role),
        settings: found,
        ..done_report(Action::Apply, done)
    };
    show(&report, args)
}

fn revert(args: &Args, system: &System) -> Result<u8, Failure> {
    let state_file = state_file(args, system)?;
    let done = tuning::revert(system, &state_file, args.force).map_err(fault)?;
    show(&done_report(Action::Revert, done), args)
}

fn done_report(action: Action, (outcomes, state_file): tuning::Done) -> Report {
    Report {
        version: VERSION,
        action,
        role: None,
        connections: None,
        settings: Vec::new(),
        ok: !outcomes
            .iter()
            .any(|o| matches!(o.did, Did::Failed | Did::Foreign)),
        outcomes,
        state_file: state_file.map(|p| p.display().to_string()),
    }
}

fn state_file(args: &Args, system: &System) -> Result<PathBuf, Failure> {
    let chosen = args
        .state
        .clone()
        .or_else(|| tuning::default_state_file(system));
    chosen.ok_or_else(|| {
        Failure::usage(
            "there is no home directory for the state file: name a file with --state FILE",
        )
    })
}

fn fault(fault: Fault) -> Failure {
    match fault.nothing_changed() {
        true => Failure::usage(fault.to_string()),
        false => Failure::fault(fault.to_string()),
    }
}

fn show(report: &Report, args: &Args) -> Result<u8, Failure> {
    let mut bytes = Vec::new();
    let drawn = match args.output {
        DocumentForm::Text => {
            let colour = colour::wanted(&io::stdout());
            tune::write_text(report, &mut bytes, page::columns(), colour)
        }
        DocumentForm::Json => json::write_json(report, &mut bytes),
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the report: {e}")))?;
    to_stdout(&bytes)?;
    Ok(if report.ok { 0 } else { 1 })
}

fn print(text: &str) -> Result<u8, Failure> {
    to_stdout(text.as_bytes())?;
    Ok(0)
}
