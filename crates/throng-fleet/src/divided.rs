//! Which scenarios can be divided among agents.

use throng_core::scenario::{LoadScenario, RunRate, Sending};
use throng_core::shard::share;

/// Why `scenario` can't be divided among this many agents, in one line; `None` if it can.
pub fn undividable(scenario: &LoadScenario, agents: usize) -> Option<String> {
    let sending = &scenario.pace.sending;
    let listens = scenario.listen.is_some();
    let finds = "finds its number by what one process sees: run it without a fleet";
    let why = match sending {
        _ if scenario.own_server.is_some() => {
            "--self serves in one process: start throng serve, and name its address"
        }
        _ if listens || !scenario.opens() => "a fleet opens connections: name a target, and no -l",
        _ if scenario.connections.is_max() => return Some(format!("-c max {finds}")),
        _ if scenario.connect.find_window => return Some(format!("--find-window {finds}")),
        _ if scenario.connect.find_rate => return Some(format!("--connect-rate max {finds}")),
        Sending::Search(_) => return Some(format!("a search for a rate {finds}")),
        Sending::WholeRun {
            rate: RunRate::Stdin,
            ..
        } => {
            "--profile - is read by one process: write the profile into the command line or a file"
        }
        _ => return too_few(scenario, agents),
    };
    Some(why.into())
}

/// The number that is not enough for one to each agent.
fn too_few(scenario: &LoadScenario, agents: usize) -> Option<String> {
    let agents = u32::try_from(agents).unwrap_or(u32::MAX);
    let in_flight = match scenario.pace.sending {
        Sending::ClosedLoop { in_flight } => in_flight,
        _ => None,
    };
    let numbers = [
        (scenario.connections.number(), "connection", ""),
        (in_flight, "message", " under way"),
        (scenario.pace.requests, "message", ""),
    ];
    let is_few = |n: u32| share(n, agents.saturating_sub(1), agents.max(1)) == 0;
    let (number, what, how) = numbers
        .into_iter()
        .find(|(number, ..)| number.is_some_and(is_few))?;
    let of = throng_core::human::things(number?.into(), what);
    let all = throng_core::human::things(agents.into(), "agent");
    Some(format!("{of}{how} for {all}: each needs one at least"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use throng_core::scenario::{Connections, OwnServer, Target};

    #[test]
    fn what_one_process_has_to_see_is_refused() {
        let target: SocketAddr = "10.0.0.7:80".parse().unwrap();
        let load = || LoadScenario {
            targets: vec![Target::from(target)],
            connections: 4.into(),
            ..LoadScenario::default()
        };
        assert_eq!(undividable(&load(), 4), None);
        let mut own = load();
        (own.targets, own.own_server) = (Vec::new(), Some(OwnServer::Sink));
        let mut max = load();
        max.connections = Connections::Max(None);
        let mut few = load();
        few.pace.requests = Some(3);
        let mut in_flight = load();
        in_flight.pace.sending = Sending::ClosedLoop { in_flight: Some(2) };
        for (scenario, agents, why) in [
            (
                load(),
                5,
                "4 connections for 5 agents: each needs one at least",
            ),
            (few, 4, "3 messages for 4 agents"),
            (in_flight, 4, "2 messages under way"),
            (own, 1, "--self"),
            (max, 2, "-c max"),
        ] {
            let told = undividable(&scenario, agents).unwrap_or_default();
            assert!(told.contains(why), "{told}");
        }
    }
}
