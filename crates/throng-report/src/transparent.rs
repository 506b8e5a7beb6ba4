//! The script that prepares a machine for a transparent proxy, and the one that undoes it.

use std::net::SocketAddr;
use throng_core::transparent;

/// The script that makes this machine receive the answers of `backends` to clients' addresses.
pub fn rules(backends: &[SocketAddr]) -> String {
    let what = "\
# For throng proxy --transparent, as root: answers of backends to clients' addresses are delivered to the proxy.
# The same command with --print-rules=undo prints what undoes this.
# Backends have to send these answers here: ip route add CLIENTS via ADDRESS-OF-THIS-MACHINE
";
    script(what, &transparent::rules(backends))
}

/// The script that undoes [`rules`].
pub fn undone(backends: &[SocketAddr]) -> String {
    let what = "# Undoes what throng proxy --transparent --print-rules sets up, as root.\n";
    script(what, &transparent::undone(backends))
}

fn script(what: &str, commands: &[String]) -> String {
    let commands = commands.iter().map(|command| format!("{command}\n"));
    format!("{what}set -e\n{}", commands.collect::<String>())
}
