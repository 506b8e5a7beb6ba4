//! Compares sweeps, point by point.

use super::args::{Args, Form};
use super::draw::{form, page, written};
use super::groups;
use crate::{Failure, command_line, results};
use std::path::{Path, PathBuf};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{self, Apart, ByPoint, Group, Round, Swept};
use throng_report::compare::{
    ByPointDocument, SweptMaterial, SweptResults, TrialResult, write_by_point,
};
use throng_report::{html, json};

/// The file of a directory that has the result of a sweep.
const RESULT: &str = "result.json";

/// Whether these are sweeps: all of them, or none.
pub(super) fn all(paths: &[PathBuf]) -> Result<bool, Failure> {
    let (sweeps, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        paths.iter().partition(|path| is_sweep(path));
    match (sweeps.first(), others.first()) {
        (Some(sweep), Some(other)) => Err(Failure::usage(format!(
            "{} is a sweep and {} is not: a sweep is compared with sweeps",
            sweep.display(),
            other.display()
        ))),
        (sweep, _) => Ok(sweep.is_some()),
    }
}

fn is_sweep(path: &Path) -> bool {
    match path.is_dir() {
        true => results::is_of_sweep(path),
        false => path.is_file() && results::sweep(path).is_some(),
    }
}

/// Compares the sweeps. Returns the exit code.
pub(super) fn compared(args: &Args) -> Result<u8, Failure> {
    let measured = args.wanted();
    let keep = args.report.is_some();
    let sweeps = args.groups.iter().map(|path| swept(path, &measured, keep));
    let sweeps: Vec<(Swept, SweptResults)> = sweeps.collect::<Result<_, _>>()?;
    let floor = match &args.floor {
        Some(path) if !is_sweep(path) => {
            return Err(Failure::usage(format!(
                "--floor {}: it is no sweep, and sweeps are compared",
                path.display()
            )));
        }
        Some(path) => Some(swept(path, &measured, keep)?),
        None => None,
    };
    let (sweeps, results): (Vec<Swept>, Vec<SweptResults>) = sweeps.into_iter().unzip();
    let (floor, of_floor) = floor.unzip();
    let plan = &results[0].result.plan;
    let usual = [plan.metric.to_string(), "p99".to_owned()];
    let names = match args.metric.is_empty() {
        true => usual.to_vec(),
        false => args.metric.clone(),
    };
    if keep {
        let material = SweptMaterial {
            sweeps: results,
            floor: of_floor,
            metrics: names,
            conditions: args.fail_if.iter().map(ToString::to_string).collect(),
            command: command_line::words(),
        };
        return told(args, &material);
    }
    let groups = sweeps.iter().flat_map(|sweep| &sweep.points);
    let groups: Vec<Group> = groups.map(|(_, group)| group.clone()).collect();
    let metrics = compare::chosen(&groups, &names, args.of_conditions());
    let found =
        compare::by_point(sweeps, floor.as_ref(), &metrics, &args.fail_if).map_err(apart)?;
    drawn(args, &found)
}

/// Makes the comparison again whose page this is, with the metrics and conditions that are asked for now, if any are.
pub(super) fn again(args: &Args, page: &Path, mut material: SweptMaterial) -> Result<u8, Failure> {
    if args.floor.is_some() {
        return Err(Failure::usage(format!(
            "--floor: {} has the sweeps of a comparison already",
            page.display()
        )));
    }
    if !args.metric.is_empty() {
        material.metrics = args.metric.clone();
    }
    if !args.fail_if.is_empty() {
        material.conditions = args.fail_if.iter().map(ToString::to_string).collect();
    }
    told(args, &material)
}

/// Writes a comparison, and its page if that is wanted. Returns the exit code.
fn told(args: &Args, material: &SweptMaterial) -> Result<u8, Failure> {
    if args.report.is_some() {
        page(args, html::of_sweeps(material).map_err(apart)?)?;
    }
    drawn(args, &material.compared().map_err(apart)?)
}

fn apart(e: Apart) -> Failure {
    Failure::usage(e.to_string())
}

fn drawn(args: &Args, found: &ByPoint) -> Result<u8, Failure> {
    let mut bytes = Vec::new();
    let drawn = match args.output {
        Form::Json => json::write_json(&ByPointDocument::of(found), &mut bytes),
        Form::Text | Form::Csv => write_by_point(found, &mut bytes, &form(args)),
    };
    written(args, drawn, &bytes)?;
    Ok(u8::from(found.is_failed()))
}

/// The sweep at `path`, its directory or its result, with what its trials measured of `metrics`; and with their results, if these
/// are to be kept.
fn swept(path: &Path, metrics: &[Metric], keep: bool) -> Result<(Swept, SweptResults), Failure> {
    let shown = path.display().to_string();
    let refused = |why: &str| Failure::usage(format!("{shown}: {why}"));
    let (directory, file) = match path.is_dir() {
        true => (path, path.join(RESULT)),
        false => (path.parent().unwrap_or(Path::new("")), path.to_owned()),
    };
    if path.is_dir() && !file.exists() {
        return Err(refused(&format!(
            "the sweep has no {RESULT} yet: `throng sweep --resume {shown}` goes on with it"
        )));
    }
    let Some(result) = results::sweep(&file) else {
        return Err(refused(
            "its result can't be read, or is of another version",
        ));
    };
    if result.plan.find.is_some() {
        return Err(refused(
            "a search tries other values each time, so it has no points to compare; sweeps with --vary have",
        ));
    }
    let name = shown.trim_end_matches('/');
    let mut trials = Vec::new();
    let swept = Swept::of(name, &result, |trial| {
        let file = directory.join(&trial.file);
        let record = groups::record(&file)?;
        let name = file.display().to_string();
        let round = Round::of(&name, &record, metrics);
        if keep {
            trials.push(TrialResult {
                file: trial.file.clone(),
                name,
                record,
            });
        }
        Ok::<Round, Failure>(round)
    })?;
    let name = name.to_owned();
    Ok((
        swept,
        SweptResults {
            name,
            result,
            trials,
        },
    ))
}
