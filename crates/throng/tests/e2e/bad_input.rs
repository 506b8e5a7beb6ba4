//! Bad input: exit code 2, nothing on stdout, one line on stderr that names what was
//! wrong.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{run_words, start_words};
use std::time::Duration;

#[test]
fn bad_input_is_reported_in_a_line_that_names_it() {
    // The arguments, and what the message must contain.
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: throng"),
        (&["lod"], "'lod'"),
        (&["load"], "--self"),
        (&["load", "--self", "127.0.0.1:80"], "--self"),
        (
            &["load", "--self", "--bind-device", "eth0"],
            "leave out --bind-device",
        ),
        (
            &["load", "127.0.0.1:80", "--tos", "0x21"],
            "write a multiple of 4",
        ),
        (
            &["serve", "9000", "--dscp", "best"],
            "write 46, ef, af41, cs1 or le",
        ),
        (&["serve", "9000", "--tos", "0", "--dscp", "0"], "--dscp"),
        (
            &["serve", "9000", "--linger", "5s"],
            "only 0 is possible, which closes with a reset",
        ),
        (&["load", "--self=web"], "'web'"),
        (
            &["http", "-s", "1", "--timeout", "2", "http://127.0.0.1:9/"],
            "--timeout: 1 and 2 contradict each other",
        ),
        (
            &["http", "--connect-to", "a:::", "http://127.0.0.1:9/"],
            "leads nowhere else",
        ),
        (
            &["load", "--self=echo", "--exchanges-per-connection", "1"],
            "--exchanges-per-connection needs a message",
        ),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--exchanges-per-connection",
                "70k",
            ],
            "1 to 65,535 are possible",
        ),
        (
            &[
                "load",
                "-m",
                "x",
                "-r",
                "5",
                "--exchanges-per-connection",
                "1",
                "127.0.0.1:9",
            ],
            "--connect-rate bounds new connections",
        ),
        (
            &[
                "load",
                "--exchanges-per-connection",
                "1",
                "http://127.0.0.1:9/",
            ],
            "HTTP has --requests-per-connection",
        ),
        (
            &[
                "load",
                "-c",
                "max",
                "-m",
                "x",
                "--exchanges-per-connection",
                "1",
                "127.0.0.1:9",
            ],
            "which closes them",
        ),
        (
            &["load", "--self", "-m", "x", "--await-close"],
            "--exchanges-per-connection",
        ),
        (&["load", "--self", "-c", "0"], "at least 1"),
        (&["load", "--self", "-c", "-5"], "'-5' is not a count"),
        (&["load", "--self", "-c", "-5k"], "can't be negative"),
        (
            &["load", "--self", "--allow-lost", "-1"],
            "'-1' is not a count",
        ),
        (
            &["load", "--self", "--ping", "20s"],
            "--ping is for WebSocket: add --websocket or a ws:// target",
        ),
        (&["load", "--self", "--ping-interval", "20s"], "--ping TIME"),
        (&["load", "--self", "-d", "5s"], "--hold TIME"),
        (&["load", "-d10s", "127.0.0.1:9"], "--hold TIME"),
        (&["load", "--self", "--threshold", "x"], "--expect"),
        (&["load", "--self", "--vus=5"], "--connections N"),
        (&["load", "--self", "-t4"], "--workers N"),
        (&["load", "--self", "--num-requests", "500"], "--requests N"),
        (&["load", "--self", "-n", "500"], "needs a message"),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--latency-echo",
                "-r",
                "@10ms",
                "-n",
                "5",
            ],
            "a search sends",
        ),
        (&["load", "--self", "-z", "5s"], "--hold 10s"),
        (&["load", "--self", "--hold", "infinite"], "--hold forever"),
        (&["load", "tls://127.0.0.1:9"], "--tls"),
        (&["load", "--self=http", "--ws"], "leave out"),
        (&["load", "--self=chargen"], "ws-sink"),
        (&["127.0.0.1:9"], "throng load 127.0.0.1:9"),
        (&["-c", "5", "127.0.0.1:9"], "throng load -c"),
        (&["server", "9000"], "throng serve"),
        (&["serve", "--port", "9000"], "throng serve 9000"),
        (&["load", "--self", "--expect", "lost=<5"], "'lost<=5'"),
        (
            &["load", "--self", "--allow-unanswered", "1%"],
            "add --latency-marker TEXT",
        ),
        (
            &["load", "--self", "-m", "x", "--allow-unanswered", "0"],
            "add --latency-marker TEXT",
        ),
        (&["help", "me"], "there is no help on 'me'"),
        (&["load", "--self", "-c", "1.5"], "'1.5'"),
        (&["load", "--self", "-c", "1e"], "'1e'"),
        (&["load", "--self", "-c", "1g"], "'1g'"),
        (&["load", "--self", "-c", "101m"], "100m"),
        (&["load", "--self", "-c", ""], "''"),
        (
            &["load", "--self", "-c", "99999999999999999999"],
            "99999999999999999999",
        ),
        (&["load", "--self", "--connect-rate", "0"], "'0'"),
        (&["load", "--self", "--connect-rate", "fast"], "'fast'"),
        (
            &["load", "--self", "--connect-timeout", "0"],
            "longer than 0",
        ),
        (&["load", "--self", "--connect-timeout", "5x"], "'5x'"),
        (&["load", "--self", "-T", "0s"], "longer than 0"),
        (
            &["load", "--self", "--hold", "-1s"],
            "'-1s' is not a duration",
        ),
        (&["load", "--self", "--hold", "-1"], "write 250ms, 10s"),
        (&["load", "--self", "-T", "-1"], "'-1' is not a duration"),
        (
            &["load", "--self", "-m", ""],
            "an empty message sends nothing",
        ),
        (
            &["load", "--self", "-1", ""],
            "an empty message sends nothing",
        ),
        (
            &["serve", "9000", "--mode", "chargen", "-m", ""],
            "an empty message sends nothing",
        ),
        (
            &["load", "--self=echo", "--latency-echo"],
            "--latency-echo needs a message",
        ),
        (
            &["load", "--self=echo", "--closed-loop"],
            "--closed-loop needs a message",
        ),
        (&["load", "--self", "--hold", "inf"], "'inf'"),
        (&["load", "--self", "--hold", "200000d"], "a hundred years"),
        (&["load", "--self", "-w", "0"], "from 1 to 1024"),
        (&["load", "--self", "-w", "1k"], "1k"),
        (&["load", "--self", "-m", "x", "-r", "0"], "'0'"),
        (&["load", "--self", "-m", "x", "-r", "nan"], "'nan'"),
        (&["load", "--self", "-m", "x", "-r", "-1"], "--message-rate"),
        (&["load", "--self", "-r", "1"], "add -m or -f"),
        (
            &["load", "--self", "-m", "", "-r", "1"],
            "-m and -f: an empty",
        ),
        (&["load", "--self=echo", "--closed-loop"], "add -m or -f"),
        (
            &["load", "--self", "-m", "x", "--closed-loop"],
            "--self=echo",
        ),
        (
            &["load", "--self=echo", "-m", "x", "--closed-loop", "-r", "1"],
            "--message-rate",
        ),
        (
            &["load", "--self", "-f", "/dev/null", "-r", "1"],
            "-m and -f: an empty",
        ),
        (
            &["load", "--self", "--first-message-file", "/nowhere"],
            "--first-message-file /nowhere",
        ),
        (&["load", "--self", "-m", r"a\{re [b"], "byte"),
        (
            &["load", "--self", "-m", r"\{connection.id}"],
            "connection.id",
        ),
        (&["load", "--self", "-m", r"\{<>}"], "--message"),
        (&["load", "--self", "-m", "x", "-r", "@"], "'@'"),
        (&["load", "--self", "-m", "x", "-r", "@0"], "longer than 0"),
        (&["load", "--self", "-m", "x", "-r", "@5ms:p101"], "'101'"),
        (
            &["load", "--self", "-m", "x", "-r", "@5ms"],
            "--latency-marker",
        ),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--latency-echo",
                "-r",
                "@2s",
                "--hold",
                "8s",
            ],
            "needs at least 2m 40s",
        ),
        (&["load", "--self", "--latency-marker", "x"], "add -m or -f"),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--latency-marker",
                r"\{re [a-z]}",
            ],
            r"with \{connection.uid}, \{connection.re …} or \{global.re …}",
        ),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--latency-marker",
                r"\{message.marker}",
            ],
            "--message-marker looks for those",
        ),
        (
            &["load", "--self", "-m", "x", "--latency-marker", ""],
            "--latency-marker",
        ),
        (
            &[
                "load",
                "--self",
                "-m",
                "x",
                "--latency-marker",
                "x",
                "--message-marker",
            ],
            "--message-marker",
        ),
        (&["load", "--self", "--latency-percentiles", "95,,99"], "''"),
        (&["load", "--self", "--latency-percentiles", "p99"], "'p99'"),
        (&["load", "--self", "--message-stop", ""], "--message-stop"),
        (
            &["load", "--self", "--latency-log", "/nowhere/log"],
            "/nowhere",
        ),
        (&["load", "--self", "--samples", "s.csv"], "--latency-echo"),
        (
            &[
                "load",
                "127.0.0.1:1",
                "-m",
                r"\{message.marker}",
                "--message-marker",
                "--samples",
                "s.csv",
            ],
            "--latency-echo",
        ),
        (
            &["load", "--self", "--latency-marker-skip", "5"],
            "--latency-marker",
        ),
        (
            &["load", "--self", "--message-stop", r"\{connection.uid}"],
            "the same on each connection",
        ),
        (&["load", "--self", "-m", "x", "--rate", "0"], "'0'"),
        (&["load", "--self", "--rate", "5"], "add -m or -f"),
        (
            &["load", "--self", "-m", "x", "--rate", "5", "-r", "5"],
            "--rate",
        ),
        (
            &["load", "--self", "-m", "x", "--profile", "10s"],
            "--profile '10s'",
        ),
        (&["load", "--self", "-m", "x", "--profile", ""], "--profile"),
        (
            &["load", "--self", "-m", "x", "--arrivals", "poisson"],
            "--rate",
        ),
        (&["load", "--self", "--arrivals", "burst"], "'burst'"),
        (&["load", "--self", "--seed", "x"], "'x'"),
        (&["load", "--self", "--dns", "a..b/A"], "a..b/A"),
        (
            &["load", "--self", "--dns", "example.com/WHAT"],
            "example.com/WHAT",
        ),
        (
            &["load", "--self", "--dns", "example.com/A", "-m", "x"],
            "-m and -f",
        ),
        (
            &["load", "--self", "--dns", "example.com/A", "--ws"],
            "--websocket",
        ),
        (
            &["load", "--self", "--channel-bandwidth-upstream", "0"],
            "more than 0",
        ),
        (&["load", "--self", "--channel-bandwidth", "10MB"], "'10MB'"),
        (
            &[
                "load",
                "--self",
                "-m",
                "x",
                "-r",
                "5",
                "--channel-bandwidth",
                "1kbps",
            ],
            "--channel-bandwidth",
        ),
        (&["load", "--self", "--nagle", "maybe"], "'maybe'"),
        (&["load", "--self", "--rcvbuf", "0"], "1 GiB"),
        (&["load", "--self", "--sndbuf", "2g"], "1 GiB"),
        (&["load", "--self", "--write-combine", "x"], "'x'"),
        (&["load", "--self", "-l", "9000"], "--listen-port"),
        (&["load", "-c", "5", "-l", "3712"], "no target"),
        (
            &["load", "-l", "3712", "--source-ip", "127.0.0.2"],
            "no target",
        ),
        (&["load", "--self", "-f", "/dev/zero"], "256 MiB"),
        (&["run", "/dev/zero"], "256 MiB"),
        (&["plan", "--host", "/dev/zero"], "256 MiB"),
        (&["merge", "/dev/zero"], "neither a JSON object nor a page"),
        (
            &[
                "load",
                "--self=echo",
                "-m",
                "x",
                "--samples",
                "-",
                "--latency-echo",
            ],
            "--samples -",
        ),
        (
            &[
                "load",
                "--self",
                "--latency-log",
                "z",
                "--output-file",
                "./z",
            ],
            "--output-file and --latency-log would both write",
        ),
        (
            &[
                "load",
                "--self",
                "-f",
                "Cargo.toml",
                "--output-file",
                "./Cargo.toml",
            ],
            "would overwrite the file that --message-file reads",
        ),
        (
            &[
                "serve",
                "9",
                "--mode",
                "chargen",
                "-m",
                r"\{<Cargo.toml>}",
                "--output-file",
                "Cargo.toml",
            ],
            "would overwrite the file that --message reads",
        ),
        (
            &["merge", "Cargo.toml", "--output-file", "Cargo.toml"],
            "would overwrite",
        ),
        (
            &[
                "plan",
                "--host",
                "Cargo.toml",
                "--output-file",
                "Cargo.toml",
            ],
            "would overwrite the file that --host reads",
        ),
        (&["load", "-l", "nine"], "'nine'"),
        (
            &["load", "-l", "no.such.name.invalid:9"],
            "no.such.name.invalid",
        ),
        (
            &["load", "--self", "--listen-mode", "active"],
            "--listen-port",
        ),
        (&["load", "-l", "9", "--listen-mode", "loud"], "'loud'"),
        (&["load", "ftp://127.0.0.1/"], "ftp://"),
        (
            &["load", "ws://127.0.0.1", "127.0.0.1:80"],
            "different kinds",
        ),
        (&["load", "127.0.0.1:no-such-service"], "'no-such-service'"),
        (&["load", "--self", "-H", "A: b"], "--websocket"),
        (&["load", "--self", "--edns"], "add --dns"),
        (&["load", "--self", "--ws", "-H", "nonsense"], "nonsense"),
        (
            &["load", "--self", "--ws", "-e", "-H", r"A: b\r\nC: d"],
            "--header",
        ),
        (&["load", "--self", "--cacert", "/dev/null"], "--tls"),
        (&["load", "--self", "--insecure"], "--tls"),
        (&["load", "--self", "--resume"], "--tls"),
        (&["load", "--self", "--sni", "a"], "--tls"),
        (
            &["load", "--self", "--tls", "--cacert", "/nowhere"],
            "/nowhere",
        ),
        (
            &[
                "load",
                "--self",
                "--tls",
                "--cacert",
                "/dev/null",
                "--insecure",
            ],
            "--insecure",
        ),
        (
            &["load", "-l", "9", "--tls", "--ssl-cert", "/nowhere"],
            "/nowhere",
        ),
        (&["load", "--self", "--tls", "--alpn", ""], "1 to 255"),
        (&["load", "--self", "--verbose", "4"], "0..=3"),
        (&["load", "--self", "--statsd-port", "9"], "--statsd"),
        (&["load", "--self", "--statsd", "--statsd-port", "0"], "'0'"),
        (
            &["load", "--self", "--statsd", "--statsd-namespace", "a:b"],
            "'a:b'",
        ),
        (
            &[
                "load",
                "--self",
                "--statsd",
                "--statsd-host",
                "no.such.name.invalid",
            ],
            "no.such.name.invalid",
        ),
        (
            &[
                "load",
                "--self",
                "--statsd",
                "--statsd-latency-window",
                "0.1",
            ],
            "500ms",
        ),
        (
            &[
                "load",
                "--self",
                "--statsd",
                "--statsd-latency-window",
                "1m",
            ],
            "longer than",
        ),
        (
            &[
                "load", "--self", "--output", "tcpkali", "--hold", "5s", "-T", "5s",
            ],
            "--hold",
        ),
        (
            &["load", "--self", "-f", "/nowhere/at/all"],
            "/nowhere/at/all",
        ),
        (&["load", "--self", "-f", "/"], "/"),
        (&["load", "--self", "-e", "-m", r"\q"], r"\q"),
        (&["load", "--self", "-e", "-m", r"\x"], r"\x"),
        (&["load", "--self", "-e", "-m", r"\400"], r"\400"),
        (&["load", "--self", "-e", "-1", "x\\"], "--first-message"),
        (&["load", "127.0.0.1"], "'127.0.0.1' is not a target"),
        (&["load", "127.0.0.1:0"], "'127.0.0.1:0'"),
        (&["load", "127.0.0.1:65536"], "ports are 1 to 65535"),
        (&["load", "--self", "--output-file", "r.html"], "not HTML"),
        (
            &["load", "--self", "--output-file", "r.json"],
            "--output json",
        ),
        (&["load", "::1:80"], "'::1:80'"),
        (&["load", ":80"], "':80'"),
        (&["load", "[::1:80"], "[::1:80"),
        (
            &["load", "no.such.name.invalid:80"],
            "look it up with `getent ahosts no.such.name.invalid`, or write an address",
        ),
        (
            &["load", "127.0.0.1:9", "--source-ip", "localhost"],
            "'localhost'",
        ),
        (
            &["load", "127.0.0.1:9", "--source-ip", "127.0.0.2-127.0.0.1"],
            "backwards",
        ),
        (
            &["load", "127.0.0.1:9", "--source-ip", "10.0.0.0/8"],
            "10.0.0.0/8",
        ),
        (
            &["load", "127.0.0.1:9", "--source-ip", "10.0.0.0/33"],
            "10.0.0.0/33",
        ),
        (
            &["load", "127.0.0.1:9", "--source-ip", "127.0.0.1-::1"],
            "mixes",
        ),
        (&["load", "127.0.0.1:9", "--source-ip", "::1"], "family"),
        (
            &["load", "--self", "--source-ip", "127.0.0.2"],
            "--source-ip",
        ),
        (&["load", "--self", "--engine", "kqueue"], "'kqueue'"),
        (&["load", "--self", "--output", "xml"], "'xml'"),
        (&["load", "--self", "--no-such-option"], "--no-such-option"),
        (
            &["load", "--self", "-m", "x", "--in-flight", "5"],
            "--closed-loop",
        ),
        (&["serve"], "PORT"),
        (&["serve", "9000", "--mode", "chargen"], "add -m or -f"),
        (&["serve", "9000", "-m", "x"], "chargen"),
        (
            &["serve", "9000", "--mode", "chargen", "-1", "x", "-r", "5"],
            "--message-rate",
        ),
        (
            &["serve", "9000", "--tls", "--ssl-cert", "/nowhere"],
            "/nowhere",
        ),
        (&["serve", "9000", "--ssl-cert", "/nowhere"], "--tls"),
        (
            &["serve", "9000", "--tls", "--ssl-cert", "/etc/passwd"],
            "needs --ssl-key FILE",
        ),
        (
            &["proxy", "9000", "--to", "127.0.0.1"],
            "'127.0.0.1' is no backend; write HOST:PORT",
        ),
        (&["serve", "65536"], "'65536'"),
        (
            &["serve", "no.such.name.invalid:80"],
            "'no.such.name.invalid:80'",
        ),
        (&["serve", "::1:80:90"], "'::1:80:90'"),
        (&["serve", "9000", "--mode", "discard"], "'discard'"),
        (&["serve", "9000", "--max-connections", "0"], "at least 1"),
        (&["serve", "9000", "--backlog", "0"], "at least 1"),
        (&["serve", "9000", "--duration", "0s"], "longer than 0"),
        (&["serve", "9000", "9000"], "9000"),
        (&["tune", "-c", "-5"], "-5"),
        (&["tune", "-c", "0"], "at least 1"),
        (&["tune", "-c", "1,0"], "'1,0'"),
        (&["tune", "--role", "proxy"], "'proxy'"),
        (&["tune", "--port", "0"], "'0'"),
        (&["tune", "--port", "80,http"], "'http'"),
        (&["tune", "--port", "65536"], "'65536'"),
        (&["tune", "--with", "conntrack"], "'conntrack'"),
        (&["tune", "--with", "notrack"], "--port"),
        (&["tune", "--apply", "--revert"], "--revert"),
        (&["tune", "--apply", "--script"], "--script"),
        (&["tune", "--container", "--os", "freebsd"], "--os"),
        (&["tune", "--container", "--output", "json"], "--output"),
        (&["tune", "--persist"], "--apply"),
        (&["tune", "--force"], "--revert"),
        (&["tune", "--os", "solaris"], "'solaris'"),
        (&["tune", "--pid", "0"], "'0'"),
        (&["tune", "--pid", "4194305"], "process 4194305"),
        (&["tune", "--revert", "--state", "/dev/null"], "/dev/null"),
        (
            &["tune", "--revert", "--state", "/proc/self/status"],
            "/proc/self/status",
        ),
        (&["completions", "tcsh"], "'tcsh'"),
        (&["man"], "DIRECTORY"),
        (&["man", "/proc/no"], "/proc/no"),
    ];
    let net = Net::own();
    let mut wrong = Vec::new();
    for (args, names) in cases {
        let ran = match start_words(&net, args).try_wait(Duration::from_secs(3)) {
            Ok(ran) => ran,
            Err(text) => {
                wrong.push(format!("expected '{names}': {text}"));
                continue;
            }
        };
        let stderr = &ran.stderr;
        let ours = stderr.starts_with("throng: ") && stderr.trim_end().lines().count() == 1;
        // Without a word there is nothing wrong to name: clap prints the help.
        let usage = args.is_empty();
        let good =
            ran.code == 2 && ran.stdout.is_empty() && (ours || usage) && stderr.contains(names);
        if !good {
            wrong.push(format!("expected '{names}': {ran}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn words_that_are_not_utf_8_do_not_crash_it() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = Net::host().command(env!("CARGO_BIN_EXE_throng"));
    command.args(["load", "--self", "-c"]);
    command.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let ran = Process::start("throng with \\xff".into(), command).wait(Duration::from_secs(10));
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.starts_with("throng: "), "{ran}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
}

#[test]
fn numbers_are_not_guessed() {
    for text in ["1 k", " 5", "5 ", "1,00", "0x10", "٣"] {
        let ran = run_words(&Net::host(), &["load", "--self", "-c", text]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    }
}
