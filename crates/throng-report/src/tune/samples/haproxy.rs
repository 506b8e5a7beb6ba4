//! HAProxy: a TCP proxy.

use super::backends::Backends;
use super::sample::{Sample, comment, comment_at, head, rest_of_system};
use crate::human::count;
use std::fmt::Write;
use throng_core::tune::{Ask, Role};

pub(super) fn configuration(sample: &Sample) -> String {
    let n = sample.connections();
    let backends = Backends::for_connections(n);
    let mut text = head("HAProxy", sample, "haproxy -c -f FILE");
    text += "global\n";
    text += &comment_at(
        "    ",
        &format!(
            "Connections of clients. HAProxy opens a file for each end, 2 times {}, and some for itself, and raises its limit on \
             open files to that (ulimit-n) when it starts: as root, or with LimitNOFILE of its service.",
            count(n)
        ),
    );
    let _ = writeln!(text, "    maxconn {n}\ndefaults\n    mode tcp");
    text += "    timeout connect 5s\n";
    text += &comment_at(
        "    ",
        "Connections that are silent for longer are closed: more than the clients' own pings.",
    );
    text += "    timeout client 1h\n    timeout server 1h\n    timeout tunnel 1h\n";
    text += &comment_at(
        "    ",
        "A peer that is gone without a word is found by the kernel's keepalives (net.ipv4.tcp_keepalive_time).",
    );
    text += "    option clitcpka\n    option srvtcpka\n";
    text += "frontend clients\n";
    text += &comment_at(
        "    ",
        "maxconn bounds each frontend, too. backlog is the accept queue: more than net.core.somaxconn is cut to that.",
    );
    let _ = writeln!(
        text,
        "    bind :{} backlog {}\n    maxconn {n}\n    default_backend servers\nbackend servers\n    balance leastconn",
        sample.port(),
        sample.backlog()
    );
    text += &comment_at("    ", &backends.words(n));
    for (k, address) in backends.addresses() {
        let _ = writeln!(text, "    server s{k} {address}");
    }
    // A proxy has both ends, whatever was asked.
    let both = Sample {
        ask: Ask {
            role: Role::Both,
            ..sample.ask.clone()
        },
        ..sample.clone()
    };
    if sample.ask.role != Role::Both {
        text +=
            &comment("A proxy has two sockets for each connection: its machine's role is both.");
    }
    text + &rest_of_system(&both)
}
