//! The sample configurations of `throng tune --for`, and the entry point of containers: each is checked by its own program, and
//! those of servers hold connections.

use crate::common::PATIENCE;
use crate::common::net::Net;
use crate::common::peers::{installed, start_server};
use crate::common::process::Process;
use crate::common::run;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where scripts/test installs programs from PyPI.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python/bin");

/// The sample for `program`, in a file.
fn sample(net: &Net, words: &str, file: &Path) -> String {
    let ran = run(net, &format!("tune --for {words}"));
    assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran}");
    fs::write(file, &ran.stdout).unwrap();
    ran.stdout
}

/// Runs a check, which has to succeed.
#[track_caller]
fn passes(mut command: Command, of: &str) -> String {
    let out = command.output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(out.status.success(), "{of}: {said}");
    said
}

/// What nginx needs besides its configuration, to leave the machine's own alone.
fn besides(directory: &Path) -> String {
    let at = directory.display();
    format!("daemon off; pid {at}/pid; error_log stderr warn;")
}

#[test]
fn each_sample_passes_its_own_program() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for role in ["server", "both"] {
        for n in ["100", "15k", "1m"] {
            for program in ["nginx", "haproxy", "kubernetes", "docker", "systemd"] {
                let words = format!("{program} --role {role} -c {n}");
                let file = at.join(program);
                sample(&net, &words, &file);
                let file = file.to_str().unwrap();
                let mut check = match program {
                    "nginx" => installed(&net, "nginx"),
                    "haproxy" => installed(&net, "haproxy"),
                    "kubernetes" => Command::new(format!("{PYTHON}/kubernetes-validate")),
                    "docker" => Command::new(format!("{PYTHON}/docker-compose")),
                    _ => Command::new("systemd-analyze"),
                };
                match program {
                    "nginx" => check.args(["-t", "-c", file, "-g", &besides(at)]),
                    "haproxy" => check.args(["-c", "-f", file]),
                    "kubernetes" => {
                        check.args(["--strict", "--kubernetes-version", "1.30.0", file])
                    }
                    "docker" => check.args(["-f", file, "config", "-q"]),
                    _ => {
                        let unit = at.join("x.service");
                        let drop_in = at.join("x.service.d");
                        fs::create_dir_all(&drop_in).unwrap();
                        fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
                        fs::copy(file, drop_in.join("connections.conf")).unwrap();
                        check.args(["verify", "--man=no"]).arg(unit)
                    }
                };
                let said = passes(check, &words);
                // This one says what it does not understand, and succeeds.
                assert!(program != "systemd" || said.is_empty(), "{words}: {said}");
            }
        }
    }
    let ran = run(&net, "tune --for nginx --role client");
    assert!(
        ran.code == 2 && ran.stderr.contains("--role server"),
        "{ran}"
    );
}

#[test]
fn nginx_and_haproxy_hold_what_their_samples_are_for() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let hold = |port: u16| {
        let ran = run(&net, &format!("load -c 3k --hold 1s 127.0.0.1:{port}"));
        assert_eq!(ran.code, 0, "{ran}");
        assert!(ran.stdout.contains("3,000 of 3,000"), "{ran}");
    };
    let nginx = at.join("nginx.conf");
    sample(&net, "nginx --role server -c 3k --port 8080", &nginx);
    let besides = besides(at);
    let args = ["-c", nginx.to_str().unwrap(), "-g", &besides];
    let server = start_server(&net, "nginx", &args, 8080);
    hold(8080);
    drop(server);

    let haproxy = at.join("haproxy.cfg");
    sample(&net, "haproxy --role both -c 3k --port 8081", &haproxy);
    let mut backend = net.command(env!("CARGO_BIN_EXE_throng"));
    backend.args(["serve", "9000"]);
    let mut backend = Process::start("throng serve".to_owned(), backend);
    backend.wait_for_listener(&net, 9000);
    let args = ["-f", haproxy.to_str().unwrap()];
    let _proxy = start_server(&net, "haproxy", &args, 8081);
    hold(8081);
}

#[test]
fn an_entry_point_sets_what_it_may_and_says_what_it_may_not() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("entry.sh");
    for role in ["client", "server", "both"] {
        for with in ["", "--port 9000", "--with syncookies-off,fin-timeout"] {
            let words = format!("tune --script --container-init --role {role} -c 5k {with}");
            let ran = run(&net, &words);
            assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran}");
            fs::write(&file, &ran.stdout).unwrap();
            let mut check = Command::new("shellcheck");
            check.args(["-s", "sh"]).arg(&file);
            passes(check, &words);
        }
    }
    let ran = run(
        &net,
        "tune --script --container-init --role both -c 5k --port 9000",
    );
    fs::write(&file, &ran.stdout).unwrap();
    let entry = file.display();
    let values = "cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/tcp_tw_reuse";
    let run_by_it = format!("sh {entry} sh -c '{values}'");
    // Twice: the second time there is nothing to do.
    for _ in 0..2 {
        let mut command = net.command("sh");
        command.args(["-c", &run_by_it]);
        let said = passes(command, "the entry point");
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(
            words[words.len() - 4..],
            ["5000", "1024", "65535", "1"],
            "{said}"
        );
    }

    // As in a container without privileges.
    let sandbox = Net::with_own_mounts();
    let mut command = sandbox.command("sh");
    command.args([
        "-c",
        &format!("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && sh {entry} echo ran"),
    ]);
    let said = passes(command, "the entry point in a sandbox");
    for part in ["ran\n", "--sysctl 'net.core.somaxconn=5000'"] {
        assert!(said.contains(part), "no '{part}': {said}");
    }

    let mut command = net.command("sh");
    command.arg(&file);
    let none = Process::start("the entry point alone".to_owned(), command).wait(PATIENCE);
    assert!(
        none.code == 2 && none.stderr.contains("no command"),
        "{none}"
    );
}
