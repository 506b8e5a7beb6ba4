//! The contestants that are installed on this machine, and those that are missing.

use crate::contestants::{Contestant, Interface};
use std::path::{Path, PathBuf};

/// The contestants on this machine, in the order in which they run, and the missing ones.
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
    /// What is missing, and how to install it.
    pub missing: Vec<String>,
    peers: PathBuf,
}

impl Field {
    /// Finds the contestants: `binaries` is where throng and the floor were built, `peers` is bench/peers.
    pub fn find(binaries: &Path, peers: &Path) -> Field {
        let mut field = Field {
            peers: peers.to_owned(),
            ..Field::default()
        };
        let throng = field.built(
            binaries,
            "throng",
            "one thread per core",
            Interface::Throng,
            peers,
        );
        for list in [&mut field.servers, &mut field.clients] {
            list.extend(throng.clone());
            list.extend(throng.clone().map(|throng| Contestant {
                name: "throng -w 1",
                note: "one thread; those of one core are compared with this",
                one_thread: true,
                ..throng
            }));
        }
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

        let peer = |name, note, one_thread, program: Option<Vec<String>>| {
            let peer = |program| Contestant {
                name,
                note,
                one_thread,
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
                peer("go", "net, crypto/tls, gorilla; all cores", false, go),
                peer(
                    "python",
                    "uvloop, ssl, websockets; one core",
                    true,
                    script(&python, format!("python/{role}.py")),
                ),
                peer(
                    "node",
                    "net, tls, ws; one core",
                    true,
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
                // Version 1.2 reports on stderr that it has ramped up, and prints its result on stdout.
                let both = ["/bin/sh", "-c", r#"exec "$0" "$@" 2>&1"#].map(str::to_owned);
                let tcpkali = Contestant {
                    name: "tcpkali",
                    note: "does not report its set-up time",
                    interface: Interface::Tcpkali,
                    one_thread: false,
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
                one_thread: false,
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
            one_thread: false,
            program: vec![path.to_string_lossy().into_owned()],
            peers: peers.to_owned(),
        })
    }

    /// Whether `file` is in bench/peers.
    pub fn has(&self, file: &str) -> bool {
        self.peers.join(file).is_file()
    }

    /// The names of all contestants.
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

    /// Keeps the contestants with these names, and those that the others are compared with.
    pub fn keep(&mut self, names: &[String]) {
        let lists = [
            &mut self.servers,
            &mut self.clients,
            &mut self.both_ends,
            &mut self.streams,
        ];
        for list in lists {
            let mut first = true;
            list.retain(|c| {
                let compared_with = std::mem::take(&mut first) || c.interface == Interface::Throng;
                compared_with || names.iter().any(|n| n == c.name)
            });
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
    fn the_reference_stays_whichever_contestant_is_asked_for() {
        let mut field = Field::default();
        for name in ["throng", "go", "node"] {
            field.servers.push(Contestant {
                name,
                note: "",
                interface: Interface::Peer,
                one_thread: false,
                program: Vec::new(),
                peers: PathBuf::new(),
            });
        }
        field.keep(&["node".to_owned()]);
        assert_eq!(field.names(), ["node", "throng"]);
    }
}
