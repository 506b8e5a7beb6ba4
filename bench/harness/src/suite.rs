//! The tables that are measured, and the turns in which their contestants run.

use crate::contestants::{self, CHUNK, Contestant, Job, MESSAGE, Mode, Talk};
use crate::field::Field;
use crate::process::stopped;
use crate::settle;
use crate::stats::Better::{Higher, Lower};
use crate::table::{Quantity, Row, Table};
use crate::trial::{self, Outcome, Side};
use crate::warm::warm;
use std::time::Duration;

/// The subject of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Server,
    Client,
    BothEnds,
}

/// A suite: a table per number of connections.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Its name for `--only`.
    pub name: &'static str,
    subject: Subject,
    mode: Mode,
    talk: Talk,
    size: usize,
    /// Numbers of connections: for `--quick`, in addition otherwise, in addition with `--million`.
    sizes: [&'static [u32]; 3],
}

/// RLIMIT_NOFILE bounds the peers, here at 20,000: none is asked for more connections than this.
const PEERS: u32 = 10_000;
/// Connections that exchange messages, and their sizes.
const TALKING: [&[u32]; 3] = [&[100, PEERS], &[], &[]];
const KIB: usize = 1024;

/// Every suite, in order.
pub const SUITES: [Suite; 19] = {
    use Mode::{Echo, Sink, Stream};
    use Subject::{BothEnds, Client, Server};
    use Talk::{Plain, Tls, WebSocket};
    [
        suite("servers", Server, Sink, [&[PEERS], &[], &[]]),
        suite("clients", Client, Sink, [&[PEERS], &[], &[]]),
        suite(
            "self",
            BothEnds,
            Sink,
            [&[10_000], &[100_000], &[1_000_000]],
        ),
        suite("echo-servers", Server, Echo, [&[1000], &[PEERS], &[]]),
        suite("echo-clients", Client, Echo, [&[1000], &[PEERS], &[]]),
        suite(
            "echo-self",
            BothEnds,
            Echo,
            [&[1000], &[100_000], &[1_000_000]],
        ),
        Suite {
            size: CHUNK,
            ..suite("throughput", BothEnds, Stream, [&[1, 100], &[], &[]])
        },
        talking("plain-servers-16", Server, Plain, MESSAGE),
        talking("plain-servers-1k", Server, Plain, KIB),
        talking("ws-servers-16", Server, WebSocket, MESSAGE),
        talking("ws-servers-1k", Server, WebSocket, KIB),
        talking("tls-servers-16", Server, Tls, MESSAGE),
        talking("tls-servers-1k", Server, Tls, KIB),
        talking("plain-clients-16", Client, Plain, MESSAGE),
        talking("plain-clients-1k", Client, Plain, KIB),
        talking("ws-clients-16", Client, WebSocket, MESSAGE),
        talking("ws-clients-1k", Client, WebSocket, KIB),
        talking("tls-clients-16", Client, Tls, MESSAGE),
        talking("tls-clients-1k", Client, Tls, KIB),
    ]
};

const fn suite(
    name: &'static str,
    subject: Subject,
    mode: Mode,
    sizes: [&'static [u32]; 3],
) -> Suite {
    Suite {
        name,
        subject,
        mode,
        talk: Talk::Plain,
        size: MESSAGE,
        sizes,
    }
}

const fn talking(name: &'static str, subject: Subject, talk: Talk, size: usize) -> Suite {
    Suite {
        talk,
        size,
        ..suite(name, subject, Mode::Echo, TALKING)
    }
}

const fn quantity(name: &'static str, better: crate::stats::Better) -> Quantity {
    Quantity { name, better }
}

const PAIR_SET_UP: &[Quantity] = &[
    quantity("connections/s", Higher),
    quantity("CPU µs/conn", Lower),
    quantity("CPU both ends", Lower),
    quantity("bytes/conn", Lower),
    quantity("peak RSS MiB", Lower),
];
const SELF_SET_UP: &[Quantity] = &[
    quantity("connections/s", Higher),
    quantity("CPU µs/conn", Lower),
    quantity("bytes/conn", Lower),
    quantity("peak RSS MiB", Lower),
];
const PAIR_ECHO: &[Quantity] = &[
    quantity("messages/s", Higher),
    quantity("CPU µs/message", Lower),
    quantity("CPU both ends", Lower),
];
const SELF_ECHO: &[Quantity] = &[
    quantity("messages/s", Higher),
    quantity("CPU µs/message", Lower),
];

const STREAM: &[Quantity] = &[
    quantity("GB/s", Higher),
    quantity("sender CPU s/GB", Lower),
    quantity("receiver CPU s/GB", Lower),
    quantity("both CPU s/GB", Lower),
];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds per contestant.
    pub rounds: u32,
    /// The small sizes and short holds only.
    pub quick: bool,
    /// Also the tables of a million connections.
    pub million: bool,
}

