//! Programs that others have written, as peers.
//!
//! One that is not installed fails its test; scripts/test installs them.

use super::net::Net;
use super::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// Where scripts/test puts what is not from Debian.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target");

/// A command for `program`, wherever it is installed.
pub fn installed(net: &Net, program: &str) -> Command {
    net.command(place(program).to_str().expect("a plain path"))
}

/// Where `program` is installed.
pub fn place(program: &str) -> PathBuf {
    // Daemons live where an ordinary user's PATH does not lead.
    let path = format!(
        "{}:/usr/local/sbin:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let mut found = path.split(':').map(|d| Path::new(d).join(program));
    found
        .find(|p| p.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed: run scripts/test"))
}

/// Starts a peer that listens on `port`, and waits until it does.
pub fn start_server(net: &Net, program: &str, args: &[&str], port: u16) -> Process {
    let mut command = installed(net, program);
    command.args(args);
    let mut server = Process::start(format!("{program} {}", args.join(" ")), command);
    server.wait_for_listener(net, port);
    server
}

/// A peer's program from `tests/peers`.
pub fn source(name: &str) -> String {
    format!("{PEERS}/{name}")
}

/// A command that runs a peer's program from `tests/peers`, which may use libraries from npm or PyPI.
pub fn script(net: &Net, name: &str) -> Command {
    let libraries = |place: &str| {
        let path = PathBuf::from(INSTALLED).join(place);
        assert!(path.exists(), "{place} is not installed: run scripts/test");
        path
    };
    let mut command = match name.rsplit_once('.') {
        Some((_, "py")) => {
            let python = libraries("python/bin/python");
            let mut command = net.command(python.to_str().expect("a plain path"));
            // Unbuffered: what it prints is there at once.
            command.arg("-u");
            command
        }
        Some((_, "js")) => {
            let mut command = installed(net, "node");
            command.env("NODE_PATH", libraries("npm/ws/node_modules"));
            command
        }
        _ => panic!("{name} is neither Python nor JavaScript"),
    };
    command.arg(source(name));
    command
}

/// A command that runs a script of `tests/browser`, which drives a browser.
pub fn browser(net: &Net, script: &str) -> Command {
    let mut command = installed(net, "node");
    command.env("CHROMIUM", place("chromium"));
    command.env("LIBRARIES", Path::new(INSTALLED).join("npm"));
    command.arg(source(&format!("../browser/{script}")));
    command
}

/// Starts such a program.
pub fn start_script(net: &Net, name: &str, args: &[&str]) -> Process {
    let mut command = script(net, name);
    command.args(args);
    Process::start(format!("{name} {}", args.join(" ")), command)
}

/// Starts such a program that listens on `port`, and waits until it does.
pub fn serve_script(net: &Net, name: &str, port: u16, args: &[&str]) -> Process {
    let port_text = port.to_string();
    let mut server = start_script(net, name, &[&[port_text.as_str()], args].concat());
    server.wait_for_listener(net, port);
    server
}

/// The lines of JSON that such a server prints about `n` connections that are gone.
pub fn said(server: &Process, n: usize) -> Vec<serde_json::Value> {
    let lines = server.wait_for_lines("{", n);
    let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    lines.iter().map(read).collect()
}
