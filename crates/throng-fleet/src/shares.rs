//! How the connections of a run are divided among agents.

use throng_core::shard::Shard;

/// So many lanes for each agent, where shares are unequal: shares are exact to a sixteenth of an agent's average one, and the
/// numbers of agents alternate often enough that none has a burst.
const LANES_EACH: u32 = 16;

/// Equal shares for `agents` agents.
pub(crate) fn equal(agents: usize) -> Vec<Option<Shard>> {
    Shard::by_weight(&vec![1; agents])
}

/// Shares of `connections` connections for agents each of which can hold this many (`None`: no limit is known): equal ones but
/// for those that can hold less. `None` if all together can't hold them.
pub(crate) fn fitting(connections: u32, holds: &[Option<u64>]) -> Option<Vec<Option<Shard>>> {
    let most: Vec<u32> = holds
        .iter()
        .map(|holds| holds.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)))
        .collect();
    let agents = u32::try_from(most.len()).ok().filter(|n| *n > 0)?;
    let fits = |shards: &[Option<Shard>]| {
        let share = |shard: &Option<Shard>| shard.map_or(0, |s| s.share(connections));
        shards.iter().zip(&most).all(|(s, most)| share(s) <= *most)
    };
    if fits(&equal(most.len())) {
        return Some(equal(most.len()));
    }
    // More lanes fit shares more closely; with one for each connection they fit exactly.
    let mut lanes = agents.saturating_mul(LANES_EACH).min(connections);
    loop {
        let room = most.iter().map(|most| {
            // Rounded down: the share of so many lanes may be one connection more than that of each on the average.
            let lanes = u64::from(*most) * u64::from(lanes) / u64::from(connections.max(1));
            u32::try_from(lanes).unwrap_or(u32::MAX)
        });
        if let Some(weights) = filled(lanes, &room.collect::<Vec<_>>()) {
            let shards = Shard::by_weight(&weights);
            if fits(&shards) {
                return Some(shards);
            }
        }
        if lanes == connections {
            return None;
        }
        lanes = lanes.saturating_mul(2).min(connections);
    }
}

/// Divides `all` among those with this much room, as evenly as it goes; `None` if there is not enough of it.
fn filled(all: u32, room: &[u32]) -> Option<Vec<u32>> {
    let mut shares = vec![0; room.len()];
    let mut left = all;
    let mut open: Vec<usize> = (0..room.len()).filter(|at| room[*at] > 0).collect();
    while left > 0 {
        if open.is_empty() {
            return None;
        }
        let each = left / open.len() as u32;
        let more = left % open.len() as u32;
        for (turn, at) in open.iter().enumerate() {
            let wanted = each + u32::from((turn as u32) < more);
            let given = wanted.min(room[*at] - shares[*at]);
            shares[*at] += given;
            left -= given;
        }
        open.retain(|at| shares[*at] < room[*at]);
    }
    Some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(connections: u32, holds: &[Option<u64>]) -> Option<Vec<u32>> {
        let shards = fitting(connections, holds)?;
        let count = |shard: Option<Shard>| shard.map_or(0, |s| s.share(connections));
        Some(shards.into_iter().map(count).collect())
    }

    #[test]
    fn those_with_room_take_what_others_cannot_hold() {
        for (connections, holds, expected) in [
            (100, vec![None, None], Some(vec![50, 50])),
            (100, vec![Some(60), Some(60)], Some(vec![50, 50])),
            (1000, vec![Some(100), None], Some(vec![96, 904])),
            (10, vec![Some(3), None], Some(vec![3, 7])),
            (10, vec![Some(0), None], Some(vec![0, 10])),
            (10, vec![Some(3), Some(7)], Some(vec![3, 7])),
            (10, vec![Some(3), Some(6)], None),
        ] {
            assert_eq!(
                counts(connections, &holds),
                expected,
                "{connections} {holds:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn shares_that_fit_are_found_where_there_are_any(
            connections in 1..5000u32,
            holds in prop::collection::vec(prop::option::of(0..3000u64), 1..7),
        ) {
            let room: u64 = holds.iter().map(|n| n.unwrap_or(u64::from(connections))).sum();
            match counts(connections, &holds) {
                None => prop_assert!(room < u64::from(connections)),
                Some(counts) => {
                    prop_assert_eq!(counts.iter().sum::<u32>(), connections);
                    for (count, holds) in counts.iter().zip(&holds) {
                        prop_assert!(holds.is_none_or(|n| u64::from(*count) <= n));
                    }
                }
            }
        }
    }
}