impl Suite {
    /// Whether `--only` selects it by `name`: its whole name, or a prefix of whole words.
    pub fn is_called(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// A file of bench/peers that it needs and that is missing.
    pub fn lacks(&self, field: &Field) -> Option<&'static str> {
        let files = contestants::files(self.mode, self.talk);
        files.iter().copied().find(|file| !field.has(file))
    }

    /// The numbers of connections that it is measured at.
    pub fn sizes(&self, effort: Effort) -> Vec<u32> {
        let [quick, full, million] = self.sizes;
        let mut sizes = quick.to_vec();
        if !effort.quick {
            sizes.extend(full);
        }
        if effort.million {
            sizes.extend(million);
        }
        sizes
    }

    fn job(&self, connections: u32, effort: Effort) -> Job {
        let seconds = match (self.mode, effort.quick) {
            (Mode::Sink, true) => 1,
            (Mode::Sink, false) | (Mode::Echo | Mode::Stream, true) => 2,
            (Mode::Echo | Mode::Stream, false) => 5,
        };
        // One pass over a million connections takes half a minute.
        let seconds = match (self.mode, connections) {
            (Mode::Echo, 1_000_000..) => 60,
            (Mode::Echo, 100_000..) => seconds * 3,
            _ => seconds,
        };
        Job {
            connections,
            mode: self.mode,
            talk: self.talk,
            size: self.size,
            hold: Duration::from_secs(seconds),
        }
    }

    /// Measures one table; `None` if there is no contestant.
    pub fn measure(&self, field: &Field, connections: u32, effort: Effort) -> Option<Table> {
        let job = self.job(connections, effort);
        let (opposite, contestants) = match self.subject {
            _ if self.mode == Mode::Stream => (None, &field.streams),
            Subject::Server => (field.clients.first(), &field.servers),
            Subject::Client => (field.servers.first(), &field.clients),
            Subject::BothEnds => (None, &field.both_ends),
        };
        // tcpkali cannot wait for an echo.
        let contestants: Vec<&Contestant> = contestants
            .iter()
            .filter(|c| self.mode != Mode::Echo || c.name != "tcpkali")
            .collect();
        if contestants.is_empty() || (self.subject != Subject::BothEnds && opposite.is_none()) {
            return None;
        }
        let rounds = if connections >= 1_000_000 {
            effort.rounds.min(3)
        } else {
            effort.rounds
        };
        let run = |c: &Contestant| match (self.subject, opposite) {
            _ if self.mode == Mode::Stream => trial::one_way(c, job),
            (Subject::Server, Some(client)) => trial::pair(c, client, job, Side::Server),
            (Subject::Client, Some(server)) => trial::pair(server, c, job, Side::Client),
            _ => trial::both_ends(c, job),
        };
        let table = Table {
            title: self.title(connections),
            about: self.about(job, opposite),
            quantities: match (self.subject, self.mode) {
                (_, Mode::Stream) => STREAM,
                (Subject::BothEnds, Mode::Sink) => SELF_SET_UP,
                (Subject::BothEnds, Mode::Echo) => SELF_ECHO,
                (_, Mode::Sink) => PAIR_SET_UP,
                (_, Mode::Echo) => PAIR_ECHO,
            },
            rows: in_turn(self.name, &contestants, rounds, connections, run),
        };
        Some(table)
    }

    fn title(&self, n: u32) -> String {
        let what = match self.mode {
            Mode::Sink => "set-up".to_owned(),
            Mode::Echo => {
                let over = match self.talk {
                    Talk::Plain => "",
                    Talk::WebSocket => " by WebSocket",
                    Talk::Tls => " over TLS",
                };
                format!("echo{over}, closed loop, {} bytes", self.size)
            }
            Mode::Stream => "one way, as fast as it goes".to_owned(),
        };
        let who = match self.subject {
            _ if self.mode == Mode::Stream => "both ends on this machine",
            Subject::Server => "servers",
            Subject::Client => "clients",
            Subject::BothEnds => "both ends in one process",
        };
        let n = match n {
            1_000_000.. => format!("{}m", n / 1_000_000),
            1000.. => format!("{}k", n / 1000),
            _ => n.to_string(),
        };
        let s = if n == "1" { "" } else { "s" };
        format!("{}: {what}, {who}, {n} connection{s}", self.name)
    }

