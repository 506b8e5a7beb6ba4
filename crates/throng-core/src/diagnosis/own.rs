//! What programs call their own limit on connections.

use super::evidence::{Evidence, Listening};
use crate::host::Process;

/// Programs, by what the names of their processes begin with, and the setting that bounds their connections.
const SETTINGS: [(&str, &str); 11] = [
    ("nginx", "worker_connections"),
    ("haproxy", "maxconn"),
    ("node", "server.maxConnections"),
    ("apache2", "MaxRequestWorkers"),
    ("httpd", "MaxRequestWorkers"),
    ("postgres", "max_connections"),
    ("mysqld", "max_connections"),
    ("mariadbd", "max_connections"),
    ("mosquitto", "max_connections"),
    ("redis-server", "maxclients"),
    ("memcached", "-c"),
];

/// What is said where the program is not known.
const EXAMPLES: &str = "nginx worker_connections, HAProxy maxconn, max_connections";

/// What bounds the connections of `process` by its own configuration; `None` if that is not known.
pub(super) fn setting(process: &Process) -> Option<&'static str> {
    let all = SETTINGS.into_iter();
    let mut of = all.filter(|(program, _)| process.name.starts_with(program));
    of.next().map(|(_, setting)| setting)
}

/// A process that accepts connections to the targets; `None` if none can be seen.
pub(super) fn server(e: &Evidence) -> Option<&Process> {
    let listeners = e.targets.iter().flat_map(|t| &t.listeners);
    listeners.flat_map(|l| &l.processes).next()
}

/// The target, with its process where that can be seen, and in brackets what its limit is called.
pub(super) fn named(e: &Evidence) -> (String, String) {
    match server(e) {
        Some(process) => (
            format!(
                "the target's process {} (pid {})",
                process.name, process.pid
            ),
            setting(process).map_or(String::new(), |setting| format!(" ({setting})")),
        ),
        None => ("the target".into(), format!(" ({EXAMPLES})")),
    }
}

/// Whether all processes that accept from `listener` can be seen, and have files left.
pub(super) fn has_files_left(listener: &Listening) -> bool {
    let left = |process: &Process| process.files_open < process.file_limit;
    !listener.processes.is_empty() && listener.processes.iter().all(left)
}
