//! A network namespace for this process and those that it starts, with settings of its own. The kernel removes it with the last
//! process in it, so there is nothing to restore.

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid};
use std::fs;
use std::io;
use std::path::PathBuf;

/// The index of `lo`, the first interface of each namespace (LOOPBACK_IFINDEX).
const LO: u32 = 1;
/// RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, NLMSG_ERROR and IFF_UP (linux/rtnetlink.h, linux/netlink.h, linux/if.h).
const NEW_LINK: u16 = 16;
const REQUEST_WITH_ACK: u16 = 0x1 | 0x4;
const ERROR: u16 = 2;
const UP: u32 = 0x1;
/// The lengths of the header of a netlink message and of `struct ifinfomsg`.
const HEADER: u32 = 16;
const IFINFO: u32 = 16;

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
    bring_up(LO).map_err(|e| format!("the network namespace's lo can't be brought up: {e}"))
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

/// Sets IFF_UP of an interface (rtnetlink(7)).
fn bring_up(index: u32) -> io::Result<()> {
    let mut message = Vec::new();
    message.extend((HEADER + IFINFO).to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ACK.to_ne_bytes());
    // Sequence number and port.
    message.extend([0; 8]);
    // struct ifinfomsg: family and type, index, flags, which of them change.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.send(&message, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    // struct nlmsgerr: 0, or an error number below 0.
    let kind = answer.get(4..6).and_then(|b| b.try_into().ok());
    let error = answer.get(16..20).and_then(|b| b.try_into().ok());
    match (kind.map(u16::from_ne_bytes), error.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(error)) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
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
