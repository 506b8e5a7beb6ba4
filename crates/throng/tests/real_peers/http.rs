//! HTTP/1.1: loads against nginx and against a server whose answers are wrong, `throng serve --mode http` against curl, and
//! both together.

use crate::ENGINES;
use crate::common::net::Net;
use crate::common::peers::{said, serve_script, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{load, run_words, serve, stop_serving};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use throng_core::protocol::http::{Failed, HttpSummary, Malformed, Redirect, Status};
use throng_core::summary::{Finding, Summary};

/// The outcome of HTTP, once it was seen to add up.
fn http(ran: &Ran) -> HttpSummary {
    let summary = ran.summary();
    let http = summary.protocols.http.expect("it speaks HTTP");
    let failed: u64 = http.failed.values().sum();
    assert_eq!(
        http.requests,
        http.completed + failed + http.unfinished,
        "{ran}"
    );
    http
}

/// nginx with one worker on port 8080: `/hello` from memory, `/file` of 100,000 bytes, `/large` of 5,000,000. A line for each request in `log`.
fn nginx(net: &Net, at: &Path, more: &str) -> Process {
    std::fs::write(at.join("file"), vec![b'x'; 100_000]).unwrap();
    std::fs::write(at.join("large"), vec![b'x'; 5_000_000]).unwrap();
    let config = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr error;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
    log_format plain '$status $body_bytes_sent $request_method $uri $http_x_user'; access_log {at}/log plain;
    client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
    uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
    server {{
        listen 127.0.0.1:8080 backlog=4096; {more}
        location = /hello {{ return 200 'hello'; }}
        location = /gone {{ return 410; }}
        location = /moved {{ return 302 /hello?from=moved; }}
        location = /kept {{ return 308 /gone; }}
        location = /round {{ return 301 ../round; }}
        location = /away {{ return 301 http://127.0.0.2:8080/hello; }}
        location = /file {{ root {at}; }}
        location = /large {{ root {at}; }}
    }}
}}",
        at = at.display()
    );
    let file = at.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let args = ["-c", file.to_str().unwrap(), "-p", at.to_str().unwrap()];
    start_server(net, "nginx", &args, 8080)
}

/// Requests with each status in nginx's log, once it has written all.
fn logged(at: &Path) -> BTreeMap<String, u64> {
    let log = std::fs::read_to_string(at.join("log")).unwrap();
    let mut all = BTreeMap::new();
    for line in log.lines() {
        let (status, _) = line.split_once(' ').unwrap();
        *all.entry(status.to_owned()).or_default() += 1;
    }
    std::fs::write(at.join("log"), "").unwrap();
    all
}

#[test]
fn nginx_answered_as_many_requests_as_were_completed() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "");
    for engine in ENGINES {
        let run = |args: &str| load(&net, &format!("--engine {engine} {args}"));
        // In a closed loop, at a rate of each connection and at one of the whole run; large bodies; no body at all.
        for (args, status, bytes) in [
            ("http://127.0.0.1:8080/hello -c 50 --hold 1s", "200", 5),
            (
                "http://127.0.0.1:8080/hello -c 50 -r 20 --hold 1s",
                "200",
                5,
            ),
            (
                "http://127.0.0.1:8080/hello -c 50 --rate 500 --hold 1s",
                "200",
                5,
            ),
            ("http://127.0.0.1:8080/file -c 10 --hold 1s", "200", 100_000),
            (
                "http://127.0.0.1:8080/file -c 10 --method HEAD --hold 1s",
                "200",
                0,
            ),
            (
                "http://127.0.0.1:8080/gone -c 10 --expect-status 410 --hold 1s",
                "410",
                128,
            ),
        ] {
            let ran = run(args);
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            let http = http(&ran);
            let log = logged(at);
            assert_eq!(log.get(status), Some(&http.requests), "{log:?} {ran}");
            assert_eq!(log.len(), 1, "{ran}");
            assert!(http.failed.is_empty() && http.completed > 0, "{ran}");
            if status == "200" {
                let whole = http.completed * bytes;
                assert!(
                    (whole..=whole + bytes * 50).contains(&http.body_bytes),
                    "{ran}"
                );
            }
        }
    }
}

