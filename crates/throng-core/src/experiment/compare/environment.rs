//! In what the machines of groups differ.

use super::round::Group;
use std::collections::BTreeSet;

/// A fact or setting that is not the same in all rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Its name.
    pub name: String,
    /// For each group the values that its rounds have, without duplicates; none if they did not record it.
    pub values: Vec<Vec<String>>,
}

/// What is not the same in all rounds of all groups. What a group did not record is not a difference.
pub(super) fn differing(groups: &[&Group]) -> Vec<Differing> {
    let rounds = groups.iter().flat_map(|group| &group.rounds);
    let names: BTreeSet<&String> = rounds.flat_map(|round| round.environment.keys()).collect();
    let of = |name: &&String| {
        let values: Vec<Vec<String>> = groups.iter().map(|group| values(group, name)).collect();
        let different: BTreeSet<&String> = values.iter().flatten().collect();
        (different.len() > 1).then(|| Differing {
            name: (*name).clone(),
            values: values.clone(),
        })
    };
    names.iter().filter_map(of).collect()
}

fn values(group: &Group, name: &str) -> Vec<String> {
    let all = group
        .rounds
        .iter()
        .filter_map(|round| round.environment.get(name));
    let different: BTreeSet<String> = all.cloned().collect();
    different.into_iter().collect()
}
