//! Scenarios as files: what is printed does the same when it is run, and what is wrong is named with its place.

use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run, run_words, serve, stop_serving};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// A directory with a file of this name and text in it.
fn file(name: &str, text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path").to_owned();
    (directory, path)
}

/// The scenario that this command line prints.
fn printed(net: &Net, args: &[&str]) -> String {
    let ran = run_words(net, &[args, &["--print-scenario"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
    ran.stdout
}

#[test]
fn a_printed_load_does_the_same_when_it_is_run() {
    let net = Net::own();
    let line = [
        "load",
        "--self=echo",
        "-c",
        "100",
        "-m",
        "hello\\n",
        "-e",
        "-r",
        "20",
        "--latency-echo",
        "--hold",
        "500ms",
    ];
    let text = printed(&net, &line);
    assert!(
        text.starts_with("version = 1\n\n[load]\nself = \"echo\"\n"),
        "{text}"
    );
    let (_directory, path) = file("echo.toml", &text);
    let from_file = run(&net, &format!("run --output json {path}"));
    let from_line = load(
        &net,
        "--self=echo -c 100 -m hello\\n -e -r 20 --latency-echo --hold 500ms",
    );
    for ran in [&from_file, &from_line] {
        let summary = ran.summary();
        let c = &summary.connections;
        assert_eq!(
            (ran.code, c.asked, c.established),
            (0, Some(100), 100),
            "{ran}"
        );
        let rate = summary.message_rate.as_ref().expect("a rate");
        assert_eq!(rate.asked_per_s, Some(2000.0), "{ran}");
        let answers = summary.answers.as_ref().expect("answers");
        assert_eq!(answers.unanswered, 0, "{ran}");
        assert_eq!(summary.traffic.bytes_sent % 6, 0, "{ran}");
    }
    let asked = |ran: &Ran| ran.summary().command.clone();
    assert_eq!(asked(&from_file)[1..], ["run", "--output", "json", &path]);
}

#[test]
fn a_scenario_of_a_server_is_run_and_values_are_replaced() {
    let net = Net::own();
    let text = printed(&net, &["serve", "--mode", "echo", "127.0.0.1:9000"]);
    let (_directory, path) = file("serve.toml", &text);
    let words = format!("run --output json {path} --set serve.listen=127.0.0.1:9001");
    let server = crate::common::start(&net, &words);
    server.wait_for_stderr("on engine");
    let ran = load(&net, "-c 20 --hold 300ms 127.0.0.1:9001");
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(stop_serving(server).connections.accepted, Some(20));
}

#[test]
fn a_scenario_comes_from_stdin_too() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let mut command = net.command("sh");
    command
        .args([
            "-c",
            "printf \"version = 1\\nload.targets = '127.0.0.1:9000'\\n\" | \"$0\" \"$@\"",
        ])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args([
            "run",
            "-",
            "--set",
            "load.hold=200ms",
            "--set",
            "load.connections=7",
        ])
        .args(["--output", "json"])
        .stdin(Stdio::null());
    let ran = Process::start("throng run -".into(), command).wait(PATIENCE);
    assert_eq!(ran.summary().connections.established, 7, "{ran}");
    drop(server);
}

#[test]
fn messages_and_certificates_are_found_beside_the_file() {
    let net = Net::own();
    let certificate =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let text = "version = 1\n[load]\nself = 'echo'\nhold = '300ms'\n\
        [load.messages]\nrepeated = { file = 'message.txt' }\n[load.pace]\nclosed-loop = true\n\
        [load.tls]\ncacert = 'cert.pem'\n[load.tls-server]\nssl-cert = 'cert.pem'\nssl-key = 'key.pem'\n";
    let (directory, path) = file("tls.toml", text);
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("a file");
    };
    write("message.txt", "twelve bytes");
    write("cert.pem", &certificate.cert.pem());
    write("key.pem", &certificate.signing_key.serialize_pem());
    let ran = run(&net, &format!("run --output json {path}"));
    let summary = ran.summary();
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        summary.tls.is_some() && summary.traffic.messages_sent > 0,
        "{ran}"
    );
    // The text itself does as well.
    let inline = format!(
        "version = 1\n[load]\nself = 'sink'\nhold = '100ms'\n[load.tls]\ncacert = \"\"\"\n{pem}\"\"\"\n\
         [load.tls-server]\nssl-cert = \"\"\"\n{pem}\"\"\"\nssl-key = \"\"\"\n{key}\"\"\"\n",
        pem = certificate.cert.pem(),
        key = certificate.signing_key.serialize_pem(),
    );
    let (_directory, path) = file("inline.toml", &inline);
    let ran = run(&net, &format!("run -vv --output json {path}"));
    assert_eq!(
        (ran.code, ran.summary().connections.established),
        (0, 1),
        "{ran}"
    );
    // The scenario is shown, without the private key.
    let body = |pem: String| pem.lines().nth(1).expect("base64").to_owned();
    let shown = |text: &str| ran.stderr.contains(text);
    assert!(shown(&body(certificate.cert.pem())), "{ran}");
    assert!(shown("(a private key, not shown)"), "{ran}");
    assert!(
        !shown(&body(certificate.signing_key.serialize_pem())),
        "{ran}"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_reported_in_a_line_with_its_place() {
    let net = Net::own();
    let own = "version = 1\n\n[load]\nself = 'sink'\n";
    for (text, more, says) in [
        (
            "version = 1\n\n[load]\n  conections = 5\n",
            &[][..],
            ":4:3: unknown key 'conections' in [load]; did you mean 'connections'?",
        ),
        (
            "version = 1\n[load]\nhold = '5x'\n",
            &[],
            ":3:8: load.hold: '5x' is not a duration",
        ),
        ("version = 1\n[load]\nhold = \n", &[], ":3:8: "),
        ("version = 7\n[load]\n", &[], "version 7 is unknown"),
        ("[load]\n", &[], "version = 1"),
        (
            own,
            &["--set", "load.conections=5"],
            "--set load.conections=5: unknown key",
        ),
        (own, &["--set", "load.connections"], "load.connections=10k"),
        (own, &["--set", "load.workers=0"], "from 1 to 1024"),
        (
            own,
            &["--set", "load.measure.latency-echo=true"],
            "add -m or -f",
        ),
        (own, &["--samples", "round-trips.csv"], "--latency-echo"),
        (own, &["--statsd-port", "9"], "--statsd"),
        (
            "version = 1\n[load]\ntargets = 'no.such.name.invalid:80'\n",
            &[],
            "can't resolve",
        ),
        (
            "version = 1\n[load]\ntargets = '127.0.0.1:9'\ntls.cacert = 'gone.pem'\n",
            &[],
            "gone.pem",
        ),
        (
            "version = 1\n[serve]\nlisten = 9000\n",
            &["--dump-all"],
            "no section [load]",
        ),
        (
            "version = 1\n[serve]\nlisten = 'localhost:80'\n",
            &[],
            "'localhost:80'",
        ),
    ] {
        let (_directory, path) = file("wrong.toml", text);
        let ran = run_words(&net, &[&["run", &path], more].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        assert!(
            ran.stderr.starts_with("throng: ") && ran.stderr.contains(says),
            "{says}: {ran}"
        );
    }
    for (path, says) in [
        ("/nowhere.toml", "No such file"),
        ("/", "directory"),
        ("/bin/sh", "UTF-8"),
    ] {
        assert!(Path::new(path).is_absolute());
        let ran = run_words(&net, &["run", path]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        assert!(ran.stderr.contains(says), "{ran}");
    }
}

#[test]
fn any_bytes_are_a_message_and_the_summary_has_the_command_line_with_them() {
    let net = Net::own();
    let words = |last: &'static [u8]| {
        let mut command = net.command(env!("CARGO_BIN_EXE_throng"));
        command.args([
            "load", "--self", "--hold", "100ms", "--output", "json", "-1",
        ]);
        command.arg(std::ffi::OsStr::from_bytes(last));
        command
    };
    let ran = Process::start("throng load -1 \\xff".into(), words(b"\xff")).wait(PATIENCE);
    let summary = ran.summary();
    assert_eq!((ran.code, summary.traffic.bytes_sent), (0, 1), "{ran}");
    assert_eq!(summary.command.last().map(String::as_str), Some(r"\xff"));
    let mut command = words(b"\xff\xfe");
    command.arg("--print-scenario");
    let ran = Process::start("throng load --print-scenario".into(), command).wait(PATIENCE);
    assert!(
        ran.stdout.contains("first = [{ base64 = \"//4=\" }]"),
        "{ran}"
    );
}
