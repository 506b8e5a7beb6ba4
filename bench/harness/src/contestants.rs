//! Who runs, and with which command line.

use crate::words::Words;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of an echoed message.
pub const MESSAGE: usize = 16;

/// The most messages that the floor keeps under way: 4096 on each of two threads. With more
/// Messages under way with both ends in one process: the same for the floor and for throng, passed over
/// all connections in turn.
const IN_FLIGHT: u32 = 128;

/// What connections do once they are up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Sink,
    /// The client sends [`MESSAGE`] bytes on each, awaits the whole echo, and sends the next.
    Echo,
}

/// What a client (or a program that is both ends) is to do.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Connections to hold.
    pub connections: u32,
    /// What they do while they are held.
    pub mode: Mode,
    /// For how long, after the last one is up.
    pub hold: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    /// throng's command line and summary.
    Throng,
    /// The floor's.
    Floor,
    /// That of bench/peers.
    Peer,
    /// tcpkali's. It does not tell how long opening took.
    Tcpkali,
}

/// A program that takes part.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// As the tables and `--only` call it.
    pub name: &'static str,
    /// What a reader must know about it to judge the numbers.
    pub note: &'static str,
    interface: Interface,
    program: Vec<String>,
}

impl Contestant {
    /// The path of throng, if it is that.
    pub fn throng(&self) -> Option<String> {
        let is_throng = self.interface == Interface::Throng;
        self.program.first().filter(|_| is_throng).cloned()
    }

    /// As a server on 127.0.0.1:`port`.
    pub fn server(&self, port: u16, mode: Mode) -> Vec<String> {
        let mode = match mode {
            Mode::Sink => "sink",
            Mode::Echo => "echo",
        };
        match self.interface {
            Interface::Throng => self.with(format!(
                "serve --mode {mode} --output json --quiet 127.0.0.1:{port}"
            )),
            _ => self.with(format!("{port} {mode}")),
        }
    }

    /// As a client of 127.0.0.1:`port`.
    pub fn client(&self, port: u16, job: Job) -> Vec<String> {
        let (n, hold) = (job.connections, job.hold.as_secs_f64());
        match (self.interface, job.mode) {
            (Interface::Throng, _) => self.throng_load(job, &format!("127.0.0.1:{port}")),
            // Its duration includes opening; see `words`.
            (Interface::Tcpkali, _) => self.with(format!(
                "-c {n} --connect-rate 1000000 -T {:.0}s 127.0.0.1:{port}",
                (hold + 2.0).ceil()
            )),
            (_, Mode::Sink) => self.with(format!("{port} sink {n} {hold}")),
            (_, Mode::Echo) => self.with(format!("{port} echo {n} {hold} {MESSAGE}")),
        }
    }

    /// As both ends in one process.
    pub fn both_ends(&self, job: Job) -> Vec<String> {
        let (n, hold) = (job.connections, job.hold.as_secs_f64());
        match (self.interface, job.mode) {
            (Interface::Floor, Mode::Sink) => self.with(format!("--connections {n} --hold {hold}")),
            (Interface::Floor, Mode::Echo) => self.with(format!(
                "--connections {n} --echo {hold} --size {MESSAGE} --in-flight {}",
                n.min(IN_FLIGHT)
            )),
            (_, Mode::Sink) => self.throng_load(job, "--self"),
            (_, Mode::Echo) => {
                let mut argv = self.throng_load(job, "--self=echo");
                argv.extend(["--in-flight".to_owned(), n.min(IN_FLIGHT).to_string()]);
                argv
            }
        }
    }

    fn throng_load(&self, job: Job, target: &str) -> Vec<String> {
        let (n, hold) = (job.connections, job.hold.as_secs_f64());
        let mut argv = self.with(format!(
            "load -c {n} --hold {hold}s --output json --quiet {target}"
        ));
        if job.mode == Mode::Echo {
            argv.extend(["--closed-loop", "--after-ramp", "-m"].map(str::to_owned));
            argv.push("x".repeat(MESSAGE));
        }
        argv
    }

    fn with(&self, arguments: String) -> Vec<String> {
        let arguments = arguments.split(' ').map(str::to_owned);
        self.program.iter().cloned().chain(arguments).collect()
    }

    /// What it said about its run.
    ///
    /// # Errors
    /// It did not say what was expected; one line for the user.
    pub fn words(&self, stdout: &str) -> Result<Words, String> {
        match self.interface {
            Interface::Throng | Interface::Peer => Words::of_summary(stdout),
            Interface::Floor => Words::of_floor(stdout),
            Interface::Tcpkali => Words::of_tcpkali(stdout),
        }
    }
}

/// Those that are on this machine, in the order in which they run, and those that are not.
#[derive(Debug, Default)]
pub struct Field {
    /// Servers, the reference first.
    pub servers: Vec<Contestant>,
    /// Clients, the reference first.
    pub clients: Vec<Contestant>,
    /// Programs that hold both ends, the reference first.
    pub both_ends: Vec<Contestant>,
    /// Who is missing, and what would change that.
    pub missing: Vec<String>,
}

