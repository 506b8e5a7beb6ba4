//! `throng http`, and throng invoked as ab, wrk and hey: what reaches the server, which lines are printed, and that they are those of
//! the programs themselves.

use crate::common::net::Net;
use crate::common::peers::installed;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run, serve, stop_serving, words};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A link to throng under the name of a program.
fn link(directory: &Path, name: &str) -> PathBuf {
    let link = directory.join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_throng"), &link).unwrap();
    link
}

/// Runs throng as the program `name` with these words.
fn imitate(net: &Net, directory: &Path, name: &str, line: &str) -> Ran {
    let program = directory.join(name);
    let program = match program.exists() {
        true => program,
        false => link(directory, name),
    };
    let mut command = net.command(program.to_str().unwrap());
    command.args(words(line));
    Process::start(format!("{name} {line}"), command).wait(PATIENCE)
}

/// Runs the program itself.
fn original(net: &Net, name: &str, line: &str) -> Ran {
    let mut command = installed(net, name);
    command.args(words(line));
    Process::start(format!("{name} {line}"), command).wait(PATIENCE)
}

/// The values of ab's labels.
fn values(ran: &Ran) -> BTreeMap<&str, &str> {
    let pairs = ran.stdout.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(label, value)| (label, value.trim())).collect()
}

/// `text` without its numbers: what a script's pattern has besides them.
fn pattern(text: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit() || in_number && c == '.';
        match (digit, in_number) {
            (true, false) => out.push('N'),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        in_number = digit;
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn as_many_requests_are_made_as_the_line_says() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name).display().to_string();
    let body = at("body");
    std::fs::write(&body, "a=1").unwrap();
    let url = "http://127.0.0.1:9000";
    let mut all = 0;
    let server = serve(&net, "--mode http 9000");
    for (line, requests) in [
        (format!("-n 3 {url}/hello"), 3),
        (format!("-n 200 -c 20 {url}/hello"), 200),
        (format!("-r -n 400 -c 40 {url}/hello"), 400),
        (
            "-n 100 -c 10 --no-keep-alive 127.0.0.1:9000/hello".into(),
            100,
        ),
        (format!("-n 50 -c 5 -i {url}/bytes/10000"), 50),
        (format!("-n 50 -c 5 -p {body} -T text/csv {url}/echo"), 50),
        (format!("-n 50 -c 5 -u {body} {url}/echo"), 50),
        (
            format!("-n 50 -c 5 -m DELETE -C a=b -A me:secret {url}/hello"),
            50,
        ),
        (
            format!("-n 50 -c 5 -t 60 -k -l -B 127.0.0.1 {url}/hello"),
            50,
        ),
        (
            format!("-n 50 -c 5 --rate 500 --engine epoll -j 1 {url}/hello"),
            50,
        ),
    ] {
        let ran = run(&net, &format!("http --output json {line}"));
        let summary = ran.summary();
        // On a busy machine a rate may be missed in so short a time.
        assert!(summary.reached || line.contains("--rate"), "{ran}");
        let http = summary.protocols.http.expect("it speaks HTTP");
        assert_eq!(
            (http.requests, http.completed),
            (requests, requests),
            "{ran}"
        );
        all += requests;
    }
    let http = stop_serving(server).protocols.http.unwrap();
    assert_eq!(http.requests, all);
}

#[test]
fn a_time_ends_a_run_and_a_number_alone_is_seconds() {
    let net = Net::own();
    let server = serve(&net, "--mode http 9000");
    let ran = run(
        &net,
        "http --output json -t 1 -c 4 http://127.0.0.1:9000/hello",
    );
    let summary = ran.reached();
    // Connecting is part of it.
    assert!(
        summary.seconds >= 1.0 && summary.hold_s.unwrap() < summary.seconds,
        "{ran}"
    );
    let ran = run(
        &net,
        "http --output json -t 1 -n 10m -c 4 --rate 10 http://127.0.0.1:9000/hello",
    );
    let requests = ran.fell_short().requests.unwrap();
    assert_eq!(requests.sent + requests.unsent, 10_000_000, "{ran}");
    // ab's number does not count then; a file that it posts may be empty.
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let line = format!(
        "-k -t 1 -n 10000000 -c 4 -p {} http://127.0.0.1:9000/echo",
        empty.display()
    );
    let ran = imitate(&net, directory.path(), "ab", &line);
    assert_eq!(ran.code, 0, "{ran}");
    stop_serving(server);
}

