//! Limits that several parts of a run have in common, because they are on one machine.

use super::shortfall::Shortfall;
use crate::capacity::{self, LimitKind, Question};
use crate::host::Host;
use crate::scenario::LoadScenario;
use serde::{Deserialize, Serialize};

/// How many connections of the whole run share limits with those of a part, the latter included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// On the same machine.
    pub machine: u64,
    /// In the same network namespace.
    pub network: u64,
}

/// The limits that are too low for all parts of `scenario` that share them with its own. What a limit allows is told in
/// connections of the own part. With [`LoadScenario::force`] there are none.
pub fn beside(scenario: &LoadScenario, host: &Host, beside: Beside) -> Vec<Shortfall> {
    let own = u64::from(scenario.own_connections());
    if scenario.force {
        return Vec::new();
    }
    [
        (beside.network, of_network as Shared),
        (beside.machine, of_machine),
    ]
    .into_iter()
    .filter(|(together, _)| *together > own)
    .flat_map(|(together, is_shared)| {
        let question = Question {
            connections: Some(together),
            part_of: None,
            ..Question::of_load(scenario)
        };
        let capacity = capacity::capacity(&question, host);
        let short = capacity.short_of(together);
        let short = short.filter(|limit| limit.sure && is_shared(limit.kind));
        let in_own = |limit| in_own(Shortfall::of(limit), own, together);
        short.map(in_own).collect::<Vec<_>>()
    })
    .collect()
}

/// Whether parts share a limit of this kind.
type Shared = fn(LimitKind) -> bool;

/// What processes in one network namespace share. In a container it is most often of a cgroup of its own, too.
fn of_network(kind: LimitKind) -> bool {
    use LimitKind::*;
    matches!(
        kind,
        FourTuples | CgroupMemory | TcpMemory | Conntrack | TargetFiles
    )
}

/// What all processes of a machine share.
fn of_machine(kind: LimitKind) -> bool {
    matches!(kind, LimitKind::Memory | LimitKind::SystemFiles)
}

/// The part of the shortfall of `together` connections that falls on `own` of them.
fn in_own(short: Shortfall, own: u64, together: u64) -> Shortfall {
    let allows = u128::from(short.allows) * u128::from(own) / u128::from(together.max(1));
    Shortfall {
        limit: format!("{}, for all agents on this machine", short.limit),
        allows: allows as u64,
        ..short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Target;
    use crate::shard::Shard;

    /// A quarter of this many connections to one port of another machine.
    fn quarter(connections: u32) -> LoadScenario {
        let target: std::net::SocketAddr = "10.9.9.9:80".parse().unwrap();
        LoadScenario {
            connections: connections.into(),
            targets: vec![Target::from(target)],
            shard: Shard::new(1, 1, 4).unwrap(),
            ..LoadScenario::default()
        }
    }

    #[test]
    fn agents_in_one_network_namespace_share_its_ports() {
        let host = Host::default();
        let (ports, n) = (u64::from(host.ports.usable()), 40_000);
        assert!(ports > u64::from(n) / 4 && ports < u64::from(n), "{ports}");
        let scenario = quarter(n);
        let of = |network, machine| beside(&scenario, &host, Beside { machine, network });
        assert_eq!(of(10_000, 10_000), []);
        let short = of(n.into(), n.into());
        let tuples = short.iter().find(|s| s.kind == LimitKind::FourTuples);
        assert_eq!(tuples.expect("ports are short").allows, ports / 4);
        // Each in a namespace of its own.
        let apart = of(10_000, n.into());
        assert!(apart.iter().all(|s| s.kind != LimitKind::FourTuples));
        let forced = LoadScenario {
            force: true,
            ..quarter(n)
        };
        let together = Beside {
            machine: n.into(),
            network: n.into(),
        };
        assert_eq!(beside(&forced, &host, together), []);
    }
}
