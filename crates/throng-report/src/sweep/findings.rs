//! What the curves of a sweep show: how far the objective holds, where throughput is highest, where it bends, and what law it
//! follows.

use super::amount;
use crate::human;
use std::collections::BTreeMap;
use throng_core::experiment::sweep::{
    Along, Curve, Estimate, Plan, Scalability, Searched, SweepResult,
};

/// The findings of one curve.
pub(super) struct Section {
    pub title: String,
    pub lines: Vec<String>,
}

/// A section for each curve.
pub(super) fn of(result: &SweepResult) -> Vec<Section> {
    let curves = result.curves.iter();
    curves.map(|curve| section(&result.plan, curve)).collect()
}

/// Where throughput is highest along each curve, a line each.
pub(crate) fn best(result: &SweepResult) -> Vec<String> {
    let plan = &result.plan;
    let best = result.curves.iter().filter_map(|curve| {
        let highest = highest(plan, curve)?;
        Some(match others(curve) {
            others if others.is_empty() => highest,
            others => format!("{others}: {highest}"),
        })
    });
    best.collect()
}

/// What the points of a curve have in common; empty if nothing else varies.
fn others(curve: &Curve) -> String {
    let others = curve.others.iter();
    let others: Vec<String> = others
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    others.join(", ")
}

fn highest(plan: &Plan, curve: &Curve) -> Option<String> {
    let maximum = curve.maximum.as_ref()?;
    Some(format!(
        "Highest {}: {} at {}{}",
        plan.metric,
        rate(plan, maximum.throughput),
        at(curve, maximum),
        p99(maximum)
    ))
}

