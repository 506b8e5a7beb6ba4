//! `throng serve unix:PATH`: servers on Unix sockets, and the files of these.

use crate::common::net::Net;
use crate::common::{load, run, serve, stop_serving};
use rustix::process::Signal;
use std::os::unix::net::UnixListener;
use std::time::Duration;

const ENGINES: [&str; 2] = ["uring", "epoll"];

#[test]
fn every_mode_is_served_on_a_unix_socket_which_is_gone_afterwards() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let socket = path.to_str().unwrap();
    let over = format!("--unix-socket {socket}");
    for engine in ENGINES {
        for (mode, target) in [
            ("sink", format!("unix:{socket} -m hello -r 20")),
            ("echo", format!("unix:{socket} -m hello --closed-loop")),
            ("chargen -m tick -r 20", format!("unix:{socket}")),
            ("http", format!("{over} http://localhost/hello")),
            ("ws", format!("{over} ws://localhost/ -m hi -r 20")),
            ("mqtt", format!("{over} mqtt://localhost")),
        ] {
            let server = serve(
                &net,
                &format!("unix:{socket} --mode {mode} --engine {engine}"),
            );
            server.wait_for_stderr(&format!("listening on unix:{socket}"));
            assert!(path.exists());
            // More than are accepted at once.
            let ran = load(
                &net,
                &format!("{target} -c 300 --hold 400ms --engine {engine}"),
            );
            let client = ran.reached();
            let served = stop_serving(server);
            assert_eq!(served.connections.accepted, Some(300), "{mode} {ran}");
            assert_eq!(served.engine.name(), engine);
            let (here, there) = (&client.traffic, &served.traffic);
            assert!(mode == "sink" || here.bytes_received > 0, "{mode} {ran}");
            // Others part with words of their own, which the client's counts, those of the hold, do not have.
            if mode == "sink" || mode == "echo" {
                assert_eq!(
                    (here.bytes_sent, there.bytes_sent),
                    (there.bytes_received, here.bytes_received),
                    "{mode} {ran}"
                );
            }
            assert!(!path.exists(), "{mode}");
        }
    }
}

#[test]
fn curl_is_answered_on_a_path_and_on_a_name_without_a_file() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let path = path.to_str().unwrap();
    for engine in ENGINES {
        let server = serve(
            &net,
            &format!("unix:{path} unix:@throng --mode http --engine {engine}"),
        );
        let big = "http://localhost/bytes/3m | wc -c";
        for (option, socket) in [
            ("--unix-socket", path),
            ("--abstract-unix-socket", "throng"),
        ] {
            let got = net.shell(&format!("curl -s {option} {socket} {big}"));
            assert_eq!(got.trim(), "3145728", "{socket}");
        }
        let ran = run(
            &net,
            "http -n 1000 -c 20 --output json --unix-socket @throng http://localhost/hello",
        );
        ran.reached();
        assert_eq!(stop_serving(server).connections.accepted, Some(22), "{ran}");
    }
}

#[test]
fn only_what_a_killed_server_left_behind_is_replaced() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let on = format!("unix:{}", path.display());
    let first = serve(&net, &on);
    first.signal(Signal::KILL);
    first.wait(Duration::from_secs(10));
    assert!(path.exists(), "a server that is killed leaves its file");
    let second = serve(&net, &on);
    // A second one is refused, and the first goes on.
    let refused = |on: &str, told: &str| {
        let ran = run(&net, &format!("serve --duration 1s {on}"));
        let lines = ran.stderr.lines().filter(|line| line.contains(told));
        assert!(ran.code == 2 && lines.count() == 1, "{ran}");
    };
    refused(&on, "a server listens there already");
    load(&net, &format!("{on} -c 10 --hold 100ms")).reached();
    // Its file is another one's by now, which is left alone.
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    stop_serving(second);
    assert!(path.exists());
    refused(&on, "a server listens there already");
    drop(other);
    let file = directory.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    refused(
        &format!("unix:{}", file.display()),
        "there is a regular file already",
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    refused("unix:/no/such/socket", "create its directory first");
    let named = serve(&net, "unix:@taken");
    refused("unix:@taken", "another process has this name");
    stop_serving(named);
}

#[test]
fn what_unix_sockets_do_not_have_is_refused() {
    let net = Net::own();
    for (args, told) in [
        ("unix:", "unix:'' is no Unix socket"),
        ("unix:/x 9000", "listen on Unix sockets only, or on none"),
        ("unix:/x --fastopen", "--fastopen is for TCP/IP"),
        ("unix:/x --nagle on", "--nagle is for TCP/IP"),
        ("unix:/x --linger 0", "--linger is for TCP/IP"),
        ("unix:/x --sndbuf 64k", "sysctl net.core.wmem_default"),
        ("unix:/x --rcvbuf 64k", "sysctl net.core.rmem_default"),
    ] {
        let ran = run(&net, &format!("serve {args}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert!(
            ran.stderr.lines().count() == 1 && ran.stderr.contains(told),
            "{ran}"
        );
    }
}
