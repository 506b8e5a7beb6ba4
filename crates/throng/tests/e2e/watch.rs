//! `throng watch` and `--watch`: what it says of real servers, against what /proc says.

use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run, start, start_load, start_words};
use crate::target_server::{KEEPS, python};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use throng_core::summary::Summary;
use throng_core::watched::WatchedSummary;

/// The process that really serves: `nsenter` and `prlimit` become it, so it is the one that was started.
fn pid(server: &Process) -> u32 {
    server.id()
}

/// The only system that a run watched.
#[track_caller]
fn only<'s>(summary: &'s Summary, ran: &Ran) -> &'s WatchedSummary {
    let [watched] = &summary.watched[..] else {
        panic!("not one system was watched: {ran}");
    };
    watched
}

/// Resident memory of a process and those that it started, in bytes, as /proc has it.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(children).expect("it runs");
    let children = children
        .split_whitespace()
        .map(|pid| pid.parse().expect("a pid"));
    kib.expect("resident memory") * 1024 + children.map(resident).sum::<u64>()
}

/// nginx with a master and two workers, on port 8080.
fn nginx(net: &Net, directory: &Path) -> Process {
    let at = directory.display();
    // Its user is the namespace's root, who need not be the machine's.
    let config = format!(
        "daemon off; user root root; worker_processes 2; pid {at}/pid; error_log {at}/error.log;
         worker_rlimit_nofile 8192;
         events {{ worker_connections 4096; }}
         http {{
             access_log off;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{ listen 127.0.0.1:8080 backlog=4096; return 200 'held'; }}
         }}"
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let prefix = format!("{at}");
    let args = ["-p", &prefix, "-e", "stderr", "-c", file.to_str().unwrap()];
    let server = start_server(net, "nginx", &args, 8080);
    // The master listens before it has workers, and these grow while they begin.
    let mut before = (0, 0);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let children = format!("/proc/{0}/task/{0}/children", pid(&server));
        let children = std::fs::read_to_string(children).expect("it runs");
        let now = (children.split_whitespace().count(), resident(pid(&server)));
        if now.0 == 2 && now == before {
            break;
        }
        before = now;
        std::thread::sleep(Duration::from_millis(100));
    }
    server
}

#[test]
fn what_a_connection_costs_nginx_is_what_its_processes_grow_by() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let server = nginx(&net, directory.path());
    let nginx = pid(&server);
    let before = resident(nginx);
    let line = format!("127.0.0.1:8080 -c 2k --hold 6s --watch {nginx}");
    let loading = start_load(&net, &line);
    net.wait_for_connections(8080, 2000);
    std::thread::sleep(Duration::from_secs(1));
    let grown = resident(nginx).saturating_sub(before) as f64 / 2000.0;
    let ran = loading.wait(PATIENCE);
    let summary = ran.reached();
    let watched = only(&summary, &ran);
    assert!(watched.name.contains("(nginx)"), "{ran}");
    assert_eq!(watched.processes, 3, "a master and two workers: {ran}");
    assert_eq!(watched.connections_before, Some(0), "{ran}");
    assert_eq!(watched.connections_peak, Some(2000), "{ran}");
    let rss = watched.rss_bytes_per_connection.expect("it is known");
    assert!(
        (rss - grown).abs() <= (grown * 0.3).max(250.0),
        "{rss} is not {grown}: {ran}"
    );
    // A socket, an inode, a dentry and a file, and nothing in its buffers.
    let kernel = watched.kernel_bytes_per_connection.expect("it is known");
    assert!((2_500.0..6_000.0).contains(&kernel), "{ran}");
    assert!(
        (kernel - watched.socket_bytes as f64).abs() < 200.0,
        "{ran}"
    );
    assert!(watched.text.contains("per connection,"), "{ran}");
    assert!(watched.memory_binds_at > Some(100_000), "{ran}");
    // Two workers have some 1,000 each of their 8,192.
    let descriptors = watched.descriptors_bind_at.expect("it is known");
    assert!((8_000..25_000).contains(&descriptors), "{ran}");
    assert!(
        watched.ended.is_none() && watched.unread.is_empty(),
        "{ran}"
    );
    let readings = &summary_json(&ran)["record"]["sources"];
    let part = readings.as_object().and_then(|all| all.values().next());
    let readings = &part.expect("a source")["ending"]["watched"]["readings"];
    assert!(
        readings.as_array().is_some_and(|all| all.len() >= 4),
        "{ran}"
    );
}

