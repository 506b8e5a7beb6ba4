//! What the summary says of the target's server where that is on this machine.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{PATIENCE, load};
use throng_core::summary::Finding;

/// A Python server that listens on port 9000, and then does `what`.
pub(crate) fn python(net: &Net, backlog: u32, what: &str) -> Process {
    let script = format!(
        "import os, signal, socket, time\n\
         s = socket.create_server(('127.0.0.1', 9000), backlog={backlog})\n\
         {what}"
    );
    let mut command = net.command("prlimit");
    command.args(["--nofile=1500:1500", "python3", "-c", &script]);
    let mut server = Process::start("python3".into(), command);
    server.wait_for_listener(net, 9000);
    server
}

/// Keeps each connection, and 20 KiB with it.
pub(crate) const KEEPS: &str = "
kept = []
while True:
    c, _ = s.accept()
    kept.append((c, b'x' * 20480))
";

#[test]
fn memory_per_connection_cpu_and_files_of_the_server_are_shown() {
    let net = Net::own();
    let _server = python(&net, 4096, KEEPS);
    let ran = load(&net, "127.0.0.1:9000 -c 1200 --hold 500ms");
    let s = ran.reached();
    let used = s.server.as_ref().expect("the server is on this machine");
    assert!(used.names[0].starts_with("python3"), "{ran}");
    assert_eq!((used.processes, used.ended), (Some(1), 0), "{ran}");
    assert!(used.unread.is_empty(), "{ran}");
    for each in [used.rss_bytes_per_connection, used.pss_bytes_per_connection] {
        assert!((15_000.0..40_000.0).contains(&each.unwrap()), "{ran}");
    }
    let files = used.files_open.expect("they can be seen");
    assert!((1200..1300).contains(&files), "{ran}");
    assert_eq!(used.file_limit, Some(1500), "{ran}");
    assert!(
        used.cpu_user_s.unwrap() + used.cpu_system_s.unwrap() > 0.0,
        "{ran}"
    );
}

#[test]
fn a_process_for_each_connection_is_part_of_the_sum() {
    let net = Net::own();
    let forks = "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    c, _ = s.accept()
    if os.fork() == 0:
        c.recv(1)
        os._exit(0)
    c.close()
";
    let _server = python(&net, 4096, forks);
    let ran = load(&net, "127.0.0.1:9000 -c 20 --hold 500ms");
    let s = ran.reached();
    let used = s.server.as_ref().expect("the server is on this machine");
    assert_eq!(used.processes, Some(21), "{ran}");
    // They share most of their memory.
    let (rss, pss) = (used.rss_bytes_peak.unwrap(), used.pss_bytes_peak.unwrap());
    assert!(
        pss < rss / 2 && pss > used.pss_bytes_before.unwrap(),
        "{ran}"
    );
    assert_eq!(used.rss_bytes_per_connection, None, "too few to divide by");
    // They end with their connections, as they should.
    assert_eq!(used.ended, 0, "{ran}");
}

#[test]
fn a_server_whose_process_ends_during_the_run_is_told() {
    let net = Net::own();
    let crashes = "
kept = [s.accept() for _ in range(5)]
kept[0][0].recv(1)
os._exit(1)
";
    let _server = python(&net, 4096, crashes);
    let line = "127.0.0.1:9000 -c 5 -m x -r 10 --after-ramp --no-reconnect --hold 3s";
    let ran = load(&net, line);
    let s = ran.fell_short();
    assert_eq!(s.findings[0].kind(), "connections_lost", "{ran}");
    let ended = s.findings.iter().find(|f| f.kind() == "server_ended");
    let Some(Finding::ServerEnded {
        processes,
        of,
        at_s,
        ..
    }) = ended
    else {
        panic!("{ran}")
    };
    assert!((*processes, *of) == (1, 1) && *at_s <= s.seconds, "{ran}");
    let used = s.server.expect("it was there before");
    assert_eq!((used.ended, used.processes), (1, Some(1)));
}

#[test]
fn what_a_user_may_not_read_is_told_as_unread() {
    let net = Net::own();
    let _server = python(&net, 4096, KEEPS);
    let mut command = net.command("setpriv");
    command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args("load 127.0.0.1:9000 -c 10 --hold 100ms --output json".split(' '));
    let ran = Process::start("throng load as nobody".into(), command).wait(PATIENCE);
    let s = ran.reached();
    let used = s.server.as_ref().expect("somebody listens there");
    assert!(used.unread[0].contains("127.0.0.1:9000"), "{ran}");
    assert_eq!(
        (used.processes, used.rss_bytes_peak, used.cpu_user_s),
        (None, None, None),
        "{ran}"
    );
}

#[test]
fn a_server_in_this_process_is_part_of_throng_s_own_cost() {
    let net = Net::own();
    for line in [
        "--self -c 10 --hold 100ms",
        "-l 2001 127.0.0.1:2001 -c 10 --hold 100ms",
    ] {
        let ran = load(&net, line);
        assert_eq!(ran.reached().server, None, "{ran}");
    }
}