#[test]
fn percentiles_requests_and_a_table_are_written() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (csv, tsv) = (at("p.csv"), at("r.tsv"));
    let server = serve(&net, "--mode http 9000");
    let ran = run(
        &net,
        &format!(
            "http -n 300 -c 3 -e {csv} -g {tsv} -w -x border=1 -y a -z b http://127.0.0.1:9000/delay/2ms"
        ),
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("<table border=1>\n"), "{ran}");
    let row = "<tr a><td b>Complete requests:</td><td b>300</td></tr>";
    assert!(ran.stdout.contains(row), "{ran}");
    let csv = std::fs::read_to_string(csv).unwrap();
    let rows: Vec<(u32, f64)> = csv
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(percent, ms)| (percent.parse().unwrap(), ms.parse().unwrap()))
        .collect();
    assert!(
        rows.iter().map(|(percent, _)| *percent).eq(0..=100),
        "{csv}"
    );
    assert!(
        rows.is_sorted_by(|a, b| a.1 <= b.1) && rows[0].1 >= 2.0,
        "{csv}"
    );
    let tsv = std::fs::read_to_string(tsv).unwrap();
    let mut lines = tsv.lines();
    assert_eq!(
        lines.next(),
        Some("starttime\tseconds\tctime\tdtime\tttime\twait")
    );
    let times: Vec<[u64; 2]> = lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| [columns[4], columns[5]].map(|ms| ms.parse().unwrap()))
        .collect();
    assert_eq!(times.len(), 300, "{tsv}");
    assert!(times.is_sorted_by_key(|[took, _]| *took), "{tsv}");
    assert!(
        times.iter().all(|[took, wait]| wait <= took && *wait >= 2),
        "{tsv}"
    );
    stop_serving(server);
}

/// A proxy gets the whole URL, and the name of the server.
#[test]
fn requests_go_through_a_proxy() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path().display();
    let config = directory.path().join("nginx.conf");
    std::fs::write(
        &config,
        format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr error; events {{}}
http {{ log_format asked '$request|$http_host|$http_proxy_authorization'; access_log {at}/log asked;
    client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
    uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
    server {{ listen 127.0.0.1:3128; location / {{ return 200 'hi'; }} }} }}"
        ),
    )
    .unwrap();
    let mut command = installed(&net, "nginx");
    command.args(["-c", config.to_str().unwrap()]);
    let mut nginx = Process::start("nginx".into(), command);
    nginx.wait_for_listener(&net, 3128);
    let line = "http -n 3 -c 1 -X 127.0.0.1:3128 -P me:secret http://a.example:81/x?y=1";
    let ran = run(&net, line);
    assert_eq!(ran.code, 0, "{ran}");
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    let asked = "GET http://a.example:81/x?y=1 HTTP/1.1|a.example:81|Basic bWU6c2VjcmV0";
    assert_eq!(log.lines().collect::<Vec<_>>(), [asked; 3]);
}

