//! Why a run fell short: what is called certain is so, and what can't be known is not.
//!
//! bench/suites/diagnosis runs more reasons, and prints a table.

use crate::common::net::Net;
use crate::common::peers::{source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, serve, start_load};
use rustix::process::Signal;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{Diagnosis, HalfOpen};
use throng_core::stats::FailCause;
use throng_core::summary::Finding;

const ENGINES: [&str; 2] = ["uring", "epoll"];
/// Options of a run that gives up soon.
const SOON: &str = "--connect-timeout 500ms --hold 500ms";

/// Two machines: 10.77.0.1 and 10.77.0.2.
fn two_machines() -> (Net, Net) {
    let (near, far) = (Net::own(), Net::own());
    near.shell(&format!(
        "ip link add a0 type veth peer name b0 netns {} && ip addr add 10.77.0.1/24 dev a0 && ip link set a0 up",
        far.pid()
    ));
    far.shell("ip addr add 10.77.0.2/24 dev b0 && ip link set b0 up");
    (near, far)
}

/// A server of tests/peers/limited.py on `port` that may open `files`.
fn limited(net: &Net, port: u16, kind: &str, files: u32) -> Process {
    let mut command = net.command("prlimit");
    command
        .arg(format!("--nofile={files}:{files}"))
        .args(["python3", &source("limited.py"), &port.to_string()])
        .args(kind.split(' '));
    let mut server = Process::start(format!("limited.py {kind}"), command);
    server.wait_for_listener(net, port);
    server
}

/// The certain causes, in their order.
fn certain(ran: &Ran) -> Vec<LimitKind> {
    let causes = ran.fell_short().causes;
    let certain = causes.iter().filter(|c| c.certain);
    certain.map(|c| c.limit).collect()
}

/// The cause that is certain and names `limit`.
#[track_caller]
fn cause(ran: &Ran, limit: LimitKind) -> Diagnosis {
    let causes = ran.fell_short().causes;
    let found = causes.into_iter().find(|c| c.limit == limit && c.certain);
    found.unwrap_or_else(|| panic!("{limit:?} is not certain: {ran}"))
}

/// The remedy for attempts that failed by `why`.
#[track_caller]
fn remedy(ran: &Ran, why: FailCause) -> String {
    let findings = ran.fell_short().findings;
    let found = findings.into_iter().find_map(|f| match f {
        Finding::AttemptsFailed { cause, remedy, .. } if cause == why => remedy,
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no remedy for {why:?}: {ran}"))
}

/// Rules that let 100 connections to port 9000 through and treat others with `verdict`.
fn firewall(net: &Net, verdict: &str) {
    net.shell(&format!(
        "nft 'table inet f {{ set s {{ type inet_service; size 9; flags dynamic; }};
         chain c {{ type filter hook input priority 0;
         tcp dport 9000 ct state new add @s {{ tcp dport ct count over 100 }} {verdict}; }}; }}'"
    ));
}

#[test]
fn connections_in_the_accept_queue_are_not_held_by_their_server() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = limited(&net, 9000, "none 400", 1000);
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 150 {SOON} --engine {engine}"),
        );
        let s = ran.fell_short();
        assert_eq!(s.connections.open_at_end, 150, "{ran}");
        let [
            Finding::InAcceptQueue {
                connections: 150,
                target,
                room: 401,
                server: Some(server),
                pid: Some(_),
            },
        ] = s.findings.as_slice()
        else {
            panic!("{ran}")
        };
        assert_eq!(target.to_string(), "127.0.0.1:9000");
        assert!(server.starts_with("python3"), "{ran}");
    }
}

#[test]
fn a_server_without_files_is_the_reason_for_what_it_has_not_accepted() {
    let net = Net::own();
    let _server = limited(&net, 9000, "holds", 64);
    let ran = load(&net, &format!("127.0.0.1:9000 -c 150 --force {SOON}"));
    let s = ran.fell_short();
    let Finding::InAcceptQueue { connections, .. } = s.findings[0] else {
        panic!("{ran}")
    };
    let files = cause(&ran, LimitKind::TargetFiles);
    // Not known if it keeps connections that were given up.
    let all = (55..60).contains(&(150 - connections));
    assert!(
        files.allows.is_none_or(|n| n == 150 - connections && all),
        "{ran}"
    );
}