    fn about(&self, job: Job, opposite: Option<&Contestant>) -> String {
        let against = match (self.subject, opposite) {
            (Subject::Server, Some(c)) => format!("Driven by {}. ", client_name(c)),
            (Subject::Client, Some(c)) => format!("Against {}. ", server_name(c)),
            _ => String::new(),
        };
        let bound = match self.subject {
            Subject::BothEnds => "",
            _ => " Peers are bound by `ulimit -n`, so none is asked for more than 10k.",
        };
        let what = match self.mode {
            Mode::Sink => {
                "CPU and memory of the process as the kernel counts them, in the middle of a hold, less \
                 those with one connection (servers: with none)."
            }
            Mode::Stream => {
                "Each writes messages of 128 KiB as fast as they go; who receives discards them. CPU as the \
                 kernel counts it, within the hold. On loopback the sender's thread does much of the \
                 receiver's work in the kernel: the sum counts."
            }
            Mode::Echo if self.subject == Subject::BothEnds => {
                "128 messages are under way, passed over all connections in turn. CPU as the kernel counts \
                 it, within the hold."
            }
            Mode::Echo => {
                "Each connection has one message under way. CPU as the kernel counts it, within the hold."
            }
        };
        format!("{against}{what} Hold {} s.{bound}", job.hold.as_secs())
    }
}

fn client_name(c: &Contestant) -> String {
    match c.name {
        "throng" => "`throng load`".to_owned(),
        name => format!("the {name} client (no throng here)"),
    }
}

fn server_name(c: &Contestant) -> String {
    match c.name {
        "throng" => "`throng serve`".to_owned(),
        name => format!("the {name} server (no throng here)"),
    }
}

/// Lets each run once, then each again in reverse order: A B C, C B A, A B C … No contestant always
/// follows the same other one.
fn in_turn(
    suite: &str,
    contestants: &[&Contestant],
    rounds: u32,
    connections: u32,
    run: impl Fn(&Contestant) -> Result<Outcome, String>,
) -> Vec<Row> {
    let mut rows: Vec<Row> = contestants
        .iter()
        .map(|c| Row {
            name: c.name,
            note: c.note,
            compared_with: contestants
                .iter()
                .position(|other| other.compares_with(c))
                .unwrap_or(0),
            rounds: Vec::new(),
        })
        .collect();
    for round in 1..=rounds {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if round % 2 == 0 {
            order.reverse();
        }
        for at in order {
            let (row, contestant) = (&mut rows[at], contestants[at]);
            if stopped() {
                return rows;
            }
            warm(connections);
            let before = settle::sockets();
            let result = run(contestant);
            settle::settle(before);
            match &result {
                Ok(outcome) => {
                    let first = outcome.numbers.first().copied().flatten();
                    let first = first.map_or_else(|| "done".to_owned(), |n| format!("{n:.1}/s"));
                    eprintln!("{suite} {round}/{rounds} {}: {first}", row.name);
                }
                Err(why) => eprintln!("{suite} {round}/{rounds} {}: {why}", row.name),
            }
            row.rounds.push(result);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_both_ends_goes_beyond_the_peers_limit() {
        let all = Effort {
            rounds: 1,
            quick: false,
            million: true,
        };
        for suite in SUITES {
            let largest = suite.sizes(all).into_iter().max().unwrap();
            assert_eq!(
                largest > PEERS,
                suite.subject == Subject::BothEnds && suite.mode != Mode::Stream,
                "{}",
                suite.name
            );
            let quick = Effort {
                quick: true,
                million: false,
                ..all
            };
            assert!(!suite.sizes(quick).is_empty(), "{}", suite.name);
        }
    }

    #[test]
    fn without_the_files_of_the_peers_only_what_needs_them_is_left_out() {
        let nowhere = std::path::Path::new("/nonexistent");
        let field = Field::find(nowhere, nowhere);
        for suite in SUITES {
            let needs = suite.is_called("throughput") || suite.is_called("tls");
            assert_eq!(suite.lacks(&field).is_some(), needs, "{}", suite.name);
        }
    }

    #[test]
    fn a_suite_is_called_by_its_first_words() {
        let called = |name: &str| SUITES.iter().filter(|s| s.is_called(name)).count();
        for (name, suites) in [
            ("ws", 4),
            ("tls-clients", 2),
            ("plain-servers-1k", 1),
            ("servers", 1),
            ("echo", 3),
            ("w", 0),
        ] {
            assert_eq!(called(name), suites, "{name}");
        }
    }
}
