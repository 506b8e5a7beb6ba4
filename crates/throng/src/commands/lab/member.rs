//! A process on a host of the lab: the one that keeps its namespace, and those that are sent there.

use super::args::Args;
use super::network::{READY, UP};
use crate::Failure;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use throng_core::lab::{Lab, PREFIX, VARIABLE};
use throng_host::links::{INSIDE, Links, exists};
use throng_host::own_network;
use throng_host::supervised::supervise;

/// How often it is looked whether the interface has come, and how long it may take to come.
const LOOK: Duration = Duration::from_millis(1);
const COMES: Duration = Duration::from_secs(30);

/// What bounds the connections that wait to be accepted, in this process's namespace: those of hundreds of hosts come at once, while
/// all hosts share the processors of one machine. The connection of a client whose last packet of the handshake found no room is
/// established for that client, and not for the server.
const QUEUES: [&str; 2] = [
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/ipv4/tcp_max_syn_backlog",
];
const LONG: &str = "65535";

/// Is a host: enters a namespace, waits for its interface, sets it up, and keeps all until stdin ends. Runs `serves` meanwhile, if it
/// is the server's.
pub(super) fn be(first: Ipv4Addr, args: &Args, serves: &[OsString]) -> Result<u8, Failure> {
    own_network::enter().map_err(Failure::usage)?;
    say(READY)?;
    let until = Instant::now() + COMES;
    while !exists(INSIDE) {
        if Instant::now() > until {
            return Err(Failure::fault(format!("{first} has got no interface")));
        }
        thread::sleep(LOOK);
    }
    set_up(first, args).map_err(|e| Failure::fault(format!("{first} can't be set up: {e}")))?;
    say(UP)?;
    if !serves.is_empty() {
        return supervise(serves).map_err(|e| Failure::fault(format!("{first}: {e}")));
    }
    // Orders to end softly are for commands.
    let mut order = [0];
    while io::stdin().read(&mut order).is_ok_and(|n| n > 0) {}
    Ok(0)
}

fn set_up(first: Ipv4Addr, args: &Args) -> io::Result<()> {
    if args.long_queues {
        for setting in QUEUES {
            // What can't be set, as where /proc is read-only, stays as it is: connections then wait for room.
            let _ = fs::write(setting, LONG);
        }
    }
    let mut links = Links::open()?;
    for nth in 0..args.addresses {
        let address = Ipv4Addr::from(u32::from(first) + nth);
        links.add_address(INSIDE, address, PREFIX)?;
    }
    if let Some(rate) = args.rate_limit {
        links.limit_rate(INSIDE, rate.get() as u64)?;
    }
    links.bring_up(INSIDE)
}

fn say(word: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let said = writeln!(stdout, "{word}").and_then(|()| stdout.flush());
    said.map_err(|e| Failure::fault(format!("stdout: {e}")))
}

/// Runs a command on a host of the lab that this process is in: becomes it.
pub(super) fn run_on(host: &str, words: &[OsString]) -> Result<u8, Failure> {
    let lab = std::env::var(VARIABLE).map_err(|_| {
        Failure::usage(format!(
            "--on: there is no lab here: {VARIABLE} is not set; `throng lab N -- COMMAND` sets it for COMMAND"
        ))
    })?;
    let lab: Lab = lab.parse().map_err(Failure::usage)?;
    let pid = match host {
        "server" => Some(lab.server),
        _ => host
            .parse::<usize>()
            .ok()
            .and_then(|nth| lab.hosts.get(nth.checked_sub(1)?).copied()),
    };
    let Some(pid) = pid else {
        return Err(Failure::usage(format!(
            "--on {host}: this lab has the hosts 1 to {}, and `server`",
            lab.hosts.len()
        )));
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage(
            "--on: what to run there is missing; add -- COMMAND",
        ));
    };
    own_network::join(pid).map_err(Failure::usage)?;
    let error = Command::new(program).args(arguments).exec();
    Err(Failure::usage(format!("{}: {error}", program.display())))
}