#[test]
fn a_server_that_this_user_can_t_see_is_said_to_be_unseen() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else's process is there to be unseen.
        return;
    }
    let net = Net::own();
    let _server = limited(&net, 9000, "none 400", 100);
    let mut command = net.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args(["load", "--output", "json", "127.0.0.1:9000", "-c", "50"])
        .args(SOON.split(' '));
    let ran = Process::start("throng load as nobody".into(), command).wait(PATIENCE);
    let s = ran.fell_short();
    let Finding::InAcceptQueue { server: None, .. } = &s.findings[0] else {
        panic!("{ran}")
    };
    assert!(s.findings[0].to_string().contains("run as root"), "{ran}");
}

#[test]
fn the_conntrack_counters_of_nat_without_ports_name_nat() {
    let (near, far) = two_machines();
    near.shell(
        "nft 'table ip t { chain p { type nat hook postrouting priority 100;
         tcp dport 9000 snat to 10.77.0.1:40000-40049; }; }'",
    );
    let _server = limited(&far, 9000, "holds", 1000);
    let ran = load(&near, &format!("10.77.0.2:9000 -c 100 {SOON}"));
    assert_eq!(certain(&ran), [LimitKind::NatPorts], "{ran}");
    assert_eq!(cause(&ran, LimitKind::NatPorts).allows, None, "{ran}");
}

#[test]
fn overflows_and_cookies_of_other_listeners_are_none_of_a_run_s() {
    for engine in ENGINES {
        for cookies in ["", "sysctl -qw net.ipv4.tcp_syncookies=2"] {
            let (near, far) = two_machines();
            firewall(&far, "drop");
            let _server = limited(&far, 9000, "holds", 1000);
            near.shell(cookies);
            let _other = limited(&near, 9100, "flooded", 1000);
            let ran = load(
                &near,
                &format!("10.77.0.2:9000 -c 300 {SOON} --engine {engine}"),
            );
            assert_eq!(ran.fell_short().causes, [], "{ran}");
        }
    }
}

#[test]
fn a_listener_s_own_drops_are_evidence_of_its_full_queue() {
    let net = Net::own();
    let _server = limited(&net, 9000, "none 8", 100);
    // Without --force the queue would be left half empty.
    let ran = load(&net, &format!("127.0.0.1:9000 -c 50 --force {SOON}"));
    let cause = cause(&ran, LimitKind::AcceptQueue);
    assert_eq!(cause.allows, Some(9), "{ran}");
}

#[test]
fn what_a_queue_allows_is_what_was_accepted_and_what_it_has_room_for() {
    let net = Net::own();
    // It holds 20 connections, and leaves the others in its queue.
    let serving = crate::common::serve(&net, "127.0.0.1:9000 --max-connections 20 --backlog 40");
    let ran = load(&net, &format!("127.0.0.1:9000 -c 300 {SOON}"));
    let s = ran.fell_short();
    let cause = cause(&ran, LimitKind::AcceptQueue);
    assert!(
        s.connections.peak < 61,
        "half of the queue stays empty: {ran}"
    );
    assert_eq!(cause.allows, Some(20 + 41), "{ran}");
    drop(serving);
}

#[test]
fn connections_that_are_open_on_one_side_only_are_not_held() {
    for engine in ENGINES {
        // The ends of handshakes are lost.
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        net.shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp dport 9000 tcp flags & (fin|syn|rst|ack) == ack counter drop; }; }'",
        );
        let line = format!("127.0.0.1:9000 -c 20 --hold 200ms --engine {engine}");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        let half = HalfOpen {
            connections: 20,
            unfinished: 20,
            overflowed: false,
        };
        assert!(s.findings.contains(&Finding::HalfOpen(half)), "{ran}");
        drop(server);
    }
}

