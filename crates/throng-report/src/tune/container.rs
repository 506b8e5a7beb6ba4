//! The settings as flags for `docker run` and a fragment for Compose, and what only the host can change.

use super::wrapped;
use crate::human;
use std::fmt::Write;
use throng_core::tune::{Ask, Kind, Scope, Setting};

const WIDTH: usize = 100;

/// The flags for a container that is to hold what is asked. `settings` are those for a machine of which
/// nothing is known: a container begins with the kernel's own values, not with the host's.
pub fn container(ask: &Ask, settings: &[Setting]) -> String {
    let asked = |s: &&Setting| s.with.is_none_or(|extra| ask.with.contains(&extra));
    let sysctls: Vec<&Setting> = settings
        .iter()
        .filter(asked)
        .filter(|s| s.kind == Kind::Sysctl && s.scope == Scope::Namespace && !s.wanted.is_empty())
        .collect();
    let limit = settings.iter().find(|s| s.kind == Kind::FileLimit);
    let limit = limit.and_then(|s| s.wanted.split_once(' '));

    let mut text = wrapped(
        &format!(
            "For a container that holds {}, role {}. With --network host it has the host's settings, and Docker \
             refuses --sysctl net.*: then tune the host.",
            human::things(ask.connections.into(), "connection"),
            ask.role.name()
        ),
        "# ",
        WIDTH,
    );
    text += "docker run \\\n";
    for setting in &sysctls {
        let _ = writeln!(
            text,
            "    --sysctl '{}={}' \\",
            setting.name, setting.wanted
        );
    }
    if let Some((soft, hard)) = limit {
        let _ = writeln!(text, "    --ulimit nofile={soft}:{hard} \\");
    }
    text += "    IMAGE\n\n# The same for Compose (compose.yaml):\nservices:\n  NAME:\n    image: IMAGE\n";
    if !sysctls.is_empty() {
        text += "    sysctls:\n";
    }
    for setting in &sysctls {
        let _ = writeln!(text, "      {}: \"{}\"", setting.name, setting.wanted);
    }
    if let Some((soft, hard)) = limit {
        let _ = writeln!(
            text,
            "    ulimits:\n      nofile:\n        soft: {soft}\n        hard: {hard}"
        );
    }

    text.push('\n');
    text += &wrapped(
        &format!(
            "Only the host can change these: they hold for the whole machine. There, as root, \
             `throng tune --apply --role {} -c {}` raises those that are lower:",
            ask.role.name(),
            ask.connections
        ),
        "# ",
        WIDTH,
    );
    for setting in settings.iter().filter(asked) {
        if setting.kind == Kind::Sysctl && setting.scope == Scope::Machine {
            let _ = writeln!(text, "#     {} = {}", setting.name, setting.wanted);
        }
    }
    text += &wrapped(
        "Docker's own limit bounds --ulimit, if it is lower (systemctl show docker -p LimitNOFILE). With published \
         ports (-p) each connection is tracked by the host's conntrack, and goes through docker-proxy if it comes \
         from the host itself.",
        "# ",
        WIDTH,
    );
    text
}