#[test]
fn connections_that_nginx_closes_as_it_said_are_opened_again_and_none_is_lost() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "keepalive_requests 10;");
    for engine in ENGINES {
        let args = format!("--engine {engine} http://127.0.0.1:8080/hello -c 20 --hold 1s");
        let ran = load(&net, &args);
        let summary = ran.summary();
        assert!(ran.code == 0 && summary.reached, "{ran}");
        let http = http(&ran);
        assert_eq!(logged(at).get("200"), Some(&http.requests), "{ran}");
        assert!(http.announced >= http.completed / 10 - 20, "{ran}");
        let c = &summary.connections;
        assert_eq!(c.closed_by_peer + c.reset_by_peer + c.timed_out, 0, "{ran}");
    }
}

/// Large bodies stay in the kernel, unless somebody looks at them.
#[test]
fn large_bodies_are_counted_to_the_last_byte() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "");
    for engine in ENGINES {
        for args in [
            "-c 4",
            "-c 2 --pipeline 5",
            "-c 4 --requests-per-connection 1",
            "-c 4 --expect-body xxx",
            "-c 4 --hold 10s --rate 20",
        ] {
            let url = "http://127.0.0.1:8080/large";
            let ran = load(
                &net,
                &format!("--engine {engine} {url} --requests 40 {args}"),
            );
            let http = http(&ran);
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            assert_eq!((http.completed, http.requests), (40, 40), "{ran}");
            assert_eq!(http.body_bytes, 40 * 5_000_000, "{ran}");
            let received = ran.summary().traffic.bytes_received;
            assert_eq!(received, http.body_bytes + http.head_bytes, "{ran}");
            assert_eq!(logged(at).get("200"), Some(&40), "{ran}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_and_counted_one_by_one() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "keepalive_requests 100;");
    for engine in ENGINES {
        let run = |args: &str| {
            let url = "http://127.0.0.1:8080/hello";
            load(&net, &format!("--engine {engine} {url} --hold 1s {args}"))
        };
        for args in [
            "-c 10 --pipeline 16 --requests-per-connection 100",
            "-c 10 --pipeline 3 --requests-per-connection 7",
            r"-c 10 --pipeline 8 --requests-per-connection 100 -m '\{re [a-z]{1,9}}' --method GET",
            "-c 10 --pipeline 4 --rate 500 --requests-per-connection 100",
        ] {
            let ran = run(args);
            let summary = ran.summary();
            assert!(ran.code == 0 && summary.reached, "{ran}");
            let http = http(&ran);
            assert_eq!(logged(at).get("200"), Some(&http.requests), "{ran}");
            assert!(http.failed.is_empty() && http.completed > 100, "{ran}");
            let answers = summary.answers.unwrap();
            assert_eq!(answers.received, http.completed, "{ran}");
        }
        // Nothing keeps it from sending behind the last answer, and what it sends there is lost.
        let ran = run("-c 10 --pipeline 16");
        assert!(!ran.summary().reached, "{ran}");
        let http = http(&ran);
        assert_eq!(logged(at).get("200"), Some(&http.completed), "{ran}");
        let kinds: Vec<Failed> = http.failed.keys().copied().collect();
        assert!(kinds.contains(&Failed::ClosedEarly), "{ran}");
    }
}

/// Requests in nginx's log by method and path, and the users that they name.
fn asked(at: &Path) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let log = std::fs::read_to_string(at.join("log")).unwrap();
    let (mut requests, mut users) = (BTreeMap::new(), BTreeSet::new());
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        *requests.entry(words[2..4].join(" ")).or_default() += 1;
        users.insert(words[4].to_owned());
    }
    (requests, users)
}

