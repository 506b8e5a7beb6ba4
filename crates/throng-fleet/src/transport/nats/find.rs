//! Which agents are there: a question that all of them answer.

use super::gather::gather;
use super::{Connection, NatsError};
use crate::message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use throng_core::human::{duration, things};
use throng_run::Stop;

/// The question is asked again after this long.
const AGAIN: Duration = Duration::from_millis(500);
/// How long to wait for answers if any number of agents will do.
const ANY: Duration = Duration::from_secs(2);
/// How long a stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);
/// The longest answer, in bytes.
const MOST: usize = 4096;

/// What an agent says when it is asked who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Its name, for people.
    pub name: String,
    /// What no other agent has.
    pub instance: String,
    /// `throng` and its version.
    pub tool: String,
    /// [`VERSION`](message::VERSION) of its protocol.
    pub version: u32,
    /// The run that it belongs to.
    pub run: Option<String>,
}

/// Which agents a run is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All that are free.
    Any,
    /// So many.
    Number(usize),
    /// Those of these names.
    Names(Vec<String>),
}

/// Why a run does not get its agents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Something is wrong with the connection.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// Not all are there: a line.
    #[error("{0}")]
    Missing(String),
    /// It was asked to stop.
    #[error("interrupted before anything was opened")]
    Interrupted,
}

/// The agents that answer until there are `enough` of them, or until `patience` is over.
///
/// # Errors
/// Something is wrong with the connection.
pub fn present(
    connection: &Connection,
    patience: Duration,
    enough: impl Fn(&[Present]) -> bool,
) -> Result<Vec<Present>, NatsError> {
    gather(connection, &connection.prefix().find(), patience, enough)
}

