//! Makes and removes rules that exempt ports from connection tracking.

use serde::{Deserialize, Serialize};
use throng_core::tune::{Did, NOTRACK, PortSet, Setting};

use super::notrack::{self, Tool};
use super::session::Session;
use super::system::Origin;
use crate::here::Here;

/// Rules of the packet filter that throng has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnRules {
    #[serde(flatten)]
    origin: Origin,
    tool: Tool,
    ports: PortSet,
}

/// Rules that are noted and about to be made.
pub(super) struct Planned {
    tool: Tool,
    ports: PortSet,
    /// The ports in throng's rules before, if there were any.
    there: Option<PortSet>,
    before: Vec<OwnRules>,
}

/// Notes the rules that are about to be made; `None` if they can't be made, which is then an outcome.
pub(super) fn remember(
    session: &mut Session,
    all: &mut Vec<OwnRules>,
    setting: &Setting,
) -> Option<Planned> {
    let (tool, there) = match notrack::choose().and_then(|t| Ok((t, notrack::untracked(t)?))) {
        Ok(found) => found,
        Err(why) => {
            session.did(NOTRACK, Did::Failed, why);
            return None;
        }
    };
    let Ok(ports) = setting.wanted.parse::<PortSet>() else {
        session.did(NOTRACK, Did::Failed, "no ports; name them with --port");
        return None;
    };
    let before = all.clone();
    match all.iter_mut().find(|r| r.origin.is(&session.here)) {
        Some(rules) if rules.tool != tool => {
            let with = rules.tool.name();
            let detail = format!("throng's rules were made with {with}; --revert them first");
            session.did(NOTRACK, Did::Failed, detail);
            return None;
        }
        Some(rules) => rules.ports = ports.clone(),
        None if there.is_some() => {
            let detail = format!(
                "there are rules named throng_notrack ({}) that are not in the state file; remove them, or name the \
                 state file that has them with --state",
                tool.name()
            );
            session.did(NOTRACK, Did::Foreign, detail);
            return None;
        }
        None => all.push(OwnRules {
            origin: Origin::of(&session.here, true),
            tool,
            ports: ports.clone(),
        }),
    }
    Some(Planned {
        tool,
        ports,
        there,
        before,
    })
}

/// Makes the rules, and checks that they are there.
pub(super) fn set(session: &mut Session, all: &mut Vec<OwnRules>, planned: Planned) {
    let Planned {
        tool,
        ports,
        there,
        before,
    } = planned;
    let set = session.change(|| notrack::set(tool, &ports));
    match set.and_then(|()| notrack::untracked(tool)) {
        Ok(Some(now)) if now == ports => {
            let detail = format!("TCP ports {ports} are no longer tracked ({})", tool.name());
            session.did(NOTRACK, Did::Changed, detail);
        }
        Ok(now) => {
            let now = now.unwrap_or_default();
            let detail = format!("asked for {ports}, the rules say '{now}'");
            session.did(NOTRACK, Did::Failed, detail);
        }
        Err(why) => {
            if matches!(notrack::untracked(tool), Ok(now) if now == there) {
                *all = before;
            }
            session.did(NOTRACK, Did::Failed, why);
        }
    }
}

/// Whether throng has made rules here.
pub(super) fn any(all: &[OwnRules], here: &Here) -> bool {
    all.iter().any(|r| r.origin.is(here))
}

/// Removes the rules. Returns whether they must stay in the state file.
pub(super) fn put_back(session: &mut Session, rules: &OwnRules, force: bool) -> bool {
    if !rules.origin.is(&session.here) {
        return session.elsewhere(NOTRACK, rules.origin.namespace(), force);
    }
    match notrack::untracked(rules.tool) {
        Ok(Some(_)) => {}
        Ok(None) if rules.tool == Tool::Nft => {
            return session.did(NOTRACK, Did::AsItWas, "no rules");
        }
        // ip6tables may still have some.
        Ok(None) => {}
        Err(why) => return session.did(NOTRACK, Did::Failed, why),
    }
    match session.change(|| notrack::remove(rules.tool)) {
        Ok(()) => {
            let detail = format!("rules for {} removed", rules.ports);
            session.did(NOTRACK, Did::Changed, detail)
        }
        Err(why) => session.did(NOTRACK, Did::Failed, why),
    }
}
