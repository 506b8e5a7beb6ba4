//! Rules that exempt TCP ports from connection tracking: through nftables in a table of throng's own, else through
//! iptables with a comment of throng's own.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use throng_core::tune::{Current, PortSet};

/// The table, and the comment by which iptables rules are known.
const NAME: &str = "throng_notrack";
/// Where chains hook in before connection tracking does (NF_IP_PRI_RAW; conntrack itself is at -200).
const PRIORITY: &str = "-300";
/// Not every user has these in the PATH.
const SYSTEM_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A program that changes the packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tool {
    /// nftables.
    Nft,
    /// iptables and, where there is IPv6, ip6tables.
    Iptables,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Nft => "nft",
            Tool::Iptables => "iptables",
        }
    }
}

/// The result of a call.
struct Called {
    ok: bool,
    stdout: String,
    stderr: String,
}

fn call(program: &str, args: &[&str], stdin: &str) -> io::Result<Called> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(find(program, &format!("{path}:{SYSTEM_DIRECTORIES}"))?)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ended without reading reports why itself.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let out = child.wait_with_output()?;
    Ok(Called {
        ok: out.status.success(),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    })
}

fn find(program: &str, path: &str) -> io::Result<std::path::PathBuf> {
    let places = std::env::split_paths(path).map(|directory| directory.join(program));
    let found = places.into_iter().find(|p| p.is_file());
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The same. If the program is missing or fails, the error is a text for people.
fn must(program: &str, args: &[&str], stdin: &str) -> Result<String, String> {
    match call(program, args, stdin) {
        Ok(called) if called.ok => Ok(called.stdout),
        Ok(called) => {
            let line = called.stderr.lines().find(|l| !l.trim().is_empty());
            Err(format!(
                "{program}: {}",
                line.unwrap_or("failed without a word").trim()
            ))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(format!("{program} is not installed")),
        Err(e) => Err(format!("{program}: {e}")),
    }
}

/// The program to use: nft if it is there and this kernel has nftables, else iptables.
pub(super) fn choose() -> Result<Tool, String> {
    let no_nft = match must("nft", &["list", "tables"], "") {
        Ok(_) => return Ok(Tool::Nft),
        Err(why) => why,
    };
    match must("iptables", &["-w", "-t", "raw", "-S"], "") {
        Ok(_) => Ok(Tool::Iptables),
        Err(why) => Err(format!("{no_nft}; {why}")),
    }
}

/// The ports that throng's rules exempt, as text for the table; empty without such rules.
pub(super) fn current() -> Current {
    match choose() {
        Ok(tool) => match untracked(tool) {
            Ok(ports) => Current::Value(ports.unwrap_or_default().to_string()),
            Err(why) => Current::Unread(why),
        },
        Err(why) => Current::Unread(why),
    }
}

/// The ports that our rules exempt; `None` without such rules.
pub(super) fn untracked(tool: Tool) -> Result<Option<PortSet>, String> {
    match tool {
        Tool::Nft => {
            let tables = must("nft", &["list", "tables"], "")?;
            if !tables
                .lines()
                .any(|l| l.trim() == format!("table inet {NAME}"))
            {
                return Ok(None);
            }
            let table = must("nft", &["-n", "list", "table", "inet", NAME], "")?;
            Ok(Some(parse_nft(&table)))
        }
        Tool::Iptables => {
            let rules = must("iptables", &["-w", "-t", "raw", "-S"], "")?;
            Ok(parse_iptables(&rules))
        }
    }
}

/// The ports of `tcp dport { 9000, 9100-9200 } notrack`.
fn parse_nft(table: &str) -> PortSet {
    let sets = table.split("dport").skip(1).map(|rest| {
        let set = rest.split("notrack").next().unwrap_or_default();
        set.replace(['{', '}', ' ', '\t', '\n'], "")
    });
    let sets = sets.filter_map(|set| set.parse::<PortSet>().ok());
    sets.fold(PortSet::default(), |all, set| all.and(&set))
}

/// The ports of `-A PREROUTING -p tcp -m tcp --dport 9100:9200 -m comment --comment throng_notrack -j
/// CT --notrack`.
fn parse_iptables(rules: &str) -> Option<PortSet> {
    let ours = own_rules(rules);
    let ports = ours.iter().filter_map(|rule| {
        let port = rule.split("--dport ").nth(1)?.split_whitespace().next()?;
        port.replace(':', "-").parse::<PortSet>().ok()
    });
    (!ours.is_empty()).then(|| ports.fold(PortSet::default(), |all, set| all.and(&set)))
}

fn own_rules(rules: &str) -> Vec<&str> {
    let is_own = |rule: &&str| {
        rule.starts_with("-A ") && rule.split_whitespace().any(|w| w.trim_matches('"') == NAME)
    };
    rules.lines().filter(is_own).collect()
}

/// The table, as `nft -f` takes it.
pub(super) fn nft_table(ports: &PortSet) -> String {
    let set = ports.to_string().replace(',', ", ");
    let chain = |hook: &str| {
        format!(
            "\tchain {hook} {{\n\t\ttype filter hook {hook} priority {PRIORITY}; policy accept;\n\
             \t\ttcp dport {{ {set} }} notrack\n\t\ttcp sport {{ {set} }} notrack\n\t}}\n"
        )
    };
    format!(
        "table inet {NAME} {{\n{}{}}}\n",
        chain("prerouting"),
        chain("output")
    )
}

/// Replaces the rules by those for `ports`: all of them or, on an error, none.
pub(super) fn set(tool: Tool, ports: &PortSet) -> Result<(), String> {
    match tool {
        // One transaction: made if it is not there, so that it can be deleted, and made anew.
        Tool::Nft => {
            let script = format!(
                "add table inet {NAME}\ndelete table inet {NAME}\n{}",
                nft_table(ports)
            );
            must("nft", &["-f", "-"], &script).map(drop)
        }
        Tool::Iptables => {
            remove(tool)?;
            let mut rules = String::from("*raw\n");
            for range in ports.to_string().split(',') {
                for chain in ["PREROUTING", "OUTPUT"] {
                    for side in ["--dport", "--sport"] {
                        let range = range.replace('-', ":");
                        rules += &format!(
                            "-A {chain} -p tcp -m tcp {side} {range} -m comment --comment {NAME} -j CT --notrack\n"
                        );
                    }
                }
            }
            rules += "COMMIT\n";
            for program in families() {
                let restore = format!("{program}-restore");
                if let Err(why) = must(&restore, &["-w", "--noflush"], &rules) {
                    remove(tool)?;
                    return Err(why);
                }
            }
            Ok(())
        }
    }
}

/// iptables, and ip6tables where it works.
fn families() -> Vec<&'static str> {
    let works = |p: &&str| *p == "iptables" || must(p, &["-w", "-t", "raw", "-S"], "").is_ok();
    ["iptables", "ip6tables"]
        .into_iter()
        .filter(works)
        .collect()
}

/// Removes throng's rules, if there are any, and nothing else.
pub(super) fn remove(tool: Tool) -> Result<(), String> {
    match tool {
        Tool::Nft => match untracked(tool)? {
            Some(_) => must("nft", &["delete", "table", "inet", NAME], "").map(drop),
            None => Ok(()),
        },
        Tool::Iptables => {
            for program in families() {
                let rules = must(program, &["-w", "-t", "raw", "-S"], "")?;
                let ours = own_rules(&rules);
                if ours.is_empty() {
                    continue;
                }
                let deletions: Vec<String> =
                    ours.iter().map(|r| r.replacen("-A ", "-D ", 1)).collect();
                let script = format!("*raw\n{}\nCOMMIT\n", deletions.join("\n"));
                must(&format!("{program}-restore"), &["-w", "--noflush"], &script)?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_rules() {
        for text in ["9000", "80,443,9000-9100"] {
            let ports: PortSet = text.parse().unwrap();
            assert_eq!(parse_nft(&nft_table(&ports)), ports);
        }
        // As nft prints a single one and a long set.
        assert_eq!(parse_nft("tcp dport 80 notrack").to_string(), "80");
        let broken = "tcp dport { 80, 443,\n\t\t\t 9000-9100 } notrack\ntcp sport { 80 } notrack";
        assert_eq!(parse_nft(broken).to_string(), "80,443,9000-9100");
        let rules = "-P PREROUTING ACCEPT\n-A PREROUTING -p tcp -m tcp --dport 1:9 -j CT --notrack\n\
            -A PREROUTING -p tcp -m tcp --dport 90:99 -m comment --comment throng_notrack -j CT --notrack\n\
            -A OUTPUT -p tcp -m tcp --sport 90:99 -m comment --comment \"throng_notrack\" -j CT --notrack\n";
        assert_eq!(parse_iptables(rules).unwrap().to_string(), "90-99");
        assert_eq!(own_rules(rules).len(), 2);
        assert_eq!(parse_iptables("-P PREROUTING ACCEPT\n"), None);
    }
}
