//! A comparison and a history as JSON. docs/compare.md describes the fields.

use serde::Serialize;
use throng_core::experiment::Side;
use throng_core::experiment::compare::{self, ByPoint, Comparison, History, Size, Values, Verdict};

/// The version of these forms. It grows when a field changes its meaning or goes.
const VERSION: u32 = 1;
/// What wrote it.
const TOOL: &str = concat!("throng ", env!("CARGO_PKG_VERSION"));

/// A comparison.
#[derive(Debug, Serialize)]
pub struct ComparisonDocument {
    version: u32,
    tool: &'static str,
    differs: bool,
    failed: bool,
    confidence: f64,
    tests: usize,
    groups: Vec<GroupOf>,
    environment: Vec<Differing>,
    notes: Vec<String>,
    compared: Vec<Compared>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Serialize)]
struct GroupOf {
    name: String,
    rounds: Vec<String>,
    left_out: Vec<String>,
}

impl GroupOf {
    fn of(group: &compare::Group) -> GroupOf {
        GroupOf {
            name: group.name.clone(),
            rounds: group
                .rounds
                .iter()
                .map(|round| round.name.clone())
                .collect(),
            left_out: group.left_out.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Differing {
    name: String,
    values: Vec<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Compared {
    metric: String,
    unit: &'static str,
    better: throng_core::expect::Better,
    group: usize,
    first: ValuesOf,
    second: ValuesOf,
    shift: Option<ShiftOf>,
    floor: Option<f64>,
    p: f64,
    p_adjusted: f64,
    verdict: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct ValuesOf {
    median: f64,
    min: f64,
    max: f64,
    mad: f64,
    at_least: usize,
    rounds: Vec<f64>,
}

impl ValuesOf {
    fn of(values: &Values) -> ValuesOf {
        ValuesOf {
            median: values.median,
            min: values.spread.min,
            max: values.spread.max,
            mad: values.spread.mad,
            at_least: values.at_least,
            rounds: values.rounds.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ShiftOf {
    relative: bool,
    estimate: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl ShiftOf {
    fn of(size: &Size) -> ShiftOf {
        let shift = size.shift();
        ShiftOf {
            relative: matches!(size, Size::Relative(_)),
            estimate: shift.estimate,
            low: shift.interval.map(|interval| interval.0),
            high: shift.interval.map(|interval| interval.1),
        }
    }
}

#[derive(Debug, Serialize)]
struct Condition {
    condition: String,
    group: usize,
    result: &'static str,
}

impl Compared {
    /// What was found of a metric, among so many `tests`.
    fn of(c: &compare::Compared, tests: usize) -> Compared {
        Compared {
            metric: c.metric.to_string(),
            unit: c.metric.unit().name(),
            better: c.metric.better(),
            group: c.group,
            first: ValuesOf::of(&c.first),
            second: ValuesOf::of(&c.second),
            shift: c.size.as_ref().map(ShiftOf::of),
            floor: c.floor,
            p: c.p,
            p_adjusted: c.p_adjusted,
            verdict: c.verdict.name(),
            text: c.sentence(tests),
        }
    }

    fn all(comparison: &Comparison) -> Vec<Compared> {
        let compared = comparison.compared.iter();
        compared
            .map(|c| Compared::of(c, comparison.tests))
            .collect()
    }
}

impl Condition {
    fn all(comparison: &Comparison) -> Vec<Condition> {
        let judged = comparison.judged.iter();
        judged
            .map(|(condition, group, judged)| Condition {
                condition: condition.to_string(),
                group: *group,
                result: judged.name(),
            })
            .collect()
    }
}

impl Differing {
    fn all(differing: &[compare::Differing]) -> Vec<Differing> {
        let of = |differing: &compare::Differing| Differing {
            name: differing.name.clone(),
            values: differing.values.clone(),
        };
        differing.iter().map(of).collect()
    }
}

impl ComparisonDocument {
    /// The document of `comparison`.
    pub fn of(comparison: &Comparison) -> ComparisonDocument {
        ComparisonDocument {
            version: VERSION,
            tool: TOOL,
            differs: comparison.compared.iter().any(|c| c.verdict.differs()),
            failed: comparison.is_failed(),
            confidence: compare::CONFIDENCE,
            tests: comparison.tests,
            groups: comparison.groups.iter().map(GroupOf::of).collect(),
            environment: Differing::all(&comparison.differing),
            notes: comparison.notes.clone(),
            compared: Compared::all(comparison),
            conditions: Condition::all(comparison),
        }
    }
}

/// A comparison of sweeps.
#[derive(Debug, Serialize)]
pub struct ByPointDocument {
    version: u32,
    tool: &'static str,
    differs: bool,
    failed: bool,
    confidence: f64,
    tests: usize,
    sweeps: Vec<String>,
    variables: Vec<String>,
    environment: Vec<Differing>,
    notes: Vec<String>,
    overall: Vec<Overall>,
    points: Vec<AtPoint>,
}

#[derive(Debug, Serialize)]
struct Overall {
    metric: String,
    unit: &'static str,
    better: throng_core::expect::Better,
    group: usize,
    points: usize,
    shift: ShiftOf,
    floor: Option<f64>,
    p: f64,
    p_adjusted: f64,
    verdict: &'static str,
    text: String,
}

impl Overall {
    fn of(o: &compare::Overall) -> Overall {
        Overall {
            metric: o.metric.to_string(),
            unit: o.metric.unit().name(),
            better: o.metric.better(),
            group: o.sweep,
            points: o.points,
            shift: ShiftOf::of(&o.size),
            floor: o.floor,
            p: o.p,
            p_adjusted: o.p_adjusted,
            verdict: o.verdict.name(),
            text: o.sentence(),
        }
    }
}

#[derive(Debug, Serialize)]
struct AtPoint {
    values: Vec<String>,
    groups: Vec<GroupOf>,
    notes: Vec<String>,
    compared: Vec<Compared>,
    conditions: Vec<Condition>,
}

impl ByPointDocument {
    /// The document of `found`.
    pub fn of(found: &ByPoint) -> ByPointDocument {
        let points = found.points.iter().map(|point| AtPoint {
            values: point.values.clone(),
            groups: point.comparison.groups.iter().map(GroupOf::of).collect(),
            notes: point.comparison.notes.clone(),
            compared: Compared::all(&point.comparison),
            conditions: Condition::all(&point.comparison),
        });
        ByPointDocument {
            version: VERSION,
            tool: TOOL,
            differs: found.verdicts().any(Verdict::differs),
            failed: found.is_failed(),
            confidence: compare::CONFIDENCE,
            tests: found.tests,
            sweeps: found.sweeps.clone(),
            variables: found.variables.clone(),
            environment: Differing::all(&found.differing),
            notes: found.notes.clone(),
            overall: found.overall.iter().map(Overall::of).collect(),
            points: points.collect(),
        }
    }
}

/// A history.
#[derive(Debug, Serialize)]
pub struct HistoryDocument {
    version: u32,
    tool: &'static str,
    points: Vec<Point>,
    notes: Vec<String>,
    series: Vec<Series>,
}

#[derive(Debug, Serialize)]
struct Point {
    name: String,
    started_unix_s: f64,
    rounds: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Series {
    metric: String,
    unit: &'static str,
    better: throng_core::expect::Better,
    values: Vec<Option<f64>>,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    point: usize,
    name: String,
    before: SideOf,
    after: SideOf,
    change: f64,
    p: f64,
    verdict: &'static str,
}

#[derive(Debug, Serialize)]
struct SideOf {
    count: usize,
    mean: f64,
    deviation: f64,
}

impl SideOf {
    fn of(side: &Side) -> SideOf {
        SideOf {
            count: side.count,
            mean: side.mean,
            deviation: side.deviation,
        }
    }
}

impl HistoryDocument {
    /// The document of `history`.
    pub fn of(history: &History) -> HistoryDocument {
        let points = history.points.iter().map(|point| Point {
            name: point.name.clone(),
            started_unix_s: point.started_unix_s(),
            rounds: point
                .rounds
                .iter()
                .map(|round| round.name.clone())
                .collect(),
        });
        let step = |step: &compare::Step| Step {
            point: step.point,
            name: history.points[step.point].name.clone(),
            before: SideOf::of(&step.change.before),
            after: SideOf::of(&step.change.after),
            change: step.change.change(),
            p: step.change.p,
            verdict: step.verdict.name(),
        };
        let series = history.series.iter().map(|series| Series {
            metric: series.metric.to_string(),
            unit: series.metric.unit().name(),
            better: series.metric.better(),
            values: series.values.clone(),
            steps: series.steps.iter().map(step).collect(),
        });
        HistoryDocument {
            version: VERSION,
            tool: TOOL,
            points: points.collect(),
            notes: history.notes.clone(),
            series: series.collect(),
        }
    }
}