#[test]
fn listed_requests_are_sent_in_turn_with_headers_that_differ() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "keepalive_requests 1000000;");
    std::fs::write(at.join("body"), r"id=\{connection.uid}").unwrap();
    let list = at.join("list");
    let lines =
        "# three\nGET /hello\n\nHEAD http://127.0.0.1:8080/file\nX-User: -\nPOST /gone\n@body\n";
    std::fs::write(&list, lines).unwrap();
    let list = list.display();
    for engine in ENGINES {
        for more in ["", "--pipeline 5", "--requests-per-connection 1", "-r 50"] {
            let words = format!(
                "load --output json --engine {engine} http://127.0.0.1:8080 -c 7 --hold 1s {more} \
                 --expect-status 200,410 --requests-from {list} --header"
            );
            let mut words: Vec<&str> = words.split_whitespace().collect();
            words.push(r"X-User: u\{connection.uid}");
            let ran = run_words(&net, &words);
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            let http = http(&ran);
            let (requests, users) = asked(at);
            logged(at);
            let paths: Vec<&str> = requests.keys().map(String::as_str).collect();
            assert_eq!(paths, ["GET /hello", "HEAD /file", "POST /gone"], "{ran}");
            assert_eq!(requests.values().sum::<u64>(), http.requests, "{ran}");
            // Evenly, also on connections of one request each.
            let least = requests.values().min().unwrap();
            assert!(5 * least > http.requests, "{requests:?} {ran}");
            assert!(
                users.contains("-") && users.contains("u7") && users.len() > 7,
                "{users:?}"
            );
        }
    }
    for (content, error) in [
        ("GET /hello\nGET hello\n", "list:2: "),
        ("GET http://other/hello\n", "for no target"),
        ("", "has no request"),
    ] {
        std::fs::write(at.join("list"), content).unwrap();
        let words = format!("load http://127.0.0.1:8080 --hold 1s --requests-from {list}");
        let ran = run_words(&net, &words.split(' ').collect::<Vec<_>>());
        assert!(ran.code == 2 && ran.stderr.contains(error), "{ran}");
    }
}

#[test]
fn redirects_are_followed_on_their_connection_and_counted_as_nginx_counts() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "");
    for engine in ENGINES {
        let run = |args: &str| load(&net, &format!("--engine {engine} {args}"));
        // Each request is redirected once, and is one: also at a rate, and with expressions in it.
        for args in [
            "http://127.0.0.1:8080/moved -c 20 -n 503",
            "http://127.0.0.1:8080/moved -c 20 -n 503 -r 50",
            r"http://127.0.0.1:8080/moved?\{connection.uid} -c 20 -n 503 --expect-status 200",
        ] {
            let ran = run(&format!("{args} --follow 1"));
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            let http = http(&ran);
            assert_eq!((http.requests, http.completed), (503, 503), "{ran}");
            assert_eq!(http.redirects, BTreeMap::from([(Redirect::Followed, 503)]));
            let expected = [("200".to_owned(), 503), ("302".to_owned(), 503)];
            assert_eq!(logged(at), BTreeMap::from(expected), "{ran}");
        }
        let ran = run("http://127.0.0.1:8080/kept -c 5 -n 50 -m hi --follow 3 --expect-status 410");
        assert_eq!((ran.code, http(&ran).completed), (0, 50), "{ran}");
        let (requests, _) = asked(at);
        logged(at);
        let expected = [("POST /gone".to_owned(), 50), ("POST /kept".to_owned(), 50)];
        assert_eq!(requests, BTreeMap::from(expected), "{ran}");
        // What is not followed has failed, and nothing went elsewhere.
        for (path, followed, why, says) in [
            ("round", 3, Redirect::TooMany, "raise --follow"),
            ("away", 0, Redirect::Elsewhere, "to another origin"),
        ] {
            let url = format!("http://127.0.0.1:8080/{path}");
            let ran = run(&format!("{url} -c 5 -n 50 --follow 3"));
            assert_eq!(ran.code, 1, "{ran}");
            let http = http(&ran);
            assert_eq!(
                http.failed,
                BTreeMap::from([(Failed::Redirect, 50)]),
                "{ran}"
            );
            assert_eq!(http.redirects.get(&why), Some(&50), "{ran}");
            assert!(ran.stdout.contains(says), "{ran}");
            let expected = [("301".to_owned(), 50 * (followed + 1))];
            assert_eq!(logged(at), BTreeMap::from(expected), "{ran}");
        }
    }
    for (args, error) in [
        (
            "--follow 2 --pipeline 2",
            "leave out --follow or --pipeline",
        ),
        ("--follow 2 --requests-per-connection 1", "keep connections"),
        ("--method HEAD --expect-body hello", "have no body"),
    ] {
        let ran = load(&net, &format!("http://127.0.0.1:8080/moved {args}"));
        assert!(ran.code == 2 && ran.stderr.contains(error), "{ran}");
    }
}

