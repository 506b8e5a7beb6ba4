//! A network namespace for this process and those that it starts, with settings of its own. The kernel removes it with the last
//! process in it, so there is nothing to restore.

use crate::links::Links;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::process::{getegid, geteuid};
use std::fs;
use std::io;
use std::path::PathBuf;

/// Moves this process into a new network namespace, in which `lo` is up. A user that is not root becomes root in a user
/// namespace for that.
///
/// Call it before any other thread is started: a thread stays in the namespace that it is in.
///
/// # Errors
/// What the kernel refuses, and why, in one line.
pub fn enter() -> Result<(), String> {
    let (user, group) = (geteuid(), getegid());
    let flags = match user.is_root() {
        true => CloneFlags::CLONE_NEWNET,
        false => CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUSER,
    };
    unshare(flags).map_err(|e| {
        format!("this process may not make a network namespace ({e}): run it as root, or allow user namespaces")
    })?;
    if !user.is_root() {
        let maps = [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {} 1", user.as_raw())),
            ("gid_map", format!("0 {} 1", group.as_raw())),
        ];
        for (file, text) in maps {
            fs::write(format!("/proc/self/{file}"), text)
                .map_err(|e| format!("/proc/self/{file}: {e}"))?;
        }
    }
    let up = Links::open().and_then(|mut links| links.bring_up("lo"));
    up.map_err(|e| format!("the network namespace's lo can't be brought up: {e}"))
}

/// Moves this process into the network namespace of the process `pid`, and into its user namespace, if that is another one.
///
/// Call it before any other thread is started.
///
/// # Errors
/// What the kernel refuses, and why, in one line.
pub fn join(pid: u32) -> Result<(), String> {
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        fs::File::open(&path).map_err(|e| format!("{path}: {e}"))
    };
    let refused = |e| format!("this process may not enter the namespace of process {pid}: {e}");
    // A process can't enter the user namespace that it is in.
    let same = |kind: &str| {
        let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
        of("self") == of(&pid.to_string())
    };
    if !same("user") {
        setns(open("user")?, CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    }
    setns(open("net")?, CloneFlags::CLONE_NEWNET).map_err(refused)
}

/// Sets a sysctl, such as `net.core.somaxconn`, in the network namespace that [`enter`] made.
///
/// # Errors
/// Why it can't be set, with its name, in one line.
pub fn set(name: &str, value: &str) -> Result<(), String> {
    let path = PathBuf::from(format!("/proc/sys/{}", name.replace('.', "/")));
    fs::write(&path, value).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => format!(
            "{name}: a network namespace has no such setting: it is misspelled, or the whole machine's"
        ),
        io::ErrorKind::InvalidInput => format!("{name}: the kernel refuses the value '{value}'"),
        io::ErrorKind::PermissionDenied => {
            format!("{name}: not permitted in the namespace of a user; run it as root")
        }
        _ => format!("{name}={value}: {e}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    #[test]
    fn a_namespace_has_a_loopback_and_settings_of_its_own() {
        if !geteuid().is_root() {
            // Another user's needs a process with one thread; the command `throng sweep` has tests of its own.
            return;
        }
        let outside = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        // A thread of its own: the others stay where they are.
        let inside = thread::spawn(|| {
            enter().unwrap();
            set("net.core.somaxconn", "17").unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            for (name, value, part) in [
                ("net.core.somaxcon", "17", "no such setting"),
                ("net.core.somaxconn", "many", "refuses the value 'many'"),
            ] {
                let error = set(name, value).unwrap_err();
                assert!(error.contains(part) && error.contains(name), "{error}");
            }
            fs::read_to_string("/proc/thread-self/net/sockstat").unwrap();
            fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap()
        });
        assert_eq!(inside.join().unwrap().trim(), "17");
        assert_eq!(
            fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(),
            outside
        );
    }
}