impl Field {
    /// Looks around: `binaries` is where throng and the floor were built, `peers` is bench/peers.
    pub fn find(binaries: &Path, peers: &Path) -> Field {
        let mut field = Field::default();
        let throng = field.built(
            binaries,
            "throng",
            "one thread for each core",
            Interface::Throng,
        );
        field.servers.extend(throng.clone());
        field.clients.extend(throng.clone());
        field.both_ends.extend(throng);
        let floor = field.built(
            binaries,
            "throng-floor",
            "the yardstick: both ends of a connection in one ring; set-up includes making rings",
            Interface::Floor,
        );
        field.both_ends.extend(floor);

        let peer = |name, note, program: Option<Vec<String>>| {
            let peer = |program| Contestant {
                name,
                note,
                interface: Interface::Peer,
                program,
            };
            program
                .map(peer)
                .ok_or_else(|| format!("{name}: run bench/peers/setup.sh"))
        };
        let text = |p: PathBuf| p.to_string_lossy().into_owned();
        let file = |p: PathBuf| p.is_file().then(|| text(p));
        let python = file(peers.join(".venv/bin/python"));
        let node = on_path("node").map(text);
        for (role, list) in [
            ("server", &mut field.servers),
            ("client", &mut field.clients),
        ] {
            let script = |interpreter: &Option<String>, path: String| {
                Some(vec![interpreter.clone()?, file(peers.join(path))?])
            };
            let go = file(peers.join(format!("bin/go-{role}"))).map(|p| vec![p]);
            for found in [
                peer("go", "all cores, a goroutine for each connection", go),
                peer(
                    "python",
                    "asyncio + uvloop, one core",
                    script(&python, format!("python/{role}.py")),
                ),
                peer(
                    "node",
                    "net module, one core",
                    script(&node, format!("node/{role}.js")),
                ),
            ] {
                match found {
                    Ok(contestant) => list.push(contestant),
                    Err(why) if !field.missing.contains(&why) => field.missing.push(why),
                    Err(_) => {}
                }
            }
        }
        match on_path("tcpkali") {
            Some(path) => field.clients.push(Contestant {
                name: "tcpkali",
                note: "does not tell its set-up time",
                interface: Interface::Tcpkali,
                program: vec![text(path)],
            }),
            None => field.missing.push("tcpkali: not on PATH".to_owned()),
        }
        field
    }

    fn built(
        &mut self,
        binaries: &Path,
        name: &'static str,
        note: &'static str,
        interface: Interface,
    ) -> Option<Contestant> {
        let path = binaries.join(name);
        if !path.is_file() {
            self.missing
                .push(format!("{name}: run cargo build --release -p {name}"));
            return None;
        }
        Some(Contestant {
            name,
            note,
            interface,
            program: vec![path.to_string_lossy().into_owned()],
        })
    }

    /// Every name that somebody here goes by.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = [&self.servers, &self.clients, &self.both_ends]
            .into_iter()
            .flatten()
            .map(|c| c.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Keeps the contestants of these names, and the first of each list, which the others are
    /// compared with.
    pub fn keep(&mut self, names: &[String]) {
        for list in [&mut self.servers, &mut self.clients, &mut self.both_ends] {
            let mut first = true;
            list.retain(|c| std::mem::take(&mut first) || names.iter().any(|n| n == c.name));
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(interface: Interface) -> Contestant {
        Contestant {
            name: "x",
            note: "",
            interface,
            program: vec!["x".to_owned()],
        }
    }

    const ECHO: Job = Job {
        connections: 10,
        mode: Mode::Echo,
        hold: Duration::from_millis(1500),
    };

    #[test]
    fn each_interface_has_its_command_line() {
        let sink = Job {
            mode: Mode::Sink,
            ..ECHO
        };
        let throng = contestant(Interface::Throng);
        let floor = contestant(Interface::Floor);
        let peer = contestant(Interface::Peer);
        for (argv, expected) in [
            (
                throng.server(7, Mode::Echo),
                "x serve --mode echo --output json --quiet 127.0.0.1:7",
            ),
            (
                throng.client(7, ECHO),
                "x load -c 10 --hold 1.5s --output json --quiet 127.0.0.1:7 \
                 --closed-loop --after-ramp -m xxxxxxxxxxxxxxxx",
            ),
            (
                throng.both_ends(sink),
                "x load -c 10 --hold 1.5s --output json --quiet --self",
            ),
            (floor.both_ends(sink), "x --connections 10 --hold 1.5"),
            (
                floor.both_ends(ECHO),
                "x --connections 10 --echo 1.5 --size 16 --in-flight 10",
            ),
            (peer.server(7, Mode::Sink), "x 7 sink"),
            (peer.client(7, sink), "x 7 sink 10 1.5"),
            (peer.client(7, ECHO), "x 7 echo 10 1.5 16"),
            (
                contestant(Interface::Tcpkali).client(7, sink),
                "x -c 10 --connect-rate 1000000 -T 4s 127.0.0.1:7",
            ),
        ] {
            assert_eq!(argv.join(" "), expected);
        }
    }

    #[test]
    fn who_is_absent_is_named_with_the_cure() {
        let nowhere = Path::new("/nonexistent");
        let field = Field::find(nowhere, nowhere);
        for name in ["throng: ", "throng-floor: ", "go: ", "python: "] {
            assert!(
                field
                    .missing
                    .iter()
                    .any(|m| m.starts_with(name) && m.contains(" run ")),
                "{name} {:?}",
                field.missing
            );
        }
        assert!(field.both_ends.is_empty());
    }

    #[test]
    fn the_reference_stays_whoever_is_asked_for() {
        let mut field = Field::default();
        for name in ["throng", "go", "node"] {
            field.servers.push(Contestant {
                name,
                ..contestant(Interface::Peer)
            });
        }
        field.keep(&["node".to_owned()]);
        assert_eq!(field.names(), ["node", "throng"]);
    }
}
