//! The network of a lab: a bridge in throng's own namespace, and the hosts on it.

use super::args::Args;
use crate::Failure;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;
use throng_core::lab::{CONTROL, PREFIX};
use throng_core::units::Bandwidth;
use throng_host::links::{INSIDE, Links};
use throng_host::listeners;
use throng_host::supervised::Supervised;

/// What a host says once it is in its namespace, and once its network is up.
pub(super) const READY: &str = "ready";
pub(super) const UP: &str = "up";

const BRIDGE: &str = "lab";
/// A hardware address of our own: locally administered, to one host.
const HARDWARE: [u8; 6] = [0x02, 0x54, 0x48, 0x52, 0x4f, 0x4e];

/// The bridge.
pub(super) struct Network {
    links: Links,
}

impl Network {
    /// Makes it in the namespace that this process is in, with this share of packets lost on it.
    pub fn make(loss: Option<f64>) -> Result<Network, Failure> {
        let made = || {
            let mut links = Links::open()?;
            links.make_bridge(BRIDGE, HARDWARE)?;
            links.add_address(BRIDGE, CONTROL, PREFIX)?;
            links.bring_up(BRIDGE)?;
            Ok(links)
        };
        let links = made().map_err(|e: io::Error| {
            Failure::fault(format!("the lab's network can't be made: {e}"))
        })?;
        if let Some(share) = loss {
            lose(share)?;
        }
        Ok(Network { links })
    }

    /// Connects a host to it by the interface `name`, and waits until the host is up.
    pub fn join(
        &mut self,
        host: &mut Host,
        name: &str,
        rate: Option<Bandwidth>,
    ) -> Result<(), Failure> {
        let failed =
            |e: io::Error| Failure::fault(format!("{} can't be connected: {e}", host.name));
        let (pid, links) = (host.pid(), &mut self.links);
        links.make_pair(name, BRIDGE, INSIDE, pid).map_err(failed)?;
        if let Some(rate) = rate {
            links.limit_rate(name, rate.get() as u64).map_err(failed)?;
        }
        links.bring_up(name).map_err(failed)?;
        host.hear(UP)
    }
}

/// Has the bridge lose a share of what it forwards (nft(8)).
fn lose(share: f64) -> Result<(), Failure> {
    const PARTS: f64 = 1e6;
    let lost = (share * PARTS).round().max(1.0);
    let rules = format!(
        "table bridge throng_lab {{ chain loss {{ type filter hook forward priority 0; \
         ether type ip numgen random mod {PARTS} < {lost} drop; }}; }}"
    );
    let failed = |why: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "--loss needs nft(8), of the package nftables: {why}"
        ))
    };
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(&e))?;
    if let Some(mut stdin) = nft.stdin.take() {
        stdin.write_all(rules.as_bytes()).map_err(|e| failed(&e))?;
    }
    let said = nft.wait_with_output().map_err(|e| failed(&e))?;
    match said.status.success() {
        true => Ok(()),
        false => {
            let why = String::from_utf8_lossy(&said.stderr);
            Err(failed(&why.lines().next().unwrap_or("it failed")))
        }
    }
}

/// A host: a process in a network namespace of its own.
pub(super) struct Host {
    name: String,
    process: Supervised,
    said: Option<BufReader<ChildStdout>>,
}

impl Host {
    /// Starts it, and waits until it is in its namespace.
    pub fn start(
        program: &Path,
        name: &str,
        first: Ipv4Addr,
        args: &Args,
        serves: &[OsString],
    ) -> Result<Host, Failure> {
        let mut command = Command::new(program);
        command.args(["lab", "--become-host", &first.to_string()]);
        if name != "server" {
            command.arg(format!("--addresses={}", args.addresses));
            if let Some(rate) = args.rate_limit {
                command.arg(format!("--rate-limit={}Bps", rate.get()));
            }
        } else if args.serve.is_some() {
            command.arg("--long-queues");
        }
        if !serves.is_empty() {
            command.arg("--").args(serves);
        }
        let failed = |e| Failure::fault(format!("{name} of the lab can't be started: {e}"));
        let mut process =
            Supervised::start(command, Stdio::piped(), Stdio::inherit()).map_err(failed)?;
        let said = process.supervisor().stdout.take().map(BufReader::new);
        let mut host = Host {
            name: name.to_owned(),
            process,
            said,
        };
        host.hear(READY)?;
        Ok(host)
    }

    /// Waits until it says a word. Once it is up, all that it says is its server's output, which is passed on to stderr: stdout
    /// belongs to the command.
    fn hear(&mut self, word: &str) -> Result<(), Failure> {
        let mut line = String::new();
        let heard = match &mut self.said {
            Some(said) => said.read_line(&mut line).is_ok() && line.trim_end() == word,
            None => false,
        };
        if !heard {
            // It has said on stderr why.
            return Err(Failure::fault(format!("{} of the lab failed", self.name)));
        }
        if word == UP
            && let Some(mut said) = self.said.take()
        {
            thread::spawn(move || io::copy(&mut said, &mut io::stderr()));
        }
        Ok(())
    }

    /// The process that keeps its namespace.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether something listens in its namespace.
    pub fn listens(&self) -> bool {
        listeners::any_of(self.pid())
    }

    /// Whether its server, or the host itself, has ended.
    pub fn has_ended(&mut self) -> Result<bool, Failure> {
        let status = self.process.status();
        Ok(status
            .map_err(|e| Failure::fault(format!("{}: {e}", self.name)))?
            .is_some())
    }

    /// Ends it with what runs on it.
    pub fn end(self, grace: Duration) -> Result<(), Failure> {
        let name = self.name;
        self.process
            .end(grace)
            .map_err(|e| Failure::fault(format!("{name}: {e}")))
    }
}
