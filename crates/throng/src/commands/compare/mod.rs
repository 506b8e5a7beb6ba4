//! `throng compare`: whether results differ, by how much, and how sure that is.

mod args;
mod groups;
mod interleave;

pub(crate) use args::Args;

use crate::files::{self, Named};
use crate::{Failure, output};
use args::Form;
use interleave::Interleaved;
use std::io;
use std::path::Path;
use throng_core::expect::{Metric, Reading};
use throng_core::experiment::ChangePoints;
use throng_core::experiment::compare::{self, Group};
use throng_report::compare::{
    ComparisonDocument, HistoryDocument, write_comparison, write_csv, write_history,
};
use throng_report::{file, json, text};

/// Compares the groups, or looks for steps in a history. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    args.check()?;
    let outputs: Vec<Named> = args
        .file()
        .map(|path| Named::new("--output-file", path))
        .into_iter()
        .collect();
    let inputs = args
        .groups
        .iter()
        .chain(&args.floor)
        .filter(|path| path.is_file());
    let inputs: Vec<Named> = inputs
        .map(|path| Named::new("throng compare", path))
        .collect();
    files::check(&outputs, &inputs)?;
    match &args.history {
        Some(directory) => history(args, directory),
        None => comparison(args),
    }
}

fn comparison(args: &Args) -> Result<u8, Failure> {
    let of_conditions = args.fail_if.iter().map(|condition| &condition.metric);
    let names: Vec<&String> = args.metric.iter().chain(of_conditions).collect();
    let measured = compare::wanted(names.iter().map(|name| name.as_str()));
    let floor = args
        .floor
        .as_deref()
        .map(|path| groups::read(path, &measured))
        .transpose()?;
    let interleaved = Interleaved::of(
        &args.run,
        args.rounds,
        args.output_dir.as_deref(),
        args.quiet,
    )?;
    let (groups, interrupted) = match args.run.is_empty() {
        true => {
            let groups = args.groups.iter().map(|path| groups::read(path, &measured));
            (groups.collect::<Result<Vec<Group>, Failure>>()?, false)
        }
        false => interleaved.carry_out(&measured)?,
    };
    if let Some(floor) = &floor {
        is_of_its_own(floor, &groups)?;
    }
    let mut metrics = match args.metric.is_empty() {
        true => compare::usual(&groups),
        false => Vec::new(),
    };
    for name in names {
        let metric = compare::named(name, &groups).filter(|metric| !metrics.contains(metric));
        metrics.extend(metric);
    }
    if !interrupted {
        args.metric
            .iter()
            .try_for_each(|name| is_measured(name, &groups))?;
    }
    let mut comparison = compare::compare(groups, floor.as_ref(), &metrics, &args.fail_if);
    comparison.notes.splice(0..0, interleaved.described());
    let mut bytes = Vec::new();
    let drawn = match args.output {
        Form::Json => json::write_json(&ComparisonDocument::of(&comparison), &mut bytes),
        Form::Text | Form::Csv => write_comparison(&comparison, &mut bytes, &form(args)),
    };
    written(args, drawn, &bytes)?;
    Ok(match (interrupted, comparison.is_failed()) {
        (true, _) => 130,
        (false, failed) => u8::from(failed),
    })
}

/// Refuses a floor that has a run of a group: their difference would count as that of the same thing at another time.
fn is_of_its_own(floor: &Group, groups: &[Group]) -> Result<(), Failure> {
    let shared = |group: &Group| Some((group.name.clone(), floor.in_common(group)?));
    match groups.iter().find_map(shared) {
        Some((group, round)) => Err(Failure::usage(format!(
            "--floor {}: {round} is a round of {group}, too: give rounds of the same thing as the first group, made at another time",
            floor.name
        ))),
        None => Ok(()),
    }
}

/// Refuses a metric that a group does not have.
fn is_measured(name: &str, groups: &[Group]) -> Result<(), Failure> {
    let Some(metric) = compare::named(name, groups) else {
        return Ok(());
    };
    let lacks = |group: &&Group| {
        group
            .rounds
            .iter()
            .all(|round| round.value(&metric).is_none())
    };
    let Some(group) = groups.iter().find(lacks) else {
        return Ok(());
    };
    let why = group
        .rounds
        .iter()
        .find_map(|round| match round.reading(&metric)? {
            Reading::Unknown(why) => Some(why.clone()),
            Reading::Known { .. } => None,
        });
    let why = why.unwrap_or_else(|| "it has no finished round".into());
    Err(Failure::usage(format!(
        "--metric {name}: {metric} is not known of {}: {why}",
        group.name
    )))
}

fn history(args: &Args, directory: &Path) -> Result<u8, Failure> {
    let names = args.metric.iter().map(String::as_str);
    let points = groups::history(directory, &compare::wanted(names))?;
    let metrics: Vec<Metric> = match args.metric.is_empty() {
        true => compare::usual(&points),
        false => args
            .metric
            .iter()
            .filter_map(|name| compare::named(name, &points))
            .collect(),
    };
    let history = compare::history(points, &metrics, &ChangePoints::default());
    let mut bytes = Vec::new();
    let drawn = match args.output {
        Form::Text => write_history(&history, &mut bytes, &form(args)),
        Form::Json => json::write_json(&HistoryDocument::of(&history), &mut bytes),
        Form::Csv => write_csv(&history, &mut bytes),
    };
    written(args, drawn, &bytes)?;
    Ok(0)
}

fn form(args: &Args) -> text::Form {
    let (columns, colour) = output::columns_and_colour(args.file());
    text::Form {
        columns,
        colour,
        whole: false,
    }
}

/// Writes what was drawn to where it is wanted.
fn written(args: &Args, drawn: io::Result<()>, bytes: &[u8]) -> Result<(), Failure> {
    drawn.map_err(|e| Failure::fault(format!("can't draw the comparison: {e}")))?;
    match args.file() {
        Some(path) => file::write_whole(path, bytes).map_err(|e| Failure::fault(e.to_string())),
        None => output::to_stdout(bytes),
    }
}
