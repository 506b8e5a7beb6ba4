//! Docker: a file for Compose.

use super::sample::{Sample, comment, comment_at, head};
use crate::human::{count, things};
use std::fmt::Write;
use throng_core::tune::{Scope, wanted_files};

pub(super) fn configuration(sample: &Sample) -> String {
    let files = wanted_files(&sample.ask);
    let mut text = head("A container", sample, "docker compose -f FILE config");
    text += &comment("throng tune --container prints the same as flags of docker run.");
    let _ = writeln!(
        text,
        "services:\n  server:\n    image: IMAGE\n    ports: [\"{0}:{0}\"]",
        sample.port()
    );
    text += &comment_at(
        "    ",
        "A container begins with the kernel's defaults, not with the host's values.",
    );
    text += "    sysctls:\n";
    for (name, value) in sample.sysctls(Scope::Namespace) {
        let _ = writeln!(text, "      {name}: \"{value}\"");
    }
    text += &comment_at(
        "    ",
        &format!(
            "{}, and {} other files. The daemon's own limit bounds it (systemctl show docker -p LimitNOFILE).",
            things(sample.ask.ends(), "socket"),
            count(files - sample.ask.ends())
        ),
    );
    let _ = writeln!(
        text,
        "    ulimits:\n      nofile:\n        soft: {files}\n        hard: {files}"
    );
    text += &comment(
        "Published ports are tracked by the host's conntrack and, from the host itself, pass docker-proxy; network_mode: host has \
         neither, and then the host's sysctls count, and none may be set here.",
    );
    text += &comment("Only the host can change these, which apply to the whole machine:");
    for (name, wanted) in sample.sysctls(Scope::Machine) {
        let _ = writeln!(text, "#     {name} = {wanted}");
    }
    text
}
