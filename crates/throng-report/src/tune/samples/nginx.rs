//! nginx: a web server that answers by itself, or a proxy of connections that last (WebSocket).

use super::backends::Backends;
use super::sample::{Sample, comment, comment_at, head, rest_of_system};
use crate::human::count;
use std::fmt::Write;
use throng_core::tune::Role;

/// A worker's connections besides those of clients: listeners, the resolver.
const OTHERS: u64 = 64;
/// A worker's files besides its connections: logs, libraries, epoll.
const OTHER_FILES: u64 = 1024;

pub(super) fn configuration(sample: &Sample) -> String {
    let n = sample.connections();
    let workers = sample.cores.max(1) as u64;
    let is_proxy = sample.ask.role == Role::Both;
    let (each, sockets) = match is_proxy {
        true => (
            2,
            " times 2 (a proxy has a connection to a client and one to a server)",
        ),
        false => (1, ""),
    };
    let share = (n * each).div_ceil(workers);
    let connections = share + share.div_ceil(4) + OTHERS;
    let mut text = head("nginx", sample, "nginx -t -c FILE");
    text += &comment(&format!(
        "One worker for each of {workers} cores. worker_connections is per worker: {} / {workers}{sockets}, a quarter more because the \
         kernel does not spread connections evenly, and {OTHERS} for listeners. Each is a file; {} more are for logs and \
         libraries.",
        count(n),
        count(OTHER_FILES)
    ));
    let _ = writeln!(
        text,
        "worker_processes {workers};\nworker_rlimit_nofile {};\nevents {{\n    worker_connections {connections};\n}}",
        connections + OTHER_FILES
    );
    text += "http {\n    access_log off;\n";
    text += &comment_at(
        "    ",
        "A connection that sends nothing is closed after client_header_timeout, one between requests after \
         keepalive_timeout (60 and 75 s by default), or after its thousandth request (keepalive_requests).",
    );
    text += "    client_header_timeout 1h;\n    keepalive_timeout 1h;\n    keepalive_requests 1000000000;\n";
    let listen = format!(
        "    server {{\n{}        listen {} reuseport backlog={} so_keepalive=5m:15s:4;\n",
        comment_at(
            "        ",
            "A client that is gone without a word: the kernel asks after 5 minutes, then 4 times within a minute.",
        ),
        sample.port(),
        sample.backlog()
    );
    if is_proxy {
        let backends = Backends::for_connections(n);
        text += &comment_at("    ", &backends.words(n));
        text += "    upstream servers {\n";
        for (_, address) in backends.addresses() {
            let _ = writeln!(text, "        server {address};");
        }
        text += "    }\n";
        text += &listen;
        text += "        location / {\n            proxy_pass http://servers;\n";
        text += &comment_at(
            "            ",
            "WebSocket: the connection to the server lasts as long as the client's.",
        );
        text += "            proxy_http_version 1.1;\n            proxy_set_header Upgrade $http_upgrade;\n            \
                 proxy_set_header Connection upgrade;\n            proxy_read_timeout 1h;\n            proxy_send_timeout 1h;\n";
    } else {
        text += &listen;
        text += "        location / {\n            return 200 \"ok\\n\";\n";
    }
    text += "        }\n    }\n}\n";
    text += &comment(
        "backlog is the accept queue: more than net.core.somaxconn is cut to that, without a word. With reuseport each worker \
         has a queue of its own.",
    );
    text + &rest_of_system(sample)
}