/// Waits at most `patience` for the agents that are wanted, and says how far that is. Agents that belong to a run don't count.
///
/// # Errors
/// See [`FindError`].
pub fn find(
    connection: &Connection,
    wanted: &Wanted,
    patience: Duration,
    mut tell: impl FnMut(String),
    stop: &Stop,
) -> Result<Vec<Present>, FindError> {
    let (answers, answered) = channel();
    let inbox = connection.inbox();
    connection.subscribe(inbox.clone(), MOST, move |received| {
        let present = received.bytes.and_then(|b| message::decode(&b, MOST));
        match present {
            Ok(present) => answers.send(present).is_ok(),
            // Somebody else's.
            Err(_) => true,
        }
    })?;
    let began = Instant::now();
    let until = match wanted {
        Wanted::Any => patience.min(ANY),
        _ => patience,
    };
    let mut asked: Option<Instant> = None;
    let mut known = BTreeMap::new();
    let mut told = None;
    loop {
        if stop.is_requested() {
            return Err(FindError::Interrupted);
        }
        if asked.is_none_or(|at| at.elapsed() >= AGAIN) {
            asked = Some(Instant::now());
            connection.ask(&connection.prefix().find(), Vec::new(), &inbox);
        }
        match answered.recv_timeout(NOTICE) {
            Ok(present) => {
                let present: Present = present;
                known.insert((present.name.clone(), present.instance.clone()), present);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(NOTICE),
        }
        let is_late = began.elapsed() >= until;
        let all: Vec<&Present> = known.values().collect();
        match chosen(wanted, &all, is_late) {
            Ok(chosen) => return Ok(chosen),
            Err(Short::Never(line)) => return Err(FindError::Missing(line)),
            Err(Short::Yet(yet)) if is_late => {
                let line = format!(
                    "{} at the NATS server after {}{}",
                    yet.missing,
                    duration(until),
                    yet.busy
                );
                return Err(FindError::Missing(line));
            }
            Err(Short::Yet(yet)) => {
                let line = format!("waiting for {}{}", yet.wanted, yet.busy);
                // At once they would be there without a word.
                if began.elapsed() >= AGAIN && told.as_ref() != Some(&line) {
                    tell(line.clone());
                    told = Some(line);
                }
            }
        }
    }
}

/// Why those that are wanted are not there.
#[derive(Debug, PartialEq, Eq)]
enum Short {
    /// They may come yet.
    Yet(Yet),
    /// More time does not help.
    Never(String),
}

/// Agents that may come yet, in words.
#[derive(Debug, PartialEq, Eq)]
struct Yet {
    /// What to wait for: `3 agents: 2 are there`.
    wanted: String,
    /// What is said if they don't come, without where: `no free agent b`.
    missing: String,
    /// Those that belong to a run, as an aside; empty if none does.
    busy: String,
}

/// The agents of `all` that are wanted. With `is_late`, no more will come.
fn chosen(wanted: &Wanted, all: &[&Present], is_late: bool) -> Result<Vec<Present>, Short> {
    let free = || all.iter().filter(|p| p.run.is_none());
    let busy: Vec<&str> = all
        .iter()
        .filter(|p| p.run.is_some())
        .map(|p| p.name.as_str())
        .collect();
    let busy = match busy.is_empty() {
        true => String::new(),
        false => format!(" (in another run: {})", busy.join(", ")),
    };
    let yet = |wanted: String, missing: String| {
        Err(Short::Yet(Yet {
            wanted,
            missing,
            busy: busy.clone(),
        }))
    };
    let alike = |name: &str| {
        Short::Never(format!(
            "two agents have the name {name}: start them with a --name each"
        ))
    };
    let named = |name: &String| {
        let mut same = free().filter(|p| p.name == *name);
        match (same.next(), same.next()) {
            (Some(_), Some(_)) => Err(alike(name)),
            (first, _) => Ok(first.map(|p| Present::clone(p))),
        }
    };
    // They are told apart by their names.
    let taken = |n: usize| {
        let all: Vec<Present> = free().take(n).map(|p| Present::clone(p)).collect();
        let twin = |(at, one): (usize, &Present)| all[..at].iter().any(|p| p.name == one.name);
        match all.iter().enumerate().find(|of| twin(*of)) {
            Some((_, one)) => Err(alike(&one.name)),
            None => Ok(all),
        }
    };
    match wanted {
        Wanted::Any if is_late && free().next().is_some() => taken(usize::MAX),
        Wanted::Any if free().next().is_some() => yet("more agents".into(), String::new()),
        Wanted::Any => yet("agents".into(), "no free agent".into()),
        Wanted::Number(n) if free().count() >= *n => taken(*n),
        Wanted::Number(n) => {
            let wanted = things(*n as u64, "agent");
            let there = match free().count() {
                0 => "none is".into(),
                1 => "1 is".into(),
                n => format!("{n} are"),
            };
            yet(
                format!("{wanted}: {there} there"),
                format!("{wanted} wanted, and {there} free"),
            )
        }
        Wanted::Names(names) => {
            let mut found = Vec::new();
            let mut missing: Vec<&str> = Vec::new();
            for name in names {
                match named(name)? {
                    Some(present) => found.push(present),
                    None => missing.push(name),
                }
            }
            match missing.is_empty() {
                true => Ok(found),
                false => {
                    let plural = if missing.len() == 1 { "" } else { "s" };
                    let all = format!("agent{plural} {}", missing.join(", "));
                    yet(all.clone(), format!("no free {all}"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(name: &str, instance: &str, run: Option<&str>) -> Present {
        Present {
            name: name.into(),
            instance: instance.into(),
            tool: "throng".into(),
            version: 1,
            run: run.map(Into::into),
        }
    }

    #[test]
    fn those_that_are_free_are_chosen() {
        let (a, b) = (present("a", "1", None), present("b", "2", None));
        let busy = present("c", "3", Some("r"));
        let other = present("a", "4", None);
        let names = |names: &[&str]| Wanted::Names(names.iter().map(|n| (*n).into()).collect());
        let all = [&a, &b, &busy];
        for (wanted, is_late, expected) in [
            (Wanted::Any, true, vec!["a", "b"]),
            (Wanted::Number(1), false, vec!["a"]),
            (Wanted::Number(2), false, vec!["a", "b"]),
            (names(&["b", "a"]), false, vec!["b", "a"]),
        ] {
            let chosen = chosen(&wanted, &all, is_late).unwrap();
            let chosen: Vec<&str> = chosen.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(chosen, expected);
        }
        let words = |wanted: &Wanted, all: &[&Present]| match chosen(wanted, all, false) {
            Err(Short::Yet(yet)) => (yet.wanted, yet.missing, yet.busy),
            other => panic!("{other:?}"),
        };
        for (wanted, all, waits, missing, aside) in [
            (
                Wanted::Any,
                &[&busy][..],
                "agents",
                "no free agent",
                " (in another run: c)",
            ),
            (Wanted::Any, &[&a][..], "more agents", "", ""),
            (
                Wanted::Number(3),
                &all[..],
                "3 agents: 2 are there",
                "3 agents wanted, and 2 are free",
                " (in another run: c)",
            ),
            (
                names(&["a", "c"]),
                &all[..],
                "agent c",
                "no free agent c",
                " (in another run: c)",
            ),
            (
                names(&["d", "a", "e"]),
                &[&a][..],
                "agents d, e",
                "no free agents d, e",
                "",
            ),
        ] {
            let (told, why, others) = words(&wanted, all);
            assert_eq!((&*told, &*why, &*others), (waits, missing, aside));
        }
        // Late, and none is free.
        assert!(chosen(&Wanted::Any, &[&busy], true).is_err());
        for wanted in [names(&["a"]), Wanted::Any, Wanted::Number(2)] {
            let twice = chosen(&wanted, &[&a, &other], true);
            assert!(matches!(twice, Err(Short::Never(_))), "{twice:?}");
        }
    }
}
