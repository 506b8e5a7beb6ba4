//! The settings of this machine that may make two runs of the same thing differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::limits::FileLimits;
use crate::memory::MemInfo;
use crate::proc_text;

/// The sysctls that decide how connections are opened, queued, buffered and scheduled.
const SYSCTLS: [&str; 18] = [
    "fs.nr_open",
    "kernel.io_uring_disabled",
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_max",
];

/// Files with one setting each, by the name that it gets here.
const FILES: [(&str, &str); 3] = [
    // Intel's driver has it the other way round, under a name of its own.
    ("boost", "/sys/devices/system/cpu/cpufreq/boost"),
    ("no_turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("smt", "/sys/devices/system/cpu/smt/active"),
];

/// Reads them, by name. What this machine does not have, or does not let be read, is left out.
#[must_use]
pub fn read() -> BTreeMap<String, String> {
    let sysctls = SYSCTLS.iter().map(|name| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        (*name, one_line(path))
    });
    let files = FILES.iter().map(|(name, path)| (*name, one_line(path)));
    let others = [
        ("cpu", cpu()),
        ("governor", governors()),
        (
            "memory",
            MemInfo::read()
                .ok()
                .map(|memory| memory.total_bytes.to_string()),
        ),
        (
            "open_files",
            FileLimits::read()
                .ok()
                .map(|limits| limits.hard.to_string()),
        ),
    ];
    let all = sysctls.chain(files).chain(others);
    all.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The content of a small file, its words one blank apart.
fn one_line(path: impl AsRef<Path>) -> Option<String> {
    let text = proc_text::read(path).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The models of the processors.
fn cpu() -> Option<String> {
    let text = proc_text::read("/proc/cpuinfo").ok()?;
    joined(text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    }))
}

/// The frequency governors of all cores.
fn governors() -> Option<String> {
    let policies = std::fs::read_dir("/sys/devices/system/cpu/cpufreq").ok()?;
    joined(policies.filter_map(|policy| one_line(policy.ok()?.path().join("scaling_governor"))))
}

/// The different ones of `values`.
fn joined(values: impl Iterator<Item = String>) -> Option<String> {
    let different: BTreeSet<String> = values.collect();
    let different: Vec<String> = different.into_iter().collect();
    (!different.is_empty()).then(|| different.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_kernel_has_them() {
        let all = read();
        let backlog = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        assert_eq!(all["net.core.somaxconn"], backlog.trim());
        // The kernel separates these by a tab.
        let range = &all["net.ipv4.ip_local_port_range"];
        let ports: Vec<u16> = range.split(' ').map(|port| port.parse().unwrap()).collect();
        assert!(ports.len() == 2 && ports[0] <= ports[1], "{range}");
        assert!(all["open_files"].parse::<u64>().unwrap() > 0);
        assert!(
            all.values()
                .all(|value| !value.is_empty() && !value.contains('\n')),
            "{all:?}"
        );
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(one_line("/proc/sys/net/no_such_setting"), None);
        assert_eq!(
            joined(["b", "a", "b"].map(String::from).into_iter()),
            Some("a, b".into())
        );
        assert_eq!(joined(std::iter::empty()), None);
    }
}