#[test]
fn a_connection_a_request_is_counted_as_nginx_counts() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "");
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "--engine {engine} http://127.0.0.1:8080/hello -c 20 --hold 1s \
                 --requests-per-connection 1"
            ),
        );
        let summary = ran.summary();
        assert!(ran.code == 0 && summary.reached, "{ran}");
        let http = http(&ran);
        assert_eq!(logged(at).get("200"), Some(&http.requests), "{ran}");
        assert!(http.failed.is_empty() && http.completed > 100, "{ran}");
    }
}

/// With persistent connections, a connection a request, fewer requests than connections or workers, and at a rate.
#[test]
fn exactly_as_many_requests_as_were_asked_for_reach_nginx() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "keepalive_requests 100;");
    for engine in ENGINES {
        for (requests, args) in [
            (1003, "-c 50 --hold 1h"),
            (1003, "-c 50 -w 3 -T 1h"),
            (503, "-c 50 --requests-per-connection 1"),
            (3, "-c 20 -w 4"),
            (101, "-c 20 --rate 500"),
            (101, "-c 20 --message-rate 20"),
        ] {
            let ran = load(
                &net,
                &format!("--engine {engine} http://127.0.0.1:8080/hello -n {requests} {args}"),
            );
            let summary = ran.summary();
            // On a busy machine a rate may be missed in so short a time.
            let missed = |f: &Finding| matches!(f, Finding::RateMissed { .. });
            let late = summary.findings.first().is_some_and(missed);
            assert!(summary.reached || args.contains("rate") && late, "{ran}");
            let http = http(&ran);
            assert_eq!(
                (http.requests, http.completed),
                (requests, requests),
                "{ran}"
            );
            assert_eq!(logged(at).get("200"), Some(&requests), "{ran}");
            let all = summary.requests.unwrap();
            assert_eq!((all.asked, all.sent, all.unsent), (requests, requests, 0));
        }
        let limited = "http://127.0.0.1:8080/hello -c 10 -n 10k -r 20 -T 500ms";
        let ran = load(&net, &format!("--engine {engine} {limited}"));
        let (summary, http) = (ran.summary(), http(&ran));
        assert!(ran.code == 1 && !summary.reached, "{ran}");
        let unsent = summary.requests.unwrap().unsent;
        assert_eq!(http.requests + unsent, 10_000, "{ran}");
        let told = Finding::RequestsUnsent {
            unsent,
            asked: 10_000,
        };
        assert!(summary.findings.contains(&told), "{ran}");
        logged(at);
    }
}

/// A server that can't have all connections at one instant, since it closes each after an answer, is no reason to fail.
#[test]
fn many_connections_of_a_request_each_come_and_go() {
    let net = Net::own();
    for engine in ENGINES {
        let server = serve(&net, &format!("--engine {engine} --mode http 9000"));
        let ran = load(
            &net,
            &format!("--engine {engine} http://127.0.0.1:9000/close -c 1000 -n 10k"),
        );
        let (summary, http) = (ran.summary(), http(&ran));
        assert!(ran.code == 0 && summary.reached, "{ran}");
        assert_eq!((http.completed, http.unfinished), (10_000, 0), "{ran}");
        let summary = stop_serving(server);
        assert_eq!(summary.protocols.http.unwrap().requests, 10_000);
    }
}

