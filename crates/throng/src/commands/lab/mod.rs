//! `throng lab`: hosts on this machine, each a network namespace on one bridge, and a command among them.
//!
//! The bridge is in a namespace that throng enters itself, so the machine's own network is left alone. A process keeps each
//! namespace; all of them end when throng does, whatever ends it, and with the last process in it a namespace is gone.

mod args;
mod member;
mod network;
mod words;

pub(crate) use args::Args;

use crate::{Failure, command_line, signals};
use network::{Host, Network};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::lab::{Lab, SERVER, VARIABLE};
use throng_host::own_network;
use throng_host::supervised::{Supervised, shell};
use throng_run::Stop;

/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long a server may take to listen.
const STARTS: Duration = Duration::from_secs(10);
/// How long one may take to end after SIGTERM: one with a million connections closes them first.
const ENDS: Duration = Duration::from_secs(60);
/// What is to be known of a command where links are slow or lossy.
const BESIDE: &str = "throng: the command's own link is neither slow nor lossy: those are the hosts'; `throng lab --on 1 -- ...` in it is on one of them";
/// The exit code of a lab without a command that is interrupted, which is how it ends.
const INTERRUPTED: u8 = 130;

/// Makes the lab, runs the command, and takes the lab down. Returns the command's exit code.
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let words = words::of_command(&args.command, grammar)?;
    if let Some(address) = args.become_host {
        return member::be(address, args, &words);
    }
    if let Some(host) = &args.on {
        return member::run_on(host, &words);
    }
    let program = command_line::program()?;
    let serves = match (&args.serve, &args.start) {
        (Some(mode), _) => {
            let words = words::of_server(*mode, args.port, &args.messages, grammar)?;
            [vec![program.clone().into_os_string()], words].concat()
        }
        (None, Some(script)) => shell(&script.replace("{server}", &SERVER.to_string())).into(),
        (None, None) => Vec::new(),
    };
    own_network::enter().map_err(Failure::usage)?;
    let mut network = Network::make(args.loss)?;
    let stop = signals::stop()?;
    let mut server = Host::start(&program, "server", SERVER, args, &serves)?;
    let mut hosts = Vec::new();
    for nth in 1..=args.hosts.unwrap_or_default() {
        let (name, address) = (format!("host {nth}"), throng_core::lab::address(nth, 1));
        hosts.push(Host::start(&program, &name, address, args, &[])?);
    }
    network.join(&mut server, "server", None)?;
    for (nth, host) in hosts.iter_mut().enumerate() {
        network.join(host, &format!("host{}", nth + 1), args.rate_limit)?;
    }
    let lab = Lab {
        server: server.pid(),
        hosts: hosts.iter().map(Host::pid).collect(),
    };
    if !serves.is_empty() {
        wait_for(&mut server, args, &stop)?;
    }
    let code = match words.is_empty() {
        true => stand(&lab, &stop),
        false => {
            let bad_links = args.rate_limit.is_some() || args.loss.is_some();
            if bad_links && words.first().is_some_and(|word| word != "fleet") {
                eprintln!("{BESIDE}");
            }
            let mut command = Command::new(&program);
            command.args(["supervise", "--"]).args(&words);
            command.env(VARIABLE, lab.to_string());
            conduct(command, &mut server, !serves.is_empty(), &stop)?
        }
    };
    // A server of throng's says now what it counted. A host without one has nothing to say, and ends with this process.
    if !serves.is_empty() {
        server.end(ENDS)?;
    }
    Ok(code)
}

/// Waits until something listens on the server's host.
fn wait_for(server: &mut Host, args: &Args, stop: &Stop) -> Result<(), Failure> {
    let until = Instant::now() + STARTS;
    while !server.listens() {
        let name = match &args.start {
            Some(script) => format!("--start '{script}'"),
            None => "--serve".into(),
        };
        if server.has_ended()? {
            return Err(Failure::fault(format!("{name} ended before it listened")));
        }
        if stop.is_requested() || Instant::now() > until {
            return Err(Failure::fault(format!(
                "{name} listens nowhere on its host after {} s",
                STARTS.as_secs()
            )));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Says how to get at the hosts, and waits to be interrupted.
fn stand(lab: &Lab, stop: &Stop) -> u8 {
    eprintln!("throng: the lab stands until Ctrl-C; the server's host is {SERVER}");
    eprintln!("throng: to run a command on a host, from a terminal:");
    eprintln!("    export {VARIABLE}={lab}; throng lab --on 1 -- COMMAND");
    while !stop.is_requested() {
        thread::sleep(LOOK);
    }
    INTERRUPTED
}

/// Runs the command until it ends, or asks it to end. Returns its exit code.
fn conduct(command: Command, server: &mut Host, serves: bool, stop: &Stop) -> Result<u8, Failure> {
    let failed = |e: std::io::Error| Failure::fault(format!("can't run the command: {e}"));
    let mut running =
        Supervised::start(command, Stdio::inherit(), Stdio::inherit()).map_err(failed)?;
    let (mut asked, mut told) = (false, !serves);
    loop {
        if let Some(status) = running.status().map_err(failed)? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.unwrap_or(1));
        }
        if stop.is_requested() && !asked {
            running.end_softly();
            asked = true;
        }
        if !told && server.has_ended()? {
            eprintln!("throng: the server of the lab has ended");
            told = true;
        }
        thread::sleep(LOOK);
    }
}
