//! The files under /etc that make settings outlast a reboot, their names and contents: sysctl.d, modules-load.d, limits.d and systemd's
//! drop-ins. Each is throng's own; one that somebody else has written is never touched.

use std::fs;
use std::io;
use std::path::Path;

use super::system::System;

const SYSCTLS: &str = "/etc/sysctl.d/90-throng.conf";
/// Loads conntrack, so that its sysctls exist when systemd-sysctl sets them.
const MODULES: &str = "/etc/modules-load.d/90-throng.conf";
const LOGINS: &str = "/etc/security/limits.d/90-throng.conf";
const SERVICES: &str = "/etc/systemd/system.conf.d/90-throng.conf";
const USER_SERVICES: &str = "/etc/systemd/user.conf.d/90-throng.conf";
const ALL: [&str; 5] = [SYSCTLS, MODULES, LOGINS, SERVICES, USER_SERVICES];

const HEADER: &str =
    "# Written by `throng tune --apply --persist`; `throng tune --revert` removes it.\n";

/// Whether throng ever writes a file of this name.
pub(super) fn is_file(path: &str) -> bool {
    ALL.contains(&path)
}

/// Whether throng ever makes a directory of this name.
pub(super) fn is_directory(path: &str) -> bool {
    let holds = |file: &&str| {
        Path::new(file)
            .ancestors()
            .skip(1)
            .any(|a| a == Path::new(path))
    };
    path != "/" && path != "/etc" && ALL.iter().any(holds)
}

/// The files that keep `sysctls` (names and values), in the order in which they are written.
pub(super) fn sysctl_files(sysctls: &[(String, String)]) -> Vec<(&'static str, String)> {
    if sysctls.is_empty() {
        return Vec::new();
    }
    let mut lines = HEADER.to_owned();
    let mut conntrack = false;
    for (name, value) in sysctls {
        conntrack |= name.starts_with("net.netfilter.");
        lines += &format!("{name} = {value}\n");
    }
    let mut files = vec![(SYSCTLS, lines)];
    if conntrack {
        files.push((MODULES, format!("{HEADER}nf_conntrack\n")));
    }
    files
}

/// The files that keep RLIMIT_NOFILE, soft and hard, for logins and for services.
pub(super) fn limit_files(soft: &str, hard: &str) -> Vec<(&'static str, String)> {
    // The wildcard does not hold for root (limits.conf(5)).
    let mut logins = HEADER.to_owned();
    for who in ["*", "root"] {
        logins += &format!("{who} soft nofile {soft}\n{who} hard nofile {hard}\n");
    }
    let services = format!("{HEADER}[Manager]\nDefaultLimitNOFILE={soft}:{hard}\n");
    vec![
        (LOGINS, logins),
        (SERVICES, services.clone()),
        (USER_SERVICES, services),
    ]
}

/// The directories of `path` that are missing, outer ones first.
pub(super) fn missing_directories(system: &System, path: &str) -> Vec<String> {
    let ancestors = Path::new(path).ancestors().skip(1);
    let missing = ancestors.take_while(|a| !system.path(&a.to_string_lossy()).exists());
    let mut missing: Vec<String> = missing.map(|a| a.to_string_lossy().into_owned()).collect();
    missing.reverse();
    missing
}

/// The content of a file, if it is there. A symbolic link is there, wherever it leads; throng makes none.
pub(super) fn read(system: &System, path: &str) -> io::Result<Option<String>> {
    let path = system.path(path);
    if let Ok(to) = fs::read_link(&path) {
        return Ok(Some(format!("symbolic link to {}", to.display())));
    }
    match fs::read(path) {
        // A file that is not text is not ours either.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_throngs_own_names_are_its_own() {
        assert!(is_file(LOGINS) && !is_file("/etc/passwd") && !is_file("/etc/sysctl.d/../passwd"));
        for path in ["/etc/systemd/user.conf.d", "/etc/systemd", "/etc/security"] {
            assert!(is_directory(path), "{path}");
        }
        for path in [
            "/",
            "/etc",
            "",
            "/home",
            "/etc/sysctl.d/90-throng.conf",
            "etc/systemd",
        ] {
            assert!(!is_directory(path), "{path}");
        }
    }

    #[test]
    fn each_file_says_what_it_is_and_how_it_goes_away() {
        let sysctls = [("net.netfilter.nf_conntrack_max".to_owned(), "5".to_owned())];
        let mut files = sysctl_files(&sysctls);
        files.extend(limit_files("10", "20"));
        let names: Vec<&str> = files.iter().map(|f| f.0).collect();
        assert_eq!(names, ALL);
        for (_, content) in files {
            assert!(content.starts_with("# ") && content.contains("throng tune --revert"));
        }
        assert!(sysctl_files(&[]).is_empty());
    }
}