#[test]
fn a_server_that_is_killed_fails_what_was_under_way_and_no_other_request() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    for engine in ENGINES {
        let first = nginx(&net, at, "");
        let run = crate::common::start_load(
            &net,
            &format!("--engine {engine} http://127.0.0.1:8080/hello -c 20 -r 50 --hold 3s"),
        );
        std::thread::sleep(std::time::Duration::from_millis(1500));
        drop(first);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let _second = nginx(&net, at, "");
        let ran = run.wait(crate::common::PATIENCE);
        assert!(ran.code == 1 && !ran.summary().reached, "{ran}");
        let http = http(&ran);
        let log = logged(at).get("200").copied().unwrap_or(0);
        // What it answered and we did not get, or what it did not log any more.
        let failed: u64 = http.failed.values().sum();
        assert!(http.completed.abs_diff(log) <= failed + 20, "{log} {ran}");
        assert!(http.completed > 1000, "{ran}");
    }
}

/// What comes of each kind of answer: completed, failed by what, malformed how.
#[test]
fn each_wrong_answer_is_counted_by_its_kind() {
    let net = Net::own();
    let _server = serve_script(&net, "http_cases.py", 9000, &[]);
    let all: [(&str, Option<Failed>, Option<Malformed>); 20] = [
        ("good", None, None),
        ("chunked", None, None),
        ("interim", None, None),
        ("announced", None, None),
        ("until-close", None, None),
        ("old", None, None),
        ("error", Some(Failed::Status), None),
        ("truncated", Some(Failed::ClosedEarly), None),
        ("half-head", Some(Failed::ClosedEarly), None),
        ("half-chunk", Some(Failed::ClosedEarly), None),
        ("until-reset", Some(Failed::Reset), None),
        ("reset", Some(Failed::Reset), None),
        ("nothing", Some(Failed::ClosedEarly), None),
        ("garbage", Some(Failed::Malformed), Some(Malformed::NotHttp)),
        ("bare-lf", Some(Failed::Malformed), Some(Malformed::BareLf)),
        (
            "two-lengths",
            Some(Failed::Malformed),
            Some(Malformed::TwoLengths),
        ),
        (
            "smuggled",
            Some(Failed::Malformed),
            Some(Malformed::LengthAndCoding),
        ),
        (
            "long-head",
            Some(Failed::Malformed),
            Some(Malformed::LongHead),
        ),
        (
            "bad-chunk",
            Some(Failed::Malformed),
            Some(Malformed::BadChunk),
        ),
        (
            "switched",
            Some(Failed::Malformed),
            Some(Malformed::Switched),
        ),
    ];
    for engine in ENGINES {
        for (path, failed, malformed) in &all {
            let ran = load(
                &net,
                &format!(
                    "--engine {engine} http://127.0.0.1:9000/{path} -c 4 -r 10 --hold 400ms \
                     -T 5s --connect-timeout 1s"
                ),
            );
            let http = http(&ran);
            let good = failed.is_none();
            let s = ran.summary();
            // A busy machine may not keep the rate, which is no matter of answers.
            let wrong = s.findings.iter().any(|f| f.kind() != "rate_missed");
            assert_eq!(ran.code == 0, s.reached, "{ran}");
            assert_eq!((wrong, http.completed > 0), (!good, good), "{ran}");
            assert!(good || !s.reached, "{ran}");
            let kinds: Vec<Failed> = http.failed.keys().copied().collect();
            assert_eq!(kinds, Vec::from_iter(*failed), "{path} {ran}");
            let kinds: Vec<Malformed> = http.malformed.keys().copied().collect();
            assert_eq!(kinds, Vec::from_iter(*malformed), "{path} {ran}");
        }
        // An answer to no request is none.
        let ran = load(
            &net,
            &format!("--engine {engine} http://127.0.0.1:9000/twice -c 4 -r 2 --hold 500ms"),
        );
        assert!(!ran.summary().reached, "{ran}");
        assert!(
            http(&ran).malformed.contains_key(&Malformed::Unasked),
            "{ran}"
        );
    }
}

