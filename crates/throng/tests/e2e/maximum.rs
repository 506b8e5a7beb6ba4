//! How many connections can be held, found by itself: the number is that of a server whose limit is known, and so is the reason.
//!
//! bench/suites/maximum has more servers, and prints a table.

use crate::common::net::Net;
use crate::common::peers::{source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{load, serve};
use std::fs;
use throng_core::capacity::LimitKind;
use throng_core::maximum::{Ending, KnownBy, Maximum, Whose};
use throng_core::pacing::Limit;
use throng_core::storm::{BrokeBy, ConnectRateEnding};
use throng_core::summary::Finding;

/// A server of tests/peers/limited.py on port 9000 that may open `files`, and how many more it may open.
fn limited(net: &Net, kind: &str, files: u64) -> (Process, u64) {
    let mut command = net.command("prlimit");
    command
        .arg(format!("--nofile={files}:{files}"))
        .args(["python3", &source("limited.py"), "9000"])
        .args(kind.split(' '));
    let mut server = Process::start(format!("limited.py {kind}"), command);
    server.wait_for_listener(net, 9000);
    let open = fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs");
    (server, files - open.count() as u64)
}

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

#[track_caller]
fn maximum(ran: &Ran) -> Maximum {
    let found = ran.summary().maximum;
    found.unwrap_or_else(|| panic!("no maximum: {ran}"))
}

/// The number is right to 1 %, and not more.
#[track_caller]
fn assert_right(ran: &Ran, found: &Maximum, truth: u64) {
    let least = truth - truth.div_ceil(100);
    assert!(
        (least..=truth).contains(&found.connections),
        "{truth}: {ran}"
    );
}

#[test]
fn a_server_without_files_is_found_with_its_number_and_its_reason() {
    let net = Net::own();
    let (_server, truth) = limited(&net, "holds", 300);
    let ran = load(&net, "-c max 127.0.0.1:9000 --hold 1s");
    let (s, found) = (ran.reached(), maximum(&ran));
    assert_right(&ran, &found, truth);
    assert_eq!(found.ending, Ending::Found, "{ran}");
    assert_eq!(found.whose, Some(Whose::Server), "{ran}");
    assert_eq!(found.limit, Some(LimitKind::TargetFiles), "{ran}");
    assert_eq!(found.known_by, KnownBy::AcceptQueue, "{ran}");
    assert_eq!(s.connections.open_at_end, found.connections, "{ran}");
    assert!(matches!(s.findings[0], Finding::Maximum { .. }), "{ran}");
    // The way there is told, too.
    assert!(!found.way.is_empty(), "{ran}");
}

#[test]
fn nginx_that_closes_idle_connections_to_make_room_is_found_with_its_number_and_its_reason() {
    let net = Net::own();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display();
    // Its user is the namespace's root, who need not be the machine's.
    let config = format!(
        "daemon off; master_process off; user root root; pid {at}/pid; error_log {at}/error.log;
         events {{ worker_connections 512; }}
         http {{
             access_log off;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{ listen 127.0.0.1:8080 backlog=4096; return 200 'held'; }}
         }}"
    );
    let file = directory.path().join("nginx.conf");
    fs::write(&file, config).expect("it is written");
    let args = [
        "-p",
        &format!("{at}"),
        "-e",
        "stderr",
        "-c",
        file.to_str().expect("a text"),
    ];
    let _nginx = start_server(&net, "nginx", &args, 8080);
    let ran = load(&net, "-c max 127.0.0.1:8080 --hold 500ms");
    let found = maximum(&ran);
    // It closes connections when it accepts one and no more than a sixteenth of them is left; its listener is one of the others.
    assert_right(&ran, &found, 512 * 15 / 16 - 1);
    assert_eq!(found.ending, Ending::Found, "{ran}");
    assert_eq!(
        (found.whose, found.limit, found.sure),
        (
            Some(Whose::Server),
            Some(LimitKind::TargetConnections),
            true
        ),
        "{ran}"
    );
    assert!(ran.stdout.contains("(worker_connections)"), "{ran}");
    // So it is: as many stay, and one more does not.
    let stay = |n| {
        let ran = load(&net, &format!("-c {n} 127.0.0.1:8080 --hold 500ms"));
        ran.summary().connections.closed_by_peer == 0
    };
    assert!(stay(479) && !stay(480));
}