#[test]
fn what_ab_says_throng_says_under_its_name() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let server = serve(&net, "--mode http 9000");
    for line in [
        "-k -n 200 -c 10 http://127.0.0.1:9000/bytes/1000",
        "-r -n 200 -c 10 http://127.0.0.1:9000/hello",
        "-q -S -d -n 50 -c 5 http://127.0.0.1:9000/status/404",
    ] {
        let theirs = original(&net, "ab", line);
        let ours = imitate(&net, directory.path(), "ab", line);
        assert_eq!((ours.code, theirs.code), (0, 0), "{ours}\n{theirs}");
        // Each line of ab's result but for those about itself and about statistics.
        let own = ["Server Software", "WARNING", "ERROR", "These results"];
        let about_itself = |line: &&str| own.iter().any(|word| line.trim_start().starts_with(word));
        let result = theirs.stdout.lines();
        let result = result.skip_while(|line| !line.starts_with("Server Software"));
        for wanted in result.filter(|line| !about_itself(line)) {
            let found = ours
                .stdout
                .lines()
                .any(|line| pattern(line) == pattern(wanted));
            assert!(found, "no {wanted:?}\n{ours}\n{theirs}");
        }
        let (mine, others) = (values(&ours), values(&theirs));
        for same in [
            "Complete requests",
            "Failed requests",
            "HTML transferred",
            "Document Length",
            "Document Path",
            "Server Hostname",
            "Server Port",
            "Concurrency Level",
        ] {
            assert_eq!(mine.get(same), others.get(same), "{same}\n{ours}\n{theirs}");
        }
        assert_eq!(
            mine.get("Non-2xx responses"),
            others.get("Non-2xx responses")
        );
    }
    stop_serving(server);
}

#[test]
fn a_failed_request_is_no_complete_one_under_any_name() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    // Answers three requests on a connection, and resets it in the middle of the fourth answer.
    let server = net_server(&net);
    for (name, line) in [
        ("ab", "-k -r -n 40 -c 1 http://127.0.0.1:9000/"),
        ("hey", "-n 40 -c 1 http://127.0.0.1:9000/"),
        ("wrk", "-d 1s -c 1 -t 1 http://127.0.0.1:9000/"),
    ] {
        let ran = imitate(&net, directory.path(), name, line);
        let number = |label: &str| -> u64 {
            let line = ran.stdout.lines().find(|line| line.contains(label));
            let line = line.unwrap_or_else(|| panic!("no {label}: {ran}"));
            let digits = line.split(|c: char| !c.is_ascii_digit());
            digits.filter_map(|n| n.parse().ok()).next().unwrap()
        };
        match name {
            "ab" => {
                assert_eq!(number("Complete requests"), 30, "{ran}");
                assert_eq!(number("Failed requests"), 10, "{ran}");
                assert_eq!(ran.code, 1, "{ran}");
            }
            "hey" => {
                assert_eq!(number("connection was closed before"), 10, "{ran}");
                assert_eq!(ran.code, 1, "{ran}");
            }
            _ => {
                assert!(
                    ran.stdout.contains("Socket errors: connect 0, read "),
                    "{ran}"
                );
                assert_eq!(ran.code, 0, "{ran}");
            }
        }
    }
    drop(server);
}

/// A server that closes each connection in the middle of its fourth answer.
fn net_server(net: &Net) -> Process {
    const SERVER: &str = "
import socket, threading
def serve(c):
    for n in range(4):
        data = b''
        while b'\\r\\n\\r\\n' not in data:
            more = c.recv(4096)
            if not more: return c.close()
            data += more
        c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n' + (b'hello' if n < 3 else b'he'))
    c.close()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', 9000)); s.listen(128)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
";
    let mut command = net.command("python3");
    command.args(["-c", SERVER]);
    let mut server = Process::start("a server that breaks off".into(), command);
    server.wait_for_listener(net, 9000);
    server
}

#[test]
fn what_wrk_says_throng_says_under_its_name() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let server = serve(&net, "--mode http 9000");
    for line in [
        "-t 1 -c 4 -d 1s --latency http://127.0.0.1:9000/hello",
        "-t 1 -c 4 -d 1s -H 'X: y' http://127.0.0.1:9000/status/404",
    ] {
        let theirs = original(&net, "wrk", line);
        let ours = imitate(&net, directory.path(), "wrk", line);
        assert_eq!((ours.code, theirs.code), (0, 0), "{ours}\n{theirs}");
        // Units follow the values.
        let plain = |line: &str| {
            let units = ["us", "ms", "s", "k", "m", "KB", "MB", "GB", "B"];
            let words: Vec<String> = pattern(line)
                .split(' ')
                .map(|word| match word.strip_prefix('N') {
                    Some(unit) if units.contains(&unit.trim_end_matches(',')) => "N".into(),
                    _ => word.to_owned(),
                })
                .collect();
            words.join(" ")
        };
        for wanted in theirs.stdout.lines() {
            let found = ours.stdout.lines().any(|line| plain(line) == plain(wanted));
            assert!(found, "no {wanted:?}\n{ours}\n{theirs}");
        }
    }
    stop_serving(server);
}