fn section(plan: &Plan, curve: &Curve) -> Section {
    let title = match others(curve) {
        others if others.is_empty() => format!("Along {}", curve.load),
        others => format!("Along {}, at {others}", curve.load),
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(objective(plan, curve));
    lines.extend(highest(plan, curve));
    if let Some(knee) = &curve.knee {
        lines.push(format!(
            "Knee (Kneedle): {} at {}{}",
            rate(plan, knee.throughput),
            at(curve, knee),
            p99(knee)
        ));
        let caution = curve.knee_caution.iter();
        lines.extend(caution.map(|caution| format!("But {caution}")));
    }
    if let Some(law) = &curve.scalability {
        lines.extend(scalability(plan, curve, law));
    }
    if let Some(why) = &curve.why_no_fit {
        lines.push(format!("Universal Scalability Law: no fit: {why}"));
    }
    Section { title, lines }
}

/// What a sweep of searches has found, in a sentence; where there are several, how many of them are over.
pub(super) fn found(result: &SweepResult) -> String {
    match result.searches.as_slice() {
        [] => of_search(
            result,
            &Searched {
                others: BTreeMap::new(),
                found: result.found,
            },
        ),
        [only] => of_search(result, only),
        several => {
            let over = several.iter().filter(|search| search.found.is_some());
            let searches = format!("{} searches", human::count(several.len() as u64));
            let trials = human::things(result.finished() as u64, "trial");
            match over.count() {
                n if n == several.len() => format!("{searches} ({trials})"),
                n => format!("Not complete: {n} of {searches} ({trials})"),
            }
        }
    }
}

/// What each of several searches has found, a line each.
pub(super) fn each_found(result: &SweepResult) -> Vec<String> {
    let several = result.searches.iter().filter(|_| result.searches.len() > 1);
    several
        .map(|search| {
            let others: Vec<String> = search
                .others
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("At {}: {}", others.join(", "), of_search(result, search))
        })
        .collect()
}

fn of_search(result: &SweepResult, search: &Searched) -> String {
    let plan = &result.plan;
    let name = plan
        .variables
        .first()
        .map_or("", |variable| variable.name.as_str());
    let objective = plan
        .objective
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let points = result.points.iter();
    let own = points.filter(|point| {
        let mut others = search.others.iter();
        others.all(|(name, value)| point.values.get(name) == Some(value))
    });
    let trials: usize = own.map(|point| point.trials.len()).sum();
    let trials = human::things(trials as u64, "trial");
    let at = |load: u32| format!("{name}={}", human::count(load.into()));
    let Some(found) = &search.found else {
        return format!("The search is not complete: {trials} so far");
    };
    if let Some(stuck) = found.stuck_at {
        return format!(
            "The search ended at {}, where a trial can't tell whether {objective} holds: the client was the bottleneck, or it has no \
             result ({trials})",
            at(stuck)
        );
    }
    let reached = found
        .throughput
        .map(|value| format!(", with {}", amount(&plan.metric, value)));
    let reached = reached.unwrap_or_default();
    match (found.lower, found.upper) {
        (Some(lower), Some(upper)) => {
            format!(
                "{objective} holds at {}{reached}, and not at {} ({trials})",
                at(lower),
                at(upper)
            )
        }
        (Some(lower), None) => format!(
            "{objective} holds at {}{reached}, the greatest that was asked for ({trials})",
            at(lower)
        ),
        (None, Some(upper)) => format!(
            "{objective} does not hold at {}, the least that was asked for ({trials})",
            at(upper)
        ),
        (None, None) => format!("Nothing was found ({trials})"),
    }
}

fn objective(plan: &Plan, curve: &Curve) -> Option<String> {
    let objective = plan.objective.as_ref().filter(|_| plan.find.is_none())?;
    let held = |along: &Along| {
        let why = match along.unmet.is_empty() {
            true => String::new(),
            false => format!(": {}", along.unmet.join(", ")),
        };
        format!(
            "{} (met in {} of {}{why}{})",
            at(curve, along),
            along.met.unwrap_or(0),
            human::things(u64::from(along.used), "trial"),
            if why.is_empty() {
                p99(along)
            } else {
                String::new()
            }
        )
    };
    Some(match (&curve.holds_to, &curve.fails_from) {
        (Some(holds), Some(fails)) => format!(
            "Objective {objective}: holds up to {}; not at {}",
            held(holds),
            held(fails)
        ),
        (Some(holds), None) => format!(
            "Objective {objective}: holds up to {}, the highest that could be judged",
            held(holds)
        ),
        (None, Some(fails)) => format!(
            "Objective {objective}: does not hold at {}, the lowest that could be judged",
            held(fails)
        ),
        (None, None) => format!("Objective {objective}: no trial can tell"),
    })
}

fn scalability(plan: &Plan, curve: &Curve, law: &Scalability) -> Vec<String> {
    let mut lines = vec![format!(
        "Universal Scalability Law: contention {}, coherency {}, {} at {}=1; R\u{b2} {:.3}",
        estimate(law.alpha, small),
        estimate(law.beta, small),
        rate(plan, Some(law.gamma.value)),
        curve.load,
        law.r_squared
    )];
    match (law.peak_load, law.peak_throughput) {
        (Some(load), throughput) => lines.push(format!(
            "Its peak: {} at {}={}",
            rate(plan, throughput),
            curve.load,
            estimate(load, |n| human::count(n.round() as u64))
        )),
        (None, _) => {
            let why = law.caution.as_deref();
            let why = why.unwrap_or("throughput goes on rising");
            lines.push(format!("It has no peak: {why}"));
            return lines;
        }
    }
    lines.extend(law.caution.iter().map(|caution| format!("But {caution}")));
    lines
}

/// A fitted number with its interval.
fn estimate(of: Estimate, draw: impl Fn(f64) -> String) -> String {
    let value = draw(of.value);
    match (of.low, of.high) {
        (Some(low), Some(high)) => format!("{value} ({} to {})", draw(low), draw(high)),
        (Some(low), None) => format!("{value} ({} or more)", draw(low)),
        (None, _) => value,
    }
}

/// A coefficient: two significant digits.
fn small(n: f64) -> String {
    match n {
        0.0 => "0".into(),
        n if n.abs() < 0.001 => format!("{n:.1e}"),
        n => format!("{n:.4}"),
    }
}

fn at(curve: &Curve, along: &Along) -> String {
    format!("{}={}", curve.load, along.value)
}

fn rate(plan: &Plan, value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".into(), |value| amount(&plan.metric, value))
}

fn p99(along: &Along) -> String {
    let text = along
        .p99_us
        .map(|us| format!(", p99 {}", human::micros(us)));
    text.unwrap_or_default()
}