#[test]
fn a_server_that_never_answers_is_told() {
    let net = Net::own();
    let server = serve_script(&net, "http_cases.py", 9000, &[]);
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!("--engine {engine} http://127.0.0.1:9000/silent -c 5 --hold 500ms -T 2s"),
        );
        assert!(ran.code == 1 && !ran.summary().reached, "{ran}");
        assert_eq!(
            (http(&ran).requests, http(&ran).unfinished),
            (5, 5),
            "{ran}"
        );
        let unanswered = |f: &Finding| matches!(f, Finding::MessagesUnanswered { messages: 5, .. });
        assert!(ran.summary().findings.iter().any(unanswered), "{ran}");
    }
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(said(&server, 1)[0]["requests"], 10);
}

#[test]
fn requests_without_an_answer_in_time_fail_and_their_connections_are_opened_again() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _server = serve_script(&net, "http_cases.py", 9000, &[]);
    let _slow = serve(&net, "--mode http 9001");
    // More than buffers take: the server does not read it.
    let body = directory.path().join("body");
    std::fs::write(&body, vec![b'x'; 30 << 20]).unwrap();
    let body = body.display();
    for engine in ENGINES {
        for args in [
            "http://127.0.0.1:9000/silent -c 5".to_owned(),
            format!("http://127.0.0.1:9000/silent -c 2 -f {body}"),
            "http://127.0.0.1:9001/delay/1ms..600ms -c 20".to_owned(),
            "http://127.0.0.1:9001/delay/1ms..600ms -c 20 --pipeline 3".to_owned(),
        ] {
            let ran = load(
                &net,
                &format!("--engine {engine} --timeout 300ms --hold 2s -T 20s {args}"),
            );
            let summary = ran.summary();
            assert!(ran.code == 1 && !summary.reached, "{ran}");
            let http = http(&ran);
            let kinds: Vec<Failed> = http.failed.keys().copied().collect();
            assert_eq!(kinds, [Failed::Timeout], "{ran}");
            assert!(http.failed[&Failed::Timeout] > 2, "{ran}");
            assert_eq!(http.completed > 0, args.contains("delay"), "{ran}");
            let unanswered = |f: &Finding| matches!(f, Finding::MessagesUnanswered { messages, .. } if *messages > 2);
            assert!(summary.findings.iter().any(unanswered), "{ran}");
            assert_eq!(summary.connections.reset_by_peer, 0, "{ran}");
            let told = |f: &Finding| f.to_string().contains("--timeout");
            assert!(http.late > 0 && summary.findings.iter().any(told), "{ran}");
        }
        // Time enough.
        let args = "--timeout 30s -c 20 --hold 500ms http://127.0.0.1:9001/delay/1ms..20ms";
        let ran = load(&net, &format!("--engine {engine} {args}"));
        assert!(ran.code == 0 && ran.summary().reached, "{ran}");
        assert!(http(&ran).failed.is_empty(), "{ran}");
    }
}

#[test]
fn connections_think_before_each_request() {
    let net = Net::own();
    for engine in ENGINES {
        for (think, least) in [("200ms", 0.2), ("100ms..300ms", 0.1)] {
            let ran = load(
                &net,
                &format!("--engine {engine} --self=http -c 20 --think {think} --hold 2s"),
            );
            let summary = ran.summary();
            assert!(ran.code == 0 && summary.reached, "{ran}");
            let http = http(&ran);
            let most = 20.0 * (summary.seconds / least + 2.0);
            assert!(
                http.completed > 20 && (http.completed as f64) < most,
                "{ran}"
            );
        }
    }
}

