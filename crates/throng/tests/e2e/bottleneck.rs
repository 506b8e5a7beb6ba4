//! Whose limit it was: a client that had no time to spare says so, and one that waited for its peer does not.
//!
//! Other programs may use this machine's cores, so each case makes its own bottleneck much narrower than theirs.

use crate::common::net::Net;
use crate::common::peers::{serve_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, serve, start_load, words};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::summary::{Bottleneck, Bounded, BusyWith, Finding, Summary};

fn bottleneck(summary: &Summary) -> Option<&Bottleneck> {
    summary.findings.iter().find_map(|finding| match finding {
        Finding::ClientBottleneck(b) => Some(&**b),
        _ => None,
    })
}

/// The bottleneck that a run reports, which must have bounded `bounded`.
#[track_caller]
fn bounded(ran: &Ran, bounded: Bounded) -> Bottleneck {
    let summary = ran.summary();
    let told = bottleneck(&summary).unwrap_or_else(|| panic!("no bottleneck: {ran}"));
    assert_eq!(told.bounded, bounded, "{ran}");
    assert!(told.ran + told.waited + told.stolen > 0.9, "{ran}");
    told.clone()
}

/// Asserts that a run does not blame its client.
#[track_caller]
fn not_the_client(what: &str, ran: &Ran) -> Summary {
    let summary = ran.summary();
    assert!(bottleneck(&summary).is_none(), "{what}: {ran}");
    summary
}

/// Runs `throng load` with a low priority, so that its server never waits for a core that it has, to its end.
fn load_after_its_server(net: &Net, args: &str) -> Ran {
    let mut command = net.command("nice");
    command.args([
        "-n",
        "10",
        env!("CARGO_BIN_EXE_throng"),
        "load",
        "--output",
        "json",
    ]);
    command.args(words(args));
    Process::start(format!("throng load {args}"), command).wait(PATIENCE)
}

/// Messages that are far more expensive to write than to echo.
const EXPENSIVE: &str = r"-m '\{re [a-z0-9]{20000}}'";

#[test]
fn a_client_that_has_no_time_to_spare_says_so() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    let ran = load_after_its_server(&net, "127.0.0.1:9000 -w 1 -c 200 --rate 5m -m x --hold 3s");
    let told = bounded(&ran, Bounded::Rate);
    assert_eq!((told.worker, told.workers), (0, 1), "{ran}");
    // Where other programs took its core, that comes first.
    let own = told.cause == BusyWith::OwnWork;
    assert!(own || told.waited >= 0.2, "{ran}");
    assert!(
        !own || ran
            .fell_short()
            .findings
            .iter()
            .any(|f| f.to_string().contains("use -w"))
    );

    let _echo = serve(&net, "127.0.0.1:9001 --mode echo");
    let ran = load_after_its_server(
        &net,
        &format!("127.0.0.1:9001 -w 1 -c 20 --closed-loop {EXPENSIVE} --hold 2s"),
    );
    bounded(&ran, Bounded::ClosedLoop);

    let ran = load(&net, "--self=echo -c 50 --closed-loop -m x --hold 2s");
    let told = bounded(&ran, Bounded::ClosedLoop);
    assert!(told.both_ends, "{ran}");
}

#[test]
fn a_neighbour_on_the_client_s_core_is_told() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    let pinned = |program: &str, args: &[&str]| {
        let mut command = net.command("taskset");
        command.args(["-c", "0", program]).args(args);
        Process::start(format!("{program} on core 0"), command)
    };
    let busy = "while :; do :; done";
    let _neighbours = [pinned("sh", &["-c", busy]), pinned("sh", &["-c", busy])];
    let args = "load --output json 127.0.0.1:9000 -c 20 --rate 5m -m x --hold 3s";
    let args: Vec<&str> = args.split(' ').collect();
    let ran = pinned(env!("CARGO_BIN_EXE_throng"), &args).wait(PATIENCE);
    let told = bounded(&ran, Bounded::Rate);
    assert_eq!(told.cause, BusyWith::OtherProcesses, "{ran}");
    assert!(told.waited > 0.4, "{ran}");
}

/// A cgroup with a quota of a tenth of a core, removed at the end.
struct Quota(PathBuf);