fn summary_json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).expect("JSON")
}

#[test]
fn a_python_server_is_watched_beside_a_load_with_a_row_per_reading() {
    let net = Net::own();
    let server = python(&net, 4096, KEEPS);
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("readings.csv");
    let line = format!(
        "watch {} --every 250ms --for 4s --output json --csv {}",
        pid(&server),
        csv.display()
    );
    let watching = start(&net, &line);
    watching.wait_for_stderr("  0 connections");
    let loaded = load(&net, "127.0.0.1:9000 -c 1200 --hold 2500ms");
    loaded.reached();
    let ran = watching.wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    let result = summary_json(&ran);
    let watched = &result["watched"];
    let number = |name: &str| {
        let value = watched[name].as_f64();
        value.unwrap_or_else(|| panic!("no {name}: {ran}"))
    };
    assert!(
        (18_000.0..40_000.0).contains(&number("rss_bytes_per_connection")),
        "{ran}"
    );
    assert!(
        (1_400.0..1_600.0).contains(&number("descriptors_bind_at")),
        "{ran}"
    );
    assert_eq!(number("descriptor_limit"), 1500.0, "{ran}");
    assert_eq!(number("connections_peak"), 1200.0, "{ran}");
    assert!(number("cpu_user_s") + number("cpu_system_s") > 0.0, "{ran}");
    assert!(
        watched["text"]
            .as_str()
            .is_some_and(|t| t.contains("descriptors bind at 1,")),
        "{ran}"
    );
    let rows = std::fs::read_to_string(&csv).unwrap();
    let readings = result["readings"].as_array().map_or(0, Vec::len);
    assert!(
        readings >= 5 && rows.lines().count() == readings + 1,
        "{rows}"
    );
    assert!(rows.starts_with("time_s,connections,rss_bytes,"), "{rows}");
}

#[test]
fn a_process_that_ends_in_mid_run_ends_the_watch_and_how_is_told() {
    let net = Net::own();
    let crashes = "
kept = [s.accept() for _ in range(150)]
time.sleep(1.5)
os._exit(3)
";
    let server = python(&net, 4096, crashes);
    let watching = start(&net, &format!("watch {} --every 200ms", pid(&server)));
    watching.wait_for_stderr("  0 connections");
    let line = format!(
        "127.0.0.1:9000 -c 150 --no-reconnect --hold 4s --watch {}",
        pid(&server)
    );
    let loaded = load(&net, &line);
    let summary = loaded.fell_short();
    let watched = only(&summary, &loaded);
    let how = watched.ended.as_deref().expect("it has ended");
    assert!(how.starts_with("ended with exit code 3"), "{loaded}");
    assert!(
        watched
            .ended_at_s
            .is_some_and(|at| at > 1.0 && at < summary.seconds),
        "{loaded}"
    );
    assert_eq!(watched.connections_peak, Some(150), "{loaded}");
    let ran = watching.wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    let first = ran.stdout.lines().next().unwrap_or_default();
    assert!(first.contains("ended with exit code 3 after "), "{ran}");
}

