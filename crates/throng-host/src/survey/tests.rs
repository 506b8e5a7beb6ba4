//! Surveys of the real kernel, in network namespaces that are set up for it.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, setgid, setgroups, setuid};
use socket2::{Domain, Socket, Type};

use super::*;

/// Set in the process that a test runs itself in again.
const INSIDE: &str = "THRONG_HOST_TEST_INSIDE";

/// Runs `test` again in a network and mount namespace of its own, with `lo` up and after the shell
/// commands `setup`. Returns whether we are in there: only then is there something to test.
fn inside(test: &str, setup: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Who is not root becomes it in a user namespace.
    let flags = if Uid::effective().is_root() {
        "-nm"
    } else {
        "-rnm"
    };
    let out = Command::new("unshare")
        .args([flags, "sh", "-ec"])
        .arg(format!(
            "ip link set lo up\n{setup}\nexec \"$0\" --exact survey::tests::{test} --nocapture"
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

fn shell(script: &str) {
    let out = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {out:?}");
}

/// All there is to want.
fn all(targets: &[SocketAddr]) -> Wanted {
    Wanted {
        targets: targets.to_vec(),
        processes: Processes::All,
        skip_self: false,
        tracking: true,
    }
}

fn why<'a>(host: &'a Host, what: &str) -> Option<&'a str> {
    let unread = host.unread.iter().find(|u| u.what.contains(what));
    unread.map(|u| u.why.as_str())
}

fn bound(addr: &str) -> Socket {
    let addr: SocketAddr = addr.parse().unwrap();
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    if addr.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.bind(&addr.into()).unwrap();
    socket
}

#[test]
fn as_many_connections_fit_as_ports_are_usable() {
    if !inside(
        "as_many_connections_fit_as_ports_are_usable",
        "cd /proc/sys/net/ipv4
         echo 2000 2399 > ip_local_port_range
         echo 2100-2149,5000 > ip_local_reserved_ports
         echo 1 > tcp_tw_reuse",
    ) {
        return;
    }
    let before = survey(&Wanted::default()).ports;
    assert_eq!(before.range, Some((2000, 2399)));
    assert_eq!(before.reserved, [(2100, 2149), (5000, 5000)]);
    assert_eq!(
        (before.bound, before.usable(), before.tw_reuse),
        (0, 350, Some(1))
    );

    // Listeners: one port twice, a reserved port, one outside of the range.
    let listening = [
        "127.0.0.1:2200",
        "[::1]:2200",
        "0.0.0.0:2101",
        "[::1]:2202",
        "0.0.0.0:3500",
    ];
    let listeners = listening.map(|addr| {
        let socket = bound(addr);
        socket.listen(1000).unwrap();
        socket
    });
    let mut taken = 2;
    // Bound and nothing else.
    let mut inactive = Vec::new();
    if Kernel::read().unwrap().version >= Some((6, 8)) {
        inactive.push(bound("127.0.0.1:2300"));
        taken += 1;
    }
    let host = survey(&Wanted::default());
    assert_eq!(
        (host.ports.bound, host.ports.usable()),
        (taken, 350 - taken)
    );
    let at: Vec<_> = host
        .listeners
        .iter()
        .map(|l| (l.address, l.backlog))
        .collect();
    let mut expected = listening.map(|addr| (addr.parse().unwrap(), 1000));
    expected.sort_unstable();
    assert_eq!(at, expected);

    let target = listeners[4].local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    let error = loop {
        match TcpStream::connect(target) {
            Ok(stream) => held.push(stream),
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    assert_eq!(held.len() as u32, host.ports.usable());
    let host = survey(&all(&["127.0.0.1:3500".parse().unwrap()]));
    assert_eq!(host.towards[0].in_use, held.len() as u64);
    let queued = |l: &&throng_core::host::Listener| l.address.port() == 3500;
    let listener = host.listeners.iter().find(queued).unwrap();
    assert_eq!(listener.queued as usize, held.len());
}

#[test]
fn what_holds_for_the_whole_machine_is_read_in_its_first_namespace() {
    let test = "what_holds_for_the_whole_machine_is_read_in_its_first_namespace";
    let files = [
        "ipv4/tcp_mem",
        "ipv4/tcp_max_orphans",
        "core/netdev_max_backlog",
    ];
    let read = |name| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/{name}"));
        text.unwrap_or_default().trim().replace('\t', " ")
    };
    let outside = files.map(read).join(",");
    let setup = format!(
        "export OUTSIDE='{outside}'
         echo 2000 2399 > /proc/sys/net/ipv4/ip_local_port_range"
    );
    if !inside(test, &setup) {
        return;
    }
    let outside = std::env::var("OUTSIDE").unwrap();
    // We stay where we are: the second survey finds the same.
    for _ in 0..2 {
        let host = survey(&Wanted::default());
        assert_eq!(host.ports.range, Some((2000, 2399)));
        let mem = host
            .tcp
            .mem_pages
            .map(|m| format!("{} {} {}", m[0], m[1], m[2]));
        let orphans = host.tcp.max_orphans.map(|n| n.to_string());
        let backlog = host.accept.netdev_backlog.map(|n| n.to_string());
        let found = [mem, orphans, backlog];
        for (name, found) in files.iter().zip(&found) {
            assert_eq!(why(&host, name).is_none(), found.is_some(), "{name}");
        }
        // In a user namespace one is not root outside of it.
        let ids = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        if ids.contains("4294967295") {
            assert_eq!(found.map(Option::unwrap_or_default).join(","), outside);
        }
    }
}

#[test]
fn connections_to_each_target_are_counted() {
    if !inside("connections_to_each_target_are_counted", "") {
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
    let other = TcpListener::bind("127.0.0.1:4001").unwrap();
    // The last one is an IPv6 socket with an IPv4 connection.
    let to = [
        "127.0.0.1:4000",
        "127.0.0.1:4000",
        "127.0.0.1:4000",
        "[::ffff:127.0.0.1]:4000",
    ];
    let mut clients: Vec<_> = to
        .iter()
        .map(|to| TcpStream::connect(to).unwrap())
        .collect();
    clients.push(TcpStream::connect("127.0.0.2:4000").unwrap());
    clients.push(TcpStream::connect(other.local_addr().unwrap()).unwrap());
    let mut served: Vec<_> = (0..5).map(|_| listener.accept().unwrap()).collect();
    // Two end in TIME_WAIT: the client closes first.
    let ended: Vec<_> = clients
        .drain(..2)
        .map(|c| c.local_addr().unwrap())
        .collect();
    served.retain(|(_, from)| !ended.contains(from));

    let targets = [
        "127.0.0.1:4000",
        "127.0.0.2:4000",
        "127.0.0.1:4001",
        "198.51.100.1:80",
        "[2001:db8::1]:80",
    ];
    let targets = targets.map(|t| t.parse().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    let host = loop {
        let host = survey(&all(&targets));
        if host.towards[0].time_wait == 2 || Instant::now() > deadline {
            break host;
        }
    };
    let told: Vec<_> = host
        .towards
        .iter()
        .map(|t| (t.in_use, t.time_wait, t.local))
        .collect();
    assert_eq!(
        told,
        [
            (2, 2, true),
            (1, 0, true),
            (1, 0, true),
            (0, 0, false),
            (0, 0, false)
        ]
    );
    assert!(host.towards.iter().map(|t| t.target).eq(targets));
    // Their number is known from elsewhere too.
    assert_eq!(host.tcp.time_wait, Some(2));
    assert_eq!(host.tcp.in_use, Some(2 + 4 + 4));
    // One port only: the kernel filters.
    let host = survey(&all(&targets[..2]));
    assert_eq!((host.towards[0].in_use, host.towards[1].in_use), (2, 1));
}

/// A server in a process of its own, until dropped.
struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl Server {
    /// `and_then` is Python that runs when it listens.
    fn start(and_then: &str) -> Self {
        let script = format!(
            "import os, socket, sys\n\
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
    fn processes(&self, number: usize) -> Vec<throng_core::host::Process> {
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
        // All its processes read from there.
        self.stdin.take();
        let _ = self.child.wait();
    }
}

#[test]
fn a_listener_s_process_is_found_with_its_file_limit() {
    if !inside("a_listener_s_process_is_found_with_its_file_limit", "") {
        return;
    }
    let single = Server::start("");
    let found = single.processes(1);
    assert_eq!(found.len(), 1, "{found:?}");
    let process = &found[0];
    assert_eq!((process.pid, process.file_limit), (single.child.id(), 777));
    assert!(process.name.starts_with("python3"), "{process:?}");
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap();
    assert_eq!(process.files_open, open.count() as u64);

    // Workers accept, their parent waits.
    let forking = Server::start("for _ in range(2):\n    if os.fork() == 0: break");
    let found = forking.processes(2);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|p| p.pid != forking.child.id()),
        "{found:?}"
    );

    // A program that inherited the socket is not a worker of the server.
    let careless =
        Server::start("s.set_inheritable(True)\nif os.fork() == 0: os.execvp('cat', ['cat'])");
    let found = careless.processes(2);
    let mut names: Vec<_> = found.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.len() == 2 && names[0] == "cat", "{names:?}");
    assert!(
        found.iter().any(|p| p.pid == careless.child.id()),
        "{found:?}"
    );
}

#[test]
fn only_wanted_listeners_are_looked_up_and_ourselves_unless_told_otherwise() {
    let test = "only_wanted_listeners_are_looked_up_and_ourselves_unless_told_otherwise";
    if !inside(test, "") {
        return;
    }
    let _ours = TcpListener::bind("127.0.0.1:4000").unwrap();
    let _any = TcpListener::bind("[::]:4001").unwrap();
    let target = "127.0.0.9:4001".parse().unwrap();
    for (processes, skip_self, expected) in [
        (Processes::None, false, [0, 0]),
        (Processes::OfTargets, false, [0, 1]),
        (Processes::All, false, [1, 1]),
        (Processes::All, true, [0, 0]),
    ] {
        let wanted = Wanted {
            processes,
            skip_self,
            ..all(&[target])
        };
        let host = survey(&wanted);
        let found: Vec<_> = host.listeners.iter().map(|l| l.processes.len()).collect();
        assert_eq!(found, expected, "{wanted:?}");
        let pids = host
            .listeners
            .iter()
            .flat_map(|l| &l.processes)
            .map(|p| p.pid);
        assert!(pids.into_iter().all(|pid| pid == std::process::id()));
    }
}

#[test]
fn whether_connections_are_tracked_is_found_out_without_root() {
    if !inside(
        "whether_connections_are_tracked_is_found_out_without_root",
        "",
    ) {
        return;
    }
    let active = |targets: &[&str]| {
        let targets: Vec<_> = targets.iter().map(|t| t.parse().unwrap()).collect();
        let host = survey(&all(&targets));
        let why = why(&host, "tracks").map(str::to_owned);
        (host.conntrack.map(|c| c.active), why)
    };
    let (state, _) = active(&[]);
    if state.is_none() {
        // Not in this kernel, or not shown to a user namespace.
        let host = survey(&all(&[]));
        assert!(why(&host, "nf_conntrack_").is_some(), "{:?}", host.unread);
        return;
    }
    let (v4, v6, remote) = (
        &["127.0.0.1:1"][..],
        &["[::1]:1"][..],
        &["198.51.100.1:80"][..],
    );
    for targets in [&[][..], v4, v6, remote] {
        assert_eq!(active(targets), (Some(Some(false)), None), "{targets:?}");
    }
    // The hooks are there for one family only.
    shell(
        "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; }; \
           add rule ip t c ct state invalid drop'",
    );
    for (targets, tracked) in [(v4, true), (remote, true), (v6, false)] {
        assert_eq!(active(targets).0, Some(Some(tracked)), "{targets:?}");
    }
    // Switched off again: entries that are still there must not make us believe the opposite.
    shell("nft 'delete table ip t'");
    assert_eq!(active(v4).0, Some(Some(false)));
    let (state, why) = active(remote);
    assert!(state == Some(None) && why.unwrap().contains("entries"));
    // Exempt, as an administrator may have it.
    shell(
        "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; \
           add rule inet t c ct state invalid drop; \
           add chain inet t o { type filter hook output priority raw; }; \
           add rule inet t o tcp dport != 1 notrack; add rule inet t o tcp sport != 1 notrack'",
    );
    assert_eq!(active(v4).0, Some(Some(false)));
    shell("nft 'delete chain inet t o'");
    assert_eq!(active(v4).0, Some(Some(true)));
    assert_eq!(active(v6).0, Some(Some(true)));
    become_nobody();
    assert_eq!(active(v4), (Some(Some(true)), None));
    assert_eq!(crate::conntrack::ConntrackDrops::read().unwrap().drop, 0);
    // Nothing comes through: that is told, and not taken for an answer.
    let host = survey(&Wanted::default());
    assert_eq!(host.conntrack.unwrap().active, None);
}

/// Gives up root, for good. In a user namespace it never was more than that.
fn become_nobody() {
    if std::fs::read_to_string("/proc/slabinfo").is_ok() {
        setgroups(&[]).unwrap();
        setgid(65534.into()).unwrap();
        setuid(65534.into()).unwrap();
    }
}

#[test]
fn an_unprivileged_user_learns_what_he_may_and_what_not() {
    if !inside("an_unprivileged_user_learns_what_he_may_and_what_not", "") {
        return;
    }
    let server = Server::start("");
    let privileged = std::fs::read_to_string("/proc/slabinfo").is_ok();
    let host = survey(&all(&[server.address]));
    assert_eq!(
        host.memory.objects.is_some(),
        privileged,
        "{:?}",
        host.unread
    );
    assert_eq!(
        why(&host, "/proc/slabinfo").is_none(),
        privileged,
        "{:?}",
        host.unread
    );
    become_nobody();
    let host = survey(&all(&[server.address]));
    assert_eq!(host.memory.objects, None);
    assert!(why(&host, "/proc/slabinfo").unwrap().contains("root"));
    let listener = &host.listeners[0];
    assert_eq!((listener.address, listener.backlog), (server.address, 7));
    if privileged {
        assert_eq!(listener.processes, []);
        assert!(
            why(&host, "processes that listen on 127.0.0.1")
                .unwrap()
                .contains("root")
        );
    }
    assert!(host.towards[0].local && host.ports.range.is_some());
    assert!(host.tcp.rmem.is_some() && host.files.open > 0);
    // Only root gets at what Linux shows in the machine's first namespace alone.
    assert!(why(&host, "tcp_mem").is_some_and(|w| w.contains("namespace")));
}

#[test]
fn an_object_is_no_smaller_than_the_slab_allocator_says() {
    let host = survey(&Wanted::default());
    let Some(objects) = host.memory.objects else {
        assert!(why(&host, "/proc/slabinfo").is_some());
        return;
    };
    let info = std::fs::read_to_string("/proc/slabinfo").unwrap();
    let size = |name: &str| -> u32 {
        let mut lines = info
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>());
        lines.find(|l| l[0] == name).unwrap()[3].parse().unwrap()
    };
    for (name, bytes) in [
        ("TCP", objects.tcp),
        ("sock_inode_cache", objects.inode),
        ("dentry", objects.dentry),
        ("filp", objects.file),
    ] {
        let size = size(name);
        assert!(
            (size..size * 3 / 2).contains(&bytes),
            "{name}: {bytes}, size {size}"
        );
    }
    // SLUB merges these with others of their size; they are found all the same.
    if std::path::Path::new("/sys/kernel/slab/tcp_bind_bucket").exists() {
        assert!(
            objects.bind.is_some() && objects.epoll_item.is_some(),
            "{objects:?}"
        );
    }
}

#[test]
fn without_proc_sys_each_value_says_so_and_the_rest_is_there() {
    let test = "without_proc_sys_each_value_says_so_and_the_rest_is_there";
    if !inside(test, "mount -t tmpfs none /proc/sys") {
        return;
    }
    let host = survey(&all(&["127.0.0.1:1".parse().unwrap()]));
    for path in [
        "net/ipv4/ip_local_port_range",
        "net/ipv4/tcp_mem",
        "net/core/somaxconn",
        "net/netfilter/nf_conntrack_count",
        "fs/file-nr",
        "kernel/pid_max",
    ] {
        assert!(
            why(&host, path).is_some_and(|w| w.starts_with("not there")),
            "{path}"
        );
    }
    assert_eq!((host.ports.range, host.accept.somaxconn), (None, None));
    assert_eq!((host.tcp.mem_pages, host.conntrack.clone()), (None, None));
    assert_eq!(host.ports.usable(), 28_232);
    assert!(host.memory.total > 0 && host.tcp.mem_used_pages.is_some() && host.files.hard > 0);
}

#[test]
fn without_proc_nothing_is_known_and_nothing_panics() {
    let test = "without_proc_nothing_is_known_and_nothing_panics";
    if !inside(test, "mount -t tmpfs none /proc") {
        return;
    }
    let host = survey(&all(&["127.0.0.1:1".parse().unwrap()]));
    assert!(why(&host, "/proc/meminfo").is_some() && why(&host, "sockstat").is_some());
    assert!(
        why(&host, "/proc/self/cgroup").is_some(),
        "{:?}",
        host.unread
    );
    assert_eq!(
        (host.memory.total, host.memory.objects, host.tasks.max),
        (0, None, None)
    );
    assert!(host.cores >= 1 && !host.kernel.is_empty());
}

#[test]
fn a_machine_s_own_addresses_are_those_that_others_reach() {
    if !inside(
        "a_machine_s_own_addresses_are_those_that_others_reach",
        "ip link add a0 type veth peer name b0
         ip addr add 192.0.2.1/24 dev a0
         ip addr add 192.0.2.7/24 dev b0
         ip addr add 169.254.3.4/16 dev a0
         ip addr add 10.9.9.9/32 dev lo
         ip link set a0 up",
    ) {
        return;
    }
    let host = survey(&Wanted::default());
    let expected = ["192.0.2.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    // b0 is down; an address on lo that isn't a loopback address can be routed to.
    let expected = [&["10.9.9.9".parse().unwrap()], &expected[..]].concat();
    assert_eq!(host.addresses, expected);
    if host.ipv6 {
        shell("ip addr add 2001:db8::1/64 dev a0 nodad");
        let host = survey(&Wanted::default());
        assert_eq!(
            host.addresses[2..],
            ["2001:db8::1".parse::<IpAddr>().unwrap()]
        );
        shell("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    }
    let host = survey(&all(&["[::1]:80".parse().unwrap()]));
    assert!(!host.ipv6 && !host.towards[0].local);
    assert_eq!(host.addresses, expected);
}
