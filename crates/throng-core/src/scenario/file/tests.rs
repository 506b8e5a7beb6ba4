mod round_trip;

use super::*;
use crate::engine::EngineChoice;
use crate::protocol::Protocol;
use crate::scenario::*;
use crate::units::{Bandwidth, Rate};
use proptest::prelude::*;
use std::time::Duration;

fn files(path: &str) -> io::Result<Vec<u8>> {
    match path {
        "hello.txt" => Ok(br"hello\n".to_vec()),
        "image.png" => Ok(b"\x89PNG".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read_set(text: &str, sets: &[&str]) -> Result<Scenario, String> {
    let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
    read(text, "a.toml", &sets, &files).map_err(|e| e.to_string())
}

fn load(text: &str, sets: &[&str]) -> LoadScenario {
    match read_set(text, sets) {
        Ok(Scenario::Load(load)) => *load,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_file_says_what_a_command_line_says() {
    let text = r#"
        version = 1
        [load]
        targets = ["10.0.0.7:9000", "a.example:9001"]
        connections = "50k"
        hold = "5m"
        workers = 2
        engine = "epoll"
        seed = 7
        tls = {}
        [load.connect]
        rate = "1.5k"
        source-ip = "127.1.0.1-127.1.0.40"
        reconnect = false
        [load.messages]
        first = { file = "image.png" }
        repeated = ['ping \{connection.uid}\n', { file = "hello.txt" }, { file = "hello.txt", unescape = true }]
        [load.pace]
        message-rate = 0.1
        channel-bandwidth-downstream = "64kbps"
        [load.sockets]
        nagle = true
        rcvbuf = "64k"
    "#;
    let scenario = load(text, &[]);
    assert_eq!(scenario.targets[1].spec.host, "a.example");
    assert_eq!(scenario.connections, 50_000);
    assert_eq!(scenario.hold, Duration::from_secs(300).into());
    assert_eq!(scenario.engine, EngineChoice::Epoll);
    assert_eq!(scenario.tls, Some(TlsClient::default()));
    assert_eq!(scenario.connect.rate.map(Rate::get), Some(1500.0));
    assert_eq!(scenario.connect.sources().count(), 40);
    assert_eq!(scenario.messages.first[0].constant().unwrap(), b"\x89PNG");
    let repeated: Vec<_> = scenario.messages.repeated[1..]
        .iter()
        .map(|m| m.constant().unwrap())
        .collect();
    assert_eq!(repeated, [&br"hello\n"[..], b"hello\n"]);
    assert_eq!(
        scenario.pace.sending,
        Sending::PerConnection(Rate::per_second(0.1).unwrap())
    );
    assert_eq!(scenario.pace.downstream.map(Bandwidth::get), Some(8000.0));
    assert!(scenario.sockets.nagle);
    assert_eq!(scenario.sockets.receive_buffer, Some(65_536));
}

#[test]
fn targets_imply_what_they_are() {
    let scenario = load(
        "version = 1\nload.targets = ['wss://a.example/x', 'wss://b.example']",
        &[],
    );
    assert!(scenario.tls.is_some() && matches!(scenario.protocol, Protocol::Websocket(_)));
    let scenario = load("version = 1\nload.listen.on = 9000", &[]);
    assert_eq!(scenario.connections, 0);
}

#[test]
fn a_set_takes_the_place_of_what_the_file_says() {
    let text = "version = 1\n[load]\ntargets = ['10.0.0.7:9000']\nconnections = 5";
    let scenario = load(
        text,
        &[
            "load.connections=10k",
            "load.targets=127.0.0.1:80",
            "load.connect.reconnect = false",
            "load.protocol=websocket",
            "load.protocol.websocket.header=['A: b', \"C: d\"]",
            "load.tls.sni=5",
            "load.messages.repeated=17",
        ],
    );
    assert_eq!(scenario.connections, 10_000);
    assert_eq!(scenario.targets[0].spec.authority, "127.0.0.1:80");
    assert!(!scenario.connect.reconnect);
    let Protocol::Websocket(asked) = &scenario.protocol else {
        panic!("{:?}", scenario.protocol);
    };
    assert_eq!(asked.header.len(), 2);
    assert_eq!(scenario.tls.unwrap().sni.as_deref(), Some("5"));
    assert_eq!(scenario.messages.repeated[0].constant().unwrap(), b"17");
}

#[test]
fn what_is_wrong_is_reported_with_its_place_and_what_would_be_right() {
    let minimal = "version = 1\n[load]\ntargets = ['10.0.0.7:9000']\n";
    for (text, sets, error) in [
        (
            "version = 1\n\n[load]\n  conections = 5",
            &[][..],
            "a.toml:4:3: unknown key 'conections' in [load]; did you mean 'connections'?",
        ),
        (
            "version = 1\n[load.pace]\nquick = 1",
            &[],
            "a.toml:3:1: unknown key 'quick' in [load.pace]; known keys: message-rate, search-for, closed-loop, \
             in-flight, rate, profile, arrivals, channel-bandwidth-upstream, channel-bandwidth-downstream, requests, \
             delay-send, after-ramp, writes",
        ),
        (
            "version = 1\n[lod]",
            &[],
            "a.toml:2:2: unknown key 'lod'; did you mean 'load'?",
        ),
        (
            minimal,
            &["load.conections=5"],
            "--set load.conections=5: unknown key 'conections' in [load]; did you mean 'connections'?",
        ),
        (
            minimal,
            &["load.connections=5x"],
            "--set load.connections=5x: load.connections: '5x' is not a count; write 1000, 20k or 1m",
        ),
        (
            minimal,
            &["load.hold.x=5"],
            "--set load.hold.x=5: load.hold: a duration such as \"10s\" is needed, not map",
        ),
        (
            minimal,
            &["version.x=5"],
            "--set version.x=5: 'x' is below a value that has no keys",
        ),
        (
            "version = 1\n[load]\nhold = 'ü' # ü\ntargets = []",
            &[],
            "a.toml:3:8: load.hold: 'ü' is not a duration; write 250ms, 10s, 1m30s, 2h or 1d",
        ),
        (
            "version = 1\n[load]\nhold = true",
            &[],
            "a.toml:3:8: load.hold: a duration such as \"10s\" is needed, not boolean `true`",
        ),
        (
            "version = 1\n[load]\nself = 'ws'",
            &[],
            "a.toml:3:8: load.self: unknown value 'ws'; write 'sink' or 'echo'",
        ),
        (
            "version = 1\n[load.messages]\nrepeated = ['a', '\\{b}']",
            &[],
            "a.toml:3:18: load.messages.repeated: byte 2, in '\\{>>b}': there is no expression 'b'; write \
             connection.uid, connection.ptr, re, connection.re or global.re with a REGEX, message.marker, ws.KIND, raw, \
             or <FILE>",
        ),
        (
            "version = 1\n[load.messages]\nrepeated = { file = 'gone' }",
            &[],
            "a.toml:3:12: load.messages.repeated: can't read the file 'gone': entity not found",
        ),
        (
            "version = 2\n[later]",
            &[],
            "a.toml:1:11: version 2 is unknown; this throng reads version 1",
        ),
        (
            "version = 1",
            &[],
            "a.toml: a scenario has one section: [load], [serve] or [proxy]",
        ),
        (
            "version = 1\n[load]",
            &[],
            "a.toml: there is nothing to connect to: add a target HOST:PORT, --self or --listen-port",
        ),
        (
            "version = 1\n[serve]\nlisten = 9000\nmode = 'chargen'",
            &[],
            "a.toml: --mode chargen needs a message to send: add -m or -f",
        ),
        (
            "version = 1\n[serve]\nlisten = ['unix:/a', 9000]",
            &[],
            "a.toml: 'unix:/a' and '[::]:9000' are of different kinds: listen on Unix sockets only, or on none",
        ),
    ] {
        assert_eq!(read_set(text, sets).unwrap_err(), error, "{text}");
    }
    // The words are those of the TOML parser.
    let syntax = read_set("version = 1\n[load]\nx = = 5", &[]).unwrap_err();
    assert!(syntax.starts_with("a.toml:3:5: "), "{syntax}");
    for wrong in ["", "a", "=5", "a..b=5", ".=1"] {
        assert!(wrong.parse::<Set>().is_err(), "{wrong}");
    }
}

#[test]
fn a_file_says_no_more_than_it_must() {
    let written = |text: &str| write(&read_set(text, &[]).unwrap()).unwrap();
    for text in [
        "version = 1\n\n[load]\ntargets = [\"10.0.0.7:9000\"]\n",
        "version = 1\n\n[load]\nself = \"echo\"\nconnections = \"1m\"\n\n[load.tls]\n",
        "version = 1\n\n[load]\ntargets = [\"ws://a.example/chat\"]\n\n[load.protocol.websocket]\n\n[load.messages]\n\
         repeated = ['\\{connection.uid}\\n']\n",
        "version = 1\n\n[load]\ntargets = [\"a.example:9\"]\n\n[load.tls]\ncacert = '''\n-----BEGIN \
         CERTIFICATE-----\nx\n'''\n",
        "version = 1\n\n[serve]\nlisten = [\"[::]:9000\"]\nmode = \"ws-sink\"\n\n[serve.tls]\n",
        "version = 1\n\n[serve]\nlisten = [\"unix:/run/a.sock\", \"unix:@a\"]\n",
    ] {
        assert_eq!(written(text), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_scenario_or_an_error_in_one_line(text in r#"(version = 1\n)?(\[load\]\n)?[a-z=\[\]{}'"\\\n 0-9.-]{0,60}"#) {
        if let Err(error) = read_set(&text, &[]) {
            prop_assert!(!error.contains('\n'), "{error}");
        }
    }
}