#[test]
fn an_accept_queue_that_overflows_is_seen() {
    let net = Net::own();
    let server = python(&net, 8, "time.sleep(60)");
    let line = format!(
        "127.0.0.1:9000 -c 60 --force --connect-timeout 500ms --hold 2500ms --watch {}",
        pid(&server)
    );
    let ran = load(&net, &line);
    let summary = ran.summary();
    let watched = only(&summary, &ran);
    assert_eq!((watched.listeners, watched.queue_limit), (1, 8), "{ran}");
    assert_eq!(
        watched.queue_waiting_peak, 9,
        "Linux admits one more: {ran}"
    );
    assert!(watched.queue_full >= 2, "{ran}");
    assert!(watched.dropped > 0 && watched.overflows > 0, "{ran}");
    // Nothing was accepted.
    assert_eq!(watched.connections_peak, Some(0), "{ran}");
    let why = watched.why_not.as_deref().unwrap_or_default();
    assert!(why.contains("0 to 0 connections"), "{ran}");
}

#[test]
fn a_server_in_another_network_namespace_is_looked_into_where_that_is_allowed() {
    let (net, elsewhere) = (Net::own(), Net::own());
    let server = python(&net, 4096, KEEPS);
    let loading = start_load(&net, "127.0.0.1:9000 -c 300 --hold 2s");
    net.wait_for_connections(9000, 300);
    let line = format!("watch {} --for 300ms --output json", pid(&server));
    let ran = run(&elsewhere, &line);
    assert_eq!(ran.code, 0, "{ran}");
    let watched = &summary_json(&ran)["watched"];
    if rustix::process::geteuid().is_root() {
        assert_eq!(watched["connections_peak"], 300, "{ran}");
        assert_eq!(watched["listeners"], 1, "{ran}");
    } else {
        let unread = watched["unread"][0].as_str().unwrap_or_default();
        assert!(unread.contains("network namespace"), "{ran}");
    }
    assert!(watched["rss_bytes_peak"].as_u64() > Some(1 << 20), "{ran}");
    loading.wait(PATIENCE).reached();
}

#[test]
fn an_agent_watches_the_server_on_its_machine() {
    let net = Net::own();
    let server = python(&net, 4096, KEEPS);
    let agent = format!(
        "exec:{} agent --stdio --watch {}",
        env!("CARGO_BIN_EXE_throng"),
        pid(&server)
    );
    let words = ["fleet", "run", "--agents", &agent, "--agents", "local:1"];
    let load = "load -c 600 --hold 5s --output json 127.0.0.1:9000";
    let words: Vec<&str> = words.into_iter().chain(load.split(' ')).collect();
    let ran = start_words(&net, &words).wait(PATIENCE);
    let summary = ran.reached();
    let watched = only(&summary, &ran);
    assert!(watched.agent.is_some() && watched.ended.is_none(), "{ran}");
    assert_eq!(watched.connections_peak, Some(600), "of both agents: {ran}");
    let rss = watched.rss_bytes_per_connection.expect("it is known");
    assert!((15_000.0..45_000.0).contains(&rss), "{ran}");
}

#[test]
fn what_can_t_be_watched_is_refused_in_a_line() {
    let net = Net::own();
    let server = python(&net, 16, "time.sleep(60)");
    for (line, part) in [
        ("watch 4194305", "there is no process 4194305"),
        ("watch no-such-unit", "'no-such-unit' is no process id"),
        ("watch /no/such/cgroup", "is no cgroup"),
        ("watch 1 --every 1ms", "100 ms apart at least"),
        (
            "load -c 1 --watch 4194305 127.0.0.1:9000",
            "--watch: there is no process",
        ),
        (
            "agent --stdio --watch no-such",
            "--watch: 'no-such' is no process id",
        ),
        (
            "fleet run --agents local:1 load --watch 1 -c 1 127.0.0.1:9000",
            "--watch is about a run in this process",
        ),
    ] {
        let ran = run(&net, line);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        assert!(ran.stderr.contains(part) && ran.stdout.is_empty(), "{ran}");
    }
    let mut command = net.command("setpriv");
    command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args(["watch", &pid(&server).to_string()]);
    let ran = Process::start("throng watch as nobody".into(), command).wait(PATIENCE);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("may not look into process"), "{ran}");
}
