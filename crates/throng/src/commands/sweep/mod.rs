//! `throng sweep`: repeats a run over one or two variables. Each trial is a process of its own, and is on disk before the next
//! one begins.

mod args;
mod asked;
mod conduct;
mod directory;
mod live;
mod processes;
mod progress;
mod under_test;

pub(crate) use args::Args;

use crate::live_page::Place;
use crate::{Failure, command_line, files, output, signals};
use args::Form;
use clap::FromArgMatches;
use conduct::{Conduct, End};
use directory::Directory;
use live::{Live, so_far};
use processes::Processes;
use progress::Progress;
use std::ffi::OsString;
use std::path::Path;
use throng_core::experiment::sweep::{Plan, Sets, SweepResult};
use throng_host::own_network;
use throng_report::human;
use throng_report::json::write_json;
use throng_report::{file, html, sweep};

/// The exit code after an interruption.
const INTERRUPTED: u8 = 130;

/// Makes the trials that are missing, and prints the result. Returns the exit code.
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let args = &with_file(args, grammar)?;
    let to = args.output_file.as_ref();
    let to = to.filter(|path| !files::is_stdout(path));
    let to = to.map(|path| files::Named::new("--output-file", path));
    let page = args.report.as_ref();
    let page = page.map(|path| files::Named::new("--report", path));
    files::check(&to.into_iter().chain(page).collect::<Vec<_>>(), &[])?;
    let program = command_line::program()?;
    // In the network where the user is.
    let place = args.web.as_ref().map(Place::take).transpose()?;
    let (directory, plan) = match &args.resume {
        Some(path) => {
            let (directory, plan) = Directory::open(path)?;
            enter(&plan)?;
            (directory, plan)
        }
        None => {
            let plan = asked::plan(args, &program, grammar)?;
            enter(&plan)?;
            (Directory::create(args.output_dir.as_deref())?, plan)
        }
    };
    let stop = signals::stop()?;
    if args.resume.is_none() {
        directory.begin(&plan)?;
    }
    directory.prepare(&plan)?;
    let finished = directory.finished(&plan)?;
    let mut progress = Progress::new(args.quiet, plan.trials(), finished.len());
    progress.say(&said(&plan, &directory, finished.len()));
    let processes = Processes::new(program, &stop);
    let live = Live::begin(place, || so_far(&plan, &finished))?;
    let mut conduct = Conduct {
        plan: &plan,
        directory: &directory,
        processes: &processes,
        progress: &mut progress,
        live: &live,
        finished,
    };
    let end = conduct.carry_out();
    let result = so_far(&plan, &conduct.finished);
    let written = directory.write_result(&result);
    live.end(&result);
    if let End::Failed(failure) = end {
        let failure = resumable(failure, &result, &directory);
        // What is finished is worth a table. The failure is what is told last, also if that can't be drawn.
        if result.finished() > 0 {
            let _ = reported(&result, args);
        }
        return Err(failure);
    }
    written?;
    reported(&result, args)?;
    match end {
        End::Complete => Ok(result.exit_code()),
        _ => {
            progress.warn(&format!(
                "interrupted: {}; `throng sweep --resume {}` goes on",
                kept(&result),
                directory.path().display()
            ));
            Ok(INTERRUPTED)
        }
    }
}

/// Enters a network namespace if sysctls vary, and tries each of their values, so that no sweep begins that can't be carried out. It has
/// to be before any thread is started, since a thread stays in the namespace that it is in.
fn enter(plan: &Plan) -> Result<(), Failure> {
    if !plan.needs_namespace() {
        return Ok(());
    }
    own_network::enter().map_err(Failure::usage)?;
    let sysctls = plan.variables.iter().filter(|v| v.sets == Sets::Sysctl);
    for sysctl in sysctls {
        for value in &sysctl.values {
            own_network::set(&sysctl.name, value)
                .map_err(|e| Failure::usage(format!("--vary {e}")))?;
        }
    }
    Ok(())
}

