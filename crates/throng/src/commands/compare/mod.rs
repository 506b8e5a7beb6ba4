//! `throng compare`: whether results differ, by how much, and how sure that is.

mod args;
mod draw;
mod groups;
mod interleave;
mod sweeps;

pub(crate) use args::Args;

use crate::files::{self, Named};
use crate::{Failure, command_line, results};
use args::Form;
use draw::{form, page, written};
use interleave::Interleaved;
use std::path::{Path, PathBuf};
use throng_core::expect::{Metric, Reading};
use throng_core::experiment::ChangePoints;
use throng_core::experiment::compare::{self, Comparison, Group};
use throng_report::compare::{
    ComparisonDocument, HistoryDocument, Material, SweptMaterial, write_comparison, write_csv,
    write_history,
};
use throng_report::{html, json};

/// The exit code after an interruption.
const INTERRUPTED: u8 = 130;

/// Compares the groups, or looks for steps in a history. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    args.check()?;
    let to = args.file().map(|path| Named::new("--output-file", path));
    let page = args.report.as_ref();
    let page = page.map(|path| Named::new("--report", path));
    let outputs: Vec<Named> = to.into_iter().chain(page).collect();
    let inputs = args
        .groups
        .iter()
        .chain(&args.floor)
        .filter(|path| path.is_file());
    let inputs: Vec<Named> = inputs
        .map(|path| Named::new("throng compare", path))
        .collect();
    files::check(&outputs, &inputs)?;
    if let Some(directory) = &args.history {
        return history(args, directory);
    }
    if let Some(page) = args.page() {
        return again(args, page);
    }
    match sweeps::all(&args.groups)? {
        true => sweeps::compared(args),
        false => comparison(args),
    }
}

fn comparison(args: &Args) -> Result<u8, Failure> {
    let measured = args.wanted();
    let keep = args.report.is_some();
    let read = |path: &PathBuf| groups::read(path, &measured, keep);
    let floor = args.floor.as_ref().map(read).transpose()?;
    let interleaved = Interleaved::of(
        &args.run,
        args.rounds,
        args.output_dir.as_deref(),
        args.quiet,
    )?;
    let (read, interrupted) = match args.run.is_empty() {
        true => (
            args.groups.iter().map(read).collect::<Result<_, _>>()?,
            false,
        ),
        false => interleaved.carry_out(&measured, keep)?,
    };
    let (groups, results): (Vec<Group>, _) = read.into_iter().map(|r| (r.group, r.results)).unzip();
    let (floor, of_floor) = floor.map(|floor| (floor.group, floor.results)).unzip();
    if let Some(floor) = &floor {
        is_of_its_own(floor, &groups)?;
    }
    let metrics = compare::chosen(&groups, &args.metric, args.of_conditions());
    if !interrupted {
        args.metric
            .iter()
            .try_for_each(|name| is_measured(name, &groups))?;
    }
    let mut comparison = compare::compare(groups, floor.as_ref(), &metrics, &args.fail_if);
    let notes = interleaved.described();
    comparison.notes.splice(0..0, notes.clone());
    if keep {
        let material = Material {
            groups: results,
            floor: of_floor,
            metrics: args.metric.clone(),
            conditions: args.fail_if.iter().map(ToString::to_string).collect(),
            notes,
            command: command_line::words(),
        };
        page(args, html::of_comparison(&material))?;
    }
    let failed = told(args, &comparison)?;
    Ok(if interrupted { INTERRUPTED } else { failed })
}

/// Makes the comparison again whose page this is, with the metrics and conditions that are asked for now, if any are.
fn again(args: &Args, path: &Path) -> Result<u8, Failure> {
    let shown = path.display();
    let bytes = results::bytes(path)?;
    if let Some(material) = SweptMaterial::read(&bytes) {
        return sweeps::again(args, path, material);
    }
    let mut material = Material::read(&bytes).ok_or_else(|| {
        Failure::usage(format!(
            "{shown}: a comparison needs two groups or more, and there is one, which is no page of a comparison (--report)"
        ))
    })?;
    if args.floor.is_some() {
        return Err(Failure::usage(format!(
            "--floor: {shown} has the groups of a comparison already"
        )));
    }
    if !args.metric.is_empty() {
        material.metrics = args.metric.clone();
    }
    if !args.fail_if.is_empty() {
        material.conditions = args.fail_if.iter().map(ToString::to_string).collect();
    }
    let comparison = material.compared();
    args.metric
        .iter()
        .try_for_each(|name| is_measured(name, &comparison.groups))?;
    if args.report.is_some() {
        page(args, html::of_comparison(&material))?;
    }
    told(args, &comparison)
}

/// Writes a comparison to where it is wanted. Returns the exit code of one that was not interrupted.
fn told(args: &Args, comparison: &Comparison) -> Result<u8, Failure> {
    let mut bytes = Vec::new();
    let drawn = match args.output {
        Form::Json => json::write_json(&ComparisonDocument::of(comparison), &mut bytes),
        Form::Text | Form::Csv => write_comparison(comparison, &mut bytes, &form(args)),
    };
    written(args, drawn, &bytes)?;
    Ok(u8::from(comparison.is_failed()))
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