#[test]
fn answers_without_the_expected_text_fail() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let at = directory.path();
    let _nginx = nginx(&net, at, "keepalive_requests 1000000;");
    for engine in ENGINES {
        for more in ["", "--pipeline 8", "--requests-per-connection 1"] {
            let run = |text: &str| {
                let args =
                    format!("http://127.0.0.1:8080/hello -c 5 --hold 500ms --expect-body {text}");
                load(&net, &format!("--engine {engine} {args} {more}"))
            };
            let ran = run("ello");
            assert!(ran.code == 0 && ran.summary().reached, "{ran}");
            assert!(
                http(&ran).failed.is_empty() && http(&ran).completed > 0,
                "{ran}"
            );
            let ran = run("elo");
            assert!(ran.code == 1 && !ran.summary().reached, "{ran}");
            let http = http(&ran);
            assert_eq!(
                (http.completed, http.failed[&Failed::Body] + http.unfinished),
                (0, http.requests)
            );
            assert!(http.lacking > 0, "{ran}");
        }
    }
}

#[test]
fn event_streams_last_and_their_events_are_counted_and_timed() {
    let net = Net::own();
    let _cases = serve_script(&net, "http_cases.py", 9000, &[]);
    let _server = serve(&net, "--mode http 9001");
    for engine in ENGINES {
        let run = |args: &str| load(&net, &format!("--engine {engine} {args}"));
        // A stream that stands until the end is as asked.
        let ran = run("http://127.0.0.1:9000/events-last -c 5 --events --hold 1s");
        assert!(ran.code == 0 && ran.summary().reached, "{ran}");
        let all = http(&ran);
        assert_eq!((all.requests, all.unfinished), (5, 5), "{ran}");
        let events = all.events.unwrap();
        assert_eq!(
            (events.streams, events.ended, events.lost),
            (5, 0, 0),
            "{ran}"
        );
        assert_eq!((events.received, events.missed), (15, 10), "{ran}");
        let latency = ran.summary().latency;
        let counts = [
            latency.protocols.http.first_event,
            latency.protocols.http.event_gap,
            latency.protocols.http.event_silence,
        ];
        assert_eq!(counts.map(|l| l.unwrap().count), [5, 10, 5], "{ran}");
        assert!(
            latency.protocols.http.event_silence.unwrap().max_us > 500_000.0,
            "{ran}"
        );
        // Without the option it is a request without an answer.
        let ran = run("http://127.0.0.1:9000/events-last -c 5 --hold 500ms -T 3s");
        assert!(ran.code == 1 && http(&ran).events.is_none(), "{ran}");
        // A server may end streams, and is asked again; what it breaks off has failed.
        let ran = run("http://127.0.0.1:9000/events-end -c 5 --events --hold 500ms");
        assert!(ran.code == 0 && ran.summary().reached, "{ran}");
        let all = http(&ran);
        let events = all.events.unwrap();
        assert_eq!((events.ended, events.lost), (all.completed, 0), "{ran}");
        assert!(events.ended > 5 && all.failed.is_empty(), "{ran}");
        let ran = run("http://127.0.0.1:9000/events-cut -c 5 --events --hold 500ms -T 3s");
        assert!(ran.code == 1 && !ran.summary().reached, "{ran}");
        let all = http(&ran);
        let events = all.events.unwrap();
        assert_eq!(events.lost, all.failed[&Failed::ClosedEarly], "{ran}");
        // throng's own says when each event was sent.
        let ran = run("http://127.0.0.1:9001/events?rate=20&size=60 -c 50 --events --hold 1s");
        assert!(ran.code == 0 && ran.summary().reached, "{ran}");
        let events = http(&ran).events.unwrap();
        assert_eq!((events.streams, events.ended), (50, 0), "{ran}");
        let latency = ran.summary().latency;
        let counts = [
            latency.protocols.http.first_event,
            latency.protocols.http.event_gap,
            latency.protocols.http.event_age,
        ];
        let [first, gaps, ages] = counts.map(|l| l.unwrap().count);
        assert_eq!((first, first + gaps), (50, ages), "{ran}");
        // Those that came while streams were closed are measured, too.
        assert!(ages >= events.received, "{ran}");
        assert!(events.received > 200, "{ran}");
    }
    let ran = load(
        &net,
        "http://127.0.0.1:9001/events --events --pipeline 2 --hold 1s",
    );
    assert!(ran.code == 2 && ran.stderr.contains("--pipeline"), "{ran}");
}

