//! The settings as flags for `docker run` and as a fragment for Compose, and the settings that only the host can
//! change.

use super::wrapped;
use crate::human;
use std::fmt::Write;
use throng_core::tune::{Ask, Kind, Scope, Setting};

const WIDTH: usize = 100;

/// The flags for a container that holds the connections of `ask`. `settings` are those for an unknown machine: a
/// container starts with the kernel's defaults, not with the host's values.
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
            "For a container that holds {}, role {}. With --network host it shares the host's settings, and \
             Docker refuses --sysctl net.*: tune the host instead.",
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
            "Only the host can change these, which apply to the whole machine. There, as root, \
             `throng tune --apply --role {} -c {}` raises those that are too low:",
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
        "If Docker's own limit is lower, it bounds --ulimit (systemctl show docker -p LimitNOFILE). With published \
         ports (-p), the host's conntrack tracks each connection, and connections from the host itself go through \
         docker-proxy.",
        "# ",
        WIDTH,
    );
    text
}
