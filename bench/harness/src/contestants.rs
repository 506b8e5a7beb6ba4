//! The contestants: their command lines, and how their reports are read.

use crate::words::Words;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of an echoed message, where a table does not say otherwise.
pub const MESSAGE: usize = 16;
/// Bytes of a message that is sent one way as fast as possible: what iperf3 writes at once.
pub const CHUNK: usize = 128 << 10;

/// Messages in flight with both ends in one process, the same for the floor and for throng. They are passed over
/// all connections in turn.
const IN_FLIGHT: u32 = 128;

/// What connections do once they are established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Sink,
    /// The client sends a message on each, awaits the whole echo, and sends the next.
    Echo,
    /// The client sends as fast as possible; the server discards it.
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
    /// For how long, after the last one is established.
    pub hold: Duration,
}

/// The files in bench/peers that such connections need.
pub fn files(mode: Mode, talk: Talk) -> &'static [&'static str] {
    match (mode, talk) {
        (Mode::Stream, _) => &[CHUNK_FILE],
        (_, Talk::Tls) => &CERTIFICATE,
        (_, Talk::Plain | Talk::WebSocket) => &[],
    }
}

/// A file of [`CHUNK`] bytes.
const CHUNK_FILE: &str = "chunk";
/// A certificate and its key.
const CERTIFICATE: [&str; 2] = ["tls/cert.pem", "tls/key.pem"];

/// How a program is given its job, and how it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// throng's command line and summary.
    Throng,
    /// The same, with both ends in one process.
    ThrongSelf,
    /// The floor's.
    Floor,
    /// That of bench/peers.
    Peer,
    /// tcpkali's. It does not report its set-up time.
    Tcpkali,
    /// iperf3's.
    Iperf,
}

/// A program that takes part.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// Its name in the tables and for `--only`.
    pub name: &'static str,
    /// What a reader must know about it to judge the numbers.
    pub note: &'static str,
    /// How it is given its job.
    pub interface: Interface,
    /// Whether it uses one thread; otherwise one per core, or a number of its own choice.
    pub one_thread: bool,
    /// The beginning of each of its command lines.
    pub program: Vec<String>,
    /// bench/peers, with the files that it needs.
    pub peers: PathBuf,
}

impl Contestant {
    /// Whether this is the throng that `other` is compared with: programs with one thread are compared with throng with
    /// one thread, which is itself compared with throng.
    pub fn compares_with(&self, other: &Contestant) -> bool {
        self.interface == Interface::Throng
            && self.one_thread == (other.one_thread && other.interface == Interface::Peer)
    }

    /// The path of throng, if this is throng.
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
        CERTIFICATE.map(|f| self.peers.join(f).display().to_string())
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
                argv.extend(self.workers());
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
        self.peers.join(CHUNK_FILE).display().to_string()
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

    /// throng's option for the number of threads.
    fn workers(&self) -> impl Iterator<Item = String> {
        let one = self.one_thread.then(|| ["-w", "1"].map(str::to_owned));
        one.into_iter().flatten()
    }

    fn throng_load(&self, job: Job, target: &str) -> Vec<String> {
        let (n, hold) = (job.connections, job.hold.as_secs_f64());
        let mut argv = self.with(format!(
            "load -c {n} --hold {hold}s --output json --quiet {target}"
        ));
        argv.extend(self.workers());
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

    /// Its report on its run.
    ///
    /// # Errors
    /// Its output was not as expected; one line for the user.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(interface: Interface) -> Contestant {
        Contestant {
            name: "x",
            note: "",
            interface,
            one_thread: false,
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
    fn one_thread_is_compared_with_one_thread() {
        let throng = contestant(Interface::Throng);
        let one = Contestant {
            one_thread: true,
            ..throng.clone()
        };
        let go = contestant(Interface::Peer);
        let node = Contestant {
            one_thread: true,
            ..go.clone()
        };
        let all = [&throng, &one, &go, &node];
        let with = all.map(|c| all.iter().position(|other| other.compares_with(c)));
        assert_eq!(with, [0, 0, 0, 1].map(Some));
        assert!(
            one.server(7, ECHO)
                .ends_with(&["-w", "1"].map(str::to_owned))
        );
        assert!(one.client(7, ECHO).windows(2).any(|w| w == ["-w", "1"]));
    }

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
}
