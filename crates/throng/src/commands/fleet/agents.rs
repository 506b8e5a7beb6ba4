//! Which agents a fleet has: a way to start some of them is a line of `parse` and a branch of `transports`.

use crate::{Failure, command_line};
use std::collections::HashMap;
use std::process::Command;
use std::str::FromStr;
use throng_core::lab::{Lab, VARIABLE};
use throng_fleet::{Allow, Command as Child, Transport};

/// The most agents that one option starts on this machine.
const MOST_LOCAL: u32 = 256;

/// Some agents, as one option names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agents {
    /// So many processes on this machine.
    Local(u32),
    /// One on each of these machines, over ssh(1).
    Ssh(Vec<String>),
    /// What this command starts.
    Exec(String),
    /// One on each host of the lab around (`throng lab`).
    Lab,
    /// Those that wait at a NATS server.
    Nats(Wanted),
}

/// Which agents at a NATS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that are free.
    Any,
    /// So many.
    Number(u32),
    /// Those of these names.
    Names(Vec<String>),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        match text.parse() {
            Ok(0) => Err("'nats:0': write a number from 1 on, as nats:4".into()),
            Ok(n) => Ok(Wanted::Number(n)),
            Err(_) if names.iter().any(String::is_empty) => Err(format!(
                "'nats:{text}': write a number or names of agents, as nats:4 or nats:a,b"
            )),
            Err(_) => Ok(Wanted::Names(names)),
        }
    }
}

impl FromStr for Agents {
    type Err = String;

    fn from_str(text: &str) -> Result<Agents, String> {
        let wrong = || {
            format!(
                "'{text}' names no agents; write local:4, ssh:HOST,HOST, exec:'COMMAND', lab or nats:4"
            )
        };
        match text {
            "lab" => return Ok(Agents::Lab),
            "nats" => return Ok(Agents::Nats(Wanted::Any)),
            _ => {}
        }
        match text.split_once(':').ok_or_else(wrong)? {
            ("local", n) => match n.parse() {
                Ok(n @ 1..=MOST_LOCAL) => Ok(Agents::Local(n)),
                _ => Err(format!(
                    "'{text}': write a number from 1 to {MOST_LOCAL}, as local:4"
                )),
            },
            ("ssh", hosts) => {
                let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
                // A host that begins so would be an option of ssh.
                match hosts
                    .iter()
                    .any(|host| host.is_empty() || host.starts_with('-'))
                {
                    true => Err(format!("'{text}': write names of hosts, as ssh:a,b")),
                    false => Ok(Agents::Ssh(hosts)),
                }
            }
            ("nats", which) => which.parse().map(Agents::Nats),
            ("exec", command) if !command.trim().is_empty() => Ok(Agents::Exec(command.to_owned())),
            _ => Err(wrong()),
        }
    }
}

/// What agents that are started here are allowed to load.
pub(super) struct Allowed {
    /// Those on this machine: the targets that its user has named.
    pub local: Vec<Allow>,
    /// Those that are started on others.
    pub remote: Vec<Allow>,
}

/// The lab that this process is in, if it is in one; an error if it can't be read.
pub(super) fn lab_around() -> Option<Result<Lab, String>> {
    let text = std::env::var_os(VARIABLE)?;
    Some(text.to_string_lossy().parse())
}