#[test]
fn a_search_that_time_cuts_short_says_how_many_were_open() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    let ran = load(&net, "-c max -T 1500ms 127.0.0.1:9000");
    let (s, found) = (ran.fell_short(), maximum(&ran));
    assert_eq!(found.ending, Ending::Unfinished, "{ran}");
    // Some may be opened while it ends, and some of the last ones wait to be accepted.
    let open = s.connections.open_at_end;
    assert!(
        found.connections <= open && found.connections >= open / 2,
        "{ran}"
    );
    assert!(found.words.contains("was cut short after 1.5"), "{ran}");
}

#[test]
fn connections_that_nobody_serves_are_told_from_those_that_answer() {
    let (near, far) = two_machines();
    // Its kernel establishes further ones, which does not show from here.
    let _server = serve(
        &far,
        "10.77.0.2:9000 --mode echo --max-connections 60 --backlog 64",
    );
    let ran = load(
        &near,
        "-c max:80 10.77.0.2:9000 -m ping --closed-loop --hold 1s",
    );
    let (s, found) = (ran.fell_short(), maximum(&ran));
    assert_eq!((found.connections, found.answered), (80, Some(60)), "{ran}");
    assert_eq!(found.known_by, KnownBy::Established, "{ran}");
    assert!(
        found.words.contains("of the 80 that are open, 60 have"),
        "{ran}"
    );
    assert_eq!(s.connections.open_at_end, 80, "{ran}");
}

#[test]
fn a_limit_elsewhere_is_found_though_nothing_here_names_it() {
    let (near, far) = two_machines();
    far.shell(
        "nft 'table inet f { set s { type inet_service; size 9; flags dynamic; };
         chain c { type filter hook input priority 0;
         tcp dport 9000 ct state new add @s { tcp dport ct count over 120 } drop; }; }'",
    );
    let _server = serve(&far, "10.77.0.2:9000");
    let ran = load(&near, "-c max:50k 10.77.0.2:9000 --hold 1s");
    ran.reached();
    let found = maximum(&ran);
    assert_right(&ran, &found, 120);
    assert_eq!((found.ending, found.whose), (Ending::Found, None), "{ran}");
    assert_eq!(found.known_by, KnownBy::Established, "{ran}");
}

#[test]
fn a_limit_of_this_client_is_no_answer() {
    let (near, far) = two_machines();
    near.shell("echo 40000 40199 > /proc/sys/net/ipv4/ip_local_port_range");
    let _server = serve(&far, "10.77.0.2:9000");
    let ran = load(&near, "-c max 10.77.0.2:9000 --hold 200ms");
    let s = ran.fell_short();
    let found = maximum(&ran);
    assert_eq!(found.ending, Ending::Client, "{ran}");
    assert_eq!(found.client_limit, Some(LimitKind::FourTuples), "{ran}");
    assert_eq!(
        (found.connections, found.client_allows),
        (200, 200),
        "{ran}"
    );
    let first = s.findings[0].to_string();
    assert!(
        first.contains("can't find out") && first.contains("--source-ip"),
        "{ran}"
    );
    // A bound that the user gives is one. The ports of the first run are in TIME_WAIT.
    let (near, far) = two_machines();
    let _server = serve(&far, "10.77.0.2:9000");
    let ran = load(&near, "-c max:150 10.77.0.2:9000 --hold 200ms");
    ran.reached();
    let found = maximum(&ran);
    assert_eq!(
        (found.ending, found.connections),
        (Ending::Bound, 150),
        "{ran}"
    );
}

