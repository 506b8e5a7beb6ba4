//! How many new connections per second this client has ports for, where it closes each first and opens another: the port rests.

use super::routes::Routes;
use crate::capacity::reuses_time_wait;
use crate::host::Host;
use crate::human::{count, things};
use crate::scenario::LoadScenario;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long the side that closes first keeps a connection, in seconds (TIME_WAIT; TCP_TIMEWAIT_LEN).
const RESTS_S: u64 = 60;
/// How long where connect() may reuse such a port, in seconds (tcp_tw_reuse): from the next second on.
const REUSED_AFTER_S: u64 = 1;

/// Ports of connections that are closed rest, which bounds the rate of new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsRest {
    /// Local ports for each pair of source address and target.
    pub ports: u64,
    /// Pairs of source address and target that connections go between.
    pub pairs: u64,
    /// How long a port rests, in seconds.
    pub rests_s: u64,
}

impl PortsRest {
    /// New connections per second for which there are ports.
    pub fn per_s(&self) -> u64 {
        self.ports.saturating_mul(self.pairs) / self.rests_s.max(1)
    }
}

impl fmt::Display for PortsRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this side closes each connection first, so its port rests for {} (TIME_WAIT): {} for {} of source address and target are enough for {} new connections per second. More source addresses (--source-ip), a server that closes first (--await-close) or resets (--linger 0) lift that",
            things(self.rests_s, "second"),
            things(self.ports, "port"),
            things(self.pairs, "pair"),
            count(self.per_s())
        )
    }
}

/// What bounds the rate of new connections of `scenario`; `None` if ports do not, or if it asks for fewer.
pub(super) fn rest(scenario: &LoadScenario, routes: &Routes, host: &Host) -> Option<PortsRest> {
    let connect = &scenario.connect;
    connect.exchanges_per_connection?;
    let resets = scenario.sockets.linger.is_some();
    // The server in this process resets connections that are closed, which ends TIME_WAIT.
    if connect.await_close || resets || scenario.own_server.is_some() || !routes.unix().is_empty() {
        return None;
    }
    let mut targets: Vec<_> = routes.targets().zip(routes.sources_by_target()).collect();
    targets.sort_unstable_by_key(|(target, _)| *target);
    targets.dedup_by_key(|(target, _)| *target);
    let pairs = targets.iter().map(|(_, all)| all.len().max(1) as u64);
    let connections = u64::from(scenario.own_connections());
    let reused = targets
        .iter()
        .all(|(target, _)| reuses_time_wait(&host.ports, Some(*target)));
    let rest = PortsRest {
        ports: host.ports.usable().into(),
        // Each connection keeps to its pair.
        pairs: pairs.sum::<u64>().min(connections),
        rests_s: if reused { REUSED_AFTER_S } else { RESTS_S },
    };
    // Beyond that many, the kernel lets no more connections rest.
    let resting = host.tcp.max_time_wait.unwrap_or(u64::MAX);
    let bounds = rest.ports.saturating_mul(rest.pairs) <= resting;
    let asked = connect.rate.map(|all| scenario.shard.rate(all).get());
    let reaches = asked.is_none_or(|per_s| per_s > rest.per_s() as f64);
    (bounds && reaches).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Ports;
    use crate::scenario::{Connect, Connections, Target};
    use std::num::NonZeroU16;
    use std::time::Duration;

    fn scenario(target: &str, edit: impl FnOnce(&mut LoadScenario)) -> LoadScenario {
        let address = target.parse().unwrap();
        let mut scenario = LoadScenario {
            targets: vec![Target {
                addresses: vec![address],
                ..Target::try_from(target.to_owned()).unwrap()
            }],
            connections: Connections::Number(100),
            connect: Connect {
                exchanges_per_connection: NonZeroU16::new(1),
                ..Connect::default()
            },
            ..LoadScenario::default()
        };
        edit(&mut scenario);
        scenario
    }

    fn host(tw_reuse: u8, timestamps: u8) -> Host {
        Host {
            ports: Ports {
                range: Some((32_768, 60_999)),
                tw_reuse: Some(tw_reuse),
                timestamps: Some(timestamps),
                ..Ports::default()
            },
            ..Host::default()
        }
    }

    fn per_s(scenario: &LoadScenario, host: &Host) -> Option<u64> {
        let routes = Routes::of(scenario, host).unwrap();
        rest(scenario, &routes, host).map(|ports| ports.per_s())
    }

    #[test]
    fn ports_that_rest_bound_the_rate_of_new_connections() {
        let far = "10.0.0.7:9000";
        let plain = |_: &mut LoadScenario| {};
        // 28,232 ports.
        assert_eq!(per_s(&scenario(far, plain), &host(0, 1)), Some(470));
        assert_eq!(per_s(&scenario(far, plain), &host(2, 1)), Some(470));
        assert_eq!(per_s(&scenario(far, plain), &host(1, 1)), Some(28_232));
        assert_eq!(per_s(&scenario(far, plain), &host(1, 0)), Some(470));
        let near = scenario("127.0.0.1:9000", plain);
        assert_eq!(per_s(&near, &host(2, 1)), Some(28_232));
        assert_eq!(per_s(&near, &host(0, 1)), Some(470));
        let sources = scenario(far, |s| {
            s.connect.source_ip = vec!["10.0.0.8-10.0.0.11".parse().unwrap()];
        });
        assert_eq!(per_s(&sources, &host(0, 1)), Some(1882));
        let few = scenario(far, |s| {
            s.connect.source_ip = vec!["10.0.0.8-10.0.0.11".parse().unwrap()];
            s.connections = Connections::Number(2);
        });
        assert_eq!(per_s(&few, &host(0, 1)), Some(941));
    }

    #[test]
    fn ports_are_no_bound_where_they_do_not_rest_or_fewer_connections_are_asked_for() {
        let far = "10.0.0.7:9000";
        for (what, edit) in [
            (
                "the server closes first",
                (|s| s.connect.await_close = true) as fn(&mut LoadScenario),
            ),
            ("resets", |s| s.sockets.linger = Some(Duration::ZERO)),
            ("a lower rate", |s| {
                s.connect.rate = crate::units::Rate::per_second(400.0);
            }),
            ("connections that stay", |s| {
                s.connect.exchanges_per_connection = None;
            }),
        ] {
            assert_eq!(per_s(&scenario(far, edit), &host(0, 1)), None, "{what}");
        }
        let mut few = host(0, 1);
        few.tcp.max_time_wait = Some(10_000);
        let plain = scenario(far, |_| {});
        assert_eq!(per_s(&plain, &few), None, "the kernel keeps fewer");
    }

    #[test]
    fn the_note_says_the_rate_and_what_lifts_it() {
        let plain = scenario("10.0.0.7:9000", |_| {});
        let routes = Routes::of(&plain, &host(0, 1)).unwrap();
        let note = rest(&plain, &routes, &host(0, 1)).unwrap().to_string();
        for says in [
            "28,232 ports for 1 pair of source address and target",
            "470 new connections per second",
            "rests for 60 seconds",
            "--source-ip",
        ] {
            assert!(note.contains(says), "{note}");
        }
        assert_eq!(note.lines().count(), 1);
    }
}
