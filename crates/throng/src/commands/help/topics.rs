//! The topics: documents of docs/ that the program carries. Each is a line here.

/// A document.
pub(crate) struct Topic {
    /// The word after `throng help`.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    /// Its text, in Markdown.
    pub text: &'static str,
}

macro_rules! topics {
    ($($name:literal: $about:literal,)*) => {
        /// Every topic, the most wanted first.
        pub(crate) const TOPICS: [Topic; [$($name),*].len()] = [$(Topic {
            name: $name,
            about: $about,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/", $name, ".md")),
        }),*];
    };
}

topics! {
    "messages": "Escapes, expressions and random strings in messages",
    "verdict": "When a run has reached what was asked for, and what --expect can say",
    "limits": "What limits the number of connections, and what lifts each limit",
    "scenario": "Scenario files and their keys",
    "diagnosis": "How a run finds out why it fell short",
    "summary": "The JSON summary, field by field",
    "sweep": "Sweeps: what varies, the trials, the files, and what a curve shows",
    "fleet": "Many machines, one experiment: agents, shares, losses, security",
    "probe": "Probes of what stands between two machines: timeouts, tables, options of TCP",
    "watch": "Watching a system under test: what is read, and what follows from it",
    "lab": "Hosts on one machine: how they are connected, and how commands run on them",
    "compare": "How results are compared, and what is told of them",
    "report": "Results as pages for a browser",
    "logs": "The files of --csv, --latency-log and --samples",
    "outputs": "Where else a run is reported: test reports, workflows, Prometheus, OpenTelemetry",
    "http": "HTTP: what is sent and counted, and what --mode http answers",
    "proxy": "throng proxy: how it chooses, what it passes on, what it counts",
    "mqtt": "MQTT: how connections are opened, what is counted, and what --mode mqtt answers",
    "tls": "TLS: options, sessions and memory",
    "tcpkali": "What differs from tcpkali",
    "vocabulary": "The words that throng uses",
}