/// hey is not among Debian's packages: its lines are those of its README.
#[test]
fn what_hey_says_throng_says_under_its_name() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let server = serve(&net, "--mode http 9000");
    let ran = imitate(
        &net,
        directory.path(),
        "hey",
        "-n 200 -c 10 -m POST -d a=1 -T text/plain -disable-keepalive -cpus 1 http://127.0.0.1:9000/echo",
    );
    assert_eq!(ran.code, 0, "{ran}");
    for label in [
        "Summary:",
        "  Total:\t",
        "  Slowest:\t",
        "  Fastest:\t",
        "  Average:\t",
        "  Requests/sec:\t",
        "Response time histogram:",
        "Latency distribution:",
        "  50% in ",
        "  99% in ",
        "Status code distribution:",
        "  [200]\t200 responses",
    ] {
        let found = ran.stdout.lines().any(|line| line.starts_with(label));
        assert!(found, "no {label:?}: {ran}");
    }
    let bars = ran
        .stdout
        .lines()
        .filter(|line| line.contains("]\t|"))
        .count();
    assert_eq!(bars, 11, "{ran}");
    let http = stop_serving(server).protocols.http.unwrap();
    assert_eq!(http.requests, 200);
}

#[test]
fn the_most_new_connections_per_second_carry_a_request_each() {
    let net = Net::own();
    let server = serve(&net, "--mode http 9000");
    let ran = run(
        &net,
        "http --connect-rate max -c 20 -t 5s --slo p90<50ms --output json http://127.0.0.1:9000/hello",
    );
    let s = ran.summary();
    let search = s.search.as_ref().expect("a search");
    assert!(search.trials > 1, "{ran}");
    let http = stop_serving(server).protocols.http.expect("requests");
    // Each connection has one; some are under way at the end.
    assert!(http.requests > 20, "{ran}");
    assert!(
        s.connections.established >= http.requests
            && s.connections.established <= http.requests + 20,
        "{} requests: {ran}",
        http.requests
    );
    for (line, says) in [
        ("--rate 5", "leave out --rate"),
        ("-n 5", "leave out -n"),
        ("-k", "leave out --keep-alive"),
        ("-c max", "leave out -c max"),
    ] {
        let ran = run(
            &net,
            &format!("http --connect-rate max {line} http://127.0.0.1:9000/"),
        );
        assert!(ran.code == 2 && ran.stderr.contains(says), "{ran}");
    }
    let ran = run(&net, "http --connect-rate max:5k http://127.0.0.1:9000/");
    assert!(ran.code == 2 && ran.stderr.contains("write max"), "{ran}");
}

#[test]
fn a_rate_under_an_objective_is_searched_for_among_wanted_answers() {
    let net = Net::own();
    let server = serve(&net, "--mode http 9000");
    // An answer that refuses comes soon, and is none.
    for (path, unwanted) in [("/hello", false), ("/status/503", true)] {
        let line = "http -c 10 --slo p90<100ms -t 10s --output json http://127.0.0.1:9000";
        let ran = run(&net, &format!("{line}{path}"));
        let search = ran.summary().search.expect("a search");
        assert!(!unwanted || search.held_per_s.is_none(), "{ran}");
        let says = ran.stdout.contains("not all answers were as expected");
        assert_eq!(says, unwanted, "{ran}");
        assert!(!ran.stdout.contains("were answered"), "{ran}");
    }
    stop_serving(server);
    for (line, says) in [
        ("--slo 99<1s", "'p99<10ms'"),
        ("--slo p99<1s --rate 5", "cannot be used with"),
        ("--slo p99<1s -n 5", "cannot be used with"),
        ("--arrivals poisson", "--rate"),
        ("--profile 1s", "--profile"),
    ] {
        let ran = run(&net, &format!("http {line} http://127.0.0.1:9000/"));
        assert!(ran.code == 2 && ran.stderr.contains(says), "{ran}");
    }
}