#[test]
fn a_scenario_file_and_http_ask_for_the_maximum_too() {
    let net = Net::own();
    let _server = serve(
        &net,
        "127.0.0.1:9000 --mode http --max-connections 40 --backlog 32",
    );
    let scenario = "version = 1\n[load]\ntargets = ['http://127.0.0.1:9000']\nconnections = 'max'\nhold = '500ms'\n";
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), scenario).expect("it is written");
    let path = file.path().to_str().expect("its name is a text");
    let by_file = crate::common::start(&net, &format!("run --output json {path}"));
    let by_http = crate::common::start(
        &net,
        "http -c max:10 -t 500ms --output json http://127.0.0.1:9000/",
    );
    let ran = by_http.wait(crate::common::PATIENCE);
    assert_eq!(maximum(&ran).ending, Ending::Bound, "{ran}");
    let ran = by_file.wait(crate::common::PATIENCE);
    assert!(maximum(&ran).connections <= 40, "{ran}");
}

#[test]
fn the_most_connections_that_keep_a_bound_of_latency_are_found_and_confirmed() {
    let net = Net::own();
    let (_server, _) = limited(&net, "knee 40", 1000);
    let ran = load(
        &net,
        "-c @p90<40ms --closed-loop -m ping 127.0.0.1:9000 --hold 1s",
    );
    let (s, found) = (ran.reached(), maximum(&ran));
    assert_eq!(
        (found.ending, found.connections),
        (Ending::Found, 40),
        "{ran}"
    );
    assert_eq!(s.connections.open_at_end, 40, "{ran}");
    let keeping = found.keeping.as_ref().expect("objectives");
    assert_eq!((keeping.kept, keeping.broke), (Some(40), Some(41)), "{ran}");
    assert_eq!(keeping.broke_by, Some(Limit::Latency), "{ran}");
    assert_eq!(keeping.confirmed, Some(true), "{ran}");
    assert!(keeping.tried.len() >= 6, "{ran}");
    assert!(found.words.contains("keep p90<40ms"), "{ran}");
}

#[test]
fn the_most_connections_without_a_failure_are_found_with_what_broke() {
    let net = Net::own();
    let (_server, _) = limited(&net, "at-once 24", 1000);
    let ran = load(&net, "-c @failed=0:64 127.0.0.1:9000 --hold 500ms");
    ran.reached();
    let found = maximum(&ran);
    assert_eq!(
        (found.ending, found.connections),
        (Ending::Found, 24),
        "{ran}"
    );
    let keeping = found.keeping.as_ref().expect("objectives");
    assert_eq!(
        (keeping.broke, keeping.confirmed),
        (Some(25), Some(true)),
        "{ran}"
    );
    assert!(
        matches!(keeping.broke_by, Some(Limit::Connections | Limit::Failures)),
        "{ran}"
    );
}

#[test]
fn objectives_that_nothing_measures_are_refused() {
    let net = Net::own();
    for (args, says) in [
        ("-c @p99<50ms 127.0.0.1:9", "needs a latency"),
        (
            "-c @p99<50ms -m x --latency-echo --rate 50 127.0.0.1:9",
            "-r is a rate on each",
        ),
        ("-c @p99 127.0.0.1:9", "p99<50ms"),
        ("-c @failed=0 --no-reconnect 127.0.0.1:9", "--no-reconnect"),
    ] {
        let ran = load(&net, args);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(says), "{ran}");
    }
}

#[test]
fn the_most_new_connections_per_second_are_found_with_what_goes_wrong_beyond() {
    let net = Net::own();
    let (_server, _) = limited(&net, "slowly 1000", 2000);
    let ran = load(&net, "-c 200 --connect-rate max 127.0.0.1:9000");
    let s = ran.summary();
    let found = s.connect_rate.as_ref().expect("a rate");
    // A busy machine may not keep its own rate; then it says so.
    assert!(
        matches!(
            found.ending,
            ConnectRateEnding::Found | ConnectRateEnding::Client
        ),
        "{ran}"
    );
    assert_eq!(ran.code, i32::from(!found.is_found()), "{ran}");
    // It sleeps for a millisecond after each.
    assert!(found.per_s.is_some_and(|per_s| per_s < 1100.0), "{ran}");
    assert!(found.broke_per_s > found.per_s, "{ran}");
    assert_eq!(found.broke_by, Some(BrokeBy::Waiting), "{ran}");
    assert_eq!(found.tried[0].due_per_s, None, "{ran}");
    let kinds = s.findings.iter().map(Finding::kind);
    assert!(
        kinds.into_iter().any(|kind| kind == "connect_rate"),
        "{ran}"
    );
}
