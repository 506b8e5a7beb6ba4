//! How the connections of a run are divided among agents.

use throng_core::shard::Shard;

/// So many lanes for each agent, where shares are unequal: the numbers of agents alternate often enough that none has a burst.
const LANES_EACH: u32 = 16;
/// Numbers of lanes that are tried one by one for the one whose shares are closest to what each agent should have.
const TRIED: u32 = 64;

/// Equal shares for `agents` agents.
pub(crate) fn equal(agents: usize) -> Vec<Option<Shard>> {
    Shard::by_weight(&vec![1; agents])
}

/// Shares of `connections` connections for agents each of which can hold this many (`None`: no limit is known): equal ones but
/// for those that can hold less, which have as many as they can, or nearly so. `None` if all together can't hold them.
pub(crate) fn fitting(connections: u32, holds: &[Option<u64>]) -> Option<Vec<Option<Shard>>> {
    let most: Vec<u32> = holds
        .iter()
        .map(|holds| holds.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)))
        .collect();
    let agents = u32::try_from(most.len()).ok().filter(|n| *n > 0)?;
    let wanted = filled(connections, &most)?;
    let counts = |shards: &[Option<Shard>]| -> Vec<u32> {
        let count = |shard: &Option<Shard>| shard.map_or(0, |s| s.share(connections));
        shards.iter().map(count).collect()
    };
    let fits = |shards: &[Option<Shard>]| {
        let counts = counts(shards);
        counts.iter().zip(&most).all(|(share, most)| share <= most)
    };
    if fits(&equal(most.len())) {
        return Some(equal(most.len()));
    }
    // With a lane for each connection they are exact, but an agent's connections are opened in a row.
    let exact = || Shard::by_weight(&wanted);
    let least = agents.saturating_mul(LANES_EACH);
    if connections <= least.saturating_add(TRIED) {
        return Some(exact());
    }
    let divided = |lanes: u32| {
        let room = most.iter().map(|most| {
            // Rounded down: the share of so many lanes may be one connection more than that of each on the average.
            let lanes = u64::from(*most) * u64::from(lanes) / u64::from(connections);
            u32::try_from(lanes).unwrap_or(u32::MAX)
        });
        let weights = filled(lanes, &room.collect::<Vec<_>>())?;
        Some(Shard::by_weight(&weights)).filter(|shards| fits(shards))
    };
    let off = |shards: &Vec<Option<Shard>>| -> u64 {
        let counts = counts(shards);
        let apart = counts.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
        apart.map(u64::from).sum()
    };
    let tried = (least..least + TRIED).filter_map(divided);
    // More lanes fit where there is hardly any room to spare.
    let more = std::iter::successors(Some(least + TRIED), |lanes| lanes.checked_mul(2));
    let mut more = more.take_while(|lanes| *lanes < connections);
    let found = tried.min_by_key(off).or_else(|| more.find_map(divided));
    Some(found.unwrap_or_else(exact))
}

/// Divides `all` among those with this much room, as evenly as it goes; `None` if there is not enough of it.
fn filled(all: u32, room: &[u32]) -> Option<Vec<u32>> {
    let mut shares = vec![0; room.len()];
    let mut left = all;
    let mut open: Vec<usize> = (0..room.len()).collect();
    while !open.is_empty() {
        let among = open.len() as u32;
        let each = left / among;
        // Those that can't have as many as that have all that they can; the others divide the rest anew.
        open.retain(|at| {
            let is_full = room[*at] <= each;
            if is_full {
                shares[*at] = room[*at];
                left -= room[*at];
            }
            !is_full
        });
        if open.len() as u32 == among {
            let more = left % among;
            for (turn, at) in open.iter().enumerate() {
                shares[*at] = each + u32::from((turn as u32) < more);
            }
            return Some(shares);
        }
    }
    (left == 0).then_some(shares)
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
            (1000, vec![Some(100), None], Some(vec![100, 900])),
            (100, vec![Some(20), None], Some(vec![20, 80])),
            (200, vec![None, Some(20), None], Some(vec![90, 20, 90])),
            // The last lanes of all are not whole.
            (997, vec![Some(20), None], Some(vec![20, 977])),
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