impl Quota {
    fn of_a_tenth() -> Quota {
        let v1 = Path::new("/sys/fs/cgroup/cpu");
        let (root, files): (_, &[(&str, &str)]) = match v1.is_dir() {
            true => (
                v1,
                &[
                    ("cpu.cfs_period_us", "100000"),
                    ("cpu.cfs_quota_us", "10000"),
                ],
            ),
            false => (Path::new("/sys/fs/cgroup"), &[("cpu.max", "10000 100000")]),
        };
        let directory = root.join(format!("throng-quota-{}", std::process::id()));
        fs::create_dir(&directory).expect("root makes a cgroup");
        let quota = Quota(directory);
        for (file, value) in files {
            fs::write(quota.0.join(file), value).expect("the CPU controller is on");
        }
        quota
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cpu_quota_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested: only root makes a cgroup");
        return;
    }
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    let quota = Quota::of_a_tenth();
    let procs = quota.0.join("cgroup.procs");
    let script = format!("echo $$ > {} && exec \"$@\"", procs.display());
    let mut command = net.command("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_throng")]);
    command.args("load --output json 127.0.0.1:9000 -c 20 --rate 5m -m x --hold 6s".split(' '));
    let ran = Process::start("throng load with a quota".into(), command).wait(PATIENCE);
    let told = bounded(&ran, Bounded::Rate);
    assert_eq!(told.cause, BusyWith::CpuQuota, "{ran}");
    assert_eq!(told.quota_cores, Some(0.1), "{ran}");
    assert!(told.throttled > 0.2, "{ran}");
}

/// A server that works for two milliseconds on each message.
const SLOW: &str = "
import selectors, socket, sys, time
all = selectors.DefaultSelector()
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128)
all.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in all.select():
        if key.fileobj is listener:
            all.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        data = key.fileobj.recv(65536)
        until = time.process_time() + 0.002
        while time.process_time() < until:
            pass
        if data:
            key.fileobj.sendall(data)
        else:
            all.unregister(key.fileobj)
            key.fileobj.close()
";

#[test]
fn a_client_that_waits_for_its_peer_is_not_the_bottleneck() {
    let net = Net::own();
    let _serve = serve(&net, "127.0.0.1:9000 --mode echo");

    let ran = load(
        &net,
        "127.0.0.1:9000 -c 20 --rate 100 -m x --latency-echo --hold 2s",
    );
    not_the_client("enough workers, and an idle server", &ran);

    let ran = load(&net, "127.0.0.1:9000 -c 400 --connect-rate 400 --hold 2s");
    not_the_client("an idle hold", &ran);

    let _slow = start_server(&net, "python3", &["-c", SLOW, "9001"], 9001);
    let ran = load(&net, "127.0.0.1:9001 -c 20 --closed-loop -m x --hold 2s");
    let s = not_the_client("a closed loop that the server bounds", &ran);
    assert!(s.answers.is_some_and(|a| a.received > 0), "{ran}");

    let _late = serve_script(&net, "misbehaving.py", 9002, &["answers", "0.2"]);
    let ran = load(&net, "127.0.0.1:9002 -c 20 --closed-loop -m x --hold 2s");
    not_the_client("a server that answers late", &ran);

    // 20 MB per second on two connections: more than the kernel's buffers have room for.
    let paced = format!("-c 2 --rate 1k -m {}", "x".repeat(20_000));
    let _deaf = serve_script(&net, "misbehaving.py", 9003, &["deaf", "60"]);
    let ran = load(
        &net,
        &format!("127.0.0.1:9003 {paced} --rcvbuf 4k --sndbuf 4k --hold 4s"),
    );
    let s = not_the_client("a peer that does not read", &ran);
    assert!(!s.reached, "{ran}");
}

#[test]
fn a_slow_link_is_not_the_client() {
    let net = Net::own();
    net.shell("tc qdisc add dev lo root tbf rate 1mbit burst 16k latency 100ms");
    let _server = serve(&net, "127.0.0.1:9000");
    // 8 Mbit/s over a link of 1 Mbit/s.
    let message = "x".repeat(500);
    let ran = load(
        &net,
        &format!("127.0.0.1:9000 -c 10 --rate 2k -m {message} --sndbuf 8k --hold 4s"),
    );
    let s = not_the_client("a slow link", &ran);
    assert!(!s.reached, "{ran}");
}

#[test]
fn a_server_that_was_stopped_is_not_the_client() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000 --mode echo");
    let run = start_load(
        &net,
        "127.0.0.1:9000 -c 20 --rate 200 -m x --latency-echo --hold 4s",
    );
    run.wait_for_stderr("holding");
    server.signal(Signal::STOP);
    let ran = run.wait(PATIENCE);
    server.signal(Signal::CONT);
    let s = not_the_client("a server that was stopped", &ran);
    assert!(!s.reached, "{ran}");
}

#[test]
fn a_client_that_was_stopped_is_told_as_such() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000 --mode echo");
    let run = start_load(
        &net,
        "127.0.0.1:9000 -c 20 --rate 200 -m x --latency-echo --hold 5s",
    );
    run.wait_for_stderr("holding");
    // Until the thread that prints this sleeps again.
    std::thread::sleep(Duration::from_millis(300));
    run.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(2));
    run.signal(Signal::CONT);
    let ran = run.wait(PATIENCE);
    let s = not_the_client("a client that was stopped", &ran);
    let paused = s.findings.iter().find_map(|f| match f {
        Finding::ClientPaused { seconds, .. } => Some(*seconds),
        _ => None,
    });
    let paused = paused.unwrap_or_else(|| panic!("not told: {ran}"));
    assert!((1.2..4.0).contains(&paused), "{paused}: {ran}");
}
