//! Who runs, and with which command line.

use crate::words::Words;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of an echoed message, where a table does not say otherwise.
pub const MESSAGE: usize = 16;
/// Bytes of a message that is sent as fast as it goes, one way: what iperf3 writes at once.
pub const CHUNK: usize = 128 << 10;

/// Messages under way with both ends in one process: the same for the floor and for throng, passed over
/// all connections in turn.
const IN_FLIGHT: u32 = 128;

/// What connections do once they are up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Sink,
    /// The client sends a message on each, awaits the whole echo, and sends the next.
    Echo,
    /// The client sends as fast as it goes; the server discards it.
    Stream,
}

/// What they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Bytes.
    Plain,
    /// WebSocket; a message is a text frame.
    WebSocket,
    /// Bytes over TLS.
    Tls,
}

/// What a client (or a program that is both ends) is to do.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Connections to hold.
    pub connections: u32,
    /// What they do while they are held.
    pub mode: Mode,
    /// What they speak.
    pub talk: Talk,
    /// Bytes of a message.
    pub size: usize,
    /// For how long, after the last one is up.
    pub hold: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    /// throng's command line and summary.
    Throng,
    /// The same, with both ends in one process.
    ThrongSelf,
    /// The floor's.
    Floor,
    /// That of bench/peers.
    Peer,
    /// tcpkali's. It does not tell how long opening took.
    Tcpkali,
    /// iperf3's.
    Iperf,
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
    /// bench/peers: the certificate is there.
    peers: PathBuf,
}

impl Contestant {
    /// The path of throng, if it is that.
    pub fn throng(&self) -> Option<String> {
        let is_throng = self.interface == Interface::Throng;
        self.program.first().filter(|_| is_throng).cloned()
    }

    /// Whether it holds both ends of a stream itself.
    pub fn is_both_ends(&self) -> bool {
        self.interface == Interface::ThrongSelf
    }

    /// Certificate and key.
    fn certificate(&self) -> [String; 2] {
        ["cert.pem", "key.pem"].map(|f| self.peers.join("tls").join(f).display().to_string())
    }

    /// As a server on 127.0.0.1:`port`.
    pub fn server(&self, port: u16, job: Job) -> Vec<String> {
        let mode = match (job.mode, job.talk) {
            (Mode::Sink | Mode::Stream, _) => "sink",
            (Mode::Echo, Talk::WebSocket) => "ws",
            (Mode::Echo, _) => "echo",
        };
        let [certificate, key] = self.certificate();
        match self.interface {
            Interface::Throng => {
                let mut argv = self.with(format!(
                    "serve --mode {mode} --output json --quiet 127.0.0.1:{port}"
                ));
                if job.talk == Talk::Tls {
                    let tls = ["--tls", "--ssl-cert", &certificate, "--ssl-key", &key];
                    argv.extend(tls.map(str::to_owned));
                }
                argv
            }
            Interface::Iperf => self.with(format!("-s -B 127.0.0.1 -p {port}")),
            Interface::Tcpkali => self.with(format!("-l 127.0.0.1:{port} -T 1h")),
            _ => {
                let mut argv = self.with(format!("{port} {mode}"));
                if job.talk == Talk::Tls {
                    argv.extend([certificate, key]);
                }
                argv
            }
        }
    }

    /// As a client of 127.0.0.1:`port`.
    pub fn client(&self, port: u16, job: Job) -> Vec<String> {
        let (n, hold) = (job.connections, job.hold.as_secs_f64());
        match (self.interface, job.mode) {
            (Interface::Throng, _) => self.throng_load(job, &format!("127.0.0.1:{port}")),
            (Interface::Iperf, _) => self.with(format!(
                "-c 127.0.0.1 -p {port} -P {n} -t {hold:.0} -l {CHUNK} -J"
            )),
            // Its duration includes opening; see `words`.
            (Interface::Tcpkali, Mode::Stream) => self.with(format!(
                "-c {n} --connect-rate 1000000 -T {hold:.0}s -f {} 127.0.0.1:{port}",
                self.chunk()
            )),
            (Interface::Tcpkali, _) => self.with(format!(
                "-c {n} --connect-rate 1000000 -T {:.0}s 127.0.0.1:{port}",
                (hold + 2.0).ceil()
            )),
            (_, Mode::Sink | Mode::Stream) => self.with(format!("{port} sink {n} {hold}")),
            (_, Mode::Echo) => {
                let mode = if job.talk == Talk::WebSocket {
                    "ws"
                } else {
                    "echo"
                };
                let mut argv = self.with(format!("{port} {mode} {n} {hold} {}", job.size));
                if job.talk == Talk::Tls {
                    argv.push("tls".to_owned());
                }
                argv
            }
        }
    }

