//! The page of a run while it lasts (`--web`). `tests/browser` looks at it in a browser.

use crate::common::net::Net;
use crate::common::peers::{script, start_script};
use crate::common::process::Process;
use crate::common::{PATIENCE, start, start_load, words};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What `web_viewer.py` sees.
fn look(net: &Net, url: &str, words: &[&str]) -> Value {
    let mut command = script(net, "web_viewer.py");
    let out = command.arg(url).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{url}: {e}: {said}"))
}

/// Where the page of `run` is.
fn url(run: &Process) -> String {
    let line = run.wait_for_stderr("live at");
    line.split(' ').next_back().unwrap().to_owned()
}

/// The text of the first part of an event, which says what is being done.
fn head(event: &Value) -> &str {
    event["places"][0][1][0][1].as_str().unwrap_or_default()
}

/// Viewers that read nothing, until this is dropped.
struct Crowd(Child);

impl Crowd {
    fn of(net: &Net, url: &str, n: usize) -> (Crowd, Value) {
        let mut command = script(net, "web_viewer.py");
        command.args([url, "crowd", &n.to_string()]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        (Crowd(child), serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn all_who_follow_a_run_see_it_to_its_end() {
    let net = Net::own();
    let load = "--self=echo -c 40 -m hi -r 10 --latency-echo --hold 4s --web=127.0.0.1:8080";
    let run = start_load(&net, load);
    let at = url(&run);
    assert_eq!(at, "http://127.0.0.1:8080/");
    let page = look(&net, &at, &["page"]);
    assert_eq!(page["status"], 200, "{page}");
    let policy = page["fields"]["content-security-policy"].as_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    let text = page["text"].as_str().unwrap();
    assert!(text.contains("http-equiv=\"refresh\"") && text.contains("of 40 connections open"));
    let seen = look(&net, &at, &["follow", "3"]);
    let ran = run.wait(PATIENCE);
    let summary = ran.summary();
    for viewer in seen.as_array().unwrap() {
        let events = viewer["events"].as_array().unwrap();
        let over: Vec<bool> = events.iter().map(|e| e["over"] == true).collect();
        let last = over.len() - 1;
        assert!(
            over.len() >= 3 && over.iter().position(|over| *over) == Some(last),
            "{over:?}"
        );
        assert!(
            head(&events[0]).contains("40 of 40 connections open"),
            "{}",
            events[0]
        );
        let verdict = head(&events[last]);
        assert!(verdict.contains("Reached"), "{verdict}");
        let charts = events[last]["places"][1].to_string();
        assert!(charts.contains("chart-latency-over-time"), "{charts}");
    }
    assert_eq!(summary.connections.peak, 40, "{ran}");
}

#[test]
fn viewers_that_stall_are_bounded_and_do_not_hold_up_the_run() {
    let net = Net::own();
    let run = start_load(&net, "--self -c 40 --hold 60s --web=127.0.0.1:8080");
    let at = url(&run);
    run.wait_for_stderr("holding");
    let (crowd, turned_away) = Crowd::of(&net, &at, 32);
    assert_eq!(turned_away["status"], 503);
    // The page can be loaded all the same.
    assert_eq!(look(&net, &at, &["page"])["status"], 200);
    run.signal(Signal::INT);
    let ran = run.wait(PATIENCE);
    assert_eq!(
        (ran.code, ran.summary().connections.peak),
        (130, 40),
        "{ran}"
    );
    drop(crowd);
}

#[test]
fn a_page_says_what_became_of_connections_and_that_opening_is_paused() {
    let net = Net::own();
    let server = crate::common::serve(&net, "127.0.0.1:9000");
    let load = "-c 20 --hold 60s --web=127.0.0.1:8080 127.0.0.1:9000";
    let run = start_load(&net, load);
    let at = url(&run);
    run.wait_for_stderr("holding");
    let text = || {
        look(&net, &at, &["page"])["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(!text().contains("If the run ended now"), "{}", text());
    drop(server);
    let give_up = Instant::now() + PATIENCE;
    while !text().contains("20 connections lost during the hold") {
        assert!(Instant::now() < give_up, "{}", text());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(text().contains("If the run ended now, its summary would say:"));
    run.signal(Signal::INT);
    run.wait(PATIENCE);
}

#[test]
fn a_page_has_no_keys_and_says_that_opening_is_paused() {
    let net = Net::own();
    let steps = json!([
        ["see", "p pauses opening"],
        ["type", "p"],
        ["see", "opening is paused by hand; p has it go on"],
        ["pause", 3],
        ["type", "p"],
        ["see", "goes on after a pause"],
        ["type", "q"]
    ]);
    let load = "load --self -c 1000 --connect-rate 200 -m x -r 1 --web=127.0.0.1:8080";
    let steps = steps.to_string();
    let words = [
        &[steps.as_str(), env!("CARGO_BIN_EXE_throng")],
        &words(load)[..],
    ]
    .concat();
    let run = start_script(&net, "terminal.py", &words);
    let give_up = Instant::now() + PATIENCE;
    let paused = loop {
        let page = net.shell("curl -s http://127.0.0.1:8080/ || true");
        if page.contains("Opening is paused:") {
            break page;
        }
        assert!(Instant::now() < give_up, "{page}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(!paused.contains("p has it go on"), "{paused}");
    run.wait(PATIENCE);
}

#[test]
fn who_has_the_port_of_a_page_is_named() {
    let net = Net::own();
    let server = crate::common::serve(&net, "127.0.0.1:8080");
    for option in ["--web=8080", "--prometheus 8080"] {
        let ran = start(&net, &format!("load --self -c 1 {option}")).wait(PATIENCE);
        let who = format!("throng (process {}) listens at 127.0.0.1:8080", server.id());
        assert!(ran.code == 2 && ran.stderr.contains(&who), "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    }
}

#[test]
fn on_loopback_a_page_is_for_this_machine_and_elsewhere_for_those_with_the_token() {
    let net = Net::own();
    net.shell("ip addr add 198.18.0.1/32 dev lo");
    let local = start(&net, "serve 127.0.0.1:9000 --web");
    let at = url(&local);
    for (fields, status) in [
        (&["Host=localhost:1234"][..], 200),
        (&["Host=evil.example:9465"], 403),
        (&["Sec-Fetch-Site=cross-site", "Sec-Fetch-Mode=cors"], 403),
        (
            &["Sec-Fetch-Site=cross-site", "Sec-Fetch-Mode=navigate"],
            200,
        ),
    ] {
        let seen = look(&net, &at, &[&["page"], fields].concat());
        assert_eq!(seen["status"], status, "{fields:?}: {seen}");
    }
    // The usual port is taken: another run has one of the kernel's choosing.
    let other = start(&net, "serve 127.0.0.1:9001 --web");
    let elsewhere = url(&other);
    assert!(elsewhere.starts_with("http://127.0.0.1:") && elsewhere != at);

    let open = start(&net, "serve 127.0.0.1:9002 --web=198.18.0.1:8080");
    let at = url(&open);
    let (plain, token) = at.split_once("?token=").unwrap();
    assert!(
        plain == "http://198.18.0.1:8080/" && token.len() == 32,
        "{at}"
    );
    let wrong = format!("{plain}?token={}", "0".repeat(32));
    let events = format!("{plain}events");
    for (url, status) in [(plain, 403), (&wrong, 403), (&events, 403), (&at, 200)] {
        let seen = look(&net, url, &["page"]);
        assert_eq!(seen["status"], status, "{url}: {seen}");
    }
    let cookie = look(&net, &at, &["page"])["fields"]["set-cookie"].clone();
    let cookie = cookie.as_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie=a=b; {}", cookie.split(';').next().unwrap());
    assert_eq!(look(&net, plain, &["page", &cookie])["status"], 200);
    let wrong = cookie.replace(token, &token[1..]);
    assert_eq!(look(&net, plain, &["page", &wrong])["status"], 403);
}

#[test]
fn a_sweep_has_a_page_too() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let words = format!(
        "sweep --vary connections=2,4 --pause 0s --web --output-dir {} -- load --self --hold 1s",
        dir.path().join("sweep").display()
    );
    let sweep = start(&net, &words);
    let seen = look(&net, &url(&sweep), &["follow", "1"]);
    let ran = sweep.wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    let events = seen[0]["events"].as_array().unwrap();
    let running = events.iter().any(|e| head(e).contains("trial 2 of 2"));
    assert!(running, "{events:?}");
    let last = head(events.last().unwrap());
    assert!(
        last.contains("Reached") && last.contains("2 trials of 2 points"),
        "{last}"
    );
}

#[test]
fn an_address_that_can_t_be_listened_on_is_refused() {
    let net = Net::own();
    for (web, why) in [
        ("--web=198.18.9.9:80", "--web=198.18.9.9:80"),
        ("--web=example.com:80", "write 9465"),
    ] {
        let ran = start(&net, &format!("load --self -c 1 {web}")).wait(PATIENCE);
        assert!(ran.code == 2 && ran.stderr.contains(why), "{ran}");
    }
}