/// The arguments with those in the file's section `[sweep]`, if there is a file. Those on the command line win.
fn with_file(args: &Args, grammar: &clap::Command) -> Result<Args, Failure> {
    let Some(file) = &args.file else {
        return Ok(args.clone());
    };
    let given = std::env::args_os()
        .skip(1)
        .skip_while(|word| word != "sweep")
        .skip(1);
    let words = ["throng".into(), "sweep".into()]
        .into_iter()
        .chain(asked::words_of(file, args, grammar)?)
        .chain(given);
    let read = parsed(grammar, words.collect());
    read.map_err(|e| {
        let text = e.to_string();
        let line = text.lines().next().unwrap_or_default();
        Failure::usage(format!(
            "{}: {}",
            file.display(),
            line.trim_start_matches("error: ")
        ))
    })
}

fn parsed(grammar: &clap::Command, words: Vec<OsString>) -> Result<Args, clap::Error> {
    let grammar = grammar
        .clone()
        .mut_subcommand("sweep", |sweep| sweep.args_override_self(true));
    let matches = grammar.try_get_matches_from(words)?;
    match matches.subcommand() {
        Some((_, matches)) => Args::from_arg_matches(matches),
        None => Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand)),
    }
}

/// What is about to be done.
fn said(plan: &Plan, directory: &Directory, finished: usize) -> String {
    let goes_on = match finished {
        0 => String::new(),
        1 => ", of which 1 is finished".to_owned(),
        n => format!(", of which {} are finished", human::count(n as u64)),
    };
    if let Some(terms) = &plan.find {
        let searches = match plan.searches() {
            1 => "a search".into(),
            n => format!("{} searches", human::count(n as u64)),
        };
        return format!(
            "{searches} for {} between {} and {}; results in {}",
            plan.variables
                .first()
                .map(|v| v.name.as_str())
                .unwrap_or_default(),
            human::count(terms.low.into()),
            human::count(terms.high.into()),
            directory.path().display()
        );
    }
    format!(
        "{} of {}{goes_on}; seed {}; results in {}",
        human::things(plan.trials() as u64, "trial"),
        human::things(plan.points() as u64, "point"),
        plan.seed,
        directory.path().display()
    )
}

/// A failure that ended a sweep, and how to go on.
fn resumable(mut failure: Failure, result: &SweepResult, directory: &Directory) -> Failure {
    let says = failure.lines.iter().any(|line| line.contains("--resume"));
    if let Some(line) = failure.lines.last_mut().filter(|_| !says) {
        *line += &format!(
            "; {}, and `throng sweep --resume {}` goes on",
            kept(result),
            directory.path().display()
        );
    }
    failure
}

/// Prints the result, and writes its page. Neither keeps the other from being written.
fn reported(result: &SweepResult, args: &Args) -> Result<(), Failure> {
    let page = args.report.as_ref();
    let page = page.map_or(Ok(()), |path| {
        write(path, html::of_sweep(result).as_bytes())
    });
    print(result, args)?;
    page
}

/// How many trials are finished.
fn kept(result: &SweepResult) -> String {
    let finished = result.finished() as u64;
    if finished == 0 {
        return "no trial is finished".into();
    }
    let all = match result.plan.find {
        Some(_) => human::things(finished, "trial"),
        None => format!(
            "{} of {}",
            human::count(finished),
            human::things(result.plan.trials() as u64, "trial")
        ),
    };
    format!(
        "{all} {} finished and kept",
        if finished == 1 { "is" } else { "are" }
    )
}

fn print(result: &SweepResult, args: &Args) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let file = args
        .output_file
        .as_deref()
        .filter(|path| !files::is_stdout(path));
    let (columns, colour) = output::columns_and_colour(file);
    let drawn = match args.output {
        Form::Text => sweep::write_text(result, &mut bytes, columns, colour),
        Form::Json => write_json(result, &mut bytes),
        Form::Csv => sweep::write_csv(result, &mut bytes),
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the result: {e}")))?;
    match file {
        Some(path) => write(path, &bytes),
        None => output::to_stdout(&bytes),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    file::write_whole(path, bytes).map_err(|e| Failure::fault(e.to_string()))
}