    /// The file with a chunk.
    fn chunk(&self) -> String {
        self.peers.join("chunk").display().to_string()
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
            (_, Mode::Sink | Mode::Stream) => self.throng_load(job, "--self"),
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
        match job.mode {
            Mode::Sink => {}
            Mode::Echo => {
                argv.extend(["--closed-loop", "--after-ramp", "-m"].map(str::to_owned));
                argv.push("x".repeat(job.size));
            }
            Mode::Stream => argv.extend(["-f".to_owned(), self.chunk()]),
        }
        match job.talk {
            Talk::Plain => {}
            Talk::WebSocket => argv.push("--websocket".to_owned()),
            Talk::Tls => argv.extend(["--tls", "--insecure"].map(str::to_owned)),
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
            Interface::Throng | Interface::ThrongSelf | Interface::Peer => {
                Words::of_summary(stdout)
            }
            Interface::Iperf => Words::of_iperf(stdout),
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
    /// Programs that send one way to themselves, the reference first.
    pub streams: Vec<Contestant>,
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
            peers,
        );
        field.servers.extend(throng.clone());
        field.clients.extend(throng.clone());
        field.streams.extend(throng.clone());
        field
            .streams
            .extend(throng.clone().map(|throng| Contestant {
                name: "throng --self",
                note: "both ends in one process",
                interface: Interface::ThrongSelf,
                ..throng
            }));
        field.both_ends.extend(throng);
        let floor = field.built(
            binaries,
            "throng-floor",
            "the yardstick: both ends of a connection in one ring; set-up includes making rings",
            Interface::Floor,
            peers,
        );
        field.both_ends.extend(floor);

        let peer = |name, note, program: Option<Vec<String>>| {
            let peer = |program| Contestant {
                name,
                note,
                interface: Interface::Peer,
                program,
                peers: peers.to_owned(),
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
                peer("go", "net, crypto/tls, gorilla; all cores", go),
                peer(
                    "python",
                    "uvloop, ssl, websockets; one core",
                    script(&python, format!("python/{role}.py")),
                ),
                peer(
                    "node",
                    "net, tls, ws; one core",
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
            Some(path) => {
                // Version 1.2 says on stderr that it has ramped up, and its result on stdout.
                let both = ["/bin/sh", "-c", r#"exec "$0" "$@" 2>&1"#].map(str::to_owned);
                let tcpkali = Contestant {
                    name: "tcpkali",
                    note: "does not tell its set-up time",
                    interface: Interface::Tcpkali,
                    program: both.into_iter().chain([text(path)]).collect(),
                    peers: peers.to_owned(),
                };
                field.streams.push(tcpkali.clone());
                field.clients.push(tcpkali);
            }
            None => field.missing.push("tcpkali: not on PATH".to_owned()),
        }
        match on_path("iperf3") {
            Some(path) => field.streams.push(Contestant {
                name: "iperf3",
                note: "one thread at each end",
                interface: Interface::Iperf,
                program: vec![text(path)],
                peers: peers.to_owned(),
            }),
            None => field
                .missing
                .push("iperf3: run bench/peers/setup.sh".to_owned()),
        }
        field
    }

    fn built(
        &mut self,
        binaries: &Path,
        name: &'static str,
        note: &'static str,
        interface: Interface,
        peers: &Path,
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
            peers: peers.to_owned(),
        })
    }

    /// Every name that somebody here goes by.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = [&self.servers, &self.clients, &self.both_ends, &self.streams]
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
        let lists = [
            &mut self.servers,
            &mut self.clients,
            &mut self.both_ends,
            &mut self.streams,
        ];
        for list in lists {
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
            peers: PathBuf::from("p"),
        }
    }

    const ECHO: Job = Job {
        connections: 10,
        mode: Mode::Echo,
        talk: Talk::Plain,
        size: MESSAGE,
        hold: Duration::from_millis(1500),
    };

    #[test]
    fn each_interface_has_its_command_line() {
        let sink = Job {
            mode: Mode::Sink,
            ..ECHO
        };
        let (ws, tls) = (
            Job {
                talk: Talk::WebSocket,
                ..ECHO
            },
            Job {
                talk: Talk::Tls,
                ..ECHO
            },
        );
        let stream = Job {
            mode: Mode::Stream,
            ..ECHO
        };
        let iperf = contestant(Interface::Iperf);
        let throng = contestant(Interface::Throng);
        let floor = contestant(Interface::Floor);
        let peer = contestant(Interface::Peer);
        for (argv, expected) in [
            (
                throng.server(7, ECHO),
                "x serve --mode echo --output json --quiet 127.0.0.1:7",
            ),
            (
                throng.client(7, ECHO),
                "x load -c 10 --hold 1.5s --output json --quiet 127.0.0.1:7 \
                 --closed-loop --after-ramp -m xxxxxxxxxxxxxxxx",
            ),
            (
                throng.server(7, tls),
                "x serve --mode echo --output json --quiet 127.0.0.1:7 --tls --ssl-cert p/tls/cert.pem \
                 --ssl-key p/tls/key.pem",
            ),
            (
                throng.client(7, ws),
                "x load -c 10 --hold 1.5s --output json --quiet 127.0.0.1:7 \
                 --closed-loop --after-ramp -m xxxxxxxxxxxxxxxx --websocket",
            ),
            (
                throng.client(7, stream),
                "x load -c 10 --hold 1.5s --output json --quiet 127.0.0.1:7 -f p/chunk",
            ),
            (peer.server(7, ws), "x 7 ws"),
            (peer.server(7, tls), "x 7 echo p/tls/cert.pem p/tls/key.pem"),
            (peer.client(7, ws), "x 7 ws 10 1.5 16"),
            (peer.client(7, tls), "x 7 echo 10 1.5 16 tls"),
            (iperf.server(7, stream), "x -s -B 127.0.0.1 -p 7"),
            (
                iperf.client(7, stream),
                "x -c 127.0.0.1 -p 7 -P 10 -t 2 -l 131072 -J",
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
            (peer.server(7, sink), "x 7 sink"),
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