#[test]
fn curl_gets_what_it_asks_for() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let body = directory.path().join("body");
    let bytes: Vec<u8> = (0..300_000u32)
        .map(|i| (i.wrapping_mul(i) / 7) as u8)
        .collect();
    std::fs::write(&body, &bytes).unwrap();
    let body = body.display();
    for engine in ENGINES {
        let server = serve(&net, &format!("--engine {engine} --mode http 9000"));
        let at = "http://127.0.0.1:9000";
        let curl = |args: &str| net.shell(&format!("curl -s {args}"));
        assert_eq!(curl(&format!("{at}/hello")), "Hello, world!\n");
        let written = "-o /dev/null -w '%{http_code} %{size_download} %{num_connects}'";
        for (args, expected) in [
            (format!("{at}/bytes/3m"), "200 3145728 1"),
            (format!("'{at}/bytes/100000?chunked'"), "200 100000 1"),
            (format!("{at}/status/503"), "503 0 1"),
            (format!("{at}/nothing"), "404 0 1"),
            (format!("-0 {at}/bytes/70000"), "200 70000 1"),
            (format!("-I {at}/bytes/70000"), "200 0 1"),
            (
                format!("'{at}/events?rate=100&count=5&size=100'"),
                "200 500 1",
            ),
        ] {
            assert_eq!(curl(&format!("{written} {args}")), expected, "{args}");
        }
        for how in [
            "",
            "-H 'Transfer-Encoding: chunked'",
            "-H 'Expect: 100-continue'",
        ] {
            let same = format!("{how} --data-binary @{body} {at}/echo | cmp - {body} && echo same");
            assert_eq!(curl(&same).trim(), "same", "{how}");
            // Nobody needs this one.
            let hello = format!("{how} --data-binary @{body} {at}/hello");
            assert_eq!(curl(&hello), "Hello, world!\n", "{how}");
        }
        let summary = stop_serving(server);
        let http = summary.protocols.http.unwrap();
        assert_eq!((http.requests, http.completed), (14, 14), "{http:?}");
        assert_eq!(http.status.get(&Status::NotFound), Some(&1));
        assert_eq!(http.body_bytes, 1_800_000);
    }
}

/// Both ends agree to the request and to the byte.
#[test]
fn a_load_and_a_server_count_the_same() {
    let net = Net::own();
    for (engine, tls) in ENGINES.into_iter().flat_map(|e| [(e, false), (e, true)]) {
        let own = if tls { "--tls" } else { "" };
        for args in [
            "-c 50 --hold 500ms",
            "-c 50 -r 20 --hold 500ms",
            r"-c 10 -m 'x=\{connection.uid}' --hold 500ms",
            "-c 20 --requests-per-connection 3 --hold 500ms",
            "-c 20 --pipeline 10 --hold 500ms",
            "-c 20 --pipeline 10 -r 100 --hold 500ms",
        ] {
            let ran = load(&net, &format!("--engine {engine} --self=http {own} {args}"));
            let summary: Summary = ran.summary();
            assert!(ran.code == 0 && summary.reached, "{ran}");
            let http = http(&ran);
            assert!(http.completed > 0 && http.failed.is_empty(), "{ran}");
            let answers = summary.answers.unwrap();
            assert_eq!(answers.received, http.completed, "{ran}");
        }
    }
}
