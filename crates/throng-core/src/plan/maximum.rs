//! How many connections this client is able to open, for a run that finds out how many a server can hold.

use crate::capacity::{self, Limit, LimitKind, Measure, Question};
use crate::host::Host;
use crate::scenario::LoadScenario;

/// How often the bound is corrected: what a limit allows may depend on how many are asked for.
const CORRECTIONS: u32 = 4;

/// The most connections that a run may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    /// How many.
    pub connections: u32,
    /// This machine's limit that has it so; `None` if it is as many as the user allowed.
    pub by: Option<Limit>,
}

/// Whether a limit is this machine's own, and not the server's or the path's, which such a run is to find.
pub(super) fn is_own(kind: LimitKind) -> bool {
    match kind {
        LimitKind::Engine
        | LimitKind::SourceAddress
        | LimitKind::FourTuples
        | LimitKind::OpenFiles
        | LimitKind::SystemFiles
        | LimitKind::Memory
        | LimitKind::CgroupMemory => true,
        LimitKind::ProxyPorts
        | LimitKind::TcpMemory
        | LimitKind::Conntrack
        | LimitKind::TargetFiles
        | LimitKind::TargetConnections
        | LimitKind::TargetProcess
        | LimitKind::NatPorts
        | LimitKind::Path
        | LimitKind::AcceptQueue
        | LimitKind::SynBacklog => false,
    }
}

/// The most connections that `scenario` may open on `host`.
pub fn most(scenario: &LoadScenario, host: &Host) -> Most {
    let mut most = Most {
        connections: scenario.connections.most(),
        by: None,
    };
    let mut scenario = scenario.clone();
    for _ in 0..CORRECTIONS {
        scenario.connections = scenario.connections.up_to(most.connections);
        let capacity = capacity::capacity(&Question::of_load(&scenario), host);
        let own = capacity.short_of(most.connections.into());
        let own = own.filter(|l| l.sure && l.measure == Measure::Held && is_own(l.kind));
        let Some(least) = own.min_by_key(|l| l.allows) else {
            break;
        };
        // What can open none is refused by the plan.
        most = Most {
            connections: (least.allows.unwrap_or(0) as u32).max(1),
            by: Some(least.clone()),
        };
    }
    most
}