/// Ways to all these agents. Each has a name of its own.
pub(super) fn transports(
    all: &[Agents],
    allowed: &Allowed,
    mut at_server: impl FnMut(&Wanted) -> Result<Vec<Box<dyn Transport>>, Failure>,
) -> Result<Vec<Box<dyn Transport>>, Failure> {
    let program = command_line::program()?;
    let mut started: Vec<Box<dyn Transport>> = Vec::new();
    for agents in all {
        if let Agents::Nats(wanted) = agents {
            started.extend(at_server(wanted)?);
        }
    }
    let mut named: HashMap<String, u32> = HashMap::new();
    let mut add = |name: String, command: Command| {
        let same = named.entry(name.clone()).or_default();
        *same += 1;
        let name = match same {
            1 => name,
            n => format!("{name}#{n}"),
        };
        started.push(Box::new(Child::new(name, command)));
    };
    let (mut locals, mut commands) = (0, 0);
    for agents in all {
        match agents {
            Agents::Local(n) => {
                for _ in 0..*n {
                    locals += 1;
                    let mut command = Command::new(&program);
                    command.args(words(&allowed.local));
                    add(format!("local-{locals}"), command);
                }
            }
            Agents::Ssh(hosts) => {
                for host in hosts {
                    let mut command = Command::new("ssh");
                    // The far shell splits the line again.
                    let far = words(&allowed.remote)
                        .into_iter()
                        .map(|word| format!("'{word}'"));
                    let far: Vec<String> =
                        std::iter::once("throng".to_owned()).chain(far).collect();
                    command.args(["-T", "-o", "BatchMode=yes", host, &far.join(" ")]);
                    add(host.clone(), command);
                }
            }
            Agents::Exec(line) => {
                commands += 1;
                let mut command = Command::new("sh");
                // No shell is left in between that would hold the pipes open.
                command.args(["-c", &format!("exec {line}")]);
                add(format!("exec-{commands}"), command);
            }
            Agents::Lab => {
                let lab = lab_around()
                    .ok_or_else(|| {
                        Failure::usage(format!(
                            "--agents lab: there is no lab here: {VARIABLE} is not set; write throng lab 4 -- fleet run ..."
                        ))
                    })?
                    .map_err(Failure::usage)?;
                for nth in 1..=lab.hosts.len() {
                    let mut command = Command::new(&program);
                    command.args(["lab", "--on", &nth.to_string(), "--"]);
                    command.args(words(&allowed.local));
                    add(format!("host-{nth}"), command);
                }
            }
            // They are there already.
            Agents::Nats(_) => {}
        }
    }
    Ok(started)
}

/// The command line of an agent, without the program.
fn words(allow: &[Allow]) -> Vec<String> {
    let allow = allow
        .iter()
        .flat_map(|a| ["--allow".to_owned(), a.to_string()]);
    ["agent", "--stdio"]
        .into_iter()
        .map(str::to_owned)
        .chain(allow)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_named_by_where_they_are() {
        let hosts = |names: &[&str]| Agents::Ssh(names.iter().map(|n| (*n).to_owned()).collect());
        for (text, agents) in [
            ("local:4", Agents::Local(4)),
            ("ssh:a,user@b", hosts(&["a", "user@b"])),
            ("exec:x -y", Agents::Exec("x -y".into())),
            ("lab", Agents::Lab),
            ("nats", Agents::Nats(Wanted::Any)),
            ("nats:4", Agents::Nats(Wanted::Number(4))),
            (
                "nats:a,b",
                Agents::Nats(Wanted::Names(vec!["a".into(), "b".into()])),
            ),
        ] {
            assert_eq!(text.parse(), Ok(agents));
        }
        for text in [
            "",
            "local",
            "local:0",
            "local:257",
            "local:x",
            "ssh:",
            "ssh:a,,b",
            "ssh:-oProxyCommand=x",
            "exec: ",
            "nats:0",
            "nats:",
            "nats:a,,b",
            "lab:2",
        ] {
            let error = text.parse::<Agents>().unwrap_err();
            assert!(
                ["local:4", "ssh:a,b", "nats:4"]
                    .iter()
                    .any(|right| error.contains(right)),
                "{error}"
            );
        }
    }

    #[test]
    fn each_agent_has_a_name_of_its_own() {
        let allowed = Allowed {
            local: Vec::new(),
            remote: Vec::new(),
        };
        let all: Vec<Agents> = ["local:2", "ssh:a,b,a", "local:1", "exec:x", "exec:y"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let Ok(started) = transports(&all, &allowed, |_| Ok(Vec::new())) else {
            panic!("this program has a file");
        };
        let names: Vec<&str> = started.iter().map(|t| t.name()).collect();
        assert_eq!(
            names,
            [
                "local-1", "local-2", "a", "b", "a#2", "local-3", "exec-1", "exec-2"
            ]
        );
    }
}