#[test]
fn the_hold_begins_once_the_servers_kernel_has_all_connections_too() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000");
        net.shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp dport 9000 tcp flags & (fin|syn|rst|ack) == ack drop; }; }'",
        );
        let line = format!("127.0.0.1:9000 -c 20 --hold 200ms --engine {engine}");
        let run = start_load(&net, &line);
        net.wait_for_connections(9000, 20);
        net.shell("sleep 0.3; nft flush ruleset");
        let ran = run.wait(PATIENCE);
        assert_eq!(ran.reached().connections.kernel_sockets, Some(40), "{ran}");
        drop(server);
    }
}

#[test]
fn connections_that_the_server_ended_without_this_side_s_knowledge_are_not_held() {
    let net = Net::own();
    let script = source("misbehaving.py");
    let _server = start_server(&net, "python3", &[&script, "9000", "closes", "1"], 9000);
    net.shell(
        "nft 'table ip t { chain o { type filter hook output priority 0;
         tcp sport 9000 tcp flags & (fin|rst) != 0 drop; }; }'",
    );
    let ran = load(&net, "127.0.0.1:9000 -c 20 --hold 2s");
    let s = ran.fell_short();
    let half = HalfOpen {
        connections: 20,
        unfinished: 0,
        overflowed: false,
    };
    assert!(s.findings.contains(&Finding::HalfOpen(half)), "{ran}");
}

#[test]
fn each_listener_of_a_group_has_a_queue_of_its_own() {
    let net = Net::own();
    let _server = limited(&net, 9000, "group 8", 1000);
    let ran = load(&net, &format!("127.0.0.1:9000 -c 200 {SOON}"));
    let cause = cause(&ran, LimitKind::AcceptQueue);
    assert!(cause.what.contains("one of the 3 accept queues"), "{ran}");
    assert_eq!(cause.allows, None, "{ran}");
}

#[test]
fn a_source_address_that_is_removed_during_a_run_is_named() {
    for engine in ENGINES {
        let (near, far) = two_machines();
        near.shell("ip addr add 10.77.0.9/32 dev a0");
        let _server = limited(&far, 9000, "holds", 1000);
        let run = start_load(
            &near,
            &format!(
                "10.77.0.2:9000 -c 600 --connect-rate 200 --source-ip 10.77.0.9 --connect-timeout 500ms --engine {engine}"
            ),
        );
        near.wait_for_connections(9000, 100);
        near.shell("ip addr del 10.77.0.9/32 dev a0");
        let ran = run.wait(PATIENCE);
        assert_eq!(certain(&ran), [LimitKind::SourceAddress], "{ran}");
        let cause = cause(&ran, LimitKind::SourceAddress);
        assert!(cause.what.contains("10.77.0.9"), "{ran}");
    }
}

#[test]
fn four_tuples_are_told_with_a_number_only_if_it_is_right() {
    let (near, far) = two_machines();
    near.shell("echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range");
    let _server = limited(&far, 9000, "holds", 1000);
    let line = format!("10.77.0.2:9000 -c 150 --force {SOON}");
    let ran = load(&near, &line);
    assert_eq!(
        cause(&ran, LimitKind::FourTuples).allows,
        Some(100),
        "{ran}"
    );
    // The plan finds 90 in use, and they become free before the run ends.
    let (near, far) = two_machines();
    near.shell(
        "echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range
         echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse",
    );
    let _server = limited(&far, 9000, "holds", 1000);
    let first = start_load(&near, "10.77.0.2:9000 -c 90 --hold 1m");
    near.wait_for_connections(9000, 90);
    let second = start_load(
        &near,
        "10.77.0.2:9000 -c 150 --force --connect-timeout 3s --hold 0s",
    );
    near.wait_for_connections(9000, 100);
    first.signal(Signal::KILL);
    let ran = second.wait(PATIENCE);
    assert!(ran.fell_short().connections.peak > 90, "{ran}");
    assert_eq!(cause(&ran, LimitKind::FourTuples).allows, None, "{ran}");
}

