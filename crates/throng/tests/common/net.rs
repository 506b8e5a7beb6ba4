//! A network namespace for a test: no other test's sockets in its counts, any port free, nothing left
//! behind.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Where a test's processes talk to each other.
pub struct Net {
    /// Keeps the namespace alive, and ends when this process does: its stdin closes.
    holder: Option<Child>,
    as_root: bool,
    /// Whether mounts are its own too.
    mounts: bool,
}

impl Net {
    /// A namespace of its own, with `lo` up.
    pub fn own() -> Net {
        Net::unshared(false)
    }

    /// The same, with mounts of its own, which nothing outside sees.
    pub fn with_own_mounts() -> Net {
        Net::unshared(true)
    }

    fn unshared(mounts: bool) -> Net {
        let as_root = rustix::process::geteuid().is_root();
        // A user that is not root becomes root in a user namespace, for this network.
        let flags = match (as_root, mounts) {
            (true, false) => "-n",
            (true, true) => "-nm",
            (false, false) => "-rn",
            (false, true) => "-rnm",
        };
        let mut holder = Command::new("unshare")
            .args([flags, "sh", "-c"])
            .arg("ip link set lo up && echo up && exec cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) starts; see scripts/test");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the namespace's shell says when it is up");
        assert_eq!(
            line, "up\n",
            "these tests need network namespaces: run them as root, or allow user namespaces"
        );
        Net {
            holder: Some(holder),
            as_root,
            mounts,
        }
    }

    /// The network that the test itself is in, for peers that are part of the test.
    pub fn host() -> Net {
        Net {
            holder: None,
            as_root: true,
            mounts: false,
        }
    }

    /// A process that is in it, by which `ip` names it.
    pub fn pid(&self) -> u32 {
        self.holder
            .as_ref()
            .map_or_else(std::process::id, Child::id)
    }

    /// A command that is to run in it.
    pub fn command(&self, program: &str) -> Command {
        let Some(holder) = &self.holder else {
            return Command::new(program);
        };
        let mut command = Command::new("nsenter");
        command.args(["-t", &holder.id().to_string(), "-n"]);
        if self.mounts {
            command.arg("-m");
        }
        if !self.as_root {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }

    /// Runs a shell command in it that must succeed.
    pub fn shell(&self, script: &str) -> String {
        self.succeed("sh", &["-c", script])
    }

    /// Runs a Python script in it that must succeed.
    pub fn python(&self, script: &str, args: &[&str]) -> String {
        self.succeed("python3", &[&["-c", script], args].concat())
    }

    fn succeed(&self, program: &str, args: &[&str]) -> String {
        let out = self.command(program).args(args).output();
        let out = out.unwrap_or_else(|e| panic!("{program} does not start: {e}"));
        assert!(
            out.status.success(),
            "{program} {args:?} failed: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Whether somebody listens on `port`.
    pub fn is_listened_on(&self, port: u16) -> bool {
        !self
            .shell(&format!("ss -Hltn 'sport = :{port}'"))
            .is_empty()
    }

    /// Waits until `least` connections to `port` are established at their client's end.
    pub fn wait_for_connections(&self, port: u16, least: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.shell(&format!("ss -Htn state established 'dport = :{port}'"));
            if all.lines().count() >= least {
                return;
            }
            assert!(Instant::now() < until, "{all}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// A port of the test's own network without a listener. Another process may take it; only for what must not be listened
/// on, or as a server's that says if it can't.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|l| l.local_addr())
        .expect("the kernel has a free port")
        .port()
}
