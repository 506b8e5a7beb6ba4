//! Machines on which one limit binds.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::serve;
use std::fs;
use std::path::{Path, PathBuf};

/// A client's network and a server's, joined by a cable.
pub struct TwoNetworks {
    /// 10.77.0.1 and 10.77.0.2.
    pub client: Net,
    /// 10.77.0.9, with a `throng` that serves there.
    pub server: Serving,
}

/// A server and its network.
pub struct Serving {
    _process: Process,
    net: Net,
}

impl Serving {
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// Joins two networks and starts `throng` with `args` on the server's side.
pub fn two_networks(args: &str) -> TwoNetworks {
    let (client, server) = (Net::own(), Net::own());
    client.shell(&format!(
        "ip link add c type veth peer name s netns {} && ip link set c up && \
         ip addr add 10.77.0.1/24 dev c && ip addr add 10.77.0.2/24 dev c",
        server.pid()
    ));
    server.shell("ip link set s up && ip addr add 10.77.0.9/24 dev s");
    let args = args.strip_prefix("serve ").expect("it serves");
    let process = serve(&server, args);
    TwoNetworks {
        client,
        server: Serving {
            _process: process,
            net: server,
        },
    }
}

/// A server other than throng: listens with `backlog`, accepts for ever, and waits when it has all of its `files` open.
/// It has an epoll instance, so it does not count as a server that forks.
pub fn listen_and_accept(net: &Net, port: u16, backlog: u32, files: u32) -> Process {
    let script = format!(
        "import select, socket, time\n\
         loop = select.epoll()\n\
         s = socket.socket()\n\
         s.bind(('0.0.0.0', {port}))\n\
         s.listen({backlog})\n\
         kept = []\n\
         while True:\n\
         \x20   try: kept.append(s.accept()[0])\n\
         \x20   except OSError: time.sleep(0.05)\n"
    );
    python(net, port, Some(files), &script)
}

/// A server that listens with `backlog` and never accepts.
pub fn listen_only(net: &Net, port: u16, backlog: u32) -> Process {
    let script = format!(
        "import socket, time\n\
         s = socket.socket()\n\
         s.bind(('0.0.0.0', {port}))\n\
         s.listen({backlog})\n\
         time.sleep(600)\n"
    );
    python(net, port, None, &script)
}

/// A server that keeps `most` connections and closes every other one.
pub fn accept_and_close_beyond(net: &Net, port: u16, most: u32) -> Process {
    let script = format!(
        "import socket\n\
         s = socket.socket()\n\
         s.bind(('0.0.0.0', {port}))\n\
         s.listen(100)\n\
         kept = []\n\
         while True:\n\
         \x20   c = s.accept()[0]\n\
         \x20   if len(kept) < {most}: kept.append(c)\n\
         \x20   else: c.close()\n"
    );
    python(net, port, None, &script)
}

fn python(net: &Net, port: u16, files: Option<u32>, script: &str) -> Process {
    let mut command = net.command(if files.is_some() {
        "prlimit"
    } else {
        "python3"
    });
    if let Some(files) = files {
        command.args([&format!("--nofile={files}:{files}"), "python3"]);
    }
    command.args(["-c", script]);
    let mut process = Process::start("a server in Python".into(), command);
    process.wait_for_listener(net, port);
    process
}

/// `net.netfilter.nf_conntrack_max`, which is the whole machine's, set for as long as this lives.
pub struct ConntrackMax {
    before: String,
}

const CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

impl ConntrackMax {
    pub fn set(max: u32) -> ConntrackMax {
        let before = fs::read_to_string(CONNTRACK_MAX).expect("conntrack is loaded by the rule");
        fs::write(CONNTRACK_MAX, max.to_string()).expect("root sets it");
        ConntrackMax { before }
    }
}

impl Drop for ConntrackMax {
    fn drop(&mut self) {
        let _ = fs::write(CONNTRACK_MAX, &self.before);
    }
}

/// A memory cgroup, of whichever version this machine has, removed at the end.
pub struct Cgroup {
    directory: PathBuf,
}

impl Cgroup {
    pub fn with_memory(bytes: u64) -> Cgroup {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, file) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let directory = root.join(format!("throng-test-{}", std::process::id()));
        fs::create_dir(&directory).expect("root makes a cgroup");
        let cgroup = Cgroup { directory };
        fs::write(cgroup.directory.join(file), bytes.to_string())
            .expect("the memory controller is on");
        cgroup
    }

    /// What starts a program in it.
    pub fn words(&self) -> Vec<String> {
        let procs = self.directory.join("cgroup.procs");
        let script = format!("echo $$ > {} && exec \"$@\"", procs.display());
        ["sh", "-c", &script, "sh"].map(str::to_owned).into()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Sockets that the kernel still closes are charged to it; the directory can go all the same.
        let _ = fs::remove_dir(&self.directory);
    }
}
