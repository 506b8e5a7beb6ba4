//! For tests: namespaces with known settings and sockets, and helpers in them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, setgid, setgroups, setuid};
use throng_core::host::{Host, Process};

use crate::survey::{Processes, Wanted, survey};

/// Set in the process in which a test runs itself again.
const INSIDE: &str = "THRONG_HOST_TEST_INSIDE";

/// Runs the test with the full name `test` again in its own network and mount namespace, with `lo` up and after the
/// shell commands `setup`. Returns whether this process is in that namespace: only then should it test.
pub(crate) fn inside(test: &str, setup: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // A user that is not root becomes root in a user namespace.
    let flags = if Uid::effective().is_root() {
        "-nm"
    } else {
        "-rnm"
    };
    let out = Command::new("unshare")
        .args([flags, "sh", "-ec"])
        .arg(format!(
            "ip link set lo up\n{setup}\nexec \"$0\" --exact {test} --nocapture"
        ))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, test)
        .output()
        .expect("unshare (util-linux) starts; see scripts/test");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && said.contains("1 passed"),
        "{test} in its namespace: {said}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    false
}

pub(crate) fn shell(script: &str) {
    let out = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {out:?}");
}

/// Gives up root for good. In a user namespace, root has no more rights than its user.
pub(crate) fn become_nobody() {
    if std::fs::read_to_string("/proc/slabinfo").is_ok() {
        setgroups(&[]).unwrap();
        setgid(65534.into()).unwrap();
        setuid(65534.into()).unwrap();
    }
}

/// Everything that a survey can read.
pub(crate) fn all(targets: &[SocketAddr]) -> Wanted {
    Wanted {
        targets: targets.to_vec(),
        sources: Vec::new(),
        processes: Processes::All,
        skip_self: false,
        tracking: true,
        serving: Vec::new(),
        opening: None,
    }
}

/// Why `what` was not read; `None` if it was read.
pub(crate) fn why<'a>(host: &'a Host, what: &str) -> Option<&'a str> {
    let unread = host.unread.iter().find(|u| u.what.contains(what));
    unread.map(|u| u.why.as_str())
}

/// A server in another process, which ends when this is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// `and_then` is Python that runs when it listens.
    pub(crate) fn start(and_then: &str) -> Self {
        let script = format!(
            "import os, select, socket, sys\n\
             s = socket.create_server(('127.0.0.1', 0), backlog=7)\n\
             print(s.getsockname()[1], flush=True)\n\
             {and_then}\n\
             sys.stdin.read()\n"
        );
        let mut child = Command::new("prlimit")
            .args(["--nofile=777:1234", "python3", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("prlimit (util-linux) and python3 start; see scripts/test");
        let mut port = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut port).unwrap();
        Self {
            stdin: child.stdin.take(),
            child,
            address: ([127, 0, 0, 1], port.trim().parse().unwrap()).into(),
        }
    }

    /// The processes that accept its connections, once there are `number`.
    pub(crate) fn processes(&self, number: usize) -> Vec<Process> {
        let wanted = Wanted {
            targets: vec![self.address],
            processes: Processes::OfTargets,
            ..Wanted::default()
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let host = survey(&wanted);
            let listener = host.listeners.iter().find(|l| l.address == self.address);
            let listener = listener.expect("it listens").clone();
            assert_eq!((listener.backlog, listener.queued), (7, 0));
            if listener.processes.len() == number || Instant::now() > deadline {
                return listener.processes;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // All its processes read from its stdin.
        self.stdin.take();
        // One that is stopped does not notice.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
