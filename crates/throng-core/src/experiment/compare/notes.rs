//! What to know about groups before their difference is believed.

use super::super::holm::least_rounds;
use super::compared::{Compared, ERROR};
use super::difference::Verdict;
use super::round::Group;
use crate::human::{count, things};

/// The share of stolen CPU time from which on it is worth a note.
const STOLEN: f64 = 0.01;

/// The notes, a sentence each. `tests` is how many tests were made.
pub(super) fn of(groups: &[Group], compared: &[Compared], tests: usize) -> Vec<String> {
    let mut all: Vec<String> = groups.iter().flat_map(of_group).collect();
    let first = &groups[0];
    for other in &groups[1..] {
        if other.in_common(first).is_some() {
            all.push(format!(
                "{} and {} have runs in common: these can't differ",
                first.name, other.name
            ));
        }
        all.extend(apart(first, other).map(|note| note + " (--run interleaves)"));
    }
    all.extend(compared.iter().filter_map(|c| lower_bounds(c, groups)));
    if any_too_few(compared) {
        let each = things(least_rounds(tests, ERROR) as u64, "round");
        let alone = least_rounds(1, ERROR);
        all.push(match tests {
            1 => format!("a difference can be told from noise with at least {each} of either"),
            _ => format!(
                "a difference in one of {} metrics can be told from noise with at least {each} of either; in a single one (--metric NAME) with {alone}",
                count(tests as u64)
            ),
        });
    }
    all
}

pub(super) fn any_too_few(compared: &[Compared]) -> bool {
    let mut verdicts = compared.iter().map(|c| c.verdict);
    verdicts.any(|verdict| verdict == Verdict::TooFewRounds)
}

fn of_group(group: &Group) -> Vec<String> {
    let name = &group.name;
    let mut all = of_rounds(group);
    if group.differs_in_what_was_asked() {
        all.push(format!("{name}: its rounds were not asked for the same"));
    }
    all
}

/// What to know of rounds, whatever was asked of each.
pub(super) fn of_rounds(group: &Group) -> Vec<String> {
    let name = &group.name;
    let mut all = Vec::new();
    if !group.left_out.is_empty() {
        let rounds = things(group.left_out.len() as u64, "interrupted round");
        all.push(format!(
            "{name}: {rounds} left out: {}",
            group.left_out.join(", ")
        ));
    }
    let short: Vec<&String> = group
        .rounds
        .iter()
        .filter_map(|r| r.shortfall.as_ref())
        .collect();
    if let Some(why) = short.first() {
        let of = things(group.rounds.len() as u64, "round");
        all.push(format!(
            "{name}: {} of {of} fell short of what was asked: {why}",
            short.len()
        ));
    }
    let stolen = group
        .rounds
        .iter()
        .filter_map(|round| round.stolen)
        .fold(0.0, f64::max);
    if stolen >= STOLEN {
        all.push(format!(
            "{name}: in a round, the hypervisor gave {:.1} % of the CPU time to others",
            stolen * 100.0
        ));
    }
    all
}

/// That all rounds of one are before those of the other.
pub(super) fn apart(first: &Group, other: &Group) -> Option<String> {
    let ((begin, end), (other_begin, other_end)) = (first.when(), other.when());
    let apart = end < other_begin || other_end < begin;
    (apart && first.rounds.len() > 1 && other.rounds.len() > 1).then(|| {
        format!(
            "the rounds of {} and {} were not interleaved: what else changed on the machine between them counts as a difference",
            first.name, other.name
        )
    })
}

/// Percentiles that would need to know answers that never came.
pub(super) fn lower_bounds(compared: &Compared, groups: &[Group]) -> Option<String> {
    let of = [(&compared.first, 0), (&compared.second, compared.group)];
    let of = of.iter().filter(|(values, _)| values.at_least > 0);
    let of: Vec<String> = of
        .map(|(values, group)| {
            format!(
                "{} of {} in {}",
                values.at_least,
                values.rounds.len(),
                groups[*group].name
            )
        })
        .collect();
    (!of.is_empty()).then(|| {
        format!(
            "{}: values are lower bounds, because answers are missing: {}",
            compared.metric,
            of.join(", ")
        )
    })
}