#[test]
fn files_of_a_server_are_the_cause_when_they_are_full() {
    for engine in ENGINES {
        // A firewall stops a server that has files left, if few.
        let net = Net::own();
        firewall(&net, "drop");
        let _server = limited(&net, 9000, "forks", 8);
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 300 --force {SOON} --engine {engine}"),
        );
        assert_eq!(certain(&ran), [], "{ran}");
        // One of two servers has no file left.
        let net = Net::own();
        net.shell("sysctl -qw net.core.somaxconn=32");
        let _full = limited(&net, 9000, "holds", 64);
        let _other = limited(&net, 9001, "holds", 1000);
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 127.0.0.1:9001 -c 300 --force {SOON} --engine {engine}"),
        );
        let files = cause(&ran, LimitKind::TargetFiles);
        assert!(files.what.contains("the server of 127.0.0.1:9000"), "{ran}");
        assert_eq!(files.allows, None, "{ran}");
        // The same behind destination NAT.
        let net = Net::own();
        net.shell(
            "sysctl -qw net.core.somaxconn=32; ip addr add 10.9.9.9/32 dev lo
             nft 'table ip t { chain o { type nat hook output priority -100;
             ip daddr 10.9.9.9 tcp dport 9000 dnat to 127.0.0.1:9001; }; }'",
        );
        let _full = limited(&net, 9001, "holds", 64);
        // What listens there serves nobody.
        let _idle = limited(&net, 9000, "none 4", 8);
        let line = format!("10.9.9.9:9000 -c 300 --connect-rate 100 --force {SOON}");
        let ran = load(&net, &format!("{line} --engine {engine}"));
        let files = cause(&ran, LimitKind::TargetFiles);
        assert!(files.what.contains("64 of at most 64 files"), "{ran}");
        // Not known if it keeps connections that were given up.
        assert!(files.allows.is_none_or(|n| (55..60).contains(&n)), "{ran}");
    }
}

#[test]
fn a_server_that_accepts_and_closes_beyond_its_files_is_told_with_what_it_holds() {
    let net = Net::own();
    let script = "require('net').createServer(c=>c.on('error',()=>{})).listen(9000,'127.0.0.1')";
    let mut command = net.command("prlimit");
    command.args(["--nofile=60:60", "node", "-e", script]);
    let mut server = Process::start("node".into(), command);
    server.wait_for_listener(&net, 9000);
    let ran = load(&net, &format!("127.0.0.1:9000 -c 600 --force {SOON}"));
    let allows = cause(&ran, LimitKind::TargetFiles).allows;
    assert!(allows.is_none_or(|n| (20..60).contains(&n)), "{ran}");
}

#[test]
fn a_server_that_ended_is_named_as_the_cause() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = limited(&net, 9000, "crashes 100", 2000);
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 600 {SOON} --engine {engine}"),
        );
        assert_eq!(certain(&ran), [LimitKind::TargetProcess], "{ran}");

        let net = Net::own();
        let server = limited(&net, 9000, "holds", 2000);
        let run = start_load(
            &net,
            &format!("127.0.0.1:9000 -c 100 --hold 20s --connect-timeout 500ms --engine {engine}"),
        );
        run.wait_for_stderr("holding");
        server.signal(Signal::KILL);
        // A process that has not been waited for has ended all the same.
        let ran = run.wait(PATIENCE);
        assert_eq!(certain(&ran), [LimitKind::TargetProcess], "{ran}");
        let Finding::ConnectionsLost { lost, .. } = ran.summary().findings[0] else {
            panic!("{ran}")
        };
        // A dying server's listener may outlive some of its connections.
        assert!(lost >= 100, "{ran}");
    }
}

