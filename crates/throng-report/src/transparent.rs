//! The script that prepares a machine for a transparent proxy, and the one that undoes it.

use throng_core::transparent::{self, Delivered};

/// The script that makes this machine deliver `what` to the proxy.
pub fn rules(what: &Delivered) -> String {
    let mut says = "\
# For throng proxy --transparent and --to original, as root. The same command with --print-rules=undo prints what undoes this.
"
    .to_owned();
    if !what.answers.is_empty() {
        says += "\
# Answers of backends to clients' addresses are delivered to the proxy.
# Backends have to send these answers here: ip route add CLIENTS via ADDRESS-OF-THIS-MACHINE
";
    }
    if !what.clients.is_empty() {
        says += "\
# All TCP connections that pass through this machine are led to the proxy. To leave some alone, add a condition to the rule
# with tproxy, such as tcp dport 80. Clients have to send their packets here, and the backends their answers.
";
    }
    script(&says, &transparent::rules(what))
}

/// The script that undoes [`rules`].
pub fn undone(what: &Delivered) -> String {
    let says = "# Undoes what throng proxy --print-rules sets up, as root.\n";
    script(says, &transparent::undone(what))
}

fn script(says: &str, commands: &[String]) -> String {
    let commands = commands.iter().map(|command| format!("{command}\n"));
    format!("{says}set -e\n{}", commands.collect::<String>())
}
