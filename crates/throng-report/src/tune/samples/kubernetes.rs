//! Kubernetes: a Deployment with the sysctls that a pod may set.

use super::sample::{Sample, comment, comment_at, head};
use crate::human::{count, things};
use std::fmt::Write;
use throng_core::tune::{Scope, wanted_files};

/// The sysctls that any pod may set (Kubernetes' "safe" ones), and since which version, unless it is an old one.
const SAFE: &[(&str, &str)] = &[
    ("net.ipv4.ip_local_port_range", ""),
    ("net.ipv4.tcp_syncookies", ""),
    ("net.ipv4.ip_local_reserved_ports", "1.27"),
    ("net.ipv4.tcp_fin_timeout", "1.29"),
];

pub(super) fn configuration(sample: &Sample) -> String {
    let mut text = head(
        "A Deployment",
        sample,
        "kubectl apply --dry-run=server -f FILE",
    );
    let (safe, unsafe_): (Vec<_>, Vec<_>) = sample
        .sysctls(Scope::Namespace)
        .into_iter()
        .partition(|(name, _)| SAFE.iter().any(|(safe, _)| safe == name));
    text += "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: server\nspec:\n  replicas: 1\n  selector:\n    \
             matchLabels: {app: server}\n  template:\n    metadata:\n      labels: {app: server}\n    spec:\n";
    if !safe.is_empty() {
        text += "      securityContext:\n        sysctls:\n";
    }
    for (name, value) in &safe {
        let since = SAFE.iter().find(|(safe, _)| safe == name);
        let since = match since {
            None | Some((_, "")) => String::new(),
            Some((_, since)) => format!(" # Kubernetes {since} or later"),
        };
        let _ = writeln!(
            text,
            "          - {{name: {name}, value: \"{value}\"}}{since}"
        );
    }
    if !unsafe_.is_empty() {
        let names: Vec<&str> = unsafe_.iter().map(|(name, _)| name.as_str()).collect();
        text += &comment_at(
            "          ",
            &format!(
                "A pod with these below securityContext.sysctls is refused, unless the node's kubelet allows them: \
                 --allowed-unsafe-sysctls={}",
                names.join(",")
            ),
        );
    }
    for (name, value) in &unsafe_ {
        let _ = writeln!(text, "          # - {{name: {name}, value: \"{value}\"}}");
    }
    let files = wanted_files(&sample.ask);
    let memory = sample.ask.ends() * 5 / 1024 + 64;
    let _ = writeln!(
        text,
        "      containers:\n        - name: server\n          image: IMAGE\n          ports:\n            - {{containerPort: {}}}",
        sample.port()
    );
    text += &comment_at(
        "          ",
        &format!(
            "The kernel's memory for sockets counts as the pod's: 5 KiB for each of {}, and 64 MiB; add what the server itself needs.",
            things(sample.ask.ends(), "socket")
        ),
    );
    let _ = writeln!(
        text,
        "          resources:\n            requests: {{memory: {memory}Mi}}\n            limits: {{memory: {memory}Mi}}"
    );
    text += &comment(&format!(
        "A pod can't set its limit on open files: it is that of the node's container runtime, and {} are needed. See \
         systemctl show containerd -p LimitNOFILE on the node; a server may raise its soft limit to the hard one itself.",
        count(files)
    ));
    text += &comment("Only the node can change these, which apply to the whole machine:");
    for (name, wanted) in sample.sysctls(Scope::Machine) {
        let _ = writeln!(text, "#     {name} = {wanted}");
    }
    text
}
