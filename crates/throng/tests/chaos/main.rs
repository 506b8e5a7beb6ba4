//! Chaos: random options, against peers that behave at random, with signals at random instants. Whatever comes, what
//! docs/verdict.md promises holds (`invariants.rs` has each promise as a sentence).
//!
//! A run follows from its seed: options, peers and signals. What the scheduler does in between does not.
//!
//! | what | how |
//! | --- | --- |
//! | 40 runs, as in CI | `cargo test -p throng --test chaos` |
//! | 1,000 others | `THRONG_CHAOS=1000 cargo test --release -p throng --test chaos -- --nocapture` |
//! | those from seed 5,000 on | the same with `THRONG_CHAOS_SEED=5000` |
//! | one again | `THRONG_CHAOS_SEED=N cargo test -p throng --test chaos` |
//!
//! `THRONG_CHAOS_JOBS` is how many run at once; one by one, a failure is easier to repeat.

#[path = "../common/mod.rs"]
mod common;

mod invariants;
mod scene;

use common::PATIENCE;
use common::net::Net;
use common::peers::source;
use common::process::{Process, Ran};
use invariants::{Peer, Seen};
use rustix::process::Signal;
use scene::{PORT, Scene};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How many runs are made unless somebody asks for more.
const BOUNDED: u64 = 40;

/// A certificate and its key, for peers that speak TLS.
static CERTIFICATE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        ("cert.pem", made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
    ] {
        std::fs::write(dir.path().join(name), text).expect("a file");
    }
    dir
});

#[test]
fn whatever_comes_what_is_said_is_true() {
    let seed = asked::<u64>("THRONG_CHAOS_SEED");
    let runs = asked("THRONG_CHAOS").unwrap_or(if seed.is_some() { 1 } else { BOUNDED });
    let seed = seed.unwrap_or(1);
    let jobs = asked("THRONG_CHAOS_JOBS").unwrap_or(8).min(runs);
    let next = AtomicU64::new(seed);
    let (broken, reached) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed_of_run = next.fetch_add(1, Ordering::Relaxed);
                    if seed_of_run >= seed + runs {
                        return;
                    }
                    let scene = Scene::draw(seed_of_run);
                    // What the test's tools assert is broken, too.
                    let done = catch_unwind(AssertUnwindSafe(|| play(&scene)));
                    let found = match done {
                        Ok((code, found)) => {
                            println!("{seed_of_run}: {code}, {scene}");
                            reached.fetch_add(u64::from(code == 0), Ordering::Relaxed);
                            found
                        }
                        Err(panic) => vec![said(panic.as_ref())],
                    };
                    for what in found {
                        let text = format!("seed {seed_of_run}: {what}\n  {scene}");
                        println!("BROKEN {text}");
                        broken.lock().expect("nobody panics here").push(text);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("nobody panics here");
    let reached = reached.into_inner();
    println!("{runs} runs, {reached} reached, {} broken", broken.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A run that can't fail, and one that can't be reached, would show nothing.
    assert!(
        runs < BOUNDED || (runs / 10..runs).contains(&reached),
        "{reached} of {runs} reached"
    );
}

/// A number in the environment.
fn asked<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
        .unwrap_or_default()
}

/// Plays a scene. Returns the exit code, and what was broken.
fn play(scene: &Scene) -> (i32, Vec<String>) {
    let net = Net::own();
    let dir = tempfile::tempdir().expect("a directory");
    let peer = scene.peer.as_ref().map(|peer| {
        let mut command = net.command("python3");
        command.args([&source("chaos.py"), &PORT.to_string()]);
        command.args([&scene.seed.to_string(), peer.protocol, &peer.kinds()]);
        command.args(["cert.pem", "key.pem"].map(|name| CERTIFICATE.path().join(name)));
        let peer = Process::start("chaos.py".into(), command);
        peer.wait_for_stderr("listening");
        peer
    });
    let (ran, signalled) = run(scene, &net, dir.path());
    let peer = peer.map(|peer| {
        peer.signal(Signal::TERM);
        let ran = peer.wait(PATIENCE);
        serde_json::from_str::<Peer>(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"))
    });
    let merged = (!ran.stdout.is_empty()).then(|| merged(&net, dir.path(), &ran.stdout));
    let seen = Seen {
        scene,
        ran: &ran,
        merged,
        peer,
        signalled,
        left: left(&net, dir.path(), scene),
    };
    (ran.code, invariants::broken(&seen))
}

/// Runs throng, with its signals. Returns how long after its start each signal came.
fn run(scene: &Scene, net: &Net, dir: &Path) -> (Ran, Vec<Duration>) {
    let mut command = net.command(env!("CARGO_BIN_EXE_throng"));
    command.args(&scene.words).current_dir(dir);
    command.env("TMPDIR", dir);
    let began = Instant::now();
    let process = Process::start(format!("throng {}", scene.words.join(" ")), command);
    let mut signalled = Vec::new();
    for (at, signal) in &scene.signals {
        std::thread::sleep(at.saturating_sub(began.elapsed()));
        signalled.push(began.elapsed());
        process.signal(*signal);
    }
    (process.wait(PATIENCE), signalled)
}

/// What `throng merge` makes of one result: the same.
fn merged(net: &Net, dir: &Path, result: &str) -> Ran {
    let file = dir.join("merge.json");
    std::fs::write(&file, result).expect("a file");
    let mut command = net.command(env!("CARGO_BIN_EXE_throng"));
    command.args(["merge", "--output", "json"]).arg(&file);
    let ran = Process::start("throng merge".into(), command).wait(PATIENCE);
    std::fs::remove_file(&file).expect("it is there");
    ran
}

/// What is left when all has ended: files that nobody asked for, processes and sockets of the namespace.
fn left(net: &Net, dir: &Path, scene: &Scene) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("the directory");
    let names = names.map(|e| {
        e.expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let mut left: Vec<String> = names
        .filter(|name| !scene.files.contains(&name.as_str()))
        .map(|name| format!("file {name}"))
        .collect();
    let give_up = Instant::now() + Duration::from_secs(3);
    loop {
        // TIME_WAIT is the kernel's own, of a connection that is over.
        let sockets = net.shell("ss -Hant state all exclude time-wait");
        if sockets.trim().is_empty() {
            break;
        }
        if Instant::now() > give_up {
            left.extend(sockets.lines().map(|line| format!("socket {line}")));
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let holder = net.pid().to_string();
    let ours = namespace(&holder);
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid.parse::<u32>().is_ok() && pid != holder && namespace(&pid) == ours {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            left.push(format!("process {pid} {}", name.trim()));
        }
    }
    left
}