#[test]
fn a_peak_that_did_not_stand_is_no_limit() {
    for engine in ENGINES {
        // A broker that knows no user, an idle timeout, and one that closes at random.
        for (kind, rate) in [("refuses", 500), ("idle 1", 50), ("random 2", 100)] {
            let (near, far) = two_machines();
            let _server = limited(&far, 9000, kind, 2000);
            let ran = load(
                &near,
                &format!("10.77.0.2:9000 -c 900 --connect-rate {rate} {SOON} --engine {engine}"),
            );
            assert_eq!(ran.fell_short().causes, [], "{kind}: {ran}");
        }
        // One that holds 100 and closes others has a limit: that is a guess.
        let (near, far) = two_machines();
        let _server = limited(&far, 9000, "limit 100", 2000);
        let ran = load(
            &near,
            &format!("10.77.0.2:9000 -c 300 --connect-rate 500 {SOON} --engine {engine}"),
        );
        let causes = ran.fell_short().causes;
        let [limit] = causes.as_slice() else {
            panic!("{ran}")
        };
        assert!(!limit.certain && limit.allows.is_none(), "{ran}");
        assert_eq!(limit.limit, LimitKind::TargetConnections, "{ran}");
        assert!(limit.what.contains("holds about 100 connections"), "{ran}");
    }
}

#[test]
fn a_path_that_became_silent_is_named_where_connections_have_traffic() {
    for engine in ENGINES {
        let (near, far) = two_machines();
        let _server = limited(&far, 9000, "holds", 2000);
        let run = start_load(
            &near,
            &format!(
                "10.77.0.2:9000 -c 900 --connect-rate 100 -m x -r 5 --connect-timeout 1s --engine {engine}"
            ),
        );
        near.wait_for_connections(9000, 100);
        far.shell("nft 'table inet f { chain c { type filter hook input priority 0; drop; }; }'");
        let ran = run.wait(PATIENCE);
        assert_eq!(certain(&ran), [LimitKind::Path], "{ran}");
    }
}

#[test]
fn a_guess_says_what_would_look_the_same_and_is_not_made_against_the_evidence() {
    // The path becomes silent at a number that looks like a file limit, and nothing shows it.
    let (near, far) = two_machines();
    let _server = limited(&far, 9000, "holds", 4000);
    far.shell(
        "nft 'table inet f { set s { type inet_service; size 9; flags dynamic; };
         chain c { type filter hook input priority 0;
         tcp dport 9000 ct state new add @s { tcp dport ct count over 500 } drop; }; }'",
    );
    let ran = load(&near, &format!("10.77.0.2:9000 -c 900 {SOON}"));
    let causes = ran.fell_short().causes;
    let [guess] = causes.as_slice() else {
        panic!("{ran}")
    };
    assert!(
        !guess.certain && guess.limit == LimitKind::TargetFiles,
        "{ran}"
    );
    assert!(guess.what.contains("so does a path"), "{ran}");
    // The same number, but a firewall refuses what comes beyond.
    far.shell("nft flush ruleset");
    far.shell(
        "nft 'table inet f { set s { type inet_service; size 9; flags dynamic; };
         chain c { type filter hook input priority 0;
         tcp dport 9000 ct state new add @s { tcp dport ct count over 500 } reject with tcp reset; }; }'",
    );
    let ran = load(&near, &format!("10.77.0.2:9000 -c 900 {SOON}"));
    assert_eq!(ran.fell_short().causes, [], "{ran}");
}

#[test]
fn what_was_true_for_a_time_is_told_as_that() {
    for engine in ENGINES {
        let (near, far) = two_machines();
        firewall(&far, "reject with tcp reset");
        let _server = limited(&far, 9000, "holds", 2000);
        let ran = load(
            &near,
            &format!("10.77.0.2:9000 -c 300 {SOON} --engine {engine}"),
        );
        let told = remedy(&ran, FailCause::Refused);
        assert!(
            told.starts_with("For a time") && told.contains("100 connections were established"),
            "{ran}"
        );

        let (near, far) = two_machines();
        near.shell("ip route add 10.78.0.1 via 10.77.0.2");
        far.shell("ip addr add 10.78.0.1/32 dev lo");
        let _server = limited(&far, 9000, "holds", 2000);
        let run = start_load(
            &near,
            &format!(
                "10.78.0.1:9000 -c 600 --connect-rate 200 --connect-timeout 500ms --engine {engine}"
            ),
        );
        near.wait_for_connections(9000, 100);
        near.shell("ip route del 10.78.0.1");
        let told = remedy(&run.wait(PATIENCE), FailCause::Unreachable);
        assert!(told.starts_with("For a time there was no route"), "{told}");
    }
}
