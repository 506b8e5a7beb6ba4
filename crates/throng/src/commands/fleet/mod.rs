//! `throng fleet`: one load on many machines.

mod manifest;

mod agents;
mod args;
mod asked;
#[cfg(feature = "fleet")]
mod at_server;
#[cfg(feature = "fleet")]
mod attach;
#[cfg(feature = "fleet")]
mod logs;
#[cfg(feature = "fleet")]
pub(crate) mod nats;
#[cfg(feature = "fleet")]
mod office;
mod refusals;
#[cfg(feature = "fleet")]
mod status;
#[cfg(feature = "fleet")]
mod stop;

pub(crate) use args::Args;

use crate::files::token;
use crate::{Failure, ask};
use agents::{Agents, Allowed, Wanted};
use refusals::{check_outputs, refused};
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};
use throng_core::record::Record;
use throng_fleet::{Allow, Fleet, Terms, conduct, undividable};

/// Runs a load on a fleet. Returns the exit code.
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    if let Some(other) = &args.other {
        return other.run(grammar);
    }
    let agents = match (args.agents.as_slice(), agents::lab_around()) {
        #[cfg(feature = "fleet")]
        ([], _) if args.nats.url.is_some() => vec![Agents::Nats(Wanted::Any)],
        ([], Some(_)) => vec![Agents::Lab],
        ([], None) => {
            return Err(Failure::usage(
                "no agents: say which to start, as --agents local:4 or --agents ssh:a,b,c, or where some wait: --nats URL",
            ));
        }
        (named, _) => named.to_vec(),
    };
    let asked = asked::asked(&args.run, grammar)?;
    check_outputs(&asked.report)?;
    let token = args.token_file.as_deref().map(token).transpose()?;
    let latencies = asked.report.latencies.clone();
    let keys = false;
    asked.carry_out(
        keys,
        |scenario, attached, stop| -> Result<Record, Failure> {
            let targets: Vec<Allow> = scenario.addresses().into_iter().map(Allow::from).collect();
            let allowed = Allowed {
                remote: match args.allow.is_empty() {
                    true => targets.clone(),
                    false => args.allow.clone(),
                },
                local: targets,
            };
            let run = unique();
            #[cfg(feature = "fleet")]
            let mut meeting = at_server::Meeting::new(args, &run, token.as_deref());
            #[cfg(feature = "fleet")]
            let at_server = |wanted: &Wanted| meeting.find(wanted, attached, stop);
            #[cfg(not(feature = "fleet"))]
            let at_server = |_: &Wanted| {
                Err(Failure::usage(
                    "--agents nats: this throng was built without the feature fleet, which NATS needs",
                ))
            };
            let agents = agents::transports(&agents, &allowed, at_server)?;
            undividable(scenario, agents.len()).map_or(Ok(()), |why| Err(Failure::usage(why)))?;
            let terms = Terms {
                scenario: ask::file::text_of_load(scenario)?,
                connections: scenario.connections.most(),
                fit: args.fit,
                on_loss: args.on_loss.into(),
                lost_after: args.lost_after,
                token: token.clone(),
                latencies,
            };
            #[cfg(feature = "fleet")]
            let keeper = meeting.keep(scenario, &terms, agents.len(), attached, stop)?;
            #[cfg(not(feature = "fleet"))]
            let keeper = None;
            let fleet = Fleet {
                run: run.clone(),
                terms,
                agents,
                keeper,
                follows: None,
            };
            let over = conduct(fleet, &mut attached.observers, stop).map_err(refused)?;
            Ok(over.record)
        },
    )
}

/// A name that no other run has.
fn unique() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = since.unwrap_or_default().as_micros();
    // The process's hasher has a seed from the system.
    let random = RandomState::new().hash_one(0) as u32;
    format!("{started:x}-{random:08x}")
}
